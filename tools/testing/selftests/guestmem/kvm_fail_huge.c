// SPDX-License-Identifier: GPL-2.0
/*
 * Every point at which an operation on huge pages can run out of memory (R17): it
 * is made to fail at its first, second, ... such point until it succeeds without
 * having met the failure. A call that fails leaves all as it was: what the guest
 * sees, what the file holds, how it is mapped, what the pool counts.
 *
 * kvm_fail_nth.c does the same for operations on pages of 4K.
 */
#include <stdio.h>

#include "guestmem_huge.h"
#include "../kselftest_harness.h"

#define NR	2L
#define SIZE	((off_t)(NR * SZ_2M))
#define GPA	VM_DATA_GPA
#define SEED	0xfa112000
#define SHARED	0xeeeeeeee
#define STATS	"/sys/kernel/debug/guestmem/stats"
#define LIMIT	1000
/* Where there is a hole, or shared memory: pages in the middle of the first 2M */
#define PART	((__u64)(SZ_1M - 2 * PAGE))
#define LENGTH	(5 * PAGE)
/* The guest's code: a page of slot 0, mapped when a vCPU has run */
#define CODE	1

FIXTURE(fail) {
	struct pool pool;
	struct vm vm;
	int fd;
	char *shared;
	long files;
};

FIXTURE_VARIANT(fail) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(fail, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(fail, hugetlb_2m) { .store = &hugetlb_2m_store };

FIXTURE_SETUP(fail)
{
	if (fail_nth_setup())
		SKIP(return, "no fault injection");
	/* as many again for a second file */
	if (pool_grow(&self->pool, variant->store->granule, 2 * NR))
		SKIP(return, "the pool of 2M pages has too few, and gets no more");
	ASSERT_OK(vm_create(&self->vm, 1));
	self->fd = guest_create(variant->store->flags, SIZE);
	ASSERT_LE(0, self->fd);
	self->shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->shared);
	memset(self->shared, SHARED & 0xff, SIZE);
	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_LE(0, guest_do(&self->vm, 0, GUEST_CHECK, 0, 4, 0));
	self->files = file_number(STATS, "files");
	ASSERT_LE(1, self->files);
}

FIXTURE_TEARDOWN(fail)
{
	vm_destroy(&self->vm);
	close(self->fd);
	if (is_hugetlb(variant->store))
		EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&self->pool));
	pool_restore(&self->pool);
}

#define GUEST(op, gpa, size, value) guest_do(&self->vm, 0, op, gpa, size, value)

/* The pool's figures relative to those before the file; for shmem there are none. */
#define EXPECT_POOL(free, rsvd) do { \
	if (is_hugetlb(variant->store)) \
		EXPECT_STREQ(pool_is(0, free, rsvd, 0), pool_now(&self->pool)); \
} while (0)

/* The errors that injection makes: no memory, or no access to the arguments */
static bool injected(int err)
{
	return err == ENOMEM || err == EFAULT;
}

/**
 * struct sweep - one operation, made to fail at one point after the other
 * @nth: the point
 * @failures: calls that failed
 * @nomem: those of them for want of memory
 * @hit: the last call met the failure
 */
struct sweep {
	unsigned int nth, failures, nomem;
	bool hit;
};

/* False when a call went through all of its points. */
static bool sweep_next(struct sweep *s)
{
	return (!s->nth || s->hit) && s->nth++ < LIMIT && !fail_nth_arm(s->nth);
}

/* Did the call fail, as it may only if it met the failure? @err: its errno */
static bool sweep_failed(struct __test_metadata *_metadata, struct sweep *s, int err)
{
	s->hit = fail_nth_disarm();
	if (!err)
		return false;
	s->failures++;
	s->nomem += err == ENOMEM;
	EXPECT_TRUE(s->hit && injected(err))
		TH_LOG("point %u: errno %d", s->nth, err);
	return true;
}

