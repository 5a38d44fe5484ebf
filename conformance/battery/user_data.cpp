// User data and quality of service that travel with a connection request, and with its answer.
#include "catalogue/user_data.h"

#include <limits>

#include "battery/requests.h"

namespace sockproof {
namespace {

const Over kCarriesData = kConnDataOnly.Needs({SP_CAP_CONDITION});
// Who has condition functions has the long form of connect as well: they are the two ends of one thing.
const Over kCarriesNone = kTcp.Needs({SP_CAP_CONDITION});

// Bytes of every value, NUL among them.
std::string Text(std::size_t length, uint64_t seed) {
  const std::vector<uint8_t> bytes = Payload{seed, 0, length}.Bytes();
  return std::string(bytes.begin(), bytes.end());
}

// A blocking connect in a thread of its own: it ends when the condition function has answered.
Task<ConnectResult> ConnectInThread(Socket& client, const Listener& listener, const ConnectOptions& options) {
  return Spawn("connect", [&client, &listener, options] { return client.Connect(listener.address, options); });
}

Asker AskWith(const Listener& listener, const Flavor& net, const ConnectOptions& options, Where where = SOCKPROOF_HERE) {
  Asker asker = NewAsker(net, where);
  MustHaveAsked(asker.socket.Connect(listener.address, options), where);
  LetQuietTimePass(milliseconds(20));
  return asker;
}

AcceptOptions Replying(const std::string& reply, Notes* notes = nullptr) {
  AcceptOptions options;
  options.condition = [reply, notes](ConditionRequest& request) {
    if (notes != nullptr) notes->push_back(request);
    if (!reply.empty()) request.Reply(reply);
    return SP_CONDITION_ACCEPT;
  };
  return options;
}

// The room that the provider offers for data to the client.
uint32_t RoomForReply(const Flavor& net) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  Notes notes;
  static_cast<void>(AcceptNow(listener.socket, Answering(SP_CONDITION_REJECT, &notes)));
  return TheRequest(notes).callee_room;
}

Outcome SameBytes(const std::string& seen, const std::string& expected) {
  std::size_t same = 0;
  while (same < seen.size() && same < expected.size() && seen[same] == expected[same]) ++same;
  return Holds(seen == expected,
               fmt::format("{} bytes of {}, the first {} as they were sent", seen.size(), expected.size(), same));
}

}  // namespace

SCENARIO(UserData, ReachesTheServer, kCarriesData, user_data::caller_data_delivered, user_data::caller_data_absent) {
  Listener listener = ListenOn(net);
  for (const std::size_t length : {1, 2, 15, 16}) {
    ConnectOptions options;
    options.caller_data = Text(length, length);
    Asker client = AskWith(listener, net, options);
    Notes notes;
    Socket server = Must(AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes)));
    CHECK_REQUIREMENT(user_data::caller_data_delivered,
                      SameBytes(TheRequest(notes).caller_data.value_or(""), *options.caller_data));
    Asker silent = Ask(listener, net);
    notes.clear();
    Socket other = Must(AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes)));
    CHECK_REQUIREMENT(user_data::caller_data_absent,
                      Holds(!TheRequest(notes).caller_data.has_value(), "data of a silent client"));
  }
}

SCENARIO(UserData, StaysWithADeferredRequest, kCarriesData, user_data::caller_data_kept, user_data::caller_data_delivered) {
  Listener listener = ListenOn(net);
  ConnectOptions one, two;
  one.caller_data = Text(12, 1);
  two.caller_data = Text(16, 2);
  Asker first = AskWith(listener, net, one), second = AskWith(listener, net, two);
  Notes notes;
  for (int i = 0; i < 3; ++i) static_cast<void>(AcceptNow(listener.socket, Answering(SP_CONDITION_DEFER, &notes)));
  Socket server = Must(AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes)));
  CHECK_REQUIREMENT(user_data::caller_data_delivered, SameBytes(TheRequest(notes).caller_data.value_or(""), *one.caller_data));
  for (const ConditionRequest& request : notes) {
    CHECK_REQUIREMENT(user_data::caller_data_kept, SameBytes(request.caller_data.value_or(""), *one.caller_data));
  }
  notes.clear();
  Socket other = Must(AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes)));
  CHECK_REQUIREMENT(user_data::caller_data_delivered, SameBytes(TheRequest(notes).caller_data.value_or(""), *two.caller_data));
}

