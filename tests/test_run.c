/* A training and its folder, through the library: what is saved, what comes back, and what happens when things go wrong. Pictures of 8 x 8 pixels and
 * small networks: every training here takes milliseconds. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "models/journal.h"
#include "models/train.h"
#include "tests/test.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE, N_PICTURES = 80 };

#define MLP                                                                                                            \
    "net=mlp hidden=16 latent=3 batch=8 lr=0.01 validation=16 checkpoint-every=10 log-every=5 sample-every=1000 "      \
    "steps=40 "
#define CONV                                                                                                           \
    "net=conv width=4 hidden=8 latent=3 batch=8 batch-norm=1 dropout=0.2 lr=0.01 validation=16 checkpoint-every=10 "   \
    "sample-every=1000 steps=40 "

/* ---- a training in the test's hands ------------------------------------------------------------------------------------- */

typedef struct training {
    gen_arena *arena;
    gen_settings settings;
    gen_dataset data;
    gen_device *device;
    gen_run *run;
    gen_journal *journal;
    volatile sig_atomic_t stop;
    int64_t stop_at; /* asks for a stop when this step has been done; 0: never */
    int64_t n_steps; /* that were reported */
    char notes[2000];
} training;

/* Bars and corners that differ from picture to picture. */
static void draw_picture(int64_t i, uint8_t *pixels)
{
    for (int64_t p = 0; p < PIXELS; p++) {
        int64_t x = p % SIDE, y = p / SIDE;
        bool bar = i % 2 ? x == i / 2 % SIDE : y == i / 2 % SIDE;
        pixels[p] = (uint8_t)(bar ? 200 + i % 50 : x * y % 40);
    }
}

/* An IDX file of N_PICTURES. */
static const char *data_file(void)
{
    static char path[1100];
    gen_error err = { 0 };
    uint8_t bytes[16 + N_PICTURES * PIXELS] = { 0, 0, 8, 3, 0, 0, 0, N_PICTURES, 0, 0, 0, SIDE, 0, 0, 0, SIDE };
    if (*path) return path;
    snprintf(path, sizeof path, "%s/bars.idx3-ubyte", test_folder());
    for (int64_t i = 0; i < N_PICTURES; i++) draw_picture(i, bytes + 16 + i * PIXELS);
    TEST_OK(gen_file_write(path, bytes, sizeof bytes, &err));
    return path;
}

static void emit(void *context, const gen_event *e)
{
    training *t = context;
    if (e->kind == GEN_EVENT_STEP) {
        t->n_steps++;
        if (t->stop_at && e->step >= t->stop_at) t->stop = 1;
    }
    if (e->kind == GEN_EVENT_TEXT) {
        size_t used = strlen(t->notes);
        snprintf(t->notes + used, sizeof t->notes - used, "%s\n", e->text);
    }
}

