/* Downloads: mirrors, the .part file, checks. */
#include "io/fetch.h"

#include "io/fetch_plugin.h"
#include "io/file.h"
#include "io/plugin.h"
#include "io/sha256.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_STALL_S = 30, MAX_PATH = 4096, HTTP_RANGE_NOT_SATISFIABLE = 416 };

typedef struct download {
    const gen_fetch_file *file;
    const gen_sink *sink;
    const gen_fetch_plugin_table *plugin;
    char part[MAX_PATH];
    gen_file_log *log;
    uint64_t n_expected, n_announced; /* bytes; 0: not known */
    gen_status status;                /* of writing */
    gen_error *err;
} download;

static void say(const download *d, gen_event event)
{
    if (d->sink) d->sink->emit(d->sink->context, &event);
}

static void announce(download *d, const char *url, uint64_t from)
{
    char text[700];
    if (from) snprintf(text, sizeof text, "fetching %s from byte %llu on", url, (unsigned long long)from);
    else snprintf(text, sizeof text, "fetching %s", url);
    say(d, (gen_event){ .kind = GEN_EVENT_TEXT, .name = "fetch", .text = text });
}

/* At most a hundred times a file, or once a MiB when its size is not known. */
static void show_progress(download *d)
{
    char name[300];
    uint64_t have = gen_file_log_size(d->log), step = d->n_expected ? d->n_expected / 100 : 1 << 20;
    if (have < d->n_announced + step && have != d->n_expected) return;
    d->n_announced = have;
    snprintf(name, sizeof name, "fetch/%s", gen_path_base(d->file->path));
    double value = d->n_expected ? (double)have / (double)d->n_expected : (double)have;
    say(d, (gen_event){ .kind = GEN_EVENT_SCALAR, .name = name, .value = value });
}

static int on_start(void *context, int resumed, uint64_t n_bytes)
{
    download *d = context;
    if (!resumed && gen_file_log_size(d->log)) {
        d->status = gen_file_log_cut(d->log, 0, d->err);
        if (d->status != GEN_OK) return 1;
    }
    d->n_announced = gen_file_log_size(d->log);
    d->n_expected = d->file->size_bytes ? d->file->size_bytes : n_bytes ? n_bytes + gen_file_log_size(d->log) : 0;
    return 0;
}

/* A server that sends more than the file should have is stopped before the disk is full of it. */
static int on_data(void *context, const void *bytes, size_t n)
{
    download *d = context;
    if (d->file->size_bytes && gen_file_log_size(d->log) + n > d->file->size_bytes) {
        d->status = gen_fail(d->err, GEN_BAD_FILE, "it has more than the %llu bytes expected",
                             (unsigned long long)d->file->size_bytes);
        return 1;
    }
    d->status = gen_file_log_write(d->log, bytes, n, d->err);
    if (d->status == GEN_OK) show_progress(d);
    return d->status != GEN_OK;
}

static int starts_with_hex(const char *all, const char *first)
{
    while (*first && tolower((unsigned char)*all) == tolower((unsigned char)*first)) all++, first++;
    return !*first;
}

static gen_status check_content(const gen_fetch_file *file, const gen_bytes *map, gen_error *err)
{
    char hex[GEN_SHA256_HEX];
    if (file->size_bytes && map->size != file->size_bytes)
        return gen_fail(err, GEN_BAD_FILE, "it has %zu bytes, %llu were expected; it was removed", map->size,
                        (unsigned long long)file->size_bytes);
    if (!file->sha256) return GEN_OK;
    gen_sha256(map->data, map->size, hex);
    if (starts_with_hex(hex, file->sha256)) return GEN_OK;
    return gen_fail(err, GEN_BAD_FILE, "its SHA-256 is %s, %s%s was expected; it was removed", hex, file->sha256,
                    strlen(file->sha256) < GEN_SHA256_HEX - 1 ? "… " : "");
}

/* The whole .part: right and renamed, or removed. */
static gen_status check_and_rename(download *d, gen_error *err)
{
    gen_bytes map;
    GEN_TRY(gen_file_map(d->part, &map, err));
    gen_status status = check_content(d->file, &map, err);
    gen_file_unmap(&map);
    if (status == GEN_OK) return gen_file_rename(d->part, d->file->path, err);
    (void)gen_file_remove(d->part, NULL);
    return status;
}

static gen_status transfer(download *d, const char *url, int *resumed, gen_error *err)
{
    char reason[300] = "";
    uint64_t from = gen_file_log_size(d->log);
    *resumed = from > 0;
    d->status = GEN_OK, d->err = err, d->n_expected = d->file->size_bytes;
    if (from && from == d->file->size_bytes) return GEN_OK;
    announce(d, url, from);
    gen_fetch_get request = { .url = url,
                              .from_byte = from,
                              .stall_s = d->file->stall_s > 0 ? d->file->stall_s : DEFAULT_STALL_S,
                              .start = on_start,
                              .data = on_data,
                              .context = d };
    int rc = d->plugin->get(&request, reason, sizeof reason);
    if (d->status != GEN_OK) return d->status;
    if (rc == HTTP_RANGE_NOT_SATISFIABLE && from)
        return gen_fail(err, GEN_BAD_FILE, "the part fetched before does not fit");
    return rc ? gen_fail(err, GEN_IO, "%s", reason) : gen_file_log_sync(d->log, err);
}

static gen_status try_once(download *d, const char *url, int *resumed, gen_error *err)
{
    GEN_TRY(gen_file_log_open(d->part, &d->log, err));
    gen_status status = transfer(d, url, resumed, err);
    gen_file_log_close(d->log);
    if (status == GEN_BAD_FILE) (void)gen_file_remove(d->part, NULL);
    return status == GEN_OK ? check_and_rename(d, err) : status;
}

/* A part of an earlier day that does not fit is no fault of the mirror: then once more from the start. */
static gen_status try_mirror(download *d, const char *url, gen_error *err)
{
    gen_error first = { 0 };
    int resumed = 0;
    gen_status status = try_once(d, url, &resumed, &first);
    d->err = NULL; /* was &first */
    if (status == GEN_BAD_FILE && resumed) return try_once(d, url, &resumed, err);
    return status == GEN_OK ? GEN_OK : gen_fail(err, status, "%s", first.text);
}

gen_status gen_fetch(const gen_fetch_file *file, const gen_sink *sink, gen_error *err)
{
    download d = { .file = file, .sink = sink };
    gen_error last = { 0 };
    gen_status status = GEN_NOT_FOUND;
    const void *table;
    GEN_TRY(gen_plugin_open("gen_fetch", GEN_FETCH_PLUGIN_VERSION, "downloading (libcurl)", &table, err));
    d.plugin = table;
    int n = snprintf(d.part, sizeof d.part, "%s.part", file->path);
    if (n < 0 || (size_t)n >= sizeof d.part)
        return gen_fail(err, GEN_BAD_OPTION, "the name '%.100s…' is too long", file->path);
    for (int32_t i = 0; i < file->n_urls; i++) {
        last = (gen_error){ 0 };
        status = try_mirror(&d, file->urls[i], &last);
        if (status == GEN_OK) return GEN_OK;
    }
    const char *url = file->n_urls ? file->urls[file->n_urls - 1] : "(no address)";
    return gen_fail(err, status == GEN_NO_MEMORY ? status : GEN_IO, "cannot fetch '%s': %.200s: %.180s",
                    gen_path_base(file->path), url, last.text);
}
