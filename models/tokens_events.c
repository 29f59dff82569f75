/* Events of playing, and melodies on a grid. */
#include <stdio.h>
#include <stdlib.h>

#include "models/tokens.h"

/* ---- on, off, shift, velocity ---------------------------------------------------------------------------------------------- */

enum {
    PITCHES = 128,
    LONGEST_SHIFT = 100,
    VELOCITIES = 32,
    ON = 1, /* word numbers; 0 is the border */
    OFF = ON + PITCHES,
    SHIFT = OFF + PITCHES,
    VELOCITY = SHIFT + LONGEST_SHIFT,
    EVENT_WORDS = VELOCITY + VELOCITIES,
    FIRST_VELOCITY = 20, /* until one is said */
};

const char *gen_events_word(int32_t i, char buffer[24])
{
    static const struct {
        const char *name;
        int32_t from, first;
    } kinds[] = { { "velocity", VELOCITY, 0 }, { "shift", SHIFT, 1 }, { "off", OFF, 0 }, { "on", ON, 0 } };
    if (i >= EVENT_WORDS) return NULL;
    snprintf(buffer, 24, "<border>");
    for (size_t k = 0; i > 0 && k < sizeof kinds / sizeof *kinds; k++) {
        if (i < kinds[k].from) continue;
        snprintf(buffer, 24, "%s %d", kinds[k].name, i - kinds[k].from + kinds[k].first);
        break;
    }
    return buffer;
}

typedef struct change {
    int64_t at;
    int32_t on, pitch, velocity; /* on: 0 or 1, so that ends come first */
} change;

static int by_time(const void *a, const void *b)
{
    const change *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x->on != y->on ? x->on - y->on : x->pitch - y->pitch;
}

/* Two notes of one pitch cannot sound at once: the first ends where the second begins; of two that begin together the longer stays. */
static size_t cut_overlaps(gen_step_note *notes, size_t n)
{
    size_t last[PITCHES] = { 0 }, kept = 0; /* place + 1 */
    for (size_t i = 0; i < n; i++) {
        gen_step_note now = notes[i], *before = last[now.pitch] ? &notes[last[now.pitch] - 1] : NULL;
        if (before && before->start == now.start) {
            if (now.end > before->end) before->end = now.end;
            continue;
        }
        if (before && before->end > now.start) before->end = now.start;
        notes[kept++] = now;
        last[now.pitch] = kept;
    }
    return kept;
}

static gen_status put_shift(gen_tokeniser *t, int64_t steps, gen_stream *out, gen_error *err)
{
    for (; steps > 0; steps -= LONGEST_SHIFT) {
        int64_t part = steps < LONGEST_SHIFT ? steps : LONGEST_SHIFT;
        GEN_TRY(gen_stream_put(t, out, (int32_t)(SHIFT + part - 1), 0, err));
    }
    return GEN_OK;
}

gen_status gen_events_encode(gen_tokeniser *t, gen_step_note *notes, size_t n, gen_stream *out, gen_error *err)
{
    n = cut_overlaps(notes, n);
    change *changes = gen_arena_alloc(t->arena, 2 * n * sizeof *changes);
    if (!changes) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu notes", n);
    for (size_t i = 0; i < n; i++) {
        changes[2 * i] = (change){ notes[i].start, 1, notes[i].pitch, notes[i].velocity / 4 };
        changes[2 * i + 1] = (change){ notes[i].end, 0, notes[i].pitch, 0 };
    }
    qsort(changes, 2 * n, sizeof *changes, by_time);
    int64_t now = 0;
    int32_t velocity = FIRST_VELOCITY;
    for (size_t i = 0; i < 2 * n; i++) {
        const change *c = &changes[i];
        GEN_TRY(put_shift(t, c->at - now, out, err));
        now = c->at;
        if (c->on && c->velocity != velocity) GEN_TRY(gen_stream_put(t, out, VELOCITY + c->velocity, 0, err));
        if (c->on) velocity = c->velocity;
        GEN_TRY(gen_stream_put(t, out, (c->on ? ON : OFF) + c->pitch, 0, err));
    }
    return GEN_OK;
}

