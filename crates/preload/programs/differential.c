/* Does random operations on the environment and prints everything that a program can see of
 * them. The same seed must print the same with and without the library, on any libc.
 *
 * differential SEED OPERATIONS */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static unsigned long state;
static unsigned pick(unsigned below)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (state >> 33) % below;
}

static const char *name(void)
{
	static const char *const names[] = {
		"A", "B", "AB", "ABC", "HOME", "PATH", "SERVICE_VARIABLE_WITH_A_LONG_PREFIX_1",
		"SERVICE_VARIABLE_WITH_A_LONG_PREFIX_2", "SERVICE_VARIABLE_WITH_A_LONG_PREFIX_22", "X1", "X2", "X3",
	};
	static char made[40];
	if (pick(3))
		return names[pick(sizeof names / sizeof *names)];
	sprintf(made, "MADE_%u", pick(60));
	return made;
}

static const char *value(void)
{
	static char made[400];
	unsigned length = pick(4) ? pick(20) : pick(390);
	for (unsigned at = 0; at < length; at++)
		made[at] = "abcXYZ=09 \t\xc3\xa9"[pick(13)];
	made[length] = 0;
	return made;
}

static void result(const char *what, const char *of, int status)
{
	printf("%s(%s) = %d", what, of, status);
	if (status)
		printf(" errno %d", errno);
	putchar('\n');
}

static void dump(void)
{
	unsigned long hash = 5381, count = 0;
	for (char **at = environ; at && *at; at++, count++)
		for (const char *byte = *at;; byte++) {
			hash = hash * 33 + (unsigned char)*byte;
			if (!*byte)
				break;
		}
	printf("  %lu entries, %lx%s\n", count, hash, environ ? "" : ", null");
}

static void dump_all(void)
{
	for (char **at = environ; at && *at; at++)
		printf("  [%s]\n", *at);
}

static void assign(int extra)
{
	size_t count = 0;
	while (environ && environ[count])
		count++;
	char **copy = malloc((count + 5) * sizeof *copy);
	memcpy(copy, environ ? environ : copy, count * sizeof *copy);
	if (extra) {
		/* Twice the same name, an entry without a sign, an empty one. */
		char *text;
		const char *twice = name();
		if (asprintf(&text, "%s=first", twice) > 0)
			copy[count++] = text;
		if (asprintf(&text, "%s=second", twice) > 0)
			copy[count++] = text;
		copy[count++] = "NOSIGN";
		copy[count++] = "";
	}
	copy[count] = 0;
	environ = copy;
}

int main(int argc, char **argv)
{
	static char *buffers[64];
	unsigned buffered = 0;
	unsigned long operations;
	if (argc != 3)
		return 64;
	state = strtoul(argv[1], 0, 10) * 2654435761ul + 1;
	operations = strtoul(argv[2], 0, 10);
	if (pick(2))
		clearenv();
	else
		while (environ && environ[0])
			*strchr(environ[0], '=') ? unsetenv(strndup(environ[0], strcspn(environ[0], "="))) : 0;
	for (unsigned long at = 0; at < operations; at++) {
		const char *of = name();
		char *text;
		errno = 0;
		switch (pick(24)) {
		case 0 ... 5:
			result("setenv", of, setenv(of, value(), 1));
			break;
		case 6:
			result("setenv if", of, setenv(of, value(), 0));
			break;
		case 7 ... 10:
			result("unsetenv", of, unsetenv(of));
			break;
		case 11 ... 12:
			if (asprintf(&text, "%s=%s", of, value()) > 0) {
				result("putenv", of, putenv(text));
				printf("  identity %d\n", getenv(of) == strchr(text, '=') + 1);
				buffers[buffered++ % 64] = text;
			}
			break;
		case 13:
			result("putenv bare", of, putenv(strdup(of)));
			break;
		case 14:
			/* The owner of a buffer edits it: the value, or the name. */
			if (buffered) {
				text = buffers[pick(buffered < 64 ? buffered : 64)];
				if (pick(2))
					text[0] = 'A' + pick(3);
				else if (strchr(text, '=')[1])
					strchr(text, '=')[1] = 'e';
			}
			break;
		case 15:
			if (!pick(4)) {
				clearenv();
				printf("clearenv\n");
			}
			break;
		case 16:
			assign(pick(2));
			break;
		case 17:
			if (!pick(6))
				environ = 0;
			break;
		case 18:
			if (!pick(6) && environ)
				environ[0] = 0;
			break;
		case 19:
			text = getenv(of);
			if (text && *text)
				result("setenv self", of, setenv(of, text + 1, 1));
			break;
		case 20:
			text = getenv(of);
			if (text)
				result("setenv other", of, setenv(name(), text, 1));
			break;
		case 21: {
			static const char *const bad[] = { "", "A=B", "=", "A=" };
			of = bad[pick(4)];
			result("setenv", of, setenv(of, "x", 1));
			errno = 0;
			result("unsetenv", of, unsetenv(of));
			break;
		}
		default:
			text = pick(2) ? getenv(of) : secure_getenv(of);
			printf("getenv(%s) = [%s]\n", of, text ? text : "null");
		}
		dump();
		if (at % 64 == 0)
			dump_all();
	}
	dump_all();
	return 0;
}
