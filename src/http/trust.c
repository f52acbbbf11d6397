/*
 * The trust store, parsed once and shared by all connections: libcurl would parse the system's
 * hundred and more certificates again for each of them. OpenSSL guards the shared store with its own
 * lock.
 */
#include "http/internal.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

static enum status load(X509_STORE *store, const char *file, const char *folder, struct error *e)
{
    if (file != NULL && X509_STORE_load_file(store, file) != 1) {
        enum status status = fail_openssl(e, E_USAGE, "the trust store %s could not be read", file);
        advise(e, "check network.ca_file: it must hold certificates in PEM form");
        return status;
    }
    if (folder != NULL && X509_STORE_load_path(store, folder) != 1)
        return fail_openssl(e, E_USAGE, "the trust store %s could not be read", folder);
    return OK;
}

static void store_free(X509_STORE **store)
{
    X509_STORE_free(*store);
    *store = NULL;
}

static enum status store_new(const struct http *http, X509_STORE **out, struct error *e)
{
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    AUTO(store_free) X509_STORE *store = X509_STORE_new();
    if (store == NULL)
        return fail_openssl(e, E_BUG, "a trust store cannot be made");
    if (http->ca_file != NULL)
        TRY(load(store, http->ca_file, NULL, e));
    else
        TRY(load(store, built->cainfo, built->cainfo == NULL ? built->capath : NULL, e));
    /* As libcurl does it: an intermediate authority may be what is trusted. */
    (void)X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    *out = store;
    store = NULL;
    return OK;
}

enum status trust_open(struct http *http, struct error *e)
{
    enum status status = OK;
    (void)pthread_mutex_lock(&http->lock);
    if (http->trust == NULL)
        status = store_new(http, &http->trust, e);
    (void)pthread_mutex_unlock(&http->lock);
    return status;
}

void trust_close(struct http *http)
{
    store_free(&http->trust);
}

CURLcode trust_give(CURL *easy, void *context, void *http)
{
    (void)easy;
    SSL_CTX_set1_cert_store(context, ((const struct http *)http)->trust);
    return CURLE_OK;
}
