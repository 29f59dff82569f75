/* Which forward results are computed again: elementwise functions of what is kept, or whole segments. */
#include "core/recompute.h"

#include <string.h>

#include "core/plan.h"

enum {
    SMALL = 16
}; /* a result with so many times fewer numbers than its largest input is kept, as is what is read but so much smaller */

static bool has_flag(const gen_node *node, uint32_t flag)
{
    return gen_op_get(node->op)->flags & flag;
}

static int64_t count_of(const gen_node *node)
{
    return gen_shape_count(&node->shape);
}

/* ---- cheap ones -------------------------------------------------------------------------------------------------------- */

/* Is the input of an elementwise node there in the backward pass anyway, or costs nothing to keep? */
static bool is_there(const gen_recompute *r, const bool *read, const gen_node *in, int64_t count)
{
    const gen_node *base = gen_node_view_base(in);
    return has_flag(base, OP_SOURCE) || read[base->id] || r->dropped[base->id] || count_of(base) * SMALL <= count;
}

static bool is_cheap(const gen_recompute *r, const bool *read, const gen_node *node)
{
    if (!has_flag(node, OP_ELEMENTWISE)) return false;
    for (int32_t i = 0; i < node->n_in; i++)
        if (!is_there(r, read, node->in[i], count_of(node))) return false;
    return true;
}

/* ---- segments ---------------------------------------------------------------------------------------------------------- */

typedef struct segments {
    const bool *read, *useful;
    int32_t n;
    const gen_node **base; /* [n] views followed */
    int32_t *last;         /* [n] the last forward reader; -1: none */
    double *kept_so_far;   /* [n + 1] numbers that the gradient reads, of nodes before this one */
    double *crossing;      /* [n + 1] numbers that are made before this node and read from it on */
} segments;

static bool is_stored(const segments *s, int32_t id)
{
    return s->useful[id] && s->base[id]->id == id && !has_flag(s->base[id], OP_SOURCE);
}

static bool measure(segments *s, gen_graph *g)
{
    size_t n = (size_t)s->n;
    s->base = gen_arena_alloc(gen_graph_arena(g), n * sizeof(gen_node *));
    s->last = gen_arena_alloc(gen_graph_arena(g), n * sizeof *s->last);
    s->kept_so_far = gen_arena_alloc(gen_graph_arena(g), (n + 1) * sizeof *s->kept_so_far);
    s->crossing = gen_arena_alloc(gen_graph_arena(g), (n + 2) * sizeof *s->crossing);
    if (!s->base || !s->last || !s->kept_so_far || !s->crossing) return false;
    for (int32_t id = 0; id < s->n; id++) {
        const gen_node *node = gen_graph_node(g, id);
        s->base[id] = gen_node_view_base(node);
        s->last[id] = -1;
        for (int32_t i = 0; i < node->n_in && s->useful[id]; i++) s->last[s->base[node->in[i]->id]->id] = id;
    }
    for (int32_t id = 0; id < s->n; id++) {
        double count = is_stored(s, id) ? (double)count_of(s->base[id]) : 0;
        s->kept_so_far[id + 1] = s->kept_so_far[id] + (s->read[id] ? count : 0);
        if (s->last[id] <= id) continue; /* alive for places id + 1 .. last */
        s->crossing[id + 1] += count;
        s->crossing[s->last[id] + 1] -= count;
    }
    for (int32_t id = 0; id < s->n; id++) s->crossing[id + 1] += s->crossing[id];
    return true;
}

/* The place with the least crossing of those where the gradient's reads so far are the middle half of segment k of n_segments' end. */
static int32_t find_cut(const segments *s, int32_t k, int32_t n_segments)
{
    double total = s->kept_so_far[s->n], low = total * ((double)k - 0.25) / n_segments,
           high = total * ((double)k + 0.25) / n_segments;
    int32_t best = -1;
    for (int32_t at = 1; at < s->n; at++)
        if (s->kept_so_far[at] >= low && s->kept_so_far[at] <= high &&
            (best < 0 || s->crossing[at] < s->crossing[best]))
            best = at;
    return best;
}

