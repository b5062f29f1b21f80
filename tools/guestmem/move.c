// SPDX-License-Identifier: GPL-2.0
/*
 * --movable: the guest's memory is moved to another NUMA node and back, over and over,
 * for as long as the guest runs.
 *
 * A *move* is what an operator does to empty a node: the policy of the file says where
 * new pages come from, then GUESTMEM_MIGRATE fetches the present ones.  The guest goes on
 * with all it does meanwhile.  A folio that it needs in the very moment may stay behind,
 * and is tried again.  Whether its data are whole is for the guest to say; where they
 * are, is asked here after each move.
 *
 * When the vCPUs have ended there is one more move: now nothing is in its way, and all
 * of the file must have moved, in folios of the same sizes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <linux/mempolicy.h>

#include "vmm.h"

#define TRIES		100
#define TRY_PAUSE	10000000L

/*
 * The guest has this long to itself after a move; when there and back are done, as long
 * as the move took on top.
 */
#define WORK_MSECS	200
#define MASK_BITS	(8 * sizeof(unsigned long))
#define MASK_WORDS	((MAX_NODES + MASK_BITS - 1) / MASK_BITS)

/**
 * struct mover - the thread that moves memory
 * @vm: whose memory
 * @node: between these two
 * @thread: itself, which alone changes @target and what is behind @stop
 * @lock: held during a move
 * @ended: signalled, with @lock held, when @stop is set
 * @stop: the vCPUs have ended
 * @target: index in @node of where memory is, or is on its way to
 * @moves: how many were made
 * @moved: bytes
 * @longest: seconds
 */
struct mover {
	struct vm *vm;
	unsigned int node[2];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool stop;
	unsigned int target;
	unsigned int moves;
	__u64 moved;
	double longest;
};

/* --- one move ----------------------------------------------------------- */

/* Pages that are new from now on come from @node. */
static void set_policy(const struct memory *mem, unsigned int node)
{
	unsigned long mask[MASK_WORDS] = {};
	struct guestmem_mempolicy policy = {
		.size = sizeof(policy),
		.length = mem->size,
		.mode = MPOL_BIND,
		.maxnode = MASK_WORDS * MASK_BITS,
		.nodemask = (unsigned long)mask,
	};

	mask[node / MASK_BITS] = 1UL << node % MASK_BITS;
	if (ioctl(mem->fd, GUESTMEM_SET_MEMPOLICY, &policy))
		die(STATUS_FAILED, "GUESTMEM_SET_MEMPOLICY to node %u: %s", node,
		    strerror(errno));
}

static struct guestmem_migrate migrate(const struct memory *mem, unsigned int node)
{
	struct guestmem_migrate range = {
		.size = sizeof(range),
		.length = mem->size,
		.node = node,
	};

	if (ioctl(mem->fd, GUESTMEM_MIGRATE, &range))
		die(STATUS_FAILED, "GUESTMEM_MIGRATE to node %u: %s", node, strerror(errno));
	return range;
}

static __u64 left_elsewhere(const struct memory *mem, unsigned int node)
{
	struct node_use use;
	__u64 held = nodes_by_info(mem, &use);

	return held - use.bytes[node];
}

/*
 * Until nothing is elsewhere: neither what is in use, nor what a fault that began under
 * the old policy brings.  The last try's @failed, the @moved of all of them.
 */
static struct guestmem_migrate migrate_all(const struct memory *mem, unsigned int node)
{
	const struct timespec pause = { .tv_nsec = TRY_PAUSE };
	struct guestmem_migrate range;
	unsigned int try;
	__u64 moved = 0;

	set_policy(mem, node);
	for (try = 0; try < TRIES; try++) {
		range = migrate(mem, node);
		moved += range.moved;
		if (!range.failed && !left_elsewhere(mem, node))
			break;
		nanosleep(&pause, NULL);
	}
	range.moved = moved;
	return range;
}

/* --- showing it --------------------------------------------------------- */

static void print_use(const struct mover *mover, const char *when)
{
	char first[24], second[24], total[24];
	struct node_use use;
	__u64 held = nodes_by_info(&mover->vm->mem, &use);

	flockfile(stdout);
	printf("vmm: %s: %s of private memory, node %u has %s, node %u has %s\n", when,
	       size_text(total, sizeof(total), held), mover->node[0],
	       size_text(first, sizeof(first), use.bytes[mover->node[0]]), mover->node[1],
	       size_text(second, sizeof(second), use.bytes[mover->node[1]]));
	if (mover->vm->opt->map)
		map_print_nodes(mover->vm);
	funlockfile(stdout);
}

