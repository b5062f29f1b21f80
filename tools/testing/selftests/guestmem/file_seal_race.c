// SPDX-License-Identifier: GPL-2.0
/*
 * F_SEAL_GUEST against threads that map, read, write, resize and fill the same
 * file (C1): one side wins cleanly. Where the seal won, nothing is mapped, the
 * file is empty and what came after was refused; where it lost (EBUSY), the
 * file is an ordinary memfd and nobody saw EPERM.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define ROUNDS	2000
#define SECONDS	3

/**
 * struct rival - the thread that uses the file while it is being sealed
 * @fd: the file, and begin; -1: wait; -2: end
 * @err: what the operation said; -1: not done
 * @delay: microseconds from @fd to the operation
 * @op: the operation
 * @map: what it has mapped
 */
struct rival {
	atomic_int fd;
	atomic_int err;
	int delay;
	int (*op)(struct rival *rival, int fd);
	void *map;
};

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static void spin(int us)
{
	long long end = now_us() + us;

	while (us && now_us() < end)
		sched_yield();
}

static int op_mmap(struct rival *rival, int fd)
{
	int err;

	rival->map = NULL;
	err = ERRNO(rival->map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	if (err)
		rival->map = NULL;
	return err;
}

static int op_read(struct rival *rival, int fd)
{
	char byte;

	(void)rival;
	return ERRNO(pread(fd, &byte, 1, 0));
}

static int op_write(struct rival *rival, int fd)
{
	(void)rival;
	return ERRNO(pwrite(fd, "x", 1, 0));
}

static int op_ftruncate(struct rival *rival, int fd)
{
	(void)rival;
	return ERRNO(ftruncate(fd, PAGE));
}

static int op_fallocate(struct rival *rival, int fd)
{
	(void)rival;
	return ERRNO(fallocate(fd, 0, 0, PAGE));
}

static int op_fallocate_keep(struct rival *rival, int fd)
{
	(void)rival;
	return ERRNO(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PAGE));
}

static int op_proc_open(struct rival *rival, int fd)
{
	int err, other = -1;

	(void)rival;
	err = ERRNO(other = proc_open(fd, O_RDWR));
	if (other >= 0)
		close(other);
	return err;
}

static void *rival_thread(void *arg)
{
	struct rival *rival = arg;
	int fd;

	for (;;) {
		fd = atomic_load(&rival->fd);
		if (fd == -2)
			return NULL;
		if (fd == -1) {
			sched_yield();
			continue;
		}
		atomic_store(&rival->fd, -1);
		spin(rival->delay);
		atomic_store(&rival->err, rival->op(rival, fd));
	}
}

FIXTURE(seal_race) {
	struct rival rival;
	pthread_t thread;
};

FIXTURE_VARIANT(seal_race) {
	int (*op)(struct rival *rival, int fd);
	/* May the operation have succeeded although the seal did? */
	bool both;
	/* What it says of a file that is sealed and empty */
	int refusal;
};

FIXTURE_VARIANT_ADD(seal_race, mmap) { .op = op_mmap, .refusal = EPERM };
FIXTURE_VARIANT_ADD(seal_race, read) { .op = op_read, .both = true, .refusal = EPERM };
FIXTURE_VARIANT_ADD(seal_race, write) { .op = op_write, .refusal = EPERM };
FIXTURE_VARIANT_ADD(seal_race, ftruncate) { .op = op_ftruncate, .both = true };
FIXTURE_VARIANT_ADD(seal_race, fallocate) { .op = op_fallocate, .refusal = EINVAL };
FIXTURE_VARIANT_ADD(seal_race, fallocate_keep) { .op = op_fallocate_keep, .refusal = EINVAL };
FIXTURE_VARIANT_ADD(seal_race, proc_open) {
	.op = op_proc_open, .both = true, .refusal = EPERM,
};

FIXTURE_SETUP(seal_race)
{
	self->rival.op = variant->op;
	atomic_store(&self->rival.fd, -1);
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, rival_thread, &self->rival));
}

FIXTURE_TEARDOWN(seal_race)
{
	atomic_store(&self->rival.fd, -2);
	pthread_join(self->thread, NULL);
}

static void rival_wait(struct rival *rival)
{
	while (atomic_load(&rival->err) < 0)
		sched_yield();
}

static int seal(int fd)
{
	return ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GUEST));
}

/*
 * Returns the seal's errno; the rival's is in rival->err. In every eighth round
 * the one comes after the other has ended; in between, the rival comes at some
 * moment before, in, or after the grace period that sealing waits for.
 */
static int one_round(struct rival *rival, int fd, long round)
{
	int err;

	rival->delay = round % 8 ? round % 23 * (round % 3 ? 300 : 2000) : 0;
	atomic_store(&rival->err, -1);
	if (round % 16 == 8) {
		err = seal(fd);
		atomic_store(&rival->fd, fd);
	} else {
		atomic_store(&rival->fd, fd);
		if (round % 16 == 0)
			rival_wait(rival);
		err = seal(fd);
	}
	rival_wait(rival);
	return err;
}

static bool any_mapping(void)
{
	static char maps[65536];

	return !read_file("/proc/self/maps", maps, sizeof(maps)) &&
	       strstr(maps, "memfd:guestmem-test");
}

