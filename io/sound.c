/* Sound: levels, and the memory that the plugin writes files into. */
#include "io/sound.h"

#include "io/plugin.h"
#include "io/sound_plugin.h"

#include <math.h>
#include <string.h>

typedef struct memory {
    gen_arena *arena;
    uint8_t *bytes;
    int64_t size, room;
} memory;

static int put(void *context, int64_t at, const void *bytes, int64_t n)
{
    memory *m = context;
    if (at < 0 || n < 0 || at > INT64_MAX / 4 - n) return 1;
    if (at + n > m->room) {
        int64_t room = 2 * (at + n) + 65536;
        uint8_t *grown = gen_arena_alloc(m->arena, (size_t)room);
        if (!grown) return 1;
        if (m->size) memcpy(grown, m->bytes, (size_t)m->size);
        m->bytes = grown, m->room = room;
    }
    memcpy(m->bytes + at, bytes, (size_t)n);
    if (at + n > m->size) m->size = at + n;
    return 0;
}

static int64_t get(void *context, int64_t at, void *bytes, int64_t n)
{
    memory *m = context;
    if (at < 0 || at >= m->size || n <= 0) return 0;
    if (n > m->size - at) n = m->size - at;
    memcpy(bytes, m->bytes + at, (size_t)n);
    return n;
}

int gen_sound_format_of(const char *path, gen_sound_format *out)
{
    static const char *const words[] = { "wav", "flac", "ogg" };
    for (int i = 0; i < 3; i++) {
        if (!gen_path_has_extension(path, words[i])) continue;
        *out = (gen_sound_format)i;
        return 1;
    }
    return 0;
}

/* A copy in [-1,1]. */
static float *clip(const gen_sound *sound, gen_arena *arena)
{
    size_t n = (size_t)(sound->n_frames * sound->n_channels);
    float *clipped = gen_arena_alloc(arena, n * sizeof *clipped);
    for (size_t i = 0; clipped && i < n; i++) clipped[i] = fminf(1, fmaxf(-1, sound->samples[i]));
    return clipped;
}

gen_status gen_sound_write(const gen_sound *sound, gen_sound_format format, gen_arena *arena, gen_bytes *out,
                           gen_error *err)
{
    const void *found;
    char reason[200] = "";
    memory m = { .arena = arena };
    gen_sound_file file = { .put = put, .get = get, .context = &m };
    if (sound->n_channels < 1 || sound->n_channels > 8 || sound->n_frames < 0)
        return gen_fail(err, GEN_BAD_SHAPE, "sound of %d channels; 1 to 8 were expected", sound->n_channels);
    GEN_TRY(gen_plugin_open("gen_sound", GEN_SOUND_PLUGIN_VERSION, "writing sound (libsndfile)", &found, err));
    const gen_sound_plugin_table *table = found;
    float *clipped = clip(sound, arena);
    if (!clipped) return gen_fail(err, GEN_NO_MEMORY, "no memory for a sound file");
    if (table->write(&file, (int)format, sound->rate_hz, sound->n_channels, clipped, sound->n_frames, reason,
                     sizeof reason))
        return gen_fail(err, GEN_UNSUPPORTED, "the sound cannot be written: %s", reason);
    *out = (gen_bytes){ m.bytes, (size_t)m.size };
    return GEN_OK;
}

gen_sound_level gen_sound_measure(const gen_sound *sound)
{
    gen_sound_level level = { 0 };
    size_t n = (size_t)(sound->n_frames * sound->n_channels);
    for (size_t i = 0; i < n; i++) {
        double size = fabs((double)sound->samples[i]);
        if (size > level.peak) level.peak = size;
        level.rms += size * size;
        level.n_clipped += size > 1;
    }
    level.rms = n ? sqrt(level.rms / (double)n) : 0;
    return level;
}

void gen_sound_make_mono(gen_sound *sound)
{
    for (int64_t i = 0; i < sound->n_frames; i++) {
        float sum = 0;
        for (int32_t c = 0; c < sound->n_channels; c++) sum += sound->samples[i * sound->n_channels + c];
        sound->samples[i] = sum / (float)sound->n_channels;
    }
    sound->n_channels = 1;
}
