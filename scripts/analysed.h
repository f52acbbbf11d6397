/*
 * What gcc's and clang's analysers cannot know, as they see one file at a time: that what describes
 * a failure does not return OK, and that cJSON takes NULL for no value. scripts/quality.sh includes
 * it in front of every file but base/error.c.
 */
#include <cjson/cJSON.h>

#include "base/base.h"

static inline enum status analysed_failure(enum status status)
{
    if (status == OK)
        __builtin_unreachable();
    return status;
}

#define fail(e, status, ...) ((void)!(fail)(e, status, __VA_ARGS__), analysed_failure(status))
#define fail_errno(e, status, ...)                                                                 \
    ((void)!(fail_errno)(e, status, __VA_ARGS__), analysed_failure(status))
#define fail_openssl(e, status, ...)                                                               \
    ((void)!(fail_openssl)(e, status, __VA_ARGS__), analysed_failure(status))
#define wrap(...)            analysed_failure((wrap)(__VA_ARGS__))
#define cJSON_IsNumber(item) ((item) != NULL && (cJSON_IsNumber)(item))
#define cJSON_IsString(item) ((item) != NULL && (cJSON_IsString)(item))
#define cJSON_IsObject(item) ((item) != NULL && (cJSON_IsObject)(item))
#define cJSON_IsArray(item)  ((item) != NULL && (cJSON_IsArray)(item))
