// SPDX-License-Identifier: GPL-2.0
/*
 * GUESTMEM_MIGRATE: folios of every store go to the node they are told to, in the size
 * they have, and take the guest's data with them (R11, R14, invariant 5), while the guest
 * works in it. What cannot be moved stays where it is and is counted (R17).
 *
 * Needs two nodes with memory, and room for a huge page of each size on both. That
 * folios have moved is read from guestmem/folios in debugfs: it has their frames.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

#include "guestmem_move.h"
#include "../kselftest_harness.h"

#define SEED	0x30e00000
#define SHARED	0x9a9a9a9a
#define SECONDS	4
/* Milliseconds in which a guest that may go on goes on */
#define PATIENCE	60000
#define SLACK		5000

/* By the vCPU that has not stamped it */
static void expect_stamps(struct __test_metadata *_metadata, struct moving *m, __u32 seed)
{
	EXPECT_EQ(0, moving_verify(m, seed))
		TH_LOG("at %#llx", m->vm.bad_gpa[1]);
}

static void expect_counters(struct __test_metadata *_metadata,
			    const struct guestmem_migrate *args, long long moved,
			    long long failed)
{
	EXPECT_EQ(moved, (long long)args->moved);
	EXPECT_EQ(failed, (long long)args->failed);
}

/* All folios of @before are in other frames, on that node, and as large as before. */
static void expect_moved(struct __test_metadata *_metadata, struct moving *m,
			 const struct frames *before, int node)
{
	struct frames after;
	long i;

	ASSERT_OK(frames_read(m->fd, &after));
	EXPECT_EQ(before->nr, after.nr);
	EXPECT_EQ(before->nr, frames_moved(before, &after));
	for (i = 0; i < before->nr && i < after.nr; i++) {
		if (before->at[i].index == after.at[i].index &&
		    before->at[i].order == after.at[i].order && after.at[i].node == node)
			continue;
		EXPECT_EQ(node, after.at[i].node)
			TH_LOG("folio %ld: index %lu, order %u", i, after.at[i].index,
			       after.at[i].order);
		break;
	}
	EXPECT_EQ(before->nr, i);
	frames_free(&after);
}

static void expect_unmoved(struct __test_metadata *_metadata, int fd,
			   const struct frames *before)
{
	struct frames after;

	ASSERT_OK(frames_read(fd, &after));
	EXPECT_TRUE(frames_same(before, &after));
	frames_free(&after);
}

FIXTURE(move) {
	struct moving m;
};

FIXTURE_VARIANT(move) {
	const struct store *store;
	off_t size;
};

FIXTURE_VARIANT_ADD(move, shmem) { .store = &shmem_store, .size = 4 * SZ_2M };
FIXTURE_VARIANT_ADD(move, shmem_nohuge) { .store = &small_store, .size = SZ_2M };
FIXTURE_VARIANT_ADD(move, hugetlb_2m) { .store = &hugetlb_2m_store, .size = 4 * SZ_2M };
FIXTURE_VARIANT_ADD(move, hugetlb_1g) { .store = &hugetlb_1g_store, .size = SZ_1G };

FIXTURE_SETUP(move)
{
	if (!moving_fill_pools(&self->m, variant->store, variant->size))
		SKIP(return, "needs two nodes with room for the file on each");
	ASSERT_OK(moving_open(&self->m));
	ASSERT_EQ(variant->size, bytes_on(self->m.fd, self->m.node[0]));
}

FIXTURE_TEARDOWN(move)
{
	moving_close(&self->m);
}

static void move_all(struct __test_metadata *_metadata, struct moving *m, int node)
{
	long long migrated = fdinfo_number(m->fd, "guest_migrated");
	struct guestmem_migrate args;
	char levels[96], sizes[96];
	struct frames before;

	ASSERT_OK(prefault_all(&m->vm, 0, m->area.gpa, m->size));
	snprintf(levels, sizeof(levels), "%s", mapped(&m->vm));
	snprintf(sizes, sizeof(sizes), "%s", held(m->fd));
	ASSERT_OK(frames_read(m->fd, &before));

	EXPECT_OK(migrate(m->fd, 0, m->size, node, &args));
	expect_counters(_metadata, &args, m->size, 0);
	expect_moved(_metadata, m, &before, node);
	EXPECT_EQ(m->size, bytes_on(m->fd, node));
	EXPECT_EQ(migrated + before.nr, fdinfo_number(m->fd, "guest_migrated"));
	EXPECT_STREQ(sizes, held(m->fd));
	frames_free(&before);

	ASSERT_OK(prefault_all(&m->vm, 0, m->area.gpa, m->size));
	EXPECT_STREQ(levels, mapped(&m->vm));
}

