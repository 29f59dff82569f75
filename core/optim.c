/* Update rules. PyTorch's formulas, so that the same gradients give the same steps:
 *
 *   Adam     m += (1-b1)(g - m);  v = b2 v + (1-b2) g^2;  p -= lr/(1-b1^t) m / (sqrt(v)/sqrt(1-b2^t) + eps)      (Kingma & Ba 2015, Algorithm 1)
 *   AdamW    p (1 - lr wd) first, then as Adam                                                                    (Loshchilov & Hutter 2019)
 *   RMSprop  v = rho v + (1-rho) g^2;  p -= lr g / (sqrt(v) + eps)
 *   SGD      m = mu m + g;  p -= lr m
 */
#include "core/optim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/autodiff.h"

enum { NAME_BYTES = 192, MAX_PARAMS = 2048 };

typedef struct updater {
    gen_graph *g;
    gen_optim_options o;
    gen_node *t;   /* updates done before this one */
    gen_node *due; /* 1 in the run that makes the update, 0 in those that only gather gradients; NULL: each makes one */
    gen_node *lr, *alpha; /* alpha: lr / (1 - b1^t) */
    gen_node *root;       /* 1 / sqrt(1 - b2^t) */
    gen_node *scale;      /* of gradients, by clipping; NULL: 1 */
    gen_node *ema_rate;   /* 1 - decay */
} updater;

/* One parameter of the group. */
typedef struct member {
    gen_param_spec spec;
    const char *name;
    gen_node *param; /* what it holds before this update */
} member;

/* What is kept for the next run: value, once the update is due. */
static void keep(updater *u, gen_node *state, gen_node *value)
{
    gen_assign(u->g, state, u->due ? gen_select(u->g, u->due, value, state) : value);
}

/* A state tensor of the same shape, "optim.<what>.<name>" or "ema.<name>"; its layout stays the parameter's, since checkpoints permute both alike. */
static gen_node *state_like(updater *u, const char *what, const member *p)
{
    char name[NAME_BYTES];
    gen_param_spec spec = p->spec;
    snprintf(name, sizeof name, "%s.%s", what, p->name);
    spec.init = GEN_INIT_ZERO;
    spec.a = 0;
    spec.state = spec.counter = true;
    return gen_param(u->g, name, p->param->shape, spec);
}

/* a + r (b - a) */
static gen_node *mix(gen_graph *g, gen_node *a, gen_node *b, double r)
{
    return gen_add(g, a, gen_scale(g, gen_sub(g, b, a), r));
}

static gen_node *adam_direction(updater *u, const member *p, gen_node *grad)
{
    gen_graph *g = u->g;
    gen_node *m = state_like(u, "optim.m", p), *v = state_like(u, "optim.v", p);
    gen_node *m2 = mix(g, m, grad, 1 - u->o.beta1);
    gen_node *v2 = gen_add(g, gen_scale(g, v, u->o.beta2), gen_scale(g, gen_square(g, grad), 1 - u->o.beta2));
    keep(u, m, m2);
    keep(u, v, v2);
    gen_node *root = gen_affine(g, gen_mul(g, gen_sqrt(g, v2), u->root), 1, u->o.eps);
    return gen_mul(g, u->alpha, gen_div(g, m2, root));
}

static gen_node *rmsprop_direction(updater *u, const member *p, gen_node *grad)
{
    gen_graph *g = u->g;
    gen_node *v = state_like(u, "optim.v", p);
    gen_node *v2 = gen_add(g, gen_scale(g, v, u->o.rho), gen_scale(g, gen_square(g, grad), 1 - u->o.rho));
    keep(u, v, v2);
    return gen_mul(g, u->lr, gen_div(g, grad, gen_affine(g, gen_sqrt(g, v2), 1, u->o.eps)));
}

static gen_node *sgd_direction(updater *u, const member *p, gen_node *grad)
{
    if (u->o.momentum == 0) return gen_mul(u->g, u->lr, grad);
    gen_node *m = state_like(u, "optim.m", p);
    gen_node *m2 = gen_add(u->g, gen_scale(u->g, m, u->o.momentum), grad);
    keep(u, m, m2);
    return gen_mul(u->g, u->lr, m2);
}

/* The average starts as the parameter's own first value after the update, by a rate of 1 at t = 0. */
static void average(updater *u, const member *p, gen_node *updated)
{
    gen_node *ema = state_like(u, "ema", p);
    keep(u, ema, gen_add(u->g, ema, gen_mul(u->g, u->ema_rate, gen_sub(u->g, updated, ema))));
}

