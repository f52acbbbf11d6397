/* URLs: cut exactly, or refused without repeating them. */
#include "testing.h"

static void test_parts(void **state)
{
    static const struct {
        const char *text;
        bool https;
        const char *host, *authority;
        uint16_t port;
        const char *path, *query;
    } cases[] = {
        {"https://a.example", true, "a.example", "a.example", 443, "", ""},
        {"https://a.example/", true, "a.example", "a.example", 443, "/", ""},
        {"http://a.example", false, "a.example", "a.example", 80, "", ""},
        {"https://A.Example:8443/C/b%20x?sig=a%2Fb&x=?/@:", true, "A.Example", "A.Example:8443",
         8443, "/C/b%20x", "sig=a%2Fb&x=?/@:"},
        {"https://a.example?q", true, "a.example", "a.example", 443, "", "q"},
        {"https://a.example?q=u@h", true, "a.example", "a.example", 443, "", "q=u@h"},
        {"https://a.example/?", true, "a.example", "a.example", 443, "/", ""},
        {"https://a.example/@x:y/../z//", true, "a.example", "a.example", 443, "/@x:y/../z//", ""},
        {"http://127.0.0.1:1/", false, "127.0.0.1", "127.0.0.1:1", 1, "/", ""},
        {"http://[::1]:65535/x", false, "::1", "[::1]:65535", 65535, "/x", ""},
        {"https://[2001:db8::1]", true, "2001:db8::1", "[2001:db8::1]", 443, "", ""},
        {"https://my_box-1.x1", true, "my_box-1.x1", "my_box-1.x1", 443, "", ""},
        {"https://a.example.", true, "a.example.", "a.example.", 443, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct url u = {0};
        assert_ok(url_parse(cases[i].text, &u, &e), &e);
        assert_int_equal(u.https, cases[i].https);
        assert_true(span_is(u.host, cases[i].host));
        assert_true(span_is(u.authority, cases[i].authority));
        assert_int_equal(u.port, cases[i].port);
        assert_true(span_is(u.path, cases[i].path));
        assert_true(span_is(u.query, cases[i].query));
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "empty"},
        {"a.example/secret", "https://"},
        {"ftp://a.example/secret", "https://"},
        {"file:///secret", "https://"},
        {"HTTPS://a.example/secret", "https://"},
        {"https:/a.example/secret", "https://"},
        {"https:a.example/secret", "https://"},
        {"https://", "host"},
        {"https:///secret", "host"},
        {"https://?secret", "host"},
        {"https://:443/secret", "host"},
        {"https://user@a.example/secret", "user name"},
        {"https://user:secret@a.example/", "user name"},
        {"https://@a.example/secret", "user name"},
        {"https://a.example:443@evil.example/secret", "user name"},
        {"https://a.example@/secret", "user name"},
        {"https://a.example/#secret", "percent-encoded"},
        {"https://a.example#@evil.example/secret", "percent-encoded"},
        {"https://a.example\\@evil.example/secret", "percent-encoded"},
        {"https://a.example/a\\secret", "percent-encoded"},
        {"https://a.example/a secret", "percent-encoded"},
        {" https://a.example/secret", "percent-encoded"},
        {"https://a.example/secret\n", "percent-encoded"},
        {"https://a.example/\x01secret", "percent-encoded"},
        {"https://a.example/\x7Fsecret", "percent-encoded"},
        {"https://a.example/caf\xC3\xA9secret", "percent-encoded"},
        {"https://a\xE3\x80\x82"
         "example/secret",
         "percent-encoded"},
        {"https://a.example/{secret}", "percent-encoded"},
        {"https://a.example/<secret>", "percent-encoded"},
        {"https://a.example/\"secret\"", "percent-encoded"},
        {"https://a%2Eexample/secret", "host"},
        {"https://a,b/secret", "host"},
        {"https://a..example/secret", "host"},
        {"https://.example/secret", "host"},
        {"https://*/secret", "host"},
        /* ports */
        {"https://a.example:/secret", "port"},
        {"https://a.example:0/secret", "port"},
        {"https://a.example:65536/secret", "port"},
        {"https://a.example:99999/secret", "port"},
        {"https://a.example:000443/secret", "port"},
        {"https://a.example:4294967739/secret", "port"},
        {"https://a.example:-1/secret", "port"},
        {"https://a.example:+1/secret", "port"},
        {"https://a.example:1a/secret", "port"},
        {"https://a.example:1:2/secret", "port"},
        /* addresses in forms that only some resolvers know */
        {"http://127.1/secret", "host"},
        {"http://0x7f.1/secret", "host"},
        {"http://0x7f000001/secret", "host"},
        {"http://2130706433/secret", "host"},
        {"http://0177.0.0.1/secret", "host"},
        {"http://127.0.0.01/secret", "host"},
        {"http://127.0.0.1./secret", "host"},
        {"http://1.2.3.4.5/secret", "host"},
        {"http://256.0.0.1/secret", "host"},
        {"http://a.1/secret", "host"},
        {"http://a.0x1./secret", "host"},
        /* IPv6 */
        {"https://[::1/secret", "']'"},
        {"https://[]/secret", "host"},
        {"https://[a.example]/secret", "host"},
        {"https://[127.0.0.1]/secret", "host"},
        {"https://[::1%25eth0]/secret", "host"},
        {"https://[::g]/secret", "host"},
        {"https://[1:2:3:4:5:6:7:8:9]/secret", "host"},
        {"https://::1/secret", "host"},
        {"https://[::1]x/secret", "behind its host"},
        {"https://[::1]443/secret", "behind its host"},
        {"https://[::1]]/secret", "behind its host"},
        {"https://[::1]:/secret", "port"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct url u = {.port = 7};
        if (url_parse(cases[i].text, &u, &e) == OK)
            fail_msg("%s was taken", cases[i].text);
        assert_int_equal(e.status, E_USAGE);
        if (strstr(e.text, cases[i].part) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, e.text, cases[i].part);
        assert_null(strstr(e.text, "secret"));
        assert_null(strstr(e.text, "example"));
        assert_int_equal(u.port, 7);
    }
}

static void test_lengths(void **state)
{
    static char text[9000];
    (void)state;
    struct error e = {0};
    struct url u;
    for (size_t n = 253; n <= 254; n++) { /* of the host */
        (void)snprintf(text, sizeof(text), "https://%0*d", (int)n, 0);
        memset(text + 8, 'a', n);
        if (n == 253)
            assert_ok(url_parse(text, &u, &e), &e);
        else
            assert_fails(url_parse(text, &u, &e), E_USAGE, "host", &e);
    }
    for (size_t n = 8192; n <= 8193; n++) { /* of it all */
        memset(text, 'a', n);
        memcpy(text, "https://a/", 10);
        text[n] = '\0';
        if (n == 8192)
            assert_ok(url_parse(text, &u, &e), &e);
        else
            assert_fails(url_parse(text, &u, &e), E_USAGE, "8192", &e);
    }
}

static void test_local(void **state)
{
    static const struct {
        const char *text;
        bool address, local;
    } cases[] = {
        {"http://127.0.0.1", true, true},
        {"http://127.255.255.254:80", true, true},
        {"http://128.0.0.1", true, false},
        {"http://126.255.255.255", true, false},
        {"http://169.254.169.254/x", true, true},
        {"http://169.254.0.0", true, true},
        {"http://169.253.1.1", true, false},
        {"http://169.255.1.1", true, false},
        {"http://10.0.0.1", true, false},
        {"http://0.0.0.0", true, false},
        {"http://[::1]", true, true},
        {"http://[0:0:0:0:0:0:0:1]", true, true},
        {"http://[::2]", true, false},
        {"http://[::]", true, false},
        {"http://[fe80::1]", true, true},
        {"http://[febf::1]", true, true},
        {"http://[fec0::1]", true, false},
        {"http://[fe7f::1]", true, false},
        {"http://[::ffff:127.0.0.1]", true, false},
        {"http://localhost", false, true},
        {"http://LocalHost:8080", false, true},
        {"http://localhost.", false, false},
        {"http://localhost.example", false, false},
        {"http://xlocalhost", false, false},
        {"http://127.0.0.1.example", false, false},
        {"http://169.254.169.254.nip.example", false, false},
        {"http://a.example", false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct url u;
        assert_ok(url_parse(cases[i].text, &u, &e), &e);
        if (url_host_is_address(&u) != cases[i].address || url_host_is_local(&u) != cases[i].local)
            fail_msg("%s", cases[i].text);
    }
}

static void test_suffix(void **state)
{
    static const struct {
        const char *text, *suffix;
        bool ends;
    } cases[] = {
        {"https://v.vault.azure.net/keys/k", ".vault.azure.net", true},
        {"https://V.VAULT.Azure.NET:443", ".vault.azure.net", true},
        {"https://vault.azure.net", ".vault.azure.net", false},
        {"https://a.example", "a.example", false}, /* there must be something before it */
        {"https://xvault.azure.net", ".vault.azure.net", false},
        {"https://v.vault.azure.net.evil.example", ".vault.azure.net", false},
        {"https://evil.example/.vault.azure.net", ".vault.azure.net", false},
        {"https://evil.example?x=.vault.azure.net", ".vault.azure.net", false},
        {"https://v.vault.azure.net.", ".vault.azure.net", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct url u;
        assert_ok(url_parse(cases[i].text, &u, &e), &e);
        if (url_host_ends(&u, cases[i].suffix) != cases[i].ends)
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_local),
        cmocka_unit_test(test_suffix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
