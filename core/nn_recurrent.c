#include "core/nn_recurrent.h"

#include <stdio.h>
#include <string.h>

#include "core/nn.h"

enum { NAME_BYTES = 160, LSTM_GATES = 4, GRU_GATES = 3 };

gen_node *nn_embedding(gen_graph *g, gen_node *index, const char *layer, int64_t words, int64_t d)
{
    char name[NAME_BYTES];
    gen_graph_scope(g, layer);
    snprintf(name, sizeof name, "%s.weight", layer);
    gen_node *table = gen_param(g, name, GEN_SHAPE(words, d), (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = 1 });
    gen_node *y = gen_gather(g, table, index);
    gen_graph_scope(g, "");
    return y;
}

/* ---- one layer in one direction ------------------------------------------------------------------------------------------ */

typedef struct direction {
    const char *layer;
    int32_t number;
    bool backward;
    int64_t hidden, gates;
} direction;

static gen_node *param(gen_graph *g, const direction *d, const char *what, gen_shape shape)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.%s_l%d%s", d->layer, what, d->number, d->backward ? "_reverse" : "");
    gen_param_spec spec = { .init = GEN_INIT_TORCH, .fan_in = d->hidden };
    if (shape.rank == 2) spec.layout = GEN_LAYOUT_DENSE;
    return gen_param(g, name, shape, spec);
}

static bool is_smaller_table(const gen_node *part, int64_t rows)
{
    return part->op == GEN_OP_GATHER && part->in[0]->shape.rank == 2 && part->in[0]->shape.dim[0] < rows;
}

/* x[T,N,C] w[C,W] + bias[W]. Where x is made of rows of tables side by side (embeddings) that have fewer rows than x, a row of (table w) is the same number
 * and the products are those of the tables: of 192 rows instead of 1,024 in the cello's model. */
static gen_node *gates_in(gen_graph *g, gen_node *x, gen_node *w, gen_node *bias)
{
    int64_t rows = x->shape.dim[0] * x->shape.dim[1], first = 0;
    bool several = x->op == GEN_OP_CONCAT && x->attr.axis == 2;
    gen_node *const *part = several ? x->in : &x, *sum = NULL;
    int32_t n_parts = several ? x->n_in : 1;
    bool pays = true;
    for (int32_t i = 0; i < n_parts; i++) pays = pays && is_smaller_table(part[i], rows);
    if (!pays) {
        gen_node *rows_in = gen_reshape(g, x, GEN_SHAPE(rows, x->shape.dim[2]));
        gen_node *y = gen_add(g, gen_matmul(g, rows_in, w, false, false), bias); /* in rows: the plan joins both */
        return gen_reshape(g, y, GEN_SHAPE(x->shape.dim[0], x->shape.dim[1], w->shape.dim[1]));
    }
    for (int32_t i = 0; i < n_parts; i++) {
        gen_node *table = part[i]->in[0], *index = part[i]->in[1];
        int64_t c = table->shape.dim[1];
        gen_node *product = gen_matmul(g, table, gen_slice(g, w, 0, first, c), false, false);
        gen_node *y = gen_gather(g, i ? product : gen_add(g, product, bias), index);
        sum = sum ? gen_add(g, sum, y) : y;
        first += c;
    }
    return sum;
}

typedef struct sequence {
    gen_node *y, *h, *c; /* [T,N,H]; of every step */
} sequence;

/* x[T,N,C]; h0, c0 [N,H] */
static sequence run_direction(gen_graph *g, const direction *d, gen_node *x, gen_node *h0, gen_node *c0)
{
    int64_t c = x->shape.dim[2], width = d->gates * d->hidden;
    gen_node *w_ih = param(g, d, "weight_ih", GEN_SHAPE(c, width));
    gen_node *w_hh = param(g, d, "weight_hh", GEN_SHAPE(d->hidden, width));
    gen_node *b_ih = param(g, d, "bias_ih", GEN_SHAPE(width)), *b_hh = param(g, d, "bias_hh", GEN_SHAPE(width));
    if (d->gates == LSTM_GATES) {
        gen_node *xg = gates_in(g, x, w_ih, gen_add(g, b_ih, b_hh));
        gen_node *planes = gen_lstm(g, xg, w_hh, h0, c0), *h = gen_plane(g, planes, 5);
        return (sequence){ h, h, gen_plane(g, planes, 4) };
    }
    gen_node *xg = gates_in(g, x, w_ih, b_ih);
    gen_node *h = gen_plane(g, gen_gru(g, xg, w_hh, b_hh, h0), 4);
    return (sequence){ h, h, NULL };
}

/* ---- lengths -------------------------------------------------------------------------------------------------------------- */

/* 0, 1, … T - 1 as [T,1] */
static gen_node *steps(gen_graph *g, int64_t t)
{
    float *numbers = gen_arena_alloc(gen_graph_arena(g), (size_t)t * sizeof *numbers);
    if (!numbers) {
        gen_graph_fail(g, GEN_NO_MEMORY, "no memory for %lld steps", (long long)t);
        return gen_fill(g, GEN_SHAPE(t, 1), 0);
    }
    for (int64_t i = 0; i < t; i++) numbers[i] = (float)i;
    return gen_const(g, GEN_SHAPE(t, 1), numbers);
}

/* Rows of x[T,N,C] at the steps at[S,N] -> [S,N,C] */
static gen_node *pick_steps(gen_graph *g, gen_node *x, gen_node *at)
{
    int64_t t = x->shape.dim[0], n = x->shape.dim[1], c = x->shape.dim[2];
    gen_node *column = gen_reshape(g, steps(g, n), GEN_SHAPE(1, n));
    gen_node *row = gen_add(g, gen_scale(g, at, (double)n), column);
    return gen_gather(g, gen_reshape(g, x, GEN_SHAPE(t * n, c)), gen_stop(g, row));
}

