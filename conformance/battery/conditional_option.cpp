// SO_CONDITIONAL_ACCEPT: the option, and connections that are not made before the condition function has answered.
#include "catalogue/conditional.h"

#include "battery/requests.h"

namespace sockproof {
namespace {

const Over kOption = kTcp.Needs({SP_CAP_CONDITION});

Listener ConditionalListener(const Flavor& net, int32_t backlog = 16) {
  Listener listener = BoundOn(net);
  Step(listener.socket.Set(SP_SO_CONDITIONAL_ACCEPT, 1));
  Step(listener.socket.Listen(backlog));
  return listener;
}

Result SetWith(Socket& socket, int32_t length, int32_t kind) {
  sp_option_args args{};
  args.option = SP_SO_CONDITIONAL_ACCEPT;
  args.value_type = SP_VALUE_INTEGER;
  args.integer = 1;
  args.length = length;
  args.kind = kind;
  return socket.SetOption(args);
}

}  // namespace

SCENARIO(Conditional, TheOption, kOption, conditional::option_off, conditional::option_reads_back) {
  Socket socket = net.NewListening();
  CHECK_REQUIREMENT(conditional::option_off, Outcome::OfNumber(Must(socket.Get(SP_SO_CONDITIONAL_ACCEPT)).integer));
  for (const int64_t value : {1, 0, 7, 0}) {
    Step(socket.Set(SP_SO_CONDITIONAL_ACCEPT, value));
    const int64_t got = Must(socket.Get(SP_SO_CONDITIONAL_ACCEPT)).integer;
    CHECK_REQUIREMENT(conditional::option_reads_back,
                      Same(got != 0, value != 0, fmt::format("set to {}, read as {}", value, got)));
  }
}

SCENARIO(Conditional, TheOptionOnAListener, kOption, conditional::option_on_listener) {
  Listener plain = ListenOn(net), conditional = ConditionalListener(net);
  CHECK_REQUIREMENT(conditional::option_on_listener, plain.socket.Set(SP_SO_CONDITIONAL_ACCEPT, 1));
  CHECK_REQUIREMENT(conditional::option_on_listener, conditional.socket.Set(SP_SO_CONDITIONAL_ACCEPT, 0));
}

SCENARIO(Conditional, TheOptionWithAWrongValue, kOption, conditional::option_short_value, conditional::option_bad_pointer) {
  Socket socket = net.NewListening();
  for (const int32_t length : {0, 1, 3}) {
    CHECK_REQUIREMENT(conditional::option_short_value, SetWith(socket, length, SP_POINTER_VALID));
  }
  CHECK_REQUIREMENT(conditional::option_bad_pointer, SetWith(socket, SP_NATURAL_LENGTH, SP_POINTER_NULL));
  CHECK_REQUIREMENT(conditional::option_bad_pointer, SetWith(socket, SP_NATURAL_LENGTH, SP_POINTER_INVALID));
}

SCENARIO(Conditional, NoConnectionBeforeTheAnswer, kOption, conditional::state_before_answer, conditional::waits_for_answer,
         conditional::still_asked, conditional::accept_completes, conditional::deferred_connection) {
  Listener listener = ConditionalListener(net);
  Asker client = Ask(listener, net);
  LetQuietTimePass(milliseconds(100));
  CHECK_REQUIREMENT(conditional::state_before_answer, Standing(client));
  static_cast<void>(AcceptNow(listener.socket, Answering(SP_CONDITION_DEFER)));
  LetQuietTimePass(milliseconds(100));
  CHECK_REQUIREMENT(conditional::waits_for_answer, Standing(client));
  Notes notes;
  AcceptResult accepted = AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes));
  CHECK_REQUIREMENT(conditional::still_asked, notes.empty() ? Outcome(outcome::pending, "was not asked") : Outcome(accepted));
  Socket server = Must(std::move(accepted));
  WaitReady(client.socket, SP_OUT);
  CHECK_REQUIREMENT(conditional::accept_completes, Standing(client));
  CHECK_REQUIREMENT(conditional::deferred_connection, IsConnectionOf(server, client));
}

SCENARIO(Conditional, NoConnectionForOneRejected, kOption, conditional::reject_error, conditional::reject_told) {
  Listener listener = ConditionalListener(net);
  Asker client = Ask(listener, net);
  CHECK_REQUIREMENT(conditional::reject_error, AcceptNow(listener.socket, Answering(SP_CONDITION_REJECT)));
  CHECK_REQUIREMENT(conditional::reject_told, Fate(client));
}

SCENARIO(Conditional, TheBacklogHasNoEffect, kOption.Waits(seconds(1)), conditional::backlog_without_effect) {
  Listener listener = ConditionalListener(net, 1);
  std::vector<Asker> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(Ask(listener, net));
  std::string wrong;
  for (Asker& client : clients) {
    const std::string standing = Standing(client).name();
    if (standing != "pending" && standing != "completed") wrong += standing + " ";
  }
  std::vector<Socket> servers;
  for (std::size_t i = 0; i < clients.size() && wrong.empty(); ++i) {
    AcceptResult accepted;
    const Outcome seen = AcceptSoon(listener.socket, &accepted, Answering(SP_CONDITION_ACCEPT));
    if (!accepted.ok()) {
      wrong += fmt::format("{} at number {}", seen.name(), i + 1);
      break;
    }
    servers.push_back(std::move(accepted.socket));
  }
  CHECK_REQUIREMENT(conditional::backlog_without_effect, Holds(wrong.empty(), "of six requests at a backlog of 1: " + wrong));
}

// Only where time costs nothing: a client waits for minutes.
SCENARIO(Conditional, NobodyAnswers, kTcp46.Needs({SP_CAP_CONDITION, SP_CAP_SCHEDULER}), conditional::unanswered_client) {
  Listener listener = ConditionalListener(net);
  Asker client = Ask(listener, net);
  WaitReady(client.socket, SP_OUT, seconds(300));
  CHECK_REQUIREMENT(conditional::unanswered_client, Standing(client));
}

}  // namespace sockproof
