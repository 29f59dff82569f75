/* MAT-files of level 5: a header of 128 bytes, then elements: tag (type, size), data, filled up to 8 bytes. A matrix is an
 * element whose data are elements: flags, sizes, name, values; the values of a cell array are matrices. An element of type
 * 15 is another one, packed by zlib. */
#include "io/mat.h"

#include "io/deflate.h"

#include <stdio.h>
#include <string.h>

enum { HEADER_BYTES = 128, MOST_DEPTH = 4, LEAST_MATRIX_BYTES = 8 };
enum {
    MI_INT8 = 1,
    MI_UINT8,
    MI_INT16,
    MI_UINT16,
    MI_INT32,
    MI_UINT32,
    MI_SINGLE,
    MI_DOUBLE = 9,
    MI_INT64 = 12,
    MI_UINT64
};
enum { MI_MATRIX = 14, MI_PACKED = 15 };
enum { MX_CELL = 1, MX_DOUBLE = 6, MX_UINT64 = 15, FLAG_COMPLEX = 8 };

typedef struct span {
    const uint8_t *at, *end;
} span;

typedef struct element {
    uint32_t type;
    span data;
} element;

typedef struct reader {
    gen_arena *arena;
    size_t unpacked;   /* bytes taken, of GEN_MAT_MAX_BYTES */
    const char *where; /* the variable, for messages */
    gen_error *err;
} reader;

static uint32_t u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static size_t length_of(span s)
{
    return (size_t)(s.end - s.at);
}

static gen_status damaged(const reader *r, const char *what)
{
    return gen_fail(r->err, GEN_BAD_FILE, "MAT-file: %s%s%s", what, *r->where ? " in variable " : "", r->where);
}

/* The next element of s, which goes on after it. Those of at most 4 bytes may be packed into their tag. */
static gen_status take(reader *r, span *s, element *out)
{
    if (length_of(*s) < 8) return damaged(r, "an element is cut short");
    uint32_t type = u32(s->at), n = u32(s->at + 4);
    size_t small = type >> 16;
    if (small) {
        if (small > 4) return damaged(r, "a small element of more than 4 bytes");
        *out = (element){ type & 0xFFFF, { s->at + 4, s->at + 4 + small } };
        s->at += 8;
        return GEN_OK;
    }
    s->at += 8;
    if (n > length_of(*s)) return damaged(r, "an element is longer than what is left");
    *out = (element){ type, { s->at, s->at + n } };
    size_t padded = type == MI_PACKED ? n : ((size_t)n + 7) / 8 * 8;
    s->at += padded < length_of(*s) ? padded : length_of(*s);
    return GEN_OK;
}

static int32_t bytes_of(uint32_t type)
{
    switch (type) {
    case MI_INT8:
    case MI_UINT8: return 1;
    case MI_INT16:
    case MI_UINT16: return 2;
    case MI_INT32:
    case MI_UINT32:
    case MI_SINGLE: return 4;
    case MI_DOUBLE:
    case MI_INT64:
    case MI_UINT64: return 8;
    default: return 0;
    }
}

static gen_status take_dims(reader *r, span *s, gen_mat_array *a)
{
    element e = { 0 };
    GEN_TRY(take(r, s, &e));
    size_t n = length_of(e.data) / 4;
    int empty = 0;
    if (e.type != MI_INT32 || n < 2 || n > GEN_MAT_MAX_DIMS) return damaged(r, "sizes should be 2 to 8 whole numbers");
    a->n_dims = (int32_t)n;
    a->n = 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t dim = u32(e.data.at + 4 * i);
        if (dim > INT32_MAX || (dim && a->n > SIZE_MAX / 16 / dim)) return damaged(r, "a size is too large");
        a->dims[i] = dim;
        if (dim) a->n *= dim;
        else empty = 1;
    }
    if (empty) a->n = 0;
    return GEN_OK;
}

