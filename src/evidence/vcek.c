/*
 * Does a VCEK belong to a report? The certificate's extensions name the chip and the firmware
 * levels that its key was derived from (AMD 57230, table "VCEK certificate extensions"): the
 * hardware id, 64 bytes (Turin: 8), and one DER INTEGER per level. An INTEGER above 127 has a
 * leading zero byte: microcode 219 is 02 02 00 db.
 *
 * The certificate is hostile until chain_check has passed; this is only a comparison.
 */
#include "evidence/internal.h"

#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>

#define OID_SIZE 64
#define OID_HWID "1.3.6.1.4.1.3704.1.4"
#define OID_PRODUCT "1.3.6.1.4.1.3704.1.2" /* an IA5String: "Milan-B0" */
#define OID_CSP  "1.3.6.1.4.1.3704.1.5" /* only VLEKs have it */

static const struct level {
    const char *oid, *name;
    size_t at; /* in struct snp_tcb */
    bool turin_only;
} levels[] = {
    {"1.3.6.1.4.1.3704.1.3.1", "boot loader", offsetof(struct snp_tcb, boot_loader), false},
    {"1.3.6.1.4.1.3704.1.3.2", "TEE", offsetof(struct snp_tcb, tee), false},
    {"1.3.6.1.4.1.3704.1.3.3", "SNP firmware", offsetof(struct snp_tcb, snp), false},
    {"1.3.6.1.4.1.3704.1.3.8", "microcode", offsetof(struct snp_tcb, microcode), false},
    {"1.3.6.1.4.1.3704.1.3.9", "FMC", offsetof(struct snp_tcb, fmc), true},
};

/* The value of the one extension named OID; empty if there is none, or more than one. */
static struct span extension_value(const X509 *certificate, const char *oid)
{
    struct span found = {0};
    size_t n = 0;
    for (int i = 0; i < X509_get_ext_count(certificate); i++) {
        X509_EXTENSION *extension = X509_get_ext(certificate, i);
        char name[OID_SIZE] = "";
        OBJ_obj2txt(name, sizeof name, X509_EXTENSION_get_object(extension), 1);
        if (strcmp(name, oid) != 0)
            continue;
        const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
        found = span_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
        n++;
    }
    return n == 1 ? found : (struct span){0};
}

/* DER INTEGER 0 … 255: 02 01 xx below 128, 02 02 00 xx from there on; no other form is DER. */
static bool read_level(struct span der, uint8_t *out)
{
    if (der.size == 3 && der.data[0] == 2 && der.data[1] == 1 && der.data[2] < 0x80) {
        *out = der.data[2];
        return true;
    }
    if (der.size == 4 && der.data[0] == 2 && der.data[1] == 2 && der.data[2] == 0 &&
        der.data[3] >= 0x80) {
        *out = der.data[3];
        return true;
    }
    return false;
}

static enum status level_fits(const X509 *vcek, const struct level *level,
                              const struct snp_tcb *tcb, struct error *e)
{
    uint8_t certified = 0, reported = ((const uint8_t *)tcb)[level->at];
    if (!read_level(extension_value(vcek, level->oid), &certified))
        return fail(e, E_NO_EVIDENCE, "the VCEK does not say its %s level", level->name);
    if (certified != reported)
        return fail(e, E_NO_EVIDENCE,
                    "the VCEK is for another TCB: its %s level is %u, the report's %u", level->name,
                    certified, reported);
    return OK;
}

/* Raw, as AMD issues it today, or in an OCTET STRING of SIZE, as older certificates have it. */
static struct span chip_of(const X509 *vcek, size_t size)
{
    struct span hwid = extension_value(vcek, OID_HWID);
    if (hwid.size == size + 2 && hwid.data[0] == 4 && hwid.data[1] == size)
        return span_of(hwid.data + 2, size);
    return hwid;
}

static enum status chip_fits(const X509 *vcek, const struct snp_report *report, struct error *e)
{
    struct span chip = report_chip_id(report), hwid = chip_of(vcek, chip.size);
    if (report->chip_id_masked)
        return OK;
    if (hwid.size == 0)
        return fail(e, E_NO_EVIDENCE, "the VCEK does not say its chip");
    if (!span_equal(hwid, chip))
        return fail(e, E_NO_EVIDENCE, "the VCEK is for another chip");
    return OK;
}

enum status vcek_fits(const X509 *vcek, const struct snp_report *report, struct error *e)
{
    if (extension_value(vcek, OID_CSP).size != 0)
        return fail(e, E_NO_EVIDENCE, "the certificate is a VLEK, not a VCEK");
    TRY(chip_fits(vcek, report, e));
    for (size_t i = 0; i < COUNT(levels); i++)
        if (!levels[i].turin_only || report->product == SNP_TURIN)
            TRY(level_fits(vcek, &levels[i], &report->reported_tcb, e));
    return OK;
}

static enum status read_times(const X509 *vcek, struct snp_vcek *out, struct error *e)
{
    struct tm from = {0}, to = {0};
    if (ASN1_TIME_to_tm(X509_get0_notBefore(vcek), &from) != 1 ||
        ASN1_TIME_to_tm(X509_get0_notAfter(vcek), &to) != 1)
        return fail_openssl(e, E_NO_EVIDENCE, "the VCEK does not say when it is valid");
    out->not_before_unix_s = (int64_t)timegm(&from);
    out->not_after_unix_s = (int64_t)timegm(&to);
    return OK;
}

enum status vcek_read(const X509 *vcek, struct snp_vcek *out, struct error *e)
{
    struct snp_vcek read = {0};
    struct span product = extension_value(vcek, OID_PRODUCT);
    for (size_t i = 0; i < COUNT(levels); i++) {
        uint8_t *place = (uint8_t *)&read.tcb + levels[i].at;
        if (!read_level(extension_value(vcek, levels[i].oid), place) && !levels[i].turin_only)
            return fail(e, E_NO_EVIDENCE, "the VCEK does not say its %s level", levels[i].name);
    }
    struct span chip = chip_of(vcek, SNP_CHIP_ID_SIZE);
    if (chip.size != SNP_CHIP_ID_SIZE && chip.size != TURIN_CHIP_ID_SIZE)
        chip = chip_of(vcek, TURIN_CHIP_ID_SIZE);
    if (chip.size != SNP_CHIP_ID_SIZE && chip.size != TURIN_CHIP_ID_SIZE)
        return fail(e, E_NO_EVIDENCE, "the VCEK does not say its chip");
    memcpy(read.chip_id, chip.data, chip.size);
    if (product.size > 2 && product.size - 2 == product.data[1] &&
        product.size - 2 < sizeof(read.product))
        memcpy(read.product, product.data + 2, product.size - 2);
    TRY(read_times(vcek, &read, e));
    *out = read;
    return OK;
}
