// SPDX-License-Identifier: GPL-2.0
/*
 * Putting the 4K folios of an aligned 2M of a shmem file together again.
 *
 * They are single because memory was short when they were allocated, or because one
 * of them was punched.  fallocate() over all of the 2M asks for one folio in their
 * place.  A page fault does not: it is not the time to copy 2M.
 *
 * What can fail comes first: a huge folio is allocated and charged, and the small
 * ones are looked at.  Then the guest is unmapped, the small folios are locked, and
 * the content is moved.  Somebody may have got hold of one of them in the last moment, and
 * then all stays as it was; the guest maps it again.  Nobody ever sees anything but
 * the content.
 *
 * What a guest has had is moved by its consumer, page by page, as migration does it
 * (migrate.c); a consumer that cannot do that keeps its small pages.
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <trace/events/guestmem.h>

#include "internal.h"

/**
 * struct guestmem_merge - a merge in progress
 * @gm: the guest file
 * @first: index of the first page, a multiple of HPAGE_PMD_NR
 * @huge: the new folio, locked
 * @inv: tells the consumer
 * @small: the folios that it replaces; invalidate_lock keeps them in the file
 */
struct guestmem_merge {
	struct guestmem *gm;
	pgoff_t first;
	struct guestmem_invalidation inv;
	struct folio *huge;
	struct folio *small[HPAGE_PMD_NR];
};

/* Are all pages there, on one node, in single folios that nobody has a reference to? */
static bool merge_look(struct guestmem_merge *merge)
{
	struct xarray *pages = &merge->gm->inode->i_mapping->i_pages;
	struct folio *folio;
	unsigned int i;

	for (i = 0; i < HPAGE_PMD_NR; i++) {
		folio = xa_load(pages, merge->first + i);
		if (!folio || folio_test_large(folio) || folio_test_hwpoison(folio) ||
		    folio_ref_count(folio) != 1)
			return false;
		/* placed apart by a policy, or half moved: not ours to change */
		if (i && folio_nid(folio) != folio_nid(merge->small[0]))
			return false;
		merge->small[i] = folio;
	}
	return true;
}

/* With the effort that a page fault makes, see shmem_backend.c. */
static struct folio *merge_alloc(struct guestmem *gm, int node)
{
	gfp_t gfp = GFP_TRANSHUGE | __GFP_NORETRY | __GFP_THISNODE;
	struct folio *folio;

	if (!guestmem_can_move(gm))
		gfp &= ~__GFP_MOVABLE;
	folio = __folio_alloc_node(gfp, HPAGE_PMD_ORDER, node);
	if (!folio)
		return NULL;
	if (mem_cgroup_charge(folio, current->mm, gfp)) {
		folio_put(folio);
		return NULL;
	}
	__folio_set_locked(folio);
	__folio_set_swapbacked(folio);
	return folio;
}

static void merge_unlock(struct guestmem_merge *merge, unsigned int nr)
{
	while (nr--)
		folio_unlock(merge->small[nr]);
}

/*
 * The guest is unmapped.  A fault that has got one of the pages before has a reference
 * still; with invalidate_lock held there are no new ones.  All or none.
 */
static bool merge_lock(struct guestmem_merge *merge)
{
	unsigned int i;

	for (i = 0; i < HPAGE_PMD_NR; i++) {
		if (!folio_trylock(merge->small[i]))
			break;
		if (folio_ref_count(merge->small[i]) != 1) {
			folio_unlock(merge->small[i]);
			break;
		}
	}
	if (i == HPAGE_PMD_NR)
		return true;
	merge_unlock(merge, i);
	return false;
}

/* Has the guest had page @i, so that its consumer must move it? */
static bool merge_given(struct guestmem_merge *merge, unsigned int i)
{
	return merge->inv.consumer && guestmem_given(merge->gm, merge->small[i], 0, 1);
}

static int merge_move_page(struct guestmem_merge *merge, unsigned int i)
{
	unsigned long dst = folio_pfn(merge->huge) + i, src = folio_pfn(merge->small[i]);

	if (!merge_given(merge, i))
		return guestmem_copy(dst, src, 1);
	return merge->gm->ops->migrate(merge->inv.consumer, &merge->inv,
				       merge->first + i, dst, src, 1);
}

static void merge_move_back(struct guestmem_merge *merge, unsigned int nr)
{
	const struct guestmem_consumer_ops *ops = merge->gm->ops;

	while (nr--)
		if (merge_given(merge, nr) && ops->unmigrate)
			ops->unmigrate(merge->inv.consumer, &merge->inv,
				       merge->first + nr, folio_pfn(merge->huge) + nr,
				       folio_pfn(merge->small[nr]), 1);
}

/* All or nothing. */
static int merge_move(struct guestmem_merge *merge)
{
	unsigned int i;
	int ret;

	for (i = 0; i < HPAGE_PMD_NR; i++) {
		ret = merge_move_page(merge, i);
		if (ret) {
			merge_move_back(merge, i);
			return ret;
		}
		cond_resched();
	}
	return 0;
}

