#include "models/tokens.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- vocabularies ---------------------------------------------------------------------------------------------------------- */

static const char border[] = "<border>", unknown[] = "<unknown>"; /* no text is taken apart into these */

bool gen_tokens_are_text(const char *kind)
{
    return !strcmp(kind, "chars") || !strcmp(kind, "words");
}

static bool are_events(const char *kind)
{
    return !strcmp(kind, "performance") || !strcmp(kind, "beats");
}

static gen_status no_memory(gen_error *err)
{
    return gen_fail(err, GEN_NO_MEMORY, "no memory for words");
}

/* The words of kinds that have the same for all music. */
static gen_status add_fixed(gen_tokeniser *t, gen_error *err)
{
    char buffer[24];
    const char *(*word)(int32_t, char[24]) = are_events(t->kind) ? gen_events_word : gen_melody_word;
    for (int32_t i = 0; word(i, buffer); i++)
        if (gen_words_add(&t->field[0], buffer, strlen(buffer)) < 0) return no_memory(err);
    t->closed = true;
    return GEN_OK;
}

static gen_status add_known(gen_tokeniser *t, const gen_vocabulary *known, gen_error *err)
{
    if (strcmp(known->tokens, t->kind) != 0 || known->n_fields != t->n_fields)
        return gen_fail(err, GEN_BAD_FILE, "the vocabulary is of %s with %d fields, expected %s with %d", known->tokens,
                        known->n_fields, t->kind, t->n_fields);
    for (int32_t f = 0; f < t->n_fields; f++)
        for (int64_t i = 0; i < known->n_words[f]; i++)
            if (gen_words_add(&t->field[f], known->word[f][i], strlen(known->word[f][i])) != i)
                return gen_fail(err, GEN_BAD_FILE, "word %lld of the vocabulary occurs twice", (long long)i);
    t->closed = true;
    return GEN_OK;
}

/* The numbers of events and melodies are known to the program: the words must be those. */
static gen_status check_fixed(const gen_tokeniser *t, gen_error *err)
{
    gen_tokeniser own = { .arena = t->arena, .kind = t->kind, .field[0].arena = t->arena };
    GEN_TRY(add_fixed(&own, err));
    if (own.field[0].n != t->field[0].n)
        return gen_fail(err, GEN_BAD_FILE, "the vocabulary of %s has %lld words, expected %lld", t->kind,
                        (long long)t->field[0].n, (long long)own.field[0].n);
    return GEN_OK;
}

gen_status gen_tokeniser_start(gen_tokeniser *t, const char *kind, const gen_vocabulary *known, gen_arena *arena,
                               gen_error *err)
{
    bool pairs = !strcmp(kind, "pairs"), fixed = !pairs && !gen_tokens_are_text(kind);
    *t = (gen_tokeniser){ .arena = arena, .kind = kind, .n_fields = pairs ? 2 : 1 };
    for (int32_t f = 0; f < t->n_fields; f++) t->field[f].arena = arena;
    if (known) {
        GEN_TRY(add_known(t, known, err));
        return fixed ? check_fixed(t, err) : GEN_OK;
    }
    if (fixed) return add_fixed(t, err);
    for (int32_t f = 0; f < t->n_fields; f++)
        if (gen_words_add(&t->field[f], border, strlen(border)) != GEN_BORDER) return no_memory(err);
    if (!strcmp(kind, "words") && gen_words_add(&t->field[0], unknown, strlen(unknown)) < 0) return no_memory(err);
    return GEN_OK;
}

typedef struct frequent {
    const char *text;
    int64_t count;
} frequent;

/* the more frequent first, then by their letters */
static int by_count(const void *a, const void *b)
{
    const frequent *x = a, *y = b;
    return x->count != y->count ? (x->count > y->count ? -1 : 1) : strcmp(x->text, y->text);
}

