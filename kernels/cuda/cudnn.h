/* kernels/cuda/cudnn.h: convolutions by cuDNN 9: which of its engines computes one, and running it.
 *
 *     cudnn *dnn;
 *     GEN_TRY(cudnn_open(&api, NULL, &dnn, err));
 *     const cudnn_plan *plan = cudnn_plan_of(dnn, &conv);       // NULL: cuDNN has none that will do
 *     int code = cudnn_run(plan, &(cudnn_tensors){ x, w, y }, workspace, stream);
 *     cudnn_close(dnn);
 *
 * Engines are looked up in cuDNN's heuristics. Those are dropped that do not give the same bits on every run, that would be compiled first, that want more than
 * CUDNN_MOST_WORKSPACE, and without `tensor_cores` those that round their inputs to TF32. Of the rest those on tensor cores come first, in the heuristics' order.
 * The first of all wins; with a tuner, the fastest of the first CUDNN_MOST_TUNED.
 */
#ifndef GEN_KERNELS_CUDA_CUDNN_H
#define GEN_KERNELS_CUDA_CUDNN_H

#include "core/op.h"
#include "kernels/cuda/cudnn_api.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CUDNN_MOST_WORKSPACE = 256 << 20 /* bytes */, CUDNN_MOST_TUNED = 8 };

typedef enum cudnn_direction {
    CUDNN_FORWARD, /* y from x, w */
    CUDNN_DATA,    /* x from y, w: the gradient in x, and transposed convolution */
    CUDNN_FILTER   /* w from x, y: the gradient in w */
} cudnn_direction;

/* x[N,H,W,C], y[N,P,Q,K], w[K,R,S,C]: all float, or all bfloat16. */
typedef struct cudnn_conv {
    int64_t x[4], y[4];
    int32_t kernel[2], stride[2], pad[4], dilation[2]; /* pad: top, left, bottom, right */
    int32_t direction;                                 /* a cudnn_direction */
    int32_t bf16, tensor_cores, bias, residual, relu;  /* 0 or 1; y = relu(conv + residual + bias): FORWARD only */
} cudnn_conv;

typedef struct cudnn_plan {
    cudnn_conv conv;
    size_t workspace_bytes;
    int64_t engine; /* cuDNN's number of it */
    bool on_tensor_cores;
    int32_t n_configs; /* that the heuristics know */
} cudnn_plan;

/* Device memory, 16-byte aligned; bias[K], residual[N,P,Q,K]. */
typedef struct cudnn_tensors {
    void *x, *w, *y, *bias, *residual;
} cudnn_tensors;

typedef struct cudnn cudnn;

/* Plans for the GPU that is current. device_json: plans for the GPU that this text describes, none has to be there, and nothing can run. api is copied. */
gen_status cudnn_open(const cudnn_api *api, const char *device_json, cudnn **dnn, gen_error *err);
void cudnn_close(cudnn *dnn); /* accepts NULL */

/* One of the plans that will do: its place among them, and its engine, by which a choice that is out of date is noticed. */
typedef struct cudnn_choice {
    int32_t place;
    int64_t engine;
} cudnn_choice;

/* Who times plans on the GPU, and knows what was the fastest before. */
typedef struct cudnn_tuner {
    void *context;
    double (*time)(void *context, const cudnn_plan *plan); /* ns of one run; negative: it could not be measured */
    bool (*recall)(void *context, const cudnn_conv *conv, cudnn_choice *choice); /* false: nothing is known */
    void (*remember)(void *context, const cudnn_conv *conv, const cudnn_choice *choice);
} cudnn_tuner;

/* For plans that are looked for from now on. Copied; context must live as long as dnn. */
void cudnn_tune(cudnn *dnn, const cudnn_tuner *tuner);

/* Looked for once and remembered, also that there is none; lives as long as dnn. */
const cudnn_plan *cudnn_plan_of(cudnn *dnn, const cudnn_conv *conv);

/* Enqueues the convolution. Returns 0 or cuDNN's status. workspace: plan->workspace_bytes of device memory, 64-byte aligned. */
int cudnn_run(const cudnn_plan *plan, const cudnn_tensors *at, void *workspace, void *stream);

#ifdef __cplusplus
}
#endif
#endif
