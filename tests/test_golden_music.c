/* Recurrent layers, and the networks of the models music and text, against PyTorch: tests/golden/recurrent-*, music-*, text-*.safetensors, which
 * tools/twins_music.py makes. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/autodiff.h"
#include "core/nn_recurrent.h"
#include "core/program.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "kernels/devices.h"
#include "models/run.h"
#include "tests/test.h"

typedef struct golden_music {
    gen_arena *arena;
    gen_safetensors st;
    gen_device *device;
    gen_params *params;
    const char *name;
    double tolerance;
} golden_music;

static void open_golden(golden_music *t, const char *name, const char *device, double tolerance)
{
    gen_error err = { 0 };
    gen_bytes file;
    *t = (golden_music){ .arena = gen_arena_new(), .name = name, .tolerance = tolerance };
    char *path = gen_arena_printf(t->arena, "tests/golden/%s.safetensors", name);
    TEST_OK(gen_file_read(test_source(path), GEN_FILE_ANY_SIZE, t->arena, &file, &err));
    TEST_OK(gen_safetensors_read(file.data, file.size, t->arena, &t->st, &err));
    TEST_OK(gen_device_open(device, 2, &t->device, &err));
    t->params = gen_params_new(t->device);
}

static void close_golden(golden_music *t)
{
    gen_params_free(t->params);
    t->device->ops->close(t->device);
    gen_arena_free(t->arena);
}

static const float *tensor(const golden_music *t, const char *kind, const char *name, int64_t *n)
{
    char *full = gen_arena_printf(t->arena, "%s%s", kind, name);
    const gen_tensor_entry *entry = gen_safetensors_find(&t->st, full);
    if (!entry) fail_msg("%s has no tensor %s", t->name, full);
    float *values = gen_arena_alloc(t->arena, entry->n * sizeof *values);
    gen_tensor_to_float(entry, values);
    *n = (int64_t)entry->n;
    return values;
}

static void expect_near(const golden_music *t, const char *what, const float *got, const float *want, int64_t n)
{
    double error = 0, norm = 1e-3;
    for (int64_t i = 0; i < n; i++) {
        error += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        norm += (double)want[i] * (double)want[i];
    }
    if (!(sqrt(error) <= t->tolerance * sqrt(norm)))
        fail_msg("%s: %s differs by %.3g of its norm", t->name, what, sqrt(error / norm));
}

/* All of the run's parameters that PyTorch has become PyTorch's; layer "lstm." is theirs without prefix where the file holds a layer alone. */
static void take_weights(golden_music *t, const char *prefix)
{
    gen_error err = { 0 };
    int32_t taken = 0;
    for (int32_t i = 0; i < gen_params_count(t->params); i++) {
        gen_param_info p = gen_params_get(t->params, i);
        int64_t n;
        if (p.spec.state) continue;
        const float *theirs = tensor(t, "w ", p.name + strlen(prefix), &n);
        float *ours = gen_arena_alloc(t->arena, (size_t)n * sizeof *ours);
        assert_int_equal(n, gen_shape_count(&p.shape));
        gen_layout_from_torch(&p.shape, &p.spec, theirs, ours);
        TEST_OK(gen_params_write(t->params, i, ours, &err));
        taken++;
    }
    assert_true(taken > 0);
}

/* ---- layers ---------------------------------------------------------------------------------------------------------------- */

typedef struct layer_case {
    int64_t t, n, c, h, layers, both;
    bool lstm, packed;
} layer_case;

static layer_case read_case(const golden_music *t)
{
    layer_case k = { 0 };
    assert_int_equal(sscanf(gen_safetensors_metadata(&t->st, "size"), "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64,
                            &k.t, &k.n, &k.c, &k.h),
                     4);
    k.layers = strtoll(gen_safetensors_metadata(&t->st, "layers"), NULL, 10);
    k.both = strtoll(gen_safetensors_metadata(&t->st, "both"), NULL, 10);
    k.lstm = !strcmp(gen_safetensors_metadata(&t->st, "kind"), "lstm");
    k.packed = gen_safetensors_find(&t->st, "lengths") != NULL;
    return k;
}

