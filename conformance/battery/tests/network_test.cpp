// What scenarios rely on when nothing may interfere: settle.h and guarded.h, over this machine's own sockets.
#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "battery/guarded.h"
#include "face/host.h"
#include "face/settle.h"

extern "C" const struct sp_provider* sockproof_posix_provider(void);

namespace sockproof {
namespace {

class Failing final : public Reporter {
 public:
  [[noreturn]] void NotSupported(std::string_view capability, const std::string& detail) override {
    End("not supported: " + std::string(capability) + ' ' + detail);
  }
  [[noreturn]] void StepFailed(Where where, const std::string& step, const Outcome& outcome) override {
    End(std::string(where.file) + ": " + step + ": " + outcome.detail());
  }
  [[noreturn]] void NoSuchOption(Where, int32_t, const std::string& step, const Outcome&) override { End(step); }
  void ContractBroken(std::string_view promise, const std::string& detail) override {
    ADD_FAILURE() << promise << ": " << detail;
  }

 private:
  [[noreturn]] static void End(const std::string& why) {
    fprintf(stderr, "%s\n", why.c_str());
    std::abort();
  }
};

class Network : public testing::Test {
 protected:
  Network() {
    std::string why;
    EXPECT_TRUE(Host::Get().Open("posix", {{"posix", &sockproof_posix_provider}}, &why)) << why;
    Host::Get().SetReporter(&failing_);
  }
  ~Network() override { Host::Get().Close(); }

 private:
  Failing failing_;
};

int Processors() {
  cpu_set_t allowed;
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : -1;
}

TEST_F(Network, AThreadIsOnOneProcessorAndFreeAgain) {
  const int before = Processors();
  {
    const OnOneProcessor here;
    EXPECT_EQ(Processors(), 1);
  }
  EXPECT_EQ(Processors(), before);
}

TEST_F(Network, AnOptionThatIsNotThereIsNoEnd) {
  Socket stream = kInet.NewConnecting();
  EXPECT_TRUE(TrySet(stream, SP_SO_REUSEADDR, 1));
  EXPECT_FALSE(TrySet(stream, SP_SO_CONDITIONAL_ACCEPT, 1));
}

TEST_F(Network, AConnectionThatHasServedEndsInAReset) {
  Listener listener = ListenOn(kInet);
  std::vector<Socket> clients;
  clients.push_back(kInet.NewConnecting());
  ASSERT_TRUE(clients.front().Connect(listener.address).ok());
  Socket accepted = Must(listener.socket.Accept());
  ResetAll(clients);
  EXPECT_TRUE(clients.empty());
  EXPECT_EQ(accepted.Recv(1).error(), SP_ECONNRESET);
}

TEST_F(Network, TheGuardKeepsThePortOfAListenerThatIsClosed) {
  GuardedListener guarded = ListenGuarded(kInet);
  const Address port = guarded.listener.socket.LocalAddress();
  static_cast<void>(guarded.listener.socket.Close());
  Socket stranger = kInet.NewListening();
  EXPECT_EQ(stranger.Bind(port).error(), SP_EADDRINUSE);
  Socket client = kInet.NewConnecting();
  EXPECT_EQ(client.Connect(guarded.listener.address).error(), SP_ECONNREFUSED);
  static_cast<void>(guarded.guard.Close());
  EXPECT_TRUE(stranger.Bind(port).ok());
}

TEST_F(Network, SettlingTakesItsSpanAndEnds) {
  const int64_t start = HostNow();
  LetNetworkSettle(kInet, milliseconds(5));
  EXPECT_GE(HostNow() - start, Nanoseconds(milliseconds(5)).count());
}

}  // namespace
}  // namespace sockproof
