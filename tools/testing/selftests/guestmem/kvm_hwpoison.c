// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors in guest memory (R19, C11): the guest loses the page it hit and
 * no other, the page stays in the file until it is punched, whether slots are
 * bound before, after, or just then.
 *
 * No mapping tells the page frames of a guest file. The test runs in a memory
 * cgroup of its own and takes the frames that are charged to it and belong to an
 * unmapped file: those are the guest's. Which is which page, the guest finds out.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR		8
#define SIZE		(NR * PAGE)
#define GPA		VM_DATA_GPA
#define SEED		0xdead0000
#define INJECT		"/sys/kernel/debug/hwpoison/corrupt-pfn"
#define UNDO		"/sys/kernel/debug/hwpoison/unpoison-pfn"
#define SOFT_OFFLINE	"/sys/devices/system/memory/soft_offline_page"
#define BLOCK		8192L

#define KPF_MMAP	11
#define KPF_ANON	12
#define KPF_SWAPBACKED	14
#define KPF_HWPOISON	19

static __u64 word_at(const char *path, unsigned long index)
{
	int fd = open(path, O_RDONLY);
	__u64 word = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &word, sizeof(word), index * sizeof(word)) != sizeof(word))
		word = 0;
	close(fd);
	return word;
}

static bool poisoned(unsigned long pfn)
{
	return word_at("/proc/kpageflags", pfn) >> KPF_HWPOISON & 1;
}

static bool in_a_file_unmapped(unsigned long pfn)
{
	__u64 flags = word_at("/proc/kpageflags", pfn);

	return flags >> KPF_SWAPBACKED & 1 && !(flags >> KPF_ANON & 1) &&
	       !(flags >> KPF_MMAP & 1);
}

/* A frame that was allocated just now: others of that moment are near. */
static unsigned long fresh_frame(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long pfn;

	if (page == MAP_FAILED)
		return 0;
	*page = 1;
	pfn = word_at("/proc/self/pagemap", (uintptr_t)page / PAGE) & 0x7fffffffffffff;
	munmap(page, PAGE);
	return pfn;
}

/* Add the guest's frames of one block to pfn[]; -1 at the end of memory. */
static int find_in_block(int fd, ino_t cgroup, long block, unsigned long *pfn, int found)
{
	static __u64 owner[BLOCK];
	ssize_t nr, i;

	nr = pread(fd, owner, sizeof(owner), block * sizeof(owner)) / (ssize_t)sizeof(*owner);
	for (i = 0; i < nr && found < NR; i++) {
		if (owner[i] == cgroup && in_a_file_unmapped(block * BLOCK + i))
			pfn[found++] = block * BLOCK + i;
	}
	return nr > 0 ? found : -1;
}

/* Returns how many were found; stops when all NR are. */
static int find_frames(struct cgroup *cg, unsigned long *pfn)
{
	long near = fresh_frame() / BLOCK, block;
	int fd = open("/proc/kpagecgroup", O_RDONLY);
	int found = 0, ret = 0;
	struct stat st;

	if (fd < 0 || stat(cg->path, &st))
		return -1;
	for (block = near; block >= 0 && found < NR; block--) {
		ret = find_in_block(fd, st.st_ino, block, pfn, found);
		found = ret < 0 ? found : ret;
	}
	for (block = near + 1, ret = 0; ret >= 0 && found < NR; block++) {
		ret = find_in_block(fd, st.st_ino, block, pfn, found);
		found = ret < 0 ? found : ret;
	}
	close(fd);
	return found;
}

static int tell(const char *path, unsigned long pfn)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", pfn);
	return write_file(path, text);
}

FIXTURE(hwpoison) {
	struct cgroup cg;
	struct vm vm;
	int fd;
	void *shared;
	unsigned long pfn[NR];
	int nr_pfns;
};

