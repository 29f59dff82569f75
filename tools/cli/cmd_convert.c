/* convert: a file becomes one of another kind. Music is read into notes, from MIDI, JSON or a piano roll, and written as any
 * of these. */
#include <inttypes.h>
#include <string.h>

#include "io/npy.h"
#include "io/roll.h"
#include "tools/cli/music.h"

/* ---- music: notes in the middle ---------------------------------------------------------------------------------------- */

typedef struct tune {
    gen_midi_note *notes;
    size_t n;
    gen_midi_plan plan; /* ticks_per_quarter is set */
} tune;

static gen_status read_midi(cli_args *a, const char *path, tune *t, gen_error *err)
{
    gen_midi midi;
    gen_midi_score score;
    GEN_TRY(cli_open_midi(a->arena, path, &midi, &score, err));
    if (!a->o.quiet) cli_print_repairs(stderr, &midi);
    const char **names = gen_arena_alloc(a->arena, (size_t)midi.n_tracks * sizeof *names);
    if (!names) return gen_fail(err, GEN_NO_MEMORY, "no memory for %d tracks", midi.n_tracks);
    for (int32_t i = 0; i < midi.n_tracks; i++) {
        const char *name = cli_midi_track_name(a->arena, &midi.tracks[i]);
        names[i] = name && *name ? name : NULL;
    }
    *t = (tune){ score.notes, score.n_notes, { .ticks_per_quarter = score.ticks_per_quarter } };
    t->plan.names = names, t->plan.n_names = midi.n_tracks;
    t->plan.tempos = score.tempos, t->plan.n_tempos = score.n_tempos;
    for (size_t i = 0; i < score.n_moments && !t->plan.beats; i++)
        (void)gen_midi_time_of(score.moments[i].event, &t->plan.beats, &t->plan.of);
    return GEN_OK;
}

static gen_status write_midi(cli_args *a, const char *path, const tune *t, gen_error *err)
{
    gen_midi midi;
    gen_bytes file;
    GEN_TRY(gen_midi_from_notes(t->notes, t->n, &t->plan, a->arena, &midi, err));
    GEN_TRY(gen_midi_write(&midi, a->arena, &file, err));
    return gen_file_write(path, file.data, file.size, err);
}

/* [T,128] holds all pitches, [T,88] the keys of a piano. */
static gen_status read_roll(cli_args *a, const char *path, tune *t, gen_error *err)
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
    *t = (tune){ .plan = { .ticks_per_quarter = roll.steps_per_quarter * ticks_per_step,
                           .quarters_per_minute = a->o.tempo } };
    return gen_roll_notes(&roll, t->plan.ticks_per_quarter, a->arena, &t->notes, &t->n, err);
}

static gen_status write_roll(cli_args *a, const char *path, const tune *t, gen_error *err)
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
    return gen_file_write(path, file.data, file.size, err);
}

/* ---- music as JSON ------------------------------------------------------------------------------------------------------ */

static void put_note(gen_json_out *out, const gen_midi_note *n)
{
    gen_json_open(out, NULL, '{');
    gen_json_put_int(out, "start", n->start_ticks);
    gen_json_put_int(out, "duration", n->duration_ticks);
    gen_json_put_int(out, "pitch", n->pitch);
    gen_json_put_int(out, "velocity", n->velocity);
    gen_json_put_int(out, "track", n->track);
    gen_json_put_int(out, "channel", n->channel);
    gen_json_put_int(out, "program", n->program);
    gen_json_close(out, '}');
}

static gen_status write_json(cli_args *a, const char *path, const tune *t, gen_error *err)
{
    const gen_midi_plan *plan = &t->plan;
    gen_json_out out = { .arena = a->arena };
    gen_bytes file;
    gen_json_open(&out, NULL, '{');
    gen_json_put_int(&out, "ticks_per_quarter", plan->ticks_per_quarter);
    if (plan->beats) {
        gen_json_open(&out, "time", '[');
        gen_json_put_int(&out, NULL, plan->beats), gen_json_put_int(&out, NULL, plan->of);
        gen_json_close(&out, ']');
    }
    gen_json_open(&out, "tempos", '[');
    for (size_t i = 0; i < (plan->n_tempos ? plan->n_tempos : 1); i++) {
        const gen_midi_tempo *m = plan->n_tempos ? &plan->tempos[i] : NULL;
        gen_json_open(&out, NULL, '{');
        gen_json_put_int(&out, "start", m ? m->ticks : 0);
        gen_json_put_double(&out, "quarters_per_minute",
                            m ? 60 / (m->seconds_per_tick * plan->ticks_per_quarter) : plan->quarters_per_minute);
        gen_json_close(&out, '}');
    }
    gen_json_close(&out, ']');
    gen_json_open(&out, "tracks", '[');
    for (int32_t i = 0; i < plan->n_names; i++) gen_json_put_string(&out, NULL, plan->names[i] ? plan->names[i] : "");
    gen_json_close(&out, ']');
    gen_json_open(&out, "notes", '[');
    for (size_t i = 0; i < t->n; i++) put_note(&out, &t->notes[i]);
    gen_json_close(&out, ']');
    gen_json_close(&out, '}');
    GEN_TRY(gen_json_finish(&out, &file, err));
    return gen_file_write(path, file.data, file.size, err);
}

