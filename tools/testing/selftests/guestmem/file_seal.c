// SPDX-License-Identifier: GPL-2.0
/*
 * F_SEAL_GUEST by fcntl: the second way to make a guest file, open to an empty
 * memfd that nobody else holds, and one way (R1).
 */
#include <stdio.h>
#include <sys/socket.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define SIZE	(16 * PAGE)

static int seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_GUEST);
}

FIXTURE(seal) {
	int fd;
};

FIXTURE_SETUP(seal)
{
	self->fd = memfd(MFD_ALLOW_SEALING);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(seal)
{
	close(self->fd);
}

/* After EBUSY the file is an ordinary memfd, as it was. */
static void expect_ordinary(struct __test_metadata *_metadata, int fd)
{
	char byte = 'x';
	void *p;

	EXPECT_EQ(0, fcntl(fd, F_GET_SEALS) & F_SEAL_GUEST);
	EXPECT_OK(ftruncate(fd, SIZE));
	EXPECT_EQ(1, pwrite(fd, &byte, 1, 0));
	EXPECT_EQ(1, pread(fd, &byte, 1, 0));
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('x', *(char *)p);
	munmap(p, PAGE);
	EXPECT_EQ(-1, fdinfo_number(fd, "guest_size"));
}

/* R1: the same contract as a file born with MFD_GUEST */
TEST_F(seal, r1_empty_memfd)
{
	struct guestmem_info info;
	char byte = 'x';

	ASSERT_OK(seal(self->fd));
	EXPECT_EQ(F_SEAL_GUEST | F_SEAL_EXEC,
		  fcntl(self->fd, F_GET_SEALS) & (F_SEAL_GUEST | F_SEAL_EXEC));
	ASSERT_OK(ftruncate(self->fd, SIZE));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, 2 * SIZE));
	EXPECT_ERRNO(EPERM, pwrite(self->fd, &byte, 1, 0));
	EXPECT_ERRNO(EPERM, pread(self->fd, &byte, 1, 0));
	EXPECT_ERRNO(EPERM, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_ERRNO(EPERM, proc_open(self->fd, O_RDWR));
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_EQ(SIZE / PAGE, file_pages(self->fd));
	ASSERT_OK(guest_get_info(self->fd, &info));
	EXPECT_EQ(SIZE, info.file_size);
	EXPECT_EQ(0, info.flags);
}

TEST_F(seal, r1_idempotent)
{
	ASSERT_OK(seal(self->fd));
	EXPECT_OK(seal(self->fd));
	ASSERT_OK(ftruncate(self->fd, SIZE));
	EXPECT_OK(seal(self->fd));
	EXPECT_OK(populate(self->fd, 0, PAGE));
	EXPECT_EQ(1, file_pages(self->fd));
}

TEST_F(seal, born_sealed_is_sealed)
{
	int fd = memfd(MFD_GUEST | MFD_ALLOW_SEALING);

	ASSERT_LE(0, fd);
	EXPECT_OK(seal(fd));
	close(fd);
}

TEST_F(seal, not_allowed)
{
	int fd = memfd(0);

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EPERM, seal(fd));
	expect_ordinary(_metadata, fd);
	close(fd);
}

TEST_F(seal, sealed_against_seals)
{
	ASSERT_OK(fcntl(self->fd, F_ADD_SEALS, F_SEAL_SEAL));
	EXPECT_ERRNO(EPERM, seal(self->fd));
	EXPECT_EQ(0, fcntl(self->fd, F_GET_SEALS) & F_SEAL_GUEST);
}

TEST_F(seal, unknown_seal)
{
	EXPECT_ERRNO(EINVAL, fcntl(self->fd, F_ADD_SEALS, F_SEAL_GUEST | 0x4000));
	EXPECT_ERRNO(EINVAL, fcntl(self->fd, F_ADD_SEALS, 0x0200));
	expect_ordinary(_metadata, self->fd);
}

TEST_F(seal, size_not_zero)
{
	ASSERT_OK(ftruncate(self->fd, PAGE));
	EXPECT_ERRNO(EBUSY, seal(self->fd));
	expect_ordinary(_metadata, self->fd);
}

/* A file that was used and is empty again is empty. */
TEST_F(seal, size_zero_again)
{
	ASSERT_EQ(4, write(self->fd, "data", 4));
	ASSERT_OK(ftruncate(self->fd, 0));
	EXPECT_OK(seal(self->fd));
	ASSERT_OK(ftruncate(self->fd, PAGE));
	EXPECT_EQ(0, file_pages(self->fd));
}

