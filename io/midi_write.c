/* Writing Standard MIDI Files, and making tracks of notes. Every event has its status byte: files get a little longer, and
 * no reader has to know running status. */
#include "io/midi.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 14, LONGEST_PAUSE = 0x0FFFFFFF, BRIDGE_BYTES = 7, MOST_EVENT_BYTES = 4 + 2 + 4 };

/* ---- bytes ---- */

static uint8_t *put_big_endian(uint8_t *to, uint32_t value, int n)
{
    for (int i = 0; i < n; i++) *to++ = (uint8_t)(value >> 8 * (n - 1 - i));
    return to;
}

static uint8_t *put_length(uint8_t *to, uint32_t value)
{
    int groups = 1;
    while (groups < 4 && value >> 7 * groups) groups++;
    while (groups-- > 0) *to++ = (uint8_t)((value >> 7 * groups & 0x7F) | (groups ? 0x80 : 0));
    return to;
}

/* A pause too long for one number is cut by texts without letters. */
static uint8_t *put_pause(uint8_t *to, int64_t ticks)
{
    for (; ticks > LONGEST_PAUSE; ticks -= LONGEST_PAUSE) {
        to = put_length(to, LONGEST_PAUSE);
        *to++ = GEN_MIDI_META, *to++ = GEN_MIDI_TEXT, *to++ = 0;
    }
    return put_length(to, (uint32_t)ticks);
}

static int is_channel(const gen_midi_event *e)
{
    return e->status >= GEN_MIDI_NOTE_OFF && e->status < GEN_MIDI_SYSEX;
}

static int has_one_byte(const gen_midi_event *e)
{
    return (e->status & 0xF0) == GEN_MIDI_PROGRAM || (e->status & 0xF0) == GEN_MIDI_PRESSURE;
}

static uint8_t *put_event(uint8_t *to, const gen_midi_event *e)
{
    *to++ = e->status;
    if (is_channel(e)) {
        *to++ = e->data[0];
        if (!has_one_byte(e)) *to++ = e->data[1];
        return to;
    }
    if (e->status == GEN_MIDI_META) *to++ = e->data[0];
    to = put_length(to, e->n_bytes);
    if (e->n_bytes) memcpy(to, e->bytes, e->n_bytes);
    return to + e->n_bytes;
}

static uint8_t *put_track(uint8_t *to, const gen_midi_track *t)
{
    uint8_t *length = to + 4, *start = to + 8;
    int64_t ticks = 0;
    memcpy(to, "MTrk", 4);
    to = start;
    for (size_t i = 0; i < t->n_events; i++) {
        to = put_pause(to, t->events[i].ticks - ticks);
        to = put_event(to, &t->events[i]);
        ticks = t->events[i].ticks;
    }
    to = put_pause(to, t->end_ticks > ticks ? t->end_ticks - ticks : 0);
    *to++ = GEN_MIDI_META, *to++ = GEN_MIDI_END_OF_TRACK, *to++ = 0;
    put_big_endian(length, (uint32_t)(to - start), 4);
    return to;
}

/* ---- checks and sizes ---- */

static gen_status check_event(const gen_midi_event *e, int64_t ticks, int32_t track, size_t i, gen_error *err)
{
    const char *wrong = NULL;
    if (e->ticks < ticks) wrong = "comes before the event before it";
    else if (e->ticks > GEN_MIDI_MAX_TICKS) wrong = "comes later than a track can last";
    else if (is_channel(e) && ((e->data[0] | e->data[1]) & 0x80)) wrong = "has data above 127";
    else if (e->status == GEN_MIDI_META && (e->data[0] & 0x80 || e->data[0] == GEN_MIDI_END_OF_TRACK))
        wrong = "is of a type that cannot be written";
    else if (!is_channel(e) && e->status != GEN_MIDI_META && e->status != GEN_MIDI_SYSEX &&
             e->status != GEN_MIDI_SYSEX_MORE)
        wrong = "has a status that no file has";
    else if (!is_channel(e) && e->n_bytes > LONGEST_PAUSE) wrong = "is too long";
    if (!wrong) return GEN_OK;
    return gen_fail(err, GEN_BAD_OPTION, "MIDI: event %zu of track %d (status %02X, tick %lld) %s", i, track, e->status,
                    (long long)e->ticks, wrong);
}

