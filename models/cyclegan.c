/* CycleGAN: unpaired picture-to-picture translation, Zhu et al. 2017, arXiv:1703.10593.
 *
 *   G: A -> B, F: B -> A, D_A, D_B (patch discriminators, least squares)
 *   L_generators     = E (D_B(G(a)) - 1)^2 + E (D_A(F(b)) - 1)^2 + cycle (E |F(G(a)) - a| + E |G(F(b)) - b|)
 *                      + identity (E |G(b) - b| + E |F(a) - a|)
 *   L_discriminators = d_weight (E (D_B(b) - 1)^2 + E D_B(pool G(a))^2) + the same of D_A
 *
 * pool: a buffer of earlier fakes (Shrivastava et al. 2017). "swap" is the authors' code: while it fills, the new picture is used and kept; then with
 * probability 1/2 a random old one is used and replaced, else the new one is used and forgotten. "append" is D. Foster's: the newest is kept, one of all
 * kept is used. Nets: "resnet" is the authors' (c7s1-f, d2f, d4f, R4f …, u2f, uf, c7s1-3), "unet" Foster's. Names are those of the authors' state_dict
 * behind "g_ab.", "g_ba.", "d_a.", "d_b.".
 */
#include "core/autodiff.h"
#include "core/nn.h"
#include "core/plan.h"
#include "models/metrics.h"
#include "models/model.h"

#include <stdio.h>
#include <string.h>

typedef struct cyclegan_options {
    const char *a, *b, *net, *up, *order, *pool_style, *init;
    int64_t blocks, ngf, ndf, crop, pool, flip, residual;
    double cycle, identity, d_weight;
} cyclegan_options;

// clang-format off
static const gen_option options[] = {
    { "a",          OPT_STRING, offsetof(cyclegan_options, a),          "", 0, 0, NULL, NULL, "folder of pictures of set A (else --data: a folder with trainA and trainB)", 0 },
    { "b",          OPT_STRING, offsetof(cyclegan_options, b),          "", 0, 0, NULL, NULL, "folder of pictures of set B", 0 },
    { "net",        OPT_CHOICE, offsetof(cyclegan_options, net),        "resnet", 0, 0, "resnet|unet", NULL, "generator", 0 },
    { "blocks",     OPT_INT,    offsetof(cyclegan_options, blocks),     "6",   0, 64, NULL, NULL, "residual blocks of net resnet", 0 },
    { "ngf",        OPT_INT,    offsetof(cyclegan_options, ngf),        "64",  1, 1024, NULL, "channels", "of the generator's first layer", 0 },
    { "ndf",        OPT_INT,    offsetof(cyclegan_options, ndf),        "64",  1, 1024, NULL, "channels", "of the discriminator's first layer", 0 },
    { "up",         OPT_CHOICE, offsetof(cyclegan_options, up),         "conv-transpose", 0, 0, "conv-transpose|nearest", NULL, "how net resnet grows; nearest leaves no checkerboard", 0 },
    { "residual",   OPT_BOOL,   offsetof(cyclegan_options, residual),   "0",   0, 1, NULL, NULL, "the generator says what to change: its answer is added to the picture, whose light then need not pass its norms", 0 },
    { "init",       OPT_CHOICE, offsetof(cyclegan_options, init),       "normal", 0, 0, "normal|keras", NULL, "initial weights: N(0, 0.02^2), or Glorot's", 0 },
    { "cycle",      OPT_FLOAT,  offsetof(cyclegan_options, cycle),      "10",  0, 1e4, NULL, NULL, "weight of the cycle loss", 0 },
    { "identity",   OPT_FLOAT,  offsetof(cyclegan_options, identity),   "5",   0, 1e4, NULL, NULL, "weight of the identity loss: it keeps the colours", 0 },
    { "d-weight",   OPT_FLOAT,  offsetof(cyclegan_options, d_weight),   "0.5", 0, 10, NULL, NULL, "weight of the discriminators' loss", 0 },
    { "order",      OPT_CHOICE, offsetof(cyclegan_options, order),      "generators-first", 0, 0, "generators-first|discriminators-first", NULL, "of the two updates of a step", 0 },
    { "pool",       OPT_INT,    offsetof(cyclegan_options, pool),       "50",  0, 1000, NULL, "pictures", "kept of each generator for its discriminator (0: none)", 0 },
    { "pool-style", OPT_CHOICE, offsetof(cyclegan_options, pool_style), "swap", 0, 0, "swap|append", NULL, "how the kept pictures are used", 0 },
    { "crop",       OPT_INT,    offsetof(cyclegan_options, crop),       "0",   0, 4096, NULL, "px", "random square of the --size that is trained on (0: all of it)", 0 },
    { "flip",       OPT_BOOL,   offsetof(cyclegan_options, flip),       "1",   0, 1, NULL, NULL, "mirror half of the pictures", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "junyanz-256", "net=resnet blocks=9 ngf=64 ndf=64 size=286 crop=256 channels=3 batch=1 lr=2e-4 beta1=0.5 epochs=200 schedule=linear decay-start=0.5",
      "Zhu et al. 2017, section 4 and appendix; the authors' code", "" },
    { "gdl-cyclegan-apple2orange", "net=unet ngf=32 ndf=32 init=keras identity=2 d-weight=1 order=discriminators-first pool-style=append size=128 channels=3 batch=1 lr=2e-4 beta1=0.5 epochs=200 schedule=constant",
      "D. Foster, Generative Deep Learning, 1st ed., 05_01", "" },
    { "gdl-cyclegan-monet", "net=resnet blocks=9 ngf=64 ndf=64 identity=5 d-weight=1 order=discriminators-first pool-style=append size=256 channels=3 batch=1 lr=2e-4 beta1=0.5 epochs=200 schedule=constant",
      "D. Foster, Generative Deep Learning, 1st ed., code of 2019-03-28", "" },
    { "cyclegan-small", "net=resnet blocks=6 ngf=32 ndf=32 size=72 crop=64 channels=3 batch=1 lr=2e-4 beta1=0.5 steps=15000 schedule=linear decay-start=0.5",
      "half the width at 64 px: trains on two cores", "" },
    { "bench-cyc128", "net=resnet blocks=6 ngf=64 ndf=64 pool=0 flip=0 batch=1 lr=2e-4 beta1=0.5 schedule=constant", "the CycleGAN that training speed is compared on", "" },
    GEN_PRESETS_END
};
// clang-format on

