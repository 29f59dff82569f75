/* A ring of two buffers between one filling thread and one caller. Invariant, under the lock: taken <= filled <= taken
 * + SLOTS, and the caller holds slot (taken - 1) % SLOTS until its next call, so the thread fills only while filled <
 * taken + SLOTS - held. */
#define _POSIX_C_SOURCE 200809L
#include "io/prefetch.h"

#include <pthread.h>
#include <string.h>

enum { SLOTS = 2 };

struct gen_prefetch {
    gen_prefetch_fn fill;
    void *context;
    void *slot[SLOTS];
    int64_t first, n; /* n < 0: no end */
    int64_t filled, taken;
    int held, stop;
    gen_error failure; /* of batch number `filled` */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

static int has_room(const gen_prefetch *q)
{
    return q->filled < q->taken + SLOTS - q->held;
}

static int has_more(const gen_prefetch *q)
{
    return (q->n < 0 || q->filled < q->n) && q->failure.status == GEN_OK;
}

static void fill_one(gen_prefetch *q)
{
    int64_t i = q->filled;
    gen_error err = { 0 };
    pthread_mutex_unlock(&q->lock);
    gen_status status = q->fill(q->context, q->first + i, q->slot[i % SLOTS], &err);
    pthread_mutex_lock(&q->lock);
    if (status == GEN_OK) q->filled++;
    else gen_fail(&q->failure, status, "%s", err.text[0] ? err.text : gen_status_text(status));
    pthread_cond_broadcast(&q->changed);
}

static void *run(void *context)
{
    gen_prefetch *q = context;
    pthread_mutex_lock(&q->lock);
    while (!q->stop && has_more(q)) {
        if (has_room(q)) fill_one(q);
        else pthread_cond_wait(&q->changed, &q->lock);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

static void release(gen_prefetch *q)
{
    for (int i = 0; i < SLOTS; i++) gen_free(q->slot[i]);
    gen_free(q);
}

static gen_status start(gen_prefetch *q, gen_error *err)
{
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    if (!pthread_create(&q->thread, NULL, run, q)) return GEN_OK;
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    return gen_fail(err, GEN_NO_MEMORY, "no thread could be started to load data ahead");
}

gen_status gen_prefetch_new(gen_prefetch_fn fill, void *context, size_t batch_bytes, int64_t first, int64_t n,
                            gen_prefetch **out, gen_error *err)
{
    gen_prefetch *q = gen_alloc(1, sizeof *q);
    if (!q) return gen_fail(err, GEN_NO_MEMORY, "no memory to load data ahead");
    *q = (gen_prefetch){ .fill = fill, .context = context, .first = first, .n = n };
    for (int i = 0; i < SLOTS; i++) q->slot[i] = gen_alloc(1, batch_bytes);
    gen_status status = GEN_OK;
    if (!q->slot[0] || !q->slot[1])
        status = gen_fail(err, GEN_NO_MEMORY, "no memory for two batches of %zu bytes", batch_bytes);
    if (status == GEN_OK) status = start(q, err);
    if (status == GEN_OK) *out = q;
    else release(q);
    return status;
}

gen_status gen_prefetch_next(gen_prefetch *queue, const void **batch, gen_error *err)
{
    gen_prefetch *q = queue;
    pthread_mutex_lock(&q->lock);
    q->held = 0;
    pthread_cond_broadcast(&q->changed); /* the slot given before may be filled again */
    while (q->filled == q->taken && has_more(q)) pthread_cond_wait(&q->changed, &q->lock);
    gen_status status = GEN_OK;
    if (q->filled > q->taken) {
        *batch = q->slot[q->taken++ % SLOTS];
        q->held = 1;
    } else if (q->failure.status != GEN_OK) {
        status = gen_fail(err, q->failure.status, "%s", q->failure.text);
    } else {
        status = gen_fail(err, GEN_STOPPED, "all %lld batches have been taken", (long long)q->n);
    }
    pthread_mutex_unlock(&q->lock);
    return status;
}

void gen_prefetch_free(gen_prefetch *queue)
{
    if (!queue) return;
    pthread_mutex_lock(&queue->lock);
    queue->stop = 1;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    pthread_join(queue->thread, NULL);
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
    release(queue);
}
