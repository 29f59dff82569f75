/* The events of all tracks on one line of time, its tempo map, and notes. */
#include "io/midi.h"

#include <math.h>
#include <stdlib.h>

enum { DEFAULT_TEMPO_US = 500000 };

/* ---- what an event says ---- */

int gen_midi_is_meta(const gen_midi_event *event, int type)
{
    return event->status == GEN_MIDI_META && event->data[0] == type;
}

int gen_midi_tempo_of(const gen_midi_event *event, int32_t *tempo_us_per_quarter)
{
    const uint8_t *b = event->bytes;
    if (!gen_midi_is_meta(event, GEN_MIDI_TEMPO) || event->n_bytes != 3) return 0;
    int32_t us = b[0] << 16 | b[1] << 8 | b[2];
    if (us) *tempo_us_per_quarter = us;
    return us > 0;
}

int gen_midi_time_of(const gen_midi_event *event, int32_t *beats, int32_t *of)
{
    const uint8_t *b = event->bytes;
    if (!gen_midi_is_meta(event, GEN_MIDI_TIME_SIGNATURE) || event->n_bytes < 2 || !b[0] || b[1] > 7) return 0;
    *beats = b[0];
    *of = 1 << b[1];
    return 1;
}

int gen_midi_key_of(const gen_midi_event *event, int32_t *sharps, int32_t *is_minor)
{
    const uint8_t *b = event->bytes;
    if (!gen_midi_is_meta(event, GEN_MIDI_KEY_SIGNATURE) || event->n_bytes < 2 || b[1] > 1) return 0;
    int32_t n = b[0] < 128 ? b[0] : b[0] - 256;
    if (n < -7 || n > 7) return 0;
    *sharps = n;
    *is_minor = b[1];
    return 1;
}

/* ---- moments ---- */

static int by_time(const void *a, const void *b)
{
    const gen_midi_moment *x = a, *y = b;
    if (x->ticks != y->ticks) return x->ticks < y->ticks ? -1 : 1;
    if (x->track != y->track) return x->track < y->track ? -1 : 1;
    return x->event < y->event ? -1 : x->event > y->event;
}

static gen_status line_up(const gen_midi *midi, gen_arena *arena, gen_midi_score *s, gen_error *err)
{
    size_t n = 0;
    int64_t start = 0;
    for (int32_t t = 0; t < midi->n_tracks; t++) n += midi->tracks[t].n_events;
    s->moments = gen_arena_alloc(arena, n * sizeof *s->moments);
    if (!s->moments) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu MIDI events", n);
    for (int32_t t = 0; t < midi->n_tracks; t++) {
        const gen_midi_track *track = &midi->tracks[t];
        for (size_t i = 0; i < track->n_events; i++)
            s->moments[s->n_moments++] = (gen_midi_moment){ start + track->events[i].ticks, t, &track->events[i] };
        if (start + track->end_ticks > s->end_ticks) s->end_ticks = start + track->end_ticks;
        if (midi->format == 2) start = s->end_ticks;
    }
    qsort(s->moments, n, sizeof *s->moments, by_time);
    return GEN_OK;
}

/* ---- tempo ---- */

static void add_tempo(gen_midi_score *s, int64_t ticks, double seconds_per_tick)
{
    gen_midi_tempo *last = s->n_tempos ? &s->tempos[s->n_tempos - 1] : NULL;
    if (last && last->ticks == ticks) {
        last->seconds_per_tick = seconds_per_tick;
        return;
    }
    double seconds = last ? last->seconds + (double)(ticks - last->ticks) * last->seconds_per_tick : 0;
    s->tempos[s->n_tempos++] = (gen_midi_tempo){ ticks, seconds, seconds_per_tick };
}

