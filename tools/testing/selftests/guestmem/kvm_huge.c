// SPDX-License-Identifier: GPL-2.0
/*
 * Huge mappings of guest files: at which level KVM maps what (R5, R6), that an
 * operation on part of a huge page leaves the rest with its data, byte for byte,
 * while another vCPU works in it (C9, R4), and that what has been put together
 * again is mapped huge again.
 *
 * Levels are read from KVM's statistics. Shared memory is made of 4K pages here, so
 * that every huge mapping is one of guest file pages.
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "guestmem_huge.h"
#include "../kselftest_harness.h"

#define SEED	0x4e6e0000
#define SHARED	0xabababab
/* Where the tests of partial operations operate: two aligned 2M */
#define ZONE	(2 * SZ_2M)
/* The guest's code: a page of slot 0, mapped when a vCPU has run */
#define CODE	1

/**
 * struct box - a VM with a guest file
 * @vm: with two vCPUs
 * @store: of the file
 * @pool: where its pages come from
 * @fd: the file
 * @size: bytes of it
 * @gpa: where it is in the guest; aligned to 1G for 1G pages
 * @zone: guest address of the ZONE
 * @shared: shared memory for all of it
 */
struct box {
	struct vm vm;
	const struct store *store;
	struct pool pool;
	int fd;
	off_t size;
	__u64 gpa;
	__u64 zone;
	char *shared;
};

static bool is_1g(const struct box *box)
{
	return box->store->huge == SZ_1G;
}

/* Pages for the file; -1 if the pool gets none. */
static int box_fill_pool(struct box *box, const struct store *store, off_t size)
{
	box->store = store;
	box->size = size;
	return pool_grow(&box->pool, store->granule, size / store->granule);
}

static int box_open(struct box *box)
{
	const struct store *store = box->store;

	box->gpa = store->huge == SZ_1G ? SZ_1G : VM_DATA_GPA;
	box->zone = box->gpa + (store->huge == SZ_1G ? SZ_1G / 2 : 0);
	box->fd = guest_create(store->flags, box->size);
	box->shared = shared_alloc(box->size + SZ_2M);
	if (box->fd < 0 || (void *)box->shared == MAP_FAILED || vm_create(&box->vm, 2))
		return -1;
	/* the code page is mapped by the first thing that runs */
	return guest_do(&box->vm, 0, GUEST_CHECK, 0, 4, 0) < 0 ? -1 : 0;
}

static void box_empty(struct box *box)
{
	vm_destroy(&box->vm);
	if (box->fd >= 0)
		close(box->fd);
	box->fd = -1;
}

static void box_close(struct box *box)
{
	box_empty(box);
	pool_restore(&box->pool);
}

static int box_bind(struct box *box)
{
	/* the shared memory not congruent: it is nothing to private mappings */
	return vm_bind(&box->vm, 1, box->gpa, box->size, box->shared + PAGE, box->fd, 0) ||
	       vm_set_private(&box->vm, box->gpa, box->size) ? -1 : 0;
}

/* ---- every level x every operation on a part ---- */

/**
 * struct part - a range of the zone
 * @name: for messages
 * @from: first byte, in the zone
 * @to: first byte after it
 * @busy: where another vCPU works meanwhile: in what is left of the huge page
 * @touched: bits of the zone's aligned 2M of which a part is in the range
 * @whole: bits of those that are in the range as a whole
 */
struct part {
	const char *name;
	unsigned long from, to;
	unsigned long busy;
	unsigned int touched, whole;
};

#define BUSY	(16 * PAGE)

static const struct part parts[] = {
	{ "first 4K", 0, PAGE, PAGE, 1, 0 },
	{ "middle 4K", SZ_1M, SZ_1M + PAGE, SZ_1M + PAGE, 1, 0 },
	{ "last 4K", SZ_2M - PAGE, SZ_2M, SZ_2M - PAGE - BUSY, 1, 0 },
	{ "unaligned", SZ_1M + PAGE, SZ_2M + 3 * PAGE, SZ_2M + 3 * PAGE, 3, 0 },
	{ "2M", SZ_2M, 2 * SZ_2M, SZ_2M - BUSY, 2, 2 },
	{ "all", 0, ZONE, ZONE, 3, 3 },
};

/**
 * enum operation - what is done to a part
 * @CONVERT: to shared, and back to private: the data is still there
 * @CONVERT_PUNCH: to shared, punched; back to private: it reads as zero
 * @PUNCH: punched while private
 * @NR_OPERATIONS: how many there are
 */
enum operation { CONVERT, CONVERT_PUNCH, PUNCH, NR_OPERATIONS };

static const char *const operation_name[] = { "convert", "convert and punch", "punch" };

/**
 * struct bystander - a vCPU that works where nothing happens
 * @box: of that VM, by vCPU 1
 * @gpa: where, BUSY bytes
 * @stop: set to end it
 * @loops: how often it went round
 * @bad: first result that is not 0
 * @thread: the host thread that runs it
 */
