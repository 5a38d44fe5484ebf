#include "reference/connect_data.h"

#include <algorithm>
#include <cstring>

#include "reference/socket.h"

namespace sockproof::reference {
namespace {

constexpr uint8_t kPlain = 0, kWithQos = 1;
constexpr uint32_t kNotSpecified = UINT32_MAX;
constexpr uint32_t kMostRate = 1'000'000'000;  // bytes a second that this network promises to carry

constexpr uint32_t sp_qos::*kQosMembers[] = {&sp_qos::send_rate,    &sp_qos::send_peak,    &sp_qos::send_latency,
                                             &sp_qos::receive_rate, &sp_qos::receive_peak, &sp_qos::receive_latency};
constexpr std::size_t kQosSize = 4 * (sizeof kQosMembers / sizeof kQosMembers[0]);

bool CanPromise(const sp_qos& qos) {
  return std::all_of(std::begin(kQosMembers), std::end(kQosMembers), [&](uint32_t sp_qos::*member) {
    const bool latency = member == &sp_qos::send_latency || member == &sp_qos::receive_latency;
    return latency || qos.*member == kNotSpecified || qos.*member <= kMostRate;
  });
}

}  // namespace

std::vector<uint8_t> Pack(const ConnectData& data) {
  std::vector<uint8_t> payload;
  if (!data.qos && data.bytes.empty()) return payload;
  payload.push_back(data.qos ? kWithQos : kPlain);
  if (data.qos) {
    for (uint32_t sp_qos::*member : kQosMembers) {
      for (int shift = 24; shift >= 0; shift -= 8) payload.push_back(static_cast<uint8_t>((*data.qos).*member >> shift));
    }
  }
  payload.insert(payload.end(), data.bytes.begin(), data.bytes.end());
  return payload;
}

ConnectData Unpack(const std::vector<uint8_t>& payload) {
  ConnectData data;
  if (payload.empty()) return data;
  std::size_t at = 1;
  if (payload[0] == kWithQos && payload.size() >= 1 + kQosSize) {
    sp_qos qos{};
    for (uint32_t sp_qos::*member : kQosMembers) {
      for (int i = 0; i < 4; ++i) qos.*member = qos.*member << 8 | payload[at++];
    }
    data.qos = qos;
  }
  data.bytes.assign(payload.begin() + static_cast<std::ptrdiff_t>(at), payload.end());
  return data;
}

int32_t ReadConnectData(const Socket& socket, const sp_connect_args& args, ConnectData* out) {
  if (args.has_group_qos != 0) return SP_EINVAL;
  const bool carries = socket.family() == SP_CONNDATA;
  if (args.has_qos != 0) {
    if (!carries || !CanPromise(args.qos)) return SP_EOPNOTSUPP;
    out->qos = args.qos;
  }
  const sp_user_data& caller = args.caller_data;
  if (caller.present == 0 || caller.length == 0 || socket.type() == SP_DATAGRAM) return SP_OK;
  if (!carries) return SP_EPROTONOSUPPORT;
  if (caller.kind != SP_POINTER_VALID || caller.data == nullptr || caller.length > kMostConnectData) return SP_EFAULT;
  out->bytes.assign(caller.data, caller.data + caller.length);
  return SP_OK;
}

int32_t GiveConnectData(const std::vector<uint8_t>& bytes, sp_user_data* out) {
  const uint32_t room = std::min(out->length, out->capacity);
  out->length = 0;
  if (bytes.empty()) return SP_OK;
  if (bytes.size() > room || out->kind != SP_POINTER_VALID || out->data == nullptr) return SP_EFAULT;
  std::memcpy(out->data, bytes.data(), bytes.size());
  out->length = static_cast<uint32_t>(bytes.size());
  return SP_OK;
}

}  // namespace sockproof::reference
