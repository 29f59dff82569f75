/* kernels/cpu/peak.h: the arithmetic that bounds every product on this machine, for `gen bench`. */
#ifndef GEN_KERNELS_CPU_PEAK_H
#define GEN_KERNELS_CPU_PEAK_H

#include <stdint.h>

/* So many rounds of the largest register tile, from L1, on the calling thread. Returns the floating-point operations that were done (a multiply-add is
 * two). Exists for each instruction set where the build has it. */
double cpu_peak_base(int64_t rounds), cpu_peak_avx2(int64_t rounds), cpu_peak_avx512(int64_t rounds),
    cpu_peak_avx512_bf16(int64_t rounds);

#endif
