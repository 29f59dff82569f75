/* gen eval RUN: means over the test split, and the importance-sampled likelihood when asked for. */
#include <inttypes.h>
#include <string.h>

#include "models/data.h"
#include "models/evaluate.h"
#include "tools/cli/cli.h"

typedef struct evaluation {
    cli_args *a;
    gen_device *device;
    gen_run *run;
    gen_dataset data;
    gen_program *program;
    gen_range range;
    gen_eval_result result;
    double nll;
} evaluation;

static gen_status evaluate(evaluation *e, gen_error *err)
{
    cli_args *a = e->a;
    GEN_TRY(gen_run_program(e->run, e->run->settings.model->eval, "be evaluated", GEN_EVAL_BATCH, &e->program, err));
    GEN_TRY(cli_load_weights(a, e->run, err));
    if (*a->o.data) e->run->settings.train.data = a->o.data;
    GEN_TRY(gen_data_open(&e->run->settings, NULL, a->arena, &e->data, err));
    if (e->data.height_px != e->run->height || e->data.width_px != e->run->width ||
        e->data.channels != e->run->channels)
        return gen_fail(err, GEN_BAD_SHAPE,
                        "%s has pictures of %dx%dx%d, the run was trained on %" PRId64 "x%" PRId64 "x%" PRId64,
                        e->data.name, e->data.height_px, e->data.width_px, e->data.channels, e->run->height,
                        e->run->width, e->run->channels);
    e->range = e->data.splits[gen_data_test_split(&e->data)];
    if (a->o.limit && a->o.limit < e->range.n) e->range.n = a->o.limit;
    GEN_TRY(gen_evaluate(e->run, e->program, &e->data, e->range, &e->result, err));
    return a->o.is_samples ? gen_nll(e->run, &e->data, e->range, a->o.is_samples, &e->nll, err) : GEN_OK;
}

static gen_status print_result(evaluation *e, gen_error *err)
{
    const char *split = gen_split_name(gen_data_test_split(&e->data));
    const gen_eval_result *r = &e->result;
    if (e->a->o.json) {
        gen_json_out out = { .arena = e->a->arena };
        gen_json_open(&out, NULL, '{');
        gen_json_put_string(&out, "run", e->run->folder);
        gen_json_put_string(&out, "split", split);
        gen_json_put_int(&out, "images", r->count);
        for (int32_t i = 0; i < r->n; i++) gen_json_put_double(&out, r->name[i], r->mean[i]);
        if (e->a->o.is_samples) gen_json_put_double(&out, "nll", e->nll);
        if (e->a->o.is_samples) gen_json_put_int(&out, "is_samples", e->a->o.is_samples);
        gen_json_close(&out, '}');
        return cli_print_json(&out, err);
    }
    printf("%s on %" PRId64 " %s images of %s\n", e->run->folder, r->count, split, e->data.name);
    for (int32_t i = 0; i < r->n; i++) printf("  %-16s %.6g\n", r->name[i], r->mean[i]);
    if (e->a->o.is_samples)
        printf("  %-16s %.6g  (nats an image, %" PRId64 " importance samples)\n", "nll", e->nll, e->a->o.is_samples);
    return GEN_OK;
}

static int run(cli_args *a, gen_error *err)
{
    evaluation e = { .a = a };
    if (cli_need_words(&cli_eval, a, 1, 1, err) != GEN_OK) return CLI_USAGE;
    gen_status status = cli_open_run(a, a->word[0], &e.device, &e.run, err);
    if (status == GEN_OK) status = evaluate(&e, err);
    if (status == GEN_OK) status = print_result(&e, err);
    gen_program_free(e.program);
    if (e.run) cli_close_run(e.run, e.device);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static const char *const takes[] = { "data",    "limit",  "is-samples", "checkpoint", "weights",
                                     "threads", "device", "json",       NULL };
const cli_verb cli_eval = { "eval", "RUN", "how good a model is on test data", takes, 0, run };
