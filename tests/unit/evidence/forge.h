/* For the evidence tests: the test data, and reports and chains made to measure under the worthless
 * test keys. */
#ifndef TEST_EVIDENCE_FORGE_H
#define TEST_EVIDENCE_FORGE_H

#include "testing.h"

#include "evidence/evidence.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define DATA TEST_DATA "/evidence/"

static inline void read_or_die(const char *path, struct buf *out)
{
    struct error e = {0};
    assert_ok(file_read(path, 1 << 20, out, E_BUG, &e), &e);
}

static inline EVP_PKEY *key_read(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    assert_non_null(key);
    return key;
}

/* Signs REPORT again, as the firmware would. */
static inline void report_sign(uint8_t *report)
{
    uint8_t der[256];
    size_t size = sizeof der;
    EVP_PKEY *key = key_read(DATA "vcek.key");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha384(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, der, &size, report, 672), 1);
    const unsigned char *at = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
    assert_non_null(signature);
    assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_r(signature), report + 672, 72), 72);
    assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_s(signature), report + 744, 72), 72);
    ECDSA_SIG_free(signature);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

/* How a forged chain differs from milan.pem. Zero: not at all. */
struct forgery {
    const char *oid;    /* of the VCEK's extension to write otherwise … */
    struct span value;  /* … so; empty: without it */
    const char *second; /* an extension to add, with VALUE2 */
    struct span value2;
    const EVP_MD *digest;  /* of the VCEK's certificate; NULL: SHA-384 */
    bool pkcs1;            /* RSASSA-PKCS1-v1_5 in the VCEK */
    bool vcek_by_ark;      /* signed by another key than the ASK's */
    bool ask_by_itself;    /* the ASK's signature is its own */
    bool ask_no_authority; /* as a VCEK then, which makes two */
    bool other_issuer;     /* the VCEK names another issuer */
    bool p256;             /* the VCEK has a key on another curve */
    bool root_unsigned;    /* the root's signature is another key's */
};

static inline X509_NAME *test_name(const char *common)
{
    X509_NAME *name = X509_NAME_new();
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common, -1, -1, 0);
    return name;
}

static inline void add_extension(X509 *certificate, const char *oid, struct span value)
{
    ASN1_OCTET_STRING *text = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING_set(text, value.data, (int)value.size);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, text);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OBJECT_free(object);
    ASN1_OCTET_STRING_free(text);
}

static inline X509 *certificate_start(const char *subject, const char *issuer, EVP_PKEY *key,
                                      bool authority)
{
    X509 *certificate = X509_new();
    X509_NAME *subject_name = test_name(subject), *issuer_name = test_name(issuer);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_subject_name(certificate, subject_name);
    X509_set_issuer_name(certificate, issuer_name);
    X509_set_pubkey(certificate, key);
    X509_NAME_free(subject_name);
    X509_NAME_free(issuer_name);
    if (authority) {
        X509_EXTENSION *ca =
            X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
        X509_add_ext(certificate, ca, -1);
        X509_EXTENSION_free(ca);
    }
    return certificate;
}

static inline void certificate_sign(X509 *certificate, EVP_PKEY *key, const EVP_MD *digest,
                                    bool pkcs1)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;
    assert_int_equal(EVP_DigestSignInit(context, &parameters, digest, NULL, key), 1);
    if (!pkcs1) {
        EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST);
    }
    assert_true(X509_sign_ctx(certificate, context) > 0);
    EVP_MD_CTX_free(context);
}

/* The VCEK's extensions as in milan.pem, but for F. */
static inline void add_extensions(X509 *vcek, const struct forgery *f)
{
    static const uint8_t chip[64] = {
        0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c,
        0x4d, 0x4e, 0x4f, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
        0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f, 0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66,
        0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73,
        0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f};
    const struct {
        const char *oid;
        struct span value;
    } usual[] = {
        {"1.3.6.1.4.1.3704.1.3.1", SPAN_LITERAL("\x02\x01\x04")},
        {"1.3.6.1.4.1.3704.1.3.2", SPAN_LITERAL("\x02\x01\x00")},
        {"1.3.6.1.4.1.3704.1.3.3", SPAN_LITERAL("\x02\x01\x18")},
        {"1.3.6.1.4.1.3704.1.3.8", SPAN_LITERAL("\x02\x02\x00\xdb")},
        {"1.3.6.1.4.1.3704.1.4", span_of(chip, sizeof chip)},
    };
    for (size_t i = 0; i < COUNT(usual); i++) {
        bool other = f->oid != NULL && strcmp(f->oid, usual[i].oid) == 0;
        struct span value = other ? f->value : usual[i].value;
        if (value.size > 0)
            add_extension(vcek, usual[i].oid, value);
    }
    if (f->second != NULL)
        add_extension(vcek, f->second, f->value2);
}

/* VCEK, ASK, ARK as PEM. */
static inline void chain_forge(const struct forgery *f, struct buf *out)
{
    struct error e = {0};
    EVP_PKEY *ark_key = key_read(DATA "ark.key"), *ask_key = key_read(DATA "ask.key");
    EVP_PKEY *key = f->p256 ? EVP_EC_gen("P-256") : key_read(DATA "vcek.key");
    X509 *ark = certificate_start("ARK", "ARK", ark_key, true);
    X509 *ask = certificate_start("ASK", "ARK", ask_key, !f->ask_no_authority);
    X509 *vcek = certificate_start("VCEK", f->other_issuer ? "ARK" : "ASK", key, false);
    const EVP_MD *digest = f->digest != NULL ? f->digest : EVP_sha384();
    add_extensions(vcek, f);
    certificate_sign(ark, f->root_unsigned ? ask_key : ark_key, EVP_sha384(), false);
    certificate_sign(ask, f->ask_by_itself ? ask_key : ark_key, EVP_sha384(), false);
    certificate_sign(vcek, f->vcek_by_ark ? ark_key : ask_key, digest, f->pkcs1);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, vcek);
    PEM_write_bio_X509(bio, ask);
    PEM_write_bio_X509(bio, ark);
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    assert_ok(buf_add(out, span_of(text, (size_t)size), &e), &e);
    BIO_free(bio);
    X509_free(vcek);
    X509_free(ask);
    X509_free(ark);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ask_key);
    EVP_PKEY_free(ark_key);
}

#endif
