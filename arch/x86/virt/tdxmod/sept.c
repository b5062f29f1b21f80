// SPDX-License-Identifier: GPL-2.0
/*
 * The Secure EPT of a TD: walking it, and what may become of an entry.
 *
 * Tables are pages that the host has given with TDH.MEM.SEPT.ADD; the root is one of
 * the TD's control pages.  An entry is changed by who has locked it, with a bit of the
 * entry itself, or by who has the TDR exclusive.
 *
 * What an operation may do with an entry is decided by one table, and every change goes
 * through sept_change(), which compares it with that table.
 */
#include "internal.h"

/* name, code that calls report, access, properties, state of the pieces when it is demoted */
#define STATE(_name, _arch, _rwx, _props, _child)				\
	{									\
		.name = _name, .arch = _arch, .rwx = _rwx, .props = _props,	\
		.child = SEPT_##_child,						\
	}

const struct sept_state_info sept_states[SEPT_NR_STATES + 1] = {
	[SEPT_FREE] =
		STATE("FREE", 0x00, 0, 0, FREE),
	[SEPT_REMOVED] =
		STATE("REMOVED", 0x05, 0, 0, REMOVED),
	[SEPT_NL_MAPPED] =
		STATE("NL_MAPPED", 0x84, 7, SEPT_TABLE | SEPT_TRACK, NL_MAPPED),
	[SEPT_NL_BLOCKED] =
		STATE("NL_BLOCKED", 0x81, 0, SEPT_TABLE | SEPT_BLOCK | SEPT_TRACK, NL_MAPPED),
	[SEPT_MAPPED] =
		STATE("MAPPED", 0x04, 7, SEPT_LEAF | SEPT_TRACK | SEPT_OPEN, MAPPED),
	[SEPT_BLOCKED] =
		STATE("BLOCKED", 0x01, 0, SEPT_LEAF | SEPT_BLOCK | SEPT_TRACK, MAPPED),
	[SEPT_PENDING] =
		STATE("PENDING", 0x02, 0,
		      SEPT_LEAF | SEPT_TRACK | SEPT_ACCEPT | SEPT_EMPTY, PENDING),
	[SEPT_PENDING_BLOCKED] =
		STATE("PENDING_BLOCKED", 0x03, 0,
		      SEPT_LEAF | SEPT_BLOCK | SEPT_TRACK | SEPT_EMPTY, PENDING),
	[SEPT_BLOCKEDW] =
		STATE("BLOCKEDW", 0x08, 5, SEPT_LEAF | SEPT_TRACK | SEPT_OPEN, BLOCKEDW),
	[SEPT_EXPORTED_BLOCKEDW] =
		STATE("EXPORTED_BLOCKEDW", 0x09, 5, SEPT_LEAF | SEPT_OPEN, EXPORTED_BLOCKEDW),
	[SEPT_EXPORTED_DIRTY] =
		STATE("EXPORTED_DIRTY", 0x0b, 7,
		      SEPT_LEAF | SEPT_TRACK | SEPT_OPEN, EXPORTED_DIRTY),
	[SEPT_EXPORTED_DIRTY_BLOCKEDW] =
		STATE("EXPORTED_DIRTY_BLOCKEDW", 0x0c, 5,
		      SEPT_LEAF | SEPT_TRACK | SEPT_OPEN, EXPORTED_DIRTY_BLOCKEDW),
	[SEPT_PENDING_BLOCKEDW] =
		STATE("PENDING_BLOCKEDW", 0x10, 0,
		      SEPT_LEAF | SEPT_TRACK | SEPT_EMPTY, PENDING_BLOCKEDW),
	[SEPT_PENDING_EXPORTED_BLOCKEDW] =
		STATE("PENDING_EXPORTED_BLOCKEDW", 0x11, 0,
		      SEPT_LEAF | SEPT_EMPTY, PENDING_EXPORTED_BLOCKEDW),
	[SEPT_PENDING_EXPORTED_DIRTY] =
		STATE("PENDING_EXPORTED_DIRTY", 0x13, 0,
		      SEPT_LEAF | SEPT_TRACK | SEPT_ACCEPT | SEPT_EMPTY, PENDING_EXPORTED_DIRTY),
	[SEPT_PENDING_EXPORTED_DIRTY_BLOCKEDW] =
		STATE("PENDING_EXPORTED_DIRTY_BLOCKEDW", 0x14, 0,
		      SEPT_LEAF | SEPT_TRACK | SEPT_EMPTY, PENDING_EXPORTED_DIRTY_BLOCKEDW),
	[SEPT_GARBAGE] =
		STATE("garbage", 0, 0, 0, GARBAGE),
};

