/* Losses of style transfer (Gatys et al. 2016). F[P,C] are the features of a layer at its P = h w places, G = F^T F / norm.
 *
 *   content   mean (F - F')^2                      style   mean over C^2 of (G - G')^2
 *   style, w2 (Heitz et al. 2021's and Mroueh 2019's view of a layer as a Gaussian; 2-Wasserstein distance):
 *             mean (mu - mu')^2 + mean diag(S + S' - 2 (S'^1/2 S S'^1/2)^1/2),   S = F^T F / P - mu mu^T + 1e-4 I
 *
 * relative divides by mean F'^2, by mean G'^2, by mean mu'^2 + mean diag S'.
 */
#include "models/style_loss.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 64, ROOT_ITERATIONS = 12 };

/* ---- a layer's statistics ------------------------------------------------------------------------------------------------------ */

typedef struct statistics {
    gen_node *gram, *mean; /* [C,C], [1,C] */
} statistics;

/* F[P,C]^T F, each place weighted by mask[P,1] (NULL: ones). The left factor passes no gradient and the right one twice its own: since the gradient in
 * a Gram matrix is symmetric this is the same, and one product of three is saved. */
static gen_node *half_gradient_gram(gen_graph *g, gen_node *f, gen_node *mask)
{
    gen_node *left = gen_stop(g, f);
    if (mask) left = gen_mul(g, left, mask);
    gen_node *gram = gen_matmul(g, left, f, true, false);
    return gen_sub(g, gen_scale(g, gram, 2), gen_stop(g, gram));
}

static statistics measure(gen_graph *g, const gen_style_loss *l, gen_node *features, gen_node *mask)
{
    int64_t c = features->shape.dim[3], places = features->shape.dim[1] * features->shape.dim[2];
    gen_node *f = gen_reshape(g, features, GEN_SHAPE(places, c));
    gen_node *sum = half_gradient_gram(g, f, mask), *total = gen_sum(g, mask ? gen_mul(g, f, mask) : f, GEN_AXIS(0));
    double channels = l->gram == GEN_GRAM_CHW && !l->w2 ? (double)c : 1;
    bool divide = l->w2 || l->gram != GEN_GRAM_NONE;
    if (mask) { /* places count as much as the mask is white there */
        gen_node *count = gen_affine(g, gen_sum_all(g, mask), 1, 1e-6);
        return (statistics){ divide ? gen_div(g, sum, gen_scale(g, count, channels)) : sum, gen_div(g, total, count) };
    }
    double n = (double)places;
    return (statistics){ divide ? gen_scale(g, sum, 1 / (n * channels)) : sum, gen_scale(g, total, 1 / n) };
}

/* ---- distances --------------------------------------------------------------------------------------------------------------- */

/* Newton-Schulz (Higham 2008, section 6.7): Y -> A^1/2 and Z -> A^-1/2 of A / |A|. */
gen_node *gen_matrix_root(gen_graph *g, gen_node *a, int32_t iterations)
{
    int64_t n = a->shape.dim[0];
    float *ones = gen_alloc((size_t)(n * n), sizeof *ones);
    if (!ones) return gen_graph_fail(g, GEN_NO_MEMORY, "no memory for a matrix root"), a;
    for (int64_t i = 0; i < n; i++) ones[i * n + i] = 1;
    gen_node *identity = gen_const(g, GEN_SHAPE(n, n), ones);
    gen_free(ones);
    gen_node *norm = gen_sqrt(g, gen_sum_all(g, gen_square(g, a)));
    gen_node *y = gen_div(g, a, norm), *z = identity;
    for (int32_t i = 0; i < iterations; i++) {
        gen_node *zy = gen_matmul(g, z, y, false, false);
        gen_node *t = gen_scale(g, gen_sub(g, gen_scale(g, identity, 3), zy), 0.5);
        y = gen_matmul(g, y, t, false, false);
        if (i + 1 < iterations) z = gen_matmul(g, t, z, false, false);
    }
    return gen_mul(g, y, gen_sqrt(g, norm));
}

static gen_node *identity_times(gen_graph *g, int64_t n, double value)
{
    float *numbers = gen_alloc((size_t)(n * n), sizeof *numbers);
    if (!numbers) return gen_graph_fail(g, GEN_NO_MEMORY, "no memory for a matrix"), gen_scalar(g, 0);
    for (int64_t i = 0; i < n; i++) numbers[i * n + i] = (float)value;
    gen_node *m = gen_const(g, GEN_SHAPE(n, n), numbers);
    gen_free(numbers);
    return m;
}

static gen_node *covariance(gen_graph *g, statistics s)
{
    gen_node *outer = gen_matmul(g, s.mean, s.mean, true, false);
    return gen_add(g, gen_sub(g, s.gram, outer), identity_times(g, s.gram->shape.dim[0], 1e-4));
}

/* mean of the diagonal */
static gen_node *mean_trace(gen_graph *g, gen_node *m)
{
    int64_t n = m->shape.dim[0];
    return gen_sum_all(g, gen_mul(g, m, identity_times(g, n, 1 / (double)n)));
}

