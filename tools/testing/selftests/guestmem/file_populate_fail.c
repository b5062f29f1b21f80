// SPDX-License-Identifier: GPL-2.0
/*
 * A populate that fails half way takes back what it added and leaves what was
 * there before (C10, R17): stopped by the memory cgroup's limit, by a signal,
 * by the death of the process, and by every single allocation that can fail.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR	4096L
#define SIZE	(NR * PAGE)
/* Every third of the first pages is there before: an island the call meets. */
#define BEFORE	5
#define SEED	0xfeed0000

static int islands(int fd)
{
	int i;

	for (i = 0; i < BEFORE; i++) {
		if (populate(fd, 3 * i * PAGE, PAGE))
			return -1;
	}
	return 0;
}

/* Exactly the islands are held. */
static bool only_islands(int fd)
{
	int i;

	if (file_pages(fd) != BEFORE)
		return false;
	for (i = 0; i < BEFORE; i++) {
		if (punch(fd, 3 * i * PAGE, PAGE) || file_pages(fd) != BEFORE - 1 - i)
			return false;
	}
	return true;
}

FIXTURE(populate_fail) {
	struct cgroup cg;
	int fd;
};

FIXTURE_SETUP(populate_fail)
{
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(islands(self->fd));
	ASSERT_EQ(BEFORE, file_pages(self->fd));
}

FIXTURE_TEARDOWN(populate_fail)
{
	close(self->fd);
	cgroup_destroy(&self->cg);
}

/* A process that the OOM killer leaves alone sees ENOMEM. */
TEST_F_TIMEOUT(populate_fail, c10_memcg_limit, SLOW)
{
	if (cgroup_create(&self->cg, "fail"))
		SKIP(return, "no memory cgroup");
	ASSERT_OK(write_file("/proc/self/oom_score_adj", "-1000"));
	ASSERT_OK(cgroup_enter(&self->cg));
	ASSERT_OK(cgroup_set(&self->cg, "memory.max", "8M"));
	EXPECT_ERRNO(ENOMEM, populate(self->fd, 0, SIZE));
	EXPECT_TRUE(only_islands(self->fd));
	ASSERT_OK(cgroup_set(&self->cg, "memory.max", "max"));
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_EQ(NR, file_pages(self->fd));
}

/* Invariant 5: what the guest had before the call, it has afterwards. */
TEST_F_TIMEOUT(populate_fail, c10_under_a_guest, SLOW)
{
	void *shared = shared_alloc(SIZE);
	struct vm vm;

	if (cgroup_create(&self->cg, "guest"))
		SKIP(return, "no memory cgroup");
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_OK(vm_create(&vm, 1));
	ASSERT_OK(vm_bind(&vm, 1, VM_DATA_GPA, SIZE, shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&vm, VM_DATA_GPA, SIZE));
	ASSERT_EQ(0, guest_do(&vm, 0, GUEST_STAMP, VM_DATA_GPA + PAGE, PAGE, SEED));
	ASSERT_OK(write_file("/proc/self/oom_score_adj", "-1000"));
	ASSERT_OK(cgroup_enter(&self->cg));
	ASSERT_OK(cgroup_set(&self->cg, "memory.max", "8M"));
	EXPECT_ERRNO(ENOMEM, populate(self->fd, 0, SIZE));
	EXPECT_EQ(BEFORE + 1, file_pages(self->fd));
	EXPECT_EQ(0, guest_do(&vm, 0, GUEST_VERIFY, VM_DATA_GPA + PAGE, PAGE, SEED));
	EXPECT_EQ(0, guest_do(&vm, 0, GUEST_CHECK, VM_DATA_GPA, PAGE, 0));
	EXPECT_EQ(0, guest_do(&vm, 0, GUEST_CHECK, VM_DATA_GPA + 2 * PAGE, PAGE, 0));
	EXPECT_EQ(BEFORE + 2, file_pages(self->fd));
	vm_destroy(&vm);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A signal that does not kill: all, or EINTR and nothing */
TEST_F_TIMEOUT(populate_fail, c10_signal, SLOW)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = { };
	int err, us;

	sigaction(SIGALRM, &action, NULL);
	for (us = 500; us < 50000 && !_metadata->exit_code; us *= 3) {
		timer.it_value.tv_usec = us;
		timer.it_interval.tv_usec = us;
		setitimer(ITIMER_REAL, &timer, NULL);
		err = ERRNO(populate(self->fd, 0, SIZE));
		memset(&timer, 0, sizeof(timer));
		setitimer(ITIMER_REAL, &timer, NULL);
		EXPECT_EQ(err ? EINTR : 0, err);
		EXPECT_EQ(err ? BEFORE : NR, file_pages(self->fd));
		ASSERT_OK(punch(self->fd, 0, SIZE));
		ASSERT_OK(islands(self->fd));
	}
}

