#include "models/sequence.h"

#include <stdio.h>
#include <string.h>

#include "core/nn.h"
#include "core/nn_recurrent.h"

int32_t gen_sequence_fields(const gen_sequence_options *o)
{
    return strcmp(o->tokens, "pairs") ? 1 : 2;
}

bool gen_sequence_carries(const gen_sequence_options *o)
{
    return !o->attention && !o->bidirectional;
}

/* Words of a field. A description without data has GDL's vocabulary of pairs, Magenta's of events, and the letters of a small text; the border too. */
static int64_t words_of(const gen_model_context *m, int32_t field)
{
    static const struct {
        const char *tokens;
        int64_t words[GEN_MAX_FIELDS];
    } usual[] = { { "pairs", { 387, 18 } }, { "performance", { 389, 0 } }, { "beats", { 389, 0 } },
                  { "melody", { 39, 0 } },  { "chars", { 96, 0 } },        { "words", { 10000, 0 } } };
    const gen_sequence_options *o = m->options;
    if (m->words[field]) return m->words[field];
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (!strcmp(usual[i].tokens, o->tokens)) return usual[i].words[field];
    return 2;
}

/* ---- inputs -------------------------------------------------------------------------------------------------------------- */

/* Rows first to first + t - 1 of a field of x[N,T,1,F] -> [t,N] */
static gen_node *tokens(gen_graph *g, gen_node *x, int32_t field, int64_t first, int64_t t)
{
    int64_t n = x->shape.dim[0];
    gen_node *column = gen_slice(g, gen_slice(g, x, 3, field, 1), 1, first, t);
    return gen_transpose(g, gen_reshape(g, column, GEN_SHAPE(n, t)), (int32_t[]){ 1, 0 });
}

/* Rows beyond the end are read as the border. */
static gen_node *readable(gen_graph *g, gen_node *token)
{
    return gen_max(g, token, gen_scalar(g, 0));
}

/* The embeddings of all fields, one beside the other: [T,N,F embed] */
static gen_node *embedded(gen_graph *g, const gen_model_context *m, gen_node *x, int64_t t)
{
    const gen_sequence_options *o = m->options;
    gen_node *part[GEN_MAX_FIELDS];
    int32_t n_fields = gen_sequence_fields(o);
    for (int32_t f = 0; f < n_fields; f++) {
        char name[32];
        snprintf(name, sizeof name, "embed%d", f);
        part[f] = nn_embedding(g, readable(g, tokens(g, x, f, 0, t)), name, words_of(m, f), o->embed);
    }
    return n_fields == 1 ? part[0] : gen_concat(g, n_fields, part, 2);
}

/* ---- carried states --------------------------------------------------------------------------------------------------------- */

typedef struct carried {
    gen_node *param[NN_MAX_STATES], *start[NN_MAX_STATES]; /* as it was stored; zero where a piece begins [N,H] */
} carried;

static void open_states(gen_graph *g, const gen_model_context *m, const char *what, gen_node *goes_on, carried *s)
{
    const gen_sequence_options *o = m->options;
    for (int64_t i = 0; i < o->layers; i++) {
        char name[48];
        snprintf(name, sizeof name, "carry%lld.%s%lld", (long long)m->batch, what, (long long)i);
        s->param[i] = gen_param(g, name, GEN_SHAPE(m->batch, o->hidden),
                                (gen_param_spec){ .init = GEN_INIT_ZERO, .state = true, .counter = true });
        s->start[i] = gen_mul(g, s->param[i], goes_on);
    }
}

/* [N,1]: 0 where row 0 is the border, else 1 */
static gen_node *goes_on(gen_graph *g, gen_node *x)
{
    gen_node *first = gen_reshape(g, tokens(g, x, 0, 0, 1), GEN_SHAPE(x->shape.dim[0], 1));
    return gen_affine(g, gen_equal(g, first, gen_scalar(g, GEN_BORDER)), -1, 1);
}

