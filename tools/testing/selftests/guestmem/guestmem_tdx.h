/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM that is a TD (KVM_X86_TDX_VM), for tests: made step by step, so that each step can
 * be left out or done wrong.
 */
#ifndef GUESTMEM_TDX_H
#define GUESTMEM_TDX_H

#include "guestmem_util.h"

#define TDX_GPA		VM_DATA_GPA
#define TDX_XFAM	3ULL
#define TDX_SEPT_VE_DISABLE 0x10000000ULL
#define TDX_MAX_CPUID	256

/**
 * struct tdx_init - argument of KVM_TDX_INIT_VM, with room for CPUID
 * @vm: the argument
 * @entries: what follows
 */
struct tdx_init {
	struct kvm_tdx_init_vm vm;
	struct kvm_cpuid_entry2 entries[TDX_MAX_CPUID];
};

/**
 * struct tdx_caps - argument of KVM_TDX_CAPABILITIES, likewise
 * @caps: the argument
 * @entries: what follows
 */
struct tdx_caps {
	struct kvm_tdx_capabilities caps;
	struct kvm_cpuid_entry2 entries[TDX_MAX_CPUID];
};

/* hw_error of the last command */
extern __u64 tdx_status;

int tdx_cmd(int fd, __u32 id, __u32 flags, __u64 data);
int tdx_capabilities(int vm_fd, struct tdx_caps *caps);
int tdx_init_vm(int vm_fd);
int tdx_init_vcpu(int vcpu_fd);
int tdx_init_memory(int vcpu_fd, const void *source, __u64 gpa, __u64 nr_pages, __u32 flags);
int tdx_finalize(int vm_fd);
int tdx_create(struct vm *vm, int nr_vcpus);
void tdx_destroy(struct vm *vm);
long long tdx_stat(const char *name);
long long tdx_mapped(void);
int tdx_map(char *text, size_t size);
long long tdx_misuse(void);

#endif /* GUESTMEM_TDX_H */
