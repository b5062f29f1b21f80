/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guestmem selftests on NUMA policies share: a guest file that is looked at in
 * units, which are the largest folios of its store, and policies for these.
 *
 * A string tells where the units are: "01--" is a file of four, the first of which is on
 * node 0, the second on node 1, and the others are not there. The texts are in static
 * buffers, one a function: not for two threads at once.
 */
#ifndef GUESTMEM_NUMA_H
#define GUESTMEM_NUMA_H

#include <linux/mempolicy.h>

#include "guestmem_move.h"

/* Units of a file, a multiple of two and of three. Of 1G each node has one page. */
#define UNITS	6

#define NODE(n)	(1UL << (n))

/**
 * struct site - a guest file, and its guest
 * @vm: the guest, if there is one
 * @store: of the file
 * @fd: the file
 * @unit: bytes of the largest folio
 * @nr: units that the file has; if 0 when it is made, as many as can be
 * @each: units that any node can give
 * @gpa: where the file is in the guest
 * @nr_nodes: nodes with memory, two at least
 * @node: which
 * @want: where the units have to be
 */
struct site {
	struct vm vm;
	const struct store *store;
	int fd;
	unsigned long unit;
	long nr, each;
	__u64 gpa;
	int nr_nodes;
	int node[MAX_TEST_NODES];
	char want[UNITS + 1];
};

void numa_fill_pools(unsigned long size, long each);
const char *site_lacks(const struct store *store);
int site_open(struct site *s, const struct store *store, unsigned int flags, int nr_vcpus);
void site_close(struct site *s);
int site_empty(struct site *s);

/* ---- policies ---- */

unsigned long all_nodes(const struct site *s);
int task_policy(int mode, unsigned long nodes);
int range_policy(int fd, off_t offset, off_t length, int mode, unsigned long nodes,
		 unsigned int flags);
int unit_policy(struct site *s, long first, long nr, int mode, unsigned long nodes);
int unit_policy_move(struct site *s, long first, long nr, int mode, unsigned long nodes);

/* ---- populating ---- */

/**
 * enum way - how memory comes to be
 * @BY_FALLOCATE: the VMM asks for it
 * @BY_GUEST: a vCPU touches it
 * @BY_PREFAULT: KVM_PRE_FAULT_MEMORY
 * @NR_WAYS: how many there are
 */
enum way { BY_FALLOCATE, BY_GUEST, BY_PREFAULT, NR_WAYS };

int touch(struct site *s, enum way how, long unit);
int touch_units(struct site *s, enum way how, long first, long nr);

/* ---- where it is ---- */

void want(struct site *s, long first, long nr, int node);
const char *placed(struct site *s);
const char *misplaced(struct site *s);
const char *shares(const struct site *s, const char *units);
const char *share_is(const struct site *s, long first, long second, long others);
const char *equal_shares(const struct site *s);

#define EXPECT_PLACED(s)	EXPECT_STREQ("", misplaced(s))

#endif /* GUESTMEM_NUMA_H */
