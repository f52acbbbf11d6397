/*
 * The http room's place taken by the input: each request gets the next answer that the input holds,
 * at once and without a network. What reads answers (reply.c, refusal.c) is the real thing.
 *
 * An answer: how it goes (a byte: 0x80 the transport fails, 0x40 that may pass; else the body comes
 * in pieces of 1 + that many bytes, 0 in one), the status (two bytes), the header block and the
 * body (chunks).
 */
#ifndef DECANT_FUZZ_WIRE_H
#define DECANT_FUZZ_WIRE_H

#include "fuzz.h"
#include "http/http.h"

/* From now on answers come from SCRIPT, which must live on. */
void wire_open(struct span script);
struct http *wire_http(void);
struct http_session *wire_session(void);

#endif
