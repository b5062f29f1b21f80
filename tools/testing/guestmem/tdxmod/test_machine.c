// SPDX-License-Identifier: GPL-2.0
/*
 * The machine of a test, and the way to a TD in it.
 */
#include "test.h"

struct tdxmod *mod;
struct tdxmod_regs last;

static u64 next_table;

/* A SEAMCALL; the registers after it are in @last. */
u64 call(u64 rax, u64 rcx, u64 rdx, u64 r8, u64 r9)
{
	last = (struct tdxmod_regs) {
		.rax = rax, .rcx = rcx, .rdx = rdx, .r8 = r8, .r9 = r9,
		.r10 = ~0ULL, .r11 = ~0ULL,
	};
	return tdxmod_seamcall(mod, &last);
}

/* ACCEPT, until no interrupt stops it: the status, or ~0: the guest has left. */
u64 accept_page(u64 gpa_level, struct tdxmod_exit *exit)
{
	struct tdxmod_regs regs = { .rax = TDG_MEM_PAGE_ACCEPT, .rcx = gpa_level };
	struct tdxmod_exit unused;
	enum tdxmod_outcome outcome;

	do {
		outcome = tdxmod_tdcall(the_td(), NULL, &regs, exit ?: &unused);
	} while (outcome == TDXMOD_RESUME);
	return outcome == TDXMOD_RETURN ? regs.rax : ~0ULL;
}

void machine_start(const struct tdxmod_config *config)
{
	struct tdxmod_config normal = machine_config();

	sim_reset();
	next_table = TABLES;
	mod = tdxmod_create(config ?: &normal);
	CHECK(mod);
}

/* Nothing that the module itself calls impossible may have happened. */
void machine_drop(void)
{
	CHECK_EQ(atomic64_read(&tdxmod_stats(mod)->broken), 0);
	tdxmod_destroy(mod);
	mod = NULL;
}

void machine_stop(void)
{
	CHECK(tdxmod_check(mod));
	machine_drop();
}

struct tdxmod_td *the_td(void)
{
	return tdxmod_find_td(mod, TDR);
}

void td_create(void)
{
	u64 page;

	CHECK_EQ(call(TDH_MNG_CREATE, TDR, HKID, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_KEY_CONFIG, TDR, 0, 0, 0), 0);
	for (page = TDCX; page < TDCX + TDXMOD_MIN_TDCX * TDXMOD_PAGE; page += TDXMOD_PAGE)
		CHECK_EQ(call(TDH_MNG_ADDCX, page, TDR, 0, 0), 0);
}

/* XFAM x87 and SSE, 4 vCPUs, 4 levels, 2 GHz */
void td_params(u64 attributes)
{
	phys_fill_page(PARAMS, 0);
	sim_write64(PARAMS, attributes);
	sim_write64(PARAMS + 8, 3);
	sim_write64(PARAMS + 16, 4);
	sim_write64(PARAMS + 24, 0x1e);
	sim_write64(PARAMS + 40, 80);
}

void td_init(void)
{
	td_create();
	td_params(TD_DEBUG);
	CHECK_EQ(call(TDH_MNG_INIT, TDR, PARAMS, 0, 0), 0);
}

/* Tables on the way to the entry of @level for @gpa. */
void td_tables(u64 gpa, int level)
{
	int parent;

	for (parent = TDXMOD_LEVEL_512G; parent > level; parent--) {
		u64 entry = (gpa & ~(level_size(parent) - 1)) | parent;

		CHECK_EQ(call(TDH_MEM_SEPT_ADD, entry, TDR | 1, next_table, 0), 0);
		next_table += TDXMOD_PAGE;
	}
}

void td_vcpu(u64 tdvpr)
{
	u64 page;

	CHECK_EQ(call(TDH_VP_CREATE, tdvpr, TDR, 0, 0), 0);
	for (page = 1; page < TDXMOD_MIN_VCPU_PAGES; page++)
		CHECK_EQ(call(TDH_VP_ADDCX, tdvpr + page * TDXMOD_PAGE, tdvpr, 0, 0), 0);
	CHECK_EQ(call(TDH_VP_INIT, tdvpr, 0x1234, 0, 0), 0);
}

void td_run(void)
{
	td_vcpu(TDVPR);
	CHECK_EQ(call(TDH_MR_FINALIZE, TDR, 0, 0, 0), 0);
}

/* What TDH.MEM.SEPT.RD shows of an entry in RCX. */
u64 td_entry(u64 gpa, int level)
{
	CHECK_EQ(call(TDH_MEM_SEPT_RD, gpa | level, TDR, 0, 0), 0);
	return last.rcx;
}
