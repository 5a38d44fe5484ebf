// Child processes.
#pragma once

namespace sockproof::posix {

struct Adapter;

// Ends and collects the children that are left.
void EndChildren(Adapter& adapter);

}  // namespace sockproof::posix
