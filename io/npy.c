/* .npy: magic, version, header length, a Python dictionary {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), },
 * data. */
#include "io/npy.h"

#include <stdio.h>
#include <string.h>

enum { MAX_HEADER = 65536, ALIGN = 64 };

static const char magic[] = "\x93NUMPY";

typedef struct text {
    const char *at, *end;
} text;

static void skip_space(text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\t')) t->at++;
}

static int take(text *t, const char *word)
{
    size_t n = strlen(word);
    skip_space(t);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n)) return 0;
    t->at += n;
    return 1;
}

/* A quoted word of at most 15 characters. */
static int take_quoted(text *t, char out[16])
{
    size_t n = 0;
    if (!take(t, "'") && !take(t, "\"")) return 0;
    char quote = t->at[-1];
    while (t->at < t->end && *t->at != quote && n < 15) out[n++] = *t->at++;
    out[n] = 0;
    return t->at < t->end && *t->at++ == quote;
}

static int take_number(text *t, int64_t *out)
{
    int64_t value = 0;
    int digits = 0;
    skip_space(t);
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; digits++) {
        if (digits >= 18) return 0;
        value = value * 10 + (*t->at++ - '0');
    }
    *out = value;
    return digits > 0;
}

static int take_shape(text *t, gen_npy *npy)
{
    if (!take(t, "(")) return 0;
    while (!take(t, ")")) {
        if (npy->n_dims == GEN_NPY_MAX_DIMS || !take_number(t, &npy->dims[npy->n_dims])) return 0;
        npy->n_dims++;
        if (!take(t, ",")) return take(t, ")");
    }
    return 1;
}

typedef struct header {
    char descr[16];
    int has_order, fortran, has_shape;
} header;

static int take_entry(text *t, header *h, gen_npy *npy)
{
    char key[16];
    if (!take_quoted(t, key) || !take(t, ":")) return 0;
    if (!strcmp(key, "descr")) return take_quoted(t, h->descr);
    if (!strcmp(key, "fortran_order")) {
        h->has_order = 1;
        h->fortran = take(t, "True");
        return h->fortran || take(t, "False");
    }
    if (strcmp(key, "shape") || h->has_shape) return 0;
    h->has_shape = 1;
    return take_shape(t, npy);
}

static gen_status read_dictionary(text t, header *h, gen_npy *npy, gen_error *err)
{
    int ok = take(&t, "{");
    while (ok && !take(&t, "}")) ok = take_entry(&t, h, npy) && (take(&t, ",") || (t.at < t.end && *t.at == '}'));
    if (!ok || !h->descr[0] || !h->has_order || !h->has_shape)
        return gen_fail(
            err, GEN_BAD_FILE,
            "npy: the header should be a dictionary of a simple descr, fortran_order and shape of at most %d sizes",
            GEN_NPY_MAX_DIMS);
    if (h->fortran)
        return gen_fail(err, GEN_UNSUPPORTED,
                        "npy: the array is in Fortran order; save numpy.ascontiguousarray(x) instead");
    return GEN_OK;
}

static size_t type_bytes(const char *descr, char type[4])
{
    static const char *const types[] = { "<f4", "<f8", "|u1", "<i4", "<i8", "|b1" };
    static const size_t bytes[] = { 4, 8, 1, 4, 8, 1 };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(descr, types[i])) continue;
        snprintf(type, 4, "%s", types[i] + 1);
        return bytes[i];
    }
    return 0;
}

static gen_status count_values(gen_npy *npy, size_t item, size_t bytes, gen_error *err)
{
    size_t n = 1;
    int empty = 0;
    for (int32_t i = 0; i < npy->n_dims; i++) {
        size_t dim = (size_t)npy->dims[i];
        if (!dim) empty = 1;
        else if (n > SIZE_MAX / 16 / dim)
            return gen_fail(err, GEN_BAD_FILE, "npy: the sizes in the header are too large");
        else n *= dim;
    }
    npy->n = empty ? 0 : n;
    if (npy->n * item != bytes)
        return gen_fail(err, GEN_BAD_FILE,
                        "npy: the header promises %zu values of %zu bytes, the file has %zu bytes of data", npy->n,
                        item, bytes);
    return GEN_OK;
}

