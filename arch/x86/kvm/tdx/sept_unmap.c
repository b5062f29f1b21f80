// SPDX-License-Identifier: GPL-2.0
/*
 * Taking pages from a TD, or from its guest for a while.
 *
 * Any number of pages costs one flush: all of the range is blocked, then there is one
 * TRACK and one kick, then all of it is removed.
 *
 * A page that reaches over an end of the range is split first, so that the guest keeps
 * the rest with its content.  What is split must be blocked, too; and what it is split
 * into is not, so it takes another round.  There are two rounds for a page of 2M, and
 * three for one of 1G.
 *
 * All of this cannot fail: the tables for splitting have been reserved.
 */
#include <linux/align.h>
#include <linux/mm.h>

#include "sept_mirror.h"

/**
 * struct sept_removal - a range on its way out
 * @reserve: tables
 * @start: first gfn
 * @end: gfn behind the last one
 * @keep: pages stay the TD's, blocked, and 4K large
 * @blocked: some have been blocked since the last flush
 * @again: some have been split
 */
struct sept_removal {
	struct sept_reserve *reserve;
	gfn_t start;
	gfn_t end;
	bool keep;
	bool blocked;
	bool again;
};

/*
 * Tables that sept_unmap() can need: two at each end that is not where pages of 1G begin,
 * or one if those of 2M do.
 */
unsigned int sept_unmap_reserve(gfn_t start, gfn_t end)
{
	unsigned int nr = 0;
	int level;

	for (level = TDX_LEVEL_2M; level < SEPT_NR_LEVELS; level++)
		nr += !IS_ALIGNED(start, sept_level_pages(level)) +
		      !IS_ALIGNED(end, sept_level_pages(level));
	return nr;
}

/* Tables that sept_block() can need: one for each page of 2M and 1G. */
unsigned int sept_block_reserve(gfn_t start, gfn_t end)
{
	unsigned int nr = 0;
	int level;

	for (level = TDX_LEVEL_2M; level < SEPT_NR_LEVELS; level++)
		nr += ((end - 1) >> (9 * level)) - (start >> (9 * level)) + 1;
	return nr;
}

static void sept_block_leaf(struct sept *sept, const struct sept_slot *slot, u64 entry,
			    void *arg)
{
	struct sept_removal *removal = arg;
	u64 status;

	if (sept_is_blocked(entry))
		return;
	status = sept_must(sept, tdh_mem_range_block(sept->tdr, slot->gfn, slot->level));
	if (status)
		sept_refused(sept, "BLOCK", slot->gfn, slot->level, status);
	sept_set(sept, slot, entry, entry | SEPT_BLOCKED_BIT);
	removal->blocked = true;
}

static void sept_remove_leaf(struct sept *sept, const struct sept_slot *slot, u64 entry)
{
	unsigned long pfn = sept_pfn(entry);
	u64 status;

	status = sept_must(sept, tdh_mem_page_remove(sept->tdr, slot->gfn, slot->level));
	if (status) {
		sept_refused(sept, "REMOVE", slot->gfn, slot->level, status);
		sept_lose_pages(pfn, sept_level_pages(slot->level));
	} else {
		tdx_reset_pages(pfn, sept_level_pages(slot->level), sept->hkid);
	}
	sept_set(sept, slot, entry, 0);
}

/* Nobody sees the table yet. */
static void sept_fill(struct sept_table *table, unsigned long pfn, unsigned long step)
{
	unsigned int i;

	for (i = 0; i < SEPT_ENTRIES; i++)
		table->entries[i] = sept_leaf(pfn + i * step);
	atomic_set(&table->used, SEPT_ENTRIES);
}

/* A blocked page of 2M or 1G becomes 512 that are not. */
static void sept_split_leaf(struct sept *sept, struct sept_reserve *reserve,
			    const struct sept_slot *slot, u64 entry)
{
	unsigned long step = sept_level_pages(slot->level - 1);
	struct sept_table *table = sept_take(reserve);
	u64 status;

	status = sept_must(sept, tdh_mem_page_demote(sept->tdr, slot->gfn, slot->level,
						     table->pfn));
	if (status)
		sept_refused(sept, "DEMOTE", slot->gfn, slot->level, status);
	sept_fill(table, sept_pfn(entry), step);
	atomic_long_add(SEPT_ENTRIES, &sept->stats.pages[slot->level - 1]);
	atomic_long_inc(&sept->stats.splits);
	sept_set(sept, slot, entry, sept_pointer(table));
}

