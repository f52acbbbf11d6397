/*
 * The endorsement of the utility VM ("reference info"): a COSE_Sign1 (RFC 9052) with the signer's
 * certificates in header 33 (RFC 9360), over JSON that names a launch measurement and its version.
 * Its issuer is a did:x509 (Trusted Computing Group's draft): the digest of an authority in the
 * chain, and an extended key usage that the signer has.
 *
 * All of it is hostile: it lies beside the container, written by the host.
 */
#include "inspect/internal.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "inspect/cbor.h"

#define PS384        (-38) /* RFC 8230 */
#define TAG_SIGN1    18
#define TAG_TIME     1
#define HEADER_ALG   1
#define HEADER_CHAIN 33
#define EKU_UVM      "1.3.6.1.4.1.311.76.59.1.2"
/* Who signs the utility VMs of confidential ACI (facts that Microsoft publishes with the policy
 * tools: the issuer in every container policy's fragment rules). */
#define CA_DIGEST "I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s"
#define ISSUER    "did:x509:0:sha256:" CA_DIGEST "::eku:" EKU_UVM

static enum status broken(const char *what, struct error *e)
{
    return fail(e, E_NO_EVIDENCE, "the endorsement is no COSE_Sign1: %s", what);
}

static int64_t number_of(const struct cbor_item *item)
{
    if (item->value > INT32_MAX)
        return 0;
    return item->type == CBOR_NEGATIVE ? -1 - (int64_t)item->value : (int64_t)item->value;
}

/* One certificate, or a list of them. */
static bool take_chain(struct span *rest, struct cose *out)
{
    struct cbor_item item = {0};
    if (!cbor_take(rest, &item))
        return false;
    uint64_t n = item.type == CBOR_ARRAY ? item.value : 1;
    if ((item.type != CBOR_ARRAY && item.type != CBOR_BYTES) || n == 0 ||
        n > COUNT(out->certificates))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (item.type == CBOR_ARRAY) {
            struct cbor_item one = {0};
            if (!cbor_expect(rest, CBOR_BYTES, &one))
                return false;
            out->certificates[i] = one.content;
        } else {
            out->certificates[i] = item.content;
        }
    }
    out->n_certificates = (size_t)n;
    return true;
}

static bool take_time(struct span *rest, struct cose *out)
{
    struct cbor_item tag = {0}, time = {0};
    if (!cbor_expect(rest, CBOR_TAG, &tag) || tag.value != TAG_TIME ||
        !cbor_expect(rest, CBOR_UNSIGNED, &time) || time.value > (uint64_t)INT64_MAX / 2)
        return false;
    out->signing_time_s = (int64_t)time.value;
    return true;
}

static bool take_algorithm(struct span *rest, struct cose *out)
{
    struct cbor_item value = {0};
    if (!cbor_take(rest, &value) || (value.type != CBOR_UNSIGNED && value.type != CBOR_NEGATIVE))
        return false;
    out->algorithm = number_of(&value);
    return true;
}

/* The members that count; the rest is passed over. */
static bool take_member(struct span *rest, struct cose *out)
{
    struct cbor_item key = {0}, value = {0};
    if (!cbor_take(rest, &key))
        return false;
    if (key.type == CBOR_UNSIGNED && key.value == HEADER_ALG)
        return take_algorithm(rest, out);
    if (key.type == CBOR_UNSIGNED && key.value == HEADER_CHAIN)
        return take_chain(rest, out);
    if (key.type == CBOR_TEXT && span_is(key.content, "signingtime"))
        return take_time(rest, out);
    if (key.type == CBOR_TEXT && (span_is(key.content, "iss") || span_is(key.content, "feed"))) {
        if (!cbor_expect(rest, CBOR_TEXT, &value))
            return false;
        *(span_is(key.content, "iss") ? &out->issuer : &out->feed) = value.content;
        return true;
    }
    return (key.type == CBOR_UNSIGNED || key.type == CBOR_NEGATIVE || key.type == CBOR_TEXT) &&
           cbor_skip(rest);
}