static void move_nothing(struct __test_metadata *_metadata, struct moving *m, int node)
{
	long long migrated = fdinfo_number(m->fd, "guest_migrated");
	struct guestmem_migrate args;
	struct frames before;

	ASSERT_OK(frames_read(m->fd, &before));
	EXPECT_OK(migrate(m->fd, 0, m->size, node, &args));
	expect_counters(_metadata, &args, 0, 0);
	expect_unmoved(_metadata, m->fd, &before);
	EXPECT_EQ(migrated, fdinfo_number(m->fd, "guest_migrated"));
	frames_free(&before);
}

/* R11, R14: to every other node and back, with what the guest has put there */
TEST_F_TIMEOUT(move, r11_whole_file, SLOW)
{
	struct moving *m = &self->m;
	int i, node;

	ASSERT_EQ(0, moving_stamp(m, SEED));
	move_nothing(_metadata, m, m->node[0]);
	for (i = 1; i <= m->nr_nodes; i++) {
		node = m->node[i % m->nr_nodes];
		move_all(_metadata, m, node);
		expect_stamps(_metadata, m, SEED + i - 1);
		ASSERT_EQ(0, moving_stamp(m, SEED + i));
	}
	move_nothing(_metadata, m, m->node[0]);
	expect_stamps(_metadata, m, SEED + m->nr_nodes);
	EXPECT_EQ(0, fdinfo_number(m->fd, "guest_migrate_failed"));
}

/* R11: what is asked for is pages; what moves is the folios they are in. */
TEST_F_TIMEOUT(move, r11_part_of_a_folio, SLOW)
{
	unsigned long huge = variant->store->huge;
	struct moving *m = &self->m;
	struct guestmem_migrate args;
	off_t end = m->size - PAGE;

	ASSERT_EQ(0, moving_stamp(m, SEED));
	EXPECT_OK(migrate(m->fd, end, PAGE, m->node[1], &args));
	expect_counters(_metadata, &args, PAGE, 0);
	EXPECT_EQ(huge, bytes_on(m->fd, m->node[1]));
	EXPECT_EQ(m->size - huge, bytes_on(m->fd, m->node[0]));
	expect_stamps(_metadata, m, SEED);
	/* the first page of it, or the same of 4K: there already, as is all of the folio */
	EXPECT_OK(migrate(m->fd, m->size - huge, PAGE, m->node[1], &args));
	expect_counters(_metadata, &args, 0, 0);
}

/* R11: the last page of one folio and the first of the next: both move */
TEST_F_TIMEOUT(move, r11_across_folios, SLOW)
{
	unsigned long huge = variant->store->huge;
	struct moving *m = &self->m;
	struct guestmem_migrate args;
	struct frames before, after;

	if (m->size == huge)
		SKIP(return, "the file has one folio only");
	ASSERT_EQ(0, moving_stamp(m, SEED));
	ASSERT_OK(frames_read(m->fd, &before));
	EXPECT_OK(migrate(m->fd, 2 * huge - PAGE, 2 * PAGE, m->node[1], &args));
	expect_counters(_metadata, &args, 2 * PAGE, 0);
	ASSERT_OK(frames_read(m->fd, &after));
	EXPECT_EQ(2, frames_moved(&before, &after));
	EXPECT_EQ(m->node[0], after.at[0].node);
	EXPECT_EQ(m->node[1], after.at[1].node);
	EXPECT_EQ(m->node[1], after.at[2].node);
	EXPECT_EQ(m->node[0], after.at[3].node);
	frames_free(&before);
	frames_free(&after);
	expect_stamps(_metadata, m, SEED);
	/* the rest follows: what is there counts nowhere */
	EXPECT_OK(migrate(m->fd, 0, m->size, m->node[1], &args));
	expect_counters(_metadata, &args, m->size - 2 * huge, 0);
	expect_stamps(_metadata, m, SEED);
}

