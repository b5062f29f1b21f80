// SPDX-License-Identifier: GPL-2.0
/*
 * Moving pages of a TD to other memory: TDH.MEM.PAGE.RELOCATE, 4K at a time.
 *
 * The module copies what the host cannot read.  Pages must be blocked for it, and are not
 * any more when they have been moved.
 */
#include <linux/bitmap.h>
#include <linux/guestmem.h>
#include <linux/mm.h>

#include "sept_mirror.h"

/**
 * struct sept_relocation - pages on their way
 * @gfn: first gfn
 * @dst: where the first is to go
 * @src: where it is
 * @mapped: which are the TD's: the others are for the host to copy
 */
struct sept_relocation {
	gfn_t gfn;
	unsigned long dst;
	unsigned long src;
	DECLARE_BITMAP(mapped, SEPT_ENTRIES);
};

static void sept_note_leaf(struct sept *sept, const struct sept_slot *slot, u64 entry,
			   void *arg)
{
	struct sept_relocation *move = arg;
	gfn_t first = max(slot->gfn, move->gfn);
	gfn_t end = min(sept_slot_end(slot), move->gfn + SEPT_ENTRIES);

	bitmap_set(move->mapped, first - move->gfn, end - first);
}

/* The pages that are not mapped are the host's, which can read them. */
static int sept_copy_others(const struct sept_relocation *move, unsigned long nr)
{
	unsigned long at;
	int r;

	for_each_clear_bit(at, move->mapped, nr) {
		r = guestmem_copy(move->dst + at, move->src + at, 1);
		if (r)
			return r;
	}
	return 0;
}

static void sept_relocate_leaf(struct sept *sept, const struct sept_slot *slot, u64 entry,
			       void *arg)
{
	struct sept_relocation *move = arg;
	unsigned long at = slot->gfn - move->gfn;
	u64 status;

	status = sept_must(sept, tdh_mem_page_relocate(sept->tdr, slot->gfn, move->dst + at));
	if (status) {
		sept_refused(sept, "RELOCATE", slot->gfn, slot->level, status);
		sept_lose_pages(move->src + at, 1);
		sept_lose_pages(move->dst + at, 1);
	} else {
		tdx_reset_pages(move->src + at, 1, sept->hkid);
	}
	sept_set(sept, slot, entry, sept_leaf(move->dst + at));
	atomic_long_inc(&sept->stats.moves);
}

static void sept_moved(struct sept *sept, gfn_t gfn)
{
	struct sept_slot slot = sept_find(sept, gfn, TDX_LEVEL_4K);

	sept_check_full(sept, &slot);
}

static void sept_relocate(struct sept *sept, struct sept_reserve *reserve,
			  struct sept_relocation *move, unsigned long nr)
{
	sept_block_locked(sept, reserve, move->gfn, move->gfn + nr);
	sept_visit_leaves(sept, move->gfn, move->gfn + nr, sept_relocate_leaf, move);
	sept_moved(sept, move->gfn);
	sept_moved(sept, move->gfn + nr - 1);
}

/**
 * sept_move - move pages, with their content
 * @sept: the S-EPT
 * @reserve: sept_block_reserve() tables
 * @gfn: first gfn
 * @dst: where the first page is to go
 * @src: where it is
 * @nr: how many, at most SEPT_ENTRIES
 *
 * The guest can use the pages as soon as they have been moved.
 *
 * Context: Process context, may sleep.  Takes the lock.  The caller makes sure that
 * nobody maps any of the pages meanwhile.
 * Return: 0, or -EHWPOISON; then nothing has been moved.
 */
int sept_move(struct sept *sept, struct sept_reserve *reserve, gfn_t gfn,
	      unsigned long dst, unsigned long src, unsigned long nr)
{
	struct sept_relocation move = { .gfn = gfn, .dst = dst, .src = src };
	int r;

	down_write(&sept->lock);
	sept_visit_leaves(sept, gfn, gfn + nr, sept_note_leaf, &move);
	r = sept_copy_others(&move, nr);
	if (!r)
		sept_relocate(sept, reserve, &move, nr);
	up_write(&sept->lock);
	return r;
}

/**
 * sept_move_back - undo sept_move() with the same arguments
 * @sept: the S-EPT
 * @reserve: sept_block_reserve() tables
 * @gfn: first gfn
 * @dst: where the first page has gone
 * @src: where it was
 * @nr: how many
 *
 * What the guest has written meanwhile comes along.
 *
 * Context: As for sept_move().
 */
void sept_move_back(struct sept *sept, struct sept_reserve *reserve, gfn_t gfn,
		    unsigned long dst, unsigned long src, unsigned long nr)
{
	struct sept_relocation move = { .gfn = gfn, .dst = src, .src = dst };

	down_write(&sept->lock);
	sept_relocate(sept, reserve, &move, nr);
	up_write(&sept->lock);
}
