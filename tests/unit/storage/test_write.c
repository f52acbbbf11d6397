/* Blocks, commits and the way back, against a scripted peer. */
#include "store.h"

/* One answer after the other; the last one stays. */
struct script {
    const char *answers[4];
    size_t at;
};

static void answer(void *context, const struct peer_request *q, struct peer_answer *a)
{
    struct script *script = context;
    (void)q;
    size_t i = script->at++;
    i = i < COUNT(script->answers) ? i : COUNT(script->answers) - 1;
    while (script->answers[i] == NULL)
        i--;
    peer_text(a, script->answers[i]);
}

#define END      "Content-Length: 0\r\n\r\n"
#define CREATED  "HTTP/1.1 201 Created\r\nETag: \"0x8D1\"\r\n" END
#define BUSY     "HTTP/1.1 503 Busy\r\nx-ms-error-code: ServerBusy\r\n" END
#define EXISTS   "HTTP/1.1 409 Conflict\r\nx-ms-error-code: BlobAlreadyExists\r\n" END
#define NO_LIST  "HTTP/1.1 400 Bad\r\nx-ms-error-code: InvalidBlockList\r\n" END
#define ABSENT   "HTTP/1.1 404 Not Found\r\nx-ms-error-code: BlobNotFound\r\n" END
#define DENIED   "HTTP/1.1 403 Forbidden\r\nx-ms-error-code: AuthorizationPermissionMismatch\r\n" END
#define OURS     "HTTP/1.1 200 OK\r\nETag: \"0x8D2\"\r\nx-ms-meta-decantupload: 0102030405060708090a0b0c\r\n" END
#define THEIRS   "HTTP/1.1 200 OK\r\nETag: \"0x8D2\"\r\nx-ms-meta-decantupload: 1102030405060708090a0b0c\r\n" END
#define ACCEPTED "HTTP/1.1 202 Accepted\r\n" END
#define MOVED_ON "HTTP/1.1 412 Precondition\r\nx-ms-error-code: ConditionNotMet\r\n" END

static const struct storage_upload upload = {"out/a b", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};

#define SCRIPT(...)                                                                                \
    {                                                                                              \
        .answers = { __VA_ARGS__ }                                                                 \
    }

static void a_block_is_put_again_until_it_is_there(void **)
{
    struct store s;
    struct script script = SCRIPT(BUSY, CREATED);
    store_open(&s, answer, &script, "out/", NULL);
    assert_ok(storage_put_block(s.storage, s.session, &upload, 258, SPAN_LITERAL("bytes"), &s.e),
              &s.e);
    assert_int_equal(script.at, 2);
    /* base64 of 01 … 0c 00 00 01 02 */
    static const char line[] = "PUT /acct/data/out/a%20b?comp=block&blockid=AQIDBAUGBwgJCgsMAAABAg%3D%3D HTTP";
    assert_non_null(strstr(s.peer.records[0], line));
    assert_non_null(strstr(s.peer.records[1], line));
    store_close(&s);
}

static void a_block_that_never_gets_there(void **)
{
    struct store s;
    struct script script = SCRIPT(BUSY);
    store_open(&s, answer, &script, "out/", NULL);
    assert_fails(storage_put_block(s.storage, s.session, &upload, 0, SPAN_LITERAL("x"), &s.e),
                 E_NETWORK, "out/a b", &s.e);
    assert_int_equal(script.at, 3);
    assert_fails(storage_put_block(s.storage, s.session, &upload, 50000, SPAN_LITERAL("x"), &s.e),
                 E_BUG, "block 50000", &s.e);
    assert_fails(storage_put_block(s.storage, s.session, &upload, 0, (struct span){0}, &s.e), E_BUG,
                 "0 bytes", &s.e);
    store_close(&s);
}

static void refusals_name_what_helps_a_writer(void **)
{
    static const struct {
        const char *code;
        int http;
        enum status status;
        const char *remedy;
    } cases[] = {
        {"AuthorizationPermissionMismatch", 403, E_DENIED, "create, write"},
        {"UnauthorizedBlobOverwrite", 403, E_NAME, "create only"},
        {"InvalidBlobOrBlock", 400, E_DENIED, "unfinished upload"},
        {"InvalidUri", 400, E_NAME, "no blob can have this name"},
        {"BlobImmutableDueToPolicy", 409, E_DENIED, "immutability"},
        {"ContainerNotFound", 404, E_NOT_FOUND, "container's name"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256];
        struct store s;
        const struct storage_options options = {.sas = SPAN_LITERAL(SAS)};
        (void)snprintf(text, sizeof text, "HTTP/1.1 %d No\r\nx-ms-error-code: %s\r\n" END,
                       cases[i].http, cases[i].code);
        struct script script = SCRIPT(text);
        store_open(&s, answer, &script, "out/", &options);
        assert_fails(storage_put_block(s.storage, s.session, &upload, 0, SPAN_LITERAL("x"), &s.e),
                     cases[i].status, "out/a b", &s.e);
        assert_non_null(strstr(s.e.remedy, cases[i].remedy));
        store_close(&s);
    }
}