/* R11: a hole counts nowhere, and is one afterwards. */
TEST_F_TIMEOUT(move, r11_holes, SLOW)
{
	unsigned long huge = variant->store->huge;
	struct moving *m = &self->m;
	struct guestmem_migrate args;
	long long left = m->size - huge;

	ASSERT_EQ(0, moving_stamp(m, SEED));
	ASSERT_OK(punch(m->fd, left, huge));
	EXPECT_OK(migrate(m->fd, 0, m->size, m->node[1], &args));
	expect_counters(_metadata, &args, left, 0);
	EXPECT_EQ(left, bytes_on(m->fd, m->node[1]));
	EXPECT_EQ(left / (long long)PAGE, file_pages(m->fd));
	EXPECT_OK(migrate(m->fd, left, huge, m->node[0], &args));
	expect_counters(_metadata, &args, 0, 0);
	m->area.size = left;
	expect_stamps(_metadata, m, SEED);
	EXPECT_EQ(0, guest_do(&m->vm, 0, GUEST_CHECK, m->area.gpa + left, PAGE, 0));
}

/* A page of a granule that is a hole in it still reads as zero when it has moved. */
TEST_F_TIMEOUT(move, r11_hole_in_a_granule, SLOW)
{
	struct moving *m = &self->m;
	__u64 gpa = m->area.gpa;
	struct guestmem_migrate args;

	if (!is_hugetlb(variant->store))
		SKIP(return, "only hugetlb has holes inside of what it holds");
	ASSERT_EQ(0, guest_do(&m->vm, 0, GUEST_STAMP, gpa, 4 * PAGE, SEED));
	ASSERT_OK(punch(m->fd, PAGE, 2 * PAGE));
	EXPECT_OK(migrate(m->fd, 0, m->size, m->node[1], &args));
	EXPECT_EQ(m->size, bytes_on(m->fd, m->node[1]));
	EXPECT_EQ(0, guest_do(&m->vm, 1, GUEST_VERIFY, gpa, PAGE, SEED));
	EXPECT_EQ(0, guest_do(&m->vm, 1, GUEST_CHECK, gpa + PAGE, 2 * PAGE, 0));
	EXPECT_EQ(0, guest_do(&m->vm, 1, GUEST_VERIFY, gpa + 3 * PAGE, PAGE, SEED));
	EXPECT_EQ(0, guest_do(&m->vm, 1, GUEST_CHECK, gpa + 4 * PAGE, PAGE, 0));
}

/* Shared memory at the same addresses is nobody's business here. */
TEST_F_TIMEOUT(move, r4_converted, SLOW)
{
	struct moving *m = &self->m;
	__u64 gpa = m->area.gpa, size = 3 * PAGE;
	struct guestmem_migrate args;

	ASSERT_EQ(0, moving_stamp(m, SEED));
	memset(m->shared, SHARED & 0xff, size);
	ASSERT_OK(vm_set_shared(&m->vm, gpa, size));
	EXPECT_OK(migrate(m->fd, 0, m->size, m->node[1], &args));
	expect_counters(_metadata, &args, m->size, 0);
	EXPECT_EQ(0, guest_do(&m->vm, 0, GUEST_CHECK, gpa, size, SHARED));
	/* what was private before is there when it is private again */
	ASSERT_OK(vm_set_private(&m->vm, gpa, size));
	expect_stamps(_metadata, m, SEED);
}

/* Without a guest: before it is bound, and when the VM has gone */
TEST_F_TIMEOUT(move, r11_unbound, SLOW)
{
	struct moving *m = &self->m;
	struct guestmem_migrate args;

	ASSERT_OK(vm_unbind(&m->vm, 1));
	EXPECT_OK(migrate(m->fd, 0, m->size, m->node[1], &args));
	expect_counters(_metadata, &args, m->size, 0);
	ASSERT_OK(moving_bind(m));
	EXPECT_EQ(0, area_do(&m->area, 1, GUEST_CHECK, 0));
	ASSERT_EQ(0, moving_stamp(m, SEED));
	/* with data now, and bound again later */
	ASSERT_OK(vm_unbind(&m->vm, 1));
	EXPECT_OK(migrate(m->fd, 0, m->size, m->node[0], &args));
	expect_counters(_metadata, &args, m->size, 0);
	ASSERT_OK(moving_bind(m));
	expect_stamps(_metadata, m, SEED);
	vm_destroy(&m->vm);
	EXPECT_OK(migrate(m->fd, 0, m->size, m->node[1], &args));
	expect_counters(_metadata, &args, m->size, 0);
}

