/* io/midi.h: Standard MIDI Files of formats 0, 1 and 2, plain or in RIFF (.rmi): read with repairs, written, seen as
 * notes on one line of time. Everything works on memory.
 *
 *     gen_midi midi;
 *     gen_midi_score score;
 *     GEN_TRY(gen_midi_read(file.data, file.size, arena, &midi, err));      // midi.repairs: what was wrong with it
 *     GEN_TRY(gen_midi_score_make(&midi, arena, &score, err));
 *     for (size_t i = 0; i < score.n_notes; i++)
 *         play(score.notes[i].pitch, gen_midi_seconds(&score, score.notes[i].start_ticks));
 */
#ifndef GEN_IO_MIDI_H
#define GEN_IO_MIDI_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    GEN_MIDI_MAX_BYTES = 64 << 20, /* of a file; the longest real ones have a few MiB */
    GEN_MIDI_MAX_TRACKS = 65535,
    GEN_MIDI_MAX_REPAIRS = 32, /* kept with their text; all are counted */
    GEN_MIDI_DRUMS = 9,        /* the channel of General MIDI's percussion, counted from 0 */
};
#define GEN_MIDI_MAX_TICKS INT32_MAX /* of a track */

/* The status byte of an event; of channel events the low half is the channel. */
enum {
    GEN_MIDI_NOTE_OFF = 0x80,
    GEN_MIDI_NOTE_ON = 0x90,
    GEN_MIDI_KEY_PRESSURE = 0xA0,
    GEN_MIDI_CONTROL = 0xB0,
    GEN_MIDI_PROGRAM = 0xC0,
    GEN_MIDI_PRESSURE = 0xD0,
    GEN_MIDI_BEND = 0xE0,
    GEN_MIDI_SYSEX = 0xF0,      /* bytes: what follows F0, with the F7 that ends it */
    GEN_MIDI_SYSEX_MORE = 0xF7, /* bytes sent as they are: the rest of a sysex, or anything */
    GEN_MIDI_META = 0xFF,
};

/* Types of meta events: gen_midi_event.data[0]. */
enum {
    GEN_MIDI_TEXT = 0x01,
    GEN_MIDI_TRACK_NAME = 0x03,
    GEN_MIDI_END_OF_TRACK = 0x2F,
    GEN_MIDI_TEMPO = 0x51,
    GEN_MIDI_TIME_SIGNATURE = 0x58,
    GEN_MIDI_KEY_SIGNATURE = 0x59,
};

typedef struct gen_midi_event {
    int64_t ticks; /* from the start of the track; never less than the event's before */
    const uint8_t *bytes;
    uint32_t n_bytes; /* of sysex and meta events */
    uint8_t status;
    uint8_t data[2]; /* of channel events, each below 128; of meta events the type */
} gen_midi_event;

/* The end of the track is no event: the writer makes it of end_ticks. */
typedef struct gen_midi_track {
    gen_midi_event *events;
    size_t n_events;
    int64_t end_ticks;
} gen_midi_track;

typedef struct gen_midi_repair {
    size_t offset; /* in the file */
    char text[100];
} gen_midi_repair;

typedef struct gen_midi {
    int32_t format;            /* 0: one track; 1: tracks sound together; 2: each is a piece of its own */
    int32_t ticks_per_quarter; /* 1 to 32767; 0: ticks are parts of film frames, */
    int32_t frames_per_second; /* 24, 25, 29 (which means 30000 / 1001) or 30, */
    int32_t ticks_per_frame;   /* 1 to 255 */
    int32_t n_tracks;
    gen_midi_track *tracks;
    gen_midi_repair *repairs; /* the first n_repairs, at most GEN_MIDI_MAX_REPAIRS, that reading made */
    size_t n_repairs, n_repairs_made;
} gen_midi;

/* Reads a file, repairs what can be repaired, and says what. Payloads of sysex and meta events stay where they are, in
 * data, which must outlive the result. Takes at most 16 bytes of the arena for each byte of data, and 64 KiB.
 * GEN_BAD_FILE names offset and reason; GEN_UNSUPPORTED is for other kinds of file, by name, and formats above 2. */
