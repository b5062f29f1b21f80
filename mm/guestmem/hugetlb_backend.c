// SPDX-License-Identifier: GPL-2.0
/*
 * The hugetlb store: granules of 2M or 1G from hugetlb's pools.
 *
 * Reservation, allocation and the accounting to pools, hugetlb cgroups and memory
 * cgroups are hugetlb's own, through the functions that hugetlbfs uses for
 * fallocate().  There are no hugetlb VMAs and no shared page tables, and none of
 * hugetlbfs's file operations: the inode is a hugetlbfs inode because that is what
 * hugetlb accounts to.
 *
 * All of the file is reserved when it gets its size, and stays so until it is
 * released: a granule that goes back to the pool takes its reservation along.  So a
 * guest that gets memory back by conversion gets it, whoever else uses the pool; unless
 * the pool has become too small, or overcommits, and the page is not the pool's any more.
 *
 * A granule is never split.  Pages that are punched out of it become holes
 * (pages.c); it goes back to the pool when nothing but holes is left.
 */
#include <linux/fcntl.h>
#include <linux/hugetlb.h>
#include <linux/hugetlb_cgroup.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <uapi/linux/memfd.h>

#include "internal.h"

static const struct address_space_operations guestmem_hugetlb_aops = {
	.dirty_folio		= noop_dirty_folio,
	.migrate_folio		= guestmem_migrate_folio,
	.error_remove_folio	= guestmem_error_folio,
};

static void guestmem_hugetlb_attach(struct guestmem *gm)
{
	struct inode *inode = gm->inode;

	inode->i_mapping->a_ops = &guestmem_hugetlb_aops;
#ifdef CONFIG_NUMA
	mpol_shared_policy_init(&gm->own_policy, NULL);
	gm->policy = &gm->own_policy;
#endif
	gm->granule_order = huge_page_order(hstate_inode(inode));
	HUGETLBFS_I(inode)->seals |= F_SEAL_GUEST | F_SEAL_EXEC;
}

static int guestmem_hugetlb_set_size(struct guestmem *gm, loff_t size)
{
	struct inode *inode = gm->inode;

	if (HUGETLBFS_I(inode)->seals & F_SEAL_GROW)
		return -EPERM;
	if (!hugetlb_reserve_pages(inode, 0, size >> huge_page_shift(hstate_inode(inode)),
				   NULL, 0))
		return -ENOMEM;
	i_size_write(inode, size);
	return 0;
}

#ifdef CONFIG_NUMA
/* The policy of the range with @addr, which is an offset into the file */
static struct mempolicy *guestmem_hugetlb_get_policy(struct vm_area_struct *vma,
						     unsigned long addr, pgoff_t *ilx)
{
	struct guestmem *gm = file_inode(vma->vm_file)->i_private;

	*ilx = 0;
	return mpol_shared_policy_lookup(gm->policy, addr >> PAGE_SHIFT);
}
#endif

static const struct vm_operations_struct guestmem_hugetlb_vm_ops = {
#ifdef CONFIG_NUMA
	.get_policy = guestmem_hugetlb_get_policy,
#endif
};

/*
 * What hugetlb wants to know of who allocates: the file, that it is shared, and the
 * policy.
 */
static void guestmem_hugetlb_vma(struct guestmem *gm, struct vm_area_struct *vma)
{
	vma_init(vma, current->mm);
	vm_flags_init(vma, VM_HUGETLB | VM_MAYSHARE | VM_SHARED);
	vma->vm_file = gm->file;
	vma->vm_ops = &guestmem_hugetlb_vm_ops;
}

/*
 * A page of the pool.  If it will not be able to move, one outside of ZONE_MOVABLE and
 * CMA if there is any: what was reserved must not be missing for that.
 */
static struct folio *guestmem_hugetlb_take(struct guestmem *gm, struct vm_area_struct *vma,
					   unsigned long addr)
{
	struct folio *folio;
	unsigned int flags;

	if (guestmem_can_move(gm))
		return alloc_hugetlb_folio(vma, addr, false);
	flags = memalloc_pin_save();
	folio = alloc_hugetlb_folio(vma, addr, false);
	memalloc_pin_restore(flags);
	return IS_ERR(folio) ? alloc_hugetlb_folio(vma, addr, false) : folio;
}

