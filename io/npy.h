/* io/npy.h: arrays of NumPy (.npy, versions 1 and 2; format: numpy.lib.format), read as float, written as float32.
 *
 *     gen_npy x;
 *     GEN_TRY(gen_npy_read(file.data, file.size, arena, &x, err));               // x.dims[0..n_dims), x.values
 *     GEN_TRY(gen_npy_write(values, dims, 2, arena, &file, err));
 */
#ifndef GEN_IO_NPY_H
#define GEN_IO_NPY_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_NPY_MAX_DIMS = 8 };

typedef struct gen_npy {
    char type[4];   /* "f4" "f8" "u1" "i4" "i8" "b1": what the file holds */
    int32_t n_dims; /* 0 for a single number */
    int64_t dims[GEN_NPY_MAX_DIMS];
    size_t n;          /* product of dims */
    float *values;     /* 8-byte types are rounded to float; NULL for u1 */
    const uint8_t *u1; /* unsigned bytes are left as they are, in the bytes given to gen_npy_read; else NULL */
} gen_npy;

/* Little endian, C order; GEN_UNSUPPORTED names another type, byte order or Fortran order. */
gen_status gen_npy_read(const void *data, size_t size, gen_arena *arena, gen_npy *out, gen_error *err);
gen_status gen_npy_write(const float *values, const int64_t *dims, int32_t n_dims, gen_arena *arena, gen_bytes *out,
                         gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
