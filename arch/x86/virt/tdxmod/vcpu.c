// SPDX-License-Identifier: GPL-2.0
/*
 * vCPUs: creating them, running them, and taking them off a logical processor (LP).
 *
 * A vCPU is *associated* with the LP that it last ran on, or was initialised on: state
 * of it may be in caches there.  It runs nowhere else until VP.FLUSH on that LP.
 *
 * While it runs the TDR and the TDVPR are locked shared.
 *
 * A host that lets a vCPU do one instruction at a time, by making it fault again and
 * again, learns from that what it does.  So a vCPU whose EPT violations bring it no
 * further is not entered as long as one of the pages would make it fault again.
 */
#include "internal.h"

#define OPS_CREATE	(BIT(OP_INITIALIZED) | BIT(OP_STATE_IMPORT))
#define OPS_ENTER	(BIT(OP_RUNNABLE) | BIT(OP_LIVE_EXPORT) | BIT(OP_LIVE_IMPORT))

/* The vCPU whose TDVPR is at @tdvpr, an operand, and its TD, shared. */
static u64 vcpu_get(struct tdxmod_call *call, u64 tdvpr, enum tdxmod_operand operand,
		    enum tdxmod_lock_mode mode, struct tdxmod_vcpu **vcpup)
{
	struct tdxmod_pamt_entry *entry;
	u64 status;

	status = pamt_get(call, tdvpr, TDXMOD_LEVEL_4K, operand, PAMT_TDVPR, mode, &entry);
	if (status)
		return status;
	/* the TD outlives the vCPU, whose page is locked */
	*vcpup = (struct tdxmod_vcpu *)object_find(call->mod, tdvpr);
	call->td = (*vcpup)->td;
	entry = pamt_entry(call->mod, call->td->object.pa, TDXMOD_LEVEL_4K);
	if (!call_lock(call, &entry->lock, SHARED, HOST_FIRST))
		return TDX_OPERAND_BUSY | OPERAND_TDR;
	return TDX_SUCCESS;
}

/* RCX: the page that becomes the TDVPR, RDX: TDR */
u64 leaf_vp_create(struct tdxmod_call *call)
{
	u64 page = call->regs->rcx, status;
	struct tdxmod_pamt_entry *entry;
	struct tdxmod_vcpu *vcpu;

	status = td_get(call, call->regs->rdx, OPERAND_RDX, SHARED) ?:
		 td_check(call, OPS_CREATE, SHARED) ?:
		 pamt_get(call, page, TDXMOD_LEVEL_4K, OPERAND_RCX, PAMT_NDA, EXCLUSIVE, &entry);
	if (status)
		return status;
	vcpu = tdxmod_alloc(sizeof(*vcpu));
	if (!vcpu)
		return TDX_OPERAND_BUSY | OPERAND_RCX;
	vcpu->object.pa = page;
	vcpu->td = call->td;
	vcpu->nr_pages = 1;
	vcpu->lp = TDXMOD_NO_LP;
	phys_fill_page(page, 0);
	pamt_set(entry, PAMT_TDVPR, call->td->object.pa);
	object_insert(call->mod, &vcpu->object);
	atomic64_inc(&call->td->children);
	return TDX_SUCCESS;
}

/* RCX: page, RDX: TDVPR */
u64 leaf_vp_addcx(struct tdxmod_call *call)
{
	u64 page = call->regs->rcx, status;
	struct tdxmod_pamt_entry *entry;
	struct tdxmod_vcpu *vcpu;

	status = vcpu_get(call, call->regs->rdx, OPERAND_RDX, EXCLUSIVE, &vcpu) ?:
		 td_check(call, OPS_CREATE, SHARED);
	if (status)
		return status;
	if (vcpu->state != VCPU_UNINITIALIZED)
		return TDX_VCPU_STATE_INCORRECT;
	if (vcpu->nr_pages == TDXMOD_MAX_VCPU_PAGES)
		return TDX_TDCX_NUM_INCORRECT;
	status = pamt_get(call, page, TDXMOD_LEVEL_4K, OPERAND_RCX, PAMT_NDA, EXCLUSIVE, &entry);
	if (status)
		return status;
	phys_fill_page(page, 0);
	pamt_set(entry, PAMT_TDCX, call->td->object.pa);
	vcpu->pages[vcpu->nr_pages++ - 1] = page;
	atomic64_inc(&call->td->children);
	return TDX_SUCCESS;
}

