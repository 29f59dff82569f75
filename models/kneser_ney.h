/* models/kneser_ney.h: what counting three tokens in a row can foretell: interpolated Kneser-Ney smoothing (Chen & Goodman 1999, section 2.7), the bar
 * that a network of tokens has to clear.
 *
 *   p(w|u,v) = max(c(uvw) - D3, 0) / c(uv.) + D3 N(uv.) / c(uv.) p(w|v)            N(uv.): how many different words follow uv
 *   p(w|v)   = max(N(.vw) - D2, 0) / N(.v.) + D2 N(v.)  / N(.v.) p(w)              N(.vw): how many different words stand before vw
 *   p(w)     = max(N(.w)  - D1, 0) / N(..)  + D1 N(.)   / N(..)  / V
 *   D = n1 / (n1 + 2 n2) of each order, n1 and n2: how many of its counts are 1 and 2
 *
 *     gen_kneser_ney *k;
 *     GEN_TRY(gen_kneser_ney_new(n_words, &k, err));
 *     GEN_TRY(gen_kneser_ney_add(k, piece, n, err)); …
 *     gen_kneser_ney_fit(k);
 *     double nats = -log(gen_kneser_ney_probability(k, u, v, w));
 */
#ifndef GEN_MODELS_KNESER_NEY_H
#define GEN_MODELS_KNESER_NEY_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_KNESER_NEY_MAX_WORDS = 1 << 21 };

typedef struct gen_kneser_ney gen_kneser_ney;

/* Words are 0 to n_words - 1; 0 is the border, two of which stand before a piece, one behind it. GEN_UNSUPPORTED above GEN_KNESER_NEY_MAX_WORDS. */
gen_status gen_kneser_ney_new(int64_t n_words, gen_kneser_ney **out, gen_error *err);
void gen_kneser_ney_free(gen_kneser_ney *k); /* accepts NULL */
gen_status gen_kneser_ney_add(gen_kneser_ney *k, const int64_t *word, int64_t n, gen_error *err);
gen_status gen_kneser_ney_fit(gen_kneser_ney *k, gen_error *err);
/* p(w|u,v); over all w they sum to 1. */
double gen_kneser_ney_probability(const gen_kneser_ney *k, int64_t u, int64_t v, int64_t w);
/* Sum of -ln p over a piece and the border behind it: n + 1 words. */
double gen_kneser_ney_nats(const gen_kneser_ney *k, const int64_t *word, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
