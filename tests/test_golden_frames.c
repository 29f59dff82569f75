/* Models of frames against PyTorch: tests/golden/poly-*.safetensors, which tools/twins_frames.py makes. */
#include "tests/golden_run.h"

/* Two layers, dropout after each */
TEST(golden_poly_lstm_agrees_with_pytorch)
{
    golden_check("poly-lstm", "cpu", "auto", GOLDEN_STEPS, 1e-4);
    golden_check("poly-lstm", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
}

TEST(golden_poly_gru_agrees_with_pytorch)
{
    golden_check("poly-gru", "cpu", "auto", GOLDEN_STEPS, 1e-4);
    golden_check("poly-gru", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
}

/* Three blocks, the first with a convolution around it; weight norm */
TEST(golden_poly_tcn_agrees_with_pytorch)
{
    golden_check("poly-tcn", "cpu", "auto", GOLDEN_STEPS, 1e-4);
    golden_check("poly-tcn", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
}

TEST(golden_poly_moves_windows_up_and_down_as_pytorch_does)
{
    golden_check("poly-transposed", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
}

/* ---- MuseGAN: tools/twins_musegan.py ----------------------------------------------------------------------------------------- */

/* Two critic updates with gradients of gradients through what are 3-D convolutions there, then the generator. */
TEST(golden_musegan_agrees_with_pytorch)
{
    golden_check("musegan", "cpu", "direct", GOLDEN_STEPS, 1e-3);
    golden_check("musegan", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
}

TEST(golden_musegan_of_three_bars_agrees_with_pytorch)
{
    golden_check("musegan-3-bars", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
}
