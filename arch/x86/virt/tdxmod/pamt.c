// SPDX-License-Identifier: GPL-2.0
/*
 * Physical address metadata: what every page of memory is used for.
 *
 * There is an entry for each 4K, each 2M and each 1G.  A page of private memory is
 * described by the entry of its own size, and then the entries of smaller size below
 * it are not assigned, as are those of larger size above it.  Other pages are 4K.
 *
 *	1G  NDA			1G  NDA			1G  REG
 *	2M  NDA			2M  REG			2M  NDA
 *	4K  TDR EPT REG ...	4K  NDA			4K  NDA
 *
 * Who looks for the entry of an address does not know the size: it goes down from 1G
 * and holds the larger entries shared, so that a page cannot be joined or split under
 * it.  Who joins or splits has the larger entry exclusive.
 */
#include "internal.h"

/* The memory that has @pa, and metadata for it. */
static struct tdxmod_tdmr *find_tdmr(const struct tdxmod *mod, u64 pa)
{
	struct tdxmod_tdmr *tdmr;
	u64 ready;

	for (tdmr = mod->tdmrs; tdmr < mod->tdmrs + mod->nr_tdmrs; tdmr++) {
		/* a gigabyte is usable when all of its entries are */
		ready = READ_ONCE(tdmr->ready) & ~(level_size(TDXMOD_LEVEL_1G) - 1);
		if (pa >= tdmr->base && pa < ready)
			return tdmr;
	}
	return NULL;
}

/* The entry of the page of that level that has @pa; NULL: no memory for TDs. */
struct tdxmod_pamt_entry *pamt_entry(const struct tdxmod *mod, u64 pa, int level)
{
	struct tdxmod_tdmr *tdmr = find_tdmr(mod, pa);

	return tdmr ? &tdmr->pamt[level][(pa - tdmr->base) >> level_shift(level)] : NULL;
}

u64 pamt_owner(const struct tdxmod_pamt_entry *entry)
{
	return ((u64)entry->owner_high << 32 | entry->owner_low) << 12;
}

/* Give a page to @owner.  It has been blocked in no epoch. */
void pamt_set(struct tdxmod_pamt_entry *entry, enum tdxmod_page_type type, u64 owner)
{
	entry->type = type;
	entry->owner_low = owner >> 12;
	entry->owner_high = owner >> 44;
	WRITE_ONCE(entry->bepoch, 0);
}

/* Take it back.  Who had it last, and until when, stays to be seen. */
void pamt_release(struct tdxmod_pamt_entry *entry)
{
	entry->type = PAMT_NDA;
}

static u64 lock_entry(struct tdxmod_call *call, struct tdxmod_pamt_entry *entry,
		      enum tdxmod_operand operand, enum tdxmod_lock_mode mode)
{
	return call_lock(call, &entry->lock, mode, HOST_FIRST) ? 0 : TDX_OPERAND_BUSY | operand;
}

/*
 * Go down from 1G to the entry that describes @pa, not below @lowest, and lock it.
 * Larger ones on the way stay locked, shared.
 */
static u64 walk_down(struct tdxmod_call *call, u64 pa, int lowest,
		     enum tdxmod_operand operand, enum tdxmod_lock_mode mode,
		     struct tdxmod_pamt_entry **entryp, int *levelp)
{
	struct tdxmod_pamt_entry *entry;
	u64 status;
	int level;

	for (level = TDXMOD_LEVEL_1G; level > lowest; level--) {
		entry = pamt_entry(call->mod, pa, level);
		status = lock_entry(call, entry, operand, SHARED);
		if (status)
			return status;
		if (entry->type == PAMT_REG)
			break;
	}
	*entryp = pamt_entry(call->mod, pa, level);
	*levelp = level;
	if (level > lowest && mode == SHARED)
		return 0;
	/* what is a page of that size now must still be one when it is ours alone */
	if (level > lowest)
		call_unlock(call, &(*entryp)->lock);
	status = lock_entry(call, *entryp, operand, mode);
	if (!status && level > lowest && (*entryp)->type != PAMT_REG)
		status = TDX_OPERAND_BUSY | operand;
	return status;
}

static u64 check_address(const struct tdxmod *mod, u64 pa, int level,
			 enum tdxmod_operand operand)
{
	if (pa & (level_size(level) - 1) || pa >> mod->config.hkid_shift)
		return TDX_OPERAND_INVALID | operand;
	if (!pamt_entry(mod, pa, TDXMOD_LEVEL_1G))
		return TDX_OPERAND_ADDR_RANGE_ERROR | operand;
	return 0;
}

