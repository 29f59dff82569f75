/* zlib. Its lengths are 32 bit: everything goes through in pieces. */
#include "io/deflate.h"

#include <limits.h>
#define ZLIB_CONST
#include <zlib.h>

static void *allocate(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return gen_alloc(count, size);
}

static void release(void *opaque, void *block)
{
    (void)opaque;
    gen_free(block);
}

static unsigned piece(size_t n)
{
    return n > UINT_MAX ? UINT_MAX : (unsigned)n;
}

int gen_is_gzip(const void *data, size_t size)
{
    const uint8_t *d = data;
    return size >= 2 && d[0] == 0x1f && d[1] == 0x8b;
}

/* Runs inflate until out is full or the stream ends. A probe of one byte after a full buffer shows whether there is
 * more. */
static int inflate_all(z_stream *z, const uint8_t *data, size_t size, uint8_t *out, size_t out_size, size_t *got,
                       int *more)
{
    uint8_t probe;
    const uint8_t *end = data + size;
    int rc = Z_OK;
    *got = 0, *more = 0;
    z->next_in = data;
    while (rc == Z_OK) {
        int full = *got == out_size;
        z->avail_in = piece((size_t)(end - z->next_in));
        z->next_out = full ? &probe : out + *got;
        z->avail_out = full ? 1 : piece(out_size - *got);
        unsigned room = z->avail_out;
        rc = inflate(z, Z_NO_FLUSH);
        size_t made = room - z->avail_out;
        if (full && made) return *more = 1, Z_STREAM_END;
        if (!full) *got += made;
        if (rc == Z_STREAM_END && end - z->next_in > 2 && gen_is_gzip(z->next_in, (size_t)(end - z->next_in)))
            rc = inflateReset(z);
    }
    return rc;
}

/* window_bits: zlib's, which also say what is around the stream. */
static gen_status unpack(const char *format, int window_bits, const void *data, size_t size, void *out, size_t out_size,
                         size_t *got, int *more, gen_error *err)
{
    z_stream z = { .zalloc = allocate, .zfree = release };
    int rc = inflateInit2(&z, window_bits);
    if (rc == Z_OK) rc = inflate_all(&z, data, size, out, out_size, got, more);
    inflateEnd(&z);
    if (rc == Z_STREAM_END) return GEN_OK;
    if (rc == Z_MEM_ERROR) return gen_fail(err, GEN_NO_MEMORY, "no memory to unpack %s", format);
    return gen_fail(err, GEN_BAD_FILE, "%s: the packed data are %s", format,
                    rc == Z_BUF_ERROR ? "cut short" : "damaged");
}

gen_status gen_gunzip(const void *data, size_t size, void *out, size_t out_size, size_t *got, int *more, gen_error *err)
{
    return unpack("gzip", 15 + 16, data, size, out, out_size, got, more, err);
}

gen_status gen_inflate_raw(const void *data, size_t size, void *out, size_t out_size, gen_error *err)
{
    size_t got = 0;
    int more = 0;
    GEN_TRY(unpack("zip", -15, data, size, out, out_size, &got, &more, err));
    if (got == out_size && !more) return GEN_OK;
    return gen_fail(err, GEN_BAD_FILE, "zip: an entry unpacks to another size than it claims");
}

gen_status gen_inflate(const void *data, size_t size, void *out, size_t out_size, size_t *got, int *more,
                       gen_error *err)
{
    return unpack("zlib", 15, data, size, out, out_size, got, more, err);
}

gen_status gen_deflate(const void *data, size_t size, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    z_stream z = { .zalloc = allocate, .zfree = release };
    if (size > UINT_MAX / 2)
        return gen_fail(err, GEN_UNSUPPORTED, "deflate: %zu bytes in one piece are too many", size);
    if (deflateInit(&z, Z_DEFAULT_COMPRESSION) != Z_OK)
        return gen_fail(err, GEN_NO_MEMORY, "no memory to pack %zu bytes", size);
    size_t bound = deflateBound(&z, size);
    uint8_t *packed = gen_arena_alloc(arena, bound);
    if (packed) {
        z.next_in = data, z.avail_in = (unsigned)size;
        z.next_out = packed, z.avail_out = (unsigned)bound;
        (void)deflate(&z, Z_FINISH); /* cannot fail: bound is enough */
    }
    deflateEnd(&z);
    if (!packed) return gen_fail(err, GEN_NO_MEMORY, "no memory to pack %zu bytes", size);
    *out = (gen_bytes){ packed, z.total_out };
    return GEN_OK;
}
