/* The update of all parameters in one launch: the same bits as with a launch for each, the same numbers as on the processor; and that calls are joined only
 * where nothing comes between them. */
#include <math.h>
#include <string.h>

#include "core/optim.h"
#include "core/program.h"
#include "core/rng.h"
#include "kernels/cuda/join.h"
#include "kernels/devices.h"
#include "tests/cuda_recorder.h"
#include "tests/test.h"

/* ---- updates ---------------------------------------------------------------------------------------------------------------- */

enum { N = 3, IN = 6, HIDDEN = 17, MORE = 64, N_STEPS = 4, MOST_PARAMS = 80 };

/* Shapes of all kinds: one number, odd ones, multiples of 4, and one of several pieces. */
static gen_node *net(gen_graph *g, const char *prefix, gen_node *x)
{
    static const int64_t widths[] = { HIDDEN, MORE, 4 * MORE + 8, 1 };
    for (int i = 0; i < 4; i++) {
        char w[32], b[32];
        const int64_t from = x->shape.dim[1];
        gen_param_spec spec = { .init = GEN_INIT_UNIFORM, .a = 1 / sqrt((double)from) };
        snprintf(w, sizeof w, "%sw%d", prefix, i);
        snprintf(b, sizeof b, "%sb%d", prefix, i);
        gen_node *y = gen_matmul(g, x, gen_param(g, w, GEN_SHAPE(from, widths[i]), spec), false, false);
        y = gen_add(g, y, gen_param(g, b, GEN_SHAPE(widths[i]), spec));
        x = i < 3 ? gen_tanh(g, y) : y;
    }
    return x;
}

/* A critic and what it judges, `critics` updates of one and one of the other; updates are kept only if all losses are finite. */
static gen_graph *two_nets(const gen_optim_options *o, int critics)
{
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(N, IN)), *loss = NULL;
    for (int i = 0; i < critics; i++) {
        gen_node *judged = gen_sub(g, net(g, "d.", x), net(g, "d.", gen_stop(g, gen_mul(g, x, net(g, "g.", x)))));
        gen_optim_minimise(g, gen_mean(g, gen_square(g, judged)), "d.", o);
    }
    loss = gen_mean(g, gen_square(g, net(g, "d.", gen_mul(g, x, net(g, "g.", x)))));
    gen_output(g, "loss", loss);
    gen_optim_minimise(g, loss, "g.", o);
    gen_optim_guard(g, loss);
    return g;
}

typedef struct stepped {
    gen_device *device;
    gen_params *params;
    gen_program *p;
} stepped;

static void open_stepped(stepped *s, gen_device *device, const gen_optim_options *o, int critics)
{
    gen_error err = { 0 };
    s->device = device;
    s->params = gen_params_new(device);
    TEST_OK(gen_program_new(two_nets(o, critics), device, s->params, 3, &s->p, &err));
}

/* by_call: each call is a graph of its own, so nothing is joined. */
static void take_steps(stepped *s, bool by_call)
{
    gen_error err = { 0 };
    float x[N * IN];
    for (uint64_t step = 0; step < N_STEPS; step++) {
        for (int i = 0; i < N * IN; i++) x[i] = gen_uniform_from_word(gen_random_word(1, (uint32_t)step, (uint64_t)i));
        TEST_OK(gen_program_feed(s->p, "x", x, N * IN, &err));
        const gen_run_state state = { .seed = 1, .step = step };
        if (by_call) TEST_OK(gen_session_find_not_finite(gen_program_session(s->p), state, &err));
        else TEST_OK(gen_program_run(s->p, state, &err));
    }
}

static void close_stepped(stepped *s)
{
    gen_program_free(s->p);
    gen_params_free(s->params);
    s->device->ops->close(s->device);
}

static float *values_of(const stepped *s, int32_t i, gen_arena *arena, int64_t *n)
{
    gen_error err = { 0 };
    const gen_param_info info = gen_params_get(s->params, i);
    *n = gen_shape_count(&info.shape);
    float *values = gen_arena_alloc(arena, (size_t)*n * sizeof *values);
    TEST_OK(gen_params_read(s->params, i, values, &err));
    return values;
}

