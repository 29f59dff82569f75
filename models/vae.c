/* Variational autoencoder: Kingma & Welling 2014, arXiv:1312.6114.
 *
 *   loss = - E_q(z|x) log p(x|z) + beta KL(q(z|x) || N(0, I)),   q(z|x) = N(mu(x), diag exp(logvar(x))),   z = mu + exp(logvar / 2) eps
 *   KL = -1/2 sum_d (1 + logvar - mu^2 - exp(logvar))                                        (appendix B)
 *
 * Everything is summed over pixels and averaged over images, so the loss with beta = 1 is the negative ELBO in nats an image, whatever the likelihood:
 *   bernoulli          -log p = sum softplus(l) - l x, for grey pixels too (their cross-entropy)
 *   gaussian           -log p = SSE / (2 sigma^2) + P/2 log(2 pi sigma^2), sigma given
 *   gaussian-learned   the same with one sigma for all pixels that is learned (Rybkin et al. 2021, sigma-VAE)
 *   --r-loss-factor f  f times the mean squared error instead: the loss of D. Foster's "Generative Deep Learning" (GDL)
 *
 * --iwae-k K with K > 1 is the importance weighted autoencoder (Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, equation 8):
 *
 *   loss = - E log 1/K sum_k w_k,   log w_k = log p(x|z_k) + beta (log p(z_k) - log q(z_k|x)),   z_1..z_K ~ q(z|x)
 *
 * The gradient of the log-sum-exp weighs each sample by w_k / sum w: their equation 14 needs no code of its own.
 * --conditional gives encoder and decoder the picture's label y, as Sohn et al. 2015 (NIPS) do: log p(x|y) has the bound above with q(z|x,y), p(x|z,y)
 * and the same prior.
 *
 * Deviations: logvar is clamped to [-30, 20] (exp of anything larger only makes infinities).
 */
#include "core/autodiff.h"
#include "core/nn.h"
#include "models/model.h"
#include "models/trunk.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct vae_options {
    int64_t latent, hidden, width, kl_warmup, iwae_k;
    double beta, r_loss_factor, sigma, free_bits, dropout;
    const char *net, *likelihood, *init, *activation, *binarise;
    int64_t batch_norm, conditional;
} vae_options;

