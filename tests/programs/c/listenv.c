/*
 * listenv: says each entry of its environment in order, as the name and the
 * beginning of the digest of the whole entry, then holds.
 *
 * listenv NAME PROGRAM: makes an environment with duplicates, odd entries and
 * the secret NAME in several places and ways, says it in the same form, and
 * execs PROGRAM with it.
 */
#include "verdict.h"

static void list(char **envp)
{
	char digits[65];

	say("begin");
	for (; *envp; envp++) {
		sha256_hex(*envp, digits);
		say("%.*s %.16s", (int)strcspn(*envp, "="), *envp, digits);
	}
	say("end");
}

static char *entry_of(const char *name)
{
	size_t length = strlen(name);

	for (char **entry = environ; *entry; entry++)
		if (!strncmp(*entry, name, length) && (*entry)[length] == '=')
			return *entry;
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		/* An exec without argv gets one empty argument from the kernel. */
		if (argc != 1)
			return 2;
		list(environ);
		hold();
		return 0;
	}
	char *secret = entry_of(argv[1]), *mark = entry_of("ENVWARD_TEST_MARK");
	char changed[128], copy[4096];

	if (!secret || !mark)
		return 3;
	snprintf(changed, sizeof changed, "%s=another value", argv[1]);
	snprintf(copy, sizeof copy, "%s", secret);
	char *envp[] = {
		"FIRST=1", "TWICE=a", secret, mark, "", "NOEQUALS", "=C:=D", "TWICE=b", changed, copy,
		"TWICE=a", secret, "EMPTY=", "LAST=1", NULL,
	};
	char *none[] = { NULL };
	char *one[] = { argv[2], NULL };

	list(envp);
	execve(argv[2], argc > 3 ? none : one, envp);
	return 4;
}
