// SPDX-License-Identifier: GPL-2.0
/*
 * The mirror itself: entries, walks, flushes, and the end of it.  See sept.h.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include "sept_mirror.h"

/* how long something busy is waited for by spinning, and when vCPUs are kept out */
#define SEPT_SPINS	64
#define SEPT_HOLD	256

/**
 * sept_init - an empty S-EPT
 * @sept: the S-EPT
 * @tdr: pfn of the TD's root page
 * @hkid: the TD's key
 * @root_level: level of the entries of the root, 3 or 4
 * @ops: of whoever runs the vCPUs
 *
 * Return: 0 or -ENOMEM.
 */
int sept_init(struct sept *sept, unsigned long tdr, u16 hkid, int root_level,
	      const struct sept_ops *ops)
{
	sept->root.entries = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!sept->root.entries)
		return -ENOMEM;
	sept->ops = ops;
	sept->tdr = tdr;
	sept->hkid = hkid;
	sept->root_level = root_level;
	init_rwsem(&sept->lock);
	spin_lock_init(&sept->pool_lock);
	INIT_LIST_HEAD(&sept->pool);
	return 0;
}

/* --- entries -------------------------------------------------------------- */

/* What may become of an entry? */
static bool sept_legal(const struct sept *sept, u64 old, u64 new)
{
	if (!old)
		return new == SEPT_FROZEN_BIT;
	if (new & SEPT_FROZEN_BIT)
		return false;
	if (old & SEPT_FROZEN_BIT || sept->reclaiming)
		return true;
	/* an empty table goes, and one whose pages have become one */
	if (sept_is_table(old))
		return !new || (sept_is_leaf(new) && !sept_is_blocked(new));
	/* removed, split, moved, unblocked: only what the guest does not use */
	if (sept_is_blocked(old))
		return !sept_is_blocked(new);
	return new == (old | SEPT_BLOCKED_BIT);
}

static void sept_account(struct sept *sept, const struct sept_slot *slot, u64 entry, int by)
{
	if (sept_is_table(entry))
		atomic_long_add(by, &sept->stats.tables);
	else if (sept_is_leaf(entry))
		atomic_long_add(by, &sept->stats.pages[slot->level]);
}

/**
 * sept_set - change an entry of the mirror
 * @sept: the S-EPT
 * @slot: the entry
 * @old: what it is
 * @new: what it will be
 *
 * Return: False if it is not @old any more; only an empty entry can have changed.
 */
bool sept_set(struct sept *sept, const struct sept_slot *slot, u64 old, u64 new)
{
	VM_WARN_ON_ONCE(!sept_legal(sept, old, new));
	lockdep_assert_held(&sept->lock);
	if (old && old != SEPT_FROZEN_BIT)
		lockdep_assert_held_write(&sept->lock);
	if (!old) {
		if (!try_cmpxchg_relaxed(&slot->table->entries[slot->index], &old, new))
			return false;
		atomic_inc(&slot->table->used);
		return true;
	}
	sept_account(sept, slot, old, -1);
	sept_account(sept, slot, new, 1);
	if (!new)
		atomic_dec(&slot->table->used);
	/* pairs with the acquire in sept_get() */
	smp_store_release(&slot->table->entries[slot->index], new);
	return true;
}

/* @slot has a page: is it the last that its table was short of? */
void sept_check_full(struct sept *sept, const struct sept_slot *slot)
{
	int level = slot->level + 1;

	if (level < SEPT_NR_LEVELS && atomic_read(&slot->table->used) == SEPT_ENTRIES)
		sept->ops->full(sept, sept_level_start(slot->gfn, level), level);
}

static struct sept_slot sept_slot(struct sept_table *table, int level, gfn_t gfn)
{
	return (struct sept_slot) {
		.table = table,
		.index = (gfn >> (9 * level)) % SEPT_ENTRIES,
		.level = level,
		.gfn = sept_level_start(gfn, level),
	};
}

/* The entry of the root for @gfn. */
struct sept_slot sept_root_slot(struct sept *sept, gfn_t gfn)
{
	return sept_slot(&sept->root, sept->root_level, gfn);
}

