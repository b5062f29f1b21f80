// SPDX-License-Identifier: GPL-2.0
/*
 * Every point at which an operation on a TD can run out of memory (R17): it fails there,
 * and has changed nothing, or it succeeds.  The software module allocates too; what it
 * has no memory for now is tried again, as on hardware what it has no entropy for.
 */
#include <stdio.h>

#include "guestmem_huge.h"
#include "guestmem_tdx.h"
#include "../kselftest_harness.h"

#define SIZE	(2 * SZ_2M)
#define GPA	(64 * SZ_2M)
#define LIMIT	2000

FIXTURE(fail) {
	struct vm vm;
	int fd;
};

FIXTURE_SETUP(fail)
{
	void *shared = shared_alloc(SIZE);

	self->vm.fd = -1;
	self->fd = -1;
	if (fail_nth_setup())
		SKIP(return, "no fault injection");
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_OK(tdx_create(&self->vm, 1));
	self->fd = guest_create(MFD_GUEST_MOVABLE, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE, shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_OK(tdx_finalize(self->vm.fd));
}

FIXTURE_TEARDOWN(fail)
{
	if (self->vm.fd >= 0)
		tdx_destroy(&self->vm);
	close(self->fd);
	EXPECT_EQ(0, tdx_misuse());
}

static int prefault(struct vm *vm)
{
	struct kvm_pre_fault_memory range = { .gpa = GPA, .size = SIZE };
	int ret;

	do {
		ret = ioctl(vm->vcpu[0], KVM_PRE_FAULT_MEMORY, &range);
	} while (!ret && range.size);
	return ret;
}

/* The errors that injection makes: no memory, or no access to the arguments */
static bool injected(int err)
{
	return err == ENOMEM || err == EFAULT;
}

TEST_F_TIMEOUT(fail, r17_init_vm, SLOW)
{
	unsigned int nth, failures = 0;
	bool hit = true;
	int fd, err;

	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		fd = vm_create_bare(KVM_X86_TDX_VM);
		ASSERT_LE(0, fd);
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(tdx_init_vm(fd));
		hit = fail_nth_disarm();
		if (err) {
			EXPECT_TRUE(hit && injected(err))
				TH_LOG("point %u: errno %d", nth, err);
			/* it can be done again: a copy to user space that fails comes last */
			EXPECT_TRUE(!ERRNO(tdx_init_vm(fd)) || err == EFAULT);
			failures++;
		}
		close(fd);
	}
	EXPECT_LT(3, failures);
	EXPECT_FALSE(hit);
}

TEST_F_TIMEOUT(fail, r17_init_vcpu, SLOW)
{
	unsigned int nth, failures = 0;
	bool hit = true;
	int fd, vcpu, err;

	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		fd = vm_create_bare(KVM_X86_TDX_VM);
		ASSERT_LE(0, fd);
		ASSERT_OK(tdx_init_vm(fd));
		vcpu = ioctl(fd, KVM_CREATE_VCPU, 0);
		ASSERT_LE(0, vcpu);
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(tdx_init_vcpu(vcpu));
		hit = fail_nth_disarm();
		if (err) {
			EXPECT_TRUE(hit && injected(err))
				TH_LOG("point %u: errno %d", nth, err);
			EXPECT_TRUE(!ERRNO(tdx_init_vcpu(vcpu)) || err == EFAULT);
			EXPECT_OK(tdx_finalize(fd));
			failures++;
		}
		close(vcpu);
		close(fd);
	}
	EXPECT_LT(3, failures);
	EXPECT_FALSE(hit);
}

TEST_F_TIMEOUT(fail, r17_prefault, SLOW)
{
	unsigned int nth, failures = 0;
	bool hit = true;
	int err;

	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		ASSERT_OK(punch(self->fd, 0, SIZE));
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(prefault(&self->vm));
		hit = fail_nth_disarm();
		failures += !!err;
		if (err)
			EXPECT_TRUE(hit && injected(err))
				TH_LOG("point %u: errno %d", nth, err);
		EXPECT_OK(prefault(&self->vm));
		EXPECT_EQ(SIZE, tdx_mapped());
	}
	EXPECT_LT(1, failures);
	EXPECT_FALSE(hit);
}

/* A conversion that splits: all of the pages are there, or those that were converted go. */
TEST_F_TIMEOUT(fail, r17_convert, SLOW)
{
	unsigned int nth, failures = 0;
	bool hit = true;
	int err;

	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		ASSERT_OK(punch(self->fd, 0, SIZE));
		ASSERT_OK(prefault(&self->vm));
		ASSERT_EQ(2, tdx_stat("pages_2m"));
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(vm_set_shared(&self->vm, GPA + 3 * PAGE, 2 * PAGE));
		hit = fail_nth_disarm();
		if (err) {
			EXPECT_TRUE(hit && injected(err))
				TH_LOG("point %u: errno %d", nth, err);
			EXPECT_EQ(2, tdx_stat("pages_2m"));
			failures++;
			continue;
		}
		EXPECT_EQ(SIZE - 2 * PAGE, tdx_mapped());
		ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	}
	EXPECT_LT(1, failures);
	EXPECT_FALSE(hit);
}

TEST_F_TIMEOUT(fail, r17_punch, SLOW)
{
	unsigned int nth, failures = 0;
	bool hit = true;
	int err;

	for (nth = 1; hit && nth < LIMIT && !_metadata->exit_code; nth++) {
		ASSERT_OK(punch(self->fd, 0, SIZE));
		ASSERT_OK(prefault(&self->vm));
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(punch(self->fd, 3 * PAGE, PAGE));
		hit = fail_nth_disarm();
		failures += !!err;
		EXPECT_TRUE(!err || (hit && injected(err)))
			TH_LOG("point %u: errno %d", nth, err);
		EXPECT_EQ(err ? SIZE : SIZE - PAGE, tdx_mapped());
	}
	EXPECT_LT(1, failures);
	EXPECT_FALSE(hit);
}

TEST_HARNESS_MAIN
