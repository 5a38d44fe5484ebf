// What a handle stands for: sockets, epoll instances, a plain file. Handles that were made by duplicating share one. It lives
// as long as something holds it: a handle, a call that is under way, a message that carries it.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "sockproof/provider.h"

namespace sockproof::reference {

class File;

// Who is told when something about a file changes. `fresh` are enum sp_events bits that came anew (data arrived, though there
// was some already). Answers whether it took the event for itself alone (EPOLLEXCLUSIVE): no other exclusive one is told.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual bool Changed(uint32_t fresh) = 0;
  virtual bool exclusive() const { return false; }
  virtual void Gone() {}  // the file has come to its end
};

class File : public std::enable_shared_from_this<File> {
 public:
  File() = default;
  virtual ~File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // What poll would say, all of it: IN OUT PRI ERR HUP RDHUP RDNORM RDBAND WRNORM WRBAND.
  virtual uint32_t Ready() const = 0;
  virtual const char* Kind() const = 0;  // for a report of what was left open
  // The last hold is gone.
  virtual void Released() {}

  // Of all handles of one file alike.
  bool nonblocking = false;
  bool async = false;
  // The handle was closed and the profile says that this ends whatever waits.
  bool cancelled = false;

  void AddObserver(Observer* observer);
  void RemoveObserver(Observer* observer);
  void Tell(uint32_t fresh);

 private:
  friend class Hold;
  int holds_ = 0;
  std::vector<Observer*> observers_;
};

class Hold {
 public:
  Hold() = default;
  explicit Hold(std::shared_ptr<File> file) : file_(std::move(file)) {
    if (file_ != nullptr) ++file_->holds_;
  }
  Hold(const Hold& other) : Hold(other.file_) {}
  Hold(Hold&& other) noexcept : file_(std::exchange(other.file_, nullptr)) {}
  Hold& operator=(Hold other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~Hold() { Drop(); }
  void Drop();
  File* get() const { return file_.get(); }
  File* operator->() const { return file_.get(); }
  const std::shared_ptr<File>& file() const { return file_; }
  explicit operator bool() const { return file_ != nullptr; }
  bool last() const { return file_ != nullptr && file_->holds_ == 1; }

 private:
  std::shared_ptr<File> file_;
};

// Open, and no socket.
class PlainFile final : public File {
 public:
  uint32_t Ready() const override { return SP_IN | SP_OUT | SP_RDNORM | SP_WRNORM; }
  const char* Kind() const override { return "file"; }
};

}  // namespace sockproof::reference
