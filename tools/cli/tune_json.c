/* Pieces of music as JSON: notes, or tokens. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "io/roll.h"
#include "models/tokens_json.h"
#include "tools/cli/tune.h"

/* Quarters a minute: the shortest number that means the whole microseconds a quarter which a file says. */
static double tempo_of(const gen_midi_tempo *tempo, int32_t ticks_per_quarter)
{
    double us = 1e6 * tempo->seconds_per_tick * ticks_per_quarter;
    for (double tenths = 1; tenths <= 1e6; tenths *= 10) {
        double tempo_qpm = rint(tenths * 60e6 / us) / tenths;
        if (fabs(60e6 / tempo_qpm - us) < 0.499) return tempo_qpm;
    }
    return 60e6 / us;
}

/* ---- notes ----------------------------------------------------------------------------------------------------------------- */

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

static gen_status write_notes(cli_args *a, const char *path, const cli_tune *t, gen_error *err)
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
                            m ? tempo_of(m, plan->ticks_per_quarter) : plan->quarters_per_minute);
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
    GEN_TRY(gen_file_write(path, file.data, file.size, err));
    return cli_print_file(a, path, (int64_t)t->n, "notes", err);
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

static gen_status take_head(const cli_args *a, const gen_json *json, cli_tune *t, gen_error *err)
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
        if (!gen_midi_can_say_tempo(tempo))
            return gen_fail(err, GEN_BAD_FILE, "JSON: a tempo of %g quarters a minute; MIDI says 3.6 to 60 million",
                            tempo);
        m->seconds_per_tick = 60 / (tempo * (double)ticks);
    }
    t->plan.names = texts, t->plan.tempos = map;
    return GEN_OK;
}

static gen_status take_notes(const cli_args *a, const gen_json *json, cli_tune *t, gen_error *err)
{
    const gen_json *notes = gen_json_get(json, "notes");
    if (!notes || !gen_json_is_array(notes))
        return gen_fail(
            err, GEN_BAD_FILE,
            "JSON: an object with a list of notes or a stream of tokens was expected, as gen convert writes it");
    *t = (cli_tune){ .notes = gen_arena_alloc(a->arena, count_items(notes) * sizeof *t->notes) };
    if (!t->notes) return gen_fail(err, GEN_NO_MEMORY, "no memory for notes");
    GEN_TRY(take_head(a, json, t, err));
    for (const gen_json *i = gen_json_first(notes); i; i = gen_json_next(i))
        GEN_TRY(take_note(i, &t->notes[t->n++], err));
    return GEN_OK;
}

/* ---- tokens ---------------------------------------------------------------------------------------------------------------- */

static gen_status take_tokens(const cli_args *a, const gen_json *json, cli_tune *t, gen_error *err)
{
    gen_token_piece p;
    *t = (cli_tune){ .plan.ticks_per_quarter = GEN_TOKENS_TICKS };
    GEN_TRY(gen_tokens_from_json(json, a->arena, &p, err));
    double tempo = p.quarters_per_minute > 0 ? p.quarters_per_minute : a->o.tempo;
    double quarters = gen_tokens_quarters(&p.vocabulary, p.stream.token, p.stream.n, tempo);
    if (quarters * GEN_TOKENS_TICKS > GEN_MIDI_MAX_TICKS)
        return gen_fail(err, GEN_BAD_FILE, "JSON: tokens that last %.0f quarters; MIDI has room for %d", quarters,
                        GEN_MIDI_MAX_TICKS / GEN_TOKENS_TICKS);
    t->plan.quarters_per_minute = tempo;
    return gen_tokens_notes(&p.vocabulary, p.stream.token, p.stream.n, tempo, a->arena, &t->notes, &t->n, err);
}

static void print_left_out(const cli_args *a, const gen_token_piece *p, const gen_midi_score *score, size_t n_said)
{
    size_t drums = 0, tempos = p->quarters_per_minute > 0 && score->n_tempos ? score->n_tempos - 1 : 0;
    for (size_t i = 0; i < score->n_notes; i++) drums += score->notes[i].channel == GEN_MIDI_DRUMS;
    bool melody = !strcmp(p->vocabulary.tokens, "melody");
    size_t voices = melody ? score->n_notes - drums - n_said : 0;
    if (a->o.quiet || !(drums + tempos + voices)) return;
    fprintf(stderr, "left out: %zu notes of drums, %zu of other voices, %zu changes of tempo\n", drums, voices, tempos);
}

/* By --tokens. Tempos are those of the start; performance counts seconds. */
static gen_status write_tokens(cli_args *a, const char *path, const cli_tune *t, gen_error *err)
{
    gen_midi midi;
    gen_midi_score made;
    const gen_midi_score *score = t->score;
    gen_tokeniser tokeniser;
    gen_token_piece p = { 0 };
    gen_midi_note *notes;
    gen_bytes file;
    size_t n;
    if (!score) GEN_TRY(cli_tune_score(a, t, &midi, &made, err));
    if (!score) score = &made;
    GEN_TRY(gen_tokeniser_start(&tokeniser, a->o.tokens, NULL, a->arena, err));
    GEN_TRY(gen_tokens_of_score(&tokeniser, score, 0, 1, &p.stream, err));
    p.vocabulary = gen_tokeniser_vocabulary(&tokeniser);
    if (strcmp(a->o.tokens, "performance") != 0)
        p.quarters_per_minute = tempo_of(&score->tempos[0], score->ticks_per_quarter);
    GEN_TRY(gen_tokens_notes(&p.vocabulary, p.stream.token, p.stream.n, a->o.tempo, a->arena, &notes, &n, err));
    print_left_out(a, &p, score, n);
    GEN_TRY(gen_tokens_to_json(&p, a->arena, &file, err));
    GEN_TRY(gen_file_write(path, file.data, file.size, err));
    return cli_print_file(a, path, p.stream.n, "tokens", err);
}

/* ---- which of the two ------------------------------------------------------------------------------------------------------ */

gen_status cli_tune_write_json(cli_args *a, const char *path, const cli_tune *t, gen_error *err)
{
    return (strcmp(a->o.tokens, "notes") ? write_tokens : write_notes)(a, path, t, err);
}

gen_status cli_tune_read_json(const cli_args *a, const char *path, cli_tune *t, gen_error *err)
{
    gen_bytes file;
    gen_json *json = NULL;
    GEN_TRY(gen_file_read(path, GEN_FILE_ANY_SIZE, a->arena, &file, err));
    gen_status status = gen_json_parse(file.data, file.size, &json, err);
    if (status == GEN_OK) status = (gen_json_get(json, "tokens") ? take_tokens : take_notes)(a, json, t, err);
    gen_json_free(json);
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, path, status);
}
