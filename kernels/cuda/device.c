/* The GPU as a device: a plan becomes lists of launches in lanes, captured once as one graph, and a run is: the run's state to the device, the graph. */
#include "kernels/cuda/exec.h"
#include "kernels/cuda/join.h"
#include "kernels/cuda/libraries.h"

#include <stdio.h>
#include <string.h>

gen_status cuda_failed(const cuda_device *cuda, const char *what, int code, gen_error *err)
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
    return code ? cuda_failed(cuda, "copying to it", code, err) : GEN_OK;
}

static gen_status download(gen_device *device, float *to, const void *from, size_t count, gen_error *err)
{
    cuda_device *cuda = (cuda_device *)device;
    int code = cuda->rt.copy_out(cuda->rt.context, to, from, count * sizeof *to);
    return code ? cuda_failed(cuda, "running, or copying from it,", code, err) : GEN_OK; /* runs are waited for here */
}

/* ---- compile ---- */

static void exec_free(gen_exec *exec)
{
    if (!exec) return;
    cuda_device *cuda = exec->cuda;
    cuda_loop_free(exec);
    if (exec->graph) cuda->rt.graph_free(cuda->rt.context, exec->graph);
    cuda_free(&cuda->device, exec->scratch);
    cuda_free(&cuda->device, exec->table);
    cuda_free(&cuda->device, exec->state_here);
    gen_free(exec);
}

gen_status cuda_start_lowering(cuda_lowering *l, const cuda_device *cuda, gen_arena *arena, gen_error *err)
{
    l->list = (cuda_launches){ .arena = arena, .products = cuda->products };
    l->calls = cuda_join_calls(l->calls, &l->n_calls, arena);
    l->slots = l->calls ? cuda_order_calls(l->calls, l->n_calls, arena) : NULL;
    l->end = gen_arena_alloc(arena, (size_t)l->n_calls * sizeof *l->end);
    if (!l->slots || !l->end) return gen_fail(err, GEN_NO_MEMORY, "no memory for a plan of %d calls", l->n_calls);
    l->n_lanes = 1;
    for (int32_t i = 0; i < l->n_calls; i++) {
        if (l->slots[i].lane >= l->n_lanes) l->n_lanes = l->slots[i].lane + 1;
        if (l->slots[i].mark > l->n_marks) l->n_marks = l->slots[i].mark;
    }
    l->n_marks += l->n_lanes;
    return GEN_OK;
}

gen_status cuda_lower_all(cuda_lowering *l, uintptr_t scratch, gen_error *err)
{
    uintptr_t at[CUDA_LANES];
    for (int32_t lane = 0; lane < CUDA_LANES; lane++) {
        at[lane] = scratch;
        scratch += l->bytes[lane];
    }
    l->list.n = 0;
    l->list.table_bytes = 0;
    for (int32_t i = 0; i < l->n_calls; i++) {
        const int32_t lane = l->slots[i].lane;
        l->list.scratch = at[lane];
        l->list.scratch_bytes = 0;
        GEN_TRY(cuda_lower(&l->calls[i], &l->list, err));
        l->end[i] = l->list.n;
        if (l->list.scratch_bytes > l->bytes[lane]) l->bytes[lane] = l->list.scratch_bytes;
    }
    return GEN_OK;
}

static size_t scratch_bytes(const cuda_lowering *l)
{
    size_t bytes = 0;
    for (int32_t lane = 0; lane < CUDA_LANES; lane++) bytes += l->bytes[lane];
    return bytes;
}

/* All calls of a plan have the same state. */
static const gen_run_state *state_of(const gen_call *calls, int32_t n_calls)
{
    for (int32_t i = 0; i < n_calls; i++)
        if (calls[i].state) return calls[i].state;
    return NULL;
}

static gen_status get_memory(gen_exec *exec, size_t bytes, size_t table_bytes, gen_error *err)
{
    exec->state_here = cuda_alloc(&exec->cuda->device, sizeof *exec->state_here);
    exec->scratch = cuda_alloc(&exec->cuda->device, bytes);
    if (table_bytes) exec->table = cuda_alloc(&exec->cuda->device, table_bytes);
    if (exec->state_here && exec->scratch && (exec->table || !table_bytes)) return GEN_OK;
    return gen_fail(err, GEN_NO_MEMORY, "no memory on %s for %.1f MB of scratch: use a smaller batch", exec->cuda->name,
                    1e-6 * (double)bytes);
}

/* ---- a graph ---- */

/* Call i in its lane: waits, launches, and the mark that others wait for. */
static int capture_call(const cuda_device *cuda, const cuda_lowering *l, int32_t i, int32_t first_mark, gen_error *err)
{
    const cuda_runtime *rt = &cuda->rt;
    const cuda_slot *slot = &l->slots[i];
    int code = 0;
    for (int32_t lane = 0; lane < CUDA_LANES && !code; lane++)
        if (slot->wait[lane] >= 0)
            code = rt->wait(rt->context, slot->lane, first_mark + l->slots[slot->wait[lane]].mark);
    if (!code) code = cuda_capture_list(cuda, &l->list, slot->lane, i ? l->end[i - 1] : 0, l->end[i], err);
    if (slot->mark && !code) code = rt->mark(rt->context, slot->lane, first_mark + slot->mark);
    return code;
}

int cuda_capture_list(const cuda_device *cuda, const cuda_launches *list, int32_t lane, int32_t begin, int32_t end,
                      gen_error *err)
{
    int code = 0;
    for (int32_t k = begin; k < end && !code; k++) {
        code = cuda->rt.launch(cuda->rt.context, lane, &list->launch[k]);
        if (code) (void)cuda_failed(cuda, cuda_body_name(list->launch[k].body), code, err); /* the first failure wins */
    }
    return code;
}

