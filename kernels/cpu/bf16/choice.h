/* kernels/cpu/bf16/choice.h: a direct convolution in bfloat16 multiplies twice as fast as one in float, Winograd's in float multiplies less often; which is
 * faster depends on the layer. */
#ifndef GEN_KERNELS_CPU_BF16_CHOICE_H
#define GEN_KERNELS_CPU_BF16_CHOICE_H

#include <stdbool.h>

#include "core/op.h"

/* Is Winograd's kernel in float expected to beat a direct one that is `rate` times as fast as float's? $GEN_CONV decides where it is set. */
bool cpu_conv2d_winograd_beats_avx512(const gen_call *c, double rate);
bool cpu_conv2d_w_winograd_beats_avx512(const gen_call *c, double rate);

#endif
