/* Denoising autoencoder: Vincent et al. 2010, JMLR 11:3371. It learns to undo noise that is drawn anew each step.
 *
 *   loss = mean_p (x - f(x~))^2  (or |x - f(x~)|, or cross-entropy),   x~ ~ noise(x), cut to [0,1] as files are
 *   gaussian     x~ = x + s n                     masking      x~ = 0 with probability s, else x
 *   speckle      x~ = x + x s n                   salt-pepper  x~ = 0 or 1 with probability s/2 each, else x
 *
 * n ~ N(0,1) for each number; masking and salt-pepper hit whole pixels, all channels at once. s is --noise-level; with --noise-from it is drawn anew for
 * each training picture between the two, so that one network serves all of them.
 *
 *   net unet    two halvings, skips, nearest upsampling, and the noisy picture added to the result (Ronneberger et al. 2015; Zhang et al. 2017, DnCNN:
 *               the network says what the noise is). Convs only: pictures of any size and number of channels, also other than in training.
 *   net dense   two hidden layers and a sigmoid: for digits.
 */
#include "core/nn.h"
#include "models/metrics.h"
#include "models/model.h"

#include <stdio.h>
#include <string.h>

typedef struct denoise_options {
    int64_t width, hidden;
    double noise_level, noise_from;
    const char *net, *noise, *loss;
} denoise_options;

// clang-format off
static const gen_option options[] = {
    { "net",         OPT_CHOICE, offsetof(denoise_options, net),         "unet", 0, 0, "unet|dense", NULL, "layers: unet for pictures of any size, dense for digits", 0 },
    { "noise",       OPT_CHOICE, offsetof(denoise_options, noise),       "gaussian", 0, 0, "gaussian|masking|salt-pepper|speckle", NULL, "kind of noise", 0 },
    { "noise-level", OPT_FLOAT,  offsetof(denoise_options, noise_level), "0.2",  0, 10, NULL, NULL, "standard deviation, or the part of the pixels that is hit", 0 },
    { "noise-from",  OPT_FLOAT,  offsetof(denoise_options, noise_from),  "-1",   -1, 10, NULL, NULL, "train on levels between this and --noise-level (-1: on that level alone)", 0 },
    { "width",       OPT_INT,    offsetof(denoise_options, width),       "32",   1, 1024, NULL, "channels", "of unet's first layers; doubles with each halving", 0 },
    { "hidden",      OPT_INT,    offsetof(denoise_options, hidden),      "1000", 1, 65536, NULL, "units", "of each hidden layer of net dense", 0 },
    { "loss",        OPT_CHOICE, offsetof(denoise_options, loss),        "mse",  0, 0, "mse|l1|bce", NULL, "squared or absolute error or, of net dense, cross-entropy; a mean over pixels", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "dae-digits", "net=dense hidden=1000 noise=gaussian noise-level=0.5 loss=bce batch=128 lr=1e-3 epochs=20",
      "Vincent et al. 2010, with the noise of Keras' blog: N(0, 0.5^2)", "mnist" },
    { "dae-masking", "net=dense hidden=1000 noise=masking noise-level=0.25 loss=bce batch=128 lr=1e-3 epochs=20",
      "Vincent et al. 2010: a quarter of the pixels is 0", "mnist" },
    { "denoise-photo", "net=unet width=32 noise=gaussian noise-level=0.2 noise-from=0 loss=l1 batch=16 lr=5e-4 epochs=50",
      "one network for levels up to 0.2 (51 of 255), as blind DnCNN", "cifar10" },
    GEN_PRESETS_END
};
// clang-format on

/* ---- noise --------------------------------------------------------------------------------------------------------------- */

/* scalar, or [N,1,1,1] where each picture has its own */
static gen_node *level_of(gen_graph *g, const gen_model_context *m, bool training)
{
    const denoise_options *o = m->options;
    if (!training || o->noise_from < 0) return gen_scalar(g, o->noise_level);
    gen_node *u = gen_uniform(g, GEN_SHAPE(m->batch, 1, 1, 1));
    return gen_affine(g, u, o->noise_level - o->noise_from, o->noise_from);
}

