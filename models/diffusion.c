/* Diffusion: Ho et al. 2020, arXiv:2006.11239 (DDPM), and Karras et al. 2022, arXiv:2206.00364 (EDM), in one form.
 *
 * A picture y in [-1,1] is seen with noise, x = y + sigma eps, and the network F says what it was:
 *
 *   D(x; sigma) = c_skip x + c_out F(c_in x; time),      loss = mean w(sigma) (F - target)^2,      target = (y - c_skip x) / c_out
 *
 *   --target    c_in                c_skip           c_out             target
 *   eps         alpha               1                -sigma            eps                                (Ho et al. 2020)
 *   x0          alpha               0                1                 y
 *   v           alpha               alpha^2          -alpha sigma      alpha eps - alpha sigma y          (Salimans & Ho 2022)
 *   edm         r                   d^2 r^2          d sigma r         (sigma r / d) y - d r eps          (Karras et al. 2022, table 1)
 *
 * with alpha = 1 / sqrt(1 + sigma^2), r = 1 / sqrt(d^2 + sigma^2), d = --sigma-data. alpha x is the x_t of DDPM. sigma is that of a random one of T steps,
 * or log-normal. w = 1, or that of min-SNR (Hang et al. 2023) with --min-snr. Labels are left out for a part of the pictures, so that one network knows
 * pictures with and without them (Ho & Salimans 2022). Pictures are made by models/sampler.h, from the averaged weights when --ema is on.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/augment.h"
#include "models/model.h"
#include "models/sampler.h"
#include "models/unet.h"

enum { BUCKETS = 8 };

typedef struct diffusion_options {
    const char *mults, *attention, *init, *target, *noise;
    int64_t width, blocks, groups, times, conditional, flip;
    double dropout, min_snr, p_mean, p_std, sigma_data, label_drop;
    gen_sampler_options sampler;
} diffusion_options;

#define O(field) offsetof(diffusion_options, field)

// clang-format off
static const gen_option options[] = {
    { "width",        OPT_INT,    O(width),       "128",  2, 4096, NULL, "channels", "that --mults are of", 0 },
    { "mults",        OPT_STRING, O(mults),       "1,2,2,2", 0, 0, NULL, NULL, "width of each size of the U-Net, from the picture's on; each next one is half as large", 0 },
    { "blocks",       OPT_INT,    O(blocks),      "2",    1, 16, NULL, NULL, "residual blocks at each size, and one more on the way up", 0 },
    { "attention",    OPT_STRING, O(attention),   "16",   0, 0, NULL, "px", "shorter sides of the sizes with attention, as 16,8; the smallest has it in any case", 0 },
    { "groups",       OPT_INT,    O(groups),      "32",   1, 1024, NULL, NULL, "of channels, in group normalisation", 0 },
    { "dropout",      OPT_FLOAT,  O(dropout),     "0",    0, 0.95, NULL, NULL, "in each block", 0 },
    { "init",         OPT_CHOICE, O(init),        "zero", 0, 0, "zero|torch", NULL, "zero: blocks start as the identity; torch: no layer starts at zero", 0 },
    { "target",       OPT_CHOICE, O(target),      "eps",  0, 0, "eps|x0|v|edm", NULL, "what the network says: the noise, the picture, v, or EDM's mixture", 0 },
    { "noise",        OPT_CHOICE, O(noise),       "linear", 0, 0, GEN_NOISE_KINDS, NULL, "amounts of noise; log-normal goes with --target edm", 0 },
    { "times",        OPT_INT,    O(times),       "1000", 2, GEN_NOISE_TIMES, NULL, "steps", "of noise, from none to all (not log-normal)", 0 },
    { "min-snr",      OPT_FLOAT,  O(min_snr),     "0",    0, 1e6, NULL, NULL, "steps with less noise than this signal-to-noise ratio weigh less; 5 is usual (0: off)", 0 },
    { "p-mean",       OPT_FLOAT,  O(p_mean),      "-1.2", -10, 10, NULL, NULL, "of ln sigma, for log-normal", 0 },
    { "p-std",        OPT_FLOAT,  O(p_std),       "1.2",  1e-3, 10, NULL, NULL, "of ln sigma, for log-normal", 0 },
    { "sigma-data",   OPT_FLOAT,  O(sigma_data),  "0.5",  1e-3, 10, NULL, NULL, "standard deviation of pixels in [-1,1], for --target edm", 0 },
    { "conditional",  OPT_BOOL,   O(conditional), "1",    0, 1, NULL, NULL, "the network is told the label, where the data has labels", 0 },
    { "label-drop",   OPT_FLOAT,  O(label_drop),  "0.1",  0, 1, NULL, NULL, "part of the pictures that it is not told the label of", 0 },
    { "flip",         OPT_BOOL,   O(flip),        "0",    0, 1, NULL, NULL, "half of the training pictures are mirrored left to right", 0 },
    GEN_SAMPLER_OPTION_ROWS(diffusion_options, sampler)
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "ddpm-mnist", "width=32 mults=1,2,2 blocks=1 attention=7 groups=8 target=v noise=cosine batch=64 lr=1e-3 warmup-steps=200 schedule=cosine ema=0.999 clip-norm=1 steps=2000 sampler=dpmpp-2m sample-steps=20",
      "a small DDPM with v-prediction (Salimans & Ho 2022) and the cosine schedule (Nichol & Dhariwal 2021)", "mnist" },
    { "ddpm-cifar10", "width=128 mults=1,2,2,2 blocks=2 attention=16 groups=32 dropout=0.1 flip=1 conditional=0 target=eps noise=linear batch=128 lr=2e-4 warmup-steps=5000 ema=0.9999 clip-norm=1 steps=800000 schedule=constant sampler=ddpm sample-steps=1000 sample-every=10000",
      "Ho et al. 2020, appendix B: 35.7 M parameters, FID 3.17 after 800,000 steps", "cifar10" },
    { "edm-cifar10", "width=128 mults=2,2,2 blocks=4 attention=16 groups=32 dropout=0.13 flip=1 conditional=0 target=edm noise=log-normal batch=512 lr=1e-3 warmup-steps=20000 ema=0.9999 clip-norm=0 steps=400000 schedule=constant sampler=heun sample-steps=18 sample-every=10000",
      "Karras et al. 2022, appendix F: preconditioning, noise and sampler; the network is DDPM's in that size", "cifar10" },
    { "bench-ddpm8", "width=128 mults=1,2,2,2 blocks=2 attention=16 groups=32 dropout=0.1 conditional=0 target=eps noise=linear batch=8 lr=2e-4 warmup-steps=0 sampler=ddim sample-steps=50 ema=0.9999 clip-norm=1 schedule=constant",
      "the U-Net that training speed is compared on", "cifar10" },
    GEN_PRESETS_END
};
// clang-format on

/* ---- the network ------------------------------------------------------------------------------------------------------------ */

