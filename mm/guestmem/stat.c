// SPDX-License-Identifier: GPL-2.0
/*
 * What guest files hold: fdinfo, GUESTMEM_GET_INFO, and totals in debugfs.
 *
 * Folios are counted when somebody asks, by a walk over the page cache, one step
 * for each folio.  In debugfs, "guestmem/stats" has totals, and two files have the
 * folios of every file.  For each, there is a line "file INODE STORE SIZE", and then
 *
 *	guestmem/maps		"INDEX PAGES ORDER" for neighbouring folios of one order
 *	guestmem/folios		"INDEX ORDER PFN NODE" for each folio
 */
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/rcupdate_wait.h>
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

/* a folio as it was seen: it may be moved, and freed, at any time */
struct guestmem_seen {
	pgoff_t index;
	unsigned int order;
	unsigned long pfn;
	int node;
};

typedef void (*guestmem_see_fn)(const struct guestmem_seen *seen, void *arg);

/*
 * Show all folios of the file to @fn, in order.  invalidate_lock keeps their places, but
 * not the folios: a move exchanges them.  So the order is taken from the page cache, and
 * of the folio only what a struct page has for good.
 */
static void guestmem_see(struct guestmem *gm, guestmem_see_fn fn, void *arg)
{
	struct address_space *mapping = gm->inode->i_mapping;
	XA_STATE(xas, &mapping->i_pages, 0);
	struct folio *folio;

	filemap_invalidate_lock_shared(mapping);
	rcu_read_lock();
	xas_for_each(&xas, folio, ULONG_MAX) {
		struct guestmem_seen seen = { .order = xas_get_order(&xas) };

		if (xas_retry(&xas, folio))
			continue;
		seen.index = round_down(xas.xa_index, 1UL << seen.order);
		seen.pfn = folio_pfn(folio);
		seen.node = folio_nid(folio);
		fn(&seen, arg);
		if (need_resched()) {
			xas_pause(&xas);
			cond_resched_rcu();
		}
	}
	rcu_read_unlock();
	filemap_invalidate_unlock_shared(mapping);
}

static void guestmem_count_folio(const struct guestmem_seen *seen, void *arg)
{
	struct guestmem_usage *usage = arg;

	if (seen->order >= GUESTMEM_ORDER_1G)
		usage->nr_1g++;
	else if (seen->order >= GUESTMEM_ORDER_2M)
		usage->nr_2m++;
	else
		usage->nr_4k += 1UL << seen->order;
	if (usage->node_pages)
		usage->node_pages[seen->node] += 1UL << seen->order;
}

static void guestmem_count(struct guestmem *gm, struct guestmem_usage *usage)
{
	guestmem_see(gm, guestmem_count_folio, usage);
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
	seq_printf(m, "guest_migrated:\t%ld\n", atomic_long_read(&gm->nr_migrated));
	seq_printf(m, "guest_migrate_failed:\t%ld\n",
		   atomic_long_read(&gm->nr_migrate_failed));
	seq_printf(m, "guest_splits:\t%ld\n", atomic_long_read(&gm->nr_splits));
	seq_printf(m, "guest_merges:\t%ld\n", atomic_long_read(&gm->nr_merges));
}

static void guestmem_fill_info(struct guestmem *gm, const struct guestmem_usage *usage,
			       struct guestmem_info *info)
{
	*info = (struct guestmem_info) {
		.size = info->size,
		.file_size = i_size_read(gm->inode),
		.granule = guestmem_granule(gm),
		.pages_4k = usage->nr_4k,
		.pages_2m = usage->nr_2m,
		.pages_1g = usage->nr_1g,
		.bound = READ_ONCE(gm->nr_bindings),
	};
	if (guestmem_can_move(gm))
		info->flags |= GUESTMEM_INFO_MOVABLE;
	if (gm->flags & GUESTMEM_NOHUGEPAGE)
		info->flags |= GUESTMEM_INFO_NOHUGEPAGE;
}

/* Bytes on each node, to the array that @args names */
static int guestmem_put_nodes(const struct guestmem_info_nodes *args,
			      const struct guestmem_usage *usage)
{
	u64 __user *nodes = u64_to_user_ptr(args->nodes);
	u32 i;

	for (i = 0; i < min(args->nr_nodes, nr_node_ids); i++)
		if (put_user((u64)usage->node_pages[i] << PAGE_SHIFT, nodes + i))
			return -EFAULT;
	return 0;
}

