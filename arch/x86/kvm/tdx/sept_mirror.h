/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVM_X86_TDX_SEPT_MIRROR_H
#define __KVM_X86_TDX_SEPT_MIRROR_H

/*
 * The mirror of an S-EPT, for the files of the manager: entries, walks, calls.
 */
#include <linux/lockdep.h>

#include "sept.h"

/*
 * An entry:
 *
 *	0			empty
 *	LEAF | pfn << 12	a page; with BLOCKED, the guest cannot use it
 *	TABLE | address		a struct sept_table
 *	FROZEN			was empty, will not be
 */
#define SEPT_LEAF_BIT		BIT_ULL(0)
#define SEPT_TABLE_BIT		BIT_ULL(1)
#define SEPT_FROZEN_BIT		BIT_ULL(2)
#define SEPT_BLOCKED_BIT	BIT_ULL(3)
#define SEPT_KIND		(SEPT_LEAF_BIT | SEPT_TABLE_BIT | SEPT_FROZEN_BIT)
#define SEPT_FLAGS		(SEPT_KIND | SEPT_BLOCKED_BIT)

/* what a struct sept_table is aligned to, to have room for the flags */
#define SEPT_TABLE_ALIGN	64

static_assert(SEPT_FLAGS < SEPT_TABLE_ALIGN);

static inline bool sept_is_leaf(u64 entry)
{
	return entry & SEPT_LEAF_BIT;
}

static inline bool sept_is_table(u64 entry)
{
	return entry & SEPT_TABLE_BIT;
}

static inline bool sept_is_blocked(u64 entry)
{
	return entry & SEPT_BLOCKED_BIT;
}

static inline unsigned long sept_pfn(u64 entry)
{
	return entry >> PAGE_SHIFT;
}

static inline u64 sept_leaf(unsigned long pfn)
{
	return (u64)pfn << PAGE_SHIFT | SEPT_LEAF_BIT;
}

static inline struct sept_table *sept_table(u64 entry)
{
	return (struct sept_table *)(unsigned long)(entry & ~SEPT_FLAGS);
}

static inline u64 sept_pointer(struct sept_table *table)
{
	return (unsigned long)table | SEPT_TABLE_BIT;
}

/**
 * struct sept_slot - an entry, and where it is
 * @table: that it is in
 * @index: in @table
 * @level: 0 if its leaf would be of 4K
 * @gfn: first that it maps
 */
struct sept_slot {
	struct sept_table *table;
	unsigned int index;
	int level;
	gfn_t gfn;
};

static inline u64 sept_get(const struct sept_slot *slot)
{
	/* pairs with the release in sept_set(): a table is complete when it is seen */
	return smp_load_acquire(&slot->table->entries[slot->index]);
}

static inline gfn_t sept_slot_end(const struct sept_slot *slot)
{
	return slot->gfn + sept_level_pages(slot->level);
}

bool sept_set(struct sept *sept, const struct sept_slot *slot, u64 old, u64 new);
void sept_check_full(struct sept *sept, const struct sept_slot *slot);
struct sept_slot sept_root_slot(struct sept *sept, gfn_t gfn);
struct sept_slot sept_child_slot(const struct sept_slot *slot, u64 entry, gfn_t gfn);
struct sept_slot sept_find(struct sept *sept, gfn_t gfn, int level);

/* What is done to each leaf of a range; the lock is held exclusive. */
typedef void (*sept_leaf_fn)(struct sept *sept, const struct sept_slot *slot, u64 entry,
			     void *arg);
void sept_visit_leaves(struct sept *sept, gfn_t start, gfn_t end, sept_leaf_fn fn, void *arg);

void sept_block_locked(struct sept *sept, struct sept_reserve *reserve, gfn_t start,
		       gfn_t end);
void sept_flush(struct sept *sept);
void sept_refused(struct sept *sept, const char *what, gfn_t gfn, int level, u64 status);

struct sept_table *sept_alloc_table(gfp_t gfp);
struct sept_table *sept_take(struct sept_reserve *reserve);
void sept_give(struct sept *sept, struct sept_table *table);
void sept_free_table(struct sept_table *table);
void sept_free_table_rcu(struct sept_table *table);
void sept_lose_pages(unsigned long pfn, unsigned long nr);

void sept_wait(struct sept *sept, unsigned int tries);
void sept_wait_done(struct sept *sept, unsigned int tries);

/*
 * A call that must succeed, at last: what is busy is waited for.  If it is busy for long,
 * vCPUs are kept out, because the guest has locks of the module, too.
 */
#define sept_must(of, call)						\
({									\
	struct sept *__sept = (of);					\
	unsigned int __tries = 0;					\
	u64 __status;							\
									\
	while (tdx_busy(__status = (call)))				\
		sept_wait(__sept, __tries++);				\
	sept_wait_done(__sept, __tries);				\
	__status;							\
})

#endif /* __KVM_X86_TDX_SEPT_MIRROR_H */
