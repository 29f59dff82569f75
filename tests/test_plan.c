/* The plan: memory never overlaps while alive, fusion changes nothing, assignments see the old values. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/autodiff.h"
#include "core/nn.h"
#include "core/optim.h"
#include "core/program.h"
#include "core/rng.h"
#include "kernels/devices.h"
#include "models/model.h"
#include "tests/test.h"

enum { MAX_NODES = 64, N = 3, C = 8 };

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

static gen_device *open_cpu(void)
{
    gen_error err = { 0 };
    gen_device *device;
    TEST_OK(gen_device_open("cpu", 2, &device, &err));
    return device;
}

static gen_plan *plan_all(gen_graph *g, bool no_fusion)
{
    gen_error err = { 0 };
    gen_plan *plan;
    int32_t n_out = gen_graph_outputs(g), n_assign = gen_graph_assigns(g);
    gen_node *out[MAX_NODES], **assign = gen_alloc((size_t)n_assign + 1, sizeof(gen_node *));
    for (int32_t i = 0; i < n_out; i++) out[i] = gen_graph_output(g, i, NULL);
    for (int32_t i = 0; i < n_assign; i++) assign[i] = gen_graph_assign(g, i);
    TEST_OK(gen_plan_new(g, &(gen_plan_request){ n_out, out, n_assign, assign, no_fusion }, &plan, &err));
    gen_free(assign);
    return plan;
}

static void fill(float *x, int64_t n, uint32_t stream)
{
    for (int64_t i = 0; i < n; i++) x[i] = 2 * gen_uniform_from_word(gen_random_word(7, stream, (uint64_t)i)) - 1;
}

/* Two values that are alive at the same step share no element, unless they are the same buffer. */
static void assert_no_overlap(const gen_plan *plan)
{
    for (int32_t a = 0; a < plan->n_nodes; a++)
        for (int32_t b = a + 1; b < plan->n_nodes; b++) {
            const gen_value *x = &plan->values[a], *y = &plan->values[b];
            if (x->place != GEN_PLACE_SLAB || y->place != GEN_PLACE_SLAB || x->buffer == y->buffer) continue;
            bool together = x->first <= y->last && y->first <= x->last;
            int64_t nx = gen_shape_count(&gen_graph_node(plan->graph, a)->shape),
                    ny = gen_shape_count(&gen_graph_node(plan->graph, b)->shape);
            bool apart = x->offset + nx <= y->offset || y->offset + ny <= x->offset;
            if (together && !apart) fail_msg("nodes %d and %d are alive at the same step and overlap", a, b);
        }
}

static gen_graph *vae_step(void)
{
    static char options[1024];
    const gen_model *model = gen_model_find("vae");
    assert_true(model->options_bytes <= sizeof options);
    gen_options_default(model->options, options);
    gen_graph *g = gen_graph_new();
    gen_model_context m = { .options = options,
                            .batch = 4,
                            .height = 12,
                            .width = 12,
                            .channels = 1,
                            .optim = { .rule = GEN_ADAM, .lr = 1e-3, .clip_norm = 1, .ema = 0.99 } };
    model->train(g, &m);
    return g;
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

TEST(plan_never_overlaps_live_tensors)
{
    gen_graph *g = vae_step();
    for (int no_fusion = 0; no_fusion < 2; no_fusion++) {
        gen_plan *plan = plan_all(g, no_fusion);
        assert_no_overlap(plan);
        gen_plan_free(plan);
    }
    gen_graph_free(g);
}

TEST(plan_slab_is_within_a_tenth_of_what_is_alive_at_once)
{
    gen_graph *g = vae_step();
    gen_plan *plan = plan_all(g, false);
    assert_true(plan->slab_count >= plan->live_count);
    assert_true((double)plan->slab_count <= 1.1 * (double)plan->live_count);
    gen_plan_free(plan);
    gen_graph_free(g);
}

TEST(plan_fuses_bias_and_activation_into_convs_and_products)
{
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(2, 8, 8, 3));
    gen_node *h = gen_relu(g, nn_conv(g, x, "a", 4, (nn_conv_spec){ .pad = 1 }));
    gen_output(g, "y", gen_tanh(g, nn_dense(g, nn_flatten(g, h), "b", 5, (nn_dense_spec){ 0 })));
    gen_plan *plan = plan_all(g, false);
    assert_int_equal(plan->n_steps, 2);
    assert_int_equal(plan->steps[0].op, GEN_OP_CONV2D);
    assert_int_equal(plan->steps[0].act, GEN_OP_RELU);
    assert_true(plan->steps[0].bias >= 0);
    assert_int_equal(plan->steps[1].act, GEN_OP_TANH);
    gen_plan_free(plan);
    gen_graph_free(g);
}

