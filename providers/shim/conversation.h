// What is said to a shim and what comes back: operations with an id each, any number of them under way, from any thread.
// docs/shim-protocol.md is the protocol.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "shim/channel.h"
#include "shim/shim.h"

namespace sockproof::shim {

class Conversation {
 public:
  // NULL with a reason. `greeting` is the first line of the shim.
  static std::unique_ptr<Conversation> Open(std::string_view where, std::string* greeting, std::string* why);
  ~Conversation();

  // One operation. `room` is how many bytes of data its answer may hold. A question of the shim ("ask ...") is handed to
  // `on_question`, in this thread, which gives the answer to it. `id`, where given, is set before anything is said.
  // Returns the answer without its id.
  using OnQuestion = std::function<std::string(const std::string& question)>;
  std::string Ask(const std::string& text, uint64_t room, const OnQuestion& on_question = {}, std::atomic<int64_t>* id = nullptr);

  // Ends the scenario: the shim broke the protocol in this answer.
  [[noreturn]] void Broke(const std::string& what);
  // Says goodbye; nothing may be asked any more.
  void End();

 private:
  struct UnderWay {
    std::string text;  // for people
    uint64_t room = 0;
    bool may_ask = false;
    std::string line;  // what came, without the id
    bool has_line = false;
    bool is_answer = false;
    std::condition_variable changed;
  };

  Conversation() = default;
  void Listen();
  bool Take(const std::string& line, std::string* wrong);
  void Send(const std::string& line);
  void Note(Trouble trouble, std::string what);
  [[noreturn]] void Leave();
  void AskForLife(int64_t now);
  std::string Places() const;

  std::string where_;
  std::unique_ptr<Channel> channel_;
  std::thread listener_;
  std::mutex writing_;
  mutable std::mutex mutex_;
  std::condition_variable greeted_;
  std::map<int64_t, UnderWay*> under_way_;
  int64_t next_id_ = 1;
  std::string greeting_;
  bool has_greeting_ = false;
  bool ended_ = false;    // by us
  bool trouble_ = false;  // by it
  Trouble kind_ = Trouble::died;
  std::string what_;
  std::string last_line_;
  bool asks_for_life_ = false;
  std::atomic<int64_t> heard_at_{0};  // when the last line came
  std::atomic<int64_t> most_;         // how long a line may become
};

}  // namespace sockproof::shim
