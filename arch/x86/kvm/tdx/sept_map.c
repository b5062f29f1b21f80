// SPDX-License-Identifier: GPL-2.0
/*
 * Giving pages to a TD: by ADD with content before it is finalised, by AUG after that,
 * when the guest accepts them.
 *
 * This is the fault path, and many do it at the same time, with the lock held shared.
 * Whoever finds an empty entry freezes it, calls the module, and makes it what it is
 * going to be; it is empty again if the module could not do it now.  Who finds a frozen
 * entry comes again later.
 */
#include <linux/mm.h>

#include "sept_mirror.h"

/**
 * struct sept_mapping - a page on its way into the S-EPT
 * @sept: the S-EPT
 * @reserve: tables
 * @gfn: first gfn
 * @pfn: first pfn
 * @level: of the page
 * @source: where to copy the content from
 * @add: by ADD and not by AUG
 */
struct sept_mapping {
	struct sept *sept;
	struct sept_reserve *reserve;
	gfn_t gfn;
	unsigned long pfn;
	int level;
	unsigned long source;
	bool add;
};

/* What becomes of a call that may fail for good reason */
static int sept_map_status(struct sept_mapping *map, const struct sept_slot *slot,
			   const char *what, u64 status)
{
	if (!status)
		return 0;
	if (tdx_busy(status))
		return -EAGAIN;
	/* memory that the module does not know: hot-plugged after it was made ready */
	if (tdx_status(status) == TDX_OPERAND_ADDR_RANGE_ERROR)
		return -EFAULT;
	sept_refused(map->sept, what, slot->gfn, slot->level, status);
	return -EIO;
}

static int sept_add_table(struct sept_mapping *map, const struct sept_slot *slot)
{
	struct sept *sept = map->sept;
	struct sept_table *table;
	int r;

	if (!sept_set(sept, slot, 0, SEPT_FROZEN_BIT))
		return -EAGAIN;
	table = sept_take(map->reserve);
	r = sept_map_status(map, slot, "SEPT.ADD",
			    tdh_mem_sept_add(sept->tdr, slot->gfn, slot->level, table->pfn));
	if (r)
		sept_give(sept, table);
	sept_set(sept, slot, SEPT_FROZEN_BIT, r ? 0 : sept_pointer(table));
	return r;
}

static int sept_add_page(struct sept_mapping *map, const struct sept_slot *slot)
{
	struct sept *sept = map->sept;
	u64 status;
	int r;

	if (!sept_set(sept, slot, 0, SEPT_FROZEN_BIT))
		return -EAGAIN;
	if (map->add)
		status = tdh_mem_page_add(sept->tdr, map->gfn, map->pfn, map->source);
	else
		status = tdh_mem_page_aug(sept->tdr, map->gfn, map->level, map->pfn);
	r = sept_map_status(map, slot, map->add ? "ADD" : "AUG", status);
	sept_set(sept, slot, SEPT_FROZEN_BIT, r ? 0 : sept_leaf(map->pfn));
	if (!r)
		sept_check_full(sept, slot);
	return r;
}

/* There is a page already. */
static int sept_map_present(struct sept_mapping *map, const struct sept_slot *slot, u64 entry)
{
	unsigned long pfn = sept_pfn(entry) + map->gfn - slot->gfn;

	if (map->add)
		return -EEXIST;
	/* pages leave the S-EPT before they leave the file: it cannot be another one */
	VM_WARN_ON_ONCE(pfn != map->pfn);
	return sept_is_blocked(entry) ? -ESTALE : 0;
}

static int sept_do_map(struct sept_mapping *map)
{
	struct sept_slot slot;
	u64 entry;
	int r;

	lockdep_assert_held_read(&map->sept->lock);
	for (;;) {
		slot = sept_find(map->sept, map->gfn, map->level);
		entry = sept_get(&slot);
		if (sept_is_leaf(entry))
			return sept_map_present(map, &slot, entry);
		if (sept_is_table(entry))
			return -ENOTEMPTY;
		if (entry)
			return -EAGAIN;
		if (slot.level == map->level)
			return sept_add_page(map, &slot);
		r = sept_add_table(map, &slot);
		if (r)
			return r;
	}
}

/**
 * sept_map - give a page to the guest, which has to accept it
 * @sept: the S-EPT
 * @reserve: SEPT_MAP_RESERVE tables
 * @gfn: first gfn, a multiple of the page's size
 * @pfn: first pfn, a multiple of it, too
 * @level: of the page, 4K or 2M
 *
 * Context: The lock is held shared, and the caller has made sure under it that the page
 * is still the one to be mapped.
 * Return: 0 if the page, or a larger one with it, is mapped now; -EAGAIN if it is not,
 * because something was busy or somebody else is at it; -ENOTEMPTY if there is a table of
 * smaller pages; -ESTALE if the page is blocked; -EFAULT if the module cannot use the
 * memory; -EIO for a bug.
 */
int sept_map(struct sept *sept, struct sept_reserve *reserve, gfn_t gfn,
	     unsigned long pfn, int level)
{
	struct sept_mapping map = {
		.sept = sept, .reserve = reserve, .gfn = gfn, .pfn = pfn, .level = level,
	};

	return sept_do_map(&map);
}

/**
 * sept_add - give a 4K page with content to a TD that has not been finalised
 * @sept: the S-EPT
 * @reserve: SEPT_MAP_RESERVE tables
 * @gfn: gfn
 * @pfn: page
 * @source: page that has the content, and stays the host's
 *
 * Context: As for sept_map().
 * Return: As for sept_map(), and -EEXIST if there is a page already.
 */
int sept_add(struct sept *sept, struct sept_reserve *reserve, gfn_t gfn,
	     unsigned long pfn, unsigned long source)
{
	struct sept_mapping map = {
		.sept = sept, .reserve = reserve, .gfn = gfn, .pfn = pfn,
		.source = source, .add = true,
	};

	return sept_do_map(&map);
}
