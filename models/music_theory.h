/* models/music_theory.h: what can be heard from pitches alone.
 *
 *     double seconds[12] = { 0 };                                 // of C, C#, … B
 *     gen_key key = gen_find_key(seconds);                        // key.tonic 7, !key.minor: G major
 */
#ifndef GEN_MODELS_MUSIC_THEORY_H
#define GEN_MODELS_MUSIC_THEORY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_key {
    int32_t tonic;      /* 0: C, 1: C#, … 11: B */
    int32_t minor;      /* or major */
    double correlation; /* with the profile of that key, -1 to 1; 0 where all weights are equal: then there is no key */
} gen_key;

/* The key whose profile is nearest to how much each pitch class is heard (Krumhansl & Schmuckler). */
gen_key gen_find_key(const double weight[12]);

const char *gen_pitch_class_name(int32_t pitch_class); /* "C#" */

#ifdef __cplusplus
}
#endif
#endif
