/* tests/bench_kernels.c: a private driver of the kernels in kernels/cpu/vec: checks each against loops in double and times it. Not part of gen-test.
 *
 *     bench_kernels [seconds per case] [threads] [words that a case's name must contain …]
 *
 * Compiled with -DBENCH_ISA=base|avx2|avx512 and the files of kernels/cpu/vec for the same set; every kernel of vec_list.h that fits is run.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/rng.h"
#include "kernels/cpu/kernel.h"

#define JOIN_(a, b) cpu_##a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define CPU_VEC(op, symbol) extern const cpu_kernel JOIN(symbol, BENCH_ISA); /* again and again is fine */
#include "kernels/cpu/vec_list.h"
#undef CPU_VEC

static const struct {
    gen_op op;
    const cpu_kernel *kernel;
} kernels[] = {
#define CPU_VEC(id, symbol) { GEN_OP_##id, &JOIN(symbol, BENCH_ISA) },
#include "kernels/cpu/vec_list.h"
#undef CPU_VEC
};

#define OP(id, name, n_in, infer, grad, flags, dtype, computes) extern const cpu_kernel cpu_ref_##name;
#include "core/op_list.h"
#undef OP

static double seconds = 0.2;
static int n_threads = 2, n_words, failures;
static char **words;

/* ---- a pool of spinning threads --------------------------------------------------------------------------------------------------------------- */

static const gen_call *pool_call;
static const cpu_kernel *pool_kernel;
static cpu_job pool_job;
static char *pool_scratch[16];
static atomic_int pool_next, pool_done, pool_round;

static void work(int thread, int parts)
{
    for (int part; (part = atomic_fetch_add(&pool_next, 1)) < parts;) {
        cpu_job job = pool_job;
        job.part = part, job.thread = thread, job.scratch = pool_scratch[thread];
        pool_kernel->run(pool_call, &job);
    }
}

static void *thread_main(void *context)
{
    int thread = (int)(intptr_t)context, seen = 0;
    for (;;) {
        while (atomic_load(&pool_round) == seen) __builtin_ia32_pause();
        seen = atomic_load(&pool_round);
        if (seen < 0) return NULL;
        work(thread, pool_job.parts);
        atomic_fetch_add(&pool_done, 1);
    }
}

static void *memory(size_t bytes)
{
#ifdef __SANITIZE_ADDRESS__
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64); /* no slack to hide in */
#else
    void *p = aligned_alloc(4096, (bytes + 8191) / 4096 * 4096);
#endif
    memset(p, 0xff, bytes); /* NaN */
    return p;
}

typedef struct bound {
    cpu_work work;
    void *shared, *keep;
} bound;

static void bind(const cpu_kernel *k, const gen_call *c, bound *b)
{
    memset(b, 0, sizeof *b);
    b->work.n_phases = 1;
    for (int i = 0; i < CPU_MAX_PHASES; i++) b->work.parts[i] = 1;
    if (k->setup) k->setup(c, &b->work);
    b->shared = memory(b->work.shared_bytes), b->keep = memory(b->work.keep_bytes);
    memset(b->keep, 0, b->work.keep_bytes);
    for (int i = 0; i < 16; i++) pool_scratch[i] = memory(b->work.thread_bytes);
    if (k->prepare) k->prepare(c, &b->work, b->keep);
}

static void unbind(bound *b)
{
    free(b->shared), free(b->keep);
    for (int i = 0; i < 16; i++) free(pool_scratch[i]);
}

