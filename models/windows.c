#include "models/windows.h"

#include <inttypes.h>
#include <string.h>

enum { LANES = GEN_EVAL_BATCH };

typedef struct sequences {
    gen_run *run;
    gen_program *program;
    const gen_dataset *data;
    gen_range range;
    int64_t state, pixels;      /* numbers of each lane */
    int64_t first[LANES + 1];   /* windows first[l] to first[l + 1] - 1 are lane l's sequence */
    float *x, *carried, *value; /* [LANES,pixels], [LANES,state], [LANES] */
    double sum[GEN_EVAL_MAX], predicted;
} sequences;

/* The next LANES sequences from window `at` on; lanes beyond the last one are empty. Returns the most windows that one has. */
static int64_t deal(sequences *s, int64_t *at)
{
    int64_t longest = 0, end = s->range.first + s->range.n;
    for (int l = 0; l < LANES; l++) {
        s->first[l] = *at;
        if (*at < end) (*at)++;
        while (*at < end && s->data->continues && s->data->continues[*at]) (*at)++;
        if (*at - s->first[l] > longest) longest = *at - s->first[l];
    }
    s->first[LANES] = *at;
    return longest;
}

static gen_status run_windows(sequences *s, int64_t number, gen_error *err)
{
    for (int l = 0; l < LANES; l++) {
        int64_t window = s->first[l] + number;
        if (window < s->first[l + 1]) gen_dataset_batch(s->data, &window, 1, s->x + l * s->pixels);
        else memset(s->x + l * s->pixels, 0, (size_t)s->pixels * sizeof *s->x);
    }
    GEN_TRY(gen_program_feed(s->program, "x", s->x, LANES * s->pixels, err));
    GEN_TRY(gen_program_feed(s->program, "state", s->carried, LANES * s->state, err));
    GEN_TRY(gen_program_run(s->program, (gen_run_state){ .seed = (uint64_t)s->run->settings.train.seed }, err));
    return gen_program_fetch(s->program, "state", s->carried, LANES * s->state, err);
}

static gen_status add(sequences *s, const char *name, double *sum, gen_error *err)
{
    GEN_TRY(gen_program_fetch(s->program, name, s->value, LANES, err));
    for (int l = 0; l < LANES; l++) *sum += (double)s->value[l];
    return GEN_OK;
}

static gen_status evaluate(sequences *s, gen_eval_result *r, gen_error *err)
{
    for (int64_t at = s->range.first; at < s->range.first + s->range.n;) {
        int64_t longest = deal(s, &at);
        memset(s->carried, 0, (size_t)(LANES * s->state) * sizeof *s->carried);
        for (int64_t w = 0; w < longest; w++) {
            GEN_TRY(run_windows(s, w, err));
            for (int32_t o = 0; o < r->n; o++) GEN_TRY(add(s, r->name[o], &s->sum[o], err));
            GEN_TRY(add(s, "predicted", &s->predicted, err));
        }
    }
    for (int32_t o = 0; o < r->n && s->predicted > 0; o++) r->mean[o] = s->sum[o] / s->predicted;
    r->count = (int64_t)(s->predicted + 0.5);
    return GEN_OK;
}

static void list_outputs(const gen_program *program, gen_eval_result *r)
{
    *r = (gen_eval_result){ 0 };
    for (int32_t i = 0; i < gen_program_outputs(program) && r->n < GEN_EVAL_MAX; i++) {
        const char *name = gen_program_output_name(program, i);
        if (gen_program_shape(program, name).rank == 1 && strcmp(name, "predicted")) r->name[r->n++] = name;
    }
}

gen_status gen_evaluate_windows(gen_run *run, gen_program *program, const gen_dataset *data, gen_range range,
                                gen_eval_result *r, gen_error *err)
{
    gen_model_context m = gen_run_context(run, LANES);
    sequences s = { .run = run,
                    .program = program,
                    .data = data,
                    .range = range,
                    .state = run->settings.model->state(&m),
                    .pixels = run->height * run->width * run->channels };
    s.x = gen_alloc((size_t)(LANES * s.pixels), sizeof *s.x);
    s.carried = gen_alloc((size_t)(LANES * s.state), sizeof *s.carried);
    s.value = gen_alloc(LANES, sizeof *s.value);
    list_outputs(program, r);
    gen_status status =
        s.x && s.carried && s.value ? evaluate(&s, r, err) : gen_fail(err, GEN_NO_MEMORY, "no memory for sequences");
    gen_free(s.x);
    gen_free(s.carried);
    gen_free(s.value);
    return status;
}