/* The states of all layers one above the other [S,N,H] */
static gen_node *joined(gen_graph *g, gen_node *const *state, int32_t n, const layer_case *k)
{
    gen_node *all[NN_MAX_STATES];
    for (int32_t i = 0; i < n; i++) all[i] = gen_reshape(g, state[i], GEN_SHAPE(1, k->n, k->h));
    return n == 1 ? all[0] : gen_concat(g, n, all, 0);
}

static gen_node *constant(gen_graph *g, const golden_music *t, const char *name, gen_shape shape)
{
    int64_t n;
    const float *data = tensor(t, "", name, &n);
    assert_int_equal(n, gen_shape_count(&shape));
    return gen_const(g, shape, data);
}

/* sum y r + what tools/twins_music.py adds: softmax over time of tanh(y0 - y1 / 2), times y */
static gen_node *loss_of(gen_graph *g, const golden_music *t, const layer_case *k, const nn_recurrent *r, gen_node *h,
                         gen_node *c)
{
    gen_shape states = h->shape;
    gen_node *e = gen_sub(g, gen_slice(g, r->y, 2, 0, 1), gen_scale(g, gen_slice(g, r->y, 2, 1, 1), 0.5));
    gen_node *weight = gen_softmax(g, gen_tanh(g, e), GEN_AXIS(0));
    gen_node *loss = gen_sum_all(g, gen_mul(g, r->y, constant(g, t, "r y", r->y->shape)));
    loss = gen_add(g, loss, gen_sum_all(g, gen_mul(g, h, constant(g, t, "r h", states))));
    if (k->lstm) loss = gen_add(g, loss, gen_sum_all(g, gen_mul(g, c, constant(g, t, "r c", states))));
    return gen_add(g, loss, gen_sum_all(g, gen_mul(g, weight, r->y)));
}

/* x and the first states are parameters here, so that they have gradients. */
static gen_graph *layer_graph(golden_music *t, const layer_case *k)
{
    gen_graph *g = gen_graph_new();
    gen_shape states = GEN_SHAPE(k->layers * (k->both ? 2 : 1), k->n, k->h);
    gen_node *x = gen_param(g, "net.x", GEN_SHAPE(k->t, k->n, k->c), (gen_param_spec){ .init = GEN_INIT_ZERO });
    gen_node *first[2] = { gen_param(g, "net.h0", states, (gen_param_spec){ .init = GEN_INIT_ZERO }), NULL };
    gen_node *h0[NN_MAX_STATES], *c0[NN_MAX_STATES];
    if (k->lstm) first[1] = gen_param(g, "net.c0", states, (gen_param_spec){ .init = GEN_INIT_ZERO });
    for (int64_t i = 0; i < states.dim[0]; i++) {
        h0[i] = gen_reshape(g, gen_slice(g, first[0], 0, i, 1), GEN_SHAPE(k->n, k->h));
        if (k->lstm) c0[i] = gen_reshape(g, gen_slice(g, first[1], 0, i, 1), GEN_SHAPE(k->n, k->h));
    }
    nn_recurrent_spec spec = { .layers = (int32_t)k->layers, .bidirectional = k->both != 0, .h0 = h0, .c0 = c0 };
    if (k->packed) spec.lengths = constant(g, t, "lengths", GEN_SHAPE(k->n));
    nn_recurrent r = k->lstm ? nn_lstm(g, x, "net", k->h, spec) : nn_gru(g, x, "net", k->h, spec);
    gen_node *h = joined(g, r.h, r.n_states, k), *c = k->lstm ? joined(g, r.c, r.n_states, k) : NULL;
    gen_node *loss = loss_of(g, t, k, &r, h, c);
    int32_t n_params = gen_graph_params(g);
    gen_node *param[64], *grad[64];
    for (int32_t i = 0; i < n_params; i++) param[i] = gen_graph_param(g, i, NULL);
    gen_gradient(g, loss, NULL, n_params, param, grad);
    gen_output(g, "loss", loss);
    gen_output(g, "y", r.y);
    gen_output(g, "h", h);
    if (k->lstm) gen_output(g, "c", c);
    for (int32_t i = 0; i < n_params; i++) gen_output(g, param[i]->name, grad[i]);
    return g;
}

