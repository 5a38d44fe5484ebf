// Runs the calls of a trace, or of an operation script, again, on whatever provider this process has opened.
#pragma once

#include <string>

namespace sockproof {

// `file`: the lines of a trace, a results.jsonl (its first scenario that has a trace, or the one named `scenario`), or a script:
// a call a line in the text form of face/codec.h, handles named as they are first given out. Prints the new trace and what the
// oracle says of it. 0: no violation; 1: violations; 2: the file could not be read or a call could not be made.
int Replay(const std::string& file, const std::string& scenario, int profile);

}  // namespace sockproof
