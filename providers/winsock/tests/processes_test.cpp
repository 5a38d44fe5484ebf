#include <string>

#include "provider_test.h"

namespace sockproof::winsock::test {
namespace {

class ProcessesTest : public ProviderTest {
 protected:
  ProcessesTest() {
    HANDLE read = nullptr;
    EXPECT_TRUE(::CreatePipe(&read, &write_, nullptr, 0));
    const std::string number = std::to_string(reinterpret_cast<LONG_PTR>(read));
    const char* const argv[] = {"winsock-tests", "--child", number.c_str(), nullptr};
    const auto keep = static_cast<std::int32_t>(reinterpret_cast<LONG_PTR>(read));
    EXPECT_EQ(provider_.processes->exec(self_, argv, &keep, 1, &process_), SP_OK);
    ::CloseHandle(read);
  }
  ~ProcessesTest() override { ::CloseHandle(write_); }

  HANDLE write_ = nullptr;
  std::int64_t process_ = 0;
};

TEST_F(ProcessesTest, ASocketIsHandedOver) {
  const auto [client, server] = Pair();
  std::uint8_t blob[1024];
  std::uint32_t size = sizeof blob;
  ASSERT_EQ(provider_.processes->export_handle(self_, client, process_, blob, &size), SP_OK);
  DWORD written = 0;
  ASSERT_TRUE(::WriteFile(write_, blob, size, &written, nullptr));
  EXPECT_EQ(Recv(server).second, "child");
  std::int32_t code = 0;
  EXPECT_EQ(provider_.processes->wait(self_, process_, kPatience, &code), SP_OK);
  EXPECT_EQ(code, 7);
  EXPECT_EQ(provider_.processes->wait(self_, process_, 0, &code), SP_EINVAL) << "it was waited for";
  EXPECT_TRUE(Close(client).ok());
  EXPECT_TRUE(Close(server).ok());
}

TEST_F(ProcessesTest, AProcessThatWaitsIsKilled) {
  std::int32_t code = 0;
  EXPECT_EQ(provider_.processes->wait(self_, process_, 0, &code), SP_EAGAIN);
  EXPECT_EQ(provider_.processes->kill(self_, process_), SP_OK);
  EXPECT_EQ(provider_.processes->wait(self_, process_, kPatience, &code), SP_OK);
  EXPECT_EQ(code, 256 + 9);
}

}  // namespace
}  // namespace sockproof::winsock::test
