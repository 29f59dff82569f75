/* Many steps on end on the GPU, without one: batches that kernels draw are the host's, bit for bit; a launch of many runs is as many single ones; a step without
 * a finite loss changes nothing; and between launches nothing is asked of the host. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "io/file.h"
#include "kernels/devices.h"
#include "models/batches.h"
#include "models/train.h"
#include "tests/cuda_recorder.h"
#include "tests/model_run.h"
#include "tests/test.h"

/* ---- batches ---------------------------------------------------------------------------------------------------------------- */

enum { MOST = 64 };

typedef struct drawn {
    gen_arena *arena;
    cuda_recorder r;
    gen_device *device;
    gen_dataset data;
    gen_batches *batches;
    gen_view x, y, label;
    gen_attr attr;
    gen_call call;
    gen_exec *exec;
    int64_t batch, width;
} drawn;

static void make_pictures(drawn *d, int64_t n, int32_t side, bool bytes)
{
    const size_t pixels = (size_t)n * (size_t)(side * side);
    uint8_t *px = gen_arena_alloc(d->arena, pixels);
    float *values = gen_arena_alloc(d->arena, pixels * sizeof *values);
    int32_t *labels = gen_arena_alloc(d->arena, (size_t)n * sizeof *labels);
    for (size_t i = 0; i < pixels; i++) {
        px[i] = (uint8_t)gen_random_below(3, 1, i, 256);
        values[i] = gen_uniform_from_word(gen_random_word(3, 2, i));
    }
    for (int64_t i = 0; i < n; i++) labels[i] = (int32_t)gen_random_below(3, 4, (uint64_t)i, 10);
    d->data =
        (gen_dataset){ .name = "noise", .n = n, .height_px = side, .width_px = side, .channels = 1, .labels = labels };
    if (bytes) d->data.px8 = px;
    else d->data.values = values;
}

/* A plan of one call, y = x^2, whose first number is kept. */
static void compile_drawn(drawn *d)
{
    gen_error err = { 0 };
    const gen_device_ops *ops = d->device->ops;
    const int64_t count = d->batch * d->width;
    d->x = (gen_view){ ops->alloc(d->device, (size_t)count * sizeof(float)), GEN_SHAPE(count) };
    d->y = (gen_view){ ops->alloc(d->device, (size_t)count * sizeof(float)), GEN_SHAPE(count) };
    d->label = (gen_view){ ops->alloc(d->device, (size_t)d->batch * sizeof(float)), GEN_SHAPE(d->batch) };
    d->call = (gen_call){ .op = GEN_OP_SQUARE, .n_in = 1, .n_out = 1, .in = &d->x, .out = &d->y, .attr = &d->attr };
    d->call.name = "square";
    d->call.epilogue.act = GEN_OP_COUNT;
    TEST_OK(ops->compile(d->device, &d->call, 1, &d->exec, &err));
}

static gen_loop loop_of(const drawn *d, const gen_rows *rows)
{
    return (gen_loop){
        .rows = rows, .x = d->x.data, .label = d->label.data, .n_numbers = 1, .number = { d->y.data }, .most = MOST
    };
}

static void close_drawn(drawn *d)
{
    const gen_device_ops *ops = d->device->ops;
    ops->exec_free(d->exec);
    ops->free(d->device, d->x.data);
    ops->free(d->device, d->y.data);
    ops->free(d->device, d->label.data);
    gen_batches_free(d->batches);
    ops->close(d->device);
    assert_true(d->r.closed);
    gen_arena_free(d->arena);
}

static void open_drawn(drawn *d, int64_t n, int32_t side, bool bytes)
{
    *d = (drawn){ .arena = gen_arena_new() };
    d->device = cuda_recorder_open(&d->r, NULL);
    d->width = side * side;
    make_pictures(d, n, side, bytes);
}