static gen_status take_name(reader *r, span *s, gen_mat_array *a)
{
    element e = { 0 };
    GEN_TRY(take(r, s, &e));
    size_t n = length_of(e.data);
    if (e.type != MI_INT8 || n >= sizeof a->name) return damaged(r, "a name should have at most 63 letters");
    memcpy(a->name, e.data.at, n);
    a->name[n] = 0;
    return GEN_OK;
}

static gen_status take_numbers(reader *r, span *s, gen_mat_array *a)
{
    element e = { 0 };
    GEN_TRY(take(r, s, &e));
    a->type = (int32_t)e.type;
    a->item_bytes = bytes_of(e.type);
    if (!a->item_bytes) return damaged(r, "values of an unknown type");
    if (length_of(e.data) / (size_t)a->item_bytes < a->n) return damaged(r, "fewer values than the sizes promise");
    a->values = e.data.at;
    return GEN_OK;
}

static gen_status read_matrix(reader *r, span s, int depth, gen_mat_array *a, int *known);

/* Each cell takes at least its tag: so the number of cells that a file can claim is bounded by its size. */
static gen_status take_cells(reader *r, span *s, int depth, gen_mat_array *a, int *known)
{
    if (depth == MOST_DEPTH) return damaged(r, "cells in cells in cells");
    if (a->n > length_of(*s) / LEAST_MATRIX_BYTES) return damaged(r, "fewer cells than the sizes promise");
    if (a->n > (GEN_MAT_MAX_BYTES - r->unpacked) / sizeof *a->cells) return damaged(r, "too many cells");
    r->unpacked += a->n * sizeof *a->cells;
    a->cells = gen_arena_alloc(r->arena, a->n * sizeof *a->cells);
    if (!a->cells) return gen_fail(r->err, GEN_NO_MEMORY, "no memory for %zu cells of a MAT-file", a->n);
    for (size_t i = 0; i < a->n; i++) {
        element e = { 0 };
        GEN_TRY(take(r, s, &e));
        if (e.type != MI_MATRIX) return damaged(r, "a cell that is no matrix");
        GEN_TRY(read_matrix(r, e.data, depth + 1, &a->cells[i], known));
    }
    return GEN_OK;
}

/* *known becomes 0 when a matrix is of a kind that is not read. An empty element is an empty matrix. */
static gen_status read_matrix(reader *r, span s, int depth, gen_mat_array *a, int *known)
{
    element flags = { 0 };
    memset(a, 0, sizeof *a);
    if (s.at == s.end) {
        a->n_dims = 2, a->type = MI_UINT8, a->item_bytes = 1, a->values = s.at;
        return GEN_OK;
    }
    GEN_TRY(take(r, &s, &flags));
    if (flags.type != MI_UINT32 || length_of(flags.data) < 8) return damaged(r, "a matrix should begin with its flags");
    int kind = flags.data.at[0], complex = flags.data.at[1] & FLAG_COMPLEX;
    GEN_TRY(take_dims(r, &s, a));
    GEN_TRY(take_name(r, &s, a));
    if (depth == 0) r->where = a->name;
    if (kind == MX_CELL) return take_cells(r, &s, depth, a, known);
    if (kind >= MX_DOUBLE && kind <= MX_UINT64 && !complex) return take_numbers(r, &s, a);
    *known = 0;
    return GEN_OK;
}

/* The first 8 bytes say how long the rest is: memory is asked for when zlib could make so much of what there is. */
static gen_status unpack(reader *r, span packed, span *out)
{
    uint8_t tag[8];
    size_t got;
    int more;
    GEN_TRY(gen_inflate(packed.at, length_of(packed), tag, sizeof tag, &got, &more, r->err));
    if (got < sizeof tag) return damaged(r, "a packed element is cut short");
    size_t n = 8 + (size_t)u32(tag + 4);
    if (u32(tag) != MI_MATRIX || n / GEN_DEFLATE_MAX_RATIO > length_of(packed) || n > GEN_MAT_MAX_BYTES - r->unpacked)
        return damaged(r, "a packed element that is no matrix, or larger than it can be");
    r->unpacked += n;
    uint8_t *whole = gen_arena_alloc(r->arena, n);
    if (!whole) return gen_fail(r->err, GEN_NO_MEMORY, "no memory for the %zu bytes of a packed matrix", n);
    GEN_TRY(gen_inflate(packed.at, length_of(packed), whole, n, &got, &more, r->err));
    if (got < n) return damaged(r, "a packed element is cut short");
    *out = (span){ whole + 8, whole + n };
    return GEN_OK;
}

