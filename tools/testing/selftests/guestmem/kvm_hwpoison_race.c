// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors that come at a bad moment (R19, C11): while vCPUs work in the same huge
 * page, while slots come and go, while neighbours or the page itself are converted, while
 * others are punched, while the page is faulted in for the first time, and while somebody
 * holds on to a huge page that has to be split for it.
 *
 * Whatever the order: afterwards the page is lost and no other, see kvm_hwpoison_huge.c.
 * numa_hwpoison.c has pages that move.
 */
#include "guestmem_hwpoison.h"
#include "../kselftest_harness.h"

/* Of one test, but each place has its turn. A page of 1G collects as many errors. */
#define ROUNDS	10
#define SECONDS	3
#define DELAY	"/sys/kernel/debug/guestmem/delay_get_pfn"

/* The page that goes bad in that round */
static off_t bad_page(const struct victim *v, long round)
{
	off_t block = victim_1g(v) ? SZ_1G / 2 : SZ_2M;

	if (round < NR_PLACES)
		return victim_place(v, round);
	return block + (round * 157 + 3) % PAGES_2M * PAGE;
}

/*
 * A few pages that are @distance pages behind the bad one, in the same 2M, where nothing
 * ever goes bad. In a page of 1G they are in some other 2M.
 */
#define AREA		(16 * PAGE)
#define DISTANCES	(PAGES_2M - 32)

static off_t near(const struct victim *v, off_t bad, long distance)
{
	long page = victim_1g(v) ? 0 : (bad - (off_t)SZ_2M) / (off_t)PAGE;

	return SZ_2M + (page + distance) % DISTANCES * PAGE;
}

/* The bad page and some around it, as far as they are in the same 2M */
static off_t around(off_t bad, off_t *size)
{
	off_t block = bad / (off_t)SZ_2M * SZ_2M, from = bad - 4 * PAGE, to = bad + 5 * PAGE;

	from = from < block ? block : from;
	to = to > block + (off_t)SZ_2M ? block + SZ_2M : to;
	*size = to - from;
	return from;
}

/* ---- what goes on meanwhile ---- */

/**
 * struct chore - something that is done round after round
 * @v: to this one
 * @round: one round; 0, or what went wrong
 * @from: first byte in the file
 * @size: bytes
 * @cpu: number of the vCPU
 * @stop: set to end it
 * @rounds: done
 * @failed: what went wrong, if something did
 * @thread: does it
 */
struct chore {
	struct victim *v;
	int (*round)(struct chore *chore);
	off_t from;
	off_t size;
	int cpu;
	atomic_bool stop;
	atomic_long rounds;
	atomic_int failed;
	pthread_t thread;
};

/* A vCPU verifies and stamps. */
static int chore_work(struct chore *c)
{
	struct vm *vm = &c->v->vm;
	__u64 gpa = c->v->gpa + c->from;

	return guest_do(vm, c->cpu, GUEST_VERIFY, gpa, c->size, BAD_SEED) ?:
	       guest_do(vm, c->cpu, GUEST_STAMP, gpa, c->size, BAD_SEED);
}

static int chore_bind(struct chore *c)
{
	return ERRNO(vm_unbind(&c->v->vm, 1)) ?: ERRNO(victim_bind(c->v));
}

static int chore_convert(struct chore *c)
{
	struct vm *vm = &c->v->vm;
	__u64 gpa = c->v->gpa + c->from;

	return ERRNO(vm_set_shared(vm, gpa, c->size)) ?: ERRNO(vm_set_private(vm, gpa, c->size));
}

static int chore_punch(struct chore *c)
{
	return ERRNO(punch_patiently(c->v->fd, c->from, c->size)) ?:
	       ERRNO(populate(c->v->fd, c->from, c->size));
}

/* Masks of them, as one test has them */
#define WORK_0	1
#define WORK_1	2
#define BIND	4
#define CONVERT	8
#define PUNCH	16
#define CHORES	5

#define HOLE	(8 * PAGE)

