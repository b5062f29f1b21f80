// SPDX-License-Identifier: GPL-2.0
/*
 * A guest file goes from node to node, all the time, while its guest works, its pages
 * are punched and converted (C2, C8, R4), and memslot, VM, descriptor and process end
 * (C5). And automatic NUMA balancing, which would like to, moves nothing (R12).
 *
 * Needs two nodes with memory.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include "guestmem_model.h"
#include "guestmem_move.h"
#include "../kselftest_harness.h"

#define SEED	0x3ace0000
#define SIZE	((off_t)(2 * SZ_2M))
#define NR	((long)(SIZE / PAGE))
#define ROUNDS	400
#define SECONDS	2
#define STATS	"/sys/kernel/debug/guestmem/stats"

/**
 * struct mover - moves a file from node to node, all the time
 * @file: that file, its size, and the nodes
 * @stop: set to end it
 * @calls: how many it has made
 * @moved: bytes
 * @err: errno of the call that ended it
 * @thread: runs it
 */
struct mover {
	const struct moving *file;
	atomic_bool stop;
	atomic_long calls;
	long long moved;
	int err;
	pthread_t thread;
};

static void *move_all_the_time(void *arg)
{
	struct mover *mover = arg;
	const struct moving *file = mover->file;
	struct guestmem_migrate args;
	int fd = file->fd;
	long calls = 0;

	while (!mover->err && !atomic_load(&mover->stop)) {
		mover->err = ERRNO(migrate(fd, 0, file->size,
					   file->node[++calls % file->nr_nodes], &args));
		mover->moved += mover->err ? 0 : args.moved;
		atomic_store(&mover->calls, calls);
	}
	return NULL;
}

/* Returns when it is at work. */
static int mover_start(struct mover *mover, const struct moving *file)
{
	*mover = (struct mover) { .file = file };
	if (pthread_create(&mover->thread, NULL, move_all_the_time, mover))
		return -1;
	while (!atomic_load(&mover->calls))
		sched_yield();
	return 0;
}

/* Returns its errno. */
static int mover_stop(struct mover *mover)
{
	atomic_store(&mover->stop, true);
	pthread_join(mover->thread, NULL);
	return mover->err;
}

FIXTURE(race) {
	struct moving m;
	struct mover mover;
	long files, folios, bindings;
};

FIXTURE_VARIANT(race) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(race, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(race, shmem_nohuge) { .store = &small_store };
FIXTURE_VARIANT_ADD(race, hugetlb_2m) { .store = &hugetlb_2m_store };

FIXTURE_SETUP(race)
{
	if (!moving_fill_pools(&self->m, variant->store, SIZE))
		SKIP(return, "needs two nodes with room for the file on each");
	mount_debugfs();
	self->files = file_number(STATS, "files");
	self->folios = file_number(STATS, "folios");
	self->bindings = file_number(STATS, "bindings");
	ASSERT_LE(0, self->files);
	ASSERT_OK(moving_open(&self->m));
}

FIXTURE_TEARDOWN(race)
{
	moving_close(&self->m);
	EXPECT_EQ(self->files, file_number(STATS, "files"));
	EXPECT_EQ(self->folios, file_number(STATS, "folios"));
	EXPECT_EQ(self->bindings, file_number(STATS, "bindings"));
}

/* A new file and a new VM in the place of those that have gone */
static void renew(struct __test_metadata *_metadata, struct moving *m)
{
	ASSERT_OK(moving_file(m));
	ASSERT_OK(vm_create(&m->vm, 2));
	ASSERT_OK(moving_bind(m));
}

/* C5: the slot is deleted and made again: by turns, it is somebody's and nobody's. */
TEST_F_TIMEOUT(race, c5_delete_slot, SLOW)
{
	struct moving *m = &self->m;
	__u32 seed = SEED;
	struct race race;

	ASSERT_EQ(0, moving_stamp(m, seed));
	ASSERT_EQ(0, mover_start(&self->mover, m));
	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race) && !_metadata->exit_code) {
		EXPECT_OK(vm_unbind(&m->vm, 1));
		EXPECT_EQ(0, guest_bound(m->fd));
		EXPECT_OK(moving_bind(m));
		if (race.left % 4)
			continue;
		EXPECT_EQ(0, moving_verify(m, seed));
		EXPECT_EQ(0, moving_stamp(m, ++seed));
	}
	EXPECT_EQ(0, mover_stop(&self->mover));
	EXPECT_LT(0, self->mover.moved);
	EXPECT_EQ(0, moving_verify(m, seed));
}

/* C5: the VM is destroyed; the file is still there, and still moves. */
TEST_F_TIMEOUT(race, c5_destroy, SLOW)
{
	struct moving *m = &self->m;
	long long moved = 0;
	struct race race;

	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race) && !_metadata->exit_code) {
		ASSERT_EQ(0, moving_stamp(m, SEED));
		ASSERT_EQ(0, mover_start(&self->mover, m));
		vm_destroy(&m->vm);
		EXPECT_EQ(0, guest_bound(m->fd));
		EXPECT_EQ(0, mover_stop(&self->mover));
		EXPECT_EQ(NR, file_pages(m->fd));
		moved += self->mover.moved;
		close(m->fd);
		renew(_metadata, m);
	}
	EXPECT_LT(0, moved);
}

