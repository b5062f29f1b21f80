// SPDX-License-Identifier: GPL-2.0
/*
 * Tables for later: an operation reserves what it may need before it begins, and takes
 * it while nothing can be allocated.
 *
 * A reservation is a number.  The pool has at least as many tables as are reserved, so
 * taking one cannot fail.  What an operation did not need stays in the pool, up to
 * SEPT_POOL_MAX, and most operations need nothing: to reserve costs an allocation only
 * after others have used something up.
 */
#include <kunit/static_stub.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "sept_mirror.h"

/* unreserved tables that are kept */
#define SEPT_POOL_MAX	32

void sept_free_table(struct sept_table *table)
{
	free_page((unsigned long)table->entries);
	__free_page(pfn_to_page(table->pfn));
	kfree(table);
}

static_assert(sizeof(struct sept_table) <= SEPT_TABLE_ALIGN);

/* Not static, so that tests can let it fail. */
struct sept_table *sept_alloc_table(gfp_t gfp)
{
	struct sept_table *table;
	struct page *page;

	KUNIT_STATIC_STUB_REDIRECT(sept_alloc_table, gfp);
	/* a power of two, which kmalloc() aligns to itself */
	table = kzalloc(SEPT_TABLE_ALIGN, gfp);
	if (!table)
		return NULL;
	table->entries = (u64 *)get_zeroed_page(gfp);
	page = alloc_page(gfp);
	if (table->entries && page) {
		table->pfn = page_to_pfn(page);
		return table;
	}
	if (page)
		__free_page(page);
	free_page((unsigned long)table->entries);
	kfree(table);
	return NULL;
}

/* A table that is empty, and whose page is the host's. */
void sept_give(struct sept *sept, struct sept_table *table)
{
	spin_lock(&sept->pool_lock);
	list_add(&table->node, &sept->pool);
	sept->nr_pool++;
	spin_unlock(&sept->pool_lock);
}

/* One of those that @reserve has reserved. */
struct sept_table *sept_take(struct sept_reserve *reserve)
{
	struct sept *sept = reserve->sept;
	struct sept_table *table;

	/* too few were reserved: a bug, but not one to write to nowhere for */
	if (WARN_ON_ONCE(!reserve->nr))
		return sept_alloc_table(GFP_KERNEL | __GFP_NOFAIL);
	spin_lock(&sept->pool_lock);
	table = list_first_entry(&sept->pool, struct sept_table, node);
	list_del(&table->node);
	reserve->nr--;
	sept->nr_reserved--;
	sept->nr_pool--;
	spin_unlock(&sept->pool_lock);
	return table;
}

/* Promise @nr tables if they are there, or say how many are missing. */
static unsigned int sept_promise(struct sept *sept, unsigned int nr)
{
	unsigned int wanted, missing = 0;

	spin_lock(&sept->pool_lock);
	wanted = sept->nr_reserved + nr;
	if (wanted <= sept->nr_pool)
		sept->nr_reserved = wanted;
	else
		missing = wanted - sept->nr_pool;
	spin_unlock(&sept->pool_lock);
	return missing;
}

/**
 * sept_reserve - make sure that an operation cannot fail for lack of tables
 * @sept: the S-EPT
 * @reserve: filled in; to be given to sept_unreserve() also if this fails
 * @nr: how many it can need
 * @gfp: how to allocate what is missing; with __GFP_NOFAIL this does not fail
 *
 * Context: Process context.  The lock is not held.
 * Return: 0 or -ENOMEM.
 */
int sept_reserve(struct sept *sept, struct sept_reserve *reserve, unsigned int nr, gfp_t gfp)
{
	struct sept_table *table;
	unsigned int missing;

	*reserve = (struct sept_reserve) { .sept = sept };
	while ((missing = sept_promise(sept, nr))) {
		for (; missing; missing--) {
			table = sept_alloc_table(gfp);
			if (!table)
				return -ENOMEM;
			sept_give(sept, table);
		}
	}
	reserve->nr = nr;
	return 0;
}

/* A table that the pool has no use for, or NULL. */
static struct sept_table *sept_surplus(struct sept *sept, unsigned int keep)
{
	struct sept_table *table = NULL;

	spin_lock(&sept->pool_lock);
	if (sept->nr_pool > sept->nr_reserved + keep) {
		table = list_first_entry(&sept->pool, struct sept_table, node);
		list_del(&table->node);
		sept->nr_pool--;
	}
	spin_unlock(&sept->pool_lock);
	return table;
}

static void sept_trim(struct sept *sept, unsigned int keep)
{
	struct sept_table *table;

	while ((table = sept_surplus(sept, keep)))
		sept_free_table(table);
}

/**
 * sept_unreserve - the operation is over
 * @reserve: from sept_reserve(), what is left of it
 *
 * Context: Any.
 */
void sept_unreserve(struct sept_reserve *reserve)
{
	struct sept *sept = reserve->sept;

	spin_lock(&sept->pool_lock);
	sept->nr_reserved -= reserve->nr;
	spin_unlock(&sept->pool_lock);
	reserve->nr = 0;
	sept_trim(sept, SEPT_POOL_MAX);
}

/**
 * sept_destroy - the S-EPT has no pages any more, and goes
 * @sept: the S-EPT, after sept_reclaim()
 */
void sept_destroy(struct sept *sept)
{
	VM_WARN_ON_ONCE(sept->nr_reserved);
	sept_trim(sept, 0);
	free_page((unsigned long)sept->root.entries);
	sept->root.entries = NULL;
}
