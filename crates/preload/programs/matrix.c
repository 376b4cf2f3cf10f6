/* The crash matrix: one thread changes the environment in a loop while another reads it.
 *
 * matrix ROW SECONDS   runs a row; exit status 0 and a line of counts, or death, or a hang
 * matrix check         is the child of the spawning rows: checks the environment it was given
 * matrix list          prints the rows that this libc has the functions for
 * matrix churn PROGRAM ARGUMENTS…
 *                      runs a program while its /etc/resolv.conf keeps looking edited
 *
 * The main thread is the writer: the array of a C library moves only there, see the notes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libintl.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wordexp.h>

extern char **environ;

static const char *self;
static volatile int stop;
static volatile long writes, reads, misses, torn, errors, duplicates, mixed, hangs;

/* Every variable of the test has its own name as its value, between marks. */
static void set(const char *name)
{
	char value[80];
	snprintf(value, sizeof value, "<%s>", name);
	if (setenv(name, value, 1))
		errors++;
}

static int is_whole(const char *entry)
{
	const char *sign = strchr(entry, '=');
	size_t length = sign ? (size_t)(sign - entry) : 0;
	if (strncmp(entry, "MX_", 3))
		return 1;
	return sign && sign[1] == '<' && !strncmp(sign + 2, entry, length) && !strcmp(sign + 2 + length, ">");
}

/* Writers. */

/* What a program does besides: it uses memory and gives it back. An array that a library
 * reallocates grows into such memory, whose contents are not zero, and leaves some behind
 * that is used for something else at once. */
static void use_memory(void)
{
	enum { SIZES = 12 };
	void *some[SIZES];
	for (int at = 0; at < SIZES; at++) {
		size_t size = at < 4 ? 20000 : at * 200;
		some[at] = malloc(size);
		memset(some[at], 0xfb, size);
	}
	for (int at = 0; at < SIZES; at++)
		free(some[at]);
}

/* Two variables that always change together, the one that stands last first: at no instant is
 * the number of the first one the greater. */
static void step_pair(void)
{
	static int serial;
	char value[16];
	sprintf(value, "%d", ++serial);
	if (setenv("PAIR_LAST", value, 1) || setenv("PAIR_FIRST", value, 1))
		errors++;
}

static void grow(void)
{
	char name[32];
	for (int i = 0; i < 200 && !stop; i++, writes++) {
		sprintf(name, "MX_GROW_%d", i);
		set(name);
		step_pair();
		if (i % 10 == 0)
			use_memory();
	}
	for (int i = 0; i < 200; i++, writes++) {
		sprintf(name, "MX_GROW_%d", i);
		if (unsetenv(name))
			errors++;
	}
}

static void middle(void)
{
	char name[32];
	for (int i = 0; i < 20; i++, writes++) {
		sprintf(name, "MX_FRONT_%d", i);
		unsetenv(name);
		step_pair();
	}
	for (int i = 0; i < 20; i++, writes++) {
		sprintf(name, "MX_FRONT_%d", i);
		set(name);
		step_pair();
	}
}

static void grow_and_clear(void)
{
	char name[32];
	for (int i = 0; i < 200 && !stop; i++, writes++) {
		sprintf(name, "MX_GROW_%d", i);
		set(name);
		if (i % 10 == 0)
			use_memory();
	}
	clearenv();
}

static void allocate_and_set(void)
{
	for (int i = 0; i < 1000 && !stop; i++, writes++) {
		void *some[8];
		for (int j = 0; j < 8; j++)
			some[j] = malloc(100 + 3000 * j);
		for (int j = 0; j < 8; j++)
			free(some[j]);
		if (i % 100 == 0)
			set("MX_ALLOCATED");
	}
}

/* Readers. */

static void probe(const char *value)
{
	if (!value)
		misses++;
	else if (strcmp(value, "<MX_PROBE>"))
		torn++;
}

