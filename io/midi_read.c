/* Reading Standard MIDI Files. Files in the wild break most rules of "Standard MIDI Files 1.0" (MIDI Manufacturers
 * Association, 1988): lengths and counts are wrong, running status goes on over meta events, bytes are lost or added.
 * What the rest makes clear is repaired and noted.
 *
 * Each track is gone through twice by the same function, first to count its events, then to keep them: so memory is asked
 * for once, and for what is there, never for what a length claims. */
#include "io/midi.h"

#include <stdio.h>
#include <string.h>

#define LONGEST_PAUSE 0x0FFFFFFF /* four bytes of seven bits */

typedef struct reader {
    const uint8_t *data; /* the whole file */
    size_t size;
    gen_midi_repair *repairs;
    size_t n_repairs, n_made;
} reader;

/* One pass over one track. */
typedef struct pass {
    reader *r;
    size_t at, limit;
    int32_t track;   /* from 1, for texts */
    uint8_t running; /* status of the last channel event */
    int interrupted; /* by a meta or sysex event since then */
    int64_t ticks;
    gen_midi_event *events; /* NULL: count only, and say nothing */
    size_t n_events;
    int ended, damaged; /* by its end-of-track; something had to be repaired */
    int resume;         /* the byte at `at` begins an event, without a pause before it */
    int said_running;
} pass;

static void repair(reader *r, size_t offset, const char *format, ...) GEN_PRINTF(3, 4);

static void repair(reader *r, size_t offset, const char *format, ...)
{
    r->n_made++;
    if (r->n_repairs == GEN_MIDI_MAX_REPAIRS) return;
    gen_midi_repair *to = &r->repairs[r->n_repairs++];
    va_list args;
    to->offset = offset;
    va_start(args, format);
    vsnprintf(to->text, sizeof to->text, format, args);
    va_end(args);
}

/* Only the pass that keeps events speaks: so nothing is said twice. */
#define REPAIR(p, offset, ...) ((p)->damaged = 1, (p)->events ? repair((p)->r, offset, __VA_ARGS__) : (void)0)

static uint32_t big_endian(const uint8_t *p, int n)
{
    uint32_t v = 0;
    for (int i = 0; i < n; i++) v = v << 8 | p[i];
    return v;
}

/* ---- events ---- */

static void cut_short(pass *p, const char *what)
{
    REPAIR(p, p->at, "track %d is cut short in %s: it ends here", p->track, what);
    p->at = p->limit;
}

/* A number in groups of seven bits. 0 when the track ends inside, or the number is larger than four groups can say. More
 * groups than that are accepted where the first ones are empty. */
static int take_length(pass *p, uint32_t *out)
{
    const uint8_t *d = p->r->data;
    size_t start = p->at;
    uint64_t value = 0;
    for (int n = 1; p->at < p->limit; n++) {
        uint8_t byte = d[p->at++];
        value = value << 7 | (byte & 0x7F);
        if (value > LONGEST_PAUSE) break;
        if (byte & 0x80) continue;
        if (n > 4) REPAIR(p, start, "a number of %d bytes; more than 4 are not allowed", n);
        *out = (uint32_t)value;
        return 1;
    }
    if (value > LONGEST_PAUSE) {
        REPAIR(p, start, "track %d ends here: a number larger than %d", p->track, LONGEST_PAUSE);
        p->at = p->limit;
    } else {
        cut_short(p, "a number");
    }
    return 0;
}

static void keep(pass *p, gen_midi_event event)
{
    event.ticks = p->ticks;
    if (p->events) p->events[p->n_events] = event;
    p->n_events++;
}

static int n_data_bytes(uint8_t status)
{
    int kind = status & 0xF0;
    return kind == GEN_MIDI_PROGRAM || kind == GEN_MIDI_PRESSURE ? 1 : 2;
}

/* A byte with its high bit set is no data: the event before it lost some, and the byte begins the next one (which is
 * then taken at the same time, without a pause before it). */
