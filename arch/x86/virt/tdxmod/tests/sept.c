// SPDX-License-Identifier: GPL-2.0
/*
 * The table of transitions: every operation in every state, at every level, with both
 * encodings, in op_states that need TLB tracking and that do not.
 *
 * Most states are never reached without live migration, so an entry is put into its
 * state by hand, with the metadata that belongs to it.
 */
#define EPOCH		10

#define L_4K		BIT(TDXMOD_LEVEL_4K)
#define L_2M		BIT(TDXMOD_LEVEL_2M)
#define L_1G		BIT(TDXMOD_LEVEL_1G)

#define F(state)	BIT(SEPT_##state)
#define F_ANY		(BIT(SEPT_NR_STATES) - 1)
#define F_OPEN		(F(MAPPED) | F(BLOCKEDW) | F(EXPORTED_BLOCKEDW) |	\
			 F(EXPORTED_DIRTY) | F(EXPORTED_DIRTY_BLOCKEDW))
#define F_TABLE		(F(NL_MAPPED) | F(NL_BLOCKED))
#define F_LEAF		(F_ANY & ~F_TABLE & ~F(FREE) & ~F(REMOVED))
/* there is no way to what is below */
#define F_NO_WAY	(F_ANY & ~F(NL_MAPPED))

/* results that are no status */
#define T_EXIT		1
#define T_EXIT_PENDING	2
#define T_EXIT_PLAIN	3
#define T_VE		4
#define T_RESUME	5
/* as operand: the level where the walk ended */
#define T_LEVEL		0xffff
#define T_SAME		SEPT_NR_STATES

enum operation {
	OP_SEPT_ADD, OP_SEPT_ADD_EXISTING, OP_PAGE_ADD, OP_AUG, OP_BLOCK, OP_UNBLOCK,
	OP_REMOVE, OP_SEPT_REMOVE, OP_PROMOTE, OP_DEMOTE, OP_RELOCATE, OP_SEPT_RD, OP_EXTEND,
	OP_MEM_RD, OP_MEM_WR, OP_ACCEPT, OP_ATTR_RD, OP_ATTR_WR, OP_ACCESS,
};

enum when {
	WHEN_ALWAYS, WHEN_QUIET, WHEN_LIVE, WHEN_PASSED, WHEN_NOT_PASSED, WHEN_QUIET_IMPORT,
	WHEN_PASSED_OR_QUIET, WHEN_IMPORT_PASSED, WHEN_POST_IMPORT, WHEN_MEMORY_IMPORT,
	WHEN_NOT_INITIALIZED, WHEN_INTERRUPT, WHEN_NO_VE,
};

enum children { CHILDREN_NONE, CHILDREN_FREE, CHILDREN_USED, CHILDREN_MAPPED, CHILDREN_PENDING };
enum place { PLACE_HERE, PLACE_ABOVE, PLACE_LOCKED, PLACE_HOST_FIRST };

struct row {
	enum operation op;
	unsigned int levels;
	enum when when;
	enum children children;
	enum place place;
	u32 states;
	u64 result;
	unsigned int operand;
	enum sept_state to;
};

static const struct row rows[] = {
#define T(op, levels, when, children, place, states, result, operand, to)	\
	{ OP_##op, levels, WHEN_##when, CHILDREN_##children, PLACE_##place,	\
	  states, result, operand, to },
#include "transitions.h"
#undef T
};

/* A row, with all that it leaves open. */
struct instance {
	const struct row *row;
	int level;
	enum sept_state state;
	enum tdxmod_op_state op_state;
	/* blocked in the epoch before the last, or in this one */
	bool passed;
};

static const char *name_of(const struct instance *c)
{
	static char name[128];

	snprintf(name, sizeof(name), "%s row %td, level %d, %s, op_state %d, passed %d",
		 mod->config.encoding->name, c->row - rows, c->level,
		 sept_states[c->state].name, c->op_state, c->passed);
	return name;
}

/* --- putting an entry into its state --------------------------------------- */

static u64 entry_pa(u64 gpa, int level)
{
	struct sept_walk walk;

	sept_walk(the_td(), gpa, level, &walk);
	return walk.pa;
}

