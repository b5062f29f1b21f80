// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel does to memory on its own: compaction moves the pages of files that
 * are movable, and goes round those of others (R11, R13, C13); reclaim and swap, KSM,
 * khugepaged and drop_caches have no business with either (R12). The guest works in its
 * memory meanwhile, and it is punched and converted.
 *
 * That pages have moved, or have not, is read from guestmem/folios in debugfs: it has
 * their frames.
 */
#include <signal.h>
#include <stdio.h>

#include "guestmem_model.h"
#include "guestmem_move.h"
#include "../kselftest_harness.h"

#define GPA	VM_DATA_GPA
#define SEED	0xc0de0000
#define SAME	0x5a5a5a5a
#define ROUNDS	6
#define SECONDS	3

/**
 * struct tenant - a guest and its file
 * @vm: two vCPUs
 * @fd: the file
 * @size: bytes of it
 * @shared: shared memory for all of it
 */
struct tenant {
	struct vm vm;
	int fd;
	off_t size;
	char *shared;
};

static int tenant_open(struct tenant *t, const struct store *store, unsigned int flags,
		       off_t size)
{
	t->size = size;
	t->fd = guest_create(store->flags | flags, size);
	t->shared = shared_alloc(size);
	if (t->fd < 0 || (void *)t->shared == MAP_FAILED || vm_create(&t->vm, 2))
		return -1;
	return vm_bind(&t->vm, 1, GPA, size, t->shared, t->fd, 0) ||
	       vm_set_private(&t->vm, GPA, size) ? -1 : 0;
}

static void tenant_close(struct tenant *t)
{
	vm_destroy(&t->vm);
	close(t->fd);
	munmap(t->shared, t->size);
}

/* ---- kernel parameters ---- */

#define NR_SETTINGS	4

/**
 * struct settings - kernel parameters that a test has changed
 * @nr: how many
 * @path: their files
 * @old: what was there
 */
struct settings {
	int nr;
	const char *path[NR_SETTINGS];
	char old[NR_SETTINGS][32];
};

/* Until the end of the test; -1 if there is no such parameter */
static int change(struct settings *s, const char *path, const char *value)
{
	if (s->nr == NR_SETTINGS || read_file(path, s->old[s->nr], sizeof(s->old[0])) ||
	    write_file(path, value))
		return -1;
	s->path[s->nr++] = path;
	return 0;
}

static int change_back(struct settings *s)
{
	int ret = 0;

	while (s->nr) {
		s->nr--;
		ret |= write_file(s->path[s->nr], s->old[s->nr]);
	}
	return ret;
}

/* ---- compaction ---- */

#define COMPACT		"/proc/sys/vm/compact_memory"
#define CPU_LISTS	"/proc/sys/vm/percpu_pagelist_high_fraction"

FIXTURE(compact) {
	struct tenant t;
	struct area area;
	struct settings settings;
	int spare;
};

/* More than what stays in the lists of the CPUs when these are short */
#define SPARE		((off_t)(2 * SZ_1M))

FIXTURE_VARIANT(compact) {
	const struct store *store;
	unsigned int flags;
	off_t size;
};

FIXTURE_VARIANT_ADD(compact, movable_4k) {
	.store = &small_store, .flags = MFD_GUEST_MOVABLE, .size = 2 * SZ_2M,
};

FIXTURE_VARIANT_ADD(compact, unmovable_4k) { .store = &small_store, .size = 2 * SZ_2M };

FIXTURE_VARIANT_ADD(compact, movable_2m) {
	.store = &shmem_store, .flags = MFD_GUEST_MOVABLE, .size = 16 * SZ_2M,
};

FIXTURE_VARIANT_ADD(compact, unmovable_2m) { .store = &shmem_store, .size = 16 * SZ_2M };

/* Every second folio is the guest's, the others come and go. */
FIXTURE_SETUP(compact)
{
	unsigned long unit = variant->store->huge;

	ASSERT_OK(tenant_open(&self->t, variant->store, variant->flags, variant->size));
	self->area = (struct area) {
		.vm = &self->t.vm, .gpa = GPA, .size = variant->size,
		.piece = unit == PAGE ? PAGE : 16 * PAGE, .stride = 2 * unit,
	};
	/*
	 * Compaction does not see what is free in the lists of the CPUs. Make them short,
	 * and have something that goes there last.
	 */
	ASSERT_OK(change(&self->settings, CPU_LISTS, "1000000"));
	self->spare = guest_create(MFD_GUEST_NOHUGEPAGE | variant->flags, SPARE);
	ASSERT_LE(0, self->spare);
}

