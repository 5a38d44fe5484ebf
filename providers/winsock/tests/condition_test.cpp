#include "provider_test.h"

namespace sockproof::winsock::test {
namespace {

struct Asked {
  std::int32_t answer = SP_CONDITION_ACCEPT;
  int times = 0;
  sp_condition_request request{};
  static std::int32_t Ask(void* context, sp_condition_request* request) {
    auto* self = static_cast<Asked*>(context);
    ++self->times;
    self->request = *request;
    return self->answer;
  }
};

class ConditionTest : public ProviderTest {
 protected:
  Outcome AcceptIf(const sp_handle& listener, Asked* asked) const {
    return Do(SP_OP_ACCEPT, listener, [&](auto& u) {
      u.accept.peer.kind = SP_POINTER_NULL;
      u.accept.peer.length_kind = SP_POINTER_NULL;
      u.accept.condition = &Asked::Ask;
      u.accept.condition_context = asked;
      u.accept.callback_data = 4711;
    });
  }
};

TEST_F(ConditionTest, IsAskedInTheThreadOfTheCallAndAnswers) {
  sp_address address{};
  const sp_handle listener = Listener(&address);
  const sp_handle client = Make();
  ASSERT_TRUE(Connect(client, address).ok());
  Asked asked;
  asked.answer = SP_CONDITION_DEFER;
  EXPECT_EQ(AcceptIf(listener, &asked).error, SP_TRY_AGAIN);
  EXPECT_EQ(asked.times, 1);
  EXPECT_EQ(asked.request.same_thread, 1);
  EXPECT_EQ(asked.request.callback_data, 4711u);
  EXPECT_EQ(asked.request.has_caller, 1);
  EXPECT_EQ(asked.request.caller.port, LocalName(client).port);
  EXPECT_EQ(asked.request.callee.port, address.port);
  asked.answer = SP_CONDITION_ACCEPT;
  const Outcome accepted = AcceptIf(listener, &asked);
  ASSERT_TRUE(accepted.ok()) << accepted.native;
  EXPECT_EQ(asked.times, 2);
  EXPECT_EQ(Send(client, "x").value, 1);
  EXPECT_EQ(Recv(accepted.handle).second, "x");
  for (const sp_handle& one : {listener, client, accepted.handle}) EXPECT_TRUE(Close(one).ok());
}

TEST_F(ConditionTest, RefusesARequest) {
  sp_address address{};
  const sp_handle listener = Listener(&address);
  const sp_handle client = Make();
  ASSERT_TRUE(Connect(client, address).ok());
  Asked asked;
  asked.answer = SP_CONDITION_REJECT;
  EXPECT_EQ(AcceptIf(listener, &asked).error, SP_ECONNREFUSED);
  EXPECT_TRUE(Close(client).ok());
  EXPECT_TRUE(Close(listener).ok());
}

}  // namespace
}  // namespace sockproof::winsock::test
