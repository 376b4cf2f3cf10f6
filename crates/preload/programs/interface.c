/* The functions of envward.h: what the draft promises, and what this library promises more.
 * Prints nothing and returns 0, or says which line failed. */
#define _GNU_SOURCE
#include <envward.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define CHECK(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			exit(1); \
		} \
	} while (0)

static void held_strings_stay(void)
{
	setenv("HELD", "first", 1);
	const char *one = env_lookup("HELD");
	const char *two = env_lookup("HELD");
	CHECK(one && !strcmp(one, "HELD=first") && one == two);
	for (int at = 0; at < 100000; at++) {
		char value[20];
		sprintf(value, "%d", at);
		setenv("HELD", value, 1);
	}
	CHECK(!strcmp(one, "HELD=first"));
	env_release(one);
	CHECK(!strcmp(two, "HELD=first"));
	env_release(two);
	CHECK(!strcmp(getenv("HELD"), "99999"));
	CHECK(!env_lookup("MISSING") && !env_lookup("") && !env_lookup("A=B"));
	env_release(0);
}

static void a_held_string_is_put_back(void)
{
	setenv("TZ", "Europe/Paris", 1);
	char *old = (char *)env_lookup("TZ");
	setenv("TZ", "Pacific/Samoa", 1);
	CHECK(!strcmp(getenv("TZ"), "Pacific/Samoa"));
	CHECK(!putenv(old));
	CHECK(!strcmp(getenv("TZ"), "Europe/Paris"));
}

static void iteration_is_a_snapshot(void)
{
	int seen = 0;
	const char *entry, *held = 0;
	clearenv();
	for (int at = 0; at < 300; at++) {
		char name[20];
		sprintf(name, "V%d", at);
		setenv(name, "before", 1);
	}
	ENV_ITER *iter = env_iter(), *second = env_iter();
	CHECK(iter && second && iter != second);
	/* The draft forbids changes now; here they are allowed. */
	while ((entry = env_next(iter))) {
		char name[20], expected[30];
		sprintf(name, "V%d", seen);
		sprintf(expected, "V%d=before", seen);
		CHECK(!strcmp(entry, expected));
		setenv(name, "after", 1);
		unsetenv(name);
		if (seen == 7)
			held = entry;
		else
			env_release(entry);
		seen++;
	}
	CHECK(seen == 300 && !env_next(iter) && !env_next(iter));
	env_iter_close(iter);
	CHECK(!strcmp(held, "V7=before"));
	env_release(held);
	entry = env_next(second);
	CHECK(entry && !strcmp(entry, "V0=before"));
	env_iter_close(second);
	CHECK(!strcmp(entry, "V0=before"));
	env_release(entry);
	iter = env_iter();
	CHECK(!env_next(iter));
	env_iter_close(iter);
	env_iter_close(0);
}

static void *use_iteration(void *iter)
{
	const char *entry = env_next(iter);
	CHECK(entry && !strcmp(entry, "B=2"));
	env_release(entry);
	env_iter_close(iter);
	return 0;
}

static void an_iteration_may_change_threads(void)
{
	pthread_t thread;
	clearenv();
	setenv("A", "1", 1);
	setenv("B", "2", 1);
	ENV_ITER *iter = env_iter();
	const char *first = env_next(iter);
	pthread_create(&thread, 0, use_iteration, iter);
	pthread_join(thread, 0);
	CHECK(!strcmp(first, "A=1"));
	env_release(first);
}

static void everything_is_replaced(void)
{
	clearenv();
	setenv("KEPT", "value", 1);
	setenv("GONE", "value", 1);
	const char **fresh = malloc(4 * sizeof *fresh);
	fresh[0] = env_lookup("KEPT");
	fresh[1] = strdup("NEW=1");
	fresh[2] = strdup("OTHER=2");
	fresh[3] = 0;
	const char *kept = fresh[0];
	env_replace_all(fresh);
	CHECK(!strcmp(environ[0], "KEPT=value") && environ[0] == kept);
	CHECK(!strcmp(environ[1], "NEW=1") && !strcmp(environ[2], "OTHER=2") && !environ[3]);
	CHECK(!getenv("GONE") && !strcmp(getenv("NEW"), "1"));
	fresh = malloc(sizeof *fresh);
	fresh[0] = 0;
	env_replace_all(fresh);
	CHECK(!environ || !environ[0]);
}

static void getenv_r_copies(void)
{
	char buffer[8];
	setenv("R", "1234567", 1);
	CHECK(!getenv_r("R", buffer, 8) && !strcmp(buffer, "1234567"));
	errno = 0;
	CHECK(getenv_r("R", buffer, 7) == -1 && errno == ERANGE);
	errno = 0;
	CHECK(getenv_r("MISSING", buffer, 8) == -1 && errno == ENOENT);
}

static void putenv_keeps_its_buffer(void)
{
	char buffer[] = "BUF=abc";
	CHECK(!putenv(buffer) && getenv("BUF") == buffer + 4);
	const char *held = env_lookup("BUF");
	CHECK(held != buffer && !strcmp(held, "BUF=abc"));
	strcpy(buffer, "BUF=xyz");
	CHECK(!strcmp(held, "BUF=abc") && !strcmp(getenv("BUF"), "xyz"));
	env_release(held);
	ENV_ITER *iter = env_iter();
	const char *entry;
	int found = 0;
	while ((entry = env_next(iter))) {
		found += !strcmp(entry, "BUF=xyz") && entry != buffer;
		env_release(entry);
	}
	env_iter_close(iter);
	CHECK(found == 1);
	unsetenv("BUF");
	/* The value of a variable may itself look like an entry. */
	setenv("OUTER", "INNER=deep", 1);
	CHECK(!putenv(getenv("OUTER")));
	CHECK(!strcmp(getenv("INNER"), "deep"));
	unsetenv("OUTER");
	CHECK(!strcmp(getenv("INNER"), "deep"));
	unsetenv("INNER");
}

