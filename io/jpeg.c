/* JPEG through libjpeg-turbo, from memory to memory. Its errors leave by longjmp, so all calls of it sit in functions
 * that `guarded` runs: they keep their state in a struct and hold nothing that would be lost. */
#include "io/image.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum { EXIF_MARKER = JPEG_APP0 + 1, ICC_MARKER = JPEG_APP0 + 2, LARGEST_MARKER = 0xffff };

typedef struct jpeg_job {
    struct jpeg_error_mgr errors; /* first: libjpeg hands this address to on_error */
    jmp_buf leave;
    gen_arena *arena;
    gen_error *err;
    gen_status status;
    struct jpeg_decompress_struct in; /* reading */
    struct jpeg_progress_mgr progress;
    const uint8_t *data;
    size_t in_size;
    int ended, all_rows_read;
    gen_image image;
    struct jpeg_compress_struct out; /* writing */
    struct jpeg_destination_mgr destination;
    const gen_image *source;
    int32_t quality;
    gen_bytes file;
} jpeg_job;

static void leave(jpeg_job *job)
{
    longjmp(job->leave, 1);
}

static int guarded(jpeg_job *job, void (*act)(jpeg_job *))
{
    if (setjmp(job->leave)) return 0;
    act(job);
    return 1;
}

/* How far the data reaches, as libjpeg counts it: whole rows of blocks, in the pass that it is in. */
static gen_status fail_at_row(jpeg_job *job, const char *what)
{
    const struct jpeg_decompress_struct *in = &job->in;
    uint32_t block_rows = in->input_iMCU_row * (uint32_t)(in->max_v_samp_factor * DCTSIZE), height = in->image_height;
    char pass[40] = "";
    if (!in->max_v_samp_factor) return gen_fail(job->err, GEN_BAD_FILE, "JPEG: %s in the header", what);
    if (in->input_scan_number > 1) snprintf(pass, sizeof pass, " of pass %d", in->input_scan_number);
    return gen_fail(job->err, GEN_BAD_FILE, "JPEG: %s after row %u of %u%s", what,
                    block_rows < height ? block_rows : height, height, pass);
}

static void on_error(j_common_ptr info)
{
    jpeg_job *job = (jpeg_job *)info->err;
    int code = job->errors.msg_code, detail = job->errors.msg_parm.i[0];
    char text[JMSG_LENGTH_MAX];
    job->errors.format_message(info, text);
    if (code == JERR_OUT_OF_MEMORY || code == JERR_NO_BACKING_STORE)
        job->status = gen_fail(job->err, GEN_NO_MEMORY, "JPEG: no memory for it");
    else if (code == JERR_BAD_PRECISION)
        job->status = gen_fail(job->err, GEN_UNSUPPORTED,
                               "JPEG: its samples have %d bits, only 8 are read; convert it to PNG first", detail);
    else if (code == JERR_SOF_UNSUPPORTED)
        job->status = gen_fail(job->err, GEN_UNSUPPORTED, "JPEG: it is %s, which is not read; convert it to PNG first",
                               detail == 0xc3 || detail == 0xcb ? "lossless" : "of the hierarchical kind");
    else job->status = gen_fail(job->err, GEN_BAD_FILE, "JPEG: %s", text);
    leave(job);
}

/* The decoder looks ahead, so the end of the file alone says nothing in a file of one pass: it is an error when bits are
 * wanted behind it. Behind other passes more may be missing, and arithmetic decoding never asks. */
static gen_status on_end_of_file(jpeg_job *job)
{
    struct jpeg_decompress_struct *in = &job->in;
    job->ended = 1;
    if (in->max_v_samp_factor && !in->arith_code && !jpeg_has_multiple_scans(in)) return GEN_OK;
    return fail_at_row(job, "the file is cut short");
}

static gen_status on_missing_bits(jpeg_job *job)
{
    if (job->ended) return fail_at_row(job, "the file is cut short");
    if (job->in.input_scan_number > 1) return GEN_OK; /* a pass of finer detail ends early, and the next one follows */
    return fail_at_row(job, "data is missing");
}

/* libjpeg goes on with grey where data is missing and only warns; here that is an error. What it warns of besides (bytes
 * too many, odd headers, passes left out) does not change a pixel. */
