// What only implementations in the manner of Winsock have, over a provider that plays one: condition functions, user data, begun
// calls, event objects, the session.
#include <algorithm>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "face/condition.h"
#include "face/controls.h"
#include "face/overlapped.h"
#include "face/trace.h"
#include "face/user_data.h"
#include "face/watcher.h"

namespace sockproof {
namespace {

// What the provider saw, and how it is to behave.
struct Play {
  sp_call last{};
  std::string caller_data;
  std::string reply;            // what the condition function gave back
  int32_t answer = -1;          // and what it answered
  bool other_thread = false;    // ask in a thread of the provider's own
  uint32_t callee_length = 0;   // what comes back,
  uint32_t written_behind = 0;  // and what is written behind it
  int waits_until_done = 0;
  int32_t begin = SP_IO_PENDING;
  bool cancelled = false;
  bool set = true;
  sp_call* begun = nullptr;
};
Play play;

void Ask(sp_accept_args& args, sp_result* result) {
  sp_condition_request request{};
  uint8_t room[8] = {};
  request.size = sizeof request;
  request.same_thread = 1;
  request.has_caller = 1;
  request.caller = Address::ConnData({1, 2, 3}, 99).raw();
  request.caller_length = 20;
  request.caller_data = {1, SP_POINTER_VALID, 3, 3, reinterpret_cast<uint8_t*>(const_cast<char*>("abc"))};
  request.callee_data = {1, SP_POINTER_VALID, sizeof room, sizeof room, room};
  request.has_qos = 1;
  request.qos.send_rate = 17;
  request.callback_data = args.callback_data;
  const auto ask = [&] { play.answer = args.condition(args.condition_context, &request); };
  if (play.other_thread) {
    std::thread(ask).join();
  } else {
    ask();
  }
  play.reply.assign(room, room + request.callee_data.length);
  if (play.answer == SP_CONDITION_REJECT) result->error = SP_ECONNREFUSED;
}

void Call(void*, sp_call* call, sp_result* result) {
  play.last = *call;
  switch (call->op) {
    case SP_OP_SOCKET:
    case SP_OP_WATCH_CREATE:
      result->handle = {call->op == SP_OP_SOCKET ? SP_HANDLE_SOCKET : SP_HANDLE_WATCHER, 0, 7};
      break;
    case SP_OP_ACCEPT:
      if (call->u.accept.condition != nullptr) Ask(call->u.accept, result);
      result->handle = {SP_HANDLE_SOCKET, 0, 8};
      break;
    case SP_OP_CONNECT: {
      sp_connect_args& args = call->u.connect;
      play.caller_data.assign(args.caller_data.data, args.caller_data.data + args.caller_data.length);
      if (args.callee_data.present == 0) break;
      std::memset(args.callee_data.data, 'z', play.callee_length + play.written_behind);
      args.callee_data.length = std::min(play.callee_length, args.callee_data.capacity);
      break;
    }
    case SP_OP_WATCH_WAIT: {
      sp_watch_wait_args& args = call->u.watch_wait;
      if (args.step == SP_WAIT_ONLY) {
        result->value = play.set ? 1 : 0;
        break;
      }
      args.events[0] = {5, SP_FD_CONNECT, SP_ECONNREFUSED};
      args.events[1] = {5, SP_FD_WRITE, SP_OK};
      result->value = args.count = 2;
      args.strays = SP_FD_READ;
      break;
    }
    default:
      break;
  }
}

int32_t Begin(void*, sp_call* call, sp_operation* operation) {
  play.begun = call;
  *operation = reinterpret_cast<sp_operation>(&play);
  return play.begin;
}

int32_t Wait(void*, sp_operation, int64_t, sp_result* result) {
  if (!play.cancelled && play.waits_until_done-- > 0) return SP_EAGAIN;
  result->error = play.cancelled ? SP_OPERATION_ABORTED : SP_OK;
  if (result->error == SP_OK && play.begun->op == SP_OP_ACCEPT) {
    std::memcpy(play.begun->u.accept.output.data, "hi", 2);
    result->value = 2;
    result->handle = play.begun->u.accept.accept_on;
  }
  return SP_OK;
}

int32_t Cancel(void*, sp_operation) {
  play.cancelled = true;
  return SP_OK;
}

int32_t Startup(void*, uint32_t version, uint32_t* given, uint32_t* highest, int64_t*) {
  *highest = 0x0202;
  *given = std::min<uint32_t>(version, *highest);
  return version < 0x0101 ? SP_VERNOTSUPPORTED : SP_OK;
}
int32_t Cleanup(void*, int64_t* native) {
  *native = 10093;
  return SP_NOTINITIALISED;
}

const sp_provider* Provider() {
  static const sp_session_group session{sizeof(sp_session_group), Startup, Cleanup};
  static sp_provider table{};
  table.size = sizeof table;
  table.version = SP_API_VERSION;
  table.name = table.text = "play";
  table.open = [](const char*, void**, const char**) -> int32_t { return SP_OK; };
  table.close = [](void*) {};
  table.capability = [](void*, int32_t, const char**) -> int32_t { return SP_OK; };
  table.call = Call;
  table.begin = Begin;
  table.wait = Wait;
  table.cancel = Cancel;
  table.session = &session;
  return &table;
}

struct Ended {
  std::string why;
};
class Throws final : public Reporter {
 public:
  [[noreturn]] void NotSupported(std::string_view capability, const std::string&) override {
    throw Ended{std::string(capability)};
  }
  [[noreturn]] void StepFailed(Where, const std::string&, const Outcome& outcome) override { throw Ended{outcome.name()}; }
  [[noreturn]] void NoSuchOption(Where, int32_t, const std::string&, const Outcome& outcome) override {
    throw Ended{outcome.name()};
  }
  void ContractBroken(std::string_view promise, const std::string&) override { broken = std::string(promise); }
  std::string broken;
};

class WinsockCalls : public testing::Test {
 protected:
  void SetUp() override {
    play = Play{};
    Trace::Get().Open();
    std::string why;
    ASSERT_TRUE(Host::Get().Open("play", {{"play", Provider}}, &why)) << why;
    Host::Get().SetReporter(&reporter_);
  }
  Throws reporter_;
};

TEST_F(WinsockCalls, AConditionFunctionSeesTheRequestAndAnswers) {
  Socket listener = Socket::New(SP_CONNDATA);
  AcceptOptions options;
  options.callback_data = 0x1234567890;
  std::optional<ConditionRequest> seen;
  options.condition = [&](ConditionRequest& request) {
    seen = request;
    request.Reply("longer than eight bytes");
    return SP_CONDITION_REJECT;
  };
  const AcceptResult accepted = listener.Accept(options);
  EXPECT_EQ(accepted.error(), SP_ECONNREFUSED);
  EXPECT_FALSE(accepted.socket.open());
  EXPECT_EQ(accepted.asked, 1);
  EXPECT_EQ(play.answer, SP_CONDITION_REJECT);
  EXPECT_EQ(play.reply, "longer t");
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->caller->ToString(), "conndata:[102:300:0:0:0:0:0:0]:99");
  EXPECT_FALSE(seen->callee.has_value());
  EXPECT_EQ(seen->caller_length, 20);
  EXPECT_EQ(seen->caller_data, "abc");
  EXPECT_EQ(seen->callee_room, 8u);
  EXPECT_TRUE(seen->callee_storage);
  EXPECT_EQ(seen->qos->send_rate, 17u);
  EXPECT_FALSE(seen->group_qos);
  EXPECT_EQ(seen->callback_data, 0x1234567890u);
  EXPECT_TRUE(seen->same_thread);
}

TEST_F(WinsockCalls, AConditionFunctionThatRepliesNothingGivesNothingBack) {
  Socket listener = Socket::New(SP_CONNDATA);
  AcceptOptions options;
  options.condition = [](ConditionRequest&) { return SP_CONDITION_ACCEPT; };
  EXPECT_TRUE(listener.Accept(options).ok());
  EXPECT_EQ(play.reply, "");
}

TEST_F(WinsockCalls, TheThreadOfAConditionFunctionIsLookedAtAndNotBelieved) {
  play.other_thread = true;
  Socket listener = Socket::New(SP_CONNDATA);
  AcceptOptions options;
  bool same = true;
  options.condition = [&](ConditionRequest& request) {
    same = request.same_thread;
    return SP_CONDITION_ACCEPT;
  };
  EXPECT_TRUE(listener.Accept(options).ok());
  EXPECT_FALSE(same);
}

TEST_F(WinsockCalls, AcceptWithoutAConditionFunctionPassesNone) {
  Socket listener = Socket::New(SP_INET);
  EXPECT_TRUE(listener.Accept().ok());
  EXPECT_EQ(play.last.op, uint32_t{SP_OP_CLOSE});  // of the accepted one
  AcceptOptions options;
  options.condition_kind = SP_POINTER_INVALID;
  AcceptResult accepted = listener.Accept(options);
  EXPECT_EQ(play.last.u.accept.condition_kind, SP_POINTER_INVALID);
  EXPECT_NE(play.last.u.accept.condition, nullptr);
}

TEST_F(WinsockCalls, ConnectCarriesDataBothWaysAndQos) {
  play.callee_length = 5;
  Socket client = Socket::New(SP_CONNDATA);
  CalleeData back(16);
  ConnectOptions options;
  options.caller_data = "hello";
  options.callee_data = &back;
  options.qos = sp_qos{1, 2, 3, 4, 5, 6};
  EXPECT_TRUE(client.Connect(Address::Loopback(SP_CONNDATA, 7), options).ok());
  EXPECT_EQ(play.caller_data, "hello");
  EXPECT_EQ(back.length(), 5u);
  EXPECT_EQ(back.Bytes(), "zzzzz");
  EXPECT_EQ(play.last.u.connect.has_qos, 1);
  EXPECT_EQ(play.last.u.connect.qos.receive_latency, 6u);
  EXPECT_EQ(play.last.u.connect.has_group_qos, 0);
  EXPECT_EQ(reporter_.broken, "");
}

TEST_F(WinsockCalls, DataBehindTheLengthThatCameBackBreaksTheContract) {
  play.callee_length = 5;
  play.written_behind = 1;
  Socket client = Socket::New(SP_CONNDATA);
  CalleeData back(16);
  ConnectOptions options;
  options.callee_data = &back;
  EXPECT_TRUE(client.Connect(Address::Loopback(SP_CONNDATA, 7), options).ok());
  EXPECT_EQ(back.Bytes(), "zzzzz");
  EXPECT_EQ(reporter_.broken, "output_within_length");
}

TEST_F(WinsockCalls, ABegunAcceptEndsWithItsData) {
  play.waits_until_done = 2;
  Socket listener = Socket::New(SP_INET), on = Socket::New(SP_INET);
  BeginAcceptOptions options;
  options.first_data = 10;
  Pending pending = BeginAccept(listener, on, options);
  EXPECT_EQ(pending.Began().name(), "IO_PENDING");
  EXPECT_TRUE(pending.begun());
  EXPECT_FALSE(pending.Done());
  EXPECT_EQ(pending.Settle(Nanoseconds(0)).name(), "still_blocked");
  Pending moved = std::move(pending);
  const Result result = moved.Wait();
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.value(), 2);
  EXPECT_EQ(moved.Data(), "hi");
  EXPECT_TRUE(moved.Done());
  EXPECT_EQ(reporter_.broken, "");
  const std::vector<std::string> trace = Trace::Get().Tail(4);
  EXPECT_NE(trace.back().find("ok value=2"), std::string::npos) << trace.back();
}

