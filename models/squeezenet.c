/* SqueezeNet 1.1 (Iandola et al. 2016) as a table of layers, for both kinds of weights and any pooling: torchvision's and Caffe's; and as a fixed network of
 * features. "fireN" are the modules of the paper, 2 to 9; names of weights are torchvision's. */
#include "models/squeezenet.h"

#include <string.h>

#include "io/safetensors.h"
#include "models/checkpoint.h"
#include "models/features.h"

enum { LEAST_SIDE = 21 };

// clang-format off
#define FIRE(layer, weights, squeeze, expand) { GEN_FEATURE_FIRE, layer, weights, NULL, expand, squeeze, 3, 1, 1 }
#define POOL(layer)                           { GEN_FEATURE_POOL, layer, NULL, NULL, 0, 0, 3, 2, 0 }

static const gen_feature_step steps[] = {
    { GEN_FEATURE_CONV, "relu1", "features.0", NULL, 64, 0, 3, 2, 0 }, POOL("pool1"),
    FIRE("fire2", "features.3", 16, 64),   FIRE("fire3", "features.4", 16, 64),   POOL("pool3"),
    FIRE("fire4", "features.6", 32, 128),  FIRE("fire5", "features.7", 32, 128),  POOL("pool5"),
    FIRE("fire6", "features.9", 48, 192),  FIRE("fire7", "features.10", 48, 192),
    FIRE("fire8", "features.11", 64, 256), FIRE("fire9", "features.12", 64, 256),
    { GEN_FEATURE_CONV, NULL, NULL, NULL, 0, 0, 0, 0, 0 }
};
// clang-format on

const gen_feature_net gen_feature_squeezenet = { .name = "squeezenet",
                                                 .summary = "SqueezeNet 1.1",
                                                 .steps = steps,
                                                 .input = GEN_INPUT_TORCHVISION,
                                                 .caffe_mean = { 104, 117, 123 },
                                                 .ceil = true,
                                                 .content = "fire3,fire5",
                                                 .style = "relu1,fire2,fire4,fire6,fire8" };

/* ---- pictures to numbers --------------------------------------------------------------------------------------------------------- */

static void encode(gen_graph *g, const gen_model_context *m)
{
    static const char *const last[] = { "fire9" };
    gen_node *h, *x = gen_input(g, "x", GEN_SHAPE(m->batch, m->height, m->width, m->channels));
    if (m->height < LEAST_SIDE || m->width < LEAST_SIDE)
        gen_graph_fail(g, GEN_BAD_SHAPE, "SqueezeNet needs pictures of at least %dx%d pixels", LEAST_SIDE, LEAST_SIDE);
    gen_features_build(g, &gen_feature_squeezenet, x, &(gen_feature_options){ 0 }, 1, last, &h);
    gen_output(g, "mu", gen_reshape(g, gen_global_avg_pool(g, h), GEN_SHAPE(m->batch, GEN_SQUEEZENET_FEATURES)));
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
