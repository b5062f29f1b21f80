// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the software TDX module in a kernel.
 *
 * The tests that the program in user space runs, and those of what is there in a kernel
 * only: the direct map, other CPUs, and the kernel's own module.
 *
 * All but the last have a module of their own, with two gigabytes: one in which are 4M that
 * belong to the test, and one where there is no memory.  It is made once, and what a test
 * has changed of it is put right; to allocate its metadata for each of thousands of tests
 * would take all of their time.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/pgtable.h>
#include <linux/seq_file.h>
#include <linux/set_memory.h>
#include <linux/sizes.h>
#include <linux/smp.h>
#include <linux/uaccess.h>

#include <asm/tdxmod.h>

#include "../host.h"
#include "../internal.h"

#define MACHINE_ORDER	10
#define MACHINE_BYTES	(PAGE_SIZE << MACHINE_ORDER)
#define MACHINE_HUGE	BIT_ULL(45)
#define SIM_NEVER	0xffffffffu

static struct {
	u64 base;
	u64 huge;
	struct page *pages;
	struct tdxmod_range tdmrs[2];
} machine = { .huge = MACHINE_HUGE };

static struct {
	u32 polls;
	int lp;
	unsigned int package;
	u64 now;
	/* nothing here makes them fail */
	u32 allocations;
} sim;

static struct tdxmod *mod;
static struct kunit *machine_test;
static unsigned int said, checked;

#define MOST_SAID	10

static void test_failed(const char *file, int line, const char *what, u64 got, u64 expected)
{
	/* it has failed by the first */
	if (said++ < MOST_SAID)
		KUNIT_FAIL(machine_test, "%s:%d: %s: 0x%llx, expected 0x%llx", file, line, what,
			   got, expected);
}

#define test_say(fmt, ...)	kunit_info(machine_test, fmt, ##__VA_ARGS__)

static struct tdxmod_config machine_config(void)
{
	return (struct tdxmod_config) {
		.max_pa = 52,
		.hkid_shift = 46,
		.hkid_first = 32,
		.hkid_last = 63,
		.packages = 1,
		.seamrr = { machine.huge + 4ULL * SZ_1G, SZ_32M },
		.tdmrs = machine.tdmrs,
		.nr_tdmrs = ARRAY_SIZE(machine.tdmrs),
		.tdmrs_ready = true,
		.attributes = ~0ULL,
		.xfam = ~0ULL,
		.xfam_fixed = 3,
		.tsc_min = 4,
		.tsc_max = 400,
		.max_ept_levels = 5,
		.wbcache_blocks = 1,
		.hp_timeout = NSEC_PER_SEC,
		.encoding = &tdxmod_ept,
	};
}

static void machine_make(const struct tdxmod_config *config)
{
	mod->config = *config;
	mod->state = SYS_READY;
	mod->keys[0].state = KEY_RESERVED;
	sim = (typeof(sim)) { .polls = SIM_NEVER };
}

static void forget_objects(void)
{
	struct tdxmod_object *object;
	unsigned int i;

	for (i = 0; i < TDXMOD_BUCKETS; i++) {
		while ((object = mod->objects[i])) {
			mod->objects[i] = object->next;
			if (pamt_entry(mod, object->pa, 0)->type == PAMT_TDR)
				td_delete((struct tdxmod_td *)object);
			else
				tdxmod_free(object);
		}
	}
}

/* Metadata of @size bytes from @pa on, at all levels. */
static void forget_metadata(u64 pa, u64 size)
{
	int level;

	for (level = TDXMOD_LEVEL_4K; level <= TDXMOD_LEVEL_1G; level++) {
		u64 nr = DIV_ROUND_UP(size, level_size(level));

		memset(pamt_entry(mod, pa, level), 0, nr * sizeof(struct tdxmod_pamt_entry));
	}
}

static void give_back_pages(void)
{
	u64 pa;

	if (!tdxmod_hidden_pages())
		return;
	if (tdxmod_page_hidden(machine.base + SZ_2M))
		tdxmod_page_returned(machine.base + SZ_2M, SZ_2M);
	for (pa = machine.base; pa < machine.base + MACHINE_BYTES; pa += PAGE_SIZE) {
		if (tdxmod_page_hidden(pa))
			tdxmod_page_returned(pa, PAGE_SIZE);
	}
}

static void machine_unmake(void)
{
	forget_objects();
	give_back_pages();
	forget_metadata(machine.base, MACHINE_BYTES);
	/* of the page that is not there, its pieces of 2M, and those of the first */
	forget_metadata(machine.huge, SZ_2M);
	memset(pamt_entry(mod, machine.huge, TDXMOD_LEVEL_2M), 0,
	       TDXMOD_ENTRIES * sizeof(struct tdxmod_pamt_entry));
	memset(mod->keys, 0, tdxmod_nr_keys(mod) * sizeof(*mod->keys));
	memset(&mod->stats, 0, sizeof(mod->stats));
}

