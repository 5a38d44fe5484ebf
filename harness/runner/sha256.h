// SHA-256 (FIPS 180-4), so that a result can be tied to the very program that gave it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace sockproof::runner {

class Sha256 {
 public:
  void add(std::string_view bytes);
  /// The digest in hexadecimal; call it once.
  std::string finish();

 private:
  void block(const unsigned char* bytes);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> rest_{};
  std::size_t have_ = 0;
  std::uint64_t total_ = 0;
};

/// Empty when the file cannot be read.
std::string sha256_of_file(const std::filesystem::path& file);

}  // namespace sockproof::runner
