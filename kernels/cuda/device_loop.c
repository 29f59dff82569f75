/* Runs of a plan on end: the training data lie on the device, kernels draw each run's rows, keep what it puts out in a ring and count the steps; so one launch
 * can be many runs, and the host says nothing between two launches. */
#include "kernels/cuda/exec.h"
#include "kernels/cuda/lower.h"

#include <string.h>

enum { MAX_BLOCKS = 8, ROW_PART = 4096, MOST_RUNS = 32, MOST_NODES = 16384, MOST_ROWS = 1 << 29 };
static const double LAUNCH_NS =
    1e6; /* what a launch should last at least: the microseconds that it costs are then nothing */
static const double MOST_RESIDENT_BYTES = 16e9; /* of training data */

struct cuda_loop {
    void *block[MAX_BLOCKS]; /* device memory */
    int32_t n_blocks;
    void *one, *many; /* graphs of one run and of `runs`; many NULL: there is none */
    int32_t runs;
    float *ring; /* [room][n_numbers]: step s has row s % room */
    int32_t room, n_numbers;
};

/* A run's calls, and what goes before and behind them. */
typedef struct frame {
    cuda_lowering calls;
    loop_start_args start;
    take_rows_args take;
    loop_end_args end;
} frame;

/* ---- memory ----------------------------------------------------------------------------------------------------------------- */

static gen_status take_memory(gen_exec *exec, size_t bytes, void **memory, gen_error *err)
{
    cuda_loop *loop = exec->loop;
    const cuda_runtime *rt = &exec->cuda->rt;
    if (loop->n_blocks == MAX_BLOCKS || rt->alloc(rt->context, memory, bytes ? bytes : 1))
        return gen_fail(err, GEN_NO_MEMORY, "no memory on %s for %.1f MB of training data", exec->cuda->name,
                        1e-6 * (double)bytes);
    loop->block[loop->n_blocks++] = *memory;
    return GEN_OK;
}

static gen_status copy_to(gen_exec *exec, const void *from, size_t bytes, void **there, gen_error *err)
{
    const cuda_runtime *rt = &exec->cuda->rt;
    GEN_TRY(take_memory(exec, bytes, there, err));
    int code = rt->copy_in(rt->context, *there, from, bytes);
    return code ? cuda_failed(exec->cuda, "copying training data to it", code, err) : GEN_OK;
}

/* The rows that decks draw from, without those before and behind them. */
static void find_used(const gen_rows *rows, int64_t *first, int64_t *n)
{
    int64_t end = 0;
    *first = rows->n;
    for (int32_t d = 0; d < rows->n_decks; d++) {
        const gen_deck *deck = &rows->deck[d];
        if (deck->first < *first) *first = deck->first;
        if (deck->first + deck->n > end) end = deck->first + deck->n;
    }
    *n = end - *first;
}

static gen_status check_rows(const gen_rows *rows, gen_error *err)
{
    const double bytes = (double)rows->n * (double)rows->width * (rows->bytes ? 1 : sizeof *rows->values);
    bool fits = rows->n < MOST_ROWS && rows->width < MOST_ROWS && bytes < MOST_RESIDENT_BYTES;
    for (int32_t d = 0; d < rows->n_decks && fits; d++)
        if (rows->share < 1 || rows->deck[d].per_pass < rows->share || rows->deck[d].per_pass > rows->deck[d].n)
            return gen_fail(err, GEN_UNSUPPORTED, "a run draws more than a pass of the data");
    return fits ? GEN_OK : gen_fail(err, GEN_UNSUPPORTED, "the training data are larger than a GPU should hold");
}

static gen_status load_rows(gen_exec *exec, const gen_loop *loop, take_rows_args *take, gen_error *err)
{
    const gen_rows *rows = loop->rows;
    int64_t first, n;
    void *there;
    find_used(rows, &first, &n);
    const size_t at = (size_t)(first * rows->width), count = (size_t)(n * rows->width);
    *take = (take_rows_args){ .x = loop->x, .label = loop->label, .share = (int32_t)rows->share };
    take->state = exec->state_here;
    take->width = (int32_t)rows->width;
    take->parts = (take->width + ROW_PART - 1) / ROW_PART;
    if (rows->bytes) {
        GEN_TRY(copy_to(exec, rows->bytes + at, count, &there, err));
        take->bytes = there;
    } else {
        GEN_TRY(copy_to(exec, rows->values + at, count * sizeof *rows->values, &there, err));
        take->values = there;
    }
    if (!rows->labels || !loop->label) return GEN_OK;
    GEN_TRY(copy_to(exec, rows->labels + first, (size_t)n * sizeof *rows->labels, &there, err));
    take->labels = there;
    return GEN_OK;
}

