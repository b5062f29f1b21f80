// SPDX-License-Identifier: GPL-2.0
/* The software TDX module as what is called. */
#include <linux/minmax.h>
#include <asm/tdxmod.h>

#include "seamcall.h"
#include "../../virt/tdxmod/tdxmod.h"

/* a TD and a vCPU of this module consist of no more than they need */
#define SOFTWARE_TDCX	6
#define SOFTWARE_TDVPX	5

static int tdx_software_probe(void)
{
	return tdxmod_available() ? 0 : -ENODEV;
}

static void tdx_software_cpuid(struct tdx_sysinfo *info, const struct tdxmod_config *config)
{
	unsigned int i;

	info->nr_cpuid = min(config->nr_cpuid, TDX_MAX_CPUID_CONFIGS);
	for (i = 0; i < info->nr_cpuid; i++) {
		info->cpuid[i].leaf = config->cpuid[i].leaf;
		info->cpuid[i].subleaf = config->cpuid[i].subleaf;
		memcpy(info->cpuid[i].allowed, config->cpuid[i].allowed,
		       sizeof(info->cpuid[i].allowed));
	}
}

static int tdx_software_enable(struct tdx_sysinfo *info)
{
	const struct tdxmod_config *config;
	int r = tdxmod_enable();

	if (r)
		return r;
	config = tdxmod_host_config();
	/* the first is the module's own */
	info->hkid_first = config->hkid_first + 1;
	info->nr_hkids = config->hkid_last - config->hkid_first;
	info->attributes = config->attributes;
	info->xfam = config->xfam;
	info->xfam_fixed = config->xfam_fixed;
	info->nr_tdcx = SOFTWARE_TDCX;
	info->nr_tdvpx = SOFTWARE_TDVPX;
	info->max_vcpus = U16_MAX;
	info->max_ept_levels = config->max_ept_levels;
	tdx_software_cpuid(info, config);
	return 0;
}

/* What leaves a TD is the module's to overwrite, and there are no caches by key. */
const struct tdx_backend tdx_software = {
	.name	= "software",
	.probe	= tdx_software_probe,
	.enable	= tdx_software_enable,
	.call	= tdxmod_call,
};
