/* The GPU as a device: a plan becomes one list of launches, captured once as one graph, and a run is: the run's state to the device, the graph. */
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/runtime.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 128 };

typedef struct cuda_device {
    gen_device device; /* first: a gen_device of ours is a cuda_device */
    cuda_runtime rt;
    cuda_products products;
    char name[NAME_BYTES];
} cuda_device;

struct gen_exec {
    cuda_device *cuda;
    const gen_run_state *state; /* the host's, of the session; NULL: no call draws random numbers */
    gen_run_state *state_here;  /* the device's copy, which kernels read */
    void *scratch;              /* device memory for one call after the other */
    void *graph;                /* NULL: there is nothing to do */
};

static gen_status failed(const cuda_device *cuda, const char *what, int code, gen_error *err)
{
    return gen_fail(err, GEN_NO_DEVICE, "%s: %s failed: %s", cuda->name, what, cuda->rt.error_text(code));
}

/* ---- memory ---- */

static void *cuda_alloc(gen_device *device, size_t bytes)
{
    cuda_device *cuda = (cuda_device *)device;
    void *memory = NULL;
    return cuda->rt.alloc(cuda->rt.context, &memory, bytes ? bytes : 1) ? NULL : memory;
}

static void cuda_free(gen_device *device, void *memory)
{
    cuda_device *cuda = (cuda_device *)device;
    if (memory) cuda->rt.free(cuda->rt.context, memory);
}

static gen_status upload(gen_device *device, void *to, const float *from, size_t count, gen_error *err)
{
    cuda_device *cuda = (cuda_device *)device;
    int code = cuda->rt.copy_in(cuda->rt.context, to, from, count * sizeof *from);
    return code ? failed(cuda, "copying to it", code, err) : GEN_OK;
}

static gen_status download(gen_device *device, float *to, const void *from, size_t count, gen_error *err)
{
    cuda_device *cuda = (cuda_device *)device;
    int code = cuda->rt.copy_out(cuda->rt.context, to, from, count * sizeof *to);
    return code ? failed(cuda, "running, or copying from it,", code, err) : GEN_OK; /* runs are waited for here */
}

/* ---- compile ---- */

static void exec_free(gen_exec *exec)
{
    if (!exec) return;
    cuda_device *cuda = exec->cuda;
    if (exec->graph) cuda->rt.graph_free(cuda->rt.context, exec->graph);
    cuda_free(&cuda->device, exec->scratch);
    cuda_free(&cuda->device, exec->state_here);
    gen_free(exec);
}

static gen_status lower_all(const gen_call *calls, int32_t n_calls, cuda_launches *list, gen_error *err)
{
    for (int32_t i = 0; i < n_calls; i++) GEN_TRY(cuda_lower(&calls[i], list, err));
    return GEN_OK;
}

/* All calls of a plan have the same state. */
static const gen_run_state *state_of(const gen_call *calls, int32_t n_calls)
{
    for (int32_t i = 0; i < n_calls; i++)
        if (calls[i].state) return calls[i].state;
    return NULL;
}

static gen_status get_memory(gen_exec *exec, size_t scratch_bytes, gen_error *err)
{
    exec->state_here = cuda_alloc(&exec->cuda->device, sizeof *exec->state_here);
    exec->scratch = cuda_alloc(&exec->cuda->device, scratch_bytes);
    if (exec->state_here && exec->scratch) return GEN_OK;
    return gen_fail(err, GEN_NO_MEMORY, "no memory on %s for %.1f MB of scratch: use a smaller batch", exec->cuda->name,
                    1e-6 * (double)scratch_bytes);
}