/* Those of the mask @what, around a page that is going to be bad; returns how many. */
static int chores_make(struct chore *chore, struct victim *v, off_t bad, unsigned int what)
{
	off_t size, from = around(bad, &size);
	const struct chore all[CHORES] = {
		{ .round = chore_work, .from = near(v, bad, 32), .size = AREA },
		{ .round = chore_work, .from = near(v, bad, 200), .size = AREA, .cpu = 1 },
		{ .round = chore_bind },
		{ .round = chore_convert, .from = from, .size = size },
		{ .round = chore_punch, .from = near(v, bad, 100), .size = HOLE },
	};
	int i, nr = 0;

	for (i = 0; i < CHORES; i++) {
		if (!(what >> i & 1))
			continue;
		chore[nr] = all[i];
		chore[nr++].v = v;
	}
	return nr;
}

static void *chore_run(void *arg)
{
	struct chore *c = arg;
	atomic_int failed;

	do {
		failed = c->round(c);
		atomic_fetch_add(&c->rounds, 1);
		/* or else a vCPU's faults would do little but start again */
		if (c->round != chore_work)
			usleep(500);
	} while (!failed && !atomic_load(&c->stop));
	atomic_store(&c->failed, failed);
	return NULL;
}

/* It does some more rounds. */
static void chore_wait(struct chore *c, long rounds)
{
	rounds += atomic_load(&c->rounds);
	while (!atomic_load(&c->failed) && atomic_load(&c->rounds) < rounds)
		usleep(500);
}

/* Returns what went wrong, with the first that has something to say. */
static int chores_stop(struct chore *chore, int nr)
{
	int i, failed = 0;

	for (i = 0; i < nr; i++)
		atomic_store(&chore[i].stop, true);
	for (i = 0; i < nr; i++) {
		pthread_join(chore[i].thread, NULL);
		failed = failed ? failed : atomic_load(&chore[i].failed);
	}
	return failed;
}

/* The error comes while all of them are at work. */
static int poison_amid(struct victim *v, off_t bad, struct chore *chore, int nr, long round)
{
	int i, failed = 0;

	for (i = 0; i < nr; i++) {
		if (pthread_create(&chore[i].thread, NULL, chore_run, &chore[i]))
			return -1;
	}
	/* every second time in what they do first */
	for (i = 0; i < nr && round & 1; i++)
		chore_wait(&chore[i], 1);
	usleep(rand() % 2000);
	if (victim_poison(v, bad) < 0)
		failed = -1;
	for (i = 0; i < nr; i++)
		chore_wait(&chore[i], 2);
	return chores_stop(chore, nr) ?: failed;
}

FIXTURE(amid) {
	struct victim victim;
};

FIXTURE_VARIANT(amid) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(amid, shmem_4k) { .store = &small_store };
FIXTURE_VARIANT_ADD(amid, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(amid, hugetlb_2m) { .store = &hugetlb_2m_store };
FIXTURE_VARIANT_ADD(amid, hugetlb_1g) { .store = &hugetlb_1g_store };

FIXTURE_SETUP(amid)
{
	if (hwpoison_prepare())
		SKIP(return, "the kernel cannot make memory errors");
	if (victim_init(&self->victim, variant->store, 0, 0))
		SKIP(return, "the pool for %s has too few free pages", variant->store->name);
}

FIXTURE_TEARDOWN(amid)
{
	EXPECT_OK(victim_close(&self->victim));
}

/* Bound, mapped as huge as can be, and stamped. A page of 1G stays as it is. */
static void prepare(struct __test_metadata *_metadata, struct victim *v)
{
	if (v->fd < 0 || !victim_1g(v)) {
		ASSERT_OK(victim_renew(v));
		ASSERT_OK(victim_bind(v));
	}
	ASSERT_OK(victim_fill(v));
	ASSERT_STREQ(victim_levels(v), mapped(&v->vm));
}

static void judge(struct __test_metadata *_metadata, struct victim *v, int failed)
{
	EXPECT_EQ(0, failed);
	EXPECT_STREQ("fine", victim_state(v));
	ASSERT_OK(victim_prefault(v));
	EXPECT_STREQ(victim_levels(v), mapped(&v->vm));
	EXPECT_EQ(v->size / PAGE, file_pages(v->fd));
}

static bool more_rounds(struct race *race, long round)
{
	return race_next(race) || round < NR_PLACES;
}

/* What has been punched and populated reads as zero. */
static void refill(struct __test_metadata *_metadata, struct victim *v, off_t hole)
{
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_CHECK, v->gpa + hole, HOLE, 0));
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_STAMP, v->gpa + hole, HOLE, BAD_SEED));
}

