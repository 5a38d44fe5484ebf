#include "fuzz/grammar.h"

#include <algorithm>
#include <climits>
#include <set>

#include <fmt/format.h>

#include "fuzz/places.h"
#include "sockproof/provider.h"

namespace sockproof::fuzz {
namespace {

#define SOCKPROOF_DOMAIN(name, ...)               \
  constexpr Value name##Values[] = {__VA_ARGS__}; \
  constexpr Domain name = {name##Values, std::size(name##Values)}

// What is likely to lead on comes more than once.
SOCKPROOF_DOMAIN(kPlace, {"s0", 0}, {"s1", 1}, {"s2", 2}, {"s3", 3}, {"s4", 4}, {"s5", 5}, {"s6", 6}, {"s7", 7});
SOCKPROOF_DOMAIN(kWatcher, {"w0", 0}, {"w1", 1});
SOCKPROOF_DOMAIN(kFlavor, {"inet", kInet}, {"inet6", kInet6}, {"unix", kUnix}, {"seqpacket", kSeqpacket}, {"udp", kUdp},
                 {"udp6", kUdp6}, {"unix_datagram", kUnixDatagram}, {"dual", kDual}, {"conndata", kConnData});
SOCKPROOF_DOMAIN(kLocal, {"stream", SP_STREAM}, {"seqpacket", SP_SEQPACKET}, {"datagram", SP_DATAGRAM});
SOCKPROOF_DOMAIN(kAt, {"any_port", kAnyPort}, {"wildcard", kWildcard}, {"port1", kPort1}, {"port2", kPort2},
                 {"wildcard_port1", kWildcardPort1}, {"s0", kOfPlace, 0}, {"s1", kOfPlace, 1}, {"s2", kOfPlace, 2},
                 {"s3", kOfPlace, 3}, {"foreign", kForeign}, {"other_family", kOtherFamily}, {"unspec", kUnspec}, {"null", kNull},
                 {"bad", kBad}, {"short", kShort}, {"empty", kEmpty}, {"long", kLong});
SOCKPROOF_DOMAIN(kTo, {"s0", kOfPlace, 0}, {"s1", kOfPlace, 1}, {"s2", kOfPlace, 2}, {"s3", kOfPlace, 3}, {"s4", kOfPlace, 4},
                 {"s5", kOfPlace, 5}, {"s6", kOfPlace, 6}, {"s7", kOfPlace, 7}, {"nobody", kNobody}, {"hole", kHole},
                 {"port1", kPort1}, {"port2", kPort2}, {"other_family", kOtherFamily}, {"unspec", kUnspec}, {"null", kNull},
                 {"bad", kBad}, {"short", kShort}, {"empty", kEmpty});
SOCKPROOF_DOMAIN(kBacklog, {"0", 0}, {"1", 1}, {"2", 2}, {"3", 3}, {"5", 5}, {"128", 128}, {"-1", -1}, {"-2147483648", INT32_MIN},
                 {"2147483647", INT32_MAX});
SOCKPROOF_DOMAIN(kPeer, {"none", kNoPeer}, {"whole", kWholePeer}, {"cut4", kCutPeer, 4}, {"cut0", kCutPeer, 0},
                 {"cut12", kCutPeer, 12}, {"negative", kCutPeer, -1}, {"bad", kBadPeer}, {"no_length", kNoLengthPeer});
SOCKPROOF_DOMAIN(kAnswer, {"none", -1}, {"accept", SP_CONDITION_ACCEPT}, {"reject", SP_CONDITION_REJECT},
                 {"defer", SP_CONDITION_DEFER});
SOCKPROOF_DOMAIN(kBit, {"0", 0}, {"1", 1});
SOCKPROOF_DOMAIN(kLength, {"1", 1}, {"2", 2}, {"7", 7}, {"8", 8}, {"100", 100}, {"513", 513}, {"1000", 1000}, {"1460", 1460},
                 {"4096", 4096}, {"10000", 10000}, {"65536", 65536}, {"0", 0});
SOCKPROOF_DOMAIN(kPieces, {"1", 1}, {"2", 2}, {"3", 3}, {"hollow", 4}, {"many", 9});
SOCKPROOF_DOMAIN(kTransfer, {"plain", SP_FORM_DEFAULT}, {"file", SP_FORM_FILE}, {"address", SP_FORM_ADDRESS},
                 {"message", SP_FORM_MESSAGE}, {"vector", SP_FORM_VECTOR});
SOCKPROOF_DOMAIN(kSendFlags, {"none", 0}, {"dontwait", SP_MSG_DONTWAIT}, {"more", SP_MSG_MORE}, {"oob", SP_MSG_OOB},
                 {"eor", SP_MSG_EOR}, {"unknown", SP_MSG_UNKNOWN_BIT});
SOCKPROOF_DOMAIN(kRecvFlags, {"none", 0}, {"peek", SP_MSG_PEEK}, {"dontwait", SP_MSG_DONTWAIT}, {"waitall", SP_MSG_WAITALL},
                 {"peek|waitall", SP_MSG_PEEK | SP_MSG_WAITALL}, {"oob", SP_MSG_OOB}, {"trunc", SP_MSG_TRUNC},
                 {"unknown", SP_MSG_UNKNOWN_BIT});
SOCKPROOF_DOMAIN(kWrongBuffer, {"no", SP_POINTER_VALID}, {"null", SP_POINTER_NULL}, {"bad", SP_POINTER_INVALID});
SOCKPROOF_DOMAIN(kHow, {"write", SP_SHUT_WR}, {"read", SP_SHUT_RD}, {"both", SP_SHUT_RDWR}, {"7", 7}, {"-1", -1});
SOCKPROOF_DOMAIN(kSetting, {"linger_off", SP_SO_LINGER, 0}, {"linger_0", SP_SO_LINGER, 1}, {"linger_1", SP_SO_LINGER, 2},
                 {"SO_RCVBUF_small", SP_SO_RCVBUF, 2304}, {"SO_SNDBUF_small", SP_SO_SNDBUF, 4608},
                 {"TCP_NODELAY", SP_TCP_NODELAY, 1}, {"SO_REUSEADDR", SP_SO_REUSEADDR, 1}, {"SO_OOBINLINE", SP_SO_OOBINLINE, 1},
                 {"SO_RCVLOWAT", SP_SO_RCVLOWAT, 100}, {"SO_RCVTIMEO", SP_SO_RCVTIMEO, 50'000'000},
                 {"SO_SNDTIMEO", SP_SO_SNDTIMEO, 50'000'000}, {"SO_KEEPALIVE", SP_SO_KEEPALIVE, 1},
                 {"SO_BROADCAST", SP_SO_BROADCAST, 1}, {"TCP_CORK", SP_TCP_CORK, 1}, {"TCP_CORK_off", SP_TCP_CORK, 0},
                 {"SO_CONDITIONAL_ACCEPT", SP_SO_CONDITIONAL_ACCEPT, 1}, {"SO_EXCLUSIVEADDRUSE", SP_SO_EXCLUSIVEADDRUSE, 1},
                 {"SO_TYPE", SP_SO_TYPE, 1}, {"SO_ERROR", SP_SO_ERROR, 0}, {"UNKNOWN_OPTION", SP_UNKNOWN_OPTION, 1},
                 {"UNKNOWN_LEVEL", SP_UNKNOWN_LEVEL, 1});
SOCKPROOF_DOMAIN(kOption, {"SO_ERROR", SP_SO_ERROR}, {"SO_ACCEPTCONN", SP_SO_ACCEPTCONN}, {"SO_TYPE", SP_SO_TYPE},
                 {"SO_DOMAIN", SP_SO_DOMAIN}, {"SO_LINGER", SP_SO_LINGER}, {"SO_RCVTIMEO", SP_SO_RCVTIMEO},
                 {"SO_SNDTIMEO", SP_SO_SNDTIMEO}, {"SO_REUSEADDR", SP_SO_REUSEADDR}, {"TCP_NODELAY", SP_TCP_NODELAY},
                 {"SO_KEEPALIVE", SP_SO_KEEPALIVE}, {"SO_OOBINLINE", SP_SO_OOBINLINE}, {"SO_RCVLOWAT", SP_SO_RCVLOWAT},
                 {"SO_RCVBUF", SP_SO_RCVBUF}, {"SO_CONNECT_TIME", SP_SO_CONNECT_TIME}, {"TCP_STATE", SP_TCP_STATE},
                 {"UNKNOWN_OPTION", SP_UNKNOWN_OPTION}, {"UNKNOWN_LEVEL", SP_UNKNOWN_LEVEL});
SOCKPROOF_DOMAIN(kRequest, {"readable", SP_IOCTL_READABLE, 0}, {"unsent", SP_IOCTL_UNSENT, 0}, {"at_mark", SP_IOCTL_AT_MARK, 0},
                 {"nonblocking", SP_IOCTL_NONBLOCKING, 1}, {"unknown", SP_IOCTL_UNKNOWN, 0});
SOCKPROOF_DOMAIN(kModes, {"get", 0}, {"nonblocking", SP_NONBLOCKING}, {"close_on_exec", SP_CLOSE_ON_EXEC});
SOCKPROOF_DOMAIN(kMechanism, {"poll", SP_POLL}, {"select", SP_SELECT}, {"epoll", SP_EPOLL}, {"event_object", SP_EVENT_OBJECT},
                 {"wsapoll", SP_WSAPOLL}, {"ppoll", SP_PPOLL}, {"pselect", SP_PSELECT});
SOCKPROOF_DOMAIN(kAsked, {"in", SP_IN}, {"out", SP_OUT}, {"in|out", SP_IN | SP_OUT}, {"in|out|rdhup", SP_IN | SP_OUT | SP_RDHUP},
                 {"pri", SP_PRI}, {"none", 0},
                 {"fd_all", SP_FD_READ | SP_FD_WRITE | SP_FD_OOB | SP_FD_ACCEPT | SP_FD_CONNECT | SP_FD_CLOSE},
                 {"fd_accept", SP_FD_ACCEPT}, {"fd_connect", SP_FD_CONNECT}, {"fd_data", SP_FD_READ | SP_FD_WRITE | SP_FD_CLOSE});
SOCKPROOF_DOMAIN(kWatchFlags, {"none", 0}, {"edge", SP_EDGE}, {"oneshot", SP_ONESHOT});
SOCKPROOF_DOMAIN(kRoom, {"16", 16}, {"1", 1}, {"0", 0}, {"-1", -1});
SOCKPROOF_DOMAIN(kSpan, {"1us", 1'000}, {"1ms", 1'000'000}, {"50ms", 50'000'000}, {"250ms", 250'000'000}, {"1s", 1'000'000'000},
                 {"5s", 5'000'000'000}, {"70s", 70'000'000'000}, {"300s", 300'000'000'000});
// Parts of a million in the first number; delay and jitter of 10 ms each in the bits of the second.
SOCKPROOF_DOMAIN(kImpairment, {"none", 0, 0}, {"drop_a_tenth", 100'000, 0}, {"drop_half", 500'000, 0},
                 {"double_some", 300'000, 4}, {"delay", 0, 1}, {"jitter", 0, 3}, {"drop_and_jitter", 100'000, 3});

// By enum Kind.
const std::vector<Form>& Forms() {
  static const std::vector<Form> forms = {
      {"socket", true, false, {{"", &kPlace}, {"flavor", &kFlavor}}},
      {"pair", true, false, {{"", &kPlace}, {"second", &kPlace}, {"type", &kLocal}}},
      {"bind", false, true, {{"", &kPlace}, {"at", &kAt}}},
      {"listen", false, true, {{"", &kPlace}, {"backlog", &kBacklog}}},
      {"connect", false, true, {{"", &kPlace}, {"to", &kTo}}},
      {"accept", true, true, {{"", &kPlace}, {"", &kPlace}, {"peer", &kPeer}, {"form", &kBit}, {"condition", &kAnswer}}},
      {"send",
       false,
       true,
       {{"", &kPlace},
        {"length", &kLength},
        {"flags", &kSendFlags},
        {"form", &kTransfer},
        {"pieces", &kPieces},
        {"to", &kTo},
        {"wrong", &kWrongBuffer}}},
      {"recv",
       false,
       true,
       {{"", &kPlace},
        {"room", &kLength},
        {"flags", &kRecvFlags},
        {"form", &kTransfer},
        {"pieces", &kPieces},
        {"from", &kPeer},
        {"wrong", &kWrongBuffer}}},
      {"shutdown", false, true, {{"", &kPlace}, {"how", &kHow}}},
      {"close", false, true, {{"", &kPlace}}},
      {"set", false, true, {{"", &kPlace}, {"option", &kSetting}}},
      {"get", false, true, {{"", &kPlace}, {"option", &kOption}}},
      {"ioctl", false, true, {{"", &kPlace}, {"request", &kRequest}}},
      {"local_name", false, true, {{"", &kPlace}, {"room", &kPeer}}},
      {"peer_name", false, true, {{"", &kPlace}, {"room", &kPeer}}},
      {"mode", false, true, {{"", &kPlace}, {"set", &kModes}}},
      {"duplicate", true, true, {{"", &kPlace}, {"", &kPlace}}},
      {"ready", false, true, {{"", &kPlace}, {"events", &kAsked}}},
      {"watch_create", true, false, {{"", &kWatcher}, {"mechanism", &kMechanism}}},
      {"watch_add", false, true, {{"", &kWatcher}, {"socket", &kPlace}, {"events", &kAsked}, {"flags", &kWatchFlags}}},
      {"watch_modify", false, true, {{"", &kWatcher}, {"socket", &kPlace}, {"events", &kAsked}, {"flags", &kWatchFlags}}},
      {"watch_remove", false, true, {{"", &kWatcher}, {"socket", &kPlace}}},
      {"watch_wait", false, true, {{"", &kWatcher}, {"room", &kRoom}, {"wrong", &kWrongBuffer}}},
      {"watch_close", false, true, {{"", &kWatcher}}},
      {"clock", false, false, {{"by", &kSpan}}},
      {"impair", false, false, {{"by", &kImpairment}}},
      {"silence", false, true, {{"", &kPlace}, {"on", &kBit}}},
  };
  return forms;
}

std::string_view TakeWord(std::string_view* text) {
  const std::size_t from = std::min(text->find_first_not_of(' '), text->size());
  text->remove_prefix(from);
  const std::string_view word = text->substr(0, text->find(' '));
  text->remove_prefix(word.size());
  return word;
}

bool Choose(const Domain& domain, std::string_view text, uint8_t* choice) {
  for (std::size_t i = 0; i < domain.count; ++i) {
    if (text != domain.values[i].text) continue;
    *choice = static_cast<uint8_t>(i);
    return true;
  }
  return false;
}

// What is wrong, or nothing.
std::string ParseLine(std::string_view line, Op* op) {
  *op = Op{};
  std::string_view word = TakeWord(&line);
  std::string_view made;
  if (line.substr(0, 3) == " = ") {
    made = word;
    line.remove_prefix(3);
    word = TakeWord(&line);
  }
  const std::vector<Form>& forms = Forms();
  const auto form = std::find_if(forms.begin(), forms.end(), [&](const Form& each) { return word == each.name; });
  if (form == forms.end()) return fmt::format("there is no operation '{}'", word);
  op->kind = static_cast<Kind>(form - forms.begin());
  if (form->makes != !made.empty()) return fmt::format("'{}' {} a place to fill", word, form->makes ? "wants" : "has no use for");
  std::size_t next = 0;
  if (form->makes && !Choose(*form->fields[next].domain, made, &op->choice[next]))
    return fmt::format("no place is called '{}'", made);
  next += form->makes ? 1 : 0;
  if (form->on_a_place) {
    const std::string_view place = TakeWord(&line);
    if (!Choose(*form->fields[next].domain, place, &op->choice[next])) return fmt::format("no place is called '{}'", place);
    ++next;
  }
  for (word = TakeWord(&line); !word.empty(); word = TakeWord(&line)) {
    const std::size_t equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view{} : word.substr(equals + 1);
    bool taken = false;
    for (std::size_t i = next; i < form->fields.size() && !taken; ++i) {
      if (key != form->fields[i].key) continue;
      if (!Choose(*form->fields[i].domain, value, &op->choice[i])) return fmt::format("'{}' may not be '{}'", key, value);
      taken = true;
    }
    if (!taken) return fmt::format("'{}' knows no '{}'", form->name, key);
  }
  return {};
}

}  // namespace

const Form& FormOf(Kind kind) { return Forms()[static_cast<std::size_t>(kind)]; }

const Value& Op::Of(std::size_t field) const {
  const Domain& domain = *FormOf(kind).fields[field].domain;
  return domain.values[choice[field] % domain.count];
}

Script Decode(const uint8_t* data, std::size_t size) {
  Script script;
  script.reserve(std::min(size / kOpSize, kMostOps));
  for (; size >= kOpSize && script.size() < kMostOps; data += kOpSize, size -= kOpSize) {
    Op op;
    op.kind = static_cast<Kind>(data[0] % static_cast<uint8_t>(Kind::kCount));
    const std::vector<Field>& fields = FormOf(op.kind).fields;
    for (std::size_t i = 0; i < fields.size(); ++i) op.choice[i] = static_cast<uint8_t>(data[1 + i] % fields[i].domain->count);
    script.push_back(op);
  }
  return script;
}

std::vector<uint8_t> Encode(const Script& script) {
  std::vector<uint8_t> bytes;
  bytes.reserve(script.size() * kOpSize);
  for (const Op& op : script) {
    bytes.push_back(static_cast<uint8_t>(op.kind));
    bytes.insert(bytes.end(), op.choice.begin(), op.choice.end());
  }
  return bytes;
}

std::string Print(const Op& op) {
  const Form& form = FormOf(op.kind);
  std::size_t next = 0;
  std::string text;
  if (form.makes) text = fmt::format("{} = ", op.Of(next++).text);
  text += form.name;
  if (form.on_a_place) text += fmt::format(" {}", op.Of(next++).text);
  for (; next < form.fields.size(); ++next) {
    // What has its first value is left out, but where it is all that there is to say.
    if (op.choice[next] == 0 && form.fields.size() > 3) continue;
    text += fmt::format(" {}={}", form.fields[next].key, op.Of(next).text);
  }
  return text;
}

std::string Print(const Script& script) {
  std::string text;
  for (const Op& op : script) text += Print(op) + '\n';
  return text;
}

bool Parse(std::string_view text, Script* out, std::string* why) {
  out->clear();
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (const std::size_t remark = line.find('#'); remark != std::string_view::npos) line = line.substr(0, remark);
    if (line.find_first_not_of(' ') == std::string_view::npos) continue;
    Op op;
    if (const std::string wrong = ParseLine(line, &op); !wrong.empty()) {
      *why = fmt::format("line {}: {}", number, wrong);
      return false;
    }
    if (out->size() == kMostOps) {
      *why = fmt::format("line {}: more than {} operations", number, kMostOps);
      return false;
    }
    out->push_back(op);
  }
  return true;
}

std::string Dictionary() {
  std::set<std::string> words;
  for (const Form& form : Forms()) {
    words.insert(form.name);
    for (const Field& field : form.fields) {
      for (std::size_t i = 0; i < field.domain->count; ++i) {
        const char* text = field.domain->values[i].text;
        words.insert(*field.key == '\0' ? std::string(text) : fmt::format("{}={}", field.key, text));
      }
    }
  }
  std::string text;
  for (const std::string& word : words) text += fmt::format("\"{}\"\n", word);
  return text;
}

}  // namespace sockproof::fuzz
