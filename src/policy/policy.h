/*
 * policy: the release policy of a key in Azure Key Vault or Managed HSM: written for a container
 * policy's digest, and evaluated against a token's claims as the vault does it, claim by claim.
 *
 * Grammar (Key Vault, "policy grammar"): {"version": "1.0.0", "anyOf": [{"authority": URL, "allOf"
 * | "anyOf": [{"claim": "a.b", "equals": VALUE} | a nested allOf or anyOf]}]}. The grammar has more
 * operators than equals, but vaults evaluate no other.
 */
#ifndef DECANT_POLICY_H
#define DECANT_POLICY_H

#include "base/base.h"
#include "finding/finding.h"

#define POLICY_TEXT_MAX  ((size_t)64 * 1024) /* of a policy as JSON */
#define POLICY_CCE_MAX   ((size_t)1024 * 1024) /* of a container policy as base64 */
#define POLICY_TOKEN_MAX ((size_t)64 * 1024)   /* real tokens have 3 to 12 KiB */
#define POLICY_SVN_MAX   64                    /* versions that one policy lists */

#define POLICY_COMPLIANCE_ACI "azure-compliant-uvm" /* confidential ACI, virtual nodes on it */

struct policy_wish {
    const char *const *attestation; /* base URLs of the attestation services, one or more */
    size_t n_attestation;
    uint8_t host_data[SHA256_SIZE]; /* the container policy's digest */
    const char *compliance;         /* x-ms-compliance-status, NULL: not demanded */
    bool debug_off;                 /* the guest must not be debuggable */
    bool has_svn;                   /* the utility VM's endorsed version is one of: */
    uint32_t svn_min, svn_max;
};

/* The release policy, as indented JSON with a line end. E_USAGE: an address that is none, or a
 * range that is empty or too wide. */
enum status policy_write(const struct policy_wish *wish, struct buf *out, struct error *e);

/* The host data of a container group: the SHA-256 of the Rego text that CCE_POLICY holds as base64,
 * with or without white space around it. E_USAGE. */
enum status policy_host_data(struct span cce_policy, uint8_t out[static SHA256_SIZE],
                             struct error *e);
/* 64 hexadecimal letters of either case. E_USAGE. */
enum status policy_host_data_hex(struct span hex, uint8_t out[static SHA256_SIZE], struct error *e);

/* Would a vault release a key with this POLICY to the bearer of TOKEN? Both are hostile. POLICY is
 * the policy itself, or the vault's {"data": base64url of it}. TOKEN is a JWT, of which only the
 * claims are looked at, or the claims as JSON. OK; E_NOT_RELEASED: a sentence that names the first
 * claim that differs, what is wanted and what is there, or what is wrong with the policy;
 * E_NOT_ATTESTED: this is no token. EACH, if not NULL, gets one finding for the authority and one
 * for every claim. The token's dates and signature are not looked at. */
enum status policy_evaluate(struct span policy, struct span token, struct findings *each,
                            struct error *e);

#endif
