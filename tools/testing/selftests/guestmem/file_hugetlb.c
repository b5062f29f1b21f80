// SPDX-License-Identifier: GPL-2.0
/*
 * The hugetlb store: guest files of 2M and 1G pages (R1, C15), and that hugetlb's
 * own accounting is right after every call that takes or gives back a page (R10):
 * the pool, for the system and by node, and the cgroups.
 *
 * Every fixture checks at its end that with the file all of its pages and
 * reservations have gone.
 */
#include <limits.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/sendfile.h>

#include "guestmem_huge.h"
#include "../kselftest_harness.h"

#define NR	4L
#define SIZE	((off_t)(NR * SZ_2M))
#define HVO	"/proc/sys/vm/hugetlb_optimize_vmemmap"
#define OVERCOMMIT	"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"
#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static off_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

FIXTURE(hugetlb) {
	struct pool pool;
	char hvo[16];
	int fd;
};

FIXTURE_VARIANT(hugetlb) {
	unsigned int flags;
	bool hvo;
};

FIXTURE_VARIANT_ADD(hugetlb, plain) { };
/* HVO: pages that have given back most of their struct pages */
FIXTURE_VARIANT_ADD(hugetlb, movable_hvo) { .flags = MFD_GUEST_MOVABLE, .hvo = true };

FIXTURE_SETUP(hugetlb)
{
	if (variant->hvo) {
		if (read_file(HVO, self->hvo, sizeof(self->hvo)))
			SKIP(return, "no " HVO);
		ASSERT_OK(write_file(HVO, "1"));
	}
	if (pool_grow(&self->pool, SZ_2M, NR)) {
		if (variant->hvo)
			write_file(HVO, self->hvo);
		SKIP(return, "the system has no %ld huge pages of 2M", NR);
	}
	self->fd = guest_create(MFD_HUGETLB | MFD_HUGE_2MB | variant->flags, SIZE);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(hugetlb)
{
	close(self->fd);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&self->pool));
	pool_restore(&self->pool);
	if (variant->hvo)
		EXPECT_OK(write_file(HVO, self->hvo));
}

#define EXPECT_POOL(free, rsvd) \
	EXPECT_STREQ(pool_is(0, free, rsvd, 0), pool_now(&self->pool))
#define EXPECT_HELD(granules) \
	EXPECT_STREQ(counts(0, granules, 0), held(self->fd))

TEST_F(hugetlb, r10_size_reserves)
{
	EXPECT_POOL(0, NR);
	EXPECT_HELD(0);
	/* the same size again is no second reservation */
	EXPECT_OK(ftruncate(self->fd, SIZE));
	EXPECT_POOL(0, NR);
}

TEST_F(hugetlb, r10_populate)
{
	long i;

	for (i = 0; i < NR; i++) {
		ASSERT_OK(populate(self->fd, i * SZ_2M, SZ_2M));
		EXPECT_POOL(-i - 1, NR - i - 1);
		EXPECT_HELD(i + 1);
	}
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_OK(fallocate(self->fd, 0, 0, SIZE));
	EXPECT_POOL(-NR, 0);
	EXPECT_HELD(NR);
}

/* One page of 4K wants its whole granule. */
TEST_F(hugetlb, r10_populate_small)
{
	ASSERT_OK(populate(self->fd, SZ_2M + 3 * PAGE, PAGE));
	EXPECT_POOL(-1, NR - 1);
	EXPECT_HELD(1);
	ASSERT_OK(populate(self->fd, 3 * SZ_2M - PAGE, 2 * PAGE));
	EXPECT_POOL(-3, NR - 3);
	EXPECT_HELD(3);
}

/* The reservation stays with the file: a page of a hole can be had again. */
TEST_F(hugetlb, r10_punch_whole)
{
	ASSERT_OK(populate(self->fd, 0, SIZE));
	ASSERT_OK(punch(self->fd, SZ_2M, SZ_2M));
	EXPECT_POOL(-NR + 1, 1);
	EXPECT_HELD(NR - 1);
	/* of a hole, nothing */
	ASSERT_OK(punch(self->fd, SZ_2M, SZ_2M));
	EXPECT_POOL(-NR + 1, 1);
	ASSERT_OK(punch(self->fd, 0, SIZE));
	EXPECT_POOL(0, NR);
	EXPECT_HELD(0);
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_POOL(-NR, 0);
	EXPECT_HELD(NR);
}

