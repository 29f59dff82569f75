/* models/data_pair.h: two sets of pictures, A and B, as one data set: labels 0 and 1, A before B in every split.
 *
 *     GEN_TRY(gen_data_open_pair("photos", "monet", &options, &sink, arena, &data, err));       // two folders
 *     GEN_TRY(gen_data_open_pair("monet2photo", "", &options, &sink, arena, &data, err));       // with trainA, trainB, perhaps testA, testB
 */
#ifndef GEN_MODELS_DATA_PAIR_H
#define GEN_MODELS_DATA_PAIR_H

#include "io/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Without test pictures the last tenth of each set, at most 100, is held out. GEN_BAD_SHAPE when the pictures of A and B differ in size or channels. */
gen_status gen_data_open_pair(const char *a, const char *b, const gen_dataset_options *options, const gen_sink *sink,
                              gen_arena *arena, gen_dataset *data, gen_error *err);

/* The part of a split that belongs to a label, where labels lie one after the other. */
gen_range gen_data_label_range(const gen_dataset *data, gen_range split, int32_t label);

#ifdef __cplusplus
}
#endif
#endif
