/* Starts itself by a function of libc's, and looks at what the child was given.
 *
 * handed FUNCTION   posix_spawn, posix_spawnp, pidfd_spawn or pidfd_spawnp
 *
 * Prints the version of libc, whether the child has PT_SECRET, and whether its environ file
 * holds the value. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static int look(void)
{
	static char file[1 << 20];
	const char *value = getenv("PT_SECRET");
	FILE *stream = fopen("/proc/self/environ", "r");
	if (!stream)
		return 1;
	size_t length = fread(file, 1, sizeof file, stream);
	fclose(stream);
	printf("%s: %s, %s\n", gnu_get_libc_version(), value && *value ? "there" : "missing",
	       length && value && memmem(file, length, value, strlen(value)) ? "exposed" : "clean");
	return 0;
}

int main(int argc, char **argv)
{
	char *arguments[] = { argv[0], "look", 0 };
	int child, (*spawn)(int *, const char *, const void *, const void *, char *const *, char *const *);
	if (argc != 2)
		return 64;
	if (!strcmp(argv[1], "look"))
		return look();
	spawn = dlsym(RTLD_DEFAULT, argv[1]);
	int failed = spawn ? spawn(&child, argv[0], 0, 0, arguments, environ) : -1;
	if (failed)
		printf("%s: error %d\n", argv[1], failed);
	while (wait(0) > 0)
		;
	return failed != 0;
}
