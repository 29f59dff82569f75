/* models/poly.c, models/data_frames.c, models/windows.c: frames of music. */
#define _POSIX_C_SOURCE 200809L
#include "tests/model_run.h"
#include "tests/tunes.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "io/mat.h"
#include "kernels/devices.h"
#include "models/data_frames.h"
#include "models/windows.h"

enum { KEYS = GEN_FRAME_KEYS, COLUMNS = GEN_FRAME_COLUMNS };

/* ---- data ---------------------------------------------------------------------------------------------------------------- */

/* The windows of the chorales hold every frame of every piece, in order; each but a piece's first is foretold once. */
TEST(frames_windows_hold_whole_pieces)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_frame_pieces list;
    gen_dataset data;
    enum { WINDOW = 33 };
    const char *path = test_source("samples/data/chorales");
    TEST_OK(gen_frame_pieces_open(path, 4, false, arena, &list, &err));
    TEST_OK(gen_data_open_frames(path, WINDOW, 4, false, arena, &data, &err));
    assert_string_equal(data.name, "chorales");
    assert_int_equal(data.height_px * 1000 + data.width_px, (WINDOW + 1) * 1000 + COLUMNS);
    assert_int_equal(
        data.splits[GEN_SPLIT_TRAIN].n + data.splits[GEN_SPLIT_TEST].n + data.splits[GEN_SPLIT_VALIDATION].n, data.n);
    int64_t w = 0;
    for (int64_t i = 0; i < list.n; i++) {
        const gen_frames *p = &list.piece[i];
        gen_range split = data.splits[p->split];
        for (int64_t t = 0; t + 1 < p->n; t += WINDOW, w++) {
            const uint8_t *px = data.px8 + w * (WINDOW + 1) * COLUMNS;
            assert_true(w >= split.first && w < split.first + split.n);
            assert_int_equal(data.continues[w], t > 0);
            for (int64_t k = 0; k <= WINDOW; k++, px += COLUMNS) {
                bool there = t + k < p->n;
                assert_int_equal(px[KEYS], there ? 255 : 0);
                for (int key = 0; key < KEYS; key++)
                    assert_int_equal(px[key], there && p->keys[(t + k) * KEYS + key] ? 255 : 0);
            }
        }
    }
    assert_int_equal(w, data.n);
    gen_arena_free(arena);
}

TEST(frames_of_no_music_are_refused_with_a_sentence)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    const char *folder = test_folder();
    assert_int_equal(gen_data_open_frames(folder, 8, 4, false, arena, &data, &err), GEN_NOT_FOUND);
    assert_non_null(strstr(err.text, "no MIDI file"));
    err = (gen_error){ 0 };
    assert_int_equal(gen_data_open_frames(test_source("README.md"), 8, 4, false, arena, &data, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, ".mat file of piano rolls"));
    err = (gen_error){ 0 };
    const char *bad = gen_path_join(arena, folder, "x.mat");
    TEST_OK(gen_file_write(bad, "nothing", 7, &err));
    assert_int_equal(gen_data_open_frames(bad, 8, 4, false, arena, &data, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "x.mat"));
    gen_arena_free(arena);
}

/* Of a folder without splits, files are dealt by name; what is no music stops, or is skipped with its reason. */
TEST(frames_of_a_plain_folder_are_dealt_to_splits)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    const char *folder = gen_arena_strdup(arena, test_folder());
    gen_midi_note note = { 0, 480, 0, 60, 80, 0, 0 };
    gen_frame_pieces list;
    for (int i = 0; i < 11; i++) {
        char *path = gen_arena_printf(arena, "%s/%02d.mid", folder, i);
        if (i == 3) TEST_OK(gen_file_write(path, "no music", 8, &err));
        else test_write_tune(path, &note, 1, &(gen_midi_plan){ 0 });
    }
    gen_status status = gen_frame_pieces_open(folder, 4, false, arena, &list, &err);
    assert_true(status == GEN_BAD_FILE || status == GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "03.mid"));
    err = (gen_error){ 0 };
    TEST_OK(gen_frame_pieces_open(folder, 4, true, arena, &list, &err));
    assert_int_equal(list.n, 10);
    assert_int_equal(list.skipped.n, 1);
    assert_non_null(strstr(list.skipped.text[0], "03.mid"));
    assert_int_equal(list.piece[8].split, GEN_SPLIT_TEST); /* training, test, validation */
    assert_int_equal(list.piece[9].split, GEN_SPLIT_VALIDATION);
    assert_non_null(strstr(list.piece[8].name, "08.mid"));
    assert_int_equal(list.piece[0].n, 4);
    gen_arena_free(arena);
}

