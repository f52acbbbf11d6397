/* cli: arguments and environment in, exit code out: options, help, progress, the final line, the
 * report. */
#ifndef DECANT_CLI_H
#define DECANT_CLI_H

int cli_main(int argc, char **argv);

#endif
