/* The pool. The parts of a job are dealt to the threads in ranges, as many ranges as threads, so that a thread gets the same parts of every phase and
 * finds what it left in its cache; one that has finished its range takes from the others'. All that it needs to take a part is a 64-bit ticket:
 *
 *     ticket of a range = number of the job << 32 | parts not yet taken
 *
 * A thread reads the ticket, then the job's fields, then takes a part by compare-and-swap. If that succeeds, the ticket
 * had not changed meanwhile, so an untaken part kept the job alive and the fields are that job's. A worker that comes
 * late finds nothing to take and harms nobody, so the caller waits for parts, never for threads: a sleeping worker
 * costs nothing. */
#define _GNU_SOURCE /* sched_getaffinity: the cores that this process may use, not all there are */
#include "core/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

/* Between the phases of a step there are some microseconds; waking a sleeping thread takes about fifty. */
static const int64_t spin_ns = 40000;

typedef struct worker {
    gen_pool *pool;
    int32_t index;
    pthread_t thread;
} worker;

typedef struct range {
    _Alignas(64) _Atomic uint64_t ticket;
} range;

struct gen_pool {
    _Alignas(64) _Atomic uint32_t job;       /* its number; the tickets are written before */
    _Alignas(64) _Atomic int32_t unfinished; /* parts of the job that are not done */
    _Alignas(64) _Atomic int32_t parts;
    _Atomic(gen_part_fn) fn;
    void *_Atomic context;
    _Atomic int32_t sleepers; /* workers that wait, or are about to wait, for wake */
    _Atomic bool caller_sleeps, stop;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    bool spin;                    /* spinning only helps while every thread has a core */
    int32_t n_threads, n_workers; /* workers: without the caller */
    worker *workers;
    range *ranges; /* [n_threads] */
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void spin_once(void)
{
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
    __builtin_ia32_pause();
#endif
}

static uint32_t untaken(uint64_t ticket)
{
    return (uint32_t)ticket;
}

/* The first part of range i. */
static int32_t range_start(int32_t parts, int32_t i, int32_t n_ranges)
{
    return (int32_t)((int64_t)parts * i / n_ranges);
}

/* Takes and runs parts of range i until none is left. */
static void work_on(gen_pool *pool, int32_t i, int32_t thread)
{
    _Atomic uint64_t *left = &pool->ranges[i].ticket;
    uint64_t ticket = atomic_load(left);
    while (untaken(ticket)) {
        gen_part_fn fn = atomic_load_explicit(&pool->fn, memory_order_relaxed);
        void *context = atomic_load_explicit(&pool->context, memory_order_relaxed);
        int32_t parts = atomic_load_explicit(&pool->parts, memory_order_relaxed);
        if (!atomic_compare_exchange_weak(left, &ticket, ticket - 1)) continue;
        fn(context, range_start(parts, i + 1, pool->n_threads) - (int32_t)untaken(ticket), thread);
        if (atomic_fetch_sub(&pool->unfinished, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
        ticket = atomic_load(left);
    }
}

/* The thread's own range first. */
static void work(gen_pool *pool, int32_t thread)
{
    for (int32_t i = 0; i < pool->n_threads; i++) work_on(pool, (thread + i) % pool->n_threads, thread);
}

static bool is_done(gen_pool *pool)
{
    return !atomic_load(&pool->unfinished);
}

/* Has a job come since the one of this number? */
static bool has_work(gen_pool *pool, uint32_t last)
{
    return atomic_load(&pool->job) != last || atomic_load(&pool->stop);
}

static bool caller_is_done(gen_pool *pool, uint32_t last)
{
    (void)last;
    return is_done(pool);
}

/* Waits a little without sleeping; true when the condition came. */
static bool spin_until(gen_pool *pool, bool (*condition)(gen_pool *, uint32_t), uint32_t last)
{
    if (!pool->spin) return condition(pool, last);
    for (int64_t end = now_ns() + spin_ns; now_ns() < end;)
        for (int i = 0; i < 32; i++, spin_once())
            if (condition(pool, last)) return true;
    return condition(pool, last);
}

/* sleepers is raised before the last look at the job, and the caller looks at sleepers after setting the job: one
 * of both sees the other. */
static void sleep_until_work(gen_pool *pool, uint32_t last)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_work(pool, last)) pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void sleep_until_done(gen_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (!is_done(pool)) pthread_cond_wait(&pool->done, &pool->lock);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    worker *self = argument;
    gen_pool *pool = self->pool;
    for (uint32_t last = 0; !atomic_load(&pool->stop);) {
        if (!spin_until(pool, has_work, last)) sleep_until_work(pool, last);
        last = atomic_load(&pool->job);
        work(pool, self->index);
    }
    return NULL;
}

static void wake_workers(gen_pool *pool, int32_t wanted)
{
    if (!atomic_load(&pool->sleepers)) return;
    pthread_mutex_lock(&pool->lock);
    if (wanted >= pool->n_workers) pthread_cond_broadcast(&pool->wake);
    else
        for (int32_t i = 0; i < wanted; i++) pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

int32_t gen_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1; /* more than 1024 cores */
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

static bool start_workers(gen_pool *pool)
{
    for (int32_t i = 0; i < pool->n_threads - 1; i++) {
        worker *w = &pool->workers[i];
        w->pool = pool;
        w->index = i + 1;
        if (pthread_create(&w->thread, NULL, worker_main, w)) return false;
        pool->n_workers++;
    }
    return true;
}

gen_pool *gen_pool_new(int32_t n_threads)
{
    if (n_threads < 1) return NULL;
    gen_pool *pool = gen_alloc(1, sizeof *pool);
    if (!pool) return NULL;
    pool->n_threads = n_threads;
    pool->spin = n_threads <= gen_cpu_count();
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->workers = gen_alloc((size_t)n_threads, sizeof *pool->workers);
    pool->ranges = gen_alloc((size_t)n_threads, sizeof *pool->ranges);
    if (pool->workers && pool->ranges && start_workers(pool)) return pool;
    gen_pool_free(pool);
    return NULL;
}

void gen_pool_free(gen_pool *pool)
{
    if (!pool) return;
    atomic_store(&pool->stop, true);
    wake_workers(pool, pool->n_workers);
    for (int32_t i = 0; i < pool->n_workers; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    gen_free(pool->workers);
    gen_free(pool->ranges);
    gen_free(pool);
}

int32_t gen_pool_threads(const gen_pool *pool)
{
    return pool->n_threads;
}

void gen_pool_run(gen_pool *pool, int32_t parts, gen_part_fn fn, void *context)
{
    if (parts < 1) return;
    if (parts == 1 || pool->n_threads == 1) {
        for (int32_t part = 0; part < parts; part++) fn(context, part, 0);
        return;
    }
    atomic_store_explicit(&pool->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&pool->context, context, memory_order_relaxed);
    atomic_store_explicit(&pool->parts, parts, memory_order_relaxed);
    atomic_store(&pool->unfinished, parts);
    uint32_t job = atomic_load(&pool->job) + 1;
    for (int32_t i = 0, n = pool->n_threads; i < n; i++)
        atomic_store(&pool->ranges[i].ticket,
                     (uint64_t)job << 32 | (uint32_t)(range_start(parts, i + 1, n) - range_start(parts, i, n)));
    atomic_store(&pool->job, job);
    wake_workers(pool, parts - 1);
    work(pool, 0);
    if (!spin_until(pool, caller_is_done, 0)) sleep_until_done(pool);
}
