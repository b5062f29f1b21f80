// SPDX-License-Identifier: GPL-2.0
/*
 * What is counted: every call that a VMM makes for the private memory of its guest,
 * from a VM without memory to the end of one that is full.
 *
 * A measure is repeated in VMs and at places that are new each time, so that each
 * sample starts from the same state.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "bench.h"

/* The file of all measures but of those that say another size */
#define FILE_SIZE	GIB

/* A range takes seconds at its price in native: it is not repeated beyond this. */
#define ENOUGH		2000000000ULL

#define LOOP_SIZE	10000000ULL

static void report_count(const struct machine *m, const char *measure, __u64 bytes,
			 const char *variant, __u64 count)
{
	report_sample(m->backing->name, measure, bytes, variant, count, "instructions");
}

/* --- memory alone ------------------------------------------------------- */

/* Larger memory is not cleared or copied in one go by the kernel either. */
#define PIECE		(2 * MIB)

void *memory_alone(__u64 size)
{
	void *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (buffer == MAP_FAILED)
		die(STATUS_FAILED, "mmap: %s", strerror(errno));
	return buffer;
}

/*
 * As the kernel copies memory that may have an error, where the processor has fast
 * string instructions.  @buffer is two pieces.
 */
void copy_memory(char *buffer, __u64 bytes)
{
	__u64 done, rest;
	void *from, *to;

	for (done = 0; done < bytes; done += PIECE) {
		from = buffer;
		to = buffer + PIECE;
		rest = bytes - done < PIECE ? bytes - done : PIECE;
		asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
	}
}

static void clear(void *at, __u64 size)
{
	asm volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(0) : "memory");
}

static void measure_zeroing(void *buffer, __u64 bytes)
{
	__u64 piece = bytes < PIECE ? bytes : PIECE, done;
	struct meter meter;

	meter_start(&meter);
	for (done = 0; done < bytes; done += piece)
		clear(buffer, piece);
	report_sample("cpu", "zeroing", bytes, "stosb", meter_stop(&meter), "instructions");
}

/*
 * The clock must be what it is taken for: within 1 percent, which leaves room for
 * the timer interrupts of a loop of that length.
 */
static void measure_clock(void)
{
	__u64 ticks;
	struct meter meter;

	settle();
	ticks = loop_ticks(LOOP_SIZE);
	report_sample("cpu", "clock", 0, "loop-10M", ticks, "ticks");
	if (ticks < LOOP_SIZE || ticks > LOOP_SIZE + LOOP_SIZE / 100)
		die(STATUS_ENVIRONMENT,
		    "a loop of %llu instructions takes %llu ticks: this is not QEMU with -icount shift=0",
		    LOOP_SIZE, ticks);
	meter_start(&meter);
	report_sample("cpu", "clock", 0, "nothing", meter_stop(&meter), "instructions");
	meter_start(&meter);
	report_sample("cpu", "clock", 0, "settled", meter_stop_settled(&meter), "instructions");
}

static const __u64 page_sizes[] = { 4 * KIB, 2 * MIB, GIB };

void count_zeroing(unsigned int runs)
{
	void *buffer = memory_alone(PIECE);
	unsigned int i, run;

	for (run = 0; run < runs; run++) {
		measure_clock();
		for (i = 0; i < ARRAY_SIZE(page_sizes); i++)
			measure_zeroing(buffer, page_sizes[i]);
	}
}

static void measure_copying(char *buffer, __u64 bytes)
{
	struct meter meter;

	meter_start(&meter);
	copy_memory(buffer, bytes);
	report_sample("cpu", "copying", bytes, "movsb", meter_stop(&meter), "instructions");
}

void count_copying(unsigned int runs)
{
	void *buffer = memory_alone(2 * PIECE);
	unsigned int i, run;

	for (run = 0; run < runs; run++) {
		measure_clock();
		for (i = 0; i < ARRAY_SIZE(page_sizes); i++)
			/* The emulator takes half a minute for 1G. */
			if (!run || page_sizes[i] < GIB)
				measure_copying(buffer, page_sizes[i]);
	}
}

/* --- attributes --------------------------------------------------------- */

