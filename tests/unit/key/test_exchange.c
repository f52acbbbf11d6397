/* key_release and key_from_sidecar against a scripted peer: what is sent, and what each answer
 * becomes. */
#include <cjson/cJSON.h>

#include "maker.h"
#include "peer.h"

#define TOKEN  "eyJhbGciOiJub25lIn0.e30.worthless-test-token"
#define BEARER "worthless-test-bearer"

static struct pki pki;
static struct key_offer offer;
static EVP_PKEY *ec;

/* What the peer answers, and what it saw. */
struct script {
    int status;
    const char *headers, *body; /* BODY NULL: a good release */
    int fail_first;             /* answers 503 so often before */
    bool stale_nonce, stale_enc;
    char kid[128];
    size_t requests;
    char method[16], path[256], authorization[128], type[64], sent[8192];
};

static int set_up(void **state)
{
    struct error e = {0};
    (void)state;
    pki_new(&pki, "IP:127.0.0.1");
    /* These are checked against the clock of today. */
    const struct cert_spec root = {.name = "worthless root", .ca = true, .to_days = 36500};
    const struct cert_spec middle = {.name = "worthless issuer", .ca = true, .to_days = 36500};
    const struct cert_spec leaf = {
        .name = "vault", .san = "IP:127.0.0.1", .eku = "serverAuth", .to_days = 36500};
    X509_free(pki.root);
    X509_free(pki.middle);
    X509_free(pki.leaf);
    (void)unlink(pki.ca_file);
    pki.root = cert_make(&root, pki.root_key, NULL, pki.root_key);
    pki.middle = cert_make(&middle, pki.middle_key, pki.root, pki.root_key);
    pki.leaf = leaf_make(&pki, &leaf);
    pem_file(pki.ca_file, sizeof pki.ca_file, pki.root);
    ec = ec_key("P-256");
    return key_offer_new(&offer, &e) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pki_free(&pki);
    key_offer_free(&offer);
    EVP_PKEY_free(ec);
    return 0;
}

static void copy(char *out, size_t size, const char *text, size_t n)
{
    (void)snprintf(out, size, "%.*s", (int)n, text);
}

static void good_release(const struct script *s, const struct cJSON *sent, struct peer_answer *a)
{
    const char *nonce = json_text(sent, "nonce"), *enc = json_text(sent, "enc");
    const struct release_spec spec = {
        .kid = s->kid,
        .nonce = nonce == NULL || s->stale_nonce ? NONCE : nonce,
        .enc = enc == NULL || s->stale_enc ? "CKM_RSA_AES_KEY_WRAP" : enc,
        .offer = offer.pair,
        .key = ec,
    };
    char *jws = release_make(&pki, &spec);
    char *body = replaced("{\"value\":\"@\"}", "@", jws);

    peer_reply(a, 200, "Content-Type: application/json\r\n", body);
    free(jws);
    free(body);
}

static void answer(void *context, const struct peer_request *q, struct peer_answer *a)
{
    struct script *s = context;
    AUTO(json_free) struct cJSON *sent = NULL;
    struct error e = {0};

    s->requests++;
    copy(s->method, sizeof s->method, q->method, 15);
    copy(s->path, sizeof s->path, q->path, 255);
    copy(s->sent, sizeof s->sent, (const char *)(const void *)q->body.data, q->body.size);
    peer_header(q, "Authorization", s->authorization, sizeof s->authorization);
    peer_header(q, "Content-Type", s->type, sizeof s->type);
    if (s->fail_first-- > 0) {
        peer_reply(a, 503, NULL, "{\"error\":{\"code\":\"Busy\",\"message\":\"later\"}}");
        return;
    }
    if (s->body != NULL) {
        peer_reply(a, s->status, s->headers, s->body);
        return;
    }
    if (json_parse(q->body, E_BUG, &sent, &e) == OK)
        good_release(s, sent, a);
}

struct line {
    struct peer peer;
    struct http *http;
    struct http_session *session;
};

static void line_open(struct line *l, struct script *s)
{
    const struct http_options options = {
        .deadline_ms = DEADLINE_NEVER, .tries = 3, .retry_delay_ms = 1};
    struct error e = {0};

    peer_start(&l->peer, answer, s);
    assert_ok(http_new(&options, &l->http, &e), &e);
    assert_ok(http_session_take(l->http, &l->session, &e), &e);
    (void)snprintf(s->kid, sizeof s->kid, "%s/keys/dataset-kek", peer_url(&l->peer));
}

