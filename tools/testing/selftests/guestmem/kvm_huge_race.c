// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU faults in one page of a huge page while the host punches another one (C8, C9).
 *
 * The fault may map all of the huge page.  If it were let through while the hole is
 * being made, the guest would still reach what was in the hole: it would read the old
 * content there, and not zero.
 *
 * The moment when that could happen is too short to be met by chance: the fault has to
 * have the page, and not yet the lock of the page table, when the punch begins.  The
 * debug kernel has delays for both, which order them as
 *
 *	fault: get_pfn ........................ map, or retry
 *	punch:            invalidate_start .................... remove
 *
 * The same fault, with the reference that it holds, meets a punch of all of the page.
 */
#include <stdatomic.h>

#include "guestmem_huge.h"
#include "../kselftest_harness.h"

#define GPA	VM_DATA_GPA
#define MAGIC	0x9a9a9a9a
#define ROUNDS	20
#define SECONDS	20
#define DELAY	"/sys/kernel/debug/guestmem/delay_"
/* in microseconds: how long a fault waits, and a punch; and when the punch begins */
#define FAULT	"40000"
#define PUNCH	"80000"
#define HEAD_START	20000

/**
 * struct toucher - a vCPU that writes to the first page, once a round
 * @vm: of that VM
 * @round: begun by the test
 * @done: rounds that the vCPU has done
 * @bad: first result that must not be, or 0
 * @thread: runs it
 */
struct toucher {
	struct vm *vm;
	atomic_long round;
	atomic_long done;
	int bad;
	pthread_t thread;
};

#define LAST_ROUND	-1

static void *touch(void *arg)
{
	struct toucher *toucher = arg;
	long round, done = 0;

	for (;;) {
		while ((round = atomic_load(&toucher->round)) == done)
			;
		if (round == LAST_ROUND)
			return NULL;
		if (!toucher->bad)
			toucher->bad = guest_do(toucher->vm, 1, GUEST_FILL, GPA, PAGE, MAGIC);
		done = round;
		atomic_store(&toucher->done, done);
	}
}

FIXTURE(huge_race) {
	struct pool pool;
	struct vm vm;
	int fd;
	char *shared;
};

FIXTURE_VARIANT(huge_race) {
	const struct store *store;
	off_t hole;
	off_t length;
};

/* hugetlb, because its huge page is one again after the punch */
FIXTURE_VARIANT_ADD(huge_race, last_page) {
	.store = &hugetlb_2m_store, .hole = SZ_2M - PAGE, .length = PAGE,
};

FIXTURE_VARIANT_ADD(huge_race, all_but_one) {
	.store = &hugetlb_2m_store, .hole = PAGE, .length = SZ_2M - PAGE,
};

FIXTURE_SETUP(huge_race)
{
	if (mount_debugfs() || access(DELAY "get_pfn", W_OK))
		SKIP(return, "needs the delays of CONFIG_GUESTMEM_DEBUG");
	if (pool_grow(&self->pool, variant->store->granule, 1))
		SKIP(return, "the pool of huge pages cannot be filled");
	ASSERT_OK(vm_create(&self->vm, 2));
	self->fd = guest_create(variant->store->flags, SZ_2M);
	ASSERT_LE(0, self->fd);
	self->shared = shared_alloc(SZ_2M);
	ASSERT_NE(MAP_FAILED, (void *)self->shared);
	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SZ_2M, self->shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SZ_2M));
}

FIXTURE_TEARDOWN(huge_race)
{
	vm_destroy(&self->vm);
	close(self->fd);
	munmap(self->shared, SZ_2M);
	pool_restore(&self->pool);
}

static int delays(const char *fault, const char *punch)
{
	return write_file(DELAY "get_pfn", fault) | write_file(DELAY "invalidation", punch);
}

TEST_F_TIMEOUT(huge_race, c8_c9_punch_beside_a_fault, SLOW)
{
	__u64 probe = GPA + variant->hole + variant->length - PAGE;
	struct toucher toucher = { .vm = &self->vm };
	struct race race;
	long round = 0;
	int ret = 0;

	ASSERT_EQ(0, pthread_create(&toucher.thread, NULL, touch, &toucher));
	for (race_start(&race, ROUNDS, SECONDS); race_next(&race) && !ret;) {
		ret = guest_do(&self->vm, 0, GUEST_FILL, probe, PAGE, MAGIC);
		/* a hole that nobody looks at: it unmaps the huge page */
		ret |= punch(self->fd, 0, PAGE);
		ret |= delays(FAULT, PUNCH);
		atomic_store(&toucher.round, ++round);
		usleep(HEAD_START);
		ret |= punch(self->fd, variant->hole, variant->length);
		while (atomic_load(&toucher.done) != round)
			;
		ret |= delays("0", "0");
		EXPECT_EQ(0, guest_do(&self->vm, 0, GUEST_CHECK, probe, PAGE, 0));
	}
	atomic_store(&toucher.round, LAST_ROUND);
	pthread_join(toucher.thread, NULL);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, toucher.bad);
	EXPECT_LT(3, round);
}

/*
 * R10: a fault has a reference to the granule when that is punched.  The pool has no
 * other: if the punch did not wait, the next fault would find none.
 */
TEST_F_TIMEOUT(huge_race, r10_punch_of_a_granule_in_use, SLOW)
{
	__u64 other = GPA + SZ_2M - PAGE;
	struct toucher toucher = { .vm = &self->vm };
	long round = 0;
	int ret = 0;

	ASSERT_EQ(0, pthread_create(&toucher.thread, NULL, touch, &toucher));
	while (round < 5 && !ret) {
		ret = punch(self->fd, 0, SZ_2M);
		ret |= delays(FAULT, "0");
		atomic_store(&toucher.round, ++round);
		usleep(HEAD_START);
		ret |= punch(self->fd, 0, SZ_2M);
		/* another vCPU wants the page while the first still sits on it */
		ret |= guest_do(&self->vm, 0, GUEST_FILL, other, PAGE, MAGIC);
		while (atomic_load(&toucher.done) != round)
			;
		ret |= delays("0", "0");
	}
	atomic_store(&toucher.round, LAST_ROUND);
	pthread_join(toucher.thread, NULL);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, toucher.bad);
	/* whoever came last: the page and its reservation are there, once */
	EXPECT_OK(punch(self->fd, 0, SZ_2M));
	EXPECT_STREQ(pool_is(0, 0, 1, 0), pool_now(&self->pool));
}

TEST_HARNESS_MAIN
