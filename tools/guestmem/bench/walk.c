// SPDX-License-Identifier: GPL-2.0
/*
 * What page sizes are for: a guest that reads all over 1G of private memory.
 *
 * The guest maps its memory by one entry of 1G, so that what an access costs in
 * translation is KVM's page table.  All VMs exist side by side and take turns, so
 * that what else this machine does is everybody's.
 *
 * Time here is real time.  On an emulated CPU it says how long an emulated walk of
 * page tables takes, and only that is measured: no cache, and no TLB as hardware
 * has it.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

#include "bench.h"

#define FILE_SIZE	GIB
#define ACCESSES	1000000U

/* Picoseconds per access. */
static __u64 run_guest(struct machine *m, __u64 seed)
{
	const struct kvm_regs regs = { .rdi = PRIVATE_GPA, .rsi = ACCESSES, .rax = seed };
	struct timespec start, end;
	__s64 nsecs;

	machine_start(m, &regs);
	clock_gettime(CLOCK_MONOTONIC, &start);
	machine_run(m);
	clock_gettime(CLOCK_MONOTONIC, &end);
	nsecs = (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec;
	return nsecs * 1000 / ACCESSES;
}

/* Returns whether there is such a backing. */
static bool prepare(struct machine *m, const struct backing *backing)
{
	int err = machine_create(m, backing, 0, FILE_SIZE, GUEST_ENTRY);

	if (err) {
		report_absent(backing->name, "walk", FILE_SIZE, "random", err);
		return false;
	}
	machine_load(m, walk_code, walk_code_end);
	machine_set_private(m, 0, FILE_SIZE, true);
	machine_map(m, 0, FILE_SIZE);
	/* Once without a clock: what the first entry into a guest has to set up */
	run_guest(m, 0);
	return true;
}

int walk(const struct backing *const *backings, unsigned int nr, unsigned int runs)
{
	struct machine *machines = calloc(nr, sizeof(*machines));
	unsigned int i, run, ready = 0;

	if (!machines)
		die(STATUS_FAILED, "no memory");
	for (i = 0; i < nr; i++)
		ready += prepare(&machines[ready], backings[i]);
	for (run = 0; run < runs; run++)
		for (i = 0; i < ready; i++)
			report_sample(machines[i].backing->name, "walk", FILE_SIZE, "random",
				      run_guest(&machines[i], run + 1), "ps");
	for (i = 0; i < ready; i++)
		machine_release(&machines[i]);
	free(machines);
	return ready == nr ? STATUS_OK : STATUS_ABSENT;
}
