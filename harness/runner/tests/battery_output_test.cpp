#include "battery_output.h"

#include <gtest/gtest.h>

namespace sockproof::runner {
namespace {

constexpr const char* kName = "Backlog.Capacity/inet";

std::string begin() { return std::string("@sockproof {\"record\":\"begin\",\"scenario\":\"") + kName + "\",\"pid\":1}\n"; }
std::string end() {
  return std::string("@sockproof {\"record\":\"end\",\"scenario\":\"") + kName +
         "\",\"verdict\":\"passed\",\"level\":null,\"declared\":[],\"checked\":[],\"detail\":\"\"}\n";
}
std::string check(const std::string& more = "") {
  return "@sockproof {\"record\":\"check\",\"requirement\":\"backlog.capacity\",\"outcome\":\"ok\",\"verdict\":\"passed\"" +
         more + "}\n";
}

BatteryRecords read(const std::string& text, std::size_t piece = std::string::npos) {
  BatteryOutput output(kName);
  for (std::size_t at = 0; at < text.size(); at += std::min(piece, text.size()))
    output.take_output(std::string_view(text).substr(at, piece));
  output.finish();
  return output.records();
}

TEST(BatteryOutput, ReadsRecordsInPiecesOfAnySize) {
  const std::string text = begin() + check() + end();
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::string::npos}) {
    const BatteryRecords records = read(text, piece);
    EXPECT_TRUE(records.begun);
    EXPECT_EQ(records.checks.size(), 1U);
    EXPECT_TRUE(records.end);
    EXPECT_TRUE(records.problems.empty()) << records.problems.front();
  }
}

TEST(BatteryOutput, FindsARecordBehindAnUnfinishedLine) {
  BatteryOutput output(kName);
  output.take_output("half a line" + begin() + "other text\n" + end());
  output.take_error("and an error");
  output.finish();
  EXPECT_TRUE(output.records().problems.empty());
  EXPECT_TRUE(output.records().end);
  EXPECT_EQ(output.tail(), "half a line\nother text\nand an error");
}

TEST(BatteryOutput, TakesALastRecordWithoutNewline) {
  std::string text = begin() + end();
  text.pop_back();
  EXPECT_TRUE(read(text).end);
}

TEST(BatteryOutput, SaysWhatBreaksTheAgreement) {
  const auto problems = [](const std::string& text) { return read(text).problems.size(); };
  EXPECT_EQ(problems(begin() + check() + end()), 0U);
  EXPECT_EQ(problems(begin() + "@sockproof {\"record\":\"che\n" + end()), 1U) << "torn";
  EXPECT_EQ(problems(begin() + "@sockproof [1]\n" + end()), 1U) << "no object";
  EXPECT_EQ(problems(begin() + begin() + end()), 1U) << "begins twice";
  EXPECT_EQ(problems(check() + begin() + end()), 1U) << "a check before begin";
  EXPECT_EQ(problems(begin() + end() + check()), 1U) << "a check after end";
  EXPECT_EQ(problems(begin() + end() + end()), 1U) << "ends twice";
  EXPECT_EQ(problems(begin() + "@sockproof {\"record\":\"surprise\"}\n" + end()), 1U) << "unknown kind";
  EXPECT_EQ(problems(begin() + "@sockproof {\"record\":\"oracle\"}\n" + end()), 1U) << "an oracle record that says nothing";
  const std::string oracle =
      R"(@sockproof {"record":"oracle","calls":3,"judged":2,"unknown":0,"microseconds":9,"rules":2,"fired":{"accept.made":1}})";
  EXPECT_EQ(problems(begin() + oracle + "\n" + end()), 0U);
  EXPECT_EQ(problems("@sockproof {\"record\":\"begin\",\"scenario\":\"Other.One/inet\",\"pid\":1}\n" + end()), 1U)
      << "other name";
  EXPECT_EQ(problems(begin() + check(",\"level\":\"PERHAPS\"") + end()), 1U) << "unknown level";
  EXPECT_EQ(problems(begin() + check(",\"allowed\":[1]") + end()), 1U) << "outcomes are text";
  EXPECT_EQ(problems(begin() + check(",\"allowed\":[\"ok\"],\"level\":\"MUST\"") + end()), 0U);
  EXPECT_EQ(problems(begin() + check(",\"level\":null") + end()), 0U);
}

TEST(BatteryOutput, KeepsTheFirstSignal) {
  const BatteryRecords records = read(
      begin() + "@sockproof {\"record\":\"signal\",\"signal\":11,\"pid\":12}\n@sockproof {\"record\":\"signal\",\"signal\":6}\n");
  EXPECT_EQ(records.signal, 11);
  EXPECT_EQ(records.signal_pid, 12);
}

TEST(BatteryOutput, KeepsTheFirstException) {
  const BatteryRecords records =
      read(begin() +
           "@sockproof {\"record\":\"exception\",\"code\":3221225477,\"pid\":32,\"stack\":[\"battery.exe+0x12\"]}\r\n"
           "@sockproof {\"record\":\"exception\",\"code\":5,\"stack\":[]}\n");
  ASSERT_TRUE(records.exception);
  EXPECT_EQ(records.exception->code, 0xC0000005U);
  EXPECT_EQ(records.exception->pid, 32);
  EXPECT_EQ(records.exception->stack, std::vector<std::string>{"battery.exe+0x12"});
  EXPECT_TRUE(records.problems.empty());
}

TEST(BatteryOutput, RefusesAnExceptionWithoutAStack) {
  EXPECT_EQ(read(begin() + "@sockproof {\"record\":\"exception\",\"code\":5}\n").problems.size(), 1U);
  EXPECT_EQ(read(begin() + "@sockproof {\"record\":\"exception\",\"code\":-1,\"stack\":[]}\n").problems.size(), 1U);
}

TEST(BatteryOutput, BoundsItsTail) {
  BatteryOutput output(kName);
  const std::string line = std::string(99, 'x') + "\n";
  for (int i = 0; i < 10'000; ++i) output.take_output(line);
  output.take_output("the last line\n");
  output.finish();
  EXPECT_LE(output.tail().size(), BatteryOutput::kTailBytes);
  EXPECT_EQ(output.tail().substr(output.tail().size() - 14), "the last line\n");
  EXPECT_EQ(output.bytes(), 10'000U * 100 + 14);
}

TEST(Printable, EscapesWhatIsNoText) {
  EXPECT_EQ(printable("a\tb\n"), "a\tb\n");
  EXPECT_EQ(printable(std::string("\0\x1b[31m", 6)), "\\x00\\x1b[31m");
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(printable("\xff\xc3(\xed\xa0\x80\xc0\x80"), "\\xff\\xc3(\\xed\\xa0\\x80\\xc0\\x80");
  EXPECT_EQ(printable("cut \xe2\x82"), "cut \\xe2\\x82");
}

}  // namespace
}  // namespace sockproof::runner
