/* What reaches the program: signals, counted, and the end of its input. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "probe.h"

void say(const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (write(1, line, n) < 0)
		_exit(96);
}

void wait_for_end(void)
{
	char line[256];
	for (;;) {
		ssize_t n = read(0, line, sizeof line);
		if (n == 0 || (n < 0 && errno != EINTR) || (n > 0 && line[0] == 'q'))
			return;
	}
}

/* Everything is blocked while this runs, so lines arrive whole and in order. */
static void arrived(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_code == SI_QUEUE)
		say("signal %d value %d\n", sig, info->si_value.sival_int);
	else
		say("signal %d\n", sig);
	if (sig == SIGTSTP) {
		/* As a well-behaved full-screen program: note it, then really stop. */
		sigset_t set;
		signal(SIGTSTP, SIG_DFL);
		raise(SIGTSTP);
		sigemptyset(&set);
		sigaddset(&set, SIGTSTP);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		sigprocmask(SIG_BLOCK, &set, NULL);
		struct sigaction sa = { .sa_sigaction = arrived, .sa_flags = SA_SIGINFO };
		sigfillset(&sa.sa_mask);
		sigaction(SIGTSTP, &sa, NULL);
	}
}

int signals(int argc, char **argv)
{
	for (int sig = 1; sig <= SIGRTMAX; sig++) {
		int wanted = sig != SIGKILL && sig != SIGSTOP && sig != SIGCHLD;
		for (int i = 2; i < argc; i++)
			wanted = wanted && atoi(argv[i]) != sig;
		if (!wanted)
			continue;
		struct sigaction sa = { .sa_sigaction = arrived, .sa_flags = SA_SIGINFO | SA_RESTART };
		sigfillset(&sa.sa_mask);
		sigaction(sig, &sa, NULL);
	}
	say("up %d\n", getpid());
	wait_for_end();
	say("end\n");
	return 0;
}
