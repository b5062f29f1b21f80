// SPDX-License-Identifier: GPL-2.0
/*
 * Two vCPUs fault in guest memory while the host punches, converts, pre-faults,
 * binds, closes and destroys (C2, C3, C5, C7, C8).
 *
 * What a lost or unbalanced invalidation does can be seen from outside:
 *
 *  - a mapping that should be gone: the guest touches every page, and then the
 *    file must hold every page; or it finds data of the wrong side of a
 *    conversion
 *  - an invalidation that never ends: the guest's next fault never does either,
 *    and the test runs into its time limit
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define SLOTS		4
#define SLOT_PAGES	16
#define NR		(SLOTS * SLOT_PAGES)
#define SLOT_SIZE	(SLOT_PAGES * PAGE)
#define SIZE		(NR * PAGE)
#define GPA		VM_DATA_GPA
#define SEED		0xbad00000
#define MAGIC		0x9a9a9a9a
#define ROUNDS		400
#define SECONDS		4
#define STATS		"/sys/kernel/debug/guestmem/stats"

/**
 * struct worker - a vCPU that stamps its memory and reads it back
 * @vm: of that VM
 * @cpu: which vCPU
 * @may_fault: accesses may end with a memory fault exit: the slot is gone just
 *	now, or a conversion came between the fault and its handling, and the VMM
 *	is to run the vCPU again
 * @stop: set to end it
 * @loops: how often it went round
 * @bad: first result that must not be, or 0
 * @thread: the host thread that runs it
 */
struct worker {
	struct vm *vm;
	int cpu;
	bool may_fault;
	atomic_bool stop;
	long loops;
	int bad;
	pthread_t thread;
};

static bool acceptable(struct worker *worker, int ret)
{
	if (!ret)
		return true;
	return worker->may_fault && ret == -EFAULT &&
	       worker->vm->run[worker->cpu]->exit_reason == KVM_EXIT_MEMORY_FAULT;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	unsigned int slot = worker->cpu;
	__u64 gpa;
	int ret;

	do {
		gpa = GPA + slot++ % SLOTS * SLOT_SIZE;
		ret = guest_do(worker->vm, worker->cpu, GUEST_STAMP, gpa, SLOT_SIZE, SEED);
		if (acceptable(worker, ret))
			ret = guest_do(worker->vm, worker->cpu, GUEST_VERIFY_OR_ZERO, gpa,
				       SLOT_SIZE, SEED);
		if (!acceptable(worker, ret) && !worker->bad)
			worker->bad = ret;
		worker->loops++;
	} while (!atomic_load(&worker->stop) && !worker->bad);
	return NULL;
}

static int workers_start(struct worker worker[2], struct vm *vm, bool may_fault)
{
	int i, ret = 0;

	for (i = 0; i < 2; i++) {
		worker[i] = (struct worker) { .vm = vm, .cpu = i, .may_fault = may_fault };
		ret |= pthread_create(&worker[i].thread, NULL, work, &worker[i]);
	}
	return ret;
}

/* Returns what went wrong, 0 if nothing did. */
static int workers_stop(struct worker worker[2])
{
	int i;

	for (i = 0; i < 2; i++)
		atomic_store(&worker[i].stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(worker[i].thread, NULL);
	return worker[0].bad ? worker[0].bad : worker[1].bad;
}

/* A VM with one guest file in four slots */
struct arena {
	struct vm vm;
	struct worker worker[2];
	unsigned int random;
	int fd;
	char *shared;
};

static int bind_slot(struct arena *a, int slot)
{
	/* in reverse order in the file */
	return vm_bind(&a->vm, 1 + slot, GPA + slot * SLOT_SIZE, SLOT_SIZE,
		       a->shared + slot * SLOT_SIZE, a->fd,
		       (SLOTS - 1 - slot) * SLOT_SIZE);
}

FIXTURE(race) {
	struct arena a;
};

FIXTURE_SETUP(race)
{
	int slot;

	mount_debugfs();
	self->a.random = 12345;
	ASSERT_OK(vm_create(&self->a.vm, 2));
	self->a.fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->a.fd);
	self->a.shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->a.shared);
	for (slot = 0; slot < SLOTS; slot++)
		ASSERT_OK(bind_slot(&self->a, slot));
	ASSERT_OK(vm_set_private(&self->a.vm, GPA, SIZE));
}

