// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's side: TDCALLs on its memory, and accesses that find nothing.
 *
 * A guest takes no lock but that of an entry, so it goes on beside calls of the host
 * that want the tree for themselves.  What keeps the tables it walks is its epoch: a
 * table is given back only when all vCPUs that were inside when it was blocked have
 * left.
 */
#include "internal.h"

#define GPA_FIELD	GENMASK_ULL(51, 12)
#define LEVEL_FIELD	GENMASK_ULL(2, 0)
#define PAGE_PENDING	BIT_ULL(62)

/* types of an EPT violation, in the extended exit qualification */
#define EXIT_NONE	0
#define EXIT_ACCEPT	1
#define EXIT_ATTR_WR	5
#define EXIT_PENDING	6

/**
 * struct guest_op - a TDCALL of the guest on its memory
 * @td: the TD
 * @vcpu: who makes it, or NULL: a test
 * @regs: its registers
 * @exit: where an exit is reported
 * @op: row in the table of transitions
 * @type: of an exit to the host
 * @gpa: operand
 * @level: operand
 * @walk: where the walk has ended
 */
struct guest_op {
	struct tdxmod_td *td;
	struct tdxmod_vcpu *vcpu;
	struct tdxmod_regs *regs;
	struct tdxmod_exit *exit;
	enum sept_op op;
	u64 type;
	u64 gpa;
	int level;
	struct sept_walk walk;
};

/* info[2:0] level asked for, [5:3] reached, [13:6] state, [14] is it a page */
static u64 extended_qualification(u64 type, int level, const struct sept_walk *walk)
{
	u64 info = level | walk->level << 3 | sept_states[walk->entry.state].arch << 6 |
		   (sept_is(&walk->entry, SEPT_LEAF) ? BIT(14) : 0);

	return type | info << 32;
}

static u64 qualification(unsigned int access, const struct sept_walk *walk)
{
	return access | sept_rwx(&walk->entry) << 3;
}

static enum tdxmod_outcome leave(struct guest_op *g)
{
	g->exit->reason = TDXMOD_EXIT_EPT_VIOLATION;
	g->exit->qualification = qualification(TDXMOD_ACCESS_WRITE, &g->walk);
	g->exit->extended = g->type == EXIT_NONE ? 0 :
			    extended_qualification(g->type, g->level, &g->walk);
	g->exit->gpa = g->gpa;
	return TDXMOD_EXIT;
}

static enum tdxmod_outcome answer(struct guest_op *g, u64 status)
{
	if (g->vcpu)
		g->vcpu->busy_since = 0;
	g->regs->rax = status;
	return TDXMOD_RETURN;
}

/*
 * The entry is not to be had.  A guest that retries for too long because a host has
 * priority, which does not come to use it, leaves to that host.
 */
static enum tdxmod_outcome busy(struct guest_op *g)
{
	u64 since;

	if (g->walk.entry.host_first && g->vcpu) {
		since = g->vcpu->busy_since ?: tdxmod_now();
		if (tdxmod_now() - since > g->td->mod->config.hp_timeout) {
			g->vcpu->busy_since = 0;
			g->exit->status = TDX_HOST_PRIORITY_BUSY_TIMEOUT;
			return TDXMOD_EXIT;
		}
		g->vcpu->busy_since = since;
	}
	g->regs->rax = TDX_OPERAND_BUSY | OPERAND_RCX;
	return TDXMOD_RETURN;
}

static bool get_operand(struct guest_op *g, int highest)
{
	u64 operand = g->regs->rcx;

	g->level = operand & LEVEL_FIELD;
	g->gpa = operand & GPA_FIELD;
	return !(operand & ~(GPA_FIELD | LEVEL_FIELD)) && g->level <= highest &&
	       !(g->gpa & (level_size(g->level) - 1)) && !(g->gpa >> g->td->shared_bit);
}

/* Zero a page, from where an interrupt has stopped it; how far it came. */
static unsigned int zero_page(const struct sept_walk *walk)
{
	unsigned int chunks = level_pages(walk->level), done = walk->entry.progress;

	do {
		phys_fill_page(walk->entry.hpa + done * TDXMOD_PAGE, 0);
		done++;
	} while (done < chunks && !tdxmod_interrupt_pending());
	return done;
}

