// SPDX-License-Identifier: GPL-2.0
/*
 * VMs that are TDs: every ioctl with every errno, in every wrong order; memory of guest
 * files in the S-EPT by prefault, with content, converted, punched, and the end at any
 * point.  The module's own counter says whether KVM has ever lost track (misuse).
 *
 * vCPUs do not run here.
 */
#include <stdio.h>

#include "guestmem_huge.h"
#include "guestmem_tdx.h"
#include "../kselftest_harness.h"

#define SIZE	(4 * SZ_2M)
#define GPA	(64 * SZ_2M)

/* --- ioctls --------------------------------------------------------------- */

FIXTURE(ioctl) {
	struct vm vm;
};

FIXTURE_SETUP(ioctl)
{
	memset(&self->vm, 0, sizeof(self->vm));
	self->vm.fd = vm_create_bare(KVM_X86_TDX_VM);
	ASSERT_LE(0, self->vm.fd);
}

FIXTURE_TEARDOWN(ioctl)
{
	close(self->vm.fd);
	EXPECT_EQ(0, tdx_misuse());
}

TEST_F(ioctl, vm_type)
{
	EXPECT_EQ(1 << KVM_X86_TDX_VM, ioctl(self->vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_VM_TYPES) &
				       1 << KVM_X86_TDX_VM);
	EXPECT_EQ(KVM_MEMORY_ATTRIBUTE_PRIVATE,
		  ioctl(self->vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_MEMORY_ATTRIBUTES));
	EXPECT_LT(0, ioctl(self->vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_GUESTMEM));
}

TEST_F(ioctl, capabilities)
{
	struct tdx_caps caps;
	unsigned int i;

	ASSERT_OK(tdx_capabilities(self->vm.fd, &caps));
	EXPECT_EQ(TDX_SEPT_VE_DISABLE, caps.caps.supported_attrs & TDX_SEPT_VE_DISABLE);
	EXPECT_EQ(TDX_XFAM, caps.caps.supported_xfam & TDX_XFAM);
	EXPECT_LT(0, caps.caps.cpuid.nent);
	EXPECT_GT(TDX_MAX_CPUID, caps.caps.cpuid.nent);
	for (i = 0; i < 250; i++)
		EXPECT_EQ(0, caps.caps.reserved[i]);
}

TEST_F(ioctl, capabilities_errors)
{
	struct tdx_caps caps = {};

	caps.caps.cpuid.nent = 1;
	EXPECT_ERRNO(E2BIG, tdx_cmd(self->vm.fd, KVM_TDX_CAPABILITIES, 0, (uintptr_t)&caps));
	caps.caps.cpuid.nent = TDX_MAX_CPUID;
	EXPECT_ERRNO(EINVAL, tdx_cmd(self->vm.fd, KVM_TDX_CAPABILITIES, 1, (uintptr_t)&caps));
	EXPECT_ERRNO(EFAULT, tdx_cmd(self->vm.fd, KVM_TDX_CAPABILITIES, 0, 0));
}

TEST_F(ioctl, commands)
{
	struct kvm_tdx_cmd cmd = { .id = KVM_TDX_CAPABILITIES, .hw_error = 1 };

	EXPECT_ERRNO(EINVAL, tdx_cmd(self->vm.fd, KVM_TDX_CMD_NR_MAX, 0, 0));
	EXPECT_ERRNO(EINVAL, tdx_cmd(self->vm.fd, KVM_TDX_INIT_VCPU, 0, 0));
	EXPECT_ERRNO(EINVAL, tdx_cmd(self->vm.fd, KVM_TDX_INIT_MEM_REGION, 0, 0));
	EXPECT_ERRNO(EINVAL, tdx_cmd(self->vm.fd, KVM_TDX_GET_CPUID, 0, 0));
	EXPECT_ERRNO(EINVAL, ioctl(self->vm.fd, KVM_MEMORY_ENCRYPT_OP, &cmd));
	EXPECT_ERRNO(EFAULT, ioctl(self->vm.fd, KVM_MEMORY_ENCRYPT_OP, NULL));
}

