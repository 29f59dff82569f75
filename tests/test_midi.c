/* io/midi_read.c, midi_write.c, midi_score.c: each rule on a file of a few bytes. */
#include "tests/test.h"

#include "io/midi.h"

#include <string.h>

#define HEAD(format, n_tracks) 'M', 'T', 'h', 'd', 0, 0, 0, 6, 0, format, 0, n_tracks, 0, 96
#define TRACK(n) 'M', 'T', 'r', 'k', 0, 0, 0, n
#define END 0, 0xFF, 0x2F, 0

typedef struct fixture {
    gen_arena *arena;
    gen_midi midi;
    gen_midi_score score;
    gen_error err;
} fixture;

static gen_status read_bytes(fixture *f, const uint8_t *bytes, size_t n)
{
    f->arena = gen_arena_new();
    gen_status status = gen_midi_read(bytes, n, f->arena, &f->midi, &f->err);
    if (status == GEN_OK) status = gen_midi_score_make(&f->midi, f->arena, &f->score, &f->err);
    return status;
}

static int says(const fixture *f, const char *words)
{
    for (size_t i = 0; i < f->midi.n_repairs; i++)
        if (strstr(f->midi.repairs[i].text, words)) return 1;
    return 0;
}

/* Reads a file of one track with these events (and no end-of-track of its own when end is 0). */
static void read_events(fixture *f, const uint8_t *events, size_t n, int end)
{
    static uint8_t file[300]; /* payloads stay in it */
    const uint8_t head[] = { HEAD(0, 1), TRACK(0) }, tail[] = { END };
    memset(f, 0, sizeof *f);
    memcpy(file, head, sizeof head);
    memcpy(file + sizeof head, events, n);
    if (end) memcpy(file + sizeof head + n, tail, sizeof tail);
    n += end ? sizeof tail : 0;
    file[sizeof head - 1] = (uint8_t)n;
    gen_status status = read_bytes(f, file, sizeof head + n);
    if (status != GEN_OK) fail_msg("%s", f->err.text);
}

#define READ(...) read_events(&f, (const uint8_t[]){ __VA_ARGS__ }, sizeof(const uint8_t[]){ __VA_ARGS__ }, 1)
#define READ_OPEN(...) read_events(&f, (const uint8_t[]){ __VA_ARGS__ }, sizeof(const uint8_t[]){ __VA_ARGS__ }, 0)

static void check_note(const gen_midi_note *n, int64_t start, int64_t duration, int pitch, int velocity)
{
    assert_int_equal(n->start_ticks, start);
    assert_int_equal(n->duration_ticks, duration);
    assert_int_equal(n->pitch, pitch);
    assert_int_equal(n->velocity, velocity);
}

TEST(midi_running_status_and_velocity_zero_make_notes)
{
    fixture f;
    READ(0, 0x93, 60, 100, 96, 60, 0, 0, 64, 90, 0x81, 0x40, 64, 0);
    assert_int_equal(f.midi.n_repairs_made, 0);
    assert_int_equal(f.score.n_notes, 2);
    check_note(&f.score.notes[0], 0, 96, 60, 100);
    check_note(&f.score.notes[1], 96, 192, 64, 90);
    assert_int_equal(f.score.notes[0].channel, 3);
    assert_int_equal(f.score.end_ticks, 288);
    gen_arena_free(f.arena);
}

TEST(midi_running_status_survives_meta_and_sysex_and_is_noted_once)
{
    fixture f;
    READ(0, 0x90, 60, 1, 0, 0xFF, 1, 2, 'h', 'i', 8, 60, 0, 0, 0xF0, 2, 1, 0xF7, 0, 61, 1, 8, 61, 0);
    assert_int_equal(f.score.n_notes, 2);
    assert_int_equal(f.midi.n_repairs_made, 1);
    assert_true(says(&f, "running status goes on"));
    assert_int_equal(f.midi.repairs[0].offset, 14 + 8 + 11);
    gen_arena_free(f.arena);
}

TEST(midi_overlapping_notes_end_in_the_order_they_began)
{
    fixture f;
    READ(0, 0x90, 60, 10, 10, 60, 20, 10, 0x80, 60, 0, 10, 60, 0);
    assert_int_equal(f.score.n_notes, 2);
    check_note(&f.score.notes[0], 0, 20, 60, 10);
    check_note(&f.score.notes[1], 10, 20, 60, 20);
    gen_arena_free(f.arena);
}

