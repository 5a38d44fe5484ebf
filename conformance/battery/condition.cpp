// The condition function of accept: when it is asked, in which thread, with what, and what its answers do.
#include "catalogue/condition.h"

#include <limits>

#include "battery/requests.h"

namespace sockproof {
namespace {

// What stands in the place for the peer's address.
Outcome Place(const NameResult& peer, const Asker& asker) {
  if (peer.decoded && peer.address == asker.seen) return Outcome(outcome::filled, peer.text());
  for (const uint8_t byte : peer.raw) {
    if (byte != GuardedBuffer::kPoison) return Outcome(outcome::something_else, peer.text());
  }
  return Outcome(outcome::untouched, peer.text());
}

}  // namespace

SCENARIO(Condition, AsksOnceAndAccepts, kConditional, condition::accepts, condition::asked_once, condition::same_thread,
         condition::peer_if_accepted, condition::accepted_connection) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  Notes notes;
  AcceptResult accepted = AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes));
  CHECK_REQUIREMENT(condition::accepts, accepted);
  CHECK_REQUIREMENT(condition::asked_once, Outcome::OfNumber(accepted.asked));
  CHECK_REQUIREMENT(condition::same_thread, Holds(TheRequest(notes).same_thread, "the thread that it was asked in"));
  CHECK_REQUIREMENT(condition::peer_if_accepted, Place(accepted.peer, client));
  Socket server = Must(std::move(accepted));
  CHECK_REQUIREMENT(condition::accepted_connection, IsConnectionOf(server, client));
}

SCENARIO(Condition, NoneAcceptsUnconditionally, kConditional, condition::optional, condition::accepted_connection) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  AcceptResult accepted = AcceptNow(listener.socket);
  CHECK_REQUIREMENT(condition::optional, accepted);
  Socket server = Must(std::move(accepted));
  CHECK_REQUIREMENT(condition::accepted_connection, IsConnectionOf(server, client));
}

SCENARIO(Condition, WaitsForARequestToAskAbout, kConditional, condition::waits_for_request, condition::asked_once,
         condition::same_thread) {
  Listener listener = ListenOn(net);
  Notes notes;
  auto accepting = AcceptInThread(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes));
  const bool waited = accepting.WaitBlocked();
  Asker client = Ask(listener, net);
  AcceptResult accepted;
  const Outcome came = Settled(accepting, &accepted);
  CHECK_REQUIREMENT(condition::waits_for_request, waited ? came : Outcome(outcome::returned, "without a request"));
  CHECK_REQUIREMENT(condition::asked_once, Outcome::OfNumber(accepted.asked));
  CHECK_REQUIREMENT(condition::same_thread, Holds(TheRequest(notes).same_thread, "the thread that waited"));
}

SCENARIO(Condition, IsNotAskedAboutNothing, kConditional, condition::error_without_request, condition::not_asked_without_request,
         condition::not_listening, condition::not_asked_about_nothing) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  const AcceptResult empty = AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT));
  CHECK_REQUIREMENT(condition::error_without_request, empty);
  CHECK_REQUIREMENT(condition::not_asked_without_request, Outcome::OfNumber(empty.asked));

  Listener bound = BoundOn(net);
  Step(bound.socket.SetModes(SP_NONBLOCKING));
  const AcceptResult idle = AcceptNow(bound.socket, Answering(SP_CONDITION_ACCEPT));
  CHECK_REQUIREMENT(condition::not_listening, idle);
  CHECK_REQUIREMENT(condition::not_asked_about_nothing, Outcome::OfNumber(idle.asked));
}

SCENARIO(Condition, IsToldWhoCalls, kConditional, condition::caller_address, condition::caller_length, condition::callee_address,
         condition::callee_length) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  Notes notes;
  AcceptResult accepted = AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes));
  const int32_t length = accepted.peer.reported;
  Socket server = Must(std::move(accepted));
  const ConditionRequest& request = TheRequest(notes);
  const std::string caller = request.caller ? request.caller->ToString() : "null";
  const std::string callee = request.callee ? request.callee->ToString() : "null";
  const Address local = server.LocalAddress();
  CHECK_REQUIREMENT(condition::caller_address, Same(caller, client.seen.ToString(), "the caller"));
  CHECK_REQUIREMENT(condition::callee_address, Same(callee, local.ToString(), "the callee"));
  CHECK_REQUIREMENT(condition::caller_length, Same(request.caller_length, length, "the length of the caller's address"));
  CHECK_REQUIREMENT(condition::callee_length, Same(request.callee_length, length, "the length of the callee's address"));
}

