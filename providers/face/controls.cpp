#include "face/controls.h"

#include <fmt/format.h>

#include "face/codec.h"
#include "face/host.h"
#include "face/trace.h"

namespace sockproof {
namespace {

// A missing function is a missing capability.
template <typename Function>
void Need(Function* function, std::string_view capability, const char* what) {
  if (function == nullptr) Host::Get().reporter().NotSupported(capability, std::string("the provider cannot ") + what);
}

}  // namespace

Silence::Silence(const Socket& socket, Where where) : handle_(socket.handle()) {
  Host& host = Host::Get();
  host.Need(SP_CAP_SILENCE);
  Need(host.network.silence, "silence", "silence a socket");
  Trace::Get().Note("silence " + HandleText(handle_));
  host.Expect(host.network.silence(host.self(), handle_, 1), "silence", "silence a socket", where);
}

Silence::~Silence() {
  // The socket may be closed already; there is nothing left to lift then.
  if (on_) Host::Get().network.silence(Host::Get().self(), handle_, 0);
}

void Silence::Lift(Where where) {
  on_ = false;
  Host& host = Host::Get();
  Trace::Get().Note("no more silence for " + HandleText(handle_));
  host.Expect(host.network.silence(host.self(), handle_, 0), "silence", "end the silence of a socket", where);
}

Address BlackHole(int32_t family, Where where) {
  Host& host = Host::Get();
  host.Need(SP_CAP_BLACK_HOLE);
  Need(host.network.black_hole, "black_hole", "make a black hole");
  sp_address address{};
  host.Expect(host.network.black_hole(host.self(), family, &address), "black_hole", "make a black hole", where);
  Trace::Get().Note("black hole at " + Address(address).ToString());
  return Address(address);
}

Limited::Limited(int64_t headroom, int32_t limit, Where where) : limit_(limit) { Change(headroom, where); }

Limited::~Limited() { Lift(); }

void Limited::Change(int64_t headroom, Where where) {
  Host& host = Host::Get();
  const char* capability = limit_ == SP_LIMIT_HANDLES ? "handle_limit" : "faulty_limits";
  Need(host.limits.set_limit, capability, "limit what may be opened");
  Trace::Get().Note(fmt::format("limit {}: {} more", limit_, headroom));
  host.Expect(host.limits.set_limit(host.self(), limit_, headroom), capability, "limit what may be opened", where);
}

void Limited::Lift() {
  if (!on_) return;
  on_ = false;
  Trace::Get().Note(fmt::format("limit {}: lifted", limit_));
  static_cast<void>(Host::Get().limits.set_limit(Host::Get().self(), limit_, -1));
}

Knob::Knob(int32_t knob, int64_t value, Where where) : knob_(knob), before_(Value(knob, where)) {
  Host& host = Host::Get();
  Need(host.limits.set_knob, "knobs", "set a knob");
  Trace::Get().Note(fmt::format("knob {} = {}", knob, value));
  host.Expect(host.limits.set_knob(host.self(), knob, value), "knobs", fmt::format("set knob {} to {}", knob, value), where);
}

Knob::~Knob() { static_cast<void>(Host::Get().limits.set_knob(Host::Get().self(), knob_, before_)); }

int64_t Knob::Value(int32_t knob, Where where) {
  Host& host = Host::Get();
  Need(host.limits.get_knob, "knobs", "read a knob");
  int64_t value = 0;
  host.Expect(host.limits.get_knob(host.self(), knob, &value), "knobs", fmt::format("read knob {}", knob), where);
  return value;
}

SessionStart StartSession(uint32_t version) {
  Host& host = Host::Get();
  host.Need(SP_CAP_SESSION);
  Need(host.session.startup, "session", "start its session");
  const uint64_t traced = Trace::Get().Begin(fmt::format("startup version={}.{}", version >> 8, version & 0xff));
  uint32_t given = 0, highest = 0;
  int64_t native = 0;
  const int32_t error = host.session.startup(host.self(), version, &given, &highest, &native);
  const std::string text = fmt::format("{} given={}.{} highest={}.{} native={}", ErrorName(error), given >> 8, given & 0xff,
                                       highest >> 8, highest & 0xff, native);
  Trace::Get().End(traced, text);
  if (error == SP_NOT_SUPPORTED) host.reporter().NotSupported("session", "the provider cannot start its session again");
  return {Outcome::OfError(error, native, fmt::format("startup version={}.{} -> {}", version >> 8, version & 0xff, text)), given,
          highest};
}

Outcome CleanUpSession() {
  Host& host = Host::Get();
  host.Need(SP_CAP_SESSION);
  Need(host.session.cleanup, "session", "end its session");
  const uint64_t traced = Trace::Get().Begin("cleanup");
  int64_t native = 0;
  const int32_t error = host.session.cleanup(host.self(), &native);
  Trace::Get().End(traced, fmt::format("{} native={}", ErrorName(error), native));
  if (error == SP_NOT_SUPPORTED) host.reporter().NotSupported("session", "the provider cannot end its session");
  return Outcome::OfError(error, native, "cleanup");
}

namespace {

// What one of the functions counts that take nothing but a place for a number.
uint64_t Count(int32_t (*function)(void*, uint64_t*), std::string_view capability, const char* what, Where where) {
  Host& host = Host::Get();
  Need(function, capability, what);
  uint64_t count = 0;
  host.Expect(function(host.self(), &count), capability, what, where);
  return count;
}

}  // namespace

uint64_t OpenHandles(Where where) {
  return Count(Host::Get().counters.open_handles, "handle_count", "count its open handles", where);
}

uint64_t TakePipeSignals(Where where) { return Count(Host::Get().signals.take_pipe_signals, "signals", "count SIGPIPE", where); }

uint64_t TakeIoSignals(Where where) {
  return Count(Host::Get().signals.take_io_signals, "signals", "count SIGURG and SIGIO", where);
}

}  // namespace sockproof
