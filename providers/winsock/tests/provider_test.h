// What the tests of the winsock adapter share: an open adapter, and calls written short.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sockproof/winsock.h"
#include "system.h"

namespace sockproof::winsock::test {

struct Outcome : sp_result {
  bool ok() const { return error == SP_OK; }
};

class ProviderTest : public ::testing::Test {
 protected:
  explicit ProviderTest(const char* argument = "");
  ~ProviderTest() override;

  Outcome Do(sp_call& call) const;
  // A call on a handle whose arguments are filled in by `fill`.
  template <class F>
  Outcome Do(std::uint32_t op, const sp_handle& handle, F fill) const {
    sp_call call{};
    call.op = op;
    call.handle = handle;
    fill(call.u);
    return Do(call);
  }

  sp_handle Make(std::int32_t family = SP_INET, std::int32_t type = SP_STREAM, std::uint32_t modes = 0) const;
  Outcome Bind(const sp_handle& handle, const sp_address& address) const;
  Outcome Listen(const sp_handle& handle, std::int32_t backlog = 8) const;
  Outcome Connect(const sp_handle& handle, const sp_address& address) const;
  Outcome Accept(const sp_handle& handle) const;
  Outcome Close(const sp_handle& handle) const;
  Outcome Send(const sp_handle& handle, const std::string& text, std::int32_t form = SP_FORM_DEFAULT) const;
  std::pair<Outcome, std::string> Recv(const sp_handle& handle, std::int32_t form = SP_FORM_DEFAULT) const;
  sp_address LocalName(const sp_handle& handle) const;
  std::uint64_t OpenHandles() const;

  // A listener on loopback, and a connection to it: the client's end and the accepted one.
  sp_handle Listener(sp_address* address, std::int32_t family = SP_INET) const;
  std::pair<sp_handle, sp_handle> Pair() const;

  sp_handle Watcher(std::int32_t mechanism) const;
  Outcome Watch(const sp_handle& watcher, const sp_handle& socket, std::uint32_t events, std::uint64_t cookie = 0) const;
  std::vector<sp_event> Wait(const sp_handle& watcher, std::int64_t timeout_ns, Outcome* outcome = nullptr) const;
  std::vector<sp_event> Report(const sp_handle& watcher, const sp_handle& socket, std::uint32_t* strays = nullptr) const;

  const sp_provider& provider_;
  void* self_ = nullptr;
};

inline constexpr std::int64_t kPatience = 10'000'000'000;
inline const sp_handle kInvalid = {SP_HANDLE_INVALID, 0, 0};
inline const sp_handle kNotSocket = {SP_HANDLE_NOT_SOCKET, 0, 0};

// The loopback address of a family.
sp_address Loopback(std::int32_t family, std::uint16_t port = 0);

}  // namespace sockproof::winsock::test
