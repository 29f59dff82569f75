/* Reverse-mode differentiation of a graph: walks from y to its ancestors once and lets each op add the nodes of its gradient. */
#include "core/autodiff.h"

#include <string.h>

#include "core/plan.h"
#include "core/recompute.h"

typedef struct walk {
    gen_graph *g;
    int32_t n;            /* nodes that existed when the walk began: ids 0 .. n-1 */
    bool *depends;        /* on some x */
    bool *useful;         /* y depends on it */
    gen_node **grad;      /* of y, so far */
    bool *read;           /* NULL, or by the gradient, as a walk without `again` found */
    gen_recompute *again; /* NULL: everything is kept */
} walk;

static void mark_depends(walk *w, int32_t n_x, gen_node *const *x)
{
    for (int32_t i = 0; i < n_x; i++) w->depends[x[i]->id] = true;
    for (int32_t id = 0; id < w->n; id++) {
        const gen_node *node = gen_graph_node(w->g, id);
        for (int32_t i = 0; i < node->n_in && !w->depends[id]; i++) w->depends[id] = w->depends[node->in[i]->id];
    }
}

static void mark_useful(walk *w, const gen_node *y)
{
    w->useful[y->id] = true;
    for (int32_t id = y->id; id >= 0; id--) {
        if (!w->useful[id]) continue;
        const gen_node *node = gen_graph_node(w->g, id);
        for (int32_t i = 0; i < node->n_in; i++) w->useful[node->in[i]->id] = true;
    }
}

static void pass_back(walk *w, gen_node *node)
{
    enum { MAX_IN = 64 };
    gen_node *dx[MAX_IN] = { NULL };
    bool want[MAX_IN] = { false };
    if (node->n_in > MAX_IN) {
        gen_graph_fail(w->g, GEN_UNSUPPORTED, "%s: gradient of more than %d inputs", gen_op_get(node->op)->name,
                       MAX_IN);
        return;
    }
    for (int32_t i = 0; i < node->n_in; i++) want[i] = w->depends[node->in[i]->id];
    if (w->again) gen_recompute_want(w->again, w->read, node);
    int32_t first = gen_graph_size(w->g);
    gen_op_get(node->op)->grad(w->g, node, w->grad[node->id], dx, want);
    for (int32_t i = 0; i < node->n_in; i++) {
        gen_node **total = &w->grad[node->in[i]->id];
        if (want[i] && dx[i]) *total = *total ? gen_add(w->g, *total, dx[i]) : dx[i];
    }
    if (w->again) gen_recompute_patch(w->again, first);
}

static bool walk_init(walk *w, gen_graph *g)
{
    int32_t n = gen_graph_size(g);
    *w = (walk){ .g = g, .n = n };
    w->depends = gen_alloc((size_t)n, sizeof *w->depends);
    w->useful = gen_alloc((size_t)n, sizeof *w->useful);
    w->grad = gen_alloc((size_t)n, sizeof(gen_node *));
    return w->depends && w->useful && w->grad;
}

static void walk_fini(walk *w)
{
    gen_free(w->depends);
    gen_free(w->useful);
    gen_free(w->grad);
}

static void run_walk(walk *w, gen_node *y, gen_node *seed, int32_t n, gen_node *const *x, gen_node **dx)
{
    mark_depends(w, n, x);
    mark_useful(w, y);
    w->grad[y->id] = seed;
    for (int32_t id = y->id; id >= 0; id--)
        if (w->grad[id] && w->useful[id] && w->depends[id]) pass_back(w, gen_graph_node(w->g, id));
    for (int32_t i = 0; i < n; i++) {
        gen_node *grad = w->grad[x[i]->id];
        dx[i] = grad ? grad : gen_fill(w->g, x[i]->shape, 0);
    }
}

static void no_memory(gen_graph *g)
{
    gen_graph_fail(g, GEN_NO_MEMORY, "no memory to differentiate %d nodes", gen_graph_size(g));
}

void gen_gradient(gen_graph *g, gen_node *y, gen_node *seed, int32_t n, gen_node *const *x, gen_node **dx)
{
    for (int32_t i = 0; i < n; i++) dx[i] = x[i]; /* harmless if the graph has failed */
    if (gen_graph_check(g, NULL) != GEN_OK) return;
    if (!seed) seed = gen_fill(g, y->shape, 1);
    if (!gen_shape_equal(&seed->shape, &y->shape))
        gen_graph_fail(g, GEN_BAD_SHAPE, "gradient: the seed has another shape than y");
    walk w;
    if (walk_init(&w, g)) run_walk(&w, y, seed, n, x, dx);
    else no_memory(g);
    walk_fini(&w);
}

/* Differentiates for trial, to see which forward nodes the gradient reads, and takes its nodes back. */
static void find_read(gen_graph *g, gen_node *loss, int32_t n, gen_node *const *x, gen_node **dx, bool *read)
{
    int32_t n_forward = gen_graph_size(g);
    gen_gradient(g, loss, NULL, n, x, dx);
    for (int32_t id = n_forward; id < gen_graph_size(g); id++) {
        const gen_node *node = gen_graph_node(g, id);
        for (int32_t i = 0; i < node->n_in; i++) {
            if (node->in[i]->id >= n_forward) continue;
            read[node->in[i]->id] = true;
            read[gen_node_view_base(node->in[i])->id] = true;
        }
    }
    gen_graph_cut(g, n_forward);
}

void gen_loss_gradient(gen_graph *g, gen_node *loss, int32_t n, gen_node *const *x, gen_node **dx)
{
    for (int32_t i = 0; i < n; i++) dx[i] = x[i];
    if (gen_graph_check(g, NULL) != GEN_OK) return;
    walk w;
    gen_recompute again = { 0 };
    bool *read = gen_alloc((size_t)gen_graph_size(g), sizeof *read);
    if (walk_init(&w, g) && read) {
        find_read(g, loss, n, x, dx, read);
        mark_useful(&w, loss);
        if (gen_recompute_start(&again, g, read, w.useful, w.n)) {
            w.read = read;
            w.again = &again;
            run_walk(&w, loss, gen_fill(g, loss->shape, 1), n, x, dx);
        }
    } else {
        no_memory(g);
    }
    gen_recompute_end(&again);
    gen_free(read);
    walk_fini(&w);
}
