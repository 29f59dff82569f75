/* io/sha256.h: SHA-256 (FIPS 180-4), to check downloads.
 *
 *     char hex[GEN_SHA256_HEX];
 *     gen_sha256(data, size, hex);                    // "ba7816bf…", 64 digits and a zero
 */
#ifndef GEN_IO_SHA256_H
#define GEN_IO_SHA256_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_SHA256_HEX = 65 };

void gen_sha256(const void *data, size_t size, char hex[GEN_SHA256_HEX]);

#ifdef __cplusplus
}
#endif
#endif