/* "latent=2 net=mlp" */
static void set_options(training *t, const char *text)
{
    gen_error err = { 0 };
    char *rest = NULL;
    for (char *word = strtok_r(gen_arena_strdup(t->arena, text), " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        *value++ = 0;
        TEST_OK(gen_settings_set(&t->settings, word, value, &err));
    }
}

static gen_status start_training_of(training *t, const char *model, const char *folder, const char *options,
                                    gen_error *err)
{
    *t = (training){ .arena = gen_arena_new() };
    GEN_TRY(gen_settings_start(&t->settings, gen_model_find(model), t->arena, err));
    GEN_TRY(gen_settings_set(&t->settings, "data", data_file(), err));
    GEN_TRY(gen_settings_set(&t->settings, "out", folder, err));
    set_options(t, options);
    GEN_TRY(gen_device_open("cpu", (int32_t)t->settings.train.threads, &t->device, err));
    GEN_TRY(gen_data_open(&t->settings, NULL, t->arena, &t->data, err));
    return gen_run_create(&t->settings, &t->data, t->device, &t->run, err);
}

static gen_status start_training(training *t, const char *folder, const char *options, gen_error *err)
{
    return start_training_of(t, "vae", folder, options, err);
}

static gen_status reopen(training *t, const char *folder, gen_error *err)
{
    *t = (training){ .arena = gen_arena_new() };
    GEN_TRY(gen_device_open("cpu", 1, &t->device, err));
    GEN_TRY(gen_run_open(folder, t->device, GEN_RUN_WRITE, &t->run, err));
    GEN_TRY(gen_data_open(&t->run->settings, NULL, t->arena, &t->data, err));
    return gen_checkpoint_resume(t->run, err);
}

static gen_status train(training *t, gen_error *err)
{
    gen_sink own = { emit, t };
    GEN_TRY(gen_journal_open(t->run, &own, &t->journal, err));
    gen_train_hooks hooks = { .sink = gen_journal_sink(t->journal), .stop = &t->stop };
    gen_status status = gen_train(t->run, &t->data, &hooks, err);
    return status == GEN_OK ? gen_journal_error(t->journal, err) : status;
}

static void end_training(training *t)
{
    gen_journal_close(t->journal);
    gen_run_close(t->run);
    if (t->device) t->device->ops->close(t->device);
    gen_arena_free(t->arena);
}

/* A new run, trained to its end. */
static void train_new_of(const char *model, const char *folder, const char *options)
{
    gen_error err = { 0 };
    training t;
    TEST_OK(start_training_of(&t, model, folder, options, &err));
    TEST_OK(train(&t, &err));
    end_training(&t);
}

static void train_new(const char *folder, const char *options)
{
    train_new_of("vae", folder, options);
}

/* A new run, stopped after a step. */
static void train_until(const char *folder, const char *options, int64_t step)
{
    gen_error err = { 0 };
    training t;
    TEST_OK(start_training(&t, folder, options, &err));
    t.stop_at = step;
    assert_int_equal(train(&t, &err), GEN_STOPPED);
    assert_int_equal(t.run->progress.step, step);
    assert_non_null(strstr(err.text, folder));
    end_training(&t);
}

static void resume(const char *folder)
{
    gen_error err = { 0 };
    training t;
    TEST_OK(reopen(&t, folder, &err));
    TEST_OK(train(&t, &err));
    end_training(&t);
}

/* ---- files --------------------------------------------------------------------------------------------------------------- */

static gen_bytes read_file(gen_arena *arena, const char *folder, const char *name)
{
    gen_error err = { 0 };
    gen_bytes bytes;
    TEST_OK(gen_file_read(gen_path_join(arena, folder, name), GEN_FILE_ANY_SIZE, arena, &bytes, &err));
    return bytes;
}

static void write_file(gen_arena *arena, const char *folder, const char *name, gen_bytes bytes)
{
    gen_error err = { 0 };
    TEST_OK(gen_file_write(gen_path_join(arena, folder, name), bytes.data, bytes.size, &err));
}

static bool exists(const char *folder, const char *name)
{
    char path[2200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return gen_path_exists(path);
}

static void expect_same_file(const char *a, const char *name_a, const char *b, const char *name_b)
{
    gen_arena *arena = gen_arena_new();
    gen_bytes x = read_file(arena, a, name_a), y = read_file(arena, b, name_b);
    if (x.size != y.size || memcmp(x.data, y.data, x.size)) fail_msg("%s/%s differs from %s/%s", a, name_a, b, name_b);
    gen_arena_free(arena);
}

static void expect_same_checkpoint(const char *a, const char *b, const char *step)
{
    char name[128];
    snprintf(name, sizeof name, "checkpoints/step-%s.safetensors", step);
    expect_same_file(a, name, b, name);
    snprintf(name, sizeof name, "checkpoints/step-%s.state.safetensors", step);
    expect_same_file(a, name, b, name);
}

/* One sentence for people: no newline, more than a word. */
static void expect_sentence(const gen_error *err)
{
    assert_true(strlen(err->text) > 20);
    assert_null(strchr(err->text, '\n'));
}

/* ---- settings ------------------------------------------------------------------------------------------------------------- */

TEST(run_config_comes_back_as_it_was)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    training t, back;
    TEST_OK(start_training(
        &t, folder,
        MLP "seed=123456789012 beta=0.1 ema=0.999 sigma=0.333333333333333333 on-nan=skip schedule=linear keep=7",
        &err));
    gen_run_close(t.run);
    t.run = NULL;
    TEST_OK(reopen(&back, folder, &err));
    assert_ptr_equal(back.run->settings.model, t.settings.model);
    assert_string_equal(back.run->data_name, t.data.name);
    assert_true(back.run->height == SIDE && back.run->width == SIDE && back.run->channels == 1);
    const gen_option *tables[] = { t.settings.model->options, gen_train_option_rows };
    const void *before[] = { t.settings.options, &t.settings.train };
    const void *after[] = { back.run->settings.options, &back.run->settings.train };
    for (int i = 0; i < 2; i++)
        for (const gen_option *row = tables[i]; row->name; row++) {
            char a[64], b[64];
            assert_string_equal(gen_option_get(row, before[i], a, sizeof a),
                                gen_option_get(row, after[i], b, sizeof b));
        }
    end_training(&t);
    end_training(&back);
}

/* An option of a later version is no reason to refuse a run; a model that is not there is. */
TEST(run_config_of_other_versions_is_read_or_refused_by_name)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    training t;
    gen_arena *arena = gen_arena_new();
    TEST_OK(start_training(&t, folder, MLP, &err));
    end_training(&t);
    gen_bytes config = read_file(arena, folder, "config.json");
    char *beta = strstr((char *)config.data, "\"beta\"");
    assert_non_null(beta);
    memcpy(beta, "\"atoz\"", 6);
    write_file(arena, folder, "config.json", config);
    TEST_OK(reopen(&t, folder, &err));
    end_training(&t);
    char *model = strstr((char *)config.data, "\"vae\"");
    assert_non_null(model);
    memcpy(model, "\"vax\"", 5);
    write_file(arena, folder, "config.json", config);
    assert_int_equal(reopen(&t, folder, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "vax"));
    expect_sentence(&err);
    end_training(&t);
    gen_arena_free(arena);
}

