/* io/fetch_plugin.h: what io/fetch.c asks of the plugin libgen_fetch.so (io/fetch_curl.c). The plugin calls nothing of
 * gen.
 *
 *     const gen_fetch_plugin_table gen_fetch_plugin = { GEN_FETCH_PLUGIN_VERSION, get };
 */
#ifndef GEN_IO_FETCH_PLUGIN_H
#define GEN_IO_FETCH_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

enum { GEN_FETCH_PLUGIN_VERSION = 1 };

typedef struct gen_fetch_get {
    const char *url;
    uint64_t from_byte; /* 0: the whole file */
    int32_t stall_s;
    /* Before the first data: whether the server goes on at from_byte (else it starts anew), and the bytes to come (0:
     * not said). */
    int (*start)(void *context, int resumed, uint64_t n_bytes);
    int (*data)(void *context, const void *bytes, size_t n); /* both: not 0 ends the transfer */
    void *context;
} gen_fetch_get;

typedef struct gen_fetch_plugin_table {
    uint32_t version;
    /* 0 when all came; else the HTTP status, or -1, with the reason as text. */
    int (*get)(const gen_fetch_get *request, char *reason, size_t reason_bytes);
} gen_fetch_plugin_table;

#endif
