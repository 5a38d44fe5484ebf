// The kernel of this machine as a peer: a TUN device in a network namespace of its own. The virtual clock follows the real one.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "reference/tests/host.h"

namespace sockproof::reference {

class KernelLink {
 public:
  static constexpr uint16_t kMtu = 1500;
  const IpAddress here{SP_INET, {10, 66, 0, 1}}, kernel{SP_INET, {10, 66, 0, 2}};

  // Why not, if it cannot be had: namespaces and devices take privileges.
  std::string Open() {
    // Where this process has no privilege, it may have one inside a user namespace of its own.
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return Because("no network namespace");
    device_ = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device_ < 0) return Because("/dev/net/tun");
    ifreq request{};
    std::strcpy(request.ifr_name, "sockproof0");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (ioctl(device_, TUNSETIFF, &request) != 0) return Because("TUNSETIFF");
    const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool up = SetAddress(control, SIOCSIFADDR, kernel, &request) && SetAddress(control, SIOCSIFDSTADDR, here, &request) &&
                    SetMtu(control, &request) && SetUp(control, &request);
    const std::string reason = up ? "" : Because("the device cannot be set up");
    close(control);
    if (!up) return reason;
    host.network.AttachLink(here, kernel, kMtu, [this](const std::vector<uint8_t>& bytes) {
      // A queue that is full loses the packet, as any network may.
      if (write(device_, bytes.data(), bytes.size()) < 0 && errno != EAGAIN) lost_ = errno;
    });
    return "";
  }
  ~KernelLink() {
    if (device_ >= 0) close(device_);
  }

  // Lets packets travel and time pass until `done` says so, which may do what is to be done in between; false at the limit
  // (real time).
  bool Until(const std::function<bool()>& done, std::chrono::seconds limit = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
      CatchUp();
      bool some = false;
      uint8_t bytes[kMtu];
      for (int i = 0; i < 64; ++i) {
        const ssize_t size = read(device_, bytes, sizeof bytes);
        if (size <= 0) break;
        some = true;
        host.network.FromLink(bytes, static_cast<std::size_t>(size));
        host.Pass(0);
      }
      if (done()) return lost_ == 0;
      host.Pass(0);
      if (std::chrono::steady_clock::now() >= end || lost_ != 0) return false;
      if (some) continue;
      pollfd one{device_, POLLIN, 0};
      poll(&one, 1, 1);
    }
  }

  // ---- The kernel's sockets, none of which blocks
  int Socket() const { return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }
  sockaddr_in Name(const IpAddress& address, uint16_t port) const {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    std::memcpy(&name.sin_addr, address.bytes.data(), 4);
    return name;
  }

  Host host;

 private:
  static std::string Because(const std::string& what) { return what + ": " + std::strerror(errno); }
  bool SetAddress(int control, unsigned long which, const IpAddress& address, ifreq* request) const {
    const sockaddr_in name = Name(address, 0);
    std::memcpy(&request->ifr_addr, &name, sizeof name);
    return ioctl(control, which, request) == 0;
  }
  static bool SetMtu(int control, ifreq* request) {
    request->ifr_mtu = kMtu;
    return ioctl(control, SIOCSIFMTU, request) == 0;
  }
  static bool SetUp(int control, ifreq* request) {
    request->ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(control, SIOCSIFFLAGS, request) == 0;
  }
  void CatchUp() {
    const auto elapsed = std::chrono::steady_clock::now() - begin_;
    const int64_t due = kStart + std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count();
    if (due > host.scheduler.Now()) host.Pass(due - host.scheduler.Now());
  }

  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  int device_ = -1;
  int lost_ = 0;  // errno of a packet that could not be written at all
};

}  // namespace sockproof::reference
