#include "battery/last_words.h"

#include <windows.h>

#include <signal.h>
#include <stdlib.h>

#include <atomic>
#include <cstring>

#ifndef STATUS_FATAL_APP_EXIT
#define STATUS_FATAL_APP_EXIT static_cast<DWORD>(0x40000015)
#endif

namespace sockproof {
namespace {

HANDLE record_stream = INVALID_HANDLE_VALUE;  // until it has one of its own: standard output, whatever that is by then
constexpr unsigned kFrames = 40;

// What follows runs in a process that has just gone wrong: no allocation, no stdio.
class Text {
 public:
  void Add(const char* text) {
    for (; *text != '\0'; ++text) Put(*text);
  }
  void AddNumber(unsigned long long number, unsigned base = 10) {
    char digits[24];
    unsigned count = 0;
    do {
      digits[count++] = "0123456789abcdef"[number % base];
      number /= base;
    } while (number > 0);
    while (count > 0) Put(digits[--count]);
  }
  void Put(char c) {
    if (used_ < sizeof text_) text_[used_++] = c;
  }
  void Write() { WriteRecordStream(text_, used_); }

 private:
  char text_[8192];
  std::size_t used_ = 0;
};

// A code address as MODULE+0xOFFSET, which addr2line and debuggers understand wherever the module was loaded.
void AddAddress(Text& text, const void* address) {
  HMODULE module = nullptr;
  char path[MAX_PATH] = "";
  if (GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                         static_cast<const char*>(address), &module) != 0) {
    GetModuleFileNameA(module, path, sizeof path - 1);
  }
  const char* name = path;
  for (const char* at = path; *at != '\0'; ++at) {
    if (*at == '\\' || *at == '/') name = at + 1;
  }
  for (const char* at = name; *at != '\0'; ++at) text.Put(*at >= ' ' && *at != '"' && *at < 0x7f ? *at : '_');
  text.Add(module != nullptr ? "+0x" : "0x");
  text.AddNumber(reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(module), 16);
}

void WriteCrash(DWORD code, const void* at) {
  static Text text;  // the stack may be used up
  text.Add("\n@sockproof {\"record\":\"exception\",\"code\":");
  text.AddNumber(code);
  text.Add(",\"pid\":");
  text.AddNumber(GetCurrentProcessId());
  text.Add(",\"stack\":[");
  const char* separator = "\"";
  const auto add = [&](const void* address) {
    text.Add(separator);
    AddAddress(text, address);
    text.Put('"');
    separator = ",\"";
  };
  if (at != nullptr) add(at);
  void* frames[kFrames];
  const USHORT count = code != EXCEPTION_STACK_OVERFLOW ? CaptureStackBackTrace(1, kFrames, frames, nullptr) : 0;
  for (USHORT i = 0; i < count && frames[i] != nullptr; ++i) add(frames[i]);
  text.Add("]}\n");
  text.Write();
}

// The record of one crash, whoever comes first; the others wait until the process is gone.
[[noreturn]] void Die(DWORD code, const void* at) {
  static std::atomic<DWORD> dying{0};
  DWORD before = 0;
  if (dying.compare_exchange_strong(before, GetCurrentThreadId())) {
    WriteCrash(code, at);
  } else if (before != GetCurrentThreadId()) {
    Sleep(10'000);
  }
  TerminateProcess(GetCurrentProcess(), code);
  for (;;) Sleep(INFINITE);
}

LONG WINAPI OnException(EXCEPTION_POINTERS* exception) {
  Die(exception->ExceptionRecord->ExceptionCode, exception->ExceptionRecord->ExceptionAddress);
}

void OnAbort(int) { Die(STATUS_FATAL_APP_EXIT, nullptr); }

}  // namespace

void WriteRecordStream(const char* data, std::size_t size) {
  const HANDLE stream = record_stream != INVALID_HANDLE_VALUE ? record_stream : GetStdHandle(STD_OUTPUT_HANDLE);
  while (size > 0) {
    DWORD wrote = 0;
    if (WriteFile(stream, data, static_cast<DWORD>(size), &wrote, nullptr) == 0 || wrote == 0) return;
    data += wrote;
    size -= wrote;
  }
}

void EndProcess(int code) {
  // Not ExitProcess: it would call what libraries have to do at the end, while threads may be blocked in them.
  TerminateProcess(GetCurrentProcess(), static_cast<UINT>(code));
  for (;;) Sleep(INFINITE);
}

void InstallFatalHandlers() {
  // The implementation under test may close standard output, or hand its value out again: records have a handle of their own.
  const HANDLE process = GetCurrentProcess();
  HANDLE copy = nullptr;
  if (DuplicateHandle(process, GetStdHandle(STD_OUTPUT_HANDLE), process, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS) != 0) {
    record_stream = copy;
  }
  // Nobody is here to close a window that asks what to do.
  SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
#ifdef _MSC_VER
  _set_abort_behavior(0, _WRITE_ABORT_MSG | _CALL_REPORTFAULT);
#endif
  ULONG reserve = 1 << 16;  // so that a stack that is used up leaves room for its record
  SetThreadStackGuarantee(&reserve);
  SetUnhandledExceptionFilter(OnException);
  signal(SIGABRT, OnAbort);
}

}  // namespace sockproof
