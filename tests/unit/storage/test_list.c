/* Listings: what is taken from good ones, and that no hostile one is believed. */
#include "store.h"

struct script {
    const char *body; /* of the whole answer */
    size_t size;
    const char *headers;
    int status;
    int cut;        /* so many answers break off after half the body */
    int times_busy; /* so many are 503 */
    bool chunked;   /* a byte per chunk */
};

static void cut_short(struct peer_answer *a, const struct script *script)
{
    char head[128];
    (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                   script->size);
    peer_text(a, head);
    peer_send(a, script->body, script->size / 2);
    a->close = true;
}

static void send_chunks(struct peer_answer *a, const struct script *script)
{
    peer_text(a, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < script->size; i++) {
        peer_text(a, "1\r\n");
        peer_send(a, script->body + i, 1);
        peer_text(a, "\r\n");
    }
    peer_text(a, "0\r\n\r\n");
}

static void answer(void *context, const struct peer_request *q, struct peer_answer *a)
{
    struct script *script = context;
    (void)q;
    if (script->times_busy > 0) {
        script->times_busy--;
        peer_reply(a, 503, "x-ms-error-code: ServerBusy\r\n", "");
    } else if (script->cut > 0) {
        script->cut--;
        cut_short(a, script);
    } else if (script->chunked)
        send_chunks(a, script);
    else
        peer_reply_bytes(a, script->status == 0 ? 200 : script->status, script->headers,
                         script->body, script->size);
}

#define TOP                    "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>"
#define OPEN                   TOP "<EnumerationResults ContainerName=\"data\"><Prefix>p/</Prefix><Blobs>"
#define SHUT                   "</Blobs><NextMarker /></EnumerationResults>"
#define PROPS(n)               "<Properties><Etag>0x8D</Etag><Content-Length>" n "</Content-Length></Properties>"
#define BLOB(name, size, more) "<Blob><Name>" name "</Name>" PROPS(size) more "</Blob>"

/* clang-format off */
static const char good[] = OPEN
    "<Blob><Name>p/a&amp;b \xc3\xa9</Name><Properties><Creation-Time>x</Creation-Time>"
      "<Etag>\"0x8DA\"</Etag><Content-Length>4194332</Content-Length>"
      "<Unknown><Name>no</Name></Unknown></Properties>"
      "<Metadata><EncryptionData>{&quot;a&quot;:1}</EncryptionData><other>1</other></Metadata>"
      "<Tags/></Blob>"
    "<Blob><Name Encoded=\"true\">p/%EF%BF%BE%25</Name>" PROPS("1") "</Blob>"
    "<Blob><Name Encoded=\"false\">p/%41</Name>" PROPS("2") "</Blob>"
    BLOB("p/dir/", "0", "")
    BLOB("p/dir2", "0", "<Metadata><Hdi_IsFolder>True</Hdi_IsFolder></Metadata>")
    "<Blob><Name>p/dir3</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>"
    BLOB("p/old", "1", "<Snapshot>2021-01-01</Snapshot>")
    BLOB("p/old2", "1", "<IsCurrentVersion>false</IsCurrentVersion>")
    BLOB("p/gone", "1", "<Deleted>true</Deleted>")
    BLOB("p/zero", "0", "<Snapshot/><Deleted>false</Deleted><Metadata/>")
    BLOB("p/slash/", "7", "")
    "<BlobPrefix><Name>p/x/</Name></BlobPrefix>"
    "</Blobs><NextMarker>m/1&amp;+</NextMarker></EnumerationResults>";
/* clang-format on */

static void check_good(const struct storage_page *page)
{
    static const struct {
        const char *name, *etag, *encryption;
        uint64_t size;
    } expected[] = {
        {"p/a&b \xc3\xa9", "\"0x8DA\"", "{\"a\":1}", 4194332},
        {"p/\xef\xbf\xbe%", "\"0x8D\"", NULL, 1},
        {"p/%41", "\"0x8D\"", NULL, 2},
        {"p/zero", "\"0x8D\"", NULL, 0},
        {"p/slash/", "\"0x8D\"", NULL, 7},
    };
    assert_int_equal(page->n, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_string_equal(page->blobs[i].name, expected[i].name);
        assert_string_equal(page->blobs[i].etag, expected[i].etag);
        assert_int_equal(page->blobs[i].size, expected[i].size);
        if (expected[i].encryption == NULL)
            assert_null(page->blobs[i].encryption_data);
        else
            assert_string_equal(page->blobs[i].encryption_data, expected[i].encryption);
    }
    assert_string_equal(page->next, "m/1&+");
}

