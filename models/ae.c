/* Autoencoder: a code of few numbers, and the picture that it gives back. Hinton & Salakhutdinov 2006, Science 313:504.
 *
 *   z = f(x),   y = g(z),   loss mse = mean_p (x - y)^2,   loss bce = mean_p softplus(l) - l x  with  y = sigmoid(l)
 *
 * Both are means over pixels and pictures. y is a sigmoid's, except of `--net linear`, which has no activations at all: its best codes span the plane of
 * the first principal components (Baldi & Hornik 1989), so `gen eval` of it and of `pca` must agree.
 *
 * An autoencoder has no prior. What the verbs call a code is (f(x) - m) / s, with m and s the mean and standard deviation of each number of the training
 * codes: running averages that training keeps beside the network ("code.running_mean", "code.running_var"; no gradient, no parameter). So codes of any
 * run have the scale of N(0, I), and `gen sample` draws there: that is as good as the codes are normal, and plainly worse than a VAE's. The network's own
 * code is m + s z.
 * Deviations: the four-layer net of 2006 has rectifiers and starts from random weights: it was logistic, and trained layer by layer first.
 */
#include "core/nn.h"
#include "models/metrics.h"
#include "models/model.h"
#include "models/trunk.h"

#include <string.h>

typedef struct ae_options {
    int64_t latent, hidden, width, batch_norm;
    double dropout;
    const char *net, *loss, *init, *activation;
} ae_options;

// clang-format off
static const gen_option options[] = {
    { "latent",     OPT_INT,    offsetof(ae_options, latent),     "16",    1, 4096, NULL, NULL, "size of the code", 0 },
    { "net",        OPT_CHOICE, offsetof(ae_options, net),        "conv",  0, 0, GEN_TRUNK_NETS, NULL, "layers of encoder and decoder", 0 },
    { "width",      OPT_INT,    offsetof(ae_options, width),      "32",    1, 1024, NULL, "channels", "of the first conv layer; doubles with each halving up to 4 times", 0 },
    { "hidden",     OPT_INT,    offsetof(ae_options, hidden),     "256",   0, 65536, NULL, "units", "of the dense layer beside the code (0: none)", 0 },
    { "loss",       OPT_CHOICE, offsetof(ae_options, loss),       "mse",   0, 0, "mse|bce", NULL, "squared error or cross-entropy, a mean over pixels", 0 },
    { "init",       OPT_CHOICE, offsetof(ae_options, init),       "torch", 0, 0, GEN_TRUNK_INITS, NULL, "initial weights", 0 },
    { "batch-norm", OPT_BOOL,   offsetof(ae_options, batch_norm), "0",     0, 1, NULL, NULL,    "batch normalisation after each conv layer", 0 },
    { "dropout",    OPT_FLOAT,  offsetof(ae_options, dropout),    "0",     0, 0.95, NULL, NULL, "after each conv layer, or hidden layer of nets mlp and hinton", 0 },
    { "activation", OPT_CHOICE, offsetof(ae_options, activation), "relu",  0, 0, GEN_TRUNK_ACTIVATIONS, NULL, "of the hidden layers of nets mlp and hinton", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "gdl-ae-digits", "net=gdl-digits latent=2 init=keras batch=32 lr=5e-4 schedule=constant epochs=200",
      "D. Foster, Generative Deep Learning, 1st ed., 03_01 (the book trains on the first 1000 digits only)", "mnist" },
    { "hinton-deep", "net=hinton latent=30 loss=bce init=he batch=128 lr=1e-3 schedule=cosine epochs=60",
      "Hinton & Salakhutdinov 2006: 784-1000-500-250-30", "mnist" },
    { "linear", "net=linear latent=32 loss=mse batch=128 lr=2e-3 schedule=cosine epochs=40", "Baldi & Hornik 1989: learns the plane of PCA", "mnist" },
    { "conv-16", "net=conv latent=16 width=32 hidden=256 batch=64 lr=1e-3 schedule=cosine epochs=20", "the default, spelled out", "mnist" },
    GEN_PRESETS_END
};
// clang-format on

/* ---- encoder, decoder -------------------------------------------------------------------------------------------------- */

static bool is_linear(const ae_options *o)
{
    return !strcmp(o->net, "linear");
}

static gen_trunk trunk_of(const gen_model_context *m)
{
    const ae_options *o = m->options;
    gen_trunk_options t = { .width = o->width,
                            .hidden = o->hidden,
                            .init = o->init,
                            .activation = o->activation,
                            .batch_norm = o->batch_norm != 0,
                            .dropout = o->dropout };
    return gen_trunk_for(o->net, &t, m->height, m->width, m->channels);
}

/* x[N,H,W,C] -> the network's own code [N,D] */
static gen_node *encoder(gen_graph *g, const gen_model_context *m, gen_node *x, bool training)
{
    const ae_options *o = m->options;
    gen_trunk t = trunk_of(m);
    return nn_dense(g, gen_trunk_encode(g, &t, x, training), "enc.code", o->latent, gen_trunk_dense(&t));
}

/* The network's own code [N,D] -> what the sigmoid takes, or the pixels of net linear, [N,H,W,C] */
static gen_node *decoder(gen_graph *g, const gen_model_context *m, gen_node *code, bool training)
{
    gen_trunk t = trunk_of(m);
    return gen_trunk_decode(g, &t, code, training);
}

static gen_node *pixels_of(gen_graph *g, const gen_model_context *m, gen_node *out)
{
    return is_linear(m->options) ? out : gen_sigmoid(g, out);
}

/* ---- the scale of the codes ---------------------------------------------------------------------------------------------- */