/* It had a point to fail at, and has gone through all of them. */
static void sweep_done(struct __test_metadata *_metadata, struct sweep *s)
{
	EXPECT_FALSE(s->hit);
	EXPECT_LT(1, s->nth);
}

/* All private, huge, and with the guest's data */
static void expect_untouched(struct __test_metadata *_metadata, struct vm *vm, int fd)
{
	EXPECT_STREQ(counts(CODE, NR, 0), mapped(vm));
	EXPECT_STREQ(counts(0, NR, 0), held(fd));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_VERIFY, GPA, SIZE, SEED))
		TH_LOG("at %#llx", vm->bad_gpa[0]);
	EXPECT_STREQ(counts(CODE, NR, 0), mapped(vm));
}

/* R17: memfd_create() and ftruncate(), which reserves */
TEST_F_TIMEOUT(fail, r17_create, SLOW)
{
	struct sweep s = { };
	int fd, err;

	while (sweep_next(&s) && !_metadata->exit_code) {
		err = ERRNO(fd = memfd(MFD_GUEST | variant->store->flags));
		/* what memfds of all kinds say for want of memory */
		if (err == ENFILE || err == ENOSPC)
			err = ENOMEM;
		if (!sweep_failed(_metadata, &s, err))
			close(fd);
		EXPECT_EQ(self->files, file_number(STATS, "files"));
		EXPECT_POOL(0, NR);
	}
	sweep_done(_metadata, &s);
	EXPECT_LT(0, s.nomem);
}

TEST_F_TIMEOUT(fail, r17_size, SLOW)
{
	struct sweep s = { };
	struct stat st;
	int fd = -1;

	if (!is_hugetlb(variant->store))
		SKIP(return, "setting the size of a shmem file allocates nothing");
	while (!_metadata->exit_code) {
		fd = memfd(MFD_GUEST | variant->store->flags);
		ASSERT_LE(0, fd);
		if (!sweep_next(&s))
			break;
		if (sweep_failed(_metadata, &s, ERRNO(ftruncate(fd, SIZE)))) {
			ASSERT_OK(fstat(fd, &st));
			EXPECT_EQ(0, st.st_size);
			EXPECT_POOL(0, NR);
			EXPECT_OK(ftruncate(fd, SIZE));
		}
		EXPECT_POOL(0, 2 * NR);
		close(fd);
		EXPECT_POOL(0, NR);
	}
	close(fd);
	/* hugetlb may well have what it needs for that */
	EXPECT_FALSE(s.hit);
}

/* C10: a populate that fails takes back what it added. */
TEST_F_TIMEOUT(fail, c10_populate, SLOW)
{
	struct sweep s = { };

	while (sweep_next(&s) && !_metadata->exit_code) {
		if (sweep_failed(_metadata, &s, ERRNO(populate(self->fd, 0, SIZE)))) {
			EXPECT_STREQ(counts(0, 0, 0), held(self->fd));
			EXPECT_POOL(0, NR);
		} else {
			/* for want of a huge page shmem takes small ones */
			EXPECT_EQ(SIZE / PAGE, file_pages(self->fd));
			EXPECT_POOL(-NR, 0);
		}
		ASSERT_OK(punch(self->fd, 0, SIZE));
		EXPECT_POOL(0, NR);
	}
	sweep_done(_metadata, &s);
}

/* R17: a fault leaves a whole folio or none; the next one works. */
TEST_F_TIMEOUT(fail, r17_prefault, SLOW)
{
	struct sweep s = { };
	long pages;

	while (sweep_next(&s) && !_metadata->exit_code) {
		sweep_failed(_metadata, &s,
			     ERRNO(vm_prefault(&self->vm, 0, GPA + PART, PAGE, NULL)));
		pages = file_pages(self->fd);
		EXPECT_TRUE(pages == 0 || pages == 1 || pages == PAGES_2M)
			TH_LOG("%ld pages", pages);
		EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + PART, PAGE, 0));
		ASSERT_OK(punch(self->fd, 0, SIZE));
		EXPECT_POOL(0, NR);
	}
	sweep_done(_metadata, &s);
}

