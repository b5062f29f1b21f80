// SPDX-License-Identifier: GPL-2.0
/*
 * See rig.h.  rig_check() compares three opinions of a range: the mirror's, the S-EPT's
 * by SEPT.RD, and the page metadata's.
 */
#include <linux/gfp.h>
#include <linux/mm.h>

#include "rig.h"
#include "../../../virt/tdxmod/internal.h"

static struct rig *to_rig(struct sept *sept)
{
	return container_of(sept, struct rig, td.sept);
}

static void rig_kick(struct sept *sept)
{
	to_rig(sept)->kicks++;
}

static void rig_hold(struct sept *sept, bool on)
{
	to_rig(sept)->holds += on ? 1 : -1;
}

static void rig_broken(struct sept *sept)
{
	struct rig *rig = to_rig(sept);

	rig->broken++;
	KUNIT_FAIL(rig->test, "the module has refused a call that must succeed");
}

static void rig_full(struct sept *sept, gfn_t gfn, int level)
{
	to_rig(sept)->full++;
}

static const struct sept_ops rig_ops = {
	.kick = rig_kick, .hold = rig_hold, .broken = rig_broken, .full = rig_full,
};

/* TD_PARAMS of a TD of four levels; offsets are those of the module's interface. */
static unsigned long rig_params(void)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	void *params;

	if (!page)
		return 0;
	params = page_address(page);
	*(u64 *)(params + 8) = 3;
	*(u16 *)(params + 16) = 4;
	*(u64 *)(params + 24) = 6 | 3 << 3;
	*(u16 *)(params + 40) = 40;
	return page_to_pfn(page);
}

static s64 rig_misuse(struct rig *rig)
{
	return atomic64_read(&tdxmod_stats(rig->mod)->misuse);
}

/* A TD with a vCPU, not finalised. */
struct rig *rig_create(struct kunit *test)
{
	struct rig *rig = kunit_kzalloc(test, sizeof(*rig), GFP_KERNEL);
	unsigned long params = rig_params();
	u64 status;

	KUNIT_ASSERT_NOT_NULL(test, rig);
	KUNIT_ASSERT_NE(test, params, 0);
	KUNIT_ASSERT_EQ(test, tdx_enable_module(), 0);
	rig->test = test;
	rig->mod = tdxmod_host();
	KUNIT_ASSERT_NOT_NULL(test, rig->mod);
	rig->misuse = rig_misuse(rig);
	KUNIT_ASSERT_EQ(test, td_create(&rig->td, &rig_ops, 3, params, &status), 0);
	__free_page(pfn_to_page(params));
	KUNIT_ASSERT_EQ(test, td_add_vcpu(&rig->td, &rig->vcpu, 0, &status), 0);
	return rig;
}

void rig_finalize(struct rig *rig)
{
	u64 status;

	KUNIT_ASSERT_EQ(rig->test, td_finalize(&rig->td, &status), 0);
}

/* The module must have seen no call that a correct host does not make. */
void rig_destroy(struct rig *rig)
{
	KUNIT_EXPECT_TRUE(rig->test, tdxmod_check(rig->mod));
	td_destroy(&rig->td);
	td_free(&rig->td);
	KUNIT_EXPECT_EQ(rig->test, rig->broken, 0);
	KUNIT_EXPECT_EQ(rig->test, rig->holds, 0);
	KUNIT_EXPECT_EQ(rig->test, rig_misuse(rig), rig->misuse);
	KUNIT_EXPECT_EQ(rig->test, atomic64_read(&tdxmod_stats(rig->mod)->broken), 0);
}

int rig_map(struct rig *rig, gfn_t gfn, unsigned long pfn, int level)
{
	struct sept *sept = &rig->td.sept;
	struct sept_reserve reserve;
	int r;

	r = sept_reserve(sept, &reserve, SEPT_MAP_RESERVE, GFP_KERNEL);
	if (!r) {
		down_read(&sept->lock);
		r = sept_map(sept, &reserve, gfn, pfn, level);
		up_read(&sept->lock);
	}
	sept_unreserve(&reserve);
	return r;
}

void rig_unmap(struct rig *rig, gfn_t start, gfn_t end)
{
	struct sept_reserve reserve;
	int r;

	r = sept_reserve(&rig->td.sept, &reserve, sept_unmap_reserve(start, end), GFP_KERNEL);
	if (!r)
		sept_unmap(&rig->td.sept, &reserve, start, end);
	sept_unreserve(&reserve);
}

void rig_block(struct rig *rig, gfn_t start, gfn_t end)
{
	struct sept_reserve reserve;
	int r;

	r = sept_reserve(&rig->td.sept, &reserve, sept_block_reserve(start, end), GFP_KERNEL);
	if (!r)
		sept_block(&rig->td.sept, &reserve, start, end);
	sept_unreserve(&reserve);
}

