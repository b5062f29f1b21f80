// SPDX-License-Identifier: GPL-2.0
/*
 * The manager of the S-EPT against the software module: each operation by itself, then
 * all of them at random, with a full comparison after every step; and the same with
 * allocations that fail and calls that find something busy.
 */
#include <kunit/static_stub.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/prandom.h>

#include "rig.h"

#define BASE	0x40000UL
#define PAGES	512UL
/* memory of the random test */
#define BLOCKS	3UL
#define END	(BASE + BLOCKS * PAGES)

static unsigned long alloc_block(struct kunit *test)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, 9);

	KUNIT_ASSERT_NOT_NULL(test, page);
	return page_to_pfn(page);
}

static void free_block(unsigned long pfn)
{
	__free_pages(pfn_to_page(pfn), 9);
}

static struct rig *running(struct kunit *test)
{
	struct rig *rig = rig_create(test);

	rig_finalize(rig);
	return rig;
}

static struct sept_page page_at(struct rig *rig, gfn_t gfn)
{
	struct sept_page page = { .level = -1 };

	sept_lookup(&rig->td.sept, gfn, &page);
	return page;
}

/* in functions that have a @test */
#define EXPECT_PAGE(rig, gfn, want_pfn, want_level, want_blocked)		\
do {										\
	struct sept_page __page = page_at(rig, gfn);				\
										\
	KUNIT_EXPECT_EQ(test, __page.pfn, want_pfn);				\
	KUNIT_EXPECT_EQ(test, __page.level, want_level);			\
	KUNIT_EXPECT_EQ(test, __page.blocked, want_blocked);			\
} while (0)

#define EXPECT_NO_PAGE(rig, gfn)	KUNIT_EXPECT_EQ(test, page_at(rig, gfn).level, -1)

/* --- one operation after the other ---------------------------------------- */

static void map_rules(struct kunit *test)
{
	struct rig *rig = running(test);
	unsigned long pfn = alloc_block(test), other = alloc_block(test);

	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), 0);
	EXPECT_PAGE(rig, BASE + 5, pfn, TDX_LEVEL_2M, false);
	/* a fault that comes late, of any size */
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + 7, pfn + 7, TDX_LEVEL_4K), 0);

	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + PAGES + 3, other + 3, TDX_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + PAGES, other, TDX_LEVEL_2M), -ENOTEMPTY);
	EXPECT_NO_PAGE(rig, BASE + PAGES);
	rig_check(rig, BASE, BASE + 2 * PAGES);

	rig_block(rig, BASE + PAGES + 3, BASE + PAGES + 4);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + PAGES + 3, other + 3, TDX_LEVEL_4K), -ESTALE);
	rig_check(rig, BASE, BASE + 2 * PAGES);
	rig_destroy(rig);
	free_block(pfn);
	free_block(other);
}

/* An empty table does not keep a large page out for ever, one that is used does. */
static void drop_table(struct kunit *test)
{
	struct rig *rig = running(test);
	unsigned long pfn = alloc_block(test);

	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + 3, pfn + 3, TDX_LEVEL_4K), 0);
	KUNIT_EXPECT_FALSE(test, sept_drop_table(&rig->td.sept, BASE, TDX_LEVEL_2M));
	rig_unmap(rig, BASE + 3, BASE + 4);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), -ENOTEMPTY);
	KUNIT_EXPECT_TRUE(test, sept_drop_table(&rig->td.sept, BASE, TDX_LEVEL_2M));
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), 0);
	rig_check(rig, BASE, BASE + PAGES);
	rig_destroy(rig);
	free_block(pfn);
}

/* A hole in a page of 2M: the rest stays, with its content. */
static void unmap_part(struct kunit *test)
{
	struct rig *rig = running(test);
	unsigned long pfn = alloc_block(test), i;

	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), 0);
	KUNIT_EXPECT_TRUE(test, rig_accept(rig, BASE, TDX_LEVEL_2M));
	for (i = 0; i < PAGES; i++)
		rig_write(pfn + i, i + 1);
	rig_unmap(rig, BASE + 10, BASE + 20);
	for (i = 0; i < PAGES; i++) {
		if (i >= 10 && i < 20) {
			EXPECT_NO_PAGE(rig, BASE + i);
			KUNIT_EXPECT_NE(test, rig_read(pfn + i), i + 1);
		} else {
			EXPECT_PAGE(rig, BASE + i, pfn + i, TDX_LEVEL_4K, false);
			KUNIT_EXPECT_EQ(test, rig_read(pfn + i), i + 1);
		}
	}
	rig_check(rig, BASE, BASE + PAGES);
	rig_destroy(rig);
	free_block(pfn);
}