/* R11: who has not agreed keeps his frames. */
TEST_F_TIMEOUT(move, r11_unmovable, SLOW)
{
	struct moving *m = &self->m;
	struct guestmem_migrate args;
	struct frames before;
	int fd;

	/* the one pool of 1G may have nothing left */
	vm_destroy(&m->vm);
	close(m->fd);
	m->fd = -1;
	fd = guest_create(variant->store->flags, m->size);
	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EOPNOTSUPP, migrate(fd, 0, m->size, m->node[1], &args));
	ASSERT_OK(allocate_on(m->node[0]));
	ASSERT_OK(populate(fd, 0, PAGE));
	ASSERT_OK(frames_read(fd, &before));
	ASSERT_EQ(1, before.nr);
	EXPECT_ERRNO(EOPNOTSUPP, migrate(fd, 0, m->size, m->node[1], &args));
	expect_unmoved(_metadata, fd, &before);
	EXPECT_EQ(0, fdinfo_number(fd, "guest_migrated"));
	EXPECT_EQ(0, fdinfo_number(fd, "guest_migrate_failed"));
	frames_free(&before);
	close(fd);
}

/* ---- while the guest works ---- */

static unsigned int any(unsigned int *random, unsigned int below)
{
	*random = *random * 1103515245 + 12345;
	return (*random >> 16) % below;
}

/* A few pages anywhere. Some may be in use just then: nothing is promised. */
static void move_some(struct __test_metadata *_metadata, struct moving *m, int node,
		      unsigned int *random)
{
	unsigned int pages = m->size / PAGE, from = any(random, pages);
	unsigned int nr = 1 + any(random, pages - from);
	struct guestmem_migrate args;

	EXPECT_OK(migrate(m->fd, from * PAGE, nr * PAGE, node, &args));
	EXPECT_GE(nr * PAGE, args.moved + args.failed);
}

/* Has the guest gone on, and how long did it take until it had? In milliseconds */
static long long wait_for_pieces(struct worker worker[2], long pieces)
{
	long long start = milliseconds(), took = 0;

	while (workers_pieces(worker) < pieces && !*worker[0].bad && !*worker[1].bad &&
	       took < PATIENCE) {
		usleep(1000);
		took = milliseconds() - start;
	}
	return took;
}

/*
 * R14: two vCPUs verify and stamp, each its own pieces, in the same folios, while the
 * file goes from node to node. Writes to the old frame, after the copy, would be lost.
 */
TEST_F_TIMEOUT(move, r14_while_the_guest_works, SLOW)
{
	long long moved = 0, failed = 0, start, longest = 0;
	struct moving *m = &self->m;
	struct guestmem_migrate args;
	struct worker worker[2];
	unsigned int random = 7;
	struct race race;
	int round = 0, node;

	ASSERT_EQ(0, moving_stamp(m, SEED));
	ASSERT_EQ(0, workers_start(worker, &m->area, SEED));
	race_start(&race, 500, SECONDS);
	while ((race_next(&race) || round < 2) && !_metadata->exit_code) {
		node = m->node[++round % m->nr_nodes];
		start = milliseconds();
		EXPECT_OK(migrate(m->fd, 0, m->size, node, &args));
		start = milliseconds() - start;
		longest = start > longest ? start : longest;
		EXPECT_EQ(m->size - (long long)args.failed, bytes_on(m->fd, node));
		moved += args.moved;
		failed += args.failed;
		if (!moving_1g(m))
			move_some(_metadata, m, m->node[0], &random);
		EXPECT_GT(PATIENCE, wait_for_pieces(worker, workers_pieces(worker) + 4));
	}
	EXPECT_STREQ("", workers_end(worker));
	/* there and back at least; and what is in use just then is moved at another try */
	EXPECT_LE(2 * m->size, moved);
	EXPECT_GT(moved, failed);
	/* a piece is looked at twice: two moves may come in between, and the scheduler */
	EXPECT_LE(workers_slowest(worker), 2 * longest + SLACK);
	TH_LOG("%d rounds, %lld MB moved, %lld not; at most %lld ms for all, %ld for a piece",
	       round, moved >> 20, failed >> 20, longest,
	       worker[0].slowest > worker[1].slowest ? worker[0].slowest : worker[1].slowest);
}

