// SPDX-License-Identifier: GPL-2.0
/*
 * Moving memory of a guest file because its owner wants it elsewhere: GUESTMEM_MIGRATE,
 * and GUESTMEM_SET_MEMPOLICY with GUESTMEM_MEMPOLICY_MOVE.
 *
 * The folios of the range are looked for, isolated and given to migrate_pages() in
 * batches, with no lock held in between: migration takes invalidate_lock itself
 * (migrate.c).  What fails because somebody is using it is tried again, by another
 * walk over the range.
 */
#include <linux/cpuset.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>
#include <linux/uaccess.h>
#include <uapi/linux/guestmem.h>

#include "../internal.h"
#include "internal.h"

/* pages to isolate before they are moved: what migrate_pages() does at once */
#define GUESTMEM_MOVE_PAGES	512UL
/* the longest pause in between */
#define GUESTMEM_MOVE_PAUSE_US	50000
/* walks over the range, as often as migrate_pages() tries a folio */
#define GUESTMEM_MOVE_TRIES	10

/**
 * struct guestmem_mover - a move of a range of a guest file
 * @gm: the file
 * @start: first index
 * @end: index behind the last one
 * @nodes: where the folios may be
 * @spread: distribute them, by their index
 * @full: there was no memory to move to: the rest is only counted
 * @list: folios that are isolated
 * @moved: pages of the range that have moved
 * @failed: pages of the range that this walk has left elsewhere
 */
struct guestmem_mover {
	struct guestmem *gm;
	pgoff_t start;
	pgoff_t end;
	const nodemask_t *nodes;
	bool spread;
	bool full;
	struct list_head list;
	u64 moved;
	u64 failed;
};

/* How many pages of @folio are in the range? */
static unsigned long mover_pages(struct guestmem_mover *mover, struct folio *folio)
{
	pgoff_t first = max(folio->index, mover->start);
	pgoff_t end = min(folio_next_index(folio), mover->end);

	return end > first ? end - first : 0;
}

static u64 mover_listed(struct guestmem_mover *mover)
{
	struct folio *folio;
	u64 pages = 0;

	list_for_each_entry(folio, &mover->list, lru)
		pages += mover_pages(mover, folio);
	return pages;
}

static int mover_node(struct guestmem_mover *mover, struct folio *folio)
{
	int node = first_node(*mover->nodes);
	unsigned long nth;

	if (!mover->spread)
		return node;
	nth = (folio->index >> folio_order(folio)) % nodes_weight(*mover->nodes);
	while (nth--)
		node = next_node(node, *mover->nodes);
	return node;
}

/* For migrate_pages() */
static struct folio *mover_target(struct folio *src, unsigned long private)
{
	struct guestmem_mover *mover = (struct guestmem_mover *)private;
	nodemask_t nodes = *mover->nodes;
	struct migration_target_control mtc = {
		.nid = mover_node(mover, src),
		.nmask = &nodes,
		/* rather fail than have somebody killed for it */
		.gfp_mask = GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN,
		.reason = MR_SYSCALL,
	};

	return alloc_migration_target(src, (unsigned long)&mtc);
}

/*
 * The folio at or behind *@index, with a reference.  NULL if there is none up to the
 * end, ERR_PTR(-EAGAIN) if it has just been exchanged.
 */
static struct folio *mover_next(struct guestmem_mover *mover, unsigned long *index)
{
	struct xarray *pages = &mover->gm->inode->i_mapping->i_pages;
	struct folio *folio;

	guard(rcu)();
	folio = xa_find(pages, index, mover->end - 1, XA_PRESENT);
	if (!folio)
		return NULL;
	if (!folio_try_get(folio))
		return ERR_PTR(-EAGAIN);
	if (xa_load(pages, *index) == folio)
		return folio;
	folio_put(folio);
	return ERR_PTR(-EAGAIN);
}

static void mover_take(struct guestmem_mover *mover, struct folio *folio)
{
	if (node_isset(folio_nid(folio), *mover->nodes))
		return;
	if (mover->full || !isolate_folio_to_list(folio, &mover->list))
		mover->failed += mover_pages(mover, folio);
}

/* Isolate folios from *@index on that are elsewhere.  False if there are no folios. */
static bool mover_collect(struct guestmem_mover *mover, unsigned long *index)
{
	struct address_space *mapping = mover->gm->inode->i_mapping;
	unsigned long nr = 0;
	struct folio *folio;

	filemap_invalidate_lock_shared(mapping);
	while (nr < GUESTMEM_MOVE_PAGES && *index < mover->end) {
		folio = mover_next(mover, index);
		if (!folio)
			break;
		if (IS_ERR(folio))
			continue;
		mover_take(mover, folio);
		*index = folio_next_index(folio);
		nr += folio_nr_pages(folio);
		folio_put(folio);
	}
	filemap_invalidate_unlock_shared(mapping);
	return nr;
}

