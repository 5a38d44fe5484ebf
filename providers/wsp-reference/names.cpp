// WSPAddressToString and WSPStringToAddress: numbers alone, as these two do not ask anybody for names.
#include <algorithm>
#include <cstring>
#include <cwchar>
#include <string>

#include "windows/memory.h"
#include "wsp-reference/host.h"

namespace sockproof::wsp_reference {
namespace {

std::wstring Inet(const uint8_t* bytes) {
  std::wstring text;
  for (int i = 0; i < 4; ++i) text += (i > 0 ? L"." : L"") + std::to_wstring(bytes[i]);
  return text;
}

// RFC 5952: the longest run of zero groups is left out.
std::wstring Inet6(const uint8_t* bytes) {
  unsigned groups[8];
  for (int i = 0; i < 8; ++i) groups[i] = static_cast<unsigned>(bytes[2 * i]) << 8 | bytes[2 * i + 1];
  int best = -1, best_length = 1;
  for (int i = 0; i < 8; ++i) {
    int length = 0;
    while (i + length < 8 && groups[i + length] == 0) ++length;
    if (length > best_length) {
      best = i;
      best_length = length;
    }
  }
  std::wstring text;
  for (int i = 0; i < 8; ++i) {
    if (i == best) {
      text += L"::";
      i += best_length - 1;
      continue;
    }
    if (!text.empty() && text.back() != L':') text += L':';
    wchar_t group[8];
    std::swprintf(group, 8, L"%x", groups[i]);
    text += group;
  }
  return text;
}

bool ReadInet(const std::wstring& text, uint8_t* bytes) {
  std::size_t at = 0;
  for (int i = 0; i < 4; ++i) {
    unsigned value = 0;
    std::size_t digits = 0;
    for (; at < text.size() && text[at] >= L'0' && text[at] <= L'9' && digits < 4; ++at, ++digits) {
      value = value * 10 + static_cast<unsigned>(text[at] - L'0');
    }
    if (digits == 0 || value > 255) return false;
    bytes[i] = static_cast<uint8_t>(value);
    if (i < 3 && (at >= text.size() || text[at++] != L'.')) return false;
  }
  return at == text.size();
}

bool ReadGroups(const std::wstring& text, unsigned* groups, int* count) {
  *count = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(L':', at), text.size());
    if (end == at || end - at > 4 || *count == 8) return false;
    wchar_t* rest = nullptr;
    const std::wstring group = text.substr(at, end - at);
    groups[(*count)++] = static_cast<unsigned>(std::wcstoul(group.c_str(), &rest, 16));
    if (*rest != L'\0') return false;
    if (end == text.size()) return true;
    at = end + 1;
    if (at == text.size()) return false;
  }
  return true;
}

bool ReadInet6(const std::wstring& text, uint8_t* bytes) {
  const std::size_t gap = text.find(L"::");
  unsigned front[8] = {}, back[8] = {};
  int front_count = 0, back_count = 0;
  if (!ReadGroups(text.substr(0, gap), front, &front_count)) return false;
  if (gap != std::wstring::npos && !ReadGroups(text.substr(gap + 2), back, &back_count)) return false;
  if (gap == std::wstring::npos ? front_count != 8 : front_count + back_count > 7) return false;
  std::memset(bytes, 0, 16);
  const auto put = [&](int place, unsigned group) {
    bytes[2 * place] = static_cast<uint8_t>(group >> 8);
    bytes[2 * place + 1] = static_cast<uint8_t>(group);
  };
  for (int i = 0; i < front_count; ++i) put(i, front[i]);
  for (int i = 0; i < back_count; ++i) put(8 - back_count + i, back[i]);
  return true;
}

bool ReadPort(const std::wstring& text, uint16_t* port) {
  unsigned value = 0;
  if (text.empty() || text.size() > 5) return false;
  for (const wchar_t digit : text) {
    if (digit < L'0' || digit > L'9') return false;
    value = value * 10 + static_cast<unsigned>(digit - L'0');
  }
  *port = static_cast<uint16_t>(value);
  return value <= 65535;
}

bool ReadAddress(const std::wstring& text, int32_t family, sp_address* out) {
  *out = sp_address{};
  out->family = family;
  if (family == SP_INET) {
    const std::size_t colon = text.find(L':');
    if (colon != std::wstring::npos && !ReadPort(text.substr(colon + 1), &out->port)) return false;
    return ReadInet(text.substr(0, colon), out->bytes);
  }
  if (text.empty() || text[0] != L'[') return ReadInet6(text, out->bytes);
  const std::size_t close = text.find(L"]");
  if (close == std::wstring::npos) return false;
  const std::wstring port = text.substr(close + 1);
  if (!port.empty() && (port[0] != L':' || !ReadPort(port.substr(1), &out->port))) return false;
  return ReadInet6(text.substr(1, close - 1), out->bytes);
}

}  // namespace

INT WSPAPI AddressToText(LPSOCKADDR address, DWORD length, LPWSAPROTOCOL_INFOW, LPWSTR text, LPDWORD text_length, LPINT code) {
  if (!Host::Get().started()) return Finish(SP_NOTINITIALISED, code);
  if (!windows::CanRead(address, length) || !windows::CanWrite(text_length, sizeof *text_length)) return Finish(SP_EFAULT, code);
  sp_address decoded{};
  if (!windows::Decode(address, static_cast<int>(length), &decoded)) return Finish(SP_EINVAL, code);
  if (decoded.family != SP_INET && decoded.family != SP_INET6) return Finish(SP_EINVAL, code);
  std::wstring whole = decoded.family == SP_INET ? Inet(decoded.bytes) : Inet6(decoded.bytes);
  if (decoded.port != 0) {
    if (decoded.family == SP_INET6) whole = L"[" + whole + L"]";
    whole += L":" + std::to_wstring(decoded.port);
  }
  const DWORD needed = static_cast<DWORD>(whole.size() + 1), room = *text_length;
  *text_length = needed;
  if (room < needed || !windows::CanWrite(text, needed * sizeof(wchar_t))) return Finish(SP_EFAULT, code);
  std::copy_n(whole.c_str(), needed, text);
  return 0;
}

INT WSPAPI TextToAddress(LPWSTR text, INT family, LPWSAPROTOCOL_INFOW, LPSOCKADDR address, LPINT length, LPINT code) {
  if (!Host::Get().started()) return Finish(SP_NOTINITIALISED, code);
  if (!windows::CanRead(text, sizeof(wchar_t)) || !windows::CanWrite(length, sizeof *length)) return Finish(SP_EFAULT, code);
  const int32_t neutral = windows::FamilyOf(family);
  sp_address decoded{};
  if ((neutral != SP_INET && neutral != SP_INET6) || !ReadAddress(text, neutral, &decoded)) return Finish(SP_EINVAL, code);
  windows::AnyAddress encoded;
  const int needed = windows::Encode(decoded, &encoded), room = *length;
  *length = needed;
  if (room < needed || !windows::CanWrite(address, static_cast<std::size_t>(needed))) return Finish(SP_EFAULT, code);
  std::memcpy(address, &encoded, static_cast<std::size_t>(needed));
  return 0;
}

}  // namespace sockproof::wsp_reference
