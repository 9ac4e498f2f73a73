/* The program: one binary for server and command line; what it was called by and its first words say which.
 */
#include "cli/cli.h"

#include <signal.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
    (void)signal(SIGPIPE, SIG_IGN);
    return cli_run(argc, argv, (const char *const *)environ, STDIN_FILENO, stdout, stderr);
}
