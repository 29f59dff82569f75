/* The same networks, numbers and noise as PyTorch: tests/golden/vae-*.safetensors, which tools/golden.py makes and explains. Weights, noise and masks
 * are made here and there; compared are codes, a reconstruction, each gradient of the first step, the losses of ten steps, running statistics. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/program.h"
#include "core/rng.h"
#include "io/safetensors.h"
#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "models/settings.h"
#include "tests/test.h"

enum { STEPS = 10, SUMS = 64 };

typedef struct golden {
    gen_arena *arena;
    const char *name;
    gen_safetensors st;
    gen_settings settings;
    int64_t n, h, w, c;
    uint64_t seed;
    const float *x; /* [n,h,w,c] */
    gen_device *device;
    gen_params *params;
} golden;

/* ---- the file ---------------------------------------------------------------------------------------------------------- */

static const float *tensor(const golden *t, const char *name, int64_t count)
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
    const float *bytes = tensor(t, "x", count);
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

static void read_golden(golden *t, const char *name)
{
    gen_error err = { 0 };
    gen_bytes file;
    *t = (golden){ .arena = gen_arena_new(), .name = name };
    char *path = gen_arena_printf(t->arena, "tests/golden/%s.safetensors", name);
    TEST_OK(gen_file_read(test_source(path), GEN_FILE_ANY_SIZE, t->arena, &file, &err));
    TEST_OK(gen_safetensors_read(file.data, file.size, t->arena, &t->st, &err));
    const char *size = gen_safetensors_metadata(&t->st, "size"), *seed = gen_safetensors_metadata(&t->st, "seed");
    const char *preset = gen_safetensors_metadata(&t->st, "preset");
    assert_int_equal(sscanf(size, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &t->n, &t->h, &t->w, &t->c), 4);
    t->seed = seed ? strtoull(seed, NULL, 10) : 1;
    TEST_OK(gen_settings_start(&t->settings, gen_model_find("vae"), t->arena, &err));
    if (preset && *preset) TEST_OK(gen_settings_preset(&t->settings, preset, &err));
    set_options(&t->settings, t->arena, gen_safetensors_metadata(&t->st, "options"));
}

static void open_golden(golden *t, const char *name, const char *device)
{
    gen_error err = { 0 };
    read_golden(t, name);
    t->x = gen_safetensors_find(&t->st, "x") ? byte_pictures(t) : noise_pictures(t);
    TEST_OK(gen_device_open(device, 2, &t->device, &err));
    t->params = gen_params_new(t->device);
}

static void close_golden(golden *t)
{
    gen_params_free(t->params);
    t->device->ops->close(t->device);
    gen_arena_free(t->arena);
}

/* ---- comparisons -------------------------------------------------------------------------------------------------------- */

/* 64 sums with random signs over sqrt(64), as tools/golden.py's sums(); 64 values or fewer as they are. Returns how many. */
static int sign_sums(const char *name, const float *values, int64_t n, double out[SUMS])
{
    uint64_t key = gen_hash_name(name);
    gen_philox block = { 0 };
    for (int j = 0; j < SUMS; j++) out[j] = j < n && n <= SUMS ? (double)values[j] : 0;
    if (n <= SUMS) return (int)n;
    for (int64_t i = 0; i < n; i++) {
        if (i % 2 == 0) block = gen_philox_block(0, (uint32_t)(i / 2), 0, 0x676f6c64u, (uint32_t)(key ^ key >> 32));
        for (int j = 0; j < SUMS; j++) {
            uint32_t word = block.word[i % 2 * 2 + j / 32];
            out[j] += word >> j % 32 & 1 ? (double)values[i] : -(double)values[i];
        }
    }
    for (int j = 0; j < SUMS; j++) out[j] /= 8;
    return SUMS;
}