/* ---- arguments ---- */

FIXTURE(args) {
	int fd;
	int node[MAX_TEST_NODES];
	struct frames before;
};

#define ARGS_SIZE	((off_t)(16 * PAGE))

FIXTURE_SETUP(args)
{
	self->fd = -1;
	if (memory_nodes(self->node) < 2)
		SKIP(return, "needs two nodes");
	ASSERT_OK(allocate_on(self->node[0]));
	self->fd = guest_create(MFD_GUEST_MOVABLE, ARGS_SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(populate(self->fd, 0, ARGS_SIZE));
	ASSERT_OK(frames_read(self->fd, &self->before));
	ASSERT_EQ(ARGS_SIZE / PAGE, self->before.nr);
}

FIXTURE_TEARDOWN(args)
{
	expect_unmoved(_metadata, self->fd, &self->before);
	EXPECT_EQ(0, fdinfo_number(self->fd, "guest_migrated"));
	EXPECT_EQ(0, fdinfo_number(self->fd, "guest_migrate_failed"));
	frames_free(&self->before);
	close(self->fd);
}

/* C15: ranges that are none, and nodes that are none */
TEST_F(args, c15_range_and_node)
{
	static const struct {
		__u64 offset, length;
		__s32 node;
	} bad[] = {
		{ 0, 0, -2 }, { 0, PAGE - 1, -2 }, { 1, PAGE, -2 }, { PAGE / 2, PAGE / 2, -2 },
		{ 0, ARGS_SIZE + PAGE, -2 }, { ARGS_SIZE, PAGE, -2 },
		{ ARGS_SIZE - PAGE, 2 * PAGE, -2 },
		{ -PAGE, 2 * PAGE, -2 }, { PAGE, -PAGE, -2 }, { 1ULL << 63, PAGE, -2 },
		{ 0, 1ULL << 63, -2 }, { 0, -PAGE, -2 },
		{ 0, PAGE, -1 }, { 0, PAGE, 1 << 20 }, { 0, PAGE, 0x7fffffff },
		{ 0, PAGE, -0x7fffffff - 1 }, { 0, PAGE, 60 },
	};
	struct guestmem_migrate args;
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_ERRNO(EINVAL, migrate(self->fd, bad[i].offset, bad[i].length,
					     bad[i].node == -2 ? self->node[1] : bad[i].node,
					     &args))
			TH_LOG("line %u", i);
	}
}

/* R20: sizes, flags, padding */
TEST_F(args, r20_struct)
{
	struct {
		struct guestmem_migrate args;
		__u64 tail[2];
	} a = { };

	a.args = (struct guestmem_migrate) { .length = PAGE, .node = self->node[0] };
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, GUESTMEM_MIGRATE, &a));
	a.args.size = sizeof(a.args) - 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, GUESTMEM_MIGRATE, &a));
	a.args.size = sizeof(a);
	EXPECT_OK(ioctl(self->fd, GUESTMEM_MIGRATE, &a));
	a.tail[1] = 1;
	EXPECT_ERRNO(E2BIG, ioctl(self->fd, GUESTMEM_MIGRATE, &a));
	a.args.size = ~0U;
	EXPECT_ERRNO(E2BIG, ioctl(self->fd, GUESTMEM_MIGRATE, &a));
	a.args.size = sizeof(a.args);
	a.args.flags = 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, GUESTMEM_MIGRATE, &a));
	a.args.flags = 1U << 31;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, GUESTMEM_MIGRATE, &a));
	a.args.flags = 0;
	a.args.reserved = 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, GUESTMEM_MIGRATE, &a));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, GUESTMEM_MIGRATE, NULL));
}