/* "1,2,2" -> 3 numbers; -1 when it is no such list, or too long. An empty text is an empty list. */
static int32_t parse_list(const char *text, int64_t out[GEN_UNET_LEVELS])
{
    int32_t n = 0;
    while (*text) {
        char *end;
        long long value = strtoll(text, &end, 10);
        if (end == text || (*end && *end != ',') || value < 1 || value > 65536 || n == GEN_UNET_LEVELS) return -1;
        out[n++] = value;
        text = *end ? end + 1 : end;
    }
    return n;
}

static bool is_conditional(const gen_model_context *m)
{
    return ((const diffusion_options *)m->options)->conditional && m->classes > 0;
}

/* averaged: the weights that pictures are made with */
static gen_unet unet_of(const gen_model_context *m, bool averaged)
{
    const diffusion_options *o = m->options;
    gen_unet u = { .width = o->width,
                   .blocks = (int32_t)o->blocks,
                   .groups = (int32_t)o->groups,
                   .dropout = o->dropout,
                   .zero_init = !strcmp(o->init, "zero"),
                   .classes = is_conditional(m) ? m->classes : 0,
                   .prefix = averaged && m->optim.ema != 0 ? "ema." : "" };
    u.n_levels = parse_list(o->mults, u.mult);
    u.n_attention = parse_list(o->attention, u.attention);
    return u;
}

/* What turns F into D: [N,1,1,1] or scalars. */
typedef struct scales {
    gen_node *sigma, *in, *skip, *out;
} scales;

static double sigma_data(const diffusion_options *o)
{
    return strcmp(o->target, "edm") ? 1 : o->sigma_data;
}

