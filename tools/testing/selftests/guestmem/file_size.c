// SPDX-License-Identifier: GPL-2.0
/*
 * The size of a guest file: set once, from 0 to a multiple of the granule,
 * whichever call sets it (C15, R20).
 */
#include <limits.h>
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define SIZE	(8 * PAGE)

FIXTURE(size) {
	int fd;
	char path[64];
};

FIXTURE_SETUP(size)
{
	self->fd = memfd(MFD_GUEST);
	ASSERT_LE(0, self->fd);
	snprintf(self->path, sizeof(self->path), "/proc/self/fd/%d", self->fd);
}

FIXTURE_TEARDOWN(size)
{
	close(self->fd);
}

static off_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

TEST_F(size, set_once)
{
	ASSERT_OK(ftruncate(self->fd, SIZE));
	EXPECT_EQ(SIZE, size_of(self->fd));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, SIZE + PAGE));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, SIZE - PAGE));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, 0));
	EXPECT_EQ(SIZE, size_of(self->fd));
}

TEST_F(size, same_again)
{
	ASSERT_OK(ftruncate(self->fd, SIZE));
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_OK(ftruncate(self->fd, SIZE));
	EXPECT_EQ(8, file_pages(self->fd));
}

TEST_F(size, zero_is_not_a_size)
{
	EXPECT_OK(ftruncate(self->fd, 0));
	EXPECT_OK(ftruncate(self->fd, SIZE));
	EXPECT_EQ(SIZE, size_of(self->fd));
}

/* C15: unaligned, and nothing changed */
TEST_F(size, c15_unaligned)
{
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, 1));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, PAGE - 1));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, PAGE + 1));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, PAGE / 2));
	EXPECT_EQ(0, size_of(self->fd));
	EXPECT_OK(ftruncate(self->fd, SIZE));
}

/* C15: once set, a size is refused as a change before it is judged */
TEST_F(size, c15_unaligned_later)
{
	ASSERT_OK(ftruncate(self->fd, SIZE));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, SIZE + 1));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, 1));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, -1));
	EXPECT_EQ(SIZE, size_of(self->fd));
}

/* C15: 2^63, as the VFS sees it a negative size */
TEST_F(size, c15_negative)
{
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, -1));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, LONG_MIN));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, -(off_t)PAGE));
	EXPECT_EQ(0, size_of(self->fd));
}

/* C15: 2^63 - 1 is no multiple of a page; the last multiple is a size */
TEST_F(size, c15_largest)
{
	off_t last = LONG_MAX & ~(PAGE - 1);

	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, LONG_MAX));
	ASSERT_OK(ftruncate(self->fd, last));
	EXPECT_EQ(last, size_of(self->fd));
	EXPECT_OK(populate(self->fd, last - PAGE, PAGE));
	EXPECT_EQ(1, file_pages(self->fd));
	EXPECT_OK(punch(self->fd, 0, last));
	EXPECT_EQ(0, file_pages(self->fd));
}

TEST_F(size, by_path_set_once)
{
	ASSERT_OK(truncate(self->path, SIZE));
	EXPECT_EQ(SIZE, size_of(self->fd));
	EXPECT_ERRNO(EPERM, truncate(self->path, 2 * SIZE));
	EXPECT_ERRNO(EPERM, truncate(self->path, 0));
	EXPECT_OK(truncate(self->path, SIZE));
	EXPECT_EQ(SIZE, size_of(self->fd));
}

TEST_F(size, by_path_unaligned)
{
	EXPECT_ERRNO(EINVAL, truncate(self->path, PAGE + 1));
	EXPECT_EQ(0, size_of(self->fd));
}

/* O_TRUNC never gets that far: nobody opens the file again. */
TEST_F(size, open_truncate)
{
	ASSERT_OK(ftruncate(self->fd, SIZE));
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_ERRNO(EPERM, open(self->path, O_RDWR | O_TRUNC));
	EXPECT_EQ(SIZE, size_of(self->fd));
	EXPECT_EQ(8, file_pages(self->fd));
}

/* Populating sets no size. */
TEST_F(size, fallocate_does_not_grow)
{
	EXPECT_ERRNO(EINVAL, fallocate(self->fd, 0, 0, PAGE));
	EXPECT_EQ(0, size_of(self->fd));
	ASSERT_OK(ftruncate(self->fd, SIZE));
	EXPECT_ERRNO(EINVAL, fallocate(self->fd, 0, SIZE, PAGE));
	EXPECT_EQ(SIZE, size_of(self->fd));
}

/* Times and owner are the file's, not the guest's. */
TEST_F(size, other_attributes)
{
	EXPECT_OK(fchown(self->fd, 12, 34));
	EXPECT_OK(futimens(self->fd, NULL));
	EXPECT_EQ(0, size_of(self->fd));
}

/* Two threads set different sizes: one of them does. */
static void *set_size(void *arg)
{
	int fd = *(int *)arg;

	return (void *)(long)ERRNO(ftruncate(fd, 2 * SIZE));
}

TEST_F_TIMEOUT(size, two_setters, SLOW)
{
	struct race race;
	int fd, first;
	pthread_t thread;
	void *second;

	race_start(&race, 500, 2);
	while (race_next(&race) && !_metadata->exit_code) {
		fd = memfd(MFD_GUEST);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, pthread_create(&thread, NULL, set_size, &fd));
		first = ERRNO(ftruncate(fd, SIZE));
		pthread_join(thread, &second);
		EXPECT_EQ(EPERM, first + (int)(long)second);
		EXPECT_EQ(first ? 2 * SIZE : SIZE, size_of(fd));
		close(fd);
	}
}

TEST_HARNESS_MAIN
