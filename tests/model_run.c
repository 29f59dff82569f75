#define _POSIX_C_SOURCE 200809L
#include "tests/model_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "io/file.h"
#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "models/data.h"
#include "models/train.h"

enum { CLASSES = 4 };

static float uniform(uint32_t i, uint32_t j)
{
    return gen_uniform_from_word(gen_philox_block(0, i, j, 0, 0x626c6f62u).word[0]);
}

/* Picture i: one soft blob, coloured; its quarter is the label. */
static void blob(int64_t i, int64_t h, int64_t w, int64_t c, float *x, float *label)
{
    double v = 0.25 + 0.5 * (double)(i / 2 % 2) + 0.1 * (double)uniform((uint32_t)i, 0),
           u = 0.25 + 0.5 * (double)(i % 2) + 0.1 * (double)uniform((uint32_t)i, 1);
    for (int64_t e = 0; e < h * w * c; e++) {
        double dy = ((double)(e / c / w) + 0.5) / (double)h - v, dx = ((double)(e / c % w) + 0.5) / (double)w - u;
        double tint = 0.5 + 0.5 * (double)uniform((uint32_t)i, 2 + (uint32_t)(e % c));
        x[e] = (float)(tint * exp(-(dx * dx + dy * dy) / 0.03));
    }
    *label = (float)(i % CLASSES);
}

