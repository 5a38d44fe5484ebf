#include <cstring>

#include "addresses.h"
#include "option_values.h"
#include "provider_test.h"
#include "watchers.h"

namespace sockproof::winsock::test {
namespace {

TEST(Addresses, WrongArgumentsAreLeftAsTheyAre) {
  NativeAddress native;
  int bad = 0;
  const sp_address address = Loopback(SP_INET, 80);
  EXPECT_EQ(Encode({SP_POINTER_VALID, SP_NATURAL_LENGTH, address}, &bad, &native), SP_OK);
  EXPECT_EQ(native.length, static_cast<int>(sizeof(sockaddr_in)));
  EXPECT_EQ(Encode({SP_POINTER_NULL, 3, address}, &bad, &native), SP_OK);
  EXPECT_EQ(native.pointer, nullptr);
  EXPECT_EQ(native.length, 3);
  EXPECT_EQ(Encode({SP_POINTER_INVALID, -1, address}, &bad, &native), SP_OK);
  EXPECT_EQ(static_cast<const void*>(native.pointer), &bad);
  EXPECT_EQ(native.length, -1);
  sp_address other{};
  other.family = SP_CONNDATA;
  EXPECT_EQ(Encode({SP_POINTER_VALID, SP_NATURAL_LENGTH, other}, &bad, &native), SP_NOT_SUPPORTED);
}

TEST(Addresses, WhatIsCutOffIsNoAddress) {
  std::uint8_t raw[64] = {};
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(80);
  std::memcpy(raw, &there, sizeof there);
  sp_address_out out{};
  out.length = SP_NATURAL_LENGTH;
  out.raw = raw;
  out.raw_size = sizeof raw;
  NativeAddressOut whole(&out, nullptr);
  *whole.length() = sizeof there;
  whole.Finish(false);
  EXPECT_EQ(out.decoded, 1);
  EXPECT_EQ(out.address.port, 80);
  out.length = 8;
  NativeAddressOut cut(&out, nullptr);
  *cut.length() = sizeof there;
  cut.Finish(false);
  EXPECT_EQ(out.decoded, 0);
  EXPECT_EQ(out.reported, static_cast<std::int32_t>(sizeof there));
}

TEST(Options, DurationsAreMilliseconds) {
  sp_option_args args{};
  args.option = SP_SO_SNDTIMEO;
  args.value_type = SP_VALUE_DURATION;
  OptionValue value;
  args.duration_ns = 1;
  EXPECT_TRUE(EncodeOption(args, &value));
  EXPECT_EQ(value.Take<DWORD>(), 1u) << "0 would mean no limit";
  EXPECT_EQ(value.length, static_cast<int>(sizeof(DWORD)));
  args.duration_ns = 0;
  EXPECT_TRUE(EncodeOption(args, &value));
  EXPECT_EQ(value.Take<DWORD>(), 0u);
}

TEST(Options, PendingErrorsAndTimesAreTranslated) {
  sp_option_args args{};
  args.option = SP_SO_ERROR;
  OptionValue value;
  value.Put(static_cast<int>(WSAECONNREFUSED));
  std::int64_t native = 0;
  DecodeOption(value, 4, args, &native);
  EXPECT_EQ(args.integer, SP_ECONNREFUSED);
  EXPECT_EQ(native, WSAECONNREFUSED);
  args.option = SP_SO_CONNECT_TIME;
  value.Put(static_cast<DWORD>(0xffffffff));
  DecodeOption(value, 4, args, &native);
  EXPECT_EQ(args.integer, 0xffffffffLL);
}

TEST(Waits, GoUpToTheNextMillisecond) {
  EXPECT_EQ(WaitMilliseconds(-1), INFINITE);
  EXPECT_EQ(WaitMilliseconds(0), 0u);
  EXPECT_EQ(WaitMilliseconds(1), 1u);
  EXPECT_EQ(WaitMilliseconds(1'000'000), 1u);
  EXPECT_EQ(WaitMilliseconds(1'000'001), 2u);
}

}  // namespace
}  // namespace sockproof::winsock::test
