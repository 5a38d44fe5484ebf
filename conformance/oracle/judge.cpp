#include "oracle/judge.h"

#include <fmt/format.h>

namespace sockproof::oracle {
namespace {

// Calls after which a socket may be something else than before.
bool MayChange(const Socket& socket, uint32_t op) {
  switch (op) {
    case SP_OP_BIND:
    case SP_OP_LISTEN:
    case SP_OP_CONNECT:
    case SP_OP_DISCONNECT:
    case SP_OP_CLOSE:
      return true;
    case SP_OP_SHUTDOWN:
      return socket.phases != kConnected;
    default:
      return false;
  }
}

// Calls that may take away what made the socket ready.
bool Consumes(const Operation& call) {
  switch (call.op) {
    case SP_OP_RECV:
    case SP_OP_ACCEPT:
    case SP_OP_SEND:  // takes a pending error
    case SP_OP_CONNECT:
    case SP_OP_LISTEN:
    case SP_OP_SHUTDOWN:
    case SP_OP_CLOSE:
    case SP_OP_DISCONNECT:
      return true;
    case SP_OP_GET_OPTION:
      return call.arguments.Get("option") == "SO_ERROR";
    case SP_OP_SET_OPTION:
      return true;  // a low-water mark, urgent data inline
    default:
      return false;
  }
}

bool IsWatch(uint32_t op) { return op >= SP_OP_WATCH_CREATE && op <= SP_OP_WATCH_CLOSE; }

}  // namespace

bool ConnectionMode(const Socket& socket) { return socket.type == SP_STREAM || socket.type == SP_SEQPACKET; }

Court::Court(int profile, bool whole) : profile_(profile) {
  model.whole = whole;
  // A rule's own citation is one of POSIX.1.
  const Catalogue& catalogue = TheCatalogue();
  for (int at = profile; at >= 0;) {
    const Profile& of = catalogue.profiles[at];
    posix_ = posix_ || std::string_view(of.name) == "posix";
    at = of.inherits != nullptr ? catalogue.ProfileNumber(of.inherits) : -1;
  }
  judgement.fired.resize(Rule::All().size());
}

bool Court::Speaks(const Rule& rule) const {
  return *rule.requirement_id() == '\0' ? posix_
                                        : (rule.requirement() != nullptr && rule.requirement()->For(profile_) != nullptr);
}

bool Court::Lists(const Rule& rule, std::string_view outcome) const {
  const Requirement* requirement = rule.requirement();
  const Entry* entry = requirement != nullptr ? requirement->For(profile_) : nullptr;
  return entry != nullptr && entry->allow.Contains(outcome);
}

bool Court::Allows(const Rule& rule, const Operation& call, std::string_view outcome, std::string detail) {
  const Requirement* requirement = rule.requirement();
  const Entry* entry = requirement != nullptr ? requirement->For(profile_) : nullptr;
  const bool own = *rule.requirement_id() == '\0';
  if (own ? !posix_ : entry == nullptr) return true;
  if (ScarceAnswer(call)) return true;
  ++judgement.fired[rule.number()];
  judged_ = true;
  if (own ? outcome == "holds" : entry->allow.Contains(outcome)) return true;
  // What a document leaves open, or nobody has written down, is no violation; but what follows from it is not known either.
  const Level level = own ? Level::kMust : entry->level;
  if (level >= Level::kShould) {
    Violation violation;
    violation.rule = &rule;
    violation.level = level;
    violation.outcome = std::string(outcome);
    if (own) {
      violation.allowed = {"holds"};
    } else {
      for (const char* item : entry->allow) violation.allowed.emplace_back(item);
    }
    violation.citation = rule.Citation(profile_);
    violation.call = call.Text();
    violation.detail = std::move(detail);
    violation.line = now;
    judgement.violations.push_back(std::move(violation));
  }
  if (call.subject != kNobody) Forget(call.subject);
  return false;
}

bool Court::ScarceAnswer(const Operation& call) const {
  switch (call.error) {
    case SP_ENOBUFS:
    case SP_ENOMEM:
    case SP_EMFILE:
    case SP_ENFILE:
      return model.limited;
    case SP_NOTINITIALISED:  // what becomes of the session is not in the trace
    case SP_ECANCELED:
    case SP_NOT_SUPPORTED:
      return true;
    default:
      return false;
  }
}

Socket* Court::Of(const Operation& call) {
  if (call.subject == kNobody) return nullptr;
  Socket& socket = At(call.subject);
  return socket.unknown ? nullptr : &socket;
}

Id Court::Make(const Operation& call, int32_t family, int32_t type) {
  const Id id = static_cast<Id>(model.sockets.size());
  model.sockets.emplace_back();
  Socket& socket = model.sockets.back();
  socket.family = family;
  socket.type = type;
  socket.changed = call.end;
  for (Setting<int64_t>* limit : {&socket.receive_limit, &socket.send_limit}) limit->Set(0, call.end);
  socket.linger.Set(std::pair(0, 0), call.end);
  return id;
}

void Court::Open(int process, int64_t handle, Id id, Moment) {
  const std::pair<int, int64_t> key{process, handle};
  // A number that is given out again although its close was not seen (it ended with a thread, or the trace begins later).
  if (const auto there = model.open.find(key); there != model.open.end() && there->second != id) {
    Socket& old = At(there->second);
    old.closed.Begin(now);
    Forget(there->second);
  }
  model.open[key] = id;
  model.closed.erase(key);
}

void Court::Forget(Id id) {
  if (id == kNobody) return;
  Socket& socket = At(id);
  if (socket.unknown) return;
  socket.unknown = true;
  if ((socket.phases & kListening) != 0 || socket.accepted_count > 0) {
    for (const Attempt& attempt : socket.queue) Forget(attempt.client);
  }
  // A listener that nobody knows anything about any more may have been reached by whoever is connecting.
  if (socket.peer != kNobody) Forget(socket.peer);
  if (socket.listener != kNobody) At(socket.listener).visitors = true;
}

bool Court::ResetPossible(const Socket& socket) {
  if (socket.broken.Possible() || socket.reset.Possible() || socket.odd || model.impaired) return true;
  if (socket.peer == kNobody) {
    if (socket.listener == kNobody || socket.accepted || socket.shared || socket.stray) return true;
    const Socket& listener = At(socket.listener);
    return listener.unknown || listener.odd || listener.closed.Possible() || listener.read_shut.Possible() || listener.shared ||
           listener.accepted_count > 0 || static_cast<int64_t>(listener.queue.size()) > listener.least_backlog;
  }
  const Socket& peer = At(socket.peer);
  // What comes in after this end was shut down for reading may be answered by a reset, which ends the connection here, too.
  if (socket.read_shut.Possible() && peer.out.taken + peer.out.under_way > socket.read) return true;
  // Data that nobody will read may be answered by a reset as soon as that is known.
  if (peer.read_shut.Possible() && socket.out.taken + socket.out.under_way > peer.read) return true;
  if (peer.unknown || peer.odd || peer.shared || peer.reset.Possible() || peer.broken.Possible()) return true;
  if (!peer.closed.Possible()) return false;
  // A close with something unread, or without lingering, resets; so does what arrives afterwards.
  if (peer.linger.under_way > 0 || peer.linger.value != std::pair(0, 0)) return true;
  return socket.out.taken + socket.out.under_way > peer.read || socket.out.urgent || peer.read_shut.Possible();
}

bool Court::EndPossible(const Socket& socket) {
  if (ResetPossible(socket) || socket.read_shut.Possible()) return true;
  if (socket.peer == kNobody) return false;  // in a queue: ResetPossible would have said so
  const Socket& peer = At(socket.peer);
  return peer.write_shut.Possible() || peer.closed.Possible();
}

std::string_view Court::InProgress() const {
  static const Rule* const kCall = [] {
    for (const Rule* rule : Rule::All()) {
      if (std::string_view(rule->requirement_id()) == "progress.call") return rule;
    }
    return static_cast<const Rule*>(nullptr);
  }();
  return kCall != nullptr && Lists(*kCall, "EAGAIN") ? "EAGAIN" : "EINPROGRESS";
}

void Court::Begin(Operation& call) {
  if (call.subject != kNobody) {
    Socket& socket = At(call.subject);
    // An attempt that is held is under way for as long as its first request has no successor.
    if (socket.phases == kConnecting && call.begin_ns > socket.held_until) socket.phases = kConnecting | kConnected | kFailed;
    ++socket.under_way;
    if (call.changes) ++socket.changing;
    if (Consumes(call)) {
      call.alone = socket.consuming++ == 0;
      call.was_ready = call.alone && socket.ready < now;
      call.was_error = call.alone && socket.error_seen < now;
      socket.error_seen = kNever;
      socket.consumed = now;
      socket.ready = kNever;
    }
    // What becomes of a call that is not modelled, or has no end, is not known.
    if (call.overlapped || !call.done() || call.op == SP_OP_DISCONNECT) Forget(call.subject);
  }
  if (call.overlapped) {
    Forget(model.Find(call.process, ReadHandle(call.arguments.Get("accept_on")).value));
    model.strangers = true;
  }
  switch (call.op) {
    case SP_OP_CONNECT:
      return BeginConnect(*this, call);
    case SP_OP_SEND:
      return BeginSend(*this, call);
    case SP_OP_RECV:
      return BeginRecv(*this, call);
    case SP_OP_SHUTDOWN:
      return BeginShutdown(*this, call);
    case SP_OP_CLOSE:
      return BeginClose(*this, call);
    case SP_OP_SET_MODE:
      return BeginMode(*this, call);
    case SP_OP_SET_OPTION:
      return BeginSetOption(*this, call);
    default:
      if (IsWatch(call.op)) BeginWatch(*this, call);
  }
}

void Court::End(const Operation& call) {
  if (call.subject != kNobody) {
    Socket& socket = At(call.subject);
    --socket.under_way;
    if (call.changes) --socket.changing;
    if (Consumes(call)) --socket.consuming;
  }
  if (call.overlapped) return;
  if (!IsWatch(call.op) && ConcernsHandle(*this, call)) {
    if (call.changes && call.subject != kNobody) At(call.subject).changed = call.end;
    return;
  }
  if (Is(call, SP_NOTINITIALISED) || Is(call, SP_NOT_SUPPORTED)) {
    model.strangers = true;
    Forget(call.subject);
    return;
  }
  JudgeArguments(*this, call);
  switch (call.op) {
    case SP_OP_SOCKET:
      EndSocket(*this, call);
      break;
    case SP_OP_SOCKETPAIR:
      EndSocketpair(*this, call);
      break;
    case SP_OP_DUPLICATE:
      EndDuplicate(*this, call);
      break;
    case SP_OP_BIND:
      EndBind(*this, call);
      break;
    case SP_OP_LOCAL_NAME:
    case SP_OP_PEER_NAME:
      EndName(*this, call);
      break;
    case SP_OP_LISTEN:
      EndListen(*this, call);
      break;
    case SP_OP_CONNECT:
      EndConnect(*this, call);
      break;
    case SP_OP_ACCEPT:
      EndAccept(*this, call);
      break;
    case SP_OP_SEND:
      EndSend(*this, call);
      break;
    case SP_OP_RECV:
      EndRecv(*this, call);
      break;
    case SP_OP_SHUTDOWN:
      EndShutdown(*this, call);
      break;
    case SP_OP_CLOSE:
      EndClose(*this, call);
      break;
    case SP_OP_SET_MODE:
    case SP_OP_GET_MODE:
      EndMode(*this, call);
      break;
    case SP_OP_SET_OPTION:
      EndSetOption(*this, call);
      break;
    case SP_OP_GET_OPTION:
      EndGetOption(*this, call);
      break;
    case SP_OP_IOCTL:
      EndIoctl(*this, call);
      break;
    default:
      if (IsWatch(call.op)) EndWatch(*this, call);
      if (call.name == "fork" || call.name == "exec") EndFork(*this, call);
  }
  if (call.changes && call.subject != kNobody) At(call.subject).changed = call.end;
}

void Court::OnRemark(const Remark& remark) {
  const std::string_view text = remark.text;
  const auto begins = [&](std::string_view with) { return text.substr(0, with.size()) == with; };
  if (begins("silence ") || begins("no more silence") || begins("black hole") || begins("impair ")) model.impaired = true;
  if (begins("silence ")) {
    const Id id = model.Find(remark.process, ReadHandle(text.substr(8)).value);
    if (id != kNobody) At(id).silenced = true;
  }
  if (begins("no more silence")) {
    for (Socket& socket : model.sockets) {
      socket.silenced = false;
      if (socket.phases == kConnecting) socket.phases = kConnecting | kConnected | kFailed;
    }
  }
  if (begins("limit") || begins("knob")) model.limited = true;
  if (begins("knob")) model.impaired = true;
}

// The end of a call whose begin the trace has lost.
void Court::OnOrphan(const Remark& remark) {
  Words words;
  words.Read(remark.text);
  Operation call;
  call.process = remark.process;
  call.begin = call.end = remark.at;
  for (const auto& [key, text] : words.all()) {
    const Handle made = key == "handle" || key == "second" || key == "passes" ? ReadHandle(text) : Handle{};
    if (!made.valid || made.kind != SP_HANDLE_SOCKET) continue;
    const Id id = Make(call, SP_OTHER_FAMILY, SP_OTHER_TYPE);
    At(id).unknown = true;
    Open(call.process, made.value, id, remark.at);
  }
}

Judgement Court::Run(std::vector<std::string> lines) {
  ReadTrace(std::move(lines), &reading);
  judgement.unreadable = reading.unreadable;
  for (Moment at = 0; at < reading.records.size(); ++at) {
    now = at;
    const Record& record = reading.records[at];
    if (record.kind == Record::kRemark) OnRemark(reading.remarks[record.index]);
    if (record.kind == Record::kOrphan) OnOrphan(reading.remarks[record.index]);
    if (record.kind == Record::kBegin) {
      Operation& call = reading.operations[record.index];
      if (call.handle.valid && call.handle.kind == SP_HANDLE_SOCKET) {
        call.subject = model.Find(call.process, call.handle.value);
        call.changes = call.subject != kNobody && MayChange(At(call.subject), call.op);
      }
      Begin(call);
    }
    if (record.kind == Record::kEnd) {
      const Operation& call = reading.operations[record.index];
      ++judgement.calls;
      judged_ = false;
      End(call);
      if (judged_) ++judgement.judged;
      const bool on_socket = call.handle.valid && call.handle.kind == SP_HANDLE_SOCKET && !IsWatch(call.op);
      if (!judged_ && on_socket && (call.subject == kNobody || At(call.subject).unknown)) ++judgement.unknown;
    }
  }
  return std::move(judgement);
}

Judgement Judge(std::vector<std::string> lines, int profile, bool whole) { return Court(profile, whole).Run(std::move(lines)); }

}  // namespace sockproof::oracle