FIXTURE_TEARDOWN(race)
{
	vm_destroy(&self->a.vm);
	close(self->a.fd);
}

static unsigned int any(struct arena *a, unsigned int below)
{
	a->random = a->random * 1103515245 + 12345;
	return (a->random >> 16) % below;
}

/* The guest sees all of the file and nothing but the file. */
static void expect_no_stale_mapping(struct __test_metadata *_metadata,
				    struct arena *a)
{
	int cpu;

	for (cpu = 0; cpu < 2; cpu++)
		ASSERT_EQ(0, guest_do(&a->vm, cpu, GUEST_VERIFY_OR_ZERO, GPA, SIZE, SEED));
	ASSERT_EQ(NR, file_pages(a->fd));
	ASSERT_EQ(0, guest_do(&a->vm, 0, GUEST_STAMP, GPA, SIZE, SEED));
	ASSERT_EQ(0, guest_do(&a->vm, 1, GUEST_VERIFY, GPA, SIZE, SEED));
	ASSERT_OK(punch(a->fd, 0, SIZE));
	ASSERT_EQ(0, guest_do(&a->vm, 0, GUEST_CHECK, GPA, SIZE, 0));
	ASSERT_EQ(0, guest_do(&a->vm, 1, GUEST_CHECK, GPA, SIZE, 0));
}

/* C2, C3: punch and populate, across slots, under faults of both vCPUs */
TEST_F_TIMEOUT(race, c2_c3_punch_under_faults, SLOW)
{
	int i, from, nr, failed;
	struct race race;

	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race)) {
		ASSERT_EQ(0, workers_start(self->a.worker, &self->a.vm, false));
		for (i = failed = 0; i < 40; i++) {
			from = any(&self->a, NR);
			nr = 1 + any(&self->a, NR - from);
			failed |= punch(self->a.fd, from * PAGE, nr * PAGE);
			if (i % 4 == 0)
				failed |= populate(self->a.fd, from * PAGE, (NR - from) * PAGE);
		}
		ASSERT_EQ(0, workers_stop(self->a.worker));
		ASSERT_EQ(0, failed);
		expect_no_stale_mapping(_metadata, &self->a);
	}
}

/* Both sides of each page say what they are: host's magic, guest's stamp. */
static void expect_sides(struct __test_metadata *_metadata, struct arena *a,
			 const bool *private)
{
	int i, cpu;

	memset(a->shared, MAGIC & 0xff, SIZE);
	for (i = 0; i < NR; i++) {
		cpu = i & 1;
		ASSERT_EQ(0, guest_do(&a->vm, cpu,
				      private[i] ? GUEST_VERIFY_OR_ZERO : GUEST_CHECK,
				      GPA + i * PAGE, PAGE, private[i] ? SEED : MAGIC))
			TH_LOG("page %d, private %d", i, private[i]);
	}
	memset(a->shared, 0, SIZE);
}

/* C8: conversion under faults; punching, too, what has become shared */
TEST_F_TIMEOUT(race, c8_convert_under_faults, SLOW)
{
	bool private[NR], to;
	int i, from, nr, failed;
	struct race race;

	memset(private, true, sizeof(private));
	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race)) {
		ASSERT_EQ(0, workers_start(self->a.worker, &self->a.vm, true));
		for (i = failed = 0; i < 40; i++) {
			from = any(&self->a, NR);
			nr = 1 + any(&self->a, NR - from);
			to = any(&self->a, 2);
			failed |= vm_set_attributes(&self->a.vm, GPA + from * PAGE, nr * PAGE,
						    to ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0);
			memset(private + from, to, nr);
		}
		ASSERT_EQ(0, workers_stop(self->a.worker));
		ASSERT_EQ(0, failed);
		expect_sides(_metadata, &self->a, private);
	}
}

