#include "tools/cli/picture_file.h"

#include <inttypes.h>
#include <string.h>

#include "io/file.h"

/* ---- files ------------------------------------------------------------------------------------------------------------------ */

gen_status cli_read_image(const char *path, gen_arena *arena, gen_image *image, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(gen_file_read(path, GEN_FILE_ANY_SIZE, arena, &file, err));
    gen_status status = gen_image_read(file.data, file.size, arena, image, err);
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, path, status);
}

static float *floats(gen_arena *arena, int64_t n, gen_error *err)
{
    float *memory = gen_arena_alloc(arena, (size_t)n * sizeof *memory);
    if (!memory) gen_fail(err, GEN_NO_MEMORY, "no memory for a picture of %" PRId64 " numbers", n);
    return memory;
}

gen_status cli_read_picture(const char *path, int32_t channels, gen_arena *arena, gen_image *image, float **x,
                            gen_error *err)
{
    GEN_TRY(cli_read_image(path, arena, image, err));
    *x = floats(arena, (int64_t)image->height_px * image->width_px * channels, err);
    if (!*x) return GEN_NO_MEMORY;
    gen_image_to_float(image, channels, *x);
    return GEN_OK;
}

void cli_put_colours(const float *rgba, gen_image *image)
{
    int32_t channels = image->channels, colours = channels < 3 ? 1 : 3;
    size_t n = (size_t)image->width_px * (size_t)image->height_px;
    for (size_t i = 0; i < n; i++)
        for (int32_t k = 0; k < colours; k++) { /* alpha, the last of 2 or 4, is left alone */
            const float *pixel = rgba + 4 * i;
            float v = colours == 1 ? 0.299f * pixel[0] + 0.587f * pixel[1] + 0.114f * pixel[2] : pixel[k];
            size_t at = i * (size_t)channels + (size_t)k;
            v = v < 0 ? 0 : v > 1 ? 1 : v;
            if (image->px16) image->px16[at] = (uint16_t)(v * 65535 + 0.5f);
            else image->px8[at] = (uint8_t)(v * 255 + 0.5f);
        }
}

static bool is_jpeg(const char *path)
{
    return gen_path_has_extension(path, "jpg") || gen_path_has_extension(path, "jpeg");
}

static bool is_pnm(const char *path)
{
    return gen_path_has_extension(path, "ppm") || gen_path_has_extension(path, "pgm") ||
           gen_path_has_extension(path, "pnm");
}

bool cli_is_picture_name(const char *path)
{
    return is_jpeg(path) || is_pnm(path) || gen_path_has_extension(path, "png");
}

gen_status cli_write_picture(const gen_image *image, const char *path, int64_t quality, gen_arena *arena,
                             gen_error *err)
{
    gen_bytes file;
    if (!cli_is_picture_name(path))
        return gen_fail(err, GEN_BAD_OPTION, "%s: pictures are written as .png, .jpg, .ppm or .pgm", path);
    gen_status status = is_jpeg(path)  ? gen_jpeg_write(image, (int32_t)quality, arena, &file, err)
                        : is_pnm(path) ? gen_pnm_write(image, arena, &file, err)
                                       : gen_png_write(image, arena, &file, err);
    return status == GEN_OK ? gen_file_write(path, file.data, file.size, err) : gen_error_in_file(err, path, status);
}

/* ---- through a model ------------------------------------------------------------------------------------------------------------ */

static gen_status translate_planes(gen_run *run, const gen_translate_plan *plan, float *rgba, bool grey, float *plane,
                                   gen_error *err)
{
    int64_t n = plan->h * plan->w;
    for (int channel = 0; channel < (grey ? 1 : 3); channel++) {
        for (int64_t i = 0; i < n; i++) plane[i] = rgba[4 * i + channel];
        GEN_TRY(gen_translate(run, plan, plane, plane, err));
        for (int64_t i = 0; i < n; i++) rgba[4 * i + channel] = plane[i];
    }
    for (int64_t i = 0; grey && i < n; i++) rgba[4 * i + 1] = rgba[4 * i + 2] = plane[i];
    return GEN_OK;
}

/* A large picture is there once: its colours move together, and apart again. Alpha is the image's own. */
static gen_status translate_rgb(gen_run *run, const gen_translate_plan *plan, float *rgba, gen_error *err)
{
    int64_t n = plan->h * plan->w;
    for (int64_t i = 0; i < n; i++) memmove(rgba + 3 * i, rgba + 4 * i, 3 * sizeof *rgba);
    gen_status status = gen_translate(run, plan, rgba, rgba, err);
    for (int64_t i = n - 1; i >= 0; i--) {
        memmove(rgba + 4 * i, rgba + 3 * i, 3 * sizeof *rgba);
        rgba[4 * i + 3] = 1;
    }
    return status;
}

gen_status cli_translate_colours(gen_run *run, const gen_translate_plan *plan, float *rgba, bool grey, gen_arena *arena,
                                 gen_error *err)
{
    int64_t c = run->channels;
    if (c != 1 && c != 3)
        return gen_fail(err, GEN_UNSUPPORTED, "the model takes pictures of %" PRId64 " channels; files have 1 or 3", c);
    if (c == 3) return translate_rgb(run, plan, rgba, err);
    float *plane = floats(arena, plan->h * plan->w, err);
    return plane ? translate_planes(run, plan, rgba, grey, plane, err) : GEN_NO_MEMORY;
}
