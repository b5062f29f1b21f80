/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of mm/guestmem share and nobody else sees.
 *
 * Lock order, outermost first, with a path that takes each edge:
 *
 *	inode->i_rwsem			fallocate(), ftruncate(), F_ADD_SEALS
 *	  mapping->invalidate_lock	punch; bind and unbind; get_pfn (shared)
 *	    folio lock			get_pfn, truncation
 *	      gm->bind_lock		memory error; bind and unbind
 *	        the consumer's locks	invalidate_start (KVM: mmu_lock)
 *
 * KVM's slots_lock and kvm->srcu are outside of all of these.  mmap_lock is
 * taken inside none of them: guestmem_populate() pins its source first.
 */
#ifndef _MM_GUESTMEM_INTERNAL_H
#define _MM_GUESTMEM_INTERNAL_H

#include <linux/guestmem.h>
#include <linux/pagemap.h>
#include <linux/rwsem.h>

/*
 * Marks of a folio's entry in the page cache.  shmem and hugetlbfs have no
 * writeback and keep neither dirty nor writeback tags, so these two are free;
 * mm/memfd.c borrows the third in the same way.
 */

/* a consumer has been given the folio: prepared, and to be released */
#define GUESTMEM_MARK_GIVEN	PAGECACHE_TAG_DIRTY
/* the fallocate() in progress has added the folio */
#define GUESTMEM_MARK_NEW	PAGECACHE_TAG_WRITEBACK

/* struct guestmem.flags */
#define GUESTMEM_MOVABLE	BIT(0)
#define GUESTMEM_NOHUGEPAGE	BIT(1)

/**
 * struct guestmem_store_ops - where the folios of a guest file come from
 *
 * @name: as fdinfo shows it
 * @granule_order: order of what size and offsets of the file are multiples of
 *
 * @attach: Make the inode a guest file of this store.  The last step of
 *	sealing: may not fail.  Called with a file that nobody else can reach,
 *	or with inode->i_rwsem held.
 *
 * @set_size: Set the size, from 0 to @size, a multiple of the granule; reserve
 *	what has to be.  Called with inode->i_rwsem held.  -EPERM if a seal
 *	forbids it, -ENOMEM.
 *
 * @get_folio: Return in @foliop the folio at @index, locked, referenced,
 *	up to date and reading as zero if it is new.  Called with
 *	invalidate_lock held (shared is enough).  -ENOMEM, -EINVAL beyond the
 *	size.
 *
 * @punch: Remove all folios of the index range [@start, @end).  They are
 *	mapped nowhere.  May not fail.  Called with invalidate_lock held for
 *	writing.
 */
struct guestmem_store_ops {
	const char *name;
	unsigned int granule_order;
	void (*attach)(struct guestmem *gm);
	int (*set_size)(struct guestmem *gm, loff_t size);
	int (*get_folio)(struct guestmem *gm, pgoff_t index,
			 struct folio **foliop);
	void (*punch)(struct guestmem *gm, pgoff_t start, pgoff_t end);
};

extern const struct guestmem_store_ops guestmem_shmem_store;

/**
 * struct guestmem - state of a guest file, from sealing to the last close
 * @inode: the file
 * @store: where its folios come from
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
 * @list: in the list of all guest files, see stat.c
 */
struct guestmem {
	struct inode *inode;
	const struct guestmem_store_ops *store;
	struct mm_struct *owner;
	unsigned int flags;
	bool born_bound;
	u64 vm_id;
	const struct guestmem_consumer_ops *ops;
	struct rw_semaphore bind_lock;
	struct rb_root_cached bindings;
	unsigned long nr_bindings;
	struct list_head list;
};

static inline unsigned long guestmem_granule(const struct guestmem *gm)
{
	return PAGE_SIZE << gm->store->granule_order;
}

/* core.c */
bool guestmem_sealed(struct inode *inode);
struct guestmem *guestmem_owned(struct inode *inode);
void guestmem_release_file(struct guestmem *gm);

/* file.c */
extern const struct inode_operations guestmem_iops;

/* bind.c */
bool guestmem_marked(struct guestmem *gm, pgoff_t index, xa_mark_t mark);
void guestmem_set_mark(struct guestmem *gm, pgoff_t index, xa_mark_t mark);
void guestmem_clear_mark(struct guestmem *gm, pgoff_t index, xa_mark_t mark);
struct folio *guestmem_find_marked(struct guestmem *gm, pgoff_t start,
				   pgoff_t end, xa_mark_t mark);
void guestmem_invalidate_start(struct guestmem *gm, pgoff_t start, pgoff_t end,
			       struct guestmem_invalidation *inv);
void guestmem_invalidate_end(struct guestmem_invalidation *inv);
void guestmem_remove_range(struct guestmem *gm, pgoff_t start, pgoff_t end);
int guestmem_error_folio(struct address_space *mapping, struct folio *folio);

/* stat.c */
void guestmem_stat_add(struct guestmem *gm);
void guestmem_stat_del(struct guestmem *gm);
void guestmem_stat_bindings(long delta);
void guestmem_show_fdinfo(struct seq_file *m, struct file *file);
long guestmem_get_info(struct guestmem *gm, void __user *arg);

#ifdef CONFIG_GUESTMEM_DEBUG
void guestmem_check(struct guestmem *gm);
#else
static inline void guestmem_check(struct guestmem *gm)
{
}
#endif

#endif /* _MM_GUESTMEM_INTERNAL_H */