/* Other VMs know nothing of it. */
TEST(other_vm)
{
	int vm = vm_create_bare(KVM_X86_SW_PROTECTED_VM), vcpu;

	ASSERT_LE(0, vm);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, vcpu);
	EXPECT_ERRNO(ENOTTY, tdx_init_vm(vm));
	EXPECT_ERRNO(EINVAL, tdx_init_vcpu(vcpu));
	close(vcpu);
	close(vm);
}

TEST_F(ioctl, init_vm_errors)
{
	struct tdx_init init = { .vm.xfam = TDX_XFAM };
	__u64 arg = (uintptr_t)&init;
	int fd = self->vm.fd;

	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_INIT_VM, 1, arg));
	EXPECT_ERRNO(EFAULT, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, 0));
	init.vm.attributes = 1ULL << 63;
	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));
	init.vm.attributes = 0;
	init.vm.xfam = 0;
	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));
	init.vm.xfam = ~0ULL;
	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));
	init.vm.xfam = TDX_XFAM;
	init.vm.reserved[11] = 1;
	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));
	init.vm.reserved[11] = 0;
	init.vm.cpuid.padding = 1;
	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));
	init.vm.cpuid.padding = 0;
	init.vm.cpuid.nent = TDX_MAX_CPUID + 1;
	EXPECT_ERRNO(E2BIG, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));
	/* a leaf that cannot be configured, and a bit that cannot */
	init.vm.cpuid.nent = 1;
	init.vm.cpuid.entries[0].function = 0x12345;
	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));
	init.vm.cpuid.entries[0].function = 1;
	init.vm.cpuid.entries[0].eax = ~0U;
	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));
	EXPECT_NE(0, tdx_status);
	/* too wide an address */
	init.vm.cpuid.entries[0] = (struct kvm_cpuid_entry2) {
		.function = 0x80000008, .eax = 57 << 16,
	};
	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));

	/* after all of that, one that is right; and no other after that */
	init.vm.cpuid.entries[0].eax = 48 << 16;
	EXPECT_OK(tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));
	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_INIT_VM, 0, arg));
}

TEST_F(ioctl, order)
{
	int fd = self->vm.fd, vcpu;

	EXPECT_ERRNO(EINVAL, tdx_finalize(fd));
	EXPECT_ERRNO(EIO, ioctl(fd, KVM_CREATE_VCPU, 0));
	ASSERT_OK(tdx_init_vm(fd));
	/* there is nobody to run */
	EXPECT_ERRNO(EIO, tdx_finalize(fd));
	EXPECT_NE(0, tdx_status);
	vcpu = ioctl(fd, KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, vcpu);
	EXPECT_ERRNO(EINVAL, tdx_init_memory(vcpu, self, GPA, 1, 0));
	EXPECT_ERRNO(EINVAL, tdx_cmd(vcpu, KVM_TDX_INIT_VCPU, 1, 0));
	EXPECT_ERRNO(EINVAL, ioctl(vcpu, KVM_RUN, 0));
	ASSERT_OK(tdx_init_vcpu(vcpu));
	EXPECT_ERRNO(EINVAL, tdx_init_vcpu(vcpu));
	EXPECT_ERRNO(EINVAL, tdx_cmd(vcpu, KVM_TDX_FINALIZE_VM, 0, 0));
	EXPECT_ERRNO(EINVAL, tdx_cmd(fd, KVM_TDX_FINALIZE_VM, 1, 0));
	ASSERT_OK(tdx_finalize(fd));
	EXPECT_ERRNO(EINVAL, tdx_finalize(fd));
	EXPECT_ERRNO(EIO, ioctl(fd, KVM_CREATE_VCPU, 1));
	EXPECT_ERRNO(EINVAL, tdx_init_memory(vcpu, self, GPA, 1, 0));
	close(vcpu);
}

