/* models/features.h: networks that see: VGG, SqueezeNet and the like, cut behind the last activation that somebody wants.
 *
 *     const gen_feature_net *net = gen_feature_net_find("vgg19");
 *     const char *names[] = { "relu1_1", "relu4_2" };
 *     gen_node *taps[2];
 *     gen_features_build(g, net, rgb, &(gen_feature_options){ 0 }, 2, names, taps);      // rgb[N,H,W,3] in [0,1]
 *     …program of g, whose parameters are params…
 *     GEN_TRY(gen_features_load(net, file.data, file.size, params, err));
 *
 * A network is a table of steps; parameters have the names of its published state_dict, so that published files fit.
 */
#ifndef GEN_MODELS_FEATURES_H
#define GEN_MODELS_FEATURES_H

#include "core/graph.h"
#include "core/params.h"
#include "io/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gen_feature_kind {
    GEN_FEATURE_CONV,   /* conv + bias + relu */
    GEN_FEATURE_LINEAR, /* conv + bias */
    GEN_FEATURE_POOL,
    GEN_FEATURE_FIRE, /* SqueezeNet's module: 1x1 to `squeeze`, then 1x1 and 3x3 to `channels` each, joined */
} gen_feature_kind;

typedef struct gen_feature_step {
    gen_feature_kind kind;
    const char *layer;   /* its result, as users say it: "relu4_2", "pool1"; SqueezeNet: "fire5" */
    const char *weights; /* in the state_dict: "features.21"; NULL: none */
    const char *also;    /* a second name that files use: "conv4_2"; NULL: none */
    int32_t channels, squeeze;
    int32_t kernel, stride, pad;
} gen_feature_step;

/* What the first layer wants to see. */
typedef enum gen_feature_input {
    GEN_INPUT_RGB,         /* in [0,1] */
    GEN_INPUT_TORCHVISION, /* RGB, (x - mean) / std: mean .485 .456 .406, std .229 .224 .225 */
    GEN_INPUT_CAFFE,       /* BGR, 0..255, minus the network's mean */
} gen_feature_input;

typedef struct gen_feature_net {
    const char *name, *summary;
    const gen_feature_step *steps; /* {0} with layer NULL ends them */
    gen_feature_input input;       /* when nobody says otherwise */
    double caffe_mean[3];          /* B G R */
    bool reflect;                  /* padding of convs: reflection instead of zeros */
    bool ceil;                     /* max pools keep the last, incomplete window */
    const char *content, *style;   /* layers that style transfer takes: "relu4_2", "relu1_1,relu2_1:0.5" */
} gen_feature_net;

/* Pooling other than the network was trained with gives other pictures: Gatys et al. 2016 prefer averages. */
typedef enum gen_feature_pooling { GEN_POOLING_MAX, GEN_POOLING_AVERAGE, GEN_POOLING_L2 } gen_feature_pooling;

typedef struct gen_feature_options {
    bool input_given; /* else the network's */
    gen_feature_input input;
    double caffe_scale; /* 0: 255; neural-style multiplies by 256 */
    gen_feature_pooling pooling;
    double pooling_scale; /* 0: 1; of averages and L2, which make activations smaller */
    bool replicate_first; /* the first conv repeats border pixels instead of adding zeros */
} gen_feature_options;

extern const gen_feature_net *const gen_feature_nets[]; /* NULL ends it */
extern const gen_feature_net gen_vgg19, gen_vgg16, gen_vgg19_slim, gen_vgg_small, gen_feature_squeezenet;

const gen_feature_net *gen_feature_net_find(const char *name);                                /* NULL: none */
const gen_feature_step *gen_feature_step_find(const gen_feature_net *net, const char *layer); /* NULL: none */

/* taps[i][N,h,w,c] becomes the activation called names[i] of rgb[N,H,W,3] in [0,1]. Layers behind the last wanted one are not built. Fails in the graph:
 * a name the network lacks, a picture too small for its pools. */
void gen_features_build(gen_graph *g, const gen_feature_net *net, gen_node *rgb, const gen_feature_options *options,
                        int32_t n, const char *const *names, gen_node **taps);

/* Height and width of a layer for a picture of these; 0 when it is too small. */
void gen_features_size(const gen_feature_net *net, const gen_feature_options *options, const char *layer,
                       int32_t height, int32_t width, int32_t *h, int32_t *w);
/* Pixels by which one pixel of the layer is apart: a picture needs at least so many on each side. 0: no such layer. */
int64_t gen_features_stride(const gen_feature_net *net, const char *layer);
/* What place i of a layer sees, on each axis, where no border is near: pixels i stride - before … i stride + after. stride 0: no such layer. */
typedef struct gen_feature_reach {
    int32_t stride, before, after;
} gen_feature_reach;
gen_feature_reach gen_features_reach(const gen_feature_net *net, const char *layer);
int64_t gen_features_channels(const gen_feature_net *net, const char *layer); /* 0: no such layer */

/* The network whose names and shapes fit the tensors; NULL: none of the table. */
const gen_feature_net *gen_features_recognise(const gen_safetensors *file);
/* What the weights want to see: by the file's metadata "input", else by its names and its file name, which holds the first digits of known
 * SHA-256 sums. false: nothing tells, and *input is the network's own. */
bool gen_features_input_of(const gen_feature_net *net, const gen_safetensors *file, const char *file_name,
                           gen_feature_input *input);

/* Copies a file's tensors into the parameters of the network that params has. GEN_NOT_FOUND, GEN_BAD_SHAPE with the first that is missing or of another
 * shape; which tensors the file has besides does not matter. */
gen_status gen_features_load(const gen_feature_net *net, const gen_safetensors *file, gen_params *params,
                             gen_error *err);

/* The convs of a trained classifier with batch norms ("conv1.weight" [K,C,R,S], "conv1_norm.weight", ".bias", ".running_mean", ".running_var") as convs with
 * a bias that compute the same, under the net's names and in half precision: 2 tensors for each conv of the net, in the arena. GEN_BAD_FILE names the tensor
 * that is missing or of another shape. */
gen_status gen_features_fold(const gen_feature_net *net, const gen_safetensors *from, gen_arena *arena,
                             gen_tensor_entry **tensors, size_t *n, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
