// Faults that break what every call promises, and those that only threads can see.
#include <cstring>

#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

bool Received(const sp_call* call, const sp_result* result) {
  return Is(call, SP_OP_RECV) && result->error == SP_OK && result->value > 0 && (call->u.recv.flags & SP_MSG_TRUNC) == 0;
}

void CountMoreThanRoom(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const auto room = static_cast<int64_t>(TotalLength(Args(call)));
  if (Received(call, result) && result->value == room) result->value = room + 1;
}

void CountBelowZero(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Received(call, result) && provider.Add(call->handle.value, 1) == 2) result->value = -3;
}

void SendMoreThanGiven(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_SEND) && result->error == SP_OK && result->value == static_cast<int64_t>(TotalLength(call->u.send)) &&
      result->value > 0) {
    ++result->value;
  }
}

// Writes behind what was received, in the room that there is.
template <uint64_t kBytes>
void WriteBehind(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Received(call, result)) return;
  for (uint64_t i = 0; i < kBytes; ++i) {
    uint8_t* at = ByteAt(call->u.recv, static_cast<uint64_t>(result->value) + i);
    if (at != nullptr) *at = 0;
  }
}

// Writes a byte behind the room itself.
void WriteBeyondRoom(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const auto room = static_cast<int64_t>(TotalLength(Args(call)));
  if (!Received(call, result) || result->value != room || call->u.recv.buffer_count != 1) return;
  static_cast<volatile uint8_t*>(call->u.recv.buffers[0].data)[room] = 0;
}

void WriteSource(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_SEND) || result->error != SP_OK || result->value <= 0) return;
  if (uint8_t* first = ByteAt(call->u.send, 0)) *first ^= 0xff;
}

void WriteName(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const bool asks = Is(call, SP_OP_LOCAL_NAME) || Is(call, SP_OP_PEER_NAME);
  sp_address_out& name = call->u.local_name.name;
  if (!asks || result->error != SP_OK || name.kind != SP_POINTER_VALID || name.length != SP_NATURAL_LENGTH || name.reported < 0)
    return;
  if (name.reported < name.raw_size) name.raw[name.reported] = 0;
}

void ClearNameTail(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_ACCEPT) || result->error != SP_OK) return;
  sp_address_out& peer = call->u.accept.peer;
  if (peer.kind == SP_POINTER_VALID && peer.length == SP_NATURAL_LENGTH && peer.reported >= 0 && peer.reported < peer.raw_size) {
    std::memset(peer.raw + peer.reported, 0, static_cast<std::size_t>(std::min(peer.raw_size - peer.reported, 16)));
  }
}

void NoHandle(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_ACCEPT) || result->error != SP_OK) return;
  provider.Close(result->handle);
  result->handle = {SP_HANDLE_SOCKET, 0, -1};
}

void LeakPerConnection(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_ACCEPT) || result->error != SP_OK) return;
  sp_call make{};
  make.u.socket.family = SP_INET;
  make.u.socket.type = SP_DATAGRAM;
  provider.Do(SP_OP_SOCKET, sp_handle{}, &make);
}

// What one socket has received, another one of the same name gets as well: the last datagram, and who has had it.
void TwoGetOne(Wrapped& provider, sp_call* call, sp_result* result) {
  constexpr int64_t kLast = -1;
  const bool datagram =
      Is(call, SP_OP_RECV) && provider.Of(call->handle).type == SP_DATAGRAM && ByteAt(call->u.recv, 0) != nullptr;
  provider.Pass(call, result);
  if (!datagram) return;
  const std::optional<sp_address> name = provider.LocalName(call->handle);
  if (!name) return;
  const std::lock_guard<std::mutex> lock(provider.mutex());
  std::vector<uint8_t>& last = provider.bytes[kLast];
  std::vector<sp_handle>& owner = provider.handles[kLast];
  if (result->error == SP_OK && result->value > 0) {
    last.assign(ByteAt(call->u.recv, 0),
                ByteAt(call->u.recv, 0) + std::min<int64_t>(result->value, static_cast<int64_t>(call->u.recv.buffers[0].length)));
    owner.assign(1, sp_handle{name->port, 0, call->handle.value});
  } else if (result->error == SP_EAGAIN && owner.size() == 1 && owner[0].kind == name->port &&
             owner[0].value != call->handle.value && last.size() <= call->u.recv.buffers[0].length) {
    std::memcpy(ByteAt(call->u.recv, 0), last.data(), last.size());
    Succeed(result, static_cast<int64_t>(last.size()));
    owner.clear();
  }
}

constexpr Fault kFaults[] = {
    {"recv-counts-beyond-room", "a recv that fills its room counts one byte more", "contract.possible_result", "posix",
     "lwIP CHANGELOG, bug #22110: recv() accounts for data that the application did not receive", CountMoreThanRoom},
    {"recv-counts-below-zero", "the second recv of a connection succeeds with -3", "contract.possible_result data.intact",
     "posix", "lwIP CHANGELOG, bug #41729: some socket functions return Exyz instead of -1", CountBelowZero},
    {"send-counts-beyond-given", "a send of everything counts one byte more", "contract.possible_result data.count_is_true",
     "posix", "lwIP CHANGELOG, bug #27215: the sent() callback counts the SYN and the FIN as a byte each", SendMoreThanGiven},
    {"recv-writes-one-behind", "recv writes one byte behind what it returns", "contract.output_within_length", "posix",
     "no report found: POSIX.1 recv() writes no more than the message", WriteBehind<1>},
    {"recv-writes-many-behind", "recv writes 64 bytes behind what it returns", "contract.output_within_length", "posix",
     "yrmcds issue 12: a memory corruption in the socket's vector of buffers", WriteBehind<64>},
    {"recv-writes-beyond-room", "a recv that fills its room writes one byte beyond it", "contract.output_within_length", "posix",
     "paho.mqtt.c pull request 357: a return value of the socket layer leads to writes beyond an array", WriteBeyondRoom},
    {"send-writes-its-buffer", "send changes the first byte of what it was given to send", "contract.input_untouched", "posix",
     "lwIP CHANGELOG, bug #20429: copying illegally modified the buffer that it read", WriteSource},
    {"name-writes-one-behind", "a name is followed by a byte that its length does not count",
     "contract.output_within_length bind.name_roomy", "posix",
     "no report found: unix(7) warns of the terminating null byte that may stand behind a name", WriteName},
    {"accept-clears-behind-address", "accept clears 16 bytes behind the address",
     "contract.output_within_length accept.long_buffer_untouched", "posix",
     "lwIP CHANGELOG, bug #31385: a struct sockaddr of 30 bytes where it should have 16", ClearNameTail},
    {"accept-without-handle", "accept succeeds and returns no socket",
     "accept.returns_connection accept.data_both_ways accept.own_descriptor", "posix winsock",
     "lwIP CHANGELOG, patch #5146: allocation failures in accept() were not handled", NoHandle},
    {"handle-leaks-per-connection", "each accept opens a descriptor that nobody knows of",
     "contract.handles_released close.frees_descriptor", "posix winsock",
     "bun pull request 37427: descriptors were left open with nobody knowing their numbers", LeakPerConnection},
    {"datagram-for-two", "a datagram comes to a second socket of the same address as well", "bind.share_spread_udp", "linux",
     "lwIP CHANGELOG, 2010-05-13: SO_REUSE_RXTOALL passes a datagram to more than one pcb", TwoGetOne},
};

}  // namespace

const FaultList kContractFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