/* Keys that are on by chance, by hand: two training frames with one key on in one of them, p = 2/4, 86 keys with 1/4 and one with 3/4. */
TEST(frames_bernoulli_is_what_can_be_counted_by_hand)
{
    uint8_t train[2 * KEYS] = { 1, 1 }, test[2 * KEYS] = { 0 };
    train[KEYS + 1] = 1;
    test[KEYS] = 1;
    gen_frames pieces[] = { { "a", GEN_SPLIT_TRAIN, 2, train }, { "b", GEN_SPLIT_TEST, 2, test } };
    gen_frame_pieces list = { .piece = pieces, .n = 2, .room = 2 };
    test_near(gen_frames_bernoulli(&list, GEN_SPLIT_TEST), -(log(0.5) + log(0.25) + 86 * log(0.75)), 1e-9);
    assert_true(isnan(gen_frames_bernoulli(&list, GEN_SPLIT_VALIDATION)));
}

/* Computed independently for the four sets of Boulanger-Lewandowski et al. 2012, test split, to two decimals. */
TEST(frames_bernoulli_of_the_polyphonic_sets_is_as_known)
{
    static const struct {
        const char *file;
        double nats;
    } sets[] = { { "JSB_Chorales", 11.09 }, { "Nottingham", 10.26 }, { "MuseData", 11.51 }, { "Piano_midi", 11.05 } };
    for (int i = 0; i < 4; i++) {
        gen_error err = { 0 };
        char relative[100];
        snprintf(relative, sizeof relative, "data/midi/poly_music_boulanger_lewandowski/%s.mat", sets[i].file);
        const char *path = test_shared(relative);
        if (!path) TEST_SKIP("the polyphonic sets are not in ../shared");
        gen_arena *arena = gen_arena_new();
        gen_frame_pieces list;
        TEST_OK(gen_frame_pieces_open(path, 4, false, arena, &list, &err));
        test_near(gen_frames_bernoulli(&list, GEN_SPLIT_TEST), sets[i].nats, 0.005);
        gen_arena_free(arena);
    }
}

/* ---- the model -------------------------------------------------------------------------------------------------------------- */

/* Windows of a few pieces of chance, as a data set in memory. */
static gen_dataset pieces_of_chance(gen_arena *arena, int64_t window)
{
    static const int64_t length[] = { 5, 40, 17, 1, 30 };
    gen_dataset data = { .name = "chance", .height_px = (int32_t)window + 1, .width_px = COLUMNS, .channels = 1 };
    uint8_t *px = gen_arena_alloc(arena, (size_t)(100 * (window + 1) * COLUMNS)),
            *goes_on = gen_arena_alloc(arena, 100);
    memset(px, 0, (size_t)(100 * (window + 1) * COLUMNS));
    for (uint32_t p = 0; p < sizeof length / sizeof *length; p++)
        for (int64_t t = 0; t + 1 < length[p]; t += window) {
            uint8_t *to = px + data.n * (window + 1) * COLUMNS;
            goes_on[data.n++] = t > 0;
            for (int64_t k = 0; k <= window && t + k < length[p]; k++, to += COLUMNS) {
                for (uint32_t key = 0; key < KEYS; key++)
                    to[key] = gen_philox_block(p, (uint32_t)(t + k), key, 0, 0).word[0] % 8 == 0 ? 255 : 0;
                to[KEYS] = 255;
            }
        }
    data.px8 = px;
    data.continues = goes_on;
    data.splits[GEN_SPLIT_TEST].n = data.n;
    return data;
}

