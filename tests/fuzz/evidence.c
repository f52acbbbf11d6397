/*
 * What answers for the platform: the SKR sidecar, THIM, AMD's KDS, the security context's file with
 * its host's certificates, and the node's name. The first byte picks.
 */
#include <unistd.h>

#include "evidence/internal.h"
#include "wire.h"

static void sidecar_try(struct span script)
{
    AUTO(combined_free) struct combined combined = {0};
    struct error e = {0};
    wire_open(script);
    enum status status = sidecar_ask(wire_http(), "http://127.0.0.1:8080//",
                                     SPAN_LITERAL("{\"keys\":[]}"), &combined, &e);
    must_fail_as(status, &e, E_NO_EVIDENCE, E_NETWORK, E_SPACE);
    must(status != OK || combined.report.size <= SNP_REPORT_SIZE);
}

static void thim_try(struct span script)
{
    AUTO(buf_free) struct buf pem = BUF(PEM_MAX);
    struct error e = {0};
    wire_open(script);
    must_fail_as(fetch_thim(wire_http(), "http://169.254.169.254/metadata/THIM/amd/certification",
                            3, &pem, &e),
                 &e, E_NO_EVIDENCE, E_NETWORK, E_SPACE);
}

static void kds_try(struct span in)
{
    AUTO(buf_free) struct buf pem = BUF(PEM_MAX);
    struct snp_report report = {.chip_id_masked = (take_byte(&in) & 1) != 0};
    enum snp_product product = (enum snp_product)(take_byte(&in) % 3);
    struct error e = {0};
    report.product = product;
    wire_open(in);
    must_fail_as(fetch_kds(wire_http(), &report, product, &pem, &e), &e, E_NO_EVIDENCE, E_NETWORK,
                 E_SPACE);
}

/* The variable stands for the file: both are read alike. */
static void platform_try(struct span in)
{
    AUTO(text_free) char *text = strndup(in.size > 0 ? (const char *)in.data : "", in.size);
    AUTO(buf_free) struct buf pem = BUF(PEM_MAX);
    AUTO(buf_free) struct buf uvm = BUF(UVM_MAX);
    struct error e = {0};
    must(setenv("UVM_SECURITY_CONTEXT_DIR", "/nonexistent", 1) == 0);
    must(setenv("UVM_HOST_AMD_CERTIFICATE", text, 1) == 0 &&
         setenv("UVM_REFERENCE_INFO", text, 1) == 0);
    must_fail_as(platform_certificates(&pem, &e), &e, E_NO_EVIDENCE, E_SPACE);
    must_fail_as(platform_uvm_endorsements(&uvm, &e), &e, E_NO_EVIDENCE, E_SPACE);
    must(setenv("UVM_SECURITY_POLICY", text, 1) == 0);
    buf_clear(&uvm);
    must_fail_as(platform_container_policy(&uvm, &e), &e, E_NO_EVIDENCE, E_SPACE);
}

/* Whatever the node calls itself, it makes a URL of http, that port and that path, or none. */
static void node_try(struct span in)
{
    AUTO(text_free) char *node = strndup(in.size > 0 ? (const char *)in.data : "", in.size);
    AUTO(buf_free) struct buf text = BUF(512);
    struct url url = {0};
    struct error e = {0};
    enum status status = fabric_url(node, &text, &e);
    must_fail_as(status, &e, E_NO_EVIDENCE);
    if (status != OK)
        return;
    must(url_parse(buf_text(&text), &url, &e) == OK && !url.https && url.port == 2377);
    must(span_is(url.path, "/metadata/THIM/amd/certification") && url.query.size == 0);
}

/* Everything at once, as a run does it. HOW: whether the job, or the node's variables, name the
 * certificate service. */
static void lookup_from(struct span in, uint8_t how)
{
    static struct buf report;
    AUTO(found_free) struct found found = {0};
    AUTO(chunk_free) struct chunk offered = take_chunk(&in);
    const struct evidence_options options = {
        .kind = (how & 1) != 0 ? EVIDENCE_AUTO : EVIDENCE_SIDECAR,
        .certificates = (how & 2) != 0 ? "http://10.0.0.4/thim" : NULL};
    struct error e = {0};
    must(setenv("UVM_HOST_AMD_CERTIFICATE", "", 1) == 0);
    must(setenv("Fabric_NodeIPOrFQDN", (how & 4) != 0 ? "10.0.0.4" : "", 1) == 0);
    must(setenv("THIM_ENDPOINT", (how & 8) != 0 ? "http://10.0.0.5/thim" : "", 1) == 0);
    if (report.size == 0)
        report = data_read(TEST_DATA "/evidence/milan.bin");
    wire_open(in);
    must_fail_as(lookup_certificates(&options, wire_http(), buf_span(&report), chunk_span(&offered),
                                     &found, &e),
                 &e, E_NO_EVIDENCE, E_NETWORK);
}

static void lookup_try(struct span in)
{
    lookup_from(in, 0);
}

static void lookup_how_try(struct span in)
{
    uint8_t how = take_byte(&in);
    lookup_from(in, how);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const ways[])(struct span) = {
        sidecar_try, thim_try, kds_try, platform_try, node_try, lookup_try, lookup_how_try};
    struct span in = span_of(data, size);
    uint8_t way = take_byte(&in);
    ways[way % COUNT(ways)](in);
    return 0;
}
