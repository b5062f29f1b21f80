// SPDX-License-Identifier: GPL-2.0
/*
 * The operations of a guest file as user space sees them.
 *
 * Everything that would show the pages to the host or let it write to them is
 * refused with EPERM.  Everything that works on the file works for its owner
 * only.  What is left to others is to close it, and to look at its attributes
 * and its fdinfo.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <uapi/linux/guestmem.h>

#include "internal.h"

static int guestmem_open(struct inode *inode, struct file *file)
{
	return __guestmem_refuse(inode);
}

static int guestmem_mmap(struct file *file, struct vm_area_struct *vma)
{
	return __guestmem_refuse(file_inode(file));
}

static ssize_t guestmem_rw_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	return __guestmem_refuse(file_inode(iocb->ki_filp));
}

static ssize_t guestmem_splice_read(struct file *in, loff_t *ppos,
				    struct pipe_inode_info *pipe, size_t len,
				    unsigned int flags)
{
	return __guestmem_refuse(file_inode(in));
}

static ssize_t guestmem_splice_write(struct pipe_inode_info *pipe,
				     struct file *out, loff_t *ppos, size_t len,
				     unsigned int flags)
{
	return __guestmem_refuse(file_inode(out));
}

/* SEEK_DATA and SEEK_HOLE tell what is populated; that is for the owner. */
static loff_t guestmem_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	struct guestmem *gm;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek(file, offset, whence);

	gm = guestmem_owned(inode);
	if (IS_ERR(gm))
		return PTR_ERR(gm);
	if (offset < 0)
		return -ENXIO;
	offset = mapping_seek_hole_data(inode->i_mapping, offset,
					i_size_read(inode), whence);
	return offset < 0 ? offset : vfs_setpos(file, offset, inode->i_sb->s_maxbytes);
}

static int guestmem_release(struct inode *inode, struct file *file)
{
	guestmem_release_file(inode->i_private);
	return 0;
}

/*
 * Make the pages from @index to the end of its folio or of [start, end) present,
 * and mark the folio if it was not there.
 */
static int guestmem_populate_index(struct guestmem *gm, pgoff_t index, pgoff_t start,
				   pgoff_t end, pgoff_t *next)
{
	struct address_space *mapping = gm->inode->i_mapping;
	struct folio *folio;
	bool new;
	int ret;

	filemap_invalidate_lock_shared(mapping);
	new = !xa_load(&mapping->i_pages, index);
	ret = guestmem_get_folio(gm, index, start, end, &folio);
	if (!ret) {
		/*
		 * If a fault was faster, it has given the folio away before it
		 * unlocked it.
		 */
		if (new && !guestmem_marked(gm, index, GUESTMEM_MARK_GIVEN))
			guestmem_set_mark(gm, index, GUESTMEM_MARK_NEW);
		*next = min(folio_next_index(folio), end);
		if (guestmem_poisoned(gm, folio, index, *next - index))
			ret = -EHWPOISON;
		else
			ret = guestmem_fill(gm, folio, index - folio->index,
					    *next - index, true);
		folio_unlock(folio);
		folio_put(folio);
	}
	filemap_invalidate_unlock_shared(mapping);
	return ret;
}

static void guestmem_keep_new(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	struct address_space *mapping = gm->inode->i_mapping;
	unsigned long index = start;

	filemap_invalidate_lock_shared(mapping);
	/* a folio may be moved to another in the meantime: only its place is looked at */
	while (index < end &&
	       xa_find(&mapping->i_pages, &index, end - 1, GUESTMEM_MARK_NEW)) {
		guestmem_clear_mark(gm, index++, GUESTMEM_MARK_NEW);
		cond_resched();
	}
	filemap_invalidate_unlock_shared(mapping);
}

/*
 * Remove what this fallocate() has added.  What a consumer was given in the
 * meantime is a guest's by now and stays; the rest has never been mapped, and
 * with invalidate_lock held nobody can map it, so no guest has to be unmapped.
 */
static void guestmem_undo_new(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	struct address_space *mapping = gm->inode->i_mapping;
	struct folio *folio;
	pgoff_t index;

	filemap_invalidate_lock(mapping);
	guestmem_settle(gm, start, end);
	while ((folio = guestmem_find_marked(gm, start, end, GUESTMEM_MARK_NEW))) {
		index = folio->index;
		start = folio_next_index(folio);
		guestmem_clear_mark(gm, index, GUESTMEM_MARK_NEW);
		if (!guestmem_marked(gm, index, GUESTMEM_MARK_GIVEN))
			gm->store->punch(gm, index, start);
		cond_resched();
	}
	guestmem_check(gm);
	filemap_invalidate_unlock(mapping);
}

static int guestmem_allocate(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	pgoff_t index = start, next = start;
	int ret = 0;

	/* inode->i_rwsem: one caller of fallocate() owns GUESTMEM_MARK_NEW */
	lockdep_assert_held_write(&gm->inode->i_rwsem);
	while (index < end && !ret) {
		if (fatal_signal_pending(current))
			ret = -EINTR;
		else
			ret = guestmem_populate_index(gm, index, start, end, &next);
		if (guestmem_retry(gm, index, ret))
			ret = 0;
		else
			index = next;
		cond_resched();
	}
	if (ret) {
		guestmem_undo_new(gm, start, next);
		return ret;
	}
	guestmem_keep_new(gm, start, end);
	if (gm->store->merge)
		gm->store->merge(gm, start, end);
	return 0;
}

