/* GANs against PyTorch: tests/golden/gan-*.safetensors, which tools/twins_gan.py makes. */
#include "tests/golden_run.h"

/* Big networks: three of the ten steps */
static void check_big(const char *name)
{
    golden_check(name, "cpu", "direct", 3, 1e-4);
    golden_check(name, "cpu", "auto", 3, 1e-3);
}

/* Batch norm in both networks; G learns through the D that has just learned. */
TEST(golden_dcgan_64_agrees_with_pytorch)
{
    check_big("gan-dcgan-64");
}

/* Two updates of D with dropout, made pictures by running statistics, then G. */
TEST(golden_gdl_camel_agrees_with_pytorch)
{
    check_big("gan-camel");
}

/* Two critic updates with gradients of gradients, then G. The critic's first bias has the difference of two nearly equal gradients, of real pictures and of
 * made ones: a thousandth of it is rounding. */
TEST(golden_wgan_gp_faces_agrees_with_pytorch)
{
    golden_check("gan-wgan-gp-faces", "cpu", "direct", 3, 3e-3);
}

/* As published, with Adam and RMSprop, on small pictures of odd sizes */
TEST(golden_gans_in_double_precision_agree_to_1e_6)
{
    golden_check("gan-dcgan-small", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
    golden_check("gan-dcgan-hidden", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
    golden_check("gan-camel-small", "cpu64", "auto", 3, 1e-6);
    golden_check("gan-wgan-gp-small", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
}
