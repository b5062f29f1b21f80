// SPDX-License-Identifier: GPL-2.0
/*
 * TD_PARAMS: what a host wants a TD to be, 1024 bytes of shared memory.
 */
#include "internal.h"

#define NR_CPUID	48

struct td_params {
	u64 attributes;
	u64 xfam;
	u16 max_vcpus;
	u8 num_l2_vms;
	u8 msr_controls;
	u8 reserved_1[4];
	u64 eptp_controls;
	u64 config_flags;
	u16 tsc_freq;
	u8 reserved_2[38];
	u8 mrconfigid[TDXMOD_MRTD_BYTES];
	u8 mrowner[TDXMOD_MRTD_BYTES];
	u8 mrownerconfig[TDXMOD_MRTD_BYTES];
	u64 arch_caps;
	u8 reserved_3[24];
	u32 cpuid[NR_CPUID][4];
};

static_assert(sizeof(struct td_params) == 1024);
static_assert(offsetof(struct td_params, eptp_controls) == 24);
static_assert(offsetof(struct td_params, tsc_freq) == 40);
static_assert(offsetof(struct td_params, mrconfigid) == 80);
static_assert(offsetof(struct td_params, arch_caps) == 224);
static_assert(offsetof(struct td_params, cpuid) == 256);

/* EPTP_CONTROLS */
#define EPTP_MEMORY_TYPE	GENMASK_ULL(2, 0)
#define EPTP_WB			6
#define EPTP_LEVELS		GENMASK_ULL(5, 3)

#define CONFIG_FLAGS		(TD_CONFIG_GPAW | TD_CONFIG_FLEXIBLE_PENDING_VE)

static bool all_zero(const u8 *bytes, unsigned int len)
{
	while (len && !*bytes) {
		bytes++;
		len--;
	}
	return !len;
}

static u64 check_eptp(const struct tdxmod_config *config, const struct td_params *params)
{
	unsigned int levels = ((params->eptp_controls & EPTP_LEVELS) >> 3) + 1;

	if (params->eptp_controls & ~(EPTP_MEMORY_TYPE | EPTP_LEVELS) ||
	    (params->eptp_controls & EPTP_MEMORY_TYPE) != EPTP_WB ||
	    levels < 4 || levels > config->max_ept_levels)
		return TDX_OPERAND_INVALID | OPERAND_EPTP_CONTROLS;
	if (params->config_flags & ~CONFIG_FLAGS ||
	    (params->config_flags & TD_CONFIG_GPAW && levels < 5))
		return TDX_OPERAND_INVALID | OPERAND_EXEC_CONTROLS;
	return 0;
}

/* RCX says which leaf is wrong. */
static u64 check_cpuid(struct tdxmod_call *call, const struct td_params *params)
{
	const struct tdxmod_config *config = &call->mod->config;
	unsigned int i, reg;

	for (i = 0; i < NR_CPUID; i++) {
		for (reg = 0; reg < 4; reg++) {
			u32 allowed = i < config->nr_cpuid ? config->cpuid[i].allowed[reg] : 0;

			if (!(params->cpuid[i][reg] & ~allowed))
				continue;
			if (i < config->nr_cpuid)
				call->regs->rcx = config->cpuid[i].leaf |
						  (u64)config->cpuid[i].subleaf << 32;
			return TDX_OPERAND_INVALID | OPERAND_CPUID_CONFIG;
		}
	}
	return 0;
}

static u64 check_params(struct tdxmod_call *call, const struct td_params *params)
{
	const struct tdxmod_config *config = &call->mod->config;

	if (params->attributes & ~config->attributes)
		return TDX_OPERAND_INVALID | OPERAND_ATTRIBUTES;
	if (params->xfam & ~config->xfam || ~params->xfam & config->xfam_fixed)
		return TDX_OPERAND_INVALID | OPERAND_XFAM;
	if (!params->max_vcpus)
		return TDX_OPERAND_INVALID | OPERAND_MAX_VCPUS;
	/* there is no partitioning */
	if (params->num_l2_vms)
		return TDX_OPERAND_INVALID | OPERAND_NUM_L2_VMS;
	if (params->msr_controls || !all_zero(params->reserved_1, sizeof(params->reserved_1)) ||
	    !all_zero(params->reserved_2, sizeof(params->reserved_2)) ||
	    !all_zero(params->reserved_3, sizeof(params->reserved_3)))
		return TDX_OPERAND_INVALID | OPERAND_RDX;
	if (params->tsc_freq < config->tsc_min || params->tsc_freq > config->tsc_max)
		return TDX_OPERAND_INVALID | OPERAND_TSC_FREQUENCY;
	if (params->arch_caps & ~config->arch_caps)
		return TDX_OPERAND_INVALID | OPERAND_ARCH_CAPS;
	return check_eptp(config, params) ?: check_cpuid(call, params);
}

static void apply_params(struct tdxmod_td *td, const struct td_params *params)
{
	unsigned int i;

	td->attributes = params->attributes;
	td->xfam = params->xfam;
	td->max_vcpus = params->max_vcpus;
	td->tsc_freq = params->tsc_freq;
	td->config_flags = params->config_flags;
	td->arch_caps = params->arch_caps;
	memcpy(td->mrconfigid, params->mrconfigid, sizeof(td->mrconfigid));
	memcpy(td->mrowner, params->mrowner, sizeof(td->mrowner));
	memcpy(td->mrownerconfig, params->mrownerconfig, sizeof(td->mrownerconfig));
	for (i = 0; i < td->mod->config.nr_cpuid && i < NR_CPUID; i++)
		memcpy(td->cpuid[i], params->cpuid[i], sizeof(td->cpuid[i]));
	td->root_level = (params->eptp_controls & EPTP_LEVELS) >> 3;
	td->shared_bit = params->config_flags & TD_CONFIG_GPAW ? TDXMOD_GPA_BITS_LARGE - 1 :
								 TDXMOD_GPA_BITS - 1;
	td->pending_ve_disable = params->attributes & TD_ATTRIBUTE_SEPT_VE_DISABLE;
}

/* Make of the TD what the parameters at @pa, an operand, say. */
u64 td_read_params(struct tdxmod_call *call, u64 pa)
{
	u64 hpa = pa & (BIT_ULL(call->mod->config.hkid_shift) - 1), status;
	struct td_params *params;

	if (!tdxmod_shared_hpa(call->mod, pa, sizeof(*params)))
		return TDX_OPERAND_INVALID | OPERAND_RDX;
	/* a copy: the host can change them meanwhile */
	params = tdxmod_alloc(sizeof(*params));
	if (!params)
		return TDX_OPERAND_BUSY | OPERAND_TDR;
	if (phys_read_shared(hpa, params, sizeof(*params)))
		status = check_params(call, params);
	else
		status = TDX_OPERAND_INVALID | OPERAND_RDX;
	if (!status)
		apply_params(call->td, params);
	tdxmod_free(params);
	return status;
}
