#include "counters.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "adapter.h"

namespace sockproof::posix {
namespace {

std::string WhatItIs(int descriptor) {
  char text[512];
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = ::readlink(path.c_str(), text, sizeof text);
  return length < 0 ? std::string("unknown") : std::string(text, static_cast<std::size_t>(length));
}

// A look at what it names in /proc would tell as well, but each one makes the end of this process dearer.
Identity WhichOne(int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

// Without a descriptor to spare: asks for each number.
std::map<int, Identity> Probe() {
  std::map<int, Identity> out;
  rlimit limit{};
  int end = 1024;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536) {
    end = std::max(end, static_cast<int>(limit.rlim_cur));
  }
  for (int descriptor = 0; descriptor < end; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0) out[descriptor] = WhichOne(descriptor);
  }
  return out;
}

// What scenarios opened: neither there before them nor the adapter's own.
std::map<int, Identity> Theirs(Adapter& adapter) {
  std::map<int, Identity> open = OpenDescriptors();
  const std::lock_guard<std::mutex> lock(adapter.own_mutex);
  for (const int descriptor : adapter.own) open.erase(descriptor);
  for (const int descriptor : adapter.fillers) open.erase(descriptor);
  for (const auto& [descriptor, which] : adapter.baseline) {
    const auto found = open.find(descriptor);
    if (found != open.end() && found->second == which) open.erase(found);
  }
  return open;
}

std::int32_t OpenHandles(void* self, std::uint64_t* count) {
  *count = Theirs(*Self(self)).size();
  return SP_OK;
}

std::int32_t DescribeHandles(void* self, char* text, std::uint32_t* size) {
  std::string all;
  for (const auto& [descriptor, which] : Theirs(*Self(self))) {
    all += std::to_string(descriptor) + " " + WhatItIs(descriptor) + "\n";
  }
  const std::uint32_t room = *size;
  *size = 0;
  if (room == 0) return SP_OK;
  *size = std::min<std::uint32_t>(static_cast<std::uint32_t>(all.size()), room - 1);
  std::memcpy(text, all.data(), *size);
  text[*size] = '\0';
  return SP_OK;
}

}  // namespace

std::map<int, Identity> OpenDescriptors() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return Probe();
  std::map<int, Identity> out;
  const int own = ::dirfd(directory);
  while (const dirent* entry = ::readdir(directory)) {
    char* end = nullptr;
    const long descriptor = std::strtol(entry->d_name, &end, 10);
    if (end == entry->d_name || *end != '\0' || descriptor == own) continue;
    out[static_cast<int>(descriptor)] = WhichOne(static_cast<int>(descriptor));
  }
  ::closedir(directory);
  return out;
}

OwnDescriptor::OwnDescriptor(Adapter& adapter, int descriptor) : adapter_(adapter), descriptor_(-1) { Reset(descriptor); }

OwnDescriptor::~OwnDescriptor() { Reset(-1); }

void OwnDescriptor::Reset(int descriptor) {
  // The mark is set as soon as the descriptor exists and lifted before it is gone, under the lock that counting takes.
  const std::lock_guard<std::mutex> lock(adapter_.own_mutex);
  if (descriptor_ >= 0) {
    adapter_.own.erase(descriptor_);
    ::close(descriptor_);
  }
  descriptor_ = descriptor;
  if (descriptor_ >= 0) adapter_.own.insert(descriptor_);
}

int OwnDescriptor::Keep() {
  const int kept = descriptor_;
  descriptor_ = -1;
  return kept;
}

const sp_counter_group kCounters = {sizeof(sp_counter_group), OpenHandles, DescribeHandles};

}  // namespace sockproof::posix
