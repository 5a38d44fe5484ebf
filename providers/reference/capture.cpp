#include "reference/capture.h"

namespace sockproof::reference {
namespace {

constexpr uint32_t kSectionHeader = 0x0a0d0d0a, kInterfaceDescription = 1, kEnhancedPacket = 6;
constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr uint16_t kLinkTypeRaw = 101, kTimestampResolution = 9;

// Numbers stand in the byte order of the writer, which the magic number tells; here always the lowest byte first.
void Put(std::vector<uint8_t>* out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<uint8_t>(value >> (8 * i)));
}

}  // namespace

Capture::Capture(const std::string& path) : file_(std::fopen(path.c_str(), "wb")) {
  if (file_ == nullptr) return;
  std::vector<uint8_t> section;
  Put(&section, kByteOrderMagic, 4);
  Put(&section, 1, 2);  // version 1.0
  Put(&section, 0, 2);
  Put(&section, UINT64_MAX, 8);  // length of the section: not said
  Block(kSectionHeader, section);
  std::vector<uint8_t> description;
  Put(&description, kLinkTypeRaw, 2);
  Put(&description, 0, 2);
  Put(&description, 0, 4);  // packets are not cut
  Put(&description, kTimestampResolution, 2);
  Put(&description, 1, 2);
  Put(&description, 9, 4);  // 10^-9 s, padded to four bytes
  Put(&description, 0, 4);  // end of options
  Block(kInterfaceDescription, description);
}

void Capture::Write(int64_t time, const std::vector<uint8_t>& bytes) {
  std::vector<uint8_t> body;
  Put(&body, 0, 4);  // interface
  Put(&body, static_cast<uint64_t>(time) >> 32, 4);
  Put(&body, static_cast<uint64_t>(time), 4);
  Put(&body, bytes.size(), 4);
  Put(&body, bytes.size(), 4);
  body.insert(body.end(), bytes.begin(), bytes.end());
  body.resize((body.size() + 3) / 4 * 4);
  Block(kEnhancedPacket, body);
}

void Capture::Block(uint32_t type, const std::vector<uint8_t>& body) {
  std::vector<uint8_t> block;
  Put(&block, type, 4);
  Put(&block, body.size() + 12, 4);
  block.insert(block.end(), body.begin(), body.end());
  Put(&block, body.size() + 12, 4);
  std::fwrite(block.data(), 1, block.size(), file_.get());
  std::fflush(file_.get());
}

}  // namespace sockproof::reference
