/* models/data_frames.h: pieces of music as frames, 88 keys each, cut into windows that a data set holds as pictures. The pieces come from a folder of MIDI
 * files or a .mat file of piano rolls (Boulanger-Lewandowski et al. 2012).
 *
 *     GEN_TRY(gen_data_open_frames("chorales", 128, 4, false, arena, &data, err));      // x[N,129,89,1]
 *
 * A window holds window + 1 frames: the first is only heard, the others are also to be foretold. Column 88 is 1 where there is a frame: beyond a piece's end
 * it is 0, and so are the keys. The next window of a piece begins with the last frame of this one (data.continues): so every frame of a piece but its
 * first is foretold once, whatever the window.
 */
#ifndef GEN_MODELS_DATA_FRAMES_H
#define GEN_MODELS_DATA_FRAMES_H

#include "models/midi_files.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_FRAME_KEYS = 88, GEN_FRAME_COLUMNS = GEN_FRAME_KEYS + 1 };

typedef struct gen_frames {
    const char *name;
    gen_split split;
    int64_t n;           /* T */
    const uint8_t *keys; /* [T,88], 0 or 1; column k is pitch 21 + k */
} gen_frames;

typedef struct gen_frame_pieces {
    gen_frames *piece; /* [n], in the order of the source, which has them by split: training, test, validation */
    int64_t n, room;
    gen_skipped_files skipped;
} gen_frame_pieces;

/* path: a .mat file with traindata, validdata and testdata; or MIDI files as gen_midi_files_each takes them. steps_per_quarter: frames in a quarter note
 * of MIDI. Drums and pitches that a piano lacks are left out. GEN_NOT_FOUND where there is no piece. */
gen_status gen_frame_pieces_open(const char *path, int32_t steps_per_quarter, bool skip_bad, gen_arena *arena,
                                 gen_frame_pieces *out, gen_error *err);

/* The notes of one file as frames: keys[T,88], T in *n. */
gen_status gen_frames_of_score(const gen_midi_score *score, int32_t steps_per_quarter, gen_arena *arena, uint8_t **keys,
                               int64_t *n, gen_error *err);

/* The windows of all pieces of two frames and more. */
gen_status gen_data_open_frames(const char *path, int64_t window, int32_t steps_per_quarter, bool skip_bad,
                                gen_arena *arena, gen_dataset *data, gen_error *err);

/* Nats a frame of keys that are on with a probability of their own, whatever came before: counts of the training frames, one added to on and to off; over
 * all frames of `split` but the first of each piece. The least that a model of frames has to beat. NaN where the split has no such frame. */
double gen_frames_bernoulli(const gen_frame_pieces *pieces, gen_split split);

#ifdef __cplusplus
}
#endif
#endif
