// Waiting for several sockets: poll, select and their kin, which look at all of them, and epoll, which is told.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "reference/event_object.h"
#include "reference/file.h"
#include "reference/handle_table.h"
#include "sockproof/provider.h"

namespace sockproof::reference {

class Stack;

// The lists of poll, select, ppoll, pselect and WSAPoll. They are no files: their handles lie far beyond all others.
class Watchers {
 public:
  struct Entry {
    sp_handle handle;
    uint32_t events = 0;
    uint64_t cookie = 0;
  };
  struct Watcher {
    int32_t mechanism = SP_POLL;
    std::vector<Entry> entries;
    std::shared_ptr<EventObject> event;  // of SP_EVENT_OBJECT, which has no list
  };
  static bool IsOne(const sp_handle& handle) { return handle.kind == SP_HANDLE_WATCHER && handle.value >= kFirst; }

  int64_t Add(int32_t mechanism);
  Watcher* Find(int64_t handle);
  bool Remove(int64_t handle) { return watchers_.erase(handle) != 0; }

 private:
  static constexpr int64_t kFirst = int64_t{1} << 32;
  std::map<int64_t, Watcher> watchers_;
  int64_t next_ = kFirst;
};

// epoll(7): an item for each handle that was added, and a list of those that may have something to say.
class Epoll final : public File {
 public:
  explicit Epoll(Stack* stack);
  ~Epoll() override;

  int32_t Add(int64_t handle, const std::shared_ptr<File>& file, const sp_watch_set_args& args);
  int32_t Modify(int64_t handle, const std::shared_ptr<File>& file, const sp_watch_set_args& args);
  int32_t Remove(int64_t handle, const std::shared_ptr<File>& file);
  int32_t Wait(sp_watch_wait_args* args, int64_t* value);
  // Whether following it inward leads to `other`: a ring of epolls would never come to an end.
  bool Contains(const File* other, int depth, int* deepest) const;

  uint32_t Ready() const override { return AnythingReady() ? SP_IN | SP_RDNORM : 0; }
  const char* Kind() const override { return "epoll"; }
  void Released() override;

 private:
  struct Item;
  using Key = std::pair<int64_t, const File*>;
  bool AnythingReady() const;
  void Enlist(Item* item);
  bool OnChange(Item* item, uint32_t fresh);
  void Harvest(sp_watch_wait_args* args);

  Stack* stack_;
  std::map<Key, std::unique_ptr<Item>> items_;
  std::list<Item*> ready_;
  int waiting_ = 0;  // threads
};

void WatchCreate(Stack* stack, const sp_watch_create_args& args, sp_result* result);
void WatchSet(Stack* stack, uint32_t op, const sp_handle& handle, const sp_watch_set_args& args, sp_result* result);
void WatchWait(Stack* stack, const sp_handle& handle, sp_watch_wait_args* args, sp_result* result);
void WatchClose(Stack* stack, const sp_handle& handle, sp_result* result);

}  // namespace sockproof::reference