/* Lanes leave lane 0 at the beginning, at mark 0, and come back to it at the end, at marks behind those of calls. */
int cuda_capture_calls(const cuda_device *cuda, const cuda_lowering *l, int32_t first_mark, gen_error *err)
{
    const cuda_runtime *rt = &cuda->rt;
    int code = rt->mark(rt->context, 0, first_mark);
    for (int32_t lane = 1; lane < l->n_lanes && !code; lane++) code = rt->wait(rt->context, lane, first_mark);
    for (int32_t i = 0; i < l->n_calls && !code; i++) code = capture_call(cuda, l, i, first_mark, err);
    for (int32_t lane = 1; lane < l->n_lanes && !code; lane++) {
        const int32_t mark = first_mark + l->n_marks - l->n_lanes + lane;
        code = rt->mark(rt->context, lane, mark);
        if (!code) code = rt->wait(rt->context, 0, mark);
    }
    return code;
}

static gen_status capture(gen_exec *exec, const cuda_lowering *l, gen_error *err)
{
    const cuda_device *cuda = exec->cuda;
    int code = cuda->rt.capture_begin(cuda->rt.context, l->n_lanes, l->n_marks);
    if (code) return cuda_failed(cuda, "beginning a graph", code, err);
    code = cuda_capture_calls(cuda, l, 0, err);
    int end = cuda->rt.capture_end(cuda->rt.context, &exec->graph);
    return code || end ? cuda_failed(cuda, "making a graph", code ? code : end, err) : GEN_OK;
}

static gen_status lower_to_memory(gen_exec *exec, cuda_lowering *l, gen_arena *arena, gen_error *err)
{
    const cuda_runtime *rt = &exec->cuda->rt;
    const size_t bytes = l->list.table_bytes;
    l->list.state = exec->state_here;
    l->list.table = (uintptr_t)exec->table;
    l->list.table_here = gen_arena_alloc(arena, bytes + 1);
    if (!l->list.table_here) return gen_fail(err, GEN_NO_MEMORY, "no memory for a table of %zu bytes", bytes);
    GEN_TRY(cuda_lower_all(l, (uintptr_t)exec->scratch, err));
    int code = bytes ? rt->copy_in(rt->context, exec->table, l->list.table_here, bytes) : 0;
    return code ? cuda_failed(exec->cuda, "copying a table to it", code, err) : GEN_OK;
}

static gen_status compile_calls(gen_exec *exec, const gen_call *calls, int32_t n_calls, gen_arena *arena,
                                gen_error *err)
{
    cuda_lowering l = { .calls = calls, .n_calls = n_calls };
    GEN_TRY(cuda_start_lowering(&l, exec->cuda, arena, err));
    GEN_TRY(cuda_lower_all(&l, 0, err));
    GEN_TRY(get_memory(exec, scratch_bytes(&l), l.list.table_bytes, err));
    exec->state = state_of(calls, n_calls);
    GEN_TRY(lower_to_memory(exec, &l, arena, err));
    return l.list.n ? capture(exec, &l, err) : GEN_OK;
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
    cuda_lowering l = { .calls = calls, .n_calls = n_calls };
    gen_arena *arena = gen_arena_new();
    if (arena && cuda_start_lowering(&l, (cuda_device *)device, arena, NULL) == GEN_OK)
        (void)cuda_lower_all(&l, 0, NULL); /* what fails, compile will say */
    gen_arena_free(arena);
    return scratch_bytes(&l) + l.list.table_bytes + sizeof(gen_run_state);
}

/* ---- run ---- */

int cuda_tell_state(gen_exec *exec, gen_run_state state)
{
    const cuda_runtime *rt = &exec->cuda->rt;
    if (!memcmp(&state, &exec->state_told, sizeof state)) return 0;
    int code = rt->copy_in(rt->context, exec->state_here, &state, sizeof state);
    if (!code) exec->state_told = state;
    return code;
}

/* Returns as soon as the work is on its way: whoever reads a result waits. */
static gen_status run(gen_exec *exec, gen_error *err)
{
    const cuda_device *cuda = exec->cuda;
    int code = 0;
    if (exec->state) code = cuda_tell_state(exec, *exec->state);
    if (!code && exec->graph) code = cuda->rt.graph_run(cuda->rt.context, exec->graph);
    return code ? cuda_failed(cuda, "running a plan", code, err) : GEN_OK;
}

static void cuda_close(gen_device *device)
{
    cuda_device *cuda = (cuda_device *)device;
    if (!cuda) return;
    cuda_products_close(&cuda->products);
    cuda->rt.close(cuda->rt.context);
    gen_free(cuda);
}

static const gen_device_ops ops = { cuda_alloc,    cuda_free,      upload,       download, compile,
                                    run,           exec_free,      NULL,         NULL,     cuda_close,
                                    compile_bytes, cuda_loop_make, cuda_loop_run };

gen_status cuda_device_new(const cuda_runtime *runtime, const cuda_products *products, const char *name,
                           gen_device **device, gen_error *err)
{
    cuda_device *cuda = gen_alloc(1, sizeof *cuda);
    if (!cuda) return gen_fail(err, GEN_NO_MEMORY, "the cuda device");
    cuda->rt = *runtime;
    cuda->products = *products;
    snprintf(cuda->name, sizeof cuda->name, "%s", name);
    cuda->device = (gen_device){ &ops, cuda->name, sizeof(float) };
    cuda_tune_start(cuda);
    *device = &cuda->device;
    return GEN_OK;
}
