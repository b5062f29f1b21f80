// SPDX-License-Identifier: GPL-2.0
/*
 * The sizes at which KVM maps private memory, when the vCPUs have ended.
 *
 * KVM can map a *block*, 2M or 1G that is aligned both in guest memory and in the
 * file, if it lies in one slot, is private all over and comes from one folio.
 * How many there are follows from the attributes and from debugfs; how many KVM
 * maps is in its statistics.  Shared memory has no mappings but of 4K here
 * (memory.c), so that the two numbers must be the same.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm.h"

const struct level_info levels[LEVELS] = {
	[LEVEL_4K] = { "4K", "pages_4k", PAGE, 0 },
	[LEVEL_2M] = { "2M", "pages_2m", 2 * MIB, 9 },
	[LEVEL_1G] = { "1G", "pages_1g", GIB, 18 },
};

/**
 * struct blocks - what KVM can map at one level
 * @count: blocks that are in none of a higher level
 * @claimed: of these, blocks of which the guest has used a page
 * @first: guest physical address of the first
 */
struct blocks {
	__u64 count;
	__u64 claimed;
	__u64 first;
};

/* The number of mappings that KVM has, by level */
void levels_read(struct vm *vm, __u64 mapped[LEVELS])
{
	unsigned int i;

	for (i = 0; i < LEVELS; i++)
		if (!vm_stat(vm, levels[i].stat, &mapped[i]))
			die(STATUS_ENVIRONMENT, "KVM's statistics have no %s", levels[i].stat);
}

/* --- what KVM can map --------------------------------------------------- */

/* Whether [gpa, gpa + the level's size) of @slot is a block. */
static bool is_block(const struct memory *mem, const unsigned char *folio,
		     const struct slot *slot, __u64 gpa, const struct level_info *level)
{
	__u64 offset = slot->offset + gpa - slot->gpa, i;

	if ((gpa | offset) % level->size || gpa + level->size > slot->gpa + slot->size)
		return false;
	for (i = offset / PAGE; i < (offset + level->size) / PAGE; i++)
		if (!(mem->state[i] & PAGE_PRIVATE) || folio[i] == NO_FOLIO ||
		    folio[i] < level->order)
			return false;
	return true;
}

static bool has_claim(const struct memory *mem, __u64 offset, __u64 size)
{
	__u64 i;

	for (i = offset / PAGE; i < (offset + size) / PAGE; i++)
		if (mem->state[i] & PAGE_CLAIMED)
			return true;
	return false;
}

/* Count the largest block at *gpa, and move *gpa behind it. */
static void count_block(const struct memory *mem, const unsigned char *folio,
			const struct slot *slot, __u64 *gpa, struct blocks *blocks)
{
	__u64 offset = slot->offset + *gpa - slot->gpa;
	unsigned int i;

	for (i = LEVEL_1G; i > LEVEL_4K; i--)
		if (is_block(mem, folio, slot, *gpa, &levels[i]))
			break;
	if (i > LEVEL_4K) {
		if (!blocks[i].count++)
			blocks[i].first = *gpa;
		blocks[i].claimed += has_claim(mem, offset, levels[i].size);
	}
	*gpa += levels[i].size;
}

/* False without debugfs: the sizes of folios are not known. */
static bool count_blocks(struct vm *vm, struct blocks blocks[LEVELS])
{
	unsigned char *folio = folios_orders(vm);
	unsigned int i;
	__u64 gpa;

	memset(blocks, 0, LEVELS * sizeof(*blocks));
	if (!folio)
		return false;
	for (i = 0; i < GUEST_SLOTS; i++) {
		const struct slot *slot = &vm->mem.slot[i];

		for (gpa = slot->gpa; gpa < slot->gpa + slot->size;)
			count_block(&vm->mem, folio, slot, &gpa, blocks);
	}
	free(folio);
	return true;
}

/* --- checks ------------------------------------------------------------- */

/* All private memory is used and mapped. */
static void prefault_all(struct vm *vm)
{
	struct memory *mem = &vm->mem;
	unsigned int i;
	__u64 at, end;

	for (i = 0; i < GUEST_SLOTS; i++) {
		const struct slot *slot = &mem->slot[i];
		const unsigned char *state = &mem->state[slot->offset / PAGE];

		for (at = 0; at < slot->size / PAGE; at = end) {
			for (end = at + 1; end < slot->size / PAGE; end++)
				if ((state[end] ^ state[at]) & PAGE_PRIVATE)
					break;
			if (!(state[at] & PAGE_PRIVATE))
				continue;
			vm_prefault(vm, slot->gpa + at * PAGE, (end - at) * PAGE);
			memory_claim(mem, slot->gpa + at * PAGE, (end - at) * PAGE);
		}
	}
}

