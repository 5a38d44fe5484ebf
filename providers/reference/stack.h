// One host: its profile, its time and threads, its network, its handles. Everything else is reached from here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "reference/address.h"
#include "reference/handle_table.h"
#include "reference/local_names.h"
#include "reference/network.h"
#include "reference/overlapped.h"
#include "reference/ports.h"
#include "reference/profile.h"
#include "reference/readiness.h"
#include "reference/scheduler.h"
#include "reference/session.h"
#include "reference/tcp/tcp.h"

namespace sockproof::reference {

class DatagramSocket;

class Stack {
 public:
  explicit Stack(const Profile& profile);
  ~Stack();

  const Profile& profile() const { return profile_; }
  Scheduler& scheduler() { return scheduler_; }
  Network& network() { return network_; }
  Tcp& tcp() { return *tcp_; }
  HandleTable& handles() { return handles_; }
  Watchers& watchers() { return watchers_; }
  Ports& ports() { return ports_; }
  LocalNames& names() { return names_; }
  Operations& operations() { return operations_; }
  Session& session() { return session_; }
  // Something open that is no socket.
  const Hold& plain_file() const { return plain_file_; }

  // Blocks the calling thread: SP_OK when `ready`, `late` (the error of this time-out) when `limit` is over first (nanoseconds
  // from now, negative for none), SP_EDEADLK when nothing can ever wake it.
  int32_t Block(const std::function<bool()>& ready, int64_t limit, int32_t late, const std::string& what);

  // ---- Knobs and limits (enum sp_knob, enum sp_limit)
  int64_t KnobValue(int32_t knob) const { return knobs_.at(knob); }
  bool HasKnob(int32_t knob) const { return knobs_.count(knob) != 0; }
  int32_t SetKnob(int32_t knob, int64_t value);
  int32_t SetLimit(int32_t limit, int64_t headroom);
  // Takes one of the buffers that SP_LIMIT_BUFFERS leaves: SP_ENOBUFS when there is none.
  int32_t TakeBuffer();

  // SIGPIPE and its like: counted, not raised.
  void RaisePipe() { ++pipe_signals_; }
  uint64_t TakePipeSignals();
  void RaiseIo() { ++io_signals_; }
  uint64_t TakeIoSignals();

  // Connections and listeners of sockets that are silenced.
  std::set<const void*>& silenced() { return silenced_; }
  // UDP sockets that can be reached.
  std::vector<DatagramSocket*>& datagrams() { return datagrams_; }
  // An address of the Internet protocols as bind (`binding`) and connect take it: its length and family.
  int32_t CheckAddress(const AddressArgument& address, int32_t family, bool binding) const;

 private:
  void ApplyKnob(int32_t knob, int64_t value);

  Profile profile_;
  Scheduler scheduler_;
  Network network_;
  std::unique_ptr<Tcp> tcp_;
  Ports ports_;
  LocalNames names_;
  Watchers watchers_;
  Hold plain_file_;
  HandleTable handles_;
  Operations operations_;
  Session session_;
  bool ending_ = false;
  std::map<int32_t, int64_t> knobs_;
  int64_t buffers_left_ = -1;
  uint64_t pipe_signals_ = 0, io_signals_ = 0;
  std::set<const void*> silenced_;
  std::vector<DatagramSocket*> datagrams_;
};

}  // namespace sockproof::reference