// clang-format off
static const gen_option options[] = {
    { "latent",        OPT_INT,    offsetof(vae_options, latent),        "20",   1, 4096, NULL, NULL,   "size of the latent code", 0 },
    { "net",           OPT_CHOICE, offsetof(vae_options, net),           "conv", 0, 0, GEN_TRUNK_NETS, NULL, "layers of encoder and decoder", 0 },
    { "width",         OPT_INT,    offsetof(vae_options, width),         "32",   1, 1024, NULL, "channels", "of the first conv layer; doubles with each halving up to 4 times", 0 },
    { "hidden",        OPT_INT,    offsetof(vae_options, hidden),        "256",  0, 65536, NULL, "units", "of the dense layer beside the code (0: none)", 0 },
    { "likelihood",    OPT_CHOICE, offsetof(vae_options, likelihood),    "bernoulli", 0, 0, "bernoulli|gaussian|gaussian-learned", NULL, "p(x|z)", 0 },
    { "sigma",         OPT_FLOAT,  offsetof(vae_options, sigma),         "1",    1e-4, 1e4, NULL, NULL, "standard deviation of likelihood gaussian", 0 },
    { "beta",          OPT_FLOAT,  offsetof(vae_options, beta),          "1",    0, 1e4, NULL, NULL,    "weight of the KL term", 0 },
    { "r-loss-factor", OPT_FLOAT,  offsetof(vae_options, r_loss_factor), "0",    0, 1e9, NULL, NULL,    "GDL's loss: this times the mean squared error, plus KL (0: off)", 0 },
    { "kl-warmup",     OPT_INT,    offsetof(vae_options, kl_warmup),     "0",    0, 1e9, NULL, "steps", "in which beta rises from 0", 0 },
    { "iwae-k",        OPT_INT,    offsetof(vae_options, iwae_k),        "1",    1, 1000, NULL, "samples", "of z for each picture in the importance weighted bound (1: the plain VAE)", 0 },
    { "free-bits",     OPT_FLOAT,  offsetof(vae_options, free_bits),     "0",    0, 100, NULL, "nats",  "of KL that each latent dimension has for free", 0 },
    { "init",          OPT_CHOICE, offsetof(vae_options, init),          "torch", 0, 0, GEN_TRUNK_INITS, NULL, "initial weights", 0 },
    { "batch-norm",    OPT_BOOL,   offsetof(vae_options, batch_norm),    "0",    0, 1, NULL, NULL,      "batch normalisation after each conv layer", 0 },
    { "dropout",       OPT_FLOAT,  offsetof(vae_options, dropout),       "0",    0, 0.95, NULL, NULL,   "after each conv layer, or hidden layer of nets mlp and hinton", 0 },
    { "activation",    OPT_CHOICE, offsetof(vae_options, activation),    "relu", 0, 0, GEN_TRUNK_ACTIVATIONS, NULL, "of the hidden layers of nets mlp and hinton", 0 },
    { "conditional",   OPT_BOOL,   offsetof(vae_options, conditional),   "0",    0, 1, NULL, NULL,      "encoder and decoder know each picture's label: gen sample --label", 0 },
    { "binarise",      OPT_CHOICE, offsetof(vae_options, binarise),      "none", 0, 0, "none|static|dynamic", NULL, "pixels become 0 or 1 with the grey value as probability: once, or anew each step", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "gdl-vae-digits", "net=gdl-digits latent=2 r-loss-factor=1000 init=keras batch=32 lr=5e-4 epochs=200 schedule=constant",
      "D. Foster, Generative Deep Learning, 1st ed., 03_03", "mnist" },
    { "gdl-vae-faces", "net=gdl-faces latent=200 r-loss-factor=10000 init=keras batch-norm=1 dropout=0.25 batch=32 lr=5e-4 epochs=200 schedule=constant",
      "D. Foster, Generative Deep Learning, 1st ed., 03_05", "celeba" },
    { "mlp-vae", "net=mlp hidden=400 latent=20 batch=128 lr=1e-3 epochs=10 schedule=constant", "PyTorch examples, vae: 784-400-20", "mnist" },
    { "kingma", "net=mlp hidden=500 latent=20 batch=100 optimiser=adam lr=1e-3 epochs=100 schedule=constant", "Kingma & Welling 2014, section 5: 500 hidden units", "mnist" },
    { "vae-nll", "net=mlp hidden=400 latent=40 binarise=static batch=100 lr=1e-4 schedule=step decay-epochs=150 decay-factor=0.631 epochs=500",
      "benchmark_VAE reproducibility: 784-400-z40, 89.78 nats with 200 importance samples", "mnist" },
    { "iwae-5", "net=mlp hidden=400 latent=40 binarise=static iwae-k=5 batch=100 lr=1e-4 schedule=step decay-epochs=150 decay-factor=0.631 epochs=500",
      "Burda et al. 2016, k = 5, trained as vae-nll", "mnist" },
    { "iwae-50", "net=mlp hidden=400 latent=40 binarise=static iwae-k=50 batch=100 lr=1e-4 schedule=step decay-epochs=150 decay-factor=0.631 epochs=500",
      "Burda et al. 2016, k = 50, trained as vae-nll", "mnist" },
    { "bench-vae", "net=bench latent=2 r-loss-factor=1000 batch=32 lr=5e-4", "the VAE that training speed is compared on", "mnist" },
    GEN_PRESETS_END
};
// clang-format on

/* ---- encoder, decoder -------------------------------------------------------------------------------------------------- */