static void set_options(gen_settings *settings, gen_arena *arena, const char *text)
{
    gen_error err = { 0 };
    char *rest = NULL;
    for (char *word = strtok_r(gen_arena_strdup(arena, text), " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        *value++ = 0;
        TEST_OK(gen_settings_set(settings, word, value, &err));
    }
}

static void make_pictures(test_model *t)
{
    t->pixels = t->h * t->w * t->c;
    t->x = gen_arena_alloc(t->arena, (size_t)(t->n * t->pixels) * sizeof *t->x);
    t->labels = gen_arena_alloc(t->arena, (size_t)t->n * sizeof *t->labels);
    for (int64_t i = 0; i < t->n; i++) blob(i, t->h, t->w, t->c, t->x + i * t->pixels, &t->labels[i]);
}

void test_model_open(test_model *t, const char *model, const char *preset, const char *options, int64_t n, int64_t h,
                     int64_t w, int64_t c)
{
    gen_error err = { 0 };
    *t = (test_model){ .arena = gen_arena_new(), .model = gen_model_find(model), .n = n, .h = h, .w = w, .c = c };
    t->classes = CLASSES;
    TEST_OK(gen_settings_start(&t->settings, t->model, t->arena, &err));
    if (preset) TEST_OK(gen_settings_preset(&t->settings, preset, &err));
    set_options(&t->settings, t->arena, options);
    TEST_OK(gen_device_open_with(test_device(), 2, t->settings.train.precision, &t->device, NULL, 0, &err));
    t->params = gen_params_new(t->device);
    make_pictures(t);
}

void test_model_close(test_model *t)
{
    gen_params_free(t->params);
    t->device->ops->close(t->device);
    gen_arena_free(t->arena);
}

gen_program *test_model_program(test_model *t, void (*build)(gen_graph *g, const gen_model_context *m))
{
    gen_error err = { 0 };
    gen_program *p = NULL;
    gen_graph *g = gen_graph_new();
    gen_model_context m = { .options = t->settings.options,
                            .batch = t->n,
                            .height = t->h,
                            .width = t->w,
                            .channels = t->c,
                            .classes = t->classes,
                            .n_steps = 1000,
                            .steps_per_epoch = 100,
                            .optim = gen_settings_optim(&t->settings, 1000, 100) };
    m.batch = t->n / (t->model->batches ? t->model->batches(&m) : 1); /* a training step takes all n pictures */
    TEST_OK(t->model->check(&m, &err));
    if (t->settings.train.checkpoint_activations) gen_graph_checkpoint(g);
    build(g, &m);
    TEST_OK(gen_program_new(g, t->device, t->params, 1, &p, &err));
    return p;
}

int64_t test_model_count(const test_model *t, const char *prefix)
{
    int64_t n = 0;
    for (int32_t i = 0; i < gen_params_count(t->params); i++) {
        gen_param_info p = gen_params_get(t->params, i);
        if (!p.spec.state && !strncmp(p.name, prefix, strlen(prefix))) n += gen_shape_count(&p.shape);
    }
    return n;
}

double test_model_steps(test_model *t, gen_program *train, int first, int last)
{
    gen_error err = { 0 };
    double loss = NAN;
    for (int s = first; s < last; s++) {
        TEST_OK(gen_program_feed(train, "x", t->x, t->n * t->pixels, &err));
        gen_program_feed(train, "label", t->labels, t->n, NULL); /* where the model wants it */
        TEST_OK(gen_program_run(train, (gen_run_state){ .seed = 1, .step = (uint64_t)s }, &err));
        TEST_OK(gen_program_fetch_scalar(train, "loss", &loss, &err));
        if (!isfinite(loss)) fail_msg("%s: the loss of step %d is %g", t->model->name, s, loss);
    }
    return loss;
}

float *test_model_values(test_model *t, int32_t i, int64_t *count)
{
    gen_error err = { 0 };
    gen_param_info p = gen_params_get(t->params, i);
    *count = gen_shape_count(&p.shape);
    float *values = gen_arena_alloc(t->arena, (size_t)*count * sizeof *values);
    TEST_OK(gen_params_read(t->params, i, values, &err));
    return values;
}

void test_model_learns(test_model *t, int steps)
{
    gen_program *train = test_model_program(t, t->model->train);
    int32_t n = gen_params_count(t->params);
    float **before = gen_arena_alloc(t->arena, (size_t)n * sizeof *before);
    int64_t count;
    for (int32_t i = 0; i < n; i++) before[i] = test_model_values(t, i, &count);
    double first = test_model_steps(t, train, 0, 1), last = test_model_steps(t, train, 1, steps);
    if (!(last < first)) fail_msg("%s: the loss went from %g to %g", t->model->name, first, last);
    for (int32_t i = 0; i < n; i++) {
        gen_param_info p = gen_params_get(t->params, i);
        float *after = test_model_values(t, i, &count);
        bool moved = false;
        for (int64_t k = 0; k < count; k++) {
            if (!isfinite((double)after[k])) fail_msg("%s: %s is not finite", t->model->name, p.name);
            moved = moved || memcmp(&after[k], &before[i][k], sizeof after[k]) != 0;
        }
        if (!moved && !p.spec.state) fail_msg("%s: %s did not move", t->model->name, p.name);
    }
    gen_program_free(train);
}

/* ---- whole trainings ------------------------------------------------------------------------------------------------------ */

enum { N_PICTURES = 64, SIDE = 10, PAIRED_SIDE = 32 };

typedef struct short_run {
    gen_arena *arena;
    gen_device *device;
    gen_settings settings;
    gen_dataset data;
    gen_run *run;
    volatile sig_atomic_t stop;
    int64_t stop_after;
} short_run;

static void stop_in_time(void *context, const gen_event *e)
{
    short_run *r = context;
    if (e->kind == GEN_EVENT_STEP && e->step == r->stop_after) r->stop = 1;
}

static const gen_range splits[GEN_N_SPLITS] = { { 0, 40 }, { 40, 12 }, { 52, 12 } };

/* Sets A and B lie one after the other in each split. */
static void label_as_pair(int32_t *labels)
{
    for (int k = 0; k < GEN_N_SPLITS; k++)
        for (int64_t i = 0; i < splits[k].n; i++) labels[splits[k].first + i] = i >= splits[k].n / 2;
}

static void make_data(short_run *r, bool paired)
{
    int32_t side = paired ? PAIRED_SIDE : SIDE, *labels = gen_arena_alloc(r->arena, N_PICTURES * sizeof *labels);
    float *x = gen_arena_alloc(r->arena, (size_t)(N_PICTURES * side * side) * sizeof *x), label;
    for (int64_t i = 0; i < N_PICTURES; i++) {
        blob(i, side, side, 1, x + i * side * side, &label);
        labels[i] = (int32_t)label;
    }
    if (paired) label_as_pair(labels);
    r->data = (gen_dataset){ .name = "blobs",
                             .n = N_PICTURES,
                             .height_px = side,
                             .width_px = side,
                             .channels = 1,
                             .values = x,
                             .labels = labels,
                             .n_classes = paired ? 2 : CLASSES };
    memcpy(r->data.splits, splits, sizeof splits);
}

static gen_status go(short_run *r, int64_t stop_after, gen_error *err)
{
    r->stop_after = stop_after;
    r->stop = 0;
    gen_train_hooks hooks = { .sink = { stop_in_time, r }, .stop = &r->stop };
    return gen_train(r->run, &r->data, &hooks, err);
}

static void train_run(short_run *r, const char *model, const char *options, const char *folder, int64_t stop_after)
{
    gen_error err = { 0 };
    *r = (short_run){ .arena = gen_arena_new() };
    TEST_OK(gen_settings_start(&r->settings, gen_model_find(model), r->arena, &err));
    set_options(&r->settings, r->arena, options);
    TEST_OK(gen_device_open_with("cpu", 2, r->settings.train.precision, &r->device, NULL, 0, &err));
    if (gen_model_find(model)->open_data || gen_model_find(model)->tokens)
        TEST_OK(gen_data_open(&r->settings, NULL, r->arena, &r->data, &err));
    else make_data(r, gen_model_find(model)->paired);
    r->settings.train.out = folder;
    TEST_OK(gen_run_create(&r->settings, &r->data, r->device, &r->run, &err));
    if (!stop_after) TEST_OK(go(r, -1, &err));
    else assert_int_equal(go(r, stop_after, &err), GEN_STOPPED);
    gen_run_close(r->run);
    r->run = NULL;
}

static void resume_run(short_run *r, const char *folder)
{
    gen_error err = { 0 };
    TEST_OK(gen_run_open(folder, r->device, GEN_RUN_WRITE, &r->run, &err));
    TEST_OK(gen_checkpoint_resume(r->run, &err));
    TEST_OK(go(r, -1, &err));
    gen_run_close(r->run);
}

static void close_run(short_run *r)
{
    r->device->ops->close(r->device);
    gen_arena_free(r->arena);
}

static void same_file(gen_arena *arena, const char *a, const char *b, const char *name)
{
    gen_error err = { 0 };
    gen_bytes one, two;
    TEST_OK(gen_file_read(gen_path_join(arena, a, name), GEN_FILE_ANY_SIZE, arena, &one, &err));
    TEST_OK(gen_file_read(gen_path_join(arena, b, name), GEN_FILE_ANY_SIZE, arena, &two, &err));
    if (one.size != two.size || memcmp(one.data, two.data, one.size)) fail_msg("%s of %s and %s differ", name, a, b);
}

void test_run_goes_on_bit_for_bit(const char *model, const char *options)
{
    short_run a, b;
    const char *text = strstr(options, "steps=");
    assert_non_null(text);
    int64_t steps = strtoll(text + 6, NULL, 10);
    gen_arena *arena = gen_arena_new();
    const char *folder = gen_arena_strdup(arena, test_folder()), *whole = gen_path_join(arena, folder, "whole"),
               *halves = gen_path_join(arena, folder, "halves");
    train_run(&a, model, options, whole, 0);
    train_run(&b, model, options, halves, steps / 2);
    resume_run(&b, halves);
    same_file(arena, whole, halves, gen_arena_printf(arena, "checkpoints/step-%08" PRId64 ".safetensors", steps));
    same_file(arena, whole, halves, gen_arena_printf(arena, "checkpoints/step-%08" PRId64 ".state.safetensors", steps));
    close_run(&a);
    close_run(&b);
    gen_arena_free(arena);
}