static void run_bound(const cpu_kernel *k, const gen_call *c, bound *b)
{
    for (int phase = 0; phase < b->work.n_phases; phase++) {
        pool_call = c, pool_kernel = k;
        pool_job = (cpu_job){ phase, 0, cpu_phase_parts(&b->work, phase), 0, b->shared, NULL, b->keep, &b->work };
        atomic_store(&pool_next, 0);
        atomic_store(&pool_done, 0);
        if (n_threads > 1) atomic_fetch_add(&pool_round, 1);
        work(0, pool_job.parts);
        while (n_threads > 1 && atomic_load(&pool_done) < n_threads - 1) __builtin_ia32_pause();
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool wanted(const char *name)
{
    for (int i = 0; i < n_words; i++)
        if (!strstr(name, words[i])) return false;
    return true;
}

static uint64_t state = 88172645463325252ull;
static double uniform(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return ((double)(state >> 11) + .5) / 9007199254740992.;
}

static float *random_floats(int64_t n)
{
    float *p = memory(sizeof(float) * (size_t)n);
    for (int64_t i = 0; i < n; i++) p[i] = (float)(sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()));
    return p;
}

static gen_view view(float *data, gen_shape shape)
{
    return (gen_view){ data, shape };
}
static gen_view random_view(gen_shape shape)
{
    return view(random_floats(gen_shape_count(&shape)), shape);
}

/* Runs every kernel of the call's op that fits; the result's distance from want[n] relative to its size; prints time and rates. */
static double run_case(const char *name, const gen_call *c, const double *want, double flops, double bytes,
                       double tolerance)
{
    double best_of_all = 1e9;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        const cpu_kernel *k = kernels[i].kernel;
        char text[300];
        snprintf(text, sizeof text, "%s [%s]", name, k->name);
        if (kernels[i].op != c->op || !wanted(text) || (k->fits && !k->fits(c))) continue;
        bound b;
        bind(k, c, &b);
        double worst = 0, size = 0, relative = 0;
        for (int o = 0; o < c->n_out; o++) {
            int64_t n = gen_shape_count(&c->out[o].shape);
            memset(c->out[o].data, 0xff, sizeof(float) * (size_t)n);
        }
        run_bound(k, c, &b);
        int64_t n = gen_shape_count(&c->out[0].shape);
        float *y = c->out[0].data;
        for (int64_t j = 0; want && j < n; j++) {
            double d = y[j] - want[j];
            if (isnan(y[j]) && isnan(want[j])) continue;
            if (y[j] == want[j]) d = 0; /* infinities */
            if (!(fabs(d) < 1e300)) d = 1e30;
            if (fabs(want[j]) > 1e-37 && fabs(d / want[j]) > relative) relative = fabs(d / want[j]);
            worst += d * d, size += isinf(want[j]) ? 0 : want[j] * want[j];
        }
        float *copy = memory(sizeof(float) * (size_t)n);
        memcpy(copy, y, sizeof(float) * (size_t)n);
        double best = 1e9, until = now() + seconds;
        int threads = n_threads, runs = 0;
        do {
            double t = now();
            run_bound(k, c, &b);
            t = now() - t;
            if (t < best) best = t;
            runs++;
        } while (now() < until);
        n_threads = 1;
        run_bound(k, c, &b);
        n_threads = threads;
        bool same = memcmp(copy, y, sizeof(float) * (size_t)n) == 0;
        double error = sqrt(worst / (size > 0 ? size : 1));
        bool bad = !(error <= tolerance) || !same;
        failures += bad;
        printf("%s%-60s %9.4f ms %7.1f GF/s %6.1f GB/s  error %.1e (%.0e each)%s\n", bad ? "BAD " : "", text,
               best * 1e3, flops / best * 1e-9, bytes / best * 1e-9, error, relative,
               same ? "" : "  DIFFERS BETWEEN RUNS");
        if (best < best_of_all) best_of_all = best;
        free(copy);
        unbind(&b);
    }
    return best_of_all;
}

/* The same call through the reference kernel (float, sums in double) as the yardstick. */
static double run_against_ref(const char *name, const gen_call *c, double flops, double tolerance)
{
    static const cpu_kernel *const refs[] = {
#define OP(id, op_name, n_in, infer, grad, flags, dtype, computes)                                                     \
    [GEN_OP_##id] = (flags) & (OP_SOURCE | OP_VIEW) ? NULL : &cpu_ref_##op_name,
#include "core/op_list.h"
#undef OP
    };
    bool any = false;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        char text[300];
        snprintf(text, sizeof text, "%s [%s]", name, kernels[i].kernel->name);
        any |= kernels[i].op == c->op && wanted(text) && (!kernels[i].kernel->fits || kernels[i].kernel->fits(c));
    }
    if (!any) return 0;
    int64_t n = gen_shape_count(&c->out[0].shape);
    double bytes = 4.0 * (double)n * c->n_out;
    for (int i = 0; i < c->n_in; i++) bytes += 4.0 * (double)gen_shape_count(&c->in[i].shape);
    bound b;
    bind(refs[c->op], c, &b);
    run_bound(refs[c->op], c, &b);
    unbind(&b);
    double *want = memory(sizeof(double) * (size_t)n);
    for (int64_t i = 0; i < n; i++) want[i] = (double)((float *)c->out[0].data)[i];
    double best = run_case(name, c, want, flops, bytes, tolerance);
    free(want);
    return best;
}

#include "tests/bench_conv.h"
#include "tests/bench_other.h"

int main(int argc, char **argv)
{
    if (argc > 1) seconds = atof(argv[1]);
    if (argc > 2) n_threads = atoi(argv[2]);
    words = argv + 3, n_words = argc > 3 ? argc - 3 : 0;
    for (int i = 1; i < n_threads; i++) {
        pthread_t t;
        pthread_create(&t, NULL, thread_main, (void *)(intptr_t)i);
        pthread_detach(t);
    }
    bench_conv();
    bench_other();
    printf("%d failures\n", failures);
    return failures != 0;
}
