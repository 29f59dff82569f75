/* Frames of music: gen info of pieces, gen sample of a model that foretells frames. */
#include "tools/cli/frames.h"

#include <inttypes.h>
#include <string.h>

#include "core/rng.h"
#include "io/npy.h"
#include "io/roll.h"
#include "models/data.h"
#include "models/frame_sample.h"
#include "tools/cli/music.h"
#include "tools/cli/tune.h"

/* ---- info ------------------------------------------------------------------------------------------------------------------ */

bool cli_is_frames(cli_args *a, const char *path)
{
    gen_path_list files;
    if (!gen_path_is_folder(path)) return gen_path_has_extension(path, "mat");
    if (gen_folder_list(path, 1, a->arena, &files, NULL) != GEN_OK) return false;
    for (size_t i = 0; i < files.n; i++)
        if (gen_is_midi_file(files.path[i])) return true;
    return false;
}

typedef struct split_facts {
    int64_t pieces, frames, longest;
    double keys;      /* that sound, of all frames */
    double bernoulli; /* gen_frames_bernoulli */
} split_facts;

static split_facts look_at(const gen_frame_pieces *list, gen_split split)
{
    split_facts f = { .bernoulli = gen_frames_bernoulli(list, split) };
    for (int64_t i = 0; i < list->n; i++) {
        const gen_frames *p = &list->piece[i];
        if (p->split != split) continue;
        f.pieces++;
        f.frames += p->n;
        f.longest = p->n > f.longest ? p->n : f.longest;
        for (int64_t c = 0; c < p->n * GEN_FRAME_KEYS; c++) f.keys += p->keys[c];
    }
    return f;
}

