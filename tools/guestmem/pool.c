// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of huge pages that a hugetlb store takes its pages from.
 *
 * A file of a given size has all of its pages promised from the start: they are
 * free and reserved.  A page in use is neither; a page that is given back is both
 * again.  When the file is gone, so is the promise.  Other users of the same pool
 * would disturb these counts.
 */
#include <errno.h>
#include <string.h>

#include "vmm.h"

#define POOL_DIR	"/sys/kernel/mm/hugepages/hugepages-%llukB"
#define NODE_POOL_DIR	"/sys/devices/system/node/node%u/hugepages/hugepages-%llukB"

static bool has_pool(const struct store *store)
{
	return store->granule > PAGE;
}

static __u64 read_counter(const char *dir, const char *name)
{
	unsigned long long value;
	char path[192];
	FILE *file;
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	if (!file)
		die(STATUS_ENVIRONMENT, "%s: %s", path, strerror(errno));
	n = fscanf(file, "%llu", &value);
	fclose(file);
	if (n != 1)
		die(STATUS_ENVIRONMENT, "%s has no number", path);
	return value;
}

static struct pool pool_read(const struct store *store)
{
	char dir[128];

	snprintf(dir, sizeof(dir), POOL_DIR, store->granule / KIB);
	return (struct pool){
		.total = read_counter(dir, "nr_hugepages"),
		.free = read_counter(dir, "free_hugepages"),
		.reserved = read_counter(dir, "resv_hugepages"),
	};
}

/* Before the file is made. */
void pool_start(struct memory *mem, const struct store *store)
{
	if (has_pool(store))
		mem->pool = pool_read(store);
}

/* A file that is bound to one node after the other takes as many pages on each. */
void pool_check_node(struct vm *vm, unsigned int node)
{
	const struct store *store = vm->opt->store;
	__u64 need = vm->opt->memory / store->granule, have;
	char dir[128], page[24];

	if (!has_pool(store))
		return;
	snprintf(dir, sizeof(dir), NODE_POOL_DIR, node, store->granule / KIB);
	have = read_counter(dir, "free_hugepages");
	if (have < need)
		die(STATUS_ENVIRONMENT,
		    "to be moved to node %u, the file needs %llu huge pages of %s there, %llu are free: see %s/nr_hugepages",
		    node, need, size_text(page, sizeof(page), store->granule), have, dir);
}

/* What to do about a file that has found no room. */
void pool_explain(const struct memory *mem, const struct options *opt, char *text, size_t size)
{
	__u64 granule = opt->store->granule, need = opt->memory / granule;
	__u64 have = mem->pool.free - mem->pool.reserved;
	char page[24];

	if (!has_pool(opt->store)) {
		snprintf(text, size, "; the store has no room, try a smaller --memory");
		return;
	}
	size_text(page, sizeof(page), granule);
	snprintf(text, size,
		 "; it needs %llu huge pages of %s, %llu are there: boot with hugepagesz=%s hugepages=%llu, or write %llu to "
		 POOL_DIR "/nr_hugepages",
		 need, page, have, page, mem->pool.total + need - have,
		 mem->pool.total + need - have, granule / KIB);
}

/* The pool while a file of @file_size, 0 if it is gone, holds @held bytes. */
void pool_check(struct vm *vm, const char *when, __u64 held, __u64 file_size)
{
	const struct store *store = vm->opt->store;
	const struct pool *start = &vm->mem.pool;
	struct pool now;
	char name[64];

	if (!has_pool(store))
		return;
	now = pool_read(store);
	snprintf(name, sizeof(name), "free %s", when);
	check_value(SECTION_POOL, name, NULL, UNIT_COUNT, start->free - held / store->granule,
		    now.free);
	snprintf(name, sizeof(name), "reserved %s", when);
	check_value(SECTION_POOL, name, NULL, UNIT_COUNT,
		    start->reserved + (file_size - held) / store->granule, now.reserved);
}
