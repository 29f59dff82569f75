/* Normalisation of x[N,..,C] in G groups of C/G neighbouring channels; P pixels between N and C.
 *
 *   mean[n,g], var[n,g] over the pixels and channels of the group;  xhat = (x - mean) / sqrt(var + eps);  y = gamma[c] xhat + beta[c]
 *   with e = gamma dy:   dx = rstd (e - mean(e) - xhat mean(e xhat)),   dgamma[c] = sum dy xhat,   dbeta[c] = sum dy        (Ioffe & Szegedy 2015)
 *
 * batch norm is N = 1, P = all pixels of the batch, G = C; instance norm G = C; layer norm G = 1.
 * norm and its first gradients are ops of their own (two passes over memory each). Second derivatives differentiate the same formulas written in
 * primitive ops, which costs no further kernel.
 */
#include "core/autodiff.h"
#include "core/op/family.h"

static gen_status check_groups(const gen_node *y, gen_error *err)
{
    const gen_shape *x = &y->in[0]->shape;
    int32_t groups = y->attr.groups;
    if (x->rank < 2) return gen_fail(err, GEN_BAD_SHAPE, "x has %d axes, expected at least 2: [N,..,C]", x->rank);
    if (groups < 1 || x->dim[x->rank - 1] % groups)
        return gen_fail(err, GEN_BAD_SHAPE, "%lld channels do not divide into %d groups",
                        (long long)x->dim[x->rank - 1], groups);
    return GEN_OK;
}

static gen_status check_inputs(const gen_node *y, gen_error *err)
{
    GEN_TRY(check_groups(y, err));
    const gen_shape *x = &y->in[0]->shape, stats = GEN_SHAPE(x->dim[0], 2, y->attr.groups);
    if (!gen_shape_equal(&y->in[1]->shape, &stats))
        return gen_fail(err, GEN_BAD_SHAPE, "statistics must be [N,2,groups]");
    return GEN_OK;
}

static gen_status check_channels(const gen_node *y, int32_t i, const char *what, gen_error *err)
{
    const gen_shape *x = &y->in[0]->shape, c = GEN_SHAPE(x->dim[x->rank - 1]);
    return gen_shape_equal(&y->in[i]->shape, &c)
               ? GEN_OK
               : gen_fail(err, GEN_BAD_SHAPE, "%s must have one number a channel", what);
}

gen_status infer_norm_stats(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(check_groups(y, err));
    *out = GEN_SHAPE(y->in[0]->shape.dim[0], 2, y->attr.groups);
    return GEN_OK;
}

gen_status infer_norm(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(check_inputs(y, err));
    GEN_TRY(check_channels(y, 2, "gamma", err));
    GEN_TRY(check_channels(y, 3, "beta", err));
    *out = y->in[0]->shape;
    return GEN_OK;
}

gen_status infer_norm_dx(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(check_inputs(y, err));
    GEN_TRY(check_channels(y, 2, "gamma", err));
    if (!gen_shape_equal(&y->in[0]->shape, &y->in[3]->shape))
        return gen_fail(err, GEN_BAD_SHAPE, "dy must have the shape of x");
    *out = y->in[0]->shape;
    return GEN_OK;
}

gen_status infer_norm_dp(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(check_inputs(y, err));
    const gen_shape *x = &y->in[0]->shape;
    if (!gen_shape_equal(x, &y->in[2]->shape)) return gen_fail(err, GEN_BAD_SHAPE, "dy must have the shape of x");
    *out = GEN_SHAPE(2, x->dim[x->rank - 1]);
    return GEN_OK;
}

/* ---- builders ------------------------------------------------------------------------------------------------------ */

static gen_node *norm_stats(gen_graph *g, gen_node *x, int32_t groups, double eps)
{
    return gen_node_new(g, GEN_OP_NORM_STATS, 1, &x, &(gen_attr){ .groups = groups, .a = eps });
}

static gen_node *norm(gen_graph *g, gen_node *x, gen_node *stats, gen_node *gamma, gen_node *beta, int32_t groups)
{
    return gen_node_new(g, GEN_OP_NORM, 4, (gen_node *[]){ x, stats, gamma, beta }, &(gen_attr){ .groups = groups });
}

static int64_t channels_of(const gen_node *x)
{
    return x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 1;
}

gen_node *gen_group_norm(gen_graph *g, gen_node *x, gen_node *gamma, gen_node *beta, int32_t groups, double eps)
{
    return norm(g, x, norm_stats(g, x, groups, eps), gamma, beta, groups);
}

