#include "core/rng.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Random123 1.09, examples/kat_vectors, rows "philox4x32 10". */
TEST(rng_philox_gives_the_published_answers)
{
    static const struct {
        uint32_t counter[4];
        uint64_t seed;
        uint32_t expected[4];
    } rows[] = {
        { { 0, 0, 0, 0 }, 0, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          0xffffffffffffffff,
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          0x299f31d0a4093822,
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint32_t *c = rows[i].counter;
        gen_philox block = gen_philox_block(rows[i].seed, c[0], c[1], c[2], c[3]);
        for (int w = 0; w < 4; w++) assert_int_equal(block.word[w], rows[i].expected[w]);
    }
}

TEST(rng_uniform_is_in_the_half_open_interval)
{
    assert_true(gen_uniform_from_word(0) == 0.0f);
    assert_true(gen_uniform_from_word(0xff) == 0.0f);
    assert_true(gen_uniform_from_word(0x80000000u) == 0.5f);
    assert_true(gen_uniform_from_word(UINT32_MAX) == 1.0f - 0x1p-24f);
}

TEST(rng_normal_is_box_muller)
{
    float out[4];
    gen_normal_from_block((gen_philox){ { 0, 0, UINT32_MAX, 0x40000000u } }, out);
    assert_true(out[0] == 0.0f && out[1] == 0.0f); /* u = 1: radius 0 */
    assert_true(fabs((double)out[2]) < 1e-6);      /* a quarter of the circle: all in the sine */
    assert_true(fabs((double)out[3] - sqrt(-2 * log(0x1p-24))) < 1e-6);
}

/* Moments of a million numbers: mean, variance, fourth moment within five standard errors. */
TEST(rng_normal_has_the_moments_of_the_normal_distribution)
{
    enum { BLOCKS = 250000 };
    double sum = 0, square = 0, fourth = 0, n = 4.0 * BLOCKS;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        float out[4];
        gen_normal_from_block(gen_philox_block(42, i, 0, 0, 7), out);
        for (int j = 0; j < 4; j++) {
            double z = (double)out[j];
            sum += z, square += z * z, fourth += z * z * z * z;
        }
    }
    assert_true(fabs(sum / n) < 5 / sqrt(n));
    assert_true(fabs(square / n - 1) < 5 * sqrt(2 / n));
    assert_true(fabs(fourth / n - 3) < 5 * sqrt(96 / n));
}

TEST(rng_below_is_uniform_and_stays_below)
{
    int count[10] = { 0 };
    for (uint64_t i = 0; i < 100000; i++) {
        uint32_t k = gen_random_below(1, 2, i, 10);
        assert_true(k < 10);
        count[k]++;
    }
    for (int k = 0; k < 10; k++) assert_true(abs(count[k] - 10000) < 500); /* five standard deviations */
    assert_int_equal(gen_random_below(1, 2, 3, 1), 0);
    assert_true(gen_random_below(1, 2, 3, UINT32_MAX) < UINT32_MAX);
}

TEST(rng_streams_differ_by_seed_stream_and_place)
{
    uint32_t w = gen_random_word(1, 2, 3);
    assert_int_equal(w, gen_random_word(1, 2, 3));
    assert_int_not_equal(w, gen_random_word(2, 2, 3));
    assert_int_not_equal(w, gen_random_word(1, 3, 3));
    assert_int_not_equal(w, gen_random_word(1, 2, 7));
    assert_int_not_equal(w, gen_random_word(1, 2, 3 + (UINT64_C(4) << 32)));
}

TEST(rng_shuffle_is_a_permutation_that_depends_on_seed_and_stream)
{
    enum { N = 1000 };
    uint32_t a[N], b[N];
    int seen[N] = { 0 }, fixed = 0;
    gen_shuffle(5, 1, a, N);
    for (int i = 0; i < N; i++) seen[a[i]]++, fixed += a[i] == (uint32_t)i;
    for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
    assert_true(fixed < 10); /* expected: one */
    gen_shuffle(5, 1, b, N);
    assert_memory_equal(a, b, sizeof a);
    gen_shuffle(6, 1, b, N);
    assert_memory_not_equal(a, b, sizeof a);
    gen_shuffle(5, 2, b, N);
    assert_memory_not_equal(a, b, sizeof a);
    gen_shuffle(5, 1, b, 0);
    gen_shuffle(5, 1, b, 1);
    assert_int_equal(b[0], 0);
}

/* The values of the FNV authors' test vectors for "", "a" and "foobar". */
TEST(rng_hash_is_fnv1a)
{
    assert_true(gen_hash_name("") == 0xcbf29ce484222325u);
    assert_true(gen_hash_name("a") == 0xaf63dc4c8601ec8cu);
    assert_true(gen_hash_name("foobar") == 0x85944171f73967e8u);
}
