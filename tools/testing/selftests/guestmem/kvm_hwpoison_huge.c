// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors in pages of every size and store (R19, C11): exactly the page with the
 * error is lost, and the guest is told which. The others keep their data, and are mapped
 * as huge as alignment allows: in a page of 1G all but one aligned 2M by 2M. A page that
 * has an error never goes back to a pool before it is healed.
 *
 * kvm_hwpoison_race.c has errors that come at a bad moment.
 */
#include "guestmem_hwpoison.h"
#include "../kselftest_harness.h"

#define SHARED	0xabababab

/* Why there is nothing to be tested, or NULL. @spare: pages of the pool for others */
static const char *set_up(struct victim *v, const struct store *store, unsigned int flags,
			  long spare)
{
	if (hwpoison_prepare())
		return "the kernel cannot make memory errors";
	if (victim_init(v, store, flags, spare))
		return "the pool of huge pages has too few free ones";
	return NULL;
}

FIXTURE(error) {
	struct victim victim;
};

FIXTURE_VARIANT(error) {
	const struct store *store;
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(error, shmem_4k) { .store = &small_store };
FIXTURE_VARIANT_ADD(error, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(error, hugetlb_2m) { .store = &hugetlb_2m_store };
FIXTURE_VARIANT_ADD(error, hugetlb_1g) { .store = &hugetlb_1g_store };
FIXTURE_VARIANT_ADD(error, shmem_movable) {
	.store = &shmem_store, .flags = MFD_GUEST_MOVABLE,
};

FIXTURE_VARIANT_ADD(error, hugetlb_2m_movable) {
	.store = &hugetlb_2m_store, .flags = MFD_GUEST_MOVABLE,
};

FIXTURE_SETUP(error)
{
	const char *why = set_up(&self->victim, variant->store, variant->flags, 0);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_OK(victim_renew(&self->victim));
}

FIXTURE_TEARDOWN(error)
{
	EXPECT_OK(victim_close(&self->victim));
}

/* The pool's figures relative to those before the file; for shmem there are none. */
#define EXPECT_POOL(free, rsvd) do { \
	if (is_hugetlb(self->victim.store)) \
		EXPECT_STREQ(pool_is(0, free, rsvd, 0), pool_now(&self->victim.pool)); \
} while (0)

/* The handler knows that hugetlb's page has an error already, and says so. */
static int second_error(const struct victim *v)
{
	return is_hugetlb(v->store) ? EHWPOISON : 0;
}

static void expect_all(struct __test_metadata *_metadata, struct victim *v)
{
	EXPECT_STREQ("fine", victim_state(v));
	ASSERT_OK(victim_prefault(v));
	EXPECT_STREQ(victim_levels(v), mapped(&v->vm));
	EXPECT_STREQ(victim_folios(v), held(v->fd));
}

/* Bound, mapped as huge as can be, and stamped */
static void start(struct __test_metadata *_metadata, struct victim *v)
{
	ASSERT_OK(victim_bind(v));
	ASSERT_OK(victim_fill(v));
	expect_all(_metadata, v);
	ASSERT_EQ(0, _metadata->exit_code);
}

/* R19: every store, first, middle, last page; a page of 1G is mapped by 1G before */
TEST_F_TIMEOUT(error, r19_mapped, SLOW)
{
	struct victim *v = &self->victim;
	enum place place;

	v->whole = victim_1g(v);
	for (place = 0; place < NR_PLACES; place++) {
		if (place)
			ASSERT_OK(victim_renew(v));
		start(_metadata, v);
		EXPECT_EQ(0, victim_poison(v, victim_place(v, place)));
		expect_all(_metadata, v);
		EXPECT_POOL(-v->size / (off_t)v->store->granule, 0);
		ASSERT_EQ(0, _metadata->exit_code)
			TH_LOG("%s", place_name[place]);
	}
}

/* R19: one after the other in one huge page; each takes one page more. */
TEST_F_TIMEOUT(error, r19_several_in_one, SLOW)
{
	struct victim *v = &self->victim;
	const off_t offset[] = {
		victim_place(v, LAST), victim_place(v, FIRST), victim_place(v, MIDDLE),
		/* neighbours of those */
		victim_place(v, FIRST) + PAGE, victim_place(v, MIDDLE) - PAGE,
		victim_place(v, LAST) - 5 * PAGE,
	};
	unsigned int i;

	start(_metadata, v);
	for (i = 0; i < ARRAY_SIZE(offset); i++) {
		EXPECT_EQ(i ? second_error(v) : 0, victim_poison(v, offset[i]));
		expect_all(_metadata, v);
		ASSERT_EQ(0, _metadata->exit_code)
			TH_LOG("error %u", i);
	}
	/* the same one again */
	EXPECT_EQ(EHWPOISON, victim_poison(v, offset[0]));
	EXPECT_EQ(ARRAY_SIZE(offset), v->nr_bad);
	expect_all(_metadata, v);
}

/* R19: there since fallocate(), used by nobody, not even bound (C11) */
TEST_F_TIMEOUT(error, r19_c11_not_bound, SLOW)
{
	struct victim *v = &self->victim;

	ASSERT_OK(victim_populate(v));
	EXPECT_EQ(0, victim_poison(v, victim_place(v, FIRST)));
	ASSERT_OK(victim_bind(v));
	expect_all(_metadata, v);
}

TEST_F_TIMEOUT(error, r19_bound_not_mapped, SLOW)
{
	struct victim *v = &self->victim;

	ASSERT_OK(victim_populate(v));
	ASSERT_OK(victim_bind(v));
	EXPECT_EQ(0, victim_poison(v, victim_place(v, LAST)));
	expect_all(_metadata, v);
}

/* R19: mapped by KVM_PRE_FAULT_MEMORY, no vCPU has been there */
TEST_F_TIMEOUT(error, r19_prefaulted, SLOW)
{
	struct victim *v = &self->victim;

	ASSERT_OK(victim_bind(v));
	ASSERT_OK(victim_prefault(v));
	EXPECT_EQ(0, victim_poison(v, victim_place(v, MIDDLE)));
	expect_all(_metadata, v);
}

/* C11: mapped, unbound when the error comes, and bound again */
TEST_F_TIMEOUT(error, c11_unbound_meanwhile, SLOW)
{
	struct victim *v = &self->victim;

	start(_metadata, v);
	ASSERT_OK(vm_unbind(&v->vm, 1));
	EXPECT_EQ(0, victim_poison(v, victim_place(v, MIDDLE)));
	ASSERT_OK(victim_bind(v));
	expect_all(_metadata, v);
	/* and what is bad already stays so */
	ASSERT_OK(vm_unbind(&v->vm, 1));
	ASSERT_OK(victim_bind(v));
	expect_all(_metadata, v);
}

/* R3, R19: two slots share the huge page. */
TEST_F_TIMEOUT(error, r3_r19_two_slots, SLOW)
{
	struct victim *v = &self->victim;
	off_t half = victim_place(v, MIDDLE), size = PAGE;
	struct vm *vm = &v->vm;

	ASSERT_OK(vm_set_private(vm, v->gpa, v->size));
	ASSERT_OK(vm_bind(vm, 1, v->gpa + half - size, size, v->shared, v->fd, half - size));
	ASSERT_OK(vm_bind(vm, 2, v->gpa + half, size, v->shared, v->fd, half));
	ASSERT_EQ(0, guest_do(vm, 0, GUEST_STAMP, v->gpa + half - size, 2 * size, BAD_SEED));
	EXPECT_EQ(0, victim_poison(v, half));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_VERIFY, v->gpa + half - size, size, BAD_SEED));
	EXPECT_EQ(-EHWPOISON, guest_do(vm, 1, GUEST_VERIFY, v->gpa + half - size, 2 * size,
				       BAD_SEED));
	EXPECT_EQ(v->gpa + half, vm->run[1]->memory_fault.gpa);
	EXPECT_EQ(0, victim_poison(v, half - size) & ~second_error(v));
	EXPECT_EQ(-EHWPOISON, guest_do(vm, 0, GUEST_VERIFY, v->gpa + half - size, size,
				       BAD_SEED));
	EXPECT_EQ(v->gpa + half - size, vm->run[0]->memory_fault.gpa);
	ASSERT_OK(vm_unbind(vm, 2));
}

