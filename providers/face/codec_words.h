// Words that the printer and the parser of the text form share.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sockproof/provider.h"

namespace sockproof::codec {

using NameOf = std::string (*)(uint32_t);
using ValueOf = std::optional<uint32_t> (*)(std::string_view);

template <typename Number>
bool ReadNumber(std::string_view text, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc{} && !text.empty() && end == text.data() + text.size();
}

inline std::optional<sp_handle> ReadHandle(std::string_view text) {
  sp_handle handle{};
  if (text == "invalid") {
    handle.kind = SP_HANDLE_INVALID;
  } else if (text == "not_socket") {
    handle.kind = SP_HANDLE_NOT_SOCKET;
  } else if (text == "path_only") {
    handle.kind = SP_HANDLE_PATH_ONLY;
  } else if (!text.empty() && (text[0] == 's' || text[0] == 'w') && ReadNumber(text.substr(1), &handle.value)) {
    handle.kind = text[0] == 's' ? SP_HANDLE_SOCKET : SP_HANDLE_WATCHER;
  } else {
    return std::nullopt;
  }
  return handle;
}

inline std::string_view PointerName(int32_t kind) {
  switch (kind) {
    case SP_POINTER_NULL:
      return "null";
    case SP_POINTER_INVALID:
      return "bad";
    default:
      return "valid";
  }
}

inline int32_t PointerKind(std::string_view text) {
  if (text == "null") return SP_POINTER_NULL;
  if (text == "bad") return SP_POINTER_INVALID;
  return SP_POINTER_VALID;
}

}  // namespace sockproof::codec
