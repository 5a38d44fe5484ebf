// What Wireshark says of a capture: it reads it, checks every checksum, and finds nothing worth a warning that was not meant.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <random>
#include <set>
#include <string>

#include "reference/tests/script.h"

#ifdef _WIN32
#define popen _popen
#define pclose _pclose
#endif

namespace sockproof::reference {
namespace {

std::string Output(const std::string& command) {
  std::string text;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  char part[4096];
  for (std::size_t size; (size = std::fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, size);
  pclose(pipe);
  return text;
}

std::set<std::string> Lines(const std::string& text) {
  std::set<std::string> lines;
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.insert(text.substr(begin, end - begin));
  }
  return lines;
}

#ifdef _WIN32
constexpr char kQuiet[] = " 2>NUL";
#else
constexpr char kQuiet[] = " 2>/dev/null";
#endif

class Tshark : public testing::Test {
 protected:
  void SetUp() override {
    if (Output(std::string("tshark --version") + kQuiet).rfind("TShark", 0) != 0) GTEST_SKIP() << "there is no tshark";
    const std::string name = "sockproof-" + std::to_string(std::random_device()()) + ".pcapng";
    path = (std::filesystem::temp_directory_path() / name).string();
  }
  void TearDown() override {
    if (!path.empty() && !HasFailure()) std::filesystem::remove(path);
  }
  // One field of every packet that the filter lets through.
  std::string Field(const std::string& field, const std::string& filter = "frame") {
    return Output("tshark -r \"" + path + "\" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE" +
                  " -Y \"" + filter + "\" -T fields -e " + field + kQuiet);
  }
  // Expert information of severity 'warning' and above.
  std::set<std::string> Warnings() { return Lines(Field("_ws.expert.message", "_ws.expert.severity >= 0x600000")); }
  std::string path;
};

TEST_F(Tshark, FindsNothingWrongWithAnOrdinaryConversation) {
  Host host;
  ASSERT_TRUE(host.network.StartCapture(path));
  for (const int32_t family : {SP_INET, SP_INET6}) {
    TcpSettings settings;
    settings.keep_alive = true;
    settings.keep_idle = settings.keep_interval = kSecond;
    const auto listener = host.tcp.Listen(At(family, 80), true, settings);
    const auto client = host.tcp.Connect({At(family, 1000), At(family, 80)}, settings);
    host.Pass(0);
    const auto server = listener->Accept();
    ASSERT_NE(server, nullptr);
    for (int i = 0; i < 50; ++i) {
      Write(client.get(), std::string(3000, 'c'));
      Write(server.get(), "answer");
      host.Pass(kMillisecond);
      Read(client.get());
      Read(server.get());
    }
    client->WriteUrgent(reinterpret_cast<const uint8_t*>("!"), 1);
    host.Pass(10 * kSecond);
    EXPECT_EQ(server->TakeUrgent(false), '!');
    client->ShutdownWrite();
    host.Pass(kMillisecond);
    server->Close();
    host.Pass(kSecond);
    EXPECT_EQ(client->state(), SP_TCP_TIME_WAIT);
  }
  Packet datagram;
  datagram.protocol = Protocol::kUdp;
  datagram.source = Local(53'000);
  datagram.destination = Local(53'001);
  datagram.payload = Bytes("payload");
  host.network.Send(datagram);
  EXPECT_TRUE(host.network.StartCapture(""));
  EXPECT_EQ(Warnings(), std::set<std::string>{});
  EXPECT_EQ(Lines(Field("tcp.stream", "tcp")), (std::set<std::string>{"0", "1"}));
  EXPECT_EQ(Lines(Field("tcp.checksum.status", "tcp")), std::set<std::string>{"1"});
  EXPECT_EQ(Lines(Field("ip.checksum.status", "ip")), std::set<std::string>{"1"});
  EXPECT_EQ(Lines(Field("udp.checksum.status", "udp")), std::set<std::string>{"1"});
  EXPECT_EQ(Field("udp.payload", "udp"), "7061796c6f6164\n");
}

TEST_F(Tshark, SeesTheVirtualClock) {
  Host host;
  ASSERT_TRUE(host.network.StartCapture(path));
  const auto client = host.tcp.Connect({Local(1000), {Network::BlackHole(SP_INET), 80}}, {});
  host.Pass(4 * kSecond);
  host.network.StartCapture("");
  EXPECT_EQ(Field("frame.time_relative"), "0.000000000\n1.000000000\n3.000000000\n");
  EXPECT_EQ(Field("frame.time_epoch"), "1.000000000\n2.000000000\n4.000000000\n");
}

TEST_F(Tshark, WarnsOfWhatIsMeantToBeWrong) {
  Script script;
  ASSERT_TRUE(script.host.network.StartCapture(path));
  TcpSettings settings;
  settings.receive_buffer = 1000;
  script.Establish(settings);
  script.Send({.payload = std::string(1000, 'x')});
  script.Send({.flags = kRst, .sequence = 1001});
  script.host.network.StartCapture("");
  EXPECT_EQ(Warnings(), (std::set<std::string>{"TCP window specified by the receiver is now completely full",
                                               "TCP Zero Window segment", "Connection reset (RST)"}));
}

TEST_F(Tshark, ReadsIcmp) {
  Host host;
  ASSERT_TRUE(host.network.StartCapture(path));
  for (const int32_t family : {SP_INET, SP_INET6}) {
    Packet icmp;
    icmp.protocol = Protocol::kIcmp;
    icmp.source = icmp.destination = At(family, 0);
    icmp.icmp = {IcmpHeader::Reason::kPort, Protocol::kUdp, At(family, 7), At(family, 9), 0};
    host.network.Send(icmp);
  }
  host.network.StartCapture("");
  EXPECT_EQ(Field("icmp.code", "icmp.type == 3 && icmp.checksum.status == 1 && udp.dstport == 9"), "3\n");
  EXPECT_EQ(Field("icmpv6.code", "icmpv6.type == 1 && icmpv6.checksum.status == 1 && udp.dstport == 9"), "4\n");
}

TEST(Capture, PathThatCannotBeWrittenIsSaid) {
  Host host;
  EXPECT_FALSE(host.network.StartCapture("/nowhere/at/all.pcapng"));
}

}  // namespace
}  // namespace sockproof::reference
