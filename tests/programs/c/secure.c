/*
 * secure NAME DIGEST: like check, and says whether the kernel runs it as a
 * program whose rights differ from its caller's (AT_SECURE).
 */
#include "verdict.h"

#include <sys/auxv.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	say("%s, %s", getauxval(AT_SECURE) ? "secure" : "ordinary", verdict(argv[1], argv[2]));
	hold();
	return 0;
}