struct bystander {
	struct box *box;
	__u64 gpa;
	atomic_bool stop;
	atomic_long loops;
	int bad;
	pthread_t thread;
};

static void *stand_by(void *arg)
{
	struct bystander *b = arg;
	struct vm *vm = &b->box->vm;

	do {
		b->bad = guest_do(vm, 1, GUEST_VERIFY, b->gpa, BUSY, SEED);
		if (!b->bad)
			b->bad = guest_do(vm, 1, GUEST_STAMP, b->gpa, BUSY, SEED);
		atomic_fetch_add(&b->loops, 1);
	} while (!b->bad && !atomic_load(&b->stop));
	return NULL;
}

static int bystander_start(struct bystander *b, struct box *box, const struct part *part)
{
	*b = (struct bystander) { .box = box, .gpa = box->zone + part->busy };
	if (part->busy == ZONE)
		return 0;
	if (pthread_create(&b->thread, NULL, stand_by, b))
		return -1;
	while (!atomic_load(&b->loops))
		sched_yield();
	return 0;
}

/* After a last look at its memory. Returns what went wrong. */
static int bystander_stop(struct bystander *b)
{
	long loops = atomic_load(&b->loops);

	if (!b->thread)
		return 0;
	while (!b->bad && atomic_load(&b->loops) < loops + 2)
		sched_yield();
	atomic_store(&b->stop, true);
	pthread_join(b->thread, NULL);
	return b->bad;
}

/* The zone as it is before each operation: private, huge, stamped */
static void zone_reset(struct __test_metadata *_metadata, struct box *box, bool by_guest)
{
	long granules = box->size / box->store->huge;

	ASSERT_OK(vm_unbind(&box->vm, 1));
	/* What was split stays split; new folios are huge. */
	if (!is_hugetlb(box->store))
		ASSERT_OK(punch(box->fd, 0, box->size));
	ASSERT_OK(populate(box->fd, 0, box->size));
	ASSERT_OK(box_bind(box));
	if (!by_guest)
		ASSERT_OK(prefault_all(&box->vm, 0, box->gpa, box->size));
	ASSERT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, box->zone, ZONE, SEED));
	ASSERT_STREQ(counts(CODE + (box->store->huge == PAGE ? granules : 0),
			    box->store->huge == SZ_2M ? granules : 0, is_1g(box)),
		     mapped(&box->vm));
}

/*
 * Everything of the zone outside of the part has its data. Reads by a guest map it,
 * too; a 1G page only there, so a prefault does the rest.
 */
static void verify_rest(struct __test_metadata *_metadata, struct box *box,
			const struct part *part)
{
	struct vm *vm = &box->vm;

	if (part->from)
		EXPECT_EQ(0, guest_do(vm, 0, GUEST_VERIFY, box->zone, part->from, SEED))
			TH_LOG("at %#llx", vm->bad_gpa[0]);
	if (part->to < ZONE)
		EXPECT_EQ(0, guest_do(vm, 0, GUEST_VERIFY, box->zone + part->to, ZONE - part->to,
				      SEED))
			TH_LOG("at %#llx", vm->bad_gpa[0]);
	ASSERT_OK(prefault_all(vm, 0, box->gpa, box->size));
}

static long bits(unsigned int mask)
{
	return __builtin_popcount(mask);
}

/* All is mapped, and the aligned 2M of @small in 4K. */
static void expect_levels(struct __test_metadata *_metadata, struct box *box,
			  unsigned int small)
{
	long pages = box->size / PAGE, nr_2m = 0, nr_1g = 0;

	if (box->store->huge == SZ_2M || (is_1g(box) && small))
		nr_2m = box->size / SZ_2M - bits(small);
	else if (is_1g(box))
		nr_1g = 1;
	EXPECT_STREQ(counts(CODE + pages - nr_2m * PAGES_2M - nr_1g * PAGES_2M * PAGES_2M,
			    nr_2m, nr_1g), mapped(&box->vm));
}

/* What the file holds when the part is a hole of it */
static const char *counts_punched(struct box *box, const struct part *part)
{
	unsigned int split = part->touched & ~part->whole;
	long nr_2m = box->size / SZ_2M - bits(part->touched);
	unsigned long hole = part->to - part->from;

	if (box->store->huge == PAGE)
		return counts((box->size - hole) / PAGE, 0, 0);
	if (is_1g(box))
		return counts(0, 0, 1);
	if (is_hugetlb(box->store))
		return counts(0, nr_2m + bits(split), 0);
	return counts((bits(part->touched) * SZ_2M - hole) / PAGE, nr_2m, 0);
}

/* The operation as far as the part is shared or a hole */
static void take_away(struct __test_metadata *_metadata, struct box *box,
		      const struct part *part, enum operation op)
{
	__u64 gpa = box->zone + part->from, size = part->to - part->from;
	struct bystander bystander;

	memset(box->shared + PAGE + (gpa - box->gpa), SHARED & 0xff, size);
	ASSERT_EQ(0, bystander_start(&bystander, box, part));
	if (op != PUNCH)
		EXPECT_OK(vm_set_shared(&box->vm, gpa, size));
	if (op != CONVERT)
		EXPECT_OK(punch_patiently(box->fd, gpa - box->gpa, size));
	EXPECT_EQ(0, bystander_stop(&bystander));
	if (op != CONVERT)
		EXPECT_STREQ(counts_punched(box, part), held(box->fd));
	if (op == PUNCH)
		return;
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, gpa, size, SHARED));
	verify_rest(_metadata, box, part);
	expect_levels(_metadata, box, part->touched);
}

