// SPDX-License-Identifier: GPL-2.0
/*
 * How a memfd becomes a guest file, whose it is, and how it ends.
 *
 * Becoming one means that the operations of the file, of its inode and of its
 * page cache are replaced by guestmem's own, in which mmap, read, write and
 * splice are refusals (file.c).  Nothing in shmem has to know about access
 * rights then.  This is sound only while nobody is inside one of the old
 * operations and nobody can get at them again:
 *
 *  - memfd_create(MFD_GUEST) replaces them before the file has a descriptor.
 *  - fcntl(F_ADD_SEALS, F_SEAL_GUEST) demands that the caller's descriptor is
 *    the only reference to the file, and proves that in two looks with an RCU
 *    grace period in between, see guestmem_seal().
 *
 * The file belongs to the process that made it.  The *owner* is its mm: a
 * thread has the same, a forked child and a program after exec have another.
 */
#include <linux/dcache.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/hashtable.h>
#include <linux/hugetlb.h>
#include <linux/jiffies.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <uapi/linux/memfd.h>

#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/guestmem.h>

EXPORT_TRACEPOINT_SYMBOL_GPL(guestmem_convert);

/* woken when a seal is decided, one way or the other */
static DECLARE_WAIT_QUEUE_HEAD(guestmem_seal_wait);

/* all guest files, by the address of their mapping; read under RCU */
static DEFINE_HASHTABLE(guestmem_mappings, 8);
static DEFINE_SPINLOCK(guestmem_mappings_lock);

static atomic64_t guestmem_last_id = ATOMIC64_INIT(0);

/**
 * guestmem_new_consumer_id - a number that no other guest has or will have
 *
 * Context: Any.
 * Return: The number, never 0.
 */
u64 guestmem_new_consumer_id(void)
{
	return atomic64_inc_return(&guestmem_last_id);
}
EXPORT_SYMBOL_GPL(guestmem_new_consumer_id);

static const struct guestmem_store_ops *guestmem_store_of(struct inode *inode)
{
	if (shmem_mapping(inode->i_mapping))
		return &guestmem_shmem_store;
#ifdef CONFIG_HUGETLBFS
	if (inode->i_sb->s_magic == HUGETLBFS_MAGIC)
		return &guestmem_hugetlb_store;
#endif
	return NULL;
}

/* -EOPNOTSUPP for a file that is in none of the stores */
static struct guestmem *guestmem_alloc(struct inode *inode, unsigned int mfd_flags)
{
	const struct guestmem_store_ops *store = guestmem_store_of(inode);
	struct guestmem *gm;

	if (!store)
		return ERR_PTR(-EOPNOTSUPP);
	gm = kzalloc(sizeof(*gm), GFP_KERNEL_ACCOUNT);
	if (!gm)
		return ERR_PTR(-ENOMEM);
	gm->inode = inode;
	gm->store = store;
	if (mfd_flags & MFD_GUEST_MOVABLE)
		gm->flags |= GUESTMEM_MOVABLE;
	if (mfd_flags & MFD_GUEST_NOHUGEPAGE)
		gm->flags |= GUESTMEM_NOHUGEPAGE;
	init_rwsem(&gm->bind_lock);
	gm->bindings = RB_ROOT_CACHED;
	xa_init(&gm->maps);
	xa_init(&gm->bad);
	INIT_LIST_HEAD(&gm->list);
	gm->last_fault = jiffies;
	return gm;
}

/*
 * The point of no return.  AS_INACCESSIBLE is set last and read first, by
 * guestmem_sealed().  There is no state before it, and none after release().
 */
static void guestmem_commit(struct guestmem *gm, struct file *file)
{
	struct inode *inode = gm->inode;

	mmgrab(current->mm);
	gm->owner = current->mm;
	gm->file = file;
	inode->i_mode &= ~0111;
	inode->i_op = &guestmem_iops;
	inode->i_fop = &guestmem_fops;
	inode->i_private = gm;
	file->f_op = &guestmem_fops;
	/* reading and writing are refused by guestmem_fops; hugetlbfs cannot write */
	file->f_mode |= FMODE_CAN_READ | FMODE_CAN_WRITE;
	gm->store->attach(gm);
	guestmem_set_placement(gm);
	spin_lock(&guestmem_mappings_lock);
	hash_add_rcu(guestmem_mappings, &gm->hash, (unsigned long)inode->i_mapping);
	spin_unlock(&guestmem_mappings_lock);
	guestmem_stat_add(gm);
	trace_guestmem_create(inode, gm->store->name, gm->granule_order, gm->flags);
	/* all of the above before the bit; pairs with guestmem_sealed() */
	smp_mb__before_atomic();
	mapping_set_inaccessible(inode->i_mapping);
}

