// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of guest memory, with a consumer that is no virtual machine: bindings,
 * invalidation, and what becomes of pages.  Moves and memory errors have suites of their
 * own.
 */
#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/shmem_fs.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "mock.h"

static int try_bind(struct mock *mock, struct file *file, u64 offset,
		    unsigned long npages)
{
	struct guestmem_binding *binding;

	binding = guestmem_bind(file, &mock->consumer, offset, npages, MOCK_BASE, NULL);
	if (IS_ERR(binding))
		return PTR_ERR(binding);
	guestmem_unbind(binding);
	return 0;
}

/* R2, C15: what must not be bound, and that nothing is left of the attempt */
static void bind_rules(struct kunit *test)
{
	struct mock *mock = mock_new(test, &mock_ops), *other = mock_new(test, &mock_ops);
	struct file *file = mock_file(test, 16, 0);
	struct guestmem_binding *binding;
	struct file *plain;

	KUNIT_EXPECT_EQ(test, -EINVAL, try_bind(mock, file, 1, 4));
	KUNIT_EXPECT_EQ(test, -EINVAL, try_bind(mock, file, 0, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, try_bind(mock, file, 0, 17));
	KUNIT_EXPECT_EQ(test, -EINVAL, try_bind(mock, file, 16 * PAGE_SIZE, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, try_bind(mock, file, -PAGE_SIZE, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, try_bind(mock, file, -PAGE_SIZE, 2));
	KUNIT_EXPECT_EQ(test, -EINVAL, try_bind(mock, file, 0, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, -EINVAL, try_bind(mock, file, 1ULL << 63, 1));
	/* a failed attempt does not make the file anybody's */
	KUNIT_EXPECT_EQ(test, 0, mock_gm(file)->vm_id);

	binding = mock_bind(test, mock, file, 4, 4, MOCK_BASE);
	KUNIT_EXPECT_EQ(test, -EEXIST, try_bind(mock, file, 0, 5));
	KUNIT_EXPECT_EQ(test, -EEXIST, try_bind(mock, file, 7 * PAGE_SIZE, 1));
	KUNIT_EXPECT_EQ(test, -EBUSY, try_bind(other, file, 8 * PAGE_SIZE, 1));
	KUNIT_EXPECT_EQ(test, 0, try_bind(mock, file, 0, 4));
	KUNIT_EXPECT_EQ(test, 0, try_bind(mock, file, 8 * PAGE_SIZE, 8));
	KUNIT_EXPECT_EQ(test, 1, mock_gm(file)->nr_bindings);
	mock_unbind(test, binding);
	KUNIT_EXPECT_EQ(test, 0, mock_gm(file)->nr_bindings);
	/* for life */
	KUNIT_EXPECT_EQ(test, -EBUSY, try_bind(other, file, 0, 1));
	KUNIT_EXPECT_EQ(test, 0, try_bind(mock, file, 0, 16));

	plain = mock_keep_file(test, shmem_file_setup("plain", PAGE_SIZE, VM_NORESERVE));
	KUNIT_EXPECT_EQ(test, -EINVAL, try_bind(mock, plain, 0, 1));
	mock_put_file(test, plain);
	mock_put_file(test, file);
}

/* C17: a bind that its consumer takes back has not made the file anybody's */
static void bind_aborted(struct kunit *test)
{
	struct mock *mock = mock_new(test, &mock_ops), *other = mock_new(test, &mock_ops);
	struct file *file = mock_file(test, 4, 0);
	struct guestmem_binding *binding;

	mock_abort_bind(test, mock_bind(test, mock, file, 0, 4, MOCK_BASE));
	KUNIT_EXPECT_EQ(test, 0, mock_gm(file)->nr_bindings);
	binding = mock_bind(test, other, file, 0, 2, MOCK_BASE);
	mock_abort_bind(test, mock_bind(test, other, file, 2, 2, MOCK_BASE));
	KUNIT_EXPECT_EQ(test, -EBUSY, try_bind(mock, file, 2 * PAGE_SIZE, 2));
	mock_unbind(test, binding);
	mock_put_file(test, file);
}

/* a file that was made for one guest is no other's */
static void bind_born_bound(struct kunit *test)
{
	struct mock *mock = mock_new(test, &mock_ops), *other = mock_new(test, &mock_ops);
	struct file *file;

	file = mock_keep_file(test, guestmem_create("born", PAGE_SIZE, 0, &mock->consumer));
	KUNIT_EXPECT_EQ(test, -EINVAL, try_bind(other, file, 0, 1));
	KUNIT_EXPECT_EQ(test, 0, try_bind(mock, file, 0, 1));
	mock_put_file(test, file);
}

/* design, invariants 3 and 6: zeroed once, prepared once, no reference kept */
static void get_pfn(struct kunit *test)
{
	struct mock *mock = mock_new(test, &mock_ops);
	struct file *file = mock_file(test, 8, 0);
	struct guestmem_binding *binding = mock_bind(test, mock, file, 2, 4, MOCK_BASE);
	unsigned long pfn, again;
	unsigned int order = 9;
	void *kaddr;

	KUNIT_EXPECT_EQ(test, -EINVAL, guestmem_get_pfn(binding, MOCK_BASE - 1, &pfn, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, guestmem_get_pfn(binding, MOCK_BASE + 4, &pfn, NULL));

	mock->fail_prepare = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, guestmem_get_pfn(binding, MOCK_BASE, &pfn, NULL));
	KUNIT_EXPECT_EQ(test, 0, mock->prepared);
	mock->fail_prepare = 0;

	KUNIT_ASSERT_EQ(test, 0, guestmem_get_pfn(binding, MOCK_BASE, &pfn, &order));
	KUNIT_EXPECT_EQ(test, 0, order);
	KUNIT_EXPECT_EQ(test, 1, mock->prepared);
	KUNIT_EXPECT_EQ(test, 2, page_folio(pfn_to_page(pfn))->index);
	kaddr = kmap_local_pfn(pfn);
	KUNIT_EXPECT_NULL(test, memchr_inv(kaddr, 0, PAGE_SIZE));
	memset(kaddr, 0x5a, PAGE_SIZE);
	kunmap_local(kaddr);

	KUNIT_ASSERT_EQ(test, 0, guestmem_get_pfn(binding, MOCK_BASE, &again, NULL));
	KUNIT_EXPECT_EQ(test, pfn, again);
	KUNIT_EXPECT_EQ(test, 1, mock->prepared);
	kaddr = kmap_local_pfn(pfn);
	KUNIT_EXPECT_NULL(test, memchr_inv(kaddr, 0x5a, PAGE_SIZE));
	kunmap_local(kaddr);
	guestmem_put_pfn(again);
	guestmem_put_pfn(pfn);

	/* given pages are released when they go, others are not */
	KUNIT_EXPECT_EQ(test, 0, vfs_fallocate(file, 0, 0, 8 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 0, 8));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&mock_released));
	KUNIT_EXPECT_EQ(test, 0, file_inode(file)->i_mapping->nrpages);
	/* and a new page is a new page: prepared again, and zero again */
	KUNIT_ASSERT_EQ(test, 0, guestmem_get_pfn(binding, MOCK_BASE, &pfn, NULL));
	KUNIT_EXPECT_EQ(test, 2, mock->prepared);
	kaddr = kmap_local_pfn(pfn);
	KUNIT_EXPECT_NULL(test, memchr_inv(kaddr, 0, PAGE_SIZE));
	kunmap_local(kaddr);
	guestmem_put_pfn(pfn);

	mock_unbind(test, binding);
	mock_put_file(test, file);
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&mock_released));
}