static size_t count_items(const gen_json *list)
{
    size_t n = 0;
    for (const gen_json *i = list ? gen_json_first(list) : NULL; i; i = gen_json_next(i)) n++;
    return n;
}

/* A member that may be missing. */
static gen_status small_int(const gen_json *object, const char *key, int64_t fallback, int64_t low, int64_t high,
                            int64_t *out, gen_error *err)
{
    *out = fallback;
    if (gen_json_get(object, key)) GEN_TRY(gen_json_int(object, key, out, err));
    if (*out >= low && *out <= high) return GEN_OK;
    return gen_fail(err, GEN_BAD_FILE, "JSON: %s is %" PRId64 "; %" PRId64 " to %" PRId64 " were expected", key, *out,
                    low, high);
}

static gen_status take_note(const gen_json *json, gen_midi_note *n, gen_error *err)
{
    int64_t pitch, velocity, track, channel, program;
    GEN_TRY(small_int(json, "start", -1, 0, GEN_MIDI_MAX_TICKS, &n->start_ticks, err));
    GEN_TRY(small_int(json, "duration", -1, 0, GEN_MIDI_MAX_TICKS, &n->duration_ticks, err));
    GEN_TRY(small_int(json, "pitch", -1, 0, 127, &pitch, err));
    GEN_TRY(small_int(json, "velocity", GEN_ROLL_VELOCITY, 1, 127, &velocity, err));
    GEN_TRY(small_int(json, "track", 0, 0, GEN_MIDI_MAX_TRACKS - 1, &track, err));
    GEN_TRY(small_int(json, "channel", 0, 0, 15, &channel, err));
    GEN_TRY(small_int(json, "program", 0, 0, 127, &program, err));
    n->pitch = (uint8_t)pitch, n->velocity = (uint8_t)velocity, n->track = (int32_t)track;
    n->channel = (uint8_t)channel, n->program = (uint8_t)program;
    return GEN_OK;
}

static gen_status take_head(cli_args *a, const gen_json *json, tune *t, gen_error *err)
{
    int64_t ticks, beats = 0, of = 0;
    GEN_TRY(small_int(json, "ticks_per_quarter", 480, 1, 32767, &ticks, err));
    t->plan.ticks_per_quarter = (int32_t)ticks;
    t->plan.quarters_per_minute = a->o.tempo;
    const gen_json *time = gen_json_get(json, "time"), *names = gen_json_get(json, "tracks"),
                   *tempos = gen_json_get(json, "tempos");
    if (time && gen_json_first(time) && gen_json_to_int(gen_json_first(time), &beats) &&
        gen_json_next(gen_json_first(time)) && gen_json_to_int(gen_json_next(gen_json_first(time)), &of) && beats > 0 &&
        beats < 256 && of > 0 && of <= 128)
        t->plan.beats = (int32_t)beats, t->plan.of = (int32_t)of;
    const char **texts = gen_arena_alloc(a->arena, (count_items(names) + 1) * sizeof *texts);
    gen_midi_tempo *map = gen_arena_alloc(a->arena, (count_items(tempos) + 1) * sizeof *map);
    if (!texts || !map) return gen_fail(err, GEN_NO_MEMORY, "no memory for a tune");
    for (const gen_json *i = names ? gen_json_first(names) : NULL; i; i = gen_json_next(i)) {
        const char *text = gen_json_text(i);
        texts[t->plan.n_names++] = text && *text ? gen_arena_strdup(a->arena, text) : NULL;
    }
    for (const gen_json *i = tempos ? gen_json_first(tempos) : NULL; i; i = gen_json_next(i)) {
        double tempo;
        gen_midi_tempo *m = &map[t->plan.n_tempos++];
        GEN_TRY(small_int(i, "start", 0, 0, GEN_MIDI_MAX_TICKS, &m->ticks, err));
        GEN_TRY(gen_json_double(i, "quarters_per_minute", &tempo, err));
        m->seconds_per_tick = 60 / (tempo * (double)ticks);
    }
    t->plan.names = texts, t->plan.tempos = map;
    return GEN_OK;
}