TEST(plan_makes_one_pass_of_adam_and_writes_it_in_place)
{
    gen_graph *g = gen_graph_new();
    gen_node *w = gen_param(g, "w", GEN_SHAPE(1000), (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = 1 });
    gen_node *x = gen_input(g, "x", GEN_SHAPE(1000));
    gen_node *loss = gen_sum_all(g, gen_mul(g, w, x));
    gen_optim_minimise(g, loss, "", &(gen_optim_options){ .rule = GEN_ADAM, .lr = 1e-3 });
    gen_plan *plan = plan_all(g, false);
    int wide = 0;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        assert_int_not_equal(plan->steps[s].op, GEN_OP_ASSIGN); /* no copies: all in place */
        wide += plan->steps[s].op == GEN_OP_CHAIN && gen_shape_count(&plan->steps[s].chain->shape) == 1000 &&
                plan->steps[s].n_out == 3;
    }
    assert_int_equal(wide, 1); /* w, m and v in one chain */
    gen_plan_free(plan);
    gen_graph_free(g);
}

/* ---- fusion changes nothing ---------------------------------------------------------------------------------------- */

/* A random graph over [N,C] tensors: elementwise ops, broadcasts, reductions, products, views; gradient of it all in two parameters. */
static gen_graph *random_graph(uint32_t seed)
{
    gen_graph *g = gen_graph_new();
    gen_node *pool[MAX_NODES];
    int n = 0;
    uint64_t draw = 0;
#define PICK(count) gen_random_below(seed, 1, draw++, (uint32_t)(count))
    pool[n++] = gen_input(g, "x", GEN_SHAPE(N, C));
    pool[n++] = gen_param(g, "w", GEN_SHAPE(N, C), (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = 0.5 });
    gen_node *row = gen_param(g, "row", GEN_SHAPE(C), (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = 0.5 });
    gen_node *square = gen_param(g, "square", GEN_SHAPE(C, C), (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = 0.3 });
    for (int i = 0; i < 24; i++) {
        gen_node *a = pool[PICK(n)], *b = pool[PICK(n)], *y;
        switch (PICK(14)) {
        case 0: y = gen_add(g, a, b); break;
        case 1: y = gen_mul(g, a, b); break;
        case 2: y = gen_sub(g, a, row); break;
        case 3: y = gen_tanh(g, a); break;
        case 4: y = gen_sigmoid(g, gen_add(g, a, row)); break;
        case 5: y = gen_leaky_relu(g, a, 0.2); break;
        case 6: y = gen_affine(g, a, 0.5, 0.1); break;
        case 7: y = gen_mul(g, a, gen_mean_of(g, b, GEN_AXIS(1))); break;
        case 8: y = gen_relu(g, gen_add(g, gen_matmul(g, a, square, false, false), row)); break;
        case 9: y = gen_add(g, gen_matmul(g, a, square, false, true), b); break;
        case 10: y = gen_select(g, gen_step(g, a), b, row); break;
        case 11: y = gen_reshape(g, gen_square(g, gen_reshape(g, a, GEN_SHAPE(C, N))), GEN_SHAPE(N, C)); break;
        case 12: y = gen_softmax(g, a, GEN_AXIS(1)); break;
        default: y = gen_max(g, a, gen_min(g, b, gen_scalar(g, 0.3))); break;
        }
        pool[n++] = y;
    }
#undef PICK
    gen_node *loss =
        gen_mean(g, gen_square(g, gen_tanh(g, gen_add(g, pool[n - 1], gen_add(g, pool[n - 2], pool[n - 3])))));
    gen_optim_minimise(g, loss, "", &(gen_optim_options){ .rule = GEN_SGD, .lr = 0.1, .momentum = 0.9 });
    gen_output(g, "loss", loss);
    gen_output(g, "last", pool[n - 1]);
    gen_output(g, "middle", pool[n / 2]);
    return g;
}

