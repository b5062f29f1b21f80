// SPDX-License-Identifier: GPL-2.0
/*
 * Binding guest files to memslots by KVM_SET_USER_MEMORY_REGION2: many slots
 * on one file (R3), one VM for a file and one address for an offset (R2), every
 * errno, and slots that can only be deleted (C6).
 */
#include <limits.h>
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR	64UL
#define SIZE	(NR * PAGE)
#define GPA	VM_DATA_GPA

FIXTURE(bind) {
	struct vm vm;
	int fd;
	void *shared;
};

FIXTURE_SETUP(bind)
{
	ASSERT_OK(vm_create(&self->vm, 1));
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	self->shared = shared_alloc(2 * SIZE);
	ASSERT_NE(MAP_FAILED, self->shared);
}

FIXTURE_TEARDOWN(bind)
{
	vm_destroy(&self->vm);
	close(self->fd);
}

#define BIND(slot, gpa, size, offset) \
	vm_bind(&self->vm, slot, gpa, size, self->shared, self->fd, offset)

TEST_F(bind, whole_file)
{
	EXPECT_OK(BIND(1, GPA, SIZE, 0));
	EXPECT_EQ(1, guest_bound(self->fd));
	EXPECT_EQ(1, fdinfo_number(self->fd, "guest_bound"));
	EXPECT_OK(vm_unbind(&self->vm, 1));
	EXPECT_EQ(0, guest_bound(self->fd));
	EXPECT_EQ(0, fdinfo_number(self->fd, "guest_bound"));
}

/* R3: the hole below 4 GiB, and pieces in any order */
TEST_F(bind, r3_many_slots)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		EXPECT_OK(BIND(1 + i, GPA + 8 * i * PAGE, 4 * PAGE, (15 - i) * 4 * PAGE));
	EXPECT_EQ(16, guest_bound(self->fd));
	for (i = 0; i < 16; i += 2)
		EXPECT_OK(vm_unbind(&self->vm, 1 + i));
	EXPECT_EQ(8, guest_bound(self->fd));
}

TEST_F(bind, r3_around_4g)
{
	__u64 top = 4ULL << 30;

	EXPECT_OK(BIND(1, top - 16 * PAGE, 8 * PAGE, 0));
	EXPECT_OK(BIND(2, top, SIZE - 8 * PAGE, 8 * PAGE));
	EXPECT_EQ(2, guest_bound(self->fd));
}

/* R2: an offset is bound once */
TEST_F(bind, r2_overlap)
{
	ASSERT_OK(BIND(1, GPA, 8 * PAGE, 8 * PAGE));
	EXPECT_ERRNO(EEXIST, BIND(2, GPA + SIZE, 8 * PAGE, 8 * PAGE));
	EXPECT_ERRNO(EEXIST, BIND(2, GPA + SIZE, PAGE, 8 * PAGE));
	EXPECT_ERRNO(EEXIST, BIND(2, GPA + SIZE, PAGE, 15 * PAGE));
	EXPECT_ERRNO(EEXIST, BIND(2, GPA + SIZE, 9 * PAGE, 0));
	EXPECT_ERRNO(EEXIST, BIND(2, GPA + SIZE, SIZE - 15 * PAGE, 15 * PAGE));
	EXPECT_ERRNO(EEXIST, BIND(2, GPA + SIZE, SIZE, 0));
	EXPECT_EQ(1, guest_bound(self->fd));
	/* neighbours on both sides */
	EXPECT_OK(BIND(2, GPA + SIZE, 8 * PAGE, 0));
	EXPECT_OK(BIND(3, GPA + 2 * SIZE, 8 * PAGE, 16 * PAGE));
	EXPECT_EQ(3, guest_bound(self->fd));
}

/* Overlapping guest addresses are KVM's own EEXIST, and bind nothing. */
TEST_F(bind, gpa_overlap)
{
	ASSERT_OK(BIND(1, GPA, 8 * PAGE, 0));
	EXPECT_ERRNO(EEXIST, BIND(2, GPA + 7 * PAGE, 8 * PAGE, 8 * PAGE));
	EXPECT_EQ(1, guest_bound(self->fd));
}

