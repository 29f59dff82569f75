/* io/idx.h: IDX files, the format of MNIST: 0 0 type n_dims, the dimensions (32 bit, most significant byte first), then
 * bytes. Source: the MNIST page of LeCun, Cortes and Burges. Plain or packed with gzip.
 *
 *     gen_idx images;
 *     GEN_TRY(gen_idx_read(file.data, file.size, arena, &images, err));          // dims 60000 28 28
 *     const uint8_t *digit = images.data + 28 * 28 * i;
 */
#ifndef GEN_IO_IDX_H
#define GEN_IO_IDX_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_IDX_MAX_DIMS = 4 };

typedef struct gen_idx {
    int32_t n_dims;
    int32_t dims[GEN_IDX_MAX_DIMS]; /* slowest first */
    uint8_t *data;
    size_t size; /* product of dims */
} gen_idx;

/* Unsigned bytes only; other types give GEN_UNSUPPORTED. A plain file's data are not copied: they live as long as the
 * bytes given. */
gen_status gen_idx_read(void *data, size_t size, gen_arena *arena, gen_idx *out, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
