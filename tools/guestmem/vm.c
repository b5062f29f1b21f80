// SPDX-License-Identifier: GPL-2.0
/*
 * The KVM side: a software-protected VM, its two slots on one guest file, and
 * vCPUs that start in long mode.  There is no interrupt controller and no
 * device; the guest talks through two I/O ports and KVM_HC_MAP_GPA_RANGE.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <asm/kvm_para.h>
#include <linux/kvm_para.h>
#include <linux/memfd.h>

#include "vmm.h"

/* Control registers and EFER, as in the AMD and Intel manuals */
#define X86_CR0_PE	0x1
#define X86_CR0_ET	0x10
#define X86_CR0_NE	0x20
#define X86_CR0_WP	0x10000
#define X86_CR0_PG	0x80000000ULL
#define X86_CR4_PAE	0x20
#define EFER_LME	0x100
#define EFER_LMA	0x400
#define X86_EFLAGS_FIXED	2

/* Segment types: read, write / execute, accessed */
#define SEG_DATA	3
#define SEG_CODE	11

static const struct store stores[] = {
	{ "shmem", KVM_GUESTMEM_STORE_SHMEM, 0, PAGE },
	{ "hugetlb-2M", KVM_GUESTMEM_STORE_HUGETLB_2M, MFD_HUGETLB | MFD_HUGE_2MB, 2 * MIB },
	{ "hugetlb-1G", KVM_GUESTMEM_STORE_HUGETLB_1G, MFD_HUGETLB | MFD_HUGE_1GB, GIB },
};

/* Bits of a KVM_CHECK_EXTENSION answer that a run cannot do without */
static const struct {
	unsigned int cap;
	unsigned int bits;
	const char *what;
} needed[] = {
	{ KVM_CAP_VM_TYPES, 1U << KVM_X86_SW_PROTECTED_VM,
	  "KVM_X86_SW_PROTECTED_VM (CONFIG_KVM_SW_PROTECTED_VM, and EPT or NPT)" },
	{ KVM_CAP_USER_MEMORY2, 1, "KVM_SET_USER_MEMORY_REGION2" },
	{ KVM_CAP_EXIT_HYPERCALL, 1U << KVM_HC_MAP_GPA_RANGE, "exits for KVM_HC_MAP_GPA_RANGE" },
	{ KVM_CAP_BINARY_STATS_FD, 1, "KVM_GET_STATS_FD" },
	{ KVM_CAP_PRE_FAULT_MEMORY, 1, "KVM_PRE_FAULT_MEMORY" },
};

const struct store *vm_store(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(stores); i++)
		if (!strcmp(stores[i].name, name))
			return &stores[i];
	return NULL;
}

static unsigned int capability(int fd, unsigned int cap)
{
	int bits = ioctl(fd, KVM_CHECK_EXTENSION, cap);

	return bits < 0 ? 0 : bits;
}

static void open_kvm(struct vm *vm)
{
	unsigned int i;

	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		die(STATUS_ENVIRONMENT, "/dev/kvm: %s%s", strerror(errno),
		    errno == ENOENT ? "; needs a kernel with KVM on a processor with VMX or SVM" :
		    errno == EACCES ? "; run as root, or as a member of the group kvm" : "");
	for (i = 0; i < ARRAY_SIZE(needed); i++)
		if ((capability(vm->kvm_fd, needed[i].cap) & needed[i].bits) != needed[i].bits)
			die(STATUS_ENVIRONMENT, "this kernel's KVM has no %s", needed[i].what);
}

static void check_store(struct vm *vm)
{
	const struct store *store = vm->opt->store;
	unsigned int have = capability(vm->fd, KVM_CAP_GUESTMEM);

	if (!have)
		die(STATUS_ENVIRONMENT,
		    "this kernel's KVM knows no guest files (KVM_CAP_GUESTMEM is 0); boot one with CONFIG_KVM_GUESTMEM, as 'make kernel' builds it");
	if (!(have & store->cap))
		die(STATUS_ENVIRONMENT,
		    "this kernel has no store %s for guest files (KVM_CAP_GUESTMEM is %#x)",
		    store->name, have);
}

static void exit_on_map_gpa_range(struct vm *vm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_EXIT_HYPERCALL,
		.args[0] = 1ULL << KVM_HC_MAP_GPA_RANGE,
	};

	if (ioctl(vm->fd, KVM_ENABLE_CAP, &cap))
		die(STATUS_ENVIRONMENT, "KVM_ENABLE_CAP(KVM_CAP_EXIT_HYPERCALL): %s",
		    strerror(errno));
}

void vm_create(struct vm *vm, const struct options *opt)
{
	vm->opt = opt;
	open_kvm(vm);
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, KVM_X86_SW_PROTECTED_VM);
	if (vm->fd < 0)
		die(STATUS_ENVIRONMENT, "KVM_CREATE_VM: %s", strerror(errno));
	check_store(vm);
	exit_on_map_gpa_range(vm);
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->ended, NULL);
}

/* --- slots -------------------------------------------------------------- */

int vm_bind(int vm_fd, unsigned int id, const struct slot *slot, int guest_fd)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = id,
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = slot->gpa,
		.memory_size = slot->size,
		.userspace_addr = (unsigned long)slot->hva,
		.guest_memfd = guest_fd,
		.guest_memfd_offset = slot->offset,
	};

	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION2, &region) ? errno : 0;
}

void vm_add_slots(struct vm *vm)
{
	unsigned int i;
	int err;

	for (i = 0; i < GUEST_SLOTS; i++) {
		err = vm_bind(vm->fd, i, &vm->mem.slot[i], vm->mem.fd);
		if (err)
			die(STATUS_ENVIRONMENT, "binding the guest file to slot %u at %#llx: %s",
			    i, vm->mem.slot[i].gpa, strerror(err));
	}
}

