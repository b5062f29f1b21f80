// SPDX-License-Identifier: GPL-2.0
/*
 * What the guest file holds, by everything that reports it: GUESTMEM_GET_INFO,
 * fstat, fdinfo, SEEK_DATA.  The expected value is never one of these: it comes
 * from the guest, which counts the private memory that it uses.
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

static struct guestmem_info get_info(const struct memory *mem)
{
	struct guestmem_info info = { .size = sizeof(info) };

	if (ioctl(mem->fd, GUESTMEM_GET_INFO, &info))
		die(STATUS_FAILED, "GUESTMEM_GET_INFO: %s", strerror(errno));
	return info;
}

static __u64 info_held(const struct memory *mem)
{
	struct guestmem_info info = get_info(mem);

	return info.pages_4k * PAGE + info.pages_2m * 2 * MIB + info.pages_1g * GIB;
}

static struct stat get_stat(const struct memory *mem)
{
	struct stat st;

	if (fstat(mem->fd, &st))
		die(STATUS_FAILED, "fstat of the guest file: %s", strerror(errno));
	return st;
}

/* The number behind "key:" in fdinfo of the guest file. */
static __u64 fdinfo_line(const struct memory *mem, const char *key)
{
	unsigned long long value;
	size_t length = strlen(key);
	bool found = false;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", mem->fd);
	file = fopen(path, "re");
	if (!file)
		die(STATUS_ENVIRONMENT, "%s: %s", path, strerror(errno));
	while (!found && fgets(line, sizeof(line), file))
		found = !strncmp(line, key, length) && line[length] == ':' &&
			sscanf(line + length + 1, "%llu", &value) == 1;
	fclose(file);
	if (!found)
		die(STATUS_FAILED, "%s has no line '%s:'", path, key);
	return value;
}

static __u64 fdinfo_held(const struct memory *mem)
{
	return fdinfo_line(mem, "guest_4k") * PAGE + fdinfo_line(mem, "guest_2m") * 2 * MIB +
		fdinfo_line(mem, "guest_1g") * GIB;
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

/* @want: bytes that the guest file must hold now. */
void held_check(struct vm *vm, const char *when, __u64 want)
{
	const struct {
		const char *source;
		__u64 seen;
	} reports[] = {
		{ "GUESTMEM_GET_INFO", info_held(&vm->mem) },
		{ "fstat", get_stat(&vm->mem).st_blocks * FSTAT_BLOCK },
		{ "fdinfo", fdinfo_held(&vm->mem) },
		{ "SEEK_DATA", seek_held(&vm->mem) },
	};
	char name[64];
	unsigned int i;

	snprintf(name, sizeof(name), "held %s (%zu reports agree)", when, ARRAY_SIZE(reports));
	for (i = 0; i < ARRAY_SIZE(reports); i++)
		check_value(SECTION_HELD, name, reports[i].source, UNIT_BYTES, want,
			    reports[i].seen);
}

static void check_size(struct vm *vm)
{
	static const char *const name = "size of the file (3 reports agree)";
	struct memory *mem = &vm->mem;

	check_value(SECTION_HELD, name, "fstat", UNIT_BYTES, mem->size, get_stat(mem).st_size);
	check_value(SECTION_HELD, name, "GUESTMEM_GET_INFO", UNIT_BYTES, mem->size,
		    get_info(mem).file_size);
	check_value(SECTION_HELD, name, "fdinfo", UNIT_BYTES, mem->size,
		    fdinfo_line(mem, "guest_size"));
	check_value(SECTION_HELD, "granule", NULL, UNIT_BYTES, vm->opt->store->granule,
		    get_info(mem).granule);
	check_value(SECTION_HELD, "slots bound", NULL, UNIT_COUNT, GUEST_SLOTS,
		    get_info(mem).bound);
	check_value(SECTION_HELD, "bound or not, by fdinfo", NULL, UNIT_COUNT, 1,
		    fdinfo_line(mem, "guest_bound"));
}

/* Before the guest has run. */
void held_check_start(struct vm *vm)
{
	check_size(vm);
	held_check(vm, "at first", 0);
}

/* Pages of the file where memory is shared. */
static __u64 held_but_shared(const struct memory *mem)
{
	__u64 offset, size, i, sum = 0;

	for (offset = 0; held_next(mem, &offset, &size); offset += size)
		for (i = offset; i < offset + size; i += PAGE)
			sum += mem->private[i / PAGE] ? 0 : PAGE;
	return sum;
}

/* Pages of the mapping where memory is private. */
static __u64 mapped_but_private(const struct memory *mem, const struct slot *slot)
{
	unsigned char *resident = shared_resident(slot);
	__u64 i, sum = 0;

	for (i = 0; i < slot->size / PAGE; i++)
		if (resident[i] & 1 && mem->private[slot->offset / PAGE + i])
			sum += PAGE;
	free(resident);
	return sum;
}

/* The guest has said what it uses; one that ends by HLT has not. */
static void check_used(struct vm *vm, const char *when)
{
	if (vm->reported == vm->opt->vcpus)
		held_check(vm, when, vm->used);
}

/* When the vCPUs have ended: no page has both halves. */
void held_check_split(struct vm *vm)
{
	struct memory *mem = &vm->mem;
	unsigned int i;

	check_used(vm, "at the end");
	check_value(SECTION_HELD, "private pages where memory is shared", NULL, UNIT_BYTES, 0,
		    held_but_shared(mem));
	for (i = 0; i < GUEST_SLOTS; i++)
		check_value(SECTION_HELD, "shared pages where memory is private",
			    i ? "slot 1" : "slot 0", UNIT_BYTES, 0,
			    mapped_but_private(mem, &mem->slot[i]));
}

/* Without slots the file keeps its memory until it is told otherwise. */
void held_check_teardown(struct vm *vm)
{
	vm_remove_slots(vm);
	check_value(SECTION_HELD, "slots bound, both deleted", NULL, UNIT_COUNT, 0,
		    get_info(&vm->mem).bound);
	check_used(vm, "without slots");
	if (fallocate(vm->mem.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, vm->mem.size))
		die(STATUS_FAILED, "punching all of the guest file: %s", strerror(errno));
	held_check(vm, "when punched", 0);
}
