// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors in guest memory (R19, C11): the guest loses the page it hit and
 * no other, the page stays in the file until it is punched, whether slots are
 * bound before, after, or just then.
 *
 * This is a small file of 4K pages, in two slots; kvm_hwpoison_huge.c has huge pages, and
 * more that happens at the same time.
 */
#include "guestmem_hwpoison.h"
#include "../kselftest_harness.h"

#define NR		8
#define SIZE		(NR * PAGE)
#define GPA		VM_DATA_GPA
#define SEED		0xdead0000

FIXTURE(hwpoison) {
	struct vm vm;
	int fd;
	void *shared;
	unsigned long pfn[NR];
};

static int bind_halves(struct vm *vm, void *shared, int fd)
{
	return vm_bind(vm, 1, GPA, SIZE / 2, shared, fd, 0) ||
	       vm_bind(vm, 2, GPA + SIZE / 2, SIZE / 2, shared, fd, SIZE / 2) ? -1 : 0;
}

FIXTURE_SETUP(hwpoison)
{
	int i;

	if (hwpoison_prepare())
		SKIP(return, "the kernel cannot make memory errors");
	ASSERT_OK(vm_create(&self->vm, 2));
	self->shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, self->shared);
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(bind_halves(&self->vm, self->shared, self->fd));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, guest_do(&self->vm, 0, GUEST_STAMP, GPA, SIZE, SEED));
	for (i = 0; i < NR; i++) {
		self->pfn[i] = frame_of(self->fd, i * PAGE);
		ASSERT_NE(0, self->pfn[i]);
	}
}

/* The frames go back to the system: first out of the file, then healed. */
FIXTURE_TEARDOWN(hwpoison)
{
	int i;

	vm_destroy(&self->vm);
	close(self->fd);
	for (i = 0; i < NR; i++) {
		if (frame_bad(self->pfn[i]))
			EXPECT_OK(frame_unpoison(self->pfn[i]));
		EXPECT_FALSE(frame_bad(self->pfn[i]));
	}
}

#define GUEST(op, gpa, size, value) guest_do(&self->vm, 0, op, gpa, size, value)

static void poison(struct __test_metadata *_metadata, unsigned long pfn)
{
	ASSERT_OK(frame_poison(pfn));
	ASSERT_TRUE(frame_bad(pfn));
}

/* R19: lost to both vCPUs and to pre-fault, with the reason and the place */
static void expect_lost(struct __test_metadata *_metadata, struct vm *vm, int page)
{
	__u64 gpa = GPA + page * PAGE;
	int cpu;

	for (cpu = 0; cpu < 2; cpu++) {
		EXPECT_EQ(-EHWPOISON, guest_do(vm, cpu, GUEST_VERIFY, gpa, PAGE, SEED));
		EXPECT_EQ(KVM_EXIT_MEMORY_FAULT, vm->run[cpu]->exit_reason);
		EXPECT_EQ(gpa, vm->run[cpu]->memory_fault.gpa);
	}
	EXPECT_ERRNO(EHWPOISON, vm_prefault(vm, 0, gpa, PAGE, NULL));
}

/* The pages of the mask @lost, and no others: those have their data. */
static void expect_only(struct __test_metadata *_metadata, struct vm *vm, unsigned int lost)
{
	int page, cpu;

	for (page = 0; page < NR; page++) {
		if (lost >> page & 1) {
			expect_lost(_metadata, vm, page);
			continue;
		}
		for (cpu = 0; cpu < 2; cpu++)
			EXPECT_EQ(0, guest_do(vm, cpu, GUEST_VERIFY, GPA + page * PAGE, PAGE,
					      SEED))
				TH_LOG("page %d, vCPU %d", page, cpu);
	}
}

TEST_F_TIMEOUT(hwpoison, r19_mapped_page, SLOW)
{
	poison(_metadata, self->pfn[0]);
	expect_only(_metadata, &self->vm, 1 << 0);
	/* the page stays in the file */
	EXPECT_EQ(NR, file_pages(self->fd));
}

