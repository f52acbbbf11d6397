/*
 * doctor: every precondition of a job, each looked at by itself, so that one that does not hold hides
 * no other but those that stand on it. Changes nothing: no key is released unless that is asked for,
 * nothing is written to a container or on the volume.
 */
#ifndef DECANT_DOCTOR_H
#define DECANT_DOCTOR_H

#include "base/base.h"
#include "config/config.h"
#include "finding/finding.h"

struct doctor_options {
    bool release;                    /* also have each key released, and forget it */
    void (*tell)(const char *about); /* what is looked at now, for whoever waits; NULL: nobody */
};

/* Appends a finding for each precondition, in the order in which a run needs them. What is wrong is
 * among the findings; E_SPACE if there are too many of them, E_INTERRUPTED if stopped. */
enum status doctor(const struct job *job, const struct doctor_options *options,
                   struct findings *out, struct error *e);

#endif
