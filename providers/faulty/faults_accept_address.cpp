// Faults of the address that accept stores.
#include <algorithm>
#include <cstring>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

// accept as it should be; `wrong` then spoils the address, if one was asked for and came.
void AcceptWith(Wrapped& provider, sp_call* call, sp_result* result,
                void (*wrong)(Wrapped&, sp_call*, sp_result*, sp_address_out*)) {
  const bool ours = IsAccept(provider, call) && AsksForAddress(call);
  provider.Pass(call, result);
  if (ours && result->error == SP_OK) wrong(provider, call, result, &call->u.accept.peer);
}

// As if no address had been asked for; nothing is stored then.
void AcceptWithout(Wrapped& provider, sp_call* call, sp_result* result) {
  const sp_address_out asked = call->u.accept.peer;
  call->u.accept.peer.kind = call->u.accept.peer.length_kind = SP_POINTER_NULL;
  call->u.accept.peer.length = SP_NATURAL_LENGTH;
  provider.Pass(call, result);
  call->u.accept.peer = asked;
}

int32_t Room(const sp_address_out& peer) { return peer.length == SP_NATURAL_LENGTH ? peer.raw_size : peer.length; }

constexpr Fault kFaults[] = {
    {"accept-address-of-the-listener", "accept stores the listener's own address", "accept.peer_address", "posix linux winsock",
     "gramineproject/gramine pull request 412: the address came from the listening socket",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped& at, sp_call* made, sp_result*, sp_address_out* peer) {
         if (const auto name = at.LocalName(made->handle); name) peer->address = *name;
       });
     }},
    {"accept-address-absent", "accept stores no address, and leaves the length as it was",
     "accept.peer_address accept.reported_length", "posix linux winsock",
     "lwIP CHANGELOG 2007-08-16: lwip_accept() did not look whether netconn_peer() had failed",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!IsAccept(provider, call) || !AsksForAddress(call)) return provider.Pass(call, result);
       AcceptWithout(provider, call, result);
       call->u.accept.peer.reported = Room(call->u.accept.peer);
       call->u.accept.peer.decoded = 0;
     }},
    {"accept-address-all-zero", "the address that accept stores is all zero but for its family", "accept.peer_address",
     "posix linux winsock", "emscripten issue 4008: names of sockets came back as 0.0.0.0:0",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped&, sp_call*, sp_result*, sp_address_out* peer) {
         const int32_t family = peer->address.family;
         peer->address = sp_address{};
         peer->address.family = family;
       });
     }},
    {"accept-address-of-the-former", "accept stores the address of the client before", "accept.peer_address",
     "posix linux winsock", "no report found: what is left in a variable that several accepts share",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped& at, sp_call*, sp_result*, sp_address_out* peer) {
         const std::lock_guard<std::mutex> lock(at.mutex());
         std::vector<uint8_t>& last = at.bytes[0];
         const sp_address now = peer->address;
         if (last.size() == sizeof now) std::memcpy(&peer->address, last.data(), sizeof now);
         last.resize(sizeof now);
         std::memcpy(last.data(), &now, sizeof now);
       });
     }},
    {"accept-port-in-host-order", "the port that accept stores is in the host's byte order", "accept.peer_address",
     "posix linux winsock", "lwIP CHANGELOG 2009-10-15, bug #27704: an address in host byte order in place of network byte order",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped&, sp_call*, sp_result*, sp_address_out* peer) {
         peer->address.port = static_cast<uint16_t>(peer->address.port << 8 | peer->address.port >> 8);
         if (peer->address.family == SP_UNIX && peer->address.path_length > 0) --peer->address.path_length;
       });
     }},
    {"accept-address-v4-to-v6", "an IPv6 listener gives the address of an IPv4 client in the form of IPv4", "accept.mapped_peer",
     "posix linux winsock",
     "no report found as a bug: RFC 3493 3.7; asterinas pull request 3515 adds the mapping where addresses are handed out",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped&, sp_call*, sp_result*, sp_address_out* peer) {
         static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
         sp_address& address = peer->address;
         if (address.family != SP_INET6 || std::memcmp(address.bytes, kMapped, sizeof kMapped) != 0) return;
         std::memmove(address.bytes, address.bytes + 12, 4);
         std::fill(address.bytes + 4, address.bytes + 16, uint8_t{0});
         address.family = SP_INET;
       });
     }},
    {"accept-length-not-written", "accept leaves the length as it was passed", "accept.reported_length", "posix linux winsock",
     "adaptivecomputing/torque pull request 424 shows what a caller that trusts the length comes to",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result,
                  [](Wrapped&, sp_call*, sp_result*, sp_address_out* peer) { peer->reported = Room(*peer); });
     }},
    {"accept-length-zero-when-short", "with too little room accept says that the address has no length",
     "accept.short_address_length", "posix linux", "Mellanox/libvma pull request 690: the length for an address that was cut",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped&, sp_call*, sp_result*, sp_address_out* peer) {
         if (peer->reported > Room(*peer)) peer->reported = 0;
       });
     }},
    {"accept-length-of-what-was-stored", "with too little room accept says how much it stored, not how long the address is",
     "accept.short_address_length", "linux", "Mellanox/libvma pull request 690: the length for an address that was cut",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped&, sp_call*, sp_result*, sp_address_out* peer) {
         peer->reported = std::min(peer->reported, Room(*peer));
       });
     }},
    {"accept-address-overruns", "accept stores the whole address, however little room there is",
     "accept.short_address_is_truncated contract.output_within_length", "posix linux",
     "Mellanox/libvma pull request 690: an address was copied without regard to the buffer's length",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       sp_address_out& peer = call->u.accept.peer;
       if (!IsAccept(provider, call) || !AsksForAddress(call) || peer.length < 0 || peer.length >= peer.raw_size) {
         return provider.Pass(call, result);
       }
       const int32_t room = peer.length;
       peer.length = peer.raw_size;
       provider.Pass(call, result);
       peer.length = room;
     }},
    {"accept-clears-the-buffer", "accept fills what the address leaves of the buffer with zeros", "accept.long_buffer_untouched",
     "posix linux", "no report found: accept(2) and POSIX.1 speak of the address alone",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped&, sp_call*, sp_result*, sp_address_out* peer) {
         const int32_t room = std::min(Room(*peer), peer->raw_size);
         if (peer->reported >= 0 && peer->reported < room) {
           std::memset(peer->raw + peer->reported, 0, static_cast<std::size_t>(room - peer->reported));
         }
       });
     }},
    {"accept-refuses-short-room", "with too little room for the address accept fails, and the connection is lost",
     "accept.short_address_keeps_connection", "posix linux",
     "Haivision/srt pull request 1884: accept failed when the address did not fit, and leaked the connection",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped& at, sp_call*, sp_result* made, sp_address_out* peer) {
         if (peer->reported <= Room(*peer)) return;
         at.Close(made->handle);
         Fail(made, SP_EINVAL);
       });
     }},
    {"accept-null-address-fails", "accept without an address fails with EFAULT", "accept.null_address", "posix linux winsock",
     "sslab-gatech/opensgx issue 13: accept with null pointers, which are permitted, ended in a segmentation fault",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsAccept(provider, call) && call->u.accept.peer.kind == SP_POINTER_NULL) return Fail(result, SP_EFAULT);
       provider.Pass(call, result);
     }},
    {"accept-negative-length-taken", "accept takes a negative address length for none", "accept.negative_length", "linux winsock",
     "no report found: accept(2), EINVAL: addrlen is invalid (e.g., is negative)",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int32_t length = call->u.accept.peer.length;
       const bool ours = IsAccept(provider, call) && AsksForAddress(call) && length != SP_NATURAL_LENGTH && length < 0;
       if (!ours) return provider.Pass(call, result);
       AcceptWithout(provider, call, result);
       call->u.accept.peer.reported = length;
     }},
    {"accept-bad-pointer-taken", "accept leaves the address away where it cannot be written to", "accept.bad_address_pointer",
     "linux winsock", "no report found: accept(2), EFAULT",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!IsAccept(provider, call) || call->u.accept.peer.kind != SP_POINTER_INVALID) return provider.Pass(call, result);
       AcceptWithout(provider, call, result);
     }},
    {"accept-unnamed-has-full-length", "the address of an AF_UNIX client without a name has the length of the whole structure",
     "accept.unnamed_peer", "linux",
     "gramineproject/gramine pull request 74: names of AF_UNIX sockets, and their lengths, were wrong",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped&, sp_call*, sp_result*, sp_address_out* peer) {
         if (peer->address.family == SP_UNIX && peer->address.path_length == 0) peer->reported = 110;
       });
     }},
    {"accept-path-without-its-end", "the length of the address of an AF_UNIX client leaves the terminating null byte out",
     "accept.named_peer", "linux",
     "gramineproject/gramine pull request 74: names of AF_UNIX sockets, and their lengths, were wrong",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWith(provider, call, result, [](Wrapped&, sp_call*, sp_result*, sp_address_out* peer) {
         if (peer->address.family == SP_UNIX && peer->address.path_length > 0) --peer->reported;
       });
     }},
    {"accept-failure-clears-length", "an accept that fails sets the length to zero", "accept.length_unchanged_on_error", "linux",
     "no report found: accept(2) speaks of the length for the address that is returned",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsSocketCall(call, SP_OP_ACCEPT) && AsksForAddress(call) && result->error != SP_OK) call->u.accept.peer.reported = 0;
     }},
};

}  // namespace

const FaultList kAcceptAddressFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
