/* What somebody who can write the container may try: one change each, and what becomes of it. Three
 * full regions of 64 bytes under version 2.0, unless the case says otherwise. */
#include "blob.h"

enum { DATA = 64, REGION = DATA + 28, REGIONS = 3, SIZE = DATA * REGIONS };

static uint8_t source[SIZE];

static int setup(void **state)
{
    (void)state;
    fill(source, sizeof(source), 3);
    return 0;
}

typedef void mutation(struct buf *b, size_t x, size_t y);

static void flip(struct buf *b, size_t at, size_t bit)
{
    b->data[at] ^= (uint8_t)(1U << bit);
}

static void swap(struct buf *b, size_t i, size_t j)
{
    uint8_t kept[REGION];
    memcpy(kept, b->data + i * REGION, REGION);
    memcpy(b->data + i * REGION, b->data + j * REGION, REGION);
    memcpy(b->data + j * REGION, kept, REGION);
}

static void copy(struct buf *b, size_t from, size_t to)
{
    memcpy(b->data + to * REGION, b->data + from * REGION, REGION);
}

static void drop(struct buf *b, size_t i, size_t unused)
{
    (void)unused;
    memmove(b->data + i * REGION, b->data + (i + 1) * REGION, b->size - (i + 1) * REGION);
    b->size -= REGION;
}

static void keep(struct buf *b, size_t n, size_t unused)
{
    (void)unused;
    b->size = n;
}

static void append_region(struct buf *b, size_t i, size_t unused)
{
    uint8_t copied[REGION];
    (void)unused;
    memcpy(copied, b->data + i * REGION, REGION);
    add(b, copied, REGION);
}

static void append_bytes(struct buf *b, size_t n, size_t value)
{
    for (size_t i = 0; i < n; i++)
        add(b, &(uint8_t){(uint8_t)value}, 1);
}

/* All regions anew, counted otherwise. */
static void recount(struct buf *b, size_t counting, size_t unused)
{
    (void)unused;
    b->size = 0;
    seal_blob(span_of(source, SIZE), DATA, (enum counting)counting, b);
}

/* Genuine regions, but region I counted in another writer's way. */
static void recount_one(struct buf *b, size_t i, size_t counting)
{
    struct buf one = BUF(REGION);
    seal_region(span_of(source, SIZE), DATA, i, (enum counting)counting, &one);
    memcpy(b->data + i * REGION, one.data, REGION);
    buf_free(&one);
}

#define GCM_2_0     "\"Protocol\": \"2.0\", \"EncryptionAlgorithm\": \"AES_GCM_256\""
#define REGION_INFO "\"EncryptedRegionInfo\": {\"DataLength\": 64, \"NonceLength\": 12}, "
#define IV          "\"ContentEncryptionIV\": \"AAECAwQFBgcICQoLDA0ODw==\", "

struct attempt {
    const char *name;
    mutation *mutate;
    size_t x, y;
    const char *from, *to; /* in the metadata */
    enum status expected;
    const char *part;
    size_t plain_size; /* where accepted */
};

