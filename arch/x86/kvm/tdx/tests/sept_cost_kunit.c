// SPDX-License-Identifier: GPL-2.0
/*
 * What memory of a TD costs, in calls of the module: exact numbers, which do not depend on
 * the machine.
 */
#include <linux/gfp.h>
#include <linux/mm.h>

#include "rig.h"

#define BASE	0x40000UL
#define PAGES	512UL
#define GIG	(PAGES * PAGES)

/**
 * struct cost - calls that were made
 * @rig: of which TD
 * @before: counters at the start
 * @kicks: likewise
 */
struct cost {
	struct rig *rig;
	s64 before[TDXMOD_NR_LEAVES];
	unsigned int kicks;
};

static void cost_start(struct cost *cost, struct rig *rig)
{
	int leaf;

	cost->rig = rig;
	for (leaf = 0; leaf < TDXMOD_NR_LEAVES; leaf++)
		cost->before[leaf] = rig_calls(rig, leaf);
	cost->kicks = rig->kicks;
}

static s64 cost_of(struct cost *cost, enum tdxmod_leaf leaf)
{
	return rig_calls(cost->rig, leaf) - cost->before[leaf];
}

static unsigned int cost_kicks(struct cost *cost)
{
	return cost->rig->kicks - cost->kicks;
}

/* in functions that have a @test */
#define EXPECT_COST(cost, leaf, n)	KUNIT_EXPECT_EQ(test, cost_of(cost, leaf), n)
#define EXPECT_KICKS(cost, n)		KUNIT_EXPECT_EQ(test, cost_kicks(cost), n)

/* 1 GiB in one piece, or none to be had */
static unsigned long alloc_gig(struct kunit *test)
{
	struct page *page = alloc_contig_pages(GIG, GFP_KERNEL | __GFP_NOWARN, numa_node_id(),
					       NULL);

	if (!page)
		kunit_skip(test, "no gigabyte in one piece");
	return page_to_pfn(page);
}

static void build(struct rig *rig, unsigned long pfn)
{
	unsigned long i;

	for (i = 0; i < GIG; i += PAGES)
		KUNIT_ASSERT_EQ(rig->test, rig_map(rig, BASE + i, pfn + i, TDX_LEVEL_2M), 0);
}

static void gigabyte(struct kunit *test)
{
	unsigned long pfn = alloc_gig(test);
	struct rig *rig = rig_create(test);
	struct cost cost;

	rig_finalize(rig);
	cost_start(&cost, rig);
	build(rig, pfn);
	EXPECT_COST(&cost, TDH_MEM_PAGE_AUG, 512);
	/* tables of 512G and of 1G */
	EXPECT_COST(&cost, TDH_MEM_SEPT_ADD, 2);

	cost_start(&cost, rig);
	rig_unmap(rig, BASE, BASE + GIG);
	EXPECT_COST(&cost, TDH_MEM_RANGE_BLOCK, 512);
	EXPECT_COST(&cost, TDH_MEM_TRACK, 1);
	EXPECT_KICKS(&cost, 1);
	EXPECT_COST(&cost, TDH_MEM_PAGE_REMOVE, 512);

	build(rig, pfn);
	cost_start(&cost, rig);
	KUNIT_EXPECT_EQ(test, sept_merge(&rig->td.sept, BASE, TDX_LEVEL_1G), 0);
	EXPECT_COST(&cost, TDH_MEM_RANGE_BLOCK, 1);
	EXPECT_COST(&cost, TDH_MEM_TRACK, 1);
	EXPECT_KICKS(&cost, 1);
	EXPECT_COST(&cost, TDH_MEM_PAGE_PROMOTE, 1);
	rig_check(rig, BASE, BASE + GIG);

	/* a page out of the middle: two splits, each with a flush, and its own */
	cost_start(&cost, rig);
	rig_unmap(rig, BASE + 1000, BASE + 1001);
	EXPECT_COST(&cost, TDH_MEM_PAGE_DEMOTE, 2);
	EXPECT_COST(&cost, TDH_MEM_RANGE_BLOCK, 3);
	EXPECT_COST(&cost, TDH_MEM_TRACK, 3);
	EXPECT_KICKS(&cost, 3);
	EXPECT_COST(&cost, TDH_MEM_PAGE_REMOVE, 1);
	rig_check(rig, BASE, BASE + GIG);

	cost_start(&cost, rig);
	rig_destroy(rig);
	/* 511 of 2M, 511 of 4K, three tables, 6 + 6 control pages and the TDR */
	EXPECT_COST(&cost, TDH_PHYMEM_PAGE_RECLAIM, 511 + 511 + 3 + 13);
	EXPECT_COST(&cost, TDH_MEM_RANGE_BLOCK, 0);
	EXPECT_COST(&cost, TDH_MEM_TRACK, 0);
	free_contig_range(pfn, GIG);
}