/* C9: the granule goes when all of it is a hole, whatever the steps were */
TEST_F(hugetlb, r10_punch_in_parts)
{
	ASSERT_OK(populate(self->fd, 0, SIZE));
	ASSERT_OK(punch(self->fd, 0, PAGE));
	ASSERT_OK(punch(self->fd, SZ_2M - PAGE, PAGE));
	ASSERT_OK(punch(self->fd, SZ_1M, SZ_1M));
	EXPECT_POOL(-NR, 0);
	EXPECT_HELD(NR);
	ASSERT_OK(punch(self->fd, 0, SZ_1M - PAGE));
	EXPECT_POOL(-NR, 0);
	EXPECT_HELD(NR);
	ASSERT_OK(punch(self->fd, SZ_1M - PAGE, PAGE));
	EXPECT_POOL(-NR + 1, 1);
	EXPECT_HELD(NR - 1);
}

/* C9: every other page, then the others */
TEST_F(hugetlb, r10_punch_page_by_page)
{
	long page, odd;

	ASSERT_OK(populate(self->fd, 0, SZ_2M));
	for (odd = 0; odd < 2; odd++) {
		for (page = odd; page < PAGES_2M; page += 2)
			ASSERT_OK(punch(self->fd, page * PAGE, PAGE));
		EXPECT_POOL(odd - 1, NR + odd - 1);
		EXPECT_HELD(1 - odd);
	}
}

TEST_F(hugetlb, r10_punch_across)
{
	ASSERT_OK(populate(self->fd, 0, SIZE));
	/* half of a granule, a whole one, half of a third */
	ASSERT_OK(punch(self->fd, SZ_1M, 2 * SZ_2M));
	EXPECT_POOL(-NR + 1, 1);
	EXPECT_HELD(NR - 1);
	/* the halves that are left */
	ASSERT_OK(punch(self->fd, 0, SZ_1M));
	EXPECT_POOL(-NR + 2, 2);
	ASSERT_OK(punch(self->fd, 2 * SZ_2M + SZ_1M, SZ_1M));
	EXPECT_POOL(-NR + 3, 3);
	EXPECT_HELD(NR - 3);
}

/* A hole that is filled again is no hole: punching the rest frees nothing. */
TEST_F(hugetlb, r10_refill)
{
	ASSERT_OK(populate(self->fd, 0, SZ_2M));
	ASSERT_OK(punch(self->fd, 0, SZ_1M));
	ASSERT_OK(populate(self->fd, 0, PAGE));
	EXPECT_POOL(-1, NR - 1);
	EXPECT_HELD(1);
	ASSERT_OK(punch(self->fd, PAGE, SZ_2M - PAGE));
	EXPECT_POOL(-1, NR - 1);
	EXPECT_HELD(1);
	ASSERT_OK(populate(self->fd, 0, SZ_2M));
	ASSERT_OK(punch(self->fd, 0, SZ_2M));
	EXPECT_POOL(0, NR);
	EXPECT_HELD(0);
}

TEST_F(hugetlb, punch_beyond_size)
{
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_OK(punch(self->fd, SIZE, SZ_2M));
	EXPECT_POOL(-NR, 0);
	EXPECT_OK(punch(self->fd, SIZE - SZ_1M, 100 * SZ_2M));
	EXPECT_POOL(-NR, 0);
	EXPECT_OK(punch(self->fd, SIZE - SZ_2M, (LONG_MAX & ~(SZ_2M - 1)) - SIZE));
	EXPECT_POOL(-NR + 1, 1);
}

