// The text form of calls and results, printed and parsed by one piece of code (a visitor that both walk). It is what the
// trace shows and what a scenario's other processes are driven with.
//
//     accept s5 form=1 modes=nonblocking peer=128
//     ok value=0 handle=s7 peer=inet:127.0.0.1:4711 length=16
//
// A call is its name, its handle (s socket, w watcher, or the kind of a wrong one) and KEY=VALUE words; what has its default
// is left out. A result begins with "ok" or an error's name.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "face/payload.h"
#include "sockproof/provider.h"

namespace sockproof {

// A call with the memory that its pointers need: what parsing gives.
struct OwnedCall {
  sp_call call{};
  sp_result result{};
  std::deque<std::vector<uint8_t>> memory;
  std::vector<sp_buffer> buffers;
  std::vector<sp_event> events;

  uint8_t* Allocate(std::size_t size) { return memory.emplace_back(size).data(); }
};

// How payload is printed: `payload` instead of the bytes when it is known what they are; else at most `max_bytes` of them,
// in hexadecimal, with a "+" where more follow (such a text cannot be parsed back).
struct TextOptions {
  const Payload* payload = nullptr;
  std::size_t max_bytes = 24;
};

std::string CallText(const sp_call& call, const TextOptions& options = {});
std::string ResultText(const sp_call& call, const sp_result& result, const TextOptions& options = {});

// False, with the reason and the word that is wrong, when the text is not of the form.
bool ParseCall(std::string_view text, OwnedCall* out, std::string* why);
// `out->call` must be the call that this is the result of; its output members are filled in.
bool ParseResult(std::string_view text, OwnedCall* out, std::string* why);

std::string HandleText(const sp_handle& handle);

}  // namespace sockproof