typedef struct outcome {
    float loss, last[N * C], middle[N * C], w[N * C], row[C], square[C * C];
} outcome;

static void read_param(const gen_params *params, const char *name, float *out)
{
    gen_error err = { 0 };
    TEST_OK(gen_params_read(params, gen_params_find(params, name), out, &err));
}

static void run_graph(uint32_t seed, bool no_fusion, outcome *o)
{
    gen_error err = { 0 };
    gen_device *device = open_cpu();
    gen_graph *g = random_graph(seed);
    gen_params *params = gen_params_new(device);
    gen_session *session;
    float x[N * C];
    TEST_OK(gen_graph_check(g, &err));
    TEST_OK(gen_params_add(params, g, 3, &err));
    gen_plan *plan = plan_all(g, no_fusion);
    assert_no_overlap(plan);
    TEST_OK(gen_session_new(plan, device, params, &session, &err));
    fill(x, N * C, 9);
    TEST_OK(gen_session_feed(session, "x", x, N * C, &err));
    for (uint64_t step = 0; step < 3; step++)
        TEST_OK(gen_session_run(session, (gen_run_state){ .seed = 1, .step = step }, &err));
    TEST_OK(gen_session_fetch(session, 0, &o->loss, 1, &err));
    TEST_OK(gen_session_fetch(session, 1, o->last, N * C, &err));
    TEST_OK(gen_session_fetch(session, 2, o->middle, N * C, &err));
    read_param(params, "w", o->w);
    read_param(params, "row", o->row);
    read_param(params, "square", o->square);
    gen_session_free(session);
    gen_plan_free(plan);
    gen_params_free(params);
    gen_graph_free(g);
    device->ops->close(device);
}

TEST(plan_with_fusion_equals_the_graph_without_for_random_graphs)
{
    enum { GRAPHS = 60 };
    for (uint32_t seed = 0; seed < GRAPHS; seed++) {
        outcome fused, plain;
        run_graph(seed, false, &fused);
        run_graph(seed, true, &plain);
        const float *a = &fused.loss, *b = &plain.loss;
        for (size_t i = 0; i < sizeof fused / sizeof(float); i++)
            if (fabsf(a[i] - b[i]) > 1e-5f * (1 + fabsf(b[i])))
                fail_msg("graph %u, number %zu: %g fused, %g unfused", seed, i, (double)a[i], (double)b[i]);
    }
}

/* ---- assignments ---------------------------------------------------------------------------------------------------- */