enum { NAME_BYTES = 64 };

static const cyclegan_options *options_of(const gen_model_context *m)
{
    return m->options;
}

/* ---- layers ---------------------------------------------------------------------------------------------------------------------------- */

static nn_conv_spec conv_spec(const cyclegan_options *o, int32_t kernel, int32_t stride, int32_t pad)
{
    bool normal = !strcmp(o->init, "normal");
    return (nn_conv_spec){
        .kernel = kernel, .stride = stride, .pad = pad, .init = normal ? NN_INIT_NORMAL : NN_INIT_XAVIER, .sigma = 0.02
    };
}

static gen_node *instance_norm(gen_graph *g, gen_node *x)
{
    return nn_group_norm(g, x, "", 0, (nn_norm_spec){ .no_affine = true });
}

static gen_node *reflect(gen_graph *g, gen_node *x, int32_t n)
{
    return gen_pad(g, x, GEN_PAD_REFLECT, n, n, n, n);
}

/* "g_ab" and 10 -> "g_ab.model.10": the place in the authors' nn.Sequential */
static const char *place(char name[NAME_BYTES], const char *net, int index, const char *part)
{
    snprintf(name, NAME_BYTES, "%s.model.%d%s", net, index, part);
    return name;
}

/* ---- generators: x[N,H,W,C] in [-1,1] -> the same ---------------------------------------------------------------------------------- */

/* twice the size: conv_t k3 s2, or nearest and conv k3 */
static gen_node *grow(gen_graph *g, const cyclegan_options *o, const char *net, int index, gen_node *x, int64_t c)
{
    char name[NAME_BYTES];
    if (!strcmp(o->up, "nearest"))
        return nn_conv(g, gen_upsample(g, x, 2), place(name, net, index, ""), c, conv_spec(o, 3, 1, 1));
    nn_conv_spec spec = conv_spec(o, 3, 2, 1);
    spec.out_pad = 1;
    return nn_conv_t(g, x, place(name, net, index, ""), c, spec);
}

