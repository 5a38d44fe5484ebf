// The calls of the interface: arguments are checked here as a system call checks them, then the socket does its part.
#pragma once

#include <cstdint>

#include "reference/address.h"
#include "reference/file.h"
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

// transfers.cpp
int32_t SendCall(Stack* stack, const Hold& file, sp_transfer_args* args, int64_t* value);
int32_t RecvCall(Stack* stack, const Hold& file, sp_transfer_args* args, int64_t* value);

}  // namespace sockproof::reference
