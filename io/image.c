/* Samples in memory: kinds told apart, conversion, grids, resizing. */
#include "io/image.h"

#include <math.h>
#include <string.h>

/* ---- kinds ---- */

static int starts_with(const uint8_t *data, size_t size, const char *magic, size_t n)
{
    return size >= n && !memcmp(data, magic, n);
}

static const char *unsupported_kind(const uint8_t *data, size_t size)
{
    static const struct {
        const char *magic, *kind;
    } kinds[] = { { "GIF8", "GIF" }, { "BM", "BMP" }, { "II*", "TIFF" }, { "MM", "TIFF" },
                  { "P1", "PBM" },   { "P4", "PBM" }, { "P7", "PAM" } };
    if (size >= 12 && !memcmp(data, "RIFF", 4) && !memcmp(data + 8, "WEBP", 4)) return "WebP";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (starts_with(data, size, kinds[i].magic, strlen(kinds[i].magic))) return kinds[i].kind;
    return NULL;
}

gen_status gen_image_read(const void *data, size_t size, gen_arena *arena, gen_image *out, gen_error *err)
{
    const uint8_t *d = data;
    if (starts_with(d, size, "\x89PNG", 4)) return gen_png_read(data, size, arena, out, err);
    if (starts_with(d, size, "\xff\xd8\xff", 3)) return gen_jpeg_read(data, size, arena, out, err);
    if (size >= 2 && d[0] == 'P' && strchr("2356", d[1]) && d[1]) return gen_pnm_read(data, size, arena, out, err);
    const char *kind = unsupported_kind(d, size);
    if (kind)
        return gen_fail(err, GEN_UNSUPPORTED,
                        "this is a %s picture, which this build of gen cannot read; convert it to PNG first", kind);
    return gen_fail(err, GEN_BAD_FILE,
                    "a picture was expected (PNG, JPEG, PGM, PPM), but the first bytes are of none of these");
}

gen_status gen_image_new(int32_t width_px, int32_t height_px, int32_t channels, int32_t bits, gen_arena *arena,
                         gen_image *out, gen_error *err)
{
    if (width_px < 1 || height_px < 1 || channels < 1 || channels > 4)
        return gen_fail(err, GEN_BAD_SHAPE, "a picture of %d x %d pixels with %d channels is not possible", width_px,
                        height_px, channels);
    int64_t pixels = (int64_t)width_px * height_px;
    if (pixels > GEN_IMAGE_MAX_PIXELS)
        return gen_fail(err, GEN_UNSUPPORTED, "a picture of %d x %d pixels is too large: at most %d pixels are read",
                        width_px, height_px, GEN_IMAGE_MAX_PIXELS);
    size_t bytes = (size_t)pixels * (size_t)channels * (bits == 16 ? 2 : 1);
    void *samples = gen_arena_alloc(arena, bytes);
    if (!samples)
        return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture of %d x %d pixels (%zu bytes)", width_px,
                        height_px, bytes);
    *out = (gen_image){ .width_px = width_px, .height_px = height_px, .channels = channels };
    if (bits == 16) out->px16 = samples;
    else out->px8 = samples;
    return GEN_OK;
}

/* ---- conversion ---- */

static void load_pixel(const gen_image *image, size_t i, float v[4])
{
    size_t at = i * (size_t)image->channels;
    for (int32_t c = 0; c < image->channels; c++)
        v[c] = image->px16 ? (float)image->px16[at + (size_t)c] / 65535.0F : (float)image->px8[at + (size_t)c] / 255.0F;
}

static void store_pixel(const float v[4], int32_t channels, float *out, int32_t out_channels)
{
    int is_colour = channels >= 3;
    float alpha = channels == 2 ? v[1] : channels == 4 ? v[3] : 1.0F;
    if (out_channels == 1) {
        out[0] = is_colour ? 0.299F * v[0] + 0.587F * v[1] + 0.114F * v[2] : v[0];
        return;
    }
    for (int32_t c = 0; c < 3; c++) out[c] = is_colour ? v[c] : v[0];
    if (out_channels == 4) out[3] = alpha;
}

void gen_image_to_float(const gen_image *image, int32_t channels, float *out)
{
    size_t pixels = (size_t)image->width_px * (size_t)image->height_px;
    for (size_t i = 0; i < pixels; i++) {
        float v[4] = { 0 };
        load_pixel(image, i, v);
        store_pixel(v, image->channels, out + i * (size_t)channels, channels);
    }
}

void gen_image_convert_channels(const float *in, size_t n_pixels, int32_t in_channels, float *out, int32_t out_channels)
{
    for (size_t i = 0; i < n_pixels; i++)
        store_pixel(in + i * (size_t)in_channels, in_channels, out + i * (size_t)out_channels, out_channels);
}