/* A description without data has ten classes. */
static int64_t classes_of(const gen_model_context *m)
{
    return m->classes ? m->classes : 10;
}

/* One-hot labels [N,classes], NULL where the model knows none. */
static gen_node *input_label(gen_graph *g, const gen_model_context *m)
{
    if (!((const vae_options *)m->options)->conditional) return NULL;
    return gen_one_hot(g, gen_input(g, "label", GEN_SHAPE(m->batch)), classes_of(m));
}

static gen_trunk trunk_of(const gen_model_context *m, gen_node *label)
{
    const vae_options *o = m->options;
    gen_trunk_options t = { .width = o->width,
                            .hidden = o->hidden,
                            .init = o->init,
                            .activation = o->activation,
                            .batch_norm = o->batch_norm != 0,
                            .dropout = o->dropout,
                            .label = label };
    return gen_trunk_for(o->net, &t, m->height, m->width, m->channels);
}

typedef struct code {
    gen_node *mu, *logvar; /* [N,D] */
} code;

/* label: of input_label */
static code encoder(gen_graph *g, const gen_model_context *m, gen_node *x, gen_node *label, bool training)
{
    const vae_options *o = m->options;
    gen_trunk t = trunk_of(m, label);
    gen_node *h = gen_trunk_encode(g, &t, x, training);
    code q = { nn_dense(g, h, "enc.mu", o->latent, gen_trunk_dense(&t)), NULL };
    q.logvar = gen_clamp(g, nn_dense(g, h, "enc.logvar", o->latent, gen_trunk_dense(&t)), -30, 20);
    return q;
}

/* z[N,D] -> logits (bernoulli) or, through a sigmoid, means of the pixels [N,H,W,C] */
static gen_node *decoder(gen_graph *g, const gen_model_context *m, gen_node *z, gen_node *label, bool training)
{
    gen_trunk t = trunk_of(m, label);
    return gen_trunk_decode(g, &t, z, training);
}

/* ---- loss ------------------------------------------------------------------------------------------------------------------ */

static gen_node *per_image(gen_graph *g, gen_node *x)
{
    int64_t n = x->shape.dim[0];
    return gen_reshape(g, gen_sum(g, gen_reshape(g, x, GEN_SHAPE(n, gen_shape_count(&x->shape) / n)), GEN_AXIS(1)),
                       GEN_SHAPE(n));
}

static gen_node *draw(gen_graph *g, const code *q)
{
    gen_graph_scope(g, "z");
    gen_node *eps = gen_normal(g, q->mu->shape);
    gen_graph_scope(g, "");
    return gen_add(g, q->mu, gen_mul(g, gen_exp(g, gen_scale(g, q->logvar, 0.5)), eps));
}

/* -log p(x|z) of each image [N]; out is the decoder's result */
static gen_node *reconstruction(gen_graph *g, const gen_model_context *m, gen_node *out, gen_node *x)
{
    const vae_options *o = m->options;
    double pixels = (double)(m->height * m->width * m->channels), log_2pi = 1.83787706640934548356;
    if (o->r_loss_factor > 0)
        return gen_scale(g, per_image(g, gen_square(g, gen_sub(g, gen_sigmoid(g, out), x))), o->r_loss_factor / pixels);
    if (!strcmp(o->likelihood, "bernoulli")) return per_image(g, gen_bce_logits(g, out, x));
    gen_node *sse = per_image(g, gen_square(g, gen_sub(g, gen_sigmoid(g, out), x)));
    if (!strcmp(o->likelihood, "gaussian"))
        return gen_affine(g, sse, 0.5 / (o->sigma * o->sigma), pixels * (0.5 * log_2pi + log(o->sigma)));
    gen_node *log_sigma = gen_param(g, "dec.log_sigma", GEN_SHAPE(1), (gen_param_spec){ .init = GEN_INIT_ZERO });
    log_sigma = gen_clamp(g, log_sigma, -6, 6);
    gen_node *precision = gen_exp(g, gen_scale(g, log_sigma, -2));
    return gen_add(g, gen_mul(g, gen_scale(g, sse, 0.5), precision),
                   gen_affine(g, log_sigma, pixels, 0.5 * pixels * log_2pi));
}

