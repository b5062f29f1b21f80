/* SPDX-License-Identifier: GPL-2.0 */
/*
 * guestmem-bench: what its files share.
 *
 *	main.c		options, and which topic runs what
 *	meter.c		the clock: instructions, without those of waiting
 *	machine.c	a VM on one file, and the calls that are measured
 *	count.c		the topics that count instructions
 *	move.c		one more of them: moving memory to another NUMA node
 *	td.c		a topic that counts calls of the TDX module
 *	walk.c		a topic that takes time: a guest's random accesses
 *	pause.c		the other one: for how long a guest waits for memory that moves
 *	guest.S		the programs of these guests
 *
 * A *backing* is where private memory comes from: the native guest_memfd, or a
 * guest file of one store.  A *sample* is one figure of one run; it is a line on
 * standard output, "sample BACKING MEASURE BYTES VARIANT VALUE UNIT".  A line
 * "absent BACKING MEASURE BYTES VARIANT REASON" is a figure that this backing
 * cannot have.  What becomes of samples is not decided here.
 */
#ifndef GUESTMEM_BENCH_H
#define GUESTMEM_BENCH_H

#include "../vmm.h"

/* Private memory is at this guest physical address, which suits every page size. */
#define PRIVATE_GPA	(4 * GIB)

/* What a topic returns when its backing does not exist, as kselftest has it */
#define STATUS_ABSENT	4

/**
 * struct backing - a place that private memory can come from
 * @name: as on the command line
 * @native: KVM_CREATE_GUEST_MEMFD, the following fields are unused
 * @flags: for memfd_create() beside MFD_GUEST
 * @granule: the size of a file is a multiple of this
 */
struct backing {
	const char *name;
	bool native;
	unsigned int flags;
	__u64 granule;
};

const struct backing *backing_find(const char *name);

/* --- meter.c ------------------------------------------------------------ */

/**
 * struct meter - an interval in progress
 * @tsc: time stamp counter at its start
 * @idle: nanoseconds that the CPU had been idle for until then
 */
struct meter {
	__u64 tsc;
	__u64 idle;
};

void meter_start(struct meter *meter);
__u64 meter_stop(const struct meter *meter);
__u64 meter_stop_settled(const struct meter *meter);
void settle(void);
__u64 loop_ticks(__u64 instructions);

void report_sample(const char *backing, const char *measure, __u64 bytes, const char *variant,
		   __u64 value, const char *unit);
void report_absent(const char *backing, const char *measure, __u64 bytes, const char *variant,
		   int err);

/* --- machine.c ---------------------------------------------------------- */

/**
 * struct machine - a VM with one vCPU and one slot of private memory
 * @vm: the VM, as guestmem-vmm makes it
 * @opt: what that asks for
 * @backing: of @file
 * @file: the private half of the slot
 * @slot: all of @file, at PRIVATE_GPA
 * @mapping: what mmap() gave for the shared half
 */
struct machine {
	struct vm vm;
	struct options opt;
	const struct backing *backing;
	int file;
	struct slot slot;
	void *mapping;
};

/*
 * @flags are for memfd_create() beside the backing's, without meaning for native.
 * Returns 0, or an error number if the backing has no file of that size.
 */
int machine_create(struct machine *m, const struct backing *backing, unsigned int flags,
		   __u64 size, __u64 entry);
void machine_release(struct machine *m);

/* machine_create() in two steps, for other kinds of VMs: the file, and @m->vm's slot on it. */
int machine_prepare(struct machine *m, const struct backing *backing, unsigned int flags,
		    __u64 size);
void machine_bind(struct machine *m);

/* Calls into the kernel, on a part of the file; they end the program on failure. */
void machine_set_private(struct machine *m, __u64 offset, __u64 size, bool private);
void machine_allocate(struct machine *m, __u64 offset, __u64 size);
void machine_punch(struct machine *m, __u64 offset, __u64 size);
void machine_map(struct machine *m, __u64 offset, __u64 size);

/* To a NUMA node; what is in use may stay behind.  Returns 0, or an error number. */
int machine_move(struct machine *m, __u64 offset, __u64 size, unsigned int node,
		 struct guestmem_migrate *range);

/*
 * Shared memory at 0 with page tables that map all addresses 1:1, and a program, which
 * is entered at GUEST_ENTRY; what is from GUEST_DATA on is its own.  Returns where that
 * memory is mapped.
 */
#define GUEST_ENTRY	BOOT_MAILBOX
#define GUEST_DATA	(GUEST_ENTRY + PAGE)
char *machine_load(struct machine *m, const char *program, const char *end);
void machine_start(struct machine *m, const struct kvm_regs *regs);
/* Until it halts. */
void machine_run(struct machine *m);

__u64 machine_stat(struct machine *m, const char *name);

/* --- topics ------------------------------------------------------------- */

void *memory_alone(__u64 size);
void copy_memory(char *buffer, __u64 bytes);
void count_zeroing(unsigned int runs);
int count_attributes(const struct backing *backing, unsigned int runs);
int count_populate(const struct backing *backing, unsigned int runs);
int count_convert(const struct backing *backing, unsigned int runs);
void count_copying(unsigned int runs);
int count_move(const struct backing *backing, unsigned int runs);
int count_td(const struct backing *backing, unsigned int runs);
int walk(const struct backing *const *backings, unsigned int nr, unsigned int runs);
int time_pause(const struct backing *backing, unsigned int runs);

/* --- move.c ------------------------------------------------------------- */

#define HOME_NODE	0
#define OTHER_NODE	1

/**
 * struct folios - a size of folios that a backing has
 * @size: in bytes, 0 behind the last of them
 * @many: how many are moved in one call; one by itself is moved anyway
 * @flags: for memfd_create()
 */
struct folios {
	__u64 size;
	unsigned int many;
	unsigned int flags;
};

/* In order of size. */
const struct folios *backing_folios(const struct backing *backing);
/* All memory is private, on the home node and mapped; an error number if it cannot move. */
int machine_create_movable(struct machine *m, const struct backing *backing,
			   const struct folios *folios, __u64 size, __u64 entry);
/* All of it, however often that takes; an error number if it cannot. */
int machine_move_all(struct machine *m, unsigned int node);

/* --- guest.S ------------------------------------------------------------ */

extern const char walk_code[], walk_code_end[];
extern const char touch_code[], touch_code_end[];

#endif /* GUESTMEM_BENCH_H */
