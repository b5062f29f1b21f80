// SPDX-License-Identifier: GPL-2.0
/*
 * What guest files hold: fdinfo, GUESTMEM_GET_INFO, and totals in debugfs.
 *
 * Folios are counted when somebody asks, by a walk over the page cache, one step
 * for each folio.  In debugfs, "guestmem/stats" has totals, and "guestmem/maps" the
 * folios of every file: a line "file INODE STORE SIZE", and then a line
 * "INDEX PAGES ORDER" for each run of neighbouring folios of one order.
 */
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/guestmem.h>

#include "internal.h"

#define GUESTMEM_ORDER_2M	(21 - PAGE_SHIFT)
#define GUESTMEM_ORDER_1G	(30 - PAGE_SHIFT)

/* all guest files, and the lock of the list */
static LIST_HEAD(guestmem_files);
static DEFINE_MUTEX(guestmem_files_lock);
static atomic_long_t guestmem_bindings;

/* folios by size, and pages by node if @node_pages is there */
struct guestmem_usage {
	u64 nr_4k;
	u64 nr_2m;
	u64 nr_1g;
	unsigned long *node_pages;
};

static void guestmem_count_folio(struct guestmem_usage *usage, struct folio *folio)
{
	if (folio_order(folio) >= GUESTMEM_ORDER_1G)
		usage->nr_1g++;
	else if (folio_order(folio) >= GUESTMEM_ORDER_2M)
		usage->nr_2m++;
	else
		usage->nr_4k += folio_nr_pages(folio);
	if (usage->node_pages)
		usage->node_pages[folio_nid(folio)] += folio_nr_pages(folio);
}

/* invalidate_lock keeps the folios: none is referenced here. */
static void guestmem_count(struct guestmem *gm, struct guestmem_usage *usage)
{
	struct address_space *mapping = gm->inode->i_mapping;
	struct folio *folio;
	unsigned long index;

	filemap_invalidate_lock_shared(mapping);
	xa_for_each(&mapping->i_pages, index, folio) {
		guestmem_count_folio(usage, folio);
		cond_resched();
	}
	filemap_invalidate_unlock_shared(mapping);
}

/* "shmem", "hugetlb-2M", "hugetlb-1G" */
static void guestmem_show_store(struct seq_file *m, struct guestmem *gm)
{
	seq_puts(m, gm->store->name);
	if (gm->granule_order >= GUESTMEM_ORDER_1G)
		seq_printf(m, "-%luG", guestmem_granule(gm) >> 30);
	else if (gm->granule_order)
		seq_printf(m, "-%luM", guestmem_granule(gm) >> 20);
}

void guestmem_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct inode *inode = file_inode(file);
	struct guestmem_usage usage = {};
	struct guestmem *gm;
	int node;

	/* a seal is pending, perhaps in vain */
	if (!guestmem_sealed(inode))
		return;
	gm = inode->i_private;
	/* without memory for them, the lines of the nodes are left out */
	usage.node_pages = kcalloc(nr_node_ids, sizeof(*usage.node_pages), GFP_KERNEL);
	guestmem_count(gm, &usage);

	seq_puts(m, "guest_store:\t");
	guestmem_show_store(m, gm);
	seq_putc(m, '\n');
	seq_printf(m, "guest_size:\t%lld\n", i_size_read(gm->inode));
	seq_printf(m, "guest_movable:\t%d\n", !!(gm->flags & GUESTMEM_MOVABLE));
	seq_printf(m, "guest_bound:\t%d\n", !!READ_ONCE(gm->nr_bindings));
	seq_printf(m, "guest_4k:\t%llu\n", usage.nr_4k);
	seq_printf(m, "guest_2m:\t%llu\n", usage.nr_2m);
	seq_printf(m, "guest_1g:\t%llu\n", usage.nr_1g);
	if (usage.node_pages)
		for_each_node_state(node, N_MEMORY)
			seq_printf(m, "guest_node%d:\t%lu\n", node,
				   usage.node_pages[node] << (PAGE_SHIFT - 10));
	kfree(usage.node_pages);
}

