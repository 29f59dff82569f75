#include "tests/cuda_recorder.h"

#include <stdlib.h>
#include <string.h>

#include "tests/cuda_emulator.h"
#include "tests/test.h"

/* A launch of a body, what a library does, or a mark or wait, which do nothing. */
typedef struct recorded_node {
    cuda_launch launch; /* args NULL: nothing; body CUDA_LIBRARY: run */
    void (*run)(const void *args);
    int32_t after[2]; /* nodes that come before it; -1: none */
} recorded_node;

/* A graph owns copies of the arguments, as CUDA's do: a list that dies too early shows under the address sanitizer. */
typedef struct recorded_graph {
    gen_arena *arena;
    recorded_node *node;
    int32_t n, room;
    int32_t *mark; /* the node of each; -1: not set */
} recorded_graph;

enum { BROKEN = 999 };

double cuda_recorder_ns;

static int may_fail(cuda_recorder *r)
{
    if (r->fail_at <= 0 || --r->fail_at > 0) return 0;
    r->failed = true;
    return BROKEN;
}

static void not_while_capturing(const cuda_recorder *r, const char *what)
{
    if (r->capturing) fail_msg("%s while a graph is captured", what);
}

/* ---- memory ---- */

static int record_alloc(void *context, void **memory, size_t bytes)
{
    cuda_recorder *r = context;
    not_while_capturing(r, "memory taken");
    assert_true(bytes > 0);
    if (may_fail(r)) return BROKEN;
    *memory = gen_alloc(1, bytes);
    if (*memory) r->n_blocks++;
    return *memory ? 0 : BROKEN;
}

static void record_free(void *context, void *memory)
{
    cuda_recorder *r = context;
    not_while_capturing(r, "memory given back");
    r->n_blocks--;
    gen_free(memory);
}

static int record_copy(cuda_recorder *r, int32_t *count, void *to, const void *from, size_t bytes)
{
    not_while_capturing(r, "a copy");
    if (may_fail(r)) return BROKEN;
    ++*count;
    memcpy(to, from, bytes);
    return 0;
}

static int record_copy_in(void *context, void *to, const void *from, size_t bytes)
{
    cuda_recorder *r = context;
    return record_copy(r, &r->n_copies_in, to, from, bytes);
}

static int record_copy_out(void *context, void *to, const void *from, size_t bytes)
{
    cuda_recorder *r = context;
    return record_copy(r, &r->n_copies_out, to, from, bytes);
}

/* ---- graphs ---- */

static int record_begin(void *context, int32_t n_lanes, int32_t n_marks)
{
    cuda_recorder *r = context;
    not_while_capturing(r, "a capture begun");
    assert_in_range(n_lanes, 1, CUDA_LANES);
    if (may_fail(r)) return BROKEN;
    gen_arena *arena = gen_arena_new();
    recorded_graph *g = r->recording = gen_arena_alloc(arena, sizeof *g);
    g->arena = arena;
    g->mark = gen_arena_alloc(arena, (size_t)n_marks * sizeof *g->mark);
    for (int32_t i = 0; i < n_marks; i++) g->mark[i] = -1;
    for (int32_t i = 0; i < CUDA_LANES; i++) r->lane[i] = (struct recorder_lane){ r, -1 };
    r->n_lanes = n_lanes;
    r->n_marks = n_marks;
    r->n_waits = 0;
    r->capturing = true;
    return 0;
}

/* Behind what the lane has, and behind node `also`. */
static void add_node(struct recorder_lane *lane, recorded_node node, int32_t also)
{
    recorded_graph *g = lane->recorder->recording;
    if (g->n == g->room) {
        recorded_node *more = gen_arena_alloc(g->arena, (size_t)(2 * g->room + 16) * sizeof *more);
        if (g->n) memcpy(more, g->node, (size_t)g->n * sizeof *more);
        g->node = more;
        g->room = 2 * g->room + 16;
    }
    if (node.launch.args) {
        void *args = gen_arena_alloc(g->arena, node.launch.args_bytes);
        node.launch.args = memcpy(args, node.launch.args, node.launch.args_bytes);
    }
    node.after[0] = lane->tail;
    node.after[1] = also;
    lane->tail = g->n;
    g->node[g->n++] = node;
}

static struct recorder_lane *begun_lane(cuda_recorder *r, int32_t lane, const char *what)
{
    if (!r->capturing) fail_msg("%s outside of a graph", what);
    assert_in_range(lane, 0, r->n_lanes - 1);
    if (lane > 0 && r->lane[lane].tail < 0) fail_msg("%s in lane %d, which is not part of the graph", what, lane);
    return &r->lane[lane];
}

static int record_launch(void *context, int32_t lane, const cuda_launch *launch)
{
    cuda_recorder *r = context;
    struct recorder_lane *in = begun_lane(r, lane, cuda_body_name(launch->body));
    if (may_fail(r)) return BROKEN;
    r->n_launches++;
    r->n_of[launch->body]++;
    if (launch->body == CUDA_LIBRARY) {
        const cuda_library_call *call = launch->args;
        return -call->run(call, in);
    }
    add_node(in, (recorded_node){ .launch = *launch }, -1);
    return 0;
}

int cuda_recorder_add(void *stream, void (*run)(const void *args), const void *args, size_t bytes)
{
    struct recorder_lane *lane = stream;
    if (!lane->recorder->capturing) fail_msg("a library ran outside of a graph");
    add_node(lane, (recorded_node){ .launch = { CUDA_LIBRARY, 1, args, bytes }, .run = run }, -1);
    return 0;
}

