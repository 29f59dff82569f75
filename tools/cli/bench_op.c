/* gen bench --op OP [WORKLOAD]: the calls of an op in the training steps of the workloads, fused as the plan fuses them, timed by themselves on every kernel
 * that serves them: the rungs of the ladder. Inputs are random numbers in [0, 1). */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "core/thread.h"
#include "kernels/devices.h"
#include "models/cost.h"
#include "tools/cli/workload.h"

enum { TEXT = 320, MAX_CALLS = 64, LARGEST = 3, MAX_RUNGS = 64 };
enum { MAX_IN = 2048, MAX_VIEWS = MAX_IN + GEN_CHAIN_MAX_OUT + 2 }; /* as many as an optimiser has parameters */

/* A call of a plan; those of the same shapes are one. */
typedef struct op_call {
    const gen_plan_step *step;
    char text[TEXT]; /* its shapes, and what is fused */
    double flops, bytes;
    int32_t uses;
} op_call;

typedef struct bench {
    cli_args *a;
    gen_device *device;
    gen_op op;
    double peak; /* FLOP/s; 0: not known */
    gen_json_out json;
    int64_t n_calls; /* timed */
} bench;

/* ---- which calls -------------------------------------------------------------------------------------------------------------------------- */

static void add_text(char *text, const char *more)
{
    strncat(text, more, TEXT - strlen(text) - 1);
}

static void add_shape(char *text, const gen_plan *plan, int32_t id)
{
    char shape[64];
    add_text(text, gen_shape_text(&gen_graph_node(plan->graph, id)->shape, shape, sizeof shape));
}

static void add_window(char *text, const gen_window *w)
{
    char word[96];
    if (!w->kernel[0]) return;
    snprintf(word, sizeof word, ", window %dx%d, stride %d,%d, pad %d,%d,%d,%d", w->kernel[0], w->kernel[1],
             w->stride[0], w->stride[1], w->pad[0], w->pad[1], w->pad[2], w->pad[3]);
    add_text(text, word);
}

/* "[32,14,14,32] [3,3,32,64] -> [32,7,7,64], window 3x3, …, bias, leaky" */
static void describe(const gen_plan *plan, const gen_plan_step *step, char text[TEXT])
{
    enum { MANY = 8 };
    char word[64];
    text[0] = 0;
    if (step->chain) {
        snprintf(text, TEXT, "%d operations, %d inputs, %d results of ", step->chain->n_code, step->n_in, step->n_out);
        add_shape(text, plan, step->out[0]);
        return;
    }
    const int32_t shown = step->n_in > MANY ? 1 : step->n_in;
    for (int32_t i = 0; i < shown; i++) {
        add_shape(text, plan, step->in[i]);
        add_text(text, " ");
    }
    if (shown < step->n_in) {
        snprintf(word, sizeof word, "and %d more ", step->n_in - shown);
        add_text(text, word);
    }
    add_text(text, "-> ");
    add_shape(text, plan, step->out[0]);
    const gen_attr *attr = step->attr;
    if (attr && step->op != GEN_OP_MATMUL) add_window(text, &attr->window);
    if (attr && step->op == GEN_OP_MATMUL && attr->trans_a) add_text(text, ", a transposed");
    if (attr && step->op == GEN_OP_MATMUL && attr->trans_b) add_text(text, ", b transposed");
    if (step->bias >= 0) add_text(text, ", bias");
    if (step->residual >= 0) add_text(text, ", residual");
    if (step->act != GEN_OP_COUNT) {
        snprintf(word, sizeof word, ", %s", gen_op_get(step->act)->name);
        add_text(text, word);
    }
}

static double weight(const op_call *c)
{
    return c->flops > 0 ? c->flops : c->bytes;
}

/* All calls of the op, each once, the one with the most work first; returns their number. */
static int32_t find_calls(const gen_plan *plan, gen_op op, op_call calls[MAX_CALLS])
{
    int32_t n = 0;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const gen_plan_step *step = &plan->steps[s];
        if (step->op != op) continue;
        op_call c = { step, "", 2 * gen_step_multiply_adds(plan, step), gen_step_bytes(plan, step, sizeof(float)), 1 };
        int32_t at = 0, same = 0;
        describe(plan, step, c.text);
        while (same < n && strcmp(calls[same].text, c.text) != 0) same++;
        if (same < n) {
            calls[same].uses++;
            continue;
        }
        while (at < n && weight(&calls[at]) >= weight(&c)) at++;
        if (at == MAX_CALLS) continue;
        if (n < MAX_CALLS) n++;
        for (int32_t i = n - 1; i > at; i--) calls[i] = calls[i - 1];
        calls[at] = c;
    }
    return n;
}