/* And back: private, filled, and huge where the pages allow it */
static void give_back(struct __test_metadata *_metadata, struct box *box,
		      const struct part *part, enum operation op, bool by_guest)
{
	__u64 gpa = box->zone + part->from, size = part->to - part->from;
	struct bystander bystander;
	unsigned int split = 0;

	ASSERT_EQ(0, bystander_start(&bystander, box, part));
	EXPECT_OK(vm_set_private(&box->vm, gpa, size));
	/* Filled by a call, or by the guest when it looks */
	if (op == CONVERT_PUNCH)
		EXPECT_OK(populate(box->fd, gpa - box->gpa, size));
	EXPECT_EQ(0, bystander_stop(&bystander));
	EXPECT_EQ(0, guest_do(&box->vm, 0, op == CONVERT ? GUEST_VERIFY : GUEST_CHECK, gpa, size,
			      op == CONVERT ? SEED : 0))
		TH_LOG("at %#llx", box->vm.bad_gpa[0]);
	/* What the guest's own accesses have put together: nothing else has run. */
	if (op == CONVERT && by_guest)
		expect_levels(_metadata, box, 0);
	verify_rest(_metadata, box, part);
	/* A folio that a punch has split stays split. */
	if (op != CONVERT && !is_hugetlb(box->store))
		split = part->touched & ~part->whole;
	expect_levels(_metadata, box, split);
}

FIXTURE(partial) {
	struct box box;
};

FIXTURE_VARIANT(partial) {
	const struct store *store;
	off_t size;
};

FIXTURE_VARIANT_ADD(partial, shmem) { .store = &shmem_store, .size = ZONE };
FIXTURE_VARIANT_ADD(partial, shmem_nohuge) { .store = &small_store, .size = ZONE };
FIXTURE_VARIANT_ADD(partial, hugetlb_2m) { .store = &hugetlb_2m_store, .size = ZONE };
FIXTURE_VARIANT_ADD(partial, hugetlb_1g) { .store = &hugetlb_1g_store, .size = SZ_1G };

FIXTURE_SETUP(partial)
{
	if (box_fill_pool(&self->box, variant->store, variant->size))
		SKIP(return, "the pool for %s has too few free pages", variant->store->name);
	ASSERT_OK(box_open(&self->box));
	ASSERT_OK(box_bind(&self->box));
}

FIXTURE_TEARDOWN(partial)
{
	box_close(&self->box);
}

/* R4, R6, C9, C18 */
TEST_F_TIMEOUT(partial, c9_every_operation, SLOW)
{
	struct box *box = &self->box;
	unsigned int i, op;
	bool by_guest;

	for (op = 0; op < NR_OPERATIONS; op++) {
		for (i = 0; i < ARRAY_SIZE(parts); i++) {
			/* to 4K pages one is like the other */
			if (box->store->huge == PAGE && (i == 1 || i == 2))
				continue;
			by_guest = (i + op) & 1;
			zone_reset(_metadata, box, by_guest);
			take_away(_metadata, box, &parts[i], op);
			give_back(_metadata, box, &parts[i], op, by_guest);
			ASSERT_EQ(0, _metadata->exit_code)
				TH_LOG("%s: %s, mapped by %s", operation_name[op], parts[i].name,
				       by_guest ? "the guest" : "prefault");
		}
	}
}

/* ---- levels ---- */

FIXTURE(level) {
	struct box box;
};

FIXTURE_VARIANT(level) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(level, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(level, hugetlb_2m) { .store = &hugetlb_2m_store };

FIXTURE_SETUP(level)
{
	if (box_fill_pool(&self->box, variant->store, 3 * SZ_2M))
		SKIP(return, "the pool for %s has too few free pages", variant->store->name);
	ASSERT_OK(box_open(&self->box));
}

FIXTURE_TEARDOWN(level)
{
	box_close(&self->box);
}

/* Bind, map by prefault, and let the guest see that each page is itself. */
static void map_slot(struct __test_metadata *_metadata, struct box *box, int slot, __u64 gpa,
		     __u64 size, __u64 offset)
{
	ASSERT_OK(vm_bind(&box->vm, slot, gpa, size, box->shared, box->fd, offset));
	ASSERT_OK(vm_set_private(&box->vm, gpa, size));
	ASSERT_OK(prefault_all(&box->vm, 0, gpa, size));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, gpa, size, SEED));
	EXPECT_EQ(0, guest_do(&box->vm, 1, GUEST_VERIFY, gpa, size, SEED));
}