/* KL of each dimension of each image [N,D] */
static gen_node *gauss_kl(gen_graph *g, const code *q)
{
    gen_node *inside =
        gen_sub(g, gen_sub(g, gen_affine(g, q->logvar, 1, 1), gen_square(g, q->mu)), gen_exp(g, q->logvar));
    return gen_scale(g, inside, -0.5);
}

/* The KL term that is minimised: free bits keep each dimension's batch mean from being pushed below them. */
static gen_node *kl_term(gen_graph *g, const vae_options *o, gen_node *kl_dims)
{
    if (o->free_bits == 0) return gen_mean(g, per_image(g, kl_dims));
    gen_node *mean = gen_mean_of(g, kl_dims, GEN_AXIS(0));
    return gen_sum_all(g, gen_max(g, mean, gen_scalar(g, o->free_bits)));
}

static gen_node *beta_now(gen_graph *g, const vae_options *o)
{
    if (o->kl_warmup == 0) return gen_scalar(g, o->beta);
    gen_node *step = gen_param(g, "optim.step", (gen_shape){ 0 },
                               (gen_param_spec){ .init = GEN_INIT_ZERO, .state = true, .counter = true });
    return gen_scale(g, gen_min(g, gen_scale(g, step, 1 / (double)o->kl_warmup), gen_scalar(g, 1)), o->beta);
}

static gen_node *input_image(gen_graph *g, const gen_model_context *m)
{
    return gen_input(g, "x", GEN_SHAPE(m->batch, m->height, m->width, m->channels));
}

/* x, or a binary draw of it: 1 with probability x. Only training draws anew; static draws and those for evaluation are made with the data. */
static gen_node *target_image(gen_graph *g, const vae_options *o, gen_node *x)
{
    if (strcmp(o->binarise, "dynamic")) return x;
    gen_graph_scope(g, "binarise");
    gen_node *u = gen_uniform(g, x->shape);
    gen_graph_scope(g, "");
    return gen_less(g, u, x);
}

/* ---- importance weights -------------------------------------------------------------------------------------------------- */

typedef struct weights {
    gen_node *log_weight, *reconstruction; /* [N,samples]: log w; -log p(x|z) */
} weights;

/* x[N,..] -> [N samples,..], each row so many times */
static gen_node *repeated(gen_graph *g, gen_node *x, int64_t samples)
{
    gen_shape one = x->shape, many = x->shape, all = x->shape;
    one.rank = many.rank = x->shape.rank + 1;
    for (int32_t i = 1; i < x->shape.rank; i++) one.dim[i + 1] = many.dim[i + 1] = x->shape.dim[i];
    one.dim[1] = 1;
    many.dim[1] = samples;
    all.dim[0] *= samples;
    return gen_reshape(g, gen_broadcast(g, gen_reshape(g, x, one), many), all);
}

