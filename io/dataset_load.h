/* io/dataset_load.h: between io/dataset.c and io/dataset_load.c: what a loader hands over before sizes and channels are
 * made equal.
 *
 *     gen_parts parts = { 0 };
 *     GEN_TRY(gen_parts_load("/data/mnist", options, arena, &parts, err));
 */
#ifndef GEN_IO_DATASET_LOAD_H
#define GEN_IO_DATASET_LOAD_H

#include "io/dataset.h"

/* Pictures of one split, all of one size. */
typedef struct gen_part {
    gen_split split;
    int64_t n;
    int32_t height_px, width_px, channels;
    const uint8_t *px8;
    const float *values; /* one of the two */
    const int32_t *labels;
} gen_part;

enum { GEN_MAX_PARTS = 8 };

typedef struct gen_parts {
    gen_part part[GEN_MAX_PARTS];
    int32_t n;
    const char *const *class_names;
    int32_t n_classes;
    const char **skipped;
    int64_t n_skipped;
} gen_parts;

/* Chooses the loader by what is at path. */
gen_status gen_parts_load(const char *path, const gen_dataset_options *options, gen_arena *arena, gen_parts *out,
                          gen_error *err);

/* A folder of pictures, or one picture file: io/dataset_folder.c. */
gen_status gen_parts_load_pictures(const char *path, const gen_dataset_options *options, gen_arena *arena,
                                   gen_parts *out, gen_error *err);

#endif