#define EXPECT_MAPPED(nr_4k, nr_2m) \
	EXPECT_STREQ(counts(CODE + (nr_4k), nr_2m, 0), mapped(&self->box.vm))

TEST_F(level, r5_aligned)
{
	struct box *box = &self->box;

	map_slot(_metadata, box, 1, box->gpa, box->size, 0);
	EXPECT_MAPPED(0, 3);
}

/* R6: the slot starts and ends inside of huge pages. */
TEST_F(level, r6_starts_inside)
{
	struct box *box = &self->box;

	map_slot(_metadata, box, 1, box->gpa + SZ_1M, 2 * SZ_2M, SZ_1M);
	EXPECT_MAPPED(PAGES_2M, 1);
	EXPECT_STREQ(counts(0, 3, 0), held(box->fd));
}

/* R6: one page short at either end */
TEST_F(level, r6_one_page_short)
{
	struct box *box = &self->box;

	map_slot(_metadata, box, 1, box->gpa + PAGE, box->size - 2 * PAGE, PAGE);
	EXPECT_MAPPED(2 * (PAGES_2M - 1), 1);
}

/* R6: the slot's size is no multiple. */
TEST_F(level, r6_odd_size)
{
	struct box *box = &self->box;

	map_slot(_metadata, box, 1, box->gpa, SZ_2M + SZ_1M, 0);
	EXPECT_MAPPED(PAGES_2M / 2, 1);
}

/* R6: aligned guest addresses of unaligned offsets, and the other way round */
TEST_F(level, r6_offset_not_congruent)
{
	struct box *box = &self->box;

	map_slot(_metadata, box, 1, box->gpa, 2 * SZ_2M, PAGE);
	EXPECT_MAPPED(2 * PAGES_2M, 0);
}

TEST_F(level, r6_address_not_congruent)
{
	struct box *box = &self->box;

	map_slot(_metadata, box, 1, box->gpa + SZ_1M, 2 * SZ_2M, 0);
	EXPECT_MAPPED(2 * PAGES_2M, 0);
}

/* R3, R6: not the same place in the file, but as good */
TEST_F(level, r6_other_offset)
{
	struct box *box = &self->box;

	map_slot(_metadata, box, 1, box->gpa, SZ_2M, 2 * SZ_2M);
	map_slot(_metadata, box, 2, box->gpa + 4 * SZ_2M, 2 * SZ_2M, 0);
	EXPECT_MAPPED(0, 3);
}

/* R3: two slots share a huge page: neither may map the other's half. */
TEST_F(level, r3_two_slots_in_one_page)
{
	struct box *box = &self->box;

	map_slot(_metadata, box, 1, box->gpa, SZ_1M, 0);
	map_slot(_metadata, box, 2, box->gpa + SZ_1M, SZ_1M, SZ_1M);
	EXPECT_MAPPED(PAGES_2M, 0);
	EXPECT_STREQ(counts(0, 1, 0), held(box->fd));
	/* and a punch in one half reaches that slot alone */
	ASSERT_OK(punch_patiently(box->fd, SZ_1M - PAGE, 2 * PAGE));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_VERIFY, box->gpa, SZ_1M - PAGE, SEED));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, box->gpa + SZ_1M - PAGE, 2 * PAGE, 0));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_VERIFY, box->gpa + SZ_1M + PAGE, SZ_1M - PAGE,
			      SEED));
}

/* The same address may be mapped again at another level. */
TEST_F(level, r6_bound_again)
{
	struct box *box = &self->box;
	int i;

	for (i = 0; i < 4; i++) {
		map_slot(_metadata, box, 1, box->gpa, SZ_2M, i & 1 ? PAGE : SZ_2M);
		EXPECT_MAPPED(i & 1 ? PAGES_2M : 0, !(i & 1));
		ASSERT_OK(vm_unbind(&box->vm, 1));
		EXPECT_MAPPED(0, 0);
	}
}

/* The shared memory's address is as unaligned as it can be. */
TEST_F(level, r5_userspace_address)
{
	struct box *box = &self->box;

	ASSERT_OK(box_bind(box));
	ASSERT_OK(prefault_all(&box->vm, 0, box->gpa, box->size));
	EXPECT_MAPPED(0, 3);
	ASSERT_OK(vm_set_shared(&box->vm, box->gpa, SZ_2M));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_FILL, box->gpa, SZ_2M, 0x01020304));
	EXPECT_EQ(0x01020304, *(__u32 *)(box->shared + PAGE));
	EXPECT_EQ(0x01020304, *(__u32 *)(box->shared + SZ_2M));
	EXPECT_MAPPED(PAGES_2M, 2);
}

/* One access is one mapping, as large as may be. */
TEST_F(level, r5_one_access)
{
	struct box *box = &self->box;

	ASSERT_OK(box_bind(box));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, box->gpa + SZ_2M + 77 * PAGE, 4, 0));
	EXPECT_MAPPED(0, 1);
	EXPECT_EQ(0, guest_do(&box->vm, 1, GUEST_STAMP, box->gpa + SZ_2M, SZ_2M, SEED));
	EXPECT_MAPPED(0, 1);
}

