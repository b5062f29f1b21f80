// SPDX-License-Identifier: GPL-2.0
/*
 * Folios of 2M in the shmem store: where they come to be, whatever the system says
 * of transparent huge pages; that a hole in one splits it into pages of which those
 * of the hole go (C9), and when they are put together again; and 4K, without a
 * failure, where no huge page can be had.
 */
#include <stdio.h>

#include "guestmem_huge.h"
#include "../kselftest_harness.h"

#define NR	3L
#define SIZE	((off_t)(NR * SZ_2M))
#define GPA	VM_DATA_GPA
#define THP	"/sys/kernel/mm/transparent_hugepage/"

FIXTURE(huge) {
	int fd;
};

FIXTURE_SETUP(huge)
{
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(huge)
{
	close(self->fd);
}

#define EXPECT_HELD(nr_4k, nr_2m) \
	EXPECT_STREQ(counts(nr_4k, nr_2m, 0), held(self->fd))

/* ---- fallocate: the range of the call decides ---- */

TEST_F(huge, populate_all)
{
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_HELD(0, NR);
	EXPECT_OK(fallocate(self->fd, 0, 0, SIZE));
	EXPECT_HELD(0, NR);
}

TEST_F(huge, populate_one)
{
	EXPECT_OK(populate(self->fd, SZ_2M, SZ_2M));
	EXPECT_HELD(0, 1);
	EXPECT_STREQ("shmem 6291456; 512 512 9;", folio_runs(self->fd));
}

TEST_F(huge, populate_less_than_one)
{
	EXPECT_OK(populate(self->fd, 0, SZ_2M - PAGE));
	EXPECT_HELD(PAGES_2M - 1, 0);
	EXPECT_OK(populate(self->fd, SZ_2M + PAGE, SZ_2M - PAGE));
	EXPECT_HELD(2 * (PAGES_2M - 1), 0);
}

/* As long as one, but not aligned */
TEST_F(huge, populate_across)
{
	EXPECT_OK(populate(self->fd, SZ_1M, SZ_2M));
	EXPECT_HELD(PAGES_2M, 0);
}

TEST_F(huge, populate_with_ragged_ends)
{
	EXPECT_OK(populate(self->fd, SZ_2M - PAGE, SZ_2M + 2 * PAGE));
	EXPECT_HELD(2, 1);
	EXPECT_STREQ("shmem 6291456; 511 1 0; 512 512 9; 1024 1 0;", folio_runs(self->fd));
}

/* A call for all of an aligned 2M makes one folio of what is there; others do not. */
TEST_F(huge, populate_merges)
{
	ASSERT_OK(populate(self->fd, SZ_2M + 7 * PAGE, PAGE));
	EXPECT_OK(populate(self->fd, SZ_1M, SZ_2M));
	EXPECT_HELD(PAGES_2M, 0);
	EXPECT_OK(populate(self->fd, PAGE, 2 * SZ_2M - 2 * PAGE));
	EXPECT_HELD(2 * PAGES_2M - 2, 0);
	EXPECT_OK(populate(self->fd, 0, SZ_2M));
	EXPECT_HELD(PAGES_2M - 1, 1);
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_HELD(0, NR);
}

TEST_F(huge, nohugepage_merges_nothing)
{
	int fd = guest_create(MFD_GUEST_NOHUGEPAGE, SZ_2M);

	ASSERT_LE(0, fd);
	EXPECT_OK(populate(fd, 0, SZ_1M));
	EXPECT_OK(populate(fd, 0, SZ_2M));
	EXPECT_OK(populate(fd, 0, SZ_2M));
	EXPECT_STREQ(counts(PAGES_2M, 0, 0), held(fd));
	close(fd);
}

/* The end of the file is inside of an aligned 2M. */
TEST_F(huge, file_of_3m)
{
	int fd = guest_create(0, 3 * SZ_1M);

	ASSERT_LE(0, fd);
	EXPECT_OK(populate(fd, 0, 3 * SZ_1M));
	EXPECT_STREQ(counts(PAGES_2M / 2, 1, 0), held(fd));
	close(fd);
}

TEST_F(huge, nohugepage)
{
	int fd = guest_create(MFD_GUEST_NOHUGEPAGE, SZ_2M);

	ASSERT_LE(0, fd);
	EXPECT_OK(populate(fd, 0, SZ_2M));
	EXPECT_STREQ(counts(PAGES_2M, 0, 0), held(fd));
	close(fd);
}

TEST_F(huge, movable)
{
	int fd = guest_create(MFD_GUEST_MOVABLE, SZ_2M);

	ASSERT_LE(0, fd);
	EXPECT_OK(populate(fd, 0, SZ_2M));
	EXPECT_STREQ(counts(0, 1, 0), held(fd));
	close(fd);
}

/* R1: the second spelling */
TEST_F(huge, r1_sealed)
{
	int fd = memfd(MFD_ALLOW_SEALING);

	ASSERT_LE(0, fd);
	ASSERT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GUEST));
	ASSERT_OK(ftruncate(fd, SZ_2M));
	EXPECT_OK(populate(fd, 0, SZ_2M));
	EXPECT_STREQ(counts(0, 1, 0), held(fd));
	close(fd);
}

