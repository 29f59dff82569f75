#include "tests/cuda_recorder.h"

#include <string.h>

#include "tests/cuda_emulator.h"
#include "tests/test.h"

/* A launch of a body, or what a library does. */
typedef struct recorded_node {
    cuda_launch launch; /* body CUDA_LIBRARY: run */
    void (*run)(const void *args);
} recorded_node;

/* A graph owns copies of the arguments, as CUDA's do: a list that dies too early shows under the address sanitizer. */
typedef struct recorded_graph {
    gen_arena *arena;
    recorded_node *node;
    int32_t n, room;
} recorded_graph;

enum { BROKEN = 999 };

static int may_fail(cuda_recorder *r)
{
    return r->fail_at > 0 && --r->fail_at == 0 ? BROKEN : 0;
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

static int record_copy(void *context, void *to, const void *from, size_t bytes)
{
    cuda_recorder *r = context;
    not_while_capturing(r, "a copy");
    if (may_fail(r)) return BROKEN;
    r->n_copies++;
    memcpy(to, from, bytes);
    return 0;
}

/* ---- graphs ---- */

static int record_begin(void *context)
{
    cuda_recorder *r = context;
    not_while_capturing(r, "a capture begun");
    if (may_fail(r)) return BROKEN;
    gen_arena *arena = gen_arena_new();
    r->recording = gen_arena_alloc(arena, sizeof *r->recording);
    r->recording->arena = arena;
    r->capturing = true;
    return 0;
}

static void add_node(recorded_graph *g, recorded_node node)
{
    if (g->n == g->room) {
        recorded_node *more = gen_arena_alloc(g->arena, (size_t)(2 * g->room + 16) * sizeof *more);
        if (g->n) memcpy(more, g->node, (size_t)g->n * sizeof *more);
        g->node = more;
        g->room = 2 * g->room + 16;
    }
    void *args = gen_arena_alloc(g->arena, node.launch.args_bytes);
    node.launch.args = memcpy(args, node.launch.args, node.launch.args_bytes);
    g->node[g->n++] = node;
}

static int record_launch(void *context, const cuda_launch *launch)
{
    cuda_recorder *r = context;
    if (!r->capturing) fail_msg("%s launched outside of a graph", cuda_body_name(launch->body));
    if (may_fail(r)) return BROKEN;
    r->n_launches++;
    if (launch->body == CUDA_LIBRARY) {
        const cuda_library_call *call = launch->args;
        return -call->run(call, r);
    }
    add_node(r->recording, (recorded_node){ .launch = *launch });
    return 0;
}

int cuda_recorder_add(void *stream, void (*run)(const void *args), const void *args, size_t bytes)
{
    cuda_recorder *r = stream;
    if (!r->capturing) fail_msg("a library ran outside of a graph");
    add_node(r->recording, (recorded_node){ .launch = { CUDA_LIBRARY, 1, args, bytes }, .run = run });
    return 0;
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
    *graph = r->recording;
    r->n_graphs++;
    return 0;
}

static int record_run(void *context, void *graph)
{
    cuda_recorder *r = context;
    const recorded_graph *g = graph;
    not_while_capturing(r, "a graph run");
    if (may_fail(r)) return BROKEN;
    r->n_runs++;
    for (int32_t i = 0; i < g->n; i++) {
        const recorded_node *node = &g->node[i];
        if (node->run) node->run(node->launch.args);
        else cuda_emulate(&node->launch);
    }
    return 0;
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
    cuda_runtime runtime = { r,           record_alloc,      record_free,       record_copy,
                             record_copy, record_begin,      record_launch,     record_end,
                             record_run,  record_graph_free, record_error_text, record_close };
    const cuda_products none = { 0 };
    TEST_OK(cuda_device_new(&runtime, products ? products : &none, "cuda (emulated)", &device, &err));
    return device;
}
