/* Stored tensors: a table by name, initial values, and the permutation to PyTorch's layouts. */
#include "core/params.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"

typedef struct param {
    gen_param_info info;
    uint64_t hash;
} param;

struct gen_params {
    gen_device *device;
    gen_arena *names;
    param *at;
    int32_t n, room;
};

gen_params *gen_params_new(gen_device *device)
{
    gen_params *params = gen_alloc(1, sizeof *params);
    gen_arena *names = gen_arena_new();
    if (!params || !names) {
        gen_arena_free(names);
        gen_free(params);
        return NULL;
    }
    *params = (gen_params){ .device = device, .names = names };
    return params;
}

void gen_params_free(gen_params *params)
{
    if (!params) return;
    for (int32_t i = 0; i < params->n; i++) params->device->ops->free(params->device, params->at[i].info.data);
    gen_arena_free(params->names);
    gen_free(params->at);
    gen_free(params);
}

int32_t gen_params_count(const gen_params *params)
{
    return params->n;
}

gen_param_info gen_params_get(const gen_params *params, int32_t i)
{
    return params->at[i].info;
}

int32_t gen_params_find(const gen_params *params, const char *name)
{
    uint64_t hash = gen_hash_name(name);
    for (int32_t i = 0; i < params->n; i++)
        if (params->at[i].hash == hash && !strcmp(params->at[i].info.name, name)) return i;
    return -1;
}

gen_status gen_params_read(const gen_params *params, int32_t i, float *host, gen_error *err)
{
    const gen_param_info *p = &params->at[i].info;
    return params->device->ops->download(params->device, host, p->data, (size_t)gen_shape_count(&p->shape), err);
}

gen_status gen_params_write(gen_params *params, int32_t i, const float *host, gen_error *err)
{
    const gen_param_info *p = &params->at[i].info;
    return params->device->ops->upload(params->device, p->data, host, (size_t)gen_shape_count(&p->shape), err);
}

/* ---- initial values ---------------------------------------------------------------------------------------------------- */

/* A filter [R,S,C,K] has fan-in R S C and fan-out R S K; a matrix [in,out] has in and out. */
static void find_fans(const gen_shape *shape, const gen_param_spec *spec, double *fan_in, double *fan_out)
{
    double field = 1;
    for (int32_t i = 0; i + 2 < shape->rank; i++) field *= (double)shape->dim[i];
    *fan_in = spec->fan_in       ? (double)spec->fan_in
              : shape->rank >= 2 ? field * (double)shape->dim[shape->rank - 2]
                                 : (double)gen_shape_count(shape);
    *fan_out = spec->fan_out      ? (double)spec->fan_out
               : shape->rank >= 2 ? field * (double)shape->dim[shape->rank - 1]
                                  : (double)gen_shape_count(shape);
}

typedef struct init_stream {
    uint64_t seed;
    uint32_t key;
} init_stream;

static float stream_uniform(const init_stream *s, int64_t i)
{
    gen_philox block =
        gen_philox_block(s->seed, (uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), 0x696e6974u /* "init" */, s->key);
    return gen_uniform_from_word(block.word[i % 4]);
}

static float stream_normal(const init_stream *s, int64_t i)
{
    float four[4];
    gen_normal_from_block(gen_philox_block(s->seed, (uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), 0x696e6974u, s->key),
                          four);
    return four[i % 4];
}

void gen_param_init_values(const char *name, const gen_shape *shape, const gen_param_spec *spec, uint64_t seed,
                           float *out)
{
    uint64_t hash = gen_hash_name(name);
    init_stream s = { seed, (uint32_t)(hash ^ hash >> 32) };
    int64_t n = gen_shape_count(shape);
    double fan_in, fan_out, spread = spec->a, centre = 0;
    bool normal = false;
    find_fans(shape, spec, &fan_in, &fan_out);
    switch (spec->init) {
    case GEN_INIT_ZERO: spread = 0; break;
    case GEN_INIT_CONST: spread = 0, centre = spec->a; break;
    case GEN_INIT_NORMAL: normal = true; break;
    case GEN_INIT_NORMAL_AROUND: normal = true, centre = spec->b; break;
    case GEN_INIT_UNIFORM: break;
    case GEN_INIT_XAVIER: spread = sqrt(6 / (fan_in + fan_out)); break;
    case GEN_INIT_HE: normal = true, spread = sqrt(2 / fan_in); break;
    case GEN_INIT_TORCH: spread = 1 / sqrt(fan_in); break;
    }
    for (int64_t i = 0; i < n; i++) {
        double draw = spread == 0 ? 0 : normal ? (double)stream_normal(&s, i) : 2 * (double)stream_uniform(&s, i) - 1;
        out[i] = (float)(centre + spread * draw);
    }
}

