/* EM (Dempster et al. 1977):  r_ik = w_k N(x_i; m_k, S_k) / sum_j w_j N(x_i; m_j, S_j);   w_k = sum_i r_ik / n,   m_k and S_k are r's weighted moments.
 * k-means++ (Arthur & Vassilvitskii 2007): each new centre is a point drawn with probability in proportion to its squared distance to the centres there are. */
#include "models/mixture.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "models/data.h"
#include "models/evaluate.h"

enum { MOST_ROUNDS = 200, START_ROUNDS = 10 };
static const double enough = 1e-5,
                    ridge = 1e-6; /* nats a code from round to round; added to variances, as part of their mean */

typedef struct fit {
    const float *x; /* [n,d] */
    int64_t n, d;
    uint64_t seed;
    gen_mixture *m;
    double *r;    /* [n,k] responsibilities */
    double *room; /* [d] */
    double floor; /* of variances */
} fit;

static double uniform(uint64_t seed, uint32_t i, uint32_t key)
{
    gen_philox block = gen_philox_block(seed, i, 0, 0, key);
    return ((double)block.word[0] + (double)block.word[1] * 0x1p-32) * 0x1p-32;
}

/* ---- start ----------------------------------------------------------------------------------------------------------------- */

static double square_distance(const fit *f, int64_t i, int64_t k)
{
    double sum = 0;
    for (int64_t j = 0; j < f->d; j++) {
        double e = (double)f->x[i * f->d + j] - f->m->mean[k * f->d + j];
        sum += e * e;
    }
    return sum;
}

static void take_point(fit *f, int64_t k, int64_t i)
{
    for (int64_t j = 0; j < f->d; j++) f->m->mean[k * f->d + j] = (double)f->x[i * f->d + j];
}

/* nearest[n]: room for squared distances */
static void plus_plus(fit *f, double *nearest)
{
    const uint32_t key = (uint32_t)gen_hash_name("mixture start");
    take_point(f, 0, (int64_t)(uniform(f->seed, 0, key) * (double)f->n));
    for (int64_t i = 0; i < f->n; i++) nearest[i] = square_distance(f, i, 0);
    for (int64_t k = 1; k < f->m->k; k++) {
        double total = 0, at;
        int64_t chosen = 0;
        for (int64_t i = 0; i < f->n; i++) total += nearest[i];
        at = uniform(f->seed, (uint32_t)k, key) * total;
        while (chosen < f->n - 1 && (at -= nearest[chosen]) >= 0) chosen++;
        take_point(f, k, chosen);
        for (int64_t i = 0; i < f->n; i++) nearest[i] = fmin(nearest[i], square_distance(f, i, k));
    }
}

/* r becomes 1 at the nearest mean, else 0. */
static void assign_nearest(fit *f)
{
    int64_t k = f->m->k;
    for (int64_t i = 0; i < f->n; i++) {
        int64_t best = 0;
        double least = INFINITY;
        for (int64_t c = 0; c < k; c++) {
            double square = square_distance(f, i, c);
            f->r[i * k + c] = 0;
            if (square < least) least = square, best = c;
        }
        f->r[i * k + best] = 1;
    }
}

/* ---- maximisation ------------------------------------------------------------------------------------------------------------- */

/* Weights and means; a component that nobody belongs to stays where it is. */
static void move_means(fit *f)
{
    int64_t k = f->m->k, d = f->d;
    for (int64_t c = 0; c < k; c++) {
        double sum = 0, *mean = f->m->mean + c * d;
        for (int64_t i = 0; i < f->n; i++) sum += f->r[i * k + c];
        f->m->weight[c] = sum / (double)f->n;
        if (!(sum > 1e-9)) continue;
        memset(mean, 0, (size_t)d * sizeof *mean);
        for (int64_t i = 0; i < f->n; i++)
            for (int64_t j = 0; j < d; j++) mean[j] += f->r[i * k + c] / sum * (double)f->x[i * d + j];
    }
}