/* Stages of net resnet: c7s1-f, d2f, d4f, two for each block, u2f, uf, c7s1-C */
enum { FIRST_BLOCK = 3 };

static int32_t resnet_stages(const cyclegan_options *o)
{
    return FIRST_BLOCK + 2 * (int32_t)o->blocks + 3;
}

/* What instance norm comes after: all but the last stage end with it. */
static gen_node *resnet_stage(gen_graph *g, const cyclegan_options *o, const char *net, int64_t channels, int32_t i,
                              gen_node *x)
{
    char name[NAME_BYTES];
    int32_t n = resnet_stages(o), block = (i - FIRST_BLOCK) / 2, after = 10 + (int32_t)o->blocks;
    if (i == 0) return nn_conv(g, reflect(g, x, 3), place(name, net, 1, ""), o->ngf, conv_spec(o, 7, 1, 0));
    if (i < FIRST_BLOCK) return nn_conv(g, x, place(name, net, 1 + 3 * i, ""), o->ngf << i, conv_spec(o, 3, 2, 1));
    if (i == n - 1)
        return gen_tanh(g,
                        nn_conv(g, reflect(g, x, 3), place(name, net, after + 7, ""), channels, conv_spec(o, 7, 1, 0)));
    if (i >= n - 3) return grow(g, o, net, after + 3 * (i - n + 3), x, o->ngf << (n - 2 - i));
    const char *part = (i - FIRST_BLOCK) % 2 ? ".conv_block.5" : ".conv_block.1";
    return nn_conv(g, reflect(g, x, 1), place(name, net, 10 + block, part), x->shape.dim[3], conv_spec(o, 3, 1, 0));
}

static gen_stage_end resnet_end(const cyclegan_options *o, int32_t i)
{
    int32_t n = resnet_stages(o);
    if (i == n - 1) return GEN_STAGE_OUT;
    return i >= FIRST_BLOCK && i < n - 3 && (i - FIRST_BLOCK) % 2 ? GEN_STAGE_ADD : GEN_STAGE_RELU;
}

static gen_node *resnet(gen_graph *g, const cyclegan_options *o, const char *net, gen_node *x)
{
    gen_node *before = NULL; /* what went into the stage before */
    int64_t channels = x->shape.dim[3];
    for (int32_t i = 0; i < resnet_stages(o); i++) {
        gen_node *in = x;
        gen_stage_end end = resnet_end(o, i);
        x = resnet_stage(g, o, net, channels, i, x);
        if (end != GEN_STAGE_OUT) x = instance_norm(g, x);
        x = end == GEN_STAGE_RELU ? gen_relu(g, x) : end == GEN_STAGE_ADD ? gen_add(g, x, before) : x;
        before = in;
    }
    return x;
}

static gen_node *unet(gen_graph *g, const cyclegan_options *o, const char *net, gen_node *x)
{
    enum { DEPTH = 4 };
    char name[NAME_BYTES];
    gen_node *down[DEPTH], *h = x;
    nn_conv_spec half = conv_spec(o, 4, 2, 0), same = conv_spec(o, 4, 1, 0);
    half.same = same.same = true;
    for (int i = 0; i < DEPTH; i++) {
        snprintf(name, sizeof name, "%s.down%d", net, i + 1);
        h = down[i] = gen_relu(g, instance_norm(g, nn_conv(g, h, name, o->ngf << i, half)));
    }
    for (int i = DEPTH - 2; i >= 0; i--) {
        snprintf(name, sizeof name, "%s.up%d", net, DEPTH - 1 - i);
        h = gen_relu(g, instance_norm(g, nn_conv(g, gen_upsample(g, h, 2), name, o->ngf << i, same)));
        h = gen_concat(g, 2, (gen_node *[]){ h, down[i] }, 3);
    }
    snprintf(name, sizeof name, "%s.out", net);
    return gen_tanh(g, nn_conv(g, gen_upsample(g, h, 2), name, x->shape.dim[3], same));
}

/* Instance norm takes the light and contrast of a picture away, and a generator has to smuggle them through as patterns; where it may add to the picture
 * instead, they stay. */
