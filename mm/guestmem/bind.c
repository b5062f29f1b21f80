// SPDX-License-Identifier: GPL-2.0
/*
 * Guest files and their consumers: who may map what, and until when.
 *
 * A *binding* gives a page range of a guest file to a range of addresses of one
 * consumer.  Ranges of one file never overlap, so an index appears at most at
 * one address of one guest.
 */
#include <linux/bitops.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait_bit.h>
#include <trace/events/guestmem.h>

#include "internal.h"

/**
 * DOC: mapping and invalidation
 *
 * The store holds the pages.  A consumer gets a reference with
 * guestmem_get_pfn() and drops it as soon as its mapping is installed; from
 * then on the mapping is protected by *invalidation* alone::
 *
 *	consumer				whoever removes pages
 *
 *	seq = current sequence			invalidate_lock for writing
 *	guestmem_get_pfn()			invalidate_start: unmap,
 *	  invalidate_lock shared		  sequence "in progress"
 *	lock of the page table			remove the folios
 *	  sequence changed, or in progress?	invalidate_end: sequence + 1
 *	    yes: drop the pfn and retry		unlock
 *	    no: map
 *	unlock, guestmem_put_pfn()
 *
 * Either the consumer installs its mapping before invalidate_start takes the
 * page table lock, and then the mapping is found there; or it does not see the
 * sequence that it started with.
 */

bool guestmem_marked(struct guestmem *gm, pgoff_t index, xa_mark_t mark)
{
	return xa_get_mark(&gm->inode->i_mapping->i_pages, index, mark);
}

void guestmem_set_mark(struct guestmem *gm, pgoff_t index, xa_mark_t mark)
{
	XA_STATE(xas, &gm->inode->i_mapping->i_pages, index);

	xas_lock_irq(&xas);
	if (xas_load(&xas))
		xas_set_mark(&xas, mark);
	xas_unlock_irq(&xas);
}

void guestmem_clear_mark(struct guestmem *gm, pgoff_t index, xa_mark_t mark)
{
	XA_STATE(xas, &gm->inode->i_mapping->i_pages, index);

	xas_lock_irq(&xas);
	if (xas_load(&xas))
		xas_clear_mark(&xas, mark);
	xas_unlock_irq(&xas);
}

/*
 * The first folio of [start, end) that carries @mark.  It stays for as long as
 * the caller prevents its removal, by invalidate_lock for writing.
 */
struct folio *guestmem_find_marked(struct guestmem *gm, pgoff_t start,
				   pgoff_t end, xa_mark_t mark)
{
	unsigned long index = start;

	if (start >= end)
		return NULL;
	return xa_find(&gm->inode->i_mapping->i_pages, &index, end - 1, mark);
}

/**
 * guestmem_get_folio - a folio of the file, present or new
 * @gm: the guest file
 * @index: that is wanted
 * @start: first index that a new folio may have
 * @end: index behind the last one that it may have
 * @foliop: the folio, locked, referenced and up to date
 *
 * A folio that is being moved is waited for without a reference, which would prevent
 * the move.
 *
 * Context: Process context, may sleep.  invalidate_lock held.
 * Return: 0; what get_folio() of struct guestmem_store_ops returns; -EINTR for a signal
 * that kills the task; GUESTMEM_UNSETTLED if the pages of the folio must be sorted out
 * first, see guestmem_retry().
 */
int guestmem_get_folio(struct guestmem *gm, pgoff_t index, pgoff_t start, pgoff_t end,
		       struct folio **foliop)
{
	struct address_space *mapping = gm->inode->i_mapping;
	int ret;

	if (mapping_tagged(mapping, GUESTMEM_MARK_MOVING) &&
	    wait_var_event_killable(gm, !guestmem_marked(gm, index, GUESTMEM_MARK_MOVING)))
		return -EINTR;
	ret = gm->store->get_folio(gm, index, start, end, foliop);
	if (ret || !guestmem_unsettled(gm, *foliop))
		return ret;
	folio_unlock(*foliop);
	folio_put(*foliop);
	return GUESTMEM_UNSETTLED;
}

/*
 * What was done for @index under invalidate_lock, which has been dropped, returned
 * @ret.  Is it to be done again, and what has to be done first?
 */
bool guestmem_retry(struct guestmem *gm, pgoff_t index, int ret)
{
	struct address_space *mapping = gm->inode->i_mapping;

	if (ret == GUESTMEM_UNSETTLED) {
		filemap_invalidate_lock(mapping);
		guestmem_settle(gm, index, index + 1);
		filemap_invalidate_unlock(mapping);
	}
	return ret > 0;
}

