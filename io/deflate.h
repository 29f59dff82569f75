/* io/deflate.h: zlib with our allocator and with bounds that the caller knows. For the codecs of io.
 *
 *     GEN_TRY(gen_gunzip(file.data, file.size, header, 16, &got, &more, err));      // the first 16 bytes
 */
#ifndef GEN_IO_DEFLATE_H
#define GEN_IO_DEFLATE_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* No deflate stream expands by more than this (258 bytes from 2 bits): a claim beyond it is a lie. */
#define GEN_DEFLATE_MAX_RATIO 1032

int gen_is_gzip(const void *data, size_t size);

/* Unpacks at most out_size bytes. got: bytes written; more: whether the stream goes on. GEN_BAD_FILE when it is damaged
 * or cut. */
gen_status gen_gunzip(const void *data, size_t size, void *out, size_t out_size, size_t *got, int *more,
                      gen_error *err);

/* Plain deflate, as in zip files, to exactly out_size bytes. */
gen_status gen_inflate_raw(const void *data, size_t size, void *out, size_t out_size, gen_error *err);

/* The same for the zlib format (RFC 1950). */
gen_status gen_inflate(const void *data, size_t size, void *out, size_t out_size, size_t *got, int *more,
                       gen_error *err);

/* zlib format (RFC 1950), as PNG wants it. */
gen_status gen_deflate(const void *data, size_t size, gen_arena *arena, gen_bytes *out, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