static enum status read_header(struct cose *out, struct error *e)
{
    struct span rest = out->protected_header;
    struct cbor_item map = {0};
    if (!cbor_expect(&rest, CBOR_MAP, &map) || map.value > rest.size)
        return broken("its protected header is no map", e);
    for (uint64_t i = 0; i < map.value; i++)
        if (!take_member(&rest, out))
            return broken("a member of its protected header cannot be read", e);
    if (rest.size != 0)
        return broken("something follows its protected header", e);
    if (out->n_certificates == 0)
        return broken("it has no certificates", e);
    return OK;
}

enum status cose_parse(struct span bytes, struct cose *out, struct error *e)
{
    struct cose cose = {0};
    struct span rest = bytes, *const parts[] = {&cose.protected_header, NULL, &cose.payload,
                                                &cose.signature};
    struct cbor_item item = {0};
    if (!cbor_take(&rest, &item) ||
        (item.type == CBOR_TAG && (item.value != TAG_SIGN1 || !cbor_take(&rest, &item))) ||
        item.type != CBOR_ARRAY || item.value != COUNT(parts))
        return broken("it is no list of four", e);
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (parts[i] == NULL ? !cbor_skip(&rest) : !cbor_expect(&rest, CBOR_BYTES, &item))
            return broken("one of its four parts cannot be read", e);
        if (parts[i] != NULL)
            *parts[i] = item.content;
    }
    if (rest.size != 0)
        return broken("something follows it", e);
    TRY(read_header(&cose, e));
    *out = cose;
    return OK;
}

/* ---- Verifying ---- */

static void x509_free(X509 **certificate)
{
    X509_free(*certificate);
    *certificate = NULL;
}

static void digest_free(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
    *context = NULL;
}

static enum status certificate_at(const struct cose *cose, size_t i, X509 **out, struct error *e)
{
    struct span der = cose->certificates[i];
    const unsigned char *at = der.data;
    X509 *certificate = der.size <= INT32_MAX ? d2i_X509(NULL, &at, (long)der.size) : NULL;
    if (certificate == NULL || at != der.data + der.size) {
        X509_free(certificate);
        return fail_openssl(e, E_NO_EVIDENCE, "certificate %zu of the endorsement is none", i + 1);
    }
    *out = certificate;
    return OK;
}

/* The head of a byte string of SIZE bytes. */
static enum status add_head(size_t size, struct buf *out, struct error *e)
{
    const uint8_t head[] = {0x5a, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
                            (uint8_t)(size >> 8), (uint8_t)size};
    const uint8_t middle[] = {0x59, (uint8_t)(size >> 8), (uint8_t)size};
    const uint8_t small[] = {size < 24 ? (uint8_t)(0x40 | size) : 0x58, (uint8_t)size};
    if (size > UINT16_MAX)
        return buf_add(out, span_of(head, sizeof head), e);
    if (size > UINT8_MAX)
        return buf_add(out, span_of(middle, sizeof middle), e);
    return buf_add(out, span_of(small, size < 24 ? 1 : 2), e);
}

/* RFC 9052, section 4.4: ["Signature1", protected header, external data (none), payload]. */
static enum status signed_text(const struct cose *cose, struct buf *out, struct error *e)
{
    TRY(buf_add(out, SPAN_LITERAL("\x84\x6aSignature1"), e));
    TRY(add_head(cose->protected_header.size, out, e));
    TRY(buf_add(out, cose->protected_header, e));
    TRY(buf_add(out, SPAN_LITERAL("\x40"), e));
    TRY(add_head(cose->payload.size, out, e));
    return buf_add(out, cose->payload, e);
}

