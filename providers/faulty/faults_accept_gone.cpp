// Faults of accept where the client has gone already, or where there is no descriptor for it.
#include "faulty/moves.h"
#include "faulty/readiness.h"

namespace sockproof::faulty {
namespace {

constexpr int kMark = 1;  // a slot of a handle's memory

// Has the peer of an accepted TCP connection reset it?
bool IsReset(Wrapped& provider, sp_handle handle) { return provider.IsTcp(handle) && !provider.PeerName(handle); }

// Has the peer ended its stream in order, with nothing left to read?
bool IsEnded(Wrapped& provider, sp_handle handle) {
  if (IsReset(provider, handle)) return false;
  uint8_t byte;
  const sp_result seen = provider.Recv(handle, &byte, 1, SP_MSG_PEEK | SP_MSG_DONTWAIT);
  return seen.error == SP_OK && seen.value == 0;
}

constexpr Fault kFaults[] = {
    {"accept-reset-not-connected", "accept of a connection that was reset fails with ENOTCONN if an address is asked for",
     "accept.reset_before_accept accept.reset_address", "posix linux",
     "gVisor issue 3780: accept fails on a reset connection, with ENOTCONN; Mellanox/libvma pull request 842",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call) && AsksForAddress(call);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK || !IsReset(provider, result->handle)) return;
       provider.Close(result->handle);
       Fail(result, SP_ENOTCONN);
     }},
    {"accept-reset-fails", "accept of a connection that was reset fails with ECONNRESET",
     "accept.reset_before_accept accept.ready_then_gone", "posix linux", "gVisor issue 3780: accept fails on a reset connection",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK || !IsReset(provider, result->handle)) return;
       provider.Close(result->handle);
       Fail(result, SP_ECONNRESET);
     }},
    {"accept-reset-ends-the-listener", "after a connection was reset in the queue the listener accepts nothing any more",
     "accept.reset_spares_others backlog.withdrawn_queued_others", "posix linux winsock",
     "zephyr issue 114678: after one accept callback with an error every later one on that listener failed",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsAccept(provider, call) && provider.Get(call->handle.value, kMark) != 0) return Fail(result, SP_ECONNABORTED);
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       const bool reset = result->error == SP_ECONNRESET || (result->error == SP_OK && IsReset(provider, result->handle));
       if (ours && reset) provider.Put(call->handle.value, 1, kMark);
     }},
    {"accept-reset-takes-the-next", "with a connection that was reset in the queue the one behind it is lost",
     "accept.reset_spares_others backlog.withdrawn_queued_others", "posix linux winsock",
     "torokernel issue 77: a connection closed before accept left the count of the queue wrong; it was even decremented twice",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       const bool reset = result->error == SP_ECONNRESET || (result->error == SP_OK && IsReset(provider, result->handle));
       if (!ours || !reset || !Waits(provider, call->handle)) return;
       const sp_result next = provider.Accept(call->handle);
       if (next.error == SP_OK) provider.Close(next.handle);
     }},
    {"accept-reset-is-silent", "a connection accepted after a reset shows the end of its stream and no error",
     "accept.reset_told_once accept.reset_pending_error", "linux",
     "lwIP CHANGELOG 2010-02-09, bug #28853: recvfrom() returned 0 for any error of netconn_recv()",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (ours && result->error == SP_OK && IsReset(provider, result->handle)) PendingError(provider, result->handle);
     }},
    {"accept-reset-not-ready", "a connection accepted after a reset is reported neither readable nor broken",
     "accept.reset_is_ready accept.reset_error_and_hangup", "linux",
     "MicrosoftDocs/sdk-api pull request 764: WSAPoll told nothing of a connection that had failed",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t, uint32_t ready) {
         return at.Get(socket.value, kMark) != 0 ? 0u : ready;
       });
       if (ours && result->error == SP_OK && IsReset(provider, result->handle)) provider.Put(result->handle.value, 1, kMark);
     }},
    {"accept-reset-has-no-address", "the address that accept stores for a connection that was reset is all zero",
     "accept.reset_address", "posix linux",
     "asterinas issue 3830: the address of a connection that was reset in the queue was gone; accept stumbled over it",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call) && AsksForAddress(call);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK || !IsReset(provider, result->handle)) return;
       const int32_t family = call->u.accept.peer.address.family;
       call->u.accept.peer.address = sp_address{};
       call->u.accept.peer.address.family = family;
     }},
    {"accept-skips-the-closed", "a connection whose client has closed in order is thrown away by accept",
     "accept.closed_before_accept accept.half_closed_before_accept", "posix linux",
     "elks issue 1051: accept failed for a connection whose FIN had come before; apache/nuttx issue 3384",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       for (;;) {
         provider.Pass(call, result);
         if (!ours || result->error != SP_OK || !IsEnded(provider, result->handle)) return;
         provider.Close(result->handle);
       }
     }},
    {"accept-aborts-the-closed", "accept of a connection whose client has closed in order fails with ECONNABORTED",
     "accept.closed_before_accept", "posix linux winsock",
     "zephyr issue 112419: with data and FIN before accept, accept fails with ECONNABORTED",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK || !IsEnded(provider, result->handle)) return;
       provider.Close(result->handle);
       Fail(result, SP_ECONNABORTED);
     }},
    {"accept-closed-loses-its-data", "what a client sent before it closed is gone if that was before accept",
     "accept.closed_before_accept_end", "posix linux winsock",
     "zephyr issue 112419: valid data that came before the FIN were flushed by accept; apache/nuttx issue 3384",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK || (provider.Ready(result->handle, SP_IN | SP_RDHUP, 0) & SP_RDHUP) == 0) return;
       uint8_t bytes[512];
       while (provider.Recv(result->handle, bytes, sizeof bytes, SP_MSG_DONTWAIT).value > 0) {
       }
     }},
    {"accept-emfile-loses-one", "an accept for which there is no descriptor closes the connection that it was for",
     "accept.descriptor_limit_keeps accept.descriptor_limit_all", "linux",
     "joyent/libuv issue 315: a spare descriptor is closed, the connection accepted with it and closed",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_CLOSE)) {
         if (const int64_t spare = provider.Get(call->handle.value, kMark); spare != 0) {
           provider.Close({SP_HANDLE_SOCKET, 0, spare - 1});
         }
       }
       const bool ours = IsAccept(provider, call);
       const bool waits = ours && Waits(provider, call->handle);
       provider.Pass(call, result);
       const auto keep_spare = [&] {
         sp_call make{};
         make.u.socket.family = provider.Of(call->handle).family;
         make.u.socket.type = SP_STREAM;
         const sp_result spare = provider.Do(SP_OP_SOCKET, {}, &make);
         provider.Put(call->handle.value, spare.error == SP_OK ? spare.handle.value + 1 : 0, kMark);
       };
       if (IsSocketCall(call, SP_OP_LISTEN) && result->error == SP_OK && provider.Get(call->handle.value, kMark) == 0)
         keep_spare();
       const int64_t spare = provider.Get(call->handle.value, kMark);
       if (!ours || !waits || result->error != SP_EMFILE || spare == 0) return;
       provider.Close({SP_HANDLE_SOCKET, 0, spare - 1});
       const sp_result one = provider.Accept(call->handle);
       if (one.error == SP_OK) provider.Close(one.handle);
       keep_spare();
     }},
    {"accept-emfile-is-eagain", "an accept for which there is no descriptor says that nothing waits", "accept.descriptor_limit",
     "posix linux winsock",
     "obsidiansystems/gargoyle pull request 21: accept answered EAGAIN where there was something else to say",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsAccept(provider, call)) TellAs(result, SP_EMFILE, SP_EAGAIN);
     }},
    {"accept-emfile-is-enfile", "an accept for which the process has no descriptor says that the system has none",
     "accept.descriptor_limit", "posix linux winsock",
     "lwIP CHANGELOG 2007-04-05: the error of alloc_socket was first ENOBUFS, then ENFILE",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsAccept(provider, call)) TellAs(result, SP_EMFILE, SP_ENFILE);
     }},
    {"accept-emfile-forgets-readiness",
     "after an accept without a descriptor the listener is not ready until another client comes", "accept.descriptor_limit_ready",
     "linux", "payjoin/rust-payjoin pull request 1608: after EMFILE the accept loop was parked for ever",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t, uint32_t ready) {
         return at.Get(socket.value, kMark) != 0 ? ready & ~uint32_t{SP_IN | SP_RDNORM} : ready;
       });
       if (ours) provider.Put(call->handle.value, result->error == SP_EMFILE ? 1 : 0, kMark);
     }},
    {"accept-failed-leaks", "an accept that fails leaves a descriptor behind", "contract.handles_released close.frees_descriptor",
     "posix linux",
     "zephyr pull request 22579 (Release fd on failure in accept()); demikernel/inetstack issue 134 (Leaking Queue Descriptor in "
     "accept())",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (!ours || result->error == SP_OK || result->error == SP_EMFILE) return;
       sp_call make{};
       make.u.socket.family = SP_INET;
       make.u.socket.type = SP_STREAM;
       provider.Do(SP_OP_SOCKET, {}, &make);
     }},
    {"accept-leaks", "each accept takes two descriptors, and gives one back", "contract.handles_released close.frees_descriptor",
     "posix linux winsock", "kohlschutter/junixsocket pull request 101: accept made a descriptor that nobody closed",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK) return;
       sp_call make{};
       make.u.socket.family = SP_INET;
       make.u.socket.type = SP_STREAM;
       provider.Do(SP_OP_SOCKET, {}, &make);
     }},
};

}  // namespace

const FaultList kAcceptGoneFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
