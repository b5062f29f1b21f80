/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guestmem selftests on moving memory share: in which frames a file's memory
 * is, NUMA nodes and their pools of huge pages, a guest that works in its memory while
 * it moves, memory blocks, and a swap device.
 */
#ifndef GUESTMEM_MOVE_H
#define GUESTMEM_MOVE_H

#include <stdatomic.h>

#include "guestmem_huge.h"

/* ---- where the memory of a file is ---- */

/**
 * struct frame - a folio of a guest file
 * @index: its first page in the file, of 4K
 * @order: its size
 * @pfn: its first frame
 * @node: where that is
 */
struct frame {
	unsigned long index;
	unsigned int order;
	unsigned long pfn;
	int node;
};

/**
 * struct frames - the folios of a guest file at some moment, by index
 * @nr: how many
 * @at: them
 */
struct frames {
	long nr;
	struct frame *at;
};

int frames_read(int fd, struct frames *frames);
void frames_free(struct frames *frames);
const struct frame *frames_find(const struct frames *frames, unsigned long index);
long frames_moved(const struct frames *before, const struct frames *after);
bool frames_same(const struct frames *a, const struct frames *b);
long long frames_bytes(const struct frames *frames, int node);
long long bytes_on(int fd, int node);

/* ---- nodes ---- */

#define MAX_TEST_NODES	4

int memory_nodes(int *node);
int allocate_on(int node);
int migrate(int fd, off_t offset, off_t length, int node, struct guestmem_migrate *args);
long node_pool_get(int node, unsigned long size, const char *file);
int node_pool_set(int node, unsigned long size, long pages);

/**
 * struct node_pools - the pools of one size on all nodes, as they were
 * @size: bytes of a page; PAGE for a store that has no pools
 * @nr_nodes: how many were changed
 * @node: which
 * @saved: pages to give each of them back
 */
struct node_pools {
	unsigned long size;
	int nr_nodes;
	int node[MAX_TEST_NODES];
	long saved[MAX_TEST_NODES];
};

int node_pools_grow(struct node_pools *pools, unsigned long size, int node, long pages);
void node_pools_restore(struct node_pools *pools);

/* ---- a guest that works meanwhile ---- */

/**
 * struct area - guest memory of which pieces are looked at
 * @vm: whose
 * @gpa: first address
 * @size: bytes
 * @piece: bytes at the start of each @stride that are looked at, if all of them are there
 * @stride: from one piece to the next
 */
struct area {
	struct vm *vm;
	__u64 gpa;
	__u64 size;
	__u64 piece;
	__u64 stride;
};

/**
 * struct worker - a vCPU that verifies its pieces and stamps them anew, round after round
 * @area: every second piece of it, those of its number
 * @cpu: number of the vCPU
 * @seed: of the stamps
 * @stop: set to end it, at the end of a round
 * @pieces: how many it has done
 * @slowest: milliseconds that one of these has taken
 * @bad: what went wrong, empty if nothing did
 * @thread: runs it
 *
 * No two rounds have the same stamps: a write that goes to a frame which is not the
 * page's any more is missed in the next.
 */
struct worker {
	const struct area *area;
	int cpu;
	__u32 seed;
	atomic_bool stop;
	atomic_long pieces;
	long slowest;
	char bad[96];
	pthread_t thread;
};

int area_do(const struct area *area, int cpu, enum guest_op op, __u32 seed);
int workers_start(struct worker worker[2], const struct area *area, __u32 seed);
const char *workers_end(struct worker worker[2]);
long workers_pieces(struct worker worker[2]);
long workers_slowest(const struct worker worker[2]);

/* ---- a guest whose memory moves ---- */

/**
 * struct moving - a guest whose memory is to move
 * @store: of its file
 * @pools: where hugetlb's pages come from, on each node
 * @vm: two vCPUs
 * @fd: the file, movable, all of it on the first node
 * @size: bytes of it
 * @shared: shared memory for all of it
 * @area: what the guest uses of it
 * @node: nodes with memory
 * @nr_nodes: how many
 */
struct moving {
	const struct store *store;
	struct node_pools pools;
	struct vm vm;
	int fd;
	off_t size;
	char *shared;
	struct area area;
	int node[MAX_TEST_NODES];
	int nr_nodes;
};

bool moving_1g(const struct moving *m);
bool moving_fill_pools(struct moving *m, const struct store *store, off_t size);
int moving_file(struct moving *m);
int moving_bind(struct moving *m);
int moving_open(struct moving *m);
void moving_close(struct moving *m);
int moving_stamp(struct moving *m, __u32 seed);
int moving_verify(struct moving *m, __u32 seed);

/* ---- memory blocks ---- */

/* What a block's "state" takes, and tells */
#define BLOCK_ONLINE	"online"
#define BLOCK_MOVABLE	"online_movable"
#define BLOCK_OFFLINE	"offline"

unsigned long block_pages(void);
int block_path(long block, const char *file, char *path, size_t size);
bool block_is(long block, const char *file, const char *text);
int block_set(long block, const char *state);
bool block_movable(long block);
int block_node(long block);
long frames_in_block(const struct frames *frames, long block);
long frames_movable_zone(const struct frames *frames);

/* ---- memory set aside for contiguous allocations ---- */

/**
 * struct cma - such a region
 * @path: its directory in debugfs
 * @base: first frame
 * @count: frames
 */
struct cma {
	char path[128];
	unsigned long base;
	unsigned long count;
};

int cma_find(struct cma *cma, int node);
long cma_used(const struct cma *cma);
int cma_write(const struct cma *cma, const char *file, unsigned long frames);
long frames_in_cma(const struct frames *frames, const struct cma *cma);

/* ---- a swap device in memory ---- */

/**
 * struct zram_swap - one of 64M
 * @zram: number of the device, -1 if there is none
 * @path: of the device
 * @on: is swapped to
 */
struct zram_swap {
	int zram;
	char path[32];
	bool on;
};

int zram_swap_on(struct zram_swap *swap);
void zram_swap_off(struct zram_swap *swap);

/* ---- time ---- */

long long milliseconds(void);

#endif /* GUESTMEM_MOVE_H */