static void line_close(struct line *l)
{
    http_session_give(&l->session);
    http_free(&l->http);
    peer_stop(&l->peer);
}

static enum status release(struct script *s, struct kek *out, struct error *e)
{
    struct line l;

    line_open(&l, s);
    const struct key_release_request request = {.kid = s->kid,
                                                .token = SPAN_LITERAL(TOKEN),
                                                .bearer = SPAN_LITERAL(BEARER),
                                                .offer = &offer,
                                                .ca_file = pki.ca_file};
    const enum status status = key_release(l.session, &request, out, e);
    line_close(&l);
    return status;
}

static void no_secret_told(const struct error *e)
{
    static const char *const secrets[] = {TOKEN, BEARER, "worthless-test"};

    for (size_t i = 0; i < COUNT(secrets); i++) {
        assert_null(strstr(e->text, secrets[i]));
        assert_null(strstr(e->remedy, secrets[i]));
        assert_null(strstr(e->service_code, secrets[i]));
    }
}

static void released(void **state)
{
    struct script s = {.status = 200};
    AUTO(kek_free) struct kek k = {0};
    AUTO(json_free) struct cJSON *sent = NULL;
    struct error e = {0};
    (void)state;
    assert_ok(release(&s, &k, &e), &e);
    assert_int_equal(EVP_PKEY_eq(k.pair, ec), 1);
    assert_int_equal(s.requests, 1);
    assert_string_equal(s.method, "POST");
    assert_string_equal(s.path, "/keys/dataset-kek/release?api-version=7.4");
    assert_string_equal(s.authorization, "Bearer " BEARER);
    assert_string_equal(s.type, "application/json");
    assert_ok(json_parse(span_text(s.sent), E_BUG, &sent, &e), &e);
    assert_string_equal(json_text(sent, "target"), TOKEN);
    assert_string_equal(json_text(sent, "enc"), "RSA_AES_KEY_WRAP_256");
    assert_int_equal(strlen(json_text(sent, "nonce")), 64);
    assert_int_equal(cJSON_GetArraySize(sent), 3);
}

static void nonce_is_new(void **state)
{
    struct script a = {.status = 200}, b = {.status = 200};
    AUTO(kek_free) struct kek k = {0};
    AUTO(kek_free) struct kek l = {0};
    struct error e = {0};
    (void)state;
    assert_ok(release(&a, &k, &e), &e);
    assert_ok(release(&b, &l, &e), &e);
    assert_string_not_equal(a.sent, b.sent);
}

static void busy_then_released(void **state)
{
    struct script s = {.status = 200, .fail_first = 2};
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    (void)state;
    assert_ok(release(&s, &k, &e), &e);
    assert_int_equal(s.requests, 3);
}

/* The vault answers another request than ours. */
static void answer_to_another(void **state)
{
    struct script nonce = {.status = 200, .stale_nonce = true};
    struct script enc = {.status = 200, .stale_enc = true};
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    (void)state;
    assert_fails(release(&nonce, &k, &e), E_BAD_KEY, "nonce", &e);
    assert_fails(release(&enc, &k, &e), E_BAD_KEY, "enc", &e);
}

#define REFUSAL(code, message) "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}"