static void expect_output(const golden_music *t, gen_program *p, const char *name)
{
    gen_error err = { 0 };
    int64_t n;
    const float *want = tensor(t, "", name, &n);
    float *got = gen_arena_alloc(t->arena, (size_t)n * sizeof *got);
    TEST_OK(gen_program_fetch(p, name, got, n, &err));
    expect_near(t, name, got, want, n);
}

/* x, h0 and c0 stand in the file without "w". */
static void take_inputs(golden_music *t)
{
    gen_error err = { 0 };
    static const char *const names[] = { "x", "h0", "c0" };
    for (int i = 0; i < 3; i++) {
        char *name = gen_arena_printf(t->arena, "net.%s", names[i]);
        int64_t n;
        int32_t at = gen_params_find(t->params, name);
        if (at >= 0) TEST_OK(gen_params_write(t->params, at, tensor(t, "", names[i], &n), &err));
    }
}

static void take_layer_weights(golden_music *t)
{
    gen_error err = { 0 };
    for (int32_t i = 0; i < gen_params_count(t->params); i++) {
        gen_param_info p = gen_params_get(t->params, i);
        int64_t n;
        if (!strcmp(p.name, "net.x") || !strcmp(p.name, "net.h0") || !strcmp(p.name, "net.c0")) continue;
        const float *theirs = tensor(t, "w ", p.name + strlen("net."), &n);
        float *ours = gen_arena_alloc(t->arena, (size_t)n * sizeof *ours);
        gen_layout_from_torch(&p.shape, &p.spec, theirs, ours);
        TEST_OK(gen_params_write(t->params, i, ours, &err));
    }
}

static void check_layer(const char *name, const char *device, double tolerance)
{
    golden_music t;
    gen_error err = { 0 };
    gen_program *p = NULL;
    open_golden(&t, name, device, tolerance);
    layer_case k = read_case(&t);
    TEST_OK(gen_program_new(layer_graph(&t, &k), t.device, t.params, 1, &p, &err));
    take_inputs(&t);
    take_layer_weights(&t);
    TEST_OK(gen_program_run(p, (gen_run_state){ .seed = 1 }, &err));
    expect_output(&t, p, "loss");
    expect_output(&t, p, "y");
    expect_output(&t, p, "h");
    if (k.lstm) expect_output(&t, p, "c");
    for (int32_t i = 0; i < gen_params_count(t.params); i++) {
        gen_param_info info = gen_params_get(t.params, i);
        int64_t n;
        const float *want = tensor(&t, "grad ", info.name + strlen("net."), &n);
        float *got = gen_arena_alloc(t.arena, (size_t)n * sizeof *got),
              *theirs = gen_arena_alloc(t.arena, (size_t)n * sizeof *theirs);
        TEST_OK(gen_program_fetch(p, info.name, got, n, &err));
        gen_layout_to_torch(&info.shape, &info.spec, got, theirs);
        expect_near(&t, info.name, theirs, want, n);
    }
    gen_program_free(p);
    close_golden(&t);
}

TEST(golden_lstm_and_gru_agree_with_pytorch)
{
    static const char *const cases[] = { "recurrent-lstm", "recurrent-gru", "recurrent-lstm-both" };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_layer(cases[i], "cpu", 2e-5);
        check_layer(cases[i], "cpu64", 1e-6);
    }
}

