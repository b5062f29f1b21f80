// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the software TDX module: the machine of a test, and the way to a TD in it.
 *
 * The tests are included, with this file first, by two programs that run them: one in user
 * space (tools/testing/guestmem/tdxmod/test.c) with simulated memory, and KUnit's
 * (tdxmod_kunit.c) in a kernel, with pages of its own.  Before that either defines
 *
 *   machine	where its memory is
 *   sim	what the program decides: interrupts, the caller's CPU, the time
 *   mod	the module
 *   machine_config(), machine_make(), machine_unmake()
 *   machine_patient(), machine_slow(), what is too much for a kernel for debugging
 *   test_failed(), test_say()
 *
 * A test is a function; it goes on after a CHECK() that fails, and has failed then.  Each
 * has a machine of its own.
 */

struct test {
	const char *name;
	void (*run)(void);
	/* only where memory, or the lack of it, is simulated */
	bool simulated;
};

#define TEST(function)			{ #function, function, false }
#define TEST_SIMULATED(function)	{ #function, function, true }

#define CHECK(condition)							\
	do {									\
		if (!(condition))						\
			test_failed(__FILE__, __LINE__, #condition, 0, 1);	\
	} while (0)
#define CHECK_EQ(got, expected)							\
	do {									\
		u64 got_ = (got), expected_ = (expected);			\
										\
		if (got_ != expected_)						\
			test_failed(__FILE__, __LINE__, #got, got_, expected_);	\
	} while (0)

/*
 * Where things are: in 4M of memory, but for a page of 1G, where there may be no memory
 * at all.  Nothing is behind that one.
 */
#define TDR		(machine.base)
#define TDCX		(machine.base + 0x1000)
#define TDVPR		(machine.base + 0x20000)
#define TABLES		(machine.base + 0x40000)
#define PAGES		(machine.base + 0x100000)
#define PARAMS		(machine.base + 0x1e0000)
#define SOURCE		(machine.base + 0x1f0000)
#define LARGE_PAGES	(machine.base + 0x200000)
#define HUGE_PAGE	(machine.huge)
#define BEYOND		(machine.huge + 0x40000000)
#define HKID		0x21

/* where a test has something mapped */
#define GPA		0x40000000ULL

#define TD_DEBUG	TD_ATTRIBUTE_DEBUG

static struct tdxmod_regs last;
static u64 next_table;

static struct tdxmod_td *the_td(void)
{
	return tdxmod_find_td(mod, TDR);
}

/* A SEAMCALL; the registers after it are in @last. */
static u64 call(u64 rax, u64 rcx, u64 rdx, u64 r8, u64 r9)
{
	last = (struct tdxmod_regs) {
		.rax = rax, .rcx = rcx, .rdx = rdx, .r8 = r8, .r9 = r9,
		.r10 = ~0ULL, .r11 = ~0ULL,
	};
	return tdxmod_seamcall(mod, &last);
}

/* ACCEPT, until no interrupt stops it: the status, or ~0: the guest has left. */
static u64 accept_page(u64 gpa_level, struct tdxmod_exit *exit)
{
	struct tdxmod_regs regs = { .rax = TDG_MEM_PAGE_ACCEPT, .rcx = gpa_level };
	struct tdxmod_exit unused;
	enum tdxmod_outcome outcome;

	do {
		outcome = tdxmod_tdcall(the_td(), NULL, &regs, exit ?: &unused);
	} while (outcome == TDXMOD_RESUME);
	return outcome == TDXMOD_RETURN ? regs.rax : ~0ULL;
}

static void machine_start(const struct tdxmod_config *config)
{
	struct tdxmod_config normal = machine_config();

	next_table = TABLES;
	machine_make(config ?: &normal);
}

/* Nothing that the module itself calls impossible may have happened. */
static void machine_drop(void)
{
	CHECK_EQ(atomic64_read(&tdxmod_stats(mod)->broken), 0);
	machine_unmake();
}

static void machine_stop(void)
{
	CHECK(tdxmod_check(mod));
	machine_drop();
}

static void td_create(void)
{
	u64 page;

	CHECK_EQ(call(TDH_MNG_CREATE, TDR, HKID, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_KEY_CONFIG, TDR, 0, 0, 0), 0);
	for (page = TDCX; page < TDCX + TDXMOD_MIN_TDCX * TDXMOD_PAGE; page += TDXMOD_PAGE)
		CHECK_EQ(call(TDH_MNG_ADDCX, page, TDR, 0, 0), 0);
}

/* XFAM x87 and SSE, 4 vCPUs, 4 levels, 2 GHz */
static void td_params(u64 attributes)
{
	phys_fill_page(PARAMS, 0);
	phys_write64(PARAMS, attributes);
	phys_write64(PARAMS + 8, 3);
	phys_write64(PARAMS + 16, 4);
	phys_write64(PARAMS + 24, 0x1e);
	phys_write64(PARAMS + 40, 80);
}

static void td_init(void)
{
	td_create();
	td_params(TD_DEBUG);
	CHECK_EQ(call(TDH_MNG_INIT, TDR, PARAMS, 0, 0), 0);
}

/* Tables on the way to the entry of @level for @gpa. */
static void td_tables(u64 gpa, int level)
{
	int parent;

	for (parent = TDXMOD_LEVEL_512G; parent > level; parent--) {
		u64 entry = (gpa & ~(level_size(parent) - 1)) | parent;

		CHECK_EQ(call(TDH_MEM_SEPT_ADD, entry, TDR | 1, next_table, 0), 0);
		next_table += TDXMOD_PAGE;
	}
}

static void td_vcpu(u64 tdvpr)
{
	u64 page;

	CHECK_EQ(call(TDH_VP_CREATE, tdvpr, TDR, 0, 0), 0);
	for (page = 1; page < TDXMOD_MIN_VCPU_PAGES; page++)
		CHECK_EQ(call(TDH_VP_ADDCX, tdvpr + page * TDXMOD_PAGE, tdvpr, 0, 0), 0);
	CHECK_EQ(call(TDH_VP_INIT, tdvpr, 0x1234, 0, 0), 0);
}

static void td_run(void)
{
	td_vcpu(TDVPR);
	CHECK_EQ(call(TDH_MR_FINALIZE, TDR, 0, 0, 0), 0);
}

/* What TDH.MEM.SEPT.RD shows of an entry in RCX. */
static u64 td_entry(u64 gpa, int level)
{
	CHECK_EQ(call(TDH_MEM_SEPT_RD, gpa | level, TDR, 0, 0), 0);
	return last.rcx;
}