static void set_page(u64 hpa, int level, u64 bepoch)
{
	struct tdxmod_pamt_entry *pamt = pamt_entry(mod, hpa, level);

	pamt_set(pamt, PAMT_REG, TDR);
	pamt->bepoch = bepoch;
	atomic64_add(level_pages(level), &the_td()->children);
}

static void set_children(u64 table, int level, enum children children)
{
	static const enum sept_state states[] = {
		[CHILDREN_MAPPED] = SEPT_MAPPED, [CHILDREN_PENDING] = SEPT_PENDING,
		[CHILDREN_USED] = SEPT_PENDING,
	};
	unsigned int i, nr = children == CHILDREN_USED ? 1 : TDXMOD_ENTRIES;

	sept_init_table(mod, table, level);
	if (children <= CHILDREN_FREE)
		return;
	for (i = 0; i < nr; i++) {
		struct sept_entry child = {
			.state = states[children],
			.hpa = HUGE_PAGE + i * level_size(level),
		};

		set_page(child.hpa, level, 0);
		phys_write64(table + i * 8, mod->config.encoding->encode(&child, level));
	}
}

static void set_entry(const struct instance *c, u64 gpa, int level)
{
	u64 bepoch = c->passed ? EPOCH - 2 : EPOCH, table = TABLES + 0x20000;
	struct sept_entry entry = {
		.state = c->state,
		.locked = c->row->place == PLACE_LOCKED,
		.host_first = c->row->place == PLACE_HOST_FIRST,
	};

	if (sept_is(&entry, SEPT_LEAF)) {
		entry.hpa = HUGE_PAGE;
		set_page(entry.hpa, level, bepoch);
	} else if (sept_is(&entry, SEPT_TABLE)) {
		entry.hpa = table;
		set_children(table, level - 1, c->row->children);
		pamt_set(pamt_entry(mod, table, 0), PAMT_EPT, TDR);
		pamt_entry(mod, table, 0)->bepoch = bepoch;
		atomic64_inc(&the_td()->children);
	}
	phys_write64(entry_pa(gpa, level), mod->config.encoding->encode(&entry, level));
}

/* --- operations ------------------------------------------------------------ */

static u64 guest_result(enum tdxmod_outcome outcome, u64 rax, const struct tdxmod_exit *exit,
			u64 expected)
{
	switch (outcome) {
	case TDXMOD_RETURN:
		return rax;
	case TDXMOD_RESUME:
		return T_RESUME;
	case TDXMOD_VE:
		return T_VE;
	case TDXMOD_EXIT:
		CHECK_EQ(exit->reason, TDXMOD_EXIT_EPT_VIOLATION);
		CHECK_EQ(exit->gpa, GPA);
		if (expected == T_EXIT_PENDING || expected == T_EXIT_PLAIN)
			return exit->extended == 6 ? T_EXIT_PENDING : T_EXIT_PLAIN;
		return T_EXIT;
	default:
		return ~0ULL;
	}
}

static u64 guest_call(u64 leaf, u64 rcx, u64 expected)
{
	struct tdxmod_regs regs = { .rax = leaf, .rcx = rcx };
	enum tdxmod_outcome outcome;
	struct tdxmod_exit exit;

	outcome = tdxmod_tdcall(the_td(), NULL, &regs, &exit);
	return guest_result(outcome, regs.rax, &exit, expected);
}

static u64 guest_access(u64 expected)
{
	struct tdxmod_vcpu vcpu = {};
	enum tdxmod_outcome outcome;
	struct tdxmod_exit exit;

	outcome = tdxmod_guest_access(the_td(), &vcpu, GPA, TDXMOD_ACCESS_READ, &exit);
	return guest_result(outcome, 0, &exit, expected);
}

