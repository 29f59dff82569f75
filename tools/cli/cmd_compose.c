/* gen compose RUN: a new piece from a trained model of music, as MIDI, sound and picture. gen sample of a model of text. */
#include "tools/cli/cmd_compose.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/synth.h"
#include "models/data_tokens.h"
#include "models/music_theory.h"
#include "models/sequence.h"
#include "tools/cli/music.h"
#include "tools/cli/tune.h"

enum { MOST_TOKENS = 1 << 20, TEXT_TOKENS = 500, BEATS = 4 };

/* Pieces wander less from their key a little below 1 (docs/results/music.md). */
static double temperature_of(const cli_args *a, const gen_run *run)
{
    bool music = run->settings.model->tokens == GEN_TOKENS_MUSIC;
    return a->o.temperature >= 0 ? a->o.temperature : music ? 0.8 : 1;
}

gen_composition cli_composition(const cli_args *a, const gen_run *run)
{
    return (gen_composition){ .seed = (uint64_t)(a->o.seed >= 0 ? a->o.seed : run->settings.train.seed),
                              .temperature = temperature_of(a, run),
                              .top_k = a->o.top_k,
                              .top_p = a->o.top_p,
                              .guard = a->o.repeats,
                              .most_tokens = MOST_TOKENS,
                              .quarters_per_minute = a->o.tempo };
}

/* ---- key, instrument ------------------------------------------------------------------------------------------------------------ */

/* "Bb minor", "F# major", "C", "am": the tonic 0 to 11 and the mode; GEN_BAD_OPTION. */
static gen_status parse_key(const char *text, int32_t *tonic, int32_t *minor, gen_error *err)
{
    static const int32_t classes[7] = { 9, 11, 0, 2, 4, 5, 7 }; /* of A to G */
    char letter = (char)(*text >= 'a' && *text <= 'g' ? *text - 'a' + 'A' : *text);
    const char *rest = text + 1;
    if (letter < 'A' || letter > 'G')
        return gen_fail(err, GEN_BAD_OPTION, "--key %s: expected a key such as \"D minor\", Bb or F#", text);
    *tonic = classes[letter - 'A'];
    if (*rest == '#') *tonic += 1, rest++;
    else if (*rest == 'b' || *rest == '-') *tonic += 11, rest++;
    *tonic %= 12;
    while (*rest == ' ') rest++;
    *minor = !strcmp(rest, "minor") || !strcmp(rest, "m");
    return !*rest || *minor || !strcmp(rest, "major")
               ? GEN_OK
               : gen_fail(err, GEN_BAD_OPTION, "--key %s: behind the tonic stands major, minor or nothing", text);
}

gen_key cli_key_of(const gen_midi_note *notes, size_t n)
{
    double weight[12] = { 0 };
    for (size_t i = 0; i < n; i++) weight[notes[i].pitch % 12] += (double)notes[i].duration_ticks;
    return gen_find_key(weight);
}

static void move(gen_midi_note *notes, size_t n, int32_t semitones)
{
    for (size_t i = 0; i < n; i++) {
        int32_t pitch = notes[i].pitch + semitones;
        notes[i].pitch = (uint8_t)(pitch < 0 ? pitch + 12 : pitch > 127 ? pitch - 12 : pitch);
    }
}

/* "F major", or where D minor was asked for, "F major (the notes of D minor)": a piece whose notes are those may sound like either. */
static const char *key_text(const cli_args *a, const gen_key *key)
{
    int32_t tonic, minor;
    const char *heard =
        gen_arena_printf(a->arena, "%s %s", gen_pitch_class_name(key->tonic), key->minor ? "minor" : "major");
    if (!*a->o.key || parse_key(a->o.key, &tonic, &minor, NULL) != GEN_OK || minor == key->minor) return heard;
    return gen_arena_printf(a->arena, "%s (the notes of %s %s)", heard, gen_pitch_class_name(tonic),
                            minor ? "minor" : "major");
}

