// SPDX-License-Identifier: GPL-2.0
/*
 * fallocate on a guest file: populate ahead and punch, their ranges and their
 * errors (C15), with st_blocks and GUESTMEM_GET_INFO as witnesses.
 */
#include <limits.h>
#include <linux/falloc.h>
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR	16UL
#define SIZE	(NR * PAGE)
#define KEEP	FALLOC_FL_KEEP_SIZE
#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* st_blocks and the file's own count must agree. */
static unsigned long held(int fd)
{
	struct guestmem_info info;

	if (guest_get_info(fd, &info))
		return -1UL;
	if (info.pages_4k != file_pages(fd))
		return -2UL;
	return info.pages_4k;
}

FIXTURE(fallocate) {
	int fd;
};

FIXTURE_SETUP(fallocate)
{
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, held(self->fd));
}

FIXTURE_TEARDOWN(fallocate)
{
	close(self->fd);
}

TEST_F(fallocate, mode_0_populates)
{
	EXPECT_OK(fallocate(self->fd, 0, 0, SIZE));
	EXPECT_EQ(NR, held(self->fd));
}

TEST_F(fallocate, keep_size_populates)
{
	EXPECT_OK(fallocate(self->fd, KEEP, 0, SIZE));
	EXPECT_EQ(NR, held(self->fd));
}

TEST_F(fallocate, populate_part)
{
	EXPECT_OK(populate(self->fd, 3 * PAGE, 2 * PAGE));
	EXPECT_EQ(2, held(self->fd));
	EXPECT_OK(populate(self->fd, 4 * PAGE, 2 * PAGE));
	EXPECT_EQ(3, held(self->fd));
	EXPECT_OK(populate(self->fd, (NR - 1) * PAGE, PAGE));
	EXPECT_EQ(4, held(self->fd));
}

TEST_F(fallocate, populate_twice)
{
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_EQ(NR, held(self->fd));
}

TEST_F(fallocate, populate_around_holes)
{
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_OK(punch(self->fd, 2 * PAGE, PAGE));
	EXPECT_OK(punch(self->fd, 7 * PAGE, 3 * PAGE));
	EXPECT_EQ(NR - 4, held(self->fd));
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_EQ(NR, held(self->fd));
}

TEST_F(fallocate, punch_part)
{
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_OK(punch(self->fd, 0, PAGE));
	EXPECT_EQ(NR - 1, held(self->fd));
	EXPECT_OK(punch(self->fd, (NR - 1) * PAGE, PAGE));
	EXPECT_EQ(NR - 2, held(self->fd));
	EXPECT_OK(punch(self->fd, 4 * PAGE, 4 * PAGE));
	EXPECT_EQ(NR - 6, held(self->fd));
}

TEST_F(fallocate, punch_hole_of_nothing)
{
	EXPECT_OK(punch(self->fd, 0, SIZE));
	EXPECT_EQ(0, held(self->fd));
	ASSERT_OK(populate(self->fd, 0, PAGE));
	EXPECT_OK(punch(self->fd, PAGE, SIZE - PAGE));
	EXPECT_EQ(1, held(self->fd));
}

TEST_F(fallocate, punch_everything)
{
	struct stat st;

	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_OK(punch(self->fd, 0, SIZE));
	EXPECT_EQ(0, held(self->fd));
	ASSERT_OK(fstat(self->fd, &st));
	EXPECT_EQ(SIZE, st.st_size);
}

/* C15: page-aligned both, whatever the mode */
TEST_F(fallocate, c15_unaligned)
{
	static const int modes[] = { 0, KEEP, PUNCH };
	unsigned int i;

	ASSERT_OK(populate(self->fd, 0, 2 * PAGE));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], 1, PAGE));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], 0, 1));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], 0, PAGE + 1));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], PAGE - 1, PAGE + 1));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], PAGE / 2, PAGE / 2));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], 512, 512));
	}
	EXPECT_EQ(2, held(self->fd));
}

/* C15: sizes of 0 and below, refused by the VFS */
TEST_F(fallocate, c15_zero_and_negative)
{
	static const int modes[] = { 0, KEEP, PUNCH };
	unsigned int i;

	ASSERT_OK(populate(self->fd, 0, 2 * PAGE));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], 0, 0));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], PAGE, 0));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], 0, -(off_t)PAGE));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], -(off_t)PAGE, PAGE));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], 0, LONG_MIN));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], LONG_MIN, PAGE));
	}
	EXPECT_EQ(2, held(self->fd));
}

