/* The program with music: gen info, plot, convert and render of a tune of a few notes. It is $GEN_BINARY, else gen in the build
 * folder. */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/image.h"
#include "io/midi.h"
#include "io/npy.h"
#include "tests/cli_shell.h"
#include "tests/test.h"
#include "tests/tunes.h"

static const gen_midi_note tune[] = {
    { 0, 480, 0, 60, 100, 0, 42 }, { 480, 480, 0, 64, 90, 0, 42 }, { 960, 960, 0, 67, 80, 0, 42 },
    { 0, 1920, 1, 48, 127, 1, 0 }, { 1920, 960, 1, 43, 1, 1, 0 },  { 0, 240, 2, 36, 100, GEN_MIDI_DRUMS, 0 },
};
enum { N = sizeof tune / sizeof *tune };

/* A folder with tune.mid. */
static const char *prepare(void)
{
    static char folder[1024];
    const char *names[] = { "melody", "b\xe4sse", "beat" }; /* Latin-1 */
    const gen_midi_plan plan = { .quarters_per_minute = 90, .beats = 3, .of = 4, .names = names, .n_names = 3 };
    char path[1100];
    shell_need_binary();
    snprintf(folder, sizeof folder, "%s", test_folder());
    snprintf(path, sizeof path, "%s/tune.mid", folder);
    test_write_tune(path, tune, N, &plan);
    return folder;
}

static gen_bytes read_made(const char *folder, const char *name, gen_arena *arena)
{
    gen_error err = { 0 };
    gen_bytes file = { 0 };
    TEST_OK(gen_file_read(gen_path_join(arena, folder, name), GEN_FILE_ANY_SIZE, arena, &file, &err));
    return file;
}

TEST(cli_info_says_what_is_in_a_tune)
{
    const char *folder = prepare();
    shell_expect(folder, "info tune.mid", 0, "format 1, 4 tracks, 6 notes, 0:04.000");
    shell_need("tempo 90 quarters a minute, time 3/4, sounds like C major");
    shell_need("melody");
    shell_need("C4 to G4     Cello");
    shell_need("b\xc3\xa4sse");
    shell_need("drums");
    shell_expect(folder, "info tune.mid --json", 0, "\"seconds\":4");
    shell_need("\"key\":\"C major\"");
    gen_error err = { 0 };
    char path[1100];
    snprintf(path, sizeof path, "%s/tune.midi2", folder);
    TEST_OK(gen_file_write(path, "notes", 5, &err));
    shell_expect(folder, "info tune.midi2", 1, "tune.midi2 is none of the files that gen knows");
}

TEST(cli_plot_draws_a_tune_in_the_colours_of_its_tracks)
{
    const char *folder = prepare();
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image;
    int blue = 0, orange = 0, green = 0;
    int code = shell_gen(folder, "plot tune.mid -o roll.png");
    if (code && strstr(shell_out, "cairo")) {
        gen_arena_free(arena);
        TEST_SKIP("no plugin for plots");
    }
    assert_int_equal(code, 0);
    shell_need("roll.png: 6 notes");
    gen_bytes png = read_made(folder, "roll.png", arena);
    TEST_OK(gen_image_read(png.data, png.size, arena, &image, &err));
    for (int i = 0; i < image.width_px * image.height_px; i++) {
        const uint8_t *p = image.px8 + (size_t)i * (size_t)image.channels;
        blue += p[2] > p[0] + 60 && p[2] > p[1] + 30;
        orange += p[0] > p[2] + 100 && p[1] > 110;
        green += p[1] > p[0] + 60 && p[1] > p[2] + 60;
    }
    assert_true(blue > 2000 && orange > 2000 && green > 300);
    gen_arena_free(arena);
}

