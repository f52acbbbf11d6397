/*
 * Certificates over the network: THIM, the metadata service of Azure hosts (JSON), and AMD's Key
 * Distribution Service (AMD 57230, chapter 4: the VCEK as DER, the chain above it as PEM).
 *
 * Answers are hostile and small; they prove themselves against the report, so THIM's plain http is
 * no loss.
 */
#include "evidence/internal.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define THIM_TIMEOUT_MS 5000
#define KDS_TIMEOUT_MS  20000
#define KDS_TRIES       3 /* it throttles */
#define KDS             "https://kdsintf.amd.com/vcek/v1"
#define VCEK_MAX        ((size_t)16 * 1024)
#define URL_SIZE        ((size_t)1024)
#define FABRIC_PORT     "2377"
#define THIM_PATH       "/metadata/THIM/amd/certification"

static const char *const product_names[] = {
    [SNP_MILAN] = "Milan", [SNP_GENOA] = "Genoa", [SNP_TURIN] = "Turin"};

static enum status get_once(struct http_session *session, const struct http_request *request,
                            struct buf *body, struct error *e)
{
    AUTO(http_reply_free) struct http_reply reply = {0};
    TRY(http_call(session, request, &reply, e));
    if (reply.status != 200)
        return http_refusal(request, &reply, E_NO_EVIDENCE, e);
    return buf_add(body, buf_span(&reply.body), e);
}

static enum status get(struct http *http, const struct http_request *request, int tries,
                       struct buf *body, struct error *e)
{
    AUTO(http_session_give) struct http_session *session = NULL;
    struct http_retry retry = {.max_tries = tries};
    enum status status = OK;
    TRY(http_session_take(http, &session, e));
    do
        status = get_once(session, request, body, e);
    while (status != OK && http_again(session, &retry, e));
    return status == OK ? OK : e->status; /* http_again may have noticed the end of the run */
}

enum status fetch_thim(struct http *http, const char *url, int tries, struct buf *pem,
                       struct error *e)
{
    const struct http_header metadata = {"Metadata", SPAN_LITERAL("true")};
    const struct http_request request = {.what = "certificates",
                                         .method = "GET",
                                         .url = url,
                                         .headers = &metadata,
                                         .n_headers = 1,
                                         .max_reply = THIM_MAX,
                                         .timeout_ms = THIM_TIMEOUT_MS,
                                         .direct = true,
                                         .plain_http = true};
    AUTO(buf_free) struct buf json = BUF(THIM_MAX);
    TRY(get(http, &request, tries, &json, e));
    return thim_parse(buf_span(&json), pem, e);
}

static enum status kds_get(struct http *http, const char *what, const char *url, size_t max,
                           struct buf *body, struct error *e)
{
    const struct http_request request = {
        .what = what, .method = "GET", .url = url, .max_reply = max, .timeout_ms = KDS_TIMEOUT_MS};
    return get(http, &request, KDS_TRIES, body, e);
}

static enum status kds_vcek_url(const struct snp_report *report, enum snp_product product,
                                struct buf *url, struct error *e)
{
    const struct snp_tcb *tcb = &report->reported_tcb;
    TRY(buf_addf(url, e, "%s/%s/", KDS, product_names[product]));
    TRY(hex_encode(report_chip_id(report), url, e));
    if (product == SNP_TURIN)
        TRY(buf_addf(url, e, "?fmcSPL=%u&blSPL=%u", tcb->fmc, tcb->boot_loader));
    else
        TRY(buf_addf(url, e, "?blSPL=%u", tcb->boot_loader));
    return buf_addf(url, e, "&teeSPL=%u&snpSPL=%u&ucodeSPL=%u", tcb->tee, tcb->snp, tcb->microcode);
}

enum status fetch_kds(struct http *http, const struct snp_report *report, enum snp_product product,
                      struct buf *pem, struct error *e)
{
    if (report->chip_id_masked)
        return fail(e, E_NO_EVIDENCE, "cannot be asked: the report does not say its chip");
    AUTO(buf_free) struct buf vcek_url = BUF(URL_SIZE);
    AUTO(buf_free) struct buf chain_url = BUF(URL_SIZE);
    AUTO(buf_free) struct buf der = BUF(VCEK_MAX);
    TRY(kds_vcek_url(report, product, &vcek_url, e));
    TRY(buf_addf(&chain_url, e, "%s/%s/cert_chain", KDS, product_names[product]));
    TRY(kds_get(http, "VCEK", buf_text(&vcek_url), VCEK_MAX, &der, e));
    TRY(pem_from_der(buf_span(&der), pem, e));
    return kds_get(http, "VCEK's chain", buf_text(&chain_url), PEM_MAX / 2, pem, e);
}

static bool is_host_name(const char *text)
{
    size_t size = strlen(text), label = 0;
    if (size == 0 || size > 253)
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool last = text[i + 1] == '\0' || text[i + 1] == '.';
        if (c == '.' ? label == 0 : !word && (c != '-' || label == 0 || last))
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return label > 0;
}

enum status fabric_url(const char *node, struct buf *url, struct error *e)
{
    struct in6_addr address;
    struct url parsed;
    bool is_6 = inet_pton(AF_INET6, node, &address) == 1;
    if (is_6 || is_host_name(node))
        TRY(buf_addf(url, e, is_6 ? "http://[%s]:%s%s" : "http://%s:%s%s", node, FABRIC_PORT,
                     THIM_PATH));
    /* The second look is for names that some resolvers take for an address, such as "1". */
    if (url->size == 0 || url_parse(buf_text(url), &parsed, e) != OK)
        return fail(e, E_NO_EVIDENCE, "Fabric_NodeIPOrFQDN is neither a host name nor an address");
    return OK;
}
