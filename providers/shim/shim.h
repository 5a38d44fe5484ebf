// The shim provider: `shim:COMMAND`, `shim:tcp:HOST:PORT`, `shim:unix:PATH`. docs/shim-protocol.md is the protocol.
#pragma once

#include <string>

#include "sockproof/provider.h"

extern "C" const struct sp_provider* sockproof_shim_provider(void);

namespace sockproof::shim {

// What a shim can do to a scenario that no result of a call could say.
enum class Trouble {
  died,   // its process has ended, or its connection: the implementation under test crashed
  broke,  // it does not keep to the protocol: nothing that it says is worth anything
};

// Called in whichever thread waits for an answer of the shim, `what` saying what happened and where. It must not return. Without
// one, `what` goes to standard error and the process ends.
using OnTrouble = void (*)(Trouble trouble, const std::string& what);
void SetOnTrouble(OnTrouble on_trouble);

}  // namespace sockproof::shim
