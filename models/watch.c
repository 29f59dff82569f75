#include "models/watch.h"

#include <inttypes.h>
#include <string.h>

#include "models/checkpoint.h"
#include "models/journal.h"

static void warn(gen_run *run, const gen_watch *w, double value, int64_t step, const gen_sink *sink)
{
    char *good = NULL;
    gen_error ignored = { 0 }; /* a warning does not fail for want of a link */
    gen_checkpoint_keep_good(run, step - w->steps, &good, &ignored);
    gen_emit_text(sink, step, "warning", "%s has been outside %g..%g for %" PRId64 " steps (now %.3g): %s. %s%s",
                  w->output, w->low, w->high, w->steps, value, w->sentence,
                  good ? "Last checkpoint before: " : "No checkpoint is older than that", good ? good : "");
}

static const double *find(const gen_program *program, const double *scalars, const char *output)
{
    for (int32_t i = 0; i < gen_program_outputs(program); i++)
        if (!strcmp(gen_program_output_name(program, i), output)) return &scalars[i];
    return NULL;
}

void gen_watch_step(gen_watcher *watcher, gen_run *run, const gen_program *program, const double *scalars, int64_t step,
                    const gen_sink *sink)
{
    const gen_watch *watches = run->settings.model->watches;
    for (int32_t i = 0; watches && watches[i].output && i < GEN_MAX_WATCHES; i++) {
        const gen_watch *w = &watches[i];
        const double *value = find(program, scalars, w->output);
        bool bad = value && !(*value >= w->low && *value <= w->high);
        watcher->bad_steps[i] = bad ? watcher->bad_steps[i] + 1 : 0;
        if (bad && watcher->bad_steps[i] == w->steps) warn(run, w, *value, step, sink);
    }
}
