/*
 * The value of the blob's metadata item `encryptiondata`: JSON, as the Azure Storage SDKs write it.
 *
 * Whoever can write the blob can write this: all of it is hostile. A blob is refused unless its
 * metadata says, without contradiction, that it is of the version the job asked for; what looks
 * like another system's format is told by name. Member names are compared exactly, as the Python
 * and Java SDKs do; order does not matter, unknown members are skipped.
 */
#include "envelope/internal.h"

#include <inttypes.h>
#include <string.h>

enum {
    TEXT_MAX = 8 * 1024, /* what the service allows for all metadata of a blob */
};

/* The objects of the JSON; NULL where absent, null or of another type. */
struct tree {
    const struct cJSON *root, *wrapped, *agent, *region, *library;
};

static struct tree tree_of(const struct cJSON *root)
{
    return (struct tree){
        .root = root,
        .wrapped = json_object(root, "WrappedContentKey"),
        .agent = json_object(root, "EncryptionAgent"),
        .region = json_object(root, "EncryptedRegionInfo"),
        .library = json_object(root, "KeyWrappingMetadata"),
    };
}

static bool member_is(const struct cJSON *object, const char *name, const char *text)
{
    const char *is = json_text(object, name);
    return is != NULL && strcmp(is, text) == 0;
}

/* Snowflake's stages use the same item and nearly the same JSON for a format of their own. */
static bool is_snowflake(const struct tree *t)
{
    return member_is(t->wrapped, "KeyId", "symmKey1") ||
           member_is(t->wrapped, "Algorithm", "AES_CBC_256") ||
           member_is(t->wrapped, "Algorithm", "AES_GCM") ||
           member_is(t->wrapped, "Algorithm", "AES_GCM_256") ||
           json_member(t->root, "matdesc") != NULL;
}

/* Previews of 2022 described regions in two other ways; neither was ever released. */
static bool is_preview(const struct tree *t)
{
    return json_member(t->root, "AuthenticationBlockInfo") != NULL ||
           json_member(t->root, "EncryptedRegionDataLength") != NULL ||
           json_member(t->root, "TagLength") != NULL ||
           json_member(t->region, "EncryptedRegionDataLength") != NULL ||
           json_member(t->region, "TagLength") != NULL;
}

static enum status refuse_others(const struct tree *t, struct error *e)
{
    enum status status = OK;
    if (is_snowflake(t)) {
        status = fail(e, E_NOT_AUTHENTIC,
                      "encryptiondata is Snowflake's, not that of an Azure Storage SDK");
        advise(
            e,
            "Unload the data from Snowflake to a stage without client-side encryption, then encrypt it with "
            "an Azure SDK");
    } else if (is_preview(t)) {
        status = fail(
            e, E_NOT_AUTHENTIC,
            "encryptiondata is in the form of a 2022 preview of the SDKs that was never released");
        advise(e, "Encrypt the blob again with a released SDK, version 2.0");
    }
    return status;
}

static enum status refuse_missing(enum envelope_format format, struct error *e)
{
    enum status status =
        fail(e, E_NOT_AUTHENTIC,
             "the blob has no encryption metadata (encryptiondata): it is not encrypted, or the "
             "metadata was lost");
    if (format == ENVELOPE_CSE)
        advise(
            e,
            "Upload it again encrypted (the SDKs need require_encryption); if it is meant to be plain, give the "
            "input \"format\": \"plain\"");
    else
        advise(
            e,
            "Upload it again encrypted, with version 2.0; if it is meant to be plain, give the input \"format\": "
            "\"plain\"");
    return status;
}

/* The text of a member that must be there. */
static enum status need_text(const struct cJSON *object, const char *where, const char *name,
                             const char **out, struct error *e)
{
    const char *text = json_text(object, name);
    if (text == NULL)
        return fail(e, E_NOT_AUTHENTIC, "encryptiondata: %s%s is missing or not a string", where,
                    name);
    *out = text;
    return OK;
}

