// SPDX-License-Identifier: GPL-2.0
/*
 * A guest on a guest file: what its vCPUs find there, through which slot and
 * offset (C4), what the host cannot see (R4), KVM_PRE_FAULT_MEMORY, and that
 * nothing the host does to its caches loses guest data (C19, R12).
 */
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR	64UL
#define SIZE	(NR * PAGE)
#define GPA	VM_DATA_GPA
#define SEED	0x5eed0001

FIXTURE(fault) {
	struct vm vm;
	int fd;
	char *shared;
};

FIXTURE_VARIANT(fault) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(fault, shmem) { .flags = 0 };
FIXTURE_VARIANT_ADD(fault, movable) { .flags = MFD_GUEST_MOVABLE };
FIXTURE_VARIANT_ADD(fault, small) { .flags = MFD_GUEST_NOHUGEPAGE };

FIXTURE_SETUP(fault)
{
	ASSERT_OK(vm_create(&self->vm, 1));
	self->fd = guest_create(variant->flags, SIZE);
	ASSERT_LE(0, self->fd);
	self->shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->shared);
}

FIXTURE_TEARDOWN(fault)
{
	vm_destroy(&self->vm);
	close(self->fd);
}

#define BIND(slot, gpa, size, offset) \
	vm_bind(&self->vm, slot, gpa, size, self->shared, self->fd, offset)
#define GUEST(op, gpa, size, value) guest_do(&self->vm, 0, op, gpa, size, value)

/* R4: private data is in the file and not in the host's mapping */
TEST_F(fault, r4_private_data)
{
	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	memset(self->shared, 0xcc, SIZE);
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA, SIZE, 0));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA, SIZE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
	EXPECT_EQ(NR, file_pages(self->fd));
	EXPECT_EQ((char)0xcc, self->shared[0]);
	EXPECT_EQ((char)0xcc, self->shared[SIZE - 1]);
}

/* Shared by default: the guest uses the mapping, the file stays empty. */
TEST_F(fault, shared_data)
{
	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	EXPECT_EQ(0, GUEST(GUEST_FILL, GPA, SIZE, 0x11223344));
	EXPECT_EQ(0x11223344, *(__u32 *)self->shared);
	EXPECT_EQ(0x11223344, *(__u32 *)(self->shared + SIZE - 4));
	EXPECT_EQ(0, file_pages(self->fd));
}

/* A first read sees zeroes and holds a page of its own. */
TEST_F(fault, read_fault_allocates_zero)
{
	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + 5 * PAGE, PAGE, 0));
	EXPECT_EQ(1, file_pages(self->fd));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA + 5 * PAGE, PAGE, SEED));
	EXPECT_EQ(1, file_pages(self->fd));
}

/* C4: first and last page of slots inside the file */
TEST_F(fault, c4_slot_offsets)
{
	ASSERT_OK(BIND(1, GPA, 4 * PAGE, 8 * PAGE));
	ASSERT_OK(BIND(2, GPA + SIZE, 3 * PAGE, 60 * PAGE));
	ASSERT_OK(vm_set_private(&self->vm, GPA, 2 * SIZE));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA, PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA + 3 * PAGE, PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA + SIZE, PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA + SIZE + 2 * PAGE, PAGE, SEED));
	/* exactly these four pages of the file */
	EXPECT_EQ(4, file_pages(self->fd));
	ASSERT_OK(punch(self->fd, 8 * PAGE, PAGE));
	ASSERT_OK(punch(self->fd, 11 * PAGE, PAGE));
	ASSERT_OK(punch(self->fd, 60 * PAGE, PAGE));
	ASSERT_OK(punch(self->fd, 62 * PAGE, PAGE));
	EXPECT_EQ(0, file_pages(self->fd));
}