TEST(run_folder_that_is_none_is_named)
{
    gen_error err = { 0 };
    gen_run *run;
    gen_device *device;
    TEST_OK(gen_device_open("cpu", 1, &device, &err));
    assert_int_equal(gen_run_open("/nowhere/at/all", device, GEN_RUN_READ, &run, &err), GEN_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    err = (gen_error){ 0 };
    assert_int_equal(gen_run_open(test_folder(), device, GEN_RUN_READ, &run, &err), GEN_NOT_FOUND);
    assert_non_null(strstr(err.text, "config.json"));
    expect_sentence(&err);
    device->ops->close(device);
}

/* ---- the same bits --------------------------------------------------------------------------------------------------------- */

static void check_resume(const char *options, const int64_t *stops, int n_stops)
{
    const char *whole = test_folder(), *parts = test_folder();
    train_new(whole, options);
    train_until(parts, options, stops[0]);
    for (int i = 1; i < n_stops; i++) {
        gen_error err = { 0 };
        training t;
        TEST_OK(reopen(&t, parts, &err));
        assert_int_equal(t.run->progress.step, stops[i - 1]);
        t.stop_at = stops[i];
        assert_int_equal(train(&t, &err), GEN_STOPPED);
        assert_int_equal(t.n_steps, stops[i] - stops[i - 1]);
        end_training(&t);
    }
    resume(parts);
    expect_same_checkpoint(whole, parts, "00000040");
}

TEST(run_resumed_anywhere_ends_in_the_same_bytes)
{
    check_resume(MLP "ema=0.9 schedule=cosine", (int64_t[]){ 17 }, 1);
    check_resume(MLP "kl-warmup=30 binarise=dynamic optimiser=rmsprop", (int64_t[]){ 1, 10, 39 }, 3);
    check_resume(CONV, (int64_t[]){ 13, 14 }, 2);
    check_resume(MLP "accumulate=3 clip-norm=1 ema=0.9", (int64_t[]){ 7, 20 }, 2);
}

/* The mean gradient of two batches of 8 is that of one of 16: all but the order of sums is the same. */
TEST(run_that_gathers_gradients_is_one_of_a_larger_batch)
{
    static const char *const options[] = {
        "net=mlp hidden=16 latent=3 batch=16 lr=0.01 validation=16 steps=20",
        "net=mlp hidden=16 latent=3 batch=8 accumulate=2 lr=0.01 validation=16 steps=20"
    };
    const char *folder[2], *name = "checkpoints/step-00000020.safetensors";
    gen_arena *arena = gen_arena_new();
    gen_error err = { 0 };
    gen_safetensors st[2];
    for (int i = 0; i < 2; i++) {
        folder[i] = test_folder();
        train_new_of("ae", folder[i], options[i]);
        gen_bytes bytes = read_file(arena, folder[i], name);
        TEST_OK(gen_safetensors_read(bytes.data, bytes.size, arena, &st[i], &err));
    }
    for (size_t i = 0; i < st[0].n_tensors; i++) {
        const gen_tensor_entry *a = &st[0].tensors[i], *b = gen_safetensors_find(&st[1], a->name);
        assert_non_null(b);
        if (!strncmp(a->name, "code.", 5)) continue; /* statistics of batches: of 16, and of 8 */
        for (size_t j = 0; j < a->n; j++) {
            float x, y;
            memcpy(&x, (const char *)a->data + j * sizeof x, sizeof x);
            memcpy(&y, (const char *)b->data + j * sizeof y, sizeof y);
            if (fabsf(x - y) > 1e-4F) fail_msg("%s[%zu]: %g and %g", a->name, j, (double)x, (double)y);
        }
    }
    gen_arena_free(arena);
}

TEST(run_with_one_two_or_three_threads_gives_the_same_bytes)
{
    static const char *const options[] = { MLP, CONV };
    static const char *const threads[] = { "threads=1", "threads=2", "threads=3" };
    for (int o = 0; o < 2; o++) {
        char first[1024];
        for (int i = 0; i < 3; i++) {
            char all[400];
            const char *folder = test_folder();
            snprintf(all, sizeof all, "%s%s", options[o], threads[i]);
            train_new(folder, all);
            if (i) expect_same_checkpoint(first, folder, "00000040");
            else snprintf(first, sizeof first, "%s", folder);
        }
    }
}

TEST(run_of_another_seed_gives_other_numbers)
{
    gen_arena *arena = gen_arena_new();
    const char *a = test_folder(), *b = test_folder(), *name = "checkpoints/step-00000040.safetensors";
    train_new(a, MLP "seed=1");
    train_new(b, MLP "seed=2");
    gen_bytes x = read_file(arena, a, name), y = read_file(arena, b, name);
    assert_true(x.size == y.size && memcmp(x.data, y.data, x.size));
    gen_arena_free(arena);
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------------------ */

TEST(run_keeps_the_newest_checkpoints_and_the_best)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    char *path;
    train_new(folder, MLP "keep=2");
    training t;
    TEST_OK(reopen(&t, folder, &err));
    int64_t best = t.run->progress.best_step;
    for (int64_t step = 10; step <= 40; step += 10) {
        char weights[64], state[64];
        snprintf(weights, sizeof weights, "checkpoints/step-%08" PRId64 ".safetensors", step);
        snprintf(state, sizeof state, "checkpoints/step-%08" PRId64 ".state.safetensors", step);
        assert_int_equal(exists(folder, weights), step > 20 || step == best);
        assert_int_equal(exists(folder, state), step > 20 || step == best);
        if (step == best) expect_same_file(folder, "checkpoints/best", folder, weights);
        if (step == 40) expect_same_file(folder, "checkpoints/latest", folder, weights);
    }
    assert_int_equal(gen_checkpoint_find(t.run, "7", &path, &err), GEN_NOT_FOUND);
    err = (gen_error){ 0 };
    assert_int_equal(gen_checkpoint_find(t.run, "newest", &path, &err), GEN_BAD_OPTION);
    end_training(&t);
}

/* Validation that gets worse after the first look: the best stays, though keep would drop it. */
TEST(run_keeps_the_best_when_it_is_old)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    train_new(folder, MLP "keep=1 lr=0.000000001 min-delta=1000");
    training t;
    TEST_OK(reopen(&t, folder, &err));
    assert_int_equal(t.run->progress.best_step, 10);
    assert_true(exists(folder, "checkpoints/step-00000010.safetensors"));
    assert_true(exists(folder, "checkpoints/step-00000010.state.safetensors"));
    assert_false(exists(folder, "checkpoints/step-00000030.safetensors"));
    assert_true(exists(folder, "checkpoints/step-00000040.safetensors"));
    end_training(&t);
}

