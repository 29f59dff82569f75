/* Polyphonic music as frames: which of a piano's 88 keys sound now, foretold from all frames before, keys independent of each other:
 *
 *   p(x_1 .. x_T) = prod_t prod_k p(x_tk | x_1 .. x_t-1),   p = sigmoid(logit)                         Boulanger-Lewandowski et al. 2012, section 2
 *   loss = sum_t sum_k -log p(x_tk | ..) / number of frames t                                           nats a frame; the first of a piece is not foretold
 *
 * Networks: stacked LSTM or GRU, as many units in each layer; or a temporal convolutional network (Bai, Kolter & Koltun 2018, section 3): blocks of two causal
 * convolutions with weight norm, dilated by 1, 2, 4, 8 .., around which the input goes on.
 *
 * Data are windows of pieces (models/data_frames.h). Training starts each window from nothing; evaluation and sampling carry the state over, so their numbers
 * depend on no window: of recurrent layers it is h (and c), of convolutions the last inputs that the next window's first outputs reach back to.
 */
#include "core/nn.h"
#include "core/nn_recurrent.h"
#include "models/data_frames.h"
#include "models/model.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 64, MOST_LAYERS = 10 };

typedef struct poly_options {
    int64_t hidden, layers, kernel, window, steps_per_quarter, transpose;
    double dropout;
    const char *net;
} poly_options;

// clang-format off
static const gen_option options[] = {
    { "net",       OPT_CHOICE, offsetof(poly_options, net),       "lstm", 0, 0, "lstm|gru|tcn", NULL, "recurrent layers, or dilated causal convolutions", 0 },
    { "hidden",    OPT_INT,    offsetof(poly_options, hidden),    "200",  1, 4096, NULL, NULL,       "units of a recurrent layer, channels of a convolution", 0 },
    { "layers",    OPT_INT,    offsetof(poly_options, layers),    "1",    1, MOST_LAYERS, NULL, NULL, "recurrent layers, or blocks of two convolutions, each dilated twice as far", 0 },
    { "kernel",    OPT_INT,    offsetof(poly_options, kernel),    "5",    2, 64, NULL, "frames",     "that a convolution looks at; net tcn", 0 },
    { "dropout",   OPT_FLOAT,  offsetof(poly_options, dropout),   "0.3",  0, 0.95, NULL, NULL,       "of what recurrent layers give, or after each convolution", 0 },
    { "window",    OPT_INT,    offsetof(poly_options, window),    "160",  1, 8192, NULL, "frames",   "that training foretells at once; pieces are cut into them", 0 },
    { "steps-per-quarter", OPT_INT, offsetof(poly_options, steps_per_quarter), "4", 1, 96, NULL, "frames", "in a quarter note, of MIDI files that are read and of samples", 0 },
    { "transpose", OPT_INT,    offsetof(poly_options, transpose), "0",    0, 24, NULL, "semitones",  "training moves each window up or down by as many at most", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "poly-lstm", "net=lstm hidden=200 layers=1 dropout=0.3", "as in Bai et al. 2018, section 4, with dropout", "chorales" },
    { "poly-gru",  "net=gru hidden=200 layers=1 dropout=0.3",  "as in Bai et al. 2018, section 4, with dropout", "chorales" },
    { "poly-tcn",  "net=tcn hidden=150 layers=4 kernel=5 dropout=0.25", "Bai et al. 2018, arXiv:1803.01271, polyphonic music", "chorales" },
    GEN_PRESETS_END
};
// clang-format on

typedef struct poly {
    gen_graph *g;
    const poly_options *o;
    int64_t n, t; /* sequences, frames that are foretold */
    bool training;
    gen_node *state; /* [N,S] that came in; NULL: all zeros */
    int64_t read;    /* columns of it that were taken */
    gen_node **left; /* what is carried on: [N,..], as many as read */
    int32_t n_left;
} poly;

static bool is_net(const poly_options *o, const char *name)
{
    return !strcmp(o->net, name);
}

static gen_node *drop(const poly *p, gen_node *x)
{
    return p->training ? gen_dropout(p->g, x, p->o->dropout) : x;
}

