#include "models/compose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "models/sequence.h"

struct gen_composer {
    gen_run *run;
    gen_program *program;
    int64_t window; /* rows of x */
    float *x;       /* [window,F] */
    float *logits[GEN_MAX_FIELDS];
    double *room; /* for gen_draw_word */
    uint64_t step;
};

/* ---- drawing ------------------------------------------------------------------------------------------------------------------ */

static int downwards(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The least probability that is kept: of the k likeliest, and of those that have p together. sorted: room for n */
static double threshold(const double *p, int64_t n, const gen_composition *how, double *sorted)
{
    double sum = 0;
    memcpy(sorted, p, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, downwards);
    int64_t k = how->top_k > 0 && how->top_k < n ? how->top_k : n, i = 0;
    for (; i < k - 1 && sum + sorted[i] < how->top_p; i++) sum += sorted[i];
    return sorted[i];
}

static int64_t likeliest(const float *logits, int64_t n, int64_t banned, int64_t also_banned)
{
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++)
        if (i != banned && i != also_banned && (best < 0 || logits[i] > logits[best])) best = i;
    return best;
}

int64_t gen_draw_word(const float *logits, int64_t n, const gen_composition *how, int64_t banned, int64_t also_banned,
                      double u, double *room)
{
    double *p = room, sum = 0, kept = 0;
    int64_t best = likeliest(logits, n, banned, also_banned), last = best;
    if (!(how->temperature > 0)) return best;
    for (int64_t i = 0; i < n; i++) {
        bool out = i == banned || i == also_banned;
        p[i] = out ? 0 : exp(((double)logits[i] - (double)logits[best]) / how->temperature);
        sum += p[i];
    }
    for (int64_t i = 0; i < n; i++) p[i] /= sum;
    double least = threshold(p, n, how, room + n);
    for (int64_t i = 0; i < n; i++) kept += p[i] >= least ? p[i] : 0;
    for (int64_t i = 0; i < n; i++) {
        if (p[i] < least || p[i] <= 0) continue;
        last = i;
        u -= p[i] / kept;
        if (u < 0) break;
    }
    return last;
}

bool gen_repeats_too_often(const int32_t *token, int64_t n, int32_t fields, const int32_t *next, int64_t guard)
{
    enum { LONGEST_FIGURE = 64, LEAST = 32 };
    size_t bytes = (size_t)fields * sizeof *token;
    for (int64_t p = 1; p <= LONGEST_FIGURE && p <= n; p++) {
        int64_t run = p; /* tokens at the end that repeat with period p, the next one counted */
        if (memcmp(next, token + (n - p) * fields, bytes) != 0) continue;
        for (run++; run - 1 < n && n - (run - 1) - p >= 0; run++)
            if (memcmp(token + (n - (run - p)) * fields, token + (n - (run - p) - p) * fields, bytes) != 0) break;
        if (run > guard * p && run >= LEAST) return true;
    }
    return false;
}

/* ---- the network ------------------------------------------------------------------------------------------------------------------ */

gen_status gen_composer_new(gen_run *run, gen_composer **out, gen_error *err)
{
    const gen_model *model = run->settings.model;
    const gen_sequence_options *o = run->settings.options;
    if (!model->next) return gen_fail(err, GEN_UNSUPPORTED, "%s makes no tokens", model->name);
    if (o->bidirectional)
        return gen_fail(err, GEN_UNSUPPORTED,
                        "%s was trained with --bidirectional: it knows what stands between two sides, and cannot go on "
                        "with one; gen eval measures it, a run without --bidirectional goes on",
                        run->folder);
    gen_composer *c = gen_alloc(1, sizeof *c);
    if (!c) return gen_fail(err, GEN_NO_MEMORY, "no memory for a network");
    *c = (gen_composer){ .run = run, .window = gen_sequence_carries(o) ? 1 : o->window };
    int32_t fields = run->vocabulary.n_fields;
    int64_t most = 0;
    bool room = true;
    for (int32_t f = 0; f < fields; f++) {
        int64_t n = run->vocabulary.n_words[f];
        c->logits[f] = gen_alloc((size_t)n, sizeof(float));
        room = room && c->logits[f];
        most = n > most ? n : most;
    }
    c->x = gen_alloc((size_t)(c->window * fields), sizeof *c->x);
    c->room = gen_alloc((size_t)(2 * most), sizeof *c->room);
    gen_status status = room && c->x && c->room ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a network");
    if (status == GEN_OK) status = gen_run_program(run, model->next, "go on with a stream", 1, &c->program, err);
    if (status == GEN_OK) *out = c;
    else gen_composer_free(c);
    return status;
}