struct order_case {
	pgoff_t index;		/* file index of the binding */
	unsigned long npages;
	u64 base;		/* address of the binding */
	u64 at;			/* offset of the address asked for */
	unsigned int have;	/* order of the folio */
	unsigned int want;
};

static const struct order_case order_cases[] = {
	/* everything aligned: as the folio is */
	{ 0, 512, 0, 0, 9, 9 },
	{ 0, 512, 0, 511, 9, 9 },
	{ 0, 262144, 0, 262143, 18, 18 },
	{ 512, 512, 1024, 17, 9, 9 },
	/* the folio sticks out at the start, and at the end */
	{ 1, 511, 1, 1, 9, 1 },
	{ 1, 511, 1, 255, 9, 8 },
	{ 1, 511, 1, 0, 9, 0 },
	{ 0, 511, 0, 510, 9, 0 },
	{ 0, 511, 0, 255, 9, 8 },
	{ 0, 511, 0, 256, 9, 7 },
	/* the guest's alignment differs from the file's */
	{ 0, 1024, 1, 600, 9, 0 },
	{ 0, 1024, 256, 600, 9, 8 },
	{ 512, 1024, 0, 600, 9, 9 },
	/* a 1G folio behind a binding that is aligned to 2M */
	{ 512, 262144, 512, 0, 18, 9 },
	{ 0, 524288, 512, 300000, 18, 9 },
	/* orders between and above */
	{ 0, 64, 0, 33, 9, 6 },
	{ 0, 262144, 0, 70000, 18, 18 },
	{ 0, 131072, 0, 70000, 18, 17 },
	{ 0, 512, 0, 0, 4, 4 },
};