SCENARIO(UserData, ComesBackToABlockingConnect, kCarriesData, user_data::callee_data_delivered, user_data::callee_data_length,
         user_data::callee_data_none) {
  Listener listener = ListenOn(net);
  // Into a room that is larger, and into one that is just large enough; and no reply at all.
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{8}}) {
    for (const uint32_t room : {uint32_t{8}, uint32_t{64}}) {
      const std::string reply = Text(length, length + room);
      CalleeData back(room);
      ConnectOptions options;
      options.callee_data = &back;
      Socket client = net.NewConnecting();
      auto connecting = ConnectInThread(client, listener, options);
      Socket server = Must(AcceptNow(listener.socket, Replying(reply)));
      static_cast<void>(Must(static_cast<Result>(connecting.Join())));
      if (length == 0) {
        CHECK_REQUIREMENT(user_data::callee_data_none, Outcome::OfNumber(back.length()));
        continue;
      }
      CHECK_REQUIREMENT(user_data::callee_data_length, Same(back.length(), length, "the length that came back"));
      CHECK_REQUIREMENT(user_data::callee_data_delivered, SameBytes(back.Bytes(), reply));
    }
  }
}

SCENARIO(UserData, NothingComesBackFromAPlainAccept, kCarriesData, user_data::callee_data_none) {
  Listener listener = ListenOn(net);
  CalleeData back(32);
  ConnectOptions options;
  options.callee_data = &back;
  Socket client = net.NewConnecting();
  auto connecting = ConnectInThread(client, listener, options);
  Socket server = Must(AcceptNow(listener.socket));
  static_cast<void>(Must(static_cast<Result>(connecting.Join())));
  CHECK_REQUIREMENT(user_data::callee_data_none, Outcome::OfNumber(back.length()));
}

SCENARIO(UserData, NothingComesBackOverTcp, kCarriesNone, user_data::callee_data_none) {
  Listener listener = ListenOn(net);
  CalleeData back(32);
  ConnectOptions options;
  options.callee_data = &back;
  Socket client = net.NewConnecting();
  static_cast<void>(Must(static_cast<Result>(client.Connect(listener.address, options))));
  CHECK_REQUIREMENT(user_data::callee_data_none, Outcome::OfNumber(back.length()));
}

SCENARIO(UserData, TheWholeRoomCanBeUsed, kCarriesData, user_data::callee_storage) {
  const uint32_t room = RoomForReply(net);
  Listener listener = ListenOn(net);
  const std::string reply = Text(room, 3);
  CalleeData back(room + 16);
  ConnectOptions options;
  options.callee_data = &back;
  Socket client = net.NewConnecting();
  auto connecting = ConnectInThread(client, listener, options);
  Notes notes;
  Socket server = Must(AcceptNow(listener.socket, Replying(reply, &notes)));
  static_cast<void>(Must(static_cast<Result>(connecting.Join())));
  const bool real = room > 0 && TheRequest(notes).callee_storage;
  CHECK_REQUIREMENT(user_data::callee_storage, real ? SameBytes(back.Bytes(), reply) : Holds(false, "a protocol with user data"));
}

SCENARIO(UserData, ComesBackBeforeFdConnect, kCarriesData.Needs({SP_CAP_EVENT_OBJECTS}), user_data::callee_data_nonblocking,
         user_data::callee_data_length) {
  Listener listener = ListenOn(net);
  CalleeData back(64);
  ConnectOptions options;
  options.callee_data = &back;
  const std::string reply = Text(8, 5);
  Watcher event(SP_EVENT_OBJECT);
  Asker client = NewAsker(net);
  Step(event.Add(client.socket, SP_FD_CONNECT));
  MustHaveAsked(client.socket.Connect(listener.address, options));
  LetQuietTimePass(milliseconds(20));
  Socket server = Must(AcceptNow(listener.socket, Replying(reply)));
  const bool set = event.IsSet(Patience());
  const WaitResult report = event.Report(client.socket);
  CHECK_REQUIREMENT(user_data::callee_data_nonblocking,
                    set && report.All() == SP_FD_CONNECT ? SameBytes(back.Bytes(), reply) : Holds(false, "no FD_CONNECT"));
  CHECK_REQUIREMENT(user_data::callee_data_length, Same(back.length(), reply.size(), "the length that came back"));
}

