/*
 * routes ROUTE NAME DIGEST PROGRAM [ARGUMENT...]
 *
 * Starts PROGRAM by one of the ways that lead to an exec. Says what it sees of
 * the secret before and, where it lives on, after.
 */
#include "verdict.h"

#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

static const char *name, *digest;
static char **command;

static void see(void)
{
	say("%s", verdict(name, digest));
}

/* For what must not return. */
static int failed(const char *what)
{
	say("%s: %s", what, strerror(errno));
	return 1;
}

static int await(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return failed("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 120;
}

static int plain_exec(void)
{
	execve(command[0], command, environ);
	return failed("execve");
}

/* setenv of the same value: an ordinary string of our own. */
static int by_setenv(void)
{
	char *copy = strdup(getenv(name));

	if (!copy || setenv(name, "other", 1) || setenv(name, copy, 1))
		return failed("setenv");
	see();
	return plain_exec();
}

static int by_putenv(void)
{
	static char entry[4096];

	snprintf(entry, sizeof entry, "%s=%s", name, getenv(name));
	if (putenv(entry))
		return failed("putenv");
	see();
	return plain_exec();
}

/* An envp of our own whose strings are all on the stack. */
static int by_copied_envp(void)
{
	char strings[65536], *envp[256], *at = strings;
	int count = 0;

	for (char **entry = environ; *entry; entry++) {
		envp[count++] = at;
		at = stpcpy(at, *entry) + 1;
	}
	envp[count] = NULL;
	execve(command[0], command, envp);
	return failed("execve");
}

static int by_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execve(command[0], command, environ);
		_exit(127);
	}
	int status = await(pid);
	see();
	return status;
}

/* The child of a vfork shares the parent's envp: failures must not touch it. */
static int by_vfork_after_failures(void)
{
	char **before = environ, *first = environ[0];
	pid_t pid = vfork();

	if (pid == 0) {
		for (int i = 0; i < 10; i++)
			execve("/nonexistent", command, environ);
		execve(command[0], command, environ);
		_exit(127);
	}
	int status = await(pid);
	if (environ != before || environ[0] != first)
		say("the environment was moved");
	see();
	return status;
}

static int by_spawn(void)
{
	pid_t pid;

	if ((errno = posix_spawn(&pid, command[0], NULL, NULL, command, environ)))
		return failed("posix_spawn");
	int status = await(pid);
	see();
	return status;
}

static void search_path(void)
{
	static char path[4096];

	/* A missing directory, one that is a file, one without the program. */
	snprintf(path, sizeof path, "/nonexistent:/nonexistent/deeper:/etc/passwd:/usr/lib:%s",
		 dirname(strdup(command[0])));
	if (setenv("PATH", path, 1))
		failed("setenv");
	command[0] = basename(command[0]);
}

static int by_spawnp(void)
{
	pid_t pid;

	search_path();
	if ((errno = posix_spawnp(&pid, command[0], NULL, NULL, command, environ)))
		return failed("posix_spawnp");
	int status = await(pid);
	see();
	return status;
}

static int by_execvp(void)
{
	search_path();
	execvp(command[0], command);
	return failed("execvp");
}

static void expect_error(const char *path, char **argv, char **envp, int expected)
{
	execve(path, argv, envp);
	if (errno != expected)
		say("execve of %s: %s, not %s", path, strerror(errno), strerror(expected));
}

/* Every failure has the error it has without us, and nothing is lost by it. */
static int by_failures(void)
{
	for (int i = 0; i < 5; i++) {
		expect_error("/nonexistent", command, environ, ENOENT);
		expect_error("", command, environ, ENOENT);
		expect_error("/etc/passwd/x", command, environ, ENOTDIR);
		expect_error("/etc", command, environ, EACCES);
		expect_error("/dev/null", command, environ, EACCES);
		expect_error((char *)16, command, environ, EFAULT);
		expect_error(command[0], (char **)16, environ, EFAULT);
		expect_error(command[0], command, (char **)16, EFAULT);
	}
	see();
	return plain_exec();
}

static int by_fexecve(void)
{
	int fd = open(command[0], O_RDONLY | O_CLOEXEC);

	fexecve(fd, command, environ);
	return failed("fexecve");
}

static int by_execveat_fd(void)
{
	int fd = open(command[0], O_PATH | O_CLOEXEC);

	syscall(SYS_execveat, fd, "", command, environ, AT_EMPTY_PATH);
	return failed("execveat");
}

static int by_execveat_dir(void)
{
	int fd = open(dirname(strdup(command[0])), O_PATH | O_DIRECTORY | O_CLOEXEC);

	syscall(SYS_execveat, fd, basename(command[0]), command, environ, 0);
	return failed("execveat");
}

static int by_failed_execveat(void)
{
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	if (syscall(SYS_execveat, fd, "", command, environ, AT_EMPTY_PATH) != -1 || errno != EACCES)
		return failed("execveat of a file that is no program");
	if (syscall(SYS_execveat, -1, "x", command, environ, 0) != -1 || errno != EBADF)
		return failed("execveat without a directory");
	see();
	return by_execveat_fd();
}

