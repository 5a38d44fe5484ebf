#include "provider_test.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace sockproof::posix::test {

ProviderTest::ProviderTest() : provider_(*sockproof_posix_provider()) {
  const char* why = "";
  EXPECT_EQ(provider_.open("", &self_, &why), SP_OK) << why;
}

ProviderTest::~ProviderTest() { provider_.close(self_); }

Outcome ProviderTest::Do(sp_call& call) const {
  Outcome outcome{};
  outcome.size = sizeof(sp_result);
  call.size = sizeof call;
  provider_.call(self_, &call, &outcome);
  return outcome;
}

sp_handle ProviderTest::Make(std::int32_t family, std::int32_t type, std::uint32_t modes) const {
  const Outcome made = Do(SP_OP_SOCKET, {}, [&](auto& u) { u.socket = {family, type, 0, modes}; });
  EXPECT_TRUE(made.ok()) << made.native;
  return made.handle;
}

Outcome ProviderTest::Bind(const sp_handle& handle, const sp_address& address, std::int32_t length, std::int32_t kind) const {
  return Do(SP_OP_BIND, handle, [&](auto& u) { u.bind.address = {kind, length, address}; });
}

Outcome ProviderTest::Listen(const sp_handle& handle, std::int32_t backlog) const {
  return Do(SP_OP_LISTEN, handle, [&](auto& u) { u.listen.backlog = backlog; });
}

Outcome ProviderTest::Connect(const sp_handle& handle, const sp_address& address) const {
  return Do(SP_OP_CONNECT, handle, [&](auto& u) { u.connect.address = {SP_POINTER_VALID, SP_NATURAL_LENGTH, address}; });
}

Outcome ProviderTest::Accept(const sp_handle& handle, std::int32_t form, std::uint32_t modes) const {
  return Do(SP_OP_ACCEPT, handle, [&](auto& u) {
    u.accept.form = form;
    u.accept.modes = modes;
    u.accept.peer.kind = SP_POINTER_NULL;
    u.accept.peer.length_kind = SP_POINTER_NULL;
  });
}

Outcome ProviderTest::Close(const sp_handle& handle) const {
  return Do(SP_OP_CLOSE, handle, [](auto&) {});
}

sp_address ProviderTest::LocalName(const sp_handle& handle) const {
  std::uint8_t raw[128];
  sp_call call{};
  call.op = SP_OP_LOCAL_NAME;
  call.handle = handle;
  call.u.local_name.name.length = SP_NATURAL_LENGTH;
  call.u.local_name.name.raw = raw;
  call.u.local_name.name.raw_size = sizeof raw;
  EXPECT_TRUE(Do(call).ok());
  EXPECT_EQ(call.u.local_name.name.decoded, 1);
  return call.u.local_name.name.address;
}

std::uint64_t ProviderTest::OpenHandles() const {
  std::uint64_t count = 0;
  EXPECT_EQ(provider_.counters->open_handles(self_, &count), SP_OK);
  return count;
}

sp_address Loopback(std::int32_t family) {
  sp_address address{};
  address.family = family;
  if (family == SP_INET) {
    address.bytes[0] = 127;
    address.bytes[3] = 1;
  } else {
    address.bytes[15] = 1;
  }
  return address;
}

sp_address UnixName(const std::string& path) {
  sp_address address{};
  address.family = SP_UNIX;
  address.path_length = static_cast<std::uint16_t>(path.size());
  std::memcpy(address.path, path.data(), path.size());
  return address;
}

}  // namespace sockproof::posix::test

// In the role of a child (see ProcessesTest.Exec): says by its exit code which of two descriptors it has got.
int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--child") == 0) {
    int code = 0;
    for (int i = 0; i < 2; ++i) {
      if (::write(std::atoi(argv[2 + i]), "x", 1) == 1) code |= 1 << i;
    }
    return 64 + code;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