TEST_F(ioctl, get_cpuid)
{
	struct tdx_init init = { .vm.xfam = TDX_XFAM };
	struct {
		struct kvm_cpuid2 cpuid;
		struct kvm_cpuid_entry2 entries[4];
	} got = {};
	int vcpu;

	init.vm.cpuid.nent = 1;
	init.vm.cpuid.entries[0].function = 0x80000008;
	init.vm.cpuid.entries[0].eax = 48 << 16;
	ASSERT_OK(tdx_cmd(self->vm.fd, KVM_TDX_INIT_VM, 0, (uintptr_t)&init));
	vcpu = ioctl(self->vm.fd, KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, vcpu);
	EXPECT_ERRNO(E2BIG, tdx_cmd(vcpu, KVM_TDX_GET_CPUID, 0, (uintptr_t)&got));
	EXPECT_EQ(1, got.cpuid.nent);
	got.cpuid.nent = 4;
	EXPECT_ERRNO(EINVAL, tdx_cmd(vcpu, KVM_TDX_GET_CPUID, 1, (uintptr_t)&got));
	EXPECT_OK(tdx_cmd(vcpu, KVM_TDX_GET_CPUID, 0, (uintptr_t)&got));
	EXPECT_EQ(1, got.cpuid.nent);
	EXPECT_EQ(0x80000008, got.entries[0].function);
	close(vcpu);
}

/* As many as there are keys, and then EBUSY; all of them come back. */
TEST(keys)
{
	int fd[64], nr = 0, i, round;

	for (round = 0; round < 2; round++) {
		for (nr = 0; nr < 64; nr++) {
			fd[nr] = vm_create_bare(KVM_X86_TDX_VM);
			ASSERT_LE(0, fd[nr]);
			if (tdx_init_vm(fd[nr]))
				break;
		}
		EXPECT_EQ(EBUSY, errno);
		EXPECT_EQ(31, nr);
		for (i = 0; i <= nr; i++)
			close(fd[i]);
	}
	EXPECT_EQ(0, tdx_misuse());
}

/* --- memory --------------------------------------------------------------- */

FIXTURE(memory) {
	struct vm vm;
	struct pool pool;
	int fd;
	char *shared;
};

FIXTURE_VARIANT(memory) {
	unsigned int flags;
	const char *size;
};

FIXTURE_VARIANT_ADD(memory, shmem) {
	.flags = MFD_GUEST_MOVABLE, .size = "2m",
};

FIXTURE_VARIANT_ADD(memory, shmem_4k) {
	.flags = MFD_GUEST_MOVABLE | MFD_GUEST_NOHUGEPAGE, .size = "4k",
};

FIXTURE_VARIANT_ADD(memory, hugetlb_2m) {
	.flags = MFD_GUEST_MOVABLE | MFD_HUGETLB | MFD_HUGE_2MB, .size = "2m",
};

FIXTURE_SETUP(memory)
{
	if (variant->flags & MFD_HUGETLB && pool_grow(&self->pool, SZ_2M, SIZE / SZ_2M))
		SKIP(return, "no huge pages to be had");
	ASSERT_OK(tdx_create(&self->vm, 1));
	self->fd = guest_create(variant->flags, SIZE);
	ASSERT_LE(0, self->fd);
	self->shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
}

FIXTURE_TEARDOWN(memory)
{
	tdx_destroy(&self->vm);
	close(self->fd);
	if (variant->flags & MFD_HUGETLB)
		pool_restore(&self->pool);
	EXPECT_EQ(0, tdx_misuse());
}

static bool large(const char *size)
{
	return !strcmp(size, "2m");
}

static long long pages(const char *size)
{
	char name[16];

	snprintf(name, sizeof(name), "pages_%s", size);
	return tdx_stat(name);
}

static int prefault(struct vm *vm, __u64 gpa, __u64 size)
{
	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = size };
	int ret;

	do {
		ret = ioctl(vm->vcpu[0], KVM_PRE_FAULT_MEMORY, &range);
	} while (!ret && range.size);
	return ret;
}

TEST_F_TIMEOUT(memory, prefault, SLOW)
{
	/* before it is finalised nothing but content goes in */
	EXPECT_ERRNO(EOPNOTSUPP, prefault(&self->vm, GPA, SIZE));
	ASSERT_OK(tdx_finalize(self->vm.fd));
	EXPECT_OK(prefault(&self->vm, GPA, SIZE));
	EXPECT_EQ(SIZE, tdx_mapped());
	EXPECT_EQ(large(variant->size) ? SIZE / SZ_2M : SIZE / PAGE, pages(variant->size));
	/* again, and what has no memory */
	EXPECT_OK(prefault(&self->vm, GPA, SIZE));
	EXPECT_EQ(SIZE, tdx_mapped());
	EXPECT_ERRNO(ENOENT, prefault(&self->vm, GPA + SIZE, PAGE));
}