static double norm(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* The 2-norm of the difference between values and what the file has sums of, within some 20 %. */
static double distance(const golden *t, const char *kind, const char *name, const float *values, int64_t n)
{
    double ours[SUMS], sum = 0;
    int count = sign_sums(name, values, n, ours);
    char *full = gen_arena_printf(t->arena, "%s%s", kind, name);
    const float *theirs = tensor(t, full, count);
    for (int j = 0; j < count; j++) sum += (ours[j] - (double)theirs[j]) * (ours[j] - (double)theirs[j]);
    return sqrt(sum);
}

static void expect_below(const golden *t, const char *what, double got, double limit)
{
    if (!(got <= limit)) fail_msg("%s on %s: %s is off by %g, allowed %g", t->name, t->device->name, what, got, limit);
}

static gen_model_context context(const golden *t)
{
    return (gen_model_context){ .options = t->settings.options,
                                .batch = t->n,
                                .height = t->h,
                                .width = t->w,
                                .channels = t->c,
                                .n_steps = STEPS,
                                .steps_per_epoch = STEPS,
                                .optim = gen_settings_optim(&t->settings, STEPS, STEPS) };
}

static gen_program *program(golden *t, void (*build)(gen_graph *g, const gen_model_context *m))
{
    gen_error err = { 0 };
    gen_program *p = NULL;
    gen_graph *g = gen_graph_new();
    gen_model_context m = context(t);
    build(g, &m);
    TEST_OK(gen_program_new(g, t->device, t->params, t->seed, &p, &err));
    return p;
}

/* one input of all rows to one output */
static float *mapped(const golden *t, gen_program *p, const char *input, const float *in, const char *output)
{
    gen_error err = { 0 };
    gen_shape shape = gen_program_shape(p, output);
    float *out = gen_arena_alloc(t->arena, (size_t)gen_shape_count(&shape) * sizeof *out);
    TEST_OK(gen_program_map(p, input, in, output, out, t->n, (gen_run_state){ .seed = t->seed }, &err));
    return out;
}

static void compare_codes(const golden *t, const char *output, const float *got, int64_t count, double tolerance)
{
    const float *expected = tensor(t, output, count);
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += ((double)got[i] - (double)expected[i]) * ((double)got[i] - (double)expected[i]);
    expect_below(t, output, sqrt(sum), tolerance * norm(expected, count));
}

/* Encoder and decoder as they start: mu, logvar, and the picture of mu. */
static void check_outputs(golden *t, double tolerance)
{
    const gen_model *model = t->settings.model;
    gen_program *encode = program(t, model->encode), *decode = program(t, model->decode);
    gen_shape shape = gen_program_shape(encode, "mu"), picture = gen_program_shape(decode, "x");
    float *mu = mapped(t, encode, "x", t->x, "mu");
    compare_codes(t, "mu", mu, gen_shape_count(&shape), tolerance);
    compare_codes(t, "logvar", mapped(t, encode, "x", t->x, "logvar"), gen_shape_count(&shape), tolerance);
    float *x = mapped(t, decode, "z", mu, "x");
    int64_t count = gen_shape_count(&picture);
    expect_below(t, "reconstruction", distance(t, "", "reconstruction", x, count), tolerance * norm(x, count));
    gen_program_free(encode);
    gen_program_free(decode);
}

/* A stored tensor in PyTorch's layout. */
static float *in_torch_layout(const golden *t, const char *name, int64_t *count)
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
    return gen_safetensors_find(&t->st, "norm enc.conv1_norm.weight") != NULL;
}

/* The first moment after one step is a known part of the gradient: (1 - beta1) of it under Adam, all of it under SGD. So the whole step is looked at.
 * Per tensor |g - g'| <= tolerance max(|g'|, floor |all g'|): a bias before a norm has no gradient but rounding. (PyTorch's own float32 is 2.6e-4 of
 * 1e-3 |all g'| off there, in vae-gdl-faces.) Returns the largest part. */
static double check_gradients(const golden *t, double tolerance)
{
    double all = 0, worst = 0, floor = has_norms(t) ? 5e-3 : 1e-3,
           scale = strcmp(t->settings.train.optimiser, "sgd") ? 1 / (1 - t->settings.train.beta1) : 1;
    for (size_t i = 0; i < t->st.n_tensors; i++)
        if (!strncmp(t->st.tensors[i].name, "norm ", 5))
            all = hypot(all, (double)tensor(t, t->st.tensors[i].name, 1)[0]);
    for (size_t i = 0; i < t->st.n_tensors; i++) {
        const char *name = t->st.tensors[i].name + 5;
        if (strncmp(t->st.tensors[i].name, "norm ", 5)) continue;
        int64_t n = 0;
        float *g = in_torch_layout(t, gen_arena_printf(t->arena, "optim.m.%s", name), &n);
        if (!g) fail_msg("%s: no moment of %s", t->name, name);
        for (int64_t k = 0; k < n; k++) g[k] = (float)((double)g[k] * scale);
        double expected = (double)tensor(t, t->st.tensors[i].name, 1)[0], size = fmax(expected, floor * all);
        expect_below(t, name, distance(t, "grad ", name, g, n), tolerance * size);
        expect_below(t, name, fabs(norm(g, n) - expected), tolerance * size);
        worst = fmax(worst, distance(t, "grad ", name, g, n) / size);
    }
    return worst;
}

