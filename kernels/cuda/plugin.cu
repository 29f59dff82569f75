/* libgen_cuda.so: the CUDA runtime behind runtime.h, and the one function that gen looks for, gen_cuda_open. Loads without a driver: it then says so. */
#include <stdio.h>

#include "kernels/cuda/bodies.kh"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/plugin.h"
#include "kernels/cuda/runtime.h"

static const void *const kernels[] = {
#define BODY(name) (const void *)cuda_##name,
#include "kernels/cuda/body_list.h"
#undef BODY
};

typedef struct gpu {
    cudaStream_t stream;
} gpu;

static cudaStream_t stream_of(void *context)
{
    return static_cast<gpu *>(context)->stream;
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

static int gpu_capture_begin(void *context)
{
    return cudaStreamBeginCapture(stream_of(context), cudaStreamCaptureModeThreadLocal);
}

static int gpu_launch(void *context, const cuda_launch *launch)
{
    if (launch->body == CUDA_LIBRARY) {
        const cuda_library_call *call = static_cast<const cuda_library_call *>(launch->args);
        return -call->run(call, stream_of(context));
    }
    void *args[] = { const_cast<void *>(launch->args) };
    return cudaLaunchKernel(kernels[launch->body], dim3(launch->blocks), dim3(CUDA_THREADS), args, 0,
                            stream_of(context));
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
    cudaStreamSynchronize(stream_of(context));
    cudaStreamDestroy(stream_of(context));
    gen_free(context);
}

/* ---- open ---- */

enum { NAME_BYTES = 128 };

static gen_status no_gpu(gen_error *err, const char *what, cudaError_t error)
{
    return gen_fail(err, GEN_NO_DEVICE, "no GPU: %s: %s", what, cudaGetErrorString(error));
}

static gen_status choose(int32_t index, char *name, gen_error *err)
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
        g,          gpu_alloc,       gpu_free,      gpu_copy_in,    gpu_copy_out,   gpu_capture_begin,
        gpu_launch, gpu_capture_end, gpu_graph_run, gpu_graph_free, gpu_error_text, gpu_close
    };
    cudaError_t error = cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking);
    gen_status status =
        error ? no_gpu(err, "making a stream", error) : cuda_device_new(&runtime, products, name, device, err);
    if (status && !error) cudaStreamDestroy(g->stream);
    if (status) gen_free(g);
    return status;
}

extern "C" __attribute__((visibility("default"))) gen_status gen_cuda_open(const char *version, size_t call_bytes,
                                                                           const cuda_open_request *request,
                                                                           gen_device **device, gen_error *err)
{
    char name[NAME_BYTES], libraries[64];
    cuda_products products = { request->precision, NULL, NULL };
    if (strcmp(version, GEN_VERSION) || call_bytes != sizeof(gen_call))
        return gen_fail(err, GEN_NO_DEVICE,
                        "libgen_cuda.so is of gen " GEN_VERSION ", this is gen %s%s: build both together", version,
                        strcmp(version, GEN_VERSION) ? "" : ", of other sources");
    GEN_TRY(choose(request->index, name, err));
    GEN_TRY(load_kernels(err));
    GEN_TRY(cuda_products_open(&products, libraries, sizeof libraries, err));
    size_t used = strlen(name);
    snprintf(name + used, sizeof name - used, ", %.40s)", libraries);
    gen_status status = open_stream(name, &products, device, err);
    if (status) cuda_products_close(&products);
    return status;
}
