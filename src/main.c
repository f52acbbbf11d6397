/* decant: arguments and environment in, exit code out. */
#include "base/base.h"
#include "cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Else a file of the volume could get the number of a standard stream that somebody closed, and
 * with it what is meant for that. */
static void fill_standard_streams(void)
{
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd >= 0)
        (void)close(fd);
}

int main(int argc, char **argv)
{
    struct error e = {0};
    fill_standard_streams();
    if (memory_init(&e) != OK) {
        (void)fprintf(stderr, "decant: %s.\n", e.text);
        return (int)e.status;
    }
    int code = cli_main(argc, argv);
    test_point("exit");
    return code;
}
