// SPDX-License-Identifier: GPL-2.0
/*
 * tdxmod-random [CALLS [SEED]]: random calls, and a second opinion on each.
 *
 * Two TDs live, work and die in one machine.  Most calls are sensible, some are not; what
 * matters is not what they return but that the module is right about the world then:
 *
 *   - this file keeps books of its own, from statuses and results alone: what each page
 *     is, whose, how many each TD has, which epoch it is in, who is inside.  They must
 *     agree with the metadata, all of it from time to time;
 *   - what the guest has written to a page it finds there again, whatever was split,
 *     joined or moved, and a page that it accepts is zero;
 *   - tdxmod_check() compares metadata and S-EPT;
 *   - the module must find nothing impossible in itself, and the sanitizers nothing.
 */
#include "internal.h"
#include "machine.h"

#define CALLS		1000000
#define CHECK_EVERY	20000

#define NR_TDS		2
#define NR_VCPUS	2
#define NR_SMALL	192
#define NR_LARGE	6
#define SMALL_BASE	(MACHINE_TDMR_BASE)
#define LARGE_BASE	(MACHINE_TDMR_BASE + 0x4000000)
#define PARAMS		0x10000ULL
#define SOURCE		0x20000ULL
/* guest memory: 4 times 2M */
#define NR_GFNS		2048

/* --- books ----------------------------------------------------------------- */

struct vcpu {
	u64 tdvpr;
	unsigned int pages;
	bool initialized;
	bool inside;
	u64 epoch;
};

struct td {
	u64 tdr;
	unsigned int tdcx;
	unsigned int hkid;
	enum { NONE, CREATED, KEYED, INITIALIZED, RUNNING } stage;
	u64 children;
	u64 epoch;
	struct vcpu vcpus[NR_VCPUS];
	/* epochs in which entries of 4K and 2M were blocked last; 0: they are not */
	u64 blocked[2][NR_GFNS];
	/* the first word of each page, if the guest has it */
	u64 words[NR_GFNS];
	bool has[NR_GFNS];
};

struct page {
	u8 type;
	u64 owner;
};

#define NR_PAGES(level)	(MACHINE_TDMR_SIZE >> (12 + 9 * (level)))

static struct tdxmod *mod;
static struct td tds[NR_TDS];
static struct page pages_4k[NR_PAGES(0)], pages_2m[NR_PAGES(1)];
static struct tdxmod_regs last;
static u64 calls, successes, state;

