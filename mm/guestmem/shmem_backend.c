// SPDX-License-Identifier: GPL-2.0
/*
 * The shmem store: folios of 2M or 4K from shmem's own allocator.
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
 *  - migration, unless the owner has agreed to it: see migrate.c;
 *  - huge pages by shmem_enabled and by THP's defrag setting: see below;
 *  - khugepaged, KSM and NUMA balancing find memory by mappings, and there are
 *    none.
 *
 * Huge pages: every aligned 2M of the file gets one folio if the caller may use
 * all of it, and if there is one to be had for a moment's effort, which is one round
 * of asynchronous compaction and one of reclaim (__GFP_NORETRY).  The page allocator
 * leaves out the compaction where it has just failed.  Otherwise the single page
 * that is wanted is allocated, and its neighbours will be single pages as well.
 *
 * A folio is split when part of it is punched out, because the memory of that part
 * is given back.  fallocate() puts it together again (shmem_merge.c).
 */
#include <linux/fcntl.h>
#include <linux/gfp.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/shmem_fs.h>
#include <linux/vmstat.h>
#include <linux/writeback.h>
#include <trace/events/guestmem.h>
#include <uapi/linux/memfd.h>

#include "internal.h"

const struct address_space_operations guestmem_shmem_aops = {
	.dirty_folio		= noop_dirty_folio,
	.migrate_folio		= guestmem_migrate_folio,
	.error_remove_folio	= guestmem_error_folio,
};

static void guestmem_shmem_attach(struct guestmem *gm)
{
	struct address_space *mapping = gm->inode->i_mapping;

	mapping->a_ops = &guestmem_shmem_aops;
#ifdef CONFIG_NUMA
	gm->policy = &SHMEM_I(gm->inode)->policy;
#endif
	if (!(gm->flags & GUESTMEM_NOHUGEPAGE))
		mapping_set_large_folios(mapping);
	SHMEM_I(gm->inode)->seals |= F_SEAL_GUEST | F_SEAL_EXEC;
}

