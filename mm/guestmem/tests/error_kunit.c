// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of guest memory with memory errors, in folios that stay whole: of hugetlb,
 * and of shmem if they cannot be split.
 *
 * Pages are marked as memory_failure() marks them, and guest files are told as it tells
 * them.  The marks are taken off before the folios are freed.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/hugetlb.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/page-flags.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>

#include "../../internal.h"
#include "../internal.h"
#include "mock.h"

/* in the second huge folio of the file */
#define BAD	601UL

/**
 * struct bad_page - a page that was made bad, and is made good again
 * @page: the page
 * @marked: where the mark is: of hugetlb, on the folio
 * @told: guest files have been told of it, by another thread
 */
struct bad_page {
	struct page *page;
	struct page *marked;
	bool told;
};

static void make_good(void *data)
{
	struct bad_page *bad = data;

	ClearPageHWPoison(bad->marked);
	if (!folio_test_hugetlb(page_folio(bad->page)) && PageCompound(bad->page))
		folio_clear_has_hwpoisoned(page_folio(bad->page));
}

/* A page that will be bad; it is good again at the end. */
static struct bad_page *choose_bad(struct kunit *test, struct file *file, pgoff_t index)
{
	struct bad_page *bad = kunit_kzalloc(test, sizeof(*bad), GFP_KERNEL);
	struct folio *folio = mock_folio(file, index);

	KUNIT_ASSERT_NOT_NULL(test, bad);
	bad->page = folio_page(folio, index - folio->index);
	bad->marked = folio_test_hugetlb(folio) ? &folio->page : bad->page;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, make_good, bad));
	return bad;
}

/* What memory_failure() does; without a split, of which it is said that it has failed. */
static struct bad_page *make_bad(struct kunit *test, struct file *file, pgoff_t index)
{
	struct bad_page *bad = choose_bad(test, file, index);
	struct folio *folio = page_folio(bad->page);

	SetPageHWPoison(bad->marked);
	if (folio_test_large(folio) && !folio_test_hugetlb(folio))
		folio_set_has_hwpoisoned(folio);
	guestmem_memory_failure(page_to_pfn(bad->page));
	return bad;
}

static struct mock_guest *bad_guest(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "no memory errors");
	return mock_guest(test, test->param_value);
}

/* The largest block around a page that the guest may map; a negative errno */
static int order_at(struct mock_guest *guest, pgoff_t index)
{
	unsigned int order = 30;
	unsigned long pfn;
	int ret;

	ret = guestmem_get_pfn(guest->binding, MOCK_BASE + index, &pfn, &order);
	if (ret)
		return ret;
	guestmem_put_pfn(pfn);
	return order;
}

struct order_case {
	pgoff_t index;
	int order;
};

/* around BAD: whole blocks that it is not in */
static const struct order_case order_cases[] = {
	{ 512, 6 }, { 575, 6 }, { 576, 4 }, { 591, 4 }, { 592, 3 }, { 599, 3 },
	{ 600, 0 }, { BAD, -EHWPOISON }, { 602, 1 }, { 603, 1 }, { 604, 2 }, { 607, 2 },
	{ 608, 5 }, { 639, 5 }, { 640, 7 }, { 767, 7 }, { 768, 8 }, { 1023, 8 },
};

static void expect_orders(struct mock_guest *guest)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(order_cases); i++)
		KUNIT_EXPECT_EQ_MSG(guest->test, order_cases[i].order,
				    order_at(guest, order_cases[i].index), "page %lu",
				    order_cases[i].index);
	/* a folio that has no error */
	KUNIT_EXPECT_EQ(guest->test, 8, order_at(guest, 256));
}

static void map_around(struct mock_guest *guest)
{
	pgoff_t index;

	for (index = BAD - 1; index <= BAD + 1; index++)
		KUNIT_ASSERT_EQ(guest->test, 0, mock_fault(guest->mock, guest->binding,
							   MOCK_BASE + index));
}

