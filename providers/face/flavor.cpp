#include "face/flavor.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "face/host.h"
#include "face/platform.h"
#include "face/sameness.h"

namespace sockproof {

const Flavor kInet{"inet", SP_INET, SP_INET, SP_STREAM, SP_CAP_INET};
const Flavor kInet6{"inet6", SP_INET6, SP_INET6, SP_STREAM, SP_CAP_INET6};
const Flavor kDual{"dual", SP_INET6, SP_INET, SP_STREAM, SP_CAP_DUAL_STACK};
const Flavor kUnix{"unix", SP_UNIX, SP_UNIX, SP_STREAM, SP_CAP_UNIX_STREAM};
const Flavor kSeqpacket{"seqpacket", SP_UNIX, SP_UNIX, SP_SEQPACKET, SP_CAP_UNIX_SEQPACKET};
const Flavor kUnixDatagram{"unix_datagram", SP_UNIX, SP_UNIX, SP_DATAGRAM, SP_CAP_UNIX_DATAGRAM};
const Flavor kUdp{"udp", SP_INET, SP_INET, SP_DATAGRAM, SP_CAP_UDP};
const Flavor kUdp6{"udp6", SP_INET6, SP_INET6, SP_DATAGRAM, SP_CAP_INET6};
const Flavor kConnData{"conndata", SP_CONNDATA, SP_CONNDATA, SP_STREAM, SP_CAP_CONNECT_DATA};

namespace {

struct Scratch {
  std::string path;
  bool ours = false;
};

bool scratch_made = false;

Scratch& TheScratch() {
  scratch_made = true;
  static Scratch scratch = [] {
    if (const char* given = std::getenv("SOCKPROOF_TMPDIR"); given != nullptr && *given != '\0') return Scratch{given, false};
    Scratch own;
    own.path = platform::MakeScratchDirectory(&own.ours);
    return own;
  }();
  return scratch;
}

}  // namespace

const std::string& ScratchDirectory() { return TheScratch().path; }

void RemoveScratchDirectory() {
  if (!scratch_made || !TheScratch().ours) return;
  std::error_code ignored;
  std::filesystem::remove_all(TheScratch().path, ignored);
}

int ProcessTag() { return Host::Get().HasVirtualClock() ? 0 : static_cast<int>(platform::ProcessId()); }

std::string FreshPath() {
  static std::atomic<int> next{0};
  return fmt::format("{}/s{}.{}", ScratchDirectory(), ProcessTag(), next++);
}

Socket Flavor::NewListening(uint32_t modes, Where where) const {
  Socket socket = Socket::New(listen_family, type, modes, where);
  if (dual()) static_cast<void>(Must(socket.Set(SP_IPV6_V6ONLY, 0), where));
  return socket;
}

Socket Flavor::NewConnecting(uint32_t modes, Where where) const { return Socket::New(connect_family, type, modes, where); }

Address Flavor::ToBind() const {
  if (local()) return Address::Unix(FreshPath());
  return dual() ? Address::Any(listen_family) : Address::Loopback(listen_family);
}

Address Flavor::ToReach(const Address& local_name) const {
  return dual() ? Address::Loopback(connect_family, local_name.port()) : local_name;
}

}  // namespace sockproof
