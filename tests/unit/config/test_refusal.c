/* A job that is wrong is refused with the JSON path and what was expected. Each case replaces one
 * place of a job that is right, and most have a twin that is right. */
#include "testing.h"

#include "config/config.h"

#define SHA_A "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* What stands for $a … in the job below, unless a case replaces it. */
#define ATTESTATION "{\"provider\":\"https://p.example\"}"
#define KEYS        "[{\"kid\":\"https://v.example/keys/k\"}]"
#define FROM        "\"from\":\"https://s.example/c/b\""
#define OUT_PLACE   "\"from\":\"r\",\"to\":\"https://s.example/r/\""
#define OUT         OUT_PLACE ",\"key\":\"https://v.example/keys/k\""
#define PREFIX      "\"from\":\"https://s.example/c/p/\""

enum place { TOP, ATTEST, IDENTITY, KEY_LIST, INPUT, OUTPUT, VOLUME, NETWORK, LIMITS, PLACES };

struct refused {
    enum place place;
    const char *text, *part; /* PART NULL: it is good */
};

static void job_text(const struct refused *c, struct buf *out)
{
    const char *parts[PLACES] = {
        "",
        ATTESTATION,
        "{}",
        KEYS,
        FROM,
        OUT,
        "{\"path\":\"/v\"}",
        "{}",
        "{}",
    };
    struct error e = {0};
    parts[c->place] = c->text;
    assert_ok(buf_addf(out, &e,
                       "{%s\"attestation\":%s,\"identity\":%s,\"keys\":%s,\"inputs\":[{%s}],"
                       "\"outputs\":[{%s}],\"volume\":%s,\"network\":%s,\"limits\":%s}",
                       parts[TOP], parts[ATTEST], parts[IDENTITY], parts[KEY_LIST], parts[INPUT],
                       parts[OUTPUT], parts[VOLUME], parts[NETWORK], parts[LIMITS]),
              &e);
}

static void check(const struct refused *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct error e = {0};
        AUTO(job_free) struct job job = {0};
        AUTO(buf_free) struct buf text = BUF(1 << 16);
        job_text(&cases[i], &text);
        enum status status = job_parse(buf_span(&text), &job, &e);
        if (cases[i].part == NULL) {
            if (status != OK)
                fail_msg("%s: %s", cases[i].text, e.text);
            continue;
        }
        if (status != E_USAGE)
            fail_msg("%s: status %d, %s", cases[i].text, status, status == OK ? "OK" : e.text);
        if (strncmp(e.text, cases[i].part, strlen(cases[i].part)) != 0)
            fail_msg("%s: \"%s\" does not start with \"%s\"", cases[i].text, e.text, cases[i].part);
        assert_null(job.tree);
    }
}

