/* safetensors. Numbers are little endian in the file; writing refuses machines that are not. */
#include "io/safetensors.h"

#include "io/json.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HEADER 100000000U /* as the reference implementation */

const char *gen_dtype_name(gen_dtype dtype)
{
    static const char *const names[] = {
#define X(id, name, bytes) name,
        GEN_DTYPE_LIST(X)
#undef X
    };
    return names[dtype];
}

size_t gen_dtype_bytes(gen_dtype dtype)
{
    static const size_t sizes[] = {
#define X(id, name, bytes) bytes,
        GEN_DTYPE_LIST(X)
#undef X
    };
    return sizes[dtype];
}

/* ---- the header ---- */

typedef struct entry {
    gen_tensor_entry tensor;
    uint64_t begin, end;
} entry;

static gen_status fail_tensor(gen_error *err, const char *name, const char *what)
{
    return gen_fail(err, GEN_BAD_FILE, "safetensors: tensor \"%.100s\": %s", name, what);
}

static gen_status read_dtype(const gen_json *item, entry *e, gen_error *err)
{
    const char *text = gen_json_text(gen_json_get(item, "dtype"));
    if (!text) return fail_tensor(err, e->tensor.name, "a dtype was expected");
    for (int d = 0; d <= GEN_DTYPE_BOOL; d++) {
        if (strcmp(text, gen_dtype_name((gen_dtype)d))) continue;
        e->tensor.dtype = (gen_dtype)d;
        return GEN_OK;
    }
    return gen_fail(err, GEN_UNSUPPORTED,
                    "safetensors: tensor \"%.100s\" has dtype %.20s; gen reads F32 F64 F16 BF16 I64 I32 U8 BOOL",
                    e->tensor.name, text);
}

static gen_status read_shape(const gen_json *item, entry *e, gen_error *err)
{
    const gen_json *shape = gen_json_get(item, "shape");
    gen_tensor_entry *t = &e->tensor;
    size_t n = 1;
    int empty = 0;
    if (!gen_json_is_array(shape)) return fail_tensor(err, t->name, "a shape was expected");
    for (const gen_json *d = gen_json_first(shape); d; d = gen_json_next(d)) {
        int64_t dim;
        if (t->n_dims == GEN_TENSOR_MAX_DIMS) return fail_tensor(err, t->name, "more than 8 dimensions");
        if (!gen_json_to_int(d, &dim) || dim < 0)
            return fail_tensor(err, t->name, "the sizes in shape should be whole numbers");
        t->dims[t->n_dims++] = dim;
        if (!dim) empty = 1;
        else if (n > SIZE_MAX / 16 / (size_t)dim) return fail_tensor(err, t->name, "the shape is too large");
        else n *= (size_t)dim;
    }
    t->n = empty ? 0 : n;
    return GEN_OK;
}

static gen_status read_offsets(const gen_json *item, entry *e, uint64_t data_size, gen_error *err)
{
    const gen_json *offsets = gen_json_get(item, "data_offsets"),
                   *first = gen_json_is_array(offsets) ? gen_json_first(offsets) : NULL;
    const gen_json *second = first ? gen_json_next(first) : NULL;
    int64_t begin, end;
    if (!second || gen_json_next(second) || !gen_json_to_int(first, &begin) || !gen_json_to_int(second, &end) ||
        begin < 0 || end < begin)
        return fail_tensor(err, e->tensor.name, "data_offsets should be [begin, end]");
    if ((uint64_t)end > data_size)
        return gen_fail(err, GEN_BAD_FILE,
                        "safetensors: tensor \"%.100s\" ends at byte %lld of the data, but there are only %llu: the "
                        "file is cut short",
                        e->tensor.name, (long long)end, (unsigned long long)data_size);
    if ((uint64_t)(end - begin) != (uint64_t)e->tensor.n * gen_dtype_bytes(e->tensor.dtype))
        return gen_fail(err, GEN_BAD_FILE, "safetensors: tensor \"%.100s\" has %zu values of %s but %lld bytes",
                        e->tensor.name, e->tensor.n, gen_dtype_name(e->tensor.dtype), (long long)(end - begin));
    e->begin = (uint64_t)begin, e->end = (uint64_t)end;
    return GEN_OK;
}

