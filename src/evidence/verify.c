/*
 * A report's appraisal, as far as this machine can do it: the signature is the VCEK's, the VCEK is
 * this chip's at this TCB, and the chain above it holds. Report and certificates are hostile; each
 * check ends in its own sentence.
 *
 * Signature: ECDSA over P-384 with SHA-384, R and S little endian in 72 bytes each (AMD 56860,
 * "Signature format").
 */
#include "evidence/internal.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#include <string.h>

#define ALGORITHM_ECDSA_P384_SHA384 1
#define AT_KEY_INFO                 72
#define DER_MAX                     256 /* two numbers of 72 bytes and their headers */

static void signature_free(ECDSA_SIG **signature)
{
    ECDSA_SIG_free(*signature);
    *signature = NULL;
}

static void digest_free(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
    *context = NULL;
}

static enum status signature_to_der(const uint8_t *at, uint8_t der[static DER_MAX], size_t *size,
                                    struct error *e)
{
    AUTO(signature_free) ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_lebin2bn(at, REPORT_NUMBER_SIZE, NULL);
    BIGNUM *s = BN_lebin2bn(at + REPORT_NUMBER_SIZE, REPORT_NUMBER_SIZE, NULL);
    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return fail_openssl(e, E_BUG, "no memory for the report's signature");
    }
    int length = i2d_ECDSA_SIG(signature, NULL);
    if (length <= 0 || length > DER_MAX)
        return fail(e, E_BUG, "the report's signature is %d bytes as DER", length);
    *size = (size_t)i2d_ECDSA_SIG(signature, &der);
    return OK;
}

static bool is_p384(EVP_PKEY *key)
{
    char group[32] = "";
    return key != NULL && EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           strcmp(group, SN_secp384r1) == 0;
}

enum status report_signature_verify(struct span report, const X509 *vcek, struct error *e)
{
    uint8_t der[DER_MAX] = {0};
    size_t size = 0;
    EVP_PKEY *key = X509_get0_pubkey(vcek);
    if (!is_p384(key))
        return fail_openssl(e, E_NO_EVIDENCE, "the VCEK has no P-384 key");
    TRY(signature_to_der(report.data + REPORT_SIGNED_SIZE, der, &size, e));
    AUTO(digest_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestVerifyInit(context, NULL, EVP_sha384(), NULL, key) != 1)
        return fail_openssl(e, E_BUG, "cannot start to verify the report");
    if (EVP_DigestVerify(context, der, size, report.data, REPORT_SIGNED_SIZE) != 1)
        return fail_openssl(e, E_NO_EVIDENCE,
                            "the report's signature does not verify under the VCEK");
    return OK;
}

static enum status refuse_vlek(struct error *e)
{
    enum status status = fail(
        e, E_NO_EVIDENCE,
        "the report is signed with a VLEK (a key that the cloud provider loaded); only reports "
        "under the VCEK (the chip's own key) are supported");
    advise(e, "use a host whose reports are signed with the VCEK");
    return status;
}

enum status report_is_signed(struct span report, struct error *e)
{
    struct snp_report parsed = {0};
    TRY(snp_report_parse(report, &parsed, e));
    bool masked = (read_le32(report.data + AT_KEY_INFO) & REPORT_MASK_CHIP_KEY) != 0;
    if (masked || parsed.signing_key == SIGNING_KEY_NONE)
        return fail(e, E_NO_EVIDENCE, "the report is not signed: the host masks the chip's key");
    if (parsed.signing_key == SIGNING_KEY_VLEK)
        return refuse_vlek(e);
    if (parsed.signing_key != SIGNING_KEY_VCEK)
        return fail(e, E_NO_EVIDENCE, "the report is signed with a key of unknown kind %u",
                    parsed.signing_key);
    if (parsed.signature_algorithm != ALGORITHM_ECDSA_P384_SHA384)
        return fail(e, E_NO_EVIDENCE, "the report's signature algorithm is %u, not ECDSA P-384",
                    parsed.signature_algorithm);
    return OK;
}

enum status snp_report_verify(struct span report, struct span certificates_pem, struct error *e)
{
    struct snp_report parsed = {0};
    AUTO(chain_free) struct chain chain = {0};
    TRY(snp_report_parse(report, &parsed, e));
    TRY(report_is_signed(report, e));
    TRY(chain_parse(certificates_pem, &chain, e));
    TRY(vcek_fits(chain.vcek, &parsed, e));
    TRY(chain_check(&chain, e));
    return report_signature_verify(report, chain.vcek, e);
}