static u64 operate(const struct instance *c)
{
	u64 gpa = GPA | c->level, page = PAGES;

	switch (c->row->op) {
	case OP_SEPT_ADD:
		return call(TDH_MEM_SEPT_ADD, gpa, TDR, page, 0);
	case OP_SEPT_ADD_EXISTING:
		return call(TDH_MEM_SEPT_ADD, gpa, TDR | 1, page, 0);
	case OP_PAGE_ADD:
		return call(TDH_MEM_PAGE_ADD, gpa, TDR, page, SOURCE);
	case OP_AUG:
		return call(TDH_MEM_PAGE_AUG, gpa, TDR, LARGE_PAGES, 0);
	case OP_BLOCK:
		return call(TDH_MEM_RANGE_BLOCK, gpa, TDR, 0, 0);
	case OP_UNBLOCK:
		return call(TDH_MEM_RANGE_UNBLOCK, gpa, TDR, 0, 0);
	case OP_REMOVE:
		return call(TDH_MEM_PAGE_REMOVE, gpa, TDR, 0, 0);
	case OP_SEPT_REMOVE:
		return call(TDH_MEM_SEPT_REMOVE, gpa, TDR, 0, 0);
	case OP_PROMOTE:
		return call(TDH_MEM_PAGE_PROMOTE, gpa, TDR, 0, 0);
	case OP_DEMOTE:
		return call(TDH_MEM_PAGE_DEMOTE, gpa, TDR, page, ~0ULL);
	case OP_RELOCATE:
		return call(TDH_MEM_PAGE_RELOCATE, gpa, TDR, page, 0);
	case OP_SEPT_RD:
		return call(TDH_MEM_SEPT_RD, gpa, TDR, 0, 0);
	case OP_EXTEND:
		return call(TDH_MR_EXTEND, GPA, TDR, 0, 0);
	case OP_MEM_RD:
		return call(TDH_MEM_RD, GPA, TDR, 0, 0);
	case OP_MEM_WR:
		return call(TDH_MEM_WR, GPA, TDR, 0, 0);
	case OP_ACCEPT:
		return guest_call(TDG_MEM_PAGE_ACCEPT, gpa, c->row->result);
	case OP_ATTR_RD:
		return guest_call(TDG_MEM_PAGE_ATTR_RD, GPA, c->row->result);
	case OP_ATTR_WR:
		return guest_call(TDG_MEM_PAGE_ATTR_WR, gpa, c->row->result);
	default:
		return guest_access(c->row->result);
	}
}

/* --- one instance ---------------------------------------------------------- */

/* Where the walk ends. */
static int reached(const struct instance *c)
{
	return c->row->place == PLACE_ABOVE ? c->level + 1 : c->level;
}

static u64 expected_result(const struct instance *c)
{
	return c->row->result | (c->row->operand == T_LEVEL ? (u64)reached(c) : c->row->operand);
}

static void check_entry(const struct instance *c)
{
	int level = reached(c);
	struct sept_entry entry = sept_read(mod, entry_pa(GPA, level), level);
	bool refused = c->row->place == PLACE_LOCKED && c->row->op < OP_ACCEPT;

	CHECK_EQ(entry.state, c->row->to == T_SAME ? c->state : c->row->to);
	CHECK_EQ(entry.locked, c->row->place == PLACE_LOCKED);
	/* a host that finds it locked leaves a mark */
	CHECK_EQ(entry.host_first, c->row->place == PLACE_HOST_FIRST || refused);
	if (c->row->when == WHEN_INTERRUPT)
		CHECK_EQ(entry.progress, 4);
}

/* What a call shows of an entry that it complains of, and what it shows of none. */
static void check_details(const struct instance *c)
{
	u64 code = expected_result(c) & ~TDX_STATUS_DETAIL;
	bool shown = code == TDX_EPT_WALK_FAILED || code == TDX_EPT_ENTRY_STATE_INCORRECT ||
		     code == TDX_GPA_RANGE_NOT_BLOCKED || code == TDX_EPT_PAGE_NOT_FREE ||
		     code == TDX_GPA_RANGE_ALREADY_BLOCKED ||
		     code == TDX_EPT_INVALID_PROMOTE_CONDITIONS || code == TDX_OPERAND_BUSY;

	if (c->row->op >= OP_ACCEPT)
		return;
	if (shown)
		CHECK_EQ(last.rdx, reached(c) | sept_states[c->state].arch << 8);
	else if (code == TDX_TLB_TRACKING_NOT_DONE || code == TDX_OPERAND_INVALID)
		CHECK_EQ(last.rcx | last.rdx, 0);
}

