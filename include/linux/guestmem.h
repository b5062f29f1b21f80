/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of confidential guests as a file: the in-kernel interface.
 *
 * Three parties meet here, and each knows only its neighbour:
 *
 *	store (shmem, hugetlb)  <->  core (mm/guestmem)  <->  consumer (KVM, ...)
 *
 * A *store* provides the folios of a guest file through struct
 * guestmem_store_ops.  A *consumer* maps them into a guest through struct
 * guestmem_consumer_ops and the functions below; it never sees a struct folio,
 * and derives neither a size nor a reference count from a pfn.
 *
 * Ranges are given as a start and a number of pages, or as [start, end) with
 * an exclusive end, always in units of PAGE_SIZE.  An *index* is a page offset
 * into the guest file; an *address* is the consumer's own page number, a gfn
 * for KVM.
 */
#ifndef _LINUX_GUESTMEM_H
#define _LINUX_GUESTMEM_H

#include <linux/fs.h>
#include <linux/interval_tree.h>
#include <linux/types.h>

struct folio;
struct guestmem;
struct guestmem_binding;
struct guestmem_consumer;
struct module;

/**
 * struct guestmem_invalidation - a range of a guest file that goes away, or moves
 * @gm: the guest file
 * @start: first index
 * @end: index behind the last one
 * @moving: the content stays, in other pages perhaps; none leaves the file
 * @nofail: it has happened already, and the consumer must find the memory that it needs
 * @reserve: the consumer's, from its reserve to its unreserve
 * @consumer: who was told by invalidate_start, and has to be told by
 *	      invalidate_end; NULL if nobody has bound any of the range
 *
 * Lives on the stack of whoever changes the pages, from guestmem_invalidate_prepare()
 * to guestmem_invalidate_done().  No binding of @gm comes or goes in between.
 */
struct guestmem_invalidation {
	struct guestmem *gm;
	pgoff_t start;
	pgoff_t end;
	bool moving;
	bool nofail;
	void *reserve;
	struct guestmem_consumer *consumer;
};

/**
 * struct guestmem_consumer_ops - what a consumer of guest memory implements
 *
 * @owner: module that the ops live in; a file that was ever bound pins it
 *
 * @orders: block sizes that the consumer can map, a mask of orders; bit 0 is set
 *
 * @reserve: Optional.  An invalidation, and a move if @moving says so, is going to be made:
 *	get what they can need.  Called before anything has changed.  May sleep.  Returns
 *	0, -ENOMEM, or -EAGAIN for a move that would have to wait; but 0 if @nofail is set.
 *
 * @unreserve: With @reserve.  What was not used is not needed any more.  Called once for
 *	each @reserve that has returned 0.
 *
 * @invalidate_start: Unmap the given range from the guest, in every binding
 *	that overlaps it (guestmem_first_binding(), guestmem_next_binding()),
 *	and let no new mapping come into being until @invalidate_end.  On return
 *	no vCPU can reach the pages.  Called once for a range, however many
 *	bindings overlap it.  May not fail and may not allocate memory that it
 *	cannot do without.  May sleep.  Called with the bindings locked, and
 *	possibly with a folio lock held: must not call back into guestmem.
 *
 * @invalidate_end: The range has changed; mappings may be made again.  Called
 *	if and only if @invalidate_start was, from the same context.
 *
 * @migrate: Optional; without it the pages of this guest cannot be moved, and files that
 *	are bound to it are left out wherever pages are moved.  Put the content of the
 *	@nr pages at @src, from @index of the file on, into those at @dst, and whatever
 *	state the guest's means of protection have of them.  Both are contiguous, and
 *	within 2M that are aligned.  All of it or nothing.  Called for pages that the
 *	guest has had, those outside of any binding of today among them, after the
 *	invalidation @inv of a range with these pages, which @moving says of.  It may
 *	have ended, but guestmem_get_pfn() does not return the pages until they are
 *	where they will be.  May sleep.  Returns 0, -EHWPOISON, or -EBUSY.
 *
 * @unmigrate: Optional.  Take back what @migrate has done with the same arguments, because
 *	other pages of the folio cannot be moved.  Without it, the pages at @src are as
 *	they were before.  May not fail.
 *
 * @prepare: Optional.  The pages at @pfn, 1 << @order of them, are about to be
 *	given to the guest for the first time since they came into the file, at
 *	consumer address @addr.  They read as zero.  Called with the folio
 *	locked; may sleep.  Returns 0 or an errno, which guestmem_get_pfn()
 *	returns in turn.
 *
 * @release: Optional.  The @nr pages at @pfn have been given to the guest and now
 *	leave the file.  They are mapped nowhere.  The consumer object may be gone
 *	by then, so none is passed.  Called with the folio locked; may sleep, may not
 *	fail.
 */
