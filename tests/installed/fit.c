/* Fits y = 2x + 1 by gradient descent; built against the installed library by tests/installed/run. */
#include <core/nn.h>
#include <core/optim.h>
#include <core/program.h>
#include <kernels/devices.h>
#include <math.h>
#include <stdio.h>

int main(void)
{
    gen_error err = { 0 };
    gen_device *device = NULL;
    if (gen_device_open("cpu", 1, &device, &err)) return printf("%s\n", err.text), 1;
    gen_params *params = gen_params_new(device);
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(4, 1)), *y = gen_input(g, "y", GEN_SHAPE(4, 1));
    gen_node *loss = gen_mean(g, gen_square(g, gen_sub(g, nn_dense(g, x, "line", 1, (nn_dense_spec){ 0 }), y)));
    gen_optim_minimise(g, loss, "", &(gen_optim_options){ .rule = GEN_SGD, .lr = 0.1 });
    gen_output(g, "loss", loss);

    const float xs[] = { 0, 1, 2, 3 }, ys[] = { 1, 3, 5, 7 };
    double value = NAN;
    gen_program *program = NULL;
    gen_status status = gen_program_new(g, device, params, 1, &program, &err);
    if (!status) status = gen_program_feed(program, "x", xs, 4, &err);
    if (!status) status = gen_program_feed(program, "y", ys, 4, &err);
    for (uint64_t step = 0; step < 500 && !status; step++)
        status = gen_program_run(program, (gen_run_state){ .seed = 1, .step = step }, &err);
    if (!status) status = gen_program_fetch_scalar(program, "loss", &value, &err);
    printf("loss %g %s\n", value, err.text);
    gen_program_free(program);
    gen_params_free(params);
    device->ops->close(device);
    return !(value < 1e-6);
}