TEST_F(bind, c15_offset)
{
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, PAGE, 1));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, PAGE, PAGE / 2));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, PAGE, SIZE));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, SIZE, PAGE));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, SIZE + PAGE, 0));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, PAGE, -PAGE));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, 2 * PAGE, -PAGE));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, PAGE, 1ULL << 63));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, PAGE, (1ULL << 63) - PAGE));
	EXPECT_EQ(0, guest_bound(self->fd));
}

TEST_F(bind, c15_address_and_size)
{
	EXPECT_ERRNO(EINVAL, BIND(1, GPA + 1, PAGE, 0));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, PAGE + 1, 0));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, 0, 0));
	EXPECT_ERRNO(EINVAL, BIND(1, -PAGE, 2 * PAGE, 0));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, 1ULL << 63, 0));
	/* too large a slot number, and a second address space */
	EXPECT_ERRNO(EINVAL, BIND(0xffff, GPA, PAGE, 0));
	EXPECT_ERRNO(EINVAL, BIND(0x10001, GPA, PAGE, 0));
	EXPECT_EQ(0, guest_bound(self->fd));
}

TEST_F(bind, empty_file)
{
	int fd = memfd(MFD_GUEST);

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EINVAL, vm_bind(&self->vm, 1, GPA, PAGE, self->shared, fd, 0));
	/* the file is nobody's yet: another VM may have it */
	EXPECT_OK(ftruncate(fd, SIZE));
	EXPECT_OK(vm_bind(&self->vm, 1, GPA, PAGE, self->shared, fd, 0));
	close(fd);
}

TEST_F(bind, bad_descriptor)
{
	int path = proc_open(self->fd, O_PATH);

	EXPECT_ERRNO(EBADF, vm_bind(&self->vm, 1, GPA, PAGE, self->shared, -1, 0));
	EXPECT_ERRNO(EBADF, vm_bind(&self->vm, 1, GPA, PAGE, self->shared, 999, 0));
	ASSERT_LE(0, path);
	EXPECT_ERRNO(EBADF, vm_bind(&self->vm, 1, GPA, PAGE, self->shared, path, 0));
	close(path);
}

TEST_F(bind, not_a_guest_file)
{
	int ordinary = memfd(0), null = open("/dev/null", O_RDWR);

	ASSERT_LE(0, ordinary);
	ASSERT_OK(ftruncate(ordinary, SIZE));
	EXPECT_ERRNO(EINVAL, vm_bind(&self->vm, 1, GPA, PAGE, self->shared, ordinary, 0));
	EXPECT_ERRNO(EINVAL, vm_bind(&self->vm, 1, GPA, PAGE, self->shared, null, 0));
	EXPECT_ERRNO(EINVAL, vm_bind(&self->vm, 1, GPA, PAGE, self->shared, self->vm.fd, 0));
	close(null);
	close(ordinary);
}

/* A VM type without private memory */
TEST_F(bind, ordinary_vm)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = 1, .flags = KVM_MEM_GUEST_MEMFD, .guest_phys_addr = GPA,
		.memory_size = PAGE, .userspace_addr = (uintptr_t)self->shared,
		.guest_memfd = self->fd,
	};
	int vm = vm_create_bare(KVM_X86_DEFAULT_VM);

	ASSERT_LE(0, vm);
	EXPECT_ERRNO(EINVAL, vm_set_slot(vm, &region));
	close(vm);
	EXPECT_EQ(0, guest_bound(self->fd));
	EXPECT_OK(BIND(1, GPA, SIZE, 0));
}

TEST_F(bind, other_flags)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = 1, .flags = KVM_MEM_GUEST_MEMFD | KVM_MEM_LOG_DIRTY_PAGES,
		.guest_phys_addr = GPA, .memory_size = PAGE,
		.userspace_addr = (uintptr_t)self->shared, .guest_memfd = self->fd,
	};

	EXPECT_ERRNO(EINVAL, vm_set_slot(self->vm.fd, &region));
	region.flags = KVM_MEM_GUEST_MEMFD | KVM_MEM_READONLY;
	EXPECT_ERRNO(EINVAL, vm_set_slot(self->vm.fd, &region));
	region.flags = KVM_MEM_GUEST_MEMFD | 1U << 20;
	EXPECT_ERRNO(EINVAL, vm_set_slot(self->vm.fd, &region));
	EXPECT_EQ(0, guest_bound(self->fd));
}

