#include "face/platform.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>

#include <fmt/format.h>

namespace sockproof::platform {

int64_t MonotonicNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

void Sleep(int64_t nanoseconds) {
  timespec span{static_cast<time_t>(nanoseconds / 1'000'000'000), static_cast<long>(nanoseconds % 1'000'000'000)};
  while (nanosleep(&span, &span) != 0) {
  }
}

#if defined(__linux__)
struct Bound {
  cpu_set_t allowed;  // before
};

Bound* BindToProcessor() {
  Bound before{};
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof before.allowed, &before.allowed) != 0) return nullptr;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(here, &one);
  return sched_setaffinity(0, sizeof one, &one) == 0 ? new Bound(before) : nullptr;
}

void Unbind(Bound* bound) {
  if (bound != nullptr) sched_setaffinity(0, sizeof bound->allowed, &bound->allowed);
  delete bound;
}
#else
Bound* BindToProcessor() { return nullptr; }
void Unbind(Bound*) {}
#endif

void SleepForEver() {
  for (;;) pause();
}

int64_t ProcessId() { return getpid(); }

std::string MakeScratchDirectory(bool* made) {
  // /tmp rather than TMPDIR: the name has to fit into sun_path.
  std::string path = "/tmp/sp.XXXXXX";
  *made = mkdtemp(path.data()) != nullptr;
  return *made ? path : "/tmp";
}

std::size_t PageSize() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

uint8_t* MapBeforeGuard(std::size_t body) {
  void* memory = mmap(nullptr, body + PageSize(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* base = static_cast<uint8_t*>(memory);
  mprotect(base + body, PageSize(), PROT_NONE);
  return base;
}

void UnmapBeforeGuard(uint8_t* base, std::size_t body) { munmap(base, body + PageSize()); }

void* MapShared(const char* path, std::size_t size) {
  void* memory = MAP_FAILED;
  if (path == nullptr) {
    memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  } else if (const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); file >= 0) {
    if (ftruncate(file, static_cast<off_t>(size)) == 0) memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
  }
  return memory != MAP_FAILED ? memory : nullptr;
}

void* LoadSymbol(const std::string& path, const char* symbol, std::string* why) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    *why = dlerror();
    return nullptr;
  }
  void* address = dlsym(library, symbol);
  if (address == nullptr) *why = fmt::format("{} does not export {}()", path, symbol);
  return address;
}

namespace {

// The pipes of the suite are its own: high numbers keep them out of the way of the handles under test.
int MoveUp(int descriptor) {
  const int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, 600);
  if (moved < 0) return descriptor;
  close(descriptor);
  return moved;
}

bool MakePipe(Descriptor* read_end, Descriptor* write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  *read_end = MoveUp(ends[0]);
  *write_end = MoveUp(ends[1]);
  return true;
}

}  // namespace

bool PipeToAgent(Descriptor* mine, Descriptor* theirs) { return MakePipe(theirs, mine); }
bool PipeFromAgent(Descriptor* mine, Descriptor* theirs) { return MakePipe(mine, theirs); }

void Close(Descriptor descriptor) { close(static_cast<int>(descriptor)); }

bool WriteAll(Descriptor descriptor, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t wrote = write(static_cast<int>(descriptor), data, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    data += wrote;
    size -= static_cast<std::size_t>(wrote);
  }
  return true;
}

int64_t ReadSome(Descriptor descriptor, char* data, std::size_t size, int64_t limit) {
  for (const int64_t until = MonotonicNow() + std::max<int64_t>(limit, 0);;) {
    if (limit >= 0) {
      // Asked of the kernel itself: the poll of the C library may be what is being tested.
      const int64_t left = std::max<int64_t>(until - MonotonicNow(), 0);
      const timespec span{static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
      pollfd readable{static_cast<int>(descriptor), POLLIN, 0};
      if (syscall(SYS_ppoll, &readable, 1, &span, nullptr, 0) == 0) return kLate;
      if (readable.revents == 0) continue;  // interrupted
    }
    const ssize_t got = read(static_cast<int>(descriptor), data, size);
    if (got < 0 && errno == EINTR) continue;
    return std::max<ssize_t>(got, 0);
  }
}

}  // namespace sockproof::platform
