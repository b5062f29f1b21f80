// SPDX-License-Identifier: GPL-2.0
/*
 * Moving a folio to other memory, for core mm: compaction, memory offlining, CMA,
 * soft offlining, and whoever else calls migrate_pages().
 *
 * Pages of a guest may be moved if the owner of the file has said so (MFD_GUEST_MOVABLE)
 * and the consumer can do it (guestmem_consumer_ops.migrate).  The folios of all other
 * files are *unmovable*, which those who look for folios to move find out from
 * guestmem_unmovable() before they take one.
 *
 * Core mm calls with both folios locked, and with a reference to the old one::
 *
 *	invalidate_lock, shared		no page is removed, no binding comes or goes
 *	mark the entry as moving	faults wait for the end, without a reference
 *	invalidate_start		the guest is unmapped
 *	look at the references		has a fault got the old page, to map it?
 *	invalidate_end
 *	consumer's migrate		the content, with what protects it
 *	exchange, take over		the new folio is in the file
 *	unmark				faults go on
 *
 * When the guest is unmapped and there is no reference but those of the page cache and
 * of core mm, nobody has a pfn to map any more; and guestmem_get_pfn() gives out no new
 * one, because it needs the lock of the folio.  From there on the pages are ours.
 * References that come now are of those who look something up and of those who wait for
 * the lock: they find that the folio has left the file.  After that only the consumer can
 * fail, all of whose pages then are where they were.
 *
 * The invalidation ends before the content moves, because between its brackets KVM tries
 * a fault again and again, and 1G takes long.  guestmem_get_pfn() lets it sleep.
 */
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/wait_bit.h>
#include <trace/events/guestmem.h>

#include "internal.h"

/* pages that the consumer is asked to move at once */
#define GUESTMEM_MOVE_BATCH	512UL

bool guestmem_can_move(const struct guestmem *gm)
{
	const struct guestmem_consumer_ops *ops;

	/* a consumer that takes its bind back may be a module that goes */
	guard(rcu)();
	ops = READ_ONCE(gm->ops);
	return IS_ENABLED(CONFIG_MIGRATION) && gm->flags & GUESTMEM_MOVABLE &&
	       (!ops || ops->migrate);
}

/* Pages that cannot move stay out of ZONE_MOVABLE and CMA. */
void guestmem_set_placement(struct guestmem *gm)
{
	mapping_set_gfp_mask(gm->inode->i_mapping,
			     guestmem_can_move(gm) ? GFP_HIGHUSER_MOVABLE : GFP_HIGHUSER);
}

/**
 * guestmem_movable - can the folios of this page cache be moved?
 * @mapping: any mapping
 *
 * Context: Any.
 * Return: True if it is that of a guest file, and they can.
 */
bool guestmem_movable(const struct address_space *mapping)
{
	const struct guestmem *gm;

	guard(rcu)();
	gm = guestmem_find(mapping);
	return gm && guestmem_can_move(gm);
}

/* PG_hwpoison of the head, or of any page: asked without the folio being locked */
static bool guestmem_has_error(const struct folio *folio)
{
	return folio_test_hwpoison(folio) ||
	       (folio_test_large(folio) && !folio_test_hugetlb(folio) &&
		folio_test_has_hwpoisoned(folio));
}

/**
 * guestmem_unmovable - is this folio one that must not be isolated to be moved?
 * @folio: any folio, with a reference or without
 *
 * Pages with memory errors stay in the file.  Others leave theirs, so that core mm takes
 * memory offline that has some; here the file would be left with pages that are gone.
 *
 * Context: Any.
 * Return: True if it is of a guest file that cannot move its folios, or not this one.
 */
bool guestmem_unmovable(const struct folio *folio)
{
	const struct guestmem *gm;

	guard(rcu)();
	gm = guestmem_find(READ_ONCE(folio->mapping));
	return gm && (!guestmem_can_move(gm) || guestmem_has_error(folio));
}

/**
 * guestmem_copy - copy pages of guest memory
 * @dst: first page to copy to
 * @src: first page to copy from
 * @nr: how many
 *
 * For consumers whose pages the host can read: what their migrate does.
 *
 * Context: Any.
 * Return: 0, or -EHWPOISON if a page of the source has a memory error.
 */
