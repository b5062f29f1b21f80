/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TDXMOD_MACHINE_H
#define _TDXMOD_MACHINE_H

/*
 * The machine that the driver and the tests simulate: one package, one logical
 * processor, keys 32 to 63, of which 32 is the module's own, 2G for TDs at 4G.
 */
#include "tdxmod.h"

#define MACHINE_HKID_SHIFT	46
#define MACHINE_HKID_FIRST	32
#define MACHINE_HKID_LAST	63
#define MACHINE_TDMR_BASE	0x100000000ULL
#define MACHINE_TDMR_SIZE	0x80000000ULL
#define MACHINE_SEAMRR_BASE	0x1c0000000ULL
#define MACHINE_SEAMRR_SIZE	0x2000000ULL

static const struct tdxmod_range machine_tdmrs[] = {
	{ MACHINE_TDMR_BASE, MACHINE_TDMR_SIZE },
};

static inline struct tdxmod_config machine_config(void)
{
	return (struct tdxmod_config) {
		.max_pa = 52,
		.hkid_shift = MACHINE_HKID_SHIFT,
		.hkid_first = MACHINE_HKID_FIRST,
		.hkid_last = MACHINE_HKID_LAST,
		.packages = 1,
		.seamrr = { MACHINE_SEAMRR_BASE, MACHINE_SEAMRR_SIZE },
		.tdmrs = machine_tdmrs,
		.nr_tdmrs = ARRAY_SIZE(machine_tdmrs),
		.tdmrs_ready = true,
		.attributes = ~0ULL,
		.xfam = ~0ULL,
		.xfam_fixed = 3,
		.tsc_min = 4,
		.tsc_max = 400,
		.max_ept_levels = 5,
		.wbcache_blocks = 1,
		.hp_timeout = 1000000000,
		.encoding = &tdxmod_ept,
	};
}

#endif /* _TDXMOD_MACHINE_H */
