/* tests/op_run.h: runs one op on each rung of the CPU's ladder, and on the GPU's kernels in the block emulator (cuda_emulator.h), and compares with the
 * double-precision reference.
 *
 *     op_case c = { .op = GEN_OP_ADD, .n_in = 2, .in = { S(2, 3), S(3) }, .tolerance = 1e-6 };
 *     op_check(&c);        // fails the running test with op, shapes, rung, element, got and expected
 */
#ifndef GEN_TESTS_OP_RUN_H
#define GEN_TESTS_OP_RUN_H

#include "core/graph.h"
#include "kernels/cpu/kernel.h"

enum { CASE_MAX_IN = 8 };

typedef struct op_case {
    gen_op op;
    int32_t n_in;
    gen_shape in[CASE_MAX_IN];
    gen_attr attr;
    bool bias, residual; /* the epilogue */
    gen_op act;          /* 0: none */
    bool ties;           /* inputs are small whole numbers: many equal ones */
    const gen_chain *chain;
    double tolerance; /* |got - expected| <= tolerance (|expected| + size), see op_run.c; 0: the same numbers */
} op_case;

/* A shape in a table of rows. */
#define S(...)                                                                                                         \
    {                                                                                                                  \
        (int32_t)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                                               \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }

/* Where random inputs of an op lie. */
typedef struct op_domain {
    double low, high;
    bool whole; /* whole numbers: no gradient there */
} op_domain;

op_domain op_domain_of(const op_case *c, int32_t input);

/* n numbers of the domain, exactly representable as floats; stream names the sequence. */
void op_random(op_domain domain, uint32_t stream, double *x, int64_t n);

/* The shape that the op's rule gives; fails the test when it refuses. */
gen_shape op_inferred_shape(const op_case *c);

/* "conv2d [2,7,5,3] [3,3,3,8], window 3x3 stride 2x2 pad 1,1,1,1 dilation 1x1 groups 1, bias, relu" */
const char *op_case_text(const op_case *c);

/* The nearest number of bfloat16, halves to even. */
double op_bf16_of(double x);

/* Every rung, those of bfloat16 too where the processor has them, and $GEN_TEST_DEVICE where that is set: right, wrote all and only that, any order of parts and any number of threads gives the same bits, in
 * place where allowed. */
void op_check(const op_case *c);

/* The rungs of an op: the CPU's, worst first, then the GPU's kernel in the emulator. $GEN_OP_RUNGS = cuda: only that. Returns their number. */
int32_t op_rungs(gen_op op, const cpu_kernel **rungs, int32_t max_rungs);

/* One call on one kernel, parts in order; for tests that need values. call's views must be filled. */
void op_run_kernel(const cpu_kernel *kernel, const gen_call *call);

#endif
