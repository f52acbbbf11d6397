/*
 * A report's appraisal one step at a time, for whoever explains it, and AMD's roots.
 *
 * A chain that holds says only that somebody signed it; that AMD did shows in the root's key. AMD
 * publishes the roots at https://kdsintf.amd.com/vcek/v1/{Milan,Genoa,Turin}/cert_chain (AMD 57230).
 * Pinned are the keys (SHA-256 of SubjectPublicKeyInfo), not the certificates: a root that AMD
 * issues again for the same key stays good.
 */
#include "evidence/internal.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

/* openssl x509 -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum
 * Genuine chains under Milan's and Turin's root are in the test fixtures, and a genuine report under
 * Milan's. For Genoa's there was only the root itself, no chip's certificate and no report. */
static const struct root {
    enum snp_product product;
    const char *name;
    uint8_t digest[SHA256_SIZE];
} roots[] = {
    {SNP_MILAN,
     "Milan",
     {0x9f, 0x05, 0x6b, 0xee, 0x44, 0x37, 0x7e, 0x29, 0x30, 0x8c, 0xb5, 0xff,
      0xa8, 0x95, 0xbd, 0xfb, 0x62, 0xd1, 0x88, 0x81, 0xfa, 0x6b, 0xed, 0x8d,
      0x6f, 0x07, 0x5b, 0x02, 0x04, 0x08, 0x9c, 0xb9}},
    {SNP_GENOA,
     "Genoa",
     {0x42, 0x9a, 0x69, 0xc9, 0x42, 0x2a, 0xa2, 0x58, 0xee, 0x4d, 0x8d, 0xb5,
      0xfc, 0xda, 0x9c, 0x64, 0x70, 0xef, 0x15, 0xf8, 0xcd, 0x5a, 0x9c, 0xeb,
      0xd6, 0xcb, 0xc7, 0xd9, 0x0b, 0x86, 0x38, 0x31}},
    {SNP_TURIN,
     "Turin",
     {0x4f, 0x12, 0x54, 0x10, 0x56, 0x3a, 0x2a, 0xb9, 0xa5, 0x03, 0x56, 0xf9,
      0x24, 0x3f, 0x6f, 0xe0, 0xb6, 0xf7, 0x3d, 0xe9, 0x86, 0x03, 0xf5, 0x3f,
      0x90, 0x33, 0x9c, 0x70, 0xe9, 0xd7, 0xad, 0x08}},
};

const char *snp_product_name(enum snp_product product)
{
    for (size_t i = 0; i < COUNT(roots); i++)
        if (roots[i].product == product)
            return roots[i].name;
    return "unknown";
}

enum status snp_vcek_read(struct span certificates_pem, struct snp_vcek *out, struct error *e)
{
    AUTO(chain_free) struct chain chain = {0};
    TRY(chain_parse(certificates_pem, &chain, e));
    return vcek_read(chain.vcek, out, e);
}

enum status snp_chain_verify(struct span certificates_pem, struct error *e)
{
    AUTO(chain_free) struct chain chain = {0};
    TRY(chain_parse(certificates_pem, &chain, e));
    return chain_check(&chain, e);
}

enum status snp_root_verify(struct span certificates_pem, enum snp_product *out, struct error *e)
{
    AUTO(chain_free) struct chain chain = {0};
    unsigned char *der = NULL;
    uint8_t digest[SHA256_SIZE] = {0};
    TRY(chain_parse(certificates_pem, &chain, e));
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(chain.ark), &der);
    if (size <= 0)
        return fail_openssl(e, E_NO_EVIDENCE, "the ARK's key cannot be read");
    enum status status = sha256(span_of(der, (size_t)size), digest, e);
    OPENSSL_free(der);
    TRY(status);
    for (size_t i = 0; i < COUNT(roots); i++) {
        if (memcmp(digest, roots[i].digest, sizeof digest) != 0)
            continue;
        *out = roots[i].product;
        return OK;
    }
    status = fail(e, E_NO_EVIDENCE, "the root is none of AMD's for Milan, Genoa and Turin");
    advise(e, "do not believe it: anybody can make such a chain");
    return status;
}

enum status snp_root_is(struct span certificates_pem, struct span root, struct error *e)
{
    AUTO(chain_free) struct chain chain = {0};
    TRY(chain_parse(certificates_pem, &chain, e));
    BIO *bio = root.size > 0 && root.size <= PEM_MAX
                   ? BIO_new_mem_buf(root.data, (int)root.size)
                   : NULL;
    X509 *given = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    enum status status = OK;
    if (given == NULL)
        status = fail_openssl(e, E_USAGE, "the given root is no PEM certificate");
    else if (EVP_PKEY_eq(X509_get0_pubkey(given), X509_get0_pubkey(chain.ark)) != 1)
        status = fail(e, E_NO_EVIDENCE, "the root is not the given one");
    X509_free(given);
    return status;
}

enum status snp_vcek_fits(struct span report, struct span certificates_pem, struct error *e)
{
    AUTO(chain_free) struct chain chain = {0};
    struct snp_report parsed = {0};
    TRY(snp_report_parse(report, &parsed, e));
    TRY(chain_parse(certificates_pem, &chain, e));
    return vcek_fits(chain.vcek, &parsed, e);
}

enum status snp_signature_verify(struct span report, struct span certificates_pem, struct error *e)
{
    AUTO(chain_free) struct chain chain = {0};
    TRY(report_is_signed(report, e));
    TRY(chain_parse(certificates_pem, &chain, e));
    return report_signature_verify(report, chain.vcek, e);
}

enum status snp_thim_certificates(struct span json, struct buf *pem, struct error *e)
{
    return thim_parse(json, pem, e);
}