/* What the steps made of all parameters, moments and averages: the same bits; tolerance: as near, of each tensor's size. */
static void same_values(const stepped *a, const stepped *b, double tolerance)
{
    gen_arena *arena = gen_arena_new();
    for (int32_t i = 0; i < gen_params_count(a->params); i++) {
        const char *name = gen_params_get(a->params, i).name;
        int64_t n;
        const float *x = values_of(a, i, arena, &n), *y = values_of(b, gen_params_find(b->params, name), arena, &n);
        double off = 0, size = 0;
        for (int64_t k = 0; k < n; k++) {
            off = fmax(off, fabs((double)x[k] - (double)y[k]));
            size = fmax(size, fabs((double)y[k]));
        }
        if (tolerance > 0 ? !(off <= tolerance * size) : memcmp(x, y, (size_t)n * sizeof *x) != 0)
            fail_msg("%s is off by %.2e of %.2e", name, off, size);
    }
    gen_arena_free(arena);
}

static gen_device *opened(const char *name)
{
    gen_error err = { 0 };
    gen_device *device;
    TEST_OK(gen_device_open(name, 1, &device, &err));
    return device;
}

static void updates_as_one_by_one(const char *name, const gen_optim_options *o, int critics)
{
    cuda_recorder joined, single;
    stepped s[3];
    open_stepped(&s[0], cuda_recorder_open(&joined, NULL), o, critics);
    const cuda_recorder once = joined;
    open_stepped(&s[1], cuda_recorder_open(&single, NULL), o, critics);
    open_stepped(&s[2], opened("cpu"), o, critics);
    const int32_t before = single.n_launches;
    for (int i = 0; i < 3; i++) take_steps(&s[i], i == 1);
    same_values(&s[0], &s[1], 0);
    same_values(&s[0], &s[2], 5e-3);
    test_note("cuda: %s: a step is %d launches, %d of them of many tensors, where one by one it would be %d", name,
              once.n_launches, once.n_of[CUDA_BODY_chains], (single.n_launches - before) / N_STEPS);
    /* one an update, one more where gradients of two passes are added in it, one or two for what the guard keeps */
    assert_in_range(once.n_of[CUDA_BODY_chains], critics + 1, 4 * (critics + 1));
    assert_int_equal(once.n_of[CUDA_BODY_squares], o->clip_norm > 0 ? critics + 1 : 0);
    for (int i = 0; i < 3; i++) close_stepped(&s[i]);
}

