/*
 * daemon stay|leave NAME DIGEST PROGRAM [ARGUMENT...]
 *
 * Becomes two: a main program, which holds until standard input ends (stay) or
 * ends at once (leave), and a daemon in a session of its own whose parent is
 * gone, and which execs PROGRAM only then, or only when the main program is
 * gone as well.
 */
#include "verdict.h"

#include <signal.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	pid_t leader = getpid(), pid;

	if (argc < 5)
		return 2;
	int leave = !strcmp(argv[1], "leave");
	say("%s", verdict(argv[2], argv[3]));
	pid = fork();
	if (pid == 0) {
		pid_t between = getpid();

		setsid();
		if (fork())
			_exit(0);
		while (getppid() == between || (leave && kill(leader, 0) == 0))
			usleep(1000);
		if (leave)
			/* A supervisor that goes with its program is gone by now. */
			usleep(200000);
		execve(argv[4], argv + 4, environ);
		say("refused: %s", strerror(errno));
		_exit(1);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (!leave)
		hold();
	return 0;
}
