/*
 * Reports by ioctl: /dev/sev-guest (Linux 6.x, linux/sev-guest.h) and /dev/sev (the 5.15 kernel of
 * Microsoft's utility VM, whose header is in no distribution). Both carry MSG_REPORT_REQ and
 * MSG_REPORT_RSP of AMD 56860.
 *
 * The answer has passed through the host: status, size and, later, the signature are checked. The
 * structs are written out here, with the sizes and offsets that the kernels compiled in.
 */
#include "evidence/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MESSAGE_VERSION         1
#define MESSAGE_REPORT_REQUEST  5
#define MESSAGE_REPORT_RESPONSE 6
#define VMM_BUSY                2 /* SNP_GUEST_VMM_ERR_BUSY: the host throttles */
#define TRIES_MAX               10
#define WAIT_STEP_MS            200 /* 200, 400, … : nine seconds in all */

struct report_request {
    uint8_t report_data[REPORT_DATA_SIZE];
    uint32_t vmpl;
    uint32_t key_select; /* 0: the VCEK, if there is no VLEK */
    uint8_t reserved[24];
};
_Static_assert(sizeof(struct report_request) == 96);
_Static_assert(offsetof(struct report_request, vmpl) == 64);

/* The largest that a kernel writes; the first 1280 bytes have a meaning. */
struct report_response {
    uint32_t status;
    uint32_t report_size;
    uint8_t reserved[24];
    uint8_t report[SNP_REPORT_SIZE];
    uint8_t rest[4000 - 32 - SNP_REPORT_SIZE];
};
_Static_assert(sizeof(struct report_response) == 4000);
_Static_assert(offsetof(struct report_response, report) == 32);

struct guest_call { /* Linux 6.x: struct snp_guest_request_ioctl */
    uint8_t message_version;
    uint64_t request_address;
    uint64_t response_address;
    uint32_t firmware_error;
    uint32_t host_error;
};
_Static_assert(sizeof(struct guest_call) == 32);
_Static_assert(offsetof(struct guest_call, request_address) == 8);
_Static_assert(offsetof(struct guest_call, host_error) == 28);

struct sev_call { /* Linux 5.15: struct sev_snp_guest_request */
    uint8_t request_type;
    uint8_t response_type;
    uint8_t message_version;
    uint16_t request_size;
    uint64_t request_address;
    uint16_t response_size;
    uint64_t response_address;
    uint32_t firmware_error;
};
_Static_assert(sizeof(struct sev_call) == 40);
_Static_assert(offsetof(struct sev_call, request_size) == 4);
_Static_assert(offsetof(struct sev_call, response_size) == 16);
_Static_assert(offsetof(struct sev_call, response_address) == 24);
_Static_assert(offsetof(struct sev_call, firmware_error) == 32);

#define GUEST_GET_REPORT  _IOWR('S', 0, struct guest_call)
#define SEV_GUEST_REPORT  _IOWR('S', 1, struct sev_call)
#define SEV_RESPONSE_SIZE 1280
_Static_assert(GUEST_GET_REPORT == 0xC0205300);
_Static_assert(SEV_GUEST_REPORT == 0xC0285301);

struct outcome {
    int number; /* errno, or 0 */
    uint32_t firmware_error, host_error;
};

static struct outcome call_guest(int fd, const struct report_request *request,
                                 struct report_response *response)
{
    struct guest_call call = {.message_version = MESSAGE_VERSION,
                              .request_address = (uint64_t)(uintptr_t)request,
                              .response_address = (uint64_t)(uintptr_t)response};
    int number = ioctl(fd, GUEST_GET_REPORT, &call) == 0 ? 0 : errno;
    return (struct outcome){number, call.firmware_error, call.host_error};
}

static struct outcome call_sev(int fd, const struct report_request *request,
                               struct report_response *response)
{
    struct sev_call call = {.request_type = MESSAGE_REPORT_REQUEST,
                            .response_type = MESSAGE_REPORT_RESPONSE,
                            .message_version = MESSAGE_VERSION,
                            .request_size = sizeof *request,
                            .request_address = (uint64_t)(uintptr_t)request,
                            .response_size = SEV_RESPONSE_SIZE,
                            .response_address = (uint64_t)(uintptr_t)response};
    int number = ioctl(fd, SEV_GUEST_REPORT, &call) == 0 ? 0 : errno;
    return (struct outcome){number, call.firmware_error, 0};
}

static void descriptor_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

bool errno_is_busy(int number)
{
    return number == EAGAIN || number == EBUSY || number == EINTR;
}

enum status firmware_wait(int *tries, const char *path, struct error *e)
{
    if (++*tries >= TRIES_MAX) {
        enum status status =
            fail(e, E_NO_EVIDENCE, "%s: still busy after %d requests for a report", path, *tries);
        e->transient = true;
        advise(e, "try again in a minute: the host limits how often a guest may ask");
        return status;
    }
    return stop_sleep_ms((int64_t)*tries * WAIT_STEP_MS, e);
}

static enum status response_take(const char *path, const struct report_response *response,
                                 struct buf *out, struct error *e)
{
    if (response->status != 0)
        return fail(e, E_NO_EVIDENCE, "%s: the firmware refused to make a report (status 0x%x)",
                    path, response->status);
    if (response->report_size != SNP_REPORT_SIZE)
        return fail(e, E_NO_EVIDENCE, "%s: the firmware's report has %u bytes, not %d", path,
                    response->report_size, SNP_REPORT_SIZE);
    return buf_add(out, span_of(response->report, SNP_REPORT_SIZE), e);
}

static enum status device_open(const char *path, int *fd, struct error *e)
{
    *fd = open(path, O_RDWR | O_CLOEXEC);
    if (*fd >= 0)
        return OK;
    enum status status = fail_errno(e, E_NO_EVIDENCE, "cannot open %s", path);
    advise(e, "give the container read and write access to %s", path);
    return status;
}

typedef struct outcome call_function(int fd, const struct report_request *request,
                                     struct report_response *response);

static enum status device_report(const char *path, call_function *call,
                                 const uint8_t data[static REPORT_DATA_SIZE], struct buf *out,
                                 struct error *e)
{
    AUTO(descriptor_close) int fd = -1;
    TRY(device_open(path, &fd, e));
    struct report_request request = {0}; /* VMPL 0 */
    memcpy(request.report_data, data, REPORT_DATA_SIZE);
    for (int tries = 0;;) {
        struct report_response response = {0};
        struct outcome outcome = call(fd, &request, &response);
        if (outcome.number == 0)
            return response_take(path, &response, out, e);
        if (!errno_is_busy(outcome.number) && outcome.host_error != VMM_BUSY) {
            errno = outcome.number;
            return fail_errno(e, E_NO_EVIDENCE,
                              "%s: no report (firmware error 0x%x, host error 0x%x)", path,
                              outcome.firmware_error, outcome.host_error);
        }
        TRY(firmware_wait(&tries, path, e));
    }
}

static enum status report_sev_guest(const char *path, const uint8_t data[static REPORT_DATA_SIZE],
                                    struct buf *out, struct error *e)
{
    return device_report(path, call_guest, data, out, e);
}

static enum status report_sev(const char *path, const uint8_t data[static REPORT_DATA_SIZE],
                              struct buf *out, struct error *e)
{
    return device_report(path, call_sev, data, out, e);
}

const struct reporter reporter_sev_guest = {EVIDENCE_DEVICE, "/dev/sev-guest", "/dev/sev-guest",
                                            report_sev_guest};
const struct reporter reporter_sev = {EVIDENCE_DEVICE, "/dev/sev", "/dev/sev", report_sev};