TEST(cuda_updates_of_all_parameters_are_one_launch)
{
    static const struct {
        const char *name;
        gen_optim_options o;
    } rows[] = {
        { "adam", { .rule = GEN_ADAM, .lr = 1e-3, .clip_norm = 0.1, .ema = 0.9 } },
        { "adamw", { .rule = GEN_ADAMW, .lr = 1e-3, .weight_decay = 0.1, .warmup_steps = 3 } },
        { "rmsprop", { .rule = GEN_RMSPROP, .lr = 1e-3, .clip_value = 0.2, .ema = 0.9 } },
        { "sgd", { .rule = GEN_SGD, .lr = 1e-2, .clip_norm = 1 } },
        { "momentum", { .rule = GEN_SGD, .lr = 1e-2, .momentum = 0.9, .weight_decay = 0.01, .ema = 0.99 } },
        { "two runs an update", { .rule = GEN_ADAM, .lr = 1e-3, .clip_norm = 0.1, .accumulate = 2 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        updates_as_one_by_one(rows[i].name, &rows[i].o, i % 2 ? 1 : 2);
}

/* A step whose loss is no finite number leaves parameters, moments and counters as they were. */
TEST(cuda_updates_in_one_launch_keep_the_guard)
{
    const gen_optim_options o = { .rule = GEN_ADAM, .lr = 1e-3, .clip_norm = 0.1, .ema = 0.9 };
    gen_error err = { 0 };
    cuda_recorder r, q;
    stepped s[2];
    float x[N * IN];
    open_stepped(&s[0], cuda_recorder_open(&r, NULL), &o, 1);
    open_stepped(&s[1], cuda_recorder_open(&q, NULL), &o, 1);
    for (int i = 0; i < 2; i++) take_steps(&s[i], false);
    for (int i = 0; i < N * IN; i++) x[i] = i ? 1 : NAN;
    TEST_OK(gen_program_feed(s[0].p, "x", x, N * IN, &err));
    TEST_OK(gen_program_run(s[0].p, (gen_run_state){ .seed = 1, .step = N_STEPS }, &err));
    same_values(&s[0], &s[1], 0);
    for (int i = 0; i < 2; i++) close_stepped(&s[i]);
}

/* ---- padding ---------------------------------------------------------------------------------------------------------------- */

enum { PAD_N = 2, PAD_SIDE = 6 };

/* Blocks of CycleGAN's kind: pad, conv, norm, relu; the last norm has a residual and no activation. */
static gen_graph *padded_net(gen_pad_mode mode, int64_t c, bool training)
{
    gen_graph *g = gen_graph_new();
    const gen_param_spec spec = { .init = GEN_INIT_UNIFORM, .a = 0.3 }, ones = { .init = GEN_INIT_CONST, .a = 1 };
    gen_node *x = gen_input(g, "x", GEN_SHAPE(PAD_N, PAD_SIDE, PAD_SIDE, c)), *first = x;
    for (int i = 0; i < 3; i++) {
        char w[24], gamma[24], beta[24];
        snprintf(w, sizeof w, "w%d", i);
        snprintf(gamma, sizeof gamma, "gamma%d", i);
        snprintf(beta, sizeof beta, "beta%d", i);
        x = gen_pad(g, x, mode, 1, 2, 1, 0);
        x = gen_conv2d(g, x, gen_param(g, w, GEN_SHAPE(3, 3, c, c), spec), gen_window_of(3, 1, 0));
        x = gen_group_norm(g, x, gen_param(g, gamma, GEN_SHAPE(c), ones), gen_param(g, beta, GEN_SHAPE(c), spec),
                           (int32_t)c, 1e-5);
        x = i < 2 ? gen_relu(g, x) : gen_add(g, x, first);
    }
    gen_node *loss = gen_mean(g, gen_square(g, gen_pad(g, x, mode, 2, 1, 1, 2)));
    gen_output(g, "loss", loss);
    if (training) gen_optim_minimise(g, loss, "", &(gen_optim_options){ .rule = GEN_SGD, .lr = 0.1 });
    return g;
}

typedef struct padded {
    stepped s;
    cuda_recorder r;
    double loss;
} padded;

static void run_padded(padded *t, gen_graph *g, int64_t c, bool by_call)
{
    gen_error err = { 0 };
    float x[PAD_N * PAD_SIDE * PAD_SIDE * 8];
    const int64_t n = PAD_N * PAD_SIDE * PAD_SIDE * c;
    for (int64_t i = 0; i < n; i++) x[i] = gen_uniform_from_word(gen_random_word(2, 0, (uint64_t)i)) - 0.5F;
    t->s.device = cuda_recorder_open(&t->r, NULL);
    t->s.params = gen_params_new(t->s.device);
    TEST_OK(gen_program_new(g, t->s.device, t->s.params, 3, &t->s.p, &err));
    TEST_OK(gen_program_feed(t->s.p, "x", x, n, &err));
    for (int i = 0; i < 2; i++) {
        if (by_call) TEST_OK(gen_session_find_not_finite(gen_program_session(t->s.p), (gen_run_state){ 0 }, &err));
        else TEST_OK(gen_program_run(t->s.p, (gen_run_state){ 0 }, &err));
    }
    TEST_OK(gen_program_fetch_scalar(t->s.p, "loss", &t->loss, &err));
}

static void pads_as_one_by_one(gen_pad_mode mode, int64_t c, bool training)
{
    padded joined, single;
    run_padded(&joined, padded_net(mode, c, training), c, false);
    run_padded(&single, padded_net(mode, c, training), c, true);
    same_values(&joined.s, &single.s, 0);
    assert_true(joined.loss == single.loss && isfinite(joined.loss));
    if (training) {
        assert_int_equal(joined.r.n_of[CUDA_BODY_norm_pad], 3);
        assert_int_equal(joined.r.n_of[CUDA_BODY_pad], 1); /* of the input */
        assert_in_range(joined.r.n_of[CUDA_BODY_pad_t], 0, 1);
        test_note("cuda: three norms with padding behind, %d channels: %d launches, %d of them a norm and padding; "
                  "%d of 3 adjoints of padding are a launch",
                  (int)c, joined.r.n_launches, joined.r.n_of[CUDA_BODY_norm_pad], joined.r.n_of[CUDA_BODY_pad_t]);
    }
    close_stepped(&joined.s);
    close_stepped(&single.s);
}

TEST(cuda_norms_write_into_padding)
{
    for (int64_t c = 3; c <= 8; c += 5) {
        pads_as_one_by_one(GEN_PAD_REFLECT, c, true);
        pads_as_one_by_one(GEN_PAD_REPLICATE, c, true);
        pads_as_one_by_one(GEN_PAD_REFLECT, c, false);
    }
}

/* ---- what may be joined ----------------------------------------------------------------------------------------------------- */

enum { MAX_CALLS = 40, SLOTS = 12, WIDTH = 9 };

/* Random elementwise calls, and now and then another one, on slots of one slab, which they read and write again and again. */
typedef struct slots {
    cuda_recorder r;
    gen_device *device;
    float *slab;
    gen_attr attr[MAX_CALLS];
    gen_view in[MAX_CALLS][2], out[MAX_CALLS][1];
    gen_call call[MAX_CALLS];
    int32_t n;
} slots;

static uint32_t dice(uint32_t *state, uint32_t sides)
{
    return gen_philox_block(7, (*state)++, 0, 0, 0).word[0] % sides;
}

static void random_call(slots *s, uint32_t *state)
{
    static const gen_op ops[] = { GEN_OP_ADD, GEN_OP_MAX, GEN_OP_AFFINE, GEN_OP_AFFINE, GEN_OP_ADD, GEN_OP_SUM };
    const int32_t i = s->n++;
    gen_call *c = &s->call[i];
    const gen_op op = ops[dice(state, sizeof ops / sizeof *ops)];
    const uint32_t to = dice(state, SLOTS);
    const int64_t n = op == GEN_OP_SUM || !dice(state, 6) ? 1 : WIDTH;
    s->attr[i] = (gen_attr){ .a = dice(state, 2) ? 0.5 : -0.25, .b = 1, .axes = 1 };
    *c = (gen_call){ .op = op, .n_in = gen_op_get(op)->n_in, .n_out = 1, .in = s->in[i], .out = s->out[i] };
    c->attr = &s->attr[i];
    c->epilogue.act = GEN_OP_COUNT;
    c->name = "some";
    c->out[0] = (gen_view){ s->slab + to * WIDTH, GEN_SHAPE(n) };
    for (int32_t k = 0; k < c->n_in; k++) {
        uint32_t from = dice(state, SLOTS);
        int64_t count = op == GEN_OP_SUM ? WIDTH : k && !dice(state, 3) ? 1 : n;
        if (count != n && from == to) from = (to + 1) % SLOTS; /* in place only where shapes are the same */
        c->in[k] = (gen_view){ s->slab + from * WIDTH, GEN_SHAPE(count) };
    }
}

static void open_slots(slots *s, uint32_t state, int32_t n)
{
    gen_error err = { 0 };
    float first[SLOTS * WIDTH];
    memset(s, 0, sizeof *s);
    s->device = cuda_recorder_open(&s->r, NULL);
    s->slab = s->device->ops->alloc(s->device, sizeof first);
    for (int i = 0; i < SLOTS * WIDTH; i++) first[i] = (float)i / 7;
    TEST_OK(s->device->ops->upload(s->device, s->slab, first, SLOTS * WIDTH, &err));
    while (s->n < n) random_call(s, &state);
}

static void run_slots(slots *s, int32_t at_once)
{
    gen_error err = { 0 };
    gen_exec *exec;
    for (int32_t i = 0; i < s->n; i += at_once) {
        TEST_OK(s->device->ops->compile(s->device, &s->call[i], at_once, &exec, &err));
        TEST_OK(s->device->ops->run(exec, &err));
        s->device->ops->exec_free(exec);
    }
}

TEST(cuda_join_changes_no_result)
{
    int32_t joined = 0, members = 0, alone = 0;
    for (uint32_t turn = 0; turn < 200; turn++) {
        static slots s[2];
        gen_arena *arena = gen_arena_new();
        for (int i = 0; i < 2; i++) {
            open_slots(&s[i], turn * 100000, MAX_CALLS);
            run_slots(&s[i], i ? 1 : MAX_CALLS);
        }
        assert_memory_equal(s[0].slab, s[1].slab, SLOTS * WIDTH * sizeof(float));
        int32_t n = s[0].n;
        const gen_call *calls = cuda_join_calls(s[0].call, &n, arena);
        for (int32_t i = 0; i < n; i++) {
            bool many = calls[i].op == GEN_OP_CHAIN && calls[i].n_out > 1;
            joined += many;
            members += many ? calls[i].n_out : 0;
            alone += !many;
        }
        gen_arena_free(arena);
        for (int i = 0; i < 2; i++) {
            s[i].device->ops->free(s[i].device, s[i].slab);
            s[i].device->ops->close(s[i].device);
        }
    }
    assert_int_equal(members + alone, 200 * MAX_CALLS);
    assert_true(joined > 200 && members > 2 * joined);
    test_note("cuda: of %d random calls %d were joined into %d, and none computed something else", 200 * MAX_CALLS,
              members, joined);
}
