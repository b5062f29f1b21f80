// SPDX-License-Identifier: GPL-2.0
/*
 * TDH.MEM.*: what the host does to the memory of a TD.
 *
 * All of them go the same way, and the order decides which of several errors is
 * reported:
 *
 *	1. the TDR, and the TD's state
 *	2. level and guest physical address
 *	3. the lock of the S-EPT tree; the walk; the lock of the entry; its state
 *	4. the page that is mapped there, or the table: its metadata
 *	5. may the guest still have translations of it?
 *	6. other pages that are operands
 *	7. the change, which cannot fail
 *
 * Steps 1 and 2 are begin(), step 3 is find().  RCX and RDX are 0 from the beginning,
 * and what a walk has found when that is what is wrong.
 */
#include "internal.h"

/* op_states that a call is allowed in */
#define OPS_INIT	BIT(OP_INITIALIZED)
#define OPS_AUG		(OPS_INIT | BIT(OP_RUNNABLE) | BIT(OP_LIVE_EXPORT) | BIT(OP_LIVE_IMPORT))
#define OPS_SEPT_ADD	(OPS_AUG | BIT(OP_MEMORY_IMPORT) | BIT(OP_STATE_IMPORT) |	\
			 BIT(OP_POST_IMPORT))
#define OPS_BLOCK	(OPS_AUG | BIT(OP_PAUSED_EXPORT) | BIT(OP_POST_EXPORT) |	\
			 BIT(OP_POST_IMPORT))
#define OPS_REMOVE	(OPS_BLOCK | BIT(OP_FAILED_IMPORT))
#define OPS_WRITE	(OPS_SEPT_ADD | BIT(OP_FAILED_IMPORT))
#define OPS_ANY		(OP_STATES & ~BIT(OP_UNINITIALIZED))

/* of an operand that names no page */
#define NO_PAGE		(~0ULL)
#define OPERAND_UNUSED	BIT_ULL(63)

#define GPA_FIELD	GENMASK_ULL(51, 12)
#define LEVEL_FIELD	GENMASK_ULL(2, 0)

/**
 * struct mem_op - one of these calls
 * @call: the SEAMCALL
 * @td: the TD
 * @op: row in the table of transitions
 * @gpa: guest physical address
 * @level: of the entry that is meant
 * @walk: that entry, locked, or where the walk has ended
 * @to: state that the table gives it
 */
struct mem_op {
	struct tdxmod_call *call;
	struct tdxmod_td *td;
	enum sept_op op;
	u64 gpa;
	int level;
	struct sept_walk walk;
	enum sept_state to;
};

#define ROOT_LEVEL	TDXMOD_LEVEL_256T	/* or less, if the TD's tree has less */

static u64 get_td(struct mem_op *m, u64 tdr, enum tdxmod_lock_mode mode, u32 op_states)
{
	u64 status;

	m->call->regs->rcx = 0;
	m->call->regs->rdx = 0;
	status = td_get(m->call, tdr, OPERAND_RDX, mode) ?: td_check(m->call, op_states, mode);
	m->td = m->call->td;
	return status;
}

static bool gpa_is_private(const struct tdxmod_td *td, u64 gpa)
{
	return !(gpa >> td->shared_bit);
}

/* @operand is level and address of an entry between @lowest and @highest. */
static u64 get_gpa(struct mem_op *m, u64 operand, int lowest, int highest)
{
	m->level = operand & LEVEL_FIELD;
	m->gpa = operand & GPA_FIELD;
	if (highest > m->td->root_level)
		highest = m->td->root_level;
	if (operand & ~(GPA_FIELD | LEVEL_FIELD) || m->level < lowest || m->level > highest ||
	    m->gpa & (level_size(m->level) - 1) || !gpa_is_private(m->td, m->gpa))
		return TDX_OPERAND_INVALID | OPERAND_RCX;
	return TDX_SUCCESS;
}

/* Steps 1 and 2 of a call with level and address in RCX. */
static u64 begin(struct mem_op *m, u64 tdr, enum tdxmod_lock_mode mode, u32 op_states,
		 int lowest, int highest)
{
	u64 operand = m->call->regs->rcx;

	return get_td(m, tdr, mode, op_states) ?: get_gpa(m, operand, lowest, highest);
}

static u64 lock_tree(struct mem_op *m, enum tdxmod_lock_mode mode)
{
	return call_lock(m->call, &m->td->tree_lock, mode, PLAIN) ? 0 :
	       TDX_OPERAND_BUSY | OPERAND_SEPT_TREE;
}

