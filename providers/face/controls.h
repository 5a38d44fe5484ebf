// The optional groups of a provider as scenarios use them. Each ends the scenario as 'not supported' where the provider does
// not have it, and undoes what it did when it goes out of scope.
#pragma once

#include <cstdint>

#include "face/address.h"
#include "face/socket.h"

namespace sockproof {

// Everything that arrives for this socket is lost, silently, until Lift() or the end of the scope. On a listener: no request
// reaches it, so clients stay connecting.
class Silence {
 public:
  explicit Silence(const Socket& socket, Where where = SOCKPROOF_HERE);
  ~Silence();
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  void Lift(Where where = SOCKPROOF_HERE);

 private:
  sp_handle handle_;
  bool on_ = true;
};

// An address that swallows everything (in the scenario's private network).
Address BlackHole(int32_t family, Where where = SOCKPROOF_HERE);

// This process may open just so many more handles (or system handles, or buffers: see enum sp_limit).
class Limited {
 public:
  explicit Limited(int64_t headroom, int32_t limit = SP_LIMIT_HANDLES, Where where = SOCKPROOF_HERE);
  ~Limited();
  Limited(const Limited&) = delete;
  Limited& operator=(const Limited&) = delete;
  void Change(int64_t headroom, Where where = SOCKPROOF_HERE);
  void Lift();

 private:
  int32_t limit_;
  bool on_ = true;
};

// A knob of the private network, set for the scope (enum sp_knob).
class Knob {
 public:
  Knob(int32_t knob, int64_t value, Where where = SOCKPROOF_HERE);
  ~Knob();
  Knob(const Knob&) = delete;
  Knob& operator=(const Knob&) = delete;
  static int64_t Value(int32_t knob, Where where = SOCKPROOF_HERE);

 private:
  int32_t knob_;
  int64_t before_ = 0;
};

// The session: WSAStartup and WSACleanup, or their SPI twins. The provider has been started once when a scenario begins.
struct SessionStart {
  Outcome outcome;
  uint32_t given;    // the version to use, major << 8 | minor
  uint32_t highest;  // the highest that the implementation has
};
SessionStart StartSession(uint32_t version);
Outcome CleanUpSession();

uint64_t OpenHandles(Where where = SOCKPROOF_HERE);
// Signals that this process was sent since the last look.
uint64_t TakePipeSignals(Where where = SOCKPROOF_HERE);
uint64_t TakeIoSignals(Where where = SOCKPROOF_HERE);

}  // namespace sockproof