/* R2: one VM for life */
TEST_F(bind, r2_second_vm)
{
	struct vm other;

	ASSERT_OK(vm_create(&other, 1));
	ASSERT_OK(BIND(1, GPA, PAGE, 0));
	EXPECT_ERRNO(EBUSY, vm_bind(&other, 1, GPA, PAGE, self->shared, self->fd, PAGE));
	ASSERT_OK(vm_unbind(&self->vm, 1));
	EXPECT_ERRNO(EBUSY, vm_bind(&other, 1, GPA, PAGE, self->shared, self->fd, PAGE));
	EXPECT_OK(BIND(1, GPA, PAGE, PAGE));
	vm_destroy(&other);
}

/* R2: also when the first VM is gone, and another one lies where it lay */
TEST_F(bind, r2_second_vm_after_the_first)
{
	int i;

	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	vm_destroy(&self->vm);
	EXPECT_EQ(0, guest_bound(self->fd));
	for (i = 0; i < 4; i++) {
		ASSERT_OK(vm_create(&self->vm, 1));
		EXPECT_ERRNO(EBUSY, BIND(1, GPA, SIZE, 0));
		vm_destroy(&self->vm);
	}
	EXPECT_EQ(0, guest_bound(self->fd));
}

/* C17: nor does one that KVM fails after it has bound the file. */
TEST_F(bind, c17_failed_slot_claims_nothing)
{
	struct vm other;

	EXPECT_ERRNO(EINVAL, BIND(1, 1ULL << 62, SIZE, 0));
	EXPECT_EQ(0, guest_bound(self->fd));
	ASSERT_OK(vm_create(&other, 1));
	EXPECT_OK(vm_bind(&other, 1, GPA, SIZE, self->shared, self->fd, 0));
	EXPECT_ERRNO(EBUSY, BIND(1, GPA, SIZE, 0));
	vm_destroy(&other);
}

/* A failed bind claims nothing. */
TEST_F(bind, failed_bind_claims_nothing)
{
	struct vm other;

	ASSERT_OK(vm_create(&other, 1));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, SIZE, PAGE));
	EXPECT_OK(vm_bind(&other, 1, GPA, SIZE, self->shared, self->fd, 0));
	vm_destroy(&other);
}

/* C16: an inherited descriptor in a VM of the child's own */
TEST_F(bind, c16_forked_child)
{
	struct vm own;
	pid_t pid = fork();

	if (!pid) {
		if (vm_create(&own, 1))
			_exit(100);
		_exit(ERRNO(vm_bind(&own, 1, GPA, PAGE, self->shared, self->fd, 0)));
	}
	EXPECT_EQ(EPERM, wait_child(pid));
	EXPECT_OK(BIND(1, GPA, PAGE, 0));
}

/* C16: in the owner's VM KVM itself says no */
TEST_F(bind, c16_forked_child_same_vm)
{
	pid_t pid = fork();

	if (!pid)
		_exit(ERRNO(BIND(1, GPA, PAGE, 0)));
	EXPECT_EQ(EIO, wait_child(pid));
	EXPECT_EQ(0, guest_bound(self->fd));
}

/* C6: neither moved, nor resized, nor turned into something else */
TEST_F(bind, c6_modify)
{
	struct kvm_userspace_memory_region2 plain = {
		.slot = 1, .guest_phys_addr = GPA, .memory_size = 8 * PAGE,
		.userspace_addr = (uintptr_t)self->shared,
	};

	ASSERT_OK(BIND(1, GPA, 8 * PAGE, 0));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, 8 * PAGE, 0));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA + SIZE, 8 * PAGE, 0));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, 16 * PAGE, 0));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, 4 * PAGE, 0));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, 8 * PAGE, 8 * PAGE));
	EXPECT_ERRNO(EINVAL, vm_set_slot(self->vm.fd, &plain));
	plain.guest_phys_addr += SIZE;
	EXPECT_ERRNO(EINVAL, vm_set_slot(self->vm.fd, &plain));
	EXPECT_EQ(1, guest_bound(self->fd));
}

