#include "models/music_measure.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- figures ----------------------------------------------------------------------------------------------------------------- */

struct gen_figures {
    uint64_t *hash; /* [n] */
    size_t n, room;
};

gen_status gen_figures_new(gen_figures **out, gen_error *err)
{
    *out = gen_alloc(1, sizeof **out);
    return *out ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for figures");
}

void gen_figures_free(gen_figures *f)
{
    if (!f) return;
    gen_free(f->hash);
    gen_free(f);
}

static uint64_t mix(uint64_t h, int64_t value)
{
    for (int i = 0; i < 4; i++) h = (h ^ (uint8_t)(value >> 8 * i)) * 1099511628211ull;
    return h;
}

/* Steps of pitch and time from note to note, and durations: the same at any pitch and time. 64 bits: two different figures of a million have one hash with
 * a probability of 1e-7. */
static uint64_t figure_hash(const gen_midi_note *notes)
{
    uint64_t h = 14695981039346656037ull;
    for (int i = 0; i < GEN_COPY_NOTES; i++) {
        const gen_midi_note *before = &notes[i ? i - 1 : 0];
        h = mix(h, notes[i].pitch - before->pitch);
        h = mix(h, notes[i].start_ticks - before->start_ticks);
        h = mix(h, notes[i].duration_ticks);
    }
    return h;
}

gen_status gen_figures_add(gen_figures *f, const gen_midi_note *notes, size_t n, gen_error *err)
{
    size_t more = n >= GEN_COPY_NOTES ? n - GEN_COPY_NOTES + 1 : 0;
    if (f->n + more > f->room) {
        size_t room = 2 * (f->n + more);
        uint64_t *bigger = gen_alloc(room, sizeof *bigger);
        if (!bigger) return gen_fail(err, GEN_NO_MEMORY, "no memory for figures");
        if (f->n) memcpy(bigger, f->hash, f->n * sizeof *bigger);
        gen_free(f->hash);
        f->hash = bigger;
        f->room = room;
    }
    for (size_t i = 0; i < more; i++) f->hash[f->n++] = figure_hash(notes + i);
    return GEN_OK;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void gen_figures_sort(gen_figures *f)
{
    if (f->n) qsort(f->hash, f->n, sizeof *f->hash, compare);
}

static int64_t copied(const gen_midi_note *notes, size_t n, const gen_figures *known)
{
    int64_t count = 0;
    for (size_t i = 0; known && known->n && i + GEN_COPY_NOTES <= n; i++) {
        uint64_t h = figure_hash(notes + i);
        count += bsearch(&h, known->hash, known->n, sizeof h, compare) != NULL;
    }
    return count;
}

/* ---- one piece ------------------------------------------------------------------------------------------------------------------ */

static bool in_scale(const gen_key *key, int32_t pitch)
{
    static const bool major[12] = { 1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1 },
                      minor[12] = { 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 1 };
    return (key->minor ? minor : major)[(pitch - key->tonic + 12) % 12];
}

static bool same_note(const gen_midi_note *a, const gen_midi_note *b, const gen_midi_note *a0, const gen_midi_note *b0)
{
    return a->pitch == b->pitch && a->duration_ticks == b->duration_ticks &&
           a->start_ticks - a0->start_ticks == b->start_ticks - b0->start_ticks;
}

static bool same_figure(const gen_midi_note *a, const gen_midi_note *b)
{
    for (int i = 0; i < GEN_FIGURE_NOTES; i++)
        if (!same_note(&a[i], &b[i], a, b)) return false;
    return true;
}

static int32_t most_repeats(const gen_midi_note *notes, size_t n)
{
    int32_t most = n >= GEN_FIGURE_NOTES;
    for (size_t i = 0; i + GEN_FIGURE_NOTES <= n; i++) {
        int32_t times = 1;
        for (size_t k = i + GEN_FIGURE_NOTES; k + GEN_FIGURE_NOTES <= n; k += GEN_FIGURE_NOTES, times++)
            if (!same_figure(notes + i, notes + k)) break;
        most = times > most ? times : most;
    }
    return most;
}

static int32_t count_durations(const gen_midi_note *notes, size_t n)
{
    enum { MOST = 64 };
    int64_t known[MOST];
    int32_t count = 0;
    for (size_t i = 0; i < n && count < MOST; i++) {
        int32_t k = 0;
        while (k < count && known[k] != notes[i].duration_ticks) k++;
        if (k == count) known[count++] = notes[i].duration_ticks;
    }
    return count;
}

gen_measure gen_measure_notes(const gen_midi_note *notes, size_t n, const gen_figures *known)
{
    double weight[12] = { 0 };
    size_t inside = 0;
    for (size_t i = 0; i < n; i++) weight[notes[i].pitch % 12] += (double)notes[i].duration_ticks;
    gen_measure m = { .n_notes = n, .key = gen_find_key(weight) };
    for (size_t i = 0; i < n; i++) inside += in_scale(&m.key, notes[i].pitch);
    m.in_key = n ? (double)inside / (double)n : 0;
    m.durations = count_durations(notes, n);
    m.repeats = most_repeats(notes, n);
    m.copied = copied(notes, n, known);
    return m;
}
