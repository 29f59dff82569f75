/* JSON text. */
#include "io/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_json *json = NULL;
    gen_json_parse(data, size, &json, NULL);
    gen_json_free(json);
    return 0;
}