static enum status commit(struct store *s, bool overwrite, struct storage_made *made)
{
    const struct storage_commit c = {
        .blocks = 2, .encryption_data = "{\"a\": 1}", .overwrite = overwrite};
    return storage_commit(s->storage, s->session, &upload, &c, made, &s->e);
}

static void a_commit_says_which_blocks_in_which_order(void **)
{
    struct store s;
    struct storage_made made;
    char header[64];
    struct script script = SCRIPT(CREATED);
    store_open(&s, answer, &script, "out/", NULL);
    assert_ok(commit(&s, false, &made), &s.e);
    assert_string_equal(made.etag, "\"0x8D1\"");
    assert_false(made.replaced);
    const char *record = s.peer.records[0];
    assert_non_null(strstr(record, "PUT /acct/data/out/a%20b?comp=blocklist HTTP"));
    peer_recorded_header(record, "x-ms-meta-encryptiondata", header, sizeof header);
    assert_string_equal(header, "{\"a\": 1}");
    peer_recorded_header(record, "x-ms-meta-decantupload", header, sizeof header);
    assert_string_equal(header, "0102030405060708090a0b0c");
    peer_recorded_header(record, "If-None-Match", header, sizeof header);
    assert_string_equal(header, "*");
    store_close(&s);
}

/* First without: who replaces a blob is to know that he does. */
static void to_overwrite_takes_a_second_try(void **)
{
    struct store s;
    struct storage_made made;
    char header[64];
    struct script script = SCRIPT(EXISTS, THEIRS, CREATED);
    store_open(&s, answer, &script, "out/", NULL);
    assert_ok(commit(&s, true, &made), &s.e);
    assert_true(made.replaced);
    assert_string_equal(made.etag, "\"0x8D1\"");
    peer_recorded_header(s.peer.records[0], "If-None-Match", header, sizeof header);
    assert_string_equal(header, "*");
    assert_non_null(strstr(s.peer.records[2], "PUT "));
    peer_recorded_header(s.peer.records[2], "If-None-Match", header, sizeof header);
    assert_string_equal(header, "");
    store_close(&s);
}

