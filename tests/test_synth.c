/* io/synth.c, io/sound.c: a few notes, rendered by the SoundFont of the system. */
#include "tests/test.h"

#include "io/sound.h"
#include "io/synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 44100, SQUARE_LEAD = 80 };

static const gen_synth_options plain = { .rate_hz = RATE, .gain = 0.5, .tail_s = 0.5 };

/* Renders notes at 120 quarters a minute and 480 ticks; skips where there is no plugin or no SoundFont. */
static gen_status render(const gen_midi_note *notes, size_t n, const gen_synth_options *options, gen_arena *arena,
                         gen_sound *sound, gen_error *err)
{
    gen_midi midi;
    gen_midi_score score;
    gen_synth_options o = *options;
    const gen_midi_plan plan = { 0 };
    if (gen_synth_find_soundfont(NULL, arena, &o.soundfont, err) != GEN_OK) return err->status;
    GEN_TRY(gen_midi_from_notes(notes, n, &plan, arena, &midi, err));
    GEN_TRY(gen_midi_score_make(&midi, arena, &score, err));
    return gen_synth_render(&score, &o, arena, sound, err);
}

static void need_sound(const gen_error *err, gen_arena *arena)
{
    if (err->status != GEN_NO_DEVICE && err->status != GEN_NOT_FOUND) return;
    gen_arena_free(arena);
    TEST_SKIP("no FluidSynth plugin, or no SoundFont");
}

static double rms(const gen_sound *s, double from_s, double to_s)
{
    double sum = 0;
    int64_t from = (int64_t)(from_s * s->rate_hz), to = (int64_t)(to_s * s->rate_hz);
    for (int64_t i = from * 2; i < to * 2; i++) sum += (double)s->samples[i] * (double)s->samples[i];
    return sqrt(sum / (double)(2 * (to - from)));
}

/* How much of a frequency is in the left channel: one bin of a Fourier transform with a Hann window. */
static double power_at(const gen_sound *s, double hz, double from_s, double to_s)
{
    const double two_pi = 6.283185307179586;
    double re = 0, im = 0;
    int64_t from = (int64_t)(from_s * s->rate_hz), n = (int64_t)(to_s * s->rate_hz) - from;
    for (int64_t i = 0; i < n; i++) {
        double window = 0.5 - 0.5 * cos(two_pi * (double)i / (double)n), t = two_pi * hz * (double)i / s->rate_hz;
        re += window * (double)s->samples[2 * (from + i)] * cos(t);
        im += window * (double)s->samples[2 * (from + i)] * sin(t);
    }
    return re * re + im * im;
}

static double hertz(double pitch)
{
    return 440 * pow(2, (pitch - 69) / 12);
}

/* A4 for half a second, half a second of nothing, C5 for half a second. */
static const gen_midi_note two_notes[] = { { 0, 480, 0, 69, 100, 0, SQUARE_LEAD },
                                           { 960, 480, 0, 72, 100, 0, SQUARE_LEAD } };

TEST(synth_plays_each_note_at_its_time_and_pitch)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_sound s = { 0 };
    gen_status status = render(two_notes, 2, &plain, arena, &s, &err);
    need_sound(&err, arena);
    TEST_OK(status);
    if (!s.samples) fail_msg("no samples");
    assert_int_equal(s.n_channels, 2);
    assert_int_equal(s.n_frames, 2 * RATE); /* 1.5 s of music, 0.5 s of tail */
    assert_true(rms(&s, 0.1, 0.4) > 0.01 && rms(&s, 1.1, 1.4) > 0.01);
    assert_true(rms(&s, 0.9, 0.99) < 0.05 * rms(&s, 0.1, 0.4));
    for (int note = 0; note < 2; note++) {
        double from = note + 0.1, to = note + 0.4, best = 0, best_pitch = 0;
        for (double pitch = 60; pitch < 80; pitch += 0.25) {
            double power = power_at(&s, hertz(pitch), from, to);
            if (power > best) best = power, best_pitch = pitch;
        }
        assert_float_equal(best_pitch, two_notes[note].pitch, 0.3);
    }
    int64_t first = 0, second = RATE - 200;
    while (fabsf(s.samples[2 * first]) < 1e-3F) first++;
    while (fabsf(s.samples[2 * second]) < fabsf(s.samples[2 * (RATE - 200)]) + 2e-3F) second++;
    assert_true(first < 256 && llabs(second - RATE - first) < 256);
    gen_arena_free(arena);
}