static gen_node *wasserstein(gen_graph *g, const gen_style_loss *l, statistics ours, statistics theirs)
{
    gen_node *s = covariance(g, ours), *t = covariance(g, theirs);
    gen_node *root = gen_stop(g, gen_matrix_root(g, t, ROOT_ITERATIONS));
    gen_node *between = gen_matmul(g, gen_matmul(g, root, s, false, false), root, false, false);
    gen_node *middle = gen_matrix_root(g, between, ROOT_ITERATIONS);
    gen_node *spread = mean_trace(g, gen_sub(g, gen_add(g, s, t), gen_scale(g, middle, 2)));
    gen_node *distance = gen_add(g, gen_mse(g, ours.mean, theirs.mean), spread);
    if (!l->relative) return distance;
    gen_node *size = gen_add(g, gen_mean(g, gen_square(g, theirs.mean)), mean_trace(g, t));
    return gen_div(g, distance, size);
}

static gen_node *squared(gen_graph *g, const gen_style_loss *l, gen_node *ours, gen_node *theirs)
{
    gen_node *distance = gen_mse(g, ours, theirs);
    if (!l->relative) return distance;
    return gen_div(g, distance, gen_affine(g, gen_mean(g, gen_square(g, theirs)), 1, 1e-12));
}

/* ---- total variation ----------------------------------------------------------------------------------------------------------- */

static gen_node *cut(gen_graph *g, gen_node *x, int64_t top, int64_t left, int64_t height, int64_t width)
{
    return gen_slice(g, gen_slice(g, x, 1, top, height), 2, left, width);
}

/* x at (dy,dx) minus x at (ey,ex), for all places where both are */
static gen_node *difference(gen_graph *g, gen_node *x, int64_t dy, int64_t dx, int64_t ey, int64_t ex, int64_t height,
                            int64_t width)
{
    return gen_sub(g, cut(g, x, dy, dx, height, width), cut(g, x, ey, ex, height, width));
}

static gen_node *nine_point(gen_graph *g, gen_node *x)
{
    int64_t h = x->shape.dim[1] + 1, w = x->shape.dim[2] + 1; /* one border less than the padded picture has */
    gen_node *p = gen_pad(g, x, GEN_PAD_REPLICATE, 1, 1, 1, 1);
    gen_node *right = gen_mean(g, gen_square(g, difference(g, p, 1, 1, 1, 0, h, w)));
    gen_node *below = gen_mean(g, gen_square(g, difference(g, p, 1, 1, 0, 1, h, w)));
    gen_node *falling = gen_mean(g, gen_square(g, difference(g, p, 1, 1, 0, 0, h, w)));
    gen_node *rising = gen_mean(g, gen_square(g, difference(g, p, 1, 0, 0, 1, h, w)));
    return gen_add(g, gen_scale(g, gen_add(g, right, below), 2.0 / 3),
                   gen_scale(g, gen_add(g, falling, rising), 2.0 / 12));
}

static gen_node *variation(gen_graph *g, const gen_style_loss *l, gen_node *rgb)
{
    int64_t h = rgb->shape.dim[1], w = rgb->shape.dim[2];
    gen_node *x = gen_scale(g, rgb, l->range);
    if (l->tv == GEN_TV_NINE) return nine_point(g, x);
    if (l->tv == GEN_TV_L2) /* neural-style's: the last row and column have no differences of their own */
        return gen_scale(g,
                         gen_add(g, gen_sum_all(g, gen_square(g, difference(g, x, 0, 1, 0, 0, h - 1, w - 1))),
                                 gen_sum_all(g, gen_square(g, difference(g, x, 1, 0, 0, 0, h - 1, w - 1)))),
                         0.5);
    gen_node *right = gen_abs(g, difference(g, x, 0, 1, 0, 0, h, w - 1)),
             *below = gen_abs(g, difference(g, x, 1, 0, 0, 0, h - 1, w));
    if (l->tv == GEN_TV_L1_MEAN) return gen_add(g, gen_mean(g, right), gen_mean(g, below));
    return gen_add(g, gen_sum_all(g, right), gen_sum_all(g, below));
}

/* ---- the sum ------------------------------------------------------------------------------------------------------------------- */

typedef struct tapped {
    const char *names[2 * GEN_STYLE_MAX_LAYERS]; /* content layers, then style layers */
    gen_node *taps[2 * GEN_STYLE_MAX_LAYERS];
} tapped;

static void see(gen_graph *g, const gen_style_loss *l, gen_node *rgb, bool content, bool style, tapped *t)
{
    int32_t n_content = content ? l->n_content : 0, n_style = style ? l->n_style : 0;
    for (int32_t i = 0; i < n_content; i++) t->names[i] = l->content[i].name;
    for (int32_t i = 0; i < n_style; i++) t->names[n_content + i] = l->style[i].name;
    gen_features_build(g, l->net, rgb, &l->features, n_content + n_style, t->names, t->taps);
}

static gen_node *add(gen_graph *g, gen_node *sum, gen_node *term, double weight)
{
    gen_node *weighted = gen_scale(g, term, weight);
    return sum ? gen_add(g, sum, weighted) : weighted;
}

