/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _ASM_X86_KVM_TDX_H
#define _ASM_X86_KVM_TDX_H

/*
 * VMs that are TDs (Intel TDX).  Included by <asm/kvm.h>.
 *
 * Numbers and structures are those that mainline has, so that a VMM need not know which
 * of the two it runs on.
 */
#include <linux/const.h>
#include <linux/types.h>

#define KVM_X86_TDX_VM		5

/* Commands of KVM_MEMORY_ENCRYPT_OP, and what they are an ioctl of */
enum kvm_tdx_cmd_id {
	KVM_TDX_CAPABILITIES = 0,	/* VM */
	KVM_TDX_INIT_VM,		/* VM */
	KVM_TDX_INIT_VCPU,		/* vCPU */
	KVM_TDX_INIT_MEM_REGION,	/* vCPU */
	KVM_TDX_FINALIZE_VM,		/* VM */
	KVM_TDX_GET_CPUID,		/* vCPU */

	KVM_TDX_CMD_NR_MAX,
};

/**
 * struct kvm_tdx_cmd - argument of KVM_MEMORY_ENCRYPT_OP
 * @id: enum kvm_tdx_cmd_id
 * @flags: of the command, 0 if it has none
 * @data: value, or pointer to the structure, that the command takes
 * @hw_error: 0; on return what the TDX module said, if it was asked
 */
struct kvm_tdx_cmd {
	__u32 id;
	__u32 flags;
	__u64 data;
	__u64 hw_error;
};

/**
 * struct kvm_tdx_capabilities - what TDs can be
 * @supported_attrs: attributes
 * @supported_xfam: extended features
 * @kernel_tdvmcallinfo_1_r11: TDVMCALLs that KVM does, in R11 of GetTdVmCallInfo
 * @user_tdvmcallinfo_1_r11: those that user space is asked to do
 * @kernel_tdvmcallinfo_1_r12: as before, in R12
 * @user_tdvmcallinfo_1_r12: as before, in R12
 * @reserved: 0
 * @cpuid: bits that can be configured; nent is how many entries there is room for
 */
struct kvm_tdx_capabilities {
	__u64 supported_attrs;
	__u64 supported_xfam;
	__u64 kernel_tdvmcallinfo_1_r11;
	__u64 user_tdvmcallinfo_1_r11;
	__u64 kernel_tdvmcallinfo_1_r12;
	__u64 user_tdvmcallinfo_1_r12;
	__u64 reserved[250];
	struct kvm_cpuid2 cpuid;
};

/**
 * struct kvm_tdx_init_vm - what a TD is to be
 * @attributes: of those that are supported
 * @xfam: of those that are supported
 * @mrconfigid: measured as it is, as are the next two
 * @mrowner: of the owner
 * @mrownerconfig: of the owner's configuration
 * @reserved: 0
 * @cpuid: values for leaves that can be configured
 */
struct kvm_tdx_init_vm {
	__u64 attributes;
	__u64 xfam;
	__u64 mrconfigid[6];
	__u64 mrowner[6];
	__u64 mrownerconfig[6];
	__u64 reserved[12];
	struct kvm_cpuid2 cpuid;
};

/* Flag of KVM_TDX_INIT_MEM_REGION: the content is measured */
#define KVM_TDX_MEASURE_MEMORY_REGION	_BITULL(0)

/**
 * struct kvm_tdx_init_mem_region - memory that a TD begins with
 * @source_addr: where the content is
 * @gpa: where it is to be
 * @nr_pages: how many
 *
 * On return, also of a failure, what is left to do.
 */
struct kvm_tdx_init_mem_region {
	__u64 source_addr;
	__u64 gpa;
	__u64 nr_pages;
};

#endif /* _ASM_X86_KVM_TDX_H */