/* What is whole is split only as far as needed. */
static void split(struct kunit *test)
{
	struct rig *rig = running(test);
	unsigned long pfn = alloc_block(test);
	struct sept_reserve reserve;

	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), 0);
	KUNIT_ASSERT_EQ(test, sept_reserve(&rig->td.sept, &reserve, SEPT_SPLIT_RESERVE,
					   GFP_KERNEL), 0);
	sept_split(&rig->td.sept, &reserve, BASE + 9, TDX_LEVEL_2M);
	EXPECT_PAGE(rig, BASE + 9, pfn, TDX_LEVEL_2M, false);
	sept_split(&rig->td.sept, &reserve, BASE + 9, TDX_LEVEL_4K);
	EXPECT_PAGE(rig, BASE + 9, pfn + 9, TDX_LEVEL_4K, false);
	sept_unreserve(&reserve);
	KUNIT_EXPECT_TRUE(test, rig_accept(rig, BASE + 9, TDX_LEVEL_4K));
	rig_check(rig, BASE, BASE + PAGES);
	rig_destroy(rig);
	free_block(pfn);
}

static void merge(struct kunit *test)
{
	struct rig *rig = running(test);
	unsigned long pfn = alloc_block(test), i;
	struct sept *sept = &rig->td.sept;

	for (i = 0; i < PAGES; i++) {
		KUNIT_EXPECT_FALSE(test, sept_can_merge(sept, BASE, TDX_LEVEL_2M));
		KUNIT_EXPECT_EQ(test, sept_merge(sept, BASE, TDX_LEVEL_2M), -ENOENT);
		KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + i, pfn + i, TDX_LEVEL_4K), 0);
	}
	KUNIT_EXPECT_EQ(test, rig->full, 1);
	/* some are accepted: seen in the sample, or by the module */
	KUNIT_EXPECT_TRUE(test, rig_accept(rig, BASE + 64, TDX_LEVEL_4K));
	KUNIT_EXPECT_EQ(test, sept_merge(sept, BASE, TDX_LEVEL_2M), -EBUSY);
	for (i = 0; i < PAGES; i++)
		if (i != 5)
			KUNIT_EXPECT_TRUE(test, rig_accept(rig, BASE + i, TDX_LEVEL_4K));
	KUNIT_EXPECT_EQ(test, sept_merge(sept, BASE, TDX_LEVEL_2M), -EBUSY);
	rig_check(rig, BASE, BASE + PAGES);
	EXPECT_PAGE(rig, BASE + 5, pfn + 5, TDX_LEVEL_4K, false);

	KUNIT_EXPECT_TRUE(test, rig_accept(rig, BASE + 5, TDX_LEVEL_4K));
	rig_write(pfn + 77, 0x77);
	KUNIT_EXPECT_EQ(test, sept_merge(sept, BASE, TDX_LEVEL_2M), 0);
	EXPECT_PAGE(rig, BASE + 5, pfn, TDX_LEVEL_2M, false);
	KUNIT_EXPECT_EQ(test, rig_read(pfn + 77), 0x77);
	rig_check(rig, BASE, BASE + PAGES);
	rig_destroy(rig);
	free_block(pfn);
}

static void merge_not_contiguous(struct kunit *test)
{
	struct rig *rig = running(test);
	unsigned long pfn = alloc_block(test), other = alloc_block(test), i;

	for (i = 0; i < PAGES; i++)
		KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + i, (i == 300 ? other : pfn) + i,
					      TDX_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, sept_merge(&rig->td.sept, BASE, TDX_LEVEL_2M), -ENOENT);
	rig_destroy(rig);
	free_block(pfn);
	free_block(other);
}

