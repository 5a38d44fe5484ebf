// A host for the tests of the network and TCP: they drive the virtual clock themselves, and see every packet.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "reference/network.h"
#include "reference/scheduler.h"
#include "reference/tcp/tcp.h"

namespace sockproof::reference {

inline Endpoint At(int32_t family, uint16_t port) {
  Endpoint end;
  end.ip.family = family;
  if (family == SP_INET6) {
    end.ip.bytes[15] = 1;
  } else {
    end.ip.bytes = {127, 0, 0, 1};
  }
  end.port = port;
  return end;
}
inline Endpoint Local(uint16_t port) { return At(SP_INET, port); }
inline std::vector<uint8_t> Bytes(const std::string& text) { return {text.begin(), text.end()}; }

struct Host {
  explicit Host(uint64_t seed = 1, const TcpPolicy& policy = {})
      : scheduler(seed), network(&scheduler), tcp(&scheduler, &network, policy) {
    scheduler.Attach("test");
  }
  ~Host() { scheduler.Detach(); }

  // Lets everything happen that is due by then.
  void Pass(int64_t nanoseconds) {
    if (nanoseconds == 0) {
      scheduler.RunDue();
    } else {
      scheduler.WaitUntil([] { return false; }, scheduler.Now() + nanoseconds, "time to pass");
    }
  }
  bool Until(const std::function<bool()>& ready, int64_t limit = 300 * kSecond) {
    return scheduler.WaitUntil(ready, scheduler.Now() + limit, "the test") == Scheduler::Woken::kReady;
  }
  int64_t Since(int64_t then) const { return scheduler.Now() - then; }

  std::shared_ptr<TcpListener> Listen(uint16_t port, std::size_t capacity = 2, const TcpSettings& settings = {}) {
    const std::shared_ptr<TcpListener> listener = tcp.Listen(Local(port), true, settings);
    listener->SetCapacity(capacity);
    return listener;
  }
  std::shared_ptr<TcpConnection> Connect(uint16_t from, uint16_t to, const TcpSettings& settings = {}) {
    return tcp.Connect({Local(from), Local(to)}, settings);
  }

  Scheduler scheduler;
  Network network;
  Tcp tcp;
};

// Two ends of one connection.
struct Pair {
  Pair(Host* host, const TcpSettings& client_settings = {}, const TcpSettings& server_settings = {}) {
    const auto listener = host->Listen(80, 2, server_settings);
    client = host->Connect(1000, 80, client_settings);
    host->Until([&] { return listener->Waiting() == 1 && client->Established(); });
    server = listener->Accept();
    host->tcp.StopListening(listener);
  }
  std::shared_ptr<TcpConnection> client, server;
};

inline std::size_t Write(TcpConnection* connection, const std::string& text, bool push_now = true) {
  return connection->Write(reinterpret_cast<const uint8_t*>(text.data()), text.size(), push_now);
}
inline std::string Read(TcpConnection* connection, std::size_t size = 1 << 20) {
  std::string text(size, '\0');
  text.resize(connection->Read(reinterpret_cast<uint8_t*>(text.data()), size));
  return text;
}

}  // namespace sockproof::reference