/* To check the whole module takes longer than hundreds of tests. */
static bool machine_patient(void)
{
	return checked++ % 32 == 0;
}

/* Does it have to do to try one op_state of those that make no difference? */
static bool machine_slow(void)
{
	return IS_ENABLED(CONFIG_KASAN);
}

#include "machine.c"
#include "sept.c"
#include "life.c"

/* --- what the module asks of its surroundings ------------------------------ */

static bool sim_interrupt_pending(void)
{
	if (sim.polls == SIM_NEVER)
		return false;
	if (!sim.polls)
		return true;
	sim.polls--;
	return false;
}

static int sim_this_lp(void)
{
	return sim.lp;
}

static unsigned int sim_this_package(void)
{
	return sim.package;
}

static u64 sim_now(void)
{
	return sim.now;
}

/* Applies to this thread only. */
static int machine_init(struct kunit *test)
{
	machine_test = test;
	said = 0;
	kunit_activate_static_stub(test, tdxmod_interrupt_pending, sim_interrupt_pending);
	kunit_activate_static_stub(test, tdxmod_this_lp, sim_this_lp);
	kunit_activate_static_stub(test, tdxmod_this_package, sim_this_package);
	kunit_activate_static_stub(test, tdxmod_now, sim_now);
	return 0;
}

static int machine_suite_init(struct kunit_suite *suite)
{
	struct tdxmod_config config;
	int err = tdxmod_enable();

	/* for the direct map; the tests have a module of their own */
	if (err && err != -ENODEV)
		return err;
	machine.pages = alloc_pages(GFP_KERNEL, MACHINE_ORDER);
	if (!machine.pages)
		return -ENOMEM;
	machine.base = page_to_phys(machine.pages);
	machine.tdmrs[0] = (struct tdxmod_range) { round_down(machine.base, SZ_1G), SZ_1G };
	machine.tdmrs[1] = (struct tdxmod_range) { machine.huge, SZ_1G };
	config = machine_config();
	/* some tests want that many */
	config.packages = 2;
	mod = tdxmod_create(&config);
	if (!mod) {
		__free_pages(machine.pages, MACHINE_ORDER);
		return -ENOMEM;
	}
	return 0;
}

static void machine_suite_exit(struct kunit_suite *suite)
{
	if (!mod)
		return;
	tdxmod_destroy(mod);
	mod = NULL;
	__free_pages(machine.pages, MACHINE_ORDER);
}

/* --- the tests of the program in user space -------------------------------- */

static const void *next_test(const struct test *test, char *desc)
{
	while (test->name && test->simulated)
		test++;
	if (!test->name)
		return NULL;
	strscpy(desc, test->name, KUNIT_PARAM_DESC_SIZE);
	return test;
}

static const void *next_sept_test(const void *prev, char *desc)
{
	return next_test(prev ? (const struct test *)prev + 1 : sept_tests, desc);
}

static const void *next_life_test(const void *prev, char *desc)
{
	return next_test(prev ? (const struct test *)prev + 1 : life_tests, desc);
}

static void run_test(struct kunit *test)
{
	const struct test *param = test->param_value;

	param->run();
}

/* --- what the host can see ------------------------------------------------- */

static void *kernel_address(u64 pa)
{
	return __va(pa);
}

static bool readable(u64 pa)
{
	u64 word;

	return !copy_from_kernel_nofault(&word, kernel_address(pa), sizeof(word));
}

/* What is seen of the page is neither @old nor zero, anywhere. */
static bool scrubbed(u64 pa, u64 old)
{
	u64 word;
	unsigned int i;

	for (i = 0; i < PAGE_SIZE; i += 8) {
		if (copy_from_kernel_nofault(&word, kernel_address(pa) + i, sizeof(word)) ||
		    word == old || !word)
			return false;
	}
	return true;
}

/* How the direct map has the page, apart from what the CPU sets. */
static u64 direct_map_entry(u64 pa, unsigned int *level)
{
	pte_t *pte = lookup_address((unsigned long)kernel_address(pa), level);

	return pte ? pte_val(*pte) & ~(u64)(_PAGE_ACCESSED | _PAGE_DIRTY) : 0;
}

static void memory_start(struct kunit *test)
{
	if (!tdxmod_protects())
		kunit_skip(test, "private memory stays in the direct map");
	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
}

#define OLD	0x1122334455667788ULL