/* log w = log p(x|z) + beta (log p(z) - log q(z|x)), for samples draws of z an image (Burda et al. 2016, equation 8). beta: a scalar node */
static weights importance(gen_graph *g, const gen_model_context *m, const code *q, gen_node *x, gen_node *label,
                          int64_t samples, gen_node *beta, bool training)
{
    int64_t n = m->batch, d = q->mu->shape.dim[1];
    gen_graph_scope(g, "z");
    gen_node *eps = gen_normal(g, GEN_SHAPE(n, samples, d));
    gen_graph_scope(g, "");
    gen_shape row = GEN_SHAPE(n, 1, d), table = GEN_SHAPE(n, samples);
    gen_node *mu = gen_reshape(g, q->mu, row), *logvar = gen_reshape(g, q->logvar, row);
    gen_node *z = gen_add(g, mu, gen_mul(g, gen_exp(g, gen_scale(g, logvar, 0.5)), eps));
    gen_node *labels = label ? repeated(g, label, samples) : NULL;
    gen_node *out = decoder(g, m, gen_reshape(g, z, GEN_SHAPE(n * samples, d)), labels, training);
    gen_node *rec = gen_reshape(g, reconstruction(g, m, out, repeated(g, x, samples)), table);
    /* log p(z) - log q(z|x) = 1/2 sum (eps^2 + logvar - z^2): the constants cancel */
    gen_node *prior = gen_sum(g, gen_sub(g, gen_add(g, gen_square(g, eps), logvar), gen_square(g, z)), GEN_AXIS(2));
    gen_node *ratio = gen_scale(g, gen_reshape(g, prior, table), 0.5);
    return (weights){ gen_sub(g, gen_mul(g, ratio, beta), rec), rec };
}

/* - log 1/K sum_k w_k of each image [N] */
static gen_node *iwae_loss(gen_graph *g, const weights *w)
{
    int64_t n = w->log_weight->shape.dim[0], k = w->log_weight->shape.dim[1];
    gen_node *log_sum = gen_reshape(g, gen_lse(g, w->log_weight, GEN_AXIS(1)), GEN_SHAPE(n));
    return gen_affine(g, log_sum, -1, log((double)k));
}

/* ---- graphs ------------------------------------------------------------------------------------------------------------------ */

static void train(gen_graph *g, const gen_model_context *m)
{
    const vae_options *o = m->options;
    gen_node *x = target_image(g, o, input_image(g, m)), *label = input_label(g, m);
    code q = encoder(g, m, x, label, true);
    gen_node *rec, *loss, *kl_dims = gauss_kl(g, &q), *beta = beta_now(g, o);
    if (o->iwae_k > 1) {
        weights w = importance(g, m, &q, x, label, o->iwae_k, beta, true);
        rec = gen_mean(g, w.reconstruction);
        loss = gen_mean(g, iwae_loss(g, &w));
    } else {
        rec = gen_mean(g, reconstruction(g, m, decoder(g, m, draw(g, &q), label, true), x));
        loss = gen_add(g, rec, gen_mul(g, kl_term(g, o, kl_dims), beta));
    }
    gen_optim_report report = gen_optim_minimise(g, loss, "", &m->optim);
    gen_output(g, "loss", loss);
    gen_output(g, "reconstruction", rec);
    gen_output(g, "kl", gen_mean(g, per_image(g, kl_dims)));
    if (report.grad_norm) gen_output(g, "grad_norm", report.grad_norm);
}

static void eval(gen_graph *g, const gen_model_context *m)
{
    const vae_options *o = m->options;
    gen_node *x = input_image(g, m), *label = input_label(g, m);
    code q = encoder(g, m, x, label, false);
    gen_node *out = decoder(g, m, draw(g, &q), label, false), *mean = gen_sigmoid(g, out);
    gen_node *rec = reconstruction(g, m, out, x), *kl_dims = gauss_kl(g, &q), *kl = per_image(g, kl_dims);
    double pixels = (double)(m->height * m->width * m->channels);
    gen_node *loss = gen_add(g, rec, gen_scale(g, kl, o->beta));
    if (o->iwae_k > 1) {
        weights w = importance(g, m, &q, x, label, o->iwae_k, gen_scalar(g, o->beta), false);
        loss = iwae_loss(g, &w);
    }
    gen_output(g, "loss", loss);
    gen_output(g, "elbo", gen_neg(g, gen_add(g, rec, kl)));
    gen_output(g, "reconstruction", rec);
    gen_output(g, "kl", kl);
    gen_output(g, "mse", gen_scale(g, per_image(g, gen_square(g, gen_sub(g, mean, x))), 1 / pixels));
    gen_output(g, "kl_dims", kl_dims);
}

