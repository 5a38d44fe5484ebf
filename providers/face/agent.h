// Other processes of a scenario. Each is this program in agent mode: it reads calls in their text form, a line each, carries them
// out with its own provider, and writes the results.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "face/host.h"
#include "face/socket.h"

namespace sockproof {

class Agent final : public Caller {
 public:
  // A copy of this process (fork): every handle is valid there under the same value.
  static std::unique_ptr<Agent> Fork(Where where = SOCKPROOF_HERE);
  // A fresh program (fork and exec): handles without SP_CLOSE_ON_EXEC are.
  static std::unique_ptr<Agent> Exec(Where where = SOCKPROOF_HERE);
  // Ends the process and waits for it. One that hangs in a call is killed, here or before that by the close of one of its
  // sockets.
  ~Agent() override;
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Carries out the call over there. One at a time; from several threads they queue up. One that does not come back within twice
  // Patience() ends the scenario as a failed step.
  void Call(sp_call* call, sp_result* result, const Payload* payload = nullptr) override;

  // A handle of that process. Attach owns it (closing it closes it there), Borrow does not.
  Socket Attach(const Socket& same_value_as) { return Socket(same_value_as.handle(), this); }
  Socket Attach(sp_handle handle) { return Socket(handle, this); }

  void Kill(Where where = SOCKPROOF_HERE);       // and waits until it is gone
  int32_t Finish(Where where = SOCKPROOF_HERE);  // asks it to end; its exit code
  int64_t process() const { return process_; }

 private:
  Agent() = default;
  static std::unique_ptr<Agent> Start(bool exec, Where where);
  void CloseEnds();
  struct Channel;
  std::unique_ptr<Channel> channel_;
  int64_t process_ = -1;
  bool running_ = false;
};

// Ends every agent of this process that still runs, whatever it is doing, and waits for none. For who leaves without unwinding.
void KillAgents();

// The other side: serves until its input ends. Returns the exit code.
int ServeAgent(int in, int out);

}  // namespace sockproof
