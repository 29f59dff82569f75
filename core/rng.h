/* core/rng.h: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): numbers from a counter, no state.
 *
 * A random tensor element is a function of (seed, node key, step, sample, element) and nothing else, so the same numbers come for any batch
 * size, thread count and device:
 *     counter = { element / 4, sample, low 32 bits of step, key of the node }   key = { seed low, seed high }
 * Word element % 4 of the block is the element's.
 */
#ifndef GEN_CORE_RNG_H
#define GEN_CORE_RNG_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_philox {
    uint32_t word[4];
} gen_philox;

/* One block of four 32-bit words. */
gen_philox gen_philox_block(uint64_t seed, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3);

/* A word as a float in [0, 1): the top 24 bits times 2^-24. */
float gen_uniform_from_word(uint32_t word);

/* Four normal deviates from one block, by Box-Muller on (0,1) and (2,3): r = sqrt(-2 ln u), u = 1 - uniform in (0, 1]. Computed in double. */
void gen_normal_from_block(gen_philox block, float out[4]);

/* A short stream for host-side uses (shuffles, choices): element i of the stream (seed, stream). */
uint32_t gen_random_word(uint64_t seed, uint32_t stream, uint64_t i);

/* A uniform integer in [0, n) for element i of the stream; n < 2^32. */
uint32_t gen_random_below(uint64_t seed, uint32_t stream, uint64_t i, uint32_t n);

/* order[0..n) becomes a permutation of 0..n-1 that depends on (seed, stream) alone. n < 2^32 */
void gen_shuffle(uint64_t seed, uint32_t stream, uint32_t *order, uint32_t n);

/* 64-bit FNV-1a of a name: the key of its random numbers. */
uint64_t gen_hash_name(const char *name);

#ifdef __cplusplus
}
#endif
#endif
