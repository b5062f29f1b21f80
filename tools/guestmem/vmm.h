/* SPDX-License-Identifier: GPL-2.0 */
/*
 * guestmem-vmm: what its files share.
 *
 *	main.c		options, and the course of a run
 *	memory.c	the guest file, its shared half, conversion
 *	vm.c		the KVM side of it: VM, slots, vCPU state
 *	load.c		the guest program and what it finds in memory at its start
 *	vcpu.c		running vCPUs: exits, stopping, the watchdog
 *	checks.c	the table of checks
 *	calls.c		checks that the guest asks for
 *	paths.c		ways by which the host might get at private memory
 *	held.c		what the guest file says that it holds
 *	pool.c		the huge pages that a hugetlb store takes and gives back
 *	folios.c	the folios behind private memory: sizes and NUMA nodes
 *	nodes.c		NUMA nodes, and what is where
 *	move.c		moving memory to another node while the guest runs
 *	levels.c	the sizes at which KVM maps it
 *	map.c		the map of guest memory
 *	guest/		the default guest, and what a guest program must know
 *
 * A *slot* is a KVM memslot: guest physical memory that has two halves, the
 * private one in the guest file, the shared one mapped by this process.  Which
 * of the two a page of guest memory is, is its *state*; KVM keeps it as memory
 * attributes, and @state of struct memory repeats it.  All sizes and addresses
 * are in bytes, all ranges exclude their end.
 */
#ifndef GUESTMEM_VMM_H
#define GUESTMEM_VMM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <linux/guestmem.h>
#include <linux/kvm.h>

#include "guest/abi.h"

#ifndef KVM_MEM_GUEST_MEMFD
#error "linux/kvm.h is older than 6.8: set KHDR_INCLUDES, see the Makefile"
#endif

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE		4096ULL
#define KIB		1024ULL
#define MIB		(KIB * 1024)
#define GIB		(MIB * 1024)

enum exit_status {
	STATUS_OK	= 0,
	STATUS_FAILED	= 1,
	STATUS_USAGE	= 2,
	STATUS_ENVIRONMENT = 3,
};

/**
 * struct store - a place that pages of a guest file can come from
 * @name: as --store and fdinfo spell it
 * @cap: its bit of KVM_CAP_GUESTMEM
 * @flags: for memfd_create() beside MFD_GUEST
 * @granule: the size of the file is a multiple of this; more than PAGE if its
 *	pages come from a pool of huge pages
 */
struct store {
	const char *name;
	__u32 cap;
	unsigned int flags;
	__u64 granule;
};

struct options {
	const struct store *store;
	const char *guest;
	__u64 memory;
	__u64 hole;
	unsigned int vcpus;
	unsigned int rounds;
	unsigned int timeout;
	bool movable;
	bool needs;
	bool map;
	bool quiet;
	bool verbose;
};

struct slot {
	__u64 gpa;
	__u64 size;
	__u64 offset;
	char *hva;
};

/**
 * struct pool - counters of a pool of huge pages, in pages
 * @total: nr_hugepages
 * @free: free_hugepages
 * @reserved: resv_hugepages: of the free ones, those that are promised
 */
struct pool {
	__u64 total;
	__u64 free;
	__u64 reserved;
};

/* What is known of a page of the guest file, for @state of struct memory */
enum page_state {
	/* its state: private or shared */
	PAGE_PRIVATE	= 1,
	/* the guest has written it while it was private */
	PAGE_CLAIMED	= 2,
	/* it was discarded, when it became shared, at least once */
	PAGE_GIVEN	= 4,
};

/**
 * struct memory - the memory of the guest
 * @fd: the guest file
 * @size: of the guest file, and of both slots together
 * @slot: sorted by gpa; slot[1] starts behind the hole, and at slot[0].size in
 *	the file
 * @pool: what its pages come from, before the file was made
 * @lock: makes a conversion one step: attributes, @state and the discarding of
 *	the half that goes out of use
 * @state: by page of the file: enum page_state, under @lock while vCPUs run
 * @conversions: how many were made, under @lock
 * @converted: bytes, under @lock
 */
struct memory {
	int fd;
	__u64 size;
	struct slot slot[GUEST_SLOTS];
	struct pool pool;
	pthread_mutex_t lock;
	unsigned char *state;
	__u64 conversions;
	__u64 converted;
};

