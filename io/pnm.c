/* PGM and PPM (netpbm): "P5 width height maxval" and samples, most significant byte first; P2 and P3 are text. */
#include "io/image.h"

#include <stdio.h>
#include <string.h>

typedef struct pnm {
    const uint8_t *data;
    size_t size, at;
} pnm;

static int is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(pnm *p)
{
    while (p->at < p->size) {
        if (p->data[p->at] == '#')
            while (p->at < p->size && p->data[p->at] != '\n') p->at++;
        else if (!is_space(p->data[p->at])) return;
        else p->at++;
    }
}

/* A decimal number of at most 9 digits, or -1. */
static int32_t read_number(pnm *p)
{
    int32_t value = 0;
    int digits = 0;
    skip_space(p);
    while (p->at < p->size && p->data[p->at] >= '0' && p->data[p->at] <= '9' && digits++ < 9)
        value = value * 10 + (p->data[p->at++] - '0');
    return digits >= 1 && digits <= 9 ? value : -1;
}

/* Samples 0..maxval to 0..255 or 0..65535, rounded; larger ones are clamped. */
static void set_sample(gen_image *image, size_t i, uint32_t value, uint32_t maxval)
{
    if (value > maxval) value = maxval;
    if (image->px16) image->px16[i] = (uint16_t)((value * 65535ULL + maxval / 2) / maxval);
    else image->px8[i] = (uint8_t)((value * 255U + maxval / 2) / maxval);
}

static gen_status read_text(pnm *p, gen_image *image, size_t n, uint32_t maxval, gen_error *err)
{
    for (size_t i = 0; i < n; i++) {
        int32_t value = read_number(p);
        if (value < 0) return gen_fail(err, GEN_BAD_FILE, "PNM: sample %zu of %zu is no number", i, n);
        set_sample(image, i, (uint32_t)value, maxval);
    }
    return GEN_OK;
}

static void read_binary(const pnm *p, gen_image *image, size_t n, uint32_t maxval)
{
    const uint8_t *d = p->data + p->at;
    for (size_t i = 0; i < n; i++)
        set_sample(image, i, maxval > 255 ? (uint32_t)d[2 * i] << 8 | d[2 * i + 1] : d[i], maxval);
}

gen_status gen_pnm_read(const void *data, size_t size, gen_arena *arena, gen_image *out, gen_error *err)
{
    pnm p = { data, size, 2 };
    if (size < 2 || p.data[0] != 'P' || !p.data[1] || !strchr("2356", p.data[1]))
        return gen_fail(err, GEN_BAD_FILE, "PNM: P2, P3, P5 or P6 was expected at the start");
    int is_text = p.data[1] < '5', channels = p.data[1] == '3' || p.data[1] == '6' ? 3 : 1;
    int32_t width = read_number(&p), height = read_number(&p), maxval = read_number(&p);
    if (width < 1 || height < 1 || maxval < 1 || maxval > 65535)
        return gen_fail(err, GEN_BAD_FILE, "PNM: the header should give width, height and a maximum of 1..65535");
    if (p.at >= size || !is_space(p.data[p.at]))
        return gen_fail(err, GEN_BAD_FILE, "PNM: one white space was expected after the header");
    p.at++;
    uint64_t n = (uint64_t)width * (uint64_t)height * (uint64_t)channels; /* below 2^62 */
    uint64_t need = is_text ? 2 * n - 1 : maxval > 255 ? 2 * n : n;
    if (need > size - p.at)
        return gen_fail(err, GEN_BAD_FILE, "PNM: %d x %d pixels need %llu bytes, the file has %zu", width, height,
                        (unsigned long long)need, size - p.at);
    gen_image image;
    GEN_TRY(gen_image_new(width, height, channels, maxval > 255 ? 16 : 8, arena, &image, err));
    if (is_text) GEN_TRY(read_text(&p, &image, (size_t)n, (uint32_t)maxval, err));
    else read_binary(&p, &image, (size_t)n, (uint32_t)maxval);
    *out = image;
    return GEN_OK;
}

gen_status gen_pnm_write(const gen_image *image, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    int colours = image->channels >= 3 ? 3 : 1, bytes = image->px16 ? 2 : 1;
    char header[64];
    int head = snprintf(header, sizeof header, "P%c\n%d %d\n%d\n", colours == 3 ? '6' : '5', image->width_px,
                        image->height_px, bytes == 2 ? 65535 : 255);
    size_t pixels = (size_t)image->width_px * (size_t)image->height_px,
           size = (size_t)head + pixels * (size_t)(colours * bytes);
    uint8_t *data = gen_arena_alloc(arena, size), *to = data + head;
    if (!data) return gen_fail(err, GEN_NO_MEMORY, "no memory for a PNM file of %zu bytes", size);
    memcpy(data, header, (size_t)head);
    for (size_t i = 0; i < pixels; i++)
        for (int c = 0; c < colours; c++) {
            size_t at = i * (size_t)image->channels + (size_t)c;
            if (bytes == 2) *to++ = (uint8_t)(image->px16[at] >> 8), *to++ = (uint8_t)image->px16[at];
            else *to++ = image->px8[at];
        }
    *out = (gen_bytes){ data, size };
    return GEN_OK;
}