static struct guestmem_binding *to_binding(struct interval_tree_node *node)
{
	return node ? container_of(node, struct guestmem_binding, node) : NULL;
}

/**
 * guestmem_first_binding - the first binding that an invalidation overlaps
 * @inv: the invalidation
 *
 * Context: Between invalidate_start and invalidate_end.
 * Return: The binding with the lowest index, or NULL.
 */
struct guestmem_binding *
guestmem_first_binding(const struct guestmem_invalidation *inv)
{
	return to_binding(interval_tree_iter_first(&inv->gm->bindings,
						   inv->start, inv->end - 1));
}
EXPORT_SYMBOL_GPL(guestmem_first_binding);

/**
 * guestmem_next_binding - the next binding that an invalidation overlaps
 * @inv: the invalidation
 * @binding: the previous one
 *
 * Context: Between invalidate_start and invalidate_end.
 * Return: The binding with the next index, or NULL.
 */
struct guestmem_binding *
guestmem_next_binding(const struct guestmem_invalidation *inv,
		      struct guestmem_binding *binding)
{
	return to_binding(interval_tree_iter_next(&binding->node, inv->start,
						  inv->end - 1));
}
EXPORT_SYMBOL_GPL(guestmem_next_binding);

/*
 * [start, end) is going to go away, or to be moved: find out whose it is, and let them get
 * ready for it.  The caller holds invalidate_lock or bind_lock until
 * guestmem_invalidate_done(), so that all see the same bindings.  With @inv->nofail set
 * this returns 0, else it may return -ENOMEM, and nothing has happened.
 */
int guestmem_invalidate_prepare(struct guestmem *gm, struct guestmem_invalidation *inv)
{
	struct guestmem_binding *binding;

	lockdep_assert(lockdep_is_held(&gm->inode->i_mapping->invalidate_lock) ||
		       lockdep_is_held(&gm->bind_lock));
	inv->gm = gm;
	binding = guestmem_first_binding(inv);
	if (!binding)
		return 0;
	/* all bindings of a file are of one consumer */
	inv->consumer = binding->consumer;
	return gm->ops->reserve ? gm->ops->reserve(inv->consumer, inv) : 0;
}

/* Tell the consumer, once, that the range goes away, or is moved. */
void guestmem_invalidate_start(struct guestmem_invalidation *inv)
{
	if (!inv->consumer)
		return;
	trace_guestmem_invalidate(inv->gm->inode, inv->start, inv->end, inv->moving);
	inv->gm->ops->invalidate_start(inv->consumer, inv);
	guestmem_delay(GUESTMEM_DELAY_INVALIDATION);
}

void guestmem_invalidate_end(struct guestmem_invalidation *inv)
{
	if (inv->consumer)
		inv->gm->ops->invalidate_end(inv->consumer, inv);
}

/* After guestmem_invalidate_prepare() has returned 0, whatever has come of it. */
void guestmem_invalidate_done(struct guestmem_invalidation *inv)
{
	if (inv->consumer && inv->gm->ops->unreserve)
		inv->gm->ops->unreserve(inv->consumer, inv);
}

/* Release what a consumer has had of [start, end) in @folio.  Return where to go on. */
static pgoff_t guestmem_release_folio(struct guestmem *gm, struct folio *folio,
				      pgoff_t start, pgoff_t end)
{
	unsigned long first, nr, last;
	pgoff_t next;

	/*
	 * Core mm may split it at any time, but not while it is locked.  If that has just
	 * happened, another folio has @start now: look again.
	 */
	folio_lock(folio);
	next = max(start, folio_next_index(folio));
	first = max(start, folio->index) - folio->index;
	last = min(end, next) - folio->index;
	while (first < last && (nr = guestmem_next_given(gm, folio, &first, last))) {
		gm->ops->release(folio_pfn(folio) + first, nr);
		first += nr;
	}
	folio_unlock(folio);
	return next;
}

/*
 * Tell the consumer that the pages of [start, end) that it has had leave the file.
 * They are mapped nowhere: the caller is between invalidate_start and
 * invalidate_end, or there is no binding.  With invalidate_lock held no page can be
 * given to a consumer before they are gone.
 */
void guestmem_release_pages(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	struct folio *folio;

	rwsem_assert_held_write(&gm->inode->i_mapping->invalidate_lock);
	if (!gm->ops || !gm->ops->release)
		return;
	while ((folio = guestmem_find_marked(gm, start, end, GUESTMEM_MARK_GIVEN))) {
		start = guestmem_release_folio(gm, folio, start, end);
		cond_resched();
	}
}

