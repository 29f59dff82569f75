/* IDX. */
#include "io/idx.h"

#include "io/deflate.h"

#include <string.h>

enum { MAX_HEADER = 4 + 4 * GEN_IDX_MAX_DIMS };

static const char *type_name(uint8_t type)
{
    switch (type) {
    case 0x09: return "signed bytes";
    case 0x0B: return "16-bit integers";
    case 0x0C: return "32-bit integers";
    case 0x0D: return "float";
    case 0x0E: return "double";
    default: return NULL;
    }
}

/* Fills dims and size from the header; header_bytes is where the data start. */
static gen_status read_header(const uint8_t *h, size_t size, gen_idx *out, size_t *header_bytes, gen_error *err)
{
    if (size < 4 || h[0] || h[1] || (h[2] != 0x08 && !type_name(h[2])))
        return gen_fail(err, GEN_BAD_FILE, "IDX: the first bytes should be 0 0 8 and the number of dimensions");
    if (h[2] != 0x08)
        return gen_fail(err, GEN_UNSUPPORTED, "IDX: this file holds %s, gen reads unsigned bytes", type_name(h[2]));
    if (h[3] < 1 || h[3] > GEN_IDX_MAX_DIMS)
        return gen_fail(err, GEN_BAD_FILE, "IDX: %d dimensions, 1 to 4 were expected", h[3]);
    *header_bytes = 4 + 4 * (size_t)h[3];
    if (size < *header_bytes) return gen_fail(err, GEN_BAD_FILE, "IDX: the header is cut short");
    *out = (gen_idx){ .n_dims = h[3], .size = 1 };
    for (int32_t i = 0; i < out->n_dims; i++) {
        const uint8_t *d = h + 4 + 4 * i;
        uint32_t dim = (uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3];
        if (dim < 1 || dim > INT32_MAX || out->size > SIZE_MAX / dim)
            return gen_fail(err, GEN_BAD_FILE, "IDX: dimension %d is %u, which is not possible", i, dim);
        out->dims[i] = (int32_t)dim;
        out->size *= dim;
    }
    return GEN_OK;
}

static gen_status fail_size(const gen_idx *idx, size_t found, const char *more, gen_error *err)
{
    return gen_fail(err, GEN_BAD_FILE, "IDX: the header promises %zu bytes of data, the file has %s%zu", idx->size,
                    more, found);
}

static gen_status read_packed(const uint8_t *data, size_t size, gen_arena *arena, gen_idx *out, gen_error *err)
{
    uint8_t start[MAX_HEADER];
    size_t got, header;
    int more;
    GEN_TRY(gen_gunzip(data, size, start, sizeof start, &got, &more, err));
    GEN_TRY(read_header(start, got, out, &header, err));
    if (out->size / GEN_DEFLATE_MAX_RATIO > size) return fail_size(out, size * GEN_DEFLATE_MAX_RATIO, "at most ", err);
    uint8_t *whole = gen_arena_alloc(arena, header + out->size);
    if (!whole) return gen_fail(err, GEN_NO_MEMORY, "no memory for the %zu bytes of an IDX file", out->size);
    GEN_TRY(gen_gunzip(data, size, whole, header + out->size, &got, &more, err));
    if (got < header + out->size || more) return fail_size(out, got - header, more ? "more than " : "", err);
    out->data = whole + header;
    return GEN_OK;
}

gen_status gen_idx_read(void *data, size_t size, gen_arena *arena, gen_idx *out, gen_error *err)
{
    gen_idx idx = { 0 };
    size_t header;
    if (gen_is_gzip(data, size)) {
        GEN_TRY(read_packed(data, size, arena, &idx, err));
    } else {
        GEN_TRY(read_header(data, size, &idx, &header, err));
        if (idx.size != size - header) return fail_size(&idx, size - header, "", err);
        idx.data = (uint8_t *)data + header;
    }
    *out = idx;
    return GEN_OK;
}