static volatile sig_atomic_t handled;
static void handler(int signal)
{
	char value[20];
	(void)signal;
	sprintf(value, "%d", (int)handled);
	CHECK(!setenv("FROM_HANDLER", value, 1));
	const char *held = env_lookup("FROM_HANDLER");
	CHECK(held && !strcmp(held + 13, value));
	env_release(held);
	handled++;
}

static void handlers_may_change_it(void)
{
	struct sigaction action = { .sa_handler = handler };
	sigaction(SIGUSR1, &action, 0);
	for (int at = 0; at < 1000; at++)
		raise(SIGUSR1);
	CHECK(handled == 1000 && !strcmp(getenv("FROM_HANDLER"), "999"));
}

static void null_is_an_error(void)
{
	static char *volatile null;
	char buffer[8];
	errno = 0;
	CHECK(putenv(null) == -1 && errno == EINVAL);
	CHECK(!env_lookup(null) && getenv_r("MISSING", null, 0) == -1);
	CHECK(getenv_r("", buffer, 8) == -1 && errno == ENOENT);
}

static void spawned_sees(int status) { CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7); }

/* glibc has these from 2.39. Where libc has none, ours say so; in a static program there are none. */
static void pidfd_spawn_gets_it(const char *name, const char *path, char *const *arguments)
{
	siginfo_t end;
	int child, (*spawn)(int *, const char *, const void *, const void *, char *const *, char *const *) =
		dlsym(RTLD_DEFAULT, name);
	if (!spawn)
		return;
	int failed = spawn(&child, path, 0, 0, arguments, environ);
	if (failed == ENOSYS)
		return;
	/* 3 is P_PIDFD. */
	CHECK(!failed && !waitid(3, child, &end, WEXITED) && end.si_code == CLD_EXITED && end.si_status == 7);
	close(child);
}

static void children_get_it(void)
{
	char *const arguments[] = { "sh", "-c", "[ \"$CHILD\" = yes ] && exit 7", 0 };
	int status;
	pid_t child;
	setenv("CHILD", "yes", 1);
	setenv("PATH", "/nonexistent:/usr/bin:/bin", 1);
	CHECK(!posix_spawn(&child, "/bin/sh", 0, 0, arguments, environ));
	CHECK(waitpid(child, &status, 0) == child);
	spawned_sees(status);
	CHECK(!posix_spawnp(&child, "sh", 0, 0, arguments, environ));
	CHECK(waitpid(child, &status, 0) == child);
	spawned_sees(status);
	pidfd_spawn_gets_it("pidfd_spawn", "/bin/sh", arguments);
	pidfd_spawn_gets_it("pidfd_spawnp", "sh", arguments);
	spawned_sees(system(arguments[2]));
	CHECK(system(0));
	FILE *stream = popen(arguments[2], "r");
	CHECK(stream);
	spawned_sees(pclose(stream));
	for (int which = 0; which < 13; which++) {
		int shell = open("/bin/sh", O_RDONLY | O_CLOEXEC);
		if (which >= 10 ? !(child = vfork()) : !(child = fork())) {
			char *const only[] = { "CHILD=yes", 0 };
			char *const nothing[] = { 0 };
			switch (which) {
			case 0: execv("/bin/sh", arguments); break;
			case 1: execve("/bin/sh", arguments, environ); break;
			case 2: execvp("sh", arguments); break;
			case 3: execvpe("sh", arguments, environ); break;
			case 4: execl("/bin/sh", "sh", "-c", arguments[2], (char *)0); break;
			case 5: execlp("sh", "sh", "-c", arguments[2], (char *)0); break;
			case 6: execle("/bin/sh", "sh", "-c", arguments[2], "1", "2", "3", "4", "5", (char *)0, only); break;
			case 7: execvpe("sh", arguments, only); break;
			case 8:
				/* Without the variable the shell exits with another status. */
				if (!fork())
					execve("/bin/sh", arguments, nothing);
				wait(&status);
				_exit(WEXITSTATUS(status) == 1 ? 7 : 9);
			case 9: fexecve(shell, arguments, environ); break;
			case 10: execvp("sh", arguments); break;
			case 11: execlp("sh", "sh", "-c", arguments[2], (char *)0); break;
			case 12: fexecve(shell, arguments, only); break;
			}
			_exit(9);
		}
		CHECK(waitpid(child, &status, 0) == child);
		spawned_sees(status);
		close(shell);
	}
	errno = 0;
	CHECK(fexecve(-1, arguments, environ) == -1 && errno == EINVAL);
	if (!(child = fork())) {
		execlp("no-such-program", "x", (char *)0);
		_exit(errno == ENOENT ? 7 : 9);
	}
	waitpid(child, &status, 0);
	spawned_sees(status);
}

int main(void)
{
	held_strings_stay();
	a_held_string_is_put_back();
	iteration_is_a_snapshot();
	an_iteration_may_change_threads();
	everything_is_replaced();
	getenv_r_copies();
	putenv_keeps_its_buffer();
	handlers_may_change_it();
	null_is_an_error();
	children_get_it();
	return 0;
}
