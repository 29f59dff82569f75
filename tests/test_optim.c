/* Update rules against the same formulas in plain C, schedules against their closed forms. */
#include <math.h>
#include <string.h>

#include "core/optim.h"
#include "core/program.h"
#include "core/rng.h"
#include "kernels/devices.h"
#include "tests/test.h"

enum { D = 5, STEPS = 12 };

/* loss = sum c (w - x)^2 / 2: gradient c (w - x) */
static const double curvature[D] = { 1, 0.1, 3, 0.5, 2 };

static gen_optim_report make(gen_graph *g, const gen_optim_options *o)
{
    float c[D];
    for (int i = 0; i < D; i++) c[i] = (float)curvature[i];
    gen_node *w = gen_param(g, "w", GEN_SHAPE(D), (gen_param_spec){ .init = GEN_INIT_CONST, .a = 1 });
    gen_node *x = gen_input(g, "x", GEN_SHAPE(D));
    gen_node *loss =
        gen_scale(g, gen_sum_all(g, gen_mul(g, gen_const(g, GEN_SHAPE(D), c), gen_square(g, gen_sub(g, w, x)))), 0.5);
    gen_optim_report report = gen_optim_minimise(g, loss, "", o);
    gen_output(g, "lr", report.lr);
    if (report.grad_norm) gen_output(g, "norm", report.grad_norm);
    return report;
}

typedef struct history {
    double w[STEPS][D], lr[STEPS], ema[STEPS][D];
} history;

static void run(const gen_optim_options *o, history *h)
{
    gen_error err = { 0 };
    gen_device *device;
    gen_program *p;
    TEST_OK(gen_device_open("cpu64", 1, &device, &err));
    gen_params *params = gen_params_new(device);
    gen_graph *g = gen_graph_new();
    make(g, o);
    TEST_OK(gen_program_new(g, device, params, 0, &p, &err));
    for (int s = 0; s < STEPS; s++) {
        float x[D], w[D];
        for (int i = 0; i < D; i++) x[i] = (float)sin(s + i);
        TEST_OK(gen_program_feed(p, "x", x, D, &err));
        TEST_OK(gen_program_run(p, (gen_run_state){ .step = (uint64_t)s }, &err));
        TEST_OK(gen_program_fetch_scalar(p, "lr", &h->lr[s], &err));
        TEST_OK(gen_params_read(params, gen_params_find(params, "w"), w, &err));
        for (int i = 0; i < D; i++) h->w[s][i] = (double)w[i];
        int32_t ema = gen_params_find(params, "ema.w");
        if (ema >= 0) TEST_OK(gen_params_read(params, ema, w, &err));
        for (int i = 0; i < D; i++) h->ema[s][i] = (double)w[i];
    }
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
}

static double gradient(int step, int i, double w)
{
    return curvature[i] * (w - (double)(float)sin(step + i));
}

static void assert_near(double got, double expected, const char *what, int step)
{
    if (fabs(got - expected) > 1e-6 * (1 + fabs(expected)))
        fail_msg("%s, step %d: got %.9g, expected %.9g", what, step, got, expected);
}

TEST(optim_adam_is_algorithm_1)
{
    history h;
    double w[D], m[D] = { 0 }, v[D] = { 0 };
    run(&(gen_optim_options){ .rule = GEN_ADAM, .lr = 0.05 }, &h);
    for (int i = 0; i < D; i++) w[i] = 1;
    for (int s = 0; s < STEPS; s++)
        for (int i = 0; i < D; i++) {
            double g = gradient(s, i, w[i]);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            w[i] -= 0.05 * (m[i] / (1 - pow(0.9, s + 1))) / (sqrt(v[i] / (1 - pow(0.999, s + 1))) + 1e-8);
            assert_near(h.w[s][i], w[i], "adam", s);
        }
}

TEST(optim_adamw_decays_apart_from_the_gradient)
{
    history h;
    double w[D], m[D] = { 0 }, v[D] = { 0 };
    run(&(gen_optim_options){ .rule = GEN_ADAMW, .lr = 0.05, .weight_decay = 0.1 }, &h);
    for (int i = 0; i < D; i++) w[i] = 1;
    for (int s = 0; s < STEPS; s++)
        for (int i = 0; i < D; i++) {
            double g = gradient(s, i, w[i]);
            w[i] *= 1 - 0.05 * 0.1;
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            w[i] -= 0.05 * (m[i] / (1 - pow(0.9, s + 1))) / (sqrt(v[i] / (1 - pow(0.999, s + 1))) + 1e-8);
            assert_near(h.w[s][i], w[i], "adamw", s);
        }
}

