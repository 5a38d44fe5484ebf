// Providers that take their process with them, or nearly: what the runner has to survive and to tell.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

// `harm` comes in place of the first call of this kind that a sound provider would carry out.
bool Strikes(Wrapped& provider, const sp_call* call, uint32_t op) {
  if (!IsSocketCall(call, op)) return false;
  const Known known = provider.Of(call->handle);
  return op == SP_OP_ACCEPT ? known.listening : known.type == SP_STREAM;
}

// Not seen through by the compiler.
volatile int* volatile nowhere = nullptr;

[[noreturn]] void Spin() {
  for (;;) {
    volatile int keep = 0;
    static_cast<void>(keep);
  }
}

// Each call needs more stack than the one before.
int Deeper(int depth) {  // NOLINT(misc-no-recursion): that is the fault
  volatile char room[4096];
  room[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : Deeper(depth + 1) + room[0];
}

constexpr const char* kServes = "accept.returns_connection accept.first_in_first_out accept.listener_goes_on";
constexpr const char* kListens = "listen.bound listen.bound_serves";
constexpr const char* kConnects = "connect.completes connect.peer_name";
constexpr const char* kEverywhere = "posix linux winsock";

constexpr Fault kFaults[] = {
    {"crash-accept-null", "accept reads through a null pointer", kServes, kEverywhere,
     "picotcp issue 16: a null pointer is used when a connection is reset before it is accepted",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_ACCEPT)) *nowhere = 1;
       provider.Pass(call, result);
     }},
    {"crash-accept-after-reset", "accept crashes on a connection that was reset while it waited",
     "accept.reset_before_accept accept.reset_spares_others", "posix linux",
     "asterinas issue 3830: a reachable unwrap panic in TcpListener::accept after the peer's reset",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = Strikes(provider, call, SP_OP_ACCEPT) && provider.IsTcp(call->handle);
       provider.Pass(call, result);
       if (ours && result->error == SP_OK && !provider.PeerName(result->handle)) std::abort();
     }},
    {"crash-accept-without-address", "accept crashes if no address is asked for", "accept.null_address", kEverywhere,
     "sslab-gatech/opensgx issue 13: sgx_accept crashes if passed NULL pointer",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_ACCEPT) && call->u.accept.peer.kind == SP_POINTER_NULL) *nowhere = 1;
       provider.Pass(call, result);
     }},
    {"crash-connect-refused", "connect crashes when it is refused", "refused.blocking rejection.nobody_listens", kEverywhere,
     "zephyr issue 63943: use after free when a RST answers the SYN",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = Strikes(provider, call, SP_OP_CONNECT);
       provider.Pass(call, result);
       if (ours && result->error == SP_ECONNREFUSED) *nowhere = 1;
     }},
    {"crash-listen-abort", "listen aborts the process", kListens, kEverywhere,
     "zephyr pull request 19854: crashes when an application calls listen() and no accept()",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_LISTEN)) std::abort();
       provider.Pass(call, result);
     }},
    {"crash-connect-panic", "connect panics: words on the error output, then an abort", kConnects, kEverywhere,
     "F-Stack issue 900: panic() in in_pcblookup() below connect()",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_CONNECT)) {
         std::fputs("panic: in_pcblookup\n", stderr);
         std::abort();
       }
       provider.Pass(call, result);
     }},
    {"crash-accept-exit", "accept ends the process as if all were well", kServes, kEverywhere,
     "envoyproxy/envoy issue 980 ends the process on purpose when accept fails; no report found of a stack that calls exit(0)",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_ACCEPT)) std::exit(0);  // NOLINT(concurrency-mt-unsafe)
       provider.Pass(call, result);
     }},
    {"crash-connect-quiet-exit", "connect ends the process without a word, and with success", kConnects, kEverywhere,
     "no report found: what a stack does that takes itself for the whole program",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_CONNECT)) _exit(0);
       provider.Pass(call, result);
     }},
    {"crash-listen-hangs", "listen never returns", kListens, kEverywhere,
     "gVisor issue 236: the listen loop gets stuck and the listener is completely blocked",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_LISTEN)) WaitForEver(provider);
       provider.Pass(call, result);
     }},
    {"crash-accept-spins", "accept never returns, and computes for ever", kServes, kEverywhere,
     "lwIP CHANGELOG 2014-01-10, bug #39898: an infinite loop over a queue; UlricE/pen issue 43",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_ACCEPT)) Spin();
       provider.Pass(call, result);
     }},
    {"crash-connect-hangs", "connect never returns, of a non-blocking socket neither", kConnects, kEverywhere,
     "espressif/ESP8266_RTOS_SDK issue 703: lwip_connect sometimes hangs without time-out",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_CONNECT)) WaitForEver(provider);
       provider.Pass(call, result);
     }},
    {"crash-accept-floods-output", "accept writes to the standard output without end", kServes, kEverywhere,
     "krylosov-aa/pg-status issue 32: a tight loop of warnings when accept fails",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       while (Strikes(provider, call, SP_OP_ACCEPT)) {
         static constexpr char kLine[] = "accept: still no connection, trying again\n";
         if (write(1, kLine, sizeof kLine - 1) < 0) break;
       }
       provider.Pass(call, result);
     }},
    {"crash-listen-balloons", "listen takes memory without end", kListens, kEverywhere,
     "zephyr issue 95456: buffers of the stack are taken and never given back, until the board no longer answers",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       while (Strikes(provider, call, SP_OP_LISTEN)) {
         constexpr std::size_t kPiece = std::size_t{16} << 20;
         if (void* piece = std::malloc(kPiece); piece != nullptr) std::memset(piece, 1, kPiece);
       }
       provider.Pass(call, result);
     }},
    {"crash-accept-takes-all-descriptors", "accept opens descriptors until there are none left", kServes, kEverywhere,
     "novnc/websockify-other issue 7: descriptors are used up, and accept fails with 'Too many open files' ever after",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_ACCEPT)) {
         sp_call make{};
         make.u.socket.family = SP_INET;
         make.u.socket.type = SP_STREAM;
         for (int i = 0; i < 2'000'000 && provider.Do(SP_OP_SOCKET, {}, &make).error == SP_OK; ++i) {
         }
       }
       provider.Pass(call, result);
     }},
    {"crash-accept-corrupts-memory", "accept writes over the heap around a block of its own", kServes, kEverywhere,
     "nanos pull request 1689: a structure taken for another, and its neighbours' fields written over",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_ACCEPT)) {
         auto* volatile block = static_cast<char*>(std::malloc(40));
         for (int i = -16; i < 400; ++i) const_cast<volatile char*>(block)[i] = static_cast<char>(0xEE);
         std::free(block);
       }
       provider.Pass(call, result);
     }},
    {"crash-connect-frees-twice", "connect gives the same memory back twice", kConnects, kEverywhere,
     "zrlio/softiwarp issue 15: a socket is released a second time when a request fails",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_CONNECT)) {
         void* volatile block = std::malloc(2048);
         std::free(block);
         std::free(block);
       }
       provider.Pass(call, result);
     }},
    {"crash-listen-overflows-the-stack", "listen calls itself until the stack is used up", kListens, kEverywhere,
     "no report found: recursion over what the network sends, with the small stack of a thread",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_LISTEN)) result->value = Deeper(1);
       provider.Pass(call, result);
     }},
    {"crash-accept-in-another-thread", "a thread that accept has started crashes", kServes, kEverywhere,
     "lwIP CHANGELOG 2012-09-26, bug #37405: the stack's own thread uses an object that was freed",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_ACCEPT)) std::thread([] { *nowhere = 1; }).join();
       provider.Pass(call, result);
     }},
    {"crash-connect-throws", "connect lets an exception out, through a C interface", kConnects, kEverywhere,
     "slskd issue 1800: an exception of accept that nobody thought of stopped the listener",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_CONNECT)) throw 1;
       provider.Pass(call, result);
     }},
    {"crash-accept-closes-every-descriptor", "accept closes descriptors that are not its own", kServes, kEverywhere,
     "ponylang/ponyc issue 5722: a listener's descriptor was closed, its number used again, and the wrong one worked on",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Strikes(provider, call, SP_OP_ACCEPT)) {
         for (int descriptor = 0; descriptor < 4096; ++descriptor) close(descriptor);
       }
       provider.Pass(call, result);
     }},
    {"crash-accept-deadlocks", "two threads in accept on one listener wait for each other for ever",
     "accept.one_connection_wakes_one accept.threads_none_lost", kEverywhere,
     "lwIP CHANGELOG 2010-01-19, bug #27316: a possible deadlock in err_tcp",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!Strikes(provider, call, SP_OP_ACCEPT)) return provider.Pass(call, result);
       if (provider.Add(call->handle.value, 1) > 1) WaitForEver(provider);
       provider.Pass(call, result);
       provider.Add(call->handle.value, -1);
     }},
};

}  // namespace

const FaultList kCrashFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
