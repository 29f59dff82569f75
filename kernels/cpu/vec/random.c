/* kernels/cpu/vec/random.c: uniform, bernoulli and normal numbers, the same bits as core/rng.h gives.
 *
 *   element e of sample n is word e % 4 of the Philox block { e / 4, first_sample + n, low half of step, key folded to 32 bits }, key = seed
 *
 * LANES blocks go through the rounds together as plain loops over arrays, which the compiler turns into vectors. Normal numbers stay with the scalar
 * Box-Muller in double: its logarithm and sine decide the last bit.
 */
#include "core/rng.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/vec.h"

enum { LANES = 16, ROUNDS = 10 };

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t samples_of(const gen_shape *y)
{
    return y->rank ? y->dim[0] : 1;
}

static int64_t sample_blocks(const gen_shape *y)
{
    return (gen_shape_count(y) / samples_of(y) + 3) / 4;
}

static void setup(const gen_call *c, cpu_work *w)
{
    const gen_shape *y = &c->out[0].shape;
    w->parts[0] =
        gen_shape_count(y) ? cpu_parts_for(samples_of(y) * sample_blocks(y), c->op == GEN_OP_NORMAL ? 256 : 2048) : 1;
}

/* Words of blocks first .. first + LANES - 1 of a sample: word[lane * 4 + i]. */
static void philox_lanes(uint64_t seed, uint32_t first, uint32_t sample, uint32_t step, uint32_t key, uint32_t *word)
{
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES], key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int i = 0; i < LANES; i++) c0[i] = first + (uint32_t)i, c1[i] = sample, c2[i] = step, c3[i] = key;
    for (int round = 0; round < ROUNDS;
         round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) /* Salmon et al. 2011, as in core/rng.c */
        for (int i = 0; i < LANES; i++) {
            uint64_t product0 = (uint64_t)0xD2511F53u * c0[i], product1 = (uint64_t)0xCD9E8D57u * c2[i];
            c0[i] = (uint32_t)(product1 >> 32) ^ c1[i] ^ key0;
            c2[i] = (uint32_t)(product0 >> 32) ^ c3[i] ^ key1;
            c1[i] = (uint32_t)product1;
            c3[i] = (uint32_t)product0;
        }
    for (int i = 0; i < LANES; i++)
        word[4 * i] = c0[i], word[4 * i + 1] = c1[i], word[4 * i + 2] = c2[i], word[4 * i + 3] = c3[i];
}

/* 4 LANES numbers from their words. */
static void numbers(const gen_call *c, const uint32_t *word, float *y)
{
    const float a = (float)c->attr->a;
    for (int i = 0; i < 4 * LANES; i++) y[i] = (float)(int32_t)(word[i] >> 8) * 0x1p-24f;
    if (c->op == GEN_OP_BERNOULLI)
        for (int i = 0; i < 4 * LANES; i++) y[i] = y[i] < a ? 1.0f : 0.0f;
    if (c->op == GEN_OP_NORMAL)
        for (int i = 0; i < LANES; i++) {
            gen_philox block;
            memcpy(block.word, word + 4 * i, sizeof block.word);
            gen_normal_from_block(block, y + 4 * i);
        }
}

static void run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *shape = &c->out[0].shape;
    int64_t samples = samples_of(shape), begin, end;
    if (gen_shape_count(shape) == 0) return;
    int64_t blocks = sample_blocks(shape), sample = gen_shape_count(shape) / samples;
    uint32_t key = (uint32_t)(c->attr->key ^ c->attr->key >> 32);
    cpu_part_range(job, samples * blocks, 1, &begin, &end);
    for (int64_t i = begin; i < end;) {
        int64_t n = i / blocks, block = i % blocks, count = min64(min64(LANES, blocks - block), end - i);
        uint32_t word[4 * LANES];
        float y[4 * LANES];
        philox_lanes(c->state->seed, (uint32_t)block, (uint32_t)(c->state->first_sample + (uint64_t)n),
                     (uint32_t)c->state->step, key, word);
        numbers(c, word, y);
        memcpy((float *)c->out[0].data + n * sample + block * 4, y,
               sizeof(float) * (size_t)min64(4 * count, sample - block * 4));
        i += count;
    }
}

const cpu_kernel VEC_FN(random) = { VEC_NAME("random"), NULL, setup, NULL, run };
