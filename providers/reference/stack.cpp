#include "reference/stack.h"

#include <algorithm>
#include <utility>

#include "reference/datagram_socket.h"

namespace sockproof::reference {

Stack::Stack(const Profile& profile)
    : profile_(profile),
      scheduler_(0),
      network_(&scheduler_),
      tcp_(std::make_unique<Tcp>(&scheduler_, &network_, profile.tcp)),
      ports_(&scheduler_, profile.conflict),
      plain_file_(std::make_shared<PlainFile>()),
      operations_(&scheduler_),
      session_(profile.capabilities.count(SP_CAP_SESSION) != 0) {
  const TcpPolicy& tcp = tcp_->policy();
  knobs_ = {{SP_KNOB_BACKLOG_MAX, profile.backlog_most},
            {SP_KNOB_SYN_RETRIES, tcp.syn_retries},
            {SP_KNOB_SYNACK_RETRIES, tcp.syn_ack_retries},
            {SP_KNOB_SYN_COOKIES, 0},
            {SP_KNOB_ABORT_ON_OVERFLOW, 0},
            {SP_KNOB_FIN_TIMEOUT, tcp.fin_wait_2 / kSecond},
            {SP_KNOB_MAX_SYN_BACKLOG, tcp.half_open_maximum},
            {SP_KNOB_RTO_MAX_MS, tcp.rto_maximum / kMillisecond},
            {SP_KNOB_PORT_RANGE_LOW, 32768},
            {SP_KNOB_PORT_RANGE_HIGH, 60999},
            {SP_KNOB_TIME_WAIT_REUSE, 2},
            {SP_KNOB_UNIX_BACKLOG_MAX, 10},
            {SP_KNOB_ORPHAN_RETRIES, 0},
            {SP_KNOB_RETRIES2, tcp.data_retries}};
  network_.SetReceiver(Protocol::kUdp, [this](const Packet& packet) {
    if (packet.protocol == Protocol::kIcmp) {
      ReceiveUnreachable(this, packet);
    } else {
      ReceiveDatagram(this, packet);
    }
  });
  network_.SetFilter([this](const Packet& packet) {
    if (silenced_.empty()) return false;
    const void* owner = tcp_->OwnerOf(packet);
    return owner != nullptr && silenced_.count(owner) != 0;
  });
}

Stack::~Stack() { ending_ = true; }

int32_t Stack::Block(const std::function<bool()>& ready, int64_t limit, int32_t late, const std::string& what) {
  if (ending_) return late;
  const int64_t deadline = limit < 0 ? kNever : scheduler_.Now() + limit;
  switch (scheduler_.WaitUntil(ready, deadline, what, true)) {
    case Scheduler::Woken::kReady:
      return SP_OK;
    case Scheduler::Woken::kTimedOut:
      return late;
    default:
      return SP_EDEADLK;
  }
}

int32_t Stack::CheckAddress(const AddressArgument& argument, int32_t family, bool binding) const {
  const sp_address& address = argument.address;
  const int32_t wrong_length = profile_.address_lengths_are_faults ? SP_EFAULT : SP_EINVAL;
  if (argument.length < (family == SP_INET6 ? kInet6LeastLength : family == SP_CONNDATA ? kConnDataLength : kInetLength))
    return wrong_length;
  if (address.family == family) return SP_OK;
  // bind's old habit: no family, and the wildcard address, mean AF_INET (Linux: inet_bind).
  const bool wildcard = std::all_of(address.bytes, address.bytes + 4, [](uint8_t byte) { return byte == 0; });
  if (binding && family == SP_INET && address.family == SP_UNSPEC && wildcard && profile_.binds_unspecified) return SP_OK;
  return binding ? profile_.wrong_family_bind : profile_.connect_wrong_family;
}

int32_t Stack::TakeBuffer() {
  if (buffers_left_ < 0) return SP_OK;
  if (buffers_left_ == 0) return SP_ENOBUFS;
  --buffers_left_;
  return SP_OK;
}

int32_t Stack::SetLimit(int32_t limit, int64_t headroom) {
  switch (limit) {
    case SP_LIMIT_HANDLES:
      handles_.LimitTo(headroom);
      return SP_OK;
    case SP_LIMIT_SYSTEM_HANDLES:
      handles_.LimitSystemTo(headroom);
      return SP_OK;
    case SP_LIMIT_BUFFERS:
      buffers_left_ = headroom;
      return SP_OK;
    default:
      return SP_NOT_SUPPORTED;
  }
}

int32_t Stack::SetKnob(int32_t knob, int64_t value) {
  if (!HasKnob(knob)) return SP_NOT_SUPPORTED;
  knobs_[knob] = value;
  ApplyKnob(knob, value);
  return SP_OK;
}

void Stack::ApplyKnob(int32_t knob, int64_t value) {
  TcpPolicy& policy = tcp_->policy();
  switch (knob) {
    case SP_KNOB_SYN_RETRIES:
      policy.syn_retries = static_cast<int>(value);
      break;
    case SP_KNOB_SYNACK_RETRIES:
      policy.syn_ack_retries = static_cast<int>(value);
      break;
    case SP_KNOB_FIN_TIMEOUT:
      policy.fin_wait_2 = value * kSecond;
      break;
    case SP_KNOB_MAX_SYN_BACKLOG:
      policy.half_open_maximum = static_cast<int>(value);
      break;
    case SP_KNOB_RTO_MAX_MS:
      policy.rto_maximum = value * kMillisecond;
      break;
    case SP_KNOB_ORPHAN_RETRIES:
      policy.orphan_retries = value == 0 ? 8 : static_cast<int>(value);  // 0 is 8 (tcp_orphan_retries)
      break;
    case SP_KNOB_RETRIES2:
      policy.data_retries = static_cast<int>(value);
      break;
    case SP_KNOB_PORT_RANGE_LOW:
    case SP_KNOB_PORT_RANGE_HIGH:
      ports_.SetRange(knobs_[SP_KNOB_PORT_RANGE_LOW], knobs_[SP_KNOB_PORT_RANGE_HIGH]);
      break;
    default:
      break;  // read where it matters
  }
}

uint64_t Stack::TakePipeSignals() { return std::exchange(pipe_signals_, 0); }
uint64_t Stack::TakeIoSignals() { return std::exchange(io_signals_, 0); }

}  // namespace sockproof::reference
