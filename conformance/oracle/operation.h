// A trace as the oracle reads it: one Operation a call, with where its begin and its end stand among all the others.
//
// The text form is that of face/codec.h. A trace abbreviates payload (a "+" stands for what is left out), which cannot be
// turned back into a call; so the words of a line are looked at as they are, and only those that a rule asks for.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "face/address.h"
#include "sockproof/provider.h"

namespace sockproof::oracle {

// The number of a record in the trace: what comes earlier has the smaller one.
using Moment = uint32_t;
constexpr Moment kNever = UINT32_MAX;

// KEY=VALUE words, in their order. The text belongs to the trace.
class Words {
 public:
  void Read(std::string_view text);
  std::optional<std::string_view> Find(std::string_view key) const;
  std::string_view Get(std::string_view key) const { return Find(key).value_or(std::string_view{}); }
  bool Has(std::string_view key) const { return Find(key).has_value(); }
  int64_t Number(std::string_view key, int64_t otherwise) const;
  const std::vector<std::pair<std::string_view, std::string_view>>& all() const { return words_; }

 private:
  std::vector<std::pair<std::string_view, std::string_view>> words_;
};

// What of a call names a socket or a watcher: the process, the kind and the value.
struct Handle {
  int32_t kind = SP_HANDLE_SOCKET;
  int64_t value = 0;
  bool valid = false;  // the word could be read
};
Handle ReadHandle(std::string_view word);

// An address argument: absent ones and wrong ones on purpose have plain == false.
struct AddressArgument {
  Address address;
  bool plain = false;
};

struct Operation {
  uint64_t number = 0;
  int process = 0;
  int thread = 0;
  Moment begin = 0;
  Moment end = kNever;  // never: the trace ends before the call does
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
  bool overlapped = false;  // begun and waited for (AcceptEx and its like)
  uint32_t op = SP_OP_COUNT;
  std::string_view name;  // of the operation; also "fork" and "exec", which are none of the interface
  Handle handle;
  Words arguments;
  // How it ended.
  bool done() const { return end != kNever; }
  int32_t error = SP_OK;
  int64_t value = 0;
  Words results;

  // The model's own: which socket it began on (handles are given anew), and whether it counts as changing what that is.
  int32_t subject = -1;
  bool changes = false;
  bool was_error = false;  // the same of an error
  bool was_ready = false;  // it had been reported ready, and nobody had taken anything since
  bool alone = true;       // no other call that takes something from the socket was under way when it began

  bool ok() const { return done() && error == SP_OK; }
  AddressArgument In(std::string_view key) const;
  std::optional<Address> Out(std::string_view key) const;  // as far as it was decoded
  int64_t elapsed_ns() const { return end_ns - begin_ns; }
  std::string Text() const;  // for people: the call and how it ended
};

// A remark of the scenario: what was done beside the calls.
struct Remark {
  Moment at = 0;
  int process = 0;
  std::string_view text;
};

// Which operation a record of the trace begins or ends.
struct Record {
  enum Kind { kBegin, kEnd, kRemark, kOrphan, kNothing } kind;  // orphan: an end whose begin is not there
  std::size_t index;                                            // into operations or remarks
};

struct Reading {
  std::vector<std::string> lines;  // what all the views look at
  std::deque<Operation> operations;
  std::vector<Remark> remarks;
  std::vector<Record> records;  // by line
  std::size_t unreadable = 0;   // lines that are not of the form
};
// Takes the lines over.
void ReadTrace(std::vector<std::string> lines, Reading* out);

}  // namespace sockproof::oracle
