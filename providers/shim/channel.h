// The way to a shim: lines to it, lines from it, over pipes or a socket. Calls of the kernel are made without the C library,
// which may itself be what is tested, or hold a fault that somebody put there.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace sockproof::shim {

class Channel {
 public:
  // `where` is COMMAND, tcp:HOST:PORT or unix:PATH. NULL with a reason. A command is started in a process group of its own, with
  // its standard error where ours is.
  static std::unique_ptr<Channel> Open(std::string_view where, std::string* why);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // False when nobody takes it: the other end is gone, or has not read anything for `patience_ns`. By one thread at a time.
  enum class Wrote { all, gone, stalled };
  Wrote Write(std::string_view text, int64_t patience_ns);

  // The next line, without its end. Waits as long as it takes. `too_long` when a line grows beyond the limit, which others may
  // change meanwhile. By one thread.
  enum class Read { line, end, torn, too_long };
  Read ReadLine(std::string* line, const std::atomic<int64_t>& limit);

  // How the process ended, in words: "ended with signal 11 (SIGSEGV)"; empty if it has not within `patience_ns`, or there is
  // none.
  std::string HowItEnded(int64_t patience_ns);
  // Closes its input, gives it `patience_ns` to leave, kills what is left of it, and waits for its process. Who reads finds the
  // end.
  void End(int64_t patience_ns);

 private:
  Channel() = default;
  bool Start(std::string_view command, std::string* why);
  bool ConnectTcp(std::string_view where, std::string* why);
  bool ConnectUnix(std::string_view path, std::string* why);
  bool Reap(int64_t patience_ns);

  int to_ = -1, from_ = -1;
  int stop_[2] = {-1, -1};  // a pipe whose end tells the reader to give up
  int process_ = -1;
  std::mutex reaping_;  // whoever listens and whoever waits may both want to know
  bool reaped_ = false;
  int status_ = 0;
  std::string pending_;
  std::size_t searched_ = 0;  // no end of a line stands before this
};

}  // namespace sockproof::shim
