/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A consumer of guest memory that is no virtual machine, for the KUnit tests.
 *
 * The mock has a page table of one pfn per address, a lock and a sequence count, and
 * writes down every call.  It is stricter than KVM: it keeps a book of the pages that
 * the guest owns, and notices a start without an end, a page that is prepared or released
 * twice, a page that moves outside of a bracket or without being the guest's, and a page
 * that turns up at another address.
 *
 * What is wrong is written down where it happens, which may be in atomic context, and
 * reported at the end of the test.
 */
#ifndef _MM_GUESTMEM_TESTS_MOCK_H
#define _MM_GUESTMEM_TESTS_MOCK_H

#include <kunit/test.h>
#include <linux/guestmem.h>
#include <linux/list.h>
#include <linux/migrate.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/* pages that the page table has room for: two huge ones */
#define MOCK_PAGES	1024
/* far from file indices, so that the two are not mistaken for each other */
#define MOCK_BASE	0x100000ULL

struct mem_cgroup;

/**
 * struct mock - a guest that keeps books
 * @consumer: as guestmem sees it
 * @test: the test that uses it
 * @lock: of the page table, the sequence and the log
 * @pte: pfn mapped at MOCK_BASE + i, 0 if none
 * @in_progress: invalidations between start and end
 * @seq: of the ended ones
 * @starts: number of invalidate_start
 * @bindings: number of bindings that the last start has overlapped
 * @first: lowest address of the last start
 * @end: address behind the highest of the last start
 * @moving: what the last start has said
 * @inv: the last start; compared only
 * @present: folios in the file's range at the last start
 * @present_end: and at the last end
 * @prepared: number of pages prepared
 * @fail_prepare: errno for prepare
 * @migrations: calls of migrate, whatever became of them
 * @unmigrations: calls of unmigrate
 * @fail_migrate: the how manyeth call of migrate from now on fails, 0 for none
 * @on_start: called once, at the end of the next start, without a lock
 * @priv: for @on_start
 */
struct mock {
	struct guestmem_consumer consumer;
	struct kunit *test;
	/* of the page table, the sequence and the log */
	spinlock_t lock;
	unsigned long pte[MOCK_PAGES];
	int in_progress;
	unsigned long seq;
	int starts;
	int bindings;
	u64 first;
	u64 end;
	bool moving;
	const struct guestmem_invalidation *inv;
	long present;
	long present_end;
	int prepared;
	int fail_prepare;
	int migrations;
	int unmigrations;
	int fail_migrate;
	void (*on_start)(struct mock *mock, const struct guestmem_invalidation *inv);
	void *priv;
};

/* what a page of a file is */
enum mock_state {
	MOCK_ABSENT,
	MOCK_HOLE,
	MOCK_FRESH,
	MOCK_GIVEN,
};

/**
 * struct mock_page - all that is known of a page of a guest file
 * @state: what it is
 * @owned: a mock owns it
 * @new: its folio is marked as one that fallocate() has just added
 * @order: of its folio
 * @pfn: where it is
 * @content: a hash of it, unless it is a hole
 * @memcg: that its folio is charged to
 */
struct mock_page {
	enum mock_state state;
	bool owned;
	bool new;
	unsigned int order;
	unsigned long pfn;
	u32 content;
	struct mem_cgroup *memcg;
};

/**
 * struct mock_accounts - what the pages of a file are accounted to
 * @pages: in the page cache
 * @bytes: of the inode
 * @node: counters of the nodes: NR_FILE_PAGES, NR_SHMEM, NR_SHMEM_THPS
 * @memcg: the same of the memory cgroup
 */
struct mock_accounts {
	unsigned long pages;
	loff_t bytes;
	long node[3];
	long memcg[3];
};

/* what may differ between two looks at a page */
#define MOCK_MUST_MOVE	BIT(0)
#define MOCK_MAY_RESIZE	BIT(1)

/**
 * struct mock_kind - a store, and a size of folios, to run a test with
 * @name: of it
 * @order: of the folios
 * @hugetlb: from the pool
 */
