/* Two containers, one pickle. Layouts: torch/serialization.py. The zip's entries are NAME/data.pkl and NAME/data/KEY; the older file is five pickles (a
 * magic number, the version, facts on the machine, the object, the keys of storages in the order of their data), then for each key a count and the data.
 */
#include "io/pth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/deflate.h"
#include "io/pickle.h"

enum { MAX_DEPTH = 32, NAME_BYTES = 512, MAX_TENSORS = 1 << 20, MAX_VISITS = 1 << 24 };

typedef struct storage {
    const char *key;
    const uint8_t *data;
    size_t size;
} storage;

typedef struct reader {
    gen_arena *arena;
    gen_error *err;
    const uint8_t *data;
    size_t size;
    storage *storages;
    size_t n_storages;
    gen_tensor_entry *tensors;
    size_t n_tensors, room;
    size_t visits,
        gathered; /* values looked at, bytes copied: values may be shared, so a small file could ask for endless work */
} reader;

static uint64_t little(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static gen_status damaged(reader *r, const char *what)
{
    return gen_fail(r->err, GEN_BAD_FILE, "PyTorch file: %s", what);
}

static gen_status no_memory(reader *r)
{
    return gen_fail(r->err, GEN_NO_MEMORY, "no memory for a PyTorch file");
}

/* ---- tensors ---------------------------------------------------------------------------------------------------------------------- */

static const struct storage_type {
    const char *name;
    gen_dtype dtype;
} storage_types[] = {
    { "torch FloatStorage", GEN_DTYPE_F32 },
    { "torch DoubleStorage", GEN_DTYPE_F64 },
    { "torch HalfStorage", GEN_DTYPE_F16 },
    { "torch BFloat16Storage", GEN_DTYPE_BF16 },
    { "torch LongStorage", GEN_DTYPE_I64 },
    { "torch IntStorage", GEN_DTYPE_I32 },
    { "torch ByteStorage", GEN_DTYPE_U8 },
    { "torch BoolStorage", GEN_DTYPE_BOOL },
    { "torch.storage UntypedStorage", GEN_DTYPE_U8 },
};

static int is_global(const pickle_value *v, const char *name)
{
    return v->kind == PICKLE_GLOBAL && !strcmp(v->text, name);
}

static int is_call_of(const pickle_value *v, const char *name)
{
    return v->kind == PICKLE_CALL && is_global(v->item[0], name) && v->item[1]->kind == PICKLE_LIST;
}

/* ('storage', class, key, place, count) -> the bytes and their type */
static gen_status find_storage(reader *r, const pickle_value *v, const char *name, storage *out, gen_dtype *dtype)
{
    const pickle_value *id = v->kind == PICKLE_STORED ? v->item[0] : NULL;
    if (!id || id->kind != PICKLE_LIST || id->n < 3 || id->item[1]->kind != PICKLE_GLOBAL ||
        id->item[2]->kind != PICKLE_STRING)
        return damaged(r, "a tensor has no storage");
    size_t i = 0, n = sizeof storage_types / sizeof *storage_types;
    while (i < n && strcmp(storage_types[i].name, id->item[1]->text) != 0) i++;
    if (i == n)
        return gen_fail(r->err, GEN_UNSUPPORTED, "PyTorch file: %s is of the type %.60s", name, id->item[1]->text);
    *dtype = storage_types[i].dtype;
    for (size_t k = 0; k < r->n_storages; k++)
        if (!strcmp(r->storages[k].key, id->item[2]->text)) return *out = r->storages[k], GEN_OK;
    return gen_fail(r->err, GEN_BAD_FILE, "PyTorch file: the data of %s are missing", name);
}

/* Number i of a list of whole numbers that are not negative; -1 where it is none. */
static int64_t at(const pickle_value *list, size_t i)
{
    const pickle_value *v = list->item[i];
    return v->kind == PICKLE_INT && v->integer >= 0 ? v->integer : -1;
}

/* Does every element lie within the storage? Then also: do they lie there one after the other? */
static int check_layout(const gen_tensor_entry *t, const int64_t *stride, int64_t offset, size_t available, int *dense)
{
    uint64_t last = (uint64_t)offset;
    int64_t packed = 1;
    *dense = 1;
    for (int32_t i = t->n_dims - 1; i >= 0; i--) {
        if (t->dims[i] > 1) {
            uint64_t reach;
            if (__builtin_mul_overflow((uint64_t)(t->dims[i] - 1), (uint64_t)stride[i], &reach) ||
                __builtin_add_overflow(last, reach, &last))
                return 0;
            if (stride[i] != packed) *dense = 0;
        }
        packed *= t->dims[i] ? t->dims[i] : 1;
    }
    return !t->n || last < available;
}

/* Elements of a transposed or sliced tensor, in order. */
static gen_status gather(reader *r, gen_tensor_entry *t, const int64_t *stride, const uint8_t *from)
{
    size_t bytes = gen_dtype_bytes(t->dtype);
    int64_t index[GEN_TENSOR_MAX_DIMS] = { 0 };
    r->gathered += t->n * bytes;
    if (r->gathered > 4 * r->size + 65536) return damaged(r, "its tensors show the same data over and over");
    uint8_t *to = gen_arena_alloc(r->arena, t->n * bytes);
    if (!to) return no_memory(r);
    t->data = to;
    for (size_t k = 0; k < t->n; k++) {
        int64_t place = 0;
        for (int32_t i = 0; i < t->n_dims; i++) place += index[i] * stride[i];
        memcpy(to + k * bytes, from + (size_t)place * bytes, bytes);
        for (int32_t i = t->n_dims - 1; i >= 0 && ++index[i] == t->dims[i]; i--) index[i] = 0;
    }
    return GEN_OK;
}

static gen_status add_tensor(reader *r, const gen_tensor_entry *t)
{
    if (r->n_tensors == MAX_TENSORS) return damaged(r, "more tensors than any model has");
    if (r->n_tensors == r->room) {
        size_t room = r->room ? 2 * r->room : 64;
        gen_tensor_entry *grown = gen_arena_alloc(r->arena, room * sizeof *grown);
        if (!grown) return no_memory(r);
        if (r->n_tensors) memcpy(grown, r->tensors, r->n_tensors * sizeof *grown);
        r->tensors = grown, r->room = room;
    }
    r->tensors[r->n_tensors++] = *t;
    return GEN_OK;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, …). A tensor that repeats its data (stride 0) may be no larger than its storage and a page. */
static gen_status read_tensor(reader *r, const pickle_value *args, const char *name)
{
    storage s = { 0 };
    int64_t stride[GEN_TENSOR_MAX_DIMS];
    gen_tensor_entry t = { .n = 1 };
    if (args->n < 4 || at(args, 1) < 0 || args->item[2]->kind != PICKLE_LIST || args->item[3]->kind != PICKLE_LIST ||
        args->item[2]->n != args->item[3]->n)
        return damaged(r, "a tensor is described in an unknown way");
    if (args->item[2]->n > GEN_TENSOR_MAX_DIMS)
        return gen_fail(r->err, GEN_UNSUPPORTED, "PyTorch file: %s has more than %d axes", name, GEN_TENSOR_MAX_DIMS);
    GEN_TRY(find_storage(r, args->item[0], name, &s, &t.dtype));
    size_t bytes = gen_dtype_bytes(t.dtype), available = s.size / bytes;
    t.n_dims = (int32_t)args->item[2]->n;
    for (int32_t i = 0; i < t.n_dims; i++) {
        t.dims[i] = at(args->item[2], (size_t)i);
        stride[i] = at(args->item[3], (size_t)i);
        if (t.dims[i] < 0 || stride[i] < 0 || __builtin_mul_overflow(t.n, (size_t)t.dims[i], &t.n))
            return damaged(r, "a tensor has an impossible shape");
    }
    int dense;
    int64_t offset = at(args, 1);
    if (t.n > available + 4096 || !check_layout(&t, stride, offset, available, &dense))
        return gen_fail(r->err, GEN_BAD_FILE, "PyTorch file: %s reaches beyond its data", name);
    t.name = gen_arena_strdup(r->arena, name);
    if (!t.name) return no_memory(r);
    if (!t.n) offset = 0;
    const uint8_t *from = s.data + (size_t)offset * bytes;
    t.data = from;
    if (t.n && !dense) GEN_TRY(gather(r, &t, stride, from));
    return add_tensor(r, &t);
}

/* ---- the object -------------------------------------------------------------------------------------------------------------------- */

static gen_status walk(reader *r, const pickle_value *v, const char *name, int depth);

static gen_status walk_items(reader *r, const pickle_value *v, const char *name, int depth)
{
    char inner[NAME_BYTES];
    const char *dot = *name ? "." : "";
    size_t step = v->kind == PICKLE_DICT ? 2 : 1;
    for (size_t i = 0; i + step <= v->n; i += step) {
        const pickle_value *key = v->item[i];
        int n = step == 1                    ? snprintf(inner, sizeof inner, "%s%s%zu", name, dot, i)
                : key->kind == PICKLE_STRING ? snprintf(inner, sizeof inner, "%s%s%s", name, dot, key->text)
                : key->kind == PICKLE_INT
                    ? snprintf(inner, sizeof inner, "%s%s%lld", name, dot, (long long)key->integer)
                    : 0;
        if (n >= (int)sizeof inner) return damaged(r, "a name is too long");
        if (n > 0) GEN_TRY(walk(r, v->item[i + step - 1], inner, depth + 1));
    }
    return GEN_OK;
}

static gen_status walk(reader *r, const pickle_value *v, const char *name, int depth)
{
    if (depth > MAX_DEPTH || ++r->visits > MAX_VISITS) return damaged(r, "it is nested too deeply");
    if (v->kind == PICKLE_DICT || v->kind == PICKLE_LIST) return walk_items(r, v, name, depth);
    if (is_call_of(v, "torch._utils _rebuild_tensor_v2") || is_call_of(v, "torch._utils _rebuild_tensor"))
        return read_tensor(r, v->item[1], name);
    if (is_call_of(v, "torch._utils _rebuild_parameter") && v->item[1]->n)
        return walk(r, v->item[1]->item[0], name, depth + 1);
    return GEN_OK; /* numbers, texts, objects of other classes: not ours */
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const gen_tensor_entry *const *)a)->name, (*(const gen_tensor_entry *const *)b)->name);
}

