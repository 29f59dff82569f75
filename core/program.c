#include "core/program.h"

#include <string.h>

struct gen_program {
    gen_graph *graph;
    gen_plan *plan;
    gen_session *session;
};

static gen_status plan_everything(gen_program *p, gen_error *err)
{
    gen_graph *g = p->graph;
    gen_arena *arena = gen_graph_arena(g);
    int32_t n_outputs = gen_graph_outputs(g), n_assigns = gen_graph_assigns(g);
    gen_node **outputs = gen_arena_alloc(arena, (size_t)n_outputs * sizeof(gen_node *));
    gen_node **assigns = gen_arena_alloc(arena, (size_t)n_assigns * sizeof(gen_node *));
    if (!outputs || !assigns) return gen_fail(err, GEN_NO_MEMORY, "no memory for a program");
    for (int32_t i = 0; i < n_outputs; i++) outputs[i] = gen_graph_output(g, i, NULL);
    for (int32_t i = 0; i < n_assigns; i++) assigns[i] = gen_graph_assign(g, i);
    gen_plan_request request = {
        .n_outputs = n_outputs, .outputs = outputs, .n_assigns = n_assigns, .assigns = assigns
    };
    return gen_plan_new(g, &request, &p->plan, err);
}

static gen_status start(gen_program *p, gen_device *device, gen_params *params, uint64_t seed, gen_error *err)
{
    GEN_TRY(gen_graph_check(p->graph, err));
    GEN_TRY(gen_params_add(params, p->graph, seed, err));
    GEN_TRY(plan_everything(p, err));
    return gen_session_new(p->plan, device, params, &p->session, err);
}

gen_status gen_program_new(gen_graph *g, gen_device *device, gen_params *params, uint64_t seed, gen_program **program,
                           gen_error *err)
{
    gen_program *p = gen_alloc(1, sizeof *p);
    if (!g || !p) {
        gen_graph_free(g);
        gen_free(p);
        return gen_fail(err, GEN_NO_MEMORY, "no memory for a program");
    }
    p->graph = g;
    gen_status status = start(p, device, params, seed, err);
    if (status == GEN_OK) *program = p;
    else gen_program_free(p);
    return status;
}

void gen_program_free(gen_program *p)
{
    if (!p) return;
    gen_session_free(p->session);
    gen_plan_free(p->plan);
    gen_graph_free(p->graph);
    gen_free(p);
}

gen_status gen_program_feed(gen_program *p, const char *input, const float *data, int64_t count, gen_error *err)
{
    return gen_session_feed(p->session, input, data, count, err);
}

gen_status gen_program_run(gen_program *p, gen_run_state state, gen_error *err)
{
    return gen_session_run(p->session, state, err);
}

static int32_t find_output(const gen_program *p, const char *output)
{
    for (int32_t i = 0; i < gen_graph_outputs(p->graph); i++)
        if (!strcmp(gen_program_output_name(p, i), output)) return i;
    return -1;
}

gen_status gen_program_fetch(gen_program *p, const char *output, float *data, int64_t count, gen_error *err)
{
    int32_t i = find_output(p, output);
    if (i < 0) return gen_fail(err, GEN_NOT_FOUND, "the program has no output %s", output);
    return gen_session_fetch(p->session, i, data, count, err);
}

gen_status gen_program_fetch_scalar(gen_program *p, const char *output, double *value, gen_error *err)
{
    float number;
    GEN_TRY(gen_program_fetch(p, output, &number, 1, err));
    *value = (double)number;
    return GEN_OK;
}

static const gen_node *find_input(const gen_program *p, const char *input)
{
    for (int32_t id = 0; id < gen_graph_size(p->graph); id++) {
        const gen_node *node = gen_graph_node(p->graph, id);
        if (node->op == GEN_OP_INPUT && !strcmp(node->name, input)) return node;
    }
    return NULL;
}

gen_status gen_program_map(gen_program *p, const char *input, const float *in, const char *output, float *out,
                           int64_t n, gen_run_state state, gen_error *err)
{
    const gen_node *x = find_input(p, input);
    gen_shape y = gen_program_shape(p, output);
    if (!x || y.rank < 1 || x->shape.dim[0] != y.dim[0])
        return gen_fail(err, GEN_NOT_FOUND, "the program does not map rows of %s to rows of %s", input, output);
    int64_t batch = y.dim[0], in_width = gen_shape_count(&x->shape) / batch, out_width = gen_shape_count(&y) / batch;
    float *x_rows = gen_alloc((size_t)(batch * in_width), sizeof *x_rows),
          *y_rows = gen_alloc((size_t)(batch * out_width), sizeof *y_rows);
    gen_status status = x_rows && y_rows ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a batch");
    gen_run_state now = state;
    for (int64_t i = 0; i < n && status == GEN_OK; i += batch) {
        int64_t rows = n - i < batch ? n - i : batch;
        for (int64_t r = 0; r < batch; r++)
            memcpy(x_rows + r * in_width, in + (i + (r < rows ? r : rows - 1)) * in_width,
                   (size_t)in_width * sizeof *in);
        now.first_sample = state.first_sample + (uint64_t)i;
        status = gen_program_feed(p, input, x_rows, batch * in_width, err);
        if (status == GEN_OK) status = gen_program_run(p, now, err);
        if (status == GEN_OK) status = gen_program_fetch(p, output, y_rows, batch * out_width, err);
        if (status == GEN_OK) memcpy(out + i * out_width, y_rows, (size_t)(rows * out_width) * sizeof *out);
    }
    gen_free(x_rows);
    gen_free(y_rows);
    return status;
}

int32_t gen_program_outputs(const gen_program *p)
{
    return gen_graph_outputs(p->graph);
}

const char *gen_program_output_name(const gen_program *p, int32_t i)
{
    const char *name;
    gen_graph_output(p->graph, i, &name);
    return name;
}

gen_shape gen_program_shape(const gen_program *p, const char *output)
{
    int32_t i = find_output(p, output);
    return i < 0 ? (gen_shape){ .rank = -1 } : gen_graph_output(p->graph, i, NULL)->shape;
}

gen_session *gen_program_session(gen_program *p)
{
    return p->session;
}

const gen_plan *gen_program_plan(const gen_program *p)
{
    return p->plan;
}

const gen_graph *gen_program_graph(const gen_program *p)
{
    return p->graph;
}
