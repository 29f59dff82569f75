/* A stack machine: each opcode pushes, joins or remembers values. Opcodes: Python's Lib/pickletools.py. */
#include "io/pickle.h"

#include <string.h>

enum { MAX_STACK = 1 << 16, MAX_MEMO = 1 << 20, MAX_VALUES = 1 << 22 };

typedef struct machine {
    const uint8_t *at, *end;
    gen_arena *arena;
    gen_error *err;
    pickle_value **stack, **memo;
    size_t n_stack, room_stack, room_memo, n_memo, n_values;
    size_t marks[256];
    int n_marks;
} machine;

static gen_status damaged(machine *m, const char *what)
{
    return gen_fail(m->err, GEN_BAD_FILE, "pickle: %s", what);
}

static gen_status need(machine *m, size_t n)
{
    return (size_t)(m->end - m->at) >= n ? GEN_OK : damaged(m, "it is cut short");
}

static uint64_t number(machine *m, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)m->at[i] << 8 * i;
    m->at += bytes;
    return v;
}

/* Room for one more pointer in a growing array of the arena. */
static int grow(machine *m, pickle_value ***array, size_t n, size_t *room)
{
    if (n < *room) return 1;
    size_t larger = *room ? 2 * *room : 16;
    pickle_value **grown = gen_arena_alloc(m->arena, larger * sizeof *grown);
    if (!grown) return 0;
    if (n) memcpy(grown, *array, n * sizeof *grown);
    *array = grown, *room = larger;
    return 1;
}

static gen_status no_memory(machine *m)
{
    return gen_fail(m->err, GEN_NO_MEMORY, "no memory for a pickle");
}

static gen_status push(machine *m, pickle_value *v)
{
    if (m->n_stack == MAX_STACK) return damaged(m, "too many values on its stack");
    if (!grow(m, &m->stack, m->n_stack, &m->room_stack)) return no_memory(m);
    m->stack[m->n_stack++] = v;
    return GEN_OK;
}

static gen_status push_new(machine *m, pickle_value value)
{
    pickle_value *v = gen_arena_alloc(m->arena, sizeof *v);
    if (++m->n_values > MAX_VALUES) return damaged(m, "more values than any model has");
    if (!v) return no_memory(m);
    *v = value;
    return push(m, v);
}

/* What lies above the last mark, or on the stack at all. */
static size_t above(const machine *m)
{
    return m->n_stack - (m->n_marks ? m->marks[m->n_marks - 1] : 0);
}

static gen_status pop(machine *m, pickle_value **v)
{
    if (!above(m)) return damaged(m, "a value is missing on its stack");
    *v = m->stack[--m->n_stack];
    return GEN_OK;
}

static gen_status append(machine *m, pickle_value *to, pickle_value *v)
{
    if (!grow(m, &to->item, to->n, &to->room)) return no_memory(m);
    to->item[to->n++] = v;
    return GEN_OK;
}

/* ---- opcodes --------------------------------------------------------------------------------------------------------------------- */

static gen_status push_text(machine *m, pickle_kind kind, size_t length)
{
    GEN_TRY(need(m, length));
    char *text = gen_arena_alloc(m->arena, length + 1);
    if (!text) return no_memory(m);
    memcpy(text, m->at, length);
    m->at += length;
    return push_new(m, (pickle_value){ .kind = kind, .text = text, .length = length });
}

static gen_status push_sized(machine *m, pickle_kind kind, int bytes)
{
    GEN_TRY(need(m, (size_t)bytes));
    uint64_t length = number(m, bytes);
    if (length > (uint64_t)(m->end - m->at)) return damaged(m, "a text is longer than the file");
    return push_text(m, kind, (size_t)length);
}

static gen_status push_integer(machine *m, int bytes, int is_signed)
{
    GEN_TRY(need(m, (size_t)bytes));
    uint64_t v = number(m, bytes);
    if (is_signed && bytes < 8 && v >> (8 * bytes - 1)) v |= ~(uint64_t)0 << 8 * bytes;
    return push_new(m, (pickle_value){ .kind = PICKLE_INT, .integer = (int64_t)v });
}