/* The entry for @gfn in the table that @slot, which is @entry, points to. */
struct sept_slot sept_child_slot(const struct sept_slot *slot, u64 entry, gfn_t gfn)
{
	return sept_slot(sept_table(entry), slot->level - 1, gfn);
}

/**
 * sept_find - walk to an entry
 * @sept: the S-EPT
 * @gfn: in what it maps
 * @level: of the entry that is looked for
 *
 * Context: The lock, or RCU, is held.
 * Return: The entry; one of a higher level if that is no table.
 */
struct sept_slot sept_find(struct sept *sept, gfn_t gfn, int level)
{
	struct sept_slot slot = sept_root_slot(sept, gfn);
	u64 entry;

	while (slot.level > level) {
		entry = sept_get(&slot);
		if (!sept_is_table(entry))
			break;
		slot = sept_child_slot(&slot, entry, gfn);
	}
	return slot;
}

/**
 * sept_lookup - what is mapped at a gfn?
 * @sept: the S-EPT
 * @gfn: the gfn
 * @page: what is there
 *
 * Context: Any.  Without the lock the answer may be wrong by the time it is there.
 * Return: False if nothing is.
 */
bool sept_lookup(struct sept *sept, gfn_t gfn, struct sept_page *page)
{
	struct sept_slot slot;
	u64 entry;

	guard(rcu)();
	slot = sept_find(sept, gfn, TDX_LEVEL_4K);
	entry = sept_get(&slot);
	if (!sept_is_leaf(entry))
		return false;
	*page = (struct sept_page) {
		.pfn = sept_pfn(entry), .level = slot.level, .blocked = sept_is_blocked(entry),
	};
	return true;
}

/**
 * sept_next - the next page at or behind a gfn
 * @sept: the S-EPT
 * @gfn: where to look from; first gfn of the page on return
 * @page: the page
 *
 * Context: Any, may sleep.  Without the lock the answer is one of many.
 * Return: False if there are no more.
 */
bool sept_next(struct sept *sept, gfn_t *gfn, struct sept_page *page)
{
	gfn_t end = sept_level_pages(sept->root_level + 1);
	struct sept_slot slot;

	while (*gfn < end) {
		rcu_read_lock();
		slot = sept_find(sept, *gfn, TDX_LEVEL_4K);
		rcu_read_unlock();
		if (sept_lookup(sept, *gfn, page)) {
			*gfn = sept_level_start(*gfn, page->level);
			return true;
		}
		*gfn = sept_slot_end(&slot);
		cond_resched();
	}
	return false;
}

/* Recursion is as deep as the S-EPT. */
static void sept_walk_table(struct sept *sept, struct sept_slot slot, gfn_t start, gfn_t end,
			    sept_leaf_fn fn, void *arg)
{
	gfn_t step = sept_level_pages(slot.level);
	u64 entry;

	for (; slot.index < SEPT_ENTRIES && slot.gfn < end; slot.index++, slot.gfn += step) {
		entry = sept_get(&slot);
		if (sept_is_leaf(entry))
			fn(sept, &slot, entry, arg);
		else if (sept_is_table(entry))
			sept_walk_table(sept,
					sept_child_slot(&slot, entry, max(start, slot.gfn)),
					start, min(end, sept_slot_end(&slot)), fn, arg);
		cond_resched();
	}
}

/**
 * sept_visit_leaves - do something to all leaves of a range
 * @sept: the S-EPT
 * @start: first gfn
 * @end: gfn behind the last one
 * @fn: what to do; leaves may reach over the ends of the range
 * @arg: passed to @fn
 *
 * @fn may change the entry.  If it makes a table of it, that is not descended into.
 *
 * Context: The lock is held exclusive.
 */
void sept_visit_leaves(struct sept *sept, gfn_t start, gfn_t end, sept_leaf_fn fn, void *arg)
{
	gfn_t limit = sept_level_pages(sept->root_level + 1);

	lockdep_assert_held_write(&sept->lock);
	end = min(end, limit);
	if (start < end)
		sept_walk_table(sept, sept_root_slot(sept, start), start, end, fn, arg);
}

/* --- calls that must succeed ---------------------------------------------- */