static gen_status refuse_twins(reader *r)
{
    const gen_tensor_entry **sorted = gen_arena_alloc(r->arena, r->n_tensors * sizeof *sorted);
    if (!sorted) return no_memory(r);
    for (size_t i = 0; i < r->n_tensors; i++) sorted[i] = &r->tensors[i];
    qsort(sorted, r->n_tensors, sizeof *sorted, by_name);
    for (size_t i = 1; i < r->n_tensors; i++)
        if (!strcmp(sorted[i - 1]->name, sorted[i]->name))
            return gen_fail(r->err, GEN_BAD_FILE, "PyTorch file: there are two tensors called %s", sorted[i]->name);
    return GEN_OK;
}

static gen_status collect(reader *r, const pickle_value *object, gen_safetensors *out)
{
    GEN_TRY(walk(r, object, "", 0));
    if (!r->n_tensors)
        return gen_fail(r->err, GEN_UNSUPPORTED,
                        "PyTorch file: no tensors in it; expected what torch.save(model.state_dict(), …) writes");
    GEN_TRY(refuse_twins(r));
    *out = (gen_safetensors){ .tensors = r->tensors, .n_tensors = r->n_tensors };
    return GEN_OK;
}

/* ---- the older container ------------------------------------------------------------------------------------------------------------- */

