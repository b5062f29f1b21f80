// SPDX-License-Identifier: GPL-2.0
/*
 * NUMA policy of a range of a guest file: GUESTMEM_SET_MEMPOLICY.
 *
 * Guest files are never mapped, so mbind() cannot be used.  A policy is made as
 * set_mempolicy() makes one and kept where shmem keeps those of mbind(), in a tree of
 * ranges of the file; shmem looks there itself, and the hugetlb store does for hugetlb.
 * Without a policy of the range, that of the task counts that causes the allocation: of
 * a vCPU that faults, or of whoever calls fallocate() or KVM_PRE_FAULT_MEMORY.
 */
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>
#include <uapi/linux/guestmem.h>

#include "../internal.h"
#include "internal.h"

/* Fit @pol to what the task may use; drops it on failure. */
static int policy_fit(struct mempolicy *pol, const nodemask_t *nodes)
{
	NODEMASK_SCRATCH(scratch);
	int ret = -ENOMEM;

	if (scratch) {
		task_lock(current);
		ret = mpol_set_nodemask(pol, nodes, scratch);
		task_unlock(current);
	}
	NODEMASK_SCRATCH_FREE(scratch);
	if (ret)
		mpol_put(pol);
	return ret;
}

/* As set_mempolicy(); NULL for MPOL_DEFAULT */
static struct mempolicy *policy_make(const struct guestmem_mempolicy *args)
{
	int mode = args->mode, ret;
	struct mempolicy *pol;
	unsigned short flags;
	nodemask_t nodes;

	ret = sanitize_mpol_flags(&mode, &flags) ?:
	      mpol_get_nodes(&nodes, u64_to_user_ptr(args->nodemask), args->maxnode);
	if (ret)
		return ERR_PTR(ret);
	pol = mpol_new(mode, flags, &nodes);
	if (IS_ERR_OR_NULL(pol))
		return pol;
	ret = policy_fit(pol, &nodes);
	return ret ? ERR_PTR(ret) : pol;
}

/*
 * Nobody pays for the memory of a range.  mbind() is stopped by the number of mappings;
 * be as patient.
 */
static bool policy_too_many(struct shared_policy *sp)
{
	int nr = 0;
	struct rb_node *node;

	read_lock(&sp->lock);
	for (node = rb_first(&sp->root); node && nr < sysctl_max_map_count; node = rb_next(node))
		nr++;
	read_unlock(&sp->lock);
	return node;
}

/* The policies know ranges as those of mappings. */
static int policy_store(struct guestmem *gm, pgoff_t start, pgoff_t end, struct mempolicy *pol)
{
	struct vm_area_struct vma;

	if (pol && policy_too_many(gm->policy))
		return -ENOMEM;
	vma_init(&vma, current->mm);
	vma.vm_pgoff = start;
	vma.vm_start = 0;
	vma.vm_end = (end - start) << PAGE_SHIFT;
	return mpol_set_shared_policy(gm->policy, &vma, pol);
}

/* MPOL_DEFAULT and MPOL_LOCAL name no nodes: there is nothing to move for them. */
static int policy_move(struct guestmem *gm, pgoff_t start, pgoff_t end, struct mempolicy *pol)
{
	u64 moved, failed;
	bool spread;
	int ret;

	if (!pol || pol->mode == MPOL_LOCAL)
		return 0;
	spread = pol->mode == MPOL_INTERLEAVE || pol->mode == MPOL_WEIGHTED_INTERLEAVE;
	ret = guestmem_move_range(gm, start, end, &pol->nodes, spread, &moved, &failed);
	/* as mbind() with MPOL_MF_STRICT */
	return ret ?: failed ? -EIO : 0;
}

static int policy_check(struct guestmem *gm, const struct guestmem_mempolicy *args)
{
	u64 size = i_size_read(gm->inode);

	if (args->flags & ~GUESTMEM_MEMPOLICY_MOVE || !args->length ||
	    !IS_ALIGNED(args->offset | args->length, guestmem_granule(gm)) ||
	    args->offset > size || args->length > size - args->offset)
		return -EINVAL;
	if (args->flags & GUESTMEM_MEMPOLICY_MOVE && !guestmem_can_move(gm))
		return -EOPNOTSUPP;
	return 0;
}

/* GUESTMEM_SET_MEMPOLICY */
long guestmem_set_mempolicy(struct guestmem *gm, void __user *arg)
{
	struct guestmem_mempolicy args;
	struct mempolicy *pol;
	pgoff_t start, end;
	long ret;

	BUILD_BUG_ON(sizeof(args) != 40);
	ret = guestmem_copy_args(&args, sizeof(args), arg) ?:
	      policy_check(gm, &args);
	if (ret)
		return ret;
	pol = policy_make(&args);
	if (IS_ERR(pol))
		return PTR_ERR(pol);
	start = args.offset >> PAGE_SHIFT;
	end = (args.offset + args.length) >> PAGE_SHIFT;
	ret = policy_store(gm, start, end, pol);
	if (!ret && args.flags & GUESTMEM_MEMPOLICY_MOVE)
		ret = policy_move(gm, start, end, pol);
	mpol_put(pol);
	return ret;
}