static gen_status make_deck(gen_exec *exec, const gen_deck *deck, int64_t first_row, loop_deck *out, gen_error *err)
{
    void *there;
    *out = (loop_deck){ .seed = deck->seed, .in_order = deck->in_order };
    out->first = (int32_t)(deck->first - first_row);
    out->n = (int32_t)deck->n;
    out->per_pass = (int32_t)deck->per_pass;
    if (deck->in_order) return GEN_OK;
    GEN_TRY(take_memory(exec, (size_t)(6 * deck->n + 2) * sizeof *out->order, &there, err));
    out->order = there;
    out->head = out->order + 2 * deck->n;
    out->next = out->head + 2 * deck->n;
    return GEN_OK;
}

static gen_status make_decks(gen_exec *exec, const gen_rows *rows, frame *f, gen_error *err)
{
    int64_t first, n;
    void *there;
    find_used(rows, &first, &n);
    GEN_TRY(take_memory(exec, sizeof *f->start.passes, &there, err));
    f->start.state = exec->state_here;
    f->start.passes = there;
    f->start.n_decks = rows->n_decks;
    f->start.share = (int32_t)rows->share;
    for (int32_t d = 0; d < rows->n_decks; d++) {
        GEN_TRY(make_deck(exec, &rows->deck[d], first, &f->start.deck[d], err));
        f->take.deck[d] = f->start.deck[d];
    }
    return GEN_OK;
}

static gen_status make_ring(gen_exec *exec, const gen_loop *loop, loop_end_args *end, gen_error *err)
{
    void *there;
    cuda_loop *l = exec->loop;
    l->room = loop->most;
    l->n_numbers = loop->n_numbers;
    GEN_TRY(take_memory(exec, (size_t)l->room * (size_t)l->n_numbers * sizeof *l->ring, &there, err));
    l->ring = there;
    *end = (loop_end_args){ .state = exec->state_here, .ring = l->ring, .n = l->n_numbers, .room = l->room };
    for (int32_t i = 0; i < loop->n_numbers; i++) end->number[i] = loop->number[i];
    return GEN_OK;
}

/* ---- graphs ----------------------------------------------------------------------------------------------------------------- */

static void emit_start(const frame *f, int32_t runs, cuda_launches *list)
{
    loop_start_args start = f->start;
    start.runs = runs;
    EMIT(list, loop_start, 1, &start);
    for (int32_t d = 0; d < start.n_decks; d++) {
        if (start.deck[d].in_order) continue;
        const shuffle_args a = { start.passes, start.deck[d], d };
        const int64_t blocks = cuda_item_blocks(2 * (int64_t)a.deck.n);
        EMIT(list, shuffle_clear, blocks, &a);
        EMIT(list, shuffle_link, blocks, &a);
        EMIT(list, shuffle_trace, blocks, &a);
    }
}

static int capture_runs(const cuda_device *cuda, const frame *f, int32_t runs, gen_arena *arena, gen_error *err)
{
    cuda_launches start = { .arena = arena }, take = start, end = start;
    emit_start(f, runs, &start);
    EMIT(&take, take_rows, (int64_t)f->take.parts * f->take.share * f->start.n_decks, &f->take);
    EMIT(&end, loop_end, 1, &f->end);
    if (start.no_memory || take.no_memory || end.no_memory) {
        (void)gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
        return -1;
    }
    int code = cuda_capture_list(cuda, &start, 0, 0, start.n, err);
    for (int32_t r = 0; r < runs && !code; r++) {
        code = cuda_capture_list(cuda, &take, 0, 0, take.n, err);
        if (!code) code = cuda_capture_calls(cuda, &f->calls, r * f->calls.n_marks, err);
        if (!code) code = cuda_capture_list(cuda, &end, 0, 0, end.n, err);
    }
    return code;
}

static gen_status capture(gen_exec *exec, const frame *f, int32_t runs, gen_arena *arena, void **graph, gen_error *err)
{
    const cuda_device *cuda = exec->cuda;
    int code = cuda->rt.capture_begin(cuda->rt.context, f->calls.n_lanes, runs * f->calls.n_marks);
    if (code) return cuda_failed(cuda, "beginning a graph", code, err);
    code = capture_runs(cuda, f, runs, arena, err);
    int end = cuda->rt.capture_end(cuda->rt.context, graph);
    return code || end ? cuda_failed(cuda, "making a graph", code ? code : end, err) : GEN_OK;
}

