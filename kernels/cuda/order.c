/* List scheduling: call after call, each where it can start first. How long calls take is guessed from their bytes and products: a wrong guess costs time, and
 * nothing else. */
#include "kernels/cuda/order.h"

#include <string.h>

/* One use of memory by one call. */
typedef struct access {
    uintptr_t begin, end;
    int32_t call;
    bool writes;
} access;

/* What is known of a call when it is placed: of each lane the last call that is surely done before it starts, and when it ends (ns, guessed). */
typedef struct placed {
    int32_t done[CUDA_LANES];
    double end;
} placed;

typedef struct scheduler {
    const gen_call *calls;
    cuda_slot *slots;
    placed *placed;
    access *live; /* uses that a later call may have to wait for */
    int32_t n_live, n_marks, tail[CUDA_LANES];
} scheduler;

/* ---- what a call touches ---------------------------------------------------------------------------------------------------- */

static void add(access *list, int32_t *n, const gen_view *view, int32_t call, bool writes)
{
    const uintptr_t begin = (uintptr_t)view->data;
    if (!begin) return;
    list[(*n)++] = (access){ begin, begin + (uintptr_t)gen_shape_count(&view->shape) * sizeof(float), call, writes };
}

static int32_t uses_of(const gen_call *c, int32_t call, access *list)
{
    int32_t n = 0;
    for (int32_t i = 0; i < c->n_in; i++) add(list, &n, &c->in[i], call, false);
    add(list, &n, &c->epilogue.bias, call, false);
    add(list, &n, &c->epilogue.residual, call, false);
    for (int32_t i = 0; i < c->n_out; i++) add(list, &n, &c->out[i], call, true);
    return n;
}

static bool conflict(const access *a, const access *b)
{
    return (a->writes || b->writes) && a->begin < b->end && b->begin < a->end;
}

/* Of each lane the last call in conflict with one of these uses. */
static void find_waits(const scheduler *s, const access *uses, int32_t n, int32_t wait[CUDA_LANES])
{
    for (int32_t lane = 0; lane < CUDA_LANES; lane++) wait[lane] = -1;
    for (int32_t i = 0; i < n; i++)
        for (int32_t k = 0; k < s->n_live; k++) {
            const access *old = &s->live[k];
            int32_t *last = &wait[s->slots[old->call].lane];
            if (old->call > *last && conflict(&uses[i], old)) *last = old->call;
        }
}

/* Whoever would have to wait for a use that a later write covers has to wait for that write. */
static void remember(scheduler *s, const access *uses, int32_t n)
{
    int32_t kept = 0;
    for (int32_t k = 0; k < s->n_live; k++) {
        bool covered = false;
        for (int32_t i = 0; i < n && !covered; i++)
            covered = uses[i].writes && uses[i].begin <= s->live[k].begin && s->live[k].end <= uses[i].end;
        if (!covered) s->live[kept++] = s->live[k];
    }
    memcpy(s->live + kept, uses, (size_t)n * sizeof *uses);
    s->n_live = kept + n;
}

/* ---- how long it takes ------------------------------------------------------------------------------------------------------ */

static double count(const gen_view *view)
{
    return (double)gen_shape_count(&view->shape);
}

/* What a matmul sums over. */
static double terms_of(const gen_call *c)
{
    const gen_shape *a = &c->in[0].shape;
    return (double)a->dim[a->rank - (c->attr->trans_a ? 2 : 1)];
}

static double products_of(const gen_call *c)
{
    switch (c->op) {
    case GEN_OP_MATMUL: return count(&c->out[0]) * terms_of(c);
    case GEN_OP_CONV2D: return count(&c->out[0]) * count(&c->in[1]) / (double)c->in[1].shape.dim[3];
    case GEN_OP_CONV2D_T: return count(&c->in[0]) * count(&c->in[1]) / (double)c->in[1].shape.dim[3];
    case GEN_OP_CONV2D_W: return count(&c->in[1]) * count(&c->out[0]) / (double)c->out[0].shape.dim[3];
    default: return 0;
    }
}

/* ns, of a GPU with 4 TB/s and 50 T products a second. */
static double guess_time(const gen_call *c)
{
    double numbers = 0;
    for (int32_t i = 0; i < c->n_in; i++) numbers += count(&c->in[i]);
    for (int32_t i = 0; i < c->n_out; i++) numbers += count(&c->out[i]);
    return 2000 + numbers * sizeof(float) / 4000 + products_of(c) / 50000;
}

