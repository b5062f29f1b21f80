// SPDX-License-Identifier: GPL-2.0
/*
 * The shmem store: folios of 4K from shmem's own allocator.
 *
 * shmem charges them to the memory cgroup of whoever populates them, counts
 * them in NR_SHMEM and in the inode's blocks, and places them by the task's
 * NUMA policy.  What guest memory must not inherit is taken away when the file
 * is attached:
 *
 *  - reclaim and swap: the mapping is unevictable, and has no writepage
 *    operation;
 *  - drop_caches and POSIX_FADV_DONTNEED, which evict clean folios: every folio
 *    is dirty from the start;
 *  - migration: AS_INACCESSIBLE, and no migrate_folio operation;
 *  - huge pages by shmem_enabled: see the hook in shmem_allowable_huge_orders();
 *  - khugepaged, KSM and NUMA balancing find memory by mappings, and there are
 *    none.
 */
#include <linux/fcntl.h>
#include <linux/gfp.h>
#include <linux/shmem_fs.h>
#include <linux/writeback.h>
#include <uapi/linux/memfd.h>

#include "internal.h"

const struct address_space_operations guestmem_shmem_aops = {
	.dirty_folio		= noop_dirty_folio,
	.error_remove_folio	= guestmem_error_folio,
};

static void guestmem_shmem_attach(struct guestmem *gm)
{
	struct address_space *mapping = gm->inode->i_mapping;

	mapping->a_ops = &guestmem_shmem_aops;
	/* pages that cannot move stay out of ZONE_MOVABLE and CMA */
	mapping_set_gfp_mask(mapping, GFP_HIGHUSER);
	SHMEM_I(gm->inode)->seals |= F_SEAL_GUEST | F_SEAL_EXEC;
}

static int guestmem_shmem_set_size(struct guestmem *gm, loff_t size)
{
	if (SHMEM_I(gm->inode)->seals & F_SEAL_GROW)
		return -EPERM;
	i_size_write(gm->inode, size);
	return 0;
}

static int guestmem_shmem_get_folio(struct guestmem *gm, pgoff_t index,
				    struct folio **foliop)
{
	int ret = shmem_get_folio(gm->inode, index, 0, foliop, SGP_CACHE);

	if (!ret && !folio_test_dirty(*foliop))
		folio_mark_dirty(*foliop);
	return ret;
}

static void guestmem_shmem_punch(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	loff_t last = end > MAX_LFS_FILESIZE >> PAGE_SHIFT ?
		      -1 : ((loff_t)end << PAGE_SHIFT) - 1;

	shmem_truncate_range(gm->inode, (loff_t)start << PAGE_SHIFT, last);
}

const struct guestmem_store_ops guestmem_shmem_store = {
	.name		= "shmem",
	.granule_order	= 0,
	.attach		= guestmem_shmem_attach,
	.set_size	= guestmem_shmem_set_size,
	.get_folio	= guestmem_shmem_get_folio,
	.punch		= guestmem_shmem_punch,
};