/* Attributes that came before the slot count, too: mixed here, uniform there. */
TEST_F(level, r5_attributes_before_slot)
{
	struct box *box = &self->box;

	ASSERT_OK(vm_set_private(&box->vm, box->gpa, box->size - PAGE));
	ASSERT_OK(vm_bind(&box->vm, 1, box->gpa, box->size, box->shared, box->fd, 0));
	ASSERT_OK(prefault_all(&box->vm, 0, box->gpa, box->size));
	EXPECT_MAPPED(PAGES_2M, 2);
	ASSERT_OK(vm_set_private(&box->vm, box->gpa + box->size - PAGE, PAGE));
	ASSERT_OK(prefault_all(&box->vm, 0, box->gpa, box->size));
	EXPECT_MAPPED(0, 3);
}

/* C18: mixed until the last page is back, in whatever order */
TEST_F(level, c18_mixed_until_the_last)
{
	static const int page[] = { 0, 511, 255, 256, 1 };
	struct box *box = &self->box;
	int i, nr = ARRAY_SIZE(page);
	__u64 gpa = box->gpa + SZ_2M;

	ASSERT_OK(box_bind(box));
	ASSERT_OK(prefault_all(&box->vm, 0, box->gpa, box->size));
	ASSERT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, box->gpa, box->size, SEED));
	for (i = 0; i < nr; i++)
		ASSERT_OK(vm_set_shared(&box->vm, gpa + page[i] * PAGE, PAGE));
	for (i = 0; i < nr; i++) {
		ASSERT_OK(prefault_all(&box->vm, 0, box->gpa, box->size));
		EXPECT_MAPPED(PAGES_2M, 2);
		ASSERT_OK(vm_set_private(&box->vm, gpa + page[nr - 1 - i] * PAGE, PAGE));
	}
	ASSERT_OK(prefault_all(&box->vm, 0, box->gpa, box->size));
	EXPECT_MAPPED(0, 3);
	EXPECT_EQ(0, guest_do(&box->vm, 1, GUEST_VERIFY, box->gpa, box->size, SEED));
}

/* Setting what is set unmaps nothing. */
TEST_F(level, same_state_keeps_mappings)
{
	struct box *box = &self->box;

	ASSERT_OK(box_bind(box));
	ASSERT_OK(prefault_all(&box->vm, 0, box->gpa, box->size));
	ASSERT_OK(vm_set_private(&box->vm, box->gpa + PAGE, PAGE));
	ASSERT_OK(vm_set_private(&box->vm, box->gpa, box->size));
	EXPECT_MAPPED(0, 3);
}

/*
 * C18: two slots in reverse order of the file, addresses of nobody between them, and
 * holes in the file; one range from the middle of one to the middle of the other
 */
TEST_F(level, c18_slots_and_holes)
{
	struct box *box = &self->box;
	__u64 a = box->gpa, b = box->gpa + 4 * SZ_2M;
	__u64 from = a + 3 * SZ_1M, to = b + SZ_1M;

	map_slot(_metadata, box, 1, a, 2 * SZ_2M, SZ_2M);
	map_slot(_metadata, box, 2, b, SZ_2M, 0);
	EXPECT_MAPPED(0, 3);
	/* a hole in what is converted, one in what is not */
	ASSERT_OK(punch_patiently(box->fd, SZ_2M + 3 * SZ_1M + 4 * PAGE, PAGE));
	ASSERT_OK(punch_patiently(box->fd, SZ_2M + 5 * PAGE, PAGE));
	memset(box->shared, SHARED & 0xff, 2 * SZ_2M);
	ASSERT_OK(vm_set_shared(&box->vm, from, to - from));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, from, SZ_1M, SHARED));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, b, SZ_1M, SHARED));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_VERIFY, a, 5 * PAGE, SEED));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, a + 5 * PAGE, PAGE, 0));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_VERIFY, a + 6 * PAGE, from - a - 6 * PAGE, SEED));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_VERIFY, to, SZ_1M, SEED));
	ASSERT_OK(vm_set_private(&box->vm, from, to - from));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_VERIFY, from, 4 * PAGE, SEED));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, from + 4 * PAGE, PAGE, 0));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_VERIFY, from + 5 * PAGE, SZ_1M - 5 * PAGE, SEED));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_VERIFY, b, SZ_2M, SEED));
	/* The second slot's page was never split. */
	ASSERT_OK(prefault_all(&box->vm, 0, a, 2 * SZ_2M));
	ASSERT_OK(prefault_all(&box->vm, 0, b, SZ_2M));
	EXPECT_STREQ(is_hugetlb(box->store) ? counts(CODE, 3, 0) :
		     counts(CODE + 2 * PAGES_2M, 1, 0), mapped(&box->vm));
}