/* Opens a run with its eval program made, so that parameters are known. */
static void open_with_params(training *t, const char *folder)
{
    gen_error err = { 0 };
    gen_program *program = NULL;
    TEST_OK(reopen(t, folder, &err));
    TEST_OK(gen_run_program(t->run, t->run->settings.model->train, "train", 8, &program, &err));
    gen_program_free(program);
}

/* Damage is noticed with a sentence that names the file, or it makes no difference that anybody could notice; and the older checkpoint still loads. */
static void expect_load(training *t, const char *file, bool must_fail)
{
    gen_error err = { 0 };
    gen_status status = gen_checkpoint_load(t->run, "latest", GEN_CHECKPOINT_ALL, &err);
    if (must_fail) assert_int_not_equal(status, GEN_OK);
    if (status == GEN_OK) return;
    expect_sentence(&err);
    if (!strstr(err.text, file)) fail_msg("\"%s\" does not name %s", err.text, file);
    err = (gen_error){ 0 };
    TEST_OK(gen_checkpoint_load(t->run, "30", GEN_CHECKPOINT_ALL, &err));
    assert_int_equal(t->run->progress.step, 30);
}

static void damage(training *t, const char *folder, const char *name)
{
    gen_arena *arena = gen_arena_new();
    gen_bytes good = read_file(arena, folder, name), bad = { gen_arena_alloc(arena, good.size), good.size };
    uint64_t header = 0;
    for (int i = 0; i < 8; i++) header |= (uint64_t)good.data[i] << 8 * i;
    for (size_t size = 0; size < good.size; size += 1 + size / 10) { /* truncations, dense at the start */
        write_file(arena, folder, name, (gen_bytes){ good.data, size });
        expect_load(t, gen_path_base(name), true);
    }
    write_file(arena, folder, name, (gen_bytes){ good.data, good.size - 1 });
    expect_load(t, gen_path_base(name), true);
    for (uint64_t i = 0; i < 300; i++) { /* a flipped bit, mostly in the header */
        size_t at = gen_random_below(1, 2, i, (uint32_t)(i % 10 ? header + 8 : good.size));
        memcpy(bad.data, good.data, good.size);
        bad.data[at] ^= (uint8_t)(1u << i % 8);
        write_file(arena, folder, name, bad);
        expect_load(t, gen_path_base(name), false);
    }
    memcpy(bad.data, good.data, good.size); /* a header as large as can be written */
    memset(bad.data, 0xff, 7);
    write_file(arena, folder, name, bad);
    expect_load(t, gen_path_base(name), true);
    write_file(arena, folder, name, good);
    gen_error err = { 0 };
    TEST_OK(gen_checkpoint_load(t->run, "latest", GEN_CHECKPOINT_ALL, &err));
    gen_arena_free(arena);
}

