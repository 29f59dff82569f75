/* models/midi_files.h: the pieces of a folder of MIDI files, each with the split it belongs to.
 *
 *     gen_skipped_files skipped = { 0 };
 *     GEN_TRY(gen_midi_files_each("chorales", skip_bad, arena, add_piece, &list, &skipped, err));
 */
#ifndef GEN_MODELS_MIDI_FILES_H
#define GEN_MODELS_MIDI_FILES_H

#include <stdbool.h>

#include "io/dataset.h"
#include "io/midi.h"
#include "models/split_files.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is done with a piece. path and score live in the arena. A failure is said with the file's name before it. */
typedef gen_status (*gen_midi_take)(void *context, const char *path, gen_split split, const gen_midi_score *score,
                                    gen_error *err);

typedef struct gen_skipped_files {
    const char **text; /* "path: reason", as in gen_dataset */
    int64_t n, room;
} gen_skipped_files;

/* The MIDI files of path (models/split_files.h), split by split. skip_bad: what cannot be read or taken is noted in *skipped, and the next file comes. */
gen_status gen_midi_files_each(const char *path, bool skip_bad, gen_arena *arena, gen_midi_take take, void *context,
                               gen_skipped_files *skipped, gen_error *err);

bool gen_is_midi_file(const char *path); /* by its extension */

#ifdef __cplusplus
}
#endif
#endif