static int bind_halves(struct vm *vm, void *shared, int fd)
{
	return vm_bind(vm, 1, GPA, SIZE / 2, shared, fd, 0) ||
	       vm_bind(vm, 2, GPA + SIZE / 2, SIZE / 2, shared, fd, SIZE / 2) ? -1 : 0;
}

FIXTURE_SETUP(hwpoison)
{
	mount_debugfs();
	if (access(INJECT, W_OK) || access("/proc/kpagecgroup", R_OK))
		SKIP(return, "no hwpoison-inject or no /proc/kpagecgroup");
	if (cgroup_create(&self->cg, "hwpoison") || cgroup_enter(&self->cg))
		SKIP(return, "no memory cgroup");
	ASSERT_OK(vm_create(&self->vm, 2));
	self->shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, self->shared);
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(bind_halves(&self->vm, self->shared, self->fd));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, guest_do(&self->vm, 0, GUEST_STAMP, GPA, SIZE, SEED));
	ASSERT_EQ(NR, find_frames(&self->cg, self->pfn));
	self->nr_pfns = NR;
}

/* The frames go back to the system: first out of the file, then healed. */
FIXTURE_TEARDOWN(hwpoison)
{
	int i;

	vm_destroy(&self->vm);
	close(self->fd);
	for (i = 0; i < self->nr_pfns; i++) {
		if (poisoned(self->pfn[i]))
			tell(UNDO, self->pfn[i]);
		EXPECT_FALSE(poisoned(self->pfn[i]));
	}
	cgroup_destroy(&self->cg);
}

#define GUEST(op, gpa, size, value) guest_do(&self->vm, 0, op, gpa, size, value)

static void poison(struct __test_metadata *_metadata, unsigned long pfn)
{
	tell(INJECT, pfn);
	ASSERT_TRUE(poisoned(pfn));
}

/* R19: a page is whole, or lost to both vCPUs and to pre-fault, with the reason. */
static bool page_lost(struct __test_metadata *_metadata, struct vm *vm, int page)
{
	__u64 gpa = GPA + page * PAGE;
	int cpu, ret;

	if (!guest_do(vm, 0, GUEST_VERIFY, gpa, PAGE, SEED)) {
		EXPECT_EQ(0, guest_do(vm, 1, GUEST_VERIFY, gpa, PAGE, SEED));
		return false;
	}
	for (cpu = 0; cpu < 2; cpu++) {
		ret = guest_do(vm, cpu, GUEST_VERIFY, gpa, PAGE, SEED);
		EXPECT_EQ(-EHWPOISON, ret);
		EXPECT_EQ(KVM_EXIT_MEMORY_FAULT, vm->run[cpu]->exit_reason);
		EXPECT_EQ(gpa, vm->run[cpu]->memory_fault.gpa);
	}
	EXPECT_ERRNO(EHWPOISON, vm_prefault(vm, 0, gpa, PAGE, NULL));
	return true;
}

/* How many pages the guest has lost; *last is one of them. */
static int pages_lost(struct __test_metadata *_metadata, struct vm *vm, int *last)
{
	int page, lost = 0;

	for (page = 0; page < NR; page++) {
		if (!page_lost(_metadata, vm, page))
			continue;
		*last = page;
		lost++;
	}
	return lost;
}

TEST_F_TIMEOUT(hwpoison, r19_mapped_page, SLOW)
{
	int page;

	poison(_metadata, self->pfn[0]);
	EXPECT_EQ(1, pages_lost(_metadata, &self->vm, &page));
	/* the page stays in the file */
	EXPECT_EQ(NR, file_pages(self->fd));
}

/* R19: a punch takes the bad page away, the next one is fresh. */
TEST_F_TIMEOUT(hwpoison, r19_punch_replaces, SLOW)
{
	int page;

	poison(_metadata, self->pfn[3]);
	ASSERT_EQ(1, pages_lost(_metadata, &self->vm, &page));
	ASSERT_OK(punch(self->fd, page * PAGE, PAGE));
	EXPECT_EQ(NR - 1, file_pages(self->fd));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + page * PAGE, PAGE, 0));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA + page * PAGE, PAGE, SEED));
	EXPECT_EQ(0, pages_lost(_metadata, &self->vm, &page));
	EXPECT_TRUE(poisoned(self->pfn[3]));
}

