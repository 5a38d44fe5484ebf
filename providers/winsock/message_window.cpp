#include "message_window.h"

#include <chrono>

namespace sockproof::winsock {
namespace {

constexpr wchar_t kClass[] = L"sockproof network events";
constexpr UINT kNetworkEvent = WM_APP + 1;
constexpr UINT kDestroy = WM_APP + 2;

}  // namespace

unsigned MessageWindow::message() { return kNetworkEvent; }

MessageWindow::MessageWindow() {
  thread_ = std::thread([this] { Pump(); });
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return ready_; });
}

MessageWindow::~MessageWindow() { Destroy(); }

void MessageWindow::Destroy() {
  if (!thread_.joinable()) return;
  if (window_ != nullptr) ::PostMessageW(window_, kDestroy, 0, 0);
  thread_.join();
}

void MessageWindow::Pump() {
  const HINSTANCE module = ::GetModuleHandleW(nullptr);
  WNDCLASSW kind{};
  kind.lpfnWndProc = &MessageWindow::OnMessage;
  kind.hInstance = module;
  kind.lpszClassName = kClass;
  ::RegisterClassW(&kind);  // fails from the second one on
  const HWND window = ::CreateWindowExW(0, kClass, L"", 0, 0, 0, 0, 0, HWND_MESSAGE, nullptr, module, nullptr);
  const DWORD error = window == nullptr ? ::GetLastError() : 0;
  if (window != nullptr) ::SetWindowLongPtrW(window, GWLP_USERDATA, reinterpret_cast<LONG_PTR>(this));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    window_ = window;
    error_ = error;
    ready_ = true;
    changed_.notify_all();
  }
  if (window == nullptr) return;
  MSG message{};
  while (::GetMessageW(&message, nullptr, 0, 0) > 0) ::DispatchMessageW(&message);
}

LRESULT CALLBACK MessageWindow::OnMessage(HWND window, UINT message, WPARAM wide, LPARAM narrow) {
  auto* self = reinterpret_cast<MessageWindow*>(::GetWindowLongPtrW(window, GWLP_USERDATA));
  switch (message) {
    case kNetworkEvent: {
      if (self == nullptr) return 0;
      const std::lock_guard<std::mutex> lock(self->mutex_);
      self->messages_.push_back({static_cast<SOCKET>(wide), WSAGETSELECTEVENT(narrow), WSAGETSELECTERROR(narrow)});
      self->changed_.notify_all();
      return 0;
    }
    case kDestroy:
      ::DestroyWindow(window);
      return 0;
    case WM_DESTROY:
      ::PostQuitMessage(0);
      return 0;
    default:
      return ::DefWindowProcW(window, message, wide, narrow);
  }
}

bool MessageWindow::Wait(DWORD milliseconds) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto there = [this] { return !messages_.empty(); };
  if (milliseconds == INFINITE) {
    changed_.wait(lock, there);
    return true;
  }
  return changed_.wait_for(lock, std::chrono::milliseconds(milliseconds), there);
}

bool MessageWindow::Take(Message* out) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (messages_.empty()) return false;
  *out = messages_.front();
  messages_.pop_front();
  return true;
}

}  // namespace sockproof::winsock