/* Take one of the vCPUs that the TD may have. */
static bool take_index(struct tdxmod_td *td, u32 *index)
{
	s64 nr = atomic64_inc_return(&td->vcpus);

	*index = nr - 1;
	if (nr <= td->max_vcpus)
		return true;
	atomic64_dec(&td->vcpus);
	return false;
}

/* RCX: TDVPR, RDX: what the guest finds in RCX and R8 */
u64 leaf_vp_init(struct tdxmod_call *call)
{
	struct tdxmod_vcpu *vcpu;
	u64 status;

	status = vcpu_get(call, call->regs->rcx, OPERAND_RCX, EXCLUSIVE, &vcpu) ?:
		 td_check(call, BIT(OP_INITIALIZED), SHARED);
	if (status)
		return status;
	if (vcpu->nr_pages < TDXMOD_MIN_VCPU_PAGES)
		return TDX_TDCX_NUM_INCORRECT;
	if (vcpu->state != VCPU_UNINITIALIZED)
		return TDX_VCPU_STATE_INCORRECT;
	if (!take_index(call->td, &vcpu->index))
		return TDX_MAX_VCPUS_EXCEEDED;
	vcpu->entry_value = call->regs->rdx;
	vcpu->lp = tdxmod_this_lp();
	atomic64_inc(&call->td->associated);
	WRITE_ONCE(vcpu->state, VCPU_READY);
	return TDX_SUCCESS;
}

/* RCX: TDVPR.  On the LP that the vCPU is associated with. */
u64 leaf_vp_flush(struct tdxmod_call *call)
{
	struct tdxmod_vcpu *vcpu;
	u64 status;

	status = vcpu_get(call, call->regs->rcx, OPERAND_RCX, EXCLUSIVE, &vcpu);
	if (status)
		return status;
	if (call->td->lifecycle != KEYS_CONFIGURED)
		return TDX_TD_KEYS_NOT_CONFIGURED;
	/* only with all of its pages does a vCPU have an association */
	if (vcpu->nr_pages < TDXMOD_MIN_VCPU_PAGES)
		return TDX_TDCX_NUM_INCORRECT;
	if (vcpu->lp != tdxmod_this_lp())
		return TDX_VCPU_NOT_ASSOCIATED;
	vcpu->lp = TDXMOD_NO_LP;
	atomic64_dec(&call->td->associated);
	return TDX_SUCCESS;
}

/* --- zero-step ------------------------------------------------------------ */

static void step_forget(struct tdxmod_vcpu *vcpu)
{
	vcpu->step_exits = 0;
	vcpu->nr_step_gpas = 0;
}

/* The vCPU has left, for the reason in *@exit. */
static void step_note(struct tdxmod_vcpu *vcpu, const struct tdxmod_exit *exit)
{
	unsigned int i;

	if (!exit->private_access || exit->rip != vcpu->step_rip)
		step_forget(vcpu);
	vcpu->step_rip = exit->rip;
	if (!exit->private_access || ++vcpu->step_exits <= TDXMOD_STEP_EXITS)
		return;
	for (i = 0; i < vcpu->nr_step_gpas; i++) {
		if (vcpu->step_gpas[i] == exit->gpa)
			return;
	}
	if (i < TDXMOD_STEP_GPAS)
		vcpu->step_gpas[vcpu->nr_step_gpas++] = exit->gpa;
}

/*
 * Would the vCPU fault again on a page that it has faulted on without getting further?
 * *@exit is that fault, then.  The S-EPT tree is locked for the question.
 */
static u64 step_check(struct tdxmod_call *call, struct tdxmod_vcpu *vcpu,
		      struct tdxmod_exit *exit, bool *fault)
{
	unsigned int i;