static void undo_lock(const struct instance *c)
{
	int level = reached(c);
	u64 pa = entry_pa(GPA, level);

	phys_write64(pa, phys_read64(pa) & ~mod->config.encoding->lock_bit);
}

static void run_instance(const struct instance *c, const struct tdxmod_encoding *encoding)
{
	struct tdxmod_config config = machine_config();
	int level = reached(c);
	u64 result;

	config.encoding = encoding;
	machine_start(&config);
	td_init();
	td_tables(GPA, level);
	the_td()->epoch = EPOCH;
	the_td()->op_state = c->op_state;
	the_td()->pending_ve_disable = c->row->when == WHEN_NO_VE;
	set_entry(c, GPA, level);
	if (c->row->when == WHEN_INTERRUPT)
		sim.polls = 3;

	result = operate(c);
	if (result != expected_result(c)) {
		test_say("%s", name_of(c));
		CHECK_EQ(result, expected_result(c));
	}
	check_entry(c);
	check_details(c);
	if (c->row->place == PLACE_LOCKED)
		undo_lock(c);
	/* takes longer than all the rest */
	if (c->row->to != T_SAME && machine_patient())
		CHECK(tdxmod_check(mod));
	machine_drop();
}

/* --- all instances --------------------------------------------------------- */

#define OPS(a)		BIT(OP_##a)
#define OPS_LIVE	(OPS(RUNNABLE) | OPS(LIVE_EXPORT))

/* op_states that a row is about; each operation allows those of them that it is tried in. */
static u32 op_states_of(const struct row *row)
{
	bool building = row->op == OP_PAGE_ADD || row->op == OP_EXTEND;

	switch (row->when) {
	case WHEN_ALWAYS:
	case WHEN_PASSED:
	case WHEN_INTERRUPT:
	case WHEN_NO_VE:
		return building ? OPS(INITIALIZED) : OPS(INITIALIZED) | OPS_LIVE;
	case WHEN_QUIET:
		return OPS(INITIALIZED);
	case WHEN_QUIET_IMPORT:
		return OPS(INITIALIZED) | OPS(MEMORY_IMPORT);
	case WHEN_LIVE:
	case WHEN_NOT_PASSED:
		return OPS_LIVE;
	case WHEN_PASSED_OR_QUIET:
		return OPS(INITIALIZED) | OPS_LIVE;
	case WHEN_IMPORT_PASSED:
		return OPS(LIVE_IMPORT) | OPS(POST_IMPORT);
	case WHEN_POST_IMPORT:
		return OPS(POST_IMPORT);
	case WHEN_MEMORY_IMPORT:
		return OPS(MEMORY_IMPORT);
	case WHEN_NOT_INITIALIZED:
		return OPS_LIVE | OPS(MEMORY_IMPORT);
	}
	return 0;
}

/* An unblocked entry where blocking is asked for is another row's. */
static bool possible(const struct instance *c)
{
	if (c->level == TDXMOD_LEVEL_4K && c->row->place != PLACE_ABOVE &&
	    BIT(c->state) & F_TABLE)
		return false;
	if (c->row->when == WHEN_PASSED_OR_QUIET && c->state == SEPT_NL_MAPPED)
		return c->op_state == OP_INITIALIZED;
	return true;
}

static unsigned int run_row(const struct row *row, const struct tdxmod_encoding *encoding)
{
	struct instance c = { .row = row, .passed = row->when != WHEN_NOT_PASSED };
	u32 op_states = op_states_of(row);
	unsigned int instances = 0;

	for (c.level = TDXMOD_LEVEL_4K; c.level <= TDXMOD_LEVEL_1G; c.level++) {
		if (!(row->levels & BIT(c.level)))
			continue;
		for (c.state = 0; c.state < SEPT_NR_STATES; c.state++) {
			if (!(row->states & BIT(c.state)))
				continue;
			for (c.op_state = 0; c.op_state <= OP_FAILED_IMPORT; c.op_state++) {
				if (!(op_states & BIT(c.op_state)) || !possible(&c))
					continue;
				run_instance(&c, encoding);
				instances++;
				if (machine_slow())
					break;
			}
		}
	}
	return instances;
}