static uint8_t to_byte(float v, float low, float high)
{
    float x = (v - low) / (high - low) * 255.0F + 0.5F;
    return x >= 255.0F ? 255 : x > 0.0F ? (uint8_t)x : 0; /* not a number fails both comparisons */
}

void gen_image_to_bytes(const float *in, size_t n, float low, float high, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) out[i] = to_byte(in[i], low, high);
}

static int32_t square_columns(int32_t n)
{
    int32_t columns = 1;
    while ((int64_t)columns * columns < n) columns++;
    return columns;
}

static void place_picture(const float *in, int32_t height_px, int32_t width_px, const gen_grid *grid, gen_image *out,
                          int32_t top, int32_t left)
{
    size_t row = (size_t)width_px * (size_t)out->channels;
    for (int32_t y = 0; y < height_px; y++) {
        uint8_t *to = out->px8 + ((size_t)(top + y) * (size_t)out->width_px + (size_t)left) * (size_t)out->channels;
        gen_image_to_bytes(in + (size_t)y * row, row, grid->low, grid->high, to);
    }
}

gen_status gen_image_grid(const float *pixels, int32_t n, int32_t height_px, int32_t width_px, int32_t channels,
                          const gen_grid *grid, gen_arena *arena, gen_image *out, gen_error *err)
{
    if (n < 1 || height_px < 1 || width_px < 1 || grid->columns < 0 || grid->padding_px < 0 ||
        !(grid->low < grid->high))
        return gen_fail(
            err, GEN_BAD_SHAPE,
            "a grid of %d pictures of %d x %d in %d columns with padding %d and values %g..%g is not possible", n,
            width_px, height_px, grid->columns, grid->padding_px, (double)grid->low, (double)grid->high);
    int32_t columns = grid->columns ? grid->columns : square_columns(n);
    int64_t rows = ((int64_t)n + columns - 1) / columns, pad = grid->padding_px;
    int64_t width = (int64_t)columns * (width_px + pad) + pad, height = rows * (height_px + pad) + pad;
    if (width > GEN_IMAGE_MAX_PIXELS || height > GEN_IMAGE_MAX_PIXELS)
        return gen_fail(err, GEN_UNSUPPORTED, "a grid of %d pictures in %d columns is too large", n, columns);
    gen_image image;
    GEN_TRY(gen_image_new((int32_t)width, (int32_t)height, channels, 8, arena, &image, err));
    memset(image.px8, to_byte(grid->background, 0, 1), (size_t)width * (size_t)height * (size_t)channels);
    size_t size = (size_t)height_px * (size_t)width_px * (size_t)channels;
    for (int32_t i = 0; i < n; i++)
        place_picture(pixels + (size_t)i * size, height_px, width_px, grid, &image,
                      (int32_t)(pad + i / columns * (height_px + pad)),
                      (int32_t)(pad + i % columns * (width_px + pad)));
    *out = image;
    return GEN_OK;
}

/* ---- resizing: a weighted sum along one axis, then along the other ---- */

typedef struct taps { /* output i = sum_k weight[i * most + k] * input[first[i] + k], k < count[i] */
    int32_t *first, *count;
    float *weight;
    int32_t most;
} taps;

static void taps_free(taps *t)
{
    gen_free(t->first);
    gen_free(t->count);
    gen_free(t->weight);
}

static double filter_value(gen_filter filter, double x)
{
    double a = -0.5, d = fabs(x); /* a: of Keys 1981, as Pillow has it */
    switch (filter) {
    case GEN_FILTER_BOX: return x > -0.5 && x <= 0.5 ? 1 : 0;
    case GEN_FILTER_BILINEAR: return d < 1 ? 1 - d : 0;
    case GEN_FILTER_BICUBIC:
        return d < 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : d < 2 ? ((d - 5) * d + 8) * d * a - 4 * a : 0;
    }
    return 0;
}

static void fill_taps(taps *t, int32_t i, int32_t in_size, double scale, double support, gen_filter filter)
{
    double centre = (i + 0.5) * scale, stretch = scale > 1 ? scale : 1, sum = 0;
    int32_t low = (int32_t)fmax(0, floor(centre - support + 0.5)),
            high = (int32_t)fmin(in_size, floor(centre + support + 0.5));
    float *weight = t->weight + (size_t)i * (size_t)t->most;
    for (int32_t k = 0; k < high - low; k++) sum += filter_value(filter, (low + k - centre + 0.5) / stretch);
    for (int32_t k = 0; k < high - low; k++)
        weight[k] = (float)(filter_value(filter, (low + k - centre + 0.5) / stretch) / sum);
    t->first[i] = low, t->count[i] = high - low;
}

