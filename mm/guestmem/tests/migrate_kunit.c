// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of guest memory that moves.
 *
 * What a page is, whose, and what is in it, is looked at before and after (mock_look());
 * what a guest owns is known from the mock's book, and must be what is given.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/page-isolation.h>
#include <linux/pageblock-flags.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <uapi/linux/memfd.h>

#include "../../internal.h"
#include "../internal.h"
#include "mock.h"

/* milliseconds until something that has to happen has not happened */
#define SOON	5000

static unsigned long folio_size_of(const struct mock_guest *guest)
{
	return 1UL << guest->order;
}

/* pieces of the first folio for the consumer to move */
static int pieces(const struct mock_guest *guest)
{
	return guest->order ? 3 : 1;
}

/*
 * Who can move
 */

struct mover_case {
	const char *name;
	unsigned int flags;
	const struct guestmem_consumer_ops *ops;
	bool movable;
};

static const struct mover_case mover_cases[] = {
	{ "unmovable file", 0, NULL, false },
	{ "unmovable file, movable guest", 0, &mock_movable_ops, false },
	{ "movable file", MFD_GUEST_MOVABLE, NULL, true },
	{ "movable file, movable guest", MFD_GUEST_MOVABLE, &mock_movable_ops, true },
	{ "movable file, unmovable guest", MFD_GUEST_MOVABLE, &mock_ops, false },
};

static bool can_isolate(struct file *file)
{
	LIST_HEAD(list);
	int nr = mock_isolate(file, 0, 1, &list);

	putback_movable_pages(&list);
	return nr;
}

/* C13: what memory offlining asks.  A huge folio is all of its pageblock. */
static bool can_isolate_block(struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio), end = pfn + pageblock_nr_pages;
	int type = get_pageblock_migratetype(&folio->page);

	if (start_isolate_page_range(pfn, end, type, 0, GFP_KERNEL))
		return false;
	undo_isolate_page_range(pfn, end, type);
	return true;
}

static void expect_movable(struct kunit *test, struct file *file, const char *name,
			   bool movable)
{
	struct folio *folio = mock_folio(file, 0);

	KUNIT_EXPECT_EQ_MSG(test, movable, guestmem_movable(file->f_mapping), "%s", name);
	KUNIT_EXPECT_EQ_MSG(test, !movable, guestmem_unmovable(folio), "%s", name);
	KUNIT_EXPECT_EQ_MSG(test, movable, can_isolate(file), "%s", name);
	KUNIT_EXPECT_EQ_MSG(test, movable,
			    !!(mapping_gfp_mask(file->f_mapping) & __GFP_MOVABLE), "%s", name);
	/* R11, R12: whether it moves or not */
	KUNIT_EXPECT_FALSE_MSG(test, folio_evictable(folio), "%s", name);
	lru_add_drain_all();
	if (folio_nr_pages(folio) == pageblock_nr_pages)
		KUNIT_EXPECT_EQ_MSG(test, movable, can_isolate_block(folio), "%s", name);
}

static void try_mover(struct kunit *test, const struct mover_case *c)
{
	struct file *file = mock_kind_file(test, test->param_value, c->flags);
	struct guestmem_binding *binding;
	unsigned int flags;
	struct mock *mock;
	int ret;

	/* not from CMA, whose pageblocks can always be isolated */
	flags = memalloc_pin_save();
	ret = mock_populate(file, 0, mock_kind_pages(test->param_value));
	memalloc_pin_restore(flags);
	KUNIT_ASSERT_EQ(test, 0, ret);
	if (c->ops) {
		mock = mock_new(test, c->ops);
		/* one that comes to nothing has changed nothing */
		mock_abort_bind(test, mock_bind(test, mock, file, 0, 1, MOCK_BASE));
		expect_movable(test, file, c->name, c->flags & MFD_GUEST_MOVABLE);
		binding = mock_bind(test, mock, file, 0, 1, MOCK_BASE);
		expect_movable(test, file, c->name, c->movable);
		/* the file is the guest's for life */
		mock_unbind(test, binding);
	}
	expect_movable(test, file, c->name, c->movable);
	mock_put_file(test, file);
}

