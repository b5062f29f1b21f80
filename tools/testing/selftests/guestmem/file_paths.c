// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel paths that take a file and use its pages without its owner's system
 * calls (C19): each refuses a guest file or cannot reach its contents, and each
 * is shown to work on an ordinary file first where that is possible.
 */
#include <linux/kexec.h>
#include <linux/loop.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include <sys/xattr.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

/* more than a CPU holds back from the LRU lists, with a reference to each */
#define NR	64L
#define SIZE	(NR * PAGE)

/* Counted in the page cache: st_blocks would not notice an eviction. */
static long pages_held(int fd)
{
	struct guestmem_info info;

	return guest_get_info(fd, &info) ? -1 : (long)info.pages_4k;
}

FIXTURE(paths) {
	int fd;
	int ordinary;
};

FIXTURE_SETUP(paths)
{
	char *junk = shared_alloc(SIZE);

	ASSERT_NE(MAP_FAILED, (void *)junk);
	memset(junk, 'j', SIZE);
	self->fd = guest_create(MFD_ALLOW_SEALING, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(populate(self->fd, 0, SIZE));
	self->ordinary = memfd(MFD_ALLOW_SEALING);
	ASSERT_LE(0, self->ordinary);
	ASSERT_EQ((ssize_t)SIZE, write(self->ordinary, junk, SIZE));
	munmap(junk, SIZE);
}

FIXTURE_TEARDOWN(paths)
{
	EXPECT_EQ(NR, pages_held(self->fd));
	close(self->ordinary);
	close(self->fd);
}

static int udmabuf_one(int dev, int fd)
{
	struct udmabuf_create create = { .memfd = fd, .size = SIZE };

	return ioctl(dev, UDMABUF_CREATE, &create);
}

static int udmabuf_list(int dev, int first, int second)
{
	struct {
		struct udmabuf_create_list head;
		struct udmabuf_create_item item[2];
	} list = {
		.head = { .count = 2 },
		.item = { { .memfd = first, .size = SIZE }, { .memfd = second, .size = SIZE } },
	};

	return ioctl(dev, UDMABUF_CREATE_LIST, &list);
}

/* memfd_pin_folios(): a DMA buffer of pages pinned for good */
TEST_F(paths, c19_udmabuf)
{
	int dev = open("/dev/udmabuf", O_RDWR), dmabuf;

	if (dev < 0)
		SKIP(return, "no /dev/udmabuf");
	ASSERT_OK(fcntl(self->ordinary, F_ADD_SEALS, F_SEAL_SHRINK));
	dmabuf = udmabuf_one(dev, self->ordinary);
	ASSERT_LE(0, dmabuf);
	close(dmabuf);
	EXPECT_NE(0, ERRNO(udmabuf_one(dev, self->fd)));
	/* Once with the seal that udmabuf wants to see */
	ASSERT_OK(fcntl(self->fd, F_ADD_SEALS, F_SEAL_SHRINK));
	EXPECT_ERRNO(EPERM, udmabuf_one(dev, self->fd));
	close(dev);
}

TEST_F(paths, c19_udmabuf_list)
{
	int dev = open("/dev/udmabuf", O_RDWR);

	if (dev < 0)
		SKIP(return, "no /dev/udmabuf");
	ASSERT_OK(fcntl(self->ordinary, F_ADD_SEALS, F_SEAL_SHRINK));
	ASSERT_OK(fcntl(self->fd, F_ADD_SEALS, F_SEAL_SHRINK));
	EXPECT_ERRNO(EPERM, udmabuf_list(dev, self->fd, self->ordinary));
	EXPECT_ERRNO(EPERM, udmabuf_list(dev, self->ordinary, self->fd));
	/* The ordinary file's pins are gone with the error. */
	EXPECT_OK(ftruncate(self->ordinary, SIZE));
	close(dev);
}

/* A write-sealed file is waited on for pins, a guest file is neither. */
TEST_F(paths, write_seals_refused)
{
	EXPECT_ERRNO(EINVAL, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_ERRNO(EINVAL, fcntl(self->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	EXPECT_OK(punch(self->fd, 0, PAGE));
	EXPECT_OK(populate(self->fd, 0, PAGE));
}

static int loop_open(char *path, size_t size)
{
	int ctl = open("/dev/loop-control", O_RDWR), nr;

	if (ctl < 0)
		return -1;
	nr = ioctl(ctl, LOOP_CTL_GET_FREE);
	close(ctl);
	if (nr < 0)
		return -1;
	snprintf(path, size, "/dev/loop%d", nr);
	return open(path, O_RDWR);
}

/* If a loop device takes the file, it is a device that fails. */
static void expect_dead_loop(struct __test_metadata *_metadata, int loop)
{
	__u64 range[2] = { 0, SIZE };
	char sector[512];

	memset(sector, 'x', sizeof(sector));
	EXPECT_ERRNO(EIO, pread(loop, sector, sizeof(sector), 0));
	EXPECT_EQ('x', sector[0]);
	if (pwrite(loop, sector, sizeof(sector), 0) > 0)
		EXPECT_NE(0, ERRNO(fsync(loop)));
	ioctl(loop, _IO(0x12, 119), range);
	ioctl(loop, LOOP_CLR_FD);
}

static int loop_configure(int loop, int fd)
{
	struct loop_config config = { .fd = fd };

	return ioctl(loop, LOOP_CONFIGURE, &config);
}

TEST_F(paths, c19_loop)
{
	char path[32], sector[512];
	int loop = loop_open(path, sizeof(path));

	if (loop < 0)
		SKIP(return, "no loop device");
	ASSERT_OK(ioctl(loop, LOOP_SET_FD, self->ordinary));
	EXPECT_EQ(512, pread(loop, sector, sizeof(sector), 0));
	EXPECT_EQ('j', sector[0]);
	ASSERT_OK(ioctl(loop, LOOP_CLR_FD));
	close(loop);

	loop = loop_open(path, sizeof(path));
	ASSERT_LE(0, loop);
	if (!ioctl(loop, LOOP_SET_FD, self->fd))
		expect_dead_loop(_metadata, loop);
	if (!loop_configure(loop, self->fd))
		expect_dead_loop(_metadata, loop);
	close(loop);
}

/* Exchanged under a loop device that is in use */
TEST_F(paths, c19_loop_change_fd)
{
	char path[32], sector[512];
	int loop = loop_open(path, sizeof(path));
	struct loop_config config = {
		.fd = self->ordinary,
		.info.lo_flags = LO_FLAGS_READ_ONLY,
	};

	if (loop < 0)
		SKIP(return, "no loop device");
	ASSERT_OK(ioctl(loop, LOOP_CONFIGURE, &config));
	if (!ioctl(loop, LOOP_CHANGE_FD, self->fd)) {
		expect_dead_loop(_metadata, loop);
	} else {
		EXPECT_EQ(512, pread(loop, sector, sizeof(sector), 0));
		EXPECT_EQ('j', sector[0]);
		EXPECT_OK(ioctl(loop, LOOP_CLR_FD));
	}
	close(loop);
}

static int kexec_load(int fd)
{
	return syscall(SYS_kexec_file_load, fd, -1, 1, "", KEXEC_FILE_NO_INITRAMFS);
}

/* A kernel image: ENOEXEC says that the file was read and is none. */
TEST_F(paths, c19_kexec_file_load)
{
	int err = ERRNO(kexec_load(self->ordinary));

	if (err != ENOEXEC)
		SKIP(return, "no kexec_file_load: errno %d", err);
	EXPECT_ERRNO(EPERM, kexec_load(self->fd));
}

/* A module: the same */
TEST_F(paths, c19_finit_module)
{
	int err = ERRNO(syscall(SYS_finit_module, self->ordinary, "", 0));

	if (err != ENOEXEC)
		SKIP(return, "no modules: errno %d", err);
	EXPECT_ERRNO(EPERM, syscall(SYS_finit_module, self->fd, "", 0));
}

TEST_F(paths, c19_execveat)
{
	char path[64];

	EXPECT_ERRNO(EACCES, syscall(SYS_execveat, self->fd, "", NULL, NULL, AT_EMPTY_PATH));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	EXPECT_ERRNO(EACCES, execl(path, "guest", NULL));
}

TEST_F(paths, c19_swapon)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	EXPECT_ERRNO(EPERM, swapon(path, 0));
	EXPECT_EQ(-1, swapoff(path));
}

/* CRIU's way to a mapped file: there is no mapping. */
TEST_F(paths, c19_map_files)
{
	static char maps[65536];
	void *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->ordinary, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_ERRNO(EPERM, mmap(p, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, self->fd, 0));
	munmap(p, PAGE);
	ASSERT_OK(read_file("/proc/self/maps", maps, sizeof(maps)));
	EXPECT_EQ(NULL, strstr(maps, "memfd:guestmem-test"));
}

/* An asynchronous read of the old kind */
TEST_F(paths, c19_aio)
{
	struct {
		__u64 data;
		__u32 key, rw_flags;
		__u16 opcode;
		__s16 reqprio;
		__u32 fildes;
		__u64 buf, nbytes;
		__s64 offset;
		__u64 reserved2;
		__u32 flags, resfd;
	} cb = { .fildes = self->fd }, *cbs[1] = { &cb };
	struct {
		__u64 data, obj;
		__s64 res, res2;
	} event = { };
	unsigned long ctx = 0;
	char buf[512];

	if (syscall(SYS_io_setup, 4, &ctx))
		SKIP(return, "no AIO");
	memset(buf, 'x', sizeof(buf));
	cb.buf = (uintptr_t)buf;
	cb.nbytes = sizeof(buf);
	if (syscall(SYS_io_submit, ctx, 1, cbs) == 1) {
		EXPECT_EQ(1, syscall(SYS_io_getevents, ctx, 1, 1, &event, NULL));
		EXPECT_EQ(-EPERM, event.res);
	} else {
		EXPECT_EQ(EPERM, errno);
	}
	EXPECT_EQ('x', buf[0]);
	syscall(SYS_io_destroy, ctx);
}

/* Page cache advice: pages of a guest are not a cache (R12). */
TEST_F(paths, r12_advice)
{
	static const int advice[] = {
		POSIX_FADV_NORMAL, POSIX_FADV_RANDOM, POSIX_FADV_SEQUENTIAL,
		POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		posix_fadvise(self->fd, 0, SIZE, advice[i]);
		posix_fadvise(self->fd, 0, 0, advice[i]);
		EXPECT_EQ(NR, pages_held(self->fd));
	}
	readahead(self->fd, 0, SIZE);
	EXPECT_EQ(NR, pages_held(self->fd));
}

/* Reading ahead does not fill holes either. */
TEST_F(paths, r12_readahead_of_holes)
{
	ASSERT_OK(punch(self->fd, 0, SIZE));
	readahead(self->fd, 0, SIZE);
	posix_fadvise(self->fd, 0, SIZE, POSIX_FADV_WILLNEED);
	EXPECT_EQ(0, pages_held(self->fd));
	ASSERT_OK(populate(self->fd, 0, SIZE));
}

TEST_F(paths, sync)
{
	EXPECT_OK(fsync(self->fd));
	EXPECT_OK(fdatasync(self->fd));
	sync_file_range(self->fd, 0, SIZE, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	syncfs(self->fd);
	EXPECT_EQ(NR, pages_held(self->fd));
}

TEST_F(paths, c19_drop_caches)
{
	ASSERT_OK(write_file("/proc/sys/vm/drop_caches", "3"));
	EXPECT_EQ(NR, pages_held(self->fd));
}

/* khugepaged collapses files through mappings only, compaction moves nothing. */
TEST_F(paths, compact_memory)
{
	struct guestmem_info info;

	if (write_file("/proc/sys/vm/compact_memory", "1"))
		SKIP(return, "no compaction");
	ASSERT_OK(guest_get_info(self->fd, &info));
	EXPECT_EQ(NR, info.pages_4k);
}

/* Locks, leases and notification concern the file, not its pages. */
TEST_F(paths, fcntl_lock)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	EXPECT_OK(fcntl(self->fd, F_SETLK, &lock));
	EXPECT_EQ(NR, pages_held(self->fd));
}

/* Extended attributes are shmem's; they are no way to the pages. */
TEST_F(paths, xattr)
{
	fsetxattr(self->fd, "user.x", "y", 1, 0);
	flistxattr(self->fd, NULL, 0);
	EXPECT_EQ(NR, pages_held(self->fd));
}

TEST_HARNESS_MAIN