/* C2, C8: both at once, by two host threads */
struct puncher {
	int fd;
	atomic_bool stop;
	int failed;
};

static void *punch_all_the_time(void *arg)
{
	struct puncher *p = arg;
	unsigned int i = 0;

	while (!atomic_load(&p->stop)) {
		p->failed |= punch(p->fd, (i % NR) * PAGE, (1 + i % 7) * PAGE);
		p->failed |= populate(p->fd, (i % NR) * PAGE, PAGE);
		i += 5;
	}
	return NULL;
}

TEST_F_TIMEOUT(race, c2_c8_punch_and_convert, SLOW)
{
	struct puncher puncher;
	struct race race;
	pthread_t thread;
	int i, failed;

	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race)) {
		puncher = (struct puncher) { .fd = self->a.fd };
		ASSERT_EQ(0, workers_start(self->a.worker, &self->a.vm, true));
		ASSERT_EQ(0, pthread_create(&thread, NULL, punch_all_the_time, &puncher));
		for (i = failed = 0; i < 20; i++) {
			failed |= vm_set_shared(&self->a.vm, GPA + (i % NR) * PAGE, SIZE / 4);
			failed |= vm_set_private(&self->a.vm, GPA, SIZE);
		}
		atomic_store(&puncher.stop, true);
		pthread_join(thread, NULL);
		ASSERT_EQ(0, workers_stop(self->a.worker));
		ASSERT_EQ(0, failed | puncher.failed);
		expect_no_stale_mapping(_metadata, &self->a);
	}
}

/* C3: slots come and go while the file is punched and vCPUs fault */
TEST_F_TIMEOUT(race, c3_bind_under_punch, SLOW)
{
	struct puncher puncher;
	struct race race;
	pthread_t thread;
	int i, slot, failed;

	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race)) {
		puncher = (struct puncher) { .fd = self->a.fd };
		ASSERT_EQ(0, workers_start(self->a.worker, &self->a.vm, true));
		ASSERT_EQ(0, pthread_create(&thread, NULL, punch_all_the_time, &puncher));
		for (i = failed = 0; i < 8; i++) {
			slot = any(&self->a, SLOTS);
			failed |= vm_unbind(&self->a.vm, 1 + slot);
			failed |= bind_slot(&self->a, slot);
		}
		atomic_store(&puncher.stop, true);
		pthread_join(thread, NULL);
		ASSERT_EQ(0, workers_stop(self->a.worker));
		ASSERT_EQ(0, failed | puncher.failed);
		ASSERT_EQ(SLOTS, guest_bound(self->a.fd));
		expect_no_stale_mapping(_metadata, &self->a);
	}
}

/* C7: pre-fault of a slot that is being deleted gives up, it does not loop. */
struct prefaulter {
	struct vm *vm;
	int cpu;
	atomic_bool stop;
	int unexpected;
	long done;
	pthread_t thread;
};

static void *prefault_all_the_time(void *arg)
{
	struct prefaulter *p = arg;
	int err;

	while (!atomic_load(&p->stop)) {
		err = ERRNO(vm_prefault(p->vm, p->cpu, GPA, SLOT_SIZE, NULL));
		if (err && err != EAGAIN && err != ENOENT && err != EFAULT)
			p->unexpected = err;
		p->done += !err;
	}
	return NULL;
}

