/*
 * One blob's envelope: picks the format, lays the stored bytes out in stretches, and gives the
 * verdict.
 *
 * The stored size comes from the storage service, the metadata from whoever could write the blob:
 * both are hostile. Sizes are bounded by STORED_SIZE_MAX before any arithmetic. The verdict is the
 * only place that calls a blob whole: it wants every stored byte in a finished stretch, once.
 */
#include "envelope/internal.h"

#include <inttypes.h>

static const struct format *const formats[] = {
    [ENVELOPE_CSE] = &format_cse2,
    [ENVELOPE_CSE_V1] = &format_cse1,
    [ENVELOPE_AES_GCM] = &format_gcm,
    [ENVELOPE_PLAIN] = &format_plain,
};

static enum status envelope_new(struct envelope **out, struct error *e)
{
    struct envelope *v = memory_new(sizeof(*v));
    if (v == NULL)
        return fail(e, E_BUG, "no memory for an envelope");
    *v = (struct envelope){0};
    atomic_init(&v->encodings, NONCE_ANY);
    atomic_init(&v->plain_seen, 0);
    coverage_init(&v->coverage);
    *out = v;
    return OK;
}

enum status envelope_open(enum envelope_format format, const struct envelope_metadata *metadata,
                          const struct kek *kek, uint64_t stored_size, struct envelope **out,
                          struct error *e)
{
    if ((size_t)format >= COUNT(formats))
        return fail(e, E_BUG, "there is no envelope format %d", (int)format);
    const struct format *f = formats[format];
    if ((f->needs_metadata && metadata == NULL) || (f->needs_key && kek == NULL))
        return fail(e, E_BUG, "an envelope was opened without its metadata or key");
    if (stored_size > STORED_SIZE_MAX)
        return fail(e, E_NOT_AUTHENTIC, "no blob has %" PRIu64 " bytes", stored_size);

    AUTO(envelope_close) struct envelope *v = NULL;
    TRY(envelope_new(&v, e));
    v->format = f;
    v->stored_size = stored_size;
    TRY(f->open(v, metadata, kek, e));
    *out = v;
    v = NULL;
    return OK;
}

void envelope_close(struct envelope **envelope)
{
    struct envelope *v = *envelope;
    *envelope = NULL;
    if (v == NULL)
        return;
    secret_free(&v->key);
    coverage_free(&v->coverage);
    memory_free(v);
}

uint64_t envelope_plain_size(const struct envelope *envelope)
{
    return envelope->plain_size;
}

const char *envelope_name(enum envelope_format format, const struct envelope_metadata *metadata)
{
    const struct protocol *protocol = metadata != NULL ? protocol_find(metadata->protocol) : NULL;
    if (protocol != NULL)
        return protocol->name;
    return format == ENVELOPE_AES_GCM ? "aes-gcm" : "plain";
}

/* The nearest number of whole units: 8 MiB are two regions of 4 MiB and 28 bytes, not one. */
static uint64_t units_in(uint64_t wanted, uint64_t unit_size)
{
    uint64_t units = wanted / unit_size;
    uint64_t rest = wanted % unit_size;
    if (rest >= unit_size - rest)
        units++;
    return units > 0 ? units : 1;
}

bool envelope_span(const struct envelope *envelope, uint64_t wanted, uint64_t i,
                   struct envelope_span *out)
{
    const uint64_t unit = envelope->unit_size, overhead = envelope->unit_overhead;
    if (envelope->stored_size == 0)
        return false;
    uint64_t step = 0, at = 0;
    if (__builtin_mul_overflow(units_in(wanted, unit), unit, &step) || step > STORED_SIZE_MAX)
        step = (STORED_SIZE_MAX / unit + 1) * unit; /* everything in one */
    if (__builtin_mul_overflow(i, step, &at) || at >= envelope->stored_size)
        return false;

    uint64_t left = envelope->stored_size - at;
    uint64_t size = left < step ? left : step;
    uint64_t units = size / unit + (size % unit != 0);
    *out = (struct envelope_span){
        .stored_at = at,
        .stored_size = size,
        .plain_at = at / unit * (unit - overhead),
        .plain_size = size - units * overhead,
    };
    return true;
}

enum status envelope_verdict(struct envelope *envelope, uint64_t *plain_size, struct error *e)
{
    if (!coverage_is(&envelope->coverage, envelope->stored_size))
        return fail(e, E_NOT_AUTHENTIC,
                    "not all of the blob's %" PRIu64 " bytes were read and verified",
                    envelope->stored_size);
    if (envelope->is_ordered && atomic_load(&envelope->encodings) == 0)
        return fail(e, E_NOT_AUTHENTIC, "the blob's regions are not in one writer's order");
    enum status status = envelope->format == &format_cse1 ? cse1_verdict(envelope, e) : OK;
    *plain_size = envelope->plain_size;
    return status;
}
