/* Generative adversarial networks: Goodfellow et al. 2014, arXiv:1406.2661, with the losses since then. a = D(x), b = D(G(z)), both before any sigmoid:
 *
 *   bce      D: softplus(-a) + softplus(b)           G: softplus(-b)      (non-saturating; with --label-smoothing e the real target is 1 - e)
 *   ls       D: (a-1)^2/2 + b^2/2                    G: (b-1)^2/2         Mao et al. 2017
 *   hinge    D: max(0, 1-a) + max(0, 1+b)            G: -b                Lim & Ye 2017
 *   wgan     D: b - a, weights clamped to +-clip     G: -b                Arjovsky et al. 2017
 *   wgan-gp  D: b - a + lambda (|grad D(u)| - 1)^2   G: -b                Gulrajani et al. 2017; u = t x + (1-t) G(z), one t ~ U(0,1) a picture
 *   r1       D: bce + gamma/2 |grad D(x)|^2          G: softplus(-b)      Mescheder et al. 2018
 *
 * A step is n_critic updates of D, each with pictures of its own, then one of G through the new D: one graph (core/graph.h: gen_param after an update is
 * the new value). --updates separate: D learns from real pictures first and then, updated, from made ones, as D. Foster's book does.
 * Pictures are in [-1,1] inside. --conditional: labels enter G beside z, and D by projection.
 */
#include "models/critic.h"
#include "models/gan_nets.h"
#include "models/model.h"

#include <string.h>

typedef struct gan_options {
    int64_t latent, width, hidden, n_critic, spectral, conditional, monitor;
    double d_lr, penalty, smoothing, clip;
    const char *net, *up, *loss, *updates, *fakes, *generator;
} gan_options;