/* GUESTMEM_GET_INFO with GUESTMEM_INFO_NODES */
static long guestmem_get_info_nodes(struct guestmem *gm, void __user *arg)
{
	struct guestmem_usage usage = {};
	struct guestmem_info_nodes args;
	long ret;

	BUILD_BUG_ON(sizeof(args) != 72);
	ret = guestmem_copy_args(&args, sizeof(args), arg);
	if (ret)
		return ret;
	if (args.reserved)
		return -EINVAL;
	usage.node_pages = kcalloc(nr_node_ids, sizeof(*usage.node_pages), GFP_KERNEL);
	if (!usage.node_pages)
		return -ENOMEM;

	guestmem_count(gm, &usage);
	guestmem_fill_info(gm, &usage, &args.info);
	args.info.flags |= GUESTMEM_INFO_NODES;
	ret = guestmem_put_nodes(&args, &usage);
	args.nr_nodes = nr_node_ids;
	if (!ret && copy_to_user(arg, &args, sizeof(args)))
		ret = -EFAULT;
	kfree(usage.node_pages);
	return ret;
}

/* GUESTMEM_GET_INFO; the rules of the size are in the head of the uapi header */
long guestmem_get_info(struct guestmem *gm, void __user *arg)
{
	const u32 known = GUESTMEM_INFO_MOVABLE | GUESTMEM_INFO_NOHUGEPAGE;
	struct guestmem_info __user *uinfo = arg;
	struct guestmem_usage usage = {};
	struct guestmem_info info;
	long ret;

	BUILD_BUG_ON(sizeof(info) != 56);
	if (get_user(info.flags, &uinfo->flags))
		return -EFAULT;
	if (info.flags & ~(known | GUESTMEM_INFO_NODES))
		return -EINVAL;
	if (info.flags & GUESTMEM_INFO_NODES)
		return guestmem_get_info_nodes(gm, arg);
	ret = guestmem_copy_args(&info, sizeof(info), arg);
	if (ret)
		return ret;

	guestmem_count(gm, &usage);
	guestmem_fill_info(gm, &usage, &info);
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

static void guestmem_show_files(struct seq_file *m,
				void (*show)(struct seq_file *m, struct guestmem *gm))
{
	struct guestmem *gm;

	mutex_lock(&guestmem_files_lock);
	list_for_each_entry(gm, &guestmem_files, list) {
		seq_printf(m, "file %lu ", gm->inode->i_ino);
		guestmem_show_store(m, gm);
		seq_printf(m, " %lld\n", i_size_read(gm->inode));
		show(m, gm);
	}
	mutex_unlock(&guestmem_files_lock);
}

/* neighbouring folios of one size */
struct guestmem_run {
	struct seq_file *m;
	pgoff_t start;
	pgoff_t end;
	unsigned int order;
};

static void guestmem_show_run(const struct guestmem_run *run)
{
	if (run->end)
		seq_printf(run->m, "%lu %lu %u\n", run->start, run->end - run->start,
			   run->order);
}

static void guestmem_extend_run(const struct guestmem_seen *seen, void *arg)
{
	struct guestmem_run *run = arg;

	if (seen->index != run->end || seen->order != run->order) {
		guestmem_show_run(run);
		run->start = seen->index;
		run->order = seen->order;
	}
	run->end = seen->index + (1UL << seen->order);
}

static void guestmem_show_map(struct seq_file *m, struct guestmem *gm)
{
	struct guestmem_run run = { .m = m };

	guestmem_see(gm, guestmem_extend_run, &run);
	guestmem_show_run(&run);
}

static int maps_show(struct seq_file *m, void *unused)
{
	guestmem_show_files(m, guestmem_show_map);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(maps);

static void guestmem_show_folio(const struct guestmem_seen *seen, void *arg)
{
	seq_printf(arg, "%lu %u %lu %d\n", seen->index, seen->order, seen->pfn, seen->node);
}

static void guestmem_show_folios(struct seq_file *m, struct guestmem *gm)
{
	guestmem_see(gm, guestmem_show_folio, m);
}

static int folios_show(struct seq_file *m, void *unused)
{
	guestmem_show_files(m, guestmem_show_folios);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(folios);

static int __init guestmem_stat_init(void)
{
	struct dentry *dir = debugfs_create_dir("guestmem", NULL);

	debugfs_create_file("stats", 0444, dir, NULL, &stats_fops);
	debugfs_create_file("maps", 0400, dir, NULL, &maps_fops);
	debugfs_create_file("folios", 0400, dir, NULL, &folios_fops);
	guestmem_debug_init(dir);
	return 0;
}
late_initcall(guestmem_stat_init);
