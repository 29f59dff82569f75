/* render: a tune becomes sound. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "io/sound.h"
#include "io/synth.h"
#include "tools/cli/music.h"
#include "tools/cli/tune.h"

static double decibels(double level)
{
    return 20 * log10(level > 1e-10 ? level : 1e-10);
}

/* Of this process: FluidSynth is given one core. */
static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static gen_status report(cli_args *a, const char *path, const gen_synth_options *o, const gen_sound *sound,
                         double took_s, gen_error *err)
{
    gen_sound_level level = gen_sound_measure(sound);
    double seconds = (double)sound->n_frames / sound->rate_hz;
    if (a->silent) return GEN_OK;
    if (a->o.json) {
        gen_json_out out = { .arena = a->arena };
        gen_json_open(&out, NULL, '{');
        gen_json_put_string(&out, "file", path);
        gen_json_put_string(&out, "soundfont", o->soundfont);
        gen_json_put_double(&out, "seconds", seconds);
        gen_json_put_double(&out, "peak_db", decibels(level.peak));
        gen_json_put_double(&out, "rms_db", decibels(level.rms));
        gen_json_put_int(&out, "clipped", level.n_clipped);
        gen_json_put_double(&out, "cpu_seconds", took_s);
        gen_json_close(&out, '}');
        return cli_print_json(&out, err);
    }
    printf("%s: %.2f s of sound, peak %.1f dB, rms %.1f dB, made %.0f times as fast as it plays, by %s\n", path,
           seconds, decibels(level.peak), decibels(level.rms), seconds / (took_s > 1e-6 ? took_s : 1e-6), o->soundfont);
    if (level.n_clipped && !a->o.quiet)
        fprintf(stderr, "warning: %" PRId64 " samples were clipped; --gain %.2g is the loudest without\n",
                level.n_clipped, floor(100 * o->gain / level.peak) / 100);
    return GEN_OK;
}

/* "tune.wav" of "pieces/tune.mid" */
static const char *output_of(cli_args *a, const char *tune)
{
    const char *base = gen_path_base(tune), *extension = gen_path_extension(tune);
    if (*a->o.output) return a->o.output;
    size_t n = strlen(base) - (*extension ? strlen(extension) + 1 : 0);
    return gen_arena_printf(a->arena, "%.*s.wav", (int)n, base);
}

gen_status cli_render_tune(cli_args *a, const char *tune, const char *path, gen_error *err)
{
    gen_midi midi;
    gen_midi_score score;
    gen_sound sound;
    gen_sound_format format;
    gen_bytes file;
    gen_synth_options o = { .rate_hz = (int32_t)a->o.rate,
                            .gain = a->o.gain,
                            .reverb = a->o.reverb,
                            .chorus = a->o.chorus,
                            .tail_s = a->o.tail };
    if (!gen_sound_format_of(path, &format))
        return gen_fail(err, GEN_BAD_OPTION, "%s: sound is written as .wav, .flac or .ogg", path);
    GEN_TRY(cli_tune_open(a, tune, &midi, &score, err));
    if (!a->o.quiet) cli_print_repairs(stderr, &midi);
    GEN_TRY(gen_synth_find_soundfont(a->o.soundfont, a->arena, &o.soundfont, err));
    double start_s = cpu_s();
    GEN_TRY(gen_synth_render(&score, &o, a->arena, &sound, err));
    double took_s = cpu_s() - start_s;
    if (a->o.mono) gen_sound_make_mono(&sound);
    GEN_TRY(gen_sound_write(&sound, format, a->arena, &file, err));
    GEN_TRY(gen_file_write(path, file.data, file.size, err));
    return report(a, path, &o, &sound, took_s, err);
}

static int render(cli_args *a, gen_error *err)
{
    if (cli_need_words(&cli_render, a, 1, 1, err) != GEN_OK) return CLI_USAGE;
    const char *path = output_of(a, a->word[0]);
    if (!path) return gen_fail(err, GEN_NO_MEMORY, "no memory for a path"), CLI_FAILED;
    return cli_render_tune(a, a->word[0], path, err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static const char *const render_takes[] = {
    "output", "tempo", "steps-per-quarter", "soundfont", "rate", "mono", "gain", "reverb", "chorus", "tail", "json",
    "quiet",  NULL
};
const cli_verb cli_render = {
    "render",     "TUNE", "a tune (MIDI, .json, piano roll .npy) as sound: .wav, .flac or .ogg, by a SoundFont",
    render_takes, 0,      render
};