/* Content goes along, of accepted pages; the others are the host's to copy. */
static void move(struct kunit *test)
{
	struct rig *rig = running(test);
	unsigned long src = alloc_block(test), dst = alloc_block(test), i;
	struct sept *sept = &rig->td.sept;
	struct sept_reserve reserve;

	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, src, TDX_LEVEL_2M), 0);
	KUNIT_EXPECT_TRUE(test, rig_accept(rig, BASE, TDX_LEVEL_2M));
	for (i = 0; i < PAGES; i++)
		rig_write(src + i, i + 1);
	rig_unmap(rig, BASE + 100, BASE + 101);
	rig_write(src + 100, 0x100100);

	KUNIT_ASSERT_EQ(test, sept_reserve(sept, &reserve,
					   sept_block_reserve(BASE, BASE + PAGES),
					   GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, sept_move(sept, &reserve, BASE, dst, src, PAGES), 0);
	for (i = 0; i < PAGES; i++)
		KUNIT_EXPECT_EQ(test, rig_read(dst + i), i == 100 ? 0x100100 : i + 1);
	rig_check(rig, BASE, BASE + PAGES);
	EXPECT_NO_PAGE(rig, BASE + 100);

	/* the guest goes on before it turns out that the move was in vain */
	rig_write(dst + 7, 0x777);
	sept_move_back(sept, &reserve, BASE, dst, src, PAGES);
	sept_unreserve(&reserve);
	KUNIT_EXPECT_EQ(test, rig_read(src + 7), 0x777);
	KUNIT_EXPECT_EQ(test, rig_read(src + 8), 9);
	KUNIT_EXPECT_EQ(test, rig_read(src + 100), 0x100100);
	EXPECT_PAGE(rig, BASE + 7, src + 7, TDX_LEVEL_4K, false);
	rig_check(rig, BASE, BASE + PAGES);
	rig_destroy(rig);
	free_block(src);
	free_block(dst);
}

/* The reservation of a move is for its pages as they are: nobody merges them meanwhile. */
static void move_keeps_small(struct kunit *test)
{
	struct rig *rig = running(test);
	unsigned long src = alloc_block(test), dst = alloc_block(test);
	struct sept *sept = &rig->td.sept;
	struct sept_reserve reserve;

	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, src, TDX_LEVEL_2M), 0);
	KUNIT_ASSERT_EQ(test, sept_reserve(sept, &reserve, 1, GFP_KERNEL), 0);
	atomic_inc(&sept->moving);
	KUNIT_EXPECT_EQ(test, sept_move(sept, &reserve, BASE, dst, src, PAGES), 0);
	KUNIT_EXPECT_EQ(test, reserve.nr, 0);
	KUNIT_EXPECT_EQ(test, rig->full, 2);
	KUNIT_EXPECT_EQ(test, sept_merge(sept, BASE, TDX_LEVEL_2M), -EAGAIN);
	sept_move_back(sept, &reserve, BASE, dst, src, PAGES);
	atomic_dec(&sept->moving);
	sept_unreserve(&reserve);
	KUNIT_EXPECT_EQ(test, sept_merge(sept, BASE, TDX_LEVEL_2M), 0);
	EXPECT_PAGE(rig, BASE, src, TDX_LEVEL_2M, false);
	rig_check(rig, BASE, BASE + PAGES);
	rig_destroy(rig);
	free_block(src);
	free_block(dst);
}

/* Before it is finalised: pages with content, and no AUG twice over it */
static void add(struct kunit *test)
{
	struct rig *rig = rig_create(test);
	unsigned long pfn = alloc_block(test);
	struct sept *sept = &rig->td.sept;
	struct sept_reserve reserve;

	rig_write(pfn + 1, 0x1234);
	KUNIT_ASSERT_EQ(test, sept_reserve(sept, &reserve, SEPT_MAP_RESERVE, GFP_KERNEL), 0);
	down_read(&sept->lock);
	KUNIT_EXPECT_EQ(test, sept_add(sept, &reserve, BASE, pfn, pfn + 1), 0);
	KUNIT_EXPECT_EQ(test, sept_add(sept, &reserve, BASE, pfn, pfn + 1), -EEXIST);
	up_read(&sept->lock);
	sept_unreserve(&reserve);
	KUNIT_EXPECT_EQ(test, rig_read(pfn), 0x1234);
	rig_check(rig, BASE, BASE + PAGES);
	rig_unmap(rig, BASE, BASE + 1);
	EXPECT_NO_PAGE(rig, BASE);
	rig_destroy(rig);
	free_block(pfn);
}

/* Life ends anywhere: without a vCPU that was initialised, or with all kinds of pages. */
static void teardown(struct kunit *test)
{
	unsigned long pfn = alloc_block(test), other = alloc_block(test);
	struct rig *rig;

	rig = rig_create(test);
	rig_destroy(rig);

	rig = running(test);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + PAGES, other, TDX_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + PAGES + 1, other + 1, TDX_LEVEL_4K), 0);
	rig_block(rig, BASE + PAGES + 1, BASE + PAGES + 2);
	rig_destroy(rig);

	/* and the pages can be another TD's */
	rig = running(test);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, other, TDX_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE + PAGES, pfn, TDX_LEVEL_2M), 0);
	rig_destroy(rig);
	free_block(pfn);
	free_block(other);
}

