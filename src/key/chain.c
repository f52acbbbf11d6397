/*
 * The certificates in a JWS header (x5c, RFC 7515 section 4.1.6): hostile. They are believed only
 * as a chain to the run's own trust store, for the vault's host name and a server's purpose, at the
 * time given; a root that comes along is one more candidate for an intermediate and nothing else.
 * Revocation is not asked for: docs/security.md says so.
 */
#include "key/internal.h"

#include <cjson/cJSON.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#define CERTIFICATES_MAX 10
#define CERTIFICATE_MAX  (16u * 1024u)
#define HOST_MAX         256
#define SECURITY_LEVEL   2 /* 112 bits: RSA of 2048, no SHA-1 */

static void x509_free(X509 **certificate)
{
    X509_free(*certificate);
    *certificate = NULL;
}

static void stack_free(STACK_OF(X509) * *stack)
{
    sk_X509_pop_free(*stack, X509_free);
    *stack = NULL;
}

static void store_free(X509_STORE **store)
{
    X509_STORE_free(*store);
    *store = NULL;
}

static void verify_free(X509_STORE_CTX **context)
{
    X509_STORE_CTX_free(*context);
    *context = NULL;
}

static enum status add_certificate(const char *text, STACK_OF(X509) * out, struct error *e)
{
    AUTO(buf_free) struct buf der = BUF(CERTIFICATE_MAX + 4);
    AUTO(x509_free) X509 *certificate = NULL;
    const uint8_t *at;

    if (text == NULL || strlen(text) == 0 || strlen(text) > CERTIFICATE_MAX / 3 * 4)
        return fail(e, E_BAD_KEY, "JWS: x5c with something that is no certificate");
    if (base64_decode(span_text(text), BASE64, &der, E_BAD_KEY, e) != OK)
        return wrap(e, "JWS: x5c");
    at = der.data;
    certificate = d2i_X509(NULL, &at, (long)der.size);
    if (certificate == NULL || at != der.data + der.size)
        return fail_openssl(e, E_BAD_KEY, "JWS: x5c with something that is no certificate");
    if (!sk_X509_push(out, certificate))
        return fail_openssl(e, E_BUG, "JWS: x5c");
    certificate = NULL;
    return OK;
}

static enum status load_certificates(const struct cJSON *header, STACK_OF(X509) * out,
                                     struct error *e)
{
    const struct cJSON *list = json_array(header, "x5c");
    const int n = list == NULL ? 0 : cJSON_GetArraySize(list);
    const struct cJSON *item;

    if (n < 1 || n > CERTIFICATES_MAX)
        return fail(e, E_BAD_KEY, "JWS: x5c of %d certificates; 1 to %d are good", n,
                    CERTIFICATES_MAX);
    cJSON_ArrayForEach(item, list) TRY(add_certificate(cJSON_GetStringValue(item), out, e));
    return OK;
}

/* x5t and x5t#S256, where they are, name the leaf. */
static enum status check_thumbprint(const struct cJSON *header, const char *name,
                                    const EVP_MD *hash, X509 *leaf, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(2 * EVP_MAX_MD_SIZE);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (json_member(header, name) == NULL)
        return OK;
    if (!X509_digest(leaf, hash, digest, &size))
        return fail_openssl(e, E_BUG, "JWS: cannot hash the certificate");
    TRY(base64_encode(span_of(digest, size), BASE64URL, &text, e));
    if (json_text(header, name) == NULL || !span_is(buf_span(&text), json_text(header, name)))
        return fail(e, E_BAD_KEY, "JWS: %s is not the certificate's", name);
    return OK;
}

/* The environment's SSL_CERT_FILE and SSL_CERT_DIR do not count: whom a job trusts stands in the
 * job, or in the image. */
static enum status load_store(const char *ca_file, X509_STORE **out, struct error *e)
{
    AUTO(store_free) X509_STORE *store = X509_STORE_new();

