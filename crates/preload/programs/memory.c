/* Does something a million times and prints by how many bytes the process has grown: in the
 * resident set, and in the address space.
 *
 * memory distinct|pairs|overwrite|getenv ROUNDS */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((weak)) const char *env_lookup(const char *);
__attribute__((weak)) void env_release(const char *);

static long pages(int which)
{
	long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2)
		abort();
	fclose(file);
	return (which ? resident : size) * sysconf(_SC_PAGESIZE);
}

static void round_of(const char *what, long at)
{
	char value[40];
	sprintf(value, "distinct-value-%ld", at);
	if (!strcmp(what, "distinct")) {
		setenv("VARIABLE", value, 1);
		if (env_lookup) {
			const char *entry = env_lookup("VARIABLE");
			if (strcmp(entry + 9, value))
				abort();
			env_release(entry);
		}
	} else if (!strcmp(what, "pairs")) {
		setenv("PAIR", "value", 1);
		unsetenv("PAIR");
	} else if (!strcmp(what, "overwrite")) {
		setenv("VARIABLE", value, 1);
	} else {
		setenv("VARIABLE", at & 1 ? "one" : "two", 1);
		if (!getenv("VARIABLE"))
			abort();
	}
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 64;
	clearenv();
	for (int at = 0; at < 50; at++) {
		char name[20];
		sprintf(name, "FILL_%d", at);
		setenv(name, "some value", 1);
	}
	long size = pages(0), resident = pages(1), rounds = atol(argv[2]);
	for (long at = 0; at < rounds; at++)
		round_of(argv[1], at);
	printf("resident %ld mapped %ld\n", pages(1) - resident, pages(0) - size);
	return 0;
}
