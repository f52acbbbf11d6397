/*
 * A blob's bytes, cut at arbitrary places. The target writes the right ciphertext of a plaintext of
 * its own under the test keys, lets the input change it, and feeds it in stretches and pieces that
 * the input chooses. What must hold: what was not changed is read, and what was changed is refused,
 * but for what docs/formats.md says that a format cannot notice: regions cut off the end (2.x),
 * anything (1.0, plain). The stretches come in order or backwards, whole or with a byte too few or
 * too many.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "envelope/envelope.h"
#include "fuzz.h"

#define PLAIN_MAX 4096
#define ROOM      ((size_t)1 << 20)

enum way { PYTHON, JAVA, NET, V1, GCM, PLAIN, WAYS };

/* Worthless test keys. */
static const uint8_t kek_octets[32] = "worthless test key: kek.........";
static const uint8_t cek[32] = "worthless test key: content.....";
static const uint8_t iv[16] = "worthless iv....";
static uint8_t plain[PLAIN_MAX];
static EVP_PKEY *pair;

static void world_open(void)
{
    if (pair != NULL)
        return;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 7 + i / 256);
    FILE *f = fopen(FUZZ_DATA "/offer.key", "r");
    must(f != NULL);
    pair = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    must(pair != NULL);
}

/* ---- A writer, made from the formats' description ---- */

static void cipher_run(const EVP_CIPHER *cipher, const uint8_t *nonce, struct span from,
                       struct buf *out, bool tag)
{
    struct error e = {0};
    uint8_t room[PLAIN_MAX + 64];
    int n = 0, last = 0;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    must(EVP_EncryptInit_ex(c, cipher, NULL, cek, nonce) == 1);
    must(from.size == 0 || EVP_EncryptUpdate(c, room, &n, from.data, (int)from.size) == 1);
    must(EVP_EncryptFinal_ex(c, room + n, &last) == 1);
    n += last;
    must(!tag || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, room + n) == 1);
    EVP_CIPHER_CTX_free(c);
    must(buf_add(out, span_of(room, (size_t)n + (tag ? 16 : 0)), &e) == OK);
}

static void region_write(enum way way, uint64_t i, struct span part, struct buf *out)
{
    struct error e = {0};
    uint8_t nonce[12] = {0};
    for (unsigned b = 0; b < 8; b++) {
        uint64_t counted = way == NET ? i + 1 : i;
        nonce[way == PYTHON ? 11 - b : way == NET ? 4 + b : 7 - b] = (uint8_t)(counted >> (8 * b));
    }
    must(buf_add(out, span_of(nonce, sizeof nonce), &e) == OK);
    cipher_run(EVP_aes_256_gcm(), nonce, part, out, true);
}

static void blob_write(enum way way, struct span text, uint64_t region, struct buf *out)
{
    struct error e = {0};
    if (way == PLAIN)
        must(buf_add(out, text, &e) == OK);
    else if (way == V1)
        cipher_run(EVP_aes_256_cbc(), iv, text, out, false);
    else if (way == GCM)
        region_write(PYTHON, 7, text, out);
    else
        for (uint64_t at = 0; at < text.size; at += region)
            region_write(way, at / region,
                         span_of(text.data + at, text.size - at < region ? text.size - at : region),
                         out);
}

/* ---- What the input does to it ---- */

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* One change: a byte, a cut, an insertion, two regions exchanged, one repeated. */
static void change(struct span *in, uint64_t unit, struct buf *blob)
{
    struct error e = {0};
    uint8_t what = take_byte(in);
    size_t at = take_number(in, 3);
    size_t n = blob->size / unit;
    if (what % 5 == 0 && blob->size > 0) {
        blob->data[at % blob->size] ^= take_byte(in);
    } else if (what % 5 == 1 && blob->size > 0) {
        blob->size = at % blob->size;
    } else if (what % 5 == 2) {
        AUTO(chunk_free) struct chunk more = take_chunk(in);
        must(buf_add(blob, chunk_span(&more), &e) == OK);
    } else if (what % 5 == 3 && n > 1) {
        size_t a = at % n, b = take_byte(in) % n;
        swap(blob->data + a * unit, blob->data + b * unit, unit);
    } else if (n > 1) {
        size_t a = at % n, b = take_byte(in) % n;
        memmove(blob->data + a * unit, blob->data + b * unit, unit);
    }
}

/* ---- Keys and metadata ---- */

