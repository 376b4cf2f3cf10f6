/* Says whether the program is secure, and whether secure_getenv (asked in a constructor, and in
 * main) and getenv find a variable. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

static int early;

__attribute__((constructor(101))) static void first(void) { early = !!secure_getenv("SECURE_PROBE"); }

int main(void)
{
	printf("secure %d early %d late %d getenv %d\n", getauxval(AT_SECURE) != 0, early,
	       !!secure_getenv("SECURE_PROBE"), !!getenv("SECURE_PROBE"));
	return 0;
}