typedef struct code_scale {
    gen_node *mean, *var, *count; /* [D], [D], scalar */
} code_scale;

static code_scale scale_of(gen_graph *g, const gen_model_context *m)
{
    gen_shape d = GEN_SHAPE(((const ae_options *)m->options)->latent);
    gen_param_spec state = { .init = GEN_INIT_CONST, .state = true }, one = state;
    one.a = 1;
    return (code_scale){ gen_param(g, "code.running_mean", d, state), gen_param(g, "code.running_var", d, one),
                         gen_param(g, "code.num_batches_tracked", (gen_shape){ 0 }, state) };
}

/* (1 - r) old + r new: with r = 1 nothing of the old is left, not even its rounding */
static gen_node *blend(gen_graph *g, gen_node *old, gen_node *new, gen_node *rate)
{
    return gen_add(g, gen_mul(g, old, gen_affine(g, rate, -1, 1)), gen_mul(g, new, rate));
}

/* Mean and variance of the batch blended in with r = 1 / t, but at least 1/100, so that early codes are forgotten. */
static void track_scale(gen_graph *g, const gen_model_context *m, gen_node *code)
{
    code_scale s = scale_of(g, m);
    gen_node *t = gen_affine(g, s.count, 1, 1);
    gen_node *rate = gen_max(g, gen_div(g, gen_scalar(g, 1), t), gen_scalar(g, 0.01));
    gen_node *batch_mean = gen_reshape(g, gen_mean_of(g, code, GEN_AXIS(0)), s.mean->shape);
    gen_node *batch_var = gen_mean_of(g, gen_square(g, gen_sub(g, code, batch_mean)), GEN_AXIS(0));
    gen_assign(g, s.mean, blend(g, s.mean, batch_mean, rate));
    gen_assign(g, s.var, blend(g, s.var, gen_reshape(g, batch_var, s.var->shape), rate));
    gen_assign(g, s.count, t);
}

static gen_node *deviation(gen_graph *g, const code_scale *s)
{
    return gen_sqrt(g, gen_affine(g, s->var, 1, 1e-8));
}

/* ---- graphs ------------------------------------------------------------------------------------------------------------------ */

static gen_node *input_image(gen_graph *g, const gen_model_context *m)
{
    return gen_input(g, "x", GEN_SHAPE(m->batch, m->height, m->width, m->channels));
}

/* [N]: of each picture, a mean over its pixels */
static gen_node *loss_of(gen_graph *g, const gen_model_context *m, gen_node *out, gen_node *x)
{
    const ae_options *o = m->options;
    if (!strcmp(o->loss, "bce")) return gen_image_mean(g, gen_bce_logits(g, out, x));
    return gen_image_mean(g, gen_square(g, gen_sub(g, pixels_of(g, m, out), x)));
}

static void train(gen_graph *g, const gen_model_context *m)
{
    gen_node *x = input_image(g, m), *code = encoder(g, m, x, true);
    gen_node *loss = gen_mean(g, loss_of(g, m, decoder(g, m, code, true), x));
    gen_optim_report report = gen_optim_minimise(g, loss, "", &m->optim);
    gen_output(g, "loss", loss);
    if (report.grad_norm) gen_output(g, "grad_norm", report.grad_norm);
    track_scale(g, m, code);
}

static void eval(gen_graph *g, const gen_model_context *m)
{
    gen_node *x = input_image(g, m), *out = decoder(g, m, encoder(g, m, x, false), false);
    gen_output(g, "loss", loss_of(g, m, out, x));
    gen_output_errors(g, "", pixels_of(g, m, out), x);
}

static void encode(gen_graph *g, const gen_model_context *m)
{
    code_scale s = scale_of(g, m);
    gen_node *code = encoder(g, m, input_image(g, m), false);
    gen_output(g, "mu", gen_div(g, gen_sub(g, code, s.mean), deviation(g, &s)));
}

static void decode(gen_graph *g, const gen_model_context *m)
{
    const ae_options *o = m->options;
    code_scale s = scale_of(g, m);
    gen_node *z = gen_input(g, "z", GEN_SHAPE(m->batch, o->latent));
    gen_node *out = decoder(g, m, gen_add(g, s.mean, gen_mul(g, z, deviation(g, &s))), false);
    gen_output(g, "x", gen_clamp(g, pixels_of(g, m, out), 0, 1));
}

static int64_t latent(const gen_model_context *m)
{
    return ((const ae_options *)m->options)->latent;
}

static gen_status check(const gen_model_context *m, gen_error *err)
{
    const ae_options *o = m->options;
    if (m->height < 1 || m->width < 1 || m->channels < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "ae needs images; the data has none");
    if (!strcmp(o->net, "mlp") && !o->hidden)
        return gen_fail(err, GEN_BAD_OPTION, "--net mlp needs --hidden of at least 1");
    if (is_linear(o) && strcmp(o->loss, "mse"))
        return gen_fail(err, GEN_BAD_OPTION, "--net linear has no sigmoid, so its --loss is mse, not %s", o->loss);
    return GEN_OK;
}

const gen_model gen_model_ae = {
    .name = "ae",
    .summary = "autoencoder",
    .paper = "Hinton & Salakhutdinov 2006, Science 313:504",
    .options = options,
    .options_bytes = sizeof(ae_options),
    .presets = presets,
    .defaults = "batch=64 lr=1e-3 schedule=cosine epochs=20",
    .data = "mnist",
    .check = check,
    .train = train,
    .eval = eval,
    .encode = encode,
    .decode = decode,
    .latent = latent,
};