TEST_F(WinsockCalls, ACancelledOperationEndsOnceAndOneThatIsRefusedNever) {
  play.waits_until_done = 1000;
  Socket client = Socket::New(SP_INET);
  Pending pending = BeginConnect(client, Address::Loopback(SP_INET, 9), {"data"});
  EXPECT_FALSE(pending.Done());
  EXPECT_EQ(pending.Cancel().name(), "ok");
  EXPECT_EQ(pending.Settle().name(), "OPERATION_ABORTED");
  EXPECT_EQ(pending.Cancel().name(), "ok");

  play = Play{};
  play.begin = SP_EINVAL;
  Pending refused = BeginDisconnect(client, {false, 3, 0});
  EXPECT_FALSE(refused.begun());
  EXPECT_EQ(refused.Settle().name(), "EINVAL");
  EXPECT_EQ(play.begun->u.disconnect.reserved, 3u);
  EXPECT_THROW(static_cast<void>(refused.Wait()), Ended);
}

TEST_F(WinsockCalls, OneThatIsGivenUpIsCancelled) {
  play.waits_until_done = 1000;
  Socket client = Socket::New(SP_INET);
  {
    Pending pending = BeginConnect(client, Address::Loopback(SP_INET, 9));
    EXPECT_TRUE(pending.begun());
  }
  EXPECT_TRUE(play.cancelled);
}