/* What is wrong is in the entry: tell the host what that is. */
static u64 fail_at_entry(struct mem_op *m, u64 status)
{
	sept_details(m->call, &m->walk);
	return status | OPERAND_RCX;
}

static u64 walk(struct mem_op *m)
{
	sept_walk(m->td, m->gpa, m->level, &m->walk);
	return m->walk.level == m->level ? 0 : fail_at_entry(m, TDX_EPT_WALK_FAILED);
}

static u64 lock_entry(struct mem_op *m)
{
	if (!sept_lock_entry(m->call->mod, m->walk.pa, m->walk.level, false, &m->walk.entry))
		return fail_at_entry(m, TDX_OPERAND_BUSY);
	m->call->entry = m->walk.pa;
	return TDX_SUCCESS;
}

static u64 judge(struct mem_op *m)
{
	struct sept_rule rule = sept_judge(m->op, m->walk.entry.state);

	m->to = rule.to;
	if (rule.verdict == SEPT_INCORRECT)
		return fail_at_entry(m, TDX_EPT_ENTRY_STATE_INCORRECT);
	return TDX_SUCCESS;
}

/* Step 3. */
static u64 find(struct mem_op *m, enum tdxmod_lock_mode tree)
{
	return lock_tree(m, tree) ?: walk(m) ?: lock_entry(m) ?: judge(m);
}

static void change(struct mem_op *m, enum sept_state state, u64 hpa, u16 progress)
{
	sept_change(m->call->mod, &m->walk, m->op, state, hpa, progress);
}

/* The level of the metadata of what an entry of m->level refers to. */
static int mapped_level(const struct mem_op *m)
{
	return sept_is(&m->walk.entry, SEPT_TABLE) ? TDXMOD_LEVEL_4K : m->level;
}

/* Step 4. */
static u64 get_mapped(struct mem_op *m, struct tdxmod_pamt_entry **entryp)
{
	return pamt_lock_mapped(m->call, m->walk.entry.hpa, mapped_level(m), entryp);
}

/* Step 5: the entry must be blocked, and all TLBs must have forgotten it. */
static u64 check_tracked(struct mem_op *m, const struct tdxmod_pamt_entry *entry,
			 enum tdxmod_operand operand)
{
	if (!td_tracks(m->td) || !sept_is(&m->walk.entry, SEPT_TRACK))
		return TDX_SUCCESS;
	if (!sept_is(&m->walk.entry, SEPT_BLOCK))
		return fail_at_entry(m, TDX_GPA_RANGE_NOT_BLOCKED);
	if (!td_tracked(m->td, READ_ONCE(entry->bepoch)))
		return TDX_TLB_TRACKING_NOT_DONE | operand;
	return TDX_SUCCESS;
}

/* Step 6: R8 names a page that is not assigned. */
static u64 get_new_page(struct mem_op *m, u64 page, int level, struct tdxmod_pamt_entry **entryp)
{
	return pamt_get(m->call, page, level, OPERAND_R8, PAMT_NDA, EXCLUSIVE, entryp);
}

static void add_children(struct mem_op *m, s64 pages)
{
	atomic64_add(pages, &m->td->children);
}

/* --- tables --------------------------------------------------------------- */

/*
 * Version 1 has pages for the tables of partitions in R9 to R11, and says of each of
 * R8 to R11 whether it was used.  There are no partitions.
 */
static void report_pages(struct tdxmod_call *call, bool used)
{
	if (call->version < 1)
		return;
	call->regs->r8 = used ? NO_PAGE : call->regs->r8 | OPERAND_UNUSED;
	call->regs->r9 |= OPERAND_UNUSED;
	call->regs->r10 |= OPERAND_UNUSED;
	call->regs->r11 |= OPERAND_UNUSED;
}

/* Version 1 of what frees a table says the same of those of partitions: there are none. */
static void report_no_l2_pages(struct tdxmod_call *call)
{
	if (call->version < 1)
		return;
	call->regs->r9 = NO_PAGE;
	call->regs->r10 = NO_PAGE;
	call->regs->r11 = NO_PAGE;
}

#define SEPT_ADD_EXISTING	BIT_ULL(0)

/*
 * RCX: entry that is to point to the table, RDX: TDR, and bit 0: it may already do so,
 * R8: the page
 */
