/* Random numbers: element e of sample n of a tensor [N,..] is word e % 4 of the Philox block
 *
 *   counter = { e / 4, first_sample + n, low half of step, key folded to 32 bits }   key = seed          (core/rng.h)
 *
 *   uniform  y = word / 2^32, in steps of 2^-24      bernoulli  y = uniform < a      normal  Box-Muller on words (0,1)
 * and (2,3) The double version gives the float numbers, so that both devices see the same noise. */
#include "kernels/cpu/ref/ref.h"

#include "core/rng.h"

typedef void (*block_fn)(const gen_attr *attr, gen_philox block, float out[4]);

static void normal(const gen_attr *attr, gen_philox block, float out[4])
{
    (void)attr;
    gen_normal_from_block(block, out);
}

static void uniform(const gen_attr *attr, gen_philox block, float out[4])
{
    (void)attr;
    for (int i = 0; i < 4; i++) out[i] = gen_uniform_from_word(block.word[i]);
}

static void bernoulli(const gen_attr *attr, gen_philox block, float out[4])
{
    for (int i = 0; i < 4; i++) out[i] = gen_uniform_from_word(block.word[i]) < (float)attr->a;
}

static int64_t samples_of(const gen_shape *y)
{
    return y->rank ? y->dim[0] : 1;
}

static int64_t blocks_of(const gen_shape *y)
{
    return (gen_shape_count(y) / samples_of(y) + 3) / 4; /* in a sample */
}

static void random_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(samples_of(&c->out[0].shape) * blocks_of(&c->out[0].shape), 1024);
}

static void fill(const gen_call *c, const cpu_job *job, block_fn numbers)
{
    const gen_shape *y = &c->out[0].shape;
    int64_t begin, end, blocks = blocks_of(y), sample = gen_shape_count(y) / samples_of(y);
    uint32_t key = (uint32_t)(c->attr->key ^ c->attr->key >> 32);
    cpu_part_range(job, samples_of(y) * blocks, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t n = i / blocks, block = i % blocks;
        uint32_t sample_number = (uint32_t)(c->state->first_sample + (uint64_t)n);
        float out[4];
        numbers(c->attr,
                gen_philox_block(c->state->seed, (uint32_t)block, sample_number, (uint32_t)c->state->step, key), out);
        for (int64_t e = block * 4; e < block * 4 + 4 && e < sample; e++) ref_out(c)[n * sample + e] = (REAL)out[e % 4];
    }
}

static void normal_run(const gen_call *c, const cpu_job *job)
{
    fill(c, job, normal);
}

static void uniform_run(const gen_call *c, const cpu_job *job)
{
    fill(c, job, uniform);
}

static void bernoulli_run(const gen_call *c, const cpu_job *job)
{
    fill(c, job, bernoulli);
}

REF_KERNEL(normal, random_setup, normal_run)
REF_KERNEL(uniform, random_setup, uniform_run)
REF_KERNEL(bernoulli, random_setup, bernoulli_run)