static gen_status read_variable(reader *r, element e, gen_mat *mat)
{
    int known = 1;
    span matrix = e.data;
    r->where = "";
    if (e.type == MI_PACKED) GEN_TRY(unpack(r, e.data, &matrix));
    else if (e.type != MI_MATRIX) return damaged(r, "an element that is no variable");
    GEN_TRY(read_matrix(r, matrix, 0, &mat->arrays[mat->n_arrays], &known));
    if (known) mat->n_arrays++;
    else mat->n_left_out++;
    return GEN_OK;
}

static gen_status check_header(const uint8_t *d, size_t size, gen_error *err)
{
    if (size >= 8 && !memcmp(d, "\x89HDF\r\n\x1a\n", 8))
        return gen_fail(err, GEN_UNSUPPORTED, "MAT-file of version 7.3 (HDF5); save it with -v7");
    if (size < HEADER_BYTES || memcmp(d, "MATLAB 5.0", 10))
        return gen_fail(err, GEN_BAD_FILE,
                        "MAT-file: the file should start with 'MATLAB 5.0' and have a header of %d "
                        "bytes; it has %zu bytes",
                        HEADER_BYTES, size);
    if (d[126] == 'I' && d[127] == 'M') return GEN_OK;
    if (d[126] == 'M' && d[127] == 'I') return gen_fail(err, GEN_UNSUPPORTED, "MAT-file: it is in big endian order");
    return gen_fail(err, GEN_BAD_FILE, "MAT-file: bytes 126 and 127 should be IM");
}

static size_t count_variables(span s)
{
    size_t n = 0;
    element e = { 0 };
    reader r = { .where = "" };
    while (s.at < s.end && take(&r, &s, &e) == GEN_OK) n++;
    return n;
}

gen_status gen_mat_read(const void *data, size_t size, gen_arena *arena, gen_mat *out, gen_error *err)
{
    const uint8_t *d = data;
    gen_mat mat = { 0 };
    reader r = { .arena = arena, .where = "", .err = err };
    GEN_TRY(check_header(d, size, err));
    span s = { d + HEADER_BYTES, d + size };
    size_t n = count_variables(s);
    mat.arrays = gen_arena_alloc(arena, n * sizeof *mat.arrays);
    if (!mat.arrays) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu variables of a MAT-file", n);
    while (s.at < s.end) {
        element e = { 0 };
        r.where = "";
        GEN_TRY(take(&r, &s, &e));
        GEN_TRY(read_variable(&r, e, &mat));
    }
    *out = mat;
    return GEN_OK;
}

const gen_mat_array *gen_mat_find(const gen_mat *mat, const char *name)
{
    for (size_t i = 0; i < mat->n_arrays; i++)
        if (!strcmp(mat->arrays[i].name, name)) return &mat->arrays[i];
    return NULL;
}

double gen_mat_at(const gen_mat_array *array, size_t i)
{
    const uint8_t *p = array->values + i * (size_t)array->item_bytes;
    uint64_t bits = 0;
    float f;
    double v;
    for (int32_t b = 0; b < array->item_bytes; b++) bits |= (uint64_t)p[b] << (8 * b);
    uint32_t low = (uint32_t)bits;
    switch (array->type) {
    case MI_INT8: return (int8_t)low;
    case MI_INT16: return (int16_t)low;
    case MI_INT32: return (int32_t)low;
    case MI_INT64: return (double)(int64_t)bits;
    case MI_SINGLE: return memcpy(&f, &low, 4), (double)f;
    case MI_DOUBLE: return memcpy(&v, &bits, 8), v;
    default: return (double)bits;
    }
}