/* C16: the owner's call only; and a file without a size has no range */
TEST_F(args, c16_owner)
{
	struct guestmem_migrate args;
	int fd, ordinary;
	pid_t pid;

	pid = fork();
	if (!pid)
		_exit(ERRNO(migrate(self->fd, 0, PAGE, self->node[1], &args)));
	EXPECT_EQ(EPERM, wait_child(pid));
	fd = guest_create(MFD_GUEST_MOVABLE, 0);
	ordinary = memfd(0);
	EXPECT_ERRNO(EINVAL, migrate(fd, 0, PAGE, self->node[1], &args));
	EXPECT_ERRNO(ENOTTY, migrate(ordinary, 0, PAGE, self->node[1], &args));
	close(fd);
	close(ordinary);
}

/* ---- what cannot be moved ---- */

FIXTURE(fail) {
	struct moving m;
	int soaked, reserved;
	long pool;
};

FIXTURE_VARIANT(fail) {
	const struct store *store;
	off_t size;
};

/* shmem: more than what is left of a full node in pieces of 4K */
FIXTURE_VARIANT_ADD(fail, shmem) { .store = &shmem_store, .size = 48 * SZ_1M };
FIXTURE_VARIANT_ADD(fail, shmem_nohuge) { .store = &small_store, .size = 48 * SZ_1M };
FIXTURE_VARIANT_ADD(fail, hugetlb_2m) { .store = &hugetlb_2m_store, .size = 2 * SZ_2M };
FIXTURE_VARIANT_ADD(fail, hugetlb_1g) { .store = &hugetlb_1g_store, .size = SZ_1G };

/* Pages in the pool of the first node only */
FIXTURE_SETUP(fail)
{
	struct moving *m = &self->m;

	self->soaked = -1;
	self->reserved = -1;
	m->store = variant->store;
	m->size = variant->size;
	m->fd = -1;
	m->vm.fd = -1;
	m->nr_nodes = memory_nodes(m->node);
	if (m->nr_nodes < 2 || node_pools_grow(&m->pools, m->store->granule, m->node[0],
					       m->size / m->store->granule))
		SKIP(return, "needs two nodes, with room for the file on one");
	ASSERT_OK(moving_open(m));
}

FIXTURE_TEARDOWN(fail)
{
	if (self->reserved >= 0)
		close(self->reserved);
	if (self->soaked >= 0)
		node_pool_set(self->soaked, SZ_2M, self->pool);
	moving_close(&self->m);
}

/* All free memory of the node becomes huge pages, which a file reserves. */
static int soak(int node, long *pool)
{
	struct pool_state state;

	*pool = node_pool_get(node, SZ_2M, "nr_hugepages");
	if (node_pool_set(node, SZ_2M, 1 << 20) || pool_read(SZ_2M, &state))
		return -1;
	return guest_create(MFD_HUGETLB | MFD_HUGE_2MB, (state.free - state.rsvd) * SZ_2M);
}

/* R17: the other node has neither memory nor huge pages. */
TEST_F_TIMEOUT(fail, r17_no_memory, SLOW)
{
	struct moving *m = &self->m;
	int node = m->node[m->nr_nodes - 1];
	struct guestmem_migrate args;
	struct frames before, after;
	char sizes[96];

	ASSERT_EQ(0, moving_stamp(m, SEED));
	if (!moving_1g(m)) {
		self->soaked = node;
		self->reserved = soak(node, &self->pool);
		ASSERT_LE(0, self->reserved);
	}
	snprintf(sizes, sizeof(sizes), "%s", held(m->fd));
	ASSERT_OK(frames_read(m->fd, &before));
	EXPECT_OK(migrate(m->fd, 0, m->size, node, &args));
	ASSERT_OK(frames_read(m->fd, &after));
	EXPECT_EQ(m->size, args.moved + args.failed);
	EXPECT_LT(0, args.failed);
	EXPECT_EQ(args.moved, frames_bytes(&after, node));
	/* a folio of shmem may have been split, to move at least some pages of it */
	if (variant->store != &shmem_store) {
		EXPECT_EQ(args.moved / variant->store->huge, frames_moved(&before, &after));
		EXPECT_STREQ(sizes, held(m->fd));
	}
	EXPECT_EQ(m->size / (long)PAGE, file_pages(m->fd));
	frames_free(&before);
	frames_free(&after);
	expect_stamps(_metadata, m, SEED);
}

