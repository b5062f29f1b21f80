// SPDX-License-Identifier: GPL-2.0
/*
 * Memory attributes as ranges: whatever was set in whatever order, each page has
 * what was set last (C18), at the ends of ranges, over holes between the slots, up
 * to the top of the address space, for slots that come later, and while a vCPU looks
 * (C8).
 *
 * The state of a page is seen in what KVM makes of it: a slot without a guest file
 * can be pre-faulted where it is shared, and says EFAULT where it is private.
 */
#include <cpuid.h>
#include <stdatomic.h>
#include <stdio.h>

#include "guestmem_huge.h"
#include "../kselftest_harness.h"

#define WINDOW		16
#define MAX_WINDOWS	4
#define MAX_PAGES	(MAX_WINDOWS * WINDOW)
#define SEED		0xa7720000
#define SHARED		0xabababab

/* Of the host; four levels of page tables end at 48 bits. */
static int address_bits(void)
{
	unsigned int a = 0, b, c, d;

	if (!__get_cpuid(0x80000008, &a, &b, &c, &d))
		return 36;
	return (a & 0xff) < 48 ? a & 0xff : 48;
}

/**
 * struct views - slots far from each other, to look at attributes through
 * @vm: with one vCPU
 * @top: the address after the last that can be mapped
 * @gpa: where each slot starts; WINDOW pages each
 * @nr_pages: of all slots together
 * @private: the model: what each page has to be
 * @shared: memory of all slots
 * @random: state of the generator
 */
struct views {
	struct vm vm;
	__u64 top;
	__u64 gpa[MAX_WINDOWS];
	int nr_pages;
	bool private[MAX_PAGES];
	char *shared;
	unsigned int random;
};

static int views_slot(struct views *v, int window)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = 1 + window,
		.guest_phys_addr = v->gpa[window],
		.memory_size = WINDOW * PAGE,
		.userspace_addr = (uintptr_t)v->shared + window * WINDOW * PAGE,
	};

	return vm_set_slot(v->vm.fd, &region);
}

static int views_add(struct views *v, __u64 middle)
{
	int window = v->nr_pages / WINDOW;

	if (middle + WINDOW * PAGE / 2 > v->top)
		return 0;
	v->gpa[window] = middle - WINDOW * PAGE / 2;
	v->nr_pages += WINDOW;
	return views_slot(v, window);
}

static __u64 gpa_of(struct views *v, int page)
{
	return v->gpa[page / WINDOW] + page % WINDOW * PAGE;
}

static unsigned int any(struct views *v, unsigned int below)
{
	v->random = v->random * 1103515245 + 12345;
	return (v->random >> 16) % below;
}

/* Every page that differs from the model is reported. */
static void expect_model(struct __test_metadata *_metadata, struct views *v)
{
	int page, err;

	for (page = 0; page < v->nr_pages; page++) {
		err = ERRNO(vm_prefault(&v->vm, 0, gpa_of(v, page), PAGE, NULL));
		EXPECT_EQ(v->private[page] ? EFAULT : 0, err)
			TH_LOG("page %d at %#llx", page, gpa_of(v, page));
	}
}

/* From a page to a page, both included, and in between whatever lies there */
static int set_pages(struct views *v, int first, int last, bool private)
{
	__u64 from = gpa_of(v, first), to = gpa_of(v, last) + PAGE;

	memset(v->private + first, private, last - first + 1);
	return vm_set_attributes(&v->vm, from, to - from,
				 private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0);
}

static int set_all(struct views *v, __u64 size, bool private)
{
	memset(v->private, private, sizeof(v->private));
	return vm_set_attributes(&v->vm, 0, size, private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0);
}

FIXTURE(attr) {
	struct views v;
};

FIXTURE_SETUP(attr)
{
	struct views *v = &self->v;

	v->random = 4711;
	v->top = 1ULL << address_bits();
	v->shared = shared_alloc(MAX_PAGES * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)v->shared);
	ASSERT_OK(vm_create(&v->vm, 1));
	ASSERT_OK(views_add(v, VM_DATA_GPA));
	ASSERT_OK(views_add(v, 4ULL << 30));
	ASSERT_OK(views_add(v, 2ULL << 40));
	ASSERT_OK(views_add(v, v->top - WINDOW * PAGE / 2));
	ASSERT_LE(3 * WINDOW, v->nr_pages);
}

FIXTURE_TEARDOWN(attr)
{
	vm_destroy(&self->v.vm);
}

TEST_F(attr, shared_at_first)
{
	expect_model(_metadata, &self->v);
}

