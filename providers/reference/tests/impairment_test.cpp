// A network that loses, doubles and reorders: what is written arrives, whole and in order, and the same seed gives the same run.
#include <gtest/gtest.h>

#include "reference/tests/host.h"

namespace sockproof::reference {
namespace {

constexpr std::size_t kVolume = 1 << 20;

std::string Noise(uint64_t seed) {
  Scheduler source(seed);
  std::string text(kVolume, '\0');
  for (char& byte : text) byte = static_cast<char>(source.Random());
  return text;
}

// One direction of a transfer: what was written so far, what was read.
struct Flow {
  TcpConnection *from, *to;
  std::string text;
  std::string got = {};
  std::size_t sent = 0;
  void Move() {
    if (sent < text.size()) {
      sent += from->Write(reinterpret_cast<const uint8_t*>(text.data()) + sent, text.size() - sent);
      if (sent == text.size()) from->ShutdownWrite();
    }
    got += Read(to, 100'000);
  }
  bool Done() const { return to->PeerFinished() && to->Readable() == 0; }
  bool CanMove() const { return to->Readable() > 0 || (sent < text.size() && from->Room() > 0); }
};

// 1 MiB each way; how long it took on the virtual clock, or 0 if it did not come to an end.
int64_t Exchange(uint64_t seed, const Network::Impairment& impairment, uint16_t segment) {
  Host host(seed);
  TcpSettings settings;
  settings.maximum_segment = segment;
  settings.send_buffer = 200'000;
  Pair pair(&host, settings, settings);
  host.network.Impair(impairment);
  Flow out{pair.client.get(), pair.server.get(), Noise(seed)}, in{pair.server.get(), pair.client.get(), Noise(seed + 1)};
  const int64_t begin = host.scheduler.Now();
  bool done = false, late = false;
  while (!done && !late) {
    out.Move();
    in.Move();
    done = out.Done() && in.Done();
    late = !done && !host.Until([&] { return out.CanMove() || in.CanMove() || (out.Done() && in.Done()); }, 1000 * kSecond);
  }
  EXPECT_TRUE(done);
  EXPECT_TRUE(out.got == out.text);
  EXPECT_TRUE(in.got == in.text);
  return done ? host.Since(begin) : 0;
}

class Seeds : public testing::TestWithParam<uint64_t> {};

TEST_P(Seeds, LossDuplicationAndReorderingLoseNothing) {
  const Network::Impairment bad{100'000, 50'000, 5 * kMillisecond, 3 * kMillisecond};
  const int64_t took = Exchange(GetParam(), bad, 1460);
  EXPECT_EQ(Exchange(GetParam(), bad, 1460), took);  // the same run again
}

TEST_P(Seeds, LossOfLargeSegmentsLosesNothing) { Exchange(GetParam(), {100'000, 0, 0, 0}, 0); }

INSTANTIATE_TEST_SUITE_P(Twenty, Seeds, testing::Range<uint64_t>(1, 21));

TEST(Impairment, HandshakeAndEndComeThroughLoss) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Host host(seed);
    host.network.Impair({300'000, 100'000, kMillisecond, kMillisecond});
    const auto listener = host.Listen(80);
    const auto client = host.Connect(1000, 80);
    ASSERT_TRUE(host.Until([&] { return listener->Waiting() == 1; }));
    const auto server = listener->Accept();
    ASSERT_TRUE(host.Until([&] { return client->Established(); }));
    client->Close();
    ASSERT_TRUE(host.Until([&] { return server->PeerFinished(); }));
    server->Close();
    EXPECT_TRUE(host.Until([&] { return !host.tcp.LocalInUse(Local(80), true) && !host.tcp.LocalInUse(Local(1000), true); }));
  }
}

TEST(Impairment, DelayIsWhatWasAskedFor) {
  Host host;
  host.network.Impair({0, 0, 10 * kMillisecond, 0});
  const auto listener = host.Listen(80);
  const auto client = host.Connect(1000, 80);
  const int64_t begin = host.scheduler.Now();
  EXPECT_TRUE(host.Until([&] { return client->Established(); }));
  EXPECT_EQ(host.Since(begin), 20 * kMillisecond);
  EXPECT_TRUE(host.Until([&] { return listener->Waiting() == 1; }));
  EXPECT_EQ(host.Since(begin), 30 * kMillisecond);
}

TEST(Network, FilterSilencesWhatItNames) {
  Host host;
  const auto listener = host.Listen(80);
  bool silent = true;
  host.network.SetFilter([&](const Packet& packet) { return silent && host.tcp.OwnerOf(packet) == listener.get(); });
  const auto client = host.Connect(1000, 80);
  host.Pass(2 * kSecond);
  EXPECT_EQ(client->state(), SP_TCP_SYN_SENT);
  silent = false;
  host.Pass(kSecond);
  EXPECT_EQ(client->state(), SP_TCP_ESTABLISHED);
}

TEST(Network, Routes) {
  Host host;
  const auto route = [&](int32_t family, std::array<uint8_t, 16> bytes) { return host.network.RouteTo({family, bytes}); };
  EXPECT_EQ(route(SP_INET, {127, 9, 9, 9}), Network::Route::kLocal);
  EXPECT_EQ(route(SP_INET6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}), Network::Route::kLocal);
  EXPECT_EQ(route(SP_INET6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}), Network::Route::kUnreachable);
  EXPECT_EQ(route(SP_INET, {10, 0, 0, 1}), Network::Route::kUnreachable);
  EXPECT_EQ(route(SP_INET, {255, 255, 255, 255}), Network::Route::kUnreachable);
  for (const int32_t family : {SP_INET, SP_INET6, SP_CONNDATA}) {
    EXPECT_EQ(host.network.RouteTo(Network::BlackHole(family)), Network::Route::kBlackHole);
    EXPECT_EQ(host.network.SourceFor(Network::BlackHole(family)), At(family, 0).ip);
  }
  const IpAddress here{SP_INET, {10, 0, 0, 1}}, there{SP_INET, {10, 0, 0, 2}};
  host.network.AttachLink(here, there, 1500, [](const std::vector<uint8_t>&) {});
  EXPECT_EQ(host.network.RouteTo(here), Network::Route::kLocal);
  EXPECT_EQ(host.network.RouteTo(there), Network::Route::kLink);
  EXPECT_EQ(host.network.SourceFor(there), here);
  EXPECT_EQ(host.network.MaximumPayload(there), 1480);
}

}  // namespace
}  // namespace sockproof::reference
