/* The U-Net of Ho et al. 2020, arXiv:2006.11239 (appendix B), layer for layer: Wide ResNet blocks whose first conv gets the time added, one head of
 * attention. Levels are named as they are run through: down.0, down.1 …, mid, up.0, up.1 …
 *
 * Deviation: attention's q, k and v are three products and not one that is cut in three, so nothing is copied; their parameters are as many. */
#include "models/unet.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "core/nn.h"

enum { NAME_BYTES = 128, MAX_SKIPS = 256 };

typedef struct builder {
    gen_graph *g;
    const gen_unet *u;
    gen_node *time; /* [N,4 width]: after its SiLU, which every block would take again */
    bool training;
    gen_node *skips[MAX_SKIPS];
    int32_t n_skips, n_down, n_up;
} builder;

typedef struct name {
    char text[NAME_BYTES];
} name;

/* prefix, place and part: "ema.", "down.3", "conv1" -> "ema.down.3.conv1" */
static name named(const builder *b, const char *place, const char *part)
{
    name n;
    snprintf(n.text, sizeof n.text, "%.8s%.64s%s%.32s", b->u->prefix, place, *place ? "." : "", part);
    return n;
}

static name numbered(const char *list, int32_t i)
{
    name n;
    snprintf(n.text, sizeof n.text, "%s.%d", list, i);
    return n;
}

/* ---- layers ------------------------------------------------------------------------------------------------------------ */

static gen_node *conv(builder *b, gen_node *x, const char *place, const char *part, int64_t channels, nn_conv_spec spec)
{
    return nn_conv(b->g, x, named(b, place, part).text, channels, spec);
}

static const nn_conv_spec three = { .kernel = 3, .pad = 1 }, one = { .kernel = 1 },
                          half = { .kernel = 3, .stride = 2, .pad = 1 };

/* A last layer: zero where blocks start as the identity. */
static nn_conv_spec last(const builder *b, nn_conv_spec spec)
{
    if (b->u->zero_init) spec.init = NN_INIT_NORMAL; /* sigma is 0 */
    return spec;
}

static gen_node *norm(builder *b, gen_node *x, const char *place, const char *part)
{
    return nn_group_norm(b->g, x, named(b, place, part).text, b->u->groups, (nn_norm_spec){ 0 });
}

/* x[N,H,W,C] -> [N,H,W,channels]:  h = conv1(silu(norm1 x)) + time;  skip(x) + conv2(dropout(silu(norm2 h))) */
static gen_node *residual(builder *b, gen_node *x, const char *place, int64_t channels)
{
    gen_graph *g = b->g;
    gen_node *h = conv(b, gen_silu(g, norm(b, x, place, "norm1")), place, "conv1", channels, three);
    gen_node *time = nn_dense(g, b->time, named(b, place, "time").text, channels, (nn_dense_spec){ 0 });
    h = gen_add(g, h, gen_reshape(g, time, GEN_SHAPE(time->shape.dim[0], 1, 1, channels)));
    h = gen_silu(g, norm(b, h, place, "norm2"));
    gen_graph_scope(g, named(b, place, "dropout").text);
    if (b->training) h = gen_dropout(g, h, b->u->dropout);
    h = conv(b, h, place, "conv2", channels, last(b, three));
    if (x->shape.dim[3] != channels) x = conv(b, x, place, "skip", channels, one);
    return gen_add(g, x, h);
}

/* x + out(softmax(q k' / sqrt(C)) v), over all places of a picture */
static gen_node *attention(builder *b, gen_node *x, const char *place)
{
    gen_graph *g = b->g;
    int64_t n = x->shape.dim[0], c = x->shape.dim[3], places = x->shape.dim[1] * x->shape.dim[2];
    gen_shape rows = GEN_SHAPE(n, places, c);
    gen_node *h = norm(b, x, place, "norm");
    gen_node *q = gen_reshape(g, conv(b, h, place, "q", c, one), rows);
    gen_node *k = gen_reshape(g, conv(b, h, place, "k", c, one), rows);
    gen_node *v = gen_reshape(g, conv(b, h, place, "v", c, one), rows);
    gen_graph_scope(g, named(b, place, "softmax").text);
    gen_node *scores = gen_matmul(g, gen_scale(g, q, 1 / sqrt((double)c)), k, false, true); /* [N,places,places] */
    gen_node *mixed = gen_matmul(g, gen_softmax(g, scores, GEN_AXIS(2)), v, false, false);
    return gen_add(g, x, conv(b, gen_reshape(g, mixed, x->shape), place, "out", c, last(b, one)));
}

/* ---- time and label ------------------------------------------------------------------------------------------------------- */

/* t[N] -> [N,width]: sines then cosines of t 10000^(-i / (width/2 - 1)) (Vaswani et al. 2017, as Ho et al. 2020 have it) */
static gen_node *waves(gen_graph *g, gen_node *t, int64_t width)
{
    enum { MOST = 1024 };
    float frequency[MOST];
    int64_t n = width / 2 < MOST ? width / 2 : MOST;
    for (int64_t i = 0; i < n; i++) frequency[i] = (float)exp(-log(10000.0) * (double)i / (double)(n > 1 ? n - 1 : 1));
    gen_node *angle =
        gen_mul(g, gen_reshape(g, t, GEN_SHAPE(t->shape.dim[0], 1)), gen_const(g, GEN_SHAPE(1, n), frequency));
    return gen_concat(g, 2, (gen_node *[]){ gen_sin(g, angle), gen_cos(g, angle) }, 1);
}

