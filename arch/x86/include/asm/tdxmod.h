/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_TDXMOD_H
#define _ASM_X86_TDXMOD_H

/*
 * The software TDX module, for the code that drives TDX: the one instance of a running
 * kernel.  See Documentation/arch/x86/tdxmod.rst.
 *
 * The first half is also part of the program that tests the module in user space.
 */
#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/types.h>
#include <asm/tdx.h>
#endif

struct tdxmod;
struct tdxmod_td;
struct tdxmod_vcpu;
struct tdxmod_regs;
struct tdxmod_exit;
struct tdxmod_encoding;

/**
 * struct tdxmod_range - a range of physical addresses
 * @base: first byte
 * @size: in bytes
 */
struct tdxmod_range {
	u64 base;
	u64 size;
};

/* subleaf of a CPUID leaf that has none */
#define TDXMOD_NO_SUBLEAF	0xffffffffU

/**
 * struct tdxmod_cpuid - a CPUID leaf whose values the host may configure
 * @leaf: EAX of the leaf
 * @subleaf: ECX of the leaf, or TDXMOD_NO_SUBLEAF
 * @allowed: bits of EAX, EBX, ECX, EDX that may be set
 */
struct tdxmod_cpuid {
	u32 leaf;
	u32 subleaf;
	u32 allowed[4];
};

/* Runs a vCPU until it leaves, and says in @exit why. */
typedef void (*tdxmod_run_fn)(struct tdxmod_td *td, struct tdxmod_vcpu *vcpu,
			      struct tdxmod_regs *regs, struct tdxmod_exit *exit);

/**
 * struct tdxmod_config - the machine that a module runs on, and its policy
 * @max_pa: width of a physical address, with the bits of the key
 * @hkid_shift: lowest bit of the key
 * @hkid_first: first private key, which is the module's own
 * @hkid_last: last private key
 * @packages: sockets
 * @seamrr: where a real module would reside
 * @tdmrs: memory that TDs can have, whole gigabytes, ascending
 * @nr_tdmrs: how many
 * @tdmrs_ready: need no TDH.SYS.TDMR.INIT
 * @attributes: that a TD may have
 * @xfam: that a TD may have
 * @xfam_fixed: that a TD must have
 * @arch_caps: bits of IA32_ARCH_CAPABILITIES that may be configured
 * @tsc_min: of the virtual TSC, in units of 25 MHz
 * @tsc_max: of the virtual TSC, in units of 25 MHz
 * @max_ept_levels: 4 or 5
 * @wbcache_blocks: steps of TDH.PHYMEM.CACHE.WB, which looks for interrupts between
 * @cpuid: leaves that can be configured
 * @nr_cpuid: how many
 * @hp_timeout: nanoseconds that a guest retries what the host has priority for
 * @encoding: how the entries of S-EPT pages look
 * @run: runs a vCPU until it leaves; NULL: there is no TDH.VP.ENTER
 */
struct tdxmod_config {
	u8 max_pa;
	u8 hkid_shift;
	u16 hkid_first;
	u16 hkid_last;
	u8 packages;
	struct tdxmod_range seamrr;
	const struct tdxmod_range *tdmrs;
	unsigned int nr_tdmrs;
	bool tdmrs_ready;
	u64 attributes;
	u64 xfam;
	u64 xfam_fixed;
	u64 arch_caps;
	u16 tsc_min;
	u16 tsc_max;
	u8 max_ept_levels;
	u16 wbcache_blocks;
	const struct tdxmod_cpuid *cpuid;
	unsigned int nr_cpuid;
	u64 hp_timeout;
	const struct tdxmod_encoding *encoding;
	tdxmod_run_fn run;
};

#ifdef __KERNEL__
#ifdef CONFIG_TDXMOD
bool tdxmod_available(void);
int tdxmod_enable(void);
u64 tdxmod_call(u64 fn, struct tdx_module_args *args);
const struct tdxmod_config *tdxmod_host_config(void);
struct tdxmod *tdxmod_host(void);
void tdxmod_set_run(tdxmod_run_fn run);
#else
static inline bool tdxmod_available(void)
{
	return false;
}

static inline int tdxmod_enable(void)
{
	return -ENODEV;
}

static inline u64 tdxmod_call(u64 fn, struct tdx_module_args *args)
{
	return TDX_SEAMCALL_VMFAILINVALID;
}

static inline const struct tdxmod_config *tdxmod_host_config(void)
{
	return NULL;
}

static inline struct tdxmod *tdxmod_host(void)
{
	return NULL;
}

static inline void tdxmod_set_run(tdxmod_run_fn run)
{
}
#endif /* CONFIG_TDXMOD */
#endif /* __KERNEL__ */

#endif /* _ASM_X86_TDXMOD_H */