#define TO(state)	{ SEPT_LEGAL, SEPT_##state }
#define ALREADY(state)	{ SEPT_ALREADY, SEPT_##state }
#define MISMATCH(state)	{ SEPT_MISMATCH, SEPT_##state }
#define EXIT(state)	{ SEPT_EXIT, SEPT_##state }

/*
 * What is not here is SEPT_INCORRECT.  Two results depend on more than the state, see
 * change_allowed(): REMOVE makes REMOVED during an import, and PROMOTE makes what the
 * children are.
 */
static const struct sept_rule rules[SEPT_NR_OPS][SEPT_NR_STATES] = {
	[SEPT_OP_SEPT_ADD] = {
		[SEPT_FREE]				= TO(NL_MAPPED),
	},
	[SEPT_OP_SEPT_ADD_EXISTING] = {
		[SEPT_FREE]				= TO(NL_MAPPED),
		[SEPT_NL_MAPPED]			= ALREADY(NL_MAPPED),
	},
	[SEPT_OP_PAGE_ADD] = {
		[SEPT_FREE]				= TO(MAPPED),
	},
	[SEPT_OP_AUG] = {
		[SEPT_FREE]				= TO(PENDING),
		[SEPT_REMOVED]				= TO(PENDING),
	},
	[SEPT_OP_BLOCK] = {
		[SEPT_MAPPED]				= TO(BLOCKED),
		[SEPT_BLOCKEDW]				= TO(BLOCKED),
		[SEPT_PENDING]				= TO(PENDING_BLOCKED),
		[SEPT_PENDING_BLOCKEDW]			= TO(PENDING_BLOCKED),
		[SEPT_NL_MAPPED]			= TO(NL_BLOCKED),
		[SEPT_BLOCKED]				= ALREADY(BLOCKED),
		[SEPT_PENDING_BLOCKED]			= ALREADY(PENDING_BLOCKED),
		[SEPT_NL_BLOCKED]			= ALREADY(NL_BLOCKED),
	},
	[SEPT_OP_UNBLOCK] = {
		[SEPT_BLOCKED]				= TO(MAPPED),
		[SEPT_PENDING_BLOCKED]			= TO(PENDING),
		[SEPT_NL_BLOCKED]			= TO(NL_MAPPED),
	},
	[SEPT_OP_REMOVE] = {
		[SEPT_MAPPED]				= TO(FREE),
		[SEPT_BLOCKED]				= TO(FREE),
		[SEPT_BLOCKEDW]				= TO(FREE),
		[SEPT_PENDING]				= TO(FREE),
		[SEPT_PENDING_BLOCKED]			= TO(FREE),
		[SEPT_PENDING_BLOCKEDW]			= TO(FREE),
	},
	[SEPT_OP_SEPT_REMOVE] = {
		[SEPT_NL_MAPPED]			= TO(FREE),
		[SEPT_NL_BLOCKED]			= TO(FREE),
	},
	[SEPT_OP_PROMOTE] = {
		[SEPT_NL_MAPPED]			= TO(MAPPED),
		[SEPT_NL_BLOCKED]			= TO(MAPPED),
	},
	[SEPT_OP_DEMOTE] = {
		[SEPT_MAPPED]				= TO(NL_MAPPED),
		[SEPT_BLOCKED]				= TO(NL_MAPPED),
		[SEPT_PENDING]				= TO(NL_MAPPED),
		[SEPT_PENDING_BLOCKED]			= TO(NL_MAPPED),
	},
	[SEPT_OP_RELOCATE] = {
		[SEPT_BLOCKED]				= TO(MAPPED),
		[SEPT_PENDING_BLOCKED]			= TO(PENDING),
		[SEPT_MAPPED]				= TO(MAPPED),
		[SEPT_PENDING]				= TO(PENDING),
		[SEPT_BLOCKEDW]				= TO(BLOCKEDW),
		[SEPT_PENDING_BLOCKEDW]			= TO(PENDING_BLOCKEDW),
		[SEPT_EXPORTED_BLOCKEDW]		= TO(EXPORTED_BLOCKEDW),
		[SEPT_EXPORTED_DIRTY]			= TO(EXPORTED_DIRTY),
		[SEPT_EXPORTED_DIRTY_BLOCKEDW]		= TO(EXPORTED_DIRTY_BLOCKEDW),
		[SEPT_PENDING_EXPORTED_BLOCKEDW]	= TO(PENDING_EXPORTED_BLOCKEDW),
		[SEPT_PENDING_EXPORTED_DIRTY]		= TO(PENDING_EXPORTED_DIRTY),
		[SEPT_PENDING_EXPORTED_DIRTY_BLOCKEDW]	= TO(PENDING_EXPORTED_DIRTY_BLOCKEDW),
	},
	[SEPT_OP_EXTEND] = {
		[SEPT_MAPPED]				= TO(MAPPED),
	},
	[SEPT_OP_MEM_RD] = {
		[SEPT_MAPPED]				= TO(MAPPED),
		[SEPT_BLOCKEDW]				= TO(BLOCKEDW),
		[SEPT_EXPORTED_BLOCKEDW]		= TO(EXPORTED_BLOCKEDW),
		[SEPT_EXPORTED_DIRTY]			= TO(EXPORTED_DIRTY),
		[SEPT_EXPORTED_DIRTY_BLOCKEDW]		= TO(EXPORTED_DIRTY_BLOCKEDW),
	},
	[SEPT_OP_MEM_WR] = {
		[SEPT_MAPPED]				= TO(MAPPED),
		[SEPT_EXPORTED_DIRTY]			= TO(EXPORTED_DIRTY),
	},
	[SEPT_OP_ACCEPT] = {
		[SEPT_PENDING]				= TO(MAPPED),
		[SEPT_PENDING_EXPORTED_DIRTY]		= TO(EXPORTED_DIRTY),
		[SEPT_MAPPED]				= ALREADY(MAPPED),
		[SEPT_BLOCKEDW]				= ALREADY(BLOCKEDW),
		[SEPT_EXPORTED_BLOCKEDW]		= ALREADY(EXPORTED_BLOCKEDW),
		[SEPT_EXPORTED_DIRTY]			= ALREADY(EXPORTED_DIRTY),
		[SEPT_EXPORTED_DIRTY_BLOCKEDW]		= ALREADY(EXPORTED_DIRTY_BLOCKEDW),
		[SEPT_NL_MAPPED]			= MISMATCH(NL_MAPPED),
		[SEPT_NL_BLOCKED]			= MISMATCH(NL_BLOCKED),
		[SEPT_REMOVED]				= MISMATCH(REMOVED),
		[SEPT_FREE]				= EXIT(FREE),
		[SEPT_BLOCKED]				= EXIT(BLOCKED),
		[SEPT_PENDING_BLOCKED]			= EXIT(PENDING_BLOCKED),
		[SEPT_PENDING_BLOCKEDW]			= EXIT(PENDING_BLOCKEDW),
		[SEPT_PENDING_EXPORTED_BLOCKEDW]	= EXIT(PENDING_EXPORTED_BLOCKEDW),
		[SEPT_PENDING_EXPORTED_DIRTY_BLOCKEDW]	= EXIT(PENDING_EXPORTED_DIRTY_BLOCKEDW),
	},
	[SEPT_OP_ATTR_RD] = {
		[SEPT_MAPPED]				= TO(MAPPED),
		[SEPT_BLOCKEDW]				= TO(BLOCKEDW),
		[SEPT_EXPORTED_BLOCKEDW]		= TO(EXPORTED_BLOCKEDW),
		[SEPT_EXPORTED_DIRTY]			= TO(EXPORTED_DIRTY),
		[SEPT_EXPORTED_DIRTY_BLOCKEDW]		= TO(EXPORTED_DIRTY_BLOCKEDW),
		[SEPT_PENDING]				= TO(PENDING),
		[SEPT_PENDING_BLOCKEDW]			= TO(PENDING_BLOCKEDW),
		[SEPT_PENDING_EXPORTED_BLOCKEDW]	= TO(PENDING_EXPORTED_BLOCKEDW),
		[SEPT_PENDING_EXPORTED_DIRTY]		= TO(PENDING_EXPORTED_DIRTY),
		[SEPT_PENDING_EXPORTED_DIRTY_BLOCKEDW]	= TO(PENDING_EXPORTED_DIRTY_BLOCKEDW),
		[SEPT_FREE]				= EXIT(FREE),
		[SEPT_REMOVED]				= EXIT(REMOVED),
		[SEPT_BLOCKED]				= EXIT(BLOCKED),
		[SEPT_PENDING_BLOCKED]			= EXIT(PENDING_BLOCKED),
		[SEPT_NL_MAPPED]			= EXIT(NL_MAPPED),
		[SEPT_NL_BLOCKED]			= EXIT(NL_BLOCKED),
	},
	[SEPT_OP_ATTR_WR] = {
		[SEPT_MAPPED]				= TO(MAPPED),
		[SEPT_EXPORTED_DIRTY]			= TO(EXPORTED_DIRTY),
		[SEPT_PENDING]				= TO(PENDING),
		[SEPT_PENDING_EXPORTED_DIRTY]		= TO(PENDING_EXPORTED_DIRTY),
		[SEPT_NL_MAPPED]			= MISMATCH(NL_MAPPED),
		[SEPT_NL_BLOCKED]			= MISMATCH(NL_BLOCKED),
		[SEPT_REMOVED]				= MISMATCH(REMOVED),
		[SEPT_FREE]				= EXIT(FREE),
		[SEPT_BLOCKED]				= EXIT(BLOCKED),
		[SEPT_BLOCKEDW]				= EXIT(BLOCKEDW),
		[SEPT_EXPORTED_BLOCKEDW]		= EXIT(EXPORTED_BLOCKEDW),
		[SEPT_EXPORTED_DIRTY_BLOCKEDW]		= EXIT(EXPORTED_DIRTY_BLOCKEDW),
		[SEPT_PENDING_BLOCKED]			= EXIT(PENDING_BLOCKED),
		[SEPT_PENDING_BLOCKEDW]			= EXIT(PENDING_BLOCKEDW),
		[SEPT_PENDING_EXPORTED_BLOCKEDW]	= EXIT(PENDING_EXPORTED_BLOCKEDW),
		[SEPT_PENDING_EXPORTED_DIRTY_BLOCKEDW]	= EXIT(PENDING_EXPORTED_DIRTY_BLOCKEDW),
	},
};