static void get_present(void) { probe(getenv("MX_PROBE")); }
static void get_missing(void) { if (getenv("MX_MISSING")) torn++; }
static void get_grown(void)
{
	const char *value = getenv("MX_GROW_150");
	if (value && strcmp(value, "<MX_GROW_150>"))
		torn++;
}
static void walk(void)
{
	int found = 0;
	for (char **at = environ; at && *at; at++) {
		if (!is_whole(*at))
			torn++;
		found += !strncmp(*at, "MX_PROBE=", 9);
	}
	if (!found)
		misses++;
}
static void call_tzset(void) { tzset(); }
static void call_localtime(void) { time_t t = 1000000000; if (!localtime(&t)) errors++; }
static void call_mktime(void) { struct tm tm = { .tm_year = 100, .tm_mday = 1 }; mktime(&tm); }
static void call_strftime(void)
{
	char text[100];
	time_t t = 1000000000;
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(text, sizeof text, "%Z %s %c", &tm);
}
static void call_setlocale(void) { setlocale(LC_ALL, ""); }
static void call_newlocale(void)
{
	locale_t locale = newlocale(LC_ALL_MASK, "", 0);
	if (locale)
		freelocale(locale);
}
static void call_gettext(void) { dcgettext("libc", "Success", LC_MESSAGES); }
static void call_getopt(void)
{
	char *arguments[] = { "program", "-a", "b", 0 };
	optind = 0;
	while (getopt(3, arguments, "a") != -1)
		;
}
static void call_wordexp(void)
{
	wordexp_t words;
	if (!wordexp("$MX_PROBE ~ word", &words, WRDE_NOCMD)) {
		probe(words.we_wordc > 0 ? words.we_wordv[0] : 0);
		wordfree(&words);
	}
}
static void call_getaddrinfo(void)
{
	struct addrinfo *found = 0;
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	if (!getaddrinfo("localhost", "80", &hints, &found))
		freeaddrinfo(found);
}

static void judge(int status)
{
	if (!WIFEXITED(status))
		errors++;
	else if (WEXITSTATUS(status) == 3)
		misses++;
	else if (WEXITSTATUS(status) == 4)
		duplicates++;
	else if (WEXITSTATUS(status) == 5)
		torn++;
	else if (WEXITSTATUS(status) == 6)
		mixed++;
	else if (WEXITSTATUS(status))
		errors++;
}
static void spawn_by(int (*spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *,
				  const posix_spawnattr_t *, char *const *, char *const *), const char *path)
{
	char *arguments[] = { "matrix", "check", 0 };
	pid_t child;
	int status;
	if (spawn(&child, path, 0, 0, arguments, environ)) {
		errors++;
		return;
	}
	waitpid(child, &status, 0);
	judge(status);
}
static void call_spawn(void) { spawn_by(posix_spawn, self); }
static void call_spawnp(void) { spawn_by(posix_spawnp, "matrix"); }

/* glibc has these from 2.39, other libcs and their headers not. */
static void spawn_pidfd_by(const char *name, const char *path)
{
	char *arguments[] = { "matrix", "check", 0 };
	siginfo_t end;
	int child, (*spawn)(int *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
			    char *const *, char *const *) = dlsym(RTLD_DEFAULT, name);
	if (!spawn || spawn(&child, path, 0, 0, arguments, environ)) {
		errors++;
		return;
	}
	/* 3 is P_PIDFD. */
	if (waitid(3, child, &end, WEXITED) || end.si_code != CLD_EXITED)
		errors++;
	else
		judge(end.si_status << 8);
	close(child);
}
static void call_pidfd_spawn(void) { spawn_pidfd_by("pidfd_spawn", self); }
static void call_pidfd_spawnp(void) { spawn_pidfd_by("pidfd_spawnp", "matrix"); }
static void call_system(void) { judge(system("exec matrix check")); }
static void call_popen(void)
{
	FILE *stream = popen("exec matrix check", "r");
	if (!stream)
		errors++;
	else
		judge(pclose(stream));
}
static void call_exec(void)
{
	pid_t child = fork();
	int status;
	if (!child) {
		execlp("matrix", "matrix", "check", (char *)0);
		_exit(9);
	}
	waitpid(child, &status, 0);
	judge(status);
}
static void fork_and_set(void)
{
	pid_t child = fork();
	int status;
	if (!child) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, 0);
		alarm(5);
		for (int i = 0; i < 20; i++)
			set("MX_CHILD");
		grow();
		unsetenv("MX_CHILD");
		probe(getenv("MX_PROBE"));
		_exit(misses || torn || errors ? 3 : 0);
	}
	misses = torn = errors = 0;
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		hangs++;
	else
		judge(status);
}

