/* kernels/cuda/exec.h: between the files of the device: what a compiled plan is (device.c), and runs of it on end (device_loop.c). */
#ifndef GEN_KERNELS_CUDA_EXEC_H
#define GEN_KERNELS_CUDA_EXEC_H

#include "kernels/cuda/order.h"
#include "kernels/cuda/runtime.h"

typedef struct cuda_device {
    gen_device device; /* first: a gen_device of ours is a cuda_device */
    cuda_runtime rt;
    cuda_products products;
    char name[128];
} cuda_device;

typedef struct cuda_loop cuda_loop;

struct gen_exec {
    cuda_device *cuda;
    const gen_run_state *state; /* the host's, of the session; NULL: no call draws random numbers */
    gen_run_state *state_here;  /* the device's copy, which kernels read */
    gen_run_state state_told;   /* what is in it: loops count steps there */
    void *scratch;              /* device memory of the lanes */
    void *table;                /* what kernels look up, filled when exec is made; NULL: nothing */
    void *graph;                /* NULL: there is nothing to do */
    cuda_loop *loop;            /* NULL: runs are single ones */
};

/* Calls, joined (join.h), on their way to a graph: twice over them, first to learn how much scratch memory they want, then with it. */
typedef struct cuda_lowering {
    const gen_call *calls;
    int32_t n_calls;
    cuda_slot *slots;
    int32_t n_lanes, n_marks; /* marks: those of calls, of the beginning and of the ends of lanes */
    int32_t *end;             /* call i has the launches from end[i - 1] to end[i] */
    size_t bytes[CUDA_LANES]; /* scratch of each lane: one call after the other uses it */
    cuda_launches list;
} cuda_lowering;

gen_status cuda_failed(const cuda_device *cuda, const char *what, int code, gen_error *err);

/* l has calls; arena: of all that it gets. */
gen_status cuda_start_lowering(cuda_lowering *l, const cuda_device *cuda, gen_arena *arena, gen_error *err);
/* scratch: one lane's after the other; 0: only count. */
gen_status cuda_lower_all(cuda_lowering *l, uintptr_t scratch, gen_error *err);

/* Into the graph that is being captured; these return 0 or a code of the runtime. All calls, beginning and ending in lane 0; marks are numbered from first_mark. */
int cuda_capture_calls(const cuda_device *cuda, const cuda_lowering *l, int32_t first_mark, gen_error *err);
/* Launches [begin, end) of a list, in one lane. */
int cuda_capture_list(const cuda_device *cuda, const cuda_launches *list, int32_t lane, int32_t begin, int32_t end,
                      gen_error *err);

/* The state that the next run reads: copied to the device, unless it is there already. */
int cuda_tell_state(gen_exec *exec, gen_run_state state);

/* Lets cuDNN's engines be timed on the device, where products have choices. */
void cuda_tune_start(cuda_device *cuda);

/* device.h's loop and run_loop. */
gen_status cuda_loop_make(gen_exec *exec, const gen_call *calls, int32_t n_calls, const gen_loop *loop, gen_error *err);
gen_status cuda_loop_run(gen_exec *exec, gen_run_state first, int32_t n, float *numbers, gen_error *err);
void cuda_loop_free(gen_exec *exec);

#endif
