/* What the files of this room share. */
#ifndef DECANT_INSPECT_INTERNAL_H
#define DECANT_INSPECT_INTERNAL_H

#include "evidence/evidence.h"
#include "inspect/inspect.h"

#define THING_MAX ((size_t)17 << 20) /* a manifest may have 16 MiB; nothing else comes near */
#define TEXT_MAX  ((size_t)1 << 20)  /* of a part that is text */

/* What is being explained, and where the findings go. */
struct subject {
    const struct inspect_options *options;
    struct findings *findings;
    bool expects_host_data; /* EXPECTED is what the user says it must be */
    uint8_t expected[SHA256_SIZE];
};

/* What has been read, in the forms that tell kinds apart. */
struct content {
    struct span bytes;
    struct cJSON *json; /* if BYTES are JSON, else NULL */
};

/* Each appends findings about CONTENT. A failure means that it is no such thing at all. */
enum status explain_report(struct subject *s, const struct content *c, struct error *e);
enum status explain_thim(struct subject *s, const struct content *c, struct error *e);
enum status explain_certificates(struct subject *s, const struct content *c, struct error *e);
enum status explain_endorsement(struct subject *s, const struct content *c, struct error *e);
enum status explain_token(struct subject *s, const struct content *c, struct error *e);
enum status explain_release(struct subject *s, const struct content *c, struct error *e);
enum status explain_metadata(struct subject *s, const struct content *c, struct error *e);
enum status explain_manifest(struct subject *s, const struct content *c, struct error *e);
enum status explain_receipt(struct subject *s, const struct content *c, struct error *e);
/* By path: these are not read into memory as a whole. */
enum status explain_blob(struct subject *s, const char *path, struct error *e);
enum status explain_directory(struct subject *s, const char *path, struct error *e);
/* The file beside a blob that has its metadata, as an owner of a copy would name it. */
bool blob_metadata_path(const struct inspect_options *options, char *out, size_t size);

/* ---- findings.c ---- */

/* STEP could not be verified because something is missing, which the text says. With --verify that
 * is a failure of CLASS. */
enum status unverified(struct subject *s, const char *step, enum status class, struct error *e,
                       const char *format, ...) PRINTF_LIKE(5, 6);
/* "name: lower-case hex" as a note. */
enum status note_hex(struct subject *s, const char *step, struct span bytes, struct error *e);
enum status note_number(struct subject *s, const char *step, uint64_t number, struct error *e);
/* GOT is what the user expects as host data, if anything is expected. STEP is not judged else. */
enum status check_host_data(struct subject *s, struct span got, struct error *e);
#define DATE_SIZE 32
const char *date_text(int64_t unix_s, char out[static DATE_SIZE]); /* "2026-11-24T08:00:00Z" */
/* Is the time of the options between both? A failure has CLASS. */
enum status check_dates(struct subject *s, const char *step, int64_t from_s, int64_t to_s,
                        enum status class, struct error *e);

/* ---- report.c: shared with receipts and directories ---- */

/* What it says; of that, only the host data are judged. */
enum status report_findings(struct subject *s, const struct snp_report *report, struct error *e);
/* Signature, chain, root, chip and TCB, each a finding. */
enum status verify_report(struct subject *s, struct span report, struct span certificates_pem,
                          struct error *e);
/* Chain and root alone. */
enum status verify_chain(struct subject *s, struct span certificates_pem, struct error *e);
void tcb_text(const struct snp_tcb *tcb, bool turin, char *out, size_t size);

/* ---- cose.c ---- */

/* An endorsement of the utility VM, COSE_Sign1 (RFC 9052) over JSON. Spans borrow from its bytes. */
struct cose {
    struct span protected_header, payload, signature;
    int64_t algorithm; /* RFC 9053 */
    struct span issuer, feed;
    int64_t signing_time_s; /* 0: it does not say */
    struct span certificates[8];
    size_t n_certificates; /* DER, the signer's first */
};

/* BYTES is hostile. E_NO_EVIDENCE. */
enum status cose_parse(struct span bytes, struct cose *out, struct error *e);
/* The signature is by the first certificate, and each certificate by the next, the last by itself. */
enum status cose_signature_verify(const struct cose *cose, struct error *e);
enum status cose_chain_verify(const struct cose *cose, struct error *e);
/* The issuer is Microsoft's for utility VMs of containers, by did:x509: the digest of an authority of
 * the chain and the signer's extended key usage. */
enum status cose_issuer_verify(const struct cose *cose, struct error *e);
/* Its findings; MEASUREMENT, if not empty, is what it must endorse. */
enum status endorsement_findings(struct subject *s, struct span bytes, struct span measurement,
                                 struct error *e);

/* ---- token.c: shared with receipts ---- */

/* Signature (by the options' key set), issuer, dates. */
enum status verify_token(struct subject *s, struct span token, bool offline, struct error *e);
/* The claims as JSON. */
enum status token_claims(struct span token, struct cJSON **out, struct error *e);
/* "header.payload.signature", as far as its form goes. */
bool looks_like_jws(struct span text);

#endif
