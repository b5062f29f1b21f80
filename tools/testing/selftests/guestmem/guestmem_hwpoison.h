/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guestmem selftests on memory errors share: making errors in page frames, and
 * a guest with memory of which pages go bad.
 *
 * Helpers that judge return a text, "fine" if all is:
 *
 *	EXPECT_STREQ("fine", victim_state(&victim));
 *
 * The texts are in static buffers, one a function: not for two threads at once.
 */
#ifndef GUESTMEM_HWPOISON_H
#define GUESTMEM_HWPOISON_H

#include "guestmem_move.h"

/* ---- page frames ---- */

int hwpoison_prepare(void);
unsigned long frame_of(int fd, off_t offset);
int frame_poison(unsigned long pfn);
int frame_unpoison(unsigned long pfn);
int frame_soft_offline(unsigned long pfn);
bool frame_bad(unsigned long pfn);
bool frame_hugetlb(unsigned long pfn);
bool frame_free(unsigned long pfn);

/* ---- a guest with memory of which pages go bad ---- */

#define MAX_BAD		64
/* What stamps are made of: no address of the guest's */
#define BAD_SEED	0xdead0000
/* The guest's code: a page of slot 0, mapped when a vCPU has run */
#define CODE		1

/**
 * struct hurt - a frame in which there was an error
 * @pfn: the frame
 * @head: first one of the granule, 0 in the shmem store
 * @handled: the handler has mastered the error, and can take it back
 */
struct hurt {
	unsigned long pfn;
	unsigned long head;
	bool handled;
};

/**
 * struct victim - a VM with a guest file
 * @vm: with two vCPUs
 * @store: of the file
 * @flags: of the file, beside those of the store
 * @pool: where its pages come from
 * @fd: the file: three times 2M, or one of 1G
 * @size: bytes of it
 * @gpa: where it is in the guest; aligned to 1G for a page of 1G
 * @whole: of a page of 1G all is private, not only the parts that are looked at
 * @stamped: by the guest, all that is looked at; else it reads as zero
 * @shared: shared memory for all of it
 * @bad: offsets of the pages that have an error
 * @nr_bad: how many
 * @hurt: frames to be healed when they have left the file
 * @nr_hurt: how many
 *
 * Of a page of 1G only parts are looked at: two times 2M at its start, in the middle, and
 * at its end.  To zero all of it takes seconds.
 */
struct victim {
	struct vm vm;
	const struct store *store;
	unsigned int flags;
	struct pool pool;
	int fd;
	off_t size;
	__u64 gpa;
	bool whole;
	bool stamped;
	char *shared;
	off_t bad[MAX_BAD];
	int nr_bad;
	struct hurt hurt[MAX_BAD];
	int nr_hurt;
};

/**
 * enum place - where in a huge page an error is
 * @FIRST: its first page
 * @MIDDLE: one in the middle; of a page of 1G, in the middle of 2M of it, too
 * @LAST: its last page
 * @NR_PLACES: how many there are
 */
enum place { FIRST, MIDDLE, LAST, NR_PLACES };

extern const char *const place_name[NR_PLACES];

int victim_init(struct victim *v, const struct store *store, unsigned int flags, long spare);
int victim_renew(struct victim *v);
int victim_close(struct victim *v);
bool victim_1g(const struct victim *v);
off_t victim_place(const struct victim *v, enum place place);
off_t victim_granule(const struct victim *v, off_t offset);
int victim_bind(struct victim *v);
int victim_populate(struct victim *v);
int victim_prefault(struct victim *v);
int victim_guest(struct victim *v, int cpu, enum guest_op op);
int victim_fill(struct victim *v);
int victim_poison(struct victim *v, off_t offset);
void victim_forget(struct victim *v, off_t offset);
int victim_follow(struct victim *v);
int victim_heal(struct victim *v);
const char *victim_state(struct victim *v);
const char *victim_levels(const struct victim *v);
const char *victim_folios(const struct victim *v);

#endif /* GUESTMEM_HWPOISON_H */