static void guestmem_do_punch(struct guestmem *gm, struct guestmem_invalidation *inv)
{
	guestmem_invalidate_start(inv);
	guestmem_release_pages(gm, inv->start, inv->end);
	gm->store->punch(gm, inv->start, inv->end);
	guestmem_invalidate_end(inv);
}

/* First all that can fail, then what cannot. */
static int guestmem_punch(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	struct address_space *mapping = gm->inode->i_mapping;
	struct guestmem_invalidation inv = { .start = start, .end = end };
	int ret;

	filemap_invalidate_lock(mapping);
	ret = guestmem_invalidate_prepare(gm, &inv);
	if (!ret) {
		ret = gm->store->reserve_hole(gm, start, end);
		/* no folio reaches out of the range now, whoever has split it, and no map may */
		guestmem_settle(gm, start, end);
		if (!ret)
			guestmem_do_punch(gm, &inv);
		guestmem_invalidate_done(&inv);
	}
	guestmem_check(gm);
	filemap_invalidate_unlock(mapping);
	return ret;
}

static long guestmem_fallocate(struct file *file, int mode, loff_t offset,
			       loff_t len)
{
	struct inode *inode = file_inode(file);
	struct guestmem *gm = guestmem_owned(inode);
	long ret = 0;

	if (IS_ERR(gm))
		return PTR_ERR(gm);
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (!PAGE_ALIGNED(offset) || !PAGE_ALIGNED(len))
		return -EINVAL;

	inode_lock(inode);
	if (mode & FALLOC_FL_PUNCH_HOLE)
		ret = guestmem_punch(gm, offset >> PAGE_SHIFT,
				     (offset + len) >> PAGE_SHIFT);
	else if (offset + len > i_size_read(inode))
		ret = -EINVAL;
	else
		ret = guestmem_allocate(gm, offset >> PAGE_SHIFT,
					(offset + len) >> PAGE_SHIFT);
	/* what is done is done, whatever becomes of the time stamps */
	if (!ret)
		file_modified(file);
	inode_unlock(inode);
	return ret;
}

/**
 * guestmem_copy_args - fetch the argument of an ioctl, by the rules of the uapi header
 * @args: filled in
 * @known: bytes of @args
 * @arg: where it is; its first member is its size
 *
 * Return: 0; -EINVAL, -E2BIG for a size; -EFAULT.
 */
long guestmem_copy_args(void *args, size_t known, void __user *arg)
{
	u32 size;

	if (get_user(size, (u32 __user *)arg))
		return -EFAULT;
	if (size < known)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(args, known, arg, size);
}

static long guestmem_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct guestmem *gm = guestmem_owned(file_inode(file));

	if (IS_ERR(gm))
		return PTR_ERR(gm);
	switch (cmd) {
	case GUESTMEM_GET_INFO:
		return guestmem_get_info(gm, (void __user *)arg);
	case GUESTMEM_MIGRATE:
		return guestmem_migrate(gm, (void __user *)arg);
	case GUESTMEM_SET_MEMPOLICY:
		return guestmem_set_mempolicy(gm, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

const struct file_operations guestmem_fops = {
	.open		= guestmem_open,
	.release	= guestmem_release,
	.mmap		= guestmem_mmap,
	.llseek		= guestmem_llseek,
	.read_iter	= guestmem_rw_iter,
	.write_iter	= guestmem_rw_iter,
	.splice_read	= guestmem_splice_read,
	.splice_write	= guestmem_splice_write,
	.fsync		= noop_fsync,
	.fallocate	= guestmem_fallocate,
	.unlocked_ioctl	= guestmem_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= guestmem_show_fdinfo,
};
EXPORT_SYMBOL_GPL(guestmem_fops);

/* The size is given once.  Nothing is allocated: that is what populating does. */
static int guestmem_set_size(struct inode *inode, loff_t size)
{
	struct guestmem *gm = guestmem_owned(inode);

	if (IS_ERR(gm))
		return PTR_ERR(gm);
	if (size == i_size_read(inode))
		return 0;
	if (i_size_read(inode))
		return -EPERM;
	if (!IS_ALIGNED(size, guestmem_granule(gm)))
		return -EINVAL;
	return gm->store->set_size(gm, size);
}

static int guestmem_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			    struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int ret = setattr_prepare(idmap, dentry, attr);

	if (ret)
		return ret;
	/* what F_SEAL_EXEC says, and every guest file has that seal */
	if (attr->ia_valid & ATTR_MODE && (inode->i_mode ^ attr->ia_mode) & 0111)
		return -EPERM;
	if (attr->ia_valid & ATTR_SIZE) {
		ret = guestmem_set_size(inode, attr->ia_size);
		if (ret)
			return ret;
	}
	setattr_copy(idmap, inode, attr);
	return 0;
}

static int guestmem_getattr(struct mnt_idmap *idmap, const struct path *path,
			    struct kstat *stat, u32 request_mask,
			    unsigned int query_flags)
{
	/* st_blksize is the granule: what files of tmpfs and hugetlbfs have */
	generic_fillattr(idmap, request_mask, d_inode(path->dentry), stat);
	return 0;
}

const struct inode_operations guestmem_iops = {
	.getattr	= guestmem_getattr,
	.setattr	= guestmem_setattr,
};
