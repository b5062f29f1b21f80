// SPDX-License-Identifier: GPL-2.0
/*
 * The module of a running kernel: one, for the machine that the kernel runs on.
 *
 * It costs nothing until somebody wants it.  Then metadata is allocated for all memory
 * that the machine has or can be given, and the module stays until the machine is shut
 * down, as a real one does.
 */
#include <kunit/static_stub.h>
#include <linux/cleanup.h>
#include <linux/cpufeature.h>
#include <linux/export.h>
#include <linux/memblock.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/timekeeping.h>
#include <linux/topology.h>

#include <asm/fpu/types.h>

#include "host.h"
#include "internal.h"

/*
 * Keys are above all memory that there can be, whatever the CPU says of the width of its
 * addresses: nothing but this module sees an address with a key.
 */
#define HOST_MAX_PA		52
#define HOST_HKID_SHIFT		46
#define HOST_HKID_FIRST		32
#define HOST_HKID_LAST		63

static_assert(BIT(HOST_MAX_PA - HOST_HKID_SHIFT) > HOST_HKID_LAST);

#define HOST_MAX_PACKAGES	32
/* metadata of that much is one allocation */
#define HOST_TDMR_SIZE		(64ULL << 30)
#define HOST_HP_TIMEOUT		NSEC_PER_SEC

static bool enable = true;
module_param(enable, bool, 0444);
MODULE_PARM_DESC(enable, "Let there be a software TDX module when it is asked for (default: yes)");

/* of @host, while it is being made */
static DEFINE_MUTEX(host_lock);
static struct tdxmod *host;
static tdxmod_run_fn host_run;

/* Bits that a TD's values may have, as with release 1.5 of the module. */
static const struct tdxmod_cpuid host_cpuid[] = {
	{ 0x1, TDXMOD_NO_SUBLEAF, { 0x0fff3fff, 0x00ff0000, 0x31044988, 0xb8400000 } },
	{ 0x4, 0, { 0xffffc3ff, 0xffffffff, 0xffffffff, 0x7 } },
	{ 0x4, 1, { 0xffffc3ff, 0xffffffff, 0xffffffff, 0x7 } },
	{ 0x4, 2, { 0xffffc3ff, 0xffffffff, 0xffffffff, 0x7 } },
	{ 0x4, 3, { 0xffffc3ff, 0xffffffff, 0xffffffff, 0x7 } },
	{ 0x7, 0, { 0, 0xd02b9b18, 0x02417f64, 0x00054010 } },
	{ 0x7, 1, { 0x00001c30, 0, 0, 0 } },
	{ 0xd, 1, { 0x10, 0, 0, 0 } },
	{ 0x1f, 0, { 0x1f, 0xffff, 0xff00, 0 } },
	{ 0x1f, 1, { 0x1f, 0xffff, 0xff00, 0 } },
	{ 0x1f, 2, { 0x1f, 0xffff, 0xff00, 0 } },
	{ 0x80000008, TDXMOD_NO_SUBLEAF, { 0x00ff0000, 0x200, 0, 0 } },
};

/* What the CPU has, but for MPX, which no TD has. */
static u64 host_xfam(void)
{
	return (fpu_user_cfg.max_features | XFEATURE_MASK_FPSSE) &
	       ~(u64)(XFEATURE_MASK_BNDREGS | XFEATURE_MASK_BNDCSR);
}

/* in whole gigabytes */
static u64 host_memory_end(void)
{
	u64 end = round_up(PFN_PHYS(max_possible_pfn), SZ_1G);

	return min(end, BIT_ULL(HOST_HKID_SHIFT));
}

/*
 * All memory from 0 up to @end, in pieces: what is there now, and what can be plugged in
 * later.  Holes cost metadata and do no harm: what is written there is lost.
 */
static struct tdxmod_range *host_tdmrs(u64 end, unsigned int *nrp)
{
	struct tdxmod_range *tdmrs;
	unsigned int i, nr;

	nr = DIV_ROUND_UP(end, HOST_TDMR_SIZE);
	tdmrs = kcalloc(nr, sizeof(*tdmrs), GFP_KERNEL);
	if (!tdmrs)
		return NULL;
	for (i = 0; i < nr; i++) {
		tdmrs[i].base = i * HOST_TDMR_SIZE;
		tdmrs[i].size = min(end - tdmrs[i].base, HOST_TDMR_SIZE);
	}
	*nrp = nr;
	return tdmrs;
}

static struct tdxmod *host_create(void)
{
	struct tdxmod_config config = {
		.max_pa = HOST_MAX_PA,
		.hkid_shift = HOST_HKID_SHIFT,
		.hkid_first = HOST_HKID_FIRST,
		.hkid_last = HOST_HKID_LAST,
		.packages = topology_max_packages(),
		.tdmrs_ready = true,
		.attributes = TD_ATTRIBUTE_DEBUG | TD_ATTRIBUTE_SEPT_VE_DISABLE,
		.xfam = host_xfam(),
		.xfam_fixed = XFEATURE_MASK_FPSSE,
		.tsc_min = 4,
		.tsc_max = 400,
		.max_ept_levels = 5,
		.wbcache_blocks = 1,
		.cpuid = host_cpuid,
		.nr_cpuid = ARRAY_SIZE(host_cpuid),
		.hp_timeout = HOST_HP_TIMEOUT,
		.encoding = boot_cpu_has(X86_FEATURE_SVM) ? &tdxmod_npt : &tdxmod_ept,
		.run = host_run,
	};
	u64 end = host_memory_end();
	struct tdxmod *mod;

