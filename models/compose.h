/* models/compose.h: a trained model of tokens goes on with a stream: sampling with temperature, of the k likeliest, of the nucleus, without endless
 * repetition.
 *
 *     gen_composition how = { .temperature = 1, .top_p = 0.95, .guard = 4, .most_tokens = 2000, .seed = 7 };
 *     gen_composer *composer;
 *     GEN_TRY(gen_composer_new(run, &composer, err));                          // the run's weights are to be loaded after this
 *     GEN_TRY(gen_compose(composer, &how, arena, &stream, err));
 *     gen_composer_free(composer);
 *
 * What comes out is a function of weights, options and seed: the same for any number of threads.
 */
#ifndef GEN_MODELS_COMPOSE_H
#define GEN_MODELS_COMPOSE_H

#include "models/run.h"
#include "models/tokens.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_composition {
    uint64_t seed;
    double temperature; /* 0: always the likeliest */
    int64_t top_k;      /* only so many of the likeliest words; 0: all */
    double top_p;  /* only the likeliest words that have this probability together (Holtzman et al. 2020); 1: all */
    int64_t guard; /* a figure is not said more than so many times in a row (see gen_repeats_too_often); 0: it may be */
    const gen_stream *prime; /* that is gone on with; NULL: from the border */
    int64_t most_tokens;     /* that are made */
    double
        quarters; /* music: ends when it has these; 0: with the border, or most_tokens. The border cannot come before. */
    double quarters_per_minute; /* of performance, whose times are seconds */
} gen_composition;

typedef struct gen_composer gen_composer;

/* Makes the program, so that its parameters are known. GEN_UNSUPPORTED with a reason where the model cannot go on with a stream. */
gen_status gen_composer_new(gen_run *run, gen_composer **out, gen_error *err);
void gen_composer_free(gen_composer *c); /* accepts NULL */

/* The prime and what follows it, without borders. */
gen_status gen_compose(gen_composer *c, const gen_composition *how, gen_arena *arena, gen_stream *out, gen_error *err);

/* Draws of logits[n] at u in [0,1): the word's number. banned: one that may not be, -1: none; a second, border, the same. */
int64_t gen_draw_word(const float *logits, int64_t n, const gen_composition *how, int64_t banned, int64_t also_banned,
                      double u, double *room);
/* Would the token `next` behind the n tokens make some figure stand more than `guard` times in a row? Figures of up to 64 tokens are looked for, and a
 * repetition counts when it is at least 32 tokens long: shorter ones are music. */
bool gen_repeats_too_often(const int32_t *token, int64_t n, int32_t fields, const int32_t *next, int64_t guard);

#ifdef __cplusplus
}
#endif
#endif
