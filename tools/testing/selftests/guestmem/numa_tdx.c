// SPDX-License-Identifier: GPL-2.0
/*
 * Moving the memory of a TD between nodes (R11, R14), and everything that changes its
 * S-EPT at the same time: two vCPUs that ask for memory, conversions, holes, moves; pages
 * split and merged meanwhile (C2, C3, C8, C13).
 * What is left to see from here is that memory is where it should be in the end, and that
 * the module has refused nothing; what the kernel sees are its own checks.
 */
#include <sched.h>
#include <stdio.h>

#include "guestmem_huge.h"
#include "guestmem_tdx.h"
#include "../kselftest_harness.h"

#define SIZE	(4 * SZ_2M)
#define GPA	(64 * SZ_2M)
#define SECONDS	6

FIXTURE(race) {
	struct vm vm;
	struct pool pool;
	int fd;
	bool stop;
};

FIXTURE_VARIANT(race) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(race, shmem) {
	.flags = MFD_GUEST_MOVABLE,
};

FIXTURE_VARIANT_ADD(race, hugetlb_2m) {
	.flags = MFD_GUEST_MOVABLE | MFD_HUGETLB | MFD_HUGE_2MB,
};

FIXTURE_SETUP(race)
{
	void *shared = shared_alloc(SIZE);

	/* and as many to move to */
	if (variant->flags & MFD_HUGETLB && pool_grow(&self->pool, SZ_2M, 2 * SIZE / SZ_2M))
		SKIP(return, "no huge pages to be had");
	self->stop = false;
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_OK(tdx_create(&self->vm, 2));
	self->fd = guest_create(variant->flags, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE, shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_OK(tdx_finalize(self->vm.fd));
}

FIXTURE_TEARDOWN(race)
{
	if (self->vm.fd >= 0)
		tdx_destroy(&self->vm);
	close(self->fd);
	if (variant->flags & MFD_HUGETLB)
		pool_restore(&self->pool);
	EXPECT_EQ(0, tdx_misuse());
}

typedef void *(*job_fn)(void *arg);

struct worker {
	FIXTURE_DATA(race) * race;
	pthread_t thread;
	int cpu;
	unsigned int seed;
	long done;
	int error;
};

static __u64 some(struct worker *w, __u64 n)
{
	return rand_r(&w->seed) % n;
}

/* A range in pages, often of whole huge pages */
static void some_range(struct worker *w, __u64 *offset, __u64 *length)
{
	__u64 pages = SIZE / PAGE;

	*offset = some(w, pages);
	*length = 1 + some(w, some(w, 2) ? 8 : 1024);
	if (!some(w, 3)) {
		*offset = *offset / 512 * 512;
		*length = 512;
	}
	if (*offset + *length > pages)
		*length = pages - *offset;
	*offset *= PAGE;
	*length *= PAGE;
}

static int prefault(struct vm *vm, int cpu, __u64 offset, __u64 length)
{
	struct kvm_pre_fault_memory range = { .gpa = GPA + offset, .size = length };

	return ioctl(vm->vcpu[cpu], KVM_PRE_FAULT_MEMORY, &range);
}

static void *fault(void *arg)
{
	struct worker *w = arg;
	__u64 offset, length;

	while (!__atomic_load_n(&w->race->stop, __ATOMIC_RELAXED)) {
		some_range(w, &offset, &length);
		/* what is shared just now has no memory; a bad moment is no error */
		if (prefault(&w->race->vm, w->cpu, offset, length) &&
		    errno != EFAULT && errno != EAGAIN && errno != EINTR)
			w->error = errno;
		w->done++;
	}
	return NULL;
}

static void *convert(void *arg)
{
	struct worker *w = arg;
	struct vm *vm = &w->race->vm;
	__u64 offset, length;

	while (!__atomic_load_n(&w->race->stop, __ATOMIC_RELAXED)) {
		some_range(w, &offset, &length);
		if (vm_set_shared(vm, GPA + offset, length) ||
		    (some(w, 4) && vm_set_private(vm, GPA + offset, length)))
			w->error = errno;
		w->done++;
		sched_yield();
	}
	return NULL;
}

static void *make_holes(void *arg)
{
	struct worker *w = arg;
	__u64 offset, length;

	while (!__atomic_load_n(&w->race->stop, __ATOMIC_RELAXED)) {
		some_range(w, &offset, &length);
		/* who waits for the lock of a folio has a reference to it */
		if (punch(w->race->fd, offset, length) && errno != EAGAIN)
			w->error = errno;
		w->done++;
		usleep(2000);
	}
	return NULL;
}

static void *move(void *arg)
{
	struct worker *w = arg;

	while (!__atomic_load_n(&w->race->stop, __ATOMIC_RELAXED)) {
		struct guestmem_migrate args = { .size = sizeof(args) };
		__u64 offset, length;

		some_range(w, &offset, &length);
		args.offset = offset / SZ_2M * SZ_2M;
		args.length = SZ_2M;
		args.node = some(w, 2);
		if (ioctl(w->race->fd, GUESTMEM_MIGRATE, &args) && errno != EAGAIN)
			w->error = errno;
		w->done += args.moved > 0;
	}
	return NULL;
}

static void run(struct __test_metadata *_metadata, FIXTURE_DATA(race) * self,
		const job_fn jobs[], int nr, struct worker *w)
{
	int i;

	for (i = 0; i < nr; i++) {
		w[i] = (struct worker) { .race = self, .cpu = i & 1, .seed = i + 1 };
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, jobs[i], &w[i]));
	}
	sleep(SECONDS);
	__atomic_store_n(&self->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < nr; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_EQ(0, w[i].error) TH_LOG("of worker %d", i);
		EXPECT_LT(0, w[i].done) TH_LOG("by worker %d", i);
	}
}

