// The table: opening, what the provider can be asked to do, the session, and the groups that a provider may hand over.
#include <algorithm>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "windows/controls.h"
#include "windows/errors.h"
#include "windows/memory.h"
#include "windows/options.h"
#include "wsp/adapter.h"
#include "wsp/upcalls.h"

namespace sockproof::wsp {
namespace {

constexpr int kNoMode = 0;

// Whether sockets of a kind can be made, by making one.
bool CanMake(Adapter* adapter, int32_t family, int32_t type, std::string* why, SOCKET* kept = nullptr) {
  const sp_socket_args args{family, type, 0, kNoMode};
  int code = 0;
  const SOCKET socket = MakeSocket(adapter, args, SP_SPI_GIVEN, SP_SPI_GIVEN, true, &code);
  if (socket == INVALID_SOCKET) {
    *why = fmt::format("WSPSocket of such a one fails with {}", code);
    return false;
  }
  if (kept != nullptr) {
    *kept = socket;
    return true;
  }
  static_cast<void>(adapter->table.lpWSPCloseSocket(socket, &code));
  Ledger::Get().Closed(socket);
  return true;
}

void Put(Adapter* adapter, int32_t capability, bool has, std::string why = {}) {
  adapter->has[static_cast<std::size_t>(capability)] = has;
  adapter->why[static_cast<std::size_t>(capability)] = std::move(why);
}

void TakeControls(Adapter* adapter, SOCKET socket) {
  windows::ControlsFunction function = nullptr;
  GUID id = windows::kControls;
  DWORD returned = 0;
  int code = 0;
  if (adapter->table.lpWSPIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &function, sizeof function, &returned,
                                nullptr, nullptr, nullptr, &code) != 0) {
    return;
  }
  if (function != nullptr) adapter->controls = function(&adapter->controls_self);
}

// Asked once, before any scenario, so that the answers do not depend on what one does.
void LookAround(Adapter* adapter) {
  std::string why;
  for (std::string& reason : adapter->why) reason = "the service provider interface has no such thing";
  SOCKET socket = INVALID_SOCKET;
  const bool inet = CanMake(adapter, SP_INET, SP_STREAM, &why, &socket);
  Put(adapter, SP_CAP_INET, inet, why);
  const bool inet6 = CanMake(adapter, SP_INET6, SP_STREAM, &why);
  Put(adapter, SP_CAP_INET6, inet6, why);
  Put(adapter, SP_CAP_DUAL_STACK, inet && inet6, why);
  const bool udp = CanMake(adapter, SP_INET, SP_DATAGRAM, &why);
  Put(adapter, SP_CAP_UDP, udp, why);
  const bool local = CanMake(adapter, SP_UNIX, SP_STREAM, &why);
  Put(adapter, SP_CAP_UNIX_STREAM, local, why);
  const bool conndata = CanMake(adapter, SP_CONNDATA, SP_STREAM, &why);
  Put(adapter, SP_CAP_CONNECT_DATA, conndata, why);
  for (const int32_t always :
       {SP_CAP_CONDITION, SP_CAP_EVENT_OBJECTS, SP_CAP_SELECT, SP_CAP_SESSION, SP_CAP_HANDLE_COUNT, SP_CAP_SPI}) {
    Put(adapter, always, true);
  }
  if (!inet) {
    Put(adapter, SP_CAP_OVERLAPPED, false, "there is no socket to ask for AcceptEx");
    return;
  }
  FindExtensions(adapter, socket);
  Put(adapter, SP_CAP_OVERLAPPED, adapter->extensions.accept != nullptr, "SIO_GET_EXTENSION_FUNCTION_POINTER yields no AcceptEx");
  TakeControls(adapter, socket);
  int code = 0;
  static_cast<void>(adapter->table.lpWSPCloseSocket(socket, &code));
  Ledger::Get().Closed(socket);
  for (const int32_t handed : {SP_CAP_THREADS, SP_CAP_CLOCK, SP_CAP_SCHEDULER, SP_CAP_SILENCE, SP_CAP_BLACK_HOLE, SP_CAP_IMPAIR,
                               SP_CAP_INJECT, SP_CAP_CAPTURE, SP_CAP_HANDLE_LIMIT, SP_CAP_KNOBS, SP_CAP_FAULTY_LIMITS}) {
    const char* reason = nullptr;
    const sp_provider* controls = adapter->controls;
    const bool has = controls != nullptr && controls->capability(adapter->controls_self, handed, &reason) == SP_OK;
    Put(adapter, handed, has, reason != nullptr ? reason : "the provider does not hand over such a thing");
  }
}

// The one that is open, for the groups that are the provider's: their functions are not given its own self.
Adapter* the_adapter = nullptr;

const sp_provider* Handed() { return the_adapter != nullptr ? the_adapter->controls : nullptr; }

int32_t Open(const char* argument, void** self, const char** why) {
  static std::string reason;
  auto adapter = std::make_unique<Adapter>();
  if (!Load(adapter.get(), argument, &reason)) {
    if (why != nullptr) *why = reason.c_str();
    return SP_EINVALIDPROVIDER;
  }
  wchar_t directory[MAX_PATH] = {}, name[MAX_PATH] = {};
  GetTempPathW(MAX_PATH, directory);
  GetTempFileNameW(directory, L"sp", 0, name);
  adapter->not_socket =
      CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, nullptr);
  LookAround(adapter.get());
  // What was called until now is no scenario's.
  static_cast<void>(Ledger::Get().Take(SIZE_MAX));
  the_adapter = adapter.get();
  *self = adapter.release();
  return SP_OK;
}