FIXTURE_TEARDOWN(compact)
{
	EXPECT_OK(change_back(&self->settings));
	close(self->spare);
	tenant_close(&self->t);
}

/* Free memory next to every folio that is the guest's */
static int fragment(struct tenant *t, int spare, unsigned long unit)
{
	off_t at;

	if (populate(t->fd, 0, t->size) || populate(spare, 0, SPARE))
		return -1;
	for (at = unit; at < t->size; at += 2 * unit) {
		if (punch_patiently(t->fd, at, unit))
			return -1;
	}
	return punch_patiently(spare, 0, SPARE);
}

/*
 * The same in new memory. Compaction moves nothing to where 2M are free: there is work
 * for it only where many 2M are used in part. When it has been there, there are none.
 */
static int lay_out(struct tenant *t, int spare, unsigned long unit)
{
	return punch_patiently(t->fd, 0, t->size) || fragment(t, spare, unit) ? -1 : 0;
}

/* Returns how many folios of the file have other frames after it, or -1. */
static long compact(int fd)
{
	struct frames before, after = { };
	long moved = -1;

	if (!frames_read(fd, &before) && !write_file(COMPACT, "1") && !frames_read(fd, &after) &&
	    before.nr == after.nr)
		moved = frames_moved(&before, &after);
	frames_free(&before);
	frames_free(&after);
	return moved;
}

/* Beside a guest that works, before and after neighbours have come and gone; or -1 */
static long compact_twice(struct tenant *t, int spare, unsigned long unit)
{
	long first = compact(t->fd), second;

	if (first < 0 || fragment(t, spare, unit))
		return -1;
	second = compact(t->fd);
	return second < 0 ? -1 : first + second;
}

/* R11, R13, C13 */
TEST_F_TIMEOUT(compact, r11_c13_while_the_guest_works, SLOW)
{
	unsigned long unit = variant->store->huge;
	long ret, moved = 0, migrated, round = 0;
	struct tenant *t = &self->t;
	struct worker worker[2];
	struct race race;

	race_start(&race, ROUNDS, SECONDS);
	while ((race_next(&race) || !round) && !_metadata->exit_code) {
		ASSERT_OK(lay_out(t, self->spare, unit));
		ASSERT_EQ(0, area_do(&self->area, 0, GUEST_STAMP, SEED));
		ASSERT_EQ(0, workers_start(worker, &self->area, SEED));
		ret = compact_twice(t, self->spare, unit);
		EXPECT_STREQ("", workers_end(worker));
		ASSERT_LE(0, ret);
		EXPECT_EQ(t->size / 2 / (long)PAGE, file_pages(t->fd));
		moved += ret;
		round++;
	}

	migrated = fdinfo_number(t->fd, "guest_migrated");
	TH_LOG("%ld rounds: %ld folios had moved, of %ld moves in all", round, moved, migrated);
	EXPECT_LE(moved, migrated);
	if (!(variant->flags & MFD_GUEST_MOVABLE)) {
		EXPECT_EQ(0, migrated);
		EXPECT_EQ(0, fdinfo_number(t->fd, "guest_migrate_failed"));
	}
	/* folios of 2M are as large as what compaction wants to have: it leaves them */
	if (variant->flags & MFD_GUEST_MOVABLE && unit == PAGE)
		EXPECT_LT(round * t->size / (long)PAGE / 32, moved);
}

struct compactor {
	atomic_bool stop;
	long rounds;
	pthread_t thread;
};

static void *compact_all_the_time(void *arg)
{
	struct compactor *c = arg;

	while (!atomic_load(&c->stop))
		c->rounds += !write_file(COMPACT, "1");
	return NULL;
}