static void check_same_notes(const char *folder, const char *name)
{
    gen_arena *arena = gen_arena_new();
    gen_midi a, b;
    gen_midi_score x = test_read_tune(gen_path_join(arena, folder, "tune.mid"), arena, &a),
                   y = test_read_tune(gen_path_join(arena, folder, name), arena, &b);
    assert_int_equal(x.n_notes, y.n_notes);
    assert_int_equal(b.n_repairs_made, 0);
    for (size_t i = 0; i < x.n_notes; i++) {
        assert_int_equal(x.notes[i].start_ticks, y.notes[i].start_ticks);
        assert_int_equal(x.notes[i].duration_ticks, y.notes[i].duration_ticks);
        assert_int_equal(x.notes[i].pitch, y.notes[i].pitch);
        assert_int_equal(x.notes[i].velocity, y.notes[i].velocity);
        assert_int_equal(x.notes[i].channel, y.notes[i].channel);
        assert_int_equal(x.notes[i].program, y.notes[i].program);
    }
    assert_float_equal(gen_midi_seconds(&x, x.end_ticks), gen_midi_seconds(&y, y.end_ticks), 1e-6);
    gen_arena_free(arena);
}

TEST(cli_convert_to_json_and_back_keeps_every_note)
{
    const char *folder = prepare();
    assert_int_equal(shell_gen(folder, "convert tune.mid tune.json"), 0);
    assert_int_equal(shell_gen(folder, "convert tune.json again.mid"), 0);
    check_same_notes(folder, "again.mid");
    shell_expect(folder, "info again.mid", 0, "time 3/4");
    shell_need("melody");
}

/* What the tokens can say they keep: the MIDI of them gives the same file again. */
TEST(cli_convert_to_tokens_and_back_keeps_what_tokens_can_say)
{
    static const char *const kinds[] = { "pairs", "performance", "beats", "melody" };
    const char *folder = prepare();
    gen_arena *arena = gen_arena_new();
    for (int k = 0; k < 4; k++) {
        assert_int_equal(shell_gen(folder, gen_arena_printf(arena, "convert tune.mid a.json --tokens %s", kinds[k])),
                         0);
        shell_need(k == 3 ? "1 notes of drums, 1 of other voices" : "1 notes of drums, 0 of other voices");
        assert_int_equal(shell_gen(folder, "convert a.json a.mid"), 0);
        assert_int_equal(shell_gen(folder, gen_arena_printf(arena, "convert a.mid b.json --tokens %s", kinds[k])), 0);
        gen_bytes a = read_made(folder, "a.json", arena), b = read_made(folder, "b.json", arena);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        assert_int_equal(!strstr((char *)a.data, "\"quarters_per_minute\":90,"), k == 1);
    }
    shell_expect(folder, "convert tune.mid a.mid --tokens beats", 2, "--tokens beats is of what is written as .json");
    assert_int_equal(shell_gen(folder, "convert tune.mid a.json --tokens beat"), 2);
    gen_arena_free(arena);
}

/* Music is music, whatever file it is in. */
TEST(cli_looks_at_music_that_is_no_midi)
{
    const char *folder = prepare();
    assert_int_equal(shell_gen(folder, "convert tune.mid notes.json"), 0);
    assert_int_equal(shell_gen(folder, "convert tune.mid tokens.json --tokens beats"), 0);
    shell_expect(folder, "convert tune.mid roll.npy", 0, "roll.npy: 24 steps"); /* six quarters */
    gen_arena *arena = gen_arena_new();
    test_write_tune(gen_path_join(arena, folder, "one.mid"), tune, 1, &(gen_midi_plan){ 0 });
    gen_arena_free(arena);
    shell_expect(folder, "convert one.mid one.json", 0, "one.json: 1 note\n");
    shell_expect(folder, "info notes.json", 0, "music as JSON; as MIDI, format 1, 4 tracks, 6 notes, 0:04.000");
    shell_expect(folder, "info tokens.json --json", 0, "\"notes\":5");
    int code = shell_gen(folder, "plot roll.npy --tempo 90 -o roll.png");
    if (!strstr(shell_out, "cairo")) assert_int_equal(code, 0);
    code = shell_gen(folder, "render roll.npy --tempo 90 --tail 1 -o roll.wav");
    if (!code) shell_need("5.00 s of sound");
    else
        assert_true(strstr(shell_out, "FluidSynth") || strstr(shell_out, "libsndfile") ||
                    strstr(shell_out, "no SoundFont"));
}

