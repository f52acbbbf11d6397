/*
 * A report and the certificates that shall prove it. Mode 0: any report, any PEM. Mode 1: any
 * report, signed here by the test VCEK, under the genuine chain. Mode 2: any DER certificate as the
 * VCEK, through PEM, above it the genuine chain. Mode 3: a chain's links by themselves.
 */
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "evidence/internal.h"
#include "fuzz.h"

#define ROOM ((size_t)1 << 18)

static struct {
    EVP_PKEY *vcek;
    struct buf chain, report;
} world;

static void world_open(void)
{
    if (world.vcek != NULL)
        return;
    FILE *f = fopen(TEST_DATA "/evidence/vcek.key", "r");
    must(f != NULL);
    world.vcek = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    must(world.vcek != NULL);
    world.chain = data_read(TEST_DATA "/evidence/milan.pem");
    world.report = data_read(TEST_DATA "/evidence/milan.bin");
}

static void report_sign(uint8_t report[static SNP_REPORT_SIZE])
{
    uint8_t der[256];
    size_t size = sizeof der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(EVP_DigestSignInit(context, NULL, EVP_sha384(), NULL, world.vcek) == 1);
    must(EVP_DigestSign(context, der, &size, report, REPORT_SIGNED_SIZE) == 1);
    EVP_MD_CTX_free(context);
    const unsigned char *at = der;
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &at, (long)size);
    must(s != NULL && BN_bn2lebinpad(ECDSA_SIG_get0_r(s), report + 672, 72) == 72 &&
         BN_bn2lebinpad(ECDSA_SIG_get0_s(s), report + 744, 72) == 72);
    ECDSA_SIG_free(s);
}

static void verify_try(struct span report, struct span pem)
{
    AUTO(chunk_free) struct chunk exact = chunk_of(report);
    struct snp_report parsed = {0};
    struct error e = {0};
    enum status read = snp_report_parse(chunk_span(&exact), &parsed, &e);
    must_fail_as(read, &e, E_NO_EVIDENCE);
    enum status status = snp_report_verify(chunk_span(&exact), pem, &e);
    must_fail_as(status, &e, E_NO_EVIDENCE);
    must(status != OK || read == OK);
}

/* The genuine report with the input's bytes over it, from a place that the input says. */
static void signed_try(struct span in)
{
    uint8_t report[SNP_REPORT_SIZE];
    memcpy(report, world.report.data, sizeof report);
    while (in.size > 2) {
        size_t at = take_number(&in, 2) % sizeof report;
        AUTO(chunk_free) struct chunk bytes = take_chunk(&in);
        size_t n = bytes.size < sizeof report - at ? bytes.size : sizeof report - at;
        memcpy(report + at, bytes.data, n);
    }
    report_sign(report);
    verify_try(span_of(report, sizeof report), buf_span(&world.chain));
}

static void der_try(struct span der)
{
    AUTO(buf_free) struct buf pem = BUF(ROOM);
    AUTO(chunk_free) struct chunk exact = chunk_of(der);
    struct error e = {0};
    enum status status = pem_from_der(chunk_span(&exact), &pem, &e);
    must_fail_as(status, &e, E_NO_EVIDENCE, E_SPACE);
    if (status != OK)
        return;
    const char *rest = strstr(buf_text(&world.chain), "-----END CERTIFICATE-----\n");
    must(rest != NULL && buf_addf(&pem, &e, "%s", strchr(rest, '\n') + 1) == OK);
    verify_try(buf_span(&world.report), buf_span(&pem));
}

static void chain_try(struct span pem)
{
    AUTO(chain_free) struct chain chain = {0};
    AUTO(buf_free) struct buf again = BUF(ROOM);
    struct error e = {0};
    enum status status = chain_parse(pem, &chain, &e);
    must_fail_as(status, &e, E_NO_EVIDENCE);
    if (status != OK)
        return;
    must_fail_as(chain_check(&chain, &e), &e, E_NO_EVIDENCE);
    struct snp_report report = {0};
    must(snp_report_parse(buf_span(&world.report), &report, &e) == OK);
    must_fail_as(vcek_fits(chain.vcek, &report, &e), &e, E_NO_EVIDENCE);
    AUTO(chain_free) struct chain second = {0};
    must(chain_write(&chain, &again, &e) == OK && chain_parse(buf_span(&again), &second, &e) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    world_open();
    switch (take_byte(&in) % 4) {
    case 0: {
        AUTO(chunk_free) struct chunk report = take_chunk(&in);
        AUTO(chunk_free) struct chunk pem = chunk_of(in);
        verify_try(chunk_span(&report), chunk_span(&pem));
        break;
    }
    case 1:
        signed_try(in);
        break;
    case 2:
        der_try(in);
        break;
    default:
        chain_try(in);
    }
    return 0;
}