struct guestmem_consumer_ops {
	struct module *owner;
	unsigned long orders;
	int (*reserve)(struct guestmem_consumer *consumer,
		       struct guestmem_invalidation *inv);
	void (*unreserve)(struct guestmem_consumer *consumer,
			  struct guestmem_invalidation *inv);
	void (*invalidate_start)(struct guestmem_consumer *consumer,
				 const struct guestmem_invalidation *inv);
	void (*invalidate_end)(struct guestmem_consumer *consumer,
			       const struct guestmem_invalidation *inv);
	int (*migrate)(struct guestmem_consumer *consumer,
		       const struct guestmem_invalidation *inv, pgoff_t index,
		       unsigned long dst, unsigned long src, unsigned long nr);
	void (*unmigrate)(struct guestmem_consumer *consumer,
			  const struct guestmem_invalidation *inv, pgoff_t index,
			  unsigned long dst, unsigned long src, unsigned long nr);
	int (*prepare)(struct guestmem_binding *binding, u64 addr,
		       unsigned long pfn, unsigned int order);
	void (*release)(unsigned long pfn, unsigned long nr);
};

/**
 * struct guestmem_consumer - one guest: the unit that a guest file belongs to
 * @ops: what it can do
 * @id: from guestmem_new_consumer_id(); never used again by another guest, so
 *	that a file which outlives its guest cannot be taken over by a guest
 *	that happens to be allocated at the same place
 *
 * Embedded in the consumer's own object (struct kvm).  Must stay valid while
 * any binding refers to it.
 */
struct guestmem_consumer {
	const struct guestmem_consumer_ops *ops;
	u64 id;
};

/**
 * struct guestmem_binding - a range of a guest file given to a consumer
 * @node: the range of indices, in the file's tree of bindings
 * @gm: the guest file
 * @file: a reference, so that the memory outlives the file descriptor
 * @consumer: the guest
 * @addr: consumer address that the first index appears at
 * @claimed: made the file the guest's, see guestmem_abort_bind()
 * @priv: the consumer's, for example its memslot
 *
 * All fields are constant between guestmem_bind() and guestmem_unbind().
 */
struct guestmem_binding {
	struct interval_tree_node node;
	struct guestmem *gm;
	struct file *file;
	struct guestmem_consumer *consumer;
	u64 addr;
	bool claimed;
	void *priv;
};

/* how guestmem_populate() hands over a page; 0 or an errno */
typedef int (*guestmem_populate_fn)(struct guestmem_binding *binding, u64 addr,
				    unsigned long pfn, void __user *src,
				    unsigned int order, void *arg);

#ifdef CONFIG_GUESTMEM

extern const struct file_operations guestmem_fops;
extern const struct address_space_operations guestmem_shmem_aops;

int __guestmem_refuse(struct inode *inode);
int __guestmem_check_owner(struct inode *inode);

/**
 * guestmem_file - is this a guest file?
 * @file: any open file
 *
 * Return: True if it is, or is just being made one.
 */
static inline bool guestmem_file(const struct file *file)
{
	return file->f_op == &guestmem_fops;
}

/**
 * guestmem_shmem - is this the page cache of a guest file in the shmem store?
 * @mapping: any mapping
 *
 * Return: True if it is.
 */
static inline bool guestmem_shmem(const struct address_space *mapping)
{
	return mapping->a_ops == &guestmem_shmem_aops;
}

/**
 * guestmem_refuse - keep a guest file out of a path that would share it
 * @file: any open file
 *
 * For paths that hand a file to another process or to another part of the
 * kernel that would use its pages.
 *
 * Return: 0 for every other file, -EPERM for a guest file.
 */
static inline int guestmem_refuse(struct file *file)
{
	return guestmem_file(file) ? __guestmem_refuse(file_inode(file)) : 0;
}

/**
 * guestmem_check_owner - may the current task operate on this file?
 * @file: any open file
 *
 * Return: 0 for every other file and for the owner, else -EPERM.
 */
static inline int guestmem_check_owner(struct file *file)
{
	return guestmem_file(file) ? __guestmem_check_owner(file_inode(file)) : 0;
}

