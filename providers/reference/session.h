// The session with an implementation: WSAStartup and WSACleanup, or WSPStartup and WSPCleanup.
#pragma once

#include <cstdint>

namespace sockproof::reference {

class Stack;

// Versions are major << 8 | minor.
class Session {
 public:
  // `needed`: without one nothing works. It has been started once then.
  explicit Session(bool needed) : needed_(needed), count_(needed ? 1 : 0) {}

  bool started() const { return !needed_ || count_ > 0; }
  // SP_VERNOTSUPPORTED for a version below `lowest`; what is given is the lower one of `version` and the highest there is.
  int32_t Startup(uint32_t version, uint32_t lowest, uint32_t* given, uint32_t* highest);
  // One for each startup; the last one ends everything that uses sockets. SP_NOTINITIALISED without a startup.
  int32_t Cleanup(Stack* stack);

 private:
  bool needed_;
  int count_;
};

}  // namespace sockproof::reference
