/* Results of the forward pass that are computed again: the same bits, random draws included, in less memory. */
#include <string.h>

#include "core/autodiff.h"
#include "core/nn.h"
#include "kernels/devices.h"
#include "tests/model_run.h"

enum { STEPS = 3, ANY = -100 }; /* ANY: a single layer, or gradients of weights, take nearly all the memory */

/* ---- whole models: --checkpoint-activations ----------------------------------------------------------------------------- */

typedef struct outcome {
    test_model t;
    int64_t live; /* numbers alive at once */
    int32_t again;
} outcome;

static void train(outcome *o, const char *model, const char *options, int64_t n, int64_t side, int64_t c)
{
    test_model_open(&o->t, model, NULL, options, n, side, side, c);
    gen_program *p = test_model_program(&o->t, o->t.model->train);
    const gen_plan *plan = gen_program_plan(p);
    test_model_steps(&o->t, p, 0, STEPS);
    o->live = plan->live_count;
    assert_true((double)plan->slab_count <= 1.1 * (double)plan->live_count);
    o->again = 0;
    for (int32_t s = 0; s < plan->n_steps; s++)
        o->again += gen_graph_node(plan->graph, plan->steps[s].out[0])->forward > 0;
    gen_program_free(p);
}

static void assert_same_params(outcome *a, outcome *b)
{
    assert_int_equal(gen_params_count(a->t.params), gen_params_count(b->t.params));
    for (int32_t i = 0; i < gen_params_count(a->t.params); i++) {
        int64_t n, m;
        const float *x = test_model_values(&a->t, i, &n), *y = test_model_values(&b->t, i, &m);
        if (n != m || memcmp(x, y, (size_t)n * sizeof *x) != 0)
            fail_msg("%s: %s differs", a->t.model->name, gen_params_get(a->t.params, i).name);
    }
}

/* least: by so many percent the numbers alive at once become fewer */
static void check_model(const char *model, const char *options, int64_t n, int64_t side, int64_t c, int least)
{
    outcome kept, dropped;
    char text[512];
    snprintf(text, sizeof text, "%s checkpoint-activations=1", options);
    train(&kept, model, options, n, side, c);
    train(&dropped, model, text, n, side, c);
    assert_same_params(&kept, &dropped);
    if (dropped.again <= kept.again || dropped.live * 100 > kept.live * (100 - least))
        fail_msg("%s: %d results computed again, %lld numbers alive at once; without checkpoints %d, %lld", model,
                 dropped.again, (long long)dropped.live, kept.again, (long long)kept.live);
    test_model_close(&kept.t);
    test_model_close(&dropped.t);
}

TEST(recompute_vae_with_noise_in_the_middle)
{
    check_model("vae", "net=conv width=4 latent=2", 16, 28, 1, ANY);
}

TEST(recompute_diffusion_draws_the_same_dropout)
{
    check_model("diffusion", "width=16 mults=1,2 blocks=2 groups=4 attention=4 dropout=0.3 clip-norm=1 ema=0.9", 8, 8,
                3, 30);
}

TEST(recompute_gan_of_two_players_with_dropout)
{
    check_model("gan", "net=gdl-camel updates=separate latent=8", 8, 28, 1, ANY);
}

TEST(recompute_wgan_through_a_gradient_of_a_gradient)
{
    check_model("gan", "loss=wgan-gp width=4 latent=5 n-critic=2", 16, 16, 1, 5);
}

TEST(recompute_cyclegan_whose_gradients_come_in_parts)
{
    check_model("cyclegan", "crop=0 batch=1 blocks=1", 2, 32, 3, ANY);
}

TEST(recompute_classifier_with_dropout_and_batch_norm)
{
    check_model("classifier", "layers=c8,c8,p,d,c16,c16,p,d,f24,d batch-norm=1", 16, 16, 1, 10);
}

/* ---- a layer: what is dropped without being asked for -------------------------------------------------------------------- */

enum { N = 4, SIDE = 6, C = 8 };

/* Two layers with SiLU and dropout; gradients of the loss in their weights. */
static gen_program *layers(bool lean, gen_device *device, gen_params *params)
{
    gen_error err = { 0 };
    gen_program *p;
    gen_graph *g = gen_graph_new();
    gen_node *h = gen_input(g, "x", GEN_SHAPE(N, SIDE, SIDE, C)), *w[2], *dw[2];
    for (int i = 0; i < 2; i++) {
        gen_graph_scope(g, i ? "second" : "first");
        w[i] = gen_param(g, i ? "w1" : "w0", GEN_SHAPE(3, 3, C, C), (gen_param_spec){ .init = GEN_INIT_TORCH });
        h = nn_group_norm(g, gen_conv2d(g, h, w[i], gen_window_of(3, 1, 1)), i ? "n1" : "n0", 2, (nn_norm_spec){ 0 });
        h = gen_dropout(g, gen_silu(g, h), 0.25);
    }
    gen_node *loss = gen_mean(g, gen_square(g, h));
    if (lean) gen_loss_gradient(g, loss, 2, w, dw);
    else gen_gradient(g, loss, NULL, 2, w, dw);
    gen_output(g, "d0", dw[0]);
    gen_output(g, "d1", dw[1]);
    TEST_OK(gen_program_new(g, device, params, 1, &p, &err));
    return p;
}

static void gradients(gen_program *p, float *d)
{
    enum { COUNT = 3 * 3 * C * C };
    gen_error err = { 0 };
    float x[N * SIDE * SIDE * C];
    for (int i = 0; i < N * SIDE * SIDE * C; i++) x[i] = (float)(i * 37 % 101) / 50 - 1;
    TEST_OK(gen_program_feed(p, "x", x, N * SIDE * SIDE * C, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ .seed = 3, .step = 5 }, &err));
    TEST_OK(gen_program_fetch(p, "d0", d, COUNT, &err));
    TEST_OK(gen_program_fetch(p, "d1", d + COUNT, COUNT, &err));
}

/* Of SiLU and dropout only what goes in and the mask are kept: the conv's input is made again by the pass that makes its gradient. */
TEST(recompute_cheap_functions_of_what_is_kept_are_not_kept)
{
    static float with[2 * 3 * 3 * C * C], without[2 * 3 * 3 * C * C];
    gen_error err = { 0 };
    gen_device *device;
    TEST_OK(gen_device_open("cpu", 2, &device, &err));
    gen_params *params = gen_params_new(device);
    gen_program *lean = layers(true, device, params), *plain = layers(false, device, params);
    gradients(lean, with);
    gradients(plain, without);
    assert_memory_equal(with, without, sizeof with);
    assert_true(gen_program_plan(lean)->live_count < gen_program_plan(plain)->live_count);
    assert_true(gen_program_plan(lean)->n_steps <= gen_program_plan(plain)->n_steps + 1);
    gen_program_free(lean);
    gen_program_free(plain);
    gen_params_free(params);
    device->ops->close(device);
}
