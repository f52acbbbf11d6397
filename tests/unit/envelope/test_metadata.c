/* `encryptiondata`: what is taken, and by which sentence all else is refused. */
#include "blob.h"

static char *changed(const char *protocol, const char *from, const char *to)
{
    char *text = metadata_text(protocol, 4194304);
    return from != NULL ? replace(text, from, to) : text;
}

static void accepted(void **state)
{
    (void)state;
    static const struct {
        const char *protocol, *from, *to;
    } cases[] = {
        {"2.0", NULL, NULL},
        {"2.1", NULL, NULL},
        {"1.0", NULL, NULL},
        /* null where a field is absent, as older Java SDKs write */
        {"2.0", "\"EncryptionMode\"", "\"ContentEncryptionIV\": null, \"EncryptionMode\""},
        {"1.0", "\"EncryptionMode\"", "\"EncryptedRegionInfo\": null, \"EncryptionMode\""},
        {"2.0", "{\"EncryptionLibrary\": \"test 1.0\"}", "null"},
        /* unknown members */
        {"2.0", "{\"Wrapped", "{\"Future\": {\"a\": [1]}, \"Wrapped"},
        {"2.0", "\"FullBlob\"", "null"},
        {"2.0", "A256KW", "RSA"},
        {"2.0", "A256KW", "RSA-OAEP"},
        {"2.0", "A256KW", "RSA-OAEP-256"},
        {"2.0", "A256KW", "A128KW"},
        {"2.0", "A256KW", "A192KW"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct envelope_metadata m = {0};
        bool v1 = strcmp(cases[i].protocol, "1.0") == 0;
        char *text = changed(cases[i].protocol, cases[i].from, cases[i].to);
        assert_ok(envelope_metadata_parse(text, v1 ? ENVELOPE_CSE_V1 : ENVELOPE_CSE, &m, &e), &e);
        assert_string_equal(m.protocol, cases[i].protocol);
        assert_string_equal(m.kid, KID);
        assert_int_equal(m.wrapped_size, v1 ? 40 : 48);
        assert_int_equal(m.region_size, v1 ? 0 : 4194304);
        assert_int_equal(m.iv[15], v1 ? 15 : 0);
        free(text);
    }
}

/* .NET's way: compact, another order, and what HTML could trip over as \uXXXX, in base64 too. */
static void accepted_from_net(void **state)
{
    (void)state;
    struct error e = {0};
    struct envelope_metadata m = {0};
    const char *text =
        "{\"EncryptionMode\":\"FullBlob\",\"WrappedContentKey\":{\"KeyId\":\"local\\u003Ak\\u00e9y\\u0026\","
        "\"EncryptedKey\":\"\\u002B/\\u002B/\",\"Algorithm\":\"RSA-OAEP-256\"},\"EncryptionAgent\":{\"Protocol\":\"2.0\","
        "\"EncryptionAlgorithm\":\"AES_GCM_256\"},\"EncryptedRegionInfo\":{\"NonceLength\":12,\"DataLength\":4194304},"
        "\"KeyWrappingMetadata\":{\"EncryptionLibrary\":\"azsdk-net-Azure.Storage.Blobs/12.13.0\\u002Babc (.NET 6; Linux)\"}}";
    assert_ok(envelope_metadata_parse(text, ENVELOPE_CSE, &m, &e), &e);
    assert_string_equal(m.kid, "local:k\xc3\xa9y&");
    assert_int_equal(m.wrapped_size, 3);
    assert_memory_equal(m.wrapped, "\xfb\xff\xbf", 3);
    assert_string_equal(m.library, "azsdk-net-Azure.Storage.Blobs/12.13.0+abc (.NET 6; Linux)");
}

#define V2 ENVELOPE_CSE
#define V1 ENVELOPE_CSE_V1

static void refused(void **state)
{
    (void)state;
    static const struct {
        enum envelope_format format;
        const char *protocol, *from, *to, *part;
    } cases[] = {
        /* the wrong version for the job */
        {V2, "1.0", NULL, NULL, "version 1.0 (AES-CBC)"},
        {V1, "2.0", NULL, NULL, "version 2.0, but the job asks for cse-v1"},
        {V1, "2.1", NULL, NULL, "version 2.1, but the job asks for cse-v1"},
        {V2, "2.0", "\"2.0\"", "\"2.2\"", "unknown protocol \"2.2\""},
        {V2, "2.0", "\"2.0\"", "\"\"", "unknown protocol"},
        {V2, "2.0", "\"2.0\"", "\"2.0 \"", "unknown protocol"},
        {V2, "2.0", "\"2.0\"", "2.0", "Protocol is missing or not a string"},
        {V2, "2.0", "\"2.0\"", "null", "Protocol is missing or not a string"},
        {V1, "1.0", "AES_CBC_256", "AES_GCM_256", "goes with AES_CBC_256"},
        {V2, "2.0", "AES_GCM_256", "AES_GCM_128", "not with \"AES_GCM_128\""},
        {V2, "2.0", "\"AES_GCM_256\"", "null", "EncryptionAlgorithm is missing"},
        {V2, "2.0", "\"EncryptionAgent\"", "\"encryptionAgent\"",
         "EncryptionAgent.Protocol is missing"},
        {V2, "2.0", "\"WrappedContentKey\"", "\"Wrapped\"", "WrappedContentKey.KeyId is missing"},
        /* fields of the other version */
        {V1, "1.0", "\"ContentEncryptionIV\"",
         "\"EncryptedRegionInfo\": {}, \"ContentEncryptionIV\"", "relabelled"},
        {V2, "2.1", "\"EncryptionMode\"",
         "\"ContentEncryptionIV\": \"AAECAwQFBgcICQoLDA0ODw==\", \"EncryptionMode\"", "relabelled"},
        /* other people's formats */
        {V2, "1.0", KID, "symmKey1", "Snowflake"},
        {V1, "1.0", KID, "symmKey1", "Snowflake"},
        {V1, "1.0", "A256KW", "AES_CBC_256", "Snowflake"},
        {V2, "2.0", "A256KW", "AES_GCM", "Snowflake"},
        {V2, "2.0", "{\"Wrapped", "{\"matdesc\": \"{}\", \"Wrapped", "Snowflake"},
        {V2, "2.0", "\"EncryptedRegionInfo\": {\"DataLength\": 4194304,",
         "\"AuthenticationBlockInfo\": {\"CiphertextLength\": 4194304,", "2022 preview"},
        {V2, "2.0", "\"DataLength\"", "\"EncryptedRegionDataLength\"", "2022 preview"},
        {V2, "2.0", "\"NonceLength\"", "\"TagLength\": 16, \"NonceLength\"", "2022 preview"},
        /* wrapping */
        {V2, "2.0", "A256KW", "RSA1_5", "RSA1_5 (PKCS#1 v1.5)"},
        {V2, "2.0", "A256KW", "RSA_15", "RSA_15"},
        {V2, "2.0", "A256KW", "rsa-oaep", "unknown algorithm \"rsa-oaep\""},
        {V2, "2.0", "A256KW", "A256KW ", "unknown algorithm"},
        {V2, "2.0", "A256KW", "", "unknown algorithm"},
        {V2, "2.0", "\"A256KW\"", "7", "Algorithm is missing"},
        {V2, "2.0", KID, "", "KeyId is empty"},
        {V2, "2.0", KID, "a\\u001b[2Jb", "not printable"},
        {V2, "2.0", KID, "a\\u007f", "not printable"},
        {V2, "2.0", KID, "a\\u009b2J", "not printable"},
        {V2, "2.0", KID, "a\\u0000b", "NUL"},
        /* numbers */
        {V2, "2.0", "4194304", "0", "DataLength"},
        {V2, "2.0", "4194304", "-4194304", "DataLength"},
        {V2, "2.0", "4194304", "4194304.5", "DataLength"},
        {V2, "2.0", "4194304", "1073741825", "DataLength"},
        {V2, "2.0", "4194304", "1e300", "DataLength"},
        {V2, "2.0", "4194304", "18446744073709551616", "DataLength"},
        {V2, "2.0", "4194304", "\"4194304\"", "DataLength"},
        {V2, "2.0", "4194304", "null", "DataLength"},
        {V2, "2.0", ": 12}", ": 11}", "NonceLength"},
        {V2, "2.0", ": 12}", ": null}", "NonceLength"},
        {V2, "2.0", "\"NonceLength\": 12", "\"Nonce\": 12", "NonceLength"},
        /* base64 */
        {V1, "1.0", "AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0O",
         "ContentEncryptionIV has 15 bytes"},
        {V1, "1.0", "AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODxAR", "ContentEncryptionIV"},
        {V1, "1.0", "AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODw", "ContentEncryptionIV"},
        {V1, "1.0", "AAECAwQFBgcICQoLDA0ODw==", "", "ContentEncryptionIV"},
        {V1, "1.0", "\"AAECAwQFBgcICQoLDA0ODw==\"", "null", "ContentEncryptionIV is missing"},
        {V2, "2.0", "\"EncryptedKey\": \"", "\"EncryptedKey\": \" ", "EncryptedKey"},
        {V2, "2.0", "\"EncryptedKey\"", "\"EncryptedKey\": \"\", \"x\"",
         "EncryptedKey has 0 bytes"},
        /* the JSON itself */
        {V2, "2.0", "\"FullBlob\"}", "\"FullBlob\"}}", "encryptiondata: "},
        {V2, "2.0", "\"FullBlob\"}", "\"FullBlob\"", "encryptiondata: "},
        {V2, "2.0", "\"FullBlob\"}", "\"FullBlob\", \"EncryptionMode\": \"FullBlob\"}",
         "stands twice"},
        {V2, "2.0", "\"2.0\"", "\"2.0\", \"Protocol\": \"2.0\"", "stands twice"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct envelope_metadata m = {.protocol = "kept"};
        char *text = changed(cases[i].protocol, cases[i].from, cases[i].to);
        enum status status = envelope_metadata_parse(text, cases[i].format, &m, &e);
        if (status != E_NOT_AUTHENTIC || strstr(e.text, cases[i].part) == NULL)
            fail_msg("case %zu: status %d: \"%s\" should say \"%s\"", i, status, e.text,
                     cases[i].part);
        assert_string_equal(m.protocol, "kept");
        free(text);
    }
}

static void not_even_metadata(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", " ", "{}", "[]", "null", "7", "\"\"", "not JSON", "{\"EncryptionAgent\": 1}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct error e = {0};
        struct envelope_metadata m = {0};
        assert_fails(envelope_metadata_parse(texts[i], V2, &m, &e), E_NOT_AUTHENTIC,
                     "encryptiondata", &e);
        assert_fails(envelope_metadata_parse(texts[i], V1, &m, &e), E_NOT_AUTHENTIC,
                     "encryptiondata", &e);
    }
    struct error e = {0};
    struct envelope_metadata m = {0};
    assert_fails(envelope_metadata_parse(NULL, V2, &m, &e), E_NOT_AUTHENTIC,
                 "no encryption metadata", &e);
    assert_non_null(strstr(e.remedy, "plain"));
    assert_fails(envelope_metadata_parse(NULL, V1, &m, &e), E_NOT_AUTHENTIC,
                 "no encryption metadata", &e);
    assert_non_null(strstr(e.remedy, "plain"));
}

/* TEXT with N times C in place of FROM. */
static char *with_many(const char *from, char c, size_t n)
{
    char *many = calloc(1, n + 1);
    memset(many, c, n);
    char *text = changed("2.0", from, many);
    free(many);
    return text;
}

static void lengths(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        size_t n;
        enum status expected;
    } cases[] = {
        {KID, 511, OK},
        {KID, 512, E_NOT_AUTHENTIC},
        {KID, 9000, E_NOT_AUTHENTIC},
        {"test 1.0", 127, OK},
        {"test 1.0", 500, OK}, /* cut: it is for information only */
        {"test 1.0", 9000, E_NOT_AUTHENTIC},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct envelope_metadata m = {0};
        char *text = with_many(cases[i].from, 'k', cases[i].n);
        assert_int_equal(envelope_metadata_parse(text, V2, &m, &e), cases[i].expected);
        if (cases[i].expected == OK && strcmp(cases[i].from, KID) == 0)
            assert_int_equal(strlen(m.kid), cases[i].n);
        else if (cases[i].expected == OK)
            assert_int_equal(strlen(m.library), 127);
        free(text);
    }
}