/* R19: one page of a folio that stays whole is unmapped, once, and lost; no other is */
static void lose_page(struct kunit *test)
{
	struct mock_guest *guest = bad_guest(test);
	struct mock *mock = guest->mock;
	struct folio *folio = mock_folio(guest->file, BAD);

	/* the binding ends in the middle of the first folio, for its order */
	mock_unbind(test, guest->binding);
	guest->binding = mock_bind(test, mock, guest->file, 256, guest->npages - 256,
				   MOCK_BASE + 256);
	map_around(guest);
	make_bad(test, guest->file, BAD);

	KUNIT_EXPECT_EQ(test, 1, mock->starts);
	KUNIT_EXPECT_EQ(test, 0, mock->in_progress);
	KUNIT_EXPECT_FALSE(test, mock->moving);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + BAD, mock->first);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + BAD + 1, mock->end);
	KUNIT_EXPECT_NE(test, 0, mock->pte[BAD - 1]);
	KUNIT_EXPECT_EQ(test, 0, mock->pte[BAD]);
	KUNIT_EXPECT_NE(test, 0, mock->pte[BAD + 1]);
	expect_orders(guest);

	/* it is in the file still, whose owner is told */
	KUNIT_EXPECT_PTR_EQ(test, folio, mock_folio(guest->file, BAD));
	KUNIT_EXPECT_EQ(test, -EHWPOISON, mock_populate(guest->file, BAD, 1));
	KUNIT_EXPECT_EQ(test, 0, mock_populate(guest->file, 0, 512));
	/* nothing of it was taken for it */
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&mock_released));
}

/* R19: the second page of a folio that has an error already */
static void lose_another(struct kunit *test)
{
	struct mock_guest *guest = bad_guest(test);
	struct bad_page *first = make_bad(test, guest->file, BAD);
	struct mock *mock = guest->mock;

	make_bad(test, guest->file, 700);
	KUNIT_EXPECT_EQ(test, 2, mock->starts);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 700, mock->first);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 701, mock->end);
	KUNIT_EXPECT_EQ(test, -EHWPOISON, order_at(guest, BAD));
	KUNIT_EXPECT_EQ(test, -EHWPOISON, order_at(guest, 700));
	KUNIT_EXPECT_EQ(test, 0, order_at(guest, 701));
	KUNIT_EXPECT_EQ(test, 5, order_at(guest, 640));
	/* told twice of the same one */
	guestmem_memory_failure(page_to_pfn(first->page));
	KUNIT_EXPECT_EQ(test, 3, mock->starts);
	KUNIT_EXPECT_EQ(test, -EHWPOISON, order_at(guest, BAD));
}

static int lose_thread(void *data)
{
	struct bad_page *bad = data;

	guestmem_memory_failure(page_to_pfn(bad->page));
	WRITE_ONCE(bad->told, true);
	return 0;
}

/* R19: core mm is just splitting the folio, and lets nobody have a reference to it */
static void lose_while_split(struct kunit *test)
{
	struct mock_guest *guest = bad_guest(test);
	struct bad_page *bad = choose_bad(test, guest->file, BAD);
	struct folio *folio = mock_folio(guest->file, BAD);
	struct task_struct *task;

	map_around(guest);
	task = kthread_create(lose_thread, bad, "guestmem-lose");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	SetPageHWPoison(bad->marked);
	KUNIT_EXPECT_TRUE(test, folio_ref_freeze(folio, folio_nr_pages(folio)));
	wake_up_process(task);
	fsleep(20 * USEC_PER_MSEC);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(bad->told));
	folio_ref_unfreeze(folio, folio_nr_pages(folio));
	kthread_stop(task);
	put_task_struct(task);

	KUNIT_EXPECT_TRUE(test, bad->told);
	KUNIT_EXPECT_EQ(test, 1, guest->mock->starts);
	KUNIT_EXPECT_EQ(test, 0, guest->mock->pte[BAD]);
	KUNIT_EXPECT_NE(test, 0, guest->mock->pte[BAD + 1]);
	KUNIT_EXPECT_EQ(test, -EHWPOISON, order_at(guest, BAD));
}

/* C11: nobody has bound it; who does so later is told at the first fault */
static void lose_unbound(struct kunit *test)
{
	struct mock_guest *guest = bad_guest(test);

	mock_unbind(test, guest->binding);
	make_bad(test, guest->file, BAD);
	KUNIT_EXPECT_EQ(test, 0, guest->mock->starts);
	guest->binding = mock_bind(test, guest->mock, guest->file, 0, guest->npages,
				   MOCK_BASE);
	KUNIT_EXPECT_EQ(test, -EHWPOISON, order_at(guest, BAD));
	KUNIT_EXPECT_EQ(test, 0, order_at(guest, BAD - 1));
}