static void metadata_set(enum way way, uint64_t region, bool newer, struct envelope_metadata *m)
{
    uint8_t raw[40] = {0};
    bool v1 = way == V1;
    int n = 0;
    (void)snprintf(m->protocol, sizeof m->protocol, "%s", v1 ? "1.0" : newer ? "2.1" : "2.0");
    (void)snprintf(m->kid, sizeof m->kid, "kek");
    (void)snprintf(m->algorithm, sizeof m->algorithm, "A256KW");
    m->region_size = region;
    memcpy(m->iv, iv, sizeof iv);
    memcpy(raw, m->protocol, sizeof m->protocol);
    memcpy(raw + (v1 ? 0 : 8), cek, sizeof cek);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    must(EVP_EncryptInit_ex(c, EVP_aes_256_wrap(), NULL, kek_octets, NULL) == 1);
    must(EVP_EncryptUpdate(c, m->wrapped, &n, raw, v1 ? 32 : 40) == 1);
    EVP_CIPHER_CTX_free(c);
    m->wrapped_size = (size_t)n;
}

static void kek_set(enum way way, struct kek *k)
{
    struct error e = {0};
    must(secret_copy(&k->octets, span_of(way == GCM ? cek : kek_octets, 32), &e) == OK);
}

/* ---- Reading ---- */

struct place {
    uint8_t bytes[PLAIN_MAX * 8];
    uint64_t end;
};

static enum status place_write(void *context, uint64_t at, struct span bytes, struct error *e)
{
    struct place *p = context;
    if (at > sizeof p->bytes || bytes.size > sizeof p->bytes - at)
        return fail(e, E_SPACE, "behind the end");
    memcpy(p->bytes + at, bytes.data, bytes.size);
    p->end = at + bytes.size > p->end ? at + bytes.size : p->end;
    return OK;
}

/* What arrives of a stretch: all, a byte more, a byte less. */
enum amount { WHOLE, LONGER, SHORTER };
enum order { FORWARDS, BACKWARDS, LAST_FIRST };

static enum status stretch_read(struct envelope_reader *r, struct envelope *v,
                                const struct envelope_span *s, struct span blob, struct span *cuts,
                                enum amount amount, struct place *out, struct error *e)
{
    const struct sink sink = {place_write, out};
    TRY(envelope_reader_start(r, v, s, &sink, e));
    uint64_t left = s->stored_size;
    TRY(envelope_reader_feed(r, (struct span){0}, e)); /* nothing is no bytes */
    while (left > (amount == SHORTER)) {
        uint64_t n = cuts->size > 0 ? (uint64_t)take_byte(cuts) + 1 : left;
        n = n < left - (amount == SHORTER) ? n : left - (amount == SHORTER);
        AUTO(chunk_free)
        struct chunk piece = chunk_of(span_of(blob.data + s->stored_at + s->stored_size - left, n));
        TRY(envelope_reader_feed(r, chunk_span(&piece), e));
        left -= n;
    }
    if (amount == LONGER)
        TRY(envelope_reader_feed(r, SPAN_LITERAL("x"), e));
    return envelope_reader_finish(r, e);
}

/* Of N stretches, the one that is read as number I, as when several workers read one blob. */
static uint64_t turn_of(uint64_t i, uint64_t n, enum order order)
{
    if (order == BACKWARDS)
        return n - 1 - i;
    return order == LAST_FIRST ? (i + n - 1) % n : i;
}

static enum status blob_read(struct envelope *v, struct span blob, uint64_t wanted,
                             enum order order, enum amount amount, struct span cuts,
                             struct place *out, uint64_t *size, struct error *e)
{
    AUTO(envelope_reader_free) struct envelope_reader *r = NULL;
    struct envelope_span s;
    TRY(envelope_reader_new(&r, e));
    uint64_t n = 0;
    while (envelope_span(v, wanted, n, &s))
        n++;
    for (uint64_t i = 0; i < n; i++) {
        must(envelope_span(v, wanted, turn_of(i, n, order), &s));
        TRY(stretch_read(r, v, &s, blob, &cuts, amount, out, e));
    }
    const struct sink sink = {place_write, out};
    struct envelope_span none = {.stored_at = blob.size, .stored_size = 1};
    struct error ignored = {0};
    must(envelope_reader_start(r, v, &none, &sink, &ignored) == E_BUG);
    return envelope_verdict(v, size, e);
}

