// One host: its profile, its time and threads, its network, its handles. Everything else is reached from here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "reference/handle_table.h"
#include "reference/network.h"
#include "reference/ports.h"
#include "reference/profile.h"
#include "reference/scheduler.h"
#include "reference/tcp/tcp.h"

namespace sockproof::reference {

class Stack {
 public:
  Stack(const Profile& profile, uint64_t seed);

  const Profile& profile() const { return profile_; }
  Scheduler& scheduler() { return scheduler_; }
  Network& network() { return network_; }
  Tcp& tcp() { return tcp_; }
  HandleTable& handles() { return handles_; }
  Ports& ports() { return ports_; }

  // Blocks the calling thread: SP_OK when `ready`, `late` (the error of this time-out) when `limit` is over first (nanoseconds
  // from now, negative for none), SP_EDEADLK when nothing can ever wake it.
  int32_t Block(const std::function<bool()>& ready, int64_t limit, int32_t late, const std::string& what);

 private:
  Profile profile_;
  Scheduler scheduler_;
  Network network_;
  Tcp tcp_;
  HandleTable handles_;
  Ports ports_;
};

}  // namespace sockproof::reference
