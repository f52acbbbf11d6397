/* A store for one test: a scripted peer, an http room that retries at once, and a storage opened on
 * it. */
#ifndef DECANT_TEST_STORE_H
#define DECANT_TEST_STORE_H

#include "peer.h"

#include "storage/storage.h"

#define SIGNATURE "c2VjcmV0LXNpZ25hdHVyZQ"
#define SAS       "sv=2021-12-02&sr=c&sp=rl&se=2099-01-01T00%3A00%3A00Z&sig=" SIGNATURE "%3D"

struct store {
    struct peer peer;
    struct http *http;
    struct http_session *session;
    struct storage_location location;
    struct storage *storage;
    struct error e;
};

static inline void store_open(struct store *s, peer_handler *handler, void *context,
                              const char *path, const struct storage_options *options)
{
    char url[512];
    static const struct storage_options anonymous = {.audience = NULL};
    struct http_options http = {.deadline_ms = DEADLINE_NEVER, .tries = 3, .retry_delay_ms = 1};
    *s = (struct store){.http = NULL};
    peer_start(&s->peer, handler, context);
    (void)snprintf(url, sizeof url, "%s/acct/data/%s", peer_url(&s->peer), path);
    assert_ok(http_new(&http, &s->http, &s->e), &s->e);
    assert_ok(http_session_take(s->http, &s->session, &s->e), &s->e);
    assert_ok(storage_locate(url, &s->location, &s->e), &s->e);
    assert_ok(
        storage_open(&s->location, options == NULL ? &anonymous : options, &s->storage, &s->e),
        &s->e);
}

/* Whatever happened: no error may hold the signature. */
static inline void store_close(struct store *s)
{
    assert_null(strstr(s->e.text, SIGNATURE));
    assert_null(strstr(s->e.remedy, SIGNATURE));
    assert_null(strstr(s->e.service_code, SIGNATURE));
    assert_null(strstr(s->e.request_id, SIGNATURE));
    storage_close(&s->storage);
    storage_location_free(&s->location);
    http_session_give(&s->session);
    http_free(&s->http);
    peer_stop(&s->peer);
}

#endif
