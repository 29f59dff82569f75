#include "models/squeezenet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nn.h"
#include "io/safetensors.h"
#include "models/checkpoint.h"

enum { NAME_BYTES = 64, LEAST_SIDE = 21 };

/* Fire modules: features.i squeezes to so many channels, and expands to twice so many; 0: another kind of layer */
static const struct {
    int32_t squeeze, expand;
} fire[GEN_SQUEEZENET_LAYERS] = { [3] = { 16, 64 },  [4] = { 16, 64 },   [6] = { 32, 128 },  [7] = { 32, 128 },
                                  [9] = { 48, 192 }, [10] = { 48, 192 }, [11] = { 64, 256 }, [12] = { 64, 256 } };

/* (x - mean) / std of ImageNet's channels, as torchvision does; one channel stands for three */
static gen_node *normalised(gen_graph *g, gen_node *x)
{
    static const float minus_mean[] = { -0.485f, -0.456f, -0.406f }, over[] = { 1 / 0.229f, 1 / 0.224f, 1 / 0.225f };
    gen_shape three = GEN_SHAPE(1, 1, 1, 3);
    return gen_mul(g, gen_add(g, x, gen_const(g, three, minus_mean)), gen_const(g, three, over));
}

/* 3x3, stride 2, ceil mode: where the last window does not fit, it hangs over below or right */
static gen_node *pool(gen_graph *g, gen_node *x)
{
    gen_window window = gen_window_of(3, 2, 0);
    for (int axis = 0; axis < 2 && x->shape.rank == 4; axis++)
        window.pad[2 + axis] = (int32_t)(x->shape.dim[1 + axis] + 1) % 2;
    return gen_max_pool(g, x, window);
}

static gen_node *conv(gen_graph *g, gen_node *x, const char *name, int64_t channels, int32_t kernel)
{
    nn_conv_spec spec = { .kernel = kernel, .stride = 1, .pad = kernel / 2, .init = NN_INIT_HE };
    return gen_relu(g, nn_conv(g, x, name, channels, spec));
}

static gen_node *fire_module(gen_graph *g, gen_node *x, int32_t i)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "features.%d.squeeze", i);
    gen_node *h = conv(g, x, name, fire[i].squeeze, 1), *side[2];
    snprintf(name, sizeof name, "features.%d.expand1x1", i);
    side[0] = conv(g, h, name, fire[i].expand, 1);
    snprintf(name, sizeof name, "features.%d.expand3x3", i);
    side[1] = conv(g, h, name, fire[i].expand, 3);
    return gen_concat(g, 2, side, 3);
}

void gen_squeezenet(gen_graph *g, gen_node *x, gen_node *layer[GEN_SQUEEZENET_LAYERS])
{
    if (x->shape.rank != 4 || x->shape.dim[1] < LEAST_SIDE || x->shape.dim[2] < LEAST_SIDE)
        gen_graph_fail(g, GEN_BAD_SHAPE, "SqueezeNet needs pictures of at least %dx%d pixels", LEAST_SIDE, LEAST_SIDE);
    nn_conv_spec first = { .kernel = 3, .stride = 2, .init = NN_INIT_HE };
    layer[0] = nn_conv(g, normalised(g, x), "features.0", 64, first);
    layer[1] = gen_relu(g, layer[0]);
    for (int32_t i = 2; i < GEN_SQUEEZENET_LAYERS; i++)
        layer[i] = fire[i].squeeze ? fire_module(g, layer[i - 1], i) : pool(g, layer[i - 1]);
}

int32_t gen_squeezenet_layer(const char *name)
{
    static const char prefix[] = "features.";
    char *end;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return -1;
    const char *number = name + sizeof prefix - 1;
    long i = strtol(number, &end, 10);
    return *end || end == number || i < 0 || i >= GEN_SQUEEZENET_LAYERS ? -1 : (int32_t)i;
}

/* ---- as a network of features -------------------------------------------------------------------------------------------------- */

static void encode(gen_graph *g, const gen_model_context *m)
{
    gen_node *layer[GEN_SQUEEZENET_LAYERS],
        *x = gen_input(g, "x", GEN_SHAPE(m->batch, m->height, m->width, m->channels));
    gen_squeezenet(g, x, layer);
    gen_node *mean = gen_global_avg_pool(g, layer[GEN_SQUEEZENET_LAYERS - 1]);
    gen_output(g, "mu", gen_reshape(g, mean, GEN_SHAPE(m->batch, GEN_SQUEEZENET_FEATURES)));
}

static int64_t latent(const gen_model_context *m)
{
    (void)m;
    return GEN_SQUEEZENET_FEATURES;
}

static const gen_option no_options[] = { GEN_OPTIONS_END };

/* Not in the list of models: nobody trains it here. */
static const gen_model squeezenet = { .name = "squeezenet",
                                      .summary = "features of pictures",
                                      .paper = "Iandola et al. 2016, arXiv:1602.07360",
                                      .options = no_options,
                                      .options_bytes = 1,
                                      .defaults = "",
                                      .data = "",
                                      .encode = encode,
                                      .latent = latent };

static gen_status check_colours(const char *path, gen_arena *arena, gen_error *err)
{
    gen_bytes map;
    gen_safetensors st;
    GEN_TRY(gen_file_map(path, &map, err));
    gen_status status = gen_safetensors_read(map.data, map.size, arena, &st, err);
    const char *input = status == GEN_OK ? gen_safetensors_metadata(&st, "input") : NULL;
    if (input && strstr(input, "BGR"))
        status = gen_fail(err, GEN_UNSUPPORTED, "its weights want \"%.60s\"; expected those of torchvision", input);
    if (status != GEN_OK) gen_error_in_file(err, path, status);
    gen_file_unmap(&map);
    return status;
}

static gen_status load(gen_run *run, const char *path, gen_error *err)
{
    gen_program *program;
    GEN_TRY(check_colours(path, run->arena, err));
    GEN_TRY(gen_run_program(run, encode, "encode pictures", 1, &program, err));
    gen_program_free(program); /* its parameters are known now */
    return gen_checkpoint_load_file(run, path, err);
}

gen_status gen_squeezenet_open(const char *path, gen_device *device, int64_t height, int64_t width, int64_t channels,
                               gen_run **out, gen_error *err)
{
    gen_run *run;
    GEN_TRY(gen_run_in_memory(&squeezenet, device, &run, err));
    run->height = height;
    run->width = width;
    run->channels = channels;
    gen_status status = load(run, path, err);
    if (status == GEN_OK) *out = run;
    else gen_run_close(run);
    return status;
}