/* Add granule @nr to the file, as holes.  Returns it locked, with a reference. */
static struct folio *guestmem_hugetlb_alloc(struct guestmem *gm, pgoff_t nr)
{
	struct hstate *h = hstate_inode(gm->inode);
	unsigned long addr = nr << huge_page_shift(h);
	pgoff_t index = nr << huge_page_order(h);
	struct vm_area_struct vma;
	struct folio *folio;
	int ret;

	ret = guestmem_map_add_holes(gm, index, huge_page_order(h));
	if (ret)
		return ERR_PTR(ret);
	guestmem_hugetlb_vma(gm, &vma);
	folio = guestmem_hugetlb_take(gm, &vma, addr);
	if (IS_ERR(folio)) {
		/* -ENOSPC is a file system's word for it */
		ret = -ENOMEM;
		goto drop_map;
	}
	__folio_mark_uptodate(folio);
	ret = hugetlb_add_to_page_cache(folio, gm->inode->i_mapping, nr);
	if (ret)
		goto put_folio;
	/* for the memory error handler; whether it moves is asked of guestmem_unmovable() */
	folio_set_hugetlb_migratable(folio);
	/* an error that came when it was in no file yet, and nobody could be told */
	if (folio_test_hwpoison(folio))
		gm->bad_unknown = true;
	return folio;

put_folio:
	restore_reserve_on_error(h, &vma, addr, folio);
	folio_put(folio);
drop_map:
	guestmem_map_drop(gm, index);
	return ERR_PTR(ret);
}

/* The granule with @index, added if it is not there: by one of us only (C14). */
static struct folio *guestmem_hugetlb_add(struct guestmem *gm, pgoff_t index)
{
	struct address_space *mapping = gm->inode->i_mapping;
	pgoff_t nr = index >> gm->granule_order;
	u32 hash = hugetlb_fault_mutex_hash(mapping, nr);
	struct folio *folio;

	mutex_lock(&hugetlb_fault_mutex_table[hash]);
	/* who was faster may hold the folio's lock for long: not in here */
	folio = xa_load(&mapping->i_pages, index) ? ERR_PTR(-EEXIST) :
						    guestmem_hugetlb_alloc(gm, nr);
	mutex_unlock(&hugetlb_fault_mutex_table[hash]);
	return folio;
}

static int guestmem_hugetlb_get_folio(struct guestmem *gm, pgoff_t index, pgoff_t start,
				      pgoff_t end, struct folio **foliop)
{
	struct folio *folio;

	if (index >= i_size_read(gm->inode) >> PAGE_SHIFT)
		return -EINVAL;
	do {
		folio = filemap_lock_folio(gm->inode->i_mapping, index);
		if (IS_ERR(folio))
			folio = guestmem_hugetlb_add(gm, index);
	} while (folio == ERR_PTR(-EEXIST));
	*foliop = folio;
	return PTR_ERR_OR_ZERO(folio);
}

static void guestmem_hugetlb_take_over(struct folio *dst, struct folio *src)
{
	hugetlb_set_folio_subpool(dst, hugetlb_folio_subpool(src));
	hugetlb_set_folio_subpool(src, NULL);
	folio_migrate_flags(dst, src);
}

/* The granule at @index, if there is one.  invalidate_lock keeps it. */
static struct folio *guestmem_hugetlb_present(struct guestmem *gm, pgoff_t index)
{
	rwsem_assert_held_write(&gm->inode->i_mapping->invalidate_lock);
	return xa_load(&gm->inode->i_mapping->i_pages, index);
}

static int guestmem_hugetlb_reserve_edge(struct guestmem *gm, pgoff_t index)
{
	struct folio *folio = NULL;

	if (!IS_ALIGNED(index, 1UL << gm->granule_order))
		folio = guestmem_hugetlb_present(gm, index);
	return folio ? guestmem_map_reserve(gm, folio) : 0;
}

/*
 * Wait until nobody but the file has a reference to @folio.  A granule goes back to the
 * pool with its last reference, and its reservation with it; if that were later than
 * the punch, the next to use the granule would take a page that is reserved for others.
 * One with a memory error does not go back, and the handler keeps its reference.
 */
static int guestmem_hugetlb_wait(struct folio *folio)
{
	unsigned int tries = 0;
	int ret = 0;

	while (!ret && !folio_test_hwpoison(folio) &&
	       folio_ref_count(folio) > folio_nr_pages(folio))
		ret = guestmem_wait(&tries);
	return ret;
}

