/* A job that is right is read to the last value, with its defaults. */
#include "testing.h"

#include "config/config.h"

#define SHA_A "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define VAULT "https://contoso.vault.azure.net/keys/"
#define STORE "https://contoso.blob.core.windows.net/"

static void parse(const char *text, struct job *job)
{
    struct error e = {0};
    assert_ok(job_parse(span_text(text), job, &e), &e);
}

/* The example of the documentation. */
static const char example[] =
    "{\"attestation\":{\"provider\":\"https://sharedneu.neu.attest.azure.net\",\"evidence\":\"auto\"},"
    "\"identity\":{\"type\":\"auto\",\"client_id\":\"c1\"},"
    "\"keys\":[{\"kid\":\"" VAULT "dataset-kek\"}],"
    "\"inputs\":[{\"from\":\"" STORE "data/train/\",\"to\":\"train\"},"
    "{\"from\":\"" STORE "models/m.bin\",\"to\":\"model.bin\",\"sha256\":\"" SHA_A
    "\",\"size\":1234}],"
    "\"outputs\":[{\"from\":\"results\",\"to\":\"" STORE "results/\",\"key\":\"" VAULT
    "results-kek\"}],"
    "\"volume\":{\"path\":\"/mnt/plain\",\"require\":\"confidential\"},"
    "\"network\":{\"ca_file\":\"/etc/ca.pem\",\"proxy\":\"http://proxy.example:3128\"},"
    "\"limits\":{\"parallel\":16,\"memory_mib\":64,\"timeout_s\":3600,\"max_plaintext_mib\":0}}";

static void assert_digest(const uint8_t *digest)
{
    static const uint8_t start[] = {0xba, 0x78, 0x16, 0xbf}, end[] = {0x15, 0xad};
    assert_memory_equal(digest, start, sizeof(start));
    assert_memory_equal(digest + SHA256_SIZE - 2, end, sizeof(end));
}

static void test_example(void **state)
{
    (void)state;
    AUTO(job_free) struct job job = {0};
    parse(example, &job);
    assert_string_equal(job.attestation.provider, "https://sharedneu.neu.attest.azure.net");
    assert_int_equal(job.attestation.evidence, CONFIG_EVIDENCE_AUTO);
    assert_int_equal(job.identity.type, CONFIG_IDENTITY_AUTO);
    assert_string_equal(job.identity.client_id, "c1");
    assert_int_equal(job.n_keys, 1);
    assert_string_equal(job.keys[0].kid, VAULT "dataset-kek");
    uint8_t digest[SHA256_SIZE];
    struct error e = {0};
    assert_ok(sha256(span_text(example), digest, &e), &e);
    assert_memory_equal(job.sha256, digest, SHA256_SIZE);
    assert_int_equal(job.n_outputs, 1);
    assert_string_equal(job.outputs[0].from, "results");
    assert_string_equal(job.outputs[0].to, STORE "results/");
    assert_string_equal(job.outputs[0].key, VAULT "results-kek");
    assert_string_equal(job.volume.path, "/mnt/plain");
    assert_int_equal(job.volume.require, CONFIG_REQUIRE_CONFIDENTIAL);
    assert_string_equal(job.network.ca_file, "/etc/ca.pem");
    assert_string_equal(job.network.proxy, "http://proxy.example:3128");
    assert_int_equal(job.limits.parallel, 16);
    assert_int_equal(job.limits.memory_mib, 64);
    assert_int_equal(job.limits.timeout_s, 3600);
    assert_int_equal(job.limits.max_plaintext_mib, 0);
}

static void test_example_inputs(void **state)
{
    (void)state;
    AUTO(job_free) struct job job = {0};
    parse(example, &job);
    assert_int_equal(job.n_inputs, 2);
    const struct config_input *prefix = &job.inputs[0], *single = &job.inputs[1];
    assert_string_equal(prefix->from, STORE "data/train/");
    assert_string_equal(prefix->to, "train");
    assert_true(prefix->is_prefix);
    assert_false(prefix->has_sha256 || prefix->has_size);
    assert_string_equal(single->from, STORE "models/m.bin");
    assert_string_equal(single->to, "model.bin");
    assert_false(single->is_prefix);
    assert_true(single->has_sha256 && single->has_size);
    assert_int_equal(single->size, 1234);
    assert_digest(single->sha256);
}

