// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory: one guest file for the private half of both slots, one ordinary
 * mapping per slot for the shared half, and conversion between the two.
 *
 *	gpa	0         slot 0         hole     slot 1
 *		|---------------------|........|---------------------|
 *	file	|---------------------|---------------------|
 *	mmap	|---------------------|        |---------------------|
 *
 * A conversion changes which half the guest gets, and then discards the half
 * that nobody gets any more: the file's pages when memory becomes shared, the
 * mapping's pages when it becomes private.  In this order, because the guest
 * must not run on memory that is being discarded.  A page that comes back to
 * either half is therefore a new one, and reads as zero.
 *
 * The file may come in huge pages whatever is converted.  A guest says what it
 * has written, by GUEST_CALL_CLAIM; what the file must hold follows from that
 * and from what was discarded (held.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/memfd.h>

#include "vmm.h"

/* A store splits a huge page to discard part of it, which may have to wait. */
#define DISCARD_TRIES	100
#define DISCARD_PAUSE	10000000L

static int guest_file(struct memory *mem, const struct options *opt)
{
	unsigned int movable = opt->movable ? MFD_GUEST_MOVABLE : 0;
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_GUEST | movable | opt->store->flags);
	char text[200];
	int err;

	if (fd < 0)
		die(STATUS_ENVIRONMENT, "memfd_create(MFD_GUEST): %s%s", strerror(errno),
		    errno == EINVAL ? "; this kernel is built without CONFIG_GUESTMEM" : "");
	if (ftruncate(fd, opt->memory)) {
		err = errno;
		pool_explain(mem, opt, text, sizeof(text));
		die(STATUS_ENVIRONMENT, "ftruncate of the guest file to %llu bytes: %s%s",
		    opt->memory, strerror(err), err == ENOMEM ? text : "");
	}
	return fd;
}

/*
 * Not for children of the VMM, and in 4K pages only: what KVM reports about
 * larger mappings is then about private memory.
 */
static char *shared_half(__u64 size)
{
	char *hva = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (hva == MAP_FAILED)
		die(STATUS_ENVIRONMENT, "mmap of %llu bytes of shared memory: %s", size,
		    strerror(errno));
	if (madvise(hva, size, MADV_DONTFORK))
		die(STATUS_ENVIRONMENT, "madvise(MADV_DONTFORK): %s", strerror(errno));
	/* EINVAL: a kernel without transparent huge pages has none to refuse. */
	if (madvise(hva, size, MADV_NOHUGEPAGE) && errno != EINVAL)
		die(STATUS_ENVIRONMENT, "madvise(MADV_NOHUGEPAGE): %s", strerror(errno));
	return hva;
}

void memory_create(struct memory *mem, const struct options *opt)
{
	__u64 half = opt->memory / GUEST_SLOTS;
	unsigned int i;

	pool_start(mem, opt->store);
	mem->fd = guest_file(mem, opt);
	mem->size = opt->memory;
	mem->state = calloc(mem->size / PAGE, sizeof(*mem->state));
	if (!mem->state)
		die(STATUS_ENVIRONMENT, "no memory for the state of %llu pages",
		    mem->size / PAGE);
	for (i = 0; i < GUEST_SLOTS; i++) {
		mem->slot[i].gpa = i * (half + opt->hole);
		mem->slot[i].size = half;
		mem->slot[i].offset = i * half;
		mem->slot[i].hva = shared_half(half);
	}
	pthread_mutex_init(&mem->lock, NULL);
}

__u64 memory_end(const struct memory *mem)
{
	const struct slot *last = &mem->slot[GUEST_SLOTS - 1];

	return last->gpa + last->size;
}

/*
 * The first piece of [*gpa, end), and *gpa moved behind it.  False if there is
 * no memory left in the range.
 */
bool memory_next(const struct memory *mem, __u64 *gpa, __u64 end, struct piece *piece)
{
	unsigned int i;

	for (i = 0; i < GUEST_SLOTS; i++) {
		const struct slot *slot = &mem->slot[i];
		__u64 slot_end = slot->gpa + slot->size;
		__u64 from = *gpa > slot->gpa ? *gpa : slot->gpa;
		__u64 to = end < slot_end ? end : slot_end;

		if (from >= to)
			continue;
		piece->gpa = from;
		piece->size = to - from;
		piece->offset = slot->offset + from - slot->gpa;
		piece->hva = slot->hva + (from - slot->gpa);
		*gpa = to;
		return true;
	}
	return false;
}

/* The shared half of [gpa, gpa + size), NULL if that is not all in one slot. */
void *memory_shared(const struct memory *mem, __u64 gpa, __u64 size)
{
	struct piece piece;
	__u64 at = gpa;

	if (gpa + size < gpa || !memory_next(mem, &at, gpa + size, &piece))
		return NULL;
	return piece.gpa == gpa && piece.size == size ? piece.hva : NULL;
}

/*
 * Before the host both reads and writes shared memory: a page that is read first
 * is the zero page, and each write would replace it and notify KVM of that.
 */