/* ---- a call by itself ---------------------------------------------------------------------------------------------------------------------- */

/* What a call reads and writes, in memory of its own. */
typedef struct bound {
    gen_call call;
    gen_run_state state;
    gen_view in[MAX_IN], out[GEN_CHAIN_MAX_OUT];
    int32_t owner[MAX_VIEWS]; /* node id, or that of the parameter, whose memory is */
    void *memory[MAX_VIEWS];
    int32_t n;
} bound;

/* Whole numbers below this are what the op wants as input i; 1: any numbers. */
static double index_limit(const gen_plan *plan, const gen_plan_step *step, int32_t i)
{
    const gen_shape *y = &gen_graph_node(plan->graph, step->out[0])->shape;
    if (step->op == GEN_OP_GATHER && i == 1) return (double)gen_graph_node(plan->graph, step->in[0])->shape.dim[0];
    if (step->op == GEN_OP_SCATTER_ADD && i == 0) return (double)y->dim[0];
    if (step->op == GEN_OP_ONE_HOT) return (double)y->dim[y->rank - 1];
    return 1;
}

static gen_status fill(gen_device *device, void *memory, size_t count, double limit, gen_error *err)
{
    float *host = gen_alloc(count, sizeof *host);
    if (!host) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu numbers", count);
    for (size_t i = 0; i < count; i++) {
        double u = (double)gen_uniform_from_word(gen_random_word(1, 0, i));
        host[i] = (float)(limit > 1 ? floor(u * limit) : u);
    }
    gen_status status = device->ops->upload(device, memory, host, count, err);
    gen_free(host);
    return status;
}

/* Updates of parameters are in place, as in the plan. Other results are not: in so many runs their numbers would run away, and processors are slow with
 * denormal ones. */
static gen_status bind_view(const bench *b, const gen_plan *plan, const gen_plan_step *step, int32_t id, double limit,
                            bound *to, gen_view *view, gen_error *err)
{
    const gen_value *v = &plan->values[id];
    const gen_node *node = gen_graph_node(plan->graph, id);
    bool one = step->op == GEN_OP_CHAIN && gen_node_is_fill(gen_node_view_base(node));
    int32_t owner = v->place == GEN_PLACE_PARAM ? v->param : id;
    *view = (gen_view){ NULL, one ? (gen_shape){ 0 } : node->shape };
    for (int32_t i = 0; i < to->n; i++)
        if (to->owner[i] == owner) return view->data = to->memory[i], GEN_OK;
    size_t count = (size_t)gen_shape_count(&view->shape);
    view->data = b->device->ops->alloc(b->device, count * b->device->element_bytes);
    if (!view->data) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu numbers", count);
    to->owner[to->n] = owner;
    to->memory[to->n++] = view->data;
    return fill(b->device, view->data, count, limit, err);
}

static gen_status bind_call(const bench *b, const gen_plan *plan, const gen_plan_step *step, bound *to, gen_error *err)
{
    if (step->n_in > MAX_IN) return gen_fail(err, GEN_UNSUPPORTED, "%s has %d inputs", step->name, step->n_in);
    for (int32_t i = 0; i < step->n_in; i++)
        GEN_TRY(bind_view(b, plan, step, step->in[i], index_limit(plan, step, i), to, &to->in[i], err));
    for (int32_t i = 0; i < step->n_out; i++) GEN_TRY(bind_view(b, plan, step, step->out[i], 1, to, &to->out[i], err));
    gen_epilogue *e = &to->call.epilogue;
    if (step->bias >= 0) GEN_TRY(bind_view(b, plan, step, step->bias, 1, to, &e->bias, err));
    if (step->residual >= 0) GEN_TRY(bind_view(b, plan, step, step->residual, 1, to, &e->residual, err));
    e->act = step->act;
    e->act_a = step->act_a;
    to->call.op = step->op;
    to->call.n_in = step->n_in;
    to->call.n_out = step->n_out;
    to->call.in = to->in;
    to->call.out = to->out;
    to->call.attr = step->attr;
    to->call.chain = step->chain;
    to->call.state = &to->state;
    to->call.name = step->name;
    return GEN_OK;
}