static gen_node *with_noise(gen_graph *g, const gen_model_context *m, gen_node *x, bool training)
{
    const denoise_options *o = m->options;
    gen_graph_scope(g, "noise");
    gen_node *s = level_of(g, m, training), *y;
    if (!strcmp(o->noise, "gaussian") || !strcmp(o->noise, "speckle")) {
        gen_node *n = gen_mul(g, gen_normal(g, x->shape), s);
        y = gen_clamp(g, gen_add(g, x, !strcmp(o->noise, "speckle") ? gen_mul(g, x, n) : n), 0, 1);
    } else {
        gen_node *u = gen_uniform(g, GEN_SHAPE(m->batch, m->height, m->width, 1));
        bool masking = !strcmp(o->noise, "masking");
        gen_node *black = gen_less(g, u, masking ? s : gen_scale(g, s, 0.5));
        y = gen_mul(g, x, gen_affine(g, black, -1, 1));
        if (!masking) y = gen_max(g, y, gen_less(g, gen_affine(g, s, -0.5, 1), u));
    }
    gen_graph_scope(g, "");
    return y;
}

/* ---- networks ------------------------------------------------------------------------------------------------------------ */

static bool is_dense(const gen_model_context *m)
{
    return !strcmp(((const denoise_options *)m->options)->net, "dense");
}

/* what the sigmoid takes */
static gen_node *dense(gen_graph *g, const gen_model_context *m, gen_node *x)
{
    const denoise_options *o = m->options;
    nn_dense_spec image = { .becomes = { m->channels, m->height, m->width } };
    gen_node *h = gen_relu(g, nn_dense(g, nn_flatten(g, x), "fc1", o->hidden, (nn_dense_spec){ 0 }));
    h = gen_relu(g, nn_dense(g, h, "fc2", o->hidden, (nn_dense_spec){ 0 }));
    h = nn_dense(g, h, "out", m->height * m->width * m->channels, image);
    return nn_image(g, h, m->height, m->width, m->channels);
}

static gen_node *conv(gen_graph *g, gen_node *x, const char *block, int layer, int64_t channels, int32_t stride)
{
    char name[32];
    snprintf(name, sizeof name, "%s.conv%d", block, layer);
    return gen_relu(g, nn_conv(g, x, name, channels, (nn_conv_spec){ .stride = stride, .pad = 1, .init = NN_INIT_HE }));
}

static gen_node *up(gen_graph *g, gen_node *x, gen_node *skip, const char *block)
{
    int64_t channels = skip->shape.dim[3];
    gen_node *both[] = { conv(g, gen_upsample(g, x, 2), block, 1, channels, 1), skip };
    return conv(g, gen_concat(g, 2, both, 3), block, 2, channels, 1);
}

/* Below and right the picture goes on as its mirror image until it halves twice. */
static gen_node *unet(gen_graph *g, const gen_model_context *m, gen_node *noisy)
{
    int64_t w = ((const denoise_options *)m->options)->width;
    int32_t below = (int32_t)(-m->height & 3), right = (int32_t)(-m->width & 3);
    gen_node *x = below || right ? gen_pad(g, noisy, GEN_PAD_REFLECT, 0, 0, below, right) : noisy;
    gen_node *one = conv(g, conv(g, x, "down1", 1, w, 1), "down1", 2, w, 1);
    gen_node *two = conv(g, conv(g, one, "down2", 1, 2 * w, 2), "down2", 2, 2 * w, 1);
    gen_node *four = conv(g, conv(g, two, "down3", 1, 4 * w, 2), "down3", 2, 4 * w, 1);
    gen_node *h = up(g, up(g, four, two, "up2"), one, "up1");
    h = gen_add(g, nn_conv(g, h, "out", m->channels, (nn_conv_spec){ .pad = 1 }), x);
    return gen_slice(g, gen_slice(g, h, 1, 0, m->height), 2, 0, m->width);
}