/* A mapping of an empty file is a mapping. */
static void expect_mapped_busy(struct __test_metadata *_metadata, int fd, int flags)
{
	void *p = mmap(NULL, PAGE, PROT_READ, flags, fd, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_ERRNO(EBUSY, seal(fd));
	munmap(p, PAGE);
	EXPECT_OK(seal(fd));
}

TEST_F(seal, mapped_shared)
{
	expect_mapped_busy(_metadata, self->fd, MAP_SHARED);
}

TEST_F(seal, mapped_private)
{
	expect_mapped_busy(_metadata, self->fd, MAP_PRIVATE);
}

/* The mapping holds the file even when it has the only other reference. */
TEST_F(seal, mapped_while_busy_stays_ordinary)
{
	void *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_ERRNO(EBUSY, seal(self->fd));
	expect_ordinary(_metadata, self->fd);
	munmap(p, PAGE);
}

TEST_F(seal, duplicate_descriptor)
{
	int other = dup(self->fd);

	ASSERT_LE(0, other);
	EXPECT_ERRNO(EBUSY, seal(self->fd));
	EXPECT_ERRNO(EBUSY, seal(other));
	close(other);
	EXPECT_OK(seal(self->fd));
}

static void expect_open_busy(struct __test_metadata *_metadata, int fd, int flags)
{
	int other = proc_open(fd, flags);

	ASSERT_LE(0, other);
	EXPECT_ERRNO(EBUSY, seal(fd));
	close(other);
	EXPECT_OK(seal(fd));
}

TEST_F(seal, second_open_file_rw)
{
	expect_open_busy(_metadata, self->fd, O_RDWR);
}

TEST_F(seal, second_open_file_ro)
{
	expect_open_busy(_metadata, self->fd, O_RDONLY);
}

TEST_F(seal, o_path_reference)
{
	expect_open_busy(_metadata, self->fd, O_PATH);
}

/* Read-only: the seal needs a file open for writing, as other seals do. */
TEST_F(seal, through_readonly_file)
{
	int other = proc_open(self->fd, O_RDONLY);

	ASSERT_LE(0, other);
	EXPECT_ERRNO(EPERM, seal(other));
	close(other);
	expect_ordinary(_metadata, self->fd);
}

TEST_F(seal, held_by_child)
{
	int fds[2];
	pid_t pid;
	char c;

	ASSERT_OK(pipe(fds));
	pid = fork();
	if (!pid) {
		close(fds[1]);
		_exit(read(fds[0], &c, 1) != 0);
	}
	EXPECT_ERRNO(EBUSY, seal(self->fd));
	close(fds[1]);
	EXPECT_EQ(0, wait_child(pid));
	close(fds[0]);
	EXPECT_OK(seal(self->fd));
}

/* A descriptor in flight is a reference of someone else. */
TEST_F(seal, in_flight_in_a_socket)
{
	char control[CMSG_SPACE(sizeof(int))] = "", c = 0;
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int sv[2];

	ASSERT_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &self->fd, sizeof(int));
	ASSERT_EQ(1, sendmsg(sv[0], &msg, 0));
	EXPECT_ERRNO(EBUSY, seal(self->fd));
	close(sv[0]);
	close(sv[1]);
}

/* Pages that a size of 0 does not show */
TEST_F(seal, pages_beyond_eof)
{
	ASSERT_OK(fallocate(self->fd, FALLOC_FL_KEEP_SIZE, 0, SIZE));
	EXPECT_ERRNO(EBUSY, seal(self->fd));
	expect_ordinary(_metadata, self->fd);
}

TEST_F(seal, not_a_memfd)
{
	int fds[2], fd = open("/dev/null", O_RDWR);

	ASSERT_LE(0, fd);
	ASSERT_OK(pipe(fds));
	EXPECT_ERRNO(EINVAL, seal(fd));
	EXPECT_ERRNO(EINVAL, seal(fds[1]));
	close(fds[0]);
	close(fds[1]);
	close(fd);
}

/* An ordinary file of a tmpfs can be opened by name: never. */
TEST_F(seal, tmpfs_file)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0)
		fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (fd < 0)
		SKIP(return, "no tmpfs");
	EXPECT_NE(0, ERRNO(seal(fd)));
	EXPECT_OK(ftruncate(fd, PAGE));
	close(fd);
}

/* R1: never executable, so bits that were there go */
TEST_F(seal, r1_clears_exec_bits)
{
	int fd = memfd(MFD_ALLOW_SEALING | MFD_EXEC);
	struct stat st;

	ASSERT_LE(0, fd);
	ASSERT_OK(fchmod(fd, 0755));
	ASSERT_OK(seal(fd));
	ASSERT_OK(fstat(fd, &st));
	EXPECT_EQ(0, st.st_mode & 0111);
	EXPECT_EQ(F_SEAL_EXEC, fcntl(fd, F_GET_SEALS) & F_SEAL_EXEC);
	EXPECT_ERRNO(EPERM, fchmod(fd, 0755));
	close(fd);
}

/* A guest writes: the two contradict each other, whichever comes first. */
TEST_F(seal, against_write_seal)
{
	ASSERT_OK(fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_ERRNO(EINVAL, seal(self->fd));
	EXPECT_EQ(0, fcntl(self->fd, F_GET_SEALS) & F_SEAL_GUEST);
}

/* Other seals keep their meaning before and beside this one. */
TEST_F(seal, with_grow_seal)
{
	ASSERT_OK(fcntl(self->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	EXPECT_OK(seal(self->fd));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, SIZE));
}

TEST_HARNESS_MAIN