static void update(updater *u, const member *p, gen_node *grad)
{
    gen_graph *g = u->g;
    gen_graph_scope(g, p->name);
    if (u->scale) grad = gen_mul(g, grad, u->scale);
    bool decoupled = u->o.rule == GEN_ADAMW;
    if (u->o.weight_decay != 0 && !decoupled) grad = gen_add(g, grad, gen_scale(g, p->param, u->o.weight_decay));
    gen_node *from = p->param;
    if (u->o.weight_decay != 0 && decoupled) from = gen_mul(g, from, gen_affine(g, u->lr, -u->o.weight_decay, 1));
    gen_node *direction = u->o.rule == GEN_RMSPROP ? rmsprop_direction(u, p, grad)
                          : u->o.rule == GEN_SGD   ? sgd_direction(u, p, grad)
                                                   : adam_direction(u, p, grad);
    gen_node *updated = gen_sub(g, from, direction);
    if (u->o.clip_value != 0) updated = gen_clamp(g, updated, -u->o.clip_value, u->o.clip_value);
    keep(u, p->param, updated);
    if (u->ema_rate) average(u, p, updated);
    gen_graph_scope(g, "");
}

/* ---- gradients of several runs ---------------------------------------------------------------------------------------------- */

/* Counts the runs since the last update. */
static void start_run(updater *u, const char *prefix)
{
    gen_graph *g = u->g;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "optim.%srun", prefix);
    gen_node *run =
        gen_param(g, name, (gen_shape){ 0 }, (gen_param_spec){ .init = GEN_INIT_ZERO, .state = true, .counter = true });
    u->due = gen_equal(g, run, gen_scalar(g, (double)(u->o.accumulate - 1)));
    gen_assign(g, run, gen_select(g, u->due, gen_scalar(g, 0), gen_affine(g, run, 1, 1)));
}

/* The mean of the runs so far, this one with it; the sum starts again at nothing after an update. */
static gen_node *gather(updater *u, const member *p, gen_node *grad)
{
    gen_graph *g = u->g;
    gen_node *sum = state_like(u, "optim.sum", p);
    gen_node *now = gen_add(g, sum, gen_scale(g, grad, 1 / (double)u->o.accumulate));
    gen_assign(g, sum, gen_select(g, u->due, gen_scalar(g, 0), now));
    return now;
}

/* ---- the step's scalars ---------------------------------------------------------------------------------------------------- */

static gen_node *decay_at(gen_graph *g, const gen_optim_options *o, gen_node *t)
{
    double steps = (double)o->decay_steps;
    switch (o->schedule) {
    case GEN_LR_STEP: return gen_pow(g, gen_scalar(g, o->decay_factor), gen_floor(g, gen_scale(g, t, 1 / steps)));
    case GEN_LR_LINEAR: {
        double start = (double)o->decay_start, length = steps - start > 1 ? steps - start : 1;
        return gen_clamp(g, gen_affine(g, t, -1 / length, 1 + start / length), 0, 1);
    }
    case GEN_LR_COSINE: {
        gen_node *phase =
            gen_min(g, gen_scale(g, t, 3.14159265358979323846 / steps), gen_scalar(g, 3.14159265358979323846));
        return gen_affine(g, gen_cos(g, phase), 0.5, 0.5);
    }
    case GEN_LR_CONSTANT: break;
    }
    return NULL;
}

static gen_node *lr_at(gen_graph *g, const gen_optim_options *o, gen_node *t)
{
    gen_node *lr = gen_fill(g, (gen_shape){ 0 }, o->lr);
    gen_node *decay = decay_at(g, o, t);
    if (decay) lr = gen_scale(g, decay, o->lr);
    if (o->warmup_steps > 0) {
        gen_node *rise =
            gen_min(g, gen_scale(g, gen_affine(g, t, 1, 1), 1 / (double)o->warmup_steps), gen_scalar(g, 1));
        lr = gen_mul(g, rise, lr);
    }
    return lr;
}

/* 1 - b^t, t counted from 1. Near t = 1 the difference of two floats would lose five digits for b = 0.999; with T = tanh(t ln b / 2) it is
 * -2 T / (1 - T), which loses none. */
static gen_node *bias_correction(gen_graph *g, double beta, gen_node *t_next)
{
    gen_node *half = gen_tanh(g, gen_scale(g, t_next, 0.5 * log(beta)));
    return gen_div(g, gen_scale(g, half, -2), gen_affine(g, half, -1, 1));
}

