/* MuseGAN: bars of four voices out of noise. H.-W. Dong, W.-Y. Hsiao, L.-C. Yang, Y.-H. Yang 2018, arXiv:1709.06298, as D. Foster, Generative Deep Learning,
 * 1st ed., ch. 7, has it for Bach's chorales: 2 bars of 16 sixteenths, 84 pitches, 4 voices, each cell -1 or 1.
 *
 *   noise of a piece, each of D = 32 numbers           what the bar generator of voice v gets in bar b
 *     chords   -> a temporal network -> one a bar        chords[b]
 *     style                                              style             the same in all bars and voices
 *     melody_v -> a temporal network each -> one a bar   melody_v[b]
 *     groove_v                                           groove_v          the same in all bars
 *
 * Critic: convolutions over bars, then pitches, then steps, the book's 3-D ones. Each has a kernel longer than 1 on one of the three axes alone, so each is a
 * 2-D convolution of a tensor in which the other two lie together. Learned as WGAN-GP (Gulrajani et al. 2017):
 *
 *   D: D(G(z)) - D(x) + lambda (|grad D(u)| - 1)^2, u = t x + (1 - t) G(z);   G: -D(G(z)), one update after n-critic of D
 *
 * A picture [N,H,W,C] here is steps x pitches x voices, H = 16 bars.
 */
#include "core/nn.h"
#include "models/bars.h"
#include "models/critic.h"
#include "models/model.h"

#include <stdio.h>
#include <string.h>

enum { VOICES = GEN_BAR_TRACKS, STEPS = GEN_BAR_STEPS, PITCHES = GEN_BAR_PITCHES, NAME_BYTES = 96, MOST_BARS = 16 };

typedef struct musegan_options {
    int64_t bars, latent, width, n_critic;
    double penalty, d_lr, sigma;
    const char *excerpts;
} musegan_options;

// clang-format off
static const gen_option options[] = {
    { "bars",     OPT_INT,    offsetof(musegan_options, bars),     "2",    2, MOST_BARS, NULL, "bars",   "of a piece", 0 },
    { "latent",   OPT_INT,    offsetof(musegan_options, latent),   "32",   1, 1024, NULL, NULL,          "numbers of each of the ten noises: chords, style, four melodies, four grooves", 0 },
    { "width",    OPT_INT,    offsetof(musegan_options, width),    "1024", 8, 4096, NULL, "channels",    "of the widest layers, a multiple of 8; the others have a half, a quarter, an eighth", 0 },
    { "penalty",  OPT_FLOAT,  offsetof(musegan_options, penalty),  "10",   0, 1e6, NULL, NULL,           "weight of the gradient term", 0 },
    { "n-critic", OPT_INT,    offsetof(musegan_options, n_critic), "5",    1, 100, NULL, "updates",      "of the critic before each of the generator", 0 },
    { "d-lr",     OPT_FLOAT,  offsetof(musegan_options, d_lr),     "0",    0, 1e3, NULL, NULL,           "learning rate of the critic (0: --lr)", 0 },
    { "init-sigma", OPT_FLOAT, offsetof(musegan_options, sigma),   "0.02", 1e-6, 10, NULL, NULL,        "spread of the weights at the start", 0 },
    { "excerpts", OPT_CHOICE, offsetof(musegan_options, excerpts), "first", 0, 0, "first|all", NULL,     "of each piece: its first bars, or one after the other", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "gdl-musegan", "bars=2 latent=32 width=1024 n-critic=5 lr=1e-3 beta1=0.5 beta2=0.9 batch=64 steps=6000 ema=0",
      "D. Foster, Generative Deep Learning, 1st ed., 07_04", "chorales" },
    { "musegan-small", "bars=2 latent=32 width=128 init-sigma=0.08 n-critic=2 excerpts=all lr=1e-3 beta1=0.5 beta2=0.9 batch=16 steps=20000 ema=0.995 checkpoint-every=500 sample-every=500 log-every=100",
      "the same an eighth as wide, for one core; first weights spread wider, as narrow layers pass little on", "chorales" },
    GEN_PRESETS_END
};
// clang-format on