/* GUESTMEM_GET_INFO; the rules of the size are in the head of the uapi header */
long guestmem_get_info(struct guestmem *gm, void __user *arg)
{
	struct guestmem_info info = {};
	struct guestmem_usage usage = {};
	u32 size;
	int ret;

	BUILD_BUG_ON(sizeof(info) != 56);
	if (get_user(size, (u32 __user *)arg))
		return -EFAULT;
	if (size < sizeof(info))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&info, sizeof(info), arg, size);
	if (ret)
		return ret;
	if (info.flags & ~(GUESTMEM_INFO_MOVABLE | GUESTMEM_INFO_NOHUGEPAGE))
		return -EINVAL;

	guestmem_count(gm, &usage);
	info = (struct guestmem_info) {
		.size = size,
		.file_size = i_size_read(gm->inode),
		.granule = guestmem_granule(gm),
		.pages_4k = usage.nr_4k,
		.pages_2m = usage.nr_2m,
		.pages_1g = usage.nr_1g,
		.bound = READ_ONCE(gm->nr_bindings),
	};
	if (gm->flags & GUESTMEM_MOVABLE)
		info.flags |= GUESTMEM_INFO_MOVABLE;
	if (gm->flags & GUESTMEM_NOHUGEPAGE)
		info.flags |= GUESTMEM_INFO_NOHUGEPAGE;
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

void guestmem_stat_add(struct guestmem *gm)
{
	mutex_lock(&guestmem_files_lock);
	list_add_tail(&gm->list, &guestmem_files);
	mutex_unlock(&guestmem_files_lock);
}

void guestmem_stat_del(struct guestmem *gm)
{
	mutex_lock(&guestmem_files_lock);
	list_del(&gm->list);
	mutex_unlock(&guestmem_files_lock);
}

void guestmem_stat_bindings(long delta)
{
	atomic_long_add(delta, &guestmem_bindings);
}

static int stats_show(struct seq_file *m, void *unused)
{
	struct guestmem_usage usage = {};
	unsigned long files = 0;
	struct guestmem *gm;

	mutex_lock(&guestmem_files_lock);
	list_for_each_entry(gm, &guestmem_files, list) {
		guestmem_count(gm, &usage);
		files++;
	}
	mutex_unlock(&guestmem_files_lock);

	seq_printf(m, "files %lu\n", files);
	seq_printf(m, "folios %llu\n", usage.nr_4k + usage.nr_2m + usage.nr_1g);
	seq_printf(m, "bindings %ld\n", atomic_long_read(&guestmem_bindings));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

/* neighbouring folios of one size */
struct guestmem_run {
	pgoff_t start;
	pgoff_t end;
	unsigned int order;
};

static void guestmem_show_run(struct seq_file *m, const struct guestmem_run *run)
{
	if (run->end)
		seq_printf(m, "%lu %lu %u\n", run->start, run->end - run->start, run->order);
}

static void guestmem_show_map(struct seq_file *m, struct guestmem *gm)
{
	struct address_space *mapping = gm->inode->i_mapping;
	struct guestmem_run run = {};
	struct folio *folio;
	unsigned long index;

	filemap_invalidate_lock_shared(mapping);
	xa_for_each(&mapping->i_pages, index, folio) {
		if (folio->index != run.end || folio_order(folio) != run.order) {
			guestmem_show_run(m, &run);
			run.start = folio->index;
			run.order = folio_order(folio);
		}
		run.end = folio_next_index(folio);
		cond_resched();
	}
	filemap_invalidate_unlock_shared(mapping);
	guestmem_show_run(m, &run);
}

static int maps_show(struct seq_file *m, void *unused)
{
	struct guestmem *gm;

	mutex_lock(&guestmem_files_lock);
	list_for_each_entry(gm, &guestmem_files, list) {
		seq_printf(m, "file %lu ", gm->inode->i_ino);
		guestmem_show_store(m, gm);
		seq_printf(m, " %lld\n", i_size_read(gm->inode));
		guestmem_show_map(m, gm);
	}
	mutex_unlock(&guestmem_files_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(maps);

static int __init guestmem_stat_init(void)
{
	struct dentry *dir = debugfs_create_dir("guestmem", NULL);

	debugfs_create_file("stats", 0444, dir, NULL, &stats_fops);
	debugfs_create_file("maps", 0400, dir, NULL, &maps_fops);
	guestmem_debug_init(dir);
	return 0;
}
late_initcall(guestmem_stat_init);
