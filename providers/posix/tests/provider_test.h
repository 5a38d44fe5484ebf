// What the tests of the posix adapter share: an open adapter, and calls written short.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "sockproof/posix.h"

namespace sockproof::posix::test {

struct Outcome : sp_result {
  bool ok() const { return error == SP_OK; }
};

class ProviderTest : public ::testing::Test {
 protected:
  ProviderTest();
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

  sp_handle Make(std::int32_t family, std::int32_t type = SP_STREAM, std::uint32_t modes = 0) const;
  Outcome Bind(const sp_handle& handle, const sp_address& address, std::int32_t length = SP_NATURAL_LENGTH,
               std::int32_t kind = SP_POINTER_VALID) const;
  Outcome Listen(const sp_handle& handle, std::int32_t backlog = 8) const;
  Outcome Connect(const sp_handle& handle, const sp_address& address) const;
  Outcome Accept(const sp_handle& handle, std::int32_t form = 0, std::uint32_t modes = 0) const;
  Outcome Close(const sp_handle& handle) const;
  sp_address LocalName(const sp_handle& handle) const;
  std::uint64_t OpenHandles() const;

  const sp_provider& provider_;
  void* self_ = nullptr;
};

inline const sp_handle kInvalid = {SP_HANDLE_INVALID, 0, 0};
inline const sp_handle kNotSocket = {SP_HANDLE_NOT_SOCKET, 0, 0};
inline const sp_handle kPathOnly = {SP_HANDLE_PATH_ONLY, 0, 0};

// The loopback address of a family, port 0.
sp_address Loopback(std::int32_t family);
sp_address UnixName(const std::string& path);

}  // namespace sockproof::posix::test
