// The network between the sockets of the reference provider: one host with loopback addresses, routes that lead nowhere, and
// whatever impairment a scenario asks for. A packet that is not impaired arrives at the time at which it was sent, when the
// scheduler next runs what is due; never inside Send.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "reference/packet.h"
#include "reference/scheduler.h"

namespace sockproof::reference {

class Capture;  // capture.h

class Network {
 public:
  explicit Network(Scheduler* scheduler);
  ~Network();

  enum class Route { kLocal, kLink, kBlackHole, kUnreachable };
  // kLocal: one of this host's addresses (127.0.0.0/8, ::1, its end of a link); kLink: the other end of one; kBlackHole:
  // one address of a network for documentation (RFC 5737, RFC 3849). Addresses of SP_CONNDATA are those of IPv4, in a network of
  // their own.
  Route RouteTo(const IpAddress& destination) const;
  bool IsLocal(const IpAddress& address) const { return RouteTo(address) == Route::kLocal; }
  // The address that this host would send from to get there.
  IpAddress SourceFor(const IpAddress& destination) const;
  uint16_t MaximumPayload(const IpAddress& destination) const;  // bytes behind the IP header: loopback is 65536 - headers

  void Send(Packet packet);

  // Who takes what arrives. One a protocol; it gets the ICMP messages about its packets too (Packet::protocol is kIcmp then).
  using Receiver = std::function<void(const Packet&)>;
  void SetReceiver(Protocol protocol, Receiver receiver);
  // Drops what arrives if it says so (a socket that is silenced). Asked at arrival.
  void SetFilter(std::function<bool(const Packet&)> drop);

  // ---- Impairment of everything that is sent from now on. Parts of a million; nanoseconds. Jitter beyond the distance of two
  // packets reorders them.
  struct Impairment {
    uint32_t drop_ppm = 0, duplicate_ppm = 0;
    int64_t delay = 0, jitter = 0;
  };
  void Impair(const Impairment& impairment) { impairment_ = impairment; }
  // An address that swallows everything.
  static IpAddress BlackHole(int32_t family);

  // ---- The outside
  // A raw IP packet, as if it had arrived, whatever the impairment; false: it cannot be parsed, or a checksum is wrong.
  bool Inject(const uint8_t* bytes, std::size_t size);
  // Writes every packet that is sent or injected from now on as pcapng, before it can be lost; those of SP_CONNDATA are no IP
  // packets, and are left out. An empty path: no more. False: the file cannot be written.
  bool StartCapture(const std::string& path);
  // Another host on a point-to-point link (a TUN device): gets raw IP packets; what it sends goes to FromLink.
  using Link = std::function<void(const std::vector<uint8_t>&)>;
  void AttachLink(const IpAddress& local, const IpAddress& remote, uint16_t mtu, Link link);
  bool FromLink(const uint8_t* bytes, std::size_t size);  // as Inject, with the impairment

 private:
  void Impaired(Packet packet);  // sends it on its way, once, twice or not at all
  void Arrive(const Packet& packet);
  void Record(const Packet& packet);

  Scheduler* scheduler_;
  std::map<Protocol, Receiver> receivers_;
  std::function<bool(const Packet&)> filter_;
  Impairment impairment_;
  std::unique_ptr<Capture> capture_;
  struct Neighbour {
    IpAddress local, remote;
    uint16_t mtu;
    Link link;
  };
  std::vector<Neighbour> neighbours_;
};

}  // namespace sockproof::reference