TEST_F_TIMEOUT(race, c7_prefault_against_delete, SLOW)
{
	struct prefaulter p[2];
	struct race race;
	int i, failed = 0;

	for (i = 0; i < 2; i++) {
		p[i] = (struct prefaulter) { .vm = &self->a.vm, .cpu = i };
		ASSERT_EQ(0, pthread_create(&p[i].thread, NULL, prefault_all_the_time, &p[i]));
	}
	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race)) {
		failed |= vm_unbind(&self->a.vm, 1);
		failed |= bind_slot(&self->a, 0);
	}
	for (i = 0; i < 2; i++) {
		atomic_store(&p[i].stop, true);
		pthread_join(p[i].thread, NULL);
		EXPECT_EQ(0, p[i].unexpected);
	}
	EXPECT_EQ(0, failed);
	EXPECT_OK(vm_prefault(&self->a.vm, 0, GPA, SIZE, NULL));
	expect_no_stale_mapping(_metadata, &self->a);
}

/* C7: the same with conversion and punch in the place of delete */
TEST_F_TIMEOUT(race, c7_prefault_against_convert_and_punch, SLOW)
{
	struct prefaulter p = { .vm = &self->a.vm };
	struct race race;
	int failed = 0;

	ASSERT_EQ(0, pthread_create(&p.thread, NULL, prefault_all_the_time, &p));
	race_start(&race, 4 * ROUNDS, SECONDS);
	while (race_next(&race)) {
		failed |= vm_set_shared(&self->a.vm, GPA + any(&self->a, SLOT_PAGES) * PAGE, PAGE);
		failed |= punch(self->a.fd, SIZE - SLOT_SIZE, SLOT_SIZE);
		failed |= vm_set_private(&self->a.vm, GPA, SLOT_SIZE);
	}
	atomic_store(&p.stop, true);
	pthread_join(p.thread, NULL);
	EXPECT_EQ(0, p.unexpected);
	EXPECT_EQ(0, failed);
	expect_no_stale_mapping(_metadata, &self->a);
}

/*
 * C5: the descriptor of a file is closed, punched and looked at by other
 * threads while it is bound and its VM is made and destroyed. @fd is whoever's
 * takes it out, and only he closes it.
 */
struct owner {
	atomic_int fd;
	atomic_bool stop;
};

/* Now and then at once, mostly when there has been time to bind it */
static void *close_it(void *arg)
{
	struct owner *owner = arg;
	unsigned int round = 0;
	int fd;

	while (!atomic_load(&owner->stop)) {
		if (atomic_load(&owner->fd) < 0) {
			sched_yield();
			continue;
		}
		usleep(round++ % 16 * 500);
		fd = atomic_exchange(&owner->fd, -1);
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static void *use_it(void *arg)
{
	struct guestmem_info info;
	struct owner *owner = arg;
	int fd;

	while (!atomic_load(&owner->stop)) {
		fd = atomic_load(&owner->fd);
		if (fd < 0) {
			sched_yield();
			continue;
		}
		populate(fd, 0, SIZE);
		punch(fd, 0, SIZE / 2);
		guest_get_info(fd, &info);
		fdinfo_number(fd, "guest_4k");
	}
	return NULL;
}

static int bind_and_destroy(struct owner *owner, char *shared)
{
	struct vm vm;
	int fd, ret, slot;

	if (vm_create(&vm, 1))
		return errno;
	fd = guest_create(0, SIZE);
	atomic_store(&owner->fd, fd);
	for (slot = 0, ret = 0; slot < SLOTS && !ret; slot++)
		ret = ERRNO(vm_bind(&vm, 1 + slot, GPA + slot * SLOT_SIZE, SLOT_SIZE, shared, fd,
				    slot * SLOT_SIZE));
	if (!ret && (vm_set_private(&vm, GPA, SIZE) ||
		     guest_do(&vm, 0, GUEST_STAMP, GPA, SIZE, SEED) ||
		     guest_do(&vm, 0, GUEST_VERIFY_OR_ZERO, GPA, SIZE, SEED)))
		ret = EIO;
	if (!ret && vm_unbind(&vm, 2))
		ret = ENOTRECOVERABLE;
	vm_destroy(&vm);
	fd = atomic_exchange(&owner->fd, -1);
	if (fd >= 0)
		close(fd);
	return ret;
}

TEST_F_TIMEOUT(race, c5_close_bind_destroy, SLOW)
{
	long files = file_number(STATS, "files"), bindings = file_number(STATS, "bindings");
	struct owner owner = { .fd = -1 };
	pthread_t thread[2];
	struct race race;
	int ret;

	ASSERT_LE(1, files);
	ASSERT_EQ(0, pthread_create(&thread[0], NULL, close_it, &owner));
	ASSERT_EQ(0, pthread_create(&thread[1], NULL, use_it, &owner));
	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race)) {
		ret = bind_and_destroy(&owner, self->a.shared);
		/* closed before it was bound, or the number is another file's */
		if (ret && ret != EBADF && ret != EINVAL)
			break;
		ret = 0;
	}
	atomic_store(&owner.stop, true);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(files, file_number(STATS, "files"));
	EXPECT_EQ(bindings, file_number(STATS, "bindings"));
}

