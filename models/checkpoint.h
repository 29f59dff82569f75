/* models/checkpoint.h: the state of a training on disk, in two files of safetensors:
 *
 *   checkpoints/step-00000120.safetensors         what PyTorch's load_state_dict takes: weights and running statistics, its names and layouts
 *   checkpoints/step-00000120.state.safetensors   moments, counters, EMA: what only training needs
 *
 * and two links, latest and best. The state is renamed into place first and the weights last, then latest: whatever moment a kill -9 comes, latest
 * names a complete pair. Bytes depend on the numbers alone (never on time, host or threads).
 *
 *     GEN_TRY(gen_checkpoint_save(run, err));
 *     GEN_TRY(gen_checkpoint_load(run, "latest", GEN_CHECKPOINT_ALL, err));
 */
#ifndef GEN_MODELS_CHECKPOINT_H
#define GEN_MODELS_CHECKPOINT_H

#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gen_checkpoint_part { GEN_CHECKPOINT_WEIGHTS, GEN_CHECKPOINT_ALL } gen_checkpoint_part;

/* Writes the pair of run->progress.step and moves latest; removes older ones beyond settings.train.keep, never best. */
gen_status gen_checkpoint_save(gen_run *run, gen_error *err);
/* Makes best point to the checkpoint of run->progress.step. */
gen_status gen_checkpoint_mark_best(gen_run *run, gen_error *err);
/* Makes the link good point to the newest checkpoint of at most `step` steps, which is then never removed; *path (the run lives longer) stays NULL when
 * there is none. */
gen_status gen_checkpoint_keep_good(gen_run *run, int64_t step, char **path, gen_error *err);
/* Steps of the checkpoints that a run's folder has, rising, in the arena. */
gen_status gen_checkpoint_steps(const gen_run *run, gen_arena *arena, int64_t **steps, int32_t *n, gen_error *err);
/* which: "latest", "best", "good", "best-or-latest" or a step number. Parameters that run->params has are filled, averages ("ema.…") too; one that the
 * file lacks is GEN_BAD_FILE with its name. ALL also reads the rest of the state and run->progress. Programs are made before: they say which parameters
 * there are. */
gen_status gen_checkpoint_load(gen_run *run, const char *which, gen_checkpoint_part part, gen_error *err);
/* Reads run->progress of the latest checkpoint, if there is one, and puts the link best right, which a kill may have left behind. */
gen_status gen_checkpoint_resume(gen_run *run, gen_error *err);
/* The weights of any file of safetensors with PyTorch's names, e.g. saved by PyTorch. They stand for averages too. */
gen_status gen_checkpoint_load_file(gen_run *run, const char *path, gen_error *err);
/* The same of a file whose names lack a prefix that all of this run's have: "g_ab." for a generator saved alone. */
gen_status gen_checkpoint_load_part(gen_run *run, const char *path, const char *prefix, gen_error *err);
/* Transfer: the weights of a run's folder (best-or-latest) or file that have a name and shape of this run's are taken, the rest stay as they are. Says
 * how many tensors were taken, and of this run's weights were not; the name of the first of those, which lives with the run (NULL: none).
 * GEN_BAD_FILE when none fits. */
typedef struct gen_taken {
    int32_t taken, left;
    const char *first_left;
} gen_taken;
gen_status gen_checkpoint_take(gen_run *run, const char *from, gen_taken *taken, gen_error *err);
/* Do the run's programs take averages of the weights (--ema)? */
bool gen_checkpoint_has_averages(const gen_run *run);
/* Path of a checkpoint's weights, links followed; GEN_NOT_FOUND when there is none. A folder that holds weights.safetensors beside its config.json, as
 * those of samples/weights, needs no checkpoints: best-or-latest is that file. */
gen_status gen_checkpoint_find(const gen_run *run, const char *which, char **path, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
