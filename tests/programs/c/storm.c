/*
 * storm signals|stops|kills TIMES NAME DIGEST PROGRAM [ARGUMENT...]
 *
 * Starts PROGRAM, with an empty standard input, again and again while signals
 * arrive all the time: some that the starter handles, which must not show as
 * errors of execve; stops and continuations, after which it must go on; or a
 * death at any point, after which the next one must start as if nothing had
 * been. Says what it still sees at the end, and holds.
 */
#include "verdict.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static char **command;

static void ignore(int unused)
{
	(void)unused;
}

static pid_t start(int silent)
{
	struct sigaction action = { .sa_handler = ignore, .sa_flags = SA_RESTART };
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, 0);
		if (silent)
			dup2(null, 1);
		/* Ignored by default, so harmless to the new program. */
		sigaction(SIGURG, &action, NULL);
		execve(command[0], command, environ);
		say("execve: %s", strerror(errno));
		_exit(1);
	}
	return pid;
}

static int is_over(pid_t pid)
{
	siginfo_t info = { 0 };

	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	return info.si_pid != 0;
}

static void expect_success(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		say("a child ended with %#x", (unsigned)status);
}

static void with_signals(void)
{
	pid_t pid = start(0);

	while (!is_over(pid)) {
		kill(pid, SIGURG);
		usleep(50);
	}
	expect_success(pid);
}

static void with_stops(void)
{
	pid_t pid = start(0);

	while (!is_over(pid)) {
		kill(pid, SIGSTOP);
		usleep((useconds_t)(rand() % 200));
		kill(pid, SIGCONT);
		usleep((useconds_t)(rand() % 200));
	}
	expect_success(pid);
}

static void with_kills(void)
{
	pid_t pid = start(1);
	int status;

	usleep((useconds_t)(rand() % 3000));
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : status != 0)
		say("a child ended with %#x", (unsigned)status);
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	void (*once)(void) = *argv[1] == 'k' ? with_kills : argv[1][1] == 't' ? with_stops : with_signals;
	int times = atoi(argv[2]);

	command = argv + 5;
	for (int i = 0; i < times; i++)
		once();
	/* After all that, an ordinary one. */
	expect_success(start(0));
	say("%s", verdict(argv[3], argv[4]));
	hold();
	return 0;
}
