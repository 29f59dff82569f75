/* The pool. All that a worker needs to take a part is one 64-bit ticket:
 *
 *     ticket = number of the job << 32 | parts not yet taken
 *
 * A worker reads the ticket, then the job's fields, then takes a part by compare-and-swap. If that succeeds, the ticket
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

struct gen_pool {
    _Alignas(64) _Atomic uint64_t ticket;
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

/* Takes and runs parts until none is left. */
static void work(gen_pool *pool, int32_t thread)
{
    uint64_t ticket = atomic_load(&pool->ticket);
    while (untaken(ticket)) {
        gen_part_fn fn = atomic_load_explicit(&pool->fn, memory_order_relaxed);
        void *context = atomic_load_explicit(&pool->context, memory_order_relaxed);
        int32_t parts = atomic_load_explicit(&pool->parts, memory_order_relaxed);
        if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket - 1)) continue;
        fn(context, parts - (int32_t)untaken(ticket), thread);
        if (atomic_fetch_sub(&pool->unfinished, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
        ticket = atomic_load(&pool->ticket);
    }
}

static bool has_work(gen_pool *pool)
{
    return untaken(atomic_load(&pool->ticket)) || atomic_load(&pool->stop);
}

static bool is_done(gen_pool *pool)
{
    return !atomic_load(&pool->unfinished);
}

/* Waits a little without sleeping; true when the condition came. */
static bool spin_until(gen_pool *pool, bool (*condition)(gen_pool *))
{
    if (!pool->spin) return condition(pool);
    for (int64_t end = now_ns() + spin_ns; now_ns() < end;)
        for (int i = 0; i < 32; i++, spin_once())
            if (condition(pool)) return true;
    return condition(pool);
}

/* sleepers is raised before the last look at the ticket, and the caller looks at sleepers after setting the ticket: one
 * of both sees the other. */
static void sleep_until_work(gen_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_work(pool)) pthread_cond_wait(&pool->wake, &pool->lock);
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
    while (!atomic_load(&pool->stop)) {
        if (!spin_until(pool, has_work)) sleep_until_work(pool);
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
    if (pool->workers && start_workers(pool)) return pool;
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
    uint64_t job = (atomic_load(&pool->ticket) >> 32) + 1;
    atomic_store(&pool->ticket, job << 32 | (uint32_t)parts);
    wake_workers(pool, parts - 1);
    work(pool, 0);
    if (!spin_until(pool, is_done)) sleep_until_done(pool);
}