TEST(optim_rmsprop_and_momentum_are_pytorchs)
{
    history rms, sgd;
    double a[D], v[D] = { 0 }, b[D], m[D] = { 0 };
    run(&(gen_optim_options){ .rule = GEN_RMSPROP, .lr = 0.01 }, &rms);
    run(&(gen_optim_options){ .rule = GEN_SGD, .lr = 0.1, .momentum = 0.9, .weight_decay = 0.01 }, &sgd);
    for (int i = 0; i < D; i++) a[i] = b[i] = 1;
    for (int s = 0; s < STEPS; s++)
        for (int i = 0; i < D; i++) {
            double g = gradient(s, i, a[i]);
            v[i] = 0.99 * v[i] + 0.01 * g * g;
            a[i] -= 0.01 * g / (sqrt(v[i]) + 1e-8);
            m[i] = 0.9 * m[i] + gradient(s, i, b[i]) + 0.01 * b[i];
            b[i] -= 0.1 * m[i];
            assert_near(rms.w[s][i], a[i], "rmsprop", s);
            assert_near(sgd.w[s][i], b[i], "sgd", s);
        }
}

TEST(optim_clipping_scales_all_gradients_by_their_common_norm)
{
    history h;
    double w[D];
    run(&(gen_optim_options){ .rule = GEN_SGD, .lr = 0.1, .clip_norm = 0.5 }, &h);
    for (int i = 0; i < D; i++) w[i] = 1;
    for (int s = 0; s < STEPS; s++) {
        double norm = 0;
        for (int i = 0; i < D; i++) norm += pow(gradient(s, i, w[i]), 2);
        double scale = fmin(1, 0.5 / (sqrt(norm) + 1e-6));
        for (int i = 0; i < D; i++) {
            w[i] -= 0.1 * scale * gradient(s, i, w[i]);
            assert_near(h.w[s][i], w[i], "clip", s);
        }
    }
}

TEST(optim_ema_starts_at_the_first_result_and_warms_up)
{
    history h;
    double ema[D] = { 0 };
    run(&(gen_optim_options){ .rule = GEN_SGD, .lr = 0.1, .ema = 0.5 }, &h);
    for (int s = 0; s < STEPS; s++)
        for (int i = 0; i < D; i++) {
            double decay = fmin(0.5, (double)s / (s + 9));
            ema[i] += (1 - decay) * (h.w[s][i] - ema[i]);
            assert_near(h.ema[s][i], ema[i], "ema", s);
        }
}

/* Four runs an update: between updates nothing moves, and each is AdamW's with clipping of the mean of four gradients. */
TEST(optim_gathers_the_gradients_of_several_runs)
{
    enum { RUNS = 4 };
    history h;
    double w[D], m[D] = { 0 }, v[D] = { 0 }, ema[D] = { 0 }, sum[D] = { 0 };
    const gen_optim_options o = {
        .rule = GEN_ADAMW, .lr = 0.05, .weight_decay = 0.1, .clip_norm = 0.8, .ema = 0.5, .accumulate = RUNS
    };
    run(&o, &h);
    for (int i = 0; i < D; i++) w[i] = 1;
    for (int s = 0; s < STEPS; s++) {
        int t = s / RUNS + 1; /* of the update to come */
        for (int i = 0; i < D; i++) sum[i] += gradient(s, i, w[i]) / RUNS;
        if (s % RUNS == RUNS - 1) {
            double norm = 0, decay = fmin(0.5, (t - 1.0) / (t + 8.0));
            for (int i = 0; i < D; i++) norm += sum[i] * sum[i];
            double scale = fmin(1, 0.8 / (sqrt(norm) + 1e-6));
            for (int i = 0; i < D; i++) {
                m[i] = 0.9 * m[i] + 0.1 * scale * sum[i];
                v[i] = 0.999 * v[i] + 0.001 * scale * scale * sum[i] * sum[i];
                w[i] *= 1 - 0.05 * 0.1;
                w[i] -= 0.05 * (m[i] / (1 - pow(0.9, t))) / (sqrt(v[i] / (1 - pow(0.999, t))) + 1e-8);
                ema[i] += (1 - decay) * (w[i] - ema[i]);
                sum[i] = 0;
            }
        }
        for (int i = 0; i < D; i++) {
            assert_near(h.w[s][i], w[i], "four runs", s);
            assert_near(h.ema[s][i], ema[i], "average of four runs", s);
        }
    }
}

TEST(optim_schedules_follow_their_closed_forms)
{
    history h;
    run(&(gen_optim_options){ .rule = GEN_SGD, .lr = 2, .schedule = GEN_LR_COSINE, .decay_steps = 10 }, &h);
    for (int s = 0; s < STEPS; s++) assert_near(h.lr[s], s < 10 ? 1 + cos(3.14159265358979 * s / 10) : 0, "cosine", s);
    run(
        &(gen_optim_options){
            .rule = GEN_SGD, .lr = 2, .schedule = GEN_LR_LINEAR, .decay_start = 4, .decay_steps = 10 },
        &h);
    for (int s = 0; s < STEPS; s++) assert_near(h.lr[s], 2 * fmin(1, fmax(0, 1 - (s - 4) / 6.0)), "linear", s);
    run(
        &(gen_optim_options){
            .rule = GEN_SGD, .lr = 2, .schedule = GEN_LR_STEP, .decay_steps = 5, .decay_factor = 0.1 },
        &h);
    for (int s = 0; s < STEPS; s++) assert_near(h.lr[s], 2 * pow(0.1, s / 5), "step", s);
    run(&(gen_optim_options){ .rule = GEN_SGD, .lr = 2, .warmup_steps = 4 }, &h);
    for (int s = 0; s < STEPS; s++) assert_near(h.lr[s], 2 * fmin(1, (s + 1) / 4.0), "warm-up", s);
}