TEST(run_damaged_checkpoint_is_one_sentence_and_loses_nothing)
{
    training t;
    const char *folder = test_folder();
    train_new(folder, MLP);
    open_with_params(&t, folder);
    damage(&t, folder, "checkpoints/step-00000040.safetensors");
    damage(&t, folder, "checkpoints/step-00000040.state.safetensors");
    end_training(&t);
}

/* Writes the weights again without one tensor, or with one of another shape; n_dims 0: leave it out. */
static void rewrite(const char *folder, const char *name, const char *tensor, int n_dims)
{
    gen_error err = { 0 };
    gen_safetensors st;
    gen_arena *arena = gen_arena_new();
    gen_bytes bytes = read_file(arena, folder, name);
    TEST_OK(gen_safetensors_read(bytes.data, bytes.size, arena, &st, &err));
    size_t n = 0;
    gen_tensor_entry *kept = gen_arena_alloc(arena, st.n_tensors * sizeof *kept);
    for (size_t i = 0; i < st.n_tensors; i++) {
        kept[n] = st.tensors[i];
        bool it = !strcmp(st.tensors[i].name, tensor);
        if (it && n_dims) kept[n].n_dims = 1, kept[n].dims[0] = (int64_t)kept[n].n;
        if (!it || n_dims) n++;
    }
    TEST_OK(gen_safetensors_write(gen_path_join(arena, folder, name), kept, n, st.metadata, st.n_metadata, &err));
    gen_arena_free(arena);
}

TEST(run_checkpoint_of_another_model_is_refused_by_tensor)
{
    static const char *const names[] = { "checkpoints/step-00000040.safetensors",
                                         "checkpoints/step-00000040.state.safetensors" };
    static const char *const tensors[] = { "dec.out.weight", "optim.v.dec.out.weight" };
    for (int i = 0; i < 2; i++)
        for (int n_dims = 0; n_dims < 2; n_dims++) {
            gen_error err = { 0 };
            training t;
            const char *folder = test_folder();
            train_new(folder, MLP);
            open_with_params(&t, folder);
            rewrite(folder, names[i], tensors[i], n_dims);
            assert_int_equal(gen_checkpoint_load(t.run, "latest", GEN_CHECKPOINT_ALL, &err), GEN_BAD_FILE);
            assert_non_null(strstr(err.text, tensors[i]));
            assert_non_null(strstr(err.text, gen_path_base(names[i])));
            expect_sentence(&err);
            end_training(&t);
        }
}

