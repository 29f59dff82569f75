/* kernels/cpu/vec/recurrent.c: recurrent layers over T steps (equations: core/graph.h, kernels/cpu/ref/recurrent.c).
 *
 *   phase 0        packs w: forward [block][H][gates][VEC_W], a block being VEC_W units with all their gates; backward [panel][D][TILE_COLS] with
 *                  D = gates Hp, Hp being H in whole groups of a packed row
 *   phase 1 … T    one step of time; a part owns the units of one block (panel) for all samples: product in registers, then the gates' functions on
 *                  what it has just computed, so that nothing but the planes is written
 *
 * The barrier between phases is all that the steps share. Units past H are zeros in the packed weights and are not stored. Backward, a step leaves the
 * gates' gradients for the one before it also as [D/TILE_GROUP][N][TILE_GROUP]: rows of 4 H floats would lie on the same few lines of L1.
 *
 * In float, and once more in bfloat16, where H and D count words (words.h), and a step leaves its states for the next one rounded, too.
 */
#include <stdbool.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/vec_math.h"
#include "kernels/cpu/vec/words.h"

enum {
    FORWARD_ROWS =
        VEC_ISA == 3 ? 6 : 2, /* samples of a register tile: 4 gates wide forward, TILE_VECS vectors backward */
    FEW_ROWS = VEC_ISA == 3 ? 4 : 2,
    BACKWARD_ROWS = VEC_ISA == 3 ? 12 : 4,
    SOME_ROWS = VEC_ISA == 3 ? 8 : 4,
    MAX_GATES = 4,
    AHEAD_STEPS = 24, /* of packed weights, from L2 */
    AHEAD_GROUPS = 4, /* of what another thread has just handed over, and has in its L2 */
    AHEAD_ROWS = 2,   /* of the gates' gradients, that are asked for again (tile_back) */
    STATE = 0,        /* w->i: floats before the state that the backward pass carries from step to step */
    HANDED, /* and before the gates' gradients that a step hands to the one before, of STEPS_KEPT steps in turns */
    STEPS_KEPT =
        8, /* with 2, both threads still have the lines in L2 when they are written again, and asking early for a shared line is no use */
};

typedef struct sizes {
    int64_t t, n, h;
} sizes;

static sizes sizes_of(const gen_call *c)
{
    bool forward = c->op == GEN_OP_LSTM || c->op == GEN_OP_GRU;
    const int64_t *d = (forward ? &c->out[0] : &c->in[0])->shape.dim;
    return (sizes){ d[1], d[2], d[3] };
}

static int64_t blocks_of(int64_t h, int64_t width)
{
    return (h + width - 1) / width;
}

static int lanes(int64_t left)
{
    return left >= VEC_W ? VEC_W : left > 0 ? (int)left : 0;
}

VEC_INLINE vecf load_some(const float *p, int n)
{
    return n == VEC_W ? vec_load(p) : vec_load_n(p, n);
}
VEC_INLINE void store_some(float *p, vecf a, int n)
{
    if (n == VEC_W) vec_store(p, a);
    else vec_store_n(p, a, n);
}

/* ---- forward ---------------------------------------------------------------------------------------------------------------------------- */

static void forward_setup(const gen_call *c, cpu_work *w)
{
    sizes s = sizes_of(c);
    int64_t gates = c->in[1].shape.dim[1] / s.h, blocks = blocks_of(s.h, VEC_W);
    w->n_phases = 1 + (int32_t)s.t;
    for (int i = 0; i < CPU_MAX_PHASES; i++) w->parts[i] = (int32_t)blocks;
    w->i[STATE] = blocks * word_count(s.h) * gates * VEC_W;
    w->shared_bytes = (size_t)w->i[STATE] * sizeof(word);
    if (WORD_FLOATS > 1) w->shared_bytes += (size_t)(2 * s.n * blocks * VEC_W / WORD_FLOATS) * sizeof(word);
}

static void pack_block(const gen_call *c, const sizes *s, int gates, int64_t block, word *to)
{
    int64_t u0 = block * VEC_W, row = gates * s->h;
    const float *w = (const float *)c->in[1].data + u0;
    int some = lanes(s->h - u0);
    for (int64_t k = 0; k < s->h; k += WORD_FLOATS)
        for (int gate = 0; gate < gates; gate++, to += VEC_W) {
            const float *even = w + k * row + gate * s->h;
            word_put_vector(to, even, k + 1 < s->h ? even + row : NULL, some);
        }
}

