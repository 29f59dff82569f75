/* tests/golden_run.h: the same network, numbers and noise as PyTorch: a model against a file of tools/golden.py. Weights, noise and masks are made here
 * and there, so the file holds only what comes of them; its metadata says which model, options and picture sizes.
 *
 *     golden_check("vae-mlp", "cpu", "auto", GOLDEN_STEPS, 1e-4);        // tests/golden/vae-mlp.safetensors
 *
 * Metadata: model, preset ("" none), options, size ("n h w c"), classes, seed, losses (names of the train outputs that are compared, the loss first).
 * Tensors, each where it applies:
 *   x [n,h,w,c] bytes        pictures; absent: uniform noise that both sides make            label [n]      classes
 *   mu, logvar               what encode gives before training                               sums "reconstruction"   decode(mu)
 *   sums "translated"        what translate gives                                            losses [10,names]
 *   norm NAME, sums "grad NAME"   each parameter's gradient at the first step                sums "after NAME"       running statistics after it
 * Sums are those of golden_sums.
 */
#ifndef GEN_TESTS_GOLDEN_RUN_H
#define GEN_TESTS_GOLDEN_RUN_H

#include "core/program.h"
#include "io/safetensors.h"
#include "models/settings.h"
#include "tests/test.h"

enum { GOLDEN_STEPS = 10, GOLDEN_SUMS = 64 };

typedef struct golden {
    gen_arena *arena;
    const char *name;
    gen_safetensors st;
    gen_settings settings;
    int64_t n, h, w, c, classes;
    uint64_t seed;
    const float *x, *labels; /* [n,h,w,c]; [n] or NULL */
    gen_device *device;
    gen_params *params;
} golden;

/* ---- one call for all ------------------------------------------------------------------------------------------------------ */
/* Outputs, losses of the first steps, and of the first one gradients and running statistics. device "cpu", "cpu64" …; conv is $GEN_CONV. */
void golden_check(const char *name, const char *device, const char *conv, int steps, double tolerance);
/* On the CPU: direct convs to 1e-4, Winograd's to 1e-3. */
void golden_check_kernels(const char *name);

/* ---- its parts ------------------------------------------------------------------------------------------------------------- */
/* read: the file and its settings alone. open: also pictures, labels, device and parameters. close ends both. */
void golden_read(golden *t, const char *name);
void golden_open(golden *t, const char *name, const char *device);
void golden_close(golden *t);

bool golden_has(const golden *t, const char *name);
/* A tensor of the file as floats; fails the test when it has not `count` numbers (-1: any). */
const float *golden_tensor(const golden *t, const char *name, int64_t count);
gen_program *golden_program(golden *t, void (*build)(gen_graph *g, const gen_model_context *m));
/* All rows through a program, labels too where it wants them. */
float *golden_map(const golden *t, gen_program *p, const char *input, const float *in, const char *output);

/* 64 sums with random signs over sqrt(64), as tools/golden.py's sums(); 64 values or fewer as they are. Returns how many. */
int golden_sums(const char *name, const float *values, int64_t n, double out[GOLDEN_SUMS]);
double golden_norm(const float *x, int64_t n);
/* The 2-norm of the difference between values and what the file has sums of under kind + name, within some 20 %. */
double golden_distance(const golden *t, const char *kind, const char *name, const float *values, int64_t n);
void golden_expect_below(const golden *t, const char *what, double got, double limit);

/* A stored tensor in PyTorch's layout; NULL: there is none. */
float *golden_in_torch_layout(const golden *t, const char *name, int64_t *count);
/* After one step. Per tensor |g - g'| <= tolerance max(|g'|, floor |all g'|); returns the largest part. */
double golden_check_gradients(const golden *t, double tolerance);

#endif
