/* key_open_release: good releases of every kind open; with any one thing changed they do not. */
#include "maker.h"

static struct pki pki;
static struct key_offer offer;
static EVP_PKEY *rsa, *ec, *other_rsa;

static const uint8_t OCTETS[32] = {9, 8, 7};

static int set_up(void **state)
{
    struct error e = {0};
    (void)state;
    pki_new(&pki, "DNS:vault.test,DNS:*.vaults.test,DNS:v*.partial.test,DNS:localhost,IP:127.0.0.1,"
                  "IP:::1");
    rsa = rsa_key(2048);
    other_rsa = rsa_key(2048);
    ec = ec_key("P-256");
    return key_offer_new(&offer, &e) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pki_free(&pki);
    key_offer_free(&offer);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(other_rsa);
    EVP_PKEY_free(ec);
    return 0;
}

static enum status open_text(const char *jws, const char *kid, const char *nonce, int64_t now,
                             struct kek *out, struct error *e)
{
    const struct key_release_request request = {
        .kid = kid, .offer = &offer, .ca_file = pki.ca_file};

    return key_open_release(span_text(jws), &request, nonce, now, out, e);
}

/* Makes the release and opens it. */
static enum status open_spec(const struct release_spec *spec, const char *kid, const char *nonce,
                             struct kek *out, struct error *e)
{
    char *jws = release_make(&pki, spec);
    const enum status status = open_text(jws, kid, nonce, NOW, out, e);

    free(jws);
    return status;
}

static void every_wrapping_and_kind(void **state)
{
    static const char *const encs[] = {"CKM_RSA_AES_KEY_WRAP", "RSA_AES_KEY_WRAP_256",
                                       "RSA_AES_KEY_WRAP_384"};
    (void)state;
    for (size_t i = 0; i < 3 * COUNT(encs); i++) {
        EVP_PKEY *key = i % 3 == 0 ? rsa : ec;
        const bool oct = i % 3 == 2;
        const struct release_spec spec = {.enc = encs[i / 3],
                                          .offer = offer.pair,
                                          .key = key,
                                          .octets = span_of(OCTETS, oct ? sizeof OCTETS : 0)};
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};

        assert_ok(open_spec(&spec, KID, NULL, &k, &e), &e);
        assert_string_equal(k.kid, KID "/" VERSION);
        if (oct) {
            assert_null(k.pair);
            assert_true(span_equal(secret_view(&k.octets), spec.octets));
        } else {
            assert_int_equal(k.octets.size, 0);
            assert_int_equal(EVP_PKEY_eq(k.pair, key), 1);
        }
    }
}

static void every_algorithm(void **state)
{
    static const char *const algs[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
    (void)state;
    for (size_t i = 0; i < COUNT(algs); i++) {
        const struct release_spec spec = {.alg = algs[i], .offer = offer.pair, .key = ec};
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};

        assert_ok(open_spec(&spec, KID, NONCE, &k, &e), &e);
        /* … and said to be another one, with the header signed as it stands */
        for (size_t j = 0; j < COUNT(algs); j++) {
            struct release_spec wrong = spec;
            char from[32], to[32];

            if (j == i)
                continue;
            (void)snprintf(from, sizeof from, "\"alg\":\"%s\"", algs[i]);
            (void)snprintf(to, sizeof to, "\"alg\":\"%s\"", algs[j]);
            wrong.change = (struct change){HEADER, from, to};
            AUTO(kek_free) struct kek none = {0};
            assert_fails(open_spec(&wrong, KID, NONCE, &none, &e), E_BAD_KEY, "signature", &e);
        }
    }
}

