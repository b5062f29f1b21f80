/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of mm/guestmem share and nobody else sees.
 *
 * Lock order, outermost first, with a path that takes each edge:
 *
 *	inode->i_rwsem			fallocate(), ftruncate(), F_ADD_SEALS
 *	  guestmem_files_lock		debugfs; sealing (without what follows)
 *	    mapping->invalidate_lock	punch, merge; bind and unbind; get_pfn (shared)
 *	      hugetlb_fault_mutex_table	adding a granule
 *	        folio lock		get_pfn, truncation, splitting
 *	          gm->bind_lock		memory error; bind and unbind
 *	            the consumer's	invalidate_start (KVM: mmu_lock)
 *
 * Core mm calls with a folio locked in two cases.  A memory error takes bind_lock.  A
 * move takes invalidate_lock, shared, if that can be had without waiting: whoever waits
 * for the folio may hold it.
 *
 * KVM's slots_lock and kvm->srcu are outside of all of these.  mmap_lock is
 * taken inside none of them: guestmem_populate() pins its source first.
 */
#ifndef _MM_GUESTMEM_INTERNAL_H
#define _MM_GUESTMEM_INTERNAL_H

#include <linux/guestmem.h>
#include <linux/mempolicy.h>
#include <linux/migrate_mode.h>
#include <linux/pagemap.h>
#include <linux/rwsem.h>

/*
 * Marks of a folio's entry in the page cache.  shmem and hugetlbfs have no
 * writeback and keep none of its tags, so all three are free.
 */

/* a consumer has been given the folio, or some of it: prepared, and to be released */
#define GUESTMEM_MARK_GIVEN	PAGECACHE_TAG_DIRTY
/* the fallocate() in progress has added the folio */
#define GUESTMEM_MARK_NEW	PAGECACHE_TAG_WRITEBACK
/* the folio is being moved, see migrate.c; changed with the folio locked */
#define GUESTMEM_MARK_MOVING	PAGECACHE_TAG_TOWRITE

/* struct guestmem.flags */
#define GUESTMEM_MOVABLE	BIT(0)
#define GUESTMEM_NOHUGEPAGE	BIT(1)

/**
 * struct guestmem_store_ops - where the folios of a guest file come from
 *
 * @name: as fdinfo shows it
 *
 * @attach: Make the inode a guest file of this store, and set
 *	guestmem.granule_order.  The last step of sealing: may not fail.  Called
 *	with a file that nobody else can reach, or with inode->i_rwsem held.
 *
 * @set_size: Set the size, from 0 to @size, a multiple of the granule; reserve
 *	what has to be.  Called with inode->i_rwsem held.  -EPERM if a seal
 *	forbids it, -ENOMEM.
 *
 * @get_folio: Return in @foliop the folio at @index, locked, referenced and up to
 *	date.  A new one is as large as the store can make it, but does not reach
 *	out of [@start, @end) if there is a choice; it reads as zero, or has holes
 *	(pages.c).  Called with invalidate_lock held (shared is enough).  -ENOMEM,
 *	-EINVAL beyond the size.
 *
 * @reserve_hole: Do whatever punching [@start, @end) can fail at: split folios,
 *	allocate maps, wait for references to go.  Called with invalidate_lock held
 *	for writing.  -ENOMEM; -EAGAIN if somebody keeps a reference that is in the
 *	way; -EINTR.  No page has changed then.
 *
 * @punch: Remove the pages of the index range [@start, @end).  They are mapped
 *	nowhere, and @reserve_hole was called, unless the range is that of a whole
 *	folio which no consumer has had.  May not fail.  Called with invalidate_lock
 *	held for writing.
 *
 * @take_over: @dst has taken the place of @src in the page cache: pass on flags, charges
 *	and counts.  Called with both locked and @src mapped nowhere.  May not fail.
 *
 * @merge: Optional.  Make the folios of [@start, @end), all of which are present,
 *	larger if that is possible.  Called with inode->i_rwsem held.
 *
 * @release: Remove all pages, and give back what @set_size has reserved.  No
 *	binding is left.  May not fail.  Called with invalidate_lock held for
 *	writing.
 */
struct guestmem_store_ops {
	const char *name;
	void (*attach)(struct guestmem *gm);
	int (*set_size)(struct guestmem *gm, loff_t size);
	int (*get_folio)(struct guestmem *gm, pgoff_t index, pgoff_t start,
			 pgoff_t end, struct folio **foliop);
	int (*reserve_hole)(struct guestmem *gm, pgoff_t start, pgoff_t end);
	void (*punch)(struct guestmem *gm, pgoff_t start, pgoff_t end);
	void (*take_over)(struct folio *dst, struct folio *src);
	void (*merge)(struct guestmem *gm, pgoff_t start, pgoff_t end);
	void (*release)(struct guestmem *gm);
};

