#include "reference/ports.h"

#include <algorithm>
#include <utility>

#include "reference/address.h"

namespace sockproof::reference {
namespace {

// Whether a packet to some address could be meant for both.
bool Overlap(const Binding& one, const Binding& two) {
  const bool any_one = IsAny(one.local.ip), any_two = IsAny(two.local.ip);
  if (one.local.ip.family == two.local.ip.family) return any_one || any_two || one.local.ip == two.local.ip;
  const Binding& six = one.local.ip.family == SP_INET6 ? one : two;
  return IsAny(six.local.ip) && !six.own_family_only;
}

}  // namespace

Binding::~Binding() {
  if (ports_ != nullptr) ports_->taken_[{protocol, local.port}].erase(this);
}

Ports::~Ports() {
  for (const auto& [key, bindings] : taken_) {
    for (Binding* binding : bindings) binding->ports_ = nullptr;
  }
}

void Ports::SetRange(int64_t low, int64_t high) {
  low_ = std::clamp<int64_t>(low, 1, 65535);
  high_ = std::clamp<int64_t>(high, low_, 65535);
}

void Ports::Insert(Binding* binding) {
  binding->ports_ = this;
  taken_[{binding->protocol, binding->local.port}].insert(binding);
}

int32_t Ports::Taken(const Binding& wanted, bool chosen) const {
  const auto found = taken_.find({wanted.protocol, wanted.local.port});
  if (found == taken_.end()) return SP_OK;
  int32_t worst = SP_OK;
  for (const Binding* there : found->second) {
    if (there == &wanted || !Overlap(wanted, *there)) continue;
    // Of several reasons the one that no option of this socket would change.
    if (const int32_t error = rule_(wanted, *there, chosen); error != SP_OK && worst != SP_EACCES) worst = error;
  }
  return worst;
}

int32_t Ports::Bind(const std::shared_ptr<Binding>& wanted) {
  if (wanted->local.port != 0) {
    if (const int32_t error = Taken(*wanted, false); error != SP_OK) return error;
    Insert(wanted.get());
    return SP_OK;
  }
  const int64_t count = high_ - low_ + 1;
  const int64_t start = static_cast<int64_t>(scheduler_->Below(static_cast<uint64_t>(count)));
  for (int64_t i = 0; i < count; ++i) {
    wanted->local.port = static_cast<uint16_t>(low_ + (start + i) % count);
    if (Taken(*wanted, true) != SP_OK) continue;
    Insert(wanted.get());
    return SP_OK;
  }
  wanted->local.port = 0;
  return SP_EADDRINUSE;
}

int32_t Ports::Connect(const std::shared_ptr<Binding>& wanted, const std::function<bool(const Endpoint&)>& free) {
  if (wanted->local.port != 0) return free(wanted->local) ? SP_OK : SP_EADDRNOTAVAIL;
  const int64_t count = high_ - low_ + 1;
  const int64_t start = static_cast<int64_t>(scheduler_->Below(static_cast<uint64_t>(count)));
  // First a port that nobody has at all, then one that only connections to other ends have.
  for (const bool shared : {false, true}) {
    for (int64_t i = 0; i < count; ++i) {
      wanted->local.port = static_cast<uint16_t>(low_ + (start + i) % count);
      const auto found = taken_.find({wanted->protocol, wanted->local.port});
      const bool unused = found == taken_.end() || found->second.empty();
      if (!unused && !shared) continue;
      const bool fits = unused || std::all_of(found->second.begin(), found->second.end(),
                                              [](const Binding* there) { return there->by_connect; });
      if (!fits || !free(wanted->local)) continue;
      wanted->by_connect = true;
      Insert(wanted.get());
      return SP_OK;
    }
  }
  wanted->local.port = 0;
  return SP_EADDRNOTAVAIL;
}

int32_t Ports::Conflict(const Binding& binding) const { return Taken(binding, false); }

void Ports::Join(const std::shared_ptr<Binding>& binding) { Insert(binding.get()); }

int32_t SharingConflict(const Binding& now, const Binding& there, bool chosen) {
  const bool ports = now.reuse_port && there.reuse_port;
  const bool addresses =
      !chosen && now.reuse_address && there.reuse_address && (now.protocol == Protocol::kUdp || !there.listening);
  return ports || addresses ? SP_OK : SP_EADDRINUSE;
}

int32_t ExclusiveConflict(const Binding& now, const Binding& there, bool chosen) {
  if (chosen) return SP_EADDRINUSE;
  // What a listener accepted is bound with it: once that is closed they bar nobody but who wants the address for itself alone.
  if (there.remote.has_value() && !there.by_connect) return there.exclusive || now.exclusive ? SP_EADDRINUSE : SP_OK;
  // "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE", the table for Windows Server 2003 and later, of one user's sockets.
  const bool any = IsAny(now.local.ip), there_any = IsAny(there.local.ip);
  if (any == there_any) {
    if (!now.reuse_address) return SP_EADDRINUSE;
    return there.reuse_address && !there.exclusive ? SP_OK : SP_EACCES;
  }
  if (any) return now.exclusive ? SP_EADDRINUSE : SP_OK;
  return there.exclusive ? SP_EACCES : SP_OK;
}

}  // namespace sockproof::reference