void Close(void* self) {
  const std::unique_ptr<Adapter> adapter(Self(self));
  the_adapter = nullptr;
  int code = 0;
  // Once for the start in Open. The DLL stays where it is: it may have threads, and the process ends now.
  static_cast<void>(adapter->table.lpWSPCleanup(&code));
  CloseHandle(adapter->not_socket);
}

int32_t Capability(void* self, int32_t capability, const char** why) {
  const Adapter& adapter = *Self(self);
  if (capability < 0 || capability >= SP_CAP_COUNT) return SP_NOT_SUPPORTED;
  const auto index = static_cast<std::size_t>(capability);
  if (adapter.has[index]) return SP_OK;
  if (why != nullptr) *why = adapter.why[index].c_str();
  return SP_NOT_SUPPORTED;
}

// ---- The session

uint32_t Neutral(WORD version) { return static_cast<uint32_t>(LOBYTE(version)) << 8 | HIBYTE(version); }

int32_t SessionStartup(void* self, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) {
  WSPDATA data{};
  const int code = Startup(Self(self), MAKEWORD(version >> 8 & 0xff, version & 0xff), &data, false);
  *given = Neutral(data.wVersion);
  *highest = Neutral(data.wHighVersion);
  *native = code;
  return windows::ErrorOf(code);
}

int32_t SessionCleanup(void* self, int64_t* native) {
  Adapter* adapter = Self(self);
  int code = 0;
  const int failed = adapter->table.lpWSPCleanup(&code);
  *native = failed != 0 ? code : 0;
  if (failed == 0) return SP_OK;
  return code != 0 ? windows::ErrorOf(code) : static_cast<int32_t>(SP_UNKNOWN_ERROR);
}

constexpr sp_session_group kSession = {sizeof(sp_session_group), SessionStartup, SessionCleanup};

// ---- What the provider hands over, each function by itself

#define SOCKPROOF_HANDED(group, function, ...)                                                                      \
  const sp_provider* handed = Handed();                                                                             \
  if (handed == nullptr || handed->group == nullptr || handed->group->function == nullptr) return SP_NOT_SUPPORTED; \
  return handed->group->function(Self(self)->controls_self, __VA_ARGS__)

int64_t CurrentThread(void* self) {
  const sp_provider* handed = Handed();
  return handed != nullptr && handed->threads != nullptr ? handed->threads->current(Self(self)->controls_self) : -1;
}
int32_t ThreadBlocked(void* self, int64_t thread) { SOCKPROOF_HANDED(threads, blocked, thread); }
constexpr sp_thread_group kThreads = {sizeof(sp_thread_group), CurrentThread, ThreadBlocked, nullptr, nullptr, nullptr};