static void memory_add(struct kunit *test)
{
	memory_start(test);
	phys_fill_page(SOURCE, OLD);
	CHECK_EQ(call(TDH_MEM_PAGE_ADD, GPA, TDR, PAGES, SOURCE), 0);
	CHECK(!readable(PAGES));
	CHECK(!readable(PAGES + PAGE_SIZE - 8));
	CHECK(readable(PAGES + PAGE_SIZE));
	CHECK(readable(SOURCE));
	/* the module can */
	CHECK_EQ(call(TDH_MEM_RD, GPA + 8, TDR, 0, 0), 0);
	CHECK_EQ(last.r8, OLD);
	CHECK_EQ(call(TDH_MEM_WR, GPA + 16, TDR, OLD + 1, 0), 0);
	CHECK_EQ(call(TDH_MEM_RD, GPA + 16, TDR, 0, 0), 0);
	CHECK_EQ(last.r8, OLD + 1);
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA, TDR, 0, 0), 0);
	CHECK(scrubbed(PAGES, OLD));
	machine_stop();
}

/* A page of 2M goes as a whole, and its entry in the direct map comes back as it was. */
static void memory_aug_2m(struct kunit *test)
{
	unsigned int level_before, level_after;
	u64 pa, before;

	memory_start(test);
	before = direct_map_entry(LARGE_PAGES, &level_before);
	for (pa = LARGE_PAGES; pa < LARGE_PAGES + SZ_2M; pa += PAGE_SIZE)
		phys_fill_page(pa, OLD);
	td_run();
	CHECK_EQ(call(TDH_MEM_PAGE_AUG, (GPA + SZ_2M) | 1, TDR, LARGE_PAGES, 0), 0);
	for (pa = LARGE_PAGES; pa < LARGE_PAGES + SZ_2M; pa += PAGE_SIZE)
		CHECK(!readable(pa));
	CHECK(readable(LARGE_PAGES - 8));
	CHECK_EQ(accept_page((GPA + SZ_2M) | 1, NULL), 0);
	for (pa = 0; pa < SZ_2M; pa += 17 * PAGE_SIZE) {
		CHECK_EQ(call(TDH_MEM_RD, GPA + SZ_2M + pa, TDR, 0, 0), 0);
		CHECK_EQ(last.r8, 0);
	}
	CHECK_EQ(call(TDH_MEM_RANGE_BLOCK, (GPA + SZ_2M) | 1, TDR, 0, 0), 0);
	CHECK_EQ(call(TDH_MEM_TRACK, TDR, 0, 0, 0), 0);
	CHECK(!readable(LARGE_PAGES));
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, (GPA + SZ_2M) | 1, TDR, 0, 0), 0);
	for (pa = LARGE_PAGES; pa < LARGE_PAGES + SZ_2M; pa += PAGE_SIZE)
		CHECK(scrubbed(pa, OLD));
	CHECK_EQ(direct_map_entry(LARGE_PAGES, &level_after), before);
	CHECK_EQ(level_after, level_before);
	machine_stop();
}

/* What went as one page comes back in pieces. */
static void memory_pieces(struct kunit *test)
{
	u64 gpa = GPA + SZ_2M, i;

	memory_start(test);
	CHECK_EQ(call(TDH_MEM_PAGE_AUG, gpa | 1, TDR, LARGE_PAGES, 0), 0);
	CHECK_EQ(call(TDH_MEM_PAGE_DEMOTE, gpa | 1, TDR, PAGES, ~0ULL), 0);
	for (i = 0; i < TDXMOD_ENTRIES; i += 2) {
		CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, gpa + i * PAGE_SIZE, TDR, 0, 0), 0);
		CHECK(readable(LARGE_PAGES + i * PAGE_SIZE));
		CHECK(!readable(LARGE_PAGES + (i + 1) * PAGE_SIZE));
	}
	for (i = 0; i < TDXMOD_ENTRIES; i += 2)
		aug(gpa + i * PAGE_SIZE, 0, LARGE_PAGES + i * PAGE_SIZE);
	CHECK_EQ(call(TDH_MEM_PAGE_PROMOTE, gpa | 1, TDR, 0, 0), 0);
	CHECK(!readable(LARGE_PAGES));
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, gpa | 1, TDR, 0, 0), 0);
	for (i = 0; i < TDXMOD_ENTRIES; i++)
		CHECK(readable(LARGE_PAGES + i * PAGE_SIZE));
	machine_stop();
}

static void memory_relocate(struct kunit *test)
{
	memory_start(test);
	phys_fill_page(SOURCE, OLD);
	CHECK_EQ(call(TDH_MEM_PAGE_ADD, GPA, TDR, PAGES, SOURCE), 0);
	CHECK_EQ(call(TDH_MEM_PAGE_RELOCATE, GPA, TDR, PAGES + PAGE_SIZE, 0), 0);
	CHECK(scrubbed(PAGES, OLD));
	CHECK(!readable(PAGES + PAGE_SIZE));
	CHECK_EQ(call(TDH_MEM_RD, GPA + 4088, TDR, 0, 0), 0);
	CHECK_EQ(last.r8, OLD);
	machine_stop();
}

