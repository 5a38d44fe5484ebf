#include "trace_ring.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "battery_output.h"
#include "procfs.h"

namespace sockproof::runner {
namespace {

constexpr std::size_t kHeader = 64;
constexpr std::size_t kLargest = 64 << 20;

std::uint64_t little_endian(const std::string& bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

}  // namespace

std::vector<std::string> read_trace_ring(const std::string& path, std::size_t most, std::int64_t* dropped) {
  if (dropped != nullptr) *dropped = 0;
  const std::string file = read_text(path, kLargest);
  if (file.size() <= kHeader || file.compare(0, 8, "SPTRACE1") != 0) return {};
  const std::uint64_t written = little_endian(file, 8);
  const std::uint64_t capacity = std::min<std::uint64_t>(little_endian(file, 16), file.size() - kHeader);
  if (capacity == 0) return {};

  std::string text;
  bool cut = false;
  if (written <= capacity) {
    text = file.substr(kHeader, written);
  } else {
    const std::size_t oldest = static_cast<std::size_t>(written % capacity);
    text = file.substr(kHeader + oldest, capacity - oldest) + file.substr(kHeader, oldest);
    cut = true;
  }
  // A line that was being written when the process died may still hold zeros.
  text.erase(std::remove(text.begin(), text.end(), '\0'), text.end());
  std::vector<std::string> lines;
  std::size_t at = 0;
  if (cut) {
    const std::size_t newline = text.find('\n');
    at = newline == std::string::npos ? text.size() : newline + 1;
  }
  while (at < text.size()) {
    const std::size_t newline = std::min(text.find('\n', at), text.size());
    lines.push_back(printable(std::string_view(text).substr(at, newline - at)));
    at = newline + 1;
  }
  if (lines.size() > most) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(most));
  const std::uint64_t lines_written = little_endian(file, 40);
  if (dropped != nullptr && lines_written > lines.size() && lines_written <= written)
    *dropped = static_cast<std::int64_t>(lines_written - lines.size());
  return lines;
}

}  // namespace sockproof::runner
