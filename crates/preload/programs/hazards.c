/* What libc, linkers and programs do to `environ` behind the library's back. Prints nothing and
 * returns 0, or says which line failed. Built for each way in which a program binds `environ`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wordexp.h>

extern char **environ;

#define CHECK(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			exit(1); \
		} \
	} while (0)

static const char *walked(const char *name)
{
	size_t length = strlen(name);
	for (char **at = environ; at && *at; at++)
		if (!strncmp(*at, name, length) && (*at)[length] == '=')
			return *at + length + 1;
	return 0;
}

static int hour(void)
{
	time_t time = 1000000000;
	tzset();
	return localtime(&time)->tm_hour;
}

/* The program, libc's own readers and the library have one `environ`. */
static void all_see_one_variable(void)
{
	char *assigned[] = { "ASSIGNED=x", "TZ=UTC-3", 0 }, **saved;
	setenv("BOUND", "yes", 1);
	CHECK(walked("BOUND") == getenv("BOUND"));
	setenv("TZ", "UTC0", 1);
	int here = hour();
	setenv("TZ", "UTC-5", 1);
	CHECK(hour() == here + 5);
	CHECK(system("test \"$BOUND\" = yes") == 0);
	saved = environ;
	environ = assigned;
	CHECK(!strcmp(getenv("ASSIGNED"), "x") && !getenv("BOUND") && hour() == here + 3);
	environ = saved;
	CHECK(!strcmp(getenv("BOUND"), "yes") && hour() == here + 5);
	unsetenv("TZ");
	CHECK(!walked("TZ"));
}

/* musl has a shell expand the words. */
#ifdef __GLIBC__
enum { ROUNDS = 2000 };
#else
enum { ROUNDS = 40 };
#endif

/* glibc assigns the variable by its own `setenv`, into an array that it reallocates. */
static void wordexp_assigns(void)
{
	wordexp_t words;
	for (int at = 0; at < ROUNDS; at++) {
		char name[30], expression[60];
		sprintf(name, "WORD_%d", at % 40);
		sprintf(expression, "${%s:=v%d}", name, at);
		unsetenv(name);
		CHECK(!wordexp(expression, &words, 0) && words.we_wordc == 1);
#ifdef __GLIBC__
		CHECK(!strcmp(getenv(name), words.we_wordv[0]));
		CHECK(walked(name) && walked("BOUND"));
#endif
		wordfree(&words);
		CHECK(!setenv(name, "mine", 1) && !strcmp(getenv(name), "mine"));
	}
	setenv("FOR_WORD", "a b", 1);
	CHECK(!wordexp("$FOR_WORD", &words, WRDE_NOCMD) && words.we_wordc == 2);
	wordfree(&words);
}

/* Another namespace has a libc of its own, which starts with our array. */
static void another_namespace_goes_on(void)
{
#ifdef __GLIBC__
	setenv("SHARED", "old", 1);
	void *libc = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
	CHECK(libc);
	char *(*get)(const char *) = dlsym(libc, "getenv");
	int (*set)(const char *, const char *, int) = dlsym(libc, "setenv");
	char ***theirs = dlsym(libc, "environ");
	CHECK(get && set && theirs && get != getenv);
	CHECK(!strcmp(get("SHARED"), "old"));
	for (int round = 0; round < 20000; round++) {
		char name[30];
		sprintf(name, "NEW_%d", round % 300);
		setenv(name, "x", 1);
		unsetenv(name);
		setenv("SHARED", round % 2 ? "one" : "two", 1);
		/* Their array is an old one of ours: whole, whatever it holds by now. */
		if (round % 100 == 0) {
			for (char **at = *theirs; *at; at++)
				CHECK(strchr(*at, '='));
			get("SHARED");
		}
	}
	CHECK(!set("THEIRS", "x", 1) && !strcmp(get("THEIRS"), "x"));
	CHECK(!getenv("THEIRS") && getenv("SHARED"));
	CHECK(!setenv("OURS", "x", 1) && !get("OURS"));
#endif
}

static void streams_are_those_of_libc(void)
{
	char line[32];
	enum { MANY = 300 };
	static FILE *many[MANY];
	struct rlimit files = { 4096, 4096 };
	errno = 0;
	CHECK(!popen("true", "x") && errno == EINVAL);
	setenv("IN_STREAM", "seen", 1);
	FILE *read = popen("printf %s \"$IN_STREAM\"; exit 3", "r");
	CHECK(read && fgets(line, sizeof line, read) && !strcmp(line, "seen"));
	CHECK(!(fcntl(fileno(read), F_GETFD) & FD_CLOEXEC));
	CHECK(WEXITSTATUS(pclose(read)) == 3);
	read = popen("true", "re");
	CHECK(fcntl(fileno(read), F_GETFD) & FD_CLOEXEC);
	CHECK(!pclose(read));
	/* A later shell does not keep an earlier one's stream open. */
	FILE *first = popen("cat > /dev/null", "w"), *second = popen("cat > /dev/null", "w");
	CHECK(first && second && fputs("x", first) >= 0);
	CHECK(!pclose(first) && !pclose(second));
	/* A program that closes a stream by the wrong function goes on. */
	for (int at = 0; at < 5; at++) {
		first = popen("exec cat", "w");
		CHECK(first && !fclose(first));
		wait(0);
	}
	first = popen("exit 4", "r");
	CHECK(WEXITSTATUS(pclose(first)) == 4);
	/* The first one closed first: no later shell has it. */
	setrlimit(RLIMIT_NOFILE, &files);
	for (int at = 0; at < MANY; at++)
		CHECK((many[at] = popen("exec cat > /dev/null", "w")));
	for (int at = 0; at < MANY; at++)
		CHECK(!pclose(many[at]));
	/* Where the shell's end has the number that it is to have. */
	pid_t child = fork();
	if (!child) {
		close(0);
		close(1);
		first = popen("printf x", "r");
		_exit(first && fgetc(first) == 'x' && !pclose(first) ? 7 : 9);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
}

/* Arrays beyond what is copied on the stack. */
static void large_environments_are_passed(void)
{
	static const int sizes[] = { 100, 127, 128, 129, 900, 1023, 1024, 1025, 3000 };
	for (unsigned at = 0; at < sizeof sizes / sizeof *sizes; at++) {
		int status;
		pid_t child = fork();
		if (!child) {
			char name[30], command[80];
			clearenv();
			setenv("PATH", "/usr/bin:/bin", 1);
			for (int made = 1; made < sizes[at]; made++) {
				sprintf(name, "L_%d", made);
				setenv(name, "x", 1);
			}
			sprintf(command, "test \"$(tr '\\0' '\\n' < /proc/$$/environ | grep -c =)\" = %d && exit 7", sizes[at]);
			execlp("sh", "sh", "-c", command, (char *)0);
			_exit(9);
		}
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	}
}

int main(void)
{
	all_see_one_variable();
	wordexp_assigns();
	large_environments_are_passed();
	streams_are_those_of_libc();
	another_namespace_goes_on();
	return 0;
}