/* What a second try finds when the answer to the first was lost. */
static void a_commit_knows_its_own_blob(void **)
{
    static const struct {
        struct script script;
        bool overwrite;
        enum status status;
        const char *part;
    } cases[] = {
        {SCRIPT(BUSY, EXISTS, OURS), false, OK, ""},
        {SCRIPT(BUSY, EXISTS, OURS), true, OK, ""},
        {SCRIPT(EXISTS, THEIRS), false, E_NAME, "already"},
        {SCRIPT(EXISTS, DENIED), false, E_NAME, "already"},
        {SCRIPT(MOVED_ON, THEIRS), false, E_NAME, "already"},
        {SCRIPT(EXISTS, THEIRS, NO_LIST, OURS), true, OK, ""},
        {SCRIPT(NO_LIST, THEIRS), true, E_MISMATCH, "InvalidBlockList"},
        {SCRIPT(NO_LIST, ABSENT), false, E_MISMATCH, "InvalidBlockList"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct store s;
        struct script script = cases[i].script;
        struct storage_made made = {0};
        store_open(&s, answer, &script, "out/", NULL);
        if (cases[i].status == OK) {
            assert_ok(commit(&s, cases[i].overwrite, &made), &s.e);
            assert_string_equal(made.etag, "\"0x8D2\"");
        } else if (commit(&s, cases[i].overwrite, &made) != cases[i].status ||
                   (strstr(s.e.text, cases[i].part) == NULL &&
                    strstr(s.e.service_code, cases[i].part) == NULL)) {
            fail_msg("case %zu: status %d: %s", i, s.e.status, s.e.text);
        }
        store_close(&s);
    }
}

static void the_way_back_deletes_only_our_own(void **)
{
    static const struct {
        struct script script;
        const char *etag;
        size_t requests;
        const char *pin; /* of the DELETE, the last request; NULL: there is none */
        bool gone;
    } cases[] = {
        {SCRIPT(ACCEPTED), "\"0x8D1\"", 1, "\"0x8D1\"", true},
        {SCRIPT(BUSY, ABSENT), "\"0x8D1\"", 2, "\"0x8D1\"", true},
        {SCRIPT(MOVED_ON), "\"0x8D1\"", 1, "\"0x8D1\"", true},
        {SCRIPT(DENIED), "\"0x8D1\"", 1, "\"0x8D1\"", false},
        {SCRIPT(OURS, ACCEPTED), "", 2, "\"0x8D2\"", true},
        {SCRIPT(THEIRS, THEIRS), "", 2, NULL, true},
        {SCRIPT(ABSENT, ABSENT), "", 2, NULL, true},
        {SCRIPT(ABSENT, OURS, ACCEPTED), "", 3, "\"0x8D2\"", true}, /* carried out late */
        {SCRIPT(DENIED), "", 1, NULL, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct store s;
        struct script script = cases[i].script;
        char header[64];
        bool gone = false;
        store_open(&s, answer, &script, "out/", NULL);
        enum status status =
            storage_take_back(s.storage, s.session, &upload, cases[i].etag, &gone, &s.e);
        assert_int_equal(status, cases[i].gone ? OK : E_DENIED);
        assert_int_equal(gone, cases[i].gone);
        assert_int_equal(script.at, cases[i].requests);
        const char *last = s.peer.records[script.at - 1];
        peer_recorded_header(last, "If-Match", header, sizeof header);
        assert_int_equal(strncmp(last, "DELETE", 6) == 0, cases[i].pin != NULL);
        assert_string_equal(header, cases[i].pin != NULL ? cases[i].pin : "");
        store_close(&s);
    }
}

static void looking_for_a_blob(void **)
{
    static const struct {
        const char *answer;
        enum status status;
        bool exists;
    } cases[] = {
        {THEIRS, OK, true},
        {ABSENT, OK, false},
        {DENIED, OK, false},
        {"HTTP/1.1 404 No\r\nx-ms-error-code: ContainerNotFound\r\n" END, E_NOT_FOUND, false},
        {BUSY, E_NETWORK, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct store s;
        struct script script = SCRIPT(cases[i].answer);
        bool exists = !cases[i].exists;
        store_open(&s, answer, &script, "out/", NULL);
        assert_int_equal(storage_exists(s.storage, s.session, "out/a", &exists, &s.e),
                         cases[i].status);
        if (cases[i].status == OK)
            assert_int_equal(exists, cases[i].exists);
        store_close(&s);
    }
}

static char *repeat(const char *what, size_t n)
{
    char *text = calloc(n, strlen(what) + 1);
    for (size_t i = 0; i < n; i++)
        strcat(text, what);
    return text;
}

static void names_that_blobs_can_have(void **)
{
    struct error e = {0};
    char *longest = repeat("a", 1024), *wide = repeat("\xC3\xA4", 1024);
    const char *const good[] = {"a",         "a/b",   ".hidden",          "a b",   "a?b#c%d",
                                "a..b/..b/c", longest, "\xF0\x9F\x8D\xB7", wide};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_ok(storage_name_check(good[i], &e), &e);
    free(longest);
    free(wide);
}

static void names_that_no_blob_can_have(void **)
{
    struct error e = {0};
    char *too_long = repeat("a", 1025), *pairs = repeat("\xF0\x9F\x8D\xB7", 513),
         *deep = repeat("a/", 255);
    deep[strlen(deep) - 1] = '\0';
    const struct {
        const char *name, *part;
    } bad[] = {
        {"", "is empty"},          {"/a", "empty segment"},   {"a/", "empty segment"},
        {"a//b", "empty segment"}, {"a.", "ends in '.'"},     {"a./b", "ends in '.'"},
        {".", "ends in '.'"},      {"a/../b", "ends in '.'"}, {"a\nb", "control"},
        {"a\x7F", "control"},      {"a\xC2\x85", "control"},  {"a\xFF", "not UTF-8"},
        {"a\\b", "backslash"},     {too_long, "1024"},        {pairs, "1024"},
        {deep, "254 segments"},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(storage_name_check(bad[i].name, &e), E_NAME, bad[i].part, &e);
    free(too_long);
    free(pairs);
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_put_again_until_it_is_there),
        cmocka_unit_test(a_block_that_never_gets_there),
        cmocka_unit_test(refusals_name_what_helps_a_writer),
        cmocka_unit_test(a_commit_says_which_blocks_in_which_order),
        cmocka_unit_test(to_overwrite_takes_a_second_try),
        cmocka_unit_test(a_commit_knows_its_own_blob),
        cmocka_unit_test(the_way_back_deletes_only_our_own),
        cmocka_unit_test(looking_for_a_blob),
        cmocka_unit_test(names_that_blobs_can_have),
        cmocka_unit_test(names_that_no_blob_can_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