static const uint8_t legacy_magic[] = { 0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c,
                                        0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19 };

static int is_legacy(const uint8_t *d, size_t size)
{
    return size > sizeof legacy_magic && !memcmp(d, legacy_magic, sizeof legacy_magic);
}

/* Bytes of an element, by the first tensor that lies in the storage: the file itself has only counts. */
static size_t element_bytes(reader *r, const pickle_value *v, const char *key, int depth)
{
    size_t found = 0;
    if (!v || depth > MAX_DEPTH + 4 || ++r->visits > MAX_VISITS) return 0;
    const pickle_value *id = v->kind == PICKLE_STORED ? v->item[0] : NULL;
    if (id && id->kind == PICKLE_LIST && id->n >= 3 && id->item[1]->kind == PICKLE_GLOBAL &&
        id->item[2]->kind == PICKLE_STRING && !strcmp(id->item[2]->text, key)) {
        for (size_t i = 0; i < sizeof storage_types / sizeof *storage_types; i++)
            if (!strcmp(storage_types[i].name, id->item[1]->text)) return gen_dtype_bytes(storage_types[i].dtype);
        return 0;
    }
    for (size_t i = 0; i < v->n && !found; i++) found = element_bytes(r, v->item[i], key, depth + 1);
    return found;
}

static gen_status legacy_storages(reader *r, const pickle_value *object, const pickle_value *keys, size_t from)
{
    if (keys->kind != PICKLE_LIST) return damaged(r, "the list of its storages is missing");
    r->storages = gen_arena_alloc(r->arena, keys->n * sizeof *r->storages);
    if (!r->storages) return no_memory(r);
    for (size_t i = 0; i < keys->n; i++) {
        const pickle_value *key = keys->item[i];
        if (key->kind != PICKLE_STRING || r->size - from < 8) return damaged(r, "its data are cut short");
        uint64_t count = little(r->data + from, 8);
        size_t bytes = element_bytes(r, object, key->text, 0);
        from += 8;
        if (!bytes)
            return gen_fail(r->err, GEN_UNSUPPORTED, "PyTorch file: storage %.40s is of an unknown type", key->text);
        if (count > (r->size - from) / bytes) return damaged(r, "its data are cut short");
        r->storages[r->n_storages++] = (storage){ key->text, r->data + from, (size_t)count * bytes };
        from += (size_t)count * bytes;
    }
    return GEN_OK;
}