TEST_F_TIMEOUT(memory, r5_convert_2m, SLOW)
{
	long long tracks, kicks;

	ASSERT_OK(tdx_finalize(self->vm.fd));
	ASSERT_OK(prefault(&self->vm, GPA, SIZE));
	tracks = tdx_stat("tracks");
	kicks = tdx_stat("kicks");
	ASSERT_OK(vm_set_shared(&self->vm, GPA + SZ_2M, SZ_2M));
	EXPECT_EQ(SIZE - SZ_2M, tdx_mapped());
	EXPECT_EQ(1, tdx_stat("tracks") - tracks);
	EXPECT_EQ(1, tdx_stat("kicks") - kicks);
	EXPECT_EQ(0, tdx_stat("splits"));
	/* again: nothing to do */
	ASSERT_OK(vm_set_shared(&self->vm, GPA + SZ_2M, SZ_2M));
	EXPECT_EQ(1, tdx_stat("tracks") - tracks);
	/* and private, which leaves the rest alone */
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	EXPECT_EQ(SIZE - SZ_2M, tdx_mapped());
	ASSERT_OK(prefault(&self->vm, GPA, SIZE));
	EXPECT_EQ(SIZE, tdx_mapped());
	EXPECT_EQ(1, tdx_stat("tracks") - tracks);
}

TEST_F_TIMEOUT(memory, r5_convert_4k_and_merge, SLOW)
{
	int i;

	if (!large(variant->size))
		SKIP(return, "nothing to split");
	ASSERT_OK(tdx_finalize(self->vm.fd));
	ASSERT_OK(prefault(&self->vm, GPA, SIZE));
	ASSERT_OK(vm_set_shared(&self->vm, GPA + SZ_2M + 5 * PAGE, PAGE));
	EXPECT_EQ(1, tdx_stat("splits"));
	EXPECT_EQ(511, pages("4k"));
	ASSERT_OK(vm_set_private(&self->vm, GPA + SZ_2M + 5 * PAGE, PAGE));
	ASSERT_OK(prefault(&self->vm, GPA, SIZE));
	EXPECT_EQ(SIZE, tdx_mapped());
	/* later, and not by who faults */
	for (i = 0; i < 100 && pages("4k"); i++)
		usleep(100000);
	EXPECT_EQ(1, tdx_stat("merges"));
	EXPECT_EQ(SIZE / SZ_2M, pages("2m"));
}

TEST_F_TIMEOUT(memory, r4_punch, SLOW)
{
	long long tracks;

	ASSERT_OK(tdx_finalize(self->vm.fd));
	ASSERT_OK(prefault(&self->vm, GPA, SIZE));
	tracks = tdx_stat("tracks");
	ASSERT_OK(punch(self->fd, 0, 2 * SZ_2M));
	EXPECT_EQ(SIZE - 2 * SZ_2M, tdx_mapped());
	EXPECT_EQ(1, tdx_stat("tracks") - tracks);
	ASSERT_OK(punch(self->fd, 3 * SZ_2M + PAGE, 2 * PAGE));
	EXPECT_EQ(SIZE - 2 * SZ_2M - 2 * PAGE, tdx_mapped());
	ASSERT_OK(prefault(&self->vm, GPA, SIZE));
	EXPECT_EQ(SIZE, tdx_mapped());
}