/* C15: what is refused changes nothing, in the pool neither. */
TEST_F(hugetlb, c15_refused)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE, PUNCH };
	unsigned int i;

	ASSERT_OK(populate(self->fd, 0, SZ_2M));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], 1, PAGE));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], 0, SZ_2M - 1));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], PAGE / 2, SZ_2M));
		EXPECT_ERRNO(EINVAL, fallocate(self->fd, modes[i], 0, 0));
		EXPECT_ERRNO(EFBIG, fallocate(self->fd, modes[i], SZ_2M,
					      LONG_MAX & ~(SZ_2M - 1)));
	}
	EXPECT_ERRNO(EINVAL, populate(self->fd, SIZE, SZ_2M));
	EXPECT_ERRNO(EINVAL, populate(self->fd, SIZE - SZ_2M, SZ_2M + PAGE));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(self->fd, FALLOC_FL_ZERO_RANGE, 0, SZ_2M));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(self->fd, FALLOC_FL_COLLAPSE_RANGE, 0, SZ_2M));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(self->fd, FALLOC_FL_INSERT_RANGE, 0, SZ_2M));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE, 0, SZ_2M));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, SIZE - SZ_2M));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, SIZE + SZ_2M));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, 0));
	EXPECT_EQ(SIZE, size_of(self->fd));
	EXPECT_POOL(-1, NR - 1);
	EXPECT_HELD(1);
}