/* C2, C8, C13: pages that are moved are punched, populated and converted, and faulted in. */
TEST_F_TIMEOUT(compact, c2_c8_punch_and_convert, SLOW)
{
	bool new_folios = variant->store == &shmem_store;
	struct compactor c = { };
	struct model model;
	struct race race;
	long round = 0;

	ASSERT_OK(model_open(&model, &self->t.vm, self->t.fd, GPA, 2 * SZ_2M, self->t.shared));
	ASSERT_EQ(0, pthread_create(&c.thread, NULL, compact_all_the_time, &c));
	race_start(&race, 400, SECONDS);
	while (race_next(&race) && !_metadata->exit_code)
		EXPECT_STREQ("", model_round(&model, new_folios && round++ % 4 == 0));
	atomic_store(&c.stop, true);
	pthread_join(c.thread, NULL);
	EXPECT_LT(0, c.rounds);
	EXPECT_GE(model.punches / 2, model.refused)
		TH_LOG("%ld of %ld punches refused", model.refused, model.punches);
	TH_LOG("%ld compactions, %lld moves", c.rounds,
	       fdinfo_number(self->t.fd, "guest_migrated"));
	EXPECT_EQ(!!(variant->flags & MFD_GUEST_MOVABLE),
		  !!fdinfo_number(self->t.fd, "guest_migrated"));
	model_close(&model);
}

/* ---- those that have no business with it ---- */

/**
 * struct quiet - a guest whose memory has to stay as it is
 * @t: the guest
 * @area: all of its memory
 * @before: the frames it has
 * @settings: what was changed
 */
struct quiet {
	struct tenant t;
	struct area area;
	struct frames before;
	struct settings settings;
};

FIXTURE(quiet) {
	struct quiet q;
};

FIXTURE_VARIANT(quiet) {
	const struct store *store;
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(quiet, movable_4k) { .store = &small_store, .flags = MFD_GUEST_MOVABLE };
FIXTURE_VARIANT_ADD(quiet, unmovable_2m) { .store = &shmem_store };

#define QUIET_SIZE	((off_t)(4 * SZ_2M))

FIXTURE_SETUP(quiet)
{
	ASSERT_OK(tenant_open(&self->q.t, variant->store, variant->flags, QUIET_SIZE));
	self->q.area = (struct area) {
		.vm = &self->q.t.vm, .gpa = GPA, .size = QUIET_SIZE, .piece = 16 * PAGE,
		.stride = 16 * PAGE,
	};
	ASSERT_OK(populate(self->q.t.fd, 0, QUIET_SIZE));
	ASSERT_EQ(0, area_do(&self->q.area, 0, GUEST_STAMP, SEED));
	ASSERT_OK(frames_read(self->q.t.fd, &self->q.before));
	ASSERT_EQ(QUIET_SIZE / variant->store->huge, self->q.before.nr);
}

FIXTURE_TEARDOWN(quiet)
{
	EXPECT_OK(change_back(&self->q.settings));
	frames_free(&self->q.before);
	tenant_close(&self->q.t);
}

/*
 * The file is what it was. Under pressure, compaction may have moved what is movable,
 * but nothing else has, and @idle says that there was none.
 */
static void expect_left_alone(struct __test_metadata *_metadata, struct quiet *q,
			      bool movable, bool idle)
{
	struct frames after;

	ASSERT_OK(frames_read(q->t.fd, &after));
	EXPECT_EQ(q->before.nr, after.nr);
	if (!movable || idle) {
		EXPECT_TRUE(frames_same(&q->before, &after));
		EXPECT_EQ(0, fdinfo_number(q->t.fd, "guest_migrated"));
	}
	EXPECT_EQ(QUIET_SIZE / (long)PAGE, file_pages(q->t.fd));
	frames_free(&after);
}

static bool wait_for(const char *path, const char *key, long long value)
{
	long long end = milliseconds() + 60000;

	while (file_number(path, key) < value) {
		if (milliseconds() > end)
			return false;
		usleep(50000);
	}
	return true;
}

static char *ordinary(size_t size, int advice)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || madvise(p, size, advice))
		return NULL;
	memset(p, SAME & 0xff, size);
	return p;
}

#define KSM	"/sys/kernel/mm/ksm/"