typedef enum mode {
    TRAIN,   /* statistics of the batch; running ones are updated */
    RUNNING, /* running statistics */
    AVERAGE, /* those, with the averaged weights */
} mode;

typedef struct musegan {
    gen_graph *g;
    const gen_model_context *m;
    const musegan_options *o;
    mode mode;
} musegan;

/* ---- layers ------------------------------------------------------------------------------------------------------------------ */

/* A weight of "g.…" by its own name or, in mode AVERAGE, its average's. */
static gen_node *param(const musegan *t, const char *layer, const char *part, gen_shape shape, gen_param_spec spec)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%.70s.%s", t->mode == AVERAGE && !spec.state ? "ema." : "", layer, part);
    return gen_param(t->g, name, shape, spec);
}

static gen_param_spec weight_of(const musegan *t, gen_layout layout)
{
    return (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = t->o->sigma, .layout = layout };
}

static gen_node *plus_bias(const musegan *t, gen_node *y, const char *layer)
{
    int64_t n = y->shape.dim[y->shape.rank - 1];
    return gen_add(t->g, y, param(t, layer, "bias", GEN_SHAPE(n), (gen_param_spec){ 0 }));
}

/* x[..,in] -> [..,out] */
static gen_node *dense(const musegan *t, gen_node *x, const char *layer, int64_t out)
{
    gen_param_spec spec = weight_of(t, GEN_LAYOUT_DENSE);
    gen_graph_scope(t->g, layer);
    gen_node *w = param(t, layer, "weight", GEN_SHAPE(x->shape.dim[x->shape.rank - 1], out), spec);
    gen_node *y = plus_bias(t, gen_matmul(t->g, x, w, false, false), layer);
    gen_graph_scope(t->g, "");
    return y;
}

static gen_window window_of(int64_t rows, int64_t columns, int64_t down, int64_t right)
{
    gen_window window = gen_window_of(1, 1, 0);
    window.kernel[0] = (int32_t)rows, window.kernel[1] = (int32_t)columns;
    window.stride[0] = (int32_t)down, window.stride[1] = (int32_t)right;
    return window;
}

/* A weight [R,S,C,K] as the matrix [R S C,K] or, of a transposed convolution [R,S,K,C], [R S K,C]. Kernels side by side of which each covers cells that are
 * neighbours in memory, one row of them or a column of single ones, make a convolution a product of matrices: nothing moves, and long strides cost nothing. */
static gen_node *matrix_of(const musegan *t, gen_node *w)
{
    const int64_t *d = w->shape.dim;
    return gen_reshape(t->g, w, GEN_SHAPE(d[0] * d[1] * d[2], d[3]));
}

/* y[N,P,Q,K] -> [N,P rows,Q columns,channels]: kernels do not overlap; rows is 1, or Q and columns are */
static gen_node *spread(const musegan *t, gen_node *y, const char *layer, int64_t channels, int64_t rows,
                        int64_t columns)
{
    gen_param_spec spec = weight_of(t, GEN_LAYOUT_CONV);
    gen_graph_scope(t->g, layer);
    gen_node *w = param(t, layer, "weight", GEN_SHAPE(rows, columns, channels, y->shape.dim[3]), spec);
    const int64_t *d = y->shape.dim;
    gen_node *flat = gen_reshape(t->g, y, GEN_SHAPE(d[0] * d[1] * d[2], d[3]));
    gen_node *x = gen_matmul(t->g, flat, matrix_of(t, w), false, true);
    x = plus_bias(t, gen_reshape(t->g, x, GEN_SHAPE(d[0], d[1] * rows, d[2] * columns, channels)), layer);
    gen_graph_scope(t->g, "");
    return x;
}