static gen_node *generator(gen_graph *g, const cyclegan_options *o, const char *net, gen_node *x)
{
    gen_node *y = !strcmp(o->net, "unet") ? unet(g, o, net, x) : resnet(g, o, net, x);
    return o->residual ? gen_clamp(g, gen_add(g, x, y), -1, 1) : y;
}

/* ---- discriminators: x[N,H,W,C] -> [N,h,w,1], one judgement a patch ---------------------------------------------------------------- */

/* Three layers of stride 2, 2, 2 and two of stride 1; receptive field 70. Foster's pads as TensorFlow does. */
static gen_node *discriminator(gen_graph *g, const cyclegan_options *o, const char *net, gen_node *x)
{
    static const int index[] = { 0, 2, 5, 8 };
    char name[NAME_BYTES];
    bool same = !strcmp(o->net, "unet");
    for (int i = 0; i < 4; i++) {
        nn_conv_spec spec = conv_spec(o, 4, i < 3 ? 2 : 1, 1);
        spec.same = same;
        x = nn_conv(g, x, place(name, net, index[i], ""), o->ndf << i, spec);
        x = gen_leaky_relu(g, i ? instance_norm(g, x) : x, 0.2);
    }
    nn_conv_spec last = conv_spec(o, 4, 1, 1);
    last.same = same;
    return nn_conv(g, x, place(name, net, 11, ""), 1, last);
}

/* ---- the pool of earlier fakes ------------------------------------------------------------------------------------------------------------- */

static gen_node *state(gen_graph *g, const char *pool, const char *part, gen_shape shape)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.%s", pool, part);
    return gen_param(g, name, shape, (gen_param_spec){ .init = GEN_INIT_ZERO, .state = true, .counter = true });
}

static gen_node *uniform_scalar(gen_graph *g, const char *pool, const char *what, int64_t i)
{
    char scope[NAME_BYTES];
    snprintf(scope, sizeof scope, "%s.%s%d", pool, what, (int)i);
    gen_graph_scope(g, scope);
    gen_node *u = gen_uniform(g, GEN_SHAPE(1));
    gen_graph_scope(g, "");
    return u;
}

/* fake[1,D] goes in; what the discriminator sees [1,D] comes out. kept[P,D] and its count are state. */
static gen_node *through_pool(gen_graph *g, const cyclegan_options *o, const char *pool, int64_t i, gen_node *fake)
{
    int64_t p = o->pool, d = fake->shape.dim[1];
    gen_node *kept = state(g, pool, "pictures", GEN_SHAPE(p, d)), *count = state(g, pool, "count", GEN_SHAPE(1));
    gen_node *filled = gen_min(g, count, gen_scalar(g, (double)p)),
             *full = gen_less(g, gen_scalar(g, (double)p - 0.5), count);
    gen_node *u = uniform_scalar(g, pool, "which", i), *used;
    gen_node *into; /* [1]: the place that the new picture takes; p: none */
    if (!strcmp(o->pool_style, "append")) {
        into = gen_sub(
            g, count, gen_scale(g, gen_floor(g, gen_scale(g, gen_affine(g, count, 1, 0.5), 1 / (double)p)), (double)p));
    } else {
        gen_node *random = gen_floor(g, gen_scale(g, u, (double)p)), *none = gen_scalar(g, (double)p);
        gen_node *swap = gen_less(g, uniform_scalar(g, pool, "swap", i), gen_scalar(g, 0.5));
        into = gen_select(g, full, gen_select(g, swap, random, none), count);
    }
    gen_node *here = gen_reshape(g, gen_one_hot(g, into, p), GEN_SHAPE(p, 1));
    gen_node *next = gen_select(g, gen_broadcast(g, here, kept->shape), gen_broadcast(g, fake, kept->shape), kept);
    if (!strcmp(o->pool_style, "append")) {
        gen_node *most = gen_min(g, gen_affine(g, filled, 1, 1), gen_scalar(g, (double)p));
        used = gen_gather(g, next, gen_floor(g, gen_mul(g, u, most)));
    } else {
        gen_node *swapped = gen_mul(g, full, gen_less(g, into, gen_scalar(g, (double)p)));
        used = gen_select(g, gen_broadcast(g, gen_reshape(g, swapped, GEN_SHAPE(1, 1)), fake->shape),
                          gen_gather(g, kept, into), fake);
    }
    gen_assign(g, kept, next);
    gen_assign(g, count, gen_affine(g, count, 1, 1));
    return used;
}