/* Moves the piece to the key, the shorter way. A key of the other mode is met in its relative: the same notes. */
static gen_status move_to_key(const cli_args *a, gen_midi_note *notes, size_t n, gen_error *err)
{
    int32_t tonic = 0, minor = 0;
    gen_key key = cli_key_of(notes, n);
    if (!*a->o.key) return GEN_OK;
    GEN_TRY(parse_key(a->o.key, &tonic, &minor, err));
    int32_t from = (key.tonic + (key.minor && !minor ? 3 : !key.minor && minor ? 9 : 0)) % 12;
    int32_t shift = (tonic - from + 12) % 12;
    if (shift > 6) shift -= 12;
    move(notes, n, shift);
    return GEN_OK;
}

/* A program of General MIDI by its number, from 1, or a part of its name. */
static gen_status find_instrument(const char *text, int32_t *program, gen_error *err)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (*text && !*end && number >= 1 && number <= 128) {
        *program = (int32_t)number - 1;
        return GEN_OK;
    }
    for (int32_t i = 0; *text && i < 128; i++) {
        const char *name = gen_midi_program_name(i);
        size_t n = strlen(text);
        for (const char *at = name; *at; at++) {
            size_t k = 0;
            while (k < n && at[k] && (at[k] | 32) == (text[k] | 32)) k++;
            if (k < n) continue;
            *program = i;
            return GEN_OK;
        }
    }
    return gen_fail(err, GEN_BAD_OPTION,
                    "--instrument %s: expected a number from 1 to 128 or a name of General MIDI, such as Cello", text);
}

/* ---- one piece ------------------------------------------------------------------------------------------------------------------- */

/* up: semitones that it was moved, for a run that knows one key only */
static gen_status open_prime(const cli_args *a, gen_run *run, gen_stream *prime, int32_t *up, gen_error *err)
{
    gen_midi midi;
    gen_midi_score score;
    gen_tokeniser t;
    GEN_TRY(cli_tune_open(a, a->o.prime, &midi, &score, err));
    GEN_TRY(gen_tokeniser_start(&t, run->vocabulary.tokens, &run->vocabulary, a->arena, err));
    *up = ((const gen_sequence_options *)run->settings.options)->one_key ? gen_to_one_key(&score) : 0;
    GEN_TRY(gen_tokens_of_score(&t, &score, *up, 1, prime, err));
    if (!prime->n) return gen_fail(err, GEN_BAD_FILE, "%s has no notes to go on with", a->o.prime);
    double bars = gen_tokens_quarters(&run->vocabulary, prime->token, prime->n, a->o.tempo) / BEATS;
    if (bars >= (double)a->o.bars)
        return gen_fail(err, GEN_BAD_OPTION,
                        "%s has %.1f bars already, and the piece is to have %" PRId64
                        " with them: ask for more with --bars",
                        a->o.prime, bars, a->o.bars);
    if (t.n_unknown && !a->o.quiet)
        fprintf(stderr,
                "warning: %" PRId64 " of %" PRId64
                " tokens of %s are none that the run knows; the nearest stand for them\n",
                t.n_unknown, prime->n, a->o.prime);
    return GEN_OK;
}

/* What lies behind the last bar is cut off. */
static size_t cut_at(gen_midi_note *notes, size_t n, int64_t ticks)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        gen_midi_note note = notes[i];
        if (note.start_ticks >= ticks) continue;
        if (note.start_ticks + note.duration_ticks > ticks) note.duration_ticks = ticks - note.start_ticks;
        notes[kept++] = note;
    }
    return kept;
}

gen_status cli_compose_notes(const cli_args *a, gen_composer *composer, const gen_run *run, gen_composition *how,
                             gen_midi_note **notes, size_t *n, gen_error *err)
{
    gen_stream stream;
    how->quarters = (double)(a->o.bars * BEATS);
    GEN_TRY(gen_compose(composer, how, a->arena, &stream, err));
    GEN_TRY(
        gen_tokens_notes(&run->vocabulary, stream.token, stream.n, how->quarters_per_minute, a->arena, notes, n, err));
    *n = cut_at(*notes, *n, (int64_t)a->o.bars * BEATS * GEN_TOKENS_TICKS);
    return GEN_OK;
}