/* May @consumer bind pages [start, last] of the file? */
static int guestmem_may_bind(struct guestmem *gm, struct guestmem_consumer *consumer,
			     pgoff_t start, pgoff_t last)
{
	rwsem_assert_held_write(&gm->inode->i_mapping->invalidate_lock);
	if (gm->vm_id && gm->vm_id != consumer->id)
		return gm->born_bound ? -EINVAL : -EBUSY;
	if (interval_tree_iter_first(&gm->bindings, start, last))
		return -EEXIST;
	return 0;
}

/* The file becomes @consumer's, for life. */
static int guestmem_claim(struct guestmem *gm, struct guestmem_binding *binding)
{
	struct guestmem_consumer *consumer = binding->consumer;

	if (gm->vm_id)
		return 0;
	if (!try_module_get(consumer->ops->owner))
		return -ENODEV;
	WRITE_ONCE(gm->ops, consumer->ops);
	gm->vm_id = consumer->id;
	binding->claimed = true;
	guestmem_set_placement(gm);
	return 0;
}

static void guestmem_unclaim(struct guestmem *gm)
{
	struct module *owner = gm->ops->owner;

	WRITE_ONCE(gm->ops, NULL);
	gm->vm_id = 0;
	guestmem_set_placement(gm);
	/* guestmem_can_move() may look at them still; a module waits for RCU before it goes */
	module_put(owner);
}

static void guestmem_insert(struct guestmem *gm, struct guestmem_binding *binding)
{
	down_write(&gm->bind_lock);
	interval_tree_insert(&binding->node, &gm->bindings);
	WRITE_ONCE(gm->nr_bindings, gm->nr_bindings + 1);
	up_write(&gm->bind_lock);
	guestmem_stat_bindings(1);
}

/**
 * guestmem_bind - give a range of a guest file to a consumer
 * @file: any open file
 * @consumer: the guest
 * @offset: into the file, in bytes
 * @npages: length, not 0
 * @addr: consumer address of the first page
 * @priv: for the consumer, guestmem_binding.priv
 *
 * The binding holds a reference to the file.  Pages may be asked for at once.
 *
 * Context: Process context of the file's owner, may sleep.  Takes
 * invalidate_lock.
 * Return: The binding, or ERR_PTR: -EINVAL if @file is not a guest file, if
 * @offset is not a multiple of PAGE_SIZE or the range is not within the file;
 * -EPERM if the caller is not the owner; -EBUSY if the file belongs to another
 * guest, -EINVAL if it was made by guestmem_create() for another guest; -EEXIST
 * if part of the range is bound; -ENOMEM; -ENODEV if the consumer's module is
 * being unloaded.  Nothing has changed then.
 */
struct guestmem_binding *guestmem_bind(struct file *file,
				       struct guestmem_consumer *consumer,
				       u64 offset, unsigned long npages,
				       u64 addr, void *priv)
{
	struct inode *inode = file_inode(file);
	u64 size = (u64)npages << PAGE_SHIFT;
	struct guestmem_binding *binding;
	struct guestmem *gm;
	int ret;

	if (!guestmem_file(file))
		return ERR_PTR(-EINVAL);
	gm = guestmem_owned(inode);
	if (IS_ERR(gm))
		return ERR_CAST(gm);
	if (!PAGE_ALIGNED(offset) || !npages || npages > ULONG_MAX >> PAGE_SHIFT ||
	    offset + size < offset || offset + size > i_size_read(inode))
		return ERR_PTR(-EINVAL);

	binding = kzalloc(sizeof(*binding), GFP_KERNEL_ACCOUNT);
	if (!binding)
		return ERR_PTR(-ENOMEM);
	binding->gm = gm;
	binding->consumer = consumer;
	binding->addr = addr;
	binding->priv = priv;
	binding->node.start = offset >> PAGE_SHIFT;
	binding->node.last = binding->node.start + npages - 1;

	filemap_invalidate_lock(inode->i_mapping);
	ret = guestmem_may_bind(gm, consumer, binding->node.start, binding->node.last);
	if (!ret)
		ret = guestmem_claim(gm, binding);
	if (!ret) {
		binding->file = get_file(file);
		guestmem_insert(gm, binding);
		trace_guestmem_bind(inode, binding->node.start, binding->node.last, addr,
				    consumer->id);
	}
	filemap_invalidate_unlock(inode->i_mapping);

	if (ret) {
		kfree(binding);
		return ERR_PTR(ret);
	}
	return binding;
}
EXPORT_SYMBOL_GPL(guestmem_bind);