TEST(cli_convert_to_a_roll_and_back_keeps_what_a_roll_can_say)
{
    const char *folder = prepare();
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_npy roll;
    shell_expect(folder, "convert tune.mid roll.npy --pitches 88 --steps-per-quarter 2", 0,
                 "left out: 1 notes of drums, 0 of other pitches");
    gen_bytes file = read_made(folder, "roll.npy", arena);
    TEST_OK(gen_npy_read(file.data, file.size, arena, &roll, &err));
    assert_int_equal(roll.dims[0] * 1000 + roll.dims[1], 12088);
    assert_true(roll.values[60 - 21] == 100.0F / 127 && roll.values[2 * 88 + 60 - 21] == 0);
    assert_int_equal(shell_gen(folder, "convert roll.npy roll.mid --tempo 90 --steps-per-quarter 2"), 0);
    shell_expect(folder, "info roll.mid", 0, "5 notes, 0:04.000");
    gen_arena_free(arena);
}

TEST(cli_convert_refuses_what_it_cannot)
{
    const char *folder = prepare();
    shell_expect(folder, "convert tune.mid tune.png", 2, "no way from .mid to .png; gen converts music");
    assert_int_equal(shell_gen(folder, "convert tune.mid"), 2);
    assert_int_equal(shell_gen(folder, "convert none.mid a.json"), 1);
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    static const char bad[] = "{\"notes\":[{\"start\":0,\"duration\":1,\"pitch\":200}]}";
    TEST_OK(gen_file_write(gen_path_join(arena, folder, "bad.json"), bad, sizeof bad - 1, &err));
    shell_expect(folder, "convert bad.json bad.mid", 1, "pitch is 200; 0 to 127 were expected");
    static const char slow[] = "{\"notes\":[],\"tempos\":[{\"quarters_per_minute\":-5}]}";
    TEST_OK(gen_file_write(gen_path_join(arena, folder, "slow.json"), slow, sizeof slow - 1, &err));
    shell_expect(folder, "convert slow.json bad.mid", 1, "slow.json: JSON: a tempo of -5 quarters a minute");
    float three[3] = { 0 };
    gen_bytes npy;
    TEST_OK(gen_npy_write(three, (int64_t[]){ 1, 3 }, 2, arena, &npy, &err));
    TEST_OK(gen_file_write(gen_path_join(arena, folder, "bad.npy"), npy.data, npy.size, &err));
    shell_expect(folder, "convert bad.npy bad.mid", 1, "[T,128] or [T,88]");
    gen_arena_free(arena);
}

/* Little endian, as WAV has it. */
static uint32_t u32_at(const gen_bytes *file, size_t at)
{
    return file->data[at] | (uint32_t)file->data[at + 1] << 8 | (uint32_t)file->data[at + 2] << 16 |
           (uint32_t)file->data[at + 3] << 24;
}

TEST(cli_render_writes_sound_and_says_how_loud_it_is)
{
    const char *folder = prepare();
    gen_arena *arena = gen_arena_new();
    int code = shell_gen(folder, "render tune.mid -o tune.wav --tail 1 --rate 22050 --mono --gain 10");
    if (code &&
        (strstr(shell_out, "FluidSynth") || strstr(shell_out, "libsndfile") || strstr(shell_out, "no SoundFont"))) {
        gen_arena_free(arena);
        TEST_SKIP("no plugins for sound, or no SoundFont");
    }
    assert_int_equal(code, 0);
    shell_need("5.00 s of sound");
    shell_need("samples were clipped; --gain");
    gen_bytes wav = read_made(folder, "tune.wav", arena);
    assert_int_equal(wav.size, 44 + 5 * 22050 * 2);
    assert_int_equal(u32_at(&wav, 24), 22050);
    shell_expect(folder, "render tune.mid -o tune.flac --json", 0, "\"clipped\":0");
    shell_expect(folder, "render tune.mid --gain 0", 1, "the result is silent: the gain is 0");
    assert_int_equal(access(gen_path_join(arena, folder, "tune.mid.wav"), F_OK), -1);
    shell_expect(folder, "render tune.mid -o tune.mp3", 2, ".wav, .flac or .ogg");
    shell_expect(folder, "render tune.mid --soundfont none.sf2", 1, "there is no SoundFont none.sf2");
    gen_arena_free(arena);
}