/* x as one sample of all its pixels: [1, P, C] */
static gen_node *as_one_sample(gen_graph *g, gen_node *x)
{
    int64_t c = channels_of(x);
    return gen_reshape(g, x, GEN_SHAPE(1, gen_shape_count(&x->shape) / c, c));
}

gen_node *gen_batch_norm(gen_graph *g, gen_node *x, gen_node *gamma, gen_node *beta, double eps, gen_node **stats)
{
    gen_node *flat = as_one_sample(g, x);
    int32_t c = (int32_t)channels_of(x);
    gen_node *s = norm_stats(g, flat, c, eps);
    if (stats) *stats = s;
    return gen_reshape(g, norm(g, flat, s, gamma, beta, c), x->shape);
}

gen_node *gen_fixed_norm(gen_graph *g, gen_node *x, gen_node *gamma, gen_node *beta, gen_node *mean, gen_node *var,
                         double eps)
{
    int64_t c = channels_of(x);
    gen_node *rstd = gen_rsqrt(g, gen_affine(g, var, 1, eps));
    gen_node *rows[2] = { gen_reshape(g, mean, GEN_SHAPE(1, 1, c)), gen_reshape(g, rstd, GEN_SHAPE(1, 1, c)) };
    gen_node *y = norm(g, as_one_sample(g, x), gen_concat(g, 2, rows, 1), gamma, beta, (int32_t)c);
    return gen_reshape(g, y, x->shape);
}

gen_node *gen_layer_norm(gen_graph *g, gen_node *x, gen_node *gamma, gen_node *beta, double eps)
{
    int64_t c = channels_of(x);
    gen_node *rows = gen_reshape(g, x, GEN_SHAPE(gen_shape_count(&x->shape) / c, 1, c)); /* every row a sample */
    return gen_reshape(g, gen_group_norm(g, rows, gamma, beta, 1, eps), x->shape);
}

/* ---- the same in primitive ops --------------------------------------------------------------------------------------- */

/* A derivative here is partial: dy may itself depend on x (tanh after a norm, differentiated twice), and that path belongs to whoever made dy. So the
 * formulas are written on fresh views of the inputs, and differentiated in those. gen_reshape would look through a view, and a sum
 * over axes of size 1 is no node at all; so what leaves the formulas is a fresh view too. */
static gen_node *fresh_view(gen_graph *g, gen_node *x, gen_shape shape)
{
    return gen_node_new(g, GEN_OP_RESHAPE, 1, &x, &(gen_attr){ .shape = shape });
}

/* x as [N, P, G, C/G]; a group is axes 1 and 3 */
static const uint32_t group_axes = GEN_AXIS(1) | GEN_AXIS(3);

static gen_node *split_groups(gen_graph *g, gen_node *x, int32_t groups)
{
    int64_t n = x->shape.dim[0], c = channels_of(x), p = gen_shape_count(&x->shape) / (n * c);
    return fresh_view(g, x, GEN_SHAPE(n, p, groups, c / groups));
}

static gen_node *channel_vector(gen_graph *g, gen_node *v, int32_t groups)
{
    return fresh_view(g, v, GEN_SHAPE(groups, gen_shape_count(&v->shape) / groups));
}

typedef struct primitive_norm {
    gen_node *x, *stats;          /* fresh views, [N,P,G,C/G] and [N,2,G] */
    gen_node *mean, *rstd, *xhat; /* [N,1,G,1], [N,1,G,1], [N,P,G,C/G] */
} primitive_norm;

/* Statistics that came from norm_stats(x) are functions of x; others are given numbers. */
static primitive_norm primitive(gen_graph *g, gen_node *x, gen_node *stats, int32_t groups)
{
    primitive_norm p = { .x = split_groups(g, x, groups), .stats = fresh_view(g, stats, stats->shape) };
    if (stats->op == GEN_OP_NORM_STATS && stats->in[0] == x) {
        p.mean = gen_mean_of(g, p.x, group_axes);
        gen_node *var = gen_mean_of(g, gen_square(g, gen_sub(g, p.x, p.mean)), group_axes);
        p.rstd = gen_rsqrt(g, gen_affine(g, var, 1, stats->attr.a));
    } else {
        gen_shape shape = GEN_SHAPE(x->shape.dim[0], 1, groups, 1);
        p.mean = gen_reshape(g, gen_slice(g, p.stats, 1, 0, 1), shape);
        p.rstd = gen_reshape(g, gen_slice(g, p.stats, 1, 1, 1), shape);
    }
    p.xhat = gen_mul(g, gen_sub(g, p.x, p.mean), p.rstd);
    return p;
}