static void take_channel(pass *p, uint8_t status)
{
    gen_midi_event event = { .status = status };
    size_t start = p->at;
    for (int i = 0; i < n_data_bytes(status); i++) {
        if (p->at == p->limit) {
            cut_short(p, "an event");
            return;
        }
        if (p->r->data[p->at] & 0x80) {
            REPAIR(p, start, "left out event %02X, whose data are missing", status);
            p->resume = 1;
            return;
        }
        event.data[i] = p->r->data[p->at++];
    }
    keep(p, event);
}

/* Tempo, time and key are used when they are possible, and kept in any case. */
static void check_meaning(pass *p, const gen_midi_event *event, size_t start)
{
    int32_t a, b;
    if (gen_midi_is_meta(event, GEN_MIDI_TEMPO) && !gen_midi_tempo_of(event, &a))
        REPAIR(p, start, "a tempo that is not possible is ignored");
    else if (gen_midi_is_meta(event, GEN_MIDI_TIME_SIGNATURE) && !gen_midi_time_of(event, &a, &b))
        REPAIR(p, start, "a time signature that is not possible is ignored");
    else if (gen_midi_is_meta(event, GEN_MIDI_KEY_SIGNATURE) && !gen_midi_key_of(event, &a, &b))
        REPAIR(p, start, "a key signature that is not possible is ignored");
}

static void take_meta(pass *p, size_t start)
{
    gen_midi_event event = { .status = GEN_MIDI_META };
    if (p->at == p->limit) {
        cut_short(p, "a meta event");
        return;
    }
    uint8_t type = p->r->data[p->at++];
    if (type == GEN_MIDI_END_OF_TRACK && p->at == p->r->size) { /* its length, always 0, is missing */
        REPAIR(p, start, "the last byte of track %d is missing", p->track);
        p->ended = 1;
        return;
    }
    if (!take_length(p, &event.n_bytes)) return;
    if (event.n_bytes > p->limit - p->at) {
        cut_short(p, "a meta event");
        return;
    }
    event.data[0] = type;
    event.bytes = p->r->data + p->at;
    p->at += event.n_bytes;
    if (type == GEN_MIDI_END_OF_TRACK) {
        p->ended = 1;
        return;
    }
    if (type & 0x80) {
        REPAIR(p, start, "left out a meta event of type %02X: types end at 7F", type);
        return;
    }
    check_meaning(p, &event, start);
    keep(p, event);
}

static void take_sysex(pass *p, uint8_t status, size_t start)
{
    gen_midi_event event = { .status = status };
    if (!take_length(p, &event.n_bytes)) return;
    size_t left = p->limit - p->at;
    if (event.n_bytes > left) {
        const uint8_t *end = left ? memchr(p->r->data + p->at, 0xF7, left) : NULL;
        if (!end) {
            cut_short(p, "a sysex");
            return;
        }
        REPAIR(p, start, "a sysex of %u bytes has %u", event.n_bytes, (unsigned)(end + 1 - p->r->data - p->at));
        event.n_bytes = (uint32_t)(end + 1 - p->r->data - p->at);
    }
    event.bytes = p->r->data + p->at;
    p->at += event.n_bytes;
    keep(p, event);
}

/* Messages of a cable, not of a file: time code, song position and select have data. */
static void skip_system(pass *p, uint8_t status)
{
    size_t n = status == 0xF2 ? 2 : status == 0xF1 || status == 0xF3;
    REPAIR(p, p->at - 1, "left out message %02X, which has no place in a file", status);
    while (n-- && p->at < p->limit && p->r->data[p->at] < 0x80) p->at++;
}

static void skip_stray(pass *p)
{
    size_t start = p->at;
    while (p->at < p->limit && p->r->data[p->at] < 0x80) p->at++;
    REPAIR(p, start, "left out what belongs to no event: %zu bytes", p->at - start);
    p->resume = 1;
}