// clang-format off
static const gen_option options[] = {
    { "latent",         OPT_INT,    offsetof(gan_options, latent),      "100",   1, 4096, NULL, NULL,       "size of the noise that pictures are made of", 0 },
    { "net",            OPT_CHOICE, offsetof(gan_options, net),         "dcgan", 0, 0, GAN_NETS, NULL,      "layers; dcgan fits any size", 0 },
    { "width",          OPT_INT,    offsetof(gan_options, width),       "64",    1, 1024, NULL, "channels", "of dcgan's first discriminator layer; doubles with each halving up to 3 times", 0 },
    { "hidden",         OPT_INT,    offsetof(gan_options, hidden),      "0",     0, 65536, NULL, "units", "of a dense layer beside the noise, and of one before the discriminator's answer (0: none)", 0 },
    { "up",             OPT_CHOICE, offsetof(gan_options, up),          "auto",  0, 0, GAN_UPS, NULL,       "how the generator enlarges; auto: as the net is published", 0 },
    { "loss",           OPT_CHOICE, offsetof(gan_options, loss),        "bce",   0, 0, "bce|ls|hinge|wgan|wgan-gp|r1", NULL, "what D and G learn from", 0 },
    { "penalty",        OPT_FLOAT,  offsetof(gan_options, penalty),     "10",    0, 1e6, NULL, NULL,        "weight of the gradient term: lambda of wgan-gp, gamma of r1", 0 },
    { "clip",           OPT_FLOAT,  offsetof(gan_options, clip),        "0.01",  1e-6, 10, NULL, NULL,      "bound of D's weights in loss wgan", 0 },
    { "label-smoothing", OPT_FLOAT, offsetof(gan_options, smoothing),   "0",     0, 0.5, NULL, NULL,        "real pictures have the target 1 minus this, in bce and r1", 0 },
    { "n-critic",       OPT_INT,    offsetof(gan_options, n_critic),    "1",     1, 100, NULL, "updates",   "of D before each of G", 0 },
    { "updates",        OPT_CHOICE, offsetof(gan_options, updates),     "joint", 0, 0, "joint|separate", NULL, "D learns from real and made pictures at once, or one after the other", 0 },
    { "fakes",          OPT_CHOICE, offsetof(gan_options, fakes),       "batch", 0, 0, "batch|running", NULL, "norm statistics of G when it makes pictures for D", 0 },
    { "d-lr",           OPT_FLOAT,  offsetof(gan_options, d_lr),        "0",     0, 1e3, NULL, NULL,        "learning rate of D (0: --lr)", 0 },
    { "spectral-norm",  OPT_BOOL,   offsetof(gan_options, spectral),    "0",     0, 1, NULL, NULL,          "D's weights are divided by their largest singular value", 0 },
    { "conditional",    OPT_BOOL,   offsetof(gan_options, conditional), "0",     0, 1, NULL, NULL,          "G and D know each picture's label: gen sample --label", 0 },
    { "generator",      OPT_CHOICE, offsetof(gan_options, generator),   "net",   0, 0, "net|none", NULL,    "none: uniform noise stands for its pictures, and D learns alone (to time it)", 0 },
    { "monitor",        OPT_BOOL,   offsetof(gan_options, monitor),     "1",     0, 1, NULL, NULL,          "log how often D is right, and how the made pictures spread beside the real ones", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "gdl-gan-camel", "net=gdl-camel updates=separate fakes=running optimiser=rmsprop rho=0.9 lr=4e-4 d-lr=8e-4 ema=0 batch=64 steps=6000",
      "D. Foster, Generative Deep Learning, 1st ed., 04_01", "quickdraw:camel" },
    { "dcgan-64", "net=dcgan lr=2e-4 beta1=0.5 ema=0 size=64 channels=3 batch=64 epochs=25", "Radford et al. 2016, as in PyTorch's examples", "celeba" },
    { "dcgan-28", "net=dcgan lr=2e-4 beta1=0.5 batch=64 epochs=20", "Radford et al. 2016, two halvings", "mnist" },
    { "gan-digits", "net=dcgan width=48 latent=64 conditional=1 loss=r1 penalty=0.1 lr=5e-4 beta1=0.5 schedule=linear batch=64 steps=9000",
      "Mescheder et al. 2018 (R1); Miyato & Koyama 2018 (projection): digits by name", "mnist" },
    { "wgan", "net=gdl-wgan loss=wgan updates=separate fakes=running n-critic=5 optimiser=rmsprop rho=0.9 lr=5e-5 ema=0 size=32 channels=3 batch=128 steps=6000",
      "Arjovsky et al. 2017; Generative Deep Learning, 04_02", "cifar10" },
    { "wgan-gp-faces", "net=gdl-faces loss=wgan-gp n-critic=5 lr=2e-4 beta1=0.5 ema=0 size=64 channels=3 batch=64 steps=6000",
      "Gulrajani et al. 2017; Generative Deep Learning, 04_03", "celeba" },
    { "bench-camel", "net=bench-camel updates=separate optimiser=rmsprop lr=4e-4 d-lr=8e-4 ema=0 monitor=0 batch=64", "the GAN that training speed is compared on", "mnist" },
    { "bench-dcgan64", "net=dcgan lr=2e-4 beta1=0.5 ema=0 monitor=0 size=64 channels=3 batch=64", "the DCGAN that training speed is compared on", "celeba" },
    { "bench-wgangp", "net=bench-faces loss=wgan-gp generator=none lr=2e-4 beta1=0.5 ema=0 monitor=0 size=64 channels=3 batch=64",
      "one update of a critic with gradient penalty, whose speed is compared", "celeba" },
    GEN_PRESETS_END
};
// clang-format on

/* What the parts of one step share. */
typedef struct gan {
    gen_graph *g;
    const gen_model_context *m;
    const gan_options *o;
    gan_net net;
    gen_node *real, *label;   /* of this update: [N,H,W,C] in [-1,1]; one-hot [N,classes] or NULL */
    gen_node *fake, *a, *b;   /* the last made pictures, and what D said of both */
    gen_node *d_loss, *slope; /* slope: mean |grad D|, where there is a penalty */
    gen_optim_options d_optim, g_optim;
} gan;