static void unbind(const bench *b, bound *of)
{
    for (int32_t i = 0; i < of->n; i++) b->device->ops->free(b->device, of->memory[i]);
}

/* The least time of a run. A tenth of --seconds for each kernel: an op has many. The first run is the warm-up, unless it takes all of --seconds. */
static gen_status time_exec(const bench *b, gen_exec *exec, double *seconds, gen_error *err)
{
    enum { LEAST = 3 };
    double start = cli_now_s(), now, least = 1e30;
    GEN_TRY(b->device->ops->run(exec, err));
    now = cli_now_s();
    *seconds = now - start;
    if (*seconds > b->a->o.seconds) return GEN_OK;
    for (int64_t runs = 0; runs < LEAST || now - start < 0.1 * b->a->o.seconds; runs++) {
        double began = now;
        GEN_TRY(b->device->ops->run(exec, err));
        now = cli_now_s();
        if (now - began < least) least = now - began;
    }
    *seconds = least;
    return GEN_OK;
}

/* ---- what was measured --------------------------------------------------------------------------------------------------------------------- */

static void put_call(bench *b, const cli_workload *w, const op_call *c)
{
    if (!b->a->o.json) {
        printf("%s  %s%s%s, %d time%s a step\n  %s\n", w->name, gen_op_get(b->op)->name, *c->step->name ? " " : "",
               c->step->name, c->uses, c->uses == 1 ? "" : "s", c->text);
        return;
    }
    gen_json_open(&b->json, NULL, '{');
    gen_json_put_string(&b->json, "workload", w->name);
    gen_json_put_string(&b->json, "layer", c->step->name);
    gen_json_put_string(&b->json, "shapes", c->text);
    gen_json_put_int(&b->json, "uses", c->uses);
    gen_json_put_double(&b->json, "flop", c->flops);
    gen_json_put_double(&b->json, "bytes", c->bytes);
    gen_json_open(&b->json, "kernels", '[');
}