/* ---- models of frames ------------------------------------------------------------------------------------------------------- */

/* A training of seconds on the chorales, then numbers and music out of it. */
TEST(cli_a_model_of_frames_is_trained_evaluated_and_sampled)
{
    const char *folder = prepare();
    gen_arena *arena = gen_arena_new();
    shell_expect(folder, "train poly --hidden 8 --window 40 --steps 3 --batch 8 --out run --threads 1 --quiet", 0,
                 "10449 test frames"); /* 10496, less the first of 47 pieces */
    shell_expect(folder, "eval run --baseline bernoulli", 0, "10449 test frames of chorales");
    shell_need("bernoulli        10.8");
    assert_int_equal(shell_gen(folder, "eval run --baseline kneser-ney"), 2);
    assert_int_equal(shell_gen(folder, "sample run -o new.mid --n 32 --seed 3"), 0);
    gen_midi midi;
    test_read_tune(gen_path_join(arena, folder, "new.mid"), arena, &midi);
    shell_expect(folder, "sample run -o new.npy --n 32 --prime tune.mid --temperature 0", 0, "new.npy: 56 frames");
    gen_npy npy;
    gen_error err = { 0 };
    gen_bytes file = read_made(folder, "new.npy", arena);
    TEST_OK(gen_npy_read(file.data, file.size, arena, &npy, &err));
    assert_int_equal(npy.dims[0], 24 + 32); /* six quarters of the tune, then the new frames */
    assert_int_equal(npy.dims[1], 88);
    shell_expect(folder, "sample run -o new.jpg", 2, ".npy");
    shell_expect(folder, "info chorales", 0, "359 pieces of music");
    shell_expect(folder, "info poly-tcn", 0, "trainable parameters 882538");
    assert_int_equal(shell_gen(folder, "interpolate run"), 1);
    gen_arena_free(arena);
}

/* ---- bars of voices ----------------------------------------------------------------------------------------------------------- */

TEST(cli_a_model_of_bars_is_trained_measured_and_sampled)
{
    const char *folder = prepare();
    gen_arena *arena = gen_arena_new();
    shell_expect(folder,
                 "train musegan --width 8 --latent 2 --bars 3 --n-critic 2 --batch 16 --steps 3 --out run "
                 "--threads 1",
                 0, "training pieces)");
    gen_error err = { 0 };
    gen_image image;
    gen_bytes file = read_made(folder, "run/samples.png", arena);
    TEST_OK(gen_image_read(file.data, file.size, arena, &image, &err));
    assert_int_equal(image.channels, 3);
    shell_expect(folder, "eval run --n 20", 0, "training pieces of chorales");
    assert_non_null(strstr(shell_out, "training_tonal_distance"));
    assert_int_equal(shell_gen(folder, "sample run -o new.mid --n 5"), 0);
    gen_midi midi;
    gen_midi_score score = test_read_tune(gen_path_join(arena, folder, "new.mid"), arena, &midi);
    assert_true(score.n_notes >= 5 * 3 * 4 * 4); /* a note in each beat of each voice at least: it is never silent */
    assert_int_equal(midi.n_tracks, 5);
    assert_int_equal(shell_gen(folder, "sample run -o new.png --n 4"), 0);
    file = read_made(folder, "new.png", arena);
    TEST_OK(gen_image_read(file.data, file.size, arena, &image, &err));
    assert_int_equal(image.height_px, 98); /* 48 pitches, two pixels each, between lines */
    assert_int_equal(shell_gen(folder, "sample run -o new.wav"), 2);
    assert_int_not_equal(shell_gen(folder, "interpolate run -o way.png"), 0);
    assert_non_null(strstr(shell_out, "makes music"));
    assert_int_not_equal(shell_gen(folder, "eval run --baseline bernoulli"), 0);
    assert_non_null(strstr(shell_out, "from noise"));
    shell_expect(folder, "train musegan --width 12 --out bad", 2, "multiple of 8");
    assert_int_equal(shell_gen(folder, "info musegan --json"), 0);
    gen_arena_free(arena);
}
