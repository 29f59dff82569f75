#include "models/film.h"

#include <string.h>

#include "io/file.h"
#include "io/image.h"

enum { MOST_FRAMES = 60, LAST_FRAMES = 8, DELAY_MS = 120 };

/* The names that belong to the film, moved to the front of the list. */
static size_t pick(gen_path_list *list, const char *name)
{
    size_t n = 0, length = strlen(name);
    for (size_t i = 0; i < list->n; i++) {
        const char *path = list->path[i];
        if (strncmp(path, name, length) || path[length] != '-' || !gen_path_has_extension(path, "png")) continue;
        list->path[n++] = list->path[i];
    }
    return n;
}

static gen_status read_frame(const gen_run *run, const char *file, gen_arena *arena, gen_image *out, gen_error *err)
{
    gen_bytes bytes;
    char *path = gen_arena_printf(arena, "%s/samples/%s", run->folder, file);
    if (!path) return gen_fail(err, GEN_NO_MEMORY, "no memory for a film");
    GEN_TRY(gen_file_read(path, GEN_FILE_ANY_SIZE, arena, &bytes, err));
    return gen_error_in_file(err, path, gen_image_read(bytes.data, bytes.size, arena, out, err));
}

static gen_status write_film(gen_run *run, const char *name, const char *path, gen_arena *arena, gen_error *err)
{
    gen_image frames[MOST_FRAMES + LAST_FRAMES];
    gen_path_list list;
    gen_bytes film;
    GEN_TRY(gen_folder_list(gen_run_path(run, "samples"), 0, arena, &list, err));
    size_t found = pick(&list, name), n = found < MOST_FRAMES ? found : MOST_FRAMES;
    if (n < 2) return GEN_OK;
    for (size_t i = 0; i < n; i++)
        GEN_TRY(read_frame(run, list.path[i * (found - 1) / (n - 1)], arena, &frames[i], err));
    for (size_t i = 0; i < LAST_FRAMES; i++) frames[n + i] = frames[n - 1];
    GEN_TRY(gen_apng_write(frames, (int32_t)(n + LAST_FRAMES), DELAY_MS, 0, arena, &film, err));
    return gen_file_write(path, film.data, film.size, err);
}

gen_status gen_film_write(gen_run *run, const char *name, const char *path, gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for a film");
    gen_status status = write_film(run, name, path, arena, err);
    gen_arena_free(arena);
    return status;
}
