// What passes between the runner and a battery that serves it (`--serve=FD`): a sequenced-packet socket, one message a packet.
//
// Starting a program costs more than most scenarios that need no kernel: loading, linking, thousands of tests to register. A
// battery that serves does this once, and forks for each scenario before it has opened its provider, so that each still has a
// process of its own.
//
// The runner asks: which namespaces the process is to have ("none", "netns", "user_netns"), the name of the scenario, then
// NAME=value for its environment, each ended by NUL; with it go two descriptors, its standard output and its standard error. The
// battery answers with `started` (or an error), and with `ended` later. A process that does not get its namespaces says so.
#pragma once

#include <cstdint>

namespace sockproof::fork_protocol {

enum Kind : std::int32_t { kStarted = 1, kNotStarted = 2, kEnded = 3, kNoNamespace = 4 };

struct Answer {
  std::int32_t kind = 0;
  std::int32_t pid = 0;
  std::int32_t status = 0;  // kEnded: as wait() gives it; kNotStarted, kNoNamespace: errno
  std::int32_t reserved = 0;
  std::int64_t processor_us = 0;       // kEnded: of the process and of those that it waited for
  std::int64_t most_resident_kib = 0;  // kEnded
};

constexpr std::size_t kMostBytes = 65536;

}  // namespace sockproof::fork_protocol