TEST(midi_hanging_note_lasts_to_the_end_of_its_track_and_stray_ends_are_nothing)
{
    fixture f;
    READ(0, 0x80, 50, 0, 5, 0x90, 60, 10, 95, 0xB0, 7, 100);
    assert_int_equal(f.score.n_notes, 1);
    check_note(&f.score.notes[0], 5, 95, 60, 10);
    gen_arena_free(f.arena);
}

TEST(midi_programs_come_from_any_track_and_pieces_of_format_2_follow_each_other)
{
    const uint8_t bytes[] = { HEAD(1, 2), TRACK(7), 0, 0xC1, 40, END, TRACK(12), 0, 0x91, 60, 9, 96, 0x81, 60, 0, END };
    uint8_t other[sizeof bytes];
    fixture f = { 0 };
    assert_int_equal(read_bytes(&f, bytes, sizeof bytes), GEN_OK);
    assert_int_equal(f.score.notes[0].program, 40);
    assert_int_equal(f.score.notes[0].track, 1);
    gen_arena_free(f.arena);
    memcpy(other, bytes, sizeof bytes);
    other[9] = 2;       /* format */
    other[14 + 8] = 50; /* the first piece ends… */
    assert_int_equal(read_bytes(&f, other, sizeof bytes), GEN_OK);
    check_note(&f.score.notes[0], 50, 96, 60, 9);
    gen_arena_free(f.arena);
}

TEST(midi_tempo_map_goes_both_ways)
{
    fixture f;
    READ(96, 0xFF, 0x51, 3, 0x0F, 0x42, 0x40, 96, 0xFF, 0x51, 3, 0x03, 0xD0, 0x90, 96, 0x90, 60, 1, 96, 60, 0);
    assert_int_equal(f.score.n_tempos, 3);
    assert_true(gen_midi_seconds(&f.score, 96) == 0.5); /* 120 a minute where nothing is said */
    assert_true(gen_midi_seconds(&f.score, 144) == 1.0);
    assert_true(gen_midi_seconds(&f.score, 192) == 1.5);
    assert_float_equal(gen_midi_seconds(&f.score, 288), 1.75, 1e-12);
    for (int64_t t = 0; t < 400; t += 7) assert_int_equal(gen_midi_ticks(&f.score, gen_midi_seconds(&f.score, t)), t);
    assert_int_equal(gen_midi_ticks(&f.score, -3), 0);
    gen_arena_free(f.arena);
}

TEST(midi_frames_of_film_are_seconds_whatever_the_tempo)
{
    uint8_t bytes[] = { HEAD(0, 1), TRACK(11), 0, 0xFF, 0x51, 3, 1, 0, 0, END };
    fixture f = { 0 };
    bytes[12] = 256 - 25, bytes[13] = 40;
    assert_int_equal(read_bytes(&f, bytes, sizeof bytes), GEN_OK);
    assert_float_equal(gen_midi_seconds(&f.score, 1000), 1.0, 1e-12);
    assert_int_equal(f.score.ticks_per_quarter, 500);
    gen_arena_free(f.arena);
    bytes[12] = 256 - 29;
    assert_int_equal(read_bytes(&f, bytes, sizeof bytes), GEN_OK);
    assert_float_equal(gen_midi_seconds(&f.score, 30000), 1001.0 / 40, 1e-9);
    gen_arena_free(f.arena);
    bytes[12] = 256 - 26;
    assert_int_equal(read_bytes(&f, bytes, sizeof bytes), GEN_BAD_FILE);
    assert_non_null(strstr(f.err.text, "byte 12"));
    gen_arena_free(f.arena);
}

TEST(midi_signatures_that_are_not_possible_are_ignored_and_kept)
{
    fixture f;
    int32_t a, b;
    READ(0, 0xFF, 0x51, 3, 0, 0, 0, 0, 0xFF, 0x58, 4, 4, 9, 24, 8, 0, 0xFF, 0x59, 2, 18, 0, 0, 0xFF, 0x58, 4, 6, 3, 24,
         8, 0, 0xFF, 0x59, 2, 0xFD, 1);
    assert_int_equal(f.midi.n_repairs_made, 3);
    assert_int_equal(f.midi.tracks[0].n_events, 5);
    assert_int_equal(f.score.n_tempos, 1);
    assert_true(gen_midi_time_of(&f.midi.tracks[0].events[3], &a, &b));
    assert_int_equal(a * 10 + b, 68);
    assert_true(gen_midi_key_of(&f.midi.tracks[0].events[4], &a, &b));
    assert_int_equal(a, -3);
    assert_int_equal(b, 1);
    gen_arena_free(f.arena);
}