/* C11: bound to nothing when the error comes, bound later */
TEST_F_TIMEOUT(hwpoison, c11_unbound_then_bound, SLOW)
{
	int page;

	ASSERT_OK(vm_unbind(&self->vm, 1));
	ASSERT_OK(vm_unbind(&self->vm, 2));
	poison(_metadata, self->pfn[1]);
	EXPECT_EQ(NR, file_pages(self->fd));
	ASSERT_OK(bind_halves(&self->vm, self->shared, self->fd));
	EXPECT_EQ(1, pages_lost(_metadata, &self->vm, &page));
}

/* Populating again does not hide the error. */
TEST_F_TIMEOUT(hwpoison, r19_populate_does_not_heal, SLOW)
{
	int page;

	poison(_metadata, self->pfn[NR - 1]);
	populate(self->fd, 0, SIZE);
	EXPECT_EQ(NR, file_pages(self->fd));
	EXPECT_EQ(1, pages_lost(_metadata, &self->vm, &page));
}

/* The error is the file's: with the VM gone, punch and close still work. */
TEST_F_TIMEOUT(hwpoison, c11_vm_gone, SLOW)
{
	poison(_metadata, self->pfn[0]);
	vm_destroy(&self->vm);
	EXPECT_EQ(NR, file_pages(self->fd));
	EXPECT_OK(punch(self->fd, 0, SIZE));
	EXPECT_EQ(0, file_pages(self->fd));
}

/* A page that is suspected only: its contents are moved, or stay where they are. */
TEST_F_TIMEOUT(hwpoison, soft_offline_keeps_data, SLOW)
{
	int i, page;

	if (access(SOFT_OFFLINE, W_OK))
		SKIP(return, "no " SOFT_OFFLINE);
	for (i = 0; i < NR; i++)
		tell(SOFT_OFFLINE, self->pfn[i] * PAGE);
	EXPECT_EQ(NR, file_pages(self->fd));
	EXPECT_EQ(0, pages_lost(_metadata, &self->vm, &page));
}

struct binder {
	struct vm *vm;
	void *shared;
	int fd, failed;
	atomic_bool stop;
	atomic_int loops;
};

static void *bind_all_the_time(void *arg)
{
	struct binder *b = arg;

	while (!atomic_load(&b->stop) && !b->failed) {
		b->failed |= vm_unbind(b->vm, 1);
		b->failed |= vm_unbind(b->vm, 2);
		b->failed |= bind_halves(b->vm, b->shared, b->fd);
		atomic_fetch_add(&b->loops, 1);
	}
	return NULL;
}

/* C11: one error after the other comes while slots come and go. */
TEST_F_TIMEOUT(hwpoison, c11_while_binding, SLOW)
{
	struct binder b = { .vm = &self->vm, .shared = self->shared, .fd = self->fd };
	int round, loops, page;
	pthread_t thread;

	for (round = 0; round < NR && !_metadata->exit_code; round++) {
		atomic_store(&b.stop, false);
		ASSERT_EQ(0, pthread_create(&thread, NULL, bind_all_the_time, &b));
		loops = atomic_load(&b.loops);
		while (atomic_load(&b.loops) == loops)
			usleep(100 * round);
		tell(INJECT, self->pfn[round]);
		atomic_store(&b.stop, true);
		pthread_join(thread, NULL);
		EXPECT_EQ(0, b.failed);
		EXPECT_TRUE(poisoned(self->pfn[round]));
		EXPECT_EQ(round + 1, pages_lost(_metadata, &self->vm, &page));
	}
	EXPECT_EQ(NR, file_pages(self->fd));
}

TEST_HARNESS_MAIN