static gen_status take_tune(cli_args *a, const gen_json *json, tune *t, gen_error *err)
{
    const gen_json *notes = gen_json_get(json, "notes");
    if (!notes || !gen_json_is_array(notes))
        return gen_fail(err, GEN_BAD_FILE,
                        "JSON: an object with a list of notes was expected, as gen convert writes it");
    *t = (tune){ .notes = gen_arena_alloc(a->arena, count_items(notes) * sizeof *t->notes) };
    if (!t->notes) return gen_fail(err, GEN_NO_MEMORY, "no memory for notes");
    GEN_TRY(take_head(a, json, t, err));
    for (const gen_json *i = gen_json_first(notes); i; i = gen_json_next(i))
        GEN_TRY(take_note(i, &t->notes[t->n++], err));
    return GEN_OK;
}

static gen_status read_json(cli_args *a, const char *path, tune *t, gen_error *err)
{
    gen_bytes file;
    gen_json *json = NULL;
    GEN_TRY(gen_file_read(path, GEN_FILE_ANY_SIZE, a->arena, &file, err));
    gen_status status = gen_json_parse(file.data, file.size, &json, err);
    if (status == GEN_OK) status = take_tune(a, json, t, err);
    gen_json_free(json);
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, path, status);
}

/* ---- which reader, which writer ------------------------------------------------------------------------------------------ */

static const struct music_kind {
    const char *extension;
    gen_status (*read)(cli_args *a, const char *path, tune *t, gen_error *err);
    gen_status (*write)(cli_args *a, const char *path, const tune *t, gen_error *err);
} music_kinds[] = {
    { "mid", read_midi, write_midi }, { "midi", read_midi, write_midi }, { "kar", read_midi, write_midi },
    { "rmi", read_midi, NULL },       { "npy", read_roll, write_roll },  { "json", read_json, write_json },
};

static const struct music_kind *music_kind(const char *path)
{
    for (size_t i = 0; i < sizeof music_kinds / sizeof *music_kinds; i++)
        if (gen_path_has_extension(path, music_kinds[i].extension)) return &music_kinds[i];
    return NULL;
}

static bool is_music(const char *from, const char *to)
{
    return music_kind(from) && music_kind(to) && music_kind(to)->write;
}

static gen_status convert_music(cli_args *a, const char *from, const char *to, gen_error *err)
{
    tune t;
    GEN_TRY(music_kind(from)->read(a, from, &t, err));
    GEN_TRY(music_kind(to)->write(a, to, &t, err));
    return cli_print_file(a, to, (int64_t)t.n, "notes", err);
}

/* What can become what: the first row that says yes does it. */
static const struct conversion {
    bool (*takes)(const char *from, const char *to);
    gen_status (*run)(cli_args *a, const char *from, const char *to, gen_error *err);
    const char *words;
} conversions[] = {
    { is_music, convert_music, "music (.mid .midi .kar .rmi, piano roll .npy, notes .json) into .mid .npy .json" },
    { cli_is_weights, cli_convert_weights, "weights of PyTorch (.pth .pt .bin .ckpt) into .safetensors" },
    { cli_is_classifier, cli_convert_classifier,
      "a run of preset vgg-small, or its weights, into the .safetensors of a network for gen style" },
};

static int convert(cli_args *a, gen_error *err)
{
    if (cli_need_words(&cli_convert, a, 2, 2, err) != GEN_OK) return CLI_USAGE;
    for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++)
        if (conversions[i].takes(a->word[0], a->word[1]))
            return conversions[i].run(a, a->word[0], a->word[1], err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    char words[300] = "";
    for (size_t i = 0, n = 0; i < sizeof conversions / sizeof *conversions && n < sizeof words; i++)
        n += (size_t)snprintf(words + n, sizeof words - n, "%s%s", i ? "; " : "", conversions[i].words);
    gen_fail(err, GEN_BAD_OPTION, "there is no way from .%.20s to .%.20s; gen converts %s",
             gen_path_extension(a->word[0]), gen_path_extension(a->word[1]), words);
    return CLI_USAGE;
}

static const char *const convert_takes[] = { "steps-per-quarter", "pitches", "tempo", "quiet", "json", NULL };
const cli_verb cli_convert = {
    "convert",
    "IN OUT",
    "a file as one of another kind: MIDI, piano roll .npy, notes .json; PyTorch's .pth as .safetensors",
    convert_takes,
    0,
    convert
};
