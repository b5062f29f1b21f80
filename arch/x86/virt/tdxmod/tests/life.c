// SPDX-License-Identifier: GPL-2.0
/*
 * What a TD goes through: calls that belong together, and what they leave behind.
 */
#define BUSY(operand)	(TDX_OPERAND_BUSY | OPERAND_##operand)
#define INVALID(operand) (TDX_OPERAND_INVALID | OPERAND_##operand)

static void aug(u64 gpa, int level, u64 page)
{
	CHECK_EQ(call(TDH_MEM_PAGE_AUG, gpa | level, TDR, page, 0), 0);
}

static u16 *page_lock(u64 pa)
{
	return &pamt_entry(mod, pa, TDXMOD_LEVEL_4K)->lock;
}

/* --- life and death -------------------------------------------------------- */

static void die(void)
{
	CHECK_EQ(call(TDH_VP_FLUSH, TDVPR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_VP_FLUSH, TDVPR, 0, 0, 0), TDX_VCPU_NOT_ASSOCIATED);
	CHECK_EQ(call(TDH_MNG_VPFLUSHDONE, TDR, 0, 0, 0), 0);
}

static void life_whole(void)
{
	u64 page;

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	td_run();
	aug(GPA, 0, PAGES);
	CHECK_EQ(call(TDH_MNG_VPFLUSHDONE, TDR, 0, 0, 0), TDX_FLUSHVP_NOT_DONE);
	CHECK_EQ(call(TDH_PHYMEM_PAGE_RECLAIM, PAGES, 0, 0, 0), TDX_LIFECYCLE_STATE_INCORRECT);
	CHECK_EQ(last.rcx, PAMT_REG);
	CHECK_EQ(last.rdx, TDR);
	die();
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA, TDR, 0, 0), TDX_TD_KEYS_NOT_CONFIGURED);
	CHECK_EQ(call(TDH_MNG_KEY_FREEID, TDR, 0, 0, 0), TDX_WBCACHE_NOT_COMPLETE);
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 1, 0, 0, 0), TDX_WBCACHE_RESUME_ERROR);
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 2, 0, 0, 0), INVALID(RCX));
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0), 0);
	/* again, as long as the key is flushed */
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_CREATE, PAGES + TDXMOD_PAGE, HKID, 0, 0), TDX_HKID_NOT_FREE);
	CHECK_EQ(call(TDH_MNG_KEY_FREEID, TDR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0), TDX_NO_HKID_READY_TO_WBCACHE);
	CHECK_EQ(call(TDH_PHYMEM_PAGE_RECLAIM, TDR, 0, 0, 0), TDX_TD_ASSOCIATED_PAGES_EXIST);
	CHECK_EQ(call(TDH_PHYMEM_PAGE_RECLAIM, PAGES, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_PHYMEM_PAGE_RDMD, PAGES, 0, 0, 0), 0);
	CHECK_EQ(last.rcx, PAMT_NDA);
	CHECK_EQ(last.rdx, TDR);
	for (page = TDCX; page < TABLES + 3 * TDXMOD_PAGE; page += TDXMOD_PAGE) {
		struct tdxmod_page_info info;

		if (tdxmod_page_info(mod, page, 0, &info) && info.type != PAMT_NDA)
			CHECK_EQ(call(TDH_PHYMEM_PAGE_RECLAIM, page, 0, 0, 0), 0);
	}
	CHECK_EQ(call(TDH_PHYMEM_PAGE_WBINVD, TDR, 0, 0, 0),
		 TDX_PAGE_METADATA_INCORRECT | OPERAND_RCX);
	CHECK_EQ(call(TDH_PHYMEM_PAGE_RECLAIM, TDR, 0, 0, 0), 0);
	CHECK_EQ(last.rcx, PAMT_TDR);
	page = TDR | (u64)HKID << mod->config.hkid_shift;
	CHECK_EQ(call(TDH_PHYMEM_PAGE_WBINVD, page, 0, 0, 0), 0);
	/* and again, with the same pages */
	td_init();
	td_run();
	machine_stop();
}

/* A TD can be given up at any point; even before it has its key. */
static void life_short(void)
{
	machine_start(NULL);
	CHECK_EQ(call(TDH_MNG_CREATE, TDR, HKID, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_ADDCX, TDCX, TDR, 0, 0), TDX_TD_KEYS_NOT_CONFIGURED);
	CHECK_EQ(call(TDH_MNG_KEY_FREEID, TDR, 0, 0, 0), TDX_LIFECYCLE_STATE_INCORRECT);
	CHECK_EQ(call(TDH_MNG_VPFLUSHDONE, TDR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_KEY_CONFIG, TDR, 0, 0, 0), TDX_LIFECYCLE_STATE_INCORRECT);
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_KEY_FREEID, TDR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_PHYMEM_PAGE_RECLAIM, TDR, 0, 0, 0), 0);
	machine_stop();
}