u64 leaf_mem_sept_add(struct tdxmod_call *call)
{
	u64 tdr = call->regs->rdx & ~SEPT_ADD_EXISTING, page = call->regs->r8, status;
	bool existing = call->regs->rdx & SEPT_ADD_EXISTING;
	struct mem_op m = {
		.call = call,
		.op = existing ? SEPT_OP_SEPT_ADD_EXISTING : SEPT_OP_SEPT_ADD,
	};
	struct tdxmod_pamt_entry *entry;

	status = begin(&m, tdr, SHARED, OPS_SEPT_ADD, TDXMOD_LEVEL_2M, ROOT_LEVEL) ?:
		 find(&m, SHARED);
	if (status)
		return status;
	if (m.walk.entry.state == SEPT_NL_MAPPED) {
		report_pages(call, false);
		return TDX_SUCCESS;
	}
	if (page == NO_PAGE)
		return TDX_OPERAND_INVALID | OPERAND_R8;
	page &= ~OPERAND_UNUSED;
	status = get_new_page(&m, page, TDXMOD_LEVEL_4K, &entry);
	if (status)
		return status;

	sept_init_table(call->mod, page, m.level - 1);
	pamt_set(entry, PAMT_EPT, tdr);
	add_children(&m, 1);
	change(&m, m.to, page, 0);
	report_pages(call, true);
	return TDX_SUCCESS;
}

/* The first entry of a table that is not free, in *@child; or false. */
static bool find_used(const struct tdxmod *mod, u64 table, int level, struct sept_walk *child)
{
	unsigned int i;

	child->level = level;
	for (i = 0; i < TDXMOD_ENTRIES; i++) {
		child->pa = table + i * 8;
		child->entry = sept_read(mod, child->pa, level);
		if (child->entry.state != SEPT_FREE)
			return true;
	}
	return false;
}

/* RCX: entry that points to the table, RDX: TDR; returns the table's page in RCX */
u64 leaf_mem_sept_remove(struct tdxmod_call *call)
{
	struct mem_op m = { .call = call, .op = SEPT_OP_SEPT_REMOVE };
	struct tdxmod_pamt_entry *entry;
	struct sept_walk child;
	u64 table, status;

	status = begin(&m, call->regs->rdx, SHARED, OPS_ANY, TDXMOD_LEVEL_2M, ROOT_LEVEL) ?:
		 find(&m, EXCLUSIVE) ?:
		 get_mapped(&m, &entry) ?:
		 check_tracked(&m, entry, OPERAND_RCX);
	if (status)
		return status;
	table = m.walk.entry.hpa;
	if (find_used(call->mod, table, m.level - 1, &child))
		return fail_at_entry(&m, TDX_EPT_PAGE_NOT_FREE);

	change(&m, m.to, 0, 0);
	pamt_release(entry);
	add_children(&m, -1);
	tdxmod_page_returned(table, TDXMOD_PAGE);
	call->regs->rcx = table;
	report_no_l2_pages(call);
	return TDX_SUCCESS;
}

#define SEPT_RD_L2		BIT_ULL(0)

/* RCX: entry, RDX: TDR, and bit 0: attributes of partitions, too, in R8 */
u64 leaf_mem_sept_rd(struct tdxmod_call *call)
{
	u64 tdr = call->regs->rdx & ~SEPT_RD_L2, status;
	bool attributes = call->regs->rdx & SEPT_RD_L2;
	struct mem_op m = { .call = call };

	status = begin(&m, tdr, SHARED, OPS_ANY, TDXMOD_LEVEL_4K, ROOT_LEVEL);
	if (status)
		return status;
	if (attributes && !(m.td->attributes & TD_ATTRIBUTE_DEBUG))
		return TDX_OPERAND_INVALID | OPERAND_RDX;
	status = lock_tree(&m, SHARED) ?: walk(&m) ?: lock_entry(&m);
	if (status)
		return status;
	sept_details(call, &m.walk);
	if (attributes)
		call->regs->r8 = 0;
	return TDX_SUCCESS;
}

/* --- pages ---------------------------------------------------------------- */

/*
 * RCX: entry, RDX: TDR, R8: page, R9: content.  The only call that needs no locks in the
 * S-EPT, because it has the TDR exclusive.
 */