	if (tdxmod_protect_enable(end))
		return NULL;
	config.tdmrs = host_tdmrs(end, &config.nr_tdmrs);
	if (!config.tdmrs)
		return NULL;
	mod = tdxmod_create(&config);
	if (!mod)
		kfree(config.tdmrs);
	return mod;
}

bool tdxmod_interrupt_pending(void)
{
	KUNIT_STATIC_STUB_REDIRECT(tdxmod_interrupt_pending);
	return need_resched();
}

int tdxmod_this_lp(void)
{
	KUNIT_STATIC_STUB_REDIRECT(tdxmod_this_lp);
	return raw_smp_processor_id();
}

unsigned int tdxmod_this_package(void)
{
	KUNIT_STATIC_STUB_REDIRECT(tdxmod_this_package);
	return topology_logical_package_id(raw_smp_processor_id());
}

u64 tdxmod_now(void)
{
	KUNIT_STATIC_STUB_REDIRECT(tdxmod_now);
	return ktime_get_mono_fast_ns();
}

/**
 * tdxmod_available - can there be a module?
 *
 * Return: False if it is switched off.
 */
bool tdxmod_available(void)
{
	return enable;
}
EXPORT_SYMBOL_GPL(tdxmod_available);

/**
 * tdxmod_enable - make the module of this kernel, unless there is one
 *
 * Context: Process context.  May sleep.
 * Return: 0, also if it was there before; -ENODEV if it is switched off; -ENOMEM.
 */
int tdxmod_enable(void)
{
	struct mem_cgroup *memcg;
	struct tdxmod *mod;

	if (!enable || topology_max_packages() > HOST_MAX_PACKAGES)
		return -ENODEV;
	guard(mutex)(&host_lock);
	if (host)
		return 0;
	/* the metadata is for all TDs, not for who comes first */
	memcg = set_active_memcg(root_mem_cgroup);
	mod = host_create();
	set_active_memcg(memcg);
	if (!mod)
		return -ENOMEM;
	/* nobody must take what it makes for protected */
	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	pr_info("tdxmod: software TDX module, which protects nothing, for %llu GiB, entries as %s\n",
		host_memory_end() >> 30, mod->config.encoding->name);
	tdxmod_debugfs_create(mod);
	/* who sees it, in tdxmod_host(), sees what it consists of */
	smp_store_release(&host, mod);
	return 0;
}
EXPORT_SYMBOL_GPL(tdxmod_enable);

/**
 * tdxmod_host - the module of this kernel
 *
 * Return: the module, or NULL before tdxmod_enable().
 */
struct tdxmod *tdxmod_host(void)
{
	/* pairs with tdxmod_enable() */
	return smp_load_acquire(&host);
}
EXPORT_SYMBOL_GPL(tdxmod_host);

/**
 * tdxmod_host_config - what the module of this kernel can do
 *
 * Return: its configuration, or NULL before tdxmod_enable().
 */
const struct tdxmod_config *tdxmod_host_config(void)
{
	struct tdxmod *mod = tdxmod_host();

	return mod ? &mod->config : NULL;
}
EXPORT_SYMBOL_GPL(tdxmod_host_config);

/**
 * tdxmod_set_run - say who runs the vCPUs of TDs
 * @run: runs one until it leaves; NULL: there is no TDH.VP.ENTER
 *
 * Context: May sleep.  No vCPU is inside a TD.
 */
void tdxmod_set_run(tdxmod_run_fn run)
{
	guard(mutex)(&host_lock);
	host_run = run;
	if (host)
		WRITE_ONCE(host->config.run, run);
}
EXPORT_SYMBOL_GPL(tdxmod_set_run);

/*
 * TDH.VP.FLUSH is wanted on the CPU that last ran a vCPU, so it is called from there by
 * an IPI; it allocates nothing and changes no page.
 */
static bool may_sleep(u64 fn)
{
	return fn != TDH_VP_FLUSH;
}

/**
 * tdxmod_call - SEAMCALL
 * @fn: RAX, leaf and version
 * @args: RCX, RDX, R8 to R11, before and after
 *
 * A call that is refused, because another has a lock or an interrupt is waiting, can
 * just be repeated: whoever is waited for has been given the CPU.  With a real module
 * it would have one of its own.
 *
 * Context: Process context.  May sleep; not TDH.VP.FLUSH, which may be called from any
 * context but NMI.
 * Return: the status; TDX_SEAMCALL_VMFAILINVALID before tdxmod_enable().
 */
u64 tdxmod_call(u64 fn, struct tdx_module_args *args)
{
	struct tdxmod_regs regs = {
		.rax = fn, .rcx = args->rcx, .rdx = args->rdx,
		.r8 = args->r8, .r9 = args->r9, .r10 = args->r10, .r11 = args->r11,
	};
	struct tdxmod *mod = tdxmod_host();

	if (!mod)
		return TDX_SEAMCALL_VMFAILINVALID;
	might_sleep_if(may_sleep(fn));
	migrate_disable();
	tdxmod_seamcall(mod, &regs);
	migrate_enable();
	if (may_sleep(fn))
		cond_resched();
	args->rcx = regs.rcx;
	args->rdx = regs.rdx;
	args->r8 = regs.r8;
	args->r9 = regs.r9;
	args->r10 = regs.r10;
	args->r11 = regs.r11;
	return regs.rax;
}
EXPORT_SYMBOL_GPL(tdxmod_call);