typedef struct step_at { /* of a part: time, its first unit, how many of a vector count */
    int64_t t, u;
    int some;
    bool zeros;         /* the state that enters is 0 */
    const word *before; /* the states of all samples that enter, as factors, ld words a row */
    word *after;        /* where those that leave go, as factors; NULL: they are what y has */
    int64_t ld;
} step_at;

VEC_INLINE void leave(const step_at *at, int64_t n, vecf state)
{
    if (WORD_FLOATS > 1) word_put_steps(at->after + n * at->ld + at->u / WORD_FLOATS, state);
}

/* What a row of a tile reads and writes beside the product lies far apart in memory: it is asked for while the product keeps the multipliers busy. */
typedef struct ahead {
    const float *in, *out; /* of the first row: gates' inputs gates H a row, h apart; gates 4 H a row, h apart */
    const float *states;   /* planes H a row, plane apart */
    int64_t h, plane;
    int gates, planes;
    bool zeros;
} ahead;

VEC_INLINE void ask_for(const ahead *next, int64_t row)
{
    for (int g = 0; g < next->gates; g++) __builtin_prefetch(next->in + (row * next->gates + g) * next->h, 0, 3);
    for (int g = 0; g < 4; g++) __builtin_prefetch(next->out + (row * 4 + g) * next->h, 1, 3);
    for (int k = 0; k < next->planes; k++) __builtin_prefetch(next->states + row * next->h + k * next->plane, 1, 3);
}

/* acc[r][gate] = sum_k before[r][k] w[k][gate], 0 without a state */
VEC_INLINE void recur(const int rows, const int gates, const word *restrict before, int64_t ld,
                      const word *restrict packed, const ahead *next, vecf acc[FORWARD_ROWS][MAX_GATES])
{
    const int64_t depth = word_count(next->h);
    VEC_UNROLL
    for (int r = 0; r < rows; r++) {
        VEC_UNROLL
        for (int g = 0; g < gates; g++) acc[r][g] = vec_set(0);
    }
    if (next->zeros) return;
    for (int64_t row = 0, k = 0; row < rows; row++) {
        ask_for(next, row);
        for (int64_t end = depth * (row + 1) / rows; k < end; k++, packed += gates * VEC_W) {
            words b[MAX_GATES];
            VEC_UNROLL
            for (int g = 0; g < gates; g++) b[g] = word_load(packed + g * VEC_W);
            VEC_UNROLL
            for (int r = 0; r < rows; r++) {
                words a = word_set(before[r * ld + k]);
                VEC_UNROLL
                for (int g = 0; g < gates; g++) acc[r][g] = word_fma(a, b[g], acc[r][g]);
            }
        }
    }
}

/* rows samples from n on */
VEC_INLINE void lstm_tile(const int rows, const gen_call *c, const sizes *s, step_at at, int64_t n, const word *packed)
{
    const int64_t h = s->h, plane = s->t * s->n * h;
    float *gates = (float *)c->out[0].data + (at.t * s->n + n) * 4 * h + at.u,
          *y = (float *)c->out[0].data + 4 * plane + (at.t * s->n + n) * h;
    const float *cell = at.t ? y - s->n * h : (const float *)c->in[3].data + n * h;
    const float *x = (const float *)c->in[0].data + (at.t * s->n + n) * 4 * h + at.u;
    vecf a[FORWARD_ROWS][MAX_GATES];
    recur(rows, 4, at.before + n * at.ld, at.ld, packed, &(ahead){ x, gates, y + at.u, h, plane, 4, 2, at.zeros }, a);
    for (int r = 0; r < rows; r++) {
        float *to = y + r * h + at.u;
        const float *in = x + r * 4 * h;
        vecf i = vec_gate_sigmoid(a[r][0] + load_some(in, at.some)),
             f = vec_gate_sigmoid(a[r][1] + load_some(in + h, at.some)),
             g = vec_gate_tanh(a[r][2] + load_some(in + 2 * h, at.some)),
             o = vec_gate_sigmoid(a[r][3] + load_some(in + 3 * h, at.some));
        vecf now = vec_fma(f, load_some(cell + r * h + at.u, at.some), i * g), state = o * vec_gate_tanh(now);
        float *gate = gates + r * 4 * h;
        store_some(gate, i, at.some);
        store_some(gate + h, f, at.some);
        store_some(gate + 2 * h, g, at.some);
        store_some(gate + 3 * h, o, at.some);
        store_some(to, now, at.some);
        store_some(to + plane, state, at.some);
        leave(&at, n + r, state);
    }
}

