// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers of the guestmem selftests on huge pages, see guestmem_huge.h.
 */
#include <stdio.h>

#include "guestmem_huge.h"

#define MAX_NODES	64

const struct store shmem_store = {
	.name = "shmem", .granule = PAGE, .huge = SZ_2M,
};

const struct store small_store = {
	.name = "shmem", .flags = MFD_GUEST_NOHUGEPAGE, .granule = PAGE, .huge = PAGE,
};

const struct store hugetlb_2m_store = {
	.name = "hugetlb-2M", .flags = MFD_HUGETLB | MFD_HUGE_2MB, .granule = SZ_2M, .huge = SZ_2M,
};

const struct store hugetlb_1g_store = {
	.name = "hugetlb-1G", .flags = MFD_HUGETLB | MFD_HUGE_1GB, .granule = SZ_1G, .huge = SZ_1G,
};

bool is_hugetlb(const struct store *store)
{
	return store->granule != PAGE;
}

/* ---- figures ---- */

static void print_counts(char *text, size_t size, long long nr_4k, long long nr_2m,
			 long long nr_1g)
{
	snprintf(text, size, "4K: %lld, 2M: %lld, 1G: %lld", nr_4k, nr_2m, nr_1g);
}

const char *counts(long long nr_4k, long long nr_2m, long long nr_1g)
{
	static char text[96];

	print_counts(text, sizeof(text), nr_4k, nr_2m, nr_1g);
	return text;
}

/**
 * struct fdinfo - what a guest file's fdinfo says of its memory
 * @nr_4k: folios of 4K
 * @nr_2m: of 2M
 * @nr_1g: of 1G
 * @kb: sum over all nodes
 */
struct fdinfo {
	unsigned long long nr_4k, nr_2m, nr_1g, kb;
};

/* In one go: the kernel walks all of the file for every read. */
static void read_fdinfo(int fd, struct fdinfo *info)
{
	unsigned long long value;
	char path[64], line[256];
	FILE *f;

	memset(info, 0, sizeof(*info));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "guest_4k: %llu", &value) == 1)
			info->nr_4k = value;
		else if (sscanf(line, "guest_2m: %llu", &value) == 1)
			info->nr_2m = value;
		else if (sscanf(line, "guest_1g: %llu", &value) == 1)
			info->nr_1g = value;
		else if (sscanf(line, "guest_node%*d: %llu", &value) == 1)
			info->kb += value;
	}
	if (f)
		fclose(f);
}

/* The folios of a file by size, if all who tell of them tell the same. */
const char *held(int fd)
{
	struct guestmem_info info;
	static char text[96];
	struct fdinfo fdinfo;
	__u64 bytes;

	if (guest_get_info(fd, &info))
		return "no GUESTMEM_GET_INFO";
	read_fdinfo(fd, &fdinfo);
	if (fdinfo.nr_4k != info.pages_4k || fdinfo.nr_2m != info.pages_2m ||
	    fdinfo.nr_1g != info.pages_1g)
		return "fdinfo and GUESTMEM_GET_INFO disagree";
	bytes = info.pages_4k * PAGE + info.pages_2m * SZ_2M + info.pages_1g * SZ_1G;
	if (fdinfo.kb * 1024 != bytes)
		return "guest_node<N> and GUESTMEM_GET_INFO disagree";
	if (file_pages(fd) * PAGE != bytes)
		return "st_blocks and GUESTMEM_GET_INFO disagree";
	print_counts(text, sizeof(text), info.pages_4k, info.pages_2m, info.pages_1g);
	return text;
}

/* The mappings of a VM by level, private and shared, the guest's code among them */
const char *mapped(struct vm *vm)
{
	static char text[96];

	print_counts(text, sizeof(text), vm_stat(vm, "pages_4k"), vm_stat(vm, "pages_2m"),
		     vm_stat(vm, "pages_1g"));
	return text;
}

/* What guestmem/maps in debugfs has below the file's line: "index pages order; ..." */
const char *folio_runs(int fd)
{
	char line[128], file[64];
	static char text[512];
	bool ours = false;
	struct stat st;
	FILE *maps;

	text[0] = '\0';
	mount_debugfs();
	maps = fopen("/sys/kernel/debug/guestmem/maps", "r");
	if (!maps || fstat(fd, &st))
		return "no guestmem/maps";
	snprintf(file, sizeof(file), "file %lu ", (unsigned long)st.st_ino);
	while (fgets(line, sizeof(line), maps)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "file ", 5)) {
			ours = !strncmp(line, file, strlen(file));
			if (ours)
				snprintf(text, sizeof(text), "%s;", line + strlen(file));
		} else if (ours) {
			snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s;", line);
		}
	}
	fclose(maps);
	return text;
}

/* ---- hugetlb pools ---- */

static long pool_file(const char *where, unsigned long size, const char *file)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/hugepages-%lukB/%s", where, size / 1024, file);
	return file_number(path, NULL);
}

#define POOLS	"/sys/kernel/mm/hugepages"

