/*
 * The program under observation: tells what it finds and what reaches it.
 * C, because a Rust main() has already touched signal dispositions and
 * descriptors 0 to 2 by the time that it can look at them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "probe.h"

extern char **environ;

static void copy_lines(FILE *out, const char *path, const char *const *prefixes)
{
	char line[4096];
	FILE *in = fopen(path, "re");
	if (!in) {
		fprintf(out, "%s: errno %d\n", path, errno);
		return;
	}
	while (fgets(line, sizeof line, in))
		for (const char *const *p = prefixes; *p; p++)
			if (!strncmp(line, *p, strlen(*p)))
				fputs(line, out);
	fclose(in);
}

static void report_descriptors(FILE *out)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int mine[1024] = { 0 };
	if (!dir) {
		fprintf(out, "fd: errno %d\n", errno);
		return;
	}
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.' && atoi(e->d_name) < 1024)
			mine[atoi(e->d_name)] = 1;
	for (int fd = 0; fd < 1024; fd++) {
		char link[64], target[4096];
		if (!mine[fd] || fd == dirfd(dir) || fd == fileno(out))
			continue;
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, target, sizeof target - 1);
		target[n < 0 ? 0 : n] = 0;
		fprintf(out, "fd %d %s flags %#x cloexec %d\n", fd, target, fcntl(fd, F_GETFL),
			fcntl(fd, F_GETFD));
	}
	closedir(dir);
}

static void report_limits(FILE *out)
{
	for (int i = 0; i < RLIMIT_NLIMITS; i++) {
		struct rlimit r;
		getrlimit(i, &r);
		fprintf(out, "limit %d %llu %llu\n", i, (unsigned long long)r.rlim_cur,
			(unsigned long long)r.rlim_max);
	}
}

static void report_signals(FILE *out)
{
	static const char *const lines[] = { "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", NULL };
	copy_lines(out, "/proc/self/status", lines);
	for (int sig = 1; sig < 65; sig++) {
		struct sigaction sa;
		if (!sigaction(sig, NULL, &sa) && (sa.sa_handler != SIG_DFL || sa.sa_flags))
			fprintf(out, "action %d %s flags %#x\n", sig,
				sa.sa_handler == SIG_IGN ? "ignored" :
				sa.sa_handler == SIG_DFL ? "default" : "handler", sa.sa_flags);
	}
	stack_t stack;
	sigaltstack(NULL, &stack);
	fprintf(out, "alternate stack flags %d\n", stack.ss_flags);
}

static void report_identity(FILE *out)
{
	static const char *const lines[] = {
		"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
		"Cpus_allowed_list", "Mems_allowed_list", "Speculation", "THP_enabled", "CoreDumping",
		"Umask", "TracerPid", NULL };
	copy_lines(out, "/proc/self/status", lines);
	fprintf(out, "securebits %#x\n", prctl(PR_GET_SECUREBITS));
	fprintf(out, "subreaper %d\n", ({ int v = -1; prctl(PR_GET_CHILD_SUBREAPER, &v); v; }));
}

static void report_scheduling(FILE *out)
{
	cpu_set_t set;
	sched_getaffinity(0, sizeof set, &set);
	fprintf(out, "affinity");
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			fprintf(out, " %d", i);
	struct sched_param param = { 0 };
	sched_getparam(0, &param);
	fprintf(out, "\npolicy %d priority %d nice %d\n", sched_getscheduler(0),
		param.sched_priority, getpriority(PRIO_PROCESS, 0));
	fprintf(out, "ioprio %ld\n", syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0));
	fprintf(out, "slack %d\n", prctl(PR_GET_TIMERSLACK));
}

static void report_files(FILE *out)
{
	static const char *const all[] = { "/proc/self/oom_score_adj", "/proc/self/cgroup",
		"/proc/self/cpuset", "/proc/self/comm", "/proc/self/timens_offsets",
		"/proc/self/coredump_filter", NULL };
	for (const char *const *p = all; *p; p++) {
		static const char *const every[] = { "", NULL };
		fprintf(out, "%s:\n", *p);
		copy_lines(out, *p, every);
	}
	static const char *const spaces[] = { "cgroup", "ipc", "mnt", "net", "pid", "user", "uts", NULL };
	for (const char *const *p = spaces; *p; p++) {
		char path[64], target[128];
		snprintf(path, sizeof path, "/proc/self/ns/%s", *p);
		ssize_t n = readlink(path, target, sizeof target - 1);
		target[n < 0 ? 0 : n] = 0;
		fprintf(out, "namespace %s\n", target);
	}
}

static void report_session(FILE *out)
{
	char stat[1024] = "";
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, stat, sizeof stat - 1);
	close(fd);
	stat[n < 0 ? 0 : n] = 0;
	char *rest = strrchr(stat, ')');
	int ppid = 0, group = 0, session = 0, tty = 0, foreground = 0;
	if (rest)
		sscanf(rest + 3, " %d %d %d %d %d", &ppid, &group, &session, &tty, &foreground);
	fprintf(out, "id pid %d\nid pgrp %d\nid sid %d\nid foreground %d\n", getpid(), group, session,
		foreground);
	fprintf(out, "tty %d\n", tty);
}

static void report_auxv(FILE *out)
{
	/* The values that do not depend on where things were mapped. */
	static const struct { int tag; const char *name; } values[] = {
		{ AT_SECURE, "secure" }, { AT_UID, "uid" }, { AT_EUID, "euid" }, { AT_GID, "gid" },
		{ AT_EGID, "egid" }, { AT_PAGESZ, "pagesz" }, { AT_PHNUM, "phnum" },
		{ AT_PHENT, "phent" }, { AT_CLKTCK, "clktck" }, { AT_HWCAP, "hwcap" },
		{ AT_HWCAP2, "hwcap2" }, { AT_FLAGS, "flags" }, { AT_MINSIGSTKSZ, "minsigstksz" } };
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		fprintf(out, "auxv %s %#lx\n", values[i].name, getauxval(values[i].tag));
	fprintf(out, "auxv execfn %s platform %s\n", (char *)getauxval(AT_EXECFN),
		(char *)getauxval(AT_PLATFORM));
	fprintf(out, "auxv order");
	char **p = environ;
	while (*p)
		p++;
	for (unsigned long *a = (unsigned long *)(p + 1); *a; a += 2)
		fprintf(out, " %lu", *a);
	fprintf(out, "\n");
	unsigned char *random = (unsigned char *)getauxval(AT_RANDOM);
	fprintf(out, "auxv random %d\n", random && (random[0] | random[1] | random[2] | random[3]));
}