/* Step by step: batch and labels; then many steps in one go: what each put out. */
static void draws_as_the_host(drawn *d, uint64_t first, int32_t n)
{
    gen_error err = { 0 };
    gen_batch batch;
    const gen_rows rows = gen_batches_rows(d->batches);
    const gen_loop loop = loop_of(d, &rows);
    const gen_device_ops *ops = d->device->ops;
    const size_t count = (size_t)(d->batch * d->width);
    float *x = gen_arena_alloc(d->arena, count * sizeof *x), numbers[MOST], labels[256];
    TEST_OK(ops->loop(d->exec, &d->call, 1, &loop, &err));
    for (uint64_t step = first; step < first + (uint64_t)n; step++) {
        TEST_OK(ops->run_loop(d->exec, (gen_run_state){ .step = step }, 1, numbers, &err));
        TEST_OK(ops->download(d->device, x, d->x.data, count, &err));
        TEST_OK(ops->download(d->device, labels, d->label.data, (size_t)d->batch, &err));
        TEST_OK(gen_batches_make(d->batches, (int64_t)step, &batch, &err));
        assert_memory_equal(x, batch.x, count * sizeof *x);
        assert_memory_equal(labels, batch.labels, (size_t)d->batch * sizeof *labels);
        assert_true(numbers[0] == x[0] * x[0]);
    }
    TEST_OK(ops->run_loop(d->exec, (gen_run_state){ .step = first }, n, numbers, &err));
    for (int32_t i = 0; i < n; i++) {
        TEST_OK(gen_batches_make(d->batches, (int64_t)first + i, &batch, &err));
        assert_true(numbers[i] == batch.x[0] * batch.x[0]);
    }
}

TEST(cuda_loop_draws_the_batches_of_the_host)
{
    static const struct {
        int64_t n, first, used, batch;
        int32_t side;
        bool bytes;
        uint64_t step;
        int32_t steps;
    } rows[] = {
        { 100, 0, 100, 10, 3, true, 0, 40 },    { 100, 20, 71, 7, 2, false, 5, 33 },
        { 1, 0, 1, 1, 1, true, 0, 5 },          { 3, 1, 2, 1, 2, true, 0, 20 },
        { 1000, 0, 1000, 32, 1, true, 29, 40 }, { 64, 0, 64, 64, 5, false, 0, 8 },
        { 300, 0, 300, 3, 70, true, 98, 8 },    { 2000, 3, 1997, 200, 1, true, 1000003, 21 },
    };
    gen_error err = { 0 };
    int n_batches = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        drawn d;
        open_drawn(&d, rows[i].n, rows[i].side, rows[i].bytes);
        d.batch = rows[i].batch;
        TEST_OK(
            gen_batches_new(&d.data, (gen_range){ rows[i].first, rows[i].used }, d.batch, 1, 11 + i, &d.batches, &err));
        compile_drawn(&d);
        draws_as_the_host(&d, rows[i].step, rows[i].steps);
        n_batches += 2 * rows[i].steps;
        close_drawn(&d);
    }
    test_note("cuda: %d batches that kernels drew are the host's, bit for bit", n_batches);
}

TEST(cuda_loop_draws_from_two_sets_and_in_order)
{
    gen_error err = { 0 };
    drawn d;
    open_drawn(&d, 50, 3, true);
    d.batch = 6; /* 3 of 13 pictures, which is no whole number of times, and 3 of 20 */
    TEST_OK(gen_batches_new_pair(&d.data, (gen_range){ 2, 13 }, (gen_range){ 30, 20 }, d.batch, 5, &d.batches, &err));
    compile_drawn(&d);
    draws_as_the_host(&d, 2, 50);
    close_drawn(&d);
    open_drawn(&d, 50, 3, false);
    d.batch = 6;
    TEST_OK(gen_batches_new_in_order(&d.data, (gen_range){ 5, 41 }, d.batch, &d.batches, &err));
    compile_drawn(&d);
    draws_as_the_host(&d, 1, 30);
    close_drawn(&d);
}

