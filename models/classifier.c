/* Classifier of pictures: convs, pooling and dense layers that are written down as a list.
 *
 *   loss = - mean log softmax(l)[label],   with --label-smoothing e: (1 - e) of that, and e of the mean over all classes (Szegedy et al. 2016)
 *
 * --layers is the network, from the picture on:  cN conv 3x3 of N channels;  cNkKsS with kernel K and stride S;  p max pooling 2x2;  a mean over all
 * places;  fN dense layer of N units; d dropout here. Convs and dense layers are followed by batch normalisation where --batch-norm says so, and by a
 * rectifier; the layer of classes ("out") comes by itself. --shift, --zoom, --turn and --flip change the training pictures (models/augment.h).
 *
 * `gen encode` gives what enters the layer of classes: the features that Frechet distances are measured in.
 */
#include "core/nn.h"
#include "models/augment.h"
#include "models/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct classifier_options {
    const char *layers, *init;
    int64_t batch_norm, valid, flip;
    double dropout, smoothing, shift, zoom, turn;
} classifier_options;

// clang-format off
static const gen_option options[] = {
    { "layers",     OPT_STRING, offsetof(classifier_options, layers),     "c32,c32,p,d,c64,c64,p,d,f256,d", 0, 0, NULL, NULL, "the network: cN[kK][sS] conv, p pool, a mean, fN dense, d dropout", 0 },
    { "batch-norm", OPT_BOOL,   offsetof(classifier_options, batch_norm), "1",     0, 1, NULL, NULL, "batch normalisation after each conv and dense layer", 0 },
    { "valid",      OPT_BOOL,   offsetof(classifier_options, valid),      "0",     0, 1, NULL, NULL, "convs without padding", 0 },
    { "dropout",    OPT_FLOAT,  offsetof(classifier_options, dropout),    "0.25",  0, 0.95, NULL, NULL, "at each d", 0 },
    { "label-smoothing", OPT_FLOAT, offsetof(classifier_options, smoothing), "0",  0, 0.9, NULL, NULL, "part of the target that all classes share", 0 },
    { "shift",      OPT_FLOAT,  offsetof(classifier_options, shift),      "0",     0, 64, NULL, "px", "training pictures move by up to so much", 0 },
    { "zoom",       OPT_FLOAT,  offsetof(classifier_options, zoom),       "0",     0, 0.9, NULL, NULL, "and each side grows or shrinks by up to this part", 0 },
    { "turn",       OPT_FLOAT,  offsetof(classifier_options, turn),       "0",     0, 45, NULL, "degrees", "and they turn by up to so much", 0 },
    { "flip",       OPT_BOOL,   offsetof(classifier_options, flip),       "0",     0, 1, NULL, NULL, "and half of them are mirrored left to right", 0 },
    { "init",       OPT_CHOICE, offsetof(classifier_options, init),       "he",    0, 0, "torch|keras|he", NULL, "initial weights", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "cnn-mnist", "layers=c32,c32,p,d,c64,c64,p,d,f256,d shift=2 zoom=0.1 turn=10 batch=128 lr=2e-3 schedule=cosine epochs=15",
      "D. Ciresan et al. 2012 in small: distorted digits", "mnist" },
    { "features-mnist", "layers=c24,p,d,c48,c48,p,d,f128,d shift=2 zoom=0.1 turn=10 batch=128 lr=3e-3 schedule=cosine epochs=8",
      "the network that gen eval measures 28x28 digits in: 128 features, 1.4 MB", "mnist" },
    { "keras-mnist", "layers=c32,p,c64,p,f128 valid=1 batch-norm=0 dropout=0 init=keras batch=128 lr=1e-3 schedule=constant epochs=12",
      "the small CNN of lectures: 320 + 18,496 + 204,928 + 1,290 parameters", "mnist" },
    { "vgg-small", "layers=c64,c64,p,d,c128,c128,p,d,c256,c256,p,d,f256,d shift=4 flip=1 dropout=0.3 batch=128 lr=2e-3 schedule=cosine epochs=40",
      "Simonyan & Zisserman 2015 at 32x32, with batch normalisation", "cifar10" },
    GEN_PRESETS_END
};
// clang-format on

/* ---- the list of layers ---------------------------------------------------------------------------------------------------- */

typedef struct layer {
    char kind; /* c p a f d; 0: the end */
    int64_t n, kernel, stride;
} layer;