static void expect_all(struct __test_metadata *_metadata, FIXTURE_DATA(race) * self)
{
	__u64 offset;

	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	for (offset = 0; offset < SIZE; offset += PAGE)
		while (prefault(&self->vm, 0, offset, PAGE))
			ASSERT_EQ(EAGAIN, errno);
	EXPECT_EQ(SIZE, tdx_mapped());
}

static int move_to(int fd, int node, __u64 *moved)
{
	struct guestmem_migrate args = { .size = sizeof(args), .length = SIZE, .node = node };
	int ret = ioctl(fd, GUESTMEM_MIGRATE, &args);

	*moved = args.moved;
	return ret;
}

/* The module moves 4K at a time; pages of 2M are merged again. */
TEST_F_TIMEOUT(race, r11_r14_there_and_back, SLOW)
{
	int node, i;
	__u64 moved;

	for (i = 0; i < (int)(SIZE / SZ_2M); i++)
		ASSERT_OK(prefault(&self->vm, 0, i * SZ_2M, SZ_2M));
	EXPECT_EQ(SIZE, tdx_mapped());
	ASSERT_OK(move_to(self->fd, 0, &moved));
	for (node = 1; node >= 0; node--) {
		long long before = tdx_stat("moves");

		ASSERT_OK(move_to(self->fd, node, &moved));
		EXPECT_EQ(SIZE, moved);
		EXPECT_EQ(SIZE / PAGE, tdx_stat("moves") - before);
		EXPECT_EQ(SIZE, tdx_mapped());
		for (i = 0; i < 100 && tdx_stat("pages_4k"); i++)
			usleep(100000);
		EXPECT_EQ(0, tdx_stat("pages_4k"));
	}
}

TEST_F_TIMEOUT(race, c2_c3_c8_convert_and_punch, SLOW)
{
	static const job_fn jobs[] = { fault, fault, convert, make_holes };
	struct worker w[4];

	run(_metadata, self, jobs, 4, w);
	expect_all(_metadata, self);
}

TEST_F_TIMEOUT(race, c13_move, SLOW)
{
	static const job_fn jobs[] = { fault, fault, move };
	struct worker w[3];

	run(_metadata, self, jobs, 3, w);
	expect_all(_metadata, self);
}

TEST_F_TIMEOUT(race, all, SLOW)
{
	static const job_fn jobs[] = { fault, fault, convert, make_holes, move };
	struct worker w[5];

	run(_metadata, self, jobs, 5, w);
	expect_all(_metadata, self);
}

/* The VM is let go of while others still work on it. */
TEST_F_TIMEOUT(race, c5_destroy, SLOW)
{
	struct worker w = { .race = self, .seed = 1 };
	int round;

	for (round = 0; round < 10; round++) {
		self->stop = false;
		ASSERT_EQ(0, pthread_create(&w.thread, NULL, make_holes, &w));
		ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
		prefault(&self->vm, 0, 0, SIZE);
		tdx_destroy(&self->vm);
		__atomic_store_n(&self->stop, true, __ATOMIC_RELAXED);
		pthread_join(w.thread, NULL);
		EXPECT_EQ(0, w.error);
		/* a file belongs to one VM for life */
		close(self->fd);
		ASSERT_OK(tdx_create(&self->vm, 2));
		self->fd = guest_create(variant->flags, SIZE);
		ASSERT_LE(0, self->fd);
		ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE, shared_alloc(SIZE), self->fd, 0));
		ASSERT_OK(tdx_finalize(self->vm.fd));
	}
}

TEST_HARNESS_MAIN
