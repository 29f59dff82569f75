#include "models/data.h"

#include <string.h>

#include "core/rng.h"
#include "models/data_pair.h"
#include "models/data_tokens.h"

/* The value of one of the model's own options, "" when it has none of that name. */
static const char *model_option(const gen_settings *s, const char *name)
{
    const gen_option *row = gen_option_find(s->model->options, name);
    return row && row->type != OPT_INT && row->type != OPT_FLOAT && row->type != OPT_BOOL
               ? *(const char *const *)((const char *)s->options + row->offset)
               : "";
}

/* One Bernoulli draw a pixel with p = its grey value, from seed 0: the same binary images for everybody (Salakhutdinov & Murray 2008 fixed theirs by a
 * file; ours is fixed by the generator). */
static gen_status binarise(gen_dataset *data, gen_range range, uint8_t *out)
{
    int64_t pixels = (int64_t)data->height_px * data->width_px * data->channels;
    const uint32_t key = (uint32_t)gen_hash_name("binarise");
    for (int64_t i = range.first; i < range.first + range.n; i++)
        for (int64_t j = 0; j < pixels; j++) {
            gen_philox block = gen_philox_block(0, (uint32_t)(j / 4), (uint32_t)i, 0, key);
            out[i * pixels + j] =
                gen_uniform_from_word(block.word[j % 4]) * 255.0f < (float)out[i * pixels + j] ? 255 : 0;
        }
    return GEN_OK;
}

static gen_status binarise_splits(const gen_settings *s, gen_dataset *data, gen_arena *arena, gen_error *err)
{
    const char *how = model_option(s, "binarise");
    if (strcmp(how, "static") && strcmp(how, "dynamic")) return GEN_OK;
    if (!data->px8)
        return gen_fail(err, GEN_UNSUPPORTED, "%s holds floats; --binarise takes pictures of 8 bits", data->name);
    size_t bytes = (size_t)data->n * (size_t)data->height_px * (size_t)data->width_px * (size_t)data->channels;
    uint8_t *copy = gen_arena_alloc(arena, bytes);
    if (!copy) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu binary pixels", bytes);
    memcpy(copy, data->px8, bytes);
    if (!strcmp(how, "static")) binarise(data, data->splits[GEN_SPLIT_TRAIN], copy);
    binarise(data, data->splits[GEN_SPLIT_VALIDATION], copy);
    binarise(data, data->splits[GEN_SPLIT_TEST], copy);
    data->px8 = copy;
    return GEN_OK;
}

/* -1: a twelfth of the training images, at most 5000; nothing of a set so small that every image is needed. */
static void split_validation(const gen_settings *s, gen_dataset *data)
{
    enum { SMALLEST_SPLIT = 1000 };
    gen_range *train = &data->splits[GEN_SPLIT_TRAIN], *validation = &data->splits[GEN_SPLIT_VALIDATION];
    if (validation->n || train->n < SMALLEST_SPLIT || s->train.validation >= 0) return;
    int64_t n = train->n / 12 < 5000 ? train->n / 12 : 5000;
    train->n -= n;
    *validation = (gen_range){ train->first + train->n, n };
}

gen_status gen_data_open(const gen_settings *s, const gen_sink *sink, gen_arena *arena, gen_dataset *data,
                         gen_error *err)
{
    const char *name = *s->train.data ? s->train.data : s->model->data;
    gen_dataset_options options = { .size_px = (int32_t)s->train.size,
                                    .channels = (int32_t)s->train.channels,
                                    .skip_bad = (int32_t)s->train.skip_bad,
                                    .download = (int32_t)s->train.download,
                                    .n_validation = s->train.validation > 0 ? s->train.validation : 0 };
    if (s->model->tokens) return gen_data_open_tokens(s, arena, data, err);
    if (s->model->paired) {
        const char *a = model_option(s, "a"), *b = model_option(s, "b");
        if ((*a && !*b) || (*b && !*a))
            return gen_fail(err, GEN_BAD_OPTION, "--a and --b go together: one folder of pictures each");
        return gen_data_open_pair(*a ? a : name, b, &options, sink, arena, data, err);
    }
    if (s->model->open_data) {
        char *path;
        GEN_TRY(gen_dataset_find(name, arena, &path, err));
        return s->model->open_data(s->options, path, s->train.skip_bad, arena, data, err);
    }
    GEN_TRY(gen_dataset_open(name, &options, sink, arena, data, err));
    split_validation(s, data);
    return binarise_splits(s, data, arena, err);
}

const float *gen_data_labels(const gen_dataset *data, const int64_t *indices, int64_t n, float *out)
{
    if (!data->labels) return NULL;
    for (int64_t i = 0; i < n; i++) out[i] = (float)data->labels[indices[i]];
    return out;
}

gen_split gen_data_test_split(const gen_dataset *data)
{
    if (data->splits[GEN_SPLIT_TEST].n) return GEN_SPLIT_TEST;
    return data->splits[GEN_SPLIT_VALIDATION].n ? GEN_SPLIT_VALIDATION : GEN_SPLIT_TRAIN;
}

const char *gen_split_name(gen_split split)
{
    static const char *const names[] = { "training", "test", "validation" };
    return names[split];
}
