#include "models/midi_files.h"

#include <string.h>

typedef struct walk {
    bool skip_bad;
    gen_arena *arena;
    gen_midi_take take;
    void *context;
    gen_skipped_files *skipped;
} walk;

static gen_status no_memory(gen_error *err)
{
    return gen_fail(err, GEN_NO_MEMORY, "no memory for pieces of music");
}

bool gen_is_midi_file(const char *path)
{
    return gen_path_has_extension(path, "mid") || gen_path_has_extension(path, "midi");
}

static gen_status take_file(const walk *w, const char *path, gen_split split, gen_error *err)
{
    gen_bytes file;
    gen_midi midi;
    gen_midi_score score = { 0 };
    GEN_TRY(gen_file_read(path, GEN_MIDI_MAX_BYTES, w->arena, &file, err));
    gen_status status = gen_midi_read(file.data, file.size, w->arena, &midi, err);
    if (status == GEN_OK) status = gen_midi_score_make(&midi, w->arena, &score, err);
    if (status == GEN_OK) status = w->take(w->context, path, split, &score, err);
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, path, status);
}

static gen_status note_skipped(const walk *w, const char *reason, gen_error *err)
{
    gen_skipped_files *s = w->skipped;
    if (s->n == s->room) {
        int64_t room = s->room ? 2 * s->room : 16;
        const char **grown = gen_arena_alloc(w->arena, (size_t)room * sizeof *grown);
        if (!grown) return no_memory(err);
        for (int64_t i = 0; i < s->n; i++) grown[i] = s->text[i];
        s->text = grown;
        s->room = room;
    }
    s->text[s->n] = gen_arena_strdup(w->arena, reason);
    return s->text[s->n++] ? GEN_OK : no_memory(err);
}

static gen_status take_or_skip(const walk *w, const char *path, gen_split split, gen_error *err)
{
    gen_error bad = { 0 };
    gen_status status = take_file(w, path, split, &bad);
    if (status == GEN_OK) return GEN_OK;
    if (!w->skip_bad || status == GEN_NO_MEMORY) return gen_fail(err, status, "%s", bad.text);
    return note_skipped(w, bad.text, err);
}

/* divide: the files are dealt to the splits, else all are of split */
static gen_status take_folder(const walk *w, const char *folder, gen_split split, bool divide, gen_error *err)
{
    gen_path_list files;
    int64_t number = 0;
    GEN_TRY(gen_folder_list(folder, 1, w->arena, &files, err));
    for (size_t i = 0; i < files.n; i++) {
        if (!gen_is_midi_file(files.path[i])) continue;
        char *path = gen_path_join(w->arena, folder, files.path[i]);
        if (!path) return no_memory(err);
        int64_t tenth = divide ? number++ % 10 : 0;
        gen_split own = tenth == 8 ? GEN_SPLIT_TEST : tenth == 9 ? GEN_SPLIT_VALIDATION : split;
        GEN_TRY(take_or_skip(w, path, own, err));
    }
    return GEN_OK;
}

static gen_status take_splits(const walk *w, const char *folder, gen_error *err)
{
    static const struct {
        const char *name;
        gen_split split;
    } parts[] = { { "train", GEN_SPLIT_TRAIN },
                  { "test", GEN_SPLIT_TEST },
                  { "valid", GEN_SPLIT_VALIDATION },
                  { "validation", GEN_SPLIT_VALIDATION } };
    bool any = false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *path = gen_path_join(w->arena, folder, parts[i].name);
        if (!path) return no_memory(err);
        if (!gen_path_is_folder(path)) continue;
        any = true;
        GEN_TRY(take_folder(w, path, parts[i].split, false, err));
    }
    return any ? GEN_OK : take_folder(w, folder, GEN_SPLIT_TRAIN, true, err);
}

gen_status gen_midi_files_each(const char *path, bool skip_bad, gen_arena *arena, gen_midi_take take, void *context,
                               gen_skipped_files *skipped, gen_error *err)
{
    walk w = { skip_bad, arena, take, context, skipped };
    if (gen_path_is_folder(path)) return take_splits(&w, path, err);
    return take_or_skip(&w, path, GEN_SPLIT_TRAIN, err);
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
