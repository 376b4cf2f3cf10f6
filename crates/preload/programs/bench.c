/* Measures the environment functions of whatever libc it runs under.
 *
 * bench              prints one line per measurement: OP NAMES COUNT THREADS NS, all of them twice,
 *                    some time apart: the machine is not always the same
 * bench OP NAMES COUNT ITERATIONS
 *                    does one operation so often and prints nothing: for callgrind
 *
 * NS is the best of several repetitions, per operation; with two threads the slower one's, but for
 * iterations and snapshots: there it is one thread in a program that has started others. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern char **environ;
struct env_iter;
__attribute__((weak)) const char *env_lookup(const char *);
__attribute__((weak)) void env_release(const char *);
__attribute__((weak)) struct env_iter *env_iter(void);
__attribute__((weak)) const char *env_next(struct env_iter *);
__attribute__((weak)) void env_iter_close(struct env_iter *);

static const char *const mixed[] = {
	"HOME", "PATH", "USER", "SHELL", "TERM", "LANG", "EDITOR", "PAGER", "DISPLAY", "LOGNAME",
	"MAIL", "HOSTNAME", "TMPDIR", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS",
	"COLORTERM", "GPG_AGENT_INFO", "NODE_ENV", "JAVA_HOME", "GOPATH", "CARGO_HOME", "RUSTFLAGS",
	"PYTHONPATH", "LD_LIBRARY_PATH", "MANPATH", "KUBECONFIG", "AWS_PROFILE",
};
enum { KINDS = sizeof mixed / sizeof *mixed };

static int count, shared_prefix;
/* All names. */
static char every[1000][64];
static char hit[64], miss[64], scratch[64], first[64], other[64];

static void name_of(char *into, int at)
{
	if (shared_prefix)
		sprintf(into, "SERVICE_VAR_%04d", at);
	else if (at < KINDS)
		strcpy(into, mixed[at]);
	else
		sprintf(into, "%.12s_%d", mixed[at % KINDS], at / KINDS);
}

static void fill(void)
{
	char name[64], value[64];
	clearenv();
	for (int at = 0; at < count; at++) {
		name_of(name, at);
		sprintf(value, "value-number-%d-of-%d", at, count);
		setenv(name, value, 1);
		strcpy(every[at], name);
	}
	name_of(hit, count / 2);
	name_of(first, 0);
	name_of(other, count - 1);
	strcpy(miss, shared_prefix ? "SERVICE_VAR_XXXX" : "MISSING_NAME");
	strcpy(scratch, shared_prefix ? "SERVICE_VAR_NEW" : "NEW_NAME");
}

/* Keeps a result without storing it: a store could delay a load that has its low bits. */
static inline void use(const void *result) { __asm__ volatile("" : : "r"(result) : "memory"); }

static void get_hit(long n) { for (long i = 0; i < n; i++) use(getenv(hit)); }
static void get_first(long n) { for (long i = 0; i < n; i++) use(getenv(first)); }
/* Every variable in turn: what a hit costs on average. */
static void get_each(long n)
{
	for (long i = 0, at = 0; i < n; i++) {
		use(getenv(every[at]));
		if (++at == count)
			at = 0;
	}
}
static void get_miss(long n) { for (long i = 0; i < n; i++) use(getenv(miss)); }
static void set_same(long n) { for (long i = 0; i < n; i++) setenv(hit, "the same value", 1); }
static void set_two(long n)
{
	for (long i = 0; i < n; i++)
		setenv(hit, i & 1 ? "one value" : "another one", 1);
}
static void set_unset(long n)
{
	for (long i = 0; i < n; i++) {
		setenv(scratch, "a new value", 1);
		unsetenv(scratch);
	}
}
static void set_distinct(long n)
{
	static long serial;
	char value[32];
	for (long i = 0; i < n; i++) {
		sprintf(value, "%ld", serial++);
		setenv(hit, value, 1);
	}
}
static void lookup(long n)
{
	for (long i = 0; i < n; i++) {
		const char *entry = env_lookup(hit);
		use(entry);
		env_release(entry);
	}
}
static void walk(long n)
{
	for (long i = 0; i < n; i++)
		for (char **at = environ; *at; at++)
			use((void *)(long)**at);
}
/* A private copy of everything, the only safe way without an iterator. */
static void duplicate(long n)
{
	for (long i = 0; i < n; i++) {
		long have = 0;
		while (environ[have])
			have++;
		char **copy = malloc((have + 1) * sizeof *copy);
		for (long at = 0; at < have; at++)
			copy[at] = strdup(environ[at]);
		for (long at = 0; at < have; at++) {
			use((void *)(long)*copy[at]);
			free(copy[at]);
		}
		free(copy);
	}
}
static void iterate(long n)
{
	for (long i = 0; i < n; i++) {
		struct env_iter *iter = env_iter();
		const char *entry;
		while ((entry = env_next(iter))) {
			use((void *)(long)*entry);
			env_release(entry);
		}
		env_iter_close(iter);
	}
}

