/* io/prefetch.h: a thread that fills batches ahead of the training loop. Batch i is what fill makes of the number i:
 * never a matter of timing.
 *
 *     gen_prefetch *queue;
 *     GEN_TRY(gen_prefetch_new(fill, &loader, bytes, first_step, n_steps, &queue, err));
 *     const float *batch;
 *     while (gen_prefetch_next(queue, (const void **)&batch, err) == GEN_OK) …           // valid until the next call
 *     gen_prefetch_free(queue);
 */
#ifndef GEN_IO_PREFETCH_H
#define GEN_IO_PREFETCH_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes batch number i in buffer, on the queue's thread. A failure reaches the caller of next, in order, and ends the
 * queue. */
typedef gen_status (*gen_prefetch_fn)(void *context, int64_t i, void *buffer, gen_error *err);

typedef struct gen_prefetch gen_prefetch;

/* Two buffers of batch_bytes; batches first .. first + n - 1 (n < 0: no end). */
gen_status gen_prefetch_new(gen_prefetch_fn fill, void *context, size_t batch_bytes, int64_t first, int64_t n,
                            gen_prefetch **out, gen_error *err);

/* The next batch; waits for it. GEN_STOPPED after the last one. One caller at a time. */
gen_status gen_prefetch_next(gen_prefetch *queue, const void **batch, gen_error *err);

/* Stops after the batch being filled. Accepts NULL. */
void gen_prefetch_free(gen_prefetch *queue);

#ifdef __cplusplus
}
#endif
#endif