/* Everything that a program can find out about how it was started. */
static int report(int argc, char **argv)
{
	FILE *out = fopen(argv[2], "we");
	if (!out)
		return 98;
	for (int i = 0; i < argc; i++)
		fprintf(out, "argv %d %s\n", i, argv[i]);
	report_descriptors(out);
	report_limits(out);
	report_signals(out);
	report_identity(out);
	report_scheduling(out);
	report_files(out);
	report_session(out);
	report_auxv(out);
	char cwd[4096];
	fprintf(out, "cwd %s\n", getcwd(cwd, sizeof cwd) ? cwd : "?");
	fprintf(out, "personality %#x\n", personality(0xffffffff));
	char exe[4096] = "";
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	fprintf(out, "exe %.*s\n", (int)(n < 0 ? 0 : n), exe);
	/* argv[0] lies on the initial stack; envp follows argv and its NULL. */
	fprintf(out, "stack adjacent %d aligned %d\n", (char **)environ == argv + argc + 1,
		(uintptr_t)(argv - 1) % 16 == 0);
	return fclose(out) ? 98 : 0;
}

/* The environment as the program walks it, one entry a record, NUL-separated. Says its pid. */
static int environment(char **argv)
{
	FILE *out = fopen(argv[2], "we");
	if (!out)
		return 98;
	for (char **p = environ; *p; p++)
		fwrite(*p, 1, strlen(*p) + 1, out);
	say("up %d\n", getpid());
	return fclose(out) ? 98 : 0;
}

/* holds NAME FILE: does getenv(NAME) equal the bytes of FILE? Prints nothing. */
static int holds(char **argv)
{
	char wanted[65536];
	char *value = getenv(argv[2]);
	int fd = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 98;
	ssize_t n = read(fd, wanted, sizeof wanted);
	close(fd);
	return value && n >= 0 && strlen(value) == (size_t)n && !memcmp(value, wanted, n) ? 0 : 1;
}

static int die(int sig)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;
	setrlimit(RLIMIT_CORE, &none);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), sig);
	sleep(5);
	return 97;
}

/* spawn CMD...: a child that is CMD, with nothing changed on the way. */
static int spawn(char **argv)
{
	pid_t pid = fork();
	int status = 0;
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		_exit(95);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 94;
}

/* queue PID SIGNAL COUNT: sends COUNT signals with the values 1..COUNT. */
static int queue(char **argv)
{
	for (int i = 1; i <= atoi(argv[4]); i++)
		if (sigqueue(atoi(argv[2]), atoi(argv[3]), (union sigval){ .sival_int = i }))
			return 98;
	return 0;
}

/* orphans N: N grandchildren that lose their parent, then end. */
static int orphans(int n)
{
	for (int i = 0; i < n; i++) {
		pid_t middle = fork();
		if (middle == 0) {
			if (fork() == 0) {
				usleep(50 * 1000);
				_exit(9);
			}
			_exit(0);
		}
		waitpid(middle, NULL, 0);
	}
	say("up\n");
	wait_for_end();
	return 0;
}

static int terminal(void)
{
	struct winsize size = { 0 };
	ioctl(0, TIOCGWINSZ, &size);
	say("tty %d%d%d size %dx%d foreground %d ctty %d\n", isatty(0), isatty(1), isatty(2),
	    size.ws_row, size.ws_col, tcgetpgrp(0) == getpgrp(), open("/dev/tty", O_RDWR) >= 0);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "report"))
		return report(argc, argv);
	if (!strcmp(what, "environment"))
		return environment(argv);
	if (!strcmp(what, "holds"))
		return holds(argv);
	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	if (!strcmp(what, "die"))
		return die(atoi(argv[2]));
	if (!strcmp(what, "signals"))
		return signals(argc, argv);
	if (!strcmp(what, "wait")) {
		say("up %d\n", getpid());
		wait_for_end();
		return 0;
	}
	if (!strcmp(what, "spawn"))
		return spawn(argv);
	if (!strcmp(what, "queue"))
		return queue(argv);
	if (!strcmp(what, "orphans"))
		return orphans(atoi(argv[2]));
	if (!strcmp(what, "terminal"))
		return terminal();
	if (!strcmp(what, "notify"))
		return notify(argc, argv);
	say("probe: what?\n");
	return 98;
}