/* R12: KSM merges memory of the process, and not the guest's, which is the same. */
TEST_F_TIMEOUT(quiet, r12_ksm, SLOW)
{
	bool movable = variant->flags & MFD_GUEST_MOVABLE;
	char *p;

	if (access(KSM "run", W_OK))
		SKIP(return, "no KSM");
	ASSERT_EQ(0, area_do(&self->q.area, 0, GUEST_FILL, SAME));
	p = ordinary(4 * SZ_1M, MADV_MERGEABLE);
	ASSERT_NE(NULL, p);
	ASSERT_OK(change(&self->q.settings, KSM "pages_to_scan", "4096"));
	ASSERT_OK(change(&self->q.settings, KSM "sleep_millisecs", "10"));
	ASSERT_OK(change(&self->q.settings, KSM "run", "1"));
	EXPECT_TRUE(wait_for(KSM "pages_sharing", NULL, 500));
	/* once more around, with all that there is */
	EXPECT_TRUE(wait_for(KSM "full_scans", NULL, file_number(KSM "full_scans", NULL) + 2));
	expect_left_alone(_metadata, &self->q, movable, true);
	EXPECT_EQ(0, area_do(&self->q.area, 1, GUEST_CHECK, SAME));
	EXPECT_OK(write_file(KSM "run", "2"));
	munmap(p, 4 * SZ_1M);
}

#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"

/* R12: khugepaged makes huge pages of the process's small ones, and not of the guest's. */
TEST_F_TIMEOUT(quiet, r12_khugepaged, SLOW)
{
	bool movable = variant->flags & MFD_GUEST_MOVABLE;
	long long collapsed = file_number(KHUGEPAGED "pages_collapsed", NULL);
	struct worker worker[2];
	char *p;

	if (collapsed < 0)
		SKIP(return, "no khugepaged");
	p = ordinary(4 * SZ_2M, MADV_NOHUGEPAGE);
	ASSERT_NE(NULL, p);
	ASSERT_OK(change(&self->q.settings, KHUGEPAGED "scan_sleep_millisecs", "10"));
	ASSERT_OK(change(&self->q.settings, KHUGEPAGED "pages_to_scan", "8192"));
	ASSERT_EQ(0, workers_start(worker, &self->q.area, SEED));
	ASSERT_OK(madvise(p, 4 * SZ_2M, MADV_HUGEPAGE));
	EXPECT_TRUE(wait_for(KHUGEPAGED "pages_collapsed", NULL, collapsed + 2));
	EXPECT_STREQ("", workers_end(worker));
	expect_left_alone(_metadata, &self->q, movable, false);
	munmap(p, 4 * SZ_2M);
}

/* R12: caches are dropped; guest memory is none. */
TEST_F_TIMEOUT(quiet, r12_drop_caches, SLOW)
{
	bool movable = variant->flags & MFD_GUEST_MOVABLE;
	struct worker worker[2];
	int i;

	ASSERT_EQ(0, workers_start(worker, &self->q.area, SEED));
	for (i = 0; i < 5; i++)
		EXPECT_OK(write_file("/proc/sys/vm/drop_caches", "3"));
	EXPECT_STREQ("", workers_end(worker));
	expect_left_alone(_metadata, &self->q, movable, true);
}

static void nothing(int signal)
{
}

/* Ask for all memory there is, as huge pages, for so many seconds at most; keep them. */
static void press(unsigned int seconds)
{
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGALRM, &action, NULL);
	alarm(seconds);
	pool_set(SZ_2M, "nr_hugepages", 1 << 20);
	alarm(0);
}

/*
 * R12: the kernel reclaims, swaps and compacts. It swaps out what the process has, and
 * nothing of the guest.
 */
TEST_F_TIMEOUT(quiet, r12_swap, SLOW)
{
	bool movable = variant->flags & MFD_GUEST_MOVABLE;
	long long out = file_number("/proc/vmstat", "pswpout");
	struct pool_state state;
	struct worker worker[2];
	struct zram_swap swap;
	char *p;
	int try;

	if (pool_read(SZ_2M, &state) || zram_swap_on(&swap))
		SKIP(return, "no huge pages, or no zram to swap to");
	p = ordinary(32 * SZ_1M, MADV_NOHUGEPAGE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, workers_start(worker, &self->q.area, SEED));
	/* a machine that is busy takes its time until it swaps */
	for (try = 0; try < 10 && file_number("/proc/vmstat", "pswpout") <= out; try++)
		press(10);
	pool_set(SZ_2M, "nr_hugepages", state.total);
	EXPECT_STREQ("", workers_end(worker));
	EXPECT_LT(out, file_number("/proc/vmstat", "pswpout"));
	expect_left_alone(_metadata, &self->q, movable, false);
	munmap(p, 32 * SZ_1M);
	zram_swap_off(&swap);
}

TEST_HARNESS_MAIN