gen_status gen_midi_read(const void *data, size_t size, gen_arena *arena, gen_midi *out, gen_error *err);

/* The file of these tracks. Reading it again gives the same events (a pause longer than a file can say, 2^28 - 1 ticks,
 * is cut by empty texts). GEN_BAD_OPTION when an event has no place in a file. */
gen_status gen_midi_write(const gen_midi *midi, gen_arena *arena, gen_bytes *out, gen_error *err);

/* ---- one line of time (io/midi_score.c) ---- */

/* An event where it happens: tracks of formats 0 and 1 begin together, those of format 2 one after the other. */
typedef struct gen_midi_moment {
    int64_t ticks;
    int32_t track;
    const gen_midi_event *event;
} gen_midi_moment;

/* From ticks on, which are seconds after the start, a tick takes seconds_per_tick. */
typedef struct gen_midi_tempo {
    int64_t ticks;
    double seconds, seconds_per_tick;
} gen_midi_tempo;

typedef struct gen_midi_note {
    int64_t start_ticks, duration_ticks;
    int32_t track;
    uint8_t pitch, velocity, channel, program; /* 60 is middle C; 1 to 127; 0 to 15; 0 to 127 */
} gen_midi_note;

typedef struct gen_midi_score {
    int32_t ticks_per_quarter; /* as in gen_midi; where ticks are parts of frames: those of half a second */
    gen_midi_moment *moments;  /* all events, by time, those of a track in its order */
    size_t n_moments;
    gen_midi_tempo *tempos; /* the first at tick 0; 120 quarters a minute where nothing is said */
    size_t n_tempos;
    gen_midi_note *notes; /* by start, then track and pitch */
    size_t n_notes;
    int64_t end_ticks; /* of the longest track, or the last note */
} gen_midi_score;

/* Notes as they are meant: a note-on of velocity 0 ends one; of equal pitches on a channel of a track that overlap, an
 * end belongs to the one that began first; an end without a beginning is nothing; a note without an end lasts to the end
 * of its track. Points into midi. */
gen_status gen_midi_score_make(const gen_midi *midi, gen_arena *arena, gen_midi_score *out, gen_error *err);

/* Time since the start, both ways, through the tempo map. */
double gen_midi_seconds(const gen_midi_score *score, int64_t ticks);
int64_t gen_midi_ticks(const gen_midi_score *score, double seconds); /* the nearest, at least 0 */

/* What an event says; 0 when it says no such thing, or something that is not possible. */
int gen_midi_is_meta(const gen_midi_event *event, int type);
int gen_midi_tempo_of(const gen_midi_event *event, int32_t *tempo_us_per_quarter);
int gen_midi_time_of(const gen_midi_event *event, int32_t *beats, int32_t *of);       /* 6 of 8; of: 1 to 128 */
int gen_midi_key_of(const gen_midi_event *event, int32_t *sharps, int32_t *is_minor); /* sharps -7 to 7 */

/* General MIDI's name of a program, "Cello"; of a pitch, "F#4" (60 is C4), in buffer. */
const char *gen_midi_program_name(int program);
const char *gen_midi_pitch_name(int pitch, char buffer[8]);

/* A file of format 1 from notes: first a track of tempo and time, then one for each track of the notes (numbered from 0,
 * in that order; those without notes are left out), where a program is set before the first note that wants it. */
typedef struct gen_midi_plan {
    int32_t ticks_per_quarter;  /* 0: 480 */
    double quarters_per_minute; /* 0: 120 */
    int32_t beats, of;          /* time signature; 0: none */
    const char *const *names;   /* of the tracks of the notes, [n_names]; NULL for none, also in the list */
    int32_t n_names;
    const gen_midi_tempo *tempos; /* [n_tempos] instead of quarters_per_minute; seconds are not looked at */
    size_t n_tempos;
} gen_midi_plan;
int gen_midi_can_say_tempo(double quarters_per_minute); /* 3.6 to 60 million */
gen_status gen_midi_from_notes(const gen_midi_note *notes, size_t n, const gen_midi_plan *plan, gen_arena *arena,
                               gen_midi *out, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
