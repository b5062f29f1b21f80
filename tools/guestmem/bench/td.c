// SPDX-License-Identifier: GPL-2.0
/*
 * What the memory of a TD costs: calls of the TDX module, by leaf, and kicks of all vCPUs.
 *
 * The software module counts what it is asked, all of it, and KVM its kicks.  No vCPU
 * runs and nothing is measured in time, so the figures are exact and the same everywhere;
 * but for calls that have to be repeated, which are counted apart.
 *
 * KVM merges small pages into large ones in its own time.  That is switched off, but for
 * the measures whose name ends in "-merge": they end when all is as large as it can be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/memfd.h>

#include "bench.h"

#define SIZE		GIB
/* Where parts of it are converted: a page of 2M that has others around it */
#define PLACE		(64 * MIB)

/* x87 and SSE, which every TD has */
#define TD_XFAM		3

#define DEBUGFS		"/sys/kernel/debug"
#define CALLS		DEBUGFS "/tdxmod/calls"
#define MERGE		"/sys/module/kvm/parameters/tdx_merge"

/* The worker that merges comes ten times a second, and does 64 of 2M each time. */
#define MERGE_POLL_USECS	10000
#define MERGE_POLLS		6000

/* Calls that succeeded; those of other leaves are summed up. */
static const char *const leaves[] = {
	"TDH.MEM.SEPT.ADD",
	"TDH.MEM.SEPT.REMOVE",
	"TDH.MEM.SEPT.RD",
	"TDH.MEM.PAGE.AUG",
	"TDH.MEM.PAGE.REMOVE",
	"TDH.MEM.PAGE.PROMOTE",
	"TDH.MEM.PAGE.DEMOTE",
	"TDH.MEM.PAGE.RELOCATE",
	"TDH.MEM.RANGE.BLOCK",
	"TDH.MEM.RANGE.UNBLOCK",
	"TDH.MEM.TRACK",
	"TDH.PHYMEM.PAGE.RECLAIM",
};

#define OTHERS		ARRAY_SIZE(leaves)
/* Found something busy, or were interrupted; how many depends on the machine. */
#define REPEATED	(OTHERS + 1)
#define REFUSED		(OTHERS + 2)

/**
 * struct store_folios - what the memory of a TD is made of
 * @backing: a backing, with the name that its figures have here
 * @folios: the size of its folios, which the S-EPT gets at most by merging
 */
struct store_folios {
	struct backing backing;
	const struct folios *folios;
};

/* --- a TD --------------------------------------------------------------- */

static void td_command(int fd, __u32 id, void *data)
{
	struct kvm_tdx_cmd cmd = { .id = id, .data = (unsigned long)data };

	if (ioctl(fd, KVM_MEMORY_ENCRYPT_OP, &cmd))
		die(STATUS_FAILED, "command %u of a TD: %s, the module's status is %#llx", id,
		    strerror(errno), cmd.hw_error);
}

static void td_open(struct vm *vm)
{
	struct kvm_tdx_init_vm init = { .xfam = TD_XFAM };

	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, KVM_X86_TDX_VM);
	if (vm->fd < 0)
		die(STATUS_ENVIRONMENT, "KVM_CREATE_VM of a TD: %s", strerror(errno));
	td_command(vm->fd, KVM_TDX_INIT_VM, &init);
}

static void td_add_vcpu(struct vm *vm)
{
	int size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct vcpu *vcpu = &vm->vcpu[0];

	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	if (vcpu->fd < 0)
		die(STATUS_FAILED, "KVM_CREATE_VCPU: %s", strerror(errno));
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		die(STATUS_FAILED, "mmap of a vCPU: %s", strerror(errno));
	td_command(vcpu->fd, KVM_TDX_INIT_VCPU, NULL);
}

/* All private, nothing mapped, and ready to run.  Returns an error number without a file. */
static int td_create(struct machine *m, const struct store_folios *store)
{
	int err = machine_prepare(m, &store->backing, MFD_GUEST_MOVABLE, SIZE);

	if (err)
		return err;
	td_open(&m->vm);
	machine_bind(m);
	td_add_vcpu(&m->vm);
	td_command(m->vm.fd, KVM_TDX_FINALIZE_VM, NULL);
	machine_set_private(m, 0, SIZE, true);
	return 0;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(STATUS_ENVIRONMENT, "%s: %s", path, strerror(errno));
	close(fd);
}

