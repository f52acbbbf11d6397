/* A manifest that its owner pinned, and yet may have written badly. */
#include <cjson/cJSON.h>

#include "fuzz.h"
#include "job/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(manifest_free) struct manifest *manifest = NULL;
    struct error e = {0};
    uint8_t pin[SHA256_SIZE];
    must(sha256(span_of(data, size), pin, &e) == OK);
    enum status status = manifest_parse(span_of(data, size), pin, &manifest, &e);
    must_fail_as(status, &e, E_MISMATCH);
    if (status == OK) {
        const struct manifest_line *first = manifest_unseen(manifest);
        must(first == NULL || manifest_find(manifest, first->name) == first);
    }
    pin[0] ^= 1;
    AUTO(manifest_free) struct manifest *other = NULL;
    must(manifest_parse(span_of(data, size), pin, &other, &e) == E_MISMATCH);
    return 0;
}
