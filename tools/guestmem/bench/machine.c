// SPDX-License-Identifier: GPL-2.0
/*
 * A VM as small as can be measured: one vCPU, one slot, whose private half is all
 * of one file.  The shared half is never touched and takes no memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/memfd.h>

#include "bench.h"

/* The guest's program and page tables, memory that is not private */
#define LOW_SLOT	1
#define LOW_SIZE	(64 * KIB)

/* Present, writable, accessed and dirty already, and 1G large */
#define PTE_TABLE	0x23ULL
#define PTE_LARGE	0xe3ULL

static const struct backing backings[] = {
	{ .name = "native", .native = true },
	{ .name = "shmem", .granule = PAGE },
	{ .name = "hugetlb-2M", .flags = MFD_HUGETLB | MFD_HUGE_2MB, .granule = 2 * MIB },
	{ .name = "hugetlb-1G", .flags = MFD_HUGETLB | MFD_HUGE_1GB, .granule = GIB },
};

const struct backing *backing_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		if (!strcmp(backings[i].name, name))
			return &backings[i];
	return NULL;
}

/* --- files -------------------------------------------------------------- */

/* A guest file of @size, or -1 and errno. */
static int guest_file(const struct backing *backing, unsigned int flags, __u64 size)
{
	int fd, err;

	if (size % backing->granule) {
		errno = EINVAL;
		return -1;
	}
	fd = memfd_create("bench", MFD_CLOEXEC | MFD_GUEST | flags | backing->flags);
	if (fd < 0)
		return -1;
	if (!ftruncate(fd, size))
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

static int native_file(int vm_fd, __u64 size)
{
	struct kvm_create_guest_memfd args = { .size = size };
	int fd = ioctl(vm_fd, KVM_CREATE_GUEST_MEMFD, &args);

	if (fd < 0)
		die(STATUS_FAILED, "KVM_CREATE_GUEST_MEMFD: %s", strerror(errno));
	return fd;
}

/* Both halves are aligned as well as they can be, as a VMM would do it. */
static void map_shared(struct machine *m)
{
	__u64 room = m->slot.size + GIB;

	m->mapping = mmap(NULL, room, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->mapping == MAP_FAILED)
		die(STATUS_FAILED, "mmap of %llu bytes: %s", room, strerror(errno));
	m->slot.hva = (char *)(((unsigned long)m->mapping + GIB - 1) & -GIB);
}

/* --- life --------------------------------------------------------------- */

int machine_prepare(struct machine *m, const struct backing *backing, unsigned int flags,
		    __u64 size)
{
	*m = (struct machine){
		.backing = backing,
		.file = -1,
		.slot = { .gpa = PRIVATE_GPA, .size = size },
	};
	if (backing->native)
		return 0;
	m->file = guest_file(backing, flags, size);
	return m->file < 0 ? errno : 0;
}

void machine_bind(struct machine *m)
{
	int err;

	map_shared(m);
	err = vm_bind(m->vm.fd, 0, &m->slot, m->file);
	if (err)
		die(STATUS_FAILED, "binding %s: %s", m->backing->name, strerror(err));
}

int machine_create(struct machine *m, const struct backing *backing, unsigned int flags,
		   __u64 size, __u64 entry)
{
	int err = machine_prepare(m, backing, flags, size);

	if (err)
		return err;
	m->opt = (struct options){
		/* The native backing needs no store: name one that is always there. */
		.store = vm_store(backing->native ? "shmem" : backing->name),
		.vcpus = 1,
	};
	vm_create(&m->vm, &m->opt);
	if (backing->native)
		m->file = native_file(m->vm.fd, size);
	machine_bind(m);
	vm_add_vcpus(&m->vm, entry);
	return 0;
}

void machine_release(struct machine *m)
{
	struct vcpu *vcpu = &m->vm.vcpu[0];

	close(m->file);
	munmap(vcpu->run, ioctl(m->vm.kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(vcpu->fd);
	close(m->vm.fd);
	close(m->vm.kvm_fd);
	munmap(m->mapping, m->slot.size + GIB);
}

/* --- what is measured --------------------------------------------------- */

void machine_set_private(struct machine *m, __u64 offset, __u64 size, bool private)
{
	struct kvm_memory_attributes attr = {
		.address = PRIVATE_GPA + offset,
		.size = size,
		.attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
	};

	if (ioctl(m->vm.fd, KVM_SET_MEMORY_ATTRIBUTES, &attr))
		die(STATUS_FAILED, "KVM_SET_MEMORY_ATTRIBUTES of %llu bytes: %s", size,
		    strerror(errno));
}

void machine_allocate(struct machine *m, __u64 offset, __u64 size)
{
	if (fallocate(m->file, FALLOC_FL_KEEP_SIZE, offset, size))
		die(STATUS_FAILED, "fallocate of %llu bytes: %s", size, strerror(errno));
}

void machine_punch(struct machine *m, __u64 offset, __u64 size)
{
	if (fallocate(m->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size))
		die(STATUS_FAILED, "hole of %llu bytes: %s", size, strerror(errno));
}

/* KVM_PRE_FAULT_MEMORY takes off what it has done, and may be interrupted. */
void machine_map(struct machine *m, __u64 offset, __u64 size)
{
	struct kvm_pre_fault_memory range = { .gpa = PRIVATE_GPA + offset, .size = size };

	while (range.size)
		if (ioctl(m->vm.vcpu[0].fd, KVM_PRE_FAULT_MEMORY, &range) &&
		    errno != EINTR && errno != EAGAIN)
			die(STATUS_FAILED, "KVM_PRE_FAULT_MEMORY of %llu bytes: %s", size,
			    strerror(errno));
}

int machine_move(struct machine *m, __u64 offset, __u64 size, unsigned int node,
		 struct guestmem_migrate *range)
{
	*range = (struct guestmem_migrate){
		.size = sizeof(*range),
		.offset = offset,
		.length = size,
		.node = node,
	};
	return ioctl(m->file, GUESTMEM_MIGRATE, range) ? errno : 0;
}

/* --- guests ------------------------------------------------------------- */

char *machine_load(struct machine *m, const char *program, const char *end)
{
	char *low = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct kvm_userspace_memory_region region = {
		.slot = LOW_SLOT,
		.memory_size = LOW_SIZE,
		.userspace_addr = (unsigned long)low,
	};
	__u64 *pdpt, gib;

	if (low == MAP_FAILED)
		die(STATUS_FAILED, "mmap: %s", strerror(errno));
	*(__u64 *)(low + BOOT_PML4) = BOOT_PDPT | PTE_TABLE;
	pdpt = (__u64 *)(low + BOOT_PDPT);
	for (gib = 0; gib < 512; gib++)
		pdpt[gib] = gib * GIB | PTE_LARGE;
	memcpy(low + GUEST_ENTRY, program, end - program);
	if (ioctl(m->vm.fd, KVM_SET_USER_MEMORY_REGION, &region))
		die(STATUS_FAILED, "KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
	return low;
}

void machine_start(struct machine *m, const struct kvm_regs *regs)
{
	struct kvm_regs start = *regs;

	start.rip = GUEST_ENTRY;
	/* The bit that is always set */
	start.rflags = 2;
	if (ioctl(m->vm.vcpu[0].fd, KVM_SET_REGS, &start))
		die(STATUS_FAILED, "KVM_SET_REGS: %s", strerror(errno));
}

void machine_run(struct machine *m)
{
	struct vcpu *vcpu = &m->vm.vcpu[0];

	while (ioctl(vcpu->fd, KVM_RUN, NULL))
		if (errno != EINTR && errno != EAGAIN)
			die(STATUS_FAILED, "KVM_RUN: %s", strerror(errno));
	if (vcpu->run->exit_reason != KVM_EXIT_HLT)
		die(STATUS_FAILED, "the guest stopped for reason %u", vcpu->run->exit_reason);
}

__u64 machine_stat(struct machine *m, const char *name)
{
	__u64 value;

	if (!vm_stat(&m->vm, name, &value))
		die(STATUS_FAILED, "KVM's statistics have no %s", name);
	return value;
}