static enum status pss_verify(EVP_PKEY *key, struct span text, struct span signature,
                              struct error *e)
{
    AUTO(digest_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding = NULL;
    if (key == NULL || !EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < 2048)
        return fail(e, E_NO_EVIDENCE, "the endorsement's signer has no RSA key of 2048 bits");
    if (context == NULL ||
        EVP_DigestVerifyInit(context, &padding, EVP_sha384(), NULL, key) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) != 1)
        return fail_openssl(e, E_BUG, "cannot start to verify the endorsement");
    if (EVP_DigestVerify(context, signature.data, signature.size, text.data, text.size) != 1)
        return fail_openssl(e, E_NO_EVIDENCE, "the endorsement's signature does not verify");
    return OK;
}

enum status cose_signature_verify(const struct cose *cose, struct error *e)
{
    AUTO(x509_free) X509 *signer = NULL;
    AUTO(buf_free) struct buf text = BUF(THING_MAX);
    if (cose->algorithm != PS384)
        return fail(e, E_NO_EVIDENCE, "the endorsement's algorithm is %lld; only PS384 is known here",
                    (long long)cose->algorithm);
    TRY(certificate_at(cose, 0, &signer, e));
    TRY(signed_text(cose, &text, e));
    return pss_verify(X509_get0_pubkey(signer), buf_span(&text), cose->signature, e);
}

/* At the time of signing: such certificates live shorter than what they sign. */
static bool in_date(const X509 *certificate, int64_t at_s)
{
    time_t at = (time_t)at_s;
    return at_s == 0 || (X509_cmp_time(X509_get0_notBefore(certificate), &at) < 0 &&
                         X509_cmp_time(X509_get0_notAfter(certificate), &at) > 0);
}

enum status cose_chain_verify(const struct cose *cose, struct error *e)
{
    for (size_t i = 0; i < cose->n_certificates; i++) {
        AUTO(x509_free) X509 *certificate = NULL;
        AUTO(x509_free) X509 *issuer = NULL;
        bool last = i + 1 == cose->n_certificates;
        TRY(certificate_at(cose, i, &certificate, e));
        TRY(certificate_at(cose, last ? i : i + 1, &issuer, e));
        EVP_PKEY *key = X509_get0_pubkey(issuer);
        if (X509_check_ca(issuer) == 0)
            return fail(e, E_NO_EVIDENCE, "certificate %zu of the endorsement is no authority",
                        last ? i + 1 : i + 2);
        if (key == NULL || X509_verify(certificate, key) != 1)
            return fail_openssl(e, E_NO_EVIDENCE,
                                "certificate %zu of the endorsement is not signed by the next",
                                i + 1);
        if (!in_date(certificate, cose->signing_time_s))
            return fail(e, E_NO_EVIDENCE,
                        "certificate %zu of the endorsement was not in date when it signed", i + 1);
    }
    return OK;
}

static bool has_usage(X509 *certificate, const char *wanted)
{
    bool found = false;
    EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(certificate, NID_ext_key_usage, NULL, NULL);
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
        char name[80] = "";
        (void)OBJ_obj2txt(name, sizeof name, sk_ASN1_OBJECT_value(usages, i), 1);
        found = found || strcmp(name, wanted) == 0;
    }
    EXTENDED_KEY_USAGE_free(usages);
    return found;
}

static enum status has_authority(const struct cose *cose, bool *out, struct error *e)
{
    for (size_t i = 1; i < cose->n_certificates; i++) {
        AUTO(buf_free) struct buf text = BUF(64);
        uint8_t digest[SHA256_SIZE];
        TRY(sha256(cose->certificates[i], digest, e));
        TRY(base64_encode(span_of(digest, sizeof digest), BASE64URL, &text, e));
        *out = *out || span_is(buf_span(&text), CA_DIGEST);
    }
    return OK;
}