/* ---- state ------------------------------------------------------------------------------------------------------------------ */

/* The next `count` columns of the state, as [N,count]. */
static gen_node *take_state(poly *p, int64_t count)
{
    if (!p->state) return gen_fill(p->g, GEN_SHAPE(p->n, count), 0);
    p->read += count;
    return gen_slice(p->g, p->state, 1, p->read - count, count);
}

static void leave_state(poly *p, gen_node *x)
{
    if (p->state) p->left[p->n_left++] = nn_flatten(p->g, x);
}

/* Inputs of a causal convolution that it still needs in the next window. */
static int64_t reach(const poly_options *o, int64_t block)
{
    return (o->kernel - 1) << block;
}

static int64_t state(const gen_model_context *m)
{
    const poly_options *o = m->options;
    int64_t n = 0;
    if (is_net(o, "lstm")) return 2 * o->layers * o->hidden;
    if (is_net(o, "gru")) return o->layers * o->hidden;
    for (int64_t b = 0; b < o->layers; b++) n += reach(o, b) * ((b ? o->hidden : GEN_FRAME_KEYS) + o->hidden);
    return n;
}

/* ---- recurrent layers --------------------------------------------------------------------------------------------------------- */

/* x[N,T,88] -> [N,T,H] */
static gen_node *recurrent(poly *p, gen_node *x)
{
    static const int32_t swap[] = { 1, 0, 2 };
    gen_graph *g = p->g;
    gen_node *h0[MOST_LAYERS], *c0[MOST_LAYERS];
    bool lstm = is_net(p->o, "lstm");
    for (int64_t i = 0; i < p->o->layers; i++) {
        h0[i] = take_state(p, p->o->hidden);
        if (lstm) c0[i] = take_state(p, p->o->hidden);
    }
    nn_recurrent_spec spec = {
        .layers = (int32_t)p->o->layers, .dropout = p->training ? p->o->dropout : 0, .h0 = h0, .c0 = lstm ? c0 : NULL
    };
    nn_recurrent r = (lstm ? nn_lstm : nn_gru)(g, gen_transpose(g, x, swap), "rnn", p->o->hidden, spec);
    for (int64_t i = 0; i < p->o->layers; i++) {
        leave_state(p, r.h[i]);
        if (lstm) leave_state(p, r.c[i]);
    }
    return gen_transpose(g, drop(p, r.y), swap);
}

/* ---- convolutions --------------------------------------------------------------------------------------------------------------- */

/* g v / |v|, a length for each output channel (Salimans & Kingma 2016) */
static gen_node *normed_weight(const poly *p, const char *layer, int64_t channels)
{
    gen_graph *g = p->g;
    char name[NAME_BYTES];
    int64_t k = p->o->kernel, h = p->o->hidden;
    snprintf(name, sizeof name, "%s.weight_v", layer);
    gen_node *v =
        gen_param(g, name, GEN_SHAPE(k, 1, channels, h),
                  (gen_param_spec){ .init = GEN_INIT_TORCH, .fan_in = k * channels, .layout = GEN_LAYOUT_CONV });
    snprintf(name, sizeof name, "%s.weight_g", layer);
    gen_node *length = gen_param(g, name, GEN_SHAPE(h), (gen_param_spec){ .init = GEN_INIT_CONST, .a = 0.577 });
    gen_node *norm2 = gen_sum(g, gen_square(g, v), GEN_AXIS(0) | GEN_AXIS(1) | GEN_AXIS(2));
    return gen_mul(g, gen_mul(g, v, gen_rsqrt(g, norm2)), length);
}

