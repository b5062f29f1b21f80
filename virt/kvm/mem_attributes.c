// SPDX-License-Identifier: GPL-2.0
/*
 * Memory attributes of a VM as ranges of gfns.
 *
 * A maple tree holds one entry for each range of equal attributes that are not
 * zero; what it has no entry for has none.  Neighbours never have the same
 * attributes: a change swallows them.  So what an operation costs depends on how
 * often the attributes change within the range, not on how many pages it has.
 *
 * A range of gfns is *mixed* if not all of it has the same attributes.  That is
 * asked of the tree whenever a huge mapping is about to be made; nothing has to
 * be kept up to date for it.
 *
 * Writers hold slots_lock.  Readers need no lock, only what keeps them from acting
 * on an answer that has become wrong: slots_lock, or for page faults mmu_lock and
 * the knowledge that no invalidation of the huge page around the gfn is in
 * progress.  A change is made between the two brackets of such an invalidation,
 * see kvm_vm_set_mem_attributes().
 */
#include <linux/kvm_host.h>
#include <linux/maple_tree.h>
#include <linux/xarray.h>

#include "private_mem.h"

void kvm_mem_attributes_init(struct kvm *kvm)
{
	mt_init_flags(&kvm->mem_attr_tree, MT_FLAGS_LOCK_EXTERN | MT_FLAGS_USE_RCU);
	mt_set_external_lock(&kvm->mem_attr_tree, &kvm->slots_lock);
}

void kvm_mem_attributes_destroy(struct kvm *kvm)
{
	mutex_lock(&kvm->slots_lock);
	__mt_destroy(&kvm->mem_attr_tree);
	mutex_unlock(&kvm->slots_lock);
}

/**
 * kvm_mem_attributes_match - do all gfns of a range have these attributes?
 * @kvm: the VM
 * @start: first gfn
 * @end: gfn behind the last one
 * @mask: attributes to look at
 * @attrs: what they have to be, within @mask
 *
 * Context: Any, see the head of this file.
 * Return: True if they do.
 */
bool kvm_mem_attributes_match(struct kvm *kvm, gfn_t start, gfn_t end,
			      unsigned long mask, unsigned long attrs)
{
	MA_STATE(mas, &kvm->mem_attr_tree, start, start);
	gfn_t next = start;
	void *entry;

	guard(rcu)();
	mas_for_each(&mas, entry, end - 1) {
		/* in front of it there are gfns without any */
		if (attrs && mas.index > next)
			return false;
		if ((xa_to_value(entry) & mask) != attrs)
			return false;
		next = mas.last + 1;
	}
	return !attrs || next >= end;
}

/**
 * kvm_mem_attributes_mixed - would a huge mapping span different attributes?
 * @kvm: the VM
 * @gfn: in the range
 * @nr_pages: size of the range, a power of two, and its alignment
 *
 * Context: Any, see the head of this file.
 * Return: True if the gfns of the range do not all have the same attributes.
 */
bool kvm_mem_attributes_mixed(struct kvm *kvm, gfn_t gfn, gfn_t nr_pages)
{
	gfn_t start = ALIGN_DOWN(gfn, nr_pages);

	/* most VMs have none at all */
	if (mtree_empty(&kvm->mem_attr_tree))
		return false;
	return !kvm_mem_attributes_match(kvm, start, start + nr_pages, ~0UL,
					 kvm_get_memory_attributes(kvm, gfn));
}

/* Does the range around @gfn have @entry?  If so, return its bounds. */
static bool kvm_mem_attributes_same(struct kvm *kvm, gfn_t gfn, void *entry,
				    gfn_t *first, gfn_t *last)
{
	MA_STATE(mas, &kvm->mem_attr_tree, gfn, gfn);

	if (mas_walk(&mas) != entry)
		return false;
	*first = mas.index;
	*last = mas.last;
	return true;
}

/**
 * kvm_mem_attributes_prepare - get ready to change the attributes of a range
 * @kvm: the VM
 * @change: filled in; to be passed to kvm_mem_attributes_commit() unless this fails
 * @start: first gfn
 * @end: gfn behind the last one
 * @attrs: the new attributes
 *
 * Allocates all memory that the change needs.
 *
 * Context: Process context, slots_lock held from here to the commit.
 * Return: 0 or -ENOMEM.
 */
int kvm_mem_attributes_prepare(struct kvm *kvm,
			       struct kvm_mem_attributes_change *change,
			       gfn_t start, gfn_t end, unsigned long attrs)
{
	gfn_t first = start, last = end - 1, unused;
	int r;

	lockdep_assert_held(&kvm->slots_lock);
	change->start = start;
	change->end = end;
	change->entry = attrs ? xa_mk_value(attrs) : NULL;
	if (attrs && start)
		kvm_mem_attributes_same(kvm, start - 1, change->entry, &first, &unused);
	if (attrs)
		kvm_mem_attributes_same(kvm, end, change->entry, &unused, &last);

	mas_init(&change->mas, &kvm->mem_attr_tree, first);
	mas_set_range(&change->mas, first, last);
	r = mas_preallocate(&change->mas, change->entry, GFP_KERNEL_ACCOUNT);
	if (r)
		return r;
	r = kvm_arch_guestmem_prepare_convert(kvm, change);
	if (r)
		mas_destroy(&change->mas);
	return r;
}

/**
 * kvm_mem_attributes_commit - change the attributes of a range
 * @kvm: the VM
 * @change: from kvm_mem_attributes_prepare()
 *
 * Context: slots_lock held, in an invalidation of the range.  Cannot fail.
 */
void kvm_mem_attributes_commit(struct kvm *kvm,
			       struct kvm_mem_attributes_change *change)
{
	bool private = xa_to_value(change->entry) & KVM_MEMORY_ATTRIBUTE_PRIVATE;

	kvm_arch_guestmem_convert(kvm, change);
	mas_store_prealloc(&change->mas, change->entry);
	kvm_guestmem_converted(kvm, change->start, change->end, private);
}

/* The second bracket of a change: to end the invalidation is all that is left. */
bool kvm_mem_attributes_changed(struct kvm *kvm, struct kvm_gfn_range *range)
{
	return false;
}
