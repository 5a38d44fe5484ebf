#include "provider_test.h"

#include <cstdlib>
#include <cstring>

namespace sockproof::winsock::test {

ProviderTest::ProviderTest(const char* argument) : provider_(*sockproof_winsock_provider()) {
  const char* why = "";
  EXPECT_EQ(provider_.open(argument, &self_, &why), SP_OK) << why;
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

Outcome ProviderTest::Bind(const sp_handle& handle, const sp_address& address) const {
  return Do(SP_OP_BIND, handle, [&](auto& u) { u.bind.address = {SP_POINTER_VALID, SP_NATURAL_LENGTH, address}; });
}

Outcome ProviderTest::Listen(const sp_handle& handle, std::int32_t backlog) const {
  return Do(SP_OP_LISTEN, handle, [&](auto& u) { u.listen.backlog = backlog; });
}

Outcome ProviderTest::Connect(const sp_handle& handle, const sp_address& address) const {
  return Do(SP_OP_CONNECT, handle, [&](auto& u) { u.connect.address = {SP_POINTER_VALID, SP_NATURAL_LENGTH, address}; });
}

Outcome ProviderTest::Accept(const sp_handle& handle) const {
  return Do(SP_OP_ACCEPT, handle, [&](auto& u) {
    u.accept.peer.kind = SP_POINTER_NULL;
    u.accept.peer.length_kind = SP_POINTER_NULL;
  });
}

Outcome ProviderTest::Close(const sp_handle& handle) const {
  return Do(SP_OP_CLOSE, handle, [](auto&) {});
}

Outcome ProviderTest::Send(const sp_handle& handle, const std::string& text, std::int32_t form) const {
  std::string bytes = text;
  const sp_buffer buffer{bytes.data(), bytes.size(), SP_POINTER_VALID, 0};
  return Do(SP_OP_SEND, handle, [&](auto& u) {
    u.send.form = form;
    u.send.buffers = &buffer;
    u.send.buffer_count = 1;
    u.send.to.kind = SP_POINTER_NULL;
  });
}

std::pair<Outcome, std::string> ProviderTest::Recv(const sp_handle& handle, std::int32_t form) const {
  char room[64];
  const sp_buffer buffer{room, sizeof room, SP_POINTER_VALID, 0};
  const Outcome got = Do(SP_OP_RECV, handle, [&](auto& u) {
    u.recv.form = form;
    u.recv.buffers = &buffer;
    u.recv.buffer_count = 1;
    u.recv.from.kind = SP_POINTER_NULL;
    u.recv.from.length_kind = SP_POINTER_NULL;
  });
  return {got, got.ok() ? std::string(room, static_cast<std::size_t>(got.value)) : std::string()};
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

sp_handle ProviderTest::Listener(sp_address* address, std::int32_t family) const {
  const sp_handle listener = Make(family);
  EXPECT_TRUE(Bind(listener, Loopback(family)).ok());
  EXPECT_TRUE(Listen(listener).ok());
  *address = LocalName(listener);
  return listener;
}

std::pair<sp_handle, sp_handle> ProviderTest::Pair() const {
  sp_address address{};
  const sp_handle listener = Listener(&address);
  const sp_handle client = Make();
  EXPECT_TRUE(Connect(client, address).ok());
  const Outcome accepted = Accept(listener);
  EXPECT_TRUE(accepted.ok());
  EXPECT_TRUE(Close(listener).ok());
  return {client, accepted.handle};
}

sp_handle ProviderTest::Watcher(std::int32_t mechanism) const {
  const Outcome made = Do(SP_OP_WATCH_CREATE, {}, [&](auto& u) { u.watch_create = {mechanism, 0}; });
  EXPECT_TRUE(made.ok()) << made.native;
  return made.handle;
}

Outcome ProviderTest::Watch(const sp_handle& watcher, const sp_handle& socket, std::uint32_t events, std::uint64_t cookie) const {
  return Do(SP_OP_WATCH_ADD, socket, [&](auto& u) { u.watch_set = {watcher, events, 0, cookie}; });
}

std::vector<sp_event> ProviderTest::Wait(const sp_handle& watcher, std::int64_t timeout_ns, Outcome* outcome) const {
  std::vector<sp_event> events(16);
  sp_call call{};
  call.op = SP_OP_WATCH_WAIT;
  call.handle = watcher;
  call.u.watch_wait.timeout_ns = timeout_ns;
  call.u.watch_wait.events = events.data();
  call.u.watch_wait.capacity = 16;
  const Outcome waited = Do(call);
  if (outcome != nullptr) {
    *outcome = waited;
  } else {
    EXPECT_TRUE(waited.ok()) << waited.native;
  }
  events.resize(static_cast<std::size_t>(call.u.watch_wait.count));
  return events;
}

std::vector<sp_event> ProviderTest::Report(const sp_handle& watcher, const sp_handle& socket, std::uint32_t* strays) const {
  std::vector<sp_event> events(16);
  sp_call call{};
  call.op = SP_OP_WATCH_WAIT;
  call.handle = watcher;
  call.u.watch_wait.step = SP_REPORT_ONLY;
  call.u.watch_wait.socket = socket;
  call.u.watch_wait.events = events.data();
  call.u.watch_wait.capacity = 16;
  EXPECT_TRUE(Do(call).ok());
  if (strays != nullptr) *strays = call.u.watch_wait.strays;
  events.resize(static_cast<std::size_t>(call.u.watch_wait.count));
  return events;
}

sp_address Loopback(std::int32_t family, std::uint16_t port) {
  sp_address address{};
  address.family = family;
  address.port = port;
  if (family == SP_INET) address.bytes[0] = 127;
  address.bytes[family == SP_INET ? 3 : 15] = 1;
  return address;
}

}  // namespace sockproof::winsock::test

// In the role of a child (see ProcessesTest): takes over the socket whose protocol information comes over its standard input, and
// sends a word through it.
int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--child") == 0) {
    WSADATA data{};
    if (::WSAStartup(MAKEWORD(2, 2), &data) != 0) return 2;
    const auto pipe = reinterpret_cast<HANDLE>(static_cast<LONG_PTR>(std::atoi(argv[2])));
    std::uint8_t blob[1024];
    DWORD got = 0;
    if (::ReadFile(pipe, blob, sizeof blob, &got, nullptr) == FALSE) return 3;
    sp_handle handle{};
    if (sockproof_winsock_provider()->processes->import_handle(nullptr, blob, got, &handle) != SP_OK) return 4;
    return ::send(static_cast<SOCKET>(handle.value), "child", 5, 0) == 5 ? 7 : 5;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