gen_status gen_tokeniser_limit(gen_tokeniser *t, int64_t n_words, gen_error *err)
{
    gen_words *all = &t->field[0], kept = { .arena = t->arena };
    int64_t first = !strcmp(t->kind, "words") ? 2 : 1; /* the border, and the unknown */
    frequent *list = gen_arena_alloc(t->arena, (size_t)all->n * sizeof *list);
    if (!list) return no_memory(err);
    for (int64_t i = first; i < all->n; i++) list[i - first] = (frequent){ all->text[i], all->count[i] };
    qsort(list, (size_t)(all->n - first), sizeof *list, by_count);
    for (int64_t i = 0; i < all->n && i < n_words; i++) {
        const char *text = i < first ? all->text[i] : list[i - first].text;
        if (gen_words_add(&kept, text, strlen(text)) < 0) return no_memory(err);
    }
    *all = kept;
    t->closed = true;
    return GEN_OK;
}

gen_vocabulary gen_tokeniser_vocabulary(const gen_tokeniser *t)
{
    gen_vocabulary v = { .tokens = t->kind, .n_fields = t->n_fields };
    for (int32_t f = 0; f < t->n_fields; f++) {
        v.field[f] = t->n_fields == 1 ? t->kind : f ? "duration" : "pitch";
        v.n_words[f] = t->field[f].n;
        v.word[f] = t->field[f].text;
    }
    return v;
}

gen_status gen_stream_put(const gen_tokeniser *t, gen_stream *s, int32_t a, int32_t b, gen_error *err)
{
    if (s->n == s->room) {
        int64_t room = s->room ? 2 * s->room : 1024;
        int32_t *bigger = gen_arena_alloc(t->arena, (size_t)(room * t->n_fields) * sizeof *bigger);
        if (!bigger) return gen_fail(err, GEN_NO_MEMORY, "no memory for %lld tokens", (long long)room);
        if (s->n) memcpy(bigger, s->token, (size_t)(s->n * t->n_fields) * sizeof *bigger);
        s->token = bigger;
        s->room = room;
    }
    int32_t *at = s->token + s->n++ * t->n_fields;
    at[0] = a;
    if (t->n_fields > 1) at[1] = b;
    return GEN_OK;
}

/* ---- music ------------------------------------------------------------------------------------------------------------------ */

/* When a pedal that is down at a time comes up: on the note's channel; the time itself where none is down. */
static int64_t pedal_end(const gen_midi_score *score, const gen_midi_note *note, int64_t ticks)
{
    enum { SUSTAIN = 64, DOWN = 64 };
    bool down = false;
    for (size_t i = 0; i < score->n_moments; i++) {
        const gen_midi_moment *m = &score->moments[i];
        if ((m->event->status & 0xF0) != GEN_MIDI_CONTROL || (m->event->status & 15) != note->channel ||
            m->event->data[0] != SUSTAIN)
            continue;
        if (m->ticks > ticks && !down) return ticks;
        down = m->event->data[1] >= DOWN;
        if (m->ticks >= ticks && !down) return m->ticks;
    }
    return down ? score->end_ticks : ticks;
}

static bool has_pedal(const gen_midi_score *score)
{
    for (size_t i = 0; i < score->n_moments; i++)
        if ((score->moments[i].event->status & 0xF0) == GEN_MIDI_CONTROL && score->moments[i].event->data[0] == 64)
            return true;
    return false;
}

static int by_start(const void *a, const void *b)
{
    const gen_step_note *x = a, *y = b;
    return x->start != y->start ? (x->start < y->start ? -1 : 1) : x->pitch - y->pitch;
}

