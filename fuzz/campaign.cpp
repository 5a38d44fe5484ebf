#include "fuzz/campaign.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "battery/namespaces.h"
#include "catalogue/requirement.h"
#include "oracle/rule.h"

namespace sockproof::fuzz {
namespace {

// What the model has seen, for the engine: where the implementation is not instrumented (a kernel, a library) this is all that
// tells a new input from an old one. One counter for each pair of outcomes that followed each other.
constexpr std::size_t kCounters = 8192;
#if defined(__clang__) && defined(__linux__)
__attribute__((section("__libfuzzer_extra_counters")))
#endif
uint8_t counters[kCounters];

uint64_t Hash(const std::string& text, uint64_t value = 0xcbf29ce484222325u) {
  for (const char byte : text) value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  return value;
}

void Count(const Execution& done) {
  uint64_t before = 0;
  for (const std::string& outcome : done.outcomes) {
    // Without numbers: how many bytes came is no new state.
    const uint64_t here = Hash(outcome.substr(0, outcome.find(' ', outcome.find(' ') + 1)));
    uint8_t& counter = counters[(before * 31 + here) % kCounters];
    if (counter < 255) ++counter;
    before = here;
  }
}

const char* Environment(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' ? text : nullptr;
}

std::string SpecOf(const char* program) {
  if (const char* spec = Environment("SOCKPROOF_FUZZ_PROVIDER")) return spec;
  std::string name = program != nullptr ? program : "";
  name = name.substr(name.rfind('/') + 1);
  const std::size_t at = name.find("--");
  if (at == std::string::npos) return "reference:linux";
  std::string spec = name.substr(at + 2);
  std::replace(spec.begin(), spec.end(), '_', ':');
  return spec;
}

}  // namespace

bool OwnNetwork(const std::string& spec, std::string* why) {
  if (spec.find("posix") == std::string::npos && spec.substr(0, 5) != "linux" && spec.substr(0, 4) != "lib:") return true;
  const bool root = ::geteuid() == 0;
  const char* step = "";
  int error = EnterNamespaces(root ? Isolation::netns : Isolation::user_netns, ::geteuid(), ::getegid(), &step);
  if (error != 0) {
    *why = fmt::format("no network of its own can be had: {}: {}", step, std::strerror(error));
    return false;
  }
  // A port that was used a moment ago is free again: thousands of connections a second would use up all there are.
  const int fd = ::open("/proc/sys/net/ipv4/tcp_max_tw_buckets", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    static_cast<void>(!::write(fd, "0\n", 2));
    ::close(fd);
  }
  return true;
}

void Hunt::Start(const char* program) {
  const std::string spec = SpecOf(program);
  const char* profile = Environment("SOCKPROOF_FUZZ_PROFILE");
  profile_name_ = profile != nullptr ? profile : Provider::ProfileOf(spec);
  profile_ = TheCatalogue().ProfileNumber(profile_name_);
  if (const char* folder = Environment("SOCKPROOF_FUZZ_FINDINGS")) folder_ = folder;
  std::string why = profile_ < 0 ? "there is no profile '" + profile_name_ + "'" : "";
  if (!why.empty() || !OwnNetwork(spec, &why) || !provider_.Load(spec, &why)) {
    std::fprintf(stderr, "sockproof: %s\n", why.c_str());
    std::exit(2);
  }
  oracle::Rule::Resolve();
}

void Hunt::One(const uint8_t* data, std::size_t size, Bent bent) {
  const Script script = Decode(data, size);
  if (script.empty()) return;
  Ways ways;
  ways.drain = bent == Bent::kData;
  const Execution done = ExecuteAndJudge(&provider_, script, ways, profile_);
  Count(done);
  for (const Breach& breach : done.breaches) Report(script, breach);
}

void Hunt::Report(const Script& script, const Breach& breach) {
  constexpr int kMostOfACause = 3;
  if (folder_.empty()) {
    std::fprintf(stderr, "==%d== ERROR: sockproof: %s\n%s\n%s\n", static_cast<int>(::getpid()), breach.cause.c_str(),
                 breach.detail.c_str(), Print(script).c_str());
    std::fflush(stderr);
    // As an engine wants it: the input is kept, and the name of the cause stands in what it prints.
    std::abort();
  }
  int& times = seen_[breach.cause];
  if (times >= kMostOfACause) return;
  const std::string file = fmt::format("{}/{}.{}.{}", folder_, IdOf(breach.cause), ::getpid(), times++);
  std::ofstream(file + ".part") << FindingText(script, breach, {}, provider_.spec(), profile_name_);
  std::rename((file + ".part").c_str(), (file + ".script").c_str());
}

std::string IdOf(const std::string& cause) { return fmt::format("{:016x}", Hash(cause)).substr(0, 8); }

std::string FindingText(const Script& script, const Breach& breach, const std::string& fuzzer, const std::string& provider,
                        const std::string& profile) {
  std::string text = fmt::format("# cause: {}\n", breach.cause);
  if (!fuzzer.empty()) text += fmt::format("# fuzzer: {}\n", fuzzer);
  text += fmt::format("# provider: {}\n# profile: {}\n", provider, profile);
  std::string line;
  for (const char each : breach.detail + '\n') {
    if (each != '\n') {
      line += each;
      continue;
    }
    text += "# " + line + '\n';
    line.clear();
  }
  return text + Print(script);
}

std::size_t MutateBytes(uint8_t* data, std::size_t size, std::size_t room, unsigned seed, Bent bent) {
  Lot lot(seed);
  Script script = Decode(data, size);
  Mutate(&lot, bent, &script);
  const std::vector<uint8_t> bytes = Encode(script);
  const std::size_t length = std::min(bytes.size(), room - room % kOpSize);
  std::copy_n(bytes.begin(), length, data);
  return length;
}

std::size_t CrossOverBytes(const uint8_t* a, std::size_t a_size, const uint8_t* b, std::size_t b_size, uint8_t* out,
                           std::size_t room, unsigned seed) {
  Lot lot(seed);
  const std::vector<uint8_t> bytes = Encode(CrossOver(&lot, Decode(a, a_size), Decode(b, b_size)));
  const std::size_t length = std::min(bytes.size(), room - room % kOpSize);
  std::copy_n(bytes.begin(), length, out);
  return length;
}

}  // namespace sockproof::fuzz