static bool is_loss(const gan_options *o, const char *name)
{
    return !strcmp(o->loss, name);
}

static bool is_wasserstein(const gan_options *o)
{
    return is_loss(o, "wgan") || is_loss(o, "wgan-gp");
}

static bool is_separate(const gan_options *o)
{
    return !strcmp(o->updates, "separate");
}

static int64_t classes_of(const gen_model_context *m)
{
    return m->classes ? m->classes : 10; /* a description without data */
}

/* D moves more often than G: its rates fall as G's do. */
static gen_optim_options d_optim_of(const gen_model_context *m)
{
    const gan_options *o = m->options;
    gen_optim_options d = m->optim;
    int64_t updates = o->n_critic * (is_separate(o) ? 2 : 1);
    if (o->d_lr > 0) d.lr = o->d_lr;
    d.ema = 0;
    d.decay_steps *= updates;
    d.decay_start *= updates;
    d.warmup_steps *= updates;
    if (is_loss(o, "wgan")) d.clip_value = o->clip;
    return d;
}

static gan gan_of(gen_graph *g, const gen_model_context *m)
{
    const gan_options *o = m->options;
    gan_net_options n = { .width = o->width,
                          .hidden = o->hidden,
                          .up = o->up,
                          .spectral = o->spectral != 0,
                          .no_norm = is_loss(o, "wgan-gp") || is_loss(o, "r1") || o->spectral };
    return (gan){ .g = g,
                  .m = m,
                  .o = o,
                  .net = gan_net_for(o->net, &n, m->height, m->width, m->channels),
                  .d_optim = d_optim_of(m),
                  .g_optim = m->optim };
}

/* ---- pictures ---------------------------------------------------------------------------------------------------------- */

static gen_node *with_label(gen_graph *g, gen_node *z, gen_node *one_hot)
{
    gen_node *both[2] = { z, one_hot };
    return one_hot ? gen_concat(g, 2, both, 1) : z;
}

/* New pictures of new noise, of the labels at hand. */
static gen_node *make_pictures(gan *t, gan_mode mode)
{
    gen_graph *g = t->g;
    const gen_model_context *m = t->m;
    bool none = !strcmp(t->o->generator, "none");
    gen_graph_scope(g, "z");
    gen_node *noise = none ? gen_uniform(g, GEN_SHAPE(m->batch, m->height, m->width, m->channels))
                           : gen_normal(g, GEN_SHAPE(m->batch, t->o->latent));
    gen_graph_scope(g, "");
    return none ? gen_affine(g, noise, 2, -1) : gan_generator(g, &t->net, with_label(g, noise, t->label), mode);
}

/* Those of update i out of all that the step gets. */
static void take_batch(gan *t, int64_t i)
{
    gen_graph *g = t->g;
    const gen_model_context *m = t->m;
    int64_t n = m->batch, all = n * t->o->n_critic;
    gen_node *x = gen_input(g, "x", GEN_SHAPE(all, m->height, m->width, m->channels));
    t->real = gen_affine(g, gen_slice(g, x, 0, i * n, n), 2, -1);
    if (!t->o->conditional) return;
    gen_node *label = gen_input(g, "label", GEN_SHAPE(all));
    t->label = gen_one_hot(g, gen_slice(g, label, 0, i * n, n), classes_of(m));
}

/* ---- losses ------------------------------------------------------------------------------------------------------------ */

/* -log of the probability that D gives to `target`, by logit: softplus(l) - l target */
static gen_node *cross_entropy(gen_graph *g, gen_node *logit, double target)
{
    return gen_mean(g, gen_bce_logits(g, logit, gen_fill(g, logit->shape, target)));
}