/* Sequences of different lengths: PyTorch's packed sequences */
TEST(golden_packed_sequences_agree_with_pytorch)
{
    static const char *const cases[] = { "recurrent-lstm-packed", "recurrent-gru-packed", "recurrent-gru-lengths" };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_layer(cases[i], "cpu", 2e-5);
        check_layer(cases[i], "cpu64", 1e-6);
    }
}

/* ---- whole networks ----------------------------------------------------------------------------------------------------------- */

static void set_options(gen_settings *s, gen_arena *arena, const char *text)
{
    gen_error err = { 0 };
    char *rest = NULL;
    for (char *word = strtok_r(gen_arena_strdup(arena, text), " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        *value++ = 0;
        TEST_OK(gen_settings_set(s, word, value, &err));
    }
}

/* Losses of ten steps, the state going on from batch to batch, and the weights after them. */
static void check_network(const char *name, const char *device, double tolerance)
{
    golden_music t;
    gen_error err = { 0 };
    gen_program *p = NULL;
    int64_t batches, n, rows, fields, count, n_losses;
    open_golden(&t, name, device, tolerance);
    gen_run run = { .arena = t.arena, .folder = "", .data_name = "", .device = t.device, .params = t.params };
    TEST_OK(gen_settings_start(&run.settings, gen_model_find(gen_safetensors_metadata(&t.st, "model")), t.arena, &err));
    set_options(&run.settings, t.arena, gen_safetensors_metadata(&t.st, "options"));
    assert_int_equal(sscanf(gen_safetensors_metadata(&t.st, "size"), "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64,
                            &batches, &n, &rows, &fields),
                     4);
    run.vocabulary.n_fields = (int32_t)fields;
    assert_int_equal(sscanf(gen_safetensors_metadata(&t.st, "words"), "%" SCNd64 " %" SCNd64,
                            &run.vocabulary.n_words[0], &run.vocabulary.n_words[1]),
                     2);
    TEST_OK(gen_run_program(&run, run.settings.model->train, "be trained", n, &p, &err));
    take_weights(&t, "");
    const float *x = tensor(&t, "", "x", &count), *want = tensor(&t, "", "losses", &n_losses);
    float losses[16];
    for (int64_t i = 0; i < n_losses; i++) {
        double loss;
        TEST_OK(gen_program_feed(p, "x", x + i % batches * (count / batches), count / batches, &err));
        TEST_OK(gen_program_run(p, (gen_run_state){ .seed = 1, .step = (uint64_t)i }, &err));
        TEST_OK(gen_program_fetch_scalar(p, "loss", &loss, &err));
        losses[i] = (float)loss;
    }
    expect_near(&t, "losses", losses, want, n_losses);
    for (int32_t i = 0; i < gen_params_count(t.params); i++) {
        gen_param_info info = gen_params_get(t.params, i);
        if (info.spec.state) continue;
        const float *after = tensor(&t, "after ", info.name, &count);
        float *ours = gen_arena_alloc(t.arena, (size_t)count * sizeof *ours),
              *theirs = gen_arena_alloc(t.arena, (size_t)count * sizeof *theirs);
        TEST_OK(gen_params_read(t.params, i, ours, &err));
        gen_layout_to_torch(&info.shape, &info.spec, ours, theirs);
        expect_near(&t, info.name, theirs, after, count);
    }
    gen_program_free(p);
    close_golden(&t);
}

TEST(golden_music_with_attention_agrees_with_pytorch)
{
    check_network("music-attention", "cpu", 1e-4);
    check_network("music-attention", "cpu64", 1e-6);
}

/* States that go on, begin anew at the border, and windows that end early */
TEST(golden_music_with_carried_states_agrees_with_pytorch)
{
    check_network("music-carried", "cpu", 1e-4);
    check_network("music-carried", "cpu64", 1e-6);
    check_network("music-gru", "cpu64", 1e-6);
}

TEST(golden_text_from_both_sides_agrees_with_pytorch)
{
    check_network("text-fill", "cpu64", 1e-6);
}