static void memory_reclaim(struct kunit *test)
{
	memory_start(test);
	phys_fill_page(SOURCE, OLD);
	CHECK_EQ(call(TDH_MEM_PAGE_ADD, GPA, TDR, PAGES, SOURCE), 0);
	CHECK_EQ(call(TDH_MNG_VPFLUSHDONE, TDR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_KEY_FREEID, TDR, 0, 0, 0), 0);
	CHECK(!readable(PAGES));
	CHECK_EQ(call(TDH_PHYMEM_PAGE_RECLAIM, PAGES, 0, 0, 0), 0);
	CHECK(scrubbed(PAGES, OLD));
	machine_stop();
}

/* Not even by way of the module does a host read private memory. */
static void memory_source(struct kunit *test)
{
	memory_start(test);
	phys_fill_page(SOURCE, OLD);
	CHECK_EQ(call(TDH_MEM_PAGE_ADD, GPA, TDR, PAGES, SOURCE), 0);
	CHECK_EQ(call(TDH_MEM_PAGE_ADD, GPA + PAGE_SIZE, TDR, PAGES + PAGE_SIZE, PAGES), 0);
	CHECK_EQ(call(TDH_MEM_RD, GPA + PAGE_SIZE, TDR, 0, 0), 0);
	CHECK_EQ(last.r8, 0);
	machine_stop();
}

static unsigned int failures;

static int fail_direct_map(unsigned long pfn, unsigned long nr, bool present)
{
	if (!--failures)
		kunit_deactivate_static_stub(machine_test, tdxmod_change_direct_map);
	return -ENOMEM;
}

/* Without memory for page tables a page stays where it is, or comes back later. */
static void memory_no_tables(struct kunit *test)
{
	u64 unhidden = tdxmod_unhidden_pages(), hidden;

	memory_start(test);
	hidden = tdxmod_hidden_pages();
	failures = 1;
	kunit_activate_static_stub(test, tdxmod_change_direct_map, fail_direct_map);
	CHECK_EQ(call(TDH_MEM_PAGE_AUG, (GPA + SZ_2M) | 1, TDR, LARGE_PAGES, 0), 0);
	CHECK_EQ(tdxmod_unhidden_pages(), unhidden + TDXMOD_ENTRIES);
	CHECK_EQ(tdxmod_hidden_pages(), hidden);
	CHECK(readable(LARGE_PAGES));
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, (GPA + SZ_2M) | 1, TDR, 0, 0), 0);
	CHECK(scrubbed(LARGE_PAGES, OLD));

	phys_fill_page(PAGES, OLD);
	aug(GPA, 0, PAGES);
	CHECK_EQ(tdxmod_hidden_pages(), hidden + 1);
	failures = 3;
	kunit_activate_static_stub(test, tdxmod_change_direct_map, fail_direct_map);
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA, TDR, 0, 0), 0);
	CHECK_EQ(failures, 0);
	CHECK_EQ(tdxmod_hidden_pages(), hidden);
	CHECK(scrubbed(PAGES, OLD));
	machine_stop();
}

/* --- other CPUs ------------------------------------------------------------ */

static DECLARE_COMPLETION(guest_inside);
static DECLARE_COMPLETION(guest_may_leave);

static void wait_inside(struct tdxmod_td *td, struct tdxmod_vcpu *vcpu,
			struct tdxmod_regs *regs, struct tdxmod_exit *exit)
{
	complete(&guest_inside);
	wait_for_completion(&guest_may_leave);
	exit->reason = 1;
}

static int enter_td(void *unused)
{
	struct tdxmod_regs regs = { .rax = TDH_VP_ENTER, .rcx = TDVPR };

	migrate_disable();
	tdxmod_seamcall(mod, &regs);
	migrate_enable();
	return regs.rax == 1 ? 0 : -EIO;
}

