/* core/device.h: what core asks of a device. A device gets the whole plan, so that a GPU can capture it as one graph and the CPU can walk it as a
 * list of calls. Vtables are handed in from outside (kernels/devices.h): core names no device.
 *
 *     gen_exec *exec;
 *     GEN_TRY(device->ops->compile(device, calls, n_calls, &exec, err));
 *     GEN_TRY(device->ops->run(exec, err));
 *     device->ops->exec_free(exec);
 */
#ifndef GEN_CORE_DEVICE_H
#define GEN_CORE_DEVICE_H

#include "core/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_exec gen_exec;
typedef struct gen_device gen_device;

typedef struct gen_device_ops {
    /* Zeroed device memory, 64-byte aligned; NULL when it ran out. */
    void *(*alloc)(gen_device *device, size_t bytes);
    void (*free)(gen_device *device, void *memory);
    /* Copies between host floats and device elements (which may be double: element_bytes). */
    gen_status (*upload)(gen_device *device, void *to, const float *from, size_t count, gen_error *err);
    gen_status (*download)(gen_device *device, float *to, const void *from, size_t count, gen_error *err);
    /* Prepares a list of calls. calls and all they point to outlive exec. An op that the device lacks: GEN_UNSUPPORTED with its name. Allocates all
     * scratch memory here, so that run allocates nothing. */
    gen_status (*compile)(gen_device *device, const gen_call *calls, int32_t n_calls, gen_exec **exec, gen_error *err);
    gen_status (*run)(gen_exec *exec, gen_error *err);
    void (*exec_free)(gen_exec *exec);
    /* Seconds and number of runs of each call since profiling was switched on; NULL where a device cannot. */
    void (*profile)(gen_exec *exec, bool on, double *seconds);
    /* What bounds every product: floating-point operations a second from registers, all threads together, measured now (a tenth of a second). NULL:
     * not known. */
    double (*peak)(gen_device *device);
    void (*close)(gen_device *device);
    /* What compile would take for itself (scratch, packed weights) without taking it; pointers to data may be wild. NULL where a device cannot say. */
    size_t (*compile_bytes)(gen_device *device, const gen_call *calls, int32_t n_calls);
} gen_device_ops;

struct gen_device {
    const gen_device_ops *ops;
    const char *name;     /* "cpu (avx512, 2 threads)" */
    size_t element_bytes; /* 4, or 8 for the double-precision reference */
};

#ifdef __cplusplus
}
#endif
#endif
