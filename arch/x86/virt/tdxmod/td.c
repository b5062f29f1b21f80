// SPDX-License-Identifier: GPL-2.0
/*
 * A TD's life, and its TLB epochs.
 *
 *	   CREATE	KEY.CONFIG	  VPFLUSHDONE	   KEY.FREEID
 *	NDA ----> HKID_ASSIGNED ----> KEYS_CONFIGURED ----> BLOCKED_FOR_GOOD ----> TEARDOWN
 *
 * All that reads or changes the TD wants KEYS_CONFIGURED; only there it has an op_state:
 *
 *	UNINITIALIZED --INIT--> INITIALIZED --FINALIZE--> RUNNABLE
 *
 * A TLB *epoch* is a number that the host advances with TRACK.  A vCPU that enters
 * flushes its TLB entries if the epoch is not the one of its last entry, and counts
 * among those *inside* of its epoch until it leaves.  TRACK fails while one is inside of
 * the epoch before the current one, so at most two epochs have vCPUs, and two counters
 * do.  What was blocked in some epoch is in no TLB when that epoch is over and the
 * vCPUs that were inside then have left.
 */
#include "internal.h"

#define OP_STATES_LIVE	(BIT(OP_RUNNABLE) | BIT(OP_LIVE_EXPORT) | BIT(OP_LIVE_IMPORT))
#define OP_STATES_IMPORT (BIT(OP_MEMORY_IMPORT) | BIT(OP_STATE_IMPORT) |	\
			  BIT(OP_POST_IMPORT) | BIT(OP_LIVE_IMPORT))
#define OP_STATES_TRACK	(OP_STATES & ~BIT(OP_UNINITIALIZED) & ~BIT(OP_FAILED_IMPORT))

/* --- checks that calls share ---------------------------------------------- */

/* The TD whose TDR is at @tdr, an operand; its TDR page is locked. */
u64 td_get(struct tdxmod_call *call, u64 tdr, enum tdxmod_operand operand,
	   enum tdxmod_lock_mode mode)
{
	struct tdxmod_pamt_entry *entry;
	u64 status;

	status = pamt_get(call, tdr, TDXMOD_LEVEL_4K, operand, PAMT_TDR, mode, &entry);
	if (status)
		return status;
	call->td = (struct tdxmod_td *)object_find(call->mod, tdr);
	return TDX_SUCCESS;
}

/*
 * The TD must have its key and its control pages, and be in one of @op_states.  Who has
 * the TDR exclusive needs no lock for op_state.
 */
u64 td_check(struct tdxmod_call *call, u32 op_states, enum tdxmod_lock_mode mode)
{
	struct tdxmod_td *td = call->td;

	if (td->fatal)
		return TDX_TD_FATAL;
	if (td->lifecycle != KEYS_CONFIGURED)
		return TDX_TD_KEYS_NOT_CONFIGURED;
	if (td->nr_tdcx < TDXMOD_MIN_TDCX)
		return TDX_TDCS_NOT_ALLOCATED;
	if (mode == SHARED && !call_lock(call, &td->op_state_lock, SHARED, HOST_FIRST))
		return TDX_OPERAND_BUSY | OPERAND_OP_STATE;
	if (!(BIT(td->op_state) & op_states))
		return TDX_OP_STATE_INCORRECT;
	return TDX_SUCCESS;
}

/* --- epochs --------------------------------------------------------------- */

/* Can translations of the TD be in a TLB? */
bool td_tracks(const struct tdxmod_td *td)
{
	return BIT(td->op_state) & OP_STATES_LIVE;
}

bool td_imports(const struct tdxmod_td *td)
{
	return BIT(td->op_state) & OP_STATES_IMPORT;
}

/* Have all TLBs forgotten what was blocked in the epoch @bepoch? */
bool td_tracked(struct tdxmod_td *td, u64 bepoch)
{
	u64 epoch = READ_ONCE(td->epoch);

	if (bepoch + 1 < epoch)
		return true;
	return bepoch + 1 == epoch && !atomic64_read(&td->inside[bepoch & 1]);
}

