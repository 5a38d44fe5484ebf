#include "face/codec.h"

#include <fmt/format.h>

#include "face/codec_parser.h"
#include "face/codec_printer.h"
#include "face/codec_walk.h"
#include "face/codec_words.h"
#include "face/names.h"

namespace sockproof {
namespace {

using codec::Parser;
using codec::Printer;
using codec::ReadHandle;
using codec::WalkCall;
using codec::WalkResult;

// Splits the first word off.
std::string_view TakeWord(std::string_view* text) {
  const std::size_t space = text->find(' ');
  const std::string_view word = text->substr(0, space);
  *text = space == std::string_view::npos ? std::string_view{} : text->substr(space + 1);
  return word;
}

}  // namespace

std::string HandleText(const sp_handle& handle) {
  switch (handle.kind) {
    case SP_HANDLE_WATCHER:
      return fmt::format("w{}", handle.value);
    case SP_HANDLE_INVALID:
      return "invalid";
    case SP_HANDLE_NOT_SOCKET:
      return "not_socket";
    case SP_HANDLE_PATH_ONLY:
      return "path_only";
    default:
      return fmt::format("s{}", handle.value);
  }
}

std::string CallText(const sp_call& call, const TextOptions& options) {
  sp_call copy = call;  // the walk is written for both directions, so it takes what it could change
  std::string text(OpName(call.op));
  if (call.op != SP_OP_SOCKET && call.op != SP_OP_SOCKETPAIR && call.op != SP_OP_WATCH_CREATE) {
    text += ' ';
    text += HandleText(call.handle);
  }
  Printer printer(&text, options);
  WalkCall(printer, copy);
  return text;
}

std::string ResultText(const sp_call& call, const sp_result& result, const TextOptions& options) {
  sp_call copy = call;
  sp_result result_copy = result;
  std::string text(ErrorName(result.error));
  Printer printer(&text, options);
  WalkResult(printer, copy, result_copy);
  return text;
}

bool ParseCall(std::string_view text, OwnedCall* out, std::string* why) {
  *out = OwnedCall{};
  out->call.size = sizeof out->call;
  out->result.size = sizeof out->result;
  const std::string_view name = TakeWord(&text);
  const auto op = OpByName(name);
  if (!op) {
    *why = fmt::format("no such operation: '{}'", name);
    return false;
  }
  out->call.op = *op;
  if (*op != SP_OP_SOCKET && *op != SP_OP_SOCKETPAIR && *op != SP_OP_WATCH_CREATE) {
    const std::string_view word = TakeWord(&text);
    const auto handle = ReadHandle(word);
    if (!handle) {
      *why = fmt::format("{}: not a handle: '{}'", name, word);
      return false;
    }
    out->call.handle = *handle;
  }
  Parser parser(text, out);
  WalkCall(parser, out->call);
  if (const std::string error = parser.Error(); !error.empty()) {
    *why = fmt::format("{}: {}", name, error);
    return false;
  }
  return true;
}

bool ParseResult(std::string_view text, OwnedCall* out, std::string* why) {
  out->result = sp_result{};
  out->result.size = sizeof out->result;
  const std::string_view name = TakeWord(&text);
  const auto error = ErrorByName(name);
  if (!error) {
    *why = fmt::format("no such outcome: '{}'", name);
    return false;
  }
  out->result.error = *error;
  Parser parser(text, out);
  WalkResult(parser, out->call, out->result);
  if (const std::string wrong = parser.Error(); !wrong.empty()) {
    *why = fmt::format("{}: {}", name, wrong);
    return false;
  }
  return true;
}

}  // namespace sockproof