/* Handlers, run on the writer's thread. */
static void handler_get(int signal)
{
	(void)signal;
	reads++;
	probe(getenv("MX_PROBE"));
	get_grown();
}
static void handler_set(int signal)
{
	static int serial;
	char name[32];
	(void)signal;
	reads++;
	sprintf(name, "MX_HANDLER_%d", serial++ % 10);
	set(name);
	const char *value = getenv(name);
	if (!value)
		misses++;
	if (serial % 3 == 0)
		unsetenv(name);
}
static void idle(void) { usleep(1000); reads--; }

struct row {
	const char *name;
	void (*write)(void);
	void (*read)(void);
	void (*handler)(int);
};
static const struct row rows[] = {
	{ "getenv-miss", grow, get_missing, 0 },
	{ "getenv-hit", grow, get_present, 0 },
	{ "getenv-changing", grow, get_grown, 0 },
	{ "getenv-middle", middle, get_present, 0 },
	{ "walk", grow, walk, 0 },
	{ "walk-middle", middle, walk, 0 },
	{ "clear-getenv", grow_and_clear, get_grown, 0 },
	{ "clear-tzset", grow_and_clear, call_tzset, 0 },
	{ "tzset", grow, call_tzset, 0 },
	{ "localtime", grow, call_localtime, 0 },
	{ "mktime", grow, call_mktime, 0 },
	{ "strftime", grow, call_strftime, 0 },
	{ "setlocale", grow, call_setlocale, 0 },
	{ "newlocale", grow, call_newlocale, 0 },
	{ "gettext", grow, call_gettext, 0 },
	{ "getopt", grow, call_getopt, 0 },
	{ "wordexp", grow, call_wordexp, 0 },
	{ "getaddrinfo", grow, call_getaddrinfo, 0 },
	{ "posix_spawn", grow, call_spawn, 0 },
	{ "posix_spawn-middle", middle, call_spawn, 0 },
	{ "posix_spawnp", grow, call_spawnp, 0 },
	{ "pidfd_spawn", grow, call_pidfd_spawn, 0 },
	{ "pidfd_spawnp", middle, call_pidfd_spawnp, 0 },
	{ "system", middle, call_system, 0 },
	{ "popen", middle, call_popen, 0 },
	{ "exec", middle, call_exec, 0 },
	{ "fork-setenv", grow, fork_and_set, 0 },
	{ "handler-getenv", grow, idle, handler_get },
	{ "handler-setenv", grow, idle, handler_set },
	{ "handler-setenv-malloc", allocate_and_set, idle, handler_set },
};
enum { ROWS = sizeof rows / sizeof *rows };

static void *reader(void *row)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, 0);
	while (!stop) {
		((const struct row *)row)->read();
		reads++;
	}
	return 0;
}

/* Makes resolv.conf look edited, so that the resolver reads it and the environment again. */
static void *churn(void *path)
{
	for (long i = 0; !stop; i++) {
		struct timespec times[2] = { { i, 0 }, { i, 0 } };
		utimensat(AT_FDCWD, path, times, 0);
		usleep(100);
	}
	return 0;
}

/* Ends the process when the writer stands still. */
static void *watch(void *seconds)
{
	sigset_t all;
	long last = -1, still = 0, left = (long)seconds * 10;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, 0);
	for (; left > 0; left--) {
		usleep(100000);
		still = writes == last ? still + 1 : 0;
		last = writes;
		if (still > 80) {
			printf("hang\n");
			fflush(stdout);
			_exit(9);
		}
	}
	stop = 1;
	/* The rest is over in a moment. The time is counted while the process runs. */
	for (left = 200; left > 0; left--)
		usleep(100000);
	printf("hang at the end\n");
	fflush(stdout);
	_exit(9);
}

static int private_resolv_conf(char *path)
{
	int file = mkstemp(path);
	static const char text[] = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
	uid_t uid = getuid();
	if (file < 0 || write(file, text, sizeof text - 1) < 0)
		return -1;
	close(file);
	if (uid ? unshare(CLONE_NEWUSER | CLONE_NEWNS) : unshare(CLONE_NEWNS))
		return -1;
	return mount(0, "/", 0, MS_REC | MS_PRIVATE, 0) || mount(path, "/etc/resolv.conf", 0, MS_BIND, 0);
}

