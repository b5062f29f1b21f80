// SPDX-License-Identifier: GPL-2.0
/*
 * What a TD can be, what user space wants it to be, and TD_PARAMS, which tells the module.
 *
 * User space gives CPUID as KVM has it, a list of leaves; the module wants the values of
 * those leaves that can be configured, in its own order.
 */
#include <linux/bitfield.h>
#include <linux/build_bug.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vm.h"

/* units of TD_PARAMS.tsc_freq */
#define TDX_TSC_KHZ		(25 * 1000)
#define TDX_TSC_MIN		4
#define TDX_TSC_MAX		400

#define TDX_ATTR_SEPT_VE_DISABLE	BIT_ULL(28)
/* what KVM can do, of what the module can */
#define TDX_KVM_ATTRIBUTES		TDX_ATTR_SEPT_VE_DISABLE

#define TDX_EPTP_WB		6
#define TDX_EPTP_LEVELS		GENMASK_ULL(5, 3)
#define TDX_CONFIG_GPAW		BIT_ULL(0)

#define TDX_CPUID_ADDRESS	0x80000008
#define TDX_GUEST_PA_BITS	GENMASK(23, 16)

/* as the module has it, 1024 bytes */
struct tdx_params {
	u64 attributes;
	u64 xfam;
	u16 max_vcpus;
	u8 num_l2_vms;
	u8 msr_controls;
	u32 reserved_1;
	u64 eptp_controls;
	u64 config_flags;
	u16 tsc_freq;
	u8 reserved_2[38];
	u64 mrconfigid[6];
	u64 mrowner[6];
	u64 mrownerconfig[6];
	u64 arch_caps;
	u8 reserved_3[24];
	u32 cpuid[TDX_MAX_CPUID_CONFIGS][4];
};

static_assert(sizeof(struct tdx_params) == 1024);
static_assert(offsetof(struct tdx_params, tsc_freq) == 40);
static_assert(offsetof(struct tdx_params, mrconfigid) == 80);
static_assert(offsetof(struct tdx_params, cpuid) == 256);

static void tdx_cpuid_entry(struct kvm_cpuid_entry2 *entry,
			    const struct tdx_cpuid_config *config, const u32 *values)
{
	bool indexed = config->subleaf != TDX_NO_SUBLEAF;

	*entry = (struct kvm_cpuid_entry2) {
		.function = config->leaf,
		.index = indexed ? config->subleaf : 0,
		.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.eax = values[0], .ebx = values[1], .ecx = values[2], .edx = values[3],
	};
}

/* KVM_TDX_CAPABILITIES */
int tdx_get_capabilities(struct kvm_tdx_cmd *cmd)
{
	const struct tdx_sysinfo *info = tdx_sysinfo();
	struct kvm_tdx_capabilities __user *user = u64_to_user_ptr(cmd->data);
	struct kvm_tdx_capabilities *caps __free(kfree) = NULL;
	size_t size = struct_size(caps, cpuid.entries, info->nr_cpuid);
	u32 nent;
	int i;

	if (cmd->flags)
		return -EINVAL;
	if (get_user(nent, &user->cpuid.nent))
		return -EFAULT;
	if (nent < info->nr_cpuid)
		return -E2BIG;
	caps = kzalloc(size, GFP_KERNEL);
	if (!caps)
		return -ENOMEM;
	caps->supported_attrs = info->attributes & TDX_KVM_ATTRIBUTES;
	caps->supported_xfam = info->xfam;
	caps->cpuid.nent = info->nr_cpuid;
	for (i = 0; i < info->nr_cpuid; i++)
		tdx_cpuid_entry(&caps->cpuid.entries[i], &info->cpuid[i],
				info->cpuid[i].allowed);
	return copy_to_user(user, caps, size) ? -EFAULT : 0;
}

static const struct kvm_cpuid_entry2 *tdx_find_cpuid(const struct kvm_cpuid2 *cpuid, u32 leaf,
						     u32 subleaf)
{
	u32 i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == leaf &&
		    (subleaf == TDX_NO_SUBLEAF || cpuid->entries[i].index == subleaf))
			return &cpuid->entries[i];
	return NULL;
}

/*
 * How wide addresses are is not among the values, but in fields of its own.  48 bits,
 * unless user space asks for more.
 */