static gen_status read_legacy(reader *r, gen_safetensors *out)
{
    pickle_value *part[5]; /* magic, version, machine, object, keys */
    size_t from = 0, used;
    for (int i = 0; i < 5; i++) {
        GEN_TRY(pickle_read(r->data + from, r->size - from, r->arena, &part[i], &used, r->err));
        from += used;
    }
    if (part[1]->kind != PICKLE_INT || part[1]->integer != 1001) return damaged(r, "an unknown version of the format");
    GEN_TRY(legacy_storages(r, part[3], part[4], from));
    return collect(r, part[3], out);
}

/* ---- zip ------------------------------------------------------------------------------------------------------------------------------- */

enum { END_BYTES = 22, LOCATOR_BYTES = 20, END64_BYTES = 56, ENTRY_BYTES = 46, LOCAL_BYTES = 30, MAX_COMMENT = 65535 };

typedef struct zip_entry {
    char *name;
    uint64_t packed, size, offset;
    unsigned method;
} zip_entry;

/* Where the directory begins, and how many entries it has. */
static gen_status find_directory(reader *r, uint64_t *from, uint64_t *n)
{
    const uint8_t *d = r->data;
    size_t end = r->size < END_BYTES ? 0 : r->size - END_BYTES, least = end > MAX_COMMENT ? end - MAX_COMMENT : 0;
    while (end > least && little(d + end, 4) != 0x06054b50) end--;
    if (r->size < END_BYTES || little(d + end, 4) != 0x06054b50)
        return damaged(r, "the directory at the end of the zip is missing: it is cut short");
    *n = little(d + end + 10, 2);
    *from = little(d + end + 16, 4);
    if (end < LOCATOR_BYTES || little(d + end - LOCATOR_BYTES, 4) != 0x07064b50) return GEN_OK;
    uint64_t end64 = little(d + end - LOCATOR_BYTES + 8, 8);
    if (end64 > r->size || r->size - end64 < END64_BYTES || little(d + end64, 4) != 0x06064b50)
        return damaged(r, "the directory of the zip is damaged");
    *n = little(d + end64 + 32, 8);
    *from = little(d + end64 + 48, 8);
    return GEN_OK;
}

/* Sizes and offset that do not fit 32 bits are in extra field 1, in this order. */
static void read_extra(const uint8_t *extra, size_t size, zip_entry *e)
{
    uint64_t *wide[] = { &e->size, &e->packed, &e->offset };
    while (size >= 4) {
        size_t length = (size_t)little(extra + 2, 2), used = 0;
        if (length > size - 4) return;
        for (int i = 0; i < 3 && little(extra, 2) == 1; i++)
            if (*wide[i] == 0xffffffff && length - used >= 8) {
                *wide[i] = little(extra + 4 + used, 8);
                used += 8;
            }
        extra += 4 + length, size -= 4 + length;
    }
}

static gen_status read_entry(reader *r, uint64_t *from, zip_entry *e)
{
    if (*from > r->size || r->size - *from < ENTRY_BYTES) return damaged(r, "the directory of the zip is damaged");
    const uint8_t *d = r->data + *from;
    if (little(d, 4) != 0x02014b50) return damaged(r, "the directory of the zip is damaged");
    size_t name = (size_t)little(d + 28, 2), extra = (size_t)little(d + 30, 2), comment = (size_t)little(d + 32, 2);
    if (r->size - *from - ENTRY_BYTES < name + extra + comment)
        return damaged(r, "the directory of the zip is damaged");
    *e = (zip_entry){ .method = (unsigned)little(d + 10, 2),
                      .packed = little(d + 20, 4),
                      .size = little(d + 24, 4),
                      .offset = little(d + 42, 4) };
    read_extra(d + ENTRY_BYTES + name, extra, e);
    e->name = gen_arena_alloc(r->arena, name + 1);
    if (!e->name) return no_memory(r);
    memcpy(e->name, d + ENTRY_BYTES, name);
    *from += ENTRY_BYTES + name + extra + comment;
    return GEN_OK;
}