/* ---- signals ---- */

FIXTURE(interrupted) {
	struct moving m;
};

FIXTURE_SETUP(interrupted)
{
	/* many folios, so that there is a point in between */
	if (!moving_fill_pools(&self->m, &small_store, 48 * SZ_1M))
		SKIP(return, "needs two nodes");
	ASSERT_OK(moving_open(&self->m));
}

FIXTURE_TEARDOWN(interrupted)
{
	moving_close(&self->m);
}

static void nothing(int signal)
{
}

static void timer(int microseconds)
{
	struct itimerval timer = { .it_value.tv_usec = microseconds };

	setitimer(ITIMER_REAL, &timer, NULL);
}

/* What has moved until a signal comes has moved, and is counted. */
TEST_F_TIMEOUT(interrupted, eintr, SLOW)
{
	struct sigaction action = { .sa_handler = nothing };
	struct moving *m = &self->m;
	struct guestmem_migrate args;
	int try, err = 0;

	ASSERT_EQ(0, moving_stamp(m, SEED));
	ASSERT_OK(sigaction(SIGALRM, &action, NULL));
	for (try = 0; try < 20 && err != EINTR; try++) {
		timer(20000);
		err = ERRNO(migrate(m->fd, 0, m->size, m->node[1], &args));
		timer(0);
		if (err == EINTR)
			break;
		ASSERT_EQ(0, err);
		ASSERT_OK(migrate(m->fd, 0, m->size, m->node[0], &args));
	}
	EXPECT_EQ(EINTR, err);
	EXPECT_GT(m->size, args.moved + args.failed);
	EXPECT_EQ(args.moved, bytes_on(m->fd, m->node[1]));
	expect_stamps(_metadata, m, SEED);
	/* and the next call takes the rest */
	EXPECT_OK(migrate(m->fd, 0, m->size, m->node[1], &args));
	EXPECT_EQ(m->size, bytes_on(m->fd, m->node[1]));
	expect_stamps(_metadata, m, SEED);
}

FIXTURE(inject) {
	struct moving m;
};

FIXTURE_VARIANT(inject) {
	const struct store *store;
	off_t size;
};

FIXTURE_VARIANT_ADD(inject, shmem) { .store = &shmem_store, .size = 2 * SZ_2M };
FIXTURE_VARIANT_ADD(inject, shmem_nohuge) { .store = &small_store, .size = 16 * PAGE };
FIXTURE_VARIANT_ADD(inject, hugetlb_2m) { .store = &hugetlb_2m_store, .size = 2 * SZ_2M };

FIXTURE_SETUP(inject)
{
	if (fail_nth_setup())
		SKIP(return, "no fault injection");
	if (!moving_fill_pools(&self->m, variant->store, variant->size))
		SKIP(return, "needs two nodes with room for the file on each");
	ASSERT_OK(moving_open(&self->m));
}

FIXTURE_TEARDOWN(inject)
{
	moving_close(&self->m);
}

/*
 * A call that failed, or has not moved all: each folio is where it was, or where it has
 * to be, and the counters say how many are which. Arguments may be unreadable, too:
 * before, and then nothing has happened, or after.
 */
static void expect_consistent(struct __test_metadata *_metadata, struct moving *m, int err,
			      const struct guestmem_migrate *args)
{
	long long there = bytes_on(m->fd, m->node[1]);

	EXPECT_EQ(m->size - there, bytes_on(m->fd, m->node[0]));
	if (!err) {
		EXPECT_EQ(there, (long long)args->moved);
		EXPECT_EQ(m->size - there, (long long)args->failed);
	} else if (err == EFAULT) {
		EXPECT_TRUE(there == 0 || there == m->size);
	} else {
		EXPECT_EQ(ENOMEM, err);
		EXPECT_EQ(0, there);
	}
}