/* Every file in checkpoints/ has a name that a checkpoint has: no temporary files, hidden or not. */
static void expect_no_leftovers(const char *folder)
{
    char path[1100];
    snprintf(path, sizeof path, "%s/checkpoints", folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        bool known = !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "latest") || !strcmp(name, "best");
        if (!known && strncmp(name, "step-", 5)) fail_msg("%s was left in %s", name, path);
    }
    closedir(dir);
}

/* The disk is full at any byte of saving: the error says so, and what was saved before is as it was. */
TEST(run_full_disk_leaves_the_old_checkpoint)
{
    gen_error err = { 0 };
    training t;
    gen_arena *arena = gen_arena_new();
    const char *folder = test_folder();
    train_new(folder, MLP);
    open_with_params(&t, folder);
    TEST_OK(gen_checkpoint_load(t.run, "latest", GEN_CHECKPOINT_ALL, &err));
    gen_bytes weights = read_file(arena, folder, "checkpoints/latest");
    size_t state_bytes = read_file(arena, folder, "checkpoints/step-00000040.state.safetensors").size,
           both = weights.size + state_bytes;
    for (uint64_t room = 1; room < both; room += 1 + both / 23) {
        err = (gen_error){ 0 };
        t.run->progress.step = 50;
        gen_file_fail_write_at(room);
        gen_status status = gen_checkpoint_save(t.run, &err);
        gen_file_fail_write_at(0);
        assert_int_equal(status, GEN_IO);
        expect_sentence(&err);
        err = (gen_error){ 0 };
        TEST_OK(gen_checkpoint_load(t.run, "latest", GEN_CHECKPOINT_ALL, &err));
        assert_int_equal(t.run->progress.step, 40);
        gen_bytes now = read_file(arena, folder, "checkpoints/latest");
        assert_true(now.size == weights.size && !memcmp(now.data, weights.data, now.size));
        assert_false(exists(folder, "checkpoints/step-00000050.safetensors"));
        expect_no_leftovers(folder);
    }
    t.run->progress.step = 50;
    TEST_OK(gen_checkpoint_save(t.run, &err));
    TEST_OK(gen_checkpoint_load(t.run, "50", GEN_CHECKPOINT_ALL, &err));
    end_training(&t);
    gen_arena_free(arena);
}

TEST(run_full_disk_ends_a_training_that_can_go_on)
{
    gen_error err = { 0 };
    training t;
    const char *whole = test_folder(), *folder = test_folder();
    train_new(whole, MLP);
    train_until(folder, MLP, 12);
    TEST_OK(reopen(&t, folder, &err));
    gen_file_fail_write_at(3000);
    gen_status status = train(&t, &err);
    gen_file_fail_write_at(0);
    assert_int_equal(status, GEN_IO);
    expect_sentence(&err);
    end_training(&t);
    resume(folder);
    expect_same_checkpoint(whole, folder, "00000040");
}

/* ---- the folder --------------------------------------------------------------------------------------------------------------- */

TEST(run_has_one_writer_and_any_number_of_readers)
{
    gen_error err = { 0 };
    training t, second;
    gen_run *reader;
    const char *folder = test_folder();
    TEST_OK(start_training(&t, folder, MLP, &err));
    assert_int_equal(reopen(&second, folder, &err), GEN_BUSY);
    assert_non_null(strstr(err.text, folder));
    expect_sentence(&err);
    end_training(&second);
    err = (gen_error){ 0 };
    TEST_OK(gen_run_open(folder, t.device, GEN_RUN_READ, &reader, &err));
    gen_run_close(reader);
    end_training(&t);
    assert_int_equal(start_training(&second, folder, MLP, &err),
                     GEN_BUSY); /* --out names a run: it is not written over */
    assert_non_null(strstr(err.text, "--resume"));
    end_training(&second);
    err = (gen_error){ 0 };
    TEST_OK(reopen(&second, folder, &err));
    end_training(&second);
}

/* The steps that log.jsonl has "train/loss" of. */
static int64_t logged_steps(gen_arena *arena, const char *folder, double *steps, int64_t room)
{
    gen_error err = { 0 };
    gen_curves curves;
    gen_run run = { .arena = arena, .folder = folder };
    TEST_OK(gen_journal_read(&run, arena, &curves, &err));
    for (int32_t i = 0; i < curves.n; i++)
        if (!strcmp(curves.at[i].name, "train/loss")) {
            for (size_t k = 0; k < curves.at[i].n && (int64_t)k < room; k++) steps[k] = curves.at[i].step[k];
            return (int64_t)curves.at[i].n;
        }
    return 0;
}

