// Handles: which are open, what a call says about one that is not, duplicates, other processes.
#include <array>

#include "oracle/judge.h"

namespace sockproof::oracle {
namespace {

const char* const kOpenCite = "POSIX.1-2001 close() DESCRIPTION";

const Rule kOpenHandle("handle.open", "A call on an open socket does not say that its handle is not open, or is no socket.", "",
                       kOpenCite);
const Rule kUseAfterClose("handle.closed", "A call on a handle that was closed says that it is not open.", "close.use_after");
const Rule kCloseAgain("handle.close_closed", "Closing a handle that was closed before fails.", "close.bad_descriptor");

struct OfOperation {
  uint32_t op;
  Rule rule;
};

const std::array<OfOperation, 12> kNotOpen{{
    {SP_OP_ACCEPT, {"handle.invalid.accept", "accept on a value that is no open handle fails.", "accept.bad_descriptor"}},
    {SP_OP_BIND, {"handle.invalid.bind", "bind on a value that is no open handle fails.", "bind.bad_descriptor"}},
    {SP_OP_CONNECT, {"handle.invalid.connect", "connect on a value that is no open handle fails.", "connect.bad_handle"}},
    {SP_OP_LISTEN, {"handle.invalid.listen", "listen on a value that is no open handle fails.", "listen.bad_descriptor"}},
    {SP_OP_SHUTDOWN, {"handle.invalid.shutdown", "shutdown of a value that is no open handle fails.", "shutdown.bad_descriptor"}},
    {SP_OP_CLOSE, {"handle.invalid.close", "close of a value that is no open handle fails.", "close.bad_descriptor"}},
    {SP_OP_SEND, {"handle.invalid.send", "send on a value that is no open handle fails.", "message.send_not_open"}},
    {SP_OP_RECV, {"handle.invalid.recv", "recv on a value that is no open handle fails.", "message.recv_not_open"}},
    {SP_OP_GET_OPTION,
     {"handle.invalid.get_option", "getsockopt on a value that is no open handle fails.", "options.get_not_open"}},
    {SP_OP_SET_OPTION,
     {"handle.invalid.set_option", "setsockopt on a value that is no open handle fails.", "options.set_not_open"}},
    {SP_OP_LOCAL_NAME,
     {"handle.invalid.local_name", "getsockname of a value that is no open handle fails.", "bind.name_bad_descriptor"}},
    {SP_OP_PEER_NAME,
     {"handle.invalid.peer_name", "getpeername of a value that is no open handle fails.", "options.peer_name_not_open"}},
}};
const std::array<OfOperation, 11> kNoSocket{{
    {SP_OP_ACCEPT, {"handle.no_socket.accept", "accept on what is no socket fails.", "accept.not_a_socket"}},
    {SP_OP_BIND, {"handle.no_socket.bind", "bind on what is no socket fails.", "bind.not_a_socket"}},
    {SP_OP_CONNECT, {"handle.no_socket.connect", "connect on what is no socket fails.", "connect.not_socket"}},
    {SP_OP_LISTEN, {"handle.no_socket.listen", "listen on what is no socket fails.", "listen.not_a_socket"}},
    {SP_OP_SHUTDOWN, {"handle.no_socket.shutdown", "shutdown of what is no socket fails.", "shutdown.not_a_socket"}},
    {SP_OP_SEND, {"handle.no_socket.send", "send on what is no socket fails.", "message.send_not_socket"}},
    {SP_OP_RECV, {"handle.no_socket.recv", "recv on what is no socket fails.", "message.recv_not_socket"}},
    {SP_OP_GET_OPTION, {"handle.no_socket.get_option", "getsockopt on what is no socket fails.", "options.get_not_socket"}},
    {SP_OP_SET_OPTION, {"handle.no_socket.set_option", "setsockopt on what is no socket fails.", "options.set_not_socket"}},
    {SP_OP_LOCAL_NAME, {"handle.no_socket.local_name", "getsockname of what is no socket fails.", "bind.name_not_a_socket"}},
    {SP_OP_PEER_NAME, {"handle.no_socket.peer_name", "getpeername of what is no socket fails.", "options.peer_name_not_socket"}},
}};

template <std::size_t N>
const Rule* RuleOf(const std::array<OfOperation, N>& rules, uint32_t op) {
  for (const OfOperation& of : rules) {
    if (of.op == op) return &of.rule;
  }
  return nullptr;
}

// Another argument that is wrong on purpose may be what the call answers to.
bool OnlyTheHandleIsWrong(const Operation& call) {
  switch (call.op) {
    case SP_OP_BIND:
    case SP_OP_CONNECT:
      return call.In("address").plain;
    case SP_OP_ACCEPT:
      return !call.arguments.Has("modes") && !call.arguments.Has("condition_pointer") &&
             (!call.arguments.Has("peer") || call.arguments.Get("peer").substr(0, 12) == "valid,valid,");
    case SP_OP_LOCAL_NAME:
    case SP_OP_PEER_NAME:
      return call.arguments.Get("name").substr(0, 12) == "valid,valid,";
    case SP_OP_SEND:
    case SP_OP_RECV:
      return call.arguments.Get("form").empty() && !call.arguments.Has("to");
    case SP_OP_GET_OPTION:
    case SP_OP_SET_OPTION:
      return call.arguments.Get("option") == "SO_ERROR" || call.arguments.Get("option") == "SO_KEEPALIVE";
    case SP_OP_SHUTDOWN: {
      const int64_t how = call.arguments.Number("how", -1);
      return how >= SP_SHUT_RD && how <= SP_SHUT_RDWR;
    }
    default:
      return true;
  }
}

// A socket of which nothing is known but that it is there.
void Unseen(Court& court, const Operation& call, std::string_view word) {
  const Handle made = ReadHandle(word);
  const Id id = court.Make(call, SP_OTHER_FAMILY, SP_OTHER_TYPE);
  court.At(id).unknown = true;
  if (made.valid) court.Open(call.process, made.value, id, call.end);
}

}  // namespace

bool ConcernsHandle(Court& court, const Operation& call) {
  if (!call.handle.valid || call.op == SP_OP_COUNT) return false;
  if (call.handle.kind == SP_HANDLE_INVALID || call.handle.kind == SP_HANDLE_NOT_SOCKET) {
    const bool invalid = call.handle.kind == SP_HANDLE_INVALID;
    const Rule* rule = invalid ? RuleOf(kNotOpen, call.op) : RuleOf(kNoSocket, call.op);
    if (rule != nullptr && OnlyTheHandleIsWrong(call)) court.Allows(*rule, call, NameOf(call));
    return true;
  }
  if (call.handle.kind != SP_HANDLE_SOCKET) return true;
  if (call.subject == kNobody) {
    if (call.ok() && (call.op == SP_OP_ACCEPT || call.op == SP_OP_DUPLICATE)) Unseen(court, call, call.results.Get("handle"));
    for (const auto& [key, text] : call.results.all()) {
      if (key == "passes") Unseen(court, call, text);
    }
    const auto closed = court.model.closed.find({call.process, call.handle.value});
    if (closed == court.model.closed.end() || closed->second > call.begin || !OnlyTheHandleIsWrong(call)) return true;
    // A number that something else than a socket has got meanwhile is no socket.
    if (Is(call, SP_ENOTSOCK) || call.op == SP_OP_GET_MODE || call.op == SP_OP_SET_MODE) return true;
    if (call.op == SP_OP_CLOSE) {
      court.Allows(kCloseAgain, call, NameOf(call));
    } else {
      court.Allows(kUseAfterClose, call, NameOf(call));
    }
    return true;
  }
  Socket& socket = court.At(call.subject);
  if (!Is(call, SP_EBADF) && !Is(call, SP_ENOTSOCK)) {
    if (!socket.unknown) court.Fired(kOpenHandle);
    return false;
  }
  if (call.op == SP_OP_DUPLICATE || call.op == SP_OP_SEND || call.op == SP_OP_SET_OPTION) return true;  // another handle is meant
  // The number may have been given up, and taken by something else, while the call was on its way.
  const bool open = court.model.Find(call.process, call.handle.value) == call.subject;
  if (open && court.Alone(socket) && Court::Stable(socket, call) && !socket.shared) court.Holds(kOpenHandle, call, false);
  court.Forget(call.subject);
  return true;
}

void EndSocket(Court& court, const Operation& call) {
  if (!call.ok()) return;
  const auto family = FamilyByName(call.arguments.Get("family"));
  const Handle made = ReadHandle(call.results.Get("handle"));
  if (!made.valid) return;
  const Id id =
      court.Make(call, family.value_or(SP_OTHER_FAMILY), static_cast<int32_t>(call.arguments.Number("type", SP_STREAM)));
  Socket& socket = court.At(id);
  const auto modes = ModesByName(call.arguments.Get("modes"));
  socket.nonblocking.Set((modes.value_or(0) & SP_NONBLOCKING) != 0, call.end);
  if (!ConnectionMode(socket) || socket.family == SP_CONNDATA) socket.odd = true;
  court.Open(call.process, made.value, id, call.end);
}

void EndSocketpair(Court& court, const Operation& call) {
  if (!call.ok()) return;
  const auto family = FamilyByName(call.arguments.Get("family"));
  const auto modes = ModesByName(call.arguments.Get("modes"));
  Id pair[2];
  int end = 0;
  for (const char* key : {"handle", "second"}) {
    const Handle made = ReadHandle(call.results.Get(key));
    if (!made.valid) return;
    const Id id = court.Make(call, family.value_or(SP_UNIX), static_cast<int32_t>(call.arguments.Number("type", SP_STREAM)));
    Socket& socket = court.At(id);
    socket.phases = kConnected;
    socket.pair = true;
    socket.nonblocking.Set((modes.value_or(0) & SP_NONBLOCKING) != 0, call.end);
    court.Open(call.process, made.value, id, call.end);
    pair[end++] = id;
  }
  court.At(pair[0]).peer = pair[1];
  court.At(pair[1]).peer = pair[0];
}

void EndDuplicate(Court& court, const Operation& call) {
  if (!call.ok() || call.subject == kNobody) return;
  const Handle made = ReadHandle(call.results.Get("handle"));
  if (!made.valid) return court.Forget(call.subject);
  if (court.model.Find(call.process, made.value) == call.subject) return;
  // dup2 closes what had the number.
  if (const Id old = court.model.Find(call.process, made.value); old != kNobody) {
    Socket& closed = court.At(old);
    closed.closed.Begin(call.begin);
    if (--closed.handles > 0) closed.shared = true;
    court.model.open.erase({call.process, made.value});
    court.Forget(old);
  }
  ++court.At(call.subject).handles;
  court.Open(call.process, made.value, call.subject, call.end);
}

void EndFork(Court& court, const Operation& call) {
  if (!call.ok()) return;
  const auto child = static_cast<int>(call.results.Number("process", 0));
  std::vector<std::pair<int64_t, Id>> copied;
  for (const auto& [key, id] : court.model.open) {
    if (key.first == call.process) copied.emplace_back(key.second, id);
  }
  for (const auto& [handle, id] : copied) {
    court.model.open[{child, handle}] = id;
    court.At(id).shared = true;
    ++court.At(id).handles;
  }
  for (auto& [key, watcher] : court.model.watchers) {
    if (key.first == call.process) watcher.unknown = true;
  }
}

}  // namespace sockproof::oracle
