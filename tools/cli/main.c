/* The gen command: a table of verbs. Exit codes: 0 good, 1 the work failed, 2 wrong usage. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <string.h>

#include "tools/cli/cli.h"

const cli_verb *const cli_verbs[] = { &cli_train,   &cli_sample,  &cli_reconstruct, &cli_encode,    &cli_interpolate,
                                      &cli_plot,    &cli_eval,    &cli_denoise,     &cli_translate, &cli_inpaint,
                                      &cli_img2img, &cli_info,    &cli_data,        &cli_list,      &cli_convert,
                                      &cli_render,  &cli_compose, &cli_style,       &cli_bench,     &cli_check,
                                      &cli_devices, &cli_help,    &cli_completion,  &cli_version,   NULL };

const cli_verb *cli_verb_find(const char *name)
{
    for (int i = 0; cli_verbs[i]; i++)
        if (!strcmp(cli_verbs[i]->name, name)) return cli_verbs[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *words[64];
    size_t n = 0;
    for (int i = 0; cli_verbs[i]; i++) words[n++] = cli_verbs[i]->name;
    const char *nearest = gen_nearest_word(name, words, n);
    fprintf(stderr, "gen: there is no verb %s%s%s%s; `gen help` lists them\n", name, nearest ? "; did you mean " : "",
            nearest ? nearest : "", nearest ? "?" : "");
    return CLI_USAGE;
}

static int exit_code(const gen_error *err)
{
    return err->status == GEN_OK ? CLI_GOOD : err->status == GEN_BAD_OPTION ? CLI_USAGE : CLI_FAILED;
}

static int run_verb(const cli_verb *verb, int argc, char **argv)
{
    gen_error err = { 0 };
    cli_args a = { .arena = gen_arena_new() };
    if (!a.arena) return CLI_FAILED;
    int code = CLI_USAGE;
    if (cli_parse(verb, argc, argv, &a, &err) == GEN_OK) {
        if (a.o.help) {
            a.word[0] = verb->name;
            a.n_words = 1;
            verb = cli_verb_find("help");
        }
        code = verb->run(&a, &err);
    }
    if (err.status != GEN_OK) {
        fprintf(stderr, "gen %s: %s\n", verb->name, err.text);
        code = exit_code(&err);
    }
    if (fflush(stdout) && code == CLI_GOOD) {
        fprintf(stderr, "gen %s: standard output cannot be written\n", verb->name);
        code = CLI_FAILED;
    }
    gen_arena_free(a.arena);
    return code;
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of write, with a sentence, like a full disk */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) return run_verb(&cli_help, 0, NULL), CLI_USAGE;
    const char *name = argv[1];
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) name = "version";
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) name = "help";
    const cli_verb *verb = cli_verb_find(name);
    return verb ? run_verb(verb, argc - 2, argv + 2) : unknown_verb(name);
}