u64 leaf_mem_page_add(struct tdxmod_call *call)
{
	u64 page = call->regs->r8, source = call->regs->r9, status;
	struct mem_op m = { .call = call, .op = SEPT_OP_PAGE_ADD };
	struct tdxmod_pamt_entry *entry;

	status = begin(&m, call->regs->rdx, EXCLUSIVE, OPS_INIT, TDXMOD_LEVEL_4K,
		       TDXMOD_LEVEL_4K) ?:
		 walk(&m) ?: judge(&m);
	if (status)
		return status;
	if (!tdxmod_shared_hpa(call->mod, source, TDXMOD_PAGE))
		return TDX_OPERAND_INVALID | OPERAND_R9;
	status = get_new_page(&m, page, TDXMOD_LEVEL_4K, &entry);
	if (status)
		return status;

	phys_copy_shared_page(page, source & (BIT_ULL(call->mod->config.hkid_shift) - 1));
	tdxmod_page_taken(page, TDXMOD_PAGE);
	pamt_set(entry, PAMT_REG, m.td->object.pa);
	add_children(&m, 1);
	change(&m, m.to, page, 0);
	measure_page(m.td, m.gpa);
	return TDX_SUCCESS;
}

/* RCX: entry, RDX: TDR, R8: page.  Its content stays until the guest accepts it. */
u64 leaf_mem_page_aug(struct tdxmod_call *call)
{
	struct mem_op m = { .call = call, .op = SEPT_OP_AUG };
	struct tdxmod_pamt_entry *entry;
	u64 page = call->regs->r8, status;

	status = begin(&m, call->regs->rdx, SHARED, OPS_AUG, TDXMOD_LEVEL_4K, TDXMOD_LEVEL_2M) ?:
		 find(&m, SHARED) ?:
		 get_new_page(&m, page, m.level, &entry);
	if (status)
		return status;

	tdxmod_page_taken(page, level_size(m.level));
	pamt_set(entry, PAMT_REG, m.td->object.pa);
	add_children(&m, level_pages(m.level));
	change(&m, m.to, page, 0);
	return TDX_SUCCESS;
}

/* RCX: entry, RDX: TDR; returns the page in RCX */
u64 leaf_mem_page_remove(struct tdxmod_call *call)
{
	struct mem_op m = { .call = call, .op = SEPT_OP_REMOVE };
	struct tdxmod_pamt_entry *entry;
	u64 page, status;

	status = begin(&m, call->regs->rdx, SHARED, OPS_REMOVE, TDXMOD_LEVEL_4K,
		       TDXMOD_LEVEL_1G) ?:
		 find(&m, SHARED) ?:
		 get_mapped(&m, &entry) ?:
		 check_tracked(&m, entry, OPERAND_RCX);
	if (status)
		return status;

	page = m.walk.entry.hpa;
	change(&m, td_imports(m.td) ? SEPT_REMOVED : m.to, 0, 0);
	pamt_release(entry);
	add_children(&m, -level_pages(m.level));
	tdxmod_page_returned(page, level_size(m.level));
	call->regs->rcx = page;
	return TDX_SUCCESS;
}

/* RCX: entry, RDX: TDR, R8: the page that takes the place; returns the old one in RCX */
u64 leaf_mem_page_relocate(struct tdxmod_call *call)
{
	struct mem_op m = { .call = call, .op = SEPT_OP_RELOCATE };
	struct tdxmod_pamt_entry *old, *new;
	u64 page = call->regs->r8, from, status;

	status = begin(&m, call->regs->rdx, SHARED, OPS_BLOCK, TDXMOD_LEVEL_4K,
		       TDXMOD_LEVEL_4K) ?:
		 find(&m, SHARED) ?:
		 get_mapped(&m, &old) ?:
		 check_tracked(&m, old, OPERAND_RCX);
	if (status)
		return status;
	from = m.walk.entry.hpa;
	if (page == from)
		return TDX_OPERAND_INVALID | OPERAND_R8;
	status = get_new_page(&m, page, TDXMOD_LEVEL_4K, &new);
	if (status)
		return status;

	if (!sept_is(&m.walk.entry, SEPT_EMPTY))
		phys_copy_page(page, from);
	tdxmod_page_taken(page, TDXMOD_PAGE);
	pamt_set(new, PAMT_REG, m.td->object.pa);
	change(&m, m.to, page, 0);
	pamt_release(old);
	tdxmod_page_returned(from, TDXMOD_PAGE);
	call->regs->rcx = from;
	return TDX_SUCCESS;
}

/* --- sizes ---------------------------------------------------------------- */

/*
 * May the child @index, locked, be part of the page that *@first begins?  Progress of
 * ACCEPT makes no difference.
 */
