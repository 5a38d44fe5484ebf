/* The provider of the socket calls of this machine's C library. */
#ifndef SOCKPROOF_POSIX_H
#define SOCKPROOF_POSIX_H

#include "sockproof/provider.h"

#ifdef __cplusplus
extern "C" {
#endif

const struct sp_provider* sockproof_posix_provider(void);

#ifdef __cplusplus
}
#endif
#endif
