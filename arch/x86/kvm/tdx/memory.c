// SPDX-License-Identifier: GPL-2.0
/*
 * Private memory of a TD: from a guest file, by faults and KVM_TDX_INIT_MEM_REGION, into
 * the S-EPT, and back when the file or the VM wants it.
 *
 * Mapping and invalidation go together as mm/guestmem/bind.c says, with the lock of the
 * S-EPT as that of the page table and mmu_invalidate_seq, which mmu_lock protects, as the
 * sequence:
 *
 *	fault					invalidation, conversion
 *
 *	seq, get_pfn				mmu_lock: sequence "in progress"
 *	lock of the S-EPT, shared		lock of the S-EPT, exclusive
 *	mmu_lock: sequence changed, or		  BLOCK, TRACK, kick, REMOVE
 *	  in progress?				unlock
 *	    yes: retry				change the file, or the attributes
 *	    no: AUG				mmu_lock: sequence + 1
 *	unlock, put_pfn
 *
 * The fault looks with the lock of the S-EPT held.  Either it sees that an invalidation is
 * in progress; or that takes the lock later, and finds the mapping.
 *
 * The lock of the S-EPT is one that sleeps, because calls of the module take long;
 * mmu_lock, which does not, is held for the sequence only.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../mmu/mmu_internal.h"
#include "tdx.h"
#include "vm.h"
#include "../../../../virt/kvm/private_mem.h"

#define TDX_RESERVE_GFP	GFP_KERNEL_ACCOUNT

/* --- faults --------------------------------------------------------------- */

/*
 * Is the page still the one to be mapped, and how large may the mapping be?  The answer
 * holds for as long as the lock of the S-EPT does.
 */
static bool tdx_fault_stale(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	gfn_t mask = KVM_PAGES_PER_HPAGE(fault->goal_level) - 1;
	struct kvm *kvm = vcpu->kvm;
	bool stale;

	/* as it was before the last time that this was asked */
	fault->pfn += fault->gfn & mask;
	fault->goal_level = PG_LEVEL_4K;
	read_lock(&kvm->mmu_lock);
	stale = mmu_invalidate_retry_gfn(kvm, fault->mmu_seq, fault->gfn);
	if (!stale)
		kvm_mmu_hugepage_adjust(vcpu, fault);
	read_unlock(&kvm->mmu_lock);
	return stale;
}

/* @level: of the module's */
static int tdx_map_level(struct sept *sept, struct sept_reserve *reserve,
			 struct kvm_page_fault *fault, int level)
{
	gfn_t start = sept_level_start(fault->gfn, fault->goal_level - PG_LEVEL_4K);
	gfn_t gfn = sept_level_start(fault->gfn, level);

	/* the pfn is that of the first gfn of goal_level */
	return sept_map(sept, reserve, gfn, fault->pfn + (gfn - start), level);
}

static int tdx_map_locked(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			  struct sept *sept, struct sept_reserve *reserve, int max_level)
{
	if (tdx_fault_stale(vcpu, fault))
		return -EAGAIN;
	return tdx_map_level(sept, reserve, fault,
			     min(fault->goal_level - PG_LEVEL_4K, max_level));
}

static int tdx_try_map(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
		       struct sept *sept, int max_level)
{
	struct sept_reserve reserve;
	int r;

	r = sept_reserve(sept, &reserve, SEPT_MAP_RESERVE, TDX_RESERVE_GFP);
	if (!r) {
		down_read(&sept->lock);
		r = tdx_map_locked(vcpu, fault, sept, &reserve, max_level);
		up_read(&sept->lock);
	}
	sept_unreserve(&reserve);
	return r;
}

/*
 * There is a table where a large page was to be.  If it is empty, it goes; else the
 * page is mapped beside the others, until they can be merged.
 */
static int tdx_map_small(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			 struct sept *sept)
{
	if (sept_drop_table(sept, fault->gfn, TDX_LEVEL_2M))
		return -EAGAIN;
	return tdx_try_map(vcpu, fault, sept, TDX_LEVEL_4K);
}