static void key_ids(void **state)
{
    static const struct {
        const char *asked;
        const char *signed_for;
        enum status status;
    } cases[] = {
        {KID, KID, OK},
        {"https://VAULT.test/keys/Dataset-KEK", KID, OK},
        {KID "/" VERSION, KID, OK},
        {KID "/ffffffffffffffffffffffffffffffff", KID, E_BAD_KEY},
        {VAULT "/keys/other", KID, E_BAD_KEY},
        {KID, VAULT "/keys/other", E_BAD_KEY},
        {KID, "https://x.vaults.test/keys/dataset-kek", E_BAD_KEY},
        {"https://x.vaults.test/keys/dataset-kek", "https://x.vaults.test/keys/dataset-kek", OK},
        {"https://localhost:8443/keys/k", "https://localhost:8443/keys/k", OK},
        {"https://localhost:8443/keys/k", "https://localhost:8444/keys/k", E_BAD_KEY},
        {"https://127.0.0.1:8443/keys/k", "https://127.0.0.1:8443/keys/k", OK},
        {"https://[::1]:8443/keys/k", "https://[::1]:8443/keys/k", OK},
        /* hosts that the certificate does not have */
        {"https://127.0.0.2:8443/keys/k", "https://127.0.0.2:8443/keys/k", E_BAD_KEY},
        {"https://vaults.test/keys/k", "https://vaults.test/keys/k", E_BAD_KEY},
        {"https://x.y.vaults.test/keys/k", "https://x.y.vaults.test/keys/k", E_BAD_KEY},
        {"https://vx.partial.test/keys/k", "https://vx.partial.test/keys/k", E_BAD_KEY},
        {"https://vault.test.evil.test/keys/k", "https://vault.test.evil.test/keys/k", E_BAD_KEY},
        {"https://vault/keys/k", "https://vault/keys/k", E_BAD_KEY}, /* its common name */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct release_spec spec = {
            .kid = cases[i].signed_for, .offer = offer.pair, .key = ec};
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};
        const enum status status = open_spec(&spec, cases[i].asked, NONCE, &k, &e);

        if (status != cases[i].status)
            fail_msg("case %zu: %d %s", i, status, e.text);
    }
}

