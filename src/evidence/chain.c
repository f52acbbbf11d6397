/*
 * AMD's certificate chain: VCEK (the chip's key at one firmware level) ← ASK ← ARK, each signed
 * with RSASSA-PSS and SHA-384 (AMD 57230, chapter 3).
 *
 * The certificates come from the host, from its metadata service or from AMD: hostile until
 * checked. The root is not pinned and dates are not judged: this only sorts out what the
 * attestation service would refuse anyway.
 */
#include "evidence/internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define MOST_CERTIFICATES 8
#define LEAST_RSA_BITS    2048

static void bio_free(BIO **bio)
{
    BIO_free(*bio);
    *bio = NULL;
}

static void certificate_free(X509 **certificate)
{
    X509_free(*certificate);
    *certificate = NULL;
}

void chain_free(struct chain *chain)
{
    certificate_free(&chain->vcek);
    certificate_free(&chain->ask);
    certificate_free(&chain->ark);
}

static bool issued_by(const X509 *certificate, const X509 *issuer)
{
    return X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(issuer)) == 0;
}

/* By what a certificate is, not by where it stands or how it is called: the root issued itself, of
 * the others only the ASK is an authority. Takes CERTIFICATE. */
static enum status chain_place(struct chain *chain, X509 *certificate, struct error *e)
{
    X509 **place = issued_by(certificate, certificate) ? &chain->ark
                   : X509_check_ca(certificate) != 0   ? &chain->ask
                                                       : &chain->vcek;
    if (*place != NULL) {
        bool same = X509_cmp(*place, certificate) == 0;
        X509_free(certificate);
        return same ? OK
                    : fail(e, E_NO_EVIDENCE,
                           "the chain has two certificates for the same place (%s)",
                           place == &chain->ark   ? "ARK"
                           : place == &chain->ask ? "ASK"
                                                  : "VCEK");
    }
    *place = certificate;
    return OK;
}

static enum status read_all(BIO *bio, struct chain *chain, struct error *e)
{
    for (int n = 0; n <= MOST_CERTIFICATES; n++) {
        ERR_clear_error();
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (certificate == NULL) {
            bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
            if (!at_end)
                return fail_openssl(e, E_NO_EVIDENCE, "certificate %d of the chain is no PEM",
                                    n + 1);
            ERR_clear_error();
            return OK;
        }
        TRY(chain_place(chain, certificate, e));
    }
    return fail(e, E_NO_EVIDENCE, "the chain has more than %d certificates", MOST_CERTIFICATES);
}

enum status chain_parse(struct span pem, struct chain *out, struct error *e)
{
    if (pem.size == 0 || pem.size > PEM_MAX)
        return fail(e, E_NO_EVIDENCE, "a certificate chain of %zu bytes is none", pem.size);
    AUTO(bio_free) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    if (bio == NULL)
        return fail_openssl(e, E_BUG, "no memory for a certificate chain");
    AUTO(chain_free) struct chain chain = {0};
    TRY(read_all(bio, &chain, e));
    if (chain.vcek == NULL || chain.ask == NULL || chain.ark == NULL)
        return fail(e, E_NO_EVIDENCE, "the chain has no %s",
                    chain.vcek == NULL  ? "VCEK"
                    : chain.ask == NULL ? "ASK (AMD's signing key)"
                                        : "ARK (AMD's root key)");
    *out = chain;
    chain = (struct chain){0};
    return OK;
}

static enum status link_check(X509 *certificate, const char *name, X509 *issuer,
                              const char *issuer_name, struct error *e)
{
    int digest = 0, algorithm = 0;
    if (!issued_by(certificate, issuer))
        return fail(e, E_NO_EVIDENCE, "the %s was not issued by this %s", name, issuer_name);
    if (X509_get_signature_info(certificate, &digest, &algorithm, NULL, NULL) != 1 ||
        algorithm != NID_rsassaPss || digest != NID_sha384)
        return fail(e, E_NO_EVIDENCE, "the %s is not signed with RSASSA-PSS and SHA-384", name);
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    if (key == NULL || !EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < LEAST_RSA_BITS)
        return fail(e, E_NO_EVIDENCE, "the %s has no RSA key of %d bits or more", issuer_name,
                    LEAST_RSA_BITS);
    if (X509_verify(certificate, key) != 1)
        return fail_openssl(e, E_NO_EVIDENCE, "the %s's signature by the %s does not verify", name,
                            issuer_name);
    return OK;
}

enum status chain_check(const struct chain *chain, struct error *e)
{
    if (X509_check_ca(chain->ark) == 0)
        return fail(e, E_NO_EVIDENCE, "the ARK is no certificate authority");
    TRY(link_check(chain->ark, "ARK", chain->ark, "ARK", e));
    TRY(link_check(chain->ask, "ASK", chain->ark, "ARK", e));
    return link_check(chain->vcek, "VCEK", chain->ask, "ASK", e);
}

static enum status certificate_write(X509 *certificate, struct buf *pem, struct error *e)
{
    AUTO(bio_free) BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || PEM_write_bio_X509(bio, certificate) != 1)
        return fail_openssl(e, E_BUG, "cannot write a certificate as PEM");
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    if (size <= 0)
        return fail(e, E_BUG, "a certificate became an empty PEM");
    return buf_add(pem, span_of(text, (size_t)size), e);
}

enum status chain_write(const struct chain *chain, struct buf *pem, struct error *e)
{
    TRY(certificate_write(chain->vcek, pem, e));
    TRY(certificate_write(chain->ask, pem, e));
    return certificate_write(chain->ark, pem, e);
}

enum status pem_from_der(struct span der, struct buf *pem, struct error *e)
{
    const unsigned char *at = der.data;
    if (der.size == 0 || der.size > PEM_MAX)
        return fail(e, E_NO_EVIDENCE, "a certificate of %zu bytes is none", der.size);
    AUTO(certificate_free) X509 *certificate = d2i_X509(NULL, &at, (long)der.size);
    if (certificate == NULL)
        return fail_openssl(e, E_NO_EVIDENCE, "the answer is no DER certificate");
    if (at != der.data + der.size)
        return fail(e, E_NO_EVIDENCE, "something follows the certificate");
    return certificate_write(certificate, pem, e);
}