extern const struct guestmem_store_ops guestmem_shmem_store;
#ifdef CONFIG_HUGETLBFS
extern const struct guestmem_store_ops guestmem_hugetlb_store;
#endif

/**
 * struct guestmem - state of a guest file, from sealing to the last close
 * @inode: the file
 * @file: its only struct file, alive for as long as this is
 * @store: where its folios come from
 * @granule_order: order of what size and offsets of the file are multiples of
 * @owner: the address space of the process that made it; a counted reference
 *	to the structure only, to be compared and never used
 * @flags: GUESTMEM_MOVABLE, GUESTMEM_NOHUGEPAGE
 * @vm_id: id of the guest that the file belongs to for life; 0 while none.
 *	Written under invalidate_lock
 * @born_bound: made by guestmem_create() for the guest of @vm_id
 * @ops: ops of that guest's consumer, NULL while none; pins their module.
 *	Written under invalidate_lock
 * @bind_lock: protects @bindings.  Changed only with invalidate_lock held for
 *	writing as well, so that either lock is enough to read; bind_lock
 *	exists for the memory error path, which holds a folio lock
 * @bindings: of struct guestmem_binding.node
 * @nr_bindings: how many, readable without a lock
 * @maps: of struct guestmem_map, by the index of the folio, see pages.c
 * @bad: indices of hugetlb pages with a memory error, see error.c
 * @bad_unknown: there was no memory to note one down in @bad
 * @bad_huge: a large folio of shmem has a memory error, and could not be split
 * @policy: NUMA policies of ranges; the store's own if it has one, else @own_policy
 * @own_policy: for a store that has none
 * @last_fault: when a consumer has last asked for a page, in jiffies
 * @nr_migrated: folios that were moved
 * @nr_migrate_failed: attempts to move one that failed for another reason than its use
 * @nr_splits: folios that were split
 * @nr_merges: folios that were made of small ones
 * @list: in the list of all guest files, see stat.c
 * @hash: among all guest files by mapping, see core.c
 * @rcu: for readers of @hash
 */
struct guestmem {
	struct inode *inode;
	struct file *file;
	const struct guestmem_store_ops *store;
	unsigned int granule_order;
	struct mm_struct *owner;
	unsigned int flags;
	bool born_bound;
	u64 vm_id;
	const struct guestmem_consumer_ops *ops;
	struct rw_semaphore bind_lock;
	struct rb_root_cached bindings;
	unsigned long nr_bindings;
	struct xarray maps;
	struct xarray bad;
	bool bad_unknown;
	bool bad_huge;
#ifdef CONFIG_NUMA
	struct shared_policy *policy;
	struct shared_policy own_policy;
#endif
	unsigned long last_fault;
	atomic_long_t nr_migrated;
	atomic_long_t nr_migrate_failed;
	atomic_long_t nr_splits;
	atomic_long_t nr_merges;
	struct list_head list;
	struct hlist_node hash;
	struct rcu_head rcu;
};

static inline unsigned long guestmem_granule(const struct guestmem *gm)
{
	return PAGE_SIZE << gm->granule_order;
}

/* core.c */
bool guestmem_sealed(struct inode *inode);
struct guestmem *guestmem_owned(struct inode *inode);
struct guestmem *guestmem_find(const struct address_space *mapping);
void guestmem_release_file(struct guestmem *gm);

/* file.c */
extern const struct inode_operations guestmem_iops;
long guestmem_copy_args(void *args, size_t known, void __user *arg);

/* bind.c */
bool guestmem_marked(struct guestmem *gm, pgoff_t index, xa_mark_t mark);
void guestmem_set_mark(struct guestmem *gm, pgoff_t index, xa_mark_t mark);
void guestmem_clear_mark(struct guestmem *gm, pgoff_t index, xa_mark_t mark);
struct folio *guestmem_find_marked(struct guestmem *gm, pgoff_t start,
				   pgoff_t end, xa_mark_t mark);
int guestmem_get_folio(struct guestmem *gm, pgoff_t index, pgoff_t start, pgoff_t end,
		       struct folio **foliop);