TEST(midi_long_numbers_are_read_when_small_and_end_the_track_when_large)
{
    fixture f;
    READ(0x80, 0x80, 0x80, 0x80, 5, 0x90, 60, 1, 10, 60, 0);
    check_note(&f.score.notes[0], 5, 10, 60, 1);
    assert_true(says(&f, "a number of 5 bytes"));
    gen_arena_free(f.arena);
    READ(0, 0x90, 60, 1, 10, 60, 0, 0x81, 0x80, 0x80, 0x80, 0, 0x90, 61, 1);
    assert_int_equal(f.score.n_notes, 1);
    assert_true(says(&f, "larger than 268435455"));
    gen_arena_free(f.arena);
}

TEST(midi_track_that_lasts_too_long_ends)
{
    fixture f;
    uint8_t events[10 * 7];
    for (int i = 0; i < 10; i++) memcpy(events + i * 7, (uint8_t[]){ 0xFF, 0xFF, 0xFF, 0x7F, 0x90, 60, 1 }, 7);
    read_events(&f, events, sizeof events, 1);
    assert_int_equal(f.midi.tracks[0].n_events, 8);
    assert_true(says(&f, "longer than 2147483647 ticks"));
    gen_arena_free(f.arena);
}

TEST(midi_lost_and_added_bytes_cost_only_the_events_around_them)
{
    fixture f;
    READ(0, 0x90, 60, /* velocity lost */ 0x80, 60, 0, 10, 0x90, 62, 5, 10, 62, 0);
    assert_true(says(&f, "event 90, whose data are missing"));
    assert_int_equal(f.score.n_notes, 1);
    check_note(&f.score.notes[0], 10, 10, 62, 5);
    gen_arena_free(f.arena);
    READ(0, 1, 2, 3, 0x90, 62, 5, 10, 62, 0); /* data without a status */
    assert_true(says(&f, "belongs to no event: 3 bytes"));
    check_note(&f.score.notes[0], 0, 10, 62, 5);
    gen_arena_free(f.arena);
    READ(3, 0xF2, 1, 2, 3, 0xF8, 3, 0x90, 62, 5, 10, 62, 0); /* messages of a cable */
    assert_true(says(&f, "message F2") && says(&f, "message F8"));
    check_note(&f.score.notes[0], 9, 10, 62, 5);
    gen_arena_free(f.arena);
}

TEST(midi_unfinished_sysex_ends_at_its_f7)
{
    fixture f;
    READ(0, 0xF0, 99, 1, 2, 0xF7, 0, 0x90, 62, 5, 10, 62, 0);
    assert_int_equal(f.midi.tracks[0].events[0].n_bytes, 3);
    assert_int_equal(f.score.n_notes, 1);
    gen_arena_free(f.arena);
}

TEST(midi_track_without_its_end_keeps_its_notes)
{
    fixture f;
    READ_OPEN(0, 0x90, 62, 5, 10, 62, 0);
    assert_int_equal(f.score.n_notes, 1);
    assert_true(says(&f, "no end-of-track"));
    gen_arena_free(f.arena);
    READ_OPEN(0, 0x90, 62, 5, 10, 62);
    check_note(&f.score.notes[0], 0, 10, 62, 5);
    assert_true(says(&f, "cut short in an event"));
    gen_arena_free(f.arena);
    READ_OPEN(0, 0x90, 62, 5, 10, 62, 0, 0, 0xFF, 0x2F);
    assert_int_equal(f.midi.n_repairs_made, 1);
    assert_true(says(&f, "last byte"));
    gen_arena_free(f.arena);
}

/* Two tracks whose first length is wrong, either way. */
TEST(midi_wrong_lengths_and_counts_are_put_right)
{
    uint8_t bytes[] = {
        HEAD(0, 9), TRACK(11), 0, 0x90, 60, 9, 96, 60, 0, END, TRACK(11), 0, 0x91, 61, 9, 96, 61, 0, END
    };
    for (int length = 0; length < 60; length++) {
        fixture f = { 0 };
        bytes[21] = (uint8_t)length;
        assert_int_equal(read_bytes(&f, bytes, sizeof bytes), GEN_OK);
        assert_int_equal(f.midi.n_tracks, 2);
        assert_int_equal(f.midi.format, 1);
        assert_int_equal(f.score.n_notes, 2);
        assert_int_equal(says(&f, "and has 11") || says(&f, "the file has 30"), length != 11);
        assert_true(says(&f, "promises 9 tracks, the file has 2") && says(&f, "format 0 has one track"));
        gen_arena_free(f.arena);
    }
}