TEST_F_TIMEOUT(memory, content, SLOW)
{
	struct kvm_tdx_init_mem_region region = {
		.source_addr = (uintptr_t)self->shared, .gpa = GPA + PAGE, .nr_pages = 3,
	};
	int vcpu = self->vm.vcpu[0];
	__u64 arg = (uintptr_t)&region;

	memset(self->shared, 0x5a, 4 * PAGE);
	EXPECT_OK(tdx_cmd(vcpu, KVM_TDX_INIT_MEM_REGION, KVM_TDX_MEASURE_MEMORY_REGION, arg));
	EXPECT_EQ(0, region.nr_pages);
	EXPECT_EQ(GPA + 4 * PAGE, region.gpa);
	EXPECT_EQ((uintptr_t)self->shared + 3 * PAGE, region.source_addr);
	EXPECT_EQ(3, pages("4k"));
	/* twice is once too often */
	EXPECT_ERRNO(EEXIST, tdx_init_memory(vcpu, self->shared, GPA + PAGE, 1, 0));
	ASSERT_OK(tdx_finalize(self->vm.fd));
	ASSERT_OK(prefault(&self->vm, GPA, SIZE));
	EXPECT_EQ(SIZE, tdx_mapped());
}

TEST_F_TIMEOUT(memory, content_errors, SLOW)
{
	int vcpu = self->vm.vcpu[0];
	char *source = self->shared;

	EXPECT_ERRNO(EINVAL, tdx_init_memory(vcpu, source, GPA, 1, 2));
	EXPECT_ERRNO(EINVAL, tdx_init_memory(vcpu, source + 1, GPA, 1, 0));
	EXPECT_ERRNO(EINVAL, tdx_init_memory(vcpu, source, GPA + 1, 1, 0));
	EXPECT_ERRNO(EINVAL, tdx_init_memory(vcpu, source, GPA, 0, 0));
	EXPECT_ERRNO(EINVAL, tdx_init_memory(vcpu, source, GPA, ~0ULL, 0));
	EXPECT_ERRNO(EINVAL, tdx_init_memory(vcpu, source, 1ULL << 47, 1, 0));
	EXPECT_ERRNO(EINVAL, tdx_init_memory(vcpu, source, 0, 1, 0));
	EXPECT_ERRNO(EFAULT, tdx_cmd(vcpu, KVM_TDX_INIT_MEM_REGION, 0, 0));
	ASSERT_OK(vm_set_shared(&self->vm, GPA, PAGE));
	EXPECT_ERRNO(EINVAL, tdx_init_memory(vcpu, source, GPA, 1, 0));
	EXPECT_EQ(0, tdx_mapped());
}

/* A slot goes, and its memory can be mapped elsewhere. */
TEST_F_TIMEOUT(memory, c6_slot, SLOW)
{
	ASSERT_OK(tdx_finalize(self->vm.fd));
	ASSERT_OK(prefault(&self->vm, GPA, SIZE));
	ASSERT_OK(vm_unbind(&self->vm, 1));
	EXPECT_EQ(0, tdx_mapped());
	ASSERT_OK(vm_bind(&self->vm, 1, GPA + SIZE, SIZE, self->shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA + SIZE, SIZE));
	ASSERT_OK(prefault(&self->vm, GPA + SIZE, SIZE));
	EXPECT_EQ(SIZE, tdx_mapped());
}

/* The VM goes while the file stays, and the other way round. */
TEST_F_TIMEOUT(memory, c5_end, SLOW)
{
	ASSERT_OK(tdx_finalize(self->vm.fd));
	ASSERT_OK(prefault(&self->vm, GPA, SIZE));
	tdx_destroy(&self->vm);
	EXPECT_OK(punch(self->fd, 0, SIZE));
	EXPECT_EQ(0, file_pages(self->fd));
	ASSERT_OK(tdx_create(&self->vm, 1));
}

/* A file that nobody but the VM has; and no other kind of file */
TEST_F_TIMEOUT(memory, r1_create_guest_memfd, SLOW)
{
	struct kvm_create_guest_memfd args = { .size = SZ_2M };
	int fd = ioctl(self->vm.fd, KVM_CREATE_GUEST_MEMFD, &args);
	char store[32];

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fdinfo_line(fd, "guest_store", store, sizeof(store)));
	EXPECT_STREQ("shmem", store);
	EXPECT_OK(vm_bind(&self->vm, 2, 2 * GPA, SZ_2M, self->shared, fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, 2 * GPA, SZ_2M));
	ASSERT_OK(tdx_finalize(self->vm.fd));
	EXPECT_OK(prefault(&self->vm, 2 * GPA, SZ_2M));
	EXPECT_EQ(SZ_2M, tdx_mapped());
	close(fd);
}

TEST_HARNESS_MAIN
