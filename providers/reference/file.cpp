#include "reference/file.h"

#include <algorithm>

namespace sockproof::reference {

void Hold::Drop() {
  const std::shared_ptr<File> file = std::exchange(file_, nullptr);
  if (file == nullptr || --file->holds_ > 0) return;
  const std::vector<Observer*> all = file->observers_;
  for (Observer* observer : all) observer->Gone();
  file->Released();
}

void File::AddObserver(Observer* observer) {
  // Exclusive ones stand behind all others, so that these are told whoever takes an event for himself.
  const auto place = observer->exclusive() ? observers_.end() : observers_.begin();
  observers_.insert(place, observer);
}

void File::RemoveObserver(Observer* observer) {
  observers_.erase(std::remove(observers_.begin(), observers_.end(), observer), observers_.end());
}

void File::Tell(uint32_t fresh) {
  const std::vector<Observer*> all = observers_;
  bool taken = false;
  for (Observer* observer : all) {
    if (taken && observer->exclusive()) continue;
    taken = (observer->Changed(fresh) && observer->exclusive()) || taken;
  }
}

}  // namespace sockproof::reference