/* C6: an ordinary slot becomes no private one */
TEST_F(bind, c6_make_private)
{
	struct kvm_userspace_memory_region2 plain = {
		.slot = 1, .guest_phys_addr = GPA, .memory_size = 8 * PAGE,
		.userspace_addr = (uintptr_t)self->shared,
	};

	ASSERT_OK(vm_set_slot(self->vm.fd, &plain));
	EXPECT_ERRNO(EINVAL, BIND(1, GPA, 8 * PAGE, 0));
	EXPECT_EQ(0, guest_bound(self->fd));
}

TEST_F(bind, c6_delete_and_bind_again)
{
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_OK(BIND(1, GPA + i * SIZE, SIZE / 2, (i & 1) * SIZE / 2));
		ASSERT_OK(vm_unbind(&self->vm, 1));
	}
	EXPECT_ERRNO(EINVAL, vm_unbind(&self->vm, 1));
	EXPECT_EQ(0, guest_bound(self->fd));
}

/* The descriptor's number is nothing to the binding: dup, close, reuse. */
TEST_F(bind, other_descriptor_same_file)
{
	int fd = dup(self->fd);

	ASSERT_LE(0, fd);
	ASSERT_OK(BIND(1, GPA, PAGE, 0));
	EXPECT_ERRNO(EEXIST, vm_bind(&self->vm, 2, GPA + SIZE, PAGE, self->shared, fd, 0));
	EXPECT_OK(vm_bind(&self->vm, 2, GPA + SIZE, PAGE, self->shared, fd, PAGE));
	close(fd);
	EXPECT_EQ(2, guest_bound(self->fd));
}

/* Two files in one VM */
TEST_F(bind, two_files)
{
	int fd = guest_create(MFD_GUEST_MOVABLE, SIZE);

	ASSERT_LE(0, fd);
	EXPECT_OK(BIND(1, GPA, SIZE, 0));
	EXPECT_OK(vm_bind(&self->vm, 2, GPA + SIZE, SIZE, self->shared, fd, 0));
	EXPECT_EQ(1, guest_bound(self->fd));
	EXPECT_EQ(1, guest_bound(fd));
	close(fd);
}

/* A native guest_memfd beside a guest file */
TEST_F(bind, native_beside)
{
	struct kvm_create_guest_memfd native = { .size = SIZE };
	int fd = ioctl(self->vm.fd, KVM_CREATE_GUEST_MEMFD, &native);

	ASSERT_LE(0, fd);
	EXPECT_OK(BIND(1, GPA, SIZE, 0));
	EXPECT_OK(vm_bind(&self->vm, 2, GPA + SIZE, SIZE, self->shared, fd, 0));
	EXPECT_EQ(1, guest_bound(self->fd));
	close(fd);
}

/* R1: sealed by fcntl, it is the same */
TEST_F(bind, r1_sealed_by_fcntl)
{
	int fd = memfd(MFD_ALLOW_SEALING);

	ASSERT_LE(0, fd);
	ASSERT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GUEST));
	ASSERT_OK(ftruncate(fd, SIZE));
	EXPECT_OK(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, fd, 0));
	EXPECT_EQ(1, guest_bound(fd));
	close(fd);
}

/* A hugetlb store is there when its pool is, were it empty. */
static int stores(void)
{
	int mask = KVM_GUESTMEM_STORE_SHMEM;

	if (!access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK))
		mask |= KVM_GUESTMEM_STORE_HUGETLB_2M;
	if (!access("/sys/kernel/mm/hugepages/hugepages-1048576kB", F_OK))
		mask |= KVM_GUESTMEM_STORE_HUGETLB_1G;
	return mask;
}

TEST_F(bind, r20_capability)
{
	int kvm = open("/dev/kvm", O_RDWR), plain = vm_create_bare(KVM_X86_DEFAULT_VM);

	ASSERT_LE(0, kvm);
	ASSERT_LE(0, plain);
	EXPECT_EQ(stores(), ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_GUESTMEM));
	EXPECT_EQ(stores(), ioctl(self->vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_GUESTMEM));
	EXPECT_EQ(0, ioctl(plain, KVM_CHECK_EXTENSION, KVM_CAP_GUESTMEM));
	close(plain);
	close(kvm);
}

TEST_HARNESS_MAIN
