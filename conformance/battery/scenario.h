// How a scenario is written.
//
//     SCENARIO(Backlog, OverflowLeavesTheQueuedConnectionsAlone, kTcp.Waits(milliseconds(50)),
//              backlog::overflow_client_outcome, backlog::queued_survive) {
//       Listener listener = ListenOn(net, 2);
//       Filled filled = FillBacklog(listener, net);
//       CHECK_REQUIREMENT(backlog::overflow_client_outcome, filled.overflow);
//       ...
//     }
//
// It becomes one test for each family: Backlog.OverflowLeavesTheQueuedConnectionsAlone/inet and so on; `net` is the family.
// The requirements named are declared: a run that checks one less, or another one, is a harness error. What is allowed stands in
// the catalogue alone. A scenario never asks which implementation it runs against; what it needs beyond the family it says with
// Needs(capability), or it ends as 'not supported' at the first call that the provider cannot do.
//
// Each scenario runs in a process of its own. A failed step (Must, MustBeReady, Join) ends that process at once, after the
// record; a failed check does not, so that the following checks still tell what they can.
#pragma once

#include <chrono>
#include <initializer_list>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "catalogue/requirement.h"
#include "face/agent.h"
#include "face/controls.h"
#include "face/fixtures.h"
#include "face/flavor.h"
#include "face/host.h"
#include "face/outcome.h"
#include "face/settle.h"
#include "face/socket.h"
#include "face/threads.h"
#include "face/time.h"
#include "face/trace.h"
#include "face/watcher.h"

namespace sockproof {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The families of a scenario, and what the runner should know of it.
struct Over {
  std::vector<const Flavor*> flavors;
  std::vector<int32_t> needs;  // enum sp_capability, beyond the family's own
  Nanoseconds waits{0};        // how long it waits without using the processor: the runner starts the longest first
  Nanoseconds limit{0};        // longer than this is a hang; 0: see Limit()