/* R4: hugetlbfs has ways of its own to a page. */
TEST_F(hugetlb, r4_no_access)
{
	char buf[64] = "x";
	off_t offset = 0;
	int pipes[2];

	ASSERT_OK(pipe(pipes));
	ASSERT_OK(populate(self->fd, 0, SZ_2M));
	EXPECT_ERRNO(EPERM, mmap(NULL, SZ_2M, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_ERRNO(EPERM, mmap(NULL, SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0));
	EXPECT_ERRNO(EPERM, mmap(NULL, SZ_2M, PROT_READ, MAP_PRIVATE, self->fd, SZ_2M));
	EXPECT_ERRNO(EPERM, mmap(NULL, SZ_2M, PROT_READ, MAP_SHARED | MAP_NORESERVE, self->fd, 0));
	EXPECT_ERRNO(EPERM, pread(self->fd, buf, sizeof(buf), 0));
	EXPECT_ERRNO(EPERM, pwrite(self->fd, buf, sizeof(buf), 0));
	EXPECT_ERRNO(EPERM, splice(self->fd, NULL, pipes[1], NULL, PAGE, 0));
	EXPECT_ERRNO(EPERM, sendfile(pipes[1], self->fd, &offset, PAGE));
	EXPECT_ERRNO(EPERM, proc_open(self->fd, O_RDWR));
	EXPECT_EQ('x', buf[0]);
	EXPECT_POOL(-1, NR - 1);
	close(pipes[0]);
	close(pipes[1]);
}

/* R15: what it says of itself */
TEST_F(hugetlb, r15_info)
{
	struct guestmem_info info;
	char store[32] = "";
	struct stat st;

	ASSERT_OK(populate(self->fd, 0, 2 * SZ_2M));
	ASSERT_OK(guest_get_info(self->fd, &info));
	EXPECT_EQ(SIZE, info.file_size);
	EXPECT_EQ(SZ_2M, info.granule);
	EXPECT_EQ(0, info.pages_4k);
	EXPECT_EQ(2, info.pages_2m);
	EXPECT_EQ(0, info.pages_1g);
	EXPECT_EQ(!!(variant->flags & MFD_GUEST_MOVABLE), !!(info.flags & GUESTMEM_INFO_MOVABLE));
	EXPECT_EQ(0, info.flags & GUESTMEM_INFO_NOHUGEPAGE);
	EXPECT_EQ(0, fdinfo_line(self->fd, "guest_store", store, sizeof(store)));
	EXPECT_STREQ("hugetlb-2M", store);
	EXPECT_EQ(SIZE, fdinfo_number(self->fd, "guest_size"));
	ASSERT_OK(fstat(self->fd, &st));
	EXPECT_EQ(SZ_2M, st.st_blksize);
	EXPECT_EQ(2 * SZ_2M / 512, st.st_blocks);
	EXPECT_EQ(SIZE, st.st_size);
	EXPECT_EQ(0, st.st_mode & 0111);
	/* a hole in a granule gives nothing back */
	ASSERT_OK(punch(self->fd, PAGE, PAGE));
	EXPECT_HELD(2);
}

TEST_F(hugetlb, debugfs_maps)
{
	ASSERT_OK(populate(self->fd, 0, SZ_2M));
	ASSERT_OK(populate(self->fd, 2 * SZ_2M, 2 * SZ_2M));
	EXPECT_STREQ("hugetlb-2M 8388608; 0 512 9; 1024 1024 9;", folio_runs(self->fd));
}

/* C16: a child that inherits the file takes no page and gives none back. */
TEST_F(hugetlb, c16_child)
{
	pid_t pid;

	ASSERT_OK(populate(self->fd, 0, SZ_2M));
	pid = fork();
	if (!pid) {
		if (ERRNO(populate(self->fd, 0, SIZE)) != EPERM ||
		    ERRNO(punch(self->fd, 0, SIZE)) != EPERM)
			_exit(1);
		close(self->fd);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_POOL(-1, NR - 1);
	EXPECT_HELD(1);
}

/* R10: nobody else gets what is promised to the file. */
TEST_F(hugetlb, r10_promise_is_kept)
{
	struct pool_state now;
	void *p;

	ASSERT_OK(pool_read(SZ_2M, &now));
	ASSERT_LE(NR, now.rsvd);
	p = mmap(NULL, (now.free - now.rsvd + 1) * SZ_2M, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | MFD_HUGE_2MB, -1, 0);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_POOL(-NR, 0);
}

/* Populating and punching by threads: at the end the counts agree. */
static void *punch_and_populate(void *arg)
{
	int fd = *(int *)arg;
	long failed = 0, i;

	for (i = 0; i < 40; i++) {
		failed += punch(fd, i % 8 * SZ_1M, SZ_1M + i % 3 * PAGE) != 0;
		failed += populate(fd, (i + 3) % 8 * SZ_1M, SZ_1M) != 0;
	}
	return (void *)failed;
}

TEST_F_TIMEOUT(hugetlb, r10_threads, SLOW)
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
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_POOL(-NR, 0);
	EXPECT_HELD(NR);
	ASSERT_OK(punch(self->fd, 0, SIZE));
	EXPECT_POOL(0, NR);
	EXPECT_HELD(0);
}

/* ---- flags and sizes ---- */

FIXTURE(hugetlb_size) {
	struct pool pool;
	int fd;
};

FIXTURE_VARIANT(hugetlb_size) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(hugetlb_size, 2m) { .store = &hugetlb_2m_store };
FIXTURE_VARIANT_ADD(hugetlb_size, 1g) { .store = &hugetlb_1g_store };

FIXTURE_SETUP(hugetlb_size)
{
	if (pool_grow(&self->pool, variant->store->granule, 1))
		SKIP(return, "the system has no free huge page for %s", variant->store->name);
	self->fd = memfd(MFD_GUEST | variant->store->flags);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(hugetlb_size)
{
	close(self->fd);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&self->pool));
	pool_restore(&self->pool);
}

/* R1: born with the seals of a guest file, and empty */
TEST_F(hugetlb_size, r1_new_file)
{
	int seals = fcntl(self->fd, F_GET_SEALS);
	struct stat st;

	EXPECT_EQ(F_SEAL_GUEST | F_SEAL_EXEC, seals & (F_SEAL_GUEST | F_SEAL_EXEC));
	ASSERT_OK(fstat(self->fd, &st));
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(variant->store->granule, st.st_blksize);
	EXPECT_EQ(0, st.st_mode & 0111);
	EXPECT_ERRNO(EPERM, fchmod(self->fd, 0700));
	EXPECT_STREQ(counts(0, 0, 0), held(self->fd));
	EXPECT_POOL(0, 0);
}

/* C15: the size is a multiple of the granule */
TEST_F(hugetlb_size, c15_granule)
{
	off_t granule = variant->store->granule;

	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, PAGE));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, granule / 2));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, granule - PAGE));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, granule + PAGE));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, granule + 1));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, LONG_MAX));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, -granule));
	EXPECT_EQ(0, size_of(self->fd));
	EXPECT_POOL(0, 0);
	EXPECT_ERRNO(EINVAL, populate(self->fd, 0, PAGE));
	EXPECT_OK(punch(self->fd, 0, granule));
	EXPECT_POOL(0, 0);
	EXPECT_OK(ftruncate(self->fd, granule));
	EXPECT_EQ(granule, size_of(self->fd));
	EXPECT_POOL(0, 1);
}