static void life_keys(void)
{
	struct tdxmod_config config = machine_config();

	config.packages = 2;
	config.wbcache_blocks = 3;
	machine_start(&config);
	CHECK_EQ(call(TDH_MNG_CREATE, TDR, 0x14, 0, 0), INVALID(RDX));
	CHECK_EQ(call(TDH_MNG_CREATE, TDR, 0x10000 | HKID, 0, 0), INVALID(RDX));
	CHECK_EQ(call(TDH_MNG_CREATE, TDR, 0x40, 0, 0), INVALID(RDX));
	CHECK_EQ(call(TDH_MNG_CREATE, TDR, 0x20, 0, 0), TDX_HKID_NOT_FREE);
	CHECK_EQ(call(TDH_MNG_CREATE, TDR | 8, HKID, 0, 0), INVALID(RCX));
	CHECK_EQ(call(TDH_MNG_CREATE, BEYOND, HKID, 0, 0),
		 TDX_OPERAND_ADDR_RANGE_ERROR | OPERAND_RCX);
	CHECK_EQ(call(TDH_MNG_CREATE, TDR, HKID, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_KEY_CONFIG, TDR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_KEY_CONFIG, TDR, 0, 0, 0), TDX_KEY_CONFIGURED);
	CHECK_EQ(call(TDH_MNG_ADDCX, TDCX, TDR, 0, 0), TDX_TD_KEYS_NOT_CONFIGURED);
	sim.package = 1;
	CHECK_EQ(call(TDH_MNG_KEY_CONFIG, TDR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_VPFLUSHDONE, TDR, 0, 0, 0), 0);

	/* interrupted twice on this package */
	sim.polls = 0;
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0), TDX_INTERRUPTED_RESUMABLE);
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 1, 0, 0, 0), TDX_INTERRUPTED_RESUMABLE);
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 1, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 1, 0, 0, 0), TDX_WBCACHE_RESUME_ERROR);
	CHECK_EQ(call(TDH_MNG_KEY_FREEID, TDR, 0, 0, 0), TDX_WBCACHE_NOT_COMPLETE);
	sim.package = 0;
	sim.polls = SIM_NEVER;
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_KEY_FREEID, TDR, 0, 0, 0), 0);
	machine_stop();
}

static void life_params(void)
{
	static const struct { u64 offset, value, status; } bad[] = {
		{ 0, BIT_ULL(7), INVALID(ATTRIBUTES) },
		{ 8, 1, INVALID(XFAM) }, { 8, 0x103, INVALID(XFAM) },
		{ 16, 0, INVALID(MAX_VCPUS) },
		{ 16, 0x10004, INVALID(NUM_L2_VMS) },
		{ 16, 0x1000004, INVALID(RDX) }, { 16, 0x100000004, INVALID(RDX) },
		{ 24, 0x1c, INVALID(EPTP_CONTROLS) }, { 24, 0x16, INVALID(EPTP_CONTROLS) },
		{ 24, 0x5e, INVALID(EPTP_CONTROLS) }, { 24, 0x2e, INVALID(EPTP_CONTROLS) },
		{ 32, 4, INVALID(EXEC_CONTROLS) }, { 32, 1, INVALID(EXEC_CONTROLS) },
		{ 40, 3, INVALID(TSC_FREQUENCY) }, { 40, 401, INVALID(TSC_FREQUENCY) },
		{ 48, 1, INVALID(RDX) }, { 232, 1, INVALID(RDX) },
		{ 224, 1, INVALID(ARCH_CAPS) },
		{ 256, 1, INVALID(CPUID_CONFIG) }, { 1016, 1, INVALID(CPUID_CONFIG) },
	};
	struct tdxmod_config config = machine_config();
	unsigned int i;

	config.attributes = TD_DEBUG;
	config.xfam = 0xff;
	machine_start(&config);
	td_create();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		td_params(TD_DEBUG);
		phys_write64(PARAMS + bad[i].offset, bad[i].value);
		CHECK_EQ(call(TDH_MNG_INIT, TDR, PARAMS, 0, 0), bad[i].status);
		CHECK_EQ(last.rcx, 0);
	}
	td_params(TD_DEBUG);
	CHECK_EQ(call(TDH_MNG_INIT, TDR, PARAMS + 512, 0, 0), INVALID(RDX));
	CHECK_EQ(call(TDH_MNG_INIT, TDR, mod->config.seamrr.base, 0, 0), INVALID(RDX));
	CHECK_EQ(call(TDH_MNG_INIT, TDR, PARAMS | (u64)HKID << 46, 0, 0), INVALID(RDX));
	CHECK_EQ(call(TDH_MNG_INIT, TDR, PARAMS, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_INIT, TDR, PARAMS, 0, 0), TDX_OP_STATE_INCORRECT);
	machine_stop();
}

/* Five levels, and 52 bits of address. */
static void life_five_levels(void)
{
	machine_start(NULL);
	td_create();
	td_params(TD_DEBUG);
	phys_write64(PARAMS + 24, 0x26);
	phys_write64(PARAMS + 32, 1);
	CHECK_EQ(call(TDH_MNG_INIT, TDR, PARAMS, 0, 0), 0);
	CHECK_EQ(call(TDH_MEM_SEPT_ADD, 0x4000000000000 | 4, TDR, TABLES, 0), 0);
	CHECK_EQ(call(TDH_MEM_SEPT_ADD, 0x4000000000000 | 3, TDR, TABLES + 0x1000, 0), 0);
	CHECK_EQ(call(TDH_MEM_SEPT_RD, 0x4000000000000 | 2, TDR, 0, 0), 0);
	CHECK_EQ(call(TDH_MEM_SEPT_RD, 0x8000000000000 | 2, TDR, 0, 0), INVALID(RCX));
	CHECK_EQ(call(TDH_MEM_SEPT_RD, 5, TDR, 0, 0), INVALID(RCX));
	machine_stop();
}

/* --- dispatch -------------------------------------------------------------- */

