#include "core/thread.h"
#include "tests/test.h"

#include <stdatomic.h>

enum { MAX_PARTS = 1000, MAX_THREADS = 8 };

typedef struct tally {
    int32_t n_threads;
    _Atomic int runs[MAX_PARTS];
    _Atomic int busy[MAX_THREADS]; /* is a thread number in use */
    _Atomic int mistakes;
} tally;

static void count_part(void *context, int32_t part, int32_t thread)
{
    tally *t = context;
    if (thread < 0 || thread >= t->n_threads || atomic_exchange(&t->busy[thread], 1)) atomic_fetch_add(&t->mistakes, 1);
    atomic_fetch_add(&t->runs[part], 1);
    atomic_store(&t->busy[thread], 0);
}

static void each_part_runs_once(int32_t n_threads, int32_t parts, int rounds)
{
    gen_pool *pool = gen_pool_new(n_threads);
    assert_non_null(pool);
    assert_int_equal(gen_pool_threads(pool), n_threads);
    for (int round = 0; round < rounds; round++) {
        tally t = { .n_threads = n_threads };
        gen_pool_run(pool, parts, count_part, &t);
        for (int32_t part = 0; part < MAX_PARTS; part++) assert_int_equal(t.runs[part], part < parts);
        assert_int_equal(t.mistakes, 0);
    }
    gen_pool_free(pool);
}

TEST(thread_pool_runs_each_part_once)
{
    static const int32_t parts[] = { 0, 1, 2, 3, 7, 64, MAX_PARTS };
    for (int32_t n = 1; n <= MAX_THREADS; n++)
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) each_part_runs_once(n, parts[i], 3);
}

/* Thousands of tiny jobs one after the other: a late worker of one job must never run a part of the next with the old
 * job's context. */
TEST(thread_pool_survives_many_short_jobs)
{
    for (int32_t n = 2; n <= 4; n++) {
        gen_pool *pool = gen_pool_new(n);
        for (int32_t round = 0; round < 5000; round++) {
            tally t = { .n_threads = n };
            int32_t parts = 2 + round % 5;
            gen_pool_run(pool, parts, count_part, &t);
            for (int32_t part = 0; part < 8; part++)
                if (t.runs[part] != (part < parts))
                    fail_msg("%d threads, job %d: part %d ran %d times", n, round, part, t.runs[part]);
        }
        gen_pool_free(pool);
    }
}

static void add_index(void *context, int32_t part, int32_t thread)
{
    (void)thread;
    ((double *)context)[part] += part;
}

TEST(thread_pool_results_are_visible_to_the_caller_and_the_next_job)
{
    double sums[100] = { 0 };
    gen_pool *pool = gen_pool_new(3);
    for (int i = 0; i < 200; i++) gen_pool_run(pool, 100, add_index, sums);
    for (int i = 0; i < 100; i++) assert_true(sums[i] == 200.0 * i);
    gen_pool_free(pool);
}

TEST(thread_pool_run_allocates_nothing)
{
    double sums[100] = { 0 };
    gen_pool *pool = gen_pool_new(3);
    uint64_t before = gen_alloc_count();
    for (int i = 0; i < 20; i++) gen_pool_run(pool, 100, add_index, sums);
    assert_int_equal(gen_alloc_count(), before);
    gen_pool_free(pool);
}

TEST(thread_pool_creation_survives_failing_allocations)
{
    assert_null(gen_pool_new(0));
    for (uint64_t n = 1; n <= 2; n++) {
        gen_alloc_fail_at(n);
        assert_null(gen_pool_new(2));
        gen_alloc_fail_at(0);
    }
    gen_pool_free(NULL);
    assert_true(gen_cpu_count() >= 1);
}
