/* core/option.h: one row per option; command line, help, completion, run configuration and metadata come from the rows.
 *
 *     typedef struct vae_options { int64_t latent; double beta; const char *likelihood; } vae_options;
 *     static const gen_option rows[] = {
 *         { "latent", OPT_INT, offsetof(vae_options, latent), "20", 1, 4096, NULL, NULL, "size of the latent code", 0 },
 *         …, GEN_OPTIONS_END };
 *     vae_options o; gen_options_default(rows, &o);
 *     gen_option_set(rows, &o, "latent", "32", &err);
 */
#ifndef GEN_CORE_OPTION_H
#define GEN_CORE_OPTION_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gen_option_type {
    OPT_INT,    /* int64_t */
    OPT_FLOAT,  /* double */
    OPT_BOOL,   /* int64_t, 0 or 1; a bare --name means 1, --no-name 0 */
    OPT_STRING, /* const char *, never NULL; "" means not given */
    OPT_CHOICE, /* const char *, one of the words in choices */
} gen_option_type;

enum {
    OPT_NOT_MATH = 1, /* changes where or how fast, never the numbers: not kept in checkpoints */
    OPT_HIDDEN = 2,   /* for tests; not in help */
};

typedef struct gen_option {
    const char *name; /* "kl-warmup", without the dashes */
    gen_option_type type;
    size_t offset;        /* into the option struct */
    const char *fallback; /* default, as the user would type it */
    double low, high;     /* range of INT and FLOAT, both ends allowed */
    const char *choices;  /* "bernoulli|gaussian": CHOICE only */
    const char *unit;     /* "nats", "px", "s"; NULL for none */
    const char *help;     /* one line, no full stop */
    uint32_t flags;
} gen_option;

#define GEN_OPTIONS_END                                                                                                \
    {                                                                                                                  \
        NULL, OPT_INT, 0, NULL, 0, 0, NULL, NULL, NULL, 0                                                              \
    }

/* Fills the struct with the defaults of a table that GEN_OPTIONS_END ends. */
void gen_options_default(const gen_option *rows, void *options);

/* Finds a row by name; NULL if there is none. */
const gen_option *gen_option_find(const gen_option *rows, const char *name);

/* Parses text into the struct. GEN_BAD_OPTION with the range or the choices named. Strings are not copied: text must outlive options. */
gen_status gen_option_set(const gen_option *row, void *options, const char *text, gen_error *err);

/* The value as text that gen_option_set reads back exactly; in buffer (OPT_STRING: the string itself). */
const char *gen_option_get(const gen_option *row, const void *options, char *buffer, size_t buffer_bytes);

/* Of n words, the nearest to word by edit distance; NULL when none is near enough to be what was meant. */
const char *gen_nearest_word(const char *word, const char *const *words, size_t n);

#ifdef __cplusplus
}
#endif
#endif