static void test_types(void **state)
{
    static const struct refused cases[] = {
        {TOP, "", NULL},
        {TOP, "\"$schema\":1,", "$schema: expected a string"},
        {ATTEST, "[]", "attestation: expected an object"},
        {ATTEST, "null", "attestation: expected an object"},
        {ATTEST, "{\"provider\":1}", "attestation.provider: expected a string"},
        {ATTEST, "{\"evidence\":1}", "attestation.evidence: expected one of: \"auto\", \"device\""},
        {ATTEST, "{\"sidecar\":null}", "attestation.sidecar: expected a string"},
        {ATTEST, "{\"certificates\":[]}", "attestation.certificates: expected a string"},
        {IDENTITY, "\"managed\"", "identity: expected an object"},
        {IDENTITY, "{\"type\":true}", "identity.type: expected one of: \"auto\", \"managed\""},
        {IDENTITY, "{\"client_id\":1}", "identity.client_id: expected a string"},
        {IDENTITY, "{\"vault_token_env\":1}", "identity.vault_token_env: expected a string"},
        {IDENTITY, "{\"vault_token_file\":1}", "identity.vault_token_file: expected a string"},
        {IDENTITY, "{\"storage_token_env\":1}", "identity.storage_token_env: expected a string"},
        {IDENTITY, "{\"storage_token_file\":1}", "identity.storage_token_file: expected a string"},
        {KEY_LIST, "{}", "keys: expected a list"},
        {KEY_LIST, "\"k\"", "keys: expected a list"},
        {KEY_LIST, "[\"k\"]", "keys[0]: expected an object"},
        {KEY_LIST, "[{\"kid\":1}]", "keys[0].kid: expected a string"},
        {KEY_LIST, "[{\"kid\":\"k\",\"file\":\"f\"},{\"kid\":\"\"}]", "keys[1].kid: expected 1 to"},
        {KEY_LIST, "[{\"kid\":\"k\",\"file\":1}]", "keys[0].file: expected a string"},
        {KEY_LIST, "[{\"kid\":\"k\",\"source\":1}]",
         "keys[0].source: expected one of: \"vault\", \"sid"},
        {KEY_LIST, "[{\"kid\":\"k\",\"aliases\":\"a\"}]", "keys[0].aliases: expected a list"},
        {KEY_LIST, "[{\"kid\":\"k\",\"aliases\":[\"a\",1]}]",
         "keys[0].aliases[1]: expected a string"},
        {INPUT, "\"from\":1", "inputs[0].from: expected a string"},
        {INPUT, FROM ",\"to\":1", "inputs[0].to: expected a string"},
        {INPUT, FROM ",\"to\":\"\"", "inputs[0].to: expected 1 to 8192 bytes"},
        {INPUT, PREFIX ",\"match\":1", "inputs[0].match: expected a string"},
        {INPUT, FROM ",\"sas_env\":1", "inputs[0].sas_env: expected a string"},
        {INPUT, FROM ",\"sas_file\":1", "inputs[0].sas_file: expected a string"},
        {INPUT, FROM ",\"format\":2", "inputs[0].format: expected one of: \"auto\", \"cse\""},
        {INPUT, FROM ",\"key\":1", "inputs[0].key: expected a string"},
        {INPUT, FROM ",\"decompress\":true", "inputs[0].decompress: expected one of: \"gzip\""},
        {INPUT, FROM ",\"sha256\":1", "inputs[0].sha256: expected a SHA-256 as 64 hex digits"},
        {INPUT, FROM ",\"size\":\"1\"", "inputs[0].size: expected a whole number from 0"},
        {INPUT, PREFIX ",\"manifest\":\"m\"", "inputs[0].manifest: expected an object"},
        {INPUT, PREFIX ",\"manifest\":{\"from\":1}", "inputs[0].manifest.from: expected a string"},
        {OUTPUT, "\"from\":1", "outputs[0].from: expected a string"},
        {OUTPUT, "\"to\":1", "outputs[0].to: expected a string"},
        {OUTPUT, "\"key\":1", "outputs[0].key: expected a string"},
        {OUTPUT, "\"key_file\":1", "outputs[0].key_file: expected a string"},
        {OUTPUT, "\"key_inline\":{}", "outputs[0].key_inline: expected a string"},
        {OUTPUT, "\"overwrite\":\"yes\"", "outputs[0].overwrite: expected true or false"},
        {OUTPUT, "\"receipt\":1", "outputs[0].receipt: expected true or false"},
        {OUTPUT, "\"compress\":true", "outputs[0].compress: expected one of: \"gzip\""},
        {OUTPUT, "\"manifest\":1", "outputs[0].manifest: expected true, false or the name"},
        {OUTPUT, "\"manifest\":\"\"", "outputs[0].manifest: expected 1 to"},
        {OUTPUT, "\"sas_env\":1", "outputs[0].sas_env: expected a string"},
        {OUTPUT, "\"sas_file\":1", "outputs[0].sas_file: expected a string"},
        {VOLUME, "\"/v\"", "volume: expected an object"},
        {VOLUME, "{\"path\":1}", "volume.path: expected a string"},
        {VOLUME, "{\"path\":\"v\",\"require\":1}", "volume.require: expected one of: \"confid"},
        {VOLUME, "{\"path\":\"v\",\"mode\":288}", "volume.mode: expected file permissions"},
        {VOLUME, "{\"path\":\"v\",\"uid\":\"root\"}", "volume.uid: expected a whole number"},
        {VOLUME, "{\"path\":\"v\",\"gid\":[]}", "volume.gid: expected a whole number"},
        {NETWORK, "[]", "network: expected an object"},
        {NETWORK, "{\"ca_file\":1}", "network.ca_file: expected a string"},
        {NETWORK, "{\"proxy\":1}", "network.proxy: expected a string"},
        {LIMITS, "[]", "limits: expected an object"},
        {LIMITS, "{\"parallel\":\"16\"}", "limits.parallel: expected a whole number from 1 to 256"},
        {LIMITS, "{\"memory_mib\":true}", "limits.memory_mib: expected a whole number from 32"},
        {LIMITS, "{\"timeout_s\":null}", "limits.timeout_s: expected a whole number"},
        {LIMITS, "{\"shards\":[]}", "limits.shards: expected a whole number"},
        {LIMITS, "{\"max_plaintext_mib\":{}}", "limits.max_plaintext_mib: expected a whole"},
    };
    (void)state;
    check(cases, COUNT(cases));
}