/* A move has come to nothing, and has left its pages blocked. */
static void tdx_unblock(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault, struct sept *sept)
{
	int level;
	gfn_t gfn;

	down_write(&sept->lock);
	if (!tdx_fault_stale(vcpu, fault)) {
		level = min(fault->goal_level - PG_LEVEL_4K, TDX_LEVEL_2M);
		gfn = sept_level_start(fault->gfn, level);
		sept_unblock(sept, gfn, gfn + sept_level_pages(level));
	}
	up_write(&sept->lock);
}

/**
 * tdx_map_fault - map a private page in the S-EPT
 * @vcpu: that needs it
 * @fault: with a pfn, and the sequence from before it was looked for
 *
 * Context: Process context, may sleep.  kvm->srcu is held, mmu_lock is not.
 * Return: RET_PF_FIXED, with the size of the mapping in @fault->goal_level; RET_PF_RETRY;
 * or an errno.
 */
int tdx_map_fault(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct kvm_tdx *tdx = to_kvm_tdx(vcpu->kvm);
	struct sept_page page;
	struct sept *sept;
	int r;

	if (!tdx || fault->gfn >= tdx_gfn_end(tdx))
		return -EFAULT;
	sept = &tdx->td.sept;
	r = tdx_try_map(vcpu, fault, sept, TDX_LEVEL_2M);
	if (r == -ENOTEMPTY)
		r = tdx_map_small(vcpu, fault, sept);
	if (r == -ESTALE) {
		tdx_unblock(vcpu, fault, sept);
		r = -EAGAIN;
	}
	if (r)
		return r == -EAGAIN ? RET_PF_RETRY : r;
	/* it can be gone already, and then the guest comes again */
	fault->goal_level = sept_lookup(sept, fault->gfn, &page) ?
			    page.level + PG_LEVEL_4K : PG_LEVEL_4K;
	return RET_PF_FIXED;
}

/* --- guest files ---------------------------------------------------------- */

static struct kvm *to_kvm(struct guestmem_consumer *consumer)
{
	return container_of(consumer, struct kvm, guestmem);
}

/*
 * The TD of an invalidation, or NULL: user space can bind files before there is one, but
 * not map anything.
 */
static struct kvm_tdx *inv_to_tdx(const struct guestmem_invalidation *inv)
{
	return to_kvm_tdx(to_kvm(inv->consumer));
}

static unsigned int tdx_inv_tables(const struct guestmem_invalidation *inv)
{
	struct guestmem_binding *binding;
	unsigned int nr = 0;
	gfn_t start, end;

	for (binding = guestmem_first_binding(inv); binding;
	     binding = guestmem_next_binding(inv, binding)) {
		start = guestmem_addr_first(binding, inv);
		end = guestmem_addr_end(binding, inv);
		nr += inv->moving ? sept_block_reserve(start, end) :
				    sept_unmap_reserve(start, end);
	}
	return nr;
}

static void tdx_guestmem_unreserve(struct guestmem_consumer *consumer,
				   struct guestmem_invalidation *inv)
{
	struct sept_reserve *reserve = inv->reserve;

	if (!reserve)
		return;
	if (inv->moving)
		atomic_dec(&reserve->sept->moving);
	sept_unreserve(reserve);
	kfree(reserve);
	inv->reserve = NULL;
}

/*
 * A move can be given up, and may be for others: for compaction, which must not dip into
 * reserves, and not at the expense of whoever needs the memory.
 */
static gfp_t tdx_reserve_gfp(const struct guestmem_invalidation *inv)
{
	if (inv->moving)
		return GFP_KERNEL | __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN;
	return TDX_RESERVE_GFP | (inv->nofail ? __GFP_NOFAIL : 0);
}

static int tdx_guestmem_reserve(struct guestmem_consumer *consumer,
				struct guestmem_invalidation *inv)
{
	struct kvm_tdx *tdx = inv_to_tdx(inv);
	gfp_t gfp = tdx_reserve_gfp(inv);
	struct sept_reserve *reserve;
	int r;