static void teardown_gigabyte(struct kunit *test)
{
	unsigned long pfn = alloc_gig(test);
	struct rig *rig = rig_create(test);
	struct cost cost;

	rig_finalize(rig);
	build(rig, pfn);
	cost_start(&cost, rig);
	rig_destroy(rig);
	EXPECT_COST(&cost, TDH_PHYMEM_PAGE_RECLAIM, 512 + 2 + 13);
	EXPECT_COST(&cost, TDH_MEM_RANGE_BLOCK, 0);
	EXPECT_COST(&cost, TDH_MEM_PAGE_REMOVE, 0);
	EXPECT_COST(&cost, TDH_MEM_TRACK, 0);
	free_contig_range(pfn, GIG);
}

static void convert(struct kunit *test)
{
	struct page *block = alloc_pages(GFP_KERNEL, 9);
	struct rig *rig = rig_create(test);
	unsigned long pfn;
	struct cost cost;

	KUNIT_ASSERT_NOT_NULL(test, block);
	pfn = page_to_pfn(block);
	rig_finalize(rig);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), 0);

	cost_start(&cost, rig);
	rig_unmap(rig, BASE, BASE + PAGES);
	EXPECT_COST(&cost, TDH_MEM_RANGE_BLOCK, 1);
	EXPECT_COST(&cost, TDH_MEM_TRACK, 1);
	EXPECT_KICKS(&cost, 1);
	EXPECT_COST(&cost, TDH_MEM_PAGE_REMOVE, 1);

	cost_start(&cost, rig);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), 0);
	EXPECT_COST(&cost, TDH_MEM_PAGE_AUG, 1);
	EXPECT_COST(&cost, TDH_MEM_SEPT_ADD, 0);

	/* one page of it, there and back, and merged again */
	cost_start(&cost, rig);
	rig_unmap(rig, BASE + 9, BASE + 10);
	EXPECT_COST(&cost, TDH_MEM_RANGE_BLOCK, 2);
	EXPECT_COST(&cost, TDH_MEM_TRACK, 2);
	EXPECT_COST(&cost, TDH_MEM_PAGE_DEMOTE, 1);
	EXPECT_COST(&cost, TDH_MEM_PAGE_REMOVE, 1);
	cost_start(&cost, rig);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + 9, pfn + 9, TDX_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, sept_merge(&rig->td.sept, BASE, TDX_LEVEL_2M), 0);
	EXPECT_COST(&cost, TDH_MEM_PAGE_AUG, 1);
	EXPECT_COST(&cost, TDH_MEM_PAGE_PROMOTE, 1);
	EXPECT_COST(&cost, TDH_MEM_TRACK, 1);
	rig_destroy(rig);
	__free_pages(block, 9);
}

static struct kunit_case sept_cost_cases[] = {
	KUNIT_CASE_SLOW(gigabyte),
	KUNIT_CASE_SLOW(teardown_gigabyte),
	KUNIT_CASE(convert),
	{}
};

static struct kunit_suite sept_cost_suite = {
	.name = "tdx_sept_cost",
	.test_cases = sept_cost_cases,
};

kunit_test_suite(sept_cost_suite);
