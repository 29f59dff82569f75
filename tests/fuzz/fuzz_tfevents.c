/* Event files. The checksums of a record are put right first, or no mutation would get past them. */
#include "io/tfevents.h"

#include <stdlib.h>
#include <string.h>

static int ignore(void *context, const gen_tfevent *event)
{
    *(size_t *)context += strlen(event->tag) + event->png.size;
    return 0;
}

static void put_crc(uint8_t *to, const uint8_t *from, size_t n)
{
    uint32_t crc = gen_crc32c(from, n);
    crc = (crc >> 15 | crc << 17) + 0xa282ead8U;
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(crc >> (8 * i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t sum = 0, offset;
    uint8_t *record = calloc(1, size + 16);
    if (!record) return 0;
    for (int i = 0; i < 8; i++) record[i] = (uint8_t)((uint64_t)size >> (8 * i));
    if (size) memcpy(record + 12, data, size);
    put_crc(record + 8, record, 8);
    put_crc(record + 12 + size, record + 12, size);
    gen_tfevents_read(record, size + 16, ignore, &sum, NULL, NULL);
    gen_tfevents_offset_after(data, size, 3, &offset, NULL);
    free(record);
    return 0;
}
