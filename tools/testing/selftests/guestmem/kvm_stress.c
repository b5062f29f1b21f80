// SPDX-License-Identifier: GPL-2.0
/*
 * Conversions, punches and faults of two vCPUs on huge pages, at random, beside a
 * load on memory: that no byte is lost which nobody took away (C9, R4), that every
 * page ends as it was asked to (C18), and that no call fails for a reason of its own.
 *
 * The load is stress-ng where there is one; else a child that allocates, splits,
 * fragments and frees ordinary memory of three kinds, in a memory cgroup of its own.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "guestmem_huge.h"
#include "../kselftest_harness.h"

#define NR		4
#define SIZE		(NR * SZ_2M)
#define PAGES		((int)(SIZE / PAGE))
#define SEED		0x57e55000
#define MAGIC		0x9a9a9a9a
/* For each store */
#define SECONDS		15
#define ROUNDS		2000
#define OPERATIONS	24

/* ---- the load ---- */

static void load_anonymous(void)
{
	size_t size = 24 * SZ_1M, at;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	madvise(p, size, MADV_HUGEPAGE);
	memset(p, 0x5a, size);
	/* every other page goes: what is left of a huge page is in the way */
	for (at = 0; at < size; at += 2 * PAGE)
		madvise(p + at, PAGE, MADV_DONTNEED);
	munmap(p, size);
}

static void load_memfd(void)
{
	int fd = memfd(0);

	if (fd < 0)
		return;
	if (!fallocate(fd, 0, 0, 12 * SZ_1M)) {
		punch(fd, SZ_1M, 3 * SZ_1M);
		fallocate(fd, 0, 0, 12 * SZ_1M);
	}
	close(fd);
}

/* Only as many as are neither in use nor promised */
static void load_hugetlb(void)
{
	char *p = mmap(NULL, SZ_2M, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MFD_HUGE_2MB, -1, 0);

	if (p == MAP_FAILED)
		return;
	memset(p, 0xa5, SZ_2M);
	munmap(p, SZ_2M);
}

static void load_for_ever(void)
{
	unsigned int i;

	for (i = 0;; i++) {
		load_anonymous();
		load_memfd();
		load_hugetlb();
		if (i % 4 == 0)
			write_file("/proc/sys/vm/drop_caches", "3");
		if (i % 8 == 0)
			write_file("/proc/sys/vm/compact_memory", "1");
	}
}

/* All of its processes in one group, so that they can be ended together */
static pid_t load_start(struct cgroup *cg)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || cgroup_enter(cg))
		_exit(1);
	execlp("stress-ng", "stress-ng", "--quiet", "--vm", "1", "--vm-bytes", "24M",
	       "--memfd", "1", "--memfd-bytes", "12M", "--timeout", "300", NULL);
	load_for_ever();
	_exit(0);
}

static void load_stop(pid_t pid)
{
	/* until the group exists, the child alone */
	if (kill(-pid, SIGKILL))
		kill(pid, SIGKILL);
	wait_child(pid);
}

/* ---- the guest ---- */

/**
 * struct arena - a VM, a guest file, and what its pages have to be
 * @vm: two vCPUs
 * @store: of the file
 * @pool: where its pages come from
 * @fd: the file
 * @offset: where in the file the SIZE bytes are that are in use
 * @gpa: where these are in the guest
 * @shared: shared memory for these
 * @private: the model: the page is private
 * @punched: the page was punched in this round
 * @random: state of the generator
 * @punches: calls of punch
 * @refused: those that returned EAGAIN or ENOMEM, and may
 */
struct arena {
	struct vm vm;
	const struct store *store;
	struct pool pool;
	int fd;
	off_t offset;
	__u64 gpa;
	char *shared;
	bool private[PAGES];
	bool punched[PAGES];
	unsigned int random;
	long punches, refused;
};

struct worker {
	struct arena *a;
	int cpu;
	atomic_bool stop;
	long loops;
	int bad;
	pthread_t thread;
};