/* R15 */
TEST_F(huge, r15_info)
{
	struct guestmem_info info;
	struct stat st;

	ASSERT_OK(populate(self->fd, 0, SZ_2M + PAGE));
	ASSERT_OK(guest_get_info(self->fd, &info));
	EXPECT_EQ(PAGE, info.granule);
	EXPECT_EQ(1, info.pages_2m);
	EXPECT_EQ(1, info.pages_4k);
	EXPECT_EQ(0, info.pages_1g);
	EXPECT_EQ(0, info.flags);
	ASSERT_OK(fstat(self->fd, &st));
	EXPECT_EQ(PAGE, st.st_blksize);
	EXPECT_EQ((SZ_2M + PAGE) / 512, st.st_blocks);
}

/* One folio of 2M is one folio. */
TEST_F(huge, debugfs_stats)
{
	const char *stats = "/sys/kernel/debug/guestmem/stats";
	long folios;

	mount_debugfs();
	folios = file_number(stats, "folios");
	ASSERT_LE(0, folios);
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_EQ(folios + NR, file_number(stats, "folios"));
	ASSERT_OK(punch(self->fd, 0, PAGE));
	EXPECT_EQ(folios + NR - 1 + PAGES_2M - 1, file_number(stats, "folios"));
	ASSERT_OK(punch(self->fd, 0, SIZE));
	EXPECT_EQ(folios, file_number(stats, "folios"));
}

/* R15: the memory cgroup is charged for folios, and gets back what is punched. */
TEST_F(huge, r15_memcg)
{
	long long charged, left;
	struct cgroup cg;

	if (cgroup_create(&cg, "huge"))
		SKIP(return, "no memory cgroup");
	ASSERT_OK(cgroup_enter(&cg));
	ASSERT_OK(populate(self->fd, 0, SIZE));
	charged = cgroup_get(&cg, "memory.stat", "shmem");
	/* figures may lag by a batch for each CPU */
	EXPECT_LE((long long)(SIZE - SZ_1M), charged);
	ASSERT_OK(punch(self->fd, SZ_1M, 2 * SZ_2M));
	left = cgroup_get(&cg, "memory.stat", "shmem");
	EXPECT_GE((long long)(SZ_2M + SZ_1M), left);
	EXPECT_LE((long long)SZ_1M, left);
	cgroup_destroy(&cg);
}

/* ---- C9: punching ---- */

FIXTURE(huge_punch) {
	int fd;
};

FIXTURE_VARIANT(huge_punch) {
	off_t offset, length;
	long nr_4k, nr_2m;
	long split;
};

FIXTURE_VARIANT_ADD(huge_punch, first_page) {
	.offset = SZ_2M, .length = PAGE, .nr_4k = PAGES_2M - 1, .nr_2m = 2,
	.split = 1,
};

FIXTURE_VARIANT_ADD(huge_punch, middle_page) {
	.offset = 3 * SZ_1M, .length = PAGE, .nr_4k = PAGES_2M - 1, .nr_2m = 2,
	.split = 1,
};