static void judge(enum way way, enum status status, struct span text, struct span was,
                  struct span is, const struct place *out, uint64_t size, uint64_t unit)
{
    bool same = span_equal(was, is);
    bool shorter = way < V1 && is.size < was.size && is.size % unit == 0 &&
                   memcmp(was.data, is.data, is.size) == 0;
    must(!same || status == OK);
    if (way < V1 || way == GCM)
        must(same || shorter || status != OK);
    if (status != OK)
        return;
    must(size <= is.size && size <= sizeof out->bytes);
    if (same || shorter)
        must(size == (same ? text.size : is.size / unit * (unit - 28)) &&
             memcmp(out->bytes, text.data, size) == 0);
}

static void stream_try(struct span in, uint8_t mode)
{
    static struct place out;
    enum way way = (enum way)(mode % WAYS);
    enum order order = (mode & 0x20) == 0 ? FORWARDS : (mode & 0x40) != 0 ? LAST_FIRST : BACKWARDS;
    enum amount amount = (enum amount)((mode >> 3 & 3) % 3);
    uint64_t region = take_number(&in, 2) % 1024 + 1, size = 0;
    struct span text = span_of(plain, take_number(&in, 2) % (PLAIN_MAX + 1));
    uint64_t wanted = take_number(&in, 2), unit = way < V1 ? region + 28 : 16;
    AUTO(buf_free) struct buf was = BUF(ROOM);
    AUTO(buf_free) struct buf is = BUF(ROOM);
    AUTO(kek_free) struct kek kek = {0};
    AUTO(envelope_close) struct envelope *v = NULL;
    struct envelope_metadata m = {0};
    struct error e = {0};
    static const enum envelope_format formats[WAYS] = {
        [V1] = ENVELOPE_CSE_V1, [GCM] = ENVELOPE_AES_GCM, [PLAIN] = ENVELOPE_PLAIN};

    blob_write(way, text, region, &was);
    must(buf_add(&is, buf_span(&was), &e) == OK);
    for (uint8_t changes = take_byte(&in) % 4; changes > 0; changes--)
        change(&in, unit, &is);
    metadata_set(way, region, (mode & 0x40) != 0, &m);
    kek_set(way, &kek);
    out.end = 0;
    enum status status = envelope_open(formats[way], &m, &kek, is.size, &v, &e);
    if (status == OK)
        status = blob_read(v, buf_span(&is), wanted, order, amount, in, &out, &size, &e);
    must_fail_as(status, &e, E_NOT_AUTHENTIC, E_SPACE);
    must(amount == WHOLE || is.size == 0 || status != OK);
    if (amount != WHOLE)
        return;
    judge(way, status, text, buf_span(&was), buf_span(&is), &out, size, unit);
}

/* The wrapped key and its algorithm are the input's, the key is of any kind. */
static void unwrap_try(struct span in)
{
    static const size_t sizes[] = {16, 24, 32, 5};
    AUTO(envelope_close) struct envelope *v = NULL;
    struct kek kek = {0};
    struct envelope_metadata m = {.region_size = 16};
    struct error e = {0};
    uint8_t kind = take_byte(&in);
    AUTO(text_free) char *protocol = take_text(&in);
    AUTO(text_free) char *algorithm = take_text(&in);
    AUTO(chunk_free) struct chunk wrapped = take_chunk(&in);
    (void)snprintf(m.protocol, sizeof m.protocol, "%s", protocol);
    (void)snprintf(m.algorithm, sizeof m.algorithm, "%s", algorithm);
    m.wrapped_size = wrapped.size < sizeof m.wrapped ? wrapped.size : sizeof m.wrapped;
    memcpy(m.wrapped, wrapped.data, m.wrapped_size);
    if ((kind & 4) != 0)
        kek.pair = pair;
    else
        must(secret_copy(&kek.octets, span_of(kek_octets, sizes[kind % 4]), &e) == OK);
    enum envelope_format format = (kind & 16) != 0  ? ENVELOPE_AES_GCM
                                  : (kind & 8) != 0 ? ENVELOPE_CSE_V1
                                                    : ENVELOPE_CSE;
    enum status status = envelope_open(format, &m, &kek, format == ENVELOPE_CSE ? 44 : 48, &v, &e);
    secret_free(&kek.octets);
    must_fail_as(status, &e, E_NOT_AUTHENTIC, E_BAD_KEY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    world_open();
    uint8_t mode = take_byte(&in);
    if ((mode & 0x80) != 0)
        unwrap_try(in);
    else
        stream_try(in, mode);
    return 0;
}
