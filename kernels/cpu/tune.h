/* kernels/cpu/tune.h: which kernel, and which way of it, was the fastest for a convolution of some shape on this machine, in a file of lines.
 *
 *     cpu_tuning *t;
 *     GEN_TRY(cpu_tuning_open("…/avx512-2.txt", "AMD EPYC 9355P, avx512, 2", &t, note, sizeof note, err));
 *     GEN_TRY(cpu_tuning_measure(t, device, call, isa, err));      // unless it is known
 *     cpu_tuning_find(t, call, isa, &kernel, &way);
 *     GEN_TRY(cpu_tuning_save(t, err));
 *     cpu_tuning_close(t);
 */
#ifndef GEN_KERNELS_CPU_TUNE_H
#define GEN_KERNELS_CPU_TUNE_H

#include "core/device.h"
#include "kernels/cpu/kernel.h"

typedef struct cpu_tuning cpu_tuning;

/* A file that is not there is no failure; one that is damaged, of another version or machine is forgotten, and note (may be NULL) says so. */
gen_status cpu_tuning_open(const char *path, const char *machine, cpu_tuning **tuning, char *note, size_t note_bytes,
                           gen_error *err);
void cpu_tuning_close(cpu_tuning *tuning); /* accepts NULL */

/* Times all kernels of level isa that can run the call, in all their ways, on numbers of its own, and remembers the fastest. Nothing happens for ops
 * that have one kernel, and for calls that are known. GEN_NO_MEMORY. */
gen_status cpu_tuning_measure(cpu_tuning *tuning, gen_device *device, const gen_call *call, cpu_isa isa,
                              gen_error *err);
/* Changes *kernel and *way when the call's are known and the kernel is there. */
void cpu_tuning_find(const cpu_tuning *tuning, const gen_call *call, cpu_isa isa, const cpu_kernel **kernel,
                     int32_t *way);
/* Writes the file when something is new; as a whole or not at all. */
gen_status cpu_tuning_save(cpu_tuning *tuning, gen_error *err);

/* A kernel in one of its ways, for those who measure (device.c). */
gen_status cpu_device_compile_way(gen_device *device, const gen_call *call, const cpu_kernel *kernel, int32_t way,
                                  gen_exec **exec, gen_error *err);

#endif