/* R13, R19: a folio with an error does not move, and the guest is not bothered */
static void bad_stays(struct kunit *test)
{
	struct mock_guest *guest = bad_guest(test);
	struct folio *folio = mock_folio(guest->file, BAD);
	struct migration_target_control mtc = {
		.nid = NUMA_NO_NODE, .gfp_mask = GFP_HIGHUSER_MOVABLE, .reason = MR_SYSCALL,
	};
	LIST_HEAD(list);

	/* on its way already when the error comes */
	KUNIT_ASSERT_TRUE(test, isolate_folio_to_list(folio, &list));
	make_bad(test, guest->file, BAD);
	KUNIT_EXPECT_NE(test, 0, migrate_pages(&list, alloc_migration_target, NULL,
					       (unsigned long)&mtc, MIGRATE_ASYNC,
					       MR_SYSCALL, NULL));
	putback_movable_pages(&list);
	lru_add_drain_all();
	KUNIT_EXPECT_PTR_EQ(test, folio, mock_folio(guest->file, BAD));
	KUNIT_EXPECT_EQ(test, 1, guest->mock->starts);
	KUNIT_EXPECT_EQ(test, 0, guest->mock->migrations);
	KUNIT_EXPECT_EQ(test, -EHWPOISON, order_at(guest, BAD));
	KUNIT_EXPECT_EQ(test, 1, order_at(guest, BAD + 1));
	/* and nobody sets out to move it from now on */
	KUNIT_EXPECT_TRUE(test, guestmem_unmovable(folio));
	KUNIT_EXPECT_FALSE(test, isolate_folio_to_list(folio, &list));
	/* another one goes */
	KUNIT_EXPECT_EQ(test, 0, mock_move(guest, 0, 1));
}

static void mark_bad(struct mock *mock, const struct guestmem_invalidation *inv)
{
	struct bad_page *bad = mock->priv;

	SetPageHWPoison(bad->marked);
}

/* R17, R19: the error comes while the folio moves, and is told when that is over */
static void bad_while_moving(struct kunit *test)
{
	struct mock_guest *guest = bad_guest(test);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);
	struct bad_page *bad = choose_bad(test, guest->file, BAD);
	struct mock *mock = guest->mock;

	mock->priv = bad;
	mock->on_start = mark_bad;
	KUNIT_EXPECT_EQ(test, 1, mock_move(guest, BAD, BAD + 1));
	mock_expect_pages(guest, before, 0, guest->npages, 0);
	KUNIT_EXPECT_EQ(test, 1, mock->starts);
	KUNIT_EXPECT_EQ(test, mock->migrations, mock->unmigrations);

	guestmem_memory_failure(page_to_pfn(bad->page));
	KUNIT_EXPECT_EQ(test, 2, mock->starts);
	KUNIT_EXPECT_EQ(test, -EHWPOISON, order_at(guest, BAD));
	KUNIT_EXPECT_EQ(test, 1, order_at(guest, BAD + 1));
}

/* R19: an error for whose place there was no memory costs all of the granule */
static void bad_unknown(struct kunit *test)
{
	struct mock_guest *guest = bad_guest(test);

	make_bad(test, guest->file, BAD);
	guest->gm->bad_unknown = true;
	KUNIT_EXPECT_EQ(test, -EHWPOISON, order_at(guest, 512));
	KUNIT_EXPECT_EQ(test, -EHWPOISON, order_at(guest, 1023));
	KUNIT_EXPECT_EQ(test, 9, order_at(guest, 0));
}

/* R19: what is punched out of a granule that stays is as bad as it was */
static void bad_hole(struct kunit *test)
{
	struct mock_guest *guest = bad_guest(test);
	struct bad_page *bad = make_bad(test, guest->file, BAD);
	unsigned long index = BAD;

	KUNIT_EXPECT_EQ(test, 0, mock_punch(guest->file, BAD - 1, 8));
	KUNIT_EXPECT_EQ(test, -EHWPOISON, order_at(guest, BAD));
	KUNIT_EXPECT_EQ(test, 0, order_at(guest, BAD - 1));
	KUNIT_EXPECT_EQ(test, -EHWPOISON, mock_populate(guest->file, BAD, 1));
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&guest->gm->bad, index));

	/* when the granule goes, its errors are forgotten; the next has its own */
	kunit_release_action(test, make_good, bad);
	KUNIT_EXPECT_EQ(test, 0, mock_punch(guest->file, HPAGE_PMD_NR, HPAGE_PMD_NR));
	KUNIT_EXPECT_TRUE(test, xa_empty(&guest->gm->bad));
	KUNIT_EXPECT_EQ(test, 9, order_at(guest, BAD));
}