/* R10, R17: more than the pool has: ENOMEM now, and the file has no size yet. */
TEST_F(hugetlb_size, r10_more_than_there_is)
{
	unsigned long granule = variant->store->granule;
	struct pool_state now;

	ASSERT_OK(pool_read(granule, &now));
	EXPECT_ERRNO(ENOMEM, ftruncate(self->fd, (now.free - now.rsvd + 1) * granule));
	EXPECT_ERRNO(ENOMEM, ftruncate(self->fd, 1UL << 50));
	EXPECT_ERRNO(ENOMEM, ftruncate(self->fd, LONG_MAX & ~(granule - 1)));
	EXPECT_EQ(0, size_of(self->fd));
	EXPECT_POOL(0, 0);
	EXPECT_OK(ftruncate(self->fd, granule));
	EXPECT_POOL(0, 1);
}

/* R10: what one file has reserved another cannot, until it is gone. */
TEST_F(hugetlb_size, r10_two_files)
{
	unsigned long granule = variant->store->granule;
	struct pool_state now;
	long all;
	int fd;

	ASSERT_OK(pool_read(granule, &now));
	all = now.free - now.rsvd;
	fd = guest_create(variant->store->flags, all * granule);
	ASSERT_LE(0, fd);
	EXPECT_POOL(0, all);
	EXPECT_ERRNO(ENOMEM, ftruncate(self->fd, granule));
	close(fd);
	EXPECT_POOL(0, 0);
	EXPECT_OK(ftruncate(self->fd, granule));
	EXPECT_POOL(0, 1);
}

TEST_F(hugetlb_size, by_path)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	EXPECT_ERRNO(EINVAL, truncate(path, PAGE));
	EXPECT_OK(truncate(path, variant->store->granule));
	EXPECT_POOL(0, 1);
	EXPECT_ERRNO(EPERM, truncate(path, 0));
	EXPECT_POOL(0, 1);
}

FIXTURE(hugetlb_flags) {
};

FIXTURE_SETUP(hugetlb_flags)
{
}

FIXTURE_TEARDOWN(hugetlb_flags)
{
}

/* R20: contradictions, and sizes that do not exist */
TEST_F(hugetlb_flags, r20_refused)
{
	EXPECT_ERRNO(EINVAL, memfd(MFD_GUEST | MFD_HUGETLB | MFD_EXEC));
	EXPECT_ERRNO(EINVAL, memfd(MFD_GUEST | MFD_HUGE_1GB));
	EXPECT_ERRNO(EINVAL, memfd(MFD_HUGETLB | MFD_GUEST_NOHUGEPAGE));
	EXPECT_ERRNO(ENODEV, memfd(MFD_GUEST | MFD_HUGETLB | MFD_HUGE_16MB));
	EXPECT_ERRNO(ENODEV, memfd(MFD_GUEST | MFD_HUGETLB | MFD_HUGE_64KB));
}

/* MFD_GUEST combines with it; it is about the shmem store, and changes nothing here. */
TEST_F(hugetlb_flags, nohugepage)
{
	struct guestmem_info info;
	int fd = memfd(MFD_GUEST | MFD_HUGETLB | MFD_HUGE_2MB | MFD_GUEST_NOHUGEPAGE);

	ASSERT_LE(0, fd);
	ASSERT_OK(guest_get_info(fd, &info));
	EXPECT_EQ(GUESTMEM_INFO_NOHUGEPAGE, info.flags);
	EXPECT_EQ(SZ_2M, info.granule);
	close(fd);
}

