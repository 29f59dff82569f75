#define GEN_EMULATE
#define BODY(name) void emulated_##name(const void *args);
#include "kernels/cuda/body_list.h"
#undef BODY
#include "kernels/cuda/bodies.kh"
#include "tests/cuda_emulator.h"

#include "core/rng.h"
#include "kernels/cuda/libraries.h"
#include "tests/cuda_fake_cublaslt.h"
#include "tests/test.h"

#include <pthread.h>

/* ---- orders: forwards, backwards, and some permutations ---- */

enum { N_ORDERS = 32 };

static int orders[N_ORDERS][CUDA_THREADS + 1];
static pthread_once_t orders_made = PTHREAD_ONCE_INIT;

static void make_orders(void)
{
    uint32_t order[CUDA_THREADS];
    for (uint32_t k = 0; k < N_ORDERS; k++) {
        gen_shuffle(1, k, order, CUDA_THREADS);
        for (int t = 0; t < CUDA_THREADS; t++)
            orders[k][t] = k == 0 ? t : k == 1 ? CUDA_THREADS - 1 - t : (int)order[t];
    }
}

_Thread_local emulated_block emulated;

int emulated_shuffle(void)
{
    emulated.dice = emulated.dice * 1664525u + 1013904223u; /* Numerical Recipes' quick generator */
    emulated.order = orders[(emulated.dice >> 16) % N_ORDERS];
    return 0;
}

/* ---- launches ---- */

static void (*const bodies[])(const void *args) = {
#define BODY(name) emulated_##name,
#include "kernels/cuda/body_list.h"
#undef BODY
};

/* Blocks run as first + i step modulo their number, where step and number have no common factor. */
static int step_of(int blocks)
{
    for (int step = (int)(emulated.dice >> 8) % blocks;; step++) {
        int a = blocks, b = step;
        while (b) {
            int rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1) return step;
    }
}

void cuda_emulate_body(void (*body)(const void *args), int32_t blocks, const void *args)
{
    assert_in_range(blocks, 1, 0x7fffffff);
    pthread_once(&orders_made, make_orders);
    emulated_shuffle();
    emulated.blocks = blocks;
    const int64_t step = step_of(blocks), first = emulated.dice % (uint32_t)blocks;
    for (int i = 0; i < blocks; i++) {
        emulated.block = (int)((first + i * step) % blocks);
        body(args);
    }
}

void cuda_emulate(const cuda_launch *launch)
{
    enum { LARGEST_ARGUMENTS = 4096 };
    if (launch->body == CUDA_LIBRARY) {
        const cuda_library_call *call = launch->args;
        assert_int_equal(call->run(call, NULL), 0);
        return;
    }
    assert_in_range(launch->args_bytes, 1, LARGEST_ARGUMENTS);
    emulated.n_crooked = 0;
    cuda_emulate_body(bodies[launch->body], launch->blocks, launch->args);
    if (emulated.n_crooked)
        fail_msg("%s: %lld accesses of 16 bytes at places that are no multiples of 16", cuda_body_name(launch->body),
                 (long long)emulated.n_crooked);
}

/* ---- a call, as a rung ---- */

static void emulate_call(const gen_call *c, cuda_products products)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    cuda_launches count = { .arena = arena, .state = c->state, .products = products }, list = count;
    TEST_OK(cuda_lower(c, &count, &err));
    char *scratch = gen_alloc(1, count.scratch_bytes);
    memset(scratch, 0xff, count.scratch_bytes); /* not a number */
    list.scratch = (uintptr_t)scratch;
    list.table_here = gen_arena_alloc(arena, count.table_bytes + 1); /* host memory is the device's */
    list.table = (uintptr_t)list.table_here;
    TEST_OK(cuda_lower(c, &list, &err));
    assert_int_equal(list.n, count.n);
    for (int32_t i = 0; i < list.n; i++) cuda_emulate(&list.launch[i]);
    gen_free(scratch);
    gen_arena_free(arena);
}

static void emulated_run(const gen_call *c, const cpu_job *job)
{
    (void)job;
    emulate_call(c, (cuda_products){ 0 });
}

const cpu_kernel cuda_emulated_kernel = { "cuda emulated", NULL, NULL, NULL, emulated_run };

/* ---- the same with libraries that are none ---- */

static void library_run(const gen_call *c, const cpu_job *job)
{
    cuda_products products = fake_products(CUDA_FP32);
    (void)job;
    emulate_call(c, products);
    cuda_products_close(&products);
    fake_products_are_gone();
}

const cpu_kernel cuda_library_kernel = { "cuda emulated with libraries", NULL, NULL, NULL, library_run };