static gen_status entry_data(reader *r, const zip_entry *e, storage *out)
{
    if (e->offset > r->size || r->size - e->offset < LOCAL_BYTES || little(r->data + e->offset, 4) != 0x04034b50)
        return damaged(r, "an entry of the zip is damaged");
    uint64_t from = e->offset + LOCAL_BYTES + little(r->data + e->offset + 26, 2) + little(r->data + e->offset + 28, 2);
    if (from > r->size || e->packed > r->size - from) return damaged(r, "an entry of the zip is cut short");
    *out = (storage){ e->name, r->data + from, (size_t)e->size };
    if (e->method == 0) return e->size == e->packed ? GEN_OK : damaged(r, "an entry of the zip has two sizes");
    if (e->method != 8) return gen_fail(r->err, GEN_UNSUPPORTED, "PyTorch file: zip method %u is not read", e->method);
    if (e->size / GEN_DEFLATE_MAX_RATIO > e->packed + 64)
        return damaged(r, "an entry of the zip claims an impossible size");
    uint8_t *whole = gen_arena_alloc(r->arena, (size_t)e->size + 1);
    if (!whole) return no_memory(r);
    out->data = whole;
    return gen_inflate_raw(r->data + from, (size_t)e->packed, whole, (size_t)e->size, r->err);
}

/* "archive/data/12" -> "12"; NULL for what is no storage */
static const char *storage_key(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash && !strncmp(slash, "/data/", 6) ? slash + 6 : NULL;
}

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && !strcmp(text + n - k, end);
}

static gen_status read_zip(reader *r, gen_safetensors *out)
{
    uint64_t from = 0, n = 0;
    storage pickle = { 0 };
    GEN_TRY(find_directory(r, &from, &n));
    if (n > r->size / ENTRY_BYTES) return damaged(r, "the directory of the zip is damaged");
    r->storages = gen_arena_alloc(r->arena, (size_t)n * sizeof *r->storages);
    if (!r->storages) return no_memory(r);
    for (uint64_t i = 0; i < n; i++) {
        zip_entry e = { 0 };
        storage s = { 0 };
        GEN_TRY(read_entry(r, &from, &e));
        const char *key = storage_key(e.name);
        if (!key && !ends_with(e.name, "/data.pkl") && !ends_with(e.name, "/byteorder")) continue;
        GEN_TRY(entry_data(r, &e, &s));
        if (ends_with(e.name, "/byteorder") && s.size >= 3 && !memcmp(s.data, "big", 3))
            return gen_fail(r->err, GEN_UNSUPPORTED, "PyTorch file: it was written on a big-endian machine");
        s.key = key;
        if (key) r->storages[r->n_storages++] = s;
        else if (ends_with(e.name, "/data.pkl")) pickle = s;
    }
    if (!pickle.data)
        return gen_fail(r->err, GEN_UNSUPPORTED, "a zip file without data.pkl: expected what torch.save writes");
    pickle_value *object;
    size_t used;
    GEN_TRY(pickle_read(pickle.data, pickle.size, r->arena, &object, &used, r->err));
    return collect(r, object, out);
}

/* ---- all -------------------------------------------------------------------------------------------------------------------------------- */

static int is_zip(const uint8_t *d, size_t size)
{
    return size >= 4 && !memcmp(d, "PK\3\4", 4);
}

int gen_is_pth(const void *data, size_t size)
{
    return is_zip(data, size) || is_legacy(data, size);
}

gen_status gen_pth_read(const void *data, size_t size, gen_arena *arena, gen_safetensors *out, gen_error *err)
{
    const uint8_t *d = data;
    reader r = { .arena = arena, .err = err, .data = d, .size = size };
    if (is_zip(d, size)) return read_zip(&r, out);
    if (is_legacy(d, size)) return read_legacy(&r, out);
    if (size > 262 && !memcmp(d + 257, "ustar", 5))
        return gen_fail(err, GEN_UNSUPPORTED,
                        "a tar file as PyTorch wrote before 2017: load it there and save it again");
    return gen_fail(err, GEN_BAD_FILE, "PyTorch file: expected a zip file or the older format of torch.save");
}