/* R5, R6: the largest block inside of the binding and aligned on both sides */
static void max_order(struct kunit *test)
{
	static const struct guestmem_consumer_ops sizes = { .orders = BIT(0) | BIT(9) };
	struct guestmem_consumer consumer = { .ops = &mock_ops };
	struct guestmem_binding binding = { .consumer = &consumer };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(order_cases); i++) {
		const struct order_case *c = &order_cases[i];

		binding.node.start = c->index;
		binding.node.last = c->index + c->npages - 1;
		binding.addr = c->base;
		KUNIT_EXPECT_EQ_MSG(test, c->want,
				    guestmem_max_order(&binding, c->base + c->at, c->have),
				    "case %zu", i);
	}
	/* and what the consumer has no size for is rounded down */
	consumer.ops = &sizes;
	binding.node.start = 0;
	binding.node.last = 1023;
	binding.addr = 0;
	KUNIT_EXPECT_EQ(test, 9, guestmem_max_order(&binding, 600, 10));
	KUNIT_EXPECT_EQ(test, 0, guestmem_max_order(&binding, 600, 8));
}

/* C2, C3, C4: one pair for all bindings, around the removal, clamped */
static void invalidate_bracket(struct kunit *test)
{
	struct mock *mock = mock_new(test, &mock_ops);
	struct file *file = mock_file(test, 32, 0);
	struct guestmem_binding *low = mock_bind(test, mock, file, 4, 4, MOCK_BASE);
	struct guestmem_binding *high = mock_bind(test, mock, file, 12, 8, MOCK_BASE + 20);

	KUNIT_EXPECT_EQ(test, 0, vfs_fallocate(file, 0, 0, 32 * PAGE_SIZE));

	/* beside and between the bindings: nobody is told */
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 0, 4));
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 8, 4));
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 20, 12));
	KUNIT_EXPECT_EQ(test, 0, mock->starts);

	/* first and last page */
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 0, 5));
	KUNIT_EXPECT_EQ(test, MOCK_BASE, mock->first);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 1, mock->end);
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 7, 5));
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 3, mock->first);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 4, mock->end);
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 19, 1));
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 27, mock->first);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 28, mock->end);
	KUNIT_EXPECT_EQ(test, 3, mock->starts);

	/* both at once; the pages go between start and end */
	KUNIT_EXPECT_EQ(test, 0, vfs_fallocate(file, 0, 0, 32 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 5, 10));
	KUNIT_EXPECT_EQ(test, 4, mock->starts);
	KUNIT_EXPECT_EQ(test, 2, mock->bindings);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 1, mock->first);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 23, mock->end);
	KUNIT_EXPECT_EQ(test, 10, mock->present);
	KUNIT_EXPECT_EQ(test, 0, mock->present_end);
	KUNIT_EXPECT_EQ(test, 0, mock->in_progress);

	/* an end beyond all indices */
	KUNIT_EXPECT_EQ(test, 0, vfs_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       18 * PAGE_SIZE,
					       round_down(MAX_LFS_FILESIZE, PAGE_SIZE) -
					       18 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 26, mock->first);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 28, mock->end);

	mock_unbind(test, low);
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 4, 4));
	KUNIT_EXPECT_EQ(test, 5, mock->starts);
	mock_unbind(test, high);
	mock_put_file(test, file);
}

