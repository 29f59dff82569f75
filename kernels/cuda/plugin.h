/* kernels/cuda/plugin.h: the one function of libgen_cuda.so, as kernels/devices.c looks for it.
 *
 *     cuda_open_fn open = dlsym(plugin, CUDA_OPEN_NAME);
 *     GEN_TRY(open(GEN_VERSION, sizeof(gen_call), &(cuda_open_request){ 0, CUDA_FP32 }, &device, err));
 */
#ifndef GEN_KERNELS_CUDA_PLUGIN_H
#define GEN_KERNELS_CUDA_PLUGIN_H

#include "core/device.h"
#include "kernels/cuda/launch.h"

#define CUDA_OPEN_NAME "gen_cuda_open"

typedef struct cuda_open_request {
    int32_t index; /* of the GPU */
    cuda_precision precision;
} cuda_open_request;

/* That GPU as a device; closed by its own ops. version and call_bytes are the caller's: another than the plugin's is refused. GEN_NO_DEVICE: one
 * sentence on why there is none. The plugin must stay loaded while one of its devices lives. */
typedef gen_status (*cuda_open_fn)(const char *version, size_t call_bytes, const cuda_open_request *request,
                                   gen_device **device, gen_error *err);

#endif