static u64 random_u64(void)
{
	u64 z = (state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static unsigned int below(unsigned int n)
{
	return random_u64() % n;
}

static bool rarely(void)
{
	return !below(40);
}

static void fail(const char *what, u64 value, u64 expected)
{
	printf("# call %llu: %s: 0x%llx, expected 0x%llx\n", calls, what,
	       value, expected);
	puts("not ok 1 random calls");
	exit(1);
}

static void expect(const char *what, u64 value, u64 expected)
{
	if (value != expected)
		fail(what, value, expected);
}

static struct page *book(u64 pa, int level)
{
	u64 index = (pa - MACHINE_TDMR_BASE) >> (12 + 9 * level);

	return level == TDXMOD_LEVEL_2M ? &pages_2m[index] : &pages_4k[index];
}

static void enter_page(struct td *td, u64 pa, int level, u8 type)
{
	expect("a page that is given twice", book(pa, level)->type, PAMT_NDA);
	*book(pa, level) = (struct page) { type, type == PAMT_TDR ? 0 : td->tdr };
	if (type != PAMT_TDR)
		td->children += level_pages(level);
}

static void leave_page(struct td *td, u64 pa, int level)
{
	if (book(pa, level)->type != PAMT_TDR)
		td->children -= level_pages(level);
	book(pa, level)->type = PAMT_NDA;
}

/* --- comparing ------------------------------------------------------------- */

static void compare_page(u64 pa, int level)
{
	struct tdxmod_page_info info;

	if (!tdxmod_page_info(mod, pa, level, &info))
		fail("a page without metadata", pa, 0);
	expect("type of a page", info.type, book(pa, level)->type);
	if (info.type != PAMT_NDA)
		expect("owner of a page", info.owner, book(pa, level)->owner);
	expect("lock of a page", info.lock & ~TDXMOD_LOCK_HOST, 0);
}

static void compare_td(struct td *td)
{
	struct tdxmod_td *real = tdxmod_find_td(mod, td->tdr);
	u64 inside[2] = {};
	unsigned int i;

	if (!real)
		fail("a TD that is not there", td->tdr, 0);
	expect("pages of a TD", atomic64_read(&real->children), td->children);
	if (td->stage < INITIALIZED)
		return;
	expect("epoch", real->epoch, td->epoch);
	for (i = 0; i < NR_VCPUS; i++)
		inside[td->vcpus[i].epoch & 1] += td->vcpus[i].inside;
	expect("inside of an even epoch", atomic64_read(&real->inside[0]), inside[0]);
	expect("inside of an odd epoch", atomic64_read(&real->inside[1]), inside[1]);
}

static void compare_some(void)
{
	struct td *td = &tds[below(NR_TDS)];

	compare_page(SMALL_BASE + below(NR_SMALL) * TDXMOD_PAGE, TDXMOD_LEVEL_4K);
	compare_page(LARGE_BASE + below(NR_LARGE * 512) * TDXMOD_PAGE, TDXMOD_LEVEL_4K);
	compare_page(LARGE_BASE + below(NR_LARGE) * level_size(1), TDXMOD_LEVEL_2M);
	if (td->stage != NONE)
		compare_td(td);
	expect("impossible things", atomic64_read(&tdxmod_stats(mod)->broken), 0);
}

static void compare_all(void)
{
	u64 i;

	if (!tdxmod_check(mod))
		fail("tdxmod_check", 0, 1);
	for (i = 0; i < NR_PAGES(0); i++)
		compare_page(MACHINE_TDMR_BASE + i * TDXMOD_PAGE, TDXMOD_LEVEL_4K);
	for (i = 0; i < NR_PAGES(1); i++)
		compare_page(MACHINE_TDMR_BASE + i * level_size(1), TDXMOD_LEVEL_2M);
	for (i = 0; i < NR_TDS; i++) {
		if (tds[i].stage != NONE)
			compare_td(&tds[i]);
	}
}

/* --- calling --------------------------------------------------------------- */

static u64 call(u64 rax, u64 rcx, u64 rdx, u64 r8, u64 r9)
{
	u64 status;

	last = (struct tdxmod_regs) {
		.rax = rax, .rcx = rcx, .rdx = rdx, .r8 = r8, .r9 = r9,
		.r10 = ~0ULL, .r11 = ~0ULL,
	};
	status = tdxmod_seamcall(mod, &last);
	calls++;
	successes += !status;
	return status;
}

/* A page that the books know to be free; or, rarely, any. */
static u64 small_page(void)
{
	u64 pa;
	unsigned int i;

	for (i = 0; i < 64; i++) {
		pa = SMALL_BASE + below(NR_SMALL) * TDXMOD_PAGE;
		if (rarely() || book(pa, 0)->type == PAMT_NDA)
			break;
	}
	return pa;
}

static u64 large_page(void)
{
	return LARGE_BASE + below(NR_LARGE) * level_size(1) + (rarely() ? TDXMOD_PAGE : 0);
}

/* Few, so that calls meet: the first pages of four regions, and rarely others. */
static u64 some_gpa(int level)
{
	u64 gfn = below(NR_GFNS / 512) * 512 + below(rarely() ? 512 : 5);

	return gfn * TDXMOD_PAGE & ~(level_size(level) - 1);
}

static u64 tdr_of(const struct td *td)
{
	return rarely() ? SMALL_BASE + below(NR_SMALL) * TDXMOD_PAGE : td->tdr;
}

/* The TD that a call with @tdr has changed. */
static struct td *td_at(u64 tdr)
{
	unsigned int i;

	for (i = 0; i < NR_TDS; i++) {
		if (tds[i].stage != NONE && tds[i].tdr == (tdr & ~1ULL))
			return &tds[i];
	}
	fail("success for a TD that is not there", tdr, 0);
	return NULL;
}

static void forget_words(struct td *td, u64 gpa, int level)
{
	memset(&td->has[gpa >> 12], 0, level_pages(level));
}

/* --- life ------------------------------------------------------------------ */

static void create(struct td *td)
{
	u64 tdr = small_page();

	td->hkid = MACHINE_HKID_FIRST + 1 + below(4);
	if (call(TDH_MNG_CREATE, tdr, td->hkid, 0, 0))
		return;
	*td = (struct td) { .tdr = tdr, .hkid = td->hkid, .stage = CREATED };
	enter_page(td, tdr, 0, PAMT_TDR);
}

static void configure_key(struct td *td)
{
	if (!call(TDH_MNG_KEY_CONFIG, td->tdr, 0, 0, 0))
		td->stage = KEYED;
}

static void build(struct td *td)
{
	u64 page = small_page();

	if (!call(TDH_MNG_ADDCX, page, td->tdr, 0, 0)) {
		enter_page(td, page, 0, PAMT_TDCX);
		td->tdcx++;
	}
	if (td->tdcx < TDXMOD_MIN_TDCX || call(TDH_MNG_INIT, td->tdr, PARAMS, 0, 0))
		return;
	td->stage = INITIALIZED;
	td->epoch = 1;
}

static void build_vcpu(struct td *td)
{
	struct vcpu *vcpu = &td->vcpus[below(NR_VCPUS)];
	u64 page = small_page();

	if (!vcpu->tdvpr) {
		if (call(TDH_VP_CREATE, page, td->tdr, 0, 0))
			return;
		enter_page(td, page, 0, PAMT_TDVPR);
		vcpu->tdvpr = page;
		vcpu->pages = 1;
	} else if (!vcpu->initialized) {
		if (!call(TDH_VP_ADDCX, page, vcpu->tdvpr, 0, 0)) {
			enter_page(td, page, 0, PAMT_TDCX);
			vcpu->pages++;
		}
		vcpu->initialized = !call(TDH_VP_INIT, vcpu->tdvpr, 0, 0, 0);
	} else if (below(20) == 0 && !call(TDH_MR_FINALIZE, td->tdr, 0, 0, 0)) {
		td->stage = RUNNING;
	}
}

static void reclaim(struct td *td, u64 pa, int level)
{
	u8 type = book(pa, level)->type;

	expect("RECLAIM", call(TDH_PHYMEM_PAGE_RECLAIM, pa, 0, 0, 0), 0);
	expect("type of a reclaimed page", last.rcx, type);
	expect("level of a reclaimed page", last.r8, level);
	leave_page(td, pa, level);
}

static void leave(struct td *td, struct vcpu *vcpu)
{
	if (!vcpu->inside)
		return;
	tdxmod_epoch_leave(tdxmod_find_td(mod, td->tdr), vcpu->epoch);
	vcpu->inside = false;
}

static void die(struct td *td)
{
	u64 i;

	for (i = 0; i < NR_VCPUS; i++) {
		leave(td, &td->vcpus[i]);
		if (td->vcpus[i].initialized)
			call(TDH_VP_FLUSH, td->vcpus[i].tdvpr, 0, 0, 0);
	}
	expect("VPFLUSHDONE", call(TDH_MNG_VPFLUSHDONE, td->tdr, 0, 0, 0), 0);
	expect("REMOVE in a dead TD", call(TDH_MEM_PAGE_REMOVE, 0, td->tdr, 0, 0),
	       TDX_TD_KEYS_NOT_CONFIGURED);
	expect("CACHE.WB", call(TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0), 0);
	expect("FREEID", call(TDH_MNG_KEY_FREEID, td->tdr, 0, 0, 0), 0);
	for (i = 0; i < NR_PAGES(1); i++) {
		if (pages_2m[i].type != PAMT_NDA && pages_2m[i].owner == td->tdr)
			reclaim(td, MACHINE_TDMR_BASE + i * level_size(1), TDXMOD_LEVEL_2M);
	}
	for (i = 0; i < NR_SMALL + (LARGE_BASE - SMALL_BASE) / TDXMOD_PAGE + NR_LARGE * 512; i++) {
		if (pages_4k[i].type != PAMT_NDA && pages_4k[i].owner == td->tdr)
			reclaim(td, MACHINE_TDMR_BASE + i * TDXMOD_PAGE, TDXMOD_LEVEL_4K);
	}
	expect("pages of a dead TD", td->children, 0);
	reclaim(td, td->tdr, TDXMOD_LEVEL_4K);
	td->stage = NONE;
}

/* --- memory ---------------------------------------------------------------- */

/* Who needs it must have blocked, and nobody may be inside since then. */
static void check_passed(const struct td *td, u64 gpa, int level)
{
	u64 epoch = td->blocked[level][gpa >> 12];
	unsigned int i;

	if (td->stage != RUNNING)
		return;
	if (!epoch)
		fail("success with an entry that is not blocked", gpa, 0);
	for (i = 0; i < NR_VCPUS; i++) {
		if (td->vcpus[i].inside && td->vcpus[i].epoch <= epoch)
			fail("success while a TLB may have it, epoch", epoch, td->epoch);
	}
	if (epoch == td->epoch)
		fail("success without TRACK, epoch", epoch, td->epoch);
}

static void block_at(u64 gpa, int level, u64 tdr)
{
	if (call(TDH_MEM_RANGE_BLOCK, gpa | level, tdr, 0, 0) || level > 1)
		return;
	td_at(tdr)->blocked[level][gpa >> 12] = td_at(tdr)->epoch;
}

static void block(struct td *td)
{
	int level = below(3);

	block_at(some_gpa(level), level, tdr_of(td));
}

static void unblock(struct td *td)
{
	int level = below(3);
	u64 gpa = some_gpa(level), tdr = tdr_of(td);

	if (call(TDH_MEM_RANGE_UNBLOCK, gpa | level, tdr, 0, 0) || level > 1)
		return;
	check_passed(td_at(tdr), gpa, level);
	td_at(tdr)->blocked[level][gpa >> 12] = 0;
}

static void sept_add(struct td *td)
{
	u64 page = small_page(), tdr = tdr_of(td) | (below(4) == 0);
	int level = 1 + below(3);
	u64 gpa = some_gpa(level);

	/* two of the regions are for large pages, most times */
	if (level == 1 && below(16))
		gpa %= level_size(1) * 2;
	if (call(TDH_MEM_SEPT_ADD, gpa | level, tdr, page, 0))
		return;
	/* not used if the table was there */
	if (book(page, 0)->type == PAMT_NDA) {
		struct tdxmod_page_info info;

		tdxmod_page_info(mod, page, 0, &info);
		if (info.type == PAMT_EPT)
			enter_page(td_at(tdr), page, 0, PAMT_EPT);
	}
}

static void sept_remove(struct td *td)
{
	int level = 1 + below(3);
	u64 tdr = tdr_of(td), gpa = some_gpa(level);

	if (call(TDH_MEM_SEPT_REMOVE, gpa | level, tdr, 0, 0))
		return;
	expect("a table that is removed", book(last.rcx, 0)->type, PAMT_EPT);
	leave_page(td_at(tdr), last.rcx, 0);
	if (level > 1)
		return;
	check_passed(td_at(tdr), gpa, level);
	td_at(tdr)->blocked[level][gpa >> 12] = 0;
}

static void page_add(struct td *td)
{
	u64 page = small_page(), gpa = some_gpa(0), tdr = tdr_of(td), word = random_u64();

	sim_write64(SOURCE, word);
	if (call(TDH_MEM_PAGE_ADD, gpa, tdr, page, SOURCE))
		return;
	td = td_at(tdr);
	enter_page(td, page, 0, PAMT_REG);
	td->words[gpa >> 12] = word;
	td->has[gpa >> 12] = true;
}

static void page_aug(struct td *td)
{
	int level = below(3) == 0;
	u64 page = level ? large_page() : small_page(), gpa = some_gpa(level), tdr = tdr_of(td);

	if (call(TDH_MEM_PAGE_AUG, gpa | level, tdr, page, 0))
		return;
	enter_page(td_at(tdr), page, level, PAMT_REG);
}

static void track(struct td *td)
{
	u64 tdr = tdr_of(td);

	if (!call(TDH_MEM_TRACK, tdr, 0, 0, 0))
		td_at(tdr)->epoch++;
}

static void page_remove(struct td *td)
{
	int level = below(2);
	u64 gpa = some_gpa(level), tdr = tdr_of(td);

	if (call(TDH_MEM_PAGE_REMOVE, gpa | level, tdr, 0, 0))
		return;
	td = td_at(tdr);
	check_passed(td, gpa, level);
	td->blocked[level][gpa >> 12] = 0;
	expect("a page that is removed", book(last.rcx, level)->type, PAMT_REG);
	leave_page(td, last.rcx, level);
	forget_words(td, gpa, level);
}

static void promote(struct td *td)
{
	u64 gpa = some_gpa(1), tdr = tdr_of(td), page, i;
	int level = 1;

	if (call(TDH_MEM_PAGE_PROMOTE, gpa | level, tdr, 0, 0))
		return;
	td = td_at(tdr);
	check_passed(td, gpa, level);
	td->blocked[level][gpa >> 12] = 0;
	/* the small pages are no more */
	memset(&td->blocked[0][gpa >> 12], 0, 512 * sizeof(u64));
	leave_page(td, last.rcx, 0);
	expect("reading a promoted page", call(TDH_MEM_SEPT_RD, gpa | 1, tdr, 0, 0), 0);
	page = last.rcx & GENMASK_ULL(51, 21);
	for (i = 0; i < 512; i++)
		leave_page(td, page + i * TDXMOD_PAGE, 0);
	enter_page(td, page, 1, PAMT_REG);
}

static void demote(struct td *td)
{
	u64 gpa = some_gpa(1), tdr = tdr_of(td), table = small_page(), page, i;

	if (call(TDH_MEM_PAGE_DEMOTE, gpa | 1, tdr, table, ~0ULL))
		return;
	td = td_at(tdr);
	check_passed(td, gpa, 1);
	td->blocked[1][gpa >> 12] = 0;
	enter_page(td, table, 0, PAMT_EPT);
	expect("reading a demoted page", call(TDH_MEM_SEPT_RD, gpa, tdr, 0, 0), 0);
	page = last.rcx & GENMASK_ULL(51, 12);
	leave_page(td, page, 1);
	for (i = 0; i < 512; i++)
		enter_page(td, page + i * TDXMOD_PAGE, 0, PAMT_REG);
}

static void relocate(struct td *td)
{
	u64 page = small_page(), tdr = tdr_of(td), gpa = some_gpa(0);

	if (call(TDH_MEM_PAGE_RELOCATE, gpa, tdr, page, 0))
		return;
	td = td_at(tdr);
	check_passed(td, gpa, 0);
	td->blocked[0][gpa >> 12] = 0;
	leave_page(td, last.rcx, 0);
	enter_page(td, page, 0, PAMT_REG);
}

/* What the guest has written is there. */
static void read_word(struct td *td)
{
	u64 gpa = some_gpa(0), tdr = tdr_of(td);

	if (call(TDH_MEM_RD, gpa, tdr, 0, 0))
		return;
	td = td_at(tdr);
	if (!td->has[gpa >> 12])
		fail("content of a page that the guest has not", gpa, 0);
	expect("content of a page", last.r8, td->words[gpa >> 12]);
}

static void write_word(struct td *td)
{
	u64 gpa = some_gpa(0), tdr = tdr_of(td), word = random_u64();

	if (call(TDH_MEM_WR, gpa, tdr, word, 0))
		return;
	td = td_at(tdr);
	expect("old content of a page", last.r8, td->words[gpa >> 12]);
	td->words[gpa >> 12] = word;
}

/* Block and track what an operation may want, and then the operation. */
static void prepared(struct td *td)
{
	static const struct {
		void (*run)(struct td *td);
		int level;
	} operations[] = {
		{ promote, 1 }, { demote, 1 }, { page_remove, 0 }, { page_remove, 1 },
		{ relocate, 0 }, { sept_remove, 1 }, { unblock, 0 }, { unblock, 1 },
	};
	unsigned int which = below(ARRAY_SIZE(operations)), i;
	int level = operations[which].level;

	for (i = 0; i < 4; i++)
		block_at(some_gpa(level), level, td->tdr);
	for (i = 0; i < NR_VCPUS && below(3); i++)
		leave(td, &td->vcpus[i]);
	track(td);
	for (i = 0; i < 8; i++)
		operations[which].run(td);
}

/* --- guest ----------------------------------------------------------------- */

static void zero_and_write(struct td *td, u64 gpa, int level)
{
	u64 page, i;

	expect("reading an accepted page", call(TDH_MEM_SEPT_RD, gpa | level, td->tdr, 0, 0), 0);
	page = last.rcx & GENMASK_ULL(51, 12);
	for (i = 0; i < level_pages(level); i++) {
		expect("a word of an accepted page", sim_read64(page + i * TDXMOD_PAGE), 0);
		expect("its last word", sim_read64(page + i * TDXMOD_PAGE + 4088), 0);
		td->words[(gpa >> 12) + i] = random_u64();
		td->has[(gpa >> 12) + i] = true;
		sim_write64(page + i * TDXMOD_PAGE, td->words[(gpa >> 12) + i]);
		sim_write64(page + i * TDXMOD_PAGE + 4088, 1);
	}
}

static void accept(struct td *td)
{
	int level = below(3) == 0;
	struct tdxmod_regs regs = { .rax = TDG_MEM_PAGE_ACCEPT, .rcx = some_gpa(level) | level };
	u64 gpa = regs.rcx & ~7ULL;
	enum tdxmod_outcome outcome;
	struct tdxmod_exit exit;

	do {
		sim.polls = below(4) ? SIM_NEVER : below(300);
		outcome = tdxmod_tdcall(tdxmod_find_td(mod, td->tdr), NULL, &regs, &exit);
		calls++;
	} while (outcome == TDXMOD_RESUME && below(8));
	sim.polls = SIM_NEVER;
	if (outcome == TDXMOD_RETURN && !regs.rax)
		zero_and_write(td, gpa, level);
}

static void enter(struct td *td)
{
	struct vcpu *vcpu = &td->vcpus[below(NR_VCPUS)];
	bool flush;

	if (vcpu->inside)
		leave(td, vcpu);
	else
		vcpu->inside = tdxmod_epoch_enter(tdxmod_find_td(mod, td->tdr), &vcpu->epoch,
						  below(2), &flush);
}

/* --- nonsense -------------------------------------------------------------- */

static u64 some_number(void)
{
	switch (below(6)) {
	case 0:
		return 0;
	case 1:
		return ~0ULL;
	case 2:
		return SMALL_BASE + below(NR_SMALL) * TDXMOD_PAGE;
	case 3:
		return below(NR_GFNS) * TDXMOD_PAGE + below(6);
	case 4:
		return 1ULL << below(64);
	default:
		return random_u64();
	}
}

/* Must change nothing: the leaf does not exist, or only looks. */
static void nonsense(struct td *td)
{
	static const u16 harmless[] = {
		TDH_MEM_SEPT_RD, TDH_MEM_RD, TDH_PHYMEM_PAGE_RDMD, TDH_PHYMEM_PAGE_WBINVD,
		11, 13, 26, 42, 63, 1000,
	};
	u64 leaf = harmless[below(ARRAY_SIZE(harmless))];

	if (rarely())
		leaf |= (u64)below(4) << 16 | (u64)below(2) << 40;
	call(leaf, some_number(), below(2) ? td->tdr : some_number(), some_number(), some_number());
}

static void allocation_fails(struct td *td)
{
	u64 page = small_page();

	sim.allocations = below(2);
	if (call(TDH_MNG_CREATE, page, MACHINE_HKID_FIRST + 20, 0, 0) == 0)
		fail("CREATE without memory", 0, TDX_RND_NO_ENTROPY);
	sim.allocations = SIM_NEVER;
}

/* --- all of it ------------------------------------------------------------- */

struct choice {
	unsigned int weight;
	void (*run)(struct td *td);
};

static const struct choice building[] = {
	{ 30, sept_add }, { 4, sept_remove }, { 30, page_add }, { 8, page_aug }, { 3, block },
	{ 3, unblock }, { 1, track }, { 8, page_remove }, { 3, promote }, { 6, demote },
	{ 8, relocate }, { 12, read_word }, { 6, write_word }, { 8, build_vcpu }, { 2, prepared },
	{ 3, nonsense }, { 1, allocation_fails }, {}
};

static const struct choice running[] = {
	{ 20, sept_add }, { 6, sept_remove }, { 2, page_add }, { 40, page_aug }, { 8, block },
	{ 4, unblock }, { 6, track }, { 6, page_remove }, { 6, promote }, { 6, demote },
	{ 8, relocate }, { 30, read_word }, { 8, write_word }, { 40, accept }, { 6, enter },
	{ 30, prepared }, { 3, nonsense }, {}
};

static void choose(struct td *td, const struct choice *choices)
{
	const struct choice *c;
	unsigned int sum = 0, n;

	for (c = choices; c->run; c++)
		sum += c->weight;
	n = below(sum);
	for (c = choices; n >= c->weight; c++)
		n -= c->weight;
	c->run(td);
}

static void step(struct td *td)
{
	if (td->stage > CREATED && below(4000) == 0) {
		die(td);
		return;
	}
	switch (td->stage) {
	case NONE:
		create(td);
		break;
	case CREATED:
		configure_key(td);
		break;
	case KEYED:
		build(td);
		break;
	case INITIALIZED:
		choose(td, building);
		break;
	case RUNNING:
		choose(td, running);
		break;
	}
}

static void params(void)
{
	sim_write64(PARAMS, TD_ATTRIBUTE_DEBUG);
	sim_write64(PARAMS + 8, 3);
	sim_write64(PARAMS + 16, NR_VCPUS);
	sim_write64(PARAMS + 24, 0x1e);
	sim_write64(PARAMS + 40, 80);
}

static void print_stats(void)
{
	const struct tdxmod_stats *stats = tdxmod_stats(mod);
	unsigned int leaf, i;

	for (leaf = 0; leaf < TDXMOD_NR_LEAVES; leaf++) {
		u64 total = 0;

		for (i = 0; i < TDXMOD_NR_STATUSES; i++)
			total += atomic64_read(&stats->calls[leaf][i]);
		if (total)
			printf("# %8llu of %8llu %s\n",
			       (u64)atomic64_read(&stats->calls[leaf][0]), total,
			       tdxmod_leaf_name(leaf));
	}
}

int main(int argc, char **argv)
{
	struct tdxmod_config config = machine_config();
	u64 nr = argc > 1 ? strtoull(argv[1], NULL, 0) : CALLS, checked = 0;

	state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	puts("TAP version 13\n1..1");
	mod = tdxmod_create(&config);
	if (!mod)
		return 1;
	params();
	while (calls < nr) {
		step(&tds[below(NR_TDS)]);
		compare_some();
		if (calls / CHECK_EVERY != checked) {
			checked = calls / CHECK_EVERY;
			compare_all();
		}
	}
	compare_all();
	print_stats();
	printf("ok 1 random calls: %llu, %llu succeeded\n", calls, successes);
	tdxmod_destroy(mod);
	sim_reset();
	return 0;
}
