// SPDX-License-Identifier: GPL-2.0
/*
 * The mock consumer, and what the suites do with guest files: see mock.h.
 *
 * Files and bindings that a test leaves behind, because it was skipped perhaps, go when
 * it ends.
 */
#include <kunit/test.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/initrd.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/kernel.h>
#include <linux/random.h>
#include <linux/shmem_fs.h>
#include <linux/string.h>
#include <linux/swap.h>
#include <linux/xarray.h>
#include <uapi/linux/memfd.h>

#include "../internal.h"
#include "mock.h"

/* what migrate leaves behind: nobody gets the content there any more */
#define MOCK_SPOILT	0xdeadULL
/* huge pages that the files of a test may take from the pool */
#define MOCK_POOL	4

/* The pages that guests own: the address of each, by its pfn. */
static DEFINE_XARRAY(mock_book);
static atomic_t mock_complaints;
static const char *mock_first_complaint;

atomic_t mock_released;
void (*mock_on_release)(unsigned long pfn);

void mock_complain(const char *what)
{
	if (atomic_inc_return(&mock_complaints) == 1)
		WRITE_ONCE(mock_first_complaint, what);
}

/* The guest gets the page for @addr. */
void mock_own(u64 addr, unsigned long pfn)
{
	if (xa_insert(&mock_book, pfn, xa_mk_value(addr), GFP_ATOMIC))
		mock_complain("a page is given that is given already");
}

/* The guest loses the page; for which address was it? */
static u64 mock_disown(unsigned long pfn)
{
	void *entry = xa_erase(&mock_book, pfn);

	return entry ? xa_to_value(entry) : 0;
}

bool mock_owns(unsigned long pfn)
{
	return xa_load(&mock_book, pfn);
}

static struct mock *to_mock(struct guestmem_consumer *consumer)
{
	return container_of(consumer, struct mock, consumer);
}

static long mock_count(const struct guestmem_invalidation *inv)
{
	unsigned long index;
	long nr = 0;
	void *entry;

	xa_for_each_range(&inv->gm->inode->i_mapping->i_pages, index, entry,
			  inv->start, inv->end - 1)
		nr++;
	return nr;
}

static void mock_unmap(struct mock *mock, u64 first, u64 end)
{
	u64 addr;

	for (addr = first; addr < end; addr++)
		if (addr - MOCK_BASE < MOCK_PAGES)
			mock->pte[addr - MOCK_BASE] = 0;
}

static void mock_invalidate_start(struct guestmem_consumer *consumer,
				  const struct guestmem_invalidation *inv)
{
	void (*on_start)(struct mock *mock, const struct guestmem_invalidation *inv);
	struct mock *mock = to_mock(consumer);
	struct guestmem_binding *binding;

	spin_lock(&mock->lock);
	mock->in_progress++;
	mock->starts++;
	mock->bindings = 0;
	mock->first = U64_MAX;
	mock->end = 0;
	mock->moving = inv->moving;
	mock->inv = inv;
	for (binding = guestmem_first_binding(inv); binding;
	     binding = guestmem_next_binding(inv, binding)) {
		u64 first = guestmem_addr_first(binding, inv);
		u64 end = guestmem_addr_end(binding, inv);

		mock->bindings++;
		mock->first = min(mock->first, first);
		mock->end = max(mock->end, end);
		mock_unmap(mock, first, end);
	}
	on_start = mock->on_start;
	mock->on_start = NULL;
	spin_unlock(&mock->lock);
	mock->present = mock_count(inv);
	if (on_start)
		on_start(mock, inv);
}

/* Nobody has mapped anything in between. */
static void mock_check_unmapped(struct mock *mock, u64 first, u64 end)
{
	u64 addr;

	for (addr = first; addr < end; addr++)
		if (addr - MOCK_BASE < MOCK_PAGES && mock->pte[addr - MOCK_BASE])
			mock_complain("a page is mapped at the end of an invalidation");
}

static void mock_invalidate_end(struct guestmem_consumer *consumer,
				const struct guestmem_invalidation *inv)
{
	struct mock *mock = to_mock(consumer);
	struct guestmem_binding *binding;

	mock->present_end = mock_count(inv);
	spin_lock(&mock->lock);
	if (mock->in_progress <= 0)
		mock_complain("an end without a start");
	for (binding = guestmem_first_binding(inv); binding;
	     binding = guestmem_next_binding(inv, binding))
		mock_check_unmapped(mock, guestmem_addr_first(binding, inv),
				    guestmem_addr_end(binding, inv));
	mock->in_progress--;
	mock->seq++;
	spin_unlock(&mock->lock);
}

