/*
 * What inspect is given to explain, and the files beside it. The first byte says how the thing is
 * made of the input, the second what it is said to be (0: nothing), the third which options there
 * are. Mode 0: the thing as it is. 1: a JWS of any header and payload, signed by the test vault; a
 * key set. 2: an endorsement (COSE_Sign1) of any header and payload, signed by the same. 3: a
 * receipt whose report is signed by the test VCEK, and is about its runtime data. 4: a blob and its
 * metadata. 5: a security context directory.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "fuzz.h"
#include "inspect/cbor.h"
#include "inspect/internal.h"

#define ROOM   ((size_t)1 << 20)
#define NOW    INT64_C(1767225600)
#define LATER  INT64_C(4000000000) /* than any certificate here */
#define SIGNED 672                 /* bytes of a report, then r and s of 72 each */

enum {
    WITH_CERTIFICATES = 1,
    WITH_ROOT = 2,
    WITH_JWKS = 4,
    WITH_HOST_DATA = 8,
    WITH_FILES = 16,
    WITH_CA = 32,
    VERIFY = 64,
    PEELED = 128
};

static const char *const kinds[] = {NULL,      "report",      "thim",     "certificates",
                                    "receipt", "metadata",    "manifest", "release",
                                    "token",   "endorsement", "blob",     "security-context"};

/* ---- Files that are nowhere ---- */

struct thing {
    int fd;
    char path[40];
};

static void thing_close(struct thing *t)
{
    (void)close(t->fd);
}

static struct thing thing_of(struct span bytes)
{
    struct thing t = {.fd = memfd_create("thing", MFD_CLOEXEC)};
    must(t.fd >= 0 &&
         (bytes.size == 0 || write(t.fd, bytes.data, bytes.size) == (ssize_t)bytes.size));
    (void)snprintf(t.path, sizeof t.path, "/proc/self/fd/%d", t.fd);
    return t;
}

/* ---- What does not change ---- */

static struct {
    EVP_PKEY *signer, *vcek;
    struct buf report, chain;
    struct thing root; /* the test ARK */
    char folder[64];
} world;

static EVP_PKEY *key_read(const char *path)
{
    FILE *f = fopen(path, "r");
    must(f != NULL);
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    must(key != NULL);
    return key;
}

static void folder_remove(void)
{
    (void)rmdir(world.folder);
}

static void world_open(void)
{
    if (world.signer != NULL)
        return;
    world.signer = key_read(FUZZ_DATA "/vault.key");
    world.vcek = key_read(TEST_DATA "/evidence/vcek.key");
    world.report = data_read(TEST_DATA "/evidence/milan.bin");
    world.chain = data_read(TEST_DATA "/evidence/milan.pem");
    const char *last = buf_text(&world.chain), *next = last;
    while ((next = strstr(next + 1, "-----BEGIN")) != NULL)
        last = next;
    world.root = thing_of(span_text(last));
    (void)snprintf(world.folder, sizeof world.folder, "/tmp/decant-fuzz-XXXXXX");
    must(mkdtemp(world.folder) != NULL && atexit(folder_remove) == 0);
}

/* ---- Looking ---- */

static struct inspect_options options_of(uint8_t kind, uint8_t flags)
{
    static const char *const manifests[] = {FUZZ_DATA "/ca.pem"};
    struct inspect_options options = {
        .as = kinds[kind % COUNT(kinds)], .now_unix_s = NOW, .verify = (flags & VERIFY) != 0};
    if ((flags & WITH_CERTIFICATES) != 0)
        options.certificates = TEST_DATA "/evidence/milan.pem";
    if ((flags & WITH_ROOT) != 0)
        options.amd_root = world.root.path;
    if ((flags & WITH_HOST_DATA) != 0)
        options.host_data = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    if ((flags & WITH_CA) != 0)
        options.ca_file = FUZZ_DATA "/ca.pem";
    if ((flags & WITH_CA) != 0 && (flags & WITH_ROOT) != 0)
        options.now_unix_s = LATER;
    if ((flags & WITH_FILES) != 0) {
        options.job = FUZZ_DATA "/ca.pem";
        options.manifests = manifests;
        options.n_manifests = 1;
    }
    return options;
}