    if (store == NULL)
        return fail_openssl(e, E_BUG, "cannot set up a trust store");
    if (ca_file != NULL) {
        if (!X509_STORE_load_file(store, ca_file)) {
            (void)fail_openssl(e, E_USAGE, "trust store %s", ca_file);
            advise(e, "network.ca_file must be a PEM file of root certificates");
            return E_USAGE;
        }
    } else {
        (void)X509_STORE_load_file(store, X509_get_default_cert_file());
        (void)X509_STORE_load_path(store, X509_get_default_cert_dir());
        ERR_clear_error(); /* either may be missing */
    }
    *out = store;
    store = NULL;
    return OK;
}

static bool set_rules(X509_VERIFY_PARAM *rules, const struct key_trust *trust)
{
    char host[HOST_MAX];
    const struct span name = trust->host->host;

    if (name.size == 0 || name.size >= sizeof host)
        return false;
    memcpy(host, name.data, name.size);
    host[name.size] = 0;
    X509_VERIFY_PARAM_set_time(rules, (time_t)trust->now_unix_s);
    X509_VERIFY_PARAM_set_auth_level(rules, SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_depth(rules, CERTIFICATES_MAX);
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (!X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER))
        return false;
    if (url_host_is_address(trust->host))
        return X509_VERIFY_PARAM_set1_ip_asc(rules, host);
    return X509_VERIFY_PARAM_set1_host(rules, host, name.size);
}

static void advise_chain(int code, struct error *e)
{
    switch (code) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        advise(e, "install the system's root certificates (ca-certificates) or set "
                  "network.ca_file to the roots of this vault");
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        advise(e, "check this machine's clock");
        break;
    default:
        advise(e, "check that the key id names the vault itself and that nothing stands between "
                  "it and this job");
        break;
    }
}

static enum status verify_chain(STACK_OF(X509) * certificates, const struct key_trust *trust,
                                struct error *e)
{
    AUTO(store_free) X509_STORE *store = NULL;
    AUTO(verify_free) X509_STORE_CTX *context = X509_STORE_CTX_new();
    int code;

    TRY(load_store(trust->ca_file, &store, e));
    if (context == NULL ||
        !X509_STORE_CTX_init(context, store, sk_X509_value(certificates, 0), certificates) ||
        !set_rules(X509_STORE_CTX_get0_param(context), trust))
        return fail_openssl(e, E_BUG, "JWS: cannot set up the certificate check");
    if (X509_verify_cert(context) == 1)
        return OK;
    code = X509_STORE_CTX_get_error(context);
    ERR_clear_error(); /* the code says it better */
    (void)fail(e, E_BAD_KEY, "JWS: the signer's certificate: %s (certificate %d of the chain)",
               X509_verify_cert_error_string(code), X509_STORE_CTX_get_error_depth(context));
    advise_chain(code, e);
    return E_BAD_KEY;
}

enum status key_chain_verify(const struct cJSON *header, const struct key_trust *trust,
                             EVP_PKEY **out, struct error *e)
{
    AUTO(stack_free) STACK_OF(X509) *certificates = sk_X509_new_null();
    X509 *leaf;
    EVP_PKEY *key;

    if (certificates == NULL)
        return fail_openssl(e, E_BUG, "JWS: x5c");
    TRY(load_certificates(header, certificates, e));
    leaf = sk_X509_value(certificates, 0);
    TRY(check_thumbprint(header, "x5t", EVP_sha1(), leaf, e));
    TRY(check_thumbprint(header, "x5t#S256", EVP_sha256(), leaf, e));
    TRY(verify_chain(certificates, trust, e));
    key = X509_get_pubkey(leaf);
    if (key == NULL)
        return fail_openssl(e, E_BAD_KEY, "JWS: the signer's certificate has no usable key");
    *out = key;
    return OK;
}

enum status key_chain_leaf(const struct cJSON *object, EVP_PKEY **out, struct error *e)
{
    AUTO(stack_free) STACK_OF(X509) *certificates = sk_X509_new_null();

    if (certificates == NULL)
        return fail_openssl(e, E_BUG, "JWS: x5c");
    TRY(load_certificates(object, certificates, e));
    *out = X509_get_pubkey(sk_X509_value(certificates, 0));
    return *out != NULL ? OK : fail_openssl(e, E_BAD_KEY, "JWS: x5c has no usable key");
}
