/* Keys: a private JWK, a key file (PEM or JWK), and a sidecar's whole answer. The first byte picks.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "key/key.h"
#include "wire.h"

#define KID "https://contoso.vault.azure.net/keys/dataset-kek/0123456789abcdef"

static void must_be_key(const struct kek *k)
{
    must((k->pair != NULL) != (k->octets.size > 0));
}

static void file_try(struct span text)
{
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    char path[64];
    int fd = memfd_create("key", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, text.data, text.size) == (ssize_t)text.size);
    must(lseek(fd, 0, SEEK_SET) == 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    enum status status = key_from_file(path, KID, &k, &e);
    (void)close(fd);
    must_fail_as(status, &e, E_USAGE);
    if (status == OK)
        must_be_key(&k);
}

static void sidecar_try(struct span script)
{
    static const struct key_sidecar_request request = {
        .sidecar = "http://127.0.0.1:9000/",
        .kid = KID,
        .provider = "https://sharedneu.neu.attest.azure.net",
        .bearer = SPAN_LITERAL("token"),
    };
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    wire_open(script);
    enum status status = key_from_sidecar(wire_session(), &request, &k, &e);
    must_fail_as(status, &e, E_NOT_RELEASED, E_BAD_KEY, E_NETWORK);
    if (status == OK)
        must_be_key(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    switch (take_byte(&in) % 3) {
    case 0: {
        enum status status = key_from_jwk(in, &k, &e);
        must_fail_as(status, &e, E_BAD_KEY);
        if (status == OK)
            must_be_key(&k);
        break;
    }
    case 1:
        file_try(in);
        break;
    default:
        sidecar_try(in);
    }
    return 0;
}