/* C5: a binding keeps the memory; the last of file and bindings frees it */
static void lifetime(struct kunit *test)
{
	struct mock *mock = mock_new(test, &mock_ops);
	struct file *file = mock_file(test, 4, 0);
	struct guestmem_binding *a = mock_bind(test, mock, file, 0, 2, MOCK_BASE);
	struct guestmem_binding *b = mock_bind(test, mock, file, 2, 2, MOCK_BASE + 2);

	KUNIT_EXPECT_EQ(test, 0, mock_fault(mock, a, MOCK_BASE));
	KUNIT_EXPECT_EQ(test, 0, mock_fault(mock, b, MOCK_BASE + 2));
	mock_put_file(test, file);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&mock_released));
	KUNIT_EXPECT_EQ(test, 0, mock_fault(mock, b, MOCK_BASE + 3));
	mock_unbind(test, a);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&mock_released));
	KUNIT_EXPECT_EQ(test, 0, mock_fault(mock, b, MOCK_BASE + 2));
	mock_unbind(test, b);
	KUNIT_EXPECT_EQ(test, 3, atomic_read(&mock_released));
}

/* R19, C11: unmapped, kept, and reported; the neighbours stay usable */
static void memory_error(struct kunit *test)
{
	struct mock *mock = mock_new(test, &mock_ops);
	struct file *file = mock_file(test, 4, 0);
	struct guestmem_binding *binding = mock_bind(test, mock, file, 0, 4, MOCK_BASE);
	struct address_space *mapping = file->f_mapping;
	struct folio *folio;
	int i;

	for (i = 0; i < 4; i++)
		KUNIT_ASSERT_EQ(test, 0, mock_fault(mock, binding, MOCK_BASE + i));
	folio = filemap_lock_folio(mapping, 1);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	SetPageHWPoison(folio_page(folio, 0));
	KUNIT_EXPECT_EQ(test, 0, mapping->a_ops->error_remove_folio(mapping, folio));
	folio_unlock(folio);
	guestmem_memory_failure(folio_pfn(folio));

	KUNIT_EXPECT_EQ(test, 1, mock->starts);
	KUNIT_EXPECT_EQ(test, 0, mock->in_progress);
	KUNIT_EXPECT_NE(test, 0, mock->pte[0]);
	KUNIT_EXPECT_EQ(test, 0, mock->pte[1]);
	KUNIT_EXPECT_NE(test, 0, mock->pte[2]);
	KUNIT_EXPECT_EQ(test, -EHWPOISON, mock_fault(mock, binding, MOCK_BASE + 1));
	KUNIT_EXPECT_EQ(test, 0, mock_fault(mock, binding, MOCK_BASE + 2));
	/* still in the file */
	KUNIT_EXPECT_PTR_EQ(test, (void *)folio, xa_load(&mapping->i_pages, 1));

	ClearPageHWPoison(folio_page(folio, 0));
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, 0, mock_fault(mock, binding, MOCK_BASE + 1));
	mock_unbind(test, binding);
	mock_put_file(test, file);
}

struct populate_args {
	struct kunit *test;
	int calls;
	int faults;	/* -EFAULT this often first */
	int error;	/* after all of the page has been written */
};