static void *idle(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void *exec_in_thread(void *unused)
{
	execve(command[0], command, environ);
	failed("execve in a thread");
	return unused;
}

static int by_thread(void)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, idle, NULL))
			return 1;
	if (pthread_create(&thread, NULL, exec_in_thread, NULL))
		return 1;
	pthread_join(thread, NULL);
	return 1;
}

/* The leader is gone when another thread execs. */
static void *exec_later(void *unused)
{
	usleep(20000);
	return exec_in_thread(unused);
}

static int by_orphaned_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, exec_later, NULL))
		return 1;
	pthread_exit(NULL);
}

/* Many threads at the same exec: one wins, the others are gone. */
static pthread_barrier_t line;

static void *exec_in_line(void *unused)
{
	pthread_barrier_wait(&line);
	return exec_in_thread(unused);
}

static int by_racing_threads(void)
{
	pthread_t thread;

	pthread_barrier_init(&line, NULL, 8);
	for (int i = 0; i < 7; i++)
		if (pthread_create(&thread, NULL, exec_in_line, NULL))
			return 1;
	exec_in_line(NULL);
	return 1;
}

/* An empty envp in its three spellings. */
static int by_empty_envp(void)
{
	char *none[] = { NULL };

	execve(command[0], command, none);
	return failed("execve");
}

static int by_null_envp(void)
{
	execve(command[0], command, NULL);
	return failed("execve");
}

static int by_clearenv(void)
{
	clearenv();
	execve(command[0], command, environ);
	return failed("execve");
}

static int by_unsetenv(void)
{
	unsetenv(name);
	see();
	return plain_exec();
}

static int by_change(void)
{
	setenv(name, "changed-by-the-program", 1);
	see();
	return plain_exec();
}

/* A path that means something else in every process, after one that failed. */
static int by_descriptor_path(void)
{
	static const char *forms[] = { "/proc/self/fd/%d", "/dev/fd/%d", "/proc/thread-self/fd/%d" };
	char path[64];
	int fd = dup2(open(command[0], O_RDONLY | O_CLOEXEC), 200);

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		pid_t pid;

		snprintf(path, sizeof path, forms[i], fd);
		pid = fork();
		if (pid == 0) {
			close(0);
			open("/dev/null", O_RDONLY);
			expect_error("/nonexistent", command, environ, ENOENT);
			execve(path, command, environ);
			_exit(failed(path));
		}
		await(pid);
	}
	expect_error("/nonexistent", command, environ, ENOENT);
	execve(path, command, environ);
	return failed(path);
}

/* Nearly all that the kernel takes: nineteen arguments of 100 kB. */
static int by_large_arguments(void)
{
	enum { LARGE = 100000, COUNT = 19 };
	char *large = malloc(LARGE + 1), *argv[64];
	int count = 0;

	/* The program checks, then starts a shell with the rest, which execs it. */
	for (int i = 0; i < 3; i++)
		argv[count++] = command[i];
	argv[count++] = "/bin/sh";
	argv[count++] = "-c";
	argv[count++] = "exec \"$0\" \"$1\" \"$2\"";
	for (int i = 0; i < 3; i++)
		argv[count++] = command[i];
	memset(large, 'x', LARGE);
	large[LARGE] = 0;
	for (int i = 0; i < COUNT; i++)
		argv[count++] = large;
	argv[count] = NULL;
	execve(command[0], argv, environ);
	return failed("execve");
}

/* Far more entries than any fixed table of a supervisor would hold. */
static int by_many_entries(void)
{
	enum { MANY = 20000 };
	static char fillers[MANY][16], *envp[MANY + 256];
	int count = 0;

	for (; count < MANY; count++) {
		snprintf(fillers[count], sizeof *fillers, "FILLER_%d=", count);
		envp[count] = fillers[count];
	}
	for (char **entry = environ; *entry; entry++)
		envp[count++] = *entry;
	environ = envp;
	see();
	return plain_exec();
}

static const struct {
	const char *route;
	int (*take)(void);
} routes[] = {
	{ "exec", plain_exec },
	{ "setenv", by_setenv },
	{ "putenv", by_putenv },
	{ "copied-envp", by_copied_envp },
	{ "vfork", by_vfork },
	{ "vfork-after-failures", by_vfork_after_failures },
	{ "spawn", by_spawn },
	{ "spawnp", by_spawnp },
	{ "execvp", by_execvp },
	{ "failures", by_failures },
	{ "fexecve", by_fexecve },
	{ "execveat-fd", by_execveat_fd },
	{ "execveat-dir", by_execveat_dir },
	{ "failed-execveat", by_failed_execveat },
	{ "thread", by_thread },
	{ "orphaned-thread", by_orphaned_thread },
	{ "racing-threads", by_racing_threads },
	{ "empty-envp", by_empty_envp },
	{ "null-envp", by_null_envp },
	{ "clearenv", by_clearenv },
	{ "unsetenv", by_unsetenv },
	{ "change", by_change },
	{ "descriptor-path", by_descriptor_path },
	{ "large-arguments", by_large_arguments },
	{ "many-entries", by_many_entries },
};

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	name = argv[2];
	digest = argv[3];
	command = argv + 4;
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		if (!strcmp(argv[1], routes[i].route)) {
			see();
			return routes[i].take();
		}
	say("no such route: %s", argv[1]);
	return 2;
}
