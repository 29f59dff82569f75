#include "core/rng.h"

#include <math.h>

/* Salmon et al. 2011, section 3: multipliers and Weyl constants of Philox4x32. */
static const uint32_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
static const uint32_t weyl0 = 0x9E3779B9u, weyl1 = 0xBB67AE85u;
enum { ROUNDS = 10 };

gen_philox gen_philox_block(uint64_t seed, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3)
{
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < ROUNDS; round++, key0 += weyl0, key1 += weyl1) {
        uint64_t product0 = (uint64_t)multiplier0 * c0, product1 = (uint64_t)multiplier1 * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ key0;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ key1;
        c1 = (uint32_t)product1;
        c3 = (uint32_t)product0;
    }
    return (gen_philox){ { c0, c1, c2, c3 } };
}

float gen_uniform_from_word(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

static void box_muller(uint32_t radius_word, uint32_t angle_word, float out[2])
{
    double u = 1.0 - (double)gen_uniform_from_word(radius_word);
    double angle = 6.283185307179586477 * (double)gen_uniform_from_word(angle_word);
    double radius = sqrt(-2.0 * log(u));
    out[0] = (float)(radius * cos(angle));
    out[1] = (float)(radius * sin(angle));
}

void gen_normal_from_block(gen_philox block, float out[4])
{
    box_muller(block.word[0], block.word[1], out);
    box_muller(block.word[2], block.word[3], out + 2);
}

/* Host streams use a step that no training reaches, so they share no block with a tensor. */
static gen_philox stream_block(uint64_t seed, uint32_t stream, uint64_t block)
{
    return gen_philox_block(seed, (uint32_t)block, (uint32_t)(block >> 32), UINT32_MAX, stream);
}

uint32_t gen_random_word(uint64_t seed, uint32_t stream, uint64_t i)
{
    return stream_block(seed, stream, i / 4).word[i % 4];
}

/* floor(n w / 2^64), w of 64 random bits: no value is more likely than another by more than n / 2^64. */
uint32_t gen_random_below(uint64_t seed, uint32_t stream, uint64_t i, uint32_t n)
{
    gen_philox block = stream_block(seed, stream, i);
    uint64_t high = (uint64_t)block.word[0] * n, low = (uint64_t)block.word[1] * n;
    return (uint32_t)((high + (low >> 32)) >> 32);
}

/* Fisher & Yates, from the last element down. */
void gen_shuffle(uint64_t seed, uint32_t stream, uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = gen_random_below(seed, stream, i, i), last = order[i - 1];
        order[i - 1] = order[j];
        order[j] = last;
    }
}

uint64_t gen_hash_name(const char *name)
{
    uint64_t hash = 14695981039346656037u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return hash;
}
