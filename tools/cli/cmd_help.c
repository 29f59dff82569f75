/* help, completion: printed from the tables of verbs, options, models and presets, so that they cannot drift. */
#include <math.h>
#include <string.h>

#include "tools/cli/cli.h"

/* ---- help ---------------------------------------------------------------------------------------------------------------------------------- */

/* "--latent N", "--net conv|mlp": what the user types */
static void option_usage(const gen_option *row, char *text, size_t bytes)
{
    const char *kind = row->type == OPT_INT      ? "N"
                       : row->type == OPT_FLOAT  ? "X"
                       : row->type == OPT_CHOICE ? row->choices
                       : row->type == OPT_BOOL   ? ""
                       : row->unit               ? row->unit
                                                 : "TEXT";
    snprintf(text, bytes, "--%s%s%s", row->name, *kind ? " " : "", kind);
}

/* Ranges that nobody meets are not worth reading. */
static int has_range(const gen_option *row)
{
    enum { WIDE = 65536 };
    return (row->type == OPT_INT || row->type == OPT_FLOAT) && row->low < row->high && row->high <= WIDE;
}

static void print_option(const gen_option *row)
{
    enum { COLUMN = 28 };
    char left[120];
    option_usage(row, left, sizeof left);
    if (strlen(left) > COLUMN) printf("  %s\n  %-*s ", left, COLUMN, "");
    else printf("  %-*s ", COLUMN, left);
    printf("%s", row->help);
    if (row->unit && row->type != OPT_STRING) printf(", in %s", row->unit);
    if (has_range(row)) printf(", %g to %g", row->low, row->high);
    if (row->fallback && *row->fallback && row->type != OPT_BOOL) printf(" [%s]", row->fallback);
    putchar('\n');
}

static void print_options(const char *title, const gen_option *rows)
{
    printf("\n%s\n", title);
    for (const gen_option *row = rows; row->name; row++)
        if (!(row->flags & OPT_HIDDEN)) print_option(row);
}

static void help_all(void)
{
    puts("gen: generative models in one binary\n\nusage: gen VERB [MODEL|RUN] [--option value]\n");
    for (int i = 0; cli_verbs[i]; i++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", cli_verbs[i]->name, cli_verbs[i]->words);
        printf("  gen %-20s %s\n", left, cli_verbs[i]->summary);
    }
    puts("\nfirst steps:\n  gen train vae --data mnist\n  gen sample runs/vae-mnist --grid 8x8 -o grid.png\n\n"
         "`gen help VERB` and `gen help MODEL` list options; `gen list` shows models and presets.");
}

static void help_verb(const cli_verb *verb)
{
    printf("usage: gen %s%s%s [--option value]\n\n%s\n\noptions\n", verb->name, *verb->words ? " " : "", verb->words,
           verb->summary);
    for (const char *const *t = verb->takes; t && *t; t++)
        if (!verb->leaves_options || cli_own_rows(verb) || !gen_option_find(gen_train_option_rows, *t))
            print_option(gen_option_find(cli_option_rows, *t));
    const gen_option *own = cli_own_rows(verb);
    if (own) {
        print_options("options of its own", own);
    } else if (verb->leaves_options) {
        print_options("options of every training", gen_train_option_rows);
        puts("\nand those of the model: gen help MODEL");
    }
}

static void help_model(const gen_model *model)
{
    printf("%s: %s\n%s\n\nusage: gen train %s [--data NAME|PATH] [--option value]\n", model->name, model->summary,
           model->paper, model->name);
    print_options("options", model->options);
    if (*model->defaults) printf("\ndefaults of its own: %s\n", model->defaults);
    puts("\npresets (--preset NAME, or gen train NAME)");
    for (const gen_preset *p = model->presets; p && p->name; p++)
        printf("  %-18s %s\n  %-18s %s\n", p->name, p->source, "", p->options);
    puts("\n`gen help train` lists the options of every training.");
}

static gen_status help_unknown(const char *name, gen_error *err)
{
    const char *words[128];
    size_t n = 0;
    for (int i = 0; cli_verbs[i]; i++) words[n++] = cli_verbs[i]->name;
    for (int i = 0; gen_models[i]; i++) words[n++] = gen_models[i]->name;
    const char *nearest = gen_nearest_word(name, words, n);
    return gen_fail(err, GEN_BAD_OPTION,
                    "there is no verb or model %s%s%s%s; `gen help` lists the verbs, `gen list` the models", name,
                    nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static int help(cli_args *a, gen_error *err)
{
    const char *name = a->n_words ? a->word[0] : "";
    const gen_model *model = gen_model_find(name);
    const gen_preset *preset;
    const cli_verb *verb = cli_verb_find(name);
    if (verb && model) help_verb(verb), putchar('\n'); /* denoise is both */
    if (!*name) help_all();
    else if (verb && !model) help_verb(verb);
    else if (model || gen_model_alias(name, &model, &preset)) help_model(model);
    else return help_unknown(name, err) == GEN_OK ? CLI_GOOD : CLI_USAGE;
    return CLI_GOOD;
}

/* ---- completion ------------------------------------------------------------------------------------------------------------------------------ */

static void print_option_words(const gen_option *rows)
{
    for (const gen_option *row = rows; row->name; row++)
        if (!(row->flags & OPT_HIDDEN)) printf("--%s ", row->name);
}

static int completion(cli_args *a, gen_error *err)
{
    (void)a, (void)err;
    puts("# bash completion of gen: source <(gen completion)\n_gen()\n{\n    local word=${COMP_WORDS[COMP_CWORD]} "
         "verb=${COMP_WORDS[1]} words=");
    printf("    if [ \"$COMP_CWORD\" = 1 ]; then words=\"");
    for (int i = 0; cli_verbs[i]; i++) printf("%s ", cli_verbs[i]->name);
    puts("\"; else case $verb in");
    for (int i = 0; cli_verbs[i]; i++) {
        printf("        %s) words=\"", cli_verbs[i]->name);
        for (const char *const *t = cli_verbs[i]->takes; t && *t; t++) printf("--%s ", *t);
        int of_models = cli_verbs[i]->leaves_options && !cli_own_rows(cli_verbs[i]);
        if (cli_own_rows(cli_verbs[i])) print_option_words(cli_own_rows(cli_verbs[i]));
        if (of_models || cli_verbs[i] == &cli_help || cli_verbs[i] == &cli_info)
            for (int m = 0; gen_models[m]; m++) {
                printf("%s ", gen_models[m]->name);
                for (const gen_preset *p = gen_models[m]->presets; p && p->name; p++) printf("%s ", p->name);
                if (of_models) print_option_words(gen_models[m]->options);
            }
        if (of_models) print_option_words(gen_train_option_rows);
        puts("\";;");
    }
    puts("    esac; fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\") $(compgen -f -- \"$word\"))\n}\ncomplete "
         "-o filenames -F _gen gen");
    return CLI_GOOD;
}

static const char *const nothing[] = { NULL };
const cli_verb cli_help = { "help", "[VERB|MODEL]", "this help, or that of a verb or model", nothing, 0, help };
const cli_verb cli_completion = { "completion", "", "a script for bash: source <(gen completion)",
                                  nothing,      0,  completion };
