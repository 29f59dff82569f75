/* io/dataset.h: pictures for training, by name or by path, whole in memory.
 *
 *     gen_dataset data;
 *     gen_dataset_options o = { .size_px = 0, .channels = 0, .download = 1 };
 *     GEN_TRY(gen_dataset_open("mnist", &o, &sink, arena, &data, err)); // 70000 x 28 x 28 x 1
 *     gen_dataset_batch(&data, indices, 32, x);                         // x[32,28,28,1] in [0,1]
 *     int32_t digit = data.labels[indices[0]];
 */
#ifndef GEN_IO_DATASET_H
#define GEN_IO_DATASET_H

#include <stdbool.h>

#include "core/event.h"
#include "io/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gen_split { GEN_SPLIT_TRAIN, GEN_SPLIT_TEST, GEN_SPLIT_VALIDATION, GEN_N_SPLITS } gen_split;

typedef struct gen_range {
    int64_t first, n;
} gen_range;

typedef struct gen_dataset {
    const char *name; /* fit for a folder's name: "mnist", or the last part of the path */
    int64_t n;
    int32_t height_px, width_px, channels; /* channels 1, 3 or 4 */
    const uint8_t *px8;                    /* [n,height,width,channels]; NULL when the source is float, then */
    const float *values;                   /* the same in [0,1] */
    const int32_t *labels;                 /* n of 0..n_classes-1, or NULL */
    const char *const *class_names;        /* n_classes, or NULL */
    int32_t n_classes;
    const uint8_t
        *continues; /* [n]: does it go on where the one before ends, as windows of one piece do? NULL: none does */
    const gen_vocabulary *vocabulary; /* of tokens, which values then hold (models/data_tokens.h); NULL: pictures */
    gen_range splits[GEN_N_SPLITS];   /* n = 0 for a split that the source does not have */
    const char *const *skipped;       /* "path: reason" of files left out with skip_bad */
    int64_t n_skipped;
} gen_dataset;

typedef struct gen_dataset_options {
    int32_t size_px;      /* shorter side scaled to this and the middle square taken; 0: as the source is */
    int32_t channels;     /* 1, 3 or 4; 0: as the source is */
    int32_t skip_bad;     /* leave out files that cannot be read instead of failing */
    int32_t download;     /* fetch a known name that is on no disk */
    int64_t n_validation; /* so many from the end of the train split become the validation split */
} gen_dataset_options;

/* A name of gen_dataset_sources or a path: a folder with an IDX set (train-images-idx3-ubyte[.gz] …), a folder with
 * CIFAR-10 (binary version, also packed), one IDX, CIFAR .bin, .npy ([N,H,W], [N,H,W,C], or [N,H*W] of squares) or
 * picture file, or a folder of pictures (recursive, sorted; labels from sub-folders; train, test, val or validation as
 * first level are splits). Looks at: the path itself, $GEN_DATA/<name>, the installed data, samples/data/<name>,
 * /usr/share/datasets/<name>, the user's cache; then downloads into the cache. sink may be NULL. */
gen_status gen_dataset_open(const char *name_or_path, const gen_dataset_options *options, const gen_sink *sink,
                            gen_arena *arena, gen_dataset *out, gen_error *err);

/* Where a name's files are, without loading; GEN_NOT_FOUND names the places looked at. */
gen_status gen_dataset_find(const char *name_or_path, gen_arena *arena, char **path, gen_error *err);

/* Pictures as [n,height,width,channels] in [0,1]. Any thread, any number at once. */
void gen_dataset_batch(const gen_dataset *data, const int64_t *indices, int32_t n, float *out);

/* ---- the names that gen knows (io/dataset_sources.c) ---- */

typedef struct gen_dataset_file {
    const char *name;
    const char *
        sha256; /* as the publisher states it, or the first digits; NULL: the publisher states none, the file is unverified */
} gen_dataset_file;

enum { GEN_DATASET_MAX_FILES = 4, GEN_DATASET_MAX_MIRRORS = 3 };

typedef struct gen_dataset_source {
    const char *name, *summary, *licence, *citation;
    const char *mirrors[GEN_DATASET_MAX_MIRRORS]; /* file names are put behind; none: fetch by hand as `by_hand` says */
    gen_dataset_file files[GEN_DATASET_MAX_FILES];
    const char *class_names; /* separated by |, or NULL */
    const char *by_hand;
    bool weights; /* of a network, one file: no data set, but fetched and found as one */
} gen_dataset_source;

const gen_dataset_source *gen_dataset_sources(size_t *n);
const gen_dataset_source *gen_dataset_source_find(const char *name); /* NULL; "quickdraw:cat" finds quickdraw */

/* Downloads what is missing of a name into the user's cache, where gen_dataset_find finds it: *path. */
gen_status gen_dataset_fetch_to_cache(const char *name, const gen_sink *sink, gen_arena *arena, char **path,
                                      gen_error *err);

/* Downloads what is missing into folder (made when needed). word is what follows the colon in "quickdraw:cat", else
 * NULL. */
gen_status gen_dataset_fetch(const gen_dataset_source *source, const char *word, const char *folder,
                             const gen_sink *sink, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