static void check_losses(const golden *t, gen_program *p, int step, double tolerance)
{
    static const char *const names[] = { "loss", "reconstruction", "kl" };
    gen_error err = { 0 };
    const float *losses = tensor(t, "losses", STEPS * 3);
    for (int i = 0; i < 3; i++) {
        double got, expected = (double)losses[step * 3 + i], size = fabs((double)losses[step * 3]);
        TEST_OK(gen_program_fetch_scalar(p, names[i], &got, &err));
        char *what = gen_arena_printf(t->arena, "%s of step %d", names[i], step + 1);
        expect_below(t, what, fabs(got - expected), tolerance * fmax(fabs(expected), 1e-3 * size));
    }
}

/* Running statistics after the first step; later ones wander with biases that have no gradient. */
static void check_state(const golden *t, double tolerance)
{
    for (size_t i = 0; i < t->st.n_tensors; i++) {
        const char *name = t->st.tensors[i].name + 6;
        if (strncmp(t->st.tensors[i].name, "after ", 6)) continue;
        int64_t n = 0;
        float *values = in_torch_layout(t, name, &n);
        if (!values) fail_msg("%s: there is no %s", t->name, name);
        expect_below(t, name, distance(t, "after ", name, values, n), tolerance * norm(values, n));
    }
}

static void check_training(golden *t, int steps, double tolerance, const char *conv)
{
    gen_error err = { 0 };
    gen_program *p = program(t, t->settings.model->train);
    for (int step = 0; step < steps; step++) {
        TEST_OK(gen_program_feed(p, "x", t->x, t->n * t->h * t->w * t->c, &err));
        TEST_OK(gen_program_run(p, (gen_run_state){ .seed = t->seed, .step = (uint64_t)step }, &err));
        check_losses(t, p, step, step ? 1e-3 : tolerance);
        if (step == 0) check_state(t, tolerance);
        if (step == 0 && strcmp(t->settings.train.optimiser, "rmsprop"))
            printf("  %s, %s, conv %s: gradients within %.1e\n", t->name, t->device->name, conv,
                   check_gradients(t, tolerance));
    }
    gen_program_free(p);
}

static void check_case(const char *name, const char *device, const char *conv, int steps, double tolerance)
{
    golden t;
    setenv("GEN_CONV", conv, 1);
    open_golden(&t, name, device);
    check_outputs(&t, tolerance);
    check_training(&t, steps, tolerance, conv);
    close_golden(&t);
    unsetenv("GEN_CONV");
}

/* Direct convs to 1e-4, Winograd's to 1e-3. */
static void check_kernels(const char *name)
{
    check_case(name, "cpu", "direct", STEPS, 1e-4);
    check_case(name, "cpu", "winograd", STEPS, 1e-3);
    check_case(name, "cpu", "auto", STEPS, 1e-3);
}

TEST(golden_default_vae_agrees_with_pytorch)
{
    check_kernels("vae-conv");
}

TEST(golden_gdl_vae_digits_agrees_with_pytorch)
{
    check_kernels("vae-gdl-digits");
}

/* with batch norm and dropout */
TEST(golden_gdl_vae_faces_agrees_with_pytorch)
{
    check_kernels("vae-gdl-faces");
}

TEST(golden_bench_vae_agrees_with_pytorch)
{
    check_kernels("vae-bench");
}

TEST(golden_mlp_vae_agrees_with_pytorch)
{
    check_case("vae-mlp", "cpu", "auto", STEPS, 1e-4);
}

