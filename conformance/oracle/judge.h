// Inside the oracle: what the rules work with. A file rules_*.cpp holds the rules of one idea.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "face/names.h"
#include "oracle/model.h"
#include "oracle/oracle.h"

namespace sockproof::oracle {

class Court {
 public:
  Court(int profile, bool whole);
  Judgement Run(std::vector<std::string> lines);

  // ---- what rules say ----
  // The outcome is one that the rule allows; false is a violation, and has been written down. `sure` says that something is
  // not as it must be only if no guess went into it; otherwise nothing is judged.
  bool Allows(const Rule& rule, const Operation& call, std::string_view outcome, std::string detail = {});
  bool Holds(const Rule& rule, const Operation& call, bool holds, std::string detail = {}) {
    return Allows(rule, call, holds ? "holds" : "violated", std::move(detail));
  }
  // The rule could have decided against the call, which says little about it by itself.
  void Fired(const Rule& rule) {
    if (Speaks(rule)) ++judgement.fired[rule.number()];
  }
  // Whether the catalogue, for this profile, lists the outcome.
  bool Lists(const Rule& rule, std::string_view outcome) const;
  bool Speaks(const Rule& rule) const;  // the profile says something, so that the rule can decide

  // ---- what there is ----
  Socket& At(Id id) { return model.sockets[static_cast<std::size_t>(id)]; }
  Socket* Of(const Operation& call);  // the call's socket, nullptr if it is none that is known
  Id IdOf(const Operation& call) const;
  Socket* PeerOf(const Socket& socket) { return socket.peer == kNobody ? nullptr : &At(socket.peer); }
  // No other call changes what the socket is while this one runs.
  static bool Stable(const Socket& socket, const Operation& call, int own = 0) {
    return socket.changing <= own && socket.changed <= call.begin;
  }
  // No other call took anything from the socket while this one ran.
  static bool TakesAlone(const Socket& socket, const Operation& call) {
    return call.alone && socket.consuming == 0 && socket.consumed == call.begin;
  }
  Id Make(const Operation& call, int32_t family, int32_t type);
  void Open(int process, int64_t handle, Id id, Moment at);
  void Forget(Id id);  // unknown from now on, with whoever is at the other end

  // Whoever may have reset the connection, or ended it, as seen from this end.
  bool ResetPossible(const Socket& socket);
  bool EndPossible(const Socket& socket);  // of what the peer sends
  bool Alone(const Socket& socket) const { return !model.strangers && model.whole && !socket.unknown; }
  bool ScarceAnswer(const Operation& call) const;  // for want of handles or memory, where there may be none
  std::string_view InProgress() const;             // what a connect that goes on answers

  Model model;
  Reading reading;
  Judgement judgement;
  Moment now = 0;

 private:
  void Begin(Operation& call);
  void End(const Operation& call);
  void OnRemark(const Remark& remark);
  void OnOrphan(const Remark& remark);
  int profile_;
  bool posix_ = false;  // the profile is POSIX.1, or inherits it
  bool judged_ = false;
};

// What each call does: begins (may take effect) and ends (has taken effect, and is judged). One pair a room.
bool ConcernsHandle(Court& court, const Operation& call);  // true: the handle was wrong, and that has been judged
void JudgeArguments(Court& court, const Operation& call);
void EndSocket(Court& court, const Operation& call);
void EndSocketpair(Court& court, const Operation& call);
void EndDuplicate(Court& court, const Operation& call);
void EndFork(Court& court, const Operation& call);
void EndBind(Court& court, const Operation& call);
void EndName(Court& court, const Operation& call);
void EndListen(Court& court, const Operation& call);
void BeginConnect(Court& court, const Operation& call);
void EndConnect(Court& court, const Operation& call);
void EndAccept(Court& court, const Operation& call);
void BeginSend(Court& court, const Operation& call);
void EndSend(Court& court, const Operation& call);
void BeginRecv(Court& court, const Operation& call);
void EndRecv(Court& court, const Operation& call);
void BeginShutdown(Court& court, const Operation& call);
void EndShutdown(Court& court, const Operation& call);
void BeginClose(Court& court, const Operation& call);
void EndClose(Court& court, const Operation& call);
void BeginMode(Court& court, const Operation& call);
void EndMode(Court& court, const Operation& call);
void BeginSetOption(Court& court, const Operation& call);
void EndSetOption(Court& court, const Operation& call);
void EndGetOption(Court& court, const Operation& call);
void EndIoctl(Court& court, const Operation& call);
void BeginWatch(Court& court, const Operation& call);
void EndWatch(Court& court, const Operation& call);

// A number in a word, "value=3" and its like, or a name of an error.
inline bool Is(const Operation& call, int32_t error) { return call.error == error; }
inline std::string_view NameOf(const Operation& call) { return ErrorName(call.error); }
bool ConnectionMode(const Socket& socket);

}  // namespace sockproof::oracle
