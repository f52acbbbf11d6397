/* The metadata item `encryptiondata`: the first byte picks what the job asks for. */
#include "envelope/envelope.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    enum envelope_format format = (enum envelope_format)(take_byte(&in) % 4);
    AUTO(text_free) char *text = in.size > 0 ? strndup((const char *)in.data, in.size) : NULL;
    struct envelope_metadata m;
    struct error e = {0};
    memset(&m, 0xa5, sizeof m);
    enum status status = envelope_metadata_parse(text, format, &m, &e);
    must_fail_as(status, &e, E_NOT_AUTHENTIC, E_BUG);
    must(status != E_BUG || format == ENVELOPE_AES_GCM || format == ENVELOPE_PLAIN);
    if (status != OK)
        return 0;
    must(strnlen(m.protocol, sizeof m.protocol) == 3 && strnlen(m.kid, sizeof m.kid) > 0);
    must(strlen(m.kid) < sizeof m.kid && strlen(m.library) < sizeof m.library);
    must(m.wrapped_size > 0 && m.wrapped_size <= sizeof m.wrapped);
    must(format == ENVELOPE_CSE_V1 || (m.region_size > 0 && m.region_size <= UINT64_C(1) << 30));
    must(strcmp(envelope_name(format, &m), format == ENVELOPE_CSE_V1 ? "cse-1.0"
                                           : m.protocol[2] == '0'    ? "cse-2.0"
                                                                     : "cse-2.1") == 0);
    return 0;
}
