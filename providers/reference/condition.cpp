#include "reference/condition.h"

#include <algorithm>
#include <array>

#include "reference/address.h"
#include "reference/connect_data.h"

namespace sockproof::reference {

// Windows Sockets 2, WSAAccept function (winsock2.h), Remarks; LPWSPACCEPT callback function (ws2spi.h), Remarks.
ConditionAnswer AskCondition(const TcpListener::Request& request, int32_t family, const sp_accept_args& args) {
  ConnectData caller = Unpack(request.caller_data);
  const sp_address from = ToAddress(request.ends.remote, family), to = ToAddress(request.ends.local, family);

  sp_condition_request asked{};
  asked.size = sizeof asked;
  asked.same_thread = 1;
  asked.has_caller = asked.has_callee = 1;
  asked.caller = from;
  asked.callee = to;
  asked.caller_length = LengthOf(from);
  asked.callee_length = LengthOf(to);
  const auto sent = static_cast<uint32_t>(caller.bytes.size());
  if (sent > 0) asked.caller_data = {1, SP_POINTER_VALID, sent, sent, caller.bytes.data()};  // else NULL
  // A length of zero says that nothing can be passed back; there is no buffer then.
  std::array<uint8_t, kMostConnectData> reply{};
  asked.callee_data = {1, SP_POINTER_VALID, 0, 0, nullptr};
  if (family == SP_CONNDATA) {
    asked.callee_data = {1, SP_POINTER_VALID, static_cast<uint32_t>(reply.size()), static_cast<uint32_t>(reply.size()),
                         reply.data()};
  }
  if (caller.qos) {
    asked.has_qos = 1;
    asked.qos = *caller.qos;
  }
  asked.callback_data = args.callback_data;

  ConditionAnswer answer;
  answer.verdict = args.condition(args.condition_context, &asked);
  answer.group_is_valid = asked.group == 0;  // no groups can be made here, so none can be joined
  ConnectData back;
  if (asked.callee_data.data != nullptr) {
    const std::size_t length = std::min<std::size_t>(asked.callee_data.length, reply.size());
    back.bytes.assign(reply.begin(), reply.begin() + static_cast<std::ptrdiff_t>(length));
  }
  answer.payload = Pack(back);
  return answer;
}

}  // namespace sockproof::reference
