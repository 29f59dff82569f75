/* models/data.h: the data of a run, loaded as its settings say.
 *
 *     gen_dataset data;
 *     GEN_TRY(gen_data_open(&settings, &sink, arena, &data, err));
 */
#ifndef GEN_MODELS_DATA_H
#define GEN_MODELS_DATA_H

#include "io/dataset.h"
#include "models/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Loads settings.train.data (or the model's own default) with size, channels, validation split and binarisation of the settings. sink may be NULL. */
gen_status gen_data_open(const gen_settings *settings, const gen_sink *sink, gen_arena *arena, gen_dataset *data,
                         gen_error *err);

/* Labels of n images as graphs take them, into out[n], which is returned; NULL where the data has none. */
const float *gen_data_labels(const gen_dataset *data, const int64_t *indices, int64_t n, float *out);

/* The split that evaluation uses: test, else validation, else training; and its name for people. */
gen_split gen_data_test_split(const gen_dataset *data);
const char *gen_split_name(gen_split split);

#ifdef __cplusplus
}
#endif
#endif