VEC_INLINE void gru_tile(const int rows, const gen_call *c, const sizes *s, step_at at, int64_t n, const word *packed)
{
    const int64_t h = s->h, plane = s->t * s->n * h;
    float *gates = (float *)c->out[0].data + (at.t * s->n + n) * 4 * h + at.u,
          *y = (float *)c->out[0].data + 4 * plane + (at.t * s->n + n) * h;
    const float *state = at.t ? y - s->n * h : (const float *)c->in[3].data + n * h;
    const float *x = (const float *)c->in[0].data + (at.t * s->n + n) * 3 * h + at.u;
    const float *bias = (const float *)c->in[2].data + at.u;
    vecf a[FORWARD_ROWS][MAX_GATES];
    recur(rows, 3, at.before + n * at.ld, at.ld, packed, &(ahead){ x, gates, y + at.u, h, plane, 3, 1, at.zeros }, a);
    for (int r = 0; r < rows; r++) {
        float *to = y + r * h + at.u;
        const float *in = x + r * 3 * h;
        vecf q = a[r][2] + load_some(bias + 2 * h, at.some);
        vecf reset = vec_gate_sigmoid(a[r][0] + load_some(bias, at.some) + load_some(in, at.some)),
             z = vec_gate_sigmoid(a[r][1] + load_some(bias + h, at.some) + load_some(in + h, at.some));
        vecf new = vec_gate_tanh(vec_fma(reset, q, load_some(in + 2 * h, at.some)));
        float *gate = gates + r * 4 * h;
        store_some(gate, reset, at.some);
        store_some(gate + h, z, at.some);
        store_some(gate + 2 * h, new, at.some);
        store_some(gate + 3 * h, q, at.some);
        vecf now = vec_fma(z, load_some(state + r * h + at.u, at.some) - new, new);
        store_some(to, now, at.some);
        leave(&at, n + r, now);
    }
}

VEC_INLINE void tile_forward(const int rows, const bool gru, const gen_call *c, const sizes *s, step_at at, int64_t n,
                             const word *packed)
{
    if (gru) gru_tile(rows, c, s, at, n, packed);
    else lstm_tile(rows, c, s, at, n, packed);
}

/* The states that enter step t. */
VEC_INLINE const float *states_before(const bool gru, const gen_call *c, const sizes *s, int64_t t)
{
    if (t) return (const float *)c->out[0].data + ((gru ? 4 : 5) * s->t + t - 1) * s->n * s->h;
    return c->in[gru ? 3 : 2].data;
}

/* As most sequences begin. */
static bool all_zeros(const float *x, int64_t n)
{
    int64_t i = 0;
    while (i < n && x[i] == 0) i++;
    return i == n;
}

/* Where the product of step t finds the states of all samples, and leaves those of the next: in float in y itself; in bfloat16 rounded in shared memory, in
 * turns, the first by phase 0. */
VEC_INLINE void find_states(const float *before, const sizes *s, const cpu_job *job, step_at *at)
{
#ifdef VEC_BF16
    (void)before;
    word *states = (word *)job->shared + job->work->i[STATE];
    at->ld = job->parts * VEC_W / WORD_FLOATS;
    at->before = states + (at->t & 1) * s->n * at->ld;
    at->after = states + (~at->t & 1) * s->n * at->ld;
#else
    (void)job;
    at->ld = s->h;
    at->before = before;
#endif
}

/* The states that enter at first, of the part's units. */
static void round_states(const float *first, const sizes *s, const cpu_job *job, step_at at)
{
    find_states(first, s, job, &at);
    at.after = (word *)job->shared + job->work->i[STATE];
    for (int64_t n = 0; n < s->n; n++) leave(&at, n, load_some(first + n * s->h + at.u, at.some));
}