static void life_leaves(void)
{
	unsigned int leaf;

	machine_start(NULL);
	for (leaf = 0; leaf < 100; leaf++) {
		u64 status = call(leaf | 9 << 16, 0, 0, 0, 0);

		CHECK_EQ(status, INVALID(RAX));
		if (!tdxmod_leaf_name(leaf))
			CHECK_EQ(call(leaf, 0, 0, 0, 0), INVALID(RAX));
	}
	CHECK_EQ(call(TDH_MEM_TRACK | BIT_ULL(24), 0, 0, 0, 0), INVALID(RAX));
	CHECK_EQ(call(TDH_MNG_KEY_RECLAIMID, 0, 0, 0, 0), 0);
	tdxmod_shutdown(mod);
	CHECK_EQ(call(TDH_MNG_KEY_RECLAIMID, 0, 0, 0, 0), TDX_SYS_SHUTDOWN);
	machine_stop();
}

static void life_tdmr(void)
{
	struct tdxmod_config config = machine_config();
	u64 next;

	config.tdmrs_ready = false;
	machine_start(&config);
	next = mod->tdmrs[0].base;
	CHECK_EQ(call(TDH_SYS_TDMR_INIT, TDR + 0x1000, 0, 0, 0), INVALID(RCX));
	while (next < mod->tdmrs[0].base + 0x40000000) {
		CHECK_EQ(call(TDH_MNG_CREATE, TDR, HKID, 0, 0),
			 TDX_OPERAND_ADDR_RANGE_ERROR | OPERAND_RCX);
		CHECK_EQ(call(TDH_SYS_TDMR_INIT, mod->tdmrs[0].base, 0, 0, 0), 0);
		next += 1024 * TDXMOD_PAGE;
		CHECK_EQ(last.rdx, next);
	}
	CHECK_EQ(call(TDH_MNG_CREATE, TDR, HKID, 0, 0), 0);
	CHECK_EQ(call(TDH_PHYMEM_PAGE_RDMD, HUGE_PAGE, 0, 0, 0),
		 TDX_OPERAND_ADDR_RANGE_ERROR | OPERAND_RCX);
	while (!call(TDH_SYS_TDMR_INIT, mod->tdmrs[0].base, 0, 0, 0))
		;
	CHECK_EQ(last.rax, TDX_TDMR_ALREADY_INITIALIZED);
	CHECK_EQ(call(TDH_PHYMEM_PAGE_RDMD, HUGE_PAGE, 0, 0, 0), 0);
	machine_stop();
}

static void life_version_1(void)
{
	machine_start(NULL);
	td_init();
	CHECK_EQ(call(TDH_MEM_SEPT_ADD | 1 << 16, 3, TDR, ~0ULL, 0), INVALID(R8));
	CHECK_EQ(call(TDH_MEM_SEPT_ADD | 1 << 16, 3, TDR, TABLES, 5), 0);
	CHECK_EQ(last.r8, ~0ULL);
	CHECK_EQ(last.r9, BIT_ULL(63) | 5);
	CHECK_EQ(call(TDH_MEM_SEPT_ADD | 1 << 16, 3, TDR | 1, TABLES, 0), 0);
	CHECK_EQ(last.r8, BIT_ULL(63) | TABLES);
	CHECK_EQ(call(TDH_MEM_SEPT_ADD, 3, TDR | 2, TABLES, 0), INVALID(RDX));
	CHECK_EQ(call(TDH_MEM_SEPT_REMOVE | 1 << 16, 3, TDR, 0, 0), 0);
	CHECK_EQ(last.rcx, TABLES);
	CHECK_EQ(last.r9 & last.r10 & last.r11, ~0ULL);
	machine_stop();
}

static void life_stats(void)
{
	const struct tdxmod_stats *stats;
	int busy = tdxmod_status_index(TDX_OPERAND_BUSY | 7);

	machine_start(NULL);
	stats = tdxmod_stats(mod);
	td_init();
	CHECK_EQ(atomic64_read(&stats->misuse), 0);
	CHECK_EQ(atomic64_read(&stats->calls[TDH_MNG_ADDCX][0]), TDXMOD_MIN_TDCX);
	*page_lock(TDR) = TDXMOD_LOCK_EXCLUSIVE;
	CHECK_EQ(call(TDH_MEM_TRACK, TDR, 0, 0, 0), BUSY(RCX));
	*page_lock(TDR) = 0;
	CHECK_EQ(atomic64_read(&stats->calls[TDH_MEM_TRACK][busy]), 1);
	CHECK_EQ(atomic64_read(&stats->misuse), 0);
	/* who only looks is not to blame, who acts is */
	CHECK(call(TDH_MEM_SEPT_RD, GPA, TDR, 0, 0));
	CHECK_EQ(atomic64_read(&stats->misuse), 0);
	CHECK(call(TDH_MEM_RANGE_BLOCK, GPA, TDR, 0, 0));
	CHECK_EQ(atomic64_read(&stats->misuse), 1);
	CHECK(call(1000, 0, 0, 0, 0));
	CHECK_EQ(atomic64_read(&stats->unknown), 1);
	machine_stop();
}

/* --- epochs ---------------------------------------------------------------- */

