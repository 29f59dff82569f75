/* models/model.h: what a model is: options, presets, and the graphs of what it can do. One descriptor a file, one row in models.c.
 *
 *     const gen_model *model = gen_model_find("vae");
 *     gen_model_context m = { .options = options, .batch = 64, .height = 28, .width = 28, .channels = 1 };
 *     gen_graph *g = gen_graph_new();
 *     model->train(g, &m);                       // inputs "x" …, outputs "loss" …, assignments
 *
 * Models write graphs; the train loop, the verbs and the files belong to others.
 */
#ifndef GEN_MODELS_MODEL_H
#define GEN_MODELS_MODEL_H

#include "core/graph.h"
#include "core/optim.h"
#include "core/option.h"
#include "core/params.h"
#include "io/dataset.h"
#include "io/vocabulary.h"
#include "models/sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A published configuration: options as a user would type them. */
typedef struct gen_preset {
    const char *name;
    const char *options; /* "latent=2 likelihood=gaussian", also of training: "batch=32 lr=5e-4 epochs=200" */
    const char *source;  /* paper or book, with section */
    const char *data;    /* the data it is meant for: what --data is when not given; "" none */
} gen_preset;

#define GEN_PRESETS_END                                                                                                \
    {                                                                                                                  \
        NULL, NULL, NULL, NULL                                                                                         \
    }

/* A sign of trouble: this output of training has been outside low..high for so many steps. The sentence says what it means and what to do. */
typedef struct gen_watch {
    const char *output;
    double low, high;
    int64_t steps;
    const char *sentence;
} gen_watch;

#define GEN_WATCHES_END                                                                                                \
    {                                                                                                                  \
        NULL, 0, 0, 0, NULL                                                                                            \
    }

/* A net as a row of stages, for pictures too large for one graph (models/bands.h): each is a piece without norms, whose result is normed per channel over
 * all of the picture (instance norm without weights), and then: */
typedef enum gen_stage_end {
    GEN_STAGE_RELU, /* relu */
    GEN_STAGE_ADD,  /* plus what went into the stage before */
    GEN_STAGE_OUT,  /* the last stage: its result is the picture, without a norm */
} gen_stage_end;
typedef struct gen_stage {
    gen_stage_end end;
    int32_t stride_in, stride_out; /* pixels of the picture between two places of its input, of its result */
    int32_t before, after;         /* places of the input that a result sees beyond its own */
    int64_t channels_in;
} gen_stage;
enum { GEN_MAX_STAGES = 144 };

/* What graphs are built from. */
typedef struct gen_model_context {
    const void *options; /* the model's own option struct */
    int64_t batch, height, width, channels;
    int64_t classes;                  /* 0: unlabelled data */
    int64_t words[GEN_MAX_FIELDS];    /* of each field of a token stream; 0: unknown, or there is none */
    int64_t n_steps, steps_per_epoch; /* of the whole training, for schedules */
    gen_optim_options optim;
    int32_t direction; /* of translate, for models that go both ways: 0 from A to B, 1 from B to A */
} gen_model_context;

/* What a model learns from that is not pictures. */
typedef enum gen_tokens { GEN_TOKENS_NONE, GEN_TOKENS_MUSIC, GEN_TOKENS_TEXT } gen_tokens;

