/* gen eval A B: how far pictures are from each other: two files, or two folders whose files go together in the order of their names. */
#include <inttypes.h>
#include <string.h>

#include "io/file.h"
#include "models/metrics.h"
#include "tools/cli/cli.h"
#include "tools/cli/picture_file.h"

typedef struct errors {
    double mse, psnr, ssim;
    int64_t n;
} errors;

/* Colours count, alpha does not. */
static gen_status compare_two(const char *a, const char *b, gen_arena *arena, errors *sum, gen_error *err)
{
    enum { RGB = 3 };
    gen_image one = { 0 }, two = { 0 };
    float *x = NULL, *y = NULL;
    GEN_TRY(cli_read_picture(a, RGB, arena, &one, &x, err));
    GEN_TRY(cli_read_picture(b, RGB, arena, &two, &y, err));
    if (one.width_px != two.width_px || one.height_px != two.height_px)
        return gen_fail(err, GEN_BAD_SHAPE, "%s has %dx%d pixels, %s has %dx%d", a, one.width_px, one.height_px, b,
                        two.width_px, two.height_px);
    int64_t n = (int64_t)one.width_px * one.height_px * RGB;
    double mse = gen_mse_of(x, y, n), psnr = gen_psnr(x, y, n);
    sum->mse += mse;
    sum->psnr += psnr > 100 ? 100 : psnr; /* equal pictures: as gen_output_errors counts them */
    sum->ssim += gen_ssim(x, y, one.height_px, one.width_px, RGB);
    sum->n++;
    return GEN_OK;
}

static gen_status compare_in_arena(const char *a, const char *b, errors *sum, gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    gen_status status = arena ? compare_two(a, b, arena, sum, err) : gen_fail(err, GEN_NO_MEMORY, "no memory");
    gen_arena_free(arena);
    return status;
}

static gen_status compare_folders(const cli_args *a, errors *sum, gen_error *err)
{
    gen_path_list one, two;
    GEN_TRY(gen_folder_list(a->word[0], 0, a->arena, &one, err));
    GEN_TRY(gen_folder_list(a->word[1], 0, a->arena, &two, err));
    if (one.n != two.n || !one.n)
        return gen_fail(err, GEN_BAD_OPTION, "%s has %zu files, %s has %zu: they must go together, one by one",
                        a->word[0], one.n, a->word[1], two.n);
    for (size_t i = 0; i < one.n; i++)
        GEN_TRY(compare_in_arena(gen_path_join(a->arena, a->word[0], one.path[i]),
                                 gen_path_join(a->arena, a->word[1], two.path[i]), sum, err));
    return GEN_OK;
}

bool cli_are_pictures(const cli_args *a)
{
    for (int i = 0; i < a->n_words; i++)
        if (!gen_path_exists(a->word[i]) || cli_is_run(a, a->word[i])) return false;
    return a->n_words == 2;
}

gen_status cli_eval_pictures(const cli_args *a, gen_error *err)
{
    errors sum = { 0 };
    if (gen_path_is_folder(a->word[0])) GEN_TRY(compare_folders(a, &sum, err));
    else GEN_TRY(compare_in_arena(a->word[0], a->word[1], &sum, err));
    double n = (double)sum.n;
    if (!a->o.json) {
        printf("%" PRId64 " pair%s of pictures\n  %-16s %.6g\n  %-16s %.6g dB\n  %-16s %.6g\n", sum.n,
               sum.n == 1 ? "" : "s", "mse", sum.mse / n, "psnr", sum.psnr / n, "ssim", sum.ssim / n);
        return GEN_OK;
    }
    gen_json_out out = { .arena = a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_int(&out, "images", sum.n);
    gen_json_put_double(&out, "mse", sum.mse / n);
    gen_json_put_double(&out, "psnr", sum.psnr / n);
    gen_json_put_double(&out, "ssim", sum.ssim / n);
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}
