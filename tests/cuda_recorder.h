/* tests/cuda_recorder.h: a GPU that is none: runtime.h filled with host memory, a recorder and the block emulator. It fails the running test where the code
 * does what a capture forbids, and runs a graph's nodes in an order that is another one each time, as far as lanes and waits allow it.
 *
 *     cuda_recorder r;
 *     gen_device *device = cuda_recorder_open(&r, NULL);
 *     …                                                     // anything that can be done with a device
 *     device->ops->close(device);
 */
#ifndef GEN_TESTS_CUDA_RECORDER_H
#define GEN_TESTS_CUDA_RECORDER_H

#include "kernels/cuda/order.h"
#include "kernels/cuda/runtime.h"

typedef struct cuda_recorder {
    bool capturing, closed, failed;    /* failed: something was told to */
    int32_t n_lanes, n_marks, n_waits; /* of the last graph; n_waits: between calls */
    int32_t n_blocks, n_graphs;        /* alive */
    int32_t n_launches, n_runs;        /* recorded launches, runs of graphs: so far */
    int32_t n_of[CUDA_LIBRARY + 1];    /* of the launches: of each body */
    int32_t n_ran[CUDA_LIBRARY + 1];   /* how often runs of graphs came by each body */
    bool idle;                         /* they compute nothing: a GPU that is infinitely fast */
    int32_t n_copies_in, n_copies_out; /* from and to the host: so far */
    int32_t n_timed;                   /* of the runs */
    int32_t fail_at;                   /* the n-th call from now on that can fail does; 0: none */
    uint32_t dice;
    struct recorded_graph *recording;
    struct recorder_lane {
        struct cuda_recorder *recorder;
        int32_t tail; /* its last node; -1: it has not begun */
    } lane[CUDA_LANES];
} cuda_recorder;

/* The device; recorder outlives it. products: the libraries, which the device takes; NULL: none. */
gen_device *cuda_recorder_open(cuda_recorder *recorder, const cuda_products *products);

/* The clock by which graphs are timed: libraries that are none add to it when they run. */
extern double cuda_recorder_ns;

/* For libraries that are none either: they are given a lane of the recorder as their stream. Records run(args), args are copied. */
int cuda_recorder_add(void *stream, void (*run)(const void *args), const void *args, size_t bytes);

#endif