/* Between two launches the host says nothing, and reads only what it asked for; a state that does not follow costs one copy. */
TEST(cuda_loop_tells_the_device_nothing_between_launches)
{
    gen_error err = { 0 };
    drawn d;
    float numbers[MOST];
    open_drawn(&d, 100, 3, true);
    d.batch = 2;
    TEST_OK(gen_batches_new(&d.data, (gen_range){ 0, 100 }, d.batch, 1, 1, &d.batches, &err));
    compile_drawn(&d);
    const gen_rows rows = gen_batches_rows(d.batches);
    const gen_loop loop = loop_of(&d, &rows);
    TEST_OK(d.device->ops->loop(d.exec, &d.call, 1, &loop, &err));
    TEST_OK(d.device->ops->run_loop(d.exec, (gen_run_state){ .seed = 4 }, 1, numbers, &err));
    const cuda_recorder before = d.r;
    const uint64_t allocations = gen_alloc_count();
    TEST_OK(d.device->ops->run_loop(d.exec, (gen_run_state){ .seed = 4, .step = 1 }, 40, numbers, &err));
    TEST_OK(d.device->ops->run_loop(d.exec, (gen_run_state){ .seed = 4, .step = 41 }, 40, numbers, &err));
    assert_int_equal(gen_alloc_count(), allocations);
    assert_int_equal(d.r.n_copies_in, before.n_copies_in);
    assert_int_equal(d.r.n_copies_out - before.n_copies_out, 1 + 2); /* the ring of 64 starts again once */
    assert_int_equal(d.r.n_runs - before.n_runs, 2 * (1 + 8));       /* 32 runs in a launch, and 8 alone */
    assert_int_equal(d.r.n_launches, before.n_launches);
    TEST_OK(d.device->ops->run_loop(d.exec, (gen_run_state){ .seed = 4, .step = 7 }, 1, numbers, &err));
    assert_int_equal(d.r.n_copies_in, before.n_copies_in + 1);
    close_drawn(&d);
}

/* After all that the loop still does what it should. */
static void draws_as_the_host_now(drawn *d, uint64_t step)
{
    gen_error err = { 0 };
    gen_batch batch;
    float number;
    TEST_OK(d->device->ops->run_loop(d->exec, (gen_run_state){ .seed = 9, .step = step }, 1, &number, &err));
    TEST_OK(gen_batches_make(d->batches, (int64_t)step, &batch, &err));
    assert_true(number == batch.x[0] * batch.x[0]);
}

TEST(cuda_loop_survives_every_failure)
{
    gen_error err = { 0 };
    drawn d;
    float numbers[MOST];
    int failures = 0;
    open_drawn(&d, 40, 2, true);
    d.batch = 4;
    TEST_OK(gen_batches_new(&d.data, (gen_range){ 0, 40 }, d.batch, 1, 1, &d.batches, &err));
    compile_drawn(&d);
    const gen_rows rows = gen_batches_rows(d.batches);
    const gen_loop loop = loop_of(&d, &rows);
    const int32_t blocks = d.r.n_blocks, graphs = d.r.n_graphs;
    for (bool done = false; !done; failures++) {
        gen_error why = { 0 };
        d.r.fail_at = failures + 1;
        gen_status status = d.device->ops->loop(d.exec, &d.call, 1, &loop, &why);
        done = status == GEN_OK;
        d.r.fail_at = 0;
        if (done) break;
        assert_true(status == GEN_NO_MEMORY || status == GEN_NO_DEVICE);
        assert_true(*why.text);
        assert_int_equal(d.r.n_blocks, blocks);
        assert_int_equal(d.r.n_graphs, graphs);
    }
    assert_true(failures > 20);
    for (int32_t at = 1; at <= 3; at++) { /* a copy of the state, a graph, reading */
        gen_error why = { 0 };
        d.r.fail_at = at;
        gen_status status =
            d.device->ops->run_loop(d.exec, (gen_run_state){ .seed = 9, .step = (uint64_t)at }, 1, numbers, &why);
        assert_int_equal(status, GEN_NO_DEVICE);
        assert_string_equal(why.text, "cuda (emulated): running a plan failed: it was told to fail");
    }
    draws_as_the_host_now(&d, 3);
    close_drawn(&d);
}