/* --- all of them at random ------------------------------------------------ */

/**
 * struct model - what the S-EPT should be
 * @rig: the TD
 * @rnd: random numbers
 * @pfn: pages that there are for each gfn, two for each, in blocks that are contiguous
 * @other: which of the two it is now
 * @mapped: the TD has it
 * @tag: content, 0 if the guest has not accepted it
 */
struct model {
	struct rig *rig;
	struct rnd_state rnd;
	unsigned long pfn[2][BLOCKS];
	bool other[BLOCKS * PAGES];
	bool mapped[BLOCKS * PAGES];
	u64 tag[BLOCKS * PAGES];
};

static unsigned long model_pfn(struct model *m, unsigned long at)
{
	return m->pfn[m->other[at]][at / PAGES] + at % PAGES;
}

static u32 below(struct model *m, u32 n)
{
	return prandom_u32_state(&m->rnd) % n;
}

static void some_range(struct model *m, unsigned long *start, unsigned long *end)
{
	*start = below(m, BLOCKS * PAGES);
	*end = min(*start + 1 + below(m, below(m, 2) ? 8 : 2 * PAGES), BLOCKS * PAGES);
	if (!below(m, 3)) {
		*start = round_down(*start, PAGES);
		*end = round_up(*end, PAGES);
	}
}

static bool block_free(struct model *m, unsigned long first)
{
	unsigned long i;

	for (i = first; i < first + PAGES; i++)
		if (m->mapped[i] || m->other[i] != m->other[first])
			return false;
	return true;
}

static void model_map(struct model *m)
{
	unsigned long at = below(m, BLOCKS * PAGES), first = round_down(at, PAGES), i;
	int level = below(m, 2) && block_free(m, first) ? TDX_LEVEL_2M : TDX_LEVEL_4K;
	struct rig *rig = m->rig;
	int r;

	if (level)
		sept_drop_table(&rig->td.sept, BASE + first, TDX_LEVEL_2M);
	at = level ? first : at;
	r = rig_map(rig, BASE + at, model_pfn(m, at), level);
	if (r == -ESTALE || r == -EAGAIN || r == -ENOMEM || r == -ENOTEMPTY)
		return;
	KUNIT_EXPECT_EQ(rig->test, r, 0);
	for (i = at; i < at + sept_level_pages(level); i++)
		m->mapped[i] = true;
}

/* Fill up a block, so that there is something to merge. */
static void model_map_all(struct model *m)
{
	unsigned long at = below(m, BLOCKS) * PAGES, end = at + PAGES;

	for (; at < end; at++)
		if (!m->mapped[at] &&
		    !rig_map(m->rig, BASE + at, model_pfn(m, at), TDX_LEVEL_4K))
			m->mapped[at] = true;
}

static void model_unmap(struct model *m)
{
	unsigned long start, end;
	struct sept_page page;

	some_range(m, &start, &end);
	rig_unmap(m->rig, BASE + start, BASE + end);
	/* for lack of memory, all or nothing */
	for (; start < end; start++) {
		m->mapped[start] = sept_lookup(&m->rig->td.sept, BASE + start, &page);
		if (!m->mapped[start])
			m->tag[start] = 0;
	}
}

static void model_accept(struct model *m)
{
	unsigned long start, end, at;

	some_range(m, &start, &end);
	for (at = start; at < end; at++) {
		struct sept_page page;
		unsigned long i, first, nr;

		if (m->tag[at] || !sept_lookup(&m->rig->td.sept, BASE + at, &page) ||
		    page.blocked)
			continue;
		first = sept_level_start(at, page.level);
		nr = sept_level_pages(page.level);
		KUNIT_EXPECT_TRUE(m->rig->test,
				  rig_accept(m->rig, BASE + first, page.level));
		for (i = first; i < first + nr; i++) {
			KUNIT_EXPECT_EQ(m->rig->test, rig_read(model_pfn(m, i)), 0);
			m->tag[i] = prandom_u32_state(&m->rnd) | 1;
			rig_write(model_pfn(m, i), m->tag[i]);
		}
	}
}