/* R10: a pool that may grow grows, and shrinks again. */
TEST_F(hugetlb_flags, r10_surplus)
{
	long overcommit;
	struct pool pool;
	int fd;

	overcommit = file_number(OVERCOMMIT, NULL);
	if (overcommit < 0 || pool_grow(&pool, SZ_2M, 1))
		SKIP(return, "the system has no huge page of 2M");
	ASSERT_OK(pool_set(SZ_2M, "nr_overcommit_hugepages", 2));
	fd = guest_create(MFD_HUGETLB | MFD_HUGE_2MB,
			  (pool.before.free - pool.before.rsvd + 2) * SZ_2M);
	EXPECT_LE(0, fd);
	EXPECT_STREQ(pool_is(2, 2, pool.before.free - pool.before.rsvd + 2, 2), pool_now(&pool));
	EXPECT_OK(populate(fd, 0, SZ_2M));
	EXPECT_STREQ(pool_is(2, 1, pool.before.free - pool.before.rsvd + 1, 2), pool_now(&pool));
	EXPECT_OK(punch(fd, 0, SZ_2M));
	close(fd);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&pool));
	EXPECT_OK(pool_set(SZ_2M, "nr_overcommit_hugepages", overcommit));
	pool_restore(&pool);
}

/* ---- sealing a hugetlb memfd ---- */

FIXTURE(hugetlb_seal) {
	struct pool pool;
	int fd;
};

FIXTURE_SETUP(hugetlb_seal)
{
	if (pool_grow(&self->pool, SZ_2M, 2))
		SKIP(return, "the system has no 2 huge pages of 2M");
	self->fd = memfd(MFD_HUGETLB | MFD_HUGE_2MB | MFD_ALLOW_SEALING);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(hugetlb_seal)
{
	close(self->fd);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&self->pool));
	pool_restore(&self->pool);
}

static int seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_GUEST);
}