static void take_event(pass *p)
{
    size_t start = p->at;
    uint8_t byte = p->r->data[p->at];
    if (byte < 0x80) {
        if (!p->running) {
            skip_stray(p);
            return;
        }
        if (p->interrupted && !p->said_running++)
            REPAIR(p, start, "running status goes on after a meta or sysex event in track %d", p->track);
        take_channel(p, p->running);
        return;
    }
    p->at++;
    if (byte < 0xF0) {
        p->running = byte, p->interrupted = 0;
        take_channel(p, byte);
        return;
    }
    p->interrupted = 1;
    if (byte == GEN_MIDI_META) take_meta(p, start);
    else if (byte == GEN_MIDI_SYSEX || byte == GEN_MIDI_SYSEX_MORE) take_sysex(p, byte, start);
    else skip_system(p, byte);
}

static void take_pause(pass *p)
{
    uint32_t pause = 0;
    size_t start = p->at;
    if (!take_length(p, &pause)) return;
    if (p->ticks + pause > GEN_MIDI_MAX_TICKS) {
        REPAIR(p, start, "track %d ends here: it is longer than %d ticks", p->track, GEN_MIDI_MAX_TICKS);
        p->at = p->limit;
        return;
    }
    p->ticks += pause;
    if (p->at == p->limit) cut_short(p, "a pause");
}

/* From p->at to the end of the track or p->limit. */
static void take_events(pass *p)
{
    while (p->at < p->limit && !p->ended) {
        if (!p->resume) take_pause(p);
        p->resume = 0;
        if (p->at < p->limit) take_event(p);
    }
}

/* ---- tracks ---- */

/* Where a track's events are, and how many. */
typedef struct extent {
    size_t start, limit, next; /* events; the chunk after it */
    size_t n_events;
    int32_t track;
} extent;

static pass count_events(reader *r, const extent *e, size_t limit)
{
    pass p = { .r = r, .at = e->start, .limit = limit, .track = e->track };
    take_events(&p);
    return p;
}

/* Chunks have names of four letters; tracks are called MTrk. */
static int is_chunk(const reader *r, size_t at)
{
    if (at == r->size) return 1;
    if (r->size - at < 8) return 0;
    for (int i = 0; i < 4; i++)
        if (r->data[at + i] < ' ' || r->data[at + i] > '~') return 0;
    return 1;
}

static int is_track(const reader *r, size_t at)
{
    return r->size - at >= 8 && !memcmp(r->data + at, "MTrk", 4);
}

static size_t next_track(const reader *r, size_t at)
{
    while (at < r->size && !is_track(r, at)) at++;
    return at;
}

/* A length that is too small stops in the middle of the events: if they end well further on, that is what was meant. */
static int runs_on(reader *r, extent *e)
{
    size_t limit = next_track(r, e->limit);
    pass p = count_events(r, e, limit);
    if (!p.ended || p.damaged) return 0;
    e->limit = e->next = p.at;
    return 1;
}

/* From the length at e->start - 4, which may be wrong either way, to where the track ends and the next chunk begins. */
static void find_extent(reader *r, extent *e)
{
    size_t length = big_endian(r->data + e->start - 4, 4), left = r->size - e->start;
    if (length > left) repair(r, e->start - 4, "track %d promises %zu bytes, the file has %zu", e->track, length, left);
    e->limit = e->next = e->start + (length < left ? length : left);
    pass p = count_events(r, e, e->limit);
    if (!p.ended && !is_chunk(r, e->limit) && runs_on(r, e)) {
        repair(r, e->start - 4, "track %d promises %zu bytes and has %zu", e->track, length, e->limit - e->start);
        p = count_events(r, e, e->limit);
    } else if (p.ended && p.at < e->limit && is_track(r, p.at)) {
        e->limit = e->next = p.at;
        repair(r, e->start - 4, "track %d promises %zu bytes and has %zu", e->track, length, e->limit - e->start);
    } else if (p.ended && p.at < e->limit) {
        repair(r, p.at, "left out what follows the end of track %d: %zu bytes", e->track, e->limit - p.at);
        e->limit = p.at;
    } else if (!p.ended && !p.damaged) {
        repair(r, e->limit, "track %d has no end-of-track", e->track);
    }
    e->n_events = p.n_events;
}

