/* VGG (Simonyan & Zisserman 2015), and VGG-19 distilled to a quarter of its channels for style transfer (Wang et al. 2020, "Collaborative
 * Distillation"). Names of weights: torchvision's features.N; files that come from Caffe say conv1_1. */
#include "models/features.h"

// clang-format off
#define CONV(layer, weights, also, k) { GEN_FEATURE_CONV, layer, weights, also, k, 0, 3, 1, 1 }
#define POOL(layer)                   { GEN_FEATURE_POOL, layer, NULL, NULL, 0, 0, 2, 2, 0 }
#define END                           { GEN_FEATURE_CONV, NULL, NULL, NULL, 0, 0, 0, 0, 0 }

static const gen_feature_step vgg19[] = {
    CONV("relu1_1", "features.0", "conv1_1", 64),   CONV("relu1_2", "features.2", "conv1_2", 64),   POOL("pool1"),
    CONV("relu2_1", "features.5", "conv2_1", 128),  CONV("relu2_2", "features.7", "conv2_2", 128),  POOL("pool2"),
    CONV("relu3_1", "features.10", "conv3_1", 256), CONV("relu3_2", "features.12", "conv3_2", 256),
    CONV("relu3_3", "features.14", "conv3_3", 256), CONV("relu3_4", "features.16", "conv3_4", 256), POOL("pool3"),
    CONV("relu4_1", "features.19", "conv4_1", 512), CONV("relu4_2", "features.21", "conv4_2", 512),
    CONV("relu4_3", "features.23", "conv4_3", 512), CONV("relu4_4", "features.25", "conv4_4", 512), POOL("pool4"),
    CONV("relu5_1", "features.28", "conv5_1", 512), CONV("relu5_2", "features.30", "conv5_2", 512),
    CONV("relu5_3", "features.32", "conv5_3", 512), CONV("relu5_4", "features.34", "conv5_4", 512), POOL("pool5"),
    END
};

static const gen_feature_step vgg16[] = {
    CONV("relu1_1", "features.0", "conv1_1", 64),   CONV("relu1_2", "features.2", "conv1_2", 64),   POOL("pool1"),
    CONV("relu2_1", "features.5", "conv2_1", 128),  CONV("relu2_2", "features.7", "conv2_2", 128),  POOL("pool2"),
    CONV("relu3_1", "features.10", "conv3_1", 256), CONV("relu3_2", "features.12", "conv3_2", 256),
    CONV("relu3_3", "features.14", "conv3_3", 256), POOL("pool3"),
    CONV("relu4_1", "features.17", "conv4_1", 512), CONV("relu4_2", "features.19", "conv4_2", 512),
    CONV("relu4_3", "features.21", "conv4_3", 512), POOL("pool4"),
    CONV("relu5_1", "features.24", "conv5_1", 512), CONV("relu5_2", "features.26", "conv5_2", 512),
    CONV("relu5_3", "features.28", "conv5_3", 512), POOL("pool5"),
    END
};

/* conv0 turns RGB into what Caffe's VGG sees; it is part of the file. */
static const gen_feature_step slim[] = {
    { GEN_FEATURE_LINEAR, "conv0", "conv0", NULL, 3, 0, 1, 1, 0 },
    CONV("relu1_1", "conv11", NULL, 16),  CONV("relu1_2", "conv12", NULL, 16),  POOL("pool1"),
    CONV("relu2_1", "conv21", NULL, 32),  CONV("relu2_2", "conv22", NULL, 32),  POOL("pool2"),
    CONV("relu3_1", "conv31", NULL, 64),  CONV("relu3_2", "conv32", NULL, 64),
    CONV("relu3_3", "conv33", NULL, 64),  CONV("relu3_4", "conv34", NULL, 64),  POOL("pool3"),
    CONV("relu4_1", "conv41", NULL, 128), CONV("relu4_2", "conv42", NULL, 128),
    CONV("relu4_3", "conv43", NULL, 128), CONV("relu4_4", "conv44", NULL, 128), POOL("pool4"),
    CONV("relu5_1", "conv51", NULL, 128),
    END
};

/* What `gen train vgg-small` learns on pictures of 32x32, its batch norms folded into the convs (models/features_fold.c). */
static const gen_feature_step small[] = {
    CONV("relu1_1", "conv1", NULL, 64),  CONV("relu1_2", "conv2", NULL, 64),  POOL("pool1"),
    CONV("relu2_1", "conv3", NULL, 128), CONV("relu2_2", "conv4", NULL, 128), POOL("pool2"),
    CONV("relu3_1", "conv5", NULL, 256), CONV("relu3_2", "conv6", NULL, 256), POOL("pool3"),
    END
};
// clang-format on

/* The five layers of Gatys et al. 2016. */
#define STYLE "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1"
#define MEAN                                                                                                           \
    {                                                                                                                  \
        103.939, 116.779, 123.68                                                                                       \
    }

const gen_feature_net gen_vgg19 = { .name = "vgg19",
                                    .summary = "VGG-19",
                                    .steps = vgg19,
                                    .input = GEN_INPUT_TORCHVISION,
                                    .caffe_mean = MEAN,
                                    .content = "relu4_2",
                                    .style = STYLE };
const gen_feature_net gen_vgg16 = { .name = "vgg16",
                                    .summary = "VGG-16",
                                    .steps = vgg16,
                                    .input = GEN_INPUT_TORCHVISION,
                                    .caffe_mean = MEAN,
                                    .content = "relu4_2",
                                    .style = STYLE };
/* Other layers than VGG's: with relu1_1 and relu5_1 this one draws worms. */
const gen_feature_net gen_vgg19_slim = { .name = "vgg19-slim",
                                         .summary = "VGG-19 with 16 to 128 channels",
                                         .steps = slim,
                                         .input = GEN_INPUT_RGB,
                                         .reflect = true,
                                         .content = "relu3_1",
                                         .style = "relu1_2,relu2_2,relu3_1,relu4_1" };
/* Three scales instead of five, so that the deepest layers count too. */
const gen_feature_net gen_vgg_small = { .name = "vgg-small",
                                        .summary = "a small VGG that gen trained itself",
                                        .steps = small,
                                        .input = GEN_INPUT_RGB,
                                        .content = "relu3_1",
                                        .style = "relu1_1,relu1_2,relu2_1,relu2_2,relu3_1,relu3_2" };
