/* kernels/cuda/launch.h: a call of the plan as a list of launches of kernel bodies. Plain C without CUDA: the plugin launches the list on a GPU, the tests
 * run it in the block emulator.
 *
 *     cuda_launches list = { .arena = arena, .state = state };
 *     GEN_TRY(cuda_lower(&call, &list, err));             // once with scratch = 0, to learn scratch_bytes; then with memory
 *     for (int32_t i = 0; i < list.n; i++) … list.launch[i] …
 */
#ifndef GEN_KERNELS_CUDA_LAUNCH_H
#define GEN_KERNELS_CUDA_LAUNCH_H

#include "core/op.h"
#include "kernels/cuda/choices.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/cudnn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cuda_body {
#define BODY(name) CUDA_BODY_##name,
#include "kernels/cuda/body_list.h"
#undef BODY
    CUDA_BODY_COUNT,
    CUDA_LIBRARY = CUDA_BODY_COUNT /* none of ours: args is a cuda_library_call */
} cuda_body;

/* What a library computes: run enqueues it on a stream and returns 0 or the library's status. */
typedef struct cuda_library_call {
    int (*run)(const struct cuda_library_call *call, void *stream);
    const void *plan;
    void *data[5], *workspace; /* device memory */
} cuda_library_call;

/* How exact products are: float; float whose inputs tensor cores round to 10 bits behind the point (TF32), or to 7 (bfloat16). Sums are float in all. */
typedef enum cuda_precision { CUDA_FP32, CUDA_TF32, CUDA_BF16 } cuda_precision;

/* Who computes products: libraries, where they are there and will do, else bodies of ours, which know float alone. */
typedef struct cuda_products {
    cuda_precision precision;
    cudnn *dnn; /* NULL: absent */
    cublaslt *blas;
    cuda_choices *choices; /* which engines of cuDNN are the fastest; NULL: the heuristics' word is taken */
} cuda_products;

/* One launch: blocks of CUDA_THREADS threads; args: the body's name_args, at most 4 KB, which is what every GPU takes. */
typedef struct cuda_launch {
    cuda_body body;
    int32_t blocks;
    const void *args;
    size_t args_bytes;
} cuda_launch;

typedef struct cuda_launches {
    gen_arena *arena;           /* of launches and arguments; owned by the caller */
    const gen_run_state *state; /* device memory with what changes from run to run */
    cuda_products products;
    uintptr_t scratch;    /* device memory, 64-byte aligned, used by one call after the other; 0: only count */
    size_t scratch_bytes; /* what the greediest call so far wants */
    uintptr_t table;      /* device memory that kernels only read, for all calls of the list; 0: only count */
    char *table_here; /* what belongs there, filled by cuda_lower and copied by the caller; NULL: it is there already */
    size_t table_bytes; /* so far */
    cuda_launch *launch;
    int32_t n, room;
    size_t call_bytes; /* private: scratch of the call that is being lowered */
    bool no_memory;
} cuda_launches;

/* The body's name. */
const char *cuda_body_name(cuda_body body);

/* The convolution that a call is to cuDNN; false: it is none that cuDNN is asked for (groups, cropping). */
bool cuda_conv_of(const gen_call *call, cuda_precision precision, cudnn_conv *conv);

/* Is there a lowering for the op? */
bool cuda_has(gen_op op);

/* Appends the launches of a call. GEN_UNSUPPORTED with the op's name when there is none or a tensor has more than 2^30 elements (bodies count in 32 bits);
 * GEN_NO_MEMORY. */
gen_status cuda_lower(const gen_call *call, cuda_launches *list, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
