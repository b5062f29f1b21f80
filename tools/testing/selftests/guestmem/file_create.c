// SPDX-License-Identifier: GPL-2.0
/*
 * memfd_create(MFD_GUEST): the flags it takes and refuses, the seals and the
 * mode a guest file is born with, whatever vm.memfd_noexec says (R1, R20).
 */
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NOEXEC_SYSCTL	"/proc/sys/vm/memfd_noexec"
#define BORN_SEALS	(F_SEAL_GUEST | F_SEAL_EXEC)

FIXTURE(create_ok) {
	int fd;
};

FIXTURE_VARIANT(create_ok) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(create_ok, plain) { .flags = 0 };
FIXTURE_VARIANT_ADD(create_ok, cloexec) { .flags = MFD_CLOEXEC };
FIXTURE_VARIANT_ADD(create_ok, allow_sealing) { .flags = MFD_ALLOW_SEALING };
FIXTURE_VARIANT_ADD(create_ok, noexec_seal) { .flags = MFD_NOEXEC_SEAL };
FIXTURE_VARIANT_ADD(create_ok, movable) { .flags = MFD_GUEST_MOVABLE };
FIXTURE_VARIANT_ADD(create_ok, nohugepage) { .flags = MFD_GUEST_NOHUGEPAGE };
FIXTURE_VARIANT_ADD(create_ok, all) {
	.flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL |
		 MFD_GUEST_MOVABLE | MFD_GUEST_NOHUGEPAGE,
};