/* fake[N,H,W,C], one picture after the other */
static gen_node *pooled(gen_graph *g, const cyclegan_options *o, const char *pool, gen_node *fake)
{
    int64_t n = fake->shape.dim[0], d = gen_shape_count(&fake->shape) / n;
    fake = gen_stop(g, fake);
    if (!o->pool) return fake;
    gen_node **used = gen_arena_alloc(gen_graph_arena(g), (size_t)n * sizeof *used);
    if (!used) {
        gen_graph_fail(g, GEN_NO_MEMORY, "no memory for %lld pictures", (long long)n);
        return fake;
    }
    gen_node *flat = gen_reshape(g, fake, GEN_SHAPE(n, d));
    for (int64_t i = 0; i < n; i++) used[i] = through_pool(g, o, pool, i, gen_slice(g, flat, 0, i, 1));
    return gen_stop(g, gen_reshape(g, n > 1 ? gen_concat(g, (int32_t)n, used, 0) : used[0], fake->shape));
}

/* ---- pictures ------------------------------------------------------------------------------------------------------------------------------ */

/* one of 0 … n - 1 for each picture [N,1,1] */
static gen_node *random_offset(gen_graph *g, int64_t batch, int64_t n)
{
    return gen_floor(g, gen_scale(g, gen_uniform(g, GEN_SHAPE(batch, 1, 1)), (double)n));
}

static gen_node *count_up(gen_graph *g, gen_shape shape, int64_t n)
{
    float *values = gen_arena_alloc(gen_graph_arena(g), (size_t)n * sizeof *values);
    for (int64_t i = 0; values && i < n; i++) values[i] = (float)i;
    return values ? gen_const(g, shape, values) : gen_fill(g, shape, 0);
}

/* Rows offset … offset + size - 1 of x[N,H,W,C], as a product with a matrix of zeros and ones: offset is a node */
static gen_node *crop_rows(gen_graph *g, gen_node *x, int64_t size)
{
    int64_t n = x->shape.dim[0], h = x->shape.dim[1], w = x->shape.dim[2], c = x->shape.dim[3];
    gen_node *at = gen_add(g, count_up(g, GEN_SHAPE(1, size, 1), size), random_offset(g, n, h - size + 1));
    gen_node *pick = gen_equal(g, count_up(g, GEN_SHAPE(1, 1, h), h), at); /* [N,size,H] */
    return gen_reshape(g, gen_matmul(g, pick, gen_reshape(g, x, GEN_SHAPE(n, h, w * c)), false, false),
                       GEN_SHAPE(n, size, w, c));
}

static gen_node *augmented(gen_graph *g, const cyclegan_options *o, gen_node *x)
{
    static const int32_t swapped[] = { 0, 2, 1, 3 };
    int64_t w = x->shape.dim[2];
    gen_graph_scope(g, "augment");
    if (o->crop) {
        x = crop_rows(g, x, o->crop);
        x = gen_transpose(g, crop_rows(g, gen_transpose(g, x, swapped), o->crop), swapped);
        w = o->crop;
    }
    if (o->flip) {
        gen_node *half = gen_bernoulli(g, GEN_SHAPE(x->shape.dim[0], 1, 1, 1), 0.5);
        gen_node *mirror = gen_slice_step(g, x, (int64_t[]){ 0, 0, w - 1, 0 }, (int64_t[]){ 1, 1, -1, 1 }, x->shape);
        x = gen_select(g, gen_broadcast(g, half, x->shape), mirror, x);
    }
    gen_graph_scope(g, "");
    return gen_stop(g, x);
}

/* [0,1] -> [-1,1] and back */
static gen_node *to_signed(gen_graph *g, gen_node *x)
{
    return gen_affine(g, x, 2, -1);
}

static gen_node *to_unit(gen_graph *g, gen_node *x)
{
    return gen_affine(g, x, 0.5, 0.5);
}

static gen_node *input_pictures(gen_graph *g, const gen_model_context *m, int64_t n)
{
    return gen_input(g, "x", GEN_SHAPE(n, m->height, m->width, m->channels));
}