/* R19: a punch takes the bad page away, the next one is fresh. */
TEST_F_TIMEOUT(hwpoison, r19_punch_replaces, SLOW)
{
	poison(_metadata, self->pfn[3]);
	expect_only(_metadata, &self->vm, 1 << 3);
	ASSERT_OK(punch(self->fd, 3 * PAGE, PAGE));
	EXPECT_EQ(NR - 1, file_pages(self->fd));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + 3 * PAGE, PAGE, 0));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA + 3 * PAGE, PAGE, SEED));
	expect_only(_metadata, &self->vm, 0);
	EXPECT_TRUE(frame_bad(self->pfn[3]));
}

/* C11: bound to nothing when the error comes, bound later */
TEST_F_TIMEOUT(hwpoison, c11_unbound_then_bound, SLOW)
{
	ASSERT_OK(vm_unbind(&self->vm, 1));
	ASSERT_OK(vm_unbind(&self->vm, 2));
	poison(_metadata, self->pfn[1]);
	EXPECT_EQ(NR, file_pages(self->fd));
	ASSERT_OK(bind_halves(&self->vm, self->shared, self->fd));
	expect_only(_metadata, &self->vm, 1 << 1);
}

/* Populating says so, and does not hide the error. */
TEST_F_TIMEOUT(hwpoison, r19_populate_does_not_heal, SLOW)
{
	poison(_metadata, self->pfn[NR - 1]);
	EXPECT_ERRNO(EHWPOISON, populate(self->fd, 0, SIZE));
	EXPECT_OK(populate(self->fd, 0, SIZE - PAGE));
	EXPECT_EQ(NR, file_pages(self->fd));
	expect_only(_metadata, &self->vm, 1 << (NR - 1));
}

/* The error is the file's: with the VM gone, punch and close still work. */
TEST_F_TIMEOUT(hwpoison, c11_vm_gone, SLOW)
{
	poison(_metadata, self->pfn[0]);
	vm_destroy(&self->vm);
	EXPECT_EQ(NR, file_pages(self->fd));
	EXPECT_OK(punch(self->fd, 0, SIZE));
	EXPECT_EQ(0, file_pages(self->fd));
}

struct binder {
	struct vm *vm;
	void *shared;
	int fd, failed;
	atomic_bool stop;
	atomic_int loops;
};

static void *bind_all_the_time(void *arg)
{
	struct binder *b = arg;

	while (!atomic_load(&b->stop) && !b->failed) {
		b->failed |= vm_unbind(b->vm, 1);
		b->failed |= vm_unbind(b->vm, 2);
		b->failed |= bind_halves(b->vm, b->shared, b->fd);
		atomic_fetch_add(&b->loops, 1);
	}
	return NULL;
}

/* C11: one error after the other comes while slots come and go. */
TEST_F_TIMEOUT(hwpoison, c11_while_binding, SLOW)
{
	struct binder b = { .vm = &self->vm, .shared = self->shared, .fd = self->fd };
	pthread_t thread;
	int round, loops;

	for (round = 0; round < NR && !_metadata->exit_code; round++) {
		atomic_store(&b.stop, false);
		ASSERT_EQ(0, pthread_create(&thread, NULL, bind_all_the_time, &b));
		loops = atomic_load(&b.loops);
		while (atomic_load(&b.loops) == loops)
			usleep(100 * round);
		EXPECT_OK(frame_poison(self->pfn[round]));
		atomic_store(&b.stop, true);
		pthread_join(thread, NULL);
		EXPECT_EQ(0, b.failed);
		EXPECT_TRUE(frame_bad(self->pfn[round]));
		expect_only(_metadata, &self->vm, (2 << round) - 1);
	}
	EXPECT_EQ(NR, file_pages(self->fd));
}

TEST_HARNESS_MAIN
