/* The provider of this machine's Windows Sockets (ws2_32 and mswsock).
 *
 * Its argument: nothing, or words separated by commas.
 *   port         overlapped operations report to a completion port; otherwise to an event each
 *   id=N         sockets of the catalogue entry N (WSAPROTOCOL_INFO.dwCatalogEntryId)
 *   guid={...}   sockets of the first catalogue entry of this provider that has the family and the type
 */
#ifndef SOCKPROOF_WINSOCK_H
#define SOCKPROOF_WINSOCK_H

#include "sockproof/provider.h"

#ifdef __cplusplus
extern "C" {
#endif

const struct sp_provider* sockproof_winsock_provider(void);

#ifdef __cplusplus
}
#endif
#endif