static void run_table(const struct tdxmod_encoding *encoding)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		CHECK(run_row(&rows[i], encoding));
}

static void sept_transitions_ept(void)
{
	run_table(&tdxmod_ept);
}

static void sept_transitions_npt(void)
{
	run_table(&tdxmod_npt);
}

/* Is each operation told what to do in each state, at each level it accepts? */
static void sept_transitions_complete(void)
{
	enum operation op;
	enum sept_state state;
	unsigned int i;
	int level;

	for (op = 0; op < OP_ACCESS; op++) {
		for (state = 0; state < SEPT_NR_STATES; state++) {
			for (level = TDXMOD_LEVEL_4K; level <= TDXMOD_LEVEL_1G; level++) {
				bool told = level == TDXMOD_LEVEL_4K && BIT(state) & F_TABLE;

				for (i = 0; i < ARRAY_SIZE(rows); i++)
					told |= rows[i].op == op && rows[i].place == PLACE_HERE &&
						rows[i].levels & BIT(level) &&
						rows[i].states & BIT(state);
				if (!told)
					test_say("operation %d, %s, level %d", op,
						 sept_states[state].name, level);
				CHECK(told);
			}
		}
	}
}

/* --- encodings ------------------------------------------------------------- */

static void check_encoding(const struct tdxmod_encoding *encoding)
{
	int level;

	for (level = TDXMOD_LEVEL_4K; level <= TDXMOD_LEVEL_1G; level++) {
		struct sept_entry in = {}, out;

		for (in.state = 0; in.state < SEPT_NR_STATES; in.state++) {
			bool page = sept_is(&in, SEPT_LEAF);
			u64 raw;

			in.hpa = page || sept_is(&in, SEPT_TABLE) ? HUGE_PAGE : 0;
			in.progress = page && level == TDXMOD_LEVEL_2M ? 0x155 : 0;
			in.locked = in.state & 1;
			in.host_first = in.state & 2;
			raw = encoding->encode(&in, level);
			CHECK(raw);
			out = encoding->decode(raw | encoding->ignored, level);
			CHECK_EQ(out.state, in.state);
			CHECK_EQ(out.hpa, in.hpa);
			CHECK_EQ(out.progress, in.progress);
			CHECK_EQ(out.locked, in.locked);
			CHECK_EQ(out.host_first, in.host_first);
		}
	}
	CHECK_EQ(encoding->decode(0, 0).state, SEPT_GARBAGE);
	CHECK_EQ(encoding->decode(0x204f89ac386bbc4, 0).state, SEPT_GARBAGE);
}

static void sept_encodings(void)
{
	check_encoding(&tdxmod_ept);
	check_encoding(&tdxmod_npt);
}

/* A CPU with SVM must find a page exactly where the guest may have one. */
static void sept_npt_is_walkable(void)
{
	struct sept_entry entry = { .hpa = HUGE_PAGE };
	u64 raw;

	for (entry.state = 0; entry.state < SEPT_NR_STATES; entry.state++) {
		raw = tdxmod_npt.encode(&entry, TDXMOD_LEVEL_2M);
		CHECK_EQ(raw & 1, !!sept_rwx(&entry));
		CHECK_EQ(raw >> 1 & 1, sept_rwx(&entry) >> 1 & 1);
		if (raw & 1) {
			/* user, no execute-disable, the right size */
			CHECK_EQ(raw & 4, 4);
			CHECK_EQ(raw >> 63, 0);
			CHECK_EQ(raw >> 7 & 1, sept_is(&entry, SEPT_LEAF));
			CHECK_EQ(raw & GENMASK_ULL(51, 12), HUGE_PAGE);
		}
	}
}

static const struct test sept_tests[] = {
	TEST(sept_transitions_complete),
	TEST(sept_transitions_ept),
	TEST(sept_transitions_npt),
	TEST(sept_encodings),
	TEST(sept_npt_is_walkable),
	{}
};