static double loss_of_chance(const char *options, int64_t window, int64_t *count)
{
    gen_error err = { 0 };
    gen_device *device;
    gen_run *run;
    gen_program *eval;
    gen_eval_result r;
    gen_arena *arena = gen_arena_new();
    TEST_OK(gen_device_open("cpu64", 2, &device, &err));
    TEST_OK(gen_run_in_memory(gen_model_find("poly"), device, &run, &err));
    char text[16], *words = gen_arena_strdup(arena, options), *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        *value++ = 0;
        TEST_OK(gen_settings_set(&run->settings, word, value, &err));
    }
    snprintf(text, sizeof text, "%d", (int)window);
    TEST_OK(gen_settings_set(&run->settings, "window", text, &err));
    gen_dataset data = pieces_of_chance(arena, window);
    run->height = window + 1, run->width = COLUMNS, run->channels = 1;
    TEST_OK(gen_run_program(run, run->settings.model->eval, "be evaluated", GEN_EVAL_BATCH, &eval, &err));
    TEST_OK(gen_evaluate(run, eval, &data, data.splits[GEN_SPLIT_TEST], &r, &err));
    assert_string_equal(r.name[0], "loss");
    *count = r.count;
    gen_program_free(eval);
    gen_run_close(run);
    device->ops->close(device);
    gen_arena_free(arena);
    return r.mean[0];
}

/* States carried from window to window: pieces give the same number whole and in windows of 7 or 1. */
TEST(poly_evaluates_the_same_in_windows_of_any_length)
{
    static const char *const nets[] = { "net=lstm hidden=6 layers=2", "net=gru hidden=6 layers=2",
                                        "net=tcn hidden=5 layers=3 kernel=3" };
    for (int i = 0; i < 3; i++) {
        int64_t frames, again;
        double whole = loss_of_chance(nets[i], 64, &frames), seven = loss_of_chance(nets[i], 7, &again);
        assert_int_equal(frames, 4 + 39 + 16 + 29);
        assert_int_equal(again, frames);
        test_near(seven, whole, 1e-6 * whole);
        test_near(loss_of_chance(nets[i], 1, &again), whole, 1e-6 * whole);
        assert_true(whole > 50 && whole < 70); /* 88 ln 2 = 61.0 of a network that knows nothing */
    }
}

/* Bai et al. 2018 give no counts; these are by hand. LSTM: 4 H (88 + H + 2) + 88 (H + 1); GRU 3 H (..); TCN: each convolution C H k + 2 H, and 88 H + H
 * around the first block. */
TEST(poly_has_the_parameters_of_its_layers)
{
    static const struct {
        const char *preset;
        int64_t n;
    } counts[] = { { "poly-lstm", 4 * 200 * 290 + 88 * 201 },
                   { "poly-gru", 3 * 200 * 290 + 88 * 201 },
                   { "poly-tcn", 88 * 150 * 5 + 7 * 150 * 150 * 5 + 8 * 300 + 88 * 150 + 150 + 88 * 151 } };
    for (int i = 0; i < 3; i++) {
        test_model t;
        test_model_open(&t, "poly", counts[i].preset, "window=9 batch=2", 2, 10, COLUMNS, 1);
        gen_program_free(test_model_program(&t, t.model->train));
        assert_int_equal(test_model_count(&t, ""), counts[i].n);
        test_model_close(&t);
    }
}

TEST(poly_learns)
{
    static const char *const nets[] = { "net=lstm hidden=16 window=11", "net=gru hidden=16 layers=2 window=11",
                                        "net=tcn hidden=8 layers=2 window=11" };
    for (int i = 0; i < 3; i++) {
        test_model t;
        test_model_open(&t, "poly", NULL, nets[i], 4, 12, COLUMNS, 1);
        test_model_learns(&t, 30);
        test_model_close(&t);
    }
}

TEST(poly_goes_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("poly", "hidden=8 layers=2 window=24 batch=8 steps=6 checkpoint-every=3");
}