static void epoch_tracking(void)
{
	u64 epoch = 0, other = 0;
	bool flush;

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	td_run();
	aug(GPA, 0, PAGES);
	CHECK(tdxmod_epoch_enter(the_td(), &epoch, true, &flush));
	CHECK(!flush);
	CHECK_EQ(call(TDH_MEM_RANGE_BLOCK, GPA, TDR, 0, 0), 0);
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA, TDR, 0, 0),
		 TDX_TLB_TRACKING_NOT_DONE | OPERAND_RCX);
	CHECK_EQ(call(TDH_MEM_TRACK, TDR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA, TDR, 0, 0),
		 TDX_TLB_TRACKING_NOT_DONE | OPERAND_RCX);
	CHECK_EQ(call(TDH_MEM_TRACK, TDR, 0, 0, 0), TDX_PREVIOUS_TLB_EPOCH_BUSY);
	/* one that enters now does not count */
	CHECK(tdxmod_epoch_enter(the_td(), &other, true, &flush));
	tdxmod_epoch_leave(the_td(), epoch);
	CHECK(tdxmod_epoch_enter(the_td(), &epoch, false, &flush));
	CHECK(flush);
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA, TDR, 0, 0), 0);
	CHECK_EQ(last.rcx, PAGES);
	machine_stop();
}

/* One TRACK for all that is blocked. */
static void epoch_batch(void)
{
	u64 i;

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	td_run();
	for (i = 0; i < 16; i++)
		aug(GPA + i * TDXMOD_PAGE, 0, PAGES + i * TDXMOD_PAGE);
	for (i = 0; i < 16; i++)
		CHECK_EQ(call(TDH_MEM_RANGE_BLOCK, GPA + i * TDXMOD_PAGE, TDR, 0, 0), 0);
	CHECK_EQ(call(TDH_MEM_TRACK, TDR, 0, 0, 0), 0);
	for (i = 0; i < 16; i++)
		CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA + i * TDXMOD_PAGE, TDR, 0, 0), 0);
	machine_stop();
}

/* --- content --------------------------------------------------------------- */

static void content_moves(void)
{
	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	phys_write64(SOURCE, 0x1111);
	phys_write64(SOURCE + 4088, 0x2222);
	CHECK_EQ(call(TDH_MEM_PAGE_ADD, GPA, TDR, PAGES, SOURCE), 0);
	CHECK_EQ(call(TDH_MEM_PAGE_RELOCATE, GPA, TDR, PAGES, 0), INVALID(R8));
	CHECK_EQ(call(TDH_MEM_PAGE_RELOCATE, GPA, TDR, PAGES + 0x5000, 0), 0);
	CHECK_EQ(last.rcx, PAGES);
	CHECK_EQ(call(TDH_MEM_RD, GPA, TDR, 0, 0), 0);
	CHECK_EQ(last.r8, 0x1111);
	CHECK_EQ(call(TDH_MEM_WR, GPA + 4088, TDR, 0x3333, 0), 0);
	CHECK_EQ(last.r8, 0x2222);
	CHECK_EQ(phys_read64(PAGES + 0x5000 + 4088), 0x3333);
	machine_stop();
}

static void content_accept(void)
{
	struct tdxmod_regs regs = { .rax = TDG_MEM_PAGE_ACCEPT, .rcx = GPA | 1 };
	struct tdxmod_exit exit;

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_2M);
	td_run();
	aug(GPA, 1, LARGE_PAGES);
	phys_write64(LARGE_PAGES, 1);
	phys_write64(LARGE_PAGES + 511 * TDXMOD_PAGE, 1);
	CHECK_EQ(phys_read64(LARGE_PAGES), 1);
	/* a small ACCEPT leaves to the host */
	CHECK_EQ(accept_page(GPA, &exit), ~0ULL);
	CHECK_EQ(exit.extended, 0x0000408800000001ULL);
	CHECK_EQ(exit.qualification, 2);
	sim.polls = 9;
	CHECK_EQ(tdxmod_tdcall(the_td(), NULL, &regs, &exit), TDXMOD_RESUME);
	CHECK_EQ(regs.rax, TDG_MEM_PAGE_ACCEPT);
	/* progress shows in the address */
	CHECK_EQ(td_entry(GPA, 1), 0x80000000000000f0 | LARGE_PAGES | 10 << 12);
	CHECK_EQ(phys_read64(LARGE_PAGES), 0);
	CHECK_EQ(phys_read64(LARGE_PAGES + 511 * TDXMOD_PAGE), 1);
	/* and is lost when the page is blocked */
	CHECK_EQ(call(TDH_MEM_RANGE_BLOCK, GPA | 1, TDR, 0, 0), 0);
	CHECK_EQ(td_entry(GPA, 1), 0x80000000000000f0 | LARGE_PAGES);
	CHECK_EQ(tdxmod_tdcall(the_td(), NULL, &regs, &exit), TDXMOD_EXIT);
	CHECK_EQ(call(TDH_MEM_TRACK, TDR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MEM_RANGE_UNBLOCK, GPA | 1, TDR, 0, 0), 0);
	CHECK_EQ(td_entry(GPA, 1), 0x80000000000000f0 | LARGE_PAGES);
	sim.polls = SIM_NEVER;
	CHECK_EQ(accept_page(GPA | 1, NULL), 0);
	CHECK_EQ(phys_read64(LARGE_PAGES + 511 * TDXMOD_PAGE), 0);
	CHECK_EQ(accept_page(GPA | 1, NULL), TDX_PAGE_ALREADY_ACCEPTED | 1);
	CHECK_EQ(accept_page(GPA, NULL), TDX_PAGE_ALREADY_ACCEPTED | 1);
	machine_stop();
}