static gen_node *half_square(gen_graph *g, gen_node *logit, double target)
{
    return gen_scale(g, gen_mean(g, gen_square(g, gen_affine(g, logit, 1, -target))), 0.5);
}

static gen_node *loss_of_real(gan *t, gen_node *a)
{
    gen_graph *g = t->g;
    if (is_wasserstein(t->o)) return gen_neg(g, gen_mean(g, a));
    if (is_loss(t->o, "ls")) return half_square(g, a, 1);
    if (is_loss(t->o, "hinge")) return gen_mean(g, gen_relu(g, gen_affine(g, a, -1, 1)));
    return cross_entropy(g, a, 1 - t->o->smoothing);
}

static gen_node *loss_of_fake(gan *t, gen_node *b)
{
    gen_graph *g = t->g;
    if (is_wasserstein(t->o)) return gen_mean(g, b);
    if (is_loss(t->o, "ls")) return half_square(g, b, 0);
    if (is_loss(t->o, "hinge")) return gen_mean(g, gen_relu(g, gen_affine(g, b, 1, 1)));
    return cross_entropy(g, b, 0);
}

static gen_node *loss_of_generator(gan *t, gen_node *b)
{
    gen_graph *g = t->g;
    if (is_wasserstein(t->o) || is_loss(t->o, "hinge")) return gen_neg(g, gen_mean(g, b));
    if (is_loss(t->o, "ls")) return half_square(g, b, 1);
    return cross_entropy(g, b, 1);
}

/* The gradient term; NULL where the loss has none. */
static gen_node *penalty(gan *t)
{
    gen_graph *g = t->g;
    if (is_loss(t->o, "r1")) {
        gen_node *squared = gen_squared_slope(g, t->a, t->real);
        t->slope = gen_mean(g, gen_slope(g, squared));
        return gen_scale(g, gen_mean(g, squared), 0.5 * t->o->penalty);
    }
    if (!is_loss(t->o, "wgan-gp")) return NULL;
    gen_node *u = gen_between(g, t->real, t->fake);
    gen_node *slope = gen_slope(g, gen_squared_slope(g, gan_discriminator(g, &t->net, u, t->label), u));
    t->slope = gen_mean(g, slope);
    return gen_scale(g, gen_mean(g, gen_square(g, gen_affine(g, slope, 1, -1))), t->o->penalty);
}

/* ---- updates ----------------------------------------------------------------------------------------------------------- */

static gen_node *say(gan *t, gen_node *x)
{
    return gan_discriminator(t->g, &t->net, x, t->label);
}

static gen_node *plus(gen_graph *g, gen_node *sum, gen_node *term)
{
    return term ? gen_add(g, sum, term) : sum;
}

static gan_mode mode_of_fakes(const gan *t)
{
    return strcmp(t->o->fakes, "running") ? GAN_TRAIN : GAN_RUNNING;
}

static void learn_jointly(gan *t)
{
    gen_graph *g = t->g;
    t->a = say(t, t->real);
    gen_node *made = make_pictures(t, mode_of_fakes(t));
    t->fake = gen_stop(g, made);
    t->b = say(t, t->fake);
    t->d_loss = plus(g, gen_add(g, loss_of_real(t, t->a), loss_of_fake(t, t->b)), penalty(t));
    gen_optim_minimise(g, t->d_loss, "d.", &t->d_optim);
    t->fake = made;
}

static void learn_separately(gan *t)
{
    gen_graph *g = t->g;
    t->a = say(t, t->real);
    gen_node *on_real = loss_of_real(t, t->a);
    if (is_loss(t->o, "r1")) on_real = plus(g, on_real, penalty(t));
    gen_optim_minimise(g, on_real, "d.", &t->d_optim);
    t->fake = gen_stop(g, make_pictures(t, mode_of_fakes(t)));
    t->b = say(t, t->fake);
    gen_node *on_fake = loss_of_fake(t, t->b);
    gen_optim_minimise(g, on_fake, "d.", &t->d_optim);
    t->d_loss = gen_add(g, on_real, on_fake);
}

