// SPDX-License-Identifier: GPL-2.0
/*
 * Making large pages of small ones (PROMOTE), and removing tables that are in the way of
 * large pages.
 *
 * The module merges 512 pages that are contiguous in both address spaces and that the
 * guest has accepted, all of them or none.  The mirror knows the former and not the
 * latter, so the module is asked about some of the pages before the guest is disturbed;
 * if it finds one that differs after all, the table is unblocked and nothing has changed.
 */
#include <linux/align.h>
#include <linux/mm.h>

#include "sept_mirror.h"

/* every so many pages are looked at */
#define SEPT_SAMPLE	64
/* RDX of SEPT.RD: state of the entry */
#define SEPT_STATE	GENMASK_ULL(15, 8)

static bool sept_contiguous(const struct sept_table *table, int level)
{
	unsigned long step = sept_level_pages(level - 1);
	u64 first = READ_ONCE(table->entries[0]);
	unsigned int i;

	if (!sept_is_leaf(first) || sept_is_blocked(first) ||
	    !IS_ALIGNED(sept_pfn(first), sept_level_pages(level)))
		return false;
	for (i = 1; i < SEPT_ENTRIES; i++)
		if (READ_ONCE(table->entries[i]) != first + PFN_PHYS(i * step))
			return false;
	return true;
}

/* The table at @gfn whose pages could be one of @level, or NULL. */
static struct sept_table *sept_candidate(struct sept *sept, gfn_t gfn, int level)
{
	struct sept_slot slot = sept_find(sept, gfn, level);
	u64 entry = sept_get(&slot);
	struct sept_table *table = sept_table(entry);

	if (slot.level != level || !sept_is_table(entry) ||
	    atomic_read(&table->used) != SEPT_ENTRIES || !sept_contiguous(table, level))
		return NULL;
	return table;
}

/**
 * sept_can_merge - as far as the mirror knows, would sept_merge() succeed?
 * @sept: the S-EPT
 * @gfn: first gfn
 * @level: of the page to be
 *
 * Context: Any.
 * Return: True if so; it may be wrong by the time it is there.
 */
bool sept_can_merge(struct sept *sept, gfn_t gfn, int level)
{
	guard(rcu)();
	return sept_candidate(sept, gfn, level);
}

static bool sept_same_state(struct sept *sept, gfn_t gfn, int level)
{
	gfn_t step = sept_level_pages(level - 1);
	u64 entry, state, first = 0;
	unsigned int i;

	for (i = 0; i < SEPT_ENTRIES; i += SEPT_SAMPLE) {
		if (tdh_mem_sept_rd(sept->tdr, gfn + i * step, level - 1, &entry, &state))
			return false;
		if (!i)
			first = state & SEPT_STATE;
		else if ((state & SEPT_STATE) != first)
			return false;
	}
	return true;
}

static void sept_block_table(struct sept *sept, gfn_t gfn, int level)
{
	u64 status = sept_must(sept, tdh_mem_range_block(sept->tdr, gfn, level));

	if (status)
		sept_refused(sept, "BLOCK", gfn, level, status);
	sept_flush(sept);
}

static void sept_unblock_table(struct sept *sept, gfn_t gfn, int level)
{
	u64 status = sept_must(sept, tdh_mem_range_unblock(sept->tdr, gfn, level));

	if (status)
		sept_refused(sept, "UNBLOCK", gfn, level, status);
}

static void sept_merged(struct sept *sept, const struct sept_slot *slot)
{
	u64 entry = sept_get(slot);
	struct sept_table *table = sept_table(entry);

	atomic_long_sub(SEPT_ENTRIES, &sept->stats.pages[slot->level - 1]);
	atomic_long_inc(&sept->stats.merges);
	tdx_reset_pages(table->pfn, 1, sept->hkid);
	sept_set(sept, slot, entry, sept_leaf(sept_pfn(table->entries[0])));
	sept_free_table_rcu(table);
}

static int sept_try_merge(struct sept *sept, const struct sept_slot *slot)
{
	u64 status;

	sept_block_table(sept, slot->gfn, slot->level);
	status = sept_must(sept, tdh_mem_page_promote(sept->tdr, slot->gfn, slot->level));
	if (!status) {
		sept_merged(sept, slot);
		return 0;
	}
	if (tdx_status(status) != TDX_EPT_INVALID_PROMOTE_CONDITIONS)
		sept_refused(sept, "PROMOTE", slot->gfn, slot->level, status);
	sept_unblock_table(sept, slot->gfn, slot->level);
	return -EBUSY;
}

/**
 * sept_merge - make one page of 512
 * @sept: the S-EPT
 * @gfn: first gfn, a multiple of the page's size
 * @level: of the page to be, 2M or 1G
 *
 * Context: Process context, may sleep.  Takes the lock.
 * Return: 0; -ENOENT if there are not 512 pages that are contiguous; -EBUSY if the guest
 * has accepted some of them and not others; -EAGAIN if pages are being moved.
 */
int sept_merge(struct sept *sept, gfn_t gfn, int level)
{
	struct sept_slot slot;
	int r = -ENOENT;

	down_write(&sept->lock);
	slot = sept_find(sept, gfn, level);
	/* a move may have to be undone, and has reserved no more than to split once */
	if (atomic_read(&sept->moving))
		r = -EAGAIN;
	else if (sept_candidate(sept, gfn, level))
		r = sept_same_state(sept, gfn, level) ? sept_try_merge(sept, &slot) : -EBUSY;
	up_write(&sept->lock);
	return r;
}

static void sept_remove_table(struct sept *sept, const struct sept_slot *slot, u64 entry)
{
	struct sept_table *table = sept_table(entry);
	u64 status;

	sept_block_table(sept, slot->gfn, slot->level);
	status = sept_must(sept, tdh_mem_sept_remove(sept->tdr, slot->gfn, slot->level));
	if (status) {
		sept_refused(sept, "SEPT.REMOVE", slot->gfn, slot->level, status);
		sept_lose_pages(table->pfn, 1);
	} else {
		tdx_reset_pages(table->pfn, 1, sept->hkid);
	}
	sept_set(sept, slot, entry, 0);
	sept_free_table_rcu(table);
}

/**
 * sept_drop_table - remove an empty table, where a large page could be
 * @sept: the S-EPT
 * @gfn: that the page would map
 * @level: of the page
 *
 * Context: Process context, may sleep.  Takes the lock.
 * Return: True if there is no table now; false if one has something in it.
 */
bool sept_drop_table(struct sept *sept, gfn_t gfn, int level)
{
	struct sept_slot slot;
	bool dropped = true;
	u64 entry;

	down_write(&sept->lock);
	slot = sept_find(sept, gfn, level);
	entry = sept_get(&slot);
	if (slot.level == level && sept_is_table(entry)) {
		dropped = !atomic_read(&sept_table(entry)->used);
		if (dropped)
			sept_remove_table(sept, &slot, entry);
	}
	up_write(&sept->lock);
	return dropped;
}
