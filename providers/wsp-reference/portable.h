// The portable provider that this DLL carries, and the seeded fault that is put into it, if it was built with those.
#pragma once

#include "sockproof/provider.h"

namespace sockproof::wsp_reference {

const sp_provider* PortableProvider();
// Changes the table where the environment asks for a fault (SOCKPROOF_WSP_FAULT) and this DLL has faults.
void PutFault(sp_provider* table, void* self);

}  // namespace sockproof::wsp_reference
