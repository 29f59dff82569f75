/* Animated PNG (PNG third edition, 11.3.6): an ordinary PNG whose first picture is frame 0; acTL announces, fcTL times
 * each frame, fdAT carries the later ones. libpng does not know these chunks, so they are put together here. */
#include "io/deflate.h"
#include "io/image.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

typedef struct chunks {
    gen_arena *arena;
    uint8_t *data;
    size_t size, room;
} chunks;

static void put_u32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void put_u16(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)(v >> 8), to[1] = (uint8_t)v;
}

static gen_status append(chunks *file, const void *data, size_t size, gen_error *err)
{
    if (size > file->room - file->size) {
        size_t room = file->room * 2 + size + 4096;
        uint8_t *grown = gen_arena_alloc(file->arena, room);
        if (!grown) return gen_fail(err, GEN_NO_MEMORY, "no memory for an animated PNG of %zu bytes", room);
        if (file->size) memcpy(grown, file->data, file->size);
        file->data = grown, file->room = room;
    }
    if (size) memcpy(file->data + file->size, data, size);
    file->size += size;
    return GEN_OK;
}

/* length, type, head and body as one chunk, checksum over all but the length */
static gen_status append_chunk(chunks *file, const char *type, const uint8_t *head, size_t head_size,
                               const uint8_t *body, size_t body_size, gen_error *err)
{
    uint8_t start[8], end[4];
    put_u32(start, (uint32_t)(head_size + body_size));
    memcpy(start + 4, type, 4);
    unsigned long crc = crc32_z(0, start + 4, 4);
    if (head_size) crc = crc32_z(crc, head, head_size);
    if (body_size) crc = crc32_z(crc, body, body_size);
    put_u32(end, (uint32_t)crc);
    GEN_TRY(append(file, start, sizeof start, err));
    GEN_TRY(append(file, head, head_size, err));
    GEN_TRY(append(file, body, body_size, err));
    return append(file, end, sizeof end, err);
}

static uint8_t filtered(int filter, const uint8_t *row, const uint8_t *up, size_t x, size_t bpp)
{
    uint8_t left = x >= bpp ? row[x - bpp] : 0, above = up ? up[x] : 0;
    return (uint8_t)(row[x] - (filter == 1 ? left : filter == 2 ? above : 0));
}

/* Of none, sub and up the filter whose output is smallest as signed bytes (PNG 12.7). */
static void filter_row(const uint8_t *row, const uint8_t *up, size_t size, size_t bpp, uint8_t *out)
{
    uint64_t best = UINT64_MAX;
    for (int filter = 0; filter < 3; filter++) {
        uint64_t sum = 0;
        for (size_t x = 0; x < size; x++) sum += (uint64_t)abs((int8_t)filtered(filter, row, up, x, bpp));
        if (sum < best) best = sum, out[0] = (uint8_t)filter;
    }
    for (size_t x = 0; x < size; x++) out[1 + x] = filtered(out[0], row, up, x, bpp);
}

static gen_status pack_frame(const gen_image *frame, uint8_t *scratch, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    size_t bpp = (size_t)frame->channels, row = (size_t)frame->width_px * bpp, h = (size_t)frame->height_px;
    for (size_t y = 0; y < h; y++)
        filter_row(frame->px8 + y * row, y ? frame->px8 + (y - 1) * row : NULL, row, bpp, scratch + y * (row + 1));
    return gen_deflate(scratch, h * (row + 1), arena, out, err);
}

static gen_status append_header(chunks *file, const gen_image *image, int32_t n_frames, int32_t loops, gen_error *err)
{
    static const uint8_t colour_types[] = { 0, 0, 4, 2, 6 };
    uint8_t ihdr[13] = { 0 }, actl[8];
    put_u32(ihdr, (uint32_t)image->width_px);
    put_u32(ihdr + 4, (uint32_t)image->height_px);
    ihdr[8] = 8, ihdr[9] = colour_types[image->channels];
    put_u32(actl, (uint32_t)n_frames);
    put_u32(actl + 4, (uint32_t)loops);
    GEN_TRY(append(file, "\x89PNG\r\n\x1a\n", 8, err));
    GEN_TRY(append_chunk(file, "IHDR", ihdr, sizeof ihdr, NULL, 0, err));
    return append_chunk(file, "acTL", actl, sizeof actl, NULL, 0, err);
}