static void one_thing_changed(void **state)
{
    static const struct {
        struct change change;
        const char *says;
    } cases[] = {
        {{HEADER, "RS256", "none"}, "algorithm"},
        {{HEADER, "RS256", "HS256"}, "algorithm"},
        {{HEADER, "RS256", "ES256"}, "algorithm"},
        {{HEADER, "RS256", "rs256"}, "algorithm"},
        {{HEADER, "\"alg\":\"RS256\",", ""}, "algorithm"},
        {{HEADER, "\"RS256\"", "256"}, "algorithm"},
        {{HEADER, "{", "{\"alg\":\"RS256\","}, "twice"},
        {{HEADER, "{", "{\"crit\":[\"exp\"],"}, "crit"},
        {{HEADER, "{", "{\"b64\":false,"}, "b64"},
        {{HEADER, "\"x5c\":[", "\"x5c\":[],\"X5c\":["}, "x5c"},
        {{HEADER, "\"x5c\":[", "\"x5c\":[\"\","}, "x5c"},
        {{HEADER, "\"x5c\":[", "\"x5c\":[7,"}, "x5c"},
        {{HEADER, "\"x5c\":[", "\"x5c\":[\"AAAA\","}, "x5c"},
        {{HEADER, "\"x5c\":[\"", "\"x5c\":[\"\\n"}, "x5c"},
        {{HEADER, "\"x5c\":", "\"x5u\":"}, "x5c"},
        {{HEADER, "\"x5t\":\"", "\"x5t\":\"A"}, "x5t"},
        {{HEADER, "\"x5t#S256\":\"", "\"x5t#S256\":\"A"}, "x5t#S256"},
        {{HEADER, "\"x5t\":", "\"x5t\":null,\"x\":"}, "x5t"},
        {{HEADER, "}", ",}"}, "JSON"},
        {{PAYLOAD, "\"request\"", "\"Request\""}, "request"},
        {{PAYLOAD, "\"response\"", "\"Response\""}, "key"},
        {{PAYLOAD, "\"enc\":\"RSA_AES_KEY_WRAP_256\"", "\"enc\":\"RSA_AES_KEY_WRAP_384\""}, "enc"},
        {{PAYLOAD, "\"enc\":\"RSA_AES_KEY_WRAP_256\"", "\"enc\":\"none\""}, "enc"},
        {{PAYLOAD, "\"enc\":\"RSA_AES_KEY_WRAP_256\",", ""}, "enc"},
        {{PAYLOAD, "\"nonce\":\"0", "\"nonce\":\"1"}, "nonce"},
        {{PAYLOAD, "\"nonce\":\"" NONCE "\"", "\"nonce\":\"\""}, "nonce"},
        {{PAYLOAD, ",\"nonce\":\"" NONCE "\"", ""}, "nonce"},
        {{PAYLOAD, "\"nonce\":\"" NONCE "\"", "\"nonce\":7"}, "nonce"},
        {{PAYLOAD, "\"kid\":\"" VAULT "/keys/dataset-kek/", "\"kid\":\"" VAULT "/keys/other/"},
         "kid of the request"},
        {{PAYLOAD, "\"kid\":\"" VAULT, "\"kid\":\"https://evil.test"}, "kid of the request"},
        {{PAYLOAD, "\"kid\":\"https", "\"kid\":\"ftp"}, "kid of the request"},
        {{PAYLOAD, "\"kid\":", "\"Kid\":"}, "request has no kid"},
        {{PAYLOAD, "\"key\":{\"kid\":\"" KID, "\"key\":{\"kid\":\"" VAULT "/keys/other"},
         "kid of the response"},
        {{PAYLOAD, "\"key\":{\"kid\":", "\"key\":{\"Kid\":"}, "response has no kid"},
        {{PAYLOAD, "\"enabled\":true", "\"enabled\":false"}, "enabled"},
        {{PAYLOAD, "\"enabled\":true", "\"enabled\":\"true\""}, "enabled"},
        {{PAYLOAD, "\"attributes\":{", "\"attributes\":7,\"x\":{"}, "attributes"},
        {{PAYLOAD, "\"kty\":\"EC-HSM\"", "\"kty\":\"RSA-HSM\""}, "no n"},
        {{PAYLOAD, "\"kty\":\"EC-HSM\"", "\"kty\":\"oct-HSM\""}, "symmetric key"},
        {{PAYLOAD, "\"kty\":\"EC-HSM\"", "\"kty\":\"OKP\""}, "kty"},
        {{PAYLOAD, "\"kty\":\"EC-HSM\",", ""}, "kty"},
        {{PAYLOAD, "\"crv\":\"P-256\"", "\"crv\":\"P-384\""}, "x of 32"},
        {{PAYLOAD, "\"x\":\"", "\"x\":\"AA"}, "x"},
        {{PAYLOAD, "\"y\":", "\"Y\":"}, "no y"},
        {{PAYLOAD, "\"key_hsm\":", "\"Key_hsm\":"}, "key_hsm"},
        {{PAYLOAD, "\"key_hsm\":\"", "\"key_hsm\":\"!"}, "key_hsm"},
        {{PAYLOAD, "\"key_hsm\":\"", "\"key_hsm\":\"AAAA"}, "key_hsm"},
        {{HSM, "\"1.0\"", "\"2.0\""}, "schema_version"},
        {{HSM, "\"1.0\"", "1"}, "schema_version"},
        {{HSM, "\"dir\"", "\"A256KW\""}, "alg"},
        {{HSM, "RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384"}, "enc"},
        {{HSM, "\"enc\":\"RSA_AES_KEY_WRAP_256\"", "\"x\":7"}, "enc"},
        {{HSM, "\"header\"", "\"Header\""}, "enc"},
        {{HSM, "\"ciphertext\"", "\"Ciphertext\""}, "ciphertext"},
        {{HSM, "\"ciphertext\":\"", "\"ciphertext\":\"AAAAAAAAAAAA"}, "unwrap failed"},
        {{HSM, "\"ciphertext\":\"", "\"ciphertext\":\"!"}, "ciphertext"},
        {{HSM, "}", "},"}, "JSON"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct release_spec spec = {
            .offer = offer.pair, .key = ec, .change = cases[i].change};
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};
        const enum status status = open_spec(&spec, KID, NONCE, &k, &e);

        if (status != E_BAD_KEY || strstr(e.text, cases[i].says) == NULL)
            fail_msg("case %zu (%s): %d \"%s\"", i, cases[i].change.to, status, e.text);
    }
}

/* Without a nonce (recorded answers) the answer's own enc counts, but it must still be one enc. */
static void recorded(void **state)
{
    const struct release_spec spec = {
        .enc = "RSA_AES_KEY_WRAP_384",
        .offer = offer.pair,
        .key = ec,
        .change = {HSM, "RSA_AES_KEY_WRAP_384", "RSA_AES_KEY_WRAP_256"}};
    const struct release_spec good = {
        .enc = "RSA_AES_KEY_WRAP_384", .offer = offer.pair, .key = ec};
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    (void)state;
    assert_fails(open_spec(&spec, KID, NULL, &k, &e), E_BAD_KEY, "enc of key_hsm", &e);
    assert_fails(open_spec(&good, KID, NONCE, &k, &e), E_BAD_KEY, "enc is not what was asked", &e);
    assert_ok(open_spec(&good, KID, NULL, &k, &e), &e);
}