enum status cose_issuer_verify(const struct cose *cose, struct error *e)
{
    AUTO(x509_free) X509 *signer = NULL;
    bool authority = false;
    if (!span_is(cose->issuer, ISSUER))
        return fail(e, E_NO_EVIDENCE, "the issuer is not Microsoft's for these utility VMs: %.*s",
                    (int)(cose->issuer.size < 200 ? cose->issuer.size : 200),
                    (const char *)cose->issuer.data);
    TRY(has_authority(cose, &authority, e));
    if (!authority)
        return fail(e, E_NO_EVIDENCE, "no authority of the chain is the one that the issuer names");
    TRY(certificate_at(cose, 0, &signer, e));
    if (!has_usage(signer, EKU_UVM))
        return fail(e, E_NO_EVIDENCE, "the signer's certificate is not for utility VMs");
    return OK;
}

/* ---- Findings ---- */

static enum status note_payload(struct subject *s, const struct cose *cose, struct span measurement,
                                struct error *e)
{
    AUTO(json_free) struct cJSON *json = NULL;
    AUTO(buf_free) struct buf hex = BUF(256);
    struct error why = {0};
    TRY(json_parse(cose->payload, E_NO_EVIDENCE, &json, e));
    const char *endorsed = json_text(json, "x-ms-sevsnpvm-launchmeasurement");
    const char *svn = json_text(json, "x-ms-sevsnpvm-guestsvn");
    TRY(finding_note(s->findings, "endorsed version", e, "%s", svn != NULL ? svn : "it does not say"));
    if (measurement.size == 0 || endorsed == NULL)
        return finding_note(s->findings, "endorsed measurement", e, "%s",
                            endorsed != NULL ? endorsed : "it does not say");
    TRY(hex_encode(measurement, &hex, e));
    enum status status = OK;
    if (!span_is(buf_span(&hex), endorsed))
        status = fail(&why, E_NO_EVIDENCE, "%s, which is not the report's", endorsed);
    return finding_check(s->findings, "endorsed measurement", status, &why, e, "the report's: %s",
                         endorsed);
}

static enum status note_origin(struct subject *s, const struct cose *cose, struct error *e)
{
    char date[DATE_SIZE];
    size_t n = cose->feed.size < 200 ? cose->feed.size : 200;
    TRY(finding_note(s->findings, "feed", e, "%.*s", (int)n,
                     n > 0 ? (const char *)cose->feed.data : ""));
    return finding_note(s->findings, "signed at", e, "%s",
                        cose->signing_time_s != 0 ? date_text(cose->signing_time_s, date)
                                                  : "it does not say");
}

static enum status check_endorsement(struct subject *s, const struct cose *cose,
                                     struct span measurement, struct error *e)
{
    struct error why = {0};
    TRY(note_origin(s, cose, e));
    TRY(note_payload(s, cose, measurement, e));
    enum status status = cose_signature_verify(cose, &why);
    TRY(finding_check(s->findings, "endorsement", status, &why, e, "its signature verifies"));
    status = cose_chain_verify(cose, &why);
    return finding_check(s->findings, "its certificates", status, &why, e,
                         "%zu, each signed by the next, in date when it was signed",
                         cose->n_certificates);
}

enum status inspect_endorsement(struct span endorsement, struct span measurement,
                                struct findings *out, struct error *e)
{
    const struct inspect_options options = {0};
    struct subject s = {.options = &options, .findings = out};
    struct cose cose = {0};
    TRY(cose_parse(endorsement, &cose, e));
    return check_endorsement(&s, &cose, measurement, e);
}

enum status endorsement_findings(struct subject *s, struct span bytes, struct span measurement,
                                 struct error *e)
{
    struct cose cose = {0};
    struct error why = {0};
    enum status status = OK;
    TRY(cose_parse(bytes, &cose, e));
    TRY(check_endorsement(s, &cose, measurement, e));
    if (s->options->amd_root != NULL)
        return finding_skip(s->findings, "its issuer", e,
                            "not judged: --amd-root is given, so this is a test");
    status = cose_issuer_verify(&cose, &why);
    return finding_check(s->findings, "its issuer", status, &why, e,
                         "Microsoft's for the utility VMs of confidential ACI");
}

enum status explain_endorsement(struct subject *s, const struct content *c, struct error *e)
{
    return endorsement_findings(s, c->bytes, (struct span){0}, e);
}