double cuda_guess_time(const gen_call *calls, int32_t n)
{
    double ns = 0;
    for (int32_t i = 0; i < n; i++) ns += guess_time(&calls[i]);
    return ns;
}

/* ---- where and after what --------------------------------------------------------------------------------------------------- */

/* The lane in which the call can start first; one in which it need not wait for another lane, unless that costs more than a wait does. */
static int32_t choose_lane(const scheduler *s, const int32_t wait[CUDA_LANES], double *start)
{
    const double price_of_wait = 1500; /* ns */
    int32_t best = 0;
    double ready = 0, best_start = 0;
    for (int32_t lane = 0; lane < CUDA_LANES; lane++)
        if (wait[lane] >= 0 && s->placed[wait[lane]].end > ready) ready = s->placed[wait[lane]].end;
    for (int32_t lane = 0; lane < CUDA_LANES; lane++) {
        const double free = s->tail[lane] < 0 ? 0 : s->placed[s->tail[lane]].end;
        bool waits = s->tail[lane] < 0;
        for (int32_t other = 0; other < CUDA_LANES; other++) waits |= other != lane && wait[other] >= 0;
        const double from = (free > ready ? free : ready) + (waits ? price_of_wait : 0);
        if (lane > 0 && from >= best_start) continue;
        best = lane;
        best_start = from;
    }
    *start = best_start;
    return best;
}

static void learn(placed *p, const placed *from, int32_t call, int32_t lane)
{
    for (int32_t i = 0; i < CUDA_LANES; i++)
        if (from->done[i] > p->done[i]) p->done[i] = from->done[i];
    if (call > p->done[lane]) p->done[lane] = call;
}

/* Keeps of the waits those that do not follow from the lane's own past and from each other: the latest call is asked first. */
static void place(scheduler *s, int32_t call, int32_t wait[CUDA_LANES])
{
    cuda_slot *slot = &s->slots[call];
    placed *p = &s->placed[call];
    double start;
    slot->lane = choose_lane(s, wait, &start);
    p->end = start + guess_time(&s->calls[call]);
    for (int32_t i = 0; i < CUDA_LANES; i++) p->done[i] = slot->wait[i] = -1;
    if (s->tail[slot->lane] >= 0) learn(p, &s->placed[s->tail[slot->lane]], s->tail[slot->lane], slot->lane);
    for (int32_t turn = 0; turn < CUDA_LANES; turn++) {
        int32_t lane = 0;
        for (int32_t i = 1; i < CUDA_LANES; i++)
            if (wait[i] > wait[lane]) lane = i;
        const int32_t on = wait[lane];
        wait[lane] = -1;
        if (on < 0 || on <= p->done[lane]) continue;
        slot->wait[lane] = on;
        if (!s->slots[on].mark) s->slots[on].mark = ++s->n_marks;
        learn(p, &s->placed[on], on, lane);
    }
    s->tail[slot->lane] = call;
}

static int32_t most_uses(const gen_call *calls, int32_t n)
{
    int32_t uses = 0;
    for (int32_t i = 0; i < n; i++) uses += calls[i].n_in + calls[i].n_out + 2;
    return uses;
}

cuda_slot *cuda_order_calls(const gen_call *calls, int32_t n, gen_arena *arena)
{
    scheduler s = { .calls = calls };
    s.slots = gen_arena_alloc(arena, (size_t)n * sizeof *s.slots);
    s.placed = gen_arena_alloc(arena, (size_t)n * sizeof *s.placed);
    s.live = gen_arena_alloc(arena, (size_t)most_uses(calls, n) * sizeof *s.live);
    access *uses = gen_arena_alloc(arena, (size_t)most_uses(calls, n) * sizeof *uses);
    if (!s.slots || !s.placed || !s.live || !uses) return NULL;
    for (int32_t lane = 0; lane < CUDA_LANES; lane++) s.tail[lane] = -1;
    for (int32_t i = 0; i < n; i++) {
        int32_t wait[CUDA_LANES], n_uses = uses_of(&calls[i], i, uses);
        find_waits(&s, uses, n_uses, wait);
        place(&s, i, wait);
        remember(&s, uses, n_uses);
    }
    return s.slots;
}
