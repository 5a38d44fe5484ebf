// A message-only window, and the thread that it belongs to: WSAAsyncSelect posts to it, and what arrives is kept in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>

#include "system.h"

namespace sockproof::winsock {

class MessageWindow {
 public:
  struct Message {
    SOCKET socket;
    int event;  // FD_*
    int error;
  };

  MessageWindow();  // window() is NULL if there is none, error() says why
  ~MessageWindow();
  MessageWindow(const MessageWindow&) = delete;
  MessageWindow& operator=(const MessageWindow&) = delete;

  HWND window() const { return window_; }
  DWORD error() const { return error_; }
  static unsigned message();  // the number that is to be asked for
  // Destroys the window; its handle is then one of none.
  void Destroy();
  // Waits until a message is there, at most `milliseconds`; false if none came.
  bool Wait(DWORD milliseconds);
  bool Take(Message* out);

 private:
  void Pump();
  static LRESULT CALLBACK OnMessage(HWND window, UINT message, WPARAM wide, LPARAM narrow);

  HWND window_ = nullptr;
  DWORD error_ = 0;
  bool ready_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Message> messages_;
  std::thread thread_;
};

}  // namespace sockproof::winsock