/* C9: a folio that was split is one again, with all of its data, under a guest. */
TEST_F(level, c9_merged_by_fallocate)
{
	struct box *box = &self->box;
	struct bystander bystander;

	ASSERT_OK(box_bind(box));
	ASSERT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, box->gpa, box->size, SEED));
	ASSERT_OK(punch_patiently(box->fd, PAGE, PAGE));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, box->gpa + PAGE, PAGE, 0));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, box->gpa + PAGE, PAGE, SEED));
	/* a vCPU elsewhere in it may hold a page when it is looked at: try again */
	ASSERT_EQ(0, bystander_start(&bystander, box, &parts[1]));
	EXPECT_OK(populate(box->fd, 0, SZ_2M));
	EXPECT_EQ(0, bystander_stop(&bystander));
	EXPECT_EQ(0, guest_do(&box->vm, 1, GUEST_VERIFY, box->gpa, box->size, SEED));
	EXPECT_OK(populate(box->fd, 0, SZ_2M));
	EXPECT_STREQ(counts(0, 3, 0), held(box->fd));
	EXPECT_EQ(0, guest_do(&box->vm, 1, GUEST_VERIFY, box->gpa, box->size, SEED));
	EXPECT_MAPPED(0, 3);
	/* a hole is a hole, still */
	ASSERT_OK(punch_patiently(box->fd, 2 * PAGE, PAGE));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, box->gpa + 2 * PAGE, PAGE, 0));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_VERIFY, box->gpa, 2 * PAGE, SEED));
}

/* Deleting the slot unmaps at every level; the data is the file's. */
TEST_F(level, c5_delete_slot)
{
	struct box *box = &self->box;

	ASSERT_OK(box_bind(box));
	ASSERT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, box->gpa, box->size, SEED));
	ASSERT_OK(vm_set_shared(&box->vm, box->gpa + PAGE, PAGE));
	ASSERT_OK(prefault_all(&box->vm, 0, box->gpa, box->size));
	EXPECT_MAPPED(PAGES_2M, 2);
	ASSERT_OK(vm_unbind(&box->vm, 1));
	EXPECT_MAPPED(0, 0);
	ASSERT_OK(box_bind(box));
	EXPECT_EQ(0, guest_do(&box->vm, 1, GUEST_VERIFY, box->gpa, box->size, SEED));
	EXPECT_MAPPED(0, 3);
}

/* ---- C14: two vCPUs and the host want the same huge page at once ---- */

FIXTURE(c14) {
	struct box box;
};

FIXTURE_VARIANT(c14) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(c14, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(c14, hugetlb_2m) { .store = &hugetlb_2m_store };

FIXTURE_SETUP(c14)
{
	if (box_fill_pool(&self->box, variant->store, SZ_2M))
		SKIP(return, "the pool for %s has too few free pages", variant->store->name);
	ASSERT_OK(box_open(&self->box));
	ASSERT_OK(box_bind(&self->box));
}

FIXTURE_TEARDOWN(c14)
{
	box_close(&self->box);
}

struct toucher {
	struct box *box;
	pthread_barrier_t *start;
	int who;
	int result;
	pthread_t thread;
};

static void *touch(void *arg)
{
	struct toucher *t = arg;
	__u64 gpa = t->box->gpa + (t->who * 211 + 100) * PAGE;

	pthread_barrier_wait(t->start);
	if (t->who < 2)
		t->result = guest_do(&t->box->vm, t->who, GUEST_STAMP, gpa, PAGE, SEED);
	else
		t->result = ERRNO(populate(t->box->fd, 0, SZ_2M));
	return NULL;
}

/* Returns the first failure. */
static int touch_all(struct toucher *toucher, int nr)
{
	int i, bad = 0;

	for (i = 0; i < nr; i++)
		bad |= pthread_create(&toucher[i].thread, NULL, touch, &toucher[i]);
	for (i = 0; i < nr; i++) {
		pthread_join(toucher[i].thread, NULL);
		bad = bad ? bad : toucher[i].result;
	}
	return bad;
}

/* @nr: two vCPUs, or the host's populate besides */
static void one_folio(struct __test_metadata *_metadata, struct box *box, int nr)
{
	struct toucher toucher[3];
	pthread_barrier_t start;
	struct race race;
	int i;

	ASSERT_EQ(0, pthread_barrier_init(&start, NULL, nr));
	race_start(&race, 200, 1);
	while (race_next(&race) && !_metadata->exit_code) {
		ASSERT_OK(punch_patiently(box->fd, 0, SZ_2M));
		for (i = 0; i < nr; i++)
			toucher[i] = (struct toucher) { .box = box, .start = &start, .who = i };
		EXPECT_EQ(0, touch_all(toucher, nr));
		EXPECT_STREQ(counts(0, 1, 0), held(box->fd));
		EXPECT_STREQ(counts(CODE, 1, 0), mapped(&box->vm));
		if (is_hugetlb(box->store))
			EXPECT_STREQ(pool_is(0, -1, 0, 0), pool_now(&box->pool));
		for (i = 0; i < 2; i++)
			EXPECT_EQ(0, guest_do(&box->vm, !i, GUEST_VERIFY,
					      box->gpa + (i * 211 + 100) * PAGE, PAGE, SEED));
	}
	pthread_barrier_destroy(&start);
}

TEST_F_TIMEOUT(c14, two_vcpus, SLOW)
{
	one_folio(_metadata, &self->box, 2);
}

TEST_F_TIMEOUT(c14, two_vcpus_and_populate, SLOW)
{
	one_folio(_metadata, &self->box, 3);
}

/* ---- the pool, seen from a guest (R10) ---- */

FIXTURE(pool) {
	struct box box;
};

FIXTURE_SETUP(pool)
{
	if (box_fill_pool(&self->box, &hugetlb_2m_store, 3 * SZ_2M))
		SKIP(return, "the pool of 2M pages has too few free ones");
	ASSERT_OK(box_open(&self->box));
	ASSERT_OK(box_bind(&self->box));
}

FIXTURE_TEARDOWN(pool)
{
	box_empty(&self->box);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&self->box.pool));
	box_close(&self->box);
}