SCENARIO(UserData, TooLittleRoomForTheReply, kCarriesData, user_data::callee_room_too_small) {
  Listener listener = ListenOn(net);
  CalleeData back(4);
  ConnectOptions options;
  options.callee_data = &back;
  Socket client = net.NewConnecting();
  auto connecting = ConnectInThread(client, listener, options);
  static_cast<void>(AcceptNow(listener.socket, Replying(Text(8, 6))));
  ConnectResult result;
  const Outcome seen = Settled(connecting, &result);
  CHECK_REQUIREMENT(user_data::callee_room_too_small, seen);
}

SCENARIO(UserData, TooMuchForTheProtocol, kCarriesData, user_data::caller_data_too_long) {
  Listener listener = ListenOn(net);
  ConnectOptions options;
  options.caller_data = Text(1u << 20, 7);  // what is meant is "a small amount of user data"
  Asker client = NewAsker(net);
  CHECK_REQUIREMENT(user_data::caller_data_too_long, client.socket.Connect(listener.address, options));
}

SCENARIO(UserData, TcpCarriesNone, kCarriesNone, user_data::caller_data_unsupported) {
  Listener listener = ListenOn(net);
  for (const std::size_t length : {1, 16}) {
    ConnectOptions options;
    options.caller_data = Text(length, length);
    Socket client = net.NewConnecting();
    CHECK_REQUIREMENT(user_data::caller_data_unsupported, client.Connect(listener.address, options));
  }
}

SCENARIO(UserData, DatagramSocketsIgnoreIt, kDatagrams.Needs({SP_CAP_CONDITION}), user_data::datagram_ignores) {
  Listener peer = BoundOn(net);
  CalleeData back(16);
  ConnectOptions options;
  options.caller_data = "ignored";
  options.callee_data = &back;
  Socket client = net.NewConnecting();
  CHECK_REQUIREMENT(user_data::datagram_ignores, client.Connect(peer.address, options));
}

SCENARIO(UserData, TcpHasNoOptionForIt, kCarriesNone, user_data::option_unsupported) {
  Socket client = net.NewConnecting();
  CHECK_REQUIREMENT(user_data::option_unsupported, client.SetBytes(SP_SO_CONNDATA, "data"));
  CHECK_REQUIREMENT(user_data::option_unsupported, client.SetBytes(SP_SO_CONNOPT, "options"));
}

SCENARIO(UserData, QualityOfServiceThatNobodyHas, kConditional, user_data::qos_unsatisfied) {
  Listener listener = ListenOn(net);
  constexpr uint32_t kTooMuch = std::numeric_limits<uint32_t>::max() - 1;
  ConnectOptions options;
  options.qos = sp_qos{kTooMuch, kTooMuch, 0, kTooMuch, kTooMuch, 0};
  Asker client = NewAsker(net);
  CHECK_REQUIREMENT(user_data::qos_unsatisfied, client.socket.Connect(listener.address, options));
}

SCENARIO(UserData, QualityOfServiceIsTold, kCarriesData, user_data::qos_told) {
  Listener listener = ListenOn(net);
  ConnectOptions options;
  options.qos = sp_qos{1000, 2000, 30000, 4000, 5000, 60000};
  Asker client = NewAsker(net);
  const ConnectResult asked = client.socket.Connect(listener.address, options);
  if (asked.error() == SP_EOPNOTSUPP) {
    CHECK_REQUIREMENT(user_data::qos_told, asked);
    return;
  }
  MustHaveAsked(asked);
  Notes notes;
  static_cast<void>(AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes)));
  const auto text = [](const std::optional<sp_qos>& qos) {
    return qos ? fmt::format("{},{},{} {},{},{}", qos->send_rate, qos->send_peak, qos->send_latency, qos->receive_rate,
                             qos->receive_peak, qos->receive_latency)
               : std::string("none");
  };
  CHECK_REQUIREMENT(user_data::qos_told, Same(text(TheRequest(notes).qos), text(options.qos), "quality of service"));
}

SCENARIO(UserData, QualityOfServiceOfAGroup, kCarriesNone, user_data::group_qos) {
  Listener listener = ListenOn(net);
  ConnectOptions options;
  options.group_qos = true;
  Socket client = net.NewConnecting();
  CHECK_REQUIREMENT(user_data::group_qos, client.Connect(listener.address, options));
}

}  // namespace sockproof
