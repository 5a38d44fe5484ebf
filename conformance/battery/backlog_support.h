// What the scenarios of the area backlog share beyond queue_support.h: their outcomes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "battery/queue_support.h"
#include "catalogue/backlog.h"

namespace sockproof {

// Counts by what was handed out, not by what clients believe: a client can hold its connection for established that the
// listener has not taken in.
inline Outcome DepthOf(const Depth& depth, std::size_t backlog) {
  std::string detail =
      fmt::format("backlog {}: {} clients connected, {} connections accepted", backlog, depth.connected, depth.accepted);
  if (depth.accepted < backlog) return Outcome(outcome::fewer, std::move(detail));
  if (depth.accepted == backlog) return Outcome(outcome::exact, std::move(detail));
  return Outcome(depth.accepted == backlog + 1 ? outcome::one_more : outcome::more, std::move(detail));
}

inline Outcome DepthWith(const Flavor& net, int32_t backlog) {
  Listener listener = ListenOn(net, backlog);
  const auto expected = static_cast<std::size_t>(backlog);
  return DepthOf(MeasureDepth(listener, net, expected, expected + 4), expected);
}

inline Outcome Kept(bool kept, std::string detail) { return Outcome(kept ? outcome::kept : outcome::lost, std::move(detail)); }

// Do the accepted connections carry the tags first, first + 1, ... in this order?
inline Outcome Order(std::vector<Socket>& accepted, std::size_t count) {
  std::string tags, expected;
  for (Socket& server : accepted) {
    tags += TagOf(server);
    if (tags.back() == '?') break;  // that is answer enough, and waiting for every one would take its time
  }
  for (std::size_t i = 0; i < count; ++i) expected += static_cast<char>('A' + i);
  return Outcome(tags == expected ? outcome::in_order : outcome::out_of_order, fmt::format("accepted {} of {}", tags, expected));
}

inline void TagAll(std::vector<Socket>& clients) {
  for (std::size_t i = 0; i < clients.size(); ++i) Tag(clients[i], i);
}

// All of these clients are accepted, in their order, and carry data.
inline bool AllArrive(Listener& listener, std::vector<Socket>& clients, std::string* detail) {
  TagAll(clients);
  std::vector<Socket> servers;
  for (std::size_t i = 0; i < clients.size(); ++i) servers.push_back(AcceptNext(listener.socket));
  const Outcome order = Order(servers, clients.size());
  *detail = order.detail();
  bool carry = true;
  for (std::size_t i = 0; i < clients.size(); ++i) carry = carry && Exchange(clients[i], servers[i]);
  if (!carry) *detail += ", and not all of them carry data";
  return carry && order.name() == outcome::in_order.text;
}

}  // namespace sockproof
