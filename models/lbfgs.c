/* d = -H g, where H is the inverse Hessian that the last steps s_i and changes of the gradient y_i suggest, by the two-loop recursion (Nocedal & Wright
 * 2006, algorithm 7.4), starting from H0 = s^T y / y^T y of the last pair. Sums are double. */
#include "models/lbfgs.h"

#include <math.h>
#include <string.h>

enum { MAX_HISTORY = 1000 };

struct gen_lbfgs {
    int64_t n;
    int32_t room, count, oldest; /* pairs: oldest is the place of the first of them */
    bool started;
    double lr, scale; /* length of the last step along d; H0 */
    float *s, *y;     /* [room,n] */
    float *d, *last;  /* direction and gradient of the last step */
    double *rho, *alpha;
};

size_t gen_lbfgs_bytes(int64_t n, int32_t history)
{
    return (size_t)n * (2 * (size_t)history + 2) * sizeof(float);
}

gen_status gen_lbfgs_new(int64_t n, int32_t history, double lr, gen_lbfgs **out, gen_error *err)
{
    if (n < 1 || history < 1 || history > MAX_HISTORY)
        return gen_fail(err, GEN_BAD_OPTION, "L-BFGS remembers 1 to %d steps, not %d", MAX_HISTORY, history);
    gen_lbfgs *o = gen_alloc(1, sizeof *o);
    if (!o) return gen_fail(err, GEN_NO_MEMORY, "no memory for L-BFGS");
    *o = (gen_lbfgs){ .n = n, .room = history, .lr = lr, .scale = 1 };
    o->s = gen_alloc((size_t)history, (size_t)n * sizeof *o->s);
    o->y = gen_alloc((size_t)history, (size_t)n * sizeof *o->y);
    o->d = gen_alloc((size_t)n, sizeof *o->d);
    o->last = gen_alloc((size_t)n, sizeof *o->last);
    o->rho = gen_alloc((size_t)history, sizeof *o->rho);
    o->alpha = gen_alloc((size_t)history, sizeof *o->alpha);
    if (!o->s || !o->y || !o->d || !o->last || !o->rho || !o->alpha) {
        gen_lbfgs_free(o);
        return gen_fail(err, GEN_NO_MEMORY, "no memory for %d steps of L-BFGS; a smaller --history needs less",
                        history);
    }
    *out = o;
    return GEN_OK;
}

void gen_lbfgs_free(gen_lbfgs *o)
{
    if (!o) return;
    gen_free(o->s);
    gen_free(o->y);
    gen_free(o->d);
    gen_free(o->last);
    gen_free(o->rho);
    gen_free(o->alpha);
    gen_free(o);
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* a += c b */
static void add(float *a, double c, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) a[i] = (float)((double)a[i] + c * (double)b[i]);
}

/* Place of the i-th pair, the oldest first. */
static int32_t place(const gen_lbfgs *o, int32_t i)
{
    return (o->oldest + i) % o->room;
}

/* The last step s = lr d and what it did to the gradient become a pair, when the curvature along it is positive. */
static void remember(gen_lbfgs *o, const float *g)
{
    int32_t at = o->count < o->room ? place(o, o->count) : o->oldest;
    double sy = 0;
    for (int64_t i = 0; i < o->n; i++) sy += ((double)g[i] - (double)o->last[i]) * (double)o->d[i] * o->lr;
    if (!(sy > 1e-10)) return;
    float *s = o->s + at * o->n, *y = o->y + at * o->n;
    for (int64_t i = 0; i < o->n; i++) {
        y[i] = g[i] - o->last[i];
        s[i] = (float)((double)o->d[i] * o->lr);
    }
    o->rho[at] = 1 / sy;
    o->scale = sy / dot(y, y, o->n);
    if (o->count < o->room) o->count++;
    else o->oldest = (o->oldest + 1) % o->room;
}

static void direct(gen_lbfgs *o, const float *g)
{
    int64_t n = o->n;
    for (int64_t i = 0; i < n; i++) o->d[i] = -g[i];
    for (int32_t i = o->count - 1; i >= 0; i--) {
        int32_t at = place(o, i);
        o->alpha[at] = dot(o->s + at * n, o->d, n) * o->rho[at];
        add(o->d, -o->alpha[at], o->y + at * n, n);
    }
    for (int64_t i = 0; i < n; i++) o->d[i] = (float)((double)o->d[i] * o->scale);
    for (int32_t i = 0; i < o->count; i++) {
        int32_t at = place(o, i);
        double beta = dot(o->y + at * n, o->d, n) * o->rho[at];
        add(o->d, o->alpha[at] - beta, o->s + at * n, n);
    }
}

bool gen_lbfgs_step(gen_lbfgs *o, const float *g, float *x)
{
    double lr = o->lr, length = 0;
    if (o->started) remember(o, g);
    direct(o, g);
    if (!(dot(g, o->d, o->n) < -1e-9)) return false; /* PyTorch's tolerance_change */
    for (int64_t i = 0; i < o->n && !o->started; i++) length += fabs((double)g[i]);
    if (!o->started && length > 1) { /* the first direction is the plain gradient: a step of it may be far too long */
        for (int64_t i = 0; i < o->n; i++) o->d[i] = (float)((double)o->d[i] / length);
    }
    add(x, lr, o->d, o->n);
    memcpy(o->last, g, (size_t)o->n * sizeof *g);
    o->started = true;
    return true;
}
