// SPDX-License-Identifier: GPL-2.0
/*
 * SEAMCALL: which module is called, what becomes of calls that cannot be done now, and
 * where the leaves have their operands.
 *
 * There are two modules that can be called: Intel's, on machines that have TDX, and the
 * software one (Documentation/arch/x86/tdxmod.rst) on all others.  Nothing else in KVM
 * knows which it is.
 *
 * The policy for calls that cannot be done now:
 *
 *	interrupted	taken up again at once, as often as it takes: each time the call
 *			has got further, or the interrupt has been served
 *	busy		tried TDX_BUSY_TRIES times, because most locks of the module are
 *			held for less than a microsecond.  Then it is for the caller:
 *			a page fault is repeated by the guest; whoever must not fail
 *			waits, see sept_must()
 *	all else	returned
 *
 * Registers of the leaves: Intel TDX Module Base Architecture Specification, ABI
 * reference.
 */
#include <kunit/static_stub.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/processor.h>
#include <linux/sched.h>

#include "seamcall.h"

#define TDX_BUSY_TRIES	16

static const struct tdx_backend *tdx_backend;
static struct tdx_sysinfo tdx_info;
static bool tdx_enabled;
/* of the above; they do not change once tdx_enabled is set */
static DEFINE_MUTEX(tdx_backend_lock);

static const struct tdx_backend *tdx_probe(void)
{
#if defined(CONFIG_INTEL_TDX_HOST) && IS_BUILTIN(CONFIG_KVM)
	if (!tdx_hardware.probe())
		return &tdx_hardware;
#endif
#ifdef CONFIG_TDXMOD
	if (!tdx_software.probe())
		return &tdx_software;
#endif
	return NULL;
}

/* Is there a module that could run TDs? */
bool tdx_supported(void)
{
	return tdx_probe();
}

/**
 * tdx_enable_module - make the module ready for calls
 *
 * Context: Process context, may sleep.
 * Return: 0; -ENODEV if there is none; what the module's backend says.
 */
int tdx_enable_module(void)
{
	int r;

	guard(mutex)(&tdx_backend_lock);
	if (tdx_enabled)
		return 0;
	tdx_backend = tdx_probe();
	if (!tdx_backend)
		return -ENODEV;
	r = tdx_backend->enable(&tdx_info);
	if (r)
		return r;
	/* after @tdx_info; pairs with tdx_sysinfo() */
	smp_store_release(&tdx_enabled, true);
	return 0;
}

/* What the module can do; NULL if it is not enabled. */
const struct tdx_sysinfo *tdx_sysinfo(void)
{
	/* pairs with tdx_enable_module() */
	return smp_load_acquire(&tdx_enabled) ? &tdx_info : NULL;
}

/* Pages that the module has given back, still with what @hkid has left in the caches. */
void tdx_reset_pages(unsigned long pfn, unsigned long nr, u16 hkid)
{
	if (tdx_backend->reset_pages)
		tdx_backend->reset_pages(pfn, nr, hkid);
}

static bool tdx_interrupted(u64 status)
{
	status = tdx_status(status);
	return status == TDX_INTERRUPTED_RESUMABLE || status == TDX_INTERRUPTED_RESTARTABLE;
}

/* Not static, so that tests can put something in front of it. */
u64 tdx_backend_call(u64 fn, struct tdx_module_args *args)
{
	KUNIT_STATIC_STUB_REDIRECT(tdx_backend_call, fn, args);
	return tdx_backend->call(fn, args);
}

/* @args: operands; results on return.  See the head of this file. */
static u64 tdx_seamcall(u64 fn, struct tdx_module_args *args)
{
	struct tdx_module_args operands = *args;
	unsigned int tries = 0;
	u64 status;

	for (;;) {
		status = tdx_backend_call(fn, args);
		if (tdx_interrupted(status))
			cond_resched();
		else if (tdx_busy(status) && ++tries < TDX_BUSY_TRIES)
			cpu_relax();
		else
			return status;
		*args = operands;
		/* CACHE.WB is the one that does not find out for itself how far it was */
		if (fn == TDH_PHYMEM_CACHE_WB && tdx_interrupted(status))
			args->rcx = 1;
	}
}

