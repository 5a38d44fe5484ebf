// Which entries of Windows' catalogue of protocols sockets are made of.
#pragma once

#include <optional>
#include <string>

#include "system.h"

namespace sockproof::winsock {

/// Nothing said: the system's choice. Both said: an entry that is both.
struct Choice {
  std::optional<DWORD> id;       ///< WSAPROTOCOL_INFO.dwCatalogEntryId
  std::optional<GUID> provider;  ///< WSAPROTOCOL_INFO.ProviderId
};

/// `{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}`; false if it cannot be read.
bool ParseGuid(const std::string& text, GUID* out);

/// Whether something is chosen at all.
inline bool Chosen(const Choice& choice) { return choice.id || choice.provider; }

/// The first chosen entry of this address family and socket type, as WSAEnumProtocols lists them; false if there is none.
bool FindEntry(const Choice& choice, int family, int type, WSAPROTOCOL_INFOW* out);

/// Why no socket can ever be made of what is chosen, with the entries that there are; empty if one can. After WSAStartup.
std::string WhyNoEntry(const Choice& choice);

}  // namespace sockproof::winsock
