#include "reference/network.h"

#include <algorithm>
#include <utility>

#include "reference/capture.h"
#include "reference/wire.h"

namespace sockproof::reference {
namespace {

constexpr uint16_t kLoopbackMtu = 65535;  // the most that the length field of IPv4 can say

uint16_t HeaderSize(const IpAddress& address) { return address.family == SP_INET6 ? 40 : 20; }

bool StartsWith(const IpAddress& address, std::initializer_list<uint8_t> prefix) {
  return std::equal(prefix.begin(), prefix.end(), address.bytes.begin());
}

bool IsLoopback(const IpAddress& address) {
  if (address.family == SP_INET6) {
    return StartsWith(address, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  }
  return address.bytes[0] == 127;
}

IpAddress Loopback(int32_t family) {
  IpAddress address;
  address.family = family;
  if (family == SP_INET6) {
    address.bytes[15] = 1;
  } else {
    address.bytes[0] = 127;
    address.bytes[3] = 1;
  }
  return address;
}

// Unspecified, multicast and broadcast addresses are nobody's (RFC 1122 3.2.1.3, RFC 4291 2.5.2 and 2.7): no packet comes from
// there.
bool CanBeSource(const IpAddress& address) {
  if (address.bytes == std::array<uint8_t, 16>{}) return false;
  if (address.family == SP_INET6) return address.bytes[0] != 0xff;
  return address.bytes[0] < 224 && address.bytes[0] != 0;
}

}  // namespace

Network::Network(Scheduler* scheduler) : scheduler_(scheduler) {}
Network::~Network() = default;

Network::Route Network::RouteTo(const IpAddress& destination) const {
  if (IsLoopback(destination)) return Route::kLocal;
  for (const Neighbour& neighbour : neighbours_) {
    if (destination == neighbour.local) return Route::kLocal;
    if (destination == neighbour.remote) return Route::kLink;
  }
  return destination == BlackHole(destination.family) ? Route::kBlackHole : Route::kUnreachable;
}

IpAddress Network::SourceFor(const IpAddress& destination) const {
  if (IsLoopback(destination) && destination.family == SP_INET6) return destination;
  for (const Neighbour& neighbour : neighbours_) {
    if (destination == neighbour.local || destination == neighbour.remote) return neighbour.local;
  }
  return Loopback(destination.family);
}

uint16_t Network::MaximumPayload(const IpAddress& destination) const {
  for (const Neighbour& neighbour : neighbours_) {
    if (destination == neighbour.remote) return neighbour.mtu - HeaderSize(destination);
  }
  return kLoopbackMtu - HeaderSize(destination);
}

IpAddress Network::BlackHole(int32_t family) {
  IpAddress address;
  address.family = family;
  if (family == SP_INET6) {
    address.bytes = {0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  } else {
    address.bytes = {198, 51, 100, 1};
  }
  return address;
}

void Network::Send(Packet packet) {
  Record(packet);
  Impaired(std::move(packet));
}

// Shared by Send and FromLink: the same losses in both directions of a link.
void Network::Impaired(Packet packet) {
  const auto chance = [this](uint32_t ppm) { return ppm > 0 && scheduler_->Below(1'000'000) < ppm; };
  const int copies = chance(impairment_.drop_ppm) ? 0 : chance(impairment_.duplicate_ppm) ? 2 : 1;
  const auto shared = std::make_shared<const Packet>(std::move(packet));
  for (int copy = 0; copy < copies; ++copy) {
    int64_t delay = impairment_.delay;
    if (impairment_.jitter > 0) delay += static_cast<int64_t>(scheduler_->Below(static_cast<uint64_t>(impairment_.jitter) + 1));
    scheduler_->At(scheduler_->Now() + delay, [this, shared] { Arrive(*shared); });
  }
}

void Network::Arrive(const Packet& packet) {
  switch (RouteTo(packet.destination.ip)) {
    case Route::kLocal: {
      if (!CanBeSource(packet.source.ip) || (filter_ && filter_(packet))) return;
      const Protocol about = packet.protocol == Protocol::kIcmp ? packet.icmp.protocol : packet.protocol;
      const auto receiver = receivers_.find(about);
      if (receiver != receivers_.end()) receiver->second(packet);
      return;
    }
    case Route::kLink:
      for (const Neighbour& neighbour : neighbours_) {
        if (packet.destination.ip == neighbour.remote) neighbour.link(Serialize(packet));
      }
      return;
    case Route::kBlackHole:
    case Route::kUnreachable:
      return;
  }
}

void Network::SetReceiver(Protocol protocol, Receiver receiver) { receivers_[protocol] = std::move(receiver); }
void Network::SetFilter(std::function<bool(const Packet&)> drop) { filter_ = std::move(drop); }

bool Network::Inject(const uint8_t* bytes, std::size_t size) {
  std::optional<Packet> packet = Parse(bytes, size);
  if (!packet) return false;
  Record(*packet);
  const auto shared = std::make_shared<const Packet>(std::move(*packet));
  scheduler_->At(scheduler_->Now(), [this, shared] { Arrive(*shared); });
  return true;
}

bool Network::FromLink(const uint8_t* bytes, std::size_t size) {
  std::optional<Packet> packet = Parse(bytes, size);
  if (!packet) return false;
  Send(std::move(*packet));
  return true;
}

void Network::AttachLink(const IpAddress& local, const IpAddress& remote, uint16_t mtu, Link link) {
  neighbours_.push_back({local, remote, mtu, std::move(link)});
}

bool Network::StartCapture(const std::string& path) {
  capture_.reset();
  if (path.empty()) return true;
  auto capture = std::make_unique<Capture>(path);
  if (!capture->Good()) return false;
  capture_ = std::move(capture);
  return true;
}

void Network::Record(const Packet& packet) {
  if (capture_ != nullptr && packet.destination.ip.family != SP_CONNDATA) capture_->Write(scheduler_->Now(), Serialize(packet));
}

}  // namespace sockproof::reference
