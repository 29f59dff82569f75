/* tools/cli/style_files.h: pictures and weights of gen style.
 *
 *     style_picture photo;
 *     GEN_TRY(style_read_picture(a->arena, "photo.jpg", &photo, err));
 *     GEN_TRY(style_write_picture(arena, rgb, height, width, &photo, options, seed, "out.png", err));
 */
#ifndef GEN_TOOLS_STYLE_FILES_H
#define GEN_TOOLS_STYLE_FILES_H

#include "io/image.h"
#include "models/style.h"

typedef struct style_picture {
    const char *path;
    gen_image image; /* alpha and profile are its; samples as they were read */
    float *rgb;      /* [height,width,3] */
} style_picture;

/* The picture in the arena, turned as its camera was held. */
gen_status style_read_picture(gen_arena *arena, const char *path, style_picture *out, gen_error *err);
/* A picture as a mask: its brightness, [height,width] of the content. */
gen_status style_read_mask(gen_arena *arena, const char *path, int32_t height, int32_t width, float **mask,
                           gen_error *err);

/* rgb[height,width,3], the kind by the name's ending, with alpha and colour profile of `like` (may be NULL). */
gen_status style_write_picture(gen_arena *arena, const float *rgb, int32_t height, int32_t width,
                               const style_picture *like, const gen_style_options *o, const char *path, gen_error *err);

/* The network and its weights; file.data is mapped and to be unmapped, NULL for random weights. */
typedef struct style_network {
    const gen_feature_net *net;
    gen_feature_input input;
    bool input_known; /* by the file or the user */
    gen_bytes file;
    gen_safetensors tensors;
} style_network;
gen_status style_open_network(gen_arena *arena, const gen_style_options *o, style_network *out, gen_error *err);

#endif
