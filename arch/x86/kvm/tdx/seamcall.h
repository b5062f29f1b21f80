/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVM_X86_TDX_SEAMCALL_H
#define __KVM_X86_TDX_SEAMCALL_H

/*
 * Calls of the TDX module, one function for each leaf that KVM uses.
 *
 * Memory is named by pfn, guest memory by gfn and level: 0 is 4K, 1 is 2M, 2 is 1G, as
 * the module counts.  All return the module's status; results go where the last
 * arguments point to.
 *
 * What becomes of a call that cannot be done now is decided in one place, see
 * tdx_seamcall(): one that was interrupted is taken up again, one that has found
 * something busy is tried a few times and then returned as it is.
 *
 * Context: process context.  With the software module any call may sleep.
 */
#include <linux/kvm_types.h>
#include <linux/types.h>
#include <asm/shared/tdx.h>

#include "../../virt/tdxmod/leaves.h"
#include "../../virt/tdxmod/status.h"

#define TDX_LEVEL_4K	0
#define TDX_LEVEL_2M	1
#define TDX_LEVEL_1G	2

#define TDX_MAX_CPUID_CONFIGS	48

/**
 * struct tdx_cpuid_config - a CPUID leaf that a TD can have configured
 * @leaf: EAX of the leaf
 * @subleaf: ECX of the leaf, or TDX_NO_SUBLEAF
 * @allowed: bits of EAX, EBX, ECX, EDX that may be set
 */
struct tdx_cpuid_config {
	u32 leaf;
	u32 subleaf;
	u32 allowed[4];
};

#define TDX_NO_SUBLEAF	(~0U)

/**
 * struct tdx_sysinfo - what the module has and can do
 * @hkid_first: first key that a TD can have
 * @nr_hkids: how many
 * @attributes: that a TD may have
 * @xfam: that a TD may have
 * @xfam_fixed: that a TD must have
 * @nr_tdcx: control pages of a TD
 * @nr_tdvpx: control pages of a vCPU, without the TDVPR
 * @max_vcpus: of a TD
 * @max_ept_levels: of an S-EPT, 4 or 5
 * @nr_cpuid: how many are in @cpuid
 * @cpuid: leaves that can be configured
 */
struct tdx_sysinfo {
	u16 hkid_first;
	u16 nr_hkids;
	u64 attributes;
	u64 xfam;
	u64 xfam_fixed;
	u8 nr_tdcx;
	u8 nr_tdvpx;
	u16 max_vcpus;
	u8 max_ept_levels;
	u16 nr_cpuid;
	struct tdx_cpuid_config cpuid[TDX_MAX_CPUID_CONFIGS];
};

/**
 * struct tdx_backend - a TDX module
 * @name: for messages
 * @probe: is it there?  0 or an errno
 * @enable: make it ready and fill in what it can do; called once.  0 or an errno
 * @call: SEAMCALL
 * @reset_pages: pages that were a TD's are the host's again: make them usable.  NULL if
 *		 they are
 */
struct tdx_backend {
	const char *name;
	int (*probe)(void);
	int (*enable)(struct tdx_sysinfo *info);
	u64 (*call)(u64 fn, struct tdx_module_args *args);
	void (*reset_pages)(unsigned long pfn, unsigned long nr, u16 hkid);
};

#ifdef CONFIG_TDXMOD
extern const struct tdx_backend tdx_software;
#endif
#if defined(CONFIG_INTEL_TDX_HOST) && IS_BUILTIN(CONFIG_KVM)
extern const struct tdx_backend tdx_hardware;
#endif

u64 tdx_backend_call(u64 fn, struct tdx_module_args *args);
bool tdx_supported(void);
int tdx_enable_module(void);
const struct tdx_sysinfo *tdx_sysinfo(void);
void tdx_reset_pages(unsigned long pfn, unsigned long nr, u16 hkid);

/* The status without what it says of an operand. */
static inline u64 tdx_status(u64 status)
{
	return status & ~TDX_STATUS_DETAIL;
}

static inline bool tdx_failed(u64 status)
{
	return status & TDX_STATUS_ERROR;
}

/* Would the same call succeed later? */
static inline bool tdx_busy(u64 status)
{
	status = tdx_status(status);
	return status == TDX_OPERAND_BUSY || status == TDX_RND_NO_ENTROPY;
}

/* --- life of a TD and its vCPUs ------------------------------------------- */

u64 tdh_mng_create(unsigned long tdr, u16 hkid);
u64 tdh_mng_key_config(unsigned long tdr);
u64 tdh_mng_addcx(unsigned long tdr, unsigned long tdcx);
u64 tdh_mng_init(unsigned long tdr, unsigned long params, u64 *leaf);
u64 tdh_mng_vpflushdone(unsigned long tdr);
u64 tdh_mng_key_freeid(unsigned long tdr);
u64 tdh_phymem_cache_wb(void);
u64 tdh_vp_create(unsigned long tdr, unsigned long tdvpr);
u64 tdh_vp_addcx(unsigned long tdvpr, unsigned long tdcx);
u64 tdh_vp_init(unsigned long tdvpr, u64 initial);
u64 tdh_vp_flush(unsigned long tdvpr);
u64 tdh_mr_extend(unsigned long tdr, u64 gpa);
u64 tdh_mr_finalize(unsigned long tdr);

/* --- memory --------------------------------------------------------------- */

u64 tdh_mem_sept_add(unsigned long tdr, gfn_t gfn, int level, unsigned long pfn);
u64 tdh_mem_sept_remove(unsigned long tdr, gfn_t gfn, int level);
u64 tdh_mem_sept_rd(unsigned long tdr, gfn_t gfn, int level, u64 *entry, u64 *state);
u64 tdh_mem_page_add(unsigned long tdr, gfn_t gfn, unsigned long pfn, unsigned long source);
u64 tdh_mem_page_aug(unsigned long tdr, gfn_t gfn, int level, unsigned long pfn);
u64 tdh_mem_page_remove(unsigned long tdr, gfn_t gfn, int level);
u64 tdh_mem_page_promote(unsigned long tdr, gfn_t gfn, int level);
u64 tdh_mem_page_demote(unsigned long tdr, gfn_t gfn, int level, unsigned long pfn);
u64 tdh_mem_page_relocate(unsigned long tdr, gfn_t gfn, unsigned long pfn);
u64 tdh_mem_range_block(unsigned long tdr, gfn_t gfn, int level);
u64 tdh_mem_range_unblock(unsigned long tdr, gfn_t gfn, int level);
u64 tdh_mem_track(unsigned long tdr);
u64 tdh_phymem_page_reclaim(unsigned long pfn);

#endif /* __KVM_X86_TDX_SEAMCALL_H */
