/* tests/cuda_fake_cudnn.h: a cuDNN that is none: descriptors that watch over how they are used, and plans that compute on the host, by the definition, what
 * their operations say. It fails the running test on an attribute that its descriptor does not have, that is missing when it is finalised, or that comes after.
 *
 *     fake_cudnn_start();
 *     TEST_OK(cudnn_open(&fake_cudnn_api, NULL, &dnn, &err));
 *     …
 *     cudnn_close(dnn);
 *     assert_int_equal(fake_cudnn_alive(), 0);
 *
 * The stream is a cuda_recorder, which gets what is executed; NULL: it is executed at once. Its engines, in the order of the heuristics: see engines[].
 */
#ifndef GEN_TESTS_CUDA_FAKE_CUDNN_H
#define GEN_TESTS_CUDA_FAKE_CUDNN_H

#include <stdbool.h>

#include "kernels/cuda/cudnn.h"

extern const cudnn_api fake_cudnn_api;

enum {
    FAKE_PLAIN_ENGINE = 4,
    FAKE_TENSOR_CORES = 5,      /* the first two that may be chosen: without tensor cores, with them */
    FAKE_AS_FAST = 6,           /* as the one before, less what noise is */
    FAKE_FAST_TENSOR_CORES = 7, /* the two fastest that may be chosen */
    FAKE_FAST_PLAIN_ENGINE = 8
};

extern bool fake_cudnn_refuses_fusion; /* no plan for more than the convolution */
extern bool fake_cudnn_fails;          /* nothing can be executed */

void fake_cudnn_start(void); /* refuses nothing, has counted nothing */
int fake_cudnn_alive(void);  /* descriptors and handles */
int fake_cudnn_executed(void);
int fake_cudnn_fused(void); /* of those: with more than the convolution */

#endif