/**
 * tdxmod_epoch_enter - a vCPU enters the current epoch
 * @td: the TD
 * @epoch: of the vCPU's last entry; then of this one
 * @fresh: it was associated with no LP before, whose TLB could have entries of it
 * @flush: it must flush them
 *
 * Return: false if the epoch is just changing: try again.
 */
bool tdxmod_epoch_enter(struct tdxmod_td *td, u64 *epoch, bool fresh, bool *flush)
{
	u64 now;

	if (!tdxmod_trylock(&td->epoch_lock, SHARED, PLAIN))
		return false;
	now = td->epoch;
	atomic64_inc(&td->inside[now & 1]);
	tdxmod_unlock(&td->epoch_lock, SHARED);
	*flush = now != *epoch && !fresh;
	*epoch = now;
	return true;
}

/**
 * tdxmod_epoch_leave - a vCPU leaves
 * @td: the TD
 * @epoch: what tdxmod_epoch_enter() has returned
 */
void tdxmod_epoch_leave(struct tdxmod_td *td, u64 epoch)
{
	atomic64_dec(&td->inside[epoch & 1]);
}

u64 leaf_mem_track(struct tdxmod_call *call)
{
	struct tdxmod_td *td;
	u64 status;

	status = td_get(call, call->regs->rcx, OPERAND_RCX, SHARED) ?:
		 td_check(call, OP_STATES_TRACK, SHARED);
	if (status)
		return status;
	td = call->td;
	if (!call_lock(call, &td->epoch_lock, EXCLUSIVE, PLAIN))
		return TDX_OPERAND_BUSY | OPERAND_TD_EPOCH;
	if (atomic64_read(&td->inside[(td->epoch + 1) & 1]))
		return TDX_PREVIOUS_TLB_EPOCH_BUSY;
	WRITE_ONCE(td->epoch, td->epoch + 1);
	return TDX_SUCCESS;
}

/* --- creation ------------------------------------------------------------- */

void td_delete(struct tdxmod_td *td)
{
	tdxmod_sha384_delete(td->digest);
	tdxmod_free(td->cpuid);
	tdxmod_free(td);
}

static struct tdxmod_td *td_new(struct tdxmod *mod, u64 tdr, u16 hkid)
{
	struct tdxmod_td *td = tdxmod_alloc(sizeof(*td));

	if (!td)
		return NULL;
	td->object.pa = tdr;
	td->mod = mod;
	td->hkid = hkid;
	/* until TDH.MNG.INIT says otherwise */
	td->root_level = TDXMOD_LEVEL_512G;
	td->shared_bit = TDXMOD_GPA_BITS - 1;
	td->digest = tdxmod_sha384_new();
	td->cpuid = tdxmod_alloc((mod->config.nr_cpuid + 1) * sizeof(*td->cpuid));
	if (!td->digest || !td->cpuid) {
		td_delete(td);
		return NULL;
	}
	return td;
}

/* RCX: the page that becomes the TDR, RDX: the key */
u64 leaf_mng_create(struct tdxmod_call *call)
{
	u64 tdr = call->regs->rcx, hkid = call->regs->rdx, status;
	struct tdxmod_pamt_entry *entry;
	struct tdxmod_td *td;

	status = key_check(call->mod, hkid) ?:
		 pamt_get(call, tdr, TDXMOD_LEVEL_4K, OPERAND_RCX, PAMT_NDA, EXCLUSIVE, &entry) ?:
		 key_assign(call, hkid);
	if (status)
		return status;
	td = td_new(call->mod, tdr, hkid);
	if (!td) {
		key_abandon(call->mod, hkid);
		return TDX_RND_NO_ENTROPY;
	}
	phys_fill_page(tdr, 0);
	pamt_set(entry, PAMT_TDR, 0);
	object_insert(call->mod, &td->object);
	return TDX_SUCCESS;
}

