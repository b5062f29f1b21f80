// SPDX-License-Identifier: GPL-2.0
/*
 * A machine without hardware: memory that exists where it is touched, interrupts that
 * come when they are asked for, and allocations that fail when they are asked to.
 */
#include <sys/mman.h>

#include "platform_user.h"

#define PAGE_BYTES	4096UL
#define REGION_PAGES	512

/* Machines come and go by the thousand: what they leave must be used again soon. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4";
}

struct sim_machine sim = { .polls = SIM_NEVER, .allocations = SIM_NEVER };

/* pages of 4K by 2M regions; both exist from when they are first mapped */
static u8 **regions[SIM_MEMORY / PAGE_BYTES / REGION_PAGES];

static void *must_calloc(size_t nr, size_t size)
{
	void *p = calloc(nr, size);

	if (!p) {
		fputs("out of memory\n", stderr);
		exit(1);
	}
	return p;
}

void *tdxmod_map(u64 pa)
{
	u64 page = pa / PAGE_BYTES;
	u8 ***region;

	if (pa >= SIM_MEMORY)
		return NULL;
	region = &regions[page / REGION_PAGES];
	if (!*region)
		*region = must_calloc(REGION_PAGES, sizeof(**region));
	if (!(*region)[page % REGION_PAGES])
		(*region)[page % REGION_PAGES] = must_calloc(1, PAGE_BYTES);
	return (*region)[page % REGION_PAGES];
}

/* What is not there reads as zero, and stays away. */
u64 sim_read64(u64 pa)
{
	u64 page = pa / PAGE_BYTES, value;
	u8 **region;

	if (pa >= SIM_MEMORY)
		return 0;
	region = regions[page / REGION_PAGES];
	if (!region || !region[page % REGION_PAGES])
		return 0;
	memcpy(&value, region[page % REGION_PAGES] + (pa & (PAGE_BYTES - 8)), sizeof(value));
	return value;
}

void sim_write64(u64 pa, u64 value)
{
	u8 *page = tdxmod_map(pa);

	if (page)
		memcpy(page + (pa & (PAGE_BYTES - 8)), &value, sizeof(value));
}

/* Forget all memory. */
void sim_reset(void)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(regions); i++) {
		for (j = 0; regions[i] && j < REGION_PAGES; j++)
			free(regions[i][j]);
		free(regions[i]);
		regions[i] = NULL;
	}
	sim = (struct sim_machine) { .polls = SIM_NEVER, .allocations = SIM_NEVER };
}

void sim_lock(spinlock_t *lock)
{
	if (lock->held)
		abort();
	lock->held = true;
}

void sim_unlock(spinlock_t *lock)
{
	if (!lock->held)
		abort();
	lock->held = false;
}

static bool allocation_fails(void)
{
	if (sim.allocations == SIM_NEVER)
		return false;
	if (!sim.allocations)
		return true;
	sim.allocations--;
	return false;
}

/*
 * Metadata is megabytes, and tests make machines by the thousand: to give that back and
 * get it again would take all of their time.
 */
#define LARGE_BYTES	0x100000UL
#define MAX_LARGE	16

static struct large {
	u8 *start;
	size_t size;
	bool used;
} large[MAX_LARGE];

/* Zero memory that was mapped for it alone, without touching it. */
static void forget(u8 *start, size_t size)
{
	uintptr_t first = ((uintptr_t)start + PAGE_BYTES - 1) & -PAGE_BYTES;
	uintptr_t end = ((uintptr_t)start + size) & -PAGE_BYTES;

	memset(start, 0, first - (uintptr_t)start);
	memset((u8 *)end, 0, (uintptr_t)start + size - end);
	if (madvise((void *)first, end - first, MADV_DONTNEED))
		memset((void *)first, 0, end - first);
}

static void *alloc_large(size_t size)
{
	struct large *l, *empty = NULL;

	for (l = large; l < large + MAX_LARGE; l++) {
		if (!l->start)
			empty = l;
		if (l->used || l->size != size)
			continue;
		l->used = true;
		return l->start;
	}
	if (!empty)
		return must_calloc(1, size);
	*empty = (struct large) { must_calloc(1, size), size, true };
	return empty->start;
}

void *tdxmod_alloc(size_t size)
{
	if (allocation_fails())
		return NULL;
	return size >= LARGE_BYTES ? alloc_large(size) : must_calloc(1, size ?: 1);
}

void tdxmod_free(const void *p)
{
	struct large *l;

	for (l = large; p && l < large + MAX_LARGE; l++) {
		if (l->start != p)
			continue;
		forget(l->start, l->size);
		l->used = false;
		return;
	}
	free((void *)p);
}

struct tdxmod_sha384 *tdxmod_sha384_new(void)
{
	return tdxmod_alloc(sizeof(struct tdxmod_sha384));
}

bool tdxmod_interrupt_pending(void)
{
	if (sim.polls == SIM_NEVER)
		return false;
	if (!sim.polls)
		return true;
	sim.polls--;
	return false;
}
