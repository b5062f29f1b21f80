// SPDX-License-Identifier: GPL-2.0
/*
 * What the guest file holds, by everything that reports it: GUESTMEM_GET_INFO,
 * fstat, fdinfo, SEEK_DATA.  The expected value is never one of these: it comes
 * from the guest, which says what private memory it uses.
 *
 * A store of huge pages holds more than that.  The first page that a guest uses
 * of an aligned 2M brings all of it.  What is discarded later, shmem takes out of
 * it; hugetlb gives its granule back when nothing of it is left.  And shmem uses
 * pages of 4K when it gets none of 2M: with it, a *block* that the guest uses in
 * part is held in part or as a whole.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "vmm.h"

#define FSTAT_BLOCK	512ULL
#define SHMEM_BLOCK	(2 * MIB)

/* Bytes of a file, or of one block of it */
struct expected {
	/* in use by the guest */
	__u64 used;
	/* held, at least and at most */
	__u64 min;
	__u64 max;
};

struct guestmem_info held_info(const struct memory *mem)
{
	struct guestmem_info info = { .size = sizeof(info) };

	if (ioctl(mem->fd, GUESTMEM_GET_INFO, &info))
		die(STATUS_FAILED, "GUESTMEM_GET_INFO: %s", strerror(errno));
	return info;
}

__u64 held_bytes(const struct guestmem_info *info)
{
	return info->pages_4k * PAGE + info->pages_2m * 2 * MIB + info->pages_1g * GIB;
}

static __u64 info_held(const struct memory *mem)
{
	struct guestmem_info info = held_info(mem);

	return held_bytes(&info);
}

static __u64 info_nodes_held(const struct memory *mem)
{
	struct node_use use;

	nodes_by_info(mem, &use);
	return nodes_sum(&use);
}

static struct stat get_stat(const struct memory *mem)
{
	struct stat st;

	if (fstat(mem->fd, &st))
		die(STATUS_FAILED, "fstat of the guest file: %s", strerror(errno));
	return st;
}

ino_t held_inode(const struct memory *mem)
{
	return get_stat(mem).st_ino;
}

static FILE *open_fdinfo(const struct memory *mem)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", mem->fd);
	file = fopen(path, "re");
	if (!file)
		die(STATUS_ENVIRONMENT, "%s: %s", path, strerror(errno));
	return file;
}

/* The number behind "key:" in fdinfo of the guest file. */
__u64 held_fdinfo(const struct memory *mem, const char *key)
{
	FILE *file = open_fdinfo(mem);
	unsigned long long value;
	size_t length = strlen(key);
	bool found = false;
	char line[128];

	while (!found && fgets(line, sizeof(line), file))
		found = !strncmp(line, key, length) && line[length] == ':' &&
			sscanf(line + length + 1, "%llu", &value) == 1;
	fclose(file);
	if (!found)
		die(STATUS_FAILED, "fdinfo of the guest file has no line '%s:'", key);
	return value;
}

/* Nodes without a line hold nothing. */
void nodes_by_fdinfo(const struct memory *mem, struct node_use *use)
{
	FILE *file = open_fdinfo(mem);
	unsigned long long kb;
	unsigned int node;
	char line[128];

	memset(use, 0, sizeof(*use));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "guest_node%u: %llu", &node, &kb) == 2 && node < MAX_NODES)
			use->bytes[node] = kb * KIB;
	fclose(file);
}

static __u64 fdinfo_held(const struct memory *mem)
{
	return held_fdinfo(mem, "guest_4k") * PAGE + held_fdinfo(mem, "guest_2m") * 2 * MIB +
		held_fdinfo(mem, "guest_1g") * GIB;
}

static __u64 fdinfo_nodes_held(const struct memory *mem)
{
	struct node_use use;

	nodes_by_fdinfo(mem, &use);
	return nodes_sum(&use);
}

