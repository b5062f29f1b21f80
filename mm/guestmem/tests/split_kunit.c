// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of huge folios of shmem that fall apart, by others who do not know what of
 * them is given, and that are put together again.
 */
#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/swap.h>

#include "../internal.h"
#include "mock.h"

/*
 * Folios that others have split
 */

/* As memory_failure() does it, who does not know of maps. */
static void split_behind(struct mock_guest *guest)
{
	struct folio *folio = filemap_lock_folio(guest->file->f_mapping, 0);

	KUNIT_ASSERT_FALSE(guest->test, IS_ERR(folio));
	KUNIT_EXPECT_EQ(guest->test, 0, split_folio(folio));
	folio_unlock(folio);
	folio_put(folio);
	lru_add_drain_all();
}

/* The first folio is split, and its pages are what they were: returns what. */
static struct mock_page *unsettle(struct mock_guest *guest)
{
	struct mock_page *before = mock_look(guest->test, guest->file, guest->npages);

	split_behind(guest);
	KUNIT_EXPECT_EQ(guest->test, 0, folio_order(mock_folio(guest->file, 0)));
	KUNIT_EXPECT_TRUE(guest->test, guestmem_unsettled(guest->gm,
							  mock_folio(guest->file, 0)));
	mock_expect_pages(guest, before, 0, guest->npages, MOCK_MAY_RESIZE);
	return before;
}

static void expect_settled(struct mock_guest *guest)
{
	KUNIT_EXPECT_FALSE(guest->test, guestmem_unsettled(guest->gm,
							   mock_folio(guest->file, 0)));
	KUNIT_EXPECT_TRUE(guest->test, xa_empty(&guest->gm->maps));
}

/* design, invariant 3: a fault prepares what is not given, and only that */
static void unsettled_fault(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);
	int prepared = guest->mock->prepared;
	struct mock_page *before = unsettle(guest);

	KUNIT_EXPECT_EQ(test, 0, mock_fault(guest->mock, guest->binding, MOCK_BASE + 5));
	KUNIT_EXPECT_EQ(test, prepared, guest->mock->prepared);
	expect_settled(guest);
	mock_expect_pages(guest, before, 0, guest->npages, MOCK_MAY_RESIZE);

	KUNIT_EXPECT_EQ(test, 0, mock_fault(guest->mock, guest->binding, MOCK_BASE + 100));
	KUNIT_EXPECT_EQ(test, prepared + 1, guest->mock->prepared);
	before[100].state = MOCK_GIVEN;
	before[100].owned = true;
	mock_expect_pages(guest, before, 0, guest->npages, MOCK_MAY_RESIZE);
}

/* C9: what is punched is released if it was given; what is not punched stays */
static void unsettled_punch(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);
	struct mock_page *before = unsettle(guest);

	/* of 2 to 5, 3 and 5 are given; of 250 to 259, 256 to 259 */
	KUNIT_EXPECT_EQ(test, 0, mock_punch(guest->file, 2, 4));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&mock_released));
	KUNIT_EXPECT_EQ(test, 0, mock_punch(guest->file, 250, 10));
	KUNIT_EXPECT_EQ(test, 6, atomic_read(&mock_released));
	expect_settled(guest);
	mock_expect_pages(guest, before, 0, 2, MOCK_MAY_RESIZE);
	mock_expect_pages(guest, before, 6, 250, MOCK_MAY_RESIZE);
	mock_expect_pages(guest, before, 260, guest->npages, MOCK_MAY_RESIZE);
}

/* C5: and when the file goes; the book is looked at then */
static void unsettled_release(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);

	unsettle(guest);
	mock_unbind(test, guest->binding);
	mock_put_file(test, guest->file);
	KUNIT_EXPECT_EQ(test, guest->mock->prepared, atomic_read(&mock_released));
}

/* R14: in small pieces, of which the consumer moves those that it has had */
static void unsettled_move(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);
	struct mock_page *before = unsettle(guest);

	KUNIT_EXPECT_EQ(test, 0, mock_move(guest, 0, HPAGE_PMD_NR));
	mock_expect_pages(guest, before, 0, HPAGE_PMD_NR, MOCK_MUST_MOVE | MOCK_MAY_RESIZE);
	KUNIT_EXPECT_EQ(test, HPAGE_PMD_NR, atomic_long_read(&guest->gm->nr_migrated));
	KUNIT_EXPECT_EQ(test, 4 + 256, guest->mock->migrations);
	KUNIT_EXPECT_EQ(test, 0, mock_fault(guest->mock, guest->binding, MOCK_BASE + 3));
	expect_settled(guest);
	mock_expect_pages(guest, before, 0, HPAGE_PMD_NR, MOCK_MUST_MOVE | MOCK_MAY_RESIZE);
}

