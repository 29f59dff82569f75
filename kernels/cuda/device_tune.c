/* Timing cuDNN's engines: a small graph of one convolution several times over, on memory of its own, the least of several runs. Whatever fails on the way only
 * means that nothing is known of that engine. */
#include "kernels/cuda/exec.h"
#include "kernels/cuda/lower.h"

enum { REPEATS = 10, TRIES = 4, N_BUFFERS = 6 };

/* One engine's trial. */
typedef struct trial {
    const cuda_device *cuda;
    const cudnn_plan *plan;
    gen_arena *arena;
    void *buffer[N_BUFFERS]; /* x, w, y, bias, residual, workspace */
    size_t bytes[N_BUFFERS];
    void *fill, *repeat; /* graphs */
} trial;

static size_t count(const int64_t dim[4])
{
    return (size_t)(dim[0] * dim[1] * dim[2] * dim[3]);
}

static void measure_buffers(trial *t)
{
    const cudnn_conv *c = &t->plan->conv;
    const size_t element = c->bf16 ? sizeof(uint16_t) : sizeof(float);
    t->bytes[0] = count(c->x) * element;
    t->bytes[1] = (size_t)(c->y[3] * c->kernel[0] * c->kernel[1] * c->x[3]) * element;
    t->bytes[2] = count(c->y) * element;
    t->bytes[3] = c->bias ? (size_t)c->y[3] * element : 0;
    t->bytes[4] = c->residual ? t->bytes[2] : 0;
    t->bytes[5] = t->plan->workspace_bytes;
}

static int get_buffers(trial *t)
{
    const cuda_runtime *rt = &t->cuda->rt;
    int code = 0;
    for (int i = 0; i < N_BUFFERS && !code; i++) {
        t->bytes[i] += sizeof(float); /* what is read as whole floats may end behind an odd bfloat16 */
        code = rt->alloc(rt->context, &t->buffer[i], t->bytes[i]);
    }
    return code;
}

/* Numbers of [0, 1) for x, w and y: of zeros a GPU is quicker than it will be. Two bfloat16 of a float are any numbers at all. */
static void emit_noise(const trial *t, const gen_run_state *state, cuda_launches *list)
{
    for (int i = 0; i < 3; i++) {
        random_args a = { .y = t->buffer[i], .state = state, .op = GEN_OP_UNIFORM, .key = (uint32_t)i };
        a.sample = (int32_t)(t->bytes[i] / sizeof(float));
        a.n = a.blocks = (a.sample + 3) / 4;
        EMIT_ITEMS(list, random, &a);
    }
}

static void emit_repeats(const trial *t, cuda_launches *list)
{
    void *const *at = t->buffer;
    list->scratch = (uintptr_t)t->buffer[5];
    for (int i = 0; i < REPEATS; i++) {
        list->call_bytes = 0; /* the same workspace again */
        cuda_emit_conv(list, t->plan, &(cudnn_tensors){ at[0], at[1], at[2], at[3], at[4] });
    }
}

static int capture(const trial *t, const cuda_launches *list, void **graph)
{
    const cuda_runtime *rt = &t->cuda->rt;
    int code = rt->capture_begin(rt->context, 1, 1);
    if (code) return code;
    code = cuda_capture_list(t->cuda, list, 0, 0, list->n, NULL);
    int end = rt->capture_end(rt->context, graph);
    return code ? code : end;
}

/* The workspace, which is large enough for a state, is not used yet. */
static int make_graphs(trial *t)
{
    cuda_launches fill = { .arena = t->arena }, repeat = fill;
    emit_noise(t, t->buffer[5], &fill);
    emit_repeats(t, &repeat);
    if (fill.no_memory || repeat.no_memory) return -1;
    int code = capture(t, &fill, &t->fill);
    return code ? code : capture(t, &repeat, &t->repeat);
}

static int run(const trial *t, double *least)
{
    const cuda_runtime *rt = &t->cuda->rt;
    double ns = 0;
    int code = rt->graph_run(rt->context, t->fill);
    for (int i = 0; i < TRIES && !code; i++) { /* the first one warms up */
        code = rt->graph_time(rt->context, t->repeat, &ns);
        if (i == 1 || (i > 1 && ns < *least)) *least = ns;
    }
    return code;
}

static void free_trial(trial *t)
{
    const cuda_runtime *rt = &t->cuda->rt;
    if (t->fill) rt->graph_free(rt->context, t->fill);
    if (t->repeat) rt->graph_free(rt->context, t->repeat);
    for (int i = 0; i < N_BUFFERS; i++)
        if (t->buffer[i]) rt->free(rt->context, t->buffer[i]);
    gen_arena_free(t->arena);
}

static double time_plan(void *context, const cudnn_plan *plan)
{
    trial t = { .cuda = context, .plan = plan, .arena = gen_arena_new() };
    double least = -1;
    measure_buffers(&t);
    if (t.bytes[5] < sizeof(gen_run_state)) t.bytes[5] = sizeof(gen_run_state);
    int code = t.arena ? get_buffers(&t) : -1;
    if (!code) code = make_graphs(&t);
    if (!code) code = run(&t, &least);
    free_trial(&t);
    return code ? -1 : least / REPEATS;
}

static bool recall(void *context, const cudnn_conv *conv, cudnn_choice *choice)
{
    const cuda_device *cuda = context;
    return cuda_choices_find(cuda->products.choices, conv, choice);
}

static void remember(void *context, const cudnn_conv *conv, const cudnn_choice *choice)
{
    const cuda_device *cuda = context;
    cuda_choices_add(cuda->products.choices, conv, choice);
}

void cuda_tune_start(cuda_device *cuda)
{
    const cudnn_tuner tuner = { cuda, time_plan, recall, remember };
    if (cuda->products.dnn && cuda->products.choices) cudnn_tune(cuda->products.dnn, &tuner);
}
