// Urgent data: RFC 9293 3.8.5 with the reading of RFC 6093.
#include <gtest/gtest.h>

#include "reference/tests/script.h"

namespace sockproof::reference {
namespace {

std::size_t WriteUrgent(TcpConnection* connection, const std::string& text) {
  return connection->WriteUrgent(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

TEST(Urgent, LastByteIsTakenOutOfLine) {
  Host host;
  Pair pair(&host);
  uint32_t told = 0;
  pair.server->changed = [&](uint32_t what) { told |= what; };
  Write(pair.client.get(), "ab");
  WriteUrgent(pair.client.get(), "cd");
  Write(pair.client.get(), "ef");
  host.Pass(0);
  TcpConnection* server = pair.server.get();
  EXPECT_TRUE((told & TcpConnection::kUrgent) != 0);
  ASSERT_TRUE(server->HasUrgent());
  EXPECT_EQ(server->Readable(), 5u);
  EXPECT_EQ(server->BeforeMark(), 3u);
  EXPECT_EQ(server->TakeUrgent(true), 'd');
  EXPECT_EQ(server->TakeUrgent(false), 'd');
  EXPECT_FALSE(server->TakeUrgent(false).has_value());
  EXPECT_FALSE(server->HasUrgent());
  EXPECT_FALSE(server->AtMark());
  EXPECT_EQ(Read(server), "abc");
  EXPECT_TRUE(server->AtMark());
  EXPECT_EQ(Read(server), "ef");
  EXPECT_FALSE(server->AtMark());
}

TEST(Urgent, InlineItStaysInTheStreamBehindTheMark) {
  Host host;
  TcpSettings settings;
  settings.urgent_inline = true;
  Pair pair(&host, {}, settings);
  WriteUrgent(pair.client.get(), "ab!");
  Write(pair.client.get(), "c");
  host.Pass(0);
  TcpConnection* server = pair.server.get();
  EXPECT_TRUE(server->HasUrgent());
  EXPECT_FALSE(server->TakeUrgent(false).has_value());
  EXPECT_EQ(server->Readable(), 4u);
  EXPECT_EQ(Read(server), "ab");
  EXPECT_TRUE(server->AtMark());
  EXPECT_EQ(Read(server), "!c");
  EXPECT_FALSE(server->HasUrgent());
}

TEST(Urgent, AloneItIsNotReadable) {
  Host host;
  Pair pair(&host);
  WriteUrgent(pair.client.get(), "!");
  host.Pass(0);
  EXPECT_EQ(pair.server->Readable(), 0u);
  EXPECT_TRUE(pair.server->AtMark());
  EXPECT_EQ(Read(pair.server.get()), "");
  EXPECT_EQ(pair.server->TakeUrgent(false), '!');
}

TEST(Urgent, PointerPointsBehindTheByte) {
  Script script;
  script.Establish();
  WriteUrgent(script.connection.get(), "abc");
  const Packet packet = script.Expect(kAck | kPsh | kUrg, 1, 1);
  EXPECT_EQ(packet.tcp.urgent, 3);
  script.Send({.acknowledgement = 4});
  Write(script.connection.get(), "d");
  script.Expect(kAck | kPsh, 4, 1);
}

TEST(Urgent, AnnouncedBeforeItComes) {
  Script script;
  script.Establish();
  script.Send({.flags = kAck | kUrg, .urgent = 3});
  EXPECT_TRUE(script.connection->UrgentAnnounced());
  EXPECT_FALSE(script.connection->HasUrgent());
  script.Send({.payload = "abc"});
  EXPECT_TRUE(script.connection->HasUrgent());
  EXPECT_EQ(script.connection->TakeUrgent(false), 'c');
}

TEST(Urgent, NewerMarkTakesThePlaceOfTheOlder) {
  Script script;
  script.Establish();
  script.Send({.flags = kAck | kUrg, .payload = "a!", .urgent = 2});
  script.Send({.flags = kAck | kUrg, .sequence = 3, .payload = "b?", .urgent = 2});
  EXPECT_EQ(script.connection->TakeUrgent(false), '?');
  EXPECT_EQ(Read(script.connection.get()), "a!b");
}

TEST(Urgent, PeekStopsWhereReadDoes) {
  Script script;
  script.Establish();
  script.Send({.flags = kAck | kUrg, .payload = "ab!cd", .urgent = 3});
  uint8_t out[16];
  EXPECT_EQ(script.connection->Peek(out, sizeof out), 2u);
  EXPECT_EQ(script.connection->Peek(out, sizeof out, 1), 1u);
  EXPECT_EQ(out[0], 'b');
  Read(script.connection.get());
  ASSERT_EQ(script.connection->Peek(out, sizeof out), 2u);
  EXPECT_EQ(out[0], 'c');
}

}  // namespace
}  // namespace sockproof::reference