static int tdx_params_address(struct kvm_tdx *tdx, struct tdx_params *params)
{
	const struct kvm_cpuid_entry2 *entry;
	unsigned int bits = 0;

	entry = tdx_find_cpuid(tdx->cpuid, TDX_CPUID_ADDRESS, TDX_NO_SUBLEAF);
	if (entry)
		bits = FIELD_GET(TDX_GUEST_PA_BITS, entry->eax);
	if (bits > 52 || (bits > 48 && tdx_sysinfo()->max_ept_levels < 5))
		return -EINVAL;
	tdx->gpa_bits = bits > 48 ? 52 : 48;
	params->eptp_controls = TDX_EPTP_WB |
				FIELD_PREP(TDX_EPTP_LEVELS, tdx->gpa_bits > 48 ? 4 : 3);
	params->config_flags = tdx->gpa_bits > 48 ? TDX_CONFIG_GPAW : 0;
	return 0;
}

/* What cannot be configured must not be given.  Which bits are wrong the module tells. */
static int tdx_params_cpuid(struct kvm_tdx *tdx, struct tdx_params *params)
{
	const struct tdx_sysinfo *info = tdx_sysinfo();
	const struct kvm_cpuid_entry2 *entry;
	u32 i, used = 0;

	for (i = 0; i < info->nr_cpuid; i++) {
		entry = tdx_find_cpuid(tdx->cpuid, info->cpuid[i].leaf, info->cpuid[i].subleaf);
		if (!entry)
			continue;
		used++;
		params->cpuid[i][0] = entry->eax;
		params->cpuid[i][1] = entry->ebx;
		params->cpuid[i][2] = entry->ecx;
		params->cpuid[i][3] = entry->edx;
		if (entry->function == TDX_CPUID_ADDRESS)
			params->cpuid[i][0] &= ~TDX_GUEST_PA_BITS;
	}
	return used == tdx->cpuid->nent ? 0 : -EINVAL;
}

static int tdx_fill_params(struct kvm *kvm, struct kvm_tdx *tdx, struct tdx_params *params,
			   const struct kvm_tdx_init_vm *init)
{
	const struct tdx_sysinfo *info = tdx_sysinfo();
	u32 tsc_freq = kvm->arch.default_tsc_khz / TDX_TSC_KHZ;

	if (init->attributes & ~(info->attributes & TDX_KVM_ATTRIBUTES) ||
	    init->xfam & ~info->xfam || ~init->xfam & info->xfam_fixed ||
	    tsc_freq < TDX_TSC_MIN || tsc_freq > TDX_TSC_MAX)
		return -EINVAL;
	tdx->attributes = init->attributes;
	tdx->xfam = init->xfam;
	params->attributes = init->attributes;
	params->xfam = init->xfam;
	params->max_vcpus = min(kvm->max_vcpus, info->max_vcpus);
	params->tsc_freq = tsc_freq;
	memcpy(params->mrconfigid, init->mrconfigid, sizeof(params->mrconfigid));
	memcpy(params->mrowner, init->mrowner, sizeof(params->mrowner));
	memcpy(params->mrownerconfig, init->mrownerconfig, sizeof(params->mrownerconfig));
	return tdx_params_address(tdx, params) ?: tdx_params_cpuid(tdx, params);
}

/**
 * tdx_make_params - what the TD is to be, in the module's words
 * @kvm: the VM
 * @tdx: the TD; its constant fields are set
 * @init: what user space wants; @tdx->cpuid is a part of it
 *
 * Return: a page that begins with TD_PARAMS, or ERR_PTR: -EINVAL, -ENOMEM.
 */
struct page *tdx_make_params(struct kvm *kvm, struct kvm_tdx *tdx,
			     const struct kvm_tdx_init_vm *init)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	int r;

	if (!page)
		return ERR_PTR(-ENOMEM);
	r = tdx_fill_params(kvm, tdx, page_address(page), init);
	if (!r)
		return page;
	__free_page(page);
	return ERR_PTR(r);
}

/* KVM_TDX_GET_CPUID: the leaves that were configured; all others are the module's. */
int tdx_get_cpuid(struct kvm_tdx *tdx, struct kvm_tdx_cmd *cmd)
{
	struct kvm_cpuid2 __user *user = u64_to_user_ptr(cmd->data);
	u32 nent;

	if (cmd->flags)
		return -EINVAL;
	if (get_user(nent, &user->nent))
		return -EFAULT;
	if (put_user(tdx->cpuid->nent, &user->nent))
		return -EFAULT;
	if (nent < tdx->cpuid->nent)
		return -E2BIG;
	if (copy_to_user(user->entries, tdx->cpuid->entries,
			 flex_array_size(user, entries, tdx->cpuid->nent)))
		return -EFAULT;
	return 0;
}
