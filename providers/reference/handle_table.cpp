#include "reference/handle_table.h"

#include <algorithm>

#include <fmt/format.h>

namespace sockproof::reference {

int64_t HandleTable::numbers() const { return limit_ < 0 ? kMost : limit_ + kFirst; }

int32_t HandleTable::Room(int count) const {
  const int64_t after = static_cast<int64_t>(entries_.size()) + reserved_ + count;
  if (after > (limit_ < 0 ? kMost - kFirst : limit_)) return SP_EMFILE;
  return system_limit_ >= 0 && after > system_limit_ ? SP_ENFILE : SP_OK;
}

int64_t HandleTable::Add(Hold file, bool close_on_exec) {
  int64_t handle = kFirst;
  for (const auto& [taken, entry] : entries_) {
    if (taken == handle) ++handle;
  }
  Put(handle, std::move(file), close_on_exec);
  return handle;
}

void HandleTable::Put(int64_t handle, Hold file, bool close_on_exec) { entries_[handle] = {std::move(file), close_on_exec}; }

HandleTable::Entry* HandleTable::Find(int64_t handle) {
  const auto found = entries_.find(handle);
  return found == entries_.end() ? nullptr : &found->second;
}

Hold HandleTable::Remove(int64_t handle) {
  const auto found = entries_.find(handle);
  if (found == entries_.end()) return {};
  Hold file = std::move(found->second.file);
  entries_.erase(found);
  return file;
}

std::vector<Hold> HandleTable::TakeAll() {
  std::vector<Hold> all;
  for (auto& [handle, entry] : entries_) all.push_back(std::move(entry.file));
  entries_.clear();
  return all;
}

bool HandleTable::Has(const File* file) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.second.file.get() == file; });
}

void HandleTable::LimitTo(int64_t headroom) { limit_ = headroom < 0 ? -1 : static_cast<int64_t>(entries_.size()) + headroom; }

void HandleTable::LimitSystemTo(int64_t headroom) {
  system_limit_ = headroom < 0 ? -1 : static_cast<int64_t>(entries_.size()) + headroom;
}

std::string HandleTable::Describe() const {
  std::string text;
  for (const auto& [handle, entry] : entries_) text += fmt::format("{} {}\n", handle, entry.file->Kind());
  return text;
}

}  // namespace sockproof::reference
