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
    return gen_path_has_extension(path, "mid") || gen_path_has_extension(path, "midi") ||
           gen_path_has_extension(path, "rmi");
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

gen_status gen_midi_files_each(const char *path, bool skip_bad, gen_arena *arena, gen_midi_take take, void *context,
                               gen_skipped_files *skipped, gen_error *err)
{
    walk w = { skip_bad, arena, take, context, skipped };
    gen_split_files files;
    GEN_TRY(gen_split_files_list(path, gen_is_midi_file, arena, &files, err));
    for (int s = 0; s < GEN_N_SPLITS; s++)
        for (int64_t i = 0; i < files.n; i++)
            if (files.file[i].split == (gen_split)s)
                GEN_TRY(take_or_skip(&w, files.file[i].path, files.file[i].split, err));
    return GEN_OK;
}
