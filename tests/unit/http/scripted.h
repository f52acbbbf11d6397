/* What http's tests share: a peer that plays a script of raw answers, and short ways to ask it. */
#ifndef DECANT_TEST_SCRIPTED_H
#define DECANT_TEST_SCRIPTED_H

#include "http/http.h"
#include "peer.h"

struct answer {
    const char *raw;
    bool close, reset;
    int64_t delay_ms;
};

/* Answer N goes to request N; the last one to all that follow. */
struct script {
    const struct answer *answers;
    size_t n;
};

static inline void script_play(void *context, const struct peer_request *q, struct peer_answer *a)
{
    const struct script *s = context;
    const struct answer *next = &s->answers[q->number < s->n ? q->number : s->n - 1];
    peer_text(a, next->raw);
    a->close = next->close;
    a->reset = next->reset;
    a->delay_ms = next->delay_ms;
}

/* A peer with its script, and a session to speak with it. */
struct stage {
    struct peer peer;
    struct script script;
    struct http *http;
    struct http_session *session;
    char url[256];
};

static inline void stage_open(struct stage *s, const struct answer *answers, size_t n,
                              const struct http_options *options)
{
    struct error e = {0};
    s->script = (struct script){answers, n};
    peer_start(&s->peer, script_play, &s->script);
    (void)snprintf(s->url, sizeof s->url, "%s/path?sig=SECRET", peer_url(&s->peer));
    s->http = NULL;
    s->session = NULL;
    assert_ok(http_new(options, &s->http, &e), &e);
    assert_ok(http_session_take(s->http, &s->session, &e), &e);
}

static inline void stage_close(struct stage *s)
{
    http_session_give(&s->session);
    http_free(&s->http);
    peer_stop(&s->peer);
}

static inline struct http_request get(const struct stage *s)
{
    return (struct http_request){
        .what = "thing", .method = "GET", .url = s->url, .max_reply = 1000, .timeout_ms = 20000};
}

#endif
