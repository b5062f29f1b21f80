// SPDX-License-Identifier: GPL-2.0
/*
 * What GUESTMEM_SET_MEMPOLICY refuses, with which errno, and that nothing has changed
 * then (R16, R20, C15, C16); and GUESTMEM_GET_INFO with GUESTMEM_INFO_NODES, which has the
 * bytes on each node (R15, R20).
 */
#include "guestmem_numa.h"
#include "../kselftest_harness.h"

FIXTURE(refused) {
	struct site site;
	struct guestmem_mempolicy good;
	unsigned long mask;
};

FIXTURE_VARIANT(refused) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(refused, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(refused, hugetlb_2m) { .store = &hugetlb_2m_store };

/* There is a policy; the good one, for another node, is not set yet. */
FIXTURE_SETUP(refused)
{
	const char *lack = site_lacks(variant->store);
	struct site *s = &self->site;

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_OK(site_open(s, variant->store, MFD_GUEST_MOVABLE, 0));
	ASSERT_OK(unit_policy(s, 0, s->nr, MPOL_BIND, NODE(s->node[0])));
	self->mask = NODE(s->node[1]);
	self->good = (struct guestmem_mempolicy) {
		.size = sizeof(self->good),
		.length = s->nr * s->unit,
		.mode = MPOL_BIND,
		.maxnode = 8 * sizeof(self->mask),
		.nodemask = (uintptr_t)&self->mask,
	};
}

/* What was refused has changed nothing; and what is good is, with one bit less wrong. */
FIXTURE_TEARDOWN(refused)
{
	struct site *s = &self->site;

	EXPECT_EQ(0, touch_units(s, BY_FALLOCATE, 0, s->nr));
	want(s, 0, s->nr, s->node[0]);
	EXPECT_PLACED(s);
	EXPECT_OK(ioctl(s->fd, GUESTMEM_SET_MEMPOLICY, &self->good));
	EXPECT_OK(site_empty(s));
	EXPECT_EQ(0, touch(s, BY_FALLOCATE, 0));
	want(s, 0, 1, s->node[1]);
	EXPECT_PLACED(s);
	site_close(s);
}

/* errno for the good one with another range */
static int range_errno(FIXTURE_DATA(refused) * self, __u64 offset, __u64 length)
{
	struct guestmem_mempolicy args = self->good;

	args.offset = offset;
	args.length = length;
	return ERRNO(ioctl(self->site.fd, GUESTMEM_SET_MEMPOLICY, &args));
}

TEST_F(refused, c15_range)
{
	__u64 granule = self->site.store->granule, size = self->good.length, far = 1ULL << 63;

	EXPECT_EQ(EINVAL, range_errno(self, 0, 0));
	EXPECT_EQ(EINVAL, range_errno(self, 0, 1));
	EXPECT_EQ(EINVAL, range_errno(self, 0, granule - 1));
	EXPECT_EQ(EINVAL, range_errno(self, 0, granule + granule / 2));
	EXPECT_EQ(EINVAL, range_errno(self, 1, granule));
	EXPECT_EQ(EINVAL, range_errno(self, granule / 2, granule));
	/* beyond the end */
	EXPECT_EQ(EINVAL, range_errno(self, 0, size + granule));
	EXPECT_EQ(EINVAL, range_errno(self, granule, size));
	EXPECT_EQ(EINVAL, range_errno(self, size, granule));
	EXPECT_EQ(EINVAL, range_errno(self, size, 0));
	EXPECT_EQ(EINVAL, range_errno(self, 0, far));
	EXPECT_EQ(EINVAL, range_errno(self, far, granule));
	EXPECT_EQ(EINVAL, range_errno(self, far, far));
	/* wraps, of which some end inside of the file */
	EXPECT_EQ(EINVAL, range_errno(self, 0, ~0ULL));
	EXPECT_EQ(EINVAL, range_errno(self, 0, -granule));
	EXPECT_EQ(EINVAL, range_errno(self, -granule, granule));
	EXPECT_EQ(EINVAL, range_errno(self, -granule, 2 * granule));
	EXPECT_EQ(EINVAL, range_errno(self, granule, -granule));
	EXPECT_EQ(EINVAL, range_errno(self, 2 * granule, -granule));
}

/* A file that has no size yet has no range. */
TEST_F(refused, c15_no_size)
{
	int fd = memfd(MFD_GUEST);

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EINVAL, ioctl(fd, GUESTMEM_SET_MEMPOLICY, &self->good));
	close(fd);
}

