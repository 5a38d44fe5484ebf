#include "verdict.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace sockproof::runner {
namespace {

using nlohmann::json;

Scenario scenario() {
  Scenario scenario;
  scenario.name = "Backlog.Capacity/inet";
  scenario.family = "inet";
  scenario.requirements = {"backlog.capacity", "backlog.order"};
  return scenario;
}

json check(const std::string& requirement, const std::string& outcome, const std::string& verdict,
           const std::string& level = "MUST") {
  return {{"requirement", requirement}, {"outcome", outcome}, {"verdict", verdict}, {"level", level}, {"allowed", {"exact"}}};
}

// What a process leaves that ends as it should.
Evidence ended(const std::string& verdict, std::vector<json> checks) {
  Evidence evidence;
  evidence.records.begun = true;
  evidence.records.checks = std::move(checks);
  evidence.records.end =
      json{{"scenario", scenario().name}, {"verdict", verdict}, {"level", nullptr}, {"declared", json::array()}, {"detail", ""}};
  return evidence;
}

Evidence passing() {
  return ended("passed", {check("backlog.capacity", "exact", "passed"), check("backlog.order", "exact", "passed")});
}

Evidence failing(const std::string& outcome, const std::string& level = "MUST") {
  return ended("failed", {check("backlog.capacity", outcome, "failed", level), check("backlog.order", "exact", "passed")});
}

Deviation known(const std::string& outcome, const std::string& requirement = "backlog.capacity") {
  return {scenario().name, "inet", requirement, outcome, "it does so", "seen", "t.toml:1"};
}

Judgement judge_one(const Evidence& evidence, const std::vector<Deviation>& deviations = {}, bool strict = false) {
  return judge(scenario(), evidence, deviations, strict);
}

TEST(Judge, PassesOnlyWithEverythingChecked) {
  EXPECT_EQ(judge_one(passing()).verdict, Verdict::passed);
  EXPECT_FALSE(judge_one(passing()).unexpected);
  const Judgement missing = judge_one(ended("passed", {check("backlog.capacity", "exact", "passed")}));
  EXPECT_EQ(missing.verdict, Verdict::harness_error);
  EXPECT_TRUE(missing.unexpected);
  EXPECT_EQ(missing.reason, "declared 'backlog.order', but never checked it");
  Evidence undeclared = passing();
  undeclared.records.checks.push_back(check("backlog.other", "exact", "passed"));
  EXPECT_EQ(judge_one(undeclared).reason, "checked 'backlog.other', which it does not declare");
}

TEST(Judge, TakesABrokenPromiseInAnyScenario) {
  Evidence evidence = passing();
  (*evidence.records.end)["verdict"] = "failed";
  evidence.records.checks.push_back(check("contract.handles_released", "violated", "failed"));
  EXPECT_EQ(judge_one(evidence).verdict, Verdict::harness_error) << "not declared at all";
  (*evidence.records.end)["declared"] = {"backlog.capacity", "backlog.order", "contract.handles_released"};
  EXPECT_EQ(judge_one(evidence).verdict, Verdict::failed);
  EXPECT_EQ(judge_one(evidence, {known("violated", "contract.handles_released")}).verdict, Verdict::known_deviation);
  evidence.records.checks.push_back(check("backlog.other", "exact", "passed"));
  (*evidence.records.end)["declared"].push_back("backlog.other");
  EXPECT_EQ(judge_one(evidence).verdict, Verdict::harness_error) << "any other requirement is declared in the list";
}

TEST(Judge, SaysWhatFailed) {
  const Judgement judgement = judge_one(failing("too_many"));
  EXPECT_EQ(judgement.verdict, Verdict::failed);
  EXPECT_TRUE(judgement.unexpected);
  EXPECT_EQ(judgement.level, "MUST");
  EXPECT_EQ(judgement.reason, "MUST backlog.capacity: too_many where exact is allowed");
}

TEST(Judge, ReportsAFailedShouldAndMindsItOnlyWhenStrict) {
  EXPECT_EQ(judge_one(failing("too_many", "SHOULD")).verdict, Verdict::failed);
  EXPECT_FALSE(judge_one(failing("too_many", "SHOULD")).unexpected);
  EXPECT_TRUE(judge_one(failing("too_many", "SHOULD"), {}, true).unexpected);
  Evidence both = failing("too_many", "SHOULD");
  both.records.checks.push_back(check("backlog.order", "reversed", "failed", "MUST"));
  EXPECT_EQ(judge_one(both).level, "MUST");
  EXPECT_TRUE(judge_one(both).unexpected);
}

TEST(Judge, KnowsADeviationByItsExactOutcome) {
  const Judgement expected = judge_one(failing("too_many"), {known("too_many")});
  EXPECT_EQ(expected.verdict, Verdict::known_deviation);
  EXPECT_FALSE(expected.unexpected);
  EXPECT_EQ(expected.checks[0]["verdict"], "known_deviation");
  EXPECT_EQ(expected.checks[0]["deviation"]["reason"], "it does so");
  EXPECT_EQ(expected.checks[1]["verdict"], "passed");

  const Judgement other = judge_one(failing("too_few"), {known("too_many")});
  EXPECT_EQ(other.verdict, Verdict::failed);
  EXPECT_TRUE(other.unexpected);
  EXPECT_EQ(other.checks[0]["verdict"], "failed");

  Deviation elsewhere = known("too_many");
  elsewhere.family = "inet6";
  EXPECT_EQ(judge_one(failing("too_many"), {elsewhere}).verdict, Verdict::failed);
  elsewhere = known("too_many");
  elsewhere.scenario = "Backlog.Other/inet";
  EXPECT_EQ(judge_one(failing("too_many"), {elsewhere}).verdict, Verdict::failed);
  EXPECT_EQ(judge_one(failing("too_many"), {known("too_many", "backlog.order")}).verdict, Verdict::failed);
}

TEST(Judge, FindsAPassWhereADeviationIsKnown) {
  const Judgement judgement = judge_one(passing(), {known("too_many")});
  EXPECT_EQ(judgement.verdict, Verdict::unexpected_pass);
  EXPECT_TRUE(judgement.unexpected);
  EXPECT_EQ(judgement.checks[0]["verdict"], "unexpected_pass");
  EXPECT_EQ(judgement.checks[1]["verdict"], "passed");

  // One of two deviations is gone, the other one is still there.
  const Judgement half = judge_one(failing("too_many"), {known("too_many"), known("reversed", "backlog.order")});
  EXPECT_EQ(half.verdict, Verdict::unexpected_pass);
  EXPECT_EQ(half.checks[0]["verdict"], "known_deviation");
  EXPECT_EQ(half.checks[1]["verdict"], "unexpected_pass");
}

TEST(Judge, HoldsADeviationAgainstAllChecksOfItsRequirement) {
  Evidence evidence = failing("too_many");
  evidence.records.checks.push_back(check("backlog.capacity", "exact", "passed"));
  const Judgement judgement = judge_one(evidence, {known("too_many")});
  EXPECT_EQ(judgement.verdict, Verdict::known_deviation) << "another look at the same requirement may pass";
  evidence.records.checks.push_back(check("backlog.capacity", "too_few", "failed"));
  EXPECT_EQ(judge_one(evidence, {known("too_many")}).verdict, Verdict::failed) << "a second, unknown failure";
}

TEST(Judge, CountsAFailedStepInFull) {
  Evidence evidence = ended("failed", {});
  evidence.records.steps.push_back({{"call", "listen"}, {"outcome", "EINVAL"}, {"detail", ""}, {"where", ""}});
  const Judgement judgement = judge_one(evidence);
  EXPECT_EQ(judgement.verdict, Verdict::failed);
  EXPECT_TRUE(judgement.unexpected);
  EXPECT_EQ(judgement.reason, "a step that the scenario stands on failed: listen gave EINVAL");
  Evidence known_and_step = failing("too_many");
  known_and_step.records.steps = evidence.records.steps;
  EXPECT_EQ(judge_one(known_and_step, {known("too_many")}).verdict, Verdict::failed);
}

TEST(Judge, TellsCrashesFromHangsAndFromExits) {
  Evidence signal;
  signal.exit.signal = SIGSEGV;
  EXPECT_EQ(judge_one(signal).verdict, Verdict::crashed);
  EXPECT_EQ(judge_one(signal).reason, "died of SIGSEGV");
  Evidence reported = passing();
  reported.records.signal = SIGABRT;
  reported.exit.signal = SIGKILL;
  EXPECT_EQ(judge_one(reported).reason, "died of SIGABRT");
  Evidence silent;
  silent.exit.status = 4;
  EXPECT_EQ(judge_one(silent).verdict, Verdict::crashed);
  EXPECT_EQ(judge_one(silent).reason, "exit without a result (status 4)");
  Evidence hung;
  hung.limit = Limit::time;
  hung.limit_value = 300;
  hung.exit.signal = SIGTERM;
  EXPECT_EQ(judge_one(hung).verdict, Verdict::hung);
  EXPECT_EQ(judge_one(hung).reason, "still running after its time limit of 300 ms");
  Evidence balloon;
  balloon.limit = Limit::memory;
  balloon.limit_value = 1024;
  EXPECT_EQ(judge_one(balloon).verdict, Verdict::crashed);
  Evidence late = passing();
  late.exit.status = 23;
  EXPECT_EQ(judge_one(late).verdict, Verdict::crashed);
}

TEST(Judge, LetsAHangBeAKnownDeviation) {
  Evidence hung;
  hung.limit = Limit::time;
  EXPECT_EQ(judge_one(hung, {known("hung")}).verdict, Verdict::known_deviation);
  EXPECT_EQ(judge_one(hung, {known("crashed")}).verdict, Verdict::hung);
  Evidence balloon;
  balloon.limit = Limit::memory;
  EXPECT_EQ(judge_one(balloon, {known("crashed")}).verdict, Verdict::crashed) << "a crash that is known is no balloon";
  EXPECT_EQ(judge_one(passing(), {known("hung")}).verdict, Verdict::unexpected_pass);
}

TEST(Judge, LetsAFailedStepBeAKnownDeviation) {
  Evidence evidence = failing("too_many");
  evidence.records.checks.clear();
  evidence.records.steps.push_back({{"call", "listen"}, {"outcome", "EINVAL"}, {"detail", ""}, {"where", ""}});
  EXPECT_EQ(judge_one(evidence, {known("step:EINVAL")}).verdict, Verdict::known_deviation);
  EXPECT_EQ(judge_one(evidence, {known("step:ENOTSOCK")}).verdict, Verdict::failed) << "by its exact error";
  EXPECT_EQ(judge_one(evidence, {known("EINVAL")}).verdict, Verdict::failed);
  EXPECT_EQ(judge_one(passing(), {known("step:EINVAL")}).verdict, Verdict::unexpected_pass);
}

TEST(Judge, TrustsNoRecordsThatContradictEachOther) {
  EXPECT_EQ(
      judge_one(ended("passed", {check("backlog.capacity", "x", "failed"), check("backlog.order", "exact", "passed")})).verdict,
      Verdict::harness_error);
  Evidence torn = passing();
  torn.records.problems.push_back("a record that is not JSON");
  EXPECT_EQ(judge_one(torn).verdict, Verdict::harness_error);
  Evidence never_begun = passing();
  never_begun.records.begun = false;
  EXPECT_EQ(judge_one(never_begun).verdict, Verdict::harness_error);
  Evidence not_started;
  not_started.not_started = "no such program";
  EXPECT_EQ(judge_one(not_started).reason, "could not be started: no such program");
}

TEST(Judge, CallsAnUnhandledExceptionACrash) {
  Evidence evidence = passing();
  evidence.records.end.reset();
  evidence.records.exception = {0xC0000005, 32, {"battery.exe+0x12"}};
  evidence.exit.status = 5;
  const Judgement judgement = judge_one(evidence);
  EXPECT_EQ(judgement.verdict, Verdict::crashed);
  EXPECT_TRUE(judgement.unexpected);
  EXPECT_EQ(judgement.reason, "died of exception 0xC0000005 (access violation)");
}

TEST(Judge, NamesTheMissingCapability) {
  Evidence evidence = ended("not_supported", {});
  evidence.records.missing.push_back({{"capability", "signals"}, {"detail", "there are none"}});
  const Judgement judgement = judge_one(evidence);
  EXPECT_EQ(judgement.verdict, Verdict::not_supported);
  EXPECT_FALSE(judgement.unexpected);
  EXPECT_EQ(judgement.reason, "signals: there are none");
}

TEST(Fold, CallsDifferingVerdictsFlaky) {
  EXPECT_EQ(fold({Verdict::passed, Verdict::passed}), Verdict::passed);
  EXPECT_EQ(fold({Verdict::failed}), Verdict::failed);
  EXPECT_EQ(fold({Verdict::passed, Verdict::not_supported}), Verdict::flaky);
}

}  // namespace
}  // namespace sockproof::runner