/* Each sequence backwards, from its own last step on; steps beyond its end repeat its first. Its own inverse within the sequence. */
static gen_node *reverse(gen_graph *g, gen_node *x, gen_node *lengths)
{
    int64_t t = x->shape.dim[0], n = x->shape.dim[1];
    if (!lengths) return gen_flip(g, x, 0);
    gen_node *last = gen_affine(g, gen_reshape(g, lengths, GEN_SHAPE(1, n)), 1, -1);
    gen_node *at = gen_max(g, gen_sub(g, last, steps(g, t)), gen_scalar(g, 0));
    return pick_steps(g, x, at);
}

/* 1 within the sequences, 0 beyond: [T,N,1] */
static gen_node *inside(gen_graph *g, gen_node *lengths, int64_t t)
{
    int64_t n = lengths->shape.dim[0];
    gen_node *mask = gen_less(g, steps(g, t), gen_reshape(g, lengths, GEN_SHAPE(1, n)));
    return gen_reshape(g, mask, GEN_SHAPE(t, n, 1));
}

/* [T,N,H] -> [N,H] after the last step of each */
static gen_node *last_state(gen_graph *g, gen_node *h, gen_node *lengths)
{
    int64_t t = h->shape.dim[0], n = h->shape.dim[1], width = h->shape.dim[2];
    if (!lengths) return gen_reshape(g, gen_slice(g, h, 0, t - 1, 1), GEN_SHAPE(n, width));
    gen_node *last = gen_affine(g, gen_reshape(g, lengths, GEN_SHAPE(1, n)), 1, -1);
    return gen_reshape(g, pick_steps(g, h, last), GEN_SHAPE(n, width));
}

/* ---- stacks ---------------------------------------------------------------------------------------------------------------- */

/* One direction of layer `number`: its y [T,N,H]; its last states go to their places in r. */
static gen_node *add_direction(gen_graph *g, direction d, gen_node *x, const nn_recurrent_spec *spec, nn_recurrent *r)
{
    int32_t place = spec->bidirectional ? 2 * d.number + d.backward : d.number;
    gen_node *zero = gen_fill(g, GEN_SHAPE(x->shape.dim[1], d.hidden), 0);
    gen_node *in = d.backward ? reverse(g, x, spec->lengths) : x;
    sequence s = run_direction(g, &d, in, spec->h0 ? spec->h0[place] : zero, spec->c0 ? spec->c0[place] : zero);
    r->h[place] = last_state(g, s.h, spec->lengths);
    r->c[place] = s.c ? last_state(g, s.c, spec->lengths) : NULL;
    r->n_states++;
    gen_node *y = d.backward ? reverse(g, s.y, spec->lengths) : s.y;
    return spec->lengths ? gen_mul(g, y, inside(g, spec->lengths, y->shape.dim[0])) : y;
}

static nn_recurrent stack(gen_graph *g, gen_node *x, const char *layer, int64_t hidden, int64_t gates,
                          nn_recurrent_spec spec)
{
    nn_recurrent r = { .y = x };
    int32_t layers = spec.layers ? spec.layers : 1;
    if (x->shape.rank != 3 || layers * (spec.bidirectional ? 2 : 1) > NN_MAX_STATES) {
        gen_graph_fail(g, GEN_BAD_SHAPE,
                       "%s: expected a sequence [T,N,C] and at most %d layers, both directions counted", layer,
                       NN_MAX_STATES);
        return r;
    }
    gen_graph_scope(g, layer);
    for (int32_t i = 0; i < layers; i++) {
        direction d = { .layer = layer, .number = i, .hidden = hidden, .gates = gates };
        if (i > 0 && spec.dropout > 0) r.y = gen_dropout(g, r.y, spec.dropout);
        gen_node *both[2] = { add_direction(g, d, r.y, &spec, &r) };
        d.backward = true;
        if (spec.bidirectional) both[1] = add_direction(g, d, r.y, &spec, &r);
        r.y = spec.bidirectional ? gen_concat(g, 2, both, 2) : both[0];
    }
    gen_graph_scope(g, "");
    return r;
}

nn_recurrent nn_lstm(gen_graph *g, gen_node *x, const char *layer, int64_t hidden, nn_recurrent_spec spec)
{
    return stack(g, x, layer, hidden, LSTM_GATES, spec);
}

nn_recurrent nn_gru(gen_graph *g, gen_node *x, const char *layer, int64_t hidden, nn_recurrent_spec spec)
{
    return stack(g, x, layer, hidden, GRU_GATES, spec);
}

/* ---- attention --------------------------------------------------------------------------------------------------------------- */

nn_attention nn_attend(gen_graph *g, gen_node *h, const char *layer)
{
    int64_t t = h->shape.dim[0], n = h->shape.dim[1], width = h->shape.dim[2];
    gen_node *e = gen_tanh(g, nn_dense(g, h, layer, 1, (nn_dense_spec){ 0 })); /* [T,N,1] */
    gen_graph_scope(g, layer);
    gen_node *weight = gen_softmax(g, e, GEN_AXIS(0));
    gen_node *context = gen_sum(g, gen_mul(g, h, weight), GEN_AXIS(0));
    nn_attention a = { gen_reshape(g, context, GEN_SHAPE(n, width)), gen_reshape(g, weight, GEN_SHAPE(t, n)) };
    gen_graph_scope(g, "");
    return a;
}
