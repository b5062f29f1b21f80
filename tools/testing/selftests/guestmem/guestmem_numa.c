// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers of the guestmem selftests on NUMA policies, see guestmem_numa.h.
 */
#include <stdio.h>

#include "guestmem_numa.h"

/* Of a 1G page only so much is private: zeroing all of it would take seconds. */
#define PRIVATE_1G	SZ_2M

/* ---- huge pages, for all tests of a program: getting one of 1G takes its time ---- */

static struct node_pools pools_2m, pools_1g;
static pid_t filler;

static void restore_pools(void)
{
	/* a test is a child */
	if (getpid() != filler)
		return;
	node_pools_restore(&pools_2m);
	node_pools_restore(&pools_1g);
}

/* On every node, until the program ends. Tests that lack pages say so themselves. */
void numa_fill_pools(unsigned long size, long each)
{
	int node[MAX_TEST_NODES], nr = memory_nodes(node), n;

	if (!filler)
		atexit(restore_pools);
	filler = getpid();
	for (n = 0; nr > 1 && n < nr; n++)
		node_pools_grow(size == SZ_1G ? &pools_1g : &pools_2m, size, node[n], each);
}

/* ---- a file and its guest ---- */

/* Why there can be no tests with this store, or NULL */
const char *site_lacks(const struct store *store)
{
	int node[MAX_TEST_NODES], nr = memory_nodes(node), n;
	long each = store->granule == SZ_1G ? 1 : UNITS;

	if (nr < 2)
		return "fewer than two nodes have memory";
	for (n = 0; is_hugetlb(store) && n < nr; n++) {
		if (node_pool_get(node[n], store->granule, "free_hugepages") < each)
			return "too few huge pages on a node";
	}
	return NULL;
}

static int site_set_private(struct site *s)
{
	unsigned long size = s->unit == SZ_1G ? PRIVATE_1G : s->unit;
	long i;

	for (i = 0; i < s->nr; i++) {
		if (vm_set_private(&s->vm, s->gpa + i * s->unit, size))
			return -1;
	}
	return 0;
}

static int site_make_guest(struct site *s, int nr_vcpus)
{
	void *shared = shared_alloc(s->nr * s->unit);

	if (shared == MAP_FAILED || vm_create(&s->vm, nr_vcpus) ||
	    vm_bind(&s->vm, 1, s->gpa, s->nr * s->unit, shared, s->fd, 0))
		return -1;
	return site_set_private(s);
}

/* Without vCPUs there is no guest. */
int site_open(struct site *s, const struct store *store, unsigned int flags, int nr_vcpus)
{
	bool gigantic = store->huge == SZ_1G;

	s->vm.fd = -1;
	s->store = store;
	s->unit = store->huge;
	s->nr_nodes = memory_nodes(s->node);
	if (!s->nr)
		s->nr = gigantic ? s->nr_nodes : UNITS;
	s->each = gigantic ? 1 : UNITS;
	s->gpa = gigantic ? SZ_1G : VM_DATA_GPA;
	memset(s->want, '-', s->nr);
	s->fd = guest_create(store->flags | flags, s->nr * s->unit);
	if (s->fd < 0)
		return -1;
	return nr_vcpus ? site_make_guest(s, nr_vcpus) : 0;
}

void site_close(struct site *s)
{
	if (s->vm.fd >= 0)
		vm_destroy(&s->vm);
	close(s->fd);
}

int site_empty(struct site *s)
{
	memset(s->want, '-', s->nr);
	return punch_patiently(s->fd, 0, s->nr * s->unit);
}

/* ---- policies ---- */

/* Bits of a mask that is one long, as set_mempolicy(2) wants to be told */
#define MAXNODE	(8 * sizeof(long))

unsigned long all_nodes(const struct site *s)
{
	unsigned long mask = 0;
	int n;

	for (n = 0; n < s->nr_nodes; n++)
		mask |= NODE(s->node[n]);
	return mask;
}

/* Of the calling thread */
int task_policy(int mode, unsigned long nodes)
{
	return syscall(SYS_set_mempolicy, mode, &nodes, MAXNODE);
}

int range_policy(int fd, off_t offset, off_t length, int mode, unsigned long nodes,
		 unsigned int flags)
{
	struct guestmem_mempolicy args = {
		.size = sizeof(args),
		.flags = flags,
		.offset = offset,
		.length = length,
		.mode = mode,
		.maxnode = MAXNODE,
		.nodemask = (uintptr_t)&nodes,
	};

	return ioctl(fd, GUESTMEM_SET_MEMPOLICY, &args);
}

int unit_policy(struct site *s, long first, long nr, int mode, unsigned long nodes)
{
	return range_policy(s->fd, first * s->unit, nr * s->unit, mode, nodes, 0);
}

int unit_policy_move(struct site *s, long first, long nr, int mode, unsigned long nodes)
{
	return range_policy(s->fd, first * s->unit, nr * s->unit, mode, nodes,
			    GUESTMEM_MEMPOLICY_MOVE);
}

