#include "models/split_files.h"

#include <string.h>

#include "io/file.h"

static gen_status no_memory(gen_error *err)
{
    return gen_fail(err, GEN_NO_MEMORY, "no memory for the names of files");
}

/* The split that the first folder of a path says; -1: none. */
static int split_of(const char *path)
{
    static const struct {
        const char *folder;
        gen_split split;
    } names[] = { { "train/", GEN_SPLIT_TRAIN },
                  { "test/", GEN_SPLIT_TEST },
                  { "valid/", GEN_SPLIT_VALIDATION },
                  { "validation/", GEN_SPLIT_VALIDATION },
                  { "val/", GEN_SPLIT_VALIDATION } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(path, names[i].folder, strlen(names[i].folder))) return (int)names[i].split;
    return -1;
}

static gen_split dealt(int64_t number)
{
    return number % 10 == 8 ? GEN_SPLIT_TEST : number % 10 == 9 ? GEN_SPLIT_VALIDATION : GEN_SPLIT_TRAIN;
}

gen_status gen_split_files_list(const char *path, bool (*wanted)(const char *path), gen_arena *arena,
                                gen_split_files *out, gen_error *err)
{
    gen_path_list all = { 0 };
    bool folder = gen_path_is_folder(path), named = false;
    if (folder) GEN_TRY(gen_folder_list(path, 1, arena, &all, err));
    *out = (gen_split_files){ .file = gen_arena_alloc(arena, (all.n + 1) * sizeof *out->file) };
    if (!out->file) return no_memory(err);
    if (!folder) out->file[out->n++] = (gen_split_file){ path, GEN_SPLIT_TRAIN };
    for (size_t i = 0; i < all.n; i++) named = named || (wanted(all.path[i]) && split_of(all.path[i]) >= 0);
    for (size_t i = 0; i < all.n; i++) {
        int split = named ? split_of(all.path[i]) : (int)dealt(out->n);
        if (split < 0 || !wanted(all.path[i])) continue;
        char *full = gen_path_join(arena, path, all.path[i]);
        if (!full) return no_memory(err);
        out->file[out->n++] = (gen_split_file){ full, (gen_split)split };
    }
    return GEN_OK;
}

char *gen_name_of_path(const char *path, gen_arena *arena)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    char *whole = gen_arena_printf(arena, "%.*s", (int)n, path);
    if (!whole) return NULL;
    char *base = gen_arena_strdup(arena, gen_path_base(whole)), *dot = base ? strrchr(base, '.') : NULL;
    if (dot && dot > base && !gen_path_is_folder(whole)) *dot = 0;
    return base;
}