/* As iTXt, which takes any UTF-8: key, 0, not packed (0, 0), no language (0), no translated key (0), text */
static gen_status append_texts(chunks *file, const gen_image *image, gen_error *err)
{
    for (int32_t i = 0; i < image->n_texts; i++) {
        uint8_t head[84] = { 0 };
        size_t n = strlen(image->texts[i].key);
        if (n < 1 || n > 79)
            return gen_fail(err, GEN_BAD_OPTION, "PNG: a text key should have 1 to 79 characters, this has %zu", n);
        memcpy(head, image->texts[i].key, n);
        const char *value = image->texts[i].value;
        GEN_TRY(append_chunk(file, "iTXt", head, n + 5, (const uint8_t *)value, strlen(value), err));
    }
    return GEN_OK;
}

static gen_status append_frame(chunks *file, const gen_image *frame, const gen_bytes *packed, int32_t i,
                               int32_t delay_ms, gen_error *err)
{
    uint8_t fctl[26] = { 0 }, number[4];
    uint32_t sequence = i ? 2 * (uint32_t)i - 1 : 0; /* fcTL and fdAT count together; frame 0 has no fdAT */
    put_u32(fctl, sequence);
    put_u32(fctl + 4, (uint32_t)frame->width_px);
    put_u32(fctl + 8, (uint32_t)frame->height_px);
    put_u16(fctl + 20, (uint32_t)delay_ms);
    put_u16(fctl + 22, 1000);
    put_u32(number, sequence + 1);
    GEN_TRY(append_chunk(file, "fcTL", fctl, sizeof fctl, NULL, 0, err));
    if (!i) return append_chunk(file, "IDAT", NULL, 0, packed->data, packed->size, err);
    return append_chunk(file, "fdAT", number, sizeof number, packed->data, packed->size, err);
}

static gen_status check_frames(const gen_image *frames, int32_t n, int32_t delay_ms, int32_t loops, gen_error *err)
{
    if (n < 1 || delay_ms < 1 || delay_ms > 65535 || loops < 0)
        return gen_fail(
            err, GEN_BAD_OPTION,
            "animated PNG: %d frames of %d ms, %d loops: frames >= 1, 1..65535 ms and loops >= 0 were expected", n,
            delay_ms, loops);
    for (int32_t i = 0; i < n; i++) {
        const gen_image *f = &frames[i];
        if (!f->px8 || f->channels < 1 || f->channels > 4 || f->width_px != frames->width_px ||
            f->height_px != frames->height_px || f->channels != frames->channels)
            return gen_fail(err, GEN_BAD_SHAPE,
                            "animated PNG: frame %d is %d x %d x %d, all should be 8 bit and %d x %d x %d like frame 0",
                            i, f->width_px, f->height_px, f->channels, frames->width_px, frames->height_px,
                            frames->channels);
    }
    return GEN_OK;
}

gen_status gen_apng_write(const gen_image *frames, int32_t n_frames, int32_t delay_ms, int32_t loops, gen_arena *arena,
                          gen_bytes *out, gen_error *err)
{
    GEN_TRY(check_frames(frames, n_frames, delay_ms, loops, err));
    chunks file = { .arena = arena };
    size_t row = (size_t)frames->width_px * (size_t)frames->channels;
    uint8_t *scratch = gen_arena_alloc(arena, (row + 1) * (size_t)frames->height_px);
    if (!scratch)
        return gen_fail(err, GEN_NO_MEMORY, "no memory for a frame of %d x %d pixels", frames->width_px,
                        frames->height_px);
    GEN_TRY(append_header(&file, frames, n_frames, loops, err));
    GEN_TRY(append_texts(&file, frames, err));
    for (int32_t i = 0; i < n_frames; i++) {
        gen_bytes packed;
        GEN_TRY(pack_frame(&frames[i], scratch, arena, &packed, err));
        GEN_TRY(append_frame(&file, &frames[i], &packed, i, delay_ms, err));
    }
    GEN_TRY(append_chunk(&file, "IEND", NULL, 0, NULL, 0, err));
    *out = (gen_bytes){ file.data, file.size };
    return GEN_OK;
}
