/* Chords and durations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/tokens.h"

enum { CHORD_BYTES = 640, NAME_BYTES = 8, VELOCITY = 80, LOWEST = 12 };

/* ---- words ------------------------------------------------------------------------------------------------------------------- */

/* music21's spelling: sharps are #, flats -, of which its pitches without a key have two: "C#4", "E-4", "B-4" */
static const char *const classes[12] = { "C", "C#", "D", "E-", "E", "F", "F#", "G", "G#", "A", "B-", "B" };

/* Octaves below that of C0 are not said: their minus would look like a flat. */
static int32_t said(int32_t pitch)
{
    return pitch < LOWEST ? pitch + 12 : pitch;
}

static size_t put_pitch(char *text, size_t at, int32_t pitch)
{
    return at + (size_t)snprintf(text + at, NAME_BYTES, "%s%s%d", at ? "." : "", classes[pitch % 12], pitch / 12 - 1);
}

/* "E-4" at text; its length in *used; -1: no pitch */
static int32_t read_pitch(const char *text, size_t *used)
{
    int32_t best = -1;
    size_t length = 0;
    for (int32_t i = 0; i < 12; i++) {
        size_t n = strlen(classes[i]);
        if (n <= length || strncmp(text, classes[i], n) != 0) continue;
        best = i;
        length = n;
    }
    char *end;
    long octave = best >= 0 ? strtol(text + length, &end, 10) : -1;
    if (best < 0 || text[length] < '0' || text[length] > '9' || octave > 9 || 12 * (octave + 1) + best > 127) return -1;
    *used = (size_t)(end - text);
    return (int32_t)(12 * (octave + 1)) + best;
}

/* The pitches of "C3.E3.G3"; none of "rest". */
static int32_t read_chord(const char *text, int32_t pitches[128])
{
    int32_t n = 0;
    size_t used = 0;
    for (; n < 128 && (pitches[n] = read_pitch(text, &used)) >= 0; n++) {
        text += used;
        if (*text == '.') text++;
    }
    return n;
}

static void put_duration(char text[48], int64_t twelfths)
{
    int64_t of = GEN_PAIRS_STEPS;
    for (int64_t p = 3; p >= 2; p--)
        while (of % p == 0 && twelfths % p == 0) of /= p, twelfths /= p;
    if (of == 1) snprintf(text, 48, "%lld", (long long)twelfths);
    else snprintf(text, 48, "%lld/%lld", (long long)twelfths, (long long)of);
}

bool gen_pairs_is_chord(const char *text)
{
    size_t used = 0;
    if (!strcmp(text, "rest")) return true;
    while (read_pitch(text, &used) >= 0) {
        text += used;
        if (!*text) return true;
        if (*text++ != '.') return false;
    }
    return false;
}

/* In twelfths of a quarter; 0: no duration */
static int64_t read_duration(const char *text)
{
    char *end;
    long long n = strtoll(text, &end, 10), of = *end == '/' ? strtoll(end + 1, &end, 10) : 1;
    if (*end || n < 0 || n > 1000000 || of < 1 || n * GEN_PAIRS_STEPS % of) return 0;
    return n * GEN_PAIRS_STEPS / of;
}

bool gen_pairs_is_duration(const char *text)
{
    return read_duration(text) > 0;
}

/* ---- to tokens ----------------------------------------------------------------------------------------------------------------- */

/* A known duration that is nearest. */
static int64_t nearest_duration(const gen_words *words, int64_t twelfths)
{
    int64_t best = -1, distance = INT64_MAX;
    for (int64_t i = 1; i < words->n; i++) {
        int64_t d = read_duration(words->text[i]) - twelfths;
        if (d < 0) d = -d;
        if (d < distance) distance = d, best = i;
    }
    return best;
}

/* An unknown chord loses its lowest notes until it is known. */
static int64_t nearest_chord(const gen_words *words, const char *chord)
{
    for (const char *rest = strchr(chord, '.'); rest; rest = strchr(rest + 1, '.')) {
        int64_t id = gen_words_find(words, rest + 1, strlen(rest + 1));
        if (id > 0) return id;
    }
    int64_t rest = gen_words_find(words, "rest", 4);
    return rest > 0 ? rest : 1;
}