static void set_merging(bool on)
{
	write_text(MERGE, on ? "1" : "0");
}

static __u64 td_stat(const struct machine *m, const char *name)
{
	char path[128], word[32];
	__u64 value = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), DEBUGFS "/kvm/%d-%d/tdx/stats", getpid(), m->vm.fd);
	f = fopen(path, "re");
	while (f && !found && fscanf(f, "%31s %llu", word, &value) == 2)
		found = !strcmp(word, name);
	if (!found)
		die(STATUS_ENVIRONMENT, "%s has no %s", path, name);
	fclose(f);
	return value;
}

/* Until all is as large as its folios. */
static void await_merging(const struct machine *m, const struct folios *folios)
{
	const char *name = folios->size == GIB ? "pages_1g" : "pages_2m";
	unsigned int polls;

	for (polls = 0; polls < MERGE_POLLS; polls++) {
		if (td_stat(m, name) == SIZE / folios->size)
			return;
		usleep(MERGE_POLL_USECS);
	}
	die(STATUS_FAILED, "%s: pages were not merged, there are %llu of %llu bytes",
	    m->backing->name, td_stat(m, name), folios->size);
}

/* --- counting ----------------------------------------------------------- */

static void count_start(void)
{
	write_text(CALLS, "reset");
}

static unsigned int counter_of(const char *leaf, const char *status)
{
	unsigned int i;

	if (strstr(status, "BUSY") || strstr(status, "INTERRUPTED"))
		return REPEATED;
	if (strcmp(status, "SUCCESS"))
		return REFUSED;
	for (i = 0; i < ARRAY_SIZE(leaves) && strcmp(leaf, leaves[i]); i++)
		;
	return i;
}

static void report_calls(const struct store_folios *store, const char *measure, __u64 bytes,
			 const char *variant, __u64 calls)
{
	report_sample(store->backing.name, measure, bytes, variant, calls, "calls");
}

static void count_stop(const struct store_folios *store, const char *measure, __u64 bytes)
{
	__u64 calls[REFUSED + 1] = {}, count;
	char leaf[64], status[64];
	FILE *f = fopen(CALLS, "re");
	unsigned int i;

	if (!f)
		die(STATUS_ENVIRONMENT, "%s: %s", CALLS, strerror(errno));
	while (fscanf(f, "%63s %63s %llu", leaf, status, &count) == 3)
		calls[counter_of(leaf, status)] += count;
	fclose(f);
	for (i = 0; i < ARRAY_SIZE(leaves); i++)
		report_calls(store, measure, bytes, leaves[i], calls[i]);
	report_calls(store, measure, bytes, "others", calls[OTHERS]);
	report_calls(store, measure, bytes, "repeated", calls[REPEATED]);
	report_calls(store, measure, bytes, "refused", calls[REFUSED]);
}

/**
 * struct operation - something that is done to the memory of a TD
 * @measure: name of its figures
 * @run: does it
 * @offset: of the memory
 * @size: of the memory
 * @merging: it ends when the worker has merged what it can
 */
struct operation {
	const char *measure;
	void (*run)(struct machine *m, __u64 offset, __u64 size);
	__u64 offset;
	__u64 size;
	bool merging;
};

static void measure(struct machine *m, const struct store_folios *store,
		    const struct operation *op)
{
	__u64 kicks = td_stat(m, "kicks");

	count_start();
	op->run(m, op->offset, op->size);
	if (op->merging)
		await_merging(m, store->folios);
	count_stop(store, op->measure, op->size);
	report_calls(store, op->measure, op->size, "kicks", td_stat(m, "kicks") - kicks);
}

static void measure_all(struct machine *m, const struct store_folios *store,
			const struct operation *ops, unsigned int nr)
{
	for (; nr; nr--)
		measure(m, store, ops++);
}

static void to_shared(struct machine *m, __u64 offset, __u64 size)
{
	machine_set_private(m, offset, size, false);
}

static void to_private(struct machine *m, __u64 offset, __u64 size)
{
	machine_set_private(m, offset, size, true);
	machine_map(m, offset, size);
}