/* Take @binding out of the file's; with @abort as if it had never been made. */
static void guestmem_drop_binding(struct guestmem_binding *binding, bool abort)
{
	struct guestmem *gm = binding->gm;
	struct address_space *mapping = gm->inode->i_mapping;

	filemap_invalidate_lock(mapping);
	down_write(&gm->bind_lock);
	interval_tree_remove(&binding->node, &gm->bindings);
	WRITE_ONCE(gm->nr_bindings, gm->nr_bindings - 1);
	up_write(&gm->bind_lock);
	if (abort && binding->claimed)
		guestmem_unclaim(gm);
	trace_guestmem_unbind(gm->inode, binding->node.start, binding->node.last,
			      binding->addr, binding->consumer->id);
	guestmem_check(gm);
	filemap_invalidate_unlock(mapping);

	guestmem_stat_bindings(-1);
	fput(binding->file);
	kfree(binding);
}

/**
 * guestmem_abort_bind - undo guestmem_bind()
 * @binding: the binding; freed
 *
 * For a consumer that fails after it has bound a file and before it has asked
 * for a page.  If the file was nobody's before, it is nobody's again: the
 * consumer has made no other binding of it since.
 *
 * Context: Process context, may sleep.  Takes invalidate_lock.  Cannot fail.
 */
void guestmem_abort_bind(struct guestmem_binding *binding)
{
	guestmem_drop_binding(binding, true);
}
EXPORT_SYMBOL_GPL(guestmem_abort_bind);

/**
 * guestmem_unbind - take a range of a guest file back from a consumer
 * @binding: the binding; freed
 *
 * The consumer has no mapping of the range left, and nobody is or will be in a
 * guestmem function with @binding.  If the file descriptor is closed and this
 * was the last binding, the memory goes too.
 *
 * Context: Process context, may sleep.  Takes invalidate_lock.  Cannot fail.
 */
void guestmem_unbind(struct guestmem_binding *binding)
{
	guestmem_drop_binding(binding, false);
}
EXPORT_SYMBOL_GPL(guestmem_unbind);

static pgoff_t guestmem_index(const struct guestmem_binding *binding, u64 addr)
{
	return addr - binding->addr + binding->node.start;
}

/**
 * guestmem_max_order - largest block that one mapping may cover
 * @binding: the binding
 * @addr: an address in it
 * @order: that the memory would allow, order of its folio for example
 *
 * A block of order o is 1 << o pages that start at a multiple of 1 << o, in the
 * file as well as in the consumer's addresses.
 *
 * Context: Any.  The binding must not go away.
 * Return: The largest of the consumer's orders, at most @order, whose block around
 * @addr is inside of the binding.
 */