/* sigma[N,1,1,1] */
static scales scales_of(gen_graph *g, const diffusion_options *o, gen_node *sigma)
{
    double d = sigma_data(o);
    gen_node *r = gen_rsqrt(g, gen_affine(g, gen_square(g, sigma), 1, d * d));
    scales c = { .sigma = sigma, .in = r };
    if (!strcmp(o->target, "eps")) {
        c.skip = gen_scalar(g, 1);
        c.out = gen_neg(g, sigma);
    } else if (!strcmp(o->target, "x0")) {
        c.skip = gen_scalar(g, 0);
        c.out = gen_scalar(g, 1);
    } else {
        c.skip = gen_scale(g, gen_square(g, r), d * d);
        c.out = gen_scale(g, gen_mul(g, sigma, r), strcmp(o->target, "v") ? d : -1);
    }
    return c;
}

/* F(c_in x; time, label): x[N,H,W,C], time[N] */
static gen_node *network(gen_graph *g, const gen_model_context *m, const scales *c, gen_node *x, gen_node *time,
                         gen_node *label, bool averaged, bool training)
{
    gen_unet u = unet_of(m, averaged);
    return gen_unet_build(g, &u, gen_mul(g, x, c->in), time, label, training);
}

/* ---- noise -------------------------------------------------------------------------------------------------------------------- */

/* Amounts of noise for a batch: sigma[N,1,1,1], what the network is told [N], and which eighth of the noise it is, 0 the least [N]. */
typedef struct amounts {
    gen_node *sigma, *time, *bucket;
} amounts;

/* One of T steps, each as likely. */
static amounts draw_steps(gen_graph *g, const gen_model_context *m)
{
    const diffusion_options *o = m->options;
    double sigma[GEN_NOISE_TIMES];
    float table[GEN_NOISE_TIMES], last = (float)(o->times - 1);
    gen_noise_fill(o->noise, o->times, sigma);
    for (int64_t i = 0; i < o->times; i++) table[i] = (float)sigma[i];
    gen_node *u = gen_uniform(g, GEN_SHAPE(m->batch));
    gen_node *t = gen_min(g, gen_floor(g, gen_scale(g, u, (double)o->times)), gen_scalar(g, (double)last));
    gen_node *drawn = gen_gather(g, gen_const(g, GEN_SHAPE(o->times, 1), table), t);
    return (amounts){ .sigma = gen_reshape(g, drawn, GEN_SHAPE(m->batch, 1, 1, 1)),
                      .time = t,
                      .bucket = gen_floor(g, gen_scale(g, t, (double)BUCKETS / (double)o->times)) };
}

/* c_noise of Karras et al. 2022, table 1 */
static gen_node *time_of_sigma(gen_graph *g, gen_node *sigma)
{
    return gen_scale(g, gen_log(g, sigma), 0.25);
}

/* ln sigma ~ N(p_mean, p_std^2); the eighths are those of the normal distribution. */
static amounts draw_log_normal(gen_graph *g, const gen_model_context *m)
{
    const diffusion_options *o = m->options;
    gen_node *n = gen_normal(g, GEN_SHAPE(m->batch));
    gen_node *sigma = gen_exp(g, gen_affine(g, n, o->p_std, o->p_mean));
    gen_node *phi = gen_affine(g, gen_erf(g, gen_scale(g, n, 0.70710678118654752440)), 0.5, 0.5);
    gen_node *eighth = gen_min(g, gen_floor(g, gen_scale(g, phi, BUCKETS)), gen_scalar(g, BUCKETS - 1));
    return (amounts){ .sigma = gen_reshape(g, sigma, GEN_SHAPE(m->batch, 1, 1, 1)),
                      .time = time_of_sigma(g, sigma),
                      .bucket = eighth };
}

static bool is_log_normal(const diffusion_options *o)
{
    return !strcmp(o->noise, "log-normal");
}

static amounts draw_amounts(gen_graph *g, const gen_model_context *m)
{
    gen_graph_scope(g, "time");
    amounts a = is_log_normal(m->options) ? draw_log_normal(g, m) : draw_steps(g, m);
    gen_graph_scope(g, "");
    return a;
}

static gen_node *draw_noise(gen_graph *g, gen_shape shape)
{
    gen_graph_scope(g, "noise");
    gen_node *eps = gen_normal(g, shape);
    gen_graph_scope(g, "");
    return eps;
}

/* ---- loss ---------------------------------------------------------------------------------------------------------------------- */

static gen_node *target_of(gen_graph *g, const diffusion_options *o, const scales *c, gen_node *y, gen_node *eps)
{
    if (!strcmp(o->target, "eps")) return eps;
    if (!strcmp(o->target, "x0")) return y;
    gen_node *s = gen_mul(g, c->sigma, c->in);
    if (!strcmp(o->target, "v")) return gen_sub(g, gen_mul(g, eps, c->in), gen_mul(g, y, s));
    double d = o->sigma_data;
    return gen_sub(g, gen_mul(g, y, gen_scale(g, s, 1 / d)), gen_mul(g, eps, gen_scale(g, c->in, d)));
}