static gen_status write_midi(const cli_args *a, const char *path, gen_midi_note *notes, size_t n, gen_error *err)
{
    int32_t program = 0;
    gen_midi midi;
    gen_bytes file;
    gen_midi_plan plan = {
        .ticks_per_quarter = GEN_TOKENS_TICKS, .quarters_per_minute = a->o.tempo, .beats = BEATS, .of = 4
    };
    if (*a->o.instrument) GEN_TRY(find_instrument(a->o.instrument, &program, err));
    for (size_t i = 0; i < n; i++) notes[i].program = (uint8_t)program;
    GEN_TRY(gen_midi_from_notes(notes, n, &plan, a->arena, &midi, err));
    GEN_TRY(gen_midi_write(&midi, a->arena, &file, err));
    return gen_file_write(path, file.data, file.size, err);
}

/* Sound and picture, where they are wanted, and one report of all. */
static gen_status report(cli_args *a, const char *path, uint64_t seed, const gen_midi_note *notes, size_t n,
                         gen_error *err)
{
    gen_key key = cli_key_of(notes, n);
    cli_args own = *a;
    own.silent = a->o.json != 0;
    if (*a->o.png) GEN_TRY(cli_plot_tune(&own, path, a->o.png, err));
    if (*a->o.wav) GEN_TRY(cli_render_tune(&own, path, a->o.wav, err));
    const char *in = key_text(a, &key);
    if (!a->o.json) {
        printf("%s: %zu notes in %" PRId64 " bars, %s, seed %" PRIu64 "\n", path, n, a->o.bars, in, seed);
        return GEN_OK;
    }
    gen_json_out out = { .arena = a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "file", path);
    gen_json_put_int(&out, "notes", (int64_t)n);
    gen_json_put_int(&out, "bars", a->o.bars);
    gen_json_put_string(&out, "key", in);
    gen_json_put_int(&out, "seed", (int64_t)seed);
    if (*a->o.png) gen_json_put_string(&out, "png", a->o.png);
    if (*a->o.wav) gen_json_put_string(&out, "wav", a->o.wav);
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

static gen_status compose(cli_args *a, gen_composer *composer, gen_run *run, gen_error *err)
{
    const char *path = *a->o.output ? a->o.output : "composed.mid";
    gen_composition how = cli_composition(a, run);
    gen_stream prime;
    gen_midi_note *notes;
    size_t n;
    int32_t up = 0;
    if (!cli_is_midi(path)) return gen_fail(err, GEN_BAD_OPTION, "-o %s: music is written as .mid", path);
    if (*a->o.prime) GEN_TRY(open_prime(a, run, &prime, &up, err));
    if (*a->o.prime) how.prime = &prime;
    GEN_TRY(cli_compose_notes(a, composer, run, &how, &notes, &n, err));
    move(notes, n, -up);
    GEN_TRY(move_to_key(a, notes, n, err));
    GEN_TRY(write_midi(a, path, notes, n, err));
    return report(a, path, how.seed, notes, n, err);
}

static int with_composer(cli_args *a, const cli_verb *verb,
                         gen_status (*work)(cli_args *a, gen_composer *c, gen_run *run, gen_error *err), gen_error *err)
{
    gen_device *device;
    gen_run *run;
    gen_composer *composer = NULL;
    if (cli_need_words(verb, a, 1, 1, err) != GEN_OK) return CLI_USAGE;
    if (cli_open_run(a, a->word[0], &device, &run, err) != GEN_OK) return CLI_FAILED;
    gen_status status = run->settings.model->tokens == GEN_TOKENS_MUSIC
                            ? gen_composer_new(run, &composer, err)
                            : gen_fail(err, GEN_UNSUPPORTED, "%s is a run of %s, which composes nothing", a->word[0],
                                       run->settings.model->name);
    if (status == GEN_OK) status = cli_load_weights(a, run, err);
    if (status == GEN_OK) status = work(a, composer, run, err);
    gen_composer_free(composer);
    cli_close_run(run, device);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static int run_compose(cli_args *a, gen_error *err)
{
    return with_composer(a, &cli_compose, compose, err);
}

/* ---- text ------------------------------------------------------------------------------------------------------------------------ */

/* A text, or the name of a file that holds one. */
static gen_status prime_text(const cli_args *a, gen_run *run, gen_stream *prime, gen_error *err)
{
    gen_tokeniser t;
    gen_bytes text = { (uint8_t *)(uintptr_t)a->o.prime, strlen(a->o.prime) };
    if (gen_path_has_extension(a->o.prime, "txt") && gen_path_exists(a->o.prime))
        GEN_TRY(gen_file_read(a->o.prime, GEN_FILE_ANY_SIZE, a->arena, &text, err));
    GEN_TRY(gen_tokeniser_start(&t, run->vocabulary.tokens, &run->vocabulary, a->arena, err));
    GEN_TRY(gen_tokens_of_text(&t, (const char *)text.data, text.size, prime, err));
    if (t.n_unknown && !a->o.quiet)
        fprintf(stderr, "warning: %" PRId64 " tokens of --prime are none that the run knows; they are left out\n",
                t.n_unknown);
    return GEN_OK;
}

static gen_status write_text(cli_args *a, const gen_bytes *text, int64_t tokens, gen_error *err)
{
    if (*a->o.output) {
        GEN_TRY(gen_file_write(a->o.output, text->data, text->size, err));
        return cli_print_file(a, a->o.output, tokens, "tokens", err);
    }
    if (a->o.json) {
        gen_json_out out = { .arena = a->arena };
        gen_json_open(&out, NULL, '{');
        gen_json_put_string(&out, "text", (const char *)text->data);
        gen_json_put_int(&out, "tokens", tokens);
        gen_json_close(&out, '}');
        return cli_print_json(&out, err);
    }
    return fwrite(text->data, 1, text->size, stdout) == text->size && puts("") != EOF
               ? GEN_OK
               : gen_fail(err, GEN_IO, "standard output cannot be written");
}

gen_status cli_sample_text(cli_args *a, gen_run *run, gen_error *err)
{
    gen_composer *composer = NULL;
    gen_composition how = cli_composition(a, run);
    gen_stream prime = { 0 }, stream;
    gen_bytes text;
    how.most_tokens = a->o.n ? a->o.n : TEXT_TOKENS;
    GEN_TRY(gen_composer_new(run, &composer, err));
    gen_status status = cli_load_weights(a, run, err);
    if (status == GEN_OK && *a->o.prime) status = prime_text(a, run, &prime, err);
    how.prime = &prime;
    if (status == GEN_OK) status = gen_compose(composer, &how, a->arena, &stream, err);
    if (status == GEN_OK) status = gen_tokens_text(&run->vocabulary, stream.token, stream.n, a->arena, &text, err);
    if (status == GEN_OK) status = write_text(a, &text, stream.n, err);
    gen_composer_free(composer);
    return status;
}

static const char *const compose_takes[] = { "output",    "wav",        "png",         "prime",   "bars",    "tempo",
                                             "key",       "instrument", "temperature", "top-k",   "top-p",   "repeats",
                                             "seed",      "soundfont",  "rate",        "mono",    "gain",    "reverb",
                                             "chorus",    "tail",       "checkpoint",  "weights", "threads", "device",
                                             "precision", "json",       "quiet",       NULL };
const cli_verb cli_compose = {
    "compose",     "RUN", "a new piece of music from a trained model: MIDI, with sound and picture",
    compose_takes, 0,     run_compose
};
