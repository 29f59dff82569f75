/* kernels/cuda/libraries.h: NVIDIA's libraries, opened at run time where they are installed: nothing of gen needs them to load.
 *
 *     cudnn_api api;
 *     if (cuda_load_cudnn(&api, &err)) puts(err.text);       // "cuDNN is not here: libcudnn_graph.so.9: cannot open …"
 *
 * Looked for, in this order: the folder $GEN_CUDA_LIBRARIES; where the system's loader looks; /usr/local/cuda/lib64; the packages nvidia-* of the Python
 * environment $VIRTUAL_ENV, which PyTorch brings.
 */
#ifndef GEN_KERNELS_CUDA_LIBRARIES_H
#define GEN_KERNELS_CUDA_LIBRARIES_H

#include "kernels/cuda/launch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* GEN_NO_DEVICE: it is not there, or lacks a function; a sentence says which. A library stays open until the program ends. */
gen_status cuda_load_cudnn(cudnn_api *api, gen_error *err);
gen_status cuda_load_cublaslt(cublaslt_api *api, gen_error *err);

/* Opens what is there for the GPU that is current; text says what that is: "cuDNN 9.19.0, cuBLASLt". cuDNN's engines are timed, unless $GEN_CUDA_TUNE is "off";
 * what was found is kept in the user's cache, for GPUs of this kind: "NVIDIA H200 with 132 multiprocessors, sm_90". What is not there is left out where products are CUDA_FP32, which
 * kernels of ours compute too, and GEN_NO_DEVICE otherwise. */
gen_status cuda_products_open(cuda_products *products, const char *kind, char *text, size_t text_bytes, gen_error *err);
void cuda_products_close(cuda_products *products);

/* What a library's status means. */
const char *cuda_library_error_text(int status);

#ifdef __cplusplus
}
#endif
#endif
