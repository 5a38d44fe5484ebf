#include <algorithm>

#include "reference/readiness.h"
#include "reference/stack.h"

namespace sockproof::reference {
namespace {

constexpr uint32_t kAlways = SP_ERR | SP_HUP;
constexpr int kDeepest = 4;  // epolls inside each other (EP_MAX_NESTS)

}  // namespace

struct Epoll::Item final : Observer {
  Epoll* epoll = nullptr;
  Key key;
  std::weak_ptr<File> file;
  uint32_t events = 0, flags = 0;
  uint64_t cookie = 0;
  bool listed = false;
  bool disabled = false;  // one-shot, and has fired

  uint32_t Now() const {
    const std::shared_ptr<File> there = file.lock();
    return there == nullptr || disabled ? 0 : there->Ready() & (events | kAlways);
  }
  bool Changed(uint32_t fresh) override { return epoll->OnChange(this, fresh); }
  bool exclusive() const override { return (flags & SP_EXCLUSIVE) != 0; }
  void Gone() override {
    const std::shared_ptr<File> there = file.lock();
    if (there != nullptr) epoll->Remove(key.first, there);
  }
};

Epoll::Epoll(Stack* stack) : stack_(stack) {}

Epoll::~Epoll() { Epoll::Released(); }

void Epoll::Released() {
  ready_.clear();
  for (const auto& [key, item] : items_) {
    const std::shared_ptr<File> file = item->file.lock();
    if (file != nullptr) file->RemoveObserver(item.get());
  }
  items_.clear();
}

bool Epoll::AnythingReady() const {
  return std::any_of(ready_.begin(), ready_.end(), [](const Item* item) { return item->Now() != 0; });
}

void Epoll::Enlist(Item* item) {
  if (item->listed) return;
  item->listed = true;
  ready_.push_back(item);
  Tell(SP_IN | SP_RDNORM);  // who polls this epoll
}

bool Epoll::OnChange(Item* item, uint32_t fresh) {
  if (item->disabled || (fresh & (item->events | kAlways)) == 0) return false;
  Enlist(item);
  // One that nobody waits at does not keep an event from those behind it.
  if (waiting_ == 0) return false;
  --waiting_;
  return true;
}

bool Epoll::Contains(const File* other, int depth, int* deepest) const {
  *deepest = std::max(*deepest, depth);
  for (const auto& [key, item] : items_) {
    const std::shared_ptr<File> file = item->file.lock();
    if (file.get() == other) return true;
    const auto* inner = dynamic_cast<const Epoll*>(file.get());
    if (inner != nullptr && (depth > kDeepest || inner->Contains(other, depth + 1, deepest))) return true;
  }
  return false;
}

int32_t Epoll::Add(int64_t handle, const std::shared_ptr<File>& file, const sp_watch_set_args& args) {
  const auto* inner = dynamic_cast<const Epoll*>(file.get());
  if ((args.flags & SP_EXCLUSIVE) != 0) {
    constexpr uint32_t kTogether = SP_IN | SP_OUT | SP_ERR | SP_HUP;
    if (inner != nullptr || (args.events & ~kTogether) != 0 || (args.flags & SP_ONESHOT) != 0) return SP_EINVAL;
  }
  if (inner != nullptr) {
    int depth = 1;
    if (inner->Contains(this, 1, &depth) || depth > kDeepest) return SP_ELOOP;
  }
  const Key key{handle, file.get()};
  if (items_.count(key) != 0) return SP_EEXIST;
  auto item = std::make_unique<Item>();
  item->epoll = this;
  item->key = key;
  item->file = file;
  item->events = args.events;
  item->flags = args.flags;
  item->cookie = args.cookie;
  file->AddObserver(item.get());
  Item* added = item.get();
  items_.emplace(key, std::move(item));
  if (added->Now() != 0) Enlist(added);
  return SP_OK;
}

int32_t Epoll::Modify(int64_t handle, const std::shared_ptr<File>& file, const sp_watch_set_args& args) {
  const auto found = items_.find({handle, file.get()});
  if ((args.flags & SP_EXCLUSIVE) != 0) return SP_EINVAL;
  if (found == items_.end()) return SP_ENOENT;
  Item* item = found->second.get();
  if (item->exclusive()) return SP_EINVAL;
  item->events = args.events;
  item->flags = args.flags;
  item->cookie = args.cookie;
  item->disabled = false;
  if (item->Now() != 0) Enlist(item);
  return SP_OK;
}

int32_t Epoll::Remove(int64_t handle, const std::shared_ptr<File>& file) {
  const auto found = items_.find({handle, file.get()});
  if (found == items_.end()) return SP_ENOENT;
  Item* item = found->second.get();
  file->RemoveObserver(item);
  ready_.remove(item);
  items_.erase(found);
  return SP_OK;
}

// Level-triggered items go to the end of the list again, so that all have their turn; edge-triggered ones wait for news.
void Epoll::Harvest(sp_watch_wait_args* args) {
  std::list<Item*> looked_at;
  looked_at.swap(ready_);
  std::list<Item*> again;
  while (!looked_at.empty() && args->count < args->capacity) {
    Item* item = looked_at.front();
    looked_at.pop_front();
    item->listed = false;
    const uint32_t events = item->Now();
    if (events == 0) continue;
    args->events[args->count++] = {item->cookie, events, SP_OK};
    if ((item->flags & SP_ONESHOT) != 0) {
      item->disabled = true;
    } else if ((item->flags & SP_EDGE) == 0) {
      item->listed = true;
      again.push_back(item);
    }
  }
  ready_.splice(ready_.begin(), looked_at);
  ready_.splice(ready_.end(), again);
}

int32_t Epoll::Wait(sp_watch_wait_args* args, int64_t* value) {
  if (args->timeout_kind != 0) return SP_NOT_SUPPORTED;
  if (args->capacity <= 0) return SP_EINVAL;
  const auto ready = [this] { return AnythingReady(); };
  if (!ready() && args->timeout_ns != 0) {
    int64_t limit = args->timeout_ns;
    if (limit > 0) limit = (limit + kMillisecond - 1) / kMillisecond * kMillisecond;
    const int here = ++waiting_;
    const int32_t error = stack_->Block(ready, limit, SP_OK, "epoll_wait");
    waiting_ = std::min(waiting_, here - 1);
    if (error != SP_OK) return error;
  }
  if (AnythingReady() && args->kind != SP_POINTER_VALID) return SP_EFAULT;
  if (args->kind == SP_POINTER_VALID) Harvest(args);
  *value = args->count;
  return SP_OK;
}

}  // namespace sockproof::reference
