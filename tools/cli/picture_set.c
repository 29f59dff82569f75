/* Many pictures into the file that the user asked for: a grid, an array, or a folder of single ones. */
#include <inttypes.h>
#include <string.h>

#include "io/npy.h"
#include "tools/cli/cli.h"
#include "tools/cli/picture_file.h"

static bool is_folder(const char *path)
{
    return *path && path[strlen(path) - 1] == '/';
}

gen_status cli_can_write_pictures(const char *path, gen_error *err)
{
    if (!*path || is_folder(path) || gen_path_has_extension(path, "npy") || cli_is_picture_name(path)) return GEN_OK;
    return gen_fail(err, GEN_BAD_OPTION,
                    "-o %s: pictures are written as a grid (.png, .jpg, .ppm, .pgm), as an array (.npy), or one by one "
                    "into a folder whose name ends with /",
                    path);
}

/* [n,H,W], with channels behind when they are several, in [0,1] */
static gen_status write_array(const gen_run *run, const float *x, int64_t n, const char *path, gen_arena *arena,
                              gen_error *err)
{
    gen_bytes bytes;
    GEN_TRY(gen_npy_write(x, (int64_t[]){ n, run->height, run->width, run->channels }, run->channels == 1 ? 3 : 4,
                          arena, &bytes, err));
    return gen_file_write(path, bytes.data, bytes.size, err);
}

/* 00001.png …: as many digits as the last one needs, five at least */
static gen_status write_folder(const gen_run *run, const float *x, int64_t n, const char *folder, gen_error *err)
{
    int64_t pixels = run->height * run->width * run->channels;
    const gen_grid one = { .columns = 1, .low = 0, .high = 1 };
    gen_status status = gen_folder_make(folder, err);
    for (int64_t i = 0; i < n && status == GEN_OK; i++) {
        gen_arena *arena = gen_arena_new(); /* of one picture: there may be many */
        gen_image image;
        char *path = arena ? gen_arena_printf(arena, "%s%05" PRId64 ".png", folder, i + 1) : NULL;
        status = path ? gen_image_grid(x + i * pixels, 1, (int32_t)run->height, (int32_t)run->width,
                                       (int32_t)run->channels, &one, arena, &image, err)
                      : gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
        if (status == GEN_OK) status = cli_write_picture(&image, path, GEN_JPEG_QUALITY, arena, err);
        gen_arena_free(arena);
    }
    return status;
}

gen_status cli_write_pictures(const gen_run *run, const float *x, int64_t n, int32_t columns, const char *path,
                              gen_arena *arena, gen_error *err)
{
    GEN_TRY(cli_can_write_pictures(path, err));
    if (is_folder(path)) return write_folder(run, x, n, path, err);
    if (gen_path_has_extension(path, "npy")) return write_array(run, x, n, path, arena, err);
    return cli_write_grid(run, x, n, columns, path, err);
}