TEST(midi_other_chunks_and_long_headers_are_passed_over)
{
    const uint8_t bytes[] = { 'M', 'T', 'h', 'd', 0, 0, 0, 8, 0,         1, 0,    1,  0, 96, 7,  7, 'X', 'F', 'I',
                              'H', 0,   0,   0,   3, 1, 2, 3, TRACK(11), 0, 0x90, 60, 9, 96, 60, 0, END, 0,   0 };
    fixture f = { 0 };
    assert_int_equal(read_bytes(&f, bytes, sizeof bytes), GEN_OK);
    assert_int_equal(f.score.n_notes, 1);
    assert_true(says(&f, "header of 8 bytes") && says(&f, "follows the last track: 2 bytes"));
    assert_int_equal(f.midi.n_repairs_made, 2);
    gen_arena_free(f.arena);
}

TEST(midi_in_riff_is_read_with_offsets_of_the_whole_file)
{
    uint8_t bytes[] = { 'R',        'I',       'F', 'F',  57, 0, 0,  0,   'R', 'M', 'I', 'D', 'I', 'N', 'F',
                        'O',        1,         0,   0,    0,  9, 0,  'd', 'a', 't', 'a', 34,  0,   0,   0,
                        HEAD(0, 1), TRACK(11), 0,   0x90, 60, 9, 96, 60,  0,   END, 1,   2,   3 };
    bytes[26] = 33;
    fixture f = { 0 };
    assert_int_equal(read_bytes(&f, bytes, sizeof bytes), GEN_OK);
    assert_int_equal(f.score.n_notes, 1);
    assert_int_equal(f.midi.n_repairs_made, 0);
    gen_arena_free(f.arena);
    bytes[39] = 3; /* format */
    assert_int_equal(read_bytes(&f, bytes, sizeof bytes), GEN_UNSUPPORTED);
    assert_non_null(strstr(f.err.text, "byte 38"));
    gen_arena_free(f.arena);
}

static gen_status status_of(const char *bytes, size_t n, gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    gen_midi midi;
    *err = (gen_error){ 0 };
    gen_status status = gen_midi_read(bytes, n, arena, &midi, err);
    gen_arena_free(arena);
    return status;
}

TEST(midi_refuses_other_files_by_name)
{
    gen_error err;
    assert_int_equal(status_of("", 0, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "empty"));
    assert_int_equal(status_of("ID3\3 and music", 14, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "MP3"));
    assert_int_equal(status_of("\xF0\x7E\x7F\x06\x01\xF7", 6, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "system exclusive"));
    assert_int_equal(status_of("not a midi file", 15, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "MThd"));
    assert_int_equal(status_of("MThd\0\0\0\6\0\1\0\0\0\x60", 14, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "no track"));
    assert_int_equal(status_of("MThd\0\0\0\6\0\1\0\1\0\x60XXXX\0\0\0\x0cMTrk\0\0\0\4\0\xff\x2f\0", 34, &err),
                     GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "no track (MTrk) after the header, at byte 14"));
    assert_int_equal(status_of("MThd\0\0\0\6\0\1\0\1\0\0MTrk\0\0\0\0", 22, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "0 ticks in a quarter note, at byte 12"));
}

/* ---- writing ---- */

static void assert_same(const gen_midi *a, const gen_midi *b)
{
    assert_int_equal(a->format, b->format);
    assert_int_equal(a->ticks_per_quarter, b->ticks_per_quarter);
    assert_int_equal(a->frames_per_second, b->frames_per_second);
    assert_int_equal(a->n_tracks, b->n_tracks);
    for (int32_t t = 0; t < a->n_tracks; t++) {
        const gen_midi_track *x = &a->tracks[t], *y = &b->tracks[t];
        assert_int_equal(x->n_events, y->n_events);
        assert_int_equal(x->end_ticks, y->end_ticks);
        for (size_t i = 0; i < x->n_events; i++) {
            assert_int_equal(x->events[i].ticks, y->events[i].ticks);
            assert_int_equal(x->events[i].status, y->events[i].status);
            assert_memory_equal(x->events[i].data, y->events[i].data, 2);
            assert_int_equal(x->events[i].n_bytes, y->events[i].n_bytes);
            if (x->events[i].n_bytes) assert_memory_equal(x->events[i].bytes, y->events[i].bytes, x->events[i].n_bytes);
        }
    }
}

