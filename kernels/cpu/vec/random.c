/* kernels/cpu/vec/random.c: uniform, bernoulli and normal numbers, the same bits as core/rng.h gives.
 *
 *   element e of sample n is word e % 4 of the Philox block { e / 4, first_sample + n, low half of step, key folded to 32 bits }, key = seed
 *
 * VEC_W blocks go through the rounds together, LANES at a time. Normal numbers stay with the scalar Box-Muller in double: its logarithm and sine decide
 * the last bit.
 */
#include "core/rng.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/vec.h"

enum { LANES = 16, ROUNDS = 10 };

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

/* The rounds of VEC_W blocks whose first words are in c[0] (Salmon et al. 2011, as in core/rng.c). */
VEC_INLINE void philox_rounds(uint64_t seed, veci c[4])
{
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    const veci m0 = vec_iset((int32_t)0xD2511F53u), m1 = vec_iset((int32_t)0xCD9E8D57u);
    for (int round = 0; round < ROUNDS; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
        veci high0, high1, low0 = vec_mul_wide(c[0], m0, &high0), low1 = vec_mul_wide(c[2], m1, &high1);
        c[0] = vec_ixor(vec_ixor(high1, c[1]), vec_iset((int32_t)key0));
        c[2] = vec_ixor(vec_ixor(high0, c[3]), vec_iset((int32_t)key1));
        c[1] = low1;
        c[3] = low0;
    }
}

/* Words of blocks first .. first + LANES - 1 of a sample: word[lane * 4 + i]. */
static void philox_lanes(uint64_t seed, uint32_t first, uint32_t sample, uint32_t step, uint32_t key, uint32_t *word)
{
    uint32_t number[VEC_W], out[4][VEC_W];
    for (uint32_t lane = 0; lane < LANES; lane += VEC_W) {
        for (uint32_t i = 0; i < VEC_W; i++) number[i] = first + lane + i;
        veci c[4] = { vec_bits(vec_load((const float *)number)), vec_iset((int32_t)sample), vec_iset((int32_t)step),
                      vec_iset((int32_t)key) };
        philox_rounds(seed, c);
        for (int k = 0; k < 4; k++) vec_store((float *)out[k], vec_of_bits(c[k]));
        for (uint32_t i = 0; i < VEC_W; i++)
            for (uint32_t k = 0; k < 4; k++) word[4 * (lane + i) + k] = out[k][i];
    }
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