/* R19: a bad page can be shared; the guest gets what the host has there. */
TEST_F_TIMEOUT(error, r19_converted, SLOW)
{
	struct victim *v = &self->victim;
	off_t bad = victim_place(v, MIDDLE);
	__u64 gpa = v->gpa + bad;

	start(_metadata, v);
	EXPECT_EQ(0, victim_poison(v, bad));
	memset(v->shared + bad - PAGE, SHARED & 0xff, 3 * PAGE);
	ASSERT_OK(vm_set_shared(&v->vm, gpa - PAGE, 3 * PAGE));
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_CHECK, gpa - PAGE, 3 * PAGE, SHARED));
	ASSERT_OK(vm_set_private(&v->vm, gpa - PAGE, 3 * PAGE));
	expect_all(_metadata, v);
	/* shared when the error comes */
	ASSERT_OK(vm_set_shared(&v->vm, gpa - PAGE, 3 * PAGE));
	EXPECT_EQ(second_error(v), victim_poison(v, bad + PAGE));
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_CHECK, gpa - PAGE, 3 * PAGE, SHARED));
	ASSERT_OK(vm_set_private(&v->vm, gpa - PAGE, 3 * PAGE));
	expect_all(_metadata, v);
}

/* C11: the VM is gone before the errors are, one comes afterwards; then a punch of all */
TEST_F_TIMEOUT(error, c11_r19_vm_gone, SLOW)
{
	struct victim *v = &self->victim;
	long nr = v->size / v->store->granule;

	start(_metadata, v);
	EXPECT_EQ(0, victim_poison(v, victim_place(v, FIRST)));
	vm_destroy(&v->vm);
	EXPECT_EQ(second_error(v), victim_poison(v, victim_place(v, LAST)));
	EXPECT_STREQ(victim_folios(v), held(v->fd));
	EXPECT_POOL(-nr, 0);
	EXPECT_OK(punch(v->fd, 0, v->size));
	EXPECT_STREQ(counts(0, 0, 0), held(v->fd));
	EXPECT_POOL(-1, nr - 1);
	EXPECT_OK(victim_heal(v));
	EXPECT_POOL(0, nr - 1);
}