static int churn_beside(char **command)
{
	static char path[] = "/tmp/envward-resolv.XXXXXX";
	if (private_resolv_conf(path)) {
		perror("a private /etc/resolv.conf");
		return 65;
	}
	pid_t parent = getpid(), child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		for (long i = 0; getppid() == parent; i++) {
			struct timespec times[2] = { { i, 0 }, { i, 0 } };
			utimensat(AT_FDCWD, path, times, 0);
			usleep(200);
		}
		_exit(0);
	}
	execvp(command[0], command);
	perror(command[0]);
	return 66;
}

static int check(void)
{
	int probes = 0, others = 0;
	const char *first = getenv("PAIR_FIRST"), *last = getenv("PAIR_LAST");
	for (char **at = environ; *at; at++) {
		probes += !strncmp(*at, "MX_PROBE=", 9);
		others += !strncmp(*at, "MX_BESIDE=", 10);
		if (!is_whole(*at))
			return 5;
		for (char **before = environ; before < at; before++) {
			size_t length = strcspn(*at, "=");
			if (!strncmp(*before, *at, length + 1))
				return 4;
		}
	}
	if (probes != 1 || others != 1 || !first || !last)
		return 3;
	return atoi(first) > atoi(last) ? 6 : 0;
}

int main(int argc, char **argv)
{
	pthread_t threads[3];
	char path[] = "/tmp/envward-resolv.XXXXXX", directory[4096];
	const struct row *row = 0;
	if (argc == 2 && !strcmp(argv[1], "check"))
		return check();
	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (int at = 0; at < ROWS; at++)
			if (strncmp(rows[at].name, "pidfd_", 6) || dlsym(RTLD_DEFAULT, rows[at].name))
				puts(rows[at].name);
		return 0;
	}
	if (argc > 2 && !strcmp(argv[1], "churn"))
		return churn_beside(argv + 2);
	for (int at = 0; argc == 3 && at < ROWS; at++)
		if (!strcmp(rows[at].name, argv[1]))
			row = &rows[at];
	if (!row)
		return 64;
	ssize_t length = readlink("/proc/self/exe", directory, sizeof directory - 1);
	directory[length] = 0;
	self = strdup(directory);
	*strrchr(directory, '/') = 0;
	if (asprintf(argv, "%s:%s", directory, getenv("PATH") ? getenv("PATH") : "/bin") < 0)
		return 1;
	setenv("PATH", argv[0], 1);
	for (int i = 0; i < 20; i++) {
		char name[32];
		sprintf(name, "MX_FRONT_%d", i);
		set(name);
	}
	setenv("PAIR_FIRST", "0", 1);
	set("MX_PROBE");
	set("MX_BESIDE");
	for (int i = 0; i < 30; i++) {
		char name[32];
		sprintf(name, "MX_BETWEEN_%d", i);
		set(name);
	}
	setenv("PAIR_LAST", "0", 1);
	/* In the C locale gettext does not look at the environment. */
	if (!strcmp(row->name, "gettext"))
		setlocale(LC_ALL, "C.UTF-8");
	int resolves = !strcmp(row->name, "getaddrinfo");
	if (resolves && private_resolv_conf(path)) {
		perror("a private /etc/resolv.conf");
		return 65;
	}
	pthread_create(&threads[0], 0, watch, (void *)atol(argv[2]));
	if (resolves)
		pthread_create(&threads[1], 0, churn, path);
	pthread_create(&threads[2], 0, reader, (void *)row);
	if (row->handler) {
		struct sigaction action = { .sa_handler = row->handler };
		struct itimerval often = { { 0, 50 }, { 0, 50 } };
		sigaction(SIGALRM, &action, 0);
		setitimer(ITIMER_REAL, &often, 0);
	}
	while (!stop)
		row->write();
	if (row->handler) {
		struct itimerval never = { { 0, 0 }, { 0, 0 } };
		setitimer(ITIMER_REAL, &never, 0);
	}
	pthread_join(threads[2], 0);
	if (resolves)
		unlink(path);
	printf("writes=%ld reads=%ld misses=%ld torn=%ld errors=%ld duplicates=%ld mixed=%ld hangs=%ld\n", writes,
	       reads, misses, torn, errors, duplicates, mixed, hangs);
	return misses || torn || errors || duplicates || mixed || hangs ? 2 : 0;
}