static void test_members(void **state)
{
    static const struct refused cases[] = {
        {TOP, "\"volumes\":{},", "volumes: unknown member; expected one of: attestation, identity"},
        {TOP, "\"Keys\":[],", "Keys: unknown member"},
        {TOP, "\"\":1,", "the job: unknown member"},
        {ATTEST, "{\"url\":\"x\"}", "attestation.url: unknown member; expected one of: provider"},
        {IDENTITY, "{\"kind\":\"x\"}", "identity.kind: unknown member"},
        {KEY_LIST, "[{\"kid\":\"k\",\"file\":\"f\"},{\"id\":1}]", "keys[1].id: unknown member"},
        {INPUT, FROM ",\"sha-256\":1", "inputs[0].sha-256: unknown member"},
        {INPUT, PREFIX ",\"manifest\":{\"size\":1}", "inputs[0].manifest.size: unknown member"},
        {OUTPUT, "\"format\":1", "outputs[0].format: unknown member"},
        {VOLUME, "{\"path\":\"v\",\"owner\":1}", "volume.owner: unknown member"},
        {NETWORK, "{\"ca\":1}", "network.ca: unknown member"},
        {LIMITS, "{\"memory\":1}", "limits.memory: unknown member; expected one of: parallel, mem"},
        /* twice */
        {TOP, "\"keys\":[],", "keys: this JSON member stands twice"},
        {INPUT, FROM "," FROM, "inputs[0].from: this JSON member stands twice"},
        {INPUT, FROM ",\"\\u0066rom\":1", "inputs[0].from: this JSON member stands twice"},
        {LIMITS, "{\"parallel\":1,\"parallel\":1}", "limits.parallel: this JSON member stands twi"},
        /* missing */
        {KEY_LIST, "[{}]", "keys[0].kid: missing"},
        {INPUT, "\"to\":\"x\"", "inputs[0].from: missing"},
        {INPUT, PREFIX ",\"manifest\":{}", "inputs[0].manifest.from: missing"},
        {INPUT, PREFIX ",\"manifest\":{\"from\":\"https://s.example/m\"}",
         "inputs[0].manifest.sha256: missing"},
        {OUTPUT, "", "outputs[0].from: missing"},
        {OUTPUT, "\"from\":\"r\",\"key\":\"k\"", "outputs[0].to: missing"},
        {OUTPUT, "\"from\":\"r\",\"to\":\"https://s.example/r/\"", "outputs[0].key: missing"},
        {VOLUME, "{}", "volume.path: missing"},
    };
    (void)state;
    check(cases, COUNT(cases));
}