static void print_move(const struct guestmem_migrate *range, double seconds, __u64 conversions)
{
	char moved[24], failed[24];

	printf("vmm: to node %d in %.0f ms: moved %s, failed %s; %llu conversions meanwhile\n",
	       range->node, seconds * 1000, size_text(moved, sizeof(moved), range->moved),
	       size_text(failed, sizeof(failed), range->failed), conversions);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static __u64 conversions(struct vm *vm)
{
	return __atomic_load_n(&vm->mem.conversions, __ATOMIC_RELAXED);
}

/* --- while the guest runs ----------------------------------------------- */

/* What the policy and the call together promise. */
static void check_placed(const struct mover *mover, const struct guestmem_migrate *range)
{
	struct node_use use;
	__u64 held = nodes_by_info(&mover->vm->mem, &use);
	char name[48];

	snprintf(name, sizeof(name), "moved to node %d: bytes elsewhere", range->node);
	check_count(SECTION_MOVE, name, "elsewhere", held, held - use.bytes[range->node]);
	snprintf(name, sizeof(name), "moved to node %d: bytes that failed", range->node);
	check_count(SECTION_MOVE, name, "failed", range->moved + range->failed, range->failed);
}

static bool been_there_and_back(const struct mover *mover)
{
	return mover->moves >= ARRAY_SIZE(mover->node);
}

/* Returns for how long the guest shall have its peace.  Later moves are shown on demand. */
static __u64 move_once(struct mover *mover)
{
	const struct options *opt = mover->vm->opt;
	bool show = opt->verbose || (!opt->quiet && !been_there_and_back(mover));
	__u64 before = conversions(mover->vm);
	struct guestmem_migrate range;
	double seconds = now();

	mover->target = !mover->target;
	range = migrate_all(&mover->vm->mem, mover->node[mover->target]);
	seconds = now() - seconds;
	check_placed(mover, &range);
	mover->moves++;
	mover->moved += range.moved;
	if (seconds > mover->longest)
		mover->longest = seconds;

	if (show) {
		print_move(&range, seconds, conversions(mover->vm) - before);
		print_use(mover, mover->target ? "there" : "back");
	}
	return WORK_MSECS + (been_there_and_back(mover) ? seconds * 1000 : 0);
}

/* Called with @lock held, which is dropped.  Returns false if the vCPUs have ended. */
static bool let_work(struct mover *mover, __u64 msecs)
{
	struct timespec t;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += msecs % 1000 * 1000000;
	t.tv_sec += msecs / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	while (!mover->stop && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&mover->ended, &mover->lock, &t);
	return !mover->stop;
}

/* Until the guest has got memory, and then no more of it for a while. */
static bool let_start(struct mover *mover)
{
	__u64 held = 0, last;
	struct node_use use;

	do {
		if (!let_work(mover, WORK_MSECS))
			return false;
		last = held;
		held = nodes_by_info(&mover->vm->mem, &use);
	} while (!held || held > last);
	return true;
}

static void *mover_thread(void *data)
{
	struct mover *mover = data;

	pthread_mutex_lock(&mover->lock);
	if (let_start(mover)) {
		if (!mover->vm->opt->quiet)
			print_use(mover, "before the first move");
		while (let_work(mover, move_once(mover)))
			;
	}
	pthread_mutex_unlock(&mover->lock);
	return NULL;
}

/* --- start and end ------------------------------------------------------ */

static void announce(const struct mover *mover)
{
	unsigned int from = mover->node[0], to = mover->node[1];

	if (!mover->vm->opt->quiet)
		printf("vmm: the guest is moved from node %u to node %u, distance %u, and back\n",
		       from, to, nodes_distance(from, to));
}

/* A file whose owner has not said so is not moved, by the owner either. */
static void check_unmovable(struct vm *vm)
{
	struct guestmem_migrate range = { .size = sizeof(range), .length = vm->mem.size };
	unsigned int node = 0;

	nodes_with_memory(&node, 1);
	range.node = node;
	check_errno(SECTION_MOVE, "moving a file that is not movable", EOPNOTSUPP,
		    ioctl(vm->mem.fd, GUESTMEM_MIGRATE, &range) ? errno : 0);
}

/* Before the vCPUs run.  On a machine with one node vm->mover stays NULL. */
void move_start(struct vm *vm)
{
	static struct mover mover;
	int err;

	if (!vm->opt->movable) {
		check_unmovable(vm);
		return;
	}
	if (nodes_with_memory(mover.node, 2) < 2) {
		puts("vmm: only one NUMA node has memory here: --movable moves nothing");
		return;
	}
	pool_check_node(vm, mover.node[0]);
	pool_check_node(vm, mover.node[1]);
	mover.vm = vm;
	vm->mover = &mover;
	announce(&mover);
	set_policy(&vm->mem, mover.node[0]);
	pthread_mutex_init(&mover.lock, NULL);
	pthread_cond_init(&mover.ended, NULL);
	err = pthread_create(&mover.thread, NULL, mover_thread, &mover);
	if (err)
		die(STATUS_ENVIRONMENT, "thread to move memory: %s", strerror(err));
}

/* No move is under way between these two: whoever counts huge pages wants that. */
void move_pause(struct vm *vm)
{
	if (vm->mover)
		pthread_mutex_lock(&vm->mover->lock);
}

void move_resume(struct vm *vm)
{
	if (vm->mover)
		pthread_mutex_unlock(&vm->mover->lock);
}

/* When the vCPUs have ended. */
void move_end(struct vm *vm)
{
	struct mover *mover = vm->mover;
	char size[24];

	if (!mover)
		return;
	pthread_mutex_lock(&mover->lock);
	mover->stop = true;
	pthread_cond_signal(&mover->ended);
	pthread_mutex_unlock(&mover->lock);
	pthread_join(mover->thread, NULL);
	if (vm->opt->quiet)
		return;
	printf("vmm: %u moves of %s in total, the longest took %.0f ms\n", mover->moves,
	       size_text(size, sizeof(size), mover->moved), mover->longest * 1000);
	printf("vmm: by fdinfo %llu folios were moved, and %llu attempts failed\n",
	       held_fdinfo(&vm->mem, "guest_migrated"),
	       held_fdinfo(&vm->mem, "guest_migrate_failed"));
}

/* --- when the vCPUs have ended ------------------------------------------ */

/* Everybody who reports what is on a node tells the same. */
static void check_reports(struct vm *vm, unsigned int node)
{
	static const char *const name = "bytes on the node (3 reports)";
	struct node_use use;
	__u64 held = nodes_by_info(&vm->mem, &use);

	check_value(SECTION_MOVE, name, "GUESTMEM_GET_INFO", UNIT_BYTES, held, use.bytes[node]);
	nodes_by_fdinfo(&vm->mem, &use);
	check_value(SECTION_MOVE, name, "fdinfo", UNIT_BYTES, held, use.bytes[node]);
	if (nodes_by_folios(vm, &use))
		check_value(SECTION_MOVE, name, "debugfs", UNIT_BYTES, held, use.bytes[node]);
}

static void check_sizes(const struct guestmem_info *before, const struct guestmem_info *after)
{
	check_value(SECTION_MOVE, "folios of 4K, before and after", NULL, UNIT_COUNT,
		    before->pages_4k, after->pages_4k);
	check_value(SECTION_MOVE, "folios of 2M, before and after", NULL, UNIT_COUNT,
		    before->pages_2m, after->pages_2m);
	check_value(SECTION_MOVE, "folios of 1G, before and after", NULL, UNIT_COUNT,
		    before->pages_1g, after->pages_1g);
}

/* All of the file, in one call and without a second try; then there is nothing to move. */
void move_check(struct vm *vm)
{
	struct mover *mover = vm->mover;
	struct guestmem_info before = held_info(&vm->mem), after;
	struct guestmem_migrate range;
	unsigned int node;
	__u64 held;

	if (!mover)
		return;
	if (vm->reported == vm->opt->vcpus)
		check_range(SECTION_MOVE, "moves while the guest ran", NULL, UNIT_COUNT,
			    ARRAY_SIZE(mover->node), NO_LIMIT, mover->moves);
	mover->target = !mover->target;
	node = mover->node[mover->target];
	held = held_bytes(&before);
	range = migrate(&vm->mem, node);
	check_value(SECTION_MOVE, "guest at rest, moved", NULL, UNIT_BYTES, held, range.moved);
	check_value(SECTION_MOVE, "guest at rest, failed", NULL, UNIT_BYTES, 0, range.failed);
	after = held_info(&vm->mem);
	check_sizes(&before, &after);
	check_reports(vm, node);
	range = migrate(&vm->mem, node);
	check_value(SECTION_MOVE, "guest at rest, moved once more", NULL, UNIT_BYTES, 0,
		    range.moved + range.failed);
}