static void refuse(const struct release_spec *spec, const char *says)
{
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};

    assert_fails(open_spec(spec, KID, NONCE, &k, &e), E_BAD_KEY, says, &e);
    assert_null(k.pair);
    assert_null(k.octets.pages);
}

static void wrapped_wrongly(void **state)
{
    const struct span rsa_der = pkcs8(rsa), ec_der = pkcs8(ec), other_der = pkcs8(other_rsa);
    uint8_t longer[4096];
    (void)state;
    memcpy(longer, ec_der.data, ec_der.size);
    longer[ec_der.size] = 0;
    const struct release_spec cases[] = {
        {.offer = other_rsa, .key = ec},                               /* for somebody else */
        {.offer = offer.pair, .key = ec, .inner_size = 16},            /* an AES-128 key inside */
        {.offer = offer.pair, .key = ec, .cut = 1},                    /* no multiple of eight */
        {.offer = offer.pair, .key = ec, .cut = 8},                    /* a block missing */
        {.offer = offer.pair, .octets = span_of(OCTETS, 8), .cut = 8}, /* nearly nothing left */
        {.offer = offer.pair, .octets = span_of(OCTETS, 31)},
        {.offer = offer.pair, .octets = span_of(OCTETS, 8)},
        {.offer = offer.pair, .key = ec, .plain = span_of(longer, ec_der.size + 1)},
        {.offer = offer.pair, .key = ec, .plain = rsa_der},
        {.offer = offer.pair, .key = rsa, .plain = ec_der},
        {.offer = offer.pair, .key = rsa, .plain = other_der},
        {.offer = offer.pair, .key = ec, .plain = SPAN_LITERAL("no DER at all, but long enough")},
    };
    static const char *const says[] = {"unwrap failed: RSA-OAEP",
                                       "inner AES key of 16",
                                       "AES key wrap of",
                                       "integrity",
                                       "a ciphertext of",
                                       "symmetric key of 31",
                                       "symmetric key of 8",
                                       "behind its PKCS#8",
                                       "another type",
                                       "another type",
                                       "does not belong",
                                       "not PKCS#8"};
    for (size_t i = 0; i < COUNT(cases); i++)
        refuse(&cases[i], says[i]);
    free((void *)(uintptr_t)rsa_der.data);
    free((void *)(uintptr_t)ec_der.data);
    free((void *)(uintptr_t)other_der.data);
}

/* ---- Chains ---- */

static void leaf_refused(const struct cert_spec *spec, const char *says)
{
    X509 *leaf = leaf_make(&pki, spec);
    X509 *const chain[] = {leaf, pki.middle};

    refuse(
        &(struct release_spec){
            .offer = offer.pair, .key = ec, .chain = chain, .n_chain = COUNT(chain)},
        says);
    X509_free(leaf);
}

static void leaves(void **state)
{
    static const char SAN[] = "DNS:vault.test";
    (void)state;
    leaf_refused(&(struct cert_spec){.name = "v", .san = "DNS:other.test", .eku = "serverAuth"},
                 "ostname mismatch");
    leaf_refused(&(struct cert_spec){.name = "vault.test", .eku = "serverAuth"},
                 "ostname mismatch");
    leaf_refused(&(struct cert_spec){.name = "v", .san = SAN, .eku = "clientAuth"}, "purpose");
    leaf_refused(
        &(struct cert_spec){.name = "v", .san = SAN, .eku = "serverAuth", .md = EVP_sha1()},
        "too weak");
    leaf_refused(&(struct cert_spec){.name = "v", .san = SAN, .from_days = -9, .to_days = -1},
                 "expired");
    leaf_refused(&(struct cert_spec){.name = "v", .san = SAN, .from_days = 1, .to_days = 9},
                 "not yet valid");
}

/* The good leaf fails, too, once NOW has moved. */
static void time_passes(void **state)
{
    const struct release_spec spec = {.offer = offer.pair, .key = ec};
    char *jws = release_make(&pki, &spec);
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    (void)state;
    assert_fails(open_text(jws, KID, NONCE, NOW + 2 * DAY, &k, &e), E_BAD_KEY, "expired", &e);
    assert_string_not_equal(e.remedy, "");
    assert_fails(open_text(jws, KID, NONCE, NOW - 2 * DAY, &k, &e), E_BAD_KEY, "not yet", &e);
    assert_ok(open_text(jws, KID, NONCE, NOW, &k, &e), &e);
    free(jws);
}

