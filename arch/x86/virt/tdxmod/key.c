// SPDX-License-Identifier: GPL-2.0
/*
 * Private keys and who has them: the key ownership table.
 *
 *	FREE --CREATE--> ASSIGNED --VPFLUSHDONE--> FLUSHED --CACHE.WB on each package,
 *	 ^						      then KEY.FREEID--.
 *	 '---------------------------------------------------------------------'
 *
 * The first private key is the module's own and stays RESERVED.
 */
#include "internal.h"

static u32 all_packages(const struct tdxmod *mod)
{
	return BIT_ULL(mod->config.packages) - 1;
}

static struct tdxmod_key *key_of(struct tdxmod *mod, u64 hkid)
{
	return &mod->keys[hkid - mod->config.hkid_first];
}

/* Is @hkid a private key at all? */
u64 key_check(const struct tdxmod *mod, u64 hkid)
{
	if (hkid < mod->config.hkid_first || hkid > mod->config.hkid_last)
		return TDX_OPERAND_INVALID | OPERAND_RDX;
	return TDX_SUCCESS;
}

static u64 key_lock(struct tdxmod_call *call, enum tdxmod_lock_mode mode)
{
	return call_lock(call, &call->mod->kot_lock, mode, PLAIN) ? 0 :
	       TDX_OPERAND_BUSY | OPERAND_KOT;
}

/* The lock is kept until the end of the call, so key_abandon() can take it back. */
u64 key_assign(struct tdxmod_call *call, u64 hkid)
{
	u64 status = key_lock(call, EXCLUSIVE);

	if (status)
		return status;
	if (key_of(call->mod, hkid)->state != KEY_FREE)
		return TDX_HKID_NOT_FREE;
	key_of(call->mod, hkid)->state = KEY_ASSIGNED;
	return TDX_SUCCESS;
}

void key_abandon(struct tdxmod *mod, u64 hkid)
{
	key_of(mod, hkid)->state = KEY_FREE;
}

/* RCX: TDR.  Once on each package. */
u64 leaf_mng_key_config(struct tdxmod_call *call)
{
	u32 package = BIT(tdxmod_this_package());
	struct tdxmod_td *td;
	u64 status;

	status = td_get(call, call->regs->rcx, OPERAND_RCX, EXCLUSIVE);
	if (status)
		return status;
	td = call->td;
	if (td->fatal)
		return TDX_TD_FATAL;
	if (td->lifecycle != HKID_ASSIGNED)
		return TDX_LIFECYCLE_STATE_INCORRECT;
	if (td->keyed & package)
		return TDX_KEY_CONFIGURED;
	td->keyed |= package;
	if (td->keyed == all_packages(call->mod))
		td->lifecycle = KEYS_CONFIGURED;
	return TDX_SUCCESS;
}

/* RCX: TDR.  No vCPU may have state in caches any more. */
u64 leaf_mng_vpflushdone(struct tdxmod_call *call)
{
	struct tdxmod_key *key;
	struct tdxmod_td *td;
	u64 status;

	status = td_get(call, call->regs->rcx, OPERAND_RCX, EXCLUSIVE) ?:
		 key_lock(call, EXCLUSIVE);
	if (status)
		return status;
	td = call->td;
	if (td->lifecycle != HKID_ASSIGNED && td->lifecycle != KEYS_CONFIGURED)
		return TDX_LIFECYCLE_STATE_INCORRECT;
	if (td->op_state != OP_UNINITIALIZED && atomic64_read(&td->associated))
		return TDX_FLUSHVP_NOT_DONE;
	key = key_of(call->mod, td->hkid);
	key->state = KEY_FLUSHED;
	key->dirty = all_packages(call->mod);
	td->lifecycle = BLOCKED_FOR_GOOD;
	return TDX_SUCCESS;
}

/* RCX: TDR */
u64 leaf_mng_key_freeid(struct tdxmod_call *call)
{
	struct tdxmod_key *key;
	struct tdxmod_td *td;
	u64 status;

	status = td_get(call, call->regs->rcx, OPERAND_RCX, EXCLUSIVE);
	if (status)
		return status;
	td = call->td;
	if (td->lifecycle != BLOCKED_FOR_GOOD)
		return TDX_LIFECYCLE_STATE_INCORRECT;
	status = key_lock(call, EXCLUSIVE);
	if (status)
		return status;
	key = key_of(call->mod, td->hkid);
	if (key->dirty)
		return TDX_WBCACHE_NOT_COMPLETE;
	key->state = KEY_FREE;
	td->lifecycle = TEARDOWN;
	return TDX_SUCCESS;
}

/* Does nothing, as in the real module. */
u64 leaf_mng_key_reclaimid(struct tdxmod_call *call)
{
	return TDX_SUCCESS;
}

/* Which keys are flushed, as a mask. */
static u64 flushed_keys(const struct tdxmod *mod)
{
	u64 keys = 0;
	unsigned int i;

	for (i = 0; i < tdxmod_nr_keys(mod); i++) {
		if (mod->keys[i].state == KEY_FLUSHED)
			keys |= BIT_ULL(i);
	}
	return keys;
}

/* The caches of this package hold nothing of @keys any more. */
static void keys_written_back(struct tdxmod *mod, u64 keys, unsigned int package)
{
	unsigned int i;

	for (i = 0; i < tdxmod_nr_keys(mod); i++) {
		u32 *dirty = &mod->keys[i].dirty, old = READ_ONCE(*dirty);

		/* other packages do the same at the same time */
		while (keys & BIT_ULL(i) && !try_cmpxchg(dirty, &old, old & ~BIT(package)))
			;
	}
}

/*
 * RCX: 0 start, 1 go on.  For the keys that are flushed when it starts.  The key
 * ownership table is locked shared, which keeps states as they are; what is dirty on a
 * package is changed with that package's lock.
 */
u64 leaf_phymem_cache_wb(struct tdxmod_call *call)
{
	unsigned int package = tdxmod_this_package();
	struct tdxmod *mod = call->mod;
	u64 resume = call->regs->rcx;
	u16 *done = &mod->wb_done[package];
	u64 status;

	if (resume > 1)
		return TDX_OPERAND_INVALID | OPERAND_RCX;
	if (!call_lock(call, &mod->wb_lock[package], EXCLUSIVE, PLAIN))
		return TDX_OPERAND_BUSY | OPERAND_WBCACHE;
	status = key_lock(call, SHARED);
	if (status)
		return status;
	if (resume && !*done)
		return TDX_WBCACHE_RESUME_ERROR;
	if (!resume) {
		mod->wb_keys[package] = flushed_keys(mod);
		*done = 0;
		if (!mod->wb_keys[package])
			return TDX_NO_HKID_READY_TO_WBCACHE;
	}
	while (++*done < mod->config.wbcache_blocks) {
		if (tdxmod_interrupt_pending())
			return TDX_INTERRUPTED_RESUMABLE;
	}
	*done = 0;
	keys_written_back(mod, mod->wb_keys[package], package);
	return TDX_SUCCESS;
}