/* A vCPU is inside, in another thread: what the host can do meanwhile, and what not. */
static void threads_vcpu(struct kunit *test)
{
	struct tdxmod_config config = machine_config();
	struct task_struct *guest;

	config.run = wait_inside;
	machine_start(&config);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	td_run();
	aug(GPA, 0, PAGES);
	CHECK_EQ(call(TDH_VP_FLUSH, TDVPR, 0, 0, 0), 0);
	reinit_completion(&guest_inside);
	reinit_completion(&guest_may_leave);
	guest = kthread_create(enter_td, NULL, "tdxmod_vcpu");
	KUNIT_ASSERT_FALSE(test, IS_ERR(guest));
	get_task_struct(guest);
	wake_up_process(guest);
	wait_for_completion(&guest_inside);

	CHECK_EQ(call(TDH_MNG_VPFLUSHDONE, TDR, 0, 0, 0), BUSY(RCX));
	CHECK_EQ(call(TDH_VP_FLUSH, TDVPR, 0, 0, 0), BUSY(RCX));
	CHECK_EQ(call(TDH_MEM_RANGE_BLOCK, GPA, TDR, 0, 0), 0);
	CHECK_EQ(call(TDH_MEM_TRACK, TDR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MEM_TRACK, TDR, 0, 0, 0), TDX_PREVIOUS_TLB_EPOCH_BUSY);
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA, TDR, 0, 0),
		 TDX_TLB_TRACKING_NOT_DONE | OPERAND_RCX);
	complete(&guest_may_leave);
	CHECK_EQ(kthread_stop_put(guest), 0);
	CHECK_EQ(call(TDH_MEM_PAGE_REMOVE, GPA, TDR, 0, 0), 0);
	machine_stop();
}

#define HOST_ROUNDS	50

/**
 * struct host_thread - one of two hosts of the same TD
 * @task: the thread
 * @gpa: where it works
 * @page: with what
 * @busy: calls that collided with the other's
 * @wrong: the first other status that was not success
 * @done: it has ended; a thread that is stopped before it ran does nothing
 */
struct host_thread {
	struct task_struct *task;
	u64 gpa;
	u64 page;
	unsigned int busy;
	u64 wrong;
	struct completion done;
};

/* Until the lock that the other one has is free. */
static void host_call(struct host_thread *host, u64 leaf, u64 rcx, u64 rdx, u64 r8)
{
	struct tdxmod_regs regs;
	u64 status;

	while (!host->wrong) {
		regs = (struct tdxmod_regs) { .rax = leaf, .rcx = rcx, .rdx = rdx, .r8 = r8 };
		migrate_disable();
		status = tdxmod_seamcall(mod, &regs);
		migrate_enable();
		if (!status)
			return;
		if (status == TDX_PREVIOUS_TLB_EPOCH_BUSY ||
		    (status & ~TDX_STATUS_DETAIL) == TDX_OPERAND_BUSY)
			host->busy++;
		else
			host->wrong = status;
		cond_resched();
	}
}

static int host_works(void *arg)
{
	struct host_thread *host = arg;
	unsigned int i;

	for (i = 0; i < HOST_ROUNDS; i++) {
		host_call(host, TDH_MEM_PAGE_AUG, host->gpa, TDR, host->page);
		host_call(host, TDH_MEM_RANGE_BLOCK, host->gpa, TDR, 0);
		host_call(host, TDH_MEM_TRACK, TDR, 0, 0);
		host_call(host, TDH_MEM_PAGE_REMOVE, host->gpa, TDR, 0);
	}
	complete(&host->done);
	return 0;
}

