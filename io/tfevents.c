/* TensorBoard events. Field numbers in comments are those of event.proto, summary.proto and tensor.proto. */
#include "io/tfevents.h"

#include <string.h>

enum { MAX_TAG = 1024, FRAME = 16 };

/* ---- records: u64 length, masked crc of it, data, masked crc of them ---- */

static uint32_t crc_step(uint32_t crc, uint8_t byte)
{
    static const uint32_t table[16] = { /* reflected polynomial 0x82f63b78, four bits at a time */
                                        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75
    };
    crc ^= byte;
    crc = crc >> 4 ^ table[crc & 15];
    return crc >> 4 ^ table[crc & 15];
}

uint32_t gen_crc32c(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) crc = crc_step(crc, p[i]);
    return ~crc;
}

static uint32_t masked_crc(const void *data, size_t size)
{
    uint32_t crc = gen_crc32c(data, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

static void put_le(uint8_t *to, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* ---- writing messages: into a buffer whose size was computed before ---- */

typedef struct message {
    uint8_t *data;
    size_t size; /* data NULL: only counts */
} message;

static void put_raw(message *m, const void *data, size_t n)
{
    if (m->data && n) memcpy(m->data + m->size, data, n);
    m->size += n;
}

static void put_varint(message *m, uint64_t v)
{
    for (;;) {
        uint8_t byte = (uint8_t)(v & 127) | (v > 127 ? 128 : 0);
        put_raw(m, &byte, 1);
        if (v <= 127) return;
        v >>= 7;
    }
}

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void put_key(message *m, int field, int type)
{
    put_varint(m, (uint64_t)(field << 3 | type));
}

static void put_int(message *m, int field, int64_t v)
{
    put_key(m, field, VARINT);
    put_varint(m, (uint64_t)v);
}

static void put_bytes(message *m, int field, const void *data, size_t n)
{
    put_key(m, field, BYTES);
    put_varint(m, n);
    put_raw(m, data, n);
}

static void put_double(message *m, int field, double v)
{
    uint64_t bits;
    uint8_t raw[8];
    memcpy(&bits, &v, 8);
    put_le(raw, bits, 8);
    put_key(m, field, FIXED64);
    put_raw(m, raw, 8);
}

static void put_float(message *m, int field, float v)
{
    uint32_t bits;
    uint8_t raw[4];
    memcpy(&bits, &v, 4);
    put_le(raw, bits, 4);
    put_key(m, field, FIXED32);
    put_raw(m, raw, 4);
}

typedef void (*put_fn)(message *m, const gen_tfevent *e);

static void put_nested(message *m, int field, put_fn put, const gen_tfevent *e)
{
    message counted = { NULL, 0 };
    put(&counted, e);
    put_key(m, field, BYTES);
    put_varint(m, counted.size);
    put(m, e);
}

static void put_image(message *m, const gen_tfevent *e)
{
    put_int(m, 1, e->height_px);
    put_int(m, 2, e->width_px);
    put_int(m, 3, e->channels); /* colorspace */
    put_bytes(m, 4, e->png.data, e->png.size);
}

static void put_value(message *m, const gen_tfevent *e)
{
    put_bytes(m, 1, e->tag, strlen(e->tag));
    if (e->has_value) put_float(m, 2, (float)e->value);
    else put_nested(m, 4, put_image, e);
}

static void put_summary(message *m, const gen_tfevent *e)
{
    put_nested(m, 1, put_value, e);
}

static void put_event(message *m, const gen_tfevent *e)
{
    put_double(m, 1, e->wall_time_s);
    if (e->step) put_int(m, 2, e->step);
    if (e->file_version) put_bytes(m, 3, e->file_version, strlen(e->file_version));
    else put_nested(m, 5, put_summary, e);
}

struct gen_tfevents {
    gen_file_log *log;
};

/* One write for a record: a kill leaves whole records and at most one cut one. */
static gen_status write_event(gen_tfevents *events, const gen_tfevent *e, gen_error *err)
{
    message counted = { NULL, 0 };
    put_event(&counted, e);
    uint8_t *record = gen_alloc(1, counted.size + FRAME);
    if (!record) return gen_fail(err, GEN_NO_MEMORY, "no memory for an event of %zu bytes", counted.size);
    message m = { record + 12, 0 };
    put_event(&m, e);
    put_le(record, m.size, 8);
    put_le(record + 8, masked_crc(record, 8), 4);
    put_le(record + 12 + m.size, masked_crc(record + 12, m.size), 4);
    gen_status status = gen_file_log_write(events->log, record, m.size + FRAME, err);
    gen_free(record);
    return status;
}

gen_status gen_tfevents_open(const char *path, double wall_time_s, gen_tfevents **out, gen_error *err)
{
    gen_tfevents *events = gen_alloc(1, sizeof *events);
    if (!events) return gen_fail(err, GEN_NO_MEMORY, "no memory to write '%s'", path);
    gen_status status = gen_file_log_open(path, &events->log, err);
    if (status == GEN_OK && gen_file_log_size(events->log) == 0)
        status =
            write_event(events, &(gen_tfevent){ .wall_time_s = wall_time_s, .file_version = "brain.Event:2" }, err);
    if (status == GEN_OK) *out = events;
    else gen_tfevents_close(events);
    return status;
}

gen_status gen_tfevents_scalar(gen_tfevents *events, int64_t step, double wall_time_s, const char *tag, double value,
                               gen_error *err)
{
    return write_event(
        events, &(gen_tfevent){ .step = step, .wall_time_s = wall_time_s, .tag = tag, .has_value = 1, .value = value },
        err);
}

gen_status gen_tfevents_image(gen_tfevents *events, int64_t step, double wall_time_s, const char *tag,
                              int32_t height_px, int32_t width_px, int32_t channels, const gen_bytes *png,
                              gen_error *err)
{
    gen_tfevent e = { .step = step,
                      .wall_time_s = wall_time_s,
                      .tag = tag,
                      .height_px = height_px,
                      .width_px = width_px,
                      .channels = channels,
                      .png = *png };
    return write_event(events, &e, err);
}

gen_status gen_tfevents_sync(gen_tfevents *events, gen_error *err)
{
    return gen_file_log_sync(events->log, err);
}

void gen_tfevents_close(gen_tfevents *events)
{
    if (!events) return;
    gen_file_log_close(events->log);
    gen_free(events);
}

/* ---- reading messages ---- */

typedef struct field { /* one field of a message */
    int number, type;
    uint64_t value; /* VARINT, FIXED64, FIXED32 */
    const uint8_t *data;
    size_t size; /* BYTES */
} field;

typedef struct span {
    const uint8_t *at, *end;
} span;

static int take_varint(span *s, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; s->at < s->end && shift < 64; shift += 7) {
        uint8_t byte = *s->at++;
        *v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return 1;
    }
    return 0;
}

static int take_fixed(span *s, int bytes, uint64_t *v)
{
    if (s->end - s->at < bytes) return 0;
    *v = get_le(s->at, bytes);
    s->at += bytes;
    return 1;
}

/* 1: a field, 0: the end, -1: damaged */
static int take_field(span *s, field *f)
{
    uint64_t key, n;
    if (s->at == s->end) return 0;
    *f = (field){ 0 };
    if (!take_varint(s, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff) return -1;
    f->number = (int)(key >> 3), f->type = (int)(key & 7);
    if (f->type == VARINT) return take_varint(s, &f->value) ? 1 : -1;
    if (f->type == FIXED64 || f->type == FIXED32) return take_fixed(s, f->type == FIXED64 ? 8 : 4, &f->value) ? 1 : -1;
    if (f->type != BYTES || !take_varint(s, &n) || n > (size_t)(s->end - s->at)) return -1;
    f->data = s->at, f->size = (size_t)n;
    s->at += n;
    return 1;
}

static span inside(const field *f)
{
    return (span){ f->data, f->data + f->size };
}

static double float_of(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float v;
    memcpy(&v, &low, 4);
    return (double)v;
}

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

static int read_image(span s, gen_tfevent *e)
{
    field f;
    int more;
    while ((more = take_field(&s, &f)) > 0) {
        int32_t whole = f.value <= INT32_MAX ? (int32_t)f.value : 0;
        if (f.number == 1 && f.type == VARINT) e->height_px = whole;
        if (f.number == 2 && f.type == VARINT) e->width_px = whole;
        if (f.number == 3 && f.type == VARINT) e->channels = whole;
        if (f.number == 4 && f.type == BYTES) e->png = (gen_bytes){ (uint8_t *)f.data, f.size };
    }
    return more == 0;
}

/* TensorProto: dtype = 1, tensor_content = 4, float_val = 5, double_val = 6 (both packed); only numbers of one element
 * matter here. */
static int read_tensor(span s, gen_tfevent *e)
{
    field f;
    int more;
    uint64_t dtype = 0;
    enum { DT_FLOAT = 1, DT_DOUBLE = 2 };
    while ((more = take_field(&s, &f)) > 0) {
        int one_float = f.type == FIXED32 || (f.type == BYTES && f.size == 4),
            one_double = f.type == FIXED64 || (f.type == BYTES && f.size == 8);
        uint64_t bits = f.type != BYTES ? f.value : one_float || one_double ? get_le(f.data, (int)f.size) : 0;
        if (f.number == 1 && f.type == VARINT) dtype = f.value;
        if (one_float && (f.number == 5 || (f.number == 4 && dtype == DT_FLOAT)))
            e->has_value = 1, e->value = float_of(bits);
        if (one_double && (f.number == 6 || (f.number == 4 && dtype == DT_DOUBLE)))
            e->has_value = 1, e->value = double_of(bits);
    }
    return more == 0;
}

static const char *copy_text(const field *f, char *buffer, size_t room)
{
    size_t n = f->size < room - 1 ? f->size : room - 1;
    if (n) memcpy(buffer, f->data, n);
    buffer[n] = 0;
    return buffer;
}

static int read_value(span s, gen_tfevent *e, char *tag)
{
    field f;
    int more;
    while ((more = take_field(&s, &f)) > 0) {
        if (f.number == 1 && f.type == BYTES) e->tag = copy_text(&f, tag, MAX_TAG);
        if (f.number == 2 && f.type == FIXED32) e->has_value = 1, e->value = float_of(f.value);
        if (f.number == 4 && f.type == BYTES && !read_image(inside(&f), e)) return 0;
        if (f.number == 8 && f.type == BYTES && !read_tensor(inside(&f), e)) return 0;
    }
    return more == 0;
}

typedef struct visitor {
    gen_tfevent_fn visit;
    void *context;
    int stopped;
} visitor;

/* Values of one summary, one call each. */
static int read_summary(span s, const gen_tfevent *event, visitor *v)
{
    field f;
    int more;
    char tag[MAX_TAG];
    while (!v->stopped && (more = take_field(&s, &f)) != 0) {
        gen_tfevent e = *event;
        if (more < 0 || (f.number == 1 && f.type == BYTES && !read_value(inside(&f), &e, tag))) return 0;
        if (f.number == 1 && f.type == BYTES) v->stopped = v->visit(v->context, &e);
    }
    return 1;
}

/* The fields of an event may come in any order: first what all its values share, then the values. */
static int read_event(span s, size_t offset, visitor *v)
{
    field f, summary = { 0 };
    int more;
    char version[64];
    gen_tfevent e = { .offset = offset, .tag = "" };
    while ((more = take_field(&s, &f)) > 0) {
        if (f.number == 1 && f.type == FIXED64) e.wall_time_s = double_of(f.value);
        if (f.number == 2 && f.type == VARINT) e.step = (int64_t)f.value;
        if (f.number == 3 && f.type == BYTES) e.file_version = copy_text(&f, version, sizeof version);
        if (f.number == 5 && f.type == BYTES) summary = f;
    }
    if (more < 0) return 0;
    if (summary.data) return read_summary(inside(&summary), &e, v);
    v->stopped = v->visit(v->context, &e);
    return 1;
}

gen_status gen_tfevents_read(const void *data, size_t size, gen_tfevent_fn visit, void *context, size_t *valid_bytes,
                             gen_error *err)
{
    const uint8_t *d = data;
    visitor v = { visit, context, 0 };
    size_t at = 0;
    while (!v.stopped && size - at >= FRAME) {
        uint64_t n = get_le(d + at, 8);
        if (get_le(d + at + 8, 4) != masked_crc(d + at, 8))
            return gen_fail(err, GEN_BAD_FILE, "tfevents: wrong checksum of a length at byte %zu", at);
        if (n > size - at - FRAME) break;
        const uint8_t *body = d + at + 12;
        if (get_le(body + n, 4) != masked_crc(body, (size_t)n))
            return gen_fail(err, GEN_BAD_FILE, "tfevents: wrong checksum of the event at byte %zu", at);
        if (!read_event((span){ body, body + n }, at, &v))
            return gen_fail(err, GEN_BAD_FILE, "tfevents: the event at byte %zu is damaged", at);
        at += (size_t)n + FRAME;
    }
    if (valid_bytes) *valid_bytes = at;
    return GEN_OK;
}

typedef struct search {
    int64_t step;
    size_t offset;
    int found;
} search;

static int is_later(void *context, const gen_tfevent *event)
{
    search *s = context;
    if (event->step <= s->step) return 0;
    s->offset = event->offset, s->found = 1;
    return 1;
}

gen_status gen_tfevents_offset_after(const void *data, size_t size, int64_t step, size_t *offset, gen_error *err)
{
    search s = { .step = step };
    size_t valid;
    GEN_TRY(gen_tfevents_read(data, size, is_later, &s, &valid, err));
    *offset = s.found ? s.offset : valid;
    return GEN_OK;
}