/*
 * Of what page is it?  Asked of pages that may be anybody's
 */

static struct guestmem *find(const void *mapping)
{
	guard(rcu)();
	return guestmem_find(mapping);
}

/* C11, C13: a mapping is compared and not looked into */
static void find_junk(struct kunit *test)
{
	struct folio *folio = kunit_kzalloc(test, sizeof(*folio), GFP_KERNEL);
	struct file *file = mock_file(test, 1, 0);
	void *mapping = file->f_mapping;
	void *junk[] = {
		NULL, ERR_PTR(-EINVAL), (void *)1UL, (void *)-1UL, (void *)0xdead000000000100UL,
		mapping + 1, mapping + PAGE_MAPPING_MOVABLE, mapping + PAGE_MAPPING_KSM,
		(void *)(1UL << 63), folio, test,
	};
	int i;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	for (i = 0; i < ARRAY_SIZE(junk); i++) {
		folio->mapping = junk[i];
		KUNIT_EXPECT_NULL_MSG(test, find(junk[i]), "%d", i);
		KUNIT_EXPECT_FALSE_MSG(test, guestmem_unmovable(folio), "%d", i);
		KUNIT_EXPECT_FALSE_MSG(test, guestmem_movable(junk[i]), "%d", i);
	}
	/* enough to meet in one bucket */
	for (i = 1; i < 4096; i++) {
		folio->mapping = mapping + i * 8;
		KUNIT_ASSERT_NULL_MSG(test, find(folio->mapping), "%d", i);
		KUNIT_ASSERT_FALSE_MSG(test, guestmem_unmovable(folio), "%d", i);
	}
	folio->mapping = mapping;
	KUNIT_EXPECT_PTR_EQ(test, mock_gm(file), find(mapping));
	KUNIT_EXPECT_TRUE(test, guestmem_unmovable(folio));

	/* a mapping that is no guest file's any more */
	mock_put_file(test, file);
	KUNIT_EXPECT_NULL(test, find(mapping));
	KUNIT_EXPECT_FALSE(test, guestmem_unmovable(folio));
}

/* R19: memory_failure() tells of every bad page; most are nobody's or somebody else's */
static void not_a_guests(struct kunit *test)
{
	struct file *plain = mock_keep_file(test, shmem_file_setup("plain", PAGE_SIZE,
								   VM_NORESERVE));
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, 1);
	struct folio *folio;

	KUNIT_ASSERT_NOT_NULL(test, page);
	guestmem_memory_failure(page_to_pfn(page));
	guestmem_memory_failure(page_to_pfn(page) + 1);
	KUNIT_EXPECT_EQ(test, 1, page_count(page));
	__free_pages(page, 1);

	folio = shmem_read_folio(plain->f_mapping, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	lru_add_drain_all();
	guestmem_memory_failure(folio_pfn(folio));
	KUNIT_EXPECT_EQ(test, 2, folio_ref_count(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	folio_put(folio);
}

/* The kinds that hugetlb has */
static const void *next_hugetlb(const void *prev, char *desc)
{
	return mock_next_huge_kind(prev ?: mock_kinds + 1, desc);
}

static struct kunit_case error_test_cases[] = {
	KUNIT_CASE_PARAM(lose_page, mock_next_huge_kind),
	KUNIT_CASE_PARAM(lose_another, mock_next_huge_kind),
	KUNIT_CASE_PARAM(lose_while_split, mock_next_huge_kind),
	KUNIT_CASE_PARAM(lose_unbound, mock_next_huge_kind),
	KUNIT_CASE_PARAM(bad_stays, mock_next_huge_kind),
	KUNIT_CASE_PARAM(bad_while_moving, mock_next_huge_kind),
	KUNIT_CASE_PARAM(bad_unknown, next_hugetlb),
	KUNIT_CASE_PARAM(bad_hole, next_hugetlb),
	KUNIT_CASE(find_junk),
	KUNIT_CASE(not_a_guests),
	{}
};

static struct kunit_suite error_test_suite = {
	.name = "guestmem_error",
	.init = mock_init,
	.test_cases = error_test_cases,
};

kunit_test_suite(error_test_suite);

MODULE_DESCRIPTION("KUnit tests of guest memory with memory errors");
MODULE_LICENSE("GPL");
