// What a watcher reports of a socket, changed by a fault.
#pragma once

#include "faulty/wrapped.h"

namespace sockproof::faulty {

// The events to report of a socket in place of `ready` (0: none): those that were asked for are in `asked`. Called for every
// socket of the watcher, whether the provider reports it or not.
using Spoil = uint32_t (*)(Wrapped& provider, sp_handle socket, uint32_t asked, uint32_t ready);

// Carries out a call of whatever kind; what a wait reports goes through `spoil`. A wait of which nothing is left goes on.
void PassSpoilt(Wrapped& provider, sp_call* call, sp_result* result, Spoil spoil);

}  // namespace sockproof::faulty