/* R1: the second spelling of MFD_GUEST | MFD_HUGETLB */
TEST_F(hugetlb_seal, r1_empty)
{
	ASSERT_OK(seal(self->fd));
	EXPECT_OK(seal(self->fd));
	EXPECT_EQ(F_SEAL_GUEST | F_SEAL_EXEC,
		  fcntl(self->fd, F_GET_SEALS) & (F_SEAL_GUEST | F_SEAL_EXEC));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, PAGE));
	ASSERT_OK(ftruncate(self->fd, 2 * SZ_2M));
	EXPECT_POOL(0, 2);
	EXPECT_ERRNO(EPERM, mmap(NULL, SZ_2M, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_OK(populate(self->fd, 0, SZ_2M));
	EXPECT_HELD(1);
	EXPECT_POOL(-1, 1);
}

/* EBUSY, and the memfd is what it was. */
TEST_F(hugetlb_seal, r1_size_not_zero)
{
	char *p;

	ASSERT_OK(ftruncate(self->fd, SZ_2M));
	EXPECT_ERRNO(EBUSY, seal(self->fd));
	EXPECT_EQ(0, fcntl(self->fd, F_GET_SEALS) & F_SEAL_GUEST);
	p = mmap(NULL, SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	*p = 1;
	EXPECT_POOL(-1, 0);
	munmap(p, SZ_2M);
}

TEST_F(hugetlb_seal, r1_mapped_or_shared)
{
	void *p = mmap(NULL, SZ_2M, PROT_READ, MAP_SHARED, self->fd, 0);
	int other = dup(self->fd);

	EXPECT_ERRNO(EBUSY, seal(self->fd));
	close(other);
	/* hugetlbfs grows a file to what is mapped of it */
	if (p != MAP_FAILED)
		EXPECT_ERRNO(EBUSY, seal(self->fd));
	munmap(p, SZ_2M);
	EXPECT_EQ(0, fcntl(self->fd, F_GET_SEALS) & F_SEAL_GUEST);
}

/* Used and made empty again: no page, no reservation is left to count twice. */
TEST_F(hugetlb_seal, r10_used_before)
{
	char *p;

	ASSERT_OK(ftruncate(self->fd, 2 * SZ_2M));
	p = mmap(NULL, 2 * SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	*p = 1;
	EXPECT_POOL(-1, 1);
	munmap(p, 2 * SZ_2M);
	ASSERT_OK(ftruncate(self->fd, 0));
	EXPECT_POOL(0, 0);
	ASSERT_OK(seal(self->fd));
	ASSERT_OK(ftruncate(self->fd, 2 * SZ_2M));
	EXPECT_POOL(0, 2);
	ASSERT_OK(populate(self->fd, 0, 2 * SZ_2M));
	EXPECT_POOL(-2, 0);
	EXPECT_HELD(2);
}

/* ---- cgroups ---- */

FIXTURE(hugetlb_cgroup) {
	struct pool pool;
	struct cgroup cg;
	int fd;
};

FIXTURE_SETUP(hugetlb_cgroup)
{
	if (pool_grow(&self->pool, SZ_2M, NR))
		SKIP(return, "the system has no %ld huge pages of 2M", NR);
	if (cgroup_create(&self->cg, "hugetlb") ||
	    cgroup_get(&self->cg, "hugetlb.2MB.current", NULL) < 0) {
		cgroup_destroy(&self->cg);
		pool_restore(&self->pool);
		SKIP(return, "no hugetlb cgroup");
	}
	ASSERT_OK(cgroup_enter(&self->cg));
	self->fd = memfd(MFD_GUEST | MFD_HUGETLB | MFD_HUGE_2MB);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(hugetlb_cgroup)
{
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&self->pool));
	EXPECT_EQ(0, cgroup_get(&self->cg, "hugetlb.2MB.current", NULL));
	EXPECT_EQ(0, cgroup_get(&self->cg, "hugetlb.2MB.rsvd.current", NULL));
	pool_restore(&self->pool);
	cgroup_destroy(&self->cg);
}

/* Granules that the cgroup is charged for: reserved and used */
#define EXPECT_CHARGED(rsvd, used) do { \
	EXPECT_EQ((rsvd) * SZ_2M, cgroup_get(&self->cg, "hugetlb.2MB.rsvd.current", NULL)); \
	EXPECT_EQ((used) * SZ_2M, cgroup_get(&self->cg, "hugetlb.2MB.current", NULL)); \
} while (0)

/* R10, R15: as for a mapping: the reservation to its maker, a page to its user */
TEST_F(hugetlb_cgroup, r15_charged_and_uncharged)
{
	EXPECT_CHARGED(0, 0);
	ASSERT_OK(ftruncate(self->fd, SIZE));
	EXPECT_CHARGED(NR, 0);
	ASSERT_OK(populate(self->fd, 0, 3 * SZ_2M));
	EXPECT_CHARGED(NR, 3);
	ASSERT_OK(punch(self->fd, PAGE, SZ_2M));
	EXPECT_CHARGED(NR, 3);
	ASSERT_OK(punch(self->fd, 0, 2 * SZ_2M));
	EXPECT_CHARGED(NR, 1);
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_CHARGED(NR, NR);
	close(self->fd);
	self->fd = -1;
	EXPECT_CHARGED(0, 0);
}

/* R17: the limit for reservations is met by ftruncate. */
TEST_F(hugetlb_cgroup, r17_rsvd_limit)
{
	ASSERT_OK(cgroup_set(&self->cg, "hugetlb.2MB.rsvd.max", "4M"));
	EXPECT_ERRNO(ENOMEM, ftruncate(self->fd, SIZE));
	EXPECT_EQ(0, size_of(self->fd));
	EXPECT_CHARGED(0, 0);
	EXPECT_POOL(0, 0);
	EXPECT_OK(ftruncate(self->fd, 2 * SZ_2M));
	EXPECT_CHARGED(2, 0);
	EXPECT_OK(populate(self->fd, 0, 2 * SZ_2M));
	EXPECT_CHARGED(2, 2);
}

/* C10: the limit for pages in use stops a populate half way: nothing is added. */
TEST_F(hugetlb_cgroup, c10_limit)
{
	ASSERT_OK(ftruncate(self->fd, SIZE));
	ASSERT_OK(populate(self->fd, SZ_2M, SZ_2M));
	ASSERT_OK(cgroup_set(&self->cg, "hugetlb.2MB.max", "4M"));
	EXPECT_ERRNO(ENOMEM, populate(self->fd, 0, SIZE));
	EXPECT_CHARGED(NR, 1);
	EXPECT_POOL(-1, NR - 1);
	EXPECT_HELD(1);
	ASSERT_OK(cgroup_set(&self->cg, "hugetlb.2MB.max", "max"));
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_CHARGED(NR, NR);
}

/* R15: the memory cgroup counts hugetlb pages only if it was mounted to. */
TEST_F(hugetlb_cgroup, r15_memcg)
{
	char mounts[8192] = "";
	long long before, more;

	ASSERT_OK(read_file("/proc/mounts", mounts, sizeof(mounts)));
	ASSERT_OK(ftruncate(self->fd, SIZE));
	before = cgroup_get(&self->cg, "memory.current", NULL);
	ASSERT_LE(0, before);
	ASSERT_OK(populate(self->fd, 0, SIZE));
	more = cgroup_get(&self->cg, "memory.current", NULL) - before;
	EXPECT_EQ(!!strstr(mounts, "memory_hugetlb_accounting"), more >= SIZE / 2)
		TH_LOG("charged %lld", more);
}

/* ---- 1G: zeroing takes seconds ---- */

FIXTURE(hugetlb_1g) {
	struct pool pool;
	int fd;
};

FIXTURE_SETUP(hugetlb_1g)
{
	if (pool_grow(&self->pool, SZ_1G, 1))
		SKIP(return, "the system has no free huge page of 1G");
	self->fd = guest_create(MFD_HUGETLB | MFD_HUGE_1GB, SZ_1G);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(hugetlb_1g)
{
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&self->pool));
	pool_restore(&self->pool);
}

