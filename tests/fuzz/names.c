/*
 * Names that lead somewhere: URLs of blobs, key ids, names on the volume, and names held against
 * the job's glob. What passes must be what it says, also when it is taken apart again.
 */
#include "fuzz.h"
#include "key/key.h"
#include "output/output.h"
#include "storage/storage.h"

static void url_try(const char *text)
{
    struct url url = {0};
    struct error e = {0};
    enum status status = url_parse(text, &url, &e);
    must_fail_as(status, &e, E_USAGE);
    if (status != OK)
        return;
    must(url.host.size > 0 && url.port > 0 && (url.path.size == 0 || url.path.data[0] == '/'));
    (void)url_host_is_address(&url);
    must(!url_host_is_local(&url) || !url_host_ends(&url, ".vault.azure.net"));
}

static void location_try(const char *text)
{
    struct error e = {0};
    AUTO(storage_location_free) struct storage_location location = {0};
    enum status status = storage_locate(text, &location, &e);
    must_fail_as(status, &e, E_USAGE);
    const char *signature = strstr(e.text, "sig=");
    must(signature == NULL || signature[4] == ')'); /* "it has no signature (sig=)" */
    if (status != OK)
        return;
    struct url url = {0};
    must(url_parse(location.container_url, &url, &e) == OK && url.query.size == 0);
    must(utf8_is_valid(span_text(location.name)));
    size_t n = strlen(location.name);
    must(!location.is_prefix || n == 0 || location.name[n - 1] == '/');
}

static void key_try(const char *text, const char *other)
{
    struct key_id a = {0}, b = {0};
    struct error e = {0};
    enum status status = key_id_parse(text, &a, &e);
    must_fail_as(status, &e, E_USAGE);
    if (status != OK)
        return;
    must(a.name.size > 0 && key_id_matches(&a, &a));
    if (key_id_parse(other, &b, &e) == OK)
        must(key_id_matches(&a, &b) == key_id_matches(&b, &a));
}

/* Whatever passes stays below the volume. */
static void name_try(const char *name)
{
    struct error e = {0};
    enum status status = output_name_check(name, &e);
    must_fail_as(status, &e, E_NAME);
    if (status != OK)
        return;
    must(name[0] != '\0' && name[0] != '/' && strlen(name) <= 4096 &&
         utf8_is_valid(span_text(name)));
    must(strstr(name, "//") == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    must(strncmp(name, "../", 3) != 0 && strstr(name, "/../") == NULL &&
         strncmp(name, ".decant/", 8) != 0);
}

static void match_try(const char *pattern, const char *text)
{
    bool fits = storage_match(pattern, text);
    must(!fits || strlen(pattern) <= STORAGE_PATTERN_MAX);
    if (strpbrk(pattern, "*?[") == NULL && strlen(pattern) <= STORAGE_PATTERN_MAX)
        must(fits == (strcmp(pattern, text) == 0));
    must(storage_match("**", text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    uint8_t mode = take_byte(&in);
    AUTO(text_free) char *first = take_text(&in);
    AUTO(text_free) char *second = strndup(in.size > 0 ? (const char *)in.data : "", in.size);
    switch (mode % 5) {
    case 0:
        url_try(first);
        break;
    case 1:
        location_try(first);
        break;
    case 2:
        key_try(first, second);
        break;
    case 3:
        name_try(first);
        break;
    default:
        match_try(first, second);
    }
    return 0;
}