static gen_status capture(gen_exec *exec, const cuda_launches *list, gen_error *err)
{
    const cuda_device *cuda = exec->cuda;
    int code = cuda->rt.capture_begin(cuda->rt.context);
    if (code) return failed(cuda, "beginning a graph", code, err);
    for (int32_t i = 0; i < list->n && !code; i++) {
        code = cuda->rt.launch(cuda->rt.context, &list->launch[i]);
        if (code) (void)failed(cuda, cuda_body_name(list->launch[i].body), code, err); /* the first failure wins */
    }
    int end = cuda->rt.capture_end(cuda->rt.context, &exec->graph);
    return code || end ? failed(cuda, "making a graph", code ? code : end, err) : GEN_OK;
}

/* Twice over the calls: first to learn how much scratch memory they want, then with it. */
static gen_status compile_calls(gen_exec *exec, const gen_call *calls, int32_t n_calls, gen_arena *arena,
                                gen_error *err)
{
    const cuda_products *products = &exec->cuda->products;
    cuda_launches count = { .arena = arena, .products = *products }, list = { .arena = arena, .products = *products };
    GEN_TRY(lower_all(calls, n_calls, &count, err));
    GEN_TRY(get_memory(exec, count.scratch_bytes, err));
    exec->state = state_of(calls, n_calls);
    list.state = exec->state_here;
    list.scratch = (uintptr_t)exec->scratch;
    GEN_TRY(lower_all(calls, n_calls, &list, err));
    return list.n ? capture(exec, &list, err) : GEN_OK;
}

static gen_status compile(gen_device *device, const gen_call *calls, int32_t n_calls, gen_exec **result, gen_error *err)
{
    gen_exec *exec = gen_alloc(1, sizeof *exec);
    gen_arena *arena = gen_arena_new(); /* a graph has copies of all arguments */
    gen_status status = GEN_NO_MEMORY;
    if (exec) exec->cuda = (cuda_device *)device;
    if (exec && arena) status = compile_calls(exec, calls, n_calls, arena, err);
    else gen_fail(err, GEN_NO_MEMORY, "a plan of %d calls", n_calls);
    gen_arena_free(arena);
    if (status) exec_free(exec);
    else *result = exec;
    return status;
}

static size_t compile_bytes(gen_device *device, const gen_call *calls, int32_t n_calls)
{
    cuda_launches count = { .arena = gen_arena_new(), .products = ((cuda_device *)device)->products };
    for (int32_t i = 0; i < n_calls && count.arena; i++)
        (void)cuda_lower(&calls[i], &count, NULL); /* compile will say it */
    gen_arena_free(count.arena);
    return count.scratch_bytes + sizeof(gen_run_state);
}

/* ---- run ---- */

/* Returns as soon as the work is on its way: whoever reads a result waits. */
static gen_status run(gen_exec *exec, gen_error *err)
{
    const cuda_device *cuda = exec->cuda;
    int code = 0;
    if (exec->state) code = cuda->rt.copy_in(cuda->rt.context, exec->state_here, exec->state, sizeof *exec->state);
    if (!code && exec->graph) code = cuda->rt.graph_run(cuda->rt.context, exec->graph);
    return code ? failed(cuda, "running a plan", code, err) : GEN_OK;
}

static void cuda_close(gen_device *device)
{
    cuda_device *cuda = (cuda_device *)device;
    if (!cuda) return;
    cuda_products_close(&cuda->products);
    cuda->rt.close(cuda->rt.context);
    gen_free(cuda);
}

static const gen_device_ops ops = { cuda_alloc, cuda_free, upload, download,   compile,      run,
                                    exec_free,  NULL,      NULL,   cuda_close, compile_bytes };

gen_status cuda_device_new(const cuda_runtime *runtime, const cuda_products *products, const char *name,
                           gen_device **device, gen_error *err)
{
    cuda_device *cuda = gen_alloc(1, sizeof *cuda);
    if (!cuda) return gen_fail(err, GEN_NO_MEMORY, "the cuda device");
    cuda->rt = *runtime;
    cuda->products = *products;
    snprintf(cuda->name, sizeof cuda->name, "%s", name);
    cuda->device = (gen_device){ &ops, cuda->name, sizeof(float) };
    *device = &cuda->device;
    return GEN_OK;
}
