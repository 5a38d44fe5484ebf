#include "wsp-reference/portable.h"

extern "C" const struct sp_provider* sockproof_reference_provider(void);

namespace sockproof::wsp_reference {

const sp_provider* PortableProvider() { return sockproof_reference_provider(); }

void PutFault(sp_provider*, void*) {}

}  // namespace sockproof::wsp_reference