static void model_block(struct model *m)
{
	unsigned long start, end;

	some_range(m, &start, &end);
	rig_block(m->rig, BASE + start, BASE + end);
	if (below(m, 2))
		rig_unblock(m->rig, BASE + start, BASE + end);
}

static void model_merge(struct model *m)
{
	sept_merge(&m->rig->td.sept, BASE + below(m, BLOCKS) * PAGES, TDX_LEVEL_2M);
}

static void model_split(struct model *m)
{
	struct sept *sept = &m->rig->td.sept;
	struct sept_reserve reserve;

	if (!sept_reserve(sept, &reserve, SEPT_SPLIT_RESERVE, GFP_KERNEL))
		sept_split(sept, &reserve, BASE + below(m, BLOCKS * PAGES), TDX_LEVEL_4K);
	sept_unreserve(&reserve);
}

/* One page, or all of a block, to the other place; and back sometimes */
static void model_move(struct model *m)
{
	unsigned long at = below(m, BLOCKS * PAGES), nr = 1, i, src, dst;
	struct sept *sept = &m->rig->td.sept;
	struct sept_reserve reserve;

	if (!below(m, 3)) {
		at = round_down(at, PAGES);
		nr = PAGES;
	}
	for (i = at; i < at + nr; i++)
		if (m->other[i] != m->other[at])
			return;
	src = model_pfn(m, at);
	dst = m->pfn[!m->other[at]][at / PAGES] + at % PAGES;
	if (!sept_reserve(sept, &reserve, sept_block_reserve(BASE + at, BASE + at + nr),
			  GFP_KERNEL)) {
		KUNIT_EXPECT_EQ(m->rig->test,
				sept_move(sept, &reserve, BASE + at, dst, src, nr), 0);
		if (below(m, 4))
			for (i = at; i < at + nr; i++)
				m->other[i] = !m->other[i];
		else
			sept_move_back(sept, &reserve, BASE + at, dst, src, nr);
	}
	sept_unreserve(&reserve);
}

static void model_check(struct model *m)
{
	struct sept_page page;
	unsigned long at;

	rig_check(m->rig, BASE, END);
	for (at = 0; at < BLOCKS * PAGES && m->rig->test->status != KUNIT_FAILURE; at++) {
		bool mapped = sept_lookup(&m->rig->td.sept, BASE + at, &page);

		KUNIT_EXPECT_EQ(m->rig->test, mapped, m->mapped[at]);
		if (mapped)
			KUNIT_EXPECT_EQ(m->rig->test,
					page.pfn + (at & (sept_level_pages(page.level) - 1)),
					model_pfn(m, at));
		if (m->tag[at])
			KUNIT_EXPECT_EQ(m->rig->test, rig_read(model_pfn(m, at)), m->tag[at]);
	}
}

static void model_step(struct model *m)
{
	static void (* const ops[])(struct model *m) = {
		model_map, model_map, model_map, model_map_all, model_unmap, model_accept,
		model_block, model_merge, model_merge, model_split, model_move,
	};

	ops[below(m, ARRAY_SIZE(ops))](m);
}

static struct model *model_create(struct kunit *test, u64 seed)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	prandom_seed_state(&m->rnd, seed);
	m->rig = running(test);
	for (i = 0; i < BLOCKS; i++) {
		m->pfn[0][i] = alloc_block(test);
		m->pfn[1][i] = alloc_block(test);
	}
	return m;
}

static void model_destroy(struct model *m)
{
	unsigned int i;

	rig_destroy(m->rig);
	for (i = 0; i < BLOCKS; i++) {
		free_block(m->pfn[0][i]);
		free_block(m->pfn[1][i]);
	}
}

static void model_run(struct model *m, unsigned int steps)
{
	while (steps-- && m->rig->test->status != KUNIT_FAILURE) {
		model_step(m);
		model_check(m);
	}
}

#define STEPS	(IS_ENABLED(CONFIG_KASAN) ? 50 : 250)

static void random_steps(struct kunit *test)
{
	struct model *m = model_create(test, 1);

	model_run(m, STEPS);
	/* it was worth something */
	KUNIT_EXPECT_GT(test, atomic_long_read(&m->rig->td.sept.stats.splits), 0);
	KUNIT_EXPECT_GT(test, atomic_long_read(&m->rig->td.sept.stats.moves), 0);
	KUNIT_EXPECT_GT(test, atomic_long_read(&m->rig->td.sept.stats.merges), 0);
	model_destroy(m);
}