/* R10, R19: closed with all that is bad in it: the pool lacks that granule only. */
TEST_F_TIMEOUT(error, r10_r19_closed, SLOW)
{
	struct victim *v = &self->victim;
	unsigned long pfn;

	start(_metadata, v);
	EXPECT_EQ(0, victim_poison(v, victim_place(v, MIDDLE)));
	pfn = frame_of(v->fd, victim_place(v, MIDDLE));
	vm_destroy(&v->vm);
	close(v->fd);
	v->fd = -1;
	EXPECT_TRUE(frame_bad(pfn));
	EXPECT_FALSE(frame_free(pfn));
	EXPECT_POOL(-1, 0);
	EXPECT_OK(victim_heal(v));
	EXPECT_FALSE(frame_bad(pfn));
	EXPECT_POOL(0, 0);
}

/* ---- what has an error leaves the file: single pages of shmem ---- */

FIXTURE(page) {
	struct victim victim;
};

FIXTURE_VARIANT(page) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(page, shmem_4k) { .store = &small_store };
FIXTURE_VARIANT_ADD(page, shmem) { .store = &shmem_store };

FIXTURE_SETUP(page)
{
	const char *why = set_up(&self->victim, variant->store, 0, 0);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_OK(victim_renew(&self->victim));
}

FIXTURE_TEARDOWN(page)
{
	EXPECT_OK(victim_close(&self->victim));
}

/* R19: a punch takes a bad page of shmem away, the next one there is fresh. */
TEST_F_TIMEOUT(page, r19_punch_page, SLOW)
{
	struct victim *v = &self->victim;
	off_t bad = victim_place(v, MIDDLE);
	unsigned long pfn;

	start(_metadata, v);
	EXPECT_EQ(0, victim_poison(v, bad));
	pfn = frame_of(v->fd, bad);
	EXPECT_ERRNO(EBUSY, frame_unpoison(pfn));
	ASSERT_OK(punch(v->fd, bad, PAGE));
	EXPECT_EQ(0, frame_of(v->fd, bad));
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_CHECK, v->gpa + bad, PAGE, 0));
	EXPECT_NE(pfn, frame_of(v->fd, bad));
	ASSERT_EQ(0, guest_do(&v->vm, 1, GUEST_STAMP, v->gpa + bad, PAGE, BAD_SEED));
	/* the frame is nobody's as long as it has the error */
	EXPECT_TRUE(frame_bad(pfn));
	EXPECT_FALSE(frame_free(pfn));
	EXPECT_OK(frame_unpoison(pfn));
	EXPECT_FALSE(frame_bad(pfn));
	victim_forget(v, bad);
	EXPECT_STREQ("fine", victim_state(v));
}

/* ---- granules of hugetlb, of which pages cannot leave ---- */

FIXTURE(granule) {
	struct victim victim;
};

FIXTURE_VARIANT(granule) {
	const struct store *store;
};

FIXTURE_VARIANT_ADD(granule, hugetlb_2m) { .store = &hugetlb_2m_store };
FIXTURE_VARIANT_ADD(granule, hugetlb_1g) { .store = &hugetlb_1g_store };

