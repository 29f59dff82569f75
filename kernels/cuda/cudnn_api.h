/* kernels/cuda/cudnn_api.h: cuDNN's backend interface as a table of functions. libraries.c fills it from the library that it finds, tests/cuda_fake_cudnn.c
 * with one that computes on the host.
 *
 * What a convolution is to cuDNN is a tree of descriptors: each is made, gets attributes, and is finalised, after which it does not change. Functions return
 * 0 or a cudnnStatus_t: 2000 and on: a wrong parameter, 3000: not supported, 4000: an error inside, 5000: it did not run.
 */
#ifndef GEN_KERNELS_CUDA_CUDNN_API_H
#define GEN_KERNELS_CUDA_CUDNN_API_H

#include <stddef.h>
#include <stdint.h>

enum {
#define NUMBER(name, value) DNN_##name = (value),
#include "kernels/cuda/cudnn_list.h"
#undef NUMBER
};

typedef struct cudnn_api {
    size_t (*version)(void); /* 91900: 9.19.0 */
    int (*create)(void **handle);
    int (*destroy)(void *handle);
    int (*set_stream)(void *handle, void *stream);
    int (*create_descriptor)(int type, void **descriptor);
    int (*destroy_descriptor)(void *descriptor);
    int (*set_attribute)(void *descriptor, int name, int type, int64_t n, const void *values);
    int (*get_attribute)(void *descriptor, int name, int type, int64_t room, int64_t *n, void *values);
    int (*finalize)(void *descriptor);
    int (*execute)(void *handle, void *plan, void *variant_pack);
} cudnn_api;

#endif
