// SPDX-License-Identifier: GPL-2.0
/*
 * Intel's TDX module as what is called, by the base's SEAMCALL.
 *
 * Written from the specification and never run: there was no machine with TDX.  vCPUs of
 * TDs are not run on hardware; what is here is for the memory of a TD.
 *
 * Field identifiers: Intel TDX Module 1.5 ABI, "Global Scope Metadata".
 */
#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/cpufeature.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/smp.h>
#include <asm/msr.h>
#include <asm/special_insns.h>
#include <asm/tdx.h>

#include "seamcall.h"

/* not a leaf of the software module */
#define TDH_SYS_RD			34

#define FIELD_ATTRIBUTES_FIXED0		0x1900000300000000ULL
#define FIELD_XFAM_FIXED0		0x1900000300000002ULL
#define FIELD_XFAM_FIXED1		0x1900000300000003ULL
#define FIELD_TDCS_SIZE			0x9800000100000100ULL
#define FIELD_TDVPS_SIZE		0x9800000100000200ULL
#define FIELD_MAX_VCPUS			0x9900000100000008ULL
#define FIELD_NR_CPUID			0x9900000100000004ULL
#define FIELD_CPUID_LEAF(i)		(0x9900000300000400ULL + (i))
#define FIELD_CPUID_VALUE(i, half)	(0x9900000300000500ULL + 2 * (i) + (half))

/* key of a physical address: its highest bits */
static unsigned int hardware_key_shift;

static int tdx_hardware_probe(void)
{
	return boot_cpu_has(X86_FEATURE_TDX_HOST_PLATFORM) ? 0 : -ENODEV;
}

static void tdx_hardware_enable_cpu(void *arg)
{
	int r = tdx_cpu_enable();

	if (r)
		atomic_set(arg, r);
}

/* One field; @*r, which may have failed before, is what has become of it. */
static u64 tdx_hardware_field(u64 field, int *r)
{
	struct tdx_module_args args = { .rdx = field };

	if (!*r && __seamcall_ret(TDH_SYS_RD, &args))
		*r = -EIO;
	return *r ? 0 : args.r8;
}

static void tdx_hardware_cpuid(struct tdx_sysinfo *info, int *r)
{
	struct tdx_cpuid_config *config;
	u64 value;
	int i;

	info->nr_cpuid = min_t(u64, tdx_hardware_field(FIELD_NR_CPUID, r),
			       TDX_MAX_CPUID_CONFIGS);
	for (i = 0; i < info->nr_cpuid; i++) {
		config = &info->cpuid[i];
		value = tdx_hardware_field(FIELD_CPUID_LEAF(i), r);
		config->leaf = lower_32_bits(value);
		config->subleaf = upper_32_bits(value);
		value = tdx_hardware_field(FIELD_CPUID_VALUE(i, 0), r);
		config->allowed[0] = lower_32_bits(value);
		config->allowed[1] = upper_32_bits(value);
		value = tdx_hardware_field(FIELD_CPUID_VALUE(i, 1), r);
		config->allowed[2] = lower_32_bits(value);
		config->allowed[3] = upper_32_bits(value);
	}
}

static int tdx_hardware_read_info(struct tdx_sysinfo *info)
{
	int r = 0;

	info->attributes = tdx_hardware_field(FIELD_ATTRIBUTES_FIXED0, &r);
	info->xfam = tdx_hardware_field(FIELD_XFAM_FIXED0, &r);
	info->xfam_fixed = tdx_hardware_field(FIELD_XFAM_FIXED1, &r);
	info->nr_tdcx = tdx_hardware_field(FIELD_TDCS_SIZE, &r) / PAGE_SIZE;
	/* the TDVPR is the first page of what the field counts */
	info->nr_tdvpx = tdx_hardware_field(FIELD_TDVPS_SIZE, &r) / PAGE_SIZE - 1;
	info->max_vcpus = tdx_hardware_field(FIELD_MAX_VCPUS, &r);
	info->max_ept_levels = 4;
	tdx_hardware_cpuid(info, &r);
	return r;
}

static int tdx_hardware_read_keys(struct tdx_sysinfo *info)
{
	u32 nr_mktme, nr_tdx;

	if (rdmsr_safe(MSR_IA32_MKTME_KEYID_PARTITIONING, &nr_mktme, &nr_tdx) || nr_tdx < 2)
		return -ENODEV;
	/* the first is the module's own */
	info->hkid_first = nr_mktme + 2;
	info->nr_hkids = nr_tdx - 1;
	hardware_key_shift = boot_cpu_data.x86_phys_bits;
	return 0;
}

/* In VMX operation, which KVM is in as long as there is a VM, on all CPUs. */
static int tdx_hardware_enable(struct tdx_sysinfo *info)
{
	atomic_t failed = ATOMIC_INIT(0);
	int r;

	cpus_read_lock();
	on_each_cpu(tdx_hardware_enable_cpu, &failed, true);
	r = atomic_read(&failed) ?: tdx_enable();
	cpus_read_unlock();
	return r ?: tdx_hardware_read_keys(info) ?: tdx_hardware_read_info(info);
}

static u64 tdx_hardware_call(u64 fn, struct tdx_module_args *args)
{
	return __seamcall_ret(fn, args);
}

/*
 * Lines that were written with a private key go to memory before it is written with none;
 * and it is written whole lines at a time, or reading it would be a machine check.
 */
static void tdx_hardware_reset_pages(unsigned long pfn, unsigned long nr, u16 hkid)
{
	for (; nr; nr--, pfn++) {
		struct tdx_module_args args = {
			.rcx = PFN_PHYS(pfn) | (u64)hkid << hardware_key_shift,
		};
		void *page = page_address(pfn_to_page(pfn)), *line;
		u64 status;

		do {
			status = __seamcall_ret(TDH_PHYMEM_PAGE_WBINVD, &args);
		} while (tdx_busy(status));
		/* its lines may be written over it at any time: nobody must have it */
		if (status) {
			get_page(pfn_to_page(pfn));
			continue;
		}
		for (line = page; line < page + PAGE_SIZE; line += 64)
			movdir64b(line, page_address(ZERO_PAGE(0)));
	}
	/* before anybody reads them */
	mb();
}

const struct tdx_backend tdx_hardware = {
	.name		= "TDX",
	.probe		= tdx_hardware_probe,
	.enable		= tdx_hardware_enable,
	.call		= tdx_hardware_call,
	.reset_pages	= tdx_hardware_reset_pages,
};