/* Pieces of format 2 begin at 120 quarters a minute each. */
static gen_status map_tempo(const gen_midi *midi, gen_arena *arena, gen_midi_score *s, gen_error *err)
{
    size_t n = 1;
    int32_t us = DEFAULT_TEMPO_US, track = 0;
    double per_us = 1e-6 / s->ticks_per_quarter;
    for (size_t i = 0; i < s->n_moments; i++) n += gen_midi_tempo_of(s->moments[i].event, &us);
    if (midi->format == 2) n += (size_t)midi->n_tracks;
    s->tempos = gen_arena_alloc(arena, n * sizeof *s->tempos);
    if (!s->tempos) return gen_fail(err, GEN_NO_MEMORY, "no memory for a tempo map");
    if (!midi->ticks_per_quarter) {
        double fps = midi->frames_per_second == 29 ? 30000.0 / 1001 : midi->frames_per_second;
        add_tempo(s, 0, 1 / (fps * midi->ticks_per_frame));
        return GEN_OK;
    }
    add_tempo(s, 0, DEFAULT_TEMPO_US * per_us);
    for (size_t i = 0; i < s->n_moments; i++) {
        const gen_midi_moment *m = &s->moments[i];
        if (midi->format == 2 && m->track != track) add_tempo(s, m->ticks - m->event->ticks, DEFAULT_TEMPO_US * per_us);
        track = m->track;
        if (gen_midi_tempo_of(m->event, &us)) add_tempo(s, m->ticks, us * per_us);
    }
    return GEN_OK;
}

double gen_midi_seconds(const gen_midi_score *score, int64_t ticks)
{
    size_t low = 0, high = score->n_tempos;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (score->tempos[middle].ticks <= ticks) low = middle;
        else high = middle;
    }
    const gen_midi_tempo *t = &score->tempos[low];
    return t->seconds + (double)(ticks - t->ticks) * t->seconds_per_tick;
}

int64_t gen_midi_ticks(const gen_midi_score *score, double seconds)
{
    size_t low = 0, high = score->n_tempos;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (score->tempos[middle].seconds <= seconds) low = middle;
        else high = middle;
    }
    const gen_midi_tempo *t = &score->tempos[low];
    double ticks = (double)t->ticks + (seconds - t->seconds) / t->seconds_per_tick;
    return ticks > 0 ? llround(fmin(ticks, (double)GEN_MIDI_MAX_TICKS * 2)) : 0;
}

/* ---- notes ---- */

typedef struct note_maker {
    gen_midi_score *s;
    uint8_t *program; /* of each event's channel when it happens; events of all tracks one after the other */
    /* Of a channel and pitch of the track at hand: the first and last note that has begun and not ended, as index + 1 (0:
     * none); next[] leads from one to the next. */
    size_t (*first)[128], (*last)[128], *next;
} note_maker;

static int is_note_on(const gen_midi_event *e)
{
    return (e->status & 0xF0) == GEN_MIDI_NOTE_ON && e->data[1] > 0;
}

static int is_note_off(const gen_midi_event *e)
{
    return (e->status & 0xF0) == GEN_MIDI_NOTE_OFF || ((e->status & 0xF0) == GEN_MIDI_NOTE_ON && !e->data[1]);
}

/* A program may be set in another track than the notes that it is for. */
static void follow_programs(const gen_midi *midi, const size_t *base, note_maker *m)
{
    uint8_t now[16] = { 0 };
    for (size_t i = 0; i < m->s->n_moments; i++) {
        const gen_midi_moment *at = &m->s->moments[i];
        const gen_midi_event *e = at->event;
        if ((e->status & 0xF0) == GEN_MIDI_PROGRAM) now[e->status & 15] = e->data[0];
        m->program[base[at->track] + (size_t)(e - midi->tracks[at->track].events)] = now[e->status & 15];
    }
}

static void begin_note(note_maker *m, const gen_midi_event *e, int64_t ticks, int32_t track, uint8_t program)
{
    int channel = e->status & 15, pitch = e->data[0];
    size_t id = ++m->s->n_notes;
    m->s->notes[id - 1] = (gen_midi_note){ .start_ticks = ticks,
                                           .duration_ticks = -1,
                                           .track = track,
                                           .pitch = e->data[0],
                                           .velocity = e->data[1],
                                           .channel = (uint8_t)channel,
                                           .program = program };
    if (m->first[channel][pitch]) m->next[m->last[channel][pitch] - 1] = id;
    else m->first[channel][pitch] = id;
    m->last[channel][pitch] = id;
}

