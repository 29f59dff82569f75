/* Losses of style transfer (Gatys et al. 2016). F[P,C] are the features of a layer at its P = h w places, G = F^T F / norm.
 *
 *   content   mean (F - F')^2                      style   mean over C^2 of (G - G')^2
 *   style, w2 (Heitz et al. 2021's and Mroueh 2019's view of a layer as a Gaussian; 2-Wasserstein distance):
 *             mean (mu - mu')^2 + mean diag(S + S' - 2 (S'^1/2 S S'^1/2)^1/2),   S = F^T F / P - mu mu^T + 1e-4 I
 *
 * relative divides by mean F'^2, by mean G'^2, by mean mu'^2 + mean diag S'.
 */
#include "models/style_loss.h"

#include "core/autodiff.h"

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

/* count: places, each as much as its mask says; NULL: all h w of them */
static statistics normalised(gen_graph *g, const gen_style_loss *l, gen_node *gram, gen_node *total, double places,
                             gen_node *count)
{
    double channels = l->gram == GEN_GRAM_CHW && !l->w2 ? (double)gram->shape.dim[1] : 1;
    bool divide = l->w2 || l->gram != GEN_GRAM_NONE;
    if (count)
        return (statistics){ divide ? gen_div(g, gram, gen_scale(g, count, channels)) : gram,
                             gen_div(g, total, count) };
    return (statistics){ divide ? gen_scale(g, gram, 1 / (places * channels)) : gram, gen_scale(g, total, 1 / places) };
}

/* [1,h,w,C] -> [h w,C] */
static gen_node *places_of(gen_graph *g, gen_node *features)
{
    int64_t c = features->shape.dim[3], places = features->shape.dim[1] * features->shape.dim[2];
    return gen_reshape(g, features, GEN_SHAPE(places, c));
}

static statistics measure(gen_graph *g, const gen_style_loss *l, gen_node *features, gen_node *mask)
{
    gen_node *f = places_of(g, features);
    gen_node *sum = half_gradient_gram(g, f, mask), *total = gen_sum(g, mask ? gen_mul(g, f, mask) : f, GEN_AXIS(0));
    gen_node *count = mask ? gen_affine(g, gen_sum_all(g, mask), 1, GEN_STYLE_MASK_EPS) : NULL;
    return normalised(g, l, sum, total, (double)f->shape.dim[0], count);
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

/* Sums over the differences that belong to the rows, and by how many the whole picture has them divided. */
static gen_node *nine_point(gen_graph *g, gen_node *x, gen_style_rows rows)
{
    gen_node *p = gen_pad(g, x, GEN_PAD_REPLICATE, rows.top, 1, rows.bottom, 1);
    int64_t h = p->shape.dim[1] - 1, w = p->shape.dim[2] - 1; /* one border less than the padded picture has */
    double n = (double)((rows.height + 1) * w * 3);
    gen_node *right = gen_sum_all(g, gen_square(g, difference(g, p, 1, 1, 1, 0, h, w)));
    gen_node *below = gen_sum_all(g, gen_square(g, difference(g, p, 1, 1, 0, 1, h, w)));
    gen_node *falling = gen_sum_all(g, gen_square(g, difference(g, p, 1, 1, 0, 0, h, w)));
    gen_node *rising = gen_sum_all(g, gen_square(g, difference(g, p, 1, 0, 0, 1, h, w)));
    return gen_add(g, gen_scale(g, gen_add(g, right, below), 2.0 / 3 / n),
                   gen_scale(g, gen_add(g, falling, rising), 2.0 / 12 / n));
}

/* neural-style's: the last row and column have no differences of their own */
static gen_node *half_squares(gen_graph *g, gen_node *x)
{
    int64_t h = x->shape.dim[1] - 1, w = x->shape.dim[2] - 1;
    gen_node *right = gen_sum_all(g, gen_square(g, difference(g, x, 0, 1, 0, 0, h, w)));
    gen_node *below = gen_sum_all(g, gen_square(g, difference(g, x, 1, 0, 0, 0, h, w)));
    return gen_scale(g, gen_add(g, right, below), 0.5);
}

gen_node *gen_style_variation(gen_graph *g, const gen_style_loss *l, gen_node *rgb, gen_style_rows rows)
{
    int64_t h = rgb->shape.dim[1], w = rgb->shape.dim[2], first = rows.top ? 0 : 1;
    gen_node *x = gen_scale(g, rgb, l->range);
    if (l->tv == GEN_TV_NINE) return gen_scale(g, nine_point(g, x, rows), l->tv_weight);
    if (l->tv == GEN_TV_L2) return gen_scale(g, half_squares(g, x), l->tv_weight);
    gen_node *right = gen_sum_all(g, gen_abs(g, difference(g, x, first, 1, first, 0, h - first, w - 1))),
             *below = gen_sum_all(g, gen_abs(g, difference(g, x, 1, 0, 0, 0, h - 1, w)));
    bool mean = l->tv == GEN_TV_L1_MEAN;
    double n_right = mean ? (double)(rows.height * (w - 1) * 3) : 1,
           n_below = mean ? (double)((rows.height - 1) * w * 3) : 1;
    return gen_scale(g, gen_add(g, gen_scale(g, right, 1 / n_right), gen_scale(g, below, 1 / n_below)), l->tv_weight);
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

/* inputs of a target and a layer: "style0.relu1_1" */
static gen_node *input_of(gen_graph *g, const char *what, int32_t target, const char *layer, gen_shape shape)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%d.%s", what, target, layer);
    return gen_input(g, name, shape);
}

static void output_of(gen_graph *g, const char *what, int32_t target, const char *layer, gen_node *value)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%d.%s", what, target, layer);
    gen_output(g, name, value);
}

