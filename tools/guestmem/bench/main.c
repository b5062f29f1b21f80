// SPDX-License-Identifier: GPL-2.0
/*
 * guestmem-bench: what private memory costs, call by call.  See bench.h for what it
 * prints.  Output is kept back until the end: the interrupts of a serial line would
 * be counted with the next measure.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "bench.h"

#define MAX_BACKINGS	4
#define MAX_RUNS	60

static const char usage[] =
"Usage: guestmem-bench [OPTION]... TOPIC [BACKING]...\n"
"Measure what the private memory of a guest costs. Needs a kernel with\n"
"CONFIG_KVM_GUESTMEM; topics that count need QEMU with -icount shift=0,sleep=off,\n"
"where the time stamp counter counts instructions.\n"
"\n"
"Topics that count:\n"
"  zeroing       memory alone, without KVM; takes no backing\n"
"  attributes    KVM_SET_MEMORY_ATTRIBUTES on memory that was never touched\n"
"  populate      allocate, map, convert, punch and end 1G\n"
"  convert       conversions of parts of 1G\n"
"  copying       memory alone, as zeroing\n"
"  move          GUESTMEM_MIGRATE of what a guest has mapped; needs NUMA nodes 0 and 1\n"
"Topic that counts calls of the TDX module, without -icount:\n"
"  td            1G of a TD: build, convert, punch, move, end; needs nodes 0 and 1, and\n"
"                the software TDX module; shmem is measured with 4K and with 2M\n"
"Topics that take time:\n"
"  walk          a guest's random accesses to 1G, in time; takes several backings\n"
"  pause         how long a guest waits while its memory moves; needs two nodes, and\n"
"                two CPUs\n"
"\n"
"Backings: native, shmem, hugetlb-2M, hugetlb-1G\n"
"\n"
"  --runs N      samples of each measure (default: 3)\n"
"  --help        print this text\n"
"\n"
"Exit status: 0 measured, 1 a call failed, 2 wrong usage, 3 this machine or kernel\n"
"cannot run it, 4 the backing does not exist.\n";

static const struct topic {
	const char *name;
	int (*run)(const struct backing *backing, unsigned int runs);
} topics[] = {
	{ "attributes", count_attributes },
	{ "populate", count_populate },
	{ "convert", count_convert },
	{ "move", count_move },
	{ "td", count_td },
	{ "pause", time_pause },
};

static const struct {
	const char *name;
	void (*run)(unsigned int runs);
} references[] = {
	{ "zeroing", count_zeroing },
	{ "copying", count_copying },
};

void die(enum exit_status status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "guestmem-bench: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "%s\n", status == STATUS_USAGE ? "; see --help" : "");
	exit(status);
}

static unsigned int parse_runs(const char *text)
{
	char *end;
	unsigned long runs = strtoul(text, &end, 10);

	if (end == text || *end || !runs || runs > MAX_RUNS)
		die(STATUS_USAGE, "--runs: '%s' is not between 1 and %u", text, MAX_RUNS);
	return runs;
}

static unsigned int parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "runs", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned int runs = 3;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case 'r':
			runs = parse_runs(optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(STATUS_OK);
		default:
			fprintf(stderr, "guestmem-bench: see --help\n");
			exit(STATUS_USAGE);
		}
	}
	return runs;
}

static unsigned int parse_backings(char **names, const struct backing **backings)
{
	unsigned int nr;

	for (nr = 0; names[nr]; nr++) {
		if (nr == MAX_BACKINGS)
			die(STATUS_USAGE, "more than %u backings", MAX_BACKINGS);
		backings[nr] = backing_find(names[nr]);
		if (!backings[nr])
			die(STATUS_USAGE, "no backing is called '%s'", names[nr]);
	}
	return nr;
}

static int run_topic(const char *name, const struct backing *const *backings, unsigned int nr,
		     unsigned int runs)
{
	unsigned int i;

	if (!strcmp(name, "walk") && nr)
		return walk(backings, nr, runs);
	for (i = 0; i < ARRAY_SIZE(references); i++) {
		if (!strcmp(name, references[i].name) && !nr) {
			references[i].run(runs);
			return STATUS_OK;
		}
	}
	for (i = 0; i < ARRAY_SIZE(topics); i++)
		if (!strcmp(name, topics[i].name) && nr == 1)
			return topics[i].run(backings[0], runs);
	die(STATUS_USAGE, "no topic '%s' with %u backings", name, nr);
}

int main(int argc, char **argv)
{
	const struct backing *backings[MAX_BACKINGS];
	static char output[MIB];
	unsigned int runs, nr;

	setvbuf(stdout, output, _IOFBF, sizeof(output));
	runs = parse_options(argc, argv);
	if (optind == argc)
		die(STATUS_USAGE, "which topic?");
	nr = parse_backings(&argv[optind + 1], backings);
	/* What was written before this program started; an error is no terminal. */
	tcdrain(STDOUT_FILENO);
	return run_topic(argv[optind], backings, nr, runs);
}
