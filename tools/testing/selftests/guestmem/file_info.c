// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest file says of itself: GUESTMEM_GET_INFO and its size-first rules
 * (R20), the lines of fdinfo, fstat (R15).
 */
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR	8UL
#define SIZE	(NR * PAGE)

/* A caller that knows more fields than the kernel. */
struct larger_info {
	struct guestmem_info info;
	__u64 tail[4];
};

FIXTURE(info) {
	int fd;
};

FIXTURE_SETUP(info)
{
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(populate(self->fd, 0, 3 * PAGE));
}

FIXTURE_TEARDOWN(info)
{
	close(self->fd);
}

TEST_F(info, values)
{
	struct guestmem_info info;

	ASSERT_OK(guest_get_info(self->fd, &info));
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(SIZE, info.file_size);
	EXPECT_EQ(PAGE, info.granule);
	EXPECT_EQ(3, info.pages_4k);
	EXPECT_EQ(0, info.pages_2m);
	EXPECT_EQ(0, info.pages_1g);
	EXPECT_EQ(0, info.bound);
}

/* Output fields are output: what they hold on input does not matter. */
TEST_F(info, output_ignored_on_input)
{
	struct guestmem_info info;

	memset(&info, 0xff, sizeof(info));
	info.size = sizeof(info);
	info.flags = 0;
	ASSERT_OK(ioctl(self->fd, GUESTMEM_GET_INFO, &info));
	EXPECT_EQ(SIZE, info.file_size);
	EXPECT_EQ(0, info.bound);
}

TEST_F(info, r20_too_small)
{
	struct guestmem_info info = { };
	unsigned int size;

	for (size = 0; size < sizeof(info); size++) {
		info.size = size;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, GUESTMEM_GET_INFO, &info));
	}
	EXPECT_EQ(0, info.file_size);
}

TEST_F(info, r20_larger_zero_tail)
{
	struct larger_info larger = { .info.size = sizeof(larger) };

	ASSERT_OK(ioctl(self->fd, GUESTMEM_GET_INFO, &larger));
	EXPECT_EQ(SIZE, larger.info.file_size);
	EXPECT_EQ(0, larger.tail[0] | larger.tail[1] | larger.tail[2] | larger.tail[3]);
}

TEST_F(info, r20_larger_nonzero_tail)
{
	struct larger_info larger = { .info.size = sizeof(larger) };
	char *tail = (char *)larger.tail;
	unsigned int i;

	for (i = 0; i < sizeof(larger.tail); i++) {
		tail[i] = 1;
		EXPECT_ERRNO(E2BIG, ioctl(self->fd, GUESTMEM_GET_INFO, &larger));
		tail[i] = 0;
	}
	EXPECT_EQ(0, larger.info.file_size);
}

/* More than a page can be no struct. */
TEST_F(info, r20_absurd_size)
{
	static struct {
		struct guestmem_info info;
		char tail[2 * PAGE];
	} huge;

	huge.info.size = sizeof(huge);
	EXPECT_ERRNO(E2BIG, ioctl(self->fd, GUESTMEM_GET_INFO, &huge));
	huge.info.size = ~0U;
	EXPECT_ERRNO(E2BIG, ioctl(self->fd, GUESTMEM_GET_INFO, &huge));
}

/* What the kernel itself returned may come back with the next call. */
TEST_F(info, r20_flags)
{
	struct guestmem_info info = { .size = sizeof(info) };
	unsigned int bit;

	for (bit = 2; bit < 32; bit++) {
		info.flags = 1U << bit;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, GUESTMEM_GET_INFO, &info));
	}
	EXPECT_EQ(0, info.file_size);
}

TEST_F(info, r20_bad_pointers)
{
	char *pages = shared_alloc(2 * PAGE);
	struct guestmem_info *info;
	__u32 size = sizeof(*info);

	ASSERT_NE(MAP_FAILED, (void *)pages);
	ASSERT_OK(mprotect(pages + PAGE, PAGE, PROT_NONE));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, GUESTMEM_GET_INFO, NULL));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, GUESTMEM_GET_INFO, pages + PAGE));
	/* The size can be read, the rest cannot. */
	memcpy(pages + PAGE - sizeof(size), &size, sizeof(size));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, GUESTMEM_GET_INFO, pages + PAGE - sizeof(size)));
	/* It can be read, but not written. */
	info = (void *)pages;
	info->size = size;
	ASSERT_OK(mprotect(pages, PAGE, PROT_READ));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, GUESTMEM_GET_INFO, info));
	munmap(pages, 2 * PAGE);
}

