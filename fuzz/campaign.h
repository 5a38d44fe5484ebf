// What every fuzzer of scripts does with an input: runs it, has it judged, and reports what is wrong.
//
//     SOCKPROOF_FUZZ_PROVIDER  PROVIDER[:ARG]; without it, what stands behind two hyphens in the program's name, a colon written
//     as
//                              an underscore (fuzz-connection--reference_winsock), else reference:linux
//     SOCKPROOF_FUZZ_PROFILE   the documents it is judged by; without it, those of the provider
//     SOCKPROOF_FUZZ_FINDINGS  a folder: every cause that is not there yet becomes a script in it, and fuzzing goes on. Without
//     it
//                              the first one ends the process, as a fuzzing engine expects
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "fuzz/execute.h"
#include "fuzz/generate.h"

namespace sockproof::fuzz {

// Where the sockets of a provider are the system's: a network of this process's own, before anything else. False, and why.
bool OwnNetwork(const std::string& spec, std::string* why);

class Hunt {
 public:
  // Ends the process where the provider cannot be had.
  void Start(const char* program);
  void One(const uint8_t* data, std::size_t size, Bent bent);

 private:
  void Report(const Script& script, const Breach& breach);

  Provider provider_;
  int profile_ = -1;
  std::string profile_name_, folder_;
  std::map<std::string, int> seen_;
};

// The number by which a cause is known for good: eight hexadecimal digits.
std::string IdOf(const std::string& cause);
// A finding as a file: the script, under remarks that say what is wrong.
std::string FindingText(const Script& script, const Breach& breach, const std::string& fuzzer, const std::string& provider,
                        const std::string& profile);

// For LLVMFuzzerCustomMutator and LLVMFuzzerCustomCrossOver.
std::size_t MutateBytes(uint8_t* data, std::size_t size, std::size_t room, unsigned seed, Bent bent);
std::size_t CrossOverBytes(const uint8_t* a, std::size_t a_size, const uint8_t* b, std::size_t b_size, uint8_t* out,
                           std::size_t room, unsigned seed);

}  // namespace sockproof::fuzz