/* What two do at the same time to one TD is refused or done, and leaves it in order. */
static void threads_hosts(struct kunit *test)
{
	struct host_thread hosts[2] = {};
	unsigned int i;

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	td_run();
	for (i = 0; i < 2; i++) {
		init_completion(&hosts[i].done);
		hosts[i].gpa = GPA + i * PAGE_SIZE;
		hosts[i].page = PAGES + i * PAGE_SIZE;
		hosts[i].task = kthread_create(host_works, &hosts[i], "tdxmod_host/%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(hosts[i].task));
		get_task_struct(hosts[i].task);
	}
	for (i = 0; i < 2; i++)
		wake_up_process(hosts[i].task);
	for (i = 0; i < 2; i++) {
		wait_for_completion(&hosts[i].done);
		kthread_stop_put(hosts[i].task);
		CHECK_EQ(hosts[i].wrong, 0);
	}
	kunit_info(test, "%u and %u calls found a lock taken", hosts[0].busy, hosts[1].busy);
	CHECK_EQ(atomic64_read(&mod->stats.misuse), 0);
	CHECK_EQ(atomic64_read(&mod->stats.calls[TDH_MEM_PAGE_REMOVE][0]), 2 * HOST_ROUNDS);
	machine_stop();
}

/* --- debugfs --------------------------------------------------------------- */

/* What the file whose function that is would show. */
static const char *shown(struct kunit *test, int (*show)(struct seq_file *m, void *unused))
{
	struct seq_file m = { .private = mod, .size = PAGE_SIZE };

	m.buf = kunit_kzalloc(test, m.size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m.buf);
	KUNIT_EXPECT_EQ(test, show(&m, NULL), 0);
	/* room for the last 0 */
	KUNIT_ASSERT_LT(test, m.count, m.size);
	return m.buf;
}

static bool has_line(const char *text, const char *line)
{
	const char *p = strstr(text, line);
	size_t len = strlen(line);

	while (p && !((p == text || p[-1] == '\n') && p[len] == '\n'))
		p = strstr(p + 1, line);
	return p;
}

static void debugfs_calls(struct kunit *test)
{
	const char *text;

	machine_start(NULL);
	KUNIT_EXPECT_STREQ(test, shown(test, tdxmod_calls_show), "");
	td_init();
	/* misused, but for the last */
	CHECK(call(TDH_MEM_RANGE_BLOCK, GPA, TDR, 0, 0));
	CHECK(call(TDH_MEM_RANGE_BLOCK, GPA, TDR, 0, 0));
	CHECK(call(1000, 0, 0, 0, 0));
	CHECK(call(TDH_MEM_SEPT_RD, GPA, TDR, 0, 0));
	text = shown(test, tdxmod_calls_show);
	CHECK(has_line(text, "TDH.MNG.CREATE SUCCESS 1"));
	CHECK(has_line(text, "TDH.MNG.ADDCX SUCCESS 6"));
	CHECK(has_line(text, "TDH.MEM.RANGE.BLOCK EPT_WALK_FAILED 2"));
	CHECK(has_line(text, "unknown OPERAND_INVALID 1"));
	CHECK(!strstr(text, " 0\n"));
	CHECK(has_line(shown(test, tdxmod_misuse_show), "misuse 3"));
	CHECK(has_line(shown(test, tdxmod_misuse_show), "broken 0"));
	tdxmod_reset_stats(mod);
	KUNIT_EXPECT_STREQ(test, shown(test, tdxmod_calls_show), "");
	CHECK(has_line(shown(test, tdxmod_misuse_show), "misuse 0"));
	machine_stop();
}

static void debugfs_tds(struct kunit *test)
{
	char line[80];

	machine_start(NULL);
	KUNIT_EXPECT_STREQ(test, shown(test, tdxmod_tds_show), "");
	td_init();
	td_run();
	snprintf(line, sizeof(line), "0x%llx 33 KEYS_CONFIGURED RUNNABLE 1 12\n", TDR);
	KUNIT_EXPECT_STREQ(test, shown(test, tdxmod_tds_show), line);
	CHECK_EQ(call(TDH_VP_FLUSH, TDVPR, 0, 0, 0), 0);
	CHECK_EQ(call(TDH_MNG_VPFLUSHDONE, TDR, 0, 0, 0), 0);
	snprintf(line, sizeof(line), "0x%llx 33 BLOCKED - 1 12\n", TDR);
	KUNIT_EXPECT_STREQ(test, shown(test, tdxmod_tds_show), line);
	machine_stop();
}

static void debugfs_memory(struct kunit *test)
{
	const char *text;
	char line[80];

	machine_start(NULL);
	td_init();
	td_tables(GPA, TDXMOD_LEVEL_4K);
	aug(GPA, 0, PAGES);
	aug(GPA + SZ_2M, 1, LARGE_PAGES);
	snprintf(line, sizeof(line), "hidden %llu", tdxmod_hidden_pages());
	text = shown(test, tdxmod_memory_show);
	CHECK(has_line(text, "REG_4K 1"));
	CHECK(has_line(text, "REG_2M 1"));
	CHECK(has_line(text, "REG_1G 0"));
	CHECK(has_line(text, "TDR 1"));
	CHECK(has_line(text, "TDCX 6"));
	CHECK(has_line(text, "TDVPR 0"));
	CHECK(has_line(text, "EPT 3"));
	CHECK(has_line(text, line));
	machine_stop();
}

/* --- the kernel's module --------------------------------------------------- */

static void host_config(struct kunit *test)
{
	const struct tdxmod_config *config = tdxmod_host_config();

	KUNIT_EXPECT_EQ(test, tdxmod_enable(), 0);
	KUNIT_ASSERT_NOT_NULL(test, config);
	KUNIT_EXPECT_PTR_EQ(test, tdxmod_host_config(), config);
	KUNIT_EXPECT_LE(test, PFN_PHYS(max_pfn), 1ULL << config->hkid_shift);
	KUNIT_EXPECT_LT(test, (u64)config->hkid_last << config->hkid_shift,
			1ULL << config->max_pa);
	KUNIT_EXPECT_EQ(test, config->xfam & 3, 3);
	KUNIT_EXPECT_PTR_EQ(test, config->encoding,
			    boot_cpu_has(X86_FEATURE_SVM) ? &tdxmod_npt : &tdxmod_ept);
}

static int host_init(struct kunit *test)
{
	if (tdxmod_enable() == -ENODEV)
		kunit_skip(test, "the module is switched off");
	return 0;
}

/* Whatever page the kernel has, the module has metadata for. */
static void host_call_rdmd(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct tdx_module_args args;
	u64 pfn;

	KUNIT_ASSERT_NOT_NULL(test, page);
	args = (struct tdx_module_args) { .rcx = page_to_phys(page), .rdx = 5, .r12 = 7 };
	KUNIT_EXPECT_EQ(test, tdxmod_call(TDH_PHYMEM_PAGE_RDMD, &args), 0);
	KUNIT_EXPECT_EQ(test, args.rcx, PAMT_NDA);
	/* the owner that it had last, if any: its input is not left there */
	KUNIT_EXPECT_NE(test, args.rdx, 5);
	KUNIT_EXPECT_EQ(test, args.r12, 7);
	for (pfn = 0; pfn < max_pfn; pfn += SZ_1G >> PAGE_SHIFT) {
		args.rcx = PFN_PHYS(pfn);
		KUNIT_EXPECT_EQ(test, tdxmod_call(TDH_PHYMEM_PAGE_RDMD, &args), 0);
	}
	__free_page(page);
	args.rcx = 1;
	KUNIT_EXPECT_EQ(test, tdxmod_call(TDH_PHYMEM_PAGE_RDMD, &args),
			TDX_OPERAND_INVALID | OPERAND_RCX);
	KUNIT_EXPECT_EQ(test, tdxmod_call(1000, &args), TDX_OPERAND_INVALID | OPERAND_RAX);
}

#define HOST_TD_TABLES	(1 + TDXMOD_MIN_TDCX)
#define HOST_TD_VCPU	(HOST_TD_TABLES + 3)
#define HOST_TD_PRIVATE	(HOST_TD_VCPU + TDXMOD_MIN_VCPU_PAGES)
#define HOST_TD_SOURCE	(HOST_TD_PRIVATE + 1)

/**
 * struct host_td - a TD of the kernel's module
 * @test: for which it is
 * @pages: the TDR, control pages, tables, those of a vCPU, private memory, its source
 * @flushed: CPUs that had the vCPU
 */
struct host_td {
	struct kunit *test;
	u64 pages[HOST_TD_SOURCE + 1];
	unsigned int flushed;
};

static void host_td_call(struct host_td *td, u64 leaf, u64 rcx, u64 rdx, u64 r8, u64 r9)
{
	struct tdx_module_args args = { .rcx = rcx, .rdx = rdx, .r8 = r8, .r9 = r9 };

	KUNIT_EXPECT_EQ_MSG(td->test, tdxmod_call(leaf, &args), 0, "%s",
			    tdxmod_leaf_name(leaf));
}

static void host_td_build(struct host_td *td)
{
	u64 tdr = td->pages[0], source = td->pages[HOST_TD_SOURCE], *params = __va(source);
	unsigned int i;

	host_td_call(td, TDH_MNG_CREATE, tdr, tdxmod_host_config()->hkid_last, 0, 0);
	host_td_call(td, TDH_MNG_KEY_CONFIG, tdr, 0, 0, 0);
	for (i = 1; i <= TDXMOD_MIN_TDCX; i++)
		host_td_call(td, TDH_MNG_ADDCX, td->pages[i], tdr, 0, 0);
	/* XFAM x87 and SSE, a vCPU, 4 levels, 2 GHz */
	memset(params, 0, PAGE_SIZE);
	params[1] = 3;
	params[2] = 1;
	params[3] = 0x1e;
	params[5] = 80;
	host_td_call(td, TDH_MNG_INIT, tdr, source, 0, 0);
	for (i = 0; i < 3; i++)
		host_td_call(td, TDH_MEM_SEPT_ADD, TDXMOD_LEVEL_512G - i, tdr,
			     td->pages[HOST_TD_TABLES + i], 0);
	host_td_call(td, TDH_MEM_PAGE_ADD, 0, tdr, td->pages[HOST_TD_PRIVATE], source);
	host_td_call(td, TDH_VP_CREATE, td->pages[HOST_TD_VCPU], tdr, 0, 0);
	for (i = 1; i < TDXMOD_MIN_VCPU_PAGES; i++)
		host_td_call(td, TDH_VP_ADDCX, td->pages[HOST_TD_VCPU + i],
			     td->pages[HOST_TD_VCPU], 0, 0);
	host_td_call(td, TDH_VP_INIT, td->pages[HOST_TD_VCPU], 0, 0, 0);
	host_td_call(td, TDH_MR_FINALIZE, tdr, 0, 0, 0);
}

/* An IPI, as it is the only way to be sure of the CPU. */
static void host_td_flush(void *arg)
{
	struct host_td *td = arg;
	struct tdx_module_args args = { .rcx = td->pages[HOST_TD_VCPU] };

	if (tdxmod_call(TDH_VP_FLUSH, &args) == TDX_SUCCESS)
		td->flushed++;
}

static void host_td_tear_down(struct host_td *td)
{
	unsigned int i;
	int cpu;

	/* one after the other: they would find each other's lock */
	for_each_online_cpu(cpu)
		smp_call_function_single(cpu, host_td_flush, td, true);
	KUNIT_EXPECT_EQ(td->test, td->flushed, 1);
	host_td_call(td, TDH_MNG_VPFLUSHDONE, td->pages[0], 0, 0, 0);
	host_td_call(td, TDH_PHYMEM_CACHE_WB, 0, 0, 0, 0);
	host_td_call(td, TDH_MNG_KEY_FREEID, td->pages[0], 0, 0, 0);
	for (i = HOST_TD_PRIVATE + 1; i > 0; i--)
		host_td_call(td, TDH_PHYMEM_PAGE_RECLAIM, td->pages[i - 1], 0, 0, 0);
}

/* A TD of the kernel's module, on whatever machine that is, by way of tdxmod_call(). */
static void host_runs_td(struct kunit *test)
{
	struct host_td td = { .test = test };
	struct tdxmod_place place = {};
	struct page *page;
	unsigned int i;

	if (tdxmod_host_config()->packages > 1)
		kunit_skip(test, "keys would have to be configured on each package");
	for (i = 0; i < ARRAY_SIZE(td.pages); i++) {
		page = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, page);
		td.pages[i] = page_to_phys(page);
	}
	host_td_build(&td);
	KUNIT_EXPECT_TRUE(test, tdxmod_find_page(tdxmod_host(), td.pages[HOST_TD_PRIVATE] + 8,
						 &place));
	KUNIT_EXPECT_EQ(test, place.tdr, td.pages[0]);
	KUNIT_EXPECT_TRUE(test, place.mapped);
	KUNIT_EXPECT_EQ(test, place.gpa, 8);
	host_td_tear_down(&td);
	KUNIT_EXPECT_TRUE(test, tdxmod_check(tdxmod_host()));
	for (i = 0; i < ARRAY_SIZE(td.pages); i++)
		__free_page(pfn_to_page(PHYS_PFN(td.pages[i])));
}