/*
 * Exchange the folios in the page cache.  Every page has an entry, so the tree has all
 * nodes that it needs; the mark of having been given to a consumer is passed on, if any
 * of them has it, and which of them has is in the map.
 */
static void merge_replace(struct guestmem_merge *merge)
{
	struct address_space *mapping = merge->gm->inode->i_mapping;
	XA_STATE_ORDER(xas, &mapping->i_pages, merge->first, HPAGE_PMD_ORDER);
	struct folio *huge = merge->huge;
	unsigned int i;

	folio_ref_add(huge, HPAGE_PMD_NR);
	huge->mapping = mapping;
	huge->index = merge->first;
	__folio_mark_uptodate(huge);
	folio_set_dirty(huge);

	xas_lock_irq(&xas);
	for (i = 0; i < HPAGE_PMD_NR; i++)
		guestmem_shmem_account(merge->small[i], -1);
	guestmem_shmem_account(huge, 1);
	xas_store(&xas, huge);
	VM_WARN_ON_ONCE(xas_error(&xas));
	xas_unlock_irq(&xas);
}

static void merge_free_small(struct guestmem_merge *merge)
{
	unsigned int i;

	for (i = 0; i < HPAGE_PMD_NR; i++) {
		merge->small[i]->mapping = NULL;
		folio_clear_dirty(merge->small[i]);
		folio_unlock(merge->small[i]);
		/* that of the page cache */
		folio_put(merge->small[i]);
	}
}

static int merge_exchange(struct guestmem_merge *merge)
{
	int ret;

	if (!merge_lock(merge))
		return -EAGAIN;
	ret = merge_move(merge);
	if (ret) {
		merge_unlock(merge, HPAGE_PMD_NR);
		return ret;
	}
	merge_replace(merge);
	merge_free_small(merge);
	folio_add_lru(merge->huge);
	atomic_long_inc(&merge->gm->nr_merges);
	return 0;
}

static void merge_block(struct guestmem_merge *merge)
{
	int ret;

	merge->huge = merge_alloc(merge->gm, folio_nid(merge->small[0]));
	if (!merge->huge)
		return;
	/* right for the small folios as well, which look as if others had split them */
	if (guestmem_map_merge(merge->gm, merge->first))
		goto put_huge;
	merge->inv = (struct guestmem_invalidation) {
		.start = merge->first, .end = merge->first + HPAGE_PMD_NR, .moving = true,
	};
	ret = guestmem_invalidate_prepare(merge->gm, &merge->inv);
	if (!ret) {
		guestmem_invalidate_start(&merge->inv);
		ret = merge_exchange(merge);
		guestmem_invalidate_end(&merge->inv);
		guestmem_invalidate_done(&merge->inv);
	}
	trace_guestmem_merge(merge->gm->inode, merge->first, HPAGE_PMD_ORDER, ret);
	if (ret)
		guestmem_map_drop(merge->gm, merge->first);
put_huge:
	folio_unlock(merge->huge);
	folio_put(merge->huge);
}

static void merge_one(struct guestmem *gm, pgoff_t first)
{
	struct address_space *mapping = gm->inode->i_mapping;
	struct guestmem_merge *merge = kmalloc(sizeof(*merge), GFP_KERNEL);

	if (!merge)
		return;
	merge->gm = gm;
	merge->first = first;
	filemap_invalidate_lock(mapping);
	if ((!gm->ops || gm->ops->migrate) && merge_look(merge)) {
		/* nobody can split what is single: there is no map from now on */
		guestmem_settle(gm, first, first + HPAGE_PMD_NR);
		merge_block(merge);
	}
	guestmem_check(gm);
	filemap_invalidate_unlock(mapping);
	kfree(merge);
}

/* A cheap look, without a lock: is there a small folio at the start? */
static bool merge_wanted(struct guestmem *gm, pgoff_t first)
{
	struct xarray *pages = &gm->inode->i_mapping->i_pages;

	return xa_load(pages, first) && !xa_get_order(pages, first);
}

/**
 * guestmem_shmem_merge - one folio for every aligned 2M of single ones
 * @gm: a guest file in the shmem store
 * @start: first index
 * @end: index behind the last one
 *
 * Where that is impossible, nothing happens.
 *
 * Context: Process context, inode->i_rwsem held.  Takes invalidate_lock.
 */
void guestmem_shmem_merge(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	bool drained = false;
	pgoff_t first;

	if (gm->flags & GUESTMEM_NOHUGEPAGE)
		return;
	for (first = round_up(start, HPAGE_PMD_NR); first + HPAGE_PMD_NR <= end;
	     first += HPAGE_PMD_NR) {
		if (fatal_signal_pending(current))
			return;
		if (!merge_wanted(gm, first))
			continue;
		/* folios that were just added may still be waiting for their LRU list */
		if (!drained)
			lru_add_drain_all();
		drained = true;
		merge_one(gm, first);
		cond_resched();
	}
}