/* Pieces of a result are read where they lie, also when the rest of it is read at the same time, and a pass over all of it may not write there. */
TEST(plan_slices_of_one_piece_are_views_and_stay_whole)
{
    enum { ROWS = 4, COLS = 16 };
    float x[ROWS * COLS], y[ROWS * COLS], row[COLS];
    gen_error err = { 0 };
    gen_graph *g = gen_graph_new();
    gen_node *in = gen_input(g, "x", GEN_SHAPE(ROWS, COLS)), *twice = gen_sin(g, in);
    gen_node *first = gen_slice(g, twice, 0, 1, 1), *column = gen_slice(g, twice, 1, 1, 1),
             *flipped = gen_flip(g, first, 1);
    assert_true(gen_node_is_view(first) && gen_node_view_offset(first) == COLS && gen_node_view_base(first) == twice);
    assert_false(gen_node_is_view(column) || gen_node_is_view(flipped));
    assert_false(gen_node_is_view(gen_slice(g, first, 1, 1, 3)));  /* begins at 4 bytes */
    gen_output(g, "y", gen_add(g, twice, gen_scale(g, first, 2))); /* row 1 is read by all rows */
    gen_output(g, "row", gen_reshape(g, first, GEN_SHAPE(COLS)));
    gen_device *device = open_cpu();
    gen_params *params = gen_params_new(device);
    gen_program *p;
    TEST_OK(gen_program_new(g, device, params, 1, &p, &err));
    fill(x, ROWS * COLS, 1);
    TEST_OK(gen_program_feed(p, "x", x, ROWS * COLS, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
    TEST_OK(gen_program_fetch(p, "y", y, ROWS * COLS, &err));
    TEST_OK(gen_program_fetch(p, "row", row, COLS, &err));
    for (int i = 0; i < ROWS * COLS; i++) {
        float of_row = sinf(x[COLS + i % COLS]);
        assert_true(fabsf(y[i] - (sinf(x[i]) + 2 * of_row)) < 1e-5f && fabsf(row[i % COLS] - of_row) < 1e-5f);
    }
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
}

/* ---- gates ------------------------------------------------------------------------------------------------------------ */

enum { STEPS = 5, SAMPLES = 3, UNITS = 48, GATES = 4 * UNITS }; /* planes of whole 64 bytes: their slices are views */

/* Outputs: the gradients of an lstm's weights and of the inputs of its gates; with keep also what would be written over: those inputs and the cells. */
static gen_graph *lstm_graph(bool keep)
{
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(STEPS, SAMPLES, GATES)), *xg = gen_scale(g, x, 2);
    gen_node *w = gen_param(g, "w", GEN_SHAPE(UNITS, GATES), (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = 0.3 });
    gen_node *state =
        gen_param(g, "state", GEN_SHAPE(SAMPLES, UNITS), (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = 1 });
    gen_node *planes = gen_lstm(g, xg, w, state, state), *h = gen_plane(g, planes, 5), *d[3];
    gen_gradient(g, gen_sum_all(g, gen_mul(g, h, h)), NULL, 3, (gen_node *[]){ w, x, state }, d);
    gen_output(g, "dw", d[0]);
    gen_output(g, "dx", d[1]);
    gen_output(g, "ds", d[2]);
    if (keep) gen_output(g, "xg", xg), gen_output(g, "cells", gen_plane(g, planes, 4));
    return g;
}

/* Does the result of the plan's step of this op lie where its first input does? */
static bool lies_on_input(const gen_plan *plan, gen_op op)
{
    for (int32_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].op == op)
            return plan->values[plan->steps[s].out[0]].offset == plan->values[plan->steps[s].in[0]].offset;
    fail_msg("no step of this op");
    return false;
}