/* Runs of a launch: so many that it lasts, of a graph that stays small, and of two passes at most. */
static int32_t choose_runs(const frame *f, const gen_loop *loop)
{
    const double ns = cuda_guess_time(f->calls.calls, f->calls.n_calls);
    int32_t runs = MOST_RUNS;
    if (runs > loop->most) runs = loop->most;
    if (runs * ns > LAUNCH_NS) runs = (int32_t)(LAUNCH_NS / ns) + 1;
    if (runs > MOST_NODES / (f->calls.list.n + 1)) runs = MOST_NODES / (f->calls.list.n + 1);
    for (int32_t d = 0; d < loop->rows->n_decks; d++)
        if (runs > loop->rows->deck[d].per_pass / loop->rows->share)
            runs = (int32_t)(loop->rows->deck[d].per_pass / loop->rows->share);
    return runs > 1 ? runs : 1;
}

static gen_status make_graphs(gen_exec *exec, const gen_call *calls, int32_t n_calls, const gen_loop *loop,
                              gen_arena *arena, gen_error *err)
{
    frame f = { .calls = { .calls = calls, .n_calls = n_calls } };
    GEN_TRY(load_rows(exec, loop, &f.take, err));
    GEN_TRY(make_decks(exec, loop->rows, &f, err));
    GEN_TRY(make_ring(exec, loop, &f.end, err));
    GEN_TRY(cuda_start_lowering(&f.calls, exec->cuda, arena, err));
    GEN_TRY(cuda_lower_all(&f.calls, 0, err));
    f.calls.list.state = exec->state_here;
    f.calls.list.table = (uintptr_t)exec->table; /* filled when exec was made, of the same calls */
    GEN_TRY(cuda_lower_all(&f.calls, (uintptr_t)exec->scratch, err));
    exec->loop->runs = choose_runs(&f, loop);
    GEN_TRY(capture(exec, &f, 1, arena, &exec->loop->one, err));
    if (exec->loop->runs == 1) return GEN_OK;
    return capture(exec, &f, exec->loop->runs, arena, &exec->loop->many, err);
}

gen_status cuda_loop_make(gen_exec *exec, const gen_call *calls, int32_t n_calls, const gen_loop *loop, gen_error *err)
{
    GEN_TRY(check_rows(loop->rows, err));
    gen_arena *arena = gen_arena_new(); /* a graph has copies of all arguments */
    gen_status status = GEN_NO_MEMORY;
    exec->loop = gen_alloc(1, sizeof *exec->loop);
    if (exec->loop && arena) status = make_graphs(exec, calls, n_calls, loop, arena, err);
    else gen_fail(err, GEN_NO_MEMORY, "no memory for runs on end");
    gen_arena_free(arena);
    if (status) cuda_loop_free(exec);
    return status;
}

void cuda_loop_free(gen_exec *exec)
{
    cuda_loop *loop = exec->loop;
    const cuda_runtime *rt = &exec->cuda->rt;
    exec->loop = NULL;
    if (!loop) return;
    if (loop->one) rt->graph_free(rt->context, loop->one);
    if (loop->many) rt->graph_free(rt->context, loop->many);
    for (int32_t i = 0; i < loop->n_blocks; i++) rt->free(rt->context, loop->block[i]);
    gen_free(loop);
}

/* ---- run -------------------------------------------------------------------------------------------------------------------- */

static int launch_runs(const cuda_loop *loop, const cuda_runtime *rt, int32_t n)
{
    int code = 0;
    for (; loop->many && n >= loop->runs && !code; n -= loop->runs) code = rt->graph_run(rt->context, loop->many);
    for (; n > 0 && !code; n--) code = rt->graph_run(rt->context, loop->one);
    return code;
}

/* Rows of the ring, which may go on at its beginning. */
static int read_ring(const cuda_loop *loop, const cuda_runtime *rt, uint64_t step, int32_t n, float *numbers)
{
    const int32_t first = (int32_t)(step % (uint64_t)loop->room), straight = loop->room - first;
    const size_t row = (size_t)loop->n_numbers;
    const int32_t head = n < straight ? n : straight;
    int code =
        rt->copy_out(rt->context, numbers, loop->ring + (size_t)first * row, (size_t)head * row * sizeof *numbers);
    if (code || head == n) return code;
    return rt->copy_out(rt->context, numbers + (size_t)head * row, loop->ring,
                        (size_t)(n - head) * row * sizeof *numbers);
}

gen_status cuda_loop_run(gen_exec *exec, gen_run_state first, int32_t n, float *numbers, gen_error *err)
{
    const cuda_runtime *rt = &exec->cuda->rt;
    int code = cuda_tell_state(exec, first);
    if (!code) code = launch_runs(exec->loop, rt, n);
    exec->state_told.step += (uint64_t)n;
    if (!code) code = read_ring(exec->loop, rt, first.step, n, numbers);
    if (code) exec->state_told.step = UINT64_MAX; /* nobody knows */
    return code ? cuda_failed(exec->cuda, "running a plan", code, err) : GEN_OK;
}