/* How far our statistics are from those that the target's input holds. */
static gen_node *style_distance(gen_graph *g, const gen_style_loss *l, const char *layer, statistics ours,
                                int32_t target)
{
    int64_t c = ours.gram->shape.dim[1];
    gen_node *theirs = input_of(g, "style", target, layer, GEN_SHAPE(c + 1, c));
    statistics t = { gen_slice(g, theirs, 0, 0, c), gen_slice(g, theirs, 0, c, 1) };
    return l->w2 ? wasserstein(g, l, ours, t) : squared(g, l, ours.gram, t.gram);
}

static gen_node *mask_input(gen_graph *g, int32_t target, const char *layer, const gen_node *features)
{
    return input_of(g, "mask", target, layer, GEN_SHAPE(features->shape.dim[1] * features->shape.dim[2], 1));
}

static double style_weight(const gen_style_loss *l, int32_t i)
{
    return l->style_weight * l->style[i].weight / l->n_targets;
}

static gen_node *style_loss(gen_graph *g, const gen_style_loss *l, gen_node *const *taps)
{
    gen_node *sum = NULL;
    for (int32_t k = 0; k < l->n_targets; k++)
        for (int32_t i = 0; i < l->n_style; i++) {
            gen_node *mask = l->masked ? mask_input(g, k, l->style[i].name, taps[i]) : NULL;
            statistics ours = measure(g, l, taps[i], mask);
            sum = add(g, sum, style_distance(g, l, l->style[i].name, ours, k), style_weight(l, i));
        }
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
    gen_style_rows all = { true, true, rgb->shape.dim[1] };
    p.tv = l->tv_weight != 0 ? gen_style_variation(g, l, rgb, all) : gen_scalar(g, 0);
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

/* ---- in parts ------------------------------------------------------------------------------------------------------------------ */

void gen_style_sums_of(gen_graph *g, const gen_style_loss *l, gen_node *rgb)
{
    tapped t = { 0 };
    char name[NAME_BYTES];
    see(g, l, rgb, true, l->n_targets > 0, &t);
    for (int32_t i = 0; i < l->n_content; i++) {
        snprintf(name, sizeof name, "content.%s", l->content[i].name);
        gen_output(g, name, t.taps[i]);
    }
    for (int32_t k = 0; k < l->n_targets; k++)
        for (int32_t i = 0; i < l->n_style; i++) {
            gen_node *features = t.taps[l->n_content + i], *f = places_of(g, features);
            gen_node *masked = gen_mul(g, f, mask_input(g, k, l->style[i].name, features));
            gen_node *rows[2] = { gen_matmul(g, masked, f, true, false), gen_sum(g, masked, GEN_AXIS(0)) };
            output_of(g, "sums", k, l->style[i].name, gen_concat(g, 2, rows, 0));
        }
}

/* Statistics from the inputs that gen_style_sums_of's results were added up to. */
static statistics statistics_of_sums(gen_graph *g, const gen_style_loss *l, int32_t target, const char *layer,
                                     int64_t c, gen_node **sums)
{
    *sums = input_of(g, "sums", target, layer, GEN_SHAPE(c + 1, c));
    gen_node *count = input_of(g, "count", target, layer, GEN_SHAPE(1));
    return normalised(g, l, gen_slice(g, *sums, 0, 0, c), gen_slice(g, *sums, 0, c, 1), 0, count);
}

void gen_style_from_sums(gen_graph *g, const gen_style_loss *l, const int64_t *channels)
{
    char name[NAME_BYTES];
    for (int32_t i = 0; i < l->n_style; i++) {
        gen_node *sums;
        statistics s = statistics_of_sums(g, l, 0, l->style[i].name, channels[i], &sums);
        gen_node *rows[2] = { s.gram, s.mean };
        snprintf(name, sizeof name, "style.%s", l->style[i].name);
        gen_output(g, name, gen_concat(g, 2, rows, 0));
    }
}

void gen_style_slopes_of(gen_graph *g, const gen_style_loss *l, const int64_t *channels)
{
    enum { MOST = GEN_STYLE_MAX_PICTURES * GEN_STYLE_MAX_LAYERS };
    gen_node *sums[MOST] = { NULL }, *slopes[MOST] = { NULL };
    gen_node *loss = NULL;
    int32_t n = 0;
    for (int32_t k = 0; k < l->n_targets; k++)
        for (int32_t i = 0; i < l->n_style; i++) {
            statistics s = statistics_of_sums(g, l, k, l->style[i].name, channels[i], &sums[n++]);
            loss = add(g, loss, style_distance(g, l, l->style[i].name, s, k), style_weight(l, i));
        }
    gen_gradient(g, loss, NULL, n, sums, slopes);
    gen_output(g, "style", loss);
    for (int32_t j = 0; j < n; j++) output_of(g, "slope", j / l->n_style, l->style[j % l->n_style].name, slopes[j]);
}

/* d style / d F = m (F (S + S^T) + s), S and s the slopes in F^T m F and in m^T F, summed over the targets */
static gen_node *style_slope(gen_graph *g, const gen_style_loss *l, int32_t i, gen_node *features)
{
    gen_node *f = places_of(g, features), *sum = NULL;
    int64_t c = f->shape.dim[1];
    for (int32_t k = 0; k < l->n_targets; k++) {
        gen_node *slope = input_of(g, "slope", k, l->style[i].name, GEN_SHAPE(c + 1, c));
        gen_node *s = gen_slice(g, slope, 0, 0, c), *both = gen_add(g, s, gen_transpose(g, s, (int32_t[]){ 1, 0 }));
        gen_node *d = gen_add(g, gen_matmul(g, f, both, false, false), gen_slice(g, slope, 0, c, 1));
        d = gen_mul(g, d, mask_input(g, k, l->style[i].name, features));
        sum = sum ? gen_add(g, sum, d) : d;
    }
    return gen_reshape(g, sum, features->shape);
}

gen_node *gen_style_part_of(gen_graph *g, const gen_style_loss *l, gen_node *rgb, gen_node **content)
{
    tapped t = { 0 };
    char name[NAME_BYTES];
    see(g, l, rgb, true, l->n_targets > 0, &t);
    *content = gen_scalar(g, 0);
    for (int32_t i = 0; i < l->n_content; i++) {
        gen_shape shape = t.taps[i]->shape;
        snprintf(name, sizeof name, "content.%s", l->content[i].name);
        gen_node *off = gen_square(g, gen_sub(g, t.taps[i], gen_input(g, name, shape)));
        snprintf(name, sizeof name, "own.%s", l->content[i].name);
        gen_node *own = gen_input(g, name, GEN_SHAPE(1, shape.dim[1], shape.dim[2], 1));
        *content = gen_add(g, *content, gen_sum_all(g, gen_mul(g, off, own)));
    }
    gen_node *sum = *content;
    for (int32_t i = 0; i < l->n_style && l->n_targets; i++) {
        gen_node *f = t.taps[l->n_content + i];
        sum = gen_add(g, sum, gen_sum_all(g, gen_mul(g, gen_stop(g, style_slope(g, l, i, f)), f)));
    }
    return sum;
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