int guestmem_copy(unsigned long dst, unsigned long src, unsigned long nr)
{
	for (; nr; nr--)
		if (copy_mc_highpage(pfn_to_page(dst++), pfn_to_page(src++)))
			return -EHWPOISON;
	return 0;
}
EXPORT_SYMBOL_GPL(guestmem_copy);

#ifdef CONFIG_MIGRATION

/**
 * struct guestmem_migration - a folio on its way
 * @gm: the guest file
 * @inv: tells the consumer
 * @dst: the new folio, locked
 * @src: the old one, locked
 */
struct guestmem_migration {
	struct guestmem *gm;
	struct guestmem_invalidation inv;
	struct folio *dst;
	struct folio *src;
};

/* What the guest has not had: as the host sees it.  Holes have no content. */
static int migration_copy_fresh(struct guestmem_migration *m)
{
	unsigned long end = folio_nr_pages(m->src), at;
	int ret;

	for (at = 0; guestmem_next_fresh(m->gm, m->src, &at, end); at++) {
		ret = guestmem_copy(folio_pfn(m->dst) + at, folio_pfn(m->src) + at, 1);
		if (ret)
			return ret;
		cond_resched();
	}
	return 0;
}

/* The next pages up to @end that the guest has had, in a piece for the consumer */
static unsigned long migration_given(struct guestmem_migration *m, unsigned long *at,
				     unsigned long end)
{
	unsigned long nr = guestmem_next_given(m->gm, m->src, at, end);

	return min(nr, round_down(*at, GUESTMEM_MOVE_BATCH) + GUESTMEM_MOVE_BATCH - *at);
}

static int migration_move_piece(struct guestmem_migration *m, unsigned long at,
				unsigned long nr)
{
	unsigned long dst = folio_pfn(m->dst) + at, src = folio_pfn(m->src) + at;
	struct guestmem_consumer *consumer = m->inv.consumer;

	/* nobody has bound it now: it is memory like any other */
	if (!consumer)
		return guestmem_copy(dst, src, nr);
	return m->gm->ops->migrate(consumer, &m->inv, m->src->index + at, dst, src, nr);
}

/* Undo what was moved, up to page @end. */
static void migration_move_back(struct guestmem_migration *m, unsigned long end)
{
	struct guestmem_consumer *consumer = m->inv.consumer;
	unsigned long at = 0, nr;

	if (!consumer || !m->gm->ops->unmigrate)
		return;
	for (; (nr = migration_given(m, &at, end)); at += nr)
		m->gm->ops->unmigrate(consumer, &m->inv, m->src->index + at,
				      folio_pfn(m->dst) + at, folio_pfn(m->src) + at, nr);
}

static int migration_move_given(struct guestmem_migration *m)
{
	unsigned long end = folio_nr_pages(m->src), at = 0, nr;
	int ret;

	for (; (nr = migration_given(m, &at, end)); at += nr) {
		ret = migration_move_piece(m, at, nr);
		if (ret) {
			migration_move_back(m, at);
			return ret;
		}
		cond_resched();
	}
	return 0;
}

/*
 * An error that comes while the folio is isolated is marked at the page only, and told
 * when we have let go of the folio.  The bad page must not leave the file unseen: the
 * page allocator does not look into a large folio for it.
 */
static bool migration_bad(struct guestmem_migration *m)
{
	unsigned long i;

	if (folio_test_hugetlb(m->src))
		return folio_test_hwpoison(m->src);
	for (i = 0; i < folio_nr_pages(m->src); i++)
		if (PageHWPoison(folio_page(m->src, i)))
			return true;
	return false;
}

static int migration_content(struct guestmem_migration *m)
{
	int ret = migration_copy_fresh(m) ?: migration_move_given(m);

	if (ret || !migration_bad(m))
		return ret;
	migration_move_back(m, folio_nr_pages(m->src));
	return -EHWPOISON;
}

