/*
 * check NAME DIGEST [COMMAND ARGUMENT...]
 *
 * Says whether it sees the variable NAME with the value of that SHA-256 digest,
 * then runs the command and exits with its status, or holds until standard
 * input ends.
 */
#include "verdict.h"

#include <spawn.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	pid_t pid;
	int status;

	if (argc < 3)
		return 2;
	say("%s", verdict(argv[1], argv[2]));
	if (argc == 3) {
		hold();
		return 0;
	}
	if (posix_spawnp(&pid, argv[3], NULL, NULL, argv + 3, environ))
		return 126;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 124;
}