int64_t NowNs(void* self) {
  const sp_provider* handed = Handed();
  if (handed != nullptr && handed->clock != nullptr) return handed->clock->now_ns(Self(self)->controls_self);
  static const int64_t frequency = [] {
    LARGE_INTEGER value;
    QueryPerformanceFrequency(&value);
    return value.QuadPart;
  }();
  LARGE_INTEGER now;
  QueryPerformanceCounter(&now);
  constexpr int64_t kSecond = 1'000'000'000;
  return now.QuadPart / frequency * kSecond + now.QuadPart % frequency * kSecond / frequency;
}
int32_t IsVirtual(void* self) {
  const sp_provider* handed = Handed();
  return handed != nullptr && handed->clock != nullptr ? handed->clock->is_virtual(Self(self)->controls_self) : 0;
}
constexpr sp_clock_group kClock = {sizeof(sp_clock_group), NowNs, IsVirtual};

int32_t Attach(void* self, const char* name) { SOCKPROOF_HANDED(scheduler, attach, name); }
int32_t Detach(void* self) {
  const sp_provider* handed = Handed();
  if (handed == nullptr || handed->scheduler == nullptr) return SP_NOT_SUPPORTED;
  return handed->scheduler->detach(Self(self)->controls_self);
}
int32_t WaitUntil(void* self, int32_t (*ready)(void* context), void* context, int64_t timeout, const char* what) {
  SOCKPROOF_HANDED(scheduler, wait_until, ready, context, timeout, what);
}
int32_t Seed(void* self, uint64_t seed) { SOCKPROOF_HANDED(scheduler, seed, seed); }
int32_t Expect(void* self) {
  const sp_provider* handed = Handed();
  if (handed == nullptr || handed->scheduler == nullptr) return SP_NOT_SUPPORTED;
  return handed->scheduler->expect(Self(self)->controls_self);
}
constexpr sp_scheduler_group kScheduler = {sizeof(sp_scheduler_group), Attach, Detach, WaitUntil, Seed, Expect};

int32_t Silence(void* self, sp_handle socket, int32_t on) { SOCKPROOF_HANDED(network, silence, socket, on); }
int32_t BlackHole(void* self, int32_t family, sp_address* address) { SOCKPROOF_HANDED(network, black_hole, family, address); }
int32_t Impair(void* self, uint32_t drop, uint32_t duplicate, int64_t delay, int64_t jitter) {
  SOCKPROOF_HANDED(network, impair, drop, duplicate, delay, jitter);
}
int32_t Inject(void* self, const uint8_t* packet, uint32_t size) { SOCKPROOF_HANDED(network, inject, packet, size); }
int32_t Capture(void* self, const char* path) { SOCKPROOF_HANDED(network, capture, path); }
constexpr sp_network_group kNetwork = {sizeof(sp_network_group), Silence, BlackHole, Impair, Inject, Capture};

int32_t SetLimit(void* self, int32_t limit, int64_t headroom) { SOCKPROOF_HANDED(limits, set_limit, limit, headroom); }
int32_t GetKnob(void* self, int32_t knob, int64_t* value) { SOCKPROOF_HANDED(limits, get_knob, knob, value); }
int32_t SetKnob(void* self, int32_t knob, int64_t value) { SOCKPROOF_HANDED(limits, set_knob, knob, value); }
constexpr sp_limit_group kLimits = {sizeof(sp_limit_group), SetLimit, GetKnob, SetKnob};
#undef SOCKPROOF_HANDED

// ---- Counters

int32_t OpenHandles(void* self, uint64_t* count) {
  Adapter* adapter = Self(self);
  const std::lock_guard<std::mutex> lock(adapter->mutex);
  *count = Ledger::Get().open_handles() + adapter->watchers.size();
  return SP_OK;
}

int32_t DescribeHandles(void*, char* text, uint32_t* size) {
  const std::string all = Ledger::Get().Describe();
  const uint32_t room = *size;
  *size = 0;
  if (room == 0) return SP_OK;
  *size = std::min(static_cast<uint32_t>(all.size()), room - 1);
  std::memcpy(text, all.data(), *size);
  text[*size] = '\0';
  return SP_OK;
}

constexpr sp_counter_group kCounters = {sizeof(sp_counter_group), OpenHandles, DescribeHandles};

// ---- The interface itself

int32_t TakeLog(void*, char* text, uint32_t* size) {
  const std::string lines = Ledger::Get().Take(*size);
  std::memcpy(text, lines.data(), lines.size());
  *size = static_cast<uint32_t>(lines.size());
  return SP_OK;
}