typedef struct gen_model {
    const char *name, *summary, *paper;
    const gen_option *options;
    size_t options_bytes;
    const gen_preset *presets;
    const char *defaults; /* options that differ from the tables' defaults, written as a preset's; "" none */
    const char *data;     /* what --data is when nobody says */
    /* Makes the data set out of what lies at path, for models whose data are no pictures (windows of music: models/data_frames.h). NULL: pictures. */
    gen_status (*open_data)(const void *options, const char *path, bool skip_bad, gen_arena *arena, gen_dataset *data,
                            gen_error *err);
    /* Do the options fit each other and the image size? The sentence says what to change. */
    gen_status (*check)(const gen_model_context *m, gen_error *err);
    /* Graphs. Inputs: "x" [N,H,W,C] in [0,1]; "label" [N] where the model wants it; "z" [N,D]. NULL: the model cannot do it.
     * train: outputs are scalars, "loss" first; assignments are the update.
     * eval: outputs are [N], one number an image, named as `gen eval` prints them ("loss" first: what early stopping watches).
     * encode: "mu" [N,D] and, for probabilistic models, "logvar" [N,D], for classifiers "probability" [N,classes].    decode: "z" -> "x" [N,H,W,C] in [0,1];
     * where those are no pictures to look at, also "view" [N,h,w,c], which are.
     * translate: "x" -> "y" [N,H,W,C] in [0,1]: pictures to pictures. any_size: may height and width differ from those of training? NULL: no.
     * eval may have "weight" [N] too, what an image counts in the means: the tokens of a window, say.
     * nll: `samples` codes z of each image from q = N(mu, exp(logvar)), inputs "mu", "logvar" [N,D] -> "log_weight" [N,samples] = log p(x,z) - log q(z).
     * posterior: the same inputs -> "dmu", "dlogvar" [N,D], gradients of minus each image's bound, by one draw. Both or neither. */
    void (*train)(gen_graph *g, const gen_model_context *m);
    /* Models that are computed, not trained: sets the parameters (which exist) from the training images, instead of all steps. NULL: it is trained. */
    gen_status (*fit)(const gen_model_context *m, const gen_dataset *data, gen_range range, gen_params *params,
                      gen_error *err);
    void (*eval)(gen_graph *g, const gen_model_context *m);
    void (*encode)(gen_graph *g, const gen_model_context *m);
    void (*decode)(gen_graph *g, const gen_model_context *m);
    void (*nll)(gen_graph *g, const gen_model_context *m, int64_t samples);
    void (*posterior)(gen_graph *g, const gen_model_context *m);
    void (*translate)(gen_graph *g, const gen_model_context *m);
    bool (*any_size)(const gen_model_context *m);
    /* Does translate compute with all of a picture (instance norm's statistics)? Then tiles of it will not do: the whole goes through, with sides that are
     * multiples of this number and at least twice it. NULL: tiles do. */
    int64_t (*whole)(const gen_model_context *m);
    /* Such a net as a row of stages: fills stages, returns how many (0: it is none). stage: x[1,h,w,C] into stage i -> its result before the norm; the first
     * one takes pictures in [0,1], the last one makes them. NULL: there is no such. */
    int32_t (*stages)(const gen_model_context *m, gen_stage stages[GEN_MAX_STAGES]);
    gen_node *(*stage)(gen_graph *g, const gen_model_context *m, int32_t i, gen_node *x);
    /* denoise: "x" [N,H,W,C] = y + sigma eps for pictures y in [-1,1], "sigma" [N], "time" [N] (models/noise.h; may be absent), "label" [N] where the
     * model is told labels, the number of classes meaning none -> "x0" [N,H,W,C], what y was. sampling: what models/sampler.h must know; arena keeps it.
     * Both or neither. With them a code is the first noise: D = H W C. */
    void (*denoise)(gen_graph *g, const gen_model_context *m);
    gen_status (*sampling)(const gen_model_context *m, gen_arena *arena, gen_noise *noise, gen_sampler_options *how,
                           gen_error *err);
    int64_t (*latent)(const gen_model_context *m); /* D */
    /* Batches that one training step takes (a critic that learns several times a step): x is then [batches * N,H,W,C]. NULL: 1. */
    int64_t (*batches)(const gen_model_context *m);
    /* What trouble looks like (models/watch.h); NULL: nothing is looked for. And a sentence on what the curves should look like; NULL: none. */
    const gen_watch *watches;
    const char *(*healthy)(const gen_model_context *m);
    /* Does it learn from two sets of pictures? Then a step takes `batch` of set A, followed by `batch` of set B (and `batches` says 2). */
    bool paired;
    /* What the nets of a paired model do with pictures "x" [N,H,W,C] of the set that direction comes from: "from" [N,h,w,C], the part of them that training
     * sees; "made" [N,h,w,C], their translation; "cycle", "identity" [N]: mean |there and back - from|, mean |to the own set - from|, of the range [-1,1]. */
    void (*round_trip)(gen_graph *g, const gen_model_context *m);
    /* "x" [2,H,W,C], one picture of each set -> "panel" [M,H,W,C]: what the model makes of them, for a row of the sample grid. NULL: no such. */
    void (*panel)(gen_graph *g, const gen_model_context *m);
    /* Numbers that a sequence carries from a window to the next, for models of sequences that are cut into windows; NULL: none. eval then takes
     * "state" [N,S], zeros where a sequence begins, and gives "state" and, of each window, "predicted" [N]: how many steps its other outputs, which are
     * sums, are of. What is reported are means over those (models/windows.h); things says what they are, in the plural: "frames". */
    int64_t (*state)(const gen_model_context *m);
    bool
        bars; /* are its pictures bars of voices (models/bars.h)? Then they are written as MIDI, and measured as music */
    const char *things; /* that eval counts; NULL: "images" */
    /* Does it learn from streams of tokens? Then its options are gen_sequence_options, "x" is [N,T+1,1,F] (models/sequence.h), and next says what comes
     * next in them: x [N,T,1,F] -> "logits0" [N,V0], "logits1" [N,V1]. */
    gen_tokens tokens;
    void (*next)(gen_graph *g, const gen_model_context *m);
} gen_model;

/* The list of models (models.c); NULL ends it. */
extern const gen_model *const gen_models[];

const gen_model *gen_model_find(const char *name); /* NULL: none of that name */
const gen_preset *gen_preset_find(const gen_model *model, const char *name);

/* Images that a training step takes: batch times batches. */
int64_t gen_model_step_images(const gen_model *model, const gen_model_context *m);

/* Names that mean a model with a preset: "mlp-vae" -> vae, "mlp-vae". False if name is no alias; every preset's name is one. */
bool gen_model_alias(const char *name, const gen_model **model, const gen_preset **preset);

#ifdef __cplusplus
}
#endif
#endif