void vm_remove_slots(struct vm *vm)
{
	unsigned int i;
	int err;

	for (i = 0; i < GUEST_SLOTS; i++) {
		struct slot none = { .gpa = vm->mem.slot[i].gpa };

		err = vm_bind(vm->fd, i, &none, vm->mem.fd);
		if (err)
			die(STATUS_ENVIRONMENT, "deleting slot %u: %s", i, strerror(err));
	}
}

/* --- vCPUs -------------------------------------------------------------- */

static struct kvm_cpuid2 *supported_cpuid(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid;
	unsigned int room;

	for (room = 64; room <= 1024; room *= 2) {
		cpuid = calloc(1, sizeof(*cpuid) + room * sizeof(cpuid->entries[0]));
		if (!cpuid)
			break;
		cpuid->nent = room;
		if (!ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid))
			return cpuid;
		free(cpuid);
		if (errno != E2BIG)
			break;
	}
	die(STATUS_ENVIRONMENT, "KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
}

/* What KVM supports, this vCPU's number, and the hypercall that is serviced. */
static void set_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid(vcpu->vm);
	unsigned int i;

	for (i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == 1)
			entry->ebx = (entry->ebx & 0x00ffffff) | vcpu->id << 24;
		else if (entry->function == 0xb || entry->function == 0x1f)
			entry->edx = vcpu->id;
		else if (entry->function == KVM_CPUID_FEATURES)
			entry->eax |= 1U << KVM_FEATURE_HC_MAP_GPA_RANGE;
	}
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid))
		die(STATUS_ENVIRONMENT, "KVM_SET_CPUID2: %s", strerror(errno));
	free(cpuid);
}

static struct kvm_segment flat_segment(__u16 selector, __u8 type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = type == SEG_CODE,
		.db = type != SEG_CODE,
	};
}

static void set_long_mode(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		die(STATUS_ENVIRONMENT, "KVM_GET_SREGS: %s", strerror(errno));
	sregs.cs = flat_segment(BOOT_CS, SEG_CODE);
	sregs.ds = flat_segment(BOOT_DS, SEG_DATA);
	sregs.es = sregs.ds;
	sregs.fs = sregs.ds;
	sregs.gs = sregs.ds;
	sregs.ss = sregs.ds;
	sregs.gdt.base = BOOT_GDT;
	sregs.gdt.limit = BOOT_GDT_SIZE - 1;
	sregs.idt.limit = 0;
	sregs.cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG;
	sregs.cr3 = BOOT_PML4;
	sregs.cr4 = X86_CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		die(STATUS_ENVIRONMENT, "KVM_SET_SREGS: %s", strerror(errno));
}

static void set_registers(struct vcpu *vcpu, __u64 entry)
{
	struct kvm_regs regs = {
		.rip = entry,
		.rdi = BOOT_DATA,
		.rsi = vcpu->id,
		.rflags = X86_EFLAGS_FIXED,
	};

	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		die(STATUS_ENVIRONMENT, "KVM_SET_REGS: %s", strerror(errno));
}

static void add_vcpu(struct vm *vm, unsigned int id, __u64 entry)
{
	struct vcpu *vcpu = &vm->vcpu[id];
	int size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0)
		die(STATUS_ENVIRONMENT, "KVM_CREATE_VCPU %u: %s", id, strerror(errno));
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		die(STATUS_ENVIRONMENT, "mmap of vCPU %u: %s", id, strerror(errno));
	set_cpuid(vcpu);
	set_long_mode(vcpu);
	set_registers(vcpu, entry);
}

void vm_add_vcpus(struct vm *vm, __u64 entry)
{
	unsigned int i;

	for (i = 0; i < vm->opt->vcpus; i++)
		add_vcpu(vm, i, entry);
}

/*
 * Have KVM map [gpa, gpa + size), which is memory; it stops after each mapping
 * that it makes, and where a page of 1G takes a while to zero.
 */
void vm_prefault(struct vm *vm, __u64 gpa, __u64 size)
{
	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = size };

	while (range.size)
		if (ioctl(vm->vcpu[0].fd, KVM_PRE_FAULT_MEMORY, &range) && errno != EINTR &&
		    errno != EAGAIN)
			die(STATUS_FAILED, "KVM_PRE_FAULT_MEMORY at %#llx: %s", range.gpa,
			    strerror(errno));
}

/* --- statistics --------------------------------------------------------- */

/* Descriptors follow each other at a distance that the header implies. */
static bool find_stat(int fd, const struct kvm_stats_header *head, const char *name,
		      __u64 *value)
{
	size_t step = sizeof(struct kvm_stats_desc) + head->name_size;
	struct kvm_stats_desc *desc = malloc(step);
	bool found = false;
	unsigned int i;

	for (i = 0; desc && !found && i < head->num_desc; i++) {
		if (pread(fd, desc, step, head->desc_offset + i * step) != (ssize_t)step)
			break;
		if (strncmp(desc->name, name, head->name_size))
			continue;
		found = pread(fd, value, sizeof(*value), head->data_offset + desc->offset) ==
			sizeof(*value);
	}
	free(desc);
	return found;
}

/* The figure @name of KVM's binary statistics of this VM. */
bool vm_stat(struct vm *vm, const char *name, __u64 *value)
{
	struct kvm_stats_header head;
	int fd = ioctl(vm->fd, KVM_GET_STATS_FD, NULL);
	bool found;

	if (fd < 0)
		return false;
	found = pread(fd, &head, sizeof(head), 0) == sizeof(head) &&
		find_stat(fd, &head, name, value);
	close(fd);
	return found;
}