static void test_urls(void **state)
{
    static const struct refused cases[] = {
        {ATTEST, "{\"provider\":\"http://localhost:1\"}", NULL},
        {ATTEST, "{\"provider\":\"http://p.example\"}", "attestation.provider: plain http"},
        {ATTEST, "{\"provider\":\"p.example\"}", "attestation.provider: a URL that does not start"},
        {ATTEST, "{\"provider\":\"https://u@p.example\"}",
         "attestation.provider: a URL with a user"},
        {ATTEST, "{\"provider\":\"https://p.example/#x\"}",
         "attestation.provider: a URL with a ch"},
        {ATTEST, "{\"provider\":\"https://p.example\",\"sidecar\":\"http://127.0.0.1:8080\"}",
         NULL},
        {ATTEST, "{\"sidecar\":\"http://sidecar:8080\"}", "attestation.sidecar: plain http"},
        /* the platform's certificates prove themselves */
        {ATTEST, "{\"provider\":\"https://p.example\",\"certificates\":\"http://thim.example/c\"}",
         NULL},
        {ATTEST, "{\"certificates\":\"ftp://thim.example\"}", "attestation.certificates: a URL"},
        {INPUT, "\"from\":\"http://169.254.1.1/c/b\"", NULL},
        {INPUT, "\"from\":\"http://s.example/c/b\"", "inputs[0].from: plain http"},
        {INPUT, "\"from\":\"http://127.1/c/b\"", "inputs[0].from: a URL whose host"},
        {INPUT, "\"from\":\"c/b\"", "inputs[0].from: a URL"},
        {INPUT, PREFIX ",\"manifest\":{\"from\":\"https://s.example/m\",\"sha256\":\"" SHA_A "\"}",
         NULL},
        {INPUT, PREFIX ",\"manifest\":{\"from\":\"http://s.example/m\",\"sha256\":\"" SHA_A "\"}",
         "inputs[0].manifest.from: plain http"},
        {OUTPUT, "\"from\":\"r\",\"to\":\"http://s.example/\",\"key\":\"k\"",
         "outputs[0].to: plain http"},
        {KEY_LIST, "[{\"kid\":\"http://[::1]:1/keys/k\"}]", NULL},
        {KEY_LIST, "[{\"kid\":\"http://v.example/keys/k\"}]", "keys[0].kid: plain http"},
        {KEY_LIST, "[{\"kid\":\"k\"}]", "keys[0].kid: a URL"},
        {KEY_LIST, "[{\"kid\":\"k\",\"file\":\"f\"}]", NULL},
        {NETWORK, "{\"proxy\":\"http://proxy.example:3128\"}", NULL},
        {NETWORK, "{\"proxy\":\"socks5://proxy.example\"}", "network.proxy: a URL"},
    };
    (void)state;
    check(cases, COUNT(cases));
}

