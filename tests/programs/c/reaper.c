/*
 * reaper COMMAND [ARGUMENT...]: the subreaper above a command. Orphans come to
 * it and not to init, so that whoever watches its tree still sees them. Says
 * how the command ended, and ends when no descendant is left.
 */
#include "verdict.h"

#include <sys/prctl.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	pid_t pid, ended;
	int status;

	if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		return 2;
	pid = fork();
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	while ((ended = wait(&status)) > 0 || errno == EINTR)
		if (ended == pid)
			say("ended %d", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