TEST_F(refused, r20_flags)
{
	struct guestmem_mempolicy args = self->good;
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		args.flags = 1U << bit;
		if (args.flags == GUESTMEM_MEMPOLICY_MOVE)
			continue;
		EXPECT_ERRNO(EINVAL, ioctl(self->site.fd, GUESTMEM_SET_MEMPOLICY, &args));
		args.flags |= GUESTMEM_MEMPOLICY_MOVE;
		EXPECT_ERRNO(EINVAL, ioctl(self->site.fd, GUESTMEM_SET_MEMPOLICY, &args));
	}
}

TEST_F(refused, r20_size)
{
	static struct {
		struct guestmem_mempolicy args;
		char tail[2 * PAGE];
	} larger;
	int fd = self->site.fd;
	unsigned int i;

	larger.args = self->good;
	for (i = 0; i < sizeof(self->good); i++) {
		larger.args.size = i;
		EXPECT_ERRNO(EINVAL, ioctl(fd, GUESTMEM_SET_MEMPOLICY, &larger));
	}
	larger.args.size = sizeof(larger.args) + 8;
	for (i = 0; i < 8; i++) {
		larger.tail[i] = 1;
		EXPECT_ERRNO(E2BIG, ioctl(fd, GUESTMEM_SET_MEMPOLICY, &larger));
		larger.tail[i] = 0;
	}
	/* more than a page can be no struct */
	larger.args.size = sizeof(larger);
	EXPECT_ERRNO(E2BIG, ioctl(fd, GUESTMEM_SET_MEMPOLICY, &larger));
	larger.args.size = ~0U;
	EXPECT_ERRNO(E2BIG, ioctl(fd, GUESTMEM_SET_MEMPOLICY, &larger));
}

/* From a program that is newer, and asks for nothing new */
TEST_F(refused, r20_zero_tail)
{
	struct {
		struct guestmem_mempolicy args;
		__u64 tail[4];
	} larger = { .args = self->good };
	struct site *s = &self->site;

	larger.args.size = sizeof(larger);
	ASSERT_OK(ioctl(s->fd, GUESTMEM_SET_MEMPOLICY, &larger));
	EXPECT_EQ(0, touch(s, BY_FALLOCATE, 0));
	want(s, 0, 1, s->node[1]);
	EXPECT_PLACED(s);
	EXPECT_OK(site_empty(s));
	EXPECT_OK(unit_policy(s, 0, s->nr, MPOL_BIND, NODE(s->node[0])));
}

TEST_F(refused, r20_bad_pointers)
{
	char *pages = shared_alloc(2 * PAGE);
	__u32 size = sizeof(self->good);
	int fd = self->site.fd;

	ASSERT_NE(MAP_FAILED, (void *)pages);
	ASSERT_OK(mprotect(pages + PAGE, PAGE, PROT_NONE));
	EXPECT_ERRNO(EFAULT, ioctl(fd, GUESTMEM_SET_MEMPOLICY, NULL));
	EXPECT_ERRNO(EFAULT, ioctl(fd, GUESTMEM_SET_MEMPOLICY, pages + PAGE));
	/* The size can be read, the rest cannot. */
	memcpy(pages + PAGE - sizeof(size), &size, sizeof(size));
	EXPECT_ERRNO(EFAULT, ioctl(fd, GUESTMEM_SET_MEMPOLICY, pages + PAGE - sizeof(size)));
	munmap(pages, 2 * PAGE);
}

