// Overlapped operations: AcceptEx, ConnectEx, DisconnectEx. No thread carries them out: an operation goes on when something
// happens to its sockets, as the scheduler runs what is due.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "reference/file.h"
#include "reference/scheduler.h"
#include "sockproof/provider.h"

namespace sockproof::reference {

class Stack;
class Operations;

class Operation : public Observer {
 public:
  Operation(Stack* stack, sp_call* call) : stack_(stack), call_(call) {}
  ~Operation() override;

  // Whether it can begin at all: SP_IO_PENDING, or what it is refused with.
  virtual int32_t Begin() = 0;
  // Looks how far it can go.
  virtual void Step() = 0;
  // It will not be carried out: what it has half done is undone.
  virtual void Undo() = 0;

  bool done() const { return done_; }
  const sp_result& result() const { return result_; }
  void Abort();
  void OnEnd(std::function<void(const sp_result& result)> ended) { ended_ = std::move(ended); }

  bool Changed(uint32_t fresh) override;
  void Gone() override { Abort(); }  // closing a socket ends what was begun on it

 protected:
  void Watch(const std::shared_ptr<File>& file);
  void Finish(int32_t error, int64_t value = 0, sp_handle handle = {SP_HANDLE_INVALID, 0, -1});

  Stack* stack_;
  sp_call* call_;

 private:
  void Unwatch();
  std::vector<std::shared_ptr<File>> files_;
  sp_result result_{};
  bool done_ = false;
  std::function<void(const sp_result& result)> ended_;
};

// Those that are under way, in the order in which they were begun: the first takes first.
class Operations {
 public:
  explicit Operations(Scheduler* scheduler) : scheduler_(scheduler) {}
  ~Operations();

  // Takes a call; null and the reason if it is refused. Somebody must Remove it once it is done.
  Operation* Begin(Stack* stack, sp_call* call, int32_t* error);
  void Remove(Operation* operation);
  void AbortAll();
  // Something has changed: all of them look again, soon.
  void Kick();

 private:
  void StepAll();
  Scheduler* scheduler_;
  Scheduler::Timer timer_ = 0;
  std::list<std::unique_ptr<Operation>> operations_;
};

// begin and wait of the interface, and DisconnectEx without an OVERLAPPED, which blocks.
int32_t BeginOperation(Stack* stack, sp_call* call, sp_operation* operation);
int32_t WaitForOperation(Stack* stack, sp_operation operation, int64_t timeout, sp_result* result);
int32_t CancelOperation(Stack* stack, sp_operation operation);
int32_t DisconnectAndWait(Stack* stack, sp_call* call);

}  // namespace sockproof::reference