/* Batch norm with Keras' small number and a momentum of 0.9 (here 0.1), then relu. */
static gen_node *norm(const musegan *t, gen_node *x, const char *layer)
{
    const double eps = 1e-3;
    char own[NAME_BYTES];
    int64_t n = x->shape.dim[x->shape.rank - 1];
    snprintf(own, sizeof own, "%.80s_norm", layer);
    if (t->mode == TRAIN)
        return gen_relu(t->g, nn_batch_norm(t->g, x, own, (nn_norm_spec){ .training = true, .eps = eps }));
    gen_param_spec one = { .init = GEN_INIT_CONST, .a = 1 }, mean = { .state = true }, variance = one;
    variance.state = true;
    gen_node *gamma = param(t, own, "weight", GEN_SHAPE(n), one),
             *beta = param(t, own, "bias", GEN_SHAPE(n), (gen_param_spec){ 0 }),
             *mu = param(t, own, "running_mean", GEN_SHAPE(n), mean),
             *var = param(t, own, "running_var", GEN_SHAPE(n), variance);
    return gen_relu(t->g, gen_fixed_norm(t->g, x, gamma, beta, mu, var, eps));
}

/* ---- generator --------------------------------------------------------------------------------------------------------------- */

static const char *layer_of(char *buffer, const char *network, const char *layer)
{
    snprintf(buffer, NAME_BYTES, "g.%.40s.%.20s", network, layer);
    return buffer;
}

/* z[N,D] -> [N,bars,1,D]: what is said in each bar */
static gen_node *temporal(const musegan *t, gen_node *z, const char *network)
{
    char name[NAME_BYTES];
    gen_node *h = gen_reshape(t->g, z, GEN_SHAPE(t->m->batch, 1, 1, t->o->latent));
    h = norm(t, spread(t, h, layer_of(name, network, "conv1"), t->o->width, 2, 1), name);
    /* bars - 1 rows of each of the two, one row apart: 2 becomes bars */
    gen_param_spec spec = weight_of(t, GEN_LAYOUT_CONV);
    layer_of(name, network, "conv2");
    gen_graph_scope(t->g, name);
    gen_node *w = param(t, name, "weight", GEN_SHAPE(t->o->bars - 1, 1, t->o->latent, t->o->width), spec);
    h = plus_bias(t, gen_conv2d_t(t->g, h, w, window_of(t->o->bars - 1, 1, 1, 1), t->o->bars, 1), name);
    gen_graph_scope(t->g, "");
    return norm(t, h, name);
}

/* z[N,4 D] -> one voice in one bar [N,16,84,1] */
static gen_node *bar(const musegan *t, gen_node *z, const char *network)
{
    char name[NAME_BYTES];
    int64_t w = t->o->width;
    gen_node *h = norm(t, dense(t, z, layer_of(name, network, "dense"), w), name);
    h = nn_image(t->g, h, 2, 1, w / 2);
    h = norm(t, spread(t, h, layer_of(name, network, "conv1"), w / 2, 2, 1), name);           /* [N,4,1,512] */
    h = norm(t, spread(t, h, layer_of(name, network, "conv2"), w / 4, 2, 1), name);           /* [N,8,1,256] */
    h = norm(t, spread(t, h, layer_of(name, network, "conv3"), w / 4, 2, 1), name);           /* [N,16,1,256] */
    h = norm(t, spread(t, h, layer_of(name, network, "conv4"), w / 4, 1, 7), name);           /* [N,16,7,256] */
    return gen_tanh(t->g, spread(t, h, layer_of(name, network, "conv5"), 1, 1, PITCHES / 7)); /* [N,16,84,1] */
}

/* Number i of the ten noises in z[N,10 D]: chords, style, melody of each voice, groove of each voice. */
static gen_node *noise(const musegan *t, gen_node *z, int64_t i)
{
    return gen_slice(t->g, z, 1, i * t->o->latent, t->o->latent);
}

static gen_node *in_bar(const musegan *t, gen_node *said, int64_t b)
{
    return gen_reshape(t->g, gen_slice(t->g, said, 1, b, 1), GEN_SHAPE(t->m->batch, t->o->latent));
}

