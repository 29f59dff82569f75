#define _POSIX_C_SOURCE 200809L
#include "models/rolling.h"

#include <time.h>

enum { MOST_STEPS = 4096 };
static const double PAUSE_S = 0.25; /* between two looks at what the device does */

struct gen_rolling {
    gen_program *train; /* not owned */
    float *numbers;     /* [MOST_STEPS][outputs] */
    double step_s;      /* of the last steps; 0: not known yet */
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool gen_rolling_can(const gen_device *device)
{
    return device->ops->loop != NULL;
}

/* What only means that steps are taken one by one. */
static bool goes_on(gen_status status)
{
    return status == GEN_UNSUPPORTED || status == GEN_NO_MEMORY;
}

gen_status gen_rolling_new(gen_program *train, const gen_batches *batches, gen_rolling **out, gen_error *err)
{
    const gen_rows rows = gen_batches_rows(batches);
    gen_error why = { 0 };
    *out = NULL;
    gen_status status = gen_session_loop(gen_program_session(train), &rows, MOST_STEPS, &why);
    if (goes_on(status)) return GEN_OK;
    if (status) return gen_fail(err, status, "%s", why.text);
    gen_rolling *r = gen_alloc(1, sizeof *r);
    float *numbers = gen_alloc((size_t)MOST_STEPS * (size_t)gen_program_outputs(train), sizeof *numbers);
    if (!r || !numbers) {
        gen_free(r);
        gen_free(numbers);
        return gen_fail(err, GEN_NO_MEMORY, "no memory for %d losses", MOST_STEPS);
    }
    *r = (gen_rolling){ .train = train, .numbers = numbers };
    *out = r;
    return GEN_OK;
}

void gen_rolling_free(gen_rolling *r)
{
    if (!r) return;
    gen_free(r->numbers);
    gen_free(r);
}

int64_t gen_rolling_most(const gen_rolling *r, int64_t room)
{
    int64_t most = r->step_s > 0 ? (int64_t)(PAUSE_S / r->step_s) : 1;
    if (most < 1) most = 1;
    if (most > MOST_STEPS) most = MOST_STEPS;
    return most < room ? most : room;
}

gen_status gen_rolling_run(gen_rolling *r, gen_run_state first, int64_t n, const float **numbers, gen_error *err)
{
    const double began = now_s();
    GEN_TRY(gen_session_run_loop(gen_program_session(r->train), first, (int32_t)n, r->numbers, err));
    r->step_s = (now_s() - began) / (double)n;
    *numbers = r->numbers;
    return GEN_OK;
}