/**
 * guestmem_find - the guest file that a mapping is of
 * @mapping: compared, and not looked into: it may be stale, or no pointer at all
 *
 * Context: Any, under RCU.
 * Return: The file, which stays until the end of the grace period, or as long as the
 * caller has one of its folios locked; NULL if there is none.
 */
struct guestmem *guestmem_find(const struct address_space *mapping)
{
	struct guestmem *gm;

	hash_for_each_possible_rcu(guestmem_mappings, gm, hash, (unsigned long)mapping)
		if (gm->inode->i_mapping == mapping)
			return gm;
	return NULL;
}

/* Is @inode a guest file, with all that belongs to it? */
bool guestmem_sealed(struct inode *inode)
{
	if (!mapping_inaccessible(inode->i_mapping))
		return false;
	/* the bit before what it stands for; pairs with guestmem_commit() */
	smp_rmb();
	return true;
}

/*
 * Wait until it is decided whether @inode is a guest file.  Who came in through
 * the new operations and then finds that the seal has failed, because of its
 * own presence perhaps, starts over with the old ones: exactly one side wins.
 */
static int guestmem_gate(struct inode *inode)
{
	if (likely(guestmem_sealed(inode)))
		return 0;
	wait_event(guestmem_seal_wait, guestmem_sealed(inode) ||
		   READ_ONCE(inode->i_fop) != &guestmem_fops);
	if (guestmem_sealed(inode))
		return 0;
	/* a worker of io_uring has no system call of its own to restart */
	return current->flags & PF_IO_WORKER ? -EINTR : restart_syscall();
}

/* Slow path of guestmem_refuse(), and all of a refused file operation. */
int __guestmem_refuse(struct inode *inode)
{
	return guestmem_gate(inode) ?: -EPERM;
}
EXPORT_SYMBOL_GPL(__guestmem_refuse);

/**
 * guestmem_owned - the state of a guest file, for its owner
 * @inode: inode of an open guest file
 *
 * io_uring's workers share the mm of the ring's creator, but work for whoever
 * can reach the ring, which may be another process.  So they are nobody.
 *
 * Context: Process context, may sleep.
 * Return: The state, ERR_PTR(-EPERM) for another process than the owner, or an
 * error that restarts the system call.
 */
struct guestmem *guestmem_owned(struct inode *inode)
{
	struct guestmem *gm;
	int ret = guestmem_gate(inode);

	if (ret)
		return ERR_PTR(ret);
	gm = inode->i_private;
	if (!gm || current->mm != gm->owner || current->flags & PF_IO_WORKER)
		return ERR_PTR(-EPERM);
	return gm;
}

int __guestmem_check_owner(struct inode *inode)
{
	return PTR_ERR_OR_ZERO(guestmem_owned(inode));
}

/**
 * guestmem_memfd_flags - check guestmem's flags of memfd_create()
 * @flags: the flags, MFD_NOEXEC_SEAL is added where it is implied
 *
 * Return: 0, or -EINVAL for a combination without meaning.
 */
int guestmem_memfd_flags(unsigned int *flags)
{
	if (!(*flags & MFD_GUEST))
		return *flags & (MFD_GUEST_MOVABLE | MFD_GUEST_NOHUGEPAGE) ? -EINVAL : 0;
	if (*flags & MFD_EXEC)
		return -EINVAL;
	*flags |= MFD_NOEXEC_SEAL;
	return 0;
}

/**
 * guestmem_memfd_init - make a new memfd a guest file, if so asked
 * @file: the file, without a descriptor yet
 * @flags: of memfd_create(), checked
 *
 * Return: 0 or -ENOMEM.
 */
