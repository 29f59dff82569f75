/* The list of models. */
#include "models/model.h"

#include <string.h>

extern const gen_model gen_model_vae, gen_model_ae, gen_model_denoise, gen_model_pca, gen_model_classifier,
    gen_model_cyclegan, gen_model_gan, gen_model_diffusion, gen_model_poly, gen_model_music, gen_model_text,
    gen_model_musegan;

const gen_model *const gen_models[] = { &gen_model_vae,
                                        &gen_model_ae,
                                        &gen_model_denoise,
                                        &gen_model_pca,
                                        &gen_model_classifier,
                                        &gen_model_cyclegan,
                                        &gen_model_gan,
                                        &gen_model_diffusion,
                                        &gen_model_poly,
                                        &gen_model_music,
                                        &gen_model_text,
                                        &gen_model_musegan,
                                        NULL };

const gen_model *gen_model_find(const char *name)
{
    for (int i = 0; gen_models[i]; i++)
        if (!strcmp(gen_models[i]->name, name)) return gen_models[i];
    return NULL;
}

const gen_preset *gen_preset_find(const gen_model *model, const char *name)
{
    for (const gen_preset *p = model->presets; p && p->name; p++)
        if (!strcmp(p->name, name)) return p;
    return NULL;
}

bool gen_model_alias(const char *name, const gen_model **model, const gen_preset **preset)
{
    for (int i = 0; gen_models[i]; i++) {
        const gen_preset *found = gen_preset_find(gen_models[i], name);
        if (!found) continue;
        *model = gen_models[i];
        *preset = found;
        return true;
    }
    return false;
}

int64_t gen_model_step_images(const gen_model *model, const gen_model_context *m)
{
    return m->batch * (model->batches ? model->batches(m) : 1);
}