/* R17: every allocation of a move, failed one after the other */
TEST_F_TIMEOUT(inject, r17_every_point, SLOW)
{
	unsigned int nth, failures = 0, partial = 0;
	struct moving *m = &self->m;
	struct guestmem_migrate args;
	bool hit = true;
	char sizes[96];
	int err;

	ASSERT_EQ(0, moving_stamp(m, SEED));
	ASSERT_OK(allocate_on(m->node[0]));
	snprintf(sizes, sizeof(sizes), "%s", held(m->fd));
	for (nth = 1; hit && nth < 1000 && !_metadata->exit_code; nth++) {
		ASSERT_OK(fail_nth_arm(nth));
		err = ERRNO(migrate(m->fd, 0, m->size, m->node[1], &args));
		hit = fail_nth_disarm();
		EXPECT_TRUE(hit || (!err && !args.failed))
			TH_LOG("point %u: errno %d", nth, err);
		failures += !!err;
		partial += !err && args.failed;
		expect_consistent(_metadata, m, err, &args);
		expect_stamps(_metadata, m, SEED + nth - 1);
		ASSERT_EQ(0, moving_stamp(m, SEED + nth));
		ASSERT_OK(migrate(m->fd, 0, m->size, m->node[0], &args));
		/* a folio of shmem may have been split for want of a huge page: merge it */
		if (variant->store == &shmem_store)
			ASSERT_OK(populate(m->fd, 0, m->size));
		EXPECT_STREQ(sizes, held(m->fd));
		ASSERT_EQ(m->size, bytes_on(m->fd, m->node[0]));
		expect_stamps(_metadata, m, SEED + nth);
	}
	EXPECT_FALSE(hit);
	TH_LOG("%u points: %u errors, %u moves of a part", nth - 1, failures, partial);
	/* the arguments, twice; what fails inside is tried again, as often as not in full */
	EXPECT_LE(2, failures);
}

/* R17: no page at all to move to, but for those in pools */
TEST_F_TIMEOUT(inject, r17_no_page, SLOW)
{
	struct moving *m = &self->m;
	struct guestmem_migrate args;
	struct frames before, after;
	int err;

	ASSERT_EQ(0, moving_stamp(m, SEED));
	ASSERT_OK(frames_read(m->fd, &before));
	ASSERT_OK(mlockall(MCL_CURRENT));
	ASSERT_OK(fail_pages_start("0"));
	err = ERRNO(migrate(m->fd, 0, m->size, m->node[1], &args));
	fail_huge_stop();
	EXPECT_EQ(0, err);
	expect_counters(_metadata, &args, is_hugetlb(variant->store) ? m->size : 0,
			is_hugetlb(variant->store) ? 0 : m->size);
	ASSERT_OK(frames_read(m->fd, &after));
	EXPECT_EQ(is_hugetlb(variant->store) ? before.nr : 0, frames_moved(&before, &after));
	EXPECT_EQ(m->size - (long long)args.moved, frames_bytes(&after, m->node[0]));
	frames_free(&before);
	frames_free(&after);
	expect_stamps(_metadata, m, SEED);
	/* and when there are pages again */
	EXPECT_OK(migrate(m->fd, 0, m->size, m->node[1], &args));
	EXPECT_EQ(m->size, bytes_on(m->fd, m->node[1]));
	expect_stamps(_metadata, m, SEED);
}

/* No page of 2M: it is moved in pieces of 4K. */
TEST_F_TIMEOUT(inject, r17_no_huge_page, SLOW)
{
	struct moving *m = &self->m;
	struct guestmem_migrate args;
	int err;

	ASSERT_EQ(0, moving_stamp(m, SEED));
	ASSERT_OK(fail_huge_start());
	err = ERRNO(migrate(m->fd, 0, m->size, m->node[1], &args));
	fail_huge_stop();
	EXPECT_EQ(0, err);
	expect_counters(_metadata, &args, m->size, 0);
	EXPECT_EQ(m->size, bytes_on(m->fd, m->node[1]));
	if (!is_hugetlb(variant->store))
		EXPECT_STREQ(counts(m->size / PAGE, 0, 0), held(m->fd));
	expect_stamps(_metadata, m, SEED);
}

TEST_HARNESS_MAIN