/* A killed training leaves lines that are later than its checkpoint, the last cut short: they are gone when it goes on. */
TEST(run_journal_is_cut_where_it_goes_on)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    const char *folder = test_folder();
    train_until(folder, MLP, 20);
    gen_bytes log = read_file(arena, folder, "log.jsonl");
    char *longer = gen_arena_printf(
        arena, "%s{\"step\":25,\"train/loss\":99}\n{\"step\":30,\"train/loss\":99}\n{\"step\":35,\"tra",
        (char *)log.data);
    TEST_OK(gen_file_write(gen_path_join(arena, folder, "log.jsonl"), longer, strlen(longer), &err));
    resume(folder);
    double steps[16] = { 0 };
    assert_int_equal(logged_steps(arena, folder, steps, 16), 8);
    for (int i = 0; i < 8; i++) assert_true(steps[i] == 5 * (i + 1));
    assert_null(strstr((char *)read_file(arena, folder, "log.jsonl").data, "99}"));
    gen_arena_free(arena);
}

/* ---- numbers that are none ------------------------------------------------------------------------------------------------------ */

#define EXPLODES MLP "optimiser=sgd lr=1000 likelihood=gaussian sigma=0.001 checkpoint-every=1 "

TEST(run_that_is_not_finite_stops_with_layer_step_and_checkpoint)
{
    gen_error err = { 0 };
    training t;
    const char *folder = test_folder();
    TEST_OK(start_training(&t, folder, EXPLODES, &err));
    assert_int_equal(train(&t, &err), GEN_NOT_FINITE);
    printf("  %s\n", err.text);
    assert_non_null(strstr(err.text, "step "));
    assert_non_null(strstr(err.text, "layer"));
    assert_non_null(strstr(err.text, "checkpoints/"));
    expect_sentence(&err);
    end_training(&t);
}

/* [N,8,8] floats */
static const char *float_file(void)
{
    static char path[1100];
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes file;
    float *values = gen_arena_alloc(arena, N_PICTURES * PIXELS * sizeof *values);
    uint8_t pixels[PIXELS];
    for (int64_t i = 0; i < N_PICTURES; i++) {
        draw_picture(i, pixels);
        for (int64_t p = 0; p < PIXELS; p++) values[i * PIXELS + p] = (float)pixels[p] / 255;
    }
    snprintf(path, sizeof path, "%s/floats.npy", test_folder());
    TEST_OK(gen_npy_write(values, (int64_t[]){ N_PICTURES, SIDE, SIDE }, 3, arena, &file, &err));
    TEST_OK(gen_file_write(path, file.data, file.size, &err));
    gen_arena_free(arena);
    return path;
}

/* Files with numbers that are none are refused, so picture 3 is spoilt in memory. */
static void spoil(training *t)
{
    memcpy((char *)(uintptr_t)t->data.values + 3 * PIXELS * sizeof(float), &(float){ NAN }, sizeof(float));
}

/* 64 training pictures, batches of 8: one step of each epoch has the bad picture. What is left out is left out the same way when a run goes on. */
TEST(run_with_on_nan_skip_leaves_out_bad_steps)
{
    gen_error err = { 0 };
    training t;
    char options[2000];
    const char *whole = test_folder(), *parts = test_folder();
    snprintf(options, sizeof options, "%s on-nan=skip data=%s", MLP, float_file());
    TEST_OK(start_training(&t, whole, options, &err));
    spoil(&t);
    TEST_OK(train(&t, &err));
    assert_int_equal(t.run->progress.step, 40);
    assert_int_equal(t.run->progress.skipped, 5);
    assert_non_null(strstr(t.notes, "no finite loss"));
    end_training(&t);
    TEST_OK(start_training(&t, parts, options, &err));
    spoil(&t);
    t.stop_at = 21;
    assert_int_equal(train(&t, &err), GEN_STOPPED);
    end_training(&t);
    TEST_OK(reopen(&t, parts, &err));
    spoil(&t);
    err = (gen_error){ 0 };
    TEST_OK(train(&t, &err));
    end_training(&t);
    expect_same_checkpoint(whole, parts, "00000040");
}

