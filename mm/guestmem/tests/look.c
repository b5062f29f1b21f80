// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest file is made of, before and after, and moves of its folios: see mock.h.
 */
#include <kunit/test.h>
#include <linux/cgroup.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/jhash.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "../../internal.h"
#include "../internal.h"
#include "mock.h"

static u32 look_hash(unsigned long pfn)
{
	u32 *kaddr = kmap_local_pfn(pfn), hash;

	hash = jhash2(kaddr, PAGE_SIZE / sizeof(*kaddr), 0);
	kunmap_local(kaddr);
	return hash;
}

static enum mock_state look_state(struct guestmem *gm, struct folio *folio,
				  unsigned long nr)
{
	unsigned long first = nr;

	if (guestmem_given(gm, folio, nr, 1))
		return MOCK_GIVEN;
	return guestmem_next_fresh(gm, folio, &first, nr + 1) ? MOCK_FRESH : MOCK_HOLE;
}

static void look_at_page(struct guestmem *gm, struct folio *folio, unsigned long nr,
			 struct mock_page *page)
{
	page->state = look_state(gm, folio, nr);
	page->new = guestmem_marked(gm, folio->index, GUESTMEM_MARK_NEW);
	page->order = folio_order(folio);
	page->pfn = folio_pfn(folio) + nr;
	page->owned = mock_owns(page->pfn);
	if (page->state != MOCK_HOLE)
		page->content = look_hash(page->pfn);
	page->memcg = folio_memcg(folio);
}

/*
 * What are the first @npages pages of the file?  If its guest has prepare, and nobody
 * faults, then it owns exactly what is given.
 */
struct mock_page *mock_look(struct kunit *test, struct file *file, unsigned long npages)
{
	struct mock_page *pages = kunit_kcalloc(test, npages, sizeof(*pages), GFP_KERNEL);
	struct guestmem *gm = mock_gm(file);
	struct folio *folio;
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	filemap_invalidate_lock(file->f_mapping);
	for (i = 0; i < npages; i++) {
		folio = mock_folio(file, i);
		if (folio)
			look_at_page(gm, folio, i - folio->index, pages + i);
	}
	filemap_invalidate_unlock(file->f_mapping);
	return pages;
}

static const enum node_stat_item accounted[] = { NR_FILE_PAGES, NR_SHMEM, NR_SHMEM_THPS };

static long node_counter(int nid, enum node_stat_item item)
{
	struct pglist_data *pgdat = NODE_DATA(nid);
	long pages = atomic_long_read(&pgdat->vm_stat[item]);
	int cpu;

	/* what a CPU has not yet added */
	for_each_online_cpu(cpu)
		pages += per_cpu_ptr(pgdat->per_cpu_nodestats, cpu)->vm_node_stat_diff[item];
	return pages;
}

#ifdef CONFIG_MEMCG
static void look_at_memcg(struct mock_accounts *accounts, struct mem_cgroup *memcg)
{
	int i;

	if (!memcg)
		return;
	cgroup_rstat_flush(memcg->css.cgroup);
	for (i = 0; i < ARRAY_SIZE(accounted); i++)
		accounts->memcg[i] = memcg_page_state(memcg, accounted[i]);
}
#else
static void look_at_memcg(struct mock_accounts *accounts, struct mem_cgroup *memcg)
{
}
#endif

struct mock_accounts mock_account(struct file *file)
{
	struct mock_accounts accounts = {
		.pages = file->f_mapping->nrpages,
		.bytes = inode_get_bytes(file_inode(file)),
	};
	int i, nid;

	for (i = 0; i < ARRAY_SIZE(accounted); i++)
		for_each_online_node(nid)
			accounts.node[i] += node_counter(nid, accounted[i]);
	look_at_memcg(&accounts, folio_memcg(mock_folio(file, 0)));
	return accounts;
}

