// SPDX-License-Identifier: GPL-2.0
/*
 * What it takes to move memory that a guest has mapped between NUMA nodes 0 and 1:
 * GUESTMEM_MIGRATE of one folio, of many folios in one call, and then KVM mapping the
 * first of them again.
 *
 * Each sample begins with all memory on one node, and mapped.  The nodes are alike, so
 * that samples go there and back in turn.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/memfd.h>

#include "bench.h"

/* For folios that are in use */
#define TRIES		1000

/* A native file has 4K pages, and is asked for the sake of its answer. */
static const struct folios native[] = { { 4 * KIB, 256, 0 }, { } };

static const struct folios shmem[] = {
	{ 4 * KIB, 256, MFD_GUEST_NOHUGEPAGE },
	{ 2 * MIB, 16, 0 },
	{ }
};

static const struct folios hugetlb_2m[] = { { 2 * MIB, 16, 0 }, { } };

static const struct folios hugetlb_1g[] = { { GIB, 0, 0 }, { } };

const struct folios *backing_folios(const struct backing *backing)
{
	if (backing->native)
		return native;
	return backing->granule == GIB ? hugetlb_1g :
		backing->granule == 2 * MIB ? hugetlb_2m : shmem;
}

/* --- machines that can be moved ----------------------------------------- */

static struct guestmem_info file_info(const struct machine *m)
{
	struct guestmem_info info = { .size = sizeof(info) };

	if (ioctl(m->file, GUESTMEM_GET_INFO, &info))
		die(STATUS_FAILED, "GUESTMEM_GET_INFO: %s", strerror(errno));
	return info;
}

/* All of the machine's memory is in folios of that size, and mapped in one piece each. */
static void check_folios(struct machine *m, const struct folios *folios)
{
	struct guestmem_info info = file_info(m);
	__u64 want = m->slot.size / folios->size, held, mapped;

	held = folios->size == GIB ? info.pages_1g :
		folios->size == 2 * MIB ? info.pages_2m : info.pages_4k;
	mapped = machine_stat(m, folios->size == GIB ? "pages_1g" :
			      folios->size == 2 * MIB ? "pages_2m" : "pages_4k");
	if (held != want || mapped < want)
		die(STATUS_FAILED, "of %llu folios of %llu bytes the file has %llu, KVM maps %llu",
		    want, folios->size, held, mapped);
}

int machine_move_all(struct machine *m, unsigned int node)
{
	struct guestmem_migrate range;
	unsigned int try;
	int err;

	for (try = 0; try < TRIES; try++) {
		err = machine_move(m, 0, m->slot.size, node, &range);
		if (err || !range.failed)
			return err;
	}
	die(STATUS_FAILED, "%llu bytes do not move to node %u", range.failed, node);
}

int machine_create_movable(struct machine *m, const struct backing *backing,
			   const struct folios *folios, __u64 size, __u64 entry)
{
	int err = machine_create(m, backing, MFD_GUEST_MOVABLE | folios->flags, size, entry);

	if (err)
		return err;
	machine_set_private(m, 0, size, true);
	machine_map(m, 0, size);
	err = machine_move_all(m, HOME_NODE);
	if (err) {
		machine_release(m);
		return err;
	}
	machine_map(m, 0, size);
	check_folios(m, folios);
	return 0;
}

/* --- counting ----------------------------------------------------------- */

/* @nr neighbouring folios, the figure is for one of them. */
static void measure_move(struct machine *m, const struct folios *folios, unsigned int node,
			 __u64 offset, unsigned int nr, const char *variant)
{
	__u64 size = nr * folios->size, count;
	struct guestmem_migrate range;
	struct meter meter;
	int err;

	meter_start(&meter);
	err = machine_move(m, offset, size, node, &range);
	count = meter_stop(&meter);
	if (err || range.moved != size)
		die(STATUS_FAILED, "of %llu bytes %llu have moved: %s", size, range.moved,
		    strerror(err));
	report_sample(m->backing->name, "move", folios->size, variant, count / nr,
		      "instructions");
}

static void measure_remap(struct machine *m, const struct folios *folios)
{
	struct meter meter;

	meter_start(&meter);
	machine_map(m, 0, folios->size);
	report_sample(m->backing->name, "remap", folios->size, "one", meter_stop(&meter),
		      "instructions");
}

static void measure_moves(struct machine *m, const struct folios *folios, unsigned int node)
{
	measure_move(m, folios, node, 0, 1, "one");
	if (folios->many)
		measure_move(m, folios, node, folios->size, folios->many, "many");
	measure_remap(m, folios);
	machine_map(m, 0, m->slot.size);
	check_folios(m, folios);
}

int count_move(const struct backing *backing, unsigned int runs)
{
	const struct folios *folios;
	struct machine m;
	unsigned int run;
	int err;

	for (folios = backing_folios(backing); folios->size; folios++) {
		err = machine_create_movable(&m, backing, folios,
					     (1 + folios->many) * folios->size, 0);
		if (err) {
			report_absent(backing->name, "move", folios->size, "one", err);
			return backing->native ? STATUS_OK : STATUS_ABSENT;
		}
		for (run = 0; run < runs; run++)
			measure_moves(&m, folios, run % 2 ? HOME_NODE : OTHER_NODE);
		machine_release(&m);
	}
	return STATUS_OK;
}