void gen_composer_free(gen_composer *c)
{
    if (!c) return;
    gen_program_free(c->program);
    for (int32_t f = 0; f < GEN_MAX_FIELDS; f++) gen_free(c->logits[f]);
    gen_free(c->x);
    gen_free(c->room);
    gen_free(c);
}

/* Tells the network one token more (NULL: the border) and asks what comes next. */
static gen_status tell(gen_composer *c, const int32_t *token, gen_error *err)
{
    int32_t fields = c->run->vocabulary.n_fields;
    int64_t last = (c->window - 1) * fields;
    memmove(c->x, c->x + fields, (size_t)last * sizeof *c->x);
    for (int32_t f = 0; f < fields; f++) c->x[last + f] = token ? (float)token[f] : GEN_BORDER;
    GEN_TRY(gen_program_feed(c->program, "x", c->x, c->window * fields, err));
    GEN_TRY(gen_program_run(c->program, (gen_run_state){ .step = c->step++ }, err));
    for (int32_t f = 0; f < fields; f++)
        GEN_TRY(
            gen_program_fetch(c->program, f ? "logits1" : "logits0", c->logits[f], c->run->vocabulary.n_words[f], err));
    return GEN_OK;
}

/* Uniform, of draw number i of a field */
static double uniform(const gen_composition *how, int64_t i, int32_t field)
{
    const uint32_t key = (uint32_t)gen_hash_name("compose");
    gen_philox block = gen_philox_block(how->seed, (uint32_t)i, (uint32_t)field, 0, key);
    return ((double)block.word[0] * 4294967296.0 + (double)block.word[1]) / 18446744073709551616.0;
}

/* A token of all fields; where it would repeat too often, another one of the first field. false: the piece is at its end. */
static bool draw(gen_composer *c, const gen_composition *how, const gen_stream *s, bool may_end, int64_t i,
                 int32_t token[GEN_MAX_FIELDS])
{
    const gen_vocabulary *v = &c->run->vocabulary;
    int64_t border = may_end ? -1 : GEN_BORDER;
    for (int32_t f = 0; f < v->n_fields; f++)
        token[f] = (int32_t)gen_draw_word(c->logits[f], v->n_words[f], how, f ? GEN_BORDER : border, -1,
                                          uniform(how, i, f), c->room);
    if (token[0] == GEN_BORDER) return false;
    if (how->guard > 0 && gen_repeats_too_often(s->token, s->n, v->n_fields, token, how->guard))
        token[0] = (int32_t)gen_draw_word(c->logits[0], v->n_words[0], how, GEN_BORDER, token[0],
                                          uniform(how, i, GEN_MAX_FIELDS), c->room);
    return true;
}

gen_status gen_compose(gen_composer *c, const gen_composition *how, gen_arena *arena, gen_stream *out, gen_error *err)
{
    const gen_vocabulary *v = &c->run->vocabulary;
    gen_tokeniser t = { .arena = arena, .n_fields = v->n_fields };
    gen_stream s = { 0 };
    memset(c->x, 0, (size_t)(c->window * v->n_fields) * sizeof *c->x);
    GEN_TRY(tell(c, NULL, err));
    for (int64_t i = 0; how->prime && i < how->prime->n; i++) {
        const int32_t *token = how->prime->token + i * v->n_fields;
        GEN_TRY(gen_stream_put(&t, &s, token[0], v->n_fields > 1 ? token[1] : 0, err));
        GEN_TRY(tell(c, token, err));
    }
    for (int64_t i = 0; i < how->most_tokens; i++) {
        int32_t token[GEN_MAX_FIELDS] = { 0 };
        double made = how->quarters > 0 ? gen_tokens_quarters(v, s.token, s.n, how->quarters_per_minute) : 0;
        if (how->quarters > 0 && made >= how->quarters) break;
        if (!draw(c, how, &s, how->quarters <= 0 && s.n > 0, i, token)) break;
        GEN_TRY(gen_stream_put(&t, &s, token[0], token[1], err));
        GEN_TRY(tell(c, token, err));
    }
    *out = s;
    return GEN_OK;
}
