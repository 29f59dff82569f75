/* models/gan_nets.h: generators and discriminators: those of DCGAN for any size, and the published ones of fixed sizes.
 *
 *     gan_net net = gan_net_for("dcgan", &(gan_net_options){ .width = 64, .up = "auto" }, 64, 64, 3);
 *     gen_node *fake = gan_generator(g, &net, z, GAN_TRAIN);              // z[N,D] -> [N,64,64,3] in [-1,1], layers "g.…"
 *     gen_node *logit = gan_discriminator(g, &net, fake, NULL);           // -> [N], layers "d.…"
 */
#ifndef GEN_MODELS_GAN_NETS_H
#define GEN_MODELS_GAN_NETS_H

#include "core/nn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GAN_NETS "dcgan|gdl-camel|gdl-wgan|gdl-faces|bench-camel|bench-faces"
#define GAN_UPS "auto|conv-transpose|nearest|bilinear"

typedef struct gan_net_options {
    int64_t width; /* of dcgan: channels of the discriminator's first layer */
    int64_t
        hidden; /* units of a dense layer beside the noise, and of one before the answer (Chen et al. 2016, appendix C.1); 0: none */
    const char *up; /* how the generator doubles sizes; auto: as the net is published */
    bool spectral;  /* the discriminator's weights are divided by their largest singular value (Miyato et al. 2018) */
    /* none in the discriminator: a gradient penalty is per picture, batch norm mixes them (Gulrajani et al. 2017, section 4), and it would undo a
     * spectral norm */
    bool no_norm;
} gan_net_options;

enum { GAN_MAX_LAYERS = 12 };

typedef struct gan_layer {
    int32_t channels, kernel, stride;
    bool conv; /* of a generator: nearest upsampling by stride, then a conv layer; else a transposed one */
} gan_layer;

typedef struct gan_net {
    gan_net_options o;
    int64_t height, width, channels;
    int64_t start[3];               /* h, w, c of what the generator's dense layer gives */
    gan_layer up[GAN_MAX_LAYERS];   /* generator: the last layer's channels are the picture's */
    gan_layer down[GAN_MAX_LAYERS]; /* discriminator */
    int32_t n_up, n_down;
    bool same;      /* TensorFlow's SAME padding, else (kernel - 1) / 2 zeros on each side */
    bool bias;      /* in conv and dense layers */
    bool flat_norm; /* the norm after the generator's dense layer is over features, before they become a picture */
    bool norm;      /* batch norm in the discriminator, but for its first layer */
    double g_slope, d_slope; /* of leaky relu; 0: relu */
    double dropout;          /* after each conv layer of the discriminator */
    double eps, momentum;    /* of batch norm */
    double sigma;            /* weights start as N(0, sigma^2); 0: PyTorch's default */
    double gamma_sigma;      /* norms' weights start as N(1, sigma^2) */
} gan_net;

gan_net gan_net_for(const char *name, const gan_net_options *options, int64_t height, int64_t width, int64_t channels);

typedef enum gan_mode {
    GAN_TRAIN,   /* statistics of the batch; running ones are updated */
    GAN_RUNNING, /* running statistics, as for samples */
    GAN_AVERAGE, /* as RUNNING, with the averaged weights "ema.g.…" */
} gan_mode;

/* z[N,..] -> [N,H,W,C] in [-1,1] */
gen_node *gan_generator(gen_graph *g, const gan_net *net, gen_node *z, gan_mode mode);
/* x[N,H,W,C], one_hot[N,classes] or NULL -> [N]: no activation at the end. With classes: the projection of Miyato & Koyama 2018. */
gen_node *gan_discriminator(gen_graph *g, const gan_net *net, gen_node *x, gen_node *one_hot);

#ifdef __cplusplus
}
#endif
#endif
