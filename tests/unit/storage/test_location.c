/* Storage URLs: which are understood, as what, and which are refused without repeating a SAS. */
#include "testing.h"

#include "storage/storage.h"

static const struct {
    const char *url, *container, *host, *name;
    bool is_prefix;
    const char *pin, *sas;
} good[] = {
    {"https://acct.blob.core.windows.net/data/x", "https://acct.blob.core.windows.net/data",
     "acct.blob.core.windows.net", "x", false, NULL, NULL},
    {"https://acct.blob.core.windows.net/data/", "https://acct.blob.core.windows.net/data",
     "acct.blob.core.windows.net", "", true, NULL, NULL},
    {"https://acct.blob.core.windows.net/data/a/b/", "https://acct.blob.core.windows.net/data",
     "acct.blob.core.windows.net", "a/b/", true, NULL, NULL},
    {"https://h.example:8443/data/x", "https://h.example:8443/data", "h.example", "x", false, NULL,
     NULL},
    {"https://h.example/$root/x", "https://h.example/$root", "h.example", "x", false, NULL, NULL},
    {"https://h.example/%24web/i.html", "https://h.example/$web", "h.example", "i.html", false,
     NULL, NULL},
    {"https://h.example/data/a%20b%2Bc+d/%C3%A9", "https://h.example/data", "h.example",
     "a b+c+d/\xc3\xa9", false, NULL, NULL},
    {"https://h.example/data/%2525", "https://h.example/data", "h.example", "%25", false, NULL,
     NULL},
    {"https://h.example/data/a%2F", "https://h.example/data", "h.example", "a/", true, NULL, NULL},
    {"https://h.example/data//x", "https://h.example/data", "h.example", "/x", false, NULL, NULL},
    {"https://h.example/data/..x/.y", "https://h.example/data", "h.example", "..x/.y", false, NULL,
     NULL},
    {"http://127.0.0.1:10000/acct/data/x", "http://127.0.0.1:10000/acct/data", "127.0.0.1", "x",
     false, NULL, NULL},
    {"http://localhost:10000/acct/data/p/", "http://localhost:10000/acct/data", "localhost", "p/",
     true, NULL, NULL},
    {"https://10.0.0.4/acct/data/x", "https://10.0.0.4/acct/data", "10.0.0.4", "x", false, NULL,
     NULL},
    {"http://[::1]:10000/acct/data/x", "http://[::1]:10000/acct/data", "::1", "x", false, NULL,
     NULL},
    {"https://h.example/data/x?sv=2021&sp=r&sig=a%2Fb%3D", "https://h.example/data", "h.example",
     "x", false, NULL, "sv=2021&sp=r&sig=a%2Fb%3D"},
    {"https://h.example/data/x?versionid=2021-09-28T19:26:25.9370000Z", "https://h.example/data",
     "h.example", "x", false, "versionid=2021-09-28T19:26:25.9370000Z", NULL},
    {"https://h.example/data/x?sv=1&snapshot=2021-09-28T19%3A26&sig=zz%3D",
     "https://h.example/data", "h.example", "x", false, "snapshot=2021-09-28T19%3A26",
     "sv=1&sig=zz%3D"},
};

static void assert_text(const char *a, const char *b)
{
    if (b == NULL)
        assert_null(a);
    else {
        assert_non_null(a);
        assert_string_equal(a, b);
    }
}

static void good_urls(void **)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        AUTO(storage_location_free) struct storage_location l = {0};
        struct error e = {0};
        print_message("%s\n", good[i].url);
        assert_ok(storage_locate(good[i].url, &l, &e), &e);
        assert_text(l.container_url, good[i].container);
        assert_text(l.host, good[i].host);
        assert_text(l.name, good[i].name);
        assert_int_equal(l.is_prefix, good[i].is_prefix);
        assert_text(l.pin, good[i].pin);
        assert_text(l.sas, good[i].sas);
    }
}