/* s[d,d], symmetric -> its lower Cholesky factor. The ridge keeps it positive. */
static void factorise(double *s, int64_t d)
{
    for (int64_t j = 0; j < d; j++)
        for (int64_t i = j; i < d; i++) {
            double sum = s[i * d + j];
            for (int64_t l = 0; l < j; l++) sum -= s[i * d + l] * s[j * d + l];
            if (i == j) s[j * d + j] = sqrt(sum > 1e-300 ? sum : 1e-300);
            else s[i * d + j] = sum / s[j * d + j];
        }
}

static void move_covariances(fit *f)
{
    int64_t k = f->m->k, d = f->d;
    for (int64_t c = 0; c < k; c++) {
        double *s = f->m->factor + c * d * d, *mean = f->m->mean + c * d, sum = f->m->weight[c] * (double)f->n;
        memset(s, 0, (size_t)(d * d) * sizeof *s);
        for (int64_t i = 0; i < f->n && sum > 1e-9; i++) {
            double r = f->r[i * k + c] / sum;
            if (r < 1e-300) continue;
            for (int64_t j = 0; j < d; j++) f->room[j] = (double)f->x[i * d + j] - mean[j];
            for (int64_t j = 0; j < d; j++)
                for (int64_t l = 0; l <= j; l++) s[j * d + l] += r * f->room[j] * f->room[l];
        }
        for (int64_t j = 0; j < d; j++) s[j * d + j] += f->floor;
        factorise(s, d);
    }
}

/* ---- expectation ---------------------------------------------------------------------------------------------------------------- */

/* log w_k N(x_i; m_k, S_k): with e = L^-1 (x - m), -1/2 |e|^2 - sum log L_jj - d/2 log 2 pi */
static double log_part(const fit *f, int64_t i, int64_t k)
{
    int64_t d = f->d;
    const double *factor = f->m->factor + k * d * d, log_2pi = 1.83787706640934548356;
    double sum = log(f->m->weight[k]) - 0.5 * (double)d * log_2pi;
    for (int64_t j = 0; j < d; j++) {
        double e = (double)f->x[i * d + j] - f->m->mean[k * d + j];
        for (int64_t l = 0; l < j; l++) e -= factor[j * d + l] * f->room[l];
        f->room[j] = e / factor[j * d + j];
        sum -= 0.5 * f->room[j] * f->room[j] + log(factor[j * d + j]);
    }
    return sum;
}

/* Responsibilities; returns the mean log likelihood. */
static double expect(fit *f)
{
    int64_t k = f->m->k;
    double total = 0;
    for (int64_t i = 0; i < f->n; i++) {
        double *r = f->r + i * k, high = -INFINITY, sum = 0;
        for (int64_t c = 0; c < k; c++) high = fmax(high, r[c] = log_part(f, i, c));
        for (int64_t c = 0; c < k; c++) sum += r[c] = exp(r[c] - high);
        for (int64_t c = 0; c < k; c++) r[c] /= sum;
        total += high + log(sum);
    }
    return total / (double)f->n;
}

/* The mean variance of all numbers, of which the ridge is a part */
static double variance_of(const float *x, int64_t n, int64_t d)
{
    double total = 0;
    for (int64_t j = 0; j < d; j++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)x[i * d + j], squares += (double)x[i * d + j] * (double)x[i * d + j];
        total += squares / (double)n - sum / (double)n * (sum / (double)n);
    }
    return total / (double)d;
}

static void run_em(fit *f)
{
    plus_plus(f, f->r); /* r has room for n distances */
    for (int i = 0; i < START_ROUNDS; i++) {
        assign_nearest(f);
        move_means(f);
    }
    move_covariances(f);
    double before = -INFINITY;
    for (int i = 0; i < MOST_ROUNDS; i++) {
        f->m->log_likelihood = expect(f);
        if (f->m->log_likelihood - before < enough) return;
        before = f->m->log_likelihood;
        move_means(f);
        move_covariances(f);
    }
}

