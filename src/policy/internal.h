/* What the files of this room share. */
#ifndef DECANT_POLICY_INTERNAL_H
#define DECANT_POLICY_INTERNAL_H

#include "policy/policy.h"

/* The policy's tree, out of the vault's wrapping if it has one. E_NOT_RELEASED. */
enum status policy_parse(struct span text, struct cJSON **out, struct error *e);
/* The claims of a JWT, or of JSON that is given as such. E_NOT_ATTESTED. */
enum status claims_parse(struct span token, struct cJSON **out, struct error *e);

#endif