static struct folio *no_huge_target(struct folio *src, unsigned long private)
{
	return folio_test_large(src) ? NULL : alloc_migration_target(src, private);
}

/* without a huge page to move to, migrate_pages() splits the folio itself */
static void split_to_move(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);

	KUNIT_EXPECT_EQ(test, 0, mock_move_to(guest->file, 0, HPAGE_PMD_NR, no_huge_target,
					      MIGRATE_ASYNC));
	KUNIT_EXPECT_EQ(test, 0, folio_order(mock_folio(guest->file, 0)));
	mock_expect_pages(guest, before, 0, HPAGE_PMD_NR, MOCK_MUST_MOVE | MOCK_MAY_RESIZE);
	mock_expect_pages(guest, before, HPAGE_PMD_NR, guest->npages, 0);
	KUNIT_EXPECT_EQ(test, 0, mock_fault(guest->mock, guest->binding, MOCK_BASE + 3));
	expect_settled(guest);
	mock_expect_pages(guest, before, 0, HPAGE_PMD_NR, MOCK_MUST_MOVE | MOCK_MAY_RESIZE);
}

/* It is tried only: who splits a folio to move it in pieces does not wait for its lock. */
static void try_split(struct folio *folio)
{
	folio_get(folio);
	if (folio_trylock(folio)) {
		split_folio(folio);
		folio_unlock(folio);
	}
	folio_put(folio);
}

static void split_released(unsigned long pfn)
{
	try_split(page_folio(pfn_to_page(pfn)));
}

/* C9: split by somebody else while what is punched is being released */
static void split_while_released(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);

	mock_on_release = split_released;
	KUNIT_EXPECT_EQ(test, 0, mock_punch(guest->file, 0, HPAGE_PMD_NR));
	KUNIT_EXPECT_EQ(test, 4 + 256, atomic_read(&mock_released));
	mock_expect_pages(guest, before, HPAGE_PMD_NR, guest->npages, 0);
}

static int split_and_reserve(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	try_split(mock_folio(gm->file, start));
	return guestmem_shmem_store.reserve_hole(gm, start, end);
}

static void punch_while_split(struct mock_guest *guest, pgoff_t index, unsigned long nr)
{
	struct guestmem_store_ops store = guestmem_shmem_store;

	store.reserve_hole = split_and_reserve;
	guest->gm->store = &store;
	KUNIT_EXPECT_EQ(guest->test, 0, mock_punch(guest->file, index, nr));
	guest->gm->store = &guestmem_shmem_store;
	KUNIT_EXPECT_EQ(guest->test, 0, folio_order(mock_folio(guest->file, 500)));
}

/* C9: split by somebody else when the punch has looked for that already */
static void split_before_hole(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);

	punch_while_split(guest, 0, 4);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&mock_released));
	mock_expect_pages(guest, before, 4, guest->npages, MOCK_MAY_RESIZE);
	/* who comes next finds out what is given, and prepares the rest */
	KUNIT_EXPECT_EQ(test, 0, mock_fault(guest->mock, guest->binding, MOCK_BASE + 5));
	KUNIT_EXPECT_EQ(test, 0, mock_fault(guest->mock, guest->binding, MOCK_BASE + 100));
	before[100].state = MOCK_GIVEN;
	before[100].owned = true;
	mock_expect_pages(guest, before, 4, guest->npages, MOCK_MAY_RESIZE);
}

/* and the hole does not begin with the folio */
static void split_before_later_hole(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);

	punch_while_split(guest, 250, 10);
	KUNIT_EXPECT_EQ(test, 4, atomic_read(&mock_released));
	mock_expect_pages(guest, before, 0, 250, MOCK_MAY_RESIZE);
	mock_expect_pages(guest, before, 260, guest->npages, MOCK_MAY_RESIZE);
	/* new in the hole: nobody has had it, whatever was there before */
	KUNIT_EXPECT_EQ(test, 0, mock_populate(guest->file, 250, 10));
	KUNIT_EXPECT_EQ(test, 0, mock_fault(guest->mock, guest->binding, MOCK_BASE + 256));
	KUNIT_EXPECT_TRUE(test, mock_reads(guest->mock->pte[256], 0));
	mock_expect_pages(guest, before, 0, 250, MOCK_MAY_RESIZE);
}

/*
 * Merging
 */

static int merge(struct mock_guest *guest)
{
	return mock_populate(guest->file, 0, HPAGE_PMD_NR);
}

