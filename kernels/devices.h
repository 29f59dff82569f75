/* kernels/devices.h: the devices, as rows; open by name.
 *
 *     gen_device *device;
 *     GEN_TRY(gen_device_open("cpu", 2, &device, err));
 *     device->ops->close(device);
 */
#ifndef GEN_KERNELS_DEVICES_H
#define GEN_KERNELS_DEVICES_H

#include "core/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* name: "auto", "cpu", "cpu64" (double-precision reference, for gradient checks), "cuda[:n]". threads: 0 = all cores. Numbers are float throughout. */
gen_status gen_device_open(const char *name, int32_t threads, gen_device **device, gen_error *err);

/* precision: "fp32"; on a GPU also "tf32" and "bf16", whose products round what they multiply (kernels/cuda/launch.h); "bf16" also on a processor with AVX512-BF16
 * (kernels/cpu/bf16). note, unless NULL, gets a line on what
 * "auto" did not choose and why; "" otherwise. */
gen_status gen_device_open_with(const char *name, int32_t threads, const char *precision, gen_device **device,
                                char *note, size_t note_bytes, gen_error *err);

/* A line for each device of this machine, or why it is not there; in buffer, lines end in '\n'. */
void gen_devices_describe(char *buffer, size_t bytes);

/* For measuring: the kernels that a device could run the call on, worst first, the last one being its choice: how many, and the names of the first max; 0 where
 * a device has no choice. Then the same as device->ops->compile of that one call, but on kernel i of them. */
int32_t gen_device_rungs(gen_device *device, const gen_call *call, const char **names, int32_t max);
gen_status gen_device_compile_rung(gen_device *device, const gen_call *call, int32_t i, gen_exec **exec,
                                   gen_error *err);

/* From here on the device runs convolutions by the kernels and block sizes that were the fastest here, not by those that should be: each shape that no
 * file in the folder (which exists) remembers is measured when a plan is compiled. One file for an instruction set and a number of threads; results are
 * the same bits for one file, but may differ from file to file in rounding. A file of another version or processor, or a damaged one, is written anew,
 * and note says so; "" otherwise. GEN_UNSUPPORTED on a GPU; GEN_IO when the file cannot be written. */
gen_status gen_device_tune(gen_device *device, const char *folder, char *note, size_t note_bytes, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