static void test_defaults(void **state)
{
    (void)state;
    AUTO(job_free) struct job job = {0};
    parse("{\"volume\":{\"path\":\"v\"},\"inputs\":[{\"from\":\"" STORE
          "c/b\",\"format\":\"plain\"}]}",
          &job);
    assert_null(job.attestation.provider);
    assert_null(job.attestation.sidecar);
    assert_null(job.attestation.certificates);
    assert_int_equal(job.attestation.evidence, CONFIG_EVIDENCE_AUTO);
    assert_int_equal(job.identity.type, CONFIG_IDENTITY_AUTO);
    assert_null(job.identity.client_id);
    assert_int_equal(job.n_keys + job.n_outputs, 0);
    assert_int_equal(job.volume.require, CONFIG_REQUIRE_CONFIDENTIAL);
    assert_int_equal(job.volume.mode, 0440);
    assert_true(job.volume.uid == (uid_t)-1 && job.volume.gid == (gid_t)-1);
    assert_null(job.network.ca_file);
    assert_int_equal(job.limits.parallel, 16);
    assert_int_equal(job.limits.memory_mib, 64);
    assert_int_equal(job.limits.timeout_s, 3600);
    assert_int_equal(job.limits.max_plaintext_mib, 0);
    const struct config_input *input = &job.inputs[0];
    assert_null(input->to);
    assert_null(input->match);
    assert_null(input->key);
    assert_null(input->sas.env);
    assert_null(input->sas.file);
    assert_null(input->manifest.from);
    assert_false(input->gunzip || input->has_sha256 || input->has_size || input->is_prefix);
}

static void test_every_member(void **state)
{
    (void)state;
    AUTO(job_free) struct job job = {0};
    parse(
        "{\"$schema\":\"s\","
        "\"attestation\":{\"provider\":\"https://p.example\",\"evidence\":\"sidecar\","
        "\"sidecar\":\"http://localhost:8080\",\"certificates\":\"http://thim.example/x\"},"
        "\"identity\":{\"type\":\"token\",\"vault_token_env\":\"V\",\"storage_token_file\":\"/s\"},"
        "\"keys\":[{\"kid\":\"" VAULT "a/v1\",\"aliases\":[\"x\",\"y\"],\"source\":\"sidecar\"},"
        "{\"kid\":\"dev\",\"file\":\"/k.pem\"},{\"kid\":\"" VAULT "b\",\"source\":\"vault\"}],"
        "\"inputs\":[{\"from\":\"" STORE "c/p/?sv=1/\",\"match\":\"*.bin\",\"sas_env\":\"S\","
        "\"format\":\"aes-gcm\",\"key\":\"dev\",\"decompress\":\"gzip\","
        "\"manifest\":{\"from\":\"" STORE "c/m.json\",\"sha256\":\"" SHA_A "\"}},"
        "{\"from\":\"" STORE "c/b?sv=1/\",\"sas_file\":\"/sas\",\"format\":\"cse-v1\"}],"
        "\"outputs\":[{\"from\":\"r\",\"to\":\"" STORE "r/\",\"key\":\"k\",\"key_file\":\"/p\","
        "\"sas_env\":\"T\",\"overwrite\":true,\"compress\":\"gzip\",\"manifest\":\"m.json\"},"
        "{\"from\":\"/s\",\"to\":\"" STORE "r/s?sv=1/\",\"key\":\"k\",\"key_inline\":\"{}\","
        "\"manifest\":true,\"receipt\":true},"
        "{\"from\":\"/s\",\"to\":\"" STORE "r/t\",\"key\":\"" VAULT "k\",\"manifest\":false}],"
        "\"volume\":{\"path\":\"/v\",\"require\":\"any\",\"mode\":\"0644\",\"uid\":0,\"gid\":1000},"
        "\"limits\":{\"timeout_s\":0}}",
        &job);
    assert_string_equal(job.schema, "s");
    assert_int_equal(job.attestation.evidence, CONFIG_EVIDENCE_SIDECAR);
    assert_string_equal(job.attestation.sidecar, "http://localhost:8080");
    assert_string_equal(job.attestation.certificates, "http://thim.example/x");
    assert_int_equal(job.identity.type, CONFIG_IDENTITY_TOKEN);
    assert_string_equal(job.identity.vault_token.env, "V");
    assert_null(job.identity.vault_token.file);
    assert_string_equal(job.identity.storage_token.file, "/s");
    assert_int_equal(job.n_keys, 3);
    assert_int_equal(job.keys[0].n_aliases, 2);
    assert_string_equal(job.keys[0].aliases[1], "y");
    assert_true(job.keys[0].from_sidecar);
    assert_string_equal(job.keys[1].file, "/k.pem");
    assert_false(job.keys[1].from_sidecar || job.keys[2].from_sidecar);
    const struct config_input *input = &job.inputs[0];
    assert_true(input->is_prefix && input->gunzip);
    assert_string_equal(input->match, "*.bin");
    assert_string_equal(input->sas.env, "S");
    assert_int_equal(input->format, CONFIG_FORMAT_AES_GCM);
    assert_string_equal(input->key, "dev");
    assert_string_equal(input->manifest.from, STORE "c/m.json");
    assert_digest(input->manifest.sha256);
    assert_false(job.inputs[1].is_prefix); /* the '/' is the query's */
    assert_string_equal(job.inputs[1].sas.file, "/sas");
    assert_int_equal(job.inputs[1].format, CONFIG_FORMAT_CSE_V1);
    const struct config_output *output = job.outputs;
    assert_string_equal(output[0].sas.env, "T");
    assert_string_equal(output[0].key_file, "/p");
    assert_true(output[0].is_prefix && output[0].overwrite && output[0].gzip);
    assert_true(output[0].has_manifest && !output[0].receipt);
    assert_string_equal(output[0].manifest, "m.json");
    assert_string_equal(output[1].key_inline, "{}");
    assert_true(output[1].has_manifest && output[1].manifest == NULL && output[1].receipt);
    assert_false(output[1].is_prefix || output[1].overwrite || output[1].gzip);
    assert_false(output[2].has_manifest || output[2].receipt);
    assert_int_equal(job.volume.require, CONFIG_REQUIRE_ANY);
    assert_int_equal(job.volume.mode, 0644);
    assert_int_equal(job.volume.uid, 0);
    assert_int_equal(job.volume.gid, 1000);
    assert_int_equal(job.limits.timeout_s, 0);
    assert_int_equal(job.limits.parallel, 16);
}