/* C4: a punch unmaps what it names in both slots, to the page */
TEST_F(fault, c4_punch_across_slots)
{
	__u64 a = GPA, b = GPA + 4 * SIZE;

	ASSERT_OK(BIND(1, a, 16 * PAGE, 16 * PAGE));
	ASSERT_OK(BIND(2, b, 16 * PAGE, 32 * PAGE));
	ASSERT_OK(vm_set_private(&self->vm, a, 16 * PAGE));
	ASSERT_OK(vm_set_private(&self->vm, b, 16 * PAGE));
	ASSERT_EQ(0, GUEST(GUEST_STAMP, a, 16 * PAGE, SEED));
	ASSERT_EQ(0, GUEST(GUEST_STAMP, b, 16 * PAGE, SEED));
	/* the last page of the first slot, the first of the second */
	ASSERT_OK(punch(self->fd, 31 * PAGE, 2 * PAGE));
	EXPECT_EQ(30, file_pages(self->fd));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, a, 15 * PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, a + 15 * PAGE, PAGE, 0));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, b, PAGE, 0));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, b + PAGE, 15 * PAGE, SEED));
	/* from before the first slot into it, and out of the second one */
	ASSERT_OK(punch(self->fd, 0, 17 * PAGE));
	ASSERT_OK(punch(self->fd, 47 * PAGE, 17 * PAGE));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, a, PAGE, 0));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, a + PAGE, 14 * PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, b + PAGE, 14 * PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, b + 15 * PAGE, PAGE, 0));
}

/* C2, C4: single pages everywhere, and nothing else goes */
TEST_F(fault, c4_punch_single_pages)
{
	static const int pages[] = { 0, 1, 31, 32, 62, 63 };
	unsigned int i;

	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		__u64 at = pages[i] * PAGE;

		ASSERT_EQ(0, GUEST(GUEST_STAMP, GPA, SIZE, SEED + i));
		ASSERT_OK(punch(self->fd, at, PAGE));
		EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + at, PAGE, 0));
		if (at)
			EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, at, SEED + i));
		if (at + PAGE < SIZE)
			EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + at + PAGE, SIZE - at - PAGE,
					   SEED + i));
	}
}

TEST_F(fault, punch_beyond_size_keeps_data)
{
	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, GUEST(GUEST_STAMP, GPA, SIZE, SEED));
	EXPECT_OK(punch(self->fd, SIZE, SIZE));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
}

/* Failed calls change nothing for the guest either. */
TEST_F(fault, refused_calls_keep_data)
{
	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, GUEST(GUEST_STAMP, GPA, SIZE, SEED));
	EXPECT_ERRNO(EINVAL, punch(self->fd, 1, PAGE));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, 0));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, SIZE / 2));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(self->fd, FALLOC_FL_ZERO_RANGE, 0, PAGE));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(self->fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE));
	EXPECT_ERRNO(EPERM, pwrite(self->fd, "x", 1, 0));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
}

/* Populating what is there leaves it alone, also when a guest runs on it. */
TEST_F(fault, populate_keeps_data)
{
	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, GUEST(GUEST_STAMP, GPA, SIZE / 2, SEED));
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE / 2, SEED));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + SIZE / 2, SIZE / 2, 0));
}

/* C19, R12: drop_caches, advice, compaction and sync under a guest */
TEST_F(fault, c19_host_caches)
{
	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, GUEST(GUEST_STAMP, GPA, SIZE, SEED));
	ASSERT_OK(write_file("/proc/sys/vm/drop_caches", "3"));
	write_file("/proc/sys/vm/compact_memory", "1");
	posix_fadvise(self->fd, 0, SIZE, POSIX_FADV_DONTNEED);
	readahead(self->fd, 0, SIZE);
	sync_file_range(self->fd, 0, SIZE, SYNC_FILE_RANGE_WRITE);
	sync();
	EXPECT_EQ(NR, file_pages(self->fd));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
}