/* A call of one, two or three operands that returns nothing but a status */
static u64 tdx_call(u64 fn, u64 rcx, u64 rdx, u64 r8)
{
	struct tdx_module_args args = { .rcx = rcx, .rdx = rdx, .r8 = r8 };

	return tdx_seamcall(fn, &args);
}

/* --- life of a TD and its vCPUs ------------------------------------------- */

/* The page becomes the root of a new TD with a key. */
u64 tdh_mng_create(unsigned long tdr, u16 hkid)
{
	return tdx_call(TDH_MNG_CREATE, PFN_PHYS(tdr), hkid, 0);
}

/* Give the key to this package. */
u64 tdh_mng_key_config(unsigned long tdr)
{
	return tdx_call(TDH_MNG_KEY_CONFIG, PFN_PHYS(tdr), 0, 0);
}

u64 tdh_mng_addcx(unsigned long tdr, unsigned long tdcx)
{
	return tdx_call(TDH_MNG_ADDCX, PFN_PHYS(tdcx), PFN_PHYS(tdr), 0);
}

/* @params: TD_PARAMS; *@leaf: the CPUID leaf that is wrong, if one is */
u64 tdh_mng_init(unsigned long tdr, unsigned long params, u64 *leaf)
{
	struct tdx_module_args args = { .rcx = PFN_PHYS(tdr), .rdx = PFN_PHYS(params) };
	u64 status = tdx_seamcall(TDH_MNG_INIT, &args);

	*leaf = args.rcx;
	return status;
}

/* No vCPU of the TD is in any cache any more: nothing but teardown comes now. */
u64 tdh_mng_vpflushdone(unsigned long tdr)
{
	return tdx_call(TDH_MNG_VPFLUSHDONE, PFN_PHYS(tdr), 0, 0);
}

u64 tdh_mng_key_freeid(unsigned long tdr)
{
	return tdx_call(TDH_MNG_KEY_FREEID, PFN_PHYS(tdr), 0, 0);
}

/* Write back the caches of this package for keys that are being freed. */
u64 tdh_phymem_cache_wb(void)
{
	return tdx_call(TDH_PHYMEM_CACHE_WB, 0, 0, 0);
}

u64 tdh_vp_create(unsigned long tdr, unsigned long tdvpr)
{
	return tdx_call(TDH_VP_CREATE, PFN_PHYS(tdvpr), PFN_PHYS(tdr), 0);
}

u64 tdh_vp_addcx(unsigned long tdvpr, unsigned long tdcx)
{
	return tdx_call(TDH_VP_ADDCX, PFN_PHYS(tdcx), PFN_PHYS(tdvpr), 0);
}

/* @initial: what the guest finds in RCX and R8.  The vCPU is this CPU's from then on. */
u64 tdh_vp_init(unsigned long tdvpr, u64 initial)
{
	return tdx_call(TDH_VP_INIT, PFN_PHYS(tdvpr), initial, 0);
}

/* On the CPU that the vCPU is associated with. */
u64 tdh_vp_flush(unsigned long tdvpr)
{
	return tdx_call(TDH_VP_FLUSH, PFN_PHYS(tdvpr), 0, 0);
}

/* Measure 256 bytes. */
u64 tdh_mr_extend(unsigned long tdr, u64 gpa)
{
	return tdx_call(TDH_MR_EXTEND, gpa, PFN_PHYS(tdr), 0);
}

u64 tdh_mr_finalize(unsigned long tdr)
{
	return tdx_call(TDH_MR_FINALIZE, PFN_PHYS(tdr), 0, 0);
}

/* --- memory --------------------------------------------------------------- */

static u64 sept_operand(gfn_t gfn, int level)
{
	return PFN_PHYS(gfn) | level;
}

static u64 sept_call(u64 fn, unsigned long tdr, gfn_t gfn, int level)
{
	return tdx_call(fn, sept_operand(gfn, level), PFN_PHYS(tdr), 0);
}