struct vm;
struct mover;

/**
 * struct vcpu - a vCPU and its thread
 * @vm: what it belongs to
 * @id: its number, from 0
 * @fd: from KVM_CREATE_VCPU
 * @run: what KVM and its thread tell each other
 * @thread: runs it, and alone changes the following
 * @exits: returns from KVM_RUN but for errors and repetitions; read by the
 *	watchdog to see progress
 * @done: ended as it should; read when the thread has ended
 * @error: why it did not, or empty
 * @line: console output since the last line end
 * @line_length: characters in @line
 */
struct vcpu {
	struct vm *vm;
	unsigned int id;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	__u64 exits;
	bool done;
	char error[160];
	char line[100];
	unsigned int line_length;
};

/**
 * struct vm - the virtual machine
 * @opt: how it was asked for
 * @kvm_fd: /dev/kvm
 * @fd: from KVM_CREATE_VM
 * @mem: its memory
 * @mover: moves @mem while the vCPUs run, or NULL
 * @vcpu: its vCPUs, the first @opt->vcpus are in use
 * @lock: innermost but for the table's own, never held in KVM_RUN
 * @ended: signalled, with @lock held, when a vCPU thread ends
 * @running: vCPU threads that have not ended, under @lock
 * @stop: threads leave the guest as soon as they can; accessed atomically
 * @reported: vCPUs that have ended with GUEST_CALL_DONE, under @lock
 * @granted: conversions that the guest says it got, under @lock
 * @used: bytes of private memory that the guest says it uses, under @lock
 */
struct vm {
	const struct options *opt;
	int kvm_fd;
	int fd;
	struct memory mem;
	struct mover *mover;
	struct vcpu vcpu[GUEST_MAX_VCPUS];
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned int running;
	int stop;
	unsigned int reported;
	__u64 granted;
	__u64 used;
};

/* main.c: end with a message */
[[gnu::noreturn, gnu::format(printf, 2, 3)]]
void die(enum exit_status status, const char *format, ...);

/* memory.c */

/* A part of a range that lies in one slot */
struct piece {
	__u64 gpa;
	__u64 size;
	__u64 offset;
	char *hva;
};

void memory_create(struct memory *mem, const struct options *opt);
__u64 memory_end(const struct memory *mem);
bool memory_next(const struct memory *mem, __u64 *gpa, __u64 end, struct piece *piece);
void *memory_shared(const struct memory *mem, __u64 gpa, __u64 size);
void shared_populate(void *hva, __u64 size);
unsigned char *shared_resident(const struct slot *slot);
bool memory_is_private(struct memory *mem, __u64 gpa);
void memory_claim(struct memory *mem, __u64 gpa, __u64 size);
int memory_set_state(struct vm *vm, __u64 gpa, __u64 size, bool private);
int memory_convert(struct vm *vm, __u64 gpa, __u64 size, bool private);

/* vm.c */
const struct store *vm_store(const char *name);
void vm_create(struct vm *vm, const struct options *opt);
int vm_bind(int vm_fd, unsigned int id, const struct slot *slot, int guest_fd);
void vm_add_slots(struct vm *vm);
void vm_remove_slots(struct vm *vm);
void vm_add_vcpus(struct vm *vm, __u64 entry);
void vm_prefault(struct vm *vm, __u64 gpa, __u64 size);
bool vm_stat(struct vm *vm, const char *name, __u64 *value);

/* load.c: where things are in the VMM's part of guest memory */
#define BOOT_DATA	0x1000ULL
#define BOOT_GDT	0x2000ULL
#define BOOT_GDT_SIZE	24
#define BOOT_PML4	0x3000ULL
#define BOOT_MAILBOX	0x8000ULL

#define BOOT_CS		0x08
#define BOOT_DS		0x10

/* One page directory per GiB, from BOOT_PD to GUEST_IMAGE_START */
#define BOOT_PDPT	0x4000ULL
#define BOOT_PD		0x20000ULL
#define BOOT_MAX_END	((GUEST_IMAGE_START - BOOT_PD) / PAGE * GIB)

__u64 load_guest(struct memory *mem, const struct options *opt);

/* vcpu.c */
void vcpus_run(struct vm *vm);