static gen_status read_tensor(const gen_json *item, const uint8_t *data, uint64_t data_size, gen_arena *arena, entry *e,
                              gen_error *err)
{
    e->tensor.name = gen_arena_strdup(arena, gen_json_key(item));
    if (!e->tensor.name) return gen_fail(err, GEN_NO_MEMORY, "no memory for the names of a safetensors file");
    GEN_TRY(read_dtype(item, e, err));
    GEN_TRY(read_shape(item, e, err));
    GEN_TRY(read_offsets(item, e, data_size, err));
    e->tensor.data = data + e->begin;
    return GEN_OK;
}

static size_t count_items(const gen_json *list)
{
    size_t n = 0;
    for (const gen_json *item = gen_json_first(list); item; item = gen_json_next(item)) n++;
    return n;
}

static gen_status read_metadata(const gen_json *list, gen_arena *arena, gen_safetensors *st, gen_error *err)
{
    if (!gen_json_is_object(list))
        return gen_fail(err, GEN_BAD_FILE, "safetensors: __metadata__ should be an object of strings");
    st->metadata = gen_arena_alloc(arena, count_items(list) * sizeof *st->metadata);
    if (!st->metadata) return gen_fail(err, GEN_NO_MEMORY, "no memory for the metadata of a safetensors file");
    for (const gen_json *item = gen_json_first(list); item; item = gen_json_next(item)) {
        const char *text = gen_json_text(item);
        if (!text)
            return gen_fail(err, GEN_BAD_FILE, "safetensors: metadata \"%.100s\" should be a string",
                            gen_json_key(item));
        gen_metadata_entry *m = &st->metadata[st->n_metadata++];
        m->key = gen_arena_strdup(arena, gen_json_key(item)), m->value = gen_arena_strdup(arena, text);
        if (!m->key || !m->value)
            return gen_fail(err, GEN_NO_MEMORY, "no memory for the metadata of a safetensors file");
    }
    return GEN_OK;
}

/* ---- what holds between tensors ---- */

static int by_offset(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static gen_status check_names(const gen_tensor_entry *tensors, size_t n, gen_arena *arena, gen_error *err)
{
    const char **names = gen_arena_alloc(arena, n * sizeof *names);
    if (!names) return gen_fail(err, GEN_NO_MEMORY, "no memory for the names of a safetensors file");
    for (size_t i = 0; i < n; i++) names[i] = tensors[i].name;
    if (n) qsort(names, n, sizeof *names, by_name);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(names[i - 1], names[i])) return fail_tensor(err, names[i], "the name occurs twice");
    return GEN_OK;
}

static gen_status check_layout(const entry *entries, size_t n, uint64_t data_size, gen_error *err)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].begin != at)
            return fail_tensor(err, entries[i].tensor.name,
                               entries[i].begin < at ? "its data overlap those before"
                                                     : "there is a gap before its data");
        at = entries[i].end;
    }
    if (at != data_size)
        return gen_fail(err, GEN_BAD_FILE, "safetensors: the tensors need %llu bytes of data, the file has %llu",
                        (unsigned long long)at, (unsigned long long)data_size);
    return GEN_OK;
}

static gen_status read_entries(const gen_json *header, const uint8_t *data, uint64_t data_size, gen_arena *arena,
                               gen_safetensors *st, gen_error *err)
{
    size_t n = 0, room = count_items(header);
    entry *entries = gen_arena_alloc(arena, room * sizeof *entries);
    st->tensors = gen_arena_alloc(arena, room * sizeof *st->tensors);
    if (!entries || !st->tensors)
        return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu tensors of a safetensors file", room);
    for (const gen_json *item = gen_json_first(header); item; item = gen_json_next(item)) {
        if (strcmp(gen_json_key(item), "__metadata__"))
            GEN_TRY(read_tensor(item, data, data_size, arena, &entries[n++], err));
        else if (st->metadata) return gen_fail(err, GEN_BAD_FILE, "safetensors: __metadata__ occurs twice");
        else GEN_TRY(read_metadata(item, arena, st, err));
    }
    if (n) qsort(entries, n, sizeof *entries, by_offset);
    for (size_t i = 0; i < n; i++) st->tensors[i] = entries[i].tensor;
    GEN_TRY(check_names(st->tensors, n, arena, err));
    GEN_TRY(check_layout(entries, n, data_size, err));
    st->n_tensors = n;
    return GEN_OK;
}