static void fill(struct __test_metadata *_metadata, struct vm *vm, int fd)
{
	ASSERT_OK(populate(fd, 0, SIZE));
	ASSERT_OK(prefault_all(vm, 0, GPA, SIZE));
	ASSERT_EQ(0, guest_do(vm, 0, GUEST_STAMP, GPA, SIZE, SEED));
	expect_untouched(_metadata, vm, fd);
}

/* R17, C18: part of a huge page to shared, and back, which merges it */
TEST_F_TIMEOUT(fail, r17_convert, SLOW)
{
	struct sweep to = { }, back = { };

	fill(_metadata, &self->vm, self->fd);
	while (sweep_next(&to) && !_metadata->exit_code) {
		if (sweep_failed(_metadata, &to,
				 ERRNO(vm_set_shared(&self->vm, GPA + PART, LENGTH)))) {
			expect_untouched(_metadata, &self->vm, self->fd);
			continue;
		}
		EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + PART, LENGTH, SHARED));
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, PART, SEED));
		ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
		ASSERT_OK(prefault_all(&self->vm, 0, GPA, SIZE));
		expect_untouched(_metadata, &self->vm, self->fd);
	}
	sweep_done(_metadata, &to);
	EXPECT_LT(0, to.nomem);
	ASSERT_OK(vm_set_shared(&self->vm, GPA + PART, LENGTH));
	while (sweep_next(&back) && !_metadata->exit_code) {
		if (sweep_failed(_metadata, &back,
				 ERRNO(vm_set_private(&self->vm, GPA + PART, LENGTH)))) {
			EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + PART, LENGTH, SHARED));
			EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + PART + LENGTH, PAGE, SEED));
			continue;
		}
		ASSERT_OK(prefault_all(&self->vm, 0, GPA, SIZE));
		expect_untouched(_metadata, &self->vm, self->fd);
		ASSERT_OK(vm_set_shared(&self->vm, GPA + PART, LENGTH));
	}
	sweep_done(_metadata, &back);
	EXPECT_POOL(-NR, 0);
}

/* R17: the mapping that puts a page together again */
TEST_F_TIMEOUT(fail, r17_merge, SLOW)
{
	struct sweep s = { };

	fill(_metadata, &self->vm, self->fd);
	while (!_metadata->exit_code) {
		ASSERT_OK(vm_set_shared(&self->vm, GPA + PART, LENGTH));
		ASSERT_OK(prefault_all(&self->vm, 0, GPA, SIZE));
		ASSERT_OK(vm_set_private(&self->vm, GPA + PART, LENGTH));
		if (!sweep_next(&s))
			break;
		sweep_failed(_metadata, &s,
			     ERRNO(vm_prefault(&self->vm, 0, GPA + PART, PAGE, NULL)));
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SZ_2M, SEED));
		expect_untouched(_metadata, &self->vm, self->fd);
	}
	sweep_done(_metadata, &s);
}

/* R17, C9: a hole in a huge page */
TEST_F_TIMEOUT(fail, r17_punch_part, SLOW)
{
	struct sweep s = { };

	fill(_metadata, &self->vm, self->fd);
	while (sweep_next(&s) && !_metadata->exit_code) {
		if (sweep_failed(_metadata, &s, ERRNO(punch(self->fd, PART, LENGTH)))) {
			expect_untouched(_metadata, &self->vm, self->fd);
			EXPECT_POOL(-NR, 0);
			continue;
		}
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, PART, SEED));
		EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + PART, LENGTH, 0));
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + PART + LENGTH, SIZE - PART - LENGTH, SEED));
		EXPECT_POOL(-NR, 0);
		/* whole again for the next point */
		ASSERT_OK(punch(self->fd, 0, SIZE));
		fill(_metadata, &self->vm, self->fd);
	}
	EXPECT_FALSE(s.hit);
	/* A split needs memory; a note of a hole need not. */
	if (!is_hugetlb(variant->store))
		EXPECT_LT(0, s.nomem);
}