/* C5: the VM is destroyed while its file is punched and populated. */
TEST_F_TIMEOUT(race, c5_destroy_under_punch, SLOW)
{
	struct puncher puncher;
	struct race race;
	pthread_t thread;
	struct vm vm;
	int fd;

	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race)) {
		fd = guest_create(0, SIZE);
		ASSERT_LE(0, fd);
		ASSERT_OK(vm_create(&vm, 1));
		ASSERT_OK(vm_bind(&vm, 1, GPA, SIZE, self->a.shared, fd, 0));
		ASSERT_OK(vm_set_private(&vm, GPA, SIZE));
		puncher = (struct puncher) { .fd = fd };
		ASSERT_EQ(0, pthread_create(&thread, NULL, punch_all_the_time, &puncher));
		EXPECT_EQ(0, guest_do(&vm, 0, GUEST_STAMP, GPA, SIZE, SEED));
		EXPECT_EQ(0, guest_do(&vm, 0, GUEST_VERIFY_OR_ZERO, GPA, SIZE, SEED));
		vm_destroy(&vm);
		EXPECT_EQ(0, guest_bound(fd));
		atomic_store(&puncher.stop, true);
		pthread_join(thread, NULL);
		EXPECT_EQ(0, puncher.failed);
		EXPECT_OK(populate(fd, 0, SIZE));
		EXPECT_EQ(NR, file_pages(fd));
		close(fd);
	}
}

/* R2: two VMs want one file: one gets it. */
struct bidder {
	struct vm *vm;
	int fd;
	void *shared;
};

static void *bid(void *arg)
{
	struct bidder *b = arg;

	return (void *)(long)ERRNO(vm_bind(b->vm, 1, GPA, SIZE, b->shared, b->fd, 0));
}

TEST_F_TIMEOUT(race, r2_two_vms, SLOW)
{
	struct bidder bidder = { .shared = self->a.shared };
	struct vm first, second;
	struct race race;
	pthread_t thread;
	void *theirs;
	int ours;

	ASSERT_OK(vm_create(&first, 1));
	ASSERT_OK(vm_create(&second, 1));
	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race)) {
		bidder.vm = &second;
		bidder.fd = guest_create(0, SIZE);
		ASSERT_LE(0, bidder.fd);
		ASSERT_EQ(0, pthread_create(&thread, NULL, bid, &bidder));
		ours = ERRNO(vm_bind(&first, 1, GPA, SIZE, self->a.shared, bidder.fd, 0));
		pthread_join(thread, &theirs);
		ASSERT_EQ(EBUSY, ours + (int)(long)theirs);
		ASSERT_OK(vm_unbind(ours ? &second : &first, 1));
		close(bidder.fd);
	}
	vm_destroy(&first);
	vm_destroy(&second);
}

TEST_HARNESS_MAIN
