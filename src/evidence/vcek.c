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

/* Raw, as AMD issues it today, or in an OCTET STRING, as older certificates have it. */
static enum status chip_fits(const X509 *vcek, const struct snp_report *report, struct error *e)
{
    struct span hwid = extension_value(vcek, OID_HWID), chip = report_chip_id(report);
    if (report->chip_id_masked)
        return OK;
    if (hwid.size == chip.size + 2 && hwid.data[0] == 4 && hwid.data[1] == chip.size)
        hwid = span_of(hwid.data + 2, chip.size);
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