VEC_INLINE void run_forward(const bool gru, const gen_call *c, const cpu_job *job)
{
    const int gates = gru ? 3 : 4;
    sizes s = sizes_of(c);
    word *packed = (word *)job->shared + job->part * word_count(s.h) * gates * VEC_W;
    int64_t u = (int64_t)job->part * VEC_W, n = 0;
    step_at at = { .t = job->phase ? job->phase - 1 : 0, .u = u, .some = lanes(s.h - u) };
    const float *before = states_before(gru, c, &s, at.t);
    if (job->phase == 0) {
        pack_block(c, &s, gates, job->part, packed);
        if (WORD_FLOATS > 1) round_states(before, &s, job, at);
        return;
    }
    at.zeros = at.t == 0 && all_zeros(before, s.n * s.h);
    find_states(before, &s, job, &at);
    for (; n + FORWARD_ROWS <= s.n && s.n - n != 2 * FEW_ROWS; n += FORWARD_ROWS)
        tile_forward(FORWARD_ROWS, gru, c, &s, at, n, packed);
    for (; n + FEW_ROWS <= s.n; n += FEW_ROWS) tile_forward(FEW_ROWS, gru, c, &s, at, n, packed);
    for (; n + 2 <= s.n; n += 2) tile_forward(2, gru, c, &s, at, n, packed);
    if (n < s.n) tile_forward(1, gru, c, &s, at, n, packed);
}

static void lstm_run(const gen_call *c, const cpu_job *job)
{
    run_forward(false, c, job);
}
static void gru_run(const gen_call *c, const cpu_job *job)
{
    run_forward(true, c, job);
}

const cpu_kernel VEC_FN(lstm) = { VEC_NAME("lstm"), NULL, forward_setup, NULL, lstm_run };
const cpu_kernel VEC_FN(gru) = { VEC_NAME("gru"), NULL, forward_setup, NULL, gru_run };

/* ---- backward --------------------------------------------------------------------------------------------------------------------------- */

/* The gradient of a unit in h comes through three or four gates: all of an lstm; r, z and q of a gru. */
static int64_t padded(int64_t h)
{
    return blocks_of(h, GROUP_FLOATS) * GROUP_FLOATS;
}
static int64_t depth_of(const gen_call *c, const sizes *s)
{
    return c->in[1].shape.dim[1] / s->h * padded(s->h) / WORD_FLOATS;
}

static void backward_setup(const gen_call *c, cpu_work *w)
{
    sizes s = sizes_of(c);
    int64_t depth = depth_of(c, &s), panels = blocks_of(s.h, TILE_COLS);
    w->n_phases = 2 + (int32_t)s.t;
    for (int i = 0; i < CPU_MAX_PHASES; i++) w->parts[i] = (int32_t)panels;
    w->i[STATE] = panels * depth * TILE_COLS;
    w->i[HANDED] = w->i[STATE] + s.n * panels * TILE_COLS;
    w->shared_bytes = (size_t)(w->i[HANDED] + STEPS_KEPT * s.n * depth) * sizeof(word); /* as large as a float */
}

/* Columns of w of the panel's units: to[gate Hp + k][unit] = w[unit][gate H + k], zeros past H */
static void pack_panel(const gen_call *c, const sizes *s, int64_t panel, word *to)
{
    int64_t columns = c->in[1].shape.dim[1], depth = depth_of(c, s), u0 = panel * TILE_COLS,
            n = s->h - u0 < TILE_COLS ? s->h - u0 : TILE_COLS;
    const float *w = (const float *)c->in[1].data + u0 * columns;
    if (padded(s->h) > s->h) memset(to, 0, (size_t)(depth * TILE_COLS) * sizeof *to);
    for (int64_t gate = 0; gate < columns / s->h; gate++)
        word_put_columns(to + gate * padded(s->h) / WORD_FLOATS * TILE_COLS, w + gate * s->h, columns, s->h, n);
}