TEST(cuda_loop_refuses_what_it_cannot_draw)
{
    gen_error err = { 0 };
    drawn d;
    open_drawn(&d, 10, 2, true);
    d.batch = 30; /* three times 10 pictures: three passes a run */
    TEST_OK(gen_batches_new(&d.data, (gen_range){ 0, 10 }, d.batch, 3, 1, &d.batches, &err));
    compile_drawn(&d);
    const gen_rows rows = gen_batches_rows(d.batches);
    const gen_loop loop = loop_of(&d, &rows);
    assert_int_equal(d.device->ops->loop(d.exec, &d.call, 1, &loop, &err), GEN_UNSUPPORTED);
    close_drawn(&d);
}

/* ---- steps ------------------------------------------------------------------------------------------------------------------ */

enum { N_PICTURES = 24, SIDE = 8, BATCH = 4, N_STEPS = 11 };

typedef struct stepped {
    cuda_recorder r;
    test_model t;
    gen_dataset data;
    gen_batches *batches;
    gen_program *p;
    float loss[N_STEPS];
} stepped;

/* A small VAE on the recorder, whose steps draw random numbers and hold an Adam with averages. picture `bad`: not a number; -1: none. */
static void open_stepped(stepped *s, int64_t bad)
{
    gen_error err = { 0 };
    test_model_open(&s->t, "vae", NULL, "net=mlp hidden=8 latent=2 ema=0.9 clip-norm=1", N_PICTURES, SIDE, SIDE, 1);
    gen_params_free(s->t.params);
    s->t.device->ops->close(s->t.device);
    s->t.device = cuda_recorder_open(&s->r, NULL);
    s->t.params = gen_params_new(s->t.device);
    if (bad >= 0) s->t.x[bad * SIDE * SIDE] = NAN;
    s->data = (gen_dataset){
        .name = "blobs", .n = N_PICTURES, .height_px = SIDE, .width_px = SIDE, .channels = 1, .values = s->t.x
    };
    TEST_OK(gen_batches_new(&s->data, (gen_range){ 0, N_PICTURES }, BATCH, 1, 3, &s->batches, &err));
    gen_graph *g = gen_graph_new();
    gen_model_context m = { .options = s->t.settings.options, .batch = BATCH, .height = SIDE, .width = SIDE };
    m.channels = 1;
    m.n_steps = 100;
    m.steps_per_epoch = 10;
    m.optim = gen_settings_optim(&s->t.settings, 100, 10);
    s->t.model->train(g, &m);
    gen_optim_guard(g, gen_graph_output(g, 0, NULL));
    TEST_OK(gen_program_new(g, s->t.device, s->t.params, 1, &s->p, &err));
}

static void close_stepped(stepped *s)
{
    gen_program_free(s->p);
    gen_batches_free(s->batches);
    test_model_close(&s->t);
    assert_true(s->r.closed);
}

/* `at_once` steps in a go; 0: fed by the host. left_out: a step that is not taken; -1: none. */
static void take_steps(stepped *s, int32_t at_once, int64_t left_out)
{
    gen_error err = { 0 };
    gen_batch batch;
    float numbers[N_STEPS * GEN_MAX_NUMBERS];
    const int32_t n_outputs = gen_program_outputs(s->p);
    const gen_rows rows = gen_batches_rows(s->batches);
    if (at_once) TEST_OK(gen_session_loop(gen_program_session(s->p), &rows, N_STEPS, &err));
    for (int64_t step = 0; step < N_STEPS; step += at_once ? at_once : 1) {
        const gen_run_state state = { .seed = 1, .step = (uint64_t)step };
        const int32_t n = at_once && step + at_once > N_STEPS ? (int32_t)(N_STEPS - step) : at_once;
        if (step == left_out) continue;
        if (at_once) {
            TEST_OK(gen_session_run_loop(gen_program_session(s->p), state, n, numbers, &err));
            for (int32_t i = 0; i < n; i++) s->loss[step + i] = numbers[i * n_outputs];
            continue;
        }
        TEST_OK(gen_batches_make(s->batches, step, &batch, &err));
        TEST_OK(gen_program_feed(s->p, "x", batch.x, BATCH * SIDE * SIDE, &err));
        TEST_OK(gen_program_run(s->p, state, &err));
        TEST_OK(gen_program_fetch(s->p, gen_program_output_name(s->p, 0), &s->loss[step], 1, &err));
    }
}

