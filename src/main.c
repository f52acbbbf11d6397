/* decant: arguments and environment in, exit code out. */
#include "base/base.h"
#include "cli/cli.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct error e = {0};
    if (memory_init(&e) != OK) {
        (void)fprintf(stderr, "decant: %s.\n", e.text);
        return (int)e.status;
    }
    return cli_main(argc, argv);
}