/* z[N,10 D] -> [N,16 bars,84,4] in [-1,1] */
static gen_node *generator(const musegan *t, gen_node *z)
{
    gen_node *bars[MOST_BARS], *voices[VOICES], *chords = temporal(t, noise(t, z, 0), "chords");
    for (int v = 0; v < VOICES; v++) {
        char melody_name[20], bar_name[20];
        snprintf(melody_name, sizeof melody_name, "melody%d", v);
        snprintf(bar_name, sizeof bar_name, "bar%d", v);
        gen_node *melody = temporal(t, noise(t, z, 2 + v), melody_name);
        for (int64_t b = 0; b < t->o->bars; b++) {
            gen_node *said[] = { in_bar(t, chords, b), noise(t, z, 1), in_bar(t, melody, b),
                                 noise(t, z, 2 + VOICES + v) };
            bars[b] = bar(t, gen_concat(t->g, 4, said, 1), bar_name);
        }
        voices[v] = gen_concat(t->g, (int32_t)t->o->bars, bars, 1);
    }
    return gen_concat(t->g, VOICES, voices, 3);
}

/* ---- critic ------------------------------------------------------------------------------------------------------------------- */

/* x[N,H,W,C] -> [N,P,Q,K], see matrix_of */
static gen_node *side_by_side(const musegan *t, gen_node *x, gen_node *w, gen_window window)
{
    const int64_t *d = x->shape.dim, p = d[1] / window.kernel[0], q = d[2] / window.kernel[1], k = w->shape.dim[3];
    gen_node *flat = gen_reshape(t->g, x, GEN_SHAPE(d[0] * p * q, window.kernel[0] * window.kernel[1] * d[3]));
    return gen_reshape(t->g, gen_matmul(t->g, flat, matrix_of(t, w), false, false), GEN_SHAPE(d[0], p, q, k));
}

static bool lies_side_by_side(const gen_node *x, const gen_window *w)
{
    bool apart = w->stride[0] == w->kernel[0] && w->stride[1] == w->kernel[1] && !w->pad[0] && !w->pad[2];
    return apart && (w->kernel[0] == 1 || x->shape.dim[2] == w->kernel[1]) && x->shape.dim[1] % w->kernel[0] == 0 &&
           x->shape.dim[2] % w->kernel[1] == 0;
}

static gen_node *convolve(const musegan *t, gen_node *x, int number, int64_t channels, gen_window window)
{
    char layer[NAME_BYTES];
    gen_param_spec spec = weight_of(t, GEN_LAYOUT_CONV);
    snprintf(layer, sizeof layer, "d.conv%d", number);
    gen_graph_scope(t->g, layer);
    gen_node *w =
        param(t, layer, "weight", GEN_SHAPE(window.kernel[0], window.kernel[1], x->shape.dim[3], channels), spec);
    gen_node *y = lies_side_by_side(x, &window) ? side_by_side(t, x, w, window) : gen_conv2d(t->g, x, w, window);
    y = gen_leaky_relu(t->g, plus_bias(t, y, layer), 0.3); /* Keras' slope */
    gen_graph_scope(t->g, "");
    return y;
}

/* TensorFlow's SAME of a kernel over steps, every second of which counts. */
static gen_window halving(int64_t kernel, int64_t steps)
{
    gen_window window = window_of(kernel, 1, 2, 1);
    int64_t total = ((steps + 1) / 2 - 1) * 2 + kernel - steps;
    if (total < 0) total = 0;
    window.pad[0] = (int32_t)(total / 2);
    window.pad[2] = (int32_t)(total - total / 2);
    return window;
}