/* LONG1: as many bytes as its first byte says */
static gen_status push_long(machine *m)
{
    GEN_TRY(need(m, 1));
    int bytes = *m->at++;
    if (bytes > 8) return push_text(m, PICKLE_BIG, (size_t)bytes);
    if (!bytes) return push_new(m, (pickle_value){ .kind = PICKLE_INT });
    return push_integer(m, bytes, 1);
}

/* BINFLOAT is big endian. */
static gen_status push_float(machine *m)
{
    GEN_TRY(need(m, 8));
    uint64_t bits = 0;
    pickle_value v = { .kind = PICKLE_FLOAT };
    for (int i = 0; i < 8; i++) bits = bits << 8 | *m->at++;
    memcpy(&v.number, &bits, sizeof bits);
    return push_new(m, v);
}

/* Two lines, module and name, which become one text. */
static gen_status push_global(machine *m)
{
    const uint8_t *first = memchr(m->at, '\n', (size_t)(m->end - m->at));
    const uint8_t *second = first ? memchr(first + 1, '\n', (size_t)(m->end - first - 1)) : NULL;
    if (!second) return damaged(m, "the name of a class is cut short");
    GEN_TRY(push_text(m, PICKLE_GLOBAL, (size_t)(second - m->at)));
    char *text = (char *)(uintptr_t)m->stack[m->n_stack - 1]->text;
    for (char *c = text; *c; c++)
        if (*c == '\n') *c = ' ';
    m->at = second + 1;
    return GEN_OK;
}

/* The last n values become one list. */
static gen_status join(machine *m, size_t n)
{
    pickle_value list = { .kind = PICKLE_LIST };
    if (above(m) < n) return damaged(m, "a value is missing on its stack");
    for (size_t i = 0; i < n; i++) GEN_TRY(append(m, &list, m->stack[m->n_stack - n + i]));
    m->n_stack -= n;
    return push_new(m, list);
}

static gen_status mark(machine *m)
{
    if (m->n_marks == (int)(sizeof m->marks / sizeof *m->marks)) return damaged(m, "it is nested too deeply");
    m->marks[m->n_marks++] = m->n_stack;
    return GEN_OK;
}

static gen_status unmark(machine *m, size_t *n)
{
    if (!m->n_marks) return damaged(m, "a mark is missing");
    *n = above(m);
    m->n_marks--;
    return GEN_OK;
}

/* The last n values go into the list or dictionary below them. OrderedDict() is a call that gets items: as good as a dictionary. */
static gen_status put_items(machine *m, size_t n, pickle_kind kind)
{
    if (above(m) < n + 1) return damaged(m, "a value is missing on its stack");
    pickle_value *to = m->stack[m->n_stack - n - 1];
    int ordered = kind == PICKLE_DICT && to->kind == PICKLE_CALL && to->item[0]->kind == PICKLE_GLOBAL &&
                  !strcmp(to->item[0]->text, "collections OrderedDict");
    if (ordered) *to = (pickle_value){ .kind = PICKLE_DICT };
    if (kind == PICKLE_DICT && n % 2) return damaged(m, "a key without a value");
    for (size_t i = 0; i < n && to->kind == kind; i++) GEN_TRY(append(m, to, m->stack[m->n_stack - n + i]));
    m->n_stack -= n;
    return GEN_OK;
}

/* f(args), with state set: kept as it is */
static gen_status call(machine *m)
{
    pickle_value made = { .kind = PICKLE_CALL }, *args = NULL, *f = NULL;
    GEN_TRY(pop(m, &args));
    GEN_TRY(pop(m, &f));
    GEN_TRY(append(m, &made, f));
    GEN_TRY(append(m, &made, args));
    return push_new(m, made);
}

static gen_status persistent(machine *m)
{
    pickle_value made = { .kind = PICKLE_STORED }, *id = NULL;
    GEN_TRY(pop(m, &id));
    GEN_TRY(append(m, &made, id));
    return push_new(m, made);
}