static void expect_merged(struct mock_guest *guest, const struct mock_page *before)
{
	if (!folio_test_large(mock_folio(guest->file, 0)))
		kunit_skip(guest->test, "no huge page to be had");
	KUNIT_EXPECT_EQ(guest->test, 1, atomic_long_read(&guest->gm->nr_merges));
	mock_expect_pages(guest, before, 0, HPAGE_PMD_NR, MOCK_MUST_MOVE | MOCK_MAY_RESIZE);
	KUNIT_EXPECT_FALSE(guest->test, guestmem_unsettled(guest->gm,
							   mock_folio(guest->file, 0)));
}

/* Single folios, made by ourselves; page 300 is not given any more. */
static struct mock_guest *small_guest(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);

	KUNIT_ASSERT_EQ(test, 0, mock_punch(guest->file, 300, 1));
	KUNIT_ASSERT_EQ(test, 0, mock_populate(guest->file, 300, 1));
	KUNIT_ASSERT_EQ(test, 0, folio_order(mock_folio(guest->file, 0)));
	KUNIT_ASSERT_TRUE(test, xa_empty(&guest->gm->maps));
	lru_add_drain_all();
	return guest;
}

/* R14: a merge knows of each page whether it is given */
static void merge_some_given(struct kunit *test)
{
	struct mock_guest *guest = small_guest(test);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);
	struct mock_accounts accounts = mock_account(guest->file);
	int prepared = guest->mock->prepared;

	KUNIT_EXPECT_EQ(test, 0, merge(guest));
	expect_merged(guest, before);
	KUNIT_EXPECT_EQ(test, 4 + 255, guest->mock->migrations);
	KUNIT_EXPECT_TRUE(test, guest->mock->moving);
	/* but for the huge page itself */
	accounts.node[2] += HPAGE_PMD_NR;
	if (folio_memcg(mock_folio(guest->file, 0)))
		accounts.memcg[2] += HPAGE_PMD_NR;
	mock_expect_accounts(test, guest->file, &accounts);

	KUNIT_EXPECT_EQ(test, 0, mock_fault(guest->mock, guest->binding, MOCK_BASE + 5));
	KUNIT_EXPECT_EQ(test, prepared, guest->mock->prepared);
	KUNIT_EXPECT_EQ(test, 0, mock_fault(guest->mock, guest->binding, MOCK_BASE + 100));
	KUNIT_EXPECT_EQ(test, prepared + 1, guest->mock->prepared);
}

static void merge_all_given(struct kunit *test)
{
	struct mock_guest *guest = small_guest(test);
	struct mock_page *before;
	unsigned long i;

	for (i = 0; i < HPAGE_PMD_NR; i++)
		mock_give(guest, i, 0);
	before = mock_look(test, guest->file, guest->npages);
	KUNIT_EXPECT_EQ(test, 0, merge(guest));
	expect_merged(guest, before);
	KUNIT_EXPECT_EQ(test, HPAGE_PMD_NR, guest->mock->migrations);
	KUNIT_EXPECT_TRUE(test, xa_empty(&guest->gm->maps));
}

static void merge_none_given(struct kunit *test)
{
	struct mock_guest *guest = small_guest(test);
	struct mock_page *before;

	KUNIT_EXPECT_EQ(test, 0, mock_punch(guest->file, 0, 10));
	KUNIT_EXPECT_EQ(test, 0, mock_punch(guest->file, 256, 256));
	KUNIT_EXPECT_EQ(test, 0, mock_populate(guest->file, 0, 10));
	KUNIT_EXPECT_EQ(test, 0, mock_populate(guest->file, 256, 256));
	before = mock_look(test, guest->file, guest->npages);
	KUNIT_EXPECT_EQ(test, 0, merge(guest));
	expect_merged(guest, before);
	KUNIT_EXPECT_EQ(test, 0, guest->mock->migrations);
	KUNIT_EXPECT_TRUE(test, xa_empty(&guest->gm->maps));
}

/* what others have split, with its map */
static void merge_unsettled(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);
	struct mock_page *before = unsettle(guest);

	KUNIT_EXPECT_EQ(test, 0, merge(guest));
	expect_merged(guest, before);
	KUNIT_EXPECT_EQ(test, 4 + 256, guest->mock->migrations);
}

static const int merge_failures[] = { 1, 2, 5, 130, 4 + 255 };