/* A page of 1G exists by promotion only, and goes back the same way. */
static void content_1g(void)
{
	u64 i;

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_2M);
	CHECK_EQ(call(TDH_MEM_PAGE_AUG, GPA | 2, TDR, HUGE_PAGE, 0), INVALID(RCX));
	for (i = 0; i < 512; i++) {
		CHECK_EQ(call(TDH_MEM_PAGE_PROMOTE, GPA | 2, TDR, 0, 0),
			 TDX_EPT_INVALID_PROMOTE_CONDITIONS | OPERAND_RCX);
		aug(GPA + i * level_size(1), 1, HUGE_PAGE + i * level_size(1));
	}
	CHECK_EQ(atomic64_read(&the_td()->children), TDXMOD_MIN_TDCX + 2 + 512 * 512);
	CHECK_EQ(call(TDH_MEM_PAGE_PROMOTE, GPA | 2, TDR, 0, 0), 0);
	CHECK_EQ(last.rcx, TABLES + TDXMOD_PAGE);
	CHECK_EQ(td_entry(GPA, 2), 0x80000000000000f0 | HUGE_PAGE);
	CHECK_EQ(call(TDH_PHYMEM_PAGE_RDMD, HUGE_PAGE + 0x5000, 0, 0, 0), 0);
	CHECK_EQ(last.r8, TDXMOD_LEVEL_1G);
	CHECK(tdxmod_check(mod));
	/* not into a table that is a part of it */
	CHECK_EQ(call(TDH_MEM_PAGE_DEMOTE, GPA | 2, TDR, HUGE_PAGE, ~0ULL), BUSY(R8));
	sim.polls = 0;
	CHECK_EQ(call(TDH_MEM_PAGE_DEMOTE, GPA | 2, TDR, PAGES, ~0ULL),
		 TDX_INTERRUPTED_RESTARTABLE);
	CHECK_EQ(last.rcx, GPA | 2);
	CHECK_EQ(last.rdx, TDR);
	sim.polls = SIM_NEVER;
	CHECK_EQ(call(TDH_MEM_PAGE_DEMOTE, GPA | 2, TDR, PAGES, ~0ULL), 0);
	CHECK_EQ(td_entry(GPA + level_size(1), 1),
		 0x80000000000000f0 | (HUGE_PAGE + level_size(1)));
	CHECK_EQ(call(TDH_MEM_PAGE_DEMOTE, GPA | 1, TDR, PAGES + 0x1000, ~0ULL), 0);
	CHECK_EQ(td_entry(GPA + 0x1000, 0), 0x80000000000000f0 | (HUGE_PAGE + 0x1000));
	/* of pages of two sizes nothing is made */
	CHECK_EQ(call(TDH_MEM_PAGE_PROMOTE, GPA | 2, TDR, 0, 0),
		 TDX_EPT_INVALID_PROMOTE_CONDITIONS | OPERAND_RCX);
	sim.polls = 100;
	CHECK_EQ(call(TDH_MEM_PAGE_PROMOTE, GPA | 1, TDR, 0, 0), TDX_INTERRUPTED_RESTARTABLE);
	sim.polls = SIM_NEVER;
	CHECK_EQ(call(TDH_MEM_PAGE_PROMOTE, GPA | 1, TDR, 0, 0), 0);
	machine_stop();
}

/* --- measurement ----------------------------------------------------------- */

/* A TD with what @fill adds to it has the measurement @expected. */
static void check_mrtd(void (*fill)(void), const char *expected)
{
	char mrtd[2 * TDXMOD_MRTD_BYTES + 1];
	unsigned int i;

	machine_start(NULL);
	td_init();
	td_tables(0, TDXMOD_LEVEL_4K);
	fill();
	td_run();
	for (i = 0; i < TDXMOD_MRTD_BYTES; i++)
		snprintf(mrtd + 2 * i, 3, "%02x", tdxmod_td_mrtd(the_td())[i]);
	CHECK(!strcmp(mrtd, expected));
	machine_stop();
}

static void add_page(u64 gpa, u64 page)
{
	CHECK_EQ(call(TDH_MEM_PAGE_ADD, gpa, TDR, page, SOURCE), 0);
}

static void extend_page(u64 gpa)
{
	u64 end = gpa + TDXMOD_PAGE;

	for (; gpa < end; gpa += TDXMOD_CHUNK)
		CHECK_EQ(call(TDH_MR_EXTEND, gpa, TDR, 0, 0), 0);
}

static void fill_nothing(void)
{
}

static void fill_page_only(void)
{
	add_page(0, PAGES);
}

static void fill_zero_page(void)
{
	phys_fill_page(SOURCE, 0);
	add_page(0, PAGES);
	extend_page(0);
}

/* byte i is 7i + 3 */
static void fill_pattern(void)
{
	unsigned int i, j;

	for (i = 0; i < TDXMOD_PAGE; i += 8) {
		u64 word = 0;

		for (j = 0; j < 8; j++)
			word |= (u64)((7 * (i + j) + 3) & 0xff) << (8 * j);
		phys_write64(SOURCE + i, word);
	}
	add_page(0x1000, PAGES);
	extend_page(0x1000);
	add_page(0x2000, PAGES + 0x1000);
}

static void measure_vectors(void)
{
	check_mrtd(fill_nothing,
		   "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b");
	check_mrtd(fill_page_only,
		   "8f3e9a8aca6784eab874f7aa4dda5d49104a88047f1f86695ef2a88f5691a90e34aac48ce45ffa1f5a23c7d62980d570");
	check_mrtd(fill_pattern,
		   "8edb5659741d45ae539c3758a0397f52b9a47c48bb7d73d4bc9525f8743ed411c0d8c6404384939a4473567e8419f1b4");
	check_mrtd(fill_zero_page,
		   "236f0efa607ff8843f1855d7ef80dc3dda8fb455787a186b8787212951eab0096e3193bb26f817c2b63c21f5e10f9938");
}

