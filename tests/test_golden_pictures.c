/* Autoencoders, denoisers, classifiers, and the VAEs with importance weights or labels, against PyTorch: the networks of tools/twins_pictures.py and
 * tools/twins.py in tests/golden/, compared by tests/golden_run.h. */
#include "tests/golden_run.h"

TEST(golden_autoencoders_agree_with_pytorch)
{
    golden_check_kernels("ae-conv");
    golden_check("ae-hinton", "cpu", "auto", GOLDEN_STEPS, 1e-4);
}

TEST(golden_denoisers_agree_with_pytorch)
{
    golden_check_kernels("denoise-unet");
    golden_check("denoise-dense", "cpu", "auto", GOLDEN_STEPS, 1e-4);
}

/* with batch norm, dropout and label smoothing; as lectures have it; and in colour with a mean over places */
TEST(golden_classifiers_agree_with_pytorch)
{
    golden_check_kernels("classifier-norm");
    golden_check_kernels("classifier-keras");
    golden_check_kernels("classifier-colour");
}

TEST(golden_importance_weighted_vae_agrees_with_pytorch)
{
    golden_check("vae-iwae", "cpu", "auto", GOLDEN_STEPS, 1e-4);
}

/* the convolutional one also with importance weights */
TEST(golden_conditional_vaes_agree_with_pytorch)
{
    golden_check("vae-conditional-mlp", "cpu", "auto", GOLDEN_STEPS, 1e-4);
    golden_check_kernels("vae-conditional-conv");
}

TEST(golden_pictures_in_double_precision_agree_to_1e_6)
{
    static const char *const names[] = { "ae-hinton", "denoise-dense", "vae-iwae", "vae-conditional-mlp" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) golden_check(names[i], "cpu64", "auto", 2, 1e-6);
    golden_check("denoise-unet", "cpu64", "auto", 1, 1e-6);
    golden_check("classifier-norm", "cpu64", "auto", 1, 1e-6);
    golden_check("classifier-colour", "cpu64", "auto", 1, 1e-6);
    golden_check("vae-conditional-conv", "cpu64", "auto", 1, 1e-6);
}
