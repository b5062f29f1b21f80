// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing maps, reads, writes or copies a guest file: EPERM from every system
 * call that would (R1, R4). Each refusal is shown on a file of holes and on one
 * that holds pages, and leaves the file as it was.
 */
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define SIZE	(4 * PAGE)

FIXTURE(access) {
	int fd;
	int pipe[2];
	char buf[512];
	long pages;
};

FIXTURE_VARIANT(access) {
	unsigned int flags;
	off_t size;
	off_t populate;
};

FIXTURE_VARIANT_ADD(access, sized) { .size = SIZE };
FIXTURE_VARIANT_ADD(access, populated) { .size = SIZE, .populate = SIZE };
FIXTURE_VARIANT_ADD(access, movable) {
	.flags = MFD_GUEST_MOVABLE, .size = SIZE, .populate = SIZE,
};

FIXTURE_SETUP(access)
{
	self->fd = guest_create(variant->flags, variant->size);
	ASSERT_LE(0, self->fd);
	if (variant->populate)
		ASSERT_OK(populate(self->fd, 0, variant->populate));
	self->pages = file_pages(self->fd);
	ASSERT_EQ(variant->populate / PAGE, self->pages);
	ASSERT_OK(pipe(self->pipe));
	memset(self->buf, 'x', sizeof(self->buf));
}

FIXTURE_TEARDOWN(access)
{
	EXPECT_EQ(self->pages, file_pages(self->fd));
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->fd);
}

TEST_F(access, mmap_every_prot_and_type)
{
	static const int type[] = { MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE };
	static const int extra[] = { 0, MAP_POPULATE, MAP_NORESERVE, MAP_LOCKED, MAP_NONBLOCK };
	unsigned int t, x;
	int prot;

	for (t = 0; t < ARRAY_SIZE(type); t++)
		for (x = 0; x < ARRAY_SIZE(extra); x++)
			for (prot = 0; prot < 8; prot++)
				EXPECT_ERRNO(EPERM, mmap(NULL, PAGE, prot, type[t] | extra[x],
							 self->fd, 0));
}

TEST_F(access, mmap_every_offset)
{
	unsigned long offset;

	for (offset = 0; offset <= SIZE; offset += PAGE)
		EXPECT_ERRNO(EPERM, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, offset));
	EXPECT_ERRNO(EPERM, mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, self->fd, 0));
}

TEST_F(access, read)
{
	EXPECT_ERRNO(EPERM, read(self->fd, self->buf, sizeof(self->buf)));
	EXPECT_EQ('x', self->buf[0]);
}

TEST_F(access, pread)
{
	EXPECT_ERRNO(EPERM, pread(self->fd, self->buf, sizeof(self->buf), 0));
	EXPECT_ERRNO(EPERM, pread(self->fd, self->buf, sizeof(self->buf), PAGE));
	EXPECT_ERRNO(EPERM, pread(self->fd, self->buf, sizeof(self->buf), SIZE));
	EXPECT_EQ('x', self->buf[0]);
}

TEST_F(access, write)
{
	EXPECT_ERRNO(EPERM, write(self->fd, self->buf, sizeof(self->buf)));
}

TEST_F(access, pwrite)
{
	EXPECT_ERRNO(EPERM, pwrite(self->fd, self->buf, sizeof(self->buf), 0));
	EXPECT_ERRNO(EPERM, pwrite(self->fd, self->buf, sizeof(self->buf), SIZE));
}

TEST_F(access, vectors)
{
	struct iovec iov[2] = {
		{ .iov_base = self->buf, .iov_len = 100 },
		{ .iov_base = self->buf + 100, .iov_len = 100 },
	};

	EXPECT_ERRNO(EPERM, readv(self->fd, iov, 2));
	EXPECT_ERRNO(EPERM, writev(self->fd, iov, 2));
	EXPECT_ERRNO(EPERM, preadv(self->fd, iov, 2, 0));
	EXPECT_ERRNO(EPERM, pwritev(self->fd, iov, 2, 0));
	EXPECT_ERRNO(EPERM, preadv2(self->fd, iov, 2, 0, 0));
	EXPECT_ERRNO(EPERM, pwritev2(self->fd, iov, 2, 0, 0));
	EXPECT_EQ('x', self->buf[0]);
}

