/* io/pickle.h: Python's pickle as values in an arena, for io/pth.c. Protocol 2 as torch.save writes it; nothing is ever called.
 *
 *     pickle_value *v; size_t used;
 *     GEN_TRY(pickle_read(data, size, arena, &v, &used, err));       // used: bytes up to and with STOP
 */
#ifndef GEN_IO_PICKLE_H
#define GEN_IO_PICKLE_H

#include "core/gen.h"

typedef enum pickle_kind {
    PICKLE_NONE, /* also what this reader does not know */
    PICKLE_INT,  /* integer; booleans are 0 and 1 */
    PICKLE_BIG,  /* an integer of more than 8 bytes: text holds them, little endian */
    PICKLE_FLOAT,
    PICKLE_STRING, /* text, length */
    PICKLE_GLOBAL, /* text: "module name" */
    PICKLE_LIST,   /* and tuples, sets: item[n] */
    PICKLE_DICT,   /* item[2 i] key, item[2 i + 1] value: n items */
    PICKLE_CALL,   /* item[0] of item[1], never made; item[2] its state where there is one */
    PICKLE_STORED, /* a persistent id: item[0] */
} pickle_kind;

typedef struct pickle_value {
    pickle_kind kind;
    int64_t integer;
    double number;
    const char *text; /* ends with a zero that length does not count */
    size_t length;
    struct pickle_value **item;
    size_t n, room;
} pickle_value;

gen_status pickle_read(const uint8_t *data, size_t size, gen_arena *arena, pickle_value **out, size_t *used,
                       gen_error *err);

#endif