static void run_lstm(bool keep, float dw[UNITS * GATES], float dx[STEPS * SAMPLES * GATES], float ds[SAMPLES * UNITS])
{
    gen_error err = { 0 };
    gen_device *device = open_cpu();
    gen_params *params = gen_params_new(device);
    gen_graph *g = lstm_graph(keep);
    gen_program *p;
    gen_plan *plan = plan_all(g, false);
    assert_no_overlap(plan);
    assert_int_equal(lies_on_input(plan, GEN_OP_LSTM), !keep);
    assert_int_equal(lies_on_input(plan, GEN_OP_LSTM_DX), !keep);
    gen_plan_free(plan);
    TEST_OK(gen_program_new(g, device, params, 4, &p, &err));
    float x[STEPS * SAMPLES * GATES];
    fill(x, STEPS * SAMPLES * GATES, 5);
    TEST_OK(gen_program_feed(p, "x", x, STEPS * SAMPLES * GATES, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
    TEST_OK(gen_program_fetch(p, "dw", dw, UNITS * GATES, &err));
    TEST_OK(gen_program_fetch(p, "dx", dx, STEPS * SAMPLES * GATES, &err));
    TEST_OK(gen_program_fetch(p, "ds", ds, SAMPLES * UNITS, &err));
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
}

TEST(plan_puts_the_gates_of_an_lstm_over_their_inputs_and_their_gradients_over_both)
{
    static float dw[2][UNITS * GATES], dx[2][STEPS * SAMPLES * GATES], ds[2][SAMPLES * UNITS];
    for (int keep = 0; keep < 2; keep++) run_lstm(keep, dw[keep], dx[keep], ds[keep]);
    assert_memory_equal(dw[0], dw[1], sizeof dw[0]);
    assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
    assert_memory_equal(ds[0], ds[1], sizeof ds[0]);
}

/* What was fed stays, so that a run can be repeated. */
TEST(plan_does_not_write_gates_over_what_was_fed)
{
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(STEPS, SAMPLES, GATES));
    gen_node *w = gen_param(g, "w", GEN_SHAPE(UNITS, GATES), (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = 0.3 });
    gen_node *zero = gen_fill(g, GEN_SHAPE(SAMPLES, UNITS), 0);
    gen_output(g, "h", gen_plane(g, gen_lstm(g, x, w, zero, zero), 5));
    gen_plan *plan = plan_all(g, false);
    assert_false(lies_on_input(plan, GEN_OP_LSTM));
    assert_no_overlap(plan);
    gen_plan_free(plan);
    gen_graph_free(g);
}

TEST(plan_assignments_see_the_values_from_before_the_step)
{
    gen_error err = { 0 };
    gen_device *device = open_cpu();
    gen_params *params = gen_params_new(device);
    gen_graph *g = gen_graph_new();
    gen_program *p;
    gen_node *a = gen_param(g, "a", GEN_SHAPE(4), (gen_param_spec){ .init = GEN_INIT_CONST, .a = 1 });
    gen_node *b = gen_param(g, "b", GEN_SHAPE(4), (gen_param_spec){ .init = GEN_INIT_CONST, .a = 10 });
    gen_assign(g, a, gen_add(g, a, b));                  /* 11 */
    gen_assign(g, b, gen_sub(g, b, gen_scale(g, a, 2))); /* 8, with the old a */
    gen_output(g, "before", a);
    TEST_OK(gen_program_new(g, device, params, 0, &p, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
    float value[4];
    read_param(params, "a", value);
    assert_true(value[0] == 11 && value[3] == 11);
    read_param(params, "b", value);
    assert_true(value[0] == 8 && value[3] == 8);
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
}

TEST(plan_survives_failing_allocations)
{
    gen_error err = { 0 };
    gen_status status = GEN_NO_MEMORY;
    for (uint64_t n = 1; status != GEN_OK && n < 2000; n++) {
        gen_alloc_fail_at(n);
        gen_graph *g = gen_graph_new();
        gen_plan *plan = NULL;
        err = (gen_error){ 0 };
        if (g) {
            gen_node *x = gen_input(g, "x", GEN_SHAPE(2, 6));
            gen_node *y = gen_relu(g, nn_dense(g, x, "fc", 3, (nn_dense_spec){ 0 }));
            status = gen_plan_new(g, &(gen_plan_request){ .n_outputs = 1, .outputs = &y }, &plan, &err);
        }
        gen_alloc_fail_at(0);
        if (g && status != GEN_OK) assert_int_equal(err.status, GEN_NO_MEMORY);
        gen_plan_free(plan);
        gen_graph_free(g);
    }
    assert_int_equal(status, GEN_OK);
}
