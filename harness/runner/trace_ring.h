// The trace that a process leaves in a file, whatever it died of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sockproof::runner {

/// The file is a header of 64 bytes (the magic "SPTRACE1", then as little-endian 64-bit numbers how many bytes were written
/// in all, how many the ring holds, two that are the writers' own, and how many lines were written in all) and the ring
/// itself, text in lines. Returns the last `most` whole lines; none when the file is not there or is something else.
/// `dropped`: how many lines there were before those.
std::vector<std::string> read_trace_ring(const std::string& path, std::size_t most, std::int64_t* dropped = nullptr);

}  // namespace sockproof::runner