/* Are all 4K pages of the 2M page at @pa not assigned?  Its entry is ours alone. */
static bool all_unassigned(const struct tdxmod *mod, u64 pa)
{
	struct tdxmod_pamt_entry *entry = pamt_entry(mod, pa, TDXMOD_LEVEL_4K);
	unsigned int i;

	for (i = 0; i < TDXMOD_ENTRIES; i++) {
		if (entry[i].type != PAMT_NDA)
			return false;
	}
	return true;
}

/*
 * The page at @pa, an operand of the call, must be of @level and of @type.  Its entry
 * is locked until the call ends.
 */
u64 pamt_get(struct tdxmod_call *call, u64 pa, int level, enum tdxmod_operand operand,
	     enum tdxmod_page_type type, enum tdxmod_lock_mode mode,
	     struct tdxmod_pamt_entry **entryp)
{
	u64 status;
	int found;

	status = check_address(call->mod, pa, level, operand);
	if (status)
		return status;
	status = walk_down(call, pa, level, operand, mode, entryp, &found);
	if (status)
		return status;
	if (found != level || (*entryp)->type != type)
		return TDX_PAGE_METADATA_INCORRECT | operand;
	if (level == TDXMOD_LEVEL_2M && type == PAMT_NDA && !all_unassigned(call->mod, pa))
		return TDX_PAGE_METADATA_INCORRECT | operand;
	return 0;
}

/* The entry that describes the 4K page at @pa, whatever its type and level. */
u64 pamt_walk(struct tdxmod_call *call, u64 pa, enum tdxmod_operand operand,
	      enum tdxmod_lock_mode mode, struct tdxmod_pamt_entry **entryp, int *levelp)
{
	u64 status = check_address(call->mod, pa, TDXMOD_LEVEL_4K, operand);

	return status ?: walk_down(call, pa, TDXMOD_LEVEL_4K, operand, mode, entryp, levelp);
}

/*
 * Lock the entry of a page that the S-EPT maps, or of a table.  The S-EPT tells its
 * level, and the entry there, which is locked, keeps it.
 */
u64 pamt_lock_mapped(struct tdxmod_call *call, u64 pa, int level,
		     struct tdxmod_pamt_entry **entryp)
{
	*entryp = pamt_entry(call->mod, pa, level);
	if (!*entryp) {
		tdxmod_broken(call->mod, "S-EPT refers to memory without metadata:", pa);
		return TDX_OPERAND_ADDR_RANGE_ERROR | OPERAND_RCX;
	}
	return lock_entry(call, *entryp, OPERAND_RCX, EXCLUSIVE);
}

/*
 * 512 pages become one of @level, whose @entry is ours alone.  Its BEPOCH is not
 * written: an unblocked page has none.
 */
void pamt_promote(struct tdxmod *mod, u64 pa, int level, struct tdxmod_pamt_entry *entry)
{
	struct tdxmod_pamt_entry *child = pamt_entry(mod, pa, level - 1);
	unsigned int i;

	entry->owner_low = child->owner_low;
	entry->owner_high = child->owner_high;
	entry->type = PAMT_REG;
	for (i = 0; i < TDXMOD_ENTRIES; i++)
		pamt_release(&child[i]);
}

/* The page of @level at @pa becomes 512. */
void pamt_demote(struct tdxmod *mod, u64 pa, int level, struct tdxmod_pamt_entry *entry)
{
	struct tdxmod_pamt_entry *child = pamt_entry(mod, pa, level - 1);
	u64 owner = pamt_owner(entry);
	unsigned int i;

	for (i = 0; i < TDXMOD_ENTRIES; i++)
		pamt_set(&child[i], PAMT_REG, owner);
	pamt_release(entry);
}

/**
 * tdxmod_page_info - what the metadata says of a page, for tests and debugging
 * @mod: the module
 * @pa: an address in the page
 * @level: of the page
 * @info: the answer
 *
 * Return: false if there is no metadata.
 */
bool tdxmod_page_info(const struct tdxmod *mod, u64 pa, int level,
		      struct tdxmod_page_info *info)
{
	const struct tdxmod_pamt_entry *entry;

	if (level < 0 || level >= TDXMOD_PAMT_LEVELS)
		return false;
	entry = pamt_entry(mod, pa, level);
	if (!entry)
		return false;
	info->type = entry->type;
	info->level = level;
	info->owner = pamt_owner(entry);
	info->bepoch = entry->bepoch;
	info->lock = entry->lock;
	return true;
}
