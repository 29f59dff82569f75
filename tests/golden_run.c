#define _POSIX_C_SOURCE 200809L
#include "tests/golden_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "io/file.h"
#include "kernels/devices.h"
#include "models/evaluate.h"

/* ---- the file ---------------------------------------------------------------------------------------------------------- */

bool golden_has(const golden *t, const char *name)
{
    return gen_safetensors_find(&t->st, name) != NULL;
}

const float *golden_tensor(const golden *t, const char *name, int64_t count)
{
    const gen_tensor_entry *entry = gen_safetensors_find(&t->st, name);
    if (!entry || (count >= 0 && (int64_t)entry->n != count))
        fail_msg("%s: no tensor %s of %" PRId64, t->name, name, count);
    float *values = gen_arena_alloc(t->arena, (entry->n + 1) * sizeof *values);
    gen_tensor_to_float(entry, values);
    return values;
}

/* Uniform noise, sample by sample, as tools/golden.py's pictures(). */
static const float *noise_pictures(const golden *t)
{
    uint64_t key = gen_hash_name("golden");
    int64_t pixels = t->h * t->w * t->c;
    float *x = gen_arena_alloc(t->arena, (size_t)(t->n * pixels) * sizeof *x);
    for (int64_t i = 0; i < t->n * pixels; i++) {
        int64_t e = i % pixels;
        gen_philox block =
            gen_philox_block(0, (uint32_t)(e / 4), (uint32_t)(i / pixels), 0, (uint32_t)(key ^ key >> 32));
        x[i] = gen_uniform_from_word(block.word[e % 4]);
    }
    return x;
}