/* Through the new D. The pictures that D has just learned from serve again where there was one such batch, as in PyTorch's example. */
static gen_node *learn_to_make(gan *t, gen_optim_report *report)
{
    bool again = t->o->n_critic == 1 && !is_separate(t->o) && mode_of_fakes(t) == GAN_TRAIN;
    gen_node *made = again ? t->fake : make_pictures(t, GAN_TRAIN);
    t->fake = made;
    gen_node *loss = loss_of_generator(t, say(t, made));
    *report = gen_optim_minimise(t->g, loss, "g.", &t->g_optim);
    return loss;
}

/* ---- what the log shows ---------------------------------------------------------------------------------------------------- */

/* Mean squared distance of two pictures of a batch, over two: the sum of the pixels' variances */
static gen_node *variance(gen_graph *g, gen_node *x)
{
    gen_node *mean = gen_mean_of(g, x, GEN_AXIS(0));
    return gen_mean(g, gen_square(g, gen_sub(g, x, mean)));
}

static gen_node *share_at_ends(gen_graph *g, gen_node *x)
{
    return gen_mean(g, gen_step(g, gen_affine(g, gen_abs(g, x), 1, -0.98)));
}

/* accuracy: how often D tells real from made.  spread: distance between made pictures over that between real ones.  saturated: share of pixels at -1 or 1
 * beyond the real pictures' share. */
static void monitor(gan *t)
{
    gen_graph *g = t->g;
    double middle = is_loss(t->o, "ls") ? 0.5 : 0;
    gen_node *right = gen_add(g, gen_mean(g, gen_step(g, gen_affine(g, t->a, 1, -middle))),
                              gen_mean(g, gen_step(g, gen_affine(g, t->b, -1, middle))));
    if (!is_wasserstein(t->o)) gen_output(g, "accuracy", gen_scale(g, right, 0.5));
    gen_node *ratio = gen_div(g, variance(g, t->fake), gen_affine(g, variance(g, t->real), 1, 1e-12));
    gen_output(g, "spread", gen_sqrt(g, ratio));
    gen_output(g, "saturated", gen_sub(g, share_at_ends(g, t->fake), share_at_ends(g, t->real)));
}

static void outputs(gan *t, gen_node *g_loss, const gen_optim_report *report)
{
    gen_graph *g = t->g;
    gen_output(g, "loss", plus(g, t->d_loss, g_loss)); /* finite only if both are */
    gen_output(g, "d_loss", t->d_loss);
    if (g_loss) gen_output(g, "g_loss", g_loss);
    if (is_wasserstein(t->o)) gen_output(g, "critic", gen_sub(g, gen_mean(g, t->a), gen_mean(g, t->b)));
    if (t->slope) gen_output(g, "slope", t->slope);
    if (report->grad_norm) gen_output(g, "grad_norm", report->grad_norm);
    if (t->o->monitor) monitor(t);
}

static const gen_watch watches[] = {
    { "spread", 0.25, 1e30, 300,
      "the generator makes nearly the same picture again and again (mode collapse); try --loss hinge --spectral-norm "
      "1, or a smaller --lr" },
    { "accuracy", 0.05, 0.995, 1000,
      "the discriminator is always right or always wrong, so the generator learns nothing; try --label-smoothing 0.1, "
      "a smaller --d-lr, or --loss r1" },
    { "saturated", -1, 0.6, 300,
      "nearly all pixels that the generator makes are black or white, which the real ones are not; try a smaller "
      "--lr" },
    { "saturated", -0.4, 1, 1500,
      "the real pictures are black and white, and those that the generator makes are still grey; try another --loss, a "
      "smaller --penalty, or --hidden 0" },
    { "slope", 0, 20, 300, "the critic's gradient is far from 1; try a smaller --d-lr or a larger --penalty" },
    GEN_WATCHES_END
};

