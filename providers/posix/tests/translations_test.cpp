#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <set>

#include "addresses.h"
#include "errors.h"
#include "options.h"
#include "provider_test.h"
#include "readiness.h"

namespace sockproof::posix::test {
namespace {

TEST(Errors, GoBothWays) {
  EXPECT_EQ(ErrorFromErrno(0), SP_OK);
  EXPECT_EQ(ErrorFromErrno(ECONNREFUSED), SP_ECONNREFUSED);
  EXPECT_EQ(ErrorFromErrno(EWOULDBLOCK), SP_EAGAIN);
  EXPECT_EQ(ErrorFromErrno(ENOTSUP), SP_EOPNOTSUPP);
  std::set<int> seen;
  for (std::int32_t error = 1; error < SP_ERROR_COUNT; ++error) {
    const int code = ErrnoFromError(error);
    if (error >= SP_NOTINITIALISED) {
      EXPECT_EQ(code, -1) << error;
      continue;
    }
    ASSERT_GT(code, 0) << error;
    EXPECT_EQ(ErrorFromErrno(code), error);
    EXPECT_TRUE(seen.insert(code).second) << "two names for " << code;
  }
}

TEST(Errors, OneWithoutANameIsUnknown) {
  EXPECT_EQ(ErrorFromErrno(ECHILD), SP_UNKNOWN_ERROR);
  EXPECT_EQ(ErrorFromErrno(4711), SP_UNKNOWN_ERROR);
  EXPECT_EQ(ErrnoFromError(SP_UNKNOWN_ERROR), -1);
  EXPECT_EQ(ErrnoFromError(SP_NOT_SUPPORTED), -1);
}

void RoundTrip(const sp_address& in, socklen_t length) {
  NativeAddress native;
  ASSERT_EQ(EncodeAddress(in, &native), SP_OK);
  EXPECT_EQ(native.length, length);
  sp_address out{};
  ASSERT_TRUE(Decode(native.bytes, native.length, &out));
  EXPECT_EQ(std::memcmp(&in, &out, sizeof in), 0);
  // One byte less is no whole address (a pathname, which ends itself, apart).
  if (in.family != SP_UNIX) {
    EXPECT_FALSE(Decode(native.bytes, native.length - 1, &out));
  }
}

TEST(Addresses, GoBothWays) {
  sp_address inet = Loopback(SP_INET);
  inet.port = 0x1234;
  RoundTrip(inet, sizeof(sockaddr_in));
  sp_address inet6 = Loopback(SP_INET6);
  inet6.port = 0x1234;
  inet6.scope = 7;
  inet6.flow = 0xabcde;
  RoundTrip(inet6, sizeof(sockaddr_in6));
  constexpr std::size_t kPath = offsetof(sockaddr_un, sun_path);
  RoundTrip(UnixName(""), kPath);
  RoundTrip(UnixName("/tmp/x"), kPath + 7);
  RoundTrip(UnixName(std::string("\0ab\0c", 5)), kPath + 5);
  RoundTrip(UnixName(std::string(107, 'p')), kPath + 108);
  RoundTrip(UnixName(std::string(108, 'p')), kPath + 108);
}

TEST(Addresses, PortsAndBytesAreInNetworkOrder) {
  sp_address in = Loopback(SP_INET);
  in.port = 0x1234;
  NativeAddress native;
  ASSERT_EQ(EncodeAddress(in, &native), SP_OK);
  const unsigned char expected[] = {0x12, 0x34, 127, 0, 0, 1};
  EXPECT_EQ(std::memcmp(native.bytes + 2, expected, sizeof expected), 0);
}

TEST(Addresses, WrongOnesArePassedOn) {
  int bad = 0;
  NativeAddress native;
  EXPECT_EQ(Encode({SP_POINTER_NULL, 3, Loopback(SP_INET)}, &bad, &native), SP_OK);
  EXPECT_EQ(native.pointer, nullptr);
  EXPECT_EQ(native.length, 3u);
  EXPECT_EQ(Encode({SP_POINTER_INVALID, -1, Loopback(SP_INET)}, &bad, &native), SP_OK);
  EXPECT_EQ(static_cast<const void*>(native.pointer), &bad);
  EXPECT_EQ(static_cast<int>(native.length), -1);
  sp_address other{};
  other.family = SP_CONNDATA;
  EXPECT_EQ(EncodeAddress(other, &native), SP_NOT_SUPPORTED);
}

TEST(Options, NamesAreTheSystems) {
  OptionName name{};
  ASSERT_TRUE(FindOption(SP_TCP_DEFER_ACCEPT, &name));
  EXPECT_EQ(name.level, IPPROTO_TCP);
  EXPECT_EQ(name.name, TCP_DEFER_ACCEPT);
  ASSERT_TRUE(FindOption(SP_SO_LINGER, &name));
  EXPECT_EQ(name.level, SOL_SOCKET);
  EXPECT_EQ(name.name, SO_LINGER);
  EXPECT_FALSE(FindOption(SP_SO_EXCLUSIVEADDRUSE, &name));
  EXPECT_FALSE(FindOption(SP_SO_CONNDATA, &name));
}

TEST(Events, GoBothWays) {
  for (std::uint32_t bit = SP_IN; bit <= SP_WRBAND; bit <<= 1) EXPECT_EQ(NeutralEvents(NativeEvents(bit)), bit);
}

}  // namespace
}  // namespace sockproof::posix::test
