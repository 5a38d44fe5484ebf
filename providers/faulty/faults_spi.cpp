// Faults of a service provider's conduct towards ws2_32: the handles and the upcalls, the blocking hook, its entry point. What it
// did is seen in the upcalls alone, so these stand before the group of the table that tells of them.
#include <cstring>
#include <string>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kSpi = "no report found: Windows Sockets 2 Service Provider Interface says it otherwise";

// A provider is opened once a process.
Wrapped* wrapped = nullptr;
sp_upcall_group right{};

void Keep(Wrapped& provider, const sp_upcall_group& group) {
  wrapped = &provider;
  right = group;
}

void Pass(Wrapped& provider, sp_call* call, sp_result* result) { provider.Pass(call, result); }

// ---- The log of upcalls, line by line

using Line = std::string (*)(const std::string& line);
template <Line Changed>
int32_t Log(void* self, char* text, uint32_t* size) {
  const uint32_t room = *size;
  for (;;) {
    // No line becomes longer than two of it.
    uint32_t taken = room / 2;
    if (const int32_t error = right.take_log(self, text, &taken); error != SP_OK || taken == 0) {
      *size = taken;
      return error;
    }
    std::string lines;
    for (uint32_t at = 0; at < taken;) {
      const void* const end = std::memchr(text + at, '\n', taken - at);
      const uint32_t next = end == nullptr ? taken : static_cast<uint32_t>(static_cast<const char*>(end) - text) + 1;
      lines += Changed(std::string(text + at, text + next));
      at = next;
    }
    if (lines.empty()) continue;  // an empty answer would be the end of the log
    std::memcpy(text, lines.data(), lines.size());
    *size = static_cast<uint32_t>(lines.size());
    return SP_OK;
  }
}
template <Line Changed>
void ChangeLog(Wrapped& provider, sp_upcall_group* group) {
  Keep(provider, *group);
  group->take_log = Log<Changed>;
}

bool GivesBack(const std::string& line) { return line.find(" WPUCloseSocketHandle ") != std::string::npos; }
std::string NotGivenBack(const std::string& line) { return GivesBack(line) ? std::string() : line; }
std::string GivenBackTwice(const std::string& line) { return GivesBack(line) ? line + line : line; }
std::string ByTheFirstTable(const std::string& line) { return "1" + line.substr(line.find(' ')); }

// ---- What is known of a handle

template <uint32_t Lost, uint32_t Claimed, bool OfAccepted>
int32_t Facts(void* self, sp_handle socket, uint32_t* facts) {
  const int32_t error = right.facts(self, socket, facts);
  if (error == SP_OK && (!OfAccepted || wrapped->Of(socket).accepted)) *facts = (*facts & ~Lost) | Claimed;
  return error;
}
template <uint32_t Lost, uint32_t Claimed, bool OfAccepted>
void ChangeFacts(Wrapped& provider, sp_upcall_group* group) {
  Keep(provider, *group);
  group->facts = Facts<Lost, Claimed, OfAccepted>;
}

// ---- WSPStartup and WSPSocket

void ExportsMore(Wrapped& provider, sp_upcall_group* group) {
  Keep(provider, *group);
  group->exports = [](void* self, char* text, uint32_t* size) -> int32_t {
    constexpr char kMore[] = "WSPSocket\n";
    constexpr uint32_t kLength = sizeof kMore - 1;
    const uint32_t room = *size;
    const int32_t error = right.exports(self, text, size);
    if (error != SP_OK || room - *size < kLength) return error;
    std::memcpy(text + *size, kMore, kLength);
    *size += kLength;
    return SP_OK;
  };
}

void NullTablesAreFine(Wrapped& provider, sp_upcall_group* group) {
  Keep(provider, *group);
  group->startup_without = [](void*, int32_t, int64_t* native) -> int32_t {
    *native = 0;
    return SP_OK;
  };
}

