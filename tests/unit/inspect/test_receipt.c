/* Receipts: one that holds, and each step of the way refused when one thing is changed. */
#include "look.h"

#define HOST_DATA "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define MANIFEST  "{\"files\":[]}"
#define INPUT     "the input's manifest"
#define JOB       "{\"a\":1}"

/* What is done to a receipt that holds. Zero: nothing. */
struct change {
    const char *body_from, *body_to;       /* in the body, after it was hashed */
    const char *runtime_from, *runtime_to; /* in the runtime data, after they were hashed */
    const char *text_from, *text_to;       /* in the whole receipt */
    const char *claim_from, *claim_to;     /* in the token's claims */
    size_t flip_before, flip_after;        /* a byte of the report, before or after it is signed */
    uint8_t bits;                          /* to flip in it */
    const struct forgery *chain;
};

static void hex_of(struct span text, char out[static 65])
{
    struct error e = {0};
    uint8_t digest[SHA256_SIZE];
    AUTO(buf_free) struct buf hex = BUF(80);
    assert_ok(sha256(text, digest, &e), &e);
    assert_ok(hex_encode(span_of(digest, sizeof digest), &hex, &e), &e);
    memcpy(out, buf_text(&hex), 65);
}

/* The one FROM in TEXT becomes TO; it must be there. */
static void replace(struct buf *text, const char *from, const char *to)
{
    struct error e = {0};
    AUTO(buf_free) struct buf old = BUF(1 << 20);
    if (from == NULL)
        return;
    assert_ok(buf_add(&old, buf_span(text), &e), &e);
    char *at = strstr((char *)old.data, from);
    if (at == NULL)
        fail_msg("no %s in %s", from, buf_text(&old));
    buf_clear(text);
    assert_ok(buf_add(text, span_of(old.data, (size_t)(at - (char *)old.data)), &e), &e);
    assert_ok(buf_addf(text, &e, "%s%s", to, at + strlen(from)), &e);
}

static void write_body(struct buf *out)
{
    struct error e = {0};
    char manifest[65], input[65], job[65];
    hex_of(SPAN_LITERAL(MANIFEST), manifest);
    hex_of(SPAN_LITERAL(INPUT), input);
    hex_of(SPAN_LITERAL(JOB), job);
    assert_ok(buf_addf(out, &e,
                       "{\"version\":1,\"decant\":\"0.1.0\",\"made\":\"2025-11-24T00:00:00Z\","
                       "\"job_sha256\":\"%s\",\"inputs\":[{\"from\":\"https://a/in/\","
                       "\"manifest_sha256\":\"%s\"},{\"from\":\"https://a/x\"}],\"output\":{\"to\":"
                       "\"https://a/out/\",\"manifest\":\"https://a/out/manifest.json\","
                       "\"manifest_sha256\":\"%s\",\"files\":2,\"bytes\":30}}",
                       job, input, manifest),
              &e);
}

static void write_report(struct span runtime_data, const struct change *change, struct buf *out)
{
    struct error e = {0};
    read_or_die(DATA "milan.bin", out);
    memset(out->data + 80, 0, 64);
    assert_ok(sha256(runtime_data, out->data + 80, &e), &e);
    if (change->flip_before > 0)
        out->data[change->flip_before] ^= change->bits;
    report_sign(out->data);
    if (change->flip_after > 0)
        out->data[change->flip_after] ^= change->bits;
}

static void write_token(struct span runtime_data, struct span report, const struct change *change,
                        struct buf *out)
{
    struct error e = {0};
    AUTO(buf_free) struct buf claims = BUF(1 << 16);
    assert_ok(buf_addf(&claims, &e, "{\"iss\":\"https://m.attest.azure.net\",\"x-ms-runtime\":"), &e);
    assert_ok(buf_add(&claims, runtime_data, &e), &e);
    static const struct {
        const char *name;
        size_t at, size;
    } parts[] = {{"reportdata", 80, 64}, {"launchmeasurement", 144, 48}, {"hostdata", 192, 32}};
    for (size_t i = 0; i < COUNT(parts); i++) {
        assert_ok(buf_addf(&claims, &e, ",\"x-ms-sevsnpvm-%s\":\"", parts[i].name), &e);
        assert_ok(hex_encode(span_of(report.data + parts[i].at, parts[i].size), &claims, &e), &e);
        assert_ok(buf_addf(&claims, &e, "\""), &e);
    }
    assert_ok(buf_addf(&claims, &e, "}"), &e);
    replace(&claims, change->claim_from, change->claim_to);
    assert_ok(buf_addf(out, &e, "eyJhbGciOiJSUzI1NiJ9."), &e);
    assert_ok(base64_encode(buf_span(&claims), BASE64URL, out, &e), &e);
    assert_ok(buf_addf(out, &e, ".c2ln"), &e);
}

