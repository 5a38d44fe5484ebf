#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "adapter.h"
#include "counters.h"
#include "errors.h"
#include "processes.h"
#include "sockproof/posix.h"
#include "threads.h"

namespace sockproof::posix {
namespace {

// Something open that is no socket, without a name that could be left behind.
int OpenFile() {
  const int descriptor = ::memfd_create("sockproof", MFD_CLOEXEC);
  return descriptor >= 0 ? descriptor : ::open("/dev/null", O_RDWR | O_CLOEXEC);
}

std::int32_t Open(const char* argument, void** self, const char** why) {
  if (argument != nullptr && *argument != '\0') {
    if (why != nullptr) *why = "the posix provider takes no argument";
    return SP_EINVAL;
  }
  auto adapter = std::make_unique<Adapter>();
  const long page = ::sysconf(_SC_PAGESIZE);
  adapter->page_size = page > 0 ? static_cast<std::size_t>(page) : 4096;
  adapter->bad_page = ::mmap(nullptr, adapter->page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (adapter->bad_page == MAP_FAILED || ::getrlimit(RLIMIT_NOFILE, &adapter->initial_limit) != 0) {
    if (why != nullptr) *why = "no page of memory, or no limit on descriptors";
    return ErrorFromErrno(errno);
  }
  adapter->process = ::getpid();
  adapter->baseline = OpenDescriptors();
  adapter->not_socket = OpenFile();
  adapter->path_only = ::open("/", O_PATH | O_CLOEXEC);
  for (const int own : {adapter->not_socket, adapter->path_only}) {
    if (own >= 0) adapter->own.insert(own);
  }
  InstallSignalHandlers();
  *self = adapter.release();
  return SP_OK;
}

void Close(void* self) {
  std::unique_ptr<Adapter> adapter(Self(self));
  EndChildren(*adapter);
  for (const int filler : adapter->fillers) ::close(filler);
  for (const int own : adapter->own) ::close(own);
  if (adapter->limited) ::setrlimit(RLIMIT_NOFILE, &adapter->initial_limit);
  ::munmap(adapter->bad_page, adapter->page_size);
}

const sp_provider kProvider = {
    sizeof(sp_provider),
    SP_API_VERSION,
    "posix",
    "the socket calls of this machine's C library",
    Open,
    Close,
    Capability,
    Call,
    nullptr,
    nullptr,
    nullptr,  // begin, wait, cancel: the suite uses threads
    nullptr,
    &kThreads,
    &kSignals,
    &kProcesses,
    nullptr,
    nullptr,
    nullptr,
    &kNetwork,
    &kLimits,
    &kCounters,
};

}  // namespace
}  // namespace sockproof::posix

extern "C" const sp_provider* sockproof_posix_provider(void) { return &sockproof::posix::kProvider; }
