// The calls of the interface: arguments are checked here as a system call checks them, then the socket does its part.
#pragma once

#include <cstdint>
#include <memory>

#include "reference/address.h"
#include "reference/file.h"
#include "reference/handle_table.h"
#include "sockproof/provider.h"

namespace sockproof::reference {

class Stack;
class Socket;

void CarryOut(Stack* stack, sp_call* call, sp_result* result);

// The file of a handle; the profile's error for one that is not open.
int32_t FindFile(Stack* stack, const sp_handle& handle, Hold* file);
// An address that a call is given: SP_EFAULT or the error of a length that cannot be; SP_NOT_SUPPORTED for a family that has no
// address here.
int32_t ReadAddress(const Stack& stack, const sp_address_in& in, AddressArgument* out);

// Whether the profile has this capability.
bool Offers(const Stack& stack, int32_t capability);

// creation.cpp
int32_t CallSocket(Stack* stack, const sp_socket_args& args, sp_result* result);
int32_t CallSocketpair(Stack* stack, sp_socketpair_args* args, sp_result* result);
int32_t CheckModes(uint32_t modes);  // of what is being made
sp_handle Install(Stack* stack, std::shared_ptr<File> file, uint32_t modes);

// handle_calls.cpp
int32_t CallSetMode(HandleTable::Entry* entry, const sp_mode_args& args);
int64_t Modes(const HandleTable::Entry& entry);
int32_t CallDuplicate(Stack* stack, const sp_handle& handle, const Hold& file, const sp_duplicate_args& args, sp_result* result);
int32_t CallClose(Stack* stack, const sp_handle& handle);

// transfers.cpp
int32_t SendCall(Stack* stack, const Hold& file, sp_transfer_args* args, int64_t* value);
int32_t RecvCall(Stack* stack, const Hold& file, sp_transfer_args* args, int64_t* value);

}  // namespace sockproof::reference
