/* models/train.h: the one training loop: batches, steps, evaluation, checkpoints, samples, early stopping.
 *
 *     GEN_TRY(gen_train(run, &data, &(gen_train_hooks){ .sink = journal_sink, .stop = &stop_flag }, err));
 *
 * A new run starts at step 0; one whose latest checkpoint exists goes on there, bit for bit as if it had never stopped.
 */
#ifndef GEN_MODELS_TRAIN_H
#define GEN_MODELS_TRAIN_H

#include <signal.h>

#include "core/event.h"
#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_train_hooks {
    gen_sink sink;
    const volatile sig_atomic_t *stop; /* may be NULL; not 0: finish the step, save, return GEN_STOPPED */
    /* Told after each run of the training graph, for profiles; may be NULL. */
    void (*ran)(void *context, gen_program *program);
    void *context; /* of ran */
} gen_train_hooks;

/* GEN_STOPPED when asked to (saved), GEN_NOT_FINITE with layer, step and last good checkpoint. */
gen_status gen_train(gen_run *run, const gen_dataset *data, const gen_train_hooks *hooks, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