/* At least what put_track writes. */
static gen_status measure_track(const gen_midi_track *t, int32_t number, size_t *bytes, gen_error *err)
{
    int64_t ticks = 0;
    size_t n = 8 + (size_t)(GEN_MIDI_MAX_TICKS / LONGEST_PAUSE + 1) * BRIDGE_BYTES + MOST_EVENT_BYTES;
    for (size_t i = 0; i < t->n_events; i++) {
        GEN_TRY(check_event(&t->events[i], ticks, number, i, err));
        ticks = t->events[i].ticks;
        n += MOST_EVENT_BYTES + (is_channel(&t->events[i]) ? 0 : t->events[i].n_bytes);
    }
    if (t->end_ticks > GEN_MIDI_MAX_TICKS || n > UINT32_MAX)
        return gen_fail(err, GEN_BAD_OPTION, "MIDI: track %d is too long for a file", number);
    *bytes += n;
    return GEN_OK;
}

static gen_status check_header(const gen_midi *m, gen_error *err)
{
    int frames = m->ticks_per_quarter == 0, fps = m->frames_per_second;
    if (m->format < 0 || m->format > 2 || m->n_tracks < 1 || m->n_tracks > GEN_MIDI_MAX_TRACKS ||
        (m->format == 0 && m->n_tracks > 1))
        return gen_fail(err, GEN_BAD_OPTION, "MIDI: a file of format %d cannot have %d tracks", m->format, m->n_tracks);
    if (m->ticks_per_quarter < 0 || m->ticks_per_quarter > 32767 ||
        (frames &&
         ((fps != 24 && fps != 25 && fps != 29 && fps != 30) || m->ticks_per_frame < 1 || m->ticks_per_frame > 255)))
        return gen_fail(err, GEN_BAD_OPTION, "MIDI: %d ticks in a quarter note, %d frames in a second of %d ticks",
                        m->ticks_per_quarter, fps, m->ticks_per_frame);
    return GEN_OK;
}

gen_status gen_midi_write(const gen_midi *midi, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    size_t room = HEADER_BYTES;
    GEN_TRY(check_header(midi, err));
    for (int32_t t = 0; t < midi->n_tracks; t++) GEN_TRY(measure_track(&midi->tracks[t], t + 1, &room, err));
    uint8_t *file = gen_arena_alloc(arena, room);
    if (!file) return gen_fail(err, GEN_NO_MEMORY, "no memory for a MIDI file of %zu bytes", room);
    uint32_t frames = (uint32_t)(256 - midi->frames_per_second) << 8 | (uint32_t)midi->ticks_per_frame;
    memcpy(file, "MThd", 4);
    uint8_t *to = put_big_endian(file + 4, 6, 4);
    to = put_big_endian(to, (uint32_t)midi->format, 2);
    to = put_big_endian(to, (uint32_t)midi->n_tracks, 2);
    to = put_big_endian(to, midi->ticks_per_quarter ? (uint32_t)midi->ticks_per_quarter : frames, 2);
    for (int32_t t = 0; t < midi->n_tracks; t++) to = put_track(to, &midi->tracks[t]);
    *out = (gen_bytes){ file, (size_t)(to - file) };
    return GEN_OK;
}

/* ---- from notes ---- */

/* An end is before a beginning at the same tick, so that a repeated note sounds again; a program is before its note. */
static int event_rank(const gen_midi_event *e)
{
    return e->status >> 4 == GEN_MIDI_NOTE_OFF >> 4 ? 0 : e->status >> 4 == GEN_MIDI_PROGRAM >> 4 ? 1 : 2;
}