gen_status gen_tokens_steps(const gen_midi_score *score, int32_t steps_per_quarter, int32_t semitones, double stretch,
                            gen_arena *arena, gen_step_note **notes, size_t *n_notes, gen_error *err)
{
    gen_step_note *out = gen_arena_alloc(arena, score->n_notes * sizeof *out);
    size_t n = 0;
    bool pedal = !steps_per_quarter && has_pedal(score);
    if (!out) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu notes", score->n_notes);
    for (size_t i = 0; i < score->n_notes; i++) {
        const gen_midi_note *note = &score->notes[i];
        if (note->channel == GEN_MIDI_DRUMS) continue;
        int64_t from = note->start_ticks, to = from + note->duration_ticks;
        gen_step_note s = { 0, 0, note->pitch + semitones, note->velocity };
        if (s.pitch < 0 || s.pitch > 127) return gen_fail(err, GEN_BAD_SHAPE, "pitch %d is none of MIDI's", s.pitch);
        if (pedal) to = pedal_end(score, note, to);
        if (steps_per_quarter) {
            double scale = (double)steps_per_quarter / score->ticks_per_quarter;
            s.start = llround((double)from * scale), s.end = llround((double)to * scale);
        } else {
            s.start = llround(100 * stretch * gen_midi_seconds(score, from));
            s.end = llround(100 * stretch * gen_midi_seconds(score, to));
        }
        if (s.end <= s.start) s.end = s.start + 1;
        out[n++] = s;
    }
    qsort(out, n, sizeof *out, by_start);
    *notes = out;
    *n_notes = n;
    return GEN_OK;
}

gen_status gen_tokens_of_score(gen_tokeniser *t, const gen_midi_score *score, int32_t semitones, double stretch,
                               gen_stream *out, gen_error *err)
{
    gen_step_note *notes = NULL;
    size_t n = 0;
    *out = (gen_stream){ 0 };
    if (!strcmp(t->kind, "pairs")) return gen_pairs_encode(t, score, semitones, out, err);
    bool melody = !strcmp(t->kind, "melody"), beats = !strcmp(t->kind, "beats");
    int32_t steps = melody ? GEN_MELODY_STEPS : beats ? GEN_BEATS_STEPS : 0;
    GEN_TRY(gen_tokens_steps(score, steps, semitones, stretch, t->arena, &notes, &n, err));
    if (melody) return gen_melody_encode(t, notes, n, out, err);
    for (size_t i = 0; !beats && i < n; i++) /* silence before the first note is not played */
        if (i) notes[i].start -= notes[0].start, notes[i].end -= notes[0].start;
    if (!beats && n) notes[0].end -= notes[0].start, notes[0].start = 0;
    return gen_events_encode(t, notes, n, out, err);
}

static int64_t decode(const gen_vocabulary *v, const int32_t *token, int64_t n, gen_step_note *notes, size_t *n_notes)
{
    if (!strcmp(v->tokens, "pairs")) return gen_pairs_decode(v, token, n, notes, n_notes);
    if (!strcmp(v->tokens, "melody")) return gen_melody_decode(token, n, notes, n_notes);
    /* A note that is never let go sounds 5 s, as in Magenta's Performance RNN, or a bar. */
    int64_t longest = strcmp(v->tokens, "beats") ? 5 * GEN_EVENT_STEPS : 4 * GEN_BEATS_STEPS;
    return gen_events_decode(token, n, longest, notes, n_notes);
}

static double steps_per_quarter(const gen_vocabulary *v, double quarters_per_minute)
{
    if (!strcmp(v->tokens, "pairs")) return GEN_PAIRS_STEPS;
    if (!strcmp(v->tokens, "melody")) return GEN_MELODY_STEPS;
    return strcmp(v->tokens, "beats") ? 6000 / quarters_per_minute : GEN_BEATS_STEPS;
}

double gen_tokens_quarters(const gen_vocabulary *v, const int32_t *token, int64_t n, double quarters_per_minute)
{
    return (double)decode(v, token, n, NULL, NULL) / steps_per_quarter(v, quarters_per_minute);
}

