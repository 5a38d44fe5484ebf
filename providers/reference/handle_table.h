// Handles: small numbers, the lowest free one first, each standing for a file. Like Linux' table of descriptors.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "reference/file.h"

namespace sockproof::reference {

class HandleTable {
 public:
  static constexpr int64_t kFirst = 3;  // 0, 1 and 2 are the standard streams of whoever shares this process

  struct Entry {
    Hold file;
    bool close_on_exec = false;
  };

  // SP_EMFILE or SP_ENFILE when a limit is reached. Asked before something is made that could not be undone.
  int32_t Room(int count = 1) const;
  // Keeps the place of one that a call will add when it is done.
  void Reserve() { ++reserved_; }
  void Unreserve() { --reserved_; }
  int64_t Add(Hold file, bool close_on_exec);
  Entry* Find(int64_t handle);
  // The file of a handle that is closed now; empty if there was none.
  Hold Remove(int64_t handle);
  std::vector<Hold> TakeAll();                              // closes them all: their files, in the order of their numbers
  void Put(int64_t handle, Hold file, bool close_on_exec);  // dup2's target; what was there has been removed
  bool CanHave(int64_t handle) const { return handle >= 0 && handle < numbers(); }

  bool Has(const File* file) const;
  std::size_t count() const { return entries_.size(); }
  std::string Describe() const;

  // How many more may be opened; negative: no limit but the number of numbers.
  void LimitTo(int64_t headroom);
  void LimitSystemTo(int64_t headroom);
  // As many numbers as there are: OPEN_MAX.
  int64_t numbers() const;

 private:
  static constexpr int64_t kMost = 1024;
  std::map<int64_t, Entry> entries_;
  int64_t limit_ = -1, system_limit_ = -1;  // of entries
  int64_t reserved_ = 0;
};

}  // namespace sockproof::reference