bool held_next(const struct memory *mem, __u64 *offset, __u64 *size)
{
	off_t data = lseek(mem->fd, *offset, SEEK_DATA), hole;

	if (data < 0 && errno == ENXIO)
		return false;
	hole = data < 0 ? -1 : lseek(mem->fd, data, SEEK_HOLE);
	if (hole < 0)
		die(STATUS_FAILED, "lseek of the guest file: %s", strerror(errno));
	*offset = data;
	*size = hole - data;
	return true;
}

static __u64 seek_held(const struct memory *mem)
{
	__u64 offset, size, sum = 0;

	for (offset = 0; held_next(mem, &offset, &size); offset += size)
		sum += size;
	return sum;
}

/* --- what must be held -------------------------------------------------- */

static bool is_used(unsigned char state)
{
	return state & PAGE_PRIVATE && state & PAGE_CLAIMED;
}

/* The block of @size at @offset, without regard to granules. */
static struct expected expect_block(const struct memory *mem, __u64 offset, __u64 size)
{
	struct expected e = {};
	bool claimed = false;
	__u64 i;

	for (i = offset / PAGE; i < (offset + size) / PAGE; i++) {
		claimed |= mem->state[i] & PAGE_CLAIMED;
		e.used += is_used(mem->state[i]) ? PAGE : 0;
		e.max += is_used(mem->state[i]) || !(mem->state[i] & PAGE_GIVEN) ? PAGE : 0;
	}
	e.min = e.used;
	if (!claimed)
		e.max = 0;
	return e;
}

static struct expected expect(struct vm *vm)
{
	__u64 granule = vm->opt->store->granule;
	__u64 block = granule > PAGE ? granule : SHMEM_BLOCK, offset;
	struct expected sum = {}, e;

	pthread_mutex_lock(&vm->mem.lock);
	for (offset = 0; offset < vm->mem.size; offset += block) {
		e = expect_block(&vm->mem, offset, block);
		if (granule > PAGE) {
			e.min = e.min ? granule : 0;
			e.max = e.max ? granule : 0;
		}
		sum.used += e.used;
		sum.min += e.min;
		sum.max += e.max;
	}
	pthread_mutex_unlock(&vm->mem.lock);
	return sum;
}

/* --- checks ------------------------------------------------------------- */

static void check_held(struct vm *vm, const char *when)
{
	const struct {
		const char *source;
		__u64 seen;
	} reports[] = {
		{ "GUESTMEM_GET_INFO", info_held(&vm->mem) },
		{ "fstat", get_stat(&vm->mem).st_blocks * FSTAT_BLOCK },
		{ "fdinfo", fdinfo_held(&vm->mem) },
		{ "GUESTMEM_GET_INFO, by node", info_nodes_held(&vm->mem) },
		{ "fdinfo, by node", fdinfo_nodes_held(&vm->mem) },
		{ "SEEK_DATA", seek_held(&vm->mem) },
	};
	struct expected e = expect(vm);
	char name[64];
	unsigned int i;

	snprintf(name, sizeof(name), "held %s (%zu reports agree)", when, ARRAY_SIZE(reports));
	for (i = 1; i < ARRAY_SIZE(reports); i++)
		check_value(SECTION_HELD, name, reports[i].source, UNIT_BYTES, reports[0].seen,
			    reports[i].seen);
	check_range(SECTION_HELD, name, reports[0].source, UNIT_BYTES, e.min, e.max,
		    reports[0].seen);
	pool_check(vm, when, reports[0].seen, vm->mem.size);
}

/* @used: bytes of private memory, by the guest's own count. */
static void check_used(struct vm *vm, const char *when, __u64 used)
{
	char name[64];

	snprintf(name, sizeof(name), "used %s, by guest and by VMM", when);
	check_value(SECTION_HELD, name, NULL, UNIT_BYTES, used, expect(vm).used);
}

/* While the guest uses all that it has claimed. */
void held_check_peak(struct vm *vm, __u64 used)
{
	check_used(vm, "at the peak", used);
	check_held(vm, "at the peak");
}

