/*
 * The vault's answer to a release. Mode 0: any text as JWS. The others build one that gets further
 * and is signed by the test vault: 1 from any header and payload, 2 with any certificate in front
 * of the chain, 3 with any key_hsm, 4 with any plaintext properly wrapped (10, 16, 22: under an AES
 * key of another size), 5 the whole HTTP
 * exchange.
 */
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "key/internal.h"
#include "wire.h"

#define NOW  INT64_C(1767225600)
#define KID  "https://contoso.vault.azure.net/keys/dataset-kek"
#define FULL KID "/0123456789abcdef0123456789abcdef"
#define ROOM ((size_t)1 << 18)

static struct {
    bool ready;
    EVP_PKEY *signer, *pair;
    struct key_offer offer;
    struct buf x5c;            /* "leaf","ca" in base64 */
    struct buf wrapped_aes[4]; /* the first 32, 16, 24 and 5 bytes */
} vault;

/* Worthless test key: what vault.wrapped holds under the offer's pair. */
static const uint8_t aes[32] = "worthless test key: transfer....";

static const size_t aes_sizes[] = {32, 16, 24, 5};

static EVP_PKEY *key_read(const char *path)
{
    FILE *f = fopen(path, "r");
    must(f != NULL);
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    must(key != NULL);
    return key;
}

/* RSA-OAEP with SHA-256, as the vault does it: never the same bytes twice. */
static void aes_wrap(size_t size, struct buf *out)
{
    uint8_t room[512];
    size_t n = sizeof room;
    struct error e = {0};
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(vault.pair, NULL);
    must(c != NULL && EVP_PKEY_encrypt_init(c) == 1 &&
         EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) == 1 &&
         EVP_PKEY_encrypt(c, room, &n, aes, size) == 1);
    EVP_PKEY_CTX_free(c);
    *out = BUF(sizeof room);
    must(buf_add(out, span_of(room, n), &e) == OK);
}

static void vault_open(void)
{
    struct error e = {0};
    if (vault.ready)
        return;
    vault.signer = key_read(FUZZ_DATA "/vault.key");
    vault.pair = key_read(FUZZ_DATA "/offer.key");
    must(key_offer_of(vault.pair, &vault.offer, &e) == OK);
    vault.x5c = data_read(FUZZ_DATA "/vault.x5c");
    vault.wrapped_aes[0] = data_read(FUZZ_DATA "/transfer.oaep");
    for (size_t i = 1; i < COUNT(vault.wrapped_aes); i++)
        aes_wrap(aes_sizes[i], &vault.wrapped_aes[i]);
    vault.ready = true;
}

static void encoded(struct buf *out, struct span bytes, enum base64_kind kind)
{
    struct error e = {0};
    must(base64_encode(bytes, kind, out, &e) == OK);
}

static void added(struct buf *out, const char *text)
{
    struct error e = {0};
    must(buf_add(out, span_text(text), &e) == OK);
}

/* HEADER.PAYLOAD.SIGNATURE, genuine. */
static void jws_write(struct span header, struct span payload, struct buf *out)
{
    uint8_t signature[512];
    size_t size = sizeof signature;
    encoded(out, header, BASE64URL);
    added(out, ".");
    encoded(out, payload, BASE64URL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, vault.signer) == 1);
    must(EVP_DigestSign(context, signature, &size, out->data, out->size) == 1);
    EVP_MD_CTX_free(context);
    added(out, ".");
    encoded(out, span_of(signature, size), BASE64URL);
}

static void header_write(struct buf *out, struct span extra)
{
    added(out, "{\"alg\":\"RS256\",\"kid\":\"k\",\"x5c\":[");
    if (extra.size > 0) {
        added(out, "\"");
        encoded(out, extra, BASE64);
        added(out, "\",");
    }
    added(out, buf_text(&vault.x5c));
    added(out, "]}");
}

/* JWK: the members of the public half, with a comma behind each. */
static void payload_write(struct buf *out, const char *jwk, struct span key_hsm)
{
    added(out,
          "{\"request\":{\"enc\":\"RSA_AES_KEY_WRAP_256\",\"kid\":\"" KID "\",\"nonce\":\"n\"},"
          "\"response\":{\"key\":{\"attributes\":{\"enabled\":true},\"key\":{\"kid\":\"" FULL
          "\",");
    added(out, jwk);
    added(out, "\"key_hsm\":\"");
    encoded(out, key_hsm, BASE64URL);
    added(out, "\"}}}}");
}