	if (!tdx)
		return 0;
	/* who moves pages of others need not wait for a TD that dies, which takes long */
	if (inv->moving && READ_ONCE(tdx->td.sept.dying))
		return -EAGAIN;
	reserve = kmalloc(sizeof(*reserve), gfp);
	if (!reserve)
		return -ENOMEM;
	r = sept_reserve(&tdx->td.sept, reserve, tdx_inv_tables(inv), gfp);
	inv->reserve = reserve;
	if (inv->moving)
		atomic_inc(&tdx->td.sept.moving);
	if (r)
		tdx_guestmem_unreserve(consumer, inv);
	return r;
}

/* A fault beside it may be about to map a page of up to @level that reaches into it. */
static void tdx_invalidate_range(struct kvm *kvm, gfn_t start, gfn_t end, int level)
{
	end = sept_level_start(end + sept_level_pages(level) - 1, level);
	kvm_mmu_invalidate_range_add(kvm, sept_level_start(start, level), end);
}

static void tdx_guestmem_begin(struct kvm *kvm, const struct guestmem_invalidation *inv)
{
	struct guestmem_binding *binding;

	write_lock(&kvm->mmu_lock);
	kvm_mmu_invalidate_begin(kvm);
	for (binding = guestmem_first_binding(inv); binding;
	     binding = guestmem_next_binding(inv, binding))
		tdx_invalidate_range(kvm, guestmem_addr_first(binding, inv),
				     guestmem_addr_end(binding, inv),
				     inv->moving ? 0 : TDX_LEVEL_1G);
	write_unlock(&kvm->mmu_lock);
}

static void tdx_guestmem_invalidate_start(struct guestmem_consumer *consumer,
					  const struct guestmem_invalidation *inv)
{
	struct kvm_tdx *tdx = inv_to_tdx(inv);
	struct guestmem_binding *binding;
	gfn_t start, end;

	tdx_guestmem_begin(to_kvm(consumer), inv);
	/* if the TD has come since the reservation, it has none of these pages */
	if (!tdx || !inv->reserve)
		return;
	for (binding = guestmem_first_binding(inv); binding;
	     binding = guestmem_next_binding(inv, binding)) {
		start = guestmem_addr_first(binding, inv);
		end = guestmem_addr_end(binding, inv);
		if (inv->moving)
			sept_block(&tdx->td.sept, inv->reserve, start, end);
		else
			sept_unmap(&tdx->td.sept, inv->reserve, start, end);
	}
}

static void tdx_guestmem_invalidate_end(struct guestmem_consumer *consumer,
					const struct guestmem_invalidation *inv)
{
	struct kvm *kvm = to_kvm(consumer);

	write_lock(&kvm->mmu_lock);
	kvm_mmu_invalidate_end(kvm);
	write_unlock(&kvm->mmu_lock);
}

/**
 * struct tdx_piece - pages of a move that have gfns in a row, or none
 * @gfn: of the first
 * @at: the first, in pages of the move
 * @nr: how many
 * @bound: they have gfns
 */
struct tdx_piece {
	gfn_t gfn;
	unsigned long at;
	unsigned long nr;
	bool bound;
};

/* The piece of the @nr pages from @index on that begins at @piece->at + @piece->nr */
static bool tdx_next_piece(const struct guestmem_invalidation *inv, pgoff_t index,
			   unsigned long nr, struct tdx_piece *piece)
{
	struct guestmem_invalidation rest = *inv;
	struct guestmem_binding *binding;

	piece->at += piece->nr;
	rest.start = index + piece->at;
	rest.end = index + nr;
	if (rest.start == rest.end)
		return false;
	binding = guestmem_first_binding(&rest);
	piece->bound = binding && binding->node.start <= rest.start;
	if (piece->bound) {
		piece->gfn = guestmem_addr_first(binding, &rest);
		piece->nr = guestmem_addr_end(binding, &rest) - piece->gfn;
	} else {
		piece->nr = (binding ? binding->node.start : rest.end) - rest.start;
	}
	return true;
}

static void tdx_move_back(const struct guestmem_invalidation *inv, pgoff_t index,
			  unsigned long dst, unsigned long src, unsigned long nr)
{
	struct kvm_tdx *tdx = inv_to_tdx(inv);
	struct tdx_piece piece = {};

	while (tdx && tdx_next_piece(inv, index, nr, &piece))
		if (piece.bound)
			sept_move_back(&tdx->td.sept, inv->reserve, piece.gfn,
				       dst + piece.at, src + piece.at, piece.nr);
}

