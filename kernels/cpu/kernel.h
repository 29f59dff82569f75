/* kernels/cpu/kernel.h: what a CPU kernel is, and how one call is cut into parts.
 *
 *     static void add_setup(const gen_call *c, cpu_work *w) { w->parts[0] = cpu_parts_for(gen_shape_count(&c->out[0].shape), 16384); }
 *     static void add_run(const gen_call *c, const cpu_job *job) { … only what belongs to job->part … }
 *     const cpu_kernel cpu_add_ref = { "add ref", NULL, add_setup, NULL, add_run };
 *
 * A call runs in phases with a barrier between them; each phase in parts that may run in any order and on any thread. The number of parts depends on
 * the call alone, never on the threads, and a part writes only its own results: so results are the same bits for any number of threads.
 */
#ifndef GEN_KERNELS_CPU_KERNEL_H
#define GEN_KERNELS_CPU_KERNEL_H

#include "core/op.h"

enum { CPU_MAX_PHASES = 6, CPU_WORK_INTS = 24 };

/* What a call needs; filled by setup once, before the first run. */
typedef struct cpu_work {
    int32_t n_phases;              /* preset to 1 */
    int32_t parts[CPU_MAX_PHASES]; /* preset to 1; phases past the end have as many as the last (cpu_phase_parts) */
    size_t shared_bytes;           /* scratch of the call, seen by all parts; contents are lost after the call */
    size_t thread_bytes;           /* scratch of each thread; contents are lost after each part */
    size_t keep_bytes;             /* memory of this call that lives as long as the exec, zeroed; filled by prepare */
    int64_t i[CPU_WORK_INTS];      /* the kernel's own choices: block sizes, strides … */
    int32_t way; /* given: 0, or the way of cpu_kernel_ways that somebody measured to be the fastest here (tune.h) */
} cpu_work;

typedef struct cpu_job {
    int32_t phase, part, parts, thread;
    void *shared, *scratch, *keep;
    const cpu_work *work;
} cpu_job;

typedef struct cpu_kernel {
    const char *name;                                 /* "conv2d winograd avx512": for profiles and tests */
    bool (*fits)(const gen_call *c);                  /* NULL: every call of the op */
    void (*setup)(const gen_call *c, cpu_work *work); /* NULL: one phase of one part without scratch */
    void (*prepare)(const gen_call *c, const cpu_work *work,
                    void *keep); /* NULL: nothing; runs once after keep is allocated */
    void (*run)(const gen_call *c, const cpu_job *job);
} cpu_kernel;

static inline int32_t cpu_phase_parts(const cpu_work *work, int32_t phase)
{
    return work->parts[phase < CPU_MAX_PHASES ? phase : CPU_MAX_PHASES - 1];
}

/* Parts of about unit elements each, at least 1, at most 256. */
int32_t cpu_parts_for(int64_t count, int64_t unit);

/* The range [*begin, *end) of count that belongs to job's part; boundaries are multiples of grain. */
void cpu_part_range(const cpu_job *job, int64_t count, int64_t grain, int64_t *begin, int64_t *end);

/* Instruction sets, worst first; a machine's level runs all the levels below. ref is plain C. The last one is chosen by --precision alone: it rounds what
 * it multiplies to bfloat16. */
typedef enum cpu_isa { CPU_REF, CPU_BASE, CPU_AVX2, CPU_AVX512, CPU_AVX512_BF16, CPU_ISA_COUNT } cpu_isa;

/* The best level of this machine that computes in float, capped by $GEN_CPU = ref|base|avx2|avx512. */
cpu_isa cpu_isa_best(void);
/* Has this machine CPU_AVX512_BF16, which $GEN_CPU does not forbid? */
bool cpu_has_bf16(void);
const char *cpu_isa_name(cpu_isa isa);

/* The kernel for a call: of the rungs up to isa the last one that fits; NULL when the op has none. */
const cpu_kernel *cpu_kernel_find(const gen_call *call, cpu_isa isa);
/* All rungs of an op up to isa, worst first (for tests and `gen bench --op`); returns their number. */
int32_t cpu_kernel_rungs(gen_op op, cpu_isa isa, const cpu_kernel **rungs, int32_t max_rungs);
/* How many ways of running the call the kernel's setup and prepare know (cpu_work.way = 1 ..): block sizes, loop orders; 1: only its own. They differ in
 * time, never by what a test could tell. 0: it cannot run the call at all; a kernel that could, but whose fits() expects another to be faster, has some. */
int32_t cpu_kernel_ways(const cpu_kernel *kernel, const gen_call *call);
/* The double-precision reference. */
const cpu_kernel *cpu_kernel_ref64(gen_op op);

/* What setups count with; b of ceil_div is positive. */
static inline int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}
static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
