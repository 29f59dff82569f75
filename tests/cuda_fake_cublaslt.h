/* tests/cuda_fake_cublaslt.h: a cuBLASLt that is none: it watches over how it is used, and computes on the host. The stream is a cuda_recorder, which gets what is
 * computed; NULL: at once.
 *
 *     TEST_OK(cublaslt_open(&fake_cublaslt_api, &blas, &err));
 *     …
 *     cublaslt_close(blas);
 *     assert_int_equal(fake_cublaslt_alive(), 0);
 */
#ifndef GEN_TESTS_CUDA_FAKE_CUBLASLT_H
#define GEN_TESTS_CUDA_FAKE_CUBLASLT_H

#include "kernels/cuda/launch.h"

extern const cublaslt_api fake_cublaslt_api;

int fake_cublaslt_alive(void);    /* handles and descriptors */
int fake_cublaslt_executed(void); /* since the program began */

/* Both libraries, neither of which is one; fails the test where there is none of them. Given to a device, or closed with cuda_products_close. */
cuda_products fake_products(cuda_precision precision);
/* Nothing of both is alive. */
void fake_products_are_gone(void);

#endif