void mock_expect_accounts(struct kunit *test, struct file *file,
			  const struct mock_accounts *before)
{
	struct mock_accounts after = mock_account(file);

	KUNIT_EXPECT_MEMEQ(test, &after, before, sizeof(after));
}

static const char *page_differs(const struct mock_page *a, const struct mock_page *b,
				unsigned int may)
{
	if (a->state != b->state)
		return "state";
	if (a->owned != b->owned)
		return "owner";
	if (a->new != b->new)
		return "mark";
	if (a->content != b->content)
		return "content";
	if (a->memcg != b->memcg)
		return "memory cgroup";
	if (a->order != b->order && !(may & MOCK_MAY_RESIZE))
		return "order";
	if (a->pfn != b->pfn && !(may & MOCK_MUST_MOVE))
		return "place";
	if (a->pfn == b->pfn && may & MOCK_MUST_MOVE)
		return "place, which is the same";
	return NULL;
}

static const char *page_owner(const struct mock_guest *guest, const struct mock_page *page)
{
	bool given = page->state == MOCK_GIVEN && guest->mock->consumer.ops->prepare;

	return page->owned != given ? "given or owned, but not both" : NULL;
}

/* The pages [@first, @end) are as they were, but for what @may differ. */
void mock_expect_pages(struct mock_guest *guest, const struct mock_page *before,
		       pgoff_t first, pgoff_t end, unsigned int may)
{
	struct mock_page *now = mock_look(guest->test, guest->file, guest->npages);
	const char *what = NULL;
	pgoff_t i;

	for (i = first; i < end && !what; i++)
		what = page_differs(before + i, now + i, may);
	KUNIT_EXPECT_FALSE_MSG(guest->test, !!what, "page %lu: %s", i - 1, what);
	for (i = 0, what = NULL; i < guest->npages && !what; i++)
		what = page_owner(guest, now + i);
	KUNIT_EXPECT_FALSE_MSG(guest->test, !!what, "page %lu: %s", i - 1, what);
	KUNIT_EXPECT_FALSE(guest->test, xa_marked(&guest->file->f_mapping->i_pages,
						  GUESTMEM_MARK_MOVING));
	KUNIT_EXPECT_EQ(guest->test, 0, guest->mock->in_progress);
	kunit_kfree(guest->test, now);
}

/* Take the folios of [@first, @end) off their lists.  Returns how many were. */
int mock_isolate(struct file *file, pgoff_t first, pgoff_t end, struct list_head *list)
{
	struct folio *folio;
	int nr = 0;

	lru_add_drain_all();
	while (first < end) {
		folio = filemap_get_folio(file->f_mapping, first);
		if (IS_ERR(folio)) {
			first++;
			continue;
		}
		nr += isolate_folio_to_list(folio, list);
		first = folio_next_index(folio);
		folio_put(folio);
	}
	return nr;
}

/*
 * Move the folios of [@first, @end).  With MIGRATE_ASYNC what has failed for good is not
 * tried again.  Returns how many were not moved.
 */
unsigned long mock_move_to(struct file *file, pgoff_t first, pgoff_t end,
			   new_folio_t target, enum migrate_mode mode)
{
	struct migration_target_control mtc = {
		.nid = NUMA_NO_NODE,
		.gfp_mask = GFP_HIGHUSER_MOVABLE,
		.reason = MR_SYSCALL,
	};
	unsigned long left;
	LIST_HEAD(list);

	mock_isolate(file, first, end, &list);
	migrate_pages(&list, target, NULL, (unsigned long)&mtc, mode, MR_SYSCALL, NULL);
	left = list_count_nodes(&list);
	putback_movable_pages(&list);
	/* what was put back, or is new, waits for its LRU list with a reference */
	lru_add_drain_all();
	return left;
}

unsigned long mock_move(struct mock_guest *guest, pgoff_t first, pgoff_t end)
{
	return mock_move_to(guest->file, first, end, alloc_migration_target, MIGRATE_ASYNC);
}