static bool mock_covers(const struct guestmem_invalidation *inv, u64 addr)
{
	struct guestmem_binding *binding;

	for (binding = guestmem_first_binding(inv); binding;
	     binding = guestmem_next_binding(inv, binding))
		if (addr >= guestmem_addr_first(binding, inv) &&
		    addr < guestmem_addr_end(binding, inv))
			return true;
	return false;
}

/* Does the guest have the address now, but not in what is invalidated? */
static bool mock_outside(const struct guestmem_invalidation *inv, u64 addr)
{
	const struct guestmem_invalidation all = { .gm = inv->gm, .end = ULONG_MAX };

	return mock_covers(&all, addr) && !mock_covers(inv, addr);
}

/* As protected memory: the content does not stay where it was. */
static void mock_move_page(const struct guestmem_invalidation *inv, struct mock *mock,
			   unsigned long dst, unsigned long src)
{
	u64 addr = mock_disown(src);

	if (!addr)
		mock_complain("a page moves that is not the guest's");
	if (mock_outside(inv, addr))
		mock_complain("a page moves that the bracket is not for");
	if (addr - MOCK_BASE < MOCK_PAGES && READ_ONCE(mock->pte[addr - MOCK_BASE]))
		mock_complain("a page moves that the guest has mapped");
	mock_own(addr, dst);
	if (guestmem_copy(dst, src, 1))
		mock_complain("a page cannot be copied");
	mock_write(src, MOCK_SPOILT);
}

/* 2M that is aligned */
static bool mock_one_block(unsigned long pfn, unsigned long nr)
{
	return nr && pfn / HPAGE_PMD_NR == (pfn + nr - 1) / HPAGE_PMD_NR;
}

/* The bracket is that of the last start; it may have ended. */
static void mock_check_move(struct mock *mock, const struct guestmem_invalidation *inv,
			    unsigned long dst, unsigned long src, unsigned long nr)
{
	might_sleep();
	if (!inv->moving || mock->inv != inv)
		mock_complain("a page moves without a bracket for that");
	if (!mock_one_block(dst, nr) || !mock_one_block(src, nr))
		mock_complain("a piece to move is not inside of 2M");
}

/* Is this the call that a test wants to fail? */
static bool mock_fails(struct mock *mock)
{
	mock->migrations++;
	return mock->fail_migrate && !--mock->fail_migrate;
}

static int mock_migrate(struct guestmem_consumer *consumer,
			const struct guestmem_invalidation *inv, pgoff_t index,
			unsigned long dst, unsigned long src, unsigned long nr)
{
	struct mock *mock = to_mock(consumer);
	unsigned long i;

	mock_check_move(mock, inv, dst, src, nr);
	if (mock_fails(mock))
		return -EBUSY;
	for (i = 0; i < nr; i++)
		mock_move_page(inv, mock, dst + i, src + i);
	return 0;
}

static void mock_unmigrate(struct guestmem_consumer *consumer,
			   const struct guestmem_invalidation *inv, pgoff_t index,
			   unsigned long dst, unsigned long src, unsigned long nr)
{
	struct mock *mock = to_mock(consumer);
	unsigned long i;

	mock_check_move(mock, inv, dst, src, nr);
	mock->unmigrations++;
	for (i = 0; i < nr; i++)
		mock_move_page(inv, mock, src + i, dst + i);
}

static int mock_copy(struct guestmem_consumer *consumer,
		     const struct guestmem_invalidation *inv, pgoff_t index,
		     unsigned long dst, unsigned long src, unsigned long nr)
{
	struct mock *mock = to_mock(consumer);

	mock_check_move(mock, inv, dst, src, nr);
	return mock_fails(mock) ? -EBUSY : guestmem_copy(dst, src, nr);
}

static int mock_prepare(struct guestmem_binding *binding, u64 addr,
			unsigned long pfn, unsigned int order)
{
	struct mock *mock = to_mock(binding->consumer);
	unsigned long i;

	if (mock->fail_prepare)
		return mock->fail_prepare;
	for (i = 0; i < 1UL << order; i++)
		mock_own(addr + i, pfn + i);
	mock->prepared += 1 << order;
	return 0;
}

static void mock_release(unsigned long pfn, unsigned long nr)
{
	void (*on_release)(unsigned long pfn) = mock_on_release;
	unsigned long i;

	mock_on_release = NULL;
	if (on_release)
		on_release(pfn);
	for (i = 0; i < nr; i++)
		if (!mock_disown(pfn + i))
			mock_complain("a page is released that is not the guest's");
	atomic_add(nr, &mock_released);
}

