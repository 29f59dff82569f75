/* convert: a file becomes one of another kind. Music is read into notes, from MIDI, JSON or a piano roll, and written as any
 * of these. */
#include <string.h>

#include "tools/cli/tune.h"

static bool is_music(const char *from, const char *to)
{
    return cli_is_tune(from) && cli_can_write_tune(to);
}

static gen_status convert_music(cli_args *a, const char *from, const char *to, gen_error *err)
{
    cli_tune t;
    GEN_TRY(cli_tune_read(a, from, &t, err));
    return cli_tune_write(a, to, &t, err);
}

/* What can become what: the first row that says yes does it. */
static const struct conversion {
    bool (*takes)(const char *from, const char *to);
    gen_status (*run)(cli_args *a, const char *from, const char *to, gen_error *err);
    const char *words;
} conversions[] = {
    { is_music, convert_music,
      "music (.mid .midi .kar .rmi, piano roll .npy, notes or tokens .json) into .mid .npy .json" },
    { cli_is_weights, cli_convert_weights, "weights of PyTorch (.pth .pt .bin .ckpt) into .safetensors" },
    { cli_is_classifier, cli_convert_classifier,
      "a run of preset vgg-small, or its weights, into the .safetensors of a network for gen style" },
};

static int convert(cli_args *a, gen_error *err)
{
    if (cli_need_words(&cli_convert, a, 2, 2, err) != GEN_OK) return CLI_USAGE;
    if (strcmp(a->o.tokens, "notes") != 0 && !gen_path_has_extension(a->word[1], "json"))
        return gen_fail(err, GEN_BAD_OPTION, "--tokens %s is of what is written as .json; %s is none", a->o.tokens,
                        a->word[1]),
               CLI_USAGE;
    for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++)
        if (conversions[i].takes(a->word[0], a->word[1]))
            return conversions[i].run(a, a->word[0], a->word[1], err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    char words[300] = "";
    for (size_t i = 0, n = 0; i < sizeof conversions / sizeof *conversions && n < sizeof words; i++)
        n += (size_t)snprintf(words + n, sizeof words - n, "%s%s", i ? "; " : "", conversions[i].words);
    gen_fail(err, GEN_BAD_OPTION, "there is no way from .%.20s to .%.20s; gen converts %s",
             gen_path_extension(a->word[0]), gen_path_extension(a->word[1]), words);
    return CLI_USAGE;
}

static const char *const convert_takes[] = { "tokens", "steps-per-quarter", "pitches", "tempo", "quiet", "json", NULL };
const cli_verb cli_convert = {
    "convert",
    "IN OUT",
    "a file as one of another kind: MIDI, piano roll .npy, notes or tokens .json; PyTorch's .pth as .safetensors",
    convert_takes,
    0,
    convert
};