/* --- whose is a page? ------------------------------------------------------- */

static void check_place(u64 pa, u64 gpa)
{
	struct tdxmod_place place = {};

	CHECK(tdxmod_find_page(mod, pa, &place));
	CHECK_EQ(place.tdr, TDR);
	CHECK(place.mapped);
	CHECK_EQ(place.gpa, gpa);
}

static void find_pages(void)
{
	struct tdxmod_place place = {};

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	CHECK(!tdxmod_find_page(mod, PAGES, &place));
	CHECK(!tdxmod_find_page(mod, TDR, &place));
	CHECK(!tdxmod_find_page(mod, BEYOND, &place));
	aug(GPA + 0x5000, 0, PAGES);
	aug(GPA + 0x1000, 0, PAGES + 0x3000);
	check_place(PAGES + 0x123, GPA + 0x5123);
	check_place(PAGES + 0x3000, GPA + 0x1000);
	CHECK_EQ(call(TDH_MEM_PAGE_AUG, (GPA + level_size(1)) | 1, TDR, LARGE_PAGES, 0), 0);
	check_place(LARGE_PAGES + 0x12345, GPA + level_size(1) + 0x12345);
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA + 0x5000, TDR, 0, 0), 0);
	CHECK(!tdxmod_find_page(mod, PAGES, &place));
	/* the S-EPT of a TD in TEARDOWN says nothing */
	CHECK_EQ(call(TDH_MNG_VPFLUSHDONE, TDR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0), 0);
	check_place(PAGES + 0x3000, GPA + 0x1000);
	CHECK_EQ(call(TDH_MNG_KEY_FREEID, TDR, 0, 0, 0), 0);
	CHECK(tdxmod_find_page(mod, PAGES + 0x3000, &place));
	CHECK_EQ(place.tdr, TDR);
	CHECK(!place.mapped);
	machine_stop();
}

/* --- locks ----------------------------------------------------------------- */

/* Whatever is locked, the call names it, changes nothing, and keeps no lock. */
static void lock_collisions(void)
{
	struct tdxmod_td *td;

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	td = the_td();
#define COLLIDE(lock, status, ...)						\
	do {									\
		u16 *lock_ = (lock);						\
										\
		*lock_ = TDXMOD_LOCK_EXCLUSIVE;					\
		CHECK_EQ(call(__VA_ARGS__), status);				\
		*lock_ = 0;							\
		CHECK(tdxmod_check(mod));					\
	} while (0)
	COLLIDE(page_lock(TDR), BUSY(RDX), TDH_MEM_PAGE_AUG, GPA, TDR, PAGES, 0);
	COLLIDE(&td->op_state_lock, BUSY(OP_STATE), TDH_MEM_PAGE_AUG, GPA, TDR, PAGES, 0);
	COLLIDE(&td->tree_lock, BUSY(SEPT_TREE), TDH_MEM_PAGE_AUG, GPA, TDR, PAGES, 0);
	COLLIDE(page_lock(PAGES), BUSY(R8), TDH_MEM_PAGE_AUG, GPA, TDR, PAGES, 0);
	COLLIDE(&td->epoch_lock, BUSY(TD_EPOCH), TDH_MEM_TRACK, TDR, 0, 0, 0);
	COLLIDE(&mod->kot_lock, BUSY(KOT), TDH_MNG_CREATE, PAGES, HKID + 1, 0, 0);
	COLLIDE(&mod->kot_lock, BUSY(KOT), TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0);
	COLLIDE(&mod->wb_lock[0], BUSY(WBCACHE), TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0);
	aug(GPA, 0, PAGES);
	COLLIDE(page_lock(PAGES), BUSY(RCX), TDH_MEM_PAGE_REMOVE, GPA, TDR, 0, 0);
	/* shared is enough against what wants the tree for itself */
	td->tree_lock = TDXMOD_LOCK_SHARED;
	CHECK_EQ(call(TDH_MEM_RANGE_BLOCK, GPA, TDR, 0, 0), BUSY(SEPT_TREE));
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA, TDR, 0, 0), 0);
	td->tree_lock = 0;
	machine_stop();
}

/* A call can collide with itself, and leaves a mark then. */
static void lock_host_first(void)
{
	struct tdxmod_page_info info;
	u64 pa;

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	CHECK_EQ(call(TDH_MEM_PAGE_AUG, GPA, TDR, TDR, 0), BUSY(R8));
	CHECK(tdxmod_page_info(mod, TDR, 0, &info));
	CHECK_EQ(info.lock, TDXMOD_LOCK_HOST);
	CHECK_EQ(call(TDH_MEM_TRACK, TDR, 0, 0, 0), 0);
	CHECK(tdxmod_page_info(mod, TDR, 0, &info));
	CHECK_EQ(info.lock, 0);

	/* the guest gives way to a host that was refused, until one succeeds */
	aug(GPA, 0, PAGES);
	pa = TABLES + 2 * TDXMOD_PAGE;
	phys_write64(pa, phys_read64(pa) | tdxmod_ept.lock_bit);
	CHECK_EQ(accept_page(GPA, NULL), BUSY(RCX));
	CHECK_EQ(phys_read64(pa) & tdxmod_ept.host_bit, 0);
	CHECK_EQ(call(TDH_MEM_RANGE_BLOCK, GPA, TDR, 0, 0), BUSY(RCX));
	CHECK_EQ(last.rcx, 0x80000000000000f0 | PAGES);
	phys_write64(pa, phys_read64(pa) & ~tdxmod_ept.lock_bit);
	CHECK_EQ(accept_page(GPA, NULL), BUSY(RCX));
	CHECK_EQ(td_entry(GPA, 0), 0x80000000000000f0 | PAGES);
	CHECK_EQ(accept_page(GPA, NULL), 0);
	machine_stop();
}