static void good_page(void **)
{
    static const struct {
        int cut, busy;
        bool chunked;
        size_t requests;
    } ways[] = {{0, 0, false, 1}, {0, 0, true, 1}, {2, 0, false, 3}, {0, 2, false, 3}};
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct script script = {good,        strlen(good), NULL,           0,
                                ways[i].cut, ways[i].busy, ways[i].chunked};
        AUTO(storage_page_free) struct storage_page page = {0};
        struct store s;
        store_open(&s, answer, &script, "p/", &(struct storage_options){.sas = SPAN_LITERAL(SAS)});
        assert_ok(storage_list(s.storage, s.session, "a b&/\xc3\xa9", &page, &s.e), &s.e);
        check_good(&page);
        assert_int_equal(s.peer.n_requests, ways[i].requests);
        static const char line[] =
            "GET /acct/data?restype=container&comp=list&include=metadata&"
            "maxresults=1000&prefix=p%2F&marker=a%20b%26%2F%C3%A9&" SAS " HTTP";
        assert_non_null(strstr(s.peer.records[0], line));
        s.e = (struct error){0};
        store_close(&s);
    }
}

static void empty_pages(void **)
{
    static const struct {
        const char *body, *next;
    } cases[] = {
        {OPEN SHUT, NULL},
        {TOP "<EnumerationResults/>", NULL},
        {OPEN "</Blobs><NextMarker>m2</NextMarker></EnumerationResults>", "m2"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script script = {.body = cases[i].body, .size = strlen(cases[i].body)};
        AUTO(storage_page_free) struct storage_page page = {0};
        struct store s;
        store_open(&s, answer, &script, "", NULL);
        assert_ok(storage_list(s.storage, s.session, NULL, &page, &s.e), &s.e);
        assert_int_equal(page.n, 0);
        if (cases[i].next == NULL)
            assert_null(page.next);
        else
            assert_string_equal(page.next, cases[i].next);
        assert_null(strstr(s.peer.records[0], "prefix="));
        assert_null(strstr(s.peer.records[0], "marker="));
        store_close(&s);
    }
}

/* Lists with MARKER "m1"; the answer must be refused with PART in its words, and at once. */
static void expect_refusal(const char *body, size_t size, const char *part)
{
    struct script script = {.body = body, .size = size};
    AUTO(storage_page_free) struct storage_page page = {0};
    struct store s;
    store_open(&s, answer, &script, "p/", &(struct storage_options){.sas = SPAN_LITERAL(SAS)});
    assert_fails(storage_list(s.storage, s.session, "m1", &page, &s.e), E_NETWORK, part, &s.e);
    assert_non_null(strstr(s.e.text, "container data"));
    assert_null(page.blobs);
    assert_null(page.next);
    assert_int_equal(s.peer.n_requests, 1);
    store_close(&s);
}

static void hostile_pages(void **)
{
    static const struct {
        const char *body, *part;
    } cases[] = {
        {"", "XML"},
        {"{}", "XML"},
        {TOP "<html/>", "this is none"},
        {OPEN, "XML"},
        {OPEN BLOB("p/x", "1", ""), "XML"},
        {OPEN "<Blob><Name>p/x</Blob>" SHUT, "XML"},
        {OPEN "\xff" SHUT, "XML"},
        {OPEN BLOB("p/x&bomb;", "1", "") SHUT, "XML"},
        {OPEN BLOB("p/x&#0;", "1", "") SHUT, "XML"},
        {OPEN SHUT "<x/>", "XML"},
        {"<!DOCTYPE a [<!ENTITY b \"c\">]><EnumerationResults/>", "document type"},
        {"<!DOCTYPE EnumerationResults SYSTEM \"file:///etc/passwd\"><EnumerationResults/>",
         "document type"},
        {"<!DOCTYPE a [<!ENTITY a0 \"lol\"><!ENTITY a1 \"&a0;&a0;&a0;&a0;&a0;&a0;&a0;&a0;\">"
         "<!ENTITY a2 \"&a1;&a1;&a1;&a1;&a1;&a1;&a1;\"><!ENTITY a3 \"&a2;&a2;&a2;&a2;&a2;\">]>"
         "<EnumerationResults><NextMarker>&a3;</NextMarker></EnumerationResults>",
         "document type"},
        {OPEN
         "<a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></a></a></a>" SHUT,
         "too deep"},
        {OPEN BLOB("q/x", "1", "") SHUT, "outside the prefix"},
        {OPEN BLOB("p", "1", "") SHUT, "outside the prefix"},
        {OPEN BLOB("../p/x", "1", "") SHUT, "outside the prefix"},
        {OPEN BLOB(" p/x", "1", "") SHUT, "outside the prefix"},
        {OPEN "<Blob><Name Encoded=\"true\">p/%</Name>" PROPS("1") "</Blob>" SHUT, "escape"},
        {OPEN "<Blob><Name Encoded=\"true\">p/%00</Name>" PROPS("1") "</Blob>" SHUT,
         "impossible name"},
        {OPEN "<Blob><Name Encoded=\"true\">p/%FF</Name>" PROPS("1") "</Blob>" SHUT,
         "impossible name"},
        {OPEN BLOB("", "1", "") SHUT, "impossible name"},
        {OPEN "<Blob>" PROPS("1") "</Blob>" SHUT, "without a name"},
        {OPEN "<Blob><Name>p/x</Name></Blob>" SHUT, "without a size"},
        {OPEN "<Blob><Name>p/x</Name><Properties><Etag>0x1</Etag></Properties></Blob>" SHUT,
         "without a size"},
        {OPEN "<Blob><Name>p/x</Name><Properties><Content-Length>1</Content-Length></Properties>"
              "</Blob>" SHUT,
         "without a size"},
        {OPEN BLOB("p/x", "", "") SHUT, "impossible size"},
        {OPEN BLOB("p/x", "-1", "") SHUT, "impossible size"},
        {OPEN BLOB("p/x", "0x10", "") SHUT, "impossible size"},
        {OPEN BLOB("p/x", "1e3", "") SHUT, "impossible size"},
        {OPEN BLOB("p/x", "9223372036854775808", "") SHUT, "impossible size"},
        {OPEN BLOB("p/x", "18446744073709551617", "") SHUT, "impossible size"},
        {OPEN BLOB("p/x", "1", "<Properties><Etag>*</Etag></Properties>") SHUT, "twice"},
        {OPEN "<Blob><Name>p/x</Name><Properties><Etag>*</Etag></Properties></Blob>" SHUT,
         "impossible ETag"},
        {OPEN "<Blob><Name>p/x</Name><Properties><Etag>a\"b</Etag></Properties></Blob>" SHUT,
         "impossible ETag"},
        {OPEN BLOB("p/x", "1", "<Name>p/y</Name>") SHUT, "twice"},
        {OPEN BLOB("p/x", "1",
                   "<Metadata><encryptiondata>1</encryptiondata>"
                   "<EncryptionData>2</EncryptionData></Metadata>") SHUT,
         "twice"},
        {OPEN BLOB("p/x<b>y</b>", "1", "") SHUT, "where a value belongs"},
        {OPEN "</Blobs><NextMarker>a</NextMarker><NextMarker>b</NextMarker></EnumerationResults>",
         "two markers"},
        {OPEN "</Blobs><NextMarker>m1</NextMarker></EnumerationResults>", "circle"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("case %zu\n", i);
        expect_refusal(cases[i].body, strlen(cases[i].body), cases[i].part);
    }
}

/* HEAD, then UNIT again and again up to SIZE bytes, then TAIL. */
static struct buf repeated(const char *head, const char *unit, size_t times, const char *tail)
{
    struct buf b = BUF((size_t)32 << 20);
    struct error e = {0};
    assert_ok(buf_add(&b, span_text(head), &e), &e);
    for (size_t i = 0; i < times; i++)
        assert_ok(buf_add(&b, span_text(unit), &e), &e);
    assert_ok(buf_add(&b, span_text(tail), &e), &e);
    return b;
}

static void oversized_pages(void **)
{
    static const struct {
        const char *head, *unit;
        size_t times;
        const char *tail, *part;
    } cases[] = {
        {OPEN "<Blob><Name>p/", "a", 4095, "</Name>" PROPS("1") "</Blob>" SHUT, "impossible name"},
        {OPEN "<Blob><Name>p/", "a", 20000, "</Name>" PROPS("1") "</Blob>" SHUT, "too long"},
        {OPEN "<Blob><Metadata><encryptiondata>", "a", 20000,
         "</encryptiondata></Metadata></Blob>" SHUT, "too long"},
        {OPEN "<", "a", 3000000, "/>" SHUT, "tag that is too long"},
        {OPEN "<x y=\"", "a", 3000000, "\"/>" SHUT, "tag that is too long"},
        {OPEN "<!--", "a", 3000000, "-->" SHUT, "tag that is too long"},
        {OPEN, BLOB("p/x", "1", ""), 1001, SHUT, "more entries"},
        {OPEN, BLOB("p/x/", "0", ""), 1001, SHUT, "more entries"},
        {OPEN, "<Other>0123456789012345678901234567890123456789</Other>", 500000, SHUT,
         "over 24 MiB"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(buf_free)
        struct buf b = repeated(cases[i].head, cases[i].unit, cases[i].times, cases[i].tail);
        print_message("case %zu\n", i);
        expect_refusal((const char *)b.data, b.size, cases[i].part);
    }
}

static void the_largest_page(void **)
{
    AUTO(buf_free) struct buf b = repeated(OPEN, BLOB("p/x", "1", ""), 1000, SHUT);
    struct script script = {.body = (const char *)b.data, .size = b.size};
    AUTO(storage_page_free) struct storage_page page = {0};
    struct store s;
    store_open(&s, answer, &script, "p/", NULL);
    assert_ok(storage_list(s.storage, s.session, NULL, &page, &s.e), &s.e);
    assert_int_equal(page.n, 1000);
    store_close(&s);
}

static void refusals(void **)
{
    static const char xml[] =
        TOP "<Error><Code>AuthorizationPermissionMismatch</Code><Message>sv=1&amp;sig=" SIGNATURE
            "%3D is not enough</Message></Error>";
    static const struct {
        int status, cut, busy;
        const char *body;
        enum status expected;
        const char *code;
        size_t requests;
    } cases[] = {
        {403, 0, 0, xml, E_DENIED, "AuthorizationPermissionMismatch", 1},
        {404, 0, 0, "", E_NOT_FOUND, "", 1},
        {206, 0, 0, OPEN SHUT, E_NETWORK, "", 1},
        {200, 9, 0, OPEN SHUT, E_NETWORK, "", 3},
        {200, 0, 9, OPEN SHUT, E_NETWORK, "ServerBusy", 3},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script script = {cases[i].body, strlen(cases[i].body), NULL, cases[i].status,
                                cases[i].cut,  cases[i].busy,         false};
        AUTO(storage_page_free) struct storage_page page = {0};
        struct store s;
        print_message("case %zu\n", i);
        store_open(&s, answer, &script, "p/", &(struct storage_options){.sas = SPAN_LITERAL(SAS)});
        assert_fails(storage_list(s.storage, s.session, NULL, &page, &s.e), cases[i].expected,
                     "container data", &s.e);
        assert_string_equal(s.e.service_code, cases[i].code);
        assert_int_equal(s.peer.n_requests, cases[i].requests);
        store_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_page),        cmocka_unit_test(empty_pages),
        cmocka_unit_test(hostile_pages),    cmocka_unit_test(oversized_pages),
        cmocka_unit_test(the_largest_page), cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