/* R11, R13, R14: found out before a folio is isolated, and kept up to date */
static void who_can_move(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(mover_cases); i++)
		try_mover(test, mover_cases + i);
}

/* R13: bound since it was isolated to somebody who cannot; nobody is bothered */
static void bound_meanwhile(struct kunit *test)
{
	struct migration_target_control mtc = {
		.nid = NUMA_NO_NODE, .gfp_mask = GFP_HIGHUSER_MOVABLE, .reason = MR_SYSCALL,
	};
	struct file *file = mock_kind_file(test, test->param_value, MFD_GUEST_MOVABLE);
	struct mock *mock = mock_new(test, &mock_ops);
	struct folio *folio;
	LIST_HEAD(list);

	KUNIT_ASSERT_EQ(test, 0, mock_populate(file, 0, mock_kind_pages(test->param_value)));
	folio = mock_folio(file, 0);
	KUNIT_ASSERT_EQ(test, 1, mock_isolate(file, 0, 1, &list));
	mock_bind(test, mock, file, 0, 1, MOCK_BASE);
	KUNIT_EXPECT_NE(test, 0, migrate_pages(&list, alloc_migration_target, NULL,
					       (unsigned long)&mtc, MIGRATE_SYNC,
					       MR_SYSCALL, NULL));
	KUNIT_EXPECT_EQ(test, 1, list_count_nodes(&list));
	putback_movable_pages(&list);
	KUNIT_EXPECT_PTR_EQ(test, folio, mock_folio(file, 0));
	KUNIT_EXPECT_EQ(test, 0, mock->starts);
}

/*
 * Moving
 */

/* A hole has no content, and what is left in it of somebody else must not get around. */
static void expect_holes(struct mock_guest *guest, const struct mock_page *before)
{
	struct mock_page *now = mock_look(guest->test, guest->file, guest->npages);
	unsigned long i, copied = 0, first = guest->npages;

	for (i = 0; i < guest->npages; i++) {
		if (before[i].state != MOCK_HOLE)
			continue;
		copied += mock_reads(now[i].pfn, guest->seed + i);
		first = min(first, i);
	}
	KUNIT_EXPECT_EQ(guest->test, 0, copied);
	if (first == guest->npages)
		return;
	/* a hole still: it is zeroed when the guest touches it */
	mock_give(guest, first, 0);
	KUNIT_EXPECT_TRUE(guest->test, mock_reads(now[first].pfn, 0));
}

/* R14, R15: everything about the pages but their place stays */
static void moves(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, test->param_value);
	unsigned long folios = guest->npages >> guest->order;
	struct mock *mock = guest->mock;
	struct mock_page *before;
	struct mock_accounts accounts;
	int prepared = mock->prepared;

	guestmem_set_mark(guest->gm, 0, GUESTMEM_MARK_NEW);
	before = mock_look(test, guest->file, guest->npages);
	accounts = mock_account(guest->file);
	KUNIT_EXPECT_EQ(test, 0, mock_move_to(guest->file, 0, guest->npages,
					      alloc_migration_target, MIGRATE_SYNC));
	mock_expect_pages(guest, before, 0, guest->npages, MOCK_MUST_MOVE);
	mock_expect_accounts(test, guest->file, &accounts);
	guestmem_clear_mark(guest->gm, 0, GUESTMEM_MARK_NEW);

	/* C3: the guest is told once for each folio, and of no more than that */
	KUNIT_EXPECT_EQ(test, folios, mock->starts);
	KUNIT_EXPECT_TRUE(test, mock->moving);
	KUNIT_EXPECT_EQ(test, folio_size_of(guest), mock->end - mock->first);
	KUNIT_EXPECT_EQ(test, guest->order ? 4 : 3, mock->migrations);
	KUNIT_EXPECT_EQ(test, folios, atomic_long_read(&guest->gm->nr_migrated));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&guest->gm->nr_migrate_failed));

	/* nothing is prepared again */
	KUNIT_EXPECT_EQ(test, 0, mock_fault(mock, guest->binding, MOCK_BASE + 5));
	KUNIT_EXPECT_EQ(test, prepared, mock->prepared);
	KUNIT_EXPECT_NE(test, before[5].pfn, mock->pte[5]);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&mock_released));
	/* what has moved can move again */
	KUNIT_EXPECT_EQ(test, 0, mock_move(guest, 0, guest->npages));
	KUNIT_EXPECT_EQ(test, 2 * folios, atomic_long_read(&guest->gm->nr_migrated));
	expect_holes(guest, before);
}

