// What the execution of a script knows: the places and what is in them, how calls are made and written down.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "face/address.h"
#include "face/payload.h"
#include "fuzz/execute.h"
#include "fuzz/places.h"
#include "fuzz/streams.h"

namespace sockproof::fuzz {

// What is, or was, in a place for sockets.
struct Held {
  sp_handle handle{SP_HANDLE_INVALID, 0, -1};
  bool open = false, used = false;
  int64_t flavor = kInet;
  std::optional<Streams::End> end;
  std::optional<Address> address;  // its own, as far as it has been told
  bool reset = false;              // closing it may end the connection by a reset
};

class World {
 public:
  World(Provider* provider, const Ways& ways);
  void Run(const Script& script);
  Execution Finish();

 private:
  // world.cpp: the calls
  sp_result Make(sp_call* call, const Payload* payload = nullptr);
  void Remark(const std::string& text);
  void Breached(const char* what, const sp_call& call, std::string detail);
  sp_call On(uint32_t op, const Held& held) const;
  void Fill(Held* place, const sp_handle& handle, int64_t flavor, std::optional<Streams::End> end);
  bool Usable(const Held& held) const;
  void CloseAll();

  // operations.cpp: one operation each
  void Perform(const Op& op);
  void Socket(const Op& op);
  void Pair(const Op& op);
  void BindOrConnect(const Op& op);
  void Accept(const Op& op);
  void Shutdown(const Op& op);
  void Close(const Op& op);
  void Set(const Op& op);
  void Get(const Op& op);
  void Name(const Op& op);
  void Mode(const Op& op);
  void Duplicate(const Op& op);
  void Ready(Held* held, uint32_t events);
  void Watch(const Op& op);
  void Impair(const Op& op);
  void Silence(const Op& op);
  sp_address_in AddressFor(const Held& held, const Value& place);
  std::optional<Address> AddressOf(Held* held);
  void Nonblocking(Held* held);

  // transfers.cpp
  void Send(const Op& op);
  void Recv(const Op& op);
  sp_result Receive(Held* held, const Op& op);
  void Drain();
  bool Room(int64_t kind, int64_t length, sp_address_out* out);
  void CheckRoom(const sp_call& call, const sp_address_out& out);

  Held& At(const Op& op, std::size_t field) { return places_[static_cast<std::size_t>(op.Number(field))]; }

  Provider* provider_;
  Ways ways_;
  Execution done_;
  Streams streams_;
  std::array<Held, kSockets> places_;
  std::array<sp_handle, kWatchers> watchers_{};
  std::array<bool, kWatchers> watching_{};
  std::vector<std::string> paths_;
  uint64_t number_ = 0;
  int64_t start_;
  uint64_t handles_before_ = 0;
  bool counted_ = false;
  bool stuck_ = false;  // a call would never have come back
  bool accept_modes_ = true;
  int32_t mechanism_ = SP_POLL;
  int fresh_ = 0;
  std::array<uint8_t, 256> name_{};
};

}  // namespace sockproof::fuzz