static void test_ranges(void **state)
{
    static const struct refused cases[] = {
        {LIMITS, "{\"parallel\":1}", NULL},
        {LIMITS, "{\"parallel\":256}", NULL},
        {LIMITS, "{\"parallel\":0}", "limits.parallel: expected a whole number from 1 to 256"},
        {LIMITS, "{\"parallel\":257}", "limits.parallel"},
        {LIMITS, "{\"parallel\":-1}", "limits.parallel"},
        {LIMITS, "{\"parallel\":1.5}", "limits.parallel"},
        {LIMITS, "{\"parallel\":1e99}", "limits.parallel"},
        {LIMITS, "{\"memory_mib\":32}", NULL},
        {LIMITS, "{\"memory_mib\":1048576}", NULL},
        {LIMITS, "{\"memory_mib\":31}",
         "limits.memory_mib: expected a whole number from 32 to 1048"},
        {LIMITS, "{\"memory_mib\":1048577}", "limits.memory_mib"},
        {LIMITS, "{\"timeout_s\":315360000}", NULL},
        {LIMITS, "{\"timeout_s\":315360001}",
         "limits.timeout_s: expected a whole number from 0 to 3"},
        {LIMITS, "{\"timeout_s\":-1}", "limits.timeout_s"},
        {LIMITS, "{\"max_plaintext_mib\":1099511627776}", NULL},
        {LIMITS, "{\"max_plaintext_mib\":1099511627777}", "limits.max_plaintext_mib"},
        {LIMITS, "{\"shards\":1}", NULL},
        {LIMITS, "{\"shards\":100000}", NULL},
        {LIMITS, "{\"shards\":0}", "limits.shards: expected a whole number from 1 to 100000"},
        {LIMITS, "{\"shards\":100001}", "limits.shards"},
        {INPUT, FROM ",\"size\":0", NULL},
        {INPUT, FROM ",\"size\":281474976710656", NULL},
        {INPUT, FROM ",\"size\":281474976710657", "inputs[0].size: expected a whole number"},
        {INPUT, FROM ",\"size\":-1", "inputs[0].size"},
        {VOLUME, "{\"path\":\"v\",\"uid\":4294967294,\"gid\":0}", NULL},
        {VOLUME, "{\"path\":\"v\",\"uid\":4294967295}", "volume.uid"},
        {VOLUME, "{\"path\":\"v\",\"gid\":-1}", "volume.gid"},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"440\"}", NULL},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"0777\"}", NULL},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"0000\"}", NULL},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"1777\"}", "volume.mode: expected file permissions as"},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"4755\"}", "volume.mode"},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"00440\"}", "volume.mode"},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"44\"}", "volume.mode"},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"\"}", "volume.mode"},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"0448\"}", "volume.mode"},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"8440\"}", "volume.mode"},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"0o44\"}", "volume.mode"},
        {VOLUME, "{\"path\":\"v\",\"mode\":\"u=r\"}", "volume.mode"},
        {VOLUME, "{\"path\":\"v\",\"mode\":\" 440\"}", "volume.mode"},
        {INPUT, FROM ",\"sha256\":\"" SHA_A "\"", NULL},
        {INPUT,
         FROM ",\"sha256\":\"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\"",
         NULL},
        {INPUT, FROM ",\"sha256\":\"" SHA_A "00\"", "inputs[0].sha256: expected a SHA-256"},
        {INPUT, FROM ",\"sha256\":\"ba78\"", "inputs[0].sha256"},
        {INPUT, FROM ",\"sha256\":\"\"", "inputs[0].sha256"},
        {INPUT,
         FROM ",\"sha256\":\"ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
         "inputs[0].sha256"},
        {INPUT, FROM ",\"sha256\":\"sha256:" SHA_A "\"", "inputs[0].sha256"},
        {INPUT, FROM ",\"sha256\":\"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\"",
         "inputs[0].sha256"},
        {INPUT, FROM ",\"format\":\"CSE\"", "inputs[0].format"},
        {INPUT, FROM ",\"format\":\"\"", "inputs[0].format"},
        {INPUT, FROM ",\"decompress\":\"zstd\"", "inputs[0].decompress"},
    };
    (void)state;
    check(cases, COUNT(cases));
}

