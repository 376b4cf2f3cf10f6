/*
 * with OP... -- CMD ARG...
 *
 * Puts itself into the state that the operations describe and becomes CMD, in
 * the same process. It stands for whoever starts a program: a shell, a service
 * manager, a container runtime. Operations are carried out in the order given.
 *
 * CMD is started by execvp, so a script without an interpreter line runs
 * through sh. Exit status 99 means that an operation failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

extern char **environ;

static void fail(const char *op)
{
	fprintf(stderr, "with: %s: %s\n", op, strerror(errno));
	_exit(99);
}

static void check(int result, const char *op)
{
	if (result < 0)
		fail(op);
}

static void disposition(int sig, void (*handler)(int), const char *op)
{
	struct sigaction sa = { .sa_handler = handler };
	check(sigaction(sig, &sa, NULL), op);
}

static void mask(int how, int sig, const char *op)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, sig);
	check(sigprocmask(how, &set, NULL), op);
}

static int resource(const char *name)
{
	static const struct { const char *name; int id; } all[] = {
		{ "as", RLIMIT_AS }, { "core", RLIMIT_CORE }, { "cpu", RLIMIT_CPU },
		{ "data", RLIMIT_DATA }, { "fsize", RLIMIT_FSIZE },
		{ "locks", RLIMIT_LOCKS }, { "memlock", RLIMIT_MEMLOCK },
		{ "msgqueue", RLIMIT_MSGQUEUE }, { "nice", RLIMIT_NICE },
		{ "nofile", RLIMIT_NOFILE }, { "nproc", RLIMIT_NPROC },
		{ "rss", RLIMIT_RSS }, { "rtprio", RLIMIT_RTPRIO },
		{ "rttime", RLIMIT_RTTIME }, { "sigpending", RLIMIT_SIGPENDING },
		{ "stack", RLIMIT_STACK },
	};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (!strcmp(all[i].name, name))
			return all[i].id;
	errno = EINVAL;
	fail(name);
	return -1;
}

static rlim_t amount(const char *text)
{
	return !strcmp(text, "unlimited") ? RLIM_INFINITY : strtoull(text, NULL, 10);
}

static void limit(char *value)
{
	char *name = strtok(value, ":"), *soft = strtok(NULL, ":"), *hard = strtok(NULL, ":");
	struct rlimit wanted = { amount(soft), amount(hard) };
	check(setrlimit(resource(name), &wanted), "rlimit");
}

static void descriptor(char *value)
{
	char *path = strchr(value, ':');
	*path++ = 0;
	int wanted = atoi(value), fd = open(path, O_RDWR | O_CREAT, 0666);
	check(fd, path);
	if (fd != wanted) {
		check(dup2(fd, wanted), "open");
		close(fd);
	}
}

static void terminal(const char *path)
{
	check(setsid(), "terminal: setsid");
	int fd = open(path, O_RDWR);
	check(fd, path);
	check(ioctl(fd, TIOCSCTTY, 0), "TIOCSCTTY");
	for (int i = 0; i < 3; i++)
		check(dup2(fd, i), "terminal: dup2");
	if (fd > 2)
		close(fd);
}

static void affinity(const char *list)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	for (; *list; list++)
		if (*list != ',')
			CPU_SET(*list - '0', &set);
	check(sched_setaffinity(0, sizeof set, &set), "affinity");
}

static void put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	check(fd, path);
	check(write(fd, value, strlen(value)), path);
	close(fd);
}

static void identity(uid_t uid)
{
	check(setgroups(0, NULL), "setgroups");
	check(setresgid(uid, uid, uid), "setresgid");
	check(setresuid(uid, uid, uid), "setresuid");
}

/* A child that the command finds already there, as after `job & exec CMD`. */
static void child(unsigned milliseconds)
{
	pid_t pid = fork();
	check(pid, "fork");
	if (pid == 0) {
		usleep(milliseconds * 1000);
		_exit(5);
	}
}

static char *entries[4096];
static int count;

/* `@PID` in an entry is the process id that CMD is going to have. */
static void entry(char *text)
{
	char *at = strstr(text, "@PID");
	if (at) {
		char *filled;
		check(asprintf(&filled, "%.*s%d%s", (int)(at - text), text, getpid(), at + 4), "env");
		text = filled;
	}
	entries[count++] = text;
}

int main(int argc, char **argv)
{
	int i = 1;
	for (; i < argc && strcmp(argv[i], "--"); i++) {
		char *op = argv[i], *value = strchr(op, '=');
		if (value)
			*value++ = 0;
		if (!strcmp(op, "ignore"))
			disposition(atoi(value), SIG_IGN, op);
		else if (!strcmp(op, "default"))
			disposition(atoi(value), SIG_DFL, op);
		else if (!strcmp(op, "block"))
			mask(SIG_BLOCK, atoi(value), op);
		else if (!strcmp(op, "unblock"))
			mask(SIG_UNBLOCK, atoi(value), op);
		else if (!strcmp(op, "raise"))
			check(raise(atoi(value)), op);
		else if (!strcmp(op, "alarm"))
			alarm(atoi(value));
		else if (!strcmp(op, "close"))
			close(atoi(value));
		else if (!strcmp(op, "open"))
			descriptor(value);
		else if (!strcmp(op, "umask"))
			umask(strtoul(value, NULL, 8));
		else if (!strcmp(op, "limit"))
			limit(value);
		else if (!strcmp(op, "nice"))
			check(setpriority(PRIO_PROCESS, 0, atoi(value)), op);
		else if (!strcmp(op, "oom"))
			put("/proc/self/oom_score_adj", value);
		else if (!strcmp(op, "write")) {
			char *text = strchr(value, ':');
			*text++ = 0;
			put(value, text);
		} else if (!strcmp(op, "affinity"))
			affinity(value);
		else if (!strcmp(op, "personality"))
			check(personality(strtoul(value, NULL, 16)), op);
		else if (!strcmp(op, "slack"))
			check(prctl(PR_SET_TIMERSLACK, atol(value)), op);
		else if (!strcmp(op, "session"))
			check(setsid(), op);
		else if (!strcmp(op, "group"))
			check(setpgid(0, 0), op);
		else if (!strcmp(op, "terminal"))
			terminal(value);
		else if (!strcmp(op, "child"))
			child(atoi(value));
		else if (!strcmp(op, "uid"))
			identity(atoi(value));
		else if (!strcmp(op, "env"))
			entry(value);
		else {
			errno = EINVAL;
			fail(op);
		}
	}
	if (i + 1 >= argc) {
		errno = EINVAL;
		fail("no command");
	}
	char **command = argv + i + 1;
	if (count)
		environ = entries;
	execvp(command[0], command);
	fprintf(stderr, "with: %s: %s\n", command[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}