static void check_round_trip(const gen_midi *midi)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes file;
    gen_midi again;
    TEST_OK(gen_midi_write(midi, arena, &file, &err));
    TEST_OK(gen_midi_read(file.data, file.size, arena, &again, &err));
    assert_same(midi, &again);
    gen_arena_free(arena);
}

TEST(midi_round_trip_keeps_every_event)
{
    fixture f;
    READ(0, 0xFF, 3, 4, 'n', 'a', 'm', 'e', 0, 0xC0, 5, 1, 0xB0, 64, 127, 0, 0xE0, 1, 2, 0, 0xD0, 9, 0, 0xA0, 60, 3,
         0x81, 0, 0x90, 60, 1, 0xBF, 0xFF, 0x7F, 60, 0, 0, 0xF0, 3, 1, 2, 3, 2, 0xF7, 2, 4, 0xF7, 0, 0xFF, 0x7F, 0);
    assert_int_equal(f.midi.n_repairs_made, 0);
    assert_int_equal(f.midi.tracks[0].n_events, 11);
    check_round_trip(&f.midi);
    gen_arena_free(f.arena);
}

TEST(midi_pauses_longer_than_a_number_are_bridged)
{
    gen_midi_event events[] = { { .ticks = GEN_MIDI_MAX_TICKS, .status = GEN_MIDI_NOTE_ON, .data = { 60, 1 } } };
    gen_midi_track track = { events, 1, GEN_MIDI_MAX_TICKS };
    gen_midi midi = { .format = 0, .ticks_per_quarter = 480, .n_tracks = 1, .tracks = &track }, again;
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes file;
    TEST_OK(gen_midi_write(&midi, arena, &file, &err));
    TEST_OK(gen_midi_read(file.data, file.size, arena, &again, &err));
    const gen_midi_track *t = &again.tracks[0];
    assert_int_equal(t->events[t->n_events - 1].ticks, GEN_MIDI_MAX_TICKS);
    assert_int_equal(again.n_repairs_made, 0);
    gen_arena_free(arena);
}

TEST(midi_writer_refuses_what_has_no_place_in_a_file)
{
    static const gen_midi_event bad[] = {
        { .status = GEN_MIDI_NOTE_ON, .data = { 128, 1 } },
        { .status = 0x40 },
        { .status = 0xF8 },
        { .status = GEN_MIDI_META, .data = { GEN_MIDI_END_OF_TRACK } },
        { .status = GEN_MIDI_NOTE_ON, .ticks = -1 },
        { .status = GEN_MIDI_NOTE_ON, .ticks = (int64_t)GEN_MIDI_MAX_TICKS + 1 },
    };
    gen_arena *arena = gen_arena_new();
    gen_bytes file;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gen_midi_event event = bad[i];
        gen_midi_track track = { &event, 1, 0 };
        gen_midi midi = { .ticks_per_quarter = 480, .n_tracks = 1, .tracks = &track };
        assert_int_equal(gen_midi_write(&midi, arena, &file, NULL), GEN_BAD_OPTION);
    }
    gen_midi none = { .ticks_per_quarter = 0, .n_tracks = 1 };
    assert_int_equal(gen_midi_write(&none, arena, &file, NULL), GEN_BAD_OPTION);
    gen_arena_free(arena);
}

TEST(midi_from_notes_gives_the_notes_back)
{
    const gen_midi_note notes[] = {
        { 0, 480, 0, 60, 100, 0, 0 }, { 480, 480, 0, 60, 90, 0, 0 }, { 480, 240, 0, 64, 80, 0, 24 },
        { 0, 960, 3, 40, 70, 1, 33 }, { 960, 0, 3, 41, 70, 1, 33 },
    };
    const char *names[] = { "melody" };
    const gen_midi_plan plan = { .quarters_per_minute = 90, .beats = 3, .of = 4, .names = names, .n_names = 1 };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_midi midi;
    gen_midi_score score;
    int32_t us = 0, beats = 0, of = 0;
    TEST_OK(gen_midi_from_notes(notes, 5, &plan, arena, &midi, &err));
    check_round_trip(&midi);
    TEST_OK(gen_midi_score_make(&midi, arena, &score, &err));
    assert_int_equal(midi.n_tracks, 3);
    assert_int_equal(score.n_notes, 5);
    assert_int_equal(score.notes[0].program * 100 + score.notes[1].program, 33);
    check_note(&score.notes[2], 480, 480, 60, 90);
    check_note(&score.notes[3], 480, 240, 64, 80);
    check_note(&score.notes[4], 960, 0, 41, 70);
    assert_true(gen_midi_tempo_of(&midi.tracks[0].events[1], &us) &&
                gen_midi_time_of(&midi.tracks[0].events[0], &beats, &of));
    assert_int_equal(us, 666667);
    assert_int_equal(beats * 10 + of, 34);
    assert_memory_equal(midi.tracks[1].events[0].bytes, "melody", 6);
    gen_midi_note high = notes[0];
    high.pitch = 128;
    assert_int_equal(gen_midi_from_notes(&high, 1, &plan, arena, &midi, NULL), GEN_BAD_OPTION);
    gen_arena_free(arena);
}