void rig_unblock(struct rig *rig, gfn_t start, gfn_t end)
{
	down_write(&rig->td.sept.lock);
	sept_unblock(&rig->td.sept, start, end);
	up_write(&rig->td.sept.lock);
}

/* The guest accepts a page: true if it has it now, or had it before. */
bool rig_accept(struct rig *rig, gfn_t gfn, int level)
{
	struct tdxmod_regs regs = { .rax = TDG_MEM_PAGE_ACCEPT, .rcx = PFN_PHYS(gfn) | level };
	struct tdxmod_td *td = tdxmod_find_td(rig->mod, PFN_PHYS(rig->td.tdr));
	enum tdxmod_outcome outcome;
	struct tdxmod_exit exit;
	struct tdxmod_regs in = regs;

	do {
		regs = in;
		outcome = tdxmod_tdcall(td, NULL, &regs, &exit);
		cond_resched();
	} while (outcome == TDXMOD_RESUME);
	return outcome == TDXMOD_RETURN && !tdx_failed(regs.rax);
}

/* The guest's view of its memory; the host's has no private pages. */
u64 rig_read(unsigned long pfn)
{
	return phys_read64(PFN_PHYS(pfn));
}

void rig_write(unsigned long pfn, u64 value)
{
	phys_write64(PFN_PHYS(pfn), value);
}

/* RDX and RCX of SEPT.RD, as facts about an entry */
#define RIG_LEVEL	GENMASK_ULL(2, 0)
#define RIG_STATE	GENMASK_ULL(15, 8)
#define RIG_FREE	0x00
#define RIG_BLOCKED	0x01
#define RIG_MAPPED	0x04
#define RIG_PENDING	0x02
#define RIG_PENDING_BLOCKED 0x03

/*
 * What the S-EPT has for @gfn: the level and state of the entry that a walk ends at, which
 * the module tells also if that is not where the walk was to end.
 */
static u64 rig_walk(struct rig *rig, gfn_t gfn, int *level, unsigned long *pfn)
{
	u64 entry, state, status;

	status = tdh_mem_sept_rd(rig->td.tdr, gfn, TDX_LEVEL_4K, &entry, &state);
	if (tdx_status(status) != TDX_EPT_WALK_FAILED)
		KUNIT_EXPECT_EQ(rig->test, status, 0);
	*level = state & RIG_LEVEL;
	*pfn = (entry & GENMASK_ULL(51, 12)) >> PAGE_SHIFT;
	return (state & RIG_STATE) >> 8;
}

static void rig_check_page(struct rig *rig, gfn_t gfn, const struct sept_page *page,
			   u64 state, int level, unsigned long pfn)
{
	bool blocked = state == RIG_BLOCKED || state == RIG_PENDING_BLOCKED;
	struct tdxmod_page_info info;

	KUNIT_EXPECT_EQ(rig->test, level, page->level);
	KUNIT_EXPECT_EQ(rig->test, blocked, page->blocked);
	/* an interrupted ACCEPT leaves its progress there, and none is here */
	KUNIT_EXPECT_EQ(rig->test, pfn, page->pfn);
	KUNIT_EXPECT_TRUE(rig->test, blocked || state == RIG_MAPPED || state == RIG_PENDING);
	KUNIT_EXPECT_TRUE(rig->test, tdxmod_page_info(rig->mod, PFN_PHYS(page->pfn),
						      page->level, &info));
	KUNIT_EXPECT_EQ(rig->test, info.type, PAMT_REG);
	KUNIT_EXPECT_EQ(rig->test, info.owner, PFN_PHYS(rig->td.tdr));
}

/* All that is known of the pages of a range must be the same. */
void rig_check(struct rig *rig, gfn_t start, gfn_t end)
{
	struct sept_page page;
	unsigned long pfn;
	int level;
	u64 state;
	gfn_t gfn;

	for (gfn = start; gfn < end;
	     gfn = sept_level_start(gfn, level) + sept_level_pages(level)) {
		state = rig_walk(rig, gfn, &level, &pfn);
		if (sept_lookup(&rig->td.sept, gfn, &page))
			rig_check_page(rig, gfn, &page, state, level, pfn);
		else
			KUNIT_EXPECT_EQ(rig->test, state, RIG_FREE);
		if (rig->test->status == KUNIT_FAILURE)
			break;
	}
}

/* How often has a leaf been called, whatever came of it? */
s64 rig_calls(struct rig *rig, enum tdxmod_leaf leaf)
{
	const struct tdxmod_stats *stats = tdxmod_stats(rig->mod);
	s64 calls = 0;
	int i;

	for (i = 0; i < TDXMOD_NR_STATUSES; i++)
		calls += atomic64_read(&stats->calls[leaf][i]);
	return calls;
}