/* dx[which[i]] = derivative of y in view[i], in the shape of that input */
static void differentiate(gen_graph *g, gen_node *node, gen_node *y, gen_node *seed, int32_t n, gen_node *const *view,
                          const int32_t *which, gen_node *dx[])
{
    gen_node *out[4];
    gen_gradient(g, y, gen_reshape(g, seed, y->shape), n, view, out);
    for (int32_t i = 0; i < n; i++) dx[which[i]] = gen_reshape(g, out[i], node->in[which[i]]->shape);
}

/* ---- gradients ----------------------------------------------------------------------------------------------------- */

void grad_norm_stats(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (!want[0]) return;
    gen_node *x = y->in[0];
    primitive_norm p = primitive(g, x, y, y->attr.groups);
    gen_shape row = GEN_SHAPE(x->shape.dim[0], 1, y->attr.groups);
    gen_node *rows[2] = { fresh_view(g, p.mean, row), fresh_view(g, p.rstd, row) };
    differentiate(g, y, gen_concat(g, 2, rows, 1), dy, 1, &p.x, (int32_t[]){ 0 }, dx);
}

void grad_norm(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    gen_node *x = y->in[0], *stats = y->in[1], *gamma = y->in[2];
    int32_t groups = y->attr.groups;
    bool own_stats = stats->op == GEN_OP_NORM_STATS && stats->in[0] == x;
    if (own_stats && want[0]) {
        dx[0] =
            gen_node_new(g, GEN_OP_NORM_DX, 4, (gen_node *[]){ x, stats, gamma, dy }, &(gen_attr){ .groups = groups });
    } else if (want[0] || want[1]) { /* given statistics */
        primitive_norm p = primitive(g, x, stats, groups);
        gen_node *body = gen_mul(g, p.xhat, channel_vector(g, gamma, groups));
        differentiate(g, y, body, dy, 2, (gen_node *[]){ p.x, p.stats }, (int32_t[]){ 0, 1 }, dx);
    }
    if (!want[2] && !want[3]) return;
    gen_node *dp = gen_node_new(g, GEN_OP_NORM_DP, 3, (gen_node *[]){ x, stats, dy }, &(gen_attr){ .groups = groups });
    for (int32_t i = 0; i < 2; i++)
        if (want[2 + i]) dx[2 + i] = gen_reshape(g, gen_slice(g, dp, 0, i, 1), y->in[2 + i]->shape);
}

/* in: x stats gamma dy; the statistics count as a function of x */
void grad_norm_dx(gen_graph *g, gen_node *y, gen_node *du, gen_node *dx[], const bool want[])
{
    (void)want;
    gen_node *x = y->in[0];
    int32_t groups = y->attr.groups;
    primitive_norm p = primitive(g, x, y->in[1], groups);
    gen_node *gamma = channel_vector(g, y->in[2], groups), *dy = split_groups(g, y->in[3], groups);
    gen_node *e = gen_mul(g, dy, gamma);
    gen_node *pull = gen_mul(g, p.xhat, gen_mean_of(g, gen_mul(g, e, p.xhat), group_axes));
    gen_node *body = gen_mul(g, p.rstd, gen_sub(g, gen_sub(g, e, gen_mean_of(g, e, group_axes)), pull));
    differentiate(g, y, body, du, 3, (gen_node *[]){ p.x, gamma, dy }, (int32_t[]){ 0, 2, 3 }, dx);
}

/* in: x stats dy; given statistics get a derivative, norm_stats(x) already count as a function of x */
void grad_norm_dp(gen_graph *g, gen_node *y, gen_node *du, gen_node *dx[], const bool want[])
{
    (void)want;
    gen_node *x = y->in[0];
    int32_t groups = y->attr.groups;
    int64_t c = channels_of(x);
    primitive_norm p = primitive(g, x, y->in[1], groups);
    gen_node *dy = split_groups(g, y->in[2], groups);
    uint32_t pixels = GEN_AXIS(0) | GEN_AXIS(1);
    gen_node *rows[2] = { fresh_view(g, gen_sum(g, gen_mul(g, dy, p.xhat), pixels), GEN_SHAPE(1, c)),
                          fresh_view(g, gen_sum(g, dy, pixels), GEN_SHAPE(1, c)) };
    differentiate(g, y, gen_concat(g, 2, rows, 0), du, 3, (gen_node *[]){ p.x, p.stats, dy }, (int32_t[]){ 0, 1, 2 },
                  dx);
}