/* Every allocation of every call that allocates, failing in turn. */
static void lock_no_memory(void)
{
	u32 n;

	machine_start(NULL);
	for (n = 0; ; n++) {
		sim.allocations = n;
		if (!call(TDH_MNG_CREATE, TDR, HKID, 0, 0))
			break;
		CHECK_EQ(last.rax, TDX_RND_NO_ENTROPY);
		CHECK(tdxmod_check(mod));
	}
	CHECK_EQ(n, 3);
	machine_drop();

	machine_start(NULL);
	td_create();
	td_params(TD_DEBUG);
	sim.allocations = 0;
	CHECK_EQ(call(TDH_MNG_INIT, TDR, PARAMS, 0, 0), BUSY(TDR));
	sim.allocations = SIM_NEVER;
	CHECK_EQ(call(TDH_MNG_INIT, TDR, PARAMS, 0, 0), 0);
	sim.allocations = 0;
	CHECK_EQ(call(TDH_VP_CREATE, TDVPR, TDR, 0, 0), BUSY(RCX));
	sim.allocations = SIM_NEVER;
	td_vcpu(TDVPR);
	machine_stop();
}

/* --- vCPUs ----------------------------------------------------------------- */

static struct tdxmod_exit next_exit;
static unsigned int runs;

/* The guest: touches GPA, leaves if that is not there. */
static void run_guest(struct tdxmod_td *td, struct tdxmod_vcpu *vcpu, struct tdxmod_regs *regs,
		      struct tdxmod_exit *exit)
{
	enum tdxmod_outcome outcome;

	runs++;
	/* what a vCPU that runs excludes */
	CHECK_EQ(call(TDH_MR_FINALIZE, TDR, 0, 0, 0), BUSY(RCX));
	CHECK_EQ(call(TDH_VP_FLUSH, TDVPR, 0, 0, 0), BUSY(RCX));
	CHECK_EQ(atomic64_read(&td->inside[td->epoch & 1]), 1);
	if (next_exit.status || next_exit.reason) {
		*exit = next_exit;
		return;
	}
	outcome = tdxmod_guest_access(td, vcpu, GPA, TDXMOD_ACCESS_READ, exit);
	exit->rip = next_exit.rip;
	if (outcome != TDXMOD_EXIT)
		exit->reason = 10 + outcome;
}

static u64 enter(void)
{
	struct tdxmod_regs regs = { .rax = TDH_VP_ENTER, .rcx = TDVPR };
	u64 status = tdxmod_seamcall(mod, &regs);

	last = regs;
	return status;
}

static void vcpu_machine(void)
{
	struct tdxmod_config config = machine_config();

	config.run = run_guest;
	runs = 0;
	next_exit = (struct tdxmod_exit) {};
	machine_start(&config);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
}

static void vcpu_enters(void)
{
	vcpu_machine();
	CHECK_EQ(call(TDH_MR_FINALIZE, TDR, 0, 0, 0), TDX_NO_VCPUS);
	CHECK_EQ(call(TDH_VP_CREATE, TDVPR, TDR, 0, 0), 0);
	CHECK_EQ(call(TDH_VP_INIT, TDVPR, 0, 0, 0), TDX_TDCX_NUM_INCORRECT);
	CHECK_EQ(call(TDH_VP_FLUSH, TDVPR, 0, 0, 0), TDX_TDCX_NUM_INCORRECT);
	CHECK_EQ(enter(), TDX_OP_STATE_INCORRECT);
	td_vcpu(TDVPR + 0x10000);
	CHECK_EQ(call(TDH_MR_FINALIZE, TDR, 0, 0, 0), 0);
	CHECK_EQ(enter(), TDX_TDCX_NUM_INCORRECT);
	machine_stop();

	vcpu_machine();
	td_run();
	CHECK_EQ(enter(), TDXMOD_EXIT_EPT_VIOLATION);
	CHECK_EQ(last.r8, GPA);
	CHECK_EQ(last.rcx, TDXMOD_ACCESS_READ);
	aug(GPA, 0, PAGES);
	/* not accepted: a #VE, and a double fault if the guest has not read it */
	CHECK_EQ(enter(), 10 + TDXMOD_VE);
	CHECK_EQ(enter(), 10 + TDXMOD_DOUBLE_FAULT);
	CHECK_EQ(accept_page(GPA, NULL), 0);
	CHECK_EQ(enter(), 10 + TDXMOD_RESUME);
	sim.lp = 1;
	CHECK_EQ(enter(), TDX_VCPU_ASSOCIATED);
	CHECK_EQ(call(TDH_VP_FLUSH, TDVPR, 0, 0, 0), TDX_VCPU_NOT_ASSOCIATED);
	sim.lp = 0;
	CHECK_EQ(call(TDH_VP_FLUSH, TDVPR, 0, 0, 0), 0);
	sim.lp = 1;
	CHECK_EQ(enter(), 10 + TDXMOD_RESUME);
	the_td()->epoch_lock = TDXMOD_LOCK_EXCLUSIVE;
	CHECK_EQ(enter(), BUSY(TD_EPOCH));
	the_td()->epoch_lock = 0;
	machine_stop();
}