void shared_populate(void *hva, __u64 size)
{
	if (madvise(hva, size, MADV_POPULATE_WRITE))
		die(STATUS_ENVIRONMENT, "madvise(MADV_POPULATE_WRITE): %s", strerror(errno));
}

/* By page of the shared half of @slot, bit 0: whether it exists.  To be freed. */
unsigned char *shared_resident(const struct slot *slot)
{
	unsigned char *resident = malloc(slot->size / PAGE);

	if (!resident || mincore(slot->hva, slot->size, resident))
		die(STATUS_ENVIRONMENT, "mincore of slot %#llx: %s", slot->gpa, strerror(errno));
	return resident;
}

static bool is_memory(const struct memory *mem, __u64 gpa)
{
	return memory_shared(mem, gpa, PAGE);
}

/* Of the page at @gpa, which is memory. */
bool memory_is_private(struct memory *mem, __u64 gpa)
{
	struct piece piece;
	bool private;

	if (!memory_next(mem, &gpa, gpa + PAGE, &piece))
		return false;
	pthread_mutex_lock(&mem->lock);
	private = mem->state[piece.offset / PAGE] & PAGE_PRIVATE;
	pthread_mutex_unlock(&mem->lock);
	return private;
}

/* The guest has written [gpa, gpa + size) while it was private. */
void memory_claim(struct memory *mem, __u64 gpa, __u64 size)
{
	__u64 end = gpa + size, i;
	struct piece piece;

	pthread_mutex_lock(&mem->lock);
	while (memory_next(mem, &gpa, end, &piece))
		for (i = 0; i < piece.size / PAGE; i++)
			mem->state[piece.offset / PAGE + i] |= PAGE_CLAIMED;
	pthread_mutex_unlock(&mem->lock);
}

static int set_attributes(struct vm *vm, __u64 gpa, __u64 size, bool private)
{
	struct kvm_memory_attributes attr = {
		.address = gpa,
		.size = size,
		.attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
	};

	return ioctl(vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &attr) ? -errno : 0;
}

static int discard_private(struct memory *mem, const struct piece *piece)
{
	const struct timespec pause = { .tv_nsec = DISCARD_PAUSE };
	unsigned int try;

	for (try = 0; try < DISCARD_TRIES; try++) {
		if (!fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       piece->offset, piece->size))
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			break;
		nanosleep(&pause, NULL);
	}
	return -errno;
}

static int discard_shared(const struct piece *piece)
{
	return madvise(piece->hva, piece->size, MADV_DONTNEED) ? -errno : 0;
}

/* The pages of @piece lose the flags @clear and get the flags @set. */
static void change_state(struct memory *mem, const struct piece *piece, unsigned int clear,
			 unsigned int set)
{
	unsigned char *state = &mem->state[piece->offset / PAGE];
	__u64 i;

	for (i = 0; i < piece->size / PAGE; i++)
		state[i] = (state[i] & ~clear) | set;
}

static int convert_pieces(struct memory *mem, __u64 gpa, __u64 end, bool private)
{
	struct piece piece;
	int ret = 0;

	while (!ret && memory_next(mem, &gpa, end, &piece)) {
		change_state(mem, &piece, PAGE_PRIVATE, private ? PAGE_PRIVATE : 0);
		ret = private ? discard_shared(&piece) : discard_private(mem, &piece);
		if (!ret && !private)
			change_state(mem, &piece, 0, PAGE_GIVEN);
		mem->converted += piece.size;
	}
	return ret;
}

/* As memory_convert(), but neither half is discarded. */
int memory_set_state(struct vm *vm, __u64 gpa, __u64 size, bool private)
{
	struct memory *mem = &vm->mem;
	__u64 end = gpa + size;
	struct piece piece;
	int ret;

	pthread_mutex_lock(&mem->lock);
	ret = set_attributes(vm, gpa, size, private);
	while (!ret && memory_next(mem, &gpa, end, &piece))
		change_state(mem, &piece, PAGE_PRIVATE, private ? PAGE_PRIVATE : 0);
	pthread_mutex_unlock(&mem->lock);
	return ret;
}

/*
 * Convert [gpa, gpa + size), which starts and ends in memory but may have the
 * hole inside.  Returns 0 or an error number, negative, for the guest.
 */
int memory_convert(struct vm *vm, __u64 gpa, __u64 size, bool private)
{
	struct memory *mem = &vm->mem;
	int ret;

	if (!size || (gpa | size) % PAGE || gpa + size < gpa ||
	    !is_memory(mem, gpa) || !is_memory(mem, gpa + size - PAGE))
		return -EINVAL;

	pthread_mutex_lock(&mem->lock);
	ret = set_attributes(vm, gpa, size, private);
	if (!ret) {
		mem->conversions++;
		ret = convert_pieces(mem, gpa, gpa + size, private);
	}
	pthread_mutex_unlock(&mem->lock);
	return ret;
}