static void end_note(note_maker *m, const gen_midi_event *e, int64_t ticks)
{
    size_t *first = &m->first[e->status & 15][e->data[0]], id = *first;
    if (!id) return;
    m->s->notes[id - 1].duration_ticks = ticks - m->s->notes[id - 1].start_ticks;
    *first = m->next[id - 1];
}

static void make_track_notes(const gen_midi_track *track, int32_t t, int64_t start, const uint8_t *program,
                             note_maker *m)
{
    size_t before = m->s->n_notes;
    for (int c = 0; c < 16; c++)
        for (int p = 0; p < 128; p++) m->first[c][p] = 0;
    for (size_t i = 0; i < track->n_events; i++) {
        const gen_midi_event *e = &track->events[i];
        if (is_note_on(e)) begin_note(m, e, start + e->ticks, t, program[i]);
        else if (is_note_off(e)) end_note(m, e, start + e->ticks);
    }
    for (size_t i = before; i < m->s->n_notes; i++)
        if (m->s->notes[i].duration_ticks < 0)
            m->s->notes[i].duration_ticks = start + track->end_ticks - m->s->notes[i].start_ticks;
}

static int by_start(const void *a, const void *b)
{
    const gen_midi_note *x = a, *y = b;
    if (x->start_ticks != y->start_ticks) return x->start_ticks < y->start_ticks ? -1 : 1;
    if (x->track != y->track) return x->track < y->track ? -1 : 1;
    if (x->pitch != y->pitch) return x->pitch - y->pitch;
    if (x->channel != y->channel) return x->channel - y->channel;
    return x->duration_ticks < y->duration_ticks ? -1 : x->duration_ticks > y->duration_ticks;
}

static gen_status make_notes(const gen_midi *midi, gen_arena *arena, gen_midi_score *s, gen_error *err)
{
    note_maker m = { .s = s };
    size_t n = 0, *base = gen_arena_alloc(arena, (size_t)midi->n_tracks * sizeof *base), at = 0;
    int64_t start = 0;
    for (size_t i = 0; i < s->n_moments; i++) n += is_note_on(s->moments[i].event) != 0;
    s->notes = gen_arena_alloc(arena, n * sizeof *s->notes);
    m.next = gen_arena_alloc(arena, n * sizeof *m.next);
    m.program = gen_arena_alloc(arena, s->n_moments);
    m.first = gen_arena_alloc(arena, 16 * sizeof *m.first);
    m.last = gen_arena_alloc(arena, 16 * sizeof *m.last);
    if (!base || !s->notes || !m.next || !m.program || !m.first || !m.last)
        return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu notes", n);
    for (int32_t t = 0; t < midi->n_tracks; at += midi->tracks[t++].n_events) base[t] = at;
    follow_programs(midi, base, &m);
    for (int32_t t = 0; t < midi->n_tracks; t++) {
        make_track_notes(&midi->tracks[t], t, start, m.program + base[t], &m);
        if (midi->format == 2) start += midi->tracks[t].end_ticks;
    }
    qsort(s->notes, s->n_notes, sizeof *s->notes, by_start);
    return GEN_OK;
}

gen_status gen_midi_score_make(const gen_midi *midi, gen_arena *arena, gen_midi_score *out, gen_error *err)
{
    int32_t half_a_second = midi->frames_per_second * midi->ticks_per_frame / 2;
    gen_midi_score s = { .ticks_per_quarter = midi->ticks_per_quarter ? midi->ticks_per_quarter
                                              : half_a_second         ? half_a_second
                                                                      : 1 };
    GEN_TRY(line_up(midi, arena, &s, err));
    GEN_TRY(map_tempo(midi, arena, &s, err));
    GEN_TRY(make_notes(midi, arena, &s, err));
    *out = s;
    return GEN_OK;
}
