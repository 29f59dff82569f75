/* libgen_cuda.so: the CUDA runtime behind runtime.h, and the one function that gen looks for, gen_cuda_open. Loads without a driver: it then says so. */
#include <stdio.h>

#include "kernels/cuda/bodies.kh"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/order.h"
#include "kernels/cuda/plugin.h"
#include "kernels/cuda/runtime.h"

static const void *const kernels[] = {
#define BODY(name) (const void *)cuda_##name,
#include "kernels/cuda/body_list.h"
#undef BODY
};

typedef struct gpu {
    cudaStream_t lane[CUDA_LANES]; /* 0: all memory and all runs; the others: only while a graph is captured */
    cudaEvent_t *marks;
    int32_t n_marks;
} gpu;

static gpu *gpu_of(void *context)
{
    return static_cast<gpu *>(context);
}

static cudaStream_t stream_of(void *context)
{
    return gpu_of(context)->lane[0];
}

/* ---- memory ---- */

static int gpu_alloc(void *context, void **memory, size_t bytes)
{
    cudaError_t error = cudaMalloc(memory, bytes);
    if (error == cudaErrorMemoryAllocation) cudaGetLastError(); /* it is told to the caller, and not to the next */
    return error ? error : cudaMemsetAsync(*memory, 0, bytes, stream_of(context));
}

static void gpu_free(void *context, void *memory)
{
    cudaStreamSynchronize(stream_of(context));
    cudaFree(memory);
}

/* From memory that is not pinned: the bytes are read before this returns. */
static int gpu_copy_in(void *context, void *to, const void *from, size_t bytes)
{
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(context));
}

static int gpu_copy_out(void *context, void *to, const void *from, size_t bytes)
{
    cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_of(context));
    return error ? error : cudaStreamSynchronize(stream_of(context));
}

/* ---- graphs ---- */

/* Streams and events are made before the capture, and kept for the next one. */
static cudaError_t make_lanes(gpu *g, int32_t n_lanes)
{
    cudaError_t error = cudaSuccess;
    for (int32_t i = 1; i < n_lanes && !error; i++)
        if (!g->lane[i]) error = cudaStreamCreateWithFlags(&g->lane[i], cudaStreamNonBlocking);
    return error;
}

static cudaError_t make_marks(gpu *g, int32_t n_marks)
{
    cudaError_t error = cudaSuccess;
    if (n_marks <= g->n_marks) return error;
    cudaEvent_t *marks = static_cast<cudaEvent_t *>(gen_alloc((size_t)n_marks, sizeof *marks));
    if (!marks) return cudaErrorMemoryAllocation;
    if (g->n_marks) memcpy(marks, g->marks, (size_t)g->n_marks * sizeof *marks);
    gen_free(g->marks);
    g->marks = marks;
    for (; g->n_marks < n_marks && !error; g->n_marks += !error)
        error = cudaEventCreateWithFlags(&marks[g->n_marks], cudaEventDisableTiming);
    return error;
}

static int gpu_capture_begin(void *context, int32_t n_lanes, int32_t n_marks)
{
    cudaError_t error = make_lanes(gpu_of(context), n_lanes);
    if (!error) error = make_marks(gpu_of(context), n_marks);
    return error ? error : cudaStreamBeginCapture(stream_of(context), cudaStreamCaptureModeThreadLocal);
}

static int gpu_mark(void *context, int32_t lane, int32_t mark)
{
    return cudaEventRecord(gpu_of(context)->marks[mark], gpu_of(context)->lane[lane]);
}

static int gpu_wait(void *context, int32_t lane, int32_t mark)
{
    return cudaStreamWaitEvent(gpu_of(context)->lane[lane], gpu_of(context)->marks[mark], 0);
}

static int gpu_launch(void *context, int32_t lane, const cuda_launch *launch)
{
    cudaStream_t stream = gpu_of(context)->lane[lane];
    if (launch->body == CUDA_LIBRARY) {
        const cuda_library_call *call = static_cast<const cuda_library_call *>(launch->args);
        return -call->run(call, stream);
    }
    void *args[] = { const_cast<void *>(launch->args) };
    return cudaLaunchKernel(kernels[launch->body], dim3(launch->blocks), dim3(CUDA_THREADS), args, 0, stream);
}

static int gpu_capture_end(void *context, void **graph)
{
    cudaGraph_t captured = NULL;
    cudaGraphExec_t exec = NULL;
    cudaError_t error = cudaStreamEndCapture(stream_of(context), &captured);
    if (!error) error = cudaGraphInstantiate(&exec, captured, 0);
    if (captured) cudaGraphDestroy(captured);
    *graph = error ? NULL : exec;
    return error;
}

static int gpu_graph_run(void *context, void *graph)
{
    return cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream_of(context));
}