static void on_message(j_common_ptr info, int level)
{
    jpeg_job *job = (jpeg_job *)info->err;
    if (level >= 0 || job->all_rows_read) return;
    switch (job->errors.msg_code) {
    case JWRN_JPEG_EOF: job->status = on_end_of_file(job); break;
    case JWRN_HIT_MARKER: job->status = on_missing_bits(job); break;
    case JWRN_MUST_RESYNC: job->status = fail_at_row(job, "data is missing"); break;
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE: job->status = fail_at_row(job, "the data is damaged"); break;
    default: return;
    }
    if (job->status != GEN_OK) leave(job);
}

static struct jpeg_error_mgr *error_manager(jpeg_job *job)
{
    jpeg_std_error(&job->errors);
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    return &job->errors;
}

/* ---- reading ---- */

static uint32_t number_at(const uint8_t *p, uint32_t bytes, int big_endian)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) value = value << 8 | p[big_endian ? i : bytes - 1 - i];
    return value;
}

/* Tag 0x112 of the first directory of an Exif segment (a small TIFF file), 1..8; 1 when there is none. */
static int exif_orientation(const uint8_t *data, uint32_t size)
{
    enum { HEADER = 6, ENTRY = 12, ORIENTATION = 0x112 };
    if (size < HEADER + 8 || memcmp(data, "Exif\0", HEADER)) return 1;
    data += HEADER, size -= HEADER;
    int big = data[0] == 'M';
    uint32_t at = number_at(data + 4, 4, big);
    if (at > size - 2) return 1;
    uint32_t n = number_at(data + at, 2, big), room = (size - at - 2) / ENTRY;
    for (uint32_t i = 0; i < n && i < room; i++) {
        const uint8_t *entry = data + at + 2 + i * ENTRY;
        if (number_at(entry, 2, big) != ORIENTATION) continue;
        uint32_t value = number_at(entry + 8, 2, big);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

static int orientation_of(const struct jpeg_decompress_struct *in)
{
    for (jpeg_saved_marker_ptr m = in->marker_list; m; m = m->next)
        if (m->marker == EXIF_MARKER && m->data_length >= 6 && !memcmp(m->data, "Exif\0", 6))
            return exif_orientation(m->data, m->data_length);
    return 1;
}

/* Where pixel (x, y) of the file goes: first + x * across + y * down, in pixels. */
typedef struct placing {
    ptrdiff_t first, across, down;
    int32_t width_px, height_px; /* of the upright picture */
} placing;

static placing place_for(int orientation, int32_t width, int32_t height)
{
    int turned = orientation >= 5; /* rows become columns */
    placing p = { .width_px = turned ? height : width, .height_px = turned ? width : height };
    ptrdiff_t right = 1, below = p.width_px;
    if (orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7)
        p.first += p.width_px - 1, right = -right;
    if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8)
        p.first += (ptrdiff_t)p.width_px * (p.height_px - 1), below = -below;
    p.across = turned ? below : right, p.down = turned ? right : below;
    return p;
}

/* Adobe's programs store the complement of the ink, others the ink. */
static void cmyk_to_rgb(uint8_t *row, uint32_t width, int complement)
{
    for (uint32_t x = 0; x < width; x++) {
        uint8_t *cmyk = row + (size_t)x * 4, *rgb = row + (size_t)x * 3;
        uint32_t black = complement ? cmyk[3] : 255U - cmyk[3];
        for (int c = 0; c < 3; c++) {
            uint32_t light = complement ? cmyk[c] : 255U - cmyk[c];
            rgb[c] = (uint8_t)((light * black + 127) / 255);
        }
    }
}

static void read_rows(jpeg_job *job, placing p)
{
    struct jpeg_decompress_struct *in = &job->in;
    size_t channels = (size_t)job->image.channels;
    uint8_t *row = gen_arena_alloc(job->arena, (size_t)in->output_width * (size_t)in->output_components);
    if (!row) {
        job->status = gen_fail(job->err, GEN_NO_MEMORY, "JPEG: no memory for a row of %u pixels", in->output_width);
        leave(job);
    }
    while (in->output_scanline < in->output_height) {
        uint8_t *to = job->image.px8 + (p.first + p.down * (ptrdiff_t)in->output_scanline) * (ptrdiff_t)channels;
        jpeg_read_scanlines(in, &row, 1);
        if (in->out_color_space == JCS_CMYK) cmyk_to_rgb(row, in->output_width, in->saw_Adobe_marker);
        for (uint32_t x = 0; x < in->output_width; x++, to += p.across * (ptrdiff_t)channels)
            for (size_t c = 0; c < channels; c++) to[c] = row[x * channels + c];
    }
}

/* A block of 64 samples takes a bit at least in Huffman coding, and one component has a block for every 4 x 64 pixels or
 * fewer; arithmetic coding needs as little as 1/64 of that. */
static int is_possible(const jpeg_job *job)
{
    uint64_t pixels = (uint64_t)job->in.image_width * job->in.image_height,
             a_byte = (uint64_t)8 * 4 * DCTSIZE2 * (job->in.arith_code ? 64 : 1);
    return pixels / a_byte <= job->in_size;
}

static void check_header(jpeg_job *job)
{
    struct jpeg_decompress_struct *in = &job->in;
    if (in->data_precision != 8) {
        in->err->msg_parm.i[0] = in->data_precision;
        in->err->msg_code = JERR_BAD_PRECISION;
        on_error((j_common_ptr)in);
    }
    if (in->jpeg_color_space == JCS_UNKNOWN) {
        job->status = gen_fail(job->err, GEN_UNSUPPORTED,
                               "JPEG: it has %d components a pixel; 1 (grey), 3 (colour) and 4 (CMYK) are read",
                               in->num_components);
        leave(job);
    }
    if (is_possible(job)) return;
    job->status = gen_fail(job->err, GEN_BAD_FILE, "JPEG: it claims %u x %u pixels, which cannot come out of %zu bytes",
                           in->image_width, in->image_height, job->in_size);
    leave(job);
}

/* A file of a few bytes a pass may ask for thousands of passes over a large picture. */
static void on_progress(j_common_ptr info)
{
    enum { MOST_PASSES = 500 };
    jpeg_job *job = (jpeg_job *)info->err;
    if (job->in.input_scan_number <= MOST_PASSES) return;
    job->status = gen_fail(job->err, GEN_BAD_FILE, "JPEG: it has more than %d passes", MOST_PASSES);
    leave(job);
}

static void read_profile(jpeg_job *job)
{
    JOCTET *data = NULL;
    unsigned int size = 0;
    if (job->in.out_color_space == JCS_CMYK || !jpeg_read_icc_profile(&job->in, &data, &size)) return;
    job->image.icc.data = gen_arena_alloc(job->arena, size);
    if (job->image.icc.data) {
        memcpy(job->image.icc.data, data, size);
        job->image.icc.size = size;
    }
    free(data);
    if (!job->image.icc.data) job->status = gen_fail(job->err, GEN_NO_MEMORY, "JPEG: no memory for its ICC profile");
}

static void read_all(jpeg_job *job)
{
    struct jpeg_decompress_struct *in = &job->in;
    jpeg_create_decompress(in);
    jpeg_mem_src(in, job->data, job->in_size);
    jpeg_save_markers(in, EXIF_MARKER, LARGEST_MARKER);
    jpeg_save_markers(in, ICC_MARKER, LARGEST_MARKER);
    jpeg_read_header(in, TRUE);
    check_header(job);
    placing p = place_for(orientation_of(in), (int32_t)in->image_width, (int32_t)in->image_height);
    in->out_color_space = in->num_components == 1 ? JCS_GRAYSCALE : in->num_components == 3 ? JCS_RGB : JCS_CMYK;
    job->status =
        gen_image_new(p.width_px, p.height_px, in->num_components == 1 ? 1 : 3, 8, job->arena, &job->image, job->err);
    if (job->status != GEN_OK) return;
    job->progress.progress_monitor = on_progress;
    in->progress = &job->progress;
    jpeg_start_decompress(in);
    read_rows(job, p);
    job->all_rows_read = 1; /* whatever comes behind them */
    read_profile(job);
}

gen_status gen_jpeg_read(const void *data, size_t size, gen_arena *arena, gen_image *out, gen_error *err)
{
    jpeg_job job = { .arena = arena, .err = err, .data = data, .in_size = size };
    job.in.err = error_manager(&job);
    int finished = guarded(&job, read_all);
    jpeg_destroy_decompress(&job.in);
    if (!finished || job.status != GEN_OK) return job.status;
    *out = job.image;
    return GEN_OK;
}

/* ---- writing ---- */

enum { FIRST_ROOM = 1 << 14 };

/* The file grows in the arena, to twice its size each time. */
static void make_room(jpeg_job *job)
{
    size_t room = job->file.size ? job->file.size * 2 : FIRST_ROOM;
    uint8_t *grown = gen_arena_alloc(job->arena, room);
    if (!grown) {
        job->status = gen_fail(job->err, GEN_NO_MEMORY, "JPEG: no memory to write it");
        leave(job);
        return;
    }
    if (job->file.size) memcpy(grown, job->file.data, job->file.size);
    job->destination.next_output_byte = grown + job->file.size;
    job->destination.free_in_buffer = room - job->file.size;
    job->file = (gen_bytes){ grown, room };
}

static void on_start(j_compress_ptr out)
{
    make_room((jpeg_job *)out->err);
}

static boolean on_full(j_compress_ptr out)
{
    make_room((jpeg_job *)out->err);
    return TRUE;
}

static void on_end(j_compress_ptr out)
{
    jpeg_job *job = (jpeg_job *)out->err;
    job->file.size -= job->destination.free_in_buffer;
}

/* Row y as 8-bit samples without alpha. */
static void pack_row(const gen_image *image, int32_t y, int32_t channels, uint8_t *row)
{
    size_t at = (size_t)y * (size_t)image->width_px * (size_t)image->channels;
    for (int32_t x = 0; x < image->width_px; x++, at += (size_t)image->channels)
        for (int32_t c = 0; c < channels; c++)
            *row++ = image->px16 ? (uint8_t)((image->px16[at + (size_t)c] + 128U) / 257U) : image->px8[at + (size_t)c];
}

static void write_all(jpeg_job *job)
{
    const gen_image *image = job->source;
    struct jpeg_compress_struct *out = &job->out;
    int32_t channels = image->channels >= 3 ? 3 : 1;
    uint8_t *row = gen_arena_alloc(job->arena, (size_t)image->width_px * (size_t)channels);
    if (!row) {
        job->status = gen_fail(job->err, GEN_NO_MEMORY, "JPEG: no memory to write it");
        return;
    }
    jpeg_create_compress(out);
    job->destination = (struct jpeg_destination_mgr){ .init_destination = on_start,
                                                      .empty_output_buffer = on_full,
                                                      .term_destination = on_end };
    out->dest = &job->destination;
    out->image_width = (JDIMENSION)image->width_px, out->image_height = (JDIMENSION)image->height_px;
    out->input_components = channels, out->in_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(out);
    jpeg_set_quality(out, job->quality, TRUE);
    out->comp_info[0].h_samp_factor = out->comp_info[0].v_samp_factor = 1; /* 4:4:4: full colour for each pixel */
    out->optimize_coding = TRUE;
    jpeg_start_compress(out, TRUE);
    if (image->icc.size) jpeg_write_icc_profile(out, image->icc.data, (unsigned int)image->icc.size);
    for (int32_t y = 0; y < image->height_px; y++) {
        pack_row(image, y, channels, row);
        jpeg_write_scanlines(out, &row, 1);
    }
    jpeg_finish_compress(out);
}

gen_status gen_jpeg_write(const gen_image *image, int32_t quality, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    if (image->width_px < 1 || image->height_px < 1 || image->channels < 1 || image->channels > 4 ||
        (!image->px8 && !image->px16))
        return gen_fail(err, GEN_BAD_SHAPE, "JPEG: cannot write %d x %d pixels with %d channels", image->width_px,
                        image->height_px, image->channels);
    if (image->width_px > JPEG_MAX_DIMENSION || image->height_px > JPEG_MAX_DIMENSION)
        return gen_fail(err, GEN_UNSUPPORTED, "JPEG: a side has at most %ld pixels, not %d x %d; write PNG instead",
                        JPEG_MAX_DIMENSION, image->width_px, image->height_px);
    if (quality < 1 || quality > 100)
        return gen_fail(err, GEN_BAD_OPTION, "JPEG: quality is 1 to 100, not %d", quality);
    jpeg_job job = { .arena = arena, .err = err, .source = image, .quality = quality };
    job.out.err = error_manager(&job);
    int finished = guarded(&job, write_all);
    jpeg_destroy_compress(&job.out);
    if (!finished || job.status != GEN_OK) return job.status;
    *out = job.file;
    return GEN_OK;
}