static int guestmem_hugetlb_reserve_hole(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	struct xarray *pages = &gm->inode->i_mapping->i_pages;
	struct folio *folio;
	unsigned long index;
	int ret;

	ret = guestmem_hugetlb_reserve_edge(gm, start) ?:
	      guestmem_hugetlb_reserve_edge(gm, end);
	if (ret || start >= end)
		return ret;
	xa_for_each_range(pages, index, folio, start, end - 1) {
		ret = guestmem_hugetlb_wait(folio);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Take a granule out of the file.  The caller has to see to its reservation, and
 * then to drop the reference that this returns with.
 */
static void guestmem_hugetlb_remove(struct guestmem *gm, struct folio *folio)
{
	folio_get(folio);
	folio_lock(folio);
	guestmem_map_drop(gm, folio->index);
	guestmem_forget_errors(gm, folio);
	folio_clear_dirty(folio);
	folio_clear_uptodate(folio);
	filemap_remove_folio(folio);
	folio_unlock(folio);
}

/* Does the node have pages that go when they are freed, because its pool is too large? */
static bool guestmem_hugetlb_surplus(struct hstate *h, int nid)
{
	return READ_ONCE(h->surplus_huge_pages_node[nid]);
}

/*
 * Can @folio go back to the pool and be reserved there?  Not if the pool gives it
 * away; not if it has an error; and not if it was allocated without a reservation,
 * which it has its cgroup charge for then.
 */
static bool guestmem_hugetlb_keeps(struct hstate *h, struct folio *folio)
{
	return !guestmem_hugetlb_surplus(h, folio_nid(folio)) &&
	       !folio_test_hwpoison(folio) && !hugetlb_cgroup_from_folio_rsvd(folio);
}

/* Give a granule back to the pool, and keep its reservation if that can be done. */
static void guestmem_hugetlb_free(struct guestmem *gm, struct folio *folio)
{
	struct inode *inode = gm->inode;
	struct hstate *h = hstate_inode(inode);
	long nr = folio->index >> gm->granule_order;
	bool keeps = guestmem_hugetlb_keeps(h, folio);
	int nid = folio_nid(folio);

	guestmem_hugetlb_remove(gm, folio);
	if (keeps) {
		folio_set_hugetlb_restore_reserve(folio);
		inode_sub_bytes(inode, huge_page_size(h));
	} else if (hugetlb_unreserve_pages(inode, nr, nr + 1, 1)) {
		hugetlb_fix_reserve_counts(inode);
	}
	folio_put(folio);
	/* the pool was made smaller just now: there is no page for the reservation */
	if (keeps && guestmem_hugetlb_surplus(h, nid) &&
	    hugetlb_unreserve_pages(inode, nr, nr + 1, 0))
		hugetlb_fix_reserve_counts(inode);
}

static void guestmem_hugetlb_punch(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	struct address_space *mapping = gm->inode->i_mapping;
	unsigned long index = start, first, last;
	struct folio *folio;

	while (index < end && (folio = xa_find(&mapping->i_pages, &index, end - 1,
					       XA_PRESENT))) {
		first = max(start, folio->index) - folio->index;
		last = min(end, folio_next_index(folio)) - folio->index;
		index = folio_next_index(folio);
		if (last - first == folio_nr_pages(folio) ||
		    guestmem_make_hole(gm, folio, first, last - first))
			guestmem_hugetlb_free(gm, folio);
		cond_resched();
	}
}

static void guestmem_hugetlb_release(struct guestmem *gm)
{
	struct address_space *mapping = gm->inode->i_mapping;
	unsigned long index = 0;
	struct folio *folio;
	long freed = 0;

	xa_for_each(&mapping->i_pages, index, folio) {
		guestmem_hugetlb_remove(gm, folio);
		folio_put(folio);
		freed++;
		cond_resched();
	}
	hugetlb_unreserve_pages(gm->inode, 0, LONG_MAX, freed);
#ifdef CONFIG_NUMA
	mpol_free_shared_policy(gm->policy);
#endif
}

const struct guestmem_store_ops guestmem_hugetlb_store = {
	.name		= "hugetlb",
	.attach		= guestmem_hugetlb_attach,
	.set_size	= guestmem_hugetlb_set_size,
	.get_folio	= guestmem_hugetlb_get_folio,
	.reserve_hole	= guestmem_hugetlb_reserve_hole,
	.punch		= guestmem_hugetlb_punch,
	.take_over	= guestmem_hugetlb_take_over,
	.release	= guestmem_hugetlb_release,
};