/* RCX: the page, RDX: TDR */
u64 leaf_mng_addcx(struct tdxmod_call *call)
{
	u64 page = call->regs->rcx, tdr = call->regs->rdx, status;
	struct tdxmod_pamt_entry *entry;
	struct tdxmod_td *td;

	status = td_get(call, tdr, OPERAND_RDX, EXCLUSIVE);
	if (status)
		return status;
	td = call->td;
	if (td->fatal)
		return TDX_TD_FATAL;
	if (td->lifecycle != KEYS_CONFIGURED)
		return TDX_TD_KEYS_NOT_CONFIGURED;
	if (td->nr_tdcx == TDXMOD_MAX_TDCX)
		return TDX_TDCX_NUM_INCORRECT;
	if (td->nr_tdcx >= TDXMOD_MIN_TDCX && td->op_state != OP_UNINITIALIZED)
		return TDX_OP_STATE_INCORRECT;
	status = pamt_get(call, page, TDXMOD_LEVEL_4K, OPERAND_RCX, PAMT_NDA, EXCLUSIVE, &entry);
	if (status)
		return status;

	if (td->nr_tdcx == TDXMOD_TDCX_ROOT)
		sept_init_table(call->mod, page, TDXMOD_LEVEL_512G);
	else
		phys_fill_page(page, td->nr_tdcx == TDXMOD_TDCX_ONES ? ~0ULL : 0);
	pamt_set(entry, PAMT_TDCX, tdr);
	td->tdcx[td->nr_tdcx++] = page;
	atomic64_inc(&td->children);
	return TDX_SUCCESS;
}

/* RCX: TDR, RDX: TD_PARAMS */
u64 leaf_mng_init(struct tdxmod_call *call)
{
	u64 tdr = call->regs->rcx, status;
	struct tdxmod_td *td;

	/* where an error of the configuration is */
	call->regs->rcx = 0;
	status = td_get(call, tdr, OPERAND_RCX, EXCLUSIVE) ?:
		 td_check(call, BIT(OP_UNINITIALIZED), EXCLUSIVE) ?:
		 td_read_params(call, call->regs->rdx);
	if (status)
		return status;
	td = call->td;
	measure_start(td);
	td->epoch = 1;
	td->op_state = OP_INITIALIZED;
	return TDX_SUCCESS;
}

/* --- measurement ---------------------------------------------------------- */

/* RCX: address of a chunk, RDX: TDR */
u64 leaf_mr_extend(struct tdxmod_call *call)
{
	u64 gpa = call->regs->rcx, tdr = call->regs->rdx, status;
	u8 chunk[TDXMOD_CHUNK];
	struct sept_walk walk;
	struct tdxmod_td *td;

	call->regs->rcx = 0;
	call->regs->rdx = 0;
	status = td_get(call, tdr, OPERAND_RDX, EXCLUSIVE) ?:
		 td_check(call, BIT(OP_INITIALIZED), EXCLUSIVE);
	if (status)
		return status;
	td = call->td;
	if (gpa & (TDXMOD_CHUNK - 1) || gpa >> td->shared_bit)
		return TDX_OPERAND_INVALID | OPERAND_RCX;
	sept_walk(td, gpa, TDXMOD_LEVEL_4K, &walk);
	if (!sept_is(&walk.entry, SEPT_OPEN)) {
		sept_details(call, &walk);
		return TDX_EPT_ENTRY_NOT_PRESENT | OPERAND_RCX;
	}
	if (sept_judge(SEPT_OP_EXTEND, walk.entry.state).verdict != SEPT_LEGAL)
		return TDX_EPT_ENTRY_NOT_PRESENT;
	phys_read(walk.entry.hpa + gpa % level_size(walk.level), chunk, sizeof(chunk));
	measure_chunk(td, gpa, chunk);
	return TDX_SUCCESS;
}

/* RCX: TDR */
u64 leaf_mr_finalize(struct tdxmod_call *call)
{
	struct tdxmod_td *td;
	u64 status;

	status = td_get(call, call->regs->rcx, OPERAND_RCX, EXCLUSIVE) ?:
		 td_check(call, BIT(OP_INITIALIZED), EXCLUSIVE);
	if (status)
		return status;
	td = call->td;
	if (!atomic64_read(&td->vcpus))
		return TDX_NO_VCPUS;
	measure_end(td);
	td->op_state = OP_RUNNABLE;
	return TDX_SUCCESS;
}

/**
 * tdxmod_td_mrtd - the measurement of a TD
 * @td: the TD
 *
 * Return: 48 bytes; zeroes as long as the TD is not finalised.
 */
const u8 *tdxmod_td_mrtd(const struct tdxmod_td *td)
{
	return td->mrtd;
}
