/* models/settings.h: the options that every training has, and how defaults, preset and command line become one configuration.
 *
 *     gen_settings s;
 *     GEN_TRY(gen_settings_start(&s, model, arena, err));               // defaults of the tables, then of the model
 *     GEN_TRY(gen_settings_preset(&s, "gdl-vae-digits", err));
 *     GEN_TRY(gen_settings_set(&s, "latent", "8", err));                // as the user typed it
 */
#ifndef GEN_MODELS_SETTINGS_H
#define GEN_MODELS_SETTINGS_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_train_options {
    const char *data, *out, *preset, *device, *precision, *optimiser, *schedule, *on_nan, *from, *freeze;
    int64_t seed, threads, steps, epochs, batch, size, channels, validation;
    int64_t checkpoint_every, sample_every, log_every, keep, patience, skip_bad, download;
    int64_t warmup_steps, accumulate, checkpoint_activations;
    double lr, beta1, beta2, rho, momentum, weight_decay, clip_norm, ema, min_delta, decay_epochs, decay_factor,
        decay_start;
} gen_train_options;

extern const gen_option gen_train_option_rows[];

typedef struct gen_settings {
    const gen_model *model;
    gen_arena *arena; /* strings live here */
    gen_train_options train;
    void *options;                    /* of the model */
    const gen_vocabulary *vocabulary; /* of a model of tokens that has been trained; NULL: its data say it */
} gen_settings;

gen_status gen_settings_start(gen_settings *s, const gen_model *model, gen_arena *arena, gen_error *err);
/* GEN_BAD_OPTION names the presets there are. */
gen_status gen_settings_preset(gen_settings *s, const char *preset, gen_error *err);
/* An option of the model or of training; GEN_BAD_OPTION names the nearest known one. */
gen_status gen_settings_set(gen_settings *s, const char *name, const char *value, gen_error *err);
/* The row of an option and the struct it is in; NULL when the model has none of that name. */
const gen_option *gen_settings_find(gen_settings *s, const char *name, void **where);
/* The known option that was probably meant, or NULL. */
const char *gen_settings_nearest(const gen_settings *s, const char *name);

/* Optimiser options for a training of n_steps, steps_per_epoch. */
gen_optim_options gen_settings_optim(const gen_settings *s, int64_t n_steps, int64_t steps_per_epoch);

#ifdef __cplusplus
}
#endif
#endif