/* [T,N,F embed] -> [T,N,H]; the state goes on where it is carried */
static gen_node *recurrent(gen_graph *g, const gen_model_context *m, gen_node *x, int64_t t, bool training)
{
    const gen_sequence_options *o = m->options;
    bool lstm = !strcmp(o->cell, "lstm"), carries = gen_sequence_carries(o);
    carried h = { { NULL }, { NULL } }, c = h;
    nn_recurrent_spec spec = { .layers = (int32_t)o->layers, .dropout = training ? o->dropout : 0 };
    if (carries) {
        gen_node *keep = goes_on(g, x);
        open_states(g, m, "h", keep, &h);
        if (lstm) open_states(g, m, "c", keep, &c);
        spec.h0 = h.start;
        spec.c0 = lstm ? c.start : NULL;
    }
    gen_node *in = embedded(g, m, x, t);
    nn_recurrent r = lstm ? nn_lstm(g, in, "lstm", o->hidden, spec) : nn_gru(g, in, "gru", o->hidden, spec);
    for (int32_t i = 0; carries && i < r.n_states; i++) {
        gen_assign(g, h.param[i], gen_stop(g, r.h[i]));
        if (lstm) gen_assign(g, c.param[i], gen_stop(g, r.c[i]));
    }
    return training && o->dropout > 0 ? gen_dropout(g, r.y, o->dropout) : r.y;
}

/* ---- what is said ------------------------------------------------------------------------------------------------------------- */

/* Each direction has a stack of its own, and the token in the middle is seen by neither: said are rows 1 to T - 1, from the rows before and those behind.
 * [T+1,N,E] -> [T-1,N,2H] */
static gen_node *both_sides(gen_graph *g, const gen_model_context *m, gen_node *x, bool training)
{
    const gen_sequence_options *o = m->options;
    bool lstm = !strcmp(o->cell, "lstm");
    int64_t rows = o->window + 1;
    nn_recurrent_spec spec = { .layers = (int32_t)o->layers, .dropout = training ? o->dropout : 0 };
    gen_node *in = embedded(g, m, x, rows), *side[2], *y;
    for (int32_t back = 0; back < 2; back++) {
        const char *name = back ? "backward" : "forward";
        gen_node *seen = back ? gen_flip(g, in, 0) : in;
        y = lstm ? nn_lstm(g, seen, name, o->hidden, spec).y : nn_gru(g, seen, name, o->hidden, spec).y;
        side[back] = gen_slice(g, back ? gen_flip(g, y, 0) : y, 0, back ? 2 : 0, rows - 2);
    }
    y = gen_concat(g, 2, side, 2);
    return training && o->dropout > 0 ? gen_dropout(g, y, o->dropout) : y;
}

/* What the heads see: [S,N,H] for the S rows from `first` on that are said. */
typedef struct seen {
    gen_node *h, *attention; /* attention [T,N]; NULL: none */
    int64_t first, rows;
} seen;

static seen look(gen_graph *g, const gen_model_context *m, gen_node *x, int64_t t, bool training)
{
    const gen_sequence_options *o = m->options;
    if (o->bidirectional) return (seen){ both_sides(g, m, x, training), NULL, 1, o->window - 1 };
    gen_node *y = recurrent(g, m, x, t, training);
    if (!o->attention) return (seen){ y, NULL, 1, t };
    nn_attention a = nn_attend(g, y, "attention");
    gen_node *context = gen_reshape(g, a.context, GEN_SHAPE(1, m->batch, o->hidden));
    return (seen){ context, a.weight, t, 1 };
}

/* [S,N,V] */
static gen_node *logits(gen_graph *g, const gen_model_context *m, gen_node *h, int32_t field)
{
    char name[32];
    snprintf(name, sizeof name, "head%d", field);
    return nn_dense(g, h, name, words_of(m, field), (nn_dense_spec){ 0 });
}

typedef struct score {
    gen_node *inside;                /* [S,N]: 1 where there is a token to be said */
    gen_node *nats[GEN_MAX_FIELDS];  /* [S,N]: -log p of it, 0 where there is none */
    gen_node *right[GEN_MAX_FIELDS]; /* [S,N]: 1 where the likeliest word is the right one */
} score;