/* A file that nobody has bound is moved without a consumer. */
static void moves_unbound(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, test->param_value);
	struct mock_page *before;

	mock_unbind(test, guest->binding);
	KUNIT_EXPECT_EQ(test, 0, mock_punch(guest->file, 0, guest->npages));
	KUNIT_ASSERT_EQ(test, 0, mock_populate(guest->file, 0, guest->npages));
	before = mock_look(test, guest->file, guest->npages);
	KUNIT_EXPECT_EQ(test, 0, mock_move(guest, 0, guest->npages));
	mock_expect_pages(guest, before, 0, guest->npages, MOCK_MUST_MOVE);
	KUNIT_EXPECT_EQ(test, 0, guest->mock->starts);
}

/* What the guest has had and nobody has bound now is memory like any other. */
static void moves_given_unbound(struct kunit *test)
{
	struct mock_guest *guest = mock_guest_of(test, test->param_value, &mock_copying_ops);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);

	mock_unbind(test, guest->binding);
	KUNIT_EXPECT_EQ(test, 0, mock_move(guest, 0, guest->npages));
	mock_expect_pages(guest, before, 0, guest->npages, MOCK_MUST_MOVE);
	KUNIT_EXPECT_EQ(test, 0, guest->mock->starts);
	KUNIT_EXPECT_EQ(test, 0, guest->mock->migrations);
}

/* R14: of a folio that is bound in parts, the guest is asked for all that is its own */
static void moves_partly_bound(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, mock_huge_shmem);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);

	mock_unbind(test, guest->binding);
	guest->binding = mock_bind(test, guest->mock, guest->file, 4, 252, MOCK_BASE + 4);
	KUNIT_EXPECT_EQ(test, 0, mock_move(guest, 0, 1));
	mock_expect_pages(guest, before, 0, HPAGE_PMD_NR, MOCK_MUST_MOVE);
	KUNIT_EXPECT_EQ(test, 3, guest->mock->migrations);
	/* but told of what is bound */
	KUNIT_EXPECT_EQ(test, 1, guest->mock->starts);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 4, guest->mock->first);
	KUNIT_EXPECT_EQ(test, MOCK_BASE + 256, guest->mock->end);
}

static void fail_at(struct mock_guest *guest, int nth)
{
	long failed = atomic_long_read(&guest->gm->nr_migrate_failed);
	struct mock_page *before = mock_look(guest->test, guest->file, guest->npages);
	struct mock_accounts accounts = mock_account(guest->file);
	struct mock *mock = guest->mock;
	int starts = mock->starts;

	mock->migrations = 0;
	mock->unmigrations = 0;
	mock->fail_migrate = nth;
	KUNIT_EXPECT_EQ(guest->test, 1, mock_move(guest, 0, 1));
	mock_expect_pages(guest, before, 0, guest->npages, 0);
	mock_expect_accounts(guest->test, guest->file, &accounts);
	KUNIT_EXPECT_EQ(guest->test, folio_size_of(guest),
			folio_ref_count(mock_folio(guest->file, 0)));
	KUNIT_EXPECT_EQ(guest->test, failed + 1,
			atomic_long_read(&guest->gm->nr_migrate_failed));
	KUNIT_EXPECT_EQ(guest->test, starts + 1, mock->starts);
	/* all that had succeeded, and no more, is taken back */
	KUNIT_EXPECT_EQ(guest->test, nth, mock->migrations);
	KUNIT_EXPECT_EQ(guest->test, mock->consumer.ops->unmigrate ? nth - 1 : 0,
			mock->unmigrations);
	KUNIT_EXPECT_EQ(guest->test, 0, mock_fault(mock, guest->binding, MOCK_BASE + 5));
}