TEST_F(info, unknown_ioctl)
{
	struct guestmem_info info = { .size = sizeof(info) };

	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IO(GUESTMEM_IOC_MAGIC, 0x55), &info));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IO('g', 0), &info));
}

TEST_F(info, ordinary_memfd_has_none)
{
	struct guestmem_info info;
	int fd = memfd(0);

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(ENOTTY, guest_get_info(fd, &info));
	EXPECT_EQ(-1, fdinfo_number(fd, "guest_size"));
	close(fd);
}

TEST_F(info, fdinfo_lines)
{
	char store[32] = "";

	EXPECT_EQ(0, fdinfo_line(self->fd, "guest_store", store, sizeof(store)));
	EXPECT_STREQ("shmem", store);
	EXPECT_EQ(SIZE, fdinfo_number(self->fd, "guest_size"));
	EXPECT_EQ(0, fdinfo_number(self->fd, "guest_movable"));
	EXPECT_EQ(0, fdinfo_number(self->fd, "guest_bound"));
	EXPECT_EQ(3, fdinfo_number(self->fd, "guest_4k"));
	EXPECT_EQ(0, fdinfo_number(self->fd, "guest_2m"));
	EXPECT_EQ(0, fdinfo_number(self->fd, "guest_1g"));
}

TEST_F(info, fdinfo_movable)
{
	int fd = guest_create(MFD_GUEST_MOVABLE, SIZE);

	ASSERT_LE(0, fd);
	EXPECT_EQ(1, fdinfo_number(fd, "guest_movable"));
	close(fd);
}

/* R15: kB per node add up to what is held; a node without pages has no line. */
static long node_kb(int fd)
{
	long sum = 0, kb;
	char key[32];
	int node;

	for (node = 0; node < 64; node++) {
		snprintf(key, sizeof(key), "guest_node%d", node);
		kb = fdinfo_number(fd, key);
		if (kb > 0)
			sum += kb;
	}
	return sum;
}

TEST_F(info, r15_fdinfo_nodes)
{
	EXPECT_EQ(12, node_kb(self->fd));
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_EQ(SIZE / 1024, node_kb(self->fd));
	ASSERT_OK(punch(self->fd, 0, SIZE));
	EXPECT_EQ(0, node_kb(self->fd));
}

TEST_F(info, r15_everything_agrees)
{
	struct guestmem_info info;
	unsigned long pages;

	for (pages = 0; pages <= NR; pages++) {
		ASSERT_OK(punch(self->fd, 0, SIZE));
		if (pages)
			ASSERT_OK(populate(self->fd, 0, pages * PAGE));
		ASSERT_OK(guest_get_info(self->fd, &info));
		EXPECT_EQ(pages, info.pages_4k);
		EXPECT_EQ(pages, fdinfo_number(self->fd, "guest_4k"));
		EXPECT_EQ(pages, file_pages(self->fd));
		EXPECT_EQ(pages * 4, node_kb(self->fd));
	}
}

TEST_F(info, fstat)
{
	struct stat st;

	ASSERT_OK(fstat(self->fd, &st));
	EXPECT_EQ(SIZE, st.st_size);
	EXPECT_EQ(PAGE, st.st_blksize);
	EXPECT_EQ(3 * PAGE / 512, st.st_blocks);
	EXPECT_TRUE(S_ISREG(st.st_mode));
}

/* The counts of all guest files, for the leak check after each test program */
TEST_F(info, debugfs_stats)
{
	long files, folios;

	mount_debugfs();
	files = file_number("/sys/kernel/debug/guestmem/stats", "files");
	folios = file_number("/sys/kernel/debug/guestmem/stats", "folios");
	EXPECT_LE(1, files);
	EXPECT_LE(3, folios);
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_EQ(folios + 5, file_number("/sys/kernel/debug/guestmem/stats", "folios"));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(files - 1, file_number("/sys/kernel/debug/guestmem/stats", "files"));
	EXPECT_EQ(folios - 3, file_number("/sys/kernel/debug/guestmem/stats", "folios"));
}

TEST_HARNESS_MAIN