/* x[N,T,1,C] -> [N,T,1,H], from x at t and the kernel - 1 places before, 2^block apart */
static gen_node *causal_conv(poly *p, gen_node *x, int64_t block, int number)
{
    gen_graph *g = p->g;
    char layer[NAME_BYTES - 16], name[NAME_BYTES];
    int64_t channels = x->shape.dim[3], before = reach(p->o, block);
    snprintf(layer, sizeof layer, "tcn.%d.conv%d", (int)block, number);
    gen_graph_scope(g, layer);
    gen_node *w = normed_weight(p, layer, channels);
    gen_window window = gen_window_of((int32_t)p->o->kernel, 1, 0);
    window.kernel[1] = 1;
    window.dilation[0] = 1 << block;
    if (p->state) {
        gen_node *past = gen_reshape(g, take_state(p, before * channels), GEN_SHAPE(p->n, before, 1, channels));
        x = gen_concat(g, 2, (gen_node *[]){ past, x }, 1);
        leave_state(p, gen_slice(g, x, 1, p->t, before));
    } else {
        window.pad[0] = (int32_t)before;
    }
    snprintf(name, sizeof name, "%s.bias", layer);
    gen_node *bias = gen_param(g, name, GEN_SHAPE(p->o->hidden),
                               (gen_param_spec){ .init = GEN_INIT_TORCH, .fan_in = p->o->kernel * channels });
    gen_node *y = gen_relu(g, gen_add(g, gen_conv2d(g, x, w, window), bias));
    gen_graph_scope(g, "");
    return drop(p, y);
}

/* x[N,T,88] -> [N,T,H] */
static gen_node *convolutions(poly *p, gen_node *x)
{
    gen_graph *g = p->g;
    gen_node *h = gen_reshape(g, x, GEN_SHAPE(p->n, p->t, 1, GEN_FRAME_KEYS));
    for (int64_t b = 0; b < p->o->layers; b++) {
        char name[NAME_BYTES];
        gen_node *y = causal_conv(p, causal_conv(p, h, b, 1), b, 2);
        snprintf(name, sizeof name, "tcn.%d.downsample", (int)b);
        if (h->shape.dim[3] != p->o->hidden) h = nn_conv(g, h, name, p->o->hidden, (nn_conv_spec){ .kernel = 1 });
        h = gen_relu(g, gen_add(g, y, h));
    }
    return gen_reshape(g, h, GEN_SHAPE(p->n, p->t, p->o->hidden));
}

/* ---- frames ---------------------------------------------------------------------------------------------------------------------- */

/* keys[N,T,88] -> logits of the frame after each [N,T,88] */
static gen_node *foretell(poly *p, gen_node *keys)
{
    gen_node *h = is_net(p->o, "tcn") ? convolutions(p, keys) : recurrent(p, keys);
    return nn_dense(p->g, h, "keys", GEN_FRAME_KEYS, (nn_dense_spec){ 0 });
}

/* Each window of keys[N,T,88] by its own whole number of semitones from -most to most; what falls off either end is lost. */
static gen_node *transposed(gen_graph *g, gen_node *keys, int64_t most)
{
    static float distance[GEN_FRAME_KEYS * GEN_FRAME_KEYS];
    int64_t n = keys->shape.dim[0];
    for (int from = 0; from < GEN_FRAME_KEYS; from++)
        for (int to = 0; to < GEN_FRAME_KEYS; to++) distance[from * GEN_FRAME_KEYS + to] = (float)(to - from);
    gen_graph_scope(g, "transpose");
    gen_node *uniform = gen_uniform(g, GEN_SHAPE(n, 1, 1));
    gen_graph_scope(g, "");
    double width = (double)(2 * most + 1), least = (double)-most;
    gen_node *by = gen_affine(g, gen_floor(g, gen_scale(g, uniform, width)), 1, least);
    gen_node *table = gen_const(g, GEN_SHAPE(1, GEN_FRAME_KEYS, GEN_FRAME_KEYS), distance);
    return gen_matmul(g, keys, gen_equal(g, table, by), false,
                      false); /* [N,88,88]: 1 where to - from is the window's number */
}

typedef struct windows {
    gen_node *heard, *next; /* [N,T,88]: frames 0 .. T-1, and 1 .. T */
    gen_node *there;        /* [N,T,1]: 1 where next is a frame */
} windows;