gen_status gen_safetensors_read(const void *data, size_t size, gen_arena *arena, gen_safetensors *out, gen_error *err)
{
    const uint8_t *d = data;
    uint64_t length = 0;
    if (size < 8)
        return gen_fail(err, GEN_BAD_FILE, "safetensors: %zu bytes are too few for the header's length", size);
    for (int i = 0; i < 8; i++) length |= (uint64_t)d[i] << (8 * i);
    if (length > MAX_HEADER || length > size - 8)
        return gen_fail(err, GEN_BAD_FILE, "safetensors: a header of %llu bytes in a file of %zu is not possible",
                        (unsigned long long)length, size);
    if (!length || d[8] != '{') return gen_fail(err, GEN_BAD_FILE, "safetensors: the header should start with {");
    gen_json *header = NULL;
    gen_safetensors st = { 0 };
    GEN_TRY(gen_json_parse(d + 8, (size_t)length, &header, err));
    gen_status status = read_entries(header, d + 8 + length, size - 8 - length, arena, &st, err);
    gen_json_free(header);
    if (status == GEN_OK) *out = st;
    return status;
}

const gen_tensor_entry *gen_safetensors_find(const gen_safetensors *st, const char *name)
{
    for (size_t i = 0; i < st->n_tensors; i++)
        if (!strcmp(st->tensors[i].name, name)) return &st->tensors[i];
    return NULL;
}

const char *gen_safetensors_metadata(const gen_safetensors *st, const char *key)
{
    for (size_t i = 0; i < st->n_metadata; i++)
        if (!strcmp(st->metadata[i].key, key)) return st->metadata[i].value;
    return NULL;
}

/* ---- values ---- */

static float float_from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* IEEE 754 binary16 */
static float float_from_half(uint32_t h)
{
    uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31) return float_from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent) return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float f = (float)fraction * 0x1p-24F; /* subnormal: exact */
    return sign ? -f : f;
}

uint16_t gen_half_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x7f800000)
        return (uint16_t)(sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00)); /* NaN, infinity */
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);            /* from 65520 on: rounds to infinity */
    if (magnitude < 0x33000001) return (uint16_t)sign;                        /* up to 2^-25: rounds to zero */
    uint32_t shift = 13, mantissa = (magnitude & 0x7fffff) | 0x800000, exponent = magnitude >> 23;
    if (exponent < 113) shift += 113 - exponent; /* below 2^-14 there are fewer digits */
    uint32_t base = exponent < 113 ? 0 : (exponent - 113) << 10, half = 1u << (shift - 1),
             rest = mantissa & ((1u << shift) - 1), kept = mantissa >> shift;
    kept += rest > half || (rest == half && (kept & 1)); /* may carry into the exponent, as it should */
    return (uint16_t)(sign | (base + kept));
}

static uint64_t bits_at(const gen_tensor_entry *t, size_t i)
{
    size_t bytes = gen_dtype_bytes(t->dtype);
    const uint8_t *p = (const uint8_t *)t->data + i * bytes;
    uint64_t v = 0;
    for (size_t b = 0; b < bytes; b++) v |= (uint64_t)p[b] << (8 * b);
    return v;
}

static float value_at(const gen_tensor_entry *t, size_t i)
{
    uint64_t bits = bits_at(t, i);
    uint32_t low = (uint32_t)bits;
    double d;
    switch (t->dtype) {
    case GEN_DTYPE_F32: return float_from_bits(low);
    case GEN_DTYPE_F64: return memcpy(&d, &bits, sizeof d), (float)d;
    case GEN_DTYPE_F16: return float_from_half(low);
    case GEN_DTYPE_BF16: return float_from_bits(low << 16);
    case GEN_DTYPE_I64: return (float)(int64_t)bits;
    case GEN_DTYPE_I32: return (float)(int32_t)low;
    case GEN_DTYPE_U8: return (float)low;
    default: return low ? 1.0F : 0.0F;
    }
}

static int is_little_endian(void)
{
    const uint16_t one = 1;
    return *(const uint8_t *)&one;
}

