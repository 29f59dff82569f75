/* core/device.h: what core asks of a device. A device gets the whole plan, so that a GPU can capture it as one graph and the CPU can walk it as a
 * list of calls. Vtables are handed in from outside (kernels/devices.h): core names no device.
 *
 *     gen_exec *exec;
 *     GEN_TRY(device->ops->compile(device, calls, n_calls, &exec, err));
 *     GEN_TRY(device->ops->run(exec, err));
 *     device->ops->exec_free(exec);
 *
 * A device that can take many runs on end has `loop` and `run_loop`: it then holds the training data, draws each run's rows and keeps what each run puts out, so
 * that the host is asked for nothing between them.
 */
#ifndef GEN_CORE_DEVICE_H
#define GEN_CORE_DEVICE_H

#include "core/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_exec gen_exec;
typedef struct gen_device gen_device;

enum { GEN_MAX_DECKS = 2, GEN_MAX_NUMBERS = 16 };

/* Rows drawn without repetition: draw i is row first + i in order, or first + order[i % per_pass] with order = gen_shuffle(seed, i / per_pass, n). */
typedef struct gen_deck {
    int64_t first, n;
    int64_t per_pass; /* draws of a pass, at most n */
    uint64_t seed;
    bool in_order;
} gen_deck;

/* What run number `step` is fed with: of each deck the draws [share step, share (step + 1)), deck after deck. */
typedef struct gen_rows {
    const uint8_t *bytes;  /* [n,width], b stands for b / 255; NULL: */
    const float *values;   /* [n,width] */
    const int32_t *labels; /* [n]; NULL: all 0 */
    int64_t n, width;
    gen_deck deck[GEN_MAX_DECKS];
    int32_t n_decks;
    int64_t share;
} gen_rows;

typedef struct gen_loop {
    const gen_rows *rows;                /* the host's, read by `loop` only */
    void *x, *label;                     /* device memory that each run reads them from, as floats; NULL: not wanted */
    int32_t n_numbers;                   /* up to GEN_MAX_NUMBERS: what each run puts out, */
    const void *number[GEN_MAX_NUMBERS]; /* one float each, on the device */
    int32_t most;                        /* runs of one run_loop */
} gen_loop;

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
    /* Prepares exec, which was made from these calls, for runs on end; once. GEN_UNSUPPORTED, GEN_NO_MEMORY: it stays what it was. NULL: a device takes one
     * run at a time. */
    gen_status (*loop)(gen_exec *exec, const gen_call *calls, int32_t n_calls, const gen_loop *loop, gen_error *err);
    /* Runs steps first.step … first.step + n - 1 and waits for them; numbers [n][n_numbers]. */
    gen_status (*run_loop)(gen_exec *exec, gen_run_state first, int32_t n, float *numbers, gen_error *err);
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