/* w[N] of each target for the loss of x0 to have the weight min(SNR, gamma), SNR = 1 / sigma^2 (Hang et al. 2023, section 3.4) */
static gen_node *min_snr(gen_graph *g, const diffusion_options *o, gen_node *sigma)
{
    gen_node *sigma2 = gen_square(g, sigma), *gamma = gen_scalar(g, o->min_snr);
    gen_node *eps = gen_min(g, gen_scale(g, sigma2, o->min_snr), gen_scalar(g, 1));
    if (!strcmp(o->target, "x0")) return gen_min(g, gen_div(g, gen_scalar(g, 1), sigma2), gamma);
    return strcmp(o->target, "v") ? eps : gen_div(g, eps, gen_affine(g, sigma2, 1, 1));
}

static gen_node *per_image(gen_graph *g, gen_node *x)
{
    int64_t n = x->shape.dim[0];
    gen_node *rows = gen_reshape(g, x, GEN_SHAPE(n, gen_shape_count(&x->shape) / n));
    return gen_reshape(g, gen_mean_of(g, rows, GEN_AXIS(1)), GEN_SHAPE(n));
}

static gen_node *input_pictures(gen_graph *g, const gen_model_context *m)
{
    return gen_input(g, "x", GEN_SHAPE(m->batch, m->height, m->width, m->channels));
}

/* NULL where the network is not told labels */
static gen_node *input_labels(gen_graph *g, const gen_model_context *m)
{
    return is_conditional(m) ? gen_input(g, "label", GEN_SHAPE(m->batch)) : NULL;
}

/* Labels, of which a part becomes "none". */
static gen_node *drop_labels(gen_graph *g, const gen_model_context *m, gen_node *label)
{
    const diffusion_options *o = m->options;
    if (!label || o->label_drop == 0) return label;
    gen_graph_scope(g, "label_drop");
    gen_node *drop = gen_bernoulli(g, label->shape, o->label_drop);
    gen_graph_scope(g, "");
    return gen_select(g, drop, gen_fill(g, label->shape, (double)m->classes), label);
}

/* The loss of each picture [N]; *bucket (may be NULL) gets which eighth of the noise it had. */
static gen_node *losses(gen_graph *g, const gen_model_context *m, gen_node *x, gen_node *label, bool training,
                        gen_node **bucket)
{
    const diffusion_options *o = m->options;
    gen_node *y = gen_affine(g, x, 2, -1);
    amounts a = draw_amounts(g, m);
    gen_node *eps = draw_noise(g, y->shape);
    scales c = scales_of(g, o, a.sigma);
    gen_node *noisy = gen_add(g, y, gen_mul(g, eps, a.sigma));
    gen_node *f = network(g, m, &c, noisy, a.time, label, !training, training);
    gen_node *loss = per_image(g, gen_square(g, gen_sub(g, f, target_of(g, o, &c, y, eps))));
    if (o->min_snr > 0) loss = gen_mul(g, loss, min_snr(g, o, gen_reshape(g, a.sigma, loss->shape)));
    if (bucket) *bucket = a.bucket;
    return loss;
}

/* "loss_t0" … "loss_t7": the mean loss at each eighth of the noise. A step's pictures fall unevenly into them, so each is summed and divided by the
 * number that falls there on average: the log's means are right, and no eighth is ever empty. */
static void output_buckets(gen_graph *g, gen_node *loss, gen_node *bucket)
{
    int64_t n = loss->shape.dim[0];
    gen_node *in = gen_one_hot(g, bucket, BUCKETS);
    gen_node *sums = gen_sum(g, gen_mul(g, in, gen_reshape(g, loss, GEN_SHAPE(n, 1))), GEN_AXIS(0));
    sums = gen_scale(g, sums, (double)BUCKETS / (double)n);
    for (int64_t k = 0; k < BUCKETS; k++) {
        char name[24];
        snprintf(name, sizeof name, "loss_t%d", (int)k);
        gen_output(g, name, gen_reshape(g, gen_slice(g, sums, 1, k, 1), (gen_shape){ 0 }));
    }
}

/* ---- graphs ---------------------------------------------------------------------------------------------------------------------- */

