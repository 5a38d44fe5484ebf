// What the suite is handed beyond the interface (windows/controls.h): the portable provider's own groups, with SOCKETs as
// handles.
#include "windows/controls.h"

#include "reference/embedding.h"
#include "wsp-reference/host.h"

namespace sockproof::wsp_reference {
namespace {

int32_t Silence(void* self, sp_handle socket, int32_t on) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(static_cast<SOCKET>(socket.value), &context); error != SP_OK) return error;
  return Host::Get().table().network->silence(self, context->handle, on);
}

int32_t Capability(void* self, int32_t capability, const char** why) {
  return Host::Get().table().capability(self, capability, why);
}

int32_t Cancel(void*, sp_operation operation) { return CancelOverlapped(reinterpret_cast<LPWSAOVERLAPPED>(operation)); }

}  // namespace

const sp_provider* Host::Controls(void** self) {
  static sp_network_group network;
  static sp_provider controls;
  if (!attended_) {
    reference::UseRealTime(self_, false);
    network = *table_.network;
    network.silence = Silence;
    controls.size = sizeof controls;
    controls.version = SP_API_VERSION;
    controls.name = table_.name;
    controls.text = table_.text;
    controls.capability = Capability;
    controls.cancel = Cancel;
    controls.threads = table_.threads;
    controls.clock = table_.clock;
    controls.scheduler = table_.scheduler;
    controls.network = &network;
    controls.limits = table_.limits;
    attended_ = true;
  }
  *self = self_;
  return &controls;
}

}  // namespace sockproof::wsp_reference
