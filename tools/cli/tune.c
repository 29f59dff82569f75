/* Pieces of music of every form, with notes in the middle. */
#include "tools/cli/tune.h"

#include <inttypes.h>
#include <string.h>

#include "io/npy.h"
#include "io/roll.h"
#include "tools/cli/music.h"

/* ---- MIDI ---------------------------------------------------------------------------------------------------------------- */

static gen_status read_midi(const cli_args *a, const char *path, cli_tune *t, gen_error *err)
{
    gen_midi midi;
    gen_midi_score *score = gen_arena_alloc(a->arena, sizeof *score);
    if (!score) return gen_fail(err, GEN_NO_MEMORY, "no memory for a score");
    GEN_TRY(cli_open_midi(a->arena, path, &midi, score, err));
    if (!a->o.quiet) cli_print_repairs(stderr, &midi);
    const char **names = gen_arena_alloc(a->arena, (size_t)midi.n_tracks * sizeof *names);
    if (!names) return gen_fail(err, GEN_NO_MEMORY, "no memory for %d tracks", midi.n_tracks);
    for (int32_t i = 0; i < midi.n_tracks; i++) {
        const char *name = cli_midi_track_name(a->arena, &midi.tracks[i]);
        names[i] = name && *name ? name : NULL;
    }
    *t = (cli_tune){ score->notes, score->n_notes, { .ticks_per_quarter = score->ticks_per_quarter }, score };
    t->plan.names = names, t->plan.n_names = midi.n_tracks;
    t->plan.tempos = score->tempos, t->plan.n_tempos = score->n_tempos;
    for (size_t i = 0; i < score->n_moments && !t->plan.beats; i++)
        (void)gen_midi_time_of(score->moments[i].event, &t->plan.beats, &t->plan.of);
    return GEN_OK;
}

gen_status cli_tune_midi(const cli_args *a, const cli_tune *t, gen_bytes *file, gen_error *err)
{
    gen_midi midi;
    GEN_TRY(gen_midi_from_notes(t->notes, t->n, &t->plan, a->arena, &midi, err));
    return gen_midi_write(&midi, a->arena, file, err);
}

gen_status cli_tune_score(const cli_args *a, const cli_tune *t, gen_midi *midi, gen_midi_score *score, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(cli_tune_midi(a, t, &file, err));
    GEN_TRY(gen_midi_read(file.data, file.size, a->arena, midi, err));
    return gen_midi_score_make(midi, a->arena, score, err);
}

static gen_status write_midi(cli_args *a, const char *path, const cli_tune *t, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(cli_tune_midi(a, t, &file, err));
    GEN_TRY(gen_file_write(path, file.data, file.size, err));
    return cli_print_file(a, path, (int64_t)t->n, "notes", err);
}

/* ---- piano rolls ----------------------------------------------------------------------------------------------------------- */

