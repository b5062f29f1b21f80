// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors: the guest loses the page that has one, and keeps the others.
 *
 * The page stays in the file, and guestmem_get_pfn() says -EHWPOISON of it, until it is
 * punched out.  It does not go back to the page allocator then, which keeps single pages
 * with errors out of use, and its granule not to the pool, because memory_failure() keeps
 * the reference that it has taken; unless it is unpoisoned.
 *
 * A folio of shmem is split by memory_failure(); if it cannot be, because somebody has
 * a reference to it, its pages are given to the guest one by one, and it is split before
 * it leaves the file.  Folios of hugetlb
 * stay whole and have one mark for all of their pages.  Which of them are bad,
 * hugetlb knows but does not tell to those who have the folio locked: it is noted down
 * in guestmem.bad.  Blocks of a granule that have no bad page are mapped as ever.
 *
 * A page that is bad stays so for as long as its granule is in the file, even if it
 * is punched.
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <trace/events/guestmem.h>

#include "internal.h"

/* The operation of the mapping: pages with errors are not taken out of the file. */
int guestmem_error_folio(struct address_space *mapping, struct folio *folio)
{
	return 0;
}

static bool guestmem_poisoned_hugetlb(struct guestmem *gm, struct folio *folio,
				      pgoff_t index, unsigned long nr)
{
	unsigned long at = index;

	if (!folio_test_hwpoison(folio))
		return false;
	return gm->bad_unknown || xa_find(&gm->bad, &at, index + nr - 1, XA_PRESENT);
}

/* Is one of the @nr pages from @index on, all of which are in @folio, bad? */
bool guestmem_poisoned(struct guestmem *gm, struct folio *folio, pgoff_t index,
		       unsigned long nr)
{
	unsigned long i;

	if (folio_test_hugetlb(folio))
		return guestmem_poisoned_hugetlb(gm, folio, index, nr);
	if (folio_test_large(folio) && !folio_test_has_hwpoisoned(folio))
		return false;
	for (i = 0; i < nr; i++)
		if (PageHWPoison(folio_file_page(folio, index + i)))
			return true;
	return false;
}

/* @folio, of hugetlb, leaves the file. */
void guestmem_forget_errors(struct guestmem *gm, struct folio *folio)
{
	unsigned long index;
	void *entry;

	if (xa_empty(&gm->bad))
		return;
	xa_for_each_range(&gm->bad, index, entry, folio->index, folio_next_index(folio) - 1)
		xa_erase(&gm->bad, index);
}

/*
 * The page at @index is bad, and is marked so.  Faults find the mark from now on;
 * what was mapped before that is unmapped here.
 *
 * The folio lock excludes invalidate_lock, which comes before it, and with it the
 * removal of the folio.  Bindings cannot come or go while bind_lock is held; one that
 * comes later finds the page marked.
 */
static void guestmem_lose_page(struct guestmem *gm, struct folio *folio, pgoff_t index)
{
	struct guestmem_invalidation inv = {
		.start = index, .end = index + 1, .nofail = true,
	};

	if (folio_test_hugetlb(folio) &&
	    xa_is_err(xa_store(&gm->bad, index, xa_mk_value(1), GFP_KERNEL)))
		gm->bad_unknown = true;
	if (folio_test_large(folio) && !folio_test_hugetlb(folio)) {
		/* memory_failure() does not get to it if the folio is isolated */
		folio_set_has_hwpoisoned(folio);
		gm->bad_huge = true;
	}
	down_read(&gm->bind_lock);
	guestmem_invalidate_prepare(gm, &inv);
	guestmem_invalidate_start(&inv);
	guestmem_invalidate_end(&inv);
	guestmem_invalidate_done(&inv);
	up_read(&gm->bind_lock);
	trace_guestmem_error(gm->inode, index, folio_pfn(folio) + index - folio->index,
			     folio_order(folio));
}

static bool guestmem_is_guests(const struct page *page)
{
	guard(rcu)();
	return guestmem_find(READ_ONCE(page_folio(page)->mapping));
}

/* False if the folio of @page was being split, and has to be looked up again. */
static bool guestmem_try_lose(struct page *page)
{
	struct folio *folio = page_folio(page);
	struct guestmem *gm;
	bool same;

	/* what leaves a file loses its mapping before its references: it is being split */
	if (!folio_try_get(folio))
		return false;
	folio_lock(folio);
	same = page_folio(page) == folio;
	if (same) {
		rcu_read_lock();
		gm = guestmem_find(folio->mapping);
		rcu_read_unlock();
		/* locked and in the file: it has to leave before the file can go */
		if (gm)
			guestmem_lose_page(gm, folio, folio->index + folio_page_idx(folio, page));
	}
	folio_unlock(folio);
	folio_put(folio);
	return same;
}

/**
 * guestmem_memory_failure - a page has been found to be bad
 * @pfn: any page
 *
 * If it is a guest's, no guest has it mapped on return.
 *
 * Context: memory_failure(), at its end.  May sleep.  The folio is not locked if it
 * belongs to a guest file, and there may be no reference to it any more.
 */
void guestmem_memory_failure(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);

	while (guestmem_is_guests(page) && !guestmem_try_lose(page))
		cond_resched();
}
