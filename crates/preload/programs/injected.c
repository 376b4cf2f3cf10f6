/* Under `envward run` with the library: what becomes of a secret that the program changes.
 *
 * injected NAME COMMAND  runs the command in every way that hands `environ` on, then prints
 *                        nothing itself and returns 0, or says which line failed */
#define _GNU_SOURCE
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

/* Whether an address is in a mapping with all these flags of smaps, or of this name. */
static int is_in(const void *address, const char *flags, const char *name)
{
	unsigned long from, to, at = (unsigned long)address;
	char line[4096], mapping[4096] = "";
	int here = 0, result = 0;
	FILE *file = fopen("/proc/self/smaps", "r");
	CHECK(file);
	while (fgets(line, sizeof line, file)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
			here = from <= at && at < to;
			strcpy(mapping, line);
		} else if (here && !strncmp(line, "VmFlags:", 8)) {
			result = name ? !!strstr(mapping, name) : 1;
			for (const char *flag = flags; *flag; flag += 3) {
				char one[5] = { ' ', flag[0], flag[1], ' ', 0 };
				result = result && strstr(line, one);
			}
		}
	}
	fclose(file);
	return result;
}

/* The environment's array, secrets and all, to a program that looks at its own. */
static void hand_on(char *command)
{
	char *arguments[] = { "sh", "-c", command, 0 }, line[64];
	int status;
	pid_t child;
	CHECK(!posix_spawn(&child, "/bin/sh", 0, 0, arguments, environ));
	CHECK(waitpid(child, &status, 0) == child && !status);
	CHECK(!system(command));
	FILE *stream = popen(command, "r");
	CHECK(stream && fgets(line, sizeof line, stream));
	CHECK(!pclose(stream));
	fputs(line, stdout);
	fflush(stdout);
	if (!(child = fork())) {
		execv("/bin/sh", arguments);
		_exit(9);
	}
	CHECK(waitpid(child, &status, 0) == child && !status);
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	char *secret = getenv(argv[1]);
	CHECK(secret && is_in(secret, "", "secretmem"));
	setenv("ORDINARY", "value", 1);
	CHECK(getenv(argv[1]) == secret);
	/* The array has the very pointer, which is how the supervisor knows it. */
	int found = 0;
	for (char **at = environ; *at; at++)
		found += *at == secret - strlen(argv[1]) - 1;
	CHECK(found == 1);
	hand_on(argv[2]);
	setenv(argv[1], "changed-by-the-program", 1);
	CHECK(!strcmp(getenv(argv[1]), "changed-by-the-program"));
	CHECK(is_in(getenv(argv[1]), "lo dd ", 0));
	CHECK(!is_in(getenv("ORDINARY"), "lo ", 0));
	return 0;
}
