// Who may have an address beside whom.
#include "reference/ports.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "reference/address.h"

namespace sockproof::reference {
namespace {

struct Options {
  bool any = false, reuse = false, exclusive = false, listening = false;
};

std::shared_ptr<Binding> Claim(const Options& options, uint16_t port = 5000) {
  auto binding = std::make_shared<Binding>();
  binding->local = {options.any ? AnyOf(SP_INET) : LoopbackOf(SP_INET), port};
  binding->reuse_address = options.reuse;
  binding->exclusive = options.exclusive;
  binding->listening = options.listening;
  return binding;
}

int32_t Second(ConflictRule rule, const Options& first, const Options& second) {
  Scheduler scheduler(1);
  Ports ports(&scheduler, rule);
  const auto one = Claim(first), two = Claim(second);
  EXPECT_EQ(ports.Bind(one), SP_OK);
  return ports.Bind(two);
}

// "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE", the table for Windows Server 2003 and later of two binds by one user. Rows are
// the first bind, columns the second; in both: the wildcard address and a specific one, by default, then to be reused, then
// exclusive.
TEST(Ports, ExclusiveTable) {
  constexpr Options kBinds[] = {{true}, {false}, {true, true}, {false, true}, {true, false, true}, {false, false, true}};
  constexpr int32_t kUsed = SP_EADDRINUSE, kAccess = SP_EACCES;
  constexpr int32_t kTable[6][6] = {
      {kUsed, SP_OK, kAccess, SP_OK, kUsed, SP_OK},       {SP_OK, kUsed, SP_OK, kAccess, kUsed, kUsed},
      {kUsed, SP_OK, SP_OK, SP_OK, kUsed, SP_OK},         {SP_OK, kUsed, SP_OK, SP_OK, kUsed, kUsed},
      {kUsed, kAccess, kAccess, kAccess, kUsed, kAccess}, {SP_OK, kUsed, SP_OK, kAccess, kUsed, kUsed},
  };
  for (int first = 0; first < 6; ++first) {
    for (int second = 0; second < 6; ++second) {
      EXPECT_EQ(Second(ExclusiveConflict, kBinds[first], kBinds[second]), kTable[first][second]) << first << ' ' << second;
    }
  }
}

TEST(Ports, SharingNeedsBothAndNoListener) {
  const Options kDefault{}, kReuse{false, true}, kListening{false, true, false, true};
  EXPECT_EQ(Second(SharingConflict, kDefault, kDefault), SP_EADDRINUSE);
  EXPECT_EQ(Second(SharingConflict, kDefault, kReuse), SP_EADDRINUSE);
  EXPECT_EQ(Second(SharingConflict, kReuse, kReuse), SP_OK);
  EXPECT_EQ(Second(SharingConflict, kListening, kReuse), SP_EADDRINUSE);
  EXPECT_EQ(Second(SharingConflict, Options{true}, kDefault), SP_EADDRINUSE);
}

TEST(Ports, ARangeRunsOutAndComesBack) {
  Scheduler scheduler(1);
  Ports ports(&scheduler, SharingConflict);
  ports.SetRange(40000, 40003);
  std::vector<std::shared_ptr<Binding>> taken;
  for (int i = 0; i < 4; ++i) {
    taken.push_back(Claim({}, 0));
    EXPECT_EQ(ports.Bind(taken.back()), SP_OK);
  }
  EXPECT_EQ(ports.Bind(Claim({}, 0)), SP_EADDRINUSE);
  const uint16_t freed = taken.back()->local.port;
  taken.pop_back();
  const auto again = Claim({}, 0);
  EXPECT_EQ(ports.Bind(again), SP_OK);
  EXPECT_EQ(again->local.port, freed);
}

TEST(Ports, ConnectionsToOtherEndsShareAPort) {
  Scheduler scheduler(1);
  Ports ports(&scheduler, SharingConflict);
  ports.SetRange(40000, 40000);
  const auto one = Claim({}, 0), two = Claim({}, 0), three = Claim({}, 0);
  EXPECT_EQ(ports.Connect(one, [](const Endpoint&) { return true; }), SP_OK);
  EXPECT_EQ(ports.Connect(two, [](const Endpoint&) { return true; }), SP_OK);
  EXPECT_EQ(two->local.port, one->local.port);
  EXPECT_EQ(ports.Connect(three, [](const Endpoint&) { return false; }), SP_EADDRNOTAVAIL);
  EXPECT_EQ(ports.Bind(Claim({}, 40000)), SP_EADDRINUSE);
}

}  // namespace
}  // namespace sockproof::reference