struct sept_rule sept_judge(enum sept_op op, enum sept_state state)
{
	static const struct sept_rule garbage = { SEPT_INCORRECT, SEPT_GARBAGE };

	return state < SEPT_NR_STATES ? rules[op][state] : garbage;
}

static bool change_allowed(enum sept_op op, enum sept_state from, enum sept_state to)
{
	struct sept_rule rule = sept_judge(op, from);

	if (rule.verdict != SEPT_LEGAL)
		return false;
	/* an interrupted ACCEPT notes how far it came */
	if (to == rule.to || to == from)
		return true;
	return (op == SEPT_OP_REMOVE && to == SEPT_REMOVED) ||
	       (op == SEPT_OP_PROMOTE && to == SEPT_PENDING);
}

struct sept_entry sept_read(const struct tdxmod *mod, u64 pa, int level)
{
	return mod->config.encoding->decode(phys_read64(pa), level);
}

/* Write an entry; its lock, and the mark that a host wants it, stay as they are. */
void sept_write(const struct tdxmod *mod, u64 pa, int level, const struct sept_entry *entry)
{
	u64 kept = mod->config.encoding->lock_bit | mod->config.encoding->host_bit;
	u64 raw = mod->config.encoding->encode(entry, level) & ~kept;
	u64 old = phys_read64(pa);

	while (!phys_cmpxchg64(pa, &old, raw | (old & kept)))
		;
}