static void migrate(struct machine *m, __u64 offset, __u64 size)
{
	struct guestmem_migrate range;
	int err = machine_move(m, offset, size, OTHER_NODE, &range);

	if (err || range.moved != size)
		die(STATUS_FAILED, "of %llu bytes %llu have moved: %s", size, range.moved,
		    strerror(err));
}

/* --- lives of TDs ------------------------------------------------------- */

/* KVM's counters go with the VM; nobody is kicked any more then. */
static void measure_teardown(struct machine *m, const struct store_folios *store, __u64 mapped)
{
	count_start();
	machine_release(m);
	count_stop(store, "td-teardown", mapped);
}

static int measure_empty(const struct store_folios *store)
{
	struct machine m;
	int err = td_create(&m, store);

	if (!err)
		measure_teardown(&m, store, 0);
	return err;
}

static void create_again(struct machine *m, const struct store_folios *store)
{
	int err = td_create(m, store);

	if (err)
		die(STATUS_FAILED, "a file of %s cannot be made a second time: %s",
		    store->backing.name, strerror(err));
}

static void measure_life(const struct store_folios *store)
{
	static const struct operation ops[] = {
		{ "td-build", machine_map, 0, SIZE, false },
		{ "td-to-shared", to_shared, PLACE, 2 * MIB, false },
		{ "td-to-private", to_private, PLACE, 2 * MIB, false },
		{ "td-to-shared", to_shared, 0, SIZE, false },
		{ "td-to-private", to_private, 0, SIZE, false },
		{ "td-to-shared", to_shared, PLACE, 4 * KIB, false },
		{ "td-to-private", to_private, PLACE, 4 * KIB, false },
	};
	static const struct operation punch = { "td-punch", machine_punch, 0, SIZE, false };
	struct machine m;

	set_merging(false);
	create_again(&m, store);
	measure_all(&m, store, ops, ARRAY_SIZE(ops));
	/* A page of 2M again, in place of the table with that 4K */
	to_shared(&m, PLACE, 2 * MIB);
	to_private(&m, PLACE, 2 * MIB);
	measure(&m, store, &punch);
	machine_map(&m, 0, SIZE);
	measure_teardown(&m, store, SIZE);
}

/* What was moved is mapped by 4K, and its tables are in the way of larger pages later. */
static void measure_migrate(const struct store_folios *store)
{
	static const struct operation ops[] = {
		{ "td-migrate", migrate, 0, SIZE, false },
		{ "td-punch-moved", machine_punch, 0, SIZE, false },
		{ "td-rebuild", machine_map, 0, SIZE, false },
	};
	struct machine m;

	set_merging(false);
	create_again(&m, store);
	machine_map(&m, 0, SIZE);
	measure_all(&m, store, ops, ARRAY_SIZE(ops));
	machine_release(&m);
}

static void measure_merging(const struct store_folios *store)
{
	static const struct operation ops[] = {
		{ "td-build-merge", machine_map, 0, SIZE, true },
		{ "td-to-shared-merge", to_shared, PLACE, 4 * KIB, false },
		{ "td-to-private-merge", to_private, PLACE, 4 * KIB, true },
		{ "td-migrate-merge", migrate, 0, SIZE, true },
	};
	struct machine m;

	set_merging(true);
	create_again(&m, store);
	measure_all(&m, store, ops, ARRAY_SIZE(ops));
	machine_release(&m);
}

static int measure_store(const struct store_folios *store)
{
	int err = measure_empty(store);

	if (err) {
		report_absent(store->backing.name, "td-build", SIZE, "TDH.MEM.PAGE.AUG", err);
		return STATUS_ABSENT;
	}
	measure_life(store);
	measure_migrate(store);
	if (store->folios->size > PAGE)
		measure_merging(store);
	return STATUS_OK;
}

int count_td(const struct backing *backing, unsigned int runs)
{
	struct store_folios store = { .backing = *backing };
	unsigned int run;
	int status;

	if (backing->native)
		die(STATUS_USAGE, "TDs have no memory of backing %s", backing->name);
	for (store.folios = backing_folios(backing); store.folios->size; store.folios++) {
		store.backing.name = store.folios->size == PAGE ? "shmem-4K" : backing->name;
		store.backing.flags = backing->flags | store.folios->flags;
		for (run = 0; run < runs; run++) {
			status = measure_store(&store);
			if (status)
				return run ? STATUS_FAILED : status;
		}
	}
	return STATUS_OK;
}