gen_status gen_mixture_fit(const float *x, int64_t n, int64_t d, int64_t k, uint64_t seed, gen_arena *arena,
                           gen_mixture *m, gen_error *err)
{
    if (n <= k || k < 1)
        return gen_fail(err, GEN_BAD_OPTION, "a mixture of %lld components needs more than %lld codes, there are %lld",
                        (long long)k, (long long)k, (long long)n);
    *m = (gen_mixture){ .k = k, .d = d };
    m->weight = gen_arena_alloc(arena, (size_t)k * sizeof *m->weight);
    m->mean = gen_arena_alloc(arena, (size_t)(k * d) * sizeof *m->mean);
    m->factor = gen_arena_alloc(arena, (size_t)(k * d * d) * sizeof *m->factor);
    fit f = { .x = x, .n = n, .d = d, .seed = seed, .m = m, .floor = ridge * variance_of(x, n, d) + 1e-12 };
    f.r = gen_alloc((size_t)(n * k), sizeof *f.r);
    f.room = gen_alloc((size_t)d, sizeof *f.room);
    bool room = m->weight && m->mean && m->factor && f.r && f.room;
    if (room) run_em(&f);
    gen_free(f.r);
    gen_free(f.room);
    return room ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a mixture of %lld codes", (long long)n);
}

/* ---- codes of a run ---------------------------------------------------------------------------------------------------------------- */

/* z[n,d]; logvar[n,d] is room, and -infinity where the encoder gives none */
static gen_status encode_all(gen_run *run, const gen_dataset *data, gen_range range, int64_t n, float *z, float *logvar,
                             float *x, gen_error *err)
{
    int64_t d = gen_latent_size(run), index[GEN_EVAL_BATCH];
    float labels[GEN_EVAL_BATCH];
    for (int64_t i = 0; i < n * d; i++) logvar[i] = -INFINITY;
    for (int64_t i = 0; i < n; i += GEN_EVAL_BATCH) {
        int64_t some = n - i < GEN_EVAL_BATCH ? n - i : GEN_EVAL_BATCH;
        for (int64_t k = 0; k < some; k++) index[k] = range.first + i + k;
        gen_dataset_batch(data, index, (int32_t)some, x);
        GEN_TRY(gen_encode(run, x, gen_data_labels(data, index, some, labels), some, z + i * d, logvar + i * d, err));
    }
    return GEN_OK;
}

gen_status gen_mixture_of_codes(gen_run *run, const gen_dataset *data, gen_range range, int64_t k, uint64_t seed,
                                gen_arena *arena, gen_mixture *mixture, gen_error *err)
{
    int64_t n = range.n < GEN_MIXTURE_CODES ? range.n : GEN_MIXTURE_CODES, d = gen_latent_size(run),
            pixels = run->height * run->width * run->channels;
    float *room = gen_alloc((size_t)(3 * n * d + GEN_EVAL_BATCH * pixels), sizeof *room);
    if (!room) return gen_fail(err, GEN_NO_MEMORY, "no memory for %lld codes", (long long)n);
    float *z = room, *logvar = z + n * d, *eps = logvar + n * d;
    gen_status status = encode_all(run, data, range, n, z, logvar, eps + n * d, err);
    if (status == GEN_OK) {
        gen_latent_draw(seed, 0, n, d, eps);
        for (int64_t i = 0; i < n * d; i++) z[i] += expf(0.5f * logvar[i]) * eps[i];
        status = gen_mixture_fit(z, n, d, k, seed, arena, mixture, err);
    }
    gen_free(room);
    return status;
}

void gen_mixture_draw(const gen_mixture *m, uint64_t seed, uint64_t first, int64_t n, float *z)
{
    const uint32_t key = (uint32_t)gen_hash_name("mixture component");
    int64_t d = m->d;
    gen_latent_draw(seed, first, n, d, z);
    for (int64_t i = 0; i < n; i++) {
        double at = uniform(seed, (uint32_t)(first + (uint64_t)i), key);
        int64_t k = 0;
        while (k < m->k - 1 && (at -= m->weight[k]) >= 0) k++;
        for (int64_t j = d - 1; j >= 0; j--) { /* the last first: numbers below j are still noise */
            double sum = m->mean[k * d + j];
            for (int64_t l = 0; l <= j; l++) sum += m->factor[(k * d + j) * d + l] * (double)z[i * d + l];
            z[i * d + j] = (float)sum;
        }
    }
}
