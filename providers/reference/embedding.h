// For whoever carries the reference provider into another interface: what the C interface has no place for. `self` is what its
// `open` has made.
#pragma once

#include <functional>

#include "sockproof/provider.h"

namespace sockproof::reference {

// The machine's time in place of the virtual clock, or back; while no thread is attached (scheduler.h).
void UseRealTime(void* self, bool real);

// Who is told of what happens to an event object (a watcher of SP_EVENT_OBJECT). Both may be called in any thread, in the middle
// of a call, and must not call the provider. An event object with `records` is of one socket alone: accepted ones do not inherit
// it.
void OnEventObject(void* self, sp_handle watcher, std::function<void(bool set)> was_set,
                   std::function<void(const sp_event& event)> records);

// Told once, in the middle of whatever ends this operation; at once if it has ended already.
void OnOperationEnd(sp_operation operation, std::function<void(const sp_result& result)> ended);

}  // namespace sockproof::reference