/* ---- losses ---------------------------------------------------------------------------------------------------------------------------------- */

static gen_node *mean_abs(gen_graph *g, gen_node *x, gen_node *y)
{
    return gen_mean(g, gen_abs(g, gen_sub(g, x, y)));
}

/* least squares against a target (Mao et al. 2017) */
static gen_node *judged(gen_graph *g, gen_node *validity, double target)
{
    return gen_mean(g, gen_square(g, gen_affine(g, validity, 1, -target)));
}

typedef struct step {
    gen_node *a, *b;            /* real, in [-1,1] */
    gen_node *fake_a, *fake_b;  /* F(b), G(a) */
    gen_node *cycle, *identity; /* scalars, without their weights */
} step;

/* Gradients in the generators' weights, part of the loss by part: what a part has computed on its way is forgotten before the next one begins, so memory is
 * that of two generators, where the whole loss would need that of six. */
typedef struct parts {
    int32_t n;
    gen_node **w, **dw; /* sums so far */
    gen_node *loss;
} parts;

static void find_weights(gen_graph *g, parts *p)
{
    int32_t total = gen_graph_params(g);
    p->w = gen_arena_alloc(gen_graph_arena(g), (size_t)total * sizeof(gen_node *));
    p->dw = gen_arena_alloc(gen_graph_arena(g), 2 * (size_t)total * sizeof(gen_node *));
    for (int32_t i = 0; p->w && p->dw && i < total; i++) {
        gen_param_spec spec;
        const gen_node *param = gen_graph_param(g, i, &spec);
        if (!spec.state && !strncmp(param->name, "g_", 2)) p->w[p->n++] = gen_graph_param_newest(g, i);
    }
    if (!p->w || !p->dw) gen_graph_fail(g, GEN_NO_MEMORY, "no memory for gradients");
}

/* The first part goes through both generators, so that all weights are known. */
static void add_part(gen_graph *g, parts *p, gen_node *loss)
{
    bool first = !p->loss;
    if (first) find_weights(g, p);
    p->loss = first ? loss : gen_add(g, p->loss, loss);
    if (gen_graph_check(g, NULL) != GEN_OK) return;
    gen_node **dw = p->dw + p->n;
    gen_loss_gradient(g, loss, p->n, p->w, first ? p->dw : dw);
    for (int32_t i = 0; !first && i < p->n; i++)
        if (!gen_node_is_fill(dw[i])) p->dw[i] = gen_node_is_fill(p->dw[i]) ? dw[i] : gen_add(g, p->dw[i], dw[i]);
}

/* A number with these gradients: sum_i <dw_i, w_i>, the dw held fast. Nobody asks for its value, so only they are computed. */
static gen_node *with_gradients(gen_graph *g, const parts *p)
{
    gen_node *sum = gen_scalar(g, 0);
    for (int32_t i = 0; i < p->n; i++)
        sum = gen_add(g, sum, gen_sum_all(g, gen_mul(g, gen_stop(g, p->dw[i]), p->w[i])));
    return sum;
}

/* One way: the translation, judged, and back again */
static void add_way(gen_graph *g, const cyclegan_options *o, step *s, parts *p, bool to_b)
{
    gen_node *from = to_b ? s->a : s->b, **fake = to_b ? &s->fake_b : &s->fake_a;
    if (!*fake) *fake = generator(g, o, to_b ? "g_ab" : "g_ba", from);
    gen_node *cycle = mean_abs(g, generator(g, o, to_b ? "g_ba" : "g_ab", *fake), from);
    gen_node *adversarial = judged(g, discriminator(g, o, to_b ? "d_b" : "d_a", *fake), 1);
    s->cycle = s->cycle ? gen_add(g, s->cycle, cycle) : cycle;
    add_part(g, p, gen_add(g, adversarial, gen_scale(g, cycle, o->cycle)));
}

static void add_identity(gen_graph *g, const cyclegan_options *o, step *s, parts *p, bool to_b)
{
    gen_node *x = to_b ? s->b : s->a, *identity = mean_abs(g, generator(g, o, to_b ? "g_ab" : "g_ba", x), x);
    s->identity = s->identity ? gen_add(g, s->identity, identity) : identity;
    add_part(g, p, gen_scale(g, identity, o->identity));
}

