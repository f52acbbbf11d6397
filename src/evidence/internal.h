/* What the files of this room share. */
#ifndef DECANT_EVIDENCE_INTERNAL_H
#define DECANT_EVIDENCE_INTERNAL_H

#include "evidence/evidence.h"

#include <openssl/x509.h>

#define REPORT_DATA_SIZE 64
#define PEM_MAX          ((size_t)64 * 1024)   /* a real chain has 6.5 KiB */
#define THIM_MAX         ((size_t)128 * 1024)  /* a chain as JSON, with line ends escaped */
#define UVM_MAX          ((size_t)1024 * 1024) /* COSE_Sign1; a real one has 11 KiB */
#define POLICY_MAX       ((size_t)1024 * 1024) /* a container policy; ACI takes 120 KB */

/* ---- report.c ---- */

#define REPORT_SIGNED_SIZE   672 /* the signature is over bytes 0 … 671 */
#define REPORT_NUMBER_SIZE   72  /* R at 672 and S at 744, little endian */
#define REPORT_MASK_CHIP_KEY 0x2u

enum { SIGNING_KEY_VCEK = 0, SIGNING_KEY_VLEK = 1, SIGNING_KEY_NONE = 7 };

#define TURIN_CHIP_ID_SIZE 8

uint32_t read_le32(const uint8_t *at);
uint64_t read_le64(const uint8_t *at);
/* The part of REPORT's chip id that counts: 64 bytes, on Turin 8. */
struct span report_chip_id(const struct snp_report *report);

/* ---- verify.c ---- */

/* What no certificate could mend: a report without a VCEK's signature. */
enum status report_is_signed(struct span report, struct error *e);

/* The signature at the end of REPORT is by VCEK's key. */
enum status report_signature_verify(struct span report, const X509 *vcek, struct error *e);

/* ---- chain.c ---- */

struct chain {
    X509 *vcek, *ask, *ark;
};

void chain_free(struct chain *chain);
/* Sorts the certificates of PEM, in whatever order: just one of each. */
enum status chain_parse(struct span pem, struct chain *out, struct error *e);
/* Every link's signature holds: VCEK ← ASK ← ARK ← ARK. */
enum status chain_check(const struct chain *chain, struct error *e);
enum status chain_write(const struct chain *chain, struct buf *pem, struct error *e);
/* Appends the PEM form of one DER certificate. */
enum status pem_from_der(struct span der, struct buf *pem, struct error *e);

/* ---- vcek.c ---- */

/* VCEK says the same chip and the same TCB as REPORT. */
enum status vcek_fits(const X509 *vcek, const struct snp_report *report, struct error *e);
/* What it says, without a report. */
enum status vcek_read(const X509 *vcek, struct snp_vcek *out, struct error *e);

/* ---- firmware.c, tsm.c: who makes reports ---- */

struct reporter {
    enum evidence_kind kind; /* which wish it fulfils, besides EVIDENCE_AUTO */
    const char *name;        /* for the log */
    const char *path;        /* exists if and only if this one can be used */
    enum status (*report)(const char *path, const uint8_t data[static REPORT_DATA_SIZE],
                          struct buf *out, struct error *e);
};

/* The first that exists; NULL if there is none. */
const struct reporter *reporter_find(enum evidence_kind kind);
extern const struct reporter reporter_sev_guest, reporter_sev, reporter_tsm;

/* The firmware or the host's throttle is busy: sleep, a little longer each time. Fails when TRIES,
 * counted here, are used up or the run is stopped. */
enum status firmware_wait(int *tries, const char *path, struct error *e);
bool errno_is_busy(int number); /* EAGAIN, EBUSY, EINTR */

/* ---- platform.c: what the utility VM says about itself ---- */

/* OUT stays empty if there is none. */
enum status platform_uvm_endorsements(struct buf *out, struct error *e);
enum status platform_certificates(struct buf *pem, struct error *e);
/* The container policy, Rego. OUT stays empty if there is none. */
enum status platform_container_policy(struct buf *out, struct error *e);
/* THIM's JSON: vcekCert and certificateChain, one after the other. */
enum status thim_parse(struct span json, struct buf *pem, struct error *e);

/* ---- lookup.c ---- */

struct found {
    struct buf pem; /* VCEK, ASK, ARK */
    char source[128];
};

void found_free(struct found *found);
/* The first chain that fits and verifies REPORT. OFFERED, if not empty, is tried before all others;
 * HTTP may be NULL. */
enum status lookup_certificates(const struct evidence_options *options, struct http *http,
                                struct span report, struct span offered, struct found *out,
                                struct error *e);

/* The same for certificates at one place; all texts end up in messages. */
enum status fetch_thim(struct http *http, const char *url, int tries, struct buf *pem,
                       struct error *e);
enum status fetch_kds(struct http *http, const struct snp_report *report, enum snp_product product,
                      struct buf *pem, struct error *e);
/* The URL from Fabric_NodeIPOrFQDN, which the host controls: nothing but a host name or an address.
 */
enum status fabric_url(const char *node, struct buf *url, struct error *e);

/* ---- sidecar.c ---- */

struct combined {
    struct buf report, endorsements, uvm_endorsements;
};

void combined_free(struct combined *combined);
/* Asks the sidecar; nothing in the answer is checked but its form. */
enum status sidecar_ask(struct http *http, const char *base, struct span runtime_data,
                        struct combined *out, struct error *e);

#endif