static const struct attempt blob_attempts[] = {
    {.name = "nothing", .part = "", .plain_size = SIZE},
    {"flip a bit of the ciphertext", flip, 12, 0, 0, 0, E_NOT_AUTHENTIC, "region 0 is not genuine",
     0},
    {"flip a bit of the last ciphertext byte", flip, 3 * REGION - 17, 7, 0, 0, E_NOT_AUTHENTIC,
     "region 2 is not genuine", 0},
    {"flip a bit of a tag", flip, REGION - 1, 3, 0, 0, E_NOT_AUTHENTIC, "region 0 is not genuine",
     0},
    {"flip a bit of the last tag", flip, 3 * REGION - 16, 3, 0, 0, E_NOT_AUTHENTIC,
     "region 2 is not genuine", 0},
    {"flip a bit of a nonce", flip, REGION + 11, 2, 0, 0, E_NOT_AUTHENTIC,
     "region 1 is out of order", 0},
    {"flip the first bit", flip, 0, 7, 0, 0, E_NOT_AUTHENTIC, "region 0 is out of order", 0},
    {"swap the first two regions", swap, 0, 1, 0, 0, E_NOT_AUTHENTIC, "region 0 is out of order",
     0},
    {"swap the last two regions", swap, 1, 2, 0, 0, E_NOT_AUTHENTIC, "region 1 is out of order", 0},
    {"copy the first over the last", copy, 0, 2, 0, 0, E_NOT_AUTHENTIC, "region 2 is out of order",
     0},
    {"copy the last over the first", copy, 2, 0, 0, 0, E_NOT_AUTHENTIC, "region 0 is out of order",
     0},
    {"drop the first", drop, 0, 0, 0, 0, E_NOT_AUTHENTIC, "region 0 is out of order", 0},
    {"drop the middle", drop, 1, 0, 0, 0, E_NOT_AUTHENTIC, "region 1 is out of order", 0},
    {"append a copy of the first", append_region, 0, 0, 0, 0, E_NOT_AUTHENTIC,
     "region 3 is out of order", 0},
    {"append a copy of the last", append_region, 2, 0, 0, 0, E_NOT_AUTHENTIC,
     "region 3 is out of order", 0},
    {"cut inside the last region", keep, 3 * REGION - 1, 0, 0, 0, E_NOT_AUTHENTIC,
     "region 2 is not genuine", 0},
    {"leave 10 bytes of the last region", keep, 2 * REGION + 10, 0, 0, 0, E_NOT_AUTHENTIC,
     "inside a region", 0},
    {"leave 27 bytes of the last region", keep, 2 * REGION + 27, 0, 0, 0, E_NOT_AUTHENTIC,
     "inside a region", 0},
    {"leave 28 bytes of the last region", keep, 2 * REGION + 28, 0, 0, 0, E_NOT_AUTHENTIC,
     "region 2 is not genuine", 0},
    {"leave one byte", keep, 1, 0, 0, 0, E_NOT_AUTHENTIC, "inside a region", 0},
    {"append 10 bytes", append_bytes, 10, 0, 0, 0, E_NOT_AUTHENTIC, "inside a region", 0},
    {"append 28 zeroes", append_bytes, 28, 0, 0, 0, E_NOT_AUTHENTIC, "region 3 is out of order", 0},
    {"count as Java", recount, JAVA, 0, 0, 0, OK, "", SIZE},
    {"count as .NET", recount, NET, 0, 0, 0, OK, "", SIZE},
    {"random nonces", recount, RANDOM, 0, 0, 0, E_NOT_AUTHENTIC, "region 0 is out of order", 0},
    {"one counted as Java", recount_one, 1, JAVA, 0, 0, E_NOT_AUTHENTIC, "region 2 is out of order",
     0}, /* region 0 fits both */
    {"the last counted as .NET", recount_one, 2, NET, 0, 0, E_NOT_AUTHENTIC,
     "region 2 is out of order", 0},
    {"the first counted as .NET", recount_one, 0, NET, 0, 0, E_NOT_AUTHENTIC,
     "region 1 is out of order", 0},
    {"one random nonce", recount_one, 1, RANDOM, 0, 0, E_NOT_AUTHENTIC, "region 1 is out of order",
     0},
    /* What this format cannot tell: the caller's size, digest or pin must. */
    {"drop the last region", keep, 2 * REGION, 0, 0, 0, OK, "", 2 * DATA},
    {"drop all regions", keep, 0, 0, 0, 0, OK, "", 0},
};