static gen_status print_json(cli_args *a, const char *path, const gen_frame_pieces *list, gen_error *err)
{
    gen_json_out out = { .arena = a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "file", path);
    for (int s = 0; s < GEN_N_SPLITS; s++) {
        split_facts f = look_at(list, (gen_split)s);
        if (!f.pieces) continue;
        gen_json_open(&out, gen_split_name((gen_split)s), '{');
        gen_json_put_int(&out, "pieces", f.pieces);
        gen_json_put_int(&out, "frames", f.frames);
        gen_json_put_int(&out, "longest", f.longest);
        gen_json_put_double(&out, "keys", f.keys / (double)(f.frames ? f.frames : 1));
        gen_json_put_double(&out, "bernoulli", f.bernoulli);
        gen_json_close(&out, '}');
    }
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

gen_status cli_describe_frames(cli_args *a, const char *path, gen_error *err)
{
    gen_frame_pieces list;
    GEN_TRY(gen_frame_pieces_open(path, (int32_t)a->o.steps_per_quarter, false, a->arena, &list, err));
    if (a->o.json) return print_json(a, path, &list, err);
    printf("%s: %" PRId64 " pieces of music, as frames of %d keys\n\n%-12s %8s %9s %9s %12s %16s\n", path, list.n,
           GEN_FRAME_KEYS, "", "pieces", "frames", "longest", "keys a frame", "by chance, nats");
    for (int s = 0; s < GEN_N_SPLITS; s++) {
        split_facts f = look_at(&list, (gen_split)s);
        if (f.pieces)
            printf("%-12s %8" PRId64 " %9" PRId64 " %9" PRId64 " %12.2f %16.2f\n", gen_split_name((gen_split)s),
                   f.pieces, f.frames, f.longest, f.keys / (double)(f.frames ? f.frames : 1), f.bernoulli);
    }
    puts("\nby chance: a frame's nats where each key sounds as often as in training, whatever came before; a model has "
         "to "
         "beat it");
    return GEN_OK;
}

/* ---- sample ------------------------------------------------------------------------------------------------------------------ */

static int32_t steps_of(gen_run *run)
{
    void *where;
    const gen_option *row = gen_settings_find(&run->settings, "steps-per-quarter", &where);
    return row ? (int32_t) * (int64_t *)((char *)where + row->offset) : 4;
}

static gen_status open_pieces(const cli_args *a, gen_run *run, gen_frame_pieces *list, gen_error *err)
{
    const char *data = *a->o.data ? a->o.data : run->settings.train.data;
    char *path;
    GEN_TRY(gen_dataset_find(*data ? data : run->settings.model->data, a->arena, &path, err));
    return gen_frame_pieces_open(path, steps_of(run), run->settings.train.skip_bad, a->arena, list, err);
}

gen_status cli_eval_bernoulli(const cli_args *a, gen_run *run, gen_split split, cli_numbers *numbers, gen_error *err)
{
    gen_frame_pieces list;
    if (!run->settings.model->state || run->width != GEN_FRAME_COLUMNS)
        return gen_fail(err, GEN_BAD_OPTION, "--baseline bernoulli is of models of frames, %s is of %s", run->folder,
                        run->settings.model->name);
    GEN_TRY(open_pieces(a, run, &list, err));
    cli_add_number(numbers, "bernoulli", gen_frames_bernoulli(&list, split));
    return GEN_OK;
}

/* --prime, else the first frame of one of the training pieces */
static gen_status find_start(cli_args *a, gen_run *run, uint64_t seed, gen_frame_sampling *how, gen_error *err)
{
    gen_midi midi;
    gen_midi_score score;
    uint8_t *keys;
    if (*a->o.prime) {
        GEN_TRY(cli_tune_open(a, a->o.prime, &midi, &score, err));
        GEN_TRY(gen_frames_of_score(&score, steps_of(run), a->arena, &keys, &how->n_start, err));
        how->start = keys;
        return how->n_start ? GEN_OK : gen_fail(err, GEN_UNSUPPORTED, "%s has no notes", a->o.prime);
    }
    gen_frame_pieces list;
    GEN_TRY(open_pieces(a, run, &list, err));
    int64_t n = 0;
    while (n < list.n && list.piece[n].split == GEN_SPLIT_TRAIN) n++;
    int64_t chosen = gen_philox_block(seed, 0, 0, 0, (uint32_t)gen_hash_name("start")).word[0] % (n ? n : list.n);
    how->start = list.piece[chosen].keys;
    how->n_start = list.piece[chosen].n ? 1 : 0;
    return how->n_start ? GEN_OK : gen_fail(err, GEN_UNSUPPORTED, "%s is empty", list.piece[chosen].name);
}

static gen_status write_npy(const char *path, const gen_roll *roll, gen_arena *arena, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(gen_npy_write(roll->values, (int64_t[]){ roll->n_steps, roll->n_pitches }, 2, arena, &file, err));
    return gen_file_write(path, file.data, file.size, err);
}

/* NAME.mid and, where pictures can be drawn, NAME.png */
static gen_status write_music(cli_args *a, const char *path, const gen_roll *roll, gen_error *err)
{
    enum { TICKS = 960 };
    gen_midi_note *notes;
    size_t n;
    gen_midi midi;
    gen_bytes file;
    int32_t ticks = TICKS / roll->steps_per_quarter * roll->steps_per_quarter;
    const gen_midi_plan plan = { .ticks_per_quarter = ticks, .quarters_per_minute = a->o.tempo };
    GEN_TRY(gen_roll_notes(roll, ticks, a->arena, &notes, &n, err));
    GEN_TRY(gen_midi_from_notes(notes, n, &plan, a->arena, &midi, err));
    GEN_TRY(gen_midi_write(&midi, a->arena, &file, err));
    GEN_TRY(gen_file_write(path, file.data, file.size, err));
    GEN_TRY(cli_print_file(a, path, (int64_t)n, "notes", err));
    return n ? cli_picture_beside(a, path, err) : GEN_OK;
}

gen_status cli_sample_frames(cli_args *a, gen_run *run, gen_error *err)
{
    const char *path = *a->o.output ? a->o.output : "sample.mid";
    bool npy = gen_path_has_extension(path, "npy");
    if (!npy && !cli_is_midi(path))
        return gen_fail(err, GEN_BAD_OPTION, "-o %s: music is written as .mid (with its picture beside it) or .npy",
                        path);
    gen_frame_sampling how = { .n = a->o.n ? a->o.n : 128,
                               .temperature = a->o.temperature >= 0 ? a->o.temperature : 1,
                               .seed = (uint64_t)(a->o.seed >= 0 ? a->o.seed : run->settings.train.seed) };
    GEN_TRY(find_start(a, run, how.seed, &how, err));
    int64_t total = how.n_start + how.n;
    gen_roll roll = { .steps_per_quarter = steps_of(run),
                      .lowest = GEN_ROLL_PIANO_LOWEST,
                      .n_pitches = GEN_FRAME_KEYS,
                      .n_steps = total,
                      .values = gen_arena_alloc(a->arena, (size_t)(total * GEN_FRAME_KEYS) * sizeof *roll.values) };
    uint8_t *keys = gen_arena_alloc(a->arena, (size_t)(total * GEN_FRAME_KEYS));
    if (!keys || !roll.values) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " frames", total);
    memcpy(keys, how.start, (size_t)(how.n_start * GEN_FRAME_KEYS));
    GEN_TRY(gen_frames_sample(run, &how, keys + how.n_start * GEN_FRAME_KEYS, err));
    for (int64_t i = 0; i < total * GEN_FRAME_KEYS; i++) roll.values[i] = keys[i];
    if (!npy) return write_music(a, path, &roll, err);
    GEN_TRY(write_npy(path, &roll, a->arena, err));
    return cli_print_file(a, path, total, "frames", err);
}