static gen_node *network(gen_graph *g, const gen_model_context *m, gen_node *noisy)
{
    return is_dense(m) ? dense(g, m, noisy) : unet(g, m, noisy);
}

static gen_node *pixels_of(gen_graph *g, const gen_model_context *m, gen_node *out)
{
    return is_dense(m) ? gen_sigmoid(g, out) : out;
}

/* ---- graphs -------------------------------------------------------------------------------------------------------------- */

static gen_node *input_image(gen_graph *g, const gen_model_context *m)
{
    return gen_input(g, "x", GEN_SHAPE(m->batch, m->height, m->width, m->channels));
}

/* [N] */
static gen_node *loss_of(gen_graph *g, const gen_model_context *m, gen_node *out, gen_node *x)
{
    const denoise_options *o = m->options;
    if (!strcmp(o->loss, "bce")) return gen_image_mean(g, gen_bce_logits(g, out, x));
    gen_node *error = gen_sub(g, pixels_of(g, m, out), x);
    return gen_image_mean(g, !strcmp(o->loss, "l1") ? gen_abs(g, error) : gen_square(g, error));
}

static void train(gen_graph *g, const gen_model_context *m)
{
    gen_node *x = input_image(g, m);
    gen_node *loss = gen_mean(g, loss_of(g, m, network(g, m, with_noise(g, m, x, true)), x));
    gen_optim_report report = gen_optim_minimise(g, loss, "", &m->optim);
    gen_output(g, "loss", loss);
    if (report.grad_norm) gen_output(g, "grad_norm", report.grad_norm);
}

/* Also the pictures themselves: what was made noisy, and what came of it. */
static void eval(gen_graph *g, const gen_model_context *m)
{
    gen_node *x = input_image(g, m), *noisy = with_noise(g, m, x, false), *out = network(g, m, noisy);
    gen_node *y = gen_clamp(g, pixels_of(g, m, out), 0, 1);
    gen_output(g, "loss", loss_of(g, m, out, x));
    gen_output_errors(g, "", y, x);
    gen_output_errors(g, "noisy_", noisy, x);
    gen_output(g, "noisy", noisy);
    gen_output(g, "denoised", y);
}

static void translate(gen_graph *g, const gen_model_context *m)
{
    gen_output(g, "y", gen_clamp(g, pixels_of(g, m, network(g, m, input_image(g, m))), 0, 1));
}

static bool any_size(const gen_model_context *m)
{
    return !is_dense(m);
}

static gen_status check(const gen_model_context *m, gen_error *err)
{
    const denoise_options *o = m->options;
    if (m->height < 4 || m->width < 4 || m->channels < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "denoise needs pictures of at least 4x4 pixels; the data has none");
    if (!is_dense(m) && !strcmp(o->loss, "bce"))
        return gen_fail(err, GEN_BAD_OPTION, "--loss bce goes with --net dense, not %s: use mse or l1", o->net);
    if (strcmp(o->noise, "gaussian") && strcmp(o->noise, "speckle") && o->noise_level > 1)
        return gen_fail(err, GEN_BAD_OPTION, "--noise-level %g: of %s noise it is a part of the pixels, at most 1",
                        o->noise_level, o->noise);
    if (o->noise_from > o->noise_level)
        return gen_fail(err, GEN_BAD_OPTION, "--noise-from %g is above --noise-level %g", o->noise_from,
                        o->noise_level);
    return GEN_OK;
}

const gen_model gen_model_denoise = {
    .name = "denoise",
    .summary = "denoising autoencoder",
    .paper = "Vincent et al. 2010, JMLR 11:3371",
    .options = options,
    .options_bytes = sizeof(denoise_options),
    .presets = presets,
    .defaults = "batch=32 lr=1e-3 schedule=cosine epochs=10",
    .data = "mnist",
    .check = check,
    .train = train,
    .eval = eval,
    .translate = translate,
    .any_size = any_size,
};