/* -1 if there is no such pool */
int pool_read(unsigned long size, struct pool_state *state)
{
	state->total = pool_file(POOLS, size, "nr_hugepages");
	state->free = pool_file(POOLS, size, "free_hugepages");
	state->rsvd = pool_file(POOLS, size, "resv_hugepages");
	state->surplus = pool_file(POOLS, size, "surplus_hugepages");
	return state->total < 0 ? -1 : 0;
}

int pool_set(unsigned long size, const char *file, long value)
{
	char path[160], text[32];

	snprintf(path, sizeof(path), POOLS "/hugepages-%lukB/%s", size / 1024, file);
	snprintf(text, sizeof(text), "%ld", value);
	return write_file(path, text);
}

/* Do the nodes have what the system has? */
static bool nodes_agree(unsigned long size, const struct pool_state *all)
{
	struct pool_state sum = { };
	char where[64];
	int node;

	for (node = 0; node < MAX_NODES; node++) {
		snprintf(where, sizeof(where), "/sys/devices/system/node/node%d/hugepages", node);
		if (access(where, F_OK))
			continue;
		sum.total += pool_file(where, size, "nr_hugepages");
		sum.free += pool_file(where, size, "free_hugepages");
		sum.surplus += pool_file(where, size, "surplus_hugepages");
	}
	return sum.total == all->total && sum.free == all->free && sum.surplus == all->surplus;
}

/* Make sure that so many pages are free and not promised; -1 if they cannot be had. */
int pool_grow(struct pool *pool, unsigned long size, long pages)
{
	struct pool_state now;
	long lacking;

	pool->size = size;
	pool->saved = -1;
	if (size == PAGE)
		return 0;
	if (pool_read(size, &now))
		return -1;
	lacking = pages - (now.free - now.rsvd);
	if (lacking > 0) {
		pool->saved = now.total - now.surplus;
		pool_set(size, "nr_hugepages", pool->saved + lacking);
		pool_read(size, &now);
	}
	if (now.free - now.rsvd < pages) {
		pool_restore(pool);
		return -1;
	}
	pool->before = now;
	return 0;
}

void pool_restore(struct pool *pool)
{
	if (pool->saved >= 0)
		pool_set(pool->size, "nr_hugepages", pool->saved);
	pool->saved = -1;
}

static void print_change(char *text, size_t length, long total, long free, long rsvd,
			 long surplus)
{
	snprintf(text, length, "total %+ld, free %+ld, reserved %+ld, surplus %+ld", total, free,
		 rsvd, surplus);
}

/* What pool_now() has to be: the change since the pool was filled */
const char *pool_is(long total, long free, long rsvd, long surplus)
{
	static char text[128];

	print_change(text, sizeof(text), total, free, rsvd, surplus);
	return text;
}

const char *pool_now(struct pool *pool)
{
	const struct pool_state *old = &pool->before;
	struct pool_state now;
	static char text[128];

	if (pool_read(pool->size, &now))
		return "no pool";
	if (!nodes_agree(pool->size, &now))
		return "the nodes disagree with the system";
	print_change(text, sizeof(text), now.total - old->total, now.free - old->free,
		     now.rsvd - old->rsvd, now.surplus - old->surplus);
	return text;
}

/* ---- calls that may want to be made again ---- */

/* EAGAIN: somebody held a folio that was to be split, a vCPU's fault for instance. */
int punch_patiently(int fd, off_t offset, off_t length)
{
	int try, ret = -1;

	for (try = 0; ret && try < 100; try++) {
		ret = punch(fd, offset, length);
		if (ret && errno != EAGAIN)
			break;
	}
	return ret;
}

/* To the end of the range; the kernel may stop earlier. */
int prefault_all(struct vm *vm, int cpu, __u64 gpa, __u64 size)
{
	__u64 left = size;

	while (left) {
		if (vm_prefault(vm, cpu, gpa + size - left, left, &left))
			return -1;
	}
	return 0;
}

/* ---- no huge page, or none at all, for this process ---- */

static int inject(const char *file, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/kernel/debug/fail_page_alloc/%s", file);
	return write_file(path, text);
}

/* Written to while nothing may be allocated: open */
static int make_it_fail = -1;

/*
 * From now on every allocation of so many pages, a power of two, and more fails; -1 if the
 * kernel cannot.  Of single pages: the memory of the process has to be there before.
 */
int fail_pages_start(const char *order)
{
	mount_debugfs();
	make_it_fail = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	if (make_it_fail < 0 ||
	    inject("task-filter", "Y") || inject("verbose", "0") ||
	    inject("min-order", order) || inject("ignore-gfp-wait", "N") ||
	    inject("ignore-gfp-highmem", "N") || inject("interval", "1") ||
	    inject("space", "0") || inject("times", "-1") || inject("probability", "100"))
		return -1;
	return pwrite(make_it_fail, "1", 1, 0) == 1 ? 0 : -1;
}

/* The same for those of 2M */
int fail_huge_start(void)
{
	return fail_pages_start("9");
}

/* Of either */
void fail_huge_stop(void)
{
	if (make_it_fail >= 0) {
		while (pwrite(make_it_fail, "0", 1, 0) != 1)
			;
		close(make_it_fail);
	}
	make_it_fail = -1;
	inject("probability", "0");
	inject("min-order", "0");
	inject("task-filter", "N");
}