/* [T,128] holds all pitches, [T,88] the keys of a piano. */
static gen_status read_roll(const cli_args *a, const char *path, cli_tune *t, gen_error *err)
{
    enum { ABOUT_TICKS = 960 };
    gen_bytes file;
    gen_npy npy;
    GEN_TRY(gen_file_read(path, GEN_FILE_ANY_SIZE, a->arena, &file, err));
    gen_status status = gen_npy_read(file.data, file.size, a->arena, &npy, err);
    if (status != GEN_OK) return gen_error_in_file(err, path, status);
    if (npy.n_dims != 2 || (npy.dims[1] != 128 && npy.dims[1] != 88) || npy.dims[0] > GEN_ROLL_MAX_STEPS)
        return gen_fail(err, GEN_BAD_SHAPE,
                        "%s: a piano roll is an array [T,128] or [T,88] of at most %d steps; this one has %d axes, the "
                        "last of %" PRId64,
                        path, GEN_ROLL_MAX_STEPS, npy.n_dims, npy.n_dims ? npy.dims[npy.n_dims - 1] : 0);
    gen_roll roll = { .steps_per_quarter = (int32_t)a->o.steps_per_quarter,
                      .lowest = npy.dims[1] == 88 ? GEN_ROLL_PIANO_LOWEST : 0,
                      .n_pitches = (int32_t)npy.dims[1],
                      .n_steps = npy.dims[0],
                      .values = npy.values };
    if (npy.u1) {
        roll.values = gen_arena_alloc(a->arena, npy.n * sizeof *roll.values);
        for (size_t i = 0; roll.values && i < npy.n; i++) roll.values[i] = npy.u1[i];
    }
    if (!roll.values) return gen_fail(err, GEN_NO_MEMORY, "no memory for a piano roll of %zu numbers", npy.n);
    int32_t ticks_per_step = ABOUT_TICKS / roll.steps_per_quarter;
    *t = (cli_tune){ .plan = { .ticks_per_quarter = roll.steps_per_quarter * ticks_per_step,
                               .quarters_per_minute = a->o.tempo } };
    return gen_roll_notes(&roll, t->plan.ticks_per_quarter, a->arena, &t->notes, &t->n, err);
}

static gen_status write_roll(cli_args *a, const char *path, const cli_tune *t, gen_error *err)
{
    gen_bytes file;
    gen_midi_score score = { .ticks_per_quarter = t->plan.ticks_per_quarter, .notes = t->notes, .n_notes = t->n };
    int piano = !strcmp(a->o.pitches, "88");
    gen_roll roll = { .steps_per_quarter = (int32_t)a->o.steps_per_quarter,
                      .lowest = piano ? GEN_ROLL_PIANO_LOWEST : 0,
                      .n_pitches = piano ? 88 : 128 };
    GEN_TRY(gen_roll_make(&score, &roll, a->arena, err));
    if (!a->o.quiet && (roll.n_drums || roll.n_outside))
        fprintf(stderr, "left out: %zu notes of drums, %zu of other pitches\n", roll.n_drums, roll.n_outside);
    GEN_TRY(gen_npy_write(roll.values, (int64_t[]){ roll.n_steps, roll.n_pitches }, 2, a->arena, &file, err));
    GEN_TRY(gen_file_write(path, file.data, file.size, err));
    return cli_print_file(a, path, roll.n_steps, "steps", err);
}

/* ---- which reader, which writer ------------------------------------------------------------------------------------------ */

static const struct form {
    const char *extension;
    gen_status (*read)(const cli_args *a, const char *path, cli_tune *t, gen_error *err);
    gen_status (*write)(cli_args *a, const char *path, const cli_tune *t, gen_error *err);
} forms[] = {
    { "mid", read_midi, write_midi }, { "midi", read_midi, write_midi },
    { "kar", read_midi, write_midi }, { "rmi", read_midi, NULL },
    { "npy", read_roll, write_roll }, { "json", cli_tune_read_json, cli_tune_write_json },
};

static const struct form *form(const char *path)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (gen_path_has_extension(path, forms[i].extension)) return &forms[i];
    return NULL;
}

bool cli_is_tune(const char *path)
{
    return form(path) != NULL;
}

bool cli_can_write_tune(const char *path)
{
    return form(path) && form(path)->write;
}

gen_status cli_tune_read(const cli_args *a, const char *path, cli_tune *t, gen_error *err)
{
    return form(path)->read(a, path, t, err);
}

gen_status cli_tune_open(const cli_args *a, const char *path, gen_midi *midi, gen_midi_score *score, gen_error *err)
{
    cli_tune t;
    if (!form(path) || cli_is_midi(path)) return cli_open_midi(a->arena, path, midi, score, err);
    GEN_TRY(cli_tune_read(a, path, &t, err));
    return cli_tune_score(a, &t, midi, score, err);
}

gen_status cli_tune_write(cli_args *a, const char *path, const cli_tune *t, gen_error *err)
{
    return form(path)->write(a, path, t, err);
}
