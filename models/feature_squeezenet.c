/* SqueezeNet 1.1 (Iandola et al. 2016) as a table of layers, for both kinds of weights and any pooling: torchvision's and Caffe's. "fireN" are the modules of the
 * paper, 2 to 9; names of weights are torchvision's. models/squeezenet.h is the fixed network that pictures are compared in. */
#include "models/features.h"

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