static uint64_t little_endian(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static float value_at(const uint8_t *p, const char *type, size_t item)
{
    uint64_t bits = little_endian(p, item);
    uint32_t low = (uint32_t)bits;
    float f;
    double d;
    if (type[0] == 'b') return bits ? 1.0F : 0.0F;
    if (type[0] == 'i') return item == 4 ? (float)(int32_t)low : (float)(int64_t)bits;
    if (item == 4) return memcpy(&f, &low, 4), f;
    return memcpy(&d, &bits, 8), (float)d;
}

static gen_status read_values(const uint8_t *data, size_t item, gen_arena *arena, gen_npy *npy, gen_error *err)
{
    if (!strcmp(npy->type, "u1")) {
        npy->u1 = data;
        return GEN_OK;
    }
    npy->values = gen_arena_alloc(arena, npy->n * sizeof *npy->values);
    if (!npy->values) return gen_fail(err, GEN_NO_MEMORY, "no memory for the %zu values of an npy file", npy->n);
    for (size_t i = 0; i < npy->n; i++) npy->values[i] = value_at(data + i * item, npy->type, item);
    return GEN_OK;
}

gen_status gen_npy_read(const void *data, size_t size, gen_arena *arena, gen_npy *out, gen_error *err)
{
    const uint8_t *d = data;
    gen_npy npy = { 0 };
    header h = { 0 };
    if (size < 12 || memcmp(d, magic, 6))
        return gen_fail(err, GEN_BAD_FILE, "npy: the file should start with \\x93NUMPY");
    if (d[6] != 1 && d[6] != 2) return gen_fail(err, GEN_UNSUPPORTED, "npy: version %d, gen reads 1 and 2", d[6]);
    size_t start = d[6] == 1 ? 10 : 12, length = (size_t)little_endian(d + 8, start - 8);
    if (length > MAX_HEADER || length > size - start)
        return gen_fail(err, GEN_BAD_FILE, "npy: a header of %zu bytes is not possible here", length);
    GEN_TRY(read_dictionary((text){ (const char *)d + start, (const char *)d + start + length }, &h, &npy, err));
    size_t item = type_bytes(h.descr, npy.type);
    if (!item)
        return gen_fail(err, GEN_UNSUPPORTED, "npy: values of type '%s'; gen reads <f4 <f8 |u1 <i4 <i8 |b1", h.descr);
    GEN_TRY(count_values(&npy, item, size - start - length, err));
    GEN_TRY(read_values(d + start + length, item, arena, &npy, err));
    *out = npy;
    return GEN_OK;
}

gen_status gen_npy_write(const float *values, const int64_t *dims, int32_t n_dims, gen_arena *arena, gen_bytes *out,
                         gen_error *err)
{
    char head[512];
    size_t n = 1;
    if (n_dims < 0 || n_dims > GEN_NPY_MAX_DIMS)
        return gen_fail(err, GEN_BAD_SHAPE, "npy: %d dimensions, at most %d are written", n_dims, GEN_NPY_MAX_DIMS);
    size_t at = (size_t)snprintf(head, sizeof head, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int32_t i = 0; i < n_dims; i++) {
        at += (size_t)snprintf(head + at, sizeof head - at, "%lld,%s", (long long)dims[i], i + 1 < n_dims ? " " : "");
        n *= (size_t)dims[i];
    }
    at += (size_t)snprintf(head + at, sizeof head - at, "), }");
    size_t length = (10 + at + 1 + ALIGN - 1) / ALIGN * ALIGN - 10; /* data start at a multiple of 64 */
    uint8_t *file = gen_arena_alloc(arena, 10 + length + n * 4);
    if (!file) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu values of an npy file", n);
    memcpy(file, magic, 6);
    file[6] = 1, file[8] = (uint8_t)length, file[9] = (uint8_t)(length >> 8);
    memset(file + 10, ' ', length);
    memcpy(file + 10, head, at);
    file[10 + length - 1] = '\n';
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], 4);
        for (size_t b = 0; b < 4; b++) file[10 + length + 4 * i + b] = (uint8_t)(bits >> (8 * b));
    }
    *out = (gen_bytes){ file, 10 + length + n * 4 };
    return GEN_OK;
}
