/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVM_X86_TDX_TDX_H
#define __KVM_X86_TDX_TDX_H

/*
 * VMs that are TDs: what the rest of KVM needs to know of them.
 *
 * A VM of type KVM_X86_TDX_VM is a TD from KVM_TDX_INIT_VM on, when kvm->arch.tdx is set.
 * Its private memory comes from guest files (mm/guestmem) and is mapped in the S-EPT
 * (sept.h); its shared memory is that of any VM.
 */
#include <linux/kvm_host.h>

struct kvm_page_fault;

#ifdef CONFIG_KVM_TDX

static inline bool tdx_is_vm(const struct kvm *kvm)
{
	return kvm->arch.vm_type == KVM_X86_TDX_VM;
}

u32 tdx_vm_types(void);
void tdx_exit(void);
int tdx_vm_ioctl(struct kvm *kvm, void __user *argp);
int tdx_vcpu_ioctl(struct kvm_vcpu *vcpu, void __user *argp);
int tdx_vcpu_precreate(struct kvm *kvm);
int tdx_vcpu_pre_run(struct kvm_vcpu *vcpu);
void tdx_vcpu_free(struct kvm_vcpu *vcpu);
int tdx_map_fault(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

#else

static inline bool tdx_is_vm(const struct kvm *kvm)
{
	return false;
}

static inline u32 tdx_vm_types(void)
{
	return 0;
}

static inline void tdx_exit(void)
{
}

static inline int tdx_vm_ioctl(struct kvm *kvm, void __user *argp)
{
	return -ENOTTY;
}

static inline int tdx_vcpu_ioctl(struct kvm_vcpu *vcpu, void __user *argp)
{
	return -EINVAL;
}

static inline int tdx_vcpu_precreate(struct kvm *kvm)
{
	return 0;
}

static inline int tdx_vcpu_pre_run(struct kvm_vcpu *vcpu)
{
	return 0;
}

static inline void tdx_vcpu_free(struct kvm_vcpu *vcpu)
{
}

static inline int tdx_map_fault(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	return -EIO;
}

#endif /* CONFIG_KVM_TDX */

#endif /* __KVM_X86_TDX_TDX_H */