FIXTURE_SETUP(granule)
{
	const char *why = set_up(&self->victim, variant->store, 0, 0);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_OK(victim_renew(&self->victim));
}

FIXTURE_TEARDOWN(granule)
{
	EXPECT_OK(victim_close(&self->victim));
}

/* R19: nobody zeroes a page that has an error, were it a hole. */
TEST_F_TIMEOUT(granule, r19_in_a_hole, SLOW)
{
	struct victim *v = &self->victim;
	off_t bad = victim_place(v, MIDDLE), hole = bad - 3 * PAGE, size = 8 * PAGE;
	__u64 gpa = v->gpa + hole;

	start(_metadata, v);
	ASSERT_OK(punch(v->fd, hole, size));
	EXPECT_EQ(0, victim_poison(v, bad));
	EXPECT_ERRNO(EHWPOISON, populate(v->fd, hole, size));
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_CHECK, gpa, bad - hole, 0));
	EXPECT_EQ(0, guest_do(&v->vm, 1, GUEST_CHECK, v->gpa + bad + PAGE,
			      hole + size - bad - PAGE, 0));
	ASSERT_EQ(0, guest_do(&v->vm, 0, GUEST_STAMP, gpa, bad - hole, BAD_SEED));
	ASSERT_EQ(0, guest_do(&v->vm, 0, GUEST_STAMP, v->gpa + bad + PAGE,
			      hole + size - bad - PAGE, BAD_SEED));
	expect_all(_metadata, v);
}

/* R19: a bad page of a granule is as bad after a punch, as long as the granule stays. */
TEST_F_TIMEOUT(granule, r19_punch_part, SLOW)
{
	struct victim *v = &self->victim;
	off_t bad = victim_place(v, MIDDLE);

	start(_metadata, v);
	EXPECT_EQ(0, victim_poison(v, bad));
	ASSERT_OK(punch(v->fd, bad, PAGE));
	expect_all(_metadata, v);
	/* punched together with others; those read as zero */
	ASSERT_OK(punch(v->fd, bad - PAGE, 3 * PAGE));
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_CHECK, v->gpa + bad - PAGE, PAGE, 0));
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_CHECK, v->gpa + bad + PAGE, PAGE, 0));
	ASSERT_EQ(0, guest_do(&v->vm, 0, GUEST_STAMP, v->gpa + bad - PAGE, PAGE, BAD_SEED));
	ASSERT_EQ(0, guest_do(&v->vm, 0, GUEST_STAMP, v->gpa + bad + PAGE, PAGE, BAD_SEED));
	expect_all(_metadata, v);
	EXPECT_POOL(-v->size / (off_t)v->store->granule, 0);
}

/*
 * R10, R19: a granule that is punched leaves the file, and its reservation is lost with
 * it: the pool has one page less to give.  When it is healed, it is the pool's again.
 */
TEST_F_TIMEOUT(granule, r10_r19_punch_granule, SLOW)
{
	struct victim *v = &self->victim;
	off_t bad = victim_place(v, MIDDLE), granule = victim_granule(v, bad);
	long nr = v->size / v->store->granule;
	unsigned long pfn, head;

	start(_metadata, v);
	EXPECT_EQ(0, victim_poison(v, bad));
	EXPECT_EQ(EHWPOISON, victim_poison(v, victim_place(v, LAST)));
	pfn = frame_of(v->fd, bad);
	head = frame_of(v->fd, granule);
	EXPECT_ERRNO(EBUSY, frame_unpoison(head));
	EXPECT_POOL(-nr, 0);
	ASSERT_OK(punch(v->fd, granule, v->store->granule));
	EXPECT_EQ(0, frame_of(v->fd, granule));
	EXPECT_POOL(-nr, 0);
	EXPECT_TRUE(frame_bad(pfn));
	EXPECT_OK(frame_unpoison(head));
	EXPECT_FALSE(frame_bad(pfn));
	EXPECT_POOL(1 - nr, 0);
	/* a fresh one, good and huge */
	v->nr_bad = 0;
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_CHECK, v->gpa + bad, PAGE, 0));
	EXPECT_POOL(-nr, 0);
	ASSERT_OK(victim_fill(v));
	expect_all(_metadata, v);
}