/* Round after round, amid the chores of the mask @what */
static void rounds(struct __test_metadata *_metadata, struct victim *v, unsigned int what)
{
	struct chore chore[CHORES];
	struct race race;
	long round = 0;
	int nr, failed;
	off_t bad;

	race_start(&race, ROUNDS, SECONDS);
	for (; more_rounds(&race, round) && !_metadata->exit_code; round++) {
		bad = bad_page(v, round);
		nr = chores_make(chore, v, bad, what);
		prepare(_metadata, v);
		failed = poison_amid(v, bad, chore, nr, round);
		if (what & PUNCH)
			refill(_metadata, v, near(v, bad, 100));
		judge(_metadata, v, failed);
	}
}

/* R19 */
TEST_F_TIMEOUT(amid, r19_vcpus_at_work, SLOW)
{
	rounds(_metadata, &self->victim, WORK_0 | WORK_1);
}

/* C11 */
TEST_F_TIMEOUT(amid, c11_binding, SLOW)
{
	rounds(_metadata, &self->victim, BIND);
}

/* R4, R19: of the bad page, too; the conversion takes nothing with it. */
TEST_F_TIMEOUT(amid, r4_r19_converting, SLOW)
{
	rounds(_metadata, &self->victim, WORK_0 | CONVERT);
}

/* C9, R19 */
TEST_F_TIMEOUT(amid, c9_r19_punching, SLOW)
{
	rounds(_metadata, &self->victim, WORK_0 | PUNCH);
}

TEST_F_TIMEOUT(amid, r19_all_at_once, SLOW)
{
	rounds(_metadata, &self->victim, WORK_0 | WORK_1 | CONVERT | PUNCH);
}

/* ---- faulted in for the first time ---- */

/**
 * struct touch - a vCPU that stamps a page once
 * @v: of this one
 * @at: the page
 * @result: of that
 * @thread: runs it
 */
struct touch {
	struct victim *v;
	off_t at;
	int result;
	pthread_t thread;
};

static void *touch(void *arg)
{
	struct touch *t = arg;

	t->result = guest_do(&t->v->vm, 1, GUEST_STAMP, t->v->gpa + t->at, PAGE, BAD_SEED);
	return NULL;
}

static int touch_start(struct touch *t, struct victim *v, off_t at)
{
	*t = (struct touch) { .v = v, .at = at };
	return pthread_create(&t->thread, NULL, touch, t);
}

/* The page has its stamp; all is zero again. */
static int touch_undo(struct touch *t)
{
	__u64 gpa = t->v->gpa + t->at;

	return guest_do(&t->v->vm, 0, GUEST_VERIFY, gpa, PAGE, BAD_SEED) ?:
	       guest_do(&t->v->vm, 0, GUEST_FILL, gpa, PAGE, 0);
}

/* The debug kernel can be told to wait at some places. */
static bool has_delays(void)
{
	return !access(DELAY, W_OK);
}

static int delay_fault(const char *us)
{
	return write_file(DELAY, us);
}

/* The page itself, or the next in the same 2M, with which KVM would map it, too */
static off_t target(off_t bad, long round)
{
	off_t other = bad % (off_t)SZ_2M ? bad - PAGE : bad + PAGE;

	return round & 1 ? other : bad;
}

/*
 * C8, R19: the fault has the page in hand, and not mapped yet, when the error comes. On
 * the debug kernel a delay makes that certain, on others it is a matter of luck.
 */
TEST_F_TIMEOUT(amid, c8_r19_first_fault, SLOW)
{
	struct victim *v = &self->victim;
	struct race race;
	struct touch t;
	long round = 0;
	off_t bad;

	race_start(&race, ROUNDS, SECONDS);
	for (; more_rounds(&race, round) && !_metadata->exit_code; round++) {
		bad = bad_page(v, round / 2);
		ASSERT_OK(victim_renew(v));
		ASSERT_OK(victim_populate(v));
		ASSERT_OK(victim_bind(v));
		if (has_delays())
			ASSERT_OK(delay_fault("40000"));
		ASSERT_EQ(0, touch_start(&t, v, target(bad, round)));
		usleep(has_delays() ? 20000 : rand() % 500);
		EXPECT_LE(0, victim_poison(v, bad));
		pthread_join(t.thread, NULL);
		if (has_delays())
			ASSERT_OK(delay_fault("0"));
		if (t.at == bad && t.result == -EHWPOISON)
			t.result = 0;
		else if (t.at != bad && !t.result)
			t.result = touch_undo(&t);
		judge(_metadata, v, t.result);
	}
}

