// A UDP socket (RFC 768).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "reference/ports.h"
#include "reference/socket.h"

namespace sockproof::reference {

class DatagramSocket final : public Socket {
 public:
  DatagramSocket(Stack* stack, int32_t family);
  ~DatagramSocket() override;

  int32_t Bind(const AddressArgument& address) override;
  int32_t Listen(int32_t backlog) override;
  int32_t Connect(ConnectRequest* request) override;
  int32_t Accept(AcceptRequest* request) override;
  int32_t Send(SendRequest* request) override;
  int32_t Recv(RecvRequest* request) override;
  int32_t Shutdown(int32_t how) override;
  int32_t Ioctl(int32_t request, int64_t* value) override;
  int32_t LocalName(sp_address* name) const override;
  int32_t PeerName(sp_address* name) const override;
  int32_t WriteOption(int32_t option, const OptionValue& value) override;
  int32_t Silence(bool on) override;
  int32_t protocol() const override { return 17; }
  bool HasLevel(OptionLevel level) const override;
  uint32_t Ready() const override;
  const char* Kind() const override { return "datagram socket"; }
  void Released() override;

  // How well it fits a packet that came: 0 not at all; the more it says about it (its address, the peer's), the better.
  int Fits(const Packet& packet) const;
  bool Takes(const Packet& packet) const;  // one that was sent to a group, or to everybody
  void Arrive(const Packet& packet);
  // A datagram that it sent to `destination` found nobody there.
  bool Sent(const Endpoint& source, const Endpoint& destination) const;
  void Unreachable(int32_t error);

 private:
  int32_t CheckLocal(const sp_address& address) const;
  int32_t AutoBind();
  int32_t Reach(const sp_address& to, Endpoint* remote) const;

  std::shared_ptr<Binding> binding_;
  Endpoint local_;
  bool port_named_ = false, address_named_ = false;
  std::optional<Endpoint> peer_;
  bool dissolved_ = false;  // its peer was taken away by the address of zeros
  bool read_shut_ = false, write_shut_ = false, silenced_ = false;
  struct Datagram {
    Endpoint from;
    std::vector<uint8_t> bytes;
  };
  std::deque<Datagram> received_;
  std::size_t queued_ = 0;  // bytes in received_, with what each costs
  std::set<IpAddress> groups_;
};

// Hands what arrives over UDP, and what ICMP says about it, to the sockets.
void ReceiveDatagram(Stack* stack, const Packet& packet);
void ReceiveUnreachable(Stack* stack, const Packet& packet);

}  // namespace sockproof::reference