/* A private page where no guest file is: the guest stops, with the reason. */
TEST_F(fault, private_without_file)
{
	struct kvm_userspace_memory_region2 plain = {
		.slot = 1, .guest_phys_addr = GPA, .memory_size = SIZE,
		.userspace_addr = (uintptr_t)self->shared,
	};
	struct kvm_run *run = self->vm.run[0];

	ASSERT_OK(vm_set_slot(self->vm.fd, &plain));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	EXPECT_EQ(-EFAULT, GUEST(GUEST_FILL, GPA + PAGE, PAGE, 1));
	EXPECT_EQ(KVM_EXIT_MEMORY_FAULT, run->exit_reason);
	EXPECT_EQ(GPA + PAGE, run->memory_fault.gpa);
	EXPECT_EQ(KVM_MEMORY_EXIT_FLAG_PRIVATE, run->memory_fault.flags);
}

/* The slot is gone: so is what the vCPU had mapped. */
TEST_F(fault, deleted_slot_faults)
{
	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, GUEST(GUEST_STAMP, GPA, SIZE, SEED));
	ASSERT_OK(vm_unbind(&self->vm, 1));
	EXPECT_EQ(-EFAULT, GUEST(GUEST_VERIFY, GPA, PAGE, SEED));
	/* bound again elsewhere, the data is still there */
	ASSERT_OK(BIND(1, GPA + SIZE, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA + SIZE, SIZE));
	EXPECT_EQ(NR, file_pages(self->fd));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + SIZE, PAGE, SEED ^ GPA ^ (GPA + SIZE)));
}

TEST_F(fault, prefault)
{
	__u64 left;

	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	EXPECT_OK(vm_prefault(&self->vm, 0, GPA, SIZE, &left));
	EXPECT_EQ(0, left);
	EXPECT_EQ(NR, file_pages(self->fd));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA, SIZE, 0));
}

TEST_F(fault, prefault_keeps_data)
{
	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, GUEST(GUEST_STAMP, GPA + PAGE, PAGE, SEED));
	EXPECT_OK(vm_prefault(&self->vm, 0, GPA, SIZE, NULL));
	EXPECT_OK(vm_prefault(&self->vm, 0, GPA, SIZE, NULL));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + PAGE, PAGE, SEED));
	EXPECT_EQ(NR, file_pages(self->fd));
}

/* Part of a range done is success, with what is left. */
TEST_F(fault, prefault_into_a_hole)
{
	__u64 left;

	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, 2 * SIZE));
	EXPECT_OK(vm_prefault(&self->vm, 0, GPA, 2 * SIZE, &left));
	EXPECT_EQ(SIZE, left);
	EXPECT_NE(0, ERRNO(vm_prefault(&self->vm, 0, GPA + SIZE, PAGE, &left)));
	EXPECT_EQ(PAGE, left);
}

TEST_F(fault, prefault_errors)
{
	ASSERT_OK(BIND(1, GPA, SIZE, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	EXPECT_ERRNO(EINVAL, vm_prefault(&self->vm, 0, GPA + 1, PAGE, NULL));
	EXPECT_ERRNO(EINVAL, vm_prefault(&self->vm, 0, GPA, PAGE - 1, NULL));
	EXPECT_ERRNO(EINVAL, vm_prefault(&self->vm, 0, GPA, 0, NULL));
	EXPECT_ERRNO(EINVAL, vm_prefault(&self->vm, 0, -PAGE, PAGE, NULL));
	EXPECT_EQ(0, file_pages(self->fd));
}

/* A slot across a 2M boundary, at an offset that fits neither */
TEST_F(fault, unaligned_slot_in_2m)
{
	__u64 gpa = GPA + 2 * SZ_1M - 8 * PAGE;

	ASSERT_OK(BIND(1, gpa, 16 * PAGE, 3 * PAGE));
	ASSERT_OK(vm_set_private(&self->vm, gpa, 16 * PAGE));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, gpa, 16 * PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, gpa, 16 * PAGE, SEED));
	EXPECT_EQ(16, file_pages(self->fd));
}

TEST_HARNESS_MAIN