static int by_time(const void *a, const void *b)
{
    const gen_midi_event *x = a, *y = b;
    if (x->ticks != y->ticks) return x->ticks < y->ticks ? -1 : 1;
    int rank = event_rank(x) - event_rank(y);
    if (rank) return rank;
    if (x->status != y->status) return x->status - y->status;
    return x->data[0] - y->data[0];
}

static int by_track(const void *a, const void *b)
{
    const gen_midi_note *x = *(const gen_midi_note *const *)a, *y = *(const gen_midi_note *const *)b;
    if (x->track != y->track) return x->track < y->track ? -1 : 1;
    if (x->start_ticks != y->start_ticks) return x->start_ticks < y->start_ticks ? -1 : 1;
    return x->pitch - y->pitch;
}

static gen_midi_event meta(gen_arena *arena, int type, const void *bytes, size_t n)
{
    gen_midi_event e = { .status = GEN_MIDI_META, .data = { (uint8_t)type }, .n_bytes = (uint32_t)n };
    uint8_t *copy = gen_arena_alloc(arena, n);
    if (copy) memcpy(copy, bytes, n);
    e.bytes = copy;
    return e;
}

static gen_status check_note(const gen_midi_note *n, gen_error *err)
{
    int good = n->start_ticks >= 0 && n->duration_ticks >= 0 && n->start_ticks <= GEN_MIDI_MAX_TICKS &&
               n->duration_ticks <= GEN_MIDI_MAX_TICKS - n->start_ticks && n->track >= 0 && n->pitch < 128 &&
               n->velocity > 0 && n->velocity < 128 && n->channel < 16 && n->program < 128;
    if (good) return GEN_OK;
    return gen_fail(err, GEN_BAD_OPTION,
                    "a note at tick %lld for %lld ticks of pitch %d, velocity %d, channel %d, program %d, track %d is "
                    "not possible in MIDI",
                    (long long)n->start_ticks, (long long)n->duration_ticks, n->pitch, n->velocity, n->channel,
                    n->program, n->track);
}

/* Notes of one track, by start. At most three events a note, and its name. */
static gen_status make_track(const gen_midi_note *const *notes, size_t n, const char *name, gen_arena *arena,
                             gen_midi_track *out, gen_error *err)
{
    int program[16];
    gen_midi_track t = { .events = gen_arena_alloc(arena, (3 * n + 1) * sizeof *t.events) };
    if (!t.events) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu notes", n);
    for (int c = 0; c < 16; c++) program[c] = -1;
    if (name) t.events[t.n_events++] = meta(arena, GEN_MIDI_TRACK_NAME, name, strlen(name));
    size_t first = t.n_events;
    for (size_t i = 0; i < n; i++) {
        const gen_midi_note *k = notes[i];
        int64_t end = k->start_ticks + k->duration_ticks;
        if (program[k->channel] != k->program)
            t.events[t.n_events++] = (gen_midi_event){ .ticks = k->start_ticks,
                                                       .status = (uint8_t)(GEN_MIDI_PROGRAM | k->channel),
                                                       .data = { k->program } };
        program[k->channel] = k->program;
        t.events[t.n_events++] = (gen_midi_event){ .ticks = k->start_ticks,
                                                   .status = (uint8_t)(GEN_MIDI_NOTE_ON | k->channel),
                                                   .data = { k->pitch, k->velocity } };
        t.events[t.n_events++] = (gen_midi_event){ .ticks = end,
                                                   .status = (uint8_t)(GEN_MIDI_NOTE_OFF | k->channel),
                                                   .data = { k->pitch, 64 } };
        if (end > t.end_ticks) t.end_ticks = end;
    }
    qsort(t.events + first, t.n_events - first, sizeof *t.events, by_time);
    *out = t;
    return GEN_OK;
}

