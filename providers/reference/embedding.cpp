#include "reference/embedding.h"

#include <utility>

#include "reference/overlapped.h"
#include "reference/stack.h"

namespace sockproof::reference {

void UseRealTime(void* self, bool real) { static_cast<Stack*>(self)->scheduler().UseRealTime(real); }

void OnEventObject(void* self, sp_handle watcher, std::function<void(bool set)> was_set,
                   std::function<void(const sp_event& event)> records) {
  Watchers::Watcher* found = static_cast<Stack*>(self)->watchers().Find(watcher.value);
  if (found == nullptr || found->event == nullptr) return;
  found->event->was_set = std::move(was_set);
  found->event->records = std::move(records);
}

void OnOperationEnd(sp_operation operation, std::function<void(const sp_result& result)> ended) {
  auto* const one = reinterpret_cast<Operation*>(operation);
  if (one->done()) return ended(one->result());
  one->OnEnd(std::move(ended));
}

}  // namespace sockproof::reference