int64_t gen_events_decode(const int32_t *token, int64_t n, int64_t longest, gen_step_note *notes, size_t *n_notes)
{
    int64_t now = 0;
    int32_t velocity = FIRST_VELOCITY;
    size_t open[PITCHES] = { 0 }, count = 0; /* place + 1 of the note that sounds */
    for (int64_t i = 0; i < n; i++) {
        int32_t e = token[i];
        if (e >= VELOCITY) velocity = e - VELOCITY;
        else if (e >= SHIFT) now += e - SHIFT + 1;
        if (!notes || e < ON || e >= SHIFT) continue;
        int32_t pitch = e >= OFF ? e - OFF : e - ON;
        if (open[pitch])
            notes[open[pitch] - 1].end = now; /* also where a second note begins before the first has ended */
        open[pitch] = 0;
        if (e >= OFF) continue;
        notes[count++] = (gen_step_note){ now, -1, pitch, velocity * 4 + 2 };
        open[pitch] = count;
    }
    for (size_t i = 0; notes && i < count; i++)
        if (notes[i].end < 0) notes[i].end = now - notes[i].start < longest ? now : notes[i].start + longest;
    if (notes) *n_notes = count;
    return now;
}

/* ---- melody ------------------------------------------------------------------------------------------------------------------ */

enum { LOWEST = 48, KEYS = 36, GO_ON = 1, REST = 2, KEY = 3, MELODY_WORDS = KEY + KEYS, MELODY_VELOCITY = 80 };

const char *gen_melody_word(int32_t i, char buffer[24])
{
    static const char *const plain[] = { "<border>", "on", "off" };
    char name[8];
    if (i >= MELODY_WORDS) return NULL;
    snprintf(buffer, 24, "%s", i < KEY ? plain[i] : gen_midi_pitch_name(i - KEY + LOWEST, name));
    return buffer;
}

static int32_t folded(int32_t pitch)
{
    while (pitch < LOWEST) pitch += 12;
    while (pitch >= LOWEST + KEYS) pitch -= 12;
    return pitch;
}

/* notes are by start, then pitch: of those that begin in a step the last is the highest. A lower note that begins while a higher one sounds is another
 * voice's. */
gen_status gen_melody_encode(gen_tokeniser *t, const gen_step_note *notes, size_t n, gen_stream *out, gen_error *err)
{
    int64_t end = 0, now = 0;
    int32_t sounding = -1;
    for (size_t i = 0; i < n;) {
        int64_t at = notes[i].start;
        const gen_step_note *top = &notes[i];
        for (; i < n && notes[i].start == at; i++) top = &notes[i];
        if (sounding > top->pitch && end > at) continue;
        for (; now < at; now++) GEN_TRY(gen_stream_put(t, out, now == end && sounding >= 0 ? REST : GO_ON, 0, err));
        GEN_TRY(gen_stream_put(t, out, KEY + folded(top->pitch) - LOWEST, 0, err));
        now = at + 1;
        sounding = top->pitch;
        end = top->end;
    }
    for (; now < end; now++) GEN_TRY(gen_stream_put(t, out, GO_ON, 0, err));
    return GEN_OK;
}

int64_t gen_melody_decode(const int32_t *token, int64_t n, gen_step_note *notes, size_t *n_notes)
{
    size_t count = 0;
    bool sounds = false;
    for (int64_t i = 0; notes && i < n; i++) {
        if (sounds && token[i] >= REST) notes[count - 1].end = i;
        if (token[i] >= REST) sounds = false;
        if (token[i] < KEY) continue;
        notes[count++] = (gen_step_note){ i, -1, token[i] - KEY + LOWEST, MELODY_VELOCITY };
        sounds = true;
    }
    if (sounds) notes[count - 1].end = n;
    if (notes) *n_notes = count;
    return n;
}