/* The new folio has the content, and takes the place of the old one. */
static void migration_replace(struct guestmem_migration *m)
{
	struct address_space *mapping = m->gm->inode->i_mapping;
	XA_STATE(xas, &mapping->i_pages, m->src->index);
	unsigned long nr = folio_nr_pages(m->src);

	m->dst->mapping = mapping;
	m->dst->index = m->src->index;
	folio_ref_add(m->dst, nr);
	if (folio_test_swapbacked(m->src))
		__folio_set_swapbacked(m->dst);
	/* for those who look without the lock, lseek(SEEK_HOLE) for one */
	folio_mark_uptodate(m->dst);
	folio_clear_dirty(m->src);
	folio_set_dirty(m->dst);

	/* the marks of the entry stay */
	xas_lock_irq(&xas);
	xas_store(&xas, m->dst);
	xas_unlock_irq(&xas);
	/* the caller has one more, and clears the mapping, which who waits for the lock sees */
	folio_ref_sub(m->src, nr);
}

/* Wake those who have waited for the folio at @index, wherever it is now. */
void guestmem_move_end(struct guestmem *gm, pgoff_t index)
{
	guestmem_clear_mark(gm, index, GUESTMEM_MARK_MOVING);
	/* the mark before the look for somebody who waits; pairs with prepare_to_wait() */
	smp_mb();
	wake_up_var(gm);
}

static int migration_unmapped(struct guestmem_migration *m, int refs)
{
	bool alone;
	int ret;

	guestmem_invalidate_start(&m->inv);
	/* whoever had a page has mapped it by now, and is unmapped, or has it still */
	alone = folio_ref_count(m->src) == refs;
	guestmem_invalidate_end(&m->inv);
	ret = alone ? migration_content(m) : -EAGAIN;
	if (!ret) {
		migration_replace(m);
		m->gm->store->take_over(m->dst, m->src);
	}
	return ret;
}

static int migration_move(struct guestmem_migration *m)
{
	int refs = folio_expected_ref_count(m->src) + 1;
	pgoff_t index = m->src->index;
	int ret;

	/* without disturbing the guest for it */
	if (folio_ref_count(m->src) != refs)
		return -EAGAIN;
	m->inv.start = index;
	m->inv.end = folio_next_index(m->src);
	m->inv.moving = true;
	ret = guestmem_invalidate_prepare(m->gm, &m->inv);
	if (ret)
		return ret;
	guestmem_set_mark(m->gm, index, GUESTMEM_MARK_MOVING);
	ret = migration_unmapped(m, refs);
	guestmem_move_end(m->gm, index);
	guestmem_invalidate_done(&m->inv);
	return ret;
}

static int migration_may(struct guestmem_migration *m)
{
	/* it may have become another guest's since it was isolated */
	if (!guestmem_can_move(m->gm))
		return -EOPNOTSUPP;
	return migration_bad(m) ? -EHWPOISON : 0;
}

/**
 * guestmem_migrate_folio - the migrate_folio operation of a guest file's mapping
 * @mapping: the mapping
 * @dst: the new folio, locked
 * @src: the old one, locked, with one reference of the caller's
 * @mode: of the migration
 *
 * invalidate_lock is not waited for: who has it may wait for the lock of the folio.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EAGAIN if the file is being changed, or if somebody has a reference to
 * the folio; -EOPNOTSUPP if it cannot move any more; -EHWPOISON; what the consumer said.
 * The folio is unchanged then.
 */
int guestmem_migrate_folio(struct address_space *mapping, struct folio *dst,
			   struct folio *src, enum migrate_mode mode)
{
	/* with a folio locked in it, the file cannot go */
	struct guestmem_migration m = {
		.gm = mapping->host->i_private, .dst = dst, .src = src,
	};
	int ret = -EAGAIN;

	if (filemap_invalidate_trylock_shared(mapping)) {
		ret = migration_may(&m) ?: migration_move(&m);
		filemap_invalidate_unlock_shared(mapping);
	}
	/* one that is busy is tried again at once, many times */
	if (ret != -EAGAIN)
		atomic_long_inc(ret ? &m.gm->nr_migrate_failed : &m.gm->nr_migrated);
	trace_guestmem_migrate(m.gm->inode, src->index, folio_order(src), folio_pfn(src),
			       folio_pfn(dst), folio_nid(src), folio_nid(dst), ret);
	return ret;
}

#endif /* CONFIG_MIGRATION */
