/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVM_X86_TDX_SEPT_H
#define __KVM_X86_TDX_SEPT_H

/*
 * The S-EPT of a TD, as its host sees it.
 *
 * The page tables of a TD's private memory are the module's: each change is a SEAMCALL,
 * and so is each look.  So the manager keeps a *mirror*, tables of the same shape in the
 * kernel's own memory, and asks the module for changes only.  What is in the mirror and
 * what is in the S-EPT differ in one thing: whether the guest has accepted a page is
 * between the guest and the module.
 *
 *   table	512 entries, with a page in the S-EPT (the root has none that KVM knows)
 *   leaf	an entry that maps a page of 4K, 2M or 1G
 *   blocked	a leaf that the guest cannot use, but whose page is still the TD's
 *   frozen	an entry that somebody is just changing
 *   flush	TRACK, and a kick of all vCPUs: no TLB has what was blocked before
 *
 * An entry of the mirror changes in sept_set() and nowhere else.
 *
 * Locks:
 *
 *   lock, shared	who puts something where nothing was.  Entries are frozen
 *			while the module is called, so that faults of different pages do
 *			not wait for each other
 *   lock, exclusive	who blocks, removes, splits, merges, moves.  The module wants
 *			its S-EPT tree for itself for that anyway
 *   RCU		who only looks, see sept_lookup()
 *
 * No memory is allocated with the lock held: to make room, the kernel may want to move
 * pages of guests, which takes the lock.  What an operation can need is *reserved*
 * before, and so can nothing go wrong any more once the first page is blocked.
 *
 * Calls that the module refuses although the mirror says that it must not are bugs.  The
 * TD is *broken* then: it will not run any more, and its memory comes back when it is
 * torn down.
 */
#include <linux/atomic.h>
#include <linux/kvm_types.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>

#include "seamcall.h"

#define SEPT_ENTRIES	512
/* levels of pages; tables are of levels 1 to root_level */
#define SEPT_NR_LEVELS	3

struct sept;

/**
 * struct sept_table - a table of the mirror
 * @entries: SEPT_ENTRIES of them; written by sept_set() only
 * @pfn: page of the table in the S-EPT
 * @used: entries that are not empty
 * @node: in the pool, while it is in no tree
 * @rcu: those who only look may still be there
 */
struct sept_table {
	u64 *entries;
	unsigned long pfn;
	atomic_t used;
	struct list_head node;
	struct rcu_head rcu;
};

/**
 * struct sept_ops - what the S-EPT needs of whoever runs the vCPUs
 * @kick: Every vCPU that is inside leaves, at least for a moment, before this returns.
 * @hold: While @on, no vCPU enters.  Calls are paired, and may be nested.
 * @broken: The TD must not run any more.
 * @full: All of a table that could be a page of @level is in use now.  Called often.
 *
 * Context: process context, with the lock of the S-EPT held.  None may fail.
 */
struct sept_ops {
	void (*kick)(struct sept *sept);
	void (*hold)(struct sept *sept, bool on);
	void (*broken)(struct sept *sept);
	void (*full)(struct sept *sept, gfn_t gfn, int level);
};

/**
 * struct sept_stats - what there is, and what was done
 * @pages: leaves, by level
 * @tables: tables, without the root
 * @tracks: TDH.MEM.TRACK that succeeded
 * @kicks: all vCPUs kicked
 * @splits: pages split
 * @merges: pages merged
 * @moves: 4K pages moved
 */
struct sept_stats {
	atomic_long_t pages[SEPT_NR_LEVELS];
	atomic_long_t tables;
	atomic_long_t tracks;
	atomic_long_t kicks;
	atomic_long_t splits;
	atomic_long_t merges;
	atomic_long_t moves;
};