/*
 * The owner of a file dies inside of populate. A child that has inherited the
 * descriptor is left, looks at the file and reports.
 */
static void witness(int fd, int alive, int report)
{
	long pages;
	char c;

	while (read(alive, &c, 1) < 0 && errno == EINTR)
		;
	pages = file_pages(fd);
	_exit(write(report, &pages, sizeof(pages)) != sizeof(pages));
}

/* @report also says when populate is about to begin. */
static void die_populating(struct cgroup *cg, int report)
{
	int alive[2], fd = guest_create(0, SIZE);
	long begin = 0;

	if (fd < 0 || islands(fd) || pipe(alive))
		_exit(1);
	if (!fork()) {
		close(alive[1]);
		witness(fd, alive[0], report);
	}
	close(alive[0]);
	if (cg && (write_file("/proc/self/oom_score_adj", "1000") || cgroup_enter(cg)))
		_exit(2);
	if (write(report, &begin, sizeof(begin)) != sizeof(begin))
		_exit(3);
	close(report);
	_exit(populate(fd, 0, SIZE) ? 4 : 0);
}

/*
 * Returns the pages that the witness saw, -1 for none. @us: kill the process so
 * long after its begin; without, it has to die by itself.
 */
static long death(struct cgroup *cg, int us, int *status)
{
	long pages = -1;
	int report[2];
	pid_t pid;

	if (pipe(report))
		return -1;
	pid = fork();
	if (!pid) {
		close(report[0]);
		die_populating(cg, report[1]);
	}
	close(report[1]);
	if (read(report[0], &pages, sizeof(pages)) == sizeof(pages) && us) {
		usleep(us);
		kill(pid, SIGKILL);
	}
	*status = wait_child(pid);
	if (read(report[0], &pages, sizeof(pages)) != sizeof(pages))
		pages = -1;
	close(report[0]);
	return pages;
}

/* By the OOM killer of its cgroup */
TEST_F_TIMEOUT(populate_fail, c10_oom_killed, SLOW)
{
	int status;

	if (cgroup_create(&self->cg, "kill"))
		SKIP(return, "no memory cgroup");
	ASSERT_OK(cgroup_set(&self->cg, "memory.max", "8M"));
	EXPECT_EQ(BEFORE, death(&self->cg, 0, &status));
	EXPECT_EQ(128 + SIGKILL, status);
}

/* By a signal at any moment: nothing, or all if it came too late */
TEST_F_TIMEOUT(populate_fail, c10_killed, SLOW)
{
	int us, status, taken_back = 0;
	long pages;

	for (us = 50; us < 200000 && !_metadata->exit_code; us = us * 3 / 2) {
		pages = death(NULL, us, &status);
		if (pages != NR)
			EXPECT_EQ(BEFORE, pages);
		if (status == 128 + SIGKILL && pages == BEFORE)
			taken_back++;
	}
	EXPECT_LT(0, taken_back);
}

/* C10, R17: each allocation of a populate fails once */
TEST_F_TIMEOUT(populate_fail, c10_every_allocation, SLOW)
{
	unsigned int nth;
	bool hit = true;
	int err;

	if (fail_nth_setup())
		SKIP(return, "no fault injection");
	for (nth = 1; hit && nth < 400 && !_metadata->exit_code; nth++) {
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(populate(self->fd, 0, 20 * PAGE));
		hit = fail_nth_disarm();
		if (err) {
			EXPECT_EQ(ENOMEM, err);
			EXPECT_TRUE(hit);
			EXPECT_EQ(BEFORE, file_pages(self->fd));
			continue;
		}
		EXPECT_EQ(20, file_pages(self->fd));
		ASSERT_OK(punch(self->fd, 0, SIZE));
		ASSERT_OK(islands(self->fd));
	}
	/* At least one allocation for each page that was not there */
	EXPECT_LT(20 - BEFORE, nth);
	EXPECT_FALSE(hit);
	EXPECT_TRUE(only_islands(self->fd));
}

TEST_HARNESS_MAIN
