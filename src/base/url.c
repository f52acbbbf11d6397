/*
 * URLs, cut strictly (a subset of RFC 3986): what this parser and libcurl's could read differently
 * is refused, so that the host which is judged here is the host which is asked there.
 */
#include "base/base.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HOST_MAX = 253, URL_MAX = 8192 };

static enum status cut_scheme(struct span *rest, bool *https, struct error *e)
{
    *https = span_starts(*rest, "https://");
    if (!*https && !span_starts(*rest, "http://"))
        return fail(e, E_USAGE, "a URL that does not start with https://");
    size_t n = *https ? 8 : 7;
    *rest = span_of(rest->data + n, rest->size - n);
    return OK;
}

static enum status check_characters(struct span text, struct error *e)
{
    if (text.size == 0 || text.size > URL_MAX)
        return fail(e, E_USAGE, "a URL that is empty or longer than %d bytes", URL_MAX);
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7F || strchr("\\\"<>^`{|}#", text.data[i]))
            return fail(e, E_USAGE,
                        "a URL with a character that must be percent-encoded, at byte %zu", i);
    return OK;
}

static enum status parse_port(struct span text, uint16_t *port, struct error *e)
{
    unsigned value = 0;
    bool good = text.size > 0 && text.size <= 5;
    for (size_t i = 0; good && i < text.size; i++) {
        good = text.data[i] >= '0' && text.data[i] <= '9';
        value = value * 10 + (unsigned)(text.data[i] - '0');
    }
    if (!good || value == 0 || value > 65535)
        return fail(e, E_USAGE, "a URL whose port is not a number from 1 to 65535");
    *port = (uint16_t)value;
    return OK;
}

static bool is_host_name(struct span host)
{
    for (size_t i = 0; i < host.size; i++) {
        uint8_t c = host.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
            return false;
        if (c == '.' && (i == 0 || host.data[i - 1] == '.'))
            return false;
    }
    return host.size > 0 && host.size <= HOST_MAX;
}

static bool parse_address(struct span host, int family, void *out)
{
    char text[INET6_ADDRSTRLEN];
    if (host.size >= sizeof(text))
        return false;
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(family, text, out) == 1;
}

/* Names that end in a number are read as addresses by some resolvers, in forms of their own (127.1,
 * 0x7f.1). */
static bool looks_numeric(struct span host)
{
    if (host.size > 0 && host.data[host.size - 1] == '.')
        host.size--;
    size_t last = host.size;
    while (last > 0 && host.data[last - 1] != '.')
        last--;
    return last < host.size && host.data[last] >= '0' && host.data[last] <= '9';
}

static enum status check_host(struct span host, bool bracketed, struct error *e)
{
    uint8_t address[16];
    if (bracketed
            ? parse_address(host, AF_INET6, address)
            : parse_address(host, AF_INET, address) || (is_host_name(host) && !looks_numeric(host)))
        return OK;
    return fail(e, E_USAGE, "a URL whose host is not a name or an address");
}

static enum status cut_authority(struct span authority, struct url *u, struct error *e)
{
    bool bracketed = authority.size > 0 && authority.data[0] == '[';
    const uint8_t *end = authority.data + authority.size;
    const uint8_t *host_end =
        authority.size == 0 ? NULL : memchr(authority.data, bracketed ? ']' : ':', authority.size);
    if (bracketed && host_end == NULL)
        return fail(e, E_USAGE, "a URL with '[' and no ']'");
    if (host_end == NULL)
        host_end = end;
    const uint8_t *host = authority.data + bracketed;
    u->authority = authority;
    u->host = span_of(host, (size_t)(host_end - host));
    TRY(check_host(u->host, bracketed, e));
    const uint8_t *after = host_end + bracketed;
    if (after == end)
        return OK;
    if (*after != ':')
        return fail(e, E_USAGE, "a URL with something behind its host");
    return parse_port(span_of(after + 1, (size_t)(end - after - 1)), &u->port, e);
}

enum status url_parse(const char *text, struct url *out, struct error *e)
{
    struct span rest = span_text(text);
    struct url u = {0};
    TRY(check_characters(rest, e));
    TRY(cut_scheme(&rest, &u.https, e));
    u.port = u.https ? 443 : 80;
    size_t n = 0;
    while (n < rest.size && rest.data[n] != '/' && rest.data[n] != '?')
        n++;
    if (n > 0 && memchr(rest.data, '@', n) != NULL)
        return fail(e, E_USAGE, "a URL with a user name");
    TRY(cut_authority(span_of(rest.data, n), &u, e));
    rest = span_of(rest.data + n, rest.size - n);
    const uint8_t *mark = rest.size == 0 ? NULL : memchr(rest.data, '?', rest.size);
    u.path = span_of(rest.data, mark != NULL ? (size_t)(mark - rest.data) : rest.size);
    if (mark != NULL)
        u.query = span_of(mark + 1, rest.size - u.path.size - 1);
    *out = u;
    return OK;
}

bool url_host_is_address(const struct url *u)
{
    uint8_t address[16];
    return parse_address(u->host, AF_INET, address) || parse_address(u->host, AF_INET6, address);
}

bool url_host_is_local(const struct url *u)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    uint8_t a[16];
    if (parse_address(u->host, AF_INET, a))
        return a[0] == 127 || (a[0] == 169 && a[1] == 254);
    if (parse_address(u->host, AF_INET6, a))
        return memcmp(a, loopback6, 16) == 0 || (a[0] == 0xFE && (a[1] & 0xC0) == 0x80);
    return u->host.size == 9 && strncasecmp((const char *)u->host.data, "localhost", 9) == 0;
}

bool url_host_ends(const struct url *u, const char *suffix)
{
    size_t n = strlen(suffix);
    return u->host.size > n &&
           strncasecmp((const char *)u->host.data + u->host.size - n, suffix, n) == 0;
}