static void put_kernel(bench *b, const op_call *c, const char *name, double seconds)
{
    double gflops = 1e-9 * c->flops / seconds, gb = 1e-9 * c->bytes / seconds, share = 1e9 * gflops / b->peak;
    if (b->a->o.json) {
        gen_json_open(&b->json, NULL, '{');
        gen_json_put_string(&b->json, "kernel", name);
        gen_json_put_double(&b->json, "ms", 1e3 * seconds);
        gen_json_put_double(&b->json, "gflop_s", gflops);
        gen_json_put_double(&b->json, "gb_s", gb);
        gen_json_close(&b->json, '}');
        return;
    }
    printf("    %-28s %10.4f ms", name, 1e3 * seconds);
    if (c->flops > 0) printf(" %8.1f GFLOP/s", gflops);
    if (c->flops > 0 && b->peak > 0) printf(" %6.1f %% of peak", 100 * share);
    if (c->flops <= 0) printf(" %8.1f GB/s", gb);
    putchar('\n');
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------------------------- */

static gen_status time_kernel(bench *b, const op_call *c, const gen_call *call, int32_t rung, const char *name,
                              gen_error *err)
{
    gen_exec *exec = NULL;
    double seconds = 0;
    if (rung < 0) GEN_TRY(b->device->ops->compile(b->device, call, 1, &exec, err));
    else GEN_TRY(gen_device_compile_rung(b->device, call, rung, &exec, err));
    gen_status status = time_exec(b, exec, &seconds, err);
    b->device->ops->exec_free(exec);
    if (status == GEN_OK) put_kernel(b, c, name, seconds);
    return status;
}

static gen_status time_rungs(bench *b, const op_call *c, const gen_call *call, gen_error *err)
{
    const char *names[MAX_RUNGS];
    int32_t n = gen_device_rungs(b->device, call, names, MAX_RUNGS);
    if (!n) return time_kernel(b, c, call, -1, b->device->name, err);
    /* Plain C in double takes seconds for each GFLOP: it is left out where that is a matter of minutes. */
    const double most = 1e9;
    for (int32_t i = n > 1 && c->flops > most; i < n && i < MAX_RUNGS; i++)
        GEN_TRY(time_kernel(b, c, call, i, names[i], err));
    return GEN_OK;
}

static gen_status time_call(bench *b, const cli_workload *w, const gen_plan *plan, const op_call *c, gen_error *err)
{
    bound *to = gen_alloc(1, sizeof *to);
    if (!to) return gen_fail(err, GEN_NO_MEMORY, "no memory for a call");
    gen_status status = bind_call(b, plan, c->step, to, err);
    if (status == GEN_OK) {
        put_call(b, w, c);
        status = time_rungs(b, c, &to->call, err);
        if (b->a->o.json) {
            gen_json_close(&b->json, ']');
            gen_json_close(&b->json, '}');
        }
        b->n_calls++;
    }
    unbind(b, to);
    gen_free(to);
    return status;
}

/* Of one workload that was asked for all calls; else the largest. */
static gen_status time_workload(bench *b, const cli_workload *w, bool all, gen_error *err)
{
    op_call *calls = gen_alloc(MAX_CALLS, sizeof *calls);
    cli_loaded loaded = { 0 };
    if (!calls) return gen_fail(err, GEN_NO_MEMORY, "no memory for a list of calls");
    gen_status status = cli_workload_load(b->a, w, b->device, &loaded, err);
    if (status == GEN_OK) {
        const gen_plan *plan = gen_program_plan(loaded.program);
        int32_t n = find_calls(plan, b->op, calls), last = all || n < LARGEST ? n : LARGEST;
        for (int32_t i = 0; i < last && status == GEN_OK; i++) status = time_call(b, w, plan, &calls[i], err);
        if (!b->a->o.json && last < n && status == GEN_OK)
            printf("%s has %d more: gen bench %s --op %s\n", w->name, n - last, w->name, gen_op_get(b->op)->name);
    }
    cli_workload_unload(&loaded);
    gen_free(calls);
    return status;
}

static gen_status time_op(bench *b, const cli_workload *only, gen_error *err)
{
    if (only) GEN_TRY(time_workload(b, only, true, err));
    for (int i = 0; !only && cli_workload_at(i); i++)
        if (cli_workload_at(i)->model && !cli_workload_at(i)->steps)
            GEN_TRY(time_workload(b, cli_workload_at(i), false, err));
    if (b->n_calls) return GEN_OK;
    return gen_fail(err, GEN_NOT_FOUND,
                    "no training step of %s runs %s by itself; elementwise ops are mostly fused, --op chain times them",
                    only ? only->name : "a workload", gen_op_get(b->op)->name);
}

static gen_status find_op(const char *name, gen_op *op, gen_error *err)
{
    const char *words[GEN_OP_COUNT], *nearest;
    for (*op = 0; *op < GEN_OP_COUNT; ++*op) {
        words[*op] = gen_op_get(*op)->name;
        if (!strcmp(words[*op], name)) return GEN_OK;
    }
    nearest = gen_nearest_word(name, words, GEN_OP_COUNT);
    return gen_fail(err, GEN_BAD_OPTION, "there is no op %s%s%s%s; core/op_list.h has the list", name,
                    nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static gen_status time_all(bench *b, const cli_workload *only, gen_error *err)
{
    cli_args *a = b->a;
    if (b->device->ops->peak) b->peak = b->device->ops->peak(b->device);
    b->json.arena = a->arena;
    gen_json_open(&b->json, NULL, '{');
    gen_json_put_string(&b->json, "op", a->o.op);
    gen_json_put_string(&b->json, "device", b->device->name);
    gen_json_put_int(&b->json, "threads", a->o.threads ? a->o.threads : gen_cpu_count());
    gen_json_put_double(&b->json, "peak_gflop_s", 1e-9 * b->peak);
    gen_json_open(&b->json, "calls", '[');
    if (!a->o.json) printf("%s; peak %.0f GFLOP/s\n", b->device->name, 1e-9 * b->peak);
    GEN_TRY(time_op(b, only, err));
    gen_json_close(&b->json, ']');
    gen_json_close(&b->json, '}');
    return a->o.json ? cli_print_json(&b->json, err) : GEN_OK;
}

gen_status cli_bench_op(cli_args *a, const cli_workload *only, gen_error *err)
{
    bench b = { .a = a };
    GEN_TRY(find_op(a->o.op, &b.op, err));
    if (only && !only->model)
        return gen_fail(err, GEN_BAD_OPTION, "%s is no model; its calls are not timed one by one", only->name);
    GEN_TRY(cli_open_device(a, &b.device, err));
    gen_status status = time_all(&b, only, err);
    b.device->ops->close(b.device);
    return status;
}
