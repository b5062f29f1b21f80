/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVM_X86_TDX_VM_H
#define __KVM_X86_TDX_VM_H

/* A VM that is a TD, for the files that make one. */
#include <linux/kvm_host.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "td.h"

/**
 * struct tdx_merger - what may be merged, and when it is tried
 * @work: does it
 * @candidates: by first gfn; the value counts the attempts
 */
struct tdx_merger {
	struct delayed_work work;
	struct xarray candidates;
};

/**
 * struct kvm_tdx - a VM that is a TD
 * @kvm: the VM
 * @td: the TD
 * @runnable: it has been finalised; changes once, with slots_lock held
 * @no_entry: how many want that no vCPU enters
 * @attributes: of the TD
 * @xfam: of the TD
 * @gpa_bits: 48 or 52; the highest of them says that an address is shared
 * @cpuid: what was configured
 * @merger: pages that could be larger
 * @debugfs: the VM's directory tdx
 *
 * All but @runnable, @no_entry and @merger is constant once kvm->arch.tdx points here.
 */
struct kvm_tdx {
	struct kvm *kvm;
	struct td td;
	bool runnable;
	atomic_t no_entry;
	u64 attributes;
	u64 xfam;
	u8 gpa_bits;
	struct kvm_cpuid2 *cpuid;
	struct tdx_merger merger;
	struct dentry *debugfs;
};

/**
 * struct vcpu_tdx - a vCPU of such a VM
 * @td: the vCPU
 * @initialized: KVM_TDX_INIT_VCPU has succeeded
 *
 * Protected by the mutex of the vCPU.
 */
struct vcpu_tdx {
	struct td_vcpu td;
	bool initialized;
};

/* NULL if the VM is not a TD, or not yet */
static inline struct kvm_tdx *to_kvm_tdx(struct kvm *kvm)
{
	/* pairs with tdx_init_vm() */
	return smp_load_acquire(&kvm->arch.tdx);
}

static inline struct kvm_tdx *sept_to_kvm_tdx(struct sept *sept)
{
	return container_of(sept, struct kvm_tdx, td.sept);
}

/* gfns below are private memory */
static inline gfn_t tdx_gfn_end(const struct kvm_tdx *tdx)
{
	return 1ULL << (tdx->gpa_bits - 1 - PAGE_SHIFT);
}

/* params.c */
struct page *tdx_make_params(struct kvm *kvm, struct kvm_tdx *tdx,
			     const struct kvm_tdx_init_vm *init);
int tdx_get_capabilities(struct kvm_tdx_cmd *cmd);
int tdx_get_cpuid(struct kvm_tdx *tdx, struct kvm_tdx_cmd *cmd);

/* memory.c */
int tdx_init_mem_region(struct kvm_vcpu *vcpu, struct kvm_tdx_cmd *cmd);

/* debugfs.c */
void tdx_debugfs_create(struct kvm_tdx *tdx);

/* merge.c */
void tdx_merger_init(struct kvm_tdx *tdx);
void tdx_merger_destroy(struct kvm_tdx *tdx);
void tdx_merge_later(struct sept *sept, gfn_t gfn, int level);

#endif /* __KVM_X86_TDX_VM_H */