static void check_level(enum level level, const char *when, __u64 min, __u64 max, __u64 seen)
{
	char name[64];

	snprintf(name, sizeof(name), "%s: %s", levels[level].name, when);
	check_range(SECTION_LEVELS, name, NULL, UNIT_COUNT, min, max, seen);
}

/*
 * KVM maps all blocks, or those of which the guest has used a page, unless they were
 * moved since.
 */
static void check_blocks(struct vm *vm, const char *when, bool all)
{
	struct blocks blocks[LEVELS];
	__u64 mapped[LEVELS];
	unsigned int i;

	count_blocks(vm, blocks);
	levels_read(vm, mapped);
	for (i = LEVEL_2M; i < LEVELS; i++)
		if (levels[i].size <= 2 * MIB || vm->opt->store->granule >= levels[i].size)
			check_level(i, when, all ? blocks[i].count :
				    vm->mover ? 0 : blocks[i].claimed,
				    blocks[i].count, mapped[i]);
}

/* Folios of each size, by debugfs and by the file itself. */
static void check_folios(struct vm *vm)
{
	unsigned char *folio = folios_orders(vm);
	struct guestmem_info info = held_info(&vm->mem);
	__u64 pages[LEVELS] = {}, i;

	for (i = 0; i < vm->mem.size / PAGE; i++)
		if (folio[i] != NO_FOLIO)
			pages[folio[i] >= levels[LEVEL_1G].order ? LEVEL_1G :
			      folio[i] >= levels[LEVEL_2M].order ? LEVEL_2M : LEVEL_4K]++;
	free(folio);
	check_value(SECTION_HELD, "4K pages, by file and by debugfs", NULL, UNIT_COUNT,
		    info.pages_4k, pages[LEVEL_4K]);
	check_value(SECTION_HELD, "2M pages, by file and by debugfs", NULL, UNIT_COUNT,
		    info.pages_2m, pages[LEVEL_2M] >> levels[LEVEL_2M].order);
	check_value(SECTION_HELD, "1G pages, by file and by debugfs", NULL, UNIT_COUNT,
		    info.pages_1g, pages[LEVEL_1G] >> levels[LEVEL_1G].order);
}

typedef int convert_t(struct vm *vm, __u64 gpa, __u64 size, bool private);

/* KVM maps what it did before, but for one mapping of a folio that was split. */
static void check_return(struct vm *vm, const char *what, const struct blocks *before,
			 enum level split)
{
	__u64 mapped[LEVELS], want;
	char name[48];
	unsigned int i;

	snprintf(name, sizeof(name), "page %s is private again", what);
	levels_read(vm, mapped);
	for (i = LEVEL_2M; i < LEVELS; i++) {
		want = before[i].count - (i == split);
		if (want || mapped[i])
			check_level(i, name, want, want, mapped[i]);
	}
}

/*
 * Make a page in the middle of the largest block shared, and private again: the
 * block's mapping goes, all other memory can still be mapped, and the mapping
 * comes back.  But where shmem has to discard the page, it splits the folio.
 */
static void check_conversion(struct vm *vm, const char *what, convert_t *convert, bool discards)
{
	bool splits = discards && vm->opt->store->granule == PAGE;
	enum level level = LEVEL_1G;
	struct blocks blocks[LEVELS];
	__u64 mapped[LEVELS], page;
	char name[48];

	count_blocks(vm, blocks);
	while (level > LEVEL_4K && !blocks[level].count)
		level--;
	if (level == LEVEL_4K)
		return;
	page = blocks[level].first + levels[level].size / 2;
	if (convert(vm, page, PAGE, false))
		die(STATUS_FAILED, "converting the page at %#llx to shared failed", page);
	levels_read(vm, mapped);
	snprintf(name, sizeof(name), "one page %s", what);
	check_level(level, name, blocks[level].count - 1, blocks[level].count - 1, mapped[level]);

	prefault_all(vm);
	snprintf(name, sizeof(name), "one page %s, prefaulted", what);
	check_blocks(vm, name, true);

	if (convert(vm, page, PAGE, true))
		die(STATUS_FAILED, "converting the page at %#llx to private failed", page);
	prefault_all(vm);
	check_return(vm, what, blocks, splits ? level : LEVELS);
}

void levels_check(struct vm *vm)
{
	struct blocks blocks[LEVELS];

	if (!count_blocks(vm, blocks)) {
		if (!vm->opt->quiet)
			puts("vmm: no debugfs, so sizes of mappings are not checked");
		return;
	}
	check_folios(vm);
	check_blocks(vm, "by the guest's accesses", false);
	prefault_all(vm);
	check_blocks(vm, "all prefaulted", true);
	check_conversion(vm, "made shared", memory_set_state, false);
	check_conversion(vm, "given up", memory_convert, true);
}