gen_status gen_tokens_notes(const gen_vocabulary *v, const int32_t *token, int64_t n, double quarters_per_minute,
                            gen_arena *arena, gen_midi_note **notes, size_t *n_notes, gen_error *err)
{
    int64_t most = strcmp(v->tokens, "pairs") ? n : gen_pairs_most_notes(v, token, n);
    gen_step_note *steps = gen_arena_alloc(arena, (size_t)most * sizeof *steps);
    gen_midi_note *out = gen_arena_alloc(arena, (size_t)most * sizeof *out);
    size_t count = 0, kept = 0;
    if (!steps || !out) return gen_fail(err, GEN_NO_MEMORY, "no memory for %lld notes", (long long)most);
    decode(v, token, n, steps, &count);
    qsort(steps, count, sizeof *steps, by_start);
    double ticks = GEN_TOKENS_TICKS / steps_per_quarter(v, quarters_per_minute);
    for (size_t i = 0; i < count; i++) {
        int64_t from = llround((double)steps[i].start * ticks), to = llround((double)steps[i].end * ticks);
        if (to <= from) continue;
        out[kept++] = (gen_midi_note){ .start_ticks = from,
                                       .duration_ticks = to - from,
                                       .pitch = (uint8_t)steps[i].pitch,
                                       .velocity = (uint8_t)(steps[i].velocity > 1 ? steps[i].velocity : 1) };
    }
    *notes = out;
    *n_notes = kept;
    return GEN_OK;
}

/* ---- text --------------------------------------------------------------------------------------------------------------------- */

/* Bytes of the character at p: of UTF-8 where it is such, else one. */
static size_t char_length(const uint8_t *p, size_t left)
{
    size_t n = *p >= 0xF0 ? 4 : *p >= 0xE0 ? 3 : *p >= 0xC0 ? 2 : 1;
    if (n > left) return 1;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 1;
    return n;
}

/* Letters and digits, of other alphabets too, and the apostrophe within a word. */
static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80 || c == '\'';
}

/* A space and the letters behind it, or letters, or one character. */
static size_t word_length(const uint8_t *p, size_t left)
{
    size_t n = *p == ' ' && left > 1 && is_letter(p[1]) ? 1 : 0;
    while (n < left && is_letter(p[n])) n++;
    return n ? n : 1;
}

static gen_status check_utf8(const uint8_t *p, size_t size, gen_error *err)
{
    for (size_t i = 0, n; i < size; i += n) {
        n = char_length(p + i, size - i);
        if (n == 1 && p[i] >= 0x80)
            return gen_fail(err, GEN_BAD_FILE, "byte %zu is no UTF-8; convert the text, with iconv for example", i);
    }
    return GEN_OK;
}

gen_status gen_tokens_of_text(gen_tokeniser *t, const char *text, size_t size, gen_stream *out, gen_error *err)
{
    const uint8_t *p = (const uint8_t *)text;
    bool words = !strcmp(t->kind, "words");
    *out = (gen_stream){ 0 };
    GEN_TRY(check_utf8(p, size, err));
    for (size_t i = 0, n; i < size; i += n) {
        n = words ? word_length(p + i, size - i) : char_length(p + i, size - i);
        if (!p[i]) continue; /* no text has a zero in it */
        int64_t id = t->closed ? gen_words_find(&t->field[0], text + i, n) : gen_words_add(&t->field[0], text + i, n);
        if (id < 0 && !t->closed) return no_memory(err);
        t->n_unknown += id < 0;
        if (id < 0 && !words) continue;
        GEN_TRY(gen_stream_put(t, out, id < 0 ? 1 : (int32_t)id, 0, err));
    }
    return GEN_OK;
}

gen_status gen_tokens_text(const gen_vocabulary *v, const int32_t *token, int64_t n, gen_arena *arena, gen_bytes *out,
                           gen_error *err)
{
    size_t size = 0;
    for (int64_t i = 0; i < n; i++) size += token[i] ? strlen(v->word[0][token[i]]) : 1;
    char *text = gen_arena_alloc(arena, size + 1);
    if (!text) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu bytes of text", size);
    *out = (gen_bytes){ (uint8_t *)text, size };
    for (int64_t i = 0; i < n; i++) {
        const char *word = token[i] ? v->word[0][token[i]] : "\n";
        size_t length = strlen(word);
        memcpy(text, word, length);
        text += length;
    }
    return GEN_OK;
}
