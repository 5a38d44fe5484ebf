// Faults of an accept that waits: time-outs, signals, wake-ups, blocking modes.
#include "faulty/moves.h"
#include "faulty/readiness.h"

namespace sockproof::faulty {
namespace {

constexpr int kWaiters = 1;  // slots of a listener's memory
constexpr int kSpurious = 2;
constexpr int kMark = 3;

bool Blocking(Wrapped& provider, sp_handle handle) { return !provider.IsNonblocking(handle); }

// The listener's SO_RCVTIMEO if this accept is one that it can end; 0 if not.
int64_t Timeout(Wrapped& provider, const sp_call* call) {
  if (!IsAccept(provider, call) || !Blocking(provider, call->handle)) return 0;
  return provider.GetDuration(call->handle, SP_SO_RCVTIMEO).value_or(0);
}

// accept with the time-out changed while it lasts.
void AcceptWithin(Wrapped& provider, sp_call* call, sp_result* result, int64_t timeout) {
  const int64_t own = provider.GetDuration(call->handle, SP_SO_RCVTIMEO).value_or(0);
  const sp_handle listener = call->handle;
  provider.SetDuration(listener, SP_SO_RCVTIMEO, timeout);
  provider.Pass(call, result);
  provider.SetDuration(listener, SP_SO_RCVTIMEO, own);
}

constexpr Fault kFaults[] = {
    {"accept-timeout-ignored", "SO_RCVTIMEO does not end accept", "accept.timeout_ends_accept accept.timeout_duration", "linux",
     "lwIP before CHANGELOG 2007-05-23 (Implement SO_RCVTIMEO for accept); robovm issue 78: accept() of Darwin blocks for ever",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call);
       do {
         provider.Pass(call, result);
       } while (timeout > 0 && result->error == SP_EAGAIN);
     }},
    {"accept-timeout-early", "SO_RCVTIMEO ends accept after half its time", "accept.timeout_duration", "linux",
     "no report found for accept: lwIP CHANGELOG 2010-01-23, bug #28716, select() returns after waiting for less than 1 ms",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call);
       if (timeout <= 0) return provider.Pass(call, result);
       AcceptWithin(provider, call, result, timeout / 2);
     }},
    {"accept-timeout-late", "SO_RCVTIMEO ends accept after twice its time", "accept.timeout_duration", "linux",
     "no report found: socket(7), SO_RCVTIMEO",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call);
       provider.Pass(call, result);
       if (timeout > 0 && result->error == SP_EAGAIN) provider.Pause(timeout);
     }},
    {"accept-timeout-wrong-error", "an accept that SO_RCVTIMEO ends fails with ETIMEDOUT", "accept.timeout_ends_accept", "linux",
     "no report found for accept: it is the error of Winsock's time-outs (WSAETIMEDOUT)",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call);
       provider.Pass(call, result);
       if (timeout > 0) TellAs(result, SP_EAGAIN, SP_ETIMEDOUT);
     }},
    {"accept-timeout-once", "SO_RCVTIMEO ends one accept; the next returns at once", "accept.timeout_again", "linux",
     "no report found: a time-out counted from when it was set, not from the call",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call);
       if (timeout > 0 && provider.Get(call->handle.value, kMark) != 0 && !Waits(provider, call->handle)) {
         return Fail(result, SP_EAGAIN);
       }
       provider.Pass(call, result);
       if (timeout > 0 && result->error == SP_EAGAIN) provider.Put(call->handle.value, 1, kMark);
     }},
    {"accept-timeout-delays-arrival", "with SO_RCVTIMEO set, accept returns a connection only when the time is over",
     "accept.timeout_arrival_in_time accept.timeout_connection_waiting", "posix linux winsock",
     "no report found: socket(7), SO_RCVTIMEO is the time until an error is reported",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call), begin = provider.Now();
       provider.Pass(call, result);
       const int64_t left = timeout - (provider.Now() - begin);
       if (timeout > 0 && result->error == SP_OK && left > 0) provider.Pause(left);
     }},
    {"accept-timeout-zero-is-none", "SO_RCVTIMEO set to zero makes accept return at once", "accept.timeout_zero_waits",
     "linux winsock",
     "micro-ROS/micro_ros_renesas2estudio_component pull request 51: a time-out of 0 was not taken for 'wait for ever'",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsAccept(provider, call) && provider.Get(call->handle.value, kMark) != 0 && !Waits(provider, call->handle)) {
         return Fail(result, SP_EAGAIN);
       }
       provider.Pass(call, result);
       if (IsOption(call, SP_OP_SET_OPTION, SP_SO_RCVTIMEO) && result->error == SP_OK) {
         provider.Put(call->handle.value, call->u.set_option.duration_ns == 0 ? 1 : 0, kMark);
       }
     }},
    {"accept-send-timeout-ends-it", "SO_SNDTIMEO ends accept", "accept.send_timeout_does_not_matter", "posix linux winsock",
     "no report found: socket(7), SO_SNDTIMEO is a time-out of sending",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call) && Blocking(provider, call->handle) && Timeout(provider, call) == 0;
       const int64_t other = ours ? provider.GetDuration(call->handle, SP_SO_SNDTIMEO).value_or(0) : 0;
       if (other <= 0) return provider.Pass(call, result);
       if ((provider.Ready(call->handle, SP_IN, other) & SP_IN) == 0) return Fail(result, SP_EAGAIN);
       provider.Pass(call, result);
     }},
    {"accept-swallows-signals", "a signal does not end an accept that waits", "accept.interrupted accept.interrupted_again",
     "posix linux", "Perl issue 675 quotes SunOS bug 4146098: accept() can restart instead of returning EINTR",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       do {
         provider.Pass(call, result);
       } while (IsSocketCall(call, SP_OP_ACCEPT) && result->error == SP_EINTR);
     }},
    {"accept-swallows-the-second-signal", "a signal ends an accept on a listener once, and never again",
     "accept.interrupted_again", "posix linux",
     "Perl issue 675 quotes SunOS bug 4146098: accept() can restart instead of returning EINTR",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       for (;;) {
         provider.Pass(call, result);
         if (!IsSocketCall(call, SP_OP_ACCEPT) || result->error != SP_EINTR) return;
         if (provider.Add(call->handle.value, 1, kMark) == 1) return;
       }
     }},
    {"accept-never-restarted", "a signal ends accept with EINTR although its handler asks for a restart", "accept.restarted",
     "linux", "shadow issue 1974 and mystikos issue 540: SA_RESTART is ignored",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call) && Blocking(provider, call->handle) && Timeout(provider, call) == 0;
       // poll is never restarted, so that it tells of every signal.
       if (ours && provider.Ready(call->handle, SP_IN, -1) == 0) return Fail(result, SP_EINTR);
       provider.Pass(call, result);
     }},
    {"accept-restarted-despite-timeout", "a signal does not end an accept that has a time-out", "accept.timeout_not_restarted",
     "linux", "minoca/os issue 72: SA_RESTART is not to hold for accept where a receive time-out is set",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call);
       do {
         provider.Pass(call, result);
       } while (timeout > 0 && result->error == SP_EINTR);
     }},
    {"accept-interrupted-loses-one", "the first connection after an interrupted accept is lost",
     "accept.interrupted_loses_nothing accept.restarted", "posix linux",
     "no report found for accept: FlareCoding/StelluxOS pull request 168 has its like, a connect that cannot go on after a "
     "signal",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (ours && result->error == SP_EINTR) provider.Put(call->handle.value, 1, kMark);
       if (!ours || result->error != SP_OK || provider.Get(call->handle.value, kMark) == 0) return;
       provider.Put(call->handle.value, 0, kMark);
       provider.Close(result->handle);
       provider.Pass(call, result);
     }},
    {"accept-nonblocking-waits", "accept on a non-blocking listener waits", "accept.nonblocking_empty accept.nonblocking_drained",
     "posix linux winsock", "switchbrew/libnx issue 100: non-blocking sockets did not work",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsAccept(provider, call) && !Blocking(provider, call->handle)) provider.Ready(call->handle, SP_IN, -1);
       provider.Pass(call, result);
     }},
    {"accept-nonblocking-set-later-ignored", "a listener that was blocking when it began to listen stays so for accept",
     "accept.nonblocking_set_meanwhile_new_call accept.nonblocking_empty", "posix linux winsock",
     "AmigaLabs/clib4 pull request 455: the flag of the descriptor and the state of the socket could disagree",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_LISTEN)) provider.Put(call->handle.value, Blocking(provider, call->handle) ? 1 : 0, kMark);
       if (IsAccept(provider, call) && provider.Get(call->handle.value, kMark) != 0 && !Blocking(provider, call->handle)) {
         provider.Ready(call->handle, SP_IN, -1);
       }
       provider.Pass(call, result);
     }},
    {"accept-nonblocking-needs-two-calls", "accept on a non-blocking listener says EAGAIN once before it returns what waits",
     "accept.nonblocking_takes_waiting accept.nonblocking_drained", "posix linux winsock",
     "obsidiansystems/gargoyle pull request 21: accept answered EAGAIN where there was something else to say",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call) && !Blocking(provider, call->handle) && Waits(provider, call->handle);
       if (ours && provider.Add(call->handle.value, 1, kMark) % 2 == 1) return Fail(result, SP_EAGAIN);
       provider.Pass(call, result);
     }},
    {"accept-blocking-does-not-wait", "accept on a blocking listener says EAGAIN if nothing waits",
     "accept.blocks_until_connection accept.one_connection_wakes_one", "posix linux winsock",
     "Lind-Project/safeposix-rust pull request 229: blocking accepts were not blocking",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call) && Blocking(provider, call->handle);
       if (ours && provider.Ready(call->handle, SP_IN, 0) == 0) return Fail(result, SP_EAGAIN);
       provider.Pass(call, result);
     }},
    {"accept-wakes-for-the-second", "an accept that waits wakes up for the second connection only, and returns the first",
     "accept.blocks_until_connection accept.one_connection_wakes_one", "posix linux winsock",
     "ARMmbed/mbed-os issue 6133: the stack had accepted a connection, and the server was not told until later",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool waits = IsAccept(provider, call) && Blocking(provider, call->handle) && !Waits(provider, call->handle);
       provider.Pass(call, result);
       if (waits && result->error == SP_OK) provider.Ready(call->handle, SP_IN, -1);
     }},
    {"accept-wakes-all", "one connection ends the wait of every thread in accept; all but one come back with EAGAIN",
     "accept.one_connection_wakes_one accept.threads_none_lost", "posix linux winsock",
     "php-src issue 13220: one connection wakes two processes that wait for one listener, and only one of them gets it",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!IsAccept(provider, call) || !Blocking(provider, call->handle) || Timeout(provider, call) != 0) {
         return provider.Pass(call, result);
       }
       const int64_t key = call->handle.value;
       provider.Add(key, 1, kWaiters);
       for (;;) {
         const uint32_t ready = provider.Ready(call->handle, SP_IN, 2'000'000);
         const std::unique_lock<std::mutex> lock(provider.mutex());
         if (provider.Get(key, kSpurious) > 0) {
           provider.Add(key, -1, kSpurious);
           return Fail(result, SP_EAGAIN);
         }
         if (ready == 0 || !Waits(provider, call->handle)) continue;
         const int64_t others = provider.Add(key, -1, kWaiters);
         provider.Pass(call, result);  // something waits, and only who holds the lock takes it
         provider.Put(key, others, kSpurious);
         provider.Put(key, 0, kWaiters);
         return;
       }
     }},
};

}  // namespace

const FaultList kAcceptTimeFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