static void wrapped_keys_of_all_lengths(void **state)
{
    (void)state;
    for (size_t n = 1020; n <= 1030; n++) {
        struct error e = {0};
        struct envelope_metadata m = {0};
        uint8_t bytes[1030];
        struct buf b = BUF(4096);
        fill(bytes, n, 8);
        assert_ok(buf_addf(&b, &e, "\"EncryptedKey\": \""), &e);
        assert_ok(base64_encode(span_of(bytes, n), BASE64, &b, &e), &e);
        assert_ok(buf_addf(&b, &e, "\", \"unknown\""), &e);
        char *text = changed("2.0", "\"EncryptedKey\"", buf_text(&b));
        if (n <= 1024) {
            assert_ok(envelope_metadata_parse(text, V2, &m, &e), &e);
            assert_int_equal(m.wrapped_size, n);
            assert_memory_equal(m.wrapped, bytes, n);
        } else {
            assert_fails(envelope_metadata_parse(text, V2, &m, &e), E_NOT_AUTHENTIC, "EncryptedKey",
                         &e);
        }
        free(text);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted), cmocka_unit_test(accepted_from_net),
        cmocka_unit_test(refused),  cmocka_unit_test(not_even_metadata),
        cmocka_unit_test(lengths),  cmocka_unit_test(wrapped_keys_of_all_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