static const float *byte_pictures(const golden *t)
{
    int64_t count = t->n * t->h * t->w * t->c;
    const float *bytes = golden_tensor(t, "x", count);
    float *x = gen_arena_alloc(t->arena, (size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i++) x[i] = bytes[i] / 255.0f;
    return x;
}

/* "latent=2 net=mlp" as the command line would set them */
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

void golden_read(golden *t, const char *name)
{
    gen_error err = { 0 };
    gen_bytes file;
    *t = (golden){ .arena = gen_arena_new(), .name = name };
    char *path = gen_arena_printf(t->arena, "tests/golden/%s.safetensors", name);
    TEST_OK(gen_file_read(test_source(path), GEN_FILE_ANY_SIZE, t->arena, &file, &err));
    TEST_OK(gen_safetensors_read(file.data, file.size, t->arena, &t->st, &err));
    const char *size = gen_safetensors_metadata(&t->st, "size"), *seed = gen_safetensors_metadata(&t->st, "seed");
    const char *preset = gen_safetensors_metadata(&t->st, "preset"), *model = gen_safetensors_metadata(&t->st, "model"),
               *classes = gen_safetensors_metadata(&t->st, "classes");
    assert_int_equal(sscanf(size, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &t->n, &t->h, &t->w, &t->c), 4);
    t->seed = seed ? strtoull(seed, NULL, 10) : 1;
    t->classes = classes ? strtoll(classes, NULL, 10) : 0;
    TEST_OK(gen_settings_start(&t->settings, gen_model_find(model ? model : "vae"), t->arena, &err));
    if (preset && *preset) TEST_OK(gen_settings_preset(&t->settings, preset, &err));
    set_options(&t->settings, t->arena, gen_safetensors_metadata(&t->st, "options"));
}

void golden_open(golden *t, const char *name, const char *device)
{
    gen_error err = { 0 };
    golden_read(t, name);
    t->x = golden_has(t, "x") ? byte_pictures(t) : noise_pictures(t);
    t->labels = golden_has(t, "label") ? golden_tensor(t, "label", t->n) : NULL;
    TEST_OK(gen_device_open(!strcmp(device, "cpu") ? test_device() : device, 2, &t->device, &err));
    t->params = gen_params_new(t->device);
}

void golden_close(golden *t)
{
    gen_params_free(t->params);
    t->device->ops->close(t->device);
    gen_arena_free(t->arena);
}

/* ---- comparisons -------------------------------------------------------------------------------------------------------- */

int golden_sums(const char *name, const float *values, int64_t n, double out[GOLDEN_SUMS])
{
    uint64_t key = gen_hash_name(name);
    gen_philox block = { 0 };
    for (int j = 0; j < GOLDEN_SUMS; j++) out[j] = j < n && n <= GOLDEN_SUMS ? (double)values[j] : 0;
    if (n <= GOLDEN_SUMS) return (int)n;
    for (int64_t i = 0; i < n; i++) {
        if (i % 2 == 0) block = gen_philox_block(0, (uint32_t)(i / 2), 0, 0x676f6c64u, (uint32_t)(key ^ key >> 32));
        for (int j = 0; j < GOLDEN_SUMS; j++) {
            uint32_t word = block.word[i % 2 * 2 + j / 32];
            out[j] += word >> j % 32 & 1 ? (double)values[i] : -(double)values[i];
        }
    }
    for (int j = 0; j < GOLDEN_SUMS; j++) out[j] /= 8;
    return GOLDEN_SUMS;
}

double golden_norm(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

double golden_distance(const golden *t, const char *kind, const char *name, const float *values, int64_t n)
{
    double ours[GOLDEN_SUMS], sum = 0;
    int count = golden_sums(name, values, n, ours);
    char *full = gen_arena_printf(t->arena, "%s%s", kind, name);
    const float *theirs = golden_tensor(t, full, count);
    for (int j = 0; j < count; j++) sum += (ours[j] - (double)theirs[j]) * (ours[j] - (double)theirs[j]);
    return sqrt(sum);
}

void golden_expect_below(const golden *t, const char *what, double got, double limit)
{
    if (!(got <= limit)) fail_msg("%s on %s: %s is off by %g, allowed %g", t->name, t->device->name, what, got, limit);
}

/* A step that takes several batches gets all n pictures too. */
static gen_model_context context(const golden *t)
{
    const gen_model *model = t->settings.model;
    gen_model_context m = { .options = t->settings.options,
                            .batch = t->n,
                            .height = t->h,
                            .width = t->w,
                            .channels = t->c,
                            .classes = t->classes,
                            .n_steps = GOLDEN_STEPS,
                            .steps_per_epoch = GOLDEN_STEPS,
                            .optim = gen_settings_optim(&t->settings, GOLDEN_STEPS, GOLDEN_STEPS) };
    if (model->batches) m.batch /= model->batches(&m);
    return m;
}

gen_program *golden_program(golden *t, void (*build)(gen_graph *g, const gen_model_context *m))
{
    gen_error err = { 0 };
    gen_program *p = NULL;
    gen_graph *g = gen_graph_new();
    gen_model_context m = context(t);
    build(g, &m);
    TEST_OK(gen_program_new(g, t->device, t->params, t->seed, &p, &err));
    return p;
}

static void feed_labels(const golden *t, gen_program *p)
{
    gen_error err = { 0 };
    if (t->labels && gen_program_wants(p, "label")) TEST_OK(gen_program_feed(p, "label", t->labels, t->n, &err));
}

float *golden_map(const golden *t, gen_program *p, const char *input, const float *in, const char *output)
{
    gen_error err = { 0 };
    gen_shape shape = gen_program_shape(p, output); /* of a batch, which may be a part of the n rows */
    float *out = gen_arena_alloc(t->arena, (size_t)(gen_shape_count(&shape) / shape.dim[0] * t->n) * sizeof *out);
    feed_labels(t, p);
    TEST_OK(gen_program_map(p, input, in, output, out, t->n, (gen_run_state){ .seed = t->seed }, &err));
    return out;
}

static void compare_codes(const golden *t, const char *output, const float *got, int64_t count, double tolerance)
{
    const float *expected = golden_tensor(t, output, count);
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += ((double)got[i] - (double)expected[i]) * ((double)got[i] - (double)expected[i]);
    golden_expect_below(t, output, sqrt(sum), tolerance * golden_norm(expected, count));
}

/* What the file has only sums of */
static void compare_sums(const golden *t, const char *name, const float *values, int64_t count, double tolerance)
{
    golden_expect_below(t, name, golden_distance(t, "", name, values, count), tolerance * golden_norm(values, count));
}

/* Encoder and decoder as they start: the codes, and the picture of mu. */
static void check_codes(golden *t, double tolerance)
{
    static const char *const codes[] = { "mu", "logvar" };
    gen_program *encode = golden_program(t, t->settings.model->encode);
    float *code[2] = { NULL, NULL };
    for (int i = 0; i < 2; i++) {
        if (!golden_has(t, codes[i])) continue;
        gen_shape shape = gen_program_shape(encode, codes[i]);
        code[i] = golden_map(t, encode, "x", t->x, codes[i]);
        compare_codes(t, codes[i], code[i], gen_shape_count(&shape), tolerance);
    }
    gen_program_free(encode);
    if (!golden_has(t, "reconstruction")) return;
    gen_program *decode = golden_program(t, t->settings.model->decode);
    compare_sums(t, "reconstruction", golden_map(t, decode, "z", code[0], "x"), t->n * t->h * t->w * t->c, tolerance);
    gen_program_free(decode);
}

static void check_outputs(golden *t, double tolerance)
{
    if (golden_has(t, "mu")) check_codes(t, tolerance);
    if (!golden_has(t, "translated")) return;
    gen_program *translate = golden_program(t, t->settings.model->translate);
    compare_sums(t, "translated", golden_map(t, translate, "x", t->x, "y"), t->n * t->h * t->w * t->c, tolerance);
    gen_program_free(translate);
}

float *golden_in_torch_layout(const golden *t, const char *name, int64_t *count)
{
    gen_error err = { 0 };
    int32_t i = gen_params_find(t->params, name);
    if (i < 0) return NULL;
    gen_param_info p = gen_params_get(t->params, i);
    *count = gen_shape_count(&p.shape);
    float *ours = gen_arena_alloc(t->arena, (size_t)*count * sizeof *ours),
          *theirs = gen_arena_alloc(t->arena, (size_t)*count * sizeof *theirs);
    TEST_OK(gen_params_read(t->params, i, ours, &err));
    gen_layout_to_torch(&p.shape, &p.spec, ours, theirs);
    return theirs;
}

static bool has_norms(const golden *t)
{
    for (size_t i = 0; i < t->st.n_tensors; i++)
        if (strstr(t->st.tensors[i].name, "_norm.weight")) return true;
    return false;
}

/* The first moment after one step is a known part of the gradient: (1 - beta1) of it under Adam, all of it under SGD. So the whole step is looked at.
 * Per tensor |g - g'| <= tolerance max(|g'|, floor |all g'|): a bias before a norm has no gradient but rounding. (PyTorch's own float32 is 2.6e-4 of
 * 1e-3 |all g'| off there, in vae-gdl-faces.) Returns the largest part. */
double golden_check_gradients(const golden *t, double tolerance)
{
    double all = 0, worst = 0, floor = has_norms(t) ? 5e-3 : 1e-3,
           scale = strcmp(t->settings.train.optimiser, "sgd") ? 1 / (1 - t->settings.train.beta1) : 1;
    for (size_t i = 0; i < t->st.n_tensors; i++)
        if (!strncmp(t->st.tensors[i].name, "norm ", 5))
            all = hypot(all, (double)golden_tensor(t, t->st.tensors[i].name, 1)[0]);
    for (size_t i = 0; i < t->st.n_tensors; i++) {
        const char *name = t->st.tensors[i].name + 5;
        if (strncmp(t->st.tensors[i].name, "norm ", 5)) continue;
        int64_t n = 0;
        float *g = golden_in_torch_layout(t, gen_arena_printf(t->arena, "optim.m.%s", name), &n);
        if (!g) fail_msg("%s: no moment of %s", t->name, name);
        for (int64_t k = 0; k < n; k++) g[k] = (float)((double)g[k] * scale);
        double expected = (double)golden_tensor(t, t->st.tensors[i].name, 1)[0], size = fmax(expected, floor * all);
        golden_expect_below(t, name, golden_distance(t, "grad ", name, g, n), tolerance * size);
        golden_expect_below(t, name, fabs(golden_norm(g, n) - expected), tolerance * size);
        worst = fmax(worst, golden_distance(t, "grad ", name, g, n) / size);
    }
    return worst;
}

static void check_losses(const golden *t, gen_program *p, int step, double tolerance)
{
    gen_error err = { 0 };
    const char *text = gen_safetensors_metadata(&t->st, "losses");
    char *rest = NULL, *names = gen_arena_strdup(t->arena, text ? text : "loss reconstruction kl"), *list[8];
    int n = 0;
    for (char *word = strtok_r(names, " ", &rest); word && n < 8; word = strtok_r(NULL, " ", &rest)) list[n++] = word;
    const float *losses = golden_tensor(t, "losses", GOLDEN_STEPS * n);
    for (int i = 0; i < n; i++) {
        double got, expected = (double)losses[step * n + i], size = fabs((double)losses[step * n]);
        TEST_OK(gen_program_fetch_scalar(p, list[i], &got, &err));
        char *what = gen_arena_printf(t->arena, "%s of step %d", list[i], step + 1);
        golden_expect_below(t, what, fabs(got - expected), tolerance * fmax(fabs(expected), 1e-3 * size));
    }
}

/* Running statistics after the first step; later ones wander with biases that have no gradient. */
static void check_state(const golden *t, double tolerance)
{
    for (size_t i = 0; i < t->st.n_tensors; i++) {
        const char *name = t->st.tensors[i].name + 6;
        if (strncmp(t->st.tensors[i].name, "after ", 6)) continue;
        int64_t n = 0;
        float *values = golden_in_torch_layout(t, name, &n);
        if (!values) fail_msg("%s: there is no %s", t->name, name);
        golden_expect_below(t, name, golden_distance(t, "after ", name, values, n), tolerance * golden_norm(values, n));
    }
}

static void check_training(golden *t, int steps, double tolerance, const char *conv)
{
    gen_error err = { 0 };
    gen_program *p = golden_program(t, t->settings.model->train);
    for (int step = 0; step < steps; step++) {
        TEST_OK(gen_program_feed(p, "x", t->x, t->n * t->h * t->w * t->c, &err));
        feed_labels(t, p);
        TEST_OK(gen_program_run(p, (gen_run_state){ .seed = t->seed, .step = (uint64_t)step }, &err));
        check_losses(t, p, step, step ? 1e-3 : tolerance);
        if (step == 0) check_state(t, tolerance);
        if (step == 0 && strcmp(t->settings.train.optimiser, "rmsprop"))
            printf("  %s, %s, conv %s: gradients within %.1e\n", t->name, t->device->name, conv,
                   golden_check_gradients(t, tolerance));
    }
    gen_program_free(p);
}

void golden_check(const char *name, const char *device, const char *conv, int steps, double tolerance)
{
    golden t;
    setenv("GEN_CONV", conv, 1);
    golden_open(&t, name, device);
    check_outputs(&t, tolerance);
    check_training(&t, steps, tolerance, conv);
    golden_close(&t);
    unsetenv("GEN_CONV");
}

void golden_check_kernels(const char *name)
{
    golden_check(name, "cpu", "direct", GOLDEN_STEPS, 1e-4);
    golden_check(name, "cpu", "winograd", GOLDEN_STEPS, 1e-3);
    golden_check(name, "cpu", "auto", GOLDEN_STEPS, 1e-3);
}