static int tdx_guestmem_migrate(struct guestmem_consumer *consumer,
				const struct guestmem_invalidation *inv, pgoff_t index,
				unsigned long dst, unsigned long src, unsigned long nr)
{
	struct kvm_tdx *tdx = inv_to_tdx(inv);
	struct tdx_piece piece = {};
	int r;

	while (tdx_next_piece(inv, index, nr, &piece)) {
		if (tdx && piece.bound)
			r = sept_move(&tdx->td.sept, inv->reserve, piece.gfn,
				      dst + piece.at, src + piece.at, piece.nr);
		else
			r = guestmem_copy(dst + piece.at, src + piece.at, piece.nr);
		if (r) {
			tdx_move_back(inv, index, dst, src, piece.at);
			return r;
		}
	}
	return 0;
}

static void tdx_guestmem_unmigrate(struct guestmem_consumer *consumer,
				   const struct guestmem_invalidation *inv, pgoff_t index,
				   unsigned long dst, unsigned long src, unsigned long nr)
{
	tdx_move_back(inv, index, dst, src, nr);
}

static struct guestmem_consumer_ops tdx_guestmem_ops = {
	.orders			= BIT(0) | BIT(PMD_SHIFT - PAGE_SHIFT) |
				  BIT(PUD_SHIFT - PAGE_SHIFT),
	.reserve		= tdx_guestmem_reserve,
	.unreserve		= tdx_guestmem_unreserve,
	.invalidate_start	= tdx_guestmem_invalidate_start,
	.invalidate_end		= tdx_guestmem_invalidate_end,
	.migrate		= tdx_guestmem_migrate,
	.unmigrate		= tdx_guestmem_unmigrate,
};

/* The ops of a VM, or NULL if they are not ours. */
const struct guestmem_consumer_ops *kvm_arch_guestmem_ops(struct kvm *kvm,
							  struct module *module)
{
	if (!tdx_is_vm(kvm))
		return NULL;
	tdx_guestmem_ops.owner = module;
	return &tdx_guestmem_ops;
}

/* Other files do not know the S-EPT. */
bool kvm_arch_guestmem_only(struct kvm *kvm)
{
	return tdx_is_vm(kvm);
}

/* --- memslots and attributes ---------------------------------------------- */

/* The slot is not visible any more.  What is mapped does not reach over its ends. */
void kvm_arch_guestmem_unmap_slot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct kvm_tdx *tdx = to_kvm_tdx(kvm);
	struct sept_reserve none = {};

	if (tdx)
		sept_unmap(&tdx->td.sept, &none, slot->base_gfn,
			   slot->base_gfn + slot->npages);
}

static bool tdx_unmaps(struct kvm_tdx *tdx, unsigned long attrs)
{
	return tdx && !(attrs & KVM_MEMORY_ATTRIBUTE_PRIVATE);
}

/* Attributes of a range are going to be changed: 0 or -ENOMEM. */
int kvm_arch_guestmem_prepare_convert(struct kvm *kvm, struct kvm_mem_attributes_change *change)
{
	struct kvm_tdx *tdx = to_kvm_tdx(kvm);
	int r;

	change->reserve = NULL;
	if (!tdx_unmaps(tdx, xa_to_value(change->entry)))
		return 0;
	change->reserve = kmalloc(sizeof(*change->reserve), GFP_KERNEL_ACCOUNT);
	if (!change->reserve)
		return -ENOMEM;
	r = sept_reserve(&tdx->td.sept, change->reserve,
			 sept_unmap_reserve(change->start, change->end), TDX_RESERVE_GFP);
	if (r) {
		sept_unreserve(change->reserve);
		kfree(change->reserve);
	}
	return r;
}

/* In an invalidation of the range: nobody maps any of it. */
void kvm_arch_guestmem_convert(struct kvm *kvm, struct kvm_mem_attributes_change *change)
{
	struct kvm_tdx *tdx = to_kvm_tdx(kvm);

	if (!change->reserve)
		return;
	sept_unmap(&tdx->td.sept, change->reserve, change->start, change->end);
	sept_unreserve(change->reserve);
	kfree(change->reserve);
}