TEST_F(WinsockCalls, EventObjectsTellSetFromRecorded) {
  Watcher event(SP_EVENT_OBJECT);
  Socket client = Socket::New(SP_INET);
  EXPECT_TRUE(event.Add(client, SP_FD_CONNECT | SP_FD_WRITE, 0, 5).ok());
  EXPECT_TRUE(event.IsSet());
  EXPECT_EQ(play.last.u.watch_wait.step, SP_WAIT_ONLY);
  play.set = false;
  EXPECT_FALSE(event.IsSet());
  const WaitResult report = event.Report(client, true);
  EXPECT_EQ(play.last.u.watch_wait.step, SP_REPORT_ONLY);
  EXPECT_EQ(play.last.u.watch_wait.keep_event, 1);
  EXPECT_EQ(play.last.u.watch_wait.socket.value, client.handle().value);
  EXPECT_EQ(report.All(), uint32_t{SP_FD_CONNECT | SP_FD_WRITE});
  EXPECT_EQ(report.ErrorOf(SP_FD_CONNECT)->name(), "ECONNREFUSED");
  EXPECT_EQ(report.ErrorOf(SP_FD_WRITE)->name(), "ok");
  EXPECT_FALSE(report.ErrorOf(SP_FD_CLOSE).has_value());
  EXPECT_EQ(report.strays, uint32_t{SP_FD_READ});
}

TEST_F(WinsockCalls, TheSessionSaysItsVersions) {
  const SessionStart start = StartSession(0x0101);
  EXPECT_EQ(start.outcome.name(), "ok");
  EXPECT_EQ(start.given, 0x0101u);
  EXPECT_EQ(start.highest, 0x0202u);
  EXPECT_EQ(StartSession(0x0100).outcome.name(), "VERNOTSUPPORTED");
  EXPECT_EQ(CleanUpSession().name(), "NOTINITIALISED");
  EXPECT_EQ(CleanUpSession().native(), 10093);
}

}  // namespace
}  // namespace sockproof
