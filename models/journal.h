/* models/journal.h: what a training writes down about itself: log.jsonl, TensorBoard events, sample grids. A sink that passes events on.
 *
 *     gen_journal *j;
 *     GEN_TRY(gen_journal_open(run, &terminal, &j, err));       // cuts what is later than run->progress.step
 *     gen_sink sink = gen_journal_sink(j);
 *     GEN_TRY(gen_journal_error(j, err));                       // the first write that failed
 *     gen_journal_close(j);
 */
#ifndef GEN_MODELS_JOURNAL_H
#define GEN_MODELS_JOURNAL_H

#include "core/event.h"
#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_journal gen_journal;

gen_status gen_journal_open(gen_run *run, const gen_sink *also, gen_journal **out, gen_error *err);
gen_sink gen_journal_sink(gen_journal *j);
gen_status gen_journal_error(const gen_journal *j, gen_error *err);
void gen_journal_close(gen_journal *j); /* accepts NULL */

/* Convenience for emitters. */
void gen_emit_scalar(const gen_sink *sink, int64_t step, const char *name, double value);
void gen_emit_text(const gen_sink *sink, int64_t step, const char *name, const char *format, ...) GEN_PRINTF(4, 5);

/* The scalars of log.jsonl: points of each name, in the order of first appearance. */
typedef struct gen_curve {
    const char *name;
    double *step, *value;
    size_t n, room;
} gen_curve;
typedef struct gen_curves {
    gen_curve *at;
    int32_t n, room;
} gen_curves;
gen_status gen_journal_read(const gen_run *run, gen_arena *arena, gen_curves *out, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