int guestmem_memfd_flags(unsigned int *flags);
int guestmem_memfd_init(struct file *file, unsigned int flags);
int guestmem_add_seals(struct file *file, unsigned int seals, unsigned int old);
unsigned int *guestmem_seals(struct file *file);
unsigned long guestmem_shmem_orders(struct inode *inode, pgoff_t index,
				    loff_t write_end);
gfp_t guestmem_huge_gfp(struct address_space *mapping, gfp_t gfp);

bool guestmem_movable(const struct address_space *mapping);
bool guestmem_unmovable(const struct folio *folio);
void guestmem_memory_failure(unsigned long pfn);

struct file *guestmem_create(const char *name, loff_t size, unsigned int order,
			     struct guestmem_consumer *consumer);
bool guestmem_has_granule(unsigned int order);
u64 guestmem_new_consumer_id(void);

struct guestmem_binding *guestmem_bind(struct file *file,
				       struct guestmem_consumer *consumer,
				       u64 offset, unsigned long npages,
				       u64 addr, void *priv);
void guestmem_abort_bind(struct guestmem_binding *binding);
void guestmem_unbind(struct guestmem_binding *binding);
int guestmem_get_pfn(struct guestmem_binding *binding, u64 addr,
		     unsigned long *pfn, unsigned int *order);
void guestmem_put_pfn(unsigned long pfn);
int guestmem_copy(unsigned long dst, unsigned long src, unsigned long nr);
unsigned int guestmem_max_order(struct guestmem_binding *binding, u64 addr,
				unsigned int order);
long guestmem_populate(struct guestmem_binding *binding, u64 addr,
		       void __user *src, long npages,
		       guestmem_populate_fn fn, void *arg);

struct guestmem_binding *
guestmem_first_binding(const struct guestmem_invalidation *inv);
struct guestmem_binding *
guestmem_next_binding(const struct guestmem_invalidation *inv,
		      struct guestmem_binding *binding);

/**
 * guestmem_addr_first - first consumer address of an invalidation
 * @binding: a binding that overlaps @inv
 * @inv: the invalidation
 *
 * Return: The address.
 */
static inline u64 guestmem_addr_first(const struct guestmem_binding *binding,
				      const struct guestmem_invalidation *inv)
{
	return binding->addr +
	       max(binding->node.start, inv->start) - binding->node.start;
}

/**
 * guestmem_addr_end - consumer address behind the last of an invalidation
 * @binding: a binding that overlaps @inv
 * @inv: the invalidation
 *
 * Return: The address.
 */
static inline u64 guestmem_addr_end(const struct guestmem_binding *binding,
				    const struct guestmem_invalidation *inv)
{
	return binding->addr +
	       min(binding->node.last, inv->end - 1) - binding->node.start + 1;
}

#else /* !CONFIG_GUESTMEM */

static inline bool guestmem_file(const struct file *file)
{
	return false;
}

static inline bool guestmem_shmem(const struct address_space *mapping)
{
	return false;
}

static inline int guestmem_refuse(struct file *file)
{
	return 0;
}

static inline int guestmem_check_owner(struct file *file)
{
	return 0;
}

static inline int guestmem_memfd_flags(unsigned int *flags)
{
	/* MFD_GUEST, MFD_GUEST_MOVABLE, MFD_GUEST_NOHUGEPAGE */
	return *flags & 0x0700 ? -EINVAL : 0;
}

static inline int guestmem_memfd_init(struct file *file, unsigned int flags)
{
	return 0;
}

static inline unsigned int *guestmem_seals(struct file *file)
{
	return NULL;
}

static inline unsigned long guestmem_shmem_orders(struct inode *inode, pgoff_t index,
						  loff_t write_end)
{
	return 0;
}

static inline gfp_t guestmem_huge_gfp(struct address_space *mapping, gfp_t gfp)
{
	return gfp;
}

static inline bool guestmem_movable(const struct address_space *mapping)
{
	return false;
}

static inline bool guestmem_unmovable(const struct folio *folio)
{
	return false;
}

static inline void guestmem_memory_failure(unsigned long pfn)
{
}

static inline int guestmem_add_seals(struct file *file, unsigned int seals,
				     unsigned int old)
{
	/* F_SEAL_GUEST */
	return seals & 0x0100 ? -EINVAL : 0;
}

#endif /* CONFIG_GUESTMEM */

#endif /* _LINUX_GUESTMEM_H */