/* Flags are judged by the VFS first: an error in any case. */
TEST_F(access, vectors_with_flags)
{
	static const int flags[] = { RWF_NOWAIT, RWF_HIPRI, RWF_DSYNC, RWF_APPEND };
	struct iovec iov = { .iov_base = self->buf, .iov_len = 100 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_NE(0, ERRNO(preadv2(self->fd, &iov, 1, 0, flags[i])));
		EXPECT_NE(0, ERRNO(pwritev2(self->fd, &iov, 1, 0, flags[i])));
	}
	EXPECT_EQ('x', self->buf[0]);
}

TEST_F(access, splice_out)
{
	loff_t offset = 0;

	EXPECT_ERRNO(EPERM, splice(self->fd, NULL, self->pipe[1], NULL, PAGE, 0));
	EXPECT_ERRNO(EPERM, splice(self->fd, &offset, self->pipe[1], NULL, PAGE, SPLICE_F_MOVE));
	EXPECT_EQ(0, offset);
}

TEST_F(access, splice_in)
{
	loff_t offset = 0;

	ASSERT_EQ(100, write(self->pipe[1], self->buf, 100));
	EXPECT_ERRNO(EPERM, splice(self->pipe[0], NULL, self->fd, NULL, 100, 0));
	EXPECT_ERRNO(EPERM, splice(self->pipe[0], NULL, self->fd, &offset, 100, SPLICE_F_MOVE));
}

TEST_F(access, sendfile)
{
	int other = memfd(0);
	off_t offset = 0;

	ASSERT_LE(0, other);
	ASSERT_OK(ftruncate(other, SIZE));
	EXPECT_ERRNO(EPERM, sendfile(other, self->fd, &offset, PAGE));
	EXPECT_ERRNO(EPERM, sendfile(self->pipe[1], self->fd, &offset, PAGE));
	EXPECT_ERRNO(EPERM, sendfile(self->fd, other, &offset, PAGE));
	EXPECT_EQ(0, offset);
	close(other);
}

TEST_F(access, copy_file_range_same_fs)
{
	int other = memfd(0), guest = guest_create(0, SIZE);

	ASSERT_LE(0, other);
	ASSERT_LE(0, guest);
	ASSERT_OK(ftruncate(other, SIZE));
	EXPECT_ERRNO(EPERM, copy_file_range(self->fd, NULL, other, NULL, PAGE, 0));
	EXPECT_ERRNO(EPERM, copy_file_range(other, NULL, self->fd, NULL, PAGE, 0));
	EXPECT_ERRNO(EPERM, copy_file_range(self->fd, NULL, guest, NULL, PAGE, 0));
	close(guest);
	close(other);
}

/* Between file systems the VFS answers before the file is asked. */
TEST_F(access, copy_file_range_other_fs)
{
	int other = open("/proc/self/comm", O_RDWR);

	ASSERT_LE(0, other);
	EXPECT_ERRNO(EXDEV, copy_file_range(self->fd, NULL, other, NULL, PAGE, 0));
	EXPECT_ERRNO(EXDEV, copy_file_range(other, NULL, self->fd, NULL, PAGE, 0));
	close(other);
}

/* Reaching the pages through /proc/PID/mem or process_vm_readv needs a mapping. */
TEST_F(access, no_mapping_appears)
{
	static char maps[65536];

	mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_OK(read_file("/proc/self/maps", maps, sizeof(maps)));
	EXPECT_EQ(NULL, strstr(maps, "memfd:guestmem-test"));
}

/* lseek reads nothing, but must not tell data from holes by reading either. */
TEST_F(access, lseek_leaves_file_alone)
{
	lseek(self->fd, 0, SEEK_DATA);
	lseek(self->fd, 0, SEEK_HOLE);
	EXPECT_ERRNO(EPERM, read(self->fd, self->buf, 1));
}

TEST_F(access, ioctl_unknown)
{
	long value = 0;

	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IO(GUESTMEM_IOC_MAGIC, 0x7f), &value));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IO(0xBC, 0), &value));
}

TEST_HARNESS_MAIN