/* A table without pages, for entries of @level. */
void sept_init_table(const struct tdxmod *mod, u64 pa, int level)
{
	struct sept_entry entry = { .state = SEPT_FREE };

	phys_fill_page(pa, mod->config.encoding->encode(&entry, level));
}

/*
 * Lock an entry and return in *@entry what it is.  A host that finds it locked leaves a
 * mark, at which guests give way, and wipes it away when it succeeds.
 */
bool sept_lock_entry(const struct tdxmod *mod, u64 pa, int level, bool guest,
		     struct sept_entry *entry)
{
	const struct tdxmod_encoding *encoding = mod->config.encoding;
	u64 old = phys_read64(pa), next;
	bool locked;

	do {
		*entry = encoding->decode(old, level);
		locked = !entry->locked && !(guest && entry->host_first);
		if (!locked && guest)
			return false;
		if (locked)
			next = (old | encoding->lock_bit) & ~encoding->host_bit;
		else
			next = old | encoding->host_bit;
	} while (!phys_cmpxchg64(pa, &old, next));
	return locked;
}

void sept_unlock_entry(const struct tdxmod *mod, u64 pa)
{
	u64 old = phys_read64(pa);

	while (!phys_cmpxchg64(pa, &old, old & ~mod->config.encoding->lock_bit))
		;
}