static void add_string(struct buf *out, const char *before, struct span text)
{
    struct error e = {0};
    assert_ok(buf_addf(out, &e, "%s", before), &e);
    assert_ok(json_quote(text, out, &e), &e);
}

static const char *receipt_of(const struct change *change)
{
    struct error e = {0};
    char digest[65];
    AUTO(buf_free) struct buf body = BUF(1 << 16), runtime = BUF(1 << 16), report = BUF(4096),
                              token = BUF(1 << 16), base64 = BUF(1 << 16), pem = BUF(1 << 16),
                              out = BUF(1 << 20);
    write_body(&body);
    hex_of(buf_span(&body), digest);
    assert_ok(buf_addf(&runtime, &e, "{\"keys\":[{\"kty\":\"RSA\"}],\"receipt_sha256\":\"%s\"}", digest),
              &e);
    write_report(buf_span(&runtime), change, &report);
    write_token(buf_span(&runtime), buf_span(&report), change, &token);
    if (change->chain != NULL)
        chain_forge(change->chain, &pem);
    else
        read_or_die(DATA "milan.pem", &pem);
    replace(&body, change->body_from, change->body_to);
    replace(&runtime, change->runtime_from, change->runtime_to);
    assert_ok(base64_encode(buf_span(&report), BASE64, &base64, &e), &e);
    add_string(&out, "{\"decant_receipt\":1,\"body\":", buf_span(&body));
    add_string(&out, ",\"evidence\":{\"runtime_data\":", buf_span(&runtime));
    add_string(&out, ",\"report\":", buf_span(&base64));
    add_string(&out, ",\"certificates\":", buf_span(&pem));
    add_string(&out, ",\"token\":", buf_span(&token));
    assert_ok(buf_addf(&out, &e, "}}"), &e);
    replace(&out, change->text_from, change->text_to);
    return file_of("receipt.json", buf_span(&out));
}

static struct inspect_options all_wishes(void)
{
    static const char *manifests[2];
    manifests[0] = file_of("manifest", SPAN_LITERAL(MANIFEST));
    manifests[1] = file_of("input", SPAN_LITERAL(INPUT));
    return (struct inspect_options){.verify = true,
                                    .amd_root = test_root(),
                                    .host_data = HOST_DATA,
                                    .manifests = manifests,
                                    .n_manifests = 2,
                                    .job = file_of("job", SPAN_LITERAL(JOB))};
}

static void test_holds(void **state)
{
    static const char *const steps[] = {"manifest", "job",  "body", "runtime data", "certificates",
                                        "root",     "VCEK", "VCEK dates", "signature", "debugging",
                                        "host data", "token", "issuer"};
    (void)state;
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    assert_ok(look(all_wishes(), receipt_of(&(struct change){0}), &seen, &e), &e);
    assert_string_equal(seen.kind, "receipt");
    for (size_t i = 0; i < COUNT(steps); i++)
        assert_step(&seen, steps[i], FINDING_OK, "");
    assert_step(&seen, "output", FINDING_NOTE, "https://a/out/, 2 files, 30 bytes");
    assert_step(&seen, "endorsement", FINDING_SKIP, "");
}

