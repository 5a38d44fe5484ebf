// A network of its own for the process that a scenario runs in. The runner's own children and those of a battery that serves
// (fork_server.h) get it in the same way.
#pragma once

namespace sockproof {

enum class Isolation {
  none,
  netns,       // a network namespace, made with the privilege that the runner has
  user_netns,  // a user namespace first, which gives the privilege to make the other
};

// Enters new namespaces and brings the loopback up. `uid` and `gid` are the caller's outside. Returns 0 or an errno value, and
// then says in `step` which step it was. Allocates nothing, as it is called between fork and exec.
int EnterNamespaces(Isolation isolation, unsigned uid, unsigned gid, const char** step);

}  // namespace sockproof