TEST(optim_refuses_a_prefix_without_parameters)
{
    gen_error err = { 0 };
    gen_graph *g = gen_graph_new();
    gen_node *w = gen_param(g, "g.w", GEN_SHAPE(2), (gen_param_spec){ 0 });
    gen_optim_minimise(g, gen_sum_all(g, w), "d.", &(gen_optim_options){ .lr = 1 });
    assert_int_equal(gen_graph_check(g, &err), GEN_NOT_FOUND);
    assert_non_null(strstr(err.text, "\"d.\""));
    gen_graph_free(g);
}

/* ---- several updates in a step ---------------------------------------------------------------------------------------------------- */

/* w after `steps` runs of a graph with `updates` updates each; x does not change */
static void run_unrolled(const gen_optim_options *o, int updates, int steps, double w[D], double ema[D])
{
    gen_error err = { 0 };
    gen_device *device;
    gen_program *p;
    float x[D] = { 0.3F, -1, 2, 0.7F, 0 }, host[D];
    TEST_OK(gen_device_open("cpu64", 1, &device, &err));
    gen_params *params = gen_params_new(device);
    gen_graph *g = gen_graph_new();
    for (int u = 0; u < updates; u++) {
        gen_node *now = gen_param(g, "w", GEN_SHAPE(D), (gen_param_spec){ .init = GEN_INIT_CONST, .a = 1 });
        gen_node *in = gen_input(g, "x", GEN_SHAPE(D));
        gen_optim_minimise(g, gen_sum_all(g, gen_exp(g, gen_sub(g, now, in))), "", o);
    }
    TEST_OK(gen_program_new(g, device, params, 0, &p, &err));
    TEST_OK(gen_program_feed(p, "x", x, D, &err));
    for (int s = 0; s < steps; s++) TEST_OK(gen_program_run(p, (gen_run_state){ .step = (uint64_t)s }, &err));
    TEST_OK(gen_params_read(params, gen_params_find(params, "w"), host, &err));
    for (int i = 0; i < D; i++) w[i] = (double)host[i];
    TEST_OK(gen_params_read(params, gen_params_find(params, "ema.w"), host, &err));
    for (int i = 0; i < D; i++) ema[i] = (double)host[i];
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
}

TEST(optim_updates_unrolled_in_one_step_are_steps)
{
    static const gen_rule rules[] = { GEN_SGD, GEN_ADAM, GEN_ADAMW, GEN_RMSPROP };
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        gen_optim_options o = { .rule = rules[r],
                                .lr = 0.05,
                                .momentum = 0.5,
                                .weight_decay = 0.1,
                                .clip_norm = 0.5,
                                .clip_value = 2,
                                .ema = 0.9,
                                .warmup_steps = 4 };
        double one[D], three[D], ema_one[D], ema_three[D];
        run_unrolled(&o, 1, 6, one, ema_one);
        run_unrolled(&o, 3, 2, three, ema_three);
        for (int i = 0; i < D; i++) {
            assert_near(three[i], one[i], "w", i);
            assert_near(ema_three[i], ema_one[i], "ema.w", i);
        }
    }
}

/* d <- d - d loss_d; then g <- g - d_new: what a generator learns from is the discriminator as it is after its own update. */
TEST(optim_second_group_sees_the_first_updated)
{
    gen_error err = { 0 };
    gen_device *device;
    gen_program *p;
    TEST_OK(gen_device_open("cpu64", 1, &device, &err));
    gen_params *params = gen_params_new(device);
    gen_graph *g = gen_graph_new();
    gen_param_spec spec = { .init = GEN_INIT_CONST, .a = 1 };
    gen_optim_options o = { .rule = GEN_SGD, .lr = 0.25 };
    gen_node *fake = gen_param(g, "g.w", GEN_SHAPE(1), spec);
    gen_node *d = gen_param(g, "d.w", GEN_SHAPE(1), spec);
    gen_optim_minimise(g, gen_sum_all(g, gen_mul(g, gen_square(g, d), gen_stop(g, fake))), "d.", &o); /* d = 1 - 0.5 */
    gen_node *d_new = gen_param(g, "d.w", GEN_SHAPE(1), spec);
    gen_optim_minimise(g, gen_sum_all(g, gen_mul(g, d_new, fake)), "g.", &o); /* g = 1 - 0.25 * 0.5 */
    TEST_OK(gen_program_new(g, device, params, 0, &p, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
    float w = 0;
    TEST_OK(gen_params_read(params, gen_params_find(params, "d.w"), &w, &err));
    assert_near((double)w, 0.5, "d.w", 0);
    TEST_OK(gen_params_read(params, gen_params_find(params, "g.w"), &w, &err));
    assert_near((double)w, 0.875, "g.w", 0);
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
}
