/* Samples of a run, each beside the training pictures that are nearest to it pixel by pixel: does it make pictures, or remember them? */
#include <inttypes.h>
#include <string.h>

#include "models/compare.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "tools/cli/cli.h"

enum { ROWS = 10, NEIGHBOURS = 7, COLUMNS = 1 + NEIGHBOURS, MOST = 60000 };

/* The parameters of what makes pictures become known, and are loaded. */
static gen_status load(const cli_args *a, gen_run *run, gen_error *err)
{
    gen_program *program = NULL;
    const gen_model *m = run->settings.model;
    GEN_TRY(gen_run_program(run, m->denoise ? m->denoise : m->decode, "make pictures", 1, &program, err));
    gen_program_free(program);
    return cli_load_weights(a, run, err);
}

gen_status cli_plot_neighbours(const cli_args *a, gen_run *run, const char *path, gen_error *err)
{
    gen_dataset data;
    int64_t pixels = run->height * run->width * run->channels, index[NEIGHBOURS];
    float labels[ROWS];
    double square[NEIGHBOURS], sum = 0;
    GEN_TRY(load(a, run, err));
    GEN_TRY(gen_data_open(&run->settings, NULL, a->arena, &data, err));
    gen_range train = data.splits[GEN_SPLIT_TRAIN];
    int64_t n = train.n < MOST ? train.n : MOST;
    if (n < NEIGHBOURS)
        return gen_fail(err, GEN_BAD_OPTION, "%s has %" PRId64 " training pictures, %d neighbours are drawn", data.name,
                        n, NEIGHBOURS);
    float *x = gen_arena_alloc(a->arena, (size_t)(n * pixels) * sizeof *x),
          *made = gen_arena_alloc(a->arena, (size_t)(ROWS * pixels) * sizeof *made),
          *grid = gen_arena_alloc(a->arena, (size_t)(ROWS * COLUMNS * pixels) * sizeof *grid);
    if (!x || !made || !grid) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " pictures", n);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = train.first + i;
        gen_dataset_batch(&data, &at, 1, x + i * pixels);
    }
    for (int i = 0; i < ROWS; i++) labels[i] = run->classes ? (float)(i % run->classes) : 0;
    GEN_TRY(gen_sample(run, (uint64_t)run->settings.train.seed, 0, labels, ROWS, made, err));
    for (int64_t r = 0; r < ROWS; r++) {
        gen_nearest(made + r * pixels, x, n, pixels, NEIGHBOURS, index, square);
        sum += square[0] / (double)pixels;
        memcpy(grid + r * COLUMNS * pixels, made + r * pixels, (size_t)pixels * sizeof *grid);
        for (int64_t k = 0; k < NEIGHBOURS; k++)
            memcpy(grid + (r * COLUMNS + 1 + k) * pixels, x + index[k] * pixels, (size_t)pixels * sizeof *grid);
    }
    GEN_TRY(cli_write_grid(run, grid, ROWS * COLUMNS, COLUMNS, path, err));
    printf("%s: %d samples and the %d nearest of %" PRId64
           " training pictures; to the nearest a mean square of %.4g a pixel\n",
           path, ROWS, NEIGHBOURS, n, sum / ROWS);
    return GEN_OK;
}