const struct guestmem_consumer_ops mock_ops = {
	.owner			= THIS_MODULE,
	.orders			= GENMASK(30, 0),
	.invalidate_start	= mock_invalidate_start,
	.invalidate_end		= mock_invalidate_end,
	.prepare		= mock_prepare,
	.release		= mock_release,
};

const struct guestmem_consumer_ops mock_movable_ops = {
	.owner			= THIS_MODULE,
	.orders			= GENMASK(30, 0),
	.invalidate_start	= mock_invalidate_start,
	.invalidate_end		= mock_invalidate_end,
	.migrate		= mock_migrate,
	.unmigrate		= mock_unmigrate,
	.prepare		= mock_prepare,
	.release		= mock_release,
};

const struct guestmem_consumer_ops mock_copying_ops = {
	.owner			= THIS_MODULE,
	.orders			= GENMASK(30, 0),
	.invalidate_start	= mock_invalidate_start,
	.invalidate_end		= mock_invalidate_end,
	.migrate		= mock_copy,
};

struct mock *mock_new(struct kunit *test, const struct guestmem_consumer_ops *ops)
{
	struct mock *mock = kunit_kzalloc(test, sizeof(*mock), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mock);
	mock->test = test;
	spin_lock_init(&mock->lock);
	mock->consumer.ops = ops;
	mock->consumer.id = guestmem_new_consumer_id();
	return mock;
}

/* Nothing has changed since @seq: the page is in the file, and the guest's. */
static int mock_map(struct mock *mock, u64 addr, unsigned long pfn, unsigned long seq)
{
	if (mock->in_progress || mock->seq != seq)
		return -EAGAIN;
	mock->pte[addr - MOCK_BASE] = pfn;
	if (mock->consumer.ops->prepare && xa_load(&mock_book, pfn) != xa_mk_value(addr))
		mock_complain("the page that the guest gets is not that of the address");
	return 0;
}

/* One fault, as "mapping and invalidation" in bind.c describes it.  0, -EAGAIN or an errno. */
int mock_fault(struct mock *mock, struct guestmem_binding *binding, u64 addr)
{
	unsigned long pfn, seq;
	int ret;

	spin_lock(&mock->lock);
	seq = mock->seq;
	spin_unlock(&mock->lock);

	ret = guestmem_get_pfn(binding, addr, &pfn, NULL);
	if (ret)
		return ret;

	spin_lock(&mock->lock);
	ret = mock_map(mock, addr, pfn, seq);
	spin_unlock(&mock->lock);
	guestmem_put_pfn(pfn);
	return ret;
}

/* At the end of a test, when its files are gone, and the book must be empty. */
static void mock_audit(void *data)
{
	struct kunit *test = data;

	KUNIT_EXPECT_EQ_MSG(test, 0, atomic_read(&mock_complaints), "first: %s",
			    mock_first_complaint);
	KUNIT_EXPECT_TRUE_MSG(test, xa_empty(&mock_book), "pages were not released");
	xa_destroy(&mock_book);
}

/*
 * An mm for the test's thread, to own files, and to populate from: the address of four
 * pages is left in test->priv.  The initramfs may still be being unpacked into a shmem
 * file system, which the accounting would show.
 */
int mock_init(struct kunit *test)
{
	unsigned long addr = kunit_vm_mmap(test, NULL, 0, 4 * PAGE_SIZE,
					   PROT_READ | PROT_WRITE,
					   MAP_ANONYMOUS | MAP_PRIVATE, 0);

	if (!addr)
		return -ENOMEM;
	wait_for_initramfs();
	test->priv = (void *)addr;
	atomic_set(&mock_released, 0);
	atomic_set(&mock_complaints, 0);
	mock_first_complaint = NULL;
	mock_on_release = NULL;
	return kunit_add_action_or_reset(test, mock_audit, test);
}

struct guestmem *mock_gm(struct file *file)
{
	return file_inode(file)->i_private;
}

/* The last reference of a kernel thread is dropped by a worker. */
static void mock_fput(void *file)
{
	fput(file);
	flush_delayed_fput();
}

/* It is put when the test ends, or by mock_put_file(). */
struct file *mock_keep_file(struct kunit *test, struct file *file)
{
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, mock_fput, file));
	return file;
}

