// SPDX-License-Identifier: GPL-2.0
/*
 * tdxmod-test: runs all tests, or those that are named, and prints TAP.
 */
#include "internal.h"
#include "machine.h"

static bool failed;
static unsigned int said;

#define MOST_SAID	10

static void test_failed(const char *file, int line, const char *what, u64 got, u64 expected)
{
	failed = true;
	if (said++ < MOST_SAID)
		printf("# %s:%d: %s: 0x%llx, expected 0x%llx\n", file, line, what,
		       got, expected);
}

#define test_say(fmt, ...)	printf("# " fmt "\n", ##__VA_ARGS__)

/* Pages of 4M from here, and what the module believes to be 1G. */
static const struct {
	u64 base;
	u64 huge;
} machine = { MACHINE_TDMR_BASE, MACHINE_TDMR_BASE + 0x40000000 };

static struct tdxmod *mod;

static void machine_make(const struct tdxmod_config *config)
{
	sim_reset();
	mod = tdxmod_create(config);
	if (!mod)
		abort();
}

static void machine_unmake(void)
{
	tdxmod_destroy(mod);
	mod = NULL;
}

/* Does it do to check all of the module after each of thousands of tests? */
static bool machine_patient(void)
{
	return true;
}

static bool machine_slow(void)
{
	return false;
}

#include "tests/machine.c"
#include "tests/sept.c"
#include "tests/life.c"

static const struct test *const suites[] = { sept_tests, life_tests };

static bool wanted(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], name))
			return true;
	}
	return argc == 1;
}

int main(int argc, char **argv)
{
	unsigned int number = 0, bad = 0, i;
	const struct test *test;

	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("TAP version 13");
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		for (test = suites[i]; test->name; test++) {
			if (!wanted(test->name, argc, argv))
				continue;
			failed = false;
			said = 0;
			test->run();
			bad += failed;
			printf("%s %u %s\n", failed ? "not ok" : "ok", ++number, test->name);
		}
	}
	printf("1..%u\n", number);
	sim_reset();
	return bad || !number;
}