/* A VM of that size becomes private.  Returns what it cost, 0 if there is none. */
static __u64 measure_attributes(const struct backing *backing, __u64 bytes)
{
	struct machine m;
	struct meter meter;
	__u64 cost;
	int err;

	err = machine_create(&m, backing, 0, bytes, 0);
	if (err) {
		report_absent(backing->name, "attributes", bytes, "unmapped", err);
		return 0;
	}
	meter_start(&meter);
	machine_set_private(&m, 0, bytes, true);
	cost = meter_stop(&meter);
	report_count(&m, "attributes", bytes, "unmapped", cost);
	machine_release(&m);
	return cost;
}

int count_attributes(const struct backing *backing, unsigned int runs)
{
	static const __u64 sizes[] = { MIB, 16 * MIB, 256 * MIB, GIB, 4 * GIB, 64 * GIB };
	unsigned int i, run;
	__u64 cost;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (run = 0; run < runs; run++) {
			cost = measure_attributes(backing, sizes[i]);
			if (!cost || cost > ENOUGH)
				break;
		}
	}
	return STATUS_OK;
}

/* --- conversion --------------------------------------------------------- */

/**
 * struct conversion - the costs of one conversion there and back
 * @shared: attributes, private to shared
 * @punch: of the private half
 * @private: attributes, shared to private
 * @map: KVM_PRE_FAULT_MEMORY of the range
 */
struct conversion {
	__u64 shared;
	__u64 punch;
	__u64 private;
	__u64 map;
};

static void convert(struct machine *m, __u64 offset, __u64 size, bool punch,
		    struct conversion *c)
{
	struct meter meter;

	meter_start(&meter);
	machine_set_private(m, offset, size, false);
	c->shared = meter_stop(&meter);

	c->punch = 0;
	if (punch) {
		meter_start(&meter);
		machine_punch(m, offset, size);
		c->punch = meter_stop(&meter);
	}

	meter_start(&meter);
	machine_set_private(m, offset, size, true);
	c->private = meter_stop(&meter);

	meter_start(&meter);
	machine_map(m, offset, size);
	c->map = meter_stop(&meter);
}

/* Each way by its parts and their sum. */
static void measure_conversion(struct machine *m, __u64 offset, __u64 size, bool punch,
			       const char *variant)
{
	struct conversion c;

	convert(m, offset, size, punch, &c);
	report_count(m, "to-shared", size, variant, c.shared + c.punch);
	report_count(m, "to-shared.attributes", size, variant, c.shared);
	if (punch)
		report_count(m, "to-shared.punch", size, variant, c.punch);
	report_count(m, "to-private", size, variant, c.private + c.map);
	report_count(m, "to-private.attributes", size, variant, c.private);
	report_count(m, "to-private.map", size, variant, c.map);
}

/*
 * Without a punch, then with one, then with one in memory that the first has left
 * as it is: a 2M page that was given back in part is made of small pages.
 */
static void measure_conversions(struct machine *m, __u64 offset, __u64 size)
{
	measure_conversion(m, offset, size, false, "keep");
	measure_conversion(m, offset, size, true, "punch");
	measure_conversion(m, offset, size, true, "again");
}

static void measure_punch(struct machine *m, __u64 offset, __u64 size)
{
	struct meter meter;

	meter_start(&meter);
	machine_punch(m, offset, size);
	report_count(m, "punch", size, "mapped", meter_stop(&meter));
}

/* Every place has a 2M page of its own, and none beside it. */
int count_convert(const struct backing *backing, unsigned int runs)
{
	static const struct {
		__u64 start;
		__u64 inside;
		__u64 size;
	} ranges[] = {
		{ 0, MIB, 4 * KIB },
		{ 256 * MIB, MIB, 64 * KIB },
		{ 512 * MIB, 0, 2 * MIB },
	};
	struct machine m;
	unsigned int i, run;
	int err;

	err = machine_create(&m, backing, 0, FILE_SIZE, 0);
	if (err) {
		report_absent(backing->name, "to-shared", FILE_SIZE, "-", err);
		return STATUS_ABSENT;
	}
	machine_set_private(&m, 0, FILE_SIZE, true);
	machine_map(&m, 0, FILE_SIZE);
	for (run = 0; run < runs; run++) {
		__u64 place = (2 * run + 1) * 2 * MIB;

		for (i = 0; i < ARRAY_SIZE(ranges); i++)
			measure_conversions(&m, ranges[i].start + place + ranges[i].inside,
					    ranges[i].size);
		measure_punch(&m, 768 * MIB + place, 2 * MIB);
		/* A hole must not be filled at the expense of the next measure. */
		machine_map(&m, 768 * MIB + place, 2 * MIB);
	}
	machine_release(&m);
	return STATUS_OK;
}