typedef struct back_at {    /* one vector of units of one sample at one step */
    const float *gates, *y; /* gates h apart, planes from the fifth on plane apart */
    const float *d_gates,
        *dy;             /* the same of dy, which has those from first to end; its planes begin with first_plane */
    const float *before; /* the state that entered the step: c of an lstm, h of a gru */
    float *da, *state;
    word *handed; /* of the first gate; the others follow hand words apart */
    int64_t h, plane, hand, hand_n;
    int first, end, first_plane, some;
} back_at;

/* Gate or plane k, and the gradient in it; zeros where it was not given. */
VEC_INLINE vecf load_y(const back_at *p, int k)
{
    return load_some(k < 4 ? p->gates + k * p->h : p->y + (k - 4) * p->plane, p->some);
}
VEC_INLINE vecf load_dy(const back_at *p, int k)
{
    if (k < p->first || k >= p->end) return vec_set(0);
    return load_some(k < 4 ? p->d_gates + k * p->h : p->dy + (k - p->first_plane) * p->plane, p->some);
}

/* What row r of a tile reads and writes beside the product, for all its vectors (see ahead). */
VEC_INLINE void ask_for_back(const back_at *p, int planes, int64_t r)
{
    for (int v = 0; v < TILE_VECS; v++) {
        int64_t at = r * p->h + v * VEC_W;
        for (int k = 0; k < planes; k++) __builtin_prefetch(p->y + k * p->plane + at, 0, 3);
        for (int k = 0; k < p->end - p->first_plane; k++) __builtin_prefetch(p->dy + k * p->plane + at, 0, 3);
        __builtin_prefetch(p->before + at, 0, 3);
        for (int gate = 0; gate < 4; gate++) {
            __builtin_prefetch(p->gates + (4 * r + gate) * p->h + v * VEC_W, 0, 3);
            __builtin_prefetch(p->da + (4 * r + gate) * p->h + v * VEC_W, 1, 3);
            __builtin_prefetch(p->handed + gate * p->hand + (v * VEC_W / GROUP_FLOATS * p->hand_n + r) * TILE_GROUP, 1,
                               3);
        }
    }
}

/* acc[r][v] += sum_k da[r][k] w[k][v]; da [depth/TILE_GROUP] groups of [..][TILE_GROUP] */
VEC_INLINE void recur_back(const int rows, const int planes, const word *restrict da, int64_t group, int64_t depth,
                           const word *restrict packed, const back_at *next, vecf acc[BACKWARD_ROWS][TILE_VECS])
{
    const int64_t groups = depth / TILE_GROUP;
    for (int64_t row = 0, g = 0; g < groups; g++, da += group) {
        if (g * rows >= row * groups) ask_for_back(next, planes, row++);
        for (int r = 0; r < rows; r++) __builtin_prefetch(da + AHEAD_GROUPS * group + r * TILE_GROUP, 0, 3);
        for (int64_t k = 0; k < TILE_GROUP; k++, packed += TILE_COLS) {
            for (int v = 0; v < TILE_VECS; v++)
                __builtin_prefetch(packed + (v + AHEAD_STEPS * TILE_VECS) * VEC_W, 0, 3);
            words b[TILE_VECS];
            VEC_UNROLL
            for (int v = 0; v < TILE_VECS; v++) b[v] = word_load(packed + v * VEC_W);
            VEC_UNROLL
            for (int r = 0; r < rows; r++) {
                words a = word_set(da[r * TILE_GROUP + k]);
                VEC_UNROLL
                for (int v = 0; v < TILE_VECS; v++) acc[r][v] = word_fma(a, b[v], acc[r][v]);
            }
        }
    }
}

VEC_INLINE void put(const back_at *p, int gate, vecf a)
{
    store_some(p->da + gate * p->h, a, p->some);
}

/* What goes back through gate `place` of w: lanes past H are zeros, since all that they are made of is. */
VEC_INLINE void hand(const back_at *p, int place, vecf a)
{
    word_put_steps(p->handed + place * p->hand, a);
}

