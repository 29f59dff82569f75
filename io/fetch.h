/* io/fetch.h: downloads a file: several mirrors, resumed after a cut, checked, and put in place by rename. libcurl does
 * the work, in a plugin that is opened on the first download.
 *
 *     const char *mirrors[] = { "https://a/x.gz", "https://b/x.gz" };
 *     gen_fetch_file file = { .urls = mirrors, .n_urls = 2, .path = "data/x.gz", .size_bytes = 0, .sha256 = NULL };
 *     GEN_TRY(gen_fetch(&file, &sink, err));
 */
#ifndef GEN_IO_FETCH_H
#define GEN_IO_FETCH_H

#include "core/event.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_fetch_file {
    const char *const *urls; /* tried in this order */
    int32_t n_urls;
    const char *path;    /* its folder exists */
    uint64_t size_bytes; /* 0: not known */
    const char
        *sha256; /* hexadecimal digits as the publisher states them, all 64 or the first of them; NULL: not checked */
    int32_t stall_s; /* gives up on a mirror after so many seconds without data; 0: 30 */
} gen_fetch_file;

/* Until all is there and right, data are in path.part, where a later call goes on. A file with a wrong size or checksum
 * is removed and the next mirror tried. sink (may be NULL) gets a text per mirror and scalars "fetch/<base name>" with
 * value = fraction done, or bytes when the size is not known. GEN_NO_DEVICE when the plugin is not there; GEN_IO with
 * the last mirror's reason when all fail. */
gen_status gen_fetch(const gen_fetch_file *file, const gen_sink *sink, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
