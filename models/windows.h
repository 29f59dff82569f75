/* models/windows.h: evaluation of models that carry a state from one window of a sequence to the next (gen_model.state): every sequence from its
 * beginning to its end, however long, many side by side.
 *
 *     GEN_TRY(gen_evaluate_windows(run, eval_program, data, range, &r, err));       // what gen_evaluate does for such a model
 */
#ifndef GEN_MODELS_WINDOWS_H
#define GEN_MODELS_WINDOWS_H

#include "models/evaluate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* program: of model->eval with batch GEN_EVAL_BATCH. Means over all steps that are predicted: sum / sum of "predicted"; result->count is the latter. */
gen_status gen_evaluate_windows(gen_run *run, gen_program *program, const gen_dataset *data, gen_range range,
                                gen_eval_result *result, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
