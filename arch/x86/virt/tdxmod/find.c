// SPDX-License-Identifier: GPL-2.0
/*
 * Whose is a page, and where in the TD is it?  For messages.
 */
#include "internal.h"

/*
 * The objects without their lock: who asks may have stopped who has it.  An object that
 * goes away meanwhile leads astray, but objects are few and go away seldom.
 */
static const struct tdxmod_td *find_td(const struct tdxmod *mod, u64 tdr)
{
	const struct tdxmod_object *object = READ_ONCE(mod->objects[object_bucket(tdr)]);

	while (object && object->pa != tdr)
		object = READ_ONCE(object->next);
	return (const struct tdxmod_td *)object;
}

struct search {
	u64 pa;
	u64 gpa;
};

/* false: this is the one */
static bool maps_other(const struct sept_walk *walk, u64 gpa, void *arg)
{
	struct search *search = arg;

	if (!sept_is(&walk->entry, SEPT_LEAF) ||
	    (search->pa ^ walk->entry.hpa) >> level_shift(walk->level))
		return true;
	search->gpa = gpa + (search->pa & (level_size(walk->level) - 1));
	return false;
}

/**
 * tdxmod_find_page - which TD has a page of private memory, and where?
 * @mod: the module
 * @pa: an address in the page
 * @place: the answer
 *
 * Goes through all of the TD's S-EPT if it must.  What it tells can be outdated.
 *
 * Context: Any.  Takes no locks.
 * Return: false if the page is no private memory.
 */
bool tdxmod_find_page(const struct tdxmod *mod, u64 pa, struct tdxmod_place *place)
{
	struct search search = { .pa = pa };
	struct tdxmod_page_info info;
	const struct tdxmod_td *td;
	int level;

	for (level = TDXMOD_LEVEL_1G; level >= TDXMOD_LEVEL_4K; level--) {
		if (!tdxmod_page_info(mod, pa, level, &info))
			return false;
		if (info.type == PAMT_REG)
			break;
	}
	if (level < TDXMOD_LEVEL_4K)
		return false;
	*place = (struct tdxmod_place) { .tdr = info.owner };
	td = find_td(mod, info.owner);
	/* a TD that loses its pages one by one has lost tables, too */
	if (!td || td->lifecycle == TEARDOWN || td->op_state == OP_UNINITIALIZED)
		return true;
	place->mapped = !sept_visit(td, maps_other, &search);
	place->gpa = search.gpa;
	return true;
}
