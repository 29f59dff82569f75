/* models/report.h: what a person looks at after a training: loss.png and report.html (one file, pictures inside). */
#ifndef GEN_MODELS_REPORT_H
#define GEN_MODELS_REPORT_H

#include "models/evaluate.h"
#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Draws the curves of log.jsonl into a .png or .svg. GEN_NO_DEVICE when the plot plugin is not there. */
gen_status gen_report_curves(gen_run *run, const char *path, gen_error *err);

/* Draws all curves of log.jsonl that the training's loss has parts of, "train/loss_…": a diffusion model's at each eighth of the noise, loss_t0 the
 * least. GEN_UNSUPPORTED when there are none. */
gen_status gen_report_parts(gen_run *run, const char *path, gen_error *err);

/* Writes report.html: settings, results (may be NULL), loss.png, samples.png, reconstructions.png and the last grid of training, those that exist. */
gen_status gen_report_html(gen_run *run, const gen_eval_result *results, double seconds, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