/* C15: offset + length beyond 2^63 - 1 is EFBIG, from the VFS */
TEST_F(fallocate, c15_wrap)
{
	static const int modes[] = { 0, KEEP, PUNCH };
	off_t last = LONG_MAX & ~(PAGE - 1);
	unsigned int i;

	ASSERT_OK(populate(self->fd, 0, 2 * PAGE));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_ERRNO(EFBIG, fallocate(self->fd, modes[i], last, PAGE));
		EXPECT_ERRNO(EFBIG, fallocate(self->fd, modes[i], PAGE, last));
		EXPECT_ERRNO(EFBIG, fallocate(self->fd, modes[i], last, last));
	}
	EXPECT_EQ(2, held(self->fd));
}

TEST_F(fallocate, c15_populate_beyond_size)
{
	off_t last = LONG_MAX & ~(PAGE - 1);

	EXPECT_ERRNO(EINVAL, populate(self->fd, SIZE, PAGE));
	EXPECT_ERRNO(EINVAL, populate(self->fd, SIZE - PAGE, 2 * PAGE));
	EXPECT_ERRNO(EINVAL, populate(self->fd, 0, SIZE + PAGE));
	EXPECT_ERRNO(EINVAL, populate(self->fd, 0, last));
	EXPECT_ERRNO(EINVAL, fallocate(self->fd, 0, SIZE, PAGE));
	EXPECT_ERRNO(EINVAL, fallocate(self->fd, 0, last - PAGE, PAGE));
	EXPECT_EQ(0, held(self->fd));
}

TEST_F(fallocate, c15_punch_beyond_size)
{
	off_t last = LONG_MAX & ~(PAGE - 1);

	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_OK(punch(self->fd, SIZE, PAGE));
	EXPECT_OK(punch(self->fd, SIZE + PAGE, last - SIZE - PAGE));
	EXPECT_EQ(NR, held(self->fd));
	EXPECT_OK(punch(self->fd, SIZE - PAGE, 10 * PAGE));
	EXPECT_EQ(NR - 1, held(self->fd));
	EXPECT_OK(punch(self->fd, 0, last));
	EXPECT_EQ(0, held(self->fd));
}

/* Modes that the VFS knows and guestmem does not, and senseless ones */
TEST_F(fallocate, other_modes)
{
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE,
		FALLOC_FL_COLLAPSE_RANGE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | KEEP,
		FALLOC_FL_INSERT_RANGE,
		FALLOC_FL_UNSHARE_RANGE,
		FALLOC_FL_UNSHARE_RANGE | KEEP,
		FALLOC_FL_NO_HIDE_STALE,
		PUNCH | FALLOC_FL_ZERO_RANGE,
		PUNCH | FALLOC_FL_UNSHARE_RANGE,
		0x100,
		1 << 30,
	};
	unsigned int i;

	ASSERT_OK(populate(self->fd, 0, 2 * PAGE));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_ERRNO(EOPNOTSUPP, fallocate(self->fd, modes[i], 0, 4 * PAGE))
			TH_LOG("mode %#x", modes[i]);
	}
	EXPECT_EQ(2, held(self->fd));
}

TEST_F(fallocate, empty_file)
{
	int fd = memfd(MFD_GUEST);

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EINVAL, populate(fd, 0, PAGE));
	EXPECT_OK(punch(fd, 0, PAGE));
	EXPECT_EQ(0, held(fd));
	close(fd);
}

/* Populating and punching by threads: at the end the counts agree. */
static void *punch_and_populate(void *arg)
{
	int fd = *(int *)arg;
	long failed = 0;
	unsigned int i;

	for (i = 0; i < 300; i++) {
		failed += punch(fd, (i % NR) * PAGE, (NR - i % NR) * PAGE) != 0;
		failed += populate(fd, 0, (1 + i % NR) * PAGE) != 0;
	}
	return (void *)failed;
}

TEST_F_TIMEOUT(fallocate, threads, SLOW)
{
	pthread_t thread[3];
	void *failed;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, punch_and_populate, &self->fd));
	for (i = 0; i < ARRAY_SIZE(thread); i++) {
		pthread_join(thread[i], &failed);
		EXPECT_EQ(NULL, failed);
	}
	EXPECT_GE(NR, held(self->fd));
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_EQ(NR, held(self->fd));
	EXPECT_OK(punch(self->fd, 0, SIZE));
	EXPECT_EQ(0, held(self->fd));
}

TEST_HARNESS_MAIN
