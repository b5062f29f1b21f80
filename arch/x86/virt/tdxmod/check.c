// SPDX-License-Identifier: GPL-2.0
/*
 * Is the module consistent?  A walk through everything, for tests and debugging.
 *
 * Every page that metadata gives to a TD must be referred to exactly once: as one of the
 * TD's or a vCPU's control pages, by an S-EPT entry that is a table, or by one that is a
 * page.  So what is counted in the metadata must be what is found in the TD, and what
 * the TD believes to have.  The S-EPT of a TD that loses its pages one by one, in
 * TEARDOWN, means nothing any more; of that only the metadata is counted.
 */
#include "internal.h"

/**
 * struct census - pages of one TD, counted from one side
 * @control: pages of the TD and of its vCPUs
 * @tables: tables of the S-EPT, but for the root
 * @pages: private memory, in units of 4K
 */
struct census {
	u64 control;
	u64 tables;
	u64 pages;
};

static bool wrong(struct tdxmod *mod, const char *what, u64 value)
{
	tdxmod_broken(mod, what, value);
	return false;
}

/* --- from the side of the TD ---------------------------------------------- */

static bool check_page(struct tdxmod_td *td, const struct sept_walk *walk, struct census *census)
{
	const struct sept_entry *entry = &walk->entry;
	struct tdxmod_pamt_entry *pamt;

	if (walk->level >= TDXMOD_PAMT_LEVELS || entry->hpa & (level_size(walk->level) - 1))
		return wrong(td->mod, "S-EPT maps a page of no size:", entry->hpa);
	pamt = pamt_entry(td->mod, entry->hpa, walk->level);
	if (!pamt || pamt->type != PAMT_REG || pamt_owner(pamt) != td->object.pa)
		return wrong(td->mod, "S-EPT maps somebody else's page:", entry->hpa);
	if (sept_is(entry, SEPT_BLOCK) && pamt->bepoch > td->epoch)
		return wrong(td->mod, "page blocked in the future:", entry->hpa);
	if (entry->progress && !sept_is(entry, SEPT_EMPTY))
		return wrong(td->mod, "page accepted only in part:", entry->hpa);
	census->pages += level_pages(walk->level);
	return true;
}

static bool check_table(struct tdxmod_td *td, const struct sept_walk *walk, struct census *census)
{
	struct tdxmod_pamt_entry *pamt = pamt_entry(td->mod, walk->entry.hpa, TDXMOD_LEVEL_4K);

	if (!walk->level)
		return wrong(td->mod, "table below the last level:", walk->entry.hpa);
	if (!pamt || pamt->type != PAMT_EPT || pamt_owner(pamt) != td->object.pa)
		return wrong(td->mod, "S-EPT refers to somebody else's table:", walk->entry.hpa);
	census->tables++;
	return true;
}

struct sept_check {
	struct tdxmod_td *td;
	struct census *census;
};

static bool check_entry(const struct sept_walk *walk, u64 gpa, void *arg)
{
	struct sept_check *check = arg;

	if (walk->entry.state == SEPT_GARBAGE)
		return wrong(check->td->mod, "S-EPT entry is garbage:", walk->pa);
	if (walk->entry.locked)
		return wrong(check->td->mod, "S-EPT entry is locked:", walk->pa);
	if (sept_is(&walk->entry, SEPT_LEAF))
		return check_page(check->td, walk, check->census);
	if (sept_is(&walk->entry, SEPT_TABLE))
		return check_table(check->td, walk, check->census);
	return true;
}

static bool check_sept(struct tdxmod_td *td, struct census *census)
{
	struct sept_check check = { .td = td, .census = census };

	return sept_visit(td, check_entry, &check);
}

/* --- from the side of the metadata ---------------------------------------- */