static void same_parameters(stepped *a, stepped *b)
{
    assert_int_equal(gen_params_count(a->t.params), gen_params_count(b->t.params));
    for (int32_t i = 0; i < gen_params_count(a->t.params); i++) {
        int64_t n;
        const float *x = test_model_values(&a->t, i, &n), *y = test_model_values(&b->t, i, &n);
        if (memcmp(x, y, (size_t)n * sizeof *x)) fail_msg("%s differs", gen_params_get(a->t.params, i).name);
    }
}

TEST(cuda_loop_of_many_steps_is_as_many_single_ones)
{
    static const int32_t at_once[] = { 1, 2, 5, N_STEPS };
    stepped host, device;
    open_stepped(&host, -1);
    take_steps(&host, 0, -1);
    for (size_t i = 0; i < sizeof at_once / sizeof *at_once; i++) {
        open_stepped(&device, -1);
        take_steps(&device, at_once[i], -1);
        assert_memory_equal(device.loss, host.loss, sizeof host.loss);
        same_parameters(&device, &host);
        close_stepped(&device);
    }
    close_stepped(&host);
}

/* The step that has the bad picture in its batch, of the first pass. */
static int64_t step_of(stepped *s, int64_t picture)
{
    gen_error err = { 0 };
    gen_batch batch;
    for (int64_t step = 0; step < N_PICTURES / BATCH; step++) {
        TEST_OK(gen_batches_make(s->batches, step, &batch, &err));
        for (int64_t i = 0; i < BATCH; i++)
            if (!memcmp(batch.x + i * SIDE * SIDE, s->t.x + picture * SIDE * SIDE, SIDE * SIDE * sizeof(float)))
                return step;
    }
    fail_msg("picture %d is in no batch", (int)picture);
    return -1;
}

TEST(cuda_loop_step_without_a_finite_loss_changes_nothing)
{
    enum { BAD = 5 };
    stepped whole, without;
    open_stepped(&whole, -1);
    const int64_t step = step_of(&whole, BAD);
    close_stepped(&whole);
    open_stepped(&whole, BAD);
    open_stepped(&without, BAD);
    take_steps(&whole, 3, -1);
    take_steps(&without, 0, step); /* its second pass has the picture again, which the guard sees here too */
    for (int64_t i = 0; i < N_PICTURES / BATCH; i++) {
        assert_int_equal(isfinite(whole.loss[i]), i != step);
        if (i != step) assert_true(whole.loss[i] == without.loss[i]);
    }
    same_parameters(&whole, &without);
    close_stepped(&whole);
    close_stepped(&without);
}

/* ---- whole trainings -------------------------------------------------------------------------------------------------------- */

typedef struct trained {
    gen_arena *arena;
    cuda_recorder r;
    gen_device *device;
    gen_device_ops ops;
    gen_settings settings;
    gen_dataset data;
    gen_run *run;
    const char *folder;
    int32_t n_steps; /* that the sink was told of */
} trained;

static void count_steps(void *context, const gen_event *e)
{
    trained *t = context;
    t->n_steps += e->kind == GEN_EVENT_STEP;
}

