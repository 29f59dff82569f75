/* gen bench on a device that takes many steps on end, without a GPU: the steps that are timed are training's, and the time is that of one of them. */
#include "tests/cuda_recorder.h"
#include "tests/test.h"
#include "tools/cli/workload.h"

enum { N_STEPS = 60 };

typedef struct bench {
    cuda_recorder r;
    gen_device *device;
    cli_args a;
    cli_loaded l;
} bench;

static void open_bench(bench *b, const cli_workload *w)
{
    gen_error err = { 0 };
    *b = (bench){ .a.arena = gen_arena_new() };
    b->device = cuda_recorder_open(&b->r, NULL);
    TEST_OK(cli_workload_load(&b->a, w, b->device, &b->l, &err));
}

static void close_bench(bench *b)
{
    cli_workload_unload(&b->l);
    b->device->ops->close(b->device);
    assert_true(b->r.closed);
    gen_arena_free(b->a.arena);
}

TEST(cuda_bench_times_steps_on_end)
{
    static const cli_workload w = { "small", "vae", "kingma", 2, 6, 6, 1, { 0 }, 0, 0 };
    gen_error err = { 0 };
    cli_step_timing took;
    bench b;
    open_bench(&b, &w);
    assert_non_null(b.l.rolling);
    b.r.idle = true; /* so that many steps fit between two looks at the clock */
    const cuda_recorder before = b.r;
    const double began = cli_now_s();
    TEST_OK(cli_workload_measure(&b.l, 0, N_STEPS, &took, &err));
    const double all_ms = 1e3 * (cli_now_s() - began);
    assert_int_equal(took.steps, N_STEPS);
    assert_true(took.ms > 0 && took.ms <= all_ms / N_STEPS);
    assert_int_equal(b.r.n_ran[CUDA_BODY_take_rows],
                     N_STEPS + 2); /* with two of warm-up; each with a batch of its own, */
    assert_int_equal(b.r.n_ran[CUDA_BODY_loop_end], N_STEPS + 2); /* and counted on the device */
    assert_int_equal(b.r.n_copies_in - before.n_copies_in, 1);    /* the first state; then the host said nothing */
    assert_true(b.r.n_copies_out - before.n_copies_out < N_STEPS / 2);
    assert_true(took.most > N_STEPS / 2 && b.r.n_runs - before.n_runs < N_STEPS / 2); /* a launch is several steps */
    test_note("cuda: gen bench times %d steps in %d launches, up to %d between two looks at the clock", N_STEPS,
              b.r.n_runs - before.n_runs, (int)took.most);
    close_bench(&b);
}
