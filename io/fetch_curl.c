/* The plugin libgen_fetch.so: one HTTP GET through libcurl. */
#include "io/fetch_plugin.h"

#include <curl/curl.h>
#include <stdio.h>

typedef struct transfer {
    const gen_fetch_get *request;
    CURL *curl;
    int started;
} transfer;

/* Called by curl with the body. The body of an error page is not data. */
static size_t on_data(char *bytes, size_t size, size_t n, void *context)
{
    transfer *t = context;
    long code = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code >= 400) return 0;
    if (!t->started) {
        curl_off_t length = 0;
        curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        if (t->request->start(t->request->context, code == 206, length > 0 ? (uint64_t)length : 0)) return 0;
        t->started = 1;
    }
    return t->request->data(t->request->context, bytes, size * n) ? 0 : size * n;
}

static void set_options(transfer *t, char *message)
{
    char range[32];
    CURL *curl = t->curl;
    curl_easy_setopt(curl, CURLOPT_URL, t->request->url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "gen");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)t->request->stall_s);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)t->request->stall_s);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    if (!t->request->from_byte) return;
    snprintf(range, sizeof range, "%llu-", (unsigned long long)t->request->from_byte);
    curl_easy_setopt(curl, CURLOPT_RANGE,
                     range); /* not RESUME_FROM, which fails when a server sends the whole file instead */
}

static int get(const gen_fetch_get *request, char *reason, size_t reason_bytes)
{
    char message[CURL_ERROR_SIZE] = "";
    long code = 0;
    transfer t = { request, curl_easy_init(), 0 };
    snprintf(reason, reason_bytes, "libcurl could not start");
    if (!t.curl) return -1;
    set_options(&t, message);
    CURLcode rc = curl_easy_perform(t.curl);
    curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(t.curl);
    if (code >= 400)
        snprintf(reason, reason_bytes, "the server answered %ld%s", code, code == 404 ? " (not found)" : "");
    else if (rc == CURLE_OPERATION_TIMEDOUT) snprintf(reason, reason_bytes, "no data came for %d s", request->stall_s);
    else snprintf(reason, reason_bytes, "%s", message[0] ? message : curl_easy_strerror(rc));
    return code >= 400 ? (int)code : rc != CURLE_OK ? -1 : 0;
}

extern const gen_fetch_plugin_table gen_fetch_plugin; /* found by name with dlsym */
const gen_fetch_plugin_table gen_fetch_plugin = { GEN_FETCH_PLUGIN_VERSION, get };
