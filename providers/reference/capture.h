// A capture file that Wireshark reads: pcapng (draft-ietf-opsawg-pcapng), one interface of LINKTYPE_RAW (packets begin with
// their IP header), time stamps in nanoseconds of the virtual clock.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace sockproof::reference {

class Capture {
 public:
  explicit Capture(const std::string& path);
  bool Good() const { return file_ != nullptr && std::ferror(file_.get()) == 0; }
  void Write(int64_t time, const std::vector<uint8_t>& bytes);  // flushed: what was written survives a crash

 private:
  void Block(uint32_t type, const std::vector<uint8_t>& body);
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Closer> file_;
};

}  // namespace sockproof::reference
