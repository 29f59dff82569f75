/* io/mat.h: MATLAB's .mat files of level 5 (format: "MAT-File Format", MathWorks), as far as data sets need it: matrices of
 * numbers and cell arrays of them, packed or not.
 *
 *     gen_mat mat;
 *     GEN_TRY(gen_mat_read(file.data, file.size, arena, &mat, err));
 *     const gen_mat_array *train = gen_mat_find(&mat, "traindata");       // cells, each a roll [T,88]
 *     double on = gen_mat_at(&train->cells[0], t + key * train->cells[0].dims[0]);
 */
#ifndef GEN_IO_MAT_H
#define GEN_IO_MAT_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_MAT_MAX_DIMS = 8 };
#define GEN_MAT_MAX_BYTES ((size_t)1 << 30) /* of what reading a file may take, unpacked */

/* A matrix, or cells. Column by column: element (i, j) of a matrix [m,n] is number i + m j. */
typedef struct gen_mat_array {
    char name[64]; /* "" in a cell */
    int32_t n_dims;
    int64_t dims[GEN_MAT_MAX_DIMS];
    size_t n;                    /* product of dims */
    struct gen_mat_array *cells; /* [n], or NULL: numbers */
    const uint8_t *values;       /* as the file has them, little endian: see gen_mat_at */
    int32_t type, item_bytes;
} gen_mat_array;

typedef struct gen_mat {
    gen_mat_array *arrays; /* the variables that gen can read */
    size_t n_arrays;
    size_t n_left_out; /* variables of other kinds: texts, structures, sparse matrices … */
} gen_mat;

/* Little endian files. What is packed is unpacked into the arena (at most GEN_MAT_MAX_BYTES, and never more than zlib can
 * make of the bytes there are); the rest stays in data, which must outlive the result. GEN_BAD_FILE says where. */
gen_status gen_mat_read(const void *data, size_t size, gen_arena *arena, gen_mat *out, gen_error *err);

const gen_mat_array *gen_mat_find(const gen_mat *mat, const char *name); /* NULL: no such variable */

/* Number i of a matrix, 0 <= i < n. */
double gen_mat_at(const gen_mat_array *array, size_t i);

#ifdef __cplusplus
}
#endif
#endif