static struct kunit_case tdxmod_sept_cases[] = {
	KUNIT_CASE_PARAM(run_test, next_sept_test),
	{}
};

static struct kunit_suite tdxmod_sept_suite = {
	.name = "tdxmod_sept",
	.suite_init = machine_suite_init,
	.suite_exit = machine_suite_exit,
	.init = machine_init,
	.test_cases = tdxmod_sept_cases,
};

static struct kunit_case tdxmod_life_cases[] = {
	KUNIT_CASE_PARAM(run_test, next_life_test),
	KUNIT_CASE(threads_vcpu),
	KUNIT_CASE(threads_hosts),
	{}
};

static struct kunit_suite tdxmod_life_suite = {
	.name = "tdxmod_life",
	.suite_init = machine_suite_init,
	.suite_exit = machine_suite_exit,
	.init = machine_init,
	.test_cases = tdxmod_life_cases,
};

static struct kunit_case tdxmod_memory_cases[] = {
	KUNIT_CASE(memory_add),
	KUNIT_CASE(memory_aug_2m),
	KUNIT_CASE(memory_pieces),
	KUNIT_CASE(memory_relocate),
	KUNIT_CASE(memory_reclaim),
	KUNIT_CASE(memory_source),
	KUNIT_CASE(memory_no_tables),
	{}
};