/* ---- damage ---- */

static const uint8_t sound[] = { HEAD(1, 2), TRACK(29), 0,    0xFF, 3,    4, 'n',  'a',       'm', 'e',  0,  0xFF,
                                 0x51,       3,         7,    0xA1, 0x20, 0, 0xF0, 4,         1,   2,    3,  0xF7,
                                 0x81,       0x40,      0xFF, 0x2F, 0,    0, 0,    TRACK(18), 0,   0xC0, 5,  0,
                                 0x90,       60,        9,    96,   60,   0, 0,    0xB0,      7,   1,    END };

/* Reads a copy whose end the address sanitizer watches; whatever is read must also be written. */
static gen_status read_copy(const uint8_t *bytes, size_t n)
{
    gen_arena *arena = gen_arena_new();
    gen_midi midi;
    gen_midi_score score;
    gen_bytes file;
    gen_error err = { 0 };
    uint8_t *copy = gen_alloc(1, n ? n : 1);
    if (n) memcpy(copy, bytes, n);
    gen_status status = gen_midi_read(copy, n, arena, &midi, &err);
    if (status == GEN_OK) {
        assert_true(gen_arena_used(arena) <= 16 * n + 65536);
        TEST_OK(gen_midi_score_make(&midi, arena, &score, &err));
        TEST_OK(gen_midi_write(&midi, arena, &file, &err));
        check_round_trip(&midi);
    } else {
        assert_true(err.text[0]);
    }
    gen_free(copy);
    gen_arena_free(arena);
    return status;
}

TEST(midi_survives_truncation_at_every_byte)
{
    for (size_t n = 0; n <= sizeof sound; n++) assert_int_equal(read_copy(sound, n) == GEN_OK, n >= 14 + 8);
}

TEST(midi_survives_every_flipped_bit)
{
    uint8_t copy[sizeof sound];
    for (size_t bit = 0; bit < 8 * sizeof sound; bit++) {
        memcpy(copy, sound, sizeof sound);
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        gen_status status = read_copy(copy, sizeof copy);
        assert_true(status == GEN_OK || bit / 8 < 14);
    }
}

TEST(midi_failing_allocations_are_reported)
{
    for (uint64_t n = 1, done = 0; !done; n++) {
        gen_arena *arena = gen_arena_new();
        gen_midi midi;
        gen_midi_score score;
        gen_alloc_fail_at(n);
        gen_status status = gen_midi_read(sound, sizeof sound, arena, &midi, NULL);
        if (status == GEN_OK) status = gen_midi_score_make(&midi, arena, &score, NULL);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_NO_MEMORY);
        done = status == GEN_OK;
        gen_arena_free(arena);
    }
}

/* Nothing but empty tracks, and nothing but the shortest events: what costs most for its bytes. */
TEST(midi_memory_is_bounded_by_the_size_of_the_file)
{
    enum { N = 200000 };
    const uint8_t head[] = { HEAD(1, 1) }, track[] = { TRACK(0) };
    gen_arena *arena = gen_arena_new();
    uint8_t *bytes = gen_arena_alloc(arena, N);
    memcpy(bytes, head, sizeof head);
    for (size_t at = 14; at + 8 <= N; at += 8) memcpy(bytes + at, track, 8);
    assert_int_equal(read_copy(bytes, N), GEN_OK);
    memset(bytes + 22, 0, N - 22);
    memcpy(bytes + 14, (uint8_t[]){ 'M', 'T', 'r', 'k', 0xFF, 0xFF, 0xFF, 0xFF, 0, 0xC0 }, 10);
    assert_int_equal(read_copy(bytes, N), GEN_OK);
    gen_arena_free(arena);
}
