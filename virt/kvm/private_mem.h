/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM as a consumer of guest files, for virt/kvm/guest_memfd.c and kvm_main.c.
 */
#ifndef __KVM_PRIVATE_MEM_H__
#define __KVM_PRIVATE_MEM_H__

#include <linux/guestmem.h>
#include <linux/kvm_host.h>
#include <uapi/linux/guestmem.h>

#ifdef CONFIG_KVM_TDX

/*
 * VMs whose private memory is mapped by somebody else than KVM's MMU, and unmapped where
 * that can sleep.
 */
const struct guestmem_consumer_ops *kvm_arch_guestmem_ops(struct kvm *kvm,
							  struct module *module);
void kvm_arch_guestmem_destroy_vm(struct kvm *kvm);
void kvm_arch_guestmem_free_vm(struct kvm *kvm);
void kvm_arch_guestmem_unmap_slot(struct kvm *kvm, struct kvm_memory_slot *slot);
int kvm_arch_guestmem_prepare_convert(struct kvm *kvm,
				      struct kvm_mem_attributes_change *change);
void kvm_arch_guestmem_convert(struct kvm *kvm, struct kvm_mem_attributes_change *change);
bool kvm_arch_guestmem_only(struct kvm *kvm);

#else

static inline const struct guestmem_consumer_ops *kvm_arch_guestmem_ops(struct kvm *kvm,
									struct module *module)
{
	return NULL;
}

static inline void kvm_arch_guestmem_destroy_vm(struct kvm *kvm)
{
}

static inline void kvm_arch_guestmem_free_vm(struct kvm *kvm)
{
}

static inline void kvm_arch_guestmem_unmap_slot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
}

static inline int kvm_arch_guestmem_prepare_convert(struct kvm *kvm,
						    struct kvm_mem_attributes_change *change)
{
	return 0;
}

static inline void kvm_arch_guestmem_convert(struct kvm *kvm,
					     struct kvm_mem_attributes_change *change)
{
}

static inline bool kvm_arch_guestmem_only(struct kvm *kvm)
{
	return false;
}

#endif /* CONFIG_KVM_TDX */

#ifdef CONFIG_KVM_GUESTMEM

void kvm_guestmem_init(struct module *module);
void kvm_guestmem_init_vm(struct kvm *kvm);
void kvm_guestmem_destroy_vm(struct kvm *kvm);
int kvm_guestmem_check_cap(struct kvm *kvm);
void kvm_guestmem_converted(struct kvm *kvm, gfn_t start, gfn_t end, bool private);
bool kvm_guestmem_is_default(struct kvm *kvm);
int kvm_guestmem_create(struct kvm *kvm, loff_t size);
int kvm_guestmem_bind(struct kvm *kvm, struct kvm_memory_slot *slot,
		      struct file *file, u64 offset);
void kvm_guestmem_abort_bind(struct kvm_memory_slot *slot);
void kvm_guestmem_unbind(struct kvm_memory_slot *slot);
int kvm_guestmem_get_pfn(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn,
			 kvm_pfn_t *pfn, int *max_order);
#ifdef CONFIG_KVM_GENERIC_PRIVATE_MEM
long kvm_guestmem_populate(struct kvm *kvm, struct kvm_memory_slot *slot,
			   gfn_t gfn, void __user *src, long npages,
			   kvm_gmem_populate_cb post_populate, void *opaque);
#endif

static inline bool kvm_slot_has_guestmem(const struct kvm_memory_slot *slot)
{
	return slot->gmem.binding;
}

#else /* !CONFIG_KVM_GUESTMEM */

static inline void kvm_guestmem_init(struct module *module)
{
}

static inline void kvm_guestmem_init_vm(struct kvm *kvm)
{
}

static inline void kvm_guestmem_destroy_vm(struct kvm *kvm)
{
}

static inline int kvm_guestmem_check_cap(struct kvm *kvm)
{
	return 0;
}

static inline void kvm_guestmem_converted(struct kvm *kvm, gfn_t start, gfn_t end,
					  bool private)
{
}

static inline bool kvm_guestmem_is_default(struct kvm *kvm)
{
	return false;
}

static inline int kvm_guestmem_create(struct kvm *kvm, loff_t size)
{
	return -EOPNOTSUPP;
}

static inline int kvm_guestmem_bind(struct kvm *kvm, struct kvm_memory_slot *slot,
				    struct file *file, u64 offset)
{
	return -EOPNOTSUPP;
}

static inline void kvm_guestmem_abort_bind(struct kvm_memory_slot *slot)
{
}

static inline void kvm_guestmem_unbind(struct kvm_memory_slot *slot)
{
}

static inline int kvm_guestmem_get_pfn(struct kvm *kvm, struct kvm_memory_slot *slot,
				       gfn_t gfn, kvm_pfn_t *pfn, int *max_order)
{
	return -EOPNOTSUPP;
}

#ifdef CONFIG_KVM_GENERIC_PRIVATE_MEM
static inline long kvm_guestmem_populate(struct kvm *kvm,
					 struct kvm_memory_slot *slot,
					 gfn_t gfn, void __user *src, long npages,
					 kvm_gmem_populate_cb post_populate,
					 void *opaque)
{
	return -EOPNOTSUPP;
}
#endif

static inline bool kvm_slot_has_guestmem(const struct kvm_memory_slot *slot)
{
	return false;
}

#endif /* CONFIG_KVM_GUESTMEM */

#endif /* __KVM_PRIVATE_MEM_H__ */