static void refused(void **state)
{
    static const struct {
        struct script script;
        enum status status;
        const char *code, *remedy;
        size_t requests;
    } cases[] = {
        {{.status = 403,
          .headers = "x-ms-request-id: 11-22\r\n",
          .body = REFUSAL("Forbidden", "Target environment attestation does not meet key release "
                                       "policy requirements.")},
         E_NOT_RELEASED,
         "Forbidden",
         "release policy",
         1},
        {{.status = 403,
          .body =
              REFUSAL("Forbidden", "Target environment attestation statement cannot be verified.")},
         E_NOT_RELEASED,
         "Forbidden",
         "authority",
         1},
        {{.status = 403, .body = REFUSAL("Forbidden", "Caller is not authorized to perform it")},
         E_NOT_RELEASED,
         "Forbidden",
         "Release User",
         1},
        {{.status = 403,
          .body = "{\"error\":{\"code\":\"Forbidden\",\"message\":\"x\",\"innererror\":{\"code\":"
                  "\"ForbiddenByFirewall\"}}}"},
         E_NOT_RELEASED,
         "Forbidden/ForbiddenByFirewall",
         "firewall",
         1},
        {{.status = 401, .body = REFUSAL("Unauthorized", "no")},
         E_NOT_RELEASED,
         "Unauthorized",
         "audience",
         1},
        {{.status = 404, .body = REFUSAL("KeyNotFound", "no")},
         E_NOT_RELEASED,
         "KeyNotFound",
         "name and version",
         1},
        {{.status = 400, .body = REFUSAL("BadParameter", "no")},
         E_NOT_RELEASED,
         "BadParameter",
         "exportable",
         1},
        {{.status = 409, .body = REFUSAL("Conflict", "no")},
         E_NOT_RELEASED,
         "Conflict",
         "recover",
         1},
        {{.status = 302, .headers = "Location: /elsewhere\r\n", .body = ""},
         E_NOT_RELEASED,
         "",
         "redirect",
         1},
        {{.status = 204, .body = ""}, E_NOT_RELEASED, "", "", 1},
        {{.status = 429, .body = REFUSAL("Throttled", "slow down")}, E_NETWORK, "Throttled", "", 3},
        {{.status = 500, .body = ""}, E_NETWORK, "", "", 3},
        {{.status = 200, .body = "<html>"}, E_BAD_KEY, "", "service it should be", 1},
        {{.status = 200, .body = ""}, E_BAD_KEY, "", "", 1},
        {{.status = 200, .body = "{}"}, E_BAD_KEY, "", "", 1},
        {{.status = 200, .body = "{\"value\":7}"}, E_BAD_KEY, "", "", 1},
        {{.status = 200, .body = "{\"value\":\"\"}"}, E_BAD_KEY, "", "", 1},
        {{.status = 200, .body = "{\"value\":\"a.b.c\"}"}, E_BAD_KEY, "", "", 1},
        {{.status = 200, .body = "{\"value\":\"a.b.c\"}{}"}, E_BAD_KEY, "", "", 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script s = cases[i].script;
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};
        const enum status status = release(&s, &k, &e);

        if (status != cases[i].status || strcmp(e.service_code, cases[i].code) != 0 ||
            strstr(e.remedy, cases[i].remedy) == NULL || s.requests != cases[i].requests)
            fail_msg("case %zu: %d (%s) \"%s\", do: \"%s\", %zu requests", i, status,
                     e.service_code, e.text, e.remedy, s.requests);
        assert_non_null(strstr(e.text, "/keys/dataset-kek"));
        if (i == 0)
            assert_string_equal(e.request_id, "11-22");
        no_secret_told(&e);
        assert_null(k.pair);
    }
}

static void bad_requests(void **state)
{
    struct script s = {.status = 200};
    struct line l;
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    (void)state;
    line_open(&l, &s);
    struct key_release_request request = {.kid = "http://vault.test/keys/k",
                                          .token = SPAN_LITERAL(TOKEN),
                                          .bearer = SPAN_LITERAL(BEARER),
                                          .offer = &offer};
    assert_fails(key_release(l.session, &request, &k, &e), E_USAGE, "plain http", &e);
    request.kid = s.kid;
    request.bearer = span_of(NULL, 0);
    assert_fails(key_release(l.session, &request, &k, &e), E_BUG, "token", &e);
    line_close(&l);
    assert_int_equal(s.requests, 0);
}

/* ---- The sidecar ---- */

static enum status by_sidecar(struct script *s, const char *kid, const char *bearer,
                              struct kek *out, struct error *e)
{
    struct line l;
    char url[96];

    line_open(&l, s);
    (void)snprintf(url, sizeof url, "%s/", peer_url(&l.peer)); /* one slash too many is no harm */
    const struct key_sidecar_request request = {.sidecar = url,
                                                .kid = kid,
                                                .provider = "https://maa.test:444/",
                                                .bearer = span_text(bearer)};
    const enum status status = key_from_sidecar(l.session, &request, out, e);
    line_close(&l);
    return status;
}

/* {"key": "…"} with the JWK as a string. */
static char *sidecar_answer(const char *jwk)
{
    struct buf out = BUF(ROOM);
    struct error e = {0};
    char *text;

    assert_ok(buf_addf(&out, &e, "{\"key\":"), &e);
    assert_ok(json_quote(span_text(jwk), &out, &e), &e);
    assert_ok(buf_addf(&out, &e, "}"), &e);
    text = strdup(buf_text(&out));
    buf_free(&out);
    return text;
}