/* ---- a huge page of shmem that cannot be split, because somebody has a reference ---- */

FIXTURE(unsplit) {
	struct victim victim;
	unsigned long pfn;
};

FIXTURE_SETUP(unsplit)
{
	if (hwpoison_prepare())
		SKIP(return, "the kernel cannot make memory errors");
	if (!has_delays())
		SKIP(return, "needs the delays of CONFIG_GUESTMEM_DEBUG");
	ASSERT_OK(victim_init(&self->victim, &shmem_store, 0, 0));
}

FIXTURE_TEARDOWN(unsplit)
{
	EXPECT_OK(delay_fault("0"));
	EXPECT_OK(victim_close(&self->victim));
}

/*
 * A fault of vCPU 1 holds the reference, for as long as it is delayed. vCPU 0 has the
 * huge page mapped by then.
 */
static unsigned long poison_unsplit(struct __test_metadata *_metadata, struct victim *v)
{
	off_t bad = victim_place(v, MIDDLE), other = victim_place(v, FIRST);
	unsigned long pfn;
	struct touch t;

	prepare(_metadata, v);
	pfn = frame_of(v->fd, bad);
	/* unmaps it */
	ASSERT_OK(vm_set_shared(&v->vm, v->gpa + other, PAGE));
	ASSERT_OK(vm_set_private(&v->vm, v->gpa + other, PAGE));
	ASSERT_OK(delay_fault("5000000"));
	ASSERT_EQ(0, touch_start(&t, v, other));
	usleep(1000000);
	ASSERT_OK(delay_fault("0"));
	ASSERT_EQ(0, guest_do(&v->vm, 0, GUEST_VERIFY, v->gpa + bad, PAGE, BAD_SEED));
	ASSERT_STREQ(victim_levels(v), mapped(&v->vm));
	EXPECT_EQ(EHWPOISON, victim_poison(v, bad));
	/* it is the case that was to be made; and the guest has lost the page already */
	EXPECT_STREQ(counts(0, 3, 0), held(v->fd));
	EXPECT_EQ(-EHWPOISON, guest_do(&v->vm, 0, GUEST_VERIFY, v->gpa + bad, PAGE, BAD_SEED));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(0, t.result);
	judge(_metadata, v, 0);
	return pfn;
}

/* R19: mapped by single pages now; a punch of the bad page splits what there is. */
TEST_F_TIMEOUT(unsplit, r19_punch_page, SLOW)
{
	struct victim *v = &self->victim;
	off_t bad = victim_place(v, MIDDLE);

	self->pfn = poison_unsplit(_metadata, v);
	ASSERT_OK(punch_patiently(v->fd, bad, PAGE));
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_CHECK, v->gpa + bad, PAGE, 0));
	EXPECT_NE(self->pfn, frame_of(v->fd, bad));
	ASSERT_EQ(0, guest_do(&v->vm, 0, GUEST_STAMP, v->gpa + bad, PAGE, BAD_SEED));
	EXPECT_TRUE(frame_bad(self->pfn));
	EXPECT_FALSE(frame_free(self->pfn));
	victim_forget(v, bad);
	EXPECT_STREQ("fine", victim_state(v));
}

/* R19: the memory goes back, the bad page does not. */
TEST_F_TIMEOUT(unsplit, r19_punch_all, SLOW)
{
	struct victim *v = &self->victim;

	self->pfn = poison_unsplit(_metadata, v);
	ASSERT_OK(punch_patiently(v->fd, 0, v->size));
	EXPECT_STREQ(counts(0, 0, 0), held(v->fd));
	EXPECT_TRUE(frame_bad(self->pfn));
	EXPECT_FALSE(frame_free(self->pfn));
}

TEST_F_TIMEOUT(unsplit, r19_closed, SLOW)
{
	struct victim *v = &self->victim;

	self->pfn = poison_unsplit(_metadata, v);
	vm_destroy(&v->vm);
	close(v->fd);
	v->fd = -1;
	EXPECT_TRUE(frame_bad(self->pfn));
	EXPECT_FALSE(frame_free(self->pfn));
}

TEST_HARNESS_MAIN
