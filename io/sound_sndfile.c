/* The plugin libgen_sound.so: sound files by libsndfile, on a file in memory. */
#include "io/sound_plugin.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>

static sf_count_t get_size(void *user)
{
    return ((gen_sound_file *)user)->size;
}

static sf_count_t seek(sf_count_t offset, int whence, void *user)
{
    gen_sound_file *f = user;
    f->at = offset + (whence == SEEK_CUR ? f->at : whence == SEEK_END ? f->size : 0);
    return f->at;
}

static sf_count_t get(void *bytes, sf_count_t n, void *user)
{
    gen_sound_file *f = user;
    int64_t got = f->get(f->context, f->at, bytes, n);
    f->at += got;
    return got;
}

static sf_count_t put(const void *bytes, sf_count_t n, void *user)
{
    gen_sound_file *f = user;
    if (f->put(f->context, f->at, bytes, n)) return 0;
    f->at += n;
    if (f->at > f->size) f->size = f->at;
    return n;
}

static sf_count_t tell(void *user)
{
    return ((gen_sound_file *)user)->at;
}

/* In pieces: libsndfile keeps what it is given on the stack for Vorbis. 16 bits are rounded here, so that the loudest sample
 * that is not clipped is 32767 on both sides. */
static int write_samples(SNDFILE *file, int lossy, int n_channels, const float *samples, int64_t n_frames)
{
    enum { PIECE = 4096, MOST_CHANNELS = 8 };
    short rounded[PIECE * MOST_CHANNELS];
    for (int64_t done = 0; done < n_frames; done += PIECE) {
        int64_t n = n_frames - done < PIECE ? n_frames - done : PIECE;
        const float *from = samples + done * n_channels;
        for (int64_t i = 0; i < n * n_channels; i++) rounded[i] = (short)lrintf(from[i] * 32767.0F);
        if ((lossy ? sf_writef_float(file, from, n) : sf_writef_short(file, rounded, n)) != n) return 1;
    }
    return 0;
}

static int write_sound(gen_sound_file *memory, int format, int rate_hz, int n_channels, const float *samples,
                       int64_t n_frames, char *reason, size_t reason_bytes)
{
    static const int formats[] = { SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
                                   SF_FORMAT_OGG | SF_FORMAT_VORBIS };
    SF_VIRTUAL_IO io = { get_size, seek, get, put, tell };
    SF_INFO info = { .samplerate = rate_hz, .channels = n_channels, .format = formats[format] };
    SNDFILE *file = sf_open_virtual(&io, SFM_WRITE, &info, memory);
    if (!file) {
        snprintf(reason, reason_bytes, "%s", sf_strerror(NULL));
        return 1;
    }
    int bad = write_samples(file, format == 2, n_channels, samples, n_frames);
    if (bad) snprintf(reason, reason_bytes, "%s", sf_strerror(file));
    if (sf_close(file) && !bad) {
        snprintf(reason, reason_bytes, "the file could not be closed");
        bad = 1;
    }
    return bad;
}

extern const gen_sound_plugin_table gen_sound_plugin; /* found by name with dlsym */
const gen_sound_plugin_table gen_sound_plugin = { GEN_SOUND_PLUGIN_VERSION, write_sound };