static int populate_one(struct guestmem_binding *binding, u64 addr,
			unsigned long pfn, void __user *src, unsigned int order,
			void *arg)
{
	struct populate_args *args = arg;
	unsigned long left;
	void *kaddr;

	args->calls++;
	rwsem_assert_held_write(&binding->gm->inode->i_mapping->invalidate_lock);
	KUNIT_EXPECT_TRUE(args->test, pagefault_disabled());
	if (args->faults) {
		args->faults--;
		return -EFAULT;
	}
	kaddr = kmap_local_pfn(pfn);
	left = copy_from_user(kaddr, src, PAGE_SIZE);
	kunmap_local(kaddr);
	if (left)
		return -EFAULT;
	if (!args->error)
		mock_own(addr, pfn);
	return args->error;
}

/* C12: the source is made present before invalidate_lock is taken */
static void populate(struct kunit *test)
{
	struct populate_args args = { .test = test };
	struct mock *mock = mock_new(test, &mock_ops);
	struct file *file = mock_file(test, 8, 0);
	struct guestmem_binding *binding = mock_bind(test, mock, file, 0, 4, MOCK_BASE);
	char __user *src = (char __user *)(unsigned long)test->priv;
	unsigned long pfn;
	char *kaddr;

	/* the second page has never been touched: it is faulted in by the pin */
	KUNIT_ASSERT_EQ(test, 0, put_user('x', src));
	KUNIT_EXPECT_EQ(test, 2, guestmem_populate(binding, MOCK_BASE, src, 2,
						   populate_one, &args));
	KUNIT_EXPECT_EQ(test, 2, args.calls);
	/* not prepared a second time, and the content is the source's */
	KUNIT_ASSERT_EQ(test, 0, guestmem_get_pfn(binding, MOCK_BASE, &pfn, NULL));
	KUNIT_EXPECT_EQ(test, 0, mock->prepared);
	kaddr = kmap_local_pfn(pfn);
	KUNIT_EXPECT_EQ(test, 'x', kaddr[0]);
	kunmap_local(kaddr);
	guestmem_put_pfn(pfn);

	KUNIT_EXPECT_EQ(test, -EEXIST, guestmem_populate(binding, MOCK_BASE, src, 1,
							 populate_one, &args));
	KUNIT_EXPECT_EQ(test, -EFAULT, guestmem_populate(binding, MOCK_BASE + 2,
							 (void __user *)PAGE_SIZE,
							 1, populate_one, &args));
	KUNIT_EXPECT_EQ(test, -EINVAL, guestmem_populate(binding, MOCK_BASE + 4, src, 1,
							 populate_one, &args));
	/* a source that goes away and comes back, and one that stays away */
	args = (struct populate_args){ .test = test, .faults = 3 };
	KUNIT_EXPECT_EQ(test, 1, guestmem_populate(binding, MOCK_BASE + 2, src, 1,
						   populate_one, &args));
	KUNIT_EXPECT_EQ(test, 4, args.calls);
	args = (struct populate_args){ .test = test, .faults = 1000 };
	KUNIT_EXPECT_EQ(test, -EFAULT, guestmem_populate(binding, MOCK_BASE + 3, src, 1,
							 populate_one, &args));
	/* invariant 6: what a failed attempt has left in the page is not seen */
	args = (struct populate_args){ .test = test, .error = -EIO };
	KUNIT_EXPECT_EQ(test, -EIO, guestmem_populate(binding, MOCK_BASE + 3, src, 1,
						      populate_one, &args));
	KUNIT_ASSERT_EQ(test, 0, guestmem_get_pfn(binding, MOCK_BASE + 3, &pfn, NULL));
	kaddr = kmap_local_pfn(pfn);
	KUNIT_EXPECT_NULL(test, memchr_inv(kaddr, 0, PAGE_SIZE));
	kunmap_local(kaddr);
	guestmem_put_pfn(pfn);
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 3, 1));
	/* the end of the binding is the end */
	args = (struct populate_args){ .test = test };
	KUNIT_EXPECT_EQ(test, 1, guestmem_populate(binding, MOCK_BASE + 3, src, 4,
						   populate_one, &args));

	mock_unbind(test, binding);
	mock_put_file(test, file);
}