  Over Needs(std::initializer_list<int32_t> capabilities) const {
    Over copy = *this;
    copy.needs.insert(copy.needs.end(), capabilities);
    return copy;
  }
  Over Waits(Nanoseconds time) const {
    Over copy = *this;
    copy.waits = time;
    return copy;
  }
  // Unless it says otherwise: what it waits by design, Patience() for each of two things that do not come, and two seconds, which
  // is twice what the busiest scenario takes on a machine with ten times the load that it has cores.
  Nanoseconds Limit() const { return limit > Nanoseconds(0) ? limit : waits + seconds(12); }
  Over Limit(Nanoseconds time) const {
    Over copy = *this;
    copy.limit = time;
    return copy;
  }
};

inline const Over kTcp{{&kInet, &kInet6, &kDual}, {}, {}};
inline const Over kTcp4{{&kInet}, {}, {}};  // what does not depend on the version of IP
inline const Over kTcp46{{&kInet, &kInet6}, {}, {}};
inline const Over kDualOnly{{&kDual}, {}, {}};
inline const Over kInet6Only{{&kInet6}, {}, {}};
inline const Over kLocal{{&kUnix, &kSeqpacket}, {}, {}};
inline const Over kUnixOnly{{&kUnix}, {}, {}};
inline const Over kSeqpacketOnly{{&kSeqpacket}, {}, {}};
inline const Over kStreams{{&kInet, &kInet6, &kDual, &kUnix}, {}, {}};
inline const Over kConnections{{&kInet, &kInet6, &kDual, &kUnix, &kSeqpacket}, {}, {}};
inline const Over kDatagrams{{&kUdp, &kUdp6}, {}, {}};
inline const Over kConnDataOnly{{&kConnData}, {}, {}};
inline const Over kWinsockStreams{{&kInet, &kInet6, &kDual, &kConnData}, {}, {}};  // what Winsock calls connection-oriented
inline const Over kAllDatagrams{{&kUdp, &kUdp6, &kUnixDatagram}, {}, {}};

using ScenarioBody = void (*)(const Flavor& net);

// Internal: called by SCENARIO before main.
bool RegisterScenario(const char* suite, const char* name, const char* file, int line, const Over& over,
                      std::initializer_list<const Requirement*> requirements, ScenarioBody body);

// Compares with the catalogue and writes the record. True if it did not fail.
bool CheckRequirement(const Requirement& requirement, const Outcome& outcome, const char* file, int line);

// For a scenario that can look at nothing more after what it has seen, though it has declared more: ends it as failed if a check
// has, as not supported otherwise. Nothing is unwound, so calls that still wait are no matter.
[[noreturn]] void CannotGoOn(const std::string& why);

// "holds" or "violated"; the detail says what was compared, and is shown when it fails.
Outcome Holds(bool condition, std::string detail);
template <typename A, typename B>
Outcome Same(const A& seen, const B& expected, std::string_view what) {
  return Holds(seen == expected, fmt::format("{}: {} against {}", what, seen, expected));
}
Outcome SameAddress(const Address& seen, const Address& expected, std::string_view what);
// "ready" or "not_ready".
Outcome Readiness(bool ready, std::string detail = {});
// "early", "on_time", "late".
Outcome Timing(const Stopwatch& watch, Nanoseconds expected, Nanoseconds grain = milliseconds(1));
// Is this condition reached within Patience()? "holds" or "violated".
Outcome Becomes(const std::function<bool()>& condition, std::string what);

// Declares a constant list of requirements for SCENARIO.
#define SOCKPROOF_REQ_1(a) &a
#define SOCKPROOF_REQ_2(a, ...) &a, SOCKPROOF_REQ_1(__VA_ARGS__)
#define SOCKPROOF_REQ_3(a, ...) &a, SOCKPROOF_REQ_2(__VA_ARGS__)
#define SOCKPROOF_REQ_4(a, ...) &a, SOCKPROOF_REQ_3(__VA_ARGS__)
#define SOCKPROOF_REQ_5(a, ...) &a, SOCKPROOF_REQ_4(__VA_ARGS__)
#define SOCKPROOF_REQ_6(a, ...) &a, SOCKPROOF_REQ_5(__VA_ARGS__)
#define SOCKPROOF_REQ_7(a, ...) &a, SOCKPROOF_REQ_6(__VA_ARGS__)
#define SOCKPROOF_REQ_8(a, ...) &a, SOCKPROOF_REQ_7(__VA_ARGS__)
#define SOCKPROOF_REQ_9(a, ...) &a, SOCKPROOF_REQ_8(__VA_ARGS__)
#define SOCKPROOF_REQ_10(a, ...) &a, SOCKPROOF_REQ_9(__VA_ARGS__)
#define SOCKPROOF_PICK(a, b, c, d, e, f, g, h, i, j, name, ...) name
#define SOCKPROOF_REQS(...)                                                                                         \
  SOCKPROOF_PICK(__VA_ARGS__, SOCKPROOF_REQ_10, SOCKPROOF_REQ_9, SOCKPROOF_REQ_8, SOCKPROOF_REQ_7, SOCKPROOF_REQ_6, \
                 SOCKPROOF_REQ_5, SOCKPROOF_REQ_4, SOCKPROOF_REQ_3, SOCKPROOF_REQ_2, SOCKPROOF_REQ_1, )             \
  (__VA_ARGS__)

// At least one requirement, at most ten.
#define SCENARIO(suite, name, over, ...)                                                                   \
  static void Scenario_##suite##_##name([[maybe_unused]] const ::sockproof::Flavor& net);                  \
  [[maybe_unused]] static const bool registered_##suite##_##name = ::sockproof::RegisterScenario(          \
      #suite, #name, __FILE__, __LINE__, over, {SOCKPROOF_REQS(__VA_ARGS__)}, &Scenario_##suite##_##name); \
  static void Scenario_##suite##_##name([[maybe_unused]] const ::sockproof::Flavor& net)

// CheckRequirement, with the place where it stands.
#define CHECK_REQUIREMENT(requirement, outcome) ::sockproof::CheckRequirement(requirement, outcome, __FILE__, __LINE__)

}  // namespace sockproof
