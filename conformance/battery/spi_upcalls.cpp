// What only the caller of a service provider DLL sees: its entry point, its upcalls, its handles.
#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "catalogue/spi.h"

#include "battery/requests.h"
#include "face/overlapped.h"

namespace sockproof {
namespace {

const Over kSpi = kTcp4.Needs({SP_CAP_SPI});

// The functions of this group that are there; without one the scenario is 'not supported'.
template <typename Function>
Function Needed(Function function, const char* what) {
  if (function == nullptr) Host::Get().reporter().NotSupported("spi", what);
  return function;
}

// The upcalls since the last look, a line each.
std::vector<std::string> Upcalls() {
  Host& host = Host::Get();
  const auto take = Needed(host.upcalls.take_log, "the provider shows no upcalls");
  std::string text;
  for (;;) {
    char part[8192];
    uint32_t size = sizeof part;
    host.Expect(take(host.self(), part, &size), "spi", "the log of upcalls");
    if (size == 0) break;
    text.append(part, size);
  }
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Those of this name that are about this socket.
std::vector<std::string> About(const std::vector<std::string>& lines, const std::string& name, int64_t socket) {
  const std::string of = fmt::format(" socket=s{}", socket);
  std::vector<std::string> found;
  std::copy_if(lines.begin(), lines.end(), std::back_inserter(found), [&](const std::string& line) {
    const std::size_t at = line.find(of);
    const bool whole = at != std::string::npos && (at + of.size() == line.size() || line[at + of.size()] == ' ');
    return whole && line.find(" " + name + " ") != std::string::npos;
  });
  return found;
}

uint32_t FactsOf(const Socket& socket) {
  Host& host = Host::Get();
  uint32_t facts = 0;
  host.Expect(Needed(host.upcalls.facts, "nothing is known of handles")(host.self(), socket.handle(), &facts), "spi",
              "a socket's facts");
  return facts;
}

std::string FactNames(uint32_t facts) {
  std::string text;
  if ((facts & SP_SPI_CREATED) != 0) text += " from WPUCreateSocketHandle";
  if ((facts & SP_SPI_MODIFIED) != 0) text += " through WPUModifyIFSHandle";
  if ((facts & SP_SPI_SYSTEM) != 0) text += " known to the system";
  if ((facts & SP_SPI_CLAIMS_IFS) != 0) text += " with XP1_IFS_HANDLES";
  return text.empty() ? "nobody's" : text.substr(1);
}

// A provider has handles of the system's, or none: whose the first socket's is.
void NeedSystemHandles(bool wanted) {
  Socket socket = kInet.NewListening();
  const uint32_t facts = FactsOf(socket);
  const bool system = (facts & SP_SPI_CREATED) == 0 && (facts & (SP_SPI_MODIFIED | SP_SPI_SYSTEM)) != 0;
  if (system == wanted) return;
  Host::Get().reporter().NotSupported(
      "handles", wanted ? "its handles are none of the system's" : "its handles are the system's own: " + FactNames(facts));
}

// The three ways by which sockets come to be: made, made to ask, accepted.
struct Three {
  Pair pair;
  std::vector<const Socket*> all() const { return {&pair.listener.socket, &pair.client, &pair.server}; }
};
Three MakeThree(const Flavor& net) { return Three{ConnectedPair(net)}; }

// How often the calling thread's blocking hook was run while `body` ran.
template <typename Body>
int HookRunsDuring(Body body) {
  Host& host = Host::Get();
  const auto set = Needed(host.upcalls.set_blocking_hook, "no blocking hook can be installed");
  int runs = 0;
  const auto count = [](void* context) -> int32_t {
    ++*static_cast<int*>(context);
    return 0;
  };
  host.Expect(set(host.self(), count, &runs), "spi", "installing a blocking hook");
  body();
  host.Expect(set(host.self(), nullptr, nullptr), "spi", "removing the blocking hook");
  return runs;
}

Outcome Unused(int runs, const char* during) {
  return Holds(runs == 0, fmt::format("the hook ran {} times during {}", runs, during));
}

}  // namespace

SCENARIO(Spi, OnlyTheEntryPointIsExported, kSpi, spi::single_entry_point) {
  Host& host = Host::Get();
  char text[4096];
  uint32_t size = sizeof text;
  host.Expect(Needed(host.upcalls.exports, "the exports are not known")(host.self(), text, &size), "spi",
              "the names that it exports");
  const std::string names(text, size);
  // On 32-bit Windows a name may carry the size of its arguments, as the tool chain likes.
  const bool alone = std::count(names.begin(), names.end(), '\n') == 1 && names.find("WSPStartup") != std::string::npos;
  CHECK_REQUIREMENT(spi::single_entry_point, Holds(alone, "it exports: " + names));
}

SCENARIO(Spi, WithoutAPlaceForItsTables, kSpi, spi::null_tables) {
  Host& host = Host::Get();
  const auto start = Needed(host.upcalls.startup_without, "it cannot be started wrongly");
  for (const int32_t which : {0, 1}) {
    int64_t native = 0;
    const int32_t error = start(host.self(), which, &native);
    CHECK_REQUIREMENT(spi::null_tables,
                      Outcome::OfError(error, native, which == 0 ? "no place for data" : "no place for the table"));
  }
}

SCENARIO(Spi, TheLatestUpcallTableIsUsed, kSpi, spi::latest_upcalls) {
  Host& host = Host::Get();
  const auto start = Needed(host.upcalls.startup_with_new_table, "it cannot be started with another table");
  Socket before = net.NewListening();
  int64_t native = 0;
  host.Expect(start(host.self(), &native), "spi", "WSPStartup with another upcall table");
  static_cast<void>(Upcalls());
  {
    Three three = MakeThree(net);
    Step(before.Close());
  }
  std::string old;
  const std::vector<std::string> lines = Upcalls();
  for (const std::string& line : lines) {
    if (line.substr(0, 2) == "1 ") old += "\n" + line;
  }
  CHECK_REQUIREMENT(spi::latest_upcalls,
                    Holds(old.empty() && !lines.empty(), lines.empty() ? "no upcall at all" : "into the old table:" + old));
  const Outcome cleaned = CleanUpSession();
  if (cleaned.name() != "ok") host.reporter().StepFailed(SOCKPROOF_HERE, "cleanup", cleaned);
}

SCENARIO(Spi, HandlesAreTakenFromTheCaller, kSpi, spi::created_handles, spi::no_false_file_handles) {
  NeedSystemHandles(false);
  Three three = MakeThree(net);
  for (const Socket* socket : three.all()) {
    const uint32_t facts = FactsOf(*socket);
    CHECK_REQUIREMENT(spi::created_handles, Holds((facts & SP_SPI_CREATED) != 0, FactNames(facts)));
    CHECK_REQUIREMENT(spi::no_false_file_handles, Holds((facts & SP_SPI_CLAIMS_IFS) == 0, FactNames(facts)));
  }
}

SCENARIO(Spi, HandlesOfTheSystemAreShownToTheCaller, kSpi, spi::modified_handles) {
  NeedSystemHandles(true);
  Three three = MakeThree(net);
  for (const Socket* socket : three.all()) {
    const uint32_t facts = FactsOf(*socket);
    CHECK_REQUIREMENT(spi::modified_handles, Holds((facts & SP_SPI_MODIFIED) != 0, FactNames(facts)));
  }
}

SCENARIO(Spi, HandlesAreGivenBackOnce, kSpi, spi::closed_handles) {
  NeedSystemHandles(false);
  Three three = MakeThree(net);
  for (Socket* socket : {&three.pair.server, &three.pair.client, &three.pair.listener.socket}) {
    const int64_t value = socket->handle().value;
    const std::size_t early = About(Upcalls(), "WPUCloseSocketHandle", value).size();
    Step(socket->Close());
    const std::size_t given_back = About(Upcalls(), "WPUCloseSocketHandle", value).size();
    CHECK_REQUIREMENT(
        spi::closed_handles,
        Holds(early == 0 && given_back == 1,
              fmt::format("WPUCloseSocketHandle {} times before it was closed, {} times when it was", early, given_back)));
  }
}

SCENARIO(Spi, FamilyAndTypeFromTheProtocol, kSpi, spi::zero_family_and_type, spi::overlapped_attribute) {
  Host& host = Host::Get();
  const auto make = Needed(host.upcalls.make_socket, "no socket can be made so");
  const sp_socket_args args{net.listen_family, net.type, 0, 0};
  const auto made = [&](int32_t family, int32_t type, bool overlapped) {
    sp_result result{};
    result.size = sizeof result;
    host.Expect(make(host.self(), &args, family, type, overlapped ? 1 : 0, &result), "spi", "WSPSocket");
    Outcome outcome = Outcome::OfError(result.error, result.native, fmt::format("family {}, type {}", family, type));
    if (result.error != SP_OK) return outcome;
    Socket socket = Socket::Borrowed(result.handle);
    Step(socket.Bind(net.ToBind()));  // it is what the protocol says
    Step(socket.Listen(1));
    Step(socket.Close());
    return outcome;
  };
  for (const int32_t family : {SP_SPI_GIVEN, SP_SPI_ZERO, SP_SPI_FROM_INFO}) {
    for (const int32_t type : {SP_SPI_GIVEN, SP_SPI_ZERO, SP_SPI_FROM_INFO}) {
      if (family == SP_SPI_GIVEN && type == SP_SPI_GIVEN) continue;
      CHECK_REQUIREMENT(spi::zero_family_and_type, made(family, type, true));
    }
  }
  CHECK_REQUIREMENT(spi::overlapped_attribute, made(SP_SPI_GIVEN, SP_SPI_GIVEN, true));
}

SCENARIO(Spi, TheBlockingHookIsForCallsThatWait, kSpi, spi::blocking_hook) {
  Listener listener = ListenOn(net);
  Socket idle = net.NewListening();
  Step(idle.Bind(net.ToBind()));
  Step(idle.Listen(1));
  Step(idle.SetModes(SP_NONBLOCKING));
  Socket client = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  Socket server;
  CHECK_REQUIREMENT(spi::blocking_hook,
                    Unused(HookRunsDuring([&] { server = Must(listener.socket.Accept()); }), "an accept that need not wait"));
  CHECK_REQUIREMENT(spi::blocking_hook,
                    Unused(HookRunsDuring([&] { Step(client.SendBytes("data")); }), "a send that need not wait"));
  MustBeReady(server, SP_IN);
  CHECK_REQUIREMENT(spi::blocking_hook,
                    Unused(HookRunsDuring([&] { static_cast<void>(server.Recv(16)); }), "a receive that need not wait"));
  CHECK_REQUIREMENT(spi::blocking_hook, Unused(HookRunsDuring([&] { static_cast<void>(idle.Accept()); }),
                                               "an accept on a socket that does not block"));
  Step(server.SetModes(SP_NONBLOCKING));
  CHECK_REQUIREMENT(spi::blocking_hook, Unused(HookRunsDuring([&] { static_cast<void>(server.Recv(16)); }),
                                               "a receive on a socket that does not block"));
  CHECK_REQUIREMENT(spi::blocking_hook, Unused(HookRunsDuring([&] {
                                                 static_cast<void>(server.LocalAddress());
                                                 Step(server.Shutdown(SP_SHUT_WR));
                                               }),
                                               "calls that never wait"));
}

}  // namespace sockproof