/* a store that has memory for the first five pages only */
static int failing_get_folio(struct guestmem *gm, pgoff_t index, pgoff_t start,
			     pgoff_t end, struct folio **foliop)
{
	if (index >= 5)
		return -ENOMEM;
	/* a fault has been faster with page 3 */
	if (index == 4)
		guestmem_set_mark(gm, 3, GUESTMEM_MARK_GIVEN);
	return guestmem_shmem_store.get_folio(gm, index, start, end, foliop);
}

/* C10: what a failed fallocate() has added goes, everything else stays */
static void failed_fallocate(struct kunit *test)
{
	struct guestmem_store_ops store = guestmem_shmem_store;
	struct file *file = mock_file(test, 8, 0);
	struct xarray *pages = &file->f_mapping->i_pages;
	struct guestmem *gm = mock_gm(file);

	store.get_folio = failing_get_folio;
	KUNIT_EXPECT_EQ(test, 0, vfs_fallocate(file, 0, PAGE_SIZE, PAGE_SIZE));
	gm->store = &store;
	KUNIT_EXPECT_EQ(test, -ENOMEM, vfs_fallocate(file, 0, 0, 8 * PAGE_SIZE));
	gm->store = &guestmem_shmem_store;

	KUNIT_EXPECT_NULL(test, xa_load(pages, 0));
	KUNIT_EXPECT_NOT_NULL(test, xa_load(pages, 1));
	KUNIT_EXPECT_NULL(test, xa_load(pages, 2));
	KUNIT_EXPECT_NOT_NULL(test, xa_load(pages, 3));
	KUNIT_EXPECT_NULL(test, xa_load(pages, 4));
	KUNIT_EXPECT_EQ(test, 2, file->f_mapping->nrpages);
	/* no mark of the call is left, here or after a success */
	KUNIT_EXPECT_FALSE(test, xa_marked(pages, GUESTMEM_MARK_NEW));
	KUNIT_EXPECT_EQ(test, 0, vfs_fallocate(file, 0, 0, 8 * PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, xa_marked(pages, GUESTMEM_MARK_NEW));
	mock_put_file(test, file);
}

/* R5, R6, C9: a huge folio that is given in parts, and then punched in parts */
static void huge_in_parts(struct kunit *test)
{
	struct mock *mock = mock_new(test, &mock_ops);
	struct file *file = mock_file(test, 2 * HPAGE_PMD_NR, 0);
	struct guestmem_binding *low, *high;
	unsigned int order = HPAGE_PMD_ORDER;
	struct guestmem *gm = mock_gm(file);
	struct folio *folio;
	unsigned long pfn;

	/* two bindings share a folio; the one is aligned, the other is not */
	low = mock_bind(test, mock, file, 0, 256, MOCK_BASE);
	high = mock_bind(test, mock, file, 256, 1, MOCK_BASE + 1000);
	KUNIT_ASSERT_EQ(test, 0, guestmem_get_pfn(low, MOCK_BASE + 3, &pfn, &order));
	KUNIT_EXPECT_EQ(test, 8, order);
	guestmem_put_pfn(pfn);
	folio = xa_load(&file->f_mapping->i_pages, 0);
	if (folio_order(folio) != HPAGE_PMD_ORDER)
		kunit_skip(test, "no huge page to be had");
	KUNIT_EXPECT_EQ(test, 1 << order, mock->prepared);
	KUNIT_EXPECT_TRUE(test, guestmem_given(gm, folio, 0, 1 << order));
	KUNIT_EXPECT_FALSE(test, guestmem_given(gm, folio, 256, 1));

	order = HPAGE_PMD_ORDER;
	mock->prepared = 0;
	KUNIT_ASSERT_EQ(test, 0, guestmem_get_pfn(high, MOCK_BASE + 1000, &pfn, &order));
	KUNIT_EXPECT_EQ(test, 0, order);
	KUNIT_EXPECT_EQ(test, folio_pfn(folio) + 256, pfn);
	KUNIT_EXPECT_EQ(test, 1, mock->prepared);
	guestmem_put_pfn(pfn);

	/* a hole on the border splits it; only what was given is released */
	KUNIT_EXPECT_EQ(test, 0, mock_punch(file, 256, 2));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&mock_released));
	KUNIT_EXPECT_EQ(test, HPAGE_PMD_NR - 2, file->f_mapping->nrpages);
	KUNIT_EXPECT_EQ(test, pfn - 256, folio_pfn(xa_load(&file->f_mapping->i_pages, 0)));
	KUNIT_EXPECT_TRUE(test, guestmem_marked(gm, 3, GUESTMEM_MARK_GIVEN));
	KUNIT_EXPECT_FALSE(test, guestmem_marked(gm, 300, GUESTMEM_MARK_GIVEN));
	KUNIT_EXPECT_TRUE(test, xa_empty(&gm->maps));

	mock_unbind(test, low);
	mock_unbind(test, high);
	mock_put_file(test, file);
}

