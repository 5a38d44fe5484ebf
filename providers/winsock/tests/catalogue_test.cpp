// Sockets of one entry of the catalogue of protocols.
#include "catalogue.h"

#include "provider_test.h"

namespace sockproof::winsock::test {
namespace {

// Any entry for TCP over IPv4, with what makes it out.
WSAPROTOCOL_INFOW AnyTcp() {
  WSADATA data{};
  EXPECT_EQ(::WSAStartup(MAKEWORD(2, 2), &data), 0);
  const SOCKET socket = ::socket(AF_INET, SOCK_STREAM, 0);
  WSAPROTOCOL_INFOW info{};
  int length = sizeof info;
  EXPECT_EQ(::getsockopt(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, reinterpret_cast<char*>(&info), &length), 0);
  ::closesocket(socket);
  ::WSACleanup();
  return info;
}

std::string WhyNot(const std::string& argument) {
  void* self = nullptr;
  const char* why = "";
  EXPECT_EQ(sockproof_winsock_provider()->open(argument.c_str(), &self, &why), SP_EINVAL) << argument;
  return why;
}

class OneEntry : public ProviderTest {
 protected:
  OneEntry() : ProviderTest(("id=" + std::to_string(AnyTcp().dwCatalogEntryId)).c_str()) {}
};

TEST_F(OneEntry, MakesTheSocketsThatItIsFor) {
  sp_address address{};
  const sp_handle listener = Listener(&address);
  const sp_handle client = Make();
  EXPECT_TRUE(Connect(client, address).ok());
  EXPECT_TRUE(Close(client).ok());
  EXPECT_TRUE(Close(listener).ok());
}

TEST_F(OneEntry, MakesNoOthers) {
  const Outcome made = Do(SP_OP_SOCKET, {}, [](auto& u) { u.socket = {SP_INET, SP_DATAGRAM, 0, 0}; });
  EXPECT_EQ(made.error, SP_EAFNOSUPPORT);
}

TEST(Catalogue, AnEntryThatThereIsNotIsRefusedWithThoseThatThereAre) {
  const std::string why = WhyNot("id=4294967294");
  EXPECT_NE(why.find("has no entry 4294967294"), std::string::npos) << why;
  EXPECT_NE(why.find("\n  " + std::to_string(AnyTcp().dwCatalogEntryId) + " {"), std::string::npos) << why;
}

TEST(Catalogue, AProviderThatThereIsNotIsRefused) {
  const std::string why = WhyNot("guid={00000000-1111-2222-3333-444444444444}");
  EXPECT_NE(why.find("{00000000-1111-2222-3333-444444444444}"), std::string::npos) << why;
}

TEST(Catalogue, BothMustFit) {
  const std::string id = std::to_string(AnyTcp().dwCatalogEntryId);
  EXPECT_NE(WhyNot("id=" + id + ",guid={00000000-1111-2222-3333-444444444444}").find("no entry " + id), std::string::npos);
}

TEST(Catalogue, WhatCannotBeReadIsRefused) {
  for (const char* argument :
       {"id=", "id=x", "id=12x", "guid=", "guid={1}", "guid={00000000-1111-2222-3333-444444444444}x", "else"})
    EXPECT_NE(WhyNot(argument).find("takes"), std::string::npos) << argument;
}

}  // namespace
}  // namespace sockproof::winsock::test