static void look(const struct inspect_options *options)
{
    AUTO(inspection_free) struct inspection seen = {0};
    AUTO(buf_free) struct buf text = BUF(ROOM * 8);
    struct error e = {0};
    enum status status = inspect(options, &seen, &e);
    must_fail_as(status, &e, E_USAGE, E_NO_EVIDENCE, E_NOT_ATTESTED, E_BAD_KEY, E_NOT_AUTHENTIC,
                 E_MISMATCH, E_SPACE);
    if (status != OK)
        return;
    must(seen.kind != NULL && seen.findings.n > 0);
    for (size_t i = 0; i < seen.findings.n; i++)
        must(utf8_is_valid(span_text(seen.findings.list[i].text)));
    must_fail_as(findings_verdict(&seen.findings, &e), &e, E_NO_EVIDENCE, E_NOT_ATTESTED, E_BAD_KEY,
                 E_NOT_AUTHENTIC, E_MISMATCH);
    must_fail_as(findings_text(&seen.findings, &text, &e), &e, E_SPACE);
    must_fail_as(findings_json(&seen.findings, &text, &e), &e, E_SPACE);
}

static void look_at(struct span bytes, struct inspect_options options, uint8_t flags)
{
    AUTO(buf_free) struct buf text = BUF(ROOM * 2);
    struct error e = {0};
    if ((flags & PEELED) != 0)
        must(base64_encode(bytes, BASE64, &text, &e) == OK);
    AUTO(thing_close) struct thing t = thing_of((flags & PEELED) != 0 ? buf_span(&text) : bytes);
    options.path = t.path;
    look(&options);
}

/* ---- Things that get further ---- */

static void encoded(struct buf *out, struct span bytes, enum base64_kind kind)
{
    struct error e = {0};
    must(base64_encode(bytes, kind, out, &e) == OK);
}

static void added(struct buf *out, struct span bytes)
{
    struct error e = {0};
    must(buf_add(out, bytes, &e) == OK);
}

static void quoted(struct buf *out, const char *before, struct span text)
{
    struct error e = {0};
    added(out, span_text(before));
    if (!utf8_is_valid(text) || memchr(text.data, 0, text.size) != NULL)
        text = SPAN_LITERAL("{}");
    must(json_quote(text, out, &e) == OK);
}

static void signature_of(struct span text, bool pss, struct buf *out)
{
    uint8_t signature[512];
    size_t size = sizeof signature;
    EVP_PKEY_CTX *padding = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(EVP_DigestSignInit(context, &padding, pss ? EVP_sha384() : EVP_sha256(), NULL,
                            world.signer) == 1);
    if (pss)
        must(EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) == 1);
    must(EVP_DigestSign(context, signature, &size, text.data, text.size) == 1);
    EVP_MD_CTX_free(context);
    added(out, span_of(signature, size));
}

static void jws_of(struct span header, struct span payload, struct buf *out)
{
    AUTO(buf_free) struct buf signature = BUF(1024);
    encoded(out, header, BASE64URL);
    added(out, SPAN_LITERAL("."));
    encoded(out, payload, BASE64URL);
    signature_of(buf_span(out), false, &signature);
    added(out, SPAN_LITERAL("."));
    encoded(out, buf_span(&signature), BASE64URL);
}

static void jws_try(struct span *in, struct inspect_options options, uint8_t flags)
{
    AUTO(chunk_free) struct chunk header = take_chunk(in);
    AUTO(chunk_free) struct chunk payload = take_chunk(in);
    AUTO(thing_close) struct thing set = thing_of(*in);
    AUTO(buf_free) struct buf jws = BUF(ROOM);
    jws_of(chunk_span(&header), chunk_span(&payload), &jws);
    if ((flags & WITH_JWKS) != 0)
        options.jwks = set.path;
    look_at(buf_span(&jws), options, flags & (uint8_t)~PEELED);
}

static void bytes_of(struct span bytes, struct buf *out)
{
    const uint8_t head[] = {0x59, (uint8_t)(bytes.size >> 8), (uint8_t)bytes.size};
    added(out, span_of(head, sizeof head));
    added(out, bytes);
}