int guestmem_memfd_init(struct file *file, unsigned int flags)
{
	struct guestmem *gm;

	if (!(flags & MFD_GUEST))
		return 0;
	gm = guestmem_alloc(file_inode(file), flags);
	if (IS_ERR(gm))
		return PTR_ERR(gm);
	guestmem_commit(gm, file);
	return 0;
}

/* For iterate_fd(): 1 if the table's entry is the only reference beside ours. */
static int guestmem_sole_entry(const void *p, struct file *file, unsigned int fd)
{
	/*
	 * fcntl() has a reference of its own if the table is shared, and borrows
	 * that of the table if not.  The table cannot become shared behind our
	 * back, only we could do that.  If it stops being shared, the answer is
	 * no by mistake, which is allowed.
	 */
	long fcntl_refs = atomic_read(&current->files->count) > 1;

	if (file != p)
		return 0;
	return file_count(file) == 1 + fcntl_refs ? 1 : -EBUSY;
}

/*
 * Is the caller's descriptor the only reference to the file, and has the file
 * never been used?
 *
 * To count references is not enough: another thread may have closed the
 * descriptor, and the second reference be another process's, which can be in an
 * operation without one more.  So the entry in our table is looked up, and the
 * count read while the table's lock keeps it there.
 *
 * The order counts: who drops the reference to the file after it had mapped it,
 * filled it, or got hold of its dentry, is seen by the later checks.
 */
static bool guestmem_pristine(struct file *file)
{
	struct address_space *mapping = file->f_mapping;

	if (iterate_fd(current->files, 0, guestmem_sole_entry, file) != 1)
		return false;
	/* pairs with the full barrier of the fput() that made it so */
	smp_rmb();
	return d_count(file->f_path.dentry) == 1 &&
	       !i_size_read(file_inode(file)) &&
	       !mapping->nrpages && !mapping_mapped(mapping);
}

/*
 * Seal a file that has been in the open.
 *
 * The first look finds most of those who are in the way.  Then the operations
 * are swapped, and after a grace period comes the second look.  Whoever looked
 * up the file in a descriptor table did so under RCU: either before the grace
 * period ended, and then the reference, or what it left behind, is seen by the
 * second look; or after it began, and then it uses the new operations and waits
 * in guestmem_gate().  Who comes in before the swap may see both kinds in one
 * system call; the new ones wait, and shmem's own are complete in themselves.
 */
static int guestmem_seal(struct file *file)
{
	struct inode *inode = file_inode(file);
	const struct file_operations *f_op = file->f_op;
	const struct file_operations *i_fop = inode->i_fop;
	struct guestmem *gm;
	int ret = 0;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (!guestmem_pristine(file))
		return -EBUSY;
	gm = guestmem_alloc(inode, 0);
	if (IS_ERR(gm))
		return PTR_ERR(gm);

	WRITE_ONCE(inode->i_fop, &guestmem_fops);
	WRITE_ONCE(file->f_op, &guestmem_fops);
	synchronize_rcu();
	if (guestmem_pristine(file)) {
		guestmem_commit(gm, file);
	} else {
		WRITE_ONCE(file->f_op, f_op);
		WRITE_ONCE(inode->i_fop, i_fop);
		kfree(gm);
		ret = -EBUSY;
	}
	wake_up_all(&guestmem_seal_wait);
	return ret;
}

/**
 * guestmem_add_seals - guestmem's part of fcntl(F_ADD_SEALS)
 * @file: a memfd whose seals are not sealed
 * @seals: to be added
 * @old: that the file has
 *
 * Context: inode->i_rwsem held for writing.
 * Return: 0; -EPERM if not the owner; -EBUSY if the file is in use or is not
 * empty; -EOPNOTSUPP if there is no store for it; -EINVAL for write seals,
 * which contradict a guest's use of the file; -ENOMEM.
 */