gen_status gen_params_reset(gen_params *params, int32_t i, uint64_t seed, gen_error *err)
{
    const gen_param_info *p = &params->at[i].info;
    float *host = gen_alloc((size_t)gen_shape_count(&p->shape), sizeof *host);
    if (!host) return gen_fail(err, GEN_NO_MEMORY, "no memory for parameter %s", p->name);
    gen_param_init_values(p->name, &p->shape, &p->spec, seed, host);
    gen_status status = gen_params_write(params, i, host, err);
    gen_free(host);
    return status;
}

static gen_status add_param(gen_params *params, const gen_node *node, const gen_param_spec *spec, uint64_t seed,
                            gen_error *err)
{
    if (params->n == params->room) {
        int32_t room = params->room ? 2 * params->room : 64;
        param *grown = gen_alloc((size_t)room, sizeof *grown);
        if (!grown) return gen_fail(err, GEN_NO_MEMORY, "no memory for parameter %s", node->name);
        if (params->n) memcpy(grown, params->at, (size_t)params->n * sizeof *grown);
        gen_free(params->at);
        params->at = grown;
        params->room = room;
    }
    size_t count = (size_t)gen_shape_count(&node->shape);
    gen_param_info info = { .name = gen_arena_strdup(params->names, node->name), .shape = node->shape, .spec = *spec };
    float *host = gen_alloc(count, sizeof *host);
    info.data = params->device->ops->alloc(params->device, count * params->device->element_bytes);
    gen_status status = GEN_OK;
    if (!info.name || !host || !info.data) {
        status = gen_fail(err, GEN_NO_MEMORY, "no memory for parameter %s (%zu numbers)", node->name, count);
    } else {
        gen_param_init_values(node->name, &node->shape, spec, seed, host);
        status = params->device->ops->upload(params->device, info.data, host, count, err);
    }
    gen_free(host);
    if (status == GEN_OK) params->at[params->n++] = (param){ info, gen_hash_name(info.name) };
    else params->device->ops->free(params->device, info.data);
    return status;
}

gen_status gen_params_add(gen_params *params, const gen_graph *g, uint64_t seed, gen_error *err)
{
    for (int32_t i = 0; i < gen_graph_params(g); i++) {
        gen_param_spec spec;
        const gen_node *node = gen_graph_param(g, i, &spec);
        int32_t known = gen_params_find(params, node->name);
        if (known < 0) {
            GEN_TRY(add_param(params, node, &spec, seed, err));
        } else if (!gen_shape_equal(&params->at[known].info.shape, &node->shape)) {
            char a[64], b[64];
            return gen_fail(err, GEN_BAD_SHAPE, "parameter %s is %s, the model wants %s", node->name,
                            gen_shape_text(&params->at[known].info.shape, a, sizeof a),
                            gen_shape_text(&node->shape, b, sizeof b));
        }
    }
    return GEN_OK;
}

/* ---- PyTorch's layouts --------------------------------------------------------------------------------------------------- */

gen_shape gen_layout_torch_shape(const gen_shape *shape, const gen_param_spec *spec)
{
    const int64_t *d = shape->dim;
    if (spec->layout == GEN_LAYOUT_CONV && shape->rank == 4) return GEN_SHAPE(d[3], d[2], d[0], d[1]);
    if (spec->layout == GEN_LAYOUT_DENSE && shape->rank == 2) return GEN_SHAPE(d[1], d[0]);
    return *shape;
}

/* Where index i of a flattened H,W,C is in C,H,W; i itself where there is no flatten. */
static int64_t flatten_index(const int64_t chw[3], int64_t i)
{
    if (!chw[0]) return i;
    int64_t c = i % chw[0], pixel = i / chw[0];
    return c * chw[1] * chw[2] + pixel;
}

/* The position in PyTorch's tensor of element i of ours. */
static int64_t torch_index(const gen_shape *shape, const gen_param_spec *spec, int64_t i)
{
    const int64_t *d = shape->dim;
    if (spec->layout == GEN_LAYOUT_CONV && shape->rank == 4) {
        int64_t k = i % d[3], c = i / d[3] % d[2], rs = i / (d[3] * d[2]);
        return (k * d[2] + c) * d[0] * d[1] + rs;
    }
    if (spec->layout == GEN_LAYOUT_DENSE && shape->rank == 2) {
        int64_t out = i % d[1], in = i / d[1];
        return flatten_index(spec->flatten_out, out) * d[0] + flatten_index(spec->flatten_in, in);
    }
    if (spec->layout == GEN_LAYOUT_DENSE && shape->rank == 1) return flatten_index(spec->flatten_out, i);
    return i;
}

void gen_layout_to_torch(const gen_shape *shape, const gen_param_spec *spec, const float *from, float *to)
{
    int64_t n = gen_shape_count(shape);
    for (int64_t i = 0; i < n; i++) to[torch_index(shape, spec, i)] = from[i];
}

void gen_layout_from_torch(const gen_shape *shape, const gen_param_spec *spec, const float *from, float *to)
{
    int64_t n = gen_shape_count(shape);
    for (int64_t i = 0; i < n; i++) to[i] = from[torch_index(shape, spec, i)];
}