/* The head of a byte string as it is signed: the shortest. */
static void shortest_of(struct span bytes, struct buf *out)
{
    const uint8_t tiny = (uint8_t)(0x40 | bytes.size), small[] = {0x58, (uint8_t)bytes.size};
    if (bytes.size > UINT8_MAX) {
        bytes_of(bytes, out);
        return;
    }
    added(out, bytes.size < 24 ? span_of(&tiny, 1) : span_of(small, sizeof small));
    added(out, bytes);
}

static void endorsement_of(struct span *in, struct buf *out)
{
    AUTO(chunk_free) struct chunk header = take_chunk(in);
    AUTO(chunk_free) struct chunk payload = take_chunk(in);
    AUTO(buf_free) struct buf text = BUF(ROOM);
    AUTO(buf_free) struct buf signature = BUF(1024);
    added(&text, SPAN_LITERAL("\x84\x6aSignature1"));
    shortest_of(chunk_span(&header), &text);
    added(&text, SPAN_LITERAL("\x40"));
    shortest_of(chunk_span(&payload), &text);
    signature_of(buf_span(&text), true, &signature);
    added(out, SPAN_LITERAL("\xd2\x84"));
    bytes_of(chunk_span(&header), out);
    added(out, SPAN_LITERAL("\xa0"));
    bytes_of(chunk_span(&payload), out);
    bytes_of(buf_span(&signature), out);
}

/* The genuine report about RUNTIME, with a byte of it changed before it is signed. */
static void report_of(struct span runtime, size_t at, uint8_t bits,
                      uint8_t out[static SNP_REPORT_SIZE])
{
    uint8_t der[256];
    size_t size = sizeof der;
    struct error e = {0};
    memcpy(out, world.report.data, SNP_REPORT_SIZE);
    memset(out + 80, 0, 64);
    must(sha256(runtime, out + 80, &e) == OK);
    out[at % SIGNED] ^= bits;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(EVP_DigestSignInit(context, NULL, EVP_sha384(), NULL, world.vcek) == 1 &&
         EVP_DigestSign(context, der, &size, out, SIGNED) == 1);
    EVP_MD_CTX_free(context);
    const unsigned char *der_at = der;
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der_at, (long)size);
    must(s != NULL && BN_bn2lebinpad(ECDSA_SIG_get0_r(s), out + SIGNED, 72) == 72 &&
         BN_bn2lebinpad(ECDSA_SIG_get0_s(s), out + SIGNED + 72, 72) == 72);
    ECDSA_SIG_free(s);
}

/* {"keys":[],"receipt_sha256":the body's,EXTRA}. */
static void runtime_of(struct span body, struct span extra, struct buf *out)
{
    uint8_t digest[SHA256_SIZE];
    struct error e = {0};
    must(sha256(body, digest, &e) == OK);
    added(out, SPAN_LITERAL("{\"keys\":[],\"receipt_sha256\":\""));
    must(hex_encode(span_of(digest, sizeof digest), out, &e) == OK);
    added(out, SPAN_LITERAL("\""));
    added(out, extra);
    added(out, SPAN_LITERAL("}"));
}

/* Claims that agree with the report, and what the input puts in front of them. */
static void claims_of(struct span runtime, const uint8_t *report, struct span first,
                      struct buf *out)
{
    static const struct {
        const char *name;
        size_t at, size;
    } parts[] = {{"reportdata", 80, 64}, {"launchmeasurement", 144, 48}, {"hostdata", 192, 32}};
    struct error e = {0};
    added(out, SPAN_LITERAL("{"));
    added(out, first);
    added(out, SPAN_LITERAL("\"x-ms-runtime\":"));
    added(out, runtime);
    for (size_t i = 0; i < COUNT(parts); i++) {
        must(buf_addf(out, &e, ",\"x-ms-sevsnpvm-%s\":\"", parts[i].name) == OK &&
             hex_encode(span_of(report + parts[i].at, parts[i].size), out, &e) == OK);
        added(out, SPAN_LITERAL("\""));
    }
    added(out, SPAN_LITERAL("}"));
}

