/* models/squeezenet.h: SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360) as a fixed network of features: 512 numbers of a picture. Its layers are
 * gen_feature_squeezenet of models/features.h. Weights are torchvision's, a file of safetensors with its names; they are 4.9 MB and do not come with gen.
 *
 *     GEN_TRY(gen_squeezenet_open("squeezenet1_1_torchvision.safetensors", device, 64, 64, 3, &run, err));
 *     GEN_TRY(gen_classify(run, x, n, features, NULL, err));    // features[n,512]
 */
#ifndef GEN_MODELS_SQUEEZENET_H
#define GEN_MODELS_SQUEEZENET_H

#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_SQUEEZENET_FEATURES = 512 };

/* A run in memory whose code is the mean over places of the last layer: 512 numbers of a picture of this size, of 1 or 3 channels and sides of at least 21.
 * Every tensor of the network must be in the
 * file; GEN_UNSUPPORTED for weights that say they want blue first, as Caffe's do. */
gen_status gen_squeezenet_open(const char *path, gen_device *device, int64_t height, int64_t width, int64_t channels,
                               gen_run **run, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