SCENARIO(Condition, IsToldWhatCameAlong, kConditional, condition::no_caller_data, condition::no_qos,
         condition::group_qos_reserved, condition::callee_room, condition::callback_data) {
  Listener listener = ListenOn(net);
  for (const uint64_t data : {uint64_t{0}, uint64_t{1}, uint64_t{0x89abcdef}}) {
    Asker client = Ask(listener, net);
    Notes notes;
    AcceptOptions options = Answering(SP_CONDITION_ACCEPT, &notes);
    options.callback_data = data;
    Socket server = Must(AcceptNow(listener.socket, options));
    const ConditionRequest& request = TheRequest(notes);
    CHECK_REQUIREMENT(condition::callback_data, Same(request.callback_data, data, "callback data"));
    CHECK_REQUIREMENT(condition::no_caller_data, Holds(!request.caller_data.has_value(), "the caller sent no data"));
    CHECK_REQUIREMENT(condition::no_qos, Holds(!request.qos.has_value(), "the caller asked for no quality of service"));
    CHECK_REQUIREMENT(condition::group_qos_reserved, Holds(!request.group_qos, "reserved"));
    CHECK_REQUIREMENT(condition::callee_room, Holds(request.callee_room == 0 || request.callee_storage,
                                                    fmt::format("room for {} bytes, and no buffer", request.callee_room)));
  }
}

SCENARIO(Condition, HasNoRoomForDataOverTcp, kTcp.Needs({SP_CAP_CONDITION}), condition::no_callee_room_over_tcp) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  Notes notes;
  Socket server = Must(AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes)));
  // Any other number says no more than that it is one.
  const uint32_t room = TheRequest(notes).callee_room;
  CHECK_REQUIREMENT(condition::no_callee_room_over_tcp,
                    room == 0 ? Outcome::OfNumber(0) : Outcome(outcome::something_else, fmt::format("{} bytes", room)));
}

SCENARIO(Condition, IsAskedAboutTheFirstRequest, kConditional, condition::first_request, condition::accepted_connection) {
  Listener listener = ListenOn(net);
  std::vector<Asker> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(Ask(listener, net));
  for (std::size_t i = 0; i < clients.size(); ++i) {
    Notes notes;
    Socket server = Must(AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes)));
    CHECK_REQUIREMENT(condition::first_request, About(notes, clients[i]));
    CHECK_REQUIREMENT(condition::accepted_connection, IsConnectionOf(server, clients[i], i + 1));
  }
}

SCENARIO(Condition, MayMakeOtherCalls, kConditional, condition::nested_calls, condition::accepted_connection) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  std::string wrong = "was not asked";
  AcceptOptions options;
  options.condition = [&](ConditionRequest&) {
    wrong.clear();
    const auto look = [&](const Result& result) {
      if (!result.ok()) wrong += result.text() + "; ";
    };
    Socket other;
    look(Socket::Make(net.listen_family, net.type, 0, 0, &other));
    look(other.Bind(Address::Loopback(net.listen_family)));
    look(other.Listen(1));
    look(other.LocalName());
    look(listener.socket.LocalName());
    look(listener.socket.Get(SP_SO_ACCEPTCONN));
    look(other.Close());
    return SP_CONDITION_ACCEPT;
  };
  Socket server = Must(AcceptNow(listener.socket, options));
  CHECK_REQUIREMENT(condition::nested_calls, Holds(wrong.empty(), wrong));
  CHECK_REQUIREMENT(condition::accepted_connection, IsConnectionOf(server, client));
}

SCENARIO(Condition, InvalidAnswer, kConditional, condition::invalid_answer) {
  for (const int32_t answer : {int32_t{SP_CONDITION_BAD}, 3, -1, std::numeric_limits<int32_t>::max()}) {
    Listener listener = ListenOn(net);
    Asker client = Ask(listener, net);
    CHECK_REQUIREMENT(condition::invalid_answer, AcceptNow(listener.socket, Answering(answer)));
  }
}

SCENARIO(Condition, InvalidGroup, kConditional, condition::invalid_group) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  AcceptOptions options;
  options.condition = [](ConditionRequest& request) {
    request.SetGroup(0x7ffffff1);  // nobody has made such a group
    return SP_CONDITION_ACCEPT;
  };
  CHECK_REQUIREMENT(condition::invalid_group, AcceptNow(listener.socket, options));
}

SCENARIO(Condition, UnusableFunction, kConditional, condition::unusable_function, condition::unusable_function_keeps_listener) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  AcceptOptions options;
  options.condition_kind = SP_POINTER_INVALID;
  CHECK_REQUIREMENT(condition::unusable_function, AcceptNow(listener.socket, options));
  Asker other = Ask(listener, net);
  CHECK_REQUIREMENT(condition::unusable_function_keeps_listener, AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT)));
}

SCENARIO(Condition, TheAddressOfOneTurnedAway, kConditional, condition::peer_if_deferred, condition::peer_if_rejected) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  const AcceptResult deferred = AcceptNow(listener.socket, Answering(SP_CONDITION_DEFER));
  CHECK_REQUIREMENT(condition::peer_if_deferred, Place(deferred.peer, client));
  const AcceptResult rejected = AcceptNow(listener.socket, Answering(SP_CONDITION_REJECT));
  CHECK_REQUIREMENT(condition::peer_if_rejected, Place(rejected.peer, client));
}

}  // namespace sockproof
