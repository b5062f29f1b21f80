// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory is charged to the memory cgroup that allocates it (R15), and is
 * neither reclaimed nor swapped, whatever presses (R12).
 */
#include <stdio.h>
#include <sys/swap.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define SIZE	(8 * SZ_1M)
#define NR	((long)(SIZE / PAGE))
#define GPA	VM_DATA_GPA
#define SEED	0x5a4b0000
/* What cgroup figures may be off by: batches of each CPU */
#define SLACK	((long long)SZ_1M)

FIXTURE(memcg) {
	struct cgroup cg;
	int fd;
};

FIXTURE_SETUP(memcg)
{
	self->fd = -1;
	if (cgroup_create(&self->cg, "memcg"))
		SKIP(return, "no memory cgroup");
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(memcg)
{
	close(self->fd);
	cgroup_destroy(&self->cg);
}

static long long shmem_of(struct cgroup *cg)
{
	return cgroup_get(cg, "memory.stat", "shmem");
}

static long long current_of(struct cgroup *cg)
{
	return cgroup_get(cg, "memory.current", NULL);
}

/* R15: made outside, populated inside: the cgroup that allocates pays */
TEST_F(memcg, r15_populate)
{
	long long before;

	ASSERT_OK(cgroup_enter(&self->cg));
	before = current_of(&self->cg);
	ASSERT_LE(0, before);
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_LE(before + (long long)SIZE - SLACK, current_of(&self->cg));
	EXPECT_LE((long long)SIZE - SLACK, shmem_of(&self->cg));
	ASSERT_OK(punch(self->fd, 0, SIZE));
	EXPECT_GE(before + 2 * SLACK, current_of(&self->cg));
}

/* R15: who came later and finds the pages there pays nothing. */
TEST_F(memcg, r15_not_charged_twice)
{
	ASSERT_OK(populate(self->fd, 0, SIZE));
	ASSERT_OK(cgroup_enter(&self->cg));
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_GE(SLACK, shmem_of(&self->cg));
}

/* R15: a guest's fault is an allocation of the thread that runs it. */
TEST_F(memcg, r15_guest_fault)
{
	void *shared = shared_alloc(SIZE);
	struct vm vm;

	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_OK(cgroup_enter(&self->cg));
	ASSERT_OK(vm_create(&vm, 1));
	ASSERT_OK(vm_bind(&vm, 1, GPA, SIZE, shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&vm, GPA, SIZE));
	EXPECT_GE(SLACK, shmem_of(&self->cg));
	EXPECT_OK(vm_prefault(&vm, 0, GPA, SIZE, NULL));
	EXPECT_LE((long long)SIZE - SLACK, shmem_of(&self->cg));
	vm_destroy(&vm);
}

/* R12: on no list that reclaim looks at */
TEST_F(memcg, r12_unevictable)
{
	long long system = file_number("/proc/meminfo", "Unevictable");

	ASSERT_LE(0, system);
	ASSERT_OK(cgroup_enter(&self->cg));
	ASSERT_OK(populate(self->fd, 0, SIZE));
	EXPECT_LE((long long)SIZE - SLACK, cgroup_get(&self->cg, "memory.stat", "unevictable"));
	EXPECT_LE(system + (long long)(SIZE - SZ_1M) / 1024,
		  file_number("/proc/meminfo", "Unevictable"));
	EXPECT_GE(SLACK, cgroup_get(&self->cg, "memory.stat", "inactive_anon"));
	EXPECT_GE(SLACK, cgroup_get(&self->cg, "memory.stat", "active_anon"));
}

/* A swap device of 64M in memory */
struct swap {
	int zram;
	char path[32];
	bool on;
};

static int swap_header(const char *path)
{
	char page[PAGE] = "";
	__u32 *info = (__u32 *)(page + 1024);
	int fd = open(path, O_RDWR), ret;

	if (fd < 0)
		return -1;
	info[0] = 1;
	info[1] = 64 * SZ_1M / PAGE - 1;
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	ret = pwrite(fd, page, PAGE, 0) == PAGE && !fsync(fd) ? 0 : -1;
	close(fd);
	return ret;
}

static int swap_create(struct swap *swap)
{
	char path[64];

	swap->on = false;
	swap->zram = file_number("/sys/class/zram-control/hot_add", NULL);
	if (swap->zram < 0)
		return -1;
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", swap->zram);
	snprintf(swap->path, sizeof(swap->path), "/dev/zram%d", swap->zram);
	if (write_file(path, "64M") || swap_header(swap->path) || swapon(swap->path, 0))
		return -1;
	swap->on = true;
	return 0;
}

static void swap_destroy(struct swap *swap)
{
	char text[64];

	if (swap->on)
		swapoff(swap->path);
	if (swap->zram < 0)
		return;
	snprintf(text, sizeof(text), "/sys/block/zram%d/reset", swap->zram);
	write_file(text, "1");
	snprintf(text, sizeof(text), "%d", swap->zram);
	write_file("/sys/class/zram-control/hot_remove", text);
}

FIXTURE(pressure) {
	struct cgroup cg;
	struct swap swap;
	struct vm vm;
	int fd, ordinary;
};

FIXTURE_SETUP(pressure)
{
	void *shared = shared_alloc(SIZE);

	ASSERT_NE(MAP_FAILED, shared);
	if (cgroup_create(&self->cg, "pressure"))
		SKIP(return, "no memory cgroup");
	if (swap_create(&self->swap)) {
		swap_destroy(&self->swap);
		cgroup_destroy(&self->cg);
		SKIP(return, "no zram to swap to");
	}
	ASSERT_OK(vm_create(&self->vm, 1));
	self->ordinary = memfd(0);
	ASSERT_LE(0, self->ordinary);
	ASSERT_OK(cgroup_enter(&self->cg));
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE, shared, self->fd, 0));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, guest_do(&self->vm, 0, GUEST_STAMP, GPA, SIZE, SEED));
}