static bool count_entry(struct tdxmod *mod, const struct tdxmod_pamt_entry *entry, int level,
			u64 tdr, struct census *census)
{
	/* a mark that a host wants it may stay behind, but no lock */
	if (entry->lock & ~TDXMOD_LOCK_HOST)
		return wrong(mod, "metadata is locked, owner", pamt_owner(entry));
	if (entry->type == PAMT_NDA || entry->type == PAMT_TDR || pamt_owner(entry) != tdr)
		return true;
	if (level && entry->type != PAMT_REG)
		return wrong(mod, "large page of type", entry->type);
	switch (entry->type) {
	case PAMT_REG:
		census->pages += level_pages(level);
		return true;
	case PAMT_EPT:
		census->tables++;
		return true;
	case PAMT_TDCX:
	case PAMT_TDVPR:
		census->control++;
		return true;
	default:
		return wrong(mod, "page of type", entry->type);
	}
}

/* Nothing smaller is assigned inside a page. */
static bool check_inside(struct tdxmod *mod, const struct tdxmod_tdmr *tdmr, int level, u64 index)
{
	u64 nr = level_pages(level), i;
	int below;

	for (below = level - 1; below >= 0; below--) {
		nr = level_pages(level - below);
		for (i = 0; i < nr; i++) {
			if (tdmr->pamt[below][index * nr + i].type != PAMT_NDA)
				return wrong(mod, "page inside a page:",
					     tdmr->base + index * level_size(level));
		}
	}
	return true;
}

static bool count_metadata(struct tdxmod *mod, u64 tdr, struct census *census)
{
	struct tdxmod_tdmr *tdmr;
	u64 i, nr;
	int level;

	for (tdmr = mod->tdmrs; tdmr < mod->tdmrs + mod->nr_tdmrs; tdmr++) {
		for (level = 0; level < TDXMOD_PAMT_LEVELS; level++) {
			nr = tdmr->size >> level_shift(level);
			for (i = 0; i < nr; i++) {
				struct tdxmod_pamt_entry *entry = &tdmr->pamt[level][i];

				if (!count_entry(mod, entry, level, tdr, census))
					return false;
				if (level && entry->type == PAMT_REG &&
				    !check_inside(mod, tdmr, level, i))
					return false;
			}
		}
	}
	return true;
}

/* --- both ----------------------------------------------------------------- */

static bool check_td(struct tdxmod *mod, struct tdxmod_td *td)
{
	struct census found = {}, counted = {};
	u64 tdr = td->object.pa;

	if (!count_metadata(mod, tdr, &counted))
		return false;
	if (counted.control + counted.tables + counted.pages !=
	    (u64)atomic64_read(&td->children))
		return wrong(mod, "TD does not know how many pages it has:", tdr);
	if (td->op_state_lock & ~TDXMOD_LOCK_HOST || td->tree_lock || td->epoch_lock)
		return wrong(mod, "TD is locked:", tdr);
	if (td->lifecycle == TEARDOWN || td->op_state == OP_UNINITIALIZED)
		return true;
	if (!check_sept(td, &found))
		return false;
	if (found.tables != counted.tables || found.pages != counted.pages)
		return wrong(mod, "pages that the S-EPT does not refer to, TD", tdr);
	return true;
}

/**
 * tdxmod_check - is a module consistent?
 * @mod: the module
 *
 * Says what is wrong.  Takes time in proportion to the memory that TDs can have.
 *
 * Context: No call is under way, and no guest inside.
 * Return: true if nothing is wrong.
 */
bool tdxmod_check(struct tdxmod *mod)
{
	struct tdxmod_object *object;
	unsigned int i;

	for (i = 0; i < TDXMOD_BUCKETS; i++) {
		for (object = mod->objects[i]; object; object = object->next) {
			struct tdxmod_pamt_entry *entry;

			entry = pamt_entry(mod, object->pa, TDXMOD_LEVEL_4K);
			if (entry->type == PAMT_TDR && !check_td(mod, (struct tdxmod_td *)object))
				return false;
			if (entry->type != PAMT_TDR && entry->type != PAMT_TDVPR)
				return wrong(mod, "object without its page:", object->pa);
		}
	}
	return !mod->kot_lock || wrong(mod, "key ownership table is locked", mod->kot_lock);
}
