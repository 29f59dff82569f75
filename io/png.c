/* PNG through libpng, from memory to memory. libpng leaves by longjmp, so all its calls sit in functions that `guarded`
 * runs: they keep their state in a struct and hold nothing that would be lost. */
#include "io/deflate.h"
#include "io/image.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

typedef struct png_job {
    png_structp png;
    png_infop info;
    gen_arena *arena;
    gen_error *err;
    gen_status status;
    char complaint[128]; /* of libpng */
    const uint8_t *in;   /* reading */
    size_t in_size, in_at;
    gen_image image;
    const gen_image *source; /* writing */
    gen_bytes out;
    size_t out_room;
    int no_memory;
    int in_header; /* before the picture's size is known to be possible */
} png_job;

static void on_error(png_structp png, png_const_charp message)
{
    png_job *job = png_get_error_ptr(png);
    snprintf(job->complaint, sizeof job->complaint, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static png_voidp allocate(png_structp png, png_alloc_size_t size)
{
    enum { LARGEST_UNPACKED = 17 << 20 }; /* above png_set_chunk_malloc_max */
    png_job *job = png_get_mem_ptr(png);
    if (job->in_header && size > job->in_size + LARGEST_UNPACKED)
        return NULL; /* a chunk that claims more than there is */
    void *block = gen_alloc(1, size);
    if (!block) job->no_memory = 1;
    return block;
}

static void release(png_structp png, png_voidp block)
{
    (void)png;
    gen_free(block);
}

static int guarded(png_job *job, void (*act)(png_job *))
{
    if (setjmp(png_jmpbuf(job->png))) return 0;
    act(job);
    return 1;
}

static gen_status job_result(png_job *job, int finished, gen_status bad, const char *doing)
{
    if (job->status != GEN_OK) return job->status;
    if (finished) return GEN_OK;
    if (job->no_memory) return gen_fail(job->err, GEN_NO_MEMORY, "PNG: no memory to %s it", doing);
    return gen_fail(job->err, bad, "PNG: cannot %s it: %s", doing, job->complaint);
}

/* ---- reading ---- */

static void on_read(png_structp png, png_bytep data, size_t size)
{
    png_job *job = png_get_io_ptr(png);
    if (size > job->in_size - job->in_at) png_error(png, "the file is cut short");
    memcpy(data, job->in + job->in_at, size);
    job->in_at += size;
}

static void expand_all(png_job *job)
{
    const uint16_t one = 1;
    png_set_expand(job->png); /* palette, 1/2/4 bits and a transparent colour to whole samples */
    if (*(const uint8_t *)&one) png_set_swap(job->png);
    png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
}

/* The packed picture must be able to come out of the bytes that are there. */
static int is_possible(const png_job *job, uint32_t height, size_t packed_row)
{
    return (uint64_t)height * (packed_row + 1) / GEN_DEFLATE_MAX_RATIO <= (uint64_t)job->in_size + 64;
}

static void read_rows(png_job *job)
{
    uint32_t height = (uint32_t)job->image.height_px;
    size_t row = png_get_rowbytes(job->png, job->info);
    uint8_t *samples = job->image.px16 ? (uint8_t *)job->image.px16 : job->image.px8;
    png_bytep *rows = gen_arena_alloc(job->arena, height * sizeof *rows);
    if (!rows) {
        job->status = gen_fail(job->err, GEN_NO_MEMORY, "no memory for a PNG of %u rows", height);
        return;
    }
    for (uint32_t y = 0; y < height; y++) rows[y] = samples + y * row;
    png_read_image(job->png, rows);
    png_read_end(job->png, job->info);
}

static void read_picture(png_job *job)
{
    png_set_read_fn(job->png, job, on_read);
    png_set_user_limits(job->png, GEN_IMAGE_MAX_PIXELS, GEN_IMAGE_MAX_PIXELS);
    png_set_chunk_malloc_max(job->png, 16 << 20);
    png_set_chunk_cache_max(job->png, 256);
    job->in_header = 1;
    png_read_info(job->png, job->info);
    job->in_header = 0;
    uint32_t width = png_get_image_width(job->png, job->info), height = png_get_image_height(job->png, job->info);
    if (!is_possible(job, height, png_get_rowbytes(job->png, job->info))) {
        job->status =
            gen_fail(job->err, GEN_BAD_FILE, "PNG: it claims %u x %u pixels, which cannot come out of %zu bytes", width,
                     height, job->in_size);
        return;
    }
    expand_all(job);
    job->status = gen_image_new((int32_t)width, (int32_t)height, png_get_channels(job->png, job->info),
                                png_get_bit_depth(job->png, job->info), job->arena, &job->image, job->err);
    if (job->status == GEN_OK) read_rows(job);
}

static char *latin1_to_utf8(const char *text, size_t size, gen_arena *arena)
{
    char *utf8 = gen_arena_alloc(arena, 2 * size + 1), *to = utf8;
    for (size_t i = 0; utf8 && i < size && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x80) *to++ = (char)c;
        else *to++ = (char)(0xc0 | c >> 6), *to++ = (char)(0x80 | (c & 0x3f));
    }
    return utf8;
}

static void read_texts(png_job *job)
{
    png_textp text;
    int n = png_get_text(job->png, job->info, &text, NULL);
    gen_image_text *copy = n > 0 ? gen_arena_alloc(job->arena, (size_t)n * sizeof *copy) : NULL;
    int ok = n <= 0 || copy;
    for (int i = 0; i < n && ok; i++) {
        int is_utf8 = text[i].compression >= PNG_ITXT_COMPRESSION_NONE;
        const char *value = text[i].text ? text[i].text : "";
        copy[i].key = latin1_to_utf8(text[i].key, strlen(text[i].key), job->arena);
        copy[i].value =
            is_utf8 ? gen_arena_strdup(job->arena, value) : latin1_to_utf8(value, strlen(value), job->arena);
        ok = copy[i].key && copy[i].value;
    }
    if (!ok) job->status = gen_fail(job->err, GEN_NO_MEMORY, "no memory for the text chunks of a PNG");
    job->image.texts = copy, job->image.n_texts = n > 0 ? n : 0;
}

static void read_profile(png_job *job)
{
    png_charp name;
    png_bytep profile;
    png_uint_32 size;
    int method;
    if (!png_get_iCCP(job->png, job->info, &name, &method, &profile, &size)) return;
    job->image.icc = (gen_bytes){ gen_arena_alloc(job->arena, size), size };
    if (job->image.icc.data) memcpy(job->image.icc.data, profile, size);
    else job->status = gen_fail(job->err, GEN_NO_MEMORY, "no memory for the colour profile of a PNG");
}

static void read_all(png_job *job)
{
    read_picture(job);
    if (job->status == GEN_OK) read_texts(job);
    if (job->status == GEN_OK) read_profile(job);
}

gen_status gen_png_read(const void *data, size_t size, gen_arena *arena, gen_image *out, gen_error *err)
{
    png_job job = { .arena = arena, .err = err, .in = data, .in_size = size };
    job.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning, &job, allocate, release);
    if (job.png) job.info = png_create_info_struct(job.png);
    if (!job.info) {
        png_destroy_read_struct(&job.png, NULL, NULL);
        return gen_fail(err, GEN_NO_MEMORY, "PNG: no memory to read it");
    }
    int finished = guarded(&job, read_all);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    GEN_TRY(job_result(&job, finished, GEN_BAD_FILE, "read"));
    *out = job.image;
    return GEN_OK;
}