static enum tdxmod_outcome accept_page(struct guest_op *g, enum sept_state to)
{
	unsigned int done = zero_page(&g->walk);

	if (done < level_pages(g->level)) {
		sept_change(g->td->mod, &g->walk, g->op, g->walk.entry.state,
			    g->walk.entry.hpa, done);
		return TDXMOD_RESUME;
	}
	sept_change(g->td->mod, &g->walk, g->op, to, g->walk.entry.hpa, 0);
	return answer(g, TDX_SUCCESS);
}

/* RCX: level and address */
static enum tdxmod_outcome tdg_mem_page_accept(struct guest_op *g)
{
	enum tdxmod_outcome outcome;
	struct sept_rule rule;

	g->op = SEPT_OP_ACCEPT;
	g->type = EXIT_ACCEPT;
	if (!get_operand(g, TDXMOD_LEVEL_2M))
		return answer(g, TDX_OPERAND_INVALID | OPERAND_RCX);
	sept_walk(g->td, g->gpa, g->level, &g->walk);
	if (g->walk.level > g->level) {
		if (sept_is(&g->walk.entry, SEPT_OPEN))
			return answer(g, TDX_PAGE_ALREADY_ACCEPTED | g->walk.level);
		return leave(g);
	}
	if (!sept_lock_entry(g->td->mod, g->walk.pa, g->walk.level, true, &g->walk.entry))
		return busy(g);
	rule = sept_judge(g->op, g->walk.entry.state);
	switch (rule.verdict) {
	case SEPT_LEGAL:
		outcome = accept_page(g, rule.to);
		break;
	case SEPT_ALREADY:
		outcome = answer(g, TDX_PAGE_ALREADY_ACCEPTED | g->level);
		break;
	case SEPT_MISMATCH:
		outcome = answer(g, TDX_PAGE_SIZE_MISMATCH | g->level);
		break;
	default:
		outcome = leave(g);
	}
	sept_unlock_entry(g->td->mod, g->walk.pa);
	return outcome;
}

/* Attributes are those that partitions have; there are none, and the TD itself has no. */
static enum tdxmod_outcome answer_attributes(struct guest_op *g)
{
	g->regs->rcx = (g->gpa & ~(level_size(g->walk.level) - 1)) | g->walk.level |
		       (sept_is(&g->walk.entry, SEPT_EMPTY) ? PAGE_PENDING : 0);
	g->regs->rdx = 0;
	return answer(g, TDX_SUCCESS);
}

/* RCX: address; returns level, address and attributes in RCX and RDX */
static enum tdxmod_outcome tdg_mem_page_attr_rd(struct guest_op *g)
{
	enum tdxmod_outcome outcome;

	g->op = SEPT_OP_ATTR_RD;
	g->type = EXIT_NONE;
	if (!get_operand(g, TDXMOD_LEVEL_4K))
		return answer(g, TDX_OPERAND_INVALID | OPERAND_RCX);
	sept_walk(g->td, g->gpa, TDXMOD_LEVEL_4K, &g->walk);
	if (!sept_lock_entry(g->td->mod, g->walk.pa, g->walk.level, true, &g->walk.entry))
		return busy(g);
	if (sept_judge(g->op, g->walk.entry.state).verdict == SEPT_LEGAL)
		outcome = answer_attributes(g);
	else
		outcome = leave(g);
	sept_unlock_entry(g->td->mod, g->walk.pa);
	return outcome;
}

/* RCX: level and address, RDX: attributes, R8: which of them */
static enum tdxmod_outcome tdg_mem_page_attr_wr(struct guest_op *g)
{
	enum tdxmod_outcome outcome;

