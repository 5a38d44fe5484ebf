// What was once found, on what it was found on: nothing is wrong any more. And the seeds of the fuzzers: nothing is wrong there.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "catalogue/requirement.h"
#include "fuzz/campaign.h"
#include "fuzz/execute.h"

namespace sockproof::fuzz {
namespace {

std::vector<std::string> Scripts(const char* folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(SOCKPROOF_FUZZ_FOLDER) + '/' + folder)) {
    if (entry.path().extension() == ".script") files.push_back(entry.path().string());
  }
  return files;
}

std::string NameOf(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = std::filesystem::path(info.param).stem().string();
  for (char& each : name) each = each == '-' ? '_' : each;
  return name;
}

std::string Word(const std::string& text, const std::string& key, const std::string& otherwise) {
  const std::size_t at = text.find("# " + key + ": ");
  if (at == std::string::npos) return otherwise;
  const std::size_t from = at + key.size() + 4;
  return text.substr(from, text.find('\n', from) - from);
}

class Played : public ::testing::TestWithParam<std::string> {
 protected:
  // On each of the providers, unless the script names one.
  void Play(const std::string& everywhere) {
    std::ifstream in(GetParam());
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const std::string spec = Word(text, "provider", everywhere);
    const std::string profile = Word(text, "profile", Provider::ProfileOf(spec));
    Script script;
    std::string why;
    ASSERT_TRUE(Parse(text, &script, &why)) << why;
    if (!OwnNetwork(spec, &why)) GTEST_SKIP() << why;
    Provider provider;
    ASSERT_TRUE(provider.Load(spec, &why)) << why;
    const Ways ways{Word(text, "fuzzer", "") == "data", true};
    const Execution done = ExecuteAndJudge(&provider, script, ways, TheCatalogue().ProfileNumber(profile));
    for (const Breach& breach : done.breaches) ADD_FAILURE() << spec << ": " << breach.cause << "\n" << breach.detail;
  }
};

class Past : public Played {};
TEST_P(Past, IsRightAgain) { Play("reference:linux"); }
INSTANTIATE_TEST_SUITE_P(Scripts, Past, ::testing::ValuesIn(Scripts("past")), NameOf);

class Seed : public Played {};
TEST_P(Seed, IsRightOnLinux) { Play("reference:linux"); }
TEST_P(Seed, IsRightOnPosix) { Play("reference:posix"); }
TEST_P(Seed, IsRightOnWinsock) { Play("reference:winsock"); }
TEST_P(Seed, IsRightOnTheSystem) { Play("posix"); }
INSTANTIATE_TEST_SUITE_P(Scripts, Seed, ::testing::ValuesIn(Scripts("seeds")), NameOf);

}  // namespace
}  // namespace sockproof::fuzz