/* x[N,16 bars,84,4] -> [N] */
static gen_node *critic(const musegan *t, gen_node *x)
{
    int64_t n = t->m->batch, w = t->o->width, bars = t->o->bars;
    gen_node *h = gen_reshape(t->g, x, GEN_SHAPE(n, bars, STEPS * PITCHES, VOICES));
    h = convolve(t, h, 1, w / 8, window_of(2, 1, 1, 1));
    h = convolve(t, h, 2, w / 8, window_of(bars - 1, 1, 1, 1)); /* [N,1,16 84,128] */
    h = gen_reshape(t->g, h, GEN_SHAPE(n, STEPS, PITCHES, w / 8));
    h = convolve(t, h, 3, w / 8, window_of(1, 12, 1, 12));
    h = convolve(t, h, 4, w / 8, window_of(1, 7, 1, 7)); /* [N,16,1,128] */
    h = convolve(t, h, 5, w / 8, halving(2, 16));
    h = convolve(t, h, 6, w / 8, halving(2, 8));
    h = convolve(t, h, 7, w / 4, halving(4, 4));
    h = convolve(t, h, 8, w / 2, halving(3, 2)); /* [N,1,1,512] */
    h = gen_leaky_relu(t->g, dense(t, gen_reshape(t->g, h, GEN_SHAPE(n, w / 2)), "d.dense1", w), 0.3);
    return gen_reshape(t->g, dense(t, h, "d.dense2", 1), GEN_SHAPE(n));
}

/* ---- graphs --------------------------------------------------------------------------------------------------------------------- */

static int64_t latent(const gen_model_context *m)
{
    return (2 + 2 * VOICES) * ((const musegan_options *)m->options)->latent;
}

static gen_node *made(const musegan *t)
{
    gen_graph_scope(t->g, "z");
    gen_node *z = gen_normal(t->g, GEN_SHAPE(t->m->batch, latent(t->m)));
    gen_graph_scope(t->g, "");
    return generator(t, z);
}

typedef struct verdict {
    gen_node *loss, *critic, *slope;
} verdict;

/* One update of the critic, from pieces of its own. */
static verdict learn(const musegan *t, gen_node *real, const gen_optim_options *optim)
{
    gen_graph *g = t->g;
    gen_node *fake = gen_stop(g, made(t));
    gen_node *gap = gen_sub(g, gen_mean(g, critic(t, real)), gen_mean(g, critic(t, fake)));
    gen_node *u = gen_between(g, real, fake), *slope = gen_slope(g, gen_squared_slope(g, critic(t, u), u));
    gen_node *penalty = gen_mean(g, gen_square(g, gen_affine(g, slope, 1, -1)));
    verdict v = { gen_sub(g, gen_scale(g, penalty, t->o->penalty), gap), gap, gen_mean(g, slope) };
    gen_optim_minimise(g, v.loss, "d.", optim);
    return v;
}

/* The critic moves n times as often: its rates fall as the generator's do. */
static gen_optim_options critic_optim(const gen_model_context *m)
{
    const musegan_options *o = m->options;
    gen_optim_options d = m->optim;
    if (o->d_lr > 0) d.lr = o->d_lr;
    d.ema = 0;
    d.decay_steps *= o->n_critic;
    d.decay_start *= o->n_critic;
    d.warmup_steps *= o->n_critic;
    return d;
}

static void train(gen_graph *g, const gen_model_context *m)
{
    musegan t = { g, m, m->options, TRAIN };
    gen_optim_options d_optim = critic_optim(m);
    verdict v = { 0 };
    int64_t n = m->batch;
    gen_node *x = gen_input(g, "x", GEN_SHAPE(n * t.o->n_critic, m->height, m->width, m->channels));
    for (int64_t i = 0; i < t.o->n_critic; i++)
        v = learn(&t, gen_affine(g, gen_slice(g, x, 0, i * n, n), 2, -1), &d_optim);
    gen_node *g_loss = gen_neg(g, gen_mean(g, critic(&t, made(&t))));
    gen_optim_report report = gen_optim_minimise(g, g_loss, "g.", &m->optim);
    gen_output(g, "loss", gen_add(g, v.loss, g_loss)); /* finite only if both are */
    gen_output(g, "d_loss", v.loss);
    gen_output(g, "g_loss", g_loss);
    gen_output(g, "critic", v.critic);
    gen_output(g, "slope", v.slope);
    if (report.grad_norm) gen_output(g, "grad_norm", report.grad_norm);
}