FIXTURE_VARIANT_ADD(huge_punch, last_page) {
	.offset = 2 * SZ_2M - PAGE, .length = PAGE, .nr_4k = PAGES_2M - 1, .nr_2m = 2,
	.split = 1,
};

FIXTURE_VARIANT_ADD(huge_punch, all_but_one) {
	.offset = PAGE, .length = SZ_2M - PAGE, .nr_4k = 1, .nr_2m = 2,
	.split = 1,
};

FIXTURE_VARIANT_ADD(huge_punch, one) {
	.offset = SZ_2M, .length = SZ_2M, .nr_4k = 0, .nr_2m = 2,
};

FIXTURE_VARIANT_ADD(huge_punch, two_pages_of_two) {
	.offset = SZ_2M - PAGE, .length = 2 * PAGE, .nr_4k = 2 * (PAGES_2M - 1), .nr_2m = 1,
	.split = 2,
};

FIXTURE_VARIANT_ADD(huge_punch, half_one_half) {
	.offset = SZ_1M, .length = 2 * SZ_2M, .nr_4k = PAGES_2M, .nr_2m = 0,
	.split = 2,
};

FIXTURE_VARIANT_ADD(huge_punch, all) {
	.offset = 0, .length = SIZE, .nr_4k = 0, .nr_2m = 0,
};

FIXTURE_VARIANT_ADD(huge_punch, beyond_the_end) {
	.offset = SIZE - PAGE, .length = SIZE, .nr_4k = PAGES_2M - 1, .nr_2m = 2,
	.split = 1,
};

FIXTURE_SETUP(huge_punch)
{
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_HELD(0, NR);
}

FIXTURE_TEARDOWN(huge_punch)
{
	close(self->fd);
}

TEST_F(huge_punch, c9_counts)
{
	ASSERT_OK(punch(self->fd, variant->offset, variant->length));
	EXPECT_HELD(variant->nr_4k, variant->nr_2m);
	/* again: there is nothing to split and nothing to take */
	ASSERT_OK(punch(self->fd, variant->offset, variant->length));
	EXPECT_HELD(variant->nr_4k, variant->nr_2m);
}

/* A hole alone is filled by small pages; with its neighbours it is one folio again. */
TEST_F(huge_punch, c9_refill)
{
	ASSERT_OK(punch(self->fd, variant->offset, variant->length));
	ASSERT_OK(populate(self->fd, variant->offset, variant->offset + variant->length > SIZE ?
			   SIZE - variant->offset : variant->length));
	EXPECT_HELD(variant->split * PAGES_2M, NR - variant->split);
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_HELD(0, NR);
}

/* ---- whatever the system says of transparent huge pages ---- */

FIXTURE(thp) {
	char saved[32];
};

FIXTURE_VARIANT(thp) {
	const char *file;
	const char *value;
};

FIXTURE_VARIANT_ADD(thp, never) { .file = THP "enabled", .value = "never" };
FIXTURE_VARIANT_ADD(thp, always) { .file = THP "enabled", .value = "always" };
FIXTURE_VARIANT_ADD(thp, defrag_never) { .file = THP "defrag", .value = "never" };
FIXTURE_VARIANT_ADD(thp, shmem_never) { .file = THP "shmem_enabled", .value = "never" };
FIXTURE_VARIANT_ADD(thp, shmem_deny) { .file = THP "shmem_enabled", .value = "deny" };
FIXTURE_VARIANT_ADD(thp, shmem_force) { .file = THP "shmem_enabled", .value = "force" };

FIXTURE_VARIANT_ADD(thp, shmem_2m_never) {
	.file = THP "hugepages-2048kB/shmem_enabled", .value = "never",
};

/* The bracketed one of "always [madvise] never" */
static int chosen(const char *path, char *value, size_t size)
{
	char text[128], *open, *end;

	if (read_file(path, text, sizeof(text)))
		return -1;
	open = strchr(text, '[');
	end = open ? strchr(open, ']') : NULL;
	if (!end)
		return -1;
	*end = '\0';
	snprintf(value, size, "%s", open + 1);
	return 0;
}