static bool may_join(const struct sept_entry *first, const struct sept_entry *child,
		     unsigned int index, int level)
{
	if (!index)
		return (child->state == SEPT_MAPPED || child->state == SEPT_PENDING) &&
		       !(child->hpa & (level_size(level) - 1));
	return child->state == first->state &&
	       child->hpa == first->hpa + index * level_size(level - 1);
}

static void unlock_children(const struct tdxmod *mod, u64 table, unsigned int nr)
{
	while (nr)
		sept_unlock_entry(mod, table + --nr * 8);
}

/*
 * Lock the 512 children of a table and find out whether they make up one page, whose
 * first piece is returned in *@first.
 */
static u64 lock_children(struct mem_op *m, u64 table, struct sept_entry *first)
{
	const struct tdxmod *mod = m->call->mod;
	struct sept_entry child;
	u64 status = TDX_SUCCESS;
	unsigned int i;

	for (i = 0; !status && i < TDXMOD_ENTRIES; i++) {
		if (!sept_lock_entry(mod, table + i * 8, m->level - 1, false, &child)) {
			status = TDX_OPERAND_BUSY | OPERAND_RCX;
			break;
		}
		if (!i)
			*first = child;
		if (!may_join(first, &child, i, m->level))
			status = fail_at_entry(m, TDX_EPT_INVALID_PROMOTE_CONDITIONS);
		else if (tdxmod_interrupt_pending())
			status = TDX_INTERRUPTED_RESTARTABLE;
	}
	if (status)
		unlock_children(mod, table, i);
	return status;
}

/* RCX: entry that points to the table, RDX: TDR; returns the table's page in RCX */
u64 leaf_mem_page_promote(struct tdxmod_call *call)
{
	struct mem_op m = { .call = call, .op = SEPT_OP_PROMOTE };
	struct tdxmod_pamt_entry *entry, *large;
	struct sept_entry first;
	u64 table, status;

	status = begin(&m, call->regs->rdx, SHARED, OPS_BLOCK, TDXMOD_LEVEL_2M,
		       TDXMOD_LEVEL_1G);
	if (status)
		return status;
	/*
	 * A table that is blocked and tracked has nobody walking below it.  Where that
	 * is not asked for, nobody else may be in the tree.
	 */
	status = find(&m, td_tracks(m.td) ? SHARED : EXCLUSIVE) ?:
		 get_mapped(&m, &entry) ?:
		 check_tracked(&m, entry, OPERAND_RCX) ?:
		 lock_children(&m, m.walk.entry.hpa, &first);
	if (status)
		return status;
	table = m.walk.entry.hpa;
	status = pamt_lock_mapped(call, first.hpa, m.level, &large);
	if (status) {
		unlock_children(call->mod, table, TDXMOD_ENTRIES);
		return status;
	}

	pamt_promote(call->mod, first.hpa, m.level, large);
	change(&m, first.state, first.hpa, first.progress);
	unlock_children(call->mod, table, TDXMOD_ENTRIES);
	pamt_release(entry);
	add_children(&m, -1);
	tdxmod_page_returned(table, TDXMOD_PAGE);
	call->regs->rcx = table;
	report_no_l2_pages(call);
	return TDX_SUCCESS;
}

/* Fill a table with the pieces of a page, each in @state. */
static void fill_children(const struct tdxmod *mod, u64 table, u64 page, int level,
			  enum sept_state state)
{
	struct sept_entry child = { .state = state };
	unsigned int i;

	for (i = 0; i < TDXMOD_ENTRIES; i++) {
		child.hpa = page + i * level_size(level);
		phys_write64(table + i * 8, mod->config.encoding->encode(&child, level));
	}
}

/* RCX: entry, RDX: TDR, R8: page for a table */
u64 leaf_mem_page_demote(struct tdxmod_call *call)
{
	u64 gpa = call->regs->rcx, tdr = call->regs->rdx, table = call->regs->r8, status;
	struct mem_op m = { .call = call, .op = SEPT_OP_DEMOTE };
	struct tdxmod_pamt_entry *large, *entry;
	u64 page;

	status = begin(&m, tdr, SHARED, OPS_BLOCK, TDXMOD_LEVEL_2M, TDXMOD_LEVEL_1G) ?:
		 find(&m, SHARED) ?:
		 get_mapped(&m, &large) ?:
		 check_tracked(&m, large, OPERAND_RCX) ?:
		 get_new_page(&m, table, TDXMOD_LEVEL_4K, &entry);
	if (status)
		return status;
	if (tdxmod_interrupt_pending()) {
		/* ready to be repeated as it is */
		call->regs->rcx = gpa;
		call->regs->rdx = tdr;
		return TDX_INTERRUPTED_RESTARTABLE;
	}

	page = m.walk.entry.hpa;
	fill_children(call->mod, table, page, m.level - 1, sept_states[m.walk.entry.state].child);
	pamt_demote(call->mod, page, m.level, large);
	/* its BEPOCH is not written */
	entry->type = PAMT_EPT;
	entry->owner_low = m.td->object.pa >> 12;
	entry->owner_high = m.td->object.pa >> 44;
	add_children(&m, 1);
	change(&m, m.to, table, 0);
	return TDX_SUCCESS;
}

