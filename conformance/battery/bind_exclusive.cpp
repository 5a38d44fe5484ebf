// Who may share an address with whom where there is SO_EXCLUSIVEADDRUSE.
#include "battery/scenario.h"
#include "battery/serving.h"
#include "catalogue/bind.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

constexpr int32_t kNone = 0, kReuse = SP_SO_REUSEADDR, kExclusive = SP_SO_EXCLUSIVEADDRUSE;

// A fresh socket with at most one of the options.
Socket NewAs(const Flavor& net, int32_t option, Where where = SOCKPROOF_HERE) {
  return option == kNone ? NewWith(net, {}, where) : NewWith(net, {option}, where);
}

Socket FirstAs(const Flavor& net, int32_t option, const Address& address, Where where = SOCKPROOF_HERE) {
  Socket first = NewAs(net, option, where);
  static_cast<void>(Must(first.Bind(address), where));
  return first;
}

// What the second bind to the address of the first comes to.
Outcome SecondAs(const Flavor& net, int32_t option, const Address& address) { return NewAs(net, option).Bind(address); }

Outcome Pairing(const Flavor& net, int32_t first, int32_t second) {
  Socket holder = FirstAs(net, first, net.ToBind());
  return SecondAs(net, second, holder.LocalAddress());
}

}  // namespace

SCENARIO(Bind, ReuseAndDefault, kTcp46, bind::in_use, bind::default_after_reuse, bind::reuse_after_default, bind::reuse_both) {
  CHECK_REQUIREMENT(bind::in_use, Pairing(net, kNone, kNone));
  CHECK_REQUIREMENT(bind::default_after_reuse, Pairing(net, kReuse, kNone));
  CHECK_REQUIREMENT(bind::reuse_after_default, Pairing(net, kNone, kReuse));
  CHECK_REQUIREMENT(bind::reuse_both, Pairing(net, kReuse, kReuse));
}

SCENARIO(Bind, Exclusive, kTcp46, bind::reuse_after_exclusive, bind::default_after_exclusive, bind::exclusive_after_exclusive,
         bind::exclusive_after_other) {
  CHECK_REQUIREMENT(bind::reuse_after_exclusive, Pairing(net, kExclusive, kReuse));
  CHECK_REQUIREMENT(bind::default_after_exclusive, Pairing(net, kExclusive, kNone));
  CHECK_REQUIREMENT(bind::exclusive_after_exclusive, Pairing(net, kExclusive, kExclusive));
  CHECK_REQUIREMENT(bind::exclusive_after_other, Pairing(net, kNone, kExclusive));
  CHECK_REQUIREMENT(bind::exclusive_after_other, Pairing(net, kReuse, kExclusive));
}

SCENARIO(Bind, ExclusiveWildcard, kTcp46, bind::exclusive_wildcard) {
  for (const int32_t second : {kNone, kReuse, kExclusive}) {
    Socket holder = FirstAs(net, kExclusive, Address::Any(net.listen_family));
    const Address single = Address::Loopback(net.listen_family, holder.LocalAddress().port());
    CHECK_REQUIREMENT(bind::exclusive_wildcard, SecondAs(net, second, single));
  }
}

SCENARIO(Bind, ExclusiveOtherAddress, kTcp4, bind::exclusive_other_address) {
  for (const int32_t second : {kNone, kReuse, kExclusive}) {
    Socket holder = FirstAs(net, kExclusive, Address::Inet({127, 0, 0, 1}, 0));
    CHECK_REQUIREMENT(bind::exclusive_other_address,
                      SecondAs(net, second, Address::Inet({127, 0, 0, 2}, holder.LocalAddress().port())));
  }
}

SCENARIO(Bind, ExclusiveWithLiveChild, kTcp46, bind::exclusive_child) {
  Listener listener = BoundWith(net, {kExclusive});
  const Address name = listener.socket.LocalAddress();
  static_cast<void>(Must(listener.socket.Listen(4)));
  Pair pair = ConnectedPair(std::move(listener), net);
  static_cast<void>(Must(pair.listener.socket.Close()));
  CHECK_REQUIREMENT(bind::exclusive_child, SecondAs(net, kExclusive, name));
}

// ---- IPv6 alone ----

SCENARIO(Bind, Ipv6AloneByDefault, kInet6Only, bind::v6only_default_on) {
  Socket socket = Socket::New(SP_INET6);
  const OptionResult fresh = Must(socket.Get(SP_IPV6_V6ONLY));
  CHECK_REQUIREMENT(bind::v6only_default_on, Holds(fresh.integer != 0, fresh.text()));
}

}  // namespace sockproof