static void chains(void **state)
{
    const struct cert_spec no_ca = {.name = "no issuer", .ca = false};
    const struct cert_spec leaf_spec = {.name = "v", .san = "DNS:vault.test", .eku = "serverAuth"};
    const struct cert_spec root_spec = {.name = "another root", .ca = true};
    X509 *impostor = cert_make(&no_ca, pki.middle_key, pki.root, pki.root_key);
    X509 *below = cert_make(&leaf_spec, pki.leaf_key, impostor, pki.middle_key);
    X509 *root = cert_make(&root_spec, pki.middle_key, NULL, pki.middle_key);
    X509 *below_root = cert_make(&leaf_spec, pki.leaf_key, root, pki.middle_key);
    X509 *self = cert_make(&leaf_spec, pki.leaf_key, NULL, pki.leaf_key);
    X509 *const many[] = {pki.leaf, pki.middle, pki.root, pki.root, pki.root, pki.root,
                          pki.root, pki.root,   pki.root, pki.root, pki.root};
    X509 *const by_no_ca[] = {below, impostor}, *const own_root[] = {below_root, root};
    X509 *const alone[] = {pki.leaf}, *const backwards[] = {pki.middle, pki.leaf};
    const struct {
        X509 *const *chain;
        size_t n;
        const char *says; /* NULL: good */
    } cases[] = {{many, 2, NULL},
                 {many, 10, NULL},
                 {many, 11, "x5c of 11"},
                 {alone, 1, "issuer"},
                 {by_no_ca, 2, "invalid CA"},
                 {own_root, 2, "self-signed"}, /* complete, but nobody trusts its root */
                 {&self, 1, "self"},
                 {backwards, 2, "mismatch"}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct release_spec spec = {
            .offer = offer.pair, .key = ec, .chain = cases[i].chain, .n_chain = cases[i].n};
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};

        if (cases[i].says == NULL)
            assert_ok(open_spec(&spec, KID, NONCE, &k, &e), &e);
        else
            refuse(&spec, cases[i].says);
    }
    X509_free(impostor);
    X509_free(below);
    X509_free(root);
    X509_free(below_root);
    X509_free(self);
}

static void signers(void **state)
{
    const struct cert_spec spec = {.name = "v", .san = "DNS:vault.test", .eku = "serverAuth"};
    EVP_PKEY *small = rsa_key(1024), *curve = ec_key("P-256");
    X509 *small_leaf = cert_make(&spec, small, pki.middle, pki.middle_key);
    X509 *curve_leaf = cert_make(&spec, curve, pki.middle, pki.middle_key);
    X509 *const small_chain[] = {small_leaf, pki.middle};
    X509 *const curve_chain[] = {curve_leaf, pki.middle};
    (void)state;
    refuse(&(struct release_spec){.offer = offer.pair, .key = ec, .signer = other_rsa},
           "signature");
    refuse(
        &(struct release_spec){
            .offer = offer.pair, .key = ec, .signer = small, .chain = small_chain, .n_chain = 2},
        "too weak");
    refuse(
        &(struct release_spec){
            .offer = offer.pair, .key = ec, .signer = curve, .chain = curve_chain, .n_chain = 2},
        "no RSA key");
    X509_free(small_leaf);
    X509_free(curve_leaf);
    EVP_PKEY_free(small);
    EVP_PKEY_free(curve);
}

/* One byte behind the leaf, signed and all: another text for the same certificate. */
static void byte_behind_certificate(void **state)
{
    uint8_t *der = NULL, longer[8192] = {0};
    const int size = i2d_X509(pki.leaf, &der);
    (void)state;
    must(size > 0 && (size_t)size < sizeof longer);
    memcpy(longer, der, (size_t)size);
    char *from = cert_text(pki.leaf), *to = encoded(span_of(longer, (size_t)size + 1), BASE64);
    refuse(&(struct release_spec){.offer = offer.pair, .key = ec, .change = {HEADER, from, to}},
           "x5c");
    OPENSSL_free(der);
    free(from);
    free(to);
}