static bool page_is(struct folio *folio, unsigned long nr, int byte)
{
	void *kaddr = kmap_local_folio(folio, nr * PAGE_SIZE);
	bool is = !memchr_inv(kaddr, byte, PAGE_SIZE);

	kunmap_local(kaddr);
	return is;
}

/* invariant 6, C9: holes are zeroed once, when they are filled, and nothing else is */
static void holes(struct kunit *test)
{
	struct file *file = mock_file(test, HPAGE_PMD_NR, 0);
	struct guestmem *gm = mock_gm(file);
	unsigned long first = 0;
	struct folio *folio;
	int i;

	KUNIT_ASSERT_EQ(test, 0, vfs_fallocate(file, 0, 0, HPAGE_PMD_NR << PAGE_SHIFT));
	folio = filemap_lock_folio(file->f_mapping, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, folio);
	if (folio_order(folio) != HPAGE_PMD_ORDER)
		goto out;
	for (i = 0; i < HPAGE_PMD_NR; i++)
		memset(page_address(folio_page(folio, i)), 0x5a, PAGE_SIZE);

	guestmem_set_given(gm, folio, 0, HPAGE_PMD_NR);
	KUNIT_EXPECT_TRUE(test, guestmem_given(gm, folio, 0, HPAGE_PMD_NR));
	KUNIT_EXPECT_TRUE(test, xa_empty(&gm->maps));
	KUNIT_ASSERT_EQ(test, 0, guestmem_map_reserve(gm, folio));
	KUNIT_EXPECT_FALSE(test, guestmem_make_hole(gm, folio, 10, 5));
	KUNIT_EXPECT_FALSE(test, guestmem_make_hole(gm, folio, 500, 12));
	KUNIT_EXPECT_EQ(test, 10, guestmem_next_given(gm, folio, &first, HPAGE_PMD_NR));
	first += 10;
	KUNIT_EXPECT_EQ(test, 485, guestmem_next_given(gm, folio, &first, HPAGE_PMD_NR));
	KUNIT_EXPECT_EQ(test, 15, first);
	first = 500;
	KUNIT_EXPECT_EQ(test, 0, guestmem_next_given(gm, folio, &first, HPAGE_PMD_NR));

	/* part of a hole, and what is around it */
	KUNIT_EXPECT_EQ(test, 0, guestmem_fill(gm, folio, 0, 12, true));
	for (i = 0; i < 16; i++)
		KUNIT_EXPECT_EQ(test, i == 10 || i == 11, page_is(folio, i, 0));
	KUNIT_EXPECT_FALSE(test, guestmem_given(gm, folio, 10, 1));
	KUNIT_EXPECT_EQ(test, 0, guestmem_fill(gm, folio, 0, HPAGE_PMD_NR, true));
	for (i = 0; i < HPAGE_PMD_NR; i++)
		KUNIT_EXPECT_EQ(test, (i >= 10 && i < 15) || i >= 500, page_is(folio, i, 0));
	/* the map goes when the pages are all the same again */
	guestmem_set_given(gm, folio, 0, 256);
	KUNIT_EXPECT_FALSE(test, xa_empty(&gm->maps));
	guestmem_set_given(gm, folio, 256, 256);
	KUNIT_EXPECT_TRUE(test, xa_empty(&gm->maps));

	/* nothing but holes: the last one is told */
	KUNIT_ASSERT_EQ(test, 0, guestmem_map_reserve(gm, folio));
	KUNIT_EXPECT_FALSE(test, guestmem_make_hole(gm, folio, 0, 511));
	KUNIT_EXPECT_TRUE(test, guestmem_marked(gm, 0, GUESTMEM_MARK_GIVEN));
	KUNIT_EXPECT_TRUE(test, guestmem_make_hole(gm, folio, 511, 1));
	KUNIT_EXPECT_FALSE(test, guestmem_marked(gm, 0, GUESTMEM_MARK_GIVEN));
out:
	i = folio_order(folio);
	guestmem_map_drop(gm, 0);
	folio_unlock(folio);
	folio_put(folio);
	mock_put_file(test, file);
	if (i != HPAGE_PMD_ORDER)
		kunit_skip(test, "no huge page to be had");
}

