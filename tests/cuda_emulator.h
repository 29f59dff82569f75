/* tests/cuda_emulator.h: the GPU's kernel bodies (kernels/cuda, .kh files), compiled by the host's compiler and run block by block: blocks in a shuffled order,
 * and the threads of each phase in another one. So the sanitizers see their indexing, and a race gives other bits on the next run.
 *
 *     cuda_emulate(&list);                                   // a list of launches, see kernels/cuda/launch.h
 *     op_run_kernel(&cuda_emulated_kernel, &call);           // one call, as if the emulator were a rung of the CPU's ladder
 */
#ifndef GEN_TESTS_CUDA_EMULATOR_H
#define GEN_TESTS_CUDA_EMULATOR_H

#include "kernels/cpu/kernel.h"
#include "kernels/cuda/launch.h"

/* Runs one launch; all pointers of its arguments are host memory. */
void cuda_emulate(const cuda_launch *launch);

/* Runs blocks of a body that is not in body_list.h. */
void cuda_emulate_body(void (*body)(const void *args), int32_t blocks, const void *args);

extern const cpu_kernel cuda_emulated_kernel;
/* The same where libraries compute products (cuda_fake_cudnn.h). */
extern const cpu_kernel cuda_library_kernel;

#endif
