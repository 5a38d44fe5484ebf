#include "shim/conversation.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>

namespace sockproof::shim {
namespace {

using std::chrono::nanoseconds;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMostWords = 64 * 1024;  // of a line, its data aside
constexpr std::string_view kPing = "ping";

std::atomic<OnTrouble> on_trouble{nullptr};

int64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * kSecond + now.tv_nsec;
}

// The suite's own patience grows with its time limits.
double Scale() {
  static const double scale = [] {
    const char* text = std::getenv("SOCKPROOF_TIMEOUT_SCALE");
    const double value = text != nullptr ? std::atof(text) : 1.0;
    return value > 0 ? value : 1.0;
  }();
  return scale;
}
int64_t Scaled(double seconds) { return static_cast<int64_t>(seconds * Scale() * kSecond); }
// Long enough for a runtime to start on a busy machine, short enough to be told before the scenario counts as hung.
int64_t GreetingPatience() { return Scaled(8); }
int64_t AnswerPatience() { return Scaled(5); }
int64_t Quiet() { return Scaled(1); }  // after so long without a word it is asked whether it lives

// For people: what cannot be printed is shown as its number, and nobody reads more than this.
std::string Shown(std::string_view text) {
  constexpr std::size_t kMost = 160;
  std::string shown;
  for (const char c : text.substr(0, kMost)) {
    if (c >= ' ' && c < 127) {
      shown += c;
    } else {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text.size() > kMost ? shown + " ..." : shown;
}

}  // namespace

void SetOnTrouble(OnTrouble handler) { on_trouble = handler; }

std::unique_ptr<Conversation> Conversation::Open(std::string_view where, std::string* greeting, std::string* why) {
  std::unique_ptr<Conversation> talk(new Conversation);
  talk->where_ = std::string(where);
  talk->most_ = kMostWords;
  talk->channel_ = Channel::Open(where, why);
  if (talk->channel_ == nullptr) return nullptr;
  talk->listener_ = std::thread([raw = talk.get()] { raw->Listen(); });
  std::unique_lock<std::mutex> lock(talk->mutex_);
  const bool came =
      talk->greeted_.wait_for(lock, nanoseconds(GreetingPatience()), [&] { return talk->has_greeting_ || talk->trouble_; });
  if (talk->has_greeting_) {
    *greeting = talk->greeting_;
    return talk;
  }
  *why = came ? talk->what_
              : fmt::format("the shim '{}' has not greeted within {:.0f} s: its first line must be 'sockproof-shim 1 NAME ...'",
                            Shown(where), static_cast<double>(GreetingPatience()) / kSecond);
  return nullptr;
}

Conversation::~Conversation() { End(); }

void Conversation::End() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  if (channel_ != nullptr) channel_->End(Scaled(1));
  if (listener_.joinable()) listener_.join();
}

std::string Conversation::Places() const {
  std::vector<std::string> places;
  for (const auto& [id, operation] : under_way_) {
    if (operation->text != kPing) places.push_back(fmt::format("{} '{}'", id, Shown(operation->text)));
  }
  if (places.empty()) return "no operation was under way";
  constexpr std::size_t kMost = 5;
  const std::size_t more = places.size() - std::min(places.size(), kMost);
  places.resize(std::min(places.size(), kMost));
  return fmt::format("under way: {}{}", fmt::join(places, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
}

// The first trouble counts; whoever waits hears of it. Called with the lock held.
void Conversation::Note(Trouble trouble, std::string what) {
  if (trouble_ || ended_) return;
  trouble_ = true;
  kind_ = trouble;
  what_ = fmt::format("the shim '{}' {}; {}", Shown(where_), what, Places());
  if (!last_line_.empty()) what_ += fmt::format("; its last line was '{}'", Shown(last_line_));
  for (auto& [id, operation] : under_way_) operation->changed.notify_all();
  greeted_.notify_all();
}

void Conversation::Leave() {
  Trouble kind;
  std::string what;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    kind = kind_;
    what = what_;
  }
  if (const OnTrouble handler = on_trouble.load(); handler != nullptr) handler(kind, what);
  std::fprintf(stderr, "sockproof: %s\n", what.c_str());
  _exit(2);
}

void Conversation::Broke(const std::string& what) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    last_line_.clear();  // `what` has it
    Note(Trouble::broke, "does not keep to the protocol: " + what);
  }
  Leave();
}

// Takes one line apart. False, with what is wrong, if nobody can have asked for it.
bool Conversation::Take(const std::string& line, std::string* wrong) {
  if (!has_greeting_) {
    greeting_ = line;
    has_greeting_ = true;
    greeted_.notify_all();
    return true;
  }
  const std::size_t space = line.find(' ');
  int64_t id = 0;
  const char* first = line.data();
  const char* last = first + std::min(space, line.size());
  if (const auto [end, error] = std::from_chars(first, last, id); error != std::errc{} || end != last || first == last) {
    *wrong = "says what does not begin with an operation's number";
    return false;
  }
  const auto found = under_way_.find(id);
  if (found == under_way_.end() || (found->second->has_line && found->second->is_answer)) {
    *wrong = found == under_way_.end() && (id < 1 || id >= next_id_) ? "answers an operation that there never was"
                                                                     : "answers an operation a second time";
    return false;
  }
  UnderWay& operation = *found->second;
  const std::string rest = space == std::string::npos ? std::string{} : line.substr(space + 1);
  const bool asks = rest == "ask" || rest.substr(0, 4) == "ask ";
  if (asks && !operation.may_ask) {
    *wrong = fmt::format("asks a question in the middle of '{}', which has no condition function", Shown(operation.text));
    return false;
  }
  if (operation.has_line) {
    *wrong = fmt::format("goes on with '{}' before its question was answered", Shown(operation.text));
    return false;
  }
  operation.line = rest;
  operation.is_answer = !asks;
  operation.has_line = true;
  operation.changed.notify_all();
  return true;
}

