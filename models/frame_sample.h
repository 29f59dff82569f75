/* models/frame_sample.h: new frames of a model of frames (models/poly.c), one after the other.
 *
 *     gen_frame_sampling how = { .start = first, .n_start = 1, .n = 128, .temperature = 1, .seed = 1 };
 *     GEN_TRY(gen_frames_sample(run, &how, keys, err));                  // keys[128,88], of 0 and 1
 */
#ifndef GEN_MODELS_FRAME_SAMPLE_H
#define GEN_MODELS_FRAME_SAMPLE_H

#include "models/data_frames.h"
#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_frame_sampling {
    const uint8_t *start; /* [n_start,88], at least one frame: what is heard before */
    int64_t n_start, n;   /* n: new frames */
    double temperature;   /* logits are divided by it; 0: each key as is more likely */
    uint64_t seed;
} gen_frame_sampling;

/* Draws each key of a frame by itself, with the probability that all frames before it give. The run's weights are loaded. */
gen_status gen_frames_sample(gen_run *run, const gen_frame_sampling *how, uint8_t *keys, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
