/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guestmem selftests on huge pages share: the stores, the hugetlb pools
 * they take pages from, and figures in a form that a failed comparison shows as a
 * whole:
 *
 *	EXPECT_STREQ(counts(511, 2, 0), held(fd));
 *	EXPECT_STREQ(pool_is(0, -1, 3, 0), pool_now(&pool));
 *
 * The texts are in static buffers, one a function: not for two threads at once.
 */
#ifndef GUESTMEM_HUGE_H
#define GUESTMEM_HUGE_H

#include "guestmem_util.h"

#define SZ_2M	(2 * SZ_1M)
#define SZ_1G	(1024 * SZ_1M)

#define PAGES_2M	((long)(SZ_2M / PAGE))

/**
 * struct store - a way to make a guest file
 * @name: what fdinfo and kvm.guest_memfd_store call it
 * @flags: for memfd_create(), beside MFD_GUEST
 * @granule: what sizes are multiples of, and what a pool has to provide
 * @huge: the largest folio the store makes
 */
struct store {
	const char *name;
	unsigned int flags;
	unsigned long granule;
	unsigned long huge;
};

extern const struct store shmem_store, small_store, hugetlb_2m_store, hugetlb_1g_store;

bool is_hugetlb(const struct store *store);

/* ---- figures ---- */

const char *counts(long long nr_4k, long long nr_2m, long long nr_1g);
const char *held(int fd);
const char *mapped(struct vm *vm);
const char *folio_runs(int fd);

/* ---- hugetlb pools ---- */

/**
 * struct pool_state - the counters of one pool
 * @total: pages, in use or not
 * @free: not in use
 * @rsvd: free ones that are promised
 * @surplus: those above what nr_hugepages asked for
 */
struct pool_state {
	long total, free, rsvd, surplus;
};

/**
 * struct pool - a pool that a test has filled
 * @size: bytes of a page; PAGE for a store that has no pool
 * @saved: pages to give it back, -1 if it was left alone
 * @before: its counters when the test began
 */
struct pool {
	unsigned long size;
	long saved;
	struct pool_state before;
};

int pool_read(unsigned long size, struct pool_state *state);
int pool_set(unsigned long size, const char *file, long value);
int pool_grow(struct pool *pool, unsigned long size, long pages);
void pool_restore(struct pool *pool);
const char *pool_is(long total, long free, long rsvd, long surplus);
const char *pool_now(struct pool *pool);

/* ---- calls that may want to be made again ---- */

int punch_patiently(int fd, off_t offset, off_t length);
int prefault_all(struct vm *vm, int cpu, __u64 gpa, __u64 size);

/* ---- no huge page, or none at all, for this process ---- */

int fail_pages_start(const char *order);
int fail_huge_start(void);
void fail_huge_stop(void);

#endif /* GUESTMEM_HUGE_H */
