/* Parameters and multiply-adds as lectures count them: dense and conv layers, recurrent cells, LSTMs, and C = 6 N D of a training. */
#include "core/nn.h"
#include "models/cost.h"
#include "tests/model_run.h"

static int64_t params_of(const gen_graph *g)
{
    int64_t n = 0;
    for (int32_t i = 0; i < gen_graph_params(g); i++) {
        gen_param_spec spec;
        const gen_node *p = gen_graph_param(g, i, &spec);
        n += gen_shape_count(&p->shape);
    }
    return n;
}

TEST(cost_of_dense_and_conv_layers_is_that_of_lectures)
{
    enum { N = 3, H = 28, C = 2, K = 5 };
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(N, H, H, C));
    gen_node *h = nn_conv(g, x, "conv", K, (nn_conv_spec){ .kernel = 3 }); /* 26 x 26 */
    assert_int_equal(params_of(g), K * (3 * 3 * C + 1));
    assert_true(gen_graph_multiply_adds(g) == N * 26.0 * 26 * K * 3 * 3 * C);
    double conv = gen_graph_multiply_adds(g);
    nn_dense(g, nn_flatten(g, h), "fc", 7, (nn_dense_spec){ 0 });
    assert_int_equal(params_of(g), K * (3 * 3 * C + 1) + 26 * 26 * K * 7 + 7);
    assert_true(gen_graph_multiply_adds(g) - conv == N * 26.0 * 26 * K * 7);
    gen_graph_free(g);
}

/* The layer of lectures: input and state side by side into `gates` dense layers of h units: h (h + i) + h parameters each. */
static void check_cell(int64_t inputs, int64_t h, int64_t gates)
{
    gen_graph *g = gen_graph_new();
    gen_node *both[] = { gen_input(g, "x", GEN_SHAPE(1, inputs)), gen_input(g, "h", GEN_SHAPE(1, h)) };
    nn_dense(g, gen_concat(g, 2, both, 1), "cell", gates * h, (nn_dense_spec){ 0 });
    assert_int_equal(gen_graph_check(g, NULL), GEN_OK);
    assert_int_equal(params_of(g), gates * (h * (h + inputs) + h));
    assert_true(gen_graph_multiply_adds(g) == (double)(gates * h * (h + inputs)));
    gen_graph_free(g);
}

TEST(cost_of_a_recurrent_cell_and_an_lstm_is_that_of_lectures)
{
    check_cell(10, 32, 1);  /* RNN: 1,376 parameters */
    check_cell(10, 32, 4);  /* LSTM: 5,504 */
    check_cell(88, 256, 4); /* one of 256 units on 88 piano keys: 353,280 */
}

/* 2 N D forward, 4 N D backward; the first layer's input needs no gradient: 2 N_1 D less. */
TEST(cost_of_training_a_dense_net_is_6_n_d)
{
    enum { D = 16, PIXELS = 64, HIDDEN = 12, LATENT = 3 };
    test_model t;
    test_model_open(&t, "ae", NULL, "net=mlp hidden=12 latent=3", D, 8, 8, 1);
    gen_program *train = test_model_program(&t, t.model->train), *eval = test_model_program(&t, t.model->encode);
    double n = 2.0 * (PIXELS * HIDDEN + HIDDEN * LATENT), first = PIXELS * HIDDEN;
    assert_true(2 * gen_graph_multiply_adds(gen_program_graph(train)) == 6 * n * D - 2 * first * D);
    assert_true(2 * gen_graph_multiply_adds(gen_program_graph(eval)) == 2 * (n / 2) * D); /* half of the net, forward */
    gen_program_free(train);
    gen_program_free(eval);
    test_model_close(&t);
}