/**
 * struct sept - the S-EPT of a TD
 * @ops: of whoever runs the vCPUs
 * @tdr: pfn of the TD's root page
 * @hkid: its key
 * @root_level: level of the entries of the root, 3 or 4
 * @lock: see the head of this file
 * @root: of the mirror
 * @pool_lock: of @pool, @nr_pool and @nr_reserved; nothing is done under it
 * @pool: tables for later
 * @nr_pool: how many; at least @nr_reserved
 * @nr_reserved: of them, promised to somebody
 * @moving: moves under way, for which pages must stay as small as they are
 * @dying: whoever can do without the pages should: the lock is going to be held for long
 * @reclaiming: the TD is torn down; entries just go
 * @broken: a call was refused that must not have been
 * @stats: counters
 */
struct sept {
	const struct sept_ops *ops;
	unsigned long tdr;
	u16 hkid;
	int root_level;
	struct rw_semaphore lock;
	struct sept_table root;
	/* a leaf of the lock order */
	spinlock_t pool_lock;
	struct list_head pool;
	unsigned int nr_pool;
	unsigned int nr_reserved;
	atomic_t moving;
	bool dying;
	bool reclaiming;
	bool broken;
	struct sept_stats stats;
};

/**
 * struct sept_reserve - tables that an operation may use up
 * @sept: whose
 * @nr: how many are left
 */
struct sept_reserve {
	struct sept *sept;
	unsigned int nr;
};

/**
 * struct sept_page - what is mapped at a gfn
 * @pfn: of the page that contains the gfn, its first
 * @level: of the page
 * @blocked: the guest cannot use it
 */
struct sept_page {
	unsigned long pfn;
	int level;
	bool blocked;
};

static inline unsigned long sept_level_pages(int level)
{
	return 1UL << (9 * level);
}

static inline gfn_t sept_level_start(gfn_t gfn, int level)
{
	return gfn & ~((gfn_t)sept_level_pages(level) - 1);
}

/* sept.c */
int sept_init(struct sept *sept, unsigned long tdr, u16 hkid, int root_level,
	      const struct sept_ops *ops);
void sept_destroy(struct sept *sept);
void sept_reclaim(struct sept *sept);
bool sept_lookup(struct sept *sept, gfn_t gfn, struct sept_page *page);
bool sept_next(struct sept *sept, gfn_t *gfn, struct sept_page *page);

/* sept_pool.c */
int sept_reserve(struct sept *sept, struct sept_reserve *reserve, unsigned int nr, gfp_t gfp);
void sept_unreserve(struct sept_reserve *reserve);

/* sept_map.c */
int sept_map(struct sept *sept, struct sept_reserve *reserve, gfn_t gfn,
	     unsigned long pfn, int level);
int sept_add(struct sept *sept, struct sept_reserve *reserve, gfn_t gfn,
	     unsigned long pfn, unsigned long source);
/* tables that a mapping can need */
#define SEPT_MAP_RESERVE	4

/* sept_unmap.c */
void sept_unmap(struct sept *sept, struct sept_reserve *reserve, gfn_t start, gfn_t end);
void sept_block(struct sept *sept, struct sept_reserve *reserve, gfn_t start, gfn_t end);
void sept_unblock(struct sept *sept, gfn_t start, gfn_t end);
void sept_split(struct sept *sept, struct sept_reserve *reserve, gfn_t gfn, int level);
unsigned int sept_unmap_reserve(gfn_t start, gfn_t end);
unsigned int sept_block_reserve(gfn_t start, gfn_t end);
/* tables that a split can need */
#define SEPT_SPLIT_RESERVE	2

/* sept_merge.c */
bool sept_can_merge(struct sept *sept, gfn_t gfn, int level);
int sept_merge(struct sept *sept, gfn_t gfn, int level);
bool sept_drop_table(struct sept *sept, gfn_t gfn, int level);

/* sept_move.c */
int sept_move(struct sept *sept, struct sept_reserve *reserve, gfn_t gfn,
	      unsigned long dst, unsigned long src, unsigned long nr);
void sept_move_back(struct sept *sept, struct sept_reserve *reserve, gfn_t gfn,
		    unsigned long dst, unsigned long src, unsigned long nr);

#endif /* __KVM_X86_TDX_SEPT_H */