TEST_F(refused, c16_child)
{
	struct guestmem_mempolicy args = self->good;
	int fd = self->site.fd;
	pid_t pid = fork();

	if (!pid) {
		if (ERRNO(ioctl(fd, GUESTMEM_SET_MEMPOLICY, &args)) != EPERM)
			_exit(1);
		args.flags = GUESTMEM_MEMPOLICY_MOVE;
		_exit(ERRNO(ioctl(fd, GUESTMEM_SET_MEMPOLICY, &args)) != EPERM);
	}
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(refused, ordinary_memfd)
{
	int fd = memfd(0);

	ASSERT_LE(0, fd);
	ASSERT_OK(ftruncate(fd, self->good.length));
	EXPECT_ERRNO(ENOTTY, ioctl(fd, GUESTMEM_SET_MEMPOLICY, &self->good));
	close(fd);
}

/* ---- modes and masks: what set_mempolicy(2) says ---- */

/* A node that is not there */
#define ABSENT	60
/* The most bits that a mask may have */
#define WIDE	(8 * PAGE)

/**
 * enum mask - where the nodes are
 * @NO_MASK: nowhere
 * @EMPTY: no bit is set
 * @ONE: the second node
 * @NOBODY: a node that is not there
 * @ONE_AND_NOBODY: that, and the second node
 * @WIDE_ONE: the second node, in as much as a mask may be
 * @WIDE_FAR: and the last bit of it, which no kernel has a node for
 * @UNREADABLE: not to be read
 * @NR_MASKS: how many there are
 */
enum mask {
	NO_MASK, EMPTY, ONE, NOBODY, ONE_AND_NOBODY, WIDE_ONE, WIDE_FAR, UNREADABLE, NR_MASKS
};

/**
 * struct mode_case - a policy as set_mempolicy(2) and the ioctl get it
 * @name: for messages
 * @err: what they say
 * @mode: with flags
 * @maxnode: bits, and one more, as the system call wants it
 * @mask: where
 */
struct mode_case {
	const char *name;
	int err;
	__u32 mode;
	__u32 maxnode;
	enum mask mask;
};

static const struct mode_case mode_cases[] = {
	{ "default", 0, MPOL_DEFAULT, 65, EMPTY },
	{ "default, no mask", 0, MPOL_DEFAULT, 0, NO_MASK },
	{ "default with a node", EINVAL, MPOL_DEFAULT, 65, ONE },
	{ "bind", 0, MPOL_BIND, 65, ONE },
	{ "bind, fewer bits", 0, MPOL_BIND, 9, ONE },
	{ "bind, no node", EINVAL, MPOL_BIND, 65, EMPTY },
	{ "bind, no mask", EINVAL, MPOL_BIND, 65, NO_MASK },
	{ "bind, nothing", EINVAL, MPOL_BIND, 0, NO_MASK },
	{ "bind, -1 bits", EINVAL, MPOL_BIND, 0, ONE },
	{ "bind, no bits", EINVAL, MPOL_BIND, 1, ONE },
	{ "bind, absent node", EINVAL, MPOL_BIND, 65, NOBODY },
	{ "bind, one of two absent", 0, MPOL_BIND, 65, ONE_AND_NOBODY },
	{ "bind, more bits than are readable", EFAULT, MPOL_BIND, 66, ONE },
	{ "bind, unreadable", EFAULT, MPOL_BIND, 65, UNREADABLE },
	{ "bind, wide mask", 0, MPOL_BIND, WIDE + 1, WIDE_ONE },
	{ "bind, impossible node", EINVAL, MPOL_BIND, WIDE + 1, WIDE_FAR },
	{ "bind, too wide a mask", EINVAL, MPOL_BIND, WIDE + 2, WIDE_ONE },
	{ "bind, all bits", EINVAL, MPOL_BIND, ~0U, WIDE_ONE },
	{ "bind, static", 0, MPOL_BIND | MPOL_F_STATIC_NODES, 65, ONE },
	{ "bind, relative", 0, MPOL_BIND | MPOL_F_RELATIVE_NODES, 65, ONE },
	{ "bind, static and relative", EINVAL,
	  MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, 65, ONE },
	{ "bind, balancing", 0, MPOL_BIND | MPOL_F_NUMA_BALANCING, 65, ONE },
	{ "bind, unknown flag", EINVAL, MPOL_BIND | 1U << 12, 65, ONE },
	{ "bind, highest bit", EINVAL, MPOL_BIND | 1U << 31, 65, ONE },
	{ "interleave", 0, MPOL_INTERLEAVE, 65, ONE },
	{ "interleave, no node", EINVAL, MPOL_INTERLEAVE, 65, EMPTY },
	{ "interleave, balancing", EINVAL, MPOL_INTERLEAVE | MPOL_F_NUMA_BALANCING, 65, ONE },
	{ "preferred", 0, MPOL_PREFERRED, 65, ONE },
	{ "preferred, no node", 0, MPOL_PREFERRED, 65, EMPTY },
	{ "preferred, no node, static", EINVAL, MPOL_PREFERRED | MPOL_F_STATIC_NODES, 65, EMPTY },
	{ "many", 0, MPOL_PREFERRED_MANY, 65, ONE },
	{ "many, no node", EINVAL, MPOL_PREFERRED_MANY, 65, EMPTY },
	{ "weighted", 0, MPOL_WEIGHTED_INTERLEAVE, 65, ONE },
	{ "weighted, no node", EINVAL, MPOL_WEIGHTED_INTERLEAVE, 65, EMPTY },
	{ "local", 0, MPOL_LOCAL, 0, NO_MASK },
	{ "local with a node", EINVAL, MPOL_LOCAL, 65, ONE },
	{ "local, static", EINVAL, MPOL_LOCAL | MPOL_F_STATIC_NODES, 0, NO_MASK },
	{ "no such mode", EINVAL, MPOL_MAX, 65, ONE },
	{ "no mode at all", EINVAL, ~0U, 65, ONE },
};

/* Each ends where a page ends, and the next cannot be read. */
static int make_masks(unsigned long *mask[NR_MASKS], int node)
{
	const unsigned long words = WIDE / 8 / sizeof(long);
	char *pages;
	int i;

	for (i = EMPTY; i < NR_MASKS; i++) {
		pages = shared_alloc(2 * PAGE);
		if ((void *)pages == MAP_FAILED || mprotect(pages + PAGE, PAGE, PROT_NONE))
			return -1;
		mask[i] = (unsigned long *)(pages + PAGE) - 1;
	}
	*mask[ONE] = NODE(node);
	*mask[NOBODY] = NODE(ABSENT);
	*mask[ONE_AND_NOBODY] = NODE(node) | NODE(ABSENT);
	*mask[WIDE_FAR] = 1UL << 63;
	mask[WIDE_ONE] -= words - 1;
	mask[WIDE_FAR] -= words - 1;
	*mask[WIDE_ONE] = NODE(node);
	*mask[WIDE_FAR] = NODE(node);
	mask[UNREADABLE]++;
	return 0;
}

/* R16, R20: the two accept and refuse the same, for the same reason. */
TEST_F(refused, r16_modes)
{
	struct guestmem_mempolicy args = self->good;
	unsigned long *mask[NR_MASKS] = { };
	const struct mode_case *c;
	struct site *s = &self->site;

	ASSERT_OK(make_masks(mask, s->node[1]));
	for (c = mode_cases; c < mode_cases + ARRAY_SIZE(mode_cases); c++) {
		args.mode = c->mode;
		args.maxnode = c->maxnode;
		args.nodemask = (uintptr_t)mask[c->mask];
		EXPECT_ERRNO(c->err, ioctl(s->fd, GUESTMEM_SET_MEMPOLICY, &args))
			TH_LOG("%s", c->name);
		EXPECT_ERRNO(c->err, syscall(SYS_set_mempolicy, (int)c->mode, mask[c->mask],
					     (unsigned long)c->maxnode))
			TH_LOG("set_mempolicy: %s", c->name);
		/* after one that is refused, that of the fixture is still there: see its end */
		if (!c->err)
			ASSERT_OK(unit_policy(s, 0, s->nr, MPOL_BIND, NODE(s->node[0])));
	}
	ASSERT_OK(task_policy(MPOL_DEFAULT, 0));
}

/* ---- GUESTMEM_GET_INFO with GUESTMEM_INFO_NODES ---- */

#define CANARY	0x5a5a5a5a5a5a5a5aULL

FIXTURE(info) {
	struct site site;
	__u64 bytes[64];
	struct guestmem_info_nodes args;
	unsigned int possible;
};

/* How many numbers nodes may have: one more than the largest */
static int possible_nodes(void)
{
	char text[64], *last;

	if (read_file("/sys/devices/system/node/possible", text, sizeof(text)))
		return -1;
	last = strrchr(text, '-');
	return atoi(last ? last + 1 : text) + 1;
}

/* 2M and 12K are on the first node, 2M on the second. */
FIXTURE_SETUP(info)
{
	const char *lack = site_lacks(&shmem_store);
	struct site *s = &self->site;

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_OK(site_open(s, &shmem_store, MFD_GUEST_MOVABLE, 0));
	ASSERT_OK(task_policy(MPOL_BIND, NODE(s->node[0])));
	ASSERT_OK(populate(s->fd, 0, SZ_2M));
	ASSERT_OK(populate(s->fd, 2 * SZ_2M, 3 * PAGE));
	ASSERT_OK(task_policy(MPOL_BIND, NODE(s->node[1])));
	ASSERT_OK(populate(s->fd, SZ_2M, SZ_2M));
	memset(self->bytes, CANARY & 0xff, sizeof(self->bytes));
	self->args = (struct guestmem_info_nodes) {
		.info = { .size = sizeof(self->args) },
		.nodes = (uintptr_t)self->bytes,
		.nr_nodes = ARRAY_SIZE(self->bytes),
	};
	self->possible = possible_nodes();
	ASSERT_LT(1, self->possible);
}

FIXTURE_TEARDOWN(info)
{
	site_close(&self->site);
}

static int get_info(FIXTURE_DATA(info) * self)
{
	self->args.info.flags = GUESTMEM_INFO_NODES;
	return ioctl(self->site.fd, GUESTMEM_GET_INFO, &self->args);
}

TEST_F(info, r15_bytes)
{
	struct site *s = &self->site;
	__u64 sum = 0;
	unsigned int n;

	ASSERT_OK(get_info(self));
	EXPECT_EQ(self->possible, self->args.nr_nodes);
	EXPECT_EQ((uintptr_t)self->bytes, self->args.nodes);
	EXPECT_EQ(0, self->args.reserved);
	EXPECT_EQ(sizeof(self->args), self->args.info.size);
	/* so that the same struct can be used again */
	EXPECT_EQ(GUESTMEM_INFO_MOVABLE | GUESTMEM_INFO_NODES, self->args.info.flags);
	EXPECT_EQ(2, self->args.info.pages_2m);
	EXPECT_EQ(3, self->args.info.pages_4k);
	EXPECT_EQ(SZ_2M + 3 * PAGE, self->bytes[s->node[0]]);
	EXPECT_EQ(SZ_2M, self->bytes[s->node[1]]);
	for (n = 0; n < self->possible; n++)
		sum += self->bytes[n];
	EXPECT_EQ(2 * SZ_2M + 3 * PAGE, sum);
	EXPECT_EQ(CANARY, self->bytes[n]);
}

/* As many as there is room for, and how many there are; not a byte beyond */
TEST_F(info, r20_little_room)
{
	struct site *s = &self->site;
	int room;

	for (room = 0; room < (int)self->possible; room++) {
		memset(self->bytes, CANARY & 0xff, sizeof(self->bytes));
		self->args.nr_nodes = room;
		ASSERT_OK(get_info(self));
		EXPECT_EQ(self->possible, self->args.nr_nodes);
		EXPECT_EQ(CANARY, self->bytes[room]);
		EXPECT_EQ(room > s->node[0] ? SZ_2M + 3 * PAGE : CANARY, self->bytes[s->node[0]]);
		EXPECT_EQ(room > s->node[1] ? SZ_2M : CANARY, self->bytes[s->node[1]]);
	}
	/* no room is no array */
	self->args.nr_nodes = 0;
	self->args.nodes = 0;
	EXPECT_OK(get_info(self));
	EXPECT_EQ(self->possible, self->args.nr_nodes);
}

/* The other struct is what it was: what is behind it is not looked at, nor written. */
TEST_F(info, r20_without_nodes)
{
	self->args.info.size = sizeof(self->args.info);
	self->args.reserved = ~0U;
	ASSERT_OK(ioctl(self->site.fd, GUESTMEM_GET_INFO, &self->args));
	EXPECT_EQ(2, self->args.info.pages_2m);
	EXPECT_EQ(GUESTMEM_INFO_MOVABLE, self->args.info.flags);
	EXPECT_EQ((uintptr_t)self->bytes, self->args.nodes);
	EXPECT_EQ(ARRAY_SIZE(self->bytes), self->args.nr_nodes);
	EXPECT_EQ(~0U, self->args.reserved);
	EXPECT_EQ(CANARY, self->bytes[0]);
	/* as a larger one of that kind, it has a tail that nobody knows */
	self->args.info.flags = 0;
	self->args.info.size = sizeof(self->args);
	EXPECT_ERRNO(E2BIG, ioctl(self->site.fd, GUESTMEM_GET_INFO, &self->args));
}

/* The first struct is too small for the flag. */
TEST_F(info, r20_too_small)
{
	unsigned int size;

	for (size = 0; size < sizeof(self->args); size++) {
		self->args.info.size = size;
		EXPECT_ERRNO(EINVAL, get_info(self));
	}
	EXPECT_EQ(0, self->args.info.file_size);
	EXPECT_EQ(CANARY, self->bytes[0]);
}

TEST_F(info, r20_reserved_and_flags)
{
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		self->args.reserved = 1U << bit;
		EXPECT_ERRNO(EINVAL, get_info(self));
	}
	self->args.reserved = 0;
	for (bit = 2; bit < 32; bit++) {
		self->args.info.flags = GUESTMEM_INFO_NODES | 1U << bit;
		if (self->args.info.flags != GUESTMEM_INFO_NODES)
			EXPECT_ERRNO(EINVAL, ioctl(self->site.fd, GUESTMEM_GET_INFO, &self->args));
	}
	EXPECT_EQ(CANARY, self->bytes[0]);
	EXPECT_EQ(0, self->args.info.file_size);
}