/* R17: a consumer that fails at one of the pages has them all as they were */
static void merge_fails(struct kunit *test)
{
	struct mock_guest *guest = small_guest(test);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);
	struct mock_accounts accounts = mock_account(guest->file);
	struct mock *mock = guest->mock;
	int i;

	for (i = 0; i < ARRAY_SIZE(merge_failures); i++) {
		mock->fail_migrate = merge_failures[i];
		mock->migrations = 0;
		mock->unmigrations = 0;
		mock->starts = 0;
		/* fallocate() has done what it was asked for */
		KUNIT_EXPECT_EQ(test, 0, merge(guest));
		if (!mock->starts)
			kunit_skip(test, "no huge page to be had");
		mock_expect_pages(guest, before, 0, guest->npages, 0);
		mock_expect_accounts(test, guest->file, &accounts);
		KUNIT_EXPECT_EQ(test, 1, mock->starts);
		KUNIT_EXPECT_EQ(test, merge_failures[i], mock->migrations);
		KUNIT_EXPECT_EQ(test, merge_failures[i] - 1, mock->unmigrations);
		KUNIT_EXPECT_EQ(test, 1, folio_ref_count(mock_folio(guest->file, 0)));
	}
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&guest->gm->nr_merges));
	KUNIT_EXPECT_TRUE(test, xa_empty(&guest->gm->maps));
	KUNIT_EXPECT_EQ(test, 0, mock_fault(mock, guest->binding, MOCK_BASE + 100));
}

/* Somebody who had looked it up before the guest was unmapped */
static void take_one(struct mock *mock, const struct guestmem_invalidation *inv)
{
	mock->priv = xa_load(&inv->gm->inode->i_mapping->i_pages, 400);
	folio_get(mock->priv);
}

/* R18: one of the folios is in use, at first sight or when the guest is unmapped */
static void merge_busy(struct kunit *test)
{
	struct mock_guest *guest = small_guest(test);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);
	struct folio *folio = mock_folio(guest->file, 400);
	struct mock *mock = guest->mock;

	mock->starts = 0;
	folio_get(folio);
	KUNIT_EXPECT_EQ(test, 0, merge(guest));
	folio_put(folio);
	mock_expect_pages(guest, before, 0, guest->npages, 0);
	KUNIT_EXPECT_EQ(test, 0, mock->starts);

	mock->on_start = take_one;
	KUNIT_EXPECT_EQ(test, 0, merge(guest));
	if (!mock->priv)
		kunit_skip(test, "no huge page to be had");
	folio_put(mock->priv);
	mock_expect_pages(guest, before, 0, guest->npages, 0);
	KUNIT_EXPECT_EQ(test, 1, mock->starts);
	KUNIT_EXPECT_EQ(test, 0, mock->migrations);

	KUNIT_EXPECT_EQ(test, 0, merge(guest));
	expect_merged(guest, before);
}

/* R14: a consumer without the operation keeps its small pages, and is not bothered */
static void merge_unmovable(struct kunit *test)
{
	struct mock *mock = mock_new(test, &mock_ops);
	struct file *file = mock_file(test, HPAGE_PMD_NR, 0);
	struct guestmem_binding *binding;
	int starts;

	binding = mock_bind(test, mock, file, 0, HPAGE_PMD_NR, MOCK_BASE);
	KUNIT_ASSERT_EQ(test, 0, mock_fault(mock, binding, MOCK_BASE));
	KUNIT_ASSERT_EQ(test, 0, mock_punch(file, 1, 1));
	KUNIT_ASSERT_EQ(test, 0, folio_order(mock_folio(file, 0)));
	starts = mock->starts;
	KUNIT_EXPECT_EQ(test, 0, mock_populate(file, 0, HPAGE_PMD_NR));
	KUNIT_EXPECT_EQ(test, 0, folio_order(mock_folio(file, 0)));
	KUNIT_EXPECT_EQ(test, starts, mock->starts);
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&mock_gm(file)->nr_merges));
}

static struct kunit_case split_test_cases[] = {
	KUNIT_CASE(unsettled_fault),
	KUNIT_CASE(unsettled_punch),
	KUNIT_CASE(unsettled_release),
	KUNIT_CASE(unsettled_move),
	KUNIT_CASE(split_to_move),
	KUNIT_CASE(split_while_released),
	KUNIT_CASE(split_before_hole),
	KUNIT_CASE(split_before_later_hole),
	KUNIT_CASE(merge_some_given),
	KUNIT_CASE(merge_all_given),
	KUNIT_CASE(merge_none_given),
	KUNIT_CASE(merge_unsettled),
	KUNIT_CASE(merge_busy),
	KUNIT_CASE(merge_fails),
	KUNIT_CASE(merge_unmovable),
	{}
};

static struct kunit_suite split_test_suite = {
	.name = "guestmem_split",
	.init = mock_init,
	.test_cases = split_test_cases,
};

kunit_test_suite(split_test_suite);

MODULE_DESCRIPTION("KUnit tests of guest memory in folios that are split and merged");
MODULE_LICENSE("GPL");
