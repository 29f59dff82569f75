/* models/run.h: a run: a folder that knows everything, and what is in memory of it: settings, device, parameters.
 *
 *     gen_run *run;
 *     GEN_TRY(gen_run_create(&settings, &data, device, &run, err));       // runs/vae-mnist, or -2, -3 … ; locked
 *     GEN_TRY(gen_run_open("runs/vae-mnist", device, GEN_RUN_READ, &run, err));
 *     gen_run_close(run);
 *
 * Folder: config.json, lock, log.jsonl, events.out.tfevents.*, samples/, checkpoints/, loss.png, report.html.
 */
#ifndef GEN_MODELS_RUN_H
#define GEN_MODELS_RUN_H

#include "core/program.h"
#include "io/dataset.h"
#include "models/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What training has reached; part of every checkpoint. */
typedef struct gen_progress {
    int64_t step;      /* steps done */
    int64_t best_step; /* of the best validation loss; -1: none yet */
    double best_loss;
    int64_t bad_evals; /* evaluations since then */
    int64_t skipped;   /* steps left out by --on-nan skip */
} gen_progress;

typedef struct gen_run {
    gen_arena *arena;
    const char *folder;
    const char *data_name; /* "mnist" */
    gen_settings settings;
    int64_t height, width, channels, classes;
    gen_vocabulary vocabulary;   /* n_fields 0: it is no model of tokens */
    const char *vocabulary_text; /* as checkpoints hold it; NULL: not made yet */
    int32_t direction;           /* that graphs get: gen_model_context */
    gen_device *device;          /* not owned */
    gen_params *params;
    gen_progress progress;
    struct gen_folder_lock *lock; /* while it may write */
} gen_run;

typedef enum gen_run_mode { GEN_RUN_READ, GEN_RUN_WRITE } gen_run_mode;

/* Makes the folder (settings.train.out, else runs/<model>-<data> with the first free number), takes its lock, writes config.json. */
gen_status gen_run_create(const gen_settings *settings, const gen_dataset *data, gen_device *device, gen_run **run,
                          gen_error *err);
/* Reads config.json; GEN_RUN_WRITE takes the lock (GEN_BUSY when another training holds it). No parameters yet. */
gen_status gen_run_open(const char *folder, gen_device *device, gen_run_mode mode, gen_run **run, gen_error *err);
/* A run without a folder, of nothing but memory: the model's defaults, sizes zero. For weights that came alone. */
gen_status gen_run_in_memory(const gen_model *model, gen_device *device, gen_run **run, gen_error *err);
void gen_run_close(gen_run *run); /* accepts NULL */

/* The context for graphs of this run with this batch. */
gen_model_context gen_run_context(const gen_run *run, int64_t batch);
/* A program of one of the model's graph functions (NULL: GEN_UNSUPPORTED, "<model> cannot <verb>"). */
gen_status gen_run_program(gen_run *run, void (*build)(gen_graph *g, const gen_model_context *m), const char *verb,
                           int64_t batch, gen_program **program, gen_error *err);

/* Path of a file in the run's folder; lives with the run; NULL when memory ran out. */
char *gen_run_path(const gen_run *run, const char *name);

#ifdef __cplusplus
}
#endif
#endif