static void start_step(updater *u, const char *prefix)
{
    gen_graph *g = u->g;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "optim.%sstep", prefix);
    u->t =
        gen_param(g, name, (gen_shape){ 0 }, (gen_param_spec){ .init = GEN_INIT_ZERO, .state = true, .counter = true });
    gen_node *next = gen_affine(g, u->t, 1, 1);
    keep(u, u->t, next);
    u->lr = lr_at(g, &u->o, u->t);
    u->alpha = gen_div(g, u->lr, bias_correction(g, u->o.beta1, next));
    u->root = gen_rsqrt(g, bias_correction(g, u->o.beta2, next));
    if (u->o.ema != 0) { /* decay = min(ema, t / (9 + t)): the first average is the first result itself */
        gen_node *warm = gen_div(g, u->t, gen_affine(g, u->t, 1, 9));
        u->ema_rate = gen_affine(g, gen_min(g, warm, gen_scalar(g, u->o.ema)), -1, 1);
    }
}

static gen_node *norm_of(gen_graph *g, int32_t n, gen_node *const *grads)
{
    return gen_sqrt(g, gen_sum_squares(g, n, grads));
}

static gen_optim_options with_defaults(gen_optim_options o)
{
    if (o.beta1 == 0) o.beta1 = 0.9;
    if (o.beta2 == 0) o.beta2 = 0.999;
    if (o.eps == 0) o.eps = 1e-8;
    if (o.rho == 0) o.rho = 0.99;
    if (o.decay_factor == 0) o.decay_factor = 0.1;
    if (o.decay_steps < 1) o.decay_steps = 1;
    return o;
}

/* Is a beginning of the name in the list "a,b"? */
static bool is_frozen(const char *list, const char *name)
{
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n && !strncmp(name, list, n)) return true;
        list += n + (list[n] == ',');
    }
    return false;
}

static int32_t find_learned(gen_graph *g, const char *prefix, const char *frozen, member *members, gen_node **params)
{
    int32_t n = 0;
    for (int32_t i = 0; i < gen_graph_params(g) && n < MAX_PARAMS; i++) {
        gen_param_spec spec = { 0 };
        const char *name = gen_graph_param(g, i, &spec)->name;
        if (spec.state || strncmp(name, prefix, strlen(prefix)) || is_frozen(frozen, name)) continue;
        params[n] = gen_graph_param_newest(g, i);
        members[n] = (member){ spec, name, params[n] };
        n++;
    }
    return n;
}

gen_optim_report gen_optim_minimise(gen_graph *g, gen_node *loss, const char *prefix, const gen_optim_options *options)
{
    updater u = { .g = g, .o = with_defaults(*options) };
    gen_optim_report report = { 0 };
    member *members = gen_arena_alloc(gen_graph_arena(g), MAX_PARAMS * sizeof *members);
    gen_node **params = gen_arena_alloc(gen_graph_arena(g), MAX_PARAMS * sizeof(gen_node *));
    gen_node **grads = gen_arena_alloc(gen_graph_arena(g), MAX_PARAMS * sizeof(gen_node *));
    if (!members || !params || !grads) {
        gen_graph_fail(g, GEN_NO_MEMORY, "no memory for the optimiser");
        return report;
    }
    int32_t n = find_learned(g, prefix, u.o.frozen, members, params);
    if (!n)
        gen_graph_fail(g, GEN_NOT_FOUND,
                       "nothing is left to train: no learned parameter starts with \"%s\" and is not frozen", prefix);
    if (gen_graph_check(g, NULL) != GEN_OK) return report;
    gen_loss_gradient(g, loss, n, params, grads);
    if (u.o.accumulate > 1) {
        start_run(&u, prefix);
        for (int32_t i = 0; i < n; i++) grads[i] = gather(&u, &members[i], grads[i]);
    }
    start_step(&u, prefix);
    if (u.o.clip_norm != 0) { /* scale = min(1, clip / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ */
        report.grad_norm = norm_of(g, n, grads);
        gen_node *ratio = gen_div(g, gen_scalar(g, u.o.clip_norm), gen_affine(g, report.grad_norm, 1, 1e-6));
        u.scale = gen_min(g, ratio, gen_scalar(g, 1));
    }
    for (int32_t i = 0; i < n; i++) update(&u, &members[i], grads[i]);
    report.lr = u.lr;
    report.n_params = n;
    return report;
}

void gen_optim_guard(gen_graph *g, gen_node *loss)
{
    const int32_t n = gen_graph_assigns(g);
    gen_node *finite = gen_less(g, gen_abs(g, loss), gen_scalar(g, (double)INFINITY));
    for (int32_t i = 0; i < n; i++) { /* a second assignment to a parameter takes the place of the first */
        const gen_node *assign = gen_graph_assign(g, i);
        gen_assign(g, assign->in[0], gen_select(g, finite, assign->in[1], assign->in[0]));
    }
}
