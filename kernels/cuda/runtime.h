/* kernels/cuda/runtime.h: what the device asks of a GPU. plugin.cu fills it with the CUDA runtime, the tests with a recorder that runs launches in the block
 * emulator: so all of device.c runs without a GPU.
 *
 *     gen_device *device;
 *     GEN_TRY(cuda_device_new(&runtime, &products, "cuda (NVIDIA H200)", &device, err));   // takes the runtime: close calls runtime.close
 *
 * Memory functions and runs of graphs are ordered by one stream. Functions return 0, or a code that error_text explains.
 */
#ifndef GEN_KERNELS_CUDA_RUNTIME_H
#define GEN_KERNELS_CUDA_RUNTIME_H

#include "core/device.h"
#include "kernels/cuda/launch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cuda_runtime {
    void *context;                                            /* first argument of all */
    int (*alloc)(void *context, void **memory, size_t bytes); /* zeroed, 64-byte aligned; bytes > 0 */
    void (*free)(void *context, void *memory);
    int (*copy_in)(void *context, void *to, const void *from,
                   size_t bytes); /* from: host memory, free to change on return */
    int (*copy_out)(void *context, void *to, const void *from, size_t bytes); /* to: host memory, filled on return */
    /* Between begin and end nothing but the next three may be called; launches are recorded and not run. What is in a lane runs one after the other. Work is
     * in lane 0 at first and must all be waited for by it in the end; another lane begins with a wait. Marks are numbers below n_marks. */
    int (*capture_begin)(void *context, int32_t n_lanes, int32_t n_marks);
    int (*launch)(void *context, int32_t lane, const cuda_launch *launch); /* of a library: < 0 is minus its status */
    int (*mark)(void *context, int32_t lane, int32_t mark);                /* each mark once: here the lane is so far */
    int (*wait)(void *context, int32_t lane, int32_t mark);                /* what follows in the lane comes after it */
    int (*capture_end)(void *context, void **graph);           /* also after a launch that failed; graph is then NULL */
    int (*graph_run)(void *context, void *graph);              /* enqueues all its launches */
    int (*graph_time)(void *context, void *graph, double *ns); /* runs it, alone, and waits */
    void (*graph_free)(void *context, void *graph);            /* waits for runs of it */
    const char *(*error_text)(int code);
    void (*close)(void *context);
} cuda_runtime;

/* Takes the libraries of products too: the device closes them before the runtime. name: up to 127 characters, copied. On failure both stay the caller's. */
gen_status cuda_device_new(const cuda_runtime *runtime, const cuda_products *products, const char *name,
                           gen_device **device, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