static void fail_everywhere(struct mock_guest *guest)
{
	struct mock_page *before = mock_look(guest->test, guest->file, guest->npages);
	int nth;

	for (nth = 1; nth <= pieces(guest); nth++)
		fail_at(guest, nth);
	/* and then it moves */
	KUNIT_EXPECT_EQ(guest->test, 0, mock_move(guest, 0, 1));
	mock_expect_pages(guest, before, 0, folio_size_of(guest), MOCK_MUST_MOVE);
}

/* R17: whichever piece fails, every page stays where it is and the guest's */
static void consumer_fails(struct kunit *test)
{
	fail_everywhere(mock_guest(test, test->param_value));
}

/* and so does one that has nothing to take back */
static void copying_consumer_fails(struct kunit *test)
{
	fail_everywhere(mock_guest_of(test, test->param_value, &mock_copying_ops));
}

/* R18: what is in use stays, and the guest is not disturbed for it */
static void busy(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, test->param_value);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);
	struct address_space *mapping = guest->file->f_mapping;
	struct folio *folio = mock_folio(guest->file, 0);

	folio_get(folio);
	KUNIT_EXPECT_EQ(test, 1, mock_move(guest, 0, 1));
	folio_put(folio);
	mock_expect_pages(guest, before, 0, guest->npages, 0);

	filemap_invalidate_lock(mapping);
	KUNIT_EXPECT_EQ(test, 1, mock_move(guest, 0, 1));
	filemap_invalidate_unlock(mapping);
	mock_expect_pages(guest, before, 0, guest->npages, 0);

	KUNIT_EXPECT_EQ(test, 0, guest->mock->starts);
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&guest->gm->nr_migrated));
	KUNIT_EXPECT_EQ(test, 0, mock_move(guest, 0, 1));
	mock_expect_pages(guest, before, 0, folio_size_of(guest), MOCK_MUST_MOVE);
}

/* Somebody who had looked the folio up before it was marked */
static void take_reference(struct mock *mock, const struct guestmem_invalidation *inv)
{
	struct folio *folio = xa_load(&inv->gm->inode->i_mapping->i_pages, inv->start);

	KUNIT_EXPECT_TRUE(mock->test, guestmem_marked(inv->gm, inv->start,
						      GUESTMEM_MARK_MOVING));
	folio_get(folio);
	mock->priv = folio;
}

/* R18: a reference that comes when the guest is unmapped already */
static void late_reference(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, test->param_value);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);

	guest->mock->on_start = take_reference;
	KUNIT_EXPECT_EQ(test, 1, mock_move(guest, 0, 1));
	KUNIT_ASSERT_NOT_NULL(test, guest->mock->priv);
	folio_put(guest->mock->priv);
	mock_expect_pages(guest, before, 0, guest->npages, 0);
	/* the second attempt has seen it at once */
	KUNIT_EXPECT_EQ(test, 1, guest->mock->starts);
	KUNIT_EXPECT_EQ(test, 0, guest->mock->migrations);
	KUNIT_EXPECT_EQ(test, 0, mock_fault(guest->mock, guest->binding, MOCK_BASE));
	KUNIT_EXPECT_EQ(test, 0, mock_move(guest, 0, 1));
}

/*
 * A fault that meets a move
 */

/**
 * struct fault - a fault of another thread
 * @guest: whose
 * @addr: where
 * @task: the thread
 * @done: it is through
 * @ret: with this result
 * @waits: it was seen to wait for the move
 * @refs: that the folio had then
 */
struct fault {
	struct mock_guest *guest;
	u64 addr;
	struct task_struct *task;
	struct completion done;
	int ret;
	bool waits;
	int refs;
};

static int fault_thread(void *data)
{
	struct fault *fault = data;
	int ret;

	do {
		ret = mock_fault(fault->guest->mock, fault->guest->binding, fault->addr);
	} while (ret == -EAGAIN);
	fault->ret = ret;
	complete(&fault->done);
	return 0;
}

/* Who waits for a folio's lock cannot be killed, who waits for a move can. */
static bool fault_waits(struct fault *fault)
{
	return READ_ONCE(fault->task->__state) & TASK_WAKEKILL;
}