int guestmem_add_seals(struct file *file, unsigned int seals, unsigned int old)
{
	int ret = guestmem_check_owner(file);

	lockdep_assert_held_write(&file_inode(file)->i_rwsem);
	if (ret || !((seals | old) & F_SEAL_GUEST))
		return ret;
	if ((seals | old) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EINVAL;
	return guestmem_file(file) ? 0 : guestmem_seal(file);
}

/**
 * guestmem_seals - where the seals of a guest file are
 * @file: a guest file, or one that is just being made one
 *
 * Return: The seals, protected by inode->i_rwsem.
 */
unsigned int *guestmem_seals(struct file *file)
{
	struct inode *inode = file_inode(file);

#ifdef CONFIG_HUGETLBFS
	if (inode->i_sb->s_magic == HUGETLBFS_MAGIC)
		return &HUGETLBFS_I(inode)->seals;
#endif
	return &SHMEM_I(inode)->seals;
}

static struct file *guestmem_file_setup(const char *name, unsigned int order)
{
	if (!order)
		return shmem_file_setup(name, 0, VM_NORESERVE);
	return hugetlb_file_setup(name, 0, VM_NORESERVE, HUGETLB_ANONHUGE_INODE,
				  order + PAGE_SHIFT);
}

static int guestmem_setup(struct guestmem *gm, struct file *file, loff_t size)
{
	int ret;

	guestmem_commit(gm, file);
	inode_lock(gm->inode);
	ret = gm->store->set_size(gm, size);
	inode_unlock(gm->inode);
	return ret;
}

/**
 * guestmem_create - a guest file without a descriptor, for one guest
 * @name: shown in /proc/PID/fd
 * @size: in bytes, a multiple of the granule
 * @order: of the granule; 0 for the shmem store, else of a size that hugetlb has
 * @consumer: the guest that the file belongs to from the start
 *
 * Context: Process context; the calling process becomes the owner.
 * Return: The file, opened for reading and writing, or an ERR_PTR: -ENOMEM, also if
 * the pool of huge pages is too small; -ENODEV if there is no such pool, or if the
 * consumer's module is being unloaded.
 */
struct file *guestmem_create(const char *name, loff_t size, unsigned int order,
			     struct guestmem_consumer *consumer)
{
	struct guestmem *gm;
	struct file *file;
	int ret;

	file = guestmem_file_setup(name, order);
	if (IS_ERR(file))
		return file;
	gm = guestmem_alloc(file_inode(file), 0);
	ret = PTR_ERR_OR_ZERO(gm);
	if (ret)
		goto put_file;
	ret = -ENODEV;
	if (!try_module_get(consumer->ops->owner))
		goto free;
	gm->ops = consumer->ops;
	gm->vm_id = consumer->id;
	gm->born_bound = true;
	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	file->f_flags |= O_LARGEFILE;
	ret = guestmem_setup(gm, file, size);
	/* the file has taken all of it over */
	if (ret)
		goto put_file;
	return file;

free:
	kfree(gm);
put_file:
	fput(file);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(guestmem_create);

/**
 * guestmem_has_granule - can files of this granule be made?
 * @order: of the granule
 *
 * Return: True if they can, whether or not there is memory for one.
 */
bool guestmem_has_granule(unsigned int order)
{
	return !order || size_to_hstate(PAGE_SIZE << order);
}
EXPORT_SYMBOL_GPL(guestmem_has_granule);

/*
 * The last reference to the file is gone, and with it all bindings, which hold
 * one each.  The memory goes here and not with the inode, which somebody may
 * still hold through an O_PATH descriptor.
 */
void guestmem_release_file(struct guestmem *gm)
{
	struct inode *inode = gm->inode;

	VM_WARN_ON_ONCE(gm->nr_bindings);
	filemap_invalidate_lock(inode->i_mapping);
	guestmem_settle(gm, 0, ULONG_MAX);
	guestmem_release_pages(gm, 0, ULONG_MAX);
	gm->store->release(gm);
	VM_WARN_ON_ONCE(!xa_empty(&gm->maps));
	VM_WARN_ON_ONCE(!xa_empty(&gm->bad));
	filemap_invalidate_unlock(inode->i_mapping);

	inode_lock(inode);
	inode->i_private = NULL;
	inode_unlock(inode);

	guestmem_stat_del(gm);
	spin_lock(&guestmem_mappings_lock);
	hash_del_rcu(&gm->hash);
	spin_unlock(&guestmem_mappings_lock);
	if (gm->ops)
		module_put(gm->ops->owner);
	mmdrop(gm->owner);
	kfree_rcu(gm, rcu);
}