/* calls.c: false if this vCPU has nothing more to run */
bool guest_call(struct vcpu *vcpu, __u32 nr);

/* checks.c */
enum section {
	SECTION_GUEST,
	SECTION_SECRET,
	SECTION_HELD,
	SECTION_POOL,
	SECTION_MOVE,
	SECTION_LEVELS,
	SECTIONS,
};

/* How a value is printed */
enum unit {
	UNIT_BYTES,
	UNIT_COUNT,
};

/**
 * struct compared - the result of comparing memory with a pattern
 * @bytes: compared
 * @wrong: of these, bytes in words that differ
 * @gpa: of the first that differs
 * @want: what should be there
 * @seen: what is there
 */
struct compared {
	__u64 bytes;
	__u64 wrong;
	__u64 gpa;
	__u64 want;
	__u64 seen;
};

/* A range without an upper end */
#define NO_LIMIT	(~0ULL)

void check_compared(enum section section, const char *name, const struct compared *c);
void check_value(enum section section, const char *name, const char *source, enum unit unit,
		 __u64 want, __u64 seen);
void check_range(enum section section, const char *name, const char *source, enum unit unit,
		 __u64 min, __u64 max, __u64 seen);
void check_errno(enum section section, const char *name, int want, int seen);
void check_count(enum section section, const char *name, const char *what,
		 __u64 bytes, __u64 found);
unsigned int checks_print(bool quiet);
const char *size_text(char *text, size_t size, __u64 bytes);
bool use_colour(void);

/* paths.c: memory of @size at @gpa is private and holds pattern @seed */
void try_paths(struct vm *vm, __u64 gpa, __u64 size, __u64 seed);

/* held.c: the next range that the file holds, from *offset on */
bool held_next(const struct memory *mem, __u64 *offset, __u64 *size);
struct guestmem_info held_info(const struct memory *mem);
__u64 held_bytes(const struct guestmem_info *info);
__u64 held_fdinfo(const struct memory *mem, const char *key);
ino_t held_inode(const struct memory *mem);
void held_check_start(struct vm *vm);
void held_check_peak(struct vm *vm, __u64 used);
void held_check_split(struct vm *vm);
void held_check_teardown(struct vm *vm);

/* pool.c */
void pool_start(struct memory *mem, const struct store *store);
void pool_check_node(struct vm *vm, unsigned int node);
void pool_explain(const struct memory *mem, const struct options *opt, char *text, size_t size);
void pool_check(struct vm *vm, const char *when, __u64 held, __u64 file_size);

/* folios.c: by page of the file, the order of the folio that backs it, or its node */
#define NO_FOLIO	0xff
unsigned char *folios_orders(struct vm *vm);
unsigned char *folios_nodes(struct vm *vm);

/* nodes.c: NUMA nodes, by number, and the bytes of the guest file that are there */
#define MAX_NODES	NO_FOLIO

struct node_use {
	__u64 bytes[MAX_NODES];
};

unsigned int nodes_with_memory(unsigned int *nodes, unsigned int room);
unsigned int nodes_distance(unsigned int from, unsigned int to);
__u64 nodes_by_info(const struct memory *mem, struct node_use *use);
void nodes_by_fdinfo(const struct memory *mem, struct node_use *use);
bool nodes_by_folios(struct vm *vm, struct node_use *use);
__u64 nodes_sum(const struct node_use *use);

/* move.c */
void move_start(struct vm *vm);
void move_pause(struct vm *vm);
void move_resume(struct vm *vm);
void move_end(struct vm *vm);
void move_check(struct vm *vm);

/* levels.c: the sizes at which KVM maps memory */
enum level {
	LEVEL_4K,
	LEVEL_2M,
	LEVEL_1G,
	LEVELS,
};

struct level_info {
	const char *name;
	const char *stat;
	__u64 size;
	unsigned int order;
};

extern const struct level_info levels[LEVELS];
void levels_read(struct vm *vm, __u64 mapped[LEVELS]);
void levels_check(struct vm *vm);

/* map.c */
struct map;
struct map *map_take(struct vm *vm);
void map_print(struct map *map, const struct options *opt);
void map_print_nodes(struct vm *vm);

#endif /* GUESTMEM_VMM_H */