/* @level: of the entry that will point to the table */
u64 tdh_mem_sept_add(unsigned long tdr, gfn_t gfn, int level, unsigned long pfn)
{
	return tdx_call(TDH_MEM_SEPT_ADD, sept_operand(gfn, level), PFN_PHYS(tdr),
			PFN_PHYS(pfn));
}

u64 tdh_mem_sept_remove(unsigned long tdr, gfn_t gfn, int level)
{
	return sept_call(TDH_MEM_SEPT_REMOVE, tdr, gfn, level);
}

/* *@entry and *@state: as the specification has them, RCX and RDX */
u64 tdh_mem_sept_rd(unsigned long tdr, gfn_t gfn, int level, u64 *entry, u64 *state)
{
	struct tdx_module_args args = {
		.rcx = sept_operand(gfn, level), .rdx = PFN_PHYS(tdr),
	};
	u64 status = tdx_seamcall(TDH_MEM_SEPT_RD, &args);

	*entry = args.rcx;
	*state = args.rdx;
	return status;
}

/* A page with the content of @source, before the TD is finalised */
u64 tdh_mem_page_add(unsigned long tdr, gfn_t gfn, unsigned long pfn, unsigned long source)
{
	struct tdx_module_args args = {
		.rcx = PFN_PHYS(gfn), .rdx = PFN_PHYS(tdr),
		.r8 = PFN_PHYS(pfn), .r9 = PFN_PHYS(source),
	};

	return tdx_seamcall(TDH_MEM_PAGE_ADD, &args);
}

/* A page that the guest has to accept */
u64 tdh_mem_page_aug(unsigned long tdr, gfn_t gfn, int level, unsigned long pfn)
{
	return tdx_call(TDH_MEM_PAGE_AUG, sept_operand(gfn, level), PFN_PHYS(tdr),
			PFN_PHYS(pfn));
}

u64 tdh_mem_page_remove(unsigned long tdr, gfn_t gfn, int level)
{
	return sept_call(TDH_MEM_PAGE_REMOVE, tdr, gfn, level);
}

/* @level: of the entry that becomes a leaf.  The table is the host's again. */
u64 tdh_mem_page_promote(unsigned long tdr, gfn_t gfn, int level)
{
	return sept_call(TDH_MEM_PAGE_PROMOTE, tdr, gfn, level);
}

/* @level: of the leaf that becomes a table, which will be in @pfn */
u64 tdh_mem_page_demote(unsigned long tdr, gfn_t gfn, int level, unsigned long pfn)
{
	return tdx_call(TDH_MEM_PAGE_DEMOTE, sept_operand(gfn, level), PFN_PHYS(tdr),
			PFN_PHYS(pfn));
}

/* 4K only.  The content goes along. */
u64 tdh_mem_page_relocate(unsigned long tdr, gfn_t gfn, unsigned long pfn)
{
	return tdx_call(TDH_MEM_PAGE_RELOCATE, PFN_PHYS(gfn), PFN_PHYS(tdr), PFN_PHYS(pfn));
}

u64 tdh_mem_range_block(unsigned long tdr, gfn_t gfn, int level)
{
	return sept_call(TDH_MEM_RANGE_BLOCK, tdr, gfn, level);
}

u64 tdh_mem_range_unblock(unsigned long tdr, gfn_t gfn, int level)
{
	return sept_call(TDH_MEM_RANGE_UNBLOCK, tdr, gfn, level);
}

/* A new TLB epoch begins. */
u64 tdh_mem_track(unsigned long tdr)
{
	return tdx_call(TDH_MEM_TRACK, PFN_PHYS(tdr), 0, 0);
}

/* Take a page from a TD that is torn down; one of any size by its first pfn. */
u64 tdh_phymem_page_reclaim(unsigned long pfn)
{
	return tdx_call(TDH_PHYMEM_PAGE_RECLAIM, PFN_PHYS(pfn), 0, 0);
}