static void encode(gen_graph *g, const gen_model_context *m)
{
    code q = encoder(g, m, input_image(g, m), input_label(g, m), false);
    gen_output(g, "mu", q.mu);
    gen_output(g, "logvar", q.logvar);
}

static void decode(gen_graph *g, const gen_model_context *m)
{
    const vae_options *o = m->options;
    gen_node *z = gen_input(g, "z", GEN_SHAPE(m->batch, o->latent));
    gen_output(g, "x", gen_sigmoid(g, decoder(g, m, z, input_label(g, m), false)));
}

/* What is given instead of an encoder's answer. */
static code input_code(gen_graph *g, const gen_model_context *m)
{
    gen_shape shape = GEN_SHAPE(m->batch, ((const vae_options *)m->options)->latent);
    return (code){ gen_input(g, "mu", shape), gen_input(g, "logvar", shape) };
}

static void nll(gen_graph *g, const gen_model_context *m, int64_t samples)
{
    gen_node *x = input_image(g, m), *label = input_label(g, m);
    code q = input_code(g, m);
    gen_output(g, "log_weight", importance(g, m, &q, x, label, samples, gen_scalar(g, 1), false).log_weight);
}

static void posterior(gen_graph *g, const gen_model_context *m)
{
    gen_node *x = input_image(g, m), *label = input_label(g, m), *gradient[2];
    code q = input_code(g, m);
    gen_node *rec = reconstruction(g, m, decoder(g, m, draw(g, &q), label, false), x);
    gen_node *bound = gen_add(g, rec, per_image(g, gauss_kl(g, &q)));
    gen_gradient(g, gen_sum_all(g, bound), NULL, 2, (gen_node *[]){ q.mu, q.logvar }, gradient);
    gen_output(g, "dmu", gradient[0]);
    gen_output(g, "dlogvar", gradient[1]);
}

static int64_t latent(const gen_model_context *m)
{
    return ((const vae_options *)m->options)->latent;
}

static gen_status check(const gen_model_context *m, gen_error *err)
{
    const vae_options *o = m->options;
    if (m->height < 1 || m->width < 1 || m->channels < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "vae needs images; the data has none");
    if (!strcmp(o->net, "mlp") && !o->hidden)
        return gen_fail(err, GEN_BAD_OPTION, "--net mlp needs --hidden of at least 1");
    if (strcmp(o->binarise, "none") && strcmp(o->likelihood, "bernoulli"))
        return gen_fail(err, GEN_BAD_OPTION, "--binarise goes with --likelihood bernoulli, not %s", o->likelihood);
    if (o->conditional && m->classes < 2)
        return gen_fail(err, GEN_BAD_OPTION,
                        "--conditional needs labels, two classes at least: a data set that has them, "
                        "or a folder with one sub-folder a class");
    if (o->conditional && !strcmp(o->net, "linear"))
        return gen_fail(err, GEN_BAD_OPTION, "--conditional needs a hidden layer for the label; --net linear has none");
    if (o->iwae_k > 1 && (o->r_loss_factor > 0 || o->free_bits > 0))
        return gen_fail(err, GEN_BAD_OPTION, "--iwae-k %lld has no %s; leave one of them out", (long long)o->iwae_k,
                        o->r_loss_factor > 0 ? "--r-loss-factor" : "--free-bits");
    return GEN_OK;
}

const gen_model gen_model_vae = {
    .name = "vae",
    .summary = "variational autoencoder",
    .paper = "Kingma & Welling 2014, arXiv:1312.6114",
    .options = options,
    .options_bytes = sizeof(vae_options),
    .presets = presets,
    .defaults = "batch=64 lr=2e-3 schedule=cosine epochs=16",
    .data = "mnist",
    .check = check,
    .train = train,
    .eval = eval,
    .encode = encode,
    .decode = decode,
    .nll = nll,
    .posterior = posterior,
    .latent = latent,
};
