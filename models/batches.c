#include "models/batches.h"

#include <string.h>

#include "core/rng.h"
#include "io/prefetch.h"

struct gen_batches {
    const gen_dataset *data;
    gen_range range;
    int64_t batch, per_epoch;
    uint64_t seed;
    int64_t ordered_epoch; /* which epoch `order` is of; -1: none */
    uint32_t *order;       /* [range.n] */
    int64_t *indices;      /* [batch] */
    size_t x_count;
    float *own; /* for gen_batches_make */
    gen_prefetch *queue;
};

static gen_status fill(void *context, int64_t i, void *buffer, gen_error *err)
{
    (void)err;
    gen_batches *b = context;
    int64_t epoch = i / b->per_epoch, first = i % b->per_epoch * b->batch;
    if (epoch != b->ordered_epoch) {
        gen_shuffle(b->seed, (uint32_t)epoch, b->order, (uint32_t)b->range.n);
        b->ordered_epoch = epoch;
    }
    float *x = buffer, *labels = x + b->x_count;
    for (int64_t n = 0; n < b->batch; n++) {
        b->indices[n] = b->range.first + b->order[first + n];
        labels[n] = b->data->labels ? (float)b->data->labels[b->indices[n]] : 0;
    }
    gen_dataset_batch(b->data, b->indices, (int32_t)b->batch, x);
    return GEN_OK;
}

gen_status gen_batches_new(const gen_dataset *data, gen_range range, int64_t batch, uint64_t seed, gen_batches **out,
                           gen_error *err)
{
    if (range.n < batch)
        return gen_fail(err, GEN_BAD_OPTION,
                        "%s has %lld training images, fewer than a batch of %lld: use a smaller --batch", data->name,
                        (long long)range.n, (long long)batch);
    gen_batches *b = gen_alloc(1, sizeof *b);
    if (!b) return gen_fail(err, GEN_NO_MEMORY, "no memory for batches");
    *b = (gen_batches){
        .data = data, .range = range, .batch = batch, .per_epoch = range.n / batch, .seed = seed, .ordered_epoch = -1
    };
    b->x_count = (size_t)batch * (size_t)data->height_px * (size_t)data->width_px * (size_t)data->channels;
    b->order = gen_alloc((size_t)range.n, sizeof *b->order);
    b->indices = gen_alloc((size_t)batch, sizeof *b->indices);
    b->own = gen_alloc(b->x_count + (size_t)batch, sizeof *b->own);
    if (!b->order || !b->indices || !b->own) {
        gen_batches_free(b);
        return gen_fail(err, GEN_NO_MEMORY, "no memory for batches of %lld images", (long long)batch);
    }
    *out = b;
    return GEN_OK;
}

void gen_batches_free(gen_batches *b)
{
    if (!b) return;
    gen_prefetch_free(b->queue);
    gen_free(b->order);
    gen_free(b->indices);
    gen_free(b->own);
    gen_free(b);
}

int64_t gen_batches_per_epoch(const gen_batches *b)
{
    return b->per_epoch;
}

static gen_batch view(const gen_batches *b, const float *buffer)
{
    return (gen_batch){ buffer, buffer + b->x_count };
}

gen_status gen_batches_start(gen_batches *b, int64_t first, int64_t n, gen_error *err)
{
    gen_prefetch_free(b->queue);
    b->queue = NULL;
    return gen_prefetch_new(fill, b, (b->x_count + (size_t)b->batch) * sizeof(float), first, n > first ? n - first : 0,
                            &b->queue, err);
}

gen_status gen_batches_next(gen_batches *b, gen_batch *batch, gen_error *err)
{
    const void *buffer;
    GEN_TRY(gen_prefetch_next(b->queue, &buffer, err));
    *batch = view(b, buffer);
    return GEN_OK;
}

gen_status gen_batches_make(gen_batches *b, int64_t i, gen_batch *batch, gen_error *err)
{
    gen_prefetch_free(b->queue);
    b->queue = NULL;
    GEN_TRY(fill(b, i, b->own, err));
    *batch = view(b, b->own);
    return GEN_OK;
}