static void sidecar_releases(void **state)
{
    static const struct {
        const char *kid, *bearer, *sent;
    } cases[] = {
        {KID, NULL,
         "{\"maa_endpoint\":\"maa.test:444\",\"akv_endpoint\":\"vault.test\",\"kid\":"
         "\"dataset-kek\"}"},
        {KID "/" VERSION, BEARER,
         "{\"maa_endpoint\":\"maa.test:444\",\"akv_endpoint\":\"vault.test\",\"kid\":"
         "\"dataset-kek/" VERSION "\",\"access_token\":\"" BEARER "\"}"},
    };
    char *jwk = private_jwk(ec), *body = sidecar_answer(jwk);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script s = {.status = 200, .body = body};
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};

        assert_ok(by_sidecar(&s, cases[i].kid, cases[i].bearer, &k, &e), &e);
        assert_int_equal(EVP_PKEY_eq(k.pair, ec), 1);
        assert_string_equal(k.kid, cases[i].kid);
        assert_string_equal(s.method, "POST");
        assert_string_equal(s.path, "/key/release");
        assert_string_equal(s.sent, cases[i].sent);
        assert_string_equal(s.authorization, "");
    }
    free(jwk);
    free(body);
}

static void sidecar_octets(void **state)
{
    struct script s = {
        .status = 200,
        .body = "{\"key\":\"{\\\"k\\\":\\\"AAAAAAAAAAAAAAAAAAAAAA\\\",\\\"kty\\\":\\\"oct\\\"}\"}"};
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    (void)state;
    assert_ok(by_sidecar(&s, KID, NULL, &k, &e), &e);
    assert_int_equal(k.octets.size, 16);
}

static void sidecar_refuses(void **state)
{
    static const struct {
        struct script script;
        enum status status;
        const char *remedy;
    } cases[] = {
        {{.status = 403,
          .body = "{\"error\":\"releasing the key failed: Target environment attestation does not "
                  "meet key release policy requirements.\"}"},
         E_NOT_RELEASED,
         "release policy"},
        {{.status = 403, .body = "{\"error\":\"no\"}"}, E_NOT_RELEASED, ""},
        {{.status = 400, .body = "{\"error\":\"no\"}"}, E_NOT_RELEASED, ""},
        {{.status = 500, .body = "{\"error\":\"no\"}"}, E_NETWORK, ""},
        /* What it is known to send behind a failure. */
        {{.status = 200, .body = "{\"error\":{}}{\"key\":\"\"}"}, E_BAD_KEY, ""},
        {{.status = 200, .body = "{\"key\":\"\"}"}, E_BAD_KEY, ""},
        {{.status = 200, .body = "{\"key\":\"{}\"}"}, E_BAD_KEY, ""},
        {{.status = 200, .body = "{\"key\":{\"kty\":\"oct\"}}"}, E_BAD_KEY, ""},
        {{.status = 200, .body = "{\"key\":\"{\\\"kty\\\":\\\"oct\\\",\\\"k\\\":\\\"\\\"}\"}"},
         E_BAD_KEY,
         ""},
        {{.status = 200, .body = "{}"}, E_BAD_KEY, ""},
        {{.status = 200, .body = ""}, E_BAD_KEY, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script s = cases[i].script;
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};
        const enum status status = by_sidecar(&s, KID, BEARER, &k, &e);

        if (status != cases[i].status || strstr(e.remedy, cases[i].remedy) == NULL)
            fail_msg("case %zu: %d \"%s\", do: \"%s\"", i, status, e.text, e.remedy);
        no_secret_told(&e);
        assert_null(k.pair);
        assert_null(k.octets.pages);
    }
}

static void sidecar_urls(void **state)
{
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"http://sidecar.test:8080", "sidecar: plain http"},
        {"http://10.0.0.4:8080", "sidecar: plain http"},
        {"http://localhost:8080/?x=y", "sidecar: a base URL"},
        {"localhost:8080", "sidecar"},
        {"", "sidecar"},
    };
    struct script s = {.status = 200};
    struct line l;
    (void)state;
    line_open(&l, &s);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct key_sidecar_request request = {
            .sidecar = cases[i].url, .kid = KID, .provider = "https://maa.test"};
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};
        assert_fails(key_from_sidecar(l.session, &request, &k, &e), E_USAGE, cases[i].says, &e);
    }
    line_close(&l);
    assert_int_equal(s.requests, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(released),
        cmocka_unit_test(nonce_is_new),
        cmocka_unit_test(busy_then_released),
        cmocka_unit_test(answer_to_another),
        cmocka_unit_test(refused),
        cmocka_unit_test(bad_requests),
        cmocka_unit_test(sidecar_releases),
        cmocka_unit_test(sidecar_octets),
        cmocka_unit_test(sidecar_refuses),
        cmocka_unit_test(sidecar_urls),
    };
    return cmocka_run_group_tests_name("key exchange", tests, set_up, tear_down);
}