/* A TD that has died does not leave its epoch, and all that is left is to tear it down. */
static void vcpu_kills_td(void)
{
	vcpu_machine();
	td_run();
	aug(GPA, 0, PAGES);
	next_exit.status = TDX_NON_RECOVERABLE_TD;
	CHECK_EQ(enter(), TDX_NON_RECOVERABLE_TD);
	CHECK_EQ(enter(), TDX_TD_FATAL);
	CHECK_EQ(call(TDH_MEM_TRACK, TDR, 0, 0, 0), TDX_TD_FATAL);
	CHECK_EQ(call(TDH_MEM_RANGE_BLOCK, GPA, TDR, 0, 0), TDX_TD_FATAL);
	die();
	machine_stop();
}

/* A vCPU that is made to fault at the same place is not entered, until the page is there. */
static void vcpu_zero_step(void)
{
	unsigned int i;

	vcpu_machine();
	td_run();
	next_exit.rip = 0x1000;
	for (i = 0; i < TDXMOD_STEP_EXITS + 1; i++)
		CHECK_EQ(enter(), TDXMOD_EXIT_EPT_VIOLATION);
	CHECK_EQ(runs, TDXMOD_STEP_EXITS + 1);
	CHECK_EQ(enter(), TDXMOD_EXIT_EPT_VIOLATION);
	CHECK_EQ(last.r8, GPA);
	CHECK_EQ(last.rcx, TDXMOD_ACCESS_WRITE);
	CHECK_EQ(runs, TDXMOD_STEP_EXITS + 1);
	the_td()->tree_lock = TDXMOD_LOCK_SHARED;
	CHECK_EQ(enter(), BUSY(SEPT_TREE));
	the_td()->tree_lock = 0;
	aug(GPA, 0, PAGES);
	CHECK_EQ(enter(), 10 + TDXMOD_VE);
	CHECK_EQ(runs, TDXMOD_STEP_EXITS + 2);
	machine_stop();
}

/* A guest does not wait for ever for a host that has priority and does not come. */
static void vcpu_host_timeout(void)
{
	struct tdxmod_regs regs = { .rax = TDG_MEM_PAGE_ACCEPT, .rcx = GPA };
	u64 pa = TABLES + 2 * TDXMOD_PAGE;
	struct tdxmod_vcpu vcpu = {};
	struct tdxmod_exit exit;

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	aug(GPA, 0, PAGES);
	phys_write64(pa, phys_read64(pa) | tdxmod_ept.host_bit);
	sim.now = 5;
	CHECK_EQ(tdxmod_tdcall(the_td(), &vcpu, &regs, &exit), TDXMOD_RETURN);
	CHECK_EQ(regs.rax, BUSY(RCX));
	sim.now += 1000000001;
	regs.rax = TDG_MEM_PAGE_ACCEPT;
	CHECK_EQ(tdxmod_tdcall(the_td(), &vcpu, &regs, &exit), TDXMOD_EXIT);
	CHECK_EQ(exit.status, TDX_HOST_PRIORITY_BUSY_TIMEOUT);
	machine_stop();
}

static void vcpu_attributes(void)
{
	struct tdxmod_regs regs = { .rax = TDG_MEM_PAGE_ATTR_RD, .rcx = GPA + 0x5000 };
	struct tdxmod_exit exit;

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_2M);
	td_run();
	aug(GPA, 1, LARGE_PAGES);
	CHECK_EQ(tdxmod_tdcall(the_td(), NULL, &regs, &exit), TDXMOD_RETURN);
	CHECK_EQ(regs.rax, 0);
	CHECK_EQ(regs.rcx, GPA | 1 | BIT_ULL(62));
	CHECK_EQ(regs.rdx, 0);
	regs = (struct tdxmod_regs) { .rax = TDG_MEM_PAGE_ATTR_WR, .rcx = GPA | 1, .rdx = 1 };
	CHECK_EQ(tdxmod_tdcall(the_td(), NULL, &regs, &exit), TDXMOD_RETURN);
	CHECK_EQ(regs.rax, TDX_PAGE_ATTR_INVALID);
	regs = (struct tdxmod_regs) { .rax = 5 };
	CHECK_EQ(tdxmod_tdcall(the_td(), NULL, &regs, &exit), TDXMOD_RETURN);
	CHECK_EQ(regs.rax, INVALID(RAX));
	machine_stop();
}

static const struct test life_tests[] = {
	TEST(life_whole),
	TEST(life_short),
	TEST(life_keys),
	TEST(life_params),
	TEST(life_five_levels),
	TEST(life_leaves),
	TEST_SIMULATED(life_tdmr),
	TEST(life_version_1),
	TEST(life_stats),
	TEST(epoch_tracking),
	TEST(epoch_batch),
	TEST(content_moves),
	TEST(content_accept),
	TEST(content_1g),
	TEST(measure_vectors),
	TEST(find_pages),
	TEST(lock_collisions),
	TEST(lock_host_first),
	TEST_SIMULATED(lock_no_memory),
	TEST(vcpu_enters),
	TEST(vcpu_kills_td),
	TEST(vcpu_zero_step),
	TEST(vcpu_host_timeout),
	TEST(vcpu_attributes),
	{}
};