using Refused = bool (*)(int32_t family, int32_t type, int32_t overlapped);
template <Refused IsRefused, int32_t Error>
void Refuse(Wrapped& provider, sp_upcall_group* group) {
  Keep(provider, *group);
  group->make_socket = [](void* self, const sp_socket_args* args, int32_t family, int32_t type, int32_t overlapped,
                          sp_result* result) -> int32_t {
    if (!IsRefused(family, type, overlapped)) return right.make_socket(self, args, family, type, overlapped, result);
    Fail(result, Error);
    return SP_OK;
  };
}
bool ZeroFamily(int32_t family, int32_t, int32_t) { return family == SP_SPI_ZERO; }
bool TypeFromInfo(int32_t, int32_t type, int32_t) { return type == SP_SPI_FROM_INFO; }
bool Overlapped(int32_t, int32_t, int32_t overlapped) { return overlapped != 0; }

// ---- The blocking hook

thread_local int32_t (*hook)(void* context) = nullptr;
thread_local void* hook_context = nullptr;

void KeepHook(Wrapped& provider, sp_upcall_group* group) {
  Keep(provider, *group);
  group->set_blocking_hook = [](void* self, int32_t (*installed)(void* context), void* context) -> int32_t {
    hook = installed;
    hook_context = context;
    return right.set_blocking_hook(self, installed, context);
  };
}

template <bool OnNonblocking>
void RunsTheHook(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool waits = call->op == SP_OP_ACCEPT || call->op == SP_OP_RECV || call->op == SP_OP_SEND;
  if (waits && hook != nullptr && provider.IsNonblockingKnown(call->handle) == OnNonblocking)
    static_cast<void>(hook(hook_context));
  provider.Pass(call, result);
}

// What stands behind `call` and `cleanup` in a Fault, in one word.
constexpr Fault Upcalls(const char* name, const char* text, const char* requirements,
                        void (*upcalls)(Wrapped& provider, sp_upcall_group* group),
                        void (*call)(Wrapped& provider, sp_call* call, sp_result* result) = Pass) {
  return {name, text, requirements, "winsock-spi", kSpi, call, nullptr, nullptr, nullptr, nullptr, nullptr, upcalls};
}

constexpr Fault kFaults[] = {
    Upcalls("spi-handle-kept", "the handle of a closed socket is not given back with WPUCloseSocketHandle", "spi.closed_handles",
            ChangeLog<NotGivenBack>),
    Upcalls("spi-handle-back-twice", "the handle of a closed socket is given back with WPUCloseSocketHandle twice",
            "spi.closed_handles", ChangeLog<GivenBackTwice>),
    Upcalls("spi-first-upcalls", "the upcall table of the first WSPStartup is used for ever", "spi.latest_upcalls",
            ChangeLog<ByTheFirstTable>),
    Upcalls("spi-accepted-handle-own", "the handle of an accepted socket does not come from WPUCreateSocketHandle",
            "spi.created_handles", ChangeFacts<SP_SPI_CREATED, 0, true>),
    Upcalls("spi-accepted-handle-unshown", "the file handle of an accepted socket does not go through WPUModifyIFSHandle",
            "spi.modified_handles", ChangeFacts<SP_SPI_MODIFIED, 0, true>),
    Upcalls("spi-false-file-handles", "sockets whose handles are no file handles claim XP1_IFS_HANDLES",
            "spi.no_false_file_handles", ChangeFacts<0, SP_SPI_CLAIMS_IFS, false>),
    Upcalls("spi-exports-more", "the DLL exports WSPSocket too", "spi.single_entry_point", ExportsMore),
    Upcalls("spi-null-tables", "WSPStartup succeeds without a place for its data or its table", "spi.null_tables",
            NullTablesAreFine),
    Upcalls("spi-zero-family", "a family of zero is refused", "spi.zero_family_and_type", Refuse<ZeroFamily, SP_EAFNOSUPPORT>),
    Upcalls("spi-type-from-info", "a type of FROM_PROTOCOL_INFO is refused", "spi.zero_family_and_type",
            Refuse<TypeFromInfo, SP_ESOCKTNOSUPPORT>),
    Upcalls("spi-no-overlapped", "WSA_FLAG_OVERLAPPED is refused", "spi.overlapped_attribute", Refuse<Overlapped, SP_EINVAL>),
    Upcalls("spi-hook-always", "the blocking hook is run by calls that need not wait", "spi.blocking_hook", KeepHook,
            RunsTheHook<false>),
    Upcalls("spi-hook-nonblocking", "the blocking hook is run by calls on sockets that do not block", "spi.blocking_hook",
            KeepHook, RunsTheHook<true>),
};

}  // namespace

const FaultList kSpiFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
