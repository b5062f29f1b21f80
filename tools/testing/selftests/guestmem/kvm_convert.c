// SPDX-License-Identifier: GPL-2.0
/*
 * Private <-> shared conversion by KVM_SET_MEMORY_ATTRIBUTES on guest files:
 * each page ends in the asked state, whatever the range spans (C18), and the
 * data of its neighbours survives byte for byte (R4, C4).
 */
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR	64UL
#define SIZE	(NR * PAGE)
#define GPA	VM_DATA_GPA
#define SEED	0xc0ffee00
#define SHARED	0xabababab

FIXTURE(convert) {
	struct vm vm;
	int fd;
	char *shared;
};

/* The file in two slots that are neighbours in the guest, exchanged in the file */
FIXTURE_SETUP(convert)
{
	ASSERT_OK(vm_create(&self->vm, 1));
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	self->shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->shared);
	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE / 2, self->shared, self->fd, SIZE / 2));
	ASSERT_OK(vm_bind(&self->vm, 2, GPA + SIZE / 2, SIZE / 2, self->shared + SIZE / 2,
			  self->fd, 0));
	memset(self->shared, 0xab, SIZE);
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, guest_do(&self->vm, 0, GUEST_STAMP, GPA, SIZE, SEED));
}

FIXTURE_TEARDOWN(convert)
{
	vm_destroy(&self->vm);
	close(self->fd);
}

#define GUEST(op, gpa, size, value) guest_do(&self->vm, 0, op, gpa, size, value)

/* File offset of a guest address */
static __u64 offset_of(__u64 gpa)
{
	return (gpa - GPA + SIZE / 2) % SIZE;
}

/* [from, to) of the guest's pages is shared, everything else private data. */
static void expect_state(struct __test_metadata *_metadata, struct vm *vm,
			 unsigned long from, unsigned long to)
{
	if (from)
		EXPECT_EQ(0, guest_do(vm, 0, GUEST_VERIFY, GPA, from * PAGE, SEED));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_CHECK, GPA + from * PAGE, (to - from) * PAGE, SHARED))
		TH_LOG("at %#lx", (unsigned long)vm->bad_gpa[0]);
	if (to < NR)
		EXPECT_EQ(0, guest_do(vm, 0, GUEST_VERIFY, GPA + to * PAGE, (NR - to) * PAGE,
				      SEED));
}

/* R4, C4, C18: to the page, within slots, at their ends, and across them */
TEST_F(convert, r4_neighbours_survive)
{
	static const unsigned int range[][2] = {
		{ 0, 1 }, { 1, 2 }, { 31, 32 }, { 32, 33 }, { 31, 33 }, { 63, 64 },
		{ 0, 32 }, { 32, 64 }, { 16, 48 }, { 1, 63 }, { 0, 64 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(range); i++) {
		__u64 gpa = GPA + range[i][0] * PAGE;
		__u64 size = (range[i][1] - range[i][0]) * PAGE;

		ASSERT_OK(vm_set_shared(&self->vm, gpa, size));
		expect_state(_metadata, &self->vm, range[i][0], range[i][1]);
		ASSERT_OK(vm_set_private(&self->vm, gpa, size));
		ASSERT_EQ(0, GUEST(GUEST_STAMP, gpa, size, SEED));
		EXPECT_EQ((char)0xab, self->shared[range[i][0] * PAGE]);
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
	}
	EXPECT_EQ(NR, file_pages(self->fd));
}

/* What a VMM does: convert, then punch what is no longer private. */
TEST_F(convert, r4_punched_reads_zero)
{
	__u64 gpa = GPA + 30 * PAGE;
	unsigned int i;

	ASSERT_OK(vm_set_shared(&self->vm, gpa, 4 * PAGE));
	for (i = 0; i < 4; i++)
		ASSERT_OK(punch(self->fd, offset_of(gpa + i * PAGE), PAGE));
	EXPECT_EQ(NR - 4, file_pages(self->fd));
	expect_state(_metadata, &self->vm, 30, 34);
	ASSERT_OK(vm_set_private(&self->vm, gpa, 4 * PAGE));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, gpa, 4 * PAGE, 0));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, 30 * PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + 34 * PAGE, 30 * PAGE, SEED));
	EXPECT_EQ(NR, file_pages(self->fd));
}

/* Shared data and private data of one address are two things. */
TEST_F(convert, two_sides)
{
	ASSERT_OK(vm_set_shared(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, GUEST(GUEST_FILL, GPA, SIZE, 0x77777777));
	EXPECT_EQ(0x77, self->shared[SIZE - 1]);
	EXPECT_EQ(NR, file_pages(self->fd));
	memset(self->shared, 0x55, SIZE);
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA, SIZE, 0x55555555));
}