#define EXPECT_POOL(free, rsvd) \
	EXPECT_STREQ(pool_is(0, free, rsvd, 0), pool_now(&self->box.pool))

TEST_F(pool, r10_fault_convert_punch)
{
	struct box *box = &self->box;

	EXPECT_POOL(0, 3);
	ASSERT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, box->gpa, 4, 0));
	EXPECT_POOL(-1, 2);
	ASSERT_OK(vm_prefault(&box->vm, 0, box->gpa + SZ_2M, PAGE, NULL));
	EXPECT_POOL(-2, 1);
	ASSERT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, box->gpa, box->size, SEED));
	EXPECT_POOL(-3, 0);
	/* conversions move nothing */
	ASSERT_OK(vm_set_shared(&box->vm, box->gpa, SZ_2M + PAGE));
	EXPECT_POOL(-3, 0);
	ASSERT_OK(punch(box->fd, 0, SZ_2M + PAGE));
	EXPECT_POOL(-2, 1);
	ASSERT_OK(vm_set_private(&box->vm, box->gpa, SZ_2M + PAGE));
	EXPECT_POOL(-2, 1);
	ASSERT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, box->gpa, SZ_2M + PAGE, 0));
	EXPECT_POOL(-3, 0);
}

/* R10: the pages belong to the file until VM and descriptor are gone. */
TEST_F(pool, r10_c5_close_before_vm)
{
	struct box *box = &self->box;

	ASSERT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, box->gpa, SZ_2M, SEED));
	close(box->fd);
	EXPECT_POOL(-1, 2);
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, box->gpa + SZ_2M, SZ_2M, SEED));
	EXPECT_POOL(-2, 1);
	vm_destroy(&box->vm);
	EXPECT_POOL(0, 0);
	box->fd = -1;
}

TEST_F(pool, r10_c5_vm_before_close)
{
	struct box *box = &self->box;

	ASSERT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, box->gpa, SZ_2M, SEED));
	vm_destroy(&box->vm);
	EXPECT_POOL(-1, 2);
	EXPECT_OK(punch(box->fd, 0, SZ_2M));
	EXPECT_POOL(0, 3);
}

/* R10: a fault cannot fail for want of pages, were the pool ever so empty. */
TEST_F(pool, r10_reserved_to_the_last)
{
	struct box *box = &self->box;
	struct pool_state now;
	int fd = -1;

	ASSERT_OK(pool_read(SZ_2M, &now));
	/* somebody takes what is free, all of it */
	if (now.free > now.rsvd) {
		fd = guest_create(MFD_HUGETLB | MFD_HUGE_2MB, (now.free - now.rsvd) * SZ_2M);
		ASSERT_LE(0, fd);
		ASSERT_OK(populate(fd, 0, (now.free - now.rsvd) * SZ_2M));
	}
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_STAMP, box->gpa, box->size, SEED));
	ASSERT_OK(punch(box->fd, 0, SZ_2M));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_CHECK, box->gpa, SZ_2M, 0));
	EXPECT_EQ(0, guest_do(&box->vm, 0, GUEST_VERIFY, box->gpa + SZ_2M, 2 * SZ_2M, SEED));
	if (fd >= 0)
		close(fd);
}

/* ---- struct pages given back (HVO): a guest sees no difference ---- */

#define HVO	"/proc/sys/vm/hugetlb_optimize_vmemmap"

FIXTURE(hvo) {
	struct box box;
	char saved[16];
};

FIXTURE_SETUP(hvo)
{
	if (read_file(HVO, self->saved, sizeof(self->saved)))
		SKIP(return, "no " HVO);
	ASSERT_OK(write_file(HVO, "1"));
	if (box_fill_pool(&self->box, &hugetlb_2m_store, ZONE)) {
		write_file(HVO, self->saved);
		SKIP(return, "the pool of 2M pages has too few free ones");
	}
	ASSERT_OK(box_open(&self->box));
	ASSERT_OK(box_bind(&self->box));
}

FIXTURE_TEARDOWN(hvo)
{
	box_close(&self->box);
	EXPECT_OK(write_file(HVO, self->saved));
}

