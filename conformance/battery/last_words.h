// How a process of the battery speaks and dies: the stream that its records go to, its end, and what it still says when it
// crashes.
// last_words_posix.cpp and last_words_windows.cpp are its two halves.
#pragma once

#include <cstddef>

namespace sockproof {

// Standard output, or once InstallFatalHandlers was called, a copy of it that no provider knows. What cannot be written is
// lost: nobody reads, and there is nothing better to do with a record. Fit for a signal handler.
void WriteRecordStream(const char* data, std::size_t size);

// Gives records a stream of their own, and has a crash write its record before it ends the process; where the runner's word
// that time is over can be heard (SIGTERM), the trace is written then.
void InstallFatalHandlers();

// Ends the process at once: nothing is unwound, destroyed or flushed.
[[noreturn]] void EndProcess(int code);

}  // namespace sockproof