static void test_each_step(void **state)
{
    static const struct forgery other_signer = {.vcek_by_ark = true};
    static const struct {
        const char *step;
        enum status status;
        struct change change;
    } cases[] = {
        {"body", E_MISMATCH, {.body_from = "\"files\":2", .body_to = "\"files\":3"}},
        {"body", E_MISMATCH, {.body_from = "https://a/in/", .body_to = "https://b/in/"}},
        {"runtime data", E_MISMATCH, {.runtime_from = "RSA", .runtime_to = "RSB"}},
        {"runtime data", E_MISMATCH, {.flip_before = 112, .bits = 1}}, /* behind the digest */
        {"signature", E_NO_EVIDENCE, {.flip_after = 150, .bits = 1}},
        {"signature", E_NO_EVIDENCE, {.flip_after = 700, .bits = 1}},
        {"VCEK", E_NO_EVIDENCE, {.flip_before = 391, .bits = 1}}, /* microcode */
        {"VCEK", E_NO_EVIDENCE, {.flip_before = 416, .bits = 1}}, /* chip id */
        {"debugging", E_NO_EVIDENCE, {.flip_before = 10, .bits = 8}},
        {"host data", E_MISMATCH, {.flip_before = 192, .bits = 1}},
        {"certificates", E_NO_EVIDENCE, {.chain = &other_signer}},
        {"token", E_MISMATCH, {.claim_from = "RSA", .claim_to = "RSB"}},
        {"token", E_MISMATCH, {.claim_from = "hostdata\":\"00", .claim_to = "hostdata\":\"01"}},
        {"token", E_MISMATCH, {.claim_from = "measurement\":\"00", .claim_to = "measurement\":\"01"}},
        {"token", E_MISMATCH, {.claim_from = "reportdata", .claim_to = "other"}},
        {"token", E_NOT_AUTHENTIC, {.text_from = "eyJhbGciOiJSUzI1NiJ9.", .text_to = ""}},
        {"issuer", E_NOT_ATTESTED, {.claim_from = "https://m.", .claim_to = "m."}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(inspection_free) struct inspection seen = {0};
        struct inspect_options wish = all_wishes();
        wish.now_unix_s = (int64_t)time(NULL) + 60; /* forged certificates live a day */
        enum status status = look(wish, receipt_of(&cases[i].change), &seen, &e);
        if (status != cases[i].status)
            fail_msg("case %zu (%s): %d, %s", i, cases[i].step, status, e.text);
        assert_step(&seen, cases[i].step, FINDING_FAIL, "");
    }
}

/* What the verifier brings along must be what the receipt names; and AMD's root is the default. */
static void test_what_it_is_held_against(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    const char *receipt = receipt_of(&(struct change){0}), *other = file_of("o", SPAN_LITERAL("{}"));
    struct inspect_options wish = all_wishes();
    wish.amd_root = NULL;
    assert_fails(look(wish, receipt, &seen, &e), E_NO_EVIDENCE, "none of AMD's", &e);
    assert_step(&seen, "endorsement", FINDING_FAIL, "whose utility VM");
    wish.verify = false;
    assert_fails(look(wish, receipt, &seen, &e), E_NO_EVIDENCE, "none of AMD's", &e);
    assert_step(&seen, "endorsement", FINDING_SKIP, "whose utility VM");
    wish = all_wishes();
    wish.host_data = NULL;
    assert_ok(look(wish, receipt, &seen, &e), &e);
    assert_step(&seen, "which container", FINDING_SKIP, "--cce-policy");
    wish = all_wishes();
    wish.manifests = &other;
    wish.n_manifests = 1;
    assert_fails(look(wish, receipt, &seen, &e), E_MISMATCH, "does not name", &e);
    wish = all_wishes();
    wish.job = other;
    assert_fails(look(wish, receipt, &seen, &e), E_MISMATCH, "job", &e);
    wish = all_wishes();
    wish.job = "/no/such";
    assert_fails(look(wish, receipt, &seen, &e), E_USAGE, "/no/such", &e);
    wish = all_wishes();
    wish.now_unix_s = 3000000000;
    assert_fails(look(wish, receipt, &seen, &e), E_NO_EVIDENCE, "VCEK dates", &e);
}

/* A receipt that lacks something is none. */
static void test_members(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"\"decant_receipt\":1", "\"decant_receipt\":2"}, {"\"body\"", "\"bodi\""},
        {"\"runtime_data\"", "\"x\""},   {"\"report\":", "\"x\":"}, {"\"certificates\"", "\"x\""},
        {"\"token\":", "\"x\":"},        {"\"evidence\"", "\"x\""}, {"\"report\":\"", "\"report\":\"*"},
        {"\"body\":\"{", "\"body\":\"["}, {"\\\"version\\\":1", "\\\"version\\\":2"},
        {"\\\"decant\\\"", "\\\"x\\\""}, {"\\\"made\\\"", "\\\"x\\\""},
        {"\\\"job_sha256\\\"", "\\\"x\\\""}, {"\\\"inputs\\\"", "\\\"x\\\""},
        {"\\\"output\\\"", "\\\"x\\\""}, {"\\\"files\\\":2", "\\\"files\\\":-2"},
        {"\\\"from\\\"", "\\\"x\\\""},   {"\\\"to\\\"", "\\\"x\\\""},
        {"\\\"manifest\\\"", "\\\"x\\\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(inspection_free) struct inspection seen = {0};
        const struct change change = {.text_from = cases[i].from, .text_to = cases[i].to};
        enum status status = look(all_wishes(), receipt_of(&change), &seen, &e);
        if (status != E_NOT_AUTHENTIC)
            fail_msg("%s: %d, %s", cases[i].from, status, e.text);
    }
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    const struct change broken = {.text_from = ",\"token\"",
                                  .text_to = ",\"uvm_endorsements\":\"0oQ=\",\"token\""};
    assert_fails(look(all_wishes(), receipt_of(&broken), &seen, &e), E_NO_EVIDENCE, "COSE_Sign1", &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_each_step),
        cmocka_unit_test(test_what_it_is_held_against),
        cmocka_unit_test(test_members),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