/* The folio is marked, the guest unmapped, and nothing is frozen. */
static void start_fault(struct mock *mock, const struct guestmem_invalidation *inv)
{
	struct fault *fault = mock->priv;
	int ms;

	wake_up_process(fault->task);
	for (ms = 0; ms < SOON && !fault_waits(fault) && !completion_done(&fault->done); ms++)
		fsleep(USEC_PER_MSEC);
	fault->waits = fault_waits(fault);
	fault->refs = folio_ref_count(mock_folio(fault->guest->file, inv->start));
}

static struct fault *expect_fault(struct mock_guest *guest, pgoff_t index)
{
	struct fault *fault = kzalloc(sizeof(*fault), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(guest->test, fault);
	fault->guest = guest;
	fault->addr = MOCK_BASE + index;
	init_completion(&fault->done);
	fault->task = kthread_create(fault_thread, fault, "guestmem-fault");
	KUNIT_ASSERT_FALSE(guest->test, IS_ERR(fault->task));
	get_task_struct(fault->task);
	guest->mock->priv = fault;
	guest->mock->on_start = start_fault;
	return fault;
}

/* It has waited without a reference, and got what is in the file. */
static void end_fault(struct fault *fault)
{
	struct mock_guest *guest = fault->guest;
	pgoff_t index = fault->addr - MOCK_BASE;
	struct folio *folio;

	/* if nothing was tried, it has not been started */
	wake_up_process(fault->task);
	/* a thread that never ends keeps what it uses */
	KUNIT_ASSERT_TRUE(guest->test, wait_for_completion_timeout(&fault->done,
								   msecs_to_jiffies(SOON)));
	KUNIT_EXPECT_TRUE(guest->test, fault->waits);
	/* those of the page cache, and of who has isolated it */
	KUNIT_EXPECT_EQ(guest->test, folio_size_of(guest) + 1, fault->refs);
	KUNIT_EXPECT_EQ(guest->test, 0, fault->ret);
	folio = mock_folio(guest->file, index);
	KUNIT_EXPECT_EQ(guest->test, folio_pfn(folio) + index - folio->index,
			guest->mock->pte[index]);
	put_task_struct(fault->task);
	kfree(fault);
}

/* R18, C8: a fault waits for the end of a move, has no reference, and gets the new page */
static void fault_meets_move(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, test->param_value);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);
	struct fault *fault = expect_fault(guest, guest->order ? 300 : 0);

	KUNIT_EXPECT_EQ(test, 0, mock_move(guest, 0, 1));
	/* and not in a second attempt */
	KUNIT_EXPECT_EQ(test, 1, guest->mock->starts);
	mock_expect_pages(guest, before, 0, folio_size_of(guest), MOCK_MUST_MOVE);
	end_fault(fault);
}

/* or the old one, if the move fails */
static void fault_meets_failure(struct kunit *test)
{
	struct mock_guest *guest = mock_guest(test, test->param_value);
	struct mock_page *before = mock_look(test, guest->file, guest->npages);
	struct fault *fault = expect_fault(guest, guest->order ? 300 : 0);

	guest->mock->fail_migrate = pieces(guest);
	KUNIT_EXPECT_EQ(test, 1, mock_move(guest, 0, 1));
	mock_expect_pages(guest, before, 0, guest->npages, 0);
	end_fault(fault);
}

/*
 * All at once
 */

struct race {
	struct mock_guest *guest;
	unsigned long rounds;
	unsigned long retries;
	unsigned long lost;
};

/* A mapped page is in the file: seen with the page table locked. */
static void race_check(struct race *race, pgoff_t index)
{
	struct mock *mock = race->guest->mock;
	struct folio *folio;

	spin_lock(&mock->lock);
	rcu_read_lock();
	folio = mock_folio(race->guest->file, index);
	if (mock->pte[index] &&
	    (!folio || folio_pfn(folio) + index - folio->index != mock->pte[index]))
		race->lost++;
	rcu_read_unlock();
	spin_unlock(&mock->lock);
}

