// All faults by name, and how one is put into a provider.
#pragma once

#include <string>
#include <vector>

#include "faulty/fault.h"

namespace sockproof::faulty {

std::vector<const Fault*> AllFaults();            // in the order of their names
const Fault* FindFault(const std::string& name);  // null: there is none of this name

// Puts a fault before an open provider: `call`, `begin` and `wait` of its table become the wrapper's, everything else stays as it
// is. Once a process, as a provider is opened. `fault` null changes nothing in what comes out: what the wrapper costs can be
// measured so.
void Wrap(const Fault* fault, sp_provider* table, void* self);
// Forgets the wrapper, after which Wrap may be called again. Once the provider is closed, and no thread is in a call.
void Unwrap();

}  // namespace sockproof::faulty