struct race {
	struct mock *mock;
	struct guestmem_binding *binding;
	struct file *file;
	unsigned long faults;
	unsigned long retries;
	unsigned long lost;
};

/* A mapped page is in the file: seen with the page table locked. */
static void race_check(struct race *race, u64 addr)
{
	struct xarray *pages = &race->file->f_mapping->i_pages;
	unsigned long pfn;
	struct folio *folio;

	spin_lock(&race->mock->lock);
	pfn = race->mock->pte[addr - MOCK_BASE];
	folio = xa_load(pages, addr - MOCK_BASE);
	if (pfn && (!folio || folio_pfn(folio) != pfn))
		race->lost++;
	spin_unlock(&race->mock->lock);
}

static int race_fault(void *data)
{
	struct race *race = data;
	u64 addr;

	while (!kthread_should_stop()) {
		for (addr = MOCK_BASE; addr < MOCK_BASE + 8; addr++) {
			if (mock_fault(race->mock, race->binding, addr) == -EAGAIN)
				race->retries++;
			race->faults++;
			race_check(race, addr);
		}
		cond_resched();
	}
	return 0;
}

/* C2, C8: punch against faults; nothing leaves the file while it is mapped */
static void punch_against_fault(struct kunit *test)
{
	struct race race = { .mock = mock_new(test, &mock_ops), .file = mock_file(test, 8, 0) };
	struct task_struct *task;
	int i;

	race.binding = mock_bind(test, race.mock, race.file, 0, 8, MOCK_BASE);
	task = kthread_run(race_fault, &race, "guestmem-race");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (i = 0; i < 2000 || !READ_ONCE(race.faults); i++) {
		KUNIT_EXPECT_EQ(test, 0, mock_punch(race.file, i % 8, 8 - i % 8));
		cond_resched();
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, 0, race.lost);
	kunit_info(test, "%lu faults, %lu retried", race.faults, race.retries);
	mock_unbind(test, race.binding);
	mock_put_file(test, race.file);
}

static struct kunit_case guestmem_test_cases[] = {
	KUNIT_CASE(bind_rules),
	KUNIT_CASE(bind_aborted),
	KUNIT_CASE(bind_born_bound),
	KUNIT_CASE(get_pfn),
	KUNIT_CASE(max_order),
	KUNIT_CASE(invalidate_bracket),
	KUNIT_CASE(lifetime),
	KUNIT_CASE(memory_error),
	KUNIT_CASE(populate),
	KUNIT_CASE(failed_fallocate),
	KUNIT_CASE(huge_in_parts),
	KUNIT_CASE(holes),
	KUNIT_CASE_SLOW(punch_against_fault),
	{}
};

static struct kunit_suite guestmem_test_suite = {
	.name = "guestmem",
	.init = mock_init,
	.test_cases = guestmem_test_cases,
};

kunit_test_suite(guestmem_test_suite);

MODULE_DESCRIPTION("KUnit tests of guest memory");
MODULE_LICENSE("GPL");
