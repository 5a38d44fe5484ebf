// Socket options: what each may be set to, what it is at the start, and the values of one socket. What an option does is for the
// kind of socket that reads it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "sockproof/provider.h"

namespace sockproof::reference {

struct Profile;

enum class OptionLevel { kSocket, kIp, kIpv6, kTcp, kNone };
enum class OptionType { kNothing, kInteger, kLinger, kDuration, kBytes, kAddress };

struct OptionRule {
  int32_t option;
  OptionLevel level;
  OptionType type;
  enum Kind { kPlain, kFlag, kReadOnly } kind;  // kFlag: any value but 0 is 1
  int64_t initial;
  int64_t lowest, highest;  // what may be set; otherwise SP_EINVAL
};

// Null for one that nobody here has.
const OptionRule* RuleOf(int32_t option);

struct OptionValue {
  int64_t integer = 0;  // a flag, a number, a time in nanoseconds (0: none)
  bool on = false;      // SO_LINGER
  int32_t seconds = 0;
  std::string bytes;
  sp_address address{};
};

class Options {
 public:
  explicit Options(const Profile& profile) : profile_(&profile) {}

  // SP_ENOPROTOOPT for an option that the profile does not know.
  int32_t Read(int32_t option, OptionValue* value) const;
  int32_t Write(int32_t option, const OptionValue& value);

  int64_t Integer(int32_t option) const;
  bool On(int32_t option) const { return Integer(option) != 0; }
  bool IsSet(int32_t option) const { return values_.count(option) != 0; }
  void Put(int32_t option, int64_t integer) { values_[option].integer = integer; }
  // A time-out as a limit of nanoseconds: -1 is none.
  int64_t Limit(int32_t option) const;
  bool lingers() const;
  int64_t linger_time() const;  // nanoseconds

  // As an accepted socket has them: those in `set` of its listener.
  void InheritFrom(const Options& other, const std::set<int32_t>& set);

 private:
  const Profile* profile_;
  std::map<int32_t, OptionValue> values_;
};

// The arguments of getsockopt and setsockopt, as a system call checks them. `read` and `write` do what is asked for.
class Socket;
int32_t GetOption(Socket* socket, sp_option_args* args, int64_t* native);
int32_t SetOption(Socket* socket, const sp_option_args& args);

}  // namespace sockproof::reference