/* Which members need or exclude which. */
static void test_together(void **state)
{
#define MANIFEST "\"manifest\":{\"from\":\"https://s.example/m\",\"sha256\":\"" SHA_A "\"}"
#define FILES    "{\"kid\":\"a\",\"file\":\"f\"},{\"kid\":\"b\",\"file\":\"g\"}"
    static const struct refused cases[] = {
        {INPUT, PREFIX ",\"match\":\"*\"," MANIFEST, NULL},
        {INPUT, FROM ",\"match\":\"*\"", "inputs[0].match: only for a prefix"},
        {INPUT, FROM "," MANIFEST, "inputs[0].manifest: only for a prefix"},
        {INPUT, "\"from\":\"https://s.example/c/b?sr=/\",\"match\":\"*\"", "inputs[0].match: only"},
        {INPUT, "\"from\":\"https://s.example/c/?sr=c\",\"match\":\"*\"", NULL},
        {INPUT, PREFIX ",\"sha256\":\"" SHA_A "\"", "inputs[0].sha256: only for a single blob"},
        {INPUT, PREFIX ",\"size\":0", "inputs[0].size: only for a single blob"},
        {INPUT, FROM ",\"sas_env\":\"S\"", NULL},
        {INPUT, FROM ",\"sas_env\":\"S\",\"sas_file\":\"/s\"", "inputs[0].sas_env: stands beside"},
        {OUTPUT,
         OUT ",\"sas_env\":\"S\","
         "\"sas_file\":\"/s\"",
         "outputs[0].sas_env: stands beside sas_file"},
        {OUTPUT, OUT_PLACE ",\"key\":\"k\"", "outputs[0].key: a URL"},
        {OUTPUT, OUT_PLACE ",\"key\":\"http://v.example/keys/k\"", "outputs[0].key: plain http"},
        {OUTPUT, OUT_PLACE ",\"key\":\"k\",\"key_file\":\"f\"", NULL},
        {OUTPUT, OUT_PLACE ",\"key\":\"k\",\"key_inline\":\"{}\"", NULL},
        {OUTPUT, OUT ",\"key_file\":\"f\",\"key_inline\":\"{}\"",
         "outputs[0].key_file: stands beside key_inline"},
        {OUTPUT, OUT ",\"receipt\":true,\"manifest\":false", NULL},
        /* keys */
        {KEY_LIST, "[]", "inputs[0]: is encrypted, but the job has no \"keys\""},
        {INPUT, FROM ",\"key\":\"a\"", "inputs[0].key: only for format \"aes-gcm\""},
        {INPUT, FROM ",\"key\":\"a\",\"format\":\"cse\"", "inputs[0].key: only for format"},
        {INPUT, FROM ",\"key\":\"https://v.example/keys/k\",\"format\":\"aes-gcm\"", NULL},
        {INPUT, FROM ",\"format\":\"aes-gcm\"", NULL}, /* the only key */
        {KEY_LIST, "[" FILES "]", NULL},
        {KEY_LIST, "[{\"kid\":\"a\",\"file\":\"f\",\"source\":\"sidecar\"}]",
         "keys[0]: \"file\" and \"source\" exclude"},
        {KEY_LIST, "[{\"kid\":\"https://v.example/keys/k\",\"source\":\"sidecar\"}]",
         "attestation.sidecar: missing, and keys[0] comes from a sidecar"},
        /* attestation */
        {ATTEST, "{}", "attestation.provider: missing, and keys[0] is to be released"},
        {ATTEST, "{\"provider\":\"https://p.example\",\"evidence\":\"sidecar\"}",
         "attestation.sidecar: missing, and attestation.evidence is \"sidecar\""},
        {ATTEST,
         "{\"provider\":\"https://p.example\",\"evidence\":\"sidecar\",\"sidecar\":\"http://[::1]\"}",
         NULL},
        /* identity */
        {IDENTITY, "{\"type\":\"token\",\"vault_token_env\":\"V\"}", NULL},
        {IDENTITY, "{\"type\":\"token\",\"storage_token_file\":\"S\"}", NULL},
        {IDENTITY, "{\"type\":\"token\"}", "identity: \"type\": \"token\" needs vault_token_env"},
        {IDENTITY, "{\"vault_token_env\":\"V\"}",
         "identity: ready-made tokens need \"type\": \"tok"},
        {IDENTITY, "{\"type\":\"managed\",\"storage_token_env\":\"V\"}", "identity: ready-made"},
        {IDENTITY, "{\"type\":\"token\",\"vault_token_env\":\"V\",\"vault_token_file\":\"F\"}",
         "identity.vault_token_env: stands beside vault_token_file"},
        {IDENTITY, "{\"type\":\"token\",\"storage_token_env\":\"V\",\"storage_token_file\":\"F\"}",
         "identity.storage_token_env: stands beside storage_token_file"},
    };
    (void)state;
    check(cases, COUNT(cases));
}

