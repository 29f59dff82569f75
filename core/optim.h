/* core/optim.h: update rules as nodes of the step: gradient, clipping, schedule, optimiser and EMA are one plan with the model.
 *
 *     gen_optim_options o = { .rule = GEN_ADAM, .lr = 1e-3 };
 *     gen_optim_report report = gen_optim_minimise(g, loss, "", &o);    // every learned parameter whose name starts so
 *     gen_output(g, "grad_norm", report.grad_norm);
 */
#ifndef GEN_CORE_OPTIM_H
#define GEN_CORE_OPTIM_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gen_rule { GEN_SGD, GEN_ADAM, GEN_ADAMW, GEN_RMSPROP } gen_rule;
typedef enum gen_schedule { GEN_LR_CONSTANT, GEN_LR_STEP, GEN_LR_LINEAR, GEN_LR_COSINE } gen_schedule;

typedef struct gen_optim_options {
    gen_rule rule;
    double lr;
    double momentum;               /* SGD */
    double beta1, beta2, eps, rho; /* 0: 0.9, 0.999, 1e-8; RMSprop's rho 0.99: PyTorch's defaults */
    double weight_decay;           /* decoupled for ADAMW, else added to the gradient */
    double clip_norm;              /* 0: none; else gradients are scaled so that their common 2-norm is at most this */
    double ema;                    /* 0: none; else decay of an average "ema.<name>", warmed up as (1 + t) / (10 + t) */
    int64_t warmup_steps;          /* lr rises linearly from lr / warmup */
    gen_schedule schedule;
    int64_t decay_steps; /* STEP: times decay_factor every so many; LINEAR, COSINE: lr is 0 after so many */
    int64_t decay_start; /* LINEAR: constant until then */
    double decay_factor;
    const char *
        frozen; /* beginnings of names, commas between: parameters that are left as they are and need no gradient; NULL or "": none */
    int64_t
        accumulate; /* 0, 1: every run of the graph is an update; k: the mean of k runs' gradients is one, made in the k-th, and the others
                         * change nothing but "optim.sum.<name>" and "optim.<prefix>run" */
    double clip_value; /* 0: none; else each parameter is clamped to [-v, v] after the update (WGAN) */
} gen_optim_options;

typedef struct gen_optim_report {
    gen_node *grad_norm; /* scalar: 2-norm of all gradients before clipping; NULL unless clip_norm is set */
    gen_node *lr;        /* scalar: of this step */
    int32_t n_params;
} gen_optim_report;

/* Adds gradient and update of every parameter that is learned and whose name starts with prefix. State is stored as "optim.<what>.<name>" and
 * "optim.<prefix>step"; what params lack is made by gen_params_add. Layers built afterwards see the updated
 * values (gen_param), so a step of several updates is one graph: the discriminator's, then the generator's through the new discriminator. */
gen_optim_report gen_optim_minimise(gen_graph *g, gen_node *loss, const char *prefix, const gen_optim_options *options);

/* A step whose loss (a scalar) is not a finite number then changes nothing: every assignment so far keeps what there was. For devices that take many steps on
 * end, where nobody looks at the loss between them. */
void gen_optim_guard(gen_graph *g, gen_node *loss);

#ifdef __cplusplus
}
#endif
#endif
