// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of a VM that is a TD, see uapi/asm/kvm_tdx.h, and its end.
 *
 *	KVM_CREATE_VM		a VM without a TD
 *	KVM_TDX_INIT_VM		the TD.  vCPUs can be created now
 *	KVM_TDX_INIT_VCPU	for each of them
 *	KVM_TDX_INIT_MEM_REGION	memory with content
 *	KVM_TDX_FINALIZE_VM	nothing of the above any more; memory without content from
 *				now on
 *
 * States change with slots_lock held: kvm->arch.tdx from NULL, and kvm_tdx.runnable.
 * kvm->lock keeps vCPUs from being created meanwhile.
 */
#include <linux/debugfs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../mmu.h"
#include "tdx.h"
#include "vm.h"
#include "../../../../virt/kvm/private_mem.h"

u32 tdx_vm_types(void)
{
	/* shared memory is in the TDP MMU, and only its faults ask whether one is private */
	return tdp_mmu_enabled && tdx_supported() ? BIT(KVM_X86_TDX_VM) : 0;
}

void tdx_exit(void)
{
	td_exit();
}

/* --- what the S-EPT needs ------------------------------------------------- */

static void tdx_kick(struct sept *sept)
{
	kvm_make_all_cpus_request(sept_to_kvm_tdx(sept)->kvm, KVM_REQ_OUTSIDE_GUEST_MODE);
}

static void tdx_hold(struct sept *sept, bool on)
{
	struct kvm_tdx *tdx = sept_to_kvm_tdx(sept);

	if (!on) {
		atomic_dec(&tdx->no_entry);
		return;
	}
	atomic_inc(&tdx->no_entry);
	/* who enters looks after it has said that it is inside; pairs with that */
	smp_mb__after_atomic();
	tdx_kick(sept);
}

static void tdx_broken(struct sept *sept)
{
	KVM_BUG_ON(true, sept_to_kvm_tdx(sept)->kvm);
}

static const struct sept_ops tdx_sept_ops = {
	.kick	= tdx_kick,
	.hold	= tdx_hold,
	.broken	= tdx_broken,
	.full	= tdx_merge_later,
};

/* --- VM ------------------------------------------------------------------- */

static void tdx_free(struct kvm_tdx *tdx)
{
	kfree(tdx->cpuid);
	kfree(tdx);
}

/* The list that is at the end of *@init: checked, and as the kernel's own. */
static struct kvm_cpuid2 *tdx_copy_cpuid(struct kvm_tdx_init_vm __user *user, u32 nent)
{
	struct kvm_cpuid2 *cpuid;

	if (nent > KVM_MAX_CPUID_ENTRIES)
		return ERR_PTR(-E2BIG);
	cpuid = memdup_user(&user->cpuid, struct_size(cpuid, entries, nent));
	if (IS_ERR(cpuid))
		return cpuid;
	if (cpuid->nent == nent && !cpuid->padding)
		return cpuid;
	kfree(cpuid);
	return ERR_PTR(-EINVAL);
}

static int tdx_create_td(struct kvm *kvm, struct kvm_tdx *tdx,
			 const struct kvm_tdx_init_vm *init, u64 *status)
{
	struct page *params = tdx_make_params(kvm, tdx, init);
	int r;

	if (IS_ERR(params))
		return PTR_ERR(params);
	r = td_create(&tdx->td, &tdx_sept_ops, tdx->gpa_bits > 48 ? 4 : 3,
		      page_to_pfn(params), status);
	__free_page(params);
	return r;
}

static int tdx_read_init(struct kvm_tdx *tdx, struct kvm_tdx_init_vm *init,
			 struct kvm_tdx_init_vm __user *user)
{
	struct kvm_cpuid2 *cpuid;

	if (copy_from_user(init, user, sizeof(*init)))
		return -EFAULT;
	if (memchr_inv(init->reserved, 0, sizeof(init->reserved)))
		return -EINVAL;
	cpuid = tdx_copy_cpuid(user, init->cpuid.nent);
	if (IS_ERR(cpuid))
		return PTR_ERR(cpuid);
	tdx->cpuid = cpuid;
	return 0;
}

static int tdx_init_vm(struct kvm *kvm, struct kvm_tdx_cmd *cmd)
{
	struct kvm_tdx_init_vm *init __free(kfree) = kzalloc(sizeof(*init), GFP_KERNEL);
	struct kvm_tdx *tdx;
	int r;

	if (cmd->flags || kvm->arch.tdx || kvm->created_vcpus)
		return -EINVAL;
	tdx = kzalloc(sizeof(*tdx), GFP_KERNEL_ACCOUNT);
	if (!tdx || !init) {
		kfree(tdx);
		return -ENOMEM;
	}
	tdx->kvm = kvm;
	tdx_merger_init(tdx);
	r = tdx_read_init(tdx, init, u64_to_user_ptr(cmd->data)) ?:
	    tdx_create_td(kvm, tdx, init, &cmd->hw_error);
	if (r) {
		tdx_free(tdx);
		return r;
	}
	guard(mutex)(&kvm->slots_lock);
	/* faults and vCPUs find a TD that is complete */
	smp_store_release(&kvm->arch.tdx, tdx);
	tdx_debugfs_create(tdx);
	return 0;
}

static int tdx_finalize_vm(struct kvm *kvm, struct kvm_tdx_cmd *cmd)
{
	struct kvm_tdx *tdx = kvm->arch.tdx;
	int r;

	guard(mutex)(&kvm->slots_lock);
	if (cmd->flags || !tdx || tdx->runnable)
		return -EINVAL;
	r = td_finalize(&tdx->td, &cmd->hw_error);
	if (r)
		return r;
	WRITE_ONCE(tdx->runnable, true);
	kvm->arch.pre_fault_allowed = true;
	return 0;
}