/* dh without dy */
VEC_INLINE void lstm_back(const back_at *p, vecf dh)
{
    vecf v[6], d[6], one = vec_set(1);
    for (int k = 0; k < 6; k++) {
        v[k] = load_y(p, k);
        d[k] = load_dy(p, k);
    }
    vecf i = v[0], f = v[1], g = v[2], o = v[3], th = vec_gate_tanh(v[4]), dy = dh + d[5];
    vecf cell = vec_load(p->state) + d[4] + dy * o * (one - th * th);
    const vecf a[4] = { (cell * g + d[0]) * i * (one - i),
                        (cell * load_some(p->before, p->some) + d[1]) * f * (one - f),
                        (cell * i + d[2]) * (one - g * g), (dy * th + d[3]) * o * (one - o) };
    for (int k = 0; k < 4; k++) put(p, k, a[k]), hand(p, k, a[k]);
    vec_store(p->state, cell * f);
}

/* state: what reaches h directly, through z of the step after */
VEC_INLINE void gru_back(const back_at *p, vecf dh)
{
    vecf v[5], d[5], one = vec_set(1);
    for (int k = 0; k < 5; k++) {
        v[k] = load_y(p, k);
        d[k] = load_dy(p, k);
    }
    vecf r = v[0], z = v[1], new = v[2], q = v[3], dy = dh + d[4] + vec_load(p->state);
    vecf dn = (dy * (one - z) + d[2]) * (one - new *new);
    vecf dr = (dn * q + d[0]) * r * (one - r), dz = (dy * (load_some(p->before, p->some) - new) + d[1]) * z * (one - z),
         dq = dn * r + d[3];
    put(p, 0, dr), hand(p, 0, dr);
    put(p, 1, dz), hand(p, 1, dz);
    put(p, 2, dn); /* reaches h through q */
    put(p, 3, dq), hand(p, 2, dq);
    vec_store(p->state, dy * z);
}

/* The gates' gradients that the step t handed on. */
static word *handed_by(const gen_call *c, const sizes *s, const cpu_job *job, int64_t t)
{
    return (word *)job->shared + job->work->i[HANDED] + (t % STEPS_KEPT) * s->n * depth_of(c, s);
}

/* dh of rows samples from n on, of the panel's units, from the gates' gradients of the step after t (none after the last) */
VEC_INLINE void product_back(const int rows, const bool gru, const gen_call *c, const sizes *s, const cpu_job *job,
                             int64_t t, int64_t n, const back_at *next, vecf acc[BACKWARD_ROWS][TILE_VECS])
{
    int64_t depth = depth_of(c, s);
    VEC_UNROLL
    for (int r = 0; r < rows; r++) {
        VEC_UNROLL
        for (int v = 0; v < TILE_VECS; v++) acc[r][v] = vec_set(0);
    }
    if (t + 1 >= s->t || (t < 0 && !gru)) return;
    recur_back(rows, gru ? 0 : 1, handed_by(c, s, job, t + 1) + n * TILE_GROUP, s->n * TILE_GROUP, depth,
               (const word *)job->shared + job->part * depth * TILE_COLS, next, acc);
}

/* The first vector of sample n at step t; of step 0 before it (t = -1), where only da and state count: da is then the result's row T. */
VEC_INLINE back_at find_back(const gen_call *c, const sizes *s, const cpu_job *job, int64_t t, int64_t n)
{
    const int64_t h = s->h, u = (int64_t)job->part * TILE_COLS, step = t < 0 ? 0 : t, row = step * s->n + n;
    back_at p = { .h = h,
                  .plane = s->t * s->n * h,
                  .hand = padded(h) / WORD_FLOATS * s->n,
                  .hand_n = s->n,
                  .first = (int)c->attr->start[0] };
    p.end = p.first + (int)c->in[3].shape.dim[0];
    p.gates = (const float *)c->in[0].data + row * 4 * h + u;
    p.d_gates = (const float *)c->in[3].data + row * 4 * h + u; /* where first is 0 */
    p.y = (const float *)c->in[0].data + 4 * p.plane + row * h + u;
    p.first_plane = p.first < 4 ? 4 : p.first;
    p.dy = (const float *)c->in[3].data + (p.first_plane - p.first) * p.plane + row * h + u;
    p.before = step ? p.y - s->n * h : (const float *)c->in[2].data + n * h + u;
    p.da = (float *)c->out[0].data + ((t < 0 ? s->t : t) * s->n + n) * 4 * h + u;
    p.state = (float *)job->shared + job->work->i[STATE] + n * job->parts * TILE_COLS + u;
    p.handed = handed_by(c, s, job, step) + (u / GROUP_FLOATS * s->n + n) * TILE_GROUP + u % GROUP_FLOATS / WORD_FLOATS;
    return p;
}

