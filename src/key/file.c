/*
 * A private key from a file, for development and for keys that a sidecar of one's own put there:
 * PEM or JWK, told apart by the first character. Bytes and the path come from the job's owner;
 * still a file may be anything, so a key from it passes the same checks as a released one.
 */
#include "key/internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#define KEY_FILE_MAX (64u * 1024u)

static void bio_free(BIO **bio)
{
    (void)BIO_free(*bio);
    *bio = NULL;
}

/* Never ask at the terminal. */
static int no_password(char *room, int size, int writing, void *context)
{
    (void)room, (void)size, (void)writing, (void)context;
    return -1;
}

static enum status from_pem(struct span text, struct kek *out, struct error *e)
{
    AUTO(bio_free) BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    AUTO(key_pkey_free) EVP_PKEY *pair = NULL;

    if (bio == NULL)
        return fail_openssl(e, E_BUG, "cannot read PEM");
    pair = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    if (pair == NULL) {
        ERR_clear_error();
        return fail(e, E_BAD_KEY, "neither JWK nor a PEM private key without a password");
    }
    TRY(key_pair_check(pair, e));
    out->pair = pair;
    pair = NULL;
    return OK;
}

static enum status from_text(struct span text, struct kek *out, struct error *e)
{
    text = span_trim(text);
    if (text.size != 0 && text.data[0] == '{')
        return key_from_jwk(text, out, e);
    return from_pem(text, out, e);
}

enum status key_from_file(const char *path, const char *kid, struct kek *out, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(KEY_FILE_MAX);
    AUTO(kek_free) struct kek k = {0};
    enum status status;

    TRY(file_read(path, KEY_FILE_MAX, &text, E_USAGE, e));
    status = from_text(buf_span(&text), &k, e);
    if (status == E_BAD_KEY) {
        e->status = E_USAGE; /* the job named this file */
        (void)wrap(e, "key file %s", path);
        advise(e, "give a private RSA or EC key as PEM, or a private JWK (RSA, EC, oct)");
        return E_USAGE;
    }
    TRY(status);
    TRY(key_name(&k, kid, E_USAGE, e));
    *out = k;
    k = (struct kek){0};
    return OK;
}