static windows read_windows(gen_graph *g, const gen_model_context *m, bool training)
{
    const poly_options *o = m->options;
    int64_t n = m->batch, t = m->height - 1;
    gen_node *x = gen_input(g, "x", GEN_SHAPE(n, m->height, GEN_FRAME_COLUMNS, 1));
    x = gen_reshape(g, x, GEN_SHAPE(n, m->height, GEN_FRAME_COLUMNS));
    gen_node *keys = gen_slice(g, x, 2, 0, GEN_FRAME_KEYS), *there = gen_slice(g, x, 2, GEN_FRAME_KEYS, 1);
    if (training && o->transpose) keys = transposed(g, keys, o->transpose);
    return (windows){ gen_slice(g, keys, 1, 0, t), gen_slice(g, keys, 1, 1, t), gen_slice(g, there, 1, 1, t) };
}

static poly poly_of(gen_graph *g, const gen_model_context *m, bool training)
{
    return (poly){ .g = g, .o = m->options, .n = m->batch, .t = m->height - 1, .training = training };
}

/* Nats of each key of the frames that are there: [N,T,88] */
static gen_node *nats(gen_graph *g, const windows *w, gen_node *logits)
{
    return gen_mul(g, gen_bce_logits(g, logits, w->next), w->there);
}

static void train(gen_graph *g, const gen_model_context *m)
{
    poly p = poly_of(g, m, true);
    windows w = read_windows(g, m, true);
    gen_node *logits = foretell(&p, w.heard);
    gen_node *loss = gen_div(g, gen_sum_all(g, nats(g, &w, logits)), gen_sum_all(g, w.there));
    gen_optim_report report = gen_optim_minimise(g, loss, "", &m->optim);
    gen_output(g, "loss", loss);
    if (report.grad_norm) gen_output(g, "grad_norm", report.grad_norm);
    gen_output(g, "lr", report.lr);
}

static gen_node *of_window(gen_graph *g, gen_node *x)
{
    return gen_reshape(g, gen_sum(g, x, GEN_AXIS(1) | GEN_AXIS(2)), GEN_SHAPE(x->shape.dim[0]));
}

/* "probability" [N,T,88] of the frames 1 .. T, besides what model.h says. */
static void eval(gen_graph *g, const gen_model_context *m)
{
    gen_node *left[2 * MOST_LAYERS];
    poly p = poly_of(g, m, false);
    p.state = gen_input(g, "state", GEN_SHAPE(m->batch, state(m)));
    p.left = left;
    windows w = read_windows(g, m, false);
    gen_node *logits = foretell(&p, w.heard);
    gen_output(g, "loss", of_window(g, nats(g, &w, logits)));
    gen_output(g, "predicted", of_window(g, w.there));
    gen_output(g, "state", gen_concat(g, p.n_left, left, 1));
    gen_output(g, "probability", gen_sigmoid(g, logits));
}

static gen_status check(const gen_model_context *m, gen_error *err)
{
    const poly_options *o = m->options;
    if (m->width != GEN_FRAME_COLUMNS || m->channels != 1 || m->height != o->window + 1)
        return gen_fail(
            err, GEN_BAD_SHAPE, "poly learns from windows of %lld frames of %d keys; the data has %lldx%lldx%lld",
            (long long)o->window, GEN_FRAME_KEYS, (long long)m->height, (long long)m->width, (long long)m->channels);
    return GEN_OK;
}

static gen_status open_data(const void *chosen, const char *path, bool skip_bad, gen_arena *arena, gen_dataset *data,
                            gen_error *err)
{
    const poly_options *o = chosen;
    return gen_data_open_frames(path, o->window, (int32_t)o->steps_per_quarter, skip_bad, arena, data, err);
}

const gen_model gen_model_poly = {
    .name = "poly",
    .summary = "polyphonic music, frame by frame: LSTM, GRU or TCN over piano rolls",
    .paper = "Boulanger-Lewandowski et al. 2012, arXiv:1206.6392; Bai et al. 2018, arXiv:1803.01271",
    .options = options,
    .options_bytes = sizeof(poly_options),
    .presets = presets,
    .defaults = "batch=16 lr=2e-3 clip-norm=1 epochs=60 patience=12",
    .data = "chorales",
    .open_data = open_data,
    .check = check,
    .train = train,
    .eval = eval,
    .state = state,
    .things = "frames",
};
