/* Precision, recall and neighbours against NumPy's numbers for the same points; shares of classes by hand. */
#include <math.h>

#include "models/compare.h"
#include "tests/test.h"

enum { N_REAL = 60, N_MADE = 45, D = 6 };

static void make_features(int n, double k, float *x)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < D; j++)
            x[i * D + j] =
                (float)(sin(0.7 * i * (j + 1) + 1.3 * j + k) + 0.2 * k * j + 0.3 * cos(0.01 * i * i * (j + 2) + k));
}

TEST(compare_precision_and_recall_are_numpys)
{
    static const struct {
        double shift, precision, recall;
    } rows[] = { { 0.3, 38 / 45.0, 52 / 60.0 }, { 0.6, 7 / 45.0, 13 / 60.0 }, { 1, 3 / 45.0, 6 / 60.0 } };
    gen_error err = { 0 };
    float real[N_REAL * D], made[N_MADE * D];
    double precision, recall;
    make_features(N_REAL, 0, real);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        make_features(N_MADE, rows[i].shift, made);
        TEST_OK(gen_precision_recall(real, N_REAL, made, N_MADE, D, 3, &precision, &recall, &err));
        assert_true(fabs(precision - rows[i].precision) < 1e-9 && fabs(recall - rows[i].recall) < 1e-9);
    }
    TEST_OK(gen_precision_recall(real, N_REAL, real, N_REAL, D, 3, &precision, &recall, &err));
    assert_true(precision == 1 && recall == 1);
    assert_int_equal(gen_precision_recall(real, 3, made, N_MADE, D, 3, &precision, &recall, &err), GEN_BAD_SHAPE);
}

/* Lanes and what is left over: any number of dimensions */
TEST(compare_neighbours_come_nearest_first)
{
    float x[37] = { 0 }, others[5 * 37] = { 0 };
    int64_t index[3];
    double square[3];
    static const float places[] = { 3, 1, 2, 1, 5 };
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 37; j++) others[i * 37 + j] = places[i];
    gen_nearest(x, others, 5, 37, 3, index, square);
    assert_true(index[0] == 1 && index[1] == 3 && index[2] == 2);
    assert_true(square[0] == 37 && square[1] == 37 && square[2] == 4 * 37);
    float real[N_REAL * D], made[N_MADE * D];
    make_features(N_REAL, 0, real);
    make_features(N_MADE, 0.6, made);
    gen_nearest(real, made, N_MADE, D, 3, index, square);
    assert_true(index[0] == 5 && index[1] == 14 && index[2] == 0);
    assert_true(fabs(square[0] - 1.51017717) < 1e-5 && fabs(square[2] - 2.25761227) < 1e-5);
}

TEST(compare_classes_are_counted_by_confidence)
{
    static const float p[] = { 0.95f, 0.03f, 0.02f, 0.1f, 0.2f, 0.7f, 0.0f, 0.05f, 0.95f, 0.4f, 0.4f, 0.2f };
    double share[3], q[3];
    gen_class_shares(p, 4, 3, 0.9, share);
    assert_true(share[0] == 0.25 && share[1] == 0 && share[2] == 0.25);
    gen_class_shares(p, 4, 3, 0, q);
    assert_true(q[0] == 0.5 && q[1] == 0 && q[2] == 0.5);
    assert_true(fabs(gen_class_divergence((double[]){ 0.5, 0.5, 0 }, (double[]){ 0.25, 0.25, 0.5 }, 3) - log(2)) <
                1e-12);
    assert_true(isinf(gen_class_divergence((double[]){ 0.5, 0.5 }, (double[]){ 1, 0 }, 2)));
    assert_true(gen_class_agreement(p, (const float[]){ 0, 1, 2, 1 }, 4, 3) ==
                0.5); /* the last row's first class is as likely */
}