struct file *mock_file(struct kunit *test, unsigned long npages, unsigned int flags)
{
	struct file *file = shmem_file_setup("guestmem-kunit",
					     npages << PAGE_SHIFT, VM_NORESERVE);

	mock_keep_file(test, file);
	KUNIT_ASSERT_EQ(test, 0, guestmem_memfd_init(file, MFD_GUEST | flags));
	return file;
}

void mock_put_file(struct kunit *test, struct file *file)
{
	kunit_release_action(test, mock_fput, file);
}

#ifdef CONFIG_HUGETLBFS

static void mock_set_pool(struct hstate *h, unsigned long nr)
{
	spin_lock_irq(&hugetlb_lock);
	h->nr_overcommit_huge_pages = nr;
	spin_unlock_irq(&hugetlb_lock);
}

static void mock_drain_pool(void *data)
{
	mock_set_pool(data, 0);
}

/* There is no pool when the tests run: let it overcommit until the end of this one. */
static void mock_fill_pool(struct kunit *test, struct hstate *h)
{
	if (h->nr_overcommit_huge_pages == MOCK_POOL)
		return;
	if (h->nr_overcommit_huge_pages)
		kunit_skip(test, "somebody else has made the pool overcommit");
	mock_set_pool(h, MOCK_POOL);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, mock_drain_pool, h));
}

struct file *mock_hugetlb_file(struct kunit *test, unsigned long npages,
			       unsigned int flags)
{
	struct hstate *h = size_to_hstate(PMD_SIZE);
	struct file *file;
	int ret;

	if (!h)
		kunit_skip(test, "no huge pages of that size");
	mock_fill_pool(test, h);
	file = hugetlb_file_setup("guestmem-kunit", 0, VM_NORESERVE, HUGETLB_ANONHUGE_INODE,
				  PMD_SHIFT);
	mock_keep_file(test, file);
	KUNIT_ASSERT_EQ(test, 0, guestmem_memfd_init(file, MFD_GUEST | flags));

	inode_lock(file_inode(file));
	ret = mock_gm(file)->store->set_size(mock_gm(file), npages << PAGE_SHIFT);
	inode_unlock(file_inode(file));
	if (ret == -ENOMEM)
		kunit_skip(test, "no memory for huge pages");
	KUNIT_ASSERT_EQ(test, 0, ret);
	return file;
}

#else

struct file *mock_hugetlb_file(struct kunit *test, unsigned long npages,
			       unsigned int flags)
{
	kunit_skip(test, "no hugetlb");
	return NULL;
}

#endif

int mock_punch(struct file *file, pgoff_t index, unsigned long npages)
{
	return vfs_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     index << PAGE_SHIFT, npages << PAGE_SHIFT);
}

int mock_populate(struct file *file, pgoff_t index, unsigned long npages)
{
	return vfs_fallocate(file, 0, index << PAGE_SHIFT, npages << PAGE_SHIFT);
}

/* Without a reference: nobody else changes the file. */
struct folio *mock_folio(struct file *file, pgoff_t index)
{
	return xa_load(&file->f_mapping->i_pages, index);
}

static void mock_do_unbind(void *binding)
{
	guestmem_unbind(binding);
}

struct guestmem_binding *mock_bind(struct kunit *test, struct mock *mock, struct file *file,
				   pgoff_t index, unsigned long npages, u64 addr)
{
	struct guestmem_binding *binding;

	binding = guestmem_bind(file, &mock->consumer, (u64)index << PAGE_SHIFT,
				npages, addr, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, binding);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, mock_do_unbind, binding));
	return binding;
}

void mock_unbind(struct kunit *test, struct guestmem_binding *binding)
{
	kunit_release_action(test, mock_do_unbind, binding);
	flush_delayed_fput();
}

void mock_abort_bind(struct kunit *test, struct guestmem_binding *binding)
{
	kunit_remove_action(test, mock_do_unbind, binding);
	guestmem_abort_bind(binding);
}

void mock_write(unsigned long pfn, u64 word)
{
	u64 *kaddr = kmap_local_pfn(pfn);

	memset64(kaddr, word, PAGE_SIZE / sizeof(word));
	kunmap_local(kaddr);
}

bool mock_reads(unsigned long pfn, u64 word)
{
	u64 *kaddr = kmap_local_pfn(pfn);
	unsigned int i;

	for (i = 0; i < PAGE_SIZE / sizeof(word); i++)
		if (kaddr[i] != word)
			break;
	kunmap_local(kaddr);
	return i == PAGE_SIZE / sizeof(word);
}