/* Vector v of row r of a tile that begins at p. */
VEC_INLINE back_at move_back(const back_at *p, const sizes *s, const cpu_job *job, int r, int v)
{
    int64_t by = v * VEC_W, at = r * p->h + by;
    back_at q = *p;
    q.y += at, q.dy += at, q.before += at;
    q.gates += 4 * r * p->h + by, q.d_gates += 4 * r * p->h + by;
    q.da += 4 * r * p->h + by;
    q.state += r * job->parts * TILE_COLS + by;
    q.handed += (by / GROUP_FLOATS * s->n + r) * TILE_GROUP + by % GROUP_FLOATS / WORD_FLOATS;
    q.some = lanes(p->h - (int64_t)job->part * TILE_COLS - by);
    return q;
}

VEC_INLINE void tile_back(const int rows, const bool gru, const gen_call *c, const sizes *s, const cpu_job *job,
                          int64_t t, int64_t n)
{
    const back_at first = find_back(c, s, job, t, n);
    vecf acc[BACKWARD_ROWS][TILE_VECS];
    product_back(rows, gru, c, s, job, t, n, &first, acc);
    for (int r = 0; r < rows; r++) {
        /* planes of a power of two lie on the same sets of the caches, so that what was asked for early has been thrown out as far as L3 */
        if (r + AHEAD_ROWS < rows) ask_for_back(&first, gru ? 0 : 1, r + AHEAD_ROWS);
        for (int v = 0; v < TILE_VECS; v++) {
            const back_at p = move_back(&first, s, job, r, v);
            if (!p.some) break;
            if (t < 0) { /* the gradient in the first state */
                put(&p, 0, vec_load(p.state) + (gru ? acc[r][v] : vec_set(0)));
                for (int k = 1; k < 4; k++) put(&p, k, vec_set(0));
            } else if (gru) {
                gru_back(&p, acc[r][v]);
            } else {
                lstm_back(&p, acc[r][v]);
            }
        }
    }
}

/* Phases: pack; steps T-1 … 0; the gradient in the first state. */
VEC_INLINE void run_back(const bool gru, const gen_call *c, const cpu_job *job)
{
    sizes s = sizes_of(c);
    int64_t depth = depth_of(c, &s), width = job->parts * TILE_COLS, n = 0;
    if (job->phase == 0) {
        pack_panel(c, &s, job->part, (word *)job->shared + job->part * depth * TILE_COLS);
        float *state = (float *)job->shared + job->work->i[STATE] + job->part * TILE_COLS;
        for (; n < s.n; n++) memset(state + n * width, 0, TILE_COLS * sizeof *state);
        if (!job->part && padded(s.h) > blocks_of(s.h, VEC_W) * VEC_W) /* what no step writes, since no unit is there */
            memset((float *)job->shared + job->work->i[HANDED], 0, (size_t)(STEPS_KEPT * s.n * depth) * sizeof *state);
        return;
    }
    int64_t t = s.t - job->phase;
    for (; n + BACKWARD_ROWS <= s.n; n += BACKWARD_ROWS) tile_back(BACKWARD_ROWS, gru, c, &s, job, t, n);
    for (; n + SOME_ROWS <= s.n; n += SOME_ROWS) tile_back(SOME_ROWS, gru, c, &s, job, t, n);
    for (; n + 2 <= s.n; n += 2) tile_back(2, gru, c, &s, job, t, n);
    if (n < s.n) tile_back(1, gru, c, &s, job, t, n);
}

static void lstm_dx_run(const gen_call *c, const cpu_job *job)
{
    run_back(false, c, job);
}
static void gru_dx_run(const gen_call *c, const cpu_job *job)
{
    run_back(true, c, job);
}

const cpu_kernel VEC_FN(lstm_dx) = { VEC_NAME("lstm_dx"), NULL, backward_setup, NULL, lstm_dx_run };
const cpu_kernel VEC_FN(gru_dx) = { VEC_NAME("gru_dx"), NULL, backward_setup, NULL, gru_dx_run };