FIXTURE_SETUP(thp)
{
	if (chosen(variant->file, self->saved, sizeof(self->saved)))
		SKIP(return, "no %s", variant->file);
	ASSERT_OK(write_file(variant->file, variant->value));
}

FIXTURE_TEARDOWN(thp)
{
	EXPECT_OK(write_file(variant->file, self->saved));
}

TEST_F(thp, independent)
{
	int fd = guest_create(0, SIZE), small = guest_create(MFD_GUEST_NOHUGEPAGE, SZ_2M);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, small);
	EXPECT_OK(populate(fd, 0, SIZE));
	EXPECT_STREQ(counts(0, NR, 0), held(fd));
	EXPECT_OK(populate(small, 0, SZ_2M));
	EXPECT_STREQ(counts(PAGES_2M, 0, 0), held(small));
	close(small);
	close(fd);
}

/* ---- faults, where the file decides and not the call ---- */

FIXTURE(huge_fault) {
	struct vm vm;
	int fd;
};

FIXTURE_VARIANT(huge_fault) {
	unsigned int flags;
	bool by_guest;
};

FIXTURE_VARIANT_ADD(huge_fault, prefault) { };
FIXTURE_VARIANT_ADD(huge_fault, guest) { .by_guest = true };
FIXTURE_VARIANT_ADD(huge_fault, nohugepage) { .flags = MFD_GUEST_NOHUGEPAGE };

FIXTURE_SETUP(huge_fault)
{
	void *shared = shared_alloc(SIZE);

	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_OK(vm_create(&self->vm, 1));
	/* two aligned 2M and half of a third */
	self->fd = guest_create(variant->flags, SIZE - SZ_1M);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE - SZ_1M, shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
}

FIXTURE_TEARDOWN(huge_fault)
{
	vm_destroy(&self->vm);
	close(self->fd);
}

static int touch(struct vm *vm, bool by_guest, __u64 gpa)
{
	if (by_guest)
		return guest_do(vm, 0, GUEST_CHECK, gpa, 4, 0);
	return vm_prefault(vm, 0, gpa, PAGE, NULL);
}

TEST_F(huge_fault, one_page)
{
	bool huge = !(variant->flags & MFD_GUEST_NOHUGEPAGE);

	ASSERT_EQ(0, touch(&self->vm, variant->by_guest, GPA + 5 * PAGE));
	EXPECT_HELD(!huge, huge);
	ASSERT_EQ(0, touch(&self->vm, variant->by_guest, GPA + SZ_2M - PAGE));
	EXPECT_HELD(huge ? 0 : 2, huge);
	ASSERT_EQ(0, touch(&self->vm, variant->by_guest, GPA + SZ_2M));
	EXPECT_HELD(huge ? 0 : 3, huge ? 2 : 0);
	/* the last 2M is not inside of the file */
	ASSERT_EQ(0, touch(&self->vm, variant->by_guest, GPA + 2 * SZ_2M));
	EXPECT_HELD(huge ? 1 : 4, huge ? 2 : 0);
}

/* A page that is there already keeps its aligned 2M small. */
TEST_F(huge_fault, beside_a_small_page)
{
	ASSERT_OK(populate(self->fd, PAGE, PAGE));
	ASSERT_EQ(0, touch(&self->vm, variant->by_guest, GPA));
	EXPECT_HELD(2, 0);
	/* after it has gone, a fault makes the whole again */
	ASSERT_OK(punch(self->fd, 0, 2 * PAGE));
	ASSERT_EQ(0, touch(&self->vm, variant->by_guest, GPA + PAGE));
	EXPECT_HELD(!!variant->flags, !variant->flags);
}

/* A slot of one page of the file: the folio is the file's affair. */
TEST_F(huge_fault, small_slot)
{
	void *shared = shared_alloc(PAGE);

	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_OK(vm_unbind(&self->vm, 1));
	ASSERT_OK(vm_bind(&self->vm, 1, GPA + PAGE, PAGE, shared, self->fd, PAGE));
	ASSERT_EQ(0, touch(&self->vm, variant->by_guest, GPA + PAGE));
	EXPECT_HELD(!!variant->flags, !variant->flags);
}

/* ---- no huge page to be had: 4K, and no failure ---- */