static int race_fault(void *data)
{
	struct race *race = data;
	struct mock_guest *guest = race->guest;
	unsigned long step = guest->npages / 8;
	pgoff_t index;

	while (!kthread_should_stop()) {
		for (index = 0; index < guest->npages; index += step) {
			if (mock_fault(guest->mock, guest->binding,
				       MOCK_BASE + index) == -EAGAIN)
				race->retries++;
			race_check(race, index);
		}
		WRITE_ONCE(race->rounds, race->rounds + 1);
		cond_resched();
	}
	return 0;
}

static int race_move(void *data)
{
	struct mock_guest *guest = data;

	while (!kthread_should_stop()) {
		mock_move(guest, 0, guest->npages);
		/* who wants to punch cannot while folios are isolated */
		fsleep(2 * USEC_PER_MSEC);
	}
	return 0;
}

/* Until the move and the fault have had their chance */
static bool race_goes_on(struct race *race, int nr)
{
	return nr < 64 || (nr < 1000 && (READ_ONCE(race->rounds) < 10 ||
		       atomic_long_read(&race->guest->gm->nr_migrated) < 10));
}

/* C2, C8: moves against faults, holes being punched, and merging */
static void everything_against_move(struct kunit *test)
{
	struct race race = { .guest = mock_guest(test, test->param_value) };
	struct task_struct *fault = kthread_run(race_fault, &race, "guestmem-fault");
	struct mock_guest *guest = race.guest;
	unsigned long step = guest->npages / 8;
	struct task_struct *mover;
	int i;

	KUNIT_ASSERT_FALSE(test, IS_ERR(fault));
	mover = kthread_run(race_move, guest, "guestmem-move");
	for (i = 0; !IS_ERR(mover) && race_goes_on(&race, i); i++) {
		/* somebody may hold on to a folio that has to be split */
		mock_punch(guest->file, i % 8 * step, 1 + i % step);
		if (i % 8 == 7)
			KUNIT_EXPECT_EQ(test, 0, mock_populate(guest->file, 0,
							       guest->npages));
		/* the others can do nothing while the file is being changed */
		fsleep(USEC_PER_MSEC);
	}
	kthread_stop(fault);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mover));
	kthread_stop(mover);

	KUNIT_EXPECT_EQ(test, 0, race.lost);
	KUNIT_EXPECT_LT(test, 0, race.rounds);
	KUNIT_EXPECT_LT(test, 0, atomic_long_read(&guest->gm->nr_migrated));
	kunit_info(test, "%lu rounds, %lu retried, %ld moved, %ld not", race.rounds,
		   race.retries, atomic_long_read(&guest->gm->nr_migrated),
		   atomic_long_read(&guest->gm->nr_migrate_failed));
}

static struct kunit_case migrate_test_cases[] = {
	KUNIT_CASE_PARAM(who_can_move, mock_next_kind),
	KUNIT_CASE_PARAM(bound_meanwhile, mock_next_kind),
	KUNIT_CASE_PARAM(moves, mock_next_kind),
	KUNIT_CASE_PARAM(moves_unbound, mock_next_kind),
	KUNIT_CASE_PARAM(moves_given_unbound, mock_next_kind),
	KUNIT_CASE(moves_partly_bound),
	KUNIT_CASE_PARAM(consumer_fails, mock_next_kind),
	KUNIT_CASE_PARAM(copying_consumer_fails, mock_next_kind),
	KUNIT_CASE_PARAM(busy, mock_next_kind),
	KUNIT_CASE_PARAM(late_reference, mock_next_kind),
	KUNIT_CASE_PARAM(fault_meets_move, mock_next_kind),
	KUNIT_CASE_PARAM(fault_meets_failure, mock_next_kind),
	KUNIT_CASE_PARAM_ATTR(everything_against_move, mock_next_kind,
			      { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite migrate_test_suite = {
	.name = "guestmem_migrate",
	.init = mock_init,
	.test_cases = migrate_test_cases,
};

kunit_test_suite(migrate_test_suite);

MODULE_DESCRIPTION("KUnit tests of guest memory that moves");
MODULE_LICENSE("GPL");