static gen_node *content_loss(gen_graph *g, const gen_style_loss *l, gen_node *const *taps)
{
    gen_node *sum = NULL;
    char name[NAME_BYTES];
    for (int32_t i = 0; i < l->n_content; i++) {
        snprintf(name, sizeof name, "content.%s", l->content[i].name);
        gen_node *target = gen_input(g, name, taps[i]->shape);
        sum = add(g, sum, squared(g, l, taps[i], target), l->content_weight * l->content[i].weight);
    }
    return sum ? sum : gen_scalar(g, 0);
}

static gen_node *style_distance(gen_graph *g, const gen_style_loss *l, const char *layer, gen_node *features,
                                int32_t target)
{
    char name[NAME_BYTES];
    int64_t c = features->shape.dim[3], places = features->shape.dim[1] * features->shape.dim[2];
    snprintf(name, sizeof name, "mask%d.%s", target, layer);
    gen_node *mask = l->masked ? gen_input(g, name, GEN_SHAPE(places, 1)) : NULL;
    snprintf(name, sizeof name, "style%d.%s", target, layer);
    gen_node *theirs = gen_input(g, name, GEN_SHAPE(c + 1, c));
    statistics s = measure(g, l, features, mask);
    statistics t = { gen_slice(g, theirs, 0, 0, c), gen_slice(g, theirs, 0, c, 1) };
    return l->w2 ? wasserstein(g, l, s, t) : squared(g, l, s.gram, t.gram);
}

static gen_node *style_loss(gen_graph *g, const gen_style_loss *l, gen_node *const *taps)
{
    gen_node *sum = NULL;
    for (int32_t k = 0; k < l->n_targets; k++)
        for (int32_t i = 0; i < l->n_style; i++)
            sum = add(g, sum, style_distance(g, l, l->style[i].name, taps[i], k),
                      l->style_weight * l->style[i].weight / l->n_targets);
    return sum ? sum : gen_scalar(g, 0);
}

gen_style_parts gen_style_objective(gen_graph *g, const gen_style_loss *l, gen_node *rgb)
{
    tapped t = { 0 };
    gen_style_parts p;
    bool styled = l->n_targets > 0;
    see(g, l, rgb, true, styled, &t);
    p.content = content_loss(g, l, t.taps);
    p.style = styled ? style_loss(g, l, t.taps + l->n_content) : gen_scalar(g, 0);
    p.tv = l->tv_weight != 0 ? gen_scale(g, variation(g, l, rgb), l->tv_weight) : gen_scalar(g, 0);
    p.loss = gen_add(g, gen_add(g, p.content, p.style), p.tv);
    return p;
}

void gen_style_content_of(gen_graph *g, const gen_style_loss *l, gen_node *rgb)
{
    tapped t = { 0 };
    char name[NAME_BYTES];
    see(g, l, rgb, true, false, &t);
    for (int32_t i = 0; i < l->n_content; i++) {
        snprintf(name, sizeof name, "content.%s", l->content[i].name);
        gen_output(g, name, t.taps[i]);
    }
}

void gen_style_of(gen_graph *g, const gen_style_loss *l, gen_node *rgb)
{
    tapped t = { 0 };
    char name[NAME_BYTES];
    see(g, l, rgb, false, true, &t);
    for (int32_t i = 0; i < l->n_style; i++) {
        statistics s = measure(g, l, t.taps[i], NULL);
        gen_node *rows[2] = { s.gram, s.mean };
        snprintf(name, sizeof name, "style.%s", l->style[i].name);
        gen_output(g, name, gen_concat(g, 2, rows, 0));
    }
}

/* ---- lists of layers --------------------------------------------------------------------------------------------------------------- */

gen_status gen_style_layers_parse(const char *option, const char *text, gen_arena *arena, gen_style_layer *layers,
                                  int32_t *n, gen_error *err)
{
    char *copy = gen_arena_strdup(arena, text), *end;
    if (!copy) return gen_fail(err, GEN_NO_MEMORY, "no memory for %s", option);
    for (*n = 0; *copy; (*n)++) {
        size_t length = strcspn(copy, ",");
        char *next = copy + length + (copy[length] == ','), *colon;
        copy[length] = 0;
        if (*n == GEN_STYLE_MAX_LAYERS)
            return gen_fail(err, GEN_BAD_OPTION, "--%s: at most %d layers", option, GEN_STYLE_MAX_LAYERS);
        layers[*n] = (gen_style_layer){ copy, 1 };
        if ((colon = strchr(copy, ':')) != NULL) {
            *colon = 0;
            layers[*n].weight = strtod(colon + 1, &end);
            if (end == colon + 1 || *end || !(layers[*n].weight >= 0))
                return gen_fail(err, GEN_BAD_OPTION,
                                "--%s: expected layers with weights as relu1_1:1,relu2_1:0.5, found %s:%.20s", option,
                                copy, colon + 1);
        }
        for (int32_t i = 0; i < *n; i++)
            if (!strcmp(layers[i].name, copy))
                return gen_fail(err, GEN_BAD_OPTION, "--%s names %s twice", option, copy);
        copy = next;
    }
    return GEN_OK;
}