FIXTURE_TEARDOWN(pressure)
{
	vm_destroy(&self->vm);
	close(self->fd);
	close(self->ordinary);
	swap_destroy(&self->swap);
	cgroup_destroy(&self->cg);
}

static void expect_all_there(struct __test_metadata *_metadata, int fd, struct vm *vm)
{
	EXPECT_EQ(NR, file_pages(fd));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_VERIFY, GPA, SIZE, SEED));
}

/* R12: reclaim takes the neighbour's memory, not the guest's. */
TEST_F_TIMEOUT(pressure, r12_reclaim, SLOW)
{
	long long swapped;

	ASSERT_OK(fallocate(self->ordinary, 0, 0, SIZE));
	write_file("/proc/sys/vm/drop_caches", "1");
	cgroup_set(&self->cg, "memory.reclaim", "12M");
	swapped = cgroup_get(&self->cg, "memory.swap.current", NULL);
	/* the ordinary memfd went out: there was pressure and a place to go */
	EXPECT_LE((long long)SIZE / 2, swapped);
	EXPECT_GE((long long)SIZE + SLACK, swapped);
	expect_all_there(_metadata, self->fd, &self->vm);
	/* once more, with nothing else left to take */
	cgroup_set(&self->cg, "memory.reclaim", "12M");
	EXPECT_GE((long long)SIZE + SLACK, cgroup_get(&self->cg, "memory.swap.current", NULL));
	expect_all_there(_metadata, self->fd, &self->vm);
}

/* R12: a limit below what the guest holds frees nothing of it. */
TEST_F_TIMEOUT(pressure, r12_high_limit, SLOW)
{
	ASSERT_OK(cgroup_set(&self->cg, "memory.high", "2M"));
	expect_all_there(_metadata, self->fd, &self->vm);
	ASSERT_OK(cgroup_set(&self->cg, "memory.high", "max"));
	EXPECT_GE(SLACK, cgroup_get(&self->cg, "memory.swap.current", NULL));
	expect_all_there(_metadata, self->fd, &self->vm);
}

/* The same for the whole system's caches */
TEST_F_TIMEOUT(pressure, r12_drop_caches, SLOW)
{
	ASSERT_OK(write_file("/proc/sys/vm/drop_caches", "3"));
	write_file("/proc/sys/vm/compact_memory", "1");
	expect_all_there(_metadata, self->fd, &self->vm);
}

TEST_HARNESS_MAIN