TEST_F(info, r20_larger)
{
	struct {
		struct guestmem_info_nodes args;
		__u64 tail;
	} larger = { .args = self->args };

	larger.args.info.size = sizeof(larger);
	larger.args.info.flags = GUESTMEM_INFO_NODES;
	EXPECT_OK(ioctl(self->site.fd, GUESTMEM_GET_INFO, &larger));
	EXPECT_EQ(self->possible, larger.args.nr_nodes);
	EXPECT_EQ(SZ_2M, self->bytes[self->site.node[1]]);
	larger.args.info.flags = GUESTMEM_INFO_NODES;
	larger.tail = 1;
	EXPECT_ERRNO(E2BIG, ioctl(self->site.fd, GUESTMEM_GET_INFO, &larger));
}

TEST_F(info, r20_bad_pointers)
{
	char *pages = shared_alloc(2 * PAGE);
	__u64 *last = (__u64 *)(pages + PAGE) - 1;
	struct guestmem_info_nodes *args;

	ASSERT_NE(MAP_FAILED, (void *)pages);
	ASSERT_OK(mprotect(pages + PAGE, PAGE, PROT_NONE));
	self->args.nodes = 0;
	EXPECT_ERRNO(EFAULT, get_info(self));
	self->args.nodes = (uintptr_t)(last + 1);
	EXPECT_ERRNO(EFAULT, get_info(self));
	/* the first entry is within reach, the second is not */
	self->args.nodes = (uintptr_t)last;
	EXPECT_ERRNO(EFAULT, get_info(self));
	self->args.nr_nodes = 1;
	EXPECT_OK(get_info(self));
	EXPECT_EQ(self->site.node[0] ? 0 : SZ_2M + 3 * PAGE, *last);
	/* the first struct is within reach, what follows it is not */
	args = (void *)(pages + PAGE - sizeof(args->info));
	args->info = (struct guestmem_info) {
		.size = sizeof(*args), .flags = GUESTMEM_INFO_NODES,
	};
	EXPECT_ERRNO(EFAULT, ioctl(self->site.fd, GUESTMEM_GET_INFO, args));
	munmap(pages, 2 * PAGE);
}

TEST_F(info, c16_child)
{
	pid_t pid = fork();

	if (!pid)
		_exit(ERRNO(get_info(self)) != EPERM);
	EXPECT_EQ(0, wait_child(pid));
}

int main(int argc, char **argv)
{
	numa_fill_pools(SZ_2M, UNITS);
	return test_harness_run(argc, argv);
}
