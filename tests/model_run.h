/* tests/model_run.h: a model with its options in memory, on pictures of soft blobs; and short trainings through the train loop. */
#ifndef GEN_TESTS_MODEL_RUN_H
#define GEN_TESTS_MODEL_RUN_H

#include "core/program.h"
#include "models/metrics.h"
#include "models/settings.h"
#include "tests/test.h"

typedef struct test_model {
    gen_arena *arena;
    const gen_model *model;
    gen_settings settings;
    gen_device *device;
    gen_params *params;
    int64_t n, h, w, c, classes, pixels;
    float *x, *labels; /* [n,h,w,c] in [0,1]; [n]: which of `classes` quarters the blob is in */
} test_model;

/* preset may be NULL; options as "latent=2 net=mlp". 4 classes. */
void test_model_open(test_model *t, const char *model, const char *preset, const char *options, int64_t n, int64_t h,
                     int64_t w, int64_t c);
void test_model_close(test_model *t);
gen_program *test_model_program(test_model *t, void (*build)(gen_graph *g, const gen_model_context *m));
int64_t test_model_count(const test_model *t, const char *prefix); /* learned parameters */
/* Values of parameter i [*count], in the test's arena. */
float *test_model_values(test_model *t, int32_t i, int64_t *count);
/* Steps first..last-1 on the same pictures; returns the last loss, which must be finite. */
double test_model_steps(test_model *t, gen_program *train, int first, int last);
/* Some steps: each loss finite, each learned parameter has moved and is finite, the loss is lower than at first. */
void test_model_learns(test_model *t, int steps);

/* Trains on 64 pictures, or on the model's own data where those are no pictures, in one go, and again stopped after half of the steps and resumed: the same bytes of both files of the last checkpoint.
 * options hold steps=N. */
void test_run_goes_on_bit_for_bit(const char *model, const char *options);

#endif
