#include "catalogue.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

namespace sockproof::winsock {
namespace {

std::vector<WSAPROTOCOL_INFOW> Catalogue() {
  DWORD length = 0;
  ::WSAEnumProtocolsW(nullptr, nullptr, &length);
  std::vector<WSAPROTOCOL_INFOW> all(length / sizeof(WSAPROTOCOL_INFOW) + 1);
  length = static_cast<DWORD>(all.size() * sizeof(WSAPROTOCOL_INFOW));
  const int count = ::WSAEnumProtocolsW(nullptr, all.data(), &length);
  all.resize(static_cast<std::size_t>(std::max(count, 0)));
  return all;
}

bool Matches(const Choice& choice, const WSAPROTOCOL_INFOW& entry) {
  return (!choice.id || entry.dwCatalogEntryId == *choice.id) &&
         (!choice.provider || std::memcmp(&entry.ProviderId, &*choice.provider, sizeof(GUID)) == 0);
}

std::string Text(const GUID& guid) {
  char text[40];
  std::snprintf(text, sizeof text, "{%08lX-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X}", guid.Data1, guid.Data2, guid.Data3,
                guid.Data4[0], guid.Data4[1], guid.Data4[2], guid.Data4[3], guid.Data4[4], guid.Data4[5], guid.Data4[6],
                guid.Data4[7]);
  return text;
}

std::string Text(const WSAPROTOCOL_INFOW& entry) {
  std::string name;
  for (const wchar_t* at = entry.szProtocol; *at != L'\0'; ++at) name += *at < 0x80 ? static_cast<char>(*at) : '?';
  return std::to_string(entry.dwCatalogEntryId) + " " + Text(entry.ProviderId) + " " + name;
}

}  // namespace

bool ParseGuid(const std::string& text, GUID* out) {
  unsigned long first = 0;
  unsigned second = 0, third = 0, rest[8] = {};
  int end = 0;
  const int found = std::sscanf(text.c_str(), "{%8lx-%4x-%4x-%2x%2x-%2x%2x%2x%2x%2x%2x}%n", &first, &second, &third, &rest[0],
                                &rest[1], &rest[2], &rest[3], &rest[4], &rest[5], &rest[6], &rest[7], &end);
  if (found != 11 || text.size() != 38 || end != 38) return false;
  out->Data1 = first;
  out->Data2 = static_cast<unsigned short>(second);
  out->Data3 = static_cast<unsigned short>(third);
  for (int i = 0; i < 8; ++i) out->Data4[i] = static_cast<unsigned char>(rest[i]);
  return true;
}

bool FindEntry(const Choice& choice, int family, int type, WSAPROTOCOL_INFOW* out) {
  for (const WSAPROTOCOL_INFOW& entry : Catalogue()) {
    if (!Matches(choice, entry) || entry.iAddressFamily != family || entry.iSocketType != type) continue;
    *out = entry;
    return true;
  }
  return false;
}

std::string WhyNoEntry(const Choice& choice) {
  const std::vector<WSAPROTOCOL_INFOW> all = Catalogue();
  if (std::any_of(all.begin(), all.end(), [&](const WSAPROTOCOL_INFOW& entry) { return Matches(choice, entry); })) return {};
  std::string why = "the catalogue of protocols has no entry";
  if (choice.id) why += " " + std::to_string(*choice.id);
  if (choice.provider) why += " of provider " + Text(*choice.provider);
  why += "; it has:";
  for (const WSAPROTOCOL_INFOW& entry : all) why += "\n  " + Text(entry);
  return why;
}

}  // namespace sockproof::winsock