/* --- blocking ------------------------------------------------------------- */

/* RCX: entry, RDX: TDR */
u64 leaf_mem_range_block(struct tdxmod_call *call)
{
	struct mem_op m = { .call = call, .op = SEPT_OP_BLOCK };
	struct tdxmod_pamt_entry *entry;
	u64 status;

	status = begin(&m, call->regs->rdx, SHARED, OPS_BLOCK, TDXMOD_LEVEL_4K, ROOT_LEVEL) ?:
		 find(&m, EXCLUSIVE);
	if (status)
		return status;
	if (sept_is(&m.walk.entry, SEPT_BLOCK))
		return fail_at_entry(&m, TDX_GPA_RANGE_ALREADY_BLOCKED);
	status = get_mapped(&m, &entry);
	if (status)
		return status;

	WRITE_ONCE(entry->bepoch, READ_ONCE(m.td->epoch));
	change(&m, m.to, m.walk.entry.hpa, 0);
	return TDX_SUCCESS;
}

/* RCX: entry, RDX: TDR */
u64 leaf_mem_range_unblock(struct tdxmod_call *call)
{
	struct mem_op m = { .call = call, .op = SEPT_OP_UNBLOCK };
	struct tdxmod_pamt_entry *entry;
	u64 status;

	status = begin(&m, call->regs->rdx, SHARED, OPS_BLOCK, TDXMOD_LEVEL_4K, ROOT_LEVEL) ?:
		 find(&m, EXCLUSIVE) ?:
		 get_mapped(&m, &entry) ?:
		 check_tracked(&m, entry, OPERAND_SEPT_TREE);
	if (status)
		return status;
	change(&m, m.to, m.walk.entry.hpa, 0);
	return TDX_SUCCESS;
}

/* --- content, of a TD for debugging --------------------------------------- */

#define MEM_WORD	8ULL

/*
 * RCX: address of a word, RDX: TDR.  Returns where the word is in *@wordp.  R8 is 0 if that
 * fails, whatever it was.
 */
static u64 find_word(struct mem_op *m, u32 op_states, u64 *wordp)
{
	u64 gpa = m->call->regs->rcx, status;

	m->call->regs->r8 = 0;
	status = get_td(m, m->call->regs->rdx, SHARED, op_states);
	if (status)
		return status;
	if (!(m->td->attributes & TD_ATTRIBUTE_DEBUG))
		return TDX_TD_NON_DEBUG;
	if (gpa & (MEM_WORD - 1) || !gpa_is_private(m->td, gpa))
		return TDX_OPERAND_INVALID | OPERAND_RCX;
	status = lock_tree(m, SHARED);
	if (status)
		return status;
	sept_walk(m->td, gpa, TDXMOD_LEVEL_4K, &m->walk);
	if (!sept_is(&m->walk.entry, SEPT_OPEN))
		return fail_at_entry(m, TDX_EPT_ENTRY_NOT_PRESENT);
	status = lock_entry(m) ?: judge(m);
	*wordp = m->walk.entry.hpa + gpa % level_size(m->walk.level);
	return status;
}

/* R8 returns the word */
u64 leaf_mem_rd(struct tdxmod_call *call)
{
	struct mem_op m = { .call = call, .op = SEPT_OP_MEM_RD };
	u64 word, status = find_word(&m, OPS_ANY, &word);

	if (!status)
		call->regs->r8 = phys_read64(word);
	return status;
}

/* R8: the new word; returns the old one */
u64 leaf_mem_wr(struct tdxmod_call *call)
{
	struct mem_op m = { .call = call, .op = SEPT_OP_MEM_WR };
	u64 value = call->regs->r8, word, status;

	status = find_word(&m, OPS_WRITE, &word);
	if (status)
		return status;
	call->regs->r8 = phys_read64(word);
	phys_write64(word, value);
	return TDX_SUCCESS;
}
