/* The GPU's kernels without a GPU. The rows of op_cases.h run in the emulator as a rung of test_op_cases.c; here: which ops those are, and that the
 * emulator itself sees what it is made to see. */
#define GEN_EMULATE
#include "kernels/cuda/body.h"
#include "tests/cuda_emulator.h"
#include "tests/test.h"

/* Ops without one are named: so nobody believes that all is covered when it is not. */
TEST(cuda_ops_that_run_in_the_emulator)
{
    int have = 0, all = 0;
    char missing[1024] = "";
    size_t used = 0;
    for (gen_op op = 0; op < GEN_OP_COUNT; op++) {
        const gen_op_info *info = gen_op_get(op);
        if (info->flags & (OP_SOURCE | OP_VIEW)) continue; /* no kernel anywhere */
        all++;
        if (cuda_has(op)) have++;
        else used += (size_t)snprintf(missing + used, sizeof missing - used, " %s", info->name);
    }
    test_note("cuda: %d ops of %d run in the emulator%s%s", have, all, used ? "; without a kernel:" : "", missing);
    assert_int_equal(have, all);
}

/* ---- the emulator sees races ---- */

typedef struct sums_args {
    int *y; /* [CUDA_THREADS] of each block */
} sums_args;

typedef sums_args racy_sums_args;

/* Running sums, step by step of twice the reach: what a thread reads in a phase, no other writes in it. */
void emulated_sums(const void *args);
GEN_KERNEL(sums)
{
    GEN_SHARED(int, from, CUDA_THREADS);
    GEN_SHARED(int, to, CUDA_THREADS);
    GEN_FOR_THREADS(t) from[t] = 1;
    for (int reach = 1; reach < CUDA_THREADS; reach *= 2) {
        GEN_FOR_THREADS(t) to[t] = t >= reach ? from[t] + from[t - reach] : from[t];
        GEN_FOR_THREADS(t) from[t] = to[t];
    }
    GEN_FOR_THREADS(t) a->y[GEN_BLOCK * CUDA_THREADS + t] = from[t];
}

/* The same with the second array forgotten. */
void emulated_racy_sums(const void *args);
GEN_KERNEL(racy_sums)
{
    GEN_SHARED(int, from, CUDA_THREADS);
    GEN_FOR_THREADS(t) from[t] = 1;
    for (int reach = 1; reach < CUDA_THREADS; reach *= 2) {
        GEN_FOR_THREADS(t)
        if (t >= reach) from[t] += from[t - reach];
    }
    GEN_FOR_THREADS(t) a->y[GEN_BLOCK * CUDA_THREADS + t] = from[t];
}

enum { N_BLOCKS = 3 };

static int wrong_sums_of(void (*body)(const void *args))
{
    int y[N_BLOCKS * CUDA_THREADS], wrong = 0;
    sums_args args = { y };
    cuda_emulate_body(body, N_BLOCKS, &args);
    for (int i = 0; i < N_BLOCKS * CUDA_THREADS; i++) wrong += y[i] != i % CUDA_THREADS + 1;
    return wrong;
}

TEST(cuda_emulator_hands_data_from_phase_to_phase)
{
    for (int run = 0; run < 10; run++) assert_int_equal(wrong_sums_of(emulated_sums), 0);
}

TEST(cuda_emulator_shows_a_race_within_a_phase)
{
    for (int run = 0; run < 10; run++) assert_true(wrong_sums_of(emulated_racy_sums) > 0);
}

/* ---- what is refused ---- */

TEST(cuda_refuses_what_its_kernels_cannot_count)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    cuda_launches list = { .arena = arena };
    gen_attr attr = { 0 };
    gen_view x = { NULL, GEN_SHAPE(1 << 15, 1 << 15) };
    gen_call call = { .op = GEN_OP_EXP, .n_in = 1, .n_out = 1, .in = &x, .out = &x, .attr = &attr, .name = "big" };
    assert_int_equal(cuda_lower(&call, &list, &err), GEN_UNSUPPORTED);
    assert_string_equal(err.text,
                        "big: exp has [32768,32768], the GPU's kernels count to 2^30 elements: use a smaller batch");
    err = (gen_error){ 0 };
    call.op = GEN_OP_INPUT;
    assert_int_equal(cuda_lower(&call, &list, &err), GEN_UNSUPPORTED);
    assert_string_equal(err.text, "big: the GPU has no kernel for input");
    assert_int_equal(list.n, 0);
    gen_arena_free(arena);
}
