/* models/split_files.h: the files of a folder, each with the split it belongs to. One rule for every kind of data that is a file a piece.
 *
 *     gen_split_files files;
 *     GEN_TRY(gen_split_files_list("chorales", gen_is_midi_file, arena, &files, err));
 *     for (int64_t i = 0; i < files.n; i++) read(files.file[i].path, files.file[i].split);
 */
#ifndef GEN_MODELS_SPLIT_FILES_H
#define GEN_MODELS_SPLIT_FILES_H

#include <stdbool.h>

#include "io/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_split_file {
    const char *path;
    gen_split split;
} gen_split_file;

typedef struct gen_split_files {
    gen_split_file *file;
    int64_t n; /* 0: none that is wanted; no failure here */
} gen_split_files;

/* path: one file, which is for training; a folder with folders train, test and valid (validation, val), of which only those count; or any other
 * folder, of whose wanted files, by name, the ninth of each ten is to test and the tenth for validation. Folders are looked through with those in
 * them; files come sorted by name. wanted looks at the name alone. All in the arena. */
gen_status gen_split_files_list(const char *path, bool (*wanted)(const char *path), gen_arena *arena,
                                gen_split_files *out, gen_error *err);

/* The last part of a path without extension and what a folder's name cannot hold, as data sets are named; NULL: no memory. */
char *gen_name_of_path(const char *path, gen_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