static void test_choices(void **state)
{
    static const struct {
        const char *text;
        int evidence, identity, format, require;
    } cases[] = {
#define CHOICES(evidence, identity, format, require)                                               \
    "{\"attestation\":{\"evidence\":\"" evidence "\",\"sidecar\":\"http://[::1]:1\"},"             \
    "\"identity\":{\"type\":\"" identity "\"},\"keys\":[{\"kid\":\"k\",\"file\":\"f\"}],"          \
    "\"inputs\":[{\"from\":\"" STORE "c/b\",\"format\":\"" format "\"}],"                          \
    "\"volume\":{\"path\":\"v\",\"require\":\"" require "\"}}"
        {CHOICES("auto", "auto", "auto", "confidential"), CONFIG_EVIDENCE_AUTO,
         CONFIG_IDENTITY_AUTO, CONFIG_FORMAT_AUTO, CONFIG_REQUIRE_CONFIDENTIAL},
        {CHOICES("device", "managed", "cse", "tmpfs"), CONFIG_EVIDENCE_DEVICE,
         CONFIG_IDENTITY_MANAGED, CONFIG_FORMAT_CSE, CONFIG_REQUIRE_TMPFS},
        {CHOICES("tsm", "workload", "cse-v1", "any"), CONFIG_EVIDENCE_TSM, CONFIG_IDENTITY_WORKLOAD,
         CONFIG_FORMAT_CSE_V1, CONFIG_REQUIRE_ANY},
        {CHOICES("sidecar", "client_secret", "aes-gcm", "any"), CONFIG_EVIDENCE_SIDECAR,
         CONFIG_IDENTITY_CLIENT_SECRET, CONFIG_FORMAT_AES_GCM, CONFIG_REQUIRE_ANY},
        {CHOICES("auto", "none", "plain", "any"), CONFIG_EVIDENCE_AUTO, CONFIG_IDENTITY_NONE,
         CONFIG_FORMAT_PLAIN, CONFIG_REQUIRE_ANY},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(job_free) struct job job = {0};
        parse(cases[i].text, &job);
        assert_int_equal(job.attestation.evidence, cases[i].evidence);
        assert_int_equal(job.identity.type, cases[i].identity);
        assert_int_equal(job.inputs[0].format, cases[i].format);
        assert_int_equal(job.volume.require, cases[i].require);
    }
}

static void test_free_twice(void **state)
{
    (void)state;
    struct job job = {0};
    job_free(&job);
    parse(example, &job);
    job_free(&job);
    job_free(&job);
    assert_null(job.tree);
    assert_null(job.keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),  cmocka_unit_test(test_example_inputs),
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_every_member),
        cmocka_unit_test(test_choices),  cmocka_unit_test(test_free_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