/* Asked for one version, an answer that does not say which it has is not good enough. */
static void version_not_told(void **state)
{
    static const struct change changes[] = {
        {PAYLOAD, "\"kid\":\"" KID "/" VERSION "\",\"nonce", "\"kid\":\"" KID "\",\"nonce"},
        {PAYLOAD, "\"key\":{\"kid\":\"" KID "/" VERSION, "\"key\":{\"kid\":\"" KID},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        const struct release_spec spec = {.offer = offer.pair, .key = ec, .change = changes[i]};
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};

        assert_fails(open_spec(&spec, KID "/" VERSION, NONCE, &k, &e), E_BAD_KEY, "asked for", &e);
        assert_ok(open_spec(&spec, KID, NONCE, &k, &e), &e);
    }
}

static void trust_stores(void **state)
{
    const struct release_spec spec = {.offer = offer.pair, .key = ec};
    char *jws = release_make(&pki, &spec);
    struct key_release_request request = {.kid = KID, .offer = &offer};
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    (void)state;
    /* The system's roots do not have ours; the environment cannot bring it in. */
    assert_int_equal(setenv("SSL_CERT_FILE", pki.ca_file, 1), 0);
    assert_fails(key_open_release(span_text(jws), &request, NONCE, NOW, &k, &e), E_BAD_KEY,
                 "self-signed", &e);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
    request.ca_file = "/nonexistent/roots.pem";
    assert_fails(key_open_release(span_text(jws), &request, NONCE, NOW, &k, &e), E_USAGE,
                 "/nonexistent/roots.pem", &e);
    free(jws);
}

/* ---- Shapes of the compact form ---- */

static void shapes(void **state)
{
    const struct release_spec spec = {.offer = offer.pair, .key = ec};
    char *good = release_make(&pki, &spec);
    char *more = replaced(good, ".", "..");
    char *padded = replaced(good, ".", "=.");
    char *spaced = replaced(good, ".", " .");
    char *whole = replaced("@==", "@", good); /* the signature's right padding */
    const char *const cases[] = {"",     ".",  "..",   "a.b",  "a.b.c.d",
                                 "....", more, padded, spaced, whole};
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_fails(open_text(cases[i], KID, NONCE, NOW, &k, &e), E_BAD_KEY, "JWS", &e);
    for (size_t cut = 1; cut < 400; cut += 57) {
        char *cut_off = strndup(good, strlen(good) - cut);
        assert_fails(open_text(cut_off, KID, NONCE, NOW, &k, &e), E_BAD_KEY, "", &e);
        free(cut_off);
    }
    struct buf huge = BUF(ROOM);
    for (size_t i = 0; i < 500; i++)
        assert_ok(buf_addf(&huge, &e, "%01024d", 7), &e);
    assert_fails(open_text(buf_text(&huge), KID, NONCE, NOW, &k, &e), E_BAD_KEY, "bytes", &e);
    buf_free(&huge);
    free(good);
    free(more);
    free(padded);
    free(spaced);
    free(whole);
}

static void one_bit_flipped(void **state)
{
    const struct release_spec spec = {.offer = offer.pair, .octets = span_of(OCTETS, 16)};
    char *jws = release_make(&pki, &spec);
    const size_t size = strlen(jws);
    (void)state;
    for (size_t i = 0; i < size; i += i + 400 < size ? 11 : 1) { /* the signature wholly */
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};

        jws[i] = (char)(jws[i] ^ (1 << i % 7));
        if (jws[i] != 0)
            assert_fails(open_text(jws, KID, NONCE, NOW, &k, &e), E_BAD_KEY, "", &e);
        jws[i] = (char)(jws[i] ^ (1 << i % 7));
    }
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    assert_ok(open_text(jws, KID, NONCE, NOW, &k, &e), &e);
    free(jws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wrapping_and_kind),
        cmocka_unit_test(every_algorithm),
        cmocka_unit_test(key_ids),
        cmocka_unit_test(one_thing_changed),
        cmocka_unit_test(recorded),
        cmocka_unit_test(wrapped_wrongly),
        cmocka_unit_test(leaves),
        cmocka_unit_test(time_passes),
        cmocka_unit_test(chains),
        cmocka_unit_test(signers),
        cmocka_unit_test(trust_stores),
        cmocka_unit_test(byte_behind_certificate),
        cmocka_unit_test(version_not_told),
        cmocka_unit_test(shapes),
        cmocka_unit_test(one_bit_flipped),
    };
    return cmocka_run_group_tests_name("key release", tests, set_up, tear_down);
}