static int guestmem_shmem_set_size(struct guestmem *gm, loff_t size)
{
	if (SHMEM_I(gm->inode)->seals & F_SEAL_GROW)
		return -EPERM;
	i_size_write(gm->inode, size);
	return 0;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE

/**
 * guestmem_shmem_orders - orders that shmem may use for a new folio
 * @inode: a guest file
 * @index: that must be in the folio
 * @write_end: as guestmem_shmem_get_folio() passes it: where the folio has to end
 *
 * Return: A mask of orders, 0 for a single page.
 */
unsigned long guestmem_shmem_orders(struct inode *inode, pgoff_t index,
				    loff_t write_end)
{
	pgoff_t end = round_down(index, HPAGE_PMD_NR) + HPAGE_PMD_NR;

	return write_end >> PAGE_SHIFT == end ? BIT(HPAGE_PMD_ORDER) : 0;
}

/**
 * guestmem_huge_gfp - how hard shmem tries to get a huge page
 * @mapping: of any shmem file
 * @gfp: what the administrator has set for others
 *
 * Return: @gfp, or what the head of this file says for a guest file.
 */
gfp_t guestmem_huge_gfp(struct address_space *mapping, gfp_t gfp)
{
	return guestmem_shmem(mapping) ? GFP_TRANSHUGE | __GFP_NORETRY : gfp;
}

/* Where a huge folio with @index ends, if it may be within [start, end); else 0. */
static loff_t guestmem_shmem_huge_end(struct guestmem *gm, pgoff_t index,
				      pgoff_t start, pgoff_t end)
{
	pgoff_t first = round_down(index, HPAGE_PMD_NR);
	pgoff_t size = i_size_read(gm->inode) >> PAGE_SHIFT;

	if (gm->flags & GUESTMEM_NOHUGEPAGE || first < start ||
	    first + HPAGE_PMD_NR > min(end, size))
		return 0;
	return (loff_t)(first + HPAGE_PMD_NR) << PAGE_SHIFT;
}

#else

static loff_t guestmem_shmem_huge_end(struct guestmem *gm, pgoff_t index,
				      pgoff_t start, pgoff_t end)
{
	return 0;
}

#endif

static int guestmem_shmem_get_folio(struct guestmem *gm, pgoff_t index, pgoff_t start,
				    pgoff_t end, struct folio **foliop)
{
	loff_t huge_end = guestmem_shmem_huge_end(gm, index, start, end);
	int ret = shmem_get_folio(gm->inode, index, huge_end, foliop, SGP_CACHE);

	if (!ret && !folio_test_dirty(*foliop))
		folio_mark_dirty(*foliop);
	return ret;
}

static int guestmem_shmem_split_locked(struct guestmem *gm, struct folio *folio)
{
	pgoff_t index = folio->index;
	int ret;

	ret = split_folio(folio);
	if (!ret) {
		guestmem_map_split(gm, index);
		atomic_long_inc(&gm->nr_splits);
	}
	trace_guestmem_split(gm->inode, index, HPAGE_PMD_ORDER, ret);
	return !ret || ret == -ENOMEM ? ret : -EAGAIN;
}

static bool guestmem_shmem_must_split(struct folio *folio, pgoff_t index)
{
	return folio_test_large(folio) &&
	       (folio->index < index || folio_test_has_hwpoisoned(folio));
}

/*
 * Split the folio at @index, unless it starts there and is all right.  The guest may
 * have it mapped by one entry: its pages stay where they are, and stay in the file.
 */
static int guestmem_shmem_split(struct guestmem *gm, pgoff_t index)
{
	struct folio *folio = filemap_lock_folio(gm->inode->i_mapping, index);
	unsigned int tries = 0;
	int ret = 0;

	if (IS_ERR(folio))
		return 0;
	while (!ret && guestmem_shmem_must_split(folio, index)) {
		ret = guestmem_shmem_split_locked(gm, folio);
		if (ret != -EAGAIN)
			break;
		folio_unlock(folio);
		ret = guestmem_wait(&tries);
		folio_lock(folio);
	}
	folio_unlock(folio);
	folio_put(folio);
	return ret;
}

/*
 * Split what memory_failure() could not split: the page allocator keeps a bad page out of
 * use if it is freed on its own, and does not look into a large folio.
 */
static int guestmem_shmem_split_bad(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	struct folio *folio;
	unsigned long index;
	int ret = 0;

	if (!gm->bad_huge)
		return 0;
	xa_for_each_range(&gm->inode->i_mapping->i_pages, index, folio, start, end - 1) {
		if (folio_test_large(folio) && folio_test_has_hwpoisoned(folio))
			ret = guestmem_shmem_split(gm, index);
		if (ret)
			break;
		cond_resched();
	}
	return ret;
}

static int guestmem_shmem_reserve_hole(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	if (start >= end)
		return 0;
	return guestmem_shmem_split(gm, start) ?: guestmem_shmem_split(gm, end) ?:
	       guestmem_shmem_split_bad(gm, start, end);
}

static void guestmem_shmem_punch(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	loff_t last = end > MAX_LFS_FILESIZE >> PAGE_SHIFT ?
		      -1 : ((loff_t)end << PAGE_SHIFT) - 1;
	unsigned long index = start;
	void *map;

	xa_for_each_range(&gm->maps, index, map, start, end - 1)
		guestmem_map_drop(gm, index);
	shmem_truncate_range(gm->inode, (loff_t)start << PAGE_SHIFT, last);
}

/* @folio has come to the file, with +1, or leaves it, with -1 */
void guestmem_shmem_account(struct folio *folio, long sign)
{
	long nr = sign * folio_nr_pages(folio);

	lruvec_stat_mod_folio(folio, NR_FILE_PAGES, nr);
	lruvec_stat_mod_folio(folio, NR_SHMEM, nr);
	if (folio_test_pmd_mappable(folio))
		lruvec_stat_mod_folio(folio, NR_SHMEM_THPS, nr);
}

/* What is counted is counted for the memory cgroup that a folio is charged to. */
static void guestmem_shmem_take_over(struct folio *dst, struct folio *src)
{
	guestmem_shmem_account(src, -1);
	folio_migrate_flags(dst, src);
	guestmem_shmem_account(dst, 1);
}

/* What could not be split must not be freed either: its bad page would be used again. */
static void guestmem_shmem_keep_bad(struct guestmem *gm)
{
	struct folio *folio;
	unsigned long index;

	if (!gm->bad_huge)
		return;
	xa_for_each(&gm->inode->i_mapping->i_pages, index, folio)
		if (folio_test_large(folio) && folio_test_has_hwpoisoned(folio))
			folio_get(folio);
}

static void guestmem_shmem_release(struct guestmem *gm)
{
	guestmem_shmem_split_bad(gm, 0, ULONG_MAX);
	guestmem_shmem_keep_bad(gm);
	guestmem_shmem_punch(gm, 0, ULONG_MAX);
}

const struct guestmem_store_ops guestmem_shmem_store = {
	.name		= "shmem",
	.attach		= guestmem_shmem_attach,
	.set_size	= guestmem_shmem_set_size,
	.get_folio	= guestmem_shmem_get_folio,
	.reserve_hole	= guestmem_shmem_reserve_hole,
	.punch		= guestmem_shmem_punch,
	.take_over	= guestmem_shmem_take_over,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	.merge		= guestmem_shmem_merge,
#endif
	.release	= guestmem_shmem_release,
};