/* Something was busy, for the @tries-th time. */
void sept_wait(struct sept *sept, unsigned int tries)
{
	if (tries == SEPT_HOLD)
		sept->ops->hold(sept, true);
	if (tries < SEPT_SPINS)
		cond_resched();
	else
		usleep_range(50, 100);
}

void sept_wait_done(struct sept *sept, unsigned int tries)
{
	if (tries > SEPT_HOLD)
		sept->ops->hold(sept, false);
}

/* The module has refused what it must not have, if the mirror is right. */
void sept_refused(struct sept *sept, const char *what, gfn_t gfn, int level, u64 status)
{
	pr_err_ratelimited("tdx: %s of gfn 0x%llx, level %d: status 0x%llx\n",
			   what, gfn, level, status);
	WRITE_ONCE(sept->broken, true);
	sept->ops->broken(sept);
}

/*
 * Make sure that no vCPU uses what was blocked before.  vCPUs that are inside since an
 * epoch before the last keep the module from beginning one: they have to leave first.
 */
void sept_flush(struct sept *sept)
{
	unsigned int tries;
	u64 status;

	lockdep_assert_held_write(&sept->lock);
	for (tries = 0; tries <= SEPT_HOLD; tries++) {
		status = sept_must(sept, tdh_mem_track(sept->tdr));
		if (tdx_status(status) != TDX_PREVIOUS_TLB_EPOCH_BUSY)
			break;
		atomic_long_inc(&sept->stats.kicks);
		sept->ops->kick(sept);
	}
	if (status) {
		sept_refused(sept, "TRACK", 0, 0, status);
		return;
	}
	atomic_long_inc(&sept->stats.tracks);
	atomic_long_inc(&sept->stats.kicks);
	sept->ops->kick(sept);
}

/* --- the end -------------------------------------------------------------- */

static void sept_free_rcu(struct rcu_head *rcu)
{
	sept_free_table(container_of(rcu, struct sept_table, rcu));
}

/* A table that was in the tree.  Those who only look may still see it. */
void sept_free_table_rcu(struct sept_table *table)
{
	call_rcu(&table->rcu, sept_free_rcu);
}

/*
 * The module does not give them back: with one reference more nobody gets them again.
 * They may be of many folios.
 */
void sept_lose_pages(unsigned long pfn, unsigned long nr)
{
	while (nr--)
		get_page(pfn_to_page(pfn++));
}

static void sept_reclaim_pages(struct sept *sept, const struct sept_slot *slot,
			       unsigned long pfn, unsigned long nr)
{
	u64 status = sept_must(sept, tdh_phymem_page_reclaim(pfn));

	if (!status) {
		tdx_reset_pages(pfn, nr, sept->hkid);
		return;
	}
	sept_refused(sept, "RECLAIM", slot->gfn, slot->level, status);
	sept_lose_pages(pfn, nr);
}

/* Tables last, so that what is left is reachable from the root at any time. */
static void sept_reclaim_entries(struct sept *sept, struct sept_slot slot)
{
	gfn_t step = sept_level_pages(slot.level);
	struct sept_table *table;
	u64 entry;

	for (; slot.index < SEPT_ENTRIES; slot.index++, slot.gfn += step) {
		entry = sept_get(&slot);
		table = sept_table(entry);
		if (!entry)
			continue;
		if (sept_is_leaf(entry)) {
			sept_reclaim_pages(sept, &slot, sept_pfn(entry), step);
			sept_set(sept, &slot, entry, 0);
			cond_resched();
			continue;
		}
		sept_reclaim_entries(sept, sept_child_slot(&slot, entry, slot.gfn));
		sept_reclaim_pages(sept, &slot, table->pfn, 1);
		sept_set(sept, &slot, entry, 0);
		sept_free_table_rcu(table);
	}
}

/**
 * sept_reclaim - take all pages back from a TD that has lost its key
 * @sept: the S-EPT
 *
 * It is empty from then on: nothing that is done to it later calls the module.
 *
 * Context: Process context.  The lock is held exclusive, from before the TD loses its key.
 */
void sept_reclaim(struct sept *sept)
{
	lockdep_assert_held_write(&sept->lock);
	sept->reclaiming = true;
	sept_reclaim_entries(sept, sept_root_slot(sept, 0));
}