TEST_F_TIMEOUT(hvo, c9_every_part, SLOW)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		zone_reset(_metadata, &self->box, false);
		take_away(_metadata, &self->box, &parts[i], CONVERT_PUNCH);
		give_back(_metadata, &self->box, &parts[i], CONVERT_PUNCH, false);
		ASSERT_EQ(0, _metadata->exit_code)
			TH_LOG("%s", parts[i].name);
	}
}

/* ---- 1G: one page, because zeroing one takes seconds ---- */

FIXTURE(gigantic) {
	struct box box;
};

FIXTURE_SETUP(gigantic)
{
	if (box_fill_pool(&self->box, &hugetlb_1g_store, SZ_1G))
		SKIP(return, "the system has no free huge page of 1G");
	ASSERT_OK(box_open(&self->box));
}

FIXTURE_TEARDOWN(gigantic)
{
	box_empty(&self->box);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&self->box.pool));
	box_close(&self->box);
}

/**
 * struct placement - how a slot may lie in a 1G page, and what KVM may make of it
 * @name: for messages
 * @gpa: of the slot, from 1G
 * @size: of the slot
 * @offset: in the file
 * @prefault: bytes that are mapped, from the start of the slot
 * @nr_4k: mappings by level
 * @nr_2m: of these
 * @nr_1g: of these
 */
struct placement {
	const char *name;
	unsigned long gpa, size, offset, prefault;
	long nr_4k, nr_2m, nr_1g;
};

static const struct placement placements[] = {
	{ "aligned", 0, SZ_1G, 0, PAGE, 0, 0, 1 },
	{ "2M aligned address", SZ_2M, SZ_1G, 0, 4 * SZ_2M, 0, 4, 0 },
	{ "2M aligned offset", 0, SZ_1G - SZ_2M, SZ_2M, 4 * SZ_2M, 0, 4, 0 },
	{ "half of the page", 0, SZ_1G / 2, 0, 2 * SZ_2M, 0, 2, 0 },
	{ "other half, aligned", SZ_1G / 2, SZ_1G / 2, SZ_1G / 2, 2 * SZ_2M, 0, 2, 0 },
	{ "one page short", 0, SZ_1G - PAGE, 0, 2 * SZ_2M, 0, 2, 0 },
	{ "starts inside", SZ_1M, SZ_1G - SZ_1M, SZ_1M, 3 * SZ_1M, PAGES_2M / 2, 1, 0 },
	{ "1M aligned address", SZ_1M, SZ_1G - SZ_2M, 0, SZ_2M, PAGES_2M, 0, 0 },
	{ "4K aligned offset", 0, SZ_1G - PAGE, PAGE, SZ_2M, PAGES_2M, 0, 0 },
};

static atomic_bool calm;

static void *fire(void *target)
{
	while (!atomic_load(&calm)) {
		usleep(20000);
		pthread_kill(*(pthread_t *)target, SIGUSR1);
	}
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
}

/* Zeroed under fire: a prefault that is interrupted has got on all the same. */
static void prefault_under_signals(struct __test_metadata *_metadata, struct box *box)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t self = pthread_self(), thread;
	int err = EINTR, tries;

	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(0, pthread_create(&thread, NULL, fire, &self));
	for (tries = 0; err == EINTR && tries < 4000; tries++)
		err = ERRNO(vm_prefault(&box->vm, 0, box->gpa, PAGE, NULL));
	atomic_store(&calm, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, err);
	EXPECT_LT(1, tries);
}

/* R6: 1G pages under slots of every alignment */
TEST_F_TIMEOUT(gigantic, r6_placements, SLOW)
{
	const struct placement *p = placements;
	struct box *box = &self->box;
	struct vm *vm = &box->vm;
	__u64 gpa;

	ASSERT_OK(box_bind(box));
	prefault_under_signals(_metadata, box);
	EXPECT_STREQ(pool_is(0, -1, 0, 0), pool_now(&box->pool));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_FILL, box->gpa, 8 * SZ_2M, SEED));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_FILL, box->gpa + SZ_1G / 2, 8 * SZ_2M, SEED));
	EXPECT_STREQ(counts(CODE, 0, 1), mapped(vm));
	ASSERT_OK(vm_unbind(vm, 1));
	ASSERT_OK(vm_set_private(vm, box->gpa, SZ_1G + SZ_2M));
	for (p = placements; p < placements + ARRAY_SIZE(placements); p++) {
		gpa = box->gpa + p->gpa;
		ASSERT_OK(vm_bind(vm, 1, gpa, p->size, box->shared, box->fd, p->offset));
		ASSERT_OK(prefault_all(vm, 0, gpa, p->prefault));
		EXPECT_STREQ(counts(CODE + p->nr_4k, p->nr_2m, p->nr_1g), mapped(vm))
			TH_LOG("%s", p->name);
		EXPECT_EQ(0, guest_do(vm, 0, GUEST_CHECK, gpa, p->prefault, SEED));
		ASSERT_OK(vm_unbind(vm, 1));
	}
	EXPECT_STREQ(counts(0, 0, 1), held(box->fd));
}

TEST_HARNESS_MAIN
