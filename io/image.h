/* io/image.h: pictures as samples in memory, their files (PNG, animated PNG, JPEG, PGM/PPM), and the few
 * operations that data sets and sample grids need. Channels: 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA; rows from the top,
 * channels interleaved.
 *
 *     gen_image image;
 *     GEN_TRY(gen_image_read(file.data, file.size, arena, &image, err));
 *     float *x = gen_arena_alloc(arena, …); gen_image_to_float(&image, 3, x);          // [H,W,3] in [0,1]
 *     GEN_TRY(gen_image_grid(samples, 64, 28, 28, 1, &(gen_grid){ .columns = 8, .padding_px = 2, .high = 1 },
 *                            arena, &image, err));
 *     GEN_TRY(gen_png_write(&image, arena, &file, err));
 */
#ifndef GEN_IO_IMAGE_H
#define GEN_IO_IMAGE_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GEN_IMAGE_MAX_PIXELS (1 << 28)

typedef struct gen_image_text { /* UTF-8 both; the key has 1..79 characters of Latin-1 */
    const char *key, *value;
} gen_image_text;

typedef struct gen_image {
    int32_t width_px, height_px, channels;
    uint8_t *px8;   /* one of the two holds height x width x channels samples, */
    uint16_t *px16; /* the other is NULL */
    const gen_image_text *texts;
    int32_t n_texts;
    gen_bytes icc; /* colour profile, if there is one (JPEG and PNG read and write it) */
} gen_image;

/* ---- files ---- */

/* Looks at the first bytes and reads PNG, JPEG, PGM or PPM. GEN_UNSUPPORTED for kinds that are known but not read,
 * GEN_BAD_FILE otherwise. */
gen_status gen_image_read(const void *data, size_t size, gen_arena *arena, gen_image *out, gen_error *err);

/* Every kind of PNG: 1..16 bits, palette and transparent colour expanded, interlaced; gamma is ignored.
 * An animated PNG gives its default picture. Text chunks come as UTF-8. */
gen_status gen_png_read(const void *data, size_t size, gen_arena *arena, gen_image *out, gen_error *err);
gen_status gen_png_write(const gen_image *image, gen_arena *arena, gen_bytes *out,
                         gen_error *err); /* 16 bit when px16 is set */

/* Every kind of JPEG with 8-bit samples: baseline, progressive, arithmetic coding; grey, YCbCr, RGB, CMYK and YCCK (which
 * become RGB). Exif orientation is applied. GEN_BAD_FILE when pixels are missing or damaged, with the row; GEN_UNSUPPORTED
 * for 12 bits and the lossless kinds. */
gen_status gen_jpeg_read(const void *data, size_t size, gen_arena *arena, gen_image *out, gen_error *err);

/* Baseline, colour in full resolution (4:4:4), alpha and text left out. */
enum { GEN_JPEG_QUALITY = 95 }; /* of 1..100; what to take when nobody says */
gen_status gen_jpeg_write(const gen_image *image, int32_t quality, gen_arena *arena, gen_bytes *out, gen_error *err);

/* Frames of equal size and channels, 8 bit. delay_ms 1..65535; loops 0 = for ever. Text chunks are those of frame 0.
 * Format: PNG third edition. */
gen_status gen_apng_write(const gen_image *frames, int32_t n_frames, int32_t delay_ms, int32_t loops, gen_arena *arena,
                          gen_bytes *out, gen_error *err);

/* P2 P3 P5 P6 with comments, any maxval: samples are scaled to 255 or, above 255, to 65535. Writes P5 or P6, alpha left
 * out. */
gen_status gen_pnm_read(const void *data, size_t size, gen_arena *arena, gen_image *out, gen_error *err);
gen_status gen_pnm_write(const gen_image *image, gen_arena *arena, gen_bytes *out, gen_error *err);

/* ---- samples ---- */

/* An image of these sizes with zero samples, bits 8 or 16; GEN_UNSUPPORTED above GEN_IMAGE_MAX_PIXELS. */
gen_status gen_image_new(int32_t width_px, int32_t height_px, int32_t channels, int32_t bits, gen_arena *arena,
                         gen_image *out, gen_error *err);

/* [H,W,channels] in [0,1]. channels 1, 3 or 4: grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), alpha is dropped or
 * made 1. */
void gen_image_to_float(const gen_image *image, int32_t channels, float *out);

/* The same conversion for n pixels that are floats already. in and out must not overlap. */
void gen_image_convert_channels(const float *in, size_t n_pixels, int32_t in_channels, float *out,
                                int32_t out_channels);

/* Pictures [N,H,W,C] as one image with 8 bits. Values low..high become 0..255, clamped; not a number becomes 0. */
typedef struct gen_grid {
    int32_t columns;    /* 0: the smallest square that holds all */
    int32_t padding_px; /* around and between pictures */
    float background;   /* 0 black .. 1 white; also empty places */
    float low, high;    /* -1, 1 or 0, 1 */
} gen_grid;
gen_status gen_image_grid(const float *pixels, int32_t n, int32_t height_px, int32_t width_px, int32_t channels,
                          const gen_grid *grid, gen_arena *arena, gen_image *out, gen_error *err);

typedef enum gen_filter {
    GEN_FILTER_BOX,      /* averages areas when it shrinks, repeats pixels when it enlarges */
    GEN_FILTER_BILINEAR, /* triangle, widened when it shrinks (antialiased, as Pillow does) */
    GEN_FILTER_BICUBIC,  /* Keys 1981 with a = -1/2, widened likewise; results may leave the range of the input */
} gen_filter;

/* [H,W,C] to [out_height,out_width,C]. in and out must not overlap. */
gen_status gen_image_resize(const float *in, int32_t height_px, int32_t width_px, int32_t channels, float *out,
                            int32_t out_height_px, int32_t out_width_px, gen_filter filter, gen_error *err);

/* The middle part; out_height <= height and out_width <= width. */
void gen_image_crop_centre(const float *in, int32_t height_px, int32_t width_px, int32_t channels, float *out,
                           int32_t out_height_px, int32_t out_width_px);

/* Samples low..high as bytes, as in gen_image_grid. */
void gen_image_to_bytes(const float *in, size_t n, float low, float high, uint8_t *out);

/* Shorter side scaled to size_px (bilinear), then the middle size_px x size_px: what data sets of squares want. */
gen_status gen_image_fit_square(const float *in, int32_t height_px, int32_t width_px, int32_t channels, float *out,
                                int32_t size_px, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