static void expect_sealed(struct __test_metadata *_metadata, int fd)
{
	struct guestmem_info info;
	char byte;

	EXPECT_FALSE(any_mapping());
	EXPECT_EQ(0, file_pages(fd));
	EXPECT_OK(guest_get_info(fd, &info));
	EXPECT_EQ(0, info.pages_4k + info.pages_2m + info.pages_1g);
	EXPECT_ERRNO(EPERM, pread(fd, &byte, 1, 0));
	EXPECT_ERRNO(EPERM, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
}

static void expect_ordinary(struct __test_metadata *_metadata, int fd)
{
	char byte = 'y';

	EXPECT_EQ(0, fcntl(fd, F_GET_SEALS) & F_SEAL_GUEST);
	EXPECT_EQ(1, pwrite(fd, &byte, 1, 0));
	EXPECT_EQ(1, pread(fd, &byte, 1, 0));
	EXPECT_EQ('y', byte);
}

static void judge(struct __test_metadata *_metadata, bool both, int refusal, int fd,
		  int sealed, int err)
{
	if (sealed) {
		EXPECT_EQ(EBUSY, sealed);
		EXPECT_EQ(0, err);
		expect_ordinary(_metadata, fd);
		return;
	}
	if (!both || err)
		EXPECT_EQ(refusal, err);
	expect_sealed(_metadata, fd);
}

/* C1 */
TEST_F_TIMEOUT(seal_race, c1_one_side_wins, SLOW)
{
	long round = 0, won = 0;
	struct race race;
	int fd, sealed;

	race_start(&race, ROUNDS, SECONDS);
	/* the first sixteen rounds have both sides win */
	while ((race_next(&race) || round < 16) && !_metadata->exit_code) {
		fd = memfd(MFD_ALLOW_SEALING);
		ASSERT_LE(0, fd);
		sealed = one_round(&self->rival, fd, round++);
		won += !sealed;
		judge(_metadata, variant->both, variant->refusal, fd, sealed,
		      atomic_load(&self->rival.err));
		if (self->rival.map)
			munmap(self->rival.map, PAGE);
		self->rival.map = NULL;
		close(fd);
	}
	EXPECT_LT(0, won);
	if (!variant->both)
		EXPECT_GT(round, won);
}

/**
 * struct blocked - a write that holds the file's lock until its source is gone
 * @fd: the file
 * @uffd: tells when the write has come to its source, and waits there
 * @source: a page that nobody provides
 * @sealed: what sealing said, by a second thread that waits for the lock
 */
struct blocked {
	int fd;
	int uffd;
	void *source;
	int sealed;
};

static int blocked_start(struct blocked *blocked)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	blocked->uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	blocked->source = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (blocked->uffd < 0 || blocked->source == MAP_FAILED)
		return -1;
	reg.range.start = (uintptr_t)blocked->source;
	reg.range.len = PAGE;
	return ioctl(blocked->uffd, UFFDIO_API, &api) ?:
	       ioctl(blocked->uffd, UFFDIO_REGISTER, &reg);
}

/* The write finds no source and ends with EFAULT. */
static int blocked_end(struct blocked *blocked)
{
	struct uffdio_range range = { .start = (uintptr_t)blocked->source, .len = PAGE };

	return munmap(blocked->source, PAGE) ?: ioctl(blocked->uffd, UFFDIO_WAKE, &range);
}

static void *write_thread(void *arg)
{
	struct blocked *blocked = arg;

	if (pwrite(blocked->fd, blocked->source, 1, 0) >= 0)
		blocked->sealed = -1;
	return NULL;
}

static void *seal_thread(void *arg)
{
	struct blocked *blocked = arg;

	blocked->sealed = seal(blocked->fd);
	return NULL;
}

/* Has another reference to the file, and one thread, so that it takes no more. */
static pid_t fork_holder(int fd, int done)
{
	pid_t pid = fork();
	char byte;
	int seals;

	if (pid)
		return pid;
	if (read(done, &byte, 1) != 1)
		_exit(2);
	seals = fcntl(fd, F_GET_SEALS);
	_exit(seals < 0 || seals & F_SEAL_GUEST);
}

/*
 * C1: sealing counts references. When another thread closes the descriptor
 * while the sealing one waits for the file's lock, the reference that is left
 * in its place is another process's, and must not be taken for it.
 */
TEST(c1_descriptor_closed_meanwhile)
{
	struct blocked blocked;
	pthread_t thread[2];
	struct pollfd poll_fd;
	int round, done[2];
	pid_t pid;

	ASSERT_OK(pipe(done));
	for (round = 0; round < 20 && !_metadata->exit_code; round++) {
		blocked.fd = memfd(MFD_ALLOW_SEALING);
		ASSERT_LE(0, blocked.fd);
		pid = fork_holder(blocked.fd, done[0]);
		ASSERT_LE(0, pid);
		ASSERT_OK(blocked_start(&blocked));
		ASSERT_EQ(0, pthread_create(&thread[0], NULL, write_thread, &blocked));
		poll_fd = (struct pollfd) { .fd = blocked.uffd, .events = POLLIN };
		ASSERT_EQ(1, poll(&poll_fd, 1, -1));
		ASSERT_EQ(0, pthread_create(&thread[1], NULL, seal_thread, &blocked));
		usleep(20000);
		close(blocked.fd);
		ASSERT_OK(blocked_end(&blocked));
		pthread_join(thread[0], NULL);
		pthread_join(thread[1], NULL);
		EXPECT_TRUE(blocked.sealed == EBUSY || blocked.sealed == EBADF);
		EXPECT_EQ(1, write(done[1], "", 1));
		EXPECT_EQ(0, wait_child(pid));
		close(blocked.uffd);
	}
}

TEST_HARNESS_MAIN
