/* What every unit test needs: cmocka in the order it wants, and assertions that show the error. */
#ifndef DECANT_TESTING_H
#define DECANT_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* cmocka's fail() would hide base's function of that name. */
#undef fail
#undef fail_msg
#define fail_msg(...)                                                                              \
    do {                                                                                           \
        print_error("ERROR: " __VA_ARGS__);                                                        \
        print_error("\n");                                                                         \
        _fail(__FILE__, __LINE__);                                                                 \
    } while (0)

#include "base/base.h"

#define assert_ok(call, error)                                                                     \
    do {                                                                                           \
        enum status status_ = (call);                                                              \
        if (status_ != OK)                                                                         \
            fail_msg("%s: status %d: %s", #call, status_, (error)->text);                          \
    } while (0)

/* The call fails with just this class, and its sentence holds PART ("" for any). */
#define assert_fails(call, expected, part, error)                                                  \
    do {                                                                                           \
        enum status status_ = (call);                                                              \
        if (status_ != (expected))                                                                 \
            fail_msg("%s: status %d, expected %d: %s", #call, status_, (expected),                 \
                     status_ ? (error)->text : "OK");                                              \
        if (strstr((error)->text, (part)) == NULL)                                                 \
            fail_msg("%s: \"%s\" does not say \"%s\"", #call, (error)->text, (part));              \
    } while (0)

#endif