struct mock_kind {
	const char *name;
	unsigned int order;
	bool hugetlb;
};

/**
 * struct mock_guest - a mock with a movable file, all of which it has bound
 * @test: the test
 * @mock: the guest
 * @file: its memory: 8 pages, or two huge folios
 * @gm: the same
 * @binding: of all of it, at MOCK_BASE
 * @npages: of it
 * @order: of its folios
 * @seed: of the content
 */
struct mock_guest {
	struct kunit *test;
	struct mock *mock;
	struct file *file;
	struct guestmem *gm;
	struct guestmem_binding *binding;
	unsigned long npages;
	unsigned int order;
	u64 seed;
};

/*
 * A guest that cannot move its pages; one that can, and whose content is where it was
 * moved to and nowhere else; and one whose memory is like any other, and keeps no book.
 */
extern const struct guestmem_consumer_ops mock_ops;
extern const struct guestmem_consumer_ops mock_movable_ops;
extern const struct guestmem_consumer_ops mock_copying_ops;

/* release() has no consumer: pages released, and what to call once before the next */
extern atomic_t mock_released;
extern void (*mock_on_release)(unsigned long pfn);

int mock_init(struct kunit *test);
void mock_complain(const char *what);
void mock_own(u64 addr, unsigned long pfn);
bool mock_owns(unsigned long pfn);
struct mock *mock_new(struct kunit *test, const struct guestmem_consumer_ops *ops);
int mock_fault(struct mock *mock, struct guestmem_binding *binding, u64 addr);

struct guestmem *mock_gm(struct file *file);
struct file *mock_file(struct kunit *test, unsigned long npages, unsigned int flags);
struct file *mock_hugetlb_file(struct kunit *test, unsigned long npages,
			       unsigned int flags);
struct file *mock_keep_file(struct kunit *test, struct file *file);
void mock_put_file(struct kunit *test, struct file *file);
int mock_punch(struct file *file, pgoff_t index, unsigned long npages);
int mock_populate(struct file *file, pgoff_t index, unsigned long npages);
struct folio *mock_folio(struct file *file, pgoff_t index);

struct guestmem_binding *mock_bind(struct kunit *test, struct mock *mock, struct file *file,
				   pgoff_t index, unsigned long npages, u64 addr);
void mock_unbind(struct kunit *test, struct guestmem_binding *binding);
void mock_abort_bind(struct kunit *test, struct guestmem_binding *binding);

void mock_write(unsigned long pfn, u64 word);
bool mock_reads(unsigned long pfn, u64 word);

extern const struct mock_kind mock_kinds[];
extern const struct mock_kind *const mock_huge_shmem;
const void *mock_next_kind(const void *prev, char *desc);
const void *mock_next_huge_kind(const void *prev, char *desc);
struct file *mock_kind_file(struct kunit *test, const struct mock_kind *kind,
			    unsigned int flags);
unsigned long mock_kind_pages(const struct mock_kind *kind);
struct mock_guest *mock_guest_of(struct kunit *test, const struct mock_kind *kind,
				 const struct guestmem_consumer_ops *ops);
struct mock_guest *mock_guest(struct kunit *test, const struct mock_kind *kind);
void mock_give(struct mock_guest *guest, pgoff_t index, unsigned int order);

struct mock_page *mock_look(struct kunit *test, struct file *file, unsigned long npages);
void mock_expect_pages(struct mock_guest *guest, const struct mock_page *before,
		       pgoff_t first, pgoff_t end, unsigned int may);
struct mock_accounts mock_account(struct file *file);
void mock_expect_accounts(struct kunit *test, struct file *file,
			  const struct mock_accounts *before);

int mock_isolate(struct file *file, pgoff_t first, pgoff_t end, struct list_head *list);
unsigned long mock_move_to(struct file *file, pgoff_t first, pgoff_t end,
			   new_folio_t target, enum migrate_mode mode);
unsigned long mock_move(struct mock_guest *guest, pgoff_t first, pgoff_t end);

#endif /* _MM_GUESTMEM_TESTS_MOCK_H */