/* R10: while the granule has the error, there may be none for the guest: that is said. */
TEST_F_TIMEOUT(granule, r10_r19_not_replaced, SLOW)
{
	struct victim *v = &self->victim;
	off_t bad = victim_place(v, FIRST);
	struct pool_state now;
	int fd = -1;

	start(_metadata, v);
	EXPECT_EQ(0, victim_poison(v, bad));
	ASSERT_OK(punch(v->fd, bad, v->store->granule));
	ASSERT_OK(pool_read(v->store->granule, &now));
	/* somebody reserves what is free */
	if (now.free > now.rsvd) {
		fd = guest_create(v->store->flags, (now.free - now.rsvd) * v->store->granule);
		ASSERT_LE(0, fd);
	}
	EXPECT_ERRNO(ENOMEM, vm_prefault(&v->vm, 0, v->gpa + bad, PAGE, NULL));
	EXPECT_EQ(-ENOMEM, guest_do(&v->vm, 0, GUEST_CHECK, v->gpa + bad, PAGE, 0));
	EXPECT_ERRNO(ENOMEM, populate(v->fd, bad, PAGE));
	EXPECT_OK(victim_heal(v));
	v->nr_bad = 0;
	EXPECT_EQ(0, guest_do(&v->vm, 0, GUEST_CHECK, v->gpa + bad, PAGE, 0));
	if (fd >= 0)
		close(fd);
}

/* ---- pages that are suspected only (soft offline) ---- */

FIXTURE(suspect) {
	struct victim victim;
};

FIXTURE_VARIANT(suspect) {
	const struct store *store;
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(suspect, shmem_4k) { .store = &small_store };
FIXTURE_VARIANT_ADD(suspect, shmem) { .store = &shmem_store };
FIXTURE_VARIANT_ADD(suspect, hugetlb_2m) { .store = &hugetlb_2m_store };
FIXTURE_VARIANT_ADD(suspect, hugetlb_1g) { .store = &hugetlb_1g_store };
FIXTURE_VARIANT_ADD(suspect, shmem_4k_movable) {
	.store = &small_store, .flags = MFD_GUEST_MOVABLE,
};

FIXTURE_VARIANT_ADD(suspect, shmem_movable) {
	.store = &shmem_store, .flags = MFD_GUEST_MOVABLE,
};

FIXTURE_VARIANT_ADD(suspect, hugetlb_2m_movable) {
	.store = &hugetlb_2m_store, .flags = MFD_GUEST_MOVABLE,
};

FIXTURE_VARIANT_ADD(suspect, hugetlb_1g_movable) {
	.store = &hugetlb_1g_store, .flags = MFD_GUEST_MOVABLE,
};

/* Somewhere to move to is needed, which for hugetlb has to be in the pool. */
FIXTURE_SETUP(suspect)
{
	const char *why = set_up(&self->victim, variant->store, variant->flags, 1);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_OK(victim_renew(&self->victim));
}

FIXTURE_TEARDOWN(suspect)
{
	EXPECT_OK(victim_close(&self->victim));
}

/*
 * R11, R13: what may move makes room, with its data; what may not stays, with its data, and
 * as huge as it was.
 */
TEST_F_TIMEOUT(suspect, r11_r13_soft_offline, SLOW)
{
	struct victim *v = &self->victim;
	off_t at = victim_place(v, MIDDLE);
	struct frames before, after;
	bool movable = variant->flags;
	unsigned long pfn;

	start(_metadata, v);
	pfn = frame_of(v->fd, at);
	ASSERT_NE(0, pfn);
	ASSERT_OK(frames_read(v->fd, &before));
	if (movable) {
		EXPECT_OK(frame_soft_offline(pfn));
		EXPECT_NE(pfn, frame_of(v->fd, at));
		EXPECT_LT(0, fdinfo_number(v->fd, "guest_migrated"));
	} else {
		EXPECT_ERRNO(EBUSY, frame_soft_offline(pfn));
		ASSERT_OK(frames_read(v->fd, &after));
		EXPECT_TRUE(frames_same(&before, &after));
		frames_free(&after);
		/* nor has it been tried: the guest has not been unmapped */
		EXPECT_STREQ(victim_levels(v), mapped(&v->vm));
		EXPECT_EQ(0, fdinfo_number(v->fd, "guest_migrated"));
		EXPECT_EQ(0, fdinfo_number(v->fd, "guest_migrate_failed"));
	}
	frames_free(&before);
	EXPECT_EQ(movable, frame_bad(pfn));
	EXPECT_EQ(v->size / PAGE, file_pages(v->fd));
	EXPECT_STREQ("fine", victim_state(v));
	/* healed while the file is in use: the frame is not the file's any more */
	if (movable)
		EXPECT_OK(frame_unpoison(pfn));
	EXPECT_STREQ("fine", victim_state(v));
}

TEST_HARNESS_MAIN