/* What needs a whole job of its own. */
static void test_whole(void **state)
{
    static const struct {
        const char *text, *part; /* PART NULL: it is good */
    } cases[] = {
        {"{\"volume\":{\"path\":\"v\"}}", NULL},
        {"{}", "volume: missing"},
        {"[]", "the job: expected an object"},
        {"\"x\"", "the job: expected an object"},
        {"", "line 1, column 1: not valid JSON"},
        {"{\"volume\":{\"path\":\"v\"}} x", "line 1, column 24: not valid JSON"},
        {"{\"volume\":{\"path\":\"v\"}, // a comment\n}", "line 1"},
        {"{\"volume\":{\"path\":\"\\u0000\"}}", "line 1, column 20: a NUL"},
        {"{\"volume\":{\"path\":\"v\"},\"keys\":[" FILES "],\"inputs\":[{" FROM
         ",\"format\":\"aes-gcm\"}]}",
         "inputs[0]: format \"aes-gcm\" with several keys needs \"key\""},
        {"{\"volume\":{\"path\":\"v\"},\"keys\":[" FILES "],\"inputs\":[{" FROM
         ",\"format\":\"aes-gcm\",\"key\":\"b\"}]}",
         NULL},
        {"{\"volume\":{\"path\":\"v\"},\"inputs\":[{" FROM "},{" FROM "}]}",
         "inputs[0]: is encrypted"},
        {"{\"volume\":{\"path\":\"v\"},\"inputs\":[{" FROM ",\"format\":\"plain\"},{" FROM "}]}",
         "inputs[1]: is encrypted"},
        {"{\"volume\":{\"path\":\"v\"},\"inputs\":[{" FROM ",\"format\":\"plain\"}]}", NULL},
        {"{\"\x1B[31m\":1}", "line 1, column 3: a control character"},
        {"{\"\\u001b[31m\":1}", "?[31m: unknown member"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(job_free) struct job job = {0};
        if (cases[i].part == NULL)
            assert_ok(job_parse(span_text(cases[i].text), &job, &e), &e);
        else
            assert_fails(job_parse(span_text(cases[i].text), &job, &e), E_USAGE, cases[i].part, &e);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    struct error e = {0};
    for (size_t n = 1 << 20; n <= (1 << 20) + 1; n++) { /* of the text */
        AUTO(job_free) struct job job = {0};
        AUTO(buf_free) struct buf text = BUF(2 << 20);
        assert_ok(buf_addf(&text, &e, "{\"volume\":{\"path\":\"v\"}}%*s", (int)n - 23, ""), &e);
        assert_int_equal(text.size, n);
        if (n == 1 << 20)
            assert_ok(job_parse(buf_span(&text), &job, &e), &e);
        else
            assert_fails(job_parse(buf_span(&text), &job, &e), E_USAGE, "larger than", &e);
    }
    for (size_t n = 8192; n <= 8193; n++) { /* of a value */
        AUTO(job_free) struct job job = {0};
        AUTO(buf_free) struct buf text = BUF(2 << 20);
        assert_ok(buf_addf(&text, &e, "{\"volume\":{\"path\":\"%0*d\"}}", (int)n, 0), &e);
        if (n == 8192)
            assert_ok(job_parse(buf_span(&text), &job, &e), &e);
        else
            assert_fails(job_parse(buf_span(&text), &job, &e), E_USAGE, "volume.path", &e);
    }
    for (size_t n = 10000; n <= 10001; n++) { /* of a list */
        AUTO(job_free) struct job job = {0};
        AUTO(buf_free) struct buf text = BUF(2 << 20);
        assert_ok(buf_addf(&text, &e,
                           "{\"volume\":{\"path\":\"v\"},\"keys\":[{\"kid\":\"a\",\"file\":"
                           "\"f\",\"aliases\":[\"x\""),
                  &e);
        for (size_t i = 1; i < n; i++)
            assert_ok(buf_add(&text, SPAN_LITERAL(",\"x\""), &e), &e);
        assert_ok(buf_add(&text, SPAN_LITERAL("]}]}"), &e), &e);
        if (n == 10000)
            assert_ok(job_parse(buf_span(&text), &job, &e), &e);
        else
            assert_fails(job_parse(buf_span(&text), &job, &e), E_USAGE,
                         "keys[0].aliases: expected at most 10000 elements", &e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),    cmocka_unit_test(test_members),
        cmocka_unit_test(test_urls),     cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_together), cmocka_unit_test(test_whole),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