TEST(golden_likelihoods_optimisers_and_schedules_agree_with_pytorch)
{
    static const char *const names[] = { "vae-losses", "vae-gaussian-adamw", "vae-rmsprop", "vae-sgd" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_case(names[i], "cpu", "auto", STEPS, 1e-4);
}

/* In double precision the graphs are PyTorch's to six digits: what is left above is rounding. */
TEST(golden_double_precision_agrees_with_pytorch_to_1e_6)
{
    static const char *const names[] = { "vae-mlp", "vae-losses", "vae-gaussian-adamw", "vae-rmsprop", "vae-sgd" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_case(names[i], "cpu64", "auto", STEPS, 1e-6);
    check_case("vae-gdl-digits", "cpu64", "auto", 1, 1e-6);
    check_case("vae-bench", "cpu64", "auto", 1, 1e-6);
}

/* The plain rungs, by $GEN_CPU. */
TEST(golden_every_rung_agrees_with_pytorch)
{
    static const char *const rungs[] = { "ref", "base", "avx2" };
    gen_error err = { 0 };
    const char *was = getenv("GEN_CPU");
    char saved[32];
    snprintf(saved, sizeof saved, "%s", was ? was : "");
    for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
        gen_device *device;
        setenv("GEN_CPU", rungs[i], 1);
        TEST_OK(gen_device_open("cpu", 1, &device, &err));
        device->ops->close(device);
        check_case("vae-conv", "cpu", "direct", 2, 1e-4);
        check_case("vae-conv", "cpu", "auto", 2, 1e-3);
        check_case("vae-sgd", "cpu", "direct", STEPS, 1e-4);
    }
    if (*saved) setenv("GEN_CPU", saved, 1);
    else unsetenv("GEN_CPU");
}

/* ---- known counts -------------------------------------------------------------------------------------------------------- */

/* Numbers in weights and running statistics whose name starts so; counters are none. */
static int64_t count_numbers(const char *preset, int64_t h, int64_t w, int64_t c, const char *prefix)
{
    gen_error err = { 0 };
    gen_settings settings;
    gen_arena *arena = gen_arena_new();
    gen_graph *g = gen_graph_new();
    int64_t count = 0;
    TEST_OK(gen_settings_start(&settings, gen_model_find("vae"), arena, &err));
    TEST_OK(gen_settings_preset(&settings, preset, &err));
    gen_model_context m = { .options = settings.options, .batch = 1, .height = h, .width = w, .channels = c };
    settings.model->eval(g, &m);
    TEST_OK(gen_graph_check(g, &err));
    for (int32_t i = 0; i < gen_graph_params(g); i++) {
        gen_param_spec spec;
        const gen_node *p = gen_graph_param(g, i, &spec);
        if (!spec.counter && p->shape.rank && !strncmp(p->name, prefix, strlen(prefix)))
            count += gen_shape_count(&p->shape);
    }
    gen_graph_free(g);
    gen_arena_free(arena);
    return count;
}

/* D. Foster, Generative Deep Learning, 1st edition: the summaries that Keras prints in notebooks 03_03 and 03_05. */
TEST(golden_parameter_counts_are_those_of_the_book)
{
    assert_int_equal(count_numbers("gdl-vae-digits", 28, 28, 1, "enc."), 105220);
    assert_int_equal(count_numbers("gdl-vae-digits", 28, 28, 1, "dec."), 102017);
    assert_int_equal(count_numbers("gdl-vae-faces", 128, 128, 3, "enc."), 1732944);
    assert_int_equal(count_numbers("gdl-vae-faces", 128, 128, 3, "dec."), 917123);
}

/* ---- files of PyTorch ------------------------------------------------------------------------------------------------------ */

/* A state_dict saved by safetensors.torch.save_file gives gen the pictures that it gives PyTorch. */
static void check_saved_by_torch(const char *name)
{
    gen_error err = { 0 };
    golden t;
    char pictures[64];
    snprintf(pictures, sizeof pictures, "%s-pictures", name);
    read_golden(&t, pictures);
    TEST_OK(gen_device_open("cpu", 1, &t.device, &err));
    t.params = gen_params_new(t.device);
    int64_t count = t.n * t.h * t.w * t.c;
    t.x = tensor(&t, "x", count);
    gen_program *encode = program(&t, t.settings.model->encode), *decode = program(&t, t.settings.model->decode);
    gen_run run = { .arena = t.arena,
                    .folder = ".",
                    .settings = t.settings,
                    .height = t.h,
                    .width = t.w,
                    .channels = t.c,
                    .device = t.device,
                    .params = t.params };
    char *path = gen_arena_printf(t.arena, "tests/golden/%s.safetensors", name);
    TEST_OK(gen_checkpoint_load_file(&run, test_source(path), &err));
    const float *x = mapped(&t, decode, "z", mapped(&t, encode, "x", t.x, "mu"), "x");
    const float *expected = tensor(&t, "reconstruction", count);
    double worst = 0;
    for (int64_t i = 0; i < count; i++) worst = fmax(worst, fabs((double)x[i] - (double)expected[i]));
    printf("  %s: pixels within %.1e\n", name, worst);
    expect_below(&t, "a pixel", worst, 1e-5);
    gen_program_free(encode);
    gen_program_free(decode);
    close_golden(&t);
}

TEST(golden_weights_saved_by_pytorch_give_the_same_pictures)
{
    check_saved_by_torch("pytorch-mlp");
    check_saved_by_torch("pytorch-conv");
}
