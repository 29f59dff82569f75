/* models/batches.h: training batches: batch i is a function of (seed, i) alone, made ahead on a thread or again at will.
 *
 *     gen_batches *b;
 *     GEN_TRY(gen_batches_new(data, data->splits[GEN_SPLIT_TRAIN], 64, 1, seed, &b, err));
 *     GEN_TRY(gen_batches_start(b, first_step, n_steps, err));
 *     GEN_TRY(gen_batches_next(b, &batch, err));                       // batch.x [64,H,W,C], batch.labels [64]
 *     gen_batches_free(b);
 */
#ifndef GEN_MODELS_BATCHES_H
#define GEN_MODELS_BATCHES_H

#include "core/device.h"
#include "io/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_batch {
    const float *x;      /* [N,H,W,C] in [0,1] */
    const float *labels; /* [N]; zeros where the data has none */
} gen_batch;

typedef struct gen_batches gen_batches;

/* Each epoch is a new permutation of the range; what does not fill a batch at its end is left out. A batch of several parts, which a step takes one after
 * the other, may be larger than the range, of which it then takes some several times: permutation after permutation, an epoch a batch. GEN_BAD_OPTION when
 * the range is smaller than a part. data outlives it. */
gen_status gen_batches_new(const gen_dataset *data, gen_range range, int64_t batch, int64_t parts, uint64_t seed,
                           gen_batches **out, gen_error *err);
/* The first half of a batch comes from range a, the second from range b; each is permuted anew whenever it has been through. An epoch is one pass through
 * the larger one. */
gen_status gen_batches_new_pair(const gen_dataset *data, gen_range a, gen_range b, int64_t batch, uint64_t seed,
                                gen_batches **out, gen_error *err);
/* The range as it lies, again and again: batch i goes on where batch i - 1 ended. */
gen_status gen_batches_new_in_order(const gen_dataset *data, gen_range range, int64_t batch, gen_batches **out,
                                    gen_error *err);
void gen_batches_free(gen_batches *b); /* accepts NULL */
int64_t gen_batches_per_epoch(const gen_batches *b);

/* Starts the thread at batch `first`; next then gives first, first + 1, …, n - 1. A batch is valid until the next call. */
gen_status gen_batches_start(gen_batches *b, int64_t first, int64_t n, gen_error *err);
gen_status gen_batches_next(gen_batches *b, gen_batch *batch, gen_error *err);

/* Batch i, made by the caller's thread; not while the thread runs. */
gen_status gen_batches_make(gen_batches *b, int64_t i, gen_batch *batch, gen_error *err);

/* The same batches for a device that draws them itself; run number i gets batch i. The data stay the data set's. */
gen_rows gen_batches_rows(const gen_batches *b);

#ifdef __cplusplus
}
#endif
#endif