int gen_midi_can_say_tempo(double quarters_per_minute)
{
    double us = 60e6 / quarters_per_minute;
    return us >= 0.5 && us < 0xFFFFFF;
}

static gen_status add_tempo(gen_midi_track *t, int64_t ticks, double us, gen_arena *arena, gen_error *err)
{
    uint8_t bytes[3];
    if (!gen_midi_can_say_tempo(60e6 / us))
        return gen_fail(err, GEN_BAD_OPTION, "a tempo of %g quarters a minute; MIDI says 3.6 to 60 million", 60e6 / us);
    if (ticks < t->end_ticks || ticks > GEN_MIDI_MAX_TICKS)
        return gen_fail(err, GEN_BAD_OPTION, "tempos should be sorted by tick; one is at %lld", (long long)ticks);
    put_big_endian(bytes, (uint32_t)lround(us), 3);
    gen_midi_event *e = &t->events[t->n_events++];
    *e = meta(arena, GEN_MIDI_TEMPO, bytes, 3);
    e->ticks = t->end_ticks = ticks;
    return GEN_OK;
}

static gen_status make_conductor(const gen_midi_plan *plan, int32_t ticks_per_quarter, gen_arena *arena,
                                 gen_midi_track *out, gen_error *err)
{
    int power = 0;
    gen_midi_track t = { .events = gen_arena_alloc(arena, (2 + plan->n_tempos) * sizeof *t.events) };
    if (!t.events) return gen_fail(err, GEN_NO_MEMORY, "no memory for a MIDI track");
    while (power < 7 && 1 << power < plan->of) power++;
    if (plan->beats > 0 && plan->beats < 256) {
        uint8_t time[4] = { (uint8_t)plan->beats, (uint8_t)power, 24, 8 };
        t.events[t.n_events++] = meta(arena, GEN_MIDI_TIME_SIGNATURE, time, 4);
    }
    if (!plan->n_tempos)
        GEN_TRY(add_tempo(&t, 0, 60e6 / (plan->quarters_per_minute > 0 ? plan->quarters_per_minute : 120), arena, err));
    for (size_t i = 0; i < plan->n_tempos; i++)
        GEN_TRY(add_tempo(&t, plan->tempos[i].ticks, plan->tempos[i].seconds_per_tick * ticks_per_quarter * 1e6, arena,
                          err));
    *out = t;
    return GEN_OK;
}

gen_status gen_midi_from_notes(const gen_midi_note *notes, size_t n, const gen_midi_plan *plan, gen_arena *arena,
                               gen_midi *out, gen_error *err)
{
    gen_midi m = { .format = 1, .ticks_per_quarter = plan->ticks_per_quarter ? plan->ticks_per_quarter : 480 };
    const gen_midi_note **sorted = gen_arena_alloc(arena, n * sizeof *sorted);
    size_t n_tracks = 1;
    if (!sorted) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu notes", n);
    for (size_t i = 0; i < n; i++) {
        GEN_TRY(check_note(&notes[i], err));
        sorted[i] = &notes[i];
    }
    qsort(sorted, n, sizeof *sorted, by_track);
    for (size_t i = 0; i < n; i++) n_tracks += !i || sorted[i]->track != sorted[i - 1]->track;
    m.tracks = gen_arena_alloc(arena, n_tracks * sizeof *m.tracks);
    if (!m.tracks) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu MIDI tracks", n_tracks);
    GEN_TRY(make_conductor(plan, m.ticks_per_quarter, arena, &m.tracks[m.n_tracks++], err));
    for (size_t i = 0, end; i < n; i = end) {
        int32_t track = sorted[i]->track;
        for (end = i; end < n && sorted[end]->track == track;) end++;
        const char *name = plan->names && track < plan->n_names ? plan->names[track] : NULL;
        GEN_TRY(make_track(sorted + i, end - i, name, arena, &m.tracks[m.n_tracks++], err));
    }
    *out = m;
    return GEN_OK;
}
