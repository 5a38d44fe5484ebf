// An extension of the service provider interface by which a provider that has more than the interface can say hands that to the
// suite: a virtual clock and its scheduler, the network between the ends, limits and knobs, and a way to end one overlapped
// operation. Any provider may have it; one without is driven in real time, over the network that there is.
//
// It is found as all extension functions are: WSPIoctl of any socket with SIO_GET_EXTENSION_FUNCTION_POINTER and this identifier.
// The function yields a table of the C interface, of which these parts are used, each where it is not NULL: capability, threads,
// clock, scheduler, network, limits, and cancel, whose operation is the LPWSAOVERLAPPED. Handles in them are SOCKETs. Once it has
// been called, a provider with a clock of its own runs by that: until then it has no way to know that there is somebody who
// attaches his threads.
//
// Source: Windows Sockets 2 SPI, Function Extension Mechanism in the SPI.
#pragma once

#include <winsock2.h>

#include "sockproof/provider.h"

namespace sockproof::windows {

constexpr GUID kControls = {0x6f1c2ab7, 0x3d52, 0x4b0e, {0x9a, 0x41, 0x5e, 0x70, 0xc8, 0x11, 0xd4, 0x63}};
using ControlsFunction = const sp_provider*(WSAAPI*)(void** self);

}  // namespace sockproof::windows