static void train(gen_graph *g, const gen_model_context *m)
{
    const diffusion_options *o = m->options;
    gen_node *x = gen_augment_pictures(g, input_pictures(g, m), &(gen_augment){ .flip = o->flip != 0 });
    gen_node *bucket, *each = losses(g, m, x, drop_labels(g, m, input_labels(g, m)), true, &bucket);
    gen_node *loss = gen_mean(g, each);
    gen_output(g, "loss", loss);
    output_buckets(g, each, bucket);
    gen_optim_report report = gen_optim_minimise(g, loss, "", &m->optim);
    if (report.grad_norm) gen_output(g, "grad_norm", report.grad_norm);
}

static void eval(gen_graph *g, const gen_model_context *m)
{
    gen_output(g, "loss", losses(g, m, input_pictures(g, m), input_labels(g, m), false, NULL));
}

static void denoise(gen_graph *g, const gen_model_context *m)
{
    const diffusion_options *o = m->options;
    gen_node *x = input_pictures(g, m), *sigma = gen_input(g, "sigma", GEN_SHAPE(m->batch));
    gen_node *time = is_log_normal(o) ? time_of_sigma(g, sigma) : gen_input(g, "time", GEN_SHAPE(m->batch));
    scales c = scales_of(g, o, gen_reshape(g, sigma, GEN_SHAPE(m->batch, 1, 1, 1)));
    gen_node *f = network(g, m, &c, x, time, input_labels(g, m), true, false);
    gen_output(g, "x0", gen_add(g, gen_mul(g, x, c.skip), gen_mul(g, f, c.out)));
}

/* ---- what a sampler must know -------------------------------------------------------------------------------------------------------- */

static gen_status sampling(const gen_model_context *m, gen_arena *arena, gen_noise *noise, gen_sampler_options *how,
                           gen_error *err)
{
    const diffusion_options *o = m->options;
    *how = o->sampler;
    *noise = (gen_noise){ .low = 0.002, .high = 80 }; /* Karras et al. 2022, table 1 */
    if (is_log_normal(o)) return GEN_OK;
    double *sigma = gen_arena_alloc(arena, (size_t)o->times * sizeof *sigma);
    if (!sigma) return gen_fail(err, GEN_NO_MEMORY, "no memory for %lld amounts of noise", (long long)o->times);
    gen_noise_fill(o->noise, o->times, sigma);
    *noise = (gen_noise){ .times = o->times, .sigma = sigma, .low = sigma[0], .high = sigma[o->times - 1] };
    return GEN_OK;
}

static gen_status check(const gen_model_context *m, gen_error *err)
{
    const diffusion_options *o = m->options;
    gen_unet u = unet_of(m, false);
    bool edm = !strcmp(o->target, "edm");
    if (m->height < 1 || m->width < 1 || m->channels < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "diffusion needs images; the data has none");
    if (u.n_levels < 1)
        return gen_fail(err, GEN_BAD_OPTION, "--mults %s: expected 1 to %d numbers as 1,2,2", o->mults,
                        GEN_UNET_LEVELS);
    if (u.n_attention < 0)
        return gen_fail(err, GEN_BAD_OPTION, "--attention %s: expected at most %d sizes as 16,8", o->attention,
                        GEN_UNET_LEVELS);
    if (edm != is_log_normal(o))
        return gen_fail(err, GEN_BAD_OPTION,
                        "--target %s does not go with --noise %s: edm goes with log-normal, others "
                        "with linear, cosine or sigmoid",
                        o->target, o->noise);
    if (edm && o->min_snr > 0)
        return gen_fail(err, GEN_BAD_OPTION, "--min-snr does not go with --target edm, which has weights of its own");
    GEN_TRY(gen_unet_check(&u, m->height, m->width, err));
    return gen_sampler_check(&o->sampler, is_log_normal(o) ? 0 : o->times, err);
}

const gen_model gen_model_diffusion = {
    .name = "diffusion",
    .summary = "denoising diffusion (DDPM, EDM)",
    .paper = "Ho et al. 2020, arXiv:2006.11239",
    .options = options,
    .options_bytes = sizeof(diffusion_options),
    .presets = presets,
    .defaults = "width=32 mults=1,2,2 blocks=1 attention=7 groups=8 target=v noise=cosine batch=64 lr=1e-3 "
                "warmup-steps=200 schedule=cosine ema=0.999 clip-norm=1 steps=2000 sampler=dpmpp-2m sample-steps=20",
    .data = "mnist",
    .check = check,
    .train = train,
    .eval = eval,
    .denoise = denoise,
    .sampling = sampling,
};
