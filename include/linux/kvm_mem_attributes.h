/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory attributes of a VM (KVM_SET_MEMORY_ATTRIBUTES) as ranges of gfns; see
 * virt/kvm/mem_attributes.c.
 */
#ifndef _LINUX_KVM_MEM_ATTRIBUTES_H
#define _LINUX_KVM_MEM_ATTRIBUTES_H

#include <linux/kvm_types.h>
#include <linux/maple_tree.h>

struct kvm;
struct kvm_gfn_range;
struct sept_reserve;

#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES

/**
 * struct kvm_mem_attributes_change - a change that cannot fail any more
 * @mas: where it goes, and the memory for it
 * @entry: what the range will hold
 * @start: first gfn
 * @end: gfn behind the last one
 * @reserve: what the arch needs to unmap the range; NULL if nothing is to be unmapped
 *
 * From kvm_mem_attributes_prepare() to kvm_mem_attributes_commit().
 */
struct kvm_mem_attributes_change {
	struct ma_state mas;
	void *entry;
	gfn_t start;
	gfn_t end;
	struct sept_reserve *reserve;
};

void kvm_mem_attributes_init(struct kvm *kvm);
void kvm_mem_attributes_destroy(struct kvm *kvm);
bool kvm_mem_attributes_match(struct kvm *kvm, gfn_t start, gfn_t end,
			      unsigned long mask, unsigned long attrs);
bool kvm_mem_attributes_mixed(struct kvm *kvm, gfn_t gfn, gfn_t nr_pages);
int kvm_mem_attributes_prepare(struct kvm *kvm,
			       struct kvm_mem_attributes_change *change,
			       gfn_t start, gfn_t end, unsigned long attrs);
void kvm_mem_attributes_commit(struct kvm *kvm,
			       struct kvm_mem_attributes_change *change);
bool kvm_mem_attributes_changed(struct kvm *kvm, struct kvm_gfn_range *range);

#else

static inline bool kvm_mem_attributes_mixed(struct kvm *kvm, gfn_t gfn, gfn_t nr_pages)
{
	return false;
}

#endif /* CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES */

#endif /* _LINUX_KVM_MEM_ATTRIBUTES_H */
