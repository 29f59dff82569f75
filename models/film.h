/* models/film.h: the sample grids of a run as one animated PNG.
 *
 *     GEN_TRY(gen_film_write(run, "samples", gen_run_path(run, "samples-film.png"), err));
 */
#ifndef GEN_MODELS_FILM_H
#define GEN_MODELS_FILM_H

#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Frames: samples/<name>-<step>.png in the order of steps, evenly thinned to at most 60; the last one stays longest. Fewer than two grids: no file. */
gen_status gen_film_write(gen_run *run, const char *name, const char *path, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