FIXTURE(huge_none) {
	int fd;
};

FIXTURE_SETUP(huge_none)
{
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(huge_none)
{
	close(self->fd);
}

TEST_F(huge_none, populate_falls_back)
{
	if (fail_huge_start())
		SKIP(return, "the kernel has no fail_page_alloc");
	EXPECT_OK(populate(self->fd, 0, SZ_2M));
	fail_huge_stop();
	EXPECT_HELD(PAGES_2M, 0);
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_HELD(0, NR);
}

/* No huge page to merge into: the small ones stay. */
TEST_F(huge_none, merge_gives_up)
{
	ASSERT_OK(populate(self->fd, 0, SZ_2M));
	ASSERT_OK(punch(self->fd, PAGE, PAGE));
	if (fail_huge_start())
		SKIP(return, "the kernel has no fail_page_alloc");
	EXPECT_OK(populate(self->fd, 0, SZ_2M));
	fail_huge_stop();
	EXPECT_HELD(PAGES_2M, 0);
}

TEST_F(huge_none, fault_falls_back)
{
	void *shared = shared_alloc(SIZE);
	struct vm vm;

	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_OK(vm_create(&vm, 1));
	ASSERT_OK(vm_bind(&vm, 1, GPA, SIZE, shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&vm, GPA, SIZE));
	if (fail_huge_start()) {
		vm_destroy(&vm);
		SKIP(return, "the kernel has no fail_page_alloc");
	}
	EXPECT_EQ(0, guest_do(&vm, 0, GUEST_CHECK, GPA, 4, 0));
	EXPECT_OK(vm_prefault(&vm, 0, GPA + SZ_2M, PAGE, NULL));
	fail_huge_stop();
	EXPECT_HELD(2, 0);
	EXPECT_OK(vm_prefault(&vm, 0, GPA + 2 * SZ_2M, PAGE, NULL));
	EXPECT_HELD(2, 1);
	vm_destroy(&vm);
}

/* A memory cgroup that has no room for 2M, but for pages */
FIXTURE(huge_memcg) {
	struct cgroup cg;
	struct vm vm;
	int fd;
};

FIXTURE_SETUP(huge_memcg)
{
	void *shared = shared_alloc(SIZE);
	char limit[32];

	ASSERT_NE(MAP_FAILED, shared);
	if (cgroup_create(&self->cg, "huge"))
		SKIP(return, "no memory cgroup");
	ASSERT_OK(vm_create(&self->vm, 1));
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE, shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_OK(write_file("/proc/self/oom_score_adj", "-1000"));
	ASSERT_OK(cgroup_enter(&self->cg));
	snprintf(limit, sizeof(limit), "%lld",
		 cgroup_get(&self->cg, "memory.current", NULL) + 3 * (long long)SZ_1M / 2);
	ASSERT_OK(cgroup_set(&self->cg, "memory.max", limit));
}

FIXTURE_TEARDOWN(huge_memcg)
{
	vm_destroy(&self->vm);
	close(self->fd);
	cgroup_destroy(&self->cg);
}

TEST_F(huge_memcg, fault_falls_back)
{
	EXPECT_EQ(0, guest_do(&self->vm, 0, GUEST_CHECK, GPA, 4, 0));
	EXPECT_OK(vm_prefault(&self->vm, 0, GPA + SZ_2M, 8 * PAGE, NULL));
	EXPECT_HELD(9, 0);
	ASSERT_OK(cgroup_set(&self->cg, "memory.max", "max"));
	EXPECT_OK(vm_prefault(&self->vm, 0, GPA + 2 * SZ_2M, PAGE, NULL));
	EXPECT_HELD(9, 1);
}

/* C10: more than there is room for, whatever the size of the pages */
TEST_F(huge_memcg, c10_populate)
{
	EXPECT_OK(populate(self->fd, SZ_2M, 16 * PAGE));
	EXPECT_ERRNO(ENOMEM, populate(self->fd, 0, SIZE));
	EXPECT_HELD(16, 0);
	ASSERT_OK(cgroup_set(&self->cg, "memory.max", "max"));
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_HELD(0, NR);
}

TEST_HARNESS_MAIN
