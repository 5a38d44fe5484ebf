// Text names of the enumerations of provider.h, both ways. One table each, made from the header's own lists.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sockproof/provider.h"

namespace sockproof {

// "ECONNREFUSED" for SP_ECONNREFUSED; "ok", "UNKNOWN" and "NOT_SUPPORTED" for the three that are no errors of a stack.
std::string_view ErrorName(int32_t error);
std::optional<int32_t> ErrorByName(std::string_view name);

std::string_view OpName(uint32_t op);  // "listen", "get_option"
std::optional<uint32_t> OpByName(std::string_view name);

std::string_view OptionName(int32_t option);  // "SO_ERROR"
std::optional<int32_t> OptionByName(std::string_view name);

std::string_view CapabilityName(int32_t capability);  // "unix_seqpacket"

std::string_view FamilyName(int32_t family);
std::optional<int32_t> FamilyByName(std::string_view name);

std::string_view MechanismName(int32_t mechanism);
std::optional<int32_t> MechanismByName(std::string_view name);

// Bit sets, "a|b"; "0" when empty. Bits without a name are printed as a number.
std::string EventNames(uint32_t events);
std::string MessageFlagNames(uint32_t flags);
std::string ModeNames(uint32_t modes);
std::optional<uint32_t> EventsByName(std::string_view text);
std::optional<uint32_t> MessageFlagsByName(std::string_view text);
std::optional<uint32_t> ModesByName(std::string_view text);

}  // namespace sockproof
