/* Prints what each corner case does, one line a case. The table in docs/environment.md says
 * which of them differ from the libc at hand, and why. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What a null argument does must not be known to the compiler. */
static char *volatile null;

static void status(const char *what, int result)
{
	int error = errno;
	if (result)
		printf("%s: %d errno %s\n", what, result, error == EINVAL ? "EINVAL" : error == ENOMEM ? "ENOMEM" : "?");
	else
		printf("%s: 0\n", what);
	errno = 0;
}

static void text(const char *what, const char *value) { printf("%s: %s\n", what, value ? value : "(null)"); }

static void dump(const char *what)
{
	printf("%s:", what);
	for (char **at = environ; at && *at; at++)
		printf(" [%s]", *at);
	puts(environ ? "" : " environ is null");
}

/* Runs a case that may crash in a child. */
static void guarded(const char *what, void (*run)(void))
{
	int code;
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		run();
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, &code, 0);
	if (WIFSIGNALED(code))
		printf("%s: killed by signal %d\n", what, WTERMSIG(code));
}

static void get_null(void) { text("getenv(NULL)", getenv(null)); }
static void set_null_value(void) { status("setenv(X, NULL)", setenv("X", null, 1)); }
static void set_null(void) { status("setenv(NULL, v)", setenv(null, "v", 1)); }
static void unset_null(void) { status("unsetenv(NULL)", unsetenv(null)); }

static void free_environ(void)
{
	clearenv();
	setenv("A", "1", 1);
	setenv("B", "2", 1);
	free(environ);
	environ = 0;
	for (int at = 0; at < 200; at++) {
		char name[20];
		void *other = malloc(16 + at * 8);
		sprintf(name, "N%d", at);
		setenv(name, "x", 1);
		free(other);
	}
	text("free(environ) and on", getenv("N199"));
}

int main(void)
{
	char buffer[] = "PUT=one", equal[] = "=value", empty[] = "", bare[] = "D";
	static char *list[] = { "D=1", "NOSIGN", "D=2", "", "D=3", "EVIL=very=bad", "LAST=x", 0 };
	static char *other[] = { "O=1", 0 };
	char *before, **saved;

	/* A line at a time: a libc may die half way. */
	setvbuf(stdout, 0, _IOLBF, 0);
	environ = list;
	text("duplicates, getenv", getenv("D"));
	setenv("D", "new", 1);
	dump("duplicates, setenv");
	unsetenv("D");
	dump("duplicates, unsetenv");
	text("no sign, getenv", getenv("NOSIGN"));
	status("no sign, unsetenv", unsetenv("NOSIGN"));
	dump("no sign stays");
	setenv("NOSIGN", "v", 1);
	dump("no sign, setenv");
	text("name with sign, getenv", getenv("EVIL=very"));
	text("empty name, getenv", getenv(""));
	status("setenv empty name", setenv("", "v", 1));
	status("setenv name with sign", setenv("A=B", "v", 1));
	status("unsetenv empty name", unsetenv(""));
	status("unsetenv name with sign", unsetenv("A=B"));
	guarded("getenv(NULL)", get_null);
	guarded("setenv(X, NULL)", set_null_value);
	guarded("setenv(NULL, v)", set_null);
	guarded("unsetenv(NULL)", unset_null);

	clearenv();
	dump("clearenv");
	text("clearenv, getenv", getenv("LAST"));
	status("unsetenv in nothing", unsetenv("LAST"));
	dump("after it");
	status("putenv", putenv(buffer));
	text("putenv, getenv", getenv("PUT"));
	printf("putenv identity: %d\n", getenv("PUT") == buffer + 4);
	strcpy(buffer, "PUT=two");
	text("putenv buffer edited", getenv("PUT"));
	strcpy(buffer, "ALT=two");
	text("putenv buffer renamed", getenv("ALT"));
	text("putenv buffer renamed, old name", getenv("PUT"));
	setenv("ALT", "three", 1);
	text("setenv does not write the buffer", buffer);
	setenv("D", "v", 1);
	status("putenv without sign", putenv(bare));
	text("putenv without sign removes", getenv("D"));
	status("putenv(=value)", putenv(equal));
	dump("putenv(=value)");
	status("putenv(empty)", putenv(empty));

	clearenv();
	setenv("X", "old", 1);
	before = getenv("X");
	setenv("X", "new", 1);
	text("string after overwrite", before);
	setenv("X", "old", 1);
	printf("old value again, same string: %d\n", getenv("X") == before);
	setenv("X", "abcdef", 1);
	setenv("X", getenv("X") + 2, 1);
	text("setenv to own tail", getenv("X"));
	unsetenv("X");
	text("string after unsetenv", before);

	clearenv();
	setenv("C1", "1", 1);
	setenv("C2", "2", 1);
	setenv("C3", "3", 1);
	setenv("C2", "two", 1);
	unsetenv("C1");
	setenv("C1", "again", 1);
	dump("order");
	saved = environ;
	environ = other;
	text("assigned, getenv", getenv("O"));
	text("assigned, other", getenv("C2"));
	setenv("NEW", "v", 1);
	dump("assigned, setenv");
	printf("assigned array untouched by append: %d\n", !strcmp(other[0], "O=1") && !other[1]);
	environ = other;
	setenv("O", "2", 1);
	printf("assigned array untouched by overwrite: %d\n", !strcmp(other[0], "O=1"));
	environ = saved;
	dump("restored");
	environ++;
	dump("environ++");
	text("environ++, getenv", getenv("C2"));
	environ[0] = 0;
	text("environ[0] = NULL", getenv("C3"));
	setenv("AFTER", "v", 1);
	dump("environ[0] = NULL, setenv");
	environ = 0;
	text("environ = NULL", getenv("AFTER"));
	status("environ = NULL, unsetenv", unsetenv("AFTER"));
	setenv("AGAIN", "v", 1);
	dump("environ = NULL, setenv");
	guarded("free(environ)", free_environ);
	text("secure_getenv", secure_getenv("AGAIN"));
	return 0;
}