void gen_tensor_to_float(const gen_tensor_entry *tensor, float *out)
{
    if (tensor->dtype == GEN_DTYPE_F32 && is_little_endian()) {
        if (tensor->n) memcpy(out, tensor->data, tensor->n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < tensor->n; i++) out[i] = value_at(tensor, i);
}

gen_status gen_tensor_to_int(const gen_tensor_entry *tensor, int64_t *out, gen_error *err)
{
    if (tensor->dtype < GEN_DTYPE_I64)
        return gen_fail(err, GEN_BAD_FILE, "tensor \"%.100s\" has dtype %s, whole numbers were expected", tensor->name,
                        gen_dtype_name(tensor->dtype));
    for (size_t i = 0; i < tensor->n; i++) {
        uint64_t bits = bits_at(tensor, i);
        out[i] = tensor->dtype == GEN_DTYPE_I32 ? (int64_t)(int32_t)bits : (int64_t)bits;
    }
    return GEN_OK;
}

/* ---- writing ---- */

static size_t value_count(const gen_tensor_entry *t)
{
    size_t n = 1;
    for (int32_t i = 0; i < t->n_dims; i++) n *= (size_t)t->dims[i];
    return n;
}

static void put_tensor(gen_json_out *out, const gen_tensor_entry *t, uint64_t *at)
{
    uint64_t end = *at + value_count(t) * gen_dtype_bytes(t->dtype);
    gen_json_open(out, t->name, '{');
    gen_json_put_string(out, "dtype", gen_dtype_name(t->dtype));
    gen_json_open(out, "shape", '[');
    for (int32_t i = 0; i < t->n_dims; i++) gen_json_put_int(out, NULL, t->dims[i]);
    gen_json_close(out, ']');
    gen_json_open(out, "data_offsets", '[');
    gen_json_put_int(out, NULL, (int64_t)*at);
    gen_json_put_int(out, NULL, (int64_t)end);
    gen_json_close(out, ']');
    gen_json_close(out, '}');
    *at = end;
}

static gen_status make_header(const gen_tensor_entry *tensors, size_t n_tensors, const gen_metadata_entry *metadata,
                              size_t n_metadata, gen_arena *arena, gen_bytes *header, gen_error *err)
{
    gen_json_out out = { .arena = arena };
    uint64_t at = 0;
    gen_json_open(&out, NULL, '{');
    if (n_metadata) {
        gen_json_open(&out, "__metadata__", '{');
        for (size_t i = 0; i < n_metadata; i++) gen_json_put_string(&out, metadata[i].key, metadata[i].value);
        gen_json_close(&out, '}');
    }
    for (size_t i = 0; i < n_tensors; i++) put_tensor(&out, &tensors[i], &at);
    gen_json_close(&out, '}');
    return gen_json_finish(&out, header, err);
}

static gen_status put_header(gen_file_writer *file, const gen_bytes *header, gen_error *err)
{
    uint8_t start[8];
    size_t padding = (8 - header->size % 8) % 8;
    uint64_t length = header->size + padding;
    for (int i = 0; i < 8; i++) start[i] = (uint8_t)(length >> (8 * i));
    GEN_TRY(gen_file_put(file, start, sizeof start, err));
    GEN_TRY(gen_file_put(file, header->data, header->size, err));
    return gen_file_put(file, "       ", padding, err);
}

static gen_status put_all(gen_file_writer *file, const gen_bytes *header, const gen_tensor_entry *tensors, size_t n,
                          gen_error *err)
{
    GEN_TRY(put_header(file, header, err));
    for (size_t i = 0; i < n; i++)
        GEN_TRY(gen_file_put(file, tensors[i].data, value_count(&tensors[i]) * gen_dtype_bytes(tensors[i].dtype), err));
    return GEN_OK;
}

static gen_status write_file(const char *path, const gen_bytes *header, const gen_tensor_entry *tensors, size_t n,
                             gen_error *err)
{
    gen_file_writer *file;
    GEN_TRY(gen_file_create(path, &file, err));
    gen_status status = put_all(file, header, tensors, n, err);
    if (status == GEN_OK) return gen_file_commit(file, err);
    gen_file_abandon(file);
    return status;
}

gen_status gen_safetensors_write(const char *path, const gen_tensor_entry *tensors, size_t n_tensors,
                                 const gen_metadata_entry *metadata, size_t n_metadata, gen_error *err)
{
    gen_bytes header;
    if (!is_little_endian())
        return gen_fail(err, GEN_UNSUPPORTED, "safetensors are written on little-endian machines only");
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory to write '%s'", path);
    gen_status status = check_names(tensors, n_tensors, arena, err);
    if (status == GEN_OK) status = make_header(tensors, n_tensors, metadata, n_metadata, arena, &header, err);
    if (status == GEN_OK && header.size > MAX_HEADER)
        status =
            gen_fail(err, GEN_BAD_OPTION, "safetensors: the header would have %zu bytes, at most 100 MB", header.size);
    if (status == GEN_OK) status = write_file(path, &header, tensors, n_tensors, err);
    gen_arena_free(arena);
    return status;
}
