/* io/sound.h: sound in memory, and as WAV, FLAC (16 bits) or Ogg Vorbis by libsndfile, in a plugin that is opened on first use.
 *
 *     GEN_TRY(gen_sound_write(&sound, GEN_SOUND_WAV, arena, &file, err));
 *     GEN_TRY(gen_file_write("tune.wav", file.data, file.size, err));
 */
#ifndef GEN_IO_SOUND_H
#define GEN_IO_SOUND_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_sound {
    float *samples; /* [n_frames,n_channels]; 1 is full scale */
    int64_t n_frames;
    int32_t n_channels, rate_hz; /* 1 to 8; samples a second */
} gen_sound;

typedef enum gen_sound_format { GEN_SOUND_WAV, GEN_SOUND_FLAC, GEN_SOUND_OGG } gen_sound_format;

/* By the extension: wav, flac, ogg. 0 when it is none of these. */
int gen_sound_format_of(const char *path, gen_sound_format *out);

/* The file in the arena. What exceeds full scale is clipped (gen_sound_measure counts it). GEN_NO_DEVICE without the plugin. */
gen_status gen_sound_write(const gen_sound *sound, gen_sound_format format, gen_arena *arena, gen_bytes *out,
                           gen_error *err);

typedef struct gen_sound_level {
    double peak, rms;  /* 1 is full scale */
    int64_t n_clipped; /* samples beyond it */
} gen_sound_level;

gen_sound_level gen_sound_measure(const gen_sound *sound);

/* The mean of the channels, in place. */
void gen_sound_make_mono(gen_sound *sound);

#ifdef __cplusplus
}
#endif
#endif
