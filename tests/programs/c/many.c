/*
 * many THREADS TIMES NAME DIGEST PROGRAM [ARGUMENT...]
 *
 * Starts PROGRAM from many threads at once, by fork, vfork and posix_spawn in
 * turn, each with an empty standard input; then says what it still sees, and
 * holds.
 */
#include "verdict.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

static char **command;
static int times;

static void run_once(int turn)
{
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid;

	switch (turn % 3) {
	case 0:
		pid = fork();
		break;
	case 1:
		pid = vfork();
		break;
	default:
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		if (posix_spawn(&pid, command[0], &actions, NULL, command, environ))
			say("posix_spawn failed");
		posix_spawn_file_actions_destroy(&actions);
	}
	if (pid == 0) {
		/* No libc state is touched: this may be a vfork. */
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		dup2(null, 0);
		execve(command[0], command, environ);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		say("a child ended with %#x", (unsigned)status);
}

static void *run(void *thread)
{
	for (int i = 0; i < times; i++)
		run_once(i + (int)(intptr_t)thread);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];

	if (argc < 6)
		return 2;
	int count = atoi(argv[1]);
	times = atoi(argv[2]);
	command = argv + 5;
	if (count > 64)
		return 2;
	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)(intptr_t)i))
			return 1;
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	say("%s", verdict(argv[3], argv[4]));
	hold();
	return 0;
}
