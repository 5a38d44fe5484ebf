// Threads, signals and processes.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "provider_test.h"

namespace sockproof::posix::test {
namespace {

class ThreadsTest : public ProviderTest {
 protected:
  sp_handle Listener() const {
    const sp_handle listener = Make(SP_INET);
    EXPECT_TRUE(Bind(listener, Loopback(SP_INET)).ok());
    EXPECT_TRUE(Listen(listener).ok());
    return listener;
  }
  void AwaitBlocked(const std::atomic<std::int64_t>& thread) const {
    while (thread == 0 || provider_.threads->blocked(self_, thread) != SP_OK) std::this_thread::yield();
  }
};

TEST_F(ThreadsTest, AThreadInACallIsBlockedUntilItIsInterrupted) {
  const sp_handle listener = Listener();
  std::atomic<std::int64_t> thread{0};
  Outcome first{};
  std::thread acceptor([&] {
    thread = provider_.threads->current(self_);
    first = Accept(listener);
  });
  AwaitBlocked(thread);
  EXPECT_EQ(provider_.threads->interrupt(self_, thread, 1), SP_OK);  // restarted, so still there
  AwaitBlocked(thread);
  EXPECT_EQ(provider_.threads->interrupt(self_, thread, 0), SP_OK);
  acceptor.join();
  EXPECT_EQ(first.error, SP_EINTR);
  EXPECT_EQ(provider_.threads->blocked(self_, thread), SP_EAGAIN);
  EXPECT_EQ(provider_.threads->interrupt(self_, thread, 0), SP_EINVAL);
}

TEST_F(ThreadsTest, AThreadThatSleepsElsewhereIsNotBlockedInACall) {
  std::mutex mutex;
  std::unique_lock<std::mutex> held(mutex);
  std::atomic<std::int64_t> thread{0};
  std::thread sleeper([&] {
    Close(Make(SP_INET));
    thread = provider_.threads->current(self_);
    const std::lock_guard<std::mutex> lock(mutex);
  });
  while (thread == 0) std::this_thread::yield();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(provider_.threads->blocked(self_, thread), SP_EAGAIN);
  held.unlock();
  sleeper.join();
}

struct Body {
  const sp_provider* provider;
  void* self;
  sp_handle listener;
  std::atomic<std::int64_t> thread{0};
  bool unwound = false;
};

void AcceptForever(void* context) {
  auto* body = static_cast<Body*>(context);
  struct Unwound {
    bool* flag;
    ~Unwound() { *flag = true; }
  } const unwound{&body->unwound};
  body->thread = body->provider->threads->current(body->self);
  sp_call call{};
  call.size = sizeof call;
  call.op = SP_OP_ACCEPT;
  call.handle = body->listener;
  call.u.accept.peer.kind = SP_POINTER_NULL;
  sp_result result{};
  body->provider->call(body->self, &call, &result);
}

TEST_F(ThreadsTest, ABlockedThreadCanBeCancelled) {
  Body body{&provider_, self_, Listener()};
  std::thread canceller([&] {
    AwaitBlocked(body.thread);
    EXPECT_EQ(provider_.threads->cancel(self_, body.thread), SP_OK);
  });
  std::int64_t thread = 0;
  std::int32_t cancelled = 0;
  EXPECT_EQ(provider_.threads->run_cancellable(self_, AcceptForever, &body, &thread, &cancelled), SP_OK);
  canceller.join();
  EXPECT_EQ(cancelled, 1);
  EXPECT_EQ(thread, body.thread);
  EXPECT_TRUE(body.unwound);
  EXPECT_EQ(provider_.threads->cancel(self_, thread), SP_EINVAL);
  EXPECT_EQ(provider_.threads->run_cancellable(
                self_, [](void*) {}, nullptr, &thread, &cancelled),
            SP_OK);
  EXPECT_EQ(cancelled, 0);
}

TEST_F(ThreadsTest, SignalsAreCounted) {
  std::uint64_t count = 0;
  ASSERT_EQ(provider_.signals->take_pipe_signals(self_, &count), SP_OK);
  sp_call pair{};
  pair.op = SP_OP_SOCKETPAIR;
  pair.u.socketpair.of = {SP_UNIX, SP_STREAM, 0, 0};
  const sp_handle one = Do(pair).handle;
  Close(pair.u.socketpair.second);
  char byte = 'x';
  const sp_buffer buffer = {&byte, 1, 0, 0};
  for (const std::uint32_t flags : {0u, static_cast<std::uint32_t>(SP_MSG_NOSIGNAL)}) {
    const Outcome sent = Do(SP_OP_SEND, one, [&](auto& u) {
      u.send.flags = flags;
      u.send.buffers = &buffer;
      u.send.buffer_count = 1;
    });
    EXPECT_EQ(sent.error, SP_EPIPE);
  }
  ASSERT_EQ(provider_.signals->take_pipe_signals(self_, &count), SP_OK);
  EXPECT_EQ(count, 1u);
  ASSERT_EQ(provider_.signals->take_pipe_signals(self_, &count), SP_OK);
  EXPECT_EQ(count, 0u);
}

class ProcessesTest : public ProviderTest {
 protected:
  std::int32_t End(std::int64_t process) const {
    std::int32_t code = -1;
    EXPECT_EQ(provider_.processes->wait(self_, process, 20'000'000'000, &code), SP_OK);
    return code;
  }
};

TEST_F(ProcessesTest, AChildEndsWithItsValue) {
  std::int64_t process = 0;
  ASSERT_EQ(provider_.processes->fork(
                self_, [](void*) -> std::int32_t { return 42; }, nullptr, &process),
            SP_OK);
  EXPECT_EQ(End(process), 42);
  std::int32_t code = 0;
  EXPECT_EQ(provider_.processes->wait(self_, process, 0, &code), SP_EINVAL);
}

TEST_F(ProcessesTest, AChildCanUseTheAdapter) {
  std::int64_t process = 0;
  struct Context {
    const sp_provider* provider;
    void* self;
  } context{&provider_, self_};
  const auto child = [](void* raw) -> std::int32_t {
    auto* context = static_cast<Context*>(raw);
    sp_call call{};
    call.op = SP_OP_SOCKET;
    call.u.socket = {SP_INET, SP_STREAM, 0, 0};
    sp_result result{};
    context->provider->call(context->self, &call, &result);
    const bool own = context->provider->threads->current(context->self) == ::getpid();
    return result.error == SP_OK && own ? 0 : 1;
  };
  ASSERT_EQ(provider_.processes->fork(self_, child, &context, &process), SP_OK);
  EXPECT_EQ(End(process), 0);
}

TEST_F(ProcessesTest, WaitKeepsItsLimitAndKillEndsIt) {
  std::int64_t process = 0;
  const auto forever = [](void*) -> std::int32_t {
    while (true) ::pause();
  };
  ASSERT_EQ(provider_.processes->fork(self_, forever, nullptr, &process), SP_OK);
  std::int32_t code = 0;
  EXPECT_EQ(provider_.processes->wait(self_, process, 5'000'000, &code), SP_EAGAIN);
  EXPECT_EQ(provider_.processes->kill(self_, process), SP_OK);
  EXPECT_EQ(End(process), 256 + SIGKILL);
}

TEST_F(ProcessesTest, ExecKeepsWhatItIsTold) {
  int pipes[2][2];
  for (auto& pipe : pipes) ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const std::string kept = std::to_string(pipes[0][1]);
  const std::string closed = std::to_string(pipes[1][1]);
  const char* const argv[] = {"test", "--child", kept.c_str(), closed.c_str(), nullptr};
  const std::int32_t keep[] = {pipes[0][1]};
  std::int64_t process = 0;
  ASSERT_EQ(provider_.processes->exec(self_, argv, keep, 1, &process), SP_OK);
  EXPECT_EQ(End(process), 64 + 1);
  for (auto& pipe : pipes) {
    ::close(pipe[0]);
    ::close(pipe[1]);
  }
}

}  // namespace
}  // namespace sockproof::posix::test