static enum status refuse_version(const struct protocol *p, struct error *e)
{
    enum status status = OK;
    if (p->format == ENVELOPE_CSE_V1) {
        status = fail(
            e, E_NOT_AUTHENTIC,
            "the blob is encrypted with version 1.0 (AES-CBC), where changes cannot be noticed");
        advise(
            e,
            "Encrypt it again with version 2.0; if it must be read as it is, give the input \"format\": \"cse-v1\" "
            "and its \"sha256\"");
    } else {
        status =
            fail(e, E_NOT_AUTHENTIC,
                 "the blob is encrypted with version %s, but the job asks for cse-v1", p->number);
        advise(e, "Give the input \"format\": \"cse\", or leave it out");
    }
    return status;
}

static enum status parse_agent(const struct tree *t, enum envelope_format format,
                               struct envelope_metadata *m, struct error *e)
{
    const char *number = NULL, *algorithm = NULL;
    TRY(need_text(t->agent, "EncryptionAgent.", "Protocol", &number, e));
    TRY(need_text(t->agent, "EncryptionAgent.", "EncryptionAlgorithm", &algorithm, e));
    const struct protocol *p = protocol_find(number);
    if (p == NULL) {
        enum status status =
            fail(e, E_NOT_AUTHENTIC, "encryptiondata: unknown protocol \"%.16s\"", number);
        advise(e, "Versions 2.0 and 2.1 can be read, and 1.0 on demand");
        return status;
    }
    if (strcmp(p->algorithm, algorithm) != 0)
        return fail(e, E_NOT_AUTHENTIC,
                    "encryptiondata: protocol %s goes with %s, not with \"%.40s\"", p->number,
                    p->algorithm, algorithm);
    if (p->format != format)
        return refuse_version(p, e);
    memcpy(m->protocol, p->number, strlen(p->number));
    return OK;
}

/* No control characters, neither ASCII's nor those of Unicode's C1: key ids end up in logs and on
 * terminals. */
static bool is_printable(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    for (; *s != 0; s++)
        if (*s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0))
            return false;
    return true;
}

static enum status parse_base64(const char *name, const char *text, uint8_t *out, size_t room,
                                size_t *size, struct error *e)
{
    const struct span encoded = span_text(text);
    if (encoded.size > (room + 2) / 3 * 4)
        return fail(e, E_NOT_AUTHENTIC, "encryptiondata: %s is longer than %zu bytes", name, room);
    AUTO(buf_free) struct buf bytes = BUF(room + 2);
    if (base64_decode(encoded, BASE64, &bytes, E_NOT_AUTHENTIC, e) != OK)
        return wrap(e, "encryptiondata: %s", name);
    if (bytes.size == 0 || bytes.size > room)
        return fail(e, E_NOT_AUTHENTIC, "encryptiondata: %s has %zu bytes, allowed are 1 to %zu",
                    name, bytes.size, room);
    memcpy(out, bytes.data, bytes.size);
    *size = bytes.size;
    return OK;
}

static enum status parse_wrapped(const struct tree *t, struct envelope_metadata *m, struct error *e)
{
    const char *kid = NULL, *algorithm = NULL, *key = NULL;
    TRY(need_text(t->wrapped, "WrappedContentKey.", "KeyId", &kid, e));
    TRY(need_text(t->wrapped, "WrappedContentKey.", "Algorithm", &algorithm, e));
    TRY(need_text(t->wrapped, "WrappedContentKey.", "EncryptedKey", &key, e));

    const size_t n = strlen(kid);
    if (n == 0 || n >= sizeof(m->kid) || !is_printable(kid))
        return fail(e, E_NOT_AUTHENTIC,
                    "encryptiondata: KeyId is empty, longer than %zu bytes or not printable",
                    sizeof(m->kid) - 1);
    TRY(wrapping_check(algorithm, e));
    if (strlen(algorithm) >= sizeof(m->algorithm))
        return fail(e, E_BUG, "the name of a wrapping algorithm is too long");
    memcpy(m->kid, kid, n);
    memcpy(m->algorithm, algorithm, strlen(algorithm));
    return parse_base64("EncryptedKey", key, m->wrapped, sizeof(m->wrapped), &m->wrapped_size, e);
}