/* x[N,H,84,4] in [0,1] -> a picture [N,2 48,2 H,3] of the pitches C2 to B5, the high ones above, a colour for each voice */
static gen_node *picture(gen_graph *g, gen_node *x)
{
    enum { LOWEST = 36, SHOWN = 48 };
    static const float colours[VOICES * 3] = { 1, 0.35F, 0.3F, 1, 0.8F, 0.2F, 0.3F, 0.85F, 0.4F, 0.35F, 0.55F, 1 };
    static const int32_t turn[] = { 0, 2, 1, 3 };
    int64_t n = x->shape.dim[0], h = x->shape.dim[1];
    gen_node *rows = gen_flip(g, gen_transpose(g, gen_slice(g, x, 2, LOWEST, SHOWN), turn), 1); /* [N,48,H,4] */
    gen_node *flat = gen_reshape(g, rows, GEN_SHAPE(n * SHOWN * h, VOICES));
    gen_node *rgb = gen_matmul(g, flat, gen_const(g, GEN_SHAPE(VOICES, 3), colours), false, false);
    return gen_upsample(g, gen_reshape(g, gen_clamp(g, rgb, 0, 1), GEN_SHAPE(n, SHOWN, h, 3)), 2);
}

static void decode(gen_graph *g, const gen_model_context *m)
{
    musegan t = { g, m, m->options, m->optim.ema > 0 ? AVERAGE : RUNNING };
    gen_node *x = gen_affine(g, generator(&t, gen_input(g, "z", GEN_SHAPE(m->batch, latent(m)))), 0.5, 0.5);
    gen_output(g, "x", x);
    gen_output(g, "view", picture(g, x));
}

static int64_t batches(const gen_model_context *m)
{
    return ((const musegan_options *)m->options)->n_critic;
}

static gen_status open_data(const void *chosen, const char *path, bool skip_bad, gen_arena *arena, gen_dataset *data,
                            gen_error *err)
{
    const musegan_options *o = chosen;
    return gen_data_open_bars(path, o->bars, !strcmp(o->excerpts, "all"), skip_bad, arena, data, err);
}

static gen_status check(const gen_model_context *m, gen_error *err)
{
    const musegan_options *o = m->options;
    if (o->width % 8)
        return gen_fail(err, GEN_BAD_OPTION, "--width %lld: a multiple of 8 was expected", (long long)o->width);
    if (m->height == o->bars * STEPS && m->width == PITCHES && m->channels == VOICES) return GEN_OK;
    return gen_fail(
        err, GEN_BAD_SHAPE, "musegan learns from %lld steps of %d pitches and %d voices; the data has %lldx%lldx%lld",
        (long long)o->bars * STEPS, PITCHES, VOICES, (long long)m->height, (long long)m->width, (long long)m->channels);
}

static const gen_watch watches[] = {
    { "slope", 0, 20, 300, "the critic's gradient is far from 1; try a smaller --d-lr or a larger --penalty" },
    GEN_WATCHES_END
};

static const char *healthy(const gen_model_context *m)
{
    (void)m;
    return "healthy: critic (E[D(x)] - E[D(G(z))]) jumps up, then sinks slowly; slope stays near 1; g_loss may be "
           "anything; look at samples/ and gen eval";
}

const gen_model gen_model_musegan = {
    .name = "musegan",
    .summary = "bars of four voices out of noise: chords, style, melodies, grooves",
    .paper = "Dong et al. 2018, arXiv:1709.06298; Gulrajani et al. 2017, arXiv:1704.00028",
    .options = options,
    .options_bytes = sizeof(musegan_options),
    .presets = presets,
    .defaults =
        "batch=64 lr=1e-3 beta1=0.5 beta2=0.9 ema=0 steps=6000 checkpoint-every=50 sample-every=50 log-every=10",
    .data = "chorales",
    .open_data = open_data,
    .check = check,
    .train = train,
    .decode = decode,
    .latent = latent,
    .batches = batches,
    .watches = watches,
    .healthy = healthy,
    .bars = true,
    .things = "pieces",
};
