// SPDX-License-Identifier: GPL-2.0
/*
 * Every point at which an operation can run out of memory (C17, R17): it is
 * made to fail at its first, second, ... such point until it succeeds without
 * having met the failure. Each time it either did what it was asked or nothing
 * at all. That the kernel has nothing to say about it (lockdep, KASAN) is for
 * the runner to see.
 */
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR	16UL
#define SIZE	(NR * PAGE)
#define GPA	VM_DATA_GPA
#define SEED	0xfa110000
#define STATS	"/sys/kernel/debug/guestmem/stats"
#define LIMIT	1000

FIXTURE(inject) {
	struct vm vm;
	int fd;
	void *shared;
	long files, bindings;
};

FIXTURE_SETUP(inject)
{
	self->fd = -1;
	self->vm.fd = -1;
	if (fail_nth_setup())
		SKIP(return, "no fault injection");
	ASSERT_OK(vm_create(&self->vm, 1));
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	self->shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, self->shared);
	self->files = file_number(STATS, "files");
	self->bindings = file_number(STATS, "bindings");
	ASSERT_LE(1, self->files);
}

FIXTURE_TEARDOWN(inject)
{
	vm_destroy(&self->vm);
	close(self->fd);
}

#define GUEST(op, gpa, size, value) guest_do(&self->vm, 0, op, gpa, size, value)

/* The errors that injection makes: no memory, or no access to the arguments */
static bool injected(int err)
{
	return err == ENOMEM || err == EFAULT;
}

/* C17: a slot with a guest file */
TEST_F_TIMEOUT(inject, c17_bind, SLOW)
{
	unsigned int nth, failures = 0;
	bool hit = true;
	int err;

	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, self->fd, 0));
		hit = fail_nth_disarm();
		if (err) {
			EXPECT_TRUE(hit && injected(err))
				TH_LOG("point %u: errno %d", nth, err);
			EXPECT_EQ(0, guest_bound(self->fd));
			EXPECT_EQ(self->bindings, file_number(STATS, "bindings"));
			failures++;
			continue;
		}
		EXPECT_EQ(1, guest_bound(self->fd));
		EXPECT_OK(vm_unbind(&self->vm, 1));
	}
	EXPECT_LT(0, failures);
	EXPECT_FALSE(hit);
	/* and what never succeeded before does so now */
	EXPECT_OK(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, self->fd, 0));
}

/* C17: a failed first bind makes the file nobody's. */
TEST_F_TIMEOUT(inject, c17_failed_bind_and_second_vm, SLOW)
{
	struct vm other;
	unsigned int nth;
	int err = 0;

	for (nth = 1; nth < LIMIT && !err; nth++) {
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, self->fd, 0));
		fail_nth_disarm();
		if (!err)
			break;
		ASSERT_EQ(0, guest_bound(self->fd));
		ASSERT_OK(vm_create(&other, 1));
		EXPECT_OK(vm_bind(&other, 1, GPA, SIZE, self->shared, self->fd, 0));
		vm_destroy(&other);
		close(self->fd);
		self->fd = guest_create(0, SIZE);
		ASSERT_LE(0, self->fd);
		err = 0;
	}
	EXPECT_LT(1, nth);
}

/* R17: making a guest file */
TEST_F_TIMEOUT(inject, r17_memfd_create, SLOW)
{
	unsigned int nth, failures = 0;
	bool hit = true;
	int fd, err;

	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(fd = memfd(MFD_GUEST));
		hit = fail_nth_disarm();
		if (!err) {
			close(fd);
			continue;
		}
		failures++;
		EXPECT_TRUE(hit && (injected(err) || err == ENFILE || err == ENOSPC))
			TH_LOG("point %u: errno %d", nth, err);
		EXPECT_EQ(self->files, file_number(STATS, "files"));
	}
	EXPECT_LT(0, failures);
	EXPECT_FALSE(hit);
	EXPECT_EQ(self->files, file_number(STATS, "files"));
}

/* R17: sealing leaves a memfd that can be sealed. */
TEST_F_TIMEOUT(inject, r17_seal, SLOW)
{
	unsigned int nth, failures = 0;
	bool hit = true;
	int fd, err;

	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		fd = memfd(MFD_ALLOW_SEALING);
		ASSERT_LE(0, fd);
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GUEST));
		hit = fail_nth_disarm();
		if (err) {
			failures++;
			EXPECT_TRUE(hit && err == ENOMEM)
				TH_LOG("point %u: errno %d", nth, err);
			EXPECT_EQ(0, fcntl(fd, F_GET_SEALS));
			EXPECT_EQ(1, pwrite(fd, "x", 1, 0));
			ASSERT_OK(ftruncate(fd, 0));
			EXPECT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GUEST));
		}
		close(fd);
	}
	EXPECT_LT(0, failures);
	EXPECT_FALSE(hit);
}

/* R17: a fault that fails leaves no half of a page, and works the next time. */
TEST_F_TIMEOUT(inject, r17_prefault, SLOW)
{
	unsigned int nth, failures = 0;
	bool hit = true;
	int err;

	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(vm_prefault(&self->vm, 0, GPA, PAGE, NULL));
		hit = fail_nth_disarm();
		if (err) {
			failures++;
			EXPECT_TRUE(hit && injected(err))
				TH_LOG("point %u: errno %d", nth, err);
		}
		EXPECT_GE(1, file_pages(self->fd));
		EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA, PAGE, 0));
		ASSERT_OK(punch(self->fd, 0, PAGE));
		EXPECT_EQ(0, file_pages(self->fd));
	}
	EXPECT_LT(0, failures);
	EXPECT_FALSE(hit);
}

/* R17, C18: a conversion that fails leaves every page what it was. */
TEST_F_TIMEOUT(inject, r17_convert, SLOW)
{
	unsigned int nth, failures = 0;
	bool hit = true;
	int err;

	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, GUEST(GUEST_STAMP, GPA, SIZE, SEED));
	memset(self->shared, 0xee, SIZE);
	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(vm_set_shared(&self->vm, GPA + PAGE, SIZE - 2 * PAGE));
		hit = fail_nth_disarm();
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, PAGE, SEED));
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + SIZE - PAGE, PAGE, SEED));
		if (err) {
			failures++;
			EXPECT_TRUE(hit && injected(err))
				TH_LOG("point %u: errno %d", nth, err);
			EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
			continue;
		}
		EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + PAGE, SIZE - 2 * PAGE, 0xeeeeeeee));
		ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
	}
	EXPECT_LT(0, failures);
	EXPECT_FALSE(hit);
}

/* Invariant 4: what takes memory away does not fail for want of it. */
TEST_F_TIMEOUT(inject, r17_punch_cannot_fail, SLOW)
{
	unsigned int nth;
	bool hit = true;

	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		ASSERT_EQ(0, GUEST(GUEST_STAMP, GPA, SIZE, SEED));
		ASSERT_OK(fail_nth_arm(nth));
		EXPECT_OK(punch(self->fd, PAGE, SIZE - 2 * PAGE));
		hit = fail_nth_disarm();
		EXPECT_EQ(2, file_pages(self->fd));
		EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + PAGE, SIZE - 2 * PAGE, 0));
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, PAGE, SEED));
	}
	EXPECT_FALSE(hit);
}

TEST_HARNESS_MAIN
