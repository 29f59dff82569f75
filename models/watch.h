/* models/watch.h: looks at the outputs of a training for signs of trouble that the model names (gen_watch), and says so once.
 *
 *     gen_watcher watcher = { 0 };
 *     gen_watch_step(&watcher, run, program, scalars, step, &sink);      // after each step
 */
#ifndef GEN_MODELS_WATCH_H
#define GEN_MODELS_WATCH_H

#include "core/event.h"
#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_MAX_WATCHES = 8 };

typedef struct gen_watcher {
    int64_t bad_steps[GEN_MAX_WATCHES]; /* one after the other */
} gen_watcher;

/* scalars[i] is output i of the program. A warning names the last checkpoint from before the trouble, which is then kept as checkpoints/good. */
void gen_watch_step(gen_watcher *watcher, gen_run *run, const gen_program *program, const double *scalars, int64_t step,
                    const gen_sink *sink);

#ifdef __cplusplus
}
#endif
#endif
