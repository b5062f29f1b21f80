// SPDX-License-Identifier: GPL-2.0
/*
 * GUESTMEM_MEMPOLICY_MOVE: memory that is there moves to where a new policy has its
 * nodes (R16), if the file is movable (R11), with its content.
 */
#include "guestmem_numa.h"
#include "../kselftest_harness.h"

#define SEED	0x52310000

FIXTURE(move) {
	struct site site;
	struct area area;
};

FIXTURE_VARIANT(move) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(move, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(move, small) { .store = &small_store };
FIXTURE_VARIANT_ADD(move, hugetlb_2m) { .store = &hugetlb_2m_store };
FIXTURE_VARIANT_ADD(move, hugetlb_1g) { .store = &hugetlb_1g_store };

/* The first units are there, on the first node. */
static long present(const struct site *s)
{
	return s->each > 1 ? 4 : 1;
}

static void setup(struct __test_metadata *_metadata, const struct store *store, struct site *s,
		  struct area *area)
{
	/* pages that are reserved are no place to move to */
	s->nr = store->huge == SZ_1G ? 1 : UNITS;
	ASSERT_OK(site_open(s, store, MFD_GUEST_MOVABLE, 2));
	ASSERT_OK(task_policy(MPOL_BIND, NODE(s->node[0])));
	ASSERT_EQ(0, touch_units(s, BY_FALLOCATE, 0, present(s)));
	*area = (struct area) {
		.vm = &s->vm, .gpa = s->gpa, .size = present(s) * s->unit, .stride = s->unit,
		.piece = s->unit == SZ_1G ? 16 * PAGE : s->unit,
	};
	ASSERT_EQ(0, area_do(area, 0, GUEST_STAMP, SEED));
	want(s, 0, present(s), s->node[0]);
}

/* Folios move in the size that they have. */
static const char *held_whole(struct site *s, long units)
{
	return counts(s->unit == PAGE ? units : 0, s->unit == SZ_2M ? units : 0,
		      s->unit == SZ_1G ? units : 0);
}

static void teardown(struct __test_metadata *_metadata, struct site *s, struct area *area)
{
	EXPECT_EQ(0, area_do(area, 1, GUEST_VERIFY, SEED));
	EXPECT_PLACED(s);
	site_close(s);
}

FIXTURE_SETUP(move)
{
	const char *lack = site_lacks(variant->store);

	if (lack)
		SKIP(return, "%s", lack);
	setup(_metadata, variant->store, &self->site, &self->area);
}

FIXTURE_TEARDOWN(move)
{
	teardown(_metadata, &self->site, &self->area);
}

TEST_F(move, r16_bind)
{
	struct site *s = &self->site;
	struct frames before, after;
	long nr = present(s) > 1 ? 2 : 1;
	long long migrated = fdinfo_number(s->fd, "guest_migrated");

	ASSERT_LE(0, migrated);
	ASSERT_OK(frames_read(s->fd, &before));
	ASSERT_OK(unit_policy_move(s, 0, nr, MPOL_BIND, NODE(s->node[1])));
	want(s, 0, nr, s->node[1]);
	EXPECT_PLACED(s);
	EXPECT_STREQ(held_whole(s, present(s)), held(s->fd));
	EXPECT_EQ(migrated + nr, fdinfo_number(s->fd, "guest_migrated"));
	/* what is outside of the range is where it was */
	ASSERT_OK(frames_read(s->fd, &after));
	EXPECT_EQ(nr, frames_moved(&before, &after));
	frames_free(&before);
	/* and the second time, all is */
	ASSERT_OK(unit_policy_move(s, 0, nr, MPOL_BIND, NODE(s->node[1])));
	ASSERT_OK(frames_read(s->fd, &before));
	EXPECT_TRUE(frames_same(&after, &before));
	EXPECT_EQ(migrated + nr, fdinfo_number(s->fd, "guest_migrated"));
	frames_free(&before);
	frames_free(&after);
}

/* What is on one of the policy's nodes stays, what is on another one does not. */
TEST_F(move, r16_interleave)
{
	struct site *s = &self->site;
	struct frames before, after;

	ASSERT_OK(frames_read(s->fd, &before));
	ASSERT_OK(unit_policy_move(s, 0, s->nr, MPOL_INTERLEAVE, all_nodes(s)));
	ASSERT_OK(frames_read(s->fd, &after));
	EXPECT_TRUE(frames_same(&before, &after));
	frames_free(&before);
	frames_free(&after);

	ASSERT_OK(unit_policy_move(s, 0, s->nr, MPOL_INTERLEAVE,
				   all_nodes(s) & ~NODE(s->node[0])));
	memcpy(s->want, placed(s), s->nr);
	EXPECT_EQ(NULL, strchr(s->want, '0' + s->node[0]))
		TH_LOG("%s", s->want);
	EXPECT_STREQ(held_whole(s, present(s)), held(s->fd));
}

/* ---- with more than one unit ---- */

FIXTURE(units) {
	struct site site;
	struct area area;
};

FIXTURE_VARIANT(units) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(units, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(units, small) { .store = &small_store };
FIXTURE_VARIANT_ADD(units, hugetlb_2m) { .store = &hugetlb_2m_store };

FIXTURE_SETUP(units)
{
	const char *lack = site_lacks(variant->store);

	if (lack)
		SKIP(return, "%s", lack);
	setup(_metadata, variant->store, &self->site, &self->area);
}

FIXTURE_TEARDOWN(units)
{
	teardown(_metadata, &self->site, &self->area);
}

/* It is a policy, too: what comes later follows it. */
TEST_F(units, r16_later_memory)
{
	struct site *s = &self->site;

	ASSERT_OK(unit_policy_move(s, 3, 2, MPOL_BIND, NODE(s->node[1])));
	want(s, 3, 1, s->node[1]);
	EXPECT_PLACED(s);
	ASSERT_EQ(0, touch_units(s, BY_GUEST, 4, 2));
	want(s, 4, 1, s->node[1]);
	want(s, 5, 1, s->node[0]);
}

/* To and fro while two vCPUs work in it, and hold on to a page at times */
TEST_F_TIMEOUT(units, r16_under_load, SLOW)
{
	struct site *s = &self->site;
	struct worker worker[2];
	struct race race;
	int turn = 0, err, done = 0;

	ASSERT_OK(workers_start(worker, &self->area, SEED));
	race_start(&race, 100, 1);
	while (race_next(&race)) {
		turn = !turn;
		err = ERRNO(unit_policy_move(s, 0, s->nr, MPOL_BIND, NODE(s->node[turn])));
		EXPECT_TRUE(!err || err == EIO)
			TH_LOG("errno %d", err);
		done += !err;
	}
	EXPECT_STREQ("", workers_end(worker));
	EXPECT_LT(0, done);
	EXPECT_OK(unit_policy_move(s, 0, s->nr, MPOL_BIND, NODE(s->node[turn])));
	want(s, 0, present(s), s->node[turn]);
	EXPECT_PLACED(s);
	ASSERT_EQ(0, area_do(&self->area, 0, GUEST_STAMP, SEED));
}

/* ---- special cases ---- */

/* A page in the middle of a folio goes with all of it, or without. */
TEST(r16_one_page)
{
	const char *lack = site_lacks(&shmem_store);
	struct site s = { };
	struct frames frames;
	struct area area;

	if (lack)
		SKIP(return, "%s", lack);
	setup(_metadata, &shmem_store, &s, &area);
	ASSERT_OK(range_policy(s.fd, PAGE, PAGE, MPOL_BIND, NODE(s.node[1]),
			       GUESTMEM_MEMPOLICY_MOVE));
	ASSERT_OK(frames_read(s.fd, &frames));
	ASSERT_NE(NULL, frames_find(&frames, 1));
	EXPECT_EQ(s.node[1], frames_find(&frames, 1)->node);
	frames_free(&frames);
	memcpy(s.want, placed(&s), s.nr);
	EXPECT_STREQ(share_is(&s, 3, 0, 0), shares(&s, s.want + 1));
	teardown(_metadata, &s, &area);
}

/* R17: what cannot be moved stays, and one is told. */
TEST(r17_no_page_to_move_to)
{
	const char *lack = site_lacks(&hugetlb_1g_store);
	struct site s = { }, other = { .nr = 1 };
	struct frames before, after;
	struct area area;

	if (lack)
		SKIP(return, "%s", lack);
	/* a 1G page is not to be had but from the pool, and somebody has that of the node */
	ASSERT_OK(site_open(&other, &hugetlb_1g_store, 0, 0));
	ASSERT_OK(task_policy(MPOL_BIND, NODE(other.node[1])));
	ASSERT_EQ(0, touch(&other, BY_FALLOCATE, 0));
	ASSERT_OK(task_policy(MPOL_DEFAULT, 0));
	setup(_metadata, &hugetlb_1g_store, &s, &area);
	ASSERT_OK(frames_read(s.fd, &before));
	EXPECT_ERRNO(EIO, unit_policy_move(&s, 0, 1, MPOL_BIND, NODE(s.node[1])));
	ASSERT_OK(frames_read(s.fd, &after));
	EXPECT_TRUE(frames_same(&before, &after));
	frames_free(&before);
	frames_free(&after);
	teardown(_metadata, &s, &area);
	site_close(&other);
}

/* ---- files whose memory does not move ---- */

FIXTURE(unmovable) {
	struct site site;
};

FIXTURE_VARIANT(unmovable) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(unmovable, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(unmovable, small) { .store = &small_store };
FIXTURE_VARIANT_ADD(unmovable, hugetlb_2m) { .store = &hugetlb_2m_store };
FIXTURE_VARIANT_ADD(unmovable, hugetlb_1g) { .store = &hugetlb_1g_store };

FIXTURE_SETUP(unmovable)
{
	const char *lack = site_lacks(variant->store);

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_OK(site_open(&self->site, variant->store, 0, 2));
}

FIXTURE_TEARDOWN(unmovable)
{
	site_close(&self->site);
}

/* R11: nothing has changed, the policy neither. */
TEST_F(unmovable, r11_refused)
{
	struct site *s = &self->site;
	struct frames before, after;

	ASSERT_OK(unit_policy(s, 0, s->nr, MPOL_BIND, NODE(s->node[0])));
	/* with nothing to be moved as well */
	EXPECT_ERRNO(EOPNOTSUPP, unit_policy_move(s, 0, s->nr, MPOL_BIND, NODE(s->node[1])));
	ASSERT_EQ(0, touch(s, BY_GUEST, 0));
	ASSERT_EQ(0, guest_do(&s->vm, 0, GUEST_STAMP, s->gpa, PAGE, SEED));
	ASSERT_OK(frames_read(s->fd, &before));
	EXPECT_ERRNO(EOPNOTSUPP, unit_policy_move(s, 0, s->nr, MPOL_BIND, NODE(s->node[1])));
	ASSERT_OK(frames_read(s->fd, &after));
	EXPECT_TRUE(frames_same(&before, &after));
	frames_free(&before);
	frames_free(&after);
	want(s, 0, 1, s->node[0]);
	EXPECT_PLACED(s);
	EXPECT_EQ(0, guest_do(&s->vm, 1, GUEST_VERIFY, s->gpa, PAGE, SEED));
	ASSERT_OK(site_empty(s));
	ASSERT_EQ(0, touch(s, BY_FALLOCATE, 0));
	want(s, 0, 1, s->node[0]);
	EXPECT_PLACED(s);
}

int main(int argc, char **argv)
{
	numa_fill_pools(SZ_1G, 1);
	numa_fill_pools(SZ_2M, UNITS);
	return test_harness_run(argc, argv);
}
