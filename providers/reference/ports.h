// Which addresses and ports are taken, by whom, and who else may have them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "reference/packet.h"
#include "reference/scheduler.h"

namespace sockproof::reference {

class Ports;

// One socket's (or lingering connection's) claim on a local address and port. Given up when it is destroyed.
struct Binding {
  Protocol protocol = Protocol::kTcp;
  Endpoint local;
  std::optional<Endpoint> remote;  // of a connection
  bool own_family_only = true;     // false: an IPv6 wildcard that takes IPv4 too
  bool reuse_address = false, reuse_port = false, exclusive = false;
  bool listening = false;
  bool time_wait = false;   // nothing is left of it but the memory of its sequence numbers
  bool by_connect = false;  // the port was chosen by connect: others may have it towards another end

  Binding() = default;
  ~Binding();
  Binding(const Binding&) = delete;
  Binding& operator=(const Binding&) = delete;

 private:
  friend class Ports;
  Ports* ports_ = nullptr;
};

// Why `now` may not be made because of `there`, whose addresses overlap and whose port is the same: SP_OK if it may,
// SP_EADDRINUSE or SP_EACCES. `chosen`: the port is one of many to choose from, so nobody insists on it.
using ConflictRule = int32_t (*)(const Binding& now, const Binding& there, bool chosen);

class Ports {
 public:
  Ports(Scheduler* scheduler, ConflictRule rule) : scheduler_(scheduler), rule_(rule) {}
  ~Ports();

  void SetRange(int64_t low, int64_t high);

  // Takes what `wanted` says; port 0: one of the range that nobody else has. What the rule says against it.
  int32_t Bind(const std::shared_ptr<Binding>& wanted);
  // Gives a connection that is about to be made a port, unless it has one. `free` says whether this local end may talk to its
  // remote one. SP_EADDRNOTAVAIL.
  int32_t Connect(const std::shared_ptr<Binding>& wanted, const std::function<bool(const Endpoint&)>& free);
  // Of one that is bound and now to be `listening`: somebody else may have become one meanwhile.
  int32_t Conflict(const Binding& binding) const;
  // An accepted connection: beside its listener, whatever the rule.
  void Join(const std::shared_ptr<Binding>& binding);

 private:
  friend struct Binding;
  void Insert(Binding* binding);
  int32_t Taken(const Binding& wanted, bool chosen) const;

  Scheduler* scheduler_;
  ConflictRule rule_;
  int64_t low_ = 32768, high_ = 60999;
  using Key = std::pair<Protocol, uint16_t>;
  std::map<Key, std::set<Binding*>> taken_;  // looked at as a whole: the order of pointers does not matter
};

// POSIX and Linux: SO_REUSEADDR on both sides unless one listens, SO_REUSEPORT on both (socket(7), ip(7)).
int32_t SharingConflict(const Binding& now, const Binding& there, bool chosen);
// Windows Sockets: SO_EXCLUSIVEADDRUSE against SO_REUSEADDR, and specific addresses beside the wildcard.
int32_t ExclusiveConflict(const Binding& now, const Binding& there, bool chosen);

}  // namespace sockproof::reference