static gen_node *update_generators(gen_graph *g, const gen_model_context *m, step *s)
{
    const cyclegan_options *o = options_of(m);
    parts p = { 0 };
    for (int to_b = 1; to_b >= 0; to_b--) add_way(g, o, s, &p, to_b);
    for (int to_b = 1; to_b >= 0 && o->identity != 0; to_b--) add_identity(g, o, s, &p, to_b);
    gen_optim_minimise(g, with_gradients(g, &p), "g_", &m->optim);
    return p.loss;
}

static gen_node *update_discriminators(gen_graph *g, const gen_model_context *m, const step *s)
{
    const cyclegan_options *o = options_of(m);
    gen_node *seen_a = pooled(g, o, "pool_a", s->fake_a), *seen_b = pooled(g, o, "pool_b", s->fake_b);
    gen_node *of_a =
        gen_add(g, judged(g, discriminator(g, o, "d_a", s->a), 1), judged(g, discriminator(g, o, "d_a", seen_a), 0));
    gen_node *of_b =
        gen_add(g, judged(g, discriminator(g, o, "d_b", s->b), 1), judged(g, discriminator(g, o, "d_b", seen_b), 0));
    gen_node *loss = gen_scale(g, gen_add(g, of_a, of_b), o->d_weight);
    gen_optim_minimise(g, loss, "d_", &m->optim);
    return loss;
}

/* ---- graphs ------------------------------------------------------------------------------------------------------------------------------------ */

static void train(gen_graph *g, const gen_model_context *m)
{
    const cyclegan_options *o = options_of(m);
    gen_node *x = augmented(g, o, to_signed(g, input_pictures(g, m, 2 * m->batch)));
    step s = { .a = gen_slice(g, x, 0, 0, m->batch), .b = gen_slice(g, x, 0, m->batch, m->batch) };
    gen_node *g_loss, *d_loss;
    if (!strcmp(o->order, "discriminators-first")) {
        s.fake_b = generator(g, o, "g_ab", s.a);
        s.fake_a = generator(g, o, "g_ba", s.b);
        d_loss = update_discriminators(g, m, &s);
        g_loss = update_generators(g, m, &s);
    } else {
        g_loss = update_generators(g, m, &s);
        d_loss = update_discriminators(g, m, &s);
    }
    gen_output(g, "loss", g_loss);
    gen_output(g, "discriminators", d_loss);
    gen_output(g, "cycle", gen_scale(g, s.cycle, 0.5)); /* mean of both ways, of the [-1,1] range */
    if (o->identity != 0) gen_output(g, "identity", gen_scale(g, s.identity, 0.5));
}

/* the middle square that training crops at random */
static gen_node *middle(gen_graph *g, gen_node *x, int64_t crop)
{
    if (!crop) return x;
    x = gen_slice(g, x, 1, (x->shape.dim[1] - crop) / 2, crop);
    return gen_slice(g, x, 2, (x->shape.dim[2] - crop) / 2, crop);
}

/* original, translated, reconstructed, identity: of A, then of B */
static void panel(gen_graph *g, const gen_model_context *m)
{
    static const char *const there[] = { "g_ab", "g_ba" };
    const cyclegan_options *o = options_of(m);
    gen_node *x = middle(g, to_signed(g, input_pictures(g, m, 2)), o->crop), *row[8];
    for (int side = 0; side < 2; side++) {
        gen_node **to = row + 4 * side;
        to[0] = gen_slice(g, x, 0, side, 1);
        to[1] = generator(g, o, there[side], to[0]);
        to[2] = generator(g, o, there[1 - side], to[1]);
        to[3] = generator(g, o, there[1 - side], to[0]);
    }
    gen_output(g, "panel", to_unit(g, gen_concat(g, 8, row, 0)));
}

static void round_trip(gen_graph *g, const gen_model_context *m)
{
    const cyclegan_options *o = options_of(m);
    const char *there = m->direction ? "g_ba" : "g_ab", *back = m->direction ? "g_ab" : "g_ba";
    gen_node *x = middle(g, to_signed(g, input_pictures(g, m, m->batch)), o->crop), *y = generator(g, o, there, x);
    gen_output(g, "cycle", gen_image_mean(g, gen_abs(g, gen_sub(g, generator(g, o, back, y), x))));
    gen_output(g, "identity", gen_image_mean(g, gen_abs(g, gen_sub(g, generator(g, o, back, x), x))));
    gen_output(g, "from", to_unit(g, x));
    gen_output(g, "made", to_unit(g, y));
}