static const char *healthy(const gen_model_context *m)
{
    const gan_options *o = m->options;
    if (is_loss(o, "wgan-gp"))
        return "healthy: critic (E[D(x)] - E[D(G(z))]) jumps up in the first thousand steps, then sinks slowly towards "
               "0; slope stays near 1; g_loss may be "
               "anything; spread is near 1";
    if (is_loss(o, "wgan"))
        return "healthy: critic (E[D(x)] - E[D(G(z))]) rises, then sinks slowly; g_loss may be anything; spread is "
               "near 1";
    return "healthy: accuracy stays between 0.6 and 0.95; d_loss neither reaches 0 nor stands still; spread is near 1; "
           "look at samples/";
}

/* ---- graphs -------------------------------------------------------------------------------------------------------------- */

static void train(gen_graph *g, const gen_model_context *m)
{
    gan t = gan_of(g, m);
    gen_optim_report report = { 0 };
    for (int64_t i = 0; i < t.o->n_critic; i++) {
        take_batch(&t, i);
        if (is_separate(t.o)) learn_separately(&t);
        else learn_jointly(&t);
    }
    gen_node *g_loss = strcmp(t.o->generator, "none") ? learn_to_make(&t, &report) : NULL;
    outputs(&t, g_loss, &report);
}

static void decode(gen_graph *g, const gen_model_context *m)
{
    gan t = gan_of(g, m);
    gen_node *z = gen_input(g, "z", GEN_SHAPE(m->batch, t.o->latent));
    if (t.o->conditional) t.label = gen_one_hot(g, gen_input(g, "label", GEN_SHAPE(m->batch)), classes_of(m));
    gen_node *x = gan_generator(g, &t.net, with_label(g, z, t.label), m->optim.ema > 0 ? GAN_AVERAGE : GAN_RUNNING);
    gen_output(g, "x", gen_affine(g, x, 0.5, 0.5));
}

static int64_t latent(const gen_model_context *m)
{
    return ((const gan_options *)m->options)->latent;
}

static int64_t batches(const gen_model_context *m)
{
    return ((const gan_options *)m->options)->n_critic;
}

static gen_status check(const gen_model_context *m, gen_error *err)
{
    const gan_options *o = m->options;
    if (m->height < 1 || m->width < 1 || m->channels < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "gan needs images; the data has none");
    if (is_loss(o, "wgan-gp") && is_separate(o))
        return gen_fail(err, GEN_BAD_OPTION,
                        "--loss wgan-gp needs real and made pictures at once: --updates joint, not separate");
    if (o->smoothing > 0 && !is_loss(o, "bce") && !is_loss(o, "r1"))
        return gen_fail(err, GEN_BAD_OPTION, "--label-smoothing goes with --loss bce or r1, not %s", o->loss);
    if (o->conditional && m->classes < 2)
        return gen_fail(err, GEN_BAD_OPTION,
                        "--conditional needs labels, two classes at least: a data set that has them, "
                        "or a folder with one sub-folder a class");
    if (!strcmp(o->generator, "none") && is_separate(o))
        return gen_fail(err, GEN_BAD_OPTION, "--generator none goes with --updates joint");
    return GEN_OK;
}

const gen_model gen_model_gan = {
    .name = "gan",
    .summary = "generative adversarial network",
    .paper = "Goodfellow et al. 2014, arXiv:1406.2661; Radford et al. 2016, arXiv:1511.06434",
    .options = options,
    .options_bytes = sizeof(gan_options),
    .presets = presets,
    .defaults = "batch=64 lr=2e-4 beta1=0.5 ema=0.999 epochs=20",
    .data = "mnist",
    .check = check,
    .train = train,
    .decode = decode,
    .latent = latent,
    .batches = batches,
    .watches = watches,
    .healthy = healthy,
};
