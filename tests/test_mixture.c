/* Mixtures: one component is the sample's mean and covariance, clusters that are apart are found, draws have the moments of the mixture. */
#include <math.h>
#include <string.h>

#include "models/evaluate.h"
#include "models/mixture.h"
#include "tests/test.h"

enum { N = 3000, D = 2 };

/* Clusters at (-4, 0), (4, 0), (0, 6): a half, a third and a sixth of the points; the first is a slanted ellipse. */
static void clusters(float *x)
{
    gen_latent_draw(5, 0, N, D, x);
    for (int i = 0; i < N; i++) {
        float *p = x + D * i, a = p[0], b = p[1];
        if (i % 6 < 3) p[0] = -4 + a, p[1] = 0.8f * a + 0.6f * b;
        else if (i % 6 < 5) p[0] = 4 + 0.5f * a, p[1] = 0.5f * b;
        else p[0] = 0.2f * a, p[1] = 6 + b;
    }
}

TEST(mixture_of_one_is_mean_and_covariance)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_mixture m;
    float x[N * D];
    double mean[D] = { 0 }, cov[3] = { 0 };
    clusters(x);
    for (int i = 0; i < N * D; i++) mean[i % D] += (double)x[i] / N;
    for (int i = 0; i < N; i++) {
        double a = (double)x[D * i] - mean[0], b = (double)x[D * i + 1] - mean[1];
        cov[0] += a * a / N, cov[1] += a * b / N, cov[2] += b * b / N;
    }
    TEST_OK(gen_mixture_fit(x, N, D, 1, 1, arena, &m, &err));
    assert_true(fabs(m.mean[0] - mean[0]) < 1e-9 && fabs(m.mean[1] - mean[1]) < 1e-9 && m.weight[0] == 1);
    assert_true(fabs(m.factor[0] * m.factor[0] - cov[0]) < 1e-4 && fabs(m.factor[2] * m.factor[0] - cov[1]) < 1e-4);
    double det = cov[0] * cov[2] - cov[1] * cov[1], entropy = 1 + log(2 * 3.14159265358979323846) + 0.5 * log(det);
    assert_true(fabs(m.log_likelihood + entropy) < 1e-4); /* of a normal distribution fitted by its moments */
    gen_arena_free(arena);
}

TEST(mixture_finds_clusters_and_is_the_same_again)
{
    static const double centre[3][D] = { { -4, 0 }, { 4, 0 }, { 0, 6 } }, weight[] = { 1 / 2.0, 1 / 3.0, 1 / 6.0 };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_mixture m, again;
    float x[N * D];
    clusters(x);
    for (uint64_t seed = 1; seed < 5; seed++) {
        TEST_OK(gen_mixture_fit(x, N, D, 3, seed, arena, &m, &err));
        for (int c = 0; c < 3; c++) {
            int found = 0;
            for (int k = 0; k < 3; k++)
                found += hypot(m.mean[k * D] - centre[c][0], m.mean[k * D + 1] - centre[c][1]) < 0.2 &&
                         fabs(m.weight[k] - weight[c]) < 0.01;
            assert_int_equal(found, 1);
        }
    }
    TEST_OK(gen_mixture_fit(x, N, D, 3, 4, arena, &again, &err));
    assert_memory_equal(again.factor, m.factor, 3 * D * D * sizeof *m.factor);
    gen_arena_free(arena);
}

TEST(mixture_draws_have_its_moments_and_do_not_depend_on_the_batch)
{
    enum { DRAWS = 20000 };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_mixture m;
    float x[N * D], one[D], *z = gen_arena_alloc(arena, DRAWS * D * sizeof *z);
    double mean[2][D] = { { 0 } }, product[2] = { 0 };
    clusters(x);
    TEST_OK(gen_mixture_fit(x, N, D, 3, 1, arena, &m, &err));
    gen_mixture_draw(&m, 9, 100, DRAWS, z);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < D; j++) mean[0][j] += (double)x[i * D + j] / N;
        product[0] += (double)x[i * D] * (double)x[i * D + 1] / N;
    }
    for (int i = 0; i < DRAWS; i++) {
        for (int j = 0; j < D; j++) mean[1][j] += (double)z[i * D + j] / DRAWS;
        product[1] += (double)z[i * D] * (double)z[i * D + 1] / DRAWS;
    }
    assert_true(fabs(mean[0][0] - mean[1][0]) < 0.1 && fabs(mean[0][1] - mean[1][1]) < 0.1);
    assert_true(fabs(product[0] - product[1]) < 0.15);
    gen_mixture_draw(&m, 9, 100 + 777, 1, one);
    assert_memory_equal(one, z + D * 777, sizeof one);
    gen_arena_free(arena);
}

/* All codes at one place, or fewer than components */
TEST(mixture_of_hardly_anything_stays_finite)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_mixture m;
    float x[20 * D] = { 0 }, z[D];
    TEST_OK(gen_mixture_fit(x, 20, D, 4, 1, arena, &m, &err));
    gen_mixture_draw(&m, 1, 0, 1, z);
    assert_true(fabs((double)z[0]) < 1e-3 && fabs((double)z[1]) < 1e-3);
    assert_int_equal(gen_mixture_fit(x, 4, D, 4, 1, arena, &m, &err), GEN_BAD_OPTION);
    gen_arena_free(arena);
}
