/* A conv and the batch norm after it are one conv when nothing is learned any more:
 *
 *   gamma (w * x - mean) / sqrt(var + eps) + beta = (s w) * x + (beta - s mean),     s = gamma / sqrt(var + eps)
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/features.h"

enum { NAME_BYTES = 96 };
#define NORM_EPS 1e-5 /* nn_batch_norm's default, and PyTorch's */

/* The floats of a tensor with n_dims axes, the first of K; in the arena. */
static gen_status read(const gen_safetensors *from, const char *layer, const char *part, int32_t n_dims, int64_t k,
                       gen_arena *arena, const gen_tensor_entry **tensor, float **values, gen_error *err)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%s", layer, part);
    const gen_tensor_entry *t = gen_safetensors_find(from, name);
    if (!t || t->n_dims != n_dims || t->dims[0] != k)
        return gen_fail(err, GEN_BAD_FILE,
                        "expected a classifier with batch norms and a tensor %s of %lld channels, %s", name,
                        (long long)k, t ? "found one of another shape" : "which there is not");
    *values = gen_arena_alloc(arena, t->n * sizeof **values);
    if (!*values) return gen_fail(err, GEN_NO_MEMORY, "no memory for %s", name);
    gen_tensor_to_float(t, *values);
    *tensor = t;
    return GEN_OK;
}

static gen_status half_tensor(gen_arena *arena, const char *layer, const char *part, const gen_tensor_entry *like,
                              const float *values, gen_tensor_entry *out, gen_error *err)
{
    uint16_t *bits = gen_arena_alloc(arena, like->n * sizeof *bits);
    *out = *like;
    out->name = gen_arena_printf(arena, "%s%s", layer, part);
    out->dtype = GEN_DTYPE_F16;
    out->data = bits;
    if (!bits || !out->name) return gen_fail(err, GEN_NO_MEMORY, "no memory for weights");
    for (size_t i = 0; i < like->n; i++) bits[i] = gen_half_from_float(values[i]);
    return GEN_OK;
}

static gen_status fold(const gen_feature_step *s, const gen_safetensors *from, gen_arena *arena,
                       gen_tensor_entry pair[2], gen_error *err)
{
    const gen_tensor_entry *weight, *one;
    float *w, *gamma, *beta, *mean, *var;
    GEN_TRY(read(from, s->weights, ".weight", 4, s->channels, arena, &weight, &w, err));
    GEN_TRY(read(from, s->weights, "_norm.weight", 1, s->channels, arena, &one, &gamma, err));
    GEN_TRY(read(from, s->weights, "_norm.bias", 1, s->channels, arena, &one, &beta, err));
    GEN_TRY(read(from, s->weights, "_norm.running_mean", 1, s->channels, arena, &one, &mean, err));
    GEN_TRY(read(from, s->weights, "_norm.running_var", 1, s->channels, arena, &one, &var, err));
    size_t each = weight->n / (size_t)s->channels;
    for (size_t k = 0; k < (size_t)s->channels; k++) {
        double scale = (double)gamma[k] / sqrt((double)var[k] + NORM_EPS);
        for (size_t i = 0; i < each; i++) w[k * each + i] = (float)(scale * (double)w[k * each + i]);
        beta[k] = (float)((double)beta[k] - scale * (double)mean[k]);
    }
    GEN_TRY(half_tensor(arena, s->weights, ".weight", weight, w, &pair[0], err));
    return half_tensor(arena, s->weights, ".bias", one, beta, &pair[1], err);
}

gen_status gen_features_fold(const gen_feature_net *net, const gen_safetensors *from, gen_arena *arena,
                             gen_tensor_entry **tensors, size_t *n, gen_error *err)
{
    size_t steps = 0;
    while (net->steps[steps].layer) steps++;
    gen_tensor_entry *out = gen_arena_alloc(arena, 2 * steps * sizeof *out);
    if (!out) return gen_fail(err, GEN_NO_MEMORY, "no memory for weights");
    *n = 0;
    for (const gen_feature_step *s = net->steps; s->layer; s++) {
        if (!s->weights) continue;
        GEN_TRY(fold(s, from, arena, out + *n, err));
        *n += 2;
    }
    *tensors = out;
    return GEN_OK;
}
