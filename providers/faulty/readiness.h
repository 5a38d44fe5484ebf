// What watchers are asked and what they report, for faults that change the one or the other.
#pragma once

#include <functional>

#include "faulty/wrapped.h"

namespace sockproof::faulty {

struct Watched {
  sp_handle socket;
  uint32_t asked;  // enum sp_events
  uint32_t flags;  // enum sp_watch_flags
  uint64_t cookie;
  uint32_t ready;  // what is reported of it
};
struct Report {
  int64_t watcher;
  int32_t mechanism;  // enum sp_mechanism
  std::vector<Watched> entries;
};

// The mechanism of a watcher, -1 if it is none that went by; and its entries.
int32_t MechanismOf(int64_t watcher);
std::vector<Watched> EntriesOf(int64_t watcher);
inline bool IsSelect(int32_t mechanism) { return mechanism == SP_SELECT || mechanism == SP_PSELECT; }
inline bool IsPoll(int32_t mechanism) { return mechanism == SP_POLL || mechanism == SP_PPOLL; }

// A call of any kind; those that make, change and close watchers are learnt of.
void PassNoted(Wrapped& provider, sp_call* call, sp_result* result);

// The same. What a wait reports goes through `edit`, which sees every entry and may change `ready`. A wait of which nothing is
// left goes on until its time is over; what `edit` adds is there at once.
using Edit = std::function<void(Report& report)>;
enum class Watch {
  provider,  // asks when the provider reports something
  closely,   // asks every few milliseconds, for what only the fault sees
};
void PassEdited(Wrapped& provider, sp_call* call, sp_result* result, const Edit& edit, Watch watch = Watch::provider);

// The same, a socket at a time and closely: the events to report of a socket in place of `ready` (0: none); those that were asked
// for are in `asked`.
using Spoil = uint32_t (*)(Wrapped& provider, sp_handle socket, uint32_t asked, uint32_t ready);
void PassSpoilt(Wrapped& provider, sp_call* call, sp_result* result, Spoil spoil);

}  // namespace sockproof::faulty