static void train_on_recorder(trained *t, const char *name, bool on_end, float bad)
{
    static const char *const options[][2] = {
        { "net", "mlp" },    { "hidden", "8" },          { "latent", "2" },           { "batch", "4" },
        { "steps", "23" },   { "sample-every", "1000" }, { "checkpoint-every", "9" }, { "log-every", "5" },
        { "on-nan", "skip" }
    };
    gen_error err = { 0 };
    *t = (trained){ .arena = gen_arena_new() };
    t->device = cuda_recorder_open(&t->r, NULL);
    t->ops = *t->device->ops;
    if (!on_end) t->ops.loop = NULL;
    t->device->ops = &t->ops;
    float *x = gen_arena_alloc(t->arena, 40 * SIDE * SIDE * sizeof *x);
    for (uint64_t i = 0; i < 40 * SIDE * SIDE; i++) x[i] = gen_uniform_from_word(gen_random_word(1, 2, i));
    x[17 * SIDE * SIDE] = bad;
    t->data =
        (gen_dataset){ .name = "noise", .n = 40, .height_px = SIDE, .width_px = SIDE, .channels = 1, .values = x };
    t->data.splits[GEN_SPLIT_TRAIN] = (gen_range){ 0, 40 };
    TEST_OK(gen_settings_start(&t->settings, gen_model_find("vae"), t->arena, &err));
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        TEST_OK(gen_settings_set(&t->settings, options[i][0], options[i][1], &err));
    t->folder = t->settings.train.out = gen_path_join(t->arena, test_folder(), name);
    TEST_OK(gen_run_create(&t->settings, &t->data, t->device, &t->run, &err));
    TEST_OK(gen_train(t->run, &t->data, &(gen_train_hooks){ .sink = { count_steps, t } }, &err));
}

static void close_trained(trained *t)
{
    gen_run_close(t->run);
    t->device->ops->close(t->device);
    gen_arena_free(t->arena);
}

static void same_checkpoint(const trained *a, const trained *b, const char *name)
{
    gen_error err = { 0 };
    gen_bytes one, two;
    TEST_OK(gen_file_read(gen_path_join(a->arena, a->folder, name), GEN_FILE_ANY_SIZE, a->arena, &one, &err));
    TEST_OK(gen_file_read(gen_path_join(b->arena, b->folder, name), GEN_FILE_ANY_SIZE, b->arena, &two, &err));
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
}

/* Through gen_train: checkpoints on the way and at the end, with all of Adam's state, are those of a training whose batches the host made. */
TEST(cuda_loop_trains_as_batches_from_the_host_do)
{
    trained host, device;
    train_on_recorder(&host, "host", false, 0.5f);
    train_on_recorder(&device, "device", true, 0.5f);
    assert_true(device.r.n_copies_in < host.r.n_copies_in - 23);
    assert_int_equal(host.n_steps, 23);
    assert_int_equal(device.n_steps, 23);
    same_checkpoint(&host, &device, "checkpoints/step-00000009.safetensors");
    same_checkpoint(&host, &device, "checkpoints/step-00000023.safetensors");
    same_checkpoint(&host, &device, "checkpoints/step-00000023.state.safetensors");
    close_trained(&host);
    close_trained(&device);
}

/* A picture that is no number, in two of the 23 batches of 40 pictures: the host goes back and leaves the step out, the device never makes it. */
TEST(cuda_loop_leaves_out_what_the_host_would)
{
    trained host, device;
    train_on_recorder(&host, "host-nan", false, NAN);
    train_on_recorder(&device, "device-nan", true, NAN);
    assert_true(host.run->progress.skipped > 0);
    assert_int_equal(device.run->progress.skipped, host.run->progress.skipped);
    assert_int_equal(device.n_steps, host.n_steps);
    same_checkpoint(&host, &device, "checkpoints/step-00000023.safetensors");
    same_checkpoint(&host, &device, "checkpoints/step-00000023.state.safetensors");
    close_trained(&host);
    close_trained(&device);
}