/* --- populate, map, teardown -------------------------------------------- */

/* Pages that KVM uses for page tables, of all VMs. */
static __u64 page_table_pages(void)
{
	static const char field[] = "SecPageTables:";
	char line[128];
	__u64 kb = 0;
	bool found = false;
	FILE *f;
	int fd;

	/* Folds what each CPU has counted for itself into the totals. */
	fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, line, 1) < 0)
		die(STATUS_ENVIRONMENT, "/proc/sys/vm/stat_refresh: %s", strerror(errno));
	close(fd);

	f = fopen("/proc/meminfo", "r");
	while (f && !found && fgets(line, sizeof(line), f)) {
		found = !strncmp(line, field, sizeof(field) - 1);
		if (found)
			kb = strtoull(line + sizeof(field) - 1, NULL, 10);
	}
	if (!found)
		die(STATUS_ENVIRONMENT, "/proc/meminfo has no %s", field);
	fclose(f);
	return kb * KIB / PAGE;
}

static void measure_map(struct machine *m, const char *variant)
{
	struct meter meter;

	meter_start(&meter);
	machine_map(m, 0, FILE_SIZE);
	report_count(m, "map", FILE_SIZE, variant, meter_stop(&meter));
}

static void measure_allocate(struct machine *m)
{
	struct meter meter;

	meter_start(&meter);
	machine_allocate(m, 0, FILE_SIZE);
	report_count(m, "fallocate", FILE_SIZE, "-", meter_stop(&meter));
}

/* @before: page_table_pages() when nothing was mapped. */
static void measure_tables(struct machine *m, __u64 before)
{
	static const struct {
		const char *stat;
		const char *variant;
	} levels[] = { { "pages_4k", "4K" }, { "pages_2m", "2M" }, { "pages_1g", "1G" } };
	unsigned int i;

	report_sample(m->backing->name, "page-tables", FILE_SIZE, "-",
		      page_table_pages() - before, "pages");
	for (i = 0; i < ARRAY_SIZE(levels); i++)
		report_sample(m->backing->name, "mappings", FILE_SIZE, levels[i].variant,
			      machine_stat(m, levels[i].stat), "entries");
}

static void measure_teardown(struct machine *m, const char *variant)
{
	struct meter meter;

	meter_start(&meter);
	machine_release(m);
	report_count(m, "teardown", FILE_SIZE, variant, meter_stop_settled(&meter));
}

/* One VM from its start to its end; returns an error number if there is none. */
static int measure_life(const struct backing *backing)
{
	__u64 tables;
	struct machine m;
	int err;

	settle();
	tables = page_table_pages();
	err = machine_create(&m, backing, 0, FILE_SIZE, 0);
	if (err)
		return err;
	machine_set_private(&m, 0, FILE_SIZE, true);
	measure_allocate(&m);
	measure_map(&m, "allocated");
	measure_tables(&m, tables);
	measure_conversion(&m, 0, FILE_SIZE, false, "keep");
	measure_conversion(&m, 0, FILE_SIZE, true, "punch");
	measure_punch(&m, 0, FILE_SIZE);
	measure_map(&m, "populate");
	measure_teardown(&m, "full");
	return 0;
}

static void measure_empty(const struct backing *backing)
{
	struct machine m;

	if (machine_create(&m, backing, 0, FILE_SIZE, 0))
		die(STATUS_FAILED, "a file of %s cannot be made a second time", backing->name);
	machine_set_private(&m, 0, FILE_SIZE, true);
	measure_teardown(&m, "empty");
}

int count_populate(const struct backing *backing, unsigned int runs)
{
	unsigned int run;
	int err;

	for (run = 0; run < runs; run++) {
		err = measure_life(backing);
		if (err) {
			report_absent(backing->name, "map", FILE_SIZE, "populate", err);
			return run ? STATUS_FAILED : STATUS_ABSENT;
		}
		measure_empty(backing);
	}
	return STATUS_OK;
}