struct op {
	const char *name;
	void (*run)(long);
	long scale; /* iterations in a repetition at 10 variables */
	int grows, threads, ours;
};
/* One thread does it, in a program that has started others: malloc locks there. */
enum { AMONG = 3 };
static const struct op ops[] = {
	{ "get-hit", get_hit, 400000, 1, 2, 0 },
	{ "get-first", get_first, 400000, 0, 1, 0 },
	{ "get-each", get_each, 400000, 1, 1, 0 },
	{ "get-miss", get_miss, 400000, 1, 2, 0 },
	{ "set-same", set_same, 100000, 1, 1, 0 },
	{ "set-two", set_two, 100000, 1, 1, 0 },
	{ "set-distinct", set_distinct, 50000, 1, 1, 0 },
	{ "set-unset", set_unset, 40000, 1, 1, 0 },
	{ "walk", walk, 200000, 1, 1, 0 },
	{ "strdup-snapshot", duplicate, 20000, 1, AMONG, 0 },
	{ "lookup", lookup, 200000, 0, 1, 1 },
	{ "iterate", iterate, 40000, 1, AMONG, 1 },
};
enum { OPS = sizeof ops / sizeof *ops, REPETITIONS = 4, PASSES = 2 };

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static long iterations(const struct op *op)
{
	long n = op->scale;
	if (op->grows)
		n = n * 10 / (count < 40 ? 10 : count / 4);
	return n < 50 ? 50 : n;
}

static double once(const struct op *op)
{
	long n = iterations(op);
	double start = now();
	op->run(n);
	return (now() - start) / n;
}

static double best(const struct op *op)
{
	double least = 1e18;
	for (int at = 0; at < REPETITIONS; at++) {
		double time = once(op);
		if (time < least)
			least = time;
	}
	return least;
}

static pthread_barrier_t barrier;
static void *second(void *op)
{
	double *result = malloc(sizeof *result);
	*result = 1e18;
	for (int at = 0; at < REPETITIONS; at++) {
		pthread_barrier_wait(&barrier);
		double time = once(op);
		if (time < *result)
			*result = time;
	}
	return result;
}

static double two_threads(const struct op *op)
{
	pthread_t thread;
	void *theirs;
	pthread_barrier_init(&barrier, 0, 2);
	pthread_create(&thread, 0, second, (void *)op);
	double *ours = second((void *)op);
	pthread_join(thread, &theirs);
	return *ours > *(double *)theirs ? *ours : *(double *)theirs;
}

static volatile int stop, spin;
/* Another thread: in a loop of its own (the control), or setting a variable in one. */
static void *writer(void *unused)
{
	char value[32];
	for (long i = 0; !stop; i++) {
		sprintf(value, "%ld", i);
		if (!spin)
			setenv(other, value, 1);
	}
	return unused;
}

static double beside(const struct op *op, int spinning)
{
	pthread_t thread;
	stop = 0;
	spin = spinning;
	pthread_create(&thread, 0, writer, 0);
	double time = best(op);
	stop = 1;
	pthread_join(thread, 0);
	return time;
}

int main(int argc, char **argv)
{
	static const int counts[] = { 10, 50, 200, 1000 };
	if (argc == 5) {
		shared_prefix = !strcmp(argv[2], "prefix");
		count = atoi(argv[3]);
		fill();
		for (int at = 0; at < OPS; at++)
			if (!strcmp(ops[at].name, argv[1]))
				ops[at].run(atol(argv[4]));
		return 0;
	}
	/* First what one thread does in a program with one thread, then what takes several: after a
	 * thread has changed a variable in a loop the library keeps more memory than most programs
	 * make it keep, and looks a little longer where a string lies. */
	for (int threads = 1; threads <= 2; threads++)
		for (int pass = 0; pass < 2 * PASSES; pass++) {
			shared_prefix = pass % 2;
			for (int size = 0; size < 4; size++)
				for (int at = 0; at < OPS; at++) {
					const struct op *op = &ops[at];
					const char *names = shared_prefix ? "prefix" : "mixed";
					if ((op->ours && !env_iter) || op->threads < threads)
						continue;
					count = counts[size];
					fill();
					if (threads == 1) {
						printf("%s %s %d 1 %.2f\n", op->name, names, count, best(op));
					} else if (op->threads == AMONG) {
						printf("%s %s %d 2 %.2f\n", op->name, names, count, best(op));
					} else {
						printf("%s %s %d 2 %.2f\n", op->name, names, count, two_threads(op));
						/* libc's own readers may crash here: only the library is asked. */
						if (env_iter) {
							printf("%s-control %s %d 2 %.2f\n", op->name, names, count, beside(op, 1));
							printf("%s-writer %s %d 2 %.2f\n", op->name, names, count, beside(op, 0));
						}
					}
					fflush(stdout);
				}
		}
	return 0;
}