/* ---- validation -------------------------------------------------------------------------------------------------------------- */

TEST(run_out_of_patience_ends_early)
{
    gen_error err = { 0 };
    training t;
    TEST_OK(start_training(&t, test_folder(), MLP "patience=2 min-delta=1000", &err));
    TEST_OK(train(&t, &err));
    assert_int_equal(t.run->progress.best_step, 10);
    assert_int_equal(t.run->progress.bad_evals, 2);
    assert_int_equal(t.run->progress.step, 30);
    assert_non_null(strstr(t.notes, "the best was at step 10"));
    end_training(&t);
}

TEST(run_learns)
{
    gen_error err = { 0 };
    training t;
    TEST_OK(start_training(&t, test_folder(), MLP "steps=400 checkpoint-every=50", &err));
    TEST_OK(train(&t, &err));
    assert_true(t.run->progress.best_step > 100);
    assert_int_equal(t.n_steps, 400);
    end_training(&t);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------- */

TEST(run_steps_allocate_nothing_after_the_first)
{
    static const char *const options[] = { MLP "ema=0.9 clip-norm=1", CONV };
    for (int o = 0; o < 2; o++) {
        gen_error err = { 0 };
        training t;
        gen_program *p = NULL;
        static float x[8 * PIXELS];
        TEST_OK(start_training(&t, test_folder(), options[o], &err));
        TEST_OK(gen_run_program(t.run, t.run->settings.model->train, "train", 8, &p, &err));
        uint64_t before = 0;
        for (uint64_t step = 0; step < 5; step++) {
            double loss;
            TEST_OK(gen_program_feed(p, "x", x, 8 * PIXELS, &err));
            TEST_OK(gen_program_run(p, (gen_run_state){ .seed = 1, .step = step }, &err));
            TEST_OK(gen_program_fetch_scalar(p, "loss", &loss, &err));
            if (step == 0) before = gen_alloc_count();
        }
        assert_int_equal(gen_alloc_count(), before);
        gen_program_free(p);
        end_training(&t);
    }
}

/* ---- PyTorch -------------------------------------------------------------------------------------------------------------------- */

/* x and its reconstruction, as tools/check_interchange.py reads them */
static void write_pictures(training *t, const char *path)
{
    gen_error err = { 0 };
    enum { N = 8 };
    static float x[N * PIXELS], y[N * PIXELS], z[N * 16];
    int64_t indices[N] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    gen_dataset_batch(&t->data, indices, N, x);
    TEST_OK(gen_encode(t->run, x, NULL, N, z, NULL, &err));
    TEST_OK(gen_decode(t->run, z, NULL, N, y, &err));
    gen_tensor_entry tensors[] = {
        { .name = "x", .dtype = GEN_DTYPE_F32, .n_dims = 4, .dims = { N, SIDE, SIDE, 1 }, .n = N * PIXELS, .data = x },
        { .name = "reconstruction",
          .dtype = GEN_DTYPE_F32,
          .n_dims = 4,
          .dims = { N, SIDE, SIDE, 1 },
          .n = N * PIXELS,
          .data = y },
    };
    TEST_OK(gen_safetensors_write(path, tensors, 2, NULL, 0, &err));
}

TEST(run_pytorch_loads_our_checkpoints_and_makes_the_same_pictures)
{
    static const char *const options[] = { MLP "steps=20", CONV "steps=20",
                                           MLP "net=gdl-digits steps=20 r-loss-factor=1000 init=keras" };
    const char *python = getenv("GEN_PYTHON");
    char command[6000];
    if (!python) TEST_SKIP("GEN_PYTHON does not name a Python with torch");
    snprintf(command, sizeof command, "'%s' -c 'import torch, safetensors' 2> /dev/null", python);
    if (system(command)) TEST_SKIP("the Python of GEN_PYTHON has no torch or no safetensors");
    for (int o = 0; o < 3; o++) {
        gen_error err = { 0 };
        training t;
        const char *folder = test_folder();
        char path[1100];
        TEST_OK(start_training(&t, folder, options[o], &err));
        TEST_OK(train(&t, &err));
        snprintf(path, sizeof path, "%s/pictures.safetensors", folder);
        write_pictures(&t, path);
        end_training(&t);
        snprintf(command, sizeof command, "'%s' '%s' '%s' '%s'", python, test_source("tools/check_interchange.py"),
                 folder, path);
        assert_int_equal(system(command), 0);
    }
}
