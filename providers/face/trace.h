// The trace: a begin and an end record for every call, in the text form of codec.h.
//
//     000012 0.000873 p311 t1 > accept s5 peer=valid,valid,128
//     000012 0.001204 p311 t1 < ok handle=s7 peer=inet:127.0.0.1:50714,16
//     000013 0.001300 p311 t0 = the listener is full
//
// The number names the operation: begin (>) and end (<) share it, whatever lies between them ran at the same time. Times are
// seconds since the scenario began, p is the process, t the thread (t0 the scenario's own). '=' is a remark.
//
// Lines live in a ring that survives the process when SOCKPROOF_TRACE_FILE names a file that can be mapped: 64 bytes of
// header (the mark "SPTRACE1", then as uint64_t in the machine's order the count of bytes ever written, the capacity, two
// numbers of the writers' own and the count of lines ever written), then the bytes, wrapped around.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sockproof {

class Trace {
 public:
  static Trace& Get();

  // Maps the ring; call once, before any thread. Falls back to memory of the process. `join`: the file is the ring of a
  // scenario that is under way, and what stands in it stays.
  void Open(bool join = false);

  uint64_t Begin(std::string_view call);  // the operation's number
  void End(uint64_t operation, std::string_view result);
  void Note(std::string_view text);

  // The last lines that are still there, oldest first.
  std::vector<std::string> Tail(std::size_t lines) const;
  uint64_t LinesWritten() const;  // also those that the ring no longer holds
  bool OutlivesProcess() const { return shared_; }

 private:
  void Append(uint64_t operation, char mark, std::string_view text);

  struct Header;
  Header* header_ = nullptr;
  char* bytes_ = nullptr;
  bool shared_ = false;
};

// The number of this thread in the trace; SetThreadIndex is for Spawn alone.
int ThreadIndex();
void SetThreadIndex(int index);

}  // namespace sockproof