/* Neighbours that become one range, in every order of three */
TEST_F(attr, c18_adjacent)
{
	static const int order[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct views *v = &self->v;
	int i, j, first;

	for (i = 0; i < 6; i++) {
		for (j = 0; j < 3; j++) {
			first = 2 + 4 * order[i][j];
			ASSERT_OK(set_pages(v, first, first + 3, true));
			expect_model(_metadata, v);
		}
		/* and go one by one */
		for (j = 0; j < 3; j++) {
			first = 2 + 4 * order[i][j];
			ASSERT_OK(set_pages(v, first, first + 3, false));
			expect_model(_metadata, v);
		}
	}
}

/* Inside, across both ends, exactly, over all: of one range and of several */
TEST_F(attr, c18_overwrite)
{
	static const int range[][2] = {
		{ 4, 11 }, { 5, 10 }, { 4, 4 }, { 11, 11 }, { 3, 4 }, { 11, 12 }, { 0, 15 },
		{ 7, 8 }, { 0, 7 }, { 8, 15 }, { 1, 14 },
	};
	struct views *v = &self->v;
	unsigned int i, private;

	for (private = 0; private < 2; private++) {
		for (i = 0; i < ARRAY_SIZE(range); i++) {
			ASSERT_OK(set_pages(v, 0, WINDOW - 1, private));
			ASSERT_OK(set_pages(v, 4, 11, !private));
			ASSERT_OK(set_pages(v, range[i][0], range[i][1], private));
			expect_model(_metadata, v);
			ASSERT_OK(set_pages(v, range[i][0], range[i][1], !private));
			expect_model(_metadata, v);
		}
	}
}

/* As many ranges as pages, then one */
TEST_F(attr, c18_checkerboard)
{
	struct views *v = &self->v;
	int page;

	for (page = 0; page < v->nr_pages; page += 2)
		ASSERT_OK(set_pages(v, page, page, true));
	expect_model(_metadata, v);
	for (page = 1; page < v->nr_pages; page += 2)
		ASSERT_OK(set_pages(v, page, page, true));
	expect_model(_metadata, v);
	ASSERT_OK(set_pages(v, 0, v->nr_pages - 1, false));
	expect_model(_metadata, v);
}

/* The same again changes no page, and unmaps none. */
TEST_F(attr, c18_no_op)
{
	struct views *v = &self->v;
	long long before;

	ASSERT_OK(set_pages(v, 4, 11, true));
	expect_model(_metadata, v);
	before = vm_stat(&v->vm, "pages_4k");
	ASSERT_LT(0, before);
	ASSERT_OK(set_pages(v, 4, 11, true));
	ASSERT_OK(set_pages(v, 6, 7, true));
	ASSERT_OK(set_pages(v, 0, 3, false));
	ASSERT_OK(set_pages(v, 12, v->nr_pages - 1, false));
	EXPECT_EQ(before, vm_stat(&v->vm, "pages_4k"));
	expect_model(_metadata, v);
}

/* The whole VM, and one page otherwise */
TEST_F(attr, c18_whole_vm)
{
	struct views *v = &self->v;
	__u64 sizes[] = { v->top, 1ULL << 52, -PAGE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_OK(set_all(v, sizes[i], true));
		expect_model(_metadata, v);
		ASSERT_OK(set_pages(v, WINDOW + 3, WINDOW + 3, false));
		expect_model(_metadata, v);
		ASSERT_OK(set_all(v, sizes[i], false));
		expect_model(_metadata, v);
	}
}

/* C15: the last page there is, and one page more */
TEST_F(attr, c15_end_of_addresses)
{
	struct vm *vm = &self->v.vm;

	EXPECT_OK(vm_set_private(vm, -2 * PAGE, PAGE));
	EXPECT_ERRNO(EINVAL, vm_set_private(vm, -PAGE, 2 * PAGE));
	EXPECT_ERRNO(EINVAL, vm_set_private(vm, 1ULL << 63, 1ULL << 63));
	EXPECT_ERRNO(EINVAL, vm_set_private(vm, PAGE, -1ULL));
	EXPECT_ERRNO(EINVAL, vm_set_private(vm, 0, 0));
	expect_model(_metadata, &self->v);
}

/* A cost for each page would show: 2^40 of them, a hundred times. */
TEST_F(attr, cost_is_by_range)
{
	struct views *v = &self->v;
	int i;

	for (i = 0; i < 100; i++)
		ASSERT_OK(set_all(v, 1ULL << 52, !(i & 1)));
	expect_model(_metadata, v);
	for (i = 0; i < 100; i++)
		ASSERT_OK(vm_set_attributes(&v->vm, SZ_1G, 2ULL << 40, i & 1 ? 0 :
					    KVM_MEMORY_ATTRIBUTE_PRIVATE));
	memset(v->private + WINDOW, false, sizeof(v->private) - WINDOW);
	expect_model(_metadata, v);
}

/* Slots that go and come find what was set meanwhile. */
TEST_F(attr, slots_after_attributes)
{
	struct views *v = &self->v;
	int i;

	for (i = 0; i < v->nr_pages / WINDOW; i++)
		ASSERT_OK(vm_unbind(&v->vm, 1 + i));
	ASSERT_OK(set_pages(v, 3, WINDOW + 5, true));
	ASSERT_OK(set_pages(v, 7, 7, false));
	ASSERT_OK(set_pages(v, v->nr_pages - 1, v->nr_pages - 1, true));
	for (i = 0; i < v->nr_pages / WINDOW; i++)
		ASSERT_OK(views_slot(v, i));
	expect_model(_metadata, v);
}

/* C18: whatever it is */
TEST_F_TIMEOUT(attr, c18_random, SLOW)
{
	struct views *v = &self->v;
	int first, last, window;
	struct race race;

	race_start(&race, 150, 8);
	while (race_next(&race) && !_metadata->exit_code) {
		first = any(v, v->nr_pages);
		last = first + any(v, any(v, 4) ? 12 : MAX_PAGES);
		if (last >= v->nr_pages)
			last = v->nr_pages - 1;
		ASSERT_OK(set_pages(v, first, last, any(v, 2)));
		if (!any(v, 8)) {
			window = any(v, v->nr_pages / WINDOW);
			ASSERT_OK(vm_unbind(&v->vm, 1 + window));
			ASSERT_OK(views_slot(v, window));
		}
		expect_model(_metadata, v);
	}
}

/* ---- C8: a vCPU looks while ranges beside its pages come, go and merge ---- */

#define ALWAYS_SHARED	8
#define ALWAYS_PRIVATE	9

FIXTURE(look) {
	struct vm vm;
	int fd;
	char *shared;
};

FIXTURE_SETUP(look)
{
	ASSERT_OK(vm_create(&self->vm, 1));
	self->fd = guest_create(0, WINDOW * PAGE);
	ASSERT_LE(0, self->fd);
	self->shared = shared_alloc(WINDOW * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)self->shared);
	memset(self->shared, SHARED & 0xff, WINDOW * PAGE);
	ASSERT_OK(vm_bind(&self->vm, 1, VM_DATA_GPA, WINDOW * PAGE, self->shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, VM_DATA_GPA + ALWAYS_PRIVATE * PAGE, PAGE));
	ASSERT_EQ(0, guest_do(&self->vm, 0, GUEST_STAMP, VM_DATA_GPA + ALWAYS_PRIVATE * PAGE, PAGE,
			      SEED));
}