static gen_status build(machine *m)
{
    pickle_value *state = NULL, *to = NULL;
    GEN_TRY(pop(m, &state));
    GEN_TRY(pop(m, &to));
    if (to->kind == PICKLE_CALL) GEN_TRY(append(m, to, state));
    return push(m, to);
}

static gen_status remember(machine *m, int bytes)
{
    GEN_TRY(need(m, (size_t)bytes));
    uint64_t place = bytes ? number(m, bytes) : m->n_memo; /* MEMOIZE: the next one */
    if (!above(m)) return damaged(m, "there is nothing to remember");
    if (place >= MAX_MEMO) return damaged(m, "it remembers too much");
    while (m->n_memo <= place) {
        if (!grow(m, &m->memo, m->n_memo, &m->room_memo)) return no_memory(m);
        m->memo[m->n_memo++] = NULL;
    }
    m->memo[place] = m->stack[m->n_stack - 1];
    return GEN_OK;
}

static gen_status recall(machine *m, int bytes)
{
    GEN_TRY(need(m, (size_t)bytes));
    uint64_t place = number(m, bytes);
    if (place >= m->n_memo || !m->memo[place]) return damaged(m, "it names a value that it has not remembered");
    return push(m, m->memo[place]);
}

// clang-format off
static gen_status step(machine *m, int op)
{
    size_t n = 0;
    pickle_value *dropped;
    switch (op) {
    case 0x80: GEN_TRY(need(m, 1)); m->at++; return GEN_OK;            /* PROTO */
    case 0x95: GEN_TRY(need(m, 8)); m->at += 8; return GEN_OK;         /* FRAME */
    case '(': return mark(m);
    case '}': return push_new(m, (pickle_value){ .kind = PICKLE_DICT });
    case ']': case ')': return push_new(m, (pickle_value){ .kind = PICKLE_LIST });
    case 'N': return push_new(m, (pickle_value){ .kind = PICKLE_NONE });
    case 0x88: case 0x89: return push_new(m, (pickle_value){ .kind = PICKLE_INT, .integer = op == 0x88 });
    case 'J': return push_integer(m, 4, 1);
    case 'K': return push_integer(m, 1, 0);
    case 'M': return push_integer(m, 2, 0);
    case 0x8a: return push_long(m);
    case 'G': return push_float(m);
    case 'X': return push_sized(m, PICKLE_STRING, 4);
    case 0x8c: case 'U': case 'C': return push_sized(m, PICKLE_STRING, 1);
    case 'T': case 'B': return push_sized(m, PICKLE_STRING, 4);
    case 'c': return push_global(m);
    case 't': case 'l': GEN_TRY(unmark(m, &n)); return join(m, n);
    case 0x85: case 0x86: case 0x87: return join(m, (size_t)(op - 0x84));
    case 'a': return put_items(m, 1, PICKLE_LIST);
    case 'e': GEN_TRY(unmark(m, &n)); return put_items(m, n, PICKLE_LIST);
    case 's': return put_items(m, 2, PICKLE_DICT);
    case 'u': GEN_TRY(unmark(m, &n)); return put_items(m, n, PICKLE_DICT);
    case 'R': case 0x81: return call(m);
    case 'b': return build(m);
    case 'Q': return persistent(m);
    case 'q': return remember(m, 1);
    case 'r': return remember(m, 4);
    case 0x94: return remember(m, 0);
    case 'h': return recall(m, 1);
    case 'j': return recall(m, 4);
    case '0': return pop(m, &dropped);
    default: return gen_fail(m->err, GEN_UNSUPPORTED, "pickle: its opcode 0x%02x is not one that torch.save writes", op);
    }
}
// clang-format on

gen_status pickle_read(const uint8_t *data, size_t size, gen_arena *arena, pickle_value **out, size_t *used,
                       gen_error *err)
{
    machine m = { .at = data, .end = data + size, .arena = arena, .err = err };
    for (;;) {
        GEN_TRY(need(&m, 1));
        int op = *m.at++;
        if (op == '.') break;
        GEN_TRY(step(&m, op));
    }
    GEN_TRY(pop(&m, out));
    *used = (size_t)(m.at - data);
    return GEN_OK;
}