int32_t Exports(void* self, char* text, uint32_t* size) {
  std::string lines;
  for (const std::string& name : ExportedNames(Self(self)->library)) lines += name + "\n";
  if (lines.size() > *size) lines.resize(*size);
  std::memcpy(text, lines.data(), lines.size());
  *size = static_cast<uint32_t>(lines.size());
  return SP_OK;
}

int32_t StartupWithout(void* self, int32_t which, int64_t* native) {
  Adapter* adapter = Self(self);
  WSPDATA data{};
  WSPPROC_TABLE table{};
  WSAPROTOCOL_INFOW info = ProtocolOf(SP_INET, SP_STREAM, 0);
  const WSPUPCALLTABLE upcalls = Ledger::Get().CurrentTable();
  const int code = adapter->start(MAKEWORD(2, 2), which == 0 ? nullptr : &data, &info, upcalls, which == 1 ? nullptr : &table);
  *native = code;
  int ignored = 0;
  if (code == 0) static_cast<void>(adapter->table.lpWSPCleanup(&ignored));
  return windows::ErrorOf(code);
}

int32_t StartupWithNewTable(void* self, int64_t* native) {
  WSPDATA data{};
  const int code = Startup(Self(self), MAKEWORD(2, 2), &data, true);
  *native = code;
  return windows::ErrorOf(code);
}

int32_t MakeSocketSo(void* self, const sp_socket_args* args, int32_t family, int32_t type, int32_t overlapped,
                     sp_result* result) {
  int code = 0;
  const SOCKET socket = MakeSocket(Self(self), *args, family, type, overlapped != 0, &code);
  Report(result, socket == INVALID_SOCKET, static_cast<int64_t>(socket), code);
  result->handle = {SP_HANDLE_INVALID, 0, -1};
  if (socket != INVALID_SOCKET) result->handle = {SP_HANDLE_SOCKET, 0, static_cast<int64_t>(socket)};
  return SP_OK;
}

int32_t Facts(void* self, sp_handle handle, uint32_t* facts) {
  Adapter* adapter = Self(self);
  SOCKET socket = INVALID_SOCKET;
  if (!SocketOf(*adapter, handle, &socket)) return SP_NOT_SUPPORTED;
  const Ledger::Handle known = Ledger::Get().Of(socket);
  *facts = 0;
  if (known.created && known.open) *facts |= SP_SPI_CREATED;
  if (known.modified) *facts |= SP_SPI_MODIFIED;
  DWORD flags = 0;
  if (GetHandleInformation(reinterpret_cast<HANDLE>(socket), &flags) != 0) *facts |= SP_SPI_SYSTEM;
  WSAPROTOCOL_INFOW info{};
  int length = sizeof info, code = 0;
  if (adapter->table.lpWSPGetSockOpt(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, reinterpret_cast<char*>(&info), &length, &code) ==
          0 &&
      (info.dwServiceFlags1 & XP1_IFS_HANDLES) != 0) {
    *facts |= SP_SPI_CLAIMS_IFS;
  }
  return SP_OK;
}

int32_t SetBlockingHook(void*, int32_t (*hook)(void* context), void* context) {
  Ledger::Get().SetHook({hook, context});
  return SP_OK;
}

constexpr sp_upcall_group kUpcallGroup = {sizeof(sp_upcall_group), TakeLog,      Exports, StartupWithout,
                                          StartupWithNewTable,     MakeSocketSo, Facts,   SetBlockingHook};

const sp_provider kProvider = {
    sizeof(sp_provider),
    SP_API_VERSION,
    "wsp",
    "a Windows Sockets service provider DLL, through WSPStartup",
    Open,
    Close,
    Capability,
    Call,
    Begin,
    Wait,
    Cancel,
    &kSession,
    &kThreads,
    nullptr,  // signals
    nullptr,  // processes
    &kUpcallGroup,
    &kClock,
    &kScheduler,
    &kNetwork,
    &kLimits,
    &kCounters,
};

}  // namespace
}  // namespace sockproof::wsp

extern "C" const sp_provider* sockproof_wsp_provider(void) { return &sockproof::wsp::kProvider; }