static void receipt_try(struct span *in, struct inspect_options options, uint8_t flags)
{
    AUTO(chunk_free) struct chunk body = take_chunk(in);
    AUTO(chunk_free) struct chunk extra = take_chunk(in);
    AUTO(chunk_free) struct chunk first = take_chunk(in);
    size_t at = take_number(in, 2);
    uint8_t bits = take_byte(in), report[SNP_REPORT_SIZE];
    AUTO(buf_free)
    struct buf runtime = BUF(ROOM), claims = BUF(ROOM), token = BUF(ROOM), out = BUF(ROOM * 2),
               base64 = BUF(ROOM), cose = BUF(ROOM), cose64 = BUF(ROOM);
    runtime_of(chunk_span(&body), chunk_span(&extra), &runtime);
    report_of(buf_span(&runtime), at, bits, report);
    claims_of(buf_span(&runtime), report, chunk_span(&first), &claims);
    jws_of(SPAN_LITERAL("{\"alg\":\"RS256\",\"kid\":\"k\"}"), buf_span(&claims), &token);
    encoded(&base64, span_of(report, sizeof report), BASE64);
    quoted(&out, "{\"decant_receipt\":1,\"body\":", chunk_span(&body));
    quoted(&out, ",\"evidence\":{\"runtime_data\":", buf_span(&runtime));
    quoted(&out, ",\"report\":", buf_span(&base64));
    quoted(&out, ",\"certificates\":", buf_span(&world.chain));
    quoted(&out, ",\"token\":", buf_span(&token));
    if (in->size > 0) {
        endorsement_of(in, &cose);
        encoded(&cose64, buf_span(&cose), BASE64);
        quoted(&out, ",\"uvm_endorsements\":", buf_span(&cose64));
    }
    added(&out, SPAN_LITERAL("}}"));
    look_at(buf_span(&out), options, flags & (uint8_t)~PEELED);
}

static void blob_try(struct span *in, struct inspect_options options, uint8_t flags)
{
    AUTO(chunk_free) struct chunk metadata = take_chunk(in);
    AUTO(thing_close) struct thing beside = thing_of(chunk_span(&metadata));
    options.metadata = beside.path;
    if ((flags & WITH_FILES) != 0)
        options.key = FUZZ_DATA "/offer.key";
    look_at(*in, options, flags & (uint8_t)~PEELED);
}

static void directory_try(struct span *in, struct inspect_options options)
{
    static const char *const names[] = {"security-policy-base64", "reference-info-base64",
                                        "host-amd-cert-base64"};
    struct thing things[COUNT(names)];
    char paths[COUNT(names)][128];
    uint8_t there = take_byte(in);
    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO(chunk_free) struct chunk text = take_chunk(in);
        things[i] = thing_of(chunk_span(&text));
        (void)snprintf(paths[i], sizeof paths[i], "%s/%s", world.folder, names[i]);
        must((there >> i & 1) != 0 || symlink(things[i].path, paths[i]) == 0);
    }
    options.path = world.folder;
    look(&options);
    for (size_t i = 0; i < COUNT(names); i++) {
        thing_close(&things[i]);
        (void)unlink(paths[i]);
    }
}

/* As doctor has it looked at. */
static void endorsement_try(struct span cose)
{
    static const uint8_t measurement[48] = {1};
    AUTO(findings_free) struct findings found = {0};
    struct error e = {0};
    must_fail_as(inspect_endorsement(cose, span_of(measurement, sizeof measurement), &found, &e),
                 &e, E_NO_EVIDENCE, E_SPACE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    uint8_t mode = take_byte(&in), kind = take_byte(&in), flags = take_byte(&in);
    AUTO(buf_free) struct buf cose = BUF(ROOM);
    world_open();
    struct inspect_options options = options_of(kind, flags);
    switch (mode % 6) {
    case 0:
        look_at(in, options, flags);
        break;
    case 1:
        jws_try(&in, options, flags);
        break;
    case 2:
        endorsement_of(&in, &cose);
        look_at(buf_span(&cose), options, flags);
        endorsement_try(buf_span(&cose));
        break;
    case 3:
        receipt_try(&in, options, flags);
        break;
    case 4:
        blob_try(&in, options, flags);
        break;
    default:
        directory_try(&in, options);
    }
    return 0;
}