/* C9, R17: two folios that are to be split: both are, or none. */
TEST_F_TIMEOUT(fail, r17_punch_two_parts, SLOW)
{
	struct sweep s = { };

	fill(_metadata, &self->vm, self->fd);
	while (sweep_next(&s) && !_metadata->exit_code) {
		if (sweep_failed(_metadata, &s, ERRNO(punch(self->fd, SZ_2M - PAGE, 2 * PAGE)))) {
			EXPECT_EQ(SIZE / PAGE, file_pages(self->fd));
			EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
		} else {
			EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SZ_2M - PAGE, SEED));
			EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + SZ_2M - PAGE, 2 * PAGE, 0));
			EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + SZ_2M + PAGE, SZ_2M - PAGE, SEED));
		}
		EXPECT_POOL(-NR, 0);
		ASSERT_OK(punch(self->fd, 0, SIZE));
		fill(_metadata, &self->vm, self->fd);
	}
	EXPECT_FALSE(s.hit);
}

/* A hole is filled, or it is a hole. */
TEST_F_TIMEOUT(fail, r17_refill, SLOW)
{
	struct sweep s = { };
	long hole;

	fill(_metadata, &self->vm, self->fd);
	ASSERT_OK(punch(self->fd, PART, LENGTH));
	hole = file_pages(self->fd);
	while (sweep_next(&s) && !_metadata->exit_code) {
		if (sweep_failed(_metadata, &s, ERRNO(populate(self->fd, PART, LENGTH))))
			EXPECT_EQ(hole, file_pages(self->fd));
		EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + PART, LENGTH, 0));
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + PART - 2 * PAGE, 2 * PAGE, SEED));
		EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA + PART, LENGTH, SEED));
		ASSERT_OK(punch(self->fd, PART, LENGTH));
		EXPECT_POOL(-NR, 0);
	}
	EXPECT_FALSE(s.hit);
}

/* The small folios of an aligned 2M become one, or stay what they are. */
TEST_F_TIMEOUT(fail, r17_merge_folios, SLOW)
{
	struct sweep s = { };

	if (is_hugetlb(variant->store))
		SKIP(return, "a granule of hugetlb is never split");
	fill(_metadata, &self->vm, self->fd);
	while (!_metadata->exit_code) {
		ASSERT_OK(punch(self->fd, PART, PAGE));
		ASSERT_EQ(0, GUEST(GUEST_STAMP, GPA + PART, PAGE, SEED));
		ASSERT_STREQ(counts(PAGES_2M, NR - 1, 0), held(self->fd));
		if (!sweep_next(&s))
			break;
		sweep_failed(_metadata, &s, ERRNO(populate(self->fd, 0, SZ_2M)));
		EXPECT_EQ(SIZE / PAGE, file_pages(self->fd));
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SZ_2M, SEED));
		/* and the next call merges what this one could not */
		ASSERT_OK(populate(self->fd, 0, SZ_2M));
		ASSERT_STREQ(counts(0, NR, 0), held(self->fd));
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SZ_2M, SEED));
	}
	sweep_done(_metadata, &s);
}

/* Invariant 4: what gives whole folios back needs no memory. */
TEST_F_TIMEOUT(fail, r17_punch_whole_cannot_fail, SLOW)
{
	struct sweep s = { };

	while (!_metadata->exit_code) {
		fill(_metadata, &self->vm, self->fd);
		if (!sweep_next(&s))
			break;
		sweep_failed(_metadata, &s, ERRNO(punch(self->fd, 0, SZ_2M)));
		EXPECT_EQ(0, s.failures);
		EXPECT_STREQ(counts(0, NR - 1, 0), held(self->fd));
		EXPECT_POOL(-NR + 1, 1);
		EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + SZ_2M, SZ_2M, SEED));
	}
	EXPECT_FALSE(s.hit);
}

TEST_HARNESS_MAIN