/* A number of 1 to 65536 at *text, which moves behind it; `fallback` where the letter is not there; -1 for anything else. */
static int64_t number_after(const char **text, char letter, int64_t fallback)
{
    char *end;
    if (**text != letter) return fallback;
    if ((*text)[1] < '0' || (*text)[1] > '9') return -1;
    long long value = strtoll(*text + 1, &end, 10);
    *text = end;
    return value >= 1 && value <= 65536 ? value : -1;
}

/* Reads one layer; false when the text is none. At the end kind is 0. */
static bool read_layer(const char **text, layer *l)
{
    *l = (layer){ .kind = **text, .kernel = 3, .stride = 1 };
    if (!l->kind) return true;
    if (!strchr("cpafd", l->kind)) return false;
    if (l->kind == 'c' || l->kind == 'f') l->n = number_after(text, l->kind, -1);
    else ++*text;
    if (l->kind == 'c') {
        l->kernel = number_after(text, 'k', 3);
        l->stride = number_after(text, 's', 1);
    }
    if (**text == ',') ++*text;
    else if (**text) return false;
    return l->n >= 0 && l->kernel > 0 && l->kernel <= 31 && l->stride > 0 && l->stride <= 8;
}

/* ---- layers ------------------------------------------------------------------------------------------------------------------ */

typedef struct network {
    gen_graph *g;
    const classifier_options *o;
    bool training;
    int n_conv, n_dense;
} network;

static nn_init init_rule(const classifier_options *o)
{
    return !strcmp(o->init, "he") ? NN_INIT_HE : !strcmp(o->init, "keras") ? NN_INIT_XAVIER : NN_INIT_TORCH;
}

static gen_node *norm_and_relu(network *net, gen_node *h, const char *name)
{
    char norm[64];
    snprintf(norm, sizeof norm, "%s_norm", name);
    if (net->o->batch_norm) h = nn_batch_norm(net->g, h, norm, (nn_norm_spec){ .training = net->training });
    return gen_relu(net->g, h);
}

static gen_node *conv(network *net, gen_node *h, const layer *l)
{
    char name[32];
    snprintf(name, sizeof name, "conv%d", ++net->n_conv);
    nn_conv_spec spec = { .kernel = (int32_t)l->kernel,
                          .stride = (int32_t)l->stride,
                          .pad = net->o->valid ? 0 : (int32_t)(l->kernel / 2),
                          .no_bias = net->o->batch_norm != 0,
                          .init = init_rule(net->o) };
    return norm_and_relu(net, nn_conv(net->g, h, name, l->n, spec), name);
}

static gen_node *flattened(network *net, gen_node *h)
{
    return h->shape.rank == 2 ? h : nn_flatten(net->g, h);
}

static gen_node *dense(network *net, gen_node *h, const layer *l)
{
    char name[32];
    snprintf(name, sizeof name, "fc%d", ++net->n_dense);
    nn_dense_spec spec = { .no_bias = net->o->batch_norm != 0, .init = init_rule(net->o) };
    return norm_and_relu(net, nn_dense(net->g, flattened(net, h), name, l->n, spec), name);
}

static gen_node *apply(network *net, gen_node *h, const layer *l)
{
    switch (l->kind) {
    case 'c': return conv(net, h, l);
    case 'f': return dense(net, h, l);
    case 'p': return gen_max_pool(net->g, h, gen_window_of(2, 2, 0));
    case 'a': return gen_global_avg_pool(net->g, h);
    default: return net->training ? gen_dropout(net->g, h, net->o->dropout) : h;
    }
}

/* x[N,H,W,C] -> what enters the layer of classes [N,F] */
static gen_node *features(gen_graph *g, const gen_model_context *m, gen_node *x, bool training)
{
    network net = { .g = g, .o = m->options, .training = training };
    const char *text = net.o->layers;
    gen_node *h = x;
    for (layer l; read_layer(&text, &l) && l.kind;) h = apply(&net, h, &l);
    return flattened(&net, h);
}

/* A description without data has ten classes. */
static int64_t classes_of(const gen_model_context *m)
{
    return m->classes ? m->classes : 10;
}

/* logits [N,classes] */
static gen_node *head(gen_graph *g, const gen_model_context *m, gen_node *h)
{
    return nn_dense(g, h, "out", classes_of(m), (nn_dense_spec){ .init = init_rule(m->options) });
}

static gen_node *augmented(gen_graph *g, const gen_model_context *m, gen_node *x)
{
    const classifier_options *o = m->options;
    gen_augment how = { .shift_px = o->shift, .zoom = o->zoom, .turn_degrees = o->turn, .flip = o->flip != 0 };
    return gen_augment_pictures(g, x, &how);
}

/* ---- graphs -------------------------------------------------------------------------------------------------------------------- */

