// Our TCP against the kernel's.
#ifdef __linux__
#include <gtest/gtest.h>

#include <netinet/tcp.h>

#include <cstdlib>

#include "reference/tests/kernel_link.h"

namespace sockproof::reference {
namespace {

class Kernel : public testing::Test {
 protected:
  void SetUp() override {
    const std::string reason = link.Open();
    if (!reason.empty()) GTEST_SKIP() << reason;
    socket = link.Socket();
  }
  void TearDown() override {
    if (socket >= 0) close(socket);
    if (peer >= 0) close(peer);
  }
  // ---- Both directions end with `ours` and the kernel's `socket` connected.
  void ConnectToKernel() {
    const sockaddr_in name = link.Name(link.kernel, 0);
    peer = link.Socket();
    ASSERT_EQ(bind(peer, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    ASSERT_EQ(listen(peer, 1), 0);
    sockaddr_in given{};
    socklen_t length = sizeof given;
    getsockname(peer, reinterpret_cast<sockaddr*>(&given), &length);
    ours = link.host.tcp.Connect({{link.here, 1000}, {link.kernel, ntohs(given.sin_port)}}, settings);
    close(socket);
    ASSERT_TRUE(link.Until([&] { return (socket = accept4(peer, nullptr, nullptr, SOCK_NONBLOCK)) >= 0; }));
    EXPECT_TRUE(ours->Established());
  }
  void ConnectFromKernel() {
    const auto listener = link.host.tcp.Listen({link.here, 80}, true, settings);
    StartConnect(80);
    ASSERT_TRUE(link.Until([&] { return listener->Waiting() == 1; }));
    ours = listener->Accept();
    ASSERT_TRUE(link.Until([&] { return ErrorOfConnect() == 0; }));
    link.host.tcp.StopListening(listener);
  }
  void StartConnect(uint16_t port) {
    const sockaddr_in name = link.Name(link.here, port);
    EXPECT_EQ(connect(socket, reinterpret_cast<const sockaddr*>(&name), sizeof name), -1);
    EXPECT_EQ(errno, EINPROGRESS);
  }
  // -1 while it is under way.
  int ErrorOfConnect() const {
    pollfd one{socket, POLLOUT, 0};
    if (poll(&one, 1, 0) == 0) return -1;
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
  }
  std::string Receive(int flags = 0) {
    std::string text(100'000, '\0');
    const ssize_t size = recv(socket, text.data(), text.size(), flags);
    failed = size < 0 && errno != EAGAIN ? errno : 0;
    finished = size == 0;
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }
  bool ReceiveAll(const std::string& expected, int flags = 0) {
    std::string got;
    return link.Until([&] {
      got += Receive(flags);
      return got.size() >= expected.size();
    }) && got == expected;
  }

  KernelLink link;
  TcpSettings settings;
  std::shared_ptr<TcpConnection> ours;
  int socket = -1, peer = -1;
  int failed = 0;         // errno of the last Receive
  bool finished = false;  // it found the end of the stream
};

TEST_F(Kernel, HandshakeFromUs) {
  ConnectToKernel();
  EXPECT_EQ(send(socket, "kernel", 6, 0), 6);
  EXPECT_TRUE(link.Until([&] { return ours->Readable() == 6; }));
  EXPECT_EQ(Read(ours.get()), "kernel");
  Write(ours.get(), "reference");
  EXPECT_TRUE(ReceiveAll("reference"));
}

TEST_F(Kernel, HandshakeFromTheKernel) {
  ConnectFromKernel();
  EXPECT_EQ(send(socket, "kernel", 6, 0), 6);
  EXPECT_TRUE(link.Until([&] { return ours->Readable() == 6; }));
  Write(ours.get(), "reference");
  EXPECT_TRUE(ReceiveAll("reference"));
}

TEST_F(Kernel, BothRefuse) {
  ours = link.host.tcp.Connect({{link.here, 1000}, {link.kernel, 9}}, {});
  EXPECT_TRUE(link.Until([&] { return ours->error() == SP_ECONNREFUSED; }));
  StartConnect(9);
  int error = -1;
  EXPECT_TRUE(link.Until([&] { return (error = ErrorOfConnect()) >= 0; }));
  EXPECT_EQ(error, ECONNREFUSED);
}

TEST_F(Kernel, ResetFromUs) {
  ConnectToKernel();
  ours->Abort();
  EXPECT_TRUE(link.Until([&] {
    Receive();
    return failed != 0;
  }));
  EXPECT_EQ(failed, ECONNRESET);
}

TEST_F(Kernel, ResetFromTheKernel) {
  ConnectToKernel();
  const linger now{1, 0};
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(socket);
  socket = -1;
  EXPECT_TRUE(link.Until([&] { return ours->error() == SP_ECONNRESET; }));
}

TEST_F(Kernel, HalfCloseFromUs) {
  ConnectToKernel();
  Write(ours.get(), "last");
  ours->ShutdownWrite();
  EXPECT_TRUE(ReceiveAll("last"));
  EXPECT_TRUE(link.Until([&] {
    Receive();
    return finished;
  }));
  EXPECT_EQ(send(socket, "still", 5, 0), 5);
  EXPECT_TRUE(link.Until([&] { return ours->Readable() == 5; }));
  EXPECT_EQ(ours->state(), SP_TCP_FIN_WAIT_2);
  close(socket);
  socket = -1;
  EXPECT_TRUE(link.Until([&] { return ours->state() == SP_TCP_TIME_WAIT; }));
}

TEST_F(Kernel, HalfCloseFromTheKernel) {
  ConnectFromKernel();
  EXPECT_EQ(send(socket, "last", 4, 0), 4);
  EXPECT_EQ(shutdown(socket, SHUT_WR), 0);
  EXPECT_TRUE(link.Until([&] { return ours->PeerFinished(); }));
  EXPECT_EQ(Read(ours.get()), "last");
  Write(ours.get(), "still");
  ours->Close();
  EXPECT_TRUE(ReceiveAll("still"));
  EXPECT_TRUE(link.Until([&] {
    Receive();
    return finished;
  }));
  EXPECT_TRUE(link.Until([&] { return ours->state() == SP_TCP_CLOSED; }));  // LAST-ACK is over
}

TEST_F(Kernel, UrgentBytesAreTheSameOnes) {
  ConnectToKernel();
  EXPECT_EQ(send(socket, "ab!", 3, MSG_OOB), 3);
  EXPECT_TRUE(link.Until([&] { return ours->HasUrgent(); }));
  EXPECT_EQ(ours->TakeUrgent(false), '!');
  EXPECT_EQ(Read(ours.get()), "ab");
  ours->WriteUrgent(reinterpret_cast<const uint8_t*>("cd?"), 3);
  EXPECT_TRUE(ReceiveAll("?", MSG_OOB));
  EXPECT_TRUE(ReceiveAll("cd"));
}

TEST_F(Kernel, ClosedWindowsOpenAgain) {
  settings.receive_buffer = 5000;
  const int small = 5000;
  setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  ConnectFromKernel();
  const std::string text(40'000, 'x');
  EXPECT_EQ(send(socket, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(Write(ours.get(), text), text.size());
  EXPECT_TRUE(link.Until([&] { return ours->Readable() == 5000; }));
  const int64_t then = link.host.scheduler.Now();
  EXPECT_TRUE(link.Until([&] { return link.host.Since(then) > kSecond; }));  // probes in both directions
  EXPECT_GT(ours->Unsent(), 20'000u);
  std::string here, there;
  EXPECT_TRUE(link.Until([&] {
    here += Read(ours.get());
    there += Receive();
    return here.size() == text.size() && there.size() == text.size();
  }));
  EXPECT_TRUE(here == text);
  EXPECT_TRUE(there == text);
}

// What the byte at a place of the stream is: no two neighbouring blocks are alike.
char ByteAt(std::size_t place) { return static_cast<char>(place * 2654435761u >> 13); }

TEST_F(Kernel, SixtyFourMebibytesEachWayUnderLoss) {
  constexpr std::size_t kVolume = 64 << 20;
  settings.receive_buffer = settings.send_buffer = 1 << 20;
  ConnectToKernel();
  link.host.network.Impair({2000, 1000, 0, 0});
  const auto text = [](std::size_t from, std::size_t size) {
    std::string block(size, '\0');
    for (std::size_t i = 0; i < size; ++i) block[i] = ByteAt(from + i);
    return block;
  };
  std::size_t out = 0, in = 0, kernel_out = 0, kernel_in = 0;
  bool same = true, kernel_finished = false;
  const auto check = [&](const std::string& got, std::size_t* place) {
    for (const char byte : got) same = same && byte == ByteAt((*place)++);
  };
  const bool done = link.Until(
      [&] {
        if (out < kVolume && ours->Room() > 0) {
          out += Write(ours.get(), text(out, std::min({kVolume - out, ours->Room(), std::size_t{65536}})));
          if (out == kVolume) ours->ShutdownWrite();
        }
        pollfd one{socket, POLLOUT, 0};
        if (kernel_out < kVolume && poll(&one, 1, 0) == 1) {
          const std::string block = text(kernel_out, std::min(kVolume - kernel_out, std::size_t{65536}));
          const ssize_t sent = send(socket, block.data(), block.size(), MSG_NOSIGNAL);
          kernel_out += sent > 0 ? static_cast<std::size_t>(sent) : 0;
          if (kernel_out == kVolume) shutdown(socket, SHUT_WR);
        }
        check(Read(ours.get(), 65536), &in);
        check(Receive(), &kernel_in);
        kernel_finished = kernel_finished || finished;
        return (ours->PeerFinished() && ours->Readable() == 0 && kernel_finished) || failed != 0 || ours->error() != SP_OK ||
               !same;
      },
      std::chrono::seconds(50));
  EXPECT_TRUE(done);
  EXPECT_TRUE(same);
  EXPECT_EQ(in, kVolume);
  EXPECT_EQ(kernel_in, kVolume);
}

}  // namespace
}  // namespace sockproof::reference
#endif