static gen_status read_track(reader *r, extent *e, gen_arena *arena, gen_midi_track *out, gen_error *err)
{
    find_extent(r, e);
    pass p = { .r = r, .at = e->start, .limit = e->limit, .track = e->track };
    p.events = gen_arena_alloc(arena, e->n_events * sizeof *p.events);
    if (!p.events) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu MIDI events", e->n_events);
    take_events(&p);
    *out = (gen_midi_track){ p.events, p.n_events, p.ticks };
    return GEN_OK;
}

/* Never fewer than there are: the letters may also stand in a text. */
static size_t count_tracks(const reader *r, size_t at)
{
    size_t n = 0;
    for (at = next_track(r, at); at < r->size && n < GEN_MIDI_MAX_TRACKS; at = next_track(r, at + 4)) n++;
    return n;
}

/* Where reading goes on when there is no track at `at`: after a chunk of another kind, else at the next track. */
static size_t skip_other(reader *r, size_t at)
{
    size_t left = r->size - at;
    if (left > 8 && is_chunk(r, at)) {
        size_t end = at + 8 + big_endian(r->data + at + 4, 4);
        if (end <= r->size && is_chunk(r, end)) return end;
    }
    size_t next = next_track(r, at);
    repair(r, at, "left out what belongs to no track: %zu bytes", next - at);
    return next;
}

static gen_status read_tracks(reader *r, size_t at, gen_arena *arena, gen_midi *midi, gen_error *err)
{
    size_t most = count_tracks(r, at), start = at;
    midi->tracks = gen_arena_alloc(arena, most * sizeof *midi->tracks);
    if (!midi->tracks) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu MIDI tracks", most);
    while (at < r->size && (size_t)midi->n_tracks < most) {
        if (!is_track(r, at)) {
            at = skip_other(r, at);
            continue;
        }
        extent e = { .start = at + 8, .track = midi->n_tracks + 1 };
        GEN_TRY(read_track(r, &e, arena, &midi->tracks[midi->n_tracks++], err));
        at = e.next;
    }
    if (!midi->n_tracks) /* the letters may have been inside another chunk */
        return gen_fail(err, GEN_BAD_FILE, "MIDI: there is no track (MTrk) after the header, at byte %zu", start);
    if (at < r->size) repair(r, at, "left out what follows the last track: %zu bytes", r->size - at);
    return GEN_OK;
}

/* ---- the header ---- */

/* What people give to a MIDI reader that is none. */
static gen_status refuse(const reader *r, size_t at, gen_error *err)
{
    static const struct {
        const char *start, *what;
        size_t n;
    } kinds[] = {
        { "SMF2CLIP", "a MIDI 2.0 clip file", 8 },
        { "RIFF", "a RIFF file without MIDI (WAV, AVI …)", 4 },
        { "ID3", "an MP3 file", 3 },
        { "\xff\xfb", "an MP3 file", 2 },
        { "OggS", "an Ogg file", 4 },
        { "fLaC", "a FLAC file", 4 },
        { "\xf0", "a dump of system exclusive messages (.syx)", 1 },
        { "PK\3\4", "a ZIP archive (MusicXML .mxl, or packed)", 4 },
        { "<?xml", "an XML file (MusicXML …)", 5 },
    };
    size_t left = r->size - at;
    if (!left) return gen_fail(err, GEN_BAD_FILE, "MIDI: the file is empty");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (left >= kinds[i].n && !memcmp(r->data + at, kinds[i].start, kinds[i].n))
            return gen_fail(err, GEN_UNSUPPORTED, "MIDI: this is %s; gen reads Standard MIDI Files (.mid .kar .rmi)",
                            kinds[i].what);
    return gen_fail(err, GEN_BAD_FILE, "MIDI: the file should start with MThd and 6 bytes of header, at byte %zu", at);
}

/* .rmi: the MIDI file is the chunk "data" of a RIFF file of type RMID. Lengths here are little endian, and chunks begin
 * at even places. */