static gen_status taps_make(taps *t, int32_t in_size, int32_t out_size, gen_filter filter, gen_error *err)
{
    double reach = filter == GEN_FILTER_BOX ? 0.5 : filter == GEN_FILTER_BILINEAR ? 1 : 2;
    double scale = (double)in_size / out_size, support = reach * (scale > 1 ? scale : 1);
    t->most = (int32_t)ceil(support) * 2 + 1;
    t->first = gen_alloc((size_t)out_size, sizeof *t->first);
    t->count = gen_alloc((size_t)out_size, sizeof *t->count);
    t->weight = gen_alloc((size_t)out_size, (size_t)t->most * sizeof *t->weight);
    if (!t->first || !t->count || !t->weight)
        return gen_fail(err, GEN_NO_MEMORY, "no memory to resize %d pixels to %d", in_size, out_size);
    for (int32_t i = 0; i < out_size; i++) fill_taps(t, i, in_size, scale, support, filter);
    return GEN_OK;
}

/* [outer, in_size, inner] to [outer, out_size, inner] */
static void apply_taps(const taps *t, const float *in, size_t outer, size_t in_size, size_t inner, float *out,
                       size_t out_size)
{
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < out_size; i++) {
            float *to = out + (o * out_size + i) * inner;
            memset(to, 0, inner * sizeof *to);
            for (int32_t k = 0; k < t->count[i]; k++) {
                const float *from = in + (o * in_size + (size_t)(t->first[i] + k)) * inner;
                float weight = t->weight[i * (size_t)t->most + (size_t)k];
                for (size_t x = 0; x < inner; x++) to[x] += weight * from[x];
            }
        }
}

gen_status gen_image_resize(const float *in, int32_t height_px, int32_t width_px, int32_t channels, float *out,
                            int32_t out_height_px, int32_t out_width_px, gen_filter filter, gen_error *err)
{
    taps across = { 0 }, down = { 0 };
    size_t h = (size_t)height_px, w = (size_t)width_px, c = (size_t)channels, p = (size_t)out_height_px,
           q = (size_t)out_width_px;
    float *middle = NULL;
    gen_status status = GEN_OK;
    if (height_px < 1 || width_px < 1 || channels < 1 || out_height_px < 1 || out_width_px < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "cannot resize %d x %d pixels to %d x %d", width_px, height_px,
                        out_width_px, out_height_px);
    if ((status = taps_make(&across, width_px, out_width_px, filter, err)) != GEN_OK) goto done;
    if ((status = taps_make(&down, height_px, out_height_px, filter, err)) != GEN_OK) goto done;
    middle = gen_alloc(h, q * c * sizeof *middle);
    if (!middle) {
        status = gen_fail(err, GEN_NO_MEMORY, "no memory to resize a picture of %d x %d pixels", width_px, height_px);
        goto done;
    }
    apply_taps(&across, in, h, w, c, middle, q);
    apply_taps(&down, middle, 1, h, q * c, out, p);
done:
    gen_free(middle);
    taps_free(&across);
    taps_free(&down);
    return status;
}

void gen_image_crop_centre(const float *in, int32_t height_px, int32_t width_px, int32_t channels, float *out,
                           int32_t out_height_px, int32_t out_width_px)
{
    size_t top = (size_t)(height_px - out_height_px) / 2, left = (size_t)(width_px - out_width_px) / 2,
           c = (size_t)channels;
    for (size_t y = 0; y < (size_t)out_height_px; y++)
        memcpy(out + y * (size_t)out_width_px * c, in + ((top + y) * (size_t)width_px + left) * c,
               (size_t)out_width_px * c * sizeof *out);
}

gen_status gen_image_fit_square(const float *in, int32_t height_px, int32_t width_px, int32_t channels, float *out,
                                int32_t size_px, gen_error *err)
{
    int32_t shorter = height_px < width_px ? height_px : width_px;
    if (shorter < 1 || size_px < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "cannot fit %d x %d pixels to %d", width_px, height_px, size_px);
    int64_t h = ((int64_t)height_px * size_px + shorter / 2) / shorter,
            w = ((int64_t)width_px * size_px + shorter / 2) / shorter;
    if (h * w > GEN_IMAGE_MAX_PIXELS)
        return gen_fail(err, GEN_UNSUPPORTED, "%d x %d pixels are too long for size %d", width_px, height_px, size_px);
    float *scaled = gen_alloc((size_t)(h * w), (size_t)channels * sizeof *scaled);
    if (!scaled)
        return gen_fail(err, GEN_NO_MEMORY, "no memory to resize a picture of %d x %d pixels", width_px, height_px);
    gen_status status =
        gen_image_resize(in, height_px, width_px, channels, scaled, (int32_t)h, (int32_t)w, GEN_FILTER_BILINEAR, err);
    if (status == GEN_OK) gen_image_crop_centre(scaled, (int32_t)h, (int32_t)w, channels, out, size_px, size_px);
    gen_free(scaled);
    return status;
}
