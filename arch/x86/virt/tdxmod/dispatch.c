// SPDX-License-Identifier: GPL-2.0
/*
 * SEAMCALL: from a leaf number to the function that does it.
 */
#include "internal.h"

#define LEAF_FIELD	GENMASK_ULL(15, 0)
#define VERSION_FIELD	GENMASK_ULL(23, 16)
#define VERSION_SHIFT	16

static const struct {
	u64 (*function)(struct tdxmod_call *call);
	const char *name;
	u8 versions;
} leaves[TDXMOD_NR_LEAVES] = {
	[TDH_VP_ENTER]			= { leaf_vp_enter, "TDH.VP.ENTER", 1 },
	[TDH_MNG_ADDCX]			= { leaf_mng_addcx, "TDH.MNG.ADDCX", 1 },
	[TDH_MEM_PAGE_ADD]		= { leaf_mem_page_add, "TDH.MEM.PAGE.ADD", 1 },
	[TDH_MEM_SEPT_ADD]		= { leaf_mem_sept_add, "TDH.MEM.SEPT.ADD", 2 },
	[TDH_VP_ADDCX]			= { leaf_vp_addcx, "TDH.VP.ADDCX", 1 },
	[TDH_MEM_PAGE_RELOCATE]		= { leaf_mem_page_relocate, "TDH.MEM.PAGE.RELOCATE", 1 },
	[TDH_MEM_PAGE_AUG]		= { leaf_mem_page_aug, "TDH.MEM.PAGE.AUG", 1 },
	[TDH_MEM_RANGE_BLOCK]		= { leaf_mem_range_block, "TDH.MEM.RANGE.BLOCK", 1 },
	[TDH_MNG_KEY_CONFIG]		= { leaf_mng_key_config, "TDH.MNG.KEY.CONFIG", 1 },
	[TDH_MNG_CREATE]		= { leaf_mng_create, "TDH.MNG.CREATE", 1 },
	[TDH_VP_CREATE]			= { leaf_vp_create, "TDH.VP.CREATE", 1 },
	[TDH_MEM_RD]			= { leaf_mem_rd, "TDH.MEM.RD", 1 },
	[TDH_MEM_WR]			= { leaf_mem_wr, "TDH.MEM.WR", 1 },
	[TDH_MEM_PAGE_DEMOTE]		= { leaf_mem_page_demote, "TDH.MEM.PAGE.DEMOTE", 1 },
	[TDH_MR_EXTEND]			= { leaf_mr_extend, "TDH.MR.EXTEND", 1 },
	[TDH_MR_FINALIZE]		= { leaf_mr_finalize, "TDH.MR.FINALIZE", 1 },
	[TDH_VP_FLUSH]			= { leaf_vp_flush, "TDH.VP.FLUSH", 1 },
	[TDH_MNG_VPFLUSHDONE]		= { leaf_mng_vpflushdone, "TDH.MNG.VPFLUSHDONE", 1 },
	[TDH_MNG_KEY_FREEID]		= { leaf_mng_key_freeid, "TDH.MNG.KEY.FREEID", 1 },
	[TDH_MNG_INIT]			= { leaf_mng_init, "TDH.MNG.INIT", 1 },
	[TDH_VP_INIT]			= { leaf_vp_init, "TDH.VP.INIT", 1 },
	[TDH_MEM_PAGE_PROMOTE]		= { leaf_mem_page_promote, "TDH.MEM.PAGE.PROMOTE", 2 },
	[TDH_PHYMEM_PAGE_RDMD]		= { leaf_phymem_page_rdmd, "TDH.PHYMEM.PAGE.RDMD", 1 },
	[TDH_MEM_SEPT_RD]		= { leaf_mem_sept_rd, "TDH.MEM.SEPT.RD", 1 },
	[TDH_MNG_KEY_RECLAIMID]		= {
		leaf_mng_key_reclaimid, "TDH.MNG.KEY.RECLAIMID", 1
	},
	[TDH_PHYMEM_PAGE_RECLAIM]	= {
		leaf_phymem_page_reclaim, "TDH.PHYMEM.PAGE.RECLAIM", 1
	},
	[TDH_MEM_PAGE_REMOVE]		= { leaf_mem_page_remove, "TDH.MEM.PAGE.REMOVE", 1 },
	[TDH_MEM_SEPT_REMOVE]		= { leaf_mem_sept_remove, "TDH.MEM.SEPT.REMOVE", 2 },
	[TDH_SYS_TDMR_INIT]		= { leaf_sys_tdmr_init, "TDH.SYS.TDMR.INIT", 1 },
	[TDH_MEM_TRACK]			= { leaf_mem_track, "TDH.MEM.TRACK", 1 },
	[TDH_MEM_RANGE_UNBLOCK]		= { leaf_mem_range_unblock, "TDH.MEM.RANGE.UNBLOCK", 1 },
	[TDH_PHYMEM_CACHE_WB]		= { leaf_phymem_cache_wb, "TDH.PHYMEM.CACHE.WB", 1 },
	[TDH_PHYMEM_PAGE_WBINVD]	= { leaf_phymem_page_wbinvd, "TDH.PHYMEM.PAGE.WBINVD", 1 },
};

/**
 * tdxmod_leaf_name - the name of a leaf of SEAMCALL
 * @leaf: its number
 *
 * Return: the name, or NULL if the module does not have it.
 */
const char *tdxmod_leaf_name(unsigned int leaf)
{
	return leaf < TDXMOD_NR_LEAVES ? leaves[leaf].name : NULL;
}

static bool dispatched(const struct tdxmod *mod, u64 rax, unsigned int leaf)
{
	if (rax & ~(LEAF_FIELD | VERSION_FIELD) || leaf >= TDXMOD_NR_LEAVES)
		return false;
	if (leaf == TDH_VP_ENTER && !mod->config.run)
		return false;
	/* a leaf that does not exist has no version */
	return (rax & VERSION_FIELD) >> VERSION_SHIFT < leaves[leaf].versions;
}

static u64 do_call(struct tdxmod_call *call, u64 rax)
{
	u64 status;

	if (!dispatched(call->mod, rax, call->leaf))
		return TDX_OPERAND_INVALID | OPERAND_RAX;
	if (call->mod->state == SYS_NOT_READY)
		return TDX_SYS_NOT_READY;
	if (call->mod->state == SYS_SHUT_DOWN)
		return TDX_SYS_SHUTDOWN;
	status = leaves[call->leaf].function(call);
	call_unlock_all(call);
	return status;
}

/**
 * tdxmod_seamcall - a host calls the module
 * @mod: the module
 * @regs: registers.  RAX: leaf and version; then the status
 *
 * Context: May sleep if the leaf creates a TD or a vCPU, or is TDH.MNG.INIT; the others
 * do not.  Waits for nothing.  Must not move to another CPU meanwhile.
 * Return: the status.
 */
u64 tdxmod_seamcall(struct tdxmod *mod, struct tdxmod_regs *regs)
{
	struct tdxmod_call call = {
		.mod = mod,
		.regs = regs,
		.leaf = regs->rax & LEAF_FIELD,
		.version = (regs->rax & VERSION_FIELD) >> VERSION_SHIFT,
	};

	regs->rax = do_call(&call, regs->rax);
	stat_count(mod, call.leaf, regs->rax);
	return regs->rax;
}
