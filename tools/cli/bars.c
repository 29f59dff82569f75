/* Bars of voices: gen sample and gen eval of models that make them. */
#include "tools/cli/bars.h"

#include <inttypes.h>

#include "models/bars.h"
#include "models/evaluate.h"
#include "tools/cli/music.h"

static uint64_t seed_of(const cli_args *a, const gen_run *run)
{
    return (uint64_t)(a->o.seed >= 0 ? a->o.seed : run->settings.train.seed);
}

/* pitch[n,H,4] of n samples */
static gen_status sample_pitches(const cli_args *a, gen_run *run, int64_t n, int16_t **pitch, gen_error *err)
{
    int64_t pixels = run->height * run->width * run->channels;
    float *x = gen_arena_alloc(a->arena, (size_t)(n * pixels) * sizeof *x);
    *pitch = gen_arena_alloc(a->arena, (size_t)(n * run->height * GEN_BAR_TRACKS) * sizeof **pitch);
    if (!x || !*pitch) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " pieces", n);
    GEN_TRY(gen_sample(run, seed_of(a, run), 0, NULL, n, x, err));
    gen_bars_pitches(x, n, run->height, true, *pitch);
    return GEN_OK;
}

/* ---- sample ------------------------------------------------------------------------------------------------------------------ */

static gen_status write_pictures(cli_args *a, gen_run *run, int64_t n, const char *path, gen_error *err)
{
    enum { COLUMNS = 8 };
    int64_t d = gen_latent_size(run);
    float *z = gen_arena_alloc(a->arena, (size_t)(n * d) * sizeof *z);
    if (!z) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " codes", n);
    gen_latent_draw(seed_of(a, run), 0, n, d, z);
    GEN_TRY(cli_write_view(run, z, NULL, n, (int32_t)(n < COLUMNS ? n : COLUMNS), a->arena, path, err));
    return cli_print_file(a, path, n, "pictures", err);
}

gen_status cli_sample_bars(cli_args *a, gen_run *run, gen_error *err)
{
    static const char *const names[] = { "Soprano", "Alto", "Tenor", "Bass" };
    enum { TICKS = 480, PIECES = 8 };
    const char *path = *a->o.output ? a->o.output : "sample.mid";
    int64_t n = a->o.n ? a->o.n : PIECES;
    int16_t *pitch;
    gen_midi_note *notes;
    size_t n_notes;
    gen_midi midi;
    gen_bytes file;
    if (gen_path_has_extension(path, "png")) return write_pictures(a, run, n, path, err);
    if (!cli_is_midi(path))
        return gen_fail(err, GEN_BAD_OPTION, "-o %s: bars are written as .mid, with their picture beside, or .png",
                        path);
    GEN_TRY(sample_pitches(a, run, n, &pitch, err));
    GEN_TRY(gen_bars_notes(pitch, n, run->height, TICKS, a->arena, &notes, &n_notes, err));
    const gen_midi_plan plan = { .ticks_per_quarter = TICKS,
                                 .quarters_per_minute = a->o.tempo,
                                 .beats = 4,
                                 .of = 4,
                                 .names = names,
                                 .n_names = GEN_BAR_TRACKS };
    GEN_TRY(gen_midi_from_notes(notes, n_notes, &plan, a->arena, &midi, err));
    GEN_TRY(gen_midi_write(&midi, a->arena, &file, err));
    GEN_TRY(gen_file_write(path, file.data, file.size, err));
    GEN_TRY(cli_print_file(a, path, n, "pieces", err));
    return cli_picture_beside(a, path, err);
}

/* ---- eval -------------------------------------------------------------------------------------------------------------------- */

static void add_scores(cli_numbers *numbers, const gen_bar_scores *s, const char *const names[4])
{
    const double values[] = { s->empty_bars, s->pitch_classes, s->qualified_notes, s->tonal_distance };
    for (int i = 0; i < 4; i++) cli_add_number(numbers, names[i], values[i]);
}

static gen_status score_training(cli_args *a, const gen_run *run, const gen_dataset *data, gen_bar_scores *scores,
                                 gen_error *err)
{
    gen_range train = data->splits[GEN_SPLIT_TRAIN];
    int64_t steps = run->height, cells = steps * GEN_BAR_TRACKS;
    float *x = gen_arena_alloc(a->arena, (size_t)(steps * run->width * run->channels) * sizeof *x);
    int16_t *pitch = gen_arena_alloc(a->arena, (size_t)(train.n * cells) * sizeof *pitch);
    if (!x || !pitch) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " pieces", train.n);
    for (int64_t i = 0; i < train.n; i++) {
        int64_t index = train.first + i;
        gen_dataset_batch(data, &index, 1, x);
        gen_bars_pitches(x, 1, steps, false, pitch + i * cells);
    }
    *scores = gen_bars_score(pitch, train.n, steps / GEN_BAR_STEPS);
    return GEN_OK;
}

gen_status cli_eval_bars(cli_args *a, gen_run *run, const gen_dataset *data, cli_numbers *numbers, gen_error *err)
{
    enum { SAMPLES = 256 };
    static const char *const made[] = { "empty_bars", "pitch_classes", "qualified_notes", "tonal_distance" },
                             *const real[] = { "training_empty_bars", "training_pitch_classes",
                                               "training_qualified_notes", "training_tonal_distance" };
    int64_t n = a->o.n ? a->o.n : SAMPLES;
    int16_t *pitch;
    gen_program *program = NULL;
    gen_bar_scores scores;
    GEN_TRY(gen_run_program(run, run->settings.model->decode, "make music", 1, &program, err));
    gen_program_free(program); /* its parameters exist now */
    GEN_TRY(cli_load_weights(a, run, err));
    GEN_TRY(sample_pitches(a, run, n, &pitch, err));
    scores = gen_bars_score(pitch, n, run->height / GEN_BAR_STEPS);
    add_scores(numbers, &scores, made);
    GEN_TRY(score_training(a, run, data, &scores, err));
    add_scores(numbers, &scores, real);
    return GEN_OK;
}
