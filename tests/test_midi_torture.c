/* io/midi_read.c on the files of others that were made to break readers: what each one must come to. */
#include "tests/test.h"

#include "io/midi.h"

#include <math.h>
#include <string.h>

#define FOLDER "data/midi/torture/"

typedef struct outcome {
    const char *file;
    gen_status status;
    int32_t format, n_tracks;
    size_t n_notes;
    double seconds;
    size_t n_repairs;
    const char *words; /* of a repair, or of the reason */
} outcome;

// clang-format off
static const outcome made_by_jazz_soft[] = {
    { "midi/test-2-tracks-type-0.mid",                                  GEN_OK, 1, 2, 16, 4.5, 1, "format 0 has one track" },
    { "midi/test-2-tracks-type-1.mid",                                  GEN_OK, 1, 2, 16, 4.5, 0, "" },
    { "midi/test-all-gm-percussion.mid",                                GEN_OK, 0, 1, 183, 137.25, 0, "" },
    { "midi/test-all-gm-sounds.mid",                                    GEN_OK, 0, 1, 512, 352.0, 0, "" },
    { "midi/test-all-gs-sounds.mid",                                    GEN_OK, 0, 1, 5044, 3467.75, 0, "" },
    { "midi/test-all-microsoft-gs-wavetable-synth-sounds.mid",          GEN_OK, 0, 1, 904, 621.5, 0, "" },
    { "midi/test-c-major-scale.mid",                                    GEN_OK, 0, 1, 8, 4.0, 0, "" },
    { "midi/test-control-00-20-bank-select.mid",                        GEN_OK, 0, 1, 8, 5.5, 0, "" },
    { "midi/test-control-41-portamento.mid",                            GEN_OK, 0, 1, 8, 7.0, 0, "" },
    { "midi/test-control-54-portamento-control.mid",                    GEN_OK, 0, 1, 1, 3.0, 0, "" },
    { "midi/test-control-7d-omni-mode-on.mid",                          GEN_OK, 0, 1, 0, 0.5, 0, "" },
    { "midi/test-control-7e-mono-mode-on.mid",                          GEN_OK, 0, 1, 0, 0.5, 0, "" },
    { "midi/test-corrupt-file-extra-byte.mid",                          GEN_OK, 0, 1, 8, 4.0, 1, "follows the last track: 1 bytes" },
    { "midi/test-corrupt-file-missing-byte.mid",                        GEN_OK, 0, 1, 8, 4.0, 2, "the last byte of track 1 is missing" },
    { "midi/test-empty.mid",                                            GEN_OK, 0, 1, 0, 0.0, 0, "" },
    { "midi/test-gm2-doggy-78-00-38-4c.mid",                            GEN_OK, 0, 1, 3, 1.5, 0, "" },
    { "midi/test-gs-doggy-01-00-7b.mid",                                GEN_OK, 0, 1, 3, 1.5, 0, "" },
    { "midi/test-illegal-message-all.mid",                              GEN_OK, 0, 1, 8, 4.0, 13, "message FE" },
    { "midi/test-illegal-message-f2-xx-xx.mid",                         GEN_OK, 0, 1, 8, 4.0, 1, "message F2" },
    { "midi/test-illegal-message-f3-xx.mid",                            GEN_OK, 0, 1, 8, 4.0, 1, "message F3" },
    { "midi/test-illegal-message-f5.mid",                               GEN_OK, 0, 1, 8, 4.0, 1, "message F5" },
    { "midi/test-illegal-message-f6.mid",                               GEN_OK, 0, 1, 8, 4.0, 1, "message F6" },
    { "midi/test-illegal-message-f9.mid",                               GEN_OK, 0, 1, 8, 4.0, 1, "message F9" },
    { "midi/test-illegal-message-fa.mid",                               GEN_OK, 0, 1, 8, 4.0, 1, "message FA" },
    { "midi/test-illegal-message-fc.mid",                               GEN_OK, 0, 1, 8, 4.0, 1, "message FC" },
    { "midi/test-illegal-message-fd.mid",                               GEN_OK, 0, 1, 8, 4.0, 1, "message FD" },
    { "midi/test-karaoke-kar.mid",                                      GEN_OK, 1, 3, 29, 10.6, 0, "" },
    { "midi/test-multichannel-chords-0.mid",                            GEN_OK, 0, 1, 24, 4.0, 0, "" },
    { "midi/test-multichannel-chords-2.mid",                            GEN_OK, 1, 2, 24, 4.0, 0, "" },
    { "midi/test-multichannel-chords-3.mid",                            GEN_OK, 1, 3, 24, 4.0, 0, "" },
    { "midi/test-not-a-midi-file.mid",                                  GEN_BAD_FILE, 0, 0, 0, 0.0, 0, "MThd" },
    { "midi/test-note-on-velocity.mid",                                 GEN_OK, 0, 1, 9, 4.5, 0, "" },
    { "midi/test-rpn-00-01-fine-tuning.mid",                            GEN_OK, 0, 1, 25, 12.5, 0, "" },
    { "midi/test-rpn-00-02-coarse-tuning.mid",                          GEN_OK, 0, 1, 8, 4.0, 0, "" },
    { "midi/test-running-status-metaevent.mid",                         GEN_OK, 0, 1, 8, 4.0, 1, "running status goes on" },
    { "midi/test-running-status-sysex.mid",                             GEN_OK, 0, 1, 8, 4.0, 1, "running status goes on" },
    { "midi/test-silence-end-of-track.mid",                             GEN_OK, 0, 1, 0, 5.0, 0, "" },
    { "midi/test-silence-text-metaevent.mid",                           GEN_OK, 0, 1, 0, 5.0, 0, "" },
    { "midi/test-sysex-7e-06-01-id-request.mid",                        GEN_OK, 0, 1, 0, 0.5, 0, "" },
    { "midi/test-sysex-7e-09-01-gm1-enable.mid",                        GEN_OK, 0, 1, 0, 0.5, 0, "" },
    { "midi/test-sysex-7e-09-03-gm2-enable.mid",                        GEN_OK, 0, 1, 0, 0.5, 0, "" },
    { "midi/test-sysex-7f-04-03-master-fine-tuning.mid",                GEN_OK, 0, 1, 5, 2.5, 0, "" },
    { "midi/test-sysex-7x-08-0x-scale-tuning.mid",                      GEN_OK, 0, 1, 65, 34.5, 0, "" },
    { "midi/test-sysex-gs-40-1x-15-drum-part-change.mid",               GEN_OK, 0, 1, 8, 6.0, 0, "" },
    { "midi/test-syx-7e-06-01-id-request.syx",                          GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "system exclusive" },
    { "midi/test-track-length.mid",                                     GEN_OK, 0, 1, 1, 1.5, 0, "" },
    { "midi/test-vlq-2-byte.mid",                                       GEN_OK, 0, 1, 8, 4.0, 0, "" },
    { "midi/test-vlq-4-byte.mid",                                       GEN_OK, 0, 1, 8, 4.0, 0, "" },
    { "midi/test-xg-doggy-40-00-30.mid",                                GEN_OK, 0, 1, 3, 1.5, 0, "" },
    { "midi2/test-c-major-scale-m1-g0.midi2",                           GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-c-major-scale-m1-g1.midi2",                           GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-c-major-scale-m2-g0.midi2",                           GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-c-major-scale-m2-g1.midi2",                           GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-data.midi2",                                          GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-empty-file.midi2",                                    GEN_BAD_FILE, 0, 0, 0, 0.0, 0, "empty" },
    { "midi2/test-empty.midi2",                                         GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-gm2-doggy-78-00-38-4c.midi2",                         GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-gm2-doggy-79-01-7b.midi2",                            GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-gs-doggy-01-00-7b.midi2",                             GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-minimal.midi2",                                       GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-no-header.midi2",                                     GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-not-a-midi-file.midi2",                               GEN_BAD_FILE, 0, 0, 0, 0.0, 0, "MThd" },
    { "midi2/test-out-of-order-data.midi2",                             GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-out-of-order-sysex.midi2",                            GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-out-of-order-text.midi2",                             GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-text-message.midi2",                                  GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-xg-doggy-40-00-30.midi2",                             GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
    { "midi2/test-xg-doggy-7e-00-00-54.midi2",                          GEN_UNSUPPORTED, 0, 0, 0, 0.0, 0, "MIDI 2.0" },
};

static const outcome of_midly[] = {
    { "Beethoven.rmi",                                                  GEN_OK, 1, 15, 10423, 379.279, 0, "" },
    { "Clementi.mid",                                                   GEN_OK, 1, 3, 666, 113.625, 0, "" },
    { "ClementiRewritten.mid",                                          GEN_OK, 1, 3, 666, 113.625, 0, "" },
    { "PiDamaged.mid",                                                  GEN_OK, 1, 3, 8532, 183.038, 3, "promises 30 tracks, the file has 3" },
    { "SysExTest.mid",                                                  GEN_OK, 1, 3, 0, 0.0, 2, "track 3 has no end-of-track" },
    { "colorlist.txt",                                                  GEN_BAD_FILE, 0, 0, 0, 0.0, 0, "MThd" },
};
// clang-format on

static int says(const gen_midi *midi, const char *words)
{
    for (size_t i = 0; i < midi->n_repairs; i++)
        if (strstr(midi->repairs[i].text, words)) return 1;
    return !*words;
}

static void check_outcome(const char *folder, const outcome *o)
{
    char name[200];
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new(), *local = gen_arena_new();
    gen_bytes file, again;
    gen_midi midi;
    gen_midi_score score;
    snprintf(name, sizeof name, FOLDER "%s%s", folder, o->file);
    const char *path = test_shared(name);
    if (!path) fail_msg("%s is missing", name);
    TEST_OK(gen_file_read(path, GEN_FILE_ANY_SIZE, arena, &file, &err));
    gen_status status = gen_midi_read(file.data, file.size, local, &midi, &err);
    if (status != o->status) fail_msg("%s: %s %s", o->file, gen_status_text(status), err.text);
    assert_true(gen_arena_used(local) <= 16 * file.size + 65536);
    if (status != GEN_OK) {
        if (!strstr(err.text, o->words)) fail_msg("%s: %s", o->file, err.text);
    } else {
        TEST_OK(gen_midi_score_make(&midi, arena, &score, &err));
        if (midi.format != o->format || midi.n_tracks != o->n_tracks || score.n_notes != o->n_notes ||
            fabs(gen_midi_seconds(&score, score.end_ticks) - o->seconds) > 0.001 ||
            midi.n_repairs_made != o->n_repairs || !says(&midi, o->words))
            fail_msg("%s: format %d, %d tracks, %zu notes, %.3f s, %zu repairs; or none says '%s'", o->file,
                     midi.format, midi.n_tracks, score.n_notes, gen_midi_seconds(&score, score.end_ticks),
                     midi.n_repairs_made, o->words);
        TEST_OK(gen_midi_write(&midi, arena, &again, &err)); /* what was repaired is right now */
        TEST_OK(gen_midi_read(again.data, again.size, arena, &midi, &err));
        assert_int_equal(midi.n_repairs_made, 0);
    }
    gen_arena_free(arena);
    gen_arena_free(local);
}

TEST(midi_torture_files_of_jazz_soft_have_their_outcomes)
{
    if (!test_shared(FOLDER "jazz-soft_test-midi-files")) TEST_SKIP("no ../shared/" FOLDER);
    for (size_t i = 0; i < sizeof made_by_jazz_soft / sizeof *made_by_jazz_soft; i++)
        check_outcome("jazz-soft_test-midi-files/", &made_by_jazz_soft[i]);
}

TEST(midi_torture_files_of_midly_have_their_outcomes)
{
    if (!test_shared(FOLDER "midly_test-asset")) TEST_SKIP("no ../shared/" FOLDER);
    for (size_t i = 0; i < sizeof of_midly / sizeof *of_midly; i++)
        check_outcome("midly_test-asset/test-asset/", &of_midly[i]);
}