/* C5: the descriptor is closed under the call; the guest keeps its memory. */
TEST_F_TIMEOUT(race, c5_close, SLOW)
{
	struct moving *m = &self->m;
	struct race race;

	race_start(&race, ROUNDS, SECONDS);
	while (race_next(&race) && !_metadata->exit_code) {
		ASSERT_EQ(0, moving_stamp(m, SEED));
		ASSERT_EQ(0, mover_start(&self->mover, m));
		close(m->fd);
		pthread_join(self->mover.thread, NULL);
		EXPECT_EQ(EBADF, self->mover.err);
		EXPECT_EQ(0, moving_verify(m, SEED));
		vm_destroy(&m->vm);
		EXPECT_EQ(self->files, file_number(STATS, "files"));
		renew(_metadata, m);
	}
}

static void live_and_be_killed(struct moving *m, int ready)
{
	struct mover mover;

	if (moving_file(m) || vm_create(&m->vm, 2) || moving_bind(m) || moving_stamp(m, SEED) ||
	    mover_start(&mover, m) || write(ready, "x", 1) != 1)
		_exit(1);
	for (;;)
		moving_verify(m, SEED);
}

/* C5: all of it at once: the process is killed. */
TEST_F_TIMEOUT(race, c5_killed, SLOW)
{
	struct moving *m = &self->m;
	struct race race;
	int fds[2];
	pid_t pid;
	char c;

	ASSERT_OK(pipe(fds));
	vm_destroy(&m->vm);
	close(m->fd);
	m->fd = -1;
	race_start(&race, ROUNDS / 10, SECONDS);
	while (race_next(&race) && !_metadata->exit_code) {
		pid = fork();
		if (!pid)
			live_and_be_killed(m, fds[1]);
		ASSERT_EQ(1, read(fds[0], &c, 1));
		kill(pid, SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(pid));
		EXPECT_EQ(self->files, file_number(STATS, "files"));
		EXPECT_EQ(self->folios, file_number(STATS, "folios"));
	}
	close(fds[0]);
	close(fds[1]);
}

/* C2, C8, R4: punched, populated and converted while it moves and is in use */
TEST_F_TIMEOUT(race, c2_c8_punch_and_convert, SLOW)
{
	struct moving *m = &self->m;
	bool shmem = !is_hugetlb(variant->store);
	struct model model;
	struct race race;
	long round = 0;

	ASSERT_OK(model_open(&model, &m->vm, m->fd, m->area.gpa, SIZE, m->shared));
	ASSERT_EQ(0, mover_start(&self->mover, m));
	race_start(&race, ROUNDS, 2 * SECONDS);
	while (race_next(&race) && !_metadata->exit_code)
		EXPECT_STREQ("", model_round(&model, shmem && round++ % 4 == 0));
	EXPECT_EQ(0, mover_stop(&self->mover));
	EXPECT_LT(0, self->mover.moved);
	EXPECT_GE(model.punches / 2, model.refused)
		TH_LOG("%ld of %ld punches refused", model.refused, model.punches);
	model_close(&model);
}

/* ---- automatic NUMA balancing ---- */

#define BALANCING	"/proc/sys/kernel/numa_balancing"
#define BAIT		(8 * SZ_1M)
/* faults that it has to have made */
#define HINTS		1000

static int run_on(int node)
{
	char path[64], text[64];
	cpu_set_t set;

	CPU_ZERO(&set);
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	if (read_file(path, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return -1;
	CPU_SET(atoi(text), &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

/* Ordinary memory of one node, to be used from another: that is what it looks for. */
static char *bait(int node)
{
	char *p = mmap(NULL, BAIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || allocate_on(node))
		return NULL;
	madvise(p, BAIT, MADV_NOHUGEPAGE);
	memset(p, 1, BAIT);
	return allocate_on(-1) ? NULL : p;
}

/* R12: a vCPU far from its memory does not make it move. */
TEST_F_TIMEOUT(race, r12_numa_balancing, SLOW)
{
	char *p, old[16];
	long long hints;
	struct moving *m = &self->m;
	struct frames before, after;
	struct race race;

	if (read_file(BALANCING, old, sizeof(old)) || run_on(m->node[1]))
		SKIP(return, "no NUMA balancing, or no CPU on the second node");
	p = bait(m->node[0]);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, moving_stamp(m, SEED));
	ASSERT_OK(frames_read(m->fd, &before));
	hints = file_number("/proc/vmstat", "numa_hint_faults") + HINTS;
	ASSERT_OK(write_file(BALANCING, "1"));
	/* it takes a second until it begins */
	race_start(&race, 1000000, 30);
	while (race_next(&race) && !_metadata->exit_code &&
	       file_number("/proc/vmstat", "numa_hint_faults") < hints) {
		memset(p, 2, BAIT);
		EXPECT_EQ(0, area_do(&m->area, 0, GUEST_VERIFY, SEED));
	}
	EXPECT_OK(write_file(BALANCING, old));
	/* it was at work, and not on the guest's memory */
	EXPECT_LE(hints, file_number("/proc/vmstat", "numa_hint_faults"));
	ASSERT_OK(frames_read(m->fd, &after));
	EXPECT_TRUE(frames_same(&before, &after));
	EXPECT_EQ(0, fdinfo_number(m->fd, "guest_migrated"));
	frames_free(&before);
	frames_free(&after);
	munmap(p, BAIT);
}

TEST_HARNESS_MAIN