/* A page is zeroed when it is asked for: a granule need not be zeroed as a whole. */
TEST_F_TIMEOUT(hugetlb_1g, r10_accounting, SLOW)
{
	char store[32] = "";

	EXPECT_POOL(0, 1);
	ASSERT_OK(populate(self->fd, SZ_1G - PAGE, PAGE));
	EXPECT_STREQ(counts(0, 0, 1), held(self->fd));
	EXPECT_POOL(-1, 0);
	ASSERT_OK(populate(self->fd, 0, 2 * SZ_2M));
	EXPECT_POOL(-1, 0);
	EXPECT_EQ(0, fdinfo_line(self->fd, "guest_store", store, sizeof(store)));
	EXPECT_STREQ("hugetlb-1G", store);
	EXPECT_STREQ("hugetlb-1G 1073741824; 0 262144 18;", folio_runs(self->fd));
	/* C9: with a hole it is a granule; nothing but holes, it is not */
	ASSERT_OK(punch(self->fd, 0, SZ_1G - PAGE));
	EXPECT_STREQ(counts(0, 0, 1), held(self->fd));
	EXPECT_POOL(-1, 0);
	ASSERT_OK(punch(self->fd, SZ_1G - PAGE, PAGE));
	EXPECT_STREQ(counts(0, 0, 0), held(self->fd));
	EXPECT_POOL(0, 1);
}

/* Zeroes 1G again and again, until it is killed. */
static void populate_for_ever(int report)
{
	int fd = guest_create(MFD_HUGETLB | MFD_HUGE_1GB, SZ_1G);

	if (fd < 0 || write(report, "x", 1) != 1)
		_exit(1);
	while (!populate(fd, 0, SZ_1G) && !punch(fd, 0, SZ_1G))
		;
	_exit(2);
}

/* C10: killed at any moment, soon, and with its page back in the pool */
TEST_F_TIMEOUT(hugetlb_1g, c10_killed, SLOW)
{
	int fds[2], us;
	pid_t pid;
	char c;

	close(self->fd);
	EXPECT_POOL(0, 0);
	for (us = 1000; us < 100000; us *= 3) {
		ASSERT_OK(pipe(fds));
		pid = fork();
		if (!pid)
			populate_for_ever(fds[1]);
		ASSERT_EQ(1, read(fds[0], &c, 1));
		usleep(us);
		kill(pid, SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(pid));
		EXPECT_POOL(0, 0);
		close(fds[0]);
		close(fds[1]);
	}
	self->fd = -1;
}

TEST_HARNESS_MAIN