void Conversation::Listen() {
  for (;;) {
    std::string line;
    const Channel::Read got = channel_->ReadLine(&line, most_);
    if (got == Channel::Read::line) {
      heard_at_ = Now();
      const std::lock_guard<std::mutex> lock(mutex_);
      last_line_ = line.substr(0, 400);
      std::string wrong;
      if (Take(line, &wrong)) continue;
      Note(Trouble::broke, "does not keep to the protocol: it " + wrong);
      return;
    }
    std::string ended;
    if (got != Channel::Read::too_long) ended = channel_->HowItEnded(kSecond / 2);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (got == Channel::Read::too_long) {
      last_line_.clear();
      Note(Trouble::broke,
           fmt::format("does not keep to the protocol: it floods; a line is longer than the {} bytes that anything "
                       "asked for could need, and begins '{}'",
                       most_.load(), Shown(line)));
    } else {
      if (ended.empty()) ended = "closed its side of the connection";
      if (got == Channel::Read::torn) ended += fmt::format(", in the middle of the line '{}'", Shown(line));
      if (!has_greeting_) ended += ", before it had greeted";
      Note(Trouble::died, ended);
    }
    return;
  }
}

void Conversation::Send(const std::string& line) {
  Channel::Wrote wrote;
  {
    const std::lock_guard<std::mutex> lock(writing_);
    wrote = channel_->Write(line, AnswerPatience());
  }
  if (wrote == Channel::Wrote::all) return;
  std::unique_lock<std::mutex> lock(mutex_);
  if (wrote == Channel::Wrote::stalled) {
    Note(Trouble::broke, fmt::format("has not read anything for {:.0f} s: it must read while its calls block",
                                     static_cast<double>(AnswerPatience()) / kSecond));
  } else if (!trouble_) {
    // Who listens is about to find out how it ended, which says more.
    lock.unlock();
    for (int i = 0; i < 200; ++i) {
      {
        const std::lock_guard<std::mutex> look(mutex_);
        if (trouble_) break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    lock.lock();
    Note(Trouble::died, "takes nothing any more");
  }
  lock.unlock();
  Leave();
}

// A call may block for as long as the scenario likes; the shim may not. It answers whatever it is asked, if only that it does not
// know the operation.
void Conversation::AskForLife(int64_t now) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (asks_for_life_ || now - heard_at_ < Quiet()) return;
    asks_for_life_ = true;
  }
  Ask(std::string(kPing), 0);
  const std::lock_guard<std::mutex> lock(mutex_);
  asks_for_life_ = false;
}

std::string Conversation::Ask(const std::string& text, uint64_t room, const OnQuestion& on_question, std::atomic<int64_t>* id) {
  UnderWay operation;
  operation.text = text.substr(0, 400);
  operation.room = 2 * room;
  operation.may_ask = static_cast<bool>(on_question);
  const bool ping = text == kPing;
  std::unique_lock<std::mutex> lock(mutex_);
  if (trouble_) {
    lock.unlock();
    Leave();
  }
  const int64_t number = next_id_++;
  if (id != nullptr) *id = number;
  under_way_[number] = &operation;
  most_ += static_cast<int64_t>(operation.room);
  lock.unlock();
  Send(fmt::format("{} {}\n", number, text));
  lock.lock();
  for (const int64_t asked = Now();;) {
    const bool came = operation.changed.wait_for(lock, nanoseconds(Quiet()), [&] { return operation.has_line || trouble_; });
    if (trouble_) {
      lock.unlock();
      Leave();
    }
    if (!came) {
      const int64_t now = Now();
      if (ping && now - asked >= AnswerPatience()) {
        // Somebody whom it has started may still hold its end of the connection.
        if (const std::string ended = channel_->HowItEnded(0); !ended.empty()) Note(Trouble::died, ended);
        Note(Trouble::broke,
             fmt::format("stalls: it has not answered '{} {}' for {:.0f} s. A shim reads, and answers what it does "
                         "not know, while its calls block",
                         number, kPing, static_cast<double>(now - asked) / kSecond));
        lock.unlock();
        Leave();
      }
      lock.unlock();
      if (!ping) AskForLife(now);
      lock.lock();
      continue;
    }
    if (operation.is_answer) break;
    const std::string question = std::move(operation.line);
    operation.has_line = false;
    lock.unlock();
    const std::string reply = on_question(question);
    Send(fmt::format("{} {}\n", number, reply));
    lock.lock();
  }
  under_way_.erase(number);
  most_ -= static_cast<int64_t>(operation.room);
  return std::move(operation.line);
}

}  // namespace sockproof::shim