static struct kunit_suite tdxmod_memory_suite = {
	.name = "tdxmod_memory",
	.suite_init = machine_suite_init,
	.suite_exit = machine_suite_exit,
	.init = machine_init,
	.test_cases = tdxmod_memory_cases,
};

static struct kunit_case tdxmod_debugfs_cases[] = {
	KUNIT_CASE(debugfs_calls),
	KUNIT_CASE(debugfs_tds),
	KUNIT_CASE(debugfs_memory),
	{}
};

static struct kunit_suite tdxmod_debugfs_suite = {
	.name = "tdxmod_debugfs",
	.suite_init = machine_suite_init,
	.suite_exit = machine_suite_exit,
	.init = machine_init,
	.test_cases = tdxmod_debugfs_cases,
};

static struct kunit_case tdxmod_host_cases[] = {
	KUNIT_CASE(host_config),
	KUNIT_CASE(host_call_rdmd),
	KUNIT_CASE(host_runs_td),
	{}
};

static struct kunit_suite tdxmod_host_suite = {
	.name = "tdxmod_host",
	.init = host_init,
	.test_cases = tdxmod_host_cases,
};

kunit_test_suites(&tdxmod_sept_suite, &tdxmod_life_suite, &tdxmod_memory_suite,
		  &tdxmod_debugfs_suite, &tdxmod_host_suite);
