// SPDX-License-Identifier: GPL-2.0
/*
 * The table of checks.  A row is a name, what was expected and what was seen;
 * checks with the same name add up in one row, which fails with the first of
 * them that fails, and keeps what that one saw.  A row that compared nothing
 * fails too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm.h"

#define MAX_CHECKS	128
#define NAME_WIDTH	41
#define WANT_WIDTH	14
#define SEEN_WIDTH	16

struct check {
	enum section section;
	bool failed;
	char name[NAME_WIDTH + 1];
	char want[48];
	char seen[48];
	char detail[80];
	__u64 bytes;
	__u64 wrong;
};

static const char *const headings[SECTIONS] = {
	[SECTION_GUEST]  = "Guest data, and memory it shares",
	[SECTION_SECRET] = "Host, while the guest holds a secret",
	[SECTION_HELD]   = "Guest file, and the host's half of memory",
	[SECTION_POOL]   = "Pool of huge pages",
	[SECTION_MOVE]   = "Moves to another NUMA node",
	[SECTION_LEVELS] = "KVM's mappings of private memory, by size",
};

static struct check checks[MAX_CHECKS];
static unsigned int nr_checks;
/* Protects all of the above. */
static pthread_mutex_t checks_lock = PTHREAD_MUTEX_INITIALIZER;

/* An exact number of bytes in the largest unit that it is a multiple of. */
const char *size_text(char *text, size_t size, __u64 bytes)
{
	static const char units[] = "KMG";
	char unit[2] = "";
	unsigned int i;

	for (i = 0; bytes && bytes % KIB == 0 && units[i]; i++) {
		bytes /= KIB;
		unit[0] = units[i];
	}
	snprintf(text, size, "%llu%s", bytes, unit);
	return text;
}

bool use_colour(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term && strcmp(term, "dumb");
}

static struct check *find(enum section section, const char *name)
{
	struct check *check;
	unsigned int i;

	for (i = 0; i < nr_checks; i++)
		if (checks[i].section == section &&
		    !strncmp(checks[i].name, name, NAME_WIDTH))
			return &checks[i];
	if (nr_checks == MAX_CHECKS)
		die(STATUS_FAILED, "more than %u different checks, the last is '%s'",
		    MAX_CHECKS, name);
	check = &checks[nr_checks++];
	check->section = section;
	snprintf(check->name, sizeof(check->name), "%s", name);
	return check;
}

/* Both texts of a check that is no sum; a failure that is there already stays. */
static void set_texts(struct check *check, const char *want, const char *seen, bool failed)
{
	if (check->failed)
		return;
	snprintf(check->want, sizeof(check->want), "%s", want);
	snprintf(check->seen, sizeof(check->seen), "%s", seen);
	check->failed = failed;
}

/* More bytes of a check that is a sum, and how many of them are @what. */
static void add_bytes(struct check *check, const char *what, __u64 bytes, __u64 wrong)
{
	char size[24];

	check->bytes += bytes;
	check->wrong += wrong;
	check->failed = check->wrong || !check->bytes;
	snprintf(check->want, sizeof(check->want), "0 %s", what);
	snprintf(check->seen, sizeof(check->seen), "%llu of %s", check->wrong,
		 size_text(size, sizeof(size), check->bytes));
}

/* Memory against a pattern. */
void check_compared(enum section section, const char *name, const struct compared *c)
{
	struct check *check;

	pthread_mutex_lock(&checks_lock);
	check = find(section, name);
	if (c->wrong && !check->wrong)
		snprintf(check->detail, sizeof(check->detail),
			 "first at gpa %#llx: %#llx, not %#llx", c->gpa, c->seen, c->want);
	add_bytes(check, "wrong", c->bytes, c->wrong);
	pthread_mutex_unlock(&checks_lock);
}

/* Of @bytes looked at, @found are @what, and none should be. */
void check_count(enum section section, const char *name, const char *what,
		 __u64 bytes, __u64 found)
{
	pthread_mutex_lock(&checks_lock);
	add_bytes(find(section, name), what, bytes, found);
	pthread_mutex_unlock(&checks_lock);
}

static void value_text(char *text, size_t size, enum unit unit, __u64 value)
{
	if (unit == UNIT_BYTES)
		size_text(text, size, value);
	else
		snprintf(text, size, "%llu", value);
}

/* @source, if not NULL, is one of several that must tell the same. */
void check_range(enum section section, const char *name, const char *source, enum unit unit,
		 __u64 min, __u64 max, __u64 seen)
{
	char want_text[48], seen_text[24], max_text[24] = "";
	bool failed = seen < min || seen > max;
	struct check *check;
	size_t length;

	value_text(want_text, sizeof(want_text), unit, min);
	length = strlen(want_text);
	if (max != NO_LIMIT)
		value_text(max_text, sizeof(max_text), unit, max);
	if (min != max)
		snprintf(want_text + length, sizeof(want_text) - length, "..%s", max_text);
	value_text(seen_text, sizeof(seen_text), unit, seen);
	pthread_mutex_lock(&checks_lock);
	check = find(section, name);
	if (failed && !check->failed && source)
		snprintf(check->detail, sizeof(check->detail), "by %s", source);
	set_texts(check, want_text, seen_text, failed);
	pthread_mutex_unlock(&checks_lock);
}

void check_value(enum section section, const char *name, const char *source, enum unit unit,
		 __u64 want, __u64 seen)
{
	check_range(section, name, source, unit, want, want, seen);
}

static const char *errno_text(int err)
{
	const char *text = err ? strerrorname_np(err) : "success";

	return text ? text : "unknown errno";
}

/* Error numbers, 0 for success. */
void check_errno(enum section section, const char *name, int want, int seen)
{
	pthread_mutex_lock(&checks_lock);
	set_texts(find(section, name), errno_text(want), errno_text(seen), want != seen);
	pthread_mutex_unlock(&checks_lock);
}

static void print_check(const struct check *check)
{
	bool colour = use_colour();

	printf("  %-*s %-*s %-*s %s%s%s\n", NAME_WIDTH, check->name, WANT_WIDTH, check->want,
	       SEEN_WIDTH, check->seen, colour ? (check->failed ? "\033[31m" : "\033[32m") : "",
	       check->failed ? "FAIL" : "ok", colour ? "\033[0m" : "");
	if (check->detail[0])
		printf("      %s\n", check->detail);
}

static void print_section(enum section section, bool quiet)
{
	bool head = false;
	unsigned int i;

	for (i = 0; i < nr_checks; i++) {
		if (checks[i].section != section || (quiet && !checks[i].failed))
			continue;
		if (!head)
			printf("\n%-*s %-*s %s\n", NAME_WIDTH + 2, headings[section],
			       WANT_WIDTH, "expected", "seen");
		head = true;
		print_check(&checks[i]);
	}
}

/* Print the table, only what failed if @quiet; returns how many failed. */
unsigned int checks_print(bool quiet)
{
	unsigned int i, section, failed = 0;

	for (section = 0; section < SECTIONS; section++)
		print_section(section, quiet);
	for (i = 0; i < nr_checks; i++)
		failed += checks[i].failed;
	printf("\n%u checks passed, %u failed\n", nr_checks - failed, failed);
	return failed;
}
