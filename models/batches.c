#include "models/batches.h"

#include <stdbool.h>
#include <string.h>

#include "core/rng.h"
#include "io/prefetch.h"

/* A deck of pictures, and the order that they are in at the moment. */
typedef struct deck {
    gen_deck of;     /* a pass is of whole batches where there is one deck */
    int64_t pass;    /* which pass `order` is of; -1: none */
    uint32_t *order; /* [of.n] */
} deck;

struct gen_batches {
    const gen_dataset *data;
    deck deck[2];
    int32_t n_decks;
    int64_t batch, share, per_epoch; /* share: of a deck in a batch */
    int64_t *indices;                /* [batch] */
    size_t x_count;
    float *own; /* for gen_batches_make */
    gen_prefetch *queue;
};

/* Picture number i of all that are ever drawn. */
static int64_t draw(deck *d, int64_t i)
{
    int64_t pass = i / d->of.per_pass;
    if (d->of.in_order) return d->of.first + i % d->of.per_pass;
    if (pass != d->pass) {
        gen_shuffle(d->of.seed, (uint32_t)pass, d->order, (uint32_t)d->of.n);
        d->pass = pass;
    }
    return d->of.first + d->order[i % d->of.per_pass];
}

static gen_status fill(void *context, int64_t i, void *buffer, gen_error *err)
{
    (void)err;
    gen_batches *b = context;
    float *x = buffer, *labels = x + b->x_count;
    for (int64_t n = 0; n < b->batch; n++) {
        b->indices[n] = draw(&b->deck[n / b->share], i * b->share + n % b->share);
        labels[n] = b->data->labels ? (float)b->data->labels[b->indices[n]] : 0;
    }
    gen_dataset_batch(b->data, b->indices, (int32_t)b->batch, x);
    return GEN_OK;
}

static gen_status new_batches(const gen_dataset *data, int32_t n_decks, const gen_range *ranges, int64_t batch,
                              uint64_t seed, gen_batches **out, gen_error *err)
{
    gen_batches *b = gen_alloc(1, sizeof *b);
    bool room = b != NULL;
    if (!room) return gen_fail(err, GEN_NO_MEMORY, "no memory for batches");
    *b = (gen_batches){ .data = data, .n_decks = n_decks, .batch = batch, .share = batch / n_decks };
    for (int32_t i = 0; i < n_decks; i++) {
        int64_t n = ranges[i].n, epoch = n > b->share ? n / b->share : 1;
        if (epoch > b->per_epoch) b->per_epoch = epoch;
        b->deck[i].of = (gen_deck){ .first = ranges[i].first,
                                    .n = n,
                                    .per_pass = n_decks == 1 && n >= b->share ? epoch * b->share : n,
                                    .seed = seed + (uint64_t)i };
        b->deck[i].pass = -1;
        b->deck[i].order = gen_alloc((size_t)n, sizeof(uint32_t));
        room = room && b->deck[i].order;
    }
    b->x_count = (size_t)batch * (size_t)data->height_px * (size_t)data->width_px * (size_t)data->channels;
    b->indices = gen_alloc((size_t)batch, sizeof *b->indices);
    b->own = gen_alloc(b->x_count + (size_t)batch, sizeof *b->own);
    if (room && b->indices && b->own) {
        *out = b;
        return GEN_OK;
    }
    gen_batches_free(b);
    return gen_fail(err, GEN_NO_MEMORY, "no memory for batches of %lld images", (long long)batch);
}

gen_status gen_batches_new(const gen_dataset *data, gen_range range, int64_t batch, int64_t parts, uint64_t seed,
                           gen_batches **out, gen_error *err)
{
    if (range.n < batch / parts)
        return gen_fail(err, GEN_BAD_OPTION,
                        "%s has %lld training images, fewer than a batch of %lld: use a smaller --batch", data->name,
                        (long long)range.n, (long long)(batch / parts));
    return new_batches(data, 1, &range, batch, seed, out, err);
}

gen_status gen_batches_new_in_order(const gen_dataset *data, gen_range range, int64_t batch, gen_batches **out,
                                    gen_error *err)
{
    GEN_TRY(gen_batches_new(data, range, batch, 1, 0, out, err));
    (*out)->deck[0].of.in_order = true;
    return GEN_OK;
}

gen_status gen_batches_new_pair(const gen_dataset *data, gen_range a, gen_range b, int64_t batch, uint64_t seed,
                                gen_batches **out, gen_error *err)
{
    int64_t share = batch / 2, larger = a.n > b.n ? a.n : b.n;
    if (!a.n || !b.n || larger < share)
        return gen_fail(
            err, GEN_BAD_OPTION,
            "%s has %lld and %lld training images; both sets need some, the larger at least a batch of %lld",
            data->name, (long long)a.n, (long long)b.n, (long long)share);
    return new_batches(data, 2, (gen_range[]){ a, b }, batch, seed, out, err);
}

void gen_batches_free(gen_batches *b)
{
    if (!b) return;
    gen_prefetch_free(b->queue);
    for (int32_t i = 0; i < b->n_decks; i++) gen_free(b->deck[i].order);
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

gen_rows gen_batches_rows(const gen_batches *b)
{
    const gen_dataset *data = b->data;
    gen_rows rows = { .bytes = data->px8,
                      .values = data->values,
                      .labels = data->labels,
                      .n = data->n,
                      .width = (int64_t)b->x_count / b->batch,
                      .n_decks = b->n_decks,
                      .share = b->share };
    for (int32_t i = 0; i < b->n_decks; i++) rows.deck[i] = b->deck[i].of;
    return rows;
}