/*
 * KVM tries a fault again if any invalidation has ended meanwhile, and with small folios
 * one ends every few microseconds: its guest could stand still until all has moved.  If it
 * has faulted, leave it as much time as was taken from it.
 */
static void mover_let_go(struct guestmem_mover *mover, unsigned long since, ktime_t start)
{
	if (time_before(READ_ONCE(mover->gm->last_fault), since))
		return;
	fsleep(min_t(u64, ktime_us_delta(ktime_get(), start), GUESTMEM_MOVE_PAUSE_US));
}

static void mover_move(struct guestmem_mover *mover)
{
	u64 before = mover_listed(mover), left;
	unsigned long since = jiffies;
	ktime_t start = ktime_get();
	int ret;

	if (list_empty(&mover->list))
		return;
	ret = migrate_pages(&mover->list, mover_target, NULL, (unsigned long)mover,
			    MIGRATE_SYNC, MR_SYSCALL, NULL);
	mover->full = ret == -ENOMEM;
	left = mover_listed(mover);
	mover->moved += before - left;
	mover->failed += left;
	putback_movable_pages(&mover->list);
	mover_let_go(mover, since, start);
}

static int mover_walk(struct guestmem_mover *mover)
{
	unsigned long index = mover->start;

	mover->failed = 0;
	while (mover_collect(mover, &index)) {
		mover_move(mover);
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * guestmem_move_range - move what is elsewhere
 * @gm: the guest file
 * @start: first index
 * @end: index behind the last one
 * @nodes: where it may be
 * @spread: distribute over @nodes what has to move, instead of filling the first
 * @moved: bytes of the range that have moved
 * @failed: bytes of the range that are elsewhere still
 *
 * Context: Process context, may sleep.  Takes invalidate_lock.
 * Return: 0, whatever could be moved; -EOPNOTSUPP if the file cannot move; -EINTR for a
 * signal.
 */
int guestmem_move_range(struct guestmem *gm, pgoff_t start, pgoff_t end,
			const nodemask_t *nodes, bool spread, u64 *moved, u64 *failed)
{
	struct guestmem_mover mover = {
		.gm = gm, .start = start, .end = end, .nodes = nodes, .spread = spread,
		.list = LIST_HEAD_INIT(mover.list),
	};
	int tries, ret = 0;

	if (!guestmem_can_move(gm))
		return -EOPNOTSUPP;
	for (tries = 0; tries < GUESTMEM_MOVE_TRIES && !ret; tries++) {
		/* what was just added waits for its LRU list, and cannot be isolated */
		lru_add_drain_all();
		ret = mover_walk(&mover);
		if (!mover.failed || mover.full)
			break;
		schedule_timeout_killable(1);
	}
	*moved = mover.moved << PAGE_SHIFT;
	*failed = mover.failed << PAGE_SHIFT;
	return ret;
}

static int guestmem_migrate_check(struct guestmem *gm, const struct guestmem_migrate *args)
{
	u64 size = i_size_read(gm->inode);

	if (args->flags || args->reserved || !args->length ||
	    !PAGE_ALIGNED(args->offset | args->length) ||
	    args->offset > size || args->length > size - args->offset ||
	    args->node < 0 || args->node >= MAX_NUMNODES || !node_state(args->node, N_MEMORY))
		return -EINVAL;
	/* as move_pages() */
	return node_isset(args->node, cpuset_current_mems_allowed) ? 0 : -EACCES;
}

/* GUESTMEM_MIGRATE */
long guestmem_migrate(struct guestmem *gm, void __user *arg)
{
	struct guestmem_migrate args;
	nodemask_t nodes;
	long ret;

	BUILD_BUG_ON(sizeof(args) != 48);
	ret = guestmem_copy_args(&args, sizeof(args), arg);
	if (ret)
		return ret;
	ret = guestmem_migrate_check(gm, &args);
	if (ret)
		return ret;
	nodes = nodemask_of_node(args.node);
	ret = guestmem_move_range(gm, args.offset >> PAGE_SHIFT,
				  (args.offset + args.length) >> PAGE_SHIFT, &nodes, false,
				  &args.moved, &args.failed);
	if (ret == -EOPNOTSUPP)
		return ret;
	return copy_to_user(arg, &args, sizeof(args)) ? -EFAULT : ret;
}