static int record_mark(void *context, int32_t lane, int32_t mark)
{
    cuda_recorder *r = context;
    struct recorder_lane *in = begun_lane(r, lane, "a mark");
    assert_in_range(mark, 0, r->n_marks - 1);
    assert_int_equal(r->recording->mark[mark], -1);
    if (may_fail(r)) return BROKEN;
    add_node(in, (recorded_node){ 0 }, -1);
    r->recording->mark[mark] = in->tail;
    return 0;
}

static int record_wait(void *context, int32_t lane, int32_t mark)
{
    cuda_recorder *r = context;
    assert_true(r->capturing);
    assert_in_range(lane, 0, r->n_lanes - 1);
    assert_in_range(mark, 0, r->n_marks - 1);
    if (r->recording->mark[mark] < 0) fail_msg("lane %d waits for mark %d, which is not set", lane, mark);
    if (may_fail(r)) return BROKEN;
    add_node(&r->lane[lane], (recorded_node){ 0 }, r->recording->mark[mark]);
    r->n_waits++;
    return 0;
}

/* Every node must come before the last one of lane 0. */
static void check_joined(const cuda_recorder *r)
{
    const recorded_graph *g = r->recording;
    bool *before = gen_arena_alloc(g->arena, (size_t)g->n + 1);
    if (r->lane[0].tail >= 0) before[r->lane[0].tail] = true;
    for (int32_t i = g->n - 1; i >= 0; i--) {
        if (!before[i]) fail_msg("node %d of %d is not waited for", i, g->n);
        for (int k = 0; k < 2; k++)
            if (g->node[i].after[k] >= 0) before[g->node[i].after[k]] = true;
    }
}

static int record_end(void *context, void **graph)
{
    cuda_recorder *r = context;
    assert_true(r->capturing);
    r->capturing = false;
    if (may_fail(r)) {
        gen_arena_free(r->recording->arena);
        *graph = NULL;
        return BROKEN;
    }
    if (!r->failed) check_joined(r);
    *graph = r->recording;
    r->n_graphs++;
    return 0;
}

static void run_node(cuda_recorder *r, const recorded_node *node)
{
    if (node->launch.args) r->n_ran[node->launch.body]++;
    if (r->idle) return;
    if (node->run) node->run(node->launch.args);
    else if (node->launch.args) cuda_emulate(&node->launch);
}

static bool is_ready(const recorded_node *node, const bool *done)
{
    return (node->after[0] < 0 || done[node->after[0]]) && (node->after[1] < 0 || done[node->after[1]]);
}

/* The first node of those that are ready, from a place on that dice choose: all lanes come to it, in any order. */
static int32_t next_node(cuda_recorder *r, const recorded_graph *g, const bool *done, int32_t first)
{
    enum { WINDOW = 64 };
    int32_t ready[WINDOW], n = 0;
    for (int32_t i = first; i < g->n && n < WINDOW && i < first + 8 * WINDOW; i++)
        if (!done[i] && is_ready(&g->node[i], done)) ready[n++] = i;
    if (!n) fail_msg("no node can run: the graph goes in circles");
    r->dice = r->dice * 1664525u + 1013904223u; /* Numerical Recipes' quick generator */
    return ready[(r->dice >> 16) % (uint32_t)n];
}

static int record_run(void *context, void *graph)
{
    cuda_recorder *r = context;
    const recorded_graph *g = graph;
    not_while_capturing(r, "a graph run");
    if (may_fail(r)) return BROKEN;
    r->n_runs++;
    bool *done = calloc((size_t)g->n + 1, sizeof *done);
    for (int32_t first = 0; first < g->n;) {
        int32_t i = next_node(r, g, done, first);
        run_node(r, &g->node[i]);
        done[i] = true;
        while (first < g->n && done[first]) first++;
    }
    free(done);
    return 0;
}

static int record_time(void *context, void *graph, double *ns)
{
    cuda_recorder *r = context;
    const double before = cuda_recorder_ns;
    int code = record_run(context, graph);
    r->n_timed++;
    *ns = cuda_recorder_ns - before;
    return code;
}

static void record_graph_free(void *context, void *graph)
{
    cuda_recorder *r = context;
    recorded_graph *g = graph;
    not_while_capturing(r, "a graph freed");
    r->n_graphs--;
    gen_arena_free(g->arena);
}

static const char *record_error_text(int code)
{
    return code == BROKEN ? "it was told to fail" : code < 0 ? "a library refused" : "unknown";
}

static void record_close(void *context)
{
    cuda_recorder *r = context;
    assert_int_equal(r->n_blocks, 0);
    assert_int_equal(r->n_graphs, 0);
    r->closed = true;
}

gen_device *cuda_recorder_open(cuda_recorder *r, const cuda_products *products)
{
    gen_error err = { 0 };
    gen_device *device;
    *r = (cuda_recorder){ 0 };
    cuda_runtime runtime = {
        r,           record_alloc, record_free, record_copy_in, record_copy_out, record_begin,      record_launch,
        record_mark, record_wait,  record_end,  record_run,     record_time,     record_graph_free, record_error_text,
        record_close
    };
    const cuda_products none = { 0 };
    TEST_OK(cuda_device_new(&runtime, products ? products : &none, "cuda (emulated)", &device, &err));
    return device;
}
