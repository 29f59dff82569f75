/* core/event.h: progress leaves the library through one callback; terminal, log file, TensorBoard are sinks.
 *
 *     gen_event e = { .kind = GEN_EVENT_SCALAR, .step = 120, .name = "loss", .value = 103.2 };
 *     sink.emit(sink.context, &e);
 */
#ifndef GEN_CORE_EVENT_H
#define GEN_CORE_EVENT_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gen_event_kind {
    GEN_EVENT_SCALAR, /* name, value */
    GEN_EVENT_IMAGE,  /* name, pixels: height_px x width_px x channels, values in [0,1] */
    GEN_EVENT_TEXT,   /* name, text: a sentence for people (a note, a warning, a file written) */
    GEN_EVENT_STEP,   /* end of a step: step of n_steps, images_per_s, value = loss */
} gen_event_kind;

typedef struct gen_event {
    gen_event_kind kind;
    int64_t step;
    const char *name; /* "train/loss", "val/kl", "samples" … */
    double value;
    const char *text;
    const float *pixels;
    int32_t height_px, width_px, channels;
    int64_t n_steps;
    double images_per_s;
} gen_event;

/* Everything an event points to is valid during the call only. */
typedef struct gen_sink {
    void (*emit)(void *context, const gen_event *event);
    void *context;
} gen_sink;

#ifdef __cplusplus
}
#endif
#endif
