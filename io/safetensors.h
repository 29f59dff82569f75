/* io/safetensors.h: named tensors in one file: 8 bytes header length, a JSON header, data. Format: the README of
 * huggingface/safetensors.
 *
 *     gen_safetensors st;
 *     GEN_TRY(gen_safetensors_read(file.data, file.size, arena, &st, err));
 *     const gen_tensor_entry *w = gen_safetensors_find(&st, "enc.conv1.weight");
 *     gen_tensor_to_float(w, values);                                             // w->n floats
 *     GEN_TRY(gen_safetensors_write("step-1.safetensors", tensors, n_tensors, metadata, n_metadata, err));
 */
#ifndef GEN_IO_SAFETENSORS_H
#define GEN_IO_SAFETENSORS_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

// clang-format off
#define GEN_DTYPE_LIST(X) /* id, name in the file, bytes */ \
    X(F32,  "F32",  4)                                      \
    X(F64,  "F64",  8)                                      \
    X(F16,  "F16",  2)                                      \
    X(BF16, "BF16", 2)                                      \
    X(I64,  "I64",  8)                                      \
    X(I32,  "I32",  4)                                      \
    X(U8,   "U8",   1)                                      \
    X(BOOL, "BOOL", 1)
// clang-format on

typedef enum gen_dtype {
#define X(id, name, bytes) GEN_DTYPE_##id,
    GEN_DTYPE_LIST(X)
#undef X
} gen_dtype;

enum { GEN_TENSOR_MAX_DIMS = 8 };

typedef struct gen_tensor_entry {
    const char *name;
    gen_dtype dtype;
    int32_t n_dims;
    int64_t dims[GEN_TENSOR_MAX_DIMS];
    size_t n;         /* values: product of dims */
    const void *data; /* little endian, not aligned: in the bytes that were read */
} gen_tensor_entry;

typedef struct gen_metadata_entry {
    const char *key, *value;
} gen_metadata_entry;

typedef struct gen_safetensors {
    gen_tensor_entry *tensors; /* in the order of their data */
    size_t n_tensors;
    gen_metadata_entry *metadata; /* in the order of the file */
    size_t n_metadata;
} gen_safetensors;

/* Checks that data follow each other without gap or overlap to the end of the file and that no name occurs twice. A
 * dtype that is not in the list gives GEN_UNSUPPORTED. The header may have 100 MB. Names are in the arena, data in the
 * bytes given (map large files). */
gen_status gen_safetensors_read(const void *data, size_t size, gen_arena *arena, gen_safetensors *out, gen_error *err);

const gen_tensor_entry *gen_safetensors_find(const gen_safetensors *st, const char *name); /* NULL when there is none */
const char *gen_safetensors_metadata(const gen_safetensors *st, const char *key);          /* NULL when there is none */

const char *gen_dtype_name(gen_dtype dtype);
size_t gen_dtype_bytes(gen_dtype dtype);

/* The nearest number of half precision, ties to even: bits of an F16. */
uint16_t gen_half_from_float(float value);
/* Any dtype to float; 8-byte ones are rounded. */
void gen_tensor_to_float(const gen_tensor_entry *tensor, float *out);
/* I64, I32, U8 and BOOL as integers; GEN_BAD_FILE for floats. */
gen_status gen_tensor_to_int(const gen_tensor_entry *tensor, int64_t *out, gen_error *err);

/* Writes atomically; equal arguments give equal bytes. n and the order of the file are computed: tensors lie as given,
 * so 8-byte types should come first where alignment matters. data of F32 are floats, of I64 int64_t, of U8 bytes: in
 * the order of this machine. */
gen_status gen_safetensors_write(const char *path, const gen_tensor_entry *tensors, size_t n_tensors,
                                 const gen_metadata_entry *metadata, size_t n_metadata, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