static const struct {
    const char *url, *part;
} bad[] = {
    {"", ""},
    {"ftp://h.example/data/x", ""},
    {"http://acct.blob.core.windows.net/data/x", "plain http"},
    {"https://acct.dfs.core.windows.net/data/x", "file system endpoint"},
    {"https://user:secret1@h.example/data/x", ""},
    {"https://h.example/data/x#part", ""},
    {"https://h.example", "no container"},
    {"https://h.example/", "no container"},
    {"https://h.example//x", "no container"},
    {"https://h.example/data", "no blob"},
    {"http://127.0.0.1:10000/", "/ACCOUNT/"},
    {"http://127.0.0.1:10000/acct", "no container"},
    {"http://127.0.0.1:10000/acct/data", "no blob"},
    {"http://127.0.0.1:10000/AC%43/data/x", "/ACCOUNT/"},
    {"https://h.example/DATA/x", "container name"},
    {"https://h.example/da/x", "container name"},
    {"https://h.example/-data/x", "container name"},
    {"https://h.example/da..ta/x", "container name"},
    {"https://h.example/da%2Fta/x", "container name"},
    {"https://h.example/..%2fx/x", "container name"},
    {"https://h.example/$/x", "container name"},
    {"https://h.example/data/%zz", ""},
    {"https://h.example/data/%4", ""},
    {"https://h.example/data/%ff", "UTF-8"},
    {"https://h.example/data/%C0%AF", "UTF-8"},
    {"https://h.example/data/a%00b", "UTF-8"},
    {"https://h.example/data/../x", "segment"},
    {"https://h.example/data/a/%2e%2E/x", "segment"},
    {"https://h.example/data/a/./", "segment"},
    {"https://h.example/data/..", "segment"},
    {"https://h.example/data/x?sv=secret1&sp=r", "sig="},
    {"https://h.example/data/x?sv=secret1&sig=", "sig="},
    {"https://h.example/data/x?sv=secret1&SIG=a", "sig="},
    {"https://h.example/data/x?foo", "sig="},
    {"https://h.example/data/?restype=container&comp=list&sig=secret1", "operation"},
    {"https://h.example/data/x?comp=metadata&sig=secret1", "operation"},
    {"https://h.example/data/x?Comp=metadata&sig=secret1", "operation"},
    {"https://h.example/data/x?comp&sig=secret1", "operation"},
    {"https://h.example/data/x?versionid=1&snapshot=2", "more than one"},
    {"https://h.example/data/p/?versionid=1", "not of a prefix"},
};

static void bad_urls(void **)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(storage_location_free) struct storage_location l = {0};
        struct error e = {0};
        print_message("%s\n", bad[i].url);
        assert_fails(storage_locate(bad[i].url, &l, &e), E_USAGE, bad[i].part, &e);
        assert_null(strstr(e.text, "secret1"));
        assert_null(strstr(e.remedy, "secret1"));
        assert_null(l.container_url);
        assert_null(l.sas);
    }
}

static void long_urls(void **)
{
    static char url[70000];
    AUTO(storage_location_free) struct storage_location l = {0};
    struct error e = {0};
    int n = snprintf(url, sizeof url, "https://h.example/data/");
    memset(url + n, 'a', 4096);
    assert_ok(storage_locate(url, &l, &e), &e);
    assert_int_equal(strlen(l.name), 4096);
    storage_location_free(&l);
    memset(url + n, 'a', 4097);
    assert_fails(storage_locate(url, &l, &e), E_USAGE, "longer than any", &e);
    memset(url + n, 'a', 60000);
    assert_fails(storage_locate(url, &l, &e), E_USAGE, "", &e);
}

static void bad_sas(void **)
{
    static const char *const texts[] = {
        "sv=secret1&sp=r", "sig=secret1&comp=list",   "sig=a b",     "sig=a\nX-Evil: 1",
        "sig=a#secret1",   "sig=secret1&versionid=3", "sig=\xc3\xa9"};
    AUTO(storage_location_free) struct storage_location l = {0};
    struct error e = {0};
    assert_ok(storage_locate("https://h.example/data/x", &l, &e), &e);
    for (size_t i = 0; i < COUNT(texts); i++) {
        AUTO(storage_close) struct storage *s = NULL;
        struct storage_options o = {.sas = span_text(texts[i])};
        print_message("SAS %zu\n", i);
        assert_fails(storage_open(&l, &o, &s, &e), E_USAGE, "", &e);
        assert_null(strstr(e.text, "secret1"));
        assert_null(s);
    }
    AUTO(storage_close) struct storage *s = NULL;
    struct storage_options o = {.sas = SPAN_LITERAL("?sv=1&sig=b%2B\n")};
    assert_ok(storage_open(&l, &o, &s, &e), &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls),
        cmocka_unit_test(bad_urls),
        cmocka_unit_test(long_urls),
        cmocka_unit_test(bad_sas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