/* The same state again is no conversion. */
TEST_F(convert, same_state_keeps_data)
{
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_OK(vm_set_private(&self->vm, GPA + i * PAGE, SIZE / 2));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
	ASSERT_OK(vm_set_private(&self->vm, GPA - 16 * PAGE, SIZE + 32 * PAGE));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
}

/* C18: page by page, a checkerboard */
TEST_F(convert, c18_checkerboard)
{
	unsigned int i;

	for (i = 0; i < NR; i += 2)
		ASSERT_OK(vm_set_shared(&self->vm, GPA + i * PAGE, PAGE));
	for (i = 0; i < NR; i += 2) {
		EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + i * PAGE, PAGE, SHARED));
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + (i + 1) * PAGE, PAGE, SEED));
	}
	/* one call makes all of it one state */
	ASSERT_OK(vm_set_shared(&self->vm, GPA, SIZE));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA, SIZE, SHARED));
}

/* C18: holes in the file, a hole in the guest's addresses, then a third slot */
TEST_F(convert, c18_holes)
{
	__u64 beyond = GPA + SIZE + 16 * PAGE;

	ASSERT_OK(punch(self->fd, offset_of(GPA + 10 * PAGE), 4 * PAGE));
	ASSERT_OK(vm_unbind(&self->vm, 2));
	ASSERT_OK(vm_bind(&self->vm, 2, beyond, SIZE / 2, self->shared + SIZE / 2, self->fd, 0));
	ASSERT_OK(vm_set_shared(&self->vm, GPA, beyond + SIZE / 2 - GPA));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA, SIZE / 2, SHARED));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, beyond, SIZE / 2, SHARED));
	ASSERT_OK(vm_set_private(&self->vm, GPA + PAGE, beyond - GPA));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA, PAGE, SHARED));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA + PAGE, SIZE / 2 - PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, beyond, PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, beyond + PAGE, SIZE / 2 - PAGE, SHARED));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + PAGE, SIZE / 2 - PAGE, SEED));
}

/* Attributes may come before the slot. */
TEST_F(convert, before_the_slot)
{
	__u64 gpa = GPA + 4 * SIZE;
	int fd = guest_create(0, SIZE);

	ASSERT_LE(0, fd);
	ASSERT_OK(vm_set_private(&self->vm, gpa + PAGE, PAGE));
	ASSERT_OK(vm_bind(&self->vm, 3, gpa, SIZE, self->shared, fd, 0));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, gpa, PAGE, SHARED));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, gpa + PAGE, PAGE, 0));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, gpa + 2 * PAGE, PAGE, SHARED));
	EXPECT_EQ(1, file_pages(fd));
	close(fd);
}

/* C15, R20: what is refused changes nothing. */
TEST_F(convert, c15_refused)
{
	struct vm *vm = &self->vm;
	struct kvm_memory_attributes attrs = { .address = GPA, .size = PAGE, .flags = 1 };

	EXPECT_ERRNO(EINVAL, vm_set_shared(vm, GPA + 1, PAGE));
	EXPECT_ERRNO(EINVAL, vm_set_shared(vm, GPA, PAGE + 1));
	EXPECT_ERRNO(EINVAL, vm_set_shared(vm, GPA, 0));
	EXPECT_ERRNO(EINVAL, vm_set_shared(vm, -PAGE, 2 * PAGE));
	EXPECT_ERRNO(EINVAL, vm_set_attributes(vm, GPA, PAGE, 1));
	EXPECT_ERRNO(EINVAL, vm_set_attributes(vm, GPA, PAGE, 1ULL << 63));
	EXPECT_ERRNO(EINVAL, ioctl(vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &attrs));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
}

/* A pre-fault follows the attribute: shared memory takes nothing of the file. */
TEST_F(convert, prefault_follows)
{
	ASSERT_OK(vm_set_shared(&self->vm, GPA, SIZE));
	ASSERT_OK(punch(self->fd, 0, SIZE));
	EXPECT_OK(vm_prefault(&self->vm, 0, GPA, SIZE, NULL));
	EXPECT_EQ(0, file_pages(self->fd));
	ASSERT_OK(vm_set_private(&self->vm, GPA + 8 * PAGE, PAGE));
	EXPECT_OK(vm_prefault(&self->vm, 0, GPA, SIZE, NULL));
	EXPECT_EQ(1, file_pages(self->fd));
}

TEST_HARNESS_MAIN