static int tdx_read_cmd(struct kvm_tdx_cmd *cmd, void __user *argp)
{
	if (copy_from_user(cmd, argp, sizeof(*cmd)))
		return -EFAULT;
	return cmd->hw_error ? -EINVAL : 0;
}

/**
 * tdx_vm_ioctl - KVM_MEMORY_ENCRYPT_OP of a VM that is a TD
 * @kvm: the VM
 * @argp: struct kvm_tdx_cmd
 *
 * Return: 0 or an errno, see Documentation/virt/kvm/x86/tdx-memory.rst.
 */
int tdx_vm_ioctl(struct kvm *kvm, void __user *argp)
{
	struct kvm_tdx_cmd cmd;
	int r = tdx_read_cmd(&cmd, argp) ?: tdx_enable_module();

	if (r)
		return r;
	guard(mutex)(&kvm->lock);
	switch (cmd.id) {
	case KVM_TDX_CAPABILITIES:
		r = tdx_get_capabilities(&cmd);
		break;
	case KVM_TDX_INIT_VM:
		r = tdx_init_vm(kvm, &cmd);
		break;
	case KVM_TDX_FINALIZE_VM:
		r = tdx_finalize_vm(kvm, &cmd);
		break;
	default:
		return -EINVAL;
	}
	return copy_to_user(argp, &cmd, sizeof(cmd)) ? -EFAULT : r;
}

/*
 * The TD goes before the memslots let go of their guest files: its pages must be the
 * host's when those are punched or closed.  Who is just punching one finds an S-EPT
 * that is empty.
 */
void kvm_arch_guestmem_destroy_vm(struct kvm *kvm)
{
	struct kvm_tdx *tdx = kvm->arch.tdx;

	if (!tdx)
		return;
	debugfs_remove(tdx->debugfs);
	td_destroy(&tdx->td);
	/* nothing fills up any more */
	tdx_merger_destroy(tdx);
}

/* All guest files have been let go of, with those who were about to invalidate. */
void kvm_arch_guestmem_free_vm(struct kvm *kvm)
{
	struct kvm_tdx *tdx = kvm->arch.tdx;

	if (!tdx)
		return;
	kvm->arch.tdx = NULL;
	td_free(&tdx->td);
	tdx_free(tdx);
}

/* --- vCPU ----------------------------------------------------------------- */

/* Which the TD must be there for, and must not be complete. */
int tdx_vcpu_precreate(struct kvm *kvm)
{
	struct kvm_tdx *tdx = to_kvm_tdx(kvm);

	return tdx && !READ_ONCE(tdx->runnable) ? 0 : -EIO;
}

/* What runs vCPUs of a TD is not there yet. */
int tdx_vcpu_pre_run(struct kvm_vcpu *vcpu)
{
	struct kvm_tdx *tdx = to_kvm_tdx(vcpu->kvm);

	if (!tdx || !READ_ONCE(tdx->runnable) || !vcpu->arch.tdx || !vcpu->arch.tdx->initialized)
		return -EINVAL;
	return -EOPNOTSUPP;
}

void tdx_vcpu_free(struct kvm_vcpu *vcpu)
{
	kfree(vcpu->arch.tdx);
	vcpu->arch.tdx = NULL;
}

static int tdx_init_vcpu(struct kvm_vcpu *vcpu, struct kvm_tdx *tdx, struct kvm_tdx_cmd *cmd)
{
	struct vcpu_tdx *v = vcpu->arch.tdx;
	int r;

	guard(mutex)(&vcpu->kvm->slots_lock);
	if (cmd->flags || tdx->runnable || (v && v->initialized))
		return -EINVAL;
	if (!v) {
		v = kzalloc(sizeof(*v), GFP_KERNEL_ACCOUNT);
		if (!v)
			return -ENOMEM;
		vcpu->arch.tdx = v;
	}
	r = td_add_vcpu(&tdx->td, &v->td, cmd->data, &cmd->hw_error);
	if (!r)
		v->initialized = true;
	return r;
}

/**
 * tdx_vcpu_ioctl - KVM_MEMORY_ENCRYPT_OP of a vCPU
 * @vcpu: the vCPU, of any VM
 * @argp: struct kvm_tdx_cmd
 *
 * Context: The mutex of the vCPU is held.
 * Return: 0 or an errno, see Documentation/virt/kvm/x86/tdx-memory.rst.
 */
int tdx_vcpu_ioctl(struct kvm_vcpu *vcpu, void __user *argp)
{
	struct kvm_tdx *tdx = to_kvm_tdx(vcpu->kvm);
	struct kvm_tdx_cmd cmd;
	int r;

	/* a VM that is no TD, or not yet */
	if (!tdx)
		return -EINVAL;
	r = tdx_read_cmd(&cmd, argp);
	if (r)
		return r;
	switch (cmd.id) {
	case KVM_TDX_INIT_VCPU:
		r = tdx_init_vcpu(vcpu, tdx, &cmd);
		break;
	case KVM_TDX_INIT_MEM_REGION:
		if (!vcpu->arch.tdx || !vcpu->arch.tdx->initialized)
			return -EINVAL;
		r = tdx_init_mem_region(vcpu, &cmd);
		break;
	case KVM_TDX_GET_CPUID:
		r = tdx_get_cpuid(tdx, &cmd);
		break;
	default:
		return -EINVAL;
	}
	return copy_to_user(argp, &cmd, sizeof(cmd)) ? -EFAULT : r;
}