/* A conversion may come between a fault and its handling: the VMM tries again. */
static bool acceptable(struct worker *w, int ret)
{
	return !ret || (ret == -EFAULT &&
			w->a->vm.run[w->cpu]->exit_reason == KVM_EXIT_MEMORY_FAULT);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int step = w->cpu * 7;
	__u64 gpa;
	int ret;

	do {
		gpa = w->a->gpa + step++ * 13 % (SIZE / SZ_1M * 4) * (SZ_1M / 4);
		/* Shared memory was zero at first, too. */
		ret = guest_do(&w->a->vm, w->cpu, GUEST_VERIFY_OR_ZERO, gpa, SZ_1M / 4, SEED);
		if (acceptable(w, ret))
			ret = guest_do(&w->a->vm, w->cpu, GUEST_STAMP, gpa, SZ_1M / 4, SEED);
		w->bad = acceptable(w, ret) ? 0 : ret;
		w->loops++;
	} while (!atomic_load(&w->stop) && !w->bad);
	return NULL;
}

static unsigned int any(struct arena *a, unsigned int below)
{
	a->random = a->random * 1103515245 + 12345;
	return (a->random >> 16) % below;
}

/* A range of pages: any, or pieces of 64K, or whole huge pages */
static void any_range(struct arena *a, int *from, int *nr)
{
	static const int unit[] = { 1, 16, PAGES_2M };
	int u = unit[any(a, 3)];

	*from = any(a, PAGES / u) * u;
	*nr = (1 + any(a, u == PAGES_2M ? 2 : 64)) * u;
	if (*from + *nr > PAGES)
		*nr = PAGES - *from;
}

static int convert(struct arena *a, int from, int nr, bool private)
{
	memset(a->private + from, private, nr);
	return vm_set_attributes(&a->vm, a->gpa + from * PAGE, nr * PAGE,
				 private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0);
}

/* A split may be refused, and then nothing has happened. */
static int punch_some(struct arena *a, int from, int nr)
{
	int err = ERRNO(punch(a->fd, a->offset + from * PAGE, nr * PAGE));

	a->punches++;
	if (err == EAGAIN || err == ENOMEM) {
		a->refused++;
		return 0;
	}
	memset(a->punched + from, true, nr);
	return err;
}

static int operate(struct arena *a)
{
	int from, nr;

	any_range(a, &from, &nr);
	switch (any(a, 6)) {
	case 0:
	case 1:
		return convert(a, from, nr, false);
	case 2:
	case 3:
		return convert(a, from, nr, true);
	case 4:
		return punch_some(a, from, nr);
	default:
		return populate(a->fd, a->offset + from * PAGE, nr * PAGE);
	}
}

/* What a page has to be is one of three. */
static enum guest_op expected(struct arena *a, int page)
{
	if (!a->private[page])
		return GUEST_CHECK;
	return a->punched[page] ? GUEST_VERIFY_OR_ZERO : GUEST_VERIFY;
}

/* Runs of pages of which the same is expected, by the vCPUs in turn */
static void expect_pages(struct __test_metadata *_metadata, struct arena *a)
{
	int from, to, cpu = 0;
	enum guest_op op;

	memset(a->shared, MAGIC & 0xff, SIZE);
	for (from = 0; from < PAGES; from = to) {
		op = expected(a, from);
		for (to = from + 1; to < PAGES && expected(a, to) == op; to++)
			;
		EXPECT_EQ(0, guest_do(&a->vm, cpu ^= 1, op, a->gpa + from * PAGE,
				      (to - from) * PAGE, op == GUEST_CHECK ? MAGIC : SEED))
			TH_LOG("pages %d to %d, operation %d, at %#llx", from, to, op,
			       a->vm.bad_gpa[cpu]);
	}
	memset(a->shared, 0, SIZE);
}

/* Private, filled, whole and stamped; shmem starts with new folios now and then. */
static void round_start(struct __test_metadata *_metadata, struct arena *a, long round)
{
	memset(a->punched, false, sizeof(a->punched));
	ASSERT_OK(convert(a, 0, PAGES, true));
	if (!is_hugetlb(a->store) && round % 4 == 0)
		ASSERT_OK(punch_patiently(a->fd, a->offset, SIZE));
	ASSERT_OK(populate(a->fd, a->offset, SIZE));
	ASSERT_OK(prefault_all(&a->vm, 0, a->gpa, SIZE));
	ASSERT_EQ(0, guest_do(&a->vm, round & 1, GUEST_STAMP, a->gpa, SIZE, SEED));
	/* C9: what was torn in the last round is whole again; the 4K are the guest's code */
	if (is_hugetlb(a->store))
		EXPECT_EQ(1, vm_stat(&a->vm, "pages_4k"));
}