/* Half of the calls that take a lock find it taken, first of all. */
static struct rnd_state busy_rnd;
static unsigned int busy_calls;

static u64 busy_call(u64 fn, struct tdx_module_args *args)
{
	if (prandom_u32_state(&busy_rnd) % 2 && fn != TDH_MEM_SEPT_RD) {
		busy_calls++;
		return TDX_OPERAND_BUSY | OPERAND_SEPT_TREE;
	}
	return tdxmod_call(fn, args);
}

static void random_steps_busy(struct kunit *test)
{
	struct model *m = model_create(test, 2);

	prandom_seed_state(&busy_rnd, 3);
	kunit_activate_static_stub(test, tdx_backend_call, busy_call);
	model_run(m, STEPS);
	kunit_deactivate_static_stub(test, tdx_backend_call);
	KUNIT_EXPECT_GT(test, busy_calls, 100);
	model_destroy(m);
}

/* So busy that a fault gives up, and a removal keeps the vCPUs out. */
static unsigned int busy_for;

static u64 very_busy_call(u64 fn, struct tdx_module_args *args)
{
	if (busy_for) {
		busy_for--;
		return TDX_OPERAND_BUSY | OPERAND_SEPT_TREE;
	}
	return tdxmod_call(fn, args);
}

static void long_busy(struct kunit *test)
{
	struct rig *rig = running(test);
	unsigned long pfn = alloc_block(test);

	kunit_activate_static_stub(test, tdx_backend_call, very_busy_call);
	busy_for = 1000;
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), -EAGAIN);
	EXPECT_NO_PAGE(rig, BASE);
	busy_for = 0;
	KUNIT_EXPECT_EQ(test, rig_map(rig, BASE, pfn, TDX_LEVEL_2M), 0);
	busy_for = 100000;
	rig_unmap(rig, BASE, BASE + PAGES);
	KUNIT_EXPECT_EQ(test, busy_for, 0);
	EXPECT_NO_PAGE(rig, BASE);
	kunit_deactivate_static_stub(test, tdx_backend_call);
	rig_check(rig, BASE, BASE + PAGES);
	rig_destroy(rig);
	free_block(pfn);
}

/* Every allocation fails in turn: the operation is not begun, and nothing has changed. */
static unsigned int fail_nth;

static struct sept_table *fail_alloc(gfp_t gfp)
{
	struct sept_table *table;
	struct kunit *test = kunit_get_current_test();

	if (fail_nth && !--fail_nth)
		return NULL;
	kunit_deactivate_static_stub(test, sept_alloc_table);
	table = sept_alloc_table(gfp);
	kunit_activate_static_stub(test, sept_alloc_table, fail_alloc);
	return table;
}

static void random_steps_nomem(struct kunit *test)
{
	struct model *m = model_create(test, 4);
	struct sept *sept = &m->rig->td.sept;
	unsigned int steps, failed = 0;
	struct sept_reserve all;

	kunit_activate_static_stub(test, sept_alloc_table, fail_alloc);
	for (steps = STEPS; steps && test->status != KUNIT_FAILURE; steps--) {
		/* what others have left is not to help */
		KUNIT_ASSERT_EQ(test, sept_reserve(sept, &all,
						   sept->nr_pool - sept->nr_reserved,
						   GFP_KERNEL), 0);
		fail_nth = 1 + below(m, 3);
		model_step(m);
		failed += !fail_nth;
		fail_nth = 0;
		sept_unreserve(&all);
		model_check(m);
	}
	kunit_deactivate_static_stub(test, sept_alloc_table);
	KUNIT_EXPECT_GT(test, failed, 5);
	model_destroy(m);
}

static struct kunit_case sept_cases[] = {
	KUNIT_CASE(map_rules),
	KUNIT_CASE(drop_table),
	KUNIT_CASE(unmap_part),
	KUNIT_CASE(split),
	KUNIT_CASE(merge),
	KUNIT_CASE(merge_not_contiguous),
	KUNIT_CASE(move),
	KUNIT_CASE(move_keeps_small),
	KUNIT_CASE(add),
	KUNIT_CASE(teardown),
	KUNIT_CASE_SLOW(random_steps),
	KUNIT_CASE_SLOW(random_steps_busy),
	KUNIT_CASE(long_busy),
	KUNIT_CASE_SLOW(random_steps_nomem),
	{}
};

static struct kunit_suite sept_suite = {
	.name = "tdx_sept",
	.test_cases = sept_cases,
};

kunit_test_suite(sept_suite);