/* --- memory that the TD begins with --------------------------------------- */

struct tdx_region {
	struct kvm_tdx *tdx;
	bool measure;
	u64 status;
};

/* slots_lock is held, so there is no conversion; nor is there an invalidation. */
static int tdx_add_page(struct sept *sept, gfn_t gfn, kvm_pfn_t pfn, struct page *source)
{
	struct sept_reserve reserve;
	int r;

	r = sept_reserve(sept, &reserve, SEPT_MAP_RESERVE, TDX_RESERVE_GFP);
	if (!r) {
		down_read(&sept->lock);
		r = sept_add(sept, &reserve, gfn, pfn, page_to_pfn(source));
		up_read(&sept->lock);
	}
	sept_unreserve(&reserve);
	return r;
}

static int tdx_populate_page(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn, void __user *src,
			     int order, void *opaque)
{
	struct tdx_region *region = opaque;
	struct sept_reserve none = {};
	struct page *source;
	int r;

	/* kept present by the caller; invalidate_lock is held, so mmap_lock is out of reach */
	if (!get_user_page_fast_only((unsigned long)src, 0, &source))
		return -EFAULT;
	r = tdx_add_page(&region->tdx->td.sept, gfn, pfn, source);
	put_page(source);
	if (!r && region->measure) {
		r = td_measure_page(&region->tdx->td, gfn, &region->status);
		/* what it fails with is the host's */
		if (r)
			sept_unmap(&region->tdx->td.sept, &none, gfn, gfn + 1);
	}
	return r;
}

static int tdx_check_region(struct kvm_tdx *tdx, const struct kvm_tdx_init_mem_region *region)
{
	u64 end = gfn_to_gpa(tdx_gfn_end(tdx));

	if (!PAGE_ALIGNED(region->source_addr) || !PAGE_ALIGNED(region->gpa) ||
	    !region->nr_pages || region->gpa >= end ||
	    region->nr_pages > (end - region->gpa) >> PAGE_SHIFT)
		return -EINVAL;
	return 0;
}

static int tdx_add_region(struct kvm *kvm, struct kvm_tdx_init_mem_region *todo,
			  struct tdx_region *region)
{
	long done;

	while (todo->nr_pages) {
		if (signal_pending(current))
			return -EINTR;
		done = kvm_gmem_populate(kvm, gpa_to_gfn(todo->gpa),
					 u64_to_user_ptr(todo->source_addr), 1,
					 tdx_populate_page, region);
		if (done != 1)
			return done < 0 ? done : -EIO;
		todo->source_addr += PAGE_SIZE;
		todo->gpa += PAGE_SIZE;
		todo->nr_pages--;
		cond_resched();
	}
	return 0;
}

/* KVM_TDX_INIT_MEM_REGION */
int tdx_init_mem_region(struct kvm_vcpu *vcpu, struct kvm_tdx_cmd *cmd)
{
	struct kvm_tdx_init_mem_region todo, __user *user = u64_to_user_ptr(cmd->data);
	struct tdx_region region = {
		.tdx = to_kvm_tdx(vcpu->kvm),
		.measure = cmd->flags & KVM_TDX_MEASURE_MEMORY_REGION,
	};
	int r, idx;

	if (cmd->flags & ~KVM_TDX_MEASURE_MEMORY_REGION)
		return -EINVAL;
	if (copy_from_user(&todo, user, sizeof(todo)))
		return -EFAULT;
	r = tdx_check_region(region.tdx, &todo);
	if (r)
		return r;
	guard(mutex)(&vcpu->kvm->slots_lock);
	if (READ_ONCE(region.tdx->runnable))
		return -EINVAL;
	idx = srcu_read_lock(&vcpu->kvm->srcu);
	r = tdx_add_region(vcpu->kvm, &todo, &region);
	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	cmd->hw_error = region.status;
	return copy_to_user(user, &todo, sizeof(todo)) ? -EFAULT : r;
}
