/* models/squeezenet.h: SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360) as a fixed network of features: what layers see in a picture. Weights are
 * torchvision's, a file of safetensors with its names; they are 4.9 MB and do not come with gen.
 *
 *     gen_node *layer[GEN_SQUEEZENET_LAYERS];
 *     gen_squeezenet(g, x, layer);                              // x[N,H,W,3] in [0,1]
 *     gen_node *h = layer[gen_squeezenet_layer("features.7")];  // [N,h,w,256]; layers that nobody uses cost nothing
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

enum { GEN_SQUEEZENET_LAYERS = 13, GEN_SQUEEZENET_FEATURES = 512 };

/* x[N,H,W,1 or 3] in [0,1] -> layer[i], the result of torchvision's features.i, i = 0 … 12. Sides of at least 21. Parameters "features.0.weight" … */
void gen_squeezenet(gen_graph *g, gen_node *x, gen_node *layer[GEN_SQUEEZENET_LAYERS]);
/* "features.7" -> 7; -1: there is no such layer */
int32_t gen_squeezenet_layer(const char *name);

/* A run in memory whose code is the mean over places of the last layer: 512 numbers of a picture of this size. Every tensor of the network must be in the
 * file; GEN_UNSUPPORTED for weights that say they want blue first, as Caffe's do. */
gen_status gen_squeezenet_open(const char *path, gen_device *device, int64_t height, int64_t width, int64_t channels,
                               gen_run **run, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