static const struct attempt metadata_attempts[] = {
    {"protocol 2.0 to 1.0", NULL, 0, 0, "\"2.0\"", "\"1.0\"", E_NOT_AUTHENTIC,
     "protocol 1.0 goes with AES_CBC_256", 0},
    {"2.0 to 1.0 with its algorithm", NULL, 0, 0, GCM_2_0,
     "\"Protocol\": \"1.0\", \"EncryptionAlgorithm\": \"AES_CBC_256\"", E_NOT_AUTHENTIC,
     "version 1.0 (AES-CBC)", 0},
    {"2.0 to 2.1", NULL, 0, 0, "\"2.0\"", "\"2.1\"", E_NOT_AUTHENTIC, "relabelled", 0},
    {"AES_CBC_256 and an IV beside 2.0", NULL, 0, 0, GCM_2_0 "}, ",
     "\"Protocol\": \"2.0\", \"EncryptionAlgorithm\": \"AES_CBC_256\"}, " IV, E_NOT_AUTHENTIC,
     "not with \"AES_CBC_256\"", 0},
    {"an IV beside 2.0", NULL, 0, 0, GCM_2_0 "}, ", GCM_2_0 "}, " IV, E_NOT_AUTHENTIC, "relabelled",
     0},
    {"protocol unknown", NULL, 0, 0, "\"2.0\"", "\"3.0\"", E_NOT_AUTHENTIC,
     "unknown protocol \"3.0\"", 0},
    {"protocol missing", NULL, 0, 0, "\"Protocol\": \"2.0\", ", "", E_NOT_AUTHENTIC,
     "EncryptionAgent.Protocol is missing", 0},
    {"regions not described", NULL, 0, 0, REGION_INFO, "", E_NOT_AUTHENTIC,
     "EncryptedRegionInfo is missing", 0},
    {"regions of 32 bytes", NULL, 0, 0, ": 64,", ": 32,", E_NOT_AUTHENTIC,
     "region 0 is not genuine", 0},
    {"regions of 128 bytes", NULL, 0, 0, ": 64,", ": 128,", E_NOT_AUTHENTIC,
     "region 0 is not genuine", 0},
    {"regions of 0 bytes", NULL, 0, 0, ": 64,", ": 0,", E_NOT_AUTHENTIC, "DataLength", 0},
    {"regions of -1 bytes", NULL, 0, 0, ": 64,", ": -1,", E_NOT_AUTHENTIC, "DataLength", 0},
    {"regions of 1 GiB", NULL, 0, 0, ": 64,", ": 1073741824,", E_NOT_AUTHENTIC,
     "region 0 is not genuine", 0},
    {"regions of more than 1 GiB", NULL, 0, 0, ": 64,", ": 1073741825,", E_NOT_AUTHENTIC,
     "DataLength", 0},
    {"nonces of 8 bytes", NULL, 0, 0, ": 12}", ": 8}", E_NOT_AUTHENTIC, "NonceLength", 0},
    {"nonces of 16 bytes", NULL, 0, 0, ": 12}", ": 16}", E_NOT_AUTHENTIC, "NonceLength", 0},
    {"another wrapping algorithm", NULL, 0, 0, "A256KW", "RSA-OAEP", E_BAD_KEY, "not RSA", 0},
    {"another size of wrapping key", NULL, 0, 0, "A256KW", "A128KW", E_BAD_KEY,
     "not a symmetric one of 16 bytes", 0},
    {"a wrapping algorithm of one's own", NULL, 0, 0, "A256KW", "ROT13", E_NOT_AUTHENTIC, "ROT13",
     0},
    {"EncryptedKey is not base64", NULL, 0, 0, "\"EncryptedKey\": \"", "\"EncryptedKey\": \"@@@@",
     E_NOT_AUTHENTIC, "EncryptedKey", 0},
    {"EncryptedKey too long", NULL, 0, 0, "\"EncryptedKey\": \"", "\"EncryptedKey\": \"AAAA",
     E_NOT_AUTHENTIC, "EncryptedKey has 51 bytes", 0},
    {"another KeyId", NULL, 0, 0, "dataset-kek", "another-kek", OK, "",
     SIZE}, /* the caller's matter */
    {"EncryptionMode missing", NULL, 0, 0, ", \"EncryptionMode\": \"FullBlob\"", "", OK, "", SIZE},
    {"KeyWrappingMetadata missing", NULL, 0, 0,
     "\"KeyWrappingMetadata\": {\"EncryptionLibrary\": \"test 1.0\"}, ", "", OK, "", SIZE},
    {"a member stands twice", NULL, 0, 0, REGION_INFO, REGION_INFO REGION_INFO, E_NOT_AUTHENTIC,
     "stands twice", 0},
};