/* Marks what passes a cut; returns where the last segment begins. *numbers: kept ones and the largest segment's. */
static int32_t cut_into(const segments *s, int32_t n_segments, bool *passes, double *numbers)
{
    int32_t begin = 0;
    double kept = 0, largest = 0;
    memset(passes, 0, (size_t)s->n * sizeof *passes);
    for (int32_t k = 1; k <= n_segments; k++) {
        int32_t cut = k < n_segments ? find_cut(s, k, n_segments) : s->n;
        if (cut <= begin) continue;
        for (int32_t id = 0; id < cut && cut < s->n; id++)
            if (!passes[id] && s->last[id] >= cut && is_stored(s, id)) {
                passes[id] = true;
                kept += (double)count_of(s->base[id]);
            }
        double inside = s->kept_so_far[cut] - s->kept_so_far[begin];
        if (inside > largest) largest = inside;
        if (cut < s->n) begin = cut;
    }
    *numbers = kept + largest;
    return begin;
}

static bool is_small(const gen_node *node)
{
    for (int32_t i = 0; i < node->n_in; i++)
        if (count_of(node) * SMALL <= count_of(node->in[i])) return true;
    return false;
}

/* Marks what is dropped with its segment: all that does not pass to a later one. *last: where the last segment begins, which is left alone. */
static bool drop_segments(gen_recompute *r, const bool *read, const bool *useful, int32_t *last)
{
    enum { MOST = 48 };
    segments s = { .read = read, .useful = useful, .n = r->n };
    int32_t best = 1;
    double least = 0, numbers;
    bool *passes = gen_arena_alloc(gen_graph_arena(r->g), (size_t)r->n * sizeof *passes);
    if (!passes || !measure(&s, r->g)) return false;
    for (int32_t k = 1; k <= MOST; k++) {
        cut_into(&s, k, passes, &numbers);
        if (k > 1 && numbers >= least) continue;
        best = k;
        least = numbers;
    }
    *last = cut_into(&s, best, passes, &numbers);
    for (int32_t id = 0; id < *last; id++) r->dropped[id] = is_stored(&s, id) && !passes[id] && !is_small(s.base[id]);
    return true;
}

/* ---- twins ------------------------------------------------------------------------------------------------------------- */

bool gen_recompute_start(gen_recompute *r, gen_graph *g, const bool *read, const bool *useful, int32_t n)
{
    *r = (gen_recompute){ .g = g, .n = n };
    r->dropped = gen_alloc((size_t)n, sizeof *r->dropped);
    r->twin = gen_alloc((size_t)n, sizeof(gen_node *));
    int32_t last = 0;
    bool fine = r->dropped && r->twin && (!gen_graph_checkpoints(g) || drop_segments(r, read, useful, &last));
    for (int32_t id = 0; id < n && fine; id++) {
        const gen_node *node = gen_graph_node(g, id);
        if (gen_node_is_view(node)) r->dropped[id] = r->dropped[node->in[0]->id];
        else if (id >= last) r->dropped[id] = is_cheap(r, read, node);
    }
    if (!fine) gen_graph_fail(g, GEN_NO_MEMORY, "no memory to differentiate %d nodes", n);
    return fine;
}

void gen_recompute_end(gen_recompute *r)
{
    gen_free(r->dropped);
    gen_free(r->twin);
}

static gen_node *twin_of(gen_recompute *r, gen_node *node)
{
    if (node->id >= r->n || !r->dropped[node->id]) return node;
    gen_node **twin = &r->twin[node->id];
    if (*twin) return *twin;
    gen_node **in = gen_arena_alloc(gen_graph_arena(r->g), (size_t)node->n_in * sizeof(gen_node *));
    if (!in) {
        gen_graph_fail(r->g, GEN_NO_MEMORY, "no memory to compute %s again", gen_op_get(node->op)->name);
        return node;
    }
    for (int32_t i = 0; i < node->n_in; i++) in[i] = twin_of(r, node->in[i]);
    *twin = gen_node_new(r->g, node->op, node->n_in, in, &node->attr);
    (*twin)->name = node->name;
    (*twin)->forward = r->n;
    return *twin;
}

void gen_recompute_want(gen_recompute *r, const bool *read, gen_node *node)
{
    if (read[node->id]) twin_of(r, node);
    for (int32_t i = 0; i < node->n_in; i++)
        if (read[node->in[i]->id]) twin_of(r, node->in[i]);
}

void gen_recompute_patch(const gen_recompute *r, int32_t first)
{
    for (int32_t id = first; id < gen_graph_size(r->g); id++) {
        gen_node *node = gen_graph_node(r->g, id);
        for (int32_t i = 0; i < node->n_in; i++) {
            int32_t from = node->in[i]->id;
            if (from < r->n && r->twin[from]) node->in[i] = r->twin[from];
        }
    }
}
