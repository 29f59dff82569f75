/* models/generator_file.h: a picture-to-picture network whose weights came alone, as a file of safetensors with the names of its state_dict:
 *
 *     GEN_TRY(gen_generator_file_open("latest_net_G_A.safetensors", device, &run, err));
 *     … models/translate.h …
 *
 * Known are the authors' CycleGAN generator ("model.1.weight" …, arXiv:1703.10593), the U-Net of models/cyclegan.c ("down1.weight" …), and both
 * generators of one of its checkpoints ("g_ab.model.1.weight" …). Sizes are read from the tensors.
 */
#ifndef GEN_MODELS_GENERATOR_FILE_H
#define GEN_MODELS_GENERATOR_FILE_H

#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A run in memory, its weights not loaded yet. *alone: one generator, of no known direction. GEN_UNSUPPORTED names what is known. */
gen_status gen_generator_file_open(const char *path, gen_device *device, gen_run **run, bool *alone, gen_error *err);
/* Loads the weights of run->direction; where one generator is alone, whatever the direction. */
gen_status gen_generator_file_load(gen_run *run, const char *path, bool alone, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