FIXTURE_TEARDOWN(look)
{
	vm_destroy(&self->vm);
	close(self->fd);
}

struct looker {
	struct vm *vm;
	atomic_bool stop;
	long loops;
	int bad;
};

static int look_once(struct vm *vm)
{
	__u64 shared = VM_DATA_GPA + ALWAYS_SHARED * PAGE;
	__u64 private = VM_DATA_GPA + ALWAYS_PRIVATE * PAGE;
	int bad;

	/* A pre-fault looks it up, whether it is mapped or not. */
	bad = ERRNO(vm_prefault(vm, 0, shared, PAGE, NULL));
	bad = bad ? bad : ERRNO(vm_prefault(vm, 0, private, PAGE, NULL));
	bad = bad ? bad : guest_do(vm, 0, GUEST_CHECK, shared, PAGE, SHARED);
	return bad ? bad : guest_do(vm, 0, GUEST_VERIFY, private, PAGE, SEED);
}

static void *look(void *arg)
{
	struct looker *l = arg;

	while (!atomic_load(&l->stop) && !l->bad) {
		l->bad = look_once(l->vm);
		l->loops++;
	}
	return NULL;
}

/* Ranges that leave the two pages what they are */
static int set_around(struct vm *vm, unsigned int i)
{
	__u64 gpa = VM_DATA_GPA, low = i * 7 % ALWAYS_SHARED, high = 1 + i * 5 % 6;
	__u64 private = ALWAYS_PRIVATE * PAGE, end = private + PAGE;

	switch (i % 6) {
	case 0:
		return vm_set_private(vm, gpa + low * PAGE, (ALWAYS_SHARED - low) * PAGE);
	case 1:
		return vm_set_shared(vm, 0, gpa + private);
	case 2:
		return vm_set_private(vm, gpa + private, 2ULL << 40);
	case 3:
		return vm_set_shared(vm, gpa + end, high * PAGE);
	case 4:
		return vm_set_private(vm, gpa + private, (1 + high) * PAGE);
	default:
		return vm_set_shared(vm, gpa + low * PAGE, private - low * PAGE);
	}
}

TEST_F_TIMEOUT(look, c8_lookups_beside_changes, SLOW)
{
	struct looker looker = { .vm = &self->vm };
	unsigned int i = 0, failed = 0;
	struct race race;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, look, &looker));
	race_start(&race, 20000, 4);
	while (race_next(&race) && !failed)
		failed = set_around(&self->vm, i++);
	/* on a busy machine it may have been asleep most of the time */
	while (!failed && __atomic_load_n(&looker.loops, __ATOMIC_RELAXED) <= 10 &&
	       !__atomic_load_n(&looker.bad, __ATOMIC_RELAXED))
		failed = set_around(&self->vm, i++);
	atomic_store(&looker.stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, failed);
	EXPECT_EQ(0, looker.bad);
	/* nothing but the private page was ever taken for private */
	EXPECT_STREQ(counts(1, 0, 0), held(self->fd));
}

TEST_HARNESS_MAIN