static score judge(gen_graph *g, const gen_model_context *m, bool training)
{
    const gen_sequence_options *o = m->options;
    int32_t n_fields = gen_sequence_fields(o);
    gen_node *x = gen_input(g, "x", GEN_SHAPE(m->batch, o->window + 1, 1, n_fields));
    seen s = look(g, m, x, o->window, training);
    score out = { 0 };
    for (int32_t f = 0; f < n_fields; f++) {
        gen_node *target = tokens(g, x, f, s.first, s.rows), *z = logits(g, m, s.h, f);
        if (!f) out.inside = gen_less(g, gen_scalar(g, -0.5), target);
        out.nats[f] = gen_mul(g, gen_cross_entropy(g, z, readable(g, target)), out.inside);
        if (training) continue;
        gen_node *best = gen_reshape(g, gen_argmax(g, z), GEN_SHAPE(s.rows, m->batch));
        out.right[f] = gen_mul(g, gen_equal(g, best, target), out.inside);
    }
    return out;
}

/* ---- graphs ------------------------------------------------------------------------------------------------------------------ */

void gen_sequence_train(gen_graph *g, const gen_model_context *m)
{
    int32_t n_fields = gen_sequence_fields(m->options);
    score s = judge(g, m, true);
    gen_node *n = gen_max(g, gen_sum_all(g, s.inside), gen_scalar(g, 1)), *loss = NULL, *mean[GEN_MAX_FIELDS];
    for (int32_t f = 0; f < n_fields; f++) {
        mean[f] = gen_div(g, gen_sum_all(g, s.nats[f]), n);
        loss = loss ? gen_add(g, loss, mean[f]) : mean[f];
    }
    gen_optim_report report = gen_optim_minimise(g, loss, "", &m->optim);
    gen_output(g, "loss", loss);
    if (n_fields > 1) gen_output(g, "pitch", mean[0]);
    if (n_fields > 1) gen_output(g, "duration", mean[1]);
    if (report.grad_norm) gen_output(g, "grad_norm", report.grad_norm);
}

/* Means over the tokens of a window: [S,N] -> [N] */
static gen_node *window_mean(gen_graph *g, gen_node *x, gen_node *n)
{
    gen_shape shape = n->shape;
    return gen_div(g, gen_reshape(g, gen_sum(g, x, GEN_AXIS(0)), shape), gen_max(g, n, gen_scalar(g, 1)));
}

void gen_sequence_eval(gen_graph *g, const gen_model_context *m)
{
    int32_t n_fields = gen_sequence_fields(m->options);
    score s = judge(g, m, false);
    gen_node *n = gen_reshape(g, gen_sum(g, s.inside, GEN_AXIS(0)), GEN_SHAPE(m->batch));
    gen_node *nats[GEN_MAX_FIELDS], *loss = NULL, *right = NULL;
    for (int32_t f = 0; f < n_fields; f++) {
        nats[f] = window_mean(g, s.nats[f], n);
        loss = loss ? gen_add(g, loss, nats[f]) : nats[f];
        right = right ? gen_mul(g, right, s.right[f]) : s.right[f];
    }
    gen_output(g, "loss", loss);
    if (n_fields > 1) gen_output(g, "pitch", nats[0]);
    if (n_fields > 1) gen_output(g, "duration", nats[1]);
    gen_output(g, "accuracy", window_mean(g, right, n));
    gen_output(g, "weight", n);
}

void gen_sequence_next(gen_graph *g, const gen_model_context *m)
{
    const gen_sequence_options *o = m->options;
    int32_t n_fields = gen_sequence_fields(o);
    int64_t t = gen_sequence_carries(o) ? 1 : o->window;
    gen_node *x = gen_input(g, "x", GEN_SHAPE(m->batch, t, 1, n_fields));
    seen s = look(g, m, x, t, false);
    for (int32_t f = 0; f < n_fields; f++)
        gen_output(g, f ? "logits1" : "logits0",
                   gen_reshape(g, logits(g, m, s.h, f), GEN_SHAPE(m->batch, words_of(m, f))));
    if (s.attention) gen_output(g, "attention", gen_transpose(g, s.attention, (int32_t[]){ 1, 0 }));
}

gen_status gen_sequence_check(const gen_model_context *m, gen_error *err)
{
    const gen_sequence_options *o = m->options;
    if (o->bidirectional && o->attention)
        return gen_fail(err, GEN_BAD_OPTION,
                        "--attention says what comes next, --bidirectional what stands between: leave one of them out");
    if (o->bidirectional && o->window < 3)
        return gen_fail(err, GEN_BAD_OPTION, "--bidirectional needs a --window of at least 3");
    return GEN_OK;
}