/* Every stage that was reached must have called the blob bad, the verdict included. */
static enum status try_blob(const char *text, struct span blob, uint64_t wanted, struct memory *m,
                            uint64_t *plain_size, struct error *e)
{
    struct envelope_metadata metadata = {0};
    AUTO(kek_free) struct kek kek = kek_of(test_kek, 32);
    AUTO(envelope_close) struct envelope *v = NULL;
    TRY(envelope_metadata_parse(text, ENVELOPE_CSE, &metadata, e));
    enum status status = envelope_open(ENVELOPE_CSE, &metadata, &kek, blob.size, &v, e);
    if (status != OK) {
        assert_null(v);
        return status;
    }
    status = read_blob(v, blob, wanted, 17, m, plain_size, e);
    if (status != OK) {
        struct error ignored = {0};
        assert_int_equal(envelope_verdict(v, plain_size, &ignored), E_NOT_AUTHENTIC);
    }
    return status;
}

static void check(const struct attempt *a, uint64_t wanted)
{
    struct error e = {0};
    struct memory m;
    struct buf blob = BUF(8192);
    uint64_t plain_size = 999;
    char *text = metadata_text("2.0", DATA);
    if (a->from != NULL)
        text = replace(text, a->from, a->to);
    seal_blob(span_of(source, SIZE), DATA, PYTHON, &blob);
    if (a->mutate != NULL)
        a->mutate(&blob, a->x, a->y);
    memory_sink_new(&m, blob.size);
    enum status status = try_blob(text, buf_span(&blob), wanted, &m, &plain_size, &e);
    if (status != a->expected || strstr(e.text, a->part) == NULL)
        fail_msg("%s: status %d, expected %d: \"%s\" should say \"%s\"", a->name, status,
                 a->expected, e.text, a->part);
    if (status == OK) {
        assert_int_equal(plain_size, a->plain_size);
        assert_memory_equal(m.data, source, plain_size);
    } else {
        assert_int_equal(plain_size, 999);
    }
    free(text);
    free(m.data);
    buf_free(&blob);
}

static void changed_blobs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(blob_attempts); i++) {
        check(&blob_attempts[i], UINT64_MAX);
        check(&blob_attempts[i], 1);
    }
}

static void changed_metadata(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(metadata_attempts); i++)
        check(&metadata_attempts[i], UINT64_MAX);
}

/* Each bit of the blob matters, whatever its place. */
static void every_bit(void **state)
{
    (void)state;
    for (size_t at = 0; at < REGIONS * REGION; at++) {
        struct attempt a = {"flip", flip, at, at % 8, 0, 0, E_NOT_AUTHENTIC, "region", 0};
        check(&a, UINT64_MAX);
    }
}

