// SPDX-License-Identifier: GPL-2.0
/*
 * From which NUMA node the memory of a guest file comes (R16): by the policy of the task
 * that populates it, set by set_mempolicy(2), by a cpuset or by numactl(8), or by that
 * of a range of the file. Whenever it is looked at, fdinfo, GUESTMEM_GET_INFO and debugfs
 * have to agree (R15).
 */
#include <sched.h>
#include <stdio.h>

#include "guestmem_numa.h"
#include "../kselftest_harness.h"

FIXTURE(place) {
	struct site site;
};

/*
 * Some nodes have their pool of 2M in ZONE_MOVABLE.  A granule that cannot move takes a
 * page of another node's instead, if the policy lets it, so these files are movable.
 */
#define ANYWHERE	MFD_GUEST_MOVABLE

FIXTURE_VARIANT(place) {
	const struct store *store;
	unsigned int flags;
};

/* Movable memory comes from other zones. */
FIXTURE_VARIANT_ADD(place, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(place, small_movable) {
	.store = &small_store, .flags = MFD_GUEST_MOVABLE,
};

FIXTURE_VARIANT_ADD(place, hugetlb_2m) {
	.store = &hugetlb_2m_store, .flags = ANYWHERE,
};

FIXTURE_VARIANT_ADD(place, hugetlb_1g_movable) {
	.store = &hugetlb_1g_store, .flags = MFD_GUEST_MOVABLE,
};

FIXTURE_SETUP(place)
{
	const char *lack = site_lacks(variant->store);

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_OK(site_open(&self->site, variant->store, variant->flags, 1));
}

FIXTURE_TEARDOWN(place)
{
	site_close(&self->site);
}

/* ---- the policy of a task ---- */

TEST_F_TIMEOUT(place, r16_task_bind, SLOW)
{
	struct site *s = &self->site;
	long nr = s->each > 1 ? 2 : 1;
	int how, n;

	for (how = 0; how < NR_WAYS; how++) {
		for (n = 0; n < s->nr_nodes; n++) {
			ASSERT_OK(site_empty(s));
			ASSERT_OK(task_policy(MPOL_BIND, NODE(s->node[n])));
			ASSERT_EQ(0, touch_units(s, how, s->nr - nr, nr));
			want(s, s->nr - nr, nr, s->node[n]);
			EXPECT_PLACED(s)
				TH_LOG("way %d, node %d", how, s->node[n]);
		}
	}
}

TEST_F_TIMEOUT(place, r16_task_interleave, SLOW)
{
	struct site *s = &self->site;
	int how;

	ASSERT_OK(task_policy(MPOL_INTERLEAVE, all_nodes(s)));
	for (how = 0; how < NR_WAYS; how++) {
		ASSERT_OK(site_empty(s));
		ASSERT_EQ(0, touch_units(s, how, 0, s->nr));
		EXPECT_STREQ(equal_shares(s), shares(s, placed(s)))
			TH_LOG("way %d: %s", how, placed(s));
	}
}

/* A CPU of the node, or -1 */
static int cpu_of_node(int node)
{
	char path[64];
	int cpu;

	for (cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
		if (!access(path, F_OK))
			return cpu;
	}
	return -1;
}

static int run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

/* Without a policy it comes from where the CPU is. */
TEST_F(place, r16_task_preferred_and_local)
{
	struct site *s = &self->site;
	int n, cpu;

	ASSERT_OK(task_policy(MPOL_PREFERRED, NODE(s->node[1])));
	ASSERT_EQ(0, touch(s, BY_FALLOCATE, 0));
	want(s, 0, 1, s->node[1]);
	EXPECT_PLACED(s);
	ASSERT_OK(task_policy(MPOL_PREFERRED_MANY, NODE(s->node[0])));
	ASSERT_EQ(0, touch(s, BY_GUEST, 1));
	want(s, 1, 1, s->node[0]);
	EXPECT_PLACED(s);

	ASSERT_OK(task_policy(MPOL_DEFAULT, 0));
	for (n = 0; n < s->nr_nodes; n++) {
		cpu = cpu_of_node(s->node[n]);
		if (cpu < 0)
			continue;
		ASSERT_OK(site_empty(s));
		ASSERT_OK(run_on(cpu));
		ASSERT_EQ(0, touch(s, n & 1 ? BY_FALLOCATE : BY_GUEST, n));
		want(s, n, 1, s->node[n]);
		EXPECT_PLACED(s);
	}
}

/**
 * struct populator - a thread with a policy of its own
 * @site: where it populates
 * @node: what it is bound to
 * @how: does it do that
 * @unit: what
 */
struct populator {
	struct site *site;
	int node;
	enum way how;
	long unit;
};

static void *populate_from(void *arg)
{
	struct populator *p = arg;

	if (task_policy(MPOL_BIND, NODE(p->node)))
		return (void *)-1L;
	return (void *)(long)touch(p->site, p->how, p->unit);
}

static int populate_by_thread(struct populator *p)
{
	pthread_t thread;
	void *ret;

	if (pthread_create(&thread, NULL, populate_from, p) || pthread_join(thread, &ret))
		return -1;
	return ret ? -1 : 0;
}

/* The task that populates; not the one that has made the file, and the guest. */
TEST_F(place, r16_other_threads)
{
	struct site *s = &self->site;
	struct populator p = { .site = s, .node = s->node[1], .unit = 1 };

	ASSERT_OK(task_policy(MPOL_BIND, NODE(s->node[0])));
	for (p.how = 0; p.how < NR_WAYS; p.how++) {
		ASSERT_OK(site_empty(s));
		ASSERT_EQ(0, touch(s, p.how, 0));
		ASSERT_EQ(0, populate_by_thread(&p));
		want(s, 0, 1, s->node[0]);
		want(s, 1, 1, s->node[1]);
		EXPECT_PLACED(s);
	}
	/* the policy of a range is the file's, whoever has set it */
	ASSERT_OK(site_empty(s));
	ASSERT_OK(unit_policy(s, 0, 2, MPOL_BIND, NODE(s->node[0])));
	ASSERT_EQ(0, populate_by_thread(&p));
	want(s, 1, 1, s->node[0]);
	EXPECT_PLACED(s);
}

TEST_F(place, r16_cpuset)
{
	struct site *s = &self->site;
	struct cgroup cg;
	char mems[16];

	if (cgroup_create(&cg, "numa") ||
	    write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset"))
		SKIP(return, "no cpusets");
	snprintf(mems, sizeof(mems), "%d", s->node[1]);
	EXPECT_OK(cgroup_set(&cg, "cpuset.mems", mems));
	EXPECT_OK(cgroup_enter(&cg));
	EXPECT_EQ(0, touch(s, BY_GUEST, 0));
	want(s, 0, 1, s->node[1]);
	EXPECT_PLACED(s);
	cgroup_destroy(&cg);
}

/* ---- the policy of a range ---- */

/* It comes before the task's, and neighbours are none of its business. */
TEST_F_TIMEOUT(place, r16_range_bind, SLOW)
{
	struct site *s = &self->site;
	long nr = s->each > 1 ? s->nr : 2;
	int how;

	ASSERT_OK(task_policy(MPOL_BIND, NODE(s->node[0])));
	ASSERT_OK(unit_policy(s, 1, 1, MPOL_BIND, NODE(s->node[1])));
	for (how = 0; how < NR_WAYS; how++) {
		ASSERT_OK(site_empty(s));
		ASSERT_EQ(0, touch_units(s, how, 0, nr));
		want(s, 0, nr, s->node[0]);
		want(s, 1, 1, s->node[1]);
		EXPECT_PLACED(s)
			TH_LOG("way %d", how);
	}
}

/* In whichever order */
TEST_F(place, r16_range_interleave)
{
	struct site *s = &self->site;
	long half = s->nr / 2;

	ASSERT_OK(task_policy(MPOL_BIND, NODE(s->node[0])));
	ASSERT_OK(unit_policy(s, 0, s->nr, MPOL_INTERLEAVE, all_nodes(s)));
	ASSERT_EQ(0, touch_units(s, BY_FALLOCATE, 0, s->nr));
	EXPECT_STREQ(equal_shares(s), shares(s, placed(s)))
		TH_LOG("%s", placed(s));
	ASSERT_OK(site_empty(s));
	ASSERT_EQ(0, touch_units(s, BY_GUEST, half, s->nr - half));
	ASSERT_EQ(0, touch_units(s, BY_PREFAULT, 0, half));
	EXPECT_STREQ(equal_shares(s), shares(s, placed(s)))
		TH_LOG("%s", placed(s));
}

TEST_F(place, r16_range_preferred_and_local)
{
	struct site *s = &self->site;
	int cpu = cpu_of_node(s->node[1]);

	ASSERT_LE(0, cpu);
	ASSERT_OK(run_on(cpu));
	ASSERT_OK(task_policy(MPOL_BIND, NODE(s->node[0])));
	ASSERT_OK(unit_policy(s, 0, 1, MPOL_PREFERRED, NODE(s->node[1])));
	ASSERT_OK(unit_policy(s, 1, 1, MPOL_LOCAL, 0));
	ASSERT_EQ(0, touch(s, BY_FALLOCATE, 0));
	want(s, 0, 1, s->node[1]);
	EXPECT_PLACED(s);
	ASSERT_OK(site_empty(s));
	ASSERT_EQ(0, touch(s, BY_GUEST, 1));
	want(s, 1, 1, s->node[1]);
	EXPECT_PLACED(s);
}

/* What is there stays; what comes, into holes as well, follows, until it is dropped. */
TEST_F(place, r16_range_set_and_dropped)
{
	struct site *s = &self->site;
	enum way how;

	ASSERT_OK(task_policy(MPOL_BIND, NODE(s->node[0])));
	ASSERT_EQ(0, touch(s, BY_GUEST, 0));
	ASSERT_OK(unit_policy(s, 0, s->nr, MPOL_BIND, NODE(s->node[1])));
	want(s, 0, 1, s->node[0]);
	EXPECT_PLACED(s);
	for (how = 0; how < NR_WAYS; how++) {
		ASSERT_OK(site_empty(s));
		ASSERT_EQ(0, touch(s, how, 0));
		want(s, 0, 1, s->node[1]);
		EXPECT_PLACED(s);
	}
	ASSERT_OK(site_empty(s));
	ASSERT_OK(unit_policy(s, 0, 1, MPOL_DEFAULT, 0));
	ASSERT_EQ(0, touch_units(s, BY_FALLOCATE, 0, 2));
	want(s, 0, 1, s->node[0]);
	want(s, 1, 1, s->node[1]);
	EXPECT_PLACED(s);
	/* there is nothing to drop the second time */
	EXPECT_OK(unit_policy(s, 0, s->nr, MPOL_DEFAULT, 0));
	EXPECT_OK(unit_policy(s, 0, s->nr, MPOL_DEFAULT, 0));
	ASSERT_OK(site_empty(s));
	ASSERT_EQ(0, touch(s, BY_GUEST, 1));
	want(s, 1, 1, s->node[0]);
	EXPECT_PLACED(s);
}

/* ---- ranges over ranges ---- */

FIXTURE(range) {
	struct site site;
};

FIXTURE_VARIANT(range) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(range, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(range, small) { .store = &small_store };
FIXTURE_VARIANT_ADD(range, hugetlb_2m) { .store = &hugetlb_2m_store };

FIXTURE_SETUP(range)
{
	const char *lack = site_lacks(variant->store);

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_OK(site_open(&self->site, variant->store,
			    is_hugetlb(variant->store) ? ANYWHERE : 0, 1));
	ASSERT_OK(task_policy(MPOL_BIND, NODE(self->site.node[0])));
}

FIXTURE_TEARDOWN(range)
{
	site_close(&self->site);
}

/* A policy within another, across its end, over all of it */
TEST_F(range, r16_overlap)
{
	struct site *s = &self->site;
	int a = s->node[0], b = s->node[1];

	ASSERT_OK(unit_policy(s, 1, 5, MPOL_BIND, NODE(b)));
	ASSERT_OK(unit_policy(s, 2, 2, MPOL_BIND, NODE(a)));
	ASSERT_EQ(0, touch_units(s, BY_FALLOCATE, 0, UNITS));
	want(s, 0, UNITS, b);
	want(s, 0, 1, a);
	want(s, 2, 2, a);
	EXPECT_PLACED(s);

	ASSERT_OK(unit_policy(s, 0, 3, MPOL_BIND, NODE(b)));
	ASSERT_OK(unit_policy(s, 5, 1, MPOL_DEFAULT, 0));
	ASSERT_OK(site_empty(s));
	ASSERT_EQ(0, touch_units(s, BY_GUEST, 0, UNITS));
	want(s, 0, UNITS, b);
	want(s, 3, 1, a);
	want(s, 5, 1, a);
	EXPECT_PLACED(s);

	ASSERT_OK(unit_policy(s, 0, UNITS, MPOL_BIND, NODE(b)));
	ASSERT_OK(site_empty(s));
	ASSERT_EQ(0, touch_units(s, BY_PREFAULT, 0, UNITS));
	want(s, 0, UNITS, b);
	EXPECT_PLACED(s);
}

/* Two files have two sets of policies. */
TEST_F(range, r16_of_one_file)
{
	struct site *s = &self->site, other = { };

	ASSERT_OK(unit_policy(s, 0, UNITS, MPOL_BIND, NODE(s->node[1])));
	ASSERT_OK(site_open(&other, variant->store, 0, 0));
	EXPECT_EQ(0, touch(&other, BY_FALLOCATE, 0));
	want(&other, 0, 1, s->node[0]);
	EXPECT_PLACED(&other);
	site_close(&other);
}

static int set_weight(int node, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/kernel/mm/mempolicy/weighted_interleave/node%d", node);
	return write_file(path, text);
}

/* Two to one, of a range and of a task */
TEST_F(range, r16_weighted_interleave)
{
	struct site *s = &self->site;
	unsigned long two = NODE(s->node[0]) | NODE(s->node[1]);

	if (set_weight(s->node[0], "2"))
		SKIP(return, "no weighted interleave");
	EXPECT_OK(set_weight(s->node[1], "1"));
	EXPECT_OK(unit_policy(s, 0, UNITS, MPOL_WEIGHTED_INTERLEAVE, two));
	EXPECT_EQ(0, touch_units(s, BY_FALLOCATE, 0, UNITS));
	EXPECT_STREQ(share_is(s, 4, 2, 0), shares(s, placed(s)));
	EXPECT_OK(unit_policy(s, 0, UNITS, MPOL_DEFAULT, 0));
	EXPECT_OK(task_policy(MPOL_WEIGHTED_INTERLEAVE, two));
	EXPECT_OK(site_empty(s));
	EXPECT_EQ(0, touch_units(s, BY_GUEST, 0, UNITS));
	EXPECT_STREQ(share_is(s, 4, 2, 0), shares(s, placed(s)));
	/* 0 is the default */
	EXPECT_OK(set_weight(s->node[0], "0"));
	EXPECT_OK(set_weight(s->node[1], "0"));
}

/* The granule of shmem is a page, where others make 2M. */
TEST(r16_range_of_one_page)
{
	const char *lack = site_lacks(&shmem_store);
	const struct frame *frame;
	struct site s = { };
	struct frames frames;
	unsigned long i;

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_OK(site_open(&s, &shmem_store, 0, 0));
	ASSERT_OK(task_policy(MPOL_BIND, NODE(s.node[0])));
	ASSERT_OK(range_policy(s.fd, PAGE, PAGE, MPOL_BIND, NODE(s.node[1]), 0));
	ASSERT_OK(populate(s.fd, 0, 3 * PAGE));
	ASSERT_OK(frames_read(s.fd, &frames));
	EXPECT_EQ(3, frames.nr);
	for (i = 0; i < 3; i++) {
		frame = frames_find(&frames, i);
		ASSERT_NE(NULL, frame);
		EXPECT_EQ(s.node[i == 1], frame->node);
	}
	frames_free(&frames);
	site_close(&s);
}

/* R10: bound to a node whose pool is empty: no memory, and nothing has changed. */
TEST(r16_r10_empty_pool)
{
	const char *lack = site_lacks(&hugetlb_2m_store);
	struct pool_state before, after;
	struct site s = { };
	long saved;

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_OK(site_open(&s, &hugetlb_2m_store, 0, 1));
	saved = node_pool_get(s.node[1], SZ_2M, "nr_hugepages");
	ASSERT_LE(UNITS, saved);
	EXPECT_OK(node_pool_set(s.node[1], SZ_2M, 0));
	EXPECT_OK(unit_policy(&s, 0, 1, MPOL_BIND, NODE(s.node[1])));
	EXPECT_OK(unit_policy(&s, 1, 1, MPOL_PREFERRED, NODE(s.node[1])));
	EXPECT_OK(pool_read(SZ_2M, &before));
	EXPECT_ERRNO(ENOMEM, touch(&s, BY_FALLOCATE, 0));
	EXPECT_NE(0, touch(&s, BY_GUEST, 0));
	EXPECT_PLACED(&s);
	EXPECT_OK(pool_read(SZ_2M, &after));
	EXPECT_EQ(before.free, after.free);
	EXPECT_EQ(before.rsvd, after.rsvd);
	/* who prefers a node takes what there is */
	EXPECT_EQ(0, touch(&s, BY_FALLOCATE, 1));
	EXPECT_NE('-', placed(&s)[1]);
	EXPECT_OK(site_empty(&s));
	EXPECT_OK(node_pool_set(s.node[1], SZ_2M, saved));
	EXPECT_EQ(0, touch(&s, BY_GUEST, 0));
	want(&s, 0, 1, s.node[1]);
	EXPECT_PLACED(&s);
	site_close(&s);
}

/* ---- numactl(8) ---- */

static const struct store *const stores[] = {
	&shmem_store, &small_store, &hugetlb_2m_store, &hugetlb_1g_store,
};

/*
 * "numa_policy populate N", which numactl(8) starts: a line for each store, of all units
 * in all ways that there are, but of N 1G pages.
 */
static int populate_and_tell(long gigantic)
{
	struct site site;
	unsigned int i;
	long unit;

	for (i = 0; i < ARRAY_SIZE(stores); i++) {
		/* a policy that binds does not let others be reserved */
		site = (struct site) { .nr = stores[i]->huge == SZ_1G ? gigantic : UNITS };
		if (site_open(&site, stores[i], is_hugetlb(stores[i]) ? ANYWHERE : 0, 1))
			return 1;
		for (unit = 0; unit < site.nr; unit++) {
			if (touch(&site, unit % NR_WAYS, unit))
				return 1;
		}
		puts(placed(&site));
		site_close(&site);
	}
	return 0;
}

static FILE *under_numactl(const char *options, long gigantic)
{
	char self[128] = "", command[256];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return NULL;
	snprintf(command, sizeof(command), "numactl %s %s populate %ld", options, self, gigantic);
	return popen(command, "r");
}

FIXTURE(numactl) {
	struct site site;
	char options[64];
};

/* @options: with the number of the second node for %d */
FIXTURE_VARIANT(numactl) {
	const char *options;
	bool everywhere;
};

FIXTURE_VARIANT_ADD(numactl, membind) { .options = "--membind=%d" };
FIXTURE_VARIANT_ADD(numactl, preferred) { .options = "--preferred=%d" };
FIXTURE_VARIANT_ADD(numactl, local) { .options = "--cpunodebind=%d --localalloc" };
FIXTURE_VARIANT_ADD(numactl, interleave) {
	.options = "--interleave=all", .everywhere = true,
};

FIXTURE_SETUP(numactl)
{
	const char *lack = site_lacks(&hugetlb_2m_store) ?: site_lacks(&hugetlb_1g_store);

	if (lack)
		SKIP(return, "%s", lack);
	if (system("numactl --show >/dev/null"))
		SKIP(return, "no numactl");
	self->site.nr_nodes = memory_nodes(self->site.node);
	snprintf(self->options, sizeof(self->options), variant->options, self->site.node[1]);
}

FIXTURE_TEARDOWN(numactl)
{
}

/* R16: "numactl vmm" just works. */
TEST_F_TIMEOUT(numactl, r16_vmm, SLOW)
{
	FILE *f = under_numactl(self->options, variant->everywhere ? self->site.nr_nodes : 1);
	struct site *s = &self->site;
	const char *expected;
	char line[128];
	unsigned int i;

	ASSERT_NE(NULL, f);
	for (i = 0; i < ARRAY_SIZE(stores); i++) {
		bool gigantic = stores[i]->huge == SZ_1G;

		ASSERT_NE(NULL, fgets(line, sizeof(line), f));
		s->nr = gigantic ? s->nr_nodes : UNITS;
		expected = variant->everywhere ? equal_shares(s) :
						 share_is(s, 0, gigantic ? 1 : UNITS, 0);
		EXPECT_STREQ(expected, shares(s, line))
			TH_LOG("%s, %s: %s", self->options, stores[i]->name, line);
	}
	EXPECT_EQ(0, pclose(f));
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "populate"))
		return populate_and_tell(atol(argv[2]));
	numa_fill_pools(SZ_1G, 1);
	numa_fill_pools(SZ_2M, UNITS);
	return test_harness_run(argc, argv);
}