TEST(synth_gain_is_a_factor_and_the_tail_is_kept)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_sound quiet = { 0 }, loud = { 0 }, faded = { 0 };
    gen_synth_options o = plain;
    gen_status status = render(two_notes, 2, &o, arena, &quiet, &err);
    need_sound(&err, arena);
    TEST_OK(status);
    o.gain = 1;
    TEST_OK(render(two_notes, 2, &o, arena, &loud, &err));
    if (!quiet.samples) fail_msg("no samples");
    if (!loud.samples) fail_msg("no samples");
    assert_float_equal((float)(rms(&loud, 0.1, 0.4) / rms(&quiet, 0.1, 0.4)), 2.0F, 0.01F);
    o.tail_s = -1, o.reverb = 0.2;
    TEST_OK(render(two_notes, 2, &o, arena, &faded, &err));
    if (!faded.samples) fail_msg("no samples");
    assert_true(faded.n_frames > 1.5 * RATE && faded.n_frames < 11.6 * RATE);
    assert_true(rms(&faded, (double)faded.n_frames / RATE - 0.05, (double)faded.n_frames / RATE) < 1e-4);
    gen_arena_free(arena);
}

TEST(synth_refuses_silence_with_the_reason)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_sound s = { 0 };
    gen_synth_options o = plain;
    o.gain = 0;
    gen_status status = render(two_notes, 2, &o, arena, &s, &err);
    need_sound(&err, arena);
    assert_int_equal(status, GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "gain is 0"));
    err = (gen_error){ 0 };
    assert_int_equal(render(two_notes, 0, &plain, arena, &s, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no notes"));
    err = (gen_error){ 0 };
    o.gain = 1, o.rate_hz = 7;
    assert_int_equal(render(two_notes, 2, &o, arena, &s, &err), GEN_BAD_OPTION);
    const gen_midi_note late = { GEN_MIDI_MAX_TICKS - 10, 10, 0, 60, 100, 0, 0 };
    err = (gen_error){ 0 };
    assert_int_equal(render(&late, 1, &plain, arena, &s, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "at most 7200"));
    gen_arena_free(arena);
}

TEST(synth_says_which_file_is_no_soundfont)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    const char *path;
    gen_sound s;
    assert_int_equal(gen_synth_find_soundfont("/none.sf2", arena, &path, &err), GEN_NOT_FOUND);
    assert_non_null(strstr(err.text, "/none.sf2"));
    gen_synth_options o = plain;
    gen_midi_note note = two_notes[0];
    gen_midi_tempo tempo = { 0, 0, 1e-3 };
    const gen_midi_score score = { 480, NULL, 0, &tempo, 1, &note, 1, 480 };
    o.soundfont = test_source("README.md");
    err = (gen_error){ 0 };
    assert_int_equal(gen_synth_render(&score, &o, arena, &s, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "README.md is no SoundFont"));
    gen_arena_free(arena);
}

/* A sine of 1.2 times full scale, stereo. */
static gen_sound make_sine(gen_arena *arena)
{
    gen_sound s = { gen_arena_alloc(arena, 2 * RATE * sizeof(float)), RATE, 2, RATE };
    for (int i = 0; i < 2 * RATE; i++) s.samples[i] = 1.2F * (float)sin(i / 2 * 6.283185307179586 * 100 / RATE);
    return s;
}

TEST(sound_is_written_as_wav_of_16_bits_and_clipped)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_sound s = make_sine(arena);
    gen_bytes file = { 0 };
    gen_sound_level level = gen_sound_measure(&s);
    assert_float_equal(level.peak, 1.2, 1e-3);
    assert_float_equal(level.rms, 0.848528, 1e-3);
    assert_true(level.n_clipped > RATE / 2 && level.n_clipped < RATE);
    gen_status status = gen_sound_write(&s, GEN_SOUND_WAV, arena, &file, &err);
    if (status == GEN_NO_DEVICE) need_sound(&err, arena);
    TEST_OK(status);
    assert_int_equal(file.size, 44 + RATE * 4);
    assert_memory_equal(file.data, "RIFF", 4);
    assert_memory_equal(file.data + 8, "WAVEfmt ", 8);
    assert_int_equal(file.data[22] * 100 + file.data[34], 216); /* channels, bits */
    assert_int_equal(file.data[24] | file.data[25] << 8, RATE);
    for (int i = 0; i < RATE; i++) {
        int16_t left = (int16_t)(file.data[44 + 4 * i] | file.data[45 + 4 * i] << 8);
        float expected = fminf(1, fmaxf(-1, s.samples[2 * i]));
        assert_true(fabsf(left - 32767 * expected) <= 0.51F);
    }
    TEST_OK(gen_sound_write(&s, GEN_SOUND_FLAC, arena, &file, &err));
    assert_memory_equal(file.data, "fLaC", 4);
    assert_true(file.size < RATE * 4);
    TEST_OK(gen_sound_write(&s, GEN_SOUND_OGG, arena, &file, &err));
    assert_memory_equal(file.data, "OggS", 4);
    gen_sound_make_mono(&s);
    TEST_OK(gen_sound_write(&s, GEN_SOUND_WAV, arena, &file, &err));
    assert_int_equal(file.size, 44 + RATE * 2);
    gen_arena_free(arena);
}
