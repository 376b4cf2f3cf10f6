/*
 * The program under attack. Linked statically and at a fixed address, so that
 * an attacker knows where everything is; copies its environment nowhere.
 *
 *   victim hold      waits
 *   victim title     sets its process title over its arguments first
 *   victim memfd     keeps the secret in an open memfd_secret
 *   victim shared    keeps the secret in an open, ordinary memfd
 *   victim spin      computes, looking for the end now and then
 *   victim seal      makes itself non-dumpable, as soon as a program can
 *
 * Prints `ready PID ADDRESS STATE`: an address in its data, and whether what
 * stands there is still what was compiled in.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Volatile: what matters is what is in memory, not what was compiled. */
static volatile char mark[] = "intact, as it was compiled";

static void keep(int fd)
{
	const char *value = getenv("API_TOKEN");
	char *page;
	if (fd < 0 || !value || ftruncate(fd, 4096))
		_exit(3);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		_exit(4);
	strcpy(page, value);
}

/* The usual trick, without moving the environment away first. */
static void set_title(int argc, char **argv)
{
	char *end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
	memset(argv[0], ' ', end - argv[0]);
	memcpy(argv[0], "victim:", 7);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "hold";
	char line[64];
	if (!strcmp(what, "seal"))
		prctl(PR_SET_DUMPABLE, 0);
	else if (!strcmp(what, "memfd"))
		keep(syscall(SYS_memfd_secret, 0));
	else if (!strcmp(what, "shared"))
		keep(memfd_create("victim", 0));
	else if (!strcmp(what, "title"))
		set_title(argc, argv);
	printf("ready %d %lx %s\n", getpid(), (unsigned long)mark, mark[0] == 'i' ? "intact" : "changed");
	fflush(stdout);
	while (!strcmp(what, "spin")) {
		struct pollfd end = { 0, POLLIN, 0 };
		for (volatile int i = 0; i < 1000000; i++)
			;
		if (poll(&end, 1, 0))
			break;
	}
	while (read(0, line, sizeof line) > 0)
		if (line[0] == 'q')
			break;
	return 0;
}