bool guestmem_retry(struct guestmem *gm, pgoff_t index, int ret);
int guestmem_invalidate_prepare(struct guestmem *gm, struct guestmem_invalidation *inv);
void guestmem_invalidate_start(struct guestmem_invalidation *inv);
void guestmem_invalidate_end(struct guestmem_invalidation *inv);
void guestmem_invalidate_done(struct guestmem_invalidation *inv);
void guestmem_release_pages(struct guestmem *gm, pgoff_t start, pgoff_t end);

/* error.c */
int guestmem_error_folio(struct address_space *mapping, struct folio *folio);
bool guestmem_poisoned(struct guestmem *gm, struct folio *folio, pgoff_t index,
		       unsigned long nr);
void guestmem_forget_errors(struct guestmem *gm, struct folio *folio);

/* migrate.c */
bool guestmem_can_move(const struct guestmem *gm);
void guestmem_set_placement(struct guestmem *gm);
void guestmem_move_end(struct guestmem *gm, pgoff_t index);
#ifdef CONFIG_MIGRATION
int guestmem_migrate_folio(struct address_space *mapping, struct folio *dst,
			   struct folio *src, enum migrate_mode mode);
#else
#define guestmem_migrate_folio	NULL
#endif

/* move.c */
int guestmem_move_range(struct guestmem *gm, pgoff_t start, pgoff_t end,
			const nodemask_t *nodes, bool spread, u64 *moved, u64 *failed);
long guestmem_migrate(struct guestmem *gm, void __user *arg);

/* policy.c */
#ifdef CONFIG_NUMA
long guestmem_set_mempolicy(struct guestmem *gm, void __user *arg);
#else
static inline long guestmem_set_mempolicy(struct guestmem *gm, void __user *arg)
{
	return -EOPNOTSUPP;
}
#endif

/* stat.c */
void guestmem_stat_add(struct guestmem *gm);
void guestmem_stat_del(struct guestmem *gm);
void guestmem_stat_bindings(long delta);
void guestmem_show_fdinfo(struct seq_file *m, struct file *file);
long guestmem_get_info(struct guestmem *gm, void __user *arg);

/* shmem_backend.c */
void guestmem_shmem_account(struct folio *folio, long sign);

/* shmem_merge.c */
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
void guestmem_shmem_merge(struct guestmem *gm, pgoff_t start, pgoff_t end);
#endif

/* pages.c */
/* instead of an errno: drop invalidate_lock and try again, see guestmem_retry() */
#define GUESTMEM_CONTENDED	1
#define GUESTMEM_UNSETTLED	2

int guestmem_wait(unsigned int *tries);
int guestmem_map_add_holes(struct guestmem *gm, pgoff_t index, unsigned int order);
int guestmem_map_reserve(struct guestmem *gm, struct folio *folio);
void guestmem_map_drop(struct guestmem *gm, pgoff_t index);
void guestmem_map_split(struct guestmem *gm, pgoff_t index);
int guestmem_map_merge(struct guestmem *gm, pgoff_t index);
bool guestmem_unsettled(struct guestmem *gm, struct folio *folio);
void guestmem_settle(struct guestmem *gm, pgoff_t start, pgoff_t end);
bool guestmem_next_fresh(struct guestmem *gm, struct folio *folio, unsigned long *first,
			 unsigned long end);
bool guestmem_given(struct guestmem *gm, struct folio *folio, unsigned long first,
		    unsigned long nr);
unsigned long guestmem_next_given(struct guestmem *gm, struct folio *folio,
				  unsigned long *first, unsigned long end);
void guestmem_set_given(struct guestmem *gm, struct folio *folio, unsigned long first,
			unsigned long nr);
int guestmem_fill(struct guestmem *gm, struct folio *folio, unsigned long first,
		  unsigned long nr, bool killable);
bool guestmem_make_hole(struct guestmem *gm, struct folio *folio, unsigned long first,
			unsigned long nr);

/* debug.c */
enum guestmem_delay {
	GUESTMEM_DELAY_GET_PFN,
	GUESTMEM_DELAY_INVALIDATION,
	GUESTMEM_NR_DELAYS
};

#ifdef CONFIG_GUESTMEM_DEBUG
void guestmem_check(struct guestmem *gm);
void guestmem_delay(enum guestmem_delay where);
void guestmem_debug_init(struct dentry *dir);
#else
static inline void guestmem_check(struct guestmem *gm)
{
}

static inline void guestmem_delay(enum guestmem_delay where)
{
}

static inline void guestmem_debug_init(struct dentry *dir)
{
}
#endif

#endif /* _MM_GUESTMEM_INTERNAL_H */