/*
 * Walk to the entry of @level for @gpa, or to where the way ends: at an entry that
 * leads nowhere or maps a page.  So there is no way through a blocked table.
 */
void sept_walk(const struct tdxmod_td *td, u64 gpa, int level, struct sept_walk *walk)
{
	u64 table = td->tdcx[TDXMOD_TDCX_ROOT];

	for (walk->level = td->root_level; ; walk->level--) {
		walk->pa = table + (gpa >> level_shift(walk->level)) % TDXMOD_ENTRIES * 8;
		walk->entry = sept_read(td->mod, walk->pa, walk->level);
		if (walk->level == level || !sept_rwx(&walk->entry) ||
		    sept_is(&walk->entry, SEPT_LEAF))
			return;
		table = walk->entry.hpa;
	}
}

/*
 * Show @visit all entries of a tree, top down, and tell whether it saw the last.  A stack
 * entry for each level.
 */
bool sept_visit(const struct tdxmod_td *td, sept_visitor visit, void *arg)
{
	struct { u64 table, gpa; unsigned int next; } stack[TDXMOD_LEVEL_256T + 1] = {};
	int level = td->root_level;

	stack[level].table = td->tdcx[TDXMOD_TDCX_ROOT];
	while (level <= td->root_level) {
		struct sept_walk walk = { .level = level };
		unsigned int index = stack[level].next++;
		u64 gpa;

		if (index == TDXMOD_ENTRIES) {
			level++;
			continue;
		}
		gpa = stack[level].gpa + index * level_size(level);
		walk.pa = stack[level].table + index * 8;
		walk.entry = sept_read(td->mod, walk.pa, level);
		if (!visit(&walk, gpa, arg))
			return false;
		if (level && sept_is(&walk.entry, SEPT_TABLE)) {
			level--;
			stack[level].table = walk.entry.hpa;
			stack[level].gpa = gpa;
			stack[level].next = 0;
		}
	}
	return true;
}

/* Tell the host what was found where the walk ended. */
void sept_details(struct tdxmod_call *call, const struct sept_walk *walk)
{
	sept_view(&walk->entry, walk->level, &call->regs->rcx, &call->regs->rdx);
}

/* The only way an entry changes its state. */
void sept_change(struct tdxmod *mod, struct sept_walk *walk, enum sept_op op,
		 enum sept_state state, u64 hpa, u16 progress)
{
	if (!change_allowed(op, walk->entry.state, state))
		tdxmod_broken(mod, "S-EPT transition, operation * 256 + old * 16 + new:",
			      op * 256 + walk->entry.state * 16 + state);
	walk->entry.state = state;
	walk->entry.hpa = hpa;
	walk->entry.progress = progress;
	sept_write(mod, walk->pa, walk->level, &walk->entry);
}