static void one_round(struct __test_metadata *_metadata, struct arena *a)
{
	struct worker worker[2];
	int i, err = 0;

	for (i = 0; i < 2; i++) {
		worker[i] = (struct worker) { .a = a, .cpu = i };
		ASSERT_EQ(0, pthread_create(&worker[i].thread, NULL, work, &worker[i]));
	}
	for (i = 0; i < OPERATIONS && !err; i++)
		err = ERRNO(operate(a));
	for (i = 0; i < 2; i++)
		atomic_store(&worker[i].stop, true);
	for (i = 0; i < 2; i++) {
		pthread_join(worker[i].thread, NULL);
		EXPECT_EQ(0, worker[i].bad);
	}
	EXPECT_EQ(0, err);
	expect_pages(_metadata, a);
}

FIXTURE(stress) {
	struct arena a;
	struct cgroup cg;
	pid_t load;
};

FIXTURE_VARIANT(stress) {
	const struct store *store;
	off_t size, offset;
	__u64 gpa;
};

FIXTURE_VARIANT_ADD(stress, shmem) {
	.store = &shmem_store, .size = SIZE, .gpa = VM_DATA_GPA,
};

FIXTURE_VARIANT_ADD(stress, shmem_nohuge) {
	.store = &small_store, .size = SIZE, .gpa = VM_DATA_GPA,
};

FIXTURE_VARIANT_ADD(stress, hugetlb_2m) {
	.store = &hugetlb_2m_store, .size = SIZE, .gpa = VM_DATA_GPA,
};

FIXTURE_VARIANT_ADD(stress, hugetlb_1g) {
	.store = &hugetlb_1g_store, .size = SZ_1G, .gpa = SZ_1G, .offset = SZ_1G / 2,
};

FIXTURE_SETUP(stress)
{
	struct arena *a = &self->a;
	char *shared;

	a->random = 4242;
	a->store = variant->store;
	a->offset = variant->offset;
	a->gpa = variant->gpa + variant->offset;
	if (pool_grow(&a->pool, a->store->granule, variant->size / a->store->granule))
		SKIP(return, "the pool for %s has too few pages, and gets no more", a->store->name);
	if (cgroup_create(&self->cg, "stress")) {
		pool_restore(&a->pool);
		SKIP(return, "no memory cgroup");
	}
	ASSERT_OK(cgroup_set(&self->cg, "memory.high", "32M"));
	ASSERT_OK(cgroup_set(&self->cg, "memory.max", "96M"));
	ASSERT_OK(vm_create(&a->vm, 2));
	a->fd = guest_create(a->store->flags, variant->size);
	ASSERT_LE(0, a->fd);
	shared = shared_alloc(variant->size);
	ASSERT_NE(MAP_FAILED, (void *)shared);
	a->shared = shared + variant->offset;
	ASSERT_OK(vm_bind(&a->vm, 1, variant->gpa, variant->size, shared, a->fd, 0));
	ASSERT_OK(vm_set_private(&a->vm, variant->gpa, variant->size));
	/* so that 1G is whole, and can be mapped as such */
	ASSERT_OK(populate(a->fd, 0, variant->size));
	self->load = load_start(&self->cg);
	ASSERT_LT(0, self->load);
}

FIXTURE_TEARDOWN(stress)
{
	load_stop(self->load);
	vm_destroy(&self->a.vm);
	close(self->a.fd);
	if (is_hugetlb(variant->store))
		EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&self->a.pool));
	pool_restore(&self->a.pool);
	cgroup_destroy(&self->cg);
}

TEST_F_TIMEOUT(stress, c9_c18_beside_load, SLOW)
{
	struct race race;
	long round = 0;

	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race) && !_metadata->exit_code) {
		round_start(_metadata, &self->a, round++);
		one_round(_metadata, &self->a);
	}
	/* the load has run to the end, and not every punch was refused */
	EXPECT_EQ(0, kill(self->load, 0));
	EXPECT_EQ(0, waitpid(self->load, NULL, WNOHANG));
	EXPECT_LT(0, round);
	EXPECT_GE(self->a.punches / 2, self->a.refused)
		TH_LOG("%ld of %ld punches refused", self->a.refused, self->a.punches);
}

TEST_HARNESS_MAIN