static gen_status put_slice(gen_tokeniser *t, const int32_t sounds[128], int64_t twelfths, gen_stream *out,
                            gen_error *err)
{
    char chord[CHORD_BYTES + NAME_BYTES] = "rest", duration[48];
    size_t length = 0;
    for (int32_t p = 0; p < 128 && length < CHORD_BYTES; p++)
        if (sounds[p]) length = put_pitch(chord, length, p);
    put_duration(duration, twelfths);
    int64_t id[2];
    if (t->closed) {
        id[0] = gen_words_find(&t->field[0], chord, strlen(chord));
        id[1] = gen_words_find(&t->field[1], duration, strlen(duration));
        t->n_unknown += id[0] < 0 || id[1] < 0;
        if (id[0] < 0) id[0] = nearest_chord(&t->field[0], chord);
        if (id[1] < 0) id[1] = nearest_duration(&t->field[1], twelfths);
    } else {
        id[0] = gen_words_add(&t->field[0], chord, strlen(chord));
        id[1] = gen_words_add(&t->field[1], duration, strlen(duration));
    }
    if (id[0] < 0 || id[1] < 0) return gen_fail(err, GEN_NO_MEMORY, "no memory for words");
    return gen_stream_put(t, out, (int32_t)id[0], (int32_t)id[1], err);
}

/* The nearest multiple of a quarter or a third of a beat, in twelfths. */
static int64_t snap(int64_t ticks, int64_t ticks_per_quarter)
{
    double at = (double)ticks * GEN_PAIRS_STEPS / (double)ticks_per_quarter;
    int64_t fours = 3 * (int64_t)(at / 3 + 0.5), threes = 4 * (int64_t)(at / 4 + 0.5);
    double a = at > (double)fours ? at - (double)fours : (double)fours - at;
    double b = at > (double)threes ? at - (double)threes : (double)threes - at;
    return a <= b ? fours : threes;
}

typedef struct edge {
    int64_t at;
    int32_t pitch, change; /* +1, -1 */
} edge;

static int by_time(const void *a, const void *b)
{
    const edge *x = a, *y = b;
    return x->at != y->at ? (x->at < y->at ? -1 : 1) : 0;
}

gen_status gen_pairs_encode(gen_tokeniser *t, const gen_midi_score *score, int32_t semitones, gen_stream *out,
                            gen_error *err)
{
    edge *edges = gen_arena_alloc(t->arena, 2 * score->n_notes * sizeof *edges);
    size_t n = 0;
    int64_t now = 0;
    int32_t sounds[128] = { 0 };
    if (!edges) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu notes", score->n_notes);
    for (size_t i = 0; i < score->n_notes; i++) {
        const gen_midi_note *note = &score->notes[i];
        int64_t start = snap(note->start_ticks, score->ticks_per_quarter),
                end = snap(note->start_ticks + note->duration_ticks, score->ticks_per_quarter);
        int32_t pitch = said(note->pitch + semitones);
        if (note->channel == GEN_MIDI_DRUMS || end <= start) continue; /* an ornament shorter than the grid */
        if (pitch < 0 || pitch > 127) return gen_fail(err, GEN_BAD_SHAPE, "pitch %d is none of MIDI's", pitch);
        edges[n++] = (edge){ start, pitch, 1 };
        edges[n++] = (edge){ end, pitch, -1 };
    }
    qsort(edges, n, sizeof *edges, by_time);
    for (size_t i = 0; i < n; i++) {
        if (edges[i].at > now) GEN_TRY(put_slice(t, sounds, edges[i].at - now, out, err));
        now = edges[i].at;
        sounds[edges[i].pitch] += edges[i].change;
    }
    return GEN_OK;
}

/* ---- and back -------------------------------------------------------------------------------------------------------------------- */

int64_t gen_pairs_most_notes(const gen_vocabulary *v, const int32_t *token, int64_t n)
{
    int64_t most = 0;
    int32_t pitches[128];
    for (int64_t i = 0; i < n; i++) most += read_chord(v->word[0][token[2 * i]], pitches);
    return most;
}

int64_t gen_pairs_decode(const gen_vocabulary *v, const int32_t *token, int64_t n, gen_step_note *notes,
                         size_t *n_notes)
{
    int64_t now = 0;
    size_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t pitches[128], k = read_chord(v->word[0][token[2 * i]], pitches);
        int64_t duration = read_duration(v->word[1][token[2 * i + 1]]);
        for (int32_t p = 0; notes && duration > 0 && p < k; p++)
            notes[count++] = (gen_step_note){ now, now + duration, pitches[p], VELOCITY };
        now += duration;
    }
    if (notes) *n_notes = count;
    return now;
}