static void sept_settle_leaf(struct sept *sept, const struct sept_slot *slot, u64 entry,
			     void *arg)
{
	struct sept_removal *removal = arg;
	bool inside = slot->gfn >= removal->start && sept_slot_end(slot) <= removal->end;

	if (slot->level && (removal->keep || !inside)) {
		sept_split_leaf(sept, removal->reserve, slot, entry);
		removal->again = true;
	} else if (!removal->keep) {
		sept_remove_leaf(sept, slot, entry);
	}
}

static void sept_remove_range(struct sept *sept, struct sept_removal *removal)
{
	do {
		removal->again = false;
		removal->blocked = false;
		sept_visit_leaves(sept, removal->start, removal->end, sept_block_leaf,
				  removal);
		if (removal->blocked)
			sept_flush(sept);
		sept_visit_leaves(sept, removal->start, removal->end, sept_settle_leaf,
				  removal);
	} while (removal->again);
}

/**
 * sept_unmap - take pages from the TD
 * @sept: the S-EPT
 * @reserve: sept_unmap_reserve() tables
 * @start: first gfn
 * @end: gfn behind the last one
 *
 * The pages are the host's on return, and no TLB has them.  Their content is lost.  Of
 * more than 2G others get the lock in between; the caller keeps faults out.
 *
 * Context: Process context, may sleep.  Takes the lock.
 */
void sept_unmap(struct sept *sept, struct sept_reserve *reserve, gfn_t start, gfn_t end)
{
	struct sept_removal removal = { .reserve = reserve };

	/* no page reaches over where the lock is dropped, so nothing is split there */
	for (; start < end; start = removal.end) {
		removal.start = start;
		removal.end = min(end, sept_level_start(start, TDX_LEVEL_1G) +
				       2 * sept_level_pages(TDX_LEVEL_1G));
		down_write(&sept->lock);
		sept_remove_range(sept, &removal);
		up_write(&sept->lock);
	}
}

/* sept_block() with the lock held. */
void sept_block_locked(struct sept *sept, struct sept_reserve *reserve, gfn_t start,
		       gfn_t end)
{
	struct sept_removal removal = {
		.reserve = reserve, .start = start, .end = end, .keep = true,
	};

	sept_remove_range(sept, &removal);
}

/**
 * sept_block - take pages from the guest, and leave them in the TD
 * @sept: the S-EPT
 * @reserve: sept_block_reserve() tables
 * @start: first gfn
 * @end: gfn behind the last one
 *
 * Pages are split into 4K, which is the size that can be moved.
 *
 * Context: Process context, may sleep.  Takes the lock.
 */
void sept_block(struct sept *sept, struct sept_reserve *reserve, gfn_t start, gfn_t end)
{
	down_write(&sept->lock);
	sept_block_locked(sept, reserve, start, end);
	up_write(&sept->lock);
}

static void sept_unblock_leaf(struct sept *sept, const struct sept_slot *slot, u64 entry,
			      void *arg)
{
	u64 status;

	if (!sept_is_blocked(entry))
		return;
	status = sept_must(sept, tdh_mem_range_unblock(sept->tdr, slot->gfn, slot->level));
	if (status)
		sept_refused(sept, "UNBLOCK", slot->gfn, slot->level, status);
	sept_set(sept, slot, entry, entry & ~SEPT_BLOCKED_BIT);
}

/**
 * sept_unblock - let the guest have pages again that have not been moved after all
 * @sept: the S-EPT
 * @start: first gfn
 * @end: gfn behind the last one, all within 2M that are aligned
 *
 * Context: Process context, may sleep.  The lock is held exclusive, and the caller has
 * made sure under it that the pages are those to be mapped.
 */
void sept_unblock(struct sept *sept, gfn_t start, gfn_t end)
{
	struct sept_slot slot;

	sept_visit_leaves(sept, start, end, sept_unblock_leaf, NULL);
	slot = sept_find(sept, start, TDX_LEVEL_4K);
	sept_check_full(sept, &slot);
}

/**
 * sept_split - make the pages around a gfn no larger than a level
 * @sept: the S-EPT
 * @reserve: SEPT_SPLIT_RESERVE tables
 * @gfn: the gfn
 * @level: the largest that is wanted
 *
 * The guest keeps all of the pages.
 *
 * Context: Process context, may sleep.  Takes the lock.
 */
void sept_split(struct sept *sept, struct sept_reserve *reserve, gfn_t gfn, int level)
{
	struct sept_removal unused = {};
	struct sept_slot slot;
	u64 entry;

	down_write(&sept->lock);
	for (;;) {
		slot = sept_find(sept, gfn, level);
		entry = sept_get(&slot);
		if (slot.level == level || !sept_is_leaf(entry))
			break;
		sept_block_leaf(sept, &slot, entry, &unused);
		sept_flush(sept);
		sept_split_leaf(sept, reserve, &slot, sept_get(&slot));
	}
	up_write(&sept->lock);
}
