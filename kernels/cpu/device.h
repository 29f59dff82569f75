/* kernels/cpu/device.h: the processor as a device.
 *
 *     gen_device *device;
 *     GEN_TRY(cpu_device_open(CPU_FLOAT, 2, &device, err));
 */
#ifndef GEN_KERNELS_CPU_DEVICE_H
#define GEN_KERNELS_CPU_DEVICE_H

#include "core/device.h"

/* CPU_FLOAT: what is usual. CPU_BFLOAT16: numbers are float, but the large products round what they multiply to bfloat16 (kernels/cpu/bf16). CPU_DOUBLE:
 * every number is a double and every kernel the double-precision reference. */
typedef enum cpu_numbers { CPU_FLOAT, CPU_BFLOAT16, CPU_DOUBLE } cpu_numbers;

/* threads: 0 = all cores. GEN_UNSUPPORTED: CPU_BFLOAT16 where cpu_has_bf16 (kernel.h) says no. */
gen_status cpu_device_open(cpu_numbers numbers, int32_t threads, gen_device **device, gen_error *err);

/* What gen_device_rungs and gen_device_compile_rung promise (kernels/devices.h); 0 kernels on another device, or the double-precision reference. */
int32_t cpu_device_rungs(gen_device *device, const gen_call *call, const char **names, int32_t max);
gen_status cpu_device_compile_rung(gen_device *device, const gen_call *call, int32_t i, gen_exec **exec,
                                   gen_error *err);

/* What gen_device_tune promises (kernels/devices.h). */
gen_status cpu_device_tune(gen_device *device, const char *folder, char *note, size_t note_bytes, gen_error *err);

/* "AMD EPYC 9355P, avx512, bf16, 2 cores", or "…, no bf16, …" */
void cpu_describe(char *buffer, size_t bytes);

#endif
