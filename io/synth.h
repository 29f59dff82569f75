/* io/synth.h: a score becomes sound, by a SoundFont. FluidSynth does it, in a plugin that is opened on first use.
 *
 *     gen_synth_options o = { .rate_hz = 44100, .gain = 0.5, .reverb = 0.2, .chorus = 2, .tail_s = -1 };
 *     gen_sound sound;
 *     GEN_TRY(gen_synth_find_soundfont(NULL, arena, &o.soundfont, err));
 *     GEN_TRY(gen_synth_render(&score, &o, arena, &sound, err));
 */
#ifndef GEN_IO_SYNTH_H
#define GEN_IO_SYNTH_H

#include "io/midi.h"
#include "io/sound.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_SYNTH_MAX_SECONDS = 7200 }; /* of music: 2.5 GiB at 44.1 kHz */

typedef struct gen_synth_options {
    const char *soundfont;
    int32_t rate_hz; /* 8000 to 96000 */
    double gain;     /* 0 to 10 */
    double reverb;   /* level, 0 (off) to 1; FluidSynth's own: 0.2 */
    double chorus;   /* level, 0 (off) to 10; FluidSynth's own: 2 */
    double tail_s;   /* after the last event; negative: until it has faded away, at most 10 s */
} gen_synth_options;

/* The SoundFont to use: chosen (not NULL or ""), else $SOUNDFONT, else the system's usual ones. GEN_NOT_FOUND says what to
 * install. */
gen_status gen_synth_find_soundfont(const char *chosen, gen_arena *arena, const char **path, gen_error *err);

/* Stereo, in the arena; samples may exceed 1. FluidSynth thinks in blocks of 64 frames: an event sounds at most that late.
 * GEN_UNSUPPORTED when there is nothing to hear, with the reason; GEN_NO_DEVICE without the plugin. */
gen_status gen_synth_render(const gen_midi_score *score, const gen_synth_options *options, gen_arena *arena,
                            gen_sound *sound, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