	*fault = false;
	if (!vcpu->nr_step_gpas)
		return TDX_SUCCESS;
	if (!call_lock(call, &call->td->tree_lock, EXCLUSIVE, PLAIN))
		return TDX_OPERAND_BUSY | OPERAND_SEPT_TREE;
	for (i = 0; i < vcpu->nr_step_gpas && !*fault; i++) {
		*fault = guest_would_fault(call->td, vcpu->step_gpas[i]);
		exit->gpa = vcpu->step_gpas[i];
	}
	call_unlock(call, &call->td->tree_lock);
	exit->reason = TDXMOD_EXIT_EPT_VIOLATION;
	exit->qualification = TDXMOD_ACCESS_WRITE;
	return TDX_SUCCESS;
}

/* --- running -------------------------------------------------------------- */

#define ENTER_FLAGS	GENMASK_ULL(53, 52)

/* Associate with this LP; *@fresh: with no other before. */
static u64 associate(struct tdxmod_call *call, struct tdxmod_vcpu *vcpu, bool *fresh)
{
	int lp = TDXMOD_NO_LP, here = tdxmod_this_lp();

	*fresh = try_cmpxchg(&vcpu->lp, &lp, here);
	if (*fresh)
		atomic64_inc(&call->td->associated);
	else if (lp != here)
		return TDX_VCPU_ASSOCIATED;
	return TDX_SUCCESS;
}

static u64 report_exit(struct tdxmod_regs *regs, const struct tdxmod_exit *exit)
{
	regs->rcx = exit->qualification;
	regs->rdx = exit->extended;
	regs->r8 = exit->gpa;
	regs->r9 = 0;
	return exit->reason;
}

/*
 * RCX: TDVPR and flags.  The status is that of the exit, with its reason as detail.
 * A TD that has died does not leave its epoch, as with the real module.
 */
u64 leaf_vp_enter(struct tdxmod_call *call)
{
	struct tdxmod_exit exit = {};
	struct tdxmod_vcpu *vcpu;
	struct tdxmod_td *td;
	bool fresh, flush, fault;
	u32 ready = VCPU_READY;
	u64 status;

	status = vcpu_get(call, call->regs->rcx & ~ENTER_FLAGS, OPERAND_RCX, SHARED, &vcpu) ?:
		 td_check(call, OPS_ENTER, SHARED);
	if (status)
		return status;
	td = call->td;
	call_unlock(call, &td->op_state_lock);
	if (vcpu->nr_pages < TDXMOD_MIN_VCPU_PAGES)
		return TDX_TDCX_NUM_INCORRECT;
	if (READ_ONCE(vcpu->state) == VCPU_UNINITIALIZED)
		return TDX_VCPU_STATE_INCORRECT;
	status = associate(call, vcpu, &fresh);
	if (status)
		return status;
	if (!try_cmpxchg(&vcpu->state, &ready, VCPU_ACTIVE))
		return TDX_VCPU_STATE_INCORRECT;

	status = step_check(call, vcpu, &exit, &fault);
	if (status || fault)
		goto out;
	if (!tdxmod_epoch_enter(td, &vcpu->epoch, fresh, &flush)) {
		status = TDX_OPERAND_BUSY | OPERAND_TD_EPOCH;
		goto out;
	}
	call->mod->config.run(td, vcpu, call->regs, &exit);
	status = exit.status;
	if (status == TDX_NON_RECOVERABLE_TD)
		td->fatal = true;
	else
		tdxmod_epoch_leave(td, vcpu->epoch);
	step_note(vcpu, &exit);
out:
	WRITE_ONCE(vcpu->state, VCPU_READY);
	return status ?: report_exit(call->regs, &exit);
}

/**
 * tdxmod_ve_info_read - the guest has read what the last #VE was about
 * @vcpu: the vCPU
 */
void tdxmod_ve_info_read(struct tdxmod_vcpu *vcpu)
{
	vcpu->ve_info = false;
}