/* And each bit of the wrapped key. */
static void every_bit_of_the_wrapped_key(void **state)
{
    (void)state;
    AUTO(kek_free) struct kek kek = kek_of(test_kek, 32);
    struct envelope_metadata m = {
        .protocol = "2.0", .kid = KID, .algorithm = "A256KW", .region_size = DATA};
    m.wrapped_size = wrap_content_key("2.0", m.wrapped);
    for (size_t bit = 0; bit < 8 * m.wrapped_size; bit++) {
        struct error e = {0};
        struct envelope *v = NULL;
        m.wrapped[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_fails(envelope_open(ENVELOPE_CSE, &m, &kek, 0, &v, &e), E_BAD_KEY,
                     "cannot be unwrapped", &e);
        assert_null(v);
        assert_non_null(strstr(e.remedy, "dataset-kek"));
        m.wrapped[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static struct envelope *open_good(uint64_t stored)
{
    struct error e = {0};
    AUTO(kek_free) struct kek kek = kek_of(test_kek, 32);
    struct envelope *v = NULL;
    struct envelope_metadata m = {
        .protocol = "2.0", .kid = KID, .algorithm = "A256KW", .region_size = DATA};
    m.wrapped_size = wrap_content_key("2.0", m.wrapped);
    assert_ok(envelope_open(ENVELOPE_CSE, &m, &kek, stored, &v, &e), &e);
    return v;
}

/* A refused region stops the reader at once: nothing of it nor of what follows reaches the sink. */
static void refused_at_once(void **state)
{
    (void)state;
    struct error e = {0};
    struct memory m;
    struct buf blob = BUF(8192);
    uint64_t plain_size = 0;
    seal_blob(span_of(source, SIZE), DATA, PYTHON, &blob);
    swap(&blob, 1, 2);
    struct envelope *v = open_good(blob.size);
    struct envelope_reader *r = NULL;
    struct envelope_span s;
    memory_sink_new(&m, SIZE);
    struct sink sink = {.write = memory_write, .context = &m};
    assert_ok(envelope_reader_new(&r, &e), &e);
    assert_true(envelope_span(v, UINT64_MAX, 0, &s));
    assert_ok(envelope_reader_start(r, v, &s, &sink, &e), &e);
    assert_ok(envelope_reader_feed(r, span_of(blob.data, REGION + 11), &e), &e);
    assert_fails(envelope_reader_feed(r, span_of(blob.data + REGION + 11, 1), &e), E_NOT_AUTHENTIC,
                 "region 1 is out of order", &e);
    assert_true(atomic_load(&m.end) <= DATA);
    assert_fails(envelope_reader_feed(r, span_of(blob.data, 1), &e), E_BUG, "", &e);
    assert_fails(envelope_reader_finish(r, &e), E_BUG, "", &e);
    assert_fails(envelope_verdict(v, &plain_size, &e), E_NOT_AUTHENTIC, "not all", &e);
    envelope_reader_free(&r);
    envelope_close(&v);
    buf_free(&blob);
    free(m.data);
}

/* Two readers that each see one writer's order, but not the same writer's. */
static void mixed_across_readers(void **state)
{
    (void)state;
    static const enum counting pairs[][2] = {
        {PYTHON, JAVA}, {PYTHON, NET}, {JAVA, NET}, {NET, PYTHON}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct error e = {0};
        struct memory m;
        struct buf blob = BUF(8192);
        uint32_t seed = 1;
        for (uint64_t k = 0; k < REGIONS; k++)
            seal_region(span_of(source, SIZE), DATA, k, pairs[i][k == 2], &blob);
        struct envelope *v = open_good(blob.size);
        struct envelope_reader *r[2] = {0};
        struct envelope_span s;
        memory_sink_new(&m, SIZE);
        for (size_t k = 0; k < 2; k++)
            assert_ok(envelope_reader_new(&r[k], &e), &e);
        assert_true(envelope_span(v, 1, 2, &s));
        assert_ok(read_span(r[0], v, &s, buf_span(&blob), 7, &seed, &m, &e), &e);
        assert_true(envelope_span(v, 1, 1, &s));
        /* with the nonce alone: nothing of the region is decrypted */
        struct sink sink = {.write = memory_write, .context = &m};
        assert_ok(envelope_reader_start(r[1], v, &s, &sink, &e), &e);
        assert_fails(envelope_reader_feed(r[1], span_of(blob.data + REGION, 12), &e),
                     E_NOT_AUTHENTIC, "region 1 is out of order", &e);
        for (size_t k = 0; k < 2; k++)
            envelope_reader_free(&r[k]);
        envelope_close(&v);
        buf_free(&blob);
        free(m.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_blobs),   cmocka_unit_test(changed_metadata),
        cmocka_unit_test(every_bit),       cmocka_unit_test(every_bit_of_the_wrapped_key),
        cmocka_unit_test(refused_at_once), cmocka_unit_test(mixed_across_readers),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
