#include "models/kneser_ney.h"

#include <math.h>
#include <stdbool.h>

/* ---- counts by up to three words ---------------------------------------------------------------------------------------------- */

typedef struct cell {
    uint64_t key;           /* of the words, plus 1; 0: free */
    int64_t count, follows; /* of a context: all that follows it, and how many different words */
} cell;

typedef struct table {
    cell *cell;
    int64_t n, room; /* room is a power of two */
} table;

static uint64_t key_of(int64_t u, int64_t v, int64_t w)
{
    return ((uint64_t)u << 42 | (uint64_t)v << 21 | (uint64_t)w) + 1;
}

static cell *place_of(const table *t, uint64_t key)
{
    uint64_t mask = (uint64_t)t->room - 1, at = (key * 0x9E3779B97F4A7C15ull) >> 20 & mask;
    while (t->cell[at].key && t->cell[at].key != key) at = (at + 1) & mask;
    return &t->cell[at];
}

static cell *find(const table *t, uint64_t key)
{
    cell *c = t->room ? place_of(t, key) : NULL;
    return c && c->key ? c : NULL;
}

/* The cell of a key, made when it is new; NULL: no memory */
static cell *touch(table *t, uint64_t key)
{
    if (2 * t->n >= t->room) {
        table bigger = { .n = t->n, .room = t->room ? 2 * t->room : 1024 };
        bigger.cell = gen_alloc((size_t)bigger.room, sizeof *bigger.cell);
        if (!bigger.cell) return NULL;
        for (int64_t i = 0; i < t->room; i++)
            if (t->cell[i].key) *place_of(&bigger, t->cell[i].key) = t->cell[i];
        gen_free(t->cell);
        *t = bigger;
    }
    cell *c = place_of(t, key);
    if (!c->key) {
        c->key = key;
        t->n++;
    }
    return c;
}

/* ---- fitting --------------------------------------------------------------------------------------------------------------------- */

struct gen_kneser_ney {
    int64_t n_words;
    table three, after_two; /* c(uvw); of uv: c(uv.), N(uv.) */
    table two, after_one;   /* N(.vw); of v: N(.v.), N(v.) */
    table one;              /* N(.w) */
    int64_t all_two, n_one; /* N(..), N(.) */
    double discount[3];     /* D1, D2, D3 */
};

gen_status gen_kneser_ney_new(int64_t n_words, gen_kneser_ney **out, gen_error *err)
{
    if (n_words > GEN_KNESER_NEY_MAX_WORDS)
        return gen_fail(err, GEN_UNSUPPORTED, "%lld words are too many to be counted, at most %d", (long long)n_words,
                        GEN_KNESER_NEY_MAX_WORDS);
    gen_kneser_ney *k = gen_alloc(1, sizeof *k);
    if (!k) return gen_fail(err, GEN_NO_MEMORY, "no memory for counts");
    k->n_words = n_words;
    *out = k;
    return GEN_OK;
}

void gen_kneser_ney_free(gen_kneser_ney *k)
{
    if (!k) return;
    table *all[] = { &k->three, &k->after_two, &k->two, &k->after_one, &k->one };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) gen_free(all[i]->cell);
    gen_free(k);
}

gen_status gen_kneser_ney_add(gen_kneser_ney *k, const int64_t *word, int64_t n, gen_error *err)
{
    int64_t u = 0, v = 0;
    for (int64_t i = 0; i <= n; i++) {
        int64_t w = i < n ? word[i] : 0;
        cell *c = touch(&k->three, key_of(u, v, w));
        if (!c) return gen_fail(err, GEN_NO_MEMORY, "no memory for counts");
        c->count++;
        u = v;
        v = w;
    }
    return GEN_OK;
}

/* For each different series in `from`: one more of what follows `first` words of it in `contexts`, one more of its last words in `shorter`. */
static bool derive(const table *from, table *contexts, table *shorter, int first)
{
    const uint64_t word = (1u << 21) - 1;
    for (int64_t i = 0; i < from->room; i++) {
        const cell *c = &from->cell[i];
        if (!c->key) continue;
        uint64_t series = c->key - 1, context = first == 2 ? series >> 21 : series >> 21 & word,
                 rest = first == 2 ? series & (word << 21 | word) : series & word;
        cell *a = touch(contexts, context + 1);
        if (!a) return false;
        a->count += c->count;
        a->follows++;
        cell *b = touch(shorter, rest + 1);
        if (!b) return false;
        b->count++;
    }
    return true;
}

/* n1 / (n1 + 2 n2); where nothing is counted once there is nothing to take away. */
static double discount(const table *t)
{
    int64_t n[3] = { 0 };
    for (int64_t i = 0; i < t->room; i++)
        if (t->cell[i].key && t->cell[i].count <= 2) n[t->cell[i].count]++;
    return n[1] ? (double)n[1] / (double)(n[1] + 2 * n[2]) : 0;
}

gen_status gen_kneser_ney_fit(gen_kneser_ney *k, gen_error *err)
{
    if (!derive(&k->three, &k->after_two, &k->two, 2) || !derive(&k->two, &k->after_one, &k->one, 1))
        return gen_fail(err, GEN_NO_MEMORY, "no memory for counts");
    k->n_one = k->one.n;
    k->all_two = k->two.n;
    k->discount[0] = discount(&k->one);
    k->discount[1] = discount(&k->two);
    k->discount[2] = discount(&k->three);
    return GEN_OK;
}

/* max(c - D, 0) / total + D follows / total lower; lower where the context was never seen */
static double interpolate(const table *counts, uint64_t key, const cell *context, double d, double lower)
{
    const cell *c = find(counts, key);
    if (!context) return lower;
    double own = c ? (double)c->count - d : 0, total = (double)context->count;
    return (own > 0 ? own : 0) / total + d * (double)context->follows / total * lower;
}

double gen_kneser_ney_probability(const gen_kneser_ney *k, int64_t u, int64_t v, int64_t w)
{
    cell all = { .count = k->all_two, .follows = k->n_one };
    double one =
        interpolate(&k->one, key_of(0, 0, w), k->all_two ? &all : NULL, k->discount[0], 1 / (double)k->n_words);
    double two = interpolate(&k->two, key_of(0, v, w), find(&k->after_one, key_of(0, 0, v)), k->discount[1], one);
    return interpolate(&k->three, key_of(u, v, w), find(&k->after_two, key_of(0, u, v)), k->discount[2], two);
}

double gen_kneser_ney_nats(const gen_kneser_ney *k, const int64_t *word, int64_t n)
{
    double nats = 0;
    int64_t u = 0, v = 0;
    for (int64_t i = 0; i <= n; i++) {
        int64_t w = i < n ? word[i] : 0;
        nats -= log(gen_kneser_ney_probability(k, u, v, w));
        u = v;
        v = w;
    }
    return nats;
}
