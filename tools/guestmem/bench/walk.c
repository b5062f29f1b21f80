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
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bench.h"

#define FILE_SIZE	GIB
#define ACCESSES	1000000U

/* The guest's program and page tables, memory that is not private */
#define LOW_SLOT	1
#define LOW_SIZE	(64 * KIB)
#define WALK_ENTRY	BOOT_MAILBOX

/* Present, writable, accessed and dirty already, and 1G large */
#define PTE_TABLE	0x23ULL
#define PTE_LARGE	0xe3ULL

static void add_low_memory(struct machine *m)
{
	char *low = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct kvm_userspace_memory_region region = {
		.slot = LOW_SLOT,
		.memory_size = LOW_SIZE,
		.userspace_addr = (unsigned long)low,
	};
	__u64 *pdpt, gib;

	if (low == MAP_FAILED)
		die(STATUS_FAILED, "mmap: %s", strerror(errno));
	*(__u64 *)(low + BOOT_PML4) = BOOT_PDPT | PTE_TABLE;
	pdpt = (__u64 *)(low + BOOT_PDPT);
	for (gib = 0; gib < 512; gib++)
		pdpt[gib] = gib * GIB | PTE_LARGE;
	memcpy(low + WALK_ENTRY, walk_code, walk_code_end - walk_code);
	if (ioctl(m->vm.fd, KVM_SET_USER_MEMORY_REGION, &region))
		die(STATUS_FAILED, "KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
}

static void start_guest(struct machine *m, __u64 seed)
{
	struct kvm_regs regs = {
		.rip = WALK_ENTRY,
		.rdi = PRIVATE_GPA,
		.rsi = ACCESSES,
		.rax = seed,
		/* The bit that is always set */
		.rflags = 2,
	};

	if (ioctl(m->vm.vcpu[0].fd, KVM_SET_REGS, &regs))
		die(STATUS_FAILED, "KVM_SET_REGS: %s", strerror(errno));
}

/* Picoseconds per access. */
static __u64 run_guest(struct machine *m, __u64 seed)
{
	struct vcpu *vcpu = &m->vm.vcpu[0];
	struct timespec start, end;
	__s64 nsecs;

	start_guest(m, seed);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (ioctl(vcpu->fd, KVM_RUN, NULL))
		if (errno != EINTR && errno != EAGAIN)
			die(STATUS_FAILED, "KVM_RUN: %s", strerror(errno));
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (vcpu->run->exit_reason != KVM_EXIT_HLT)
		die(STATUS_FAILED, "the guest stopped for reason %u", vcpu->run->exit_reason);
	nsecs = (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec;
	return nsecs * 1000 / ACCESSES;
}

/* Returns whether there is such a backing. */
static bool prepare(struct machine *m, const struct backing *backing)
{
	int err = machine_create(m, backing, FILE_SIZE, WALK_ENTRY);

	if (err) {
		report_absent(backing->name, "walk", FILE_SIZE, "random", err);
		return false;
	}
	add_low_memory(m);
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