/* 2.x: how the blob is cut into regions, and nothing of 1.0. */
static enum status parse_regions(const struct tree *t, struct envelope_metadata *m, struct error *e)
{
    uint64_t data = 0, nonce = 0;
    if (json_text(t->root, "ContentEncryptionIV") != NULL)
        return fail(e, E_NOT_AUTHENTIC,
                    "encryptiondata: version %s has no ContentEncryptionIV: it was relabelled",
                    m->protocol);
    if (t->region == NULL)
        return fail(e, E_NOT_AUTHENTIC, "encryptiondata: EncryptedRegionInfo is missing");
    if (!json_number(t->region, "DataLength", &data) || data < 1 || data > REGION_SIZE_MAX)
        return fail(
            e, E_NOT_AUTHENTIC,
            "encryptiondata: DataLength is missing or not a whole number from 1 to %" PRIu64,
            REGION_SIZE_MAX);
    if (!json_number(t->region, "NonceLength", &nonce) || nonce != NONCE_SIZE)
        return fail(e, E_NOT_AUTHENTIC, "encryptiondata: NonceLength is missing or not %d",
                    NONCE_SIZE);
    m->region_size = data;
    return OK;
}

/* 1.0: the initialization vector of the whole blob, and nothing of 2.x. */
static enum status parse_iv(const struct tree *t, struct envelope_metadata *m, struct error *e)
{
    const char *text = NULL;
    size_t size = 0;
    if (t->region != NULL)
        return fail(e, E_NOT_AUTHENTIC,
                    "encryptiondata: version 1.0 has no EncryptedRegionInfo: it was relabelled");
    TRY(need_text(t->root, "", "ContentEncryptionIV", &text, e));
    TRY(parse_base64("ContentEncryptionIV", text, m->iv, sizeof(m->iv), &size, e));
    if (size != sizeof(m->iv))
        return fail(e, E_NOT_AUTHENTIC,
                    "encryptiondata: ContentEncryptionIV has %zu bytes, not %zu", size,
                    sizeof(m->iv));
    return OK;
}

/* For information only, so never a reason to refuse: cut to what fits, between characters. */
static void parse_library(const struct tree *t, struct envelope_metadata *m)
{
    const char *text = json_text(t->library, "EncryptionLibrary");
    if (text == NULL || !is_printable(text))
        return;
    size_t n = strlen(text);
    if (n >= sizeof(m->library)) {
        n = sizeof(m->library) - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(m->library, text, n);
}

static enum status parse_tree(const struct tree *t, enum envelope_format format,
                              struct envelope_metadata *m, struct error *e)
{
    TRY(refuse_others(t, e));
    TRY(parse_agent(t, format, m, e));
    TRY(parse_wrapped(t, m, e));
    TRY(format == ENVELOPE_CSE ? parse_regions(t, m, e) : parse_iv(t, m, e));
    parse_library(t, m);
    return OK;
}

enum status envelope_metadata_parse(const char *text, enum envelope_format format,
                                    struct envelope_metadata *out, struct error *e)
{
    if (format != ENVELOPE_CSE && format != ENVELOPE_CSE_V1)
        return fail(e, E_BUG, "only client-side encryption has metadata");
    if (text == NULL)
        return refuse_missing(format, e);
    const struct span bytes = span_text(text);
    if (bytes.size > TEXT_MAX)
        return fail(e, E_NOT_AUTHENTIC, "encryptiondata has more than %d bytes", TEXT_MAX);
    AUTO(json_free) struct cJSON *root = NULL;
    if (json_parse(bytes, E_NOT_AUTHENTIC, &root, e) != OK)
        return wrap(e, "encryptiondata");
    const struct tree tree = tree_of(root);
    struct envelope_metadata m = {0};
    TRY(parse_tree(&tree, format, &m, e));
    *out = m;
    return OK;
}
