/* kernels/cuda/choices.h: which of cuDNN's engines was the fastest for a convolution, kept in a file of the user's cache from run to run.
 *
 *     cuda_choices *choices = cuda_choices_open(path, "cuDNN 91900, NVIDIA H200, sm_90");      // NULL: no memory
 *     if (!cuda_choices_find(choices, &conv, &choice)) cuda_choices_add(choices, &conv, &choice);
 *     cuda_choices_close(choices);
 *
 * The file is text: a line with the format's version, a line with the key, and a line for each convolution that ends in its own check sum. A file of another version
 * or key, or a damaged line, is as if it were not there, and gone when the file is next written. A file that cannot be written is no failure.
 */
#ifndef GEN_KERNELS_CUDA_CHOICES_H
#define GEN_KERNELS_CUDA_CHOICES_H

#include "kernels/cuda/cudnn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cuda_choices cuda_choices;

/* path NULL: nothing is kept. key: what the choices depend on besides the convolution, a line; both are copied. */
cuda_choices *cuda_choices_open(const char *path, const char *key);
void cuda_choices_close(cuda_choices *choices); /* accepts NULL */

bool cuda_choices_find(const cuda_choices *choices, const cudnn_conv *conv, cudnn_choice *choice);
/* Puts it in the place of an older one, and writes the file: a new one that takes the old one's place at once. */
void cuda_choices_add(cuda_choices *choices, const cudnn_conv *conv, const cudnn_choice *choice);
int32_t cuda_choices_count(const cuda_choices *choices);

/* $XDG_CACHE_HOME/gen/<file> or ~/.cache/gen/<file>, whose folder is made; false: there is no such place. */
bool cuda_choices_path(const char *file, char *path, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