static void open_try(struct span jws, bool any_nonce)
{
    AUTO(kek_free) struct kek k = {0};
    AUTO(chunk_free) struct chunk exact = chunk_of(jws);
    struct error e = {0};
    const struct key_release_request request = {
        .kid = KID, .offer = &vault.offer, .ca_file = FUZZ_DATA "/ca.pem"};
    enum status status =
        key_open_release(chunk_span(&exact), &request, any_nonce ? NULL : "n", NOW, &k, &e);
    must_fail_as(status, &e, E_BAD_KEY);
    if (status == OK)
        must((k.pair != NULL) != (k.octets.size > 0) && k.kid[0] != '\0');
}

static void payload_try(struct span payload, struct span extra, bool any_nonce)
{
    AUTO(buf_free) struct buf header = BUF(ROOM);
    AUTO(buf_free) struct buf jws = BUF(ROOM * 2);
    header_write(&header, extra);
    jws_write(buf_span(&header), payload, &jws);
    open_try(buf_span(&jws), any_nonce);
}

static void key_hsm_try(const char *jwk, struct span key_hsm, struct span extra, bool any_nonce)
{
    AUTO(buf_free) struct buf payload = BUF(ROOM);
    payload_write(&payload, jwk, key_hsm);
    payload_try(buf_span(&payload), extra, any_nonce);
}

static void kwp_try(struct span kek, struct span wrapped)
{
    AUTO(secret_free) struct secret out = {0};
    struct error e = {0};
    must_fail_as(key_kwp_open(kek, wrapped, &out, &e), &e, E_BAD_KEY);
}

/* RFC 5649, under the test key whose OAEP form is fixed. */
static void plain_try(const char *jwk, struct span plain, size_t which)
{
    static const EVP_CIPHER *(*const ciphers[])(void) = {
        EVP_aes_256_wrap_pad, EVP_aes_128_wrap_pad, EVP_aes_192_wrap_pad, EVP_aes_128_wrap_pad};

    AUTO(buf_free) struct buf hsm = BUF(ROOM);
    AUTO(buf_free) struct buf both = BUF(ROOM);
    AUTO(chunk_free) struct chunk room = {.data = malloc(plain.size + 16)};
    struct error e = {0};
    int n = 0;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    must(EVP_EncryptInit_ex(c, ciphers[which](), NULL, aes, NULL) == 1);
    if (plain.size == 0 || EVP_EncryptUpdate(c, room.data, &n, plain.data, (int)plain.size) != 1)
        n = 0;
    EVP_CIPHER_CTX_free(c);
    kwp_try(span_of(aes, aes_sizes[which]), span_of(room.data, (size_t)n));
    must(buf_add(&both, buf_span(&vault.wrapped_aes[which]), &e) == OK);
    must(buf_add(&both, span_of(room.data, (size_t)n), &e) == OK);
    added(
        &hsm,
        "{\"schema_version\":\"1.0\",\"header\":{\"alg\":\"dir\",\"enc\":\"RSA_AES_KEY_WRAP_256\"},"
        "\"ciphertext\":\"");
    encoded(&hsm, buf_span(&both), BASE64URL);
    added(&hsm, "\"}");
    key_hsm_try(jwk, buf_span(&hsm), (struct span){0}, false);
}

static void exchange_try(struct span script)
{
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    const struct key_release_request request = {.kid = KID,
                                                .token = SPAN_LITERAL("attestation"),
                                                .bearer = SPAN_LITERAL("bearer"),
                                                .offer = &vault.offer,
                                                .ca_file = FUZZ_DATA "/ca.pem"};
    wire_open(script);
    must_fail_as(key_release(wire_session(), &request, &k, &e), &e, E_NOT_RELEASED, E_BAD_KEY,
                 E_NETWORK);
}

static void signed_try(struct span *in)
{
    AUTO(chunk_free) struct chunk header = take_chunk(in);
    AUTO(chunk_free) struct chunk payload = take_chunk(in);
    AUTO(buf_free) struct buf jws = BUF(ROOM * 2);
    jws_write(chunk_span(&header), chunk_span(&payload), &jws);
    open_try(buf_span(&jws), true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    vault_open();
    uint8_t mode = take_byte(&in);
    if (mode % 6 == 0) {
        open_try(in, true);
    } else if (mode % 6 == 1) {
        signed_try(&in);
    } else if (mode % 6 == 5) {
        exchange_try(in);
    } else {
        AUTO(text_free) char *jwk = take_text(&in);
        AUTO(chunk_free) struct chunk what = take_chunk(&in);
        if (mode % 6 == 2)
            key_hsm_try(jwk, SPAN_LITERAL("{}"), chunk_span(&what), false);
        else if (mode % 6 == 3)
            key_hsm_try(jwk, chunk_span(&what), (struct span){0}, (mode & 0x80) != 0);
        else
            plain_try(jwk, chunk_span(&what), mode / 6 % COUNT(aes_sizes));
    }
    return 0;
}