FIXTURE_SETUP(create_ok)
{
	self->fd = memfd(MFD_GUEST | variant->flags);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(create_ok)
{
	close(self->fd);
}

/* R1: guest-private from birth, never executable */
TEST_F(create_ok, r1_seals)
{
	int seals = fcntl(self->fd, F_GET_SEALS);

	ASSERT_LE(0, seals);
	EXPECT_EQ(BORN_SEALS, seals & BORN_SEALS);
	EXPECT_EQ(0, seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
}

TEST_F(create_ok, r1_refuses_mmap)
{
	ASSERT_OK(ftruncate(self->fd, PAGE));
	EXPECT_ERRNO(EPERM, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0));
}

TEST_F(create_ok, close_on_exec)
{
	bool cloexec = variant->flags & MFD_CLOEXEC;

	EXPECT_EQ(cloexec ? FD_CLOEXEC : 0, fcntl(self->fd, F_GETFD));
}

TEST_F(create_ok, empty_file)
{
	struct stat st;

	ASSERT_OK(fstat(self->fd, &st));
	EXPECT_TRUE(S_ISREG(st.st_mode));
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(0, st.st_blocks);
	EXPECT_EQ(PAGE, st.st_blksize);
	EXPECT_EQ(0, st.st_mode & 0111);
	EXPECT_EQ(O_RDWR, fcntl(self->fd, F_GETFL) & O_ACCMODE);
}

TEST_F(create_ok, chmod_never_executable)
{
	char path[64];

	EXPECT_ERRNO(EPERM, fchmod(self->fd, 0700));
	EXPECT_ERRNO(EPERM, fchmod(self->fd, 0611));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	EXPECT_ERRNO(EPERM, chmod(path, 0777));
	EXPECT_OK(fchmod(self->fd, 0600));
}

TEST_F(create_ok, info_flags)
{
	struct guestmem_info info;

	ASSERT_OK(guest_get_info(self->fd, &info));
	EXPECT_EQ(!!(variant->flags & MFD_GUEST_MOVABLE),
		  !!(info.flags & GUESTMEM_INFO_MOVABLE));
	EXPECT_EQ(!!(variant->flags & MFD_GUEST_NOHUGEPAGE),
		  !!(info.flags & GUESTMEM_INFO_NOHUGEPAGE));
	EXPECT_EQ(0, info.flags & ~(GUESTMEM_INFO_MOVABLE | GUESTMEM_INFO_NOHUGEPAGE));
}

FIXTURE(create_refused) {
};

FIXTURE_VARIANT(create_refused) {
	unsigned int flags;
	int err;
};

FIXTURE_VARIANT_ADD(create_refused, exec) {
	.flags = MFD_GUEST | MFD_EXEC, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, exec_and_noexec) {
	.flags = MFD_GUEST | MFD_EXEC | MFD_NOEXEC_SEAL, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, movable_alone) {
	.flags = MFD_GUEST_MOVABLE, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, nohugepage_alone) {
	.flags = MFD_GUEST_NOHUGEPAGE, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, hugetlb_movable_alone) {
	.flags = MFD_HUGETLB | MFD_GUEST_MOVABLE, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, unknown_0020) {
	.flags = MFD_GUEST | 0x0020, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, unknown_0040) {
	.flags = MFD_GUEST | 0x0040, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, unknown_0080) {
	.flags = MFD_GUEST | 0x0080, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, unknown_0800) {
	.flags = MFD_GUEST | 0x0800, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, unknown_top) {
	.flags = MFD_GUEST | 1U << 31, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, huge_size_without_hugetlb) {
	.flags = MFD_GUEST | MFD_HUGE_2MB, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, hugetlb_exec) {
	.flags = MFD_GUEST | MFD_HUGETLB | MFD_EXEC, .err = EINVAL,
};

FIXTURE_VARIANT_ADD(create_refused, hugetlb_16m) {
	.flags = MFD_GUEST | MFD_HUGETLB | MFD_HUGE_16MB, .err = ENODEV,
};

FIXTURE_SETUP(create_refused)
{
}

FIXTURE_TEARDOWN(create_refused)
{
}

/* R20: unknown and senseless flags */
TEST_F(create_refused, r20_flags)
{
	EXPECT_ERRNO(variant->err, memfd(variant->flags));
}

TEST_F(create_refused, no_descriptor_left)
{
	int before = dup(0), after;

	ASSERT_LE(0, before);
	close(before);
	EXPECT_ERRNO(variant->err, memfd(variant->flags));
	after = dup(0);
	EXPECT_EQ(before, after);
	close(after);
}

FIXTURE(create_name) {
};

FIXTURE_SETUP(create_name)
{
}

FIXTURE_TEARDOWN(create_name)
{
}

TEST_F(create_name, bad_pointer)
{
	EXPECT_ERRNO(EFAULT, syscall(SYS_memfd_create, NULL, MFD_GUEST));
}

TEST_F(create_name, too_long)
{
	char name[512];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	EXPECT_ERRNO(EINVAL, syscall(SYS_memfd_create, name, MFD_GUEST));
}

/* The name is seen where a memfd's name is seen. */
TEST_F(create_name, shown)
{
	char path[64], link[128] = "";
	int fd = memfd(MFD_GUEST);

	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ASSERT_LT(0, readlink(path, link, sizeof(link) - 1));
	EXPECT_NE(NULL, strstr(link, "memfd:guestmem-test"));
	close(fd);
}

FIXTURE(noexec_sysctl) {
	char saved[16];
	bool changed;
};

FIXTURE_VARIANT(noexec_sysctl) {
	const char *value;
};

FIXTURE_VARIANT_ADD(noexec_sysctl, 0) { .value = "0" };
FIXTURE_VARIANT_ADD(noexec_sysctl, 1) { .value = "1" };
FIXTURE_VARIANT_ADD(noexec_sysctl, 2) { .value = "2" };

FIXTURE_SETUP(noexec_sysctl)
{
	if (read_file(NOEXEC_SYSCTL, self->saved, sizeof(self->saved)))
		SKIP(return, "no " NOEXEC_SYSCTL);
	self->changed = true;
	ASSERT_OK(write_file(NOEXEC_SYSCTL, variant->value));
}

FIXTURE_TEARDOWN(noexec_sysctl)
{
	if (self->changed)
		EXPECT_OK(write_file(NOEXEC_SYSCTL, self->saved));
}

/* R1: MFD_NOEXEC_SEAL is implied whatever vm.memfd_noexec says */
TEST_F(noexec_sysctl, r1_noexec_implied)
{
	int fd = memfd(MFD_GUEST), seals;

	ASSERT_LE(0, fd);
	seals = fcntl(fd, F_GET_SEALS);
	ASSERT_LE(0, seals);
	EXPECT_EQ(BORN_SEALS, seals & BORN_SEALS);
	EXPECT_ERRNO(EPERM, fchmod(fd, 0700));
	close(fd);
}

TEST_F(noexec_sysctl, exec_refused)
{
	EXPECT_ERRNO(EINVAL, memfd(MFD_GUEST | MFD_EXEC));
}

/* An ordinary memfd is what it was: the sysctl alone decides about it. */
TEST_F(noexec_sysctl, ordinary_memfd_unchanged)
{
	bool enforced = variant->value[0] == '2';
	int fd = memfd(MFD_ALLOW_SEALING), exec;

	ASSERT_LE(0, fd);
	EXPECT_EQ(variant->value[0] == '0' ? 0 : F_SEAL_EXEC, fcntl(fd, F_GET_SEALS));
	close(fd);
	EXPECT_ERRNO(enforced ? EACCES : 0, exec = memfd(MFD_EXEC));
	if (exec >= 0)
		close(exec);
}

TEST_HARNESS_MAIN