unsigned int guestmem_max_order(struct guestmem_binding *binding, u64 addr,
				unsigned int order)
{
	unsigned int top = min(order, BITS_PER_LONG - 1U);
	unsigned long orders = binding->consumer->ops->orders & GENMASK(top, 0);
	pgoff_t index = guestmem_index(binding, addr);

	for (; orders; orders &= ~BIT(order)) {
		pgoff_t first;

		order = __fls(orders);
		first = round_down(index, 1UL << order);
		/* the same distance to a block's start on both sides */
		if ((addr ^ index) & ((1UL << order) - 1))
			continue;
		if (first >= binding->node.start &&
		    first + (1UL << order) - 1 <= binding->node.last)
			return order;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(guestmem_max_order);

/*
 * The largest block around @addr, of one of the consumer's orders up to @order, that no
 * memory error is in; -EHWPOISON if there is one in the page itself.
 */
static int guestmem_good_order(struct guestmem_binding *binding, struct folio *folio,
			       u64 addr, unsigned int *order)
{
	pgoff_t index = guestmem_index(binding, addr);
	unsigned int block = min(*order, folio_order(folio));

	for (;; block--) {
		block = guestmem_max_order(binding, addr, block);
		if (!guestmem_poisoned(binding->gm, folio, round_down(index, 1UL << block),
				       1UL << block))
			break;
		if (!block)
			return -EHWPOISON;
	}
	*order = block;
	return 0;
}

/*
 * Have the consumer prepare what it has not had of a block: all of it at once, or
 * else page by page, noting down each, so that a failure leaves the truth behind.
 */
static int guestmem_prepare(struct guestmem_binding *binding, struct folio *folio,
			    u64 addr, unsigned long first, unsigned int order)
{
	unsigned long at = first, end = first + (1UL << order);
	unsigned long pfn = folio_pfn(folio);
	struct guestmem *gm = binding->gm;
	int ret = 0;

	if (!gm->ops->prepare)
		return 0;
	if (!guestmem_next_given(gm, folio, &at, end))
		return gm->ops->prepare(binding, addr, pfn + first, order);
	for (at = first; at < end && !ret; at++) {
		if (guestmem_given(gm, folio, at, 1))
			continue;
		ret = gm->ops->prepare(binding, addr + at - first, pfn + at, 0);
		if (!ret)
			guestmem_set_given(gm, folio, at, 1);
	}
	return ret;
}

/*
 * Give the block of @order around @addr to the consumer: zero what is a hole, have
 * it prepared, and note it down.  The folio is locked.
 */
static int guestmem_give(struct guestmem_binding *binding, struct folio *folio,
			 u64 addr, unsigned int order)
{
	unsigned long nr = 1UL << order;
	struct guestmem *gm = binding->gm;
	pgoff_t index = guestmem_index(binding, addr);
	unsigned long first = round_down(index, nr) - folio->index;
	int ret;

	if (guestmem_given(gm, folio, first, nr))
		return 0;
	ret = guestmem_fill(gm, folio, first, nr, false);
	if (!ret && order < folio_order(folio))
		ret = guestmem_map_reserve(gm, folio);
	if (!ret)
		ret = guestmem_prepare(binding, folio, round_down(addr, nr), first, order);
	if (!ret)
		guestmem_set_given(gm, folio, first, nr);
	return ret;
}

/**
 * guestmem_get_pfn - the memory behind a consumer address
 * @binding: the binding
 * @addr: address in it
 * @pfn: the page, with a reference for guestmem_put_pfn()
 * @order: the largest block around @addr that the consumer would map at once; on
 *	   return the largest that it may, see guestmem_max_order(); NULL for one page
 *
 * Allocates and zeroes what is not there: of the block, or of the folio if the
 * store does not know holes.  The reference is for the time until the mapping is
 * installed, no longer; see "mapping and invalidation" for what the consumer has to
 * check then.
 *
 * Context: Process context, may sleep.  Takes invalidate_lock shared.  The
 * binding must not go away.
 * Return: 0; -EINVAL if @addr is not in the binding; -EHWPOISON if the page has
 * a memory error; -ENOMEM; -EINTR if a signal came while much was being zeroed, and
 * then the next call goes on from there; what the consumer's prepare returned.
 */
int guestmem_get_pfn(struct guestmem_binding *binding, u64 addr,
		     unsigned long *pfn, unsigned int *order)
{
	struct address_space *mapping = binding->gm->inode->i_mapping;
	pgoff_t index = guestmem_index(binding, addr);
	unsigned int block;
	struct folio *folio;
	int ret;

	if (index < binding->node.start || index > binding->node.last)
		return -EINVAL;

	if (time_after(jiffies, READ_ONCE(binding->gm->last_fault)))
		WRITE_ONCE(binding->gm->last_fault, jiffies);
again:
	*pfn = 0;
	block = order ? *order : 0;
	filemap_invalidate_lock_shared(mapping);
	ret = guestmem_get_folio(binding->gm, index, 0, ULONG_MAX, &folio);
	if (ret)
		goto unlock;
	ret = guestmem_good_order(binding, folio, addr, &block) ?:
	      guestmem_give(binding, folio, addr, block);
	*pfn = folio_pfn(folio) + index - folio->index;
	folio_unlock(folio);
	if (ret)
		folio_put(folio);
unlock:
	filemap_invalidate_unlock_shared(mapping);
	if (guestmem_retry(binding->gm, index, ret))
		goto again;
	trace_guestmem_get_pfn(binding->gm->inode, index, addr, *pfn, block, ret);
	if (order)
		*order = block;
	guestmem_delay(GUESTMEM_DELAY_GET_PFN);
	return ret;
}
EXPORT_SYMBOL_GPL(guestmem_get_pfn);

/**
 * guestmem_put_pfn - drop the reference from guestmem_get_pfn()
 * @pfn: the page
 *
 * Context: Any.
 */
void guestmem_put_pfn(unsigned long pfn)
{
	put_page(pfn_to_page(pfn));
}
EXPORT_SYMBOL_GPL(guestmem_put_pfn);

/*
 * Hand one page that the guest has never had to @fn.  Page faults are off: they
 * would take mmap_lock inside invalidate_lock, and some other task may hold
 * mmap_lock and wait for us.  The source is pinned, so there is none to take,
 * but for a page table entry that is being changed right now.
 */
static int guestmem_populate_locked(struct guestmem_binding *binding, u64 addr,
				    void __user *src, guestmem_populate_fn fn,
				    void *arg)
{
	struct guestmem *gm = binding->gm;
	pgoff_t index = guestmem_index(binding, addr);
	struct folio *folio;
	unsigned long first;
	int ret;

	rwsem_assert_held_write(&gm->inode->i_mapping->invalidate_lock);
	do {
		guestmem_settle(gm, index, index + 1);
		ret = guestmem_get_folio(gm, index, 0, ULONG_MAX, &folio);
	} while (ret > 0);
	if (ret)
		return ret;
	first = index - folio->index;
	if (guestmem_poisoned(gm, folio, index, 1))
		ret = -EHWPOISON;
	else if (guestmem_given(gm, folio, first, 1))
		ret = -EEXIST;
	else
		ret = guestmem_fill(gm, folio, first, 1, false) ?:
		      guestmem_map_reserve(gm, folio);
	if (!ret) {
		pagefault_disable();
		ret = fn(binding, addr, folio_pfn(folio) + first, src, 0, arg);
		pagefault_enable();
		if (!ret)
			guestmem_set_given(gm, folio, first, 1);
		else
			/* @fn may have written to it */
			clear_highpage(folio_page(folio, first));
	}
	folio_unlock(folio);
	folio_put(folio);
	return ret;
}

/* a source that stays away this often is not going to come back */
#define GUESTMEM_POPULATE_TRIES	8

static int guestmem_populate_page(struct guestmem_binding *binding, u64 addr,
				  void __user *src, guestmem_populate_fn fn,
				  void *arg)
{
	struct address_space *mapping = binding->gm->inode->i_mapping;
	int tries = GUESTMEM_POPULATE_TRIES;
	struct page *page = NULL;
	int ret;

	do {
		/* before invalidate_lock: this takes mmap_lock */
		if (src) {
			ret = pin_user_pages_fast((unsigned long)src, 1, 0, &page);
			if (ret != 1)
				return ret < 0 ? ret : -EFAULT;
		}
		filemap_invalidate_lock(mapping);
		ret = guestmem_populate_locked(binding, addr, src, fn, arg);
		filemap_invalidate_unlock(mapping);
		if (src)
			unpin_user_page(page);
	} while (ret == -EFAULT && src && --tries);
	return ret;
}

/**
 * guestmem_populate - fill guest memory before the guest runs
 * @binding: the binding
 * @addr: first address, in the binding
 * @src: source in user space, page aligned, or NULL if @fn needs none
 * @npages: how many pages; the end of the binding ends it as well
 * @fn: called for each page, in order, with the page and its source, with
 *	invalidate_lock and the folio lock held and page faults disabled; it
 *	returns -EFAULT if the source is not there, and is called again then,
 *	with a page that reads as zero.  A page that it fails with is the host's
 * @arg: for @fn
 *
 * For consumers whose pages take their first content through the consumer's own
 * means, encryption and measuring for example, and are prepared that way.
 *
 * Context: Process context, may sleep.  Takes mmap_lock, then invalidate_lock.
 * Return: Number of pages done if there is any; else -EINTR for a pending
 * signal, -EEXIST if the guest has had the page already, -EINVAL, -EFAULT,
 * -EHWPOISON, -ENOMEM, or what @fn returned.
 */
long guestmem_populate(struct guestmem_binding *binding, u64 addr,
		       void __user *src, long npages,
		       guestmem_populate_fn fn, void *arg)
{
	pgoff_t index = guestmem_index(binding, addr);
	long done = 0;
	int ret = 0;

	if (npages < 0 || index < binding->node.start || index > binding->node.last)
		return -EINVAL;
	npages = min_t(unsigned long, npages, binding->node.last - index + 1);
	for (; done < npages && !ret; done++) {
		void __user *from = src ? src + done * PAGE_SIZE : NULL;

		if (signal_pending(current))
			ret = -EINTR;
		else
			ret = guestmem_populate_page(binding, addr + done, from, fn, arg);
		if (ret)
			break;
		cond_resched();
	}
	return done ?: ret;
}
EXPORT_SYMBOL_GPL(guestmem_populate);
