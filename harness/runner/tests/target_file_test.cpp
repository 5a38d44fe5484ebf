#include "target_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "failure.h"

namespace sockproof::runner {
namespace {

class TargetFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "/target.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = std::filesystem::path(name).lexically_normal();
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string file() const { return (directory_ / "t.toml").string(); }
  Target read(const std::string& text) const {
    std::ofstream(file()) << text;
    return read_target(file());
  }
  // What the user reads, without the directory.
  std::string refusal(const std::function<void()>& action) const {
    try {
      action();
    } catch (const Failure& failure) {
      std::string text = failure.what();
      const std::size_t at = text.find(directory_.string() + "/");
      if (at != std::string::npos) text.erase(at, directory_.string().size() + 1);
      return text;
    }
    return "(accepted)";
  }

  std::filesystem::path directory_;
};

const std::string kHead = "name = \"t\"\nprovider = \"posix\"\nprofile = \"linux\"\n";
const std::string kDeviation =
    "[[deviation]]\nscenario = \"Backlog.Capacity\"\nfamily = \"inet\"\nrequirement = \"backlog.capacity\"\n"
    "outcome = \"too_many\"\nreason = \"r\"\nevidence = \"e\"\n";

TEST_F(TargetFile, ReadsEveryKey) {
  const Target target =
      read(kHead +
           "text = \"a text\"\nlauncher = \"env A=b\"\nlauncher_mode = \"run\"\nisolation = \"none\"\nplatform = \"windows\"\n"
           "[env]\nLD_PRELOAD = \"x.so\"\n" +
           kDeviation);
  EXPECT_EQ(target.name, "t");
  EXPECT_EQ(target.text, "a text");
  EXPECT_EQ(target.provider, "posix");
  EXPECT_EQ(target.profile, "linux");
  EXPECT_EQ(target.launcher, "env A=b");
  EXPECT_FALSE(target.launcher_each_scenario);
  EXPECT_TRUE(target.for_windows);
  EXPECT_EQ(target.isolation, IsolationWish::none);
  EXPECT_EQ(target.environment.at("LD_PRELOAD"), "x.so");
  ASSERT_EQ(target.deviations.size(), 1U);
  EXPECT_EQ(target.deviations[0].outcome, "too_many");
}

TEST_F(TargetFile, KnowsWhereItStandsAndWhereThingsAreBuilt) {
  const std::filesystem::path file = directory_ / "here.toml";
  std::ofstream(file)
      << "name = \"t\"\nprovider = \"shim:{build}/x {here}/y\"\nprofile = \"posix\"\nlauncher = \"{here}/z {here}\"\n"
         "packages = \"p\"\nprepare = \"make\"\n";
  const Target target = read_target(file, "/b");
  EXPECT_EQ(target.provider, "shim:/b/x " + directory_.string() + "/y");
  EXPECT_EQ(target.launcher, directory_.string() + "/z " + directory_.string());
}

TEST_F(TargetFile, SaysWhereItIsWrong) {
  EXPECT_EQ(refusal([&] { read(kHead + "colour = \"red\"\n"); }), "t.toml:4: unknown key 'colour'");
  EXPECT_EQ(refusal([&] { read("name = \"t\"\nprofile = \"linux\"\n"); }), "t.toml:1: 'provider' is missing");
  EXPECT_EQ(refusal([&] { read(kHead + "launcher_mode = \"often\"\n"); }),
            "t.toml:4: 'launcher_mode' is 'often', but must be one of: scenario, run");
  EXPECT_EQ(refusal([&] { read(kHead + "platform = \"beos\"\n"); }),
            "t.toml:4: 'platform' is 'beos', but must be one of: posix, windows");
  EXPECT_EQ(refusal([&] { read(kHead + "launcher = 3\n"); }), "t.toml:4: 'launcher' must be a string");
  EXPECT_EQ(refusal([&] { read(kHead + "env = \"A=b\"\n"); }), "t.toml:4: 'env' must be a table of strings");
  EXPECT_EQ(refusal([&] { read(kHead + "[env]\nA = 1\n"); }), "t.toml:5: 'env.A' must be a string");
  EXPECT_EQ(refusal([&] { read(kHead + "[deviation]\nscenario = \"x\"\n"); }),
            "t.toml:4: deviations are written as [[deviation]]");
  EXPECT_EQ(refusal([&] { read(kHead + kDeviation + "colour = \"red\"\n"); }), "t.toml:11: unknown key 'colour'");
  EXPECT_EQ(refusal([&] { read(kHead + "name = \"u\"\n"); }).substr(0, 9), "t.toml:4:") << "a key twice";
  std::string no_reason = kDeviation;
  no_reason.erase(no_reason.find("reason ="), 13);
  EXPECT_EQ(refusal([&] { read(kHead + no_reason); }), "t.toml:4: 'reason' is missing");
  std::string glob = kDeviation;
  glob.replace(glob.find("Backlog.Capacity"), 16, "Backlog.*");
  EXPECT_EQ(refusal([&] { read(kHead + glob); }),
            "t.toml:4: 'Backlog.*': a deviation names exactly one place; there are no wildcards");
}

TEST_F(TargetFile, ChecksDeviationsAgainstTheBattery) {
  Scenario scenario;
  scenario.name = "Backlog.Capacity/inet";
  scenario.family = "inet";
  scenario.requirements = {"backlog.capacity", "backlog.order"};
  RequirementEntry capacity;
  capacity.id = "backlog.capacity";
  capacity.allow = {"exact"};
  RequirementEntry other;
  other.id = "backlog.other";
  const std::map<std::string, RequirementEntry> catalogue{{capacity.id, capacity}, {other.id, other}};

  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = kDeviation;
    if (!from.empty()) text.replace(text.find(from), from.size(), to);
    return refusal([&] {
      Target target = read(kHead + text);
      check_deviations(target, {scenario}, catalogue);
      EXPECT_EQ(target.deviations.front().scenario, "Backlog.Capacity/inet");
    });
  };
  EXPECT_EQ(with("", ""), "(accepted)");
  EXPECT_EQ(with("Backlog.Capacity", "Backlog.Capacity/inet"), "(accepted)");
  EXPECT_EQ(with("Backlog.Capacity", "Backlog.Size"),
            "t.toml:4: the battery has no scenario 'Backlog.Size' for the family 'inet'");
  EXPECT_EQ(with("\"inet\"", "\"inet6\""), "t.toml:4: the battery has no scenario 'Backlog.Capacity' for the family 'inet6'");
  EXPECT_EQ(with("backlog.capacity", "backlog.other"),
            "t.toml:4: the scenario 'Backlog.Capacity/inet' declares no requirement 'backlog.other'; it declares: "
            "backlog.capacity, backlog.order");
  EXPECT_EQ(with("backlog.capacity", "backlog.order"),
            "t.toml:4: the catalogue has no requirement 'backlog.order' for the profile 'linux'");
  EXPECT_EQ(with("too_many", "exact"),
            "t.toml:4: 'backlog.capacity' allows the outcome 'exact' in the profile 'linux': that is no deviation");
  EXPECT_EQ(refusal([&] {
              Target target = read(kHead + kDeviation + kDeviation);
              check_deviations(target, {scenario}, catalogue);
            }),
            "t.toml:11: the same deviation is listed twice");
}

}  // namespace
}  // namespace sockproof::runner