/* silu of the embedding that every block's "time" layer takes [N,4 width]; a label's is added to the time's */
static gen_node *embedding(builder *b, gen_node *t, gen_node *label)
{
    gen_graph *g = b->g;
    int64_t width = b->u->width;
    gen_node *h = nn_dense(g, waves(g, t, width), named(b, "time", "0").text, 4 * width, (nn_dense_spec){ 0 });
    h = nn_dense(g, gen_silu(g, h), named(b, "time", "2").text, 4 * width, (nn_dense_spec){ 0 });
    if (label) {
        gen_node *table = gen_param(g, named(b, "label", "weight").text, GEN_SHAPE(b->u->classes + 1, 4 * width),
                                    (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = 1 }); /* as torch.nn.Embedding */
        h = gen_add(g, h, gen_gather(g, table, label));
    }
    return gen_silu(g, h);
}

/* ---- the way down and up ---------------------------------------------------------------------------------------------------- */

static bool has_attention(const gen_unet *u, const gen_node *x)
{
    int64_t h = x->shape.dim[1], w = x->shape.dim[2], side = h < w ? h : w;
    for (int32_t i = 0; i < u->n_attention; i++)
        if (u->attention[i] == side) return true;
    return false;
}

static gen_node *block(builder *b, gen_node *x, const char *place, int64_t channels)
{
    x = residual(b, x, place, channels);
    if (!has_attention(b->u, x)) return x;
    name inside;
    snprintf(inside.text, sizeof inside.text, "%.64s.attention", place);
    return attention(b, x, inside.text);
}

static gen_node *push(builder *b, gen_node *x)
{
    if (b->n_skips < MAX_SKIPS) b->skips[b->n_skips++] = x;
    return x;
}

static gen_node *go_down(builder *b, gen_node *x)
{
    const gen_unet *u = b->u;
    for (int32_t level = 0; level < u->n_levels; level++) {
        for (int32_t i = 0; i < u->blocks; i++)
            x = push(b, block(b, x, numbered("down", b->n_down++).text, u->width * u->mult[level]));
        if (level + 1 < u->n_levels)
            x = push(b, conv(b, x, numbered("down", b->n_down++).text, "conv", x->shape.dim[3], half));
    }
    return x;
}

static gen_node *go_up(builder *b, gen_node *x)
{
    const gen_unet *u = b->u;
    for (int32_t level = u->n_levels - 1; level >= 0; level--) {
        for (int32_t i = 0; i <= u->blocks; i++) {
            gen_node *both = gen_concat(b->g, 2, (gen_node *[]){ x, b->skips[--b->n_skips] }, 3);
            x = block(b, both, numbered("up", b->n_up++).text, u->width * u->mult[level]);
        }
        if (level)
            x = conv(b, gen_upsample(b->g, x, 2), numbered("up", b->n_up++).text, "conv", x->shape.dim[3], three);
    }
    return x;
}

static int64_t padding(int64_t n, int32_t n_levels)
{
    int64_t unit = (int64_t)1 << (n_levels - 1);
    return (unit - n % unit) % unit;
}

gen_node *gen_unet_build(gen_graph *g, const gen_unet *u, gen_node *x, gen_node *t, gen_node *label, bool training)
{
    builder b = { .g = g, .u = u, .training = training };
    int64_t h = x->shape.dim[1], w = x->shape.dim[2], c = x->shape.dim[3];
    int64_t below = padding(h, u->n_levels), right = padding(w, u->n_levels);
    b.time = embedding(&b, t, u->classes ? label : NULL);
    if (below || right) x = gen_pad_zero(g, x, 0, 0, (int32_t)below, (int32_t)right);
    x = go_down(&b, push(&b, conv(&b, x, "", "conv_in", u->width, three)));
    x = residual(&b, x, "mid.0", x->shape.dim[3]);
    x = attention(&b, x, "mid.1");
    x = residual(&b, x, "mid.2", x->shape.dim[3]);
    x = go_up(&b, x);
    x = conv(&b, gen_silu(g, norm(&b, x, "", "norm_out")), "", "conv_out", c, last(&b, three));
    if (below) x = gen_slice(g, x, 1, 0, h);
    return right ? gen_slice(g, x, 2, 0, w) : x;
}

gen_status gen_unet_check(const gen_unet *u, int64_t height, int64_t width, gen_error *err)
{
    int64_t side = height < width ? height : width;
    for (int32_t i = 0; i < u->n_levels; i++) {
        int64_t channels = u->width * u->mult[i];
        if (channels % u->groups)
            return gen_fail(err, GEN_BAD_OPTION,
                            "level %d of the U-Net has %" PRId64 " channels, which --groups %d does not divide; give "
                            "a --width that it divides, or fewer --groups",
                            i, channels, u->groups);
    }
    if (u->width % 2) return gen_fail(err, GEN_BAD_OPTION, "--width %" PRId64 ": expected an even number", u->width);
    if (side + padding(side, u->n_levels) < (int64_t)1 << (u->n_levels - 1) || side < 1)
        return gen_fail(err, GEN_BAD_OPTION, "pictures of %" PRId64 "x%" PRId64 " cannot be halved %d times", width,
                        height, u->n_levels - 1);
    if ((2 * u->blocks + 3) * u->n_levels > MAX_SKIPS)
        return gen_fail(err, GEN_BAD_OPTION, "--blocks %d at %d sizes make too many layers", u->blocks, u->n_levels);
    return GEN_OK;
}