static size_t enter_riff(reader *r)
{
    if (r->size < 12 || memcmp(r->data, "RIFF", 4) || memcmp(r->data + 8, "RMID", 4)) return 0;
    for (size_t at = 12; r->size - at >= 8;) {
        const uint8_t *d = r->data + at;
        size_t length = (size_t)d[7] << 24 | (size_t)d[6] << 16 | (size_t)d[5] << 8 | d[4], left = r->size - at - 8;
        if (memcmp(d, "data", 4)) {
            if (length >= left) break;
            at += 8 + length + (length & 1);
            continue;
        }
        if (length > left) repair(r, at + 4, "the RIFF file promises %zu bytes of MIDI and has %zu", length, left);
        else r->size = at + 8 + length;
        return at + 8;
    }
    return 0;
}

static gen_status read_division(const uint8_t *d, size_t offset, gen_midi *midi, gen_error *err)
{
    int fps = 256 - d[0];
    if (!(d[0] & 0x80)) {
        midi->ticks_per_quarter = d[0] << 8 | d[1];
        if (midi->ticks_per_quarter) return GEN_OK;
        return gen_fail(err, GEN_BAD_FILE, "MIDI: 0 ticks in a quarter note, at byte %zu", offset);
    }
    if ((fps != 24 && fps != 25 && fps != 29 && fps != 30) || !d[1])
        return gen_fail(err, GEN_BAD_FILE,
                        "MIDI: %d frames in a second of %d ticks, at byte %zu; 24, 25, 29 or 30 were expected", fps,
                        d[1], offset);
    midi->frames_per_second = fps;
    midi->ticks_per_frame = d[1];
    return GEN_OK;
}

/* *at: the start of MThd, then where the chunks after it begin. */
static gen_status read_header(reader *r, size_t *at, gen_midi *midi, int32_t *n_promised, gen_error *err)
{
    const uint8_t *d = r->data + *at;
    size_t left = r->size - *at;
    if (left < 14 || memcmp(d, "MThd", 4)) return refuse(r, *at, err);
    size_t length = big_endian(d + 4, 4);
    midi->format = (int32_t)big_endian(d + 8, 2);
    *n_promised = (int32_t)big_endian(d + 10, 2);
    if (midi->format > 2)
        return gen_fail(err, GEN_UNSUPPORTED, "MIDI: format %d, at byte %zu; gen reads 0, 1 and 2", midi->format,
                        *at + 8);
    GEN_TRY(read_division(d + 12, *at + 12, midi, err));
    if (length < 6 || length > left - 8) {
        repair(r, *at + 4, "a header of %zu bytes is not possible here; 6 are taken", length);
        length = 6;
    } else if (length > 6) {
        repair(r, *at + 4, "a header of %zu bytes; those after the sixth are left out", length);
    }
    *at += 8 + length;
    return GEN_OK;
}

gen_status gen_midi_read(const void *data, size_t size, gen_arena *arena, gen_midi *out, gen_error *err)
{
    reader r = { .data = data, .size = size };
    gen_midi midi = { 0 };
    int32_t n_promised = 0;
    if (size > GEN_MIDI_MAX_BYTES)
        return gen_fail(err, GEN_UNSUPPORTED, "MIDI: %zu bytes; gen reads files of at most %d", size,
                        GEN_MIDI_MAX_BYTES);
    r.repairs = gen_arena_alloc(arena, GEN_MIDI_MAX_REPAIRS * sizeof *r.repairs);
    if (!r.repairs) return gen_fail(err, GEN_NO_MEMORY, "no memory for a MIDI file");
    size_t at = enter_riff(&r), header = at;
    GEN_TRY(read_header(&r, &at, &midi, &n_promised, err));
    GEN_TRY(read_tracks(&r, at, arena, &midi, err));
    if (midi.n_tracks != n_promised)
        repair(&r, header + 10, "the header promises %d tracks, the file has %d", n_promised, midi.n_tracks);
    if (midi.format == 0 && midi.n_tracks > 1) {
        repair(&r, header + 8, "format 0 has one track; with %d this is format 1", midi.n_tracks);
        midi.format = 1;
    }
    midi.repairs = r.repairs;
    midi.n_repairs = r.n_repairs, midi.n_repairs_made = r.n_made;
    *out = midi;
    return GEN_OK;
}