/* ---- writing ---- */

static void on_write(png_structp png, png_bytep data, size_t size)
{
    png_job *job = png_get_io_ptr(png);
    if (size > job->out_room - job->out.size) {
        size_t room = job->out_room * 2 + size + 4096;
        uint8_t *grown = gen_arena_alloc(job->arena, room);
        if (!grown) {
            job->no_memory = 1;
            png_error(png, "no memory");
        }
        if (job->out.size) memcpy(grown, job->out.data, job->out.size);
        job->out.data = grown, job->out_room = room;
    }
    memcpy(job->out.data + job->out.size, data, size);
    job->out.size += size;
}

static void on_flush(png_structp png)
{
    (void)png;
}

static int is_ascii(const char *text)
{
    while (*text && (unsigned char)*text < 0x80) text++;
    return !*text;
}

/* Plain text as tEXt, long text packed, anything beyond ASCII as iTXt. */
static void write_texts(png_job *job)
{
    enum { WORTH_PACKING = 1024 };
    for (int32_t i = 0; i < job->source->n_texts; i++) {
        const gen_image_text *t = &job->source->texts[i];
        int pack = strlen(t->value) > WORTH_PACKING, plain = is_ascii(t->value);
        png_text text = { .key = (png_charp)t->key, .text = (png_charp)t->value };
        text.compression = plain ? (pack ? PNG_TEXT_COMPRESSION_zTXt : PNG_TEXT_COMPRESSION_NONE)
                                 : (pack ? PNG_ITXT_COMPRESSION_zTXt : PNG_ITXT_COMPRESSION_NONE);
        png_set_text(job->png, job->info, &text, 1);
    }
}

static void write_all(png_job *job)
{
    static const int colour_types[] = { 0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                        PNG_COLOR_TYPE_RGB_ALPHA };
    const gen_image *image = job->source;
    const uint16_t one = 1;
    uint32_t width = (uint32_t)image->width_px, height = (uint32_t)image->height_px;
    png_set_write_fn(job->png, job, on_write, on_flush);
    png_set_user_limits(job->png, GEN_IMAGE_MAX_PIXELS, GEN_IMAGE_MAX_PIXELS);
    png_set_IHDR(job->png, job->info, width, height, image->px16 ? 16 : 8, colour_types[image->channels],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    write_texts(job);
    if (image->icc.size) /* libpng leaves out, with a warning, what is no profile for these channels */
        png_set_iCCP(job->png, job->info, "icc", PNG_COMPRESSION_TYPE_BASE, image->icc.data,
                     (png_uint_32)image->icc.size);
    png_write_info(job->png, job->info);
    if (image->px16 && *(const uint8_t *)&one) png_set_swap(job->png);
    size_t row = (size_t)width * (size_t)image->channels;
    for (uint32_t y = 0; y < height; y++)
        png_write_row(job->png, image->px16 ? (png_const_bytep)(image->px16 + y * row) : image->px8 + y * row);
    png_write_end(job->png, job->info);
}

gen_status gen_png_write(const gen_image *image, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    if (image->width_px < 1 || image->height_px < 1 || image->channels < 1 || image->channels > 4 ||
        (!image->px8 && !image->px16))
        return gen_fail(err, GEN_BAD_SHAPE, "PNG: cannot write %d x %d pixels with %d channels", image->width_px,
                        image->height_px, image->channels);
    png_job job = { .arena = arena, .err = err, .source = image };
    job.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning, &job, allocate, release);
    if (job.png) job.info = png_create_info_struct(job.png);
    if (!job.info) {
        png_destroy_write_struct(&job.png, NULL);
        return gen_fail(err, GEN_NO_MEMORY, "PNG: no memory to write it");
    }
    int finished = guarded(&job, write_all);
    png_destroy_write_struct(&job.png, &job.info);
    GEN_TRY(job_result(&job, finished, GEN_BAD_OPTION, "write"));
    *out = job.out;
    return GEN_OK;
}
