/* tools/cli/picture_file.h: pictures of the user: files in and out, and through a model that maps pictures to pictures.
 *
 *     gen_image image; float *rgba;
 *     GEN_TRY(cli_read_picture("photo.jpg", 4, arena, &image, &rgba, err));             // rgba[H,W,4] in [0,1]
 *     GEN_TRY(cli_translate_colours(run, &plan, rgba, false, arena, err));                // models/translate.h
 *     cli_put_colours(rgba, &image);                                                    // bits and alpha stay those of the file
 *     GEN_TRY(cli_write_picture(&image, "out.jpg", GEN_JPEG_QUALITY, arena, err));
 */
#ifndef GEN_TOOLS_PICTURE_FILE_H
#define GEN_TOOLS_PICTURE_FILE_H

#include "io/image.h"
#include "models/translate.h"

/* Errors name the file. */
gen_status cli_read_image(const char *path, gen_arena *arena, gen_image *image, gen_error *err);
/* The same, and its samples as x[H,W,channels] (1, 3 or 4) in [0,1] */
gen_status cli_read_picture(const char *path, int32_t channels, gen_arena *arena, gen_image *image, float **x,
                            gen_error *err);

/* rgba[H,W,4] into the samples of an image, which keeps its channels, bits and alpha; a grey image takes the brightness. */
void cli_put_colours(const float *rgba, gen_image *image);

/* Is it the name of a kind of picture that is written: png, jpg, jpeg, ppm, pgm, pnm? */
bool cli_is_picture_name(const char *path);
/* The kind is that of the name's ending; GEN_BAD_OPTION for others. quality: of JPEG, 1..100. */
gen_status cli_write_picture(const gen_image *image, const char *path, int64_t quality, gen_arena *arena,
                             gen_error *err);

/* The colours of rgba[h,w,4] go through the run's model in place, as planned for their size; its alpha becomes 1. A model of grey pictures gets the colours
 * one after the other, or where the picture is grey the one that there is. */
gen_status cli_translate_colours(gen_run *run, const gen_translate_plan *plan, float *rgba, bool grey, gen_arena *arena,
                                 gen_error *err);

#endif