static void check_size(struct vm *vm)
{
	static const char *const name = "size of the file (3 reports agree)";
	struct memory *mem = &vm->mem;

	check_value(SECTION_HELD, name, "fstat", UNIT_BYTES, mem->size, get_stat(mem).st_size);
	check_value(SECTION_HELD, name, "GUESTMEM_GET_INFO", UNIT_BYTES, mem->size,
		    held_info(mem).file_size);
	check_value(SECTION_HELD, name, "fdinfo", UNIT_BYTES, mem->size,
		    held_fdinfo(mem, "guest_size"));
	check_value(SECTION_HELD, "granule", NULL, UNIT_BYTES, vm->opt->store->granule,
		    held_info(mem).granule);
	check_value(SECTION_HELD, "slots bound", NULL, UNIT_COUNT, GUEST_SLOTS,
		    held_info(mem).bound);
	check_value(SECTION_HELD, "bound or not, by fdinfo", NULL, UNIT_COUNT, 1,
		    held_fdinfo(mem, "guest_bound"));
}

/* Before the guest has run. */
void held_check_start(struct vm *vm)
{
	check_size(vm);
	check_held(vm, "at first");
}

/* Whether all of the granule at @offset was discarded and is shared. */
static bool granule_discarded(const struct vm *vm, __u64 offset)
{
	__u64 granule = vm->opt->store->granule, i;

	offset -= offset % granule;
	for (i = offset / PAGE; i < (offset + granule) / PAGE; i++)
		if (vm->mem.state[i] & PAGE_PRIVATE || !(vm->mem.state[i] & PAGE_GIVEN))
			return false;
	return true;
}

/* What the file holds although it was discarded when it became shared. */
static __u64 held_but_discarded(const struct vm *vm)
{
	__u64 offset, size, i, sum = 0;

	for (offset = 0; held_next(&vm->mem, &offset, &size); offset += size)
		for (i = offset; i < offset + size; i += PAGE)
			if (!(vm->mem.state[i / PAGE] & PAGE_PRIVATE) && granule_discarded(vm, i))
				sum += PAGE;
	return sum;
}

/* Pages of the mapping where memory is private. */
static __u64 mapped_but_private(const struct memory *mem, const struct slot *slot)
{
	unsigned char *resident = shared_resident(slot);
	__u64 i, sum = 0;

	for (i = 0; i < slot->size / PAGE; i++)
		if (resident[i] & 1 && mem->state[slot->offset / PAGE + i] & PAGE_PRIVATE)
			sum += PAGE;
	free(resident);
	return sum;
}

/* A guest that ends by HLT has not said what it uses. */
static bool guest_reported(const struct vm *vm)
{
	return vm->reported == vm->opt->vcpus;
}

/* When the vCPUs have ended: no page has both halves. */
void held_check_split(struct vm *vm)
{
	struct memory *mem = &vm->mem;
	unsigned int i;

	if (guest_reported(vm)) {
		check_used(vm, "at the end", vm->used);
		check_held(vm, "at the end");
	}
	check_value(SECTION_HELD, "held where memory was given up", NULL, UNIT_BYTES, 0,
		    held_but_discarded(vm));
	for (i = 0; i < GUEST_SLOTS; i++)
		check_value(SECTION_HELD, "shared pages where memory is private",
			    i ? "slot 1" : "slot 0", UNIT_BYTES, 0,
			    mapped_but_private(mem, &mem->slot[i]));
}

/*
 * Without slots the file keeps its memory until it is told otherwise, and a pool
 * its promise until the file is gone.
 */
void held_check_teardown(struct vm *vm)
{
	struct memory *mem = &vm->mem;

	vm_remove_slots(vm);
	check_value(SECTION_HELD, "slots bound, both deleted", NULL, UNIT_COUNT, 0,
		    held_info(mem).bound);
	if (guest_reported(vm))
		check_held(vm, "without slots");
	if (fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, mem->size))
		die(STATUS_FAILED, "punching all of the guest file: %s", strerror(errno));
	memset(mem->state, 0, mem->size / PAGE);
	check_held(vm, "when punched");
	close(mem->fd);
	pool_check(vm, "when closed", 0, 0);
}
