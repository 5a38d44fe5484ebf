#include "battery/namespaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace sockproof {
namespace {

int WriteFile(const char* path, const char* text, std::size_t length) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t written = ::write(fd, text, length);
  const int error = written == static_cast<ssize_t>(length) ? 0 : errno;
  ::close(fd);
  return error;
}

// Root inside is the runner's user outside: the scenario has every right over its own network, and none beyond.
int WriteIdMaps(unsigned uid, unsigned gid) {
  char line[64];
  int error = WriteFile("/proc/self/setgroups", "deny", 4);
  if (error != 0 && error != ENOENT) return error;
  error = WriteFile("/proc/self/uid_map", line, static_cast<std::size_t>(std::snprintf(line, sizeof line, "0 %u 1\n", uid)));
  if (error != 0) return error;
  return WriteFile("/proc/self/gid_map", line, static_cast<std::size_t>(std::snprintf(line, sizeof line, "0 %u 1\n", gid)));
}

int BringLoopbackUp() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
  int error = ::ioctl(fd, SIOCGIFFLAGS, &request) == 0 ? 0 : errno;
  if (error == 0) {
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_RUNNING);
    if (::ioctl(fd, SIOCSIFFLAGS, &request) != 0) error = errno;
  }
  ::close(fd);
  return error;
}

}  // namespace

int EnterNamespaces(Isolation isolation, unsigned uid, unsigned gid, const char** step) {
  if (isolation == Isolation::none) return 0;
  *step = "unshare";
  const int flags = isolation == Isolation::netns ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET;
  // The kernel takes namespaces apart behind everybody's back: while it is behind with that, those that are gone still count.
  constexpr int kTries = 800;
  constexpr timespec kPause{0, 10'000'000};
  for (int tries = 1; ::unshare(flags) != 0; ++tries) {
    if (errno != ENOSPC || tries == kTries) return errno;
    ::nanosleep(&kPause, nullptr);
  }
  if (isolation == Isolation::user_netns) {
    *step = "uid_map";
    if (const int error = WriteIdMaps(uid, gid); error != 0) return error;
  }
  *step = "bring lo up";
  return BringLoopbackUp();
}

}  // namespace sockproof
