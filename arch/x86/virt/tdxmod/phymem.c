// SPDX-License-Identifier: GPL-2.0
/*
 * TDH.PHYMEM.*: what the host does to pages, whoever has them.
 */
#include "internal.h"

static void clear_outputs(struct tdxmod_regs *regs)
{
	regs->rcx = 0;
	regs->rdx = 0;
	regs->r8 = 0;
	regs->r9 = 0;
	regs->r10 = 0;
	regs->r11 = 0;
}

static void report(struct tdxmod_regs *regs, const struct tdxmod_pamt_entry *entry, int level)
{
	regs->rcx = entry->type;
	regs->rdx = pamt_owner(entry);
	regs->r8 = level;
}

/* The TD that has the page; its TDR is locked, as that of the page itself is. */
static u64 get_owner(struct tdxmod_call *call, u64 page, const struct tdxmod_pamt_entry *entry)
{
	struct tdxmod_pamt_entry *tdr;
	u64 owner = pamt_owner(entry);

	if (entry->type == PAMT_TDR) {
		call->td = (struct tdxmod_td *)object_find(call->mod, page);
		return TDX_SUCCESS;
	}
	tdr = pamt_entry(call->mod, owner, TDXMOD_LEVEL_4K);
	if (!call_lock(call, &tdr->lock, SHARED, HOST_FIRST))
		return TDX_OPERAND_BUSY | OPERAND_TDR;
	call->td = (struct tdxmod_td *)object_find(call->mod, owner);
	return TDX_SUCCESS;
}

/* RCX: page, of a TD in TEARDOWN; returns what it was in RCX, RDX, R8 */
u64 leaf_phymem_page_reclaim(struct tdxmod_call *call)
{
	struct tdxmod_pamt_entry *entry;
	struct tdxmod_object *object;
	u64 page = call->regs->rcx;
	u64 status;
	int level;

	clear_outputs(call->regs);
	status = pamt_walk(call, page, OPERAND_RCX, EXCLUSIVE, &entry, &level);
	if (status)
		return status;
	if (entry->type == PAMT_NDA || entry->type == PAMT_RSVD)
		return TDX_PAGE_METADATA_INCORRECT | OPERAND_RCX;
	report(call->regs, entry, level);
	if (page & (level_size(level) - 1))
		return TDX_OPERAND_INVALID | OPERAND_RCX;
	status = get_owner(call, page, entry);
	if (status)
		return status;
	if (call->td->lifecycle != TEARDOWN)
		return TDX_LIFECYCLE_STATE_INCORRECT;
	if (entry->type == PAMT_TDR && atomic64_read(&call->td->children))
		return TDX_TD_ASSOCIATED_PAGES_EXIST;

	object = object_find(call->mod, page);
	if (object)
		object_remove(call->mod, object);
	if (entry->type == PAMT_TDR) {
		td_delete(call->td);
	} else {
		tdxmod_free(object);
		atomic64_sub(level_pages(level), &call->td->children);
	}
	pamt_release(entry);
	tdxmod_page_returned(page, level_size(level));
	return TDX_SUCCESS;
}

/* RCX: page; returns its metadata */
u64 leaf_phymem_page_rdmd(struct tdxmod_call *call)
{
	struct tdxmod_pamt_entry *entry;
	u64 page = call->regs->rcx;
	u64 status;
	int level;

	clear_outputs(call->regs);
	status = pamt_walk(call, page, OPERAND_RCX, SHARED, &entry, &level);
	if (status)
		return status;
	report(call->regs, entry, level);
	if (entry->type == PAMT_REG || entry->type == PAMT_EPT)
		call->regs->r9 = READ_ONCE(entry->bepoch);
	return TDX_SUCCESS;
}

/* RCX: page, with the key under which it is in caches.  There is nothing to write back. */
u64 leaf_phymem_page_wbinvd(struct tdxmod_call *call)
{
	const struct tdxmod_config *config = &call->mod->config;
	struct tdxmod_pamt_entry *entry;
	u64 page = call->regs->rcx;

	if (page >> config->max_pa)
		return TDX_OPERAND_INVALID | OPERAND_RCX;
	page &= BIT_ULL(config->hkid_shift) - 1;
	return pamt_get(call, page, TDXMOD_LEVEL_4K, OPERAND_RCX, PAMT_NDA, SHARED, &entry);
}
