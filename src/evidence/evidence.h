/*
 * evidence: runtime data → an SEV-SNP report whose report data is its SHA-256, with the
 * certificates and endorsements that go with it. Nothing is ever made up: no device, no evidence.
 *
 * Sources: linux/sev-guest.h and psp-sev.h (ioctl), Documentation/ABI/testing/configfs-tsm, AMD
 * 56860 (report) and 57230 (VCEK and KDS), the security context directory of confidential ACI.
 */
#ifndef DECANT_EVIDENCE_H
#define DECANT_EVIDENCE_H

#include "base/base.h"
#include "http/http.h"

#define SNP_REPORT_SIZE  1184
#define SNP_CHIP_ID_SIZE 64

enum evidence_kind {
    EVIDENCE_AUTO,    /* /dev/sev-guest, /dev/sev, configfs-tsm: the first that exists */
    EVIDENCE_DEVICE,  /* one of the two devices */
    EVIDENCE_TSM,     /* configfs-tsm */
    EVIDENCE_SIDECAR, /* a local SKR sidecar's /attest/combined */
};

struct evidence_options {
    enum evidence_kind kind;
    const char *sidecar;      /* base URL, for EVIDENCE_SIDECAR */
    const char *certificates; /* where to ask for the VCEK chain first: a THIM URL; NULL: the usual
                                 places */
};

/* What the attestation service wants to see. */
struct evidence {
    struct buf report;           /* SNP_REPORT_SIZE bytes */
    struct buf certificates;     /* PEM: VCEK, ASK, ARK */
    struct buf uvm_endorsements; /* COSE_Sign1, or empty */
    char source[64];             /* "/dev/sev-guest", "configfs-tsm", "sidecar …", for the log */
    char certificates_source[128];
};

void evidence_free(struct evidence *evidence);

struct evidence_source;

/* Finds the device and a certificate chain that fits this chip and its reported TCB (platform file,
 * then THIM, then AMD's KDS), so that the later call costs no network. E_NO_EVIDENCE. The options'
 * texts must outlive SOURCE. */
enum status evidence_open(const struct evidence_options *options, struct http *http,
                          struct evidence_source **source, struct error *e);
void evidence_close(struct evidence_source **source);

/* A fresh report over SHA-256(RUNTIME_DATA), appraised: its report data is what was asked, its
 * signature verifies under the VCEK, the VCEK's chip and TCB are the report's, the chain holds. OUT
 * must be empty. E_NO_EVIDENCE. */
enum status evidence_collect(struct evidence_source *source, struct span runtime_data,
                             struct evidence *out, struct error *e);

/* The host data of the container group this runs in: the digest of its container policy, out of a
 * report of the device's if there is one, else that of the policy beside the container, which is
 * the host's word alone. Not verified: it is for writing policies. SOURCE says where it is from.
 * E_NO_EVIDENCE; E_MISMATCH if report and policy disagree. */
#define EVIDENCE_SOURCE_SIZE 128
enum status evidence_host_data(uint8_t out[static SHA256_SIZE],
                               char source[static EVIDENCE_SOURCE_SIZE], struct error *e);

/* Is there a device of this kind (not of EVIDENCE_SIDECAR)? Its name, a static text. Nothing is asked
 * of it. E_NO_EVIDENCE. */
enum status evidence_device(enum evidence_kind kind, const char **name, struct error *e);
/* The digest of the container policy that lies beside this container, on the host's word alone; what
 * host data must be. FOUND: there is one. E_NO_EVIDENCE if it cannot be read. */
enum status evidence_container_policy(uint8_t out[static SHA256_SIZE], bool *found,
                                      struct error *e);

/* ---- A report, read ---- */

struct snp_tcb {
    uint8_t fmc, boot_loader, tee, snp, microcode; /* fmc: Turin only */
};

enum snp_product { SNP_MILAN, SNP_GENOA, SNP_TURIN };

struct snp_report {
    uint32_t version, guest_svn, vmpl, signature_algorithm, signing_key;
    uint64_t policy;
    enum snp_product
        product; /* from CPUID (version 3 and later); version 2 does not say: SNP_MILAN */
    bool product_known;
    bool chip_id_masked, debug_allowed;
    uint8_t report_data[64], measurement[48], host_data[32], chip_id[SNP_CHIP_ID_SIZE];
    struct snp_tcb reported_tcb, current_tcb, committed_tcb, launch_tcb;
    uint64_t reported_tcb_raw; /* the eight bytes as a little-endian number: THIM's "tcbm" */
};

/* BYTES is hostile. E_NO_EVIDENCE. */
enum status snp_report_parse(struct span bytes, struct snp_report *out, struct error *e);

/* The checks of evidence_collect, for bytes from anywhere: signature, chip id, TCB, chain VCEK ←
 * ASK ← ARK (the root is self-signed and not pinned here: the attestation service is who must trust
 * it). E_NO_EVIDENCE. */
enum status snp_report_verify(struct span report, struct span certificates_pem, struct error *e);

/* ---- The same one by one, for whoever explains; all input is hostile. E_NO_EVIDENCE. ---- */

/* What a VCEK says. Levels that Milan and Genoa do not have are 0. */
struct snp_vcek {
    uint8_t chip_id[SNP_CHIP_ID_SIZE]; /* Turin: 8 bytes and zeros */
    struct snp_tcb tcb;
    char product[32]; /* "Milan-B0", as the certificate has it, or "" */
    int64_t not_before_unix_s, not_after_unix_s;
};

const char *snp_product_name(enum snp_product product); /* "Milan" */

/* The VCEK among the certificates. Only read, not verified. */
enum status snp_vcek_read(struct span certificates_pem, struct snp_vcek *out, struct error *e);
/* Every link VCEK <- ASK <- ARK <- ARK. */
enum status snp_chain_verify(struct span certificates_pem, struct error *e);
/* The ARK has the key of one of AMD's roots, whose digests are built in: which one. */
enum status snp_root_verify(struct span certificates_pem, enum snp_product *out, struct error *e);
/* The ARK has the key of the certificate ROOT (PEM): what a test believes in AMD's place. */
enum status snp_root_is(struct span certificates_pem, struct span root, struct error *e);
/* The VCEK is of the report's chip and reported TCB. */
enum status snp_vcek_fits(struct span report, struct span certificates_pem, struct error *e);
/* The report is signed, with the VCEK's key. Says nothing about whose key that is. */
enum status snp_signature_verify(struct span report, struct span certificates_pem, struct error *e);
/* THIM's JSON to PEM: VCEK, ASK, ARK. Appends to PEM. */
enum status snp_thim_certificates(struct span json, struct buf *pem, struct error *e);

#endif
