/* io/sound_plugin.h: what io/sound.c asks of the plugin libgen_sound.so (io/sound_sndfile.c). The plugin calls nothing of gen. */
#ifndef GEN_IO_SOUND_PLUGIN_H
#define GEN_IO_SOUND_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

enum { GEN_SOUND_PLUGIN_VERSION = 1 };

/* A file in memory that grows. */
typedef struct gen_sound_file {
    int64_t size, at;
    /* Bytes at `at`; not 0 when there is no memory. Writes beyond the size make it larger. */
    int (*put)(void *context, int64_t at, const void *bytes, int64_t n);
    int64_t (*get)(void *context, int64_t at, void *bytes, int64_t n);
    void *context;
} gen_sound_file;

typedef struct gen_sound_plugin_table {
    uint32_t version;
    /* format: 0 WAV of 16 bits, 1 FLAC of 16 bits, 2 Ogg Vorbis. samples, interleaved, lie in [-1,1]. 0, or not with the reason. */
    int (*write)(gen_sound_file *file, int format, int rate_hz, int n_channels, const float *samples, int64_t n_frames,
                 char *reason, size_t reason_bytes);
} gen_sound_plugin_table;

#endif
