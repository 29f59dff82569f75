#include "models/frame_sample.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/rng.h"

typedef struct sampler {
    const gen_frame_sampling *how;
    gen_program
        *program; /* eval, of one sequence and two frames: one is heard, the next one's probabilities come out */
    int64_t state_count;
    float *state;
    float x[2 * GEN_FRAME_COLUMNS], probability[GEN_FRAME_KEYS];
} sampler;

static gen_status hear(sampler *s, const uint8_t *keys, gen_error *err)
{
    for (int k = 0; k < GEN_FRAME_KEYS; k++) s->x[k] = keys[k];
    s->x[GEN_FRAME_KEYS] = 1;
    GEN_TRY(gen_program_feed(s->program, "x", s->x, 2 * GEN_FRAME_COLUMNS, err));
    GEN_TRY(gen_program_feed(s->program, "state", s->state, s->state_count, err));
    GEN_TRY(gen_program_run(s->program, (gen_run_state){ .seed = 0 }, err));
    GEN_TRY(gen_program_fetch(s->program, "state", s->state, s->state_count, err));
    return gen_program_fetch(s->program, "probability", s->probability, GEN_FRAME_KEYS, err);
}

/* sigmoid(logit(p) / temperature) */
static double heated(double p, double temperature)
{
    if (temperature <= 0) return p > 0.5 ? 1 : 0;
    if (p <= 0 || p >= 1) return p;
    return 1 / (1 + pow((1 - p) / p, 1 / temperature));
}

static void draw(const sampler *s, int64_t t, uint8_t *keys)
{
    const uint32_t key = (uint32_t)gen_hash_name("frames");
    for (int k = 0; k < GEN_FRAME_KEYS; k++) {
        gen_philox block = gen_philox_block(s->how->seed, (uint32_t)(k / 4), (uint32_t)t, 0, key);
        keys[k] =
            (double)gen_uniform_from_word(block.word[k % 4]) < heated((double)s->probability[k], s->how->temperature);
    }
}

static gen_status sample(sampler *s, uint8_t *keys, gen_error *err)
{
    for (int64_t t = 0; t < s->how->n_start; t++) GEN_TRY(hear(s, s->how->start + t * GEN_FRAME_KEYS, err));
    for (int64_t t = 0; t < s->how->n; t++) {
        draw(s, t, keys + t * GEN_FRAME_KEYS);
        if (t + 1 < s->how->n) GEN_TRY(hear(s, keys + t * GEN_FRAME_KEYS, err));
    }
    return GEN_OK;
}

/* The model's eval of windows of two frames. */
static gen_status make_program(gen_run *run, gen_program **program, gen_error *err)
{
    int64_t height = run->height;
    run->height = 2;
    gen_status status = gen_run_program(run, run->settings.model->eval, "go on with music", 1, program, err);
    run->height = height;
    return status;
}

gen_status gen_frames_sample(gen_run *run, const gen_frame_sampling *how, uint8_t *keys, gen_error *err)
{
    sampler s = { .how = how };
    const gen_model *model = run->settings.model;
    if (!model->state || run->width != GEN_FRAME_COLUMNS)
        return gen_fail(err, GEN_UNSUPPORTED, "%s makes no frames of music", model->name);
    gen_model_context m = gen_run_context(run, 1);
    s.state_count = model->state(&m);
    s.state = gen_alloc((size_t)s.state_count, sizeof *s.state);
    if (!s.state) return gen_fail(err, GEN_NO_MEMORY, "no memory for a state");
    memset(s.state, 0, (size_t)s.state_count * sizeof *s.state);
    gen_status status = make_program(run, &s.program, err);
    if (status == GEN_OK) status = sample(&s, keys, err);
    gen_program_free(s.program);
    gen_free(s.state);
    return status;
}