const struct mock_kind mock_kinds[] = {
	{ .name = "shmem-4K" },
	{ .name = "shmem-2M", .order = HPAGE_PMD_ORDER },
	{ .name = "hugetlb-2M", .order = HPAGE_PMD_ORDER, .hugetlb = true },
	{}
};

const struct mock_kind *const mock_huge_shmem = mock_kinds + 1;

/* For KUNIT_CASE_PARAM(): each of the kinds */
const void *mock_next_kind(const void *prev, char *desc)
{
	const struct mock_kind *kind = prev ? (const struct mock_kind *)prev + 1 : mock_kinds;

	if (!kind->name)
		return NULL;
	strscpy(desc, kind->name, KUNIT_PARAM_DESC_SIZE);
	return kind;
}

/* The huge ones */
const void *mock_next_huge_kind(const void *prev, char *desc)
{
	return mock_next_kind(prev ?: mock_kinds, desc);
}

unsigned long mock_kind_pages(const struct mock_kind *kind)
{
	return kind->order ? 2UL << kind->order : 8;
}

struct file *mock_kind_file(struct kunit *test, const struct mock_kind *kind,
			    unsigned int flags)
{
	if (kind->hugetlb)
		return mock_hugetlb_file(test, mock_kind_pages(kind), flags);
	return mock_file(test, mock_kind_pages(kind), flags);
}

/* The guest touches a block. */
void mock_give(struct mock_guest *guest, pgoff_t index, unsigned int order)
{
	unsigned int got = order;
	unsigned long pfn;

	KUNIT_ASSERT_EQ(guest->test, 0, guestmem_get_pfn(guest->binding, MOCK_BASE + index,
							 &pfn, &got));
	guestmem_put_pfn(pfn);
	KUNIT_ASSERT_EQ(guest->test, order, got);
}

/*
 * Pages of all states: of a small file, 0, 1 and 5 are given and the others fresh.  Of
 * the first huge folio, 3, 5 to 7 and all from 256 on are given, and 16 to 23 fresh; the
 * others are fresh, or holes if the store has some.  The second one is given as a whole.
 */
static void mock_guest_fill(struct mock_guest *guest)
{
	if (!guest->order) {
		mock_give(guest, 0, 0);
		mock_give(guest, 1, 0);
		mock_give(guest, 5, 0);
		KUNIT_ASSERT_EQ(guest->test, 0, mock_populate(guest->file, 0, 8));
		return;
	}
	mock_give(guest, 3, 0);
	if (folio_order(mock_folio(guest->file, 0)) != guest->order)
		kunit_skip(guest->test, "no huge page to be had");
	mock_give(guest, 5, 0);
	mock_give(guest, 6, 1);
	mock_give(guest, 256, 8);
	KUNIT_ASSERT_EQ(guest->test, 0, mock_populate(guest->file, 16, 8));
	mock_give(guest, HPAGE_PMD_NR, 0);
	if (folio_order(mock_folio(guest->file, HPAGE_PMD_NR)) != guest->order)
		kunit_skip(guest->test, "no second huge page to be had");
	mock_give(guest, HPAGE_PMD_NR, HPAGE_PMD_ORDER);
}

/* Every page has a content of its own, holes as well. */
static void mock_guest_write(struct mock_guest *guest)
{
	struct folio *folio;
	unsigned long i;

	guest->seed = get_random_u64();
	for (i = 0; i < guest->npages; i++) {
		folio = mock_folio(guest->file, i);
		mock_write(folio_pfn(folio) + i - folio->index, guest->seed + i);
	}
}

struct mock_guest *mock_guest_of(struct kunit *test, const struct mock_kind *kind,
				 const struct guestmem_consumer_ops *ops)
{
	struct mock_guest *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, guest);
	guest->test = test;
	guest->npages = mock_kind_pages(kind);
	guest->order = kind->order;
	guest->mock = mock_new(test, ops);
	guest->file = mock_kind_file(test, kind, MFD_GUEST_MOVABLE);
	guest->gm = mock_gm(guest->file);
	guest->binding = mock_bind(test, guest->mock, guest->file, 0, guest->npages,
				   MOCK_BASE);
	mock_guest_fill(guest);
	mock_guest_write(guest);
	/* what was just added waits for its LRU list, with a reference */
	lru_add_drain_all();
	return guest;
}

struct mock_guest *mock_guest(struct kunit *test, const struct mock_kind *kind)
{
	return mock_guest_of(test, kind, &mock_movable_ops);
}