/* ---- populating ---- */

/* So much of the unit that all of it is there afterwards */
int touch(struct site *s, enum way how, long unit)
{
	off_t offset = unit * s->unit;

	switch (how) {
	case BY_FALLOCATE:
		return populate(s->fd, offset, is_hugetlb(s->store) ? PAGE : s->unit);
	case BY_GUEST:
		return guest_do(&s->vm, 0, GUEST_CHECK, s->gpa + offset, 4, 0);
	default:
		return vm_prefault(&s->vm, 0, s->gpa + offset, PAGE, NULL);
	}
}

int touch_units(struct site *s, enum way how, long first, long nr)
{
	int ret = 0;

	for (; nr && !ret; nr--)
		ret = touch(s, how, first++);
	return ret;
}

/* ---- where it is ---- */

static char letter(int node)
{
	return '0' + node;
}

/* The units [@first, @first + @nr) have to be on @node. */
void want(struct site *s, long first, long nr, int node)
{
	memset(s->want + first, letter(node), nr);
}

/* Is every frame in a memory block of the node that is said to have it? */
static bool nodes_are_true(const struct frames *frames)
{
	unsigned long pages = block_pages();
	long i, block, last = -1;
	int node = -1;

	for (i = 0; i < frames->nr; i++) {
		block = frames->at[i].pfn / pages;
		if (block != last)
			node = block_node(block);
		last = block;
		if (frames->at[i].node != node)
			return false;
	}
	return true;
}

static bool info_agrees(const struct site *s, const struct frames *frames)
{
	__u64 bytes[64] = { };
	struct guestmem_info_nodes args = {
		.info = { .size = sizeof(args), .flags = GUESTMEM_INFO_NODES },
		.nodes = (uintptr_t)bytes,
		.nr_nodes = 64,
	};
	int n;

	if (ioctl(s->fd, GUESTMEM_GET_INFO, &args))
		return false;
	for (n = 0; n < s->nr_nodes; n++) {
		if (bytes[s->node[n]] != (__u64)frames_bytes(frames, s->node[n]))
			return false;
	}
	return true;
}

static bool fdinfo_agrees(const struct site *s, const struct frames *frames)
{
	char key[32];
	int n;

	for (n = 0; n < s->nr_nodes; n++) {
		snprintf(key, sizeof(key), "guest_node%d", s->node[n]);
		if (fdinfo_number(s->fd, key) * 1024 != frames_bytes(frames, s->node[n]))
			return false;
	}
	return true;
}

/* '?' is a unit whose folios are on several nodes. */
static void print_units(const struct site *s, const struct frames *frames, char *text)
{
	char node, *at;
	long i;

	memset(text, '-', s->nr);
	text[s->nr] = '\0';
	for (i = 0; i < frames->nr; i++) {
		node = letter(frames->at[i].node);
		at = &text[frames->at[i].index * PAGE / s->unit];
		*at = *at == '-' || *at == node ? node : '?';
	}
}

/* Where the units are, if all who tell of it tell the same */
const char *placed(struct site *s)
{
	static char text[UNITS + 1];
	struct frames frames;
	const char *ret = text;

	if (frames_read(s->fd, &frames))
		return "no guestmem/folios";
	if (!nodes_are_true(&frames))
		ret = "frames are on other nodes";
	else if (!info_agrees(s, &frames))
		ret = "GUESTMEM_GET_INFO and guestmem/folios disagree";
	else if (!fdinfo_agrees(s, &frames))
		ret = "fdinfo and guestmem/folios disagree";
	else
		print_units(s, &frames, text);
	frames_free(&frames);
	return ret;
}

/* Empty if all units are where they have to be */
const char *misplaced(struct site *s)
{
	const char *now = placed(s);
	static char text[128];

	if (!strcmp(now, s->want))
		return "";
	snprintf(text, sizeof(text), "%s, and not %s", now, s->want);
	return text;
}

/* How many of @units each node has: "2 2 2" */
const char *shares(const struct site *s, const char *units)
{
	static char text[64];
	const char *unit;
	int n, nr, used = 0;

	for (n = 0; n < s->nr_nodes; n++) {
		nr = 0;
		for (unit = units; *unit; unit++)
			nr += *unit == letter(s->node[n]);
		used += snprintf(text + used, sizeof(text) - used, "%s%d", n ? " " : "", nr);
	}
	return text;
}

/* What shares() has to be: so many of the first node, of the second, of each other one */
const char *share_is(const struct site *s, long first, long second, long others)
{
	static char text[64];
	int n, used = snprintf(text, sizeof(text), "%ld %ld", first, second);

	for (n = 2; n < s->nr_nodes; n++)
		used += snprintf(text + used, sizeof(text) - used, " %ld", others);
	return text;
}

const char *equal_shares(const struct site *s)
{
	long nr = s->nr / s->nr_nodes;

	return share_is(s, nr, nr, nr);
}
