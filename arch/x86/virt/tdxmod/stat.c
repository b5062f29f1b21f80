// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: who asked for what, and how it went.
 */
#include "internal.h"

/* Leaves that look at something: a caller may look at what is not there. */
static bool only_reads(unsigned int leaf)
{
	return leaf == TDH_MEM_SEPT_RD || leaf == TDH_MEM_RD || leaf == TDH_MEM_WR ||
	       leaf == TDH_PHYMEM_PAGE_RDMD;
}

void stat_count(struct tdxmod *mod, unsigned int leaf, u64 status)
{
	struct tdxmod_stats *stats = &mod->stats;
	int index = tdxmod_status_index(status);

	if (index < 0) {
		tdxmod_broken(mod, "unknown status", status);
		return;
	}
	if (leaf >= TDXMOD_NR_LEAVES)
		atomic64_inc(&stats->unknown);
	else
		atomic64_inc(&stats->calls[leaf][index]);
	if (tdxmod_status_misuse(status) && !only_reads(leaf))
		atomic64_inc(&stats->misuse);
}

/**
 * tdxmod_stats - the counters of a module
 * @mod: the module
 *
 * Return: the counters, which go on counting.
 */
const struct tdxmod_stats *tdxmod_stats(const struct tdxmod *mod)
{
	return &mod->stats;
}