	g->op = SEPT_OP_ATTR_WR;
	g->type = EXIT_ATTR_WR;
	if (!get_operand(g, TDXMOD_LEVEL_1G))
		return answer(g, TDX_OPERAND_INVALID | OPERAND_RCX);
	sept_walk(g->td, g->gpa, g->level, &g->walk);
	if (g->walk.level > g->level)
		return leave(g);
	if (!sept_lock_entry(g->td->mod, g->walk.pa, g->walk.level, true, &g->walk.entry))
		return busy(g);
	switch (sept_judge(g->op, g->walk.entry.state).verdict) {
	case SEPT_LEGAL:
		if (g->regs->rdx || g->regs->r8)
			outcome = answer(g, TDX_PAGE_ATTR_INVALID);
		else
			outcome = answer_attributes(g);
		break;
	case SEPT_MISMATCH:
		outcome = answer(g, TDX_PAGE_SIZE_MISMATCH | g->level);
		break;
	default:
		outcome = leave(g);
	}
	sept_unlock_entry(g->td->mod, g->walk.pa);
	return outcome;
}

/**
 * tdxmod_tdcall - the guest calls the module
 * @td: the TD
 * @vcpu: the vCPU, which is inside; NULL: a test, and nothing is kept of it
 * @regs: registers of the guest.  RAX: leaf; then the status
 * @exit: filled in if the outcome is TDXMOD_EXIT
 *
 * Return: how the guest goes on.  With TDXMOD_RESUME the registers are unchanged.
 */
enum tdxmod_outcome tdxmod_tdcall(struct tdxmod_td *td, struct tdxmod_vcpu *vcpu,
				  struct tdxmod_regs *regs, struct tdxmod_exit *exit)
{
	struct guest_op g = { .td = td, .vcpu = vcpu, .regs = regs, .exit = exit };

	*exit = (struct tdxmod_exit) {};
	switch (regs->rax) {
	case TDG_MEM_PAGE_ACCEPT:
		return tdg_mem_page_accept(&g);
	case TDG_MEM_PAGE_ATTR_RD:
		return tdg_mem_page_attr_rd(&g);
	case TDG_MEM_PAGE_ATTR_WR:
		return tdg_mem_page_attr_wr(&g);
	default:
		return answer(&g, TDX_OPERAND_INVALID | OPERAND_RAX);
	}
}

/* An access to a page that waits to be accepted tells the guest, or the host. */
static bool gets_ve(const struct tdxmod_td *td, const struct sept_walk *walk)
{
	return sept_is(&walk->entry, SEPT_ACCEPT) && !td->pending_ve_disable;
}

/**
 * tdxmod_guest_access - the guest has accessed private memory that is not mapped so
 * @td: the TD
 * @vcpu: the vCPU, which is inside
 * @gpa: the address
 * @access: TDXMOD_ACCESS_READ, TDXMOD_ACCESS_WRITE, TDXMOD_ACCESS_EXECUTE
 * @exit: filled in if the outcome is TDXMOD_EXIT
 *
 * Return: TDXMOD_RESUME if it would succeed by now.
 */
enum tdxmod_outcome tdxmod_guest_access(struct tdxmod_td *td, struct tdxmod_vcpu *vcpu,
					u64 gpa, unsigned int access,
					struct tdxmod_exit *exit)
{
	struct sept_walk walk;

	*exit = (struct tdxmod_exit) {};
	sept_walk(td, gpa, TDXMOD_LEVEL_4K, &walk);
	if (sept_is(&walk.entry, SEPT_LEAF) && !(access & ~sept_rwx(&walk.entry)))
		return TDXMOD_RESUME;
	if (gets_ve(td, &walk)) {
		if (vcpu->ve_info)
			return TDXMOD_DOUBLE_FAULT;
		vcpu->ve_info = true;
		return TDXMOD_VE;
	}
	exit->reason = TDXMOD_EXIT_EPT_VIOLATION;
	exit->qualification = qualification(access, &walk);
	exit->extended = sept_is(&walk.entry, SEPT_ACCEPT) ? EXIT_PENDING : EXIT_NONE;
	exit->gpa = gpa & GPA_FIELD;
	exit->private_access = true;
	return TDXMOD_EXIT;
}

/* Would the guest leave to the host when it accesses @gpa? */
bool guest_would_fault(const struct tdxmod_td *td, u64 gpa)
{
	struct sept_walk walk;

	sept_walk(td, gpa, TDXMOD_LEVEL_4K, &walk);
	return !sept_is(&walk.entry, SEPT_OPEN) && !gets_ve(td, &walk);
}