static gen_node *input_image(gen_graph *g, const gen_model_context *m)
{
    return gen_input(g, "x", GEN_SHAPE(m->batch, m->height, m->width, m->channels));
}

/* 100 where the likeliest class is the label, else 0 [N] */
static gen_node *hits(gen_graph *g, gen_node *logits, gen_node *label)
{
    return gen_scale(g, gen_equal(g, gen_reshape(g, gen_argmax(g, logits), label->shape), label), 100);
}

static void train(gen_graph *g, const gen_model_context *m)
{
    const classifier_options *o = m->options;
    gen_node *x = input_image(g, m), *label = gen_input(g, "label", GEN_SHAPE(m->batch));
    gen_node *logits = head(g, m, features(g, m, augmented(g, m, x), true));
    gen_node *loss = gen_mean(g, gen_cross_entropy(g, logits, label)), *target = loss;
    if (o->smoothing > 0) {
        gen_node *all = gen_neg(g, gen_mean(g, gen_log_softmax(g, logits, GEN_AXIS(1))));
        target = gen_add(g, gen_scale(g, loss, 1 - o->smoothing), gen_scale(g, all, o->smoothing));
    }
    gen_optim_report report = gen_optim_minimise(g, target, "", &m->optim);
    gen_output(g, "loss", target);
    gen_output(g, "accuracy", gen_mean(g, hits(g, logits, label)));
    if (report.grad_norm) gen_output(g, "grad_norm", report.grad_norm);
}

static void eval(gen_graph *g, const gen_model_context *m)
{
    gen_node *x = input_image(g, m), *label = gen_input(g, "label", GEN_SHAPE(m->batch));
    gen_node *logits = head(g, m, features(g, m, x, false));
    gen_output(g, "loss", gen_cross_entropy(g, logits, label));
    gen_output(g, "accuracy", hits(g, logits, label));
    gen_output(g, "guess", gen_argmax(g, logits)); /* [N,1] */
}

static void encode(gen_graph *g, const gen_model_context *m)
{
    gen_node *h = features(g, m, input_image(g, m), false);
    gen_output(g, "mu", h);
    gen_output(g, "probability", gen_softmax(g, head(g, m, h), GEN_AXIS(1)));
}

/* The number of features: a graph is built and thrown away, so that no second rule of sizes can differ. */
static int64_t latent(const gen_model_context *m)
{
    gen_graph *g = gen_graph_new();
    if (!g) return 0;
    gen_model_context one = *m;
    one.batch = 1;
    gen_node *h = features(g, &one, input_image(g, &one), false);
    int64_t d = gen_graph_check(g, NULL) == GEN_OK ? h->shape.dim[1] : 0;
    gen_graph_free(g);
    return d;
}

static gen_status check_layers(const gen_model_context *m, gen_error *err)
{
    const char *all = ((const classifier_options *)m->options)->layers, *text = all;
    bool flat = false;
    for (layer l;;) {
        const char *from = text;
        if (!read_layer(&text, &l))
            return gen_fail(err, GEN_BAD_OPTION,
                            "--layers: \"%.24s\" is no layer; write cN[kK][sS], p, a, fN or d with commas between",
                            from);
        if (!l.kind) break;
        if (flat && strchr("cpa", l.kind))
            return gen_fail(err, GEN_BAD_OPTION, "--layers: %c comes after a dense layer; pictures end there", l.kind);
        flat = flat || l.kind == 'f';
    }
    return GEN_OK;
}

static gen_status check(const gen_model_context *m, gen_error *err)
{
    if (m->height < 1 || m->width < 1 || m->channels < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "classifier needs images; the data has none");
    if (m->classes < 2)
        return gen_fail(err, GEN_BAD_OPTION,
                        "classifier needs labels, two classes at least: a data set that has them, "
                        "or a folder with one sub-folder a class");
    GEN_TRY(check_layers(m, err));
    if (latent(m) < 1)
        return gen_fail(err, GEN_BAD_OPTION, "--layers has more pooling than pictures of %lldx%lld pixels allow",
                        (long long)m->width, (long long)m->height);
    return GEN_OK;
}

const gen_model gen_model_classifier = {
    .name = "classifier",
    .summary = "classifier of pictures: a CNN written as a list of layers",
    .paper = "LeCun et al. 1998, Proc. IEEE 86:2278",
    .options = options,
    .options_bytes = sizeof(classifier_options),
    .presets = presets,
    .defaults = "batch=128 lr=2e-3 schedule=cosine epochs=10",
    .data = "mnist",
    .check = check,
    .train = train,
    .eval = eval,
    .encode = encode,
    .latent = latent,
};