static void translate(gen_graph *g, const gen_model_context *m)
{
    gen_node *x = to_signed(g, input_pictures(g, m, m->batch));
    gen_output(g, "y", to_unit(g, generator(g, options_of(m), m->direction ? "g_ba" : "g_ab", x)));
}

/* Of net resnet; net unet's layers skip to others, and a residual's last to the picture. Halving and doubling see one more place on one side. */
static int32_t stages(const gen_model_context *m, gen_stage *stage)
{
    const cyclegan_options *o = options_of(m);
    int32_t n = resnet_stages(o), grown = n - 3;
    if (!strcmp(o->net, "unet") || o->residual || n > GEN_MAX_STAGES) return 0;
    bool nearest = !strcmp(o->up, "nearest");
    for (int32_t i = 0; i < n; i++) {
        int32_t level = i < FIRST_BLOCK ? i : i < grown ? 2 : i == grown ? 1 : 0; /* of halvings, in the result */
        stage[i] = (gen_stage){ .end = resnet_end(o, i), .stride_out = 1 << level, .before = 1, .after = 1 };
        stage[i].stride_in = i ? stage[i - 1].stride_out : 1;
        stage[i].channels_in = i ? o->ngf * stage[i].stride_in : m->channels;
        if (i == 0 || i == n - 1) stage[i].before = stage[i].after = 3;
        else if (i < FIRST_BLOCK) stage[i].after = 0;
        else if (i >= grown && !nearest) stage[i].before = 0;
    }
    return n;
}

static gen_node *stage_of(gen_graph *g, const gen_model_context *m, int32_t i, gen_node *x)
{
    const cyclegan_options *o = options_of(m);
    gen_node *y = resnet_stage(g, o, m->direction ? "g_ba" : "g_ab", m->channels, i, i ? x : to_signed(g, x));
    return resnet_end(o, i) == GEN_STAGE_OUT ? to_unit(g, y) : y;
}

static bool any_size(const gen_model_context *m)
{
    (void)m;
    return true;
}

/* What the net divides sides by */
static int64_t whole(const gen_model_context *m)
{
    return !strcmp(options_of(m)->net, "unet") ? 16 : 4;
}

static int64_t batches(const gen_model_context *m)
{
    (void)m;
    return 2;
}

static gen_status check(const gen_model_context *m, gen_error *err)
{
    const cyclegan_options *o = options_of(m);
    int64_t h = o->crop ? o->crop : m->height, w = o->crop ? o->crop : m->width, unit = whole(m);
    if (o->crop > m->height || o->crop > m->width)
        return gen_fail(err, GEN_BAD_OPTION,
                        "--crop %lld is larger than the pictures, %lldx%lld; --size makes them larger",
                        (long long)o->crop, (long long)m->height, (long long)m->width);
    if (h % unit || w % unit || h < 32 || w < 32)
        return gen_fail(
            err, GEN_BAD_SHAPE,
            "net %s trains on pictures whose sides are multiples of %lld and at least 32, not on %lldx%lld: "
            "choose --size or --crop",
            o->net, (long long)unit, (long long)h, (long long)w);
    return GEN_OK;
}

const gen_model gen_model_cyclegan = {
    .name = "cyclegan",
    .summary = "unpaired translation between two sets of pictures",
    .paper = "Zhu et al. 2017, arXiv:1703.10593",
    .options = options,
    .options_bytes = sizeof(cyclegan_options),
    .presets = presets,
    .defaults = "batch=1 lr=2e-4 beta1=0.5 epochs=200 schedule=linear decay-start=0.5 size=128 channels=3",
    .data = "",
    .check = check,
    .train = train,
    .round_trip = round_trip,
    .panel = panel,
    .translate = translate,
    .any_size = any_size,
    .whole = whole,
    .stages = stages,
    .stage = stage_of,
    .batches = batches,
    .paired = true,
};
