/* Likelihoods by importance sampling, against the integral over a code of one number. */
#include <math.h>
#include <string.h>

#include "models/evaluate.h"
#include "models/likelihood.h"
#include "tests/model_run.h"

enum { N = 20, SIDE = 8, PIXELS = SIDE * SIDE, GRID = 2401 };

typedef struct fixture {
    test_model t;
    gen_run run;
    gen_dataset data;
} fixture;

/* A small VAE with a code of one number, a little trained. */
static void open_fixture(fixture *f, const char *options)
{
    test_model_open(&f->t, "vae", NULL, options, N, SIDE, SIDE, 1);
    gen_program *train = test_model_program(&f->t, f->t.model->train);
    test_model_steps(&f->t, train, 0, 150);
    gen_program_free(train);
    f->run = (gen_run){ .arena = f->t.arena,
                        .folder = "",
                        .data_name = "",
                        .settings = f->t.settings,
                        .height = SIDE,
                        .width = SIDE,
                        .channels = 1,
                        .classes = f->t.classes,
                        .device = f->t.device,
                        .params = f->t.params };
    f->data = (gen_dataset){ .n = N, .height_px = SIDE, .width_px = SIDE, .channels = 1, .values = f->t.x };
}

/* An encoder that knows nothing: q(z|x) is the prior. */
static void forget(fixture *f)
{
    for (int32_t i = 0; i < gen_params_count(f->t.params); i++) {
        gen_error err = { 0 };
        int64_t count;
        if (strncmp(gen_params_get(f->t.params, i).name, "enc.", 4)) continue;
        float *zeros = test_model_values(&f->t, i, &count);
        memset(zeros, 0, (size_t)count * sizeof *zeros);
        TEST_OK(gen_params_write(f->t.params, i, zeros, &err));
    }
}

static double nll(fixture *f, int64_t samples, int64_t steps)
{
    gen_error err = { 0 };
    double nats = NAN;
    TEST_OK(gen_nll(&f->run, &f->data, (gen_range){ 0, N }, &(gen_likelihood){ samples, steps }, &nats, &err));
    return nats;
}

/* The mean of -log of the integral of p(x|z) N(z; 0, 1) dz, by the trapezoid rule from -6 to 6. */
static double integral(fixture *f)
{
    static float z[GRID], y[GRID * PIXELS];
    gen_error err = { 0 };
    const double width = 12.0 / (GRID - 1);
    double total = 0;
    for (int k = 0; k < GRID; k++) z[k] = (float)(width * k - 6);
    TEST_OK(gen_decode(&f->run, z, NULL, GRID, y, &err));
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int k = 0; k < GRID; k++) {
            double log_p = -0.5 * (double)z[k] * (double)z[k] - 0.918938533204673;
            for (int j = 0; j < PIXELS; j++) {
                double x = (double)f->t.x[i * PIXELS + j], p = fmin(fmax((double)y[k * PIXELS + j], 1e-7), 1 - 1e-7);
                log_p += x * log(p) + (1 - x) * log1p(-p);
            }
            sum += width * exp(log_p);
        }
        total -= log(sum);
    }
    return total / N;
}

TEST(likelihood_of_many_samples_is_the_integral_over_codes)
{
    fixture f;
    open_fixture(&f, "net=mlp hidden=24 latent=1 lr=0.01");
    double exact = integral(&f), few = nll(&f, 3, 0), many = nll(&f, 3000, 0);
    if (fabs(many - exact) > 0.02) fail_msg("%.4f nats by 3000 samples, %.4f by the integral", many, exact);
    assert_true(few > many); /* few samples estimate a bound */
    test_model_close(&f.t);
}

/* What a picture's own q proposes is worth many samples of one that knows nothing; the likelihood is the same. */
TEST(likelihood_is_the_same_from_codes_fitted_to_each_picture)
{
    fixture f;
    open_fixture(&f, "net=mlp hidden=24 latent=1 lr=0.01");
    double exact = integral(&f);
    forget(&f);
    double blind = nll(&f, 10, 0), fitted = nll(&f, 10, 150);
    if (!(blind > exact + 0.05) || fabs(fitted - exact) > (blind - exact) / 3)
        fail_msg("%.4f nats by 10 samples of the prior, %.4f of fitted codes, %.4f by the integral", blind, fitted,
                 exact);
    assert_true(fabs(nll(&f, 3000, 150) - exact) < 0.02);
    test_model_close(&f.t);
}

TEST(likelihood_is_refused_where_a_model_has_none)
{
    gen_error err = { 0 };
    double nats;
    fixture f;
    open_fixture(&f, "net=mlp hidden=8 latent=1");
    gen_run run = f.run;
    gen_model none = *f.t.model;
    none.nll = NULL;
    run.settings.model = &none;
    assert_int_equal(gen_nll(&run, &f.data, (gen_range){ 0, N }, &(gen_likelihood){ 10, 0 }, &nats, &err),
                     GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no likelihood"));
    test_model_close(&f.t);
}