/* Between two events on its stream. */
static int gpu_graph_time(void *context, void *graph, double *ns)
{
    cudaEvent_t begin = NULL, end = NULL;
    float ms = 0;
    cudaError_t error = cudaEventCreate(&begin);
    if (!error) error = cudaEventCreate(&end);
    if (!error) error = cudaStreamSynchronize(stream_of(context));
    if (!error) error = cudaEventRecord(begin, stream_of(context));
    if (!error) error = cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream_of(context));
    if (!error) error = cudaEventRecord(end, stream_of(context));
    if (!error) error = cudaEventSynchronize(end);
    if (!error) error = cudaEventElapsedTime(&ms, begin, end);
    if (begin) cudaEventDestroy(begin);
    if (end) cudaEventDestroy(end);
    *ns = 1e6 * (double)ms;
    return error;
}

static void gpu_graph_free(void *context, void *graph)
{
    cudaStreamSynchronize(stream_of(context));
    cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

static const char *gpu_error_text(int code)
{
    return code < 0 ? cuda_library_error_text(-code) : cudaGetErrorString(static_cast<cudaError_t>(code));
}

static void gpu_close(void *context)
{
    gpu *g = gpu_of(context);
    cudaStreamSynchronize(stream_of(context));
    for (int32_t i = 0; i < g->n_marks; i++) cudaEventDestroy(g->marks[i]);
    for (int32_t i = 0; i < CUDA_LANES; i++)
        if (g->lane[i]) cudaStreamDestroy(g->lane[i]);
    gen_free(g->marks);
    gen_free(g);
}

/* ---- open ---- */

enum { NAME_BYTES = 128 };

static gen_status no_gpu(gen_error *err, const char *what, cudaError_t error)
{
    return gen_fail(err, GEN_NO_DEVICE, "no GPU: %s: %s", what, cudaGetErrorString(error));
}

/* name: for people; kind: what the choice of engines depends on. */
static gen_status choose(int32_t index, char *name, char *kind, gen_error *err)
{
    int count = 0;
    cudaDeviceProp properties;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error) return no_gpu(err, "asking the driver for its GPUs", error);
    if (index >= count)
        return gen_fail(err, GEN_NO_DEVICE, "there is no GPU %d: the driver shows %d, the first is 'cuda:0'", index,
                        count);
    error = cudaSetDevice(index);
    if (!error) error = cudaGetDeviceProperties(&properties, index);
    if (error) return no_gpu(err, "choosing it", error);
    snprintf(name, NAME_BYTES, "cuda:%d (%.40s, %d multiprocessors, %.0f GB", index, properties.name,
             properties.multiProcessorCount, 1e-9 * (double)properties.totalGlobalMem);
    snprintf(kind, NAME_BYTES, "%.64s with %d multiprocessors, sm_%d%d", properties.name,
             properties.multiProcessorCount, properties.major, properties.minor);
    return GEN_OK;
}

/* Loads every kernel now: loading one while a graph is captured might wait for the device, which a capture forbids. It also tells whether this plugin
 * has code for this GPU. */
static gen_status load_kernels(gen_error *err)
{
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        cudaFuncAttributes attributes;
        cudaError_t error = cudaFuncGetAttributes(&attributes, kernels[i]);
        if (error) return no_gpu(err, "loading kernels onto it", error);
    }
    return GEN_OK;
}

static gen_status open_stream(const char *name, const cuda_products *products, gen_device **device, gen_error *err)
{
    gpu *g = static_cast<gpu *>(gen_alloc(1, sizeof *g));
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "the cuda device");
    cuda_runtime runtime = {
        g,        gpu_alloc, gpu_free,        gpu_copy_in,   gpu_copy_out,   gpu_capture_begin, gpu_launch,
        gpu_mark, gpu_wait,  gpu_capture_end, gpu_graph_run, gpu_graph_time, gpu_graph_free,    gpu_error_text,
        gpu_close
    };
    cudaError_t error = cudaStreamCreateWithFlags(&g->lane[0], cudaStreamNonBlocking);
    gen_status status =
        error ? no_gpu(err, "making a stream", error) : cuda_device_new(&runtime, products, name, device, err);
    if (status && !error) cudaStreamDestroy(g->lane[0]);
    if (status) gen_free(g);
    return status;
}

extern "C" __attribute__((visibility("default"))) gen_status gen_cuda_open(const char *version, size_t call_bytes,
                                                                           const cuda_open_request *request,
                                                                           gen_device **device, gen_error *err)
{
    char name[NAME_BYTES], kind[NAME_BYTES], libraries[64];
    cuda_products products = { request->precision, NULL, NULL, NULL };
    if (strcmp(version, GEN_VERSION) || call_bytes != sizeof(gen_call))
        return gen_fail(err, GEN_NO_DEVICE,
                        "libgen_cuda.so is of gen " GEN_VERSION ", this is gen %s%s: build both together", version,
                        strcmp(version, GEN_VERSION) ? "" : ", of other sources");
    GEN_TRY(choose(request->index, name, kind, err));
    GEN_TRY(load_kernels(err));
    GEN_TRY(cuda_products_open(&products, kind, libraries, sizeof libraries, err));
    size_t used = strlen(name);
    snprintf(name + used, sizeof name - used, ", %.40s)", libraries);
    gen_status status = open_stream(name, &products, device, err);
    if (status) cuda_products_close(&products);
    return status;
}
